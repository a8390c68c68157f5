//! `checks`: code in a fresh sandbox each, against the languages' own programs on this machine, each a process of its own.
//!
//! The peer of Python is the system's `/usr/bin/python3 -I`: other builds may be many times slower to start, so that its time stands beside the ratio. Programs whose own run time is over
//! 200 ms are measured apart, as they say nothing about sandboxes.

use crate::samples::{Pair, Samples};
use crate::scene::folder;
use crate::table::Section;
use anyhow::{Context as _, anyhow, ensure};
use bytes::Bytes;
use infinity::app::{App, Options};
use infinity::checks::submission::budget;
use infinity::config::{Overrides, load};
use infinity::sandbox::call::{Answer, Call};
use infinity::sandbox::clock::Fixed;
use infinity::sandbox::code::{CodeCall, CodeFile, CodeTask, Heard, Peer, peers};
use infinity::sandbox::meter::Meter;
use infinity::sandbox::state::Capabilities;
use infinity::sandbox::{CallEnd, Job, Loaded, Sandbox as _};
use infinity_tests::host::{binary, fed, root};
use serde_json::Value;
use std::fs;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// Rounds of each side.
const ROUNDS: usize = 10;

/// Trivial checks of each side in a round.
const CALLS: usize = 20;

/// Own run time, above which a program is measured apart.
const LONG: Duration = Duration::from_millis(200);

/// Instances and processes that are held at once.
const HELD: usize = 100;

/// The system's own Python.
const PYTHON: &str = "/usr/bin/python3";

struct Bench {
    app: Arc<App>,
    python: Arc<Loaded>,
    javascript: Arc<Loaded>,
    place: tempfile::TempDir,
}

impl Bench {
    async fn open() -> anyhow::Result<Self> {
        let place = folder()?;
        let dist = place.path().join("dist");
        fs::create_dir(&dist)?;
        for name in ["python", "javascript"] {
            let from = root().join(format!("plugins/dist/{name}.wasm"));
            fs::copy(&from, dist.join(format!("{name}.wasm")))
                .with_context(|| format!("{}: run `cargo xtask build`", from.display()))?;
        }
        let file = place.path().join("plugins.toml");
        fs::write(&file, "[host]\nstate = \"var\"\nplugins = \"dist\"\n")?;
        let config = load(&file, &|_| None, &Overrides::default())
            .map_err(|errors| anyhow!("the bench's configuration is wrong: {errors}"))?;
        let options = Options {
            worker: Some(binary()),
            ..Options::default()
        };
        let app = App::open(config, options, &|_| {}).await?;
        let loaded = async |name: &str| -> anyhow::Result<Arc<Loaded>> {
            let registry = app.registry();
            let plugin = registry.plugins.get(name).context("no such plugin")?;
            let request = plugin
                .load_request()
                .map_err(|refusal| anyhow!("{}", refusal.message))?;
            Ok(app.sandbox().load(request).await?)
        };
        let (python, javascript) = (loaded("python").await?, loaded("javascript").await?);
        Ok(Self {
            python,
            javascript,
            app,
            place,
        })
    }

    async fn call(
        &self,
        loaded: &Arc<Loaded>,
        files: Vec<CodeFile>,
        task: CodeTask,
        peer: Option<Peer>,
    ) -> CallEnd {
        let meter = Arc::new(Meter::new(budget()));
        let heard = Heard::new(&meter, None);
        let call = Call::Code(Box::new(CodeCall {
            files: Arc::new(files),
            task,
            input: Bytes::new(),
            heard,
            peer,
        }));
        let job = Job {
            meter,
            capabilities: Arc::new(Capabilities {
                fixed: Some(Fixed::default()),
                ..Capabilities::default()
            }),
            cancel: CancellationToken::new(),
        };
        self.app.sandbox().call(loaded, call, job).await
    }

