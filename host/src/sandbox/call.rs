//! What can be called in the sandbox, and what comes back, as plain records.

use super::code::{CodeAnswer, CodeCall, CodeFile};
use super::contract::{agent, badge, policy};
use crate::model::{AgentState, BadgeStyle, Finding, Level, Location, Trigger};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

/// One call into a component.
#[derive(Clone, Debug)]
pub enum Call {
    /// The `run` export of the world `agent`.
    Run(Invocation),
    /// The `render` export of the world `badge-renderer`.
    Render(BadgeRequest),
    /// Rules of a package over an input.
    Evaluate {
        /// Without `data.`.
        package: String,
        /// JSON.
        input: String,
    },
    /// Any query of the policy language.
    Query {
        /// For instance `data.github.commit.secrets.deny`.
        query: String,
        /// JSON.
        input: String,
    },
    /// The tests of the policies.
    TestPolicies {
        /// A regular expression over `package.test_name`.
        filter: Option<String>,
    },
    /// Code that somebody handed in, by an interpreter.
    Code(Box<CodeCall>),
    /// Looks at code without running it.
    Analyse {
        /// What was handed in.
        files: Vec<CodeFile>,
        /// Paths that imports may name beside those of the files.
        local: Vec<String>,
    },
}

/// What a run is told.
#[derive(Clone, Debug)]
pub struct Invocation {
    /// The run's id.
    pub run_id: String,
    /// The agent's name.
    pub agent: String,
    /// Why it starts.
    pub trigger: Trigger,
    /// From 1.
    pub attempt: u32,
    /// The same for all attempts.
    pub idempotency_key: String,
    /// RFC 3339 in UTC.
    pub scheduled_at: String,
    /// JSON.
    pub input: String,
}

/// What to draw.
#[derive(Clone, Debug)]
pub struct BadgeRequest {
    /// The left text.
    pub label: String,
    /// The right text and the colour follow from it.
    pub state: AgentState,
    /// The look.
    pub style: BadgeStyle,
}

/// What a call answered.
#[derive(Clone, Debug)]
pub enum Answer {
    /// Of [`Call::Run`].
    Report(Box<GuestReport>),
    /// Of [`Call::Run`]: the guest's own error.
    Failure(GuestFailure),
    /// Of [`Call::Render`].
    Badge(BadgeImage),
    /// Of [`Call::Evaluate`].
    Decision(Decision),
    /// Of [`Call::Query`].
    Result(String),
    /// Of [`Call::TestPolicies`].
    Tests(Vec<PolicyTest>),
    /// Of [`Call::Code`], with what a check found.
    Code(CodeAnswer, Vec<Finding>),
    /// Of [`Call::Analyse`].
    Findings(Vec<Finding>),
    /// Of `Sandbox::serve`.
    Served {
        /// As the client got it.
        status: u16,
    },
    /// The guest could not answer, in its own words.
    Error(String),
}

/// A report as the guest gave it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GuestReport {
    /// Whether the agent is content.
    pub passed: bool,
    /// One or two sentences.
    pub summary: String,
    /// Problems found.
    pub findings: Vec<Finding>,
    /// JSON text.
    pub output: Option<String>,
    /// Proposed changes.
    pub effects: Vec<Value>,
}

/// Why a guest could not produce a report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GuestFailure {
    /// The input or the settings are wrong.
    InvalidInput(String),
    /// Something outside did not answer.
    Unavailable(String),
    /// Anything else.
    Other(String),
}

/// A drawn badge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadgeImage {
    /// The picture.
    pub svg: String,
    /// The right text.
    pub message: String,
    /// A colour name of shields.io.
    pub color: String,
}

/// What the rules say.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Decision {
    /// No denial.
    pub allowed: bool,
    /// Why not.
    pub denials: Vec<Violation>,
    /// Worth a look.
    pub warnings: Vec<Violation>,
}

/// A rule's answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Violation {
    /// The package the rule is in.
    pub rule: String,
    /// The policy's own words.
    pub message: String,
    /// Where in the judged material.
    pub path: Option<String>,
    /// From 1.
    pub line: Option<u32>,
    /// From 1.
    pub column: Option<u32>,
    /// What to do.
    pub help: Option<String>,
}

