//! Takes up another configuration, other plugins and other policies while the host runs: one transaction from the file to what is in force.
//!
//! Read, checked, compiled, linked, compared with what is in force, judged by policy, tried, swapped whole. What is in progress ends on what it began with, unless that was taken back from it. A
//! mistake in an agent's entry disables that agent alone; anything else that is wrong leaves everything as it was.

use super::kill::host;
use super::secrets::Revealed;
use super::ways::{Boards, Judges, Keys, Panels, Policies, exporting};
use super::{App, WATCH_EVERY};
use crate::api::{ConfigCanary, ConfigError, ConfigStatus, NewConfig};
use crate::config::{self, Config, ConfigErrors, Place};
use crate::effects::Judge as _;
use crate::forge::Forges;
use crate::forge::local::LocalForge;
use crate::forge::signing::SigningKey;
use crate::model::{Event, Outcome, Principal, Run, now};
use crate::registry::{self, Agent, Canary, Refusal, Registry, Stamp, Surroundings};
use crate::reload::shadow::{self, Shadows, Verdict};
use crate::reload::{
    self, AgentChange, Cause, ChangeKind, ChangeState, ConfigVersion, Portrait, VersionState,
};
use crate::runtime;
use crate::sandbox::call::Call;
use crate::sandbox::meter::Meter;
use crate::sandbox::{Job, Sandbox as _};
use crate::store::{PageRequest, RunFilter, Store, StoreError};
use anyhow::Context as _;
use arc_swap::ArcSwap;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;

/// How long an agent's new version is watched once it has all of its runs: what crashes by itself does so within the first of them.
const WATCH_FOR: SignedDuration = SignedDuration::from_hours(1);

/// Versions that are looked through for what waits or crashed.
const LOOK_BACK: u32 = 20;

/// Changes of one version that are recorded: beyond them they are counted.
const CHANGES_MAX: usize = 1_000;

/// Runs that are looked through for inputs that differ.
const SHADOW_LOOK: u32 = 100;

/// After this long no further shadow run of an agent begins: somebody waits for the change.
const SHADOW_PATIENCE: Duration = Duration::from_secs(60);

/// People that policy can ask for.
const APPROVALS_MAX: u64 = 10;

/// The folder in the state folder with components that were replaced or removed.
const COMPONENTS: &str = "components";

/// Bytes of replaced components that are kept: twenty of the size of an interpreter.
const COMPONENTS_MAX_BYTES: u64 = 1 << 30;

/// What the host knows of its own versions.
#[derive(Default)]
pub(super) struct Versions {
    /// The number of the version in force; 0 before the first.
    pub(super) number: u64,
    /// What was last written of it.
    recorded: Option<ConfigVersion>,
    /// Why the file as it is now is not in force.
    pub(super) fault: Option<Vec<String>>,
    /// What the files looked like before the last version was made of them.
    seen: Option<Seen>,
    /// Agents whose new version is watched.
    watched: BTreeMap<String, Watched>,
    /// Portraits that crashed, and how often.
    crashed: BTreeMap<String, u32>,
}

/// An agent whose new version may crash.
struct Watched {
    previous: Arc<Agent>,
    digest: String,
    plugin_digest: String,
    since: Timestamp,
    until: Timestamp,
    crashes: u32,
}

/// What is asked of a reload.
pub(super) struct Asked {
    pub(super) cause: Cause,
    pub(super) principal: Principal,
    /// A text that is to take the file's place, if what it says is taken.
    pub(super) text: Option<String>,
    /// Whether it is only said what would change.
    pub(super) dry_run: bool,
}

impl Asked {
    pub(super) fn by_host(cause: Cause) -> Self {
        Self {
            cause,
            principal: host("reload"),
            text: None,
            dry_run: false,
        }
    }
}

/// Everything that is looked at for changes.
#[derive(Clone, Default, PartialEq, Eq)]
pub(super) struct Seen {
    file: Option<Stamp>,
    plugins: Vec<(PathBuf, Option<Stamp>)>,
    policies: Vec<(PathBuf, Option<Stamp>)>,
}

impl Seen {
    pub(super) fn look(config: &Config) -> Self {
        let mut folders: Vec<&PathBuf> = config
            .agents
            .values()
            .filter_map(|agent| agent.policies.as_ref())
            .collect();
        folders.sort();
        folders.dedup();
        Self {
            file: Stamp::of(&config.path),
            plugins: registry::fingerprint(&config.host.plugins, &config.supply.lock),
            policies: folders
                .into_iter()
                .flat_map(|folder| registry::policy_fingerprint(folder))
                .collect(),
        }
    }

    /// What is different, in the order of what explains most.
    fn cause(&self, before: &Self) -> Option<Cause> {
        if self.file != before.file {
            Some(Cause::File)
        } else if self.plugins != before.plugins {
            Some(Cause::Plugins)
        } else if self.policies != before.policies {
            Some(Cause::Policies)
        } else {
            None
        }
    }
}

impl App {
    fn versions(&self) -> std::sync::MutexGuard<'_, Versions> {
        self.versions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at the file, the plugins and the policies every second, and takes up what changed. Ends never.
    pub(super) async fn watch_files(&self) {
        let look = |config: Arc<Config>| tokio::task::spawn_blocking(move || Seen::look(&config));
        let current = || Arc::clone(&self.registry.load().config);
        let mut known = self.seen.clone();
        let config = current();
        let read = config::read(&config.path).map(|text| crate::sandbox::digest(text.as_bytes()));
        if read.is_ok_and(|digest| digest != config.digest) {
            // It changed between being read and now.
            known.file = None;
        }
        let mut before = known.clone();
        loop {
            let secrets = tokio::select! {
                () = tokio::time::sleep(WATCH_EVERY) => false,
                () = self.secrets.changed().notified() => true,
            };
            if secrets && let Err(error) = self.reload(Asked::by_host(Cause::Secrets)).await {
                tracing::warn!("what changed of secrets could not be taken up: {error}");
            }
            // A component is run while it is looked at.
            if self.holds.kill.is_engaged() {
                continue;
            }
            let now = look(current()).await.unwrap_or_default();
            // Once it looks the same twice nobody is in the middle of writing.
            let settled = now == before;
            before.clone_from(&now);
            let Some(cause) = now.cause(&known).filter(|_| settled) else {
                continue;
            };
            known = now;
            match self.reload(Asked::by_host(cause)).await {
                Ok(_) => {}
                Err(error) => {
                    tracing::warn!("what changed could not be taken up: {error}");
                }
            }
            // What is looked at may be named by what was just taken up.
            if let Some(seen) = self.versions().seen.take() {
                known = seen;
            }
        }
    }

