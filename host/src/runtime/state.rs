//! What an agent is doing, as lists and badges show it, from typed facts; and the run that draws the badges of all.

use super::Runtime;
use crate::model::{AgentState, Artifact, ArtifactInfo, BadgeStyle, Usage};
use crate::registry::Agent;
use crate::sandbox::call::{Answer, BadgeRequest, Call, GuestReport};
use crate::sandbox::meter::Meter;
use crate::sandbox::{CallEnd, Job, Loaded, Stop, digest};
use serde_json::{Value, json};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

impl Runtime {
    /// A run of a component that only draws: the badges of the system and of every agent, as artifacts.
    pub(super) async fn draw_all(
        &self,
        loaded: &Arc<Loaded>,
        agent: &Agent,
        meter: &Arc<Meter>,
        cancel: &CancellationToken,
    ) -> CallEnd {
        let mut end = CallEnd {
            result: Err(Stop::cancelled()),
            usage: Usage::default(),
            artifacts: Vec::new(),
        };
        let mut drawn = serde_json::Map::new();
        let mut subjects = vec![("system".to_owned(), self.system_state())];
        subjects.extend(
            self.registry
                .load()
                .agents
                .keys()
                .filter(|name| *name != agent.config.name.as_str())
                .map(|name| (name.clone(), self.agent_state(name))),
        );
        for (label, state) in subjects {
            let request = BadgeRequest {
                label: label.clone(),
                state,
                style: BadgeStyle::Flat,
            };
            let job = Job {
                meter: Arc::clone(meter),
                capabilities: Arc::clone(&agent.capabilities),
                cancel: cancel.clone(),
            };
            let one = self.sandbox.call(loaded, Call::Render(request), job).await;
            let usage = one.usage;
            end.usage = Usage {
                instantiate_us: end.usage.instantiate_us + usage.instantiate_us,
                guest_us: end.usage.guest_us + usage.guest_us,
                wall_us: end.usage.wall_us + usage.wall_us,
                ..usage
            };
            let image = match one.result {
                Ok(Answer::Badge(image)) => image,
                other => {
                    end.result = other;
                    return end;
                }
            };
            drawn.insert(
                label.clone(),
                json!({ "message": image.message, "color": image.color }),
            );
            end.artifacts.push(Artifact {
                info: ArtifactInfo {
                    name: format!("{label}.svg"),
                    media_type: "image/svg+xml".into(),
                    size: image.svg.len() as u64,
                    digest: digest(image.svg.as_bytes()),
                },
                content: image.svg.into_bytes().into(),
            });
        }
        end.result = Ok(Answer::Report(Box::new(GuestReport {
            passed: true,
            summary: format!("{} badges drawn", drawn.len()),
            output: Some(Value::Object(drawn).to_string()),
            ..GuestReport::default()
        })));
        end
    }

    /// The state of an agent, the first that holds.
    #[must_use]
    pub fn agent_state(&self, name: &str) -> AgentState {
        let registry = self.registry.load();
        let Some(agent) = registry.agents.get(name) else {
            return AgentState::Error;
        };
        detect(Facts {
            paused: !agent.config.enabled || self.holds.all() || self.holds.agent(name),
            error: agent.loaded.is_err()
                || self.holds.quarantined(name)
                || self.past(name).failed(),
            generating: self.is_live(name),
            deployed: false,
        })
    }

    /// The state of the system: over all agents that are enabled, drawing ones apart, which would always see themselves at work.
    #[must_use]
    pub fn system_state(&self) -> AgentState {
        let registry = self.registry.load();
        let draws = |agent: &Agent| {
            agent.loaded.as_ref().is_ok_and(|loaded| {
                !loaded
                    .inspection
                    .exports
                    .iter()
                    .any(|export| export == "run")
            })
        };
        registry
            .agents
            .iter()
            .filter(|(_, agent)| agent.config.enabled && !draws(agent))
            .map(|(name, _)| self.agent_state(name))
            .min()
            .unwrap_or(AgentState::Online)
    }
}

/// What a state is detected from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Facts {
    /// Somebody paused it.
    pub paused: bool,
    /// The latest finished run did not succeed, or it cannot run.
    pub error: bool,
    /// A run is in progress.
    pub generating: bool,
    /// The latest run's effects were applied.
    pub deployed: bool,
}

/// The first state that holds: Paused, Error, Generating, Deployed, Online.
#[must_use]
pub(super) fn detect(facts: Facts) -> AgentState {
    match facts {
        Facts { paused: true, .. } => AgentState::Paused,
        Facts { error: true, .. } => AgentState::Error,
        Facts {
            generating: true, ..
        } => AgentState::Generating,
        Facts { deployed: true, .. } => AgentState::Deployed,
        _ => AgentState::Online,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn detects_the_first_state_that_holds() {
        let all = Facts {
            paused: true,
            error: true,
            generating: true,
            deployed: true,
        };
        assert_eq!(detect(all), AgentState::Paused);
        assert_eq!(
            detect(Facts {
                paused: false,
                ..all
            }),
            AgentState::Error
        );
        let generating = Facts {
            paused: false,
            error: false,
            ..all
        };
        assert_eq!(detect(generating), AgentState::Generating);
        let deployed = Facts {
            generating: false,
            ..generating
        };
        assert_eq!(detect(deployed), AgentState::Deployed);
        assert_eq!(detect(Facts::default()), AgentState::Online);
    }
}
