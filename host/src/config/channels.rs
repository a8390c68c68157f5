//! `[channels.NAME]` to [`ChannelConfig`]: where people are told of what happens.

use std::collections::BTreeMap;
use std::time::Duration;

use http::Uri;
use toml::Spanned;

use super::agent::{LOOSE, LOOSE_NAME_HELP, is_name};
use super::error::{Errors, literal};
use super::grants::fill;
use super::keys;
use super::reader::{Reader, Value};
use super::secret::Secret;
use crate::model::Level;
use crate::topics;

/// A place where people read. Source: `[channels.NAME]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelConfig {
    /// Its name.
    pub name: String,
    /// How it is spoken to.
    pub service: Service,
    /// Types of events, patterns of types or topics that it is told of; default [`DEFAULT_ON`]. Source: `on`.
    pub on: Vec<String>,
    /// The least severity that it is told of; default [`Level::Note`]. Source: `level`.
    pub level: Level,
    /// Messages in a minute, 1 to 600, default 20: what is more becomes one message. Source: `per_minute`.
    pub per_minute: u32,
    /// Events of this time become one message; none sends each at once. Source: `digest`.
    pub digest: Option<Duration>,
    /// Whether an agent's message whose answer never came is sent again; default `true`. Source: `guarantee`.
    pub at_least_once: bool,
}

/// How a channel is spoken to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Service {
    /// Discord's webhooks.
    Discord {
        /// The webhook; whoever knows it may write.
        url: Secret,
    },
    /// Slack's incoming webhooks, and what speaks like them.
    Slack {
        /// The webhook; whoever knows it may write.
        url: Secret,
    },
    /// JSON to any address.
    Webhook {
        /// The address.
        url: Secret,
        /// Signs the body, if there is one. Source: `key`.
        key: Option<Secret>,
    },
    /// Mail.
    Smtp {
        /// `smtp://` or `smtps://` with host, port, user and password.
        url: Secret,
        /// The sender's address.
        from: String,
        /// Addresses, at least one.
        to: Vec<String>,
    },
    /// PagerDuty's Events API, version 2.
    Pagerduty {
        /// The routing key.
        key: Secret,
        /// The address of the API.
        url: Secret,
    },
}

impl Service {
    /// The word in `plugins.toml`.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Discord { .. } => "discord",
            Self::Slack { .. } => "slack",
            Self::Webhook { .. } => "webhook",
            Self::Smtp { .. } => "smtp",
            Self::Pagerduty { .. } => "pagerduty",
        }
    }
}

/// Default of [`ChannelConfig::on`]: security, deployments, changes of state, and what waits for people.
pub const DEFAULT_ON: &[&str] = &[
    "security.*",
    "key.*",
    "secret.overdue",
    "killswitch.*",
    "pipeline.succeeded",
    "pipeline.failed",
    "system.degraded",
    "system.recovered",
    "agent.quarantined",
    "agent.paused",
    "agent.resumed",
    "alert.*",
    "mirror.*",
    "effect.waiting",
    "effect.alert",
];

/// Messages in a minute unless `per_minute` says more: what Discord takes from one webhook.
const DEFAULT_PER_MINUTE: u32 = 20;

/// Where PagerDuty takes events.
const PAGERDUTY: &str = "https://events.pagerduty.com";

/// The channel that the environment variable `DISCORD_WEBHOOK` makes.
pub const DISCORD_CHANNEL: &str = "discord";

/// Reads all channels. `environment` gives the value of an environment variable; `discord` is the webhook that it names; `faulty` takes the mistakes of each entry that has some.
pub(super) fn read(
    root: &Reader<'_, '_>,
    environment: &dyn Fn(&str) -> Option<String>,
    discord: Option<&Secret>,
    errors: &mut Errors,
    faulty: &mut Vec<Errors>,
) -> BTreeMap<String, ChannelConfig> {
    let mut channels = BTreeMap::new();
    let mut room = errors.room();
    for (key, value) in root
        .entries("channels", errors)
        .into_iter()
        .take(keys::MAX_LIST)
    {
        let mut own = Errors::with_room(room);
        let read = channel(&key, value, environment, &mut own);
        room = own.room();
        if !own.is_empty() {
            faulty.push(own);
        } else if let Some(channel) = read {
            channels.insert(channel.name.clone(), channel);
        }
    }
    if let Some(url) = discord {
        channels
            .entry(DISCORD_CHANNEL.to_owned())
            .or_insert_with(|| ChannelConfig {
                name: DISCORD_CHANNEL.into(),
                ..plain(Service::Discord { url: url.clone() })
            });
    }
    channels
}

fn channel(
    key: &Spanned<&str>,
    value: &Value<'_>,
    environment: &dyn Fn(&str) -> Option<String>,
    errors: &mut Errors,
) -> Option<ChannelConfig> {
    let name = *key.get_ref();
    let what = format!("channel {}", literal(name));
    if !is_name(name, LOOSE) {
        errors
            .at(
                key.span(),
                format!("{} cannot be the name of a channel", literal(name)),
            )
            .help(LOOSE_NAME_HELP);
    }
    let table = Reader::open(value, &keys::CHANNEL, what.clone(), key.span(), errors)?;
    let service = service(&table, &what, environment, errors);
    let settings = settings(&table, &what, errors);
    Some(ChannelConfig {
        name: name.to_owned(),
        service: service?,
        ..settings
    })
}

