use super::*;
use jiff::civil::{Date, DateTime, Time};
use std::collections::BTreeSet;
use std::str::FromStr;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn every(seconds: u64) -> Timetable {
    Timetable {
        rhythm: Rhythm::Every(Duration::from_secs(seconds)),
        starts_at: None,
        ends_at: None,
    }
}

fn cron(text: &str, zone: &str) -> Timetable {
    Timetable {
        rhythm: Rhythm::Cron(
            Box::new(Cron::from_str(text).unwrap()),
            TimeZone::get(zone).unwrap(),
        ),
        starts_at: None,
        ends_at: None,
    }
}

#[test]
fn intervals_keep_their_grid_over_restarts_and_delays() {
    let minute = every(60);
    let now = at("2026-01-01T12:00:30Z");
    let check = |last: Option<&str>, expected: &str| {
        assert_eq!(minute.next(last.map(at), now), Some(at(expected)));
    };
    check(None, "2026-01-01T12:00:30Z");
    check(Some("2026-01-01T12:00:00Z"), "2026-01-01T12:01:00Z");
    check(Some("2026-01-01T03:00:07Z"), "2026-01-01T03:01:07Z");
    // The clock was a year ahead.
    check(Some("2027-01-01T00:00:00Z"), "2026-01-01T12:01:30Z");
}

#[test]
fn moments_that_passed_are_listed_and_counted() {
    let passed = every(60).passed(
        Some(at("2026-01-01T00:00:07Z")),
        at("2026-01-01T06:00:30Z"),
        3,
    );
    assert_eq!(
        passed.newest,
        [
            at("2026-01-01T05:58:07Z"),
            at("2026-01-01T05:59:07Z"),
            at("2026-01-01T06:00:07Z")
        ]
    );
    assert_eq!(
        passed.older,
        Some((at("2026-01-01T00:01:07Z"), at("2026-01-01T05:57:07Z"), 357))
    );
    let minutely = cron("* * * * *", "UTC");
    let passed = minutely.passed(
        Some(at("2026-01-01T00:00:00Z")),
        at("2026-01-01T06:00:00Z"),
        1,
    );
    assert_eq!(passed.newest, [at("2026-01-01T06:00:00Z")]);
    assert_eq!(
        passed.older,
        Some((at("2026-01-01T00:01:00Z"), at("2026-01-01T05:59:00Z"), 359))
    );
    let none = minutely.passed(
        Some(at("2026-01-01T06:00:00Z")),
        at("2026-01-01T06:00:59Z"),
        9,
    );
    assert_eq!(none, Passed::default());
}

#[test]
fn a_year_of_seconds_is_passed_over_quickly() {
    let began = std::time::Instant::now();
    let passed = cron("* * * * * *", "Europe/Paris").passed(
        Some(at("2025-01-01T00:00:00Z")),
        at("2026-01-01T00:00:00Z"),
        100,
    );
    assert_eq!(passed.newest.len(), 100);
    assert_eq!(passed.older.map(|(_, _, count)| count), Some(COUNT_MAX));
    // It takes some hundred milliseconds; this says only that it is no search through the year.
    assert!(
        began.elapsed() < Duration::from_secs(20),
        "{:?}",
        began.elapsed()
    );
}

#[test]
fn a_date_that_never_comes_has_no_moment() {
    let never = cron("0 0 30 2 *", "UTC");
    assert_eq!(never.next(None, at("2026-01-01T00:00:00Z")), None);
}

#[test]
fn nothing_is_due_before_the_start_or_from_the_end_on() {
    let bounded = Timetable {
        starts_at: Some(at("2026-02-01T00:00:00Z")),
        ends_at: Some(at("2026-02-01T00:02:00Z")),
        ..cron("* * * * *", "UTC")
    };
    let now = at("2026-01-01T00:00:00Z");
    let first = bounded.next(None, now);
    assert_eq!(first, Some(at("2026-02-01T00:00:00Z")));
    let second = bounded.next(first, at("2026-02-01T00:00:01Z"));
    assert_eq!(second, Some(at("2026-02-01T00:01:00Z")));
    assert_eq!(bounded.next(second, at("2026-02-01T00:01:01Z")), None);
    let passed = bounded.passed(Some(now), at("2026-03-01T00:00:00Z"), 10);
    assert_eq!(passed.newest.len(), 2);
}

/// How clocks are put forward and back, for a time of day with numbers alone and for one with `*`.
#[test]
fn clocks_that_are_put_forward_or_back_skip_and_double_nothing() {
    let moments = |text: &str, from: &str, to: &str| -> Vec<String> {
        let table = cron(text, "Europe/Paris");
        let (mut last, to) = (at(from), at(to));
        let mut found = Vec::new();
        while let Some(next) = table.next(Some(last), last).filter(|next| *next < to) {
            found.push(next.to_string());
            last = next;
        }
        found
    };
    // 02:30 does not exist on 29 March: right after the gap, at 03:00 summer time.
    assert_eq!(
        moments("30 2 * * *", "2026-03-28T12:00:00Z", "2026-03-30T12:00:00Z"),
        ["2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"]
    );
    // 02:30 comes twice on 25 October: once, the first time.
    assert_eq!(
        moments("30 2 * * *", "2026-10-24T12:00:00Z", "2026-10-26T12:00:00Z"),
        ["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"]
    );
    // Every hour is every hour.
    assert_eq!(
        moments("0 * * * *", "2026-10-24T23:30:00Z", "2026-10-25T03:30:00Z"),
        [
            "2026-10-25T00:00:00Z",
            "2026-10-25T01:00:00Z",
            "2026-10-25T02:00:00Z",
            "2026-10-25T03:00:00Z"
        ]
    );
}

