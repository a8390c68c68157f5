//! What a run has used and what it ran into, shared between the store, the streams and whoever waits for the run: it outlives the store, which is dropped
//! when a run is stopped.

use super::budget::RunBudget;
use super::events::Emitted;
use crate::model::{Denial, Limit, LogLine, Reached};
use crate::secrets::known;
use jiff::Timestamp;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;
use tokio_util::sync::CancellationToken;

/// The most different denials that a run's record lists; more of them would tell nobody more.
const DENIALS_MAX: usize = 100;

/// The most different things that a run's end lists as reached: it is one event, and whoever reaches more reads a whole tree.
const REACHED_MAX: usize = 64;

/// Characters of the name of one.
const REACHED_CHARS: usize = 100;

/// The longest log line in bytes; a longer one is broken.
const LOG_LINE_MAX_BYTES: usize = 8 * 1024;

/// Lines of one run's log: each costs a byte of its limit beside its text, and the host a hundred.
const LINES_MAX: u64 = 1_000_000;

/// How far a run has got, as it last said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Steps done.
    pub done: u64,
    /// Steps in all, if known.
    pub total: Option<u64>,
    /// What is being done.
    pub message: String,
}

/// The most calls beyond the process that a trace shows of one run.
const OUTSIDE_MAX: usize = 64;

/// A call beyond the process, as a trace shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outside {
    /// A method of HTTP, or `repository`.
    pub what: String,
    /// The host, or the repository.
    pub name: String,
    /// When it began.
    pub from: Timestamp,
    /// When there was an answer, or none was to come.
    pub to: Timestamp,
    /// Of an answer by HTTP.
    pub status: Option<u16>,
    /// Why there was none.
    pub error: Option<String>,
}

/// Counters, denials, log and the limit that was hit, of one run.
#[derive(Debug)]
pub struct Meter {
    /// What may be used.
    pub budget: RunBudget,
    hard: Mutex<Option<Stopped>>,
    soft: Mutex<Option<(Limit, String)>>,
    denials: Mutex<Vec<Denial>>,
    reached: Mutex<Vec<Reached>>,
    /// Whether somebody wants to know of `outside`.
    watched: AtomicBool,
    outside: Mutex<Vec<Outside>>,
    log: Mutex<Log>,
    progress: Mutex<Option<Progress>>,
    events: Mutex<Vec<Emitted>>,
    host_calls: AtomicU64,
    boundary_bytes: AtomicU64,
    host_ns: AtomicU64,
    host_entered: Mutex<Entered>,
    memory_bytes: AtomicU64,
    memory_peak_bytes: AtomicU64,
    table_elements: AtomicU64,
    random_bytes: AtomicU64,
    files_bytes: AtomicU64,
    files_count: AtomicU64,
    output_bytes: AtomicU64,
    cpu_ns: AtomicU64,
    poll_began_ns: AtomicU64,
    polling: AtomicBool,
    row: Option<Arc<Row>>,
}

/// Whether the record says that the run is in progress.
#[derive(Debug, Default)]
struct Row {
    wanted: CancellationToken,
    written: CancellationToken,
}

/// The limit that ended a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stopped {
    /// By the name in the record.
    pub limit: Limit,
    /// The key of `limits` that raises it.
    pub key: &'static str,
    /// One sentence.
    pub message: String,
}

/// The host calls that are open: one may call back into the guest, for memory, and that may call the host.
#[derive(Debug, Default)]
struct Entered {
    depth: u32,
    since: Option<Instant>,
}

#[derive(Debug, Default)]
struct Log {
    lines: Vec<LogLine>,
    /// How many lines were handed over already, so that sequence numbers go on.
    taken: u64,
    bytes: u64,
    truncated: bool,
    /// The unfinished line of standard output and of standard error.
    partial: [Vec<u8>; 2],
}

/// Which standard stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// A poisoned lock holds plain counters: they are as good as ever.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

