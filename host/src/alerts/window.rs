//! What was counted, as it was at moments in the past: differences between two of them are what happened in a window.

use crate::metrics::{Counts, Totals};
use jiff::{SignedDuration, Timestamp};
use std::collections::VecDeque;
use std::time::Duration;

/// Samples that are kept: an hour at one every fifteen seconds, some hundred kilobytes.
const SAMPLES_MAX: u32 = 240;

/// Events of one rule that are remembered: more of them say nothing more.
const EVENTS_MAX: usize = 1_000;

/// The host's counts over time, by the time since it began.
#[derive(Debug)]
pub(super) struct Window {
    samples: VecDeque<(Duration, Totals)>,
    longest: Duration,
}

impl Window {
    /// Looks back so far at most.
    pub(super) fn new(longest: Duration) -> Self {
        Self {
            // Everything was zero when the process began.
            samples: VecDeque::from([(Duration::ZERO, Totals::default())]),
            longest,
        }
    }

    /// Looks back so far at most from now on.
    pub(super) fn look_back(&mut self, longest: Duration) {
        self.longest = longest;
    }

    /// The counts as they are now. Samples that come too often replace one another, so that their number has a bound.
    pub(super) fn push(&mut self, up: Duration, totals: Totals) {
        let apart = self.longest / SAMPLES_MAX;
        let crowded = self.samples.len() > 2
            && self
                .samples
                .iter()
                .rev()
                .nth(1)
                .is_some_and(|(before, _)| up.saturating_sub(*before) < apart);
        if crowded {
            self.samples.pop_back();
        }
        self.samples.push_back((up, totals));
        // One that is older than the longest window is what that window begins with.
        while self
            .samples
            .get(1)
            .is_some_and(|(at, _)| up.saturating_sub(*at) >= self.longest)
        {
            self.samples.pop_front();
        }
    }

    /// What happened in a window that ends with the latest sample.
    pub(super) fn since(&self, window: Duration) -> Totals {
        let Some((up, last)) = self.samples.back() else {
            return Totals::default();
        };
        let begin = self
            .samples
            .iter()
            .rev()
            .find(|(at, _)| up.saturating_sub(*at) >= window)
            .or_else(|| self.samples.front());
        begin.map_or(*last, |(_, first)| difference(last, first))
    }
}

fn difference(last: &Totals, first: &Totals) -> Totals {
    let counts = |last: &Counts, first: &Counts| {
        let mut difference = *last;
        for (to, from) in difference.iter_mut().zip(first) {
            *to = to.saturating_sub(*from);
        }
        difference
    };
    Totals {
        answered: last.answered.saturating_sub(first.answered),
        errors: last.errors.saturating_sub(first.errors),
        answers: counts(&last.answers, &first.answers),
        runs: counts(&last.runs, &first.runs),
        syncs: counts(&last.syncs, &first.syncs),
    }
}

/// The events of one rule.
#[derive(Debug, Default)]
pub(super) struct Happened {
    events: VecDeque<(Timestamp, String)>,
}

impl Happened {
    pub(super) fn add(&mut self, at: Timestamp, what: String) {
        self.events.push_back((at, what));
        if self.events.len() > EVENTS_MAX {
            self.events.pop_front();
        }
    }

    /// How many there were in a window, and what the last of them was. What is older is forgotten.
    pub(super) fn within(&mut self, window: Duration, now: Timestamp) -> (u64, Option<&str>) {
        let window = SignedDuration::try_from(window).unwrap_or(SignedDuration::MAX);
        // A clock that was set back leaves events in the future; they are as new as can be.
        self.events
            .retain(|(at, _)| now.duration_since(*at) < window);
        (
            self.events.len() as u64,
            self.events.back().map(|(_, what)| what.as_str()),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn totals(answered: u64, errors: u64) -> Totals {
        Totals {
            answered,
            errors,
            ..Totals::default()
        }
    }

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    #[test]
    fn a_window_has_what_happened_in_it_and_nothing_before() {
        let mut window = Window::new(seconds(60));
        for second in 1..=10 {
            window.push(seconds(second * 10), totals(second * 100, second));
        }
        assert_eq!(window.since(seconds(10)), totals(100, 1));
        assert_eq!(window.since(seconds(60)), totals(600, 6));
        // Between two samples it is the earlier one that counts.
        assert_eq!(window.since(seconds(15)), totals(200, 2));
    }

    #[test]
    fn a_host_that_just_began_has_everything_in_its_window() {
        let mut window = Window::new(seconds(300));
        window.push(seconds(5), totals(7, 2));
        assert_eq!(window.since(seconds(300)), totals(7, 2));
    }

    #[test]
    fn samples_have_a_bound_however_often_they_come() {
        let mut window = Window::new(seconds(240));
        for tick in 1..=100_000_u64 {
            window.push(Duration::from_millis(tick * 10), totals(tick, 0));
        }
        assert!(window.samples.len() <= 250, "{}", window.samples.len());
        let last = window.since(seconds(240)).answered;
        assert!((24_000..=24_200).contains(&last), "{last}");
    }

    #[test]
    fn events_leave_the_window_with_time() {
        let mut happened = Happened::default();
        let at = |second| Timestamp::from_second(second).unwrap();
        happened.add(at(0), "a".into());
        happened.add(at(50), "b".into());
        assert_eq!(happened.within(seconds(60), at(59)), (2, Some("b")));
        assert_eq!(happened.within(seconds(60), at(60)), (1, Some("b")));
        assert_eq!(happened.within(seconds(60), at(200)), (0, None));
        for second in 0..5_000 {
            happened.add(at(second), "c".into());
        }
        assert_eq!(happened.events.len(), EVENTS_MAX);
    }
}
