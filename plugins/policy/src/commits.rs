//! The commits of granted repositories since the last run, judged one by one: each becomes an input document for the rules, each answer of a rule a
//! finding with the rule's own words.
//!
//! The last judged commit of a repository is kept in the key-value space under `policy/<repository>`. It moves only after every repository was judged, so
//! a failed run is simply done again. The oldest commits are judged first, and what exceeds a run's share is left for the next one: none is passed over.

use crate::engine::{Decision, EvaluateError, PolicyEngine, Violation};
use infinity_sdk::forge::{Change, Commit, Error, FileDiff};
use infinity_sdk::prelude::*;
use serde::Serialize;
use std::collections::BTreeSet;

/// The rules that are asked where the settings name none.
const DEFAULT_PACKAGE: &str = "github.commit";

/// Commits of one repository that a run judges where the settings say nothing: a day of a busy repository.
const DEFAULT_MAX_COMMITS: u32 = 100;

/// The most that the settings may ask for: what one answer of the forge holds.
const MAX_COMMITS: u32 = 1_000;

/// How far back the first run looks.
const FIRST_COMMITS: u32 = 20;

/// Answers of the forge, 1,000 commits each, that are put together to find the oldest commit not yet judged.
const MAX_PAGES: usize = 10;

/// Findings of one report, as the contract allows.
const MAX_FINDINGS: usize = 10_000;

/// Bytes of the output that decisions may take, below the contract's 1 MiB.
const MAX_DECISION_BYTES: usize = 900 * 1024;

/// Violations of one commit that the output repeats; the findings have all.
const MAX_LISTED: usize = 20;

/// What a run without policies answers.
pub(crate) fn without_policies() -> Failure {
    Failure::InvalidInput(
        "no policies are loaded: set `policies = \"policies\"` for the agent in `plugins.toml`"
            .to_owned(),
    )
}

/// Judges what is new in each repository that the settings name, or in all that are granted.
pub(crate) fn judge(engine: &mut PolicyEngine) -> Result<Report, Failure> {
    let package =
        settings::optional::<String>("package")?.unwrap_or_else(|| DEFAULT_PACKAGE.to_owned());
    let max_commits = settings::optional::<u32>("max_commits")?.unwrap_or(DEFAULT_MAX_COMMITS);
    if !(1..=MAX_COMMITS).contains(&max_commits) {
        return Err(Failure::InvalidInput(format!(
            "setting `max_commits` is {max_commits} and must be between 1 and {MAX_COMMITS}"
        )));
    }
    let repositories = settings::optional::<Vec<String>>("repositories")?.unwrap_or_else(|| {
        forge::repositories()
            .into_iter()
            .map(|repository| repository.name)
            .collect()
    });
    if engine.packages().is_empty() {
        return Err(without_policies());
    }

    let mut judgement = Judgement::default();
    let mut heads = Vec::new();
    for (done, repository) in repositories.iter().enumerate() {
        progress::report(
            done as u64,
            Some(repositories.len() as u64),
            &format!("judging {}", short(repository)),
        );
        for commit in unjudged(repository, max_commits, &mut judgement)? {
            let answer = match forge::diff(repository, None, &commit.id) {
                Ok(files) => engine.evaluate(&package, &document(repository, &commit, files)?),
                Err(Error::TooLarge(message)) => {
                    judgement.cannot_judge(repository, &commit, &message);
                    heads.push((repository, commit.id));
                    continue;
                }
                Err(error) => return Err(failure(repository, &error)),
            };
            match answer {
                Ok(decision) => judgement.add(repository, &commit, decision)?,
                Err(error @ EvaluateError::UnknownPackage(_)) => {
                    return Err(Failure::InvalidInput(format!("setting `package`: {error}")));
                }
                Err(error) => {
                    return Err(Failure::Other(format!(
                        "commit {} of `{repository}`: {error}",
                        short(&commit.id)
                    )));
                }
            }
            heads.push((repository, commit.id));
        }
    }
    // Later commits of a repository overwrite earlier ones.
    for (repository, commit) in heads {
        kv::set(&key(repository), commit.as_bytes())?;
    }
    judgement.report()
}

fn key(repository: &str) -> String {
    format!("policy/{repository}")
}

