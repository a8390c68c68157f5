//! Turns what a report proposes into records, which the end of its run brings to the store.

use crate::forge::shown;
use crate::model::{Effect, EffectState, Outcome, Proposal, Report, Run, Trigger, now};
use std::collections::{BTreeMap, HashMap};
use uuid::Uuid;

/// What a run proposes, as records. Nothing unless the run succeeded.
pub(super) fn propose(run: &Run, report: &Report, dry_run: bool) -> Vec<Effect> {
    if run.outcome != Some(Outcome::Succeeded) {
        return Vec::new();
    }
    let proposals: Vec<Proposal> = report
        .effects
        .iter()
        .filter_map(|effect| match serde_json::from_value(effect.clone()) {
            Ok(proposal) => Some(proposal),
            Err(error) => {
                // The contract's types leave no room for it.
                tracing::error!(run.id = %run.id, "an effect cannot be read: {error}");
                None
            }
        })
        .collect();
    let created_at = run.ended_at.unwrap_or_else(now);
    let event_at = match run.trigger {
        Trigger::Event => run.input["time"]
            .as_str()
            .and_then(|time| time.parse().ok()),
        _ => None,
    };
    let caused_at = event_at.unwrap_or(run.scheduled_at);
    let mut ids: HashMap<&str, Uuid> = HashMap::new();
    let mut effects = Vec::new();
    for proposal in &proposals {
        let id = Uuid::now_v7();
        let mut wrong = None;
        if ids.insert(&proposal.id, id).is_some() {
            wrong = Some(format!(
                "the report has two effects named {}",
                shown(&proposal.id)
            ));
        }
        effects.push((proposal, id, wrong));
    }
    let order = ranks(&proposals);
    effects
        .into_iter()
        .map(|(proposal, id, mut wrong)| {
            let mut depends_on = Vec::new();
            for name in &proposal.depends_on {
                match ids.get(name.as_str()) {
                    Some(other) => depends_on.push(*other),
                    None => {
                        wrong = Some(format!(
                            "it depends on {}, which is not in the report",
                            shown(name)
                        ));
                    }
                }
            }
            if !order.contains_key(proposal.id.as_str()) && wrong.is_none() {
                wrong = Some("it depends on itself, through others".into());
            }
            Effect {
                id,
                run: run.id,
                agent: run.agent.clone(),
                plugin_digest: run.plugin_digest.clone(),
                config_digest: run.config_digest.clone(),
                name: proposal.id.clone(),
                depends_on,
                reason: proposal.reason.clone(),
                digest: proposal.action.digest(),
                action: proposal.action.clone(),
                state: if wrong.is_some() {
                    EffectState::Refused
                } else {
                    EffectState::Proposed
                },
                autonomy: None,
                dry_run,
                ended_at: wrong.is_some().then_some(created_at),
                due_at: wrong.is_none().then_some(created_at),
                message: wrong,
                hint: None,
                approvals_needed: 0,
                approvals: Vec::new(),
                proposed_by: None,
                result: None,
                reverts: None,
                reverted_by: None,
                attempts: 0,
                created_at,
                caused_at: Some(caused_at),
                latency_us: None,
                approved_at: None,
            }
        })
        .collect()
}

/// The names whose dependencies come to an end.
fn ranks(proposals: &[Proposal]) -> BTreeMap<&str, usize> {
    let mut ranks: BTreeMap<&str, usize> = BTreeMap::new();
    loop {
        let before = ranks.len();
        for proposal in proposals {
            let known = proposal.depends_on.iter().all(|name| {
                ranks.contains_key(name.as_str())
                    || !proposals.iter().any(|other| other.id == *name)
            });
            if known {
                let rank = ranks.len();
                ranks.entry(&proposal.id).or_insert(rank);
            }
        }
        if ranks.len() == before {
            return ranks;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn effect(id: &str, depends_on: &[&str]) -> Value {
        json!({
            "id": id, "depends_on": depends_on, "reason": "r", "kind": "issue",
            "action": { "repository": "ops", "title": "t", "body": "b", "labels": [] },
        })
    }

    fn names(proposals: &[Value]) -> Vec<String> {
        let proposals: Vec<Proposal> = proposals
            .iter()
            .map(|one| serde_json::from_value(one.clone()).expect("a proposal"))
            .collect();
        ranks(&proposals).into_keys().map(str::to_owned).collect()
    }

    #[test]
    fn what_depends_on_itself_has_no_rank() {
        let proposals = [
            effect("a", &["b"]),
            effect("b", &[]),
            effect("c", &["d"]),
            effect("d", &["c"]),
            effect("e", &["e"]),
            effect("f", &["c"]),
        ];
        assert_eq!(names(&proposals), ["a", "b"]);
    }
}
