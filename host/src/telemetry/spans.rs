//! Records to spans. Where a span is in which trace follows from the records alone, so that a stage that comes an hour and a restart later still finds the trace.
//!
//! A trace has the id of the run that it is about: a run's id is a UUID, which has as many bits as a trace's id. Spans have ids made of the trace's and of what they are, so whoever makes a
//! child knows its parent's id without having been told. A request that began no run has a trace of its own.
//!
//! Nothing here holds what people are called, what a guest was given, or an address beyond its host.

use crate::model::{Effect, EffectState, Outcome, Run, Trigger, Usage};
use crate::sandbox::meter::Outside;
use aws_lc_rs::digest;
use jiff::Timestamp;
use opentelemetry::trace::{
    Link, SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState,
};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};
use std::borrow::Cow;
use std::time::{Duration, SystemTime};
use uuid::Uuid;

/// Characters of what a failed span says.
const MESSAGE_MAX: usize = 500;

/// The low bits of a trace's id that a sample is drawn by: the last 32, which are random in a UUID of version 7 also where many are made within a millisecond.
const SAMPLE_BITS: u32 = 32;

/// A span, as its children and the lines of the log know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The trace.
    pub trace: TraceId,
    /// The span in it.
    pub span: SpanId,
}

impl Place {
    /// What is called `name` in a trace.
    pub(super) fn named(trace: Uuid, name: &str) -> Self {
        let mut seed = trace.as_bytes().to_vec();
        seed.extend_from_slice(name.as_bytes());
        let hash = digest::digest(&digest::SHA256, &seed);
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&hash.as_ref()[..8]);
        // All zeros mean that there is none.
        bytes[7] |= 1;
        Self {
            trace: TraceId::from_bytes(*trace.as_bytes()),
            span: SpanId::from_bytes(bytes),
        }
    }

    fn context(self, is_remote: bool) -> SpanContext {
        SpanContext::new(
            self.trace,
            self.span,
            TraceFlags::SAMPLED,
            is_remote,
            TraceState::NONE,
        )
    }

    fn link(self, is_remote: bool) -> Link {
        Link::with_context(self.context(is_remote))
    }

    /// That which a `traceparent` header names; none where it names nothing.
    pub(super) fn of_traceparent(header: &str) -> Option<Self> {
        let mut parts = header.split('-');
        let (version, trace, span, flags) =
            (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let hex = |text: &str, length: usize| {
            text.len() == length
                && text
                    .bytes()
                    .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        };
        // Version 0 has four parts; later ones may have more, and `ff` is none.
        let more = parts.next().is_some();
        if !hex(version, 2) || version == "ff" || !hex(flags, 2) || version == "00" && more {
            return None;
        }
        if !hex(trace, 32) || !hex(span, 16) {
            return None;
        }
        let place = Self {
            trace: TraceId::from_hex(trace).ok()?,
            span: SpanId::from_hex(span).ok()?,
        };
        (place.trace != TraceId::INVALID && place.span != SpanId::INVALID).then_some(place)
    }
}

/// Whether a trace is among so many of a hundred. All of its spans get the same answer, in whatever process they are made.
pub(super) fn is_sampled(trace: Uuid, percent: u8) -> bool {
    let low = trace.as_u128() & ((1 << SAMPLE_BITS) - 1);
    low * 100 < (u128::from(percent) << SAMPLE_BITS)
}

/// What began a run: the root of its trace.
pub(super) fn trigger_of(run: Uuid) -> Place {
    Place::named(run, "trigger")
}

/// A run's own span.
pub(super) fn run(run: Uuid) -> Place {
    Place::named(run, "run")
}

/// What happened in the sandbox.
fn call_of(run: Uuid) -> Place {
    Place::named(run, "call")
}

/// The trace of an effect. What people propose comes from no run.
pub(super) fn trace_of(effect: &Effect) -> Uuid {
    if effect.run.is_nil() {
        effect.id
    } else {
        effect.run
    }
}

fn effect_place(effect: &Effect) -> Place {
    Place::named(trace_of(effect), &format!("effect/{}", effect.id))
}

