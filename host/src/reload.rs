//! What changes when another configuration, plugin or policy is taken up: entry by entry, what it may do from now on that it may not do before, and what became of it.
//!
//! Pure: it compares two registries. [`crate::app`] carries a change out.
//!
//! Invariant: an entry is an agent. Each is judged by itself, so what is refused or waits keeps that agent as it was and nothing else.

pub mod shadow;

use self::shadow::Shadows;
use crate::config::{AgentConfig, Autonomy, EffectScope};
use crate::model::Principal;
use crate::registry::{Agent, Registry};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use utoipa::ToSchema;

/// Lines of gains or losses that a record lists for one entry: a person reads them before approving.
const LINES_MAX: usize = 200;

/// Why another version was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The host started.
    Start,
    /// `plugins.toml` changed.
    File,
    /// A component was put into the folder of plugins, replaced or removed.
    Plugins,
    /// Policies of an agent changed.
    Policies,
    /// A secret changed.
    Secrets,
    /// Somebody handed a text in.
    Apply,
    /// Somebody went back to an earlier version.
    Rollback,
    /// What waited was approved.
    Approval,
    /// An agent's new version crashed again and again.
    Crashes,
}

/// What became of a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum VersionState {
    /// It is, or was, in force, with the exceptions that its changes name.
    Applied,
    /// Nothing of it was taken.
    Refused,
}

/// One version of everything that a host runs by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ConfigVersion {
    /// From 1, in the order in which the host looked at them; 0 before it is recorded.
    pub number: u64,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// Why it was looked at.
    pub cause: Cause,
    /// Who asked for it; the host itself where it found a changed file.
    pub principal: Principal,
    /// What became of it.
    pub state: VersionState,
    /// `sha256:<hex>` of the file's bytes.
    pub digest: String,
    /// Why it was refused, or which repositories, channels and pipelines were left out of it; each mistake with its place.
    pub problems: Vec<String>,
    /// Agents that are different; none beyond 1,000.
    pub changes: Vec<AgentChange>,
    /// Digests of the plugins by name.
    pub plugins: BTreeMap<String, String>,
    /// The agents in force, by name.
    pub agents: BTreeMap<String, Portrait>,
    /// Keys that are different and take effect when the host starts the next time.
    pub restart: Vec<String>,
    /// Milliseconds for reading, compiling and linking.
    pub prepare_ms: u64,
    /// Microseconds from the moment when everything was compiled, judged and tried until the new version was in force.
    pub swap_us: u64,
}

/// How an agent is different.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ChangeKind {
    /// It was not there.
    Added,
    /// Its entry, its plugin or its policies are different.
    Changed,
    /// It is not there any more.
    Removed,
}

/// What became of an agent's change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ChangeState {
    /// In force.
    Applied,
    /// Policy said no, or it could not be tried: the agent is as it was.
    Refused,
    /// It waits for people: the agent is as it was.
    Waiting,
    /// The entry has mistakes, or what it names cannot run: the agent does not run.
    Disabled,
    /// It was in force and crashed: the agent is as it was.
    RolledBack,
}

/// An agent that is different from one version to the next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AgentChange {
    /// Its name.
    pub agent: String,
    /// How.
    pub kind: ChangeKind,
    /// Keys of its entry that are different, with `plugin` or `policies` where only their content is.
    pub keys: Vec<String>,
    /// What it may do from now on and could not before; a line for each, at most 200.
    pub gains: Vec<String>,
    /// What it could do before and may not from now on; at most 200.
    pub loses: Vec<String>,
    /// What became of it.
    pub state: ChangeState,
    /// Why, where it is not applied.
    pub message: Option<String>,
    /// `sha256:<hex>` of what the agent would be: an approval is for this.
    pub digest: String,
    /// How many people have to approve.
    pub approvals_needed: u32,
    /// Who did.
    pub approvals: Vec<Principal>,
    /// What shadow runs showed, where there were any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shadows: Option<Shadows>,
    /// Of a hundred runs, how many the new component has until its canary's time is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary_percent: Option<u32>,
}

