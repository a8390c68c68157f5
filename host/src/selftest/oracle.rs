//! Whether the host, its other agents and its records are as they should be after an attack: the oracle that follows every case.
//!
//! The canary runs each second and the API is asked forty times a second for as long as the host lives; the rest is looked at when somebody asks. What a busy
//! machine can bring about by itself is told and is grave only far beyond the aim: how late the machine is before anything attacks is measured first.

use super::SelftestError;
use super::host::{Api, Figures, Seen};
use super::judge::Remark;
use super::server::Server;
use serde::Serialize;
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;

/// How often the canary runs.
const CANARY_EVERY: Duration = Duration::from_secs(1);

/// How often the API is asked.
const ASK_EVERY: Duration = Duration::from_millis(25);

/// How late a run of the canary may end; ten times that is grave.
const CANARY_AIM_MS: u64 = 250;

/// How long an answer of the API may take, of 99 in 100; ten times that is grave.
const API_AIM_MS: u64 = 50;

/// How many times an aim is grave: on a machine that does other work, too, less proves nothing.
const GRAVE_TIMES: u64 = 10;

/// How much the host's memory may stay above what it was, in KiB.
const RSS_AIM_KIB: u64 = 16 * 1024;

/// How much of that is grave: an allocator keeps some of what was used at once.
const RSS_MOST_KIB: u64 = 64 * 1024;

/// How long the host may take to give memory back.
const RECOVERY: Duration = Duration::from_secs(5);

/// Open files above what they were: connections of this program come and go.
const FDS_SLACK: u64 = 24;

/// Threads above what they were: those for blocking work end ten seconds after they were needed.
const THREADS_SLACK: u64 = 32;

/// Events on one page.
const PAGE: usize = 500;

/// The ends of runs that are kept until their case asks for them: a case makes some dozens.
const ENDS_MAX: usize = 100_000;

/// What was measured over all of it.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Measured {
    /// Runs of the canary.
    pub canary_runs: u64,
    /// How late the latest of them ended, in milliseconds.
    pub canary_late_ms: u64,
    /// How late the latest of them ended before anything attacked, in milliseconds.
    pub canary_late_alone_ms: u64,
    /// Answers of the API.
    pub api_answers: u64,
    /// Within how many milliseconds 99 of 100 came.
    pub api_p99_ms: f64,
    /// The same before anything attacked.
    pub api_p99_alone_ms: f64,
    /// The host's memory when the attacks began, in KiB.
    pub rss_before_kib: u64,
    /// When they had ended.
    pub rss_after_kib: u64,
    /// Open files when the attacks began.
    pub fds_before: u64,
    /// When they had ended.
    pub fds_after: u64,
    /// Threads when the attacks began.
    pub threads_before: u64,
    /// When they had ended.
    pub threads_after: u64,
    /// Records of the journal, all of which verified.
    pub journal_records: u64,
}

/// What the canary and who asks the API saw.
#[derive(Default)]
struct Watch {
    canary_runs: u64,
    /// Runs of the canary that did not pass, and why.
    failures: Vec<String>,
    /// Since somebody looked, in milliseconds.
    late_ms: u64,
    worst_late_ms: u64,
    /// Since somebody looked, in microseconds.
    answers_us: Vec<u64>,
    /// Of all answers, how many took so many milliseconds.
    all_ms: BTreeMap<u64, u64>,
    all: u64,
}

/// The oracle of one host.
pub(super) struct Oracle {
    api: Arc<Api>,
    watch: Arc<Mutex<Watch>>,
    tasks: Vec<JoinHandle<()>>,
    seen: BTreeMap<PathBuf, Seen>,
    cursor: tokio::sync::Mutex<Option<String>>,
    /// Events that say how a run ended, by the run.
    ends: Mutex<HashMap<String, Vec<String>>>,
    start: Figures,
    alone: Measured,
}

