//! What each kind of effect means where it is applied.
//!
//! Invariant: every function here may be called again after the process died in the middle, and then finds what was done. Commits are found by the effect's id in their message and branches move
//! by compare-and-swap; what the host itself keeps of a repository is written in the transaction that says the effect is applied.

use super::{Effects, Told};
use crate::forge::local::write::{Base, Say, WriteError, Written};
use crate::forge::{ForgeError, Repository, shown};
use crate::model::{
    Action, Effect, ForgeRecord, NotificationAction, Thread, ThreadKind, ThreadState, now,
};
use crate::store::StoreError;
use serde_json::{Value, json};
use std::time::Duration;

/// How long a person waits for a preview.
const PREVIEW_PATIENCE: Duration = Duration::from_secs(10);

/// Why an effect was not applied.
#[derive(Debug)]
pub(super) enum Stop {
    /// What it was made for moved on.
    Moved(String),
    /// It cannot be applied, however often it is tried.
    Refused(String),
    /// It may work later.
    Later(String),
    /// Nobody knows whether it is done, and it may not be done twice.
    Unanswered(String),
    /// The host's own store failed.
    Store(StoreError),
}

impl Stop {
    /// Why, in one sentence.
    pub(super) fn message(&self) -> String {
        match self {
            Self::Moved(message)
            | Self::Refused(message)
            | Self::Later(message)
            | Self::Unanswered(message) => message.clone(),
            Self::Store(error) => error.to_string(),
        }
    }
}

impl From<WriteError> for Stop {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Moved(message) => Self::Moved(message),
            WriteError::Refused(message) => Self::Refused(message),
            WriteError::Forge(error) => error.into(),
        }
    }
}

impl From<ForgeError> for Stop {
    fn from(error: ForgeError) -> Self {
        match error {
            ForgeError::Unavailable(message) => Self::Later(message),
            other => Self::Refused(other.to_string()),
        }
    }
}

impl From<super::judge::Refusal> for Stop {
    fn from(refusal: super::judge::Refusal) -> Self {
        match refusal.when {
            super::judge::When::Later => Self::Later(refusal.message),
            super::judge::When::Moved => Self::Moved(refusal.message),
            super::judge::When::Never => Self::Refused(refusal.message),
        }
    }
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// An effect that is applied.
#[derive(Debug, Default)]
pub(super) struct Done {
    pub(super) result: Value,
    pub(super) message: Option<String>,
    pub(super) records: Vec<ForgeRecord>,
}

impl Done {
    pub(super) fn record(record: ForgeRecord) -> Self {
        Self {
            result: json!({}),
            message: None,
            records: vec![record],
        }
    }

    pub(super) fn unchanged(result: Value) -> Self {
        Self {
            result,
            message: Some("there was nothing to change".into()),
            records: Vec::new(),
        }
    }
}

impl Effects {
    /// Applies an effect, or finds that it was applied.
    pub(super) async fn applied(&self, effect: &Effect, again: bool) -> Result<Done, Stop> {
        // An attempt without an answer may have got anywhere, too.
        let tried = again || effect.attempts > 1;
        let elsewhere = effect.action.repository();
        if let Some(recorder) = elsewhere.and_then(|name| self.forges.recorder_of(name)) {
            let action = effect.action.elided();
            let action = action.as_ref().unwrap_or(&effect.action);
            recorder.would_send("github", elsewhere.unwrap_or_default(), &json!(action));
            return Ok(Done {
                result: json!({ "recorded": recorder.file() }),
                message: Some("dev mode: it was recorded, and nothing was sent".into()),
                records: Vec::new(),
            });
        }
        match &effect.action {
            Action::Commit(action) => {
                self.commit(
                    effect,
                    &action.repository,
                    &action.branch,
                    Some(Base {
                        at: action.base.as_deref(),
                        start: action.start.as_deref(),
                    }),
                    &action.message,
                )
                .await
            }
            Action::Publication(action) => {
                let message = format!("Publish {} files", action.files.len());
                self.commit(effect, &action.repository, &action.branch, None, &message)
                    .await
            }
            Action::PullRequest(action) => self.pull_request(effect, action).await,
            Action::Merge(action) => self.merge(effect, action).await,
            Action::Issue(action) => self.issue(effect, action, tried).await,
            Action::Comment(action) => self.comment(effect, action, tried).await,
            Action::Status(action) => self.status(effect, action, tried).await,
            Action::Notification(action) => self.notification(effect, action, again).await,
            // Nothing here changes a bill: that people agree is what it gives.
            Action::Billing(_) => Ok(Done {
                result: json!({}),
                ..Done::default()
            }),
            Action::AgentControl(action) => {
                let result = self
                    .steer
                    .steer(effect, action)
                    .await
                    .map_err(Stop::Refused)?;
                Ok(Done {
                    result,
                    ..Done::default()
                })
            }
        }
    }

