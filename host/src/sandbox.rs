//! Turns component bytes, a budget and granted capabilities into one contained call.
//!
//! Every call gets a fresh store, which is dropped afterwards whatever happened: a store that trapped is never used again. All limits are in force while the
//! component is instantiated, too. The sandbox knows nothing of agents' schedules, tables or routes. [`Sandbox`] is the only way in, so that worker processes
//! could stand behind it.

pub mod artifacts;
pub mod budget;
pub mod call;
pub mod checks;
pub mod clock;
pub mod code;
mod command;
pub mod compile;
pub mod contract;
mod discard;
pub mod engine;
pub mod events;
pub mod files;
pub mod http;
pub mod inspect;
pub mod key_value;
mod link;
pub mod logging;
pub mod meter;
mod outcome;
mod random;
mod repositories;
pub mod secrets;
pub mod serve;
mod settings;
mod sockets;
pub mod state;
mod streams;
pub mod views;
pub mod worker;

use self::command::Captured;
use crate::model::{Artifact, Frame, Outcome, Usage};
use arc_swap::ArcSwap;
use async_trait::async_trait;
use call::{Answer, Call, GuestReport};
use compile::{Compiled, Compiler};
use contract::{agent, analysis, badge, code as code_world, policy, prepared};
use engine::{EngineKind, Engines};
use http::{EgressGate, GuestHttp, HttpDenial, HttpEvents};
use inspect::{Inspection, World};
use meter::Meter;
use serde::{Deserialize, Serialize};
use serve::{Exchange, Flow, Head};
use state::{Capabilities, RunState};
use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, Mutex, Weak};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;
use wasmtime::component::{Component, InstancePre, Linker};
use wasmtime::{CallHook, Store, UpdateDeadline};
use wasmtime_wasi::p2::bindings::CommandIndices;
use wasmtime_wasi_http::WasiBody;
use wasmtime_wasi_http::p2::bindings::ProxyIndices;

/// Blocking file operations of guests at once. More guests than this wait; a file system that hangs holds no thread of the host's own.
const BLOCKING_THREADS: usize = 64;

/// Fuel between two yields of a run with fuel, about ten milliseconds of work.
const FUEL_YIELD: u64 = 10_000_000;

/// What one call may hand over whatever the output limit is, in bytes: a small output limit must not forbid a large key-value entry. The report is counted against
/// the output limit afterwards.
const CALL_MIN_BYTES: u64 = 4 * 1024 * 1024;

/// The names of the exports that the host calls.
/// Any version of WASI 0.2: wasmtime finds the compatible one.
const COMMAND_EXPORT: &str = "wasi:cli/run@0.2.";
const SNAPSHOT_EXPORT: &str = "infinity:agent/snapshot@0.1.0";
const BADGE_EXPORT: &str = "infinity:agent/badge@0.1.0";
const POLICY_EXPORT: &str = "infinity:agent/policy@0.1.0";
const CODE_EXPORT: &str = "infinity:agent/code@0.1.0";
const ANALYSIS_EXPORT: &str = "infinity:agent/analysis@0.1.0";

/// A file that goes into `init`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InitFile {
    /// Relative, with `/` between its parts.
    pub path: String,
    /// The text.
    pub content: String,
}

/// What a component's `init` gets.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InitInput {
    /// JSON.
    pub settings: String,
    /// In order of their paths.
    pub files: Vec<InitFile>,
}

/// What is to be loaded.
#[derive(Clone)]
pub struct LoadRequest {
    /// The component.
    pub bytes: bytes::Bytes,
    /// Its digest, `sha256:<hex>`.
    pub digest: String,
    /// What inspecting these very bytes said, where somebody did; otherwise loading does.
    pub inspection: Option<Arc<Inspection>>,
    /// Whether its runs count fuel.
    pub fuel: bool,
    /// For a component that exports `init`.
    pub init: Option<Arc<InitInput>>,
    /// Whether a snapshot may be used and made.
    pub snapshot: bool,
}

/// Why a component is refused. All of these are the plugin's or the operator's to mend.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// It is no component that this host runs.
    #[error("{0}")]
    Invalid(#[from] inspect::InspectError),
    /// It imports what the host does not have.
    #[error("the component needs what this host does not have: {}", .0.join(", "))]
    UnknownImports(Vec<String>),
    /// Compiling took more than it may.
    #[error("compiling the component {0}")]
    Limit(String),
    /// The engine refused it.
    #[error("the component cannot be loaded: {0}")]
    Refused(String),
    /// Its own `init` said no.
    #[error("the component's `init` failed: {0}")]
    Init(String),
    /// The host could not do its part.
    #[error("the component could not be compiled")]
    Host(#[source] anyhow::Error),
}

impl LoadError {
    /// The reason in a run's record.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Invalid(_) => "invalid_component",
            Self::UnknownImports(_) => "capability_missing",
            Self::Limit(_) => "load_limit",
            Self::Refused(_) => "artifact_refused",
            Self::Init(_) => "init",
            Self::Host(_) => "host",
        }
    }
}