fn time(at: Timestamp) -> SystemTime {
    SystemTime::from(at)
}

fn after(at: Timestamp, us: u64) -> Timestamp {
    at.checked_add(Duration::from_micros(us)).unwrap_or(at)
}

fn cut(text: &str) -> String {
    text.chars().take(MESSAGE_MAX).collect()
}

fn failed(message: Option<&str>) -> Status {
    Status::error(cut(message.unwrap_or_default()))
}

fn text(key: &'static str, value: impl Into<String>) -> KeyValue {
    KeyValue::new(key, value.into())
}

fn number(key: &'static str, value: u64) -> KeyValue {
    KeyValue::new(key, i64::try_from(value).unwrap_or(i64::MAX))
}

/// A span in the making.
struct Span {
    place: Place,
    parent: Option<Place>,
    kind: SpanKind,
    name: Cow<'static, str>,
    from: Timestamp,
    to: Timestamp,
    attributes: Vec<KeyValue>,
    status: Status,
    links: Vec<Link>,
}

impl Span {
    fn new(
        place: Place,
        parent: Option<Place>,
        name: impl Into<Cow<'static, str>>,
        from: Timestamp,
        to: Timestamp,
    ) -> Self {
        Self {
            place,
            parent,
            kind: SpanKind::Internal,
            name: name.into(),
            from,
            // Clocks are set back.
            to: to.max(from),
            attributes: Vec::new(),
            status: Status::Unset,
            links: Vec::new(),
        }
    }

    fn done(self, scope: &InstrumentationScope) -> SpanData {
        let mut links = SpanLinks::default();
        links.links.extend(self.links);
        SpanData {
            span_context: self.place.context(false),
            parent_span_id: self.parent.map_or(SpanId::INVALID, |parent| parent.span),
            parent_span_is_remote: false,
            span_kind: self.kind,
            name: self.name,
            start_time: time(self.from),
            end_time: time(self.to),
            attributes: self.attributes,
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links,
            status: self.status,
            instrumentation_scope: scope.clone(),
        }
    }
}

/// A request to the API that was answered.
pub(super) struct Request<'a> {
    pub(super) place: Place,
    pub(super) method: &'a str,
    pub(super) route: &'a str,
    pub(super) status: u16,
    pub(super) id: Option<&'a str>,
    pub(super) from: Timestamp,
    pub(super) to: Timestamp,
    /// What the caller's own trace says that it is part of.
    pub(super) caller: Option<Place>,
}

/// The span of a request.
pub(super) fn request(request: &Request<'_>, scope: &InstrumentationScope) -> SpanData {
    let name = format!("{} {}", request.method, request.route);
    let mut span = Span::new(request.place, None, name, request.from, request.to);
    span.kind = SpanKind::Server;
    span.attributes = vec![
        text("http.request.method", request.method),
        text("http.route", request.route),
        number("http.response.status_code", u64::from(request.status)),
    ];
    span.attributes
        .extend(request.id.map(|id| text("http.request.id", id)));
    // A client's mistake is no failure of the host.
    if request.status >= 500 {
        span.status = failed(None);
    }
    span.links
        .extend(request.caller.map(|caller| caller.link(true)));
    span.done(scope)
}

