//! `infinity config`: the same check as a start, stopped there; and the schema for editors.

use super::{CliError, Done, GlobalOptions, Output};
use crate::config::{Overrides, load, schema};
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

pub(super) fn execute(command: &ConfigCommand, global: &GlobalOptions, output: &Output) -> Done {
    match command {
        ConfigCommand::Schema => output.value(&schema()),
        ConfigCommand::Check => {
            let environment = |name: &str| std::env::var(name).ok();
            let config = load(&global.config, &environment, &Overrides::default())
                .map_err(CliError::from)?;
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
