//! Which agents are due, and what came of every moment: started, started late, taken together with another, passed over, or missed while nobody was there.
//!
//! Each moment becomes one row of the ledger, so a plugin that takes longer than its interval never changes its schedule silently. The moments follow from the ledger
//! alone: a restart changes nothing and a late start shifts nothing. The schedule knows names and timetables and nothing of how a run executes; [`Starter`] is its way out.

use crate::config::{CatchUp, Overlap, ScheduleConfig};
use crate::model::{Occurrence, OccurrenceResult, Trigger, now};
use crate::timetable::Rhythm;
use async_trait::async_trait;
use futures::StreamExt;
use futures::stream;
use jiff::{SignedDuration, Timestamp};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, VecDeque};
use std::time::Duration;
use tokio::sync::Notify;

/// The longest sleep: the system's clock may be set while the schedule waits, and is looked at again this often.
const LOOK_AGAIN: Duration = Duration::from_secs(10);

/// Moments that are recorded together: enough for one commit to serve many.
const FIRES_AT_ONCE: usize = 256;

/// Missed moments of one look that get a row each; those before them share one.
const MISSED_ROWS_MAX: usize = 1_000;

/// A moment that is later than this was missed, where missed ones are not made up for: a busy host is late by less.
const MISSED_AFTER: SignedDuration = SignedDuration::from_secs(60);

/// An agent that runs by itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The agent's name.
    pub agent: String,
    /// When it is due.
    pub schedule: ScheduleConfig,
}

impl Entry {
    /// What started the runs.
    fn trigger(&self) -> Trigger {
        match self.schedule.timetable.rhythm {
            Rhythm::Every(_) => Trigger::Every,
            Rhythm::Cron(..) => Trigger::Cron,
        }
    }

    /// When a moment starts something: later by its share of the jitter, which is the same whoever asks and whenever.
    #[must_use]
    pub fn start_of(&self, moment: Timestamp) -> Timestamp {
        let jitter = u64::try_from(self.schedule.jitter.as_micros()).unwrap_or(u64::MAX);
        if jitter == 0 {
            return moment;
        }
        let share = mix(&self.agent, moment) % (jitter + 1);
        let share = i64::try_from(share).unwrap_or(i64::MAX);
        moment
            .checked_add(SignedDuration::from_micros(share))
            .unwrap_or(moment)
    }
}

/// A number that looks random and is the same for the same agent and moment (FNV-1a).
fn mix(agent: &str, moment: Timestamp) -> u64 {
    let bytes = agent.bytes().chain(moment.as_microsecond().to_le_bytes());
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    hash ^ (hash >> 32)
}

/// What became of a start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Started {
    /// The run and its moment are on the disk.
    Recorded,
    /// Nothing is, for a reason that the ledger should show.
    Not(&'static str),
    /// Nothing is, and the moment is to be found unrecorded by a later start.
    Later,
}

/// What the schedule needs of the rest.
#[async_trait]
pub trait Starter: Send + Sync {
    /// The agents in force that are due by themselves.
    fn entries(&self) -> Vec<Entry>;
    /// The last recorded moment of each agent; `None` when that cannot be read now.
    async fn last_moments(&self) -> Option<BTreeMap<String, Timestamp>>;
    /// Says that the schedule looked at the clock.
    fn beat(&self);
    /// Whether a run of the agent waits or is in progress.
    fn is_live(&self, agent: &str) -> bool;
    /// Why nothing may start now, for instance `paused`.
    fn held(&self, agent: &str, now: Timestamp) -> Option<&'static str>;
    /// Ends the agent's runs.
    fn cancel(&self, agent: &str);
    /// Records a run and its moment, and starts it. What goes wrong is the starter's to log.
    async fn start(&self, trigger: Trigger, occurrence: Occurrence) -> Started;
    /// Records moments that started nothing; `false` when that has to be tried again.
    async fn note(&self, occurrences: &[Occurrence]) -> bool;
}

