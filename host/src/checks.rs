//! Judges code that somebody handed in: policy, static analysis, tests and cases, each in components that reach nothing, and says how far the verdict can be trusted.
//!
//! Invariants: every instance is fresh and used once; what must come of a case never enters the sandbox; no verdict rests on what the judged code says of itself, unless it says so by its
//! assurance. Nothing here knows of routes, of tables or of how a component is made to run.

mod cases;
mod live;
pub mod patch;
mod scripts;
mod steps;
pub mod submission;

pub use patch::Refused;
pub use submission::{Isolation, Language, Mistake, StepKind, Submission};

use crate::holds::Holds;
use crate::model::{CommitStatus, Denial, Finding, Outcome, Principal, now};
use crate::registry::Registry;
use crate::sandbox::call::{Answer, Call, Decision};
use crate::sandbox::clock::Fixed;
use crate::sandbox::code::{CodeCall, Heard, Test};
use crate::sandbox::engine::POOL_INTERPRETERS;
use crate::sandbox::meter::Meter;
use crate::sandbox::state::Capabilities;
use crate::sandbox::{CallEnd, Job, Loaded, Sandbox, Stop};
use crate::store::{Store, StoreError};
use arc_swap::ArcSwap;
use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{OnceCell, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use utoipa::ToSchema;
use uuid::Uuid;

/// Checks in progress at once, for each thread that runs guests: one computes while another one's step begins.
const PER_THREAD: usize = 2;

/// Checks in progress at once on any machine: two instances each, which have to fit into the pool.
const PLACES_MAX: usize = POOL_INTERPRETERS as usize / 2;

/// Checks that wait; a batch of the largest size and as many again.
const WAITING_MAX: usize = 2_000;

/// Code of all checks that wait or are in progress, in KiB: it is held in memory, and one batch may have a quarter of it.
const WAITING_MAX_KIB: u32 = 256 * 1024;

/// The longest time of one check, from its first step on: a thousand cases of a second each, or a suite of tests. What takes longer is no check but a run.
const CHECK_MAX: Duration = Duration::from_secs(20 * 60);

/// Different denials that a step lists; more of them would tell nobody more.
const DENIALS_MAX: usize = 100;

/// Text of standard output and standard error of one call that a verdict shows, in bytes.
const SHOWN_BYTES: usize = 64 * 1024;

/// What a check came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CheckVerdict {
    /// Nothing that was asked speaks against the code.
    Passed,
    /// Something does.
    Failed,
    /// It could not be judged.
    Error,
    /// It came out differently at another moment or with other dice.
    Flaky,
}

/// Who compared what the code did with what it should do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Assurance {
    /// The host: what was expected never entered the sandbox.
    Host,
    /// Tests inside the sandbox.
    Guest,
}

/// How a step ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum StepOutcome {
    /// It found nothing against the code.
    Passed,
    /// It did.
    Failed,
    /// It could not be done.
    Error,
    /// There was nothing to do, or an earlier step ended the check.
    Skipped,
}

/// What was used, over all instances of a step.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StepUsage {
    /// Instances.
    pub instances: u32,
    /// From the beginning of the step to its end, in microseconds.
    pub wall_us: u64,
    /// CPU time inside, in microseconds.
    pub cpu_us: u64,
    /// Making the instances, in microseconds.
    pub instantiate_us: u64,
    /// The most memory that one instance had, in bytes.
    pub peak_memory_bytes: u64,
    /// Calls into the host.
    pub host_calls: u64,
}

/// One step of a check.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CheckStep {
    /// Which.
    pub step: StepKind,
    /// How it ended.
    pub outcome: StepOutcome,
    /// One sentence.
    pub summary: String,
    /// Problems found in the code.
    pub findings: Vec<Finding>,
    /// Tests and cases, in their order.
    pub tests: Vec<Test>,
    /// What the sandbox refused.
    pub denials: Vec<Denial>,
    /// What the step's instances printed outside of tests, at most 64 KiB.
    pub output: String,
    /// What it took.
    pub usage: StepUsage,
}

impl CheckStep {
    fn new(step: StepKind, outcome: StepOutcome, summary: impl Into<String>) -> Self {
        Self {
            step,
            outcome,
            summary: summary.into(),
            findings: Vec::new(),
            tests: Vec::new(),
            denials: Vec::new(),
            output: String::new(),
            usage: StepUsage::default(),
        }
    }