impl Meter {
    /// A meter at zero.
    #[must_use]
    pub fn new(budget: RunBudget) -> Self {
        Self {
            budget,
            hard: Mutex::default(),
            soft: Mutex::default(),
            denials: Mutex::default(),
            reached: Mutex::default(),
            watched: AtomicBool::new(false),
            outside: Mutex::default(),
            log: Mutex::default(),
            progress: Mutex::default(),
            events: Mutex::default(),
            host_calls: AtomicU64::new(0),
            boundary_bytes: AtomicU64::new(0),
            host_ns: AtomicU64::new(0),
            host_entered: Mutex::default(),
            memory_bytes: AtomicU64::new(0),
            memory_peak_bytes: AtomicU64::new(0),
            table_elements: AtomicU64::new(0),
            random_bytes: AtomicU64::new(0),
            files_bytes: AtomicU64::new(0),
            files_count: AtomicU64::new(0),
            output_bytes: AtomicU64::new(0),
            cpu_ns: AtomicU64::new(0),
            poll_began_ns: AtomicU64::new(0),
            polling: AtomicBool::new(false),
            row: None,
        }
    }

    /// A meter at zero for a run whose record does not say yet that it is in progress.
    #[must_use]
    pub fn before_row(budget: RunBudget) -> Self {
        Self {
            row: Some(Arc::default()),
            ..Self::new(budget)
        }
    }

    /// A meter at zero for the same run with another budget: what it runs on changed while it waited.
    #[must_use]
    pub fn with_budget(&self, budget: RunBudget) -> Self {
        Self {
            row: self.row.clone(),
            ..Self::new(budget)
        }
    }

    /// Waits until the record says that the run is in progress: before anything that outlasts the run, as else a host that dies would take the run for one that never began.
    pub async fn row(&self) {
        if let Some(row) = &self.row {
            row.wanted.cancel();
            row.written.cancelled().await;
        }
    }

    /// Waits until somebody waits for the record.
    pub async fn row_wanted(&self) {
        match &self.row {
            Some(row) => row.wanted.cancelled().await,
            None => std::future::pending().await,
        }
    }

    /// Says that the record says so.
    pub fn row_written(&self) {
        if let Some(row) = &self.row {
            row.written.cancel();
        }
    }

    /// Whether the record says so.
    pub fn row_is_written(&self) -> bool {
        self.row
            .as_ref()
            .is_none_or(|row| row.written.is_cancelled())
    }

    /// Says that a limit ends the run. The first one counts. The error is what the host function returns, so that the guest stops.
    pub fn stop(&self, limit: Limit, message: impl Into<String>) -> wasmtime::Error {
        self.stop_by(limit, limit.key(), message)
    }

    /// As [`Meter::stop`], for a limit that another key raises than the one its name suggests.
    fn stop_by(
        &self,
        limit: Limit,
        key: &'static str,
        message: impl Into<String>,
    ) -> wasmtime::Error {
        let message = message.into();
        lock(&self.hard).get_or_insert_with(|| Stopped {
            limit,
            key,
            message: message.clone(),
        });
        wasmtime::Error::msg(message)
    }

    /// Says that something was refused because of a limit; if the run then fails, this was why.
    pub fn refuse(&self, limit: Limit, message: impl Into<String>) {
        lock(&self.soft).get_or_insert((limit, message.into()));
    }

    /// The limit that ended the run.
    pub fn stopped(&self) -> Option<Stopped> {
        lock(&self.hard).clone()
    }

    /// The limit that refused the run something.
    pub fn refused(&self) -> Option<(Limit, String)> {
        lock(&self.soft).clone()
    }

    /// Lists a denial, or counts it if it is listed.
    pub fn deny(&self, capability: &str, attempt: String, reason: String, allow: String) {
        let mut denials = lock(&self.denials);
        if let Some(same) = denials
            .iter_mut()
            .find(|denial| denial.capability == capability && denial.attempt == attempt)
        {
            same.count += 1;
        } else if denials.len() < DENIALS_MAX {
            denials.push(Denial {
                capability: capability.to_owned(),
                attempt,
                reason,
                allow,
                count: 1,
            });
        }
    }

