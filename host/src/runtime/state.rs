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
            killed: self.holds.kill.is_engaged(),
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
    /// The kill switch is on.
    pub killed: bool,
    /// Somebody paused it.
    pub paused: bool,
    /// The latest finished run did not succeed, or it cannot run.
    pub error: bool,
    /// A run is in progress.
    pub generating: bool,
    /// The latest run's effects were applied.
    pub deployed: bool,
}

/// The first state that holds: KillSwitch, Paused, Error, Generating, Deployed, Online.
#[must_use]
pub(super) fn detect(facts: Facts) -> AgentState {
    match facts {
        Facts { killed: true, .. } => AgentState::KillSwitch,
        Facts { paused: true, .. } => AgentState::Paused,
        Facts { error: true, .. } => AgentState::Error,
        Facts {
            generating: true, ..
        } => AgentState::Generating,
        Facts { deployed: true, .. } => AgentState::Deployed,
        _ => AgentState::Online,
    }
}

/// What changes a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Signal {
    /// A person, or `pause.flag`, pauses.
    Pause,
    /// And resumes: the state from before comes back.
    Resume,
    /// A run begins. What was deployed before is no news any more.
    Build,
    /// The run succeeded, and changed nothing outside.
    Done,
    /// The run's effects were applied.
    Deploy,
    /// The run did not succeed.
    Error,
    /// An error was mended: the plugin can run again, or a person let a quarantined agent go on.
    Recover,
    /// The kill switch is thrown.
    Kill,
    /// And taken back.
    Revive,
}

/// Which state follows on which, for those that neither a pause nor the kill switch covers. What is not listed changes nothing.
///
/// Over it lie two rules: a pause is possible in every state and shows `paused` until it is taken back, while what is beneath goes on changing; and the kill switch lies over
/// everything, pauses too.
pub const TRANSITIONS: &[(AgentState, Signal, AgentState)] = &[
    (AgentState::Online, Signal::Build, AgentState::Generating),
    (AgentState::Online, Signal::Error, AgentState::Error),
    (AgentState::Online, Signal::Deploy, AgentState::Deployed),
    (AgentState::Generating, Signal::Done, AgentState::Online),
    (AgentState::Generating, Signal::Deploy, AgentState::Deployed),
    (AgentState::Generating, Signal::Error, AgentState::Error),
    // The next cycle.
    (AgentState::Deployed, Signal::Build, AgentState::Generating),
    (AgentState::Deployed, Signal::Done, AgentState::Online),
    (AgentState::Deployed, Signal::Error, AgentState::Error),
    (AgentState::Error, Signal::Recover, AgentState::Online),
    (AgentState::Error, Signal::Done, AgentState::Online),
    (AgentState::Error, Signal::Deploy, AgentState::Deployed),
];

