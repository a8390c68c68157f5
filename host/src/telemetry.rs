//! What happened, told to a collector: one trace from what began a run to the effects that came of it, and the lines of the log beside it.
//!
//! Like the log there is one for the process. Stages tell it what happened, as they tell the metrics; it knows none of them, and where `[telemetry]` is not in the configuration each of these
//! functions is one look at a cell that is empty. `spans` says what a trace is made of, `export` sends it.
//!
//! Invariants: nobody waits for a collector. No table and no queue carries a trace's context: it follows from a run's id. What a guest sends to others carries none of it, as it is the guest's
//! own request.

mod export;
mod spans;

pub use self::spans::Place;

use self::export::{Dropped, Tasks};
use crate::config::{Config, TelemetryConfig};
use crate::logging::Line;
use crate::model::{Effect, EffectState, Run, now};
use crate::sandbox::meter::Outside;
use http::HeaderMap;
use jiff::Timestamp;
use opentelemetry::logs::{AnyValue, LogRecord as _, Logger as _, LoggerProvider as _, Severity};
use opentelemetry::trace::TraceFlags;
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::logs::{SdkLogRecord, SdkLogger, SdkLoggerProvider};
use opentelemetry_sdk::trace::SpanData;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::counter::ConstCounter;
use serde_json::Value;
use std::collections::HashSet;
use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, SystemTime};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use uuid::Uuid;

/// How long the last batches may take when the host stops.
const LAST_PATIENCE: Duration = Duration::from_secs(3);

/// Runs of which it is remembered that a request began them: more than wait and run together, as one is forgotten when it ends.
const ASKED_MAX: usize = 2_000_000;

/// How long a connection to the collector may take.
const CONNECT: Duration = Duration::from_secs(2);

/// What writes lines that are not sent: they would be about the sending of lines.
const OWN: [&str; 6] = [
    "infinity::telemetry",
    "hyper",
    "hyper_util",
    "opentelemetry",
    "reqwest",
    "rustls",
];

static TELEMETRY: OnceLock<Telemetry> = OnceLock::new();

tokio::task_local! {
    /// The request that this task answers.
    static ASKED: Arc<Asking>;
    /// The span that this task's work is part of.
    static WITHIN: Place;
}

/// What the queues are made from.
struct Setup<'a> {
    telemetry: &'a TelemetryConfig,
    http: reqwest::Client,
    resource: Resource,
    scope: InstrumentationScope,
    closing: CancellationToken,
}

struct Telemetry {
    spans: Option<mpsc::Sender<Vec<SpanData>>>,
    lines: Option<mpsc::Sender<SdkLogRecord>>,
    scope: InstrumentationScope,
    sample_percent: u8,
    /// Makes records of lines; it has nothing that would process them.
    logger: SdkLogger,
    /// Runs that requests of this process began.
    asked: Mutex<HashSet<Uuid>>,
    dropped_spans: Arc<Dropped>,
    dropped_lines: Arc<Dropped>,
    began: Timestamp,
}

/// What has to be ended with the host.
pub struct Running {
    tasks: Tasks,
    closing: CancellationToken,
}

impl Running {
    /// Sends what waits, and ends; within seconds, whatever the collector does.
    pub async fn end(self) {
        self.closing.cancel();
        self.tasks.end(LAST_PATIENCE).await;
    }
}

/// A client for the collector, by the host's proxy and with its certificates.
fn client(config: &Config) -> anyhow::Result<reqwest::Client> {
    let mut http = reqwest::Client::builder()
        .connect_timeout(CONNECT)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy();
    if let Some(proxy) = &config.host.proxy {
        http = http.proxy(reqwest::Proxy::all(proxy)?);
    }
    if let Some(file) = &config.host.ca_file {
        for certificate in reqwest::Certificate::from_pem_bundle(&std::fs::read(file)?)? {
            http = http.add_root_certificate(certificate);
        }
    }
    Ok(http.build()?)
}

