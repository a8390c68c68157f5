//! `control`: what keys cost, what an attack on them costs others, and how fast everything stops.

use crate::load::{Bare, ask};
use crate::samples::Samples;
use crate::table::Section;
use anyhow::{Context as _, ensure};
use aws_lc_rs::digest;
use infinity::audit::Record;
use infinity::store::{JournalFilter, PageRequest, SqliteStore, Store as _, verify_journal};
use infinity_tests::host::{Folder, Host};
use serde_json::{Value, json};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions as _, Connection as _};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::io::AsyncWriteExt as _;

/// How long each side is asked in a round.
const ROUND: Duration = Duration::from_secs(3);

/// Rounds of each side.
const ROUNDS: usize = 3;

/// Connections that ask.
const CONNECTIONS: usize = 32;

/// Runs in the sandbox when the switch is thrown.
const RUNS: u64 = 200;

/// Bad keys in a second: 10,000 a minute.
const BAD_KEYS: u64 = 167;

/// Connections that send a byte a second.
const LORISES: u64 = 2_000;

/// Requests beside them.
const LORIS_REQUESTS: u64 = 2_000;

/// Records of the journal that is made and verified.
const RECORDS: usize = 300_000;

/// Records of one transaction.
const BATCH: usize = 250;

/// Clients of an attack.
const ATTACKERS: u64 = 1_000;

fn key(folder: &Folder) -> anyhow::Result<String> {
    let made = folder.infinity(&["--json", "key", "create", "bench", "--role", "admin"])?;
    ensure!(made.status.success(), "{made:?}");
    let made: Value = serde_json::from_slice(&made.stdout)?;
    Ok(made["secret"].as_str().context("a secret")?.to_owned())
}

fn request(address: SocketAddr, key: &str, from: &str) -> Arc<dyn Fn() -> Vec<u8> + Send + Sync> {
    let bytes = format!(
        "GET /v1/session HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {key}\r\nx-forwarded-for: {from}\r\n\r\n"
    )
    .into_bytes();
    Arc::new(move || bytes.clone())
}

pub(crate) async fn measure() -> anyhow::Result<Section> {
    let mut section = Section::new("control", &["own", "peer", "ratio"]);
    let folder = Folder::new()?;
    folder.component("test_guests", "guests")?;
    folder.config(
        &format!(
            "trusted_proxies = [\"127.0.0.1\"]\nreads = 1000000\nchanges = 1000000\nconcurrency = {RUNS}\nconcurrency_max = {RUNS}\nqueue = 1000"
        ),
        &format!("[agents.guests]\nplugin = \"guests\"\nconcurrency = {RUNS}\nlimits = {{ time = \"10m\", cpu = \"10m\" }}\n"),
    )?;
    let host = tokio::task::block_in_place(|| folder.serve())?;
    let address: SocketAddr = host.address().parse()?;
    let key = tokio::task::block_in_place(|| key(host.folder()))?;
    keys(&mut section, &host, address, &key).await?;
    attack(&mut section, address, &key).await?;
    loris(&mut section, address, &key).await?;
    tokio::task::block_in_place(|| kill(&mut section, &host, &key))?;
    journal(&mut section).await?;
    section.note("a key is looked up in memory; its rate is counted twice, by address and by key; bare axum answers the same bytes");
    tokio::task::block_in_place(|| host.stop())?;
    Ok(section)
}

#[expect(clippy::cast_precision_loss, reason = "some thousand requests")]
fn rate((samples, seconds): &(Samples, f64)) -> f64 {
    samples.len() as f64 / seconds
}

