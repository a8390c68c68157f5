//! The steps that look at the code as it is, and the one that runs its tests.

use super::submission::{Isolation, StepKind, Submission};
use super::{
    CheckNews, CheckStep, Checks, News, Ran, StepOutcome, own_doing, shown, stopped, unexpected,
};
use crate::model::{Finding, Level, Location, StatusState};
use crate::sandbox::Loaded;
use crate::sandbox::call::{Answer, Call, Violation};
use crate::sandbox::code::{
    CodeCall, CodeFile, CodeTask, Peer, TEST_DENIALS_MAX, Test, TestOutcome, peers,
};
use bytes::Bytes;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tokio::sync::mpsc;

/// The component of static analysis.
const ANALYSIS: &str = "analysis";

/// The rule of a finding that says that something came out differently.
pub(super) const FLAKY: &str = "check/flaky";

/// The policy's view of a submission: a commit by a machine that adds every line, or those that its change adds.
fn as_commit(submission: &Submission) -> Value {
    let added = |path: &str, text: &str| {
        let added: Vec<Value> = text
            .lines()
            .enumerate()
            .map(|(index, line)| json!({ "line": index + 1, "text": line }))
            .collect();
        json!({ "path": path, "change": "added", "binary": false, "added": added })
    };
    let files: Vec<Value> = match &submission.change {
        Some(change) => change.files.iter().map(|file| json!(file)).collect(),
        None => all(submission)
            .map(|file| added(&file.path, &file.text))
            .collect(),
    };
    let change = submission.change.as_ref();
    json!({
        "repository": { "name": change.map_or("submission", |change| &change.repository) },
        "commit": {
            "id": change.and_then(|change| change.head.as_deref()).unwrap_or_default(),
            "message": "",
            "author": { "name": "automation-bot", "email": "" },
            // Nobody signs what is only looked at.
            "verification": { "verified": true },
        },
        "files": files,
    })
}

/// Code and tests.
fn all(submission: &Submission) -> impl Iterator<Item = &CodeFile> {
    submission.files.iter().chain(&submission.tests)
}

/// What of a submission is new: all of it, or the files that its change touches.
pub(super) fn new(submission: &Submission) -> Vec<&CodeFile> {
    let Some(change) = &submission.change else {
        return all(submission).collect();
    };
    let touched: BTreeSet<&str> = change.files.iter().map(|file| file.path.as_str()).collect();
    all(submission)
        .filter(|file| touched.contains(file.path.as_str()))
        .collect()
}

fn finding(violation: Violation, level: Level) -> Finding {
    Finding {
        rule: violation.rule,
        level,
        message: violation.message,
        location: violation.path.map(|path| Location {
            repository: None,
            path,
            line: violation.line,
            column: violation.column,
        }),
        help: violation.help,
    }
}

/// How many there are of something, in words.
pub(super) fn counted(count: usize, what: &str) -> String {
    match count {
        1 => format!("1 {what}"),
        count => format!("{count} {what}s"),
    }
}

/// Sets outcome and summary by the findings.
pub(super) fn by_findings(step: &mut CheckStep) {
    let errors = step
        .findings
        .iter()
        .filter(|finding| finding.level == Level::Error)
        .count();
    let others = step.findings.len() - errors;
    step.outcome = if errors > 0 {
        StepOutcome::Failed
    } else {
        StepOutcome::Passed
    };
    step.summary = match (errors, others) {
        (0, 0) => "nothing found".into(),
        (0, others) => counted(others, "hint"),
        (errors, 0) => counted(errors, "problem"),
        (errors, others) => format!(
            "{}, {}",
            counted(errors, "problem"),
            counted(others, "hint")
        ),
    };
}