/// One call's surroundings.
pub struct Job {
    /// Counts and holds what outlives the store.
    pub meter: Arc<Meter>,
    /// What may be reached.
    pub capabilities: Arc<Capabilities>,
    /// Ends the call from outside.
    pub cancel: CancellationToken,
}

/// How a call ended.
pub struct CallEnd {
    /// The answer, or why there is none.
    pub result: Result<Answer, Stop>,
    /// What was used; the caller adds queue and compile time.
    pub usage: Usage,
    /// The files that were made.
    pub artifacts: Vec<Artifact>,
}

/// Why a call gave no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stop {
    /// As the record says it.
    pub outcome: Outcome,
    /// The finer reason.
    pub reason: Option<String>,
    /// One sentence for people.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
    /// A trap's backtrace, innermost first.
    pub backtrace: Vec<Frame>,
}

/// A fault of the host, told apart from a guest's.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct HostFault(pub(crate) String);

/// The only way into the sandbox.
#[async_trait]
pub trait Sandbox: Send + Sync {
    /// Validates, compiles (or takes from the cache) and links a component.
    ///
    /// # Errors
    /// When it is refused; see [`LoadError`].
    async fn load(&self, request: LoadRequest) -> Result<Arc<Loaded>, LoadError>;

    /// Makes the component's snapshot and uses it from then on. Does nothing for a component without `init`, or where it is there.
    ///
    /// # Errors
    /// When `init` fails or the component cannot be snapshotted; runs then call `init` themselves.
    async fn prepare(&self, loaded: &Arc<Loaded>) -> Result<(), LoadError>;

    /// Calls a component once. Never fails: what went wrong is in the end.
    async fn call(&self, loaded: &Arc<Loaded>, call: Call, job: Job) -> CallEnd;

    /// Has a component answer one HTTP request.
    fn serve(&self, loaded: &Arc<Loaded>, request: ::http::Request<WasiBody>, job: Job) -> Serving;
}

/// An answer on its way.
pub struct Serving {
    /// The head. Closed without one when the call ended before; the end says why. Dropping it ends the call.
    pub head: tokio::sync::oneshot::Receiver<Head>,
    /// How the call ended, after the last byte. The call goes on when nobody waits for it.
    pub end: Ending,
}

/// The end of a call.
pub type Ending = Pin<Box<dyn Future<Output = CallEnd> + Send>>;

/// What a store is made for.
enum Work {
    Call(Call),
    Serve(Exchange),
}

/// A component that is ready to be called.
pub struct Loaded {
    /// What it is.
    pub inspection: Arc<Inspection>,
    request: LoadRequest,
    variant: ArcSwap<Variant>,
    notice: Mutex<Option<String>>,
}

/// One compiled form of a component.
struct Variant {
    kind: EngineKind,
    snapshot: bool,
    /// Shared with every agent of the same component.
    pre: Arc<InstancePre<RunState>>,
    agent: Option<agent::AgentIndices>,
    command: Option<CommandIndices>,
    badge: Option<badge::BadgeRendererIndices>,
    policy: Option<policy::PolicyEngineIndices>,
    code: Option<code_world::CodeRunnerIndices>,
    analysis: Option<analysis::CodeAnalyserIndices>,
    prepared: Option<prepared::PreparedIndices>,
    proxy: Option<ProxyIndices>,
}

impl Loaded {
    /// Whether runs start from a snapshot.
    #[must_use]
    pub fn snapshot(&self) -> bool {
        self.variant.load().snapshot
    }

    /// Which engine it runs on.
    #[must_use]
    pub fn engine(&self) -> EngineKind {
        self.variant.load().kind
    }

    /// Something the operator should know, such as why there is no snapshot.
    #[must_use]
    pub fn notice(&self) -> Option<String> {
        self.notice
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .clone()
    }

    fn set_notice(&self, notice: String) {
        *self
            .notice
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner) = Some(notice);
    }

    /// Whether `init` is called before each run.
    #[must_use]
    pub fn init_per_run(&self) -> bool {
        let variant = self.variant.load();
        variant.prepared.is_some() && !variant.snapshot && self.request.init.is_some()
    }
}

/// How the sandbox of this process is set up.
pub struct SandboxOptions {
    /// The state folder: the compile cache and its key are in it.
    pub state: PathBuf,
    /// The program that compiles, called as `PROGRAM compile-worker JOB`: this binary.
    pub worker: PathBuf,
    /// CPU seconds of one compilation.
    pub compile_cpu: Duration,
    /// Memory of one compilation, in bytes.
    pub compile_memory_bytes: u64,
    /// The gate for outgoing requests.
    pub gate: Arc<EgressGate>,
    /// Threads that run guests; 0 for one a core.
    pub threads: usize,
}