async fn keys(
    section: &mut Section,
    host: &Host,
    address: SocketAddr,
    key: &str,
) -> anyhow::Result<()> {
    let body = tokio::task::block_in_place(|| {
        let answer = host
            .client()
            .get(host.url("/v1/session"))
            .bearer_auth(key)
            .send()?;
        anyhow::Ok(answer.bytes()?)
    })?;
    let bare = Bare::start(&body)?;
    let (mut own, mut peer) = ((Samples::default(), 0.0), (Samples::default(), 0.0));
    for _ in 0..ROUNDS {
        for (address, sum) in [(address, &mut own), (bare.address, &mut peer)] {
            let asked = request(address, key, "203.0.113.1");
            let (samples, seconds) = ask(address, CONNECTIONS, ROUND, asked).await?;
            sum.0.extend(&samples);
            sum.1 += seconds;
        }
    }
    let ratio = rate(&own) / rate(&peer);
    section.row(
        "GET with a key, requests/s, of bare axum's",
        &[rate(&own), rate(&peer), ratio],
    );
    section.at_least("GET with a key, of bare axum", 0.5, ratio);
    Ok(())
}

async fn attack(section: &mut Section, address: SocketAddr, key: &str) -> anyhow::Result<()> {
    // As many as a person's console and some programs ask, beside it.
    let calm = ask(address, 4, ROUND, paced(address, key)).await?.0;
    let stop = tokio_util::sync::CancellationToken::new();
    let sent = Arc::new(AtomicU64::new(0));
    let attackers = tokio::spawn({
        let (stop, sent) = (stop.clone(), Arc::clone(&sent));
        async move {
            let client = reqwest::Client::builder().no_proxy().build()?;
            let mut tick = tokio::time::interval(Duration::from_micros(1_000_000 / BAD_KEYS));
            loop {
                tokio::select! {
                    () = stop.cancelled() => return anyhow::Ok(()),
                    _ = tick.tick() => {}
                }
                let number = sent.fetch_add(1, Ordering::Relaxed) % ATTACKERS;
                let asked = client
                    .get(format!("http://{address}/v1/session"))
                    .bearer_auth("inf_wrong")
                    .header(
                        "x-forwarded-for",
                        format!("198.51.{}.{}", number / 250, number % 250),
                    )
                    .send();
                tokio::spawn(asked);
            }
        }
    });
    let attacked = ask(address, 4, ROUND * 10, paced(address, key)).await?.0;
    stop.cancel();
    attackers.await??;
    section.row(
        "p99 of others while 167 bad keys a second come from 1,000 addresses, ms, and without them",
        &[
            attacked.p99_us() / 1e3,
            calm.p99_us() / 1e3,
            attacked.p99_us() / calm.p99_us(),
        ],
    );
    section.at_most(
        "p99 of others under attack, in ms",
        50.0,
        attacked.p99_us() / 1e3,
    );
    ensure!(
        sent.load(Ordering::Relaxed) > 1_000,
        "too few bad keys came"
    );
    Ok(())
}

/// Requests with a pause before each, so that the host is not full of them.
fn paced(address: SocketAddr, key: &str) -> Arc<dyn Fn() -> Vec<u8> + Send + Sync> {
    let request = request(address, key, "203.0.113.1");
    Arc::new(move || {
        tokio::task::block_in_place(|| std::thread::sleep(Duration::from_millis(5)));
        request()
    })
}