/// Sets outcome and summary by the tests.
pub(super) fn count(step: &mut CheckStep, what: &str) {
    let with = |outcome| {
        step.tests
            .iter()
            .filter(|test| test.outcome == outcome)
            .count()
    };
    let (passed, skipped) = (with(TestOutcome::Passed), with(TestOutcome::Skipped));
    let (failed, errored) = (with(TestOutcome::Failed), with(TestOutcome::Errored));
    let all = counted(step.tests.len(), what);
    if failed + errored > 0 {
        step.outcome = StepOutcome::Failed;
        let first = step
            .tests
            .iter()
            .find(|test| matches!(test.outcome, TestOutcome::Failed | TestOutcome::Errored));
        let example = first.map_or_else(String::new, |test| {
            let why = test.message.as_deref().unwrap_or("failed");
            format!("; {}: {why}", test.name)
        });
        step.summary = format!("{} of {all} failed{example}", failed + errored);
    } else if passed == 0 {
        step.outcome = StepOutcome::Error;
        step.summary = format!("all of {all} were skipped, so nothing was tested");
    } else {
        step.outcome = StepOutcome::Passed;
        step.summary = match skipped {
            0 => format!("{all} passed"),
            skipped => format!("{passed} of {all} passed, {skipped} skipped"),
        };
    }
}

/// What differs between two runs of a test.
pub(super) fn flaky_message(one: &Test, other: &Test) -> String {
    let say = |test: &Test| match (&test.outcome, &test.message) {
        (TestOutcome::Passed, _) => "passed".to_owned(),
        (_, Some(message)) => format!("failed ({message})"),
        (_, None) => "failed".to_owned(),
    };
    format!(
        "{}, and at another moment with other dice {}",
        say(one),
        say(other)
    )
}

/// Adds a finding for each test that came out differently.
pub(super) fn note_flaky(step: &mut CheckStep, names: &[String]) {
    for name in names {
        step.findings.push(Finding {
            rule: FLAKY.into(),
            level: Level::Error,
            message: format!("`{name}` depends on the moment or on dice"),
            location: None,
            help: Some("seed what is random, and hand the time in".into()),
        });
    }
}

impl Checks {
    /// The rules over every line.
    pub(super) async fn policy(&self, submission: &Submission) -> CheckStep {
        let mut step = CheckStep::new(StepKind::Policy, StepOutcome::Passed, "");
        let input = as_commit(submission);
        for package in &submission.policies {
            let decision = match self.rules.decide(package, &input).await {
                Ok(Some(decision)) => decision,
                Ok(None) => {
                    let why = "no agent that runs has policies";
                    return CheckStep::skipped(StepKind::Policy, why);
                }
                Err(message) => return CheckStep::error(StepKind::Policy, message),
            };
            let denials = decision.denials.into_iter();
            let warnings = decision.warnings.into_iter();
            step.findings
                .extend(denials.map(|violation| finding(violation, Level::Error)));
            step.findings
                .extend(warnings.map(|violation| finding(violation, Level::Warning)));
        }
        by_findings(&mut step);
        step
    }

    /// Static analysis.
    pub(super) async fn analysis(&self, submission: &Submission) -> CheckStep {
        let component = match self.component(ANALYSIS).await {
            Ok(component) => component,
            Err(message) => return CheckStep::error(StepKind::Analysis, message),
        };
        let job = self.job(submission, 0);
        let meter = Arc::clone(&job.meter);
        let files: Vec<CodeFile> = new(submission).into_iter().cloned().collect();
        if files.is_empty() {
            return CheckStep::skipped(StepKind::Analysis, "the change has no text that it reads");
        }
        let handed: BTreeSet<&str> = files.iter().map(|file| file.path.as_str()).collect();
        let local = all(submission)
            .map(|file| file.path.as_str())
            .chain(
                submission
                    .change
                    .iter()
                    .flat_map(|change| change.others.iter().map(String::as_str)),
            )
            .filter(|path| !handed.contains(path))
            .map(str::to_owned)
            .collect();
        let call = Call::Analyse { files, local };
        let _given_up = job.cancel.clone().drop_guard();
        let end = self.sandbox.call(&component, call, job).await;
        let mut step = CheckStep::new(StepKind::Analysis, StepOutcome::Passed, "");
        step.add(&end, &meter);
        match end.result {
            Ok(Answer::Findings(findings)) => {
                step.findings = findings;
                by_findings(&mut step);
                step
            }
            Ok(answer) => CheckStep::error(StepKind::Analysis, unexpected(&answer)),
            Err(stop) => CheckStep::error(StepKind::Analysis, stopped(&stop)),
        }
    }

