//! When an agent runs: `every` or `cron` with what surrounds them, and the host's maintenance windows.

use std::str::FromStr;
use std::time::Duration;

use croner::Cron;
use croner::parser::{CronParser, Year};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use toml::Spanned;

use super::error::{Errors, literal};
use super::reader::Reader;
use crate::timetable::{Rhythm, Timetable};

/// When an agent is due. Source: `every`, `cron` and the keys beside them.
#[derive(Clone, Debug, PartialEq)]
pub struct ScheduleConfig {
    /// The moments.
    pub timetable: Timetable,
    /// As written: the cron expression and its time zone, for people.
    pub cron: Option<(String, String)>,
    /// Each moment starts up to this much later, always by the same amount: default 0, at most a day.
    pub jitter: Duration,
    /// What a moment does while a run of the agent is in progress; default [`Overlap::Skip`].
    pub overlap: Overlap,
    /// What becomes of moments that passed while the host was down; default [`CatchUp::One`].
    pub catch_up: CatchUp,
}

impl std::fmt::Display for ScheduleConfig {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (&self.cron, &self.timetable.rhythm) {
            (Some((cron, zone)), _) => write!(formatter, "{cron} {zone}"),
            (None, Rhythm::Every(every)) => {
                let ms = u64::try_from(every.as_millis()).unwrap_or(u64::MAX);
                write!(formatter, "every {}", super::units::show_duration(ms))
            }
            (None, Rhythm::Cron(cron, _)) => formatter.write_str(cron.as_str()),
        }
    }
}

/// What a moment does while a run of the agent waits or is in progress. Source: `overlap`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Overlap {
    /// It starts nothing.
    #[default]
    Skip,
    /// One waits for the run's end; further ones are taken together with it.
    Queue,
    /// It ends the run and starts then.
    Cancel,
    /// It starts another one, within the agent's `concurrency`.
    Allow,
}

/// What becomes of moments that passed while nobody was there. Source: `catch_up`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CatchUp {
    /// The latest starts a run, the others are missed.
    #[default]
    One,
    /// The latest ones start a run each, one after the other, at most this many.
    All(usize),
    /// They are missed.
    None,
}

/// A time in which nothing starts by itself. Source: `[[host.maintenance]]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Maintenance {
    /// When it begins.
    pub begins: Timetable,
    /// How long it lasts: a minute to seven days.
    pub lasts: Duration,
}

impl Maintenance {
    /// Whether it is on.
    #[must_use]
    pub fn holds(&self, now: Timestamp) -> bool {
        let lasts = jiff::SignedDuration::try_from(self.lasts).unwrap_or_default();
        let Ok(since) = now.checked_sub(lasts) else {
            return false;
        };
        self.begins
            .next(Some(since), since)
            .is_some_and(|begin| begin <= now)
    }
}

/// The values of `overlap`, in the order of [`Overlap::ALL`].
pub(super) const OVERLAP: &[&str] = &["skip", "queue", "cancel", "allow"];
/// The values of `catch_up`.
pub(super) const CATCH_UP: &[&str] = &["one", "all", "none"];
/// Default of `catch_up_max`.
const DEFAULT_CATCH_UP_MAX: u64 = 10;

impl Overlap {
    const ALL: [Self; 4] = [Self::Skip, Self::Queue, Self::Cancel, Self::Allow];
}