    /// Notes what the guest reached, or counts it if it is noted.
    pub fn reach(&self, kind: &str, name: &str) {
        let mut reached = lock(&self.reached);
        let end = name
            .char_indices()
            .nth(REACHED_CHARS)
            .map_or(name.len(), |(end, _)| end);
        let (kind, name) = if reached.len() < REACHED_MAX {
            (kind, &name[..end])
        } else {
            ("other", "")
        };
        match reached
            .iter_mut()
            .find(|one| one.kind == kind && one.name == name)
        {
            Some(same) => same.count += 1,
            None => reached.push(Reached {
                kind: kind.to_owned(),
                name: name.to_owned(),
                count: 1,
            }),
        }
    }

    /// Says that somebody wants to know what leaves the process, and when.
    pub fn watch(&self) {
        self.watched.store(true, Ordering::Relaxed);
    }

    /// Whether somebody does.
    pub fn is_watched(&self) -> bool {
        self.watched.load(Ordering::Relaxed)
    }

    /// Notes a call beyond the process.
    pub fn went_outside(&self, call: Outside) {
        let mut outside = lock(&self.outside);
        if outside.len() < OUTSIDE_MAX {
            outside.push(call);
        }
    }

    /// The calls beyond the process.
    pub fn take_outside(&self) -> Vec<Outside> {
        std::mem::take(&mut lock(&self.outside))
    }

    /// What was reached.
    pub fn reached(&self) -> Vec<Reached> {
        lock(&self.reached).clone()
    }

    /// What was denied.
    pub fn denials(&self) -> Vec<Denial> {
        lock(&self.denials).clone()
    }

    /// Counts a call into the host.
    ///
    /// # Errors
    /// When it was one too many.
    pub fn enter_host(&self) -> wasmtime::Result<()> {
        let calls = self.host_calls.fetch_add(1, Ordering::Relaxed) + 1;
        if calls > self.budget.host_calls {
            return Err(self.stop(
                Limit::HostCalls,
                format!("more than {} calls into the host", self.budget.host_calls),
            ));
        }
        let mut entered = lock(&self.host_entered);
        entered.depth += 1;
        entered.since.get_or_insert_with(Instant::now);
        Ok(())
    }

    /// The engine's own interruption at an epoch tick passes through the same hook as a call; it is none.
    pub fn forget_interruption(&self) {
        self.host_calls.fetch_sub(1, Ordering::Relaxed);
    }

    /// The host call is over.
    pub fn leave_host(&self) {
        let mut entered = lock(&self.host_entered);
        entered.depth = entered.depth.saturating_sub(1);
        if entered.depth == 0 {
            self.count_host_time(&mut entered);
        }
    }

    fn count_host_time(&self, entered: &mut Entered) {
        if let Some(since) = entered.since.take() {
            let ns = u64::try_from(since.elapsed().as_nanos()).unwrap_or(u64::MAX);
            self.host_ns.fetch_add(ns, Ordering::Relaxed);
        }
    }

    /// Counts bytes that cross from the guest to the host.
    ///
    /// # Errors
    /// When there were too many.
    pub fn cross(&self, bytes: u64) -> wasmtime::Result<()> {
        let sum = self.boundary_bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if sum > self.budget.boundary_bytes {
            return Err(self.stop_by(
                Limit::HostCalls,
                "boundary",
                format!(
                    "more than {} bytes handed to the host",
                    self.budget.boundary_bytes
                ),
            ));
        }
        Ok(())
    }

    /// Whether the guest may have this much more memory.
    pub fn grow_memory(&self, current: usize, desired: usize) -> bool {
        let more = desired.saturating_sub(current) as u64;
        let sum = self.memory_bytes.load(Ordering::Relaxed) + more;
        if sum > self.budget.memory_bytes {
            self.refuse(
                Limit::Memory,
                format!(
                    "needs {sum} bytes of memory, {} are allowed",
                    self.budget.memory_bytes
                ),
            );
            return false;
        }
        self.memory_bytes.store(sum, Ordering::Relaxed);
        self.memory_peak_bytes.fetch_max(sum, Ordering::Relaxed);
        true
    }