/// A component's digest, its engine, and the digest of what its snapshot was made from.
type LinkedKey = (String, EngineKind, Option<String>);

/// The sandbox inside this process.
pub struct LocalSandbox {
    engines: Engines,
    linkers: Mutex<HashMap<EngineKind, Arc<Linker<RunState>>>>,
    /// Linked components that are in use. Code is megabytes, and many agents may run the same plugin.
    linked: Mutex<HashMap<LinkedKey, Weak<InstancePre<RunState>>>>,
    compiler: Compiler,
    gate: Arc<EgressGate>,
    runtime: Option<tokio::runtime::Runtime>,
}

impl LocalSandbox {
    /// Makes engines, cache and the guests' own runtime.
    ///
    /// # Errors
    /// When the state folder cannot be used or the engines cannot be made.
    pub fn new(options: SandboxOptions) -> anyhow::Result<Self> {
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        if options.threads > 0 {
            runtime.worker_threads(options.threads);
        }
        let runtime = runtime
            .thread_name("guest")
            .max_blocking_threads(BLOCKING_THREADS)
            .enable_all()
            .build()?;
        Ok(Self {
            engines: Engines::new().map_err(anyhow::Error::from)?,
            linkers: Mutex::default(),
            linked: Mutex::default(),
            compiler: Compiler::new(
                &options.state,
                options.worker,
                options.compile_cpu,
                options.compile_memory_bytes,
            )?,
            gate: options.gate,
            runtime: Some(runtime),
        })
    }

    /// The engines, for benches and health checks.
    #[must_use]
    pub fn engines(&self) -> &Engines {
        &self.engines
    }

    /// Where guests run.
    #[must_use]
    pub fn handle(&self) -> Option<tokio::runtime::Handle> {
        self.runtime
            .as_ref()
            .map(|runtime| runtime.handle().clone())
    }

    fn linker(&self, kind: EngineKind) -> wasmtime::Result<Arc<Linker<RunState>>> {
        let mut linkers = self
            .linkers
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(linker) = linkers.get(&kind) {
            return Ok(Arc::clone(linker));
        }
        let linker = Arc::new(link::linker(self.engines.get(kind)?)?);
        linkers.insert(kind, Arc::clone(&linker));
        Ok(linker)
    }

    /// Compiles or takes from the cache, and links.
    async fn variant(
        &self,
        request: &LoadRequest,
        inspection: &Inspection,
        init: Option<&InitInput>,
    ) -> Result<(Variant, Option<String>), LoadError> {
        let first = if request.fuel {
            EngineKind::Fuel
        } else {
            preferred(inspection)
        };
        match self.compiled(request, inspection, init, first).await {
            Ok(variant) => Ok((variant, None)),
            Err(LoadError::Refused(why)) if !request.fuel => {
                let variant = self
                    .compiled(request, inspection, init, EngineKind::OnDemand)
                    .await?;
                Ok((
                    variant,
                    Some(format!("runs outside the pool, more slowly: {why}")),
                ))
            }
            Err(error) => Err(error),
        }
    }

    async fn compiled(
        &self,
        request: &LoadRequest,
        inspection: &Inspection,
        init: Option<&InitInput>,
        kind: EngineKind,
    ) -> Result<Variant, LoadError> {
        let made_from = init
            .and_then(|init| serde_json::to_vec(init).ok())
            .map(|bytes| digest(&bytes));
        let key = (request.digest.clone(), kind, made_from);
        let refused = |error: wasmtime::Error| LoadError::Refused(format!("{error:#}"));
        let there = self.linked().get(&key).and_then(Weak::upgrade);
        let pre = match there {
            Some(pre) => pre,
            None => {
                let Compiled { code } = self
                    .compiler
                    .compile(&request.bytes, &request.digest, kind, init)
                    .await?;
                let fault = |error: wasmtime::Error| LoadError::Host(error.into());
                let engine = self.engines.get(kind).map_err(fault)?;
                let component = deserialize(engine, &code).map_err(refused)?;
                let linker = self.linker(kind).map_err(fault)?;
                let pre = Arc::new(linker.instantiate_pre(&component).map_err(refused)?);
                let mut linked = self.linked();
                linked.retain(|_, pre| pre.strong_count() > 0);
                linked.insert(key, Arc::downgrade(&pre));
                pre
            }
        };
        Variant::new(kind, init.is_some(), pre, inspection).map_err(refused)
    }

    fn linked(&self) -> std::sync::MutexGuard<'_, HashMap<LinkedKey, Weak<InstancePre<RunState>>>> {
        self.linked
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Drop for LocalSandbox {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

#[expect(
    unsafe_code,
    reason = "wasmtime loads compiled code only so; these bytes passed the cache's HMAC or came from the host's own compile child"
)]
fn deserialize(engine: &wasmtime::Engine, code: &[u8]) -> wasmtime::Result<Component> {
    // SAFETY: `code` was produced by `Engine::precompile_component` of this very version, in the compile child, and reached this call either straight from it
    // or through the cache, whose HMAC over the same bytes was checked. Nobody else can write bytes that pass.
    unsafe { Component::deserialize(engine, code) }
}

