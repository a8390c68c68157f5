//! From what runs propose to what changes: each effect is judged (grants, policy, autonomy), waits where it has to, and is applied from a durable outbox.
//!
//! This file is the stage: [`Effects::run`] takes each through its states, [`Effects::decide`] and [`Effects::revert`] are what people do. What a grant
//! allows is in `judge`, what a change means in a repository in `apply`.
//!
//! Invariants: an effect is recorded together with the end of its run, before anything looks at it. Every change of its state is one transaction with all that comes of it. It is written down
//! that an effect is being applied before it is, so a host that dies knows what to look at; every kind finds out whether it was done before, and no kind is done twice. What people saw is what
//! is applied: an effect's action never changes, and its files are pinned by digest or commit.

mod apply;
mod billing;
mod judge;
mod place;
mod replace;
mod revert;

use self::judge::When;
pub(crate) use self::place::ANNOTATIONS_MAX;
use crate::audit::chain::{Checkpoint, End, Unproven};
use crate::boundary;
use crate::config::{AgentConfig, Autonomy};
use crate::forge::signing::SigningKey;
use crate::forge::{FileDiff, Forge as _, ForgeError, Forges, Repository, shown};
use crate::metrics::Metrics;
use crate::model::{
    Approval, CommitStatus, Effect, EffectState, Event, Principal, Thread, ThreadState, Verdict,
    now,
};
use crate::registry::Registry;
use crate::sandbox::call::Decision;
use crate::store::{EffectChange, Store, StoreError};
use crate::telemetry;
use arc_swap::ArcSwap;
use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use tokio::sync::{Mutex, Notify};
use tokio::task::JoinSet;
use uuid::Uuid;

pub use self::billing::BILLING;

/// How long people have to decide. What was proposed longer ago was made for a world that is gone.
const DECIDE_WITHIN: SignedDuration = SignedDuration::from_hours(7 * 24);

/// For how long an effect that may be applied is tried: a forge that is away for a night is no reason to lose it.
const TRY_FOR: SignedDuration = SignedDuration::from_hours(24);

/// The pause before the second attempt, doubled before each further one up to [`PAUSE_MAX`].
const PAUSE: SignedDuration = SignedDuration::from_secs(1);

/// The longest pause between two attempts: what is back is used within a minute.
const PAUSE_MAX: SignedDuration = SignedDuration::from_mins(1);

/// How often it is looked whether effects may be applied again.
const STOPPED_LOOK: Duration = Duration::from_millis(500);

/// Open pull requests of a repository among which one for the same branches is looked for.
const OPEN_MAX: u32 = 500;

/// How often an effect that waits for others looks at them again.
const LOOK_AGAIN: SignedDuration = SignedDuration::from_secs(2);

/// Effects taken up at once.
const PART: u32 = 50;

/// Repositories that are worked on at once: each is bound by its disk or its network.
const LANES_MAX: usize = 8;

/// How long nothing is done after the store failed.
const STORE_PAUSE: Duration = Duration::from_secs(1);

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
    /// Whether nothing is to be judged or applied.
    fn is_stopped(&self) -> bool;

    /// Has the agent of an effect look again, as what it saw when it proposed is not so any more. Once for all effects of a run, a few times in a row, and only where nobody asked for the run or
    /// waits for it.
    ///
    /// # Errors
    /// One sentence: why it does not.
    async fn look_again(&self, effect: &Effect) -> Result<(), String>;

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

/// What became of an agent's message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// It arrived.
    Arrived,
    /// It will not be taken, however often it is sent.
    Refused(String),
    /// It did not arrive; it may later.
    Later(String),
    /// Nobody knows whether it arrived.
    Unanswered(String),
}