    /// Whether the guest may have this many more table elements.
    pub fn grow_table(&self, current: usize, desired: usize) -> bool {
        let more = desired.saturating_sub(current) as u64;
        let sum = self
            .table_elements
            .load(Ordering::Relaxed)
            .saturating_add(more);
        if sum > self.budget.table_elements {
            self.refuse(
                Limit::Tables,
                format!(
                    "needs {sum} table elements, {} are allowed",
                    self.budget.table_elements
                ),
            );
            return false;
        }
        self.table_elements.store(sum, Ordering::Relaxed);
        true
    }

    /// Counts random bytes.
    ///
    /// # Errors
    /// When there were too many.
    pub fn random(&self, bytes: u64) -> wasmtime::Result<()> {
        let sum = self
            .random_bytes
            .fetch_add(bytes, Ordering::Relaxed)
            .saturating_add(bytes);
        if sum > self.budget.random_bytes {
            return Err(self.stop_by(
                Limit::HostCalls,
                "random",
                format!("more than {} random bytes", self.budget.random_bytes),
            ));
        }
        Ok(())
    }

    /// Charges bytes that a writable directory would grow by; `false` when they are too many.
    pub fn charge_file_bytes(&self, bytes: u64) -> bool {
        let charged = self
            .files_bytes
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |old| {
                old.checked_add(bytes)
                    .filter(|sum| *sum <= self.budget.files_bytes)
            })
            .is_ok();
        if !charged {
            self.refuse(
                Limit::Files,
                format!(
                    "would write more than {} bytes to its directories",
                    self.budget.files_bytes
                ),
            );
        }
        charged
    }

    /// Charges a file or directory that would be made; `false` when there are too many.
    pub fn charge_file(&self) -> bool {
        let charged = self.files_count.fetch_add(1, Ordering::Relaxed) < self.budget.files_count;
        if !charged {
            self.refuse(
                Limit::Files,
                format!("would make more than {} files", self.budget.files_count),
            );
        }
        charged
    }

    /// Charges bytes of report or artifacts; `false` when they are too many.
    pub fn charge_output(&self, bytes: u64) -> bool {
        self.output_bytes
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |old| {
                old.checked_add(bytes)
                    .filter(|sum| *sum <= self.budget.output_bytes)
            })
            .is_ok()
    }

    /// Gives bytes of an artifact back that was replaced.
    pub fn return_output(&self, bytes: u64) {
        self.output_bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Bytes of output that are left.
    pub fn output_left(&self) -> u64 {
        self.budget
            .output_bytes
            .saturating_sub(self.output_bytes.load(Ordering::Relaxed))
    }

    /// A poll of the run begins on this thread.
    pub fn begin_poll(&self) {
        self.poll_began_ns.store(thread_cpu_ns(), Ordering::Relaxed);
        self.polling.store(true, Ordering::Relaxed);
    }

    /// The poll is over.
    pub fn end_poll(&self) {
        if self.polling.swap(false, Ordering::Relaxed) {
            let spent = thread_cpu_ns().saturating_sub(self.poll_began_ns.load(Ordering::Relaxed));
            self.cpu_ns.fetch_add(spent, Ordering::Relaxed);
        }
    }

    /// Checked at every epoch tick, on the thread of the run.
    ///
    /// # Errors
    /// When the CPU time is over.
    pub fn check_cpu(&self) -> wasmtime::Result<()> {
        let now = thread_cpu_ns().saturating_sub(self.poll_began_ns.load(Ordering::Relaxed));
        let spent = self.cpu_ns.load(Ordering::Relaxed) + now;
        if spent > self.budget.cpu_ms.saturating_mul(1_000_000) {
            return Err(self.stop(
                Limit::Cpu,
                format!("more than {} ms of CPU time", self.budget.cpu_ms),
            ));
        }
        Ok(())
    }

    /// CPU time so far, on the thread of the run.
    pub(super) fn cpu(&self) -> std::time::Duration {
        let now = if self.polling.load(Ordering::Relaxed) {
            thread_cpu_ns().saturating_sub(self.poll_began_ns.load(Ordering::Relaxed))
        } else {
            0
        };
        std::time::Duration::from_nanos(self.cpu_ns.load(Ordering::Relaxed) + now)
    }

    /// The most memory so far, in bytes.
    pub(super) fn memory_peak(&self) -> u64 {
        self.memory_peak_bytes.load(Ordering::Relaxed)
    }

    /// Writes one message to the run's log.
    pub fn log(&self, level: &str, message: &str) {
        lock(&self.log).push(&self.budget, level, message);
    }

    /// Takes bytes of a standard stream and cuts them into lines.
    pub fn write_stream(&self, stream: Stream, bytes: &[u8]) {
        let mut log = lock(&self.log);
        let mut rest = bytes;
        while let Some(at) = rest.iter().position(|byte| *byte == b'\n') {
            let mut line = std::mem::take(&mut log.partial[stream as usize]);
            line.extend_from_slice(&rest[..at]);
            log.push(
                &self.budget,
                stream.level(),
                &String::from_utf8_lossy(&line),
            );
            rest = &rest[at + 1..];
        }
        for chunk in rest.chunks(LOG_LINE_MAX_BYTES) {
            log.partial[stream as usize].extend_from_slice(chunk);
            if log.partial[stream as usize].len() >= LOG_LINE_MAX_BYTES {
                let line = std::mem::take(&mut log.partial[stream as usize]);
                log.push(
                    &self.budget,
                    stream.level(),
                    &String::from_utf8_lossy(&line),
                );
            }
        }
    }

    /// Ends unfinished lines.
    pub fn finish_streams(&self) {
        let mut log = lock(&self.log);
        for stream in [Stream::Stdout, Stream::Stderr] {
            let line = std::mem::take(&mut log.partial[stream as usize]);
            if !line.is_empty() {
                log.push(
                    &self.budget,
                    stream.level(),
                    &String::from_utf8_lossy(&line),
                );
            }
        }
    }

    /// The lines that were written since the last call.
    pub fn take_log(&self) -> Vec<LogLine> {
        let mut log = lock(&self.log);
        log.taken += log.lines.len() as u64;
        std::mem::take(&mut log.lines)
    }

    /// Drops the lines up to a sequence number: they are stored.
    pub fn forget_log(&self, last: u64) {
        let mut log = lock(&self.log);
        let before = log.lines.len();
        log.lines.retain(|line| line.seq > last);
        log.taken += (before - log.lines.len()) as u64;
    }

    /// The lines that wait to be taken, from a sequence number on.
    pub fn peek_log(&self, after: Option<u64>) -> Vec<LogLine> {
        lock(&self.log)
            .lines
            .iter()
            .filter(|line| after.is_none_or(|after| line.seq > after))
            .cloned()
            .collect()
    }

    /// How far the run has got.
    pub fn progress(&self) -> Option<Progress> {
        lock(&self.progress).clone()
    }

    /// How many events were announced.
    #[must_use]
    pub fn emitted(&self) -> usize {
        lock(&self.events).len()
    }

    /// Keeps an event until the run's end.
    pub fn emit(&self, mut event: Emitted) {
        known::mask_value(&mut event.data);
        event.subject.iter_mut().for_each(known::mask_text);
        lock(&self.events).push(event);
    }

    /// What was announced, in order.
    #[must_use]
    pub fn take_events(&self) -> Vec<Emitted> {
        std::mem::take(&mut *lock(&self.events))
    }

    /// Keeps the latest progress.
    pub fn set_progress(&self, mut progress: Progress) {
        known::mask_text(&mut progress.message);
        *lock(&self.progress) = Some(progress);
    }

    /// Puts the counters into a usage record.
    pub fn fill(&self, usage: &mut crate::model::Usage) {
        // A run that was stopped may have left from inside a call.
        self.count_host_time(&mut lock(&self.host_entered));
        let log = lock(&self.log);
        usage.host_calls_us = self.host_ns.load(Ordering::Relaxed) / 1_000;
        usage.cpu_us = self.cpu_ns.load(Ordering::Relaxed) / 1_000;
        usage.peak_memory_bytes = self.memory_peak_bytes.load(Ordering::Relaxed);
        usage.host_calls = self.host_calls.load(Ordering::Relaxed);
        usage.output_bytes = self.output_bytes.load(Ordering::Relaxed);
        usage.log_bytes = log.bytes;
        usage.log_truncated = log.truncated;
    }
}

