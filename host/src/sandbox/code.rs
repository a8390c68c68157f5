//! Running code that somebody handed in, by an interpreter that is a component: what such a call takes, and what the host hears of it while it runs.
//!
//! What is heard outlives the store, so that a call that was stopped still shows what it printed and which tests were over. Two calls can be joined: each hands the other a message
//! and waits for the next one, so that tests and the code they test have nothing in common but what they tell each other.

use super::call::Answer;
use super::command::Captured;
use super::contract::code::exports::infinity::agent::code as wit;
use super::contract::code::infinity::agent::{code_types, peer, testing};
use super::meter::Meter;
use super::outcome::WrongWorld;
use super::state::RunState;
use crate::model::Denial;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use utoipa::ToSchema;
use wasmtime::Store;

/// Tests of one call; who defines more is stopped.
pub const TESTS_MAX: usize = 10_000;

/// Different denials of one test that are listed; its step lists more.
pub const TEST_DENIALS_MAX: usize = 20;

/// The longest message between two instances, in bytes: what one call may hand over at once.
pub(super) const MESSAGE_MAX_BYTES: usize = 16 * 1024 * 1024;

/// A file that was handed in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CodeFile {
    /// Relative, with `/` between its parts.
    pub path: String,
    /// Its text.
    pub text: String,
}

/// What is to be done with the files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CodeTask {
    /// Runs a file as the main program.
    Program {
        /// One of the files.
        path: String,
        /// What follows the program's name.
        arguments: Vec<String>,
    },
    /// Calls a function.
    Function {
        /// The file that defines it.
        path: String,
        /// Its name.
        name: String,
        /// A JSON array.
        arguments: String,
        /// A JSON object.
        named: String,
    },
    /// Runs tests in the same interpreter as the code.
    Tests(Vec<CodeFile>),
    /// Runs tests whose code is in the instance at the other end.
    TestsApart(Vec<CodeFile>),
    /// Answers what the tests at the other end ask.
    Serve,
    /// Calls `check(submission)` of a script.
    Check(CodeFile),
}

/// How a test ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TestOutcome {
    /// It held.
    Passed,
    /// An assertion did not hold, or an exception came out of it.
    Failed,
    /// It could not be run.
    Errored,
    /// It was left out.
    Skipped,
}

/// One test that is over.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Test {
    /// Unique within a check.
    pub name: String,
    /// How it ended.
    pub outcome: TestOutcome,
    /// What went wrong, in one line.
    pub message: Option<String>,
    /// The traceback.
    pub details: Option<String>,
    /// What it printed.
    pub output: String,
    /// Where it went wrong, or where it is defined.
    pub path: Option<String>,
    /// From 1.
    pub line: Option<u32>,
    /// Between its beginning and its end as the host heard of them, in microseconds.
    pub duration_us: u64,
    /// CPU time in between, in microseconds.
    pub cpu_us: u64,
    /// The most memory that the instance had by then, in bytes.
    pub memory_peak_bytes: u64,
    /// What the sandbox refused in between, at most [`TEST_DENIALS_MAX`] different ones.
    #[serde(default)]
    pub denials: Vec<Denial>,
}

/// What came of a task.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CodeAnswer {
    /// Of a program.
    pub exit_code: u8,
    /// Of a function: JSON.
    pub value: Option<String>,
    /// The exception that came out.
    pub error: Option<String>,
    /// The name of its type.
    pub error_type: Option<String>,
}

/// What the host hears of a call while it runs.
#[derive(Clone)]
pub struct Heard {
    pub(super) stdout: Captured,
    pub(super) stderr: Captured,
    tests: Arc<Mutex<Tests>>,
    /// Of the instance, and of the one at the other end.
    meters: Vec<Arc<Meter>>,
    watch: Option<mpsc::UnboundedSender<Test>>,
}

#[derive(Default)]
struct Tests {
    open: Option<Open>,
    over: Vec<Test>,
}

/// The test that is in progress.
struct Open {
    name: String,
    since: Instant,
    cpu: Duration,
    denied: Vec<Denial>,
}

fn is_same(one: &Denial, other: &Denial) -> bool {
    one.capability == other.capability && one.attempt == other.attempt
}

/// What was denied since an earlier look.
#[must_use]
pub fn denied_since(before: &[Denial], now: Vec<Denial>) -> Vec<Denial> {
    now.into_iter()
        .filter_map(|mut denial| {
            let earlier = before.iter().find(|one| is_same(one, &denial));
            denial.count -= earlier.map_or(0, |one| one.count).min(denial.count);
            (denial.count > 0).then_some(denial)
        })
        .take(TEST_DENIALS_MAX)
        .collect()
}

