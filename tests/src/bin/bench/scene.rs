//! A host as it is shipped, joined over a folder of its own: agents that do nothing, with the grants of agents that do something.

use anyhow::{Context as _, anyhow};
use infinity::app::{App, Options};
use infinity::config::{Overrides, load};
use infinity::registry::Agent;
use infinity_tests::host::{binary, component};
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use tempfile::TempDir;

/// The agent that answers passed and does nothing else, written by hand.
pub(crate) const AGENT: &str = "noop";

/// The agent in Rust.
pub(crate) const RUST_AGENT: &str = "rust";

/// Runs at once: what the benches drive at most.
pub(crate) const CONCURRENCY: usize = 64;

/// A folder below the target directory: on the disk, which the system's temporary folder need not be.
pub(crate) fn folder() -> anyhow::Result<TempDir> {
    // `target/wasm32-wasip2/guest/policy.wasm`
    let target = component("policy")
        .ancestors()
        .nth(3)
        .map(PathBuf::from)
        .context("the target directory is unknown")?;
    Ok(tempfile::Builder::new()
        .prefix("bench-")
        .tempdir_in(target)?)
}

/// The bytes of an agent's component.
pub(crate) fn bytes(agent: &str) -> anyhow::Result<Vec<u8>> {
    if agent == RUST_AGENT {
        return Ok(fs::read(component("test_guests"))?);
    }
    let text = test_guests::component_text("noop_agent").context("`noop_agent` is missing")?;
    Ok(wat::parse_str(text)?)
}

/// A host over a folder.
pub(crate) struct Scene {
    /// The host.
    pub(crate) app: Arc<App>,
    /// Its state; gone with the scene.
    _folder: TempDir,
}

impl Scene {
    /// Writes the configuration and opens the host with these agents.
    pub(crate) async fn open(agents: &[&str]) -> anyhow::Result<Self> {
        let folder = folder()?;
        fs::create_dir(folder.path().join("dist"))?;
        let file = folder.path().join("plugins.toml");
        let mut text = format!(
            "[host]\nstate = \"var\"\nplugins = \"dist\"\nconcurrency = {CONCURRENCY}\nqueue = 10000\n"
        );
        for agent in agents {
            fs::write(
                folder.path().join(format!("dist/{agent}.wasm")),
                bytes(agent)?,
            )?;
            text.push_str(&format!(
                "[agents.{agent}]\nplugin = \"{agent}\"\nsettings = {{ source = \"ops\", depth = 3 }}\n\
                 [agents.{agent}.grants]\nhttp = [{{ url = \"https://api.example.org/v1/\", methods = [\"GET\", \"POST\"] }}]\n\
                 env = {{ LANG = \"C.UTF-8\" }}\n"
            ));
        }
        fs::write(&file, text)?;
        let config = load(&file, &|_| None, &Overrides::default())
            .map_err(|errors| anyhow!("the bench's configuration is wrong: {errors}"))?;
        let options = Options {
            worker: Some(binary()),
            ..Options::default()
        };
        let app = App::open(config, options, &|_| {}).await?;
        Ok(Self {
            app,
            _folder: folder,
        })
    }

    /// An agent, ready to run.
    pub(crate) fn agent(&self, name: &str) -> anyhow::Result<Arc<Agent>> {
        let registry = self.app.registry();
        let agent = registry.agents.get(name).context("the agent is missing")?;
        if let Err(refusal) = &agent.loaded {
            anyhow::bail!("the agent cannot run: {}", refusal.message);
        }
        Ok(Arc::clone(agent))
    }
}
