//! Joins the stages: configuration, store, sandbox, registry, runtime, schedule, API. The only file that names them all, and the only one that hands the trait of one
//! stage to another.

mod alerts;
mod control;
mod github;
mod kill;
mod reload;
mod secrets;
mod spend;
mod ways;

use self::reload::{Seen, Versions};
use self::secrets::Revealed;
use self::ways::{
    Boards, Judges, Keys, Panels, Policies, Posted, Scheduled, Sources, Steering, Steps, Telling,
};
use crate::access::factors::Factors;
use crate::access::guard::Guard;
use crate::access::keys::{KeyRequest, NewKey};
use crate::access::passkeys::Passkeys;
use crate::access::people::People;
use crate::access::sessions::Sessions;
use crate::access::sign_in::SignIn;
use crate::access::{self, Access, Role};
use crate::alerts::Alerts;
use crate::api::{self, Badge, ControlPlane};
use crate::audit::calls::Calls;
use crate::audit::checkpoints::{self, Checkpoints};
use crate::audit::views::Views;
use crate::backup::Backups;
use crate::checks::Checks;
use crate::config::{Config, Overrides, Place, Secret};
use crate::delivery;
use crate::dev::Recorder;
use crate::effects::Effects;
use crate::forge::github::Standing;
use crate::forge::local::LocalForge;
use crate::forge::signing::SigningKey;
use crate::forge::{Forge as _, ForgeError, Forges, Repository};
use crate::holds::Holds;
use crate::metrics::Metrics;
use crate::model::{AgentState, BadgeStyle, Event, Principal, now};
use crate::notify::Channels;
use crate::observers;
use crate::pipelines::{self, Pipelines, SchedulerLog};
use crate::registry::{Registry, Surroundings};
use crate::runtime::{Capacity, Runtime};
use crate::sandbox::checks::Judge;
use crate::sandbox::http::{EgressGate, GateSettings};
use crate::sandbox::{LocalSandbox, Sandbox, SandboxOptions};
use crate::schedule;
use crate::secrets::Secrets;
use crate::store::{Retention, SqliteStore, Store};
use crate::tls::Tls;
use anyhow::Context as _;
use arc_swap::ArcSwap;
use ipnet::IpNet;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use std::collections::{BTreeMap, HashMap};
use std::net::{Ipv6Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::net::UnixListener;
use tokio::sync::{Notify, broadcast};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How long runs in progress may go on after the host was asked to stop.
const DRAIN: Duration = Duration::from_secs(30);

/// Runs of each agent that stay in the store, however old.
const KEEP_RUNS: u32 = 10_000;

/// How long alerts stay that are over.
const KEEP_ALERTS: SignedDuration = SignedDuration::from_hours(90 * 24);

/// How long all runs stay: as long as events, so that one that is delivered again finds the key of what it started.
const KEEP_RUNS_FOR: SignedDuration = KEEP_EVENTS;

/// Runs of one agent that stay at most: some GiB, if they left little.
const KEEP_RUNS_MAX: u32 = 1_000_000;

/// Executions of each pipeline that stay.
const KEEP_EXECUTIONS: u32 = 1_000;

/// How long events stay.
const KEEP_EVENTS: SignedDuration = SignedDuration::from_hours(7 * 24);

/// How long checks stay: who is judged asks within a month.
const KEEP_CHECKS: SignedDuration = SignedDuration::from_hours(30 * 24);

/// How long effects stay that came to their end: who changed what is asked about for a year.
const KEEP_EFFECTS: SignedDuration = SignedDuration::from_hours(365 * 24);

/// How long moments of the ledger stay: it is small and answers questions about last month.
const KEEP_OCCURRENCES: SignedDuration = SignedDuration::from_hours(90 * 24);

/// How long logs are kept as they are, to be searched.
const KEEP_LOGS_HOT: SignedDuration = SignedDuration::from_hours(30 * 24);

/// How long logs are kept at all.
const KEEP_LOGS: SignedDuration = SignedDuration::from_hours(365 * 24);

/// How often the host looks at its own components, and says what it saw.
const HEALTH_EVERY: Duration = Duration::from_secs(30);

/// How long the schedule and delivery may say nothing: they look at the clock every ten seconds at least.
const SILENCE_MAX: Duration = Duration::from_secs(60);

/// Words of news that wait for an observer; one that misses some looks anyway.
const NEWS: usize = 16;

/// How often the store is pruned.
const PRUNE_EVERY: Duration = Duration::from_secs(3600);

/// Drawn badges that are kept: labels are a client's to choose, so their number is bounded.
const BADGES_MAX: usize = 1_000;

/// How long effects wait for snapshots at start: those that were made before are loaded within it.
const SNAPSHOT_PATIENCE: Duration = Duration::from_secs(2);

/// What the listener on `badge_port` serves.
const BADGE_PATHS: &[&str] = &["/badge", "/badges"];

/// What the listener on `autodeploy_port` serves.
const AUTODEPLOY_PATHS: &[&str] = &["/autodeploy"];

/// What the listener on `gateway_port` serves.
const GATEWAY_PATHS: &[&str] = &["/v1", "/openapi.json", "/docs"];

/// What the listener on `metrics_listen` serves.
const METRICS_PATHS: &[&str] = &["/metrics"];

/// The file in the state folder that says where a running host listens.
pub const ADDRESS_FILE: &str = "address";

/// The socket in the state folder: whoever may open it is the operator and needs no key.
pub const SOCKET_FILE: &str = "admin.sock";

/// Bytes of a socket's path that the kernel takes.
const SOCKET_PATH_MAX: usize = 107;

/// What begins a sign-in, for which nobody has to say who they are.
const SIGN_IN_ROUTES: [&str; 2] = ["GET /v1/sign-in/{name}", "POST /v1/sign-in/{name}/device"];

/// How many of each one address begins in ten seconds: an office's, in the morning.
const SIGN_IN_RATE: u32 = 30;

/// How often the counted requests are kept for the process after this one.
const KEEP_COUNTS_EVERY: Duration = Duration::from_secs(5);

/// What differs between the program and its tests.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The program that is called as `PROGRAM compile-worker JOB`; this one unless set.
    pub worker: Option<PathBuf>,
    /// What flags say.
    pub overrides: Overrides,
    /// Where the values in the configuration came from; what this machine has of them unless set.
    pub secrets: Option<Arc<Secrets>>,
    /// Whether a recorder stands in for every service outside.
    pub dev: bool,
}

