//! Compiling in a child process, and the cache of compiled code.
//!
//! Wasmtime's security policy does not cover compiling, so it happens in a child with limits on CPU time and memory, one at a time. The child limits cost; it is
//! no barrier against an exploit of the compiler. A file of the cache is read once, authenticated by an HMAC whose key only this state folder has, and loaded
//! from those same bytes; one that does not pass is deleted and compiled again.

use super::engine::EngineKind;
use super::worker::{Answer, Job};
use super::{InitInput, LoadError, digest};
use anyhow::Context as _;
use aws_lc_rs::{hmac, rand};
use bytes::Bytes;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::Semaphore;

/// Changes when the cache's form or the engine's settings do.
const FORMAT: &str = concat!("3-", env!("CARGO_PKG_VERSION"), "-wasmtime-48.0.8");

/// How many compilations run at once: each may take all cores for a while.
const COMPILATIONS: usize = 1;

/// The wall clock of a compilation, in multiples of its CPU limit: on a busy machine the CPU limit alone would not end it soon.
const WALL_FACTOR: u32 = 3;

/// What the child may say about a failure, in bytes.
const STDERR_MAX_BYTES: usize = 16 * 1024;

/// The work of a compilation is left over when it is this old: no compilation may take so long.
const LEFT_OVER_AFTER: Duration = Duration::from_secs(6 * 3600);

/// What the cache may hold, in bytes; the oldest go first. A CPython component takes about 100 MiB.
const CACHE_MAX_BYTES: u64 = 2 * 1024 * 1024 * 1024;

const TAG_BYTES: usize = 32;

/// Compiled code.
pub struct Compiled {
    /// What the engine loads.
    pub code: Bytes,
}

/// Compiles components and keeps the results.
pub struct Compiler {
    cache: PathBuf,
    work: PathBuf,
    key: hmac::Key,
    worker: PathBuf,
    cpu: Duration,
    memory_bytes: u64,
    turn: Semaphore,
    /// Cache files that did not pass their check, since the start.
    corrupt: AtomicU64,
}

impl Compiler {
    pub(super) fn new(
        state: &Path,
        worker: PathBuf,
        cpu: Duration,
        memory_bytes: u64,
    ) -> anyhow::Result<Self> {
        let cache = state.join("cache");
        let work = state.join("compile");
        for directory in [&cache, &work] {
            fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(directory)
                .with_context(|| {
                    format!("the directory `{}` cannot be made", directory.display())
                })?;
            fs::set_permissions(directory, fs::Permissions::from_mode(0o700))?;
        }
        // What an interrupted compilation left; a younger one may be another process's, at work.
        for entry in fs::read_dir(&work)?.flatten() {
            let age = entry
                .metadata()
                .and_then(|metadata| metadata.modified())
                .map(|modified| modified.elapsed().unwrap_or_default());
            if age.is_ok_and(|age| age > LEFT_OVER_AFTER) {
                let _ = fs::remove_dir_all(entry.path());
            }
        }
        trim(&cache, CACHE_MAX_BYTES)?;
        Ok(Self {
            key: key(&state.join("cache.key"))?,
            cache,
            work,
            worker,
            cpu,
            memory_bytes,
            turn: Semaphore::new(COMPILATIONS),
            corrupt: AtomicU64::new(0),
        })
    }

    /// Cache files that did not pass their check, since the start.
    #[must_use]
    pub fn corrupt(&self) -> u64 {
        self.corrupt.load(Ordering::Relaxed)
    }

    /// Removes the oldest files of the cache until what is left fits; answers how many bytes that is.
    pub(super) fn trim(&self, bytes: u64) -> anyhow::Result<u64> {
        trim(&self.cache, bytes.min(CACHE_MAX_BYTES))
    }

    fn file(&self, component: &str, kind: EngineKind, init: Option<&InitInput>) -> PathBuf {
        let init = init
            .and_then(|init| serde_json::to_vec(init).ok())
            .map_or_else(|| "plain".into(), |init| digest(&init));
        let name = digest(format!("{FORMAT}\n{component}\n{}\n{init}", kind.as_str()).as_bytes());
        self.cache
            .join(format!("{}.bin", name.trim_start_matches("sha256:")))
    }

