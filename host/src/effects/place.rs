//! What the stage asks of a repository and does to it, wherever it is: the host itself keeps the threads and statuses of local ones, GitHub those of its own.

use super::apply::{Done, Stop};
use super::{Effects, OPEN_MAX};
use crate::forge::github::RequestError;
use crate::forge::local::write::{Base, File, Say, WriteError, Written};
use crate::forge::{ForgeError, Repository, shown};
use crate::model::{
    Comment, CommentAction, CommitStatus, Effect, Finding, ForgeRecord, IssueAction,
    PullRequestAction, StatusAction, Thread, ThreadKind, ThreadState, now,
};
use crate::store::{PageRequest, StoreError, ThreadFilter};
use serde_json::json;

/// Findings that a status shows at their lines: what GitHub takes at once.
pub(crate) const ANNOTATIONS_MAX: usize = 50;

/// Why something could not be looked at.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LookError {
    /// The host's own store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The repository did.
    #[error(transparent)]
    Forge(#[from] ForgeError),
}

impl From<LookError> for Stop {
    fn from(error: LookError) -> Self {
        match error {
            LookError::Store(error) => error.into(),
            LookError::Forge(error) => error.into(),
        }
    }
}

impl From<LookError> for super::DecideError {
    fn from(error: LookError) -> Self {
        match error {
            LookError::Store(error) => error.into(),
            LookError::Forge(error) => error.into(),
        }
    }
}

impl From<RequestError> for Stop {
    fn from(error: RequestError) -> Self {
        ForgeError::from(error).into()
    }
}

impl Effects {
    /// The repository of this name.
    pub(super) fn repository(&self, name: &str) -> Result<Repository, ForgeError> {
        self.forges.open(name)
    }

    /// An issue or pull request as it is now.
    pub(super) async fn thread(
        &self,
        repository: &str,
        number: u64,
    ) -> Result<Option<Thread>, LookError> {
        let known = self.store.thread(repository, number).await?;
        // A repository that is not (any more) in the configuration has what is known of it.
        let Ok(Repository::Github(github)) = self.repository(repository) else {
            return Ok(known);
        };
        let Some((mut thread, _)) = github.thread(number).await? else {
            return Ok(None);
        };
        // What people said here counts beside what they said there.
        if let Some(known) = known.filter(|known| known.id == thread.id) {
            thread.approvals_needed = known.approvals_needed;
            thread.created_at = known.created_at;
            thread.author = known.author;
            let elsewhere = known
                .reviews
                .into_iter()
                .filter(|review| !review.principal.name.starts_with("github:"));
            thread.reviews.extend(elsewhere);
        }
        Ok(Some(thread))
    }

    /// Looks at a pull request again that an effect opened elsewhere, and remembers what became of it.
    ///
    /// # Errors
    /// When the store or the forge fails.
    pub async fn look_again(&self, known: &Thread) -> Result<Thread, super::DecideError> {
        match self.thread(&known.repository, known.number).await? {
            Some(thread) if thread.id == known.id && thread != *known => {
                self.store.keep_thread(thread.clone()).await?;
                Ok(thread)
            }
            _ => Ok(known.clone()),
        }
    }

    /// What is thought of a commit, the latest first.
    pub(crate) async fn statuses(
        &self,
        repository: &str,
        commit: &str,
    ) -> Result<Vec<CommitStatus>, LookError> {
        match self.repository(repository) {
            Ok(Repository::Github(github)) => Ok(github.statuses(commit).await?),
            _ => Ok(self.store.statuses(repository, commit).await?),
        }
    }

    /// Puts files onto a branch.
    pub(super) async fn committed(
        &self,
        repository: &Repository,
        branch: &str,
        base: Base<'_>,
        files: &[File],
        whole: bool,
        say: &Say<'_>,
    ) -> Result<Written, WriteError> {
        match repository {
            Repository::Local(forge) => {
                forge
                    .commit(branch, base, files, whole, say, &self.key)
                    .await
            }
            Repository::Github(forge) => {
                forge
                    .commit(branch, base, files, whole, say, &self.key)
                    .await
            }
        }
    }

    /// Merges an open pull request whose head was at `head` a moment ago.
    pub(super) async fn merged(
        &self,
        repository: &Repository,
        thread: &Thread,
        head: &str,
        at: &str,
        say: &Say<'_>,
    ) -> Result<Written, WriteError> {
        match repository {
            Repository::Local(forge) => {
                let base = thread.base.as_deref().unwrap_or_default();
                forge.merge(base, at, head, say, &self.key).await
            }
            Repository::Github(forge) => forge.merge(thread.number, head, say).await,
        }
    }