    /// What other tools said of the commit.
    pub(super) async fn reported(&self, submission: &Submission) -> CheckStep {
        let head = submission
            .change
            .as_ref()
            .and_then(|change| Some((&change.repository, change.head.as_ref()?)));
        let (false, Some((repository, head))) = (submission.reported.is_empty(), head) else {
            return CheckStep::skipped(StepKind::Reported, "no tool is waited for");
        };
        let statuses = match self.repositories.statuses(repository, head).await {
            Ok(statuses) => statuses,
            Err(message) => return CheckStep::error(StepKind::Reported, message),
        };
        let mut step = CheckStep::new(StepKind::Reported, StepOutcome::Passed, "");
        let mut missing = Vec::new();
        for name in &submission.reported {
            let latest = statuses.iter().filter(|status| status.name == *name);
            // Of two of one moment the first counts: what the host itself keeps comes latest first.
            match latest.reduce(|one, other| {
                if other.created_at > one.created_at {
                    other
                } else {
                    one
                }
            }) {
                None => missing.push(format!("`{name}` has not reported")),
                Some(status) => match status.state {
                    StatusState::Pending => missing.push(format!("`{name}` is not done")),
                    StatusState::Success => {}
                    StatusState::Failure | StatusState::Error => {
                        step.findings.extend(status.annotations.iter().cloned());
                        step.findings.push(Finding {
                            rule: format!("reported/{name}"),
                            level: Level::Error,
                            message: status.summary.clone(),
                            location: None,
                            help: None,
                        });
                    }
                },
            }
        }
        by_findings(&mut step);
        if step.outcome == StepOutcome::Passed && !missing.is_empty() {
            step.outcome = StepOutcome::Error;
            step.summary = missing.join("; ");
        }
        step
    }

    /// The tests.
    pub(super) async fn tests(&self, submission: &Submission, news: &News) -> CheckStep {
        if submission.tests.is_empty() {
            return CheckStep::skipped(StepKind::Tests, "there are no tests");
        }
        let component = match self.component(submission.language.runner()).await {
            Ok(component) => component,
            Err(message) => return CheckStep::error(StepKind::Tests, message),
        };
        let mut step = self.run_tests(submission, &component, 0, news).await;
        if submission.detect_flaky && step.outcome != StepOutcome::Error {
            let again = self.run_tests(submission, &component, 1, &None).await;
            step.usage.instances += again.usage.instances;
            step.usage.cpu_us += again.usage.cpu_us;
            step.usage.instantiate_us += again.usage.instantiate_us;
            if again.outcome == StepOutcome::Error {
                step.outcome = StepOutcome::Error;
                step.summary = format!("at another moment: {}", again.summary);
                return step;
            }
            let others: BTreeMap<&str, &Test> = again
                .tests
                .iter()
                .map(|test| (test.name.as_str(), test))
                .collect();
            let mut names = Vec::new();
            for test in &mut step.tests {
                let message = match others.get(test.name.as_str()) {
                    Some(other) if other.outcome == test.outcome => continue,
                    Some(other) => flaky_message(test, other),
                    None => "it is not there at another moment".into(),
                };
                names.push(test.name.clone());
                test.outcome = TestOutcome::Failed;
                test.message = Some(message);
            }
            if names.is_empty() && again.outcome != step.outcome {
                names.push("the tests".into());
                step.outcome = StepOutcome::Failed;
                step.summary = "they came out differently at another moment".into();
                note_flaky(&mut step, &names);
                return step;
            }
            if !names.is_empty() {
                note_flaky(&mut step, &names);
                count(&mut step, "test");
            }
        }
        step
    }

