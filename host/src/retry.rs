//! Which runs are tried again, when, and when an agent is given a rest: pure functions of an outcome and of numbers.

use crate::model::{Outcome, Run, Trigger};
use jiff::{SignedDuration, Timestamp};
use std::collections::VecDeque;
use std::time::Duration;

/// The longest wait between two attempts.
pub const DELAY_MAX: Duration = Duration::from_secs(600);

/// Crashes within [`CRASH_WINDOW`] after which an agent is in quarantine.
pub const CRASHES_MAX: usize = 5;

/// How long a crash counts.
pub const CRASH_WINDOW: SignedDuration = SignedDuration::from_mins(10);

/// How an agent's runs are tried again. Source: `retries` and `retry_delay`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Attempts after the first: 0 to 20, default 4.
    pub retries: u32,
    /// Before the second attempt, doubled before each further one: 100 ms to 10 minutes, default 1 second.
    pub delay: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            retries: 4,
            delay: Duration::from_secs(1),
        }
    }
}

/// Whether what ended a run may pass when it is tried again: the host died, something it needs was not there, or it took too long. A plugin that says "failed" means it,
/// and one that trapped will trap again.
#[must_use]
pub fn may_pass(run: &Run) -> bool {
    match run.outcome {
        Some(Outcome::Lost | Outcome::HostError) => true,
        Some(Outcome::Failed) => {
            matches!(run.reason.as_deref(), Some("unavailable" | "repository"))
        }
        Some(Outcome::Limited) => run.reason.as_deref() == Some("time"),
        _ => false,
    }
}

/// Whether the run is one that the host answers for. A person who asked sees the failure and asks again; but what the host lost it makes up for.
fn is_ours(run: &Run) -> bool {
    run.trigger != Trigger::Manual || run.outcome == Some(Outcome::Lost)
}

/// What becomes of a run that ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Nothing: it is over.
    Over,
    /// It is tried again at this moment.
    Retry(Timestamp),
    /// It is given up on, and kept for a person to look at.
    Dead,
}

/// Decides on a run that ended at `now`.
#[must_use]
pub fn next(run: &Run, policy: RetryPolicy, now: Timestamp) -> Next {
    if !may_pass(run) || !is_ours(run) {
        return Next::Over;
    }
    if run.attempt > policy.retries {
        return Next::Dead;
    }
    let doubled = policy
        .delay
        .saturating_mul(1 << (run.attempt - 1).min(20))
        .min(DELAY_MAX);
    // Between half of it and all: those that failed together do not come back together. The run's id is as good as a die.
    let share = run.id.as_u128() % 1_000;
    let micros = doubled.as_micros() / 2 + doubled.as_micros() * share / 2_000;
    let delay = SignedDuration::from_micros(i64::try_from(micros).unwrap_or(i64::MAX));
    Next::Retry(now.checked_add(delay).unwrap_or(now))
}

/// Whether the run ended in a way that speaks against the plugin.
#[must_use]
pub fn is_crash(outcome: Option<Outcome>) -> bool {
    matches!(
        outcome,
        Some(Outcome::Trapped | Outcome::Limited | Outcome::HostError)
    )
}

/// An agent's latest crashes.
#[derive(Clone, Debug, Default)]
pub struct Crashes(VecDeque<Timestamp>);

impl Crashes {
    /// Counts one more; `true` when there are too many.
    pub fn add(&mut self, now: Timestamp) -> bool {
        let since = now.checked_sub(CRASH_WINDOW).unwrap_or(Timestamp::MIN);
        self.0.push_back(now);
        self.0.retain(|crash| *crash > since);
        self.0.len() >= CRASHES_MAX
    }

    /// Forgets them.
    pub fn clear(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Principal, RunState, Usage};
    use uuid::Uuid;

    fn run(outcome: Outcome, reason: Option<&str>, trigger: Trigger, attempt: u32) -> Run {
        Run {
            id: Uuid::from_u128(7),
            agent: "a".into(),
            plugin: "a".into(),
            plugin_digest: String::new(),
            config_digest: String::new(),
            principal: Principal::schedule(),
            trigger,
            attempt,
            idempotency_key: "k".into(),
            dry_run: false,
            state: RunState::Ended,
            outcome: Some(outcome),
            reason: reason.map(str::to_owned),
            message: None,
            hint: None,
            summary: None,
            findings: 0,
            denials: Vec::new(),
            usage: Usage::default(),
            input: serde_json::Value::Null,
            scheduled_at: Timestamp::UNIX_EPOCH,
            created_at: Timestamp::UNIX_EPOCH,
            started_at: None,
            ended_at: None,
        }
    }

    #[test]
    fn only_what_may_pass_is_tried_again_and_only_so_often() {
        let now = Timestamp::UNIX_EPOCH;
        let decide = |run: &Run| next(run, RetryPolicy::default(), now);
        for (outcome, reason) in [
            (Outcome::Succeeded, None),
            (Outcome::Failed, None),
            (Outcome::Failed, Some("denied")),
            (Outcome::Trapped, None),
            (Outcome::Limited, Some("memory")),
            (Outcome::Refused, Some("invalid_component")),
            (Outcome::Cancelled, None),
        ] {
            assert_eq!(
                decide(&run(outcome, reason, Trigger::Every, 1)),
                Next::Over,
                "{outcome:?}"
            );
        }
        let unavailable =
            |trigger, attempt| run(Outcome::Failed, Some("unavailable"), trigger, attempt);
        assert_eq!(decide(&unavailable(Trigger::Manual, 1)), Next::Over);
        assert_eq!(decide(&unavailable(Trigger::Every, 5)), Next::Dead);
        let mut before = Duration::ZERO;
        for attempt in 1..=4 {
            let Next::Retry(at) = decide(&unavailable(Trigger::Cron, attempt)) else {
                panic!("attempt {attempt} is not followed by another");
            };
            let delay = Duration::try_from(at.duration_since(now)).unwrap();
            let whole = Duration::from_secs(1 << (attempt - 1));
            assert!(delay >= whole / 2 && delay <= whole, "{attempt}: {delay:?}");
            assert!(delay > before);
            before = delay;
        }
        // What the host lost it makes up for, whoever asked.
        assert!(matches!(
            decide(&run(Outcome::Lost, None, Trigger::Manual, 1)),
            Next::Retry(_)
        ));
    }

    #[test]
    fn five_crashes_in_ten_minutes_are_too_many() {
        let at = |seconds| Timestamp::from_second(seconds).unwrap();
        let mut crashes = Crashes::default();
        assert!((0..4).all(|number| !crashes.add(at(number))));
        assert!(crashes.add(at(4)));
        let mut rare = Crashes::default();
        assert!((0..20).all(|number| !rare.add(at(number * 151))));
        assert!(is_crash(Some(Outcome::Limited)) && !is_crash(Some(Outcome::Failed)));
    }
}