/// The host, joined.
pub struct App {
    config: Arc<Config>,
    secrets: Arc<Secrets>,
    forges: Forges,
    store: Arc<SqliteStore>,
    sandbox: Arc<LocalSandbox>,
    gate: Arc<EgressGate>,
    registry: Arc<ArcSwap<Registry>>,
    runtime: Arc<Runtime>,
    pipelines: Arc<Pipelines>,
    effects: Arc<Effects>,
    checks: Arc<Checks>,
    channels: Arc<Channels>,
    backups: Arc<Backups>,
    holds: Arc<Holds>,
    access: Access,
    /// Held while the dry run of a recovery is in progress.
    recovering: tokio::sync::Mutex<()>,
    metrics: Arc<Metrics>,
    alerts: Alerts,
    /// Whether the journal's end could not be signed the last time.
    unsigned: Arc<AtomicBool>,
    wake: Notify,
    /// Told when the snapshots of all agents are made.
    prepared: Notify,
    /// Told whenever there may be new events.
    news: broadcast::Sender<()>,
    /// What was seen of the repositories at the last look, which is too slow for each question.
    repositories: Mutex<BTreeMap<String, Looked>>,
    /// Pull requests, by `owner/name` and number, of which GitHub said that they changed.
    changed: github::Changed,
    beats: Beats,
    /// Bytes of the store at the last look: counting them reads the folder of files.
    store_bytes: AtomicU64,
    badges: Mutex<HashMap<(String, AgentState, BadgeStyle, String), Badge>>,
    /// What flags said when the host started: they go over whatever the file says later.
    overrides: Overrides,
    /// Held while another version is made ready and put in force: one at a time.
    reloading: tokio::sync::Mutex<()>,
    /// What the files looked like before anything of them was loaded.
    seen: Seen,
    versions: Mutex<Versions>,
    stopping: CancellationToken,
    /// When all else has ended, and the journal's tasks may.
    ended: CancellationToken,
    /// When everything is in the journal, whose end is then signed.
    recorded: CancellationToken,
    started_at: Timestamp,
}

/// What was seen of a repository.
#[derive(Clone, Debug, Default)]
struct Looked {
    ok: bool,
    detail: String,
    /// Of a repository elsewhere: who the host is there, and how much it may still ask.
    standing: Option<Standing>,
    last_success: Option<Timestamp>,
    last_error: Option<(Timestamp, String)>,
}

/// When stages that never end last said something.
struct Beats {
    began: Instant,
    schedule: AtomicU64,
    delivery: AtomicU64,
}

impl Beats {
    fn beat(&self, of: &AtomicU64) {
        let since = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        of.store(since.max(1), Ordering::Relaxed);
    }

    /// How long ago; none before the first.
    fn silence(&self, of: &AtomicU64) -> Option<Duration> {
        match of.load(Ordering::Relaxed) {
            0 => None,
            last => Some(
                self.began
                    .elapsed()
                    .saturating_sub(Duration::from_millis(last)),
            ),
        }
    }
}

/// How often the folder of plugins is looked at: it costs a directory's listing, and people wait for it.
const WATCH_EVERY: Duration = Duration::from_secs(1);

