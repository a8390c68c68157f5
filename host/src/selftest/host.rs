//! The host that is attacked: this very program, serving in a folder of its own that is removed afterwards, and asked over HTTP as any client asks.
//!
//! It is a process of its own so that its end would be seen, and so that its memory, files and threads are nobody else's. Invariant: when a [`Host`] is dropped, its
//! process and its compile child are gone and so is its folder.

use super::SelftestError;
use super::cases::{CASES, LIMITS};
use super::guests;
use super::server::Server;
use aws_lc_rs::digest;
use rustix::fs::{CWD, FileType, Mode, mknodat};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long the host may take until it listens: each guest is compiled first, one takes more than a second, and a debug build compiles slowly.
const START_MAX: Duration = Duration::from_secs(180);

/// How long one answer may take: longer than any case runs.
const ANSWER_MAX: Duration = Duration::from_secs(90);

/// What the host logs that an error shows, in bytes from its end.
const LOG_SHOWN: usize = 2_000;

/// The agents beside the attackers: the canary, the neighbour, who looks for residue, and the other end of the ping-pong.
const OTHERS: &str = r#"
[agents.canary]
plugin = "passes"
priority = "high"
[agents.neighbour]
plugin = "note"
grants = { directories = [{ host = "neighbour", guest = "/own", write = true }] }
[agents.scan]
plugin = "residue-scan"
limits = { cpu = "5s", time = "10s" }
[agents.pong]
plugin = "emit"
on = ["selftest.ping"]
grants = { env = { KIND = "selftest.pong" }, events = ["selftest.*"] }
"#;

/// Folders that have to be byte for byte as they were, after each case.
const WATCHED: [&str; 4] = ["data", "neighbour", "outside", "ro"];

/// The host, serving: whoever owns it ends it.
pub(super) struct Host {
    child: Child,
    pub(super) api: Arc<Api>,
    /// Digests of the components, by name.
    pub(super) digests: BTreeMap<&'static str, String>,
    folder: TempDir,
}

/// What can be asked of the host and seen of it.
pub(super) struct Api {
    client: reqwest::Client,
    base: String,
    process: u32,
    root: PathBuf,
}

/// What the operating system says of the host.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Figures {
    pub(super) rss_kib: u64,
    pub(super) fds: u64,
    pub(super) threads: u64,
}

/// One file, folder or link, as far as it can be seen from outside: kind, size, links to it, moment of the last change, and bytes or target.
pub(super) type Seen = (u32, u64, u64, i64, i64, Vec<u8>);

