//! What is counted and timed, as Prometheus reads it. Stages tell it what happened; it knows none of them.
//!
//! Invariant: labels are bounded. Names of agents beyond the first 200 are counted together as `other`; routes are those of the router.

mod timed;

use self::timed::Timed;
pub use self::timed::{BOUNDS_MS, Counts, quantile};
use crate::model::{Effect, Event, Occurrence, OccurrenceResult, Outcome, Run};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric, text};
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Agents with series of their own: some hundred kilobytes of text at most.
const AGENTS_MAX: usize = 200;

/// Providers of models with series of their own: who publishes events names them.
const PROVIDERS_MAX: usize = 20;

/// The most that one event can add to what models cost.
const COST_MAX: f64 = 1_000_000.0;

/// Types of events that have a count each.
pub const COUNTED: &[&str] = &[
    "agent.quarantined",
    "check.ended",
    "effect.refused",
    "killswitch.engaged",
    "llm.usage",
    "policy.denied",
    "security.ban",
    "security.banned_access",
    "security.ended_session",
    "security.expired_key",
    "security.expired_token",
    "security.failed_sign_in",
    "security.forbidden",
    "security.incident",
    "security.invalid_key",
    "security.locked_access",
    "security.lockout",
    "security.no_role",
    "security.rate_limit",
    "security.revoked_key",
    "security.unknown_token",
    "status.reported",
];

