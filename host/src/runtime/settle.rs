//! Turns what came back from the sandbox into the run's terminal fields, its report, and what is announced; and a run that ended into its next attempt.

use crate::model::{
    Artifact, Event, Level, Outcome, Reached, Report, Run, RunState, Trigger, Usage, json_depth,
    json_values, now,
};
use crate::sandbox::CallEnd;
use crate::sandbox::call::{Answer, GuestFailure, GuestReport};
use crate::sandbox::events::Emitted;
use crate::sandbox::meter::{Meter, escape};
use crate::secrets::known;
use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

/// The longest summary, in characters, as the contract says.
const SUMMARY_MAX: usize = 1_000;

/// Levels of a report's output: it is read again as part of the report, and by clients as part of more.
const OUTPUT_DEPTH_MAX: usize = 100;

/// Values in a report's output: some tens of megabytes in memory.
const OUTPUT_VALUES_MAX: usize = 200_000;

/// Events of one run beside its end; a policy that denies more says the same more often.
const EVENTS_MAX: usize = 100;

/// The next attempt at a run, due at a moment.
pub(super) fn again(run: &Run, at: Timestamp) -> Run {
    Run {
        id: Uuid::now_v7(),
        attempt: run.attempt + 1,
        state: RunState::Queued,
        outcome: None,
        reason: None,
        message: None,
        hint: None,
        summary: None,
        findings: 0,
        denials: Vec::new(),
        usage: Usage::default(),
        scheduled_at: at,
        created_at: now(),
        started_at: None,
        ended_at: None,
        ..run.clone()
    }
}

/// Fills in the run's terminal fields and gives its report and files.
pub(super) fn settle(run: &mut Run, end: CallEnd, meter: &Meter) -> (Report, Vec<Artifact>) {
    let mut report = Report {
        artifacts: end
            .artifacts
            .iter()
            .map(|artifact| artifact.info.clone())
            .collect(),
        ..Report::default()
    };
    let mut ended = |outcome: Outcome, reason: Option<String>, message: Option<String>| {
        run.outcome = Some(outcome);
        run.reason = reason;
        run.message = message;
    };
    match end.result {
        Ok(Answer::Report(guest)) => match output(&guest) {
            Ok(output) => {
                report.passed = Some(guest.passed);
                report.summary = plain(&guest.summary);
                report.output = output;
                report.findings = guest.findings;
                report.effects = guest.effects;
                let outcome = if guest.passed {
                    Outcome::Succeeded
                } else {
                    Outcome::Failed
                };
                ended(outcome, None, None);
                run.summary = Some(report.summary.clone());
            }
            Err(message) => ended(
                Outcome::Failed,
                Some("invalid_output".into()),
                Some(message),
            ),
        },
        Ok(Answer::Failure(failure)) => {
            let (reason, message) = match failure {
                GuestFailure::InvalidInput(message) => ("invalid_input", message),
                GuestFailure::Unavailable(message) => ("unavailable", message),
                GuestFailure::Other(message) => ("error", message),
            };
            ended(Outcome::Failed, Some(reason.into()), Some(plain(&message)));
        }
        Ok(Answer::Error(message)) => {
            ended(Outcome::Failed, Some("error".into()), Some(plain(&message)));
        }
        Ok(Answer::Served { .. }) => ended(Outcome::Succeeded, None, None),
        Ok(_) => ended(
            Outcome::HostError,
            None,
            Some("the sandbox answered another call".into()),
        ),
        Err(stop) => {
            ended(stop.outcome, stop.reason, Some(stop.message));
            run.hint = stop.hint;
            report.backtrace = stop.backtrace;
        }
    }
    run.denials = meter.denials();
    // A guest that failed after it was refused something failed because of it, as far as the host can tell.
    if run.outcome == Some(Outcome::Failed) {
        if let Some((limit, message)) = meter.refused() {
            run.outcome = Some(Outcome::Limited);
            run.reason = Some(limit.as_str().into());
            run.hint = Some(format!(
                "{message}; if this much is right for the agent, raise `{}` in its `limits`",
                limit.key()
            ));
        } else if !run.denials.is_empty() && report.findings.is_empty() {
            run.reason = Some("denied".into());
            run.hint = Some("see the denials: each has the line that would allow it".into());
        }
    }
    known::mask_record(&mut report);
    known::mask_record(&mut run.denials);
    for text in [&mut run.summary, &mut run.message, &mut run.hint] {
        text.iter_mut().for_each(known::mask_text);
    }
    run.findings = report.findings.len() as u64;
    run.usage = end.usage;
    run.state = RunState::Ended;
    run.ended_at = Some(now());
    (report, end.artifacts)
}