/// Compiles a component and links it, in this process: what loading does but for the process of its own and the cache. Nothing of it runs.
#[cfg(any(test, fuzzing))]
pub(crate) fn linked_here(bytes: &[u8]) -> wasmtime::Result<()> {
    use std::sync::OnceLock;
    static ENGINE: OnceLock<(wasmtime::Engine, wasmtime::component::Linker<RunState>)> =
        OnceLock::new();
    let (engine, linker) = match ENGINE.get() {
        Some(made) => made,
        None => {
            let engine = wasmtime::Engine::new(&engine::config(EngineKind::OnDemand, 0))?;
            let linker = link::linker(&engine)?;
            ENGINE.get_or_init(|| (engine, linker))
        }
    };
    linker.instantiate_pre(&Component::new(engine, bytes)?)?;
    Ok(())
}

impl Variant {
    fn new(
        kind: EngineKind,
        snapshot: bool,
        pre: Arc<InstancePre<RunState>>,
        inspection: &Inspection,
    ) -> wasmtime::Result<Self> {
        let exports = |name: &str| inspection.exports.iter().any(|export| export == name);
        Ok(Self {
            kind,
            snapshot,
            command: inspection
                .exports
                .iter()
                .any(|export| export.starts_with(COMMAND_EXPORT))
                .then(|| CommandIndices::new(&pre))
                .transpose()?,
            agent: exports("run")
                .then(|| agent::AgentIndices::new(&pre))
                .transpose()?,
            badge: exports(BADGE_EXPORT)
                .then(|| badge::BadgeRendererIndices::new(&pre))
                .transpose()?,
            policy: exports(POLICY_EXPORT)
                .then(|| policy::PolicyEngineIndices::new(&pre))
                .transpose()?,
            code: exports(CODE_EXPORT)
                .then(|| code_world::CodeRunnerIndices::new(&pre))
                .transpose()?,
            analysis: exports(ANALYSIS_EXPORT)
                .then(|| analysis::CodeAnalyserIndices::new(&pre))
                .transpose()?,
            proxy: inspection
                .worlds
                .contains(&World::Proxy)
                .then(|| ProxyIndices::new(&pre))
                .transpose()?,
            prepared: exports(SNAPSHOT_EXPORT)
                .then(|| prepared::PreparedIndices::new(&pre))
                .transpose()?,
            pre,
        })
    }
}

/// The engine that suits a component without fuel.
fn preferred(inspection: &Inspection) -> EngineKind {
    if inspection.worlds.contains(&World::CodeRunner) {
        EngineKind::Interpreter
    } else {
        EngineKind::Pooled
    }
}

#[async_trait]
impl Sandbox for LocalSandbox {
    async fn load(&self, request: LoadRequest) -> Result<Arc<Loaded>, LoadError> {
        // Many agents share a component, which looks the same to each.
        let inspection = match &request.inspection {
            Some(inspection) => Arc::clone(inspection),
            None => {
                let bytes = request.bytes.clone();
                tokio::task::spawn_blocking(move || inspect::inspect(&bytes))
                    .await
                    .map_err(|error| LoadError::Host(error.into()))??
                    .into()
            }
        };
        let unknown = inspect::unknown_imports(&inspection.imports);
        if !unknown.is_empty() {
            return Err(LoadError::UnknownImports(unknown));
        }
        let wants_snapshot = request.snapshot
            && inspection
                .exports
                .iter()
                .any(|export| export == SNAPSHOT_EXPORT);
        let init = request.init.clone().filter(|_| wants_snapshot);
        // A snapshot that is in the cache is used at once; otherwise the plain form serves until it is made.
        let cached = match &init {
            Some(init)
                if self
                    .compiler
                    .cached(&request.digest, request.fuel, Some(init)) =>
            {
                Some(init.as_ref())
            }
            _ => None,
        };
        let (variant, notice) = match self.variant(&request, &inspection, cached).await {
            Err(_) if cached.is_some() => self.variant(&request, &inspection, None).await?,
            other => other?,
        };
        Ok(Arc::new(Loaded {
            inspection,
            variant: ArcSwap::from_pointee(variant),
            notice: Mutex::new(notice),
            request,
        }))
    }

    async fn prepare(&self, loaded: &Arc<Loaded>) -> Result<(), LoadError> {
        if loaded.snapshot() || !loaded.request.snapshot || loaded.variant.load().prepared.is_none()
        {
            return Ok(());
        }
        let Some(init) = loaded.request.init.clone() else {
            return Ok(());
        };
        match self
            .variant(&loaded.request, &loaded.inspection, Some(&init))
            .await
        {
            Ok((variant, notice)) => {
                loaded.variant.store(Arc::new(variant));
                if let Some(notice) = notice {
                    loaded.set_notice(notice);
                }
                Ok(())
            }
            Err(error) => {
                loaded.set_notice(format!("runs without a snapshot: {error}"));
                Err(error)
            }
        }
    }

