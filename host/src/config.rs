//! `plugins.toml`, the environment and flags to a checked [`Config`], or to every mistake at once with its place and what to do.
//!
//! Invariants: a [`Config`] holds no value out of its range and no name that leads nowhere; later stages never see the file. Nothing secret is in a message or in
//! `Debug`. Reading is bounded: the file, its nesting, its lists and the number of mistakes have limits.
//!
//! It does not know components, databases or requests: whether a plugin exists, what its settings mean and whether a grant is wise is decided later.

mod access;
mod agent;
mod alerts;
mod backup;
mod channels;
mod error;
mod for_each;
mod github;
mod grants;
mod host;
mod keys;
mod limits;
mod paths;
mod pipelines;
mod reader;
mod schema;
mod secret;
mod secrets;
mod sign_in;
mod supply;
mod telemetry;
mod tls;
mod triggers;
mod units;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use aws_lc_rs::digest;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use self::agent::{LOOSE, LOOSE_NAME_HELP, is_name};
use self::error::{Errors, Lines, literal};
use self::paths::{HostPaths, resolve, settled};
use self::reader::{Reader, Value};
use crate::sandbox::budget::RunBudget;

pub use self::agent::{
    AgentConfig, AgentName, AgentNameError, Autonomy, CanaryConfig, Priority, WebhookConfig,
};
pub use self::alerts::{AlertSetting, AlertsConfig, DEFAULT_ALERTS_EVERY};
pub use self::backup::BackupConfig;
pub use self::channels::{ChannelConfig, DEFAULT_ON, DISCORD_CHANNEL, Service};
pub(crate) use self::error::is_unprintable;
pub use self::error::{ConfigError, ConfigErrors, MAX_ERRORS, masked_whole};
pub use self::github::{GithubAccess, GithubConfig, KeySource};
pub use self::grants::{
    CredentialConfig, DirectoryGrant, EffectKind, EffectScope, Grants, HttpGrantConfig,
    RepositoryGrant,
};
pub use self::host::{
    DEFAULT_CHECKS, DEFAULT_COMMAND_TEMPLATES, DEFAULT_COMPILE_CPU_MS,
    DEFAULT_COMPILE_MEMORY_BYTES, DEFAULT_CONCURRENCY, DEFAULT_CONCURRENCY_MAX,
    DEFAULT_KILL_AFTER_PULL_REQUESTS, DEFAULT_LISTEN, DEFAULT_PLUGINS, DEFAULT_QUEUE,
    DEFAULT_ROLLBACK_AFTER, DEFAULT_STATE, DEFAULT_STATE_BUDGET, HostConfig, Variables,
};
pub use self::pipelines::{PipelineConfig, StepConfig};
pub use self::schema::schema;
pub use self::secret::Secret;
pub use self::secrets::{
    SecretConfig, SecretsConfig, VaultConfig, VaultLogin, VaultPlace, is_secret_name, secrets_of,
    secrets_used, text_of,
};
pub use self::sign_in::{Identity, RoleRule, SignInConfig};
pub use self::supply::{Require, SupplyConfig};
pub use self::telemetry::{DEFAULT_SERVICE, TelemetryConfig};
pub use self::tls::TlsConfig;
pub use self::triggers::{CatchUp, Maintenance, Overlap, ScheduleConfig};
pub use access::AccessConfig;

/// Bytes of `plugins.toml`: thousands of agents, and little enough to read at once.
pub const MAX_FILE_BYTES: u64 = 1 << 20;

/// A checked configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The file, as it was named.
    pub path: PathBuf,
    /// The directory of the file, absolute; relative paths in it start here.
    pub root: PathBuf,
    /// `sha256:<hex>` of the file's bytes. Variables and flags are not in it.
    pub digest: String,
    /// `[host]`.
    pub host: HostConfig,
    /// `[plugins]`.
    pub supply: SupplyConfig,
    /// `[repositories]`, by name.
    pub repositories: BTreeMap<String, RepositoryConfig>,
    /// `[github]`.
    pub github: GithubConfig,
    /// `[backup]`; none when the host makes none by itself.
    pub backup: Option<BackupConfig>,
    /// `[secrets]`.
    pub secrets: SecretsConfig,
    /// `[channels]`, by name, with that of `DISCORD_WEBHOOK`.
    pub channels: BTreeMap<String, ChannelConfig>,
    /// `[alerts]`.
    pub alerts: AlertsConfig,
    /// `[telemetry]`.
    pub telemetry: Option<TelemetryConfig>,
    /// `[agents]`, by name, those with `enabled = false` among them.
    pub agents: BTreeMap<AgentName, AgentConfig>,
    /// `[pipelines]`, by name.
    pub pipelines: BTreeMap<String, PipelineConfig>,
    /// What the entries of `[agents]` are called: an entry with `for_each` is no agent of that name.
    pub entries: BTreeSet<String>,
    /// Agents with mistakes. Always empty from [`load`] and [`parse`], which return the mistakes instead.
    pub disabled: Vec<DisabledAgent>,
    /// Mistakes of repositories, channels and pipelines that are therefore not there; agents that need such a repository are in [`Config::disabled`]. Nothing where the file was read without mercy.
    pub left_out: Vec<ConfigError>,
}

