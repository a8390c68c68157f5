//! The compile child: one component in, compiled code out, within limits that the child puts on itself before it reads a byte of the component.
//!
//! A component that exports `init` is snapshotted here: instrumented by Wizer, instantiated with everything denied, initialised, and its memory written back into
//! the component, which is then compiled. Whatever panics on an odd guest ends this process only.

use super::engine::{EngineKind, config};
use super::http::{EgressGate, GateSettings, GuestHttp, HttpEvents};
use super::meter::Meter;
use super::state::{Capabilities, RunState};
use super::{InitInput, budget::RunBudget, contract::prepared, link};
use anyhow::Context as _;
use rustix::process::{Resource, Rlimit, setrlimit};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use wasmtime::component::{Component, Instance, Lift, WasmList};
use wasmtime::{Engine, Store};
use wasmtime_wizer::{ComponentInstanceState, Wizer};

/// What the child is to do.
#[derive(Debug, Serialize, Deserialize)]
pub struct Job {
    /// Where the component is.
    pub component: PathBuf,
    /// Where the code goes.
    pub output: PathBuf,
    /// For which engine.
    pub kind: EngineKind,
    /// Makes a snapshot.
    pub init: Option<InitInput>,
    /// CPU time, in seconds.
    pub cpu_seconds: u64,
    /// Memory, in bytes.
    pub memory_bytes: u64,
}

/// What the child says on standard output.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// The code is at [`Job::output`].
    Compiled,
    /// The engine refused the component.
    Refused(String),
    /// The component's `init` said no.
    Init(String),
}

/// Does the job in the file.
///
/// # Errors
/// When the job cannot be read or the code cannot be written; a component that is refused is an answer.
pub fn work(job: &Path) -> anyhow::Result<Answer> {
    let job: Job = serde_json::from_slice(&std::fs::read(job).context("the job cannot be read")?)?;
    let limit = |resource, value| {
        setrlimit(
            resource,
            Rlimit {
                current: Some(value),
                maximum: Some(value),
            },
        )
    };
    // Data rather than address space: the engine reserves much and uses little.
    limit(Resource::Data, job.memory_bytes)?;
    limit(Resource::Core, 0)?;
    setrlimit(
        Resource::Cpu,
        Rlimit {
            current: Some(job.cpu_seconds),
            maximum: Some(job.cpu_seconds + 1),
        },
    )?;
    let mut bytes = std::fs::read(&job.component)?;
    if let Some(init) = &job.init {
        match snapshot(&bytes, init) {
            Ok(Ok(snapshotted)) => bytes = snapshotted,
            Ok(Err(message)) => return Ok(Answer::Init(message)),
            Err(error) => {
                return Ok(Answer::Refused(format!(
                    "it cannot be snapshotted: {error:#}"
                )));
            }
        }
    }
    let compiled =
        Engine::new(&config(job.kind, 1)).and_then(|engine| engine.precompile_component(&bytes));
    match compiled {
        Ok(code) => {
            std::fs::write(&job.output, code)?;
            Ok(Answer::Compiled)
        }
        Err(error) => Ok(Answer::Refused(format!("{error:#}"))),
    }
}

/// A component whose memory is as `init` left it, or what `init` said.
fn snapshot(bytes: &[u8], init: &InitInput) -> wasmtime::Result<Result<Vec<u8>, String>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let mut wizer = Wizer::new();
    wizer.keep_init_func(true);
    let (context, instrumented) = wizer.instrument_component(bytes)?;
    let engine = Engine::new(&config(EngineKind::OnDemand, 0))?;
    let component = Component::new(&engine, &instrumented)?;
    let linker = link::linker(&engine)?;
    let budget = RunBudget {
        memory_bytes: RunBudget::MAXIMUM.memory_bytes,
        table_elements: RunBudget::MAXIMUM.table_elements,
        instances: RunBudget::MAXIMUM.instances,
        host_calls: RunBudget::MAXIMUM.host_calls,
        log_bytes: 0,
        ..RunBudget::default()
    };
    let meter = Arc::new(Meter::new(budget));
    let nothing = GuestHttp::new(
        Arc::new(EgressGate::new(GateSettings::default()).map_err(wasmtime::Error::from)?),
        Arc::from([]),
        super::http_limits(&meter),
        Arc::new(NoEvents),
    );
    let state = RunState::new(
        Arc::new(Capabilities::default()),
        Arc::clone(&meter),
        Arc::default(),
        nothing,
        None,
        None,
    )?;
    let mut store = Store::new(&engine, state);
    store.limiter(RunState::limiter);
    // The process' own CPU limit ends an endless `init`.
    store.set_epoch_deadline(u64::MAX / 2);
    // Wizer reads whole memories through calls, so the bytes of one call are not bounded here; the process' memory is.
    store.set_hostcall_fuel(usize::MAX);
    runtime.block_on(async {
        let instance = linker.instantiate_async(&mut store, &component).await?;
        let prepared = prepared::Prepared::new(&mut store, &instance)?;
        if let Err(message) = super::initialise(&prepared, &mut store, init).await? {
            return Ok(Err(message));
        }
        let mut access = Access { store, instance };
        let bytes = wizer.snapshot_component(&context, &mut access).await?;
        Ok(Ok(bytes))
    })
}

struct NoEvents;

impl HttpEvents for NoEvents {
    fn denied(&self, _: super::http::HttpDenial) {}
    fn limit(&self, _: &'static str) {}
}

/// How Wizer reads globals and memories: through exports that its instrumentation added.
struct Access {
    store: Store<RunState>,
    instance: Instance,
}

impl Access {
    /// Wizer's interface has no errors: what fails here is a bug of the instrumentation and ends the child.
    #[expect(
        clippy::expect_used,
        reason = "runs in the compile child, where a panic ends that process and is reported as a refusal"
    )]
    async fn call<R, T>(
        &mut self,
        instance: &str,
        func: &str,
        with: impl FnOnce(&mut Store<RunState>, R) -> T,
    ) -> T
    where
        R: Lift + Send + Sync + 'static,
    {
        let instance = self
            .instance
            .get_export_index(&mut self.store, None, instance)
            .expect("the instrumented instance is exported");
        let func = self
            .instance
            .get_export_index(&mut self.store, Some(&instance), func)
            .expect("the instrumented function is exported");
        let func = self
            .instance
            .get_typed_func::<(), (R,)>(&mut self.store, func)
            .expect("the instrumented function has its type");
        let (value,) = func
            .call_async(&mut self.store, ())
            .await
            .expect("the instrumented function does not trap");
        with(&mut self.store, value)
    }
}

impl ComponentInstanceState for Access {
    async fn call_func_ret_list_u8(
        &mut self,
        instance: &str,
        func: &str,
        contents: impl FnOnce(&[u8]) + Send,
    ) {
        self.call(instance, func, |store, list: WasmList<u8>| {
            contents(list.as_le_slice(&*store));
        })
        .await;
    }

    async fn call_func_ret_s32(&mut self, instance: &str, func: &str) -> i32 {
        self.call(instance, func, |_, value| value).await
    }

    async fn call_func_ret_s64(&mut self, instance: &str, func: &str) -> i64 {
        self.call(instance, func, |_, value| value).await
    }

    async fn call_func_ret_f32(&mut self, instance: &str, func: &str) -> u32 {
        self.call(instance, func, |_, value: f32| value.to_bits())
            .await
    }

    async fn call_func_ret_f64(&mut self, instance: &str, func: &str) -> u64 {
        self.call(instance, func, |_, value: f64| value.to_bits())
            .await
    }
}
