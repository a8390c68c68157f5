//! The host that all attacks share, with its neighbour and its canary, and what is looked at after each attack.

use crate::server::Server;
use infinity_tests::host::{Folder, Host, poll};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::net::TcpListener;
use std::os::unix::fs::symlink;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// The limits of the suite, as each agent has them unless it says otherwise.
const LIMITS: &str = r#"
[host.limits]
time = "5s"
cpu = "2s"
memory = "64MiB"
table_elements = 1000
instances = 100
host_calls = 100000
handles = 1000
log = "64KiB"
output = "64KiB"
http_requests = 50
http_sent = "256KiB"
http_received = "8MiB"
random = "1MiB"
files = "1MiB"
files_count = 100
key_value = "256KiB"
key_value_keys = 100
"#;

/// How often the canary runs.
const CANARY_EVERY: Duration = Duration::from_secs(1);

/// How late the canary may be: ten times what is aimed at, as the machine is shared and may compile at the same time.
const CANARY_LATE_MAX: Duration = Duration::from_millis(2_500);

/// How long one answer of the API may take: ten times what is aimed at, for the same reason.
const API_MAX: Duration = Duration::from_millis(500);

/// How much the host's memory may stay above the baseline.
const RSS_SLACK_KIB: u64 = 64 * 1024;

/// Open files above the baseline: the test's own connections come and go.
const FDS_SLACK: usize = 32;

/// Threads above the baseline: those for blocking work end ten seconds after they were needed.
const THREADS_SLACK: usize = 16;

/// How long the host may take to give back what an attack used: five seconds are aimed at, but threads for blocking work stay for ten.
const RECOVERY: Duration = Duration::from_secs(12);

/// The neighbour's value in its key-value space, and what is in its file.
const NEIGHBOUR: &str = "what the neighbour knows";

/// One line of the table at the end.
#[derive(Clone)]
pub(crate) struct Row {
    pub(crate) case: String,
    pub(crate) expected: String,
    pub(crate) got: String,
    pub(crate) containment: String,
    pub(crate) overrun_ms: Option<i64>,
}

/// The latest runs of the canary.
#[derive(Default)]
struct Canary {
    runs: u64,
    failures: u64,
    worst_since_asked: Duration,
    worst: Duration,
}

/// Everything that the tests share.
pub(crate) struct Suite {
    pub(crate) host: Host,
    pub(crate) server: Server,
    canary: Arc<Mutex<Canary>>,
    digests: BTreeMap<String, String>,
    limits: BTreeMap<String, Value>,
    baseline: Figures,
    /// Parts that the refused components degrade.
    degraded: Vec<String>,
    events: Mutex<Option<String>>,
}

/// What the operating system says of the host.
#[derive(Clone, Copy, Debug)]
struct Figures {
    rss_kib: u64,
    fds: usize,
    threads: usize,
}

static TURN: Mutex<()> = Mutex::new(());
static ROWS: Mutex<Vec<Row>> = Mutex::new(Vec::new());
static OPEN: AtomicUsize = AtomicUsize::new(0);
static SUITE: OnceLock<Suite> = OnceLock::new();

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Writes past the capture of the test harness: the figures are wanted of tests that pass, too.
pub(crate) fn say(line: &str) {
    // Nobody to tell where standard error is closed.
    drop(writeln!(std::io::stderr(), "{line}"));
}

/// The table so far, once no other case is open.
pub(crate) fn rows() -> Vec<Row> {
    poll(Duration::from_secs(60), || {
        (OPEN.load(Ordering::SeqCst) == 0).then_some(())
    });
    lock(&ROWS).clone()
}

/// Adds a line to the table.
pub(crate) fn row(row: Row) {
    lock(&ROWS).push(row);
}

