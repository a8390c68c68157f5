//! Turns what the host counts and knows of itself into alerts: rules that hold for long enough fire, are told, and are over.
//!
//! Invariants: a rule has one firing alert at most, also over a restart; what fires is recorded before it is told, unless nothing can be recorded, which is told at once. A silence keeps an
//! alert from being told and never from being recorded. Everything that is kept in memory has a bound.
//!
//! It needs no Prometheus; the rules that Prometheus gets are made from the same table ([`documents`]). What there is to know of the host comes through [`Source`].

pub mod documents;
pub mod machine;
mod phase;
pub mod rules;
mod window;

use self::machine::Share;
use self::phase::{Phase, Turn};
use self::rules::{Measure, RULES, Rule, Severity, Unit};
use self::window::{Happened, Window};
use crate::audit;
use crate::config::{AlertSetting, AlertsConfig};
use crate::metrics::{self, Metrics, Totals};
use crate::model::{Event, Principal, now};
use crate::observers::{self, News};
use crate::store::{AlertFilter, AlertsAsked, PAGE_MAX, PageRequest, Store, StoreError};
use arc_swap::ArcSwap;
use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use utoipa::ToSchema;
use uuid::Uuid;

/// Where the events of rules go on in the feed. The place lies one window back, so that a host that starts again counts what its windows had.
pub const FLAG: &str = "observer/alert-rules";

/// Events of one read.
const PART: u32 = 200;

/// How often something is written at least: a store that cannot is found out even where nothing happens.
const WRITE_EVERY: Duration = Duration::from_secs(60);

/// Free bytes of the state folder's disk below which data is at risk: the write-ahead log alone may grow by a quarter of it.
pub const FREE_MIN: u64 = 256 << 20;

/// How soon events that count are looked at after the ones before.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Characters of what an alert says of itself.
const DETAIL_MAX: usize = 500;

/// The longest reason of a silence, in characters.
pub const REASON_MAX: usize = 500;

/// The longest silence: who needs a longer one changes the rule.
pub const SILENCE_MAX: SignedDuration = SignedDuration::from_hours(30 * 24);

/// Where an alert is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AlertState {
    /// Its rule holds, and not for long enough yet.
    Pending,
    /// It fired.
    Firing,
    /// It is over.
    Resolved,
}

/// What a rule came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Alert {
    /// Its id.
    pub id: Uuid,
    /// The rule, for instance `error_rate`.
    pub rule: String,
    /// How bad it is.
    pub severity: Severity,
    /// Where it is.
    pub state: AlertState,
    /// One line for people.
    pub summary: String,
    /// What was seen.
    pub detail: String,
    /// What to do.
    pub help: String,
    /// What the rule measured when it fired, or just now while it is pending.
    pub value: f64,
    /// Above what it holds.
    pub above: u64,
    /// What both are in.
    pub unit: Unit,
    /// Since when the rule holds.
    #[schema(value_type = String, format = DateTime)]
    pub since: Timestamp,
    /// When it fired.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub fired_at: Option<Timestamp>,
    /// When it was over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub resolved_at: Option<Timestamp>,
    /// Whether people were told: not while it is silenced.
    pub told: bool,
}

/// Keeps the alerts of a rule from being told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Silence {
    /// The rule.
    pub rule: String,
    /// Until when.
    #[schema(value_type = String, format = DateTime)]
    pub until: Timestamp,
    /// Why.
    pub reason: String,
    /// Who wants it.
    pub by: Principal,
    /// Since when.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
}

impl Silence {
    /// What is announced of it.
    #[must_use]
    pub fn announced(&self) -> Event {
        event(
            "alert.silenced",
            &self.rule,
            json!({ "rule": self.rule, "until": self.until, "reason": self.reason, "by": self.by, "level": "note" }),
        )
    }

    /// What is announced of its end before its time.
    #[must_use]
    pub fn ended(rule: &str, by: &Principal) -> Event {
        event(
            "alert.unsilenced",
            rule,
            json!({ "rule": rule, "by": by, "level": "note" }),
        )
    }
}

