//! Clients that send too slowly, too much or too often; and names that nobody can look up.

use crate::shim::{Shim, pairs};
use crate::{chain_is_whole, ended, folder, ok, start};
use anyhow::{Context as _, ensure};
use aws_lc_rs::hmac;
use infinity_tests::host::{Host, PATIENCE, poll};
use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit, setrlimit};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Mutex;
use std::time::{Duration, Instant};
use uuid::Uuid;

/// What a process holds in memory, in KiB.
fn resident(pid: u32) -> anyhow::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    Ok(number.context("a size")?.parse()?)
}

/// The 99th percentile of what so many honest requests take.
fn honest(host: &Host, requests: usize) -> anyhow::Result<Duration> {
    let mut times = Vec::new();
    for _ in 0..requests {
        let began = Instant::now();
        ensure!(host.get("/ready")?.status() == 200, "it is not ready");
        times.push(began.elapsed());
    }
    times.sort();
    Ok(times[requests * 99 / 100 - 1])
}

/// Lets this process have as many files as it may: each of thousands of clients is one.
fn many_files() -> anyhow::Result<()> {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    Ok(setrlimit(Resource::Nofile, raised)?)
}

#[test]
fn f34_thousands_of_clients_that_never_finish_keep_nobody_waiting() -> anyhow::Result<()> {
    many_files()?;
    let host = folder("", "")?.serve()?;
    let quiet = honest(&host, 200)?;
    let mut slow = Vec::new();
    let began = Instant::now();
    for number in 0..2_000 {
        let mut stream = TcpStream::connect(host.address())?;
        // Half of them stop in the headers, half in the body. Who is evicted at once may not even be written to.
        let text: &[u8] = if number % 2 == 0 {
            b"GET /health HTTP/1.1\r\nhost: local"
        } else {
            b"POST /v1/agents/guests/runs HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{"
        };
        let _ = stream.write_all(text);
        slow.push(stream);
    }
    let loaded = honest(&host, 300)?;
    // The machine is shared with whoever else tests on it; alone it is some milliseconds.
    let bound = (quiet * 20).max(Duration::from_millis(100));
    ensure!(loaded <= bound, "{loaded:?} under load, {quiet:?} without");
    // Each of them is given up on.
    let mut last = Duration::ZERO;
    for stream in &mut slow {
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        let mut answer = [0; 512];
        loop {
            match stream.read(&mut answer) {
                Ok(0) => break,
                Ok(_) => {}
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => break,
                Err(error) => anyhow::bail!("it is not given up on: {error}"),
            }
        }
        last = began.elapsed();
    }
    ensure!(last < Duration::from_secs(30), "the last after {last:?}");
    ensure!(
        host.run("guests", &ok())?["outcome"] == "succeeded",
        "a run"
    );
    Ok(())
}

