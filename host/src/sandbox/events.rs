//! Events that a run announces, kept until its record is written with them.

use super::contract::agent::infinity::agent::events::{Error, Host};
use super::meter::escape;
use super::state::RunState;
use crate::model::{Limit, json_depth, json_values};
use crate::topics;
use serde_json::Value;

/// Events of one run: more of them belong into one event that says where to look.
const COUNT_MAX: usize = 100;

/// Bytes of an event's data.
const DATA_MAX_BYTES: usize = 64 * 1024;

/// Levels of an event's data: it becomes part of a run's input, which is read again as JSON.
const DEPTH_MAX: usize = 64;

/// Values in an event's data.
const VALUES_MAX: usize = 4_000;

/// Bytes of a subject.
const SUBJECT_MAX_BYTES: usize = 255;

/// An event without what the host adds.
#[derive(Clone, Debug, PartialEq)]
pub struct Emitted {
    /// The type.
    pub kind: String,
    /// What it is about.
    pub subject: Option<String>,
    /// The details.
    pub data: Value,
}

impl Host for RunState {
    async fn emit(
        &mut self,
        kind: String,
        subject: Option<String>,
        data: String,
    ) -> wasmtime::Result<Result<(), Error>> {
        let size = (kind.len() + data.len() + subject.as_ref().map_or(0, String::len)) as u64;
        self.meter.cross(size)?;
        let invalid = |message: &str| Ok(Err(Error::Invalid(message.to_owned())));
        if !topics::is_pattern(&kind) || kind.ends_with('*') {
            return invalid(
                "a type has small letters, digits, `.`, `_` and `-`, at most 255 of them",
            );
        }
        let granted = self
            .capabilities
            .events
            .iter()
            .any(|pattern| topics::matches(pattern, &kind));
        if !granted || topics::is_own(&kind) {
            let allow = if topics::is_own(&kind) {
                "nothing: only the host says that of itself".to_owned()
            } else {
                format!(
                    "events = [\"{kind}\"] in [agents.{}.grants]",
                    self.capabilities.agent
                )
            };
            self.meter.deny(
                "events",
                format!("emit {kind}"),
                "no grant names this type".to_owned(),
                allow,
            );
            return Ok(Err(Error::Denied(format!(
                "the agent may not announce `{kind}`"
            ))));
        }
        if subject
            .as_ref()
            .is_some_and(|subject| subject.len() > SUBJECT_MAX_BYTES)
        {
            return invalid("a subject has at most 255 bytes");
        }
        if data.len() > DATA_MAX_BYTES {
            return invalid("the data has more than 65536 bytes; refer to what is larger");
        }
        if json_values(&data) > VALUES_MAX {
            return invalid("the data has more than 4000 values");
        }
        let data: Value = match serde_json::from_str(&data) {
            Ok(data) if json_depth(&data) <= DEPTH_MAX => data,
            Ok(_) => return invalid("the data is nested more than 64 levels deep"),
            Err(_) => return invalid("the data is no JSON"),
        };
        let emitted = Emitted {
            kind,
            subject: subject.map(|subject| escape(&subject)),
            data,
        };
        let full = self.meter.emitted() >= COUNT_MAX;
        if full || !self.meter.charge_output(size) {
            let message = if full {
                format!("a run announces at most {COUNT_MAX} events")
            } else {
                format!(
                    "the run's output would be larger than {} bytes",
                    self.meter.budget.output_bytes
                )
            };
            self.meter.refuse(Limit::Output, message.clone());
            return Ok(Err(Error::TooMany(message)));
        }
        self.meter.emit(emitted);
        Ok(Ok(()))
    }
}