impl Config {
    /// The agent that a plugin of this name is by itself; none when the file has an agent of that name, or it cannot be one.
    #[must_use]
    pub fn implicit_agent(&self, plugin: &str) -> Option<AgentConfig> {
        let name = AgentName::new(plugin).ok()?;
        let taken = self.agents.contains_key(&name) || self.entries.contains(plugin);
        (!taken).then(|| AgentConfig::implicit(name, &self.host))
    }

    /// Keeps what a host settles when it starts, and names what is different there.
    pub(crate) fn keep_settled(&mut self, settled: &Self) -> Vec<String> {
        let mut different = self.host.keep_settled(&settled.host);
        if self.telemetry != settled.telemetry {
            different.push("telemetry".into());
            self.telemetry.clone_from(&settled.telemetry);
        }
        different
    }

    /// An agent of this name that reaches nothing, if one can be called so.
    #[must_use]
    pub(crate) fn named(&self, name: &str) -> Option<AgentConfig> {
        let name = AgentName::new(name).ok()?;
        Some(AgentConfig::implicit(name, &self.host))
    }
}

/// A git repository that agents can be granted. Source: `[repositories.NAME]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RepositoryConfig {
    /// Its name: a small letter, then small letters, digits, `.`, `_` and `-`; at most 63 characters.
    pub name: String,
    /// Where it is.
    pub place: Place,
    /// What it is for; default [`Environment::Development`]. Source: `environment`.
    pub environment: Environment,
}

/// Where a repository is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// On this machine.
    Local {
        /// A directory when it was checked, unless it is to be made; whether it is a repository is for the forge to say. Source: `path`.
        path: PathBuf,
        /// Whether a bare repository is made where there is nothing; default `false`. Source: `create`.
        create: bool,
    },
    /// On GitHub. Source: `github = "owner/name"`.
    Github {
        /// Who owns it there.
        owner: String,
        /// Its name there.
        name: String,
    },
}

/// What a repository is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Environment {
    /// People try things.
    #[default]
    Development,
    /// What is about to be used.
    Staging,
    /// What is used.
    Production,
    /// What a whole company uses.
    Enterprise,
}

impl Environment {
    /// In the order of [`keys::ENVIRONMENT`].
    const ALL: [Self; 4] = [
        Self::Development,
        Self::Staging,
        Self::Production,
        Self::Enterprise,
    ];

    /// The word in `plugins.toml`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Development => "development",
            Self::Staging => "staging",
            Self::Production => "production",
            Self::Enterprise => "enterprise",
        }
    }

    /// Whether nothing changes there without a person.
    #[must_use]
    pub fn is_guarded(self) -> bool {
        matches!(self, Self::Production | Self::Enterprise)
    }
}

/// An agent that cannot run because of what the file says of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DisabledAgent {
    /// As written; it may be no valid name.
    pub name: String,
    /// Where it stands in the file, from 1.
    pub line: usize,
    /// Why; at least one.
    pub errors: Vec<ConfigError>,
}

/// What flags say. They go over variables, which go over the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    /// `--listen`.
    pub listen: Option<SocketAddr>,
    /// `--state`, relative to the working directory.
    pub state: Option<PathBuf>,
}

/// What the readers of agents need from the rest of the file and from outside.
struct Context<'c> {
    environment: &'c dyn Fn(&str) -> Option<String>,
    repositories: &'c BTreeSet<String>,
    limits: &'c RunBudget,
    concurrency: u32,
    paths: &'c HostPaths,
}

