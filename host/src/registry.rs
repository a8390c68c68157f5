//! Turns the configuration and the folder of plugins into the agents in force: found, hashed, inspected, compiled and linked, each with what it may reach.
//!
//! A registry is immutable; a new one replaces it whole. A plugin or agent that cannot run is in it with the reason, so that one bad entry disables itself alone. The
//! registry knows no runs and no time.

use crate::config::{AgentConfig, Config, DisabledAgent, SupplyConfig};
use crate::forge::{Forge, Forges, Threads};
use crate::sandbox::checks::Judge;
use crate::sandbox::files::Directory;
use crate::sandbox::http::{Credential, HttpGrant};
use crate::sandbox::inspect::{Inspection, World, inspect};
use crate::sandbox::key_value::KeyValue;
use crate::sandbox::secrets::Reveals;
use crate::sandbox::state::Capabilities;
use crate::sandbox::views::Views;
use crate::sandbox::{InitFile, InitInput, LoadError, LoadRequest, Loaded, Sandbox, digest};
use crate::supply::Supply;
use bytes::Bytes;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;
use uuid::Uuid;

/// The largest component, in bytes: a CPython component has some 40 MiB.
pub const COMPONENT_MAX_BYTES: u64 = 128 * 1024 * 1024;

/// Plugins in the folder; more than anybody wrote, and a bound for a folder that was named by mistake.
pub const PLUGINS_MAX: usize = 1_000;

/// All files together that one agent's `policies` hand to `init`, in bytes.
const INIT_MAX_BYTES: u64 = 16 * 1024 * 1024;

/// Files of one agent's `policies`.
const INIT_MAX_FILES: usize = 2_000;

/// How deep `policies` may be nested.
const INIT_MAX_DEPTH: usize = 16;

/// A component that was found.
pub struct Plugin {
    /// The file's name without `.wasm`.
    pub name: String,
    /// The file, relative to the folder.
    pub file: String,
    /// `sha256:<hex>`; empty when the file could not be read.
    pub digest: String,
    /// In bytes.
    pub size: u64,
    /// The trusted name that signed it.
    pub signed_by: Option<String>,
    /// Where it came from, if the lock names it with this digest.
    pub source: Option<String>,
    /// What it is, or why it is refused.
    pub inspection: Result<Arc<Inspection>, Refusal>,
    bytes: Bytes,
    /// What the file looked like before it was read.
    stamps: Option<Stamps>,
}

/// What a file looks like from outside: one that looks the same holds the same. The time of its last change cannot be set back by whoever writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stamp {
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
    inode: u64,
}

impl Stamp {
    /// Of a file, if it can be looked at.
    #[must_use]
    pub fn of(path: &Path) -> Option<Self> {
        use std::os::unix::fs::MetadataExt as _;
        let metadata = std::fs::metadata(path).ok()?;
        Some(Self {
            size: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
            inode: metadata.ino(),
        })
    }
}

impl Plugin {
    /// What loads it for calls that belong to no agent.
    ///
    /// # Errors
    /// When it is no component that runs.
    pub fn load_request(&self) -> Result<LoadRequest, Refusal> {
        let inspection = self.inspection.as_ref().map_err(Clone::clone)?;
        Ok(LoadRequest {
            bytes: self.bytes.clone(),
            digest: self.digest.clone(),
            inspection: Some(Arc::clone(inspection)),
            fuel: false,
            init: None,
            snapshot: false,
        })
    }

    /// The component itself.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Whether it serves checks alone: nobody runs it by its name, and it is compiled when it is first needed.
    fn serves_checks(&self) -> bool {
        self.inspection.as_ref().is_ok_and(|inspection| {
            !inspection.worlds.is_empty()
                && inspection
                    .worlds
                    .iter()
                    .all(|world| matches!(world, World::CodeRunner | World::CodeAnalyser))
        })
    }
}

/// Why something cannot run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The reason in a run's record, such as `invalid_component`.
    pub reason: String,
    /// One sentence for people.
    pub message: String,
}

impl Refusal {
    fn new(reason: &str, message: impl Into<String>) -> Self {
        Self {
            reason: reason.to_owned(),
            message: message.into(),
        }
    }
}