/// The spans of a run that ended and was recorded. `asked` says that a request is the root of its trace, which is told of by itself.
pub(super) fn ended(
    run: &Run,
    asked: bool,
    recorded: Timestamp,
    scope: &InstrumentationScope,
) -> Vec<SpanData> {
    let root = trigger_of(run.id);
    let own = self::run(run.id);
    let mut spans = Vec::new();
    if !asked {
        spans.push(trigger(run, root).done(scope));
    }
    let mut whole = Span::new(
        own,
        Some(root),
        format!("run {}", run.agent),
        run.created_at,
        recorded,
    );
    whole.attributes = about(run);
    whole.status = match run.outcome {
        Some(Outcome::Succeeded) => Status::Ok,
        // Somebody wanted it.
        Some(Outcome::Cancelled) | None => Status::Unset,
        Some(_) => failed(run.message.as_deref().or(run.summary.as_deref())),
    };
    let status = whole.status.clone();
    spans.push(whole.done(scope));
    let ended = run.ended_at.unwrap_or(recorded);
    let started = run.started_at.unwrap_or(ended).max(run.created_at);
    let part = |name: &'static str, from: Timestamp, to: Timestamp| {
        Span::new(Place::named(run.id, name), Some(own), name, from, to)
    };
    spans.push(part("queued", run.created_at, started).done(scope));
    if run.started_at.is_some() {
        let Usage {
            compile_us,
            instantiate_us,
            guest_us,
            host_calls_us,
            cpu_us,
            ..
        } = run.usage;
        let compiled = after(started, compile_us).min(ended);
        if compile_us > 0 {
            spans.push(part("compile", started, compiled).done(scope));
        }
        let ready = after(compiled, instantiate_us).min(ended);
        spans.push(part("instantiate", compiled, ready).done(scope));
        // What leaves the process is within, also a checkout that is made before the instance.
        let mut call = Span::new(call_of(run.id), Some(own), "call", started, ended);
        call.attributes = vec![
            number("run.guest_us", guest_us),
            number("run.host_calls_us", host_calls_us),
            number("run.cpu_us", cpu_us),
        ];
        call.status = status;
        spans.push(call.done(scope));
    }
    spans.push(part("settle", ended, recorded).done(scope));
    spans
}

/// What began a run that no request of this process did.
fn trigger(run: &Run, root: Place) -> Span {
    let (name, kind, from) = match run.trigger {
        _ if run.attempt > 1 => ("retry", SpanKind::Internal, run.created_at),
        Trigger::Cron | Trigger::Every => (
            "moment",
            SpanKind::Internal,
            run.scheduled_at.min(run.created_at),
        ),
        Trigger::Event => ("event", SpanKind::Consumer, run.created_at),
        Trigger::Webhook => ("webhook", SpanKind::Server, run.created_at),
        Trigger::Manual => ("asked for", SpanKind::Internal, run.created_at),
    };
    let mut span = Span::new(root, None, name, from, run.created_at);
    span.kind = kind;
    span.attributes = vec![text("run.trigger", trigger_word(run.trigger))];
    let before = match run.trigger {
        // All attempts have the key of the first, which is its id where nobody gave another.
        _ if run.attempt > 1 => Uuid::parse_str(&run.idempotency_key).ok(),
        Trigger::Event => caused_by(run),
        _ => None,
    };
    if let Some(kind) = run.input.get("type").and_then(|kind| kind.as_str())
        && run.trigger == Trigger::Event
    {
        span.attributes.push(text("event.type", cut(kind)));
    }
    span.links
        .extend(before.map(|before| self::run(before).link(false)));
    span
}

/// The run that an event of the host is about.
fn caused_by(run: &Run) -> Option<Uuid> {
    let event = &run.input;
    let kind = event.get("type")?.as_str()?;
    // These families are the host's own, so what they say is so.
    let id = if kind.starts_with("run.") {
        event.get("subject")?
    } else if kind.starts_with("effect.") || kind.starts_with("policy.") {
        event.get("data")?.get("run")?
    } else {
        return None;
    };
    Uuid::parse_str(id.as_str()?).ok()
}

fn trigger_word(trigger: Trigger) -> &'static str {
    match trigger {
        Trigger::Cron => "cron",
        Trigger::Every => "every",
        Trigger::Event => "event",
        Trigger::Webhook => "webhook",
        Trigger::Manual => "manual",
    }
}

fn outcome_word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Succeeded => "succeeded",
        Outcome::Failed => "failed",
        Outcome::Trapped => "trapped",
        Outcome::Limited => "limited",
        Outcome::Refused => "refused",
        Outcome::Cancelled => "cancelled",
        Outcome::Lost => "lost",
        Outcome::HostError => "host_error",
    }
}

