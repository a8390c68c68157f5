//! `runs`: from a trigger to the durable record of the ended run, against the store alone writing the same rows, and against the disk's own sync.
//!
//! Each run is two writes: the row before anything happens, and the record of its end with report and event. The peer makes the same two writes, one after the
//! other, from as many tasks, so SQLite groups them as it likes. The sync is a `fdatasync` of a file that grew by 4 KiB, timed before and after every part at the
//! part's own pace.

use crate::samples::{Pair, Samples};
use crate::scene::{AGENT, CONCURRENCY, Scene, folder};
use crate::table::Section;
use anyhow::{Context as _, ensure};
use infinity::api::ControlPlane as _;
use infinity::app::App;
use infinity::model::{Event, Outcome, Principal, Report, Run, RunEnd, RunState, Trigger, Usage};
use infinity::runtime::Start;
use infinity::store::{SqliteStore, Store as _};
use jiff::Timestamp;
use serde_json::json;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use uuid::Uuid;

/// How long each side runs in a round.
const ROUND: Duration = Duration::from_millis(1_700);

/// Rounds of each side: five seconds in all.
const ROUNDS: usize = 3;

/// Triggers a second of the part that measures latency.
const RATE: u32 = 100;

/// Triggers of each side in a round of that part.
const TRIGGERS: u32 = 200;

/// Syncs that are timed between two parts.
const SYNCS: usize = 60;

/// How long a run may take before the bench gives up.
const PATIENCE: Duration = Duration::from_secs(30);

/// The aims of the issue.
const AIM_RUNS_PER_SECOND: f64 = 2_000.0;
const AIM_SYNCS: f64 = 2.5;

/// Which of the two does the work.
#[derive(Clone, Copy)]
enum Side {
    Own,
    Peer,
}

struct Subject {
    app: Arc<App>,
    store: SqliteStore,
    /// A run as the host recorded it, whose rows the peer repeats.
    template: Run,
}

impl Subject {
    async fn one(&self, side: Side) -> anyhow::Result<()> {
        match side {
            Side::Own => through_the_host(&self.app).await.map(drop),
            Side::Peer => self.through_the_store().await,
        }
    }

    async fn through_the_store(&self) -> anyhow::Result<()> {
        let id = Uuid::now_v7();
        let now = Timestamp::now();
        let ended = Run {
            id,
            idempotency_key: id.to_string(),
            scheduled_at: now,
            created_at: now,
            started_at: Some(now),
            ended_at: Some(now),
            ..self.template.clone()
        };
        let queued = Run {
            state: RunState::Queued,
            outcome: None,
            summary: None,
            usage: Usage::default(),
            started_at: None,
            ended_at: None,
            ..ended.clone()
        };
        self.store.create_run(queued).await?;
        let event = Event::new(
            format!("/agents/{AGENT}"),
            "run.succeeded",
            id.to_string(),
            json!({ "agent": AGENT, "reason": null, "message": null, "findings": 0 }),
        );
        let report = Report {
            passed: Some(true),
            ..Report::default()
        };
        self.store
            .end_run(RunEnd {
                run: ended,
                report,
                log: Vec::new(),
                artifacts: Vec::new(),
                events: vec![event],
                effects: Vec::new(),
                retry: None,
                dead: false,
            })
            .await?;
        Ok(())
    }

    /// Keeps [`CONCURRENCY`] runs in progress for a round; gives runs and seconds.
    async fn closed_loop(self: &Arc<Self>, side: Side) -> anyhow::Result<(usize, f64)> {
        let began = Instant::now();
        let mut tasks = JoinSet::new();
        for _ in 0..CONCURRENCY {
            let subject = Arc::clone(self);
            tasks.spawn(async move {
                let mut done = 0;
                while began.elapsed() < ROUND {
                    subject.one(side).await?;
                    done += 1;
                }
                anyhow::Ok(done)
            });
        }
        let mut done = 0;
        while let Some(task) = tasks.join_next().await {
            done += task??;
        }
        Ok((done, began.elapsed().as_secs_f64()))
    }

    /// Triggers at a fixed rate, whether or not earlier runs ended.
    async fn open_loop(self: &Arc<Self>, side: Side) -> anyhow::Result<Samples> {
        let mut tasks = JoinSet::new();
        let mut pace = tokio::time::interval(Duration::from_secs(1) / RATE);
        for _ in 0..TRIGGERS {
            pace.tick().await;
            let subject = Arc::clone(self);
            tasks.spawn(async move {
                let began = Instant::now();
                subject.one(side).await?;
                anyhow::Ok(began.elapsed())
            });
        }
        let mut samples = Samples::default();
        while let Some(task) = tasks.join_next().await {
            samples.push(task??);
        }
        Ok(samples)
    }
}