    async fn call(&self, loaded: &Arc<Loaded>, call: Call, job: Job) -> CallEnd {
        self.start(loaded, Work::Call(call), job).await
    }

    fn serve(&self, loaded: &Arc<Loaded>, request: ::http::Request<WasiBody>, job: Job) -> Serving {
        let (sender, head) = tokio::sync::oneshot::channel();
        let exchange = Exchange {
            request,
            head: sender,
        };
        let end = self.start(loaded, Work::Serve(exchange), job);
        Serving { head, end }
    }
}

impl LocalSandbox {
    /// Instances that the pool holds, and that it could hold.
    #[must_use]
    pub fn pool(&self) -> (u64, u64) {
        self.engines.pool()
    }

    /// Removes the oldest compiled code until what is left fits. What is in use stays in memory; it is compiled again at the next start.
    ///
    /// # Errors
    /// When a file cannot be removed.
    pub fn trim_cache(&self, bytes: u64) -> anyhow::Result<u64> {
        self.compiler.trim(bytes)
    }

    fn start(&self, loaded: &Arc<Loaded>, work: Work, job: Job) -> Ending {
        let stopped = |stop| -> Ending { Box::pin(std::future::ready(CallEnd::stopped(stop))) };
        let Some(runtime) = &self.runtime else {
            return stopped(Stop::host("the sandbox is shut down"));
        };
        let variant = loaded.variant.load_full();
        let engine = match self.engines.get(variant.kind) {
            Ok(engine) => engine.clone(),
            Err(error) => return stopped(Stop::host(&format!("{error:#}"))),
        };
        let running = self.engines.running();
        let init = loaded
            .request
            .init
            .clone()
            .filter(|_| variant.prepared.is_some() && !variant.snapshot);
        let gate = Arc::clone(&self.gate);
        let task = runtime.spawn(async move {
            let end = contained(engine, variant, init, work, job, gate).await;
            drop(running);
            end
        });
        Box::pin(async move {
            match task.await {
                Ok(end) => end,
                Err(error) => CallEnd::stopped(Stop::host(&format!("the host panicked: {error}"))),
            }
        })
    }
}

impl CallEnd {
    /// An end without a beginning.
    #[must_use]
    pub fn stopped(stop: Stop) -> Self {
        Self {
            result: Err(stop),
            usage: Usage::default(),
            artifacts: Vec::new(),
        }
    }
}

/// Lists what the egress gate refuses.
struct ToMeter(Arc<Meter>);

#[async_trait]
impl HttpEvents for ToMeter {
    async fn leaving(&self) {
        self.0.row().await;
    }

    fn denied(&self, denial: HttpDenial) {
        self.0.deny(
            "http",
            format!("{} {}", denial.method, denial.url),
            denial.reason.to_string(),
            denial.allow,
        );
    }

    fn reaches(&self, method: &str, host: &str, credential: Option<&str>) {
        self.0.reach("http", &format!("{method} {host}"));
        if let Some(label) = credential {
            self.0.reach("secret", &format!("{label} to {host}"));
        }
    }

    fn watches(&self) -> bool {
        self.0.is_watched()
    }

    fn exchanged(&self, call: meter::Outside) {
        self.0.went_outside(call);
    }

    fn limit(&self, what: &'static str) {
        self.0.refuse(
            crate::model::Limit::Http,
            format!("the limit `{what}` was reached"),
        );
    }
}

