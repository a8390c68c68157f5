//! Tells people: what agents propose to say, and the events that channels ask for.
//!
//! Each channel reads the feed of events from a durable place of its own, so one that is down holds up no other and misses nothing that the feed still has. What is told is told at least once: a
//! host that dies between the message and the record of it says it again. Messages with the same words are told once in ten minutes, and more of them than a channel takes become one.
//!
//! This module does not know of effects: an agent's message comes through [`Channels::tell`], which says what became of it.

mod mail;
mod message;
mod post;

pub use self::message::{Message, severity};

use crate::config::{ChannelConfig, Config, Service};
use crate::dev::Recorder;
use crate::model::{Event, Level, now};
use crate::observers::{self, News};
use crate::store::{Store, StoreError};
use crate::topics;
use arc_swap::ArcSwap;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Notify;
use tokio::sync::broadcast::Sender;
use tokio_util::task::AbortOnDropHandle;

/// How long one message may take: services answer within a second or two.
const DEADLINE: Duration = Duration::from_secs(15);

/// Events of one read.
const PART: u32 = 200;

/// How often the feed is looked at without a reason.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// The pause after a message that did not arrive, doubled up to [`PAUSE_MAX`].
const PAUSE: Duration = Duration::from_secs(1);

/// The longest pause: a channel that is back is told of what it missed within minutes.
const PAUSE_MAX: Duration = Duration::from_secs(300);

/// How long the same words are not said again.
const SAME_WITHIN: SignedDuration = SignedDuration::from_mins(10);

/// Messages that are remembered in case they come again.
const REMEMBERED_MAX: usize = 1_000;

/// The time that `per_minute` counts in.
const MINUTE: Duration = Duration::from_secs(60);

/// Messages that a digest names.
const NAMED_MAX: usize = 50;

/// Why a message was not told.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TellError {
    /// No such channel.
    #[error("there is no channel `{0}`")]
    Unknown(String),
    /// The service will not take it, however often it is sent.
    #[error("{0}")]
    Refused(String),
    /// The service takes nothing at this address, or not from us; until somebody mends that.
    #[error("{0}")]
    Closed(String),
    /// It did not arrive; it may later.
    #[error("{0}")]
    Later(String, Option<Duration>),
    /// Nobody knows whether it arrived.
    #[error("{0}")]
    Unanswered(String),
}

/// How a channel is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChannelState {
    /// When a message last arrived.
    pub last_success: Option<Timestamp>,
    /// When one last did not, and why.
    pub last_error: Option<(Timestamp, String)>,
    /// Messages that arrived since the host began.
    pub arrived: u64,
    /// Attempts that failed since then.
    pub failed: u64,
}

/// The channels.
pub struct Channels {
    /// Replaced whole when the configuration is.
    config: ArcSwap<Config>,
    /// What takes every message, in dev mode.
    recorder: Option<Arc<Recorder>>,
    http: reqwest::Client,
    states: Mutex<BTreeMap<String, ChannelState>>,
    /// Told when there is another configuration.
    changed: Notify,
}

