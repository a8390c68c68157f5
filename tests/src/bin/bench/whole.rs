//! The whole program in a process of its own: `schedule`, `api`, `badge`, `serve`, `webhooks`, `density`.

use crate::load::{Bare, ask, get};
use crate::samples::Samples;
use crate::table::Section;
use anyhow::{Context as _, ensure};
use aws_lc_rs::hmac;
use infinity::model::{Event, Outcome, Principal, Report, Run, RunEnd, RunState, Trigger, Usage};
use infinity::store::{SqliteStore, Store as _};
use infinity_tests::host::{Folder, Host};
use jiff::Timestamp;
use serde_json::{Value, json};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection as _, Row as _, SqliteConnection};
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use uuid::Uuid;

/// How long each side is asked in a round.
const ROUND: Duration = Duration::from_secs(3);

/// Rounds of each side.
const ROUNDS: usize = 3;

/// Connections of the benches that measure a rate.
const CONNECTIONS: usize = 32;

fn address(host: &Host) -> anyhow::Result<SocketAddr> {
    Ok(host.address().parse()?)
}

fn json_of(host: &Host, path: &str) -> anyhow::Result<Value> {
    // The test client blocks, and this is called from the runtime.
    tokio::task::block_in_place(|| host.json(path))
}

#[expect(clippy::cast_precision_loss, reason = "some thousand requests")]
fn rate((samples, seconds): &(Samples, f64)) -> f64 {
    samples.len() as f64 / seconds
}

/// Lateness of 10,000 agents, each due at a second of every minute of its own.
pub(crate) async fn schedule() -> anyhow::Result<Section> {
    const AGENTS: usize = 10_000;
    let mut section = Section::new("schedule", &["p50 ms", "p99 ms", "highest ms", "moments"]);
    let folder = Folder::new()?;
    folder.foreign("hello-world", "hello")?;
    let mut table = String::new();
    for number in 0..AGENTS {
        // Spread as if by chance, and the same each time.
        let second = number * 7_919 % 60;
        writeln!(
            table,
            "[agents.a{number}]\nplugin = \"hello\"\ncron = \"{second} * * * * *\""
        )?;
    }
    folder.config("queue = 20000", &table)?;
    let host = tokio::task::block_in_place(|| folder.serve())?;
    // A whole minute after the first moments, which come while the host is still busy with its start.
    tokio::time::sleep(Duration::from_secs(15)).await;
    let since = Timestamp::now();
    tokio::time::sleep(Duration::from_secs(61)).await;
    let until = Timestamp::now();
    let mut late = Vec::new();
    let mut cursor = String::new();
    loop {
        let path = format!("/v1/occurrences?limit=500&since={since}&until={until}{cursor}");
        let list = json_of(&host, &path)?;
        for row in list["items"].as_array().context("a list")? {
            ensure!(row["result"] == "fired", "a moment was {row}");
            late.push(row["late_us"].as_u64().context("its lateness")?);
        }
        match list["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    ensure!(
        late.len() >= AGENTS,
        "{} of {AGENTS} moments were found",
        late.len()
    );
    late.sort_unstable();
    #[expect(clippy::cast_precision_loss, reason = "microseconds of a minute")]
    let at = |share: f64| {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "an index"
        )]
        let index = ((late.len() - 1) as f64 * share) as usize;
        late[index] as f64 / 1e3
    };
    #[expect(clippy::cast_precision_loss, reason = "some thousand")]
    section.row(
        "10,000 agents, one moment a minute each",
        &[at(0.5), at(0.99), at(1.0), late.len() as f64],
    );
    section.at_most("lateness p99, in ms", 50.0, at(0.99));
    section.note("lateness is from the moment to the durable row of the run; every moment of the minute was fired");
    tokio::task::block_in_place(|| host.stop())?;
    Ok(section)
}

