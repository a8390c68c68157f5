//! Starts the real program on a folder of its own and talks to it as any client does.

use crate::compiled;
use anyhow::{Context as _, bail, ensure};
use reqwest::blocking::{Client, Response};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long anything that is polled for may take on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A component that does the same as another under a digest of its own.
///
/// # Panics
/// When `mark` has more than a hundred bytes.
#[must_use]
pub fn marked(component: &[u8], mark: &str) -> Vec<u8> {
    let length = u8::try_from(mark.len()).expect("a short mark");
    let mut other = component.to_vec();
    // A custom section: its id, its length, the length of its name, and its name.
    other.extend([0, length + 1, length]);
    other.extend(mark.as_bytes());
    other
}

/// The repository's root.
#[must_use]
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Where cargo put things.
pub(crate) fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// The program, as `cargo xtask build` leaves it.
///
/// # Panics
/// When it is missing.
#[must_use]
pub fn binary() -> PathBuf {
    let binary = target().join("release/infinity");
    assert!(
        binary.exists(),
        "`{}` is missing: run `cargo xtask test`",
        binary.display()
    );
    binary
}

/// A built component: `policy`, `validation`, `badge` or `test_guests`.
///
/// # Panics
/// When it is missing.
#[must_use]
pub fn component(name: &str) -> PathBuf {
    let file = target().join(format!("wasm32-wasip2/guest/{name}.wasm"));
    assert!(
        file.exists(),
        "`{}` is missing: run `cargo xtask test`",
        file.display()
    );
    file
}

/// A program of the tests themselves.
///
/// # Panics
/// When it is missing.
#[must_use]
pub fn program(name: &str) -> PathBuf {
    let program = target().join("release").join(name);
    assert!(
        program.exists(),
        "`{}` is missing: run `cargo xtask test`",
        program.display()
    );
    program
}

/// A component that others wrote: an example of the crate `wasip2`, or a program from crates.io.
///
/// # Panics
/// When it is missing.
#[must_use]
pub fn third_party(name: &str) -> PathBuf {
    let place = target().join("third-party");
    let found = [
        place.join(format!("{}/release/examples/{name}.wasm", "wasm32-wasip2")),
        place.join(format!("bin/{name}.wasm")),
    ]
    .into_iter()
    .find(|file| file.exists());
    found.unwrap_or_else(|| {
        panic!(
            "the component `{name}` is missing below `{}`: run `cargo xtask test`",
            place.display()
        )
    })
}

/// The tools of a language, `python` or `js`, as `cargo xtask test` fetches them; none where the machine has no such language, which is said. In CI they have to be there.
///
/// # Panics
/// In CI, when they are missing.
#[must_use]
#[expect(
    clippy::print_stderr,
    reason = "whoever reads the output should know what was not tested"
)]
pub fn language(name: &str) -> Option<PathBuf> {
    let place = target().join("languages").join(name);
    if place.join("made").is_file() {
        return Some(place);
    }
    assert!(
        std::env::var_os("CI").is_none(),
        "the tools of {name} are missing: run `cargo xtask test`"
    );
    eprintln!(
        "skipped: the tools of {name} are missing; install python3-venv, nodejs and npm (a registry comes by apt), then run `cargo xtask test`"
    );
    None
}

/// Runs a program to its end with this on its standard input.
///
/// # Errors
/// When it cannot be started.
pub fn fed(mut command: Command, input: &[u8]) -> anyhow::Result<Output> {
    use std::io::Write as _;
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let mut stdin = child.stdin.take().context("no standard input")?;
    let input = input.to_vec();
    // A program that prints before it has read must not wait for this one.
    let writer = std::thread::spawn(move || {
        let _ = stdin.write_all(&input);
    });
    let output = child.wait_with_output()?;
    let _ = writer.join();
    Ok(output)
}

/// A folder with `plugins.toml` and components, not started.
pub struct Folder {
    directory: TempDir,
}

impl Folder {
    /// Makes a key on the host's own machine, where nobody is asked for one.
    pub fn key(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let made = self.infinity(&[&["--json", "key", "create"], arguments].concat())?;
        let text = String::from_utf8_lossy(&made.stdout);
        ensure!(
            made.status.success(),
            "{text}{}",
            String::from_utf8_lossy(&made.stderr)
        );
        let made: Value = serde_json::from_str(&text)?;
        Ok(made["secret"].as_str().context("a secret")?.to_owned())
    }

    /// An empty folder with a `dist` folder for components.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn new() -> anyhow::Result<Self> {
        let directory = tempfile::Builder::new()
            .prefix("infinity-test-")
            .tempdir()?;
        fs::create_dir(directory.path().join("dist"))?;
        Ok(Self { directory })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Puts a built component in, under another name; with its compiled code, where most tests need it.
    ///
    /// # Errors
    /// When it cannot be copied.
    pub fn component(&self, built: &str, name: &str) -> anyhow::Result<&Self> {
        fs::copy(
            component(built),
            self.path().join(format!("dist/{name}.wasm")),
        )?;
        compiled::put(built, &self.path().join("var"))?;
        Ok(self)
    }