impl From<&LoadError> for Refusal {
    fn from(error: &LoadError) -> Self {
        let message = match error {
            LoadError::Host(cause) => format!("{error}: {cause:#}"),
            other => other.to_string(),
        };
        Self::new(error.reason(), message)
    }
}

/// A repository that an agent sees as a directory.
#[derive(Clone)]
pub struct Checkout {
    /// Where it comes from.
    pub repository: Arc<dyn Forge>,
    /// Where the guest sees it.
    pub guest: String,
}

/// An agent in force.
pub struct Agent {
    /// As configured.
    pub config: AgentConfig,
    /// Its plugin, if there is one of that name.
    pub plugin: Option<Arc<Plugin>>,
    /// The component, or why the agent cannot run.
    pub loaded: Result<Arc<Loaded>, Refusal>,
    /// What it may reach, without its checkouts, which are made for each run.
    pub capabilities: Arc<Capabilities>,
    /// Repositories that it sees as directories.
    pub checkouts: Vec<Checkout>,
    /// What its input must be like.
    pub input: Option<jsonschema::Validator>,
    /// `sha256:<hex>` of what its component's `init` gets: settings and policies; empty where that cannot be read.
    pub init: String,
}

impl Agent {
    /// The same, that does not run, and why.
    #[must_use]
    pub fn held(&self, why: Refusal) -> Self {
        Self {
            loaded: Err(why),
            ..self.without_schema()
        }
    }

    /// The same with other capabilities, for calls that are no runs.
    #[must_use]
    pub fn with_capabilities(&self, capabilities: Capabilities) -> Self {
        Self {
            capabilities: Arc::new(capabilities),
            ..self.without_schema()
        }
    }

    /// The same for whoever has no input to check; a validator cannot be copied.
    fn without_schema(&self) -> Self {
        Self {
            config: self.config.clone(),
            plugin: self.plugin.clone(),
            loaded: self.loaded.clone(),
            capabilities: Arc::clone(&self.capabilities),
            checkouts: self.checkouts.clone(),
            input: None,
            init: self.init.clone(),
        }
    }

    /// The JSON Schema of its input.
    #[must_use]
    pub fn input_schema(&self) -> Option<Value> {
        let plugin = self.plugin.as_ref()?;
        let inspection = plugin.inspection.as_ref().ok()?;
        inspection.manifest.as_ref()?.input_schema.clone()
    }
}

/// The plugins and agents in force.
#[derive(Clone)]
pub struct Registry {
    /// Where it came from.
    pub config: Arc<Config>,
    /// By name.
    pub plugins: BTreeMap<String, Arc<Plugin>>,
    /// By name.
    pub agents: BTreeMap<String, Arc<Agent>>,
    /// Agents whose new component has a part of their runs, by name.
    pub canaries: BTreeMap<String, Canary>,
}

/// A new component that has a part of its agent's runs for a while.
#[derive(Clone)]
pub struct Canary {
    /// The agent as it was before, which has the rest.
    pub before: Arc<Agent>,
    /// `sha256:<hex>` of the configuration of that.
    pub config_digest: String,
    /// Of a hundred runs, so many go to the new one.
    pub percent: u32,
    /// When the new one gets all of them.
    pub until: Instant,
}

/// What building a registry needs from elsewhere.
pub struct Surroundings<'a> {
    /// Loads components.
    pub sandbox: &'a dyn Sandbox,
    /// Where agents keep their keys.
    pub key_value: Arc<dyn KeyValue>,
    /// Who knows what is open in repositories.
    pub threads: Arc<dyn Threads>,
    /// Who makes views of the host.
    pub views: Arc<dyn Views>,
    /// Who judges code for agents.
    pub judge: Arc<dyn Judge>,
    /// Who gives agents secrets.
    pub revealer: Arc<dyn Reveals>,
    /// Opens repositories.
    pub forges: &'a Forges,
    /// The registry in force, whose agents stay where nothing of theirs changed.
    pub previous: Option<Arc<Registry>>,
    /// Told what is being done, for people who wait.
    pub progress: &'a (dyn Fn(&str) + Send + Sync),
}