/// What 2,000 connections that send a byte now and then cost others.
async fn loris(section: &mut Section, address: SocketAddr, key: &str) -> anyhow::Result<()> {
    let stop = tokio_util::sync::CancellationToken::new();
    let open = Arc::new(AtomicU64::new(0));
    for _ in 0..LORISES {
        let (stop, open) = (stop.clone(), Arc::clone(&open));
        tokio::spawn(async move {
            // Who is thrown out comes again.
            while !stop.is_cancelled() {
                let Ok(mut slow) = tokio::net::TcpStream::connect(address).await else {
                    tokio::time::sleep(Duration::from_millis(200)).await;
                    continue;
                };
                open.fetch_add(1, Ordering::Relaxed);
                let mut text = b"GET /v1/session HTTP/1.1\r\nx-slow: ".to_vec();
                while slow.write_all(&text).await.is_ok() {
                    text = b"a".to_vec();
                    tokio::select! {
                        () = stop.cancelled() => return,
                        () = tokio::time::sleep(Duration::from_secs(1)) => {}
                    }
                }
            }
        });
    }
    let began = Instant::now();
    while open.load(Ordering::Relaxed) < LORISES && began.elapsed() < Duration::from_secs(30) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // Each request by a connection of its own, as strangers come.
    let client = reqwest::Client::builder()
        .no_proxy()
        .pool_max_idle_per_host(0)
        .timeout(Duration::from_secs(10))
        .build()?;
    let mut tick = tokio::time::interval(Duration::from_millis(5));
    let mut asked = Vec::new();
    for _ in 0..LORIS_REQUESTS {
        tick.tick().await;
        let request = client
            .get(format!("http://{address}/v1/session"))
            .bearer_auth(key)
            .header("x-forwarded-for", "203.0.113.1");
        asked.push(tokio::spawn(async move {
            let began = Instant::now();
            let served = request
                .send()
                .await
                .is_ok_and(|answer| answer.status() == 200);
            (served, began.elapsed())
        }));
    }
    let mut times = Vec::new();
    let mut served = 0;
    for one in asked {
        let (fine, took) = one.await?;
        served += u64::from(fine);
        times.push(took.as_secs_f64() * 1e3);
    }
    stop.cancel();
    times.sort_by(f64::total_cmp);
    let p99 = times[times.len() * 99 / 100];
    #[expect(clippy::cast_precision_loss, reason = "some thousand requests")]
    let share = served as f64 / LORIS_REQUESTS as f64;
    section.row(
        "beside 2,000 slow connections, 200 requests/s on new connections: p99 in ms, share served",
        &[p99, share],
    );
    section.at_least(
        "share of requests served beside slow connections",
        1.0,
        share,
    );
    section.at_most("p99 beside 2,000 slow connections, ms", 100.0, p99);
    Ok(())
}

/// What the journal costs, and how fast it is verified.
async fn journal(section: &mut Section) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let store = SqliteStore::open(folder.path()).await?;
    let record = || {
        let mut record = Record::new("api.change", "route");
        record.user_id = Some("grace".into());
        record.ip_address = Some("203.0.113.7".into());
        record.user_agent = Some("curl/8.0".into());
        record.resource_id = Some("POST /v1/agents/{name}/runs".into());
        record.detail.insert("status".into(), json!(201));
        record
    };
    let began = Instant::now();
    for _ in 0..RECORDS / BATCH {
        store.note((0..BATCH).map(|_| record()).collect()).await?;
    }
    let append = per_second(RECORDS, began);
    let sealed: i64 = {
        let filter = JournalFilter::default();
        let page = store.journal(filter, PageRequest::default()).await?;
        i64::try_from(serde_json::to_vec(&page.items[0].record)?.len())?
    };
    store.close().await?;
    let plain = plain_rows(sealed).await?;
    section.row(
        "records appended in batches of 250, rows/s, of plain rows'",
        &[append, plain, append / plain],
    );
    section.at_least("records appended, rows/s", 5_000.0, append);
    let began = Instant::now();
    let verified = verify_journal(folder.path(), &[], &|_, _, _| {}).await?;
    ensure!(verified.broken.is_none(), "{verified:?}");
    let verify = per_second(RECORDS, began);
    let hashed = tokio::task::spawn_blocking(move || hash_rows(sealed)).await?;
    section.row(
        "records verified, rows/s, of SHA-256 over as many bytes in memory",
        &[verify, hashed, verify / hashed],
    );
    section.at_least("records verified, rows/s", 300_000.0, verify);
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "some hundred thousand rows")]
fn per_second(rows: usize, began: Instant) -> f64 {
    rows as f64 / began.elapsed().as_secs_f64()
}

