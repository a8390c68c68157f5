//! The engines and the clock that stops guests.
//!
//! Pooled with epochs is the default; interpreters of submitted code have a pool of their own; on demand with epochs serves components that do not fit the pool; on demand with fuel
//! serves agents that ask for determinism and is made at first use.

use serde::{Deserialize, Serialize};
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;
use wasmtime::{
    Config, Enabled, Engine, InstanceAllocationStrategy, OptLevel, PoolingAllocationConfig,
    WasmBacktraceDetails,
};

/// How often the epoch of all engines moves on: the time that a guest may run past its limit, and the longest it keeps its thread to itself.
pub const EPOCH_TICK: Duration = Duration::from_millis(1);

/// The ticker goes on this many ticks after the last run ended, so that a busy host does not wake it for each run.
const IDLE_TICKS: u32 = 1_000;

/// The stack of a guest. Guests of Rust have a smaller one of their own in their memory beside it; whichever ends first, the run ends with it.
const WASM_STACK_BYTES: usize = 1024 * 1024;

/// The stack of an interpreter: QuickJS takes some 850 bytes of it for each call of a function, and programs in JavaScript recurse some thousand deep.
const INTERPRETER_STACK_BYTES: usize = 4 * 1024 * 1024;

/// What host functions have of a run's stack beside the guest's part.
const HOST_STACK_BYTES: usize = 1024 * 1024;

/// Runs that may be in the pool at once. It bounds address space (4 GiB for each memory), not memory in use.
const POOL_RUNS: u32 = 512;

/// Instances of interpreters at once: each check in progress has two at most, and there are two checks for each thread.
pub const POOL_INTERPRETERS: u32 = 256;

/// Core instances of one pooled component; the guests of Rust have about four, componentize-py's about forty. They are counted, not kept.
const POOL_PARTS: u32 = 64;

/// Elements of one pooled table; a component with a larger one runs on demand.
const POOL_TABLE_ELEMENTS: usize = 20_000;

/// Memory that a pooled slot keeps after a run and clears by writing zeros, in bytes; more is given back to the system. Small guests touch about this much.
const KEEP_RESIDENT_BYTES: usize = 256 * 1024;

/// The same of an interpreter, which touches more. Wasmtime looks at 32 pieces of changed memory at most, and gives back what lies behind them.
const INTERPRETER_RESIDENT_BYTES: usize = 1024 * 1024;

/// Which engine a component runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EngineKind {
    /// Pooled slots, epochs.
    Pooled,
    /// As pooled, with slots that suit interpreters of submitted code.
    Interpreter,
    /// A mapping of its own for each run, epochs.
    OnDemand,
    /// As on demand, with exact fuel.
    Fuel,
}

impl EngineKind {
    /// The name in the cache's file names.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pooled => "pooled",
            Self::Interpreter => "interpreter",
            Self::OnDemand => "on_demand",
            Self::Fuel => "fuel",
        }
    }
}

/// The settings of an engine. The compile child uses them too, with a pool of one slot: code is compatible when these agree.
///
/// # Errors
/// None today; the configuration of the pool may be refused by the engine that is made from it.
#[must_use]
pub fn config(kind: EngineKind, runs: u32) -> Config {
    let mut config = Config::new();
    let stack = match kind {
        EngineKind::Interpreter => INTERPRETER_STACK_BYTES,
        EngineKind::Pooled | EngineKind::OnDemand | EngineKind::Fuel => WASM_STACK_BYTES,
    };
    config
        .epoch_interruption(true)
        .consume_fuel(kind == EngineKind::Fuel)
        .wasm_component_model(true)
        // No agent needs these; `inspect` names them when a component does.
        .wasm_memory64(false)
        .wasm_backtrace_details(WasmBacktraceDetails::Enable)
        .wasm_backtrace_max_frames(NonZeroUsize::new(64))
        .max_wasm_stack(stack)
        .async_stack_size(stack + HOST_STACK_BYTES)
        .cranelift_opt_level(OptLevel::Speed)
        .memory_init_cow(true);
    if matches!(kind, EngineKind::Pooled | EngineKind::Interpreter) {
        let keep = match kind {
            EngineKind::Interpreter => INTERPRETER_RESIDENT_BYTES,
            EngineKind::Pooled | EngineKind::OnDemand | EngineKind::Fuel => KEEP_RESIDENT_BYTES,
        };
        let mut pool = PoolingAllocationConfig::new();
        pool.total_component_instances(runs)
            .total_stacks(runs)
            .total_core_instances(runs * POOL_PARTS)
            .total_memories(runs * 2)
            .total_tables(runs * 4)
            .max_core_instances_per_component(POOL_PARTS)
            .max_memories_per_component(2)
            .max_tables_per_component(4)
            .max_memory_size(2 * 1024 * 1024 * 1024)
            .table_elements(POOL_TABLE_ELEMENTS)
            .max_core_instance_size(1024 * 1024)
            .max_component_instance_size(1024 * 1024)
            .linear_memory_keep_resident(keep)
            .table_keep_resident(64 * 1024)
            .pagemap_scan(Enabled::Auto);
        config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    }
    config
}