/// Reads and checks a file. `environment` gives the value of an environment variable.
///
/// # Errors
/// Every mistake of file, variables and flags, up to [`MAX_ERRORS`]; or the one reason why the file cannot be read.
pub fn load(
    path: &Path,
    environment: &dyn Fn(&str) -> Option<String>,
    overrides: &Overrides,
) -> Result<Config, ConfigErrors> {
    parse(&read(path)?, path, environment, overrides)
}

/// Like [`load`], but a mistake inside of an agent disables that agent alone, and one inside of a repository, channel or pipeline leaves that one out: what a reload wants.
///
/// # Errors
/// Every mistake, if there is one outside of these entries.
pub fn load_tolerant(
    path: &Path,
    environment: &dyn Fn(&str) -> Option<String>,
    overrides: &Overrides,
) -> Result<Config, ConfigErrors> {
    parse_tolerant(&read(path)?, path, environment, overrides)
}

/// Checks the text of a file. `path` names it in messages, and its directory is where relative paths start.
///
/// # Errors
/// Every mistake, up to [`MAX_ERRORS`].
pub fn parse(
    text: &str,
    path: &Path,
    environment: &dyn Fn(&str) -> Option<String>,
    overrides: &Overrides,
) -> Result<Config, ConfigErrors> {
    let mut checked = check(text, path, environment, overrides)?;
    let errors = checked.all_errors();
    if errors.is_empty() {
        Ok(checked.config)
    } else {
        Err(errors.finish(path, text))
    }
}

/// Like [`parse`], with the mercy of [`load_tolerant`].
///
/// # Errors
/// Every mistake, if there is one outside of these entries.
pub fn parse_tolerant(
    text: &str,
    path: &Path,
    environment: &dyn Fn(&str) -> Option<String>,
    overrides: &Overrides,
) -> Result<Config, ConfigErrors> {
    let mut checked = check(text, path, environment, overrides)?;
    if !checked.errors.is_empty() {
        return Err(checked.all_errors().finish(path, text));
    }
    let mut config = checked.config;
    for (name, line, errors) in checked.faulty {
        config.disabled.push(DisabledAgent {
            name,
            line,
            errors: errors.into_list(text),
        });
    }
    for (repository, errors) in checked.faulty_repositories {
        let errors = errors.into_list(text);
        config.repositories.remove(&repository);
        let uses = |agent: &AgentConfig| {
            let mut grants = agent.grants.repositories.iter();
            grants.any(|grant| grant.name == repository)
        };
        let users: Vec<AgentName> = config
            .agents
            .values()
            .filter(|agent| uses(agent))
            .map(|agent| agent.name.clone())
            .collect();
        for name in users {
            if let Some(agent) = config.agents.remove(&name) {
                config.disabled.push(DisabledAgent {
                    name: name.as_str().to_owned(),
                    line: agent.line,
                    errors: errors.clone(),
                });
            }
        }
        config.left_out.extend(errors);
    }
    for errors in checked.left_out {
        config.left_out.extend(errors.into_list(text));
    }
    Ok(config)
}

/// The text of a file.
///
/// # Errors
/// The one reason why it cannot be read.
pub fn read(path: &Path) -> Result<String, ConfigErrors> {
    let shown = literal(&path.display().to_string());
    let refused = |message: String, help: &str| ConfigErrors::of_file(path, message, help);
    let unreadable = |error: std::io::Error| {
        refused(
            format!("{shown} cannot be read: {}", error.kind()),
            "name a file with `--config`, or start in the directory that holds `plugins.toml`",
        )
    };
    // Looked at before it is opened, because opening a pipe would wait for a writer.
    let metadata = path.metadata().map_err(unreadable)?;
    if metadata.is_dir() {
        return Err(refused(
            format!("{shown} is a directory"),
            "name the file in it, for instance `plugins.toml`",
        ));
    }
    if !metadata.is_file() {
        return Err(refused(
            format!("{shown} is not a regular file"),
            "write the configuration to a file",
        ));
    }
    let mut bytes = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes))
        .map_err(unreadable)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(refused(
            format!("{shown} is larger than 1 MiB"),
            "keep data out of the configuration; settings can name files in granted directories",
        ));
    }
    String::from_utf8(bytes).map_err(|error| {
        let offset = error.utf8_error().valid_up_to();
        let mut bytes = error.into_bytes();
        bytes.truncate(offset);
        // What is left is valid, so nothing is replaced.
        let text = String::from_utf8_lossy(&bytes);
        let mut errors = Errors::default();
        errors
            .at(
                offset..offset,
                format!("{shown} is not UTF-8: the byte at offset {offset} starts no character"),
            )
            .help("save the file as UTF-8");
        errors.finish(path, &text)
    })
}