/// What an agent is, in words that can be compared and kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Portrait {
    /// `sha256:<hex>` of everything that it is made of.
    pub digest: String,
    /// What it may do, a line for each.
    pub capabilities: BTreeSet<String>,
    /// By the keys of its entry; not kept.
    #[serde(skip)]
    keys: Map<String, Value>,
    /// Why it cannot run.
    #[serde(skip)]
    problem: Option<String>,
}

/// Everything that an agent may do, a line for each, in the words of `plugins.toml`.
#[must_use]
pub fn capabilities(config: &AgentConfig) -> BTreeSet<String> {
    let mut lines = BTreeSet::new();
    let grants = &config.grants;
    for grant in &grants.repositories {
        let name = &grant.name;
        if grant.read {
            lines.insert(format!("repos {name}: read"));
        }
        if grant.checkout.is_some() {
            lines.insert(format!("repos {name}: files"));
        }
        for (kind, scope) in &grant.effects {
            match scope {
                EffectScope::AnyBranch => {
                    lines.insert(format!("repos {name}: {} on any branch", kind.as_str()));
                }
                EffectScope::Branches(branches) => {
                    lines.extend(
                        branches
                            .iter()
                            .map(|branch| format!("repos {name}: {} on {branch}", kind.as_str())),
                    );
                }
            }
        }
    }
    for grant in &grants.http {
        for method in &grant.methods {
            lines.insert(format!("http {method} {}", grant.url));
            for range in &grant.private {
                lines.insert(format!("http {method} {} at {range}", grant.url));
            }
        }
        if let Some(credential) = &grant.credential {
            let names = credential.names.join(", ");
            lines.insert(format!(
                "http {}: header {} from {names}",
                grant.url, credential.header
            ));
        }
    }
    for grant in &grants.directories {
        let how = if grant.write { "write" } else { "read" };
        lines.insert(format!("directories {}: {how}", grant.host.display()));
    }
    let listed = [
        ("events", &grants.events),
        ("agents", &grants.agents),
        ("channels", &grants.channels),
        ("views", &grants.views),
    ];
    for (key, names) in listed {
        lines.extend(names.iter().map(|name| format!("{key} {name}")));
    }
    lines.extend(grants.reveal.iter().map(|name| format!("reveal {name}")));
    lines.extend(grants.environment.keys().map(|name| format!("env {name}")));
    if grants.checks {
        lines.insert("checks".into());
    }
    // Each level holds those below it, so that raising it is a gain.
    for level in Autonomy::ALL {
        if config.dry_run {
            break;
        }
        lines.insert(format!("autonomy {}", level.as_str()));
        if level == config.autonomy {
            break;
        }
    }
    lines
}

impl Portrait {
    /// Of an agent.
    #[must_use]
    pub fn of(agent: &Agent) -> Self {
        let config = &agent.config;
        let mut keys = Map::new();
        let mut put = |key: &str, value: Value| {
            keys.insert(key.to_owned(), value);
        };
        put(
            "plugin",
            json!([
                config.plugin,
                agent.plugin.as_ref().map(|plugin| &plugin.digest)
            ]),
        );
        put("policies", json!([config.policies, agent.init]));
        put("description", json!(config.description));
        put("enabled", json!(config.enabled));
        put("schedule", json!(format!("{:?}", config.schedule)));
        put("on", json!(config.on));
        put("webhook", json!(format!("{:?}", config.webhook)));
        put("priority", json!(config.priority.as_str()));
        put("commands", json!(config.commands));
        put("concurrency", json!(config.concurrency));
        put("retry", json!(format!("{:?}", config.retry)));
        put("settings", Value::Object(config.settings.clone()));
        put("limits", json!(config.limits));
        put("autonomy", json!(config.autonomy.as_str()));
        put("dry_run", json!(config.dry_run));
        put("veto", json!(format!("{:?}", config.veto)));
        put("effects_per_hour", json!(config.effects_per_hour));
        put("snapshot", json!(config.snapshot));
        // Not as null: the digest of an agent that has none is what it was before there were any.
        if config.shadow > 0 {
            put("shadow", json!(config.shadow));
        }
        if let Some(canary) = &config.canary {
            put("canary", json!(format!("{canary:?}")));
        }
        put("grants", json!(format!("{:?}", config.grants)));
        let mut capabilities = capabilities(config);
        let inspection = agent
            .plugin
            .as_ref()
            .and_then(|plugin| plugin.inspection.as_ref().ok());
        if let Some(inspection) = inspection {
            let imports = inspection.imports.iter();
            capabilities.extend(imports.map(|import| format!("plugin imports {import}")));
            let wants = inspection
                .manifest
                .iter()
                .flat_map(|manifest| &manifest.wants);
            for (key, wanted) in wants {
                capabilities.extend(
                    wanted
                        .iter()
                        .map(|wanted| format!("plugin wants {key} {wanted}")),
                );
            }
        }
        let problem = agent.loaded.as_ref().err().filter(|_| config.enabled);
        let whole = json!([config.name.as_str(), keys, capabilities]).to_string();
        Self {
            digest: crate::sandbox::digest(whole.as_bytes()),
            capabilities,
            keys,
            problem: problem.map(|refusal| refusal.message.clone()),
        }
    }
}