/// The commits to judge, oldest first.
fn unjudged(
    repository: &str,
    max_commits: u32,
    judgement: &mut Judgement,
) -> Result<Vec<Commit>, Failure> {
    let last = kv::get(&key(repository))?.and_then(|bytes| String::from_utf8(bytes).ok());
    let mut commits = match last {
        Some(last) => match since(repository, &last) {
            Err(Error::NotFound(_)) => {
                judgement.note(
                    repository,
                    format!(
                        "the last judged commit {} is gone, so the newest {FIRST_COMMITS} commits are judged",
                        short(&last)
                    ),
                );
                forge::log(repository, "HEAD", None, FIRST_COMMITS.min(max_commits))
            }
            answer => answer,
        },
        None => match forge::log(repository, "HEAD", None, FIRST_COMMITS.min(max_commits)) {
            // A repository without a commit has nothing to judge.
            Err(Error::NotFound(_)) => Ok(Vec::new()),
            answer => answer,
        },
    }
    .map_err(|error| failure(repository, &error))?;
    commits.reverse();
    if commits.len() > max_commits as usize {
        judgement.note(
            repository,
            format!(
                "{} new commits, of which this run judges the oldest {max_commits}",
                commits.len()
            ),
        );
        commits.truncate(max_commits as usize);
    }
    Ok(commits)
}

/// Everything that is reachable from HEAD and not from `last`, newest first, at most [`MAX_PAGES`] answers of the forge.
fn since(repository: &str, last: &str) -> Result<Vec<Commit>, Error> {
    let mut commits: Vec<Commit> = Vec::new();
    let mut known = BTreeSet::new();
    let mut reference = "HEAD".to_owned();
    for _ in 0..MAX_PAGES {
        let page = forge::log(repository, &reference, Some(last), MAX_COMMITS)?;
        let full = page.len() >= MAX_COMMITS as usize;
        let before = commits.len();
        commits.extend(page.into_iter().filter(|c| known.insert(c.id.clone())));
        // Going on from the oldest of a page finds what lies behind it.
        match commits.last() {
            Some(oldest) if full && commits.len() > before => reference.clone_from(&oldest.id),
            _ => break,
        }
    }
    Ok(commits)
}

fn failure(repository: &str, error: &Error) -> Failure {
    let message = format!("repository `{repository}`: {}", forge::message(error));
    match error {
        Error::Unavailable(_) => Failure::Unavailable(message),
        Error::NotFound(_) => Failure::InvalidInput(message),
        Error::Denied(_) | Error::TooLarge(_) | Error::Other(_) => Failure::Other(message),
    }
}

/// The first twelve characters: enough to find a commit by.
fn short(id: &str) -> String {
    id.chars().take(12).collect()
}

/// `github.commit`'s input, see `policies/README.md`.
#[derive(Serialize)]
struct Input<'a> {
    repository: InputRepository<'a>,
    commit: InputCommit<'a>,
    files: Vec<InputFile>,
}

#[derive(Serialize)]
struct InputRepository<'a> {
    name: &'a str,
}

#[derive(Serialize)]
struct InputCommit<'a> {
    id: &'a str,
    message: &'a str,
    author: InputPerson<'a>,
    verification: InputVerification,
}

#[derive(Serialize)]
struct InputPerson<'a> {
    name: &'a str,
    email: &'a str,
}

#[derive(Serialize)]
struct InputVerification {
    verified: bool,
}

#[derive(Serialize)]
struct InputFile {
    path: String,
    change: &'static str,
    binary: bool,
    added: Vec<InputLine>,
}

#[derive(Serialize)]
struct InputLine {
    line: u32,
    text: String,
}

fn document(repository: &str, commit: &Commit, files: Vec<FileDiff>) -> Result<String, Failure> {
    let input = Input {
        repository: InputRepository { name: repository },
        commit: InputCommit {
            id: &commit.id,
            message: &commit.message,
            author: InputPerson {
                name: &commit.author.name,
                email: &commit.author.email,
            },
            verification: InputVerification {
                verified: commit.verified,
            },
        },
        files: files
            .into_iter()
            .map(|file| InputFile {
                path: file.path,
                change: match file.change {
                    Change::Added => "added",
                    Change::Modified => "modified",
                    Change::Deleted => "deleted",
                    Change::Renamed => "renamed",
                },
                binary: file.binary,
                added: file
                    .added
                    .into_iter()
                    .map(|added| InputLine {
                        line: added.line,
                        text: added.text,
                    })
                    .collect(),
            })
            .collect(),
    };
    serde_json::to_string(&input)
        .map_err(|error| Failure::Other(format!("the input document is no JSON: {error}")))
}

/// What a run has found so far.
#[derive(Default)]
struct Judgement {
    judged: usize,
    denied: usize,
    unjudged: usize,
    findings: Vec<Finding>,
    decisions: Vec<serde_json::Value>,
    decision_bytes: usize,
    decisions_left_out: usize,
}

#[derive(Serialize)]
struct CommitDecision<'a> {
    repository: &'a str,
    commit: &'a str,
    allowed: bool,
    denials: Vec<ListedViolation<'a>>,
    warnings: Vec<ListedViolation<'a>>,
    /// How many of the two lists together are left out.
    left_out: usize,
}