/// Where an agent is on its timetable.
struct Place {
    entry: Entry,
    /// The latest moment that was decided on.
    last: Option<Timestamp>,
    /// Moments that wait for a run's end, oldest first. None of them has a row, and no later moment gets one before them, so that a host that dies finds them again.
    waiting: VecDeque<Timestamp>,
    /// Those that came while others waited: one row for all of them, written after the last that waits.
    taken: Option<Occurrence>,
    /// Rows that could not be written.
    unwritten: Vec<Occurrence>,
    /// Its entry in the agenda.
    next: Option<Timestamp>,
}

/// What a look at an agent decided.
#[derive(Debug, Default, PartialEq)]
struct Decision {
    /// Start runs for these, in this order.
    fire: Vec<Timestamp>,
    /// Write these down.
    note: Vec<Occurrence>,
    /// End what is in progress.
    cancel: bool,
}

impl Place {
    /// When to look again, by the timetable alone.
    fn next_start(&self, now: Timestamp) -> Option<Timestamp> {
        let next = self.entry.schedule.timetable.next(self.last, now)?;
        Some(self.entry.start_of(next))
    }

    fn occurrence(&self, due_at: Timestamp, result: OccurrenceResult, reason: &str) -> Occurrence {
        Occurrence {
            agent: self.entry.agent.clone(),
            due_at,
            until: due_at,
            moments: 1,
            result,
            reason: Some(reason.to_owned()),
            late_us: None,
            run: None,
            recorded_at: now(),
        }
    }

    /// Gives up on what waits, with a row for each.
    fn give_up_waiting(&mut self, result: OccurrenceResult, reason: &str) -> Vec<Occurrence> {
        let mut rows: Vec<_> = std::mem::take(&mut self.waiting)
            .into_iter()
            .map(|moment| self.occurrence(moment, result, reason))
            .collect();
        rows.extend(self.taken.take());
        rows
    }

    /// Adds a moment to those that came while others waited.
    fn take_together(&mut self, moment: Timestamp) {
        let result = match self.entry.schedule.overlap {
            Overlap::Skip => OccurrenceResult::Skipped,
            _ => OccurrenceResult::Coalesced,
        };
        let one = self.occurrence(moment, result, "overlap");
        let taken = self.taken.get_or_insert(Occurrence { moments: 0, ..one });
        taken.until = moment;
        taken.moments += 1;
    }

    /// The moment that may start now that no run is in progress, and what is taken together with it.
    fn next_waiting(&mut self) -> Option<(Timestamp, Option<Occurrence>)> {
        let moment = self.waiting.pop_front()?;
        let taken = if self.waiting.is_empty() {
            self.taken.take()
        } else {
            None
        };
        Some((moment, taken))
    }

    /// Decides on every moment whose start has come.
    fn decide(&mut self, now: Timestamp, live: bool, held: Option<&'static str>) -> Decision {
        let mut decision = Decision {
            note: std::mem::take(&mut self.unwritten),
            ..Decision::default()
        };
        if let Some(reason) = held {
            let rows = self.give_up_waiting(OccurrenceResult::Skipped, reason);
            decision.note.extend(rows);
        }
        let schedule = self.entry.schedule.clone();
        let passed = schedule.timetable.passed(self.last, now, MISSED_ROWS_MAX);
        let mut due = passed.newest;
        if let Some(later) = due
            .iter()
            .position(|moment| self.entry.start_of(*moment) > now)
        {
            due.truncate(later);
        }
        let kept = match (schedule.catch_up, due.last()) {
            (CatchUp::One, _) => 1,
            (CatchUp::All(most), _) => most,
            (CatchUp::None, None) => 0,
            (CatchUp::None, Some(newest)) => {
                let bound = self.entry.start_of(*newest).checked_add(MISSED_AFTER);
                usize::from(bound.is_ok_and(|bound| now <= bound))
            }
        };
        let given_up = due.len() - kept.min(due.len());
        if passed.older.is_some() || given_up > 0 {
            // What waits is older than what is missed, and gets its rows before.
            let rows = self.give_up_waiting(OccurrenceResult::Missed, "catch_up");
            decision.note.extend(rows);
        }
        if let Some((due_at, until, moments)) = passed.older {
            decision.note.push(Occurrence {
                until,
                moments,
                ..self.occurrence(due_at, OccurrenceResult::Missed, "catch_up")
            });
            self.last = Some(until);
        }
        if let Some(newest) = due.last() {
            self.last = Some(*newest);
        }
        for moment in due.drain(..given_up) {
            let missed = self.occurrence(moment, OccurrenceResult::Missed, "catch_up");
            decision.note.push(missed);
        }
        // Several are made up for one after the other, unless they may overlap anyway.
        let several = due.len() > 1;
        for moment in due {
            if let Some(reason) = held {
                let skipped = self.occurrence(moment, OccurrenceResult::Skipped, reason);
                decision.note.push(skipped);
                continue;
            }
            let waits = !self.waiting.is_empty();
            let busy = live || waits || !decision.fire.is_empty();
            match schedule.overlap {
                _ if !busy => decision.fire.push(moment),
                Overlap::Allow if !waits => decision.fire.push(moment),
                // A row of its own would come before those that wait.
                _ if self.taken.is_some() => self.take_together(moment),
                _ if several => self.waiting.push_back(moment),
                Overlap::Skip if !waits => {
                    let skipped = self.occurrence(moment, OccurrenceResult::Skipped, "overlap");
                    decision.note.push(skipped);
                }
                Overlap::Queue if !waits => self.waiting.push_back(moment),
                Overlap::Skip | Overlap::Queue | Overlap::Allow => self.take_together(moment),
                Overlap::Cancel => {
                    decision.cancel = true;
                    let rows = self.give_up_waiting(OccurrenceResult::Coalesced, "overlap");
                    decision.note.extend(rows);
                    self.waiting.push_back(moment);
                }
            }
        }
        decision
    }
}