/// Runs one call in a store of its own, within all limits.
async fn contained(
    engine: wasmtime::Engine,
    variant: Arc<Variant>,
    init: Option<Arc<InitInput>>,
    work: Work,
    job: Job,
    gate: Arc<EgressGate>,
) -> CallEnd {
    let began = Instant::now();
    let Job {
        meter,
        capabilities,
        cancel,
    } = job;
    let artifacts: Arc<Mutex<BTreeMap<String, Artifact>>> = Arc::default();
    let guest_http = GuestHttp::new(
        gate,
        Arc::clone(&capabilities.http),
        http_limits(&meter),
        Arc::new(ToMeter(Arc::clone(&meter))),
    );
    let http_shared = guest_http.clone();
    let snapshot = variant.snapshot;
    let timing = Arc::new(Mutex::new(Timing::default()));
    let inner = inside(
        engine,
        variant,
        init,
        work,
        Arc::clone(&meter),
        capabilities,
        Arc::clone(&artifacts),
        guest_http,
        Arc::clone(&timing),
    );
    let mut metered = Box::pin(Metered {
        meter: Arc::clone(&meter),
        inner: Box::pin(inner),
    });
    let time = Duration::from_millis(meter.budget.time_ms);
    // Whichever comes first, the future and with it the store is not polled again, and is dropped.
    let result = tokio::select! {
        biased;
        () = cancel.cancelled() => Err(Stop::cancelled()),
        result = tokio::time::timeout(time, &mut metered) => match result {
            Ok(Ok(answer)) => check_output(answer, &meter),
            Ok(Err(error)) => Err(outcome::stop(&error, &meter)),
            Err(_) => Err(outcome::out_of_time(&meter)),
        },
    };
    if cancel.is_cancelled() {
        discard::later(metered);
    } else {
        drop(metered);
    }
    meter.finish_streams();
    let mut usage = Usage {
        snapshot,
        ..Usage::default()
    };
    meter.fill(&mut usage);
    let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    let timing = *timing
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    usage.wall_us = micros(began.elapsed());
    usage.instantiate_us = micros(timing.instantiate);
    usage.fuel = timing.fuel;
    usage.guest_us = usage
        .wall_us
        .saturating_sub(usage.instantiate_us)
        .saturating_sub(usage.host_calls_us);
    let http_usage = http_shared.usage();
    usage.http_requests = u64::from(http_usage.requests);
    usage.http_sent_bytes = http_usage.request_bytes;
    usage.http_received_bytes = http_usage.response_bytes;
    let artifacts = std::mem::take(
        &mut *artifacts
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner),
    );
    CallEnd {
        result,
        usage,
        artifacts: artifacts.into_values().collect(),
    }
}

fn http_limits(meter: &Meter) -> http::HttpLimits {
    http::HttpLimits {
        requests: meter.budget.http_requests,
        request_bytes: meter.budget.http_sent_bytes,
        response_bytes: meter.budget.http_received_bytes,
        total_ms: meter.budget.time_ms,
        ..http::HttpLimits::default()
    }
}

#[derive(Clone, Copy, Default)]
struct Timing {
    instantiate: Duration,
    fuel: Option<u64>,
}

#[expect(
    clippy::too_many_arguments,
    reason = "everything a store needs, named once"
)]
async fn inside(
    engine: wasmtime::Engine,
    variant: Arc<Variant>,
    init: Option<Arc<InitInput>>,
    work: Work,
    meter: Arc<Meter>,
    capabilities: Arc<Capabilities>,
    artifacts: Arc<Mutex<BTreeMap<String, Artifact>>>,
    guest_http: GuestHttp,
    timing: Arc<Mutex<Timing>>,
) -> wasmtime::Result<Answer> {
    let began = Instant::now();
    // A program speaks through its standard streams.
    let program = match &work {
        Work::Call(Call::Run(invocation)) if variant.command.is_some() => Some(Program {
            input: command::input(invocation).into(),
            output: Captured::new(Arc::clone(&meter)),
            errors: None,
        }),
        Work::Call(Call::Code(call)) => Some(Program {
            input: call.input.clone(),
            output: call.heard.stdout.clone(),
            errors: Some(call.heard.stderr.clone()),
        }),
        _ => None,
    };
    let link = match &work {
        Work::Call(Call::Code(call)) => Some(code::Link::new(call)),
        _ => None,
    };
    let state = RunState::new(
        capabilities,
        Arc::clone(&meter),
        artifacts,
        guest_http,
        program.as_ref(),
        link,
    )?;
    let mut store = Store::new(&engine, state);
    guard(&mut store, &meter, variant.kind)?;
    let instance = variant.pre.instantiate_async(&mut store).await;
    let set = |fuel: Option<u64>, instantiate: Option<Duration>| {
        let mut timing = timing
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        timing.fuel = fuel.or(timing.fuel);
        timing.instantiate = instantiate.unwrap_or(timing.instantiate);
    };
    set(None, Some(began.elapsed()));
    let instance = instance?;
    let flow = match (work, &program, &variant.command) {
        (Work::Call(Call::Run(_)), Some(program), Some(indices)) => {
            execute(&mut store, indices, &instance, program)
                .await
                .map(Flow::Ended)
        }
        (Work::Call(call), ..) => answer(&mut store, &variant, &instance, init, call)
            .await
            .map(Flow::Ended),
        (Work::Serve(exchange), ..) => {
            respond(&mut store, &variant, &instance, init, exchange, &meter).await
        }
    };
    if variant.kind == EngineKind::Fuel {
        let left = store.get_fuel().unwrap_or(0);
        set(
            meter.budget.fuel.map(|fuel| fuel.saturating_sub(left)),
            None,
        );
    }
    // A slow client must not hold the guest's memory and its slot in the pool. An answer that was never given ends here, too.
    drop(store);
    match flow? {
        Flow::Ended(answer) => Ok(answer),
        Flow::Rest(rest) => rest.await,
    }
}