impl Portrait {
    /// Of an agent that cannot run: what it could do when it did, so that one that is mended gains nothing by it.
    pub fn remember(&mut self, known: &Self) {
        if self.problem.is_some() {
            self.capabilities.extend(known.capabilities.iter().cloned());
        }
    }
}

/// Adds to agents that cannot run any more what they could do before.
pub fn keep_known(
    changes: &[AgentChange],
    before: &BTreeMap<String, Portrait>,
    after: &mut BTreeMap<String, Portrait>,
) {
    for change in changes {
        if change.state == ChangeState::Disabled
            && let (Some(before), Some(after)) =
                (before.get(&change.agent), after.get_mut(&change.agent))
        {
            after.remember(before);
        }
    }
}

/// Of all agents, by name.
#[must_use]
pub fn portraits(registry: &Registry) -> BTreeMap<String, Portrait> {
    let agents = registry.agents.iter();
    agents
        .map(|(name, agent)| (name.clone(), Portrait::of(agent)))
        .collect()
}

/// The first of many lines, and how many there are beyond.
fn some<'l>(lines: impl Iterator<Item = &'l String>) -> Vec<String> {
    let mut all: Vec<String> = lines.cloned().collect();
    if all.len() > LINES_MAX {
        let more = all.len() - LINES_MAX + 1;
        all.truncate(LINES_MAX - 1);
        all.push(format!("and {more} more"));
    }
    all
}

/// How agents differ from what they were, by name. What cannot run is [`ChangeState::Disabled`], everything else [`ChangeState::Applied`] until it was judged.
#[must_use]
pub fn changes(
    before: &BTreeMap<String, Portrait>,
    after: &BTreeMap<String, Portrait>,
) -> Vec<AgentChange> {
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    names
        .into_iter()
        .filter_map(|name| change(name, before.get(name), after.get(name)))
        .collect()
}

fn change(name: &str, before: Option<&Portrait>, after: Option<&Portrait>) -> Option<AgentChange> {
    let nothing = Portrait::default();
    let (old, new) = (before.unwrap_or(&nothing), after.unwrap_or(&nothing));
    if old.digest == new.digest && old.problem == new.problem {
        return None;
    }
    let known = !old.keys.is_empty();
    let different = |key: &&String| old.keys.get(*key) != new.keys.get(*key);
    let keys = match (before, after) {
        (Some(_), Some(_)) if known => new.keys.keys().filter(different).cloned().collect(),
        _ => Vec::new(),
    };
    Some(AgentChange {
        agent: name.to_owned(),
        kind: match (before, after) {
            (None, _) => ChangeKind::Added,
            (_, None) => ChangeKind::Removed,
            _ => ChangeKind::Changed,
        },
        keys,
        gains: some(new.capabilities.difference(&old.capabilities)),
        loses: some(old.capabilities.difference(&new.capabilities)),
        state: match new.problem {
            Some(_) => ChangeState::Disabled,
            None => ChangeState::Applied,
        },
        message: new.problem.clone(),
        digest: new.digest.clone(),
        approvals_needed: 0,
        approvals: Vec::new(),
        shadows: None,
        canary_percent: None,
    })
}