    /// Records what the host begins with, and keeps back what waited, was refused or crashed when the last process ended.
    pub(super) async fn first_version(&self) -> Result<(), StoreError> {
        let page = PageRequest {
            limit: LOOK_BACK,
            cursor: None,
        };
        let past = self.store.versions(page).await?.items;
        let _one = self.reloading.lock().await;
        let began = Instant::now();
        let latest = past.first();
        if let Some(latest) = latest {
            let mut versions = self.versions();
            versions.number = latest.number;
            versions.recorded = Some(latest.clone());
            let changes = past.iter().flat_map(|version| &version.changes);
            versions.crashed = changes
                .filter(|change| change.state == ChangeState::RolledBack)
                .map(|change| (change.digest.clone(), self.rollback_after()))
                .collect();
        }
        let registry = self.registry.load_full();
        let mut portraits = reload::portraits(&registry);
        let mut candidate = Registry::clone(&registry);
        let mut changes = match latest {
            Some(latest) => {
                let changes = reload::changes(&latest.agents, &portraits);
                reload::keep_known(&changes, &latest.agents, &mut portraits);
                changes
            }
            None => Vec::new(),
        };
        self.judge_all(
            &mut changes,
            &registry,
            None,
            &mut candidate,
            &mut portraits,
            Cause::Start,
        )
        .await;
        let text = std::fs::read_to_string(&registry.config.path).unwrap_or_default();
        let version = self.version_of(
            &Asked::by_host(Cause::Start),
            &candidate,
            changes,
            portraits,
            (began, Duration::ZERO),
        );
        self.registry.store(Arc::new(candidate));
        self.record(version, text).await?;
        Ok(())
    }

    /// The whole way of a change. Answers the version as it was recorded, or as it would be.
    ///
    /// # Errors
    /// [`ConfigError::Mistakes`] when a text that was handed in is wrong; when the store fails.
    pub(super) async fn reload(&self, asked: Asked) -> Result<ConfigVersion, ConfigError> {
        let _one = self.reloading.lock().await;
        let began = Instant::now();
        let previous = self.registry.load_full();
        let file = Stamp::of(&previous.config.path);
        let read = self.read_config(&previous.config, asked.text.clone()).await;
        let (mut config, text) = match read {
            Ok(read) => read,
            Err(errors) => return self.not_taken(&asked, &previous, *errors).await,
        };
        let restart = config.keep_settled(&self.config);
        let left_out: Vec<String> = config
            .left_out
            .iter()
            .map(|error| error.brief(&config.path))
            .collect();
        let config = Arc::new(config);
        let looked = Arc::clone(&config);
        let seen = tokio::task::spawn_blocking(move || Seen::look(&looked)).await;
        let forges = match self.prepared_forges(&config).await {
            Ok(forges) => forges,
            Err(error) => {
                let problems = vec![format!("{error:#}")];
                return self.refused(&asked, &previous, problems, text).await;
            }
        };
        let mut candidate = self
            .candidate(&config, &forges, Some(Arc::clone(&previous)))
            .await;
        let mut portraits = reload::portraits(&candidate);
        let before = self.known_of(&previous);
        let mut changes = reload::changes(&before, &portraits);
        reload::keep_known(&changes, &before, &mut portraits);
        self.judge_all(
            &mut changes,
            &previous,
            Some(&previous),
            &mut candidate,
            &mut portraits,
            asked.cause,
        )
        .await;
        share(&mut changes, &previous, &mut candidate, asked.cause);
        if asked.dry_run {
            let mut version = self.version_of(
                &asked,
                &candidate,
                changes,
                portraits,
                (began, Duration::ZERO),
            );
            version.restart = restart;
            version.problems = left_out;
            return Ok(version);
        }
        if asked.text.is_some()
            && let Err(error) = write_whole(&config.path, text.as_bytes()).await
        {
            let problems = vec![format!(
                "`{}` cannot be written: {error}",
                config.path.display()
            )];
            return self.refused(&asked, &previous, problems, text).await;
        }
        self.keep_components(&previous, &candidate).await;
        let compiled = Instant::now();
        let candidate = Arc::new(candidate);
        self.swap(&candidate, &forges);
        let swapped = compiled.elapsed();
        let mut version = self.version_of(&asked, &candidate, changes, portraits, (began, swapped));
        version.restart = restart;
        for problem in &left_out {
            tracing::warn!("left out of the configuration: {problem}");
        }
        version.problems = left_out;
        version.prepare_ms = u64::try_from((compiled - began).as_millis()).unwrap_or(u64::MAX);
        self.watch_changes(&version, &previous, &candidate);
        {
            let mut versions = self.versions();
            versions.fault = None;
            // What changed since is seen at the next look.
            versions.seen = seen.ok().map(|seen| Seen { file, ..seen });
        }
        let plugins = super::changes(&previous, &candidate);
        let version = self.record(version, text).await?;
        self.announce_plugins(plugins, &candidate).await;
        // Where a snapshot is still being made an agent runs without it.
        let runtime = Arc::clone(&self.runtime);
        tokio::spawn(async move { runtime.prepare_snapshots().await });
        Ok(version)
    }