/// As many rows of as many bytes in a table of SQLite's, with the same settings and batches.
async fn plain_rows(bytes: i64) -> anyhow::Result<f64> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("plain.db");
    let mut connection = SqliteConnectOptions::new()
        .filename(&path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .connect()
        .await?;
    sqlx::raw_sql("CREATE TABLE rows (seq INTEGER PRIMARY KEY, at INTEGER, action TEXT, record BLOB); CREATE INDEX by_action ON rows (action, seq); CREATE INDEX by_time ON rows (at, seq)")
        .execute(&mut connection)
        .await?;
    let began = Instant::now();
    for batch in 0..RECORDS / BATCH {
        let mut transaction = connection.begin().await?;
        for row in 0..BATCH {
            sqlx::query(
                "INSERT INTO rows (at, action, record) VALUES (?, 'api.change', randomblob(?))",
            )
            .bind(i64::try_from(batch * BATCH + row)?)
            .bind(bytes)
            .execute(&mut *transaction)
            .await?;
        }
        transaction.commit().await?;
    }
    let rate = per_second(RECORDS, began);
    connection.close().await?;
    Ok(rate)
}

fn hash_rows(bytes: i64) -> f64 {
    let row = vec![7; usize::try_from(bytes).unwrap_or(0)];
    let began = Instant::now();
    let mut last = [0; 32];
    for _ in 0..RECORDS {
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(&last);
        context.update(&row);
        last.copy_from_slice(context.finish().as_ref());
    }
    std::hint::black_box(last);
    per_second(RECORDS, began)
}

fn kill(section: &mut Section, host: &Host, key: &str) -> anyhow::Result<()> {
    let post = |path: &str, body: &Value| {
        host.client()
            .post(host.url(path))
            .bearer_auth(key)
            .json(body)
            .send()
    };
    let (mut acknowledged, mut stopped) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        for number in 0..RUNS {
            // Half of them compute, half of them wait.
            let case = ["spin", "sleep_forever"][usize::from(number % 2 == 0)];
            let answer = post("/v1/agents/guests/runs", &json!({ "case": case }))?;
            ensure!(answer.status() == 201, "{}", answer.text()?);
        }
        let running = || -> anyhow::Result<u64> {
            let status: Value = host
                .client()
                .get(host.url("/v1/status"))
                .bearer_auth(key)
                .send()?
                .json()?;
            status["running"].as_u64().context("a number")
        };
        let began = Instant::now();
        while running()? < RUNS && began.elapsed() < Duration::from_secs(60) {
            std::thread::sleep(Duration::from_millis(10));
        }
        let now = running()?;
        ensure!(now == RUNS, "{now} of {RUNS} run");
        let thrown = Instant::now();
        let answer = post("/v1/killswitch", &json!({ "reason": "bench" }))?;
        ensure!(answer.status() == 200, "{}", answer.text()?);
        acknowledged.push(thrown.elapsed());
        while running()? > 0 {
            ensure!(thrown.elapsed() < Duration::from_secs(60), "they go on");
        }
        stopped.push(thrown.elapsed());
        let well = json!({ "agent": "guests", "input": { "case": "ok" } });
        let answer = post("/v1/killswitch/recover", &well)?;
        ensure!(answer.status() == 200, "{}", answer.text()?);
    }
    let worst = |times: &[Duration]| {
        times
            .iter()
            .max()
            .copied()
            .unwrap_or_default()
            .as_secs_f64()
            * 1e3
    };
    section.row(
        "kill switch with 200 guests running, worst of three, ms: acknowledged, and all recorded as stopped",
        &[worst(&acknowledged), worst(&stopped), f64::NAN],
    );
    section.at_most(
        "kill switch acknowledged, in ms",
        100.0,
        worst(&acknowledged),
    );
    section.at_most("kill switch, all stopped, in ms", 1_000.0, worst(&stopped));
    Ok(())
}
