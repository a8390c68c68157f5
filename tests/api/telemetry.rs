//! What a collector is told by OTLP, how the log is written, and what dev mode does with what would leave the host.

use crate::effects::{everything, propose, until, with_policy};
use crate::{folder, id, ok};
use anyhow::{Context as _, ensure};
use infinity_tests::collector::{Collector, hex, number, said, text};
use infinity_tests::host::{Folder, Host, PATIENCE, poll};
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use serde_json::{Value, json};
use std::fs;
use std::net::TcpListener;
use std::time::{Duration, Instant};

/// A table that sends everything to a collector.
fn to(url: &str) -> String {
    format!(
        "[telemetry]\notlp = \"{url}\"\nheaders = {{ x-tenant = \"tests\" }}\nservice = \"desk\"\n"
    )
}

/// A commit that nobody has to approve.
fn commit(branch: &str) -> Value {
    json!([{ "id": "one", "kind": "commit", "action": { "repository": "ops", "branch": branch, "base": null,
        "message": "Begin", "files": [{ "path": "a.md", "content": { "text": "# A\n" } }] } }])
}

/// The id of a run's trace.
fn trace_of(run: &Value) -> anyhow::Result<String> {
    Ok(id(run)?.replace('-', ""))
}

/// The spans of a trace, once all of these are among them.
fn until_spans(collector: &Collector, trace: &str, names: &[&str]) -> anyhow::Result<Vec<Span>> {
    let whole = || {
        let spans = collector.trace(trace);
        let has = |name: &&str| spans.iter().any(|span| span.name == **name);
        names.iter().all(has).then_some(spans)
    };
    poll(PATIENCE, whole).with_context(|| {
        let spans = collector.trace(trace);
        let names: Vec<&str> = spans.iter().map(|span| span.name.as_str()).collect();
        format!("the trace {trace} has {names:?} only")
    })
}

fn named<'s>(spans: &'s [Span], name: &str) -> anyhow::Result<&'s Span> {
    let mut found = spans.iter().filter(|span| span.name == name);
    let one = found.next().with_context(|| format!("no span `{name}`"))?;
    ensure!(found.next().is_none(), "`{name}` is there twice");
    Ok(one)
}

/// Checks that a trace is one tree, in which nothing begins before what it is part of, and gives its root.
fn root(spans: &[Span]) -> anyhow::Result<&Span> {
    let mut roots = Vec::new();
    for span in spans {
        ensure!(
            span.start_time_unix_nano <= span.end_time_unix_nano,
            "{span:?}"
        );
        if span.parent_span_id.is_empty() {
            roots.push(span);
            continue;
        }
        let parent = spans
            .iter()
            .find(|other| other.span_id == span.parent_span_id)
            .with_context(|| format!("the parent of `{}` is not there", span.name))?;
        ensure!(
            parent.start_time_unix_nano <= span.start_time_unix_nano,
            "`{}` begins before `{}`",
            span.name,
            parent.name
        );
    }
    let ids: std::collections::BTreeSet<_> = spans.iter().map(|span| &span.span_id).collect();
    ensure!(ids.len() == spans.len(), "spans share an id");
    ensure!(roots.len() == 1, "{} roots", roots.len());
    Ok(roots[0])
}

fn is_child(child: &Span, parent: &Span) -> bool {
    child.parent_span_id == parent.span_id
}

fn status(span: &Span) -> StatusCode {
    span.status
        .as_ref()
        .map_or(StatusCode::Unset, |status| status.code())
}

/// A host with a repository, who judges, who writes, and a collector.
fn desk(collector: &Collector) -> anyhow::Result<Host> {
    let folder = Folder::new()?;
    folder.component("test_guests", "guests")?;
    with_policy(&folder)?;
    let tables = format!("{}{}", everything(), to(&collector.url()));
    folder.config("", &tables)?;
    folder.serve()
}