impl App {
    /// Opens the store and loads everything that the configuration names. Nothing runs yet and nothing listens.
    ///
    /// # Errors
    /// When the state folder cannot be used, for instance because another process does, or the proxy or `ca_file` cannot be used.
    pub async fn open(
        config: Config,
        options: Options,
        progress: &(dyn Fn(&str) + Send + Sync),
    ) -> anyhow::Result<Arc<Self>> {
        let config = Arc::new(config);
        let looked = Arc::clone(&config);
        let seen = tokio::task::spawn_blocking(move || Seen::look(&looked)).await?;
        let secrets = options
            .secrets
            .unwrap_or_else(|| Arc::new(Secrets::open(&config.path, &config.host.state)));
        let store = Arc::new(
            open_store(config.host.state.clone(), config.host.access.journal.sealed).await?,
        );
        let state = config.host.state.clone();
        let key = tokio::task::spawn_blocking(move || SigningKey::open(&state))
            .await?
            .context("the key that signs commits cannot be used")?;
        for repository in config.repositories.values() {
            if let Place::Local { path, create: true } = &repository.place {
                LocalForge::create(&repository.name, path, &config.host.state, &key)
                    .await
                    .with_context(|| {
                        format!("the repository `{}` cannot be made", repository.name)
                    })?;
            }
        }
        let recorder = match options.dev {
            true => Some(Arc::new(Recorder::open(&config.host.state)?)),
            false => None,
        };
        let forges = Forges::new(Arc::clone(&config), recorder.clone())
            .context("GitHub cannot be reached")?;
        let proxy = config
            .host
            .proxy
            .as_ref()
            .map(|proxy| proxy.parse())
            .transpose()
            .context("`host.proxy` is no URL")?;
        let gate = Arc::new(EgressGate::new(GateSettings {
            ca_file: config.host.ca_file.clone(),
            proxy,
            own_listeners: vec![config.host.listen],
            ..GateSettings::default()
        })?);
        let worker = match options.worker {
            Some(worker) => worker,
            None => std::env::current_exe().context("this program's own file is unknown")?,
        };
        let sandbox = Arc::new(LocalSandbox::new(SandboxOptions {
            state: config.host.state.clone(),
            worker,
            compile_cpu: Duration::from_millis(config.host.compile_cpu_ms),
            compile_memory_bytes: config.host.compile_memory_bytes,
            gate: Arc::clone(&gate),
            threads: 0,
        })?);
        let dynamic: Arc<dyn Store> = Arc::clone(&store) as Arc<dyn Store>;
        let judges = Arc::new(Judges::default());
        let surroundings = Surroundings {
            sandbox: sandbox.as_ref(),
            key_value: Arc::new(Keys(Arc::clone(&dynamic))),
            threads: Arc::new(Boards {
                forges: forges.clone(),
                store: Arc::clone(&dynamic),
            }),
            views: Arc::new(Panels(config.host.state.clone())),
            judge: Arc::clone(&judges) as Arc<dyn Judge>,
            revealer: Arc::new(Revealed {
                secrets: Arc::clone(&secrets),
                store: Arc::clone(&dynamic),
            }),
            forges: &forges,
            previous: None,
            progress,
        };
        let registry = Registry::build(Arc::clone(&config), &surroundings).await;
        let registry = Arc::new(ArcSwap::from_pointee(registry));
        let holds = Arc::new(Holds::new(
            Arc::clone(&dynamic),
            &config.host.state,
            config.host.maintenance.clone(),
        ));
        let access = open_access(&config, &dynamic).await?;
        let backups = Arc::new(Backups::new(
            config.backup.clone(),
            &config.host.state,
            config.host.access.journal.seals_backups,
            Arc::clone(&dynamic),
        ));
        let metrics = Arc::new(Metrics::default());
        let runtime = Arc::new(Runtime::new(
            Arc::clone(&registry),
            Arc::clone(&dynamic),
            Arc::clone(&sandbox) as Arc<dyn Sandbox>,
            Arc::clone(&holds),
            Arc::clone(&metrics),
            Capacity {
                concurrency: config.host.concurrency as usize,
                concurrency_max: config.host.concurrency_max as usize,
                queue: config.host.queue as usize,
            },
        ));
        let channels = Arc::new(
            Channels::new(Arc::clone(&config), recorder).context("the channels cannot be used")?,
        );
        let stopping = CancellationToken::new();
        let effects = Arc::new(Effects::new(
            forges.clone(),
            Arc::clone(&registry),
            Arc::clone(&dynamic),
            Arc::new(Policies {
                registry: Arc::clone(&registry),
                sandbox: Arc::clone(&sandbox),
            }),
            Arc::new(Steering {
                runtime: Arc::clone(&runtime),
                holds: Arc::clone(&holds),
                store: Arc::clone(&store) as Arc<dyn Store>,
            }),
            Arc::new(Telling(Arc::clone(&channels))),
            key,
            runtime.announced(),
            Arc::clone(&metrics),
        ));
        let checks = Arc::new(Checks::new(
            Arc::clone(&registry),
            Arc::clone(&sandbox) as Arc<dyn Sandbox>,
            Arc::new(Policies {
                registry: Arc::clone(&registry),
                sandbox: Arc::clone(&sandbox),
            }),
            Arc::new(Sources {
                forges: forges.clone(),
                effects: Arc::clone(&effects),
            }),
            Arc::clone(&dynamic),
            Arc::clone(&holds),
            stopping.clone(),
        ));
        let _ = judges.0.set(Arc::downgrade(&checks));
        let pipelines = Arc::new(Pipelines::new(
            dynamic,
            Arc::new(Steps(Arc::clone(&runtime))),
            SchedulerLog::new(config.host.state.join(pipelines::LOG_FILE)),
            runtime.ended(),
        ));
        let alerts = Alerts::new(config.alerts.clone(), Arc::clone(&metrics));
        Ok(Arc::new(Self {
            config,
            secrets,
            forges,
            store,
            sandbox,
            gate,
            registry,
            runtime,
            pipelines,
            effects,
            checks,
            channels,
            backups,
            holds,
            access,
            recovering: tokio::sync::Mutex::default(),
            metrics,
            alerts,
            unsigned: Arc::default(),
            wake: Notify::new(),
            prepared: Notify::new(),
            news: broadcast::Sender::new(NEWS),
            repositories: Mutex::default(),
            changed: github::Changed::new(),
            beats: Beats {
                began: Instant::now(),
                schedule: AtomicU64::new(0),
                delivery: AtomicU64::new(0),
            },
            store_bytes: AtomicU64::new(0),
            badges: Mutex::default(),
            overrides: options.overrides,
            reloading: tokio::sync::Mutex::default(),
            seen,
            versions: Mutex::default(),
            stopping,
            ended: CancellationToken::new(),
            recorded: CancellationToken::new(),
            started_at: now(),
        }))
    }