/// All engines of the host and the thread that ticks their epochs.
pub struct Engines {
    pooled: Engine,
    interpreter: Engine,
    on_demand: Engine,
    fuel: OnceLock<Engine>,
    ticker: Arc<Ticker>,
}

impl Engines {
    /// Makes the engines and starts the ticking thread, which ends with the last reference.
    ///
    /// # Errors
    /// When the pool's address space cannot be had or the thread cannot be started.
    pub fn new() -> wasmtime::Result<Self> {
        let pooled = Engine::new(&config(EngineKind::Pooled, POOL_RUNS))?;
        let interpreter = Engine::new(&config(EngineKind::Interpreter, POOL_INTERPRETERS))?;
        let on_demand = Engine::new(&config(EngineKind::OnDemand, 0))?;
        let all = vec![pooled.clone(), interpreter.clone(), on_demand.clone()];
        let ticker = Ticker::start(all)?;
        Ok(Self {
            pooled,
            interpreter,
            on_demand,
            fuel: OnceLock::new(),
            ticker,
        })
    }

    /// Instances that the pools hold, and that they could hold.
    #[must_use]
    pub fn pool(&self) -> (u64, u64) {
        let used = [&self.pooled, &self.interpreter]
            .into_iter()
            .filter_map(Engine::pooling_allocator_metrics)
            .map(|metrics| metrics.component_instances())
            .sum();
        (used, u64::from(POOL_RUNS + POOL_INTERPRETERS))
    }

    /// The engine of a kind; the one with fuel is made at first use.
    ///
    /// # Errors
    /// When the engine cannot be made.
    pub fn get(&self, kind: EngineKind) -> wasmtime::Result<&Engine> {
        match kind {
            EngineKind::Pooled => Ok(&self.pooled),
            EngineKind::Interpreter => Ok(&self.interpreter),
            EngineKind::OnDemand => Ok(&self.on_demand),
            EngineKind::Fuel => {
                if let Some(engine) = self.fuel.get() {
                    return Ok(engine);
                }
                let engine = Engine::new(&config(EngineKind::Fuel, 0))?;
                self.ticker.add(engine.clone());
                Ok(self.fuel.get_or_init(|| engine))
            }
        }
    }

    /// Says that a run is in progress until the guard is dropped.
    #[must_use]
    pub fn running(&self) -> Running {
        self.ticker.running.fetch_add(1, Ordering::SeqCst);
        if self.ticker.asleep.swap(false, Ordering::SeqCst)
            && let Some(thread) = self.ticker.thread.get()
        {
            thread.unpark();
        }
        Running(Arc::clone(&self.ticker))
    }

    /// Ticks so far, for health checks.
    #[must_use]
    pub fn ticks(&self) -> u64 {
        self.ticker.ticks.load(Ordering::Relaxed)
    }
}

impl Drop for Engines {
    fn drop(&mut self) {
        self.ticker.stop.store(true, Ordering::Release);
        if let Some(thread) = self.ticker.thread.get() {
            thread.unpark();
        }
    }
}

/// Keeps the ticker awake while a run is in progress.
pub struct Running(Arc<Ticker>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::AcqRel);
    }
}

struct Ticker {
    engines: Mutex<Vec<Engine>>,
    running: AtomicUsize,
    asleep: AtomicBool,
    stop: AtomicBool,
    ticks: AtomicU64,
    thread: OnceLock<std::thread::Thread>,
}

impl Ticker {
    fn start(engines: Vec<Engine>) -> wasmtime::Result<Arc<Self>> {
        let ticker = Arc::new(Self {
            engines: Mutex::new(engines),
            running: AtomicUsize::new(0),
            asleep: AtomicBool::new(false),
            stop: AtomicBool::new(false),
            ticks: AtomicU64::new(0),
            thread: OnceLock::new(),
        });
        let shared = Arc::clone(&ticker);
        let handle = std::thread::Builder::new()
            .name("epoch-ticker".into())
            .spawn(move || shared.tick())?;
        let _ = ticker.thread.set(handle.thread().clone());
        Ok(ticker)
    }

    fn add(&self, engine: Engine) {
        self.lock().push(engine);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Engine>> {
        self.engines
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn tick(&self) {
        let mut idle = 0;
        while !self.stop.load(Ordering::Acquire) {
            std::thread::sleep(EPOCH_TICK);
            for engine in self.lock().iter() {
                engine.increment_epoch();
            }
            self.ticks.fetch_add(1, Ordering::Relaxed);
            idle = if self.running.load(Ordering::Acquire) == 0 {
                idle + 1
            } else {
                0
            };
            if idle > IDLE_TICKS {
                // Announced first and checked again: a run that begins in between finds the flag and wakes this thread.
                self.asleep.store(true, Ordering::SeqCst);
                while self.asleep.load(Ordering::SeqCst)
                    && self.running.load(Ordering::SeqCst) == 0
                    && !self.stop.load(Ordering::Acquire)
                {
                    std::thread::park();
                }
                self.asleep.store(false, Ordering::SeqCst);
                idle = 0;
            }
        }
    }
}