/// Starts to send what `[telemetry]` asks for; none where it is not there. A second call in a process starts nothing.
///
/// # Errors
/// When the proxy or `ca_file` cannot be used.
pub fn start(config: &Config) -> anyhow::Result<Option<Running>> {
    let Some(telemetry) = &config.telemetry else {
        return Ok(None);
    };
    if TELEMETRY.get().is_some() {
        return Ok(None);
    }
    let version = env!("CARGO_PKG_VERSION");
    let scope = InstrumentationScope::builder("infinity")
        .with_version(version)
        .build();
    let setup = Setup {
        telemetry,
        http: client(config)?,
        resource: Resource::builder_empty()
            .with_service_name(telemetry.service.clone())
            .with_attribute(KeyValue::new("service.version", version))
            .build(),
        scope: scope.clone(),
        closing: CancellationToken::new(),
    };
    let mut tasks = Tasks::default();
    let dropped_spans = Arc::new(Dropped::of("spans"));
    let dropped_lines = Arc::new(Dropped::of("lines of the log"));
    let spans = telemetry
        .traces
        .then(|| export::spans(&setup, &mut tasks, &dropped_spans))
        .transpose()?;
    let lines = telemetry
        .logs
        .then(|| export::lines(&setup, &mut tasks, &dropped_lines))
        .transpose()?;
    let _ = TELEMETRY.set(Telemetry {
        spans,
        lines,
        scope,
        sample_percent: telemetry.sample_percent,
        logger: SdkLoggerProvider::builder().build().logger("infinity"),
        asked: Mutex::default(),
        dropped_spans,
        dropped_lines,
        began: now(),
    });
    Ok(Some(Running {
        tasks,
        closing: setup.closing,
    }))
}

/// Where traces go; none where they go nowhere.
fn traces() -> Option<&'static Telemetry> {
    TELEMETRY
        .get()
        .filter(|telemetry| telemetry.spans.is_some())
}

/// Where this trace goes; none for one that is not among the sample.
fn traces_of(trace: Uuid) -> Option<&'static Telemetry> {
    traces().filter(|telemetry| spans::is_sampled(trace, telemetry.sample_percent))
}

impl Telemetry {
    fn asked(&self) -> std::sync::MutexGuard<'_, HashSet<Uuid>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn send(&self, spans: Vec<SpanData>) {
        let Some(queue) = self.spans.as_ref().filter(|_| !spans.is_empty()) else {
            return;
        };
        let count = spans.len();
        if queue.try_send(spans).is_err() {
            self.dropped_spans.add(count);
        }
    }

    fn send_line(&self, line: Line) {
        let Some(queue) = &self.lines else {
            return;
        };
        // Before anything is made of it: a full queue costs a flood of lines nothing more.
        let Ok(place) = queue.try_reserve() else {
            self.dropped_lines.add(1);
            return;
        };
        let mut record = self.logger.create_log_record();
        let at = SystemTime::from(line.at);
        record.set_timestamp(at);
        record.set_observed_timestamp(at);
        record.set_target(line.target);
        let (number, word) = match line.level {
            Level::ERROR => (Severity::Error, "ERROR"),
            Level::WARN => (Severity::Warn, "WARN"),
            Level::INFO => (Severity::Info, "INFO"),
            Level::DEBUG => (Severity::Debug, "DEBUG"),
            _ => (Severity::Trace, "TRACE"),
        };
        record.set_severity_number(number);
        record.set_severity_text(word);
        record.set_body(AnyValue::from(line.message));
        record.add_attribute("kind", line.kind.as_str());
        for (name, value) in line.fields {
            record.add_attribute(name, any(value));
        }
        if let Some(Place { trace, span }) = line.place {
            record.set_trace_context(trace, span, Some(TraceFlags::SAMPLED));
        }
        place.send(record);
    }
}

fn any(value: Value) -> AnyValue {
    match value {
        Value::Bool(value) => AnyValue::Boolean(value),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(number), _) => AnyValue::Int(number),
            (None, Some(number)) => AnyValue::Double(number),
            (None, None) => AnyValue::from(number.to_string()),
        },
        Value::String(text) => AnyValue::from(text),
        other => AnyValue::from(other.to_string()),
    }
}

