//! Requests that components answer (`wasi:http/incoming-handler`). They are counted and not recorded; one that ended badly, or was refused something, gets a row, so that a person can
//! look at it.

use super::settle::{events, settle};
use super::{KILLED, Left, REQUEST, Runtime};
use crate::model::{Outcome, Principal, Run, RunState, Trigger, Usage, now};
use crate::registry::Agent;
use crate::sandbox::inspect::World;
use crate::sandbox::meter::Meter;
use crate::sandbox::serve::ServedBody;
use crate::sandbox::{Job, Loaded};
use http::{Request, Response};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;
use uuid::Uuid;
use wasmtime_wasi_http::WasiBody;

/// Requests in the sandbox at once: well below what its pool holds, so that runs always find room.
const AT_ONCE: usize = 256;

/// Requests of one agent at once, so that one with slow clients leaves room for others.
const AT_ONCE_OF_ONE: usize = 128;

/// How long a request waits for a place.
const PATIENCE: Duration = Duration::from_secs(2);

/// Rows, or announcements, of one agent in an hour: what a flood leaves behind is bounded, and pushes out no others. Further ones are counted only.
const ROWS_PER_HOUR: u32 = 60;

/// Why a request was not answered by the component.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// No agent of that name answers requests.
    #[error("no agent `{name}` answers requests")]
    Unknown {
        /// As asked for.
        name: String,
    },
    /// It is disabled, paused, in quarantine, or cannot run.
    #[error("{0}")]
    Unavailable(String),
    /// Too many requests are in progress.
    #[error("too many requests are in progress")]
    Busy,
    /// It gave no answer that can be sent on.
    #[error("{0}")]
    NoAnswer(String),
    /// It was stopped before it answered.
    #[error("{message}")]
    Stopped {
        /// How.
        outcome: Outcome,
        /// The finer reason.
        reason: Option<String>,
        /// In one sentence.
        message: String,
    },
}

/// The places of requests in progress, and the rows of the hour.
pub(super) struct Requests {
    all: Arc<Semaphore>,
    agents: Mutex<std::collections::HashMap<String, OfAgent>>,
}

struct OfAgent {
    places: Arc<Semaphore>,
    hour: Instant,
    rows: u32,
}

impl Default for Requests {
    fn default() -> Self {
        Self {
            all: Arc::new(Semaphore::new(AT_ONCE)),
            agents: Mutex::default(),
        }
    }
}

impl Requests {
    fn of(&self, agent: &str, look: impl FnOnce(&mut OfAgent)) {
        let mut agents = self.agents.lock().unwrap_or_else(PoisonError::into_inner);
        look(agents.entry(agent.to_owned()).or_insert_with(|| OfAgent {
            places: Arc::new(Semaphore::new(AT_ONCE_OF_ONE)),
            hour: Instant::now(),
            rows: 0,
        }));
    }

    fn places(&self, agent: &str) -> Arc<Semaphore> {
        let mut places = None;
        self.of(agent, |of| places = Some(Arc::clone(&of.places)));
        places.unwrap_or_else(|| Arc::clone(&self.all))
    }

    /// Whether one more row is right.
    fn row(&self, agent: &str) -> bool {
        let mut fits = false;
        self.of(agent, |of| {
            if of.hour.elapsed() > Duration::from_secs(3_600) {
                of.hour = Instant::now();
                of.rows = 0;
            }
            of.rows += 1;
            fits = of.rows <= ROWS_PER_HOUR;
        });
        fits
    }
}