/// What came of a text: a configuration that is right where no mistakes are listed.
struct Checked {
    config: Config,
    errors: Errors,
    /// Name, line and mistakes of agents that have some.
    faulty: Vec<(String, usize, Errors)>,
    /// Name and mistakes of repositories that have some.
    faulty_repositories: Vec<(String, Errors)>,
    /// Mistakes of channels and pipelines that have some.
    left_out: Vec<Errors>,
}

impl Checked {
    /// The mistakes of everything.
    fn all_errors(&mut self) -> Errors {
        let mut errors = std::mem::take(&mut self.errors);
        for own in self.faulty_repositories.drain(..).map(|(_, own)| own) {
            errors.extend(own);
        }
        for own in self.left_out.drain(..) {
            errors.extend(own);
        }
        for own in self.faulty.drain(..).map(|(_, _, own)| own) {
            errors.extend(own);
        }
        errors
    }
}

fn check(
    text: &str,
    path: &Path,
    environment: &dyn Fn(&str) -> Option<String>,
    overrides: &Overrides,
) -> Result<Checked, ConfigErrors> {
    let mut errors = Errors::default();
    let document = syntax(text, path, &mut errors)?;
    let root_path = root_of(path).map_err(|error| {
        ConfigErrors::of_file(
            path,
            format!("the directory of the file is unknown: {}", error.kind()),
            "start in a directory that exists",
        )
    })?;
    let root = Reader::root(document.get_ref(), &keys::ROOT, "the file", &mut errors);

    let host_table = root.table("host", "`[host]`".to_owned(), &mut errors);
    let host = host::read(
        host_table.as_ref(),
        &root_path,
        environment,
        overrides,
        &mut errors,
    );
    let supply = supply::read(&root, path, &root_path, &mut errors);
    let github = github::read(&root, &root_path, environment, &mut errors);
    let backup = backup::read(&root, &root_path, &host.state, &mut errors);
    let secrets = secrets::read(&root, &root_path, environment, &mut errors);
    let (names, repositories, faulty_repositories) =
        read_repositories(&root, &root_path, &github, &mut errors);
    let discord = host.variables.discord_webhook.as_ref();
    let mut left_out = Vec::new();
    let channels = channels::read(&root, environment, discord, &mut errors, &mut left_out);
    let alerts = alerts::read(&root, &mut errors);
    let telemetry = telemetry::read(&root, environment, &mut errors);
    let agents = root.entries("agents", &mut errors);
    if agents.len() > keys::MAX_ENTRIES {
        errors.anywhere("there are more than 10_000 agents");
    }

    let mut paths = host_paths(&root_path, path, &host, &agents, &names);
    let backups = backup.as_ref().map(|backup| settled(&backup.to));
    paths
        .deciding
        .extend(backups.map(|path| (path, "the backups")));
    let context = Context {
        environment,
        repositories: &names,
        limits: &host.limits,
        concurrency: host.concurrency,
        paths: &paths,
    };
    let lines = Lines::new(text);
    let entries: BTreeSet<&str> = agents.iter().map(|(name, _)| *name.get_ref()).collect();
    let mut checked_agents = BTreeMap::new();
    // What agents are called, those with mistakes among them.
    let mut named: BTreeSet<String> = BTreeSet::new();
    let mut faulty = Vec::new();
    let mut room = errors.room();
    for (name, value) in agents.iter().take(keys::MAX_ENTRIES) {
        let (line, _) = lines.position(text, name.span().start);
        let mut own = Errors::with_room(room);
        let made = match for_each::expand(name, value, &names, &mut own) {
            None => {
                named.insert((*name.get_ref()).to_owned());
                agent::read(name, value, line, &context, &mut own)
                    .into_iter()
                    .collect()
            }
            Some(made) => {
                named.extend(made.iter().map(|one| one.name.clone()));
                read_made(name, made, line, &context, &mut own)
            }
        };
        let mut own_names = BTreeSet::new();
        for agent in &made {
            let written = agent.name.as_str() == *name.get_ref();
            if !own_names.insert(&agent.name)
                || checked_agents.contains_key(&agent.name)
                || !written && entries.contains(agent.name.as_str())
            {
                own.at(
                    name.span(),
                    format!("there is more than one agent {}", literal(agent.name.as_str())),
                )
                .help("`for_each` makes agents with the repository's name behind its own; give one of them another name");
            }
        }
        if checked_agents.len() + made.len() > keys::MAX_ENTRIES {
            own.at(name.span(), "there are more than 10_000 agents");
        }
        if own.is_empty() {
            checked_agents.extend(made.into_iter().map(|agent| (agent.name.clone(), agent)));
        } else {
            room = own.room();
            faulty.push(((*name.get_ref()).to_owned(), line, own));
        }
    }
    let known: BTreeSet<&str> = named.iter().map(String::as_str).collect();
    let pipelines = pipelines::read(&root, &known, &mut errors, &mut left_out);
    one_for_commands(&checked_agents, &mut errors);
    Ok(Checked {
        config: Config {
            pipelines,
            path: path.to_owned(),
            root: root_path,
            digest: sha256(text.as_bytes()),
            host,
            supply,
            repositories,
            github,
            backup,
            secrets,
            channels,
            alerts,
            telemetry,
            agents: checked_agents,
            entries: entries.into_iter().map(str::to_owned).collect(),
            disabled: Vec::new(),
            left_out: Vec::new(),
        },
        errors,
        faulty,
        faulty_repositories,
        left_out,
    })
}