/// What agents beyond [`AGENTS_MAX`] are counted as.
const OTHER: &str = "other";

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RunLabels {
    agent: String,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct EffectLabels {
    agent: String,
    kind: &'static str,
    state: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AgentLabel {
    agent: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct MomentLabels {
    agent: String,
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    method: &'static str,
    route: String,
    status: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteLabels {
    method: &'static str,
    route: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StateLabel {
    state: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KindLabel {
    kind: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct VerdictLabel {
    verdict: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RuleLabel {
    rule: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ProviderLabel {
    provider: String,
}

/// A counter of what is not whole.
type Sum = Counter<f64, AtomicU64>;

/// What was counted since the process began, for the host's own rules.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Requests to the API that were answered.
    pub answered: u64,
    /// Those of them with a 5xx.
    pub errors: u64,
    /// How long answers took; those that were asked to wait are left out.
    pub answers: Counts,
    /// How long runs took from their row to their end.
    pub runs: Counts,
    /// How long it took from what began a run to a change of a repository, where nobody had to be waited for.
    pub syncs: Counts,
}

/// From a hundred microseconds to half a minute.
fn short() -> Histogram {
    Histogram::new(exponential_buckets(0.0001, 2.5, 14))
}

/// From a millisecond to an hour.
fn long() -> Histogram {
    Histogram::new(exponential_buckets(0.001, 4.0, 12))
}

/// All series of one host.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    agents: Mutex<BTreeSet<String>>,
    runs: Family<RunLabels, Counter>,
    run_seconds: Family<AgentLabel, Histogram, fn() -> Histogram>,
    cpu_seconds: Family<AgentLabel, Counter<f64, std::sync::atomic::AtomicU64>>,
    fuel: Family<AgentLabel, Counter>,
    queue_seconds: Histogram,
    moments: Family<MomentLabels, Counter>,
    late_seconds: Histogram,
    effects: Family<EffectLabels, Counter>,
    effect_seconds: Family<AgentLabel, Histogram, fn() -> Histogram>,
    requests: Family<RequestLabels, Counter>,
    request_seconds: Family<RouteLabels, Histogram, fn() -> Histogram>,
    served: Family<RunLabels, Counter>,
    served_seconds: Histogram,
    alerts: Counter,
    answered: AtomicU64,
    errors: AtomicU64,
    answer_times: Timed,
    run_times: Timed,
    sync_times: Timed,
    events: Family<KindLabel, Counter>,
    rule_events: Family<RuleLabel, Counter>,
    checks: Family<VerdictLabel, Counter>,
    reported: Family<StateLabel, Counter>,
    providers: Mutex<BTreeSet<String>>,
    llm_cost: Family<ProviderLabel, Sum>,
    llm_tokens: Family<ProviderLabel, Counter>,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("infinity"),
            agents: Mutex::default(),
            runs: Family::default(),
            run_seconds: Family::new_with_constructor(long),
            cpu_seconds: Family::default(),
            fuel: Family::default(),
            queue_seconds: short(),
            moments: Family::default(),
            late_seconds: short(),
            effects: Family::default(),
            effect_seconds: Family::new_with_constructor(long),
            requests: Family::default(),
            request_seconds: Family::new_with_constructor(short),
            served: Family::default(),
            served_seconds: short(),
            alerts: Counter::default(),
            answered: AtomicU64::default(),
            errors: AtomicU64::default(),
            answer_times: Timed::default(),
            run_times: Timed::default(),
            sync_times: Timed::default(),
            events: Family::default(),
            rule_events: Family::default(),
            checks: Family::default(),
            reported: Family::default(),
            providers: Mutex::default(),
            llm_cost: Family::default(),
            llm_tokens: Family::default(),
        };
        let registry = &mut metrics.registry;
        registry.register("runs", "Runs that ended", metrics.runs.clone());
        registry.register_with_unit(
            "run_duration",
            "From start to end of a run",
            Unit::Seconds,
            metrics.run_seconds.clone(),
        );
        registry.register_with_unit(
            "run_cpu",
            "CPU time of runs",
            Unit::Seconds,
            metrics.cpu_seconds.clone(),
        );
        registry.register(
            "run_fuel",
            "Fuel of runs that count it",
            metrics.fuel.clone(),
        );
        registry.register_with_unit(
            "run_queue",
            "From the row of a run to its start",
            Unit::Seconds,
            metrics.queue_seconds.clone(),
        );
        registry.register(
            "occurrences",
            "Moments at which agents and pipelines were due, by what came of them",
            metrics.moments.clone(),
        );
        registry.register(
            "effects",
            "States that effects came to",
            metrics.effects.clone(),
        );
        registry.register_with_unit(
            "effect_latency",
            "From what began a run, such as an event, to its effect being applied, where nobody had to be waited for",
            Unit::Seconds,
            metrics.effect_seconds.clone(),
        );
        registry.register_with_unit(
            "schedule_lateness",
            "From the moment that started a run to its row",
            Unit::Seconds,
            metrics.late_seconds.clone(),
        );
        registry.register(
            "http_requests",
            "Requests to the API by route and class of status",
            metrics.requests.clone(),
        );
        registry.register_with_unit(
            "http_request_duration",
            "Until the head of the answer",
            Unit::Seconds,
            metrics.request_seconds.clone(),
        );
        registry.register(
            "served_requests",
            "Requests that components answered",
            metrics.served.clone(),
        );
        registry.register_with_unit(
            "served_request_duration",
            "From the request to the end of a component's answer",
            Unit::Seconds,
            metrics.served_seconds.clone(),
        );
        registry.register(
            "alerts",
            "Events of the topic error.critical",
            metrics.alerts.clone(),
        );
        for (name, help, timed) in [
            (
                "answer_duration",
                "Until the head of an answer of the API, those left out that were asked to wait",
                &metrics.answer_times,
            ),
            (
                "run_latency",
                "From the row of a run to its end",
                &metrics.run_times,
            ),
            (
                "sync_latency",
                "From what began a run to its change of a repository, where nobody had to be waited for",
                &metrics.sync_times,
            ),
        ] {
            registry.register_with_unit(name, help, Unit::Seconds, timed.histogram.clone());
        }
        registry.register(
            "events",
            "Events that people watch, by type",
            metrics.events.clone(),
        );
        registry.register(
            "rule_events",
            "Events that count for a rule of alerts",
            metrics.rule_events.clone(),
        );
        registry.register(
            "checks",
            "Checks that ended, by verdict",
            metrics.checks.clone(),
        );
        registry.register(
            "reported_checks",
            "What tools reported of commits of pull requests, by state",
            metrics.reported.clone(),
        );
        registry.register(
            "llm_cost_usd",
            "US dollars that models cost, as events of type llm.usage say",
            metrics.llm_cost.clone(),
        );
        registry.register(
            "llm_tokens",
            "Tokens that models counted, as events of type llm.usage say",
            metrics.llm_tokens.clone(),
        );
        // What begins with its first event has no increase there; so each is there from the start.
        for kind in COUNTED {
            metrics.events.get_or_create(&KindLabel { kind }).inc_by(0);
        }
        for verdict in VERDICTS {
            metrics
                .checks
                .get_or_create(&VerdictLabel { verdict })
                .inc_by(0);
        }
        for state in REPORTED {
            metrics
                .reported
                .get_or_create(&StateLabel { state })
                .inc_by(0);
        }
        metrics
    }
}

/// The verdicts of checks.
const VERDICTS: [&str; 4] = ["passed", "failed", "error", "flaky"];

/// The states that tools report.
const REPORTED: [&str; 4] = ["pending", "success", "failure", "error"];

/// One of a closed set of words; what is not of it is [`OTHER`].
fn one_of(words: &[&'static str], word: &str) -> &'static str {
    words
        .iter()
        .find(|known| **known == word)
        .copied()
        .unwrap_or(OTHER)
}

/// What is read at the moment of the question.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Levels {
    /// Runs that wait for a place.
    pub queued: u64,
    /// Runs in the sandbox.
    pub running: u64,
    /// Places now: grows with the queue.
    pub places: u64,
    /// Instances that the pool holds.
    pub pool_used: u64,
    /// Instances that it could hold.
    pub pool_size: u64,
    /// Transactions of the store.
    pub commits: u64,
    /// Bytes of the store.
    pub store_bytes: u64,
    /// Agents by state.
    pub states: Vec<(&'static str, u64)>,
    /// Health scores of agents, 0 to 1.
    pub scores: Vec<(String, f64)>,
    /// What else there is to read.
    pub gauges: Vec<Gauges>,
    /// What else was counted.
    pub counters: Vec<Gauges>,
}

/// Values of one name, each with its labels.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Gauges {
    /// The name, without `infinity_`.
    pub name: &'static str,
    /// What it is.
    pub help: &'static str,
    /// The values.
    pub values: Vec<(Vec<(&'static str, String)>, f64)>,
}

impl Gauges {
    /// One value without labels.
    #[must_use]
    pub fn one(name: &'static str, help: &'static str, value: f64) -> Self {
        Self {
            name,
            help,
            values: vec![(Vec::new(), value)],
        }
    }
}

/// What the process takes of the machine, from `/proc/self`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Process {
    /// CPU time, in seconds.
    pub cpu_seconds: f64,
    /// Resident memory, in bytes.
    pub resident_bytes: u64,
    /// Open descriptors.
    pub descriptors: u64,
    /// Threads.
    pub threads: u64,
    /// Bytes read from disks.
    pub read_bytes: u64,
    /// Bytes written to disks.
    pub written_bytes: u64,
    /// Bytes received over networks, by every process of the same network namespace.
    pub received_bytes: u64,
    /// Bytes sent over networks, likewise.
    pub sent_bytes: u64,
}

impl Process {
    /// Reads it; what cannot be read is 0.
    #[must_use]
    pub fn read() -> Self {
        let file = |name: &str| std::fs::read_to_string(name).unwrap_or_default();
        let line = |text: &str, name: &str| -> u64 {
            text.lines()
                .find_map(|line| line.strip_prefix(name))
                .and_then(|rest| rest.split_whitespace().next()?.parse().ok())
                .unwrap_or(0)
        };
        let status = file("/proc/self/status");
        let io = file("/proc/self/io");
        let cpu = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
        let (mut received_bytes, mut sent_bytes) = (0, 0);
        for line in file("/proc/self/net/dev").lines().skip(2) {
            let Some((_, numbers)) = line.split_once(':') else {
                continue;
            };
            let mut numbers = numbers.split_whitespace().map(|n| n.parse().unwrap_or(0));
            received_bytes += numbers.next().unwrap_or(0);
            sent_bytes += numbers.nth(7).unwrap_or(0);
        }
        Self {
            #[expect(clippy::cast_precision_loss, reason = "seconds of CPU time are few")]
            cpu_seconds: cpu.tv_sec as f64 + cpu.tv_nsec as f64 / 1e9,
            resident_bytes: line(&status, "VmRSS:") * 1024,
            descriptors: std::fs::read_dir("/proc/self/fd").map_or(0, |fds| fds.count() as u64),
            threads: line(&status, "Threads:"),
            read_bytes: line(&io, "read_bytes:"),
            written_bytes: line(&io, "write_bytes:"),
            received_bytes,
            sent_bytes,
        }
    }
}

fn outcome(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Succeeded => "succeeded",
        Outcome::Failed => "failed",
        Outcome::Trapped => "trapped",
        Outcome::Limited => "limited",
        Outcome::Refused => "refused",
        Outcome::Cancelled => "cancelled",
        Outcome::Lost => "lost",
        Outcome::HostError => "host_error",
    }
}

#[expect(clippy::cast_precision_loss, reason = "durations of runs fit")]
fn seconds(micros: u64) -> f64 {
    micros as f64 / 1e6
}

impl Metrics {
    /// The label of an agent.
    fn agent(&self, name: &str) -> String {
        let mut agents = self
            .agents
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if agents.contains(name) {
            return name.to_owned();
        }
        if agents.len() < AGENTS_MAX {
            agents.insert(name.to_owned());
            return name.to_owned();
        }
        OTHER.to_owned()
    }

    /// A run ended.
    pub fn run_ended(&self, run: &Run) {
        let agent = self.agent(&run.agent);
        let Some(ended) = run.outcome else { return };
        self.runs
            .get_or_create(&RunLabels {
                agent: agent.clone(),
                outcome: outcome(ended),
            })
            .inc();
        let label = AgentLabel { agent };
        self.run_seconds
            .get_or_create(&label)
            .observe(seconds(run.usage.wall_us));
        self.cpu_seconds
            .get_or_create(&label)
            .inc_by(seconds(run.usage.cpu_us));
        if let Some(fuel) = run.usage.fuel {
            self.fuel.get_or_create(&label).inc_by(fuel);
        }
        self.queue_seconds.observe(seconds(run.usage.queue_us));
        self.run_times.observe(Duration::from_micros(
            run.usage.queue_us.saturating_add(run.usage.wall_us),
        ));
    }

    /// An effect came to a state.
    pub fn effect(&self, effect: &Effect) {
        let agent = self.agent(&effect.agent);
        self.effects
            .get_or_create(&EffectLabels {
                agent: agent.clone(),
                kind: effect.action.kind(),
                state: effect.state.as_str(),
            })
            .inc();
        // How long people take is not the host's speed.
        if let Some(latency) = effect.latency_us.filter(|_| effect.approvals.is_empty()) {
            if matches!(effect.action.kind(), "commit" | "pull_request" | "merge") {
                self.sync_times.observe(Duration::from_micros(latency));
            }
            self.effect_seconds
                .get_or_create(&AgentLabel { agent })
                .observe(seconds(latency));
        }
    }

    /// A moment of the ledger was decided on.
    pub fn moment(&self, occurrence: &Occurrence) {
        let result = match occurrence.result {
            OccurrenceResult::Fired => "fired",
            OccurrenceResult::Coalesced => "coalesced",
            OccurrenceResult::Skipped => "skipped",
            OccurrenceResult::Missed => "missed",
        };
        self.moments
            .get_or_create(&MomentLabels {
                agent: self.agent(&occurrence.agent),
                result,
            })
            .inc_by(occurrence.moments);
        if let Some(late) = occurrence.late_us {
            self.late_seconds.observe(seconds(late));
        }
    }

    /// A request to the API was answered. `waited` says that the client asked for an answer that takes its time.
    pub fn request(
        &self,
        method: &http::Method,
        route: &str,
        status: u16,
        took: Duration,
        waited: bool,
    ) {
        self.answered.fetch_add(1, Ordering::Relaxed);
        if status >= 500 {
            self.errors.fetch_add(1, Ordering::Relaxed);
        }
        if !waited {
            self.answer_times.observe(took);
        }
        let method = match method.as_str() {
            "GET" => "GET",
            "HEAD" => "HEAD",
            "POST" => "POST",
            "PUT" => "PUT",
            "DELETE" => "DELETE",
            "OPTIONS" => "OPTIONS",
            _ => OTHER,
        };
        let status = match status {
            ..300 => "2xx",
            300..400 => "3xx",
            400..500 => "4xx",
            _ => "5xx",
        };
        self.requests
            .get_or_create(&RequestLabels {
                method,
                route: route.to_owned(),
                status,
            })
            .inc();
        self.request_seconds
            .get_or_create(&RouteLabels {
                method,
                route: route.to_owned(),
            })
            .observe(took.as_secs_f64());
    }

    /// A component answered a request, or did not.
    pub fn served(&self, agent: &str, ended: Outcome, took: Duration) {
        self.served
            .get_or_create(&RunLabels {
                agent: self.agent(agent),
                outcome: outcome(ended),
            })
            .inc();
        self.served_seconds.observe(took.as_secs_f64());
    }

    /// Something happened that a person should look at now.
    pub fn alert(&self) {
        self.alerts.inc();
    }

    /// An event that people watch happened.
    pub fn event(&self, event: &Event) {
        let kind = one_of(COUNTED, &event.kind);
        if kind == OTHER {
            return;
        }
        self.events.get_or_create(&KindLabel { kind }).inc();
        let text = |name: &str| event.data[name].as_str().unwrap_or_default();
        match kind {
            "check.ended" => {
                let verdict = one_of(&VERDICTS, text("verdict"));
                self.checks.get_or_create(&VerdictLabel { verdict }).inc();
            }
            "status.reported" => {
                let state = one_of(&REPORTED, text("state"));
                self.reported.get_or_create(&StateLabel { state }).inc();
            }
            "llm.usage" => {
                let label = ProviderLabel {
                    provider: self.provider(text("provider")),
                };
                let cost = event.data["cost_usd"].as_f64().unwrap_or(0.0);
                if cost > 0.0 {
                    self.llm_cost
                        .get_or_create(&label)
                        .inc_by(cost.min(COST_MAX));
                }
                if let Some(tokens) = event.data["tokens"].as_u64() {
                    self.llm_tokens.get_or_create(&label).inc_by(tokens);
                }
            }
            _ => {}
        }
    }

    /// The label of a provider.
    fn provider(&self, name: &str) -> String {
        let mut providers = self
            .providers
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let short = !name.is_empty() && name.len() <= 64;
        if short && (providers.contains(name) || providers.len() < PROVIDERS_MAX) {
            providers.insert(name.to_owned());
            return name.to_owned();
        }
        OTHER.to_owned()
    }

    /// So many more events count for a rule; none makes its series.
    pub fn rule_events(&self, rule: &'static str, more: u64) {
        self.rule_events
            .get_or_create(&RuleLabel { rule })
            .inc_by(more);
    }

    /// What was counted since the process began.
    pub fn totals(&self) -> Totals {
        Totals {
            answered: self.answered.load(Ordering::Relaxed),
            errors: self.errors.load(Ordering::Relaxed),
            answers: self.answer_times.counts(),
            runs: self.run_times.counts(),
            syncs: self.sync_times.counts(),
        }
    }

    /// All series, in the text format of Prometheus.
    ///
    /// # Errors
    /// When a series cannot be written, which would be a bug.
    pub fn text(&self, levels: Levels) -> Result<String, fmt::Error> {
        let mut out = String::new();
        text::encode_registry(&mut out, &self.registry)?;
        let mut now = Registry::with_prefix("infinity");
        now.register_collector(Box::new(levels));
        now.register_collector(Box::new(crate::telemetry::Losses));
        text::encode_registry(&mut out, &now)?;
        let mut process = Registry::default();
        process.register_collector(Box::new(ProcessLevels(Process::read())));
        text::encode_registry(&mut out, &process)?;
        text::encode_eof(&mut out)?;
        Ok(out)
    }
}

#[expect(
    clippy::cast_possible_wrap,
    reason = "counts of things that fit into memory"
)]
fn gauge(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    value: u64,
) -> Result<(), fmt::Error> {
    let gauge = ConstGauge::new(value as i64);
    let encoder = encoder.encode_descriptor(name, help, None, EncodeMetric::metric_type(&gauge))?;
    gauge.encode(encoder)
}

impl Collector for Levels {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        for (name, help, value) in [
            ("runs_queued", "Runs that wait for a place", self.queued),
            ("runs_running", "Runs in the sandbox", self.running),
            ("places", "Runs that there are places for now", self.places),
            (
                "pool_instances",
                "Instances that the pool holds",
                self.pool_used,
            ),
            (
                "pool_instances_max",
                "Instances that it could hold",
                self.pool_size,
            ),
            (
                "store_bytes",
                "Bytes of rows and files at the last look, which is every hour",
                self.store_bytes,
            ),
        ] {
            gauge(&mut encoder, name, help, value)?;
        }
        let commits = ConstCounter::new(self.commits);
        let one = encoder.encode_descriptor(
            "store_commits",
            "Transactions of the store",
            None,
            EncodeMetric::metric_type(&commits),
        )?;
        commits.encode(one)?;
        let kind = EncodeMetric::metric_type(&ConstGauge::new(0_i64));
        let mut states = encoder.encode_descriptor("agents", "Agents by state", None, kind)?;
        for (state, count) in &self.states {
            #[expect(clippy::cast_possible_wrap, reason = "agents fit into memory")]
            let gauge = ConstGauge::new(*count as i64);
            gauge.encode(states.encode_family(&StateLabel { state })?)?;
        }
        for gauges in &self.gauges {
            let kind = EncodeMetric::metric_type(&ConstGauge::new(0.0_f64));
            let mut named = encoder.encode_descriptor(gauges.name, gauges.help, None, kind)?;
            if let [(labels, value)] = gauges.values.as_slice()
                && labels.is_empty()
            {
                ConstGauge::new(*value).encode(named)?;
                continue;
            }
            for (labels, value) in &gauges.values {
                ConstGauge::new(*value).encode(named.encode_family(labels)?)?;
            }
        }
        for counters in &self.counters {
            let kind = EncodeMetric::metric_type(&ConstCounter::new(0.0_f64));
            let mut named = encoder.encode_descriptor(counters.name, counters.help, None, kind)?;
            if let [(labels, value)] = counters.values.as_slice()
                && labels.is_empty()
            {
                ConstCounter::new(*value).encode(named)?;
                continue;
            }
            for (labels, value) in &counters.values {
                ConstCounter::new(*value).encode(named.encode_family(labels)?)?;
            }
        }
        let kind = EncodeMetric::metric_type(&ConstGauge::new(0.0_f64));
        let mut scores = encoder.encode_descriptor(
            "agent_health_score",
            "1 is healthy: successful runs among the last 20, less for a run that is overdue",
            None,
            kind,
        )?;
        for (agent, score) in self.scores.iter().take(AGENTS_MAX) {
            let label = AgentLabel {
                agent: agent.clone(),
            };
            ConstGauge::new(*score).encode(scores.encode_family(&label)?)?;
        }
        Ok(())
    }
}

#[derive(Debug)]
struct ProcessLevels(Process);

impl Collector for ProcessLevels {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let process = &self.0;
        for (name, help, value) in [
            (
                "process_resident_memory_bytes",
                "Resident memory",
                process.resident_bytes,
            ),
            ("process_open_fds", "Open descriptors", process.descriptors),
            ("process_threads", "Threads", process.threads),
        ] {
            gauge(&mut encoder, name, help, value)?;
        }
        for (name, help, value) in [
            (
                "process_disk_read_bytes",
                "Bytes read from disks",
                process.read_bytes,
            ),
            (
                "process_disk_written_bytes",
                "Bytes written to disks",
                process.written_bytes,
            ),
            (
                "process_network_received_bytes",
                "Bytes received in the network namespace",
                process.received_bytes,
            ),
            (
                "process_network_sent_bytes",
                "Bytes sent in the network namespace",
                process.sent_bytes,
            ),
        ] {
            let counter = ConstCounter::new(value);
            let one =
                encoder.encode_descriptor(name, help, None, EncodeMetric::metric_type(&counter))?;
            counter.encode(one)?;
        }
        let cpu = ConstCounter::new(process.cpu_seconds);
        let one = encoder.encode_descriptor(
            "process_cpu_seconds",
            "CPU time",
            None,
            EncodeMetric::metric_type(&cpu),
        )?;
        cpu.encode(one)
    }
}