    /// The text and what it says; of the file unless one is given.
    async fn read_config(
        &self,
        current: &Arc<Config>,
        text: Option<String>,
    ) -> Result<(Config, String), Box<ConfigErrors>> {
        self.secrets.refresh().await;
        let (overrides, secrets) = (self.overrides.clone(), Arc::clone(&self.secrets));
        let path = current.path.clone();
        let read = move || {
            let environment = |name: &str| secrets.value(name);
            match text {
                // Who hands a text in gets every mistake at once, and changes nothing.
                Some(text) => {
                    let config = config::parse(&text, &path, &environment, &overrides)?;
                    Ok((config, text))
                }
                None => {
                    let text = config::read(&path)?;
                    let config = config::parse_tolerant(&text, &path, &environment, &overrides)?;
                    Ok((config, text))
                }
            }
        };
        match tokio::task::spawn_blocking(read).await {
            Ok(read) => read.map_err(Box::new),
            Err(_) => Err(Box::new(ConfigErrors::unreadable(
                &current.path,
                "reading it failed",
            ))),
        }
    }

    /// Nothing of a text is taken: it has mistakes.
    async fn not_taken(
        &self,
        asked: &Asked,
        previous: &Registry,
        errors: ConfigErrors,
    ) -> Result<ConfigVersion, ConfigError> {
        if asked.text.is_some() {
            return Err(ConfigError::Mistakes(Box::new(errors)));
        }
        let problems = errors
            .errors
            .iter()
            .map(|error| error.brief(&errors.path))
            .collect();
        // Credentials are masked in it.
        self.refused(asked, previous, problems, errors.text).await
    }

    /// Records that everything stays as it was, and why.
    async fn refused(
        &self,
        asked: &Asked,
        previous: &Registry,
        problems: Vec<String>,
        text: String,
    ) -> Result<ConfigVersion, ConfigError> {
        for problem in &problems {
            tracing::warn!("the configuration stays as it was: {problem}");
        }
        let mut version = self.version_of(
            asked,
            previous,
            Vec::new(),
            self.known_of(previous),
            (Instant::now(), Duration::ZERO),
        );
        version.state = VersionState::Refused;
        version.digest = crate::sandbox::digest(text.as_bytes());
        version.problems.clone_from(&problems);
        if asked.dry_run {
            return Ok(version);
        }
        self.versions().fault = Some(problems.clone());
        let event = Event::new(
            "/host".into(),
            "config.refused",
            "config".into(),
            json!({ "cause": asked.cause, "by": asked.principal, "problems": problems }),
        );
        version.number = self
            .store
            .put_version(version.clone(), text, vec![event])
            .await?;
        self.told();
        Ok(version)
    }

    fn told(&self) {
        self.runtime.announced().notify_one();
        let _ = self.news.send(());
    }

    /// Opens what a configuration names of repositories, and makes those that it asks for.
    async fn prepared_forges(&self, config: &Arc<Config>) -> anyhow::Result<Forges> {
        let known = Arc::clone(&self.registry.load().config);
        for repository in config.repositories.values() {
            let Place::Local { path, create: true } = &repository.place else {
                continue;
            };
            if known.repositories.get(&repository.name) == Some(repository) {
                continue;
            }
            let state = config.host.state.clone();
            let key = tokio::task::spawn_blocking(move || SigningKey::open(&state)).await??;
            LocalForge::create(&repository.name, path, &config.host.state, &key)
                .await
                .with_context(|| format!("the repository `{}` cannot be made", repository.name))?;
        }
        self.forges
            .with(Arc::clone(config))
            .context("GitHub cannot be reached")
    }

    /// Everything that a configuration names, built beside what is in force.
    async fn candidate(
        &self,
        config: &Arc<Config>,
        forges: &Forges,
        previous: Option<Arc<Registry>>,
    ) -> Registry {
        let surroundings = Surroundings {
            sandbox: self.sandbox.as_ref(),
            key_value: Arc::new(Keys(Arc::clone(&self.store) as Arc<dyn Store>)),
            threads: Arc::new(Boards {
                forges: self.forges.clone(),
                store: Arc::clone(&self.store) as Arc<dyn Store>,
            }),
            views: Arc::new(Panels(config.host.state.clone())),
            judge: Arc::new(Judges::of(&self.checks)),
            revealer: Arc::new(Revealed {
                secrets: Arc::clone(&self.secrets),
                store: Arc::clone(&self.store) as Arc<dyn Store>,
            }),
            forges,
            previous,
            progress: &|_| {},
        };
        Registry::build(Arc::clone(config), &surroundings).await
    }

    /// The agents of a registry; of one that cannot run it is known what it could do when it did.
    fn known_of(&self, registry: &Registry) -> BTreeMap<String, Portrait> {
        let mut portraits = reload::portraits(registry);
        if let Some(recorded) = &self.versions().recorded {
            for (name, portrait) in &mut portraits {
                if let Some(known) = recorded.agents.get(name) {
                    portrait.remember(known);
                }
            }
        }
        portraits
    }

    /// Judges each change, and puts the agent back as it was where the answer is not yes.
    async fn judge_all(
        &self,
        changes: &mut [AgentChange],
        in_force: &Arc<Registry>,
        previous: Option<&Arc<Registry>>,
        candidate: &mut Registry,
        portraits: &mut BTreeMap<String, Portrait>,
        cause: Cause,
    ) {
        let recorded = self.versions().recorded.clone();
        for change in changes.iter_mut() {
            // What does not run is not asked about, and what goes needs no leave.
            if change.state != ChangeState::Applied || change.kind == ChangeKind::Removed {
                continue;
            }
            let earlier = recorded.as_ref().and_then(|version| {
                let mut changes = version.changes.iter();
                changes.find(|earlier| earlier.digest == change.digest)
            });
            change.approvals = earlier.map_or_else(Vec::new, |earlier| earlier.approvals.clone());
            self.judge_one(change, in_force, candidate, cause).await;
            if change.state == ChangeState::Applied {
                continue;
            }
            let message = change.message.clone().unwrap_or_default();
            tracing::warn!(agent.name = %change.agent, "the agent `{}` stays as it was: {message}", change.agent);
            let before = previous.and_then(|previous| previous.agents.get(&change.agent));
            let kept = before.cloned().or_else(|| {
                let agent = candidate.agents.get(&change.agent)?;
                Some(Arc::new(agent.held(Refusal {
                    reason: match change.state {
                        ChangeState::Waiting => "approval".into(),
                        ChangeState::RolledBack => "rolled_back".into(),
                        _ => "policy".into(),
                    },
                    message,
                })))
            });
            if let Some(kept) = kept {
                match recorded.as_ref().filter(|_| before.is_none()) {
                    // Compared with what was in force before this process.
                    Some(recorded) => match recorded.agents.get(&change.agent) {
                        Some(was) => {
                            portraits.insert(change.agent.clone(), was.clone());
                        }
                        None => {
                            portraits.remove(&change.agent);
                        }
                    },
                    None => {
                        portraits.insert(change.agent.clone(), Portrait::of(&kept));
                    }
                }
                candidate.agents.insert(change.agent.clone(), kept);
            }
        }
    }

