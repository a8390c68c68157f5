//! `[pipelines.NAME]` to [`PipelineConfig`]: agents that run one after the other.

use std::collections::{BTreeMap, BTreeSet};

use toml::Spanned;

use super::agent::{AgentName, checked_description};
use super::error::{Errors, literal, nearest};
use super::keys;
use super::reader::{Reader, Value};
use super::triggers::{self, ScheduleConfig};

/// Agents that run one after the other. Source: `[pipelines.NAME]`.
#[derive(Clone, Debug, PartialEq)]
pub struct PipelineConfig {
    /// Its name, which looks like an agent's.
    pub name: String,
    /// For people: at most 1,000 characters on one line.
    pub description: Option<String>,
    /// At least one, at most 100.
    pub steps: Vec<StepConfig>,
    /// When it is due; none if it runs only when asked.
    pub schedule: Option<ScheduleConfig>,
}

/// One step of a pipeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepConfig {
    /// The agent that runs.
    pub agent: String,
    /// Whether the next step comes after this one failed, too; default `false`.
    pub go_on: bool,
}

/// Reads all pipelines. `agents` are the names that a step can have; `faulty` takes the mistakes of each entry that has some.
pub(super) fn read(
    root: &Reader<'_, '_>,
    agents: &BTreeSet<&str>,
    errors: &mut Errors,
    faulty: &mut Vec<Errors>,
) -> BTreeMap<String, PipelineConfig> {
    let mut pipelines = BTreeMap::new();
    let mut room = errors.room();
    let entries = root.entries("pipelines", errors);
    if entries.len() > keys::MAX_ENTRIES {
        errors.anywhere("there are more than 10_000 pipelines");
    }
    for (key, value) in entries.into_iter().take(keys::MAX_ENTRIES) {
        let mut own = Errors::with_room(room);
        let read = pipeline(&key, value, agents, &mut own);
        room = own.room();
        if !own.is_empty() {
            faulty.push(own);
        } else if let Some(pipeline) = read {
            pipelines.insert(pipeline.name.clone(), pipeline);
        }
    }
    pipelines
}

fn pipeline(
    key: &Spanned<&str>,
    value: &Value<'_>,
    agents: &BTreeSet<&str>,
    errors: &mut Errors,
) -> Option<PipelineConfig> {
    let name = *key.get_ref();
    let what = format!("pipeline {}", literal(name));
    if AgentName::new(name).is_err() {
        errors
            .at(
                key.span(),
                format!("{} cannot be the name of a pipeline", literal(name)),
            )
            .help("use a small letter, then small letters, digits and `-`; at most 63 characters");
    }
    let table = Reader::open(value, &keys::PIPELINE, what.clone(), key.span(), errors)?;
    let description = checked_description(&table, &what, errors);
    let schedule = triggers::read(&table, &what, errors);
    let steps = steps(&table, &what, agents, errors);
    Some(PipelineConfig {
        name: name.to_owned(),
        description,
        steps,
        schedule,
    })
}

fn steps(
    table: &Reader<'_, '_>,
    what: &str,
    agents: &BTreeSet<&str>,
    errors: &mut Errors,
) -> Vec<StepConfig> {
    let mut steps = Vec::new();
    let room = errors.room();
    for step in table.steps("steps", &format!("a step of {what}"), errors) {
        let (agent, go_on) = match step {
            Ok(agent) => (agent, false),
            Err(step) => {
                let go_on = step.boolean("continue", errors).unwrap_or(false);
                let Some(agent) = step.text("agent", errors) else {
                    continue;
                };
                (agent, go_on)
            }
        };
        if !agents.contains(agent.get_ref().as_str()) {
            let error = errors.at(
                agent.span(),
                format!("there is no agent {} for {what}", literal(agent.get_ref())),
            );
            match nearest(agent.get_ref(), agents.iter().copied()) {
                Some(near) => error.help(format!("did you mean `{near}`?")),
                None => error.help("a step is the name of an entry of `[agents]`"),
            };
        }
        steps.push(StepConfig {
            agent: Spanned::into_inner(agent),
            go_on,
        });
    }
    // Whoever wrote steps that are wrong knows it already; so does who wrote none at all.
    if steps.is_empty() && errors.room() == room && table.span("steps").is_some() {
        errors
            .at(table.place_of("steps"), format!("{what} has no steps"))
            .help("name at least one agent: `steps = [\"…\"]`");
    }
    steps
}
