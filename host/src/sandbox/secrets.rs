//! The contract's `secrets` interface: values that a guest reads itself.
//!
//! Invariant: a guest learns nothing of names that it was not granted: whether there is such a secret, and whether it has a value, look the same.

use super::contract::agent::infinity::agent::secrets as wit;
use super::meter::escape;
use super::state::RunState;
use crate::config::Secret;
use async_trait::async_trait;

/// Characters of a name that a denial shows.
const NAME_SHOWN: usize = 64;

/// Who gives secrets to guests.
#[async_trait]
pub trait Reveals: Send + Sync {
    /// The value as it is now, once it is on record that the agent has it; none where there is none any more.
    ///
    /// # Errors
    /// When it cannot be recorded; nothing is given then. The text is for the guest.
    async fn reveal(&self, agent: &str, name: &str) -> Result<Option<Secret>, String>;
}

impl wit::Host for RunState {
    async fn reveal(&mut self, name: String) -> wasmtime::Result<Result<String, wit::Error>> {
        self.meter.cross(name.len() as u64)?;
        let shown: String = escape(&name.chars().take(NAME_SHOWN).collect::<String>());
        let revealer = self
            .capabilities
            .revealer
            .clone()
            .filter(|_| self.capabilities.reveal.contains(&name));
        if let Some(revealer) = revealer {
            // The record of the run says that it began before it says what it read.
            self.meter.row().await;
            match revealer.reveal(&self.capabilities.agent, &name).await {
                Ok(Some(value)) => {
                    self.meter.reach("secret", &name);
                    return Ok(Ok(value.expose().to_owned()));
                }
                Ok(None) => {}
                Err(why) => return Ok(Err(wit::Error::Other(why))),
            }
        }
        let reason = format!("secret_denied: reading the secret `{shown}` is not granted");
        self.meter.deny(
            "secret",
            format!("reveal `{shown}`"),
            reason.clone(),
            format!("secrets = [\"{shown}\"], reveal = [\"{shown}\"]"),
        );
        Ok(Err(wit::Error::Denied(reason)))
    }
}