    /// The routes over this host.
    pub fn router(self: &Arc<Self>) -> axum::Router {
        api::router(Arc::clone(self) as Arc<dyn ControlPlane>)
    }

    /// The plugins and agents in force.
    #[must_use]
    pub fn registry(&self) -> Arc<Registry> {
        self.registry.load_full()
    }

    /// The runtime, for benches.
    #[must_use]
    pub fn runtime(&self) -> &Arc<Runtime> {
        &self.runtime
    }

    /// The sandbox, for benches.
    #[must_use]
    pub fn sandbox(&self) -> &Arc<LocalSandbox> {
        &self.sandbox
    }

    /// Takes up what an earlier process left. What waits is started by a host that serves; a single command leaves it to the next one.
    ///
    /// # Errors
    /// When the store cannot be read or written.
    pub async fn begin(self: &Arc<Self>, serves: bool) -> anyhow::Result<()> {
        self.holds.recover().await?;
        if serves {
            self.first_version().await?;
        }
        self.runtime.recover(serves).await?;
        if serves {
            self.pipelines.recover().await?;
            self.checks.recover().await?;
        }
        Ok(())
    }

    /// Serves until `shutdown`: API, schedule and housekeeping. Then takes no more runs, lets those in progress end, and closes the store.
    ///
    /// # Errors
    /// When the address cannot be bound or the store cannot be closed.
    pub async fn serve(
        self: Arc<Self>,
        shutdown: impl Future<Output = ()> + Send,
        listening: impl FnOnce(SocketAddr),
    ) -> anyhow::Result<()> {
        let listen = self.config.host.listen;
        let listener = tokio::net::TcpListener::bind(listen)
            .await
            .with_context(|| {
                format!("cannot listen on {listen}; `--listen` or `PORT` choose another address")
            })?;
        let address = listener.local_addr()?;
        let mut own = vec![address];
        let mut parts = Vec::new();
        for (port, prefixes) in [
            (self.config.host.badge_port, BADGE_PATHS),
            (self.config.host.autodeploy_port, AUTODEPLOY_PATHS),
            (self.config.host.gateway_port, GATEWAY_PATHS),
        ] {
            let Some(port) = port else { continue };
            let further = SocketAddr::new(listen.ip(), port);
            let listener = tokio::net::TcpListener::bind(further)
                .await
                .with_context(|| format!("cannot listen on {further}; `badge_port`, `autodeploy_port` and `gateway_port` in `[host]` choose other ports"))?;
            own.push(further);
            parts.push((listener, prefixes));
        }
        let metrics = match self.config.host.metrics_listen {
            Some(address) => Some(tokio::net::TcpListener::bind(address).await.with_context(
                || format!("cannot listen on {address}; `metrics_listen` in `[host]` chooses another address"),
            )?),
            None => None,
        };
        own.extend(
            metrics
                .as_ref()
                .and_then(|listener| listener.local_addr().ok()),
        );
        self.gate.set_own_listeners(own);
        let tls = match &self.config.host.access.tls {
            Some(files) => Some(Arc::new(
                Tls::open(files.clone()).context("the API cannot be served over TLS")?,
            )),
            None => None,
        };
        let address_file = self.config.host.state.join(ADDRESS_FILE);
        std::fs::write(&address_file, address.to_string())
            .with_context(|| format!("`{}` cannot be written", address_file.display()))?;
        let socket = open_socket(&self.config.host.state)?;
        // Nothing runs before it is sure that this host serves.
        self.begin(true).await?;
        let tasks = TaskTracker::new();
        self.spawn_stages(&tasks);
        let journal = TaskTracker::new();
        let signing = TaskTracker::new();
        self.spawn_journal(&journal, &signing);
        let prepared = Arc::clone(&self);
        let snapshots = tokio::spawn(async move {
            prepared.runtime.prepare_snapshots().await;
            prepared.prepared.notify_one();
        });
        listening(address);
        let stopping = self.stopping.clone();
        let router = self.router();
        let mut further: Vec<(api::Listener, axum::Router)> = parts
            .into_iter()
            .map(|(listener, prefixes)| {
                let listener = api::Listener::Tcp(listener, tls.clone());
                (listener, api::part(router.clone(), prefixes))
            })
            .collect();
        further.extend(socket.map(|socket| (socket.into(), router.clone())));
        if let Some(listener) = metrics {
            // Over loopback nobody listens in, and who scrapes needs no certificate.
            let tls = tls.clone().filter(|_| {
                listener
                    .local_addr()
                    .is_ok_and(|own| !own.ip().is_loopback())
            });
            let router = api::inner(api::part(router.clone(), METRICS_PATHS));
            further.push((api::Listener::Tcp(listener, tls), router));
        }
        for (listener, router) in further {
            let stopping = stopping.clone();
            tasks.spawn(async move {
                let ended = async move { stopping.cancelled().await };
                if let Err(error) = api::serve(listener, router, ended).await {
                    tracing::error!("a further listener failed: {error}");
                }
            });
        }
        if let Some(tls) = tls.clone() {
            let stopping = stopping.clone();
            tasks.spawn(async move {
                tokio::select! {
                    () = tls.follow() => {}
                    () = stopping.cancelled() => {}
                }
            });
        }
        let listener = api::Listener::Tcp(listener, tls);
        let serving = tokio::spawn(api::serve(listener, router, {
            let stopping = stopping.clone();
            async move { stopping.cancelled().await }
        }));
        shutdown.await;
        tracing::info!(
            "stopping: runs in progress may end within {} s",
            DRAIN.as_secs()
        );
        stopping.cancel();
        snapshots.abort();
        self.pipelines.stop().await;
        self.runtime.stop(DRAIN).await;
        self.checks.close().await;
        tasks.close();
        tasks.wait().await;
        let _ = serving.await;
        // Last, so that what ended until now is in it.
        self.ended.cancel();
        journal.close();
        journal.wait().await;
        self.recorded.cancel();
        signing.close();
        signing.wait().await;
        let _ = std::fs::remove_file(address_file);
        let _ = std::fs::remove_file(self.config.host.state.join(SOCKET_FILE));
        if let Err(error) = self.access.guard.keep().await {
            tracing::warn!("what was counted of clients is not kept: {error}");
        }
        self.close().await
    }