impl Host {
    /// Writes guests, folders and configuration, starts the program and waits until it listens.
    pub(super) async fn start(server: &Server, sink: &Server) -> Result<Self, SelftestError> {
        let folder = tempfile::Builder::new()
            .prefix("infinity-selftest-")
            .tempdir()
            .map_err(SelftestError::Folder)?;
        let program = std::env::current_exe().map_err(SelftestError::Program)?;
        let own = std::net::TcpListener::bind("127.0.0.1:0")
            .and_then(|listener| listener.local_addr())
            .map_err(SelftestError::Folder)?
            .port();
        let digests =
            fill(folder.path(), &program, server, sink, own).map_err(SelftestError::Folder)?;
        let client = reqwest::Client::builder()
            .no_proxy()
            .timeout(ANSWER_MAX)
            .build()
            .map_err(SelftestError::Request)?;
        let log = File::create(folder.path().join("log")).map_err(SelftestError::Folder)?;
        let child = Command::new(program)
            .arg("serve")
            .current_dir(folder.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("TMPDIR", folder.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone().map_err(SelftestError::Folder)?)
            .stderr(log)
            // A group of its own, so that all of it can be ended at once.
            .process_group(0)
            .spawn()
            .map_err(SelftestError::Program)?;
        let api = Arc::new(Api {
            client,
            base: format!("http://127.0.0.1:{own}"),
            process: child.id(),
            root: folder.path().to_path_buf(),
        });
        let mut host = Self {
            child,
            api,
            digests,
            folder,
        };
        host.listening().await?;
        Ok(host)
    }

    /// Waits until the host listens.
    async fn listening(&mut self) -> Result<(), SelftestError> {
        let file = self.folder.path().join("var/address");
        let until = Instant::now() + START_MAX;
        loop {
            if !self.is_alive() || Instant::now() > until {
                return Err(SelftestError::Start { log: self.log() });
            }
            match fs::read_to_string(&file) {
                Ok(address) if !address.is_empty() => return Ok(()),
                _ => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    }

    /// Whether its process lives.
    pub(super) fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// The end of what it logged.
    pub(super) fn log(&self) -> String {
        let bytes = fs::read(self.folder.path().join("log")).unwrap_or_default();
        let end = &bytes[bytes.len().saturating_sub(LOG_SHOWN)..];
        String::from_utf8_lossy(end).into_owned()
    }
}

impl Api {
    /// Asks for JSON.
    pub(super) async fn get(&self, path: &str) -> Result<Value, SelftestError> {
        let answer = self.client.get(format!("{}{path}", self.base)).send().await;
        Self::read(path, answer).await
    }

    /// Posts JSON, under an idempotency key if there is one.
    pub(super) async fn post(&self, path: &str, key: Option<&str>) -> Result<Value, SelftestError> {
        let mut request = self
            .client
            .post(format!("{}{path}", self.base))
            .json(&Value::Null);
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        Self::read(path, request.send().await).await
    }

    async fn read(
        path: &str,
        answer: Result<reqwest::Response, reqwest::Error>,
    ) -> Result<Value, SelftestError> {
        let answer = answer.map_err(SelftestError::Request)?;
        let status = answer.status();
        let value: Value = answer.json().await.map_err(SelftestError::Request)?;
        if status.is_success() {
            return Ok(value);
        }
        let said = value["detail"].as_str().unwrap_or("no detail");
        Err(SelftestError::Refused {
            path: path.to_owned(),
            said: format!("{status}: {said}"),
        })
    }

    /// Runs an agent to its end.
    pub(super) async fn run(&self, agent: &str) -> Result<Value, SelftestError> {
        self.post(&format!("/v1/agents/{agent}/runs?wait=60s"), None)
            .await
    }

    /// What the operating system says of it.
    pub(super) fn figures(&self) -> io::Result<Figures> {
        let process = PathBuf::from(format!("/proc/{}", self.process));
        let status = fs::read_to_string(process.join("status"))?;
        let number = |key: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(key))?;
            line.split_whitespace().next()?.parse().ok()
        };
        Ok(Figures {
            rss_kib: number("VmRSS:").unwrap_or_default(),
            threads: number("Threads:").unwrap_or_default(),
            fds: fs::read_dir(process.join("fd"))?.count() as u64,
        })
    }

    /// Everything in the folders that nobody may change, and the names beside them.
    pub(super) fn watched(&self) -> io::Result<BTreeMap<PathBuf, Seen>> {
        let mut seen = BTreeMap::new();
        for entry in fs::read_dir(&self.root)? {
            seen.insert(PathBuf::from(entry?.file_name()), Seen::default());
        }
        for folder in WATCHED {
            look(&self.root.join(folder), &mut seen)?;
        }
        Ok(seen)
    }

    /// Empties a folder.
    pub(super) fn empty(&self, folder: &str) -> io::Result<()> {
        let path = self.root.join(folder);
        fs::remove_dir_all(&path)?;
        fs::create_dir(path)
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // The host and a compile child that it may have: nothing may write into the folder while it is removed.
        if let Some(group) = i32::try_from(self.child.id())
            .ok()
            .and_then(rustix::process::Pid::from_raw)
        {
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Writes everything that the host reads.
fn fill(
    root: &Path,
    program: &Path,
    server: &Server,
    sink: &Server,
    own: u16,
) -> io::Result<BTreeMap<&'static str, String>> {
    for folder in [
        "dist",
        "data/tree",
        "neighbour",
        "outside",
        "ro",
        "quota-bytes",
        "quota-sparse",
        "quota-files",
    ] {
        fs::create_dir_all(root.join(folder))?;
    }
    fs::write(root.join("data/own.txt"), "the guest's own\n")?;
    fs::write(
        root.join("neighbour/note.txt"),
        "what the neighbour knows\n",
    )?;
    fs::write(root.join("outside/passwd"), "nobody may read this\n")?;
    fs::write(root.join("ro/file.txt"), "original\n")?;
    symlink("../../outside", root.join("data/tree/up"))?;
    symlink(root.join("outside"), root.join("data/tree/absolute"))?;
    mknodat(
        CWD,
        root.join("data/fifo"),
        FileType::Fifo,
        Mode::RUSR | Mode::WUSR,
        0,
    )?;

    let mut digests = BTreeMap::new();
    let mut plugin = |name: &'static str, bytes: &[u8]| {
        let digest = hex::encode(digest::digest(&digest::SHA256, bytes));
        digests.insert(name, format!("sha256:{digest}"));
        fs::write(root.join(format!("dist/{name}.wasm")), bytes)
    };
    for (name, bytes) in guests::COMPONENTS {
        plugin(name, bytes)?;
    }
    for (name, bytes) in guests::made(&fs::read(program)?) {
        plugin(name, &bytes)?;
    }
    fs::write(
        root.join("plugins.toml"),
        configuration(server.port, sink.port, own),
    )?;
    Ok(digests)
}

/// The configuration of the attacked host. There are twice as many places as guests that spin at once: what a guest does to the canary is looked at, not the queue.
fn configuration(server: u16, sink: u16, own: u16) -> String {
    let mut text = format!(
        "[host]\nlisten = \"127.0.0.1:{own}\"\nstate = \"var\"\nplugins = \"dist\"\nconcurrency = 16\ncompile_cpu = \"1s\"\n{LIMITS}{OTHERS}"
    );
    for case in CASES {
        // Writing into a string does not fail.
        let _ = writeln!(
            text,
            "[agents.{}]\nplugin = \"{}\"\nconcurrency = 8\n{}",
            case.name, case.guest, case.entry
        );
        if !case.grants.is_empty() {
            let grants = case
                .grants
                .replace("{server}", &server.to_string())
                .replace("{sink}", &sink.to_string())
                .replace("{own}", &own.to_string());
            let _ = writeln!(text, "[agents.{}.grants]\n{grants}", case.name);
        }
    }
    text
}

/// Looks at a folder and everything below it.
fn look(path: &Path, seen: &mut BTreeMap<PathBuf, Seen>) -> io::Result<()> {
    let metadata = fs::symlink_metadata(path)?;
    let kind = metadata.file_type();
    let bytes = if kind.is_file() {
        fs::read(path)?
    } else if kind.is_symlink() {
        fs::read_link(path)?.into_os_string().into_encoded_bytes()
    } else {
        Vec::new()
    };
    seen.insert(
        path.to_path_buf(),
        (
            metadata.mode(),
            metadata.len(),
            metadata.nlink(),
            metadata.mtime(),
            metadata.mtime_nsec(),
            bytes,
        ),
    );
    if kind.is_dir() {
        for entry in fs::read_dir(path)? {
            look(&entry?.path(), seen)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_of_the_attacked_host_has_an_agent_for_each_case() {
        let text = configuration(1001, 1002, 1003);
        assert!(!text.contains("{server}") && !text.contains("{sink}"));
        let parsed: Result<toml::Table, _> = toml::from_str(&text);
        let table = parsed.expect("TOML");
        let agents = table["agents"].as_table().expect("agents");
        assert_eq!(agents.len(), CASES.len() + 4);
    }

    #[test]
    fn a_change_of_a_watched_file_is_seen() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("a"), "one").expect("a file");
        let seen = || {
            let mut seen = BTreeMap::new();
            look(folder.path(), &mut seen).expect("a look");
            seen
        };
        let before = seen();
        assert_eq!(before, seen());
        fs::write(folder.path().join("a"), "two").expect("a file");
        assert_ne!(before, seen());
        fs::write(folder.path().join("b"), "").expect("a file");
        assert_eq!(seen().len(), 3);
    }
}