fn event(kind: &str, rule: &str, data: Value) -> Event {
    Event::new(format!("/alerts/{rule}"), kind, rule.to_owned(), data)
}

impl Alert {
    /// What is announced of it. A channel is told of nothing that says `silenced`.
    fn announced(&self, silenced: bool) -> Event {
        let kind = match self.state {
            AlertState::Resolved => "alert.resolved",
            _ => "alert.fired",
        };
        event(
            kind,
            &self.rule,
            json!({
                "alert": self.id, "rule": self.rule, "severity": self.severity, "level": self.severity.level(),
                "title": self.summary, "message": self.detail, "help": self.help,
                "value": self.value, "above": self.above, "unit": self.unit, "silenced": silenced,
            }),
        )
    }
}

/// What is known of the host at a moment, beside what is counted.
#[derive(Clone, Debug, Default)]
pub struct Levels {
    /// Parts of the host that do not work, each with why.
    pub broken: Vec<String>,
    /// Agents in quarantine.
    pub quarantined: Vec<String>,
    /// Why what is recorded now may be lost.
    pub risks: Vec<String>,
    /// Secrets that somebody should have replaced.
    pub overdue: Vec<String>,
    /// Memory.
    pub memory: Option<Share>,
    /// The disk of the state folder.
    pub disk: Option<Share>,
    /// US dollars that models cost today, and may; none without a budget.
    pub spent: Option<(f64, f64)>,
    /// What has a bound, with how full it is, 0 to 1.
    pub quotas: Vec<(&'static str, f64)>,
}

/// What the rules need to know of the host.
#[async_trait]
pub trait Source: Send + Sync {
    /// Looks at everything.
    async fn levels(&self) -> Levels;

    /// Tells people of an event that could not be recorded.
    async fn tell(&self, event: &Event);
}

/// What a rule measured.
#[derive(Clone, Debug, PartialEq)]
struct Reading {
    value: f64,
    detail: String,
}

/// A firing alert, and what is still to be done with it.
#[derive(Clone, Debug)]
struct Live {
    alert: Alert,
    /// Whether the store has it as it is.
    recorded: bool,
    /// Whether people were told although the store does not have it.
    told_unrecorded: bool,
}

/// What is known of all rules.
#[derive(Debug)]
struct State {
    window: Window,
    phases: BTreeMap<&'static str, Phase>,
    since: BTreeMap<&'static str, Timestamp>,
    events: BTreeMap<&'static str, Happened>,
    /// Alerts that fire, or are over and not recorded as such, by rule.
    live: BTreeMap<String, Live>,
    pending: BTreeMap<&'static str, Alert>,
}

/// The host's own alerts.
#[derive(Debug)]
pub struct Alerts {
    config: ArcSwap<AlertsConfig>,
    metrics: Arc<Metrics>,
    began: Instant,
    started_at: Timestamp,
    state: Mutex<State>,
    /// Why the last write failed, if it did.
    unwritten: Mutex<Option<String>>,
}

impl Alerts {
    /// Nothing fires yet.
    #[must_use]
    pub fn new(config: AlertsConfig, metrics: Arc<Metrics>) -> Self {
        let longest = config.rules.values().map(|setting| setting.window).max();
        for rule in RULES.iter().filter(|rule| !rule.events().is_empty()) {
            metrics.rule_events(rule.name, 0);
        }
        Self {
            config: ArcSwap::from_pointee(config),
            metrics,
            began: Instant::now(),
            started_at: now(),
            state: Mutex::new(State {
                window: Window::new(longest.unwrap_or_default()),
                phases: BTreeMap::new(),
                since: BTreeMap::new(),
                events: BTreeMap::new(),
                live: BTreeMap::new(),
                pending: BTreeMap::new(),
            }),
            unwritten: Mutex::default(),
        }
    }