    fn skipped(step: StepKind, summary: &str) -> Self {
        Self::new(step, StepOutcome::Skipped, summary)
    }

    fn error(step: StepKind, summary: impl Into<String>) -> Self {
        Self::new(step, StepOutcome::Error, summary)
    }

    /// Adds what a call used and was refused.
    fn add(&mut self, end: &CallEnd, meter: &Meter) {
        let usage = &mut self.usage;
        usage.instances += 1;
        usage.cpu_us += end.usage.cpu_us;
        usage.instantiate_us += end.usage.instantiate_us;
        usage.peak_memory_bytes = usage.peak_memory_bytes.max(end.usage.peak_memory_bytes);
        usage.host_calls += end.usage.host_calls;
        for denial in meter.denials() {
            let same = self
                .denials
                .iter_mut()
                .find(|one| one.capability == denial.capability && one.attempt == denial.attempt);
            if let Some(same) = same {
                same.count += denial.count;
            } else if self.denials.len() < DENIALS_MAX {
                self.denials.push(denial);
            }
        }
    }
}

/// Which change of which repository was judged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CheckChange {
    /// The repository's name in `plugins.toml`.
    pub repository: String,
    /// The commit that is changed.
    pub base: String,
    /// The commit that changes it; none for a patch that is in no repository.
    pub head: Option<String>,
}

/// A judgement of submitted code.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Check {
    /// UUID version 7.
    pub id: Uuid,
    /// Who asked.
    pub principal: Principal,
    /// What the code is written in.
    pub language: Language,
    /// What it changes, if it is the change of a repository.
    #[serde(default)]
    pub change: Option<CheckChange>,
    /// `sha256:<hex>` of the submission, the same for the same code that is asked the same; the code itself is not kept.
    pub submission_digest: String,
    /// When it was handed in.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// When the verdict was there.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub ended_at: Option<Timestamp>,
    /// None while it waits or is in progress.
    pub verdict: Option<CheckVerdict>,
    /// Who compared; none where nothing was run.
    pub assurance: Option<Assurance>,
    /// One sentence.
    pub summary: String,
    /// What was done, in order.
    pub steps: Vec<CheckStep>,
}

/// Why a check was not taken.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// Too many wait.
    #[error("{WAITING_MAX} checks, or 256 MiB of code, wait already; try again when some are done")]
    Full,
    /// The kill switch is thrown.
    #[error("{}", crate::runtime::KILLED)]
    Killed,
    /// The host is stopping.
    #[error("the host is stopping")]
    Stopping,
    /// The store failed.
    #[error("cannot record the check")]
    Store(#[from] StoreError),
}

/// Who applies the rules for code.
#[async_trait]
pub trait Rules: Send + Sync {
    /// What the rules at or below a package say; none where there are no rules.
    ///
    /// # Errors
    /// One sentence: why there is no decision.
    async fn decide(&self, package: &str, input: &Value) -> Result<Option<Decision>, String>;
}

/// Who reads repositories for checks.
#[async_trait]
pub trait Repositories: Send + Sync {
    /// What a patch makes of one.
    ///
    /// # Errors
    /// See [`Refused`].
    async fn changed(&self, patch: &patch::Patch) -> Result<patch::Changed, Refused>;

    /// What other tools said of a commit.
    ///
    /// # Errors
    /// One sentence: why that is not known.
    async fn statuses(&self, repository: &str, commit: &str) -> Result<Vec<CommitStatus>, String>;
}

/// What is told while a check is in progress.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum CheckNews {
    /// A test or a case is over.
    Test {
        /// Which step it belongs to.
        step: StepKind,
        /// The test.
        test: Box<Test>,
    },
    /// A step is over.
    Step {
        /// The step, without its tests.
        step: Box<CheckStep>,
    },
}

/// Where news goes; whoever does not listen misses it.
pub type News = Option<mpsc::UnboundedSender<CheckNews>>;

/// A component that is loaded once.
#[derive(Default)]
struct Component {
    digest: String,
    loaded: Arc<OnceCell<Arc<Loaded>>>,
}