impl Registry {
    /// Finds, inspects, compiles and links everything that the configuration names.
    pub async fn build(config: Arc<Config>, surroundings: &Surroundings<'_>) -> Self {
        let folder = config.host.plugins.clone();
        let supply = config.supply.clone();
        let known = surroundings
            .previous
            .clone()
            .filter(|previous| previous.config.supply == config.supply);
        let plugins = tokio::task::spawn_blocking(move || {
            find(
                &folder,
                &Supply::open(&supply),
                &supply.lock,
                known.as_deref(),
            )
        })
        .await
        .unwrap_or_default();
        let mut agents = BTreeMap::new();
        // What is in the folder runs by its name, with no grants, also without an entry in the file.
        let implicit: Vec<AgentConfig> = plugins
            .values()
            .filter(|plugin| plugin.inspection.is_ok() && !plugin.serves_checks())
            .filter_map(|plugin| config.implicit_agent(&plugin.name))
            .collect();
        for agent in config.agents.values().chain(&implicit) {
            let name = agent.name.as_str();
            let built = match unchanged(&config, agent, &plugins, surroundings) {
                Some(built) => built,
                None => Arc::new(build_agent(&config, agent, &plugins, surroundings).await),
            };
            if let Err(refusal) = &built.loaded
                && agent.enabled
            {
                tracing::warn!(agent.name = %name, "the agent cannot run: {}", refusal.message);
            }
            agents.insert(name.to_owned(), built);
        }
        for mistaken in &config.disabled {
            if let Some(agent) = disabled(&config, mistaken) {
                agents.insert(mistaken.name.clone(), Arc::new(agent));
            }
        }
        Self {
            config,
            plugins,
            agents,
            canaries: BTreeMap::new(),
        }
    }

    /// The agent that a run begins on, and the digest of its configuration. `id` is the lot: the same run gets the same answer for as long as a canary has its part.
    #[must_use]
    pub fn of_run(&self, name: &str, id: Uuid, now: Instant) -> Option<(&Arc<Agent>, &str)> {
        let agent = self.agents.get(name)?;
        match self.canaries.get(name) {
            // The lower half of an id is random.
            Some(canary) if now < canary.until && id.as_u128() % 100 >= canary.percent.into() => {
                Some((&canary.before, &canary.config_digest))
            }
            _ => Some((agent, &self.config.digest)),
        }
    }

    /// Whether runs begin on this agent.
    #[must_use]
    pub fn is_in_force(&self, agent: &Arc<Agent>, now: Instant) -> bool {
        let name = agent.config.name.as_str();
        let of = |one: &Arc<Agent>| Arc::ptr_eq(one, agent);
        self.agents.get(name).is_some_and(of)
            || self
                .canaries
                .get(name)
                .is_some_and(|canary| now < canary.until && of(&canary.before))
    }

    /// The agent's name that is nearest to one that does not exist.
    #[must_use]
    pub fn nearest(&self, name: &str) -> Option<String> {
        let near = |candidate: &&String| {
            candidate.starts_with(name)
                || name.starts_with(candidate.as_str())
                || distance(candidate, name) <= 2
        };
        self.agents
            .keys()
            .filter(near)
            .min_by_key(|candidate| distance(candidate, name))
            .cloned()
    }
}

/// Levenshtein's distance, for names of at most 63 characters.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().take(64).collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in one.chars().take(64).enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in other.iter().enumerate() {
            let above = row[j + 1];
            row[j + 1] = (diagonal + usize::from(a != *b))
                .min(above + 1)
                .min(row[j] + 1);
            diagonal = above;
        }
    }
    row[other.len()]
}

/// What the folder of plugins and the lock look like. Two equal ones hold the same components and signatures, as far as can be said without reading them.
#[must_use]
pub fn fingerprint(folder: &Path, lock: &Path) -> Vec<(PathBuf, Option<Stamp>)> {
    let look = |path: PathBuf| {
        let stamp = Stamp::of(&path);
        (path, stamp)
    };
    let Ok(entries) = std::fs::read_dir(folder) else {
        return vec![look(lock.to_owned())];
    };
    let mut files: Vec<_> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "wasm" || extension == "sig")
        })
        // A component and its signature.
        .take(2 * PLUGINS_MAX)
        .chain([lock.to_owned()])
        .map(look)
        .collect();
    files.sort();
    files
}