/// Triggers a run and waits for its record.
async fn through_the_host(app: &Arc<App>) -> anyhow::Result<Run> {
    let run = app
        .runtime()
        .start(Start {
            agent: AGENT.into(),
            input: json!({}),
            principal: Principal::local(),
            trigger: Trigger::Manual,
            idempotency_key: None,
            scheduled_at: Timestamp::now(),
            dry_run: false,
            occurrence: None,
        })
        .await?;
    let ended = match app.runtime().wait(run.id, PATIENCE).await {
        Some(ended) => ended,
        // It ended before anybody waited.
        None => app
            .store()
            .run(run.id)
            .await?
            .context("the run is not in the store")?,
    };
    ensure!(
        ended.outcome == Some(Outcome::Succeeded),
        "a run did not succeed: {:?} {:?}",
        ended.outcome,
        ended.message
    );
    Ok(ended)
}

/// Times syncs of a file that grows by 4 KiB before each, with a pause between them: a disk and a processor that rest answer otherwise than busy ones.
fn syncs(folder: &Path, pause: Duration) -> std::io::Result<Samples> {
    let mut file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(folder.join("syncs"))?;
    let mut samples = Samples::default();
    for _ in 0..SYNCS {
        file.write_all(&[7; 4096])?;
        let began = Instant::now();
        file.sync_data()?;
        samples.push(began.elapsed());
        std::thread::sleep(pause);
    }
    Ok(samples)
}

async fn timed_syncs(folder: &Path, pause: Duration) -> anyhow::Result<Samples> {
    let folder = folder.to_owned();
    Ok(tokio::task::spawn_blocking(move || syncs(&folder, pause)).await??)
}

/// Measures.
pub(crate) async fn measure() -> anyhow::Result<Section> {
    let scene = Scene::open(&[AGENT]).await?;
    scene.agent(AGENT)?;
    let beside = folder()?;
    let state = beside.path().join("state");
    // sqlx's migrator is no future that may move between threads.
    let handle = tokio::runtime::Handle::current();
    let store =
        tokio::task::spawn_blocking(move || handle.block_on(SqliteStore::open(&state))).await??;
    let mut template = through_the_host(&scene.app).await?;
    for _ in 0..100 {
        template = through_the_host(&scene.app).await?;
    }
    let subject = Arc::new(Subject {
        app: Arc::clone(&scene.app),
        store,
        template,
    });

    let mut rates = [(0, 0.0), (0, 0.0)];
    let mut busy_syncs = timed_syncs(beside.path(), Duration::ZERO).await?;
    let commits = subject.store.commits();
    for _ in 0..ROUNDS {
        for (side, rate) in [Side::Own, Side::Peer].into_iter().zip(&mut rates) {
            let (runs, seconds) = subject.closed_loop(side).await?;
            rate.0 += runs;
            rate.1 += seconds;
        }
        busy_syncs.extend(&timed_syncs(beside.path(), Duration::ZERO).await?);
    }
    let commits = subject.store.commits() - commits;

    let mut latency = Pair::default();
    let pause = Duration::from_secs(1) / RATE;
    let mut paced_syncs = timed_syncs(beside.path(), pause).await?;
    for _ in 0..ROUNDS {
        let own = subject.open_loop(Side::Own).await?;
        let peer = subject.open_loop(Side::Peer).await?;
        latency.round(&own, &peer);
        paced_syncs.extend(&timed_syncs(beside.path(), pause).await?);
    }
    subject.store.close().await?;
    scene.app.close().await?;

    #[expect(clippy::cast_precision_loss, reason = "some ten thousand runs")]
    let per_second = rates.map(|(runs, seconds)| runs as f64 / seconds);
    #[expect(clippy::cast_precision_loss, reason = "some ten thousand writes")]
    let batch = 2.0 * rates[1].0 as f64 / commits.max(1) as f64;
    let sync_us = paced_syncs.median_us();
    let busy_sync_us = busy_syncs.median_us();
    let mut section = Section::new("runs", &["host", "store alone", "ratio", "in syncs"]);
    section.row(
        &format!("runs/s, {CONCURRENCY} at once"),
        &[
            per_second[0],
            per_second[1],
            per_second[0] / per_second[1],
            f64::NAN,
        ],
    );
    for (label, own, peer) in [
        (
            format!("µs to the record, p50, {RATE} runs/s"),
            latency.own.median_us(),
            latency.peer.median_us(),
        ),
        (
            format!("µs to the record, p99, {RATE} runs/s"),
            latency.own.p99_us(),
            latency.peer.p99_us(),
        ),
    ] {
        section.row(&label, &[own, peer, own / peer, own / sync_us]);
    }
    section.at_least(
        &format!("runs/s, {CONCURRENCY} at once,"),
        AIM_RUNS_PER_SECOND,
        per_second[0],
    );
    section.at_most(
        &format!("syncs to the record, p50 at {RATE} runs/s,"),
        AIM_SYNCS,
        latency.own.median_us() / sync_us,
    );
    section.note(format!(
        "one sync (`fdatasync` after 4 KiB): p50 {sync_us:.0} µs, p99 {:.0} µs at the rate of the latencies, which is their unit; p50 {busy_sync_us:.0} µs one after the other",
        paced_syncs.p99_us()
    ));
    section.note(format!(
        "the store alone: same rows, two writes a run, {batch:.1} writes to a commit under load"
    ));
    Ok(section)
}