impl Channels {
    /// The channels of a configuration; with a `recorder` nothing is sent by them.
    ///
    /// # Errors
    /// When the proxy or `ca_file` cannot be used.
    pub fn new(config: Arc<Config>, recorder: Option<Arc<Recorder>>) -> anyhow::Result<Self> {
        let mut http = reqwest::Client::builder()
            .timeout(DEADLINE)
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("infinity/", env!("CARGO_PKG_VERSION")))
            .no_proxy();
        if let Some(proxy) = &config.host.proxy {
            http = http.proxy(reqwest::Proxy::all(proxy)?);
        }
        if let Some(file) = &config.host.ca_file {
            for certificate in reqwest::Certificate::from_pem_bundle(&std::fs::read(file)?)? {
                http = http.add_root_certificate(certificate);
            }
        }
        Ok(Self {
            http: http.build()?,
            config: ArcSwap::new(config),
            recorder,
            states: Mutex::default(),
            changed: Notify::new(),
        })
    }

    /// How each channel is, by name.
    pub fn states(&self) -> Vec<(ChannelConfig, ChannelState)> {
        let states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        let of = |name: &String| states.get(name).cloned().unwrap_or_default();
        let config = self.config.load();
        let channels = config.channels.iter();
        channels
            .map(|(name, channel)| (channel.clone(), of(name)))
            .collect()
    }

    /// Takes over the channels of another configuration. What is being told to one is told to the end.
    pub fn adopt(&self, config: Arc<Config>) {
        let mut states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        states.retain(|name, _| config.channels.contains_key(name));
        drop(states);
        self.config.store(config);
        self.changed.notify_one();
    }

    /// Tells all channels of the events that they ask for, those of later configurations among them. Ends never.
    pub async fn follow_all(self: Arc<Self>, store: Arc<dyn Store>, news: Sender<()>) {
        let mut followed: BTreeMap<String, (ChannelConfig, AbortOnDropHandle<()>)> =
            BTreeMap::new();
        loop {
            let config = self.config.load_full();
            // One that is different is followed anew: its place in the feed is in the store.
            followed.retain(|name, (channel, _)| config.channels.get(name) == Some(channel));
            for (name, channel) in &config.channels {
                if !followed.contains_key(name) {
                    let follow = Arc::clone(&self).follow(
                        channel.clone(),
                        Arc::clone(&store),
                        news.subscribe(),
                    );
                    let task = AbortOnDropHandle::new(tokio::spawn(follow));
                    followed.insert(name.clone(), (channel.clone(), task));
                }
            }
            self.changed.notified().await;
        }
    }

    /// Sends a message, and waits until it is known what became of it.
    ///
    /// # Errors
    /// When it did not arrive, or that is not known.
    pub async fn tell(&self, channel: &str, message: &Message) -> Result<(), TellError> {
        let whole = self.config.load_full();
        let config = whole
            .channels
            .get(channel)
            .ok_or_else(|| TellError::Unknown(channel.to_owned()))?;
        if let Some(recorder) = &self.recorder {
            recorder.would_send(
                config.service.as_str(),
                channel,
                &json!({
                    "id": message.id, "kind": message.kind, "level": message.level, "title": message.title,
                    "body": message.body, "source": message.source, "at": message.at.to_string(),
                }),
            );
            return Ok(());
        }
        let told = match &config.service {
            Service::Discord { url } => post::discord(&self.http, url, message).await,
            Service::Slack { url } => post::slack(&self.http, url, message).await,
            Service::Webhook { url, key } => {
                post::webhook(&self.http, url, key.as_ref(), message).await
            }
            Service::Pagerduty { key, url } => post::pagerduty(&self.http, url, key, message).await,
            Service::Smtp { url, from, to } => {
                let ca_file = whole.host.ca_file.as_deref();
                mail::send(url, from, to, ca_file, message).await
            }
        };
        let mut states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        let state = states.entry(channel.to_owned()).or_default();
        match &told {
            Ok(()) => {
                state.last_success = Some(now());
                state.arrived += 1;
            }
            Err(error) => {
                state.last_error = Some((now(), error.to_string()));
                state.failed += 1;
            }
        }
        told
    }

    /// Tells every channel that asks for it of an event that is in no feed, once.
    pub async fn tell_all(&self, event: &Event) {
        let message = Message::of_event(event);
        let config = self.config.load_full();
        for (name, channel) in &config.channels {
            if wants(channel, event)
                && let Err(error) = self.tell(name, &message).await
            {
                tracing::warn!(
                    "the channel `{name}` is not told of `{}`: {error}",
                    event.kind
                );
            }
        }
    }

    /// Tells a channel of the events that it asks for. Ends never.
    async fn follow(
        self: Arc<Self>,
        channel: ChannelConfig,
        store: Arc<dyn Store>,
        mut news: News,
    ) {
        let name = &channel.name;
        let mut memory = Memory::default();
        let mut pause = PAUSE;
        loop {
            match self
                .follow_once(&channel, store.as_ref(), &mut memory)
                .await
            {
                Ok(Some(told)) => {
                    pause = PAUSE;
                    // What happens together is told together.
                    if told > 0 {
                        tokio::time::sleep(LOOK_AGAIN).await;
                    }
                }
                Ok(None) => {
                    pause = PAUSE;
                    if let Some(digest) = channel.digest {
                        tokio::time::sleep(digest).await;
                    } else {
                        observers::wait(&mut news, LOOK_AGAIN).await;
                    }
                }
                Err(Stop::Store(error)) => {
                    tracing::warn!("the feed of events cannot be read for `{name}`: {error}");
                    tokio::time::sleep(LOOK_AGAIN).await;
                }
                Err(Stop::Tell(error)) => {
                    let wait = match &error {
                        TellError::Later(_, Some(wait)) => (*wait).min(PAUSE_MAX),
                        _ => pause,
                    };
                    tracing::warn!(
                        "the channel `{name}` is told again in {} s: {error}",
                        wait.as_secs()
                    );
                    tokio::time::sleep(wait).await;
                    pause = (pause * 2).min(PAUSE_MAX);
                }
            }
        }
    }

    /// Tells a channel of the next part of the feed, in how many messages; none when the feed is at its end.
    async fn follow_once(
        &self,
        channel: &ChannelConfig,
        store: &dyn Store,
        memory: &mut Memory,
    ) -> Result<Option<usize>, Stop> {
        let flag = format!("notify/{}", channel.name);
        let after = observers::place(store, &flag).await?;
        let page = store.events(&[], Some(&after), PART).await?;
        let Some(next) = page.next.filter(|_| !page.items.is_empty()) else {
            return Ok(None);
        };
        let wanted = page.items.iter().filter(|event| wants(channel, event));
        let messages: Vec<Message> = wanted
            .map(Message::of_event)
            .filter(|message| memory.is_new(message))
            .collect();
        // One place is kept for the message that stands for many.
        let room = memory.room(channel.per_minute).saturating_sub(1);
        let together = channel.digest.is_some() || messages.len() > room;
        let messages = match together {
            true if messages.len() > 1 => vec![digest(&messages)],
            _ => messages,
        };
        let told = messages.len();
        for message in messages {
            memory.wait_for_room(channel.per_minute).await;
            match self.tell(&channel.name, &message).await {
                Ok(()) => memory.remember(&message),
                Err(error @ TellError::Refused(_)) => {
                    // It would be refused again, and all others would wait for it.
                    tracing::error!("the channel `{}` refuses a message: {error}", channel.name);
                    memory.remember(&message);
                }
                Err(error) => return Err(Stop::Tell(error)),
            }
        }
        store.set_flag(&flag, Some(&next)).await?;
        Ok(Some(told))
    }
}

