//! Runs that count for nothing: a version of an agent gets the input of a recorded run, and nothing of what it does stays or changes anything outside.
//!
//! Invariant: it reads what the agent may read, with `GET` and `HEAD` alone; keys that it sets are its own and gone with it; what it proposes, announces, makes and logs is dropped. No row, no
//! place in the queue, no badge and no quarantine knows of it.

use super::Runtime;
use super::settle::settle;
use crate::model::{Run, now};
use crate::registry::Agent;
use crate::reload::shadow::Shadow;
use crate::sandbox::key_value::Layered;
use crate::sandbox::meter::Meter;
use std::sync::Arc;
use uuid::Uuid;

/// The time of one in milliseconds, at most: somebody waits for the change.
const TIME_MAX_MS: u64 = 30_000;

impl Runtime {
    /// Has an agent work on the input of a recorded run, without consequences.
    pub async fn shadow(&self, agent: &Agent, recorded: &Run) -> Shadow {
        let mut capabilities = agent.capabilities.for_shadow();
        capabilities.key_value = capabilities
            .key_value
            .take()
            .map(|space| Arc::new(Layered::over(space)) as _);
        let agent = agent.with_capabilities(capabilities);
        let mut limits = agent.config.limits.clone();
        limits.time_ms = limits.time_ms.min(TIME_MAX_MS);
        let meter = Arc::new(Meter::new(limits));
        let id = Uuid::now_v7();
        let mut run = Run {
            id,
            attempt: 1,
            idempotency_key: id.to_string(),
            started_at: Some(now()),
            ..recorded.clone()
        };
        let end = self
            .inside(&run, &agent, &meter, &self.holds.kill.token())
            .await;
        let (report, _) = settle(&mut run, end, &meter);
        Shadow {
            run,
            report,
            reached: meter.reached(),
        }
    }
}