    /// Starts everything that goes on by itself until the host stops.
    fn spawn_stages(self: &Arc<Self>, tasks: &TaskTracker) {
        let until_stopped = |work: std::pin::Pin<Box<dyn Future<Output = ()> + Send>>| {
            let stopping = self.stopping.clone();
            tasks.spawn(async move {
                tokio::select! {
                    () = work => {}
                    () = stopping.cancelled() => {}
                }
            });
        };
        let app = Arc::clone(self);
        until_stopped(Box::pin(async move {
            let ended = app.runtime.ended();
            schedule::run(&Scheduled(&app), &app.wake, &ended).await;
        }));
        let app = Arc::clone(self);
        until_stopped(Box::pin(async move {
            let announced = app.runtime.announced();
            delivery::run(&Posted(&app), &announced).await;
        }));
        let app = Arc::clone(self);
        until_stopped(Box::pin(async move {
            let proposed = app.runtime.proposed();
            // What waits from before is judged by policy, which is much faster from its snapshot.
            let _ = tokio::time::timeout(SNAPSHOT_PATIENCE, app.prepared.notified()).await;
            Arc::clone(&app.effects).run(&proposed).await;
        }));
        let app = Arc::clone(self);
        until_stopped(Box::pin(async move { app.watch_files().await }));
        let app = Arc::clone(self);
        until_stopped(Box::pin(async move { app.watch_crashes().await }));
        let app = Arc::clone(self);
        until_stopped(Box::pin(async move { app.follow_github().await }));
        let app = Arc::clone(self);
        until_stopped(Box::pin(async move { app.keep_house().await }));
        let app = Arc::clone(self);
        until_stopped(Box::pin(async move { app.watch_health().await }));
        let app = Arc::clone(self);
        until_stopped(Box::pin(async move { app.keep_counts().await }));
        until_stopped(Box::pin(Arc::clone(&self.backups).run()));
        let app = Arc::clone(self);
        until_stopped(Box::pin(async move { app.watch_secrets().await }));
        let app = Arc::clone(self);
        until_stopped(Box::pin(async move { app.watch_kill_file().await }));
        let app = Arc::clone(self);
        until_stopped(Box::pin(async move { app.watch_kill_signal().await }));
        let app = Arc::clone(self);
        let news = self.news.subscribe();
        until_stopped(Box::pin(async move { app.watch_triggers(news).await }));
        let app = Arc::clone(self);
        let news = self.news.subscribe();
        until_stopped(Box::pin(async move { app.watch_spend(news).await }));
        let app = Arc::clone(self);
        let news = self.news.subscribe();
        until_stopped(Box::pin(async move {
            app.alerts.run(app.as_ref(), app.store.as_ref(), news).await;
        }));
        let store = || Arc::clone(&self.store) as Arc<dyn Store>;
        until_stopped(Box::pin(observers::alert(
            store(),
            Arc::clone(&self.metrics),
            self.news.subscribe(),
        )));
        until_stopped(Box::pin(
            Arc::clone(&self.channels).follow_all(store(), self.news.clone()),
        ));
        until_stopped(Box::pin(observers::count(store())));
        until_stopped(Box::pin(observers::stream(store(), self.news.subscribe())));
    }