/// The state after a signal, by [`TRANSITIONS`]; `covered` states are none of its business.
#[must_use]
pub fn transition(state: AgentState, signal: Signal) -> AgentState {
    TRANSITIONS
        .iter()
        .find(|(from, by, _)| *from == state && *by == signal)
        .map_or(state, |(_, _, to)| *to)
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Facts {
        /// What is true after a signal.
        fn after(self, signal: Signal) -> Self {
            match signal {
                Signal::Pause => Self {
                    paused: true,
                    ..self
                },
                Signal::Resume => Self {
                    paused: false,
                    ..self
                },
                Signal::Kill => Self {
                    killed: true,
                    ..self
                },
                Signal::Revive => Self {
                    killed: false,
                    ..self
                },
                Signal::Build => Self {
                    generating: true,
                    deployed: false,
                    ..self
                },
                Signal::Done => Self {
                    generating: false,
                    error: false,
                    deployed: false,
                    ..self
                },
                Signal::Deploy => Self {
                    generating: false,
                    error: false,
                    deployed: true,
                    ..self
                },
                Signal::Error => Self {
                    generating: false,
                    error: true,
                    deployed: false,
                    ..self
                },
                Signal::Recover => Self {
                    error: false,
                    ..self
                },
            }
        }
    }

    const SIGNALS: [Signal; 9] = [
        Signal::Pause,
        Signal::Resume,
        Signal::Build,
        Signal::Done,
        Signal::Deploy,
        Signal::Error,
        Signal::Recover,
        Signal::Kill,
        Signal::Revive,
    ];

    /// Facts that show a state, and nothing beside it.
    const SHOWN: [(AgentState, Facts); 4] = [
        (
            AgentState::Online,
            Facts {
                killed: false,
                paused: false,
                error: false,
                generating: false,
                deployed: false,
            },
        ),
        (
            AgentState::Generating,
            Facts {
                killed: false,
                paused: false,
                error: false,
                generating: true,
                deployed: false,
            },
        ),
        (
            AgentState::Deployed,
            Facts {
                killed: false,
                paused: false,
                error: false,
                generating: false,
                deployed: true,
            },
        ),
        (
            AgentState::Error,
            Facts {
                killed: false,
                paused: false,
                error: true,
                generating: false,
                deployed: false,
            },
        ),
    ];

    #[test]
    fn detects_the_first_state_that_holds() {
        let mut facts = Facts {
            killed: true,
            paused: true,
            error: true,
            generating: true,
            deployed: true,
        };
        let order = [
            AgentState::KillSwitch,
            AgentState::Paused,
            AgentState::Error,
            AgentState::Generating,
            AgentState::Deployed,
            AgentState::Online,
        ];
        for (index, state) in order.into_iter().enumerate() {
            assert_eq!(detect(facts), state);
            match index {
                0 => facts.killed = false,
                1 => facts.paused = false,
                2 => facts.error = false,
                3 => facts.generating = false,
                _ => facts.deployed = false,
            }
        }
    }

    #[test]
    fn every_pair_of_state_and_signal_goes_where_the_table_says() {
        for (state, facts) in SHOWN {
            assert_eq!(detect(facts), state);
            for signal in SIGNALS {
                let expected = match signal {
                    Signal::Pause => AgentState::Paused,
                    Signal::Kill => AgentState::KillSwitch,
                    // Nothing is paused or killed, so there is nothing to take back.
                    Signal::Resume | Signal::Revive => state,
                    signal => transition(state, signal),
                };
                assert_eq!(
                    detect(facts.after(signal)),
                    expected,
                    "{state:?} {signal:?}"
                );
            }
        }
    }

    #[test]
    fn a_pause_is_possible_in_every_state_and_taking_it_back_restores_it() {
        for (state, facts) in SHOWN {
            let paused = facts.after(Signal::Pause);
            assert_eq!(detect(paused), AgentState::Paused);
            assert_eq!(detect(paused.after(Signal::Resume)), state);
            let killed = paused.after(Signal::Kill);
            assert_eq!(detect(killed), AgentState::KillSwitch);
            assert_eq!(detect(killed.after(Signal::Revive)), AgentState::Paused);
            for signal in SIGNALS {
                // What is beneath goes on: a run that was in progress ends.
                let beneath = detect(facts.after(signal));
                let shown = detect(paused.after(signal));
                match signal {
                    Signal::Kill => assert_eq!(shown, AgentState::KillSwitch),
                    Signal::Resume => assert_eq!(shown, state),
                    _ => {
                        assert_eq!(shown, AgentState::Paused);
                        assert_eq!(
                            detect(paused.after(signal).after(Signal::Resume)),
                            if signal == Signal::Pause {
                                state
                            } else {
                                beneath
                            }
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn deployed_falls_back_to_online_at_the_next_cycle() {
        let deployed = SHOWN[2].1;
        let next = deployed.after(Signal::Build);
        assert_eq!(detect(next), AgentState::Generating);
        assert_eq!(detect(next.after(Signal::Done)), AgentState::Online);
    }
}
