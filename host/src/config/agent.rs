//! `[agents.NAME]` to [`AgentConfig`], each for itself: a mistake in one does not hide what the others are.

use std::borrow::Borrow;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use jiff::SignedDuration;
use toml::Spanned;

use super::error::{Errors, literal};
use super::grants::{self, Grants};
use super::host::HostConfig;
use super::paths::resolve;
use super::reader::{Reader, Value};
use super::secret::Secret;
use super::triggers::{self, ScheduleConfig};
use super::{Context, keys, limits};
use crate::retry::RetryPolicy;
use crate::sandbox::budget::RunBudget;
use crate::topics;

/// The name of an agent: a small letter, then small letters, digits and `-`; at most 63 characters, so that it can be a label in host names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AgentName(String);

impl AgentName {
    /// Checks a name.
    ///
    /// # Errors
    /// If the text is no such name.
    pub fn new(name: impl Into<String>) -> Result<Self, AgentNameError> {
        let name = name.into();
        if is_name(&name, "-") {
            Ok(Self(name))
        } else {
            Err(AgentNameError)
        }
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A text is not the name of an agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "an agent's name is a small letter, then small letters, digits and `-`, at most 63 characters"
)]
pub struct AgentNameError;

impl fmt::Display for AgentName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl AsRef<str> for AgentName {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for AgentName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// Default of [`AgentConfig::veto`].
pub(crate) const DEFAULT_VETO: SignedDuration = SignedDuration::from_mins(5);

/// Default of [`AgentConfig::effects_per_hour`].
pub(crate) const DEFAULT_EFFECTS_PER_HOUR: u32 = 60;

/// What happens to an effect that grants and policies allow. Source: `autonomy`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Autonomy {
    /// It is recorded.
    Observe,
    /// It is recorded and announced.
    Alert,
    /// It waits for people.
    #[default]
    Approve,
    /// It is applied after a while, unless somebody objects.
    AutoAfter,
    /// It is applied at once.
    Auto,
}

impl Autonomy {
    /// From the least to the most, in the order of the words in `plugins.toml`.
    pub const ALL: [Self; 5] = [
        Self::Observe,
        Self::Alert,
        Self::Approve,
        Self::AutoAfter,
        Self::Auto,
    ];

    /// The word in `plugins.toml`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Observe => "observe",
            Self::Alert => "alert",
            Self::Approve => "approve",
            Self::AutoAfter => "auto_after",
            Self::Auto => "auto",
        }
    }
}

/// Who goes first when places are short. Source: `priority`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Priority {
    /// Before others.
    High,
    /// In the order of arrival.
    #[default]
    Normal,
    /// After others.
    Low,
}

impl Priority {
    /// In the order of [`keys::PRIORITY`].
    const ALL: [Self; 3] = [Self::High, Self::Normal, Self::Low];

    /// The word in `plugins.toml`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::High => "high",
            Self::Normal => "normal",
            Self::Low => "low",
        }
    }
}

/// Signed requests that start runs. Source: `webhook`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookConfig {
    /// What the sender signs with: at least 16 characters, unless the agent is disabled.
    pub secret: Secret,
    /// Kinds of deliveries that start runs; all if there is none.
    pub events: Vec<String>,
}

/// The shortest secret: shorter ones can be guessed from one signature.
pub(super) const SECRET_MIN: usize = 16;