/// Judges submissions.
pub struct Checks {
    registry: Arc<ArcSwap<Registry>>,
    sandbox: Arc<dyn Sandbox>,
    rules: Arc<dyn Rules>,
    repositories: Arc<dyn Repositories>,
    /// Components by name: compiling an interpreter takes half a minute, so that it is done when it is first asked for, and once.
    loaded: Mutex<HashMap<String, Component>>,
    store: Arc<dyn Store>,
    holds: Arc<Holds>,
    places: tokio::sync::Semaphore,
    waiting: Arc<tokio::sync::Semaphore>,
    /// In KiB.
    room: Arc<tokio::sync::Semaphore>,
    live: live::Live,
    tasks: TaskTracker,
    stopping: CancellationToken,
}

/// A call's end with what was heard of it.
struct Ran {
    end: CallEnd,
    meter: Arc<Meter>,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    tests: Vec<Test>,
    open: Option<String>,
}

impl Checks {
    /// Nothing is loaded yet. What has no verdict is given up with `stopping`.
    #[must_use]
    pub fn new(
        registry: Arc<ArcSwap<Registry>>,
        sandbox: Arc<dyn Sandbox>,
        rules: Arc<dyn Rules>,
        repositories: Arc<dyn Repositories>,
        store: Arc<dyn Store>,
        holds: Arc<Holds>,
        stopping: CancellationToken,
    ) -> Self {
        let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self {
            registry,
            sandbox,
            rules,
            repositories,
            loaded: Mutex::default(),
            places: tokio::sync::Semaphore::new((threads * PER_THREAD).min(PLACES_MAX)),
            store,
            holds,
            waiting: Arc::new(tokio::sync::Semaphore::new(WAITING_MAX)),
            room: Arc::new(tokio::sync::Semaphore::new(WAITING_MAX_KIB as usize)),
            tasks: TaskTracker::new(),
            live: live::Live::default(),
            stopping,
        }
    }

    /// Waits until every check has its end on the disk, which with `stopping` is soon.
    pub async fn close(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// Judges a submission. Never fails: what could not be judged has the verdict `error`.
    async fn judge(&self, submission: &Submission, mut check: Check, news: News) -> Check {
        let Ok(place) = self.places.acquire().await else {
            return given_up(check, STOPPING);
        };
        if self.holds.kill.is_engaged() {
            return given_up(check, crate::runtime::KILLED);
        }
        let mut steps: Vec<CheckStep> = Vec::new();
        let until = Instant::now() + CHECK_MAX;
        for kind in submission.steps.iter().copied() {
            let stopped = submission.stop_early
                && steps
                    .iter()
                    .any(|step| matches!(step.outcome, StepOutcome::Failed | StepOutcome::Error));
            let began = Instant::now();
            let doing = async {
                if stopped {
                    return CheckStep::skipped(kind, "an earlier step ended the check");
                }
                match kind {
                    StepKind::Policy => self.policy(submission).await,
                    StepKind::Analysis => self.analysis(submission).await,
                    StepKind::Scripts => self.scripts(submission).await,
                    StepKind::Tests => self.tests(submission, &news).await,
                    StepKind::Cases => self.cases(submission, &news).await,
                    StepKind::Reported => self.reported(submission).await,
                }
            };
            // What is given up drops its instances.
            let done = tokio::time::timeout_at(until.into(), doing).await;
            let mut step = done.unwrap_or_else(|_| {
                let minutes = CHECK_MAX.as_secs() / 60;
                CheckStep::error(
                    kind,
                    format!(
                        "the check took {minutes} minutes, which is its limit; hand less in at once"
                    ),
                )
            });
            step.usage.wall_us = micros(began);
            if let Some(news) = &news {
                let mut told = step.clone();
                told.tests.clear();
                let _ = news.send(CheckNews::Step {
                    step: Box::new(told),
                });
            }
            steps.push(step);
        }
        drop(place);
        check.ended_at = Some(now());
        conclude(&mut check, steps);
        check
    }

    /// The component of a name, compiled and linked.
    async fn component(&self, name: &str) -> Result<Arc<Loaded>, String> {
        let registry = self.registry.load_full();
        let missing = || {
            format!(
                "there is no `{name}.wasm` in `{}`; `cargo xtask build` makes it, and says what to install first",
                registry.config.host.plugins.display()
            )
        };
        let plugin = registry.plugins.get(name).ok_or_else(missing)?;
        let cell = {
            let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
            let entry = loaded.entry(name.to_owned()).or_default();
            if entry.digest != plugin.digest {
                *entry = Component {
                    digest: plugin.digest.clone(),
                    loaded: Arc::default(),
                };
            }
            Arc::clone(&entry.loaded)
        };
        // Whoever comes meanwhile waits for the same.
        let load = async {
            let request = plugin
                .load_request()
                .map_err(|refusal| format!("`{name}.wasm` cannot run: {}", refusal.message))?;
            self.sandbox
                .load(request)
                .await
                .map_err(|error| format!("`{name}.wasm` cannot run: {error}"))
        };
        cell.get_or_try_init(|| load).await.cloned()
    }

    fn job(&self, submission: &Submission, seed: u64) -> Job {
        Job {
            meter: Arc::new(Meter::new(submission.budget.clone())),
            capabilities: Arc::new(Capabilities {
                agent: submission.language.as_str().to_owned(),
                fixed: Some(Fixed { seed }),
                ..Capabilities::default()
            }),
            cancel: self.holds.kill.token().child_token(),
        }
    }

    /// Runs a call of an interpreter in an instance of its own; `beside` counts for the one at the other end.
    async fn run(
        &self,
        component: &Arc<Loaded>,
        job: Job,
        call: impl FnOnce(Heard) -> CodeCall,
        watch: Option<mpsc::UnboundedSender<Test>>,
        beside: Option<Arc<Meter>>,
    ) -> Ran {
        let meter = Arc::clone(&job.meter);
        let heard = Heard::new(&meter, watch).beside(beside);
        // Whoever stops waiting for the call ends it.
        let _given_up = job.cancel.clone().drop_guard();
        let call = Call::Code(Box::new(call(heard.clone())));
        let end = self.sandbox.call(component, call, job).await;
        let (tests, open) = heard.take_tests();
        Ran {
            end,
            meter,
            stdout: heard.take_stdout(),
            stderr: heard.take_stderr(),
            tests,
            open,
        }
    }
}

fn micros(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_micros()).unwrap_or(u64::MAX)
}

