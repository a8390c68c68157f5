//! Which runs are due: agents with `every` are started at fixed moments, and a host that was down catches up once.
//!
//! The moments of an agent are its last recorded one plus a multiple of its interval, so a restart changes nothing and a long run shifts nothing. A moment that comes
//! while a run of the agent is in progress is passed over. The schedule knows agents' names and intervals and nothing of how a run executes; [`Starter`] is its way out.

use crate::model::Trigger;
use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::sync::Notify;

/// The longest sleep: the system's clock may be set while the schedule waits, and is looked at again this often.
const LOOK_AGAIN: Duration = Duration::from_secs(30);

/// An agent that runs by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interval {
    /// The agent's name.
    pub agent: String,
    /// From one moment to the next.
    pub every: Duration,
}

/// What the schedule needs of the rest.
#[async_trait]
pub trait Starter: Send + Sync {
    /// The agents in force that have an interval and are enabled.
    fn intervals(&self) -> Vec<Interval>;
    /// The last recorded moment of each agent.
    async fn last_moments(&self) -> BTreeMap<String, Timestamp>;
    /// Whether a run of the agent waits or is in progress.
    fn is_live(&self, agent: &str) -> bool;
    /// Records and starts a run that was due at a moment; what goes wrong is the starter's to log.
    async fn start(&self, agent: &str, trigger: Trigger, moment: Timestamp);
}

/// The first moment of an agent that is due at `now` or later, where `last` was its last one.
///
/// An agent that never ran is due now. Moments that passed while nobody looked are made up for by one at once.
#[must_use]
pub fn next_moment(last: Option<Timestamp>, every: Duration, now: Timestamp) -> Timestamp {
    let Some(last) = last else {
        return now;
    };
    let every = SignedDuration::try_from(every).unwrap_or(SignedDuration::MAX);
    let next = last.checked_add(every).unwrap_or(Timestamp::MAX);
    // A clock that was set back would otherwise silence the agent for as long as it was wrong.
    if last > now.checked_add(every).unwrap_or(Timestamp::MAX) {
        return now;
    }
    next.max(now)
}

/// The moment that a start at `now` stands for: the latest one of the agent's grid that is not in the future.
#[must_use]
pub fn moment_of(last: Option<Timestamp>, every: Duration, now: Timestamp) -> Timestamp {
    let Some(last) = last.filter(|last| *last <= now) else {
        return now;
    };
    let nanos = every.as_nanos().max(1);
    let passed = u128::try_from(now.duration_since(last).as_nanos()).unwrap_or(0) / nanos;
    let ahead = u64::try_from(passed * nanos).unwrap_or(u64::MAX);
    last.checked_add(SignedDuration::from_nanos(
        i64::try_from(ahead).unwrap_or(i64::MAX),
    ))
    .unwrap_or(now)
}

/// Starts what is due until it is dropped. `wake` makes it look again at once, for instance after a reload.
pub async fn run(starter: &dyn Starter, wake: &Notify) {
    let mut last = starter.last_moments().await;
    loop {
        let mut sleep = LOOK_AGAIN;
        for Interval { agent, every } in starter.intervals() {
            let now = Timestamp::now();
            let before = last.get(&agent).copied();
            let due = next_moment(before, every, now);
            if due > now {
                let until = Duration::try_from(due.duration_since(now)).unwrap_or(LOOK_AGAIN);
                sleep = sleep.min(until);
                continue;
            }
            let moment = moment_of(before, every, now);
            last.insert(agent.clone(), moment);
            sleep = sleep.min(every);
            if starter.is_live(&agent) {
                tracing::info!(agent.name = %agent, "a run of `{agent}` is in progress: the moment {moment} is passed over");
            } else {
                starter.start(&agent, Trigger::Every, moment).await;
            }
        }
        tokio::select! {
            () = tokio::time::sleep(sleep) => {}
            () = wake.notified() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn finds_the_next_moment() {
        let minute = Duration::from_secs(60);
        let now = at("2026-01-01T12:00:30Z");
        let check = |last: Option<&str>, expected: &str| {
            assert_eq!(next_moment(last.map(at), minute, now), at(expected));
        };
        check(None, "2026-01-01T12:00:30Z");
        check(Some("2026-01-01T12:00:00Z"), "2026-01-01T12:01:00Z");
        // Down for hours: once, now.
        check(Some("2026-01-01T03:00:00Z"), "2026-01-01T12:00:30Z");
        // The clock was a year ahead.
        check(Some("2027-01-01T00:00:00Z"), "2026-01-01T12:00:30Z");
    }

    #[test]
    fn keeps_the_grid_over_restarts_and_delays() {
        let ten = Duration::from_secs(600);
        let check = |last: Option<&str>, now: &str, expected: &str| {
            assert_eq!(moment_of(last.map(at), ten, at(now)), at(expected));
        };
        check(None, "2026-01-01T00:00:07Z", "2026-01-01T00:00:07Z");
        check(
            Some("2026-01-01T00:00:07Z"),
            "2026-01-01T00:10:07.004Z",
            "2026-01-01T00:10:07Z",
        );
        check(
            Some("2026-01-01T00:00:07Z"),
            "2026-01-01T06:03:00Z",
            "2026-01-01T06:00:07Z",
        );
    }

    #[test]
    fn a_year_of_moments_has_no_gap_and_no_double() {
        let every = Duration::from_secs(3600);
        let mut now = at("2026-01-01T00:00:00Z");
        let mut last = None;
        let mut moments = Vec::new();
        // Looks come late by a varying delay, as a busy host's do.
        for step in 0..(365 * 24) {
            now = next_moment(last, every, now)
                .checked_add(SignedDuration::from_millis(step * 37 % 900))
                .unwrap();
            let moment = moment_of(last, every, now);
            moments.push(moment);
            last = Some(moment);
        }
        for pair in moments.windows(2) {
            assert_eq!(
                pair[1].duration_since(pair[0]),
                SignedDuration::from_hours(1)
            );
        }
    }
}
