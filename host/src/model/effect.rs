//! Changes that reports propose, what is decided on each, and what repositories kept by the host itself remember of them.

use super::{Finding, Principal};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

/// Where the bytes of a file come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum Content {
    /// The text itself.
    Text {
        /// UTF-8.
        text: String,
    },
    /// A file that the run made.
    Artifact {
        /// `sha256:<hex>`.
        artifact: String,
    },
    /// A file of a granted repository.
    RepositoryFile {
        /// Its name in `plugins.toml`.
        repository: String,
        /// A full commit id.
        commit: String,
        /// Relative, with `/` between its parts.
        path: String,
    },
    /// A text that lists leave out.
    Elided {
        /// Its length.
        bytes: u64,
    },
    /// The file is removed.
    Deleted {
        /// Always `true`.
        deleted: bool,
    },
}

/// One file of a commit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FileChange {
    /// Relative, with `/` between its parts.
    pub path: String,
    /// What it holds afterwards.
    pub content: Content,
}

/// What an effect would change, in the contract's words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", content = "action", rename_all = "snake_case")]
pub enum Action {
    /// Files to a branch, as one commit.
    Commit(CommitAction),
    /// A proposal to merge one branch into another.
    PullRequest(PullRequestAction),
    /// Merging a pull request.
    Merge(MergeAction),
    /// Opening an issue.
    Issue(IssueAction),
    /// A comment on an issue or pull request.
    Comment(CommentAction),
    /// What is thought of a commit.
    Status(StatusAction),
    /// A message to people.
    Notification(NotificationAction),
    /// A static site to a branch, whose other files go.
    Publication(PublicationAction),
    /// Steering another agent.
    AgentControl(AgentControlAction),
    /// A change of what is paid for, which people propose and carry out.
    Billing(BillingAction),
}

/// Of [`Action::Commit`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CommitAction {
    /// The repository's name in `plugins.toml`.
    pub repository: String,
    /// Without `refs/heads/`.
    pub branch: String,
    /// The commit the change was made for; `null` means that the branch must not exist.
    pub base: Option<String>,
    /// Where a branch that does not exist begins; `null` for one without a history.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<String>,
    /// Subject and body.
    pub message: String,
    /// At least one.
    pub files: Vec<FileChange>,
}

/// Of [`Action::PullRequest`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PullRequestAction {
    /// The repository's name in `plugins.toml`.
    pub repository: String,
    /// The branch with the change.
    pub head: String,
    /// The branch it is for.
    pub base: String,
    /// One line.
    pub title: String,
    /// Markdown.
    pub body: String,
    /// Names.
    pub labels: Vec<String>,
    /// Names of people.
    pub reviewers: Vec<String>,
    /// People who have to approve before it is merged.
    #[serde(default)]
    pub approvals: u32,
}

/// Of [`Action::Merge`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MergeAction {
    /// The repository's name in `plugins.toml`.
    pub repository: String,
    /// The pull request's.
    pub number: u64,
    /// The head commit that was judged.
    pub head: String,
}

/// Of [`Action::Issue`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct IssueAction {
    /// The repository's name in `plugins.toml`.
    pub repository: String,
    /// One line.
    pub title: String,
    /// Markdown.
    pub body: String,
    /// Names.
    pub labels: Vec<String>,
}

/// Of [`Action::Comment`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CommentAction {
    /// The repository's name in `plugins.toml`.
    pub repository: String,
    /// The issue's or pull request's.
    pub number: u64,
    /// Markdown.
    pub body: String,
}

/// What a status says of a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum StatusState {
    /// It is being looked at.
    Pending,
    /// It is fine.
    Success,
    /// It is not.
    Failure,
    /// It could not be looked at.
    Error,
}

/// Of [`Action::Status`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StatusAction {
    /// The repository's name in `plugins.toml`.
    pub repository: String,
    /// A full commit id.
    pub commit: String,
    /// Who says so, for instance `validation`.
    pub name: String,
    /// What it says.
    pub state: StatusState,
    /// One line.
    pub summary: String,
}

/// Of [`Action::Notification`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NotificationAction {
    /// A route of the notifier's table.
    pub channel: String,
    /// How bad it is.
    pub level: super::Level,
    /// One line.
    pub title: String,
    /// Text.
    pub body: String,
}

