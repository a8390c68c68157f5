//! Components that were replaced or removed are kept for a while, so that one can go back to them: when somebody asks for it, and when a host starts whose latest change may not take over.

use super::super::App;
use super::is_in_force;
use crate::config;
use crate::registry::{self, Agent, Registry};
use crate::reload::{AgentChange, ConfigVersion, Portrait, VersionState};
use crate::store::Store as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The folder in the state folder with components that were replaced or removed.
pub(super) const COMPONENTS: &str = "components";

/// Bytes of replaced components that are kept: twenty of the size of an interpreter.
const COMPONENTS_MAX_BYTES: u64 = 1 << 30;

impl App {
    /// Keeps components that are replaced or gone, so that one can go back to them.
    pub(super) async fn keep_components(&self, before: &Registry, after: &Registry) {
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

    /// Has agents whose change waits, was refused or crashed begin as they were when the last process ended: a restart costs nobody the version before a change.
    pub(super) async fn begin_as_before(
        &self,
        candidate: &mut Registry,
        past: &[ConfigVersion],
        changes: &[AgentChange],
    ) {
        let Some(latest) = past.first() else {
            return;
        };
        for change in changes.iter().filter(|change| !is_in_force(change)) {
            // What was not there before has nothing to go on as.
            let Some(was) = latest.agents.get(&change.agent) else {
                continue;
            };
            match self.as_before(&change.agent, was, past, candidate).await {
                Ok(agent) => {
                    let name = change.agent.clone();
                    candidate.agents.insert(name, Arc::new(agent));
                }
                Err(why) => tracing::warn!(
                    agent.name = %change.agent,
                    "the agent `{}` does not run, as it cannot be as it was before: {why}",
                    change.agent
                ),
            }
        }
    }

    /// An agent as it was in force, made of the text and the component of then; or why it cannot be.
    async fn as_before(
        &self,
        name: &str,
        was: &Portrait,
        past: &[ConfigVersion],
        candidate: &Registry,
    ) -> Result<Agent, String> {
        // The text of a version in which it had its way, not of one in which it was held.
        let version = past.iter().find(|version| {
            version.state == VersionState::Applied
                && version
                    .agents
                    .get(name)
                    .is_some_and(|then| then.digest == was.digest)
                && version
                    .changes
                    .iter()
                    .all(|change| change.agent != name || is_in_force(change))
        });
        let version = version.ok_or("no version of late has its entry")?;
        let stored = self.store.version(version.number).await;
        let (_, text) = stored
            .map_err(|error| error.to_string())?
            .ok_or("the text of its version is not kept")?;
        let (overrides, secrets) = (self.overrides.clone(), Arc::clone(&self.secrets));
        let path = candidate.config.path.clone();
        let read = move || {
            let environment = |name: &str| secrets.value(name);
            config::parse_tolerant(&text, &path, &environment, &overrides)
        };
        let config = tokio::task::spawn_blocking(read)
            .await
            .map_err(|error| error.to_string())?
            .map_err(|_| "the text of its version is not valid any more")?;
        let mut entries = config.agents.values();
        let entry = entries
            .find(|agent| agent.name.as_str() == name)
            .cloned()
            .or_else(|| config.implicit_agent(name))
            .ok_or("the text of its version does not name it")?;
        let digest = version.plugins.get(&entry.plugin);
        let digest = digest.ok_or("its component was not there then")?.clone();
        let plugin = match candidate.plugins.get(&entry.plugin) {
            Some(plugin) if plugin.digest == digest => Arc::clone(plugin),
            _ => {
                let folder = candidate.config.host.state.join(COMPONENTS);
                let file = folder.join(component_name(&digest));
                let (plugin, supply) = (entry.plugin.clone(), candidate.config.supply.clone());
                let read = move || registry::read_elsewhere(&plugin, &file, &supply);
                let plugin = tokio::task::spawn_blocking(read)
                    .await
                    .map_err(|error| error.to_string())?;
                Arc::new(plugin)
            }
        };
        let surroundings = self.surroundings(&self.forges, None);
        let agent = registry::build_one(&candidate.config, &entry, plugin, &surroundings).await;
        if let Err(refusal) = &agent.loaded {
            return Err(refusal.message.clone());
        }
        // Also of other policies, or with another value of a secret, it is another one than people had.
        if Portrait::of(&agent).digest != was.digest {
            return Err("what it was made of is not there any more".into());
        }
        Ok(agent)
    }
}

pub(super) fn component_name(digest: &str) -> String {
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
pub(super) async fn write_whole(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
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