impl Oracle {
    /// Begins to watch, and looks for a while how late the machine is by itself.
    pub(super) async fn start(api: Arc<Api>, quiet: Duration) -> Result<Self, SelftestError> {
        // The neighbour writes its key, and the first use of each part of the host makes threads and buffers that stay.
        for agent in ["neighbour", "canary", "scan"] {
            let run = api.run(agent).await?;
            if run["outcome"] != "succeeded" {
                return Err(SelftestError::Refused {
                    path: format!("a run of `{agent}`"),
                    said: run["message"].as_str().unwrap_or("no message").to_owned(),
                });
            }
        }
        let watch = Arc::new(Mutex::new(Watch::default()));
        let tasks = vec![
            tokio::spawn(keep_canary(Arc::clone(&api), Arc::clone(&watch))),
            tokio::spawn(keep_asking(Arc::clone(&api), Arc::clone(&watch))),
        ];
        let mut oracle = Self {
            seen: api.watched().map_err(SelftestError::Folder)?,
            start: Figures::default(),
            cursor: tokio::sync::Mutex::default(),
            ends: Mutex::default(),
            alone: Measured::default(),
            api,
            watch,
            tasks,
        };
        tokio::time::sleep(quiet).await;
        {
            let mut watch = lock(&oracle.watch);
            oracle.alone.canary_late_alone_ms = std::mem::take(&mut watch.late_ms);
            let mut answers = std::mem::take(&mut watch.answers_us);
            oracle.alone.api_p99_alone_ms = p99_us(&mut answers) as f64 / 1e3;
        }
        oracle.start = oracle.figures()?;
        oracle.read_events().await?;
        Ok(oracle)
    }

    /// How late the machine is by itself, in milliseconds.
    pub(super) fn noise_ms(&self) -> u64 {
        self.alone.canary_late_alone_ms
    }

    pub(super) fn figures(&self) -> Result<Figures, SelftestError> {
        self.api.figures().map_err(SelftestError::Folder)
    }

    /// Looks at everything but the records of single runs. `before` is what the operating system said before the attack.
    pub(super) async fn look(&self, before: Figures, sink: &Server) -> Vec<Remark> {
        let mut remarks = Vec::new();
        self.look_at_watch(&mut remarks);
        match self.api.run("neighbour").await {
            Ok(run) if run["outcome"] == "succeeded" => {}
            Ok(run) => remarks.push(Remark::grave(format!(
                "the neighbour's key is not what it was: {}",
                run["message"].as_str().unwrap_or_default()
            ))),
            Err(error) => remarks.push(Remark::grave(format!("the neighbour cannot run: {error}"))),
        }
        match self.api.watched() {
            Ok(now) => {
                for path in self.seen.keys().chain(now.keys()) {
                    if self.seen.get(path) != now.get(path) {
                        remarks.push(Remark::grave(format!("`{}` changed", path.display())));
                    }
                }
            }
            Err(error) => remarks.push(Remark::grave(format!(
                "the watched folders cannot be read: {error}"
            ))),
        }
        if sink.connections() > 0 {
            remarks.push(Remark::grave(format!(
                "{} connections reached a server that nobody may reach",
                sink.connections()
            )));
        }
        self.look_at_figures(before, &mut remarks).await;
        match self.api.get("/v1/audit/verification").await {
            Ok(journal) if journal["broken"].is_null() => {}
            Ok(journal) => remarks.push(Remark::grave(format!(
                "the journal is broken: {}",
                journal["broken"]
            ))),
            Err(error) => remarks.push(Remark::grave(format!(
                "the journal cannot be verified: {error}"
            ))),
        }
        remarks
    }

    /// The canary and the answers of the API since the last look.
    fn look_at_watch(&self, remarks: &mut Vec<Remark>) {
        let (failures, late_ms, mut answers) = {
            let mut watch = lock(&self.watch);
            (
                std::mem::take(&mut watch.failures),
                std::mem::take(&mut watch.late_ms),
                std::mem::take(&mut watch.answers_us),
            )
        };
        for failure in failures {
            remarks.push(Remark::grave(failure));
        }
        let alone = self.alone.canary_late_alone_ms;
        beyond(
            "the canary was",
            "late",
            late_ms,
            CANARY_AIM_MS,
            alone,
            remarks,
        );
        let alone = self.alone.api_p99_alone_ms as u64;
        beyond(
            "99 of 100 answers of the API took",
            "at most",
            p99_us(&mut answers) / 1_000,
            API_AIM_MS,
            alone,
            remarks,
        );
    }

