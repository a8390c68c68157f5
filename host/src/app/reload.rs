//! Takes up another configuration, other plugins and other policies while the host runs: one transaction from the file to what is in force.
//!
//! Read, checked, compiled, linked, compared with what is in force, judged by policy, tried, swapped whole. What is in progress ends on what it began with, unless that was taken back from it. A
//! mistake in an agent's entry disables that agent alone; anything else that is wrong leaves everything as it was.
//!
//! This file is the way from one to the other. `judge` says which change may take over, `watch` what becomes of it, `kept` has the components before it, and `control` is what people ask.

mod control;
mod judge;
mod kept;
mod watch;

use super::kill::host;
use super::secrets::Revealed;
use super::ways::{Boards, Judges, Keys, Panels};
use super::{App, WATCH_EVERY};
use crate::api::ConfigError;
use crate::config::{self, Config, ConfigErrors, Place};
use crate::forge::Forges;
use crate::forge::local::LocalForge;
use crate::forge::signing::SigningKey;
use crate::model::{Event, Principal, now};
use crate::registry::{self, Registry, Stamp, Surroundings};
use crate::reload::{self, AgentChange, Cause, ChangeState, ConfigVersion, Portrait, VersionState};
use crate::store::{PageRequest, Store, StoreError};
use anyhow::Context as _;
use kept::write_whole;
use serde_json::json;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};
use watch::{Watched, share};

/// Versions that are looked through for what waits or crashed.
const LOOK_BACK: u32 = 20;

/// Changes of one version that are recorded: beyond them they are counted.
const CHANGES_MAX: usize = 1_000;

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
        self.begin_as_before(&mut candidate, &past, &changes).await;
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
        let surroundings = self.surroundings(forges, previous);
        Registry::build(Arc::clone(config), &surroundings).await
    }

    /// What agents are built with.
    fn surroundings<'a>(
        &'a self,
        forges: &'a Forges,
        previous: Option<Arc<Registry>>,
    ) -> Surroundings<'a> {
        Surroundings {
            sandbox: self.sandbox.as_ref(),
            key_value: Arc::new(Keys(Arc::clone(&self.store) as Arc<dyn Store>)),
            threads: Arc::new(Boards {
                forges: self.forges.clone(),
                store: Arc::clone(&self.store) as Arc<dyn Store>,
            }),
            views: Arc::new(Panels(self.config.host.state.clone())),
            judge: Arc::new(Judges::of(&self.checks)),
            revealer: Arc::new(Revealed {
                secrets: Arc::clone(&self.secrets),
                store: Arc::clone(&self.store) as Arc<dyn Store>,
            }),
            forges,
            previous,
            progress: &|_| {},
        }
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
}

/// Whether a change is in the registry as it is: also of what cannot run.
fn is_in_force(change: &AgentChange) -> bool {
    matches!(change.state, ChangeState::Applied | ChangeState::Disabled)
}