/// Text for people of what a program printed, at most [`SHOWN_BYTES`].
fn shown(bytes: &[u8]) -> String {
    let cut = bytes.len() > SHOWN_BYTES;
    let mut text = String::from_utf8_lossy(&bytes[..bytes.len().min(SHOWN_BYTES)]).into_owned();
    if cut {
        text.push_str("\n[cut]\n");
    }
    text
}

/// Why a call gave no answer, for people.
fn stopped(stop: &Stop) -> String {
    match (&stop.outcome, stop.reason.as_deref()) {
        (Outcome::Limited, Some(reason)) => format!("limit `{reason}`: {}", stop.message),
        (Outcome::Trapped, Some("stack_overflow")) => "the stack overflowed".into(),
        _ => stop.message.clone(),
    }
}

/// Whether a stop is the judged code's own doing. Everything else is ours.
fn own_doing(stop: &Stop) -> bool {
    matches!(
        stop.outcome,
        Outcome::Limited | Outcome::Trapped | Outcome::Failed
    )
}

/// An answer that the component of this world does not give.
fn unexpected(answer: &Answer) -> String {
    match answer {
        Answer::Error(message) => message.clone(),
        _ => "the component answered another question".into(),
    }
}

/// Why a check ends that met a fault of the host.
const FAULT: &str = "the host has a fault, which its log has; the code was not judged";

/// Why a check ends that a stopping host gives up.
const STOPPING: &str = "the host stopped before there was a verdict; hand the code in again";

/// A check that comes to no verdict about the code.
fn given_up(mut check: Check, why: &str) -> Check {
    check.ended_at = Some(now());
    check.verdict = Some(CheckVerdict::Error);
    check.summary = why.to_owned();
    check
}