/// Who tells people.
#[async_trait]
pub trait Tell: Send + Sync {
    /// Sends an effect's message.
    async fn tell(&self, effect: &Effect, action: &crate::model::NotificationAction) -> Told;
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
    /// Who proposed it does not decide on it.
    #[error("who proposed it does not approve it; somebody else has to")]
    Own,
    /// It cannot be undone.
    #[error("{0}")]
    NotRevertible(String),
    /// The pull request is merged or closed.
    #[error("the pull request is not open; only an open one is reviewed")]
    NotOpen,
    /// The repository has its own checks.
    #[error("the repository is not on this machine; report the check where it is")]
    NotLocal,
    /// An agent says something under this name.
    #[error("an agent has a status of this name on the commit; report under another one")]
    NameTaken,
    /// It is about a commit that is not the latest one.
    #[error("the commit is not the latest of the pull request, which is `{0}`")]
    Outdated(String),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The repository failed.
    #[error(transparent)]
    Forge(#[from] ForgeError),
}

/// What a pull request would change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The pull request as it is now.
    pub thread: Thread,
    /// The commit that its branch is at; none when the branch is gone.
    pub head: Option<String>,
    /// The patch; none when a branch is gone or there is too much of it.
    pub patch: Option<String>,
    /// What is thought of its commit.
    pub statuses: Vec<CommitStatus>,
}

/// Two commits of a repository beside each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comparison {
    /// The full id of the earlier one; none where there is none.
    pub base: Option<String>,
    /// The full id of the later one.
    pub head: String,
    /// By path.
    pub files: Vec<FileDiff>,
    /// None when there is too much of it.
    pub patch: Option<String>,
}

/// The stage.
pub struct Effects {
    forges: Forges,
    registry: Arc<ArcSwap<Registry>>,
    store: Arc<dyn Store>,
    judge: Arc<dyn Judge>,
    steer: Arc<dyn Steer>,
    tell: Arc<dyn Tell>,
    key: SigningKey,
    /// Held while a person's word is added to those before it: two at once would each know of their own alone.
    deciding: Mutex<()>,
    /// By agent, what is being applied and not counted as applied yet.
    in_hand: std::sync::Mutex<BTreeMap<String, u64>>,
    wake: Notify,
    /// Told when there are events to hand over.
    announced: Arc<Notify>,
    metrics: Arc<Metrics>,
}

/// An effect of an agent that is on its way.
struct InHand<'a> {
    counts: &'a std::sync::Mutex<BTreeMap<String, u64>>,
    agent: String,
    /// Others of the same agent.
    others: u64,
}

impl<'a> InHand<'a> {
    fn take(counts: &'a std::sync::Mutex<BTreeMap<String, u64>>, agent: &str) -> Self {
        let mut all = counts.lock().unwrap_or_else(PoisonError::into_inner);
        let count = all.entry(agent.to_owned()).or_default();
        let others = *count;
        *count += 1;
        Self {
            counts,
            agent: agent.to_owned(),
            others,
        }
    }
}

impl Drop for InHand<'_> {
    fn drop(&mut self) {
        let mut all = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        match all.get_mut(&self.agent) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(all.remove(&self.agent)),
        }
    }
}