    /// Runs a program that must end with 0.
    async fn program(
        &self,
        loaded: &Arc<Loaded>,
        path: &str,
        text: &str,
    ) -> anyhow::Result<Duration> {
        let files = vec![CodeFile {
            path: path.into(),
            text: text.into(),
        }];
        let task = CodeTask::Program {
            path: path.into(),
            arguments: Vec::new(),
        };
        let began = Instant::now();
        let end = self.call(loaded, files, task, None).await;
        let took = began.elapsed();
        match end.result {
            Ok(Answer::Code(answer, _)) if answer.exit_code == 0 => Ok(took),
            Ok(answer) => Err(anyhow!("{path}: {answer:?}")),
            Err(stop) => Err(anyhow!("{path}: {}", stop.message)),
        }
    }
}

/// Runs a process that must end with 0.
fn process(program: &str, arguments: &[&str]) -> anyhow::Result<Duration> {
    let mut command = Command::new(program);
    command.args(arguments);
    let began = Instant::now();
    let said = fed(command, b"")?;
    let took = began.elapsed();
    ensure!(
        said.status.success(),
        "{program}: {}",
        String::from_utf8_lossy(&said.stderr)
    );
    Ok(took)
}

/// Memory of a process, shared pages by their share, in KiB.
fn pss(id: u32) -> anyhow::Result<f64> {
    let text = fs::read_to_string(format!("/proc/{id}/smaps_rollup"))?;
    text.lines()
        .find_map(|line| {
            line.strip_prefix("Pss:")?
                .trim()
                .split(' ')
                .next()?
                .parse()
                .ok()
        })
        .context("no PSS")
}

/// The programs of HumanEval, each with its tests: `(name, text)`.
fn human_eval() -> anyhow::Result<Vec<(String, String)>> {
    let said = Command::new("python3")
        .arg(root().join("tests/checks/human_eval.py"))
        .output()?;
    ensure!(
        said.status.success(),
        "{}",
        String::from_utf8_lossy(&said.stderr)
    );
    String::from_utf8(said.stdout)?
        .lines()
        .map(|line| {
            let problem: Value = serde_json::from_str(line)?;
            let text = |key: &str| problem[key].as_str().context("no text").map(str::to_owned);
            // The solution stands where the test imports it from.
            let test: String = text("test")?
                .lines()
                .filter(|line| !line.starts_with("from solution import"))
                .map(|line| format!("{line}\n"))
                .collect();
            let program = format!("{}\n{test}\n\ntest_humaneval()\n", text("solution")?);
            Ok((text("id")?, program))
        })
        .collect()
}

