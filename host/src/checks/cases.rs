//! Cases: a program or a function is run with what is given, and the host compares what came of it. What must come of it stays here.

use super::submission::{Case, CaseTask, Expected, StepKind, Submission};
use super::{
    CheckNews, CheckStep, Checks, News, Ran, StepOutcome, own_doing, shown, stopped, unexpected,
};
use crate::sandbox::Loaded;
use crate::sandbox::call::Answer;
use crate::sandbox::code::{
    CodeAnswer, CodeCall, CodeFile, CodeTask, Test, TestOutcome, denied_since,
};
use bytes::Bytes;
use serde_json::Value;
use std::sync::Arc;

/// Output and tracebacks of all cases of a check together, in bytes: its record is one row, and lists show many.
const RECORD_BYTES: usize = 2 * 1024 * 1024;

/// Characters of a value that a message shows.
const VALUE_SHOWN_CHARS: usize = 200;

impl Checks {
    /// Runs all cases, one after the other: checks run beside each other, and a check's cases would only take each other's places.
    pub(super) async fn cases(&self, submission: &Submission, news: &News) -> CheckStep {
        if submission.cases.is_empty() {
            return CheckStep::skipped(StepKind::Cases, "there are no cases");
        }
        let component = match self.component(submission.language.runner()).await {
            Ok(component) => component,
            Err(message) => return CheckStep::error(StepKind::Cases, message),
        };
        let files = Arc::new(submission.files.clone());
        let mut step = CheckStep::new(StepKind::Cases, StepOutcome::Passed, "");
        let mut flaky = Vec::new();
        let mut room = RECORD_BYTES;
        for case in &submission.cases {
            let (mut test, mut error) = self
                .case(submission, &component, &files, case, 0, &mut step)
                .await;
            if submission.detect_flaky && error.is_none() {
                let (again, fault) = self
                    .case(submission, &component, &files, case, 1, &mut step)
                    .await;
                error = fault;
                if error.is_none() && (again.outcome != test.outcome || again.output != test.output)
                {
                    flaky.push(case.name.clone());
                    test.message = Some(super::steps::flaky_message(&test, &again));
                    test.outcome = TestOutcome::Failed;
                }
            }
            let bytes = test.output.len() + test.details.as_ref().map_or(0, String::len);
            match room.checked_sub(bytes) {
                Some(left) => room = left,
                None => {
                    test.output = "[left out: the cases printed too much together]".into();
                    test.details = None;
                }
            }
            if let Some(news) = news {
                let _ = news.send(CheckNews::Test {
                    step: StepKind::Cases,
                    test: Box::new(test.clone()),
                });
            }
            step.tests.push(test);
            if let Some(message) = error {
                step.outcome = StepOutcome::Error;
                step.summary = message;
                return step;
            }
        }
        super::steps::note_flaky(&mut step, &flaky);
        super::steps::count(&mut step, "case");
        step
    }

    /// Runs one case. The text is why it could not be judged.
    async fn case(
        &self,
        submission: &Submission,
        component: &Arc<Loaded>,
        files: &Arc<Vec<CodeFile>>,
        case: &Case,
        seed: u64,
        step: &mut CheckStep,
    ) -> (Test, Option<String>) {
        let (task, input, path) = match &case.task {
            CaseTask::Program {
                arguments, stdin, ..
            } => {
                let path = submission.entry.clone().unwrap_or_default();
                let task = CodeTask::Program {
                    path: path.clone(),
                    arguments: arguments.clone(),
                };
                (task, Bytes::from(stdin.clone()), path)
            }
            CaseTask::Function {
                path,
                name,
                arguments,
                named,
                ..
            } => {
                let task = CodeTask::Function {
                    path: path.clone(),
                    name: name.clone(),
                    arguments: arguments.to_string(),
                    named: named.to_string(),
                };
                (task, Bytes::new(), path.clone())
            }
        };
        let files = Arc::clone(files);
        let ran = self
            .run(
                component,
                self.job(submission, seed),
                move |heard| CodeCall {
                    files,
                    task,
                    input,
                    heard,
                    peer: None,
                },
                None,
                None,
            )
            .await;
        step.add(&ran.end, &ran.meter);
        let mut test = Test {
            denials: denied_since(&[], ran.meter.denials()),
            name: case.name.clone(),
            outcome: TestOutcome::Failed,
            message: None,
            details: None,
            output: String::new(),
            path: Some(path),
            line: None,
            duration_us: ran.end.usage.wall_us,
            cpu_us: ran.end.usage.cpu_us,
            memory_peak_bytes: ran.end.usage.peak_memory_bytes,
        };
        let answer = match &ran.end.result {
            Ok(Answer::Code(answer, _)) => answer,
            Ok(other) => {
                test.outcome = TestOutcome::Errored;
                let message = unexpected(other);
                test.message = Some(message.clone());
                return (test, Some(message));
            }
            Err(stop) => {
                test.message = Some(stopped(stop));
                test.output = printed(&ran);
                let fault = (!own_doing(stop)).then(|| stopped(stop));
                return (test, fault);
            }
        };
        test.output = printed(&ran);
        match compare(case, answer, &ran) {
            Ok(()) => test.outcome = TestOutcome::Passed,
            Err(message) => {
                test.message = Some(message);
                test.details = answer.error.as_ref().map(|error| shown(error.as_bytes()));
            }
        }
        (test, None)
    }
}