    /// Starts what brings the rest into the journal and out of it; it ends after everything else.
    fn spawn_journal(self: &Arc<Self>, tasks: &TaskTracker, signing: &TaskTracker) {
        let store = || Arc::clone(&self.store) as Arc<dyn Store>;
        let config = &self.config.host.access.journal;
        let state = &self.config.host.state;
        if !config.sealed {
            tracing::warn!("the journal is not encrypted: `seal_journal` in `[host]` is off");
        }
        tasks.spawn(self.access.calls.clone().run(self.ended.clone()));
        let views = Views::new(
            store(),
            Arc::clone(&self.access.guard),
            state,
            config.named_views,
        );
        tasks.spawn(views.run(self.ended.clone()));
        let file = config
            .checkpoints
            .clone()
            .unwrap_or_else(|| state.join(checkpoints::FILE));
        let effects = Arc::clone(&self.effects);
        let sign = Box::new(move |journal: &[u8], end| effects.checkpoint(journal, end));
        signing.spawn(
            Checkpoints::new(store(), &file, sign, Arc::clone(&self.unsigned))
                .run(self.recorded.clone()),
        );
    }

    /// Keeps what was counted of clients, where clients are counted.
    async fn keep_counts(&self) {
        loop {
            tokio::time::sleep(KEEP_COUNTS_EVERY).await;
            if self.access.keys.required()
                && let Err(error) = self.access.guard.keep().await
            {
                tracing::warn!("what was counted of clients is not kept: {error}");
            }
        }
    }