    /// A message to people. No service says what it was told before, so the channel's guarantee decides what comes of one that nobody knows of.
    async fn notification(
        &self,
        effect: &Effect,
        action: &NotificationAction,
        again: bool,
    ) -> Result<Done, Stop> {
        let twice = self
            .registry
            .load()
            .config
            .channels
            .get(&action.channel)
            .is_some_and(|channel| channel.at_least_once);
        if again && !twice {
            return Err(Stop::Unanswered(
                "the host died while the message was sent, and the channel's guarantee is `at_most_once`".into(),
            ));
        }
        match self.tell.tell(effect, action).await {
            Told::Arrived => Ok(Done {
                result: json!({ "channel": action.channel }),
                ..Done::default()
            }),
            Told::Refused(message) => Err(Stop::Refused(message)),
            Told::Later(message) => Err(Stop::Later(message)),
            Told::Unanswered(message) if twice => Err(Stop::Later(message)),
            Told::Unanswered(message) => Err(Stop::Unanswered(message)),
        }
    }

    /// A commit on a branch. `base` is the commit it was made for; without one the files are all that the branch holds afterwards.
    async fn commit(
        &self,
        effect: &Effect,
        repository: &str,
        branch: &str,
        base: Option<Base<'_>>,
        message: &str,
    ) -> Result<Done, Stop> {
        let forge = self.repository(repository)?;
        let files = self.files_of(effect).await?.map_err(Stop::from)?;
        let head = match base {
            Some(_) => None,
            None => forge.objects().await?.branch(branch).await?,
        };
        let whole = base.is_none();
        let base = base.unwrap_or(Base {
            at: head.as_deref(),
            start: None,
        });
        let trailers = trailers(effect);
        let say = say(effect, message, &trailers);
        let written = self
            .committed(&forge, branch, base, &files, whole, &say)
            .await?;
        Ok(match written {
            Written::Commit { id, before } => Done {
                result: json!({ "commit": id, "branch": branch, "before": before }),
                ..Done::default()
            },
            Written::Unchanged => Done::unchanged(json!({ "branch": branch, "before": base.at })),
        })
    }

    async fn merge(
        &self,
        effect: &Effect,
        action: &crate::model::MergeAction,
    ) -> Result<Done, Stop> {
        let thread = self
            .thread(&action.repository, action.number)
            .await?
            .filter(|thread| thread.kind == ThreadKind::PullRequest)
            .ok_or_else(|| {
                Stop::Refused(format!(
                    "{} has no pull request {}",
                    shown(&action.repository),
                    action.number
                ))
            })?;
        let forge = self.repository(&action.repository)?;
        // An earlier attempt may have merged it where its state is not the host's own record.
        let elsewhere =
            matches!(forge, Repository::Github(_)) && thread.state == ThreadState::Merged;
        if thread.state != ThreadState::Open && !elsewhere {
            return Err(Stop::Refused(format!(
                "the pull request {} is not open",
                action.number
            )));
        }
        let (Some(head), Some(base)) = (&thread.head, &thread.base) else {
            return Err(Stop::Refused("the pull request names no branches".into()));
        };
        let objects = forge.objects().await?;
        if !elsewhere
            && self.head_of(&forge, &thread).await?.as_deref() != Some(action.head.as_str())
        {
            return Err(Stop::Moved(format!(
                "the branch {} is not at the commit that was judged",
                shown(head)
            )));
        }
        let Some(at) = objects.branch(base).await? else {
            return Err(Stop::Moved(format!("the branch {} is gone", shown(base))));
        };
        let message = format!(
            "Merge pull request {} from {head}\n\n{}",
            action.number, thread.title
        );
        let trailers = trailers(effect);
        let say = say(effect, &message, &trailers);
        let written = self
            .merged(&forge, &thread, &action.head, &at, &say)
            .await?;
        let (merged, before) = match written {
            Written::Commit { id, before } => (Some(id), before),
            Written::Unchanged => (None, Some(at)),
        };
        let result =
            json!({ "commit": merged, "branch": base, "before": before, "number": action.number });
        let record = ForgeRecord::Change(Box::new(Thread {
            state: ThreadState::Merged,
            merge_commit: merged,
            closed_at: Some(now()),
            ..thread.clone()
        }));
        Ok(Done {
            result,
            ..Done::record(record)
        })
    }

