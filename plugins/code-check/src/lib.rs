//! The code-check agent: has the code of pull requests judged, and proposes a status with the verdict for the latest commit of each.
//!
//! A run judges one pull request, so that what it finds is about that one alone and is shown at its lines: of those whose latest commit has no verdict the one that was looked at longest ago.
//! Verdicts are remembered by commit and settings. What could not be judged, or waits for other tools, is looked at again in its turn, and said again when it changes.

use infinity_sdk::forge::{Thread, ThreadKind};
use infinity_sdk::prelude::*;
use infinity_sdk::types::{Action, StatusAction, StatusState};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

infinity_sdk::agent!(run, manifest = "../manifest.json");

/// Characters of a status: one line of it is shown.
const SUMMARY_MAX: usize = 250;

/// Languages by the endings of files. TypeScript may import JavaScript, and stands for both where there is both.
const LANGUAGES: [(&str, &[&str]); 3] = [
    ("python", &["py"]),
    ("typescript", &["ts", "mts", "cts", "tsx"]),
    ("javascript", &["js", "mjs", "cjs", "jsx"]),
];

/// Findings of one run: who has more mends these first, and a report may not be refused for its size.
const FINDINGS_MAX: usize = 500;

/// Characters of a finding's message.
const MESSAGE_MAX: usize = 1_000;

/// Where is kept what is known of open pull requests.
const MEMORY: &str = "pull-requests";

/// A pull request whose latest commit has no verdict.
struct Waiting {
    thread: Thread,
    head: String,
    base: String,
}

/// What is known of the open pull requests, by number: `judged` and `said` are fingerprints, `looked` is a moment.
struct Memory(Map<String, Value>);

impl Memory {
    /// What is kept of pull requests that are still open.
    fn load(threads: &[Thread]) -> Result<Self, Failure> {
        let kept: Map<String, Value> = kv::get(MEMORY)?
            .and_then(|bytes| serde_json::from_slice(&bytes).ok())
            .unwrap_or_default();
        let is_open = |number: &String| {
            threads
                .iter()
                .any(|thread| thread.number.to_string() == *number)
        };
        let open = kept.into_iter().filter(|(number, _)| is_open(number));
        Ok(Self(open.collect()))
    }

    fn get(&self, number: u64, what: &str) -> &str {
        self.0
            .get(&number.to_string())
            .and_then(|known| known[what].as_str())
            .unwrap_or_default()
    }

    fn set(&mut self, number: u64, what: &str, value: String) {
        let known = self
            .0
            .entry(number.to_string())
            .or_insert_with(|| json!({}));
        known[what] = Value::String(value);
    }

    fn keep(&self) -> Result<(), Failure> {
        kv::set(MEMORY, Value::Object(self.0.clone()).to_string().as_bytes())
    }
}