    /// Whether compiled code is in the cache, for any engine that the component may run on.
    pub(super) fn cached(&self, component: &str, fuel: bool, init: Option<&InitInput>) -> bool {
        let kinds: &[EngineKind] = if fuel {
            &[EngineKind::Fuel]
        } else {
            &[
                EngineKind::Pooled,
                EngineKind::Interpreter,
                EngineKind::OnDemand,
            ]
        };
        kinds
            .iter()
            .any(|kind| self.file(component, *kind, init).exists())
    }

    /// Compiled code from the cache or from the child.
    pub(super) async fn compile(
        &self,
        bytes: &Bytes,
        component: &str,
        kind: EngineKind,
        init: Option<&InitInput>,
    ) -> Result<Compiled, LoadError> {
        let file = self.file(component, kind, init);
        if let Some(code) = self.read(&file) {
            return Ok(Compiled { code });
        }
        let _turn = self
            .turn
            .acquire()
            .await
            .map_err(|error| LoadError::Host(error.into()))?;
        // Somebody else may have compiled it in the meantime.
        if let Some(code) = self.read(&file) {
            return Ok(Compiled { code });
        }
        let code = self.run(bytes, kind, init).await?;
        // A cache that cannot be written costs time at the next start and nothing else.
        if let Err(error) = self.write(&file, &code) {
            tracing::warn!("compiled code could not be kept: {error:#}");
        }
        Ok(Compiled { code })
    }

    fn read(&self, file: &Path) -> Option<Bytes> {
        let bytes = Bytes::from(fs::read(file).ok()?);
        let name = file.file_name()?.to_str()?.as_bytes();
        if bytes.len() > TAG_BYTES {
            let code = bytes.slice(TAG_BYTES..);
            if hmac::verify(&self.key, &signed(name, &code), &bytes[..TAG_BYTES]).is_ok() {
                return Some(code);
            }
        }
        self.corrupt.fetch_add(1, Ordering::Relaxed);
        tracing::warn!(
            "compiled code in `{}` is not what this host wrote; it is deleted and compiled again",
            file.display()
        );
        let _ = fs::remove_file(file);
        None
    }

    fn write(&self, file: &Path, code: &[u8]) -> anyhow::Result<()> {
        let name = file
            .file_name()
            .and_then(|name| name.to_str())
            .context("the cache file has no name")?;
        let tag = hmac::sign(&self.key, &signed(name.as_bytes(), code));
        let mut temporary = tempfile::Builder::new().tempfile_in(&self.cache)?;
        temporary.write_all(tag.as_ref())?;
        temporary.write_all(code)?;
        temporary.as_file().sync_all()?;
        temporary.persist(file)?;
        Ok(())
    }

    async fn run(
        &self,
        bytes: &[u8],
        kind: EngineKind,
        init: Option<&InitInput>,
    ) -> Result<Bytes, LoadError> {
        let host = |error: anyhow::Error| LoadError::Host(error);
        let directory = tempfile::Builder::new()
            .tempdir_in(&self.work)
            .map_err(|error| host(error.into()))?;
        let job = Job {
            component: directory.path().join("component.wasm"),
            output: directory.path().join("code.bin"),
            kind,
            init: init.cloned(),
            cpu_seconds: self.cpu.as_secs().max(1),
            memory_bytes: self.memory_bytes,
        };
        let job_file = directory.path().join("job.json");
        let prepare = || -> anyhow::Result<()> {
            fs::write(&job.component, bytes)?;
            fs::write(&job_file, serde_json::to_vec(&job)?)?;
            Ok(())
        };
        prepare().map_err(host)?;
        let mut child = tokio::process::Command::new(&self.worker)
            .arg("compile-worker")
            .arg(&job_file)
            .env_clear()
            .current_dir(directory.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("`{}` cannot be started", self.worker.display()))
            .map_err(host)?;
        // Open for as long as this process is there: a child of a host that was killed sees its end, and ends.
        let _alive = child.stdin.take();
        let output = tokio::time::timeout(self.cpu * WALL_FACTOR, child.wait_with_output())
            .await
            .map_err(|_| {
                LoadError::Limit(format!(
                    "took longer than {} s",
                    (self.cpu * WALL_FACTOR).as_secs()
                ))
            })?
            .map_err(|error| host(error.into()))?;
        if let Ok(answer) = serde_json::from_slice::<Answer>(&output.stdout) {
            return match answer {
                Answer::Compiled => fs::read(&job.output)
                    .map(Bytes::from)
                    .map_err(|error| host(error.into())),
                Answer::Refused(message) => Err(LoadError::Refused(message)),
                Answer::Init(message) => Err(LoadError::Init(message)),
            };
        }
        Err(self.died(output.status, &output.stderr))
    }