#[derive(Serialize)]
struct ListedViolation<'a> {
    rule: &'a str,
    message: &'a str,
    path: Option<&'a str>,
    line: Option<u32>,
}

#[derive(Serialize)]
struct Output<'a> {
    judged: usize,
    denied: usize,
    unjudged: usize,
    decisions: &'a [serde_json::Value],
    decisions_left_out: usize,
}

impl Judgement {
    fn add(
        &mut self,
        repository: &str,
        commit: &Commit,
        decision: Decision,
    ) -> Result<(), Failure> {
        self.judged += 1;
        let allowed = decision.allowed();
        if !allowed {
            self.denied += 1;
        }
        self.list(repository, commit, &decision)?;
        for (violations, level) in [
            (decision.denials, Level::Error),
            (decision.warnings, Level::Warning),
        ] {
            for violation in violations {
                self.push(finding(repository, commit, violation, level));
            }
        }
        Ok(())
    }

    /// Puts a decision into the output while there is room.
    fn list(
        &mut self,
        repository: &str,
        commit: &Commit,
        decision: &Decision,
    ) -> Result<(), Failure> {
        fn listed(violations: &[Violation]) -> Vec<ListedViolation<'_>> {
            violations
                .iter()
                .take(MAX_LISTED)
                .map(|violation| ListedViolation {
                    rule: &violation.rule,
                    message: &violation.message,
                    path: violation.path.as_deref(),
                    line: violation.line,
                })
                .collect()
        }
        let denials = listed(&decision.denials);
        let warnings = listed(&decision.warnings);
        let left_out =
            decision.denials.len() + decision.warnings.len() - denials.len() - warnings.len();
        let entry = serde_json::to_value(CommitDecision {
            repository,
            commit: &commit.id,
            allowed: decision.allowed(),
            denials,
            warnings,
            left_out,
        })
        .map_err(|error| Failure::Other(format!("the decision is no JSON: {error}")))?;
        let bytes = entry.to_string().len() + 1;
        if self.decision_bytes + bytes <= MAX_DECISION_BYTES {
            self.decision_bytes += bytes;
            self.decisions.push(entry);
        } else {
            self.decisions_left_out += 1;
        }
        Ok(())
    }

    fn push(&mut self, finding: Finding) {
        // The last place is kept for saying that there are more.
        if self.findings.len() + 1 < MAX_FINDINGS {
            self.findings.push(finding);
        } else if self.findings.len() < MAX_FINDINGS {
            self.findings.push(Finding::new(
                "policy/more",
                Level::Error,
                format!("more than {MAX_FINDINGS} findings, the rest is left out"),
            ));
        }
    }

    fn note(&mut self, repository: &str, message: String) {
        self.push(Finding::new("policy/note", Level::Note, message).in_repository(repository));
    }

    /// A commit without a judgement is no better than a denied one.
    fn cannot_judge(&mut self, repository: &str, commit: &Commit, reason: &str) {
        self.unjudged += 1;
        self.push(
            Finding::new(
                "policy/unjudged",
                Level::Error,
                format!("commit {} cannot be judged: {reason}", short(&commit.id)),
            )
            .in_repository(repository)
            .with_help("look at the commit by hand, or split it"),
        );
    }

    fn report(self) -> Result<Report, Failure> {
        let noun = if self.judged == 1 {
            "commit"
        } else {
            "commits"
        };
        let mut summary = format!("{} {noun} judged, {} denied", self.judged, self.denied);
        if self.unjudged > 0 {
            summary.push_str(&format!(", {} too large to judge", self.unjudged));
        }
        let report = if self.denied + self.unjudged > 0 {
            Report::failed(summary)
        } else {
            Report::passed(summary)
        };
        report.with_findings(self.findings).with_output(&Output {
            judged: self.judged,
            denied: self.denied,
            unjudged: self.unjudged,
            decisions: &self.decisions,
            decisions_left_out: self.decisions_left_out,
        })
    }
}

/// A violation with the commit it is about.
fn finding(repository: &str, commit: &Commit, violation: Violation, level: Level) -> Finding {
    let about = format!(
        "commit {} by {}",
        short(&commit.id),
        commit.author.name.trim()
    );
    let help = match violation.help {
        Some(help) => format!("{help} ({about})"),
        None => about,
    };
    let finding = Finding::new(violation.rule, level, violation.message).in_repository(repository);
    match violation.path {
        Some(path) => finding.at(path, violation.line, violation.column),
        None => finding,
    }
    .with_help(help)
}

#[cfg(test)]
mod tests;