#[test]
fn one_trace_leads_from_a_request_to_the_effect_that_was_applied() -> anyhow::Result<()> {
    let collector = Collector::new()?;
    let host = desk(&collector)?;
    let caller = "4bf92f3577b34da6a3ce929d0e0e4736";
    let run: Value = host
        .client()
        .post(host.url("/v1/agents/writer/runs?wait=90s"))
        .header("traceparent", format!("00-{caller}-00f067aa0ba902b7-01"))
        .json(&json!({ "case": "propose", "effects": commit("automation/a") }))
        .send()?
        .json()?;
    ensure!(run["outcome"] == "succeeded", "{run}");
    let list = host.json(&format!("/v1/effects?run={}", id(&run)?))?;
    until(&host, &list["items"][0], "applied")?;
    let route = "POST /v1/agents/{name}/runs";
    let expected = [
        route,
        "run writer",
        "queued",
        "instantiate",
        "call",
        "settle",
        "effect commit",
        "judge",
        "apply",
    ];
    let spans = until_spans(&collector, &trace_of(&run)?, &expected)?;
    let root = root(&spans)?;
    assert_eq!((root.name.as_str(), root.kind()), (route, SpanKind::Server));
    assert_eq!(
        number(&root.attributes, "http.response.status_code"),
        Some(201)
    );
    assert_eq!(hex(&root.links[0].trace_id), caller);
    let whole = named(&spans, "run writer")?;
    ensure!(is_child(whole, root));
    assert_eq!(status(whole), StatusCode::Ok);
    assert_eq!(
        text(&whole.attributes, "run.outcome").as_deref(),
        Some("succeeded")
    );
    assert_eq!(
        text(&whole.attributes, "run.id").as_deref(),
        Some(id(&run)?)
    );
    for part in ["queued", "instantiate", "call", "settle"] {
        let part = named(&spans, part)?;
        ensure!(is_child(part, whole), "{part:?}");
        ensure!(
            part.end_time_unix_nano <= whole.end_time_unix_nano,
            "{part:?}"
        );
    }
    let effect = named(&spans, "effect commit")?;
    ensure!(is_child(effect, whole));
    assert_eq!(status(effect), StatusCode::Ok);
    assert_eq!(
        text(&effect.attributes, "effect.state").as_deref(),
        Some("applied")
    );
    for stage in ["judge", "apply"] {
        let stage = named(&spans, stage)?;
        ensure!(is_child(stage, effect), "{stage:?}");
        ensure!(
            stage.end_time_unix_nano <= effect.end_time_unix_nano,
            "{stage:?}"
        );
    }
    let taken = collector.taken();
    ensure!(taken.services.iter().all(|service| service == "desk"));
    ensure!(
        taken
            .heads
            .iter()
            .all(|head| head.contains("x-tenant: tests")
                && head.contains("content-type: application/x-protobuf"))
    );
    Ok(())
}

#[test]
fn a_moment_of_a_schedule_is_the_root_of_its_runs_trace() -> anyhow::Result<()> {
    let collector = Collector::new()?;
    let tick = "[agents.tick]\nplugin = \"guests\"\nevery = \"1s\"\n";
    let host = folder("", &format!("{tick}{}", to(&collector.url())))?.serve()?;
    let run = poll(PATIENCE, || {
        let runs = host.json("/v1/runs?agent=tick&state=ended").ok()?;
        runs["items"].get(0).cloned()
    })
    .context("nothing ran")?;
    let spans = until_spans(&collector, &trace_of(&run)?, &["moment", "run tick"])?;
    let root = root(&spans)?;
    assert_eq!(root.name, "moment");
    assert_eq!(
        text(&root.attributes, "run.trigger").as_deref(),
        Some("every")
    );
    ensure!(is_child(named(&spans, "run tick")?, root));
    Ok(())
}