/// Whether an agent may no longer do something that it could do, which ends what is in progress on it. Only what reaches outside counts: what a component imports says nothing of what it may.
#[must_use]
pub fn lost(before: &Agent, after: Option<&Arc<Agent>>) -> Option<&'static str> {
    let Some(after) = after.filter(|after| after.config.enabled) else {
        return Some("the agent was removed or disabled in `plugins.toml`");
    };
    let now = capabilities(&after.config);
    let gone = capabilities(&before.config)
        .into_iter()
        .any(|line| !line.starts_with("autonomy ") && !now.contains(&line));
    gone.then_some("a grant of the agent was taken back in `plugins.toml`")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Overrides, parse};
    use std::path::Path;

    fn agent(text: &str) -> AgentConfig {
        let text =
            format!("[repositories.here]\npath = \".\"\n[agents.one]\nplugin = \"one\"\n{text}");
        let config = parse(
            &text,
            Path::new("plugins.toml"),
            &|_| None,
            &Overrides::default(),
        )
        .unwrap();
        config.agents.into_values().next().unwrap()
    }

    fn gains(before: &str, after: &str) -> Vec<String> {
        let (before, after) = (capabilities(&agent(before)), capabilities(&agent(after)));
        after.difference(&before).cloned().collect()
    }

    #[test]
    fn more_grants_are_gains_and_fewer_are_none() {
        let http = "grants.http = [{ url = \"https://a.example/\" }]";
        assert_eq!(
            gains("", http),
            [
                "http GET https://a.example/",
                "http HEAD https://a.example/"
            ]
        );
        assert!(gains(http, "").is_empty());
        assert_eq!(
            gains(
                "grants.repos = [{ name = \"here\", commit = [\"a\"] }]",
                "grants.repos = [{ name = \"here\", commit = [\"a\", \"b\"] }]"
            ),
            ["repos here: commit on b"]
        );
    }

    #[test]
    fn more_autonomy_is_a_gain_and_less_is_none() {
        assert_eq!(
            gains("", "autonomy = \"auto\""),
            ["autonomy auto", "autonomy auto_after"]
        );
        assert!(gains("autonomy = \"auto\"", "autonomy = \"observe\"").is_empty());
        assert_eq!(
            gains(
                "dry_run = true\nautonomy = \"alert\"",
                "autonomy = \"alert\""
            ),
            ["autonomy alert", "autonomy observe"]
        );
    }

    #[test]
    fn what_is_taken_back_ends_what_is_in_progress_on_it() {
        let make = |text: &str| Agent {
            config: agent(text),
            plugin: None,
            loaded: Err(crate::registry::Refusal {
                reason: "plugin_missing".into(),
                message: String::new(),
            }),
            capabilities: Arc::default(),
            checkouts: Vec::new(),
            input: None,
            init: String::new(),
        };
        let granted = make("grants.http = [{ url = \"https://a.example/\" }]");
        assert!(lost(&granted, Some(&Arc::new(make("")))).is_some());
        assert!(lost(&granted, Some(&Arc::new(make("enabled = false")))).is_some());
        assert!(lost(&granted, None).is_some());
        let more = make(
            "autonomy = \"observe\"\ngrants.http = [{ url = \"https://a.example/\" }, { url = \"https://b.example/\" }]",
        );
        assert_eq!(lost(&granted, Some(&Arc::new(more))), None);
    }

    #[test]
    fn many_lines_are_cut() {
        let lines: Vec<String> = (0..500).map(|number| number.to_string()).collect();
        let cut = some(lines.iter());
        assert_eq!(cut.len(), LINES_MAX);
        assert_eq!(cut.last().unwrap(), "and 301 more");
    }
}