/// The list of runs over a million of them.
pub(crate) async fn api() -> anyhow::Result<Section> {
    const RUNS: i64 = 1_000_000;
    let mut section = Section::of_pairs("api");
    let folder = Folder::new()?;
    folder.foreign("hello-world", "hello")?;
    folder.config("", "[agents.a]\nplugin = \"hello\"\n")?;
    let host = tokio::task::block_in_place(|| folder.serve())?;
    let first = tokio::task::block_in_place(|| host.run("a", &Value::Null))?;
    let (_, folder) = tokio::task::block_in_place(|| host.stop_and_keep())?;
    let database = folder.path().join("var/infinity.db");
    let mut connection =
        SqliteConnection::connect_with(&SqliteConnectOptions::new().filename(&database)).await?;
    for sql in ["PRAGMA synchronous = OFF", "BEGIN"] {
        sqlx::query(sql).execute(&mut connection).await?;
    }
    sqlx::query(
        "WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < ?1) \
         INSERT INTO runs (id, agent, plugin, plugin_digest, config_digest, principal_kind, principal_name, trigger_kind, \
         attempt, idempotency_key, state, outcome, reason, message, hint, summary, findings, denials, usage, input, \
         scheduled_at, created_at, started_at, ended_at) \
         SELECT randomblob(16), 'agent-' || (n % 100), 'plugin-' || (n % 10), plugin_digest, config_digest, principal_kind, \
         principal_name, CASE n % 3 WHEN 0 THEN 'every' ELSE 'manual' END, 1, 'k' || n, 'ended', \
         CASE WHEN n % 50 = 0 THEN 'failed' ELSE 'succeeded' END, NULL, NULL, NULL, summary, 0, denials, usage, input, \
         created_at - n * 1000000, created_at - n * 1000000, created_at - n * 1000000, created_at - n * 1000000 + 500 \
         FROM numbers, (SELECT * FROM runs LIMIT 1)",
    )
    .bind(RUNS)
    .execute(&mut connection)
    .await?;
    sqlx::query("COMMIT").execute(&mut connection).await?;
    connection.close().await?;
    let host = tokio::task::block_in_place(|| folder.serve())?;
    let mut reader = SqliteConnection::connect_with(
        &SqliteConnectOptions::new()
            .filename(host.path().join("var/infinity.db"))
            .read_only(true),
    )
    .await?;
    let place = address(&host)?;
    let created = first["created_at"].as_str().context("a moment")?;
    let middle: Timestamp = created.parse()?;
    let middle = middle - jiff::SignedDuration::from_secs(RUNS / 2);
    let columns = "seq, id, agent, plugin, plugin_digest, config_digest, principal_kind, principal_name, trigger_kind, attempt, \
        idempotency_key, state, outcome, reason, message, hint, summary, findings, denials, usage, input, scheduled_at, created_at, started_at, ended_at";
    let mut slowest: f64 = 0.0;
    for (label, query, condition) in [
        ("the newest 50", String::new(), "1 = 1".to_owned()),
        (
            "50 from the middle",
            format!("&until={middle}"),
            format!("created_at < {}", middle.as_microsecond()),
        ),
        (
            "50 of an agent",
            "&agent=agent-7".to_owned(),
            "agent = 'agent-7'".to_owned(),
        ),
        (
            "50 that failed",
            "&outcome=failed".to_owned(),
            "outcome = 'failed'".to_owned(),
        ),
        (
            "50 of a plugin",
            "&plugin=plugin-3".to_owned(),
            "plugin = 'plugin-3'".to_owned(),
        ),
    ] {
        let path = format!("/v1/runs?limit=50{query}");
        let sql = format!(
            "SELECT {columns} FROM runs WHERE {condition} ORDER BY created_at DESC, seq DESC LIMIT 50"
        );
        let mut pair = crate::samples::Pair::default();
        for _ in 0..ROUNDS {
            let (own, _) = ask(place, 1, ROUND / 3, get(place, &path)).await?;
            let mut peer = Samples::default();
            let began = Instant::now();
            while began.elapsed() < ROUND / 3 {
                let before = Instant::now();
                let rows = sqlx::query(sqlx::AssertSqlSafe(sql.clone()))
                    .fetch_all(&mut reader)
                    .await?;
                ensure!(rows.len() == 50, "{} rows", rows.len());
                let mut bytes = 0;
                for row in &rows {
                    bytes += row.try_get::<&str, _>(19)?.len();
                }
                std::hint::black_box(bytes);
                peer.push(before.elapsed());
            }
            pair.round(&own, &peer);
        }
        slowest = slowest.max(pair.own.p99_us() / 1e3);
        if label == "the newest 50" {
            section.at_least(
                "speed of the newest 50, of the SQL's",
                0.5,
                1.0 / pair.ratio(),
            );
        }
        section.pair(label, &pair);
    }
    section.at_most("p99 of the slowest list, in ms", 20.0, slowest);
    section.note("peer: the same prepared SQL on a connection of its own in this process, every row fetched; the API adds HTTP, the mapping of 50 runs and their JSON");
    reader.close().await?;
    tokio::task::block_in_place(|| host.stop())?;
    Ok(section)
}

