//! One line of the log: what a `tracing` event says, taken apart once for every way in which it is written.

use super::kind::{self, Kind};
use crate::model::now;
use crate::secrets::known;
use crate::telemetry::{self, Place};
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use std::fmt;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;
use uuid::Uuid;

/// The field that has a run's id, by which a line belongs to the run's trace.
const RUN: &str = "run.id";

/// The field that has the type of an event of the feed.
const EVENT_TYPE: &str = "event.type";

/// A line, taken apart.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) at: Timestamp,
    pub(crate) level: Level,
    pub(crate) kind: Kind,
    pub(crate) target: &'static str,
    pub(crate) message: String,
    pub(crate) fields: Map<String, Value>,
    /// Where in which trace it belongs.
    pub(crate) place: Option<Place>,
}

/// What the fields of an event hold.
#[derive(Default)]
struct Fields {
    message: String,
    others: Map<String, Value>,
}

impl Fields {
    fn put(&mut self, field: &Field, mut value: Value) {
        // Before it goes anywhere: a collector is elsewhere.
        known::mask_value(&mut value);
        if field.name() == "message" {
            self.message = match value {
                Value::String(text) => text,
                other => other.to_string(),
            };
        } else {
            self.others.insert(field.name().to_owned(), value);
        }
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.others.get(name)?.as_str()
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, Value::String(format!("{value:?}")));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, json!(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, json!(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, json!(value));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, json!(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, json!(value));
    }
}

impl Line {
    pub(crate) fn of(event: &Event<'_>) -> Self {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let metadata = event.metadata();
        let run = fields
            .text(RUN)
            .and_then(|id| Uuid::parse_str(id).ok())
            .map(telemetry::place_of_run);
        Self {
            at: now(),
            level: *metadata.level(),
            kind: kind::of(metadata, fields.text(EVENT_TYPE)),
            target: metadata.target(),
            place: run.or_else(telemetry::place_here),
            message: fields.message,
            fields: fields.others,
        }
    }

    fn json(&self) -> Value {
        let mut line = json!({
            "timestamp": self.at.to_string(),
            "level": self.level.as_str().to_ascii_lowercase(),
            "kind": self.kind,
            "message": self.message,
            "target": self.target,
        });
        if !self.fields.is_empty() {
            line["fields"] = Value::Object(self.fields.clone());
        }
        if let Some(place) = self.place {
            line["trace_id"] = place.trace.to_string().into();
            line["span_id"] = place.span.to_string().into();
        }
        line
    }
}

/// Writes each line as a JSON object.
pub(super) struct Json;

impl<S, N> FormatEvent<S, N> for Json
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        writeln!(writer, "{}", Line::of(event).json())
    }
}

/// Writes each line for people.
pub(super) struct Text;

impl<S, N> FormatEvent<S, N> for Text
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let metadata = event.metadata();
        // The event's type alone is needed of the fields, and few lines have one.
        let line = metadata
            .fields()
            .field(EVENT_TYPE)
            .map(|_| Line::of(event).kind);
        let kind = line.unwrap_or_else(|| kind::of(metadata, None));
        let (dim, color, plain) = if writer.has_ansi_escapes() {
            let color = match *metadata.level() {
                Level::ERROR => "\x1b[31m",
                Level::WARN => "\x1b[33m",
                Level::INFO => "\x1b[32m",
                _ => "\x1b[34m",
            };
            ("\x1b[2m", color, "\x1b[0m")
        } else {
            ("", "", "")
        };
        write!(
            writer,
            "{dim}{}{plain} {color}{:>5}{plain} {dim}{:<14}{plain} ",
            now(),
            metadata.level().as_str(),
            kind.as_str()
        )?;
        context
            .field_format()
            .format_fields(writer.by_ref(), event)?;
        writeln!(writer)
    }
}