/// A thousand expressions over a year in five zones, against an oracle that knows nothing of searching: it walks the days of the calendar and asks of each time of day
/// whether the expression's fields hold it.
#[test]
fn a_thousand_schedules_over_a_year_miss_and_double_nothing() {
    let zones = [
        "UTC",
        "Europe/Paris",
        "America/New_York",
        "Australia/Lord_Howe",
        "Asia/Kolkata",
    ];
    let mut state = 42_u64;
    let mut random = move |bound: u64| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % bound
    };
    for round in 0..1_000 {
        let zone = zones[round % zones.len()];
        let minutes: BTreeSet<u64> = (0..=random(2)).map(|_| random(60)).collect();
        let hours: BTreeSet<u64> = (0..=random(3)).map(|_| random(24)).collect();
        let weekdays: BTreeSet<u64> = (0..random(4)).map(|_| random(7)).collect();
        let months: BTreeSet<u64> = (0..random(6)).map(|_| 1 + random(12)).collect();
        let field = |values: &BTreeSet<u64>| {
            if values.is_empty() {
                "*".to_owned()
            } else {
                let values: Vec<_> = values.iter().map(u64::to_string).collect();
                values.join(",")
            }
        };
        let text = format!(
            "{} {} * {} {}",
            field(&minutes),
            field(&hours),
            field(&months),
            field(&weekdays)
        );
        let table = cron(&text, zone);
        let time_zone = TimeZone::get(zone).unwrap();
        let from = at("2026-01-01T00:00:00Z");
        let to = at("2027-01-01T00:00:00Z");

        let one = minutes.len() == 1 && hours.len() == 1;
        let mut expected = BTreeSet::new();
        let mut date = Date::constant(2025, 12, 31);
        while date <= Date::constant(2027, 1, 1) {
            let weekday = date.weekday().to_sunday_zero_offset();
            let held = (weekdays.is_empty() || weekdays.contains(&(weekday as u64)))
                && (months.is_empty() || months.contains(&(date.month() as u64)));
            if held {
                for hour in &hours {
                    for minute in &minutes {
                        let time = Time::constant(*hour as i8, *minute as i8, 0, 0);
                        expected.extend(instants(date.to_datetime(time), &time_zone, one));
                    }
                }
            }
            date = date.tomorrow().unwrap();
        }
        let expected: Vec<_> = expected
            .into_iter()
            .filter(|moment| *moment > from && *moment < to)
            .collect();

        let mut found = Vec::new();
        let mut last = from;
        while let Some(next) = table.next(Some(last), last).filter(|next| *next < to) {
            found.push(next);
            last = next;
        }
        let differ = |found: &[Timestamp]| -> Vec<Timestamp> {
            let (one, other): (BTreeSet<_>, BTreeSet<_>) = (
                found.iter().copied().collect(),
                expected.iter().copied().collect(),
            );
            one.symmetric_difference(&other).copied().collect()
        };
        assert_eq!(differ(&found), [], "`{text}` in {zone}");
        assert_eq!(found.len(), expected.len(), "`{text}` in {zone}: doubled");
        // Looking back over the year finds the same.
        let back = table.passed(Some(from), to - SignedDuration::from_secs(1), usize::MAX);
        assert_eq!(differ(&back.newest), [], "`{text}` in {zone}, backwards");
    }
}

/// When a time of day is. If it is the only one: the first one where there are two, the end of the gap where there is none.
fn instants(time: DateTime, zone: &TimeZone, only: bool) -> Vec<Timestamp> {
    let ambiguous = zone.to_ambiguous_timestamp(time);
    let at = |offset: jiff::tz::Offset| offset.to_timestamp(time).unwrap();
    match ambiguous.offset() {
        jiff::tz::AmbiguousOffset::Unambiguous { offset } => vec![at(offset)],
        jiff::tz::AmbiguousOffset::Fold { before, .. } if only => vec![at(before)],
        jiff::tz::AmbiguousOffset::Fold { before, after } => vec![at(before), at(after)],
        jiff::tz::AmbiguousOffset::Gap { after, .. } if only => {
            // The transition is the next one after any instant before the gap.
            let before = at(after) - SignedDuration::from_hours(3);
            vec![zone.following(before).next().unwrap().timestamp()]
        }
        jiff::tz::AmbiguousOffset::Gap { .. } => Vec::new(),
    }
}
