//! `sandbox`: one contained call through the real sandbox, against the least that wasmtime can do for the same component on the same engine.
//!
//! The peer has what no embedder can do without: a store, an epoch deadline that yields, an instance from the same pool, one typed call, the drop. It has no limits,
//! no grants, no WASI, no timer and no record. The headline is measured on the guests' own runtime, where the host's hand-over is a task on the same thread, as the
//! peer has no hand-over at all; the rows `from the host's runtime` add two wake-ups of threads, which are the kernel's and not the sandbox's.
//!
//! Two components: the least one, 1 KiB by hand without any import that does something, which shows what containment costs in microseconds; and a small agent in
//! Rust, which imports what agents import and touches memory as they do. Neither calls the host.

use crate::samples::{Pair, Samples};
use crate::scene::{AGENT, RUST_AGENT, Scene, bytes};
use crate::table::Section;
use anyhow::{Context as _, ensure};
use infinity::app::App;
use infinity::model::Trigger;
use infinity::registry::Agent;
use infinity::sandbox::call::{Answer, Call, Invocation};
use infinity::sandbox::contract::agent::AgentIndices;
use infinity::sandbox::engine::EngineKind;
use infinity::sandbox::meter::Meter;
use infinity::sandbox::{Job, Sandbox as _};
use std::sync::Arc;
use std::time::Instant;
use tokio::runtime::Handle;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use wasmtime::component::{Component, InstancePre, Linker};
use wasmtime::{Engine, Store};

/// Rounds of each side that are measured.
const ROUNDS: usize = 20;

/// Calls of each task in a round.
const CALLS: usize = 500;

/// The aim of issue and design: what containment may cost.
const AIM: f64 = 1.3;

/// The bare loop.
struct Bare {
    engine: Engine,
    pre: InstancePre<()>,
    indices: AgentIndices,
}

impl Bare {
    fn new(engine: &Engine, component: &[u8]) -> anyhow::Result<Self> {
        let component = Component::new(engine, component)?;
        let mut linker = Linker::new(engine);
        // Neither component calls an import, so stubs are enough: the cheapest linker there is.
        linker.define_unknown_imports_as_traps(&component)?;
        let pre = linker.instantiate_pre(&component)?;
        Ok(Self {
            engine: engine.clone(),
            indices: AgentIndices::new(&pre)?,
            pre,
        })
    }

    async fn call(&self, invocation: &Invocation) -> wasmtime::Result<bool> {
        let mut store = Store::new(&self.engine, ());
        store.set_epoch_deadline(1);
        store.epoch_deadline_async_yield_and_update(1);
        let instance = self.pre.instantiate_async(&mut store).await?;
        let agent = self.indices.load(&mut store, &instance)?;
        let answer = agent.call_run(&mut store, &invocation.into()).await?;
        Ok(answer.is_ok())
    }
}

/// Which of the two is called.
#[derive(Clone, Copy)]
enum Side {
    Own,
    Peer,
}

struct Subject {
    app: Arc<App>,
    agent: Arc<Agent>,
    bare: Bare,
    invocation: Invocation,
}

impl Subject {
    async fn call(&self, side: Side) -> anyhow::Result<()> {
        let reported = match side {
            Side::Peer => self.bare.call(&self.invocation).await?,
            Side::Own => {
                let loaded = self.agent.loaded.as_ref().ok().context("not loaded")?;
                let job = Job {
                    meter: Arc::new(Meter::new(self.agent.config.limits.clone())),
                    capabilities: Arc::clone(&self.agent.capabilities),
                    cancel: CancellationToken::new(),
                };
                let call = Call::Run(self.invocation.clone());
                let end = self.app.sandbox().call(loaded, call, job).await;
                matches!(end.result, Ok(Answer::Report(_)))
            }
        };
        ensure!(reported, "the call gave no report");
        Ok(())
    }

    async fn repeat(&self, side: Side, calls: usize) -> anyhow::Result<Samples> {
        let mut samples = Samples::default();
        for _ in 0..calls {
            let began = Instant::now();
            self.call(side).await?;
            samples.push(began.elapsed());
        }
        Ok(samples)
    }

    /// Calls from `tasks` tasks at once on a runtime.
    async fn round(
        self: &Arc<Self>,
        handle: &Handle,
        side: Side,
        tasks: usize,
        calls: usize,
    ) -> anyhow::Result<Samples> {
        let mut running = JoinSet::new();
        for _ in 0..tasks {
            let subject = Arc::clone(self);
            running.spawn_on(async move { subject.repeat(side, calls).await }, handle);
        }
        let mut samples = Samples::default();
        while let Some(done) = running.join_next().await {
            samples.extend(&done??);
        }
        Ok(samples)
    }

    async fn pair(self: &Arc<Self>, handle: &Handle, tasks: usize) -> anyhow::Result<Pair> {
        for side in [Side::Own, Side::Peer] {
            self.round(handle, side, tasks, CALLS).await?;
        }
        let mut pair = Pair::default();
        for _ in 0..ROUNDS {
            let own = self.round(handle, Side::Own, tasks, CALLS).await?;
            let peer = self.round(handle, Side::Peer, tasks, CALLS).await?;
            pair.round(&own, &peer);
        }
        Ok(pair)
    }
}

/// Measures.
pub(crate) async fn measure() -> anyhow::Result<Section> {
    let scene = Scene::open(&[AGENT, RUST_AGENT]).await?;
    let sandbox = scene.app.sandbox();
    let guests = sandbox.handle().context("the sandbox is shut down")?;
    let host = Handle::current();
    // The clock of epochs ticks for both sides alike.
    let ticking = sandbox.engines().running();
    let mut section = Section::of_pairs("sandbox");
    // `fails` is the case that reports at once and calls nothing.
    for (label, agent, input) in [
        ("component of 1 KiB", AGENT, "{}"),
        ("agent in Rust", RUST_AGENT, r#"{"case":"fails"}"#),
    ] {
        let subject = Arc::new(Subject {
            app: Arc::clone(&scene.app),
            agent: scene.agent(agent)?,
            bare: Bare::new(sandbox.engines().get(EngineKind::Pooled)?, &bytes(agent)?)?,
            invocation: Invocation {
                run_id: "018f6f2e-7c1e-7d6a-9a44-0a4f4a1d3c55".into(),
                agent: agent.into(),
                trigger: Trigger::Manual,
                attempt: 1,
                idempotency_key: "018f6f2e-7c1e-7d6a-9a44-0a4f4a1d3c55".into(),
                scheduled_at: "2026-01-01T00:00:00Z".into(),
                input: input.into(),
            },
        });
        for (place, handle) in [
            ("guests' runtime", &guests),
            ("from the host's runtime", &host),
        ] {
            for tasks in [1, 2] {
                let pair = subject.pair(handle, tasks).await?;
                section.pair(&format!("{label}, {place}, {tasks} at once"), &pair);
                if tasks == 1 && place == "guests' runtime" {
                    let what = format!("ratio of the {label} on the guests' runtime, 1 at once,");
                    section.at_most(&what, AIM, pair.ratio());
                }
            }
        }
    }
    drop(ticking);
    section.note("peer: a bare wasmtime loop on the same engine, pool and component; no limits, no grants, no WASI, no record");
    section.note("rows from the host's runtime include handing each call to the guests' threads and back; the peer hands nothing over");
    Ok(section)
}