fn printed(ran: &Ran) -> String {
    let mut text = shown(&ran.stdout);
    let errors = shown(&ran.stderr);
    // As a terminal shows them: what is said of an error begins a line.
    if !errors.is_empty() && !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    text.push_str(&errors);
    text
}

/// What speaks against a case.
fn compare(case: &Case, answer: &CodeAnswer, ran: &Ran) -> Result<(), String> {
    match &case.task {
        CaseTask::Program {
            stdout,
            exact,
            exit_code,
            ..
        } => {
            if let Some(expected) = stdout {
                same_text(expected, &ran.stdout, *exact)?;
            }
            if answer.exit_code != *exit_code {
                return Err(format!(
                    "the exit code is {} instead of {exit_code}",
                    answer.exit_code
                ));
            }
            Ok(())
        }
        CaseTask::Function { expected, .. } => match (expected, &answer.error_type) {
            (Expected::Raises(expected), Some(raised)) if raised == expected => Ok(()),
            (Expected::Raises(expected), Some(raised)) => {
                Err(format!("it raised {} instead of {expected}", brief(raised)))
            }
            (Expected::Raises(expected), None) => Err(format!(
                "it returned {} instead of raising {expected}",
                brief(answer.value.as_deref().unwrap_or("nothing"))
            )),
            (Expected::Returns(..), Some(_)) => {
                let error = answer.error.as_deref().unwrap_or_default();
                Err(format!(
                    "it raised {}",
                    brief(
                        error
                            .trim_end()
                            .lines()
                            .next_back()
                            .unwrap_or("an exception")
                    )
                ))
            }
            (Expected::Returns(expected, tolerance), None) => {
                let text = answer.value.as_deref().unwrap_or("null");
                let value: Value = serde_json::from_str(text)
                    .map_err(|_| "the runner's answer is no JSON".to_owned())?;
                if same_value(expected, &value, *tolerance) {
                    Ok(())
                } else {
                    Err(format!(
                        "it returned {} instead of {}",
                        brief(text),
                        brief(&expected.to_string())
                    ))
                }
            }
        },
    }
}

fn brief(text: &str) -> String {
    let mut brief: String = text.chars().take(VALUE_SHOWN_CHARS).collect();
    if brief.len() < text.len() {
        brief.push('…');
    }
    brief
}

/// Compares what was printed with what should have been.
fn same_text(expected: &str, printed: &[u8], exact: bool) -> Result<(), String> {
    let Ok(printed) = std::str::from_utf8(printed) else {
        return Err("standard output is no UTF-8".into());
    };
    if exact {
        if expected == printed {
            return Ok(());
        }
    } else if lines(expected).eq(lines(printed)) {
        return Ok(());
    }
    let mut number = 1;
    let (mut one, mut other) = (expected.lines(), printed.lines());
    loop {
        match (one.next(), other.next()) {
            (Some(expected), Some(printed))
                if expected == printed || (!exact && expected.trim_end() == printed.trim_end()) =>
            {
                number += 1;
            }
            (Some(expected), Some(printed)) => {
                return Err(format!(
                    "line {number} of standard output is {:?} instead of {:?}",
                    brief(printed),
                    brief(expected)
                ));
            }
            (Some(expected), None) => {
                return Err(format!(
                    "standard output ends before line {number}, which should be {:?}",
                    brief(expected)
                ));
            }
            (None, Some(printed)) => {
                return Err(format!(
                    "standard output goes on with line {number}: {:?}",
                    brief(printed)
                ));
            }
            (None, None) => return Err("standard output ends differently".into()),
        }
    }
}

