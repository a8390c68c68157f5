//! Hands events to the agents that ask for them: each event to each such agent at least once, and recorded as one run however often it is handed over.
//!
//! The feed of events is read from a durable place that moves on only after all runs of a part are recorded. The runs of an agent are recorded in the order of the
//! events; who needs them carried out in that order sets `concurrency = 1`.

use crate::model::Event;
use crate::store::{Page, StoreError};
use crate::topics;
use async_trait::async_trait;
use futures::{StreamExt, stream};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::sync::Notify;

/// Runs that may lie between an event and the first of its line. More is a circle of agents that wake each other.
pub const HOPS_MAX: u32 = 8;

/// Events of one part.
const PART: u32 = 100;

/// Agents that are handed events at the same time.
const AGENTS_AT_ONCE: usize = 64;

/// How long to wait before a part is tried again, or the feed is looked at without a reason.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// An agent that asks for events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// The agent's name.
    pub agent: String,
    /// Types, patterns of types, topics.
    pub on: Vec<String>,
}

/// What delivery needs of the rest.
#[async_trait]
pub trait Post: Send + Sync {
    /// The agents in force that ask for events.
    fn subscriptions(&self) -> Vec<Subscription>;
    /// Where delivery goes on; the end of the feed if it never began.
    async fn place(&self) -> Result<String, StoreError>;
    /// Moves that place; `None` forgets it.
    async fn set_place(&self, cursor: Option<&str>) -> Result<(), StoreError>;
    /// Events after a place.
    async fn events(&self, after: &str, limit: u32) -> Result<Page<Event>, StoreError>;
    /// Records a run for an event. `false` when it has to be tried again; what can never work is the post's to log.
    async fn hand_over(&self, agent: &str, event: &Event) -> bool;
}

/// Delivers until it is dropped. `announced` says that there are new events.
pub async fn run(post: &dyn Post, announced: &Notify) {
    let mut idle = false;
    loop {
        if post.subscriptions().is_empty() {
            // Nobody who asks later wants what happened before; and nobody pays for moving a place that nobody reads from.
            if !idle {
                match post.set_place(None).await {
                    Ok(()) => idle = true,
                    Err(error) => {
                        tracing::error!("the place of delivery cannot be forgotten: {error}")
                    }
                }
            }
            tokio::time::sleep(LOOK_AGAIN).await;
            continue;
        }
        idle = false;
        match part(post).await {
            Ok(true) => {}
            Ok(false) => {
                tokio::select! {
                    () = announced.notified() => {}
                    () = tokio::time::sleep(LOOK_AGAIN) => {}
                }
            }
            Err(error) => {
                tracing::error!("events cannot be delivered: {error}");
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        }
    }
}

/// Delivers one part; whether to go on at once.
async fn part(post: &dyn Post) -> Result<bool, StoreError> {
    let place = post.place().await?;
    let page = post.events(&place, PART).await?;
    let (Some(next), false) = (page.next, page.items.is_empty()) else {
        return Ok(false);
    };
    let subscriptions = post.subscriptions();
    let mut agent_to_events: BTreeMap<&str, Vec<&Event>> = BTreeMap::new();
    for event in &page.items {
        if event.hops >= HOPS_MAX {
            tracing::warn!(event.id = %event.id, "the event {} is not delivered: {HOPS_MAX} runs lie between it and what began it", event.id);
            continue;
        }
        for subscription in &subscriptions {
            if subscription
                .on
                .iter()
                .any(|pattern| topics::matches(pattern, &event.kind))
            {
                agent_to_events
                    .entry(&subscription.agent)
                    .or_default()
                    .push(event);
            }
        }
    }
    let works: Vec<_> = agent_to_events
        .into_iter()
        .map(|(agent, events)| hand_over(post, agent, events))
        .collect();
    let handed: Vec<bool> = stream::iter(works)
        .buffer_unordered(AGENTS_AT_ONCE)
        .collect()
        .await;
    if handed.contains(&false) {
        tokio::time::sleep(LOOK_AGAIN).await;
        return Ok(true);
    }
    post.set_place(Some(&next)).await?;
    Ok(true)
}

/// Hands an agent its events in order; `false` when one has to be tried again.
async fn hand_over(post: &dyn Post, agent: &str, events: Vec<&Event>) -> bool {
    for event in events {
        if !post.hand_over(agent, event).await {
            return false;
        }
    }
    true
}