#[test]
fn what_a_run_reaches_and_how_it_fails_is_in_its_trace() -> anyhow::Result<()> {
    let collector = Collector::new()?;
    let url = collector.url();
    let tables = format!(
        "[agents.caller]\nplugin = \"guests\"\ngrants.http = [{{ url = \"{url}\", private = [\"127.0.0.0/8\"] }}]\n{}",
        to(&url)
    );
    let host = folder("", &tables)?.serve()?;
    let run = host.run(
        "caller",
        &json!({ "case": "http", "url": format!("{url}/secret-path") }),
    )?;
    let spans = until_spans(
        &collector,
        &trace_of(&run)?,
        &["run caller", "GET 127.0.0.1"],
    )?;
    root(&spans)?;
    let asked = named(&spans, "GET 127.0.0.1")?;
    ensure!(is_child(asked, named(&spans, "call")?));
    assert_eq!(
        (asked.kind(), status(asked)),
        (SpanKind::Client, StatusCode::Error)
    );
    assert_eq!(
        number(&asked.attributes, "http.response.status_code"),
        Some(404)
    );
    ensure!(!format!("{spans:?}").contains("secret-path"));
    // What the guest sends is its own: no header of the host's is in it.
    let taken = collector.taken();
    let sent = taken
        .heads
        .iter()
        .find(|head| head.contains("/secret-path"));
    ensure!(!sent.context("no request")?.contains("traceparent"));
    drop(taken);
    let run = host.run("guests", &json!({ "case": "trap" }))?;
    let spans = until_spans(&collector, &trace_of(&run)?, &["run guests"])?;
    for failed in ["run guests", "call"] {
        assert_eq!(status(named(&spans, failed)?), StatusCode::Error);
    }
    Ok(())
}

#[test]
fn lines_of_the_log_have_a_kind_and_belong_to_a_trace() -> anyhow::Result<()> {
    let collector = Collector::new()?;
    let host = folder("", &to(&collector.url()))?.serve()?;
    let run = host.run(
        "guests",
        &json!({ "case": "http", "url": "http://example.com/" }),
    )?;
    ensure!(!run["denials"].as_array().context("denials")?.is_empty());
    let trace = trace_of(&run)?;
    let line = poll(PATIENCE, || {
        let taken = collector.taken();
        let mut lines = taken.lines.iter();
        lines
            .find(|line| said(line).contains("was refused"))
            .cloned()
    })
    .context("no line says that the run was refused something")?;
    assert_eq!(text(&line.attributes, "kind").as_deref(), Some("security"));
    assert_eq!(
        text(&line.attributes, "agent.name").as_deref(),
        Some("guests")
    );
    assert_eq!(hex(&line.trace_id), trace);
    let spans = until_spans(&collector, &trace, &["run guests"])?;
    assert_eq!(line.span_id, named(&spans, "run guests")?.span_id);
    Ok(())
}

#[test]
fn a_collector_that_is_dead_or_slow_changes_nothing_for_runs() -> anyhow::Result<()> {
    // Nobody listens where somebody did a moment ago.
    let dead = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let slow = Collector::deaf()?;
    for url in [format!("http://{dead}"), slow.url()] {
        let host = folder("", &to(&url))?.serve()?;
        let began = Instant::now();
        for _ in 0..100 {
            let run = host.run("guests", &ok())?;
            ensure!(run["outcome"] == "succeeded", "{run}");
        }
        // Two exports would have taken as long as this, had anybody waited for them.
        ensure!(began.elapsed() < Duration::from_secs(10), "{url}");
        poll(PATIENCE, || {
            host.log()
                .contains("did not reach the collector")
                .then_some(())
        })
        .with_context(|| format!("the log does not say that {url} takes nothing"))?;
        let name = "infinity_telemetry_spans_dropped_total ";
        poll(PATIENCE, || {
            let metrics = host.get("/metrics").ok()?.text().ok()?;
            let count = metrics.lines().find_map(|line| line.strip_prefix(name))?;
            (count.parse::<u64>().ok()? > 0).then_some(())
        })
        .with_context(|| format!("no span for {url} is counted as dropped"))?;
        let began = Instant::now();
        ensure!(host.stop()?.success());
        ensure!(began.elapsed() < Duration::from_secs(30), "{url}");
    }
    Ok(())
}