/// What a folder of policies looks like.
#[must_use]
pub fn policy_fingerprint(folder: &Path) -> Vec<(PathBuf, Option<Stamp>)> {
    let mut files = Vec::new();
    let mut folders = vec![(folder.to_owned(), 0)];
    while let Some((current, depth)) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(&current) else {
            continue;
        };
        for entry in entries.flatten() {
            if entry.file_name().to_string_lossy().starts_with('.') {
                continue;
            }
            let path = entry.path();
            match entry.file_type() {
                Ok(kind) if kind.is_dir() && depth < INIT_MAX_DEPTH => {
                    folders.push((path, depth + 1));
                }
                Ok(kind) if kind.is_file() && files.len() < INIT_MAX_FILES => {
                    let stamp = Stamp::of(&path);
                    files.push((path, stamp));
                }
                _ => {}
            }
        }
    }
    files.sort();
    files
}

/// What a component and what vouches for it look like.
type Stamps = (Stamp, Option<Stamp>, Option<Stamp>);

/// The components in the folder, by name. A file that cannot be read is listed with the reason.
fn find(
    folder: &Path,
    supply: &Supply,
    lock: &Path,
    known: Option<&Registry>,
) -> BTreeMap<String, Arc<Plugin>> {
    let mut plugins = BTreeMap::new();
    let Ok(entries) = std::fs::read_dir(folder) else {
        return plugins;
    };
    let mut files: Vec<PathBuf> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "wasm")
        })
        .collect();
    files.sort();
    for file in files.into_iter().take(PLUGINS_MAX) {
        let Some(name) = file.file_stem().and_then(|stem| stem.to_str()) else {
            continue;
        };
        let signature = Stamp::of(&file.with_extension("wasm.sig"));
        let stamps = Stamp::of(&file).map(|stamp| (stamp, signature, Stamp::of(lock)));
        let known = known
            .and_then(|known| known.plugins.get(name))
            .filter(|known| stamps.is_some() && known.stamps == stamps);
        let plugin = match known {
            Some(known) => Arc::clone(known),
            None => Arc::new(read_plugin(name, &file, supply, stamps)),
        };
        plugins.insert(name.to_owned(), plugin);
    }
    plugins
}

fn read_plugin(name: &str, file: &Path, supply: &Supply, stamps: Option<Stamps>) -> Plugin {
    let shown = file
        .file_name()
        .map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    let mut plugin = Plugin {
        name: name.to_owned(),
        file: shown,
        digest: String::new(),
        size: 0,
        signed_by: None,
        source: None,
        inspection: Err(Refusal::new("invalid_component", "the file is empty")),
        bytes: Bytes::new(),
        stamps,
    };
    let read = || -> std::io::Result<Result<Vec<u8>, u64>> {
        let metadata = std::fs::metadata(file)?;
        if !metadata.is_file() {
            return Err(std::io::Error::other("it is no regular file"));
        }
        if metadata.len() > COMPONENT_MAX_BYTES {
            return Ok(Err(metadata.len()));
        }
        Ok(Ok(std::fs::read(file)?))
    };
    match read() {
        Ok(Ok(bytes)) => {
            plugin.digest = digest(&bytes);
            plugin.size = bytes.len() as u64;
            let (standing, denied) = supply.judge(name, file, &plugin.digest);
            plugin.signed_by = standing.signed_by();
            plugin.source = standing.source;
            // Nothing looks into what may not be used.
            plugin.inspection = match denied {
                Some(denied) => Err(Refusal::new(denied.reason, denied.message)),
                None => inspect(&bytes)
                    .map(Arc::new)
                    .map_err(|error| Refusal::new("invalid_component", error.to_string())),
            };
            plugin.bytes = bytes.into();
        }
        Ok(Err(size)) => {
            plugin.size = size;
            plugin.inspection = Err(Refusal::new(
                "load_limit",
                format!("the component has {size} bytes, {COMPONENT_MAX_BYTES} are allowed"),
            ));
        }
        Err(error) => {
            plugin.inspection = Err(Refusal::new(
                "invalid_component",
                format!("the file cannot be read: {error}"),
            ));
        }
    }
    plugin
}