/// What is worth asking for of a run.
fn about(run: &Run) -> Vec<KeyValue> {
    let usage = &run.usage;
    let mut about = vec![
        text("run.id", run.id.to_string()),
        text("agent.name", run.agent.clone()),
        text("plugin.name", run.plugin.clone()),
        text("plugin.digest", run.plugin_digest.clone()),
        text("config.digest", run.config_digest.clone()),
        text("run.trigger", trigger_word(run.trigger)),
        number("run.attempt", u64::from(run.attempt)),
        KeyValue::new("run.dry_run", run.dry_run),
        number("run.findings", run.findings),
        number("run.denials", run.denials.len() as u64),
        number("run.queue_us", usage.queue_us),
        number("run.wall_us", usage.wall_us),
        number("run.cpu_us", usage.cpu_us),
        number("run.peak_memory_bytes", usage.peak_memory_bytes),
        number("run.host_calls", usage.host_calls),
        number("run.http_requests", usage.http_requests),
        KeyValue::new("run.snapshot", usage.snapshot),
    ];
    about.extend(
        run.outcome
            .map(|outcome| text("run.outcome", outcome_word(outcome))),
    );
    about.extend(run.reason.clone().map(|reason| text("run.reason", reason)));
    about.extend(usage.fuel.map(|fuel| number("run.fuel", fuel)));
    about
}

/// What a run reached beyond the process.
pub(super) fn outside(run: Uuid, calls: &[Outside], scope: &InstrumentationScope) -> Vec<SpanData> {
    let parent = call_of(run);
    let span = |(index, call): (usize, &Outside)| {
        let place = Place::named(run, &format!("outside/{index}"));
        let mut span = Span::new(
            place,
            Some(parent),
            format!("{} {}", call.what, call.name),
            call.from,
            call.to,
        );
        span.kind = SpanKind::Client;
        if call.what == "repository" {
            span.attributes = vec![text("repository.name", call.name.clone())];
        } else {
            span.attributes = vec![
                text("http.request.method", call.what.clone()),
                text("server.address", call.name.clone()),
            ];
        }
        if let Some(status) = call.status {
            span.attributes
                .push(number("http.response.status_code", u64::from(status)));
        }
        if call.error.is_some() || call.status.is_some_and(|status| status >= 400) {
            span.status = failed(call.error.as_deref());
        }
        span.done(scope)
    };
    calls.iter().enumerate().map(span).collect()
}

/// The spans of an effect that came from one state to another.
pub(super) fn changed(
    from: EffectState,
    effect: &Effect,
    at: Timestamp,
    scope: &InstrumentationScope,
) -> Vec<SpanData> {
    let trace = trace_of(effect);
    let whole = effect_place(effect);
    let mut spans = Vec::new();
    let stage = match from {
        EffectState::Proposed => Some("judge"),
        EffectState::Waiting => Some("decision"),
        _ => None,
    };
    if let Some(stage) = stage.filter(|_| effect.state != from) {
        let place = Place::named(trace, &format!("{stage}/{}", effect.id));
        let mut span = Span::new(place, Some(whole), stage, effect.created_at, at);
        span.attributes = vec![text("effect.state", effect.state.as_str())];
        if stage == "decision" {
            span.attributes
                .push(number("effect.approvals", effect.approvals.len() as u64));
        }
        if effect.state == EffectState::Refused {
            span.status = failed(effect.message.as_deref());
        }
        spans.push(span.done(scope));
    }
    // What happens to it afterwards, when it is undone, is told by the effect that undoes it.
    if !from.is_final() && effect.state.is_final() {
        let parent = (!effect.run.is_nil()).then(|| run(effect.run));
        let name = format!("effect {}", effect.action.kind());
        let ended = effect.ended_at.unwrap_or(at);
        let mut span = Span::new(whole, parent, name, effect.created_at, ended);
        span.attributes = vec![
            text("effect.id", effect.id.to_string()),
            text("effect.kind", effect.action.kind()),
            text("effect.state", effect.state.as_str()),
            text("agent.name", effect.agent.clone()),
            number("effect.attempts", u64::from(effect.attempts)),
        ];
        span.attributes.extend(
            effect
                .action
                .repository()
                .map(|name| text("repository.name", name)),
        );
        span.attributes.extend(
            effect
                .autonomy
                .clone()
                .map(|autonomy| text("effect.autonomy", autonomy)),
        );
        span.status = match effect.state {
            EffectState::Applied => Status::Ok,
            EffectState::Failed | EffectState::Unknown | EffectState::Refused => {
                failed(effect.message.as_deref())
            }
            _ => Status::Unset,
        };
        spans.push(span.done(scope));
    }
    spans
}