/// Where an agent begins: at its last recorded moment. One that was never due is due from now on: at the calendar's next moment, or for an interval at once.
fn first_place(entry: &Entry, last: Option<Timestamp>, now: Timestamp) -> Option<Timestamp> {
    let timetable = &entry.schedule.timetable;
    match (&timetable.rhythm, last) {
        (_, Some(last)) => Some(last),
        (Rhythm::Cron(..), None) => Some(now),
        (Rhythm::Every(every), None) => {
            let first = timetable.starts_at.unwrap_or(now).max(now);
            let every = SignedDuration::try_from(*every).unwrap_or(SignedDuration::MAX);
            first.checked_sub(every).ok()
        }
    }
}

/// A recorded moment this far ahead of the clock was written while the clock was wrong.
const AHEAD_MAX: SignedDuration = SignedDuration::from_hours(1);

/// The agents, and when each is to be looked at.
#[derive(Default)]
struct Agenda {
    places: BTreeMap<String, Place>,
    /// Earliest first. An entry that is not its agent's latest is passed over.
    heap: BinaryHeap<Reverse<(Timestamp, String)>>,
    /// Agents with moments that wait.
    waiting: BTreeSet<String>,
}

impl Agenda {
    /// Takes the agents in force; what is known of those that were there stays.
    fn take(&mut self, entries: Vec<Entry>, last: &BTreeMap<String, Timestamp>, now: Timestamp) {
        let mut before = std::mem::take(&mut self.places);
        self.heap.clear();
        for entry in entries {
            let agent = entry.agent.clone();
            let place = match before.remove(&agent) {
                Some(place) => Place {
                    entry,
                    next: None,
                    ..place
                },
                None => Place {
                    last: first_place(&entry, last.get(&agent).copied(), now),
                    waiting: VecDeque::new(),
                    taken: None,
                    unwritten: Vec::new(),
                    next: None,
                    entry,
                },
            };
            self.places.insert(agent.clone(), place);
        }
        self.waiting.retain(|agent| self.places.contains_key(agent));
        self.set_clock(now);
    }

    /// Plans all agents anew: at first, and when the clock was set. A last moment that lies ahead was recorded while the clock was wrong, and would silence the agent.
    fn set_clock(&mut self, now: Timestamp) {
        let bound = now.checked_add(AHEAD_MAX).unwrap_or(Timestamp::MAX);
        self.heap.clear();
        for place in self.places.values_mut() {
            place.next = None;
            if place.last.is_some_and(|last| last > bound) {
                place.last = Some(now);
            }
        }
        let agents: Vec<String> = self.places.keys().cloned().collect();
        for agent in agents {
            self.look_later(&agent, now);
        }
    }