    async fn judge_one(
        &self,
        change: &mut AgentChange,
        in_force: &Arc<Registry>,
        candidate: &Registry,
        cause: Cause,
    ) {
        let refuse = |change: &mut AgentChange, state, message: String| {
            change.state = state;
            change.message = Some(message);
        };
        let crashed = self.versions().crashed.get(&change.digest).copied();
        if let Some(crashes) = crashed {
            let message = format!(
                "it crashed {crashes} times in a row and was rolled back; mend it, or take it all the same with `infinity config approve {}`",
                change.agent
            );
            if change.approvals.is_empty() {
                return refuse(change, ChangeState::RolledBack, message);
            }
        }
        let Some(agent) = candidate.agents.get(&change.agent) else {
            return;
        };
        if let Err(message) = self.tried(agent).await {
            return refuse(change, ChangeState::Refused, message);
        }
        match self
            .asked_policy(change, agent, in_force, candidate, cause)
            .await
        {
            Ok(0) => self.shadowed(change, agent, in_force).await,
            Ok(needed) => {
                change.approvals_needed = needed;
                let given = change.approvals.len();
                if given < needed as usize {
                    let message = format!(
                        "{given} of {needed} people approve that it {}; `infinity config approve {}`",
                        gained(change),
                        change.agent
                    );
                    refuse(change, ChangeState::Waiting, message);
                } else {
                    self.shadowed(change, agent, in_force).await;
                }
            }
            Err(message) => refuse(change, ChangeState::Refused, message),
        }
    }

    /// Has an agent's new version and the one in force work on the inputs of its latest runs, without consequences, and keeps it as it was where the new one ends worse.
    async fn shadowed(&self, change: &mut AgentChange, agent: &Arc<Agent>, in_force: &Registry) {
        let before = in_force.agents.get(&change.agent);
        let Some(before) = before.filter(|before| {
            agent.config.shadow > 0
                && agent.loaded.is_ok()
                && before.loaded.is_ok()
                && !Arc::ptr_eq(before, agent)
        }) else {
            return;
        };
        let filter = RunFilter {
            agent: Some(change.agent.clone()),
            ended: Some(true),
            ..RunFilter::default()
        };
        let page = PageRequest {
            limit: SHADOW_LOOK,
            cursor: None,
        };
        let recorded = match self.store.runs(filter, page).await {
            Ok(page) => page.items,
            Err(error) => {
                tracing::warn!(agent.name = %change.agent, "the inputs of `{}` cannot be read, so its new version is not tried on them: {error}", change.agent);
                return;
            }
        };
        let began = Instant::now();
        let mut inputs: Vec<Value> = Vec::new();
        let mut shadows = Shadows::default();
        for run in recorded {
            if shadows.runs >= agent.config.shadow || began.elapsed() > SHADOW_PATIENCE {
                break;
            }
            // A request that was answered has no input that could be handed in again.
            let asked = matches!(run.outcome, Some(Outcome::Succeeded | Outcome::Failed))
                && !runtime::is_request(&run);
            if !asked || inputs.contains(&run.input) {
                continue;
            }
            inputs.push(run.input.clone());
            let was = self.runtime.shadow(before, &run).await;
            let is = self.runtime.shadow(agent, &run).await;
            // Whoever throws the kill switch ends these, too.
            if self.holds.kill.is_engaged() {
                break;
            }
            shadows.runs += 1;
            shadows.reach(&is.reached);
            match shadow::verdict(&was, &is) {
                Verdict::Same => {}
                Verdict::Different => shadows.different += 1,
                Verdict::Worse(how) => {
                    shadows.different += 1;
                    change.state = ChangeState::Refused;
                    change.message = Some(format!(
                        "a shadow run on the input of run {} says no: {how}; mend it, or take `shadow` out of its entry to have it all the same",
                        run.id
                    ));
                    break;
                }
            }
        }
        change.shadows = Some(shadows);
    }

    /// Whether an agent with policies can load them: those in force stay otherwise.
    async fn tried(&self, agent: &Arc<Agent>) -> Result<(), String> {
        let (Some(_), Ok(loaded)) = (&agent.config.policies, &agent.loaded) else {
            return Ok(());
        };
        let decides = loaded
            .inspection
            .exports
            .iter()
            .any(|export| export.starts_with("infinity:agent/policy@"));
        if !decides {
            return Ok(());
        }
        let call = Call::Query {
            query: "1".into(),
            input: "{}".into(),
        };
        let job = Job {
            meter: Arc::new(Meter::new(agent.config.limits.clone())),
            capabilities: Arc::clone(&agent.capabilities),
            cancel: CancellationToken::new(),
        };
        match self.sandbox.call(loaded, call, job).await.result {
            Ok(crate::sandbox::call::Answer::Error(message)) => Err(message),
            Ok(_) => Ok(()),
            Err(stop) => Err(stop.message),
        }
    }

