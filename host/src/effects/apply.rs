//! What each kind of effect means where it is applied.
//!
//! Invariant: every function here may be called again after the process died in the middle, and then finds what was done. Commits are found by the effect's id in their message and branches move
//! by compare-and-swap; what the host itself keeps of a repository is written in the transaction that says the effect is applied.

use super::Effects;
use crate::forge::Forge as _;
use crate::forge::local::write::{Say, WriteError, Written};
use crate::forge::{ForgeError, shown};
use crate::model::{
    Action, Comment, CommitStatus, Effect, ForgeRecord, Thread, ThreadKind, ThreadState, now,
};
use crate::store::{PageRequest, StoreError, ThreadFilter};
use serde_json::{Value, json};

/// Open pull requests of a repository among which one for the same branches is looked for.
const OPEN_MAX: u32 = 500;

/// Why an effect was not applied.
#[derive(Debug)]
pub(super) enum Stop {
    /// What it was made for moved on.
    Moved(String),
    /// It cannot be applied, however often it is tried.
    Refused(String),
    /// It may work later.
    Later(String),
    /// The host's own store failed.
    Store(StoreError),
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
    fn record(record: ForgeRecord) -> Self {
        Self {
            result: json!({}),
            message: None,
            records: vec![record],
        }
    }

    fn unchanged(result: Value) -> Self {
        Self {
            result,
            message: Some("there was nothing to change".into()),
            records: Vec::new(),
        }
    }
}