/// A short word that stands for a text.
fn fingerprint(text: &str) -> String {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

/// Runs the agent once.
///
/// # Errors
/// [`Failure::InvalidInput`] when the settings cannot be used, [`Failure::Unavailable`] when nobody judges now.
pub fn run(invocation: Invocation) -> Result<Report, Failure> {
    let repository: String = settings::required("repository")?;
    let name: String = settings::optional("name")?.unwrap_or_else(|| "code-check".into());
    let paths: Option<Vec<String>> = settings::optional("paths")?;
    let extra: Map<String, Value> = settings::optional("check")?.unwrap_or_default();
    // Whoever changes what is asked asks again.
    let asked = json!([name, paths, extra]).to_string();
    let threads = forge::threads(&repository, ThreadKind::PullRequest).map_err(unreadable)?;
    let mut memory = Memory::load(&threads)?;
    let (waiting, more) = next(&repository, threads, &memory, &asked);
    let Some(Waiting { thread, head, base }) = waiting else {
        return Ok(Report::passed("every pull request has a verdict"));
    };
    // Whatever comes of it, the others are next.
    memory.set(thread.number, "looked", invocation.scheduled_at);
    memory.keep()?;
    let mut judged = Judged::default();
    for language in languages(&repository, &base, &head)? {
        let mut submission = extra.clone();
        let mut patch = json!({ "repository": repository, "base": base, "head": head });
        if let Some(paths) = &paths {
            patch["paths"] = json!(paths);
        }
        submission.insert("patch".into(), patch);
        submission.insert("language".into(), json!(language));
        match checks::check(&Value::Object(submission)) {
            Ok(check) => judged.add(&repository, &check),
            Err(checks::Error::Unavailable(message)) => return Err(Failure::Unavailable(message)),
            Err(error) => judged.refused(checks::message(&error)),
        }
    }
    let state = judged.state();
    let summary = judged.summary();
    // What tools report may change without another commit.
    if matches!(state, StatusState::Success | StatusState::Failure) && !judged.tools_speak_against {
        memory.set(
            thread.number,
            "judged",
            fingerprint(&format!("{head} {asked}")),
        );
    }
    // The run has done its work whatever it thinks of the code.
    let mut report = Report::passed(format!("pull request {}: {summary}", thread.number));
    if more > 0 {
        report.summary.push_str(&format!("; {more} more wait"));
    }
    report.findings = judged.findings;
    report.findings.truncate(FINDINGS_MAX);
    let said = fingerprint(&format!("{head} {name} {state:?} {summary}"));
    if memory.get(thread.number, "said") != said {
        memory.set(thread.number, "said", said);
        let action = Action::Status(StatusAction {
            repository,
            commit: head.clone(),
            name,
            state,
            summary,
        });
        report = report.with_effect(Effect::propose(
            "status",
            "the verdict on the latest commit",
            action,
        ));
    }
    memory.keep()?;
    report.with_output(&json!({
        "pull_request": thread.number,
        "title": thread.title,
        "commit": head,
        "checks": judged.checks,
    }))
}

fn unreadable(error: forge::Error) -> Failure {
    match error {
        forge::Error::Unavailable(message) => Failure::Unavailable(message),
        other => Failure::Other(forge::message(&other).to_owned()),
    }
}

/// The pull request that waits and was looked at longest ago, the oldest first, and how many more wait. One from another repository has no branch here, and is nobody's to judge.
fn next(
    repository: &str,
    threads: Vec<Thread>,
    memory: &Memory,
    asked: &str,
) -> (Option<Waiting>, usize) {
    let mut waiting = Vec::new();
    for thread in threads.into_iter().rev() {
        let (Some(from), Some(to)) = (&thread.head, &thread.base) else {
            continue;
        };
        // A branch that is gone has nothing to judge.
        let (Ok(head), Ok(base)) = (
            forge::resolve(repository, from),
            forge::resolve(repository, to),
        ) else {
            log::warn!(
                "pull request {}: its branches cannot be read",
                thread.number
            );
            continue;
        };
        if memory.get(thread.number, "judged") != fingerprint(&format!("{head} {asked}")) {
            waiting.push(Waiting { thread, head, base });
        }
    }
    let more = waiting.len().saturating_sub(1);
    // Moments as text are in their order, and one that never was comes first.
    let looked = |one: &Waiting| memory.get(one.thread.number, "looked").to_owned();
    let next = waiting.into_iter().min_by_key(looked);
    (next, more)
}

/// The languages whose tests the change is judged by: those of the files that differ, or else, as tests may read anything, those of the repository.
fn languages(repository: &str, base: &str, head: &str) -> Result<Vec<&'static str>, Failure> {
    let changed = forge::changes(repository, base, head).map_err(unreadable)?;
    let found = languages_of(changed.iter().map(|file| file.path.as_str()));
    if !found.is_empty() {
        return Ok(found);
    }
    let tree = forge::tree(repository, head, "").map_err(unreadable)?;
    let found = languages_of(tree.iter().map(|entry| entry.path.as_str()));
    // Without any code the rules judge it, and analysis does.
    Ok(if found.is_empty() {
        vec!["python"]
    } else {
        found
    })
}

fn languages_of<'a>(paths: impl Iterator<Item = &'a str>) -> Vec<&'static str> {
    let endings: BTreeSet<&str> = paths
        .filter_map(|path| Some(path.rsplit_once('.')?.1))
        .collect();
    let mut found: Vec<&str> = LANGUAGES
        .iter()
        .filter(|(_, known)| known.iter().any(|ending| endings.contains(ending)))
        .map(|(name, _)| *name)
        .collect();
    if found.contains(&"typescript") {
        found.retain(|name| *name != "javascript");
    }
    found
}