    /// Waits until the host has given back what the attack used.
    async fn look_at_figures(&self, before: Figures, remarks: &mut Vec<Remark>) {
        let until = Instant::now() + RECOVERY;
        loop {
            let now = match self.api.figures() {
                Ok(now) => now,
                Err(error) => {
                    remarks.push(Remark::grave(format!("the host is gone: {error}")));
                    return;
                }
            };
            let above = now.rss_kib.saturating_sub(before.rss_kib);
            let calm = above <= RSS_AIM_KIB
                && now.fds <= before.fds + FDS_SLACK
                && now.threads <= before.threads + THREADS_SLACK;
            if calm {
                return;
            }
            if Instant::now() > until {
                if above > RSS_MOST_KIB {
                    remarks.push(Remark::grave(format!("its memory stays {above} KiB above")));
                } else if above > RSS_AIM_KIB {
                    remarks.push(Remark::slow(format!(
                        "its memory stays {above} KiB above, {RSS_AIM_KIB} are aimed at"
                    )));
                }
                if now.fds > before.fds + FDS_SLACK {
                    remarks.push(Remark::grave(format!(
                        "{} files are open, {} were",
                        now.fds, before.fds
                    )));
                }
                if now.threads > before.threads + THREADS_SLACK {
                    remarks.push(Remark::grave(format!(
                        "it has {} threads and had {}",
                        now.threads, before.threads
                    )));
                }
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Whether a run has exactly one terminal record, which says what the answer said, and one event.
    pub(super) async fn one_record(&self, run: &Value) -> Result<Vec<Remark>, SelftestError> {
        let mut remarks = Vec::new();
        let id = run["id"].as_str().unwrap_or_default();
        let agent = run["agent"].as_str().unwrap_or_default();
        let stored = self.api.get(&format!("/v1/runs/{id}")).await?;
        for field in ["state", "outcome", "reason", "message", "denials", "usage"] {
            if stored[field] != run[field] {
                remarks.push(Remark::grave(format!(
                    "its record has another `{field}` than its answer: {}",
                    stored[field]
                )));
            }
        }
        for field in ["ended_at", "config_digest"] {
            if !stored[field].is_string() {
                remarks.push(Remark::grave(format!("its record has no `{field}`")));
            }
        }
        let list = self
            .api
            .get(&format!("/v1/runs?agent={agent}&limit=200"))
            .await?;
        let records = list["items"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|item| item["id"] == run["id"])
            .count();
        if records != 1 {
            remarks.push(Remark::grave(format!("it has {records} records")));
        }
        self.read_events().await?;
        let ends = lock(&self.ends).remove(id).unwrap_or_default();
        let wanted = format!("run.{}", run["outcome"].as_str().unwrap_or_default());
        if ends != [wanted] {
            remarks.push(Remark::grave(format!("its end was announced as {ends:?}")));
        }
        Ok(remarks)
    }

    /// Reads what was announced since the last call.
    pub(super) async fn read_events(&self) -> Result<(), SelftestError> {
        let mut cursor = self.cursor.lock().await;
        loop {
            let path = match &*cursor {
                Some(cursor) => format!("/v1/events?limit={PAGE}&cursor={cursor}"),
                None => format!("/v1/events?limit={PAGE}"),
            };
            let page = self.api.get(&path).await?;
            let items = page["items"].as_array().map_or(&[][..], Vec::as_slice);
            {
                let mut ends = lock(&self.ends);
                if ends.len() > ENDS_MAX {
                    ends.clear();
                }
                for event in items {
                    if let (Some(kind), Some(run)) =
                        (event["type"].as_str(), event["subject"].as_str())
                        && kind.starts_with("run.")
                    {
                        ends.entry(run.to_owned())
                            .or_default()
                            .push(kind.to_owned());
                    }
                }
            }
            if let Some(next) = page["next"].as_str() {
                *cursor = Some(next.to_owned());
            }
            if items.len() < PAGE {
                return Ok(());
            }
        }
    }

    /// What was measured over all of it.
    pub(super) async fn measured(&self) -> Result<Measured, SelftestError> {
        let after = self.figures()?;
        let journal = self.api.get("/v1/audit/verification").await?;
        let watch = lock(&self.watch);
        Ok(Measured {
            canary_runs: watch.canary_runs,
            canary_late_ms: watch.worst_late_ms,
            api_answers: watch.all,
            api_p99_ms: p99_of(&watch.all_ms, watch.all) as f64,
            rss_before_kib: self.start.rss_kib,
            rss_after_kib: after.rss_kib,
            fds_before: self.start.fds,
            fds_after: after.fds,
            threads_before: self.start.threads,
            threads_after: after.threads,
            journal_records: journal["records"].as_u64().unwrap_or_default(),
            ..self.alone
        })
    }
}

impl Drop for Oracle {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Tells of lateness beyond the aim, or beyond three times what the machine had by itself.
fn beyond(
    before: &str,
    after: &str,
    found_ms: u64,
    aim_ms: u64,
    alone_ms: u64,
    remarks: &mut Vec<Remark>,
) {
    let aim = aim_ms.max(alone_ms * 3);
    if found_ms <= aim {
        return;
    }
    let what = format!("{before} {found_ms} ms {after}, {aim} are aimed at");
    remarks.push(if found_ms > aim * GRAVE_TIMES {
        Remark::grave(what)
    } else {
        Remark::slow(what)
    });
}

/// The time within which 99 of 100 came; 0 of none.
fn p99_us(answers: &mut [u64]) -> u64 {
    answers.sort_unstable();
    let at = (answers.len() * 99).div_ceil(100).saturating_sub(1);
    answers.get(at).copied().unwrap_or_default()
}

/// The same of counts by time.
fn p99_of(counts: &BTreeMap<u64, u64>, all: u64) -> u64 {
    let wanted = (all * 99).div_ceil(100);
    let mut sum = 0;
    for (time, count) in counts {
        sum += count;
        if sum >= wanted {
            return *time;
        }
    }
    0
}

async fn keep_canary(api: Arc<Api>, watch: Arc<Mutex<Watch>>) {
    let mut due = tokio::time::Instant::now();
    loop {
        due += CANARY_EVERY;
        tokio::time::sleep_until(due).await;
        let run = api.run("canary").await;
        let late_ms = due.elapsed().as_millis() as u64;
        let mut watch = lock(&watch);
        watch.canary_runs += 1;
        match run {
            Ok(run) if run["outcome"] == "succeeded" => {
                watch.late_ms = watch.late_ms.max(late_ms);
                watch.worst_late_ms = watch.worst_late_ms.max(late_ms);
            }
            Ok(run) => watch.failures.push(format!(
                "the canary ended as {}: {}",
                run["outcome"], run["message"]
            )),
            Err(error) => watch
                .failures
                .push(format!("the canary could not run: {error}")),
        }
        drop(watch);
        // A tick that was missed is counted as lateness once, not made up for.
        let tick_ago = tokio::time::Instant::now().checked_sub(CANARY_EVERY);
        due = due.max(tick_ago.unwrap_or(due));
    }
}

async fn keep_asking(api: Arc<Api>, watch: Arc<Mutex<Watch>>) {
    loop {
        tokio::time::sleep(ASK_EVERY).await;
        let began = Instant::now();
        let answer = api.get("/health").await;
        let took = began.elapsed();
        let mut watch = lock(&watch);
        watch.all += 1;
        *watch.all_ms.entry(took.as_millis() as u64).or_default() += 1;
        watch.answers_us.push(took.as_micros() as u64);
        if let Err(error) = answer {
            watch
                .failures
                .push(format!("the API did not answer: {error}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_hundred_answers_the_slowest_does_not_count() {
        let mut answers: Vec<u64> = (1..=100).collect();
        assert_eq!(p99_us(&mut answers), 99);
        assert_eq!(p99_us(&mut [7]), 7);
        assert_eq!(p99_us(&mut []), 0);
        let counts = BTreeMap::from([(1, 98), (5, 1), (900, 1)]);
        assert_eq!(p99_of(&counts, 100), 5);
        assert_eq!(p99_of(&BTreeMap::new(), 0), 0);
    }

    #[test]
    fn what_the_machine_does_by_itself_is_no_ones_fault() {
        let check = |found: u64, alone: u64| {
            let mut remarks = Vec::new();
            beyond("it took", "", found, 50, alone, &mut remarks);
            remarks.first().map(|remark: &Remark| remark.grave)
        };
        assert_eq!(check(50, 0), None);
        assert_eq!(check(51, 0), Some(false));
        assert_eq!(check(501, 0), Some(true));
        assert_eq!(check(120, 40), None);
        assert_eq!(check(121, 40), Some(false));
    }
}