/// One agent. Source: `[agents.NAME]`.
#[derive(Clone, Debug, PartialEq)]
pub struct AgentConfig {
    /// Its name.
    pub name: AgentName,
    /// The plugin's name: a small letter, then small letters, digits, `.`, `_` and `-`; at most 63 characters.
    pub plugin: String,
    /// For people: at most 1,000 characters on one line.
    pub description: Option<String>,
    /// Whether it runs; default `true`. Of a disabled one, granted directories may be missing, and secrets may be empty.
    pub enabled: bool,
    /// When it is due; none if it runs only when asked.
    pub schedule: Option<ScheduleConfig>,
    /// Types, patterns of types and topics of the events that start it.
    pub on: Vec<String>,
    /// Signed requests that start it.
    pub webhook: Option<WebhookConfig>,
    /// Who goes first when places are short; default [`Priority::Normal`].
    pub priority: Priority,
    /// Whether commands are handed to it; default `false`.
    pub commands: bool,
    /// Runs at once: 1 to 1,000; default half of the host's, so that no agent keeps all others out.
    pub concurrency: u32,
    /// How its runs are tried again.
    pub retry: RetryPolicy,
    /// Handed to the plugin; dates are strings.
    pub settings: serde_json::Map<String, serde_json::Value>,
    /// What it may reach and propose.
    pub grants: Grants,
    /// What one run may use: `limits` over `[host.limits]` over [`RunBudget::default`].
    pub limits: RunBudget,
    /// What happens to its effects; default [`Autonomy::Approve`].
    pub autonomy: Autonomy,
    /// Whether effects are judged but never applied; default `false`.
    pub dry_run: bool,
    /// How long people may object to an effect under `auto_after`: 10 seconds to 7 days, default 5 minutes. Source: `veto`.
    pub veto: SignedDuration,
    /// Effects applied in an hour that nobody approved: 1 to 10,000, default 60. Source: `effects_per_hour`.
    pub effects_per_hour: u32,
    /// Directory whose policies and data go to the component's `init`.
    pub policies: Option<PathBuf>,
    /// Whether runs start from a snapshot; default `true`.
    pub snapshot: bool,
    /// On how many recorded inputs a new version is tried before it takes over: 0 to 20, default 0. Source: `shadow`.
    pub shadow: u32,
    /// Which part of the runs a new component gets first; none if it gets all of them at once.
    pub canary: Option<CanaryConfig>,
    /// Where it stands in the file, from 1; 0 if it does not.
    pub line: usize,
}

/// The part of an agent's runs that a new component gets first. Source: `canary`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CanaryConfig {
    /// Of a hundred runs, so many: 1 to 99, default 5. Source: `percent`.
    pub percent: u32,
    /// How long: a second to 7 days, default 5 minutes. Source: `for`.
    pub lasts: Duration,
}

impl Default for CanaryConfig {
    fn default() -> Self {
        Self {
            percent: 5,
            lasts: Duration::from_secs(300),
        }
    }
}

impl AgentConfig {
    /// Whether another entry says the same, wherever it stands in its file.
    #[must_use]
    pub fn says_the_same_as(&self, other: &Self) -> bool {
        let moved = Self {
            line: self.line,
            ..other.clone()
        };
        *self == moved
    }

    /// The agent that a plugin is without an entry in the file: runs when somebody asks, reaches nothing.
    pub(super) fn implicit(name: AgentName, host: &HostConfig) -> Self {
        Self {
            plugin: name.as_str().to_owned(),
            name,
            description: None,
            enabled: true,
            schedule: None,
            on: Vec::new(),
            webhook: None,
            priority: Priority::default(),
            commands: false,
            concurrency: host.concurrency.div_ceil(2).max(1),
            retry: RetryPolicy::default(),
            settings: serde_json::Map::new(),
            grants: Grants::default(),
            limits: host.limits.clone(),
            autonomy: Autonomy::default(),
            dry_run: false,
            veto: DEFAULT_VETO,
            effects_per_hour: DEFAULT_EFFECTS_PER_HOUR,
            policies: None,
            snapshot: true,
            shadow: 0,
            canary: None,
            line: 0,
        }
    }
}

/// Characters of a description: a paragraph.
const MAX_DESCRIPTION: usize = 1_000;

/// What [`is_name`] allows beyond letters and digits in names of plugins and repositories.
pub(super) const LOOSE: &str = "._-";

/// What is wrong with a name that is not [`is_name`] with [`LOOSE`].
pub(super) const LOOSE_NAME_HELP: &str =
    "use a small letter, then small letters, digits, `.`, `_` and `-`; at most 63 characters";

