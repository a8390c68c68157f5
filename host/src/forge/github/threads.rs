//! What GitHub knows beside objects: pull requests, issues, comments, reviews, and what is thought of commits.
//!
//! Invariant: whatever is made carries the id of the effect that made it, hidden from readers, and is looked for by it before it is made again.

use jiff::Timestamp;
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use super::client::{Answer, PAGE};
use super::{GithubForge, RequestError};
use crate::forge::{Forge as _, ForgeError, OpenThread, THREADS_MAX};
use crate::model::{
    Approval, CommitStatus, Finding, Level, PullRequestAction, StatusAction, StatusState, Thread,
    ThreadKind, ThreadState, Verdict,
};

/// Pages of a list in which something that was made before is looked for.
const LOOK_PAGES_MAX: usize = 10;

/// Reviews of a pull request, in pages.
const REVIEW_PAGES_MAX: usize = 3;

/// Characters of a commit status's description.
const DESCRIPTION_MAX: usize = 140;

/// How a person on GitHub is called here.
const PERSON: &str = "github:";

/// The line by which a text is found again.
fn mark(effect: Uuid) -> String {
    format!("<!-- infinity-effect: {effect} -->")
}

fn marked(body: &str, effect: Uuid) -> String {
    format!("{}\n\n{}", body.trim_end(), mark(effect))
}

