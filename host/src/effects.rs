//! From what runs propose to what changes: each effect is judged (grants, policy, autonomy), waits where it has to, and is applied from a durable outbox.
//!
//! This file is the stage: [`Effects::run`] takes each through its states, [`Effects::decide`] and [`Effects::revert`] are what people do. What a grant
//! allows is in `judge`, what a change means in a repository in `apply`.
//!
//! Invariants: an effect is recorded together with the end of its run, before anything looks at it. Every change of its state is one transaction with all that comes of it. It is written down
//! that an effect is being applied before it is, so a host that dies knows what to look at; every kind finds out whether it was done before, and no kind is done twice. What people saw is what
//! is applied: an effect's action never changes, and its files are pinned by digest or commit.

mod apply;
mod judge;
mod revert;

use crate::config::{AgentConfig, Autonomy, Config};
use crate::forge::local::LocalForge;
use crate::forge::signing::SigningKey;
use crate::forge::{ForgeError, shown};
use crate::model::{Approval, Effect, EffectState, Event, Principal, Thread, Verdict, now};
use crate::registry::Registry;
use crate::sandbox::call::Decision;
use crate::store::{EffectChange, Store, StoreError};
use arc_swap::ArcSwap;
use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use uuid::Uuid;

pub use self::judge::{FileFact, facts_of};

/// How long people have to decide. What was proposed longer ago was made for a world that is gone.
const DECIDE_WITHIN: SignedDuration = SignedDuration::from_hours(7 * 24);

/// Attempts at applying an effect; the pauses between them add up to some minutes.
const ATTEMPTS_MAX: u32 = 8;

/// The pause before the second attempt, doubled before each further one.
const PAUSE: SignedDuration = SignedDuration::from_secs(1);

/// How often an effect that waits for others looks at them again.
const LOOK_AGAIN: SignedDuration = SignedDuration::from_secs(2);

/// Effects taken up at once.
const PART: u32 = 50;

/// How long the stage sleeps at most.
const SLEEP_MAX: Duration = Duration::from_secs(30);

/// Who judges by policy. No answer means no.
#[async_trait]
pub trait Judge: Send + Sync {
    /// What `deny` and `warn` at or below a package say.
    ///
    /// # Errors
    /// One sentence: why there is no decision.
    async fn evaluate(&self, package: &str, input: &Value) -> Result<Decision, String>;

    /// The value of a query; none where it is undefined.
    ///
    /// # Errors
    /// One sentence: why there is no answer.
    async fn query(&self, query: &str, input: &Value) -> Result<Option<Value>, String>;
}

/// Who steers agents.
#[async_trait]
pub trait Steer: Send + Sync {
    /// Does to an agent what an effect says; the same effect twice does it once.
    ///
    /// # Errors
    /// One sentence: why it cannot be done.
    async fn steer(
        &self,
        effect: &Effect,
        action: &crate::model::AgentControlAction,
    ) -> Result<Value, String>;
}

/// Why a person's word had no effect.
#[derive(Debug, thiserror::Error)]
pub enum DecideError {
    /// No such effect or pull request.
    #[error("there is no such effect")]
    Unknown,
    /// It waits for nobody.
    #[error("the effect is {}: {}", state.as_str(), message.as_deref().unwrap_or("it waits for nobody's decision"))]
    NotWaiting {
        /// Where it is.
        state: EffectState,
        /// Why.
        message: Option<String>,
    },
    /// What was decided on is something else than what would be applied.
    #[error("the digest is not the effect's: what you looked at is not what would be applied")]
    Digest,
    /// It cannot be undone.
    #[error("{0}")]
    NotRevertible(String),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The repository failed.
    #[error(transparent)]
    Forge(#[from] ForgeError),
}

/// What a pull request would change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// The commit that its branch is at; none when the branch is gone.
    pub head: Option<String>,
    /// The patch; none when a branch is gone or there is too much of it.
    pub patch: Option<String>,
}