/// A guest's sentence as lists show it: one inert line of bounded length.
fn plain(text: &str) -> String {
    let cut: String = text.chars().take(SUMMARY_MAX).collect();
    escape(&cut)
}

fn output(guest: &GuestReport) -> Result<Option<Value>, String> {
    let Some(text) = &guest.output else {
        return Ok(None);
    };
    if json_values(text) > OUTPUT_VALUES_MAX {
        return Err(format!(
            "the report's output has more than {OUTPUT_VALUES_MAX} values; make a file of it"
        ));
    }
    let output: Value = serde_json::from_str(text)
        .map_err(|error| format!("the report's output is no JSON: {error}"))?;
    if json_depth(&output) > OUTPUT_DEPTH_MAX {
        return Err(format!(
            "the report's output is nested more than {OUTPUT_DEPTH_MAX} levels deep"
        ));
    }
    Ok(Some(output))
}

/// What a run's end announces: how it ended, and each policy that said no.
pub(super) fn events(
    run: &Run,
    report: &Report,
    emitted: Vec<Emitted>,
    reached: &[Reached],
    judges: bool,
) -> Vec<Event> {
    let time = run.ended_at.unwrap_or_else(now);
    // An event that follows from an event is one further away from where it all began.
    let hops = match run.trigger {
        Trigger::Event => {
            let before = run.input.get("hops").and_then(Value::as_u64).unwrap_or(0);
            u32::try_from(before + 1).unwrap_or(u32::MAX)
        }
        _ => 0,
    };
    let event = |kind: String, subject: String, data: Value| Event {
        time,
        hops,
        ..Event::new(format!("/agents/{}", run.agent), kind, subject, data)
    };
    let outcome = run
        .outcome
        .and_then(|outcome| serde_json::to_value(outcome).ok())
        .and_then(|name| name.as_str().map(str::to_owned))
        .unwrap_or_else(|| "ended".into());
    let mut events = vec![event(
        format!("run.{outcome}"),
        run.id.to_string(),
        json!({
            "agent": run.agent, "reason": run.reason, "message": run.message, "findings": run.findings,
            "plugin_digest": run.plugin_digest, "principal": run.principal, "reached": reached,
            "denials": run.denials.len(), "duration_ms": run.usage.wall_us / 1_000,
        }),
    )];
    // What a run says counts only if it succeeded, like what it proposes.
    if run.outcome == Some(Outcome::Succeeded) {
        events.extend(emitted.into_iter().map(|emitted| {
            let subject = emitted.subject.unwrap_or_else(|| run.id.to_string());
            event(emitted.kind, subject, emitted.data)
        }));
    }
    if judges {
        let denied = report
            .findings
            .iter()
            .filter(|finding| finding.level == Level::Error)
            .take(EVENTS_MAX);
        events.extend(denied.map(|finding| {
            let subject = finding.location.as_ref().map_or_else(
                || run.id.to_string(),
                |location| match &location.repository {
                    Some(repository) => format!("{repository}/{}", location.path),
                    None => location.path.clone(),
                },
            );
            event(
                "policy.denied".into(),
                subject,
                json!({ "rule": finding.rule, "message": finding.message, "run": run.id }),
            )
        }));
    }
    events
}