    /// How many people have to approve a change by `config` of the policies in force; an error where they refuse it. Where no policy speaks of it, nobody has to.
    async fn asked_policy(
        &self,
        change: &AgentChange,
        agent: &Agent,
        in_force: &Arc<Registry>,
        candidate: &Registry,
        cause: Cause,
    ) -> Result<u32, String> {
        let decides = |registry: &Registry| {
            exporting(registry, "infinity:agent/policy@", |agent| {
                agent.config.policies.is_some()
            })
            .is_some()
        };
        // Those in force, so that no policy lets itself in; where none runs, those that come.
        let judges = if decides(in_force) {
            Arc::clone(in_force)
        } else if decides(candidate) {
            Arc::new(candidate.clone())
        } else {
            return Ok(0);
        };
        let policies = Policies {
            registry: Arc::new(ArcSwap::new(judges)),
            sandbox: Arc::clone(&self.sandbox),
        };
        let repositories: BTreeMap<&str, Value> = agent
            .config
            .grants
            .repositories
            .iter()
            .filter_map(|grant| {
                let repository = candidate.config.repositories.get(&grant.name)?;
                let environment = repository.environment.as_str();
                Some((grant.name.as_str(), json!({ "environment": environment })))
            })
            .collect();
        let plugin = agent.plugin.as_ref();
        let input = json!({
            "agent": change.agent, "kind": change.kind, "cause": cause,
            "keys": change.keys, "gains": change.gains, "loses": change.loses,
            "plugin": { "name": agent.config.plugin, "digest": plugin.map(|plugin| &plugin.digest),
                "source": plugin.and_then(|plugin| plugin.source.as_ref()), "signed_by": plugin.and_then(|plugin| plugin.signed_by.as_ref()) },
            "autonomy": agent.config.autonomy.as_str(),
            "repositories": repositories,
        });
        let unanswered = |why: String| format!("the policies `config` did not answer: {why}");
        let said = policies.query("data.config", &input).await;
        let Some(said) = said.map_err(unanswered)? else {
            return Ok(0);
        };
        let decision = policies
            .evaluate("config", &input)
            .await
            .map_err(unanswered)?;
        if !decision.allowed {
            let said: Vec<String> = decision
                .denials
                .iter()
                .map(|denial| format!("{} [{}]", denial.message, denial.rule))
                .collect();
            return Err(said.join("; "));
        }
        let needed = match said.get("approvals") {
            None => 0,
            Some(needed) => needed
                .as_u64()
                .filter(|needed| *needed <= APPROVALS_MAX)
                .ok_or_else(|| {
                    format!(
                        "policy's `config.approvals` is {needed}, not a number from 0 to {APPROVALS_MAX}"
                    )
                })?,
        };
        Ok(u32::try_from(needed).unwrap_or(u32::MAX))
    }

    /// Puts another registry in force, and everything that goes with it. Nothing waits here.
    fn swap(&self, candidate: &Arc<Registry>, forges: &Forges) {
        self.forges.adopt(forges);
        self.channels.adopt(Arc::clone(&candidate.config));
        self.alerts.adopt(&candidate.config.alerts);
        self.backups.adopt(candidate.config.backup.as_ref());
        self.holds
            .set_maintenance(candidate.config.host.maintenance.clone());
        self.registry.store(Arc::clone(candidate));
        let at = Instant::now();
        self.runtime.revoke(|agent| {
            if candidate.is_in_force(agent, at) {
                None
            } else {
                let current = candidate.agents.get(agent.config.name.as_str());
                reload::lost(agent, current)
            }
        });
        self.wake.notify_one();
        self.told();
    }

    fn version_of(
        &self,
        asked: &Asked,
        registry: &Registry,
        mut changes: Vec<AgentChange>,
        agents: BTreeMap<String, Portrait>,
        (began, swapped): (Instant, Duration),
    ) -> ConfigVersion {
        changes.truncate(CHANGES_MAX);
        let plugins = registry.plugins.iter();
        ConfigVersion {
            number: 0,
            at: now(),
            cause: asked.cause,
            principal: asked.principal.clone(),
            state: VersionState::Applied,
            digest: registry.config.digest.clone(),
            problems: Vec::new(),
            changes,
            plugins: plugins
                .map(|(name, plugin)| (name.clone(), plugin.digest.clone()))
                .collect(),
            agents,
            restart: Vec::new(),
            prepare_ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
            swap_us: u64::try_from(swapped.as_micros()).unwrap_or(u64::MAX),
        }
    }

    /// Writes a version down, if it is another one than the last.
    async fn record(
        &self,
        mut version: ConfigVersion,
        text: String,
    ) -> Result<ConfigVersion, StoreError> {
        let known = self.versions().recorded.clone();
        if let Some(known) = known {
            let waits = |version: &ConfigVersion| -> Vec<(String, ChangeState, usize)> {
                version
                    .changes
                    .iter()
                    .filter(|change| !is_in_force(change))
                    .map(|change| (change.digest.clone(), change.state, change.approvals.len()))
                    .collect()
            };
            let applied = version.changes.iter().any(is_in_force);
            let same = known.digest == version.digest
                && known.plugins == version.plugins
                && !applied
                && waits(&known) == waits(&version)
                && known.restart == version.restart
                && known.problems == version.problems
                && known.state == version.state;
            if same {
                version.number = known.number;
                return Ok(version);
            }
        }
        // Nothing happened where a host starts as it was, or for the first time.
        let quiet = version.cause == Cause::Start && version.changes.is_empty();
        let mut events = vec![Event::new(
            "/host".into(),
            "config.applied",
            "config".into(),
            json!({
                "cause": version.cause, "by": version.principal, "digest": version.digest,
                "agents": version.changes.iter().map(|change| json!({
                    "agent": change.agent, "kind": change.kind, "state": change.state, "message": change.message,
                    "shadows": change.shadows, "canary_percent": change.canary_percent,
                })).collect::<Vec<_>>(),
                "restart": version.restart,
            }),
        )];
        if quiet {
            events.clear();
        }
        let waiting = version
            .changes
            .iter()
            .filter(|change| change.state == ChangeState::Waiting);
        events.extend(waiting.map(|change| {
            Event::new(
                format!("/agents/{}", change.agent),
                "config.waiting",
                change.agent.clone(),
                json!({ "agent": change.agent, "gains": change.gains, "approvals_needed": change.approvals_needed }),
            )
        }));
        version.number = self
            .store
            .put_version(version.clone(), text, events)
            .await?;
        let mut versions = self.versions();
        versions.number = version.number;
        versions.recorded = Some(version.clone());
        drop(versions);
        self.told();
        tracing::info!(
            "version {} of the configuration is in force: {} agents are different",
            version.number,
            version.changes.len()
        );
        Ok(version)
    }