/// The effect that made something, if one did.
fn maker(body: &str) -> Option<Uuid> {
    let (_, rest) = body.split_once("<!-- infinity-effect: ")?;
    rest.split_once(" -->")?.0.parse().ok()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn moment(value: &Value) -> Option<Timestamp> {
    value.as_str()?.parse().ok()
}

fn names(list: &Value, member: &str) -> Vec<String> {
    let names = list.as_array().into_iter().flatten();
    names
        .filter_map(|one| one[member].as_str().or(one.as_str()).map(str::to_owned))
        .collect()
}

/// A pull request or an issue, in the host's words.
fn thread(repository: &str, kind: ThreadKind, found: &Value, reviews: Vec<Approval>) -> Thread {
    let pull = kind == ThreadKind::PullRequest;
    let body = text(&found["body"]);
    let state = match found["state"].as_str() {
        Some("open") => ThreadState::Open,
        _ if !found["merged_at"].is_null() => ThreadState::Merged,
        _ => ThreadState::Closed,
    };
    Thread {
        id: maker(&body).unwrap_or_default(),
        repository: repository.to_owned(),
        number: found["number"].as_u64().unwrap_or_default(),
        kind,
        state,
        title: text(&found["title"]),
        body,
        labels: names(&found["labels"], "name"),
        reviewers: names(&found["requested_reviewers"], "login"),
        approvals_needed: 0,
        // A branch of another repository is none here, whatever its name.
        head: (pull && found["head"]["repo"]["full_name"] == found["base"]["repo"]["full_name"])
            .then(|| text(&found["head"]["ref"])),
        base: pull.then(|| text(&found["base"]["ref"])),
        merge_commit: (state == ThreadState::Merged)
            .then(|| text(&found["merge_commit_sha"]))
            .filter(|id| !id.is_empty()),
        author: format!("{PERSON}{}", text(&found["user"]["login"])),
        reviews,
        created_at: moment(&found["created_at"]).unwrap_or(Timestamp::UNIX_EPOCH),
        closed_at: moment(&found["closed_at"]),
    }
}

/// What became of a proposal of a pull request.
pub(crate) struct Opened {
    /// The number.
    pub(crate) number: u64,
    /// Whether one for the same branches was open already, by somebody else.
    pub(crate) before: bool,
    /// What could not be done beside it.
    pub(crate) note: Option<String>,
}

/// What GitHub refuses beside a pull request that is there is a note on it, no failure: the pull request would stay, and nothing would say that it is ours.
fn beside(what: &str, made: Result<Answer, RequestError>) -> Result<Option<String>, RequestError> {
    match made {
        Ok(_) => Ok(None),
        // New tokens are there at the next attempt, which finds the pull request.
        Err(error @ (RequestError::Later(_) | RequestError::Status { status: 401, .. })) => {
            Err(error)
        }
        Err(RequestError::Status { message, .. }) => Ok(Some(format!("{what}: {message}"))),
    }
}

impl GithubForge {
    /// An issue or a pull request with what people said of its commits; none when there is none of this number. `head` is the commit that a pull request is at.
    ///
    /// # Errors
    /// When GitHub does not answer, or does not let the host look.
    pub(crate) async fn thread(
        &self,
        number: u64,
    ) -> Result<Option<(Thread, Option<String>)>, ForgeError> {
        let missing =
            |error: &RequestError| matches!(error, RequestError::Status { status: 404, .. });
        match self.get(&format!("/pulls/{number}")).await {
            Ok(pull) => {
                let reviews = self.reviews(number).await?;
                let head = pull.body["head"]["sha"].as_str().map(str::to_owned);
                let thread = thread(&self.name, ThreadKind::PullRequest, &pull.body, reviews);
                Ok(Some((thread, head)))
            }
            Err(error) if missing(&error) => match self.get(&format!("/issues/{number}")).await {
                Ok(issue) => Ok(Some((
                    thread(&self.name, ThreadKind::Issue, &issue.body, Vec::new()),
                    None,
                ))),
                Err(error) if missing(&error) => Ok(None),
                Err(error) => Err(error.into()),
            },
            Err(error) => Err(error.into()),
        }
    }

    /// The latest word of each person, and the commit it was about.
    async fn reviews(&self, number: u64) -> Result<Vec<Approval>, ForgeError> {
        let listed = self
            .pages(
                &format!("/pulls/{number}/reviews?per_page={PAGE}"),
                None,
                REVIEW_PAGES_MAX,
            )
            .await?;
        let mut latest: Vec<Approval> = Vec::new();
        // Oldest first: a later word of the same person takes the earlier one's place.
        for review in listed {
            let decision = match review["state"].as_str() {
                Some("APPROVED") => Verdict::Approve,
                Some("CHANGES_REQUESTED" | "DISMISSED") => Verdict::Reject,
                _ => continue,
            };
            let name = format!("{PERSON}{}", text(&review["user"]["login"]));
            latest.retain(|other| other.principal.name != name);
            latest.push(Approval {
                principal: crate::model::Principal {
                    kind: "user".into(),
                    name,
                },
                decision,
                comment: review["body"]
                    .as_str()
                    .filter(|body| !body.is_empty())
                    .map(str::to_owned),
                digest: text(&review["commit_id"]),
                at: moment(&review["submitted_at"]).unwrap_or(Timestamp::UNIX_EPOCH),
            });
        }
        Ok(latest)
    }

    /// What is open, newest first.
    ///
    /// # Errors
    /// As [`GithubForge::thread`].
    pub(crate) async fn open_threads(
        &self,
        kind: ThreadKind,
    ) -> Result<Vec<OpenThread>, ForgeError> {
        let most = THREADS_MAX as usize;
        let pull = kind == ThreadKind::PullRequest;
        let what = if pull { "pulls" } else { "issues" };
        let listed = self
            .pages(
                &format!("/{what}?state=open&per_page={PAGE}"),
                None,
                most.div_ceil(PAGE),
            )
            .await?;
        let mut threads = Vec::new();
        // GitHub's issues are pull requests, too.
        for found in listed
            .iter()
            .filter(|one| pull || one["pull_request"].is_null())
        {
            let one = thread(&self.name, kind, found, Vec::new());
            let head = found["head"]["sha"].as_str();
            let approvals = match head {
                Some(head) => {
                    let reviews = self.reviews(one.number).await?;
                    Thread {
                        reviews,
                        ..one.clone()
                    }
                    .approvals_of(head)
                }
                None => 0,
            };
            threads.push(OpenThread {
                number: one.number,
                kind,
                title: one.title,
                labels: one.labels,
                author: one.author,
                head: one.head,
                base: one.base,
                approvals,
                approvals_needed: 0,
            });
        }
        threads.truncate(most);
        Ok(threads)
    }

    /// What checks and statuses say of a commit, the latest of each name.
    ///
    /// # Errors
    /// As [`GithubForge::thread`].
    pub(crate) async fn statuses(&self, commit: &str) -> Result<Vec<CommitStatus>, ForgeError> {
        let runs = self
            .pages(
                &format!("/commits/{commit}/check-runs?filter=latest&per_page={PAGE}"),
                Some("check_runs"),
                LOOK_PAGES_MAX,
            )
            .await?;
        let checks = runs.iter().map(|run| {
            let state = match run["conclusion"].as_str() {
                None => StatusState::Pending,
                Some("success" | "neutral" | "skipped") => StatusState::Success,
                Some("cancelled" | "stale") => StatusState::Error,
                Some(_) => StatusState::Failure,
            };
            (
                &run["name"],
                state,
                &run["output"]["summary"],
                &run["started_at"],
            )
        });
        let status = self
            .get(&format!("/commits/{commit}/status?per_page={PAGE}"))
            .await?;
        let said = status.body["statuses"].as_array();
        let said = said.into_iter().flatten().map(|one| {
            let state = match one["state"].as_str() {
                Some("success") => StatusState::Success,
                Some("failure") => StatusState::Failure,
                Some("error") => StatusState::Error,
                _ => StatusState::Pending,
            };
            (
                &one["context"],
                state,
                &one["description"],
                &one["created_at"],
            )
        });
        Ok(checks
            .chain(said)
            .map(|(name, state, summary, at)| CommitStatus {
                id: Uuid::nil(),
                name: text(name),
                state,
                summary: text(summary),
                annotations: Vec::new(),
                reported_by: None,
                created_at: moment(at).unwrap_or(Timestamp::UNIX_EPOCH),
            })
            .collect())
    }

    /// Opens a pull request, or finds the one that is there.
    pub(crate) async fn open_pull(
        &self,
        effect: Uuid,
        action: &PullRequestAction,
    ) -> Result<Opened, RequestError> {
        let (head, base) = (escaped(&action.head), escaped(&action.base));
        let open = self
            .pages(
                &format!(
                    "/pulls?state=all&head={}:{head}&base={base}&per_page={PAGE}",
                    self.owner
                ),
                None,
                1,
            )
            .await?;
        let number = |pull: &Value| pull["number"].as_u64().unwrap_or_default();
        let ours = open
            .iter()
            .find(|pull| maker(&text(&pull["body"])) == Some(effect));
        if ours.is_none()
            && let Some(other) = open.iter().find(|pull| pull["state"] == "open")
        {
            return Ok(Opened {
                number: number(other),
                before: true,
                note: None,
            });
        }
        let number = match ours {
            Some(pull) => number(pull),
            None => {
                let body = json!({
                    "title": action.title, "head": action.head, "base": action.base,
                    "body": marked(&action.body, effect),
                });
                let made = self.change(Method::POST, "/pulls", Some(&body)).await?;
                number(&made.body)
            }
        };
        let mut notes = Vec::new();
        if !action.labels.is_empty() {
            let body = json!({ "labels": action.labels });
            let path = format!("/issues/{number}/labels");
            let made = self.change(Method::POST, &path, Some(&body)).await;
            notes.extend(beside("the labels could not be set", made)?);
        }
        if !action.reviewers.is_empty() {
            let (teams, people): (Vec<&String>, Vec<&String>) = action
                .reviewers
                .iter()
                .partition(|one| one.starts_with("team:"));
            let teams: Vec<&str> = teams
                .iter()
                .map(|team| team.trim_start_matches("team:"))
                .collect();
            let body = json!({ "reviewers": people, "team_reviewers": teams });
            let path = format!("/pulls/{number}/requested_reviewers");
            let made = self.change(Method::POST, &path, Some(&body)).await;
            notes.extend(beside("the reviewers could not be asked", made)?);
        }
        Ok(Opened {
            number,
            before: false,
            note: (!notes.is_empty()).then(|| notes.join("; ")),
        })
    }

    /// Opens an issue. `since` is when the effect was proposed; with `again` an earlier attempt may have got anywhere.
    pub(crate) async fn open_issue(
        &self,
        effect: Uuid,
        action: &crate::model::IssueAction,
        since: Timestamp,
        again: bool,
    ) -> Result<u64, RequestError> {
        if again {
            let path = format!("/issues?state=all&since={}&per_page={PAGE}", second(since));
            if let Some(found) = self.made_by(&path, effect).await? {
                return Ok(found["number"].as_u64().unwrap_or_default());
            }
        }
        let body = json!({
            "title": action.title, "body": marked(&action.body, effect), "labels": action.labels,
        });
        let made = self.change(Method::POST, "/issues", Some(&body)).await?;
        Ok(made.body["number"].as_u64().unwrap_or_default())
    }

    /// Comments on an issue or a pull request, and gives the comment's id.
    pub(crate) async fn comment(
        &self,
        effect: Uuid,
        action: &crate::model::CommentAction,
        since: Timestamp,
        again: bool,
    ) -> Result<u64, RequestError> {
        let path = format!("/issues/{}/comments", action.number);
        if again {
            let listed = format!("{path}?since={}&per_page={PAGE}", second(since));
            if let Some(found) = self.made_by(&listed, effect).await? {
                return Ok(found["id"].as_u64().unwrap_or_default());
            }
        }
        let body = json!({ "body": marked(&action.body, effect) });
        let made = self.change(Method::POST, &path, Some(&body)).await?;
        Ok(made.body["id"].as_u64().unwrap_or_default())
    }

    async fn made_by(&self, path: &str, effect: Uuid) -> Result<Option<Value>, RequestError> {
        let listed = self.pages(path, None, LOOK_PAGES_MAX).await?;
        Ok(listed
            .into_iter()
            .find(|one| maker(&text(&one["body"])) == Some(effect)))
    }

    /// Says what is thought of a commit: a check run where the host is an App, a commit status otherwise, as GitHub lets only Apps have check runs.
    pub(crate) async fn say_status(
        &self,
        effect: Uuid,
        action: &StatusAction,
        annotations: &[Finding],
        since: Timestamp,
        again: bool,
    ) -> Result<String, RequestError> {
        let commit = match self.resolve(&action.commit).await {
            Ok(commit) => commit,
            Err(ForgeError::Unavailable(message)) => return Err(RequestError::Later(message)),
            Err(error) => {
                return Err(RequestError::Status {
                    status: 404,
                    message: error.to_string(),
                });
            }
        };
        if self.github.client.access.is_app() {
            self.check_run(effect, action, annotations, &commit, again)
                .await?;
        } else {
            self.commit_status(action, &commit, since, again).await?;
        }
        Ok(commit)
    }

    async fn check_run(
        &self,
        effect: Uuid,
        action: &StatusAction,
        annotations: &[Finding],
        commit: &str,
        again: bool,
    ) -> Result<(), RequestError> {
        if again {
            let path = format!(
                "/commits/{commit}/check-runs?check_name={}&filter=all&per_page={PAGE}",
                escaped(&action.name)
            );
            let runs = self
                .pages(&path, Some("check_runs"), LOOK_PAGES_MAX)
                .await?;
            let id = effect.to_string();
            if runs.iter().any(|run| run["external_id"] == id.as_str()) {
                return Ok(());
            }
        }
        let mut body = json!({
            "name": action.name, "head_sha": commit, "external_id": effect.to_string(),
            "output": { "title": action.summary, "summary": action.summary },
        });
        let annotations = at_lines(annotations);
        if !annotations.is_empty() {
            body["output"]["annotations"] = json!(annotations);
        }
        let conclusion = match action.state {
            StatusState::Pending => None,
            StatusState::Success => Some("success"),
            // A check that could not look is none that passed.
            StatusState::Failure | StatusState::Error => Some("failure"),
        };
        match conclusion {
            None => body["status"] = json!("in_progress"),
            Some(conclusion) => {
                body["status"] = json!("completed");
                body["conclusion"] = json!(conclusion);
            }
        }
        self.change(Method::POST, "/check-runs", Some(&body))
            .await?;
        Ok(())
    }

    async fn commit_status(
        &self,
        action: &StatusAction,
        commit: &str,
        since: Timestamp,
        again: bool,
    ) -> Result<(), RequestError> {
        let state = match action.state {
            StatusState::Pending => "pending",
            StatusState::Success => "success",
            StatusState::Failure => "failure",
            StatusState::Error => "error",
        };
        let description: String = action.summary.chars().take(DESCRIPTION_MAX).collect();
        if again {
            // Newest first. It has no room for an id, so the same word since the effect was proposed is taken for it.
            let path = format!("/commits/{commit}/statuses?per_page={PAGE}");
            let listed = self.pages(&path, None, 1).await?;
            let latest = listed
                .iter()
                .find(|one| one["context"] == action.name.as_str());
            let since = since.as_second();
            if latest.is_some_and(|one| {
                one["state"] == state
                    && one["description"] == description.as_str()
                    && moment(&one["created_at"]).is_some_and(|at| at.as_second() >= since)
            }) {
                return Ok(());
            }
        }
        let body = json!({ "state": state, "context": action.name, "description": description });
        self.change(Method::POST, &format!("/statuses/{commit}"), Some(&body))
            .await?;
        Ok(())
    }

    /// Closes a pull request or an issue.
    pub(crate) async fn close(&self, kind: ThreadKind, number: u64) -> Result<(), RequestError> {
        let what = match kind {
            ThreadKind::PullRequest => "pulls",
            ThreadKind::Issue => "issues",
        };
        let body = json!({ "state": "closed" });
        self.change(Method::PATCH, &format!("/{what}/{number}"), Some(&body))
            .await?;
        Ok(())
    }

    /// Takes a comment back; one that is gone is taken back.
    pub(crate) async fn uncomment(&self, id: u64) -> Result<(), RequestError> {
        let path = format!("/issues/comments/{id}");
        match self.change(Method::DELETE, &path, None).await {
            Err(RequestError::Status { status: 404, .. }) => Ok(()),
            other => other.map(drop),
        }
    }

    /// Writes down at a pull request what a person said of it here. It is a comment and no approval: GitHub would count it as the App's, and no one approves of their own.
    pub(crate) async fn note_review(&self, number: u64, text: &str) -> Result<(), ForgeError> {
        let body = json!({ "event": "COMMENT", "body": text });
        self.change(
            Method::POST,
            &format!("/pulls/{number}/reviews"),
            Some(&body),
        )
        .await?;
        Ok(())
    }
}

/// A moment as GitHub's queries take it.
fn second(at: Timestamp) -> String {
    Timestamp::from_second(at.as_second())
        .unwrap_or(at)
        .to_string()
}

/// A text as a part of a path or as a value of a query; a `/` stays, as GitHub has it in names of branches.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// Findings as GitHub shows them at the lines of a change, which is what it can: those with a line.
fn at_lines(findings: &[Finding]) -> Vec<Value> {
    findings
        .iter()
        .filter_map(|finding| {
            let location = finding.location.as_ref()?;
            let line = location.line?;
            let message = match &finding.help {
                Some(help) => format!("{}\n{help}", finding.message),
                None => finding.message.clone(),
            };
            Some(json!({
                "path": location.path,
                "start_line": line,
                "end_line": line,
                "annotation_level": match finding.level {
                    Level::Note => "notice",
                    Level::Warning => "warning",
                    Level::Error => "failure",
                },
                "title": finding.rule,
                "message": message,
            }))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_effect_made_is_known_by_its_mark() {
        let id = Uuid::now_v7();
        let body = marked("Fixes it.\n", id);
        assert!(body.starts_with("Fixes it.\n\n<!--"));
        assert_eq!(maker(&body), Some(id));
        assert_eq!(maker("<!-- infinity-effect: x -->"), None);
        assert_eq!(maker("no mark"), None);
    }

    #[test]
    fn a_merged_pull_request_is_not_just_closed() {
        let found = json!({
            "number": 7, "state": "closed", "merged_at": "2026-01-01T00:00:00Z", "merge_commit_sha": "abc",
            "title": "t", "body": null, "user": { "login": "ann" }, "labels": [{ "name": "x" }],
            "head": { "ref": "a", "sha": "1" }, "base": { "ref": "main" },
            "created_at": "2026-01-01T00:00:00Z", "closed_at": "2026-01-01T00:00:00Z",
        });
        let thread = thread("ops", ThreadKind::PullRequest, &found, Vec::new());
        assert_eq!(thread.state, ThreadState::Merged);
        assert_eq!(thread.merge_commit.as_deref(), Some("abc"));
        assert_eq!(thread.author, "github:ann");
        assert_eq!(thread.labels, ["x"]);
    }
}