/// Ends a program, and removes its folder, when this test program has ended: what is shared by all tests is dropped by none.
#[expect(
    clippy::zombie_processes,
    reason = "it waits for this program to end, so nobody here can wait for it"
)]
pub(crate) fn end_with_the_tests(host: &Host) {
    let script =
        "while kill -0 $1 2>/dev/null; do sleep 1; done; kill -9 $2 2>/dev/null; rm -rf \"$3\"";
    Command::new("sh")
        .args(["-c", script, "sh"])
        .arg(std::process::id().to_string())
        .arg(host.pid().to_string())
        .arg(host.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
}

/// The name of the agent that runs a hand-written component.
pub(crate) fn agent_of(component: &str) -> String {
    format!("w-{}", component.replace('_', "-"))
}

/// Compiles the text of a component.
pub(crate) fn wasm(text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap()
}

/// What is no component, by the name of the agent that should run it, with a word of the refusal.
pub(crate) fn not_components() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let component = fs::read(infinity_tests::host::component("test_guests")).unwrap();
    let program = fs::read(infinity_tests::host::binary()).unwrap();
    vec![
        ("x-empty", Vec::new(), "the file is empty"),
        (
            "x-random",
            (0..4096_u32).map(|n| (n * 7 + n / 3) as u8 | 1).collect(),
            "is not WebAssembly",
        ),
        (
            "x-truncated",
            component[..component.len() / 2].to_vec(),
            "ends early",
        ),
        ("x-core-module", wasm("(module)"), "core module"),
        (
            "x-elf",
            program[..64 * 1024].to_vec(),
            "compiled code is never accepted",
        ),
        ("x-text", b"(component)".to_vec(), "text form"),
    ]
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

fn folder(port: u16, server: &Server) -> Folder {
    let folder = Folder::new().unwrap();
    folder.component("test_guests", "test_guests").unwrap();
    let path = folder.path();
    for name in [
        "data",
        "data/tree",
        "quota",
        "ro",
        "ro/directory",
        "neighbour",
        "outside",
    ] {
        fs::create_dir(path.join(name)).unwrap();
    }
    fs::write(path.join("ro/file.txt"), "original\n").unwrap();
    fs::write(path.join("outside/passwd"), "nobody may read this\n").unwrap();
    fs::write(path.join("neighbour/note.txt"), NEIGHBOUR).unwrap();
    symlink("../../outside", path.join("data/tree/up")).unwrap();
    symlink(path.join("outside"), path.join("data/tree/absolute")).unwrap();
    symlink(path.join("outside/passwd"), path.join("data/tree/file")).unwrap();
    let made = Command::new("mkfifo")
        .arg(path.join("data/fifo"))
        .status()
        .unwrap();
    assert!(made.success(), "`mkfifo` failed");
    drop(std::os::unix::net::UnixListener::bind(path.join("data/socket")).unwrap());

    let server_port = server.port;
    // Twice as many places as guests that spin at once: what a guest does to the canary's CPU time is looked at, not the queue.
    let mut text = format!(
        "[host]\nlisten = \"127.0.0.1:{port}\"\nstate = \"var\"\nplugins = \"dist\"\nconcurrency = 16\n{LIMITS}"
    );
    let simple = [
        ("victim", ""),
        ("other", ""),
        ("flood", ""),
        ("spinner", "cpu = \"500ms\", time = \"20s\""),
        ("fuel", "fuel = 1000000000"),
        ("keys", "output = \"1MiB\""),
    ];
    for (name, limits) in simple {
        let _ = write!(
            text,
            "[agents.{name}]\nplugin = \"test_guests\"\nlimits = {{ {limits} }}\n"
        );
    }
    let _ = write!(
        text,
        r#"
[agents.neighbour]
plugin = "test_guests"
grants = {{ directories = [{{ host = "neighbour", guest = "/own", write = true }}] }}
[agents.files]
plugin = "test_guests"
grants = {{ directories = [{{ host = "data", guest = "/data", write = true }}, {{ host = "ro", guest = "/ro" }}] }}
[agents.quota]
plugin = "test_guests"
grants = {{ directories = [{{ host = "quota", guest = "/quota", write = true }}] }}
[agents.secrets]
plugin = "test_guests"
grants = {{ env = {{ GRANTED = "a-granted-value" }} }}
[agents.net]
plugin = "test_guests"
limits = {{ time = "2s" }}
[agents.net.grants]
http = [
  {{ url = "http://127.0.0.1:{server_port}", private = ["127.0.0.0/8"], methods = ["GET", "POST"] }},
  {{ url = "http://127.0.0.1:{port}", private = ["127.0.0.0/8"], methods = ["GET", "POST"] }},
  {{ url = "http://localhost:{port}", private = ["127.0.0.0/8", "::1/128"] }},
  {{ url = "https://granted.test" }},
]
[agents.credential]
plugin = "test_guests"
[agents.credential.grants]
http = [{{ url = "http://127.0.0.1:{server_port}/with", private = ["127.0.0.0/8"], credential = {{ header = "x-key", value = "hush-hush-hush-42" }} }}]
[agents.ssrf]
plugin = "test_guests"
[agents.ssrf.grants]
http = [
  {{ url = "http://127.0.0.1:{server_port}" }},
  {{ url = "http://localhost:{server_port}" }},
  {{ url = "http://[::1]:{server_port}" }},
  {{ url = "http://[::ffff:127.0.0.1]:{server_port}" }},
  {{ url = "http://0.0.0.0:{server_port}" }},
  {{ url = "http://10.1.2.3" }},
  {{ url = "http://169.254.169.254" }},
  {{ url = "http://100.64.0.1" }},
  {{ url = "http://[fc00::1]" }},
  {{ url = "http://[fe80::1]" }},
  {{ url = "http://[64:ff9b::7f00:1]" }},
  {{ url = "http://[2002:7f00:1::]" }},
]
[agents.canary]
plugin = "noop_agent"
"#
    );
    let mut component = |agent: &str, plugin: &str, bytes: &[u8]| {
        folder.bytes(plugin, bytes).unwrap();
        let _ = write!(text, "[agents.{agent}]\nplugin = \"{plugin}\"\n");
    };
    for (name, wat) in test_guests::COMPONENTS {
        component(&agent_of(name), name, &wasm(wat));
    }
    let many = wasm(&test_guests::many_instances(5_000));
    component("w-many-instances-5000", "many_instances_5000", &many);
    let over = wasm(&test_guests::many_instances(150));
    component("w-many-instances-150", "many_instances_150", &over);
    for (agent, bytes, _) in not_components() {
        component(agent, agent, &bytes);
    }
    fs::write(path.join("plugins.toml"), text).unwrap();
    folder
}

/// The host's components that do not work. That an agent which attacks has a low score is as it should be.
fn degraded(host: &Host) -> Vec<String> {
    let health = host.json("/health").unwrap();
    let components = health["degraded"].as_array().unwrap();
    components
        .iter()
        .filter_map(Value::as_str)
        .filter(|component| !component.starts_with("agent/"))
        .map(str::to_owned)
        .collect()
}

impl Suite {
    fn start() -> Self {
        let began = Instant::now();
        let server = Server::start();
        let host = folder(free_port(), &server).serve().unwrap();
        end_with_the_tests(&host);
        say(&format!(
            "hostile: the host with all guests started in {} ms",
            began.elapsed().as_millis()
        ));
        let items = |path: &str| {
            host.json(path).unwrap()["items"]
                .as_array()
                .unwrap()
                .clone()
        };
        let digests = items("/v1/plugins")
            .iter()
            .map(|plugin| (text(&plugin["name"]), text(&plugin["digest"])))
            .collect();
        let limits = items("/v1/agents")
            .iter()
            .map(|agent| (text(&agent["name"]), agent["limits"].clone()))
            .collect();
        let set = json!({ "case": "kv_set", "key": "note", "value": NEIGHBOUR });
        let set = host.run("neighbour", &set).unwrap();
        assert_eq!(set["outcome"], "succeeded", "{set}");
        // The first use of each part of the host makes threads and buffers that stay.
        for input in [json!({ "case": "ok" }), json!({ "case": "grow_memory" })] {
            assert_eq!(host.run("victim", &input).unwrap()["outcome"], "succeeded");
        }
        let degraded = degraded(&host);
        assert_eq!(
            degraded,
            ["agents"],
            "the components that are refused, nothing else"
        );
        let canary = Arc::new(Mutex::new(Canary::default()));
        keep_canary(&host, Arc::clone(&canary));
        let baseline = figures(host.pid());
        say(&format!("hostile: baseline {baseline:?}"));
        let suite = Self {
            host,
            server,
            canary,
            digests,
            limits,
            baseline,
            degraded,
            events: Mutex::new(None),
        };
        suite.new_events();
        suite
    }

    /// A path in the host's folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.host.path().join(name)
    }

    /// The events since the last call.
    fn new_events(&self) -> Vec<Value> {
        let mut cursor = lock(&self.events);
        let mut events = Vec::new();
        loop {
            let path = match &*cursor {
                Some(cursor) => format!("/v1/events?limit=500&cursor={cursor}"),
                None => "/v1/events?limit=500".into(),
            };
            let page = self.host.json(&path).unwrap();
            let items = page["items"].as_array().unwrap();
            events.extend(items.iter().cloned());
            if let Some(next) = page["next"].as_str() {
                *cursor = Some(next.to_owned());
            }
            if items.len() < 500 {
                return events;
            }
        }
    }

    /// The oracle I0: whether the host, its other agents and its records are as they should be after an attack.
    fn oracle(&self, case: &str, runs: &[Value]) {
        let mut said = format!("I0 {case}:");

        assert_eq!(degraded(&self.host), self.degraded, "{case}");
        said.push_str(" host alive;");

        {
            let mut canary = lock(&self.canary);
            let late = std::mem::take(&mut canary.worst_since_asked);
            assert_eq!(canary.failures, 0, "{case}: a run of the canary failed");
            assert!(
                late <= CANARY_LATE_MAX,
                "{case}: the canary was {late:?} late"
            );
            let _ = write!(
                said,
                " canary {} ms late at most ({} runs, worst {} ms);",
                late.as_millis(),
                canary.runs,
                canary.worst.as_millis()
            );
        }

        let mut answers: Vec<Duration> = (0..20)
            .map(|_| {
                let began = Instant::now();
                assert!(self.host.get("/health").unwrap().status().is_success());
                began.elapsed()
            })
            .collect();
        answers.sort();
        let slowest = answers[19];
        assert!(
            slowest <= API_MAX,
            "{case}: an answer of the API took {slowest:?}"
        );
        let _ = write!(said, " API p99 {:.1} ms;", slowest.as_secs_f64() * 1000.0);

        let get = json!({ "case": "kv_get", "key": "note" });
        let kept = self.host.run("neighbour", &get).unwrap();
        let kept = self.host.report(&kept).unwrap();
        assert_eq!(
            kept["output"]["value"], NEIGHBOUR,
            "{case}: the neighbour's key"
        );
        let listed = self
            .host
            .run("neighbour", &json!({ "case": "kv_list" }))
            .unwrap();
        let listed = self.host.report(&listed).unwrap();
        assert_eq!(
            listed["output"]["keys"],
            json!(["note"]),
            "{case}: the neighbour's keys"
        );
        let files = tree(&self.path("neighbour"));
        let expected = BTreeMap::from([("note.txt".to_owned(), NEIGHBOUR.as_bytes().to_vec())]);
        assert_eq!(files, expected, "{case}: the neighbour's files");
        said.push_str(" neighbour's keys and files unchanged;");

        let base = self.baseline;
        let calm = |now: &Figures| {
            now.rss_kib <= base.rss_kib + RSS_SLACK_KIB
                && now.fds <= base.fds + FDS_SLACK
                && now.threads <= base.threads + THREADS_SLACK
        };
        let began = Instant::now();
        let calmed = poll(RECOVERY, || Some(figures(self.host.pid())).filter(calm));
        let now = calmed.unwrap_or_else(|| figures(self.host.pid()));
        assert!(
            calmed.is_some(),
            "{case}: {now:?}, but at the start {base:?}"
        );
        let _ = write!(
            said,
            " RSS {:+} KiB, fds {:+}, threads {:+} after {} ms;",
            now.rss_kib as i64 - base.rss_kib as i64,
            now.fds as i64 - base.fds as i64,
            now.threads as i64 - base.threads as i64,
            began.elapsed().as_millis()
        );

        let events = self.new_events();
        for run in runs {
            self.one_record(case, run, &events);
        }
        let journal = self.host.json("/v1/audit/verification");
        let journal = journal.unwrap_or_else(|error| panic!("{case}: the journal: {error:#}"));
        assert!(journal["broken"].is_null(), "{case}: {journal}");
        let _ = write!(
            said,
            " {} terminal records, one each, with digest, limits and usage; the journal's {} records are whole",
            runs.len(),
            journal["records"]
        );
        say(&said);
    }

    /// A run has one terminal record and one event, with the right plugin, within its limits.
    fn one_record(&self, case: &str, run: &Value, events: &[Value]) {
        let id = text(&run["id"]);
        let agent = text(&run["agent"]);
        let stored = self.host.json(&format!("/v1/runs/{id}")).unwrap();
        assert_eq!(stored["state"], "ended", "{case}: {stored}");
        for field in ["outcome", "reason", "message", "denials", "usage"] {
            assert_eq!(stored[field], run[field], "{case}: `{field}` of {id}");
        }
        assert!(!text(&stored["ended_at"]).is_empty(), "{case}: {stored}");
        let list = self
            .host
            .json(&format!("/v1/runs?agent={agent}&limit=500"))
            .unwrap();
        let items = list["items"].as_array().unwrap();
        let records = items.iter().filter(|item| item["id"] == run["id"]).count();
        assert_eq!(records, 1, "{case}: records of {id}");
        let kind = format!("run.{}", text(&run["outcome"]));
        let ends: Vec<_> = events
            .iter()
            .filter(|event| event["subject"] == run["id"])
            .filter(|event| text(&event["type"]).starts_with("run."))
            .map(|event| text(&event["type"]))
            .collect();
        assert_eq!(ends, [kind], "{case}: events of {id}");
        let plugin = text(&run["plugin"]);
        let digest = text(&run["plugin_digest"]);
        assert_eq!(
            Some(&digest),
            self.digests.get(&plugin),
            "{case}: digest of {id}"
        );
        assert!(text(&run["config_digest"]).starts_with("sha256:"), "{case}");
        assert!(!text(&run["started_at"]).is_empty(), "{case}: {run}");

        let limits = &self.limits[&agent];
        let usage = &run["usage"];
        // The call that was one too many is counted, too.
        let used = [
            ("peak_memory_bytes", "memory_bytes", 0),
            ("host_calls", "host_calls", 1),
            ("output_bytes", "output_bytes", 0),
            ("http_requests", "http_requests", 0),
        ];
        for (used, limit, slack) in used {
            let most = limits[limit].as_u64().unwrap() + slack;
            let used = usage[used].as_u64().unwrap();
            assert!(
                used <= most,
                "{case}: {used} of `{limit}`, {most} are allowed"
            );
        }
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// All files of a directory, by relative path, with their bytes.
pub(crate) fn tree(directory: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.file_type().unwrap().is_dir() {
            files.extend(
                tree(&entry.path())
                    .into_iter()
                    .map(|(path, bytes)| (format!("{name}/{path}"), bytes)),
            );
        } else {
            files.insert(name, fs::read(entry.path()).unwrap());
        }
    }
    files
}

fn figures(pid: u32) -> Figures {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let number = |key: &str| -> u64 {
        let line = status.lines().find(|line| line.starts_with(key)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    };
    Figures {
        rss_kib: number("VmRSS:"),
        fds: fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count(),
        threads: number("Threads:") as usize,
    }
}

/// CPU time that a process has used.
pub(crate) fn cpu_time(pid: u32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    // The name in parentheses may hold spaces; user and system time are the 12th and 13th fields after it, in hundredths of a second.
    let fields: Vec<&str> = stat
        .rsplit(')')
        .next()
        .unwrap()
        .split_whitespace()
        .collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    Duration::from_millis(ticks * 10)
}

/// Runs the canary for as long as the tests run.
fn keep_canary(host: &Host, canary: Arc<Mutex<Canary>>) {
    let url = host.url("/v1/agents/canary/runs?wait=60s");
    let client = host.client().clone();
    std::thread::spawn(move || {
        let mut due = Instant::now();
        loop {
            due += CANARY_EVERY;
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            let answer = client.post(&url).json(&Value::Null).send();
            let run = answer.and_then(|answer| answer.json::<Value>());
            let late = due.elapsed();
            let mut canary = lock(&canary);
            canary.runs += 1;
            if run.is_ok_and(|run| run["outcome"] == "succeeded") {
                canary.worst_since_asked = canary.worst_since_asked.max(late);
                canary.worst = canary.worst.max(late);
            } else {
                canary.failures += 1;
            }
            drop(canary);
            // A tick that was missed is counted as lateness once, not made up for.
            due = due.max(Instant::now().checked_sub(CANARY_EVERY).unwrap_or(due));
        }
    });
}

/// One attack: what it ran, and its lines of the table.
pub(crate) struct Case<'a> {
    name: &'a str,
    pub(crate) suite: &'static Suite,
    runs: Mutex<Vec<Value>>,
}

/// A run that ended, with its report.
pub(crate) struct Ended {
    pub(crate) run: Value,
    pub(crate) report: Value,
}

/// Waits for the turn, runs the attack, then asks the oracle.
pub(crate) fn case(name: &str, attack: impl FnOnce(&Case<'_>)) {
    OPEN.fetch_add(1, Ordering::SeqCst);
    let turn = lock(&TURN);
    let result = catch_unwind(AssertUnwindSafe(|| {
        let case = Case {
            name,
            suite: SUITE.get_or_init(Suite::start),
            runs: Mutex::default(),
        };
        // What an earlier test left open is not this one's.
        case.suite.new_events();
        attack(&case);
        let runs = lock(&case.runs).clone();
        case.suite.oracle(name, &runs);
    }));
    if result.is_err() {
        row(Row {
            case: name.into(),
            expected: String::new(),
            got: "FAILED".into(),
            containment: String::new(),
            overrun_ms: None,
        });
    }
    drop(turn);
    OPEN.fetch_sub(1, Ordering::SeqCst);
    if let Err(panic) = result {
        resume_unwind(panic);
    }
}

impl Case<'_> {
    /// Runs an agent to its end.
    pub(crate) fn run(&self, agent: &str, input: Value) -> Ended {
        let run = self.suite.host.run(agent, &input).unwrap();
        let report = self.suite.host.report(&run).unwrap();
        lock(&self.runs).push(run.clone());
        Ended { run, report }
    }

    /// Remembers a run that was started elsewhere and ended, for the oracle.
    pub(crate) fn ended(&self, run: Value) -> Ended {
        let report = self.suite.host.report(&run).unwrap();
        lock(&self.runs).push(run.clone());
        Ended { run, report }
    }

    /// Demands an outcome and a reason, and adds a line to the table. `containment` says what contained the guest.
    pub(crate) fn expect(
        &self,
        ended: &Ended,
        outcome: &str,
        reason: Option<&str>,
        containment: &str,
    ) {
        let run = &ended.run;
        let words = |outcome: &str, reason: Option<&str>| match reason {
            Some(reason) => format!("{outcome}: {reason}"),
            None => outcome.to_owned(),
        };
        let expected = words(outcome, reason);
        let got = words(
            run["outcome"].as_str().unwrap_or("none"),
            run["reason"].as_str(),
        );
        let agent = text(&run["agent"]);
        let limits = &self.suite.limits[&agent];
        let over = |used: &str, limit: &str| {
            let used = run["usage"][used].as_i64()? / 1_000;
            Some(used - limits[limit].as_i64()?)
        };
        let overrun_ms = match reason {
            Some("cpu") => over("cpu_us", "cpu_ms"),
            Some("time") => over("wall_us", "time_ms"),
            _ => None,
        };
        let attack = run["input"]["case"].as_str().unwrap_or(&agent);
        row(Row {
            case: format!("{} {attack}", self.name),
            expected: expected.clone(),
            got: got.clone(),
            containment: containment.into(),
            overrun_ms,
        });
        assert_eq!(got, expected, "{}: {run}", self.name);
        if outcome != "succeeded" {
            let message = run["message"].as_str().or(run["summary"].as_str());
            assert!(message.is_some_and(|m| !m.is_empty()), "no sentence: {run}");
        }
        if outcome == "limited" {
            assert!(
                run["hint"]
                    .as_str()
                    .is_some_and(|hint| hint.contains("raise `")),
                "no hint: {run}"
            );
        }
        if let Some(overrun_ms) = overrun_ms {
            // 20 ms are aimed at for CPU time and 100 ms for wall time, on a machine that does nothing else.
            assert!(
                overrun_ms <= 500,
                "{}: {overrun_ms} ms over the limit",
                self.name
            );
        }
    }

    /// Demands a refusal at load whose message holds `words`, in the run, in the agent's state and in the plugin's.
    pub(crate) fn expect_refused(&self, agent: &str, reason: &str, words: &[&str]) {
        let ended = self.run(agent, Value::Null);
        self.expect(&ended, "refused", Some(reason), "before anything runs");
        let message = text(&ended.run["message"]);
        for word in words {
            assert!(message.contains(word), "`{word}` is not in: {message}");
        }
        let view = self
            .suite
            .host
            .json(&format!("/v1/agents/{agent}"))
            .unwrap();
        let problem = text(&view["problem"]);
        for word in words {
            assert!(
                problem.contains(word),
                "`{word}` is not in the problem: {problem}"
            );
        }
        assert_eq!(view["state"], "error", "{view}");
    }
}

impl Ended {
    /// What the guest saw.
    pub(crate) fn output(&self) -> &Value {
        &self.report["output"]
    }

    /// Demands a denial, and what it says would allow the attempt.
    pub(crate) fn expect_denial(&self, capability: &str, attempt: &str, allow: &str) {
        let denials = self.run["denials"].as_array().unwrap();
        let found = denials.iter().find(|denial| {
            denial["capability"] == capability && text(&denial["attempt"]).contains(attempt)
        });
        let Some(found) = found else {
            panic!("no denial of `{attempt}` in {denials:#?}");
        };
        assert!(text(&found["allow"]).contains(allow), "{found}");
        assert!(!text(&found["reason"]).is_empty(), "{found}");
        assert!(found["count"].as_u64() >= Some(1), "{found}");
    }
}
