//! `reload`: what taking up another configuration and another component costs whoever asks meanwhile, against starting the host anew.

use crate::load::{ask, get};
use crate::samples::Samples;
use crate::table::Section;
use anyhow::{Context as _, ensure};
use infinity_tests::host::{Folder, Host, PATIENCE, component, marked, poll};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Agents of the host: a team's.
const AGENTS: usize = 50;

/// Texts that are handed in.
const TEXTS: usize = 100;

/// Components that are replaced, each by one that was never compiled.
const COMPONENTS: usize = 10;

/// How often the host is started anew.
const RESTARTS: usize = 5;

/// Connections that ask meanwhile, of each kind.
const CONNECTIONS: usize = 4;

/// How long they ask where nothing changes.
const CALM: Duration = Duration::from_secs(10);

/// Microseconds that a swap takes at most, in 99 of 100.
const SWAP_US: f64 = 100_000.0;

fn text(word: &str) -> String {
    let mut text = String::new();
    for number in 0..AGENTS {
        let _ = write!(
            text,
            "[agents.agent-{number}]\nplugin = \"guests\"\nsettings = {{ word = \"{word}\" }}\ngrants.http = [{{ url = \"https://{number}.example/\" }}]\n"
        );
    }
    text
}

fn put(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let temporary = path.with_extension("new");
    fs::write(&temporary, bytes)?;
    fs::rename(temporary, path)?;
    Ok(())
}

/// What reloads took: as whoever asked saw it, before everything was compiled, and the swap.
#[derive(Default)]
struct Took {
    seen: Samples,
    prepared: Samples,
    swapped: Samples,
}

impl Took {
    fn push(&mut self, version: &Value) -> anyhow::Result<()> {
        let number = |key: &str| version[key].as_u64().with_context(|| version.to_string());
        self.prepared
            .push(Duration::from_millis(number("prepare_ms")?));
        self.swapped.push(Duration::from_micros(number("swap_us")?));
        Ok(())
    }
}

/// Asks for lists and runs until `work` is done; gives the times of both.
async fn beside<T: Send + 'static>(
    address: SocketAddr,
    work: impl FnOnce() -> anyhow::Result<T> + Send + 'static,
) -> anyhow::Result<(Samples, Samples, T)> {
    let run = json!({ "case": "ok" }).to_string();
    let run = format!(
        "POST /v1/agents/agent-0/runs?wait=30s HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{run}",
        run.len()
    );
    let run: Arc<dyn Fn() -> Vec<u8> + Send + Sync> = Arc::new(move || run.clone().into_bytes());
    let stop = Arc::new(AtomicBool::new(false));
    let asks = |request: Arc<dyn Fn() -> Vec<u8> + Send + Sync>| {
        let stop = Arc::clone(&stop);
        tokio::spawn(async move {
            let mut all = Samples::default();
            while !stop.load(Ordering::Relaxed) {
                let slice = Duration::from_millis(500);
                let (samples, _) = ask(address, CONNECTIONS, slice, Arc::clone(&request)).await?;
                all.extend(&samples);
            }
            anyhow::Ok(all)
        })
    };
    let (lists, runs) = (asks(get(address, "/v1/agents")), asks(run));
    let worked = tokio::task::spawn_blocking(work).await;
    stop.store(true, Ordering::Relaxed);
    Ok((lists.await??, runs.await??, worked??))
}

/// Hands texts in, one after the other.
fn texts(address: SocketAddr, good: &str) -> anyhow::Result<Took> {
    let client = reqwest::blocking::Client::builder().no_proxy().build()?;
    let mut took = Took::default();
    for number in 1..=TEXTS {
        let text = good.replace("\"w0\"", &format!("\"w{number}\""));
        let before = Instant::now();
        let answer = client
            .put(format!("http://{address}/v1/config"))
            .json(&json!({ "text": text }))
            .send()?;
        let status = answer.status();
        let version: Value = answer.json()?;
        took.seen.push(before.elapsed());
        ensure!(
            status.is_success() && version["changes"].as_array().map(Vec::len) == Some(AGENTS),
            "{status}: {version}"
        );
        took.push(&version)?;
    }
    Ok(took)
}