/// The entry of an agent with mistakes: it is there, does not run, and says why.
fn disabled(config: &Config, mistaken: &DisabledAgent) -> Option<Agent> {
    let mut agent = config.named(&mistaken.name)?;
    agent.line = mistaken.line;
    let errors: Vec<String> = mistaken
        .errors
        .iter()
        .map(|error| error.brief(&config.path))
        .collect();
    Some(Agent {
        config: agent,
        plugin: None,
        loaded: Err(Refusal::new("config", errors.join("; "))),
        capabilities: Arc::default(),
        checkouts: Vec::new(),
        input: None,
        init: String::new(),
    })
}

/// The agent in force, if nothing of what it is made of changed.
fn unchanged(
    config: &Config,
    agent: &AgentConfig,
    plugins: &BTreeMap<String, Arc<Plugin>>,
    surroundings: &Surroundings<'_>,
) -> Option<Arc<Agent>> {
    let previous = surroundings.previous.as_ref()?;
    let built = previous.agents.get(agent.name.as_str())?;
    let digest = |plugin: &Arc<Plugin>| (plugin.digest.clone(), plugin.inspection.is_ok());
    let repositories = agent.grants.repositories.iter().all(|grant| {
        previous.config.repositories.get(&grant.name) == config.repositories.get(&grant.name)
    });
    let same = built.config.says_the_same_as(agent)
        && repositories
        && previous.config.github == config.github
        && previous.config.host.state == config.host.state
        && built.loaded.is_ok()
        && (agent.policies.is_none()
            || init_input(agent).is_ok_and(|init| built.init == init_digest(&init)))
        && built.plugin.as_ref().map(digest) == plugins.get(&agent.plugin).map(digest);
    same.then(|| Arc::clone(built))
}

async fn build_agent(
    config: &Config,
    agent: &AgentConfig,
    plugins: &BTreeMap<String, Arc<Plugin>>,
    surroundings: &Surroundings<'_>,
) -> Agent {
    let plugin = plugins.get(&agent.plugin).cloned();
    let init = init_input(agent);
    let mut checkouts = Vec::new();
    let capabilities = capabilities(agent, surroundings, &mut checkouts).await;
    let (capabilities, refused) = match capabilities {
        Ok(capabilities) => (capabilities, None),
        Err(refusal) => (Capabilities::default(), Some(refusal)),
    };
    let input = plugin
        .as_ref()
        .and_then(|plugin| plugin.inspection.as_ref().ok())
        .and_then(|inspection| inspection.manifest.as_ref())
        .and_then(|manifest| manifest.input_schema.as_ref())
        .and_then(|schema| jsonschema::validator_for(schema).ok());
    let digest = init.as_ref().map(init_digest).unwrap_or_default();
    let loaded = match (&plugin, refused) {
        (_, Some(refusal)) => Err(refusal),
        (None, None) => Err(Refusal::new(
            "plugin_missing",
            format!(
                "there is no `{}.wasm` in `{}`{}",
                agent.plugin,
                config.host.plugins.display(),
                if plugins.is_empty() {
                    "; `cargo xtask build` puts the shipped plugins there"
                } else {
                    ""
                }
            ),
        )),
        (Some(_), None) if !agent.enabled => Err(Refusal::new("disabled", "the agent is disabled")),
        (Some(plugin), None) => load(agent, plugin, init, surroundings).await,
    };
    Agent {
        config: agent.clone(),
        plugin,
        loaded,
        capabilities: Arc::new(capabilities),
        checkouts,
        input,
        init: digest,
    }
}

/// Builds an agent of an entry and a component that need not be those of the configuration.
pub async fn build_one(
    config: &Config,
    agent: &AgentConfig,
    plugin: Arc<Plugin>,
    surroundings: &Surroundings<'_>,
) -> Agent {
    let plugins = BTreeMap::from([(agent.plugin.clone(), plugin)]);
    build_agent(config, agent, &plugins, surroundings).await
}

/// A component that lies elsewhere than in the folder of plugins; what is asked of components is asked of it, too.
#[must_use]
pub fn read_elsewhere(name: &str, file: &Path, supply: &SupplyConfig) -> Plugin {
    read_plugin(name, file, &Supply::open(supply), None)
}

/// `sha256:<hex>` of what `init` gets.
fn init_digest(init: &InitInput) -> String {
    let mut text = init.settings.clone();
    for file in &init.files {
        for part in [&file.path, &file.content] {
            text.push('\0');
            text.push_str(part);
        }
    }
    digest(text.as_bytes())
}