impl Heard {
    /// Nothing yet. Each test that is over goes to `watch`, too; there are [`TESTS_MAX`] at most.
    #[must_use]
    pub fn new(meter: &Arc<Meter>, watch: Option<mpsc::UnboundedSender<Test>>) -> Self {
        Self {
            stdout: Captured::new(Arc::clone(meter)),
            stderr: Captured::new(Arc::clone(meter)),
            tests: Arc::default(),
            meters: vec![Arc::clone(meter)],
            watch,
        }
    }

    /// Also what the instance of this meter is denied is denied in a test.
    #[must_use]
    pub fn beside(mut self, meter: Option<Arc<Meter>>) -> Self {
        self.meters.extend(meter);
        self
    }

    fn denials(&self) -> Vec<Denial> {
        let mut all: Vec<Denial> = Vec::new();
        for denial in self.meters.iter().flat_map(|meter| meter.denials()) {
            match all.iter_mut().find(|one| is_same(one, &denial)) {
                Some(same) => same.count += denial.count,
                None => all.push(denial),
            }
        }
        all
    }

    /// Standard output so far, and nothing is left.
    #[must_use]
    pub fn take_stdout(&self) -> Vec<u8> {
        self.stdout.take()
    }

    /// Standard error so far, and nothing is left.
    #[must_use]
    pub fn take_stderr(&self) -> Vec<u8> {
        self.stderr.take()
    }

    /// The tests that are over, and the name of the one that is not.
    #[must_use]
    pub fn take_tests(&self) -> (Vec<Test>, Option<String>) {
        let mut tests = self.tests();
        (
            std::mem::take(&mut tests.over),
            tests.open.take().map(|open| open.name),
        )
    }

    fn tests(&self) -> std::sync::MutexGuard<'_, Tests> {
        self.tests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One end of the way between two instances.
#[derive(Clone)]
pub struct Peer {
    to: mpsc::Sender<Vec<u8>>,
    from: Arc<tokio::sync::Mutex<mpsc::Receiver<Vec<u8>>>>,
}

/// The two ends of a way between two instances.
#[must_use]
pub fn peers() -> (Peer, Peer) {
    // They take turns, so that one message is on its way at most.
    let (to_one, from_other) = mpsc::channel(1);
    let (to_other, from_one) = mpsc::channel(1);
    let end = |to, from| Peer {
        to,
        from: Arc::new(tokio::sync::Mutex::new(from)),
    };
    (end(to_other, from_other), end(to_one, from_one))
}

/// A call of an interpreter.
#[derive(Clone)]
pub struct CodeCall {
    /// What was handed in.
    pub files: Arc<Vec<CodeFile>>,
    /// What is to be done.
    pub task: CodeTask,
    /// Standard input.
    pub input: Bytes,
    /// What is heard.
    pub heard: Heard,
    /// The other instance, of a task that has one.
    pub peer: Option<Peer>,
}

impl std::fmt::Debug for CodeCall {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("CodeCall")
            .field("task", &self.task)
            .finish_non_exhaustive()
    }
}

/// What the store keeps of a call.
pub(super) struct Link {
    heard: Heard,
    peer: Option<Peer>,
    /// Whether it may tell of tests: code whose tests are elsewhere may not.
    tests: bool,
}

impl Link {
    pub(super) fn new(call: &CodeCall) -> Self {
        Self {
            heard: call.heard.clone(),
            peer: call.peer.clone(),
            tests: matches!(call.task, CodeTask::Tests(_) | CodeTask::TestsApart(_)),
        }
    }
}

/// A file as the contract has it.
pub(super) fn file(file: CodeFile) -> code_types::File {
    code_types::File {
        path: file.path,
        text: file.text,
    }
}

fn files(files: &[CodeFile]) -> Vec<code_types::File> {
    files.iter().cloned().map(file).collect()
}

impl From<&CodeTask> for code_types::Task {
    fn from(task: &CodeTask) -> Self {
        match task {
            CodeTask::Program { path, arguments } => Self::RunProgram(code_types::Program {
                path: path.clone(),
                arguments: arguments.clone(),
            }),
            CodeTask::Function {
                path,
                name,
                arguments,
                named,
            } => Self::CallFunction(code_types::FunctionCall {
                path: path.clone(),
                name: name.clone(),
                arguments: arguments.clone(),
                named: named.clone(),
            }),
            CodeTask::Tests(tests) => Self::RunTests(files(tests)),
            CodeTask::TestsApart(tests) => Self::RunTestsApart(files(tests)),
            CodeTask::Serve => Self::ServeCode,
            CodeTask::Check(script) => Self::RunCheck(file(script.clone())),
        }
    }
}

