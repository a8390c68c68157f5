//! What models cost: added up by day, and the kill switch is thrown at twice the day's budget.

use super::App;
use super::kill::host;
use crate::model::{Event, now};
use crate::observers::{self, News};
use crate::store::{Store as _, StoreError};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Who spends says so by an event of this type, whose `cost_usd` is a number.
const KIND: &str = "llm.usage";

/// Where the adding goes on, with what was added up until there: one value, so that nothing is added twice.
const FLAG: &str = "observer/spend";

/// At how many times the budget everything is stopped.
const TIMES: f64 = 2.0;

/// Events of one read.
const PART: u32 = 200;

/// The most that one event can add.
const COST_MAX: f64 = 1_000_000.0;

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Spend {
    /// The place in the feed.
    after: String,
    /// The day in UTC.
    day: String,
    /// US dollars.
    sum: f64,
    /// Whether the switch was thrown for this day already: who recovers from it has decided.
    told: bool,
}

impl Spend {
    /// Adds what an event says that was spent, and gives the sum if it is one too many.
    fn add(&mut self, event: &Event, budget: f64, at: Timestamp) -> Option<f64> {
        let cost = event.data["cost_usd"].as_f64()?;
        if cost <= 0.0 {
            return None;
        }
        let cost = cost.min(COST_MAX);
        // The host's own day: what an event says of its moment is its source's word.
        let day = day(at);
        if day != self.day {
            *self = Self {
                after: std::mem::take(&mut self.after),
                day,
                ..Self::default()
            };
        }
        self.sum += cost;
        if self.told || self.sum < budget * TIMES {
            return None;
        }
        self.told = true;
        Some(self.sum)
    }
}

fn day(at: Timestamp) -> String {
    at.to_zoned(TimeZone::UTC).date().to_string()
}

/// What models cost on the day of a moment, as far as it was added up; the flags are the store's.
pub(super) fn today(flags: &BTreeMap<String, String>, at: Timestamp) -> f64 {
    flags
        .get(FLAG)
        .and_then(|kept| serde_json::from_str::<Spend>(kept).ok())
        .filter(|spend| spend.day == day(at))
        .map_or(0.0, |spend| spend.sum)
}

impl App {
    /// Adds up what is spent, if there is a budget. Ends never.
    pub(super) async fn watch_spend(self: &Arc<Self>, mut news: News) {
        let Some(budget) = self.registry.load().config.host.daily_budget_usd else {
            return std::future::pending().await;
        };
        let budget = f64::from(budget);
        let kinds = [KIND.to_owned()];
        loop {
            let looked = async {
                let kept = self.store.flags().await?.remove(FLAG);
                let mut spend: Spend = kept
                    .as_ref()
                    .and_then(|kept| serde_json::from_str(kept).ok())
                    .unwrap_or_default();
                if spend.after.is_empty() {
                    spend.after = self.store.events_end().await?;
                }
                loop {
                    let page = self.store.events(&kinds, Some(&spend.after), PART).await?;
                    let over = page
                        .items
                        .iter()
                        .fold(None, |over, event| spend.add(event, budget, now()).or(over));
                    if let Some(sum) = over {
                        let reason = format!(
                            "models cost {sum:.2} US dollars today, of {budget:.2} that a day may cost"
                        );
                        self.throw(reason, None, host("trigger")).await?;
                    }
                    if let Some(next) = page.next {
                        spend.after = next;
                    }
                    let next = serde_json::to_string(&spend).unwrap_or_default();
                    if kept.as_ref() != Some(&next) {
                        self.store.set_flag(FLAG, Some(&next)).await?;
                    }
                    if page.items.is_empty() {
                        return Ok::<_, StoreError>(());
                    }
                }
            };
            if let Err(error) = looked.await {
                tracing::warn!("what models cost cannot be added up: {error}");
            }
            observers::wait(&mut news, Duration::from_secs(1)).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn usage(cost: Value) -> Event {
        let data = json!({ "provider": "p", "model": "m", "tokens": 10, "cost_usd": cost });
        Event::new("ci/llm".into(), KIND, "m".to_owned(), data)
    }

    #[test]
    fn twice_the_budget_of_a_day_is_told_once() {
        let mut spend = Spend::default();
        for (cost, over) in [
            (json!(9.5), false),
            (json!("50"), false),
            (json!(-100), false),
            (Value::Null, false),
            (json!(10), false),
            (json!(0.5), true),
            (json!(50), false),
        ] {
            assert_eq!(
                spend.add(&usage(cost.clone()), 10.0, now()).is_some(),
                over,
                "{cost}"
            );
        }
        assert!((spend.sum - 70.0).abs() < 1e-9);
        spend.add(&usage(json!(1e300)), 10.0, now());
        assert!(spend.sum <= COST_MAX + 70.0);
        // Another day begins with nothing, whatever the one before came to.
        spend.day = "2026-01-01".into();
        assert!(spend.add(&usage(json!(19)), 10.0, now()).is_none());
        assert!(spend.add(&usage(json!(1)), 10.0, now()).is_some());
    }
}