async fn load(
    agent: &AgentConfig,
    plugin: &Plugin,
    init: Result<InitInput, Refusal>,
    surroundings: &Surroundings<'_>,
) -> Result<Arc<Loaded>, Refusal> {
    let inspection = plugin.inspection.as_ref().map_err(Clone::clone)?;
    if let Some(schema) = inspection
        .manifest
        .as_ref()
        .and_then(|manifest| manifest.settings_schema.as_ref())
    {
        check_settings(schema, agent)?;
    }
    if inspection.memory_min_bytes > agent.limits.memory_bytes {
        return Err(Refusal::new(
            "memory",
            format!(
                "the component needs {} bytes of memory from the start, {} are allowed; raise `memory` in the agent's `limits`",
                inspection.memory_min_bytes, agent.limits.memory_bytes
            ),
        ));
    }
    let init = init?;
    (surroundings.progress)(&format!("loading {}", plugin.name));
    surroundings
        .sandbox
        .load(LoadRequest {
            bytes: plugin.bytes.clone(),
            digest: plugin.digest.clone(),
            inspection: Some(Arc::clone(inspection)),
            fuel: agent.limits.fuel.is_some(),
            init: Some(Arc::new(init)),
            snapshot: agent.snapshot,
        })
        .await
        .map_err(|error| Refusal::from(&error))
}

fn check_settings(schema: &Value, agent: &AgentConfig) -> Result<(), Refusal> {
    let refuse = |message: String| Err(Refusal::new("settings", message));
    let validator = match jsonschema::validator_for(schema) {
        Ok(validator) => validator,
        Err(error) => {
            return refuse(format!(
                "the plugin's own schema of its settings is not valid: {error}"
            ));
        }
    };
    let settings = Value::Object(agent.settings.clone());
    let mistakes: Vec<String> = validator
        .iter_errors(&settings)
        .take(20)
        .map(|error| {
            let path = error.instance_path().to_string();
            let path = path.trim_start_matches('/').replace('/', ".");
            if path.is_empty() {
                format!("{error}")
            } else {
                format!("`{path}`: {error}")
            }
        })
        .collect();
    if mistakes.is_empty() {
        return Ok(());
    }
    refuse(format!(
        "the `settings` of the agent do not fit its plugin: {}",
        mistakes.join("; ")
    ))
}

async fn capabilities(
    agent: &AgentConfig,
    surroundings: &Surroundings<'_>,
    checkouts: &mut Vec<Checkout>,
) -> Result<Capabilities, Refusal> {
    let mut http = Vec::new();
    for grant in &agent.grants.http {
        let invalid = |error: crate::sandbox::http::GrantError| {
            Refusal::new("grant", format!("an `http` grant cannot be used: {error}"))
        };
        let mut parsed =
            HttpGrant::parse(&grant.url, &grant.methods, &grant.private).map_err(invalid)?;
        if let Some(credential) = &grant.credential {
            let credential = Credential::new(&credential.header, credential.value.expose())
                .map_err(invalid)?
                .named(&credential.names);
            parsed = parsed
                .with_credential(Arc::new(credential))
                .map_err(invalid)?;
        }
        http.push(parsed);
    }
    let mut repositories: BTreeMap<String, Arc<dyn Forge>> = BTreeMap::new();
    if agent.enabled {
        for grant in &agent.grants.repositories {
            let repository = surroundings.forges.open(&grant.name).map_err(|error| {
                Refusal::new(
                    "repository",
                    format!("the repository `{}` cannot be used: {error}", grant.name),
                )
            })?;
            let forge = repository.reader();
            if grant.read {
                repositories.insert(grant.name.clone(), Arc::clone(&forge));
            }
            if let Some(guest) = &grant.checkout {
                checkouts.push(Checkout {
                    repository: forge,
                    guest: guest.clone(),
                });
            }
        }
    }
    Ok(Capabilities {
        agent: agent.name.as_str().to_owned(),
        settings: Arc::new(agent.settings.clone()),
        environment: agent
            .grants
            .environment
            .iter()
            .map(|(name, value)| (name.clone(), value.expose().to_owned()))
            .collect(),
        directories: agent
            .grants
            .directories
            .iter()
            .map(|grant| Directory {
                host: grant.host.clone(),
                guest: grant.guest.clone(),
                write: grant.write,
            })
            .collect(),
        events: agent.grants.events.clone(),
        views: agent.grants.views.clone(),
        viewer: Some(Arc::clone(&surroundings.views)),
        judge: agent.grants.checks.then(|| Arc::clone(&surroundings.judge)),
        reveal: agent.grants.reveal.clone(),
        revealer: Some(Arc::clone(&surroundings.revealer)),
        threads: Some(Arc::clone(&surroundings.threads)),
        repositories,
        http: http.into(),
        key_value: Some(Arc::clone(&surroundings.key_value)),
        fixed: None,
    })
}