enum Stop {
    Store(StoreError),
    Tell(TellError),
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// Whether a channel is told of an event.
fn wants(channel: &ChannelConfig, event: &Event) -> bool {
    // An alert that is silenced is recorded and not told.
    (event.kind.split('.').next() != Some("alert") || event.data["silenced"] != true)
        && severity(event) >= channel.level
        && channel
            .on
            .iter()
            .any(|pattern| topics::matches(pattern, &event.kind))
}

/// Many messages as one.
fn digest(messages: &[Message]) -> Message {
    let mut body: Vec<String> = messages
        .iter()
        .take(NAMED_MAX)
        .map(|message| format!("• {}", message.title))
        .collect();
    if messages.len() > NAMED_MAX {
        body.push(format!("• and {} more", messages.len() - NAMED_MAX));
    }
    let last = &messages[messages.len() - 1];
    Message {
        id: last.id.clone(),
        kind: "digest".into(),
        level: messages
            .iter()
            .map(|message| message.level)
            .max()
            .unwrap_or(Level::Note),
        good: false,
        title: format!("{} things happened", messages.len()),
        body: body.join("\n"),
        source: "infinity".into(),
        at: last.at,
    }
}

/// What a channel was told lately.
#[derive(Default)]
struct Memory {
    said: VecDeque<(Timestamp, String)>,
    sent: VecDeque<Instant>,
}

impl Memory {
    fn is_new(&self, message: &Message) -> bool {
        let words = message.words();
        !self
            .said
            .iter()
            .any(|(at, said)| *said == words && message.at.duration_since(*at).abs() < SAME_WITHIN)
    }

    fn remember(&mut self, message: &Message) {
        self.said.push_back((message.at, message.words()));
        if self.said.len() > REMEMBERED_MAX {
            self.said.pop_front();
        }
        self.sent.push_back(Instant::now());
    }

    /// Messages that the channel takes now.
    fn room(&mut self, per_minute: u32) -> usize {
        self.sent.retain(|sent| sent.elapsed() < MINUTE);
        (per_minute as usize).saturating_sub(self.sent.len())
    }

    /// Waits until the channel takes another message.
    async fn wait_for_room(&mut self, per_minute: u32) {
        if self.room(per_minute) > 0 {
            return;
        }
        if let Some(first) = self.sent.front() {
            tokio::time::sleep(MINUTE.saturating_sub(first.elapsed())).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(title: &str, at: i64) -> Message {
        Message {
            id: "1".into(),
            kind: "run.failed".into(),
            level: Level::Error,
            good: false,
            title: title.into(),
            body: String::new(),
            source: "/agents/a".into(),
            at: Timestamp::from_second(at).expect("a time"),
        }
    }

    #[test]
    fn the_same_words_are_said_once_in_ten_minutes() {
        let mut memory = Memory::default();
        assert!(memory.is_new(&message("a", 0)));
        memory.remember(&message("a", 0));
        assert!(!memory.is_new(&message("a", 599)));
        assert!(memory.is_new(&message("a", 600)));
        assert!(memory.is_new(&message("b", 1)));
    }

    #[test]
    fn many_become_one() {
        let messages: Vec<Message> = (0..60).map(|n| message(&format!("m{n}"), n)).collect();
        let digest = digest(&messages);
        assert_eq!(digest.title, "60 things happened");
        assert!(digest.body.ends_with("• and 10 more"), "{}", digest.body);
        assert_eq!(digest.level, Level::Error);
    }
}