    fn look_later(&mut self, agent: &str, now: Timestamp) {
        let Some(place) = self.places.get_mut(agent) else {
            return;
        };
        let next = place.next_start(now);
        if next == place.next {
            return;
        }
        place.next = next;
        if let Some(next) = next {
            self.heap.push(Reverse((next, agent.to_owned())));
        }
    }

    /// The agents whose time has come.
    fn due(&mut self, now: Timestamp) -> BTreeSet<String> {
        let mut due = BTreeSet::new();
        while let Some(Reverse((at, _))) = self.heap.peek() {
            if *at > now {
                break;
            }
            let Some(Reverse((at, agent))) = self.heap.pop() else {
                break;
            };
            // One that is not its agent's latest was planned before something changed.
            if let Some(place) = self.places.get_mut(&agent)
                && place.next == Some(at)
            {
                place.next = None;
                due.insert(agent);
            }
        }
        due
    }
}

/// One agent's moments to carry out, in order.
struct Work {
    agent: String,
    trigger: Trigger,
    /// Each with when it should have started.
    fire: Vec<(Timestamp, Timestamp)>,
    note: Vec<Occurrence>,
}

/// What could not be recorded, to be tried again.
struct Undone {
    agent: String,
    fire: Vec<Timestamp>,
    note: Vec<Occurrence>,
}

impl Work {
    async fn carry_out(self, starter: &dyn Starter) -> Option<Undone> {
        // The latest row is where a host that dies here goes on: what is older has to be written before.
        let first = self.fire.first().map(|(due_at, _)| *due_at);
        let (before, mut note): (Vec<_>, Vec<_>) = self
            .note
            .into_iter()
            .partition(|occurrence| first.is_none_or(|first| occurrence.due_at < first));
        let undone = |fire: &[(Timestamp, Timestamp)], note: Vec<Occurrence>| Undone {
            agent: self.agent.clone(),
            fire: fire.iter().map(|(due_at, _)| *due_at).collect(),
            note,
        };
        if !before.is_empty() && !starter.note(&before).await {
            let all = before.into_iter().chain(note).collect();
            return Some(undone(&self.fire, all));
        }
        for (index, (due_at, start)) in self.fire.iter().enumerate() {
            let recorded_at = now();
            let late_us = recorded_at.as_microsecond() - start.as_microsecond();
            let occurrence = Occurrence {
                agent: self.agent.clone(),
                due_at: *due_at,
                until: *due_at,
                moments: 1,
                result: OccurrenceResult::Fired,
                reason: None,
                late_us: Some(u64::try_from(late_us).unwrap_or(0)),
                run: None,
                recorded_at,
            };
            match starter.start(self.trigger, occurrence.clone()).await {
                Started::Recorded => {}
                // Nothing later gets a row before it.
                Started::Later => return Some(undone(&self.fire[index..], note)),
                Started::Not(reason) => {
                    let skipped = Occurrence {
                        result: OccurrenceResult::Skipped,
                        reason: Some(reason.to_owned()),
                        late_us: None,
                        ..occurrence
                    };
                    if !starter.note(std::slice::from_ref(&skipped)).await {
                        note.insert(0, skipped);
                        return Some(undone(&self.fire[index + 1..], note));
                    }
                }
            }
        }
        if !note.is_empty() && !starter.note(&note).await {
            return Some(undone(&[], note));
        }
        None
    }
}