/// Calls the interpreter.
pub(super) async fn run(
    store: &mut Store<RunState>,
    indices: Option<&super::contract::code::CodeRunnerIndices>,
    instance: &wasmtime::component::Instance,
    call: &CodeCall,
) -> wasmtime::Result<Answer> {
    let indices = indices.ok_or_else(|| {
        wasmtime::Error::from(WrongWorld("the component has no `code` export".into()))
    })?;
    let runner = indices.load(&mut *store, instance)?;
    let files = match call.task {
        // The tests' instance knows the names of what it tests, and nothing else of it.
        CodeTask::TestsApart(_) => call
            .files
            .iter()
            .map(|file| code_types::File {
                path: file.path.clone(),
                text: String::new(),
            })
            .collect(),
        _ => files(&call.files),
    };
    let said = runner
        .infinity_agent_code()
        .call_run(&mut *store, &files, &(&call.task).into())
        .await;
    let said = match (said, &call.task) {
        (Err(error), CodeTask::Program { .. }) => {
            match error.downcast_ref::<wasmtime_wasi::I32Exit>() {
                Some(exit) => Ok((
                    wit::Answer {
                        // As a shell sees it.
                        exit_code: u8::try_from(exit.0 & 0xff).unwrap_or(1),
                        value: None,
                        error: None,
                        error_type: None,
                    },
                    Vec::new(),
                )),
                None => return Err(error),
            }
        }
        (said, _) => said?,
    };
    Ok(match said {
        Ok((answer, findings)) => Answer::Code(
            CodeAnswer {
                exit_code: answer.exit_code,
                value: answer.value,
                error: answer.error,
                error_type: answer.error_type,
            },
            findings.into_iter().map(super::call::finding).collect(),
        ),
        Err(message) => Answer::Error(message),
    })
}

/// The interface holds types only.
impl code_types::Host for RunState {}

impl testing::Host for RunState {
    async fn begin(&mut self, name: String) -> wasmtime::Result<()> {
        self.meter.cross(name.len() as u64)?;
        let cpu = self.meter.cpu();
        let Some(link) = self.code.as_ref().filter(|link| link.tests) else {
            return Ok(());
        };
        let denied = link.heard.denials();
        link.heard.tests().open = Some(Open {
            name,
            since: Instant::now(),
            cpu,
            denied,
        });
        Ok(())
    }

    async fn end(&mut self, test: code_types::Test) -> wasmtime::Result<()> {
        let texts = [&test.message, &test.details, &test.path];
        let bytes = test.name.len()
            + test.output.len()
            + texts
                .iter()
                .filter_map(|text| text.as_ref())
                .map(String::len)
                .sum::<usize>();
        self.meter.cross(bytes as u64)?;
        let (cpu, memory) = (self.meter.cpu(), self.meter.memory_peak());
        let Some(link) = self.code.as_ref().filter(|link| link.tests) else {
            return Ok(());
        };
        if !self.meter.charge_output(bytes as u64) {
            return Err(self.meter.stop(
                crate::model::Limit::Output,
                format!(
                    "the tests have more than {} bytes of output",
                    self.meter.budget.output_bytes
                ),
            ));
        }
        let denied = link.heard.denials();
        let mut tests = link.heard.tests();
        if tests.over.len() >= TESTS_MAX {
            return Err(self.meter.stop(
                crate::model::Limit::Output,
                format!("more than {TESTS_MAX} tests"),
            ));
        }
        let open = tests.open.take();
        let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let over = Test {
            outcome: match test.outcome {
                code_types::TestOutcome::Passed => TestOutcome::Passed,
                code_types::TestOutcome::Failed => TestOutcome::Failed,
                code_types::TestOutcome::Errored => TestOutcome::Errored,
                code_types::TestOutcome::Skipped => TestOutcome::Skipped,
            },
            name: test.name,
            message: test.message,
            details: test.details,
            output: test.output,
            path: test.path,
            line: test.line,
            duration_us: open.as_ref().map_or(0, |open| micros(open.since.elapsed())),
            cpu_us: open
                .as_ref()
                .map_or(0, |open| micros(cpu.saturating_sub(open.cpu))),
            memory_peak_bytes: memory,
            denials: denied_since(open.as_ref().map_or(&[][..], |open| &open.denied), denied),
        };
        if let Some(watch) = &link.heard.watch {
            let _ = watch.send(over.clone());
        }
        tests.over.push(over);
        Ok(())
    }
}

impl peer::Host for RunState {
    async fn exchange(&mut self, message: Option<Vec<u8>>) -> wasmtime::Result<Option<Vec<u8>>> {
        let length = message.as_ref().map_or(0, Vec::len);
        self.meter.cross(length as u64)?;
        let Some(peer) = self.code.as_ref().and_then(|link| link.peer.clone()) else {
            return Ok(None);
        };
        if length > MESSAGE_MAX_BYTES {
            return Err(self.meter.stop(
                crate::model::Limit::Output,
                format!("a message of {length} bytes to the other instance; {MESSAGE_MAX_BYTES} are allowed"),
            ));
        }
        if let Some(message) = message
            && peer.to.send(message).await.is_err()
        {
            return Ok(None);
        }
        Ok(peer.from.lock().await.recv().await)
    }
}