    /// Why a child gave no answer: one of its limits, or a fault.
    fn died(&self, status: std::process::ExitStatus, stderr: &[u8]) -> LoadError {
        use std::os::unix::process::ExitStatusExt as _;
        let said = String::from_utf8_lossy(&stderr[..stderr.len().min(STDERR_MAX_BYTES)]);
        let out_of_memory = said.contains("memory allocation of")
            || said.contains("Cannot allocate memory")
            || said.contains("ENOMEM");
        match status.signal() {
            Some(signal) if signal == rustix::process::Signal::XCPU.as_raw() => LoadError::Limit(
                format!("took more than {} s of CPU time", self.cpu.as_secs()),
            ),
            _ if out_of_memory => LoadError::Limit(format!(
                "needed more than {} bytes of memory",
                self.memory_bytes
            )),
            Some(signal) if signal == rustix::process::Signal::KILL.as_raw() => LoadError::Limit(
                "took more CPU time or memory than it may: the child was killed".into(),
            ),
            _ => LoadError::Refused(format!(
                "the compiler stopped ({status}): {}",
                said.lines().next().unwrap_or("it said nothing")
            )),
        }
    }
}

fn signed(name: &[u8], code: &[u8]) -> Vec<u8> {
    let mut signed = Vec::with_capacity(name.len() + 1 + code.len());
    signed.extend_from_slice(name);
    signed.push(0);
    signed.extend_from_slice(code);
    signed
}

/// Removes the oldest files of the cache until what is left fits.
fn trim(cache: &Path, most: u64) -> anyhow::Result<u64> {
    let mut files: Vec<_> = fs::read_dir(cache)?
        .flatten()
        .filter_map(|entry| {
            let metadata = entry.metadata().ok()?;
            Some((metadata.modified().ok()?, metadata.len(), entry.path()))
        })
        .collect();
    files.sort();
    let mut sum: u64 = files.iter().map(|(_, size, _)| size).sum();
    for (_, size, path) in files {
        if sum <= most {
            break;
        }
        fs::remove_file(&path)?;
        sum -= size;
    }
    Ok(sum)
}

/// The cache's key, made at the first start.
fn key(file: &Path) -> anyhow::Result<hmac::Key> {
    if !file.exists() {
        let mut secret = [0_u8; 32];
        rand::fill(&mut secret).map_err(|_| anyhow::anyhow!("no randomness"))?;
        let mut temporary = tempfile::Builder::new()
            .permissions(fs::Permissions::from_mode(0o600))
            .tempfile_in(file.parent().context("the key file has no directory")?)?;
        temporary.write_all(&secret)?;
        temporary.as_file().sync_all()?;
        // Two processes may race here: the first one wins and both read what it wrote.
        let _ = temporary.persist_noclobber(file);
    }
    let opened = fs::OpenOptions::new()
        .read(true)
        .custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed())
        .open(file)
        .with_context(|| format!("the key file `{}` cannot be read", file.display()))?;
    let mode = opened.metadata()?.permissions().mode() & 0o777;
    anyhow::ensure!(
        mode & 0o077 == 0,
        "the key file `{}` is readable by others (mode {mode:o}): run `chmod 600` on it, or delete it to have all plugins compiled again",
        file.display()
    );
    let secret = fs::read(file)?;
    anyhow::ensure!(
        secret.len() == 32,
        "the key file `{}` is damaged: delete it to have all plugins compiled again",
        file.display()
    );
    Ok(hmac::Key::new(hmac::HMAC_SHA256, &secret))
}