#[test]
fn a_log_in_json_has_a_kind_on_every_line() -> anyhow::Result<()> {
    let host = folder(
        "log_format = \"json\"\ntrusted_proxies = [\"127.0.0.1\"]",
        "",
    )?
    .serve()?;
    let refused = host
        .client()
        .get(host.url("/v1/runs"))
        .bearer_auth("inf_wrong_0123456789abcdef0123456789abcdef")
        .send()?;
    ensure!(refused.status() == 401);
    let log = poll(PATIENCE, || {
        let log = host.log();
        log.contains("is refused").then_some(log)
    })
    .with_context(|| host.log())?;
    let kinds = [
        "application",
        "infrastructure",
        "security",
        "performance",
        "error",
    ];
    let mut denied = None;
    // The first key is shown to a person once, and is no line of the log.
    for line in log.lines().filter(|line| line.starts_with('{')) {
        let line: Value = serde_json::from_str(line).with_context(|| line.to_owned())?;
        for member in ["timestamp", "level", "kind", "message"] {
            ensure!(line[member].is_string(), "{line}");
        }
        ensure!(kinds.iter().any(|kind| line["kind"] == *kind), "{line}");
        if line["message"]
            .as_str()
            .is_some_and(|said| said.contains("is refused"))
        {
            denied = Some(line);
        }
    }
    assert_eq!(denied.context("no such line")?["kind"], "security");
    ensure!(!log.contains("inf_wrong"), "{log}");
    Ok(())
}

#[test]
fn dev_mode_records_what_it_would_have_sent() -> anyhow::Result<()> {
    let service = Collector::new()?;
    let folder = Folder::new()?;
    folder.component("test_guests", "guests")?;
    with_policy(&folder)?;
    let url = service.url();
    folder.config(
        "",
        &format!(
            "[channels.chat]\nkind = \"discord\"\nurl = \"{url}/hush\"\non = [\"build.*\"]\n\
             [agents.judge]\nplugin = \"policy\"\npolicies = \"policies\"\n\
             [agents.writer]\nplugin = \"guests\"\nautonomy = \"auto\"\ngrants.channels = [\"chat\"]\n"
        ),
    )?;
    let host = folder.serve_as(&["--dev", "--log-format", "text"])?;
    poll(PATIENCE, || host.log().contains("DEV MODE").then_some(())).with_context(|| host.log())?;
    let level = host.json("/v1/log-level")?;
    ensure!(
        level["filter"]
            .as_str()
            .is_some_and(|filter| filter.contains("infinity=debug")),
        "{level}"
    );
    let effects = propose(
        &host,
        &json!([{ "id": "tell", "kind": "notification", "action": { "channel": "chat", "title": "By an agent", "body": "Look." } }]),
    )?;
    until(&host, &effects[0], "applied")?;
    host.publish(
        &json!({ "specversion": "1.0", "id": "1", "source": "/tests", "type": "build.done",
            "time": "2026-01-01T00:00:00Z", "data": { "title": "by an event" } }),
    )?;
    let outbox = host.path().join("var/dev/outbox.jsonl");
    let recorded = poll(PATIENCE, || {
        let text = fs::read_to_string(&outbox).ok()?;
        let both = text.contains("By an agent") && text.contains("by an event");
        both.then_some(text)
    })
    .with_context(|| host.log())?;
    for line in recorded.lines() {
        let line: Value = serde_json::from_str(line)?;
        assert_eq!(
            (&line["by"], &line["to"]),
            (&json!("discord"), &json!("chat"))
        );
    }
    // The address is the secret, and nothing came to it.
    ensure!(!recorded.contains("hush") && !host.log().contains("hush"));
    ensure!(service.taken().heads.is_empty());
    Ok(())
}
