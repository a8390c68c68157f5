//! `infinity selftest`: proves on the machine it runs on that guests are contained.
//!
//! It starts a host of its own in a temporary folder, this very program, has the attacks of `cases` run in it, and looks after each whether the host, its other
//! agents and its records are as they should be (`oracle`). Invariants: it needs no configuration, no account and no network; it attacks nothing but its own
//! host; it leaves nothing behind, also when it is interrupted. It knows the host as any client does, over HTTP, and nothing of how guests are contained.

mod cases;
mod guests;
mod host;
mod judge;
mod oracle;
mod server;

pub use judge::Remark;
pub use oracle::Measured;

use cases::{Act, CASES, Case, NOT_HERE};
use host::{Api, Host};
use jiff::Timestamp;
use judge::{Company, judge, words};
use oracle::Oracle;
use serde::Serialize;
use serde_json::Value;
use server::Server;
use std::collections::{BTreeMap, HashMap};
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::signal::unix::{SignalKind, signal};

/// How long the machine is watched before anything attacks.
const QUIET: Duration = Duration::from_secs(3);

/// Attacks at once with `--soak`.
const ATTACKERS: usize = 8;

/// How often the oracle looks during a soak: nothing attacks meanwhile.
const SOAK_LOOKS: Duration = Duration::from_secs(60);

/// Runs that events may start in a row.
const HOPS_MAX: usize = 8;

/// Crashes that put an agent into quarantine.
const CRASHES: usize = 5;

/// How long what is polled for may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// What a log may hold beyond its limit: the line that says where it was cut.
const LOG_SLACK: u64 = 1024;

/// What to attack with, and for how long.
#[derive(Clone, Debug, Default)]
pub struct SelftestOptions {
    /// Rows, or names of cases; all without any.
    pub only: Vec<String>,
    /// How long all of them are repeated in no order, eight at once, after each was run once.
    pub soak: Option<Duration>,
}