/// Whether this is a small letter, then small letters, digits and what `more` holds; at most 63 characters.
pub(super) fn is_name(name: &str, more: &str) -> bool {
    name.len() <= 63
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || more.contains(c))
}

/// Reads one agent; `None` where not even its name and plugin are known.
pub(super) fn read(
    name: &Spanned<&str>,
    value: &Value<'_>,
    line: usize,
    context: &Context<'_>,
    errors: &mut Errors,
) -> Option<AgentConfig> {
    let what = format!("agent {}", literal(name.get_ref()));
    let checked_name = AgentName::new(*name.get_ref());
    if checked_name.is_err() {
        errors
            .at(
                name.span(),
                format!("{} cannot be the name of an agent", literal(name.get_ref())),
            )
            .help("use a small letter, then small letters, digits and `-`; at most 63 characters");
    }
    let table = Reader::open(value, &keys::AGENT, what.clone(), name.span(), errors)?;

    // Its pattern was used before this; what is left is to refuse what is no string.
    table.text("for_each", errors);
    let plugin = table.text("plugin", errors);
    if let Some(plugin) = &plugin {
        check_plugin(plugin, errors);
    }
    let description = checked_description(&table, &what, errors);
    let enabled = table.boolean("enabled", errors).unwrap_or(true);
    let schedule = triggers::read(&table, &what, errors);
    let on = table.texts("on", errors).unwrap_or_default();
    for pattern in &on {
        if !topics::is_pattern(pattern.get_ref()) {
            errors
                .at(
                    pattern.span(),
                    format!("{} in `on` of {what} is no type of events", literal(pattern.get_ref())),
                )
                .help("write a type such as `\"github.push\"`, the beginning of some such as `\"run.*\"`, or a topic such as `\"agent.state-changes\"`");
        }
    }
    let on: Vec<String> = on.into_iter().map(Spanned::into_inner).collect();
    let webhook = table
        .table("webhook", format!("the webhook of {what}"), errors)
        .and_then(|table| webhook(&table, &what, enabled, context, errors));
    let priority = table
        .choice("priority", errors)
        .and_then(|index| Priority::ALL.get(index).copied())
        .unwrap_or_default();
    let commands = table.boolean("commands", errors).unwrap_or(false);
    let concurrency = table
        .number("concurrency", errors)
        .and_then(|number| u32::try_from(number).ok())
        .unwrap_or_else(|| context.concurrency.div_ceil(2).max(1));
    let mut retry = RetryPolicy::default();
    if let Some(retries) = table.number("retries", errors) {
        retry.retries = u32::try_from(retries).unwrap_or(u32::MAX);
    }
    if let Some(delay) = table.number("retry_delay", errors) {
        retry.delay = Duration::from_millis(delay);
    }
    let settings = table.json("settings", errors).unwrap_or_default();
    let limits = table
        .table("limits", format!("the limits of {what}"), errors)
        .map_or_else(
            || context.limits.clone(),
            |table| limits::read(&table, context.limits, errors),
        );
    let autonomy = table
        .choice("autonomy", errors)
        .and_then(|index| Autonomy::ALL.get(index).copied())
        .unwrap_or_default();
    let dry_run = table.boolean("dry_run", errors).unwrap_or(false);
    let veto = table
        .number("veto", errors)
        .and_then(|milliseconds| i64::try_from(milliseconds).ok())
        .map_or(DEFAULT_VETO, SignedDuration::from_millis);
    let effects_per_hour = table
        .number("effects_per_hour", errors)
        .and_then(|count| u32::try_from(count).ok())
        .unwrap_or(DEFAULT_EFFECTS_PER_HOUR);
    let snapshot = table.boolean("snapshot", errors).unwrap_or(true);
    let shadow = table
        .number("shadow", errors)
        .and_then(|count| u32::try_from(count).ok())
        .unwrap_or(0);
    let canary = table
        .table("canary", format!("the canary of {what}"), errors)
        .map(|table| canary(&table, errors));
    let policies = table.path("policies", errors).map(|written| {
        let path = resolve(&context.paths.root, written.get_ref());
        if enabled && !path.is_dir() {
            errors
                .at(
                    written.span(),
                    format!("policies {} are not a directory that can be read", literal(written.get_ref())),
                )
                .help("create it, or correct the path; relative paths start at the directory of this file");
        }
        path
    });
    let grants = table
        .table("grants", format!("the grants of {what}"), errors)
        .map_or_else(Grants::default, |table| {
            grants::read(&table, &what, enabled, context, errors)
        });

    Some(AgentConfig {
        name: checked_name.ok()?,
        plugin: plugin?.into_inner(),
        description,
        enabled,
        schedule,
        on,
        webhook,
        priority,
        commands,
        concurrency,
        retry,
        settings,
        grants,
        limits,
        autonomy,
        dry_run,
        veto,
        effects_per_hour,
        policies,
        snapshot,
        shadow,
        canary,
        line,
    })
}

