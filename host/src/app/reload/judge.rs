//! Who says whether a change of an agent may take over: trying it, policy, people, and shadow runs.

use super::super::App;
use super::super::ways::{Policies, exporting};
use crate::effects::Judge as _;
use crate::model::Outcome;
use crate::registry::{Agent, Refusal, Registry};
use crate::reload::shadow::{self, Shadows, Verdict};
use crate::reload::{AgentChange, Cause, ChangeKind, ChangeState, Portrait};
use crate::runtime;
use crate::sandbox::call::Call;
use crate::sandbox::meter::Meter;
use crate::sandbox::{Job, Sandbox as _};
use crate::store::{PageRequest, RunFilter, Store as _};
use arc_swap::ArcSwap;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// Runs that are looked through for inputs that differ.
const SHADOW_LOOK: u32 = 100;

/// After this long no further shadow run of an agent begins: somebody waits for the change.
const SHADOW_PATIENCE: Duration = Duration::from_secs(60);

/// People that policy can ask for.
const APPROVALS_MAX: u64 = 10;

impl App {
    /// Judges each change, and puts the agent back as it was where the answer is not yes.
    pub(super) async fn judge_all(
        &self,
        changes: &mut [AgentChange],
        in_force: &Arc<Registry>,
        previous: Option<&Arc<Registry>>,
        candidate: &mut Registry,
        portraits: &mut BTreeMap<String, Portrait>,
        cause: Cause,
    ) {
        let recorded = self.versions().recorded.clone();
        for change in changes.iter_mut() {
            // What does not run is not asked about, and what goes needs no leave.
            if change.state != ChangeState::Applied || change.kind == ChangeKind::Removed {
                continue;
            }
            let earlier = recorded.as_ref().and_then(|version| {
                let mut changes = version.changes.iter();
                changes.find(|earlier| earlier.digest == change.digest)
            });
            change.approvals = earlier.map_or_else(Vec::new, |earlier| earlier.approvals.clone());
            self.judge_one(change, in_force, candidate, cause).await;
            if change.state == ChangeState::Applied {
                continue;
            }
            let message = change.message.clone().unwrap_or_default();
            tracing::warn!(agent.name = %change.agent, "the agent `{}` stays as it was: {message}", change.agent);
            let before = previous.and_then(|previous| previous.agents.get(&change.agent));
            let kept = before.cloned().or_else(|| {
                let agent = candidate.agents.get(&change.agent)?;
                Some(Arc::new(agent.held(Refusal {
                    reason: match change.state {
                        ChangeState::Waiting => "approval".into(),
                        ChangeState::RolledBack => "rolled_back".into(),
                        _ => "policy".into(),
                    },
                    message,
                })))
            });
            if let Some(kept) = kept {
                match recorded.as_ref().filter(|_| before.is_none()) {
                    // Compared with what was in force before this process.
                    Some(recorded) => match recorded.agents.get(&change.agent) {
                        Some(was) => {
                            portraits.insert(change.agent.clone(), was.clone());
                        }
                        None => {
                            portraits.remove(&change.agent);
                        }
                    },
                    None => {
                        portraits.insert(change.agent.clone(), Portrait::of(&kept));
                    }
                }
                candidate.agents.insert(change.agent.clone(), kept);
            }
        }
    }

    async fn judge_one(
        &self,
        change: &mut AgentChange,
        in_force: &Arc<Registry>,
        candidate: &Registry,
        cause: Cause,
    ) {
        let refuse = |change: &mut AgentChange, state, message: String| {
            change.state = state;
            change.message = Some(message);
        };
        let crashed = self.versions().crashed.get(&change.digest).copied();
        if let Some(crashes) = crashed {
            let message = format!(
                "it crashed {crashes} times in a row and was rolled back; mend it, or take it all the same with `infinity config approve {}`",
                change.agent
            );
            if change.approvals.is_empty() {
                return refuse(change, ChangeState::RolledBack, message);
            }
        }
        let Some(agent) = candidate.agents.get(&change.agent) else {
            return;
        };
        if let Err(message) = self.tried(agent).await {
            return refuse(change, ChangeState::Refused, message);
        }
        match self
            .asked_policy(change, agent, in_force, candidate, cause)
            .await
        {
            Ok(0) => self.shadowed(change, agent, in_force).await,
            Ok(needed) => {
                change.approvals_needed = needed;
                let given = change.approvals.len();
                if given < needed as usize {
                    let message = format!(
                        "{given} of {needed} people approve that it {}; `infinity config approve {}`",
                        gained(change),
                        change.agent
                    );
                    refuse(change, ChangeState::Waiting, message);
                } else {
                    self.shadowed(change, agent, in_force).await;
                }
            }
            Err(message) => refuse(change, ChangeState::Refused, message),
        }
    }