/// What goes into `init`: the settings and, where the agent has `policies`, the files below it.
fn init_input(agent: &AgentConfig) -> Result<InitInput, Refusal> {
    let mut files = Vec::new();
    if let Some(folder) = &agent.policies {
        files = policy_files(folder)?;
        if files.is_empty() {
            return Err(Refusal::new(
                "policies",
                format!("there is no policy in `{}`", folder.display()),
            ));
        }
    }
    Ok(InitInput {
        settings: Value::Object(agent.settings.clone()).to_string(),
        files,
    })
}

/// Policies (`*.rego`) and data (`*.json`, `*.yaml`, `*.yml`) below a folder, in order of their paths.
///
/// # Errors
/// When something cannot be read, is no UTF-8, or is too much.
pub fn policy_files(folder: &Path) -> Result<Vec<InitFile>, Refusal> {
    let refuse = |path: &Path, why: &str| {
        Refusal::new(
            "policies",
            format!("`{}` cannot be used: {why}", path.display()),
        )
    };
    // Through a handle of the folder: a link that leads out of it is an error, whoever put it there.
    let opened = cap_std::fs::Dir::open_ambient_dir(folder, cap_std::ambient_authority())
        .map_err(|error| refuse(folder, &error.to_string()))?;
    let mut files = Vec::new();
    let mut bytes = 0;
    let mut folders = vec![(folder.to_owned(), 0)];
    while let Some((current, depth)) = folders.pop() {
        if depth > INIT_MAX_DEPTH {
            return Err(refuse(&current, "it is nested too deeply"));
        }
        let entries =
            std::fs::read_dir(&current).map_err(|error| refuse(&current, &error.to_string()))?;
        for entry in entries.flatten() {
            let path = entry.path();
            let Ok(kind) = entry.file_type() else {
                continue;
            };
            let hidden = entry.file_name().to_string_lossy().starts_with('.');
            if kind.is_dir() && !hidden {
                folders.push((path, depth + 1));
                continue;
            }
            let wanted = path.extension().is_some_and(|extension| {
                ["rego", "json", "yaml", "yml"]
                    .iter()
                    .any(|known| extension == *known)
            });
            if !kind.is_file() || !wanted || hidden {
                continue;
            }
            let size = entry.metadata().map_or(0, |metadata| metadata.len());
            bytes += size;
            if bytes > INIT_MAX_BYTES || files.len() >= INIT_MAX_FILES {
                return Err(refuse(
                    folder,
                    "it holds more than 16 MiB or 2,000 files of policies",
                ));
            }
            let relative = path.strip_prefix(folder).unwrap_or(&path);
            let content = opened
                .read_to_string(relative)
                .map_err(|error| refuse(&path, &error.to_string()))?;
            files.push(InitFile {
                path: relative.to_string_lossy().into_owned(),
                content,
            });
        }
    }
    files.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn measures_the_distance_of_names() {
        let check = |one, other, expected| assert_eq!(distance(one, other), expected);
        check("badge", "badge", 0);
        check("badge", "bagde", 2);
        check("", "abc", 3);
        check("policy", "policies", 3);
    }

    #[test]
    fn reads_policies_in_order_and_passes_over_the_rest() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("b")).unwrap();
        for (path, text) in [
            ("b/x.rego", "package b"),
            ("a.rego", "package a"),
            ("README.md", "#"),
            ("b/data.json", "{}"),
        ] {
            std::fs::write(folder.path().join(path), text).unwrap();
        }
        let paths: Vec<_> = policy_files(folder.path())
            .unwrap()
            .into_iter()
            .map(|file| file.path)
            .collect();
        assert_eq!(paths, ["a.rego", "b/data.json", "b/x.rego"]);
    }
}
