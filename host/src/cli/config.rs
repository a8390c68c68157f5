//! `infinity config`: the same check as a start, stopped there; and the schema for editors.

use super::{Done, GlobalOptions, Launcher, Output};
use crate::config::schema;
use clap::Subcommand;
use serde_json::json;

/// What to do with the configuration.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Report every mistake, with its place and what to do
    Check,
    /// Print the JSON Schema of `plugins.toml`
    Schema,
}

pub(super) async fn execute(
    command: &ConfigCommand,
    global: &GlobalOptions,
    launcher: &dyn Launcher,
    output: &Output,
) -> Done {
    match command {
        ConfigCommand::Schema => output.value(&schema()),
        ConfigCommand::Check => {
            let config = launcher.config(global).await?;
            let count = config.agents.len();
            if output.is_json() {
                output.value(&json!({ "errors": [], "more": 0, "agents": count }));
            } else {
                output.line(&format!(
                    "{}: no mistakes, {}",
                    global.config.display(),
                    super::output::plural(count as u64, "agent")
                ));
            }
        }
    }
    Ok(0)
}