    /// Puts a component in that others wrote.
    ///
    /// # Errors
    /// When it cannot be copied.
    pub fn foreign(&self, built: &str, name: &str) -> anyhow::Result<&Self> {
        fs::copy(
            third_party(built),
            self.path().join(format!("dist/{name}.wasm")),
        )?;
        Ok(self)
    }

    /// Puts bytes in as a component.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn bytes(&self, name: &str, bytes: &[u8]) -> anyhow::Result<&Self> {
        fs::write(self.path().join(format!("dist/{name}.wasm")), bytes)?;
        Ok(self)
    }

    /// Writes `plugins.toml`: `[host]` with a free port, then `rest`.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn config(&self, host: &str, rest: &str) -> anyhow::Result<&Self> {
        let text = format!(
            "[host]\nlisten = \"127.0.0.1:0\"\nstate = \"var\"\nplugins = \"dist\"\n{host}\n{rest}\n"
        );
        fs::write(self.path().join("plugins.toml"), text)?;
        Ok(self)
    }

    /// The program with arguments, in this folder, with an empty environment but for the path.
    #[must_use]
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(binary());
        command
            .args(arguments)
            .current_dir(self.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .stdin(Stdio::null());
        command
    }

    /// Runs the program to its end.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn infinity(&self, arguments: &[&str]) -> anyhow::Result<Output> {
        self.command(arguments)
            .output()
            .context("the program cannot be started")
    }

    /// Serves on a kernel without `openat2`, as far as the program can tell.
    ///
    /// # Errors
    /// As [`Folder::serve`].
    pub fn serve_without_openat2(self) -> anyhow::Result<Host> {
        let wrapper = target().join("release/without_openat2");
        ensure!(
            wrapper.exists(),
            "`{}` is missing: run `cargo xtask test`",
            wrapper.display()
        );
        let plain = self.command(&["serve"]);
        let mut command = Command::new(wrapper);
        command
            .arg(plain.get_program())
            .args(plain.get_args())
            .current_dir(self.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .stdin(Stdio::null());
        Host::start_by(self, command)
    }

    /// Serves with more in the environment.
    ///
    /// # Errors
    /// As [`Folder::serve`].
    pub fn serve_with(self, environment: &[(&str, &str)]) -> anyhow::Result<Host> {
        let mut command = self.command(&["serve"]);
        command.envs(environment.iter().copied());
        Host::start_by(self, command)
    }

    /// Serves with flags.
    ///
    /// # Errors
    /// As [`Folder::serve`].
    pub fn serve_as(self, flags: &[&str]) -> anyhow::Result<Host> {
        let command = self.command(&[&["serve"], flags].concat());
        Host::start_by(self, command)
    }

    /// Serves with a state folder that lies elsewhere, as `plugins.toml` says.
    ///
    /// # Errors
    /// As [`Folder::serve`].
    pub fn serve_on(self, state: &Path) -> anyhow::Result<Host> {
        let command = self.command(&["serve"]);
        Host::start_on(self, command, state)
    }

    /// Serves.
    ///
    /// # Errors
    /// When the program ends or does not answer in time; its output is in the error.
    pub fn serve(self) -> anyhow::Result<Host> {
        Host::start(self)
    }
}

/// The program, serving.
pub struct Host {
    folder: Folder,
    child: Child,
    client: Client,
    base: String,
}

impl Host {
    fn start(folder: Folder) -> anyhow::Result<Self> {
        let command = folder.command(&["serve"]);
        Self::start_by(folder, command)
    }

    fn start_by(folder: Folder, command: Command) -> anyhow::Result<Self> {
        let state = folder.path().join("var");
        Self::start_on(folder, command, &state)
    }

    fn start_on(folder: Folder, mut command: Command, state: &Path) -> anyhow::Result<Self> {
        let log = fs::File::create(folder.path().join("log"))?;
        let address = state.join("address");
        let _ = fs::remove_file(&address);
        let child = command.stdout(log.try_clone()?).stderr(log).spawn()?;
        let client = Client::builder()
            .no_proxy()
            .timeout(Duration::from_secs(120))
            .build()?;
        let mut host = Self {
            folder,
            child,
            client,
            base: String::new(),
        };
        let listening = poll(Duration::from_secs(180), || {
            if let Some(status) = host.child.try_wait().ok().flatten() {
                return Some(Err(anyhow::anyhow!(
                    "it ended with {status}: {}",
                    host.log()
                )));
            }
            let address = fs::read_to_string(&address).ok()?;
            (!address.is_empty()).then_some(Ok(address))
        });
        host.base = format!(
            "http://{}",
            listening.context("it did not listen in time")??
        );
        Ok(host)
    }