/// Whether something was to be done so long ago that it is given up.
fn too_old(since: Option<Timestamp>) -> bool {
    since.is_some_and(|since| now().duration_since(since) > TRY_FOR)
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
    // Who decided; `by` of what is told more exactly goes over it.
    let decided = matches!(
        effect.state,
        EffectState::Approved | EffectState::Rejected | EffectState::Vetoed
    );
    if decided && let Some(last) = effect.approvals.last() {
        about["by"] = json!(last.principal);
    }
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
    /// Signs the journal's end with the key that signs commits.
    ///
    /// # Errors
    /// When the key cannot sign.
    pub fn checkpoint(&self, journal: &[u8], end: End) -> Result<Checkpoint, Unproven> {
        Checkpoint::sign(journal, end, now(), &self.key)
    }

    /// The stage over these.
    #[must_use]
    #[expect(
        clippy::too_many_arguments,
        reason = "each is a part of the host that is handed in once, by the file that joins them"
    )]
    pub fn new(
        forges: Forges,
        registry: Arc<ArcSwap<Registry>>,
        store: Arc<dyn Store>,
        judge: Arc<dyn Judge>,
        steer: Arc<dyn Steer>,
        tell: Arc<dyn Tell>,
        key: SigningKey,
        announced: Arc<Notify>,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            forges,
            registry,
            store,
            judge,
            steer,
            tell,
            key,
            deciding: Mutex::default(),
            in_hand: std::sync::Mutex::default(),
            wake: Notify::new(),
            announced,
            metrics,
        }
    }

    /// The fingerprint of the key that signs commits, as `ssh-keygen -l` prints it.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        self.key.fingerprint()
    }

    /// Takes effects through their states. Ends never; may be dropped at any moment.
    ///
    /// Effects of one repository are worked on one after the other, those of different ones beside each other: a forge that is slow or away holds up nobody else.
    pub async fn run(self: Arc<Self>, ended: &Notify) {
        // Tasks of their own, as they hold connections and places while nobody looks after them here.
        let mut lanes = JoinSet::new();
        let mut lane_of = HashMap::new();
        loop {
            if self.steer.is_stopped() {
                tokio::time::sleep(STOPPED_LOOK).await;
                continue;
            }
            let busy: Vec<String> = lane_of.values().cloned().collect();
            let next = match self.store.due_effects(now(), &busy, PART).await {
                Ok((due, next)) => {
                    let mut by_lane: BTreeMap<String, Vec<Uuid>> = BTreeMap::new();
                    for (id, lane) in due {
                        by_lane.entry(lane).or_default().push(id);
                    }
                    for (lane, ids) in by_lane {
                        if lane_of.len() < LANES_MAX {
                            let effects = Arc::clone(&self);
                            let task = lanes.spawn(async move { effects.work(ids).await });
                            lane_of.insert(task.id(), lane);
                        }
                    }
                    next
                }
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
                Some(worked) = lanes.join_next_with_id() => {
                    let (id, worked) = match worked {
                        Ok((id, worked)) => (id, worked.map_err(|error| error.to_string())),
                        Err(error) => (error.id(), Err(error.to_string())),
                    };
                    let lane = lane_of.remove(&id).unwrap_or_default();
                    if let Err(error) = worked {
                        tracing::warn!("the effects of `{lane}` cannot be worked on: {error}");
                        tokio::time::sleep(STORE_PAUSE).await;
                    }
                }
                () = tokio::time::sleep(sleep) => {}
                () = self.wake.notified() => {}
                () = ended.notified() => {}
            }
        }
    }

    /// Takes up the effects of one lane that are due.
    async fn work(&self, ids: Vec<Uuid>) -> Result<(), StoreError> {
        for id in ids {
            if self.steer.is_stopped() {
                return Ok(());
            }
            if let Some(effect) = self.store.effect(id).await? {
                self.step(effect).await?;
            }
        }
        Ok(())
    }

    async fn step(&self, effect: Effect) -> Result<(), StoreError> {
        match effect.state {
            EffectState::Proposed => self.judge(effect).await,
            EffectState::Waiting => self.time_is_up(effect).await,
            EffectState::Approved => self.begin(effect).await,
            // A process died in the middle of it.
            EffectState::Applying => self.carry_out(effect, true).await,
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
        let data = match effect.state {
            EffectState::Applied => json!({ "latency_us": effect.latency_us }),
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
            if let Some(effect) = &changed {
                self.metrics.effect(effect);
                telemetry::effect_changed(from, effect);
            }
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

    /// Ends an effect that was made for a state that is gone.
    async fn moved(
        &self,
        effect: Effect,
        message: String,
        hint: Option<String>,
    ) -> Result<(), StoreError> {
        self.end(effect.clone(), EffectState::Expired, message, hint)
            .await?;
        if let Err(error) = self.steer.look_again(&effect).await {
            tracing::warn!(effect.id = %effect.id, "the agent does not look again: {error}");
        }
        Ok(())
    }

    async fn judge(&self, effect: Effect) -> Result<(), StoreError> {
        let registry = self.registry.load_full();
        let Some(agent) = registry.agents.get(&effect.agent) else {
            let message = format!("the agent {} is gone", shown(&effect.agent));
            return self.end(effect, EffectState::Refused, message, None).await;
        };
        boundary::at("effect.proposed");
        if self.repeats(&effect, &agent.config).await? {
            return Ok(());
        }
        match self.judged(&effect, &agent.config).await? {
            Ok(judged) => {
                boundary::at("effect.judged");
                self.admit(effect, &agent.config, judged).await
            }
            Err(refusal) if refusal.when == When::Moved => {
                self.moved(effect, refusal.message, refusal.hint).await
            }
            // Nothing was decided, so nothing is lost: it is looked at again.
            Err(refusal) if refusal.when == When::Later && !too_old(Some(effect.created_at)) => {
                let mut effect = effect;
                let age = now().duration_since(effect.created_at);
                effect.due_at = self.later(&effect, age.max(PAUSE));
                effect.message = Some(refusal.message);
                self.change(EffectState::Proposed, effect, None).await?;
                Ok(())
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
        if judged.second_person && effect.proposed_by.is_none() {
            let run = self.store.run(effect.run).await?;
            effect.proposed_by = run
                .map(|run| run.principal)
                .filter(|principal| principal.kind == "user");
        }
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
        self.replace(&effect).await?;
        self.change(from, effect, None).await?;
        boundary::at("effect.admitted");
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
        // Counted before the look at the store: what is applied in between is counted twice, never left out.
        let in_hand = InHand::take(&self.in_hand, &effect.agent);
        // What people approved one by one is not what the limit is for.
        if let Some(most) = most.filter(|_| effect.approvals.is_empty()) {
            let since = moment.saturating_sub(hour).unwrap_or(Timestamp::MIN);
            let (count, first) = self.store.applied_since(&effect.agent, since).await?;
            if count + in_hand.others >= most {
                effect.message = Some(format!(
                    "{most} effects of the agent were applied within the hour"
                ));
                effect.hint = Some("`effects_per_hour` allows more".into());
                // Another of the agent may be on its way and fail.
                let then = first
                    .filter(|_| count >= most)
                    .and_then(|first| first.saturating_add(hour).ok());
                effect.due_at = then.or_else(|| moment.saturating_add(LOOK_AGAIN).ok());
                self.change(EffectState::Approved, effect, None).await?;
                return Ok(());
            }
        }
        effect.state = EffectState::Applying;
        effect.attempts += 1;
        effect.due_at = Some(moment);
        // Whoever else had it has it.
        if let Some(effect) = self.change(EffectState::Approved, effect, None).await? {
            boundary::at("effect.applying");
            self.carry_out(effect, false).await?;
        }
        Ok(())
    }

    /// Applies an effect, or finds that it is applied. `again` says that an earlier attempt may have got anywhere.
    async fn carry_out(&self, effect: Effect, again: bool) -> Result<(), StoreError> {
        let id = effect.id;
        let attempt = self.applied(&effect, again);
        match telemetry::applying(&effect, attempt, apply::Stop::message).await {
            Ok(done) => {
                boundary::at("effect.done");
                let mut effect = effect;
                effect.state = EffectState::Applied;
                effect.message.clone_from(&done.message);
                effect.hint = None;
                effect.result = Some(done.result.clone());
                effect.due_at = None;
                let moment = now();
                effect.ended_at = Some(moment);
                effect.latency_us = effect.caused_at.map(|began| {
                    u64::try_from(moment.duration_since(began).as_micros()).unwrap_or(0)
                });
                self.change(EffectState::Applying, effect, Some(done))
                    .await?;
                boundary::at("effect.applied");
                // Others may have waited for it.
                self.wake.notify_one();
                Ok(())
            }
            Err(apply::Stop::Store(error)) => Err(error),
            Err(apply::Stop::Moved(message)) => {
                let hint = Some("the agent's next run proposes it anew".into());
                self.moved(effect, message, hint).await
            }
            Err(apply::Stop::Refused(message)) => {
                self.end(effect, EffectState::Failed, message, None).await
            }
            Err(apply::Stop::Unanswered(message)) => {
                let hint = format!(
                    "look whether it was done, then `infinity effects approve {id}` (it was) or `reject` (it was not)"
                );
                self.end(effect, EffectState::Unknown, message, Some(hint))
                    .await
            }
            Err(apply::Stop::Later(message)) if too_old(effect.approved_at) => {
                let message = format!("{message}, after {} attempts in a day", effect.attempts);
                self.end(effect, EffectState::Failed, message, None).await
            }
            Err(apply::Stop::Later(message)) => {
                tracing::warn!(effect.id = %id, run.id = %effect.run, "an effect is tried again: {message}");
                let mut effect = effect;
                let pause = PAUSE.saturating_mul(1 << effect.attempts.min(10));
                effect.state = EffectState::Approved;
                effect.message = Some(message);
                effect.due_at = self.later(&effect, pause);
                self.change(EffectState::Applying, effect, None).await?;
                Ok(())
            }
        }
    }

    /// When an effect is tried again: after a pause, and not before its forge wants to be asked.
    fn later(&self, effect: &Effect, pause: SignedDuration) -> Option<Timestamp> {
        let until = match effect.action.repository().map(|name| self.repository(name)) {
            Some(Ok(Repository::Github(_))) => {
                self.forges.github().and_then(|github| github.until())
            }
            _ => None,
        };
        let then = now().saturating_add(pause.min(PAUSE_MAX)).ok()?;
        Some(until.map_or(then, |until| until.max(then)))
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
        let _alone = self.deciding.lock().await;
        let mut effect = self.store.effect(id).await?.ok_or(DecideError::Unknown)?;
        if !matches!(effect.state, EffectState::Waiting | EffectState::Unknown) {
            return Err(DecideError::NotWaiting {
                state: effect.state,
                message: effect.message,
            });
        }
        if digest.is_some_and(|digest| digest != effect.digest) {
            return Err(DecideError::Digest);
        }
        if decision == Verdict::Approve && effect.proposed_by.as_ref() == Some(&principal) {
            return Err(DecideError::Own);
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
        let from = effect.state;
        match decision {
            // Somebody looked whether it was done.
            Verdict::Approve if from == EffectState::Unknown => {
                effect.state = EffectState::Applied;
                effect.message = Some(format!("{} says that it was done", shown(&who)));
                effect.hint = None;
            }
            Verdict::Reject if from == EffectState::Unknown => {
                effect.state = EffectState::Failed;
                effect.message = Some(format!("{} says that it was not done", shown(&who)));
                effect.hint = None;
            }
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
        let changed = self.change(from, effect, None).await?;
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

    /// A person's word on a pull request: a review of its head commit.
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
        let (name, number) = (thread.repository.as_str(), thread.number);
        let repository = self.repository(name)?;
        let head = self.head_of(&repository, thread).await?;
        let head = head.ok_or(DecideError::Unknown)?;
        if let Repository::Github(github) = &repository {
            if self.look_again(thread).await?.state != ThreadState::Open {
                return Err(DecideError::NotOpen);
            }
            let word = match decision {
                Verdict::Approve => "approves of",
                Verdict::Reject => "rejects",
            };
            let mut text = format!("{} {word} {head}.", principal.name);
            if let Some(comment) = &comment {
                text.push_str("\n\n");
                text.push_str(comment);
            }
            github.note_review(number, &text).await?;
        }
        let event = Event::new(
            format!("/repositories/{name}"),
            "pull_request.reviewed",
            number.to_string(),
            json!({ "repository": name, "number": number, "decision": decision, "by": principal.name, "head": head }),
        );
        let review = Approval {
            principal,
            decision,
            comment,
            digest: head,
            at: now(),
        };
        let changed = self.store.review(name, number, review, event).await?;
        self.announced.notify_one();
        changed.ok_or(DecideError::NotOpen)
    }

    /// Keeps what a tool found in the latest commit of an open pull request of a local repository, and announces it.
    ///
    /// # Errors
    /// [`DecideError::NotOpen`], [`DecideError::NotLocal`], [`DecideError::Outdated`], [`DecideError::NameTaken`], and when the store or the repository fails.
    pub async fn report_check(
        &self,
        thread: &Thread,
        status: CommitStatus,
        commit: Option<&str>,
        principal: Principal,
    ) -> Result<CommitStatus, DecideError> {
        if thread.state != ThreadState::Open {
            return Err(DecideError::NotOpen);
        }
        let repository = self.repository(&thread.repository)?;
        if matches!(repository, Repository::Github(_)) {
            return Err(DecideError::NotLocal);
        }
        let head = self.head_of(&repository, thread).await?;
        let head = head.ok_or(DecideError::NotOpen)?;
        if commit.is_some_and(|commit| commit != head) {
            return Err(DecideError::Outdated(head));
        }
        // Nobody speaks for an agent.
        let said = self.store.statuses(&thread.repository, &head).await?;
        if said
            .iter()
            .any(|other| other.name == status.name && other.reported_by.is_none())
        {
            return Err(DecideError::NameTaken);
        }
        let event = Event::new(
            format!("/repositories/{}", thread.repository),
            "status.reported",
            status.name.clone(),
            json!({
                "repository": thread.repository,
                "commit": head,
                "pull_request": thread.id,
                "number": thread.number,
                "name": status.name,
                "state": status.state,
                "summary": status.summary,
                "principal": principal,
            }),
        );
        self.store
            .put_status(&thread.repository, &head, status.clone(), event)
            .await?;
        Ok(status)
    }

    /// The commit that a pull request is at; none when its branch is gone.
    async fn head_of(
        &self,
        repository: &Repository,
        thread: &Thread,
    ) -> Result<Option<String>, ForgeError> {
        match (repository, &thread.head) {
            (Repository::Local(forge), Some(head)) => forge.branch(head).await,
            (Repository::Github(github), _) => Ok(github
                .thread(thread.number)
                .await?
                .and_then(|(_, head)| head)),
            (_, None) => Ok(None),
        }
    }

    /// What changed between two commits of a repository, or since the first parent of one.
    ///
    /// # Errors
    /// When there is no such repository or commit, or the repository fails.
    pub async fn compare(
        &self,
        repository: &str,
        base: Option<&str>,
        head: &str,
    ) -> Result<Comparison, ForgeError> {
        let repository = self.repository(repository)?;
        let objects = repository.objects().await?;
        let head = objects.resolve(head).await?;
        let base = match base {
            Some(base) => Some(objects.resolve(base).await?),
            None => objects
                .log(&head, None, 1)
                .await?
                .pop()
                .and_then(|commit| commit.parents.into_iter().next()),
        };
        let files = objects.diff(base.as_deref(), &head).await?;
        let patch = match objects.patch_since(base.as_deref(), &head).await {
            Ok(patch) => Some(patch),
            Err(ForgeError::TooLarge(_)) => None,
            Err(error) => return Err(error),
        };
        Ok(Comparison {
            base,
            head,
            files,
            patch,
        })
    }

    /// A pull request as it is now, and what it would change.
    ///
    /// # Errors
    /// When the store or the repository fails.
    pub async fn difference(&self, thread: &Thread) -> Result<Difference, DecideError> {
        let thread = self.look_again(thread).await?;
        let repository = self.repository(&thread.repository)?;
        let objects = repository.objects_of_pull(thread.number).await?;
        let head = self.head_of(&repository, &thread).await?;
        let base = match &thread.base {
            Some(branch) => objects.branch(branch).await?,
            None => None,
        };
        let patch = match (&head, &base) {
            (Some(head), Some(base)) => objects.patch_between(base, head).await.ok(),
            _ => None,
        };
        let statuses = match &head {
            Some(head) => self.statuses(&thread.repository, head).await?,
            None => Vec::new(),
        };
        Ok(Difference {
            thread,
            head,
            patch,
            statuses,
        })
    }
}