/// Starts what is due until it is dropped. `wake` makes it read the agents again, for instance after a reload; `ended` says that a run ended.
pub async fn run(starter: &dyn Starter, wake: &Notify, ended: &Notify) {
    let last = loop {
        match starter.last_moments().await {
            Some(last) => break last,
            // Without the ledger every agent would look as if it had never been due.
            None => tokio::time::sleep(LOOK_AGAIN).await,
        }
    };
    let mut agenda = Agenda::default();
    agenda.take(starter.entries(), &last, now());
    let mut before = now();
    let mut retake = false;
    loop {
        let now = now();
        starter.beat();
        if before.duration_since(now) > AHEAD_MAX {
            tracing::warn!("the clock was set back from {before} to {now}");
            agenda.set_clock(now);
        }
        before = now;
        if retake {
            // An agent that was never there before may have been due under an earlier configuration.
            if let Some(last) = starter.last_moments().await {
                agenda.take(starter.entries(), &last, now);
                retake = false;
            }
        }
        let mut works = Vec::new();
        let mut looked = agenda.due(now);
        looked.extend(agenda.waiting.iter().cloned());
        for agent in looked {
            let Some(place) = agenda.places.get_mut(&agent) else {
                continue;
            };
            let live = starter.is_live(&agent);
            let held = starter.held(&agent, now);
            let mut decision = place.decide(now, live, held);
            if !live
                && decision.fire.is_empty()
                && let Some((moment, taken)) = place.next_waiting()
            {
                decision.fire.push(moment);
                decision.note.extend(taken);
            }
            if decision.cancel {
                starter.cancel(&agent);
            }
            if place.waiting.is_empty() && place.unwritten.is_empty() {
                agenda.waiting.remove(&agent);
            } else {
                agenda.waiting.insert(agent.clone());
            }
            let place = &agenda.places[&agent];
            works.push(Work {
                trigger: place.entry.trigger(),
                fire: decision
                    .fire
                    .into_iter()
                    .map(|moment| (moment, place.entry.start_of(moment)))
                    .collect(),
                note: decision.note,
                agent: agent.clone(),
            });
            agenda.look_later(&agent, now);
        }
        let undone: Vec<Option<Undone>> = stream::iter(works)
            .map(|work| work.carry_out(starter))
            .buffer_unordered(FIRES_AT_ONCE)
            .collect()
            .await;
        for undone in undone.into_iter().flatten() {
            if let Some(place) = agenda.places.get_mut(&undone.agent) {
                for moment in undone.fire.into_iter().rev() {
                    place.waiting.push_front(moment);
                }
                place.unwritten = undone.note;
                agenda.waiting.insert(undone.agent);
            }
        }
        let sleep = agenda.heap.peek().map_or(LOOK_AGAIN, |Reverse((at, _))| {
            let until = at.duration_since(Timestamp::now());
            Duration::try_from(until)
                .unwrap_or_default()
                .min(LOOK_AGAIN)
        });
        tokio::select! {
            () = tokio::time::sleep(sleep) => {}
            () = ended.notified(), if !agenda.waiting.is_empty() => {}
            () = wake.notified() => retake = true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::timetable::Timetable;

    fn at(text: &str) -> Timestamp {
        format!("2026-01-01T{text}Z").parse().unwrap()
    }

    fn place(last: Option<&str>, overlap: Overlap, catch_up: CatchUp) -> Place {
        Place {
            entry: Entry {
                agent: "a".into(),
                schedule: ScheduleConfig {
                    timetable: Timetable {
                        rhythm: Rhythm::Every(Duration::from_secs(60)),
                        starts_at: None,
                        ends_at: None,
                    },
                    cron: None,
                    jitter: Duration::ZERO,
                    overlap,
                    catch_up,
                },
            },
            last: last.map(at),
            waiting: VecDeque::new(),
            taken: None,
            unwritten: Vec::new(),
            next: None,
        }
    }

    /// What was decided: the moments fired, and of each other how many came to which result for which reason.
    fn told(decision: &Decision) -> (Vec<String>, BTreeMap<String, u64>) {
        let fired = decision
            .fire
            .iter()
            .map(|moment| moment.strftime("%H:%M").to_string())
            .collect();
        let mut noted = BTreeMap::new();
        for occurrence in &decision.note {
            let reason = occurrence.reason.clone().unwrap_or_default();
            *noted
                .entry(format!("{:?} {reason}", occurrence.result).to_lowercase())
                .or_default() += occurrence.moments;
        }
        (fired, noted)
    }

    fn expect(decision: &Decision, fired: &[&str], noted: &[(&str, u64)]) {
        let noted = noted
            .iter()
            .map(|(what, count)| ((*what).to_owned(), *count))
            .collect();
        let fired = fired.iter().map(|&at| at.to_owned()).collect();
        assert_eq!(told(decision), (fired, noted));
    }

    #[test]
    fn six_hours_away_are_made_up_for_by_policy_and_every_moment_is_accounted_for() {
        let mut one = place(Some("00:00:00"), Overlap::Skip, CatchUp::One);
        let decision = one.decide(at("06:00:30"), false, None);
        expect(&decision, &["06:00"], &[("missed catch_up", 359)]);
        assert_eq!(one.decide(at("06:00:40"), false, None), Decision::default());

        let mut all = place(Some("00:00:00"), Overlap::Skip, CatchUp::All(3));
        let decision = all.decide(at("06:00:30"), false, None);
        expect(&decision, &["05:58"], &[("missed catch_up", 357)]);
        assert_eq!(all.waiting, [at("05:59:00"), at("06:00:00")]);

        let mut none = place(Some("00:00:00"), Overlap::Skip, CatchUp::None);
        // The latest moment is not late, so it was not missed.
        let decision = none.decide(at("06:00:30"), false, None);
        expect(&decision, &["06:00"], &[("missed catch_up", 359)]);
        none.entry.schedule.timetable.rhythm = Rhythm::Every(Duration::from_secs(600));
        let decision = none.decide(at("07:08:00"), false, None);
        expect(&decision, &[], &[("missed catch_up", 6)]);
    }

    #[test]
    fn a_run_that_takes_longer_than_the_interval_changes_no_schedule_silently() {
        let check = |overlap, noted: &[(&str, u64)], waiting: &[&str], cancel| {
            let mut place = place(Some("00:00:00"), overlap, CatchUp::One);
            let mut all = Decision::default();
            for now in ["00:01:00", "00:02:00", "00:03:00"] {
                let decision = place.decide(at(now), true, None);
                all.fire.extend(decision.fire);
                all.note.extend(decision.note);
                all.cancel |= decision.cancel;
            }
            let fired: &[&str] = match overlap {
                Overlap::Allow => &["00:01", "00:02", "00:03"],
                _ => &[],
            };
            expect(&all, fired, noted);
            assert_eq!(all.cancel, cancel);
            let waits: Vec<_> = waiting.iter().map(|time| at(time)).collect();
            assert_eq!(place.waiting, waits);
            place
        };
        check(Overlap::Skip, &[("skipped overlap", 3)], &[], false);
        // None has a row before the one that waits has.
        let mut queued = check(Overlap::Queue, &[], &["00:01:00"], false);
        let (moment, taken) = queued.next_waiting().unwrap();
        assert_eq!(moment, at("00:01:00"));
        let taken = taken.unwrap();
        assert_eq!(
            (taken.due_at, taken.until),
            (at("00:02:00"), at("00:03:00"))
        );
        assert_eq!(taken.moments, 2);
        check(
            Overlap::Cancel,
            &[("coalesced overlap", 2)],
            &["00:03:00"],
            true,
        );
        check(Overlap::Allow, &[], &[], false);
    }

    #[test]
    fn what_is_held_is_skipped_with_the_reason() {
        let mut place = place(Some("00:00:00"), Overlap::Skip, CatchUp::One);
        let decision = place.decide(at("00:01:00"), false, Some("maintenance"));
        expect(&decision, &[], &[("skipped maintenance", 1)]);
    }

    #[test]
    fn an_agent_with_a_calendar_that_was_never_due_is_due_at_its_next_moment() {
        let mut agenda = Agenda::default();
        let mut entry = place(None, Overlap::Skip, CatchUp::One).entry;
        entry.schedule.timetable.rhythm = Rhythm::Cron(
            Box::new("*/5 * * * *".parse().unwrap()),
            jiff::tz::TimeZone::UTC,
        );
        agenda.take(vec![entry], &BTreeMap::new(), at("00:01:30"));
        assert_eq!(agenda.due(at("00:04:59")), BTreeSet::new());
        assert_eq!(agenda.due(at("00:05:00")), ["a".to_owned()].into());
        let place = agenda.places.get_mut("a").unwrap();
        expect(
            &place.decide(at("00:05:00.003"), false, None),
            &["00:05"],
            &[],
        );
    }

    #[test]
    fn an_interval_with_jitter_that_was_never_due_keeps_its_first_moment() {
        let mut agenda = Agenda::default();
        let mut entry = place(None, Overlap::Skip, CatchUp::One).entry;
        entry.schedule.jitter = Duration::from_secs(30);
        agenda.take(vec![entry], &BTreeMap::new(), at("00:01:00"));
        let start = agenda.places["a"].next.unwrap();
        assert!(start <= at("00:01:30"));
        assert_eq!(agenda.due(start), ["a".to_owned()].into());
        let place = agenda.places.get_mut("a").unwrap();
        expect(&place.decide(start, false, None), &["00:01"], &[]);
    }

    #[test]
    fn a_clock_that_is_set_back_silences_nobody() {
        let mut agenda = Agenda::default();
        let entry = place(None, Overlap::Skip, CatchUp::One).entry;
        let last = BTreeMap::from([("a".to_owned(), at("10:00:00"))]);
        agenda.take(vec![entry], &last, at("00:01:00"));
        assert_eq!(agenda.due(at("00:02:00")), ["a".to_owned()].into());
        let place = agenda.places.get_mut("a").unwrap();
        expect(&place.decide(at("00:02:00"), false, None), &["00:02"], &[]);
    }

    #[test]
    fn an_agent_is_on_the_agenda_once_however_often_it_is_looked_at() {
        let mut agenda = Agenda::default();
        let entry = place(None, Overlap::Queue, CatchUp::One).entry;
        let last = BTreeMap::from([("a".to_owned(), at("00:00:00"))]);
        agenda.take(vec![entry], &last, at("00:00:30"));
        for _ in 0..100 {
            agenda.look_later("a", at("00:00:40"));
        }
        assert_eq!(agenda.heap.len(), 1);
    }

    #[test]
    fn what_waits_when_the_agent_is_held_gets_its_row_before_what_comes_later() {
        let mut place = place(Some("00:00:00"), Overlap::Queue, CatchUp::One);
        expect(&place.decide(at("00:01:00"), true, None), &[], &[]);
        expect(&place.decide(at("00:02:00"), true, None), &[], &[]);
        let decision = place.decide(at("00:03:00"), true, Some("paused"));
        let rows: Vec<_> = decision
            .note
            .iter()
            .map(|row| (row.due_at, row.result))
            .collect();
        assert_eq!(
            rows,
            [
                (at("00:01:00"), OccurrenceResult::Skipped),
                (at("00:02:00"), OccurrenceResult::Coalesced),
                (at("00:03:00"), OccurrenceResult::Skipped)
            ]
        );
        assert_eq!(place.next_waiting(), None);
    }

    #[test]
    fn a_backlog_does_not_grow_while_it_is_made_up_for() {
        let mut place = place(Some("00:00:00"), Overlap::Skip, CatchUp::All(3));
        let decision = place.decide(at("00:03:30"), false, None);
        expect(&decision, &["00:01"], &[]);
        assert_eq!(place.waiting.len(), 2);
        for now in ["00:04:00", "00:05:00", "00:06:00"] {
            expect(&place.decide(at(now), true, None), &[], &[]);
        }
        assert_eq!(place.next_waiting().map(|(at, _)| at), Some(at("00:02:00")));
        let (moment, taken) = place.next_waiting().unwrap();
        assert_eq!(moment, at("00:03:00"));
        let taken = taken.unwrap();
        assert_eq!(
            (taken.due_at, taken.moments, taken.result),
            (at("00:04:00"), 3, OccurrenceResult::Skipped)
        );
    }

    #[test]
    fn jitter_is_within_its_bound_and_the_same_each_time() {
        let mut place = place(Some("00:00:00"), Overlap::Skip, CatchUp::One);
        place.entry.schedule.jitter = Duration::from_secs(30);
        let moment = at("00:01:00");
        let start = place.entry.start_of(moment);
        assert_eq!(start, place.entry.start_of(moment));
        assert!(start >= moment && start <= at("00:01:30"));
        assert_eq!(place.next_start(at("00:00:10")), Some(start));
        let before = start.checked_sub(SignedDuration::from_millis(1)).unwrap();
        assert_eq!(place.decide(before, false, None), Decision::default());
        expect(&place.decide(start, false, None), &["00:01"], &[]);
    }
}