impl Runtime {
    /// Has an agent's component answer a request.
    ///
    /// # Errors
    /// See [`ServeError`].
    pub async fn serve(
        self: &Arc<Self>,
        name: &str,
        request: Request<WasiBody>,
    ) -> Result<Response<ServedBody>, ServeError> {
        let registry = self.registry.load_full();
        let unknown = || ServeError::Unknown {
            name: name.to_owned(),
        };
        let id = Uuid::now_v7();
        let (agent, config_digest) = registry
            .of_run(name, id, Instant::now())
            .map(|(agent, digest)| (Arc::clone(agent), digest.to_owned()))
            .ok_or_else(unknown)?;
        let loaded = self.servable(&agent)?.ok_or_else(unknown)?;
        let own = self.requests.places(name);
        let places = async {
            let own = own.acquire_owned().await.ok()?;
            let all = Arc::clone(&self.requests.all).acquire_owned().await.ok()?;
            Some((own, all))
        };
        let Ok(Some(places)) = tokio::time::timeout(PATIENCE, places).await else {
            return Err(ServeError::Busy);
        };
        let began = Instant::now();
        let input = json!({ "method": request.method().as_str(), "path": request.uri().path() });
        let meter = Arc::new(Meter::new(agent.config.limits.clone()));
        let job = Job {
            meter: Arc::clone(&meter),
            capabilities: Arc::clone(&agent.capabilities),
            cancel: self.holds.kill.token(),
        };
        let serving = self.sandbox.serve(&loaded, request, job);
        let runtime = Arc::clone(self);
        let (told, stopped) = tokio::sync::oneshot::channel();
        let ended = serving.end;
        self.tasks.spawn(async move {
            let end = ended.await;
            drop(places);
            let mut run = served_run(&agent, id, config_digest, input, began);
            let (report, artifacts) = settle(&mut run, end, &meter);
            let outcome = run.outcome.unwrap_or(Outcome::HostError);
            runtime
                .metrics
                .served(&run.agent, outcome, began.elapsed());
            let _ = told.send((outcome, run.reason.clone(), run.message.clone()));
            let emitted = meter.take_events();
            if outcome == Outcome::Succeeded
                && !emitted.is_empty()
                && runtime.requests.row(&run.agent)
            {
                // Without the first, which says that a run ended.
                let announced = events(&run, &report, emitted, &[], false).into_iter().skip(1);
                for event in announced {
                    if let Err(error) = runtime.store.publish(event).await {
                        tracing::warn!(agent.name = %run.agent, "an event could not be announced: {error}");
                    }
                }
                runtime.announced.notify_one();
            }
            // A client that went away says nothing about the component.
            let worth = !matches!(outcome, Outcome::Succeeded | Outcome::Cancelled)
                || !run.denials.is_empty();
            if worth && runtime.requests.row(&run.agent) {
                let left = Left {
                    log: meter.take_log(),
                    artifacts,
                    events: Vec::new(),
                    reached: meter.reached(),
                };
                let end = runtime.end(run, report, left, &agent, false);
                let run = end.run.clone();
                match runtime.store.record_run(end).await {
                    Ok(()) => {
                        // The time went on while a client read, which is no verdict on the component.
                        let waited = outcome == Outcome::Limited
                            && run.reason.as_deref() == Some("time");
                        if !waited {
                            runtime.watch(&run).await;
                        }
                        runtime.announced.notify_one();
                    }
                    Err(error) => {
                        tracing::error!(agent.name = %run.agent, "a request that ended badly could not be recorded: {error}");
                    }
                }
            }
        });
        match serving.head.await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(why)) => Err(ServeError::NoAnswer(why)),
            Err(_) => match stopped.await {
                Ok((outcome, reason, message)) => Err(ServeError::Stopped {
                    outcome,
                    reason,
                    message: message.unwrap_or_else(|| "stopped".into()),
                }),
                Err(_) => Err(ServeError::Unavailable("the host is stopping".into())),
            },
        }
    }

    /// The component of an agent that answers requests; none when it does not.
    fn servable(&self, agent: &Agent) -> Result<Option<Arc<Loaded>>, ServeError> {
        let name = agent.config.name.as_str();
        let unavailable = |why: &str| Err(ServeError::Unavailable(format!("`{name}` {why}")));
        let loaded = match &agent.loaded {
            Ok(loaded) => loaded,
            Err(refusal) => {
                return unavailable(&format!("cannot run: {}", refusal.message));
            }
        };
        if !loaded.inspection.worlds.contains(&World::Proxy) {
            return Ok(None);
        }
        if self.stopping.load(std::sync::atomic::Ordering::Acquire) {
            return Err(ServeError::Unavailable("the host is stopping".into()));
        }
        if self.holds.kill.is_engaged() {
            return Err(ServeError::Unavailable(KILLED.into()));
        }
        if !agent.config.enabled {
            return unavailable("is disabled");
        }
        // A maintenance window is for what starts by itself; somebody asks for this.
        if self.holds.all() || self.holds.agent(name) {
            return unavailable("is paused");
        }
        if self.holds.quarantined(name) {
            return unavailable("is in quarantine: it crashed too often");
        }
        Ok(Some(Arc::clone(loaded)))
    }
}

/// The record of a request, before it is known how it ended.
fn served_run(agent: &Agent, id: Uuid, config_digest: String, input: Value, began: Instant) -> Run {
    let at = now()
        .checked_sub(jiff::SignedDuration::try_from(began.elapsed()).unwrap_or_default())
        .unwrap_or_else(|_| now());
    Run {
        id,
        agent: agent.config.name.as_str().to_owned(),
        plugin: agent.config.plugin.clone(),
        plugin_digest: agent
            .plugin
            .as_ref()
            .map_or_else(String::new, |plugin| plugin.digest.clone()),
        config_digest,
        principal: Principal {
            kind: REQUEST.into(),
            name: "client".into(),
        },
        trigger: Trigger::Manual,
        attempt: 1,
        idempotency_key: id.to_string(),
        dry_run: false,
        state: RunState::Running,
        outcome: None,
        reason: None,
        message: None,
        hint: None,
        summary: None,
        findings: 0,
        denials: Vec::new(),
        usage: Usage::default(),
        input,
        scheduled_at: at,
        created_at: at,
        started_at: Some(at),
        ended_at: None,
    }
}
