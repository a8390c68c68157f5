//! The host's log on standard error: one for the process, with a level that can be changed while it runs. Each line has a [`Kind`], and goes to a collector as well where `[telemetry]` names one.

mod kind;
mod line;

pub use self::kind::Kind;
pub(crate) use self::kind::{PERFORMANCE, SECURITY};
pub(crate) use self::line::Line;

use crate::secrets::known::MaskedErrors;
use crate::telemetry;
use serde::{Deserialize, Serialize};
use std::sync::OnceLock;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _, Registry, reload};
use utoipa::ToSchema;

/// How much is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// What went wrong.
    Error,
    /// And what may go wrong.
    Warn,
    /// And what happened.
    Info,
    /// And how; every event of the feed among it.
    Debug,
}

impl LogLevel {
    /// The word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
        }
    }
}

/// How the log is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// A JSON object on each line, for whatever collects them.
    Json,
}

static FILTER: OnceLock<reload::Handle<EnvFilter, Registry>> = OnceLock::new();

/// The filter for a level. Debug speaks of this program alone: the libraries' steps would drown it.
fn filter(level: LogLevel) -> EnvFilter {
    EnvFilter::new(match level {
        LogLevel::Debug => "info,infinity=debug",
        other => other.as_str(),
    })
}

/// Starts the log at a level, or as the variable `RUST_LOG` says. A second call changes nothing.
pub fn start(level: LogLevel, format: LogFormat, color: bool) {
    let first = EnvFilter::try_from_default_env().unwrap_or_else(|_| filter(level));
    let (first, handle) = reload::Layer::new(first);
    let lines = tracing_subscriber::fmt::layer().with_writer(MaskedErrors::default);
    let lines = match format {
        LogFormat::Text => lines.with_ansi(color).event_format(line::Text).boxed(),
        LogFormat::Json => lines.with_ansi(false).event_format(line::Json).boxed(),
    };
    if tracing_subscriber::registry()
        .with(first)
        .with(lines)
        .with(telemetry::Forward)
        .try_init()
        .is_ok()
    {
        let _ = FILTER.set(handle);
    }
}

/// The filter in force, in the words of `RUST_LOG`; none when this process started no log.
#[must_use]
pub fn current() -> Option<String> {
    FILTER.get()?.with_current(ToString::to_string).ok()
}

/// Changes the level from now on; `false` when this process started no log.
#[must_use]
pub fn set(level: LogLevel) -> bool {
    FILTER
        .get()
        .is_some_and(|handle| handle.reload(filter(level)).is_ok())
}