    /// Takes other numbers. What fires by a rule that is off now is over.
    pub fn adopt(&self, config: &AlertsConfig) {
        if **self.config.load() == *config {
            return;
        }
        self.config.store(Arc::new(config.clone()));
        let mut state = self.state();
        let longest = config.rules.values().map(|setting| setting.window).max();
        state.window.look_back(longest.unwrap_or_default());
        for rule in RULES {
            if config.rules.contains_key(rule.name) {
                continue;
            }
            state.phases.remove(rule.name);
            state.since.remove(rule.name);
            state.pending.remove(rule.name);
            state.events.remove(rule.name);
            if let Some(live) = state.live.get_mut(rule.name)
                && live.alert.state == AlertState::Firing
            {
                live.alert.state = AlertState::Resolved;
                live.alert.resolved_at = Some(now());
                live.recorded = false;
            }
        }
    }

    fn every(&self) -> Duration {
        self.config.load().every
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        // Each map is whole after every statement.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn unwritten(&self) -> std::sync::MutexGuard<'_, Option<String>> {
        self.unwritten
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Alerts whose rules hold, and not for long enough yet.
    #[must_use]
    pub fn pending(&self) -> Vec<Alert> {
        self.state().pending.values().cloned().collect()
    }

    /// Whether each rule fires.
    #[must_use]
    pub fn firing(&self) -> Vec<(&'static Rule, bool)> {
        let state = self.state();
        RULES
            .iter()
            .map(|rule| {
                let fires = state
                    .live
                    .get(rule.name)
                    .is_some_and(|live| live.alert.state == AlertState::Firing);
                (rule, fires)
            })
            .collect()
    }

    /// Evaluates the rules every now and then. Ends never.
    pub async fn run(&self, source: &dyn Source, store: &dyn Store, mut news: News) {
        while let Err(error) = self.take_up(store).await {
            tracing::warn!("alerts cannot be read: {error}");
            tokio::time::sleep(self.every()).await;
        }
        let mut feed = Feed::default();
        loop {
            if let Err(error) = self.follow(store, &mut feed).await {
                tracing::warn!("the feed of events cannot be read for the rules: {error}");
            }
            let written = self.probe(store, &mut feed).await;
            *self.unwritten() = written.err().map(|error| error.to_string());
            let mut levels = source.levels().await;
            let unwritten = self.unwritten().clone();
            levels
                .risks
                .extend(unwritten.map(|why| format!("the store does not write: {why}")));
            self.evaluate(&levels, self.began.elapsed(), now());
            self.record(source, store).await;
            // Events that count are counted soon, and everything else at its time.
            let next = Instant::now() + self.every();
            loop {
                observers::wait(&mut news, next.saturating_duration_since(Instant::now())).await;
                // News come as often as somebody publishes.
                let left = next.saturating_duration_since(Instant::now());
                tokio::time::sleep(left.min(LOOK_AGAIN)).await;
                let counts = self.follow(store, &mut feed).await.unwrap_or(false);
                if counts || Instant::now() >= next {
                    break;
                }
            }
        }
    }

    /// Goes on with what fired in the process before: it neither fires again nor is forgotten.
    async fn take_up(&self, store: &dyn Store) -> Result<(), StoreError> {
        let asked = AlertFilter {
            state: Some(AlertsAsked::Live),
            now: now(),
        };
        let page = PageRequest {
            limit: PAGE_MAX,
            cursor: None,
        };
        let found = store.alerts(asked, page).await?.items;
        let config = self.config.load();
        let mut state = self.state();
        for mut alert in found {
            let known = RULES
                .iter()
                .find(|rule| rule.name == alert.rule && config.rules.contains_key(rule.name));
            let mut recorded = true;
            if let Some(rule) = known {
                state
                    .phases
                    .insert(rule.name, Phase::Firing { quiet_since: None });
            } else {
                // Its rule was switched off, and nothing will end it.
                alert.state = AlertState::Resolved;
                alert.resolved_at = Some(now());
                recorded = false;
            }
            state.live.insert(
                alert.rule.clone(),
                Live {
                    alert,
                    recorded,
                    told_unrecorded: false,
                },
            );
        }
        Ok(())
    }

    /// Reads the events that count, and says whether there were any.
    async fn follow(&self, store: &dyn Store, feed: &mut Feed) -> Result<bool, StoreError> {
        // What is read first was read before, by the process before this one.
        let again = feed.after.is_none();
        let mut after = match &feed.after {
            Some(after) => after.clone(),
            None => {
                let place = observers::place(store, FLAG).await?;
                feed.kept = Some(place.clone());
                place
            }
        };
        let mut counts = false;
        loop {
            let page = store.events(&feed.kinds, Some(&after), PART).await?;
            for event in &page.items {
                counts |= self.take(event, again);
            }
            if let Some(next) = page.next {
                after = next;
            }
            if page.items.len() < PART as usize {
                feed.after = Some(after);
                return Ok(counts);
            }
        }
    }

    /// Takes an event, and says whether it counts for a rule. What was there `again` was counted by the process before, unless it came after that.
    fn take(&self, event: &Event, again: bool) -> bool {
        let own = audit::is_own(event);
        let new = !again || own && event.time >= self.started_at;
        // What others publish has a time of their choosing.
        let at = match own || again {
            true => event.time.min(now()),
            false => now(),
        };
        if new {
            self.metrics.event(event);
        }
        let mut counts = false;
        let config = self.config.load();
        for rule in RULES {
            if !counted(rule, event) || !config.rules.contains_key(rule.name) {
                continue;
            }
            counts = true;
            if new {
                self.metrics.rule_events(rule.name, 1);
            }
            let about = event.subject.as_deref().unwrap_or(&event.source);
            let what = ["message", "reason", "title"]
                .iter()
                .find_map(|name| event.data[*name].as_str())
                .map_or_else(String::new, |text| format!(": {text}"));
            self.state()
                .events
                .entry(rule.name)
                .or_default()
                .add(at, format!("{} ({about}){what}", event.kind));
        }
        counts
    }

    /// Writes where the feed is read again by the next process, a window back; at least every minute, so that it is known whether the store writes.
    async fn probe(&self, store: &dyn Store, feed: &mut Feed) -> Result<(), StoreError> {
        let up = self.began.elapsed();
        let window = self
            .config
            .load()
            .rules
            .iter()
            .filter(|(name, _)| rules::rule(name).is_some_and(|rule| !rule.events().is_empty()))
            .map(|(_, setting)| setting.window)
            .max()
            .unwrap_or_default();
        if let Some(after) = &feed.after
            && feed.marks.last().is_none_or(|(_, mark)| mark != after)
        {
            feed.marks.push((up, after.clone()));
        }
        // The newest that is old enough, and what is younger.
        let old = feed
            .marks
            .iter()
            .rposition(|(at, _)| up.saturating_sub(*at) >= window);
        if let Some(old) = old {
            feed.marks.drain(..old);
        }
        if feed.marks.len() > MARKS_MAX {
            feed.marks.remove(1);
        }
        let due =
            feed.wrote.is_none_or(|wrote| up - wrote >= WRITE_EVERY) || self.unwritten().is_some();
        if old.is_some() {
            feed.kept = feed.marks.first().map(|(_, place)| place.clone());
        }
        let Some(place) = feed.kept.as_ref().filter(|_| due) else {
            return Ok(());
        };
        store.set_flag(FLAG, Some(place)).await?;
        feed.wrote = Some(up);
        Ok(())
    }

    /// Looks at every rule. `up` is how long the host is up.
    fn evaluate(&self, levels: &Levels, up: Duration, now: Timestamp) {
        let mut state = self.state();
        let state = &mut *state;
        // Under the lock: whoever takes other numbers has them seen whole.
        let config = self.config.load_full();
        state.window.push(up, self.metrics.totals());
        for rule in RULES {
            let Some(setting) = config.rules.get(rule.name) else {
                continue;
            };
            let happened = state.window.since(setting.window);
            let events = state
                .events
                .entry(rule.name)
                .or_default()
                .within(setting.window, now);
            let reading = measure(rule, setting, levels, &happened, events);
            // Where nothing was counted for a whole window nothing is wrong; before, a host that just began does not know.
            let holds = match &reading {
                Some(reading) => Some(exceeds(reading.value, setting.above)),
                None => (up >= setting.window).then_some(false),
            };
            let phase = state.phases.entry(rule.name).or_default();
            let turn = phase.step(holds, up, setting.lasts);
            let phase = *phase;
            let reading = reading.unwrap_or_else(|| Reading {
                value: 0.0,
                detail: "nothing of the kind happens any more".into(),
            });
            let since = *state.since.entry(rule.name).or_insert(now);
            if phase == Phase::Quiet {
                state.since.remove(rule.name);
            }
            let waiting = state.pending.remove(rule.name);
            let mut alert = made(rule, setting, since, reading);
            // It is the same alert from when its rule holds.
            alert.id = waiting.map_or(alert.id, |waiting| waiting.id);
            if let Phase::Pending { .. } = phase {
                state.pending.insert(rule.name, alert.clone());
            }
            match turn {
                Some(Turn::Fires) => {
                    alert.state = AlertState::Firing;
                    alert.fired_at = Some(now);
                    state.live.insert(
                        rule.name.to_owned(),
                        Live {
                            alert,
                            recorded: false,
                            told_unrecorded: false,
                        },
                    );
                }
                Some(Turn::Resolves) => {
                    if let Some(live) = state.live.get_mut(rule.name) {
                        live.alert.state = AlertState::Resolved;
                        live.alert.resolved_at = Some(now);
                        live.recorded = false;
                    }
                }
                None => {}
            }
        }
    }

    /// Writes what changed, and tells of it.
    async fn record(&self, source: &dyn Source, store: &dyn Store) {
        let silenced: BTreeSet<String> = match store.silences(now()).await {
            Ok(silences) => silences.into_iter().map(|silence| silence.rule).collect(),
            Err(error) => {
                tracing::warn!("silences cannot be read, so none counts: {error}");
                BTreeSet::new()
            }
        };
        let lives: Vec<Live> = self.state().live.values().cloned().collect();
        for mut live in lives {
            let quiet = silenced.contains(&live.alert.rule);
            let firing = live.alert.state == AlertState::Firing;
            // A silence that ended while the alert fires lets it be told; what nobody was told of ends without a word.
            if live.recorded && (!firing || live.alert.told || quiet) {
                continue;
            }
            let hidden = if firing { quiet } else { !live.alert.told };
            let event = live.alert.announced(hidden);
            live.alert.told |= firing && !quiet;
            say(&live.alert);
            let written = store.put_alert(live.alert.clone(), event.clone()).await;
            if let Err(error) = written {
                tracing::error!(target: "infinity::alert", "the alert `{}` cannot be recorded: {error}", live.alert.rule);
                *self.unwritten() = Some(error.to_string());
                // Told once, without a record: that nothing can be recorded is what people have to know most.
                if firing && !quiet && !live.told_unrecorded {
                    source.tell(&event).await;
                    if let Some(known) = self.state().live.get_mut(&live.alert.rule) {
                        known.told_unrecorded = true;
                    }
                }
                continue;
            }
            let mut state = self.state();
            if !firing {
                state.live.remove(&live.alert.rule);
            } else if let Some(known) = state.live.get_mut(&live.alert.rule) {
                known.alert.told = live.alert.told;
                known.recorded = true;
            }
        }
    }
}

/// Places of the feed that are remembered at most.
const MARKS_MAX: usize = 1_000;

/// Where the feed of events was read to.
#[derive(Debug)]
struct Feed {
    kinds: Vec<String>,
    after: Option<String>,
    /// Where the next process goes on.
    kept: Option<String>,
    /// Where it was at which moments of the last window.
    marks: Vec<(Duration, String)>,
    wrote: Option<Duration>,
}

impl Default for Feed {
    fn default() -> Self {
        let mut kinds: BTreeSet<&str> = metrics::COUNTED.iter().copied().collect();
        kinds.extend(RULES.iter().flat_map(|rule| rule.events()));
        Self {
            kinds: kinds.into_iter().map(str::to_owned).collect(),
            after: None,
            kept: None,
            marks: Vec::new(),
            wrote: None,
        }
    }
}

/// Whether an event counts for a rule. The kill switch is an alarm where the host itself threw it; a ban where the host says so.
fn counted(rule: &Rule, event: &Event) -> bool {
    rule.events().contains(&event.kind.as_str())
        && match event.kind.as_str() {
            "killswitch.engaged" => {
                event.data["by"]["kind"] == "host" && event.data["by"]["name"] == "trigger"
            }
            "security.ban" => audit::is_own(event),
            _ => true,
        }
}

fn say(alert: &Alert) {
    let Alert {
        rule,
        detail,
        severity,
        ..
    } = alert;
    match (alert.state, severity) {
        (AlertState::Resolved, _) => {
            tracing::info!(target: "infinity::alert", "`{rule}` is over");
        }
        (_, Severity::Critical) => {
            tracing::error!(target: "infinity::alert", "`{rule}` fires: {detail}");
        }
        (_, Severity::Warning) => {
            tracing::warn!(target: "infinity::alert", "`{rule}` fires: {detail}");
        }
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "thresholds are written by people"
)]
fn exceeds(value: f64, above: u64) -> bool {
    value > above as f64
}

fn made(rule: &Rule, setting: &AlertSetting, since: Timestamp, reading: Reading) -> Alert {
    Alert {
        id: Uuid::now_v7(),
        rule: rule.name.into(),
        severity: rule.severity,
        state: AlertState::Pending,
        summary: rule.summary.into(),
        detail: reading.detail.chars().take(DETAIL_MAX).collect(),
        help: rule.help.into(),
        // Enough for people, and the same in every format.
        value: (reading.value * 100.0).round() / 100.0,
        above: setting.above,
        unit: rule.unit,
        since,
        fired_at: None,
        resolved_at: None,
        told: false,
    }
}

/// What a rule measures now; none where too little was counted, or it cannot be known.
#[expect(
    clippy::cast_precision_loss,
    reason = "counts of what happened within an hour"
)]
fn measure(
    rule: &Rule,
    setting: &AlertSetting,
    levels: &Levels,
    happened: &Totals,
    events: (u64, Option<&str>),
) -> Option<Reading> {
    let span = spoken(setting.window);
    let listed = |what: &str, names: &[String]| Reading {
        value: names.len() as f64,
        detail: format!("{what}: {}", names.join(", ")),
    };
    let share = |what: &str, share: Share| Reading {
        value: share.percent(),
        detail: format!(
            "{:.0} % of {what} is in use ({} of {} MiB)",
            share.percent(),
            share.used >> 20,
            share.all >> 20
        ),
    };
    let slow = |what: &str, counts: &metrics::Counts, percent: u8| {
        let all: u64 = counts.iter().sum();
        let value = metrics::quantile(counts, f64::from(percent) / 100.0)?;
        (all >= setting.least.max(1)).then(|| Reading {
            value,
            detail: format!(
                "{percent} % of {all} {what} in the last {span} took up to {:.1} s",
                value / 1e3
            ),
        })
    };
    match rule.measure {
        Measure::Components => Some(listed("does not work", &levels.broken)),
        Measure::Quarantined => Some(listed("in quarantine", &levels.quarantined)),
        Measure::Risks => Some(listed("at risk", &levels.risks)),
        Measure::Overdue => Some(listed("overdue", &levels.overdue)),
        Measure::Errors => (happened.answered >= setting.least.max(1)).then(|| {
            let value = happened.errors as f64 * 100.0 / happened.answered as f64;
            Reading {
                value,
                detail: format!(
                    "{} of {} requests in the last {span} were answered with an error of the host ({value:.1} %)",
                    happened.errors, happened.answered
                ),
            }
        }),
        Measure::Answers(percent) => slow("requests", &happened.answers, percent),
        Measure::Runs(percent) => slow("runs", &happened.runs, percent),
        Measure::Syncs(percent) => slow("changes of repositories", &happened.syncs, percent),
        Measure::Events => {
            let (count, last) = events;
            Some(Reading {
                value: count as f64,
                detail: match last {
                    Some(last) => format!("{count} in the last {span}, at last {last}"),
                    None => format!("none in the last {span}"),
                },
            })
        }
        Measure::Memory => levels.memory.map(|memory| share("the memory", memory)),
        Measure::Disk => levels
            .disk
            .map(|disk| share("the disk of the state folder", disk)),
        Measure::Budget => {
            let Some((spent, budget)) = levels.spent else {
                return Some(Reading {
                    value: 0.0,
                    detail: "there is no budget".into(),
                });
            };
            Some(Reading {
                value: if budget > 0.0 { spent * 100.0 / budget } else { 0.0 },
                detail: format!("models cost {spent:.2} of {budget:.2} US dollars today"),
            })
        }
        Measure::Quota => levels
            .quotas
            .iter()
            .max_by(|(_, one), (_, other)| one.total_cmp(other))
            .map(|(name, share)| Reading {
                value: share * 100.0,
                detail: format!("{:.0} % of {name} is used", share * 100.0),
            }),
    }
}

