//! Alerts and silences: a rule fires once at a time, and what is over stays for a while.

use super::{Result, at, keep, open};
use infinity::alerts::rules::{Severity, Unit};
use infinity::alerts::{Alert, AlertState, Silence};
use infinity::model::{Event, Principal, now};
use infinity::store::{
    AlertFilter, AlertsAsked, PageRequest, Retention, SqliteStore, Store, StoreError,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use tempfile::TempDir;
use uuid::Uuid;

fn alert(rule: &str, fired_at: Timestamp) -> Alert {
    Alert {
        id: Uuid::now_v7(),
        rule: rule.into(),
        severity: Severity::Warning,
        state: AlertState::Firing,
        summary: "The disk fills up".into(),
        detail: "81 % is in use".into(),
        help: "Remove something.".into(),
        value: 81.0,
        above: 70,
        unit: Unit::Percent,
        since: fired_at,
        fired_at: Some(fired_at),
        resolved_at: None,
        told: true,
    }
}

fn event() -> Event {
    Event::new("/alerts/x".into(), "alert.fired", "x".into(), json!({}))
}

async fn asked(
    store: &SqliteStore,
    state: Option<AlertsAsked>,
) -> std::result::Result<Vec<Alert>, StoreError> {
    let filter = AlertFilter { state, now: now() };
    let page = PageRequest {
        limit: 500,
        ..PageRequest::default()
    };
    Ok(store.alerts(filter, page).await?.items)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_has_one_firing_alert_and_its_silence_says_which_list_it_is_in() -> Result {
    let directory = TempDir::new()?;
    let store = open(directory.path()).await?;
    let first = alert("disk_high", at(0));
    store.put_alert(first.clone(), event()).await?;
    store
        .put_alert(alert("memory_high", at(1)), event())
        .await?;
    // Its end could not be recorded, and it fires anew.
    let second = alert("disk_high", at(2));
    store.put_alert(second.clone(), event()).await?;
    let past = asked(&store, Some(AlertsAsked::Past)).await?;
    assert_eq!((past.len(), past[0].id), (1, first.id));
    assert_eq!(past[0].state, AlertState::Resolved);
    assert!(past[0].resolved_at.is_some());
    let silence = Silence {
        rule: "disk_high".into(),
        until: now() + SignedDuration::from_hours(1),
        reason: "moving".into(),
        by: Principal::local(),
        created_at: now(),
    };
    store
        .put_silence(silence.clone(), silence.announced())
        .await?;
    assert_eq!(store.silences(now()).await?, std::slice::from_ref(&silence));
    assert_eq!(store.silences(silence.until).await?, []);
    let firing = asked(&store, Some(AlertsAsked::Firing)).await?;
    assert_eq!((firing.len(), firing[0].rule.as_str()), (1, "memory_high"));
    let silenced = asked(&store, Some(AlertsAsked::Silenced)).await?;
    assert_eq!((silenced.len(), silenced[0].id), (1, second.id));
    assert_eq!(asked(&store, Some(AlertsAsked::Live)).await?.len(), 2);
    assert_eq!(asked(&store, None).await?.len(), 3);
    let ended = || Silence::ended("disk_high", &Principal::local());
    assert!(store.end_silence("disk_high", now(), ended()).await?);
    assert!(!store.end_silence("disk_high", now(), ended()).await?);
    // What changed was announced with it, and nothing else was.
    let feed = store.events(&[], None, 50).await?.items;
    let kinds: Vec<&str> = feed.iter().map(|event| event.kind.as_str()).collect();
    assert_eq!(
        kinds,
        [
            "alert.fired",
            "alert.fired",
            "alert.fired",
            "alert.silenced",
            "alert.unsilenced"
        ]
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn alerts_that_are_over_go_after_their_time_and_those_that_fire_stay() -> Result {
    let directory = TempDir::new()?;
    let store = open(directory.path()).await?;
    for second in 0..3 {
        let mut over = alert("disk_high", at(second));
        over.state = AlertState::Resolved;
        store.put_alert(over, event()).await?;
    }
    store.put_alert(alert("disk_high", at(0)), event()).await?;
    let new = Retention {
        alerts_since: at(2),
        ..keep(at(0), at(0))
    };
    assert_eq!(store.prune(new).await?.alerts, 2);
    assert_eq!(asked(&store, None).await?.len(), 2);
    assert_eq!(asked(&store, Some(AlertsAsked::Live)).await?.len(), 1);
    Ok(())
}
