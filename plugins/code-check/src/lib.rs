//! The code-check agent: has the code of pull requests judged, and proposes a status with the verdict for the latest commit of each.
//!
//! A run judges one pull request, so that what it finds is about that one alone and is shown at its lines: of those whose latest commit has no verdict the one that was looked at longest ago.
//! Verdicts are remembered by commit and settings. What could not be judged, or waits for other tools, is looked at again in its turn, and said again when it changes.

use infinity_sdk::forge::{Thread, ThreadKind};
use infinity_sdk::prelude::*;
use infinity_sdk::types::{Action, StatusAction, StatusState};
use serde_json::{Map, Value, json};

infinity_sdk::agent!(run, manifest = "../manifest.json");

/// Characters of a status: one line of it is shown.
const SUMMARY_MAX: usize = 250;

/// Languages by the endings of files. TypeScript may import JavaScript, and stands for both where there is both.
const LANGUAGES: [(&str, &[&str]); 3] = [
    ("python", &["py"]),
    ("typescript", &["ts", "mts", "cts", "tsx"]),
    ("javascript", &["js", "mjs", "cjs", "jsx"]),
];

/// Commits of a pull request that are looked through for where it begins.
const COMMITS_MAX: u32 = 1_000;

/// A pull request whose latest commit has no verdict.
struct Waiting {
    thread: Thread,
    head: String,
    base: String,
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
    let (waiting, more) = next(&repository, &asked)?;
    let Some(Waiting { thread, head, base }) = waiting else {
        return Ok(Report::passed("every pull request has a verdict"));
    };
    // Whatever comes of it, the others are next.
    kv::set(
        &key("looked", thread.number),
        invocation.scheduled_at.as_bytes(),
    )?;
    let touched = touched(&repository, &base, &head)?;
    let touched: Vec<&str> = touched.iter().map(String::as_str).collect();
    let mut judged = Judged::default();
    for (language, reads_only) in languages(&touched) {
        let mut submission = extra.clone();
        let mut patch = json!({ "repository": repository, "base": base, "head": head });
        if let Some(paths) = &paths {
            patch["paths"] = json!(paths);
        }
        submission.insert("patch".into(), patch);
        submission.insert("language".into(), json!(language));
        if reads_only && !submission.contains_key("steps") {
            submission.insert("steps".into(), json!(["policy", "analysis", "reported"]));
        }
        match checks::check(&Value::Object(submission)) {
            Ok(check) => judged.add(&repository, &check),
            Err(checks::Error::Unavailable(message)) => return Err(Failure::Unavailable(message)),
            Err(error) => judged.refused(checks::message(&error)),
        }
    }
    let state = judged.state();
    if matches!(state, StatusState::Success | StatusState::Failure) {
        let seen = format!("{head} {asked}");
        kv::set(&key("judged", thread.number), seen.as_bytes())?;
    }
    let summary = judged.summary();
    // The run has done its work whatever it thinks of the code.
    let mut report = Report::passed(format!("pull request {}: {summary}", thread.number));
    if more > 0 {
        report.summary.push_str(&format!("; {more} more wait"));
    }
    report.findings = judged.findings;
    let said = format!("{head} {name} {state:?} {summary}");
    let said_key = key("said", thread.number);
    if kv::get(&said_key)?.as_deref() != Some(said.as_bytes()) {
        kv::set(&said_key, said.as_bytes())?;
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
    report.with_output(&json!({
        "pull_request": thread.number,
        "title": thread.title,
        "commit": head,
        "checks": judged.checks,
    }))
}

/// The name of what is kept of a pull request between runs.
fn key(what: &str, number: u64) -> String {
    format!("{what}/{number}")
}

fn unreadable(error: forge::Error) -> Failure {
    match error {
        forge::Error::Unavailable(message) => Failure::Unavailable(message),
        other => Failure::Other(forge::message(&other).to_owned()),
    }
}

/// The files that a pull request adds or changes, since the commit that it began at: the branch that it is for may have moved on.
fn touched(repository: &str, base: &str, head: &str) -> Result<Vec<String>, Failure> {
    let commits = forge::log(repository, head, Some(base), COMMITS_MAX).map_err(unreadable)?;
    let Some(first) = commits.last() else {
        return Ok(Vec::new());
    };
    let began = first.parents.first().map_or(base, String::as_str);
    let changed = forge::changes(repository, began, head).map_err(unreadable)?;
    Ok(changed
        .into_iter()
        .filter(|file| file.after.is_some())
        .map(|file| file.path)
        .collect())
}

/// The pull request that waits and was looked at longest ago, the oldest first, and how many more wait.
fn next(repository: &str, asked: &str) -> Result<(Option<Waiting>, usize), Failure> {
    let threads = forge::threads(repository, ThreadKind::PullRequest).map_err(unreadable)?;
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
        let seen = format!("{head} {asked}");
        if kv::get(&key("judged", thread.number))?.as_deref() != Some(seen.as_bytes()) {
            let looked = kv::get(&key("looked", thread.number))?;
            waiting.push((looked, Waiting { thread, head, base }));
        }
    }
    let more = waiting.len().saturating_sub(1);
    // Moments as text are in their order, and one that never was comes first.
    let next = waiting.into_iter().min_by(|one, other| one.0.cmp(&other.0));
    Ok((next.map(|(_, waiting)| waiting), more))
}

/// The languages that are to be judged; what has no code is only read.
fn languages(touched: &[&str]) -> Vec<(&'static str, bool)> {
    let has = |endings: &[&str]| {
        touched.iter().any(|path| {
            path.rsplit_once('.')
                .is_some_and(|(_, ending)| endings.contains(&ending))
        })
    };
    let mut found: Vec<&str> = LANGUAGES
        .iter()
        .filter(|(_, endings)| has(endings))
        .map(|(name, _)| *name)
        .collect();
    if found.contains(&"typescript") {
        found.retain(|name| *name != "javascript");
    }
    if found.is_empty() {
        return vec![("python", true)];
    }
    found.into_iter().map(|name| (name, false)).collect()
}

/// What came of the checks of one pull request.
#[derive(Default)]
struct Judged {
    states: Vec<StatusState>,
    summaries: Vec<String>,
    findings: Vec<Finding>,
    checks: Vec<Value>,
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
        let mut finding = Finding::new(rule, level, text(&one["message"]).unwrap_or_default());
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
        let mut finding = Finding::new("code-check/test", Level::Error, format!("{name}: {why}"));
        if let Some(path) = text(&test["path"]) {
            finding = finding
                .at(path, number(&test["line"]), None)
                .in_repository(repository);
        }
        findings.push(finding);
    }
    findings
}