impl Effects {
    /// Applies an effect, or finds that it was applied.
    pub(super) async fn applied(&self, effect: &Effect) -> Result<Done, Stop> {
        match &effect.action {
            Action::Commit(action) => {
                self.commit(
                    effect,
                    &action.repository,
                    &action.branch,
                    Some(action.base.as_deref()),
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
            Action::Issue(action) => Ok(Done::record(ForgeRecord::Open(Box::new(Thread {
                title: action.title.clone(),
                body: action.body.clone(),
                labels: action.labels.clone(),
                ..opened(effect, &action.repository, ThreadKind::Issue)
            })))),
            Action::Comment(action) => {
                let thread = self.store.thread(&action.repository, action.number).await?;
                if thread.is_none() {
                    return Err(Stop::Refused(format!(
                        "{} has no issue or pull request {}",
                        shown(&action.repository),
                        action.number
                    )));
                }
                Ok(Done {
                    result: json!({ "number": action.number }),
                    ..Done::record(ForgeRecord::Comment {
                        repository: action.repository.clone(),
                        number: action.number,
                        comment: Comment {
                            id: effect.id,
                            author: effect.agent.clone(),
                            body: action.body.clone(),
                            created_at: now(),
                        },
                    })
                })
            }
            Action::Status(action) => {
                let commit = self
                    .repository(&action.repository)?
                    .resolve(&action.commit)
                    .await?;
                Ok(Done {
                    result: json!({ "commit": commit }),
                    ..Done::record(ForgeRecord::Status {
                        repository: action.repository.clone(),
                        commit,
                        status: CommitStatus {
                            id: effect.id,
                            name: action.name.clone(),
                            state: action.state,
                            summary: action.summary.clone(),
                            created_at: now(),
                        },
                    })
                })
            }
            Action::Notification(action) => Err(Stop::Refused(format!(
                "there is no channel {}",
                shown(&action.channel)
            ))),
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

    /// A commit on a branch. `base` is the commit it was made for; without one the files are all that the branch holds afterwards.
    async fn commit(
        &self,
        effect: &Effect,
        repository: &str,
        branch: &str,
        base: Option<Option<&str>>,
        message: &str,
    ) -> Result<Done, Stop> {
        let forge = self.repository(repository)?;
        let files = self
            .files_of(effect)
            .await?
            .map_err(|refusal| Stop::Refused(refusal.message))?;
        let at = match base {
            Some(base) => base.map(str::to_owned),
            None => forge.branch(branch).await?,
        };
        let trailers = trailers(effect);
        let say = say(effect, message, &trailers);
        let written = forge
            .commit(
                branch,
                at.as_deref(),
                &files,
                base.is_none(),
                &say,
                &self.key,
            )
            .await?;
        Ok(match written {
            Written::Commit(commit) => Done {
                result: json!({ "commit": commit, "branch": branch, "before": at }),
                ..Done::default()
            },
            Written::Unchanged => Done::unchanged(json!({ "branch": branch, "before": at })),
        })
    }

    async fn pull_request(
        &self,
        effect: &Effect,
        action: &crate::model::PullRequestAction,
    ) -> Result<Done, Stop> {
        let forge = self.repository(&action.repository)?;
        for branch in [&action.head, &action.base] {
            if forge.branch(branch).await?.is_none() {
                return Err(Stop::Refused(format!(
                    "{} has no branch {}",
                    shown(&action.repository),
                    shown(branch)
                )));
            }
        }
        let open = ThreadFilter {
            kind: ThreadKind::PullRequest,
            repository: Some(action.repository.clone()),
            state: Some(ThreadState::Open),
        };
        let page = PageRequest {
            limit: OPEN_MAX,
            cursor: None,
        };
        let threads = self.store.threads(open, page).await?.items;
        let same = threads.iter().find(|thread| {
            thread.head.as_ref() == Some(&action.head) && thread.base.as_ref() == Some(&action.base)
        });
        // One branch has one open pull request to another: a later proposal is about the same.
        if let Some(same) = same {
            return Ok(Done {
                message: Some(format!(
                    "the pull request {} for these branches is open already",
                    same.number
                )),
                ..Done::unchanged(json!({ "number": same.number }))
            });
        }
        Ok(Done::record(ForgeRecord::Open(Box::new(Thread {
            title: action.title.clone(),
            body: action.body.clone(),
            labels: action.labels.clone(),
            reviewers: action.reviewers.clone(),
            head: Some(action.head.clone()),
            base: Some(action.base.clone()),
            ..opened(effect, &action.repository, ThreadKind::PullRequest)
        }))))
    }

    async fn merge(
        &self,
        effect: &Effect,
        action: &crate::model::MergeAction,
    ) -> Result<Done, Stop> {
        let thread = self
            .store
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
        if thread.state != ThreadState::Open {
            return Err(Stop::Refused(format!(
                "the pull request {} is not open",
                action.number
            )));
        }
        let (Some(head), Some(base)) = (&thread.head, &thread.base) else {
            return Err(Stop::Refused("the pull request names no branches".into()));
        };
        let forge = self.repository(&action.repository)?;
        if forge.branch(head).await?.as_deref() != Some(action.head.as_str()) {
            return Err(Stop::Moved(format!(
                "the branch {} is not at the commit that was judged",
                shown(head)
            )));
        }
        let Some(at) = forge.branch(base).await? else {
            return Err(Stop::Moved(format!("the branch {} is gone", shown(base))));
        };
        let message = format!(
            "Merge pull request {} from {head}\n\n{}",
            action.number, thread.title
        );
        let trailers = trailers(effect);
        let say = say(effect, &message, &trailers);
        let merged = match forge
            .merge(base, &at, &action.head, &say, &self.key)
            .await?
        {
            Written::Commit(commit) => Some(commit),
            Written::Unchanged => None,
        };
        let result =
            json!({ "commit": merged, "branch": base, "before": at, "number": action.number });
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

    /// What an effect would do, for a person: a patch, or the text it would write. None where there is nothing to see.
    ///
    /// # Errors
    /// When the store or the repository fails.
    pub async fn preview(&self, effect: &Effect) -> Result<Option<String>, super::DecideError> {
        let preview = match &effect.action {
            Action::Commit(action) => {
                self.patch(effect, &action.repository, action.base.as_deref(), false)
                    .await?
            }
            Action::Publication(action) => {
                let forge = self.repository(&action.repository)?;
                let head = forge.branch(&action.branch).await?;
                self.patch(effect, &action.repository, head.as_deref(), true)
                    .await?
            }
            Action::PullRequest(action) => {
                let forge = self.repository(&action.repository)?;
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
                let Some(thread) = self.store.thread(&action.repository, action.number).await?
                else {
                    return Ok(None);
                };
                let forge = self.repository(&action.repository)?;
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
        let made = self
            .repository(repository)?
            .preview(base, &files, whole)
            .await;
        Ok(made.unwrap_or_else(|error| error.to_string()))
    }
}

/// A patch, or why there is none.
fn said(patch: Result<String, ForgeError>) -> String {
    patch.unwrap_or_else(|error| error.to_string())
}

fn opened(effect: &Effect, repository: &str, kind: ThreadKind) -> Thread {
    Thread {
        id: effect.id,
        repository: repository.to_owned(),
        number: 0,
        kind,
        state: ThreadState::Open,
        title: String::new(),
        body: String::new(),
        labels: Vec::new(),
        reviewers: Vec::new(),
        head: None,
        base: None,
        merge_commit: None,
        author: effect.agent.clone(),
        reviews: Vec::new(),
        created_at: now(),
        closed_at: None,
    }
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