/// The lines without what is not seen.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.trim_end().lines().map(str::trim_end)
}

/// The whole number that a number is, exactly: 3.0 is 3, and a float is not the whole number beside it.
fn whole(number: &serde_json::Number) -> Option<i128> {
    if let Some(number) = number.as_i64() {
        return Some(number.into());
    }
    if let Some(number) = number.as_u64() {
        return Some(number.into());
    }
    let float = number.as_f64()?;
    // Far below what 128 bits hold, and far above what 64 do.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "it is whole and its size was looked at"
    )]
    (float.fract() == 0.0 && float.abs() < 1e30).then_some(float as i128)
}

/// Whether two values are equal: numbers by what they are, not by how they are written.
fn same_value(expected: &Value, value: &Value, tolerance: f64) -> bool {
    match (expected, value) {
        (Value::Number(one), Value::Number(other)) => {
            if one == other {
                return true;
            }
            let (Some(a), Some(b)) = (one.as_f64(), other.as_f64()) else {
                return false;
            };
            if tolerance == 0.0 {
                return match (whole(one), whole(other)) {
                    (Some(one), Some(other)) => one == other,
                    // Two floats, of which none is whole.
                    (None, None) => a.total_cmp(&b).is_eq(),
                    _ => false,
                };
            }
            (a - b).abs() <= tolerance
        }
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len()
                && one
                    .iter()
                    .zip(other)
                    .all(|(one, other)| same_value(one, other, tolerance))
        }
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len()
                && one.iter().all(|(name, one)| {
                    other
                        .get(name)
                        .is_some_and(|other| same_value(one, other, tolerance))
                })
        }
        (one, other) => one == other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_are_compared_by_what_they_are() {
        let check = |one: Value, other: Value, same: bool| {
            assert_eq!(same_value(&one, &other, 0.0), same, "{one} and {other}");
        };
        check(json!(3), json!(3.0), true);
        check(json!(3), json!(3.5), false);
        check(json!(0.1), json!(0.1), true);
        check(json!(0), json!(-0.0), true);
        check(json!(true), json!(1), false);
        check(json!("3"), json!(3), false);
        check(json!(null), json!(false), false);
        check(json!([1, [2]]), json!([1, [2]]), true);
        check(json!([1, 2]), json!([1]), false);
        check(json!({ "a": 1, "b": 2 }), json!({ "b": 2, "a": 1.0 }), true);
        check(json!({ "a": 1 }), json!({ "a": 1, "b": 2 }), false);
        check(
            json!(9_007_199_254_740_993_u64),
            json!(9_007_199_254_740_992.0),
            false,
        );
        check(json!(u64::MAX), json!(u64::MAX - 1), false);
        assert!(same_value(&json!([0.3]), &json!([0.1 + 0.2]), 1e-9));
        assert!(!same_value(&json!([0.3]), &json!([0.31]), 1e-9));
    }

    #[test]
    fn text_is_compared_line_by_line_and_the_first_difference_is_told() {
        assert!(same_text("a\nb\n", b"a  \nb", false).is_ok());
        assert!(same_text("a\nb\n", b"a\nb\n", true).is_ok());
        let why =
            |expected, printed: &[u8], exact| same_text(expected, printed, exact).unwrap_err();
        assert_eq!(
            why("a\nb\n", b"a\nc\n", false),
            "line 2 of standard output is \"c\" instead of \"b\""
        );
        assert!(why("a\nb", b"a", false).starts_with("standard output ends before line 2"));
        assert!(why("a", b"a\nb", false).starts_with("standard output goes on with line 2"));
        assert!(why("a\n", b"a", true).starts_with("standard output ends differently"));
        assert!(why(" a", b"a", false).contains("line 1"));
        assert!(why("a", b"\xff", false).contains("UTF-8"));
    }
}