/// Why the selftest came to no result.
#[derive(Debug, thiserror::Error)]
pub enum SelftestError {
    /// No case is called so.
    #[error("there is no case `{name}`; there are {known}")]
    Unknown {
        /// What was asked for.
        name: String,
        /// The rows that there are.
        known: String,
    },
    /// The folder cannot be used.
    #[error("the selftest's own folder or server cannot be used: {0}")]
    Folder(#[source] io::Error),
    /// The program cannot be started.
    #[error("this program cannot be started once more as the host that is attacked: {0}")]
    Program(#[source] io::Error),
    /// The host did not listen.
    #[error("the host that is to be attacked did not start: {log}")]
    Start {
        /// The end of its log.
        log: String,
    },
    /// The host did not answer.
    #[error("the host did not answer: {0}")]
    Request(#[source] reqwest::Error),
    /// The host answered with a refusal.
    #[error("{path}: {said}")]
    Refused {
        /// What was asked for.
        path: String,
        /// What it said.
        said: String,
    },
    /// Somebody interrupted it.
    #[error("interrupted; nothing is left behind")]
    Interrupted,
}

/// What came of one case.
#[derive(Clone, Debug, Serialize)]
pub struct CaseResult {
    /// Its row in `docs/hostile.md`.
    pub row: &'static str,
    /// Its name.
    pub name: &'static str,
    /// What the guest does.
    pub does: &'static str,
    /// How it has to end.
    pub expected: String,
    /// How it ended.
    pub got: String,
    /// Whether it was contained: it ended as it has to, and nothing grave was seen.
    pub contained: bool,
    /// What contains it.
    pub layer: &'static str,
    /// Milliseconds over the limit of time that ended it.
    pub overrun_ms: Option<i64>,
    /// Milliseconds over a limit of time that are aimed at.
    pub allowed_ms: i64,
    /// How long the attack took, in milliseconds.
    pub took_ms: u64,
    /// What was not as it should be.
    pub remarks: Vec<Remark>,
}

/// What was seen during a soak.
#[derive(Clone, Debug, Serialize)]
pub struct SoakResult {
    /// For how long, in seconds.
    pub seconds: u64,
    /// Attacks.
    pub attacks: u64,
    /// How they ended.
    pub ends: BTreeMap<String, u64>,
    /// Looks of the oracle.
    pub looks: usize,
    /// The host's memory after a tenth of the time, in KiB.
    pub rss_early_kib: u64,
    /// The host's memory at the end, in KiB.
    pub rss_late_kib: u64,
    /// What was not as it should be.
    pub remarks: Vec<Remark>,
}

/// A row that was not tried.
#[derive(Clone, Debug, Serialize)]
pub struct NotHere {
    /// The row.
    pub row: &'static str,
    /// Why, and where it is tested.
    pub reason: &'static str,
}

/// The machine.
#[derive(Clone, Debug, Serialize)]
pub struct Machine {
    /// The operating system, as it calls itself.
    pub system: String,
    /// The kernel's release.
    pub kernel: String,
    /// For instance `x86_64`.
    pub architecture: &'static str,
    /// The processor's name.
    pub processor: String,
    /// Processors that this program may use.
    pub processors: usize,
    /// Memory, in MiB.
    pub memory_mib: u64,
}

/// What came of the selftest.
#[derive(Clone, Debug, Serialize)]
pub struct SelftestReport {
    /// The program's version.
    pub version: &'static str,
    /// Whether the program was built for debugging, which makes everything slower.
    pub debug_build: bool,
    /// When it began.
    pub started_at: Timestamp,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
    /// Where it ran.
    pub machine: Machine,
    /// Cases that were contained.
    pub contained: usize,
    /// Cases that were not.
    pub failed: usize,
    /// Every case, in order.
    pub cases: Vec<CaseResult>,
    /// Rows that were not tried.
    pub not_here: Vec<NotHere>,
    /// What was measured over all of it.
    pub host: Measured,
    /// With `--soak`.
    pub soak: Option<SoakResult>,
}

impl SelftestReport {
    /// Whether everything was contained.
    #[must_use]
    pub fn passed(&self) -> bool {
        let soaked = self
            .soak
            .iter()
            .flat_map(|soak| &soak.remarks)
            .all(|remark| !remark.grave);
        self.failed == 0 && soaked
    }
}

/// How far it is: done, of how many, and what is next.
pub type Progress<'a> = &'a (dyn Fn(usize, usize, &str) + Sync);

/// Attacks a host of its own and says what came of it.
///
/// # Errors
/// When no host could be attacked, or when somebody interrupted it. That something was not contained is no error.
pub async fn run(
    options: &SelftestOptions,
    progress: Progress<'_>,
) -> Result<SelftestReport, SelftestError> {
    let cases = chosen(&options.only)?;
    let mut stop = signal(SignalKind::terminate()).map_err(SelftestError::Folder)?;
    tokio::select! {
        report = attack(&cases, options, progress) => report,
        // Everything that the attack holds ends with it: the host, its folder, the servers.
        _ = tokio::signal::ctrl_c() => Err(SelftestError::Interrupted),
        _ = stop.recv() => Err(SelftestError::Interrupted),
    }
}

/// The cases of these rows or names.
fn chosen(only: &[String]) -> Result<Vec<&'static Case>, SelftestError> {
    let is = |case: &Case, name: &str| {
        case.row.eq_ignore_ascii_case(name) || case.name.eq_ignore_ascii_case(name)
    };
    for name in only {
        if !CASES.iter().any(|case| is(case, name)) {
            let mut known: Vec<&str> = CASES.iter().map(|case| case.row).collect();
            known.dedup();
            return Err(SelftestError::Unknown {
                name: name.clone(),
                known: known.join(", "),
            });
        }
    }
    Ok(CASES
        .iter()
        .filter(|case| only.is_empty() || only.iter().any(|name| is(case, name)))
        .collect())
}

/// What a case needs.
struct Range<'a> {
    api: &'a Api,
    digests: &'a BTreeMap<&'static str, String>,
    limits: HashMap<String, Value>,
    noise_ms: i64,
}

async fn attack(
    cases: &[&'static Case],
    options: &SelftestOptions,
    progress: Progress<'_>,
) -> Result<SelftestReport, SelftestError> {
    let started_at = Timestamp::now();
    let began = Instant::now();
    progress(0, cases.len(), "starting a host to attack");
    let server = Server::start().await.map_err(SelftestError::Folder)?;
    let sink = Server::start().await.map_err(SelftestError::Folder)?;
    let mut host = Host::start(&server, &sink).await?;
    let api = Arc::clone(&host.api);
    progress(0, cases.len(), "looking how quick the machine is");
    let oracle = Oracle::start(Arc::clone(&api), QUIET).await?;
    let agents = api.get("/v1/agents").await?;
    let digests = std::mem::take(&mut host.digests);
    let range = Range {
        api: &api,
        digests: &digests,
        limits: agents["items"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|agent| Some((agent["name"].as_str()?.to_owned(), agent["limits"].clone())))
            .collect(),
        noise_ms: i64::try_from(oracle.noise_ms()).unwrap_or(i64::MAX / 2),
    };

    let mut results = Vec::new();
    for (at, case) in cases.iter().enumerate() {
        progress(at, cases.len(), case.name);
        let result = one(case, &range, &oracle, &sink).await?;
        results.push(result);
        if !host.is_alive() {
            // Nothing can be said of the cases that would follow.
            if let Some(result) = results.last_mut() {
                result.contained = false;
                result.remarks.push(Remark::grave(format!(
                    "the host is gone, its log ends with: {}",
                    host.log()
                )));
            }
            break;
        }
    }
    let soak = match options.soak {
        Some(time) if host.is_alive() => {
            Some(soak(cases, time, &range, &oracle, &sink, progress).await?)
        }
        _ => None,
    };
    let measured = if host.is_alive() {
        oracle.measured().await?
    } else {
        Measured::default()
    };
    let contained = results.iter().filter(|result| result.contained).count();
    Ok(SelftestReport {
        version: env!("CARGO_PKG_VERSION"),
        debug_build: cfg!(debug_assertions),
        started_at,
        took_ms: millis(began.elapsed()),
        machine: machine(),
        contained,
        // A case that was not reached was not contained.
        failed: cases.len() - contained,
        cases: results,
        not_here: NOT_HERE
            .iter()
            .map(|(row, reason)| NotHere { row, reason })
            .collect(),
        host: measured,
        soak,
    })
}

/// One case, and what the oracle says after it.
async fn one(
    case: &'static Case,
    range: &Range<'_>,
    oracle: &Oracle,
    sink: &Server,
) -> Result<CaseResult, SelftestError> {
    let before = oracle.figures()?;
    let began = Instant::now();
    let done = act(case, range).await;
    let took_ms = millis(began.elapsed());
    let (runs, mut remarks) = match done {
        Ok(done) => done,
        // What the host refuses to do is for the table, and so is a host that does not answer.
        Err(error) => (Vec::new(), vec![Remark::grave(error.to_string())]),
    };
    let mut got = "none".to_owned();
    let mut overrun_ms = None;
    for run in &runs {
        let judged = judged(case, range, run, Company::Alone);
        got = judged.got;
        overrun_ms = overrun_ms.max(judged.overrun_ms);
        remarks.extend(judged.remarks);
        match oracle.one_record(run).await {
            Ok(more) => remarks.extend(more),
            Err(error) => remarks.push(Remark::grave(error.to_string())),
        }
    }
    remarks.extend(oracle.look(before, sink).await);
    Ok(CaseResult {
        row: case.row,
        name: case.name,
        does: case.does,
        expected: words(case.expected.outcome, case.expected.reason),
        got,
        contained: remarks.iter().all(|remark| !remark.grave),
        layer: case.layer,
        overrun_ms,
        allowed_ms: case.allowed_ms,
        took_ms,
        remarks,
    })
}

fn judged(case: &Case, range: &Range<'_>, run: &Value, company: Company) -> judge::Judged {
    let nothing = Value::Null;
    judge(
        &case.expected,
        run,
        range.limits.get(case.name).unwrap_or(&nothing),
        range.digests.get(case.guest).map_or("", String::as_str),
        case.allowed_ms,
        range.noise_ms,
        company,
    )
}

/// The attack itself: its runs, which all have to end as expected, and what else was seen.
async fn act(case: &Case, range: &Range<'_>) -> Result<(Vec<Value>, Vec<Remark>), SelftestError> {
    let api = range.api;
    let agent = case.name;
    if let Some(folder) = case.empties {
        api.empty(folder).map_err(SelftestError::Folder)?;
    }
    let mut remarks = Vec::new();
    let runs = match case.act {
        Act::Run => vec![api.run(agent).await?],
        Act::Eight => futures::future::try_join_all((0..ATTACKERS).map(|_| api.run(agent))).await?,
        Act::Twice => {
            let runs = vec![api.run(agent).await?, api.run(agent).await?];
            let fuel = |run: &Value| run["usage"]["fuel"].as_u64();
            if fuel(&runs[0]).is_none() || fuel(&runs[0]) != fuel(&runs[1]) {
                remarks.push(Remark::grave("two runs used different fuel"));
            }
            runs
        }
        Act::Cancel => {
            let started = api.post(&format!("/v1/agents/{agent}/runs"), None).await?;
            let path = format!("/v1/runs/{}", started["id"].as_str().unwrap_or_default());
            until_state(api, &path, "running").await?;
            api.post(&format!("{path}/cancel"), None).await?;
            let run = until_state(api, &path, "ended").await?;
            remarks.extend(scan(api).await?);
            vec![run]
        }
        Act::Scan => {
            let run = api.run(agent).await?;
            remarks.extend(scan(api).await?);
            vec![run]
        }
        Act::Chain => {
            let run = api.run(agent).await?;
            remarks.extend(chain(api, &[agent, "pong"]).await?);
            vec![run]
        }
        Act::Crash => {
            let mut runs = Vec::new();
            for _ in 0..CRASHES {
                runs.push(api.run(agent).await?);
            }
            remarks.extend(quarantine(api, agent).await?);
            runs
        }
        Act::Key => {
            let key = format!("selftest-{}", uuid::Uuid::now_v7());
            let path = format!("/v1/agents/{agent}/runs?wait=60s");
            let first = api.post(&path, Some(&key)).await?;
            let second = api.post(&path, Some(&key)).await?;
            if first["id"] != second["id"] {
                remarks.push(Remark::grave("one key started two runs"));
            }
            vec![first]
        }
        Act::Log => {
            let run = api.run(agent).await?;
            remarks.extend(log(api, &run, range.limits.get(agent)).await?);
            vec![run]
        }
    };
    Ok((runs, remarks))
}

/// Asks for a run until it is in this state.
async fn until_state(api: &Api, path: &str, state: &str) -> Result<Value, SelftestError> {
    let until = Instant::now() + PATIENCE;
    loop {
        let run = api.get(path).await?;
        if run["state"] == state || Instant::now() > until {
            return Ok(run);
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Has another agent look for what a run left in memory.
async fn scan(api: &Api) -> Result<Option<Remark>, SelftestError> {
    let run = api.run("scan").await?;
    let found = run["outcome"] != "succeeded";
    Ok(found.then(|| Remark::grave("another agent's fresh memory was not empty")))
}

/// Follows the runs that events start, until there are no more.
async fn chain(api: &Api, agents: &[&str]) -> Result<Vec<Remark>, SelftestError> {
    let until = Instant::now() + PATIENCE;
    let mut before = 0;
    loop {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let mut count = 0;
        for agent in agents {
            let runs = api
                .get(&format!("/v1/runs?agent={agent}&limit=200"))
                .await?;
            count += runs["items"].as_array().map_or(0, Vec::len);
        }
        if count == before || Instant::now() > until {
            break;
        }
        before = count;
    }
    let mut remarks = Vec::new();
    if before > HOPS_MAX + 1 {
        remarks.push(Remark::grave(format!(
            "{before} runs followed one another, {HOPS_MAX} may follow the first"
        )));
    }
    if before < 2 {
        remarks.push(Remark::grave(
            "its events started nothing, so nothing was shown",
        ));
    }
    Ok(remarks)
}

/// Whether the agent is in quarantine, and goes on when a person says so.
async fn quarantine(api: &Api, agent: &str) -> Result<Vec<Remark>, SelftestError> {
    let path = format!("/v1/agents/{agent}");
    let until = Instant::now() + PATIENCE;
    let mut remarks = Vec::new();
    // It is put there after its run was recorded.
    while api.get(&path).await?["quarantined"] != true {
        if Instant::now() > until {
            remarks.push(Remark::grave("five crashes did not put it into quarantine"));
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    api.post(&format!("{path}/resume"), None).await?;
    if api.get(&path).await?["quarantined"] == true {
        remarks.push(Remark::grave("it stays in quarantine after it was resumed"));
    }
    Ok(remarks)
}

/// Whether the log that is kept is inert and within its limit.
async fn log(api: &Api, run: &Value, limits: Option<&Value>) -> Result<Vec<Remark>, SelftestError> {
    let id = run["id"].as_str().unwrap_or_default();
    let most = limits.and_then(|limits| limits["log_bytes"].as_u64());
    let (mut bytes, mut active, mut after) = (0, 0_u64, String::new());
    loop {
        let page = api
            .get(&format!("/v1/runs/{id}/logs?limit=500{after}"))
            .await?;
        for line in page["items"].as_array().into_iter().flatten() {
            let text = line["message"].as_str().unwrap_or_default();
            bytes += text.len() as u64;
            active += u64::from(text.chars().any(crate::config::is_unprintable));
        }
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => break,
        }
    }
    let mut remarks = Vec::new();
    if active > 0 {
        remarks.push(Remark::grave(format!(
            "{active} lines of its log hold what a terminal obeys"
        )));
    }
    if bytes == 0 {
        remarks.push(Remark::grave("nothing of it is in its log"));
    }
    if most.is_none_or(|most| bytes > most + LOG_SLACK) {
        remarks.push(Remark::grave(format!("its log has {bytes} bytes")));
    }
    Ok(remarks)
}

/// All cases in no order, eight at once, until the time is over.
async fn soak(
    cases: &[&'static Case],
    time: Duration,
    range: &Range<'_>,
    oracle: &Oracle,
    sink: &Server,
    progress: Progress<'_>,
) -> Result<SoakResult, SelftestError> {
    // What counts the agent's runs, or asks for it under one key, is shown once; the rest can be repeated, but not beside itself.
    let repeated: Vec<(&Case, tokio::sync::Mutex<()>)> = cases
        .iter()
        .filter(|case| !matches!(case.act, Act::Chain | Act::Crash))
        .map(|case| (*case, tokio::sync::Mutex::new(())))
        .collect();
    let began = Instant::now();
    let seen = Mutex::new((0_u64, BTreeMap::<String, u64>::new(), Vec::<Remark>::new()));
    let (repeated, lock) = (&repeated, &|| {
        seen.lock().unwrap_or_else(PoisonError::into_inner)
    });
    let minutes = time.as_secs().div_ceil(60);
    // What stays after the first round is what eight at once need; beyond it nothing may grow.
    let mut before = oracle.figures()?;
    let (mut looks, mut early) = (0, None);
    while began.elapsed() < time && !repeated.is_empty() {
        let left = time.saturating_sub(began.elapsed());
        let until = Instant::now() + SOAK_LOOKS.min(left).min(time / 10);
        let attackers = (0..ATTACKERS).map(|attacker| async move {
            // Any order will do, as long as each attacker has another one.
            let mut order = (looks * ATTACKERS + attacker) as u64;
            while Instant::now() < until {
                order = order
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                let (case, turn) = &repeated[(order >> 33) as usize % repeated.len()];
                let Ok(_turn) = turn.try_lock() else {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                    continue;
                };
                let done = act(case, range).await;
                let mut seen = lock();
                match done {
                    Ok((runs, remarks)) => {
                        seen.2.extend(remarks);
                        for run in runs {
                            let judged = judged(case, range, &run, Company::Crowd);
                            seen.0 += 1;
                            *seen.1.entry(judged.got).or_default() += 1;
                            // Eight at once take one another's time: only what is grave counts.
                            let grave = judged.remarks.into_iter().filter(|remark| remark.grave);
                            seen.2.extend(grave.map(|remark| {
                                Remark::grave(format!("{}: {}", case.name, remark.what))
                            }));
                        }
                    }
                    Err(error) => seen
                        .2
                        .push(Remark::grave(format!("{}: {error}", case.name))),
                }
            }
        });
        futures::future::join_all(attackers).await;
        if looks == 0 {
            before = oracle.figures()?;
        }
        let remarks = oracle.look(before, sink).await;
        // The ends of these runs were judged by their answers.
        oracle.read_events().await?;
        looks += 1;
        let now = oracle.figures()?;
        before = *early.get_or_insert(now);
        let mut seen = lock();
        seen.2.extend(remarks);
        progress(
            cases.len(),
            cases.len(),
            &format!(
                "{} attacks in {} of {minutes} minutes",
                seen.0,
                began.elapsed().as_secs() / 60
            ),
        );
        if seen.2.iter().any(|remark| remark.grave) {
            break;
        }
    }
    let late = oracle.figures()?;
    let (attacks, ends, remarks) = seen.into_inner().unwrap_or_else(PoisonError::into_inner);
    Ok(SoakResult {
        seconds: began.elapsed().as_secs(),
        attacks,
        ends,
        looks,
        rss_early_kib: early.unwrap_or_default().rss_kib,
        rss_late_kib: late.rss_kib,
        remarks,
    })
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// What is known of the machine; `unknown` where it does not say.
fn machine() -> Machine {
    let line = |file: &str, key: &str| {
        let text = std::fs::read_to_string(file).ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix(key))?;
        let value = line.trim_start_matches([' ', '\t', ':', '=']);
        Some(value.trim_matches(['"', ' ']).to_owned())
    };
    let unknown = || "unknown".to_owned();
    let memory = line("/proc/meminfo", "MemTotal").and_then(|text| {
        let kib: u64 = text.split_whitespace().next()?.parse().ok()?;
        Some(kib / 1024)
    });
    Machine {
        system: line("/etc/os-release", "PRETTY_NAME").unwrap_or_else(unknown),
        kernel: line("/proc/sys/kernel/osrelease", "").unwrap_or_else(unknown),
        architecture: std::env::consts::ARCH,
        processor: line("/proc/cpuinfo", "model name").unwrap_or_else(unknown),
        processors: std::thread::available_parallelism().map_or(1, usize::from),
        memory_mib: memory.unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(only: &[&str]) -> Vec<&'static str> {
        let only: Vec<String> = only.iter().map(|name| (*name).to_owned()).collect();
        let cases = chosen(&only).expect("cases");
        cases.iter().map(|case| case.name).collect()
    }

    #[test]
    fn a_row_or_a_name_chooses_cases() {
        assert_eq!(names(&[]).len(), CASES.len());
        assert_eq!(names(&["h04"]), ["h04-recurse", "h04-start"]);
        assert_eq!(names(&["H01-SPIN", "H02"]), ["h01-spin", "h02-fuel"]);
    }

    #[test]
    fn a_row_that_is_not_there_is_an_error_with_those_that_are() {
        let error = chosen(&["H99".to_owned()]).map(drop).expect_err("an error");
        let text = error.to_string();
        assert!(
            text.starts_with("there is no case `H99`; there are H01, H02"),
            "{text}"
        );
        assert!(text.ends_with("H57"), "{text}");
    }
}