/// A badge, against bare axum with the same bytes.
pub(crate) async fn badge() -> anyhow::Result<Section> {
    let mut section = Section::new(
        "badge",
        &["requests/s", "bare axum", "ratio", "p99 µs", "its p99 µs"],
    );
    let folder = Folder::new()?;
    folder.component("badge", "badge")?;
    folder.config("", "[agents.badge]\nplugin = \"badge\"\n")?;
    let host = tokio::task::block_in_place(|| folder.serve())?;
    let path = "/badges/badge.svg";
    let image = tokio::task::block_in_place(|| anyhow::Ok(host.get(path)?.bytes()?))?;
    let bare = Bare::start(&image)?;
    let (own, peer) = compare(address(&host)?, path, bare.address, "/").await?;
    let ratio = rate(&own) / rate(&peer);
    section.row(
        "a badge that was drawn before",
        &[
            rate(&own),
            rate(&peer),
            ratio,
            own.0.p99_us(),
            peer.0.p99_us(),
        ],
    );
    section.at_least("requests/s, of bare axum's", 0.5, ratio);
    section.note("both servers in processes of their own, asked by the same client over 32 connections in turns");
    tokio::task::block_in_place(|| host.stop())?;
    Ok(section)
}

/// Both sides in turns, summed.
async fn compare(
    own: SocketAddr,
    own_path: &str,
    peer: SocketAddr,
    peer_path: &str,
) -> anyhow::Result<((Samples, f64), (Samples, f64))> {
    let mut sums = [(Samples::default(), 0.0), (Samples::default(), 0.0)];
    for _ in 0..ROUNDS {
        for (sum, (address, path)) in sums.iter_mut().zip([(own, own_path), (peer, peer_path)]) {
            let (samples, seconds) = ask(address, CONNECTIONS, ROUND, get(address, path)).await?;
            sum.0.extend(&samples);
            sum.1 += seconds;
        }
    }
    let [own, peer] = sums;
    Ok((own, peer))
}