#[test]
fn f35_a_body_without_end_is_cut_off_and_takes_no_memory() -> anyhow::Result<()> {
    let host = folder("", "")?.serve()?;
    ensure!(
        host.run("guests", &ok())?["outcome"] == "succeeded",
        "a run"
    );
    let before = resident(host.pid())?;
    let head = "POST /v1/agents/guests/runs HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n";
    let kinds = [
        (
            "ten gigabytes by length",
            "content-length: 10737418240\r\n\r\n",
        ),
        ("chunks without end", "transfer-encoding: chunked\r\n\r\n"),
    ];
    let most = Mutex::new(before);
    for (what, rest) in kinds {
        std::thread::scope(|scope| {
            let clients: Vec<_> = (0..8)
                .map(|_| {
                    let (host, most) = (&host, &most);
                    scope.spawn(move || {
                        let mut stream = TcpStream::connect(host.address())?;
                        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
                        stream.set_write_timeout(Some(Duration::from_secs(30)))?;
                        let _ = stream.write_all(format!("{head}{rest}").as_bytes());
                        let chunk = [
                            b"10000\r\n".to_vec(),
                            vec![b' '; 0x1_0000],
                            b"\r\n".to_vec(),
                        ]
                        .concat();
                        // 10 GiB, if it were let.
                        let mut sent = 0_u64;
                        while sent < 10 << 30 && stream.write_all(&chunk).is_ok() {
                            sent += 0x1_0000;
                        }
                        if let (Ok(now), Ok(mut most)) = (resident(host.pid()), most.lock()) {
                            *most = now.max(*most);
                        }
                        let mut answer = String::new();
                        let _ = stream.read_to_string(&mut answer);
                        anyhow::Ok((sent, answer))
                    })
                })
                .collect();
            for client in clients {
                let (sent, answer) = client
                    .join()
                    .map_err(|_| anyhow::anyhow!("a client failed"))??;
                // What the kernel holds for it, and what is read for a second to be able to answer.
                ensure!(sent < 1 << 30, "{what}: {sent} bytes are taken");
                // A reset may take the answer with it.
                ensure!(
                    answer.is_empty() || answer.contains(" 413 "),
                    "{what}: {answer}"
                );
            }
            anyhow::Ok(())
        })?;
    }
    let most = *most
        .lock()
        .map_err(|_| anyhow::anyhow!("a client failed"))?;
    ensure!(most < before + 64 * 1024, "{before} KiB became {most}");

    // A thousand bytes for one, as a compressed body promises: nothing is decompressed.
    let packed = [
        0x1f_u8, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 0x4b, 0x4c, 0x4c, 0x4c,
    ];
    let url = host.url("/v1/agents/guests/runs");
    let request = host
        .client()
        .post(url)
        .header("content-type", "application/json");
    let answer = request
        .header("content-encoding", "gzip")
        .body(packed.to_vec())
        .send()?;
    let status = answer.status().as_u16();
    ensure!((400..500).contains(&status), "{status}");
    let runs = host.json("/v1/runs")?;
    ensure!(runs["items"].as_array().map(Vec::len) == Some(1), "{runs}");
    Ok(())
}

const SECRET: &str = "a secret that nobody guesses";

/// Delivers once; the status and whether it was called a duplicate.
fn deliver(host: &Host, id: Uuid) -> anyhow::Result<(u16, Value)> {
    let body = br#"{"case":"ok"}"#;
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes()), body);
    let hex: String = tag
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let request = host.client().post(host.url("/v1/agents/hook/webhook"));
    let answer = request
        .header("content-type", "application/json")
        .header("x-delivery", id.to_string())
        .header("x-signature-256", format!("sha256={hex}"))
        .body(body.to_vec())
        .send()?;
    Ok((answer.status().as_u16(), answer.json()?))
}

#[test]
fn f37_a_thousand_deliveries_of_one_thing_are_one_run() -> anyhow::Result<()> {
    let table =
        format!("[agents.hook]\nplugin = \"noop\"\nwebhook = {{ secret = \"{SECRET}\" }}\n");
    let host = folder("", &table)?.serve()?;
    // Twenty deliveries, each fifty times: all at once, in an order of its own for each sender.
    let ids: Vec<Uuid> = (0..20).map(|_| Uuid::now_v7()).collect();
    let answers = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        let senders: Vec<_> = (0..50)
            .map(|sender| {
                let (host, ids, answers) = (&host, &ids, &answers);
                scope.spawn(move || {
                    for number in 0..ids.len() {
                        let id = ids[(number * 7 + sender) % ids.len()];
                        let answer = deliver(host, id)?;
                        answers
                            .lock()
                            .map_err(|_| anyhow::anyhow!("a sender failed"))?
                            .push((id, answer));
                    }
                    anyhow::Ok(())
                })
            })
            .collect();
        for sender in senders {
            sender
                .join()
                .map_err(|_| anyhow::anyhow!("a sender failed"))??;
        }
        anyhow::Ok(())
    })?;
    let answers = answers
        .into_inner()
        .map_err(|_| anyhow::anyhow!("a sender failed"))?;
    ensure!(answers.len() == 1_000, "{} answers", answers.len());
    for id in &ids {
        let of: Vec<_> = answers
            .iter()
            .filter(|(known, _)| known == id)
            .map(|(_, answer)| answer)
            .collect();
        let taken = of.iter().filter(|(status, _)| *status == 202).count();
        let known = of
            .iter()
            .filter(|(status, body)| *status == 200 && body["duplicate"] == true)
            .count();
        ensure!(
            (taken, known) == (1, 49),
            "{taken} taken, {known} known: {of:?}"
        );
        let runs: BTreeSet<String> = of.iter().map(|(_, body)| body["run"].to_string()).collect();
        ensure!(runs.len() == 1, "{runs:?}");
    }
    poll(PATIENCE, || {
        let runs = host.json("/v1/runs?agent=hook&limit=500").ok()?;
        let runs = runs["items"].as_array()?;
        (runs.len() == ids.len() && runs.iter().all(|run| run["outcome"] == "succeeded"))
            .then_some(())
    })
    .context("a delivery has no run, or two")?;
    chain_is_whole(&host)
}