    /// The first key of a host that asks for one and has none, an admin's. It is shown this once.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn first_key(&self) -> anyhow::Result<Option<NewKey>> {
        let keys = &self.access.keys;
        if !keys.required()
            || !keys.list().is_empty()
            || self.config.host.variables.founder_api_key.is_some()
        {
            return Ok(None);
        }
        let request = KeyRequest {
            name: "admin".into(),
            role: Role::Admin,
            scopes: Vec::new(),
            lasts: None,
        };
        Ok(Some(keys.create(request, &Principal::local()).await?))
    }

    /// Ends what is still in progress and closes the store.
    ///
    /// # Errors
    /// When the last writes fail.
    pub async fn close(&self) -> anyhow::Result<()> {
        self.pipelines.stop().await;
        self.runtime.stop(Duration::ZERO).await;
        self.access.calls.flush(true).await?;
        self.store.close().await?;
        Ok(())
    }

    async fn keep_house(&self) {
        loop {
            match self.store.prune(retention(Timestamp::now())).await {
                Ok(pruned) => tracing::debug!("pruned: {pruned:?}"),
                Err(error) => tracing::warn!("the store could not be pruned: {error}"),
            }
            if let Err(error) = self.keep_budget().await {
                tracing::warn!(
                    "the state folder could not be kept within `state_budget`: {error:#}"
                );
            }
            tokio::time::sleep(PRUNE_EVERY).await;
        }
    }

    /// Keeps the state folder within its budget: compiled components go first, then files and records of the oldest runs.
    async fn keep_budget(&self) -> anyhow::Result<()> {
        let budget = self.registry.load().config.host.state_budget;
        let used = self.store.used().await?;
        self.store_bytes.store(used, Ordering::Relaxed);
        let sandbox = Arc::clone(&self.sandbox);
        let cached =
            tokio::task::spawn_blocking(move || sandbox.trim_cache(budget.saturating_sub(used)))
                .await??;
        if used + cached <= budget {
            return Ok(());
        }
        tracing::warn!(
            "the state folder takes {} bytes of {budget}: what the oldest runs left goes",
            used + cached
        );
        let left = self.store.shrink(budget.saturating_sub(cached)).await?;
        anyhow::ensure!(
            left + cached <= budget,
            "{} bytes are left that cannot go: keys of agents, events of seven days, dead letters",
            left + cached
        );
        Ok(())
    }

    /// Looks at all components every now and then, and says what it saw.
    async fn watch_health(&self) {
        let mut degraded_before = false;
        loop {
            self.look_at_repositories().await;
            tokio::time::sleep(HEALTH_EVERY).await;
            let checks = self.health().await;
            let degraded: Vec<&str> = checks
                .iter()
                .filter(|check| !check.ok)
                .map(|check| check.component.as_str())
                .collect();
            let host = |kind: &str, data| Event::new("/host".into(), kind, "host".into(), data);
            let mut events = vec![host(
                "system.health",
                json!({ "ok": degraded.is_empty(), "degraded": degraded, "checks": checks.len() }),
            )];
            if degraded.is_empty() == degraded_before {
                let word = if degraded_before {
                    "system.recovered"
                } else {
                    "system.degraded"
                };
                events.push(host(word, json!({ "degraded": degraded })));
                degraded_before = !degraded_before;
            }
            events.push(Event::new(
                "/agents".into(),
                "agent.heartbeat",
                "agents".into(),
                self.heartbeat(),
            ));
            for event in events {
                if let Err(error) = self.publish(event).await {
                    tracing::warn!("the host's health could not be announced: {error}");
                }
            }
        }
    }

    async fn look_at_repositories(&self) {
        let config = Arc::clone(&self.registry.load().config);
        for name in config.repositories.keys() {
            let mut standing = None;
            let look = async {
                let repository = self.forges.open(name)?;
                if let (Repository::Github(_), Some(github)) = (&repository, self.forges.github()) {
                    standing = Some(github.standing().await?);
                }
                match repository.objects().await?.resolve("HEAD").await {
                    Ok(commit) => Ok(format!("at {commit}")),
                    // One that was just made, for instance.
                    Err(ForgeError::NotFound(_)) => {
                        Ok("its default branch has no commits".to_owned())
                    }
                    Err(error) => Err(error),
                }
            };
            let found = tokio::time::timeout(HEALTH_EVERY / 3, look).await;
            let found = match found {
                Ok(found) => found.map_err(|error| error.to_string()),
                Err(_) => Err("did not answer in time".into()),
            };
            let mut repositories = self
                .repositories
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            let looked = repositories.entry(name.clone()).or_default();
            looked.ok = found.is_ok();
            if standing.is_some() {
                looked.standing = standing;
            }
            match found {
                Ok(detail) => {
                    looked.last_success = Some(now());
                    looked.detail = detail;
                }
                Err(why) => {
                    looked.last_error = Some((now(), why.clone()));
                    looked.detail = why;
                }
            }
        }
    }
}

/// What stays of the past.
fn retention(now: Timestamp) -> Retention {
    let since = |span: SignedDuration| now.checked_sub(span).unwrap_or(Timestamp::MIN);
    Retention {
        runs_per_agent: KEEP_RUNS,
        runs_since: since(KEEP_RUNS_FOR),
        runs_per_agent_max: KEEP_RUNS_MAX,
        executions_per_pipeline: KEEP_EXECUTIONS,
        checks_since: since(KEEP_CHECKS),
        alerts_since: since(KEEP_ALERTS),
        events_since: since(KEEP_EVENTS),
        effects_since: since(KEEP_EFFECTS),
        occurrences_since: since(KEEP_OCCURRENCES),
        logs_hot_since: since(KEEP_LOGS_HOT),
        logs_since: since(KEEP_LOGS),
    }
}

/// Which plugins are different, and how.
fn changes(before: &Registry, after: &Registry) -> Vec<(String, &'static str)> {
    let mut changes = Vec::new();
    for (name, plugin) in &after.plugins {
        match before.plugins.get(name) {
            None => changes.push((name.clone(), "added")),
            Some(known) if known.digest != plugin.digest => {
                changes.push((name.clone(), "replaced"));
            }
            Some(_) => {}
        }
    }
    let removed = before
        .plugins
        .keys()
        .filter(|name| !after.plugins.contains_key(*name));
    changes.extend(removed.map(|name| (name.clone(), "removed")));
    changes
}

