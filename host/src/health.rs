//! How healthy an agent is, as one number: a pure function of what it did last.

use crate::model::Outcome;
use jiff::{SignedDuration, Timestamp};
use std::collections::VecDeque;

/// Runs that the score looks back on.
pub const RUNS: usize = 20;

/// How an agent's latest runs ended, the newest last. Those that a person ended say nothing about the agent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recent(VecDeque<bool>);

impl Recent {
    /// Adds a run that ended.
    pub fn add(&mut self, outcome: Option<Outcome>) {
        if matches!(outcome, None | Some(Outcome::Cancelled)) {
            return;
        }
        if self.0.len() == RUNS {
            self.0.pop_front();
        }
        self.0.push_back(outcome == Some(Outcome::Succeeded));
    }

    /// The share of successful ones; `None` when there is none at all.
    #[must_use]
    pub fn share(&self) -> Option<f64> {
        let succeeded = self.0.iter().filter(|good| **good).count();
        #[expect(clippy::cast_precision_loss, reason = "at most 20")]
        let share = succeeded as f64 / self.0.len() as f64;
        (!self.0.is_empty()).then_some(share)
    }

    /// How many there are, and how many of them succeeded.
    #[must_use]
    pub fn counts(&self) -> (usize, usize) {
        (self.0.len(), self.0.iter().filter(|good| **good).count())
    }
}

/// How stale an agent is, 0 to 1: 0 until the moment at which it is due next, then growing to 1 over one more of its intervals.
#[must_use]
pub fn staleness(last: Option<Timestamp>, due: Option<Timestamp>, now: Timestamp) -> f64 {
    let (Some(last), Some(due)) = (last, due) else {
        return 0.0;
    };
    let late = now.duration_since(due);
    if late <= SignedDuration::ZERO {
        return 0.0;
    }
    let interval = due.duration_since(last).max(SignedDuration::from_secs(60));
    (late.as_secs_f64() / interval.as_secs_f64()).min(1.0)
}

/// The share of successful runs among the last 20, minus the staleness: 0 to 1. An agent that never ran is healthy.
#[must_use]
pub fn score(recent: &Recent, staleness: f64) -> f64 {
    (recent.share().unwrap_or(1.0) - staleness).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_score_is_success_minus_staleness() {
        let mut recent = Recent::default();
        assert!((score(&recent, 0.0) - 1.0).abs() < 1e-9);
        for _ in 0..15 {
            recent.add(Some(Outcome::Failed));
        }
        for _ in 0..15 {
            recent.add(Some(Outcome::Succeeded));
        }
        recent.add(Some(Outcome::Cancelled));
        assert_eq!(recent.counts(), (20, 15));
        assert!((score(&recent, 0.0) - 0.75).abs() < 1e-9);
        assert!((score(&recent, 0.5) - 0.25).abs() < 1e-9);
        assert!(score(&recent, 1.0).abs() < 1e-9);
    }

    #[test]
    fn stale_is_who_is_overdue() {
        let at = |minute: i64| Some(Timestamp::from_second(minute * 60).unwrap());
        let now = |minute: i64| Timestamp::from_second(minute * 60).unwrap();
        assert!(staleness(at(0), at(10), now(10)).abs() < 1e-9);
        assert!((staleness(at(0), at(10), now(15)) - 0.5).abs() < 1e-9);
        assert!((staleness(at(0), at(10), now(100)) - 1.0).abs() < 1e-9);
        assert!(staleness(None, at(10), now(100)).abs() < 1e-9);
    }
}