/// One test of the policies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PolicyTest {
    /// The package it is in.
    pub package: String,
    /// Its name.
    pub name: String,
    /// `passed`, `failed`, `errored` or `skipped`.
    pub outcome: String,
    /// What went wrong.
    pub message: Option<String>,
    /// How long it took.
    pub duration_ns: u64,
    /// The file it is in.
    pub path: String,
}

impl From<&Invocation> for agent::infinity::agent::types::Invocation {
    fn from(invocation: &Invocation) -> Self {
        use agent::infinity::agent::types::Trigger as Wit;
        Self {
            run_id: invocation.run_id.clone(),
            agent: invocation.agent.clone(),
            trigger: match invocation.trigger {
                Trigger::Cron => Wit::Cron,
                Trigger::Every => Wit::Every,
                Trigger::Event => Wit::Event,
                Trigger::Webhook => Wit::Webhook,
                Trigger::Manual => Wit::Manual,
            },
            attempt: invocation.attempt,
            idempotency_key: invocation.idempotency_key.clone(),
            scheduled_at: invocation.scheduled_at.clone(),
            input: invocation.input.clone(),
        }
    }
}

impl From<agent::infinity::agent::types::Report> for GuestReport {
    fn from(report: agent::infinity::agent::types::Report) -> Self {
        use agent::infinity::agent::types::Verdict;
        Self {
            passed: report.verdict == Verdict::Passed,
            summary: report.summary,
            findings: report.findings.into_iter().map(finding).collect(),
            output: report.output,
            effects: report.effects.into_iter().map(effect).collect(),
        }
    }
}

/// A finding as the record keeps it.
pub(super) fn finding(finding: agent::infinity::agent::types::Finding) -> Finding {
    use agent::infinity::agent::types::Level as Wit;
    Finding {
        rule: finding.rule,
        level: match finding.level {
            Wit::Note => Level::Note,
            Wit::Warning => Level::Warning,
            Wit::Error => Level::Error,
        },
        message: finding.message,
        location: finding.location.map(|location| Location {
            repository: location.repository,
            path: location.path,
            line: location.line,
            column: location.column,
        }),
        help: finding.help,
    }
}

/// An effect as the record keeps it: `kind` names the variant, the other keys are the contract's with underscores.
fn effect(effect: agent::infinity::agent::types::Effect) -> Value {
    use agent::infinity::agent::types::{Action, Content, Control, FileChange, StatusState};
    let files = |files: Vec<FileChange>| -> Value {
        files
            .into_iter()
            .map(|file| {
                let content = match file.content {
                    Content::Text(text) => json!({ "text": text }),
                    Content::Artifact(digest) => json!({ "artifact": digest }),
                    Content::RepositoryFile(source) => json!({
                        "repository": source.repository, "commit": source.commit, "path": source.path,
                    }),
                    Content::Deleted => json!({ "deleted": true }),
                };
                json!({ "path": file.path, "content": content })
            })
            .collect()
    };
    let (kind, action) = match effect.action {
        Action::Commit(action) => (
            "commit",
            json!({ "repository": action.repository, "branch": action.branch, "base": action.base,
                "start": action.start, "message": action.message, "files": files(action.files) }),
        ),
        Action::PullRequest(action) => (
            "pull_request",
            json!({ "repository": action.repository, "head": action.head, "base": action.base,
                "title": action.title, "body": action.body, "labels": action.labels, "reviewers": action.reviewers,
                "approvals": action.approvals }),
        ),
        Action::Merge(action) => (
            "merge",
            json!({ "repository": action.repository, "number": action.number, "head": action.head }),
        ),
        Action::Issue(action) => (
            "issue",
            json!({ "repository": action.repository, "title": action.title, "body": action.body,
                "labels": action.labels }),
        ),
        Action::Comment(action) => (
            "comment",
            json!({ "repository": action.repository, "number": action.number, "body": action.body }),
        ),
        Action::Status(action) => (
            "status",
            json!({ "repository": action.repository, "commit": action.commit, "name": action.name,
                "state": match action.state {
                    StatusState::Pending => "pending",
                    StatusState::Success => "success",
                    StatusState::Failure => "failure",
                    StatusState::Error => "error",
                }, "summary": action.summary }),
        ),
        Action::Notification(action) => (
            "notification",
            json!({ "channel": action.channel, "level": match action.level {
                agent::infinity::agent::types::Level::Note => "note",
                agent::infinity::agent::types::Level::Warning => "warning",
                agent::infinity::agent::types::Level::Error => "error",
            }, "title": action.title, "body": action.body }),
        ),
        Action::Publication(action) => (
            "publication",
            json!({ "repository": action.repository, "branch": action.branch, "files": files(action.files) }),
        ),
        Action::AgentControl(action) => (
            "agent_control",
            json!({ "agent": action.agent, "control": match action.control {
                Control::Start => "start",
                Control::Pause => "pause",
                Control::Resume => "resume",
                Control::Quarantine => "quarantine",
            } }),
        ),
    };
    json!({ "id": effect.id, "depends_on": effect.depends_on, "reason": effect.reason, "kind": kind, "action": action })
}