/// What came of the checks of one pull request.
#[derive(Default)]
struct Judged {
    states: Vec<StatusState>,
    summaries: Vec<String>,
    findings: Vec<Finding>,
    checks: Vec<Value>,
    /// Whether a tool outside reported that it failed.
    tools_speak_against: bool,
}

impl Judged {
    /// Takes the record of a check.
    fn add(&mut self, repository: &str, check: &Value) {
        let steps = check["steps"].as_array().map_or(&[][..], Vec::as_slice);
        // Nothing but tools that have not reported yet stands in the way.
        let waits = steps
            .iter()
            .filter(|step| step["outcome"] == "error" || step["outcome"] == "failed")
            .all(|step| step["step"] == "reported");
        self.tools_speak_against |= steps
            .iter()
            .any(|step| step["step"] == "reported" && step["outcome"] == "failed");
        let state = match check["verdict"].as_str() {
            Some("passed") => StatusState::Success,
            Some("failed" | "flaky") => StatusState::Failure,
            _ if waits && !steps.is_empty() => StatusState::Pending,
            _ => StatusState::Error,
        };
        self.states.push(state);
        let language = check["language"].as_str().unwrap_or_default();
        let verdict = check["verdict"].as_str().unwrap_or("no verdict");
        let summary = check["summary"].as_str().unwrap_or_default();
        self.summaries
            .push(format!("{language} {verdict}: {summary}"));
        for step in steps {
            self.findings.extend(found(repository, step));
        }
        self.checks.push(json!({
            "id": check["id"],
            "language": language,
            "verdict": check["verdict"],
            "assurance": check["assurance"],
            "summary": summary,
        }));
    }

    /// Notes that a submission was not taken.
    fn refused(&mut self, message: &str) {
        self.states.push(StatusState::Error);
        self.summaries.push(message.to_owned());
        self.findings.push(Finding::new(
            "code-check/not-judged",
            Level::Error,
            message.to_owned(),
        ));
    }

    /// No better than the worst.
    fn state(&self) -> StatusState {
        [
            StatusState::Error,
            StatusState::Failure,
            StatusState::Pending,
        ]
        .into_iter()
        .find(|state| self.states.contains(state))
        .unwrap_or(StatusState::Success)
    }

    /// One line.
    fn summary(&self) -> String {
        let all = self.summaries.join("; ");
        let line: String = all
            .chars()
            .map(|character| {
                if character.is_control() {
                    ' '
                } else {
                    character
                }
            })
            .collect();
        if line.chars().count() <= SUMMARY_MAX {
            return line;
        }
        let mut cut: String = line.chars().take(SUMMARY_MAX - 1).collect();
        cut.push('…');
        cut
    }
}

/// The beginning of a message.
fn brief(message: &str) -> String {
    message.chars().take(MESSAGE_MAX).collect()
}

/// The findings of a step, and its tests that failed.
fn found(repository: &str, step: &Value) -> Vec<Finding> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let number = |value: &Value| value.as_u64().and_then(|number| u32::try_from(number).ok());
    let list = |name: &str| step[name].as_array().cloned().unwrap_or_default();
    let mut findings = Vec::new();
    for one in list("findings") {
        let level = match one["level"].as_str() {
            Some("note") => Level::Note,
            Some("warning") => Level::Warning,
            _ => Level::Error,
        };
        let rule = text(&one["rule"]).unwrap_or_default();
        let message = text(&one["message"]).unwrap_or_default();
        let mut finding = Finding::new(rule, level, brief(&message));
        let location = &one["location"];
        if let Some(path) = text(&location["path"]) {
            finding = finding
                .at(path, number(&location["line"]), number(&location["column"]))
                .in_repository(repository);
        }
        if let Some(help) = text(&one["help"]) {
            finding = finding.with_help(help);
        }
        findings.push(finding);
    }
    for test in list("tests") {
        if !matches!(test["outcome"].as_str(), Some("failed" | "errored")) {
            continue;
        }
        let name = text(&test["name"]).unwrap_or_default();
        let why = text(&test["message"]).unwrap_or_else(|| "it failed".into());
        let mut finding = Finding::new(
            "code-check/test",
            Level::Error,
            brief(&format!("{name}: {why}")),
        );
        if let Some(path) = text(&test["path"]) {
            finding = finding
                .at(path, number(&test["line"]), None)
                .in_repository(repository);
        }
        findings.push(finding);
    }
    findings
}
