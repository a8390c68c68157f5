//! `[alerts]` to [`AlertsConfig`]: which of the host's own rules are on, and with which numbers.

use std::collections::BTreeMap;
use std::time::Duration;

use super::error::{Errors, literal};
use super::keys;
use super::reader::Reader;
use crate::alerts::rules::{RULES, Rule, rule};
use crate::words::nearest;

/// Default of [`AlertsConfig::every`]: what Prometheus uses, too.
pub const DEFAULT_ALERTS_EVERY: Duration = Duration::from_secs(15);

/// The host's own alerts. Source: `[alerts]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlertsConfig {
    /// How often the rules are looked at: 1 s to 5 min, default [`DEFAULT_ALERTS_EVERY`]. Source: `every`.
    pub every: Duration,
    /// The rules that are on, by name. Source: all of them without those of `disabled`, with the numbers of `[alerts.rules.NAME]`.
    pub rules: BTreeMap<&'static str, AlertSetting>,
}

/// The numbers of one rule. Source: `[alerts.rules.NAME]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlertSetting {
    /// It holds above this, in the rule's unit: 0 to 1,000,000,000. Source: `above`.
    pub above: u64,
    /// It holds only with so many of what it counts: 0 to 1,000,000. Source: `least`.
    pub least: u64,
    /// Looks back so far: 1 s to 1 h; zero of a rule that looks at what is now. Source: `window`.
    pub window: Duration,
    /// Has to hold so long before it fires, and not to hold so long before it is over: 0 to 1 h. Source: `for`.
    pub lasts: Duration,
}

impl AlertSetting {
    fn of(rule: &Rule) -> Self {
        Self {
            above: rule.above,
            least: rule.least,
            window: Duration::from_millis(rule.window_ms),
            lasts: Duration::from_millis(rule.lasts_ms),
        }
    }
}

impl Default for AlertsConfig {
    fn default() -> Self {
        Self {
            every: DEFAULT_ALERTS_EVERY,
            rules: RULES
                .iter()
                .map(|rule| (rule.name, AlertSetting::of(rule)))
                .collect(),
        }
    }
}

/// Reads `[alerts]`.
pub(super) fn read(root: &Reader<'_, '_>, errors: &mut Errors) -> AlertsConfig {
    let mut alerts = AlertsConfig::default();
    let Some(table) = root.table("alerts", "`[alerts]`".to_owned(), errors) else {
        return alerts;
    };
    if let Some(ms) = table.number("every", errors) {
        alerts.every = Duration::from_millis(ms);
    }
    for (key, value) in table.entries("rules", errors) {
        let name = *key.get_ref();
        let what = format!("rule {}", literal(name));
        let Some(known) = rule(name) else {
            unknown(name, key.span(), errors);
            continue;
        };
        let Some(table) = Reader::open(value, &keys::ALERT_RULE, what.clone(), key.span(), errors)
        else {
            continue;
        };
        let mut setting = AlertSetting::of(known);
        for (name, field) in [("above", &mut setting.above), ("least", &mut setting.least)] {
            if let Some(number) = table.number(name, errors) {
                *field = number;
            }
        }
        if let Some(ms) = table.number("for", errors) {
            setting.lasts = Duration::from_millis(ms);
        }
        if let Some(ms) = table.number("window", errors) {
            setting.window = Duration::from_millis(ms);
        }
        if let Some(span) = table.span("window").filter(|_| known.window_ms == 0) {
            errors
                .at(
                    span,
                    format!("{what} looks at what is now and has no window"),
                )
                .help("drop `window`; `for` says how long it has to hold");
        }
        alerts.rules.insert(known.name, setting);
    }
    for name in table.texts("disabled", errors).unwrap_or_default() {
        match rule(name.get_ref()) {
            Some(known) => {
                alerts.rules.remove(known.name);
            }
            None => unknown(name.get_ref(), name.span(), errors),
        }
    }
    alerts
}

fn unknown(name: &str, span: std::ops::Range<usize>, errors: &mut Errors) {
    let names = RULES.iter().map(|rule| rule.name);
    let help = match nearest(name, names.clone()) {
        Some(nearest) => format!("did you mean `{nearest}`?"),
        None => format!("the rules are `{}`", names.collect::<Vec<_>>().join("`, `")),
    };
    errors
        .at(span, format!("there is no rule {}", literal(name)))
        .help(help);
}