fn plain(service: Service) -> ChannelConfig {
    ChannelConfig {
        name: String::new(),
        service,
        on: DEFAULT_ON.iter().map(|kind| (*kind).to_owned()).collect(),
        level: Level::Note,
        per_minute: DEFAULT_PER_MINUTE,
        digest: None,
        at_least_once: true,
    }
}

fn settings(table: &Reader<'_, '_>, what: &str, errors: &mut Errors) -> ChannelConfig {
    let mut channel = plain(Service::Discord {
        url: Secret::new(""),
    });
    if let Some(on) = table.texts("on", errors) {
        for pattern in &on {
            let text = pattern.get_ref();
            if !topics::is_pattern(text) {
                errors
                    .at(pattern.span(), format!("{} of {what} is no type of events", literal(text)))
                    .help("write a type such as `\"run.failed\"`, or the beginning of some such as `\"run.*\"`");
            }
        }
        channel.on = on.into_iter().map(Spanned::into_inner).collect();
    }
    let levels = [Level::Note, Level::Warning, Level::Error];
    if let Some(level) = table
        .choice("level", errors)
        .and_then(|index| levels.get(index))
    {
        channel.level = *level;
    }
    if let Some(number) = table
        .number("per_minute", errors)
        .and_then(|number| u32::try_from(number).ok())
    {
        channel.per_minute = number;
    }
    channel.digest = table.number("digest", errors).map(Duration::from_millis);
    channel.at_least_once = table.choice("guarantee", errors) != Some(0);
    channel
}

fn service(
    table: &Reader<'_, '_>,
    what: &str,
    environment: &dyn Fn(&str) -> Option<String>,
    errors: &mut Errors,
) -> Option<Service> {
    // All of them are read, so that each mistake is found at once.
    let url = table.raw_text("url", errors);
    let key = table.raw_text("key", errors);
    let from = table.text("from", errors);
    let to = table.texts("to", errors);
    let kind = table.choice("kind", errors)?;
    let kind = *keys::CHANNEL_KIND.get(kind)?;
    let takes: &[&str] = match kind {
        "smtp" => &["url", "from", "to"],
        "pagerduty" => &["url", "key"],
        "webhook" => &["url", "key"],
        _ => &["url"],
    };
    let mut missing = false;
    for key in ["url", "key", "from", "to"] {
        let needed = takes.contains(&key)
            && !matches!((kind, key), ("pagerduty", "url") | ("webhook", "key"));
        match table.span(key) {
            Some(span) if !takes.contains(&key) => {
                errors
                    .at(
                        span,
                        format!("{what} is of the kind `{kind}` and has no use for `{key}`"),
                    )
                    .help("drop it");
            }
            None if needed => {
                missing = true;
                errors
                    .at(
                        table.place(),
                        format!("{what} is of the kind `{kind}` and needs `{key}`"),
                    )
                    .help(match key {
                        "from" => "write the sender's address: `from = \"infinity@example.com\"`",
                        "to" => "write at least one address: `to = [\"ops@example.com\"]`",
                        _ => "write it, best from a variable: `\"${NAME}\"`",
                    });
            }
            _ => {}
        }
    }
    if missing {
        return None;
    }
    let secret = |written: &Option<Spanned<String>>, errors: &mut Errors| {
        let written = written.as_ref()?;
        fill(written, what, true, environment, errors).map(|value| (written.span(), value))
    };
    let address = |schemes: &[&str], errors: &mut Errors| {
        let (span, value) = secret(&url, errors)?;
        let uri = value.parse::<Uri>().ok();
        let scheme = uri.as_ref().and_then(Uri::scheme_str).unwrap_or_default();
        if !schemes.contains(&scheme) || uri.as_ref().and_then(Uri::host).is_none_or(str::is_empty)
        {
            // The value is a secret.
            errors
                .at(
                    span,
                    format!(
                        "the address of {what} is none that begins with `{}://`",
                        schemes.join("://` or `")
                    ),
                )
                .help("a line break at the end of a variable is a common reason");
            return None;
        }
        Some(Secret::new(value))
    };
    const HTTP: &[&str] = &["https", "http"];
    match kind {
        "discord" => Some(Service::Discord {
            url: address(HTTP, errors)?,
        }),
        "slack" => Some(Service::Slack {
            url: address(HTTP, errors)?,
        }),
        "webhook" => Some(Service::Webhook {
            url: address(HTTP, errors)?,
            key: match table.span("key") {
                Some(_) => Some(Secret::new(secret(&key, errors)?.1)),
                None => None,
            },
        }),
        "pagerduty" => Some(Service::Pagerduty {
            key: Secret::new(secret(&key, errors)?.1),
            url: match table.span("url") {
                Some(_) => address(HTTP, errors)?,
                None => Secret::new(PAGERDUTY),
            },
        }),
        _ => {
            let url = address(&["smtps", "smtp"], errors);
            let (from, to) = (from?, to?);
            if to.is_empty() {
                errors
                    .at(table.place_of("to"), format!("`to` of {what} is empty"))
                    .help("write at least one address");
            }
            for one in std::iter::once(&from).chain(&to) {
                if one.get_ref().parse::<lettre::message::Mailbox>().is_err() {
                    errors
                        .at(
                            one.span(),
                            format!("{} is no mail address", literal(one.get_ref())),
                        )
                        .help("write for instance `ops@example.com`, or `Ops <ops@example.com>`");
                }
            }
            Some(Service::Smtp {
                url: url?,
                from: from.into_inner(),
                to: to.into_iter().map(Spanned::into_inner).collect(),
            })
        }
    }
}