/// Of [`Action::Publication`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PublicationAction {
    /// The repository's name in `plugins.toml`.
    pub repository: String,
    /// Without `refs/heads/`.
    pub branch: String,
    /// The whole site.
    pub files: Vec<FileChange>,
}

/// What to do to an agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Control {
    /// Start a run.
    Start,
    /// Start nothing by itself.
    Pause,
    /// End a pause or a quarantine.
    Resume,
    /// As if it had crashed too often.
    Quarantine,
}

/// Of [`Action::AgentControl`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AgentControlAction {
    /// The agent to steer.
    pub agent: String,
    /// How.
    pub control: Control,
}

/// Of [`Action::Billing`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BillingAction {
    /// One line.
    pub title: String,
    /// What is paid for.
    pub resource: String,
    /// By how many US dollars a month it changes; less than zero saves.
    pub monthly_usd: i64,
}

impl Action {
    /// The kind's name.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Commit(_) => "commit",
            Self::PullRequest(_) => "pull_request",
            Self::Merge(_) => "merge",
            Self::Issue(_) => "issue",
            Self::Comment(_) => "comment",
            Self::Status(_) => "status",
            Self::Notification(_) => "notification",
            Self::Publication(_) => "publication",
            Self::AgentControl(_) => "agent_control",
            Self::Billing(_) => "billing",
        }
    }

    /// The repository it changes, if it changes one.
    #[must_use]
    pub fn repository(&self) -> Option<&str> {
        match self {
            Self::Commit(action) => Some(&action.repository),
            Self::PullRequest(action) => Some(&action.repository),
            Self::Merge(action) => Some(&action.repository),
            Self::Issue(action) => Some(&action.repository),
            Self::Comment(action) => Some(&action.repository),
            Self::Status(action) => Some(&action.repository),
            Self::Publication(action) => Some(&action.repository),
            Self::Notification(_) | Self::AgentControl(_) | Self::Billing(_) => None,
        }
    }
}

/// Actions longer than this in JSON are kept without their texts where many are read at once.
const LISTED_BYTES_MAX: usize = 16 * 1024;

impl Action {
    /// `sha256:<hex>` of the action.
    #[must_use]
    pub fn digest(&self) -> String {
        // Records of strings and numbers: this cannot fail.
        let text = serde_json::to_vec(self).unwrap_or_default();
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &text);
        format!("sha256:{}", hex::encode(digest))
    }

    /// The files it changes.
    #[must_use]
    pub fn files(&self) -> &[FileChange] {
        match self {
            Self::Commit(action) => &action.files,
            Self::Publication(action) => &action.files,
            _ => &[],
        }
    }

    /// The action without the texts of its files, if it is long.
    #[must_use]
    pub fn elided(&self) -> Option<Self> {
        let length = serde_json::to_string(self).map_or(usize::MAX, |text| text.len());
        if length <= LISTED_BYTES_MAX {
            return None;
        }
        let mut short = self.clone();
        let (Self::Commit(CommitAction { files, .. })
        | Self::Publication(PublicationAction { files, .. })) = &mut short
        else {
            return None;
        };
        for file in files {
            if let Content::Text { text } = &file.content {
                file.content = Content::Elided {
                    bytes: text.len() as u64,
                };
            }
        }
        Some(short)
    }
}

/// An effect as a report states it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proposal {
    /// Unique in its report.
    pub id: String,
    /// Names of others in the same report.
    #[serde(default)]
    pub depends_on: Vec<String>,
    /// Why the change is wanted.
    pub reason: String,
    /// What it would change.
    #[serde(flatten)]
    pub action: Action,
}

/// Where an effect is.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum EffectState {
    /// Nobody judged it yet.
    Proposed,
    /// Grants or policy said no.
    Refused,
    /// Judged and recorded; the agent's autonomy or a dry run lets it go no further.
    Observed,
    /// It waits for people, or for the time in which they may object.
    Waiting,
    /// It may be applied.
    Approved,
    /// A person said no.
    Rejected,
    /// A person objected in time.
    Vetoed,
    /// What it was made for moved on, nobody decided in time, or a run proposes it anew.
    Expired,
    /// It is being applied.
    Applying,
    /// It is done.
    Applied,
    /// Whether it is done cannot be told.
    Unknown,
    /// It could not be applied.
    Failed,
    /// It was done and undone.
    Reverted,
}