    /// Has an agent's new version and the one in force work on the inputs of its latest runs, without consequences, and keeps it as it was where the new one ends worse.
    async fn shadowed(&self, change: &mut AgentChange, agent: &Arc<Agent>, in_force: &Registry) {
        let before = in_force.agents.get(&change.agent);
        let Some(before) = before.filter(|before| {
            agent.config.shadow > 0
                && agent.loaded.is_ok()
                && before.loaded.is_ok()
                && !Arc::ptr_eq(before, agent)
        }) else {
            return;
        };
        let filter = RunFilter {
            agent: Some(change.agent.clone()),
            ended: Some(true),
            ..RunFilter::default()
        };
        let page = PageRequest {
            limit: SHADOW_LOOK,
            cursor: None,
        };
        let recorded = match self.store.runs(filter, page).await {
            Ok(page) => page.items,
            Err(error) => {
                tracing::warn!(agent.name = %change.agent, "the inputs of `{}` cannot be read, so its new version is not tried on them: {error}", change.agent);
                return;
            }
        };
        let began = Instant::now();
        let mut inputs: Vec<Value> = Vec::new();
        let mut shadows = Shadows::default();
        for run in recorded {
            if shadows.runs >= agent.config.shadow || began.elapsed() > SHADOW_PATIENCE {
                break;
            }
            // A request that was answered has no input that could be handed in again.
            let asked = matches!(run.outcome, Some(Outcome::Succeeded | Outcome::Failed))
                && !runtime::is_request(&run);
            if !asked || inputs.contains(&run.input) {
                continue;
            }
            inputs.push(run.input.clone());
            let was = self.runtime.shadow(before, &run).await;
            let is = self.runtime.shadow(agent, &run).await;
            // Whoever throws the kill switch ends these, too.
            if self.holds.kill.is_engaged() {
                break;
            }
            shadows.runs += 1;
            shadows.reach(&is.reached);
            match shadow::verdict(&was, &is) {
                Verdict::Same => {}
                Verdict::Different => shadows.different += 1,
                Verdict::Worse(how) => {
                    shadows.different += 1;
                    change.state = ChangeState::Refused;
                    change.message = Some(format!(
                        "a shadow run on the input of run {} says no: {how}; mend it, or take `shadow` out of its entry to have it all the same",
                        run.id
                    ));
                    break;
                }
            }
        }
        change.shadows = Some(shadows);
    }

    /// Whether an agent with policies can load them: those in force stay otherwise.
    async fn tried(&self, agent: &Arc<Agent>) -> Result<(), String> {
        let (Some(_), Ok(loaded)) = (&agent.config.policies, &agent.loaded) else {
            return Ok(());
        };
        let decides = loaded
            .inspection
            .exports
            .iter()
            .any(|export| export.starts_with("infinity:agent/policy@"));
        if !decides {
            return Ok(());
        }
        let call = Call::Query {
            query: "1".into(),
            input: "{}".into(),
        };
        let job = Job {
            meter: Arc::new(Meter::new(agent.config.limits.clone())),
            capabilities: Arc::clone(&agent.capabilities),
            cancel: CancellationToken::new(),
        };
        match self.sandbox.call(loaded, call, job).await.result {
            Ok(crate::sandbox::call::Answer::Error(message)) => Err(message),
            Ok(_) => Ok(()),
            Err(stop) => Err(stop.message),
        }
    }

    /// How many people have to approve a change by `config` of the policies in force; an error where they refuse it. Where no policy speaks of it, nobody has to.
    async fn asked_policy(
        &self,
        change: &AgentChange,
        agent: &Agent,
        in_force: &Arc<Registry>,
        candidate: &Registry,
        cause: Cause,
    ) -> Result<u32, String> {
        let decides = |registry: &Registry| {
            exporting(registry, "infinity:agent/policy@", |agent| {
                agent.config.policies.is_some()
            })
            .is_some()
        };
        // Those in force, so that no policy lets itself in; where none runs, those that come.
        let judges = if decides(in_force) {
            Arc::clone(in_force)
        } else if decides(candidate) {
            Arc::new(candidate.clone())
        } else {
            return Ok(0);
        };
        let policies = Policies {
            registry: Arc::new(ArcSwap::new(judges)),
            sandbox: Arc::clone(&self.sandbox),
        };
        let repositories: BTreeMap<&str, Value> = agent
            .config
            .grants
            .repositories
            .iter()
            .filter_map(|grant| {
                let repository = candidate.config.repositories.get(&grant.name)?;
                let environment = repository.environment.as_str();
                Some((grant.name.as_str(), json!({ "environment": environment })))
            })
            .collect();
        let plugin = agent.plugin.as_ref();
        let input = json!({
            "agent": change.agent, "kind": change.kind, "cause": cause,
            "keys": change.keys, "gains": change.gains, "loses": change.loses,
            "plugin": { "name": agent.config.plugin, "digest": plugin.map(|plugin| &plugin.digest),
                "source": plugin.and_then(|plugin| plugin.source.as_ref()), "signed_by": plugin.and_then(|plugin| plugin.signed_by.as_ref()) },
            "autonomy": agent.config.autonomy.as_str(),
            "repositories": repositories,
        });
        let unanswered = |why: String| format!("the policies `config` did not answer: {why}");
        let said = policies.query("data.config", &input).await;
        let Some(said) = said.map_err(unanswered)? else {
            return Ok(0);
        };
        let decision = policies
            .evaluate("config", &input)
            .await
            .map_err(unanswered)?;
        if !decision.allowed {
            let said: Vec<String> = decision
                .denials
                .iter()
                .map(|denial| format!("{} [{}]", denial.message, denial.rule))
                .collect();
            return Err(said.join("; "));
        }
        let needed = match said.get("approvals") {
            None => 0,
            Some(needed) => needed
                .as_u64()
                .filter(|needed| *needed <= APPROVALS_MAX)
                .ok_or_else(|| {
                    format!(
                        "policy's `config.approvals` is {needed}, not a number from 0 to {APPROVALS_MAX}"
                    )
                })?,
        };
        Ok(u32::try_from(needed).unwrap_or(u32::MAX))
    }
}

/// What a person approves, in a few words.
fn gained(change: &AgentChange) -> String {
    match change.gains.as_slice() {
        [] => "changes".into(),
        [one] => format!("may `{one}`"),
        [one, rest @ ..] => format!("may `{one}` and {} more", rest.len()),
    }
}