/// A component that answers requests, against `wasmtime serve` where it is.
pub(crate) async fn serve() -> anyhow::Result<Section> {
    let mut section = Section::new(
        "serve",
        &["requests/s", "wasmtime serve", "ratio", "p50 µs", "p99 µs"],
    );
    let folder = Folder::new()?;
    folder.foreign("http_proxy", "web")?;
    folder.config("", "")?;
    let component = folder.path().join("dist/web.wasm");
    let peer = std::process::Command::new("wasmtime")
        .args(["serve", "-S", "cli", "--addr", "127.0.0.1:18099"])
        .arg(&component)
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn();
    let host = tokio::task::block_in_place(|| folder.serve())?;
    let own_address = address(&host)?;
    let path = "/agents/web/";
    match peer {
        Ok(mut child) => {
            tokio::time::sleep(Duration::from_secs(3)).await;
            let compared = compare(own_address, path, "127.0.0.1:18099".parse()?, "/").await;
            let _ = child.kill();
            let _ = child.wait();
            let (own, peer) = compared?;
            let ratio = rate(&own) / rate(&peer);
            section.row(
                "a component of the crate `wasip2`",
                &[
                    rate(&own),
                    rate(&peer),
                    ratio,
                    own.0.median_us(),
                    own.0.p99_us(),
                ],
            );
            section.at_least("requests/s, of `wasmtime serve`'s", 1.0, ratio);
        }
        Err(_) => {
            let mut own = (Samples::default(), 0.0);
            for _ in 0..ROUNDS {
                let (samples, seconds) =
                    ask(own_address, CONNECTIONS, ROUND, get(own_address, path)).await?;
                own.0.extend(&samples);
                own.1 += seconds;
            }
            section.row(
                "a component of the crate `wasip2`",
                &[
                    rate(&own),
                    f64::NAN,
                    f64::NAN,
                    own.0.median_us(),
                    own.0.p99_us(),
                ],
            );
            section.note("`wasmtime` is not on the PATH, so there is no peer in this run; 7,300 to 8,100 requests/s of `wasmtime serve` were seen elsewhere on two cores");
            section.at_least(
                "requests/s, of the 8,100 seen elsewhere",
                1.0,
                rate(&own) / 8_100.0,
            );
        }
    }
    section.note("grants and limits on, an instance for each request, counted and not recorded");
    tokio::task::block_in_place(|| host.stop())?;
    Ok(section)
}

const SECRET: &str = "a secret that nobody guesses";

/// Signed deliveries that are durable before they are acknowledged, against the store alone.
pub(crate) async fn webhooks() -> anyhow::Result<Section> {
    let mut section = Section::new(
        "webhooks",
        &["accepts/s", "store alone", "ratio", "p50 ms", "p99 ms"],
    );
    let folder = Folder::new()?;
    folder.foreign("hello-world", "hello")?;
    folder.config(
        "queue = 1000000",
        &format!("[agents.hook]\nplugin = \"hello\"\nwebhook = {{ secret = \"{SECRET}\" }}\n"),
    )?;
    let host = tokio::task::block_in_place(|| folder.serve())?;
    let template: Run = serde_json::from_value(tokio::task::block_in_place(|| {
        host.run("hook", &Value::Null)
    })?)?;
    let place = address(&host)?;
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    let request = Arc::new(move || {
        let id = Uuid::now_v7();
        let body = format!("{{\"of\":\"{id}\"}}");
        let tag = hmac::sign(&key, body.as_bytes());
        let hex: String = tag
            .as_ref()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        format!(
            "POST /v1/agents/hook/webhook HTTP/1.1\r\nhost: {place}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
             x-delivery: {id}\r\nx-event: push\r\nx-signature-256: sha256={hex}\r\n\r\n{body}",
            body.len()
        )
        .into_bytes()
    });
    let (mut own, mut peer) = ((Samples::default(), 0.0), (Samples::default(), 0.0));
    let directory = tempfile::tempdir()?;
    let state = directory.path().to_owned();
    let handle = tokio::runtime::Handle::current();
    let store =
        tokio::task::spawn_blocking(move || handle.block_on(SqliteStore::open(&state))).await??;
    let store = Arc::new(store);
    for _ in 0..ROUNDS {
        let (samples, seconds) = ask(place, CONNECTIONS, ROUND, request.clone()).await?;
        own.0.extend(&samples);
        own.1 += seconds;
        let (samples, seconds) = alone(&store, &template).await?;
        peer.0.extend(&samples);
        peer.1 += seconds;
    }
    let ratio = rate(&own) / rate(&peer);
    section.row(
        "32 senders",
        &[
            rate(&own),
            rate(&peer),
            ratio,
            own.0.median_us() / 1e3,
            own.0.p99_us() / 1e3,
        ],
    );
    section.at_least("accepts/s", 1_000.0, rate(&own));
    section.at_most("p99, in ms", 50.0, own.0.p99_us() / 1e3);
    section.note("each accept is a verified signature, a row on the disk, and then a run with its own record, all in the same seconds; the store alone writes the same two records, from as many tasks");
    tokio::task::block_in_place(|| host.stop())?;
    Ok(section)
}

