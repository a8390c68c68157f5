//! Changes of what is paid for: proposed by a person, decided on by others, and carried out by nobody here. What an approved proposal gives is its record, and the event that says so.

use super::{DECIDE_WITHIN, Effects, event};
use crate::model::{Action, BillingAction, Effect, EffectState, Principal, now};
use crate::store::StoreError;
use serde_json::json;
use uuid::Uuid;

/// People who have to approve, beside who proposed.
const APPROVALS: u32 = 2;

/// What proposals are filed under where effects have an agent.
pub const BILLING: &str = "billing";

impl Effects {
    /// Records a proposal, which waits for people from then on.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn propose_billing(
        &self,
        action: BillingAction,
        reason: String,
        principal: Principal,
    ) -> Result<Effect, StoreError> {
        let moment = now();
        let action = Action::Billing(action);
        let effect = Effect {
            id: Uuid::now_v7(),
            run: Uuid::nil(),
            agent: BILLING.into(),
            plugin_digest: String::new(),
            config_digest: self.registry.load().config.digest.clone(),
            name: BILLING.into(),
            depends_on: Vec::new(),
            reason,
            digest: action.digest(),
            action,
            state: EffectState::Waiting,
            autonomy: None,
            dry_run: false,
            message: Some(format!(
                "it waits for {APPROVALS} people other than {}",
                principal.name
            )),
            hint: None,
            approvals_needed: APPROVALS,
            approvals: Vec::new(),
            proposed_by: Some(principal),
            result: None,
            reverts: None,
            reverted_by: None,
            attempts: 0,
            created_at: moment,
            caused_at: None,
            latency_us: None,
            due_at: moment.saturating_add(DECIDE_WITHIN).ok(),
            approved_at: None,
            ended_at: None,
        };
        let announced = event(&effect, json!({}));
        self.store.propose(effect.clone(), announced).await?;
        self.announced.notify_one();
        self.wake.notify_one();
        Ok(effect)
    }
}