    /// What an effect would do, for a person: a patch, or the text it would write, or why it cannot be shown. None where there is nothing to see.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn preview(&self, effect: &Effect) -> Result<Option<String>, super::DecideError> {
        // Whoever looks at an effect wants its state first, also while its repository is away.
        match tokio::time::timeout(PREVIEW_PATIENCE, self.previewed(effect)).await {
            Ok(Err(super::DecideError::Forge(error))) => {
                Ok(Some(format!("there is no preview: {error}")))
            }
            Ok(preview) => preview,
            Err(_) => Ok(Some(
                "there is no preview: the repository does not answer".into(),
            )),
        }
    }

    async fn previewed(&self, effect: &Effect) -> Result<Option<String>, super::DecideError> {
        let preview = match &effect.action {
            Action::Commit(action) => {
                let parent = action.base.as_deref().or(action.start.as_deref());
                self.patch(effect, &action.repository, parent, false)
                    .await?
            }
            Action::Publication(action) => {
                let forge = self.repository(&action.repository)?;
                let head = forge.objects().await?.branch(&action.branch).await?;
                self.patch(effect, &action.repository, head.as_deref(), true)
                    .await?
            }
            Action::PullRequest(action) => {
                let repository = self.repository(&action.repository)?;
                let forge = repository.objects().await?;
                match (
                    forge.branch(&action.head).await?,
                    forge.branch(&action.base).await?,
                ) {
                    (Some(head), Some(base)) => {
                        format!(
                            "{}\n\n{}\n\n{}",
                            action.title,
                            action.body,
                            said(forge.patch_between(&base, &head).await)
                        )
                    }
                    _ => format!("{}\n\n{}", action.title, action.body),
                }
            }
            Action::Merge(action) => {
                let Some(thread) = self.thread(&action.repository, action.number).await? else {
                    return Ok(None);
                };
                let repository = self.repository(&action.repository)?;
                let forge = repository.objects_of_pull(action.number).await?;
                match forge
                    .branch(thread.base.as_deref().unwrap_or_default())
                    .await?
                {
                    Some(base) => said(forge.patch_between(&base, &action.head).await),
                    None => return Ok(None),
                }
            }
            Action::Issue(action) => format!("{}\n\n{}", action.title, action.body),
            Action::Comment(action) => action.body.clone(),
            Action::Status(action) => format!("{}: {}", action.name, action.summary),
            Action::Notification(action) => format!("{}\n\n{}", action.title, action.body),
            Action::Billing(action) => format!(
                "{}\n\n{}: {:+} USD a month\n\n{}",
                action.title, action.resource, action.monthly_usd, effect.reason
            ),
            Action::AgentControl(_) => return Ok(None),
        };
        Ok(Some(preview))
    }

    async fn patch(
        &self,
        effect: &Effect,
        repository: &str,
        base: Option<&str>,
        whole: bool,
    ) -> Result<String, super::DecideError> {
        let files = match self.files_of(effect).await? {
            Ok(files) => files,
            Err(refusal) => return Ok(refusal.message),
        };
        let repository = self.repository(repository)?;
        // What it is made to is named by its id, so nobody has to be asked for it.
        let objects = match base {
            Some(base) => repository.objects_with(base).await?,
            None => repository.objects().await?,
        };
        let made = objects.preview(base, &files, whole).await;
        Ok(made.unwrap_or_else(|error| error.to_string()))
    }
}

/// A patch, or why there is none.
fn said(patch: Result<String, ForgeError>) -> String {
    patch.unwrap_or_else(|error| error.to_string())
}

/// By what a commit is found again, and whose it is.
fn trailers(effect: &Effect) -> Vec<String> {
    let mut trailers = vec![
        format!("Infinity-Effect: {}", effect.id),
        format!("Infinity-Agent: {}", effect.agent),
        format!("Infinity-Run: {}", effect.run),
    ];
    trailers.extend(
        effect
            .approvals
            .iter()
            .map(|approval| format!("Infinity-Approved-By: {}", approval.principal.name)),
    );
    trailers
}

fn say<'a>(effect: &'a Effect, message: &'a str, trailers: &'a [String]) -> Say<'a> {
    Say {
        author: &effect.agent,
        message,
        trailers,
        at: effect.approved_at.unwrap_or(effect.created_at),
    }
}