    /// Remembers whose new version is watched, with what would take its place.
    fn watch_changes(&self, version: &ConfigVersion, before: &Registry, after: &Registry) {
        let mut versions = self.versions();
        for change in &version.changes {
            if change.state != ChangeState::Applied {
                continue;
            }
            versions.watched.remove(&change.agent);
            let (Some(previous), Some(current)) = (
                before.agents.get(&change.agent),
                after.agents.get(&change.agent),
            ) else {
                continue;
            };
            if previous.loaded.is_err() || !previous.config.enabled {
                continue;
            }
            let since = now();
            let canary = change.canary_percent.and(current.config.canary.as_ref());
            let shared = canary.map_or(Duration::ZERO, |canary| canary.lasts);
            let until = SignedDuration::try_from(shared)
                .ok()
                .and_then(|shared| since.checked_add(WATCH_FOR + shared).ok());
            let watched = Watched {
                previous: Arc::clone(previous),
                digest: change.digest.clone(),
                plugin_digest: current
                    .plugin
                    .as_ref()
                    .map_or_else(String::new, |plugin| plugin.digest.clone()),
                since,
                until: until.unwrap_or(Timestamp::MAX),
                crashes: 0,
            };
            versions.watched.insert(change.agent.clone(), watched);
        }
    }

    fn rollback_after(&self) -> u32 {
        self.registry.load().config.host.rollback_after
    }

    /// Looks at how runs of new versions end, and goes back where they crash. Ends never.
    pub(super) async fn watch_crashes(&self) {
        let mut ended = self.runtime.outcomes();
        loop {
            let run = match ended.recv().await {
                Ok(run) => run,
                Err(RecvError::Lagged(_)) => continue,
                Err(RecvError::Closed) => return std::future::pending().await,
            };
            if let Some(watched) = self.crashed(&run)
                && let Err(error) = self.roll_back(&run.agent, watched).await
            {
                tracing::error!(
                    "the agent `{}` could not be rolled back: {error}",
                    run.agent
                );
            }
        }
    }

    /// Counts a run of a watched agent; answers what to go back from when it was one crash too many.
    fn crashed(&self, run: &Run) -> Option<Watched> {
        let most = self.rollback_after();
        let mut versions = self.versions();
        let watched = versions.watched.get_mut(&run.agent)?;
        if now() > watched.until {
            versions.watched.remove(&run.agent);
            return None;
        }
        // What began before goes on with what it began with.
        let its = run.plugin_digest == watched.plugin_digest
            && run
                .started_at
                .is_some_and(|started| started >= watched.since);
        match run.outcome {
            _ if !its => {}
            Some(Outcome::Trapped | Outcome::Limited | Outcome::Refused | Outcome::HostError) => {
                watched.crashes += 1;
                if watched.crashes >= most {
                    return versions.watched.remove(&run.agent);
                }
            }
            Some(Outcome::Succeeded | Outcome::Failed) => watched.crashes = 0,
            _ => {}
        }
        None
    }

    /// Puts an agent back as it was before its latest change.
    async fn roll_back(&self, agent: &str, watched: Watched) -> Result<(), StoreError> {
        let _one = self.reloading.lock().await;
        let registry = self.registry.load_full();
        let current = registry.agents.get(agent);
        // Meanwhile it may be another one.
        if current.is_none_or(|current| Portrait::of(current).digest != watched.digest) {
            return Ok(());
        }
        let mut back = Registry::clone(&registry);
        back.agents
            .insert(agent.to_owned(), Arc::clone(&watched.previous));
        back.canaries.remove(agent);
        let back = Arc::new(back);
        let forges = self.forges.clone();
        self.swap(&back, &forges);
        let message = format!(
            "it crashed {} times in a row and was rolled back; mend it, or take it all the same with `infinity config approve {agent}`",
            watched.crashes
        );
        tracing::error!(agent.name = %agent, "the agent `{agent}` is as it was before: {message}");
        let portraits = self.known_of(&back);
        let change = AgentChange {
            agent: agent.to_owned(),
            kind: ChangeKind::Changed,
            keys: Vec::new(),
            gains: Vec::new(),
            loses: Vec::new(),
            state: ChangeState::RolledBack,
            message: Some(message.clone()),
            digest: watched.digest.clone(),
            approvals_needed: 1,
            approvals: Vec::new(),
            shadows: None,
            canary_percent: None,
        };
        let mut asked = Asked::by_host(Cause::Crashes);
        asked.principal = host("rollback");
        let version = self.version_of(
            &asked,
            &back,
            vec![change],
            portraits,
            (Instant::now(), Duration::ZERO),
        );
        self.versions()
            .crashed
            .insert(watched.digest, watched.crashes);
        // Runs of the new version took the agent towards quarantine.
        self.runtime.forgive(agent);
        let text = std::fs::read_to_string(&back.config.path).unwrap_or_default();
        self.record(version, text).await?;
        let event = Event::new(
            format!("/agents/{agent}"),
            "config.rolled_back",
            agent.to_owned(),
            json!({ "agent": agent, "message": message }),
        );
        self.store.publish(event).await?;
        self.told();
        Ok(())
    }