/// Replaces the component that all agents run.
fn components(address: SocketAddr, folder: &Path) -> anyhow::Result<Took> {
    let client = reqwest::blocking::Client::builder().no_proxy().build()?;
    let bytes = fs::read(component("test_guests"))?;
    let mut took = Took::default();
    for number in 0..COMPONENTS {
        let another = marked(&bytes, &format!("bench-{number}"));
        put(&folder.join("dist/guests.wasm"), &another)?;
        let digest = infinity::sandbox::digest(&another);
        let version = poll(PATIENCE, || {
            let url = format!("http://{address}/v1/config/versions?limit=1");
            let list: Value = client.get(url).send().ok()?.json().ok()?;
            let version = list["items"].get(0)?.clone();
            (version["plugins"]["guests"] == digest).then_some(version)
        })
        .context("the component is not taken up")?;
        took.push(&version)?;
    }
    Ok(took)
}

/// Starts the host anew, with everything compiled in its cache.
fn restarts(mut host: Host) -> anyhow::Result<(Host, Samples)> {
    let mut took = Samples::default();
    for _ in 0..RESTARTS {
        let before = Instant::now();
        let (_, folder) = host.stop_and_keep()?;
        host = folder.serve()?;
        took.push(before.elapsed());
    }
    Ok((host, took))
}

fn milliseconds(samples: &Samples) -> [f64; 3] {
    [
        samples.median_us() / 1e3,
        samples.p99_us() / 1e3,
        samples.percentile_us(1.0) / 1e3,
    ]
}

pub(crate) async fn measure() -> anyhow::Result<Section> {
    let mut section = Section::new("reload", &["p50, ms", "p99, ms", "worst, ms"]);
    let folder = Folder::new()?;
    folder.component("test_guests", "guests")?;
    folder.config(
        "reads = 1000000\nchanges = 1000000\nqueue = 1000",
        &text("w0"),
    )?;
    let host = tokio::task::block_in_place(|| folder.serve())?;
    let address: SocketAddr = host.address().parse()?;
    let good = fs::read_to_string(host.path().join("plugins.toml"))?;

    let calm = beside(address, || {
        std::thread::sleep(CALM);
        Ok(())
    });
    let (calm_lists, calm_runs, ()) = calm.await?;
    let (lists, runs, of_texts) = beside(address, move || texts(address, &good)).await?;
    let path = host.path().to_owned();
    let (swap_lists, swap_runs, of_components) =
        beside(address, move || components(address, &path)).await?;
    let (host, restarted) = tokio::task::block_in_place(|| restarts(host))?;

    section.row(
        "text that changes 50 agents: to be compiled and judged",
        &milliseconds(&of_texts.prepared),
    );
    section.row("… its swap", &milliseconds(&of_texts.swapped));
    section.row(
        "… as whoever hands it in sees it",
        &milliseconds(&of_texts.seen),
    );
    section.row(
        "new component of 50 agents: to be compiled and judged",
        &milliseconds(&of_components.prepared),
    );
    section.row("… its swap", &milliseconds(&of_components.swapped));
    section.row(
        "peer: the host stopped and started again, compiled before",
        &milliseconds(&restarted),
    );
    section.row("GET beside, nothing changes", &milliseconds(&calm_lists));
    section.row("… while texts change", &milliseconds(&lists));
    section.row("… while components change", &milliseconds(&swap_lists));
    section.row("run beside, nothing changes", &milliseconds(&calm_runs));
    section.row("… while texts change", &milliseconds(&runs));
    section.row("… while components change", &milliseconds(&swap_runs));
    let mut swaps = of_texts.swapped.clone();
    swaps.extend(&of_components.swapped);
    section.at_most("swap, p99 in ms", SWAP_US / 1e3, swaps.p99_us() / 1e3);
    section.at_most(
        "reload of a text, of a restart",
        1.0,
        of_texts.seen.median_us() / restarted.median_us(),
    );
    section.note(format!(
        "{} texts and {} components, with {} requests and {} runs beside them, of which none failed",
        of_texts.seen.len(),
        of_components.swapped.len(),
        lists.len() + swap_lists.len(),
        runs.len() + swap_runs.len()
    ));
    tokio::task::block_in_place(|| host.stop())?;
    Ok(section)
}