/// Has a component answer a request.
async fn respond(
    store: &mut Store<RunState>,
    variant: &Variant,
    instance: &wasmtime::component::Instance,
    init: Option<Arc<InitInput>>,
    exchange: Exchange,
    meter: &Arc<Meter>,
) -> wasmtime::Result<Flow> {
    if let (Some(init), Some(indices)) = (init, &variant.prepared) {
        let prepared = indices.load(&mut *store, instance)?;
        if let Err(message) = initialise(&prepared, store, &init).await? {
            return Ok(Flow::Ended(Answer::Error(format!(
                "`init` failed: {message}"
            ))));
        }
    }
    let indices = variant.proxy.as_ref().ok_or_else(|| {
        wasmtime::Error::from(outcome::WrongWorld(
            "the component has no `wasi:http/incoming-handler` export".into(),
        ))
    })?;
    serve::handle(store, indices, instance, exchange, Arc::clone(meter)).await
}

/// Puts all limits on a store before anything of the guest runs.
fn guard(
    store: &mut Store<RunState>,
    meter: &Arc<Meter>,
    kind: EngineKind,
) -> wasmtime::Result<()> {
    store.limiter(RunState::limiter);
    let mut at_once = meter.budget.output_bytes.max(CALL_MIN_BYTES);
    if store.data().code.is_some() {
        at_once = at_once.max(code::MESSAGE_MAX_BYTES as u64 + CALL_MIN_BYTES);
    }
    store.set_hostcall_fuel(usize::try_from(at_once).unwrap_or(usize::MAX));
    store.set_max_component_handles(meter.budget.handles as usize);
    if kind == EngineKind::Fuel {
        store.set_fuel(meter.budget.fuel.unwrap_or(0))?;
        store.fuel_async_yield_interval(Some(FUEL_YIELD))?;
    }
    store.set_epoch_deadline(1);
    let checked = Arc::clone(meter);
    store.epoch_deadline_callback(move |_| {
        checked.forget_interruption();
        checked.check_cpu()?;
        Ok(UpdateDeadline::YieldCustom(
            1,
            Box::pin(tokio::task::yield_now()),
        ))
    });
    let hooked = Arc::clone(meter);
    store.call_hook(move |_, hook| match hook {
        CallHook::CallingHost => hooked.enter_host(),
        CallHook::ReturningFromHost => {
            hooked.leave_host();
            Ok(())
        }
        CallHook::CallingWasm | CallHook::ReturningFromWasm => Ok(()),
    });
    Ok(())
}

/// A program's standard streams.
struct Program {
    input: bytes::Bytes,
    output: Captured,
    /// Without it, standard error is the run's log.
    errors: Option<Captured>,
}

/// Runs a program to its end.
async fn execute(
    store: &mut Store<RunState>,
    indices: &CommandIndices,
    instance: &wasmtime::component::Instance,
    program: &Program,
) -> wasmtime::Result<Answer> {
    let command = indices.load(&mut *store, instance)?;
    let code = match command.wasi_cli_run().call_run(&mut *store).await {
        Ok(Ok(())) => 0,
        Ok(Err(())) => 1,
        Err(error) => match error.downcast_ref::<wasmtime_wasi::I32Exit>() {
            Some(exit) => exit.0,
            None => return Err(error),
        },
    };
    Ok(command::report(code, &program.output))
}