impl EffectState {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::Proposed,
        Self::Refused,
        Self::Observed,
        Self::Waiting,
        Self::Approved,
        Self::Rejected,
        Self::Vetoed,
        Self::Expired,
        Self::Applying,
        Self::Applied,
        Self::Unknown,
        Self::Failed,
        Self::Reverted,
    ];

    /// The state's name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Proposed => "proposed",
            Self::Refused => "refused",
            Self::Observed => "observed",
            Self::Waiting => "waiting",
            Self::Approved => "approved",
            Self::Rejected => "rejected",
            Self::Vetoed => "vetoed",
            Self::Expired => "expired",
            Self::Applying => "applying",
            Self::Applied => "applied",
            Self::Unknown => "unknown",
            Self::Failed => "failed",
            Self::Reverted => "reverted",
        }
    }

    /// Whether nothing happens to it any more by itself.
    #[must_use]
    pub fn is_final(self) -> bool {
        !matches!(
            self,
            Self::Proposed | Self::Waiting | Self::Approved | Self::Applying
        )
    }
}

/// What a person said of an effect or of a pull request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Yes.
    Approve,
    /// No.
    Reject,
}

/// A person's word on an effect or a pull request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Approval {
    /// Who.
    pub principal: Principal,
    /// What.
    pub decision: Verdict,
    /// Why.
    pub comment: Option<String>,
    /// The digest of what was decided on: of an effect its own, of a pull request its head commit.
    pub digest: String,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
}

/// A change that a run proposed, and what became of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Effect {
    /// UUID version 7.
    pub id: Uuid,
    /// The run that proposed it; of a revert, the run of what it undoes.
    pub run: Uuid,
    /// The agent of that run.
    pub agent: String,
    /// `sha256:<hex>` of the component that proposed it.
    pub plugin_digest: String,
    /// `sha256:<hex>` of the configuration it was proposed under.
    pub config_digest: String,
    /// Its name in the report.
    pub name: String,
    /// Effects that have to be applied first.
    pub depends_on: Vec<Uuid>,
    /// Why the change is wanted, in the agent's words.
    pub reason: String,
    /// What it changes.
    #[serde(flatten)]
    pub action: Action,
    /// Where it is.
    pub state: EffectState,
    /// `observe` (L1), `alert` (L2), `approve` (L3), `auto_after` (L4 with a veto) or `auto` (L4, L5), as it was when it was judged.
    pub autonomy: Option<String>,
    /// Whether it is only looked at.
    pub dry_run: bool,
    /// Why it is where it is, in one sentence.
    pub message: Option<String>,
    /// What to do, if there is something.
    pub hint: Option<String>,
    /// People who have to approve.
    pub approvals_needed: u32,
    /// What people said.
    pub approvals: Vec<Approval>,
    /// Who proposed it and so does not decide on it, if that was a person.
    #[serde(default)]
    pub proposed_by: Option<Principal>,
    /// `sha256:<hex>` of the action: what is approved is what is applied.
    pub digest: String,
    /// What came of it, for instance `{ "commit": … }` or `{ "number": … }`.
    #[schema(value_type = Option<Object>)]
    pub result: Option<Value>,
    /// The effect that this one undoes.
    pub reverts: Option<Uuid>,
    /// The effect that undoes this one.
    pub reverted_by: Option<Uuid>,
    /// Attempts at applying it.
    pub attempts: u32,
    /// When it was proposed.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// When that happened which began its run: the event, or the moment at which the run was due.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub caused_at: Option<Timestamp>,
    /// From `caused_at` to being applied, in microseconds.
    #[serde(default)]
    pub latency_us: Option<u64>,
    /// When something happens to it by itself: it is applied, tried again, or expires.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub due_at: Option<Timestamp>,
    /// When it may be applied.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub approved_at: Option<Timestamp>,
    /// When it came to its end.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub ended_at: Option<Timestamp>,
}

