//! Cases that propose changes.

use crate::input::{Answer, Input};
use infinity_sdk::prelude::*;
use infinity_sdk::types::{
    Action, AgentControlAction, CommentAction, CommitAction, Content, Control, FileChange,
    IssueAction, MergeAction, NotificationAction, PublicationAction, PullRequestAction,
    RepositoryFile, StatusAction, StatusState,
};
use serde_json::Value;

/// Proposes `effects`, each as the host's record has it; `depends_on` and `reason` may be missing. A file's `artifact` that is `{"text": …}` is staged first.
pub(crate) fn propose(input: &Input) -> Answer {
    let mut report = Report::passed("changes proposed");
    for effect in input
        .get("effects")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        let action = &effect["action"];
        let proposed = match text(effect, "kind").as_str() {
            "commit" => Action::Commit(CommitAction {
                repository: text(action, "repository"),
                branch: text(action, "branch"),
                base: action["base"].as_str().map(str::to_owned),
                start: action["start"].as_str().map(str::to_owned),
                message: text(action, "message"),
                files: files(action)?,
            }),
            "publication" => Action::Publication(PublicationAction {
                repository: text(action, "repository"),
                branch: text(action, "branch"),
                files: files(action)?,
            }),
            "pull_request" => Action::PullRequest(PullRequestAction {
                repository: text(action, "repository"),
                head: text(action, "head"),
                base: text(action, "base"),
                title: text(action, "title"),
                body: text(action, "body"),
                labels: texts(action, "labels"),
                reviewers: texts(action, "reviewers"),
                approvals: u32::try_from(action["approvals"].as_u64().unwrap_or(0)).unwrap_or(0),
            }),
            "merge" => Action::Merge(MergeAction {
                repository: text(action, "repository"),
                number: action["number"].as_u64().unwrap_or(0),
                head: text(action, "head"),
            }),
            "issue" => Action::Issue(IssueAction {
                repository: text(action, "repository"),
                title: text(action, "title"),
                body: text(action, "body"),
                labels: texts(action, "labels"),
            }),
            "comment" => Action::Comment(CommentAction {
                repository: text(action, "repository"),
                number: action["number"].as_u64().unwrap_or(0),
                body: text(action, "body"),
            }),
            "status" => Action::Status(StatusAction {
                repository: text(action, "repository"),
                commit: text(action, "commit"),
                name: text(action, "name"),
                state: match text(action, "state").as_str() {
                    "success" => StatusState::Success,
                    "failure" => StatusState::Failure,
                    _ => StatusState::Pending,
                },
                summary: text(action, "summary"),
            }),
            "notification" => Action::Notification(NotificationAction {
                channel: text(action, "channel"),
                level: Level::Note,
                title: text(action, "title"),
                body: text(action, "body"),
            }),
            "agent_control" => Action::AgentControl(AgentControlAction {
                agent: text(action, "agent"),
                control: match text(action, "control").as_str() {
                    "start" => Control::Start,
                    "pause" => Control::Pause,
                    "resume" => Control::Resume,
                    _ => Control::Quarantine,
                },
            }),
            other => return Err(Failure::InvalidInput(format!("`{other}` is no kind"))),
        };
        let reason = effect["reason"].as_str().unwrap_or("the test asks for it");
        let mut made = Effect::propose(&text(effect, "id"), reason, proposed);
        for other in effect["depends_on"].as_array().into_iter().flatten() {
            made = made.after(other.as_str().unwrap_or_default());
        }
        report = report.with_effect(made);
    }
    Ok(report)
}

/// A list of strings of an action.
fn texts(action: &Value, name: &str) -> Vec<String> {
    let listed = action[name].as_array().into_iter().flatten();
    listed
        .filter_map(|one| one.as_str().map(str::to_owned))
        .collect()
}

fn text(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or_default().to_owned()
}

fn files(action: &Value) -> Result<Vec<FileChange>, Failure> {
    let mut files = Vec::new();
    for (number, file) in action["files"].as_array().into_iter().flatten().enumerate() {
        let content = &file["content"];
        let content = if let Some(staged) = content["artifact"]["text"].as_str() {
            let digest = artifacts::put(&format!("file-{number}"), "text/plain", staged.as_bytes())
                .map_err(|error| Failure::Other(format!("{error:?}")))?;
            Content::Artifact(digest)
        } else if content["repository"].is_string() {
            Content::RepositoryFile(RepositoryFile {
                repository: text(content, "repository"),
                commit: text(content, "commit"),
                path: text(content, "path"),
            })
        } else if content["deleted"] == true {
            Content::Deleted
        } else {
            Content::Text(text(content, "text"))
        };
        files.push(FileChange {
            path: text(file, "path"),
            content,
        });
    }
    Ok(files)
}