/// Commands go to one agent.
fn one_for_commands(agents: &BTreeMap<AgentName, AgentConfig>, errors: &mut Errors) {
    let takers: Vec<_> = agents
        .values()
        .filter(|agent| agent.commands)
        .map(|agent| literal(agent.name.as_str()))
        .collect();
    if takers.len() > 1 {
        errors
            .anywhere(format!(
                "more than one agent takes commands: {}",
                takers.join(", ")
            ))
            .help("keep `commands = true` in one of them");
    }
}

/// The agents of one `for_each`. They differ in a name alone, so the first with mistakes speaks for all.
fn read_made(
    name: &Spanned<&str>,
    made: Vec<for_each::Made<'_>>,
    line: usize,
    context: &Context<'_>,
    errors: &mut Errors,
) -> Vec<AgentConfig> {
    let mut agents = Vec::new();
    for one in made {
        let name = Spanned::new(name.span(), one.name.as_str());
        agents.extend(agent::read(&name, &one.value, line, context, errors));
        if !errors.is_empty() {
            break;
        }
    }
    agents
}

/// Parses. Keys given twice leave a tree that is worth checking, so they are listed with the rest; after any other mistake the tree means little.
fn syntax<'t>(
    text: &'t str,
    path: &Path,
    errors: &mut Errors,
) -> Result<Spanned<DeTable<'t>>, ConfigErrors> {
    let (document, mistakes) = DeTable::parse_recoverable(text);
    let mut broken = false;
    for mistake in &mistakes {
        let span = mistake.span().unwrap_or(text.len()..text.len());
        let message = mistake.message();
        if message == "duplicate key" {
            let key = text.get(span.clone()).unwrap_or_default();
            errors
                .at(span, format!("key {} is given twice", literal(key)))
                .help("keep one of the two");
        } else {
            broken = true;
            errors.at(span, format!("not valid TOML: {message}"));
        }
    }
    if broken {
        return Err(std::mem::take(errors).finish(path, text));
    }
    Ok(document)
}

fn root_of(path: &Path) -> std::io::Result<PathBuf> {
    let path = std::path::absolute(path)?;
    Ok(path.parent().unwrap_or(&path).to_owned())
}

/// The names that grants may use, also of repositories with mistakes, so that one mistake does not make others; and the repositories.
fn read_repositories(
    root: &Reader<'_, '_>,
    root_path: &Path,
    github: &GithubConfig,
    errors: &mut Errors,
) -> Repositories {
    let mut names = BTreeSet::new();
    let mut repositories = BTreeMap::new();
    let mut faulty = Vec::new();
    let entries = root.entries("repositories", errors);
    if entries.len() > keys::MAX_ENTRIES {
        errors.anywhere("there are more than 10_000 repositories");
    }
    let mut room = errors.room();
    for (key, value) in entries.into_iter().take(keys::MAX_ENTRIES) {
        let name = *key.get_ref();
        names.insert(name.to_owned());
        let mut own = Errors::with_room(room);
        let read = read_repository(&key, value, root_path, github, &mut own);
        room = own.room();
        if !own.is_empty() {
            faulty.push((name.to_owned(), own));
        }
        repositories.extend(read.map(|read| (name.to_owned(), read)));
    }
    (names, repositories, faulty)
}