/// A length of time as people say it.
fn spoken(window: Duration) -> String {
    match window.as_secs() {
        seconds if seconds > 0 && seconds.is_multiple_of(60) => match seconds / 60 {
            1 => "minute".into(),
            minutes => format!("{minutes} minutes"),
        },
        seconds => format!("{seconds} s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::now;

    /// Rules with their default numbers, over counts of their own.
    fn alerts() -> (Alerts, Arc<Metrics>) {
        let metrics = Arc::new(Metrics::default());
        let alerts = Alerts::new(AlertsConfig::default(), Arc::clone(&metrics));
        (alerts, metrics)
    }

    fn answer(metrics: &Metrics, status: u16, ms: u64, times: u32) {
        for _ in 0..times {
            let took = Duration::from_millis(ms);
            metrics.request(&http::Method::GET, "/v1/runs", status, took, false);
        }
    }

    fn fires(alerts: &Alerts, rule: &str) -> bool {
        alerts
            .firing()
            .iter()
            .any(|(known, fires)| known.name == rule && *fires)
    }

    /// Looks at the rules when the host is up for so many seconds, with nothing special to know.
    fn look(alerts: &Alerts, second: u64) {
        alerts.evaluate(&Levels::default(), Duration::from_secs(second), now());
    }

    #[test]
    fn one_failing_request_of_three_is_no_alarm_and_two_of_a_hundred_are() {
        let (alerts, metrics) = alerts();
        answer(&metrics, 500, 1, 1);
        answer(&metrics, 200, 1, 2);
        look(&alerts, 15);
        assert!(!fires(&alerts, "error_rate"));
        answer(&metrics, 200, 1, 96);
        answer(&metrics, 503, 1, 1);
        look(&alerts, 30);
        assert!(fires(&alerts, "error_rate"));
        // Five minutes later nothing of it is in the window.
        look(&alerts, 331);
        look(&alerts, 346);
        assert!(!fires(&alerts, "error_rate"));
    }

    #[test]
    fn slow_answers_warn_page_and_those_that_were_asked_to_wait_do_neither() {
        let (alerts, metrics) = alerts();
        for _ in 0..100 {
            let took = Duration::from_secs(60);
            metrics.request(&http::Method::POST, "/v1/checks", 200, took, true);
        }
        look(&alerts, 15);
        assert!(alerts.pending().is_empty() && !fires(&alerts, "latency_p99"));
        answer(&metrics, 200, 800, 100);
        look(&alerts, 30);
        // It has to hold for a minute.
        assert_eq!(alerts.pending()[0].rule, "control_plane_slow");
        look(&alerts, 90);
        assert!(fires(&alerts, "control_plane_slow") && !fires(&alerts, "latency_p99"));
        answer(&metrics, 200, 9_000, 10);
        look(&alerts, 105);
        assert!(fires(&alerts, "latency_p99"));
    }

    #[test]
    fn levels_hold_above_their_thresholds() {
        let (alerts, _) = alerts();
        let half = Share { used: 50, all: 100 };
        let mut levels = Levels {
            memory: Some(half),
            disk: Some(half),
            spent: Some((9.0, 10.0)),
            quotas: vec![("a", 0.5), ("b", 0.79)],
            ..Levels::default()
        };
        let look = |levels: &Levels, second| {
            alerts.evaluate(levels, Duration::from_secs(second), now());
            alerts
                .firing()
                .into_iter()
                .filter(|(_, fires)| *fires)
                .map(|(rule, _)| rule.name)
                .collect::<Vec<_>>()
        };
        assert_eq!(look(&levels, 15), Vec::<&str>::new());
        levels.quarantined = vec!["mirror".into()];
        levels.risks = vec!["the store does not write".into()];
        levels.overdue = vec!["TOKEN".into()];
        levels.memory = Some(Share { used: 81, all: 100 });
        levels.disk = Some(Share { used: 71, all: 100 });
        levels.spent = Some((11.0, 10.0));
        levels.quotas = vec![("a", 0.5), ("b", 0.81)];
        assert_eq!(
            look(&levels, 30),
            [
                "agent_quarantined",
                "data_loss_risk",
                "cost_over_budget",
                "quota_nearly_reached",
                "secret_overdue"
            ]
        );
        levels.broken = vec!["store".into()];
        look(&levels, 270);
        let after = look(&levels, 330);
        for rule in ["memory_high", "disk_high", "service_unavailable"] {
            assert!(after.contains(&rule), "{after:?}");
        }
    }

    #[test]
    fn an_alarm_is_what_the_host_threw_the_switch_for_and_not_a_person() {
        let (alerts, _) = alerts();
        let thrown = |kind: &str, name: &str| {
            event(
                "killswitch.engaged",
                "host",
                json!({ "reason": "r", "by": { "kind": kind, "name": name } }),
            )
        };
        assert!(!alerts.take(&thrown("user", "ada"), false));
        assert!(alerts.take(&thrown("host", "trigger"), false));
        look(&alerts, 15);
        assert!(fires(&alerts, "security_breach"));
        // A ban that somebody else speaks of is none.
        let told = Event::new("/ci".into(), "security.ban", "x".into(), json!({}));
        assert!(!alerts.take(&told, false));
    }

    #[test]
    fn what_fired_before_goes_on_until_it_is_known_to_be_over() {
        let (alerts, metrics) = alerts();
        answer(&metrics, 500, 1, 100);
        look(&alerts, 15);
        let before = alerts.state().live["error_rate"].alert.clone();
        // The process after it has counted nothing.
        let (alerts, metrics) = self::alerts();
        {
            let mut state = alerts.state();
            let firing = Phase::Firing { quiet_since: None };
            state.phases.insert("error_rate", firing);
            let live = Live {
                alert: before.clone(),
                recorded: true,
                told_unrecorded: false,
            };
            state.live.insert("error_rate".into(), live);
        }
        look(&alerts, 15);
        assert_eq!(alerts.state().live["error_rate"].alert, before);
        answer(&metrics, 200, 1, 100);
        look(&alerts, 30);
        let after = alerts.state().live["error_rate"].alert.clone();
        assert_eq!((after.id, after.state), (before.id, AlertState::Resolved));
    }

    #[test]
    fn a_person_reads_what_was_seen() {
        let (alerts, metrics) = alerts();
        answer(&metrics, 500, 1, 1);
        answer(&metrics, 200, 1, 49);
        look(&alerts, 15);
        let alert = alerts.state().live["error_rate"].alert.clone();
        assert_eq!(
            alert.detail,
            "1 of 50 requests in the last 5 minutes were answered with an error of the host (2.0 %)"
        );
        let told = alert.announced(false);
        assert_eq!(told.data["level"], "error");
        assert_eq!(told.source, "/alerts/error_rate");
    }
}