    async fn run_tests(
        &self,
        submission: &Submission,
        component: &Arc<Loaded>,
        seed: u64,
        news: &News,
    ) -> CheckStep {
        let watch = news.clone().map(|news| {
            let (sender, mut receiver) = mpsc::unbounded_channel();
            tokio::spawn(async move {
                while let Some(test) = receiver.recv().await {
                    let _ = news.send(CheckNews::Test {
                        step: StepKind::Tests,
                        test: Box::new(test),
                    });
                }
            });
            sender
        });
        let files = Arc::new(submission.files.clone());
        let call = |files: Arc<Vec<CodeFile>>, task: CodeTask, peer: Option<Peer>| {
            move |heard| CodeCall {
                files,
                task,
                input: Bytes::new(),
                heard,
                peer,
            }
        };
        let tests = submission.tests.clone();
        let mut step = CheckStep::new(StepKind::Tests, StepOutcome::Passed, "");
        let (ran, code) = match submission.isolation {
            Isolation::Shared => {
                let job = self.job(submission, seed);
                let call = call(files, CodeTask::Tests(tests), None);
                (self.run(component, job, call, watch, None).await, None)
            }
            Isolation::Apart => {
                let (here, there) = peers();
                let job = self.job(submission, seed);
                let served = self.job(submission, seed);
                let over = served.cancel.clone();
                let beside = Some(Arc::clone(&served.meter));
                let tests = call(Arc::clone(&files), CodeTask::TestsApart(tests), Some(here));
                let code = call(files, CodeTask::Serve, Some(there));
                let tests = async {
                    let ran = self.run(component, job, tests, watch, beside).await;
                    // The code has nobody to answer any more.
                    over.cancel();
                    ran
                };
                let code = self.run(component, served, code, None, None);
                let (ran, code) = tokio::join!(tests, code);
                (ran, Some(code))
            }
        };
        step.add(&ran.end, &ran.meter);
        step.output = shown(&ran.stdout) + &shown(&ran.stderr);
        step.tests = ran.tests;
        if let Some(code) = &code {
            step.add(&code.end, &code.meter);
            step.output.push_str(&shown(&code.stdout));
            step.output.push_str(&shown(&code.stderr));
        }
        let died = code.as_ref().and_then(died);
        match (&ran.end.result, died) {
            (Ok(Answer::Code(..)), None) => count(&mut step, "test"),
            // The tests saw it, too, but not why.
            (Ok(_), Some((why, own))) => {
                step.outcome = if own {
                    StepOutcome::Failed
                } else {
                    StepOutcome::Error
                };
                step.summary = format!("the code ended: {why}");
                if let Some(test) = step
                    .tests
                    .iter_mut()
                    .find(|test| matches!(test.outcome, TestOutcome::Failed | TestOutcome::Errored))
                {
                    test.message = Some(format!("the code ended: {why}"));
                }
            }
            (Ok(answer), None) => {
                step.outcome = StepOutcome::Error;
                step.summary = unexpected(answer);
            }
            (Err(stop), died) => {
                let (why, own) = died.unwrap_or_else(|| (stopped(stop), own_doing(stop)));
                step.summary = match &ran.open {
                    Some(name) => format!("`{name}` was stopped: {why}"),
                    None => format!("the tests were stopped: {why}"),
                };
                if let Some(name) = &ran.open {
                    let denials = step.denials.iter().take(TEST_DENIALS_MAX);
                    step.tests.push(Test {
                        denials: denials.cloned().collect(),
                        name: name.clone(),
                        outcome: TestOutcome::Failed,
                        message: Some(why),
                        details: None,
                        output: String::new(),
                        path: None,
                        line: None,
                        duration_us: 0,
                        cpu_us: 0,
                        memory_peak_bytes: ran.end.usage.peak_memory_bytes,
                    });
                }
                step.outcome = if own {
                    StepOutcome::Failed
                } else {
                    StepOutcome::Error
                };
            }
        }
        step
    }
}

/// Why the code's instance ended before its tests did, if that is what happened, and whether that was its own doing.
fn died(code: &Ran) -> Option<(String, bool)> {
    match &code.end.result {
        Ok(_) => None,
        Err(stop) if stop.outcome == crate::model::Outcome::Cancelled => None,
        Err(stop) => Some((stopped(stop), own_doing(stop))),
    }
}