/// One attempt at applying an effect.
pub(super) fn attempt_place(effect: &Effect, from: Timestamp) -> Place {
    // A host that died in the middle begins the same attempt again.
    let name = format!("apply/{}/{}", effect.id, from.as_microsecond());
    Place::named(trace_of(effect), &name)
}

/// The span of one attempt at applying an effect.
pub(super) fn tried(
    effect: &Effect,
    from: Timestamp,
    to: Timestamp,
    error: Option<&str>,
    scope: &InstrumentationScope,
) -> SpanData {
    let place = attempt_place(effect, from);
    let mut span = Span::new(place, Some(effect_place(effect)), "apply", from, to);
    span.attributes = vec![number("effect.attempt", u64::from(effect.attempts))];
    span.status = match error {
        Some(error) => failed(Some(error)),
        None => Status::Ok,
    };
    span.done(scope)
}

/// A request of the host itself to another service, as part of what it does.
pub(super) fn sent(parent: Place, call: &Outside, scope: &InstrumentationScope) -> SpanData {
    let place = Place::named(
        Uuid::from_bytes(parent.trace.to_bytes()),
        &format!("sent/{}/{}", parent.span, Uuid::now_v7()),
    );
    let name = format!("{} {}", call.what, call.name);
    let mut span = Span::new(place, Some(parent), name, call.from, call.to);
    span.kind = SpanKind::Client;
    span.attributes = vec![
        text("http.request.method", call.what.clone()),
        text("server.address", call.name.clone()),
    ];
    if let Some(status) = call.status {
        span.attributes
            .push(number("http.response.status_code", u64::from(status)));
    }
    if call.error.is_some() || call.status.is_some_and(|status| status >= 400) {
        span.status = failed(call.error.as_deref());
    }
    span.done(scope)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_follows_from_what_it_is() {
        let id = Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0001);
        assert_eq!(run(id), run(id));
        assert_ne!(run(id).span, trigger_of(id).span);
        assert_ne!(run(id).span, run(Uuid::from_u128(2)).span);
        assert_eq!(run(id).trace.to_string(), id.simple().to_string());
    }

    #[test]
    fn a_sample_is_as_large_as_it_should_be_and_the_same_everywhere() {
        let ids: Vec<Uuid> = (0..2_000).map(|_| Uuid::now_v7()).collect();
        let count = |percent| ids.iter().filter(|id| is_sampled(**id, percent)).count();
        assert_eq!((count(0), count(100)), (0, ids.len()));
        // Six standard deviations on either side.
        assert!((866..=1_134).contains(&count(50)), "{}", count(50));
    }

    #[test]
    fn a_traceparent_is_read_or_left_alone() {
        let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
        let read =
            |header: &str| Place::of_traceparent(header).map(|place| place.trace.to_string());
        let fine = format!("00-{trace}-00f067aa0ba902b7-01");
        assert_eq!(read(&fine).as_deref(), Some(trace));
        let later = format!("01-{trace}-00f067aa0ba902b7-01-more");
        assert_eq!(read(&later).as_deref(), Some(trace));
        for wrong in [
            "",
            "00",
            &format!("{fine}-more"),
            &format!("ff-{trace}-00f067aa0ba902b7-01"),
            &fine.to_uppercase(),
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            &format!("00-{trace}-0000000000000000-01"),
            &format!("00-{trace}-00f067aa0ba902b7-é1"),
        ] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
