//! `control`: what keys cost, what an attack on them costs others, and how fast everything stops.

use crate::load::{Bare, ask};
use crate::samples::Samples;
use crate::table::Section;
use anyhow::{Context as _, ensure};
use infinity_tests::host::{Folder, Host};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

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
    tokio::task::block_in_place(|| kill(&mut section, &host, &key))?;
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
        ensure!(running()? == RUNS, "they do not all run");
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