/// Puts the verdict over the steps.
fn conclude(check: &mut Check, steps: Vec<CheckStep>) {
    let any = |outcome| steps.iter().any(|step: &CheckStep| step.outcome == outcome);
    let flaky = steps
        .iter()
        .filter(|step| matches!(step.step, StepKind::Tests | StepKind::Cases))
        .flat_map(|step| &step.findings)
        .any(|finding| finding.rule == steps::FLAKY);
    // That a tool has not reported yet hides nothing that speaks against the code.
    let unjudged = steps.iter().any(|step| {
        step.outcome == StepOutcome::Error
            && (step.step != StepKind::Reported || !any(StepOutcome::Failed))
    });
    let verdict = if unjudged {
        CheckVerdict::Error
    } else if flaky {
        CheckVerdict::Flaky
    } else if any(StepOutcome::Failed) {
        CheckVerdict::Failed
    } else {
        CheckVerdict::Passed
    };
    let ran = |kind: StepKind| {
        steps
            .iter()
            .any(|step| step.step == kind && step.usage.instances > 0)
    };
    check.assurance = match (ran(StepKind::Tests), ran(StepKind::Cases)) {
        (true, _) => Some(Assurance::Guest),
        (false, true) => Some(Assurance::Host),
        (false, false) => None,
    };
    let decisive = steps
        .iter()
        .find(|step| match verdict {
            CheckVerdict::Error => step.outcome == StepOutcome::Error,
            CheckVerdict::Failed | CheckVerdict::Flaky => step.outcome == StepOutcome::Failed,
            CheckVerdict::Passed => false,
        })
        .map(|step| format!("{}: {}", step.step.as_str(), step.summary));
    check.summary = decisive.unwrap_or_else(|| {
        let said: Vec<String> = steps
            .iter()
            .filter(|step| step.outcome == StepOutcome::Passed)
            .map(|step| format!("{}: {}", step.step.as_str(), step.summary))
            .collect();
        if said.is_empty() {
            "nothing was done".into()
        } else {
            said.join("; ")
        }
    });
    // A check in which nothing was looked at says nothing about the code.
    check.verdict = Some(
        if verdict == CheckVerdict::Passed && !any(StepOutcome::Passed) {
            CheckVerdict::Error
        } else {
            verdict
        },
    );
    check.steps = steps;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn concluded(steps: &[(StepKind, StepOutcome)]) -> (CheckVerdict, Option<Assurance>) {
        let mut check = Check {
            id: Uuid::nil(),
            principal: Principal {
                kind: "user".into(),
                name: "ada".into(),
            },
            language: Language::Python,
            change: None,
            submission_digest: String::new(),
            created_at: now(),
            ended_at: None,
            verdict: None,
            assurance: None,
            summary: String::new(),
            steps: Vec::new(),
        };
        let steps = steps
            .iter()
            .map(|(kind, outcome)| {
                let mut step = CheckStep::new(*kind, *outcome, "said");
                step.usage.instances = u32::from(*outcome != StepOutcome::Skipped);
                step
            })
            .collect();
        conclude(&mut check, steps);
        (check.verdict.unwrap(), check.assurance)
    }

    #[test]
    fn a_verdict_is_no_better_than_the_worst_step() {
        use StepKind::{Analysis, Cases, Policy, Tests};
        use StepOutcome::{Error, Failed, Passed, Skipped};
        let check = |steps: &[(StepKind, StepOutcome)], verdict, assurance| {
            assert_eq!(concluded(steps), (verdict, assurance), "{steps:?}");
        };
        check(
            &[(Policy, Passed), (Cases, Passed)],
            CheckVerdict::Passed,
            Some(Assurance::Host),
        );
        check(
            &[(Tests, Passed), (Cases, Passed)],
            CheckVerdict::Passed,
            Some(Assurance::Guest),
        );
        check(
            &[(Policy, Failed), (Tests, Passed)],
            CheckVerdict::Failed,
            Some(Assurance::Guest),
        );
        check(
            &[(Policy, Failed), (Tests, Error)],
            CheckVerdict::Error,
            Some(Assurance::Guest),
        );
        check(
            &[(Policy, Passed), (Tests, Skipped)],
            CheckVerdict::Passed,
            None,
        );
        // Nothing that was looked at is nothing that passed.
        check(
            &[(Analysis, Skipped), (Tests, Skipped)],
            CheckVerdict::Error,
            None,
        );
        check(&[], CheckVerdict::Error, None);
    }
}
