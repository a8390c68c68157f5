//! What an agent proposes again, or anew: people decide on a change once, and on its latest form.
//!
//! A run looks at the world as it is, and does not know what waits for a decision. So one that proposes exactly what an earlier run of the agent did adds nothing, and one that proposes
//! something else for the same place takes the earlier proposal's.

use super::Effects;
use crate::config::AgentConfig;
use crate::model::{Action, Effect, EffectState};
use crate::store::{EffectFilter, PageRequest, StoreError};
use std::collections::BTreeSet;
use uuid::Uuid;

/// Effects of an agent, or of a run, that are compared: what people look through one by one.
const COMPARED_MAX: u32 = 500;

/// Earlier runs that are compared.
const RUNS_MAX: usize = 10;

/// What an action is about: two with the same place are two forms of one change.
fn place(action: &Action) -> Vec<&str> {
    let mut place = vec![action.kind(), action.repository().unwrap_or_default()];
    match action {
        Action::Commit(action) => place.push(&action.branch),
        Action::Publication(action) => place.push(&action.branch),
        Action::PullRequest(action) => place.extend([action.head.as_str(), &action.base]),
        Action::Issue(action) => place.push(&action.title),
        Action::Status(action) => place.extend([action.commit.as_str(), &action.name]),
        Action::AgentControl(action) => place.push(&action.agent),
        Action::Notification(action) => place.extend([action.channel.as_str(), &action.title]),
        // Two comments are two; a merge is known by its number.
        Action::Comment(_) | Action::Merge(_) | Action::Billing(_) => {}
    }
    place
}

fn same_place(one: &Action, other: &Action) -> bool {
    match (one, other) {
        (Action::Comment(_) | Action::Billing(_), _) => false,
        (Action::Merge(one), Action::Merge(other)) => {
            (&one.repository, one.number) == (&other.repository, other.number)
        }
        _ => place(one) == place(other),
    }
}

fn content(effects: &[Effect]) -> BTreeSet<(&str, &str)> {
    effects
        .iter()
        .map(|effect| (effect.name.as_str(), effect.digest.as_str()))
        .collect()
}

impl Effects {
    async fn listed(&self, filter: EffectFilter) -> Result<Vec<Effect>, StoreError> {
        let page = PageRequest {
            limit: COMPARED_MAX,
            cursor: None,
        };
        Ok(self.store.effects(filter, page).await?.items)
    }

    /// What earlier runs of the effect's agent proposed and nobody decided on, the latest first.
    async fn undecided(&self, effect: &Effect) -> Result<Vec<Effect>, StoreError> {
        let filter = EffectFilter {
            state: Some(EffectState::Waiting),
            agent: Some(effect.agent.clone()),
            ..EffectFilter::default()
        };
        let mut waiting = self.listed(filter).await?;
        waiting.retain(|other| other.run != effect.run && other.created_at <= effect.created_at);
        Ok(waiting)
    }

    async fn of_run(&self, run: Uuid) -> Result<Vec<Effect>, StoreError> {
        let filter = EffectFilter {
            run: Some(run),
            ..EffectFilter::default()
        };
        self.listed(filter).await
    }

    /// Ends all that a run proposes when an earlier run of the agent proposed exactly the same under the same autonomy, and it waits. Says whether it did.
    pub(super) async fn repeats(
        &self,
        effect: &Effect,
        agent: &AgentConfig,
    ) -> Result<bool, StoreError> {
        let waiting = self.undecided(effect).await?;
        if waiting.is_empty() || effect.dry_run || effect.reverts.is_some() {
            return Ok(false);
        }
        let proposed = self.of_run(effect.run).await?;
        let whole = proposed.len() < COMPARED_MAX as usize;
        if !whole
            || proposed
                .iter()
                .any(|one| one.state != EffectState::Proposed)
        {
            return Ok(false);
        }
        let mut runs: Vec<Uuid> = waiting.iter().map(|other| other.run).collect();
        runs.dedup();
        for run in runs.into_iter().take(RUNS_MAX) {
            let earlier = self.of_run(run).await?;
            let waits = |one: &Effect| {
                one.state == EffectState::Waiting
                    && one.autonomy.as_deref() == Some(agent.autonomy.as_str())
            };
            if earlier.iter().all(waits) && content(&earlier) == content(&proposed) {
                for repeated in proposed {
                    let message = format!("the run {run} proposes the same, and it waits");
                    self.end(repeated, EffectState::Expired, message, None)
                        .await?;
                }
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Ends what earlier runs proposed for the place of an effect that is admitted, and what depends on that.
    pub(super) async fn replace(&self, effect: &Effect) -> Result<(), StoreError> {
        let mut waiting = self.undecided(effect).await?;
        let mut gone: BTreeSet<Uuid> = BTreeSet::new();
        loop {
            let (replaced, rest): (Vec<Effect>, Vec<Effect>) =
                waiting.into_iter().partition(|other| {
                    same_place(&other.action, &effect.action)
                        || other.depends_on.iter().any(|id| gone.contains(id))
                });
            if replaced.is_empty() {
                return Ok(());
            }
            waiting = rest;
            for other in replaced {
                gone.insert(other.id);
                let message = format!("a later run, {}, proposes this anew", effect.run);
                self.end(other, EffectState::Expired, message, None).await?;
            }
        }
    }
}
