//! When an agent is due: pure functions of an interval or cron expression and the time, which is always a parameter.
//!
//! A cron expression is read in its time zone. If it names one time of day, and a clock that is put forward skips it, it comes right after the gap; if a clock that is put
//! back repeats it, it comes once, the first time. Expressions with several times of day (lists, steps, `*`) follow the clock: what it skips does not come, what it repeats comes twice.

use croner::Cron;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, Zoned};
use std::time::Duration;

/// Moments of a cron expression that are counted one by one when a host was away; there are a million seconds in eleven days.
const COUNT_MAX: u64 = 100_000;

/// A recorded moment this far ahead of the clock was written while the clock was wrong.
const AHEAD_MAX: SignedDuration = SignedDuration::from_hours(1);

/// The moments of an agent.
#[derive(Clone, Debug, PartialEq)]
pub struct Timetable {
    /// How moments follow each other.
    pub rhythm: Rhythm,
    /// None before this.
    pub starts_at: Option<Timestamp>,
    /// None at this or later.
    pub ends_at: Option<Timestamp>,
}

/// How moments follow each other.
#[derive(Clone, Debug, PartialEq)]
pub enum Rhythm {
    /// This far apart, counted from the first.
    Every(Duration),
    /// A cron expression in a time zone.
    Cron(Box<Cron>, TimeZone),
}

/// The moments that passed while nobody looked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Passed {
    /// The newest ones, oldest first.
    pub newest: Vec<Timestamp>,
    /// Those before them: the first, the last, and how many there are; the number is a lower bound when it is 100,000 or more.
    pub older: Option<(Timestamp, Timestamp, u64)>,
}

impl Timetable {
    /// The first moment after `last`, the latest one that was recorded. For an interval that never had one this is `now`.
    ///
    /// `None` when there is none any more.
    #[must_use]
    pub fn next(&self, last: Option<Timestamp>, now: Timestamp) -> Option<Timestamp> {
        let last = sound(last, now);
        let next = match (&self.rhythm, last) {
            (Rhythm::Every(_), None) => self.starts_at.unwrap_or(now).max(now),
            (Rhythm::Every(every), Some(last)) => {
                let next = last.checked_add(signed(*every)).ok()?;
                match self.starts_at {
                    Some(start) if next < start => start,
                    _ => next,
                }
            }
            (Rhythm::Cron(cron, zone), last) => {
                // An agent that was never due before is due from now on.
                let after = last.unwrap_or(now);
                match self.starts_at {
                    Some(start) if start > after => occurrence(cron, zone, start, true)?,
                    _ => occurrence(cron, zone, after, false)?,
                }
            }
        };
        self.ends_at.is_none_or(|end| next < end).then_some(next)
    }

    /// The moments after `last` up to `now`, the newest `keep` of them one by one.
    #[must_use]
    pub fn passed(&self, last: Option<Timestamp>, now: Timestamp, keep: usize) -> Passed {
        let last = sound(last, now);
        let mut passed = Passed::default();
        let Some(first) = self.next(last, now).filter(|first| *first <= now) else {
            return passed;
        };
        // The end is exclusive.
        let until = match self.ends_at {
            Some(end) if end <= now => end
                .checked_sub(SignedDuration::from_nanos(1))
                .unwrap_or(end),
            _ => now,
        };
        match &self.rhythm {
            Rhythm::Every(every) => {
                let every = signed(*every).as_nanos().max(1);
                let count = until.duration_since(first).as_nanos() / every + 1;
                let at = |index: i128| {
                    let ahead = i64::try_from(index * every).unwrap_or(i64::MAX);
                    first
                        .checked_add(SignedDuration::from_nanos(ahead))
                        .unwrap_or(until)
                };
                let kept = count.min(keep as i128);
                passed.newest = ((count - kept)..count).map(at).collect();
                if count > kept {
                    let older = u64::try_from(count - kept).unwrap_or(u64::MAX);
                    passed.older = Some((first, at(count - kept - 1), older));
                }
            }
            Rhythm::Cron(cron, zone) => {
                let mut older = 0;
                let mut moment = latest(cron, zone, until);
                let mut newest_older = None;
                while let Some(at) = moment.filter(|at| *at >= first) {
                    if passed.newest.len() < keep {
                        passed.newest.push(at);
                    } else {
                        newest_older.get_or_insert(at);
                        older += 1;
                        if older >= COUNT_MAX {
                            break;
                        }
                    }
                    let before = at.checked_sub(SignedDuration::from_secs(1)).ok();
                    moment = before.and_then(|before| latest(cron, zone, before));
                }
                passed.newest.reverse();
                passed.older = newest_older.map(|last| (first, last, older));
            }
        }
        passed
    }
}

/// A moment that was recorded while the clock was wrong would silence an agent until the clock gets there.
fn sound(last: Option<Timestamp>, now: Timestamp) -> Option<Timestamp> {
    last.map(|last| match now.checked_add(AHEAD_MAX) {
        Ok(bound) if last > bound => now,
        _ => last,
    })
}

fn signed(every: Duration) -> SignedDuration {
    SignedDuration::try_from(every).unwrap_or(SignedDuration::MAX)
}

fn zoned(moment: Timestamp, zone: &TimeZone) -> Zoned {
    moment.to_zoned(zone.clone())
}

fn occurrence(cron: &Cron, zone: &TimeZone, from: Timestamp, inclusive: bool) -> Option<Timestamp> {
    // Whole seconds are what an expression speaks of, so a start within one is before the next.
    let whole = Timestamp::from_second(from.as_second()).ok()?;
    let inclusive = inclusive && whole == from;
    let next = cron
        .find_next_occurrence(&zoned(whole, zone), inclusive)
        .ok()?;
    Some(next.timestamp())
}

/// The latest moment at `until` or before.
fn latest(cron: &Cron, zone: &TimeZone, until: Timestamp) -> Option<Timestamp> {
    let whole = Timestamp::from_second(until.as_second()).ok()?;
    let previous = cron
        .find_previous_occurrence(&zoned(whole, zone), true)
        .ok()?;
    Some(previous.timestamp())
}

#[cfg(test)]
mod tests;