impl From<agent::infinity::agent::types::Failure> for GuestFailure {
    fn from(failure: agent::infinity::agent::types::Failure) -> Self {
        use agent::infinity::agent::types::Failure;
        match failure {
            Failure::InvalidInput(message) => Self::InvalidInput(message),
            Failure::Unavailable(message) => Self::Unavailable(message),
            Failure::Other(message) => Self::Other(message),
        }
    }
}

impl From<&BadgeRequest> for badge::exports::infinity::agent::badge::Request {
    fn from(request: &BadgeRequest) -> Self {
        use badge::exports::infinity::agent::badge::{State, Style};
        Self {
            label: request.label.clone(),
            state: match request.state {
                AgentState::KillSwitch | AgentState::Paused => State::Paused,
                AgentState::Error => State::Error,
                AgentState::Generating => State::Generating,
                AgentState::Deployed => State::Deployed,
                AgentState::Online => State::Online,
            },
            style: match request.style {
                BadgeStyle::Flat => Style::Flat,
                BadgeStyle::FlatSquare => Style::FlatSquare,
                BadgeStyle::Plastic => Style::Plastic,
                BadgeStyle::ForTheBadge => Style::ForTheBadge,
                BadgeStyle::Social => Style::Social,
            },
        }
    }
}

impl From<badge::exports::infinity::agent::badge::Image> for BadgeImage {
    fn from(image: badge::exports::infinity::agent::badge::Image) -> Self {
        Self {
            svg: image.svg,
            message: image.message,
            color: image.color,
        }
    }
}

impl From<policy::exports::infinity::agent::policy::Violation> for Violation {
    fn from(violation: policy::exports::infinity::agent::policy::Violation) -> Self {
        Self {
            rule: violation.rule,
            message: violation.message,
            path: violation.path,
            line: violation.line,
            column: violation.column,
            help: violation.help,
        }
    }
}

impl From<policy::exports::infinity::agent::policy::Decision> for Decision {
    fn from(decision: policy::exports::infinity::agent::policy::Decision) -> Self {
        Self {
            allowed: decision.allowed,
            denials: decision.denials.into_iter().map(Into::into).collect(),
            warnings: decision.warnings.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<policy::exports::infinity::agent::policy::TestResult> for PolicyTest {
    fn from(test: policy::exports::infinity::agent::policy::TestResult) -> Self {
        use policy::exports::infinity::agent::policy::TestOutcome;
        Self {
            package: test.package,
            name: test.name,
            outcome: match test.outcome {
                TestOutcome::Passed => "passed",
                TestOutcome::Failed => "failed",
                TestOutcome::Errored => "errored",
                TestOutcome::Skipped => "skipped",
            }
            .into(),
            message: test.message,
            duration_ns: test.duration_ns,
            path: test.path,
        }
    }
}

/// A policy error in one line.
pub(super) fn policy_error(error: &policy::exports::infinity::agent::policy::Error) -> String {
    use policy::exports::infinity::agent::policy::Error;
    match error {
        Error::UnknownPackage(name) => format!("no policy is loaded below `{name}`"),
        Error::InvalidInput(message) => format!("the input is no JSON: {message}"),
        Error::Evaluation(message) => message.clone(),
    }
}