#[test]
fn emfile_a_host_without_files_left_goes_on_once_it_has_some() -> anyhow::Result<()> {
    many_files()?;
    let host = folder("", "")?.serve()?;
    ensure!(
        host.run("guests", &ok())?["outcome"] == "succeeded",
        "a run"
    );
    let pid = Pid::from_raw(host.pid().cast_signed()).context("a process")?;
    let open = || anyhow::Ok(fs::read_dir(format!("/proc/{}/fd", host.pid()))?.count());
    // Room for a few more, which the first clients take.
    let few = Some(u64::try_from(open()?)? + 8);
    let limit = Rlimit {
        current: few,
        maximum: getrlimit(Resource::Nofile).maximum,
    };
    let before = prlimit(Some(pid), Resource::Nofile, limit)?;
    let mut clients = Vec::new();
    for _ in 0..100 {
        clients.push(TcpStream::connect(host.address())?);
    }
    let log = poll(PATIENCE, || {
        let log = host.log();
        log.contains("cannot accept a connection").then_some(log)
    });
    ensure!(log.is_some(), "it has files left: {}", host.log());
    // Who is connected already may still ask, and gets an answer, be it a refusal.
    let url = host.url("/v1/agents/guests/runs");
    let during = host
        .client()
        .post(url)
        .json(&ok())
        .timeout(Duration::from_secs(5))
        .send();
    drop(during);
    prlimit(Some(pid), Resource::Nofile, before)?;
    drop(clients);
    let run = poll(PATIENCE, || {
        let run = host.run("guests", &ok()).ok()?;
        (run["outcome"] == "succeeded").then_some(run)
    });
    ensure!(run.is_some(), "it does not recover: {}", host.log());
    chain_is_whole(&host)
}

#[test]
fn f41_names_that_cannot_be_looked_up_cost_those_runs_alone_that_ask() -> anyhow::Result<()> {
    let Some(shim) = Shim::new()? else {
        return Ok(());
    };
    let tables = "[agents.reaching]\nplugin = \"guests\"\nlimits = { time = \"6s\" }\nconcurrency = 8\ngrants = { http = [{ url = \"https://somewhere.example/*\" }] }\n\
        [agents.other]\nplugin = \"noop\"\n";
    let environment = shim.environment()?;
    let host = folder("concurrency = 16", tables)?.serve_with(&pairs(&environment))?;
    ensure!(
        host.run("other", &Value::Null)?["outcome"] == "succeeded",
        "a run"
    );
    // Slower than a run may take, and then fails quickly.
    for (seconds, outcome) in [(20, "limited"), (1, "succeeded")] {
        shim.names_fail_after(seconds)?;
        let input = json!({ "case": "http", "url": "https://somewhere.example/" });
        let mut reaching = Vec::new();
        for _ in 0..8 {
            reaching.push(start(&host, "reaching", &input)?);
        }
        for _ in 0..50 {
            let began = Instant::now();
            ensure!(
                host.run("other", &Value::Null)?["outcome"] == "succeeded",
                "a run"
            );
            ensure!(
                began.elapsed() < Duration::from_secs(2),
                "{:?}",
                began.elapsed()
            );
        }
        for run in &reaching {
            let run = ended(&host, run)?;
            // A guest that copes with the error ends well.
            ensure!(run["outcome"] == outcome, "{run}");
        }
    }
    chain_is_whole(&host)
}