impl Log {
    fn push(&mut self, budget: &RunBudget, level: &str, message: &str) {
        let message = escape(&known::mask(message));
        self.bytes += message.len() as u64;
        if self.truncated {
            return;
        }
        let seq = self.taken + self.lines.len() as u64;
        let (level, message) = if self.bytes + seq > budget.log_bytes || seq >= LINES_MAX {
            self.truncated = true;
            (
                "warn",
                format!(
                    "the log is cut here: its limit is {} bytes",
                    budget.log_bytes
                ),
            )
        } else {
            (level, message)
        };
        self.lines.push(LogLine {
            seq,
            at: Timestamp::now(),
            level: level.to_owned(),
            message,
        });
    }
}

impl Stream {
    fn level(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        }
    }
}

/// Makes control characters, line breaks and changes of writing direction visible, so that a log line stays one inert line wherever it is shown.
#[must_use]
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len().min(LOG_LINE_MAX_BYTES));
    for character in text.chars() {
        let invisible = character.is_control() && character != '\t'
            || matches!(character, '\u{200b}' | '\u{061c}' | '\u{2060}' | '\u{200e}' | '\u{200f}' | '\u{2028}' | '\u{2029}'
                | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}');
        if invisible {
            escaped.extend(character.escape_unicode());
        } else {
            escaped.push(character);
        }
        if escaped.len() > LOG_LINE_MAX_BYTES {
            escaped.push('…');
            break;
        }
    }
    escaped
}

