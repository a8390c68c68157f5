//! Spans and lines to a collector: OTLP over HTTP, in batches, from a queue with an end.
//!
//! Invariants: whoever puts something in never waits; what finds no room, and what the collector does not take in time, is dropped and counted. Nothing is sent twice. Traces and logs have a
//! queue and a task each, so neither waits for the other.

use super::Setup;
use opentelemetry::InstrumentationScope;
use opentelemetry_otlp::{LogExporter, SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::logs::{LogBatch, LogExporter as _, SdkLogRecord};
use opentelemetry_sdk::trace::{SpanData, SpanExporter as _};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Groups of spans that wait: each is a run with its parts or a single span, some kilobytes.
pub(super) const SPANS_QUEUE: usize = 2_048;

/// Lines of the log that wait: some hundred bytes each.
pub(super) const LINES_QUEUE: usize = 8_192;

/// Of a queue that are sent at once, at most.
const BATCH_MAX: usize = 512;

/// How long a batch is gathered: people who look for a trace of what they just did wait that long.
const BATCH_EVERY: Duration = Duration::from_secs(1);

/// How long a collector may take for a batch. It stands nearby, and what comes meanwhile waits.
const DEADLINE: Duration = Duration::from_secs(5);

/// How often it is said in the log that something was dropped.
const SAY_EVERY: Duration = Duration::from_secs(60);

/// What was dropped: spans or lines.
#[derive(Debug)]
pub(super) struct Dropped {
    what: &'static str,
    count: AtomicU64,
}

impl Dropped {
    pub(super) const fn of(what: &'static str) -> Self {
        Self {
            what,
            count: AtomicU64::new(0),
        }
    }

    pub(super) fn add(&self, more: usize) {
        self.count.fetch_add(more as u64, Ordering::Relaxed);
    }

    /// How many since the process began.
    pub(super) fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }
}

/// What of a batch was not taken, and why.
struct Refused {
    count: usize,
    why: String,
}

/// Where batches of one kind go.
trait Destination {
    type Item: Send;

    /// Sends a batch, which holds so many spans or lines.
    fn send(&self, batch: Vec<Self::Item>) -> impl Future<Output = Result<(), Refused>> + Send;
}

struct Spans(SpanExporter);

impl Destination for Spans {
    type Item = Vec<SpanData>;

    async fn send(&self, batch: Vec<Self::Item>) -> Result<(), Refused> {
        let spans: Vec<SpanData> = batch.into_iter().flatten().collect();
        let count = spans.len();
        within(count, self.0.export(spans)).await
    }
}

struct Lines {
    exporter: LogExporter,
    scope: InstrumentationScope,
}

impl Destination for Lines {
    type Item = SdkLogRecord;

    async fn send(&self, batch: Vec<Self::Item>) -> Result<(), Refused> {
        let lines: Vec<_> = batch.iter().map(|line| (line, &self.scope)).collect();
        within(lines.len(), self.exporter.export(LogBatch::new(&lines))).await
    }
}

async fn within(
    count: usize,
    sent: impl Future<Output = opentelemetry_sdk::error::OTelSdkResult>,
) -> Result<(), Refused> {
    let why = match tokio::time::timeout(DEADLINE, sent).await {
        Ok(Ok(())) => return Ok(()),
        Ok(Err(error)) => error.to_string(),
        Err(_) => format!("it did not answer within {} s", DEADLINE.as_secs()),
    };
    Err(Refused { count, why })
}

/// Sends what comes through a queue until it is told to close, and then what is in it.
async fn carry<D: Destination>(
    to: D,
    mut queue: mpsc::Receiver<D::Item>,
    dropped: Arc<Dropped>,
    closing: CancellationToken,
) {
    let (mut told, mut said) = (0, None::<Instant>);
    let mut why = None;
    loop {
        let mut batch = Vec::new();
        let gathered = async {
            if queue.recv_many(&mut batch, BATCH_MAX).await == 0 {
                return;
            }
            let enough = tokio::time::sleep(BATCH_EVERY);
            tokio::pin!(enough);
            while batch.len() < BATCH_MAX {
                let room = BATCH_MAX - batch.len();
                tokio::select! {
                    more = queue.recv_many(&mut batch, room) => if more == 0 { return },
                    () = &mut enough => return,
                    () = closing.cancelled() => return,
                }
            }
        };
        tokio::select! {
            () = gathered => {}
            () = closing.cancelled() => {}
        }
        if closing.is_cancelled() {
            queue.close();
            while let Ok(item) = queue.try_recv() {
                batch.push(item);
            }
        }
        let last = batch.is_empty();
        if !last && let Err(refused) = to.send(batch).await {
            dropped.add(refused.count);
            why = Some(refused.why);
        }
        let count = dropped.count();
        let due = said.is_none_or(|said| said.elapsed() >= SAY_EVERY);
        if count > told && (due || last) {
            let why = why.take();
            tracing::warn!(target: "infinity::telemetry", dropped = count - told,
                "{} {} did not reach the collector: {}", count - told, dropped.what,
                why.as_deref().unwrap_or("there are more of them than it takes"));
            told = count;
            said = Some(Instant::now());
        }
        if last && closing.is_cancelled() {
            return;
        }
    }
}

/// The tasks that send.
#[derive(Default)]
pub(super) struct Tasks(Vec<tokio::task::JoinHandle<()>>);

impl Tasks {
    /// Waits until all is sent, at most a while.
    pub(super) async fn end(self, patience: Duration) {
        let all = futures::future::join_all(self.0);
        let _ = tokio::time::timeout(patience, all).await;
    }
}

fn headers(setup: &Setup<'_>) -> HashMap<String, String> {
    let headers = setup.telemetry.headers.iter();
    headers
        .map(|(name, value)| (name.clone(), value.expose().to_owned()))
        .collect()
}

/// Starts sending traces.
pub(super) fn spans(
    setup: &Setup<'_>,
    tasks: &mut Tasks,
    dropped: &Arc<Dropped>,
) -> anyhow::Result<mpsc::Sender<Vec<SpanData>>> {
    let mut exporter = SpanExporter::builder()
        .with_http()
        .with_http_client(setup.http.clone())
        .with_endpoint(format!("{}/v1/traces", setup.telemetry.otlp))
        .with_timeout(DEADLINE)
        .with_headers(headers(setup))
        .build()?;
    exporter.set_resource(&setup.resource);
    let (sender, queue) = mpsc::channel(SPANS_QUEUE);
    let dropped = Arc::clone(dropped);
    let task = carry(Spans(exporter), queue, dropped, setup.closing.clone());
    tasks.0.push(tokio::spawn(task));
    Ok(sender)
}

/// Starts sending the log.
pub(super) fn lines(
    setup: &Setup<'_>,
    tasks: &mut Tasks,
    dropped: &Arc<Dropped>,
) -> anyhow::Result<mpsc::Sender<SdkLogRecord>> {
    let mut exporter = LogExporter::builder()
        .with_http()
        .with_http_client(setup.http.clone())
        .with_endpoint(format!("{}/v1/logs", setup.telemetry.otlp))
        .with_timeout(DEADLINE)
        .with_headers(headers(setup))
        .build()?;
    exporter.set_resource(&setup.resource);
    let to = Lines {
        exporter,
        scope: setup.scope.clone(),
    };
    let (sender, queue) = mpsc::channel(LINES_QUEUE);
    let task = carry(to, queue, Arc::clone(dropped), setup.closing.clone());
    tasks.0.push(tokio::spawn(task));
    Ok(sender)
}