/// Reads when an agent is due; `None` when it is never due by itself.
pub(super) fn read(
    table: &Reader<'_, '_>,
    what: &str,
    errors: &mut Errors,
) -> Option<ScheduleConfig> {
    let every = table.number("every", errors).map(Duration::from_millis);
    let cron = table.text("cron", errors);
    let zone = table.text("tz", errors);
    if every.is_some()
        && let Some(cron) = &cron
    {
        errors
            .at(cron.span(), format!("{what} has both `every` and `cron`"))
            .help("keep one of the two, or make two agents of the same plugin");
    }
    if cron.is_none()
        && let Some(zone) = &zone
    {
        errors
            .at(zone.span(), format!("`tz` in {what} has no `cron`"))
            .help("an interval is the same in every time zone; remove `tz`, or use `cron`");
    }
    let starts_at = moment(table, "starts_at", what, errors);
    let ends_at = moment(table, "ends_at", what, errors);
    if let (Some(starts_at), Some(ends_at)) = (&starts_at, &ends_at)
        && ends_at.get_ref() <= starts_at.get_ref()
    {
        errors.at(
            ends_at.span(),
            format!("`ends_at` in {what} is not after `starts_at`"),
        );
    }
    let jitter = table
        .number("jitter", errors)
        .map(Duration::from_millis)
        .unwrap_or_default();
    if let Some(every) = every
        && jitter > every
        && let Some(at) = table.span("jitter")
    {
        errors
            .at(at, format!("`jitter` in {what} is longer than `every`"))
            .help("a moment has to start before the next one is due");
    }
    let overlap = table
        .choice("overlap", errors)
        .and_then(|index| Overlap::ALL.get(index).copied())
        .unwrap_or_default();
    let most = table
        .number("catch_up_max", errors)
        .unwrap_or(DEFAULT_CATCH_UP_MAX);
    let catch_up = match table.choice("catch_up", errors) {
        Some(1) => CatchUp::All(usize::try_from(most).unwrap_or(usize::MAX)),
        Some(2) => CatchUp::None,
        _ => CatchUp::One,
    };
    let (rhythm, written) = match (every, cron) {
        (_, Some(cron)) => {
            let (rhythm, written) = expression(&cron, zone.as_ref(), what, errors)?;
            (rhythm, Some(written))
        }
        (Some(every), None) => (Rhythm::Every(every), None),
        (None, None) => return None,
    };
    Some(ScheduleConfig {
        timetable: Timetable {
            rhythm,
            starts_at: starts_at.map(Spanned::into_inner),
            ends_at: ends_at.map(Spanned::into_inner),
        },
        cron: written,
        jitter,
        overlap,
        catch_up,
    })
}

/// Reads the maintenance windows of the host.
pub(super) fn maintenance(table: &Reader<'_, '_>, errors: &mut Errors) -> Vec<Maintenance> {
    let what = "a maintenance window";
    let mut windows = Vec::new();
    for window in table.tables("maintenance", what, errors) {
        let cron = window.text("cron", errors);
        let zone = window.text("tz", errors);
        let lasts = window.number("lasts", errors).map(Duration::from_millis);
        let rhythm = cron.and_then(|cron| expression(&cron, zone.as_ref(), what, errors));
        if let (Some((rhythm, _)), Some(lasts)) = (rhythm, lasts) {
            windows.push(Maintenance {
                begins: Timetable {
                    rhythm,
                    starts_at: None,
                    ends_at: None,
                },
                lasts,
            });
        }
    }
    windows
}

fn moment(
    table: &Reader<'_, '_>,
    name: &str,
    what: &str,
    errors: &mut Errors,
) -> Option<Spanned<Timestamp>> {
    let text = table.text(name, errors)?;
    match Timestamp::from_str(text.get_ref()) {
        Ok(moment) => Some(Spanned::new(text.span(), moment)),
        Err(_) => {
            errors
                .at(text.span(), format!("`{name}` in {what} is no moment"))
                .help("write it as in RFC 3339, for instance `\"2027-01-31T12:00:00Z\"`");
            None
        }
    }
}

fn expression(
    cron: &Spanned<String>,
    zone: Option<&Spanned<String>>,
    what: &str,
    errors: &mut Errors,
) -> Option<(Rhythm, (String, String))> {
    let parser = CronParser::builder().year(Year::Disallowed).build();
    let parsed: Option<Cron> = match parser.parse(cron.get_ref()) {
        Ok(parsed) => Some(parsed),
        Err(error) => {
            errors
                .at(
                    cron.span(),
                    format!(
                        "`cron` in {what} is no cron expression: {}",
                        error.to_string().trim_end_matches('.')
                    ),
                )
                .help("write minute, hour, day of the month, month and day of the week, with seconds before them where they matter: `\"*/15 * * * *\"`, `\"0 3 * * MON\"`");
            None
        }
    };
    let name = zone.map_or("UTC", |zone| zone.get_ref());
    let time_zone = match TimeZone::get(name) {
        Ok(time_zone) => Some(time_zone),
        Err(_) => {
            if let Some(zone) = zone {
                errors
                    .at(
                        zone.span(),
                        format!("there is no time zone {}", literal(zone.get_ref())),
                    )
                    .help("write a name of the IANA time zone database, for instance `\"Europe/Paris\"`");
            }
            None
        }
    };
    let rhythm = Rhythm::Cron(Box::new(parsed?), time_zone?);
    let now = Timestamp::now();
    let never = Timetable {
        rhythm: rhythm.clone(),
        starts_at: None,
        ends_at: None,
    }
    .next(None, now)
    .is_none();
    if never {
        errors
            .at(
                cron.span(),
                format!("`cron` in {what} names a date that never comes"),
            )
            .help("compare the day of the month with the month");
    }
    Some((rhythm, (cron.get_ref().clone(), name.to_owned())))
}