fn canary(table: &Reader<'_, '_>, errors: &mut Errors) -> CanaryConfig {
    let default = CanaryConfig::default();
    CanaryConfig {
        percent: table
            .number("percent", errors)
            .and_then(|count| u32::try_from(count).ok())
            .unwrap_or(default.percent),
        lasts: table
            .number("for", errors)
            .map_or(default.lasts, Duration::from_millis),
    }
}

/// `description` of an agent or a pipeline.
pub(super) fn checked_description(
    table: &Reader<'_, '_>,
    what: &str,
    errors: &mut Errors,
) -> Option<String> {
    let text = table.text("description", errors)?;
    if text.get_ref().chars().count() > MAX_DESCRIPTION
        || text.get_ref().contains(|c: char| c.is_control())
    {
        errors
            .at(
                text.span(),
                format!("the description of {what} is too long or has line breaks"),
            )
            .help("write at most 1_000 characters on one line");
    }
    Some(text.into_inner())
}

fn webhook(
    table: &Reader<'_, '_>,
    what: &str,
    enabled: bool,
    context: &Context<'_>,
    errors: &mut Errors,
) -> Option<WebhookConfig> {
    let written = table.raw_text("secret", errors);
    let events = table.texts("events", errors).unwrap_or_default();
    let written = written?;
    let secret = grants::filled_in(&written, what, enabled, context, errors)?;
    if enabled && secret.len() < SECRET_MIN {
        errors
            .at(
                written.span(),
                format!("the secret of the webhook of {what} is too short"),
            )
            .help(format!(
                "use at least {SECRET_MIN} characters that nobody can guess, for instance those of `openssl rand -hex 32`"
            ));
    }
    Some(WebhookConfig {
        secret: Secret::new(secret),
        events: events.into_iter().map(Spanned::into_inner).collect(),
    })
}

fn check_plugin(plugin: &Spanned<String>, errors: &mut Errors) {
    let written = plugin.get_ref();
    if let Some(name) = written.strip_suffix(".wasm") {
        errors
            .at(plugin.span(), "a plugin is named without `.wasm`")
            .help(format!("write {}", literal(name)));
    } else if !is_name(written, LOOSE) {
        errors
            .at(
                plugin.span(),
                format!("{} cannot be the name of a plugin", literal(written)),
            )
            .help(LOOSE_NAME_HELP);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_agents_are_labels() {
        for good in ["a", "mirror", "a-1", &"a".repeat(63)] {
            assert!(AgentName::new(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "-a",
            "1a",
            "A",
            "a_b",
            "a.b",
            "a b",
            "é",
            &"a".repeat(64),
        ] {
            assert!(AgentName::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_words_of_autonomy_are_those_of_the_key() {
        assert_eq!(
            Autonomy::ALL.map(Autonomy::as_str).as_slice(),
            keys::AUTONOMY
        );
    }
}