/// What a thread is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ThreadKind {
    /// A proposal to merge a branch into another.
    PullRequest,
    /// A matter to look at.
    Issue,
}

/// Where a thread is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ThreadState {
    /// It goes on.
    Open,
    /// The pull request was merged.
    Merged,
    /// It is over.
    Closed,
}

/// An issue or a pull request of a local repository. Both are numbered in one row, as on forges.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Thread {
    /// The effect that opened it.
    pub id: Uuid,
    /// The repository's name in `plugins.toml`.
    pub repository: String,
    /// From 1, in the order opened.
    pub number: u64,
    /// What it is.
    pub kind: ThreadKind,
    /// Where it is.
    pub state: ThreadState,
    /// One line.
    pub title: String,
    /// Markdown.
    pub body: String,
    /// Names.
    pub labels: Vec<String>,
    /// Of a pull request: names of people.
    pub reviewers: Vec<String>,
    /// Of a pull request: people who have to approve before it is merged.
    #[serde(default)]
    pub approvals_needed: u32,
    /// Of a pull request: the branch with the change.
    pub head: Option<String>,
    /// Of a pull request: the branch it is for.
    pub base: Option<String>,
    /// Of a merged pull request.
    pub merge_commit: Option<String>,
    /// The agent that opened it.
    pub author: String,
    /// What people said of it, each of a head commit.
    pub reviews: Vec<Approval>,
    /// When it was opened.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// When it was closed or merged.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub closed_at: Option<Timestamp>,
}

impl Thread {
    /// People who approve of a commit.
    #[must_use]
    pub fn approvals_of(&self, commit: &str) -> u32 {
        let approving =
            |review: &&Approval| review.decision == Verdict::Approve && review.digest == commit;
        u32::try_from(self.reviews.iter().filter(approving).count()).unwrap_or(u32::MAX)
    }
}

/// A comment on a thread.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Comment {
    /// The effect that made it.
    pub id: Uuid,
    /// The agent that made it.
    pub author: String,
    /// Markdown.
    pub body: String,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
}

/// What is thought of a commit of a local repository.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CommitStatus {
    /// The effect that made it; of what a tool reported, an id of its own.
    pub id: Uuid,
    /// Who says so.
    pub name: String,
    /// What it says.
    pub state: StatusState,
    /// One line.
    pub summary: String,
    /// What is wrong at which lines.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub annotations: Vec<Finding>,
    /// Whose tool reported it; none of what an agent proposed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reported_by: Option<Principal>,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
}

/// What an applied effect leaves in the host's own record of a repository, written together with the effect's new state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ForgeRecord {
    /// A new thread; the store chooses its number.
    Open(Box<Thread>),
    /// A thread as it is now.
    Change(Box<Thread>),
    /// A comment on a thread.
    Comment {
        /// The repository.
        repository: String,
        /// The thread.
        number: u64,
        /// The comment.
        comment: Comment,
    },
    /// A comment is taken back.
    Uncomment(Uuid),
    /// A status of a commit.
    Status {
        /// The repository.
        repository: String,
        /// A full commit id.
        commit: String,
        /// The status.
        status: CommitStatus,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_proposal_is_read_as_reports_keep_it_and_written_the_same() {
        let written = json!({
            "id": "c", "depends_on": [], "reason": "because",
            "kind": "commit",
            "action": {
                "repository": "ops", "branch": "mirror", "base": null, "message": "m",
                "files": [
                    { "path": "a", "content": { "text": "x" } },
                    { "path": "b", "content": { "deleted": true } },
                    { "path": "c", "content": { "artifact": "sha256:00" } },
                    { "path": "d", "content": { "repository": "ops", "commit": "1", "path": "d" } },
                ],
            },
        });
        let read: Proposal = serde_json::from_value(written.clone()).expect("a proposal");
        assert_eq!(read.action.kind(), "commit");
        assert_eq!(read.action.repository(), Some("ops"));
        assert_eq!(serde_json::to_value(read).expect("JSON"), written);
    }

    #[test]
    fn states_are_written_as_they_are_called() {
        for state in EffectState::ALL {
            assert_eq!(
                serde_json::to_value(state).expect("JSON"),
                json!(state.as_str())
            );
        }
    }
}