/// What the store does by itself: a queued run and its end, from as many tasks.
async fn alone(store: &Arc<SqliteStore>, template: &Run) -> anyhow::Result<(Samples, f64)> {
    let began = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..CONNECTIONS {
        let (store, template) = (Arc::clone(store), template.clone());
        tasks.spawn(async move {
            let mut times = Vec::new();
            while began.elapsed() < ROUND {
                let before = Instant::now();
                let id = Uuid::now_v7();
                let queued = Run {
                    id,
                    idempotency_key: format!("webhook/{id}"),
                    principal: Principal::local(),
                    trigger: Trigger::Webhook,
                    state: RunState::Queued,
                    outcome: None,
                    usage: Usage::default(),
                    ..template.clone()
                };
                store.create_run(queued.clone()).await?;
                times.push(before.elapsed());
                let event = Event::new(
                    "/agents/hook".into(),
                    "run.succeeded",
                    id.to_string(),
                    json!({}),
                );
                let end = RunEnd {
                    run: Run {
                        state: RunState::Ended,
                        outcome: Some(Outcome::Succeeded),
                        ..queued
                    },
                    report: Report::default(),
                    log: Vec::new(),
                    artifacts: Vec::new(),
                    events: vec![event],
                    effects: Vec::new(),
                    retry: None,
                    dead: false,
                };
                store.end_run(end).await?;
            }
            anyhow::Ok(times)
        });
    }
    let mut samples = Samples::default();
    while let Some(task) = tasks.join_next().await {
        for time in task?? {
            samples.push(time);
        }
    }
    Ok((samples, began.elapsed().as_secs_f64()))
}

/// A thousand idle agents.
pub(crate) async fn density() -> anyhow::Result<Section> {
    const AGENTS: usize = 1_000;
    const PLUGINS: usize = 20;
    let mut section = Section::new("density", &["RSS MiB", "start s", "agents"]);
    let folder = Folder::new()?;
    // Components of different digests: the same program with another custom section behind it.
    let hello = std::fs::read(infinity_tests::host::third_party("hello-world"))?;
    for number in 0..PLUGINS {
        let name = format!("n{number:02}");
        let mut bytes = hello.clone();
        // Id 0, its length, the length of its name, its name.
        bytes.extend([0, u8::try_from(name.len() + 1)?, u8::try_from(name.len())?]);
        bytes.extend(name.as_bytes());
        folder.bytes(&format!("p{number}"), &bytes)?;
    }
    let mut table = String::new();
    for number in 0..AGENTS {
        writeln!(
            table,
            "[agents.a{number}]\nplugin = \"p{}\"\nevery = \"24h\"\nstarts_at = \"2099-01-01T00:00:00Z\"",
            number % PLUGINS
        )?;
    }
    folder.config("", &table)?;
    // The first start compiles.
    let host = tokio::task::block_in_place(|| folder.serve())?;
    let (_, folder) = tokio::task::block_in_place(|| host.stop_and_keep())?;
    let began = Instant::now();
    let host = tokio::task::block_in_place(|| folder.serve())?;
    let start = began.elapsed().as_secs_f64();
    tokio::time::sleep(Duration::from_secs(3)).await;
    let status = std::fs::read_to_string(format!("/proc/{}/status", host.pid()))?;
    let rss: f64 = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .and_then(|rest| rest.trim().strip_suffix("kB"))
        .context("no RSS")?
        .trim()
        .parse()?;
    #[expect(clippy::cast_precision_loss, reason = "a thousand")]
    section.row(
        "1,000 idle agents of 20 plugins",
        &[rss / 1024.0, start, AGENTS as f64],
    );
    section.at_most("RSS, in MB", 300.0, rss * 1024.0 / 1e6);
    section.at_most("start with a warm cache, in s", 2.0, start);
    tokio::task::block_in_place(|| host.stop())?;
    Ok(section)
}
