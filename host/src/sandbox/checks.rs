//! The contract's `checks` interface: code that an agent has judged.

use super::contract::agent::infinity::agent::checks as wit;
use super::state::RunState;
use async_trait::async_trait;
use serde_json::Value;

/// Why there is no verdict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JudgeError {
    /// The agent may not read this repository.
    Unreadable(String),
    /// The submission has mistakes.
    Invalid(String),
    /// Not now.
    Unavailable(String),
}

/// Says which repositories may be read.
pub type MayRead<'a> = dyn for<'name> Fn(&'name str) -> bool + Sync + 'a;

/// Who judges code.
#[async_trait]
pub trait Judge: Send + Sync {
    /// The record of a check, when it has a verdict. `may_read` says which repositories the agent may read.
    ///
    /// # Errors
    /// See [`JudgeError`].
    async fn judge(
        &self,
        agent: &str,
        submission: &Value,
        may_read: &MayRead<'_>,
    ) -> Result<String, JudgeError>;
}

impl wit::Host for RunState {
    async fn check(&mut self, submission: String) -> wasmtime::Result<Result<String, wit::Error>> {
        self.meter.cross(submission.len() as u64)?;
        let Some(judge) = self.capabilities.judge.clone() else {
            let reason = "having code judged is not granted".to_owned();
            self.meter.deny(
                "checks",
                "check".into(),
                reason.clone(),
                "checks = true".into(),
            );
            return Ok(Err(wit::Error::Denied(reason)));
        };
        let value: Value = match serde_json::from_str(&submission) {
            Ok(value) => value,
            Err(error) => {
                return Ok(Err(wit::Error::Invalid(format!(
                    "the submission is no JSON: {error}"
                ))));
            }
        };
        self.meter.reach("checks", "check");
        let repositories = &self.capabilities.repositories;
        let may_read = |name: &str| repositories.contains_key(name);
        let judged = judge
            .judge(&self.capabilities.agent, &value, &may_read)
            .await;
        Ok(match judged {
            Ok(record) => {
                self.meter.cross(record.len() as u64)?;
                Ok(record)
            }
            Err(JudgeError::Unreadable(name)) => {
                Err(wit::Error::Denied(self.deny_repository(&name)))
            }
            Err(JudgeError::Invalid(message)) => Err(wit::Error::Invalid(message)),
            Err(JudgeError::Unavailable(message)) => Err(wit::Error::Unavailable(message)),
        })
    }
}