/// Where what is said of a run belongs.
#[must_use]
pub(crate) fn place_of_run(run: Uuid) -> Place {
    spans::run(run)
}

/// Where what this task says belongs, if it answers a request or applies an effect.
pub(crate) fn place_here() -> Option<Place> {
    WITHIN
        .try_with(|place| *place)
        .ok()
        .or_else(|| ASKED.try_with(|asked| asked.place()).ok())
}

/// Whether what a run reaches beyond the process is told of.
pub(crate) fn watches(run: Uuid) -> bool {
    traces_of(run).is_some()
}

/// A run is about to begin. If this task answers a request, that is the root of its trace.
pub(crate) fn begins(run: Uuid) {
    let Some(telemetry) = traces() else {
        return;
    };
    let _ = ASKED.try_with(|asked| {
        let mut begun = asked.begun();
        let mut all = telemetry.asked();
        // A request that begins several is the root of the first.
        if begun.is_none() && all.len() < ASKED_MAX {
            *begun = Some(run);
            all.insert(run);
        }
    });
}

/// A run that was about to begin does not.
pub(crate) fn does_not_begin(run: Uuid) {
    let Some(telemetry) = traces() else {
        return;
    };
    telemetry.asked().remove(&run);
    let _ = ASKED.try_with(|asked| {
        let mut begun = asked.begun();
        if *begun == Some(run) {
            *begun = None;
        }
    });
}

/// A run ended and was recorded.
pub(crate) fn run_ended(run: &Run) {
    let Some(telemetry) = traces() else {
        return;
    };
    let asked = telemetry.asked().remove(&run.id);
    if spans::is_sampled(run.id, telemetry.sample_percent) {
        // A request of an earlier process told of itself.
        let earlier = run.created_at < telemetry.began
            && run.attempt == 1
            && matches!(
                run.trigger,
                crate::model::Trigger::Manual | crate::model::Trigger::Webhook
            );
        telemetry.send(spans::ended(run, asked || earlier, now(), &telemetry.scope));
    }
}

/// What a run reached beyond the process.
pub(crate) fn reached(run: Uuid, calls: &[Outside]) {
    if let Some(telemetry) = traces_of(run).filter(|_| !calls.is_empty()) {
        telemetry.send(spans::outside(run, calls, &telemetry.scope));
    }
}

/// An effect came from one state to another.
pub(crate) fn effect_changed(from: EffectState, effect: &Effect) {
    if let Some(telemetry) = traces_of(spans::trace_of(effect)) {
        telemetry.send(spans::changed(from, effect, now(), &telemetry.scope));
    }
}

/// Applies an effect, and tells of the attempt; `error` says of its end why it failed, if it did.
pub(crate) async fn applying<T, E>(
    effect: &Effect,
    attempt: impl Future<Output = Result<T, E>>,
    error: impl FnOnce(&E) -> String,
) -> Result<T, E> {
    let Some(telemetry) = traces_of(spans::trace_of(effect)) else {
        return attempt.await;
    };
    let from = now();
    let place = spans::attempt_place(effect, from);
    let ended = WITHIN.scope(place, attempt).await;
    let why = ended.as_ref().err().map(error);
    telemetry.send(vec![spans::tried(
        effect,
        from,
        now(),
        why.as_deref(),
        &telemetry.scope,
    )]);
    ended
}

/// Tells of a request of the host to another service, where it is part of an attempt at an effect.
pub(crate) async fn sending<T>(
    method: &str,
    host: &str,
    request: impl Future<Output = T>,
    answer: impl FnOnce(&T) -> (Option<u16>, Option<String>),
) -> T {
    let place = WITHIN.try_with(|place| *place).ok();
    let Some((telemetry, place)) = traces().zip(place) else {
        return request.await;
    };
    let from = now();
    let answered = request.await;
    let (status, error) = answer(&answered);
    let call = Outside {
        what: method.to_owned(),
        name: host.to_owned(),
        from,
        to: now(),
        status,
        error,
    };
    telemetry.send(vec![spans::sent(place, &call, &telemetry.scope)]);
    answered
}

