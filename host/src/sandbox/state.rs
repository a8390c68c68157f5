//! The data of one store: what a guest's calls reach, and the limiter that all of its memories and tables answer to.

use super::Program;
use super::checks::Judge;
use super::clock::{Counted, Fixed, WallClock};
use super::code::Link;
use super::files::Directory;
use super::http::{GuestHttp, HttpGrant};
use super::key_value::KeyValue;
use super::meter::{Meter, Stream};
use super::secrets::Reveals;
use super::streams::LogStream;
use super::views::Views;
use crate::forge::{Forge, Threads};
use crate::model::Artifact;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use wasmtime::component::ResourceTable;
use wasmtime_wasi::p2::pipe::MemoryInputPipe;
use wasmtime_wasi::{WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

/// What an agent may reach. The same for all of its runs under one configuration; everything is checked already.
#[derive(Clone, Default)]
pub struct Capabilities {
    /// The agent's name: it owns its key-value space.
    pub agent: String,
    /// What `wasi:config/store` answers.
    pub settings: Arc<Map<String, Value>>,
    /// Environment variables.
    pub environment: Vec<(String, String)>,
    /// Directories.
    pub directories: Vec<Directory>,
    /// Repositories whose read side is open, by name.
    pub repositories: BTreeMap<String, Arc<dyn Forge>>,
    /// What is open in them, if somebody knows.
    pub threads: Option<Arc<dyn Threads>>,
    /// Views that it may read.
    pub views: Vec<String>,
    /// Who makes them, if somebody does.
    pub viewer: Option<Arc<dyn Views>>,
    /// Who judges code for it, if it may ask.
    pub judge: Option<Arc<dyn Judge>>,
    /// Secrets that it may read.
    pub reveal: Vec<String>,
    /// Who gives them, if somebody does.
    pub revealer: Option<Arc<dyn Reveals>>,
    /// Types of events that it may announce, with `*` at the end for any continuation.
    pub events: Vec<String>,
    /// Requests that may leave.
    pub http: Arc<[HttpGrant]>,
    /// The key-value store, if there is one.
    pub key_value: Option<Arc<dyn KeyValue>>,
    /// Clocks and dice that follow from a number, instead of the machine's.
    pub fixed: Option<Fixed>,
}

impl Capabilities {
    /// The same without what leaves a trace outside: requests are `GET` and `HEAD`, directories are read, and no code is handed in to be judged, which is recorded. Keys are up to whoever asks.
    #[must_use]
    pub fn for_shadow(&self) -> Self {
        let mut own = self.clone();
        own.http = own.http.iter().filter_map(HttpGrant::reading).collect();
        for directory in &mut own.directories {
            directory.write = false;
        }
        own.judge = None;
        own
    }
}

/// The data of one store.
pub struct RunState {
    pub(super) meter: Arc<Meter>,
    pub(super) capabilities: Arc<Capabilities>,
    pub(super) artifacts: Arc<Mutex<BTreeMap<String, Artifact>>>,
    pub(super) table: ResourceTable,
    pub(super) wasi: WasiCtx,
    http: WasiHttpCtx,
    guest_http: GuestHttp,
    limiter: Limiter,
    pub(super) counted: Option<Counted>,
    pub(super) code: Option<Link>,
}

/// What `wasmtime` asks before memories and tables grow.
pub(super) struct Limiter(Arc<Meter>);

impl RunState {
    /// Builds the state of one run.
    ///
    /// # Errors
    /// When a granted directory cannot be opened.
    pub(super) fn new(
        capabilities: Arc<Capabilities>,
        meter: Arc<Meter>,
        artifacts: Arc<Mutex<BTreeMap<String, Artifact>>>,
        guest_http: GuestHttp,
        program: Option<&Program>,
        code: Option<Link>,
    ) -> wasmtime::Result<Self> {
        let stream = |stream| LogStream {
            meter: Arc::clone(&meter),
            stream,
        };
        let mut builder = WasiCtxBuilder::new();
        match program {
            Some(program) => {
                builder
                    .stdin(MemoryInputPipe::new(program.input.clone()))
                    .stdout(program.output.clone());
            }
            None => {
                builder.stdout(stream(Stream::Stdout));
            }
        }
        match program.and_then(|program| program.errors.clone()) {
            Some(errors) => builder.stderr(errors),
            None => builder.stderr(stream(Stream::Stderr)),
        };
        let mut counted = None;
        if let Some(fixed) = capabilities.fixed {
            let time = Counted::default();
            builder
                .wall_clock(WallClock::new(time.clone(), fixed))
                .monotonic_clock(time.clone())
                .secure_random(StdRng::seed_from_u64(fixed.seed))
                .insecure_random(StdRng::seed_from_u64(fixed.seed ^ 1))
                .insecure_random_seed(u128::from(fixed.seed));
            counted = Some(time);
        }
        builder
            .max_random_size(meter.budget.random_bytes)
            .arg(&capabilities.agent);
        for (name, value) in &capabilities.environment {
            builder.env(name, value);
        }
        for directory in &capabilities.directories {
            directory.open(&mut builder)?;
        }
        let mut table = ResourceTable::new();
        table.set_max_capacity(meter.budget.handles as usize);
        Ok(Self {
            limiter: Limiter(Arc::clone(&meter)),
            wasi: builder.build(),
            http: WasiHttpCtx::new(),
            table,
            guest_http,
            artifacts,
            capabilities,
            meter,
            counted,
            code,
        })
    }

    pub(super) fn limiter(&mut self) -> &mut dyn wasmtime::ResourceLimiter {
        &mut self.limiter
    }
}

impl WasiView for RunState {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

impl WasiHttpView for RunState {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView {
            hooks: &mut self.guest_http,
            table: &mut self.table,
            ctx: &mut self.http,
        }
    }
}

impl wasmtime::ResourceLimiter for Limiter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(self.0.grow_memory(current, desired))
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        _: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(self.0.grow_table(current, desired))
    }

    fn instances(&self) -> usize {
        self.0.budget.instances as usize
    }

    fn memories(&self) -> usize {
        self.0.budget.instances as usize
    }

    fn tables(&self) -> usize {
        self.0.budget.instances as usize
    }
}
