//! The watchtower: compares each mirror with its sources, and shows how it is by a light.
//!
//! A mirror is in step, or it is behind since the first change at its source that it lacks; the light goes by how long that is. A mirror that cannot be compared is red. When a light gets worse
//! `mirror.stale` is announced, and when it is green again `mirror.recovered`.

mod light;

use infinity_sdk::prelude::*;
use jiff::Timestamp;
use light::{Light, Limits};
use mirror::{Change, Origin, Source, Target};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

infinity_sdk::agent!(run, manifest = "../manifest.json");

/// Commits of a source that are compared with the mirror, newest first.
const LOOK_BACK: u32 = 200;

/// Differing files that the output names.
const NAMED_MAX: usize = 100;

/// A mirror that is looked at.
#[derive(Deserialize)]
struct Mirror {
    name: String,
    agent: Option<String>,
    sources: Vec<Source>,
    target: Target,
}

/// The name of what is kept of a mirror between runs.
fn key(what: &str, mirror: &str) -> String {
    format!("{what}/{mirror}")
}

fn kept(key: &str) -> Result<Option<String>, Failure> {
    Ok(kv::get(key)?.and_then(|value| String::from_utf8(value).ok()))
}

/// Runs the agent once.
///
/// # Errors
/// [`Failure::InvalidInput`] when the settings cannot be used.
pub fn run(invocation: Invocation) -> Result<Report, Failure> {
    let mirrors: Vec<Mirror> = settings::required("mirrors")?;
    let limits = Limits::new(
        settings::optional("green_minutes")?.unwrap_or(light::GREEN_MINUTES),
        settings::optional("yellow_minutes")?.unwrap_or(light::YELLOW_MINUTES),
    )?;
    let failed = failed_agent(&invocation.input);
    let now = now();
    let mut report = Report::passed(String::new());
    let mut outputs = Vec::new();
    let mut lights = BTreeMap::new();
    for mirror in &mirrors {
        let failed_key = key("failed", &mirror.name);
        let light_key = key("light", &mirror.name);
        if failed.is_some() && failed == mirror.agent {
            kv::set(&failed_key, now.to_string().as_bytes())?;
        }
        let mut output = json!({ "mirror": mirror.name, "repository": mirror.target.repository, "branch": mirror.target.branch });
        let (light, why) = match look(mirror) {
            Ok(seen) => {
                if seen.is_in_step() {
                    kv::delete(&failed_key)?;
                }
                let failed_at = kept(&failed_key)?;
                let (light, why) = limits.judge(&seen, failed_at.as_deref(), now);
                seen.describe(&mut output, now);
                (light, why)
            }
            Err(failure) => (
                Light::Red,
                format!("it cannot be compared: {}", message(&failure)),
            ),
        };
        output["light"] = json!(light.as_str());
        output["why"] = json!(why);
        let before = kept(&light_key)?
            .and_then(|word| Light::read(&word))
            .unwrap_or(Light::Green);
        if light != before {
            kv::set(&light_key, light.as_str().as_bytes())?;
            let kind = if light > before {
                Some("mirror.stale")
            } else {
                (light == Light::Green).then_some("mirror.recovered")
            };
            if let Some(kind) = kind {
                let told = events::emit(kind, Some(&mirror.name), &output.to_string());
                if let Err(error) = told {
                    log::warn!("`{kind}` is not announced: {error:?}");
                }
            }
        }
        if light != Light::Green {
            let level = if light == Light::Red {
                Level::Error
            } else {
                Level::Warning
            };
            let finding = Finding::new("watchtower/stale", level, format!("the mirror `{}` is {}: {why}", mirror.name, light.as_str()))
                .with_help("look at the runs of the agent that makes it: `infinity runs`, and at what waits for a decision: `infinity effects`");
            report.findings.push(finding);
        }
        *lights.entry(light.as_str()).or_insert(0_u32) += 1;
        outputs.push(output);
    }
    let count = |light: Light| lights.get(light.as_str()).copied().unwrap_or(0);
    report.summary = format!(
        "{} green, {} yellow, {} red",
        count(Light::Green),
        count(Light::Yellow),
        count(Light::Red)
    );
    report.with_output(&json!({ "mirrors": outputs }))
}

/// The agent whose failing the run was told of.
fn failed_agent(input: &str) -> Option<String> {
    let event: Value = serde_json::from_str(input).ok()?;
    let kind = event["type"].as_str()?;
    let is_failure = kind.ends_with("run.failed") || kind.ends_with("effect.failed");
    is_failure.then(|| event["data"]["agent"].as_str().map(str::to_owned))?
}

fn now() -> Timestamp {
    Timestamp::try_from(std::time::SystemTime::now()).unwrap_or(Timestamp::UNIX_EPOCH)
}