/// Opens the store on a thread that may block: it checks and migrates files, and sqlx's migrator is no future that may move between threads.
async fn open_store(state: PathBuf, seals: bool) -> anyhow::Result<SqliteStore> {
    let handle = tokio::runtime::Handle::current();
    let opened =
        tokio::task::spawn_blocking(move || handle.block_on(SqliteStore::open_with(&state, seals)))
            .await?;
    Ok(opened?)
}

/// Who may call, as the configuration and the store say.
async fn open_access(config: &Config, store: &Arc<dyn Store>) -> anyhow::Result<Access> {
    let host = &config.host;
    for route in host.access.guard.rates.keys() {
        anyhow::ensure!(
            api::is_route(route),
            "`[[host.rate_limits]]` names the route `{route}`, which there is none of; `GET /openapi.json` lists them"
        );
    }
    let mut settings = host.access.guard.clone();
    // A lockout is enough against what runs on this machine, and a ban would keep its people out.
    settings.never_banned.extend([
        IpNet::new_assert([127, 0, 0, 0].into(), 8),
        IpNet::new_assert(Ipv6Addr::UNSPECIFIED.into(), 64),
    ]);
    let founder = host.variables.founder_api_key.as_ref();
    // A proxy in front of a loopback port is the network, too.
    // And who is reached by a name, over TLS, or by people who sign in, is reached from elsewhere.
    let required = !host.listen.ip().is_loopback()
        || host
            .metrics_listen
            .is_some_and(|address| !address.ip().is_loopback())
        || !host.access.trusted_proxies.is_empty()
        || !host.access.sign_in.is_empty()
        || host.access.tls.is_some()
        || host.access.url.is_some();
    let url = host.access.url.clone();
    if url.as_ref().is_some_and(|url| url.starts_with("http:")) && !host.listen.ip().is_loopback() {
        tracing::warn!("`url` of `[host]` is no `https`: keys and sessions travel in the clear");
    }
    if !host.access.journal.seals_backups {
        tracing::warn!("backups are not sealed, as `seal_backups` of `[host]` says");
    }
    let scheme = match host.access.tls {
        Some(_) => "https",
        None => "http",
    };
    for route in SIGN_IN_ROUTES {
        settings.rates.entry(route.into()).or_insert(SIGN_IN_RATE);
    }
    let guard = Arc::new(Guard::open(Arc::clone(store), settings).await?);
    // Browsers have passkeys for a name; where none is set this machine's own is it.
    let (origin, domain) = match &url {
        Some(url) => (
            url.clone(),
            url.parse::<http::Uri>()?.host().map(str::to_owned),
        ),
        None => (
            format!("{scheme}://localhost:{}", host.listen.port()),
            Some("localhost".to_owned()),
        ),
    };
    let passkeys = domain.and_then(|domain| match Passkeys::new(&domain, vec![origin]) {
        Ok(passkeys) => Some(passkeys),
        Err(error) => {
            tracing::warn!("there are no passkeys for `url` of `[host]`: {error}");
            None
        }
    });
    let providers: Vec<&str> = host.access.sign_in.keys().map(String::as_str).collect();
    Ok(Access {
        keys: access::keys::Keys::open(Arc::clone(store), founder.map(Secret::expose), required)
            .await?,
        sign_in: SignIn::new(config).context("providers cannot be asked")?,
        people: People::open(Arc::clone(store)).await?,
        sessions: Sessions::open(Arc::clone(store), &providers, guard.now()).await?,
        factor_for_changes: host.access.factor_for_changes,
        factors: Factors::open(Arc::clone(store), passkeys).await?,
        secure: host.access.tls.is_some()
            || url.as_ref().is_some_and(|url| url.starts_with("https:")),
        url,
        cors: host.access.cors.clone(),
        guard,
        calls: Calls::new(Arc::clone(store)),
        trusted_proxies: host.access.trusted_proxies.clone(),
        names: host.access.names.clone(),
    })
}

/// The socket in the state folder, for its owner alone; none where the path is too long for one, and there commands use the port.
fn open_socket(state: &Path) -> anyhow::Result<Option<UnixListener>> {
    let path = state.join(SOCKET_FILE);
    if path.as_os_str().len() > SOCKET_PATH_MAX {
        return Ok(None);
    }
    // The folder is locked by this process, so what is there is what a killed one left.
    let _ = std::fs::remove_file(&path);
    let listener = UnixListener::bind(&path)
        .with_context(|| format!("`{}` cannot be made", path.display()))?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))
        .with_context(|| format!("`{}` cannot be made private", path.display()))?;
    Ok(Some(listener))
}