    /// Keeps components that are replaced or gone, so that one can go back to them.
    async fn keep_components(&self, before: &Registry, after: &Registry) {
        let folder = after.config.host.state.join(COMPONENTS);
        for (name, plugin) in &before.plugins {
            let now = after.plugins.get(name).map(|plugin| &plugin.digest);
            if now == Some(&plugin.digest) || plugin.inspection.is_err() {
                continue;
            }
            let (folder, plugin) = (folder.clone(), Arc::clone(plugin));
            let kept = tokio::task::spawn_blocking(move || keep_component(&folder, &plugin)).await;
            match kept {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    tracing::warn!("the replaced component of `{name}` is not kept: {error}");
                }
                Err(error) => {
                    tracing::warn!("the replaced component of `{name}` is not kept: {error}");
                }
            }
        }
    }

    async fn announce_plugins(&self, changed: Vec<(String, &'static str)>, registry: &Registry) {
        for (plugin, word) in changed {
            let agents = registry.agents.values();
            let reloaded = agents
                .filter(|agent| word == "replaced" && agent.config.plugin == plugin)
                .map(|agent| {
                    let agent = agent.config.name.as_str();
                    let data = json!({ "agent": agent, "plugin": plugin });
                    Event::new(
                        format!("/agents/{agent}"),
                        "agent.reloaded",
                        agent.to_owned(),
                        data,
                    )
                });
            let mut events: Vec<Event> = reloaded.collect();
            tracing::info!(plugin.name = %plugin, "the plugin `{plugin}` was {word}");
            events.push(Event::new(
                "/host".into(),
                format!("system.plugin-{word}"),
                plugin.clone(),
                json!({ "plugin": plugin }),
            ));
            for event in events {
                if let Err(error) = self.store.publish(event).await {
                    tracing::warn!("that `{plugin}` was {word} could not be announced: {error}");
                }
            }
            self.told();
        }
    }

    /// What is in force, and what is not.
    pub(super) fn status_of_config(&self) -> ConfigStatus {
        let registry = self.registry.load();
        let versions = self.versions();
        let recorded = versions.recorded.as_ref();
        ConfigStatus {
            version: versions.number,
            path: registry.config.path.display().to_string(),
            digest: registry.config.digest.clone(),
            since: recorded.map_or(self.started_at, |version| version.at),
            problems: match (&versions.fault, recorded) {
                (Some(fault), _) => fault.clone(),
                (None, Some(version)) => version.problems.clone(),
                (None, None) => Vec::new(),
            },
            held: held(recorded, &registry),
            restart: recorded.map_or_else(Vec::new, |version| version.restart.clone()),
            draining: self.runtime.draining() as u64,
            canaries: canaries(&registry),
        }
    }

    /// Takes a text in the file's place, or says what it would change.
    pub(super) async fn apply_text(&self, new: NewConfig) -> Result<ConfigVersion, ConfigError> {
        self.reload(Asked {
            cause: Cause::Apply,
            principal: new.principal,
            text: Some(new.text),
            dry_run: new.dry_run,
        })
        .await
    }

    /// Goes back to the text and the components of an earlier version.
    pub(super) async fn go_back(
        &self,
        number: u64,
        principal: Principal,
    ) -> Result<ConfigVersion, ConfigError> {
        let Some((version, text)) = self.store.version(number).await? else {
            return Err(ConfigError::NotFound);
        };
        if version.state != VersionState::Applied {
            return Err(ConfigError::Refused(format!(
                "version {number} was never in force"
            )));
        }
        let registry = self.registry.load_full();
        let folder = registry.config.host.plugins.clone();
        let kept = registry.config.host.state.join(COMPONENTS);
        let mut restored = Vec::new();
        for (name, digest) in &version.plugins {
            let now = registry.plugins.get(name).map(|plugin| &plugin.digest);
            if now == Some(digest) || digest.is_empty() {
                continue;
            }
            let file = kept.join(component_name(digest));
            if !file.is_file() {
                return Err(ConfigError::Refused(format!(
                    "the component {digest} of the plugin `{name}` is not kept any more; put it into `{}` and go back to the text with `infinity config apply`",
                    folder.display()
                )));
            }
            restored.push((file, folder.join(format!("{name}.wasm")), digest.clone()));
        }
        // Checked before a file is touched.
        let dry = self
            .reload(Asked {
                cause: Cause::Rollback,
                principal: principal.clone(),
                text: Some(text.clone()),
                dry_run: true,
            })
            .await?;
        if dry.state == VersionState::Refused {
            return Ok(dry);
        }
        for (from, to, digest) in restored {
            let bytes = tokio::fs::read(&from).await.map_err(|error| {
                ConfigError::Refused(format!("`{}` cannot be read: {error}", from.display()))
            })?;
            if crate::sandbox::digest(&bytes) != digest {
                return Err(ConfigError::Refused(format!(
                    "`{}` is damaged: it is not {digest}",
                    from.display()
                )));
            }
            write_whole(&to, &bytes).await.map_err(|error| {
                ConfigError::Refused(format!("`{}` cannot be written: {error}", to.display()))
            })?;
        }
        self.reload(Asked {
            cause: Cause::Rollback,
            principal,
            text: Some(text),
            dry_run: false,
        })
        .await
    }

    /// Adds a person's approval to what an agent waits for, and takes it up if that was the last.
    pub(super) async fn approve_change(
        &self,
        agent: &str,
        digest: Option<&str>,
        principal: Principal,
    ) -> Result<ConfigVersion, ConfigError> {
        let approved = {
            let _one = self.reloading.lock().await;
            let recorded = self.versions().recorded.clone();
            let Some(mut version) = recorded else {
                return Err(ConfigError::NotFound);
            };
            let waits = version.changes.iter_mut().find(|change| {
                change.agent == agent
                    && matches!(change.state, ChangeState::Waiting | ChangeState::RolledBack)
            });
            let Some(change) = waits else {
                return Err(ConfigError::NotFound);
            };
            // What people saw is what they approve.
            if digest.is_some_and(|digest| digest != change.digest) {
                return Err(ConfigError::Changed);
            }
            if change.approvals.contains(&principal) {
                return Err(ConfigError::Refused(
                    "you have approved it already; another person has to".into(),
                ));
            }
            change.approvals.push(principal.clone());
            let event = Event::new(
                format!("/agents/{agent}"),
                "config.approved",
                agent.to_owned(),
                json!({ "agent": agent, "by": principal, "digest": change.digest }),
            );
            self.store
                .update_version(version.clone(), vec![event])
                .await?;
            self.versions().recorded = Some(version.clone());
            version
        };
        self.told();
        let mut asked = Asked::by_host(Cause::Approval);
        asked.principal = principal;
        let taken = self.reload(asked).await?;
        Ok(if taken.number == 0 { approved } else { taken })
    }
}