/// A request while it is answered.
struct Asking {
    /// Of its own trace, if it begins no run.
    own: Uuid,
    /// The first run that it began.
    begun: Mutex<Option<Uuid>>,
}

impl Asking {
    fn begun(&self) -> std::sync::MutexGuard<'_, Option<Uuid>> {
        self.begun.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn trace(&self) -> Uuid {
        self.begun().unwrap_or(self.own)
    }

    fn place(&self) -> Place {
        spans::trigger_of(self.trace())
    }
}

/// A request to the API, told of when this is dropped: also when the client goes away before there is an answer.
pub(crate) struct Asked {
    asking: Arc<Asking>,
    telemetry: &'static Telemetry,
    method: http::Method,
    route: String,
    from: Timestamp,
    caller: Option<Place>,
    status: u16,
    id: Option<String>,
}

/// What a client did not wait for, as the journal has it.
const CLIENT_CLOSED: u16 = 499;

impl Asked {
    /// A request; none where traces go nowhere.
    pub(crate) fn of(method: &http::Method, route: &str, headers: &HeaderMap) -> Option<Self> {
        let telemetry = traces()?;
        let caller = headers
            .get("traceparent")
            .and_then(|value| Place::of_traceparent(value.to_str().ok()?));
        Some(Self {
            asking: Arc::new(Asking {
                own: Uuid::now_v7(),
                begun: Mutex::default(),
            }),
            telemetry,
            method: method.clone(),
            route: route.to_owned(),
            from: now(),
            caller,
            status: CLIENT_CLOSED,
            id: None,
        })
    }

    /// Does what answers it as part of its trace.
    pub(crate) async fn while_answering<F: Future>(&self, work: F) -> F::Output {
        ASKED.scope(Arc::clone(&self.asking), work).await
    }

    /// It was answered.
    pub(crate) fn answered(mut self, status: u16, id: Option<&str>) {
        self.status = status;
        self.id = id.map(str::to_owned);
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        let trace = self.asking.trace();
        if !spans::is_sampled(trace, self.telemetry.sample_percent) {
            return;
        }
        let request = spans::Request {
            place: self.asking.place(),
            // Others are as long as somebody likes.
            method: match self.method.as_str() {
                known @ ("GET" | "HEAD" | "POST" | "PUT" | "DELETE" | "OPTIONS") => known,
                _ => "_OTHER",
            },
            route: &self.route,
            status: self.status,
            id: self.id.as_deref(),
            from: self.from,
            to: now(),
            caller: self.caller,
        };
        self.telemetry
            .send(vec![spans::request(&request, &self.telemetry.scope)]);
    }
}

/// Sends the lines of the log, where somebody wants them.
pub(crate) struct Forward;

impl<S: Subscriber> Layer<S> for Forward {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let Some(telemetry) = TELEMETRY.get().filter(|one| one.lines.is_some()) else {
            return;
        };
        let target = event.metadata().target();
        let own = OWN.iter().any(|own| {
            target
                .strip_prefix(own)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
        });
        if !own {
            telemetry.send_line(Line::of(event));
        }
    }
}

/// How much did not reach the collector, for the metrics.
#[derive(Debug)]
pub(crate) struct Losses;

impl Collector for Losses {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let Some(telemetry) = TELEMETRY.get() else {
            return Ok(());
        };
        for (name, help, dropped) in [
            (
                "telemetry_spans_dropped",
                "Spans that did not reach the collector",
                &telemetry.dropped_spans,
            ),
            (
                "telemetry_lines_dropped",
                "Lines of the log that did not reach the collector",
                &telemetry.dropped_lines,
            ),
        ] {
            let counter = ConstCounter::new(dropped.count());
            let one = encoder.encode_descriptor(name, help, None, counter.metric_type())?;
            counter.encode(one)?;
        }
        Ok(())
    }
}