/// CPU time of this thread, in nanoseconds.
fn thread_cpu_ns() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    u64::try_from(time.tv_sec).unwrap_or(0) * 1_000_000_000
        + u64::try_from(time.tv_nsec).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meter(budget: RunBudget) -> Meter {
        Meter::new(budget)
    }

    #[test]
    fn sums_memory_over_all_memories() {
        let meter = meter(RunBudget {
            memory_bytes: 100,
            ..RunBudget::default()
        });
        assert!(meter.grow_memory(0, 60));
        assert!(!meter.grow_memory(0, 60), "a second memory counts too");
        assert!(meter.grow_memory(60, 100));
        assert_eq!(meter.refused().map(|(limit, _)| limit), Some(Limit::Memory));
    }

    #[test]
    fn counts_the_time_of_a_call_that_calls_back() {
        let meter = meter(RunBudget::default());
        meter.enter_host().unwrap();
        meter.enter_host().unwrap();
        meter.leave_host();
        assert!(
            lock(&meter.host_entered).since.is_some(),
            "the outer call is still open"
        );
        meter.leave_host();
        assert!(lock(&meter.host_entered).since.is_none());
        assert!(meter.host_ns.load(Ordering::Relaxed) > 0);
    }

    #[test]
    fn makes_every_log_line_inert() {
        let check = |text: &str, expected: &str| assert_eq!(escape(text), expected);
        check("plain\ttext", "plain\ttext");
        check("\u{1b}[31mred", "\\u{1b}[31mred");
        check("a\r\nb", "a\\u{d}\\u{a}b");
        check("\u{202e}evil", "\\u{202e}evil");
        check("<script>", "<script>");
    }

    #[test]
    fn cuts_the_log_once_and_says_so() {
        let meter = meter(RunBudget {
            log_bytes: 10,
            ..RunBudget::default()
        });
        for _ in 0..5 {
            meter.log("info", "12345678");
        }
        let lines = meter.take_log();
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert!(lines[1].message.contains("cut here"));
        let mut usage = crate::model::Usage::default();
        meter.fill(&mut usage);
        assert!(usage.log_truncated);
        assert_eq!(usage.log_bytes, 40);
    }

    #[test]
    fn cuts_streams_into_lines() {
        let meter = meter(RunBudget::default());
        meter.write_stream(Stream::Stdout, b"one\ntw");
        meter.write_stream(Stream::Stdout, b"o\nrest");
        meter.finish_streams();
        let lines: Vec<_> = meter
            .take_log()
            .into_iter()
            .map(|line| line.message)
            .collect();
        assert_eq!(lines, ["one", "two", "rest"]);
    }
}