/// Leaves a part of the runs to the component before, where the agent says so and may still do all that it could. Whoever goes back to a version wants it at once.
fn share(changes: &mut [AgentChange], previous: &Registry, candidate: &mut Registry, cause: Cause) {
    // What is asked of components now was not asked of the one before.
    if previous.config.supply != candidate.config.supply {
        return;
    }
    let now = Instant::now();
    for (name, canary) in &previous.canaries {
        let same = match (previous.agents.get(name), candidate.agents.get(name)) {
            (Some(before), Some(after)) => Arc::ptr_eq(before, after),
            _ => false,
        };
        if same && now < canary.until {
            candidate.canaries.insert(name.clone(), canary.clone());
        }
    }
    if cause == Cause::Rollback {
        return;
    }
    for change in changes {
        let (Some(before), Some(after)) = (
            previous.agents.get(&change.agent),
            candidate.agents.get(&change.agent),
        ) else {
            continue;
        };
        let digest = |agent: &Agent| agent.plugin.as_ref().map(|plugin| plugin.digest.clone());
        let shares = change.state == ChangeState::Applied
            && before.loaded.is_ok()
            && before.config.enabled
            && digest(before) != digest(after)
            && reload::lost(before, Some(after)).is_none();
        let Some(canary) = after.config.canary.as_ref().filter(|_| shares) else {
            continue;
        };
        change.canary_percent = Some(canary.percent);
        candidate.canaries.insert(
            change.agent.clone(),
            Canary {
                before: Arc::clone(before),
                config_digest: previous.config.digest.clone(),
                percent: canary.percent,
                until: now + canary.lasts,
            },
        );
    }
}

/// Whether a change is in the registry as it is: also of what cannot run.
fn is_in_force(change: &AgentChange) -> bool {
    matches!(change.state, ChangeState::Applied | ChangeState::Disabled)
}

/// What is not as the file says: what the latest version kept back, and what cannot run, since whenever.
fn held(recorded: Option<&ConfigVersion>, registry: &Registry) -> Vec<AgentChange> {
    let changes = recorded.into_iter().flat_map(|version| &version.changes);
    let mut held: Vec<AgentChange> = changes
        .filter(|change| !is_in_force(change))
        .cloned()
        .collect();
    for (name, agent) in &registry.agents {
        let Err(refusal) = &agent.loaded else {
            continue;
        };
        if !agent.config.enabled || held.iter().any(|change| change.agent == *name) {
            continue;
        }
        held.push(AgentChange {
            agent: name.clone(),
            kind: ChangeKind::Changed,
            keys: Vec::new(),
            gains: Vec::new(),
            loses: Vec::new(),
            state: ChangeState::Disabled,
            message: Some(refusal.message.clone()),
            digest: Portrait::of(agent).digest,
            approvals_needed: 0,
            approvals: Vec::new(),
            shadows: None,
            canary_percent: None,
        });
    }
    held
}

/// New components that have a part of the runs only.
fn canaries(registry: &Registry) -> Vec<ConfigCanary> {
    let (at, now) = (Instant::now(), now());
    let canaries = registry.canaries.iter();
    canaries
        .filter(|(_, canary)| at < canary.until)
        .map(|(agent, canary)| {
            let left = SignedDuration::try_from(canary.until - at).unwrap_or_default();
            ConfigCanary {
                agent: agent.clone(),
                percent: canary.percent,
                until: now.checked_add(left).unwrap_or(Timestamp::MAX),
            }
        })
        .collect()
}

/// What a person approves, in a few words.
fn gained(change: &AgentChange) -> String {
    match change.gains.as_slice() {
        [] => "changes".into(),
        [one] => format!("may `{one}`"),
        [one, rest @ ..] => format!("may `{one}` and {} more", rest.len()),
    }
}

fn component_name(digest: &str) -> String {
    let hex = digest.strip_prefix("sha256:").unwrap_or(digest);
    format!("{hex}.wasm")
}

fn keep_component(folder: &Path, plugin: &registry::Plugin) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)?;
    let file = folder.join(component_name(&plugin.digest));
    if !file.exists() {
        write_whole_now(&file, plugin.bytes())?;
    }
    // The oldest go first.
    let mut kept: Vec<(std::time::SystemTime, u64, PathBuf)> = std::fs::read_dir(folder)?
        .flatten()
        .filter_map(|entry| {
            let metadata = entry.metadata().ok()?;
            Some((metadata.modified().ok()?, metadata.len(), entry.path()))
        })
        .collect();
    kept.sort();
    let mut bytes: u64 = kept.iter().map(|(_, size, _)| size).sum();
    for (_, size, path) in kept {
        if bytes <= COMPONENTS_MAX_BYTES || path == file {
            break;
        }
        std::fs::remove_file(&path)?;
        bytes -= size;
    }
    Ok(())
}

/// Writes a file such that it is there whole or as it was: beside it, to the disk, in its place.
async fn write_whole(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let (path, bytes) = (path.to_owned(), bytes.to_vec());
    tokio::task::spawn_blocking(move || write_whole_now(&path, &bytes))
        .await
        .map_err(std::io::Error::other)?
}

fn write_whole_now(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    use std::io::Write as _;
    // A link stays one.
    let path = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let folder = path.parent().unwrap_or_else(|| Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(bytes)?;
    if let Ok(metadata) = std::fs::metadata(&path) {
        file.as_file().set_permissions(metadata.permissions())?;
    } else {
        use std::os::unix::fs::PermissionsExt as _;
        file.as_file()
            .set_permissions(std::fs::Permissions::from_mode(0o644))?;
    }
    file.as_file().sync_all()?;
    file.persist(&path)?;
    std::fs::File::open(folder)?.sync_all()
}