/// The stage.
pub struct Effects {
    config: Arc<Config>,
    registry: Arc<ArcSwap<Registry>>,
    store: Arc<dyn Store>,
    judge: Arc<dyn Judge>,
    steer: Arc<dyn Steer>,
    key: SigningKey,
    wake: Notify,
    /// Told when there are events to hand over.
    announced: Arc<Notify>,
}

/// What an effect announces.
fn event(effect: &Effect, data: Value) -> Event {
    let kind = match effect.state {
        // Autonomy `alert`: people are told of what nobody will apply.
        EffectState::Observed if effect.autonomy.as_deref() == Some(Autonomy::Alert.as_str()) => {
            "effect.alert".to_owned()
        }
        state => format!("effect.{}", state.as_str()),
    };
    let mut about = json!({
        "effect": effect.id, "agent": effect.agent, "run": effect.run, "kind": effect.action.kind(),
        "repository": effect.action.repository(), "reason": effect.reason, "message": effect.message, "result": effect.result,
    });
    if let (Value::Object(about), Value::Object(data)) = (&mut about, data) {
        about.extend(data);
    }
    Event::new(
        format!("/agents/{}", effect.agent),
        kind,
        effect.id.to_string(),
        about,
    )
}

impl Effects {
    /// The stage over these.
    #[must_use]
    pub fn new(
        config: Arc<Config>,
        registry: Arc<ArcSwap<Registry>>,
        store: Arc<dyn Store>,
        judge: Arc<dyn Judge>,
        steer: Arc<dyn Steer>,
        key: SigningKey,
        announced: Arc<Notify>,
    ) -> Self {
        Self {
            config,
            registry,
            store,
            judge,
            steer,
            key,
            wake: Notify::new(),
            announced,
        }
    }

    /// Takes effects through their states. Ends never; may be dropped at any moment.
    pub async fn run(&self, ended: &Notify) {
        loop {
            let next = match self.work().await {
                Ok(next) => next,
                Err(error) => {
                    tracing::warn!("effects cannot be worked on: {error}");
                    Some(now().saturating_add(PAUSE).unwrap_or(Timestamp::MAX))
                }
            };
            let sleep = next.map_or(SLEEP_MAX, |next| {
                Duration::try_from(next.duration_since(now()))
                    .unwrap_or(Duration::ZERO)
                    .min(SLEEP_MAX)
            });
            tokio::select! {
                () = tokio::time::sleep(sleep) => {}
                () = self.wake.notified() => {}
                () = ended.notified() => {}
            }
        }
    }