/// The names that grants may use, the repositories, and the mistakes of those that have some.
type Repositories = (
    BTreeSet<String>,
    BTreeMap<String, RepositoryConfig>,
    Vec<(String, Errors)>,
);

fn read_repository(
    key: &Spanned<&str>,
    value: &Value<'_>,
    root_path: &Path,
    github: &GithubConfig,
    errors: &mut Errors,
) -> Option<RepositoryConfig> {
    let name = *key.get_ref();
    if !is_name(name, LOOSE) {
        errors
            .at(
                key.span(),
                format!("{} cannot be the name of a repository", literal(name)),
            )
            .help(LOOSE_NAME_HELP);
    }
    let what = format!("repository {}", literal(name));
    let table = Reader::open(value, &keys::REPOSITORY, what.clone(), key.span(), errors)?;
    let environment = table
        .choice("environment", errors)
        .and_then(|index| Environment::ALL.get(index).copied())
        .unwrap_or_default();
    let place = read_place(&table, &what, root_path, github, errors)?;
    Some(RepositoryConfig {
        name: name.to_owned(),
        place,
        environment,
    })
}

/// Where a repository is: here, or on GitHub.
fn read_place(
    table: &Reader<'_, '_>,
    what: &str,
    root_path: &Path,
    github: &GithubConfig,
    errors: &mut Errors,
) -> Option<Place> {
    let create = table.boolean("create", errors).unwrap_or(false);
    let path = table.path("path", errors);
    let there = table.text("github", errors);
    match (path, there) {
        (Some(written), None) => {
            let path = resolve(root_path, written.get_ref());
            if !path.is_dir() && !create {
                errors
                    .at(
                        written.span(),
                        format!("{what} is not a directory that can be read"),
                    )
                    .help("clone it there, correct `path`, or let `create = true` make one; relative paths start at the directory of this file");
            }
            Some(Place::Local { path, create })
        }
        (None, Some(written)) => {
            if create {
                errors
                    .at(
                        table.place_of("create"),
                        format!("{what} is on GitHub and is not made here"),
                    )
                    .help("make it on GitHub, and drop `create`");
            }
            if github.access.is_none() {
                errors
                    .at(
                        written.span(),
                        format!(
                            "{what} is on GitHub, and `[github]` does not say who the host is there"
                        ),
                    )
                    .help(
                        "`[github]` with `app_id` and `private_key_file`, or with `token`, says it",
                    );
            }
            let place = github::place(written.get_ref());
            if place.is_none() {
                errors
                    .at(
                        written.span(),
                        format!("{} is no repository on GitHub", literal(written.get_ref())),
                    )
                    .help("write `owner/name`, as in the repository's address");
            }
            place
        }
        (Some(_), Some(written)) => {
            errors
                .at(written.span(), format!("{what} has `path` and `github`"))
                .help("keep the one that says where it is");
            None
        }
        // A mistake of a key that is there was told.
        (None, None) => {
            if table.span("path").is_none() && table.span("github").is_none() {
                errors
                    .at(table.place(), format!("{what} has no `path` and no `github`"))
                    .help("`path = \"…\"` names a local repository, `github = \"owner/name\"` one on GitHub");
            }
            None
        }
    }
}

fn host_paths(
    root: &Path,
    file: &Path,
    host: &HostConfig,
    agents: &[(Spanned<&str>, &Value<'_>)],
    repositories: &BTreeSet<String>,
) -> HostPaths {
    let mut deciding = vec![
        (settled(&host.plugins), "the plugins"),
        (
            settled(&root.join(file.file_name().unwrap_or_default())),
            "this file",
        ),
    ];
    let policies: BTreeSet<PathBuf> = agents
        .iter()
        .filter_map(|(_, agent)| match agent.get_ref() {
            DeValue::Table(table) => table.get("policies")?.get_ref().as_str(),
            _ => None,
        })
        .flat_map(|written| for_each::every(written, repositories))
        .map(|written| settled(&resolve(root, &written)))
        .collect();
    deciding.extend(policies.into_iter().map(|path| (path, "policies")));
    HostPaths {
        root: root.to_owned(),
        state: settled(&host.state),
        deciding,
    }
}

fn sha256(bytes: &[u8]) -> String {
    let digest = digest::digest(&digest::SHA256, bytes);
    let mut out = String::from("sha256:");
    for byte in digest.as_ref() {
        out.push_str(&format!("{byte:02x}"));
    }
    out
}