    pub(super) async fn pull_request(
        &self,
        effect: &Effect,
        action: &PullRequestAction,
    ) -> Result<Done, Stop> {
        let repository = self.repository(&action.repository)?;
        let objects = repository.objects().await?;
        for branch in [&action.head, &action.base] {
            if objects.branch(branch).await?.is_none() {
                return Err(Stop::Refused(format!(
                    "{} has no branch {}",
                    shown(&action.repository),
                    shown(branch)
                )));
            }
        }
        let opened = Thread {
            title: action.title.clone(),
            body: action.body.clone(),
            labels: action.labels.clone(),
            reviewers: action.reviewers.clone(),
            approvals_needed: action.approvals,
            head: Some(action.head.clone()),
            base: Some(action.base.clone()),
            ..opened(effect, &action.repository, ThreadKind::PullRequest)
        };
        // One branch has one open pull request to another: a later proposal is about the same.
        let same = |number: u64| Done {
            message: Some(format!(
                "the pull request {number} for these branches is open already"
            )),
            ..Done::unchanged(json!({ "number": number }))
        };
        if let Repository::Github(github) = &repository {
            let made = github.open_pull(effect.id, action).await?;
            if made.before {
                return Ok(same(made.number));
            }
            let number = made.number;
            return Ok(Done {
                message: made.note,
                result: json!({ "number": number }),
                ..Done::record(ForgeRecord::Open(Box::new(Thread { number, ..opened })))
            });
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
        let there = threads.iter().find(|thread| {
            thread.head.as_ref() == Some(&action.head) && thread.base.as_ref() == Some(&action.base)
        });
        Ok(match there {
            Some(there) => same(there.number),
            None => Done::record(ForgeRecord::Open(Box::new(opened))),
        })
    }

    pub(super) async fn issue(
        &self,
        effect: &Effect,
        action: &IssueAction,
        again: bool,
    ) -> Result<Done, Stop> {
        let mut thread = Thread {
            title: action.title.clone(),
            body: action.body.clone(),
            labels: action.labels.clone(),
            ..opened(effect, &action.repository, ThreadKind::Issue)
        };
        if let Repository::Github(github) = self.repository(&action.repository)? {
            thread.number = github
                .open_issue(effect.id, action, effect.created_at, again)
                .await?;
        }
        Ok(Done {
            result: json!({ "number": thread.number }),
            ..Done::record(ForgeRecord::Open(Box::new(thread)))
        })
    }

    pub(super) async fn comment(
        &self,
        effect: &Effect,
        action: &CommentAction,
        again: bool,
    ) -> Result<Done, Stop> {
        if let Repository::Github(github) = self.repository(&action.repository)? {
            let id = github
                .comment(effect.id, action, effect.created_at, again)
                .await?;
            return Ok(Done {
                result: json!({ "number": action.number, "comment_id": id }),
                ..Done::default()
            });
        }
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

    /// What the run behind a status found at lines of its repository.
    async fn annotations(&self, effect: &Effect, repository: &str) -> Result<Vec<Finding>, Stop> {
        let report = self.store.report(effect.run).await?;
        let findings = report.into_iter().flat_map(|report| report.findings);
        let placed = findings.filter(|finding| {
            finding.location.as_ref().is_some_and(|location| {
                location.line.is_some() && location.repository.as_deref() == Some(repository)
            })
        });
        Ok(placed.take(ANNOTATIONS_MAX).collect())
    }

    pub(super) async fn status(
        &self,
        effect: &Effect,
        action: &StatusAction,
        again: bool,
    ) -> Result<Done, Stop> {
        use crate::forge::Forge as _;
        let annotations = self.annotations(effect, &action.repository).await?;
        let forge = match self.repository(&action.repository)? {
            Repository::Local(forge) => forge,
            Repository::Github(github) => {
                let commit = github
                    .say_status(effect.id, action, &annotations, effect.created_at, again)
                    .await?;
                return Ok(Done {
                    result: json!({ "commit": commit }),
                    ..Done::default()
                });
            }
        };
        let commit = forge.resolve(&action.commit).await?;
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
                    annotations,
                    reported_by: None,
                    created_at: now(),
                },
            })
        })
    }
}

/// A thread that an effect opens; of a local repository the store gives it its number.
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
        approvals_needed: 0,
        head: None,
        base: None,
        merge_commit: None,
        author: effect.agent.clone(),
        reviews: Vec::new(),
        created_at: now(),
        closed_at: None,
    }
}
