//! Who reads the feed of events in the host itself: alerts, a batch that counts, and the stream of the log. Each has a durable place of its own, so none waits for another.

use crate::metrics::Metrics;
use crate::model::Event;
use crate::store::{EventCount, Store, StoreError};
use crate::topics;
use jiff::{Timestamp, Unit};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::broadcast;

/// Events of one read.
const PART: u32 = 200;

/// Events of one batch of counts at most.
const BATCH_MAX: usize = 1_000;

/// How long a batch is gathered: a row in the table costs as much for one event as for a thousand.
const BATCH_EVERY: Duration = Duration::from_secs(10);

/// How often the feed is looked at without a reason.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Where alerts go on.
pub const ALERTS_FLAG: &str = "observer/error-alerting";
/// Where the counting goes on.
pub const COUNTS_FLAG: &str = "observer/analytics";

/// Says that there may be new events, to each who listens.
pub type News = broadcast::Receiver<()>;

/// Waits for news, at most for a while. Who missed some looks anyway.
pub(crate) async fn wait(news: &mut News, longest: Duration) {
    let _ = tokio::time::timeout(longest, news.recv()).await;
}

pub(crate) async fn place(store: &dyn Store, flag: &str) -> Result<String, StoreError> {
    if let Some(place) = store.flags().await?.remove(flag) {
        return Ok(place);
    }
    let end = store.events_end().await?;
    store.set_flag(flag, Some(&end)).await?;
    Ok(end)
}

/// Logs and counts what a person should look at now, as it happens. Ends never.
pub async fn alert(store: Arc<dyn Store>, metrics: Arc<Metrics>, mut news: News) {
    let kinds: Vec<String> = topics::types_of("error.critical");
    loop {
        let told = async {
            let mut after = place(store.as_ref(), ALERTS_FLAG).await?;
            loop {
                let page = store.events(&kinds, Some(&after), PART).await?;
                if page.items.is_empty() {
                    return Ok::<_, StoreError>(());
                }
                for event in &page.items {
                    metrics.alert();
                    tracing::error!(target: "infinity::alert", id = %event.id, event.type = %event.kind,
                        "{}: {} {}", event.kind, event.subject.as_deref().unwrap_or(&event.source), event.data);
                }
                after = page.next.unwrap_or(after);
                store.set_flag(ALERTS_FLAG, Some(&after)).await?;
            }
        };
        if let Err(error) = told.await {
            tracing::warn!("the feed of events cannot be read for alerts: {error}");
        }
        wait(&mut news, LOOK_AGAIN).await;
    }
}

/// Counts events by type and hour, a batch at a time. Ends never.
pub async fn count(store: Arc<dyn Store>) {
    loop {
        tokio::time::sleep(BATCH_EVERY).await;
        if let Err(error) = count_all(store.as_ref()).await {
            tracing::warn!("events cannot be counted: {error}");
        }
    }
}

async fn count_all(store: &dyn Store) -> Result<(), StoreError> {
    // Everything there is, if it never counted.
    let mut after = store.flags().await?.remove(COUNTS_FLAG);
    loop {
        let mut batch: Vec<Event> = Vec::new();
        let mut more = true;
        while more && batch.len() < BATCH_MAX {
            let page = store.events(&[], after.as_deref(), PART).await?;
            more = page.items.len() == PART as usize;
            after = page.next.or(after);
            batch.extend(page.items);
        }
        let Some(place) = after.as_deref().filter(|_| !batch.is_empty()) else {
            return Ok(());
        };
        store
            .count_events(counts(&batch), COUNTS_FLAG, place)
            .await?;
        if !more {
            return Ok(());
        }
    }
}

/// How many of each type in each hour.
fn counts(events: &[Event]) -> Vec<EventCount> {
    let mut counts: BTreeMap<(Timestamp, &str), u64> = BTreeMap::new();
    for event in events {
        let rounding = jiff::TimestampRound::new()
            .smallest(Unit::Hour)
            .mode(jiff::RoundMode::Trunc);
        let hour = event.time.round(rounding).unwrap_or(event.time);
        *counts.entry((hour, &event.kind)).or_default() += 1;
    }
    counts
        .into_iter()
        .map(|((hour, kind), count)| EventCount {
            hour,
            kind: kind.to_owned(),
            count,
        })
        .collect()
}

/// Writes each event to the host's log, for whoever collects that. Begins with what happens next, and ends never.
pub async fn stream(store: Arc<dyn Store>, mut news: News) {
    let mut after = None;
    loop {
        let read = async {
            let place = match after.take() {
                Some(place) => place,
                None => store.events_end().await?,
            };
            let page = store.events(&[], Some(&place), PART).await?;
            for event in &page.items {
                tracing::debug!(target: "infinity::events", id = %event.id, event.type = %event.kind, source = %event.source, "{} {}", event.kind, event.data);
            }
            let full = page.items.len() == PART as usize;
            Ok::<_, StoreError>((page.next.unwrap_or(place), full))
        };
        match read.await {
            Ok((place, full)) => {
                after = Some(place);
                if full {
                    continue;
                }
            }
            Err(error) => tracing::warn!("the feed of events cannot be read for the log: {error}"),
        }
        wait(&mut news, LOOK_AGAIN).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    #[test]
    fn events_are_counted_by_type_and_hour() {
        let event = |kind: &str, time: &str| Event {
            time: time.parse().unwrap(),
            ..Event::new("/x".into(), kind, String::new(), Value::Null)
        };
        let counted = counts(&[
            event("a", "2026-01-01T10:00:00Z"),
            event("a", "2026-01-01T10:59:59.9Z"),
            event("b", "2026-01-01T10:30:00Z"),
            event("a", "2026-01-01T11:00:00Z"),
        ]);
        let told: Vec<_> = counted
            .iter()
            .map(|count| (count.hour.to_string(), count.kind.as_str(), count.count))
            .collect();
        assert_eq!(
            told,
            [
                ("2026-01-01T10:00:00Z".to_owned(), "a", 2),
                ("2026-01-01T10:00:00Z".to_owned(), "b", 1),
                ("2026-01-01T11:00:00Z".to_owned(), "a", 1),
            ]
        );
    }
}