pub(crate) async fn measure() -> anyhow::Result<Section> {
    let bench = Bench::open().await?;
    let mut section = Section::of_pairs("checks");

    let mut trivial = Pair::default();
    let mut script = Pair::default();
    for _ in 0..ROUNDS {
        let (mut own, mut peer) = (Samples::default(), Samples::default());
        let (mut own_script, mut peer_script) = (Samples::default(), Samples::default());
        for _ in 0..CALLS {
            own.push(bench.program(&bench.python, "main.py", "pass\n").await?);
            own_script.push(bench.program(&bench.javascript, "main.js", "").await?);
        }
        for _ in 0..CALLS {
            peer.push(process(PYTHON, &["-I", "-c", "pass"])?);
        }
        for _ in 0..CALLS / 4 {
            peer_script.push(process("node", &["-e", ""])?);
        }
        trivial.round(&own, &peer);
        script.round(&own_script, &peer_script);
    }
    section.pair("a trivial Python program / python3 -I -c pass", &trivial);
    section.pair("a trivial JavaScript program / node -e \"\"", &script);

    let programs = human_eval()?;
    let mut each = Pair::default();
    let (mut own_sum, mut peer_sum, mut bwrap_sum) = (0.0, 0.0, 0.0);
    let mut long = Vec::new();
    let mut short = Vec::new();
    let contained = process("bwrap", &["--version"]).is_ok();
    for (name, text) in &programs {
        let file = bench.place.path().join("program.py");
        fs::write(&file, text)?;
        let path = file.display().to_string();
        let peer = process(PYTHON, &["-I", &path])?;
        let own = bench.program(&bench.python, "main.py", text).await?;
        if peer > LONG {
            long.push(format!("{name}: {own:.0?} / {peer:.0?}"));
            continue;
        }
        if contained {
            let arguments = [
                "--unshare-all",
                "--ro-bind",
                "/",
                "/",
                "--dev",
                "/dev",
                "--proc",
                "/proc",
                PYTHON,
                "-I",
                &path,
            ];
            bwrap_sum += process("bwrap", &arguments)?.as_secs_f64();
        }
        own_sum += own.as_secs_f64();
        peer_sum += peer.as_secs_f64();
        let (mut one, mut other) = (Samples::default(), Samples::default());
        one.push(own);
        other.push(peer);
        each.round(&one, &other);
        short.push((name.clone(), text.clone()));
    }
    section.pair("HumanEval, one at a time / python3 -I", &each);
    section.note(format!(
        "HumanEval, {} programs: {own_sum:.2} s against {peer_sum:.2} s of python3{}; longer than 200 ms and not among them: {}",
        short.len(),
        if contained {
            format!(" and {bwrap_sum:.2} s of bwrap and python3")
        } else {
            " (bwrap is not installed)".to_owned()
        },
        long.join(", ")
    ));
    section.at_least("HumanEval: python3's time / own", 3.0, peer_sum / own_sum);
    if contained {
        section.at_least("HumanEval: bwrap's time / own", 4.0, bwrap_sum / own_sum);
    }

    let cores = std::thread::available_parallelism()?.get();
    let began = Instant::now();
    for (_, text) in &short {
        bench.program(&bench.python, "main.py", text).await?;
    }
    let one = began.elapsed().as_secs_f64();
    let began = Instant::now();
    let next = std::sync::atomic::AtomicUsize::new(0);
    let workers = (0..cores * 2).map(|_| async {
        while let Some((_, text)) =
            short.get(next.fetch_add(1, std::sync::atomic::Ordering::Relaxed))
        {
            bench.program(&bench.python, "main.py", text).await?;
        }
        anyhow::Ok(())
    });
    futures::future::try_join_all(workers).await?;
    let all = began.elapsed().as_secs_f64();
    section.at_least("HumanEval on all cores / on one", 1.8, one / all);

    section.at_most(
        "a trivial Python program, p50 in ms",
        1.5,
        trivial.own.median_us() / 1e3,
    );
    section.at_least(
        "a trivial JavaScript program: node's time / own",
        100.0,
        script.peer.median_us() / script.own.median_us(),
    );

    let (own, peer) = held(&bench).await?;
    section.at_most("memory of 100 at once / of 100 python3", 0.5, own / peer);
    section.note(format!(
        "memory of {HELD} at once: {:.0} MiB against {:.0} MiB",
        own / 1024.0,
        peer / 1024.0
    ));
    Ok(section)
}

/// Memory that a hundred instances take that wait for a question, and a hundred processes that wait for a line, in KiB.
async fn held(bench: &Bench) -> anyhow::Result<(f64, f64)> {
    let before = pss(std::process::id())?;
    let mut ends = Vec::new();
    let mut waiting = Vec::new();
    for _ in 0..HELD {
        let (here, there) = peers();
        ends.push(here);
        let files = vec![CodeFile {
            path: "solution.py".into(),
            text: "x = 1\n".into(),
        }];
        waiting.push(Box::pin(bench.call(
            &bench.python,
            files,
            CodeTask::Serve,
            Some(there),
        )));
    }
    let all = futures::future::join_all(waiting);
    tokio::pin!(all);
    // As long as it takes for all to be made: none of them ends before its other end does.
    let _ = tokio::time::timeout(Duration::from_secs(3), &mut all).await;
    let own = pss(std::process::id())? - before;
    drop(ends);
    all.await;
    let mut children: Vec<Child> = Vec::new();
    for _ in 0..HELD {
        let child = Command::new(PYTHON)
            .args(["-I", "-c", "input()"])
            .stdin(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        children.push(child);
    }
    tokio::time::sleep(Duration::from_secs(3)).await;
    let mut peer = 0.0;
    for child in &children {
        peer += pss(child.id())?;
    }
    for child in &mut children {
        child.kill()?;
        child.wait()?;
    }
    Ok((own, peer))
}