async fn answer(
    store: &mut Store<RunState>,
    variant: &Variant,
    instance: &wasmtime::component::Instance,
    init: Option<Arc<InitInput>>,
    call: Call,
) -> wasmtime::Result<Answer> {
    if let (Some(init), Some(indices)) = (init, &variant.prepared) {
        let prepared = indices.load(&mut *store, instance)?;
        if let Err(message) = initialise(&prepared, store, &init).await? {
            return Ok(Answer::Error(format!("`init` failed: {message}")));
        }
    }
    let missing = |world: &str| {
        wasmtime::Error::from(outcome::WrongWorld(format!(
            "the component has no {world} export"
        )))
    };
    match call {
        Call::Run(invocation) => {
            let indices = variant.agent.as_ref().ok_or_else(|| missing("`run`"))?;
            let agent = indices.load(&mut *store, instance)?;
            let answer = agent.call_run(&mut *store, &(&invocation).into()).await?;
            Ok(match answer {
                Ok(report) => Answer::Report(Box::new(report.into())),
                Err(failure) => Answer::Failure(failure.into()),
            })
        }
        Call::Render(request) => {
            let indices = variant.badge.as_ref().ok_or_else(|| missing("`badge`"))?;
            let badge = indices.load(&mut *store, instance)?;
            let answer = badge
                .infinity_agent_badge()
                .call_render(&mut *store, &(&request).into())
                .await?;
            Ok(match answer {
                Ok(image) => Answer::Badge(image.into()),
                Err(message) => Answer::Error(message),
            })
        }
        Call::Evaluate { package, input } => {
            let indices = variant.policy.as_ref().ok_or_else(|| missing("`policy`"))?;
            let policy = indices.load(&mut *store, instance)?;
            let answer = policy
                .infinity_agent_policy()
                .call_evaluate(&mut *store, &package, &input)
                .await?;
            Ok(match answer {
                Ok(decision) => Answer::Decision(decision.into()),
                Err(error) => Answer::Error(call::policy_error(&error)),
            })
        }
        Call::Query { query, input } => {
            let indices = variant.policy.as_ref().ok_or_else(|| missing("`policy`"))?;
            let policy = indices.load(&mut *store, instance)?;
            let answer = policy
                .infinity_agent_policy()
                .call_query(&mut *store, &query, &input)
                .await?;
            Ok(match answer {
                Ok(result) => Answer::Result(result),
                Err(error) => Answer::Error(call::policy_error(&error)),
            })
        }
        Call::TestPolicies { filter } => {
            let indices = variant.policy.as_ref().ok_or_else(|| missing("`policy`"))?;
            let policy = indices.load(&mut *store, instance)?;
            let answer = policy
                .infinity_agent_policy()
                .call_test(&mut *store, filter.as_deref())
                .await?;
            Ok(match answer {
                Ok(tests) => Answer::Tests(tests.into_iter().map(Into::into).collect()),
                Err(error) => Answer::Error(call::policy_error(&error)),
            })
        }
        Call::Code(call) => code::run(store, variant.code.as_ref(), instance, &call).await,
        Call::Analyse { files, local } => {
            let indices = variant
                .analysis
                .as_ref()
                .ok_or_else(|| missing("`analysis`"))?;
            let analyser = indices.load(&mut *store, instance)?;
            let files: Vec<_> = files.into_iter().map(code::file).collect();
            let findings = analyser
                .infinity_agent_analysis()
                .call_analyse(&mut *store, &files, &local)
                .await?;
            Ok(Answer::Findings(
                findings.into_iter().map(call::finding).collect(),
            ))
        }
    }
}

/// Calls `init` of a component.
async fn initialise(
    prepared: &prepared::Prepared,
    store: &mut Store<RunState>,
    input: &InitInput,
) -> wasmtime::Result<Result<(), String>> {
    use prepared::exports::infinity::agent::snapshot;
    let input = snapshot::InitInput {
        settings: input.settings.clone(),
        files: input
            .files
            .iter()
            .map(|file| snapshot::File {
                path: file.path.clone(),
                content: file.content.clone(),
            })
            .collect(),
    };
    prepared
        .infinity_agent_snapshot()
        .call_init(store, &input)
        .await
}

/// The most findings of one report; more would not be read.
const FINDINGS_MAX: usize = 10_000;

/// The most effects of one report.
const EFFECTS_MAX: usize = 1_000;

/// Counts a report against the output limit. What the lifting let through is bounded by the same number already.
fn check_output(answer: Answer, meter: &Meter) -> Result<Answer, Stop> {
    let Answer::Report(report) = &answer else {
        return Ok(answer);
    };
    let over = |message: String| {
        let _ = meter.stop(crate::model::Limit::Output, message);
        Err(outcome::stop(&wasmtime::Error::msg("output"), meter))
    };
    if report.findings.len() > FINDINGS_MAX {
        return over(format!(
            "the report has {} findings, {FINDINGS_MAX} are allowed",
            report.findings.len()
        ));
    }
    if report.effects.len() > EFFECTS_MAX {
        return over(format!(
            "the report has {} effects, {EFFECTS_MAX} are allowed",
            report.effects.len()
        ));
    }
    if !meter.charge_output(size(report)) {
        return over(format!(
            "report and artifacts together are larger than {} bytes",
            meter.budget.output_bytes
        ));
    }
    Ok(answer)
}

/// The bytes of a report's texts.
fn size(report: &GuestReport) -> u64 {
    let findings: usize = report
        .findings
        .iter()
        .map(|finding| {
            finding.rule.len()
                + finding.message.len()
                + finding.help.as_ref().map_or(0, String::len)
                + finding
                    .location
                    .as_ref()
                    .map_or(0, |location| location.path.len())
        })
        .sum();
    let effects: usize = report
        .effects
        .iter()
        .map(|effect| effect.to_string().len())
        .sum();
    (report.summary.len() + report.output.as_ref().map_or(0, String::len) + findings + effects)
        as u64
}

/// Measures the CPU time of a future over its polls.
struct Metered<F> {
    meter: Arc<Meter>,
    inner: Pin<Box<F>>,
}

impl<F: Future> Future for Metered<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        self.meter.begin_poll();
        let poll = self.inner.as_mut().poll(context);
        self.meter.end_poll();
        poll
    }
}

/// `sha256:<hex>` of bytes.
#[must_use]
pub fn digest(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
    let mut text = String::with_capacity(71);
    text.push_str("sha256:");
    for byte in hash.as_ref() {
        let _ = write!(text, "{byte:02x}");
    }
    text
}