    /// Ends the program with SIGKILL and serves again on the same folder.
    ///
    /// # Errors
    /// When it does not start again.
    pub fn kill_and_restart(self) -> anyhow::Result<Self> {
        self.kill_and_restart_with(&[])
    }

    /// The same, with more in the environment.
    ///
    /// # Errors
    /// When it does not start again.
    pub fn kill_and_restart_with(mut self, environment: &[(&str, &str)]) -> anyhow::Result<Self> {
        self.child.kill()?;
        self.child.wait()?;
        let folder = std::mem::replace(&mut self.folder, Folder::new()?);
        drop(self);
        folder.serve_with(environment)
    }

    /// Starts a run whose answer may be cut off by the host's end, under a key by which it is found again.
    pub fn start_doomed(&self, agent: &str, input: &Value, key: &str) {
        let sent = self
            .client
            .post(self.url(&format!("/v1/agents/{agent}/runs")))
            .header("idempotency-key", key)
            .json(input)
            .send();
        drop(sent);
    }

    /// The run of a key, started if it never was, at its end.
    ///
    /// # Errors
    /// When it does not end in time.
    pub fn run_of_key(&self, agent: &str, input: &Value, key: &str) -> anyhow::Result<Value> {
        let answer = self
            .client
            .post(self.url(&format!("/v1/agents/{agent}/runs?wait=90s")))
            .header("idempotency-key", key)
            .json(input)
            .send()?;
        let run: Value = answer.json()?;
        ensure!(run["state"] == "ended", "{run}");
        Ok(run)
    }

    /// How it ended, if it did.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Its folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Its folder, for running the program beside it.
    #[must_use]
    pub fn folder(&self) -> &Folder {
        &self.folder
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Publishes an event, a CloudEvent in JSON.
    ///
    /// # Errors
    /// When it is not taken.
    pub fn publish(&self, event: &Value) -> anyhow::Result<()> {
        let answer = self
            .client()
            .post(self.url("/v1/events"))
            .header("content-type", "application/cloudevents+json")
            .body(event.to_string())
            .send()?;
        ensure!(answer.status().is_success(), "{}", answer.text()?);
        Ok(())
    }

    /// What it printed so far.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.path().join("log")).unwrap_or_default()
    }

    /// The URL of a path.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// The address, `127.0.0.1:PORT`.
    #[must_use]
    pub fn address(&self) -> &str {
        self.base.trim_start_matches("http://")
    }

    /// A client with patience.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// `GET`.
    ///
    /// # Errors
    /// When there is no answer.
    pub fn get(&self, path: &str) -> anyhow::Result<Response> {
        Ok(self.client.get(self.url(path)).send()?)
    }

    /// `GET` with a JSON answer of a success.
    ///
    /// # Errors
    /// When the answer is something else.
    pub fn json(&self, path: &str) -> anyhow::Result<Value> {
        let response = self.get(path)?;
        let status = response.status();
        let text = response.text()?;
        ensure!(status.is_success(), "GET {path}: {status}: {text}");
        Ok(serde_json::from_str(&text)?)
    }

    /// Starts a run and waits for its end.
    ///
    /// # Errors
    /// When it is not started or does not end in time.
    pub fn run(&self, agent: &str, input: &Value) -> anyhow::Result<Value> {
        let response = self
            .client
            .post(self.url(&format!("/v1/agents/{agent}/runs?wait=90s")))
            .json(input)
            .send()?;
        let status = response.status();
        let text = response.text()?;
        ensure!(status.is_success(), "POST run of {agent}: {status}: {text}");
        let run: Value = serde_json::from_str(&text)?;
        ensure!(
            run["state"] == "ended",
            "the run did not end in time: {run}"
        );
        Ok(run)
    }

    /// The report of a run.
    ///
    /// # Errors
    /// When there is none.
    pub fn report(&self, run: &Value) -> anyhow::Result<Value> {
        let Some(id) = run["id"].as_str() else {
            bail!("the run has no id: {run}");
        };
        self.json(&format!("/v1/runs/{id}/report"))
    }

    /// Asks it to stop, waits for its end and gives the folder back as it left it.
    ///
    /// # Errors
    /// When it does not end in time.
    pub fn stop_and_keep(mut self) -> anyhow::Result<(ExitStatus, Folder)> {
        let folder = std::mem::replace(&mut self.folder, Folder::new()?);
        Ok((self.stop()?, folder))
    }

    /// Asks it to stop and waits for its end.
    ///
    /// # Errors
    /// When it does not end in time.
    pub fn stop(mut self) -> anyhow::Result<ExitStatus> {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM)?;
        poll(PATIENCE, || self.child.try_wait().ok().flatten()).context("it did not stop in time")
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Asks again until there is an answer or the time is over.
pub fn poll<T>(patience: Duration, mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    let began = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return Some(answer);
        }
        if began.elapsed() > patience {
            return None;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}