    /// Takes up all that is due, and says when there is more to do.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn work(&self) -> Result<Option<Timestamp>, StoreError> {
        loop {
            let (ids, next) = self.store.due_effects(now(), PART).await?;
            if ids.is_empty() {
                return Ok(next);
            }
            for id in ids {
                if let Some(effect) = self.store.effect(id).await? {
                    self.step(effect).await?;
                }
            }
        }
    }

    async fn step(&self, effect: Effect) -> Result<(), StoreError> {
        match effect.state {
            EffectState::Proposed => self.judge(effect).await,
            EffectState::Waiting => self.time_is_up(effect).await,
            EffectState::Approved => self.begin(effect).await,
            EffectState::Applying => self.carry_out(effect).await,
            _ => Ok(()),
        }
    }

    /// Writes an effect's next state, and tells.
    async fn change(
        &self,
        from: EffectState,
        effect: Effect,
        more: Option<apply::Done>,
    ) -> Result<Option<Effect>, StoreError> {
        let applied_us = effect
            .ended_at
            .map(|end| end.duration_since(effect.created_at).as_micros());
        let data = match effect.state {
            EffectState::Applied => json!({ "took_us": applied_us }),
            _ => json!({}),
        };
        // What is on its way is nobody's news.
        let silent = matches!(effect.state, EffectState::Applying) || effect.state == from;
        let events = if silent {
            Vec::new()
        } else {
            vec![event(&effect, data)]
        };
        let changed = self
            .store
            .change_effect(EffectChange {
                from,
                events,
                records: more.map(|done| done.records).unwrap_or_default(),
                further: None,
                effect,
            })
            .await?;
        if !silent {
            self.announced.notify_one();
        }
        Ok(changed)
    }

    /// Brings an effect to its end.
    async fn end(
        &self,
        mut effect: Effect,
        state: EffectState,
        message: impl Into<String>,
        hint: Option<String>,
    ) -> Result<(), StoreError> {
        let from = effect.state;
        effect.state = state;
        effect.message = Some(message.into());
        effect.hint = hint;
        effect.due_at = None;
        effect.ended_at = Some(now());
        self.change(from, effect, None).await?;
        Ok(())
    }

    async fn judge(&self, effect: Effect) -> Result<(), StoreError> {
        let registry = self.registry.load_full();
        let Some(agent) = registry.agents.get(&effect.agent) else {
            let message = format!("the agent {} is gone", shown(&effect.agent));
            return self.end(effect, EffectState::Refused, message, None).await;
        };
        match self.judged(&effect, &agent.config).await? {
            Ok(judged) => self.admit(effect, &agent.config, judged).await,
            Err(refusal) if refusal.moved => {
                self.end(effect, EffectState::Expired, refusal.message, refusal.hint)
                    .await
            }
            Err(refusal) => {
                self.end(effect, EffectState::Refused, refusal.message, refusal.hint)
                    .await
            }
        }
    }

    /// What the agent's autonomy makes of an effect that grants and policy allow.
    async fn admit(
        &self,
        mut effect: Effect,
        agent: &AgentConfig,
        judged: judge::Judged,
    ) -> Result<(), StoreError> {
        let from = effect.state;
        effect.autonomy = Some(agent.autonomy.as_str().into());
        effect.approvals_needed = judged.approvals;
        if effect.dry_run {
            return self
                .end(
                    effect,
                    EffectState::Observed,
                    "a dry run applies nothing",
                    None,
                )
                .await;
        }
        let moment = now();
        let later = |span: SignedDuration| moment.saturating_add(span).ok();
        match agent.autonomy {
            Autonomy::Observe => {
                return self
                    .end(
                        effect,
                        EffectState::Observed,
                        "the agent's autonomy is `observe`: it is recorded",
                        None,
                    )
                    .await;
            }
            Autonomy::Alert => {
                return self
                    .end(
                        effect,
                        EffectState::Observed,
                        "the agent's autonomy is `alert`: it is recorded and announced",
                        None,
                    )
                    .await;
            }
            Autonomy::AutoAfter if judged.approvals == 0 => {
                effect.state = EffectState::Waiting;
                effect.due_at = later(agent.veto);
                effect.message = Some("it is applied when the time to object is over".into());
            }
            Autonomy::Auto if judged.approvals == 0 => {
                effect.state = EffectState::Approved;
                effect.approved_at = Some(moment);
                effect.due_at = Some(moment);
                effect.message = None;
            }
            Autonomy::Approve | Autonomy::AutoAfter | Autonomy::Auto => {
                effect.approvals_needed = judged.approvals.max(1);
                effect.state = EffectState::Waiting;
                effect.due_at = later(DECIDE_WITHIN);
                effect.message = judged.why.or_else(|| Some("it waits for a person".into()));
                effect.hint = Some(format!(
                    "`infinity effects show {0}`, then `infinity effects approve {0}`",
                    effect.id
                ));
            }
        }
        self.change(from, effect, None).await?;
        self.wake.notify_one();
        Ok(())
    }

    async fn time_is_up(&self, mut effect: Effect) -> Result<(), StoreError> {
        if effect.approvals_needed > 0 {
            let message = "nobody decided within seven days";
            return self.end(effect, EffectState::Expired, message, None).await;
        }
        let moment = now();
        effect.state = EffectState::Approved;
        effect.message = Some("nobody objected in time".into());
        effect.approved_at = Some(moment);
        effect.due_at = Some(moment);
        self.change(EffectState::Waiting, effect, None).await?;
        Ok(())
    }

    /// Begins to apply an effect, unless it has to wait for others, or for an hour to be over.
    async fn begin(&self, mut effect: Effect) -> Result<(), StoreError> {
        let mut waits = None;
        for id in effect.depends_on.clone() {
            match self.store.effect(id).await? {
                Some(other) if other.state == EffectState::Applied => {}
                Some(other) if !other.state.is_final() => waits = Some(other.name),
                Some(other) => {
                    let message = format!(
                        "{}, which it depends on, is {}",
                        shown(&other.name),
                        other.state.as_str()
                    );
                    return self.end(effect, EffectState::Failed, message, None).await;
                }
                None => {
                    return self
                        .end(
                            effect,
                            EffectState::Failed,
                            "what it depends on is gone",
                            None,
                        )
                        .await;
                }
            }
        }
        let moment = now();
        if let Some(name) = waits {
            effect.message = Some(format!("it waits for {}", shown(&name)));
            effect.due_at = moment.saturating_add(LOOK_AGAIN).ok();
            self.change(EffectState::Approved, effect, None).await?;
            return Ok(());
        }
        let hour = SignedDuration::from_hours(1);
        let most = self
            .registry
            .load()
            .agents
            .get(&effect.agent)
            .map(|agent| u64::from(agent.config.effects_per_hour));
        // What people approved one by one is not what the limit is for.
        if let Some(most) = most.filter(|_| effect.approvals.is_empty()) {
            let since = moment.saturating_sub(hour).unwrap_or(Timestamp::MIN);
            let (count, first) = self.store.applied_since(&effect.agent, since).await?;
            if count >= most {
                effect.message = Some(format!(
                    "{most} effects of the agent were applied within the hour"
                ));
                effect.hint = Some("`effects_per_hour` allows more".into());
                effect.due_at = first.and_then(|first| first.saturating_add(hour).ok());
                self.change(EffectState::Approved, effect, None).await?;
                return Ok(());
            }
        }
        effect.state = EffectState::Applying;
        effect.attempts += 1;
        effect.due_at = Some(moment);
        // Whoever else had it has it.
        if let Some(effect) = self.change(EffectState::Approved, effect, None).await? {
            self.carry_out(effect).await?;
        }
        Ok(())
    }

    /// Applies an effect, or finds that it is applied.
    async fn carry_out(&self, effect: Effect) -> Result<(), StoreError> {
        let id = effect.id;
        match self.applied(&effect).await {
            Ok(done) => {
                let mut effect = effect;
                effect.state = EffectState::Applied;
                effect.message.clone_from(&done.message);
                effect.hint = None;
                effect.result = Some(done.result.clone());
                effect.due_at = None;
                effect.ended_at = Some(now());
                self.change(EffectState::Applying, effect, Some(done))
                    .await?;
                // Others may have waited for it.
                self.wake.notify_one();
                Ok(())
            }
            Err(apply::Stop::Store(error)) => Err(error),
            Err(apply::Stop::Moved(message)) => {
                let hint = Some("the agent's next run proposes it anew".into());
                self.end(effect, EffectState::Expired, message, hint).await
            }
            Err(apply::Stop::Refused(message)) => {
                self.end(effect, EffectState::Failed, message, None).await
            }
            Err(apply::Stop::Later(message)) if effect.attempts >= ATTEMPTS_MAX => {
                let message = format!("{message}, after {ATTEMPTS_MAX} attempts");
                self.end(effect, EffectState::Failed, message, None).await
            }
            Err(apply::Stop::Later(message)) => {
                tracing::warn!(effect.id = %id, "an effect is tried again: {message}");
                let mut effect = effect;
                let pause = PAUSE.saturating_mul(1 << effect.attempts.min(10));
                effect.state = EffectState::Approved;
                effect.message = Some(message);
                effect.due_at = now().saturating_add(pause).ok();
                self.change(EffectState::Applying, effect, None).await?;
                Ok(())
            }
        }
    }

    /// A person's word on an effect. `digest` is the digest of what they looked at, if they say.
    ///
    /// # Errors
    /// When there is no such effect, it waits for nobody, or is not what they looked at.
    pub async fn decide(
        &self,
        id: Uuid,
        principal: Principal,
        decision: Verdict,
        comment: Option<String>,
        digest: Option<&str>,
    ) -> Result<Effect, DecideError> {
        let mut effect = self.store.effect(id).await?.ok_or(DecideError::Unknown)?;
        if effect.state != EffectState::Waiting {
            return Err(DecideError::NotWaiting {
                state: effect.state,
                message: effect.message,
            });
        }
        if digest.is_some_and(|digest| digest != effect.digest) {
            return Err(DecideError::Digest);
        }
        let moment = now();
        let who = principal.name.clone();
        effect
            .approvals
            .retain(|other| other.principal != principal);
        effect.approvals.push(Approval {
            principal,
            decision,
            comment,
            digest: effect.digest.clone(),
            at: moment,
        });
        match decision {
            Verdict::Reject => {
                effect.state = if effect.approvals_needed == 0 {
                    EffectState::Vetoed
                } else {
                    EffectState::Rejected
                };
                effect.message = Some(format!("{} said no", shown(&who)));
                effect.hint = None;
                effect.due_at = None;
                effect.ended_at = Some(moment);
            }
            Verdict::Approve => {
                let given = effect
                    .approvals
                    .iter()
                    .filter(|one| one.decision == Verdict::Approve)
                    .count();
                if given as u64 >= u64::from(effect.approvals_needed) {
                    effect.state = EffectState::Approved;
                    effect.message = None;
                    effect.hint = None;
                    effect.approved_at = Some(moment);
                    effect.due_at = Some(moment);
                } else {
                    effect.message = Some(format!(
                        "{given} of {} people approved",
                        effect.approvals_needed
                    ));
                }
            }
        }
        let changed = self.change(EffectState::Waiting, effect, None).await?;
        self.wake.notify_one();
        match changed {
            Some(effect) => Ok(effect),
            // Somebody else was faster.
            None => {
                let effect = self.store.effect(id).await?.ok_or(DecideError::Unknown)?;
                Err(DecideError::NotWaiting {
                    state: effect.state,
                    message: effect.message,
                })
            }
        }
    }

    /// A person's word on a pull request of a local repository: a review of its head commit.
    ///
    /// # Errors
    /// When there is no such pull request, or it is not open.
    pub async fn review(
        &self,
        thread: &Thread,
        principal: Principal,
        decision: Verdict,
        comment: Option<String>,
    ) -> Result<Thread, DecideError> {
        let (repository, number) = (thread.repository.as_str(), thread.number);
        let head = match &thread.head {
            Some(head) => self
                .repository(repository)?
                .branch(head)
                .await?
                .ok_or(DecideError::Unknown)?,
            None => return Err(DecideError::Unknown),
        };
        let event = Event::new(
            format!("/repositories/{repository}"),
            "pull_request.reviewed",
            number.to_string(),
            json!({ "repository": repository, "number": number, "decision": decision, "by": principal.name, "head": head }),
        );
        let review = Approval {
            principal,
            decision,
            comment,
            digest: head,
            at: now(),
        };
        let changed = self.store.review(repository, number, review, event).await?;
        self.announced.notify_one();
        changed.ok_or(DecideError::NotRevertible(
            "the pull request is not open".into(),
        ))
    }

    /// What a pull request would change.
    ///
    /// # Errors
    /// When the repository fails.
    pub async fn difference(&self, thread: &Thread) -> Result<Difference, DecideError> {
        let forge = self.repository(&thread.repository)?;
        let at = async |branch: &Option<String>| match branch {
            Some(branch) => forge.branch(branch).await,
            None => Ok(None),
        };
        let (head, base) = (at(&thread.head).await?, at(&thread.base).await?);
        let patch = match (&head, &base) {
            (Some(head), Some(base)) => forge.patch_between(base, head).await.ok(),
            _ => None,
        };
        Ok(Difference { head, patch })
    }

    /// The repository of this name.
    fn repository(&self, name: &str) -> Result<LocalForge, ForgeError> {
        let repository = self.config.repositories.get(name).ok_or_else(|| {
            ForgeError::NotFound(format!("there is no repository {}", shown(name)))
        })?;
        LocalForge::open(name, &repository.path, &self.config.host.state)
    }
}