fn message(failure: &Failure) -> &str {
    match failure {
        Failure::InvalidInput(message)
        | Failure::Unavailable(message)
        | Failure::Other(message) => message,
    }
}

/// How a mirror is.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// Files that differ, with what would be done to each.
    differ: Vec<(String, &'static str)>,
    /// Files that should be there.
    files: usize,
    /// Since when the source has something that the mirror lacks.
    behind_since: Option<Timestamp>,
    /// Commits of the sources that the mirror lacks; none where that cannot be told.
    behind: Option<usize>,
    /// The commits that the sources are at.
    sources: Vec<Value>,
    /// The commit that the mirror is at, and when it was made.
    head: Option<(String, String)>,
}

impl Seen {
    pub(crate) fn is_in_step(&self) -> bool {
        self.differ.is_empty()
    }

    pub(crate) fn has_copy(&self) -> bool {
        self.head.is_some()
    }

    fn describe(&self, output: &mut Value, now: Timestamp) {
        let lag = self
            .behind_since
            .map(|since| now.duration_since(since).as_secs().max(0));
        let differ: Vec<Value> = self
            .differ
            .iter()
            .take(NAMED_MAX)
            .map(|(path, change)| json!({ "path": path, "change": change }))
            .collect();
        let more = json!({
            "in_step": self.is_in_step(), "files": self.files, "differing": self.differ.len(), "differences": differ,
            "behind_since": self.behind_since.map(|since| since.to_string()), "lag_seconds": lag.unwrap_or(0),
            "commits_behind": self.behind, "sources": self.sources,
            "commit": self.head.as_ref().map(|(id, _)| id), "committed_at": self.head.as_ref().map(|(_, at)| at),
        });
        if let (Value::Object(output), Value::Object(more)) = (output, more) {
            output.extend(more);
        }
    }
}

/// Compares a mirror with its sources.
fn look(mirror: &Mirror) -> Result<Seen, Failure> {
    let wanted = mirror::collect(&mirror.sources)?;
    let (head, present) = mirror::present(&mirror.target)?;
    let target = &mirror.target.repository;
    let changes = mirror::changes(&wanted, &present, &mirror.sources, |path| {
        forge::read(target, head.as_deref().unwrap_or_default(), path).ok()
    });
    let mut seen = Seen {
        files: wanted.files.len(),
        differ: changes
            .iter()
            .map(|(path, change)| {
                let word = match change {
                    Change::Delete => "delete",
                    Change::Write(_) if present.contains_key(*path) => "change",
                    Change::Write(_) => "add",
                };
                ((*path).to_owned(), word)
            })
            .collect(),
        behind: Some(0),
        ..Seen::default()
    };
    if let Some(head) = head {
        let latest = forge::log(target, &head, None, 1)
            .ok()
            .and_then(|mut log| log.pop());
        let at = latest.map(|commit| commit.committed_at).unwrap_or_default();
        seen.head = Some((head, at));
    }
    for source in &mirror.sources {
        let Some((repository, reference)) = source.origin() else {
            continue;
        };
        let log = forge::log(repository, reference, None, LOOK_BACK).map_err(|error| {
            Failure::Unavailable(format!(
                "repository `{repository}`: {}",
                forge::message(&error)
            ))
        })?;
        if let Some(newest) = log.first() {
            seen.sources.push(json!({ "repository": repository, "commit": newest.id, "committed_at": newest.committed_at }));
        }
        let differs: BTreeSet<&str> = seen
            .differ
            .iter()
            .map(|(path, _)| path.as_str())
            .filter(|path| source.speaks_of(path))
            .collect();
        if differs.is_empty() {
            continue;
        }
        let mut first_missing = None;
        let mut found = false;
        for commit in &log {
            let then = source.files_at(repository, &commit.id)?;
            let same = differs
                .iter()
                .all(|path| id(then.get(*path)) == present.get(*path));
            if same {
                found = true;
                break;
            }
            first_missing = Some(commit);
            seen.behind = seen.behind.map(|behind| behind + 1);
        }
        if !found {
            // As far back as was looked, or never in step.
            seen.behind = None;
        }
        let since = first_missing.and_then(|commit| commit.committed_at.parse::<Timestamp>().ok());
        seen.behind_since = match (seen.behind_since, since) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
    }
    // Files of directories have no history: what the mirror has is as old as its commit.
    if !seen.is_in_step() && seen.behind_since.is_none() {
        seen.behind_since = seen.head.as_ref().and_then(|(_, at)| at.parse().ok());
    }
    Ok(seen)
}

fn id(origin: Option<&Origin>) -> Option<&String> {
    match origin {
        Some(Origin::Repository { id, .. }) => Some(id),
        _ => None,
    }
}
