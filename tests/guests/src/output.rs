//! Cases about what a run returns, prints, logs and stages.

use crate::input::{Answer, Input, observed};
use infinity_sdk::bindings::wasi::config::store as config;
use infinity_sdk::prelude::*;
use infinity_sdk::types::{Action, CommitAction, Content, FileChange};
use serde_json::json;
use std::io::{Read, Write};

/// Answers with the invocation, the input, the settings and the environment.
pub(crate) fn ok(input: &Input) -> Answer {
    let invocation = &input.invocation;
    let settings = match config::get_all() {
        Ok(all) => json!(
            all.into_iter()
                .collect::<std::collections::BTreeMap<_, _>>()
        ),
        Err(error) => json!({ "error": format!("{error:?}") }),
    };
    let environment: std::collections::BTreeMap<_, _> = std::env::vars().collect();
    Report::passed("ok").with_output(&json!({
        "input": input.all(),
        "settings": settings,
        "env": environment,
        "run_id": invocation.run_id,
        "agent": invocation.agent,
        "trigger": match invocation.trigger {
            Trigger::Cron => "cron",
            Trigger::Every => "every",
            Trigger::Event => "event",
            Trigger::Webhook => "webhook",
            Trigger::Manual => "manual",
        },
        "attempt": invocation.attempt,
        "idempotency_key": invocation.idempotency_key,
        "scheduled_at": invocation.scheduled_at,
    }))
}

/// A report that says failed.
pub(crate) fn fails(input: &Input) -> Answer {
    Report::failed(input.text_or("summary", "this guest fails on purpose"))
        .with_output(&json!({ "input": input.all() }))
}

/// No report but a failure; `kind` is `invalid-input`, `unavailable` or `other`.
pub(crate) fn error(input: &Input) -> Answer {
    let message = input
        .text_or("message", "this guest errs on purpose")
        .to_owned();
    Err(match input.text_or("kind", "other") {
        "invalid-input" => Failure::InvalidInput(message),
        "unavailable" => Failure::Unavailable(message),
        _ => Failure::Other(message),
    })
}

/// Two findings: an error with a place and help, a note without.
pub(crate) fn finding(_: &Input) -> Answer {
    Ok(Report::failed("two findings").with_findings([
        Finding::new("test/placed", Level::Error, "this file has a problem")
            .at("src/lib.rs", Some(3), Some(7))
            .in_repository("ops")
            .with_help("remove the problem"),
        Finding::new("test/general", Level::Note, "this is good to know"),
    ]))
}

/// `count` findings with messages of `bytes` bytes.
pub(crate) fn findings_bomb(input: &Input) -> Answer {
    let message = "x".repeat(input.size_or("bytes", 100));
    let count = input.size_or("count", 100_000);
    Ok(
        Report::passed("many findings").with_findings((0..count).map(|number| {
            Finding::new("test/bomb", Level::Note, message.clone()).at(
                format!("{number}"),
                None,
                None,
            )
        })),
    )
}

/// `bytes` bytes in the field `output` (a JSON string) or `summary`.
pub(crate) fn return_bomb(input: &Input) -> Answer {
    let bytes = input.size_or("bytes", 512 * 1024 * 1024);
    let mut text = String::new();
    if text.try_reserve_exact(bytes.saturating_add(2)).is_err() {
        return Err(Failure::Other(format!("no memory for {bytes} bytes")));
    }
    Ok(match input.text_or("field", "output") {
        "summary" => {
            text.extend(std::iter::repeat_n('x', bytes));
            Report::passed(text)
        }
        _ => {
            text.push('"');
            text.extend(std::iter::repeat_n('x', bytes));
            text.push('"');
            Report {
                output: Some(text),
                ..Report::passed("a long output")
            }
        }
    })
}

/// An output of `depth` lists in one another.
pub(crate) fn deep_output(input: &Input) -> Answer {
    let depth = input.size_or("depth", 100_000);
    Ok(Report {
        output: Some("[".repeat(depth) + &"]".repeat(depth)),
        ..Report::passed("a deep output")
    })
}

/// An output that is `text` as it stands, JSON or not.
pub(crate) fn invalid_output(input: &Input) -> Answer {
    Ok(Report {
        output: Some(input.text_or("text", "{\"open\": ").to_owned()),
        ..Report::passed("an output that is no JSON")
    })
}

/// Reads the standard input to its end.
pub(crate) fn stdin(_: &Input) -> Answer {
    let mut bytes = Vec::new();
    let error = std::io::stdin()
        .read_to_end(&mut bytes)
        .err()
        .map(|e| e.to_string());
    observed(&json!({ "bytes": bytes.len(), "error": error }))
}

/// Writes `text` to the stream `stdout`, `stderr` or `log`.
pub(crate) fn print(input: &Input) -> Answer {
    let text = input.text("text")?;
    let written = match input.text_or("stream", "stdout") {
        "log" => {
            log::info!("{text}");
            Ok(())
        }
        "stderr" => std::io::stderr().write_all(text.as_bytes()),
        _ => {
            let mut stdout = std::io::stdout().lock();
            stdout
                .write_all(text.as_bytes())
                .and_then(|()| stdout.flush())
        }
    };
    observed(&json!({ "error": written.err().map(|e| e.to_string()) }))
}

/// Reports progress `count` times, with a message of `bytes` bytes.
pub(crate) fn progress(input: &Input) -> Answer {
    let count = input.number_or("count", 3);
    let message = "p".repeat(input.size_or("bytes", 5));
    for done in 1..=count {
        infinity_sdk::progress::report(done, Some(count), &message);
    }
    observed(&json!({ "reported": count }))
}

/// Writes `bytes` bytes in chunks of 64 KiB; `shape` is `lines`, `one_line` or `nul`, `stream` is `stdout` or `stderr`.
pub(crate) fn stdout_flood(input: &Input) -> Answer {
    const CHUNK: usize = 64 * 1024;
    let mut left = input.number_or("bytes", 1024 * 1024 * 1024);
    let chunk = match input.text_or("shape", "lines") {
        "one_line" => vec![b'x'; CHUNK],
        "nul" => vec![0; CHUNK],
        _ => b"a line of exactly thirty-two ch\n".repeat(CHUNK / 32),
    };
    let stderr = input.text_or("stream", "stdout") == "stderr";
    let mut written = 0_u64;
    let mut error = None;
    while left > 0 {
        let now = &chunk[..CHUNK.min(usize::try_from(left).unwrap_or(CHUNK))];
        let result = if stderr {
            std::io::stderr().write_all(now)
        } else {
            std::io::stdout().write_all(now)
        };
        if let Err(failed) = result {
            error = Some(failed.to_string());
            break;
        }
        written += now.len() as u64;
        left -= now.len() as u64;
    }
    observed(&json!({ "written": written, "error": error }))
}

/// Texts that would do something where they are shown raw.
const INJECTIONS: &[&str] = &[
    "\u{1b}[2J\u{1b}[31mred\u{1b}[0m \u{1b}]0;title\u{7}",
    "first\r\nsecond\rover",
    "\u{202e}desrever\u{2066}\u{200b}",
    "\n{\"level\":\"error\",\"message\":\"forged\",\"run.id\":\"0\"}",
    "<script>alert(1)</script>",
    "nul\0 bell\u{7} back\u{8} delete\u{7f} c1\u{9b}31m",
];

/// Puts such texts everywhere: log, standard streams, progress, summary and findings.
pub(crate) fn log_inject(_: &Input) -> Answer {
    for text in INJECTIONS {
        log::error!("{text}");
        infinity_sdk::progress::report(1, None, text);
        // A closed stream is for the test to notice; the other places still count.
        drop(writeln!(std::io::stdout(), "{text}"));
        drop(writeln!(std::io::stderr(), "{text}"));
    }
    Report::passed(INJECTIONS.concat())
        .with_findings(INJECTIONS.iter().map(|text| {
            Finding::new(*text, Level::Warning, *text)
                .at(*text, None, None)
                .with_help(*text)
        }))
        .with_output(&json!({ "texts": INJECTIONS }))
}

fn stage(name: &str, media_type: &str, bytes: usize) -> serde_json::Value {
    let mut content = Vec::new();
    if content.try_reserve_exact(bytes).is_err() {
        return json!({ "digest": null, "error": "no memory in the guest" });
    }
    content.resize(bytes, b'a');
    match artifacts::put(name, media_type, &content) {
        Ok(digest) => json!({ "digest": digest, "error": null }),
        Err(error) => json!({ "digest": null, "error": format!("{error:?}") }),
    }
}

/// Stages `bytes` bytes as `name`.
pub(crate) fn artifact(input: &Input) -> Answer {
    observed(&stage(
        input.text_or("name", "a.txt"),
        input.text_or("media_type", "text/plain"),
        input.size_or("bytes", 10),
    ))
}

/// Stages `count` artifacts of `bytes` bytes until one is refused.
pub(crate) fn artifacts(input: &Input) -> Answer {
    let count = input.number_or("count", 100);
    let bytes = input.size_or("bytes", 1024);
    for number in 0..count {
        let staged = stage(&format!("a-{number}"), "text/plain", bytes);
        if !staged["error"].is_null() {
            return observed(&json!({ "staged": number, "error": staged["error"] }));
        }
    }
    observed(&json!({ "staged": count, "error": null }))
}

/// Proposes one commit: `text` as `path` on `branch` of `repository`.
pub(crate) fn effects(input: &Input) -> Answer {
    let text = |name, default| input.text_or(name, default).to_owned();
    Ok(
        Report::passed("one commit proposed").with_effect(Effect::propose(
            "commit",
            "the test asks for it",
            Action::Commit(CommitAction {
                repository: text("repository", "ops"),
                branch: text("branch", "main"),
                start: None,
                base: input
                    .get("base")
                    .and_then(|base| base.as_str())
                    .map(str::to_owned),
                message: text("message", "test"),
                files: vec![FileChange {
                    path: text("path", "test.txt"),
                    content: Content::Text(text("text", "test\n")),
                }],
            }),
        )),
    )
}

/// Announces events: `kinds`, separated by spaces; with `fail` the run is not content.
pub(crate) fn emit(input: &Input) -> Answer {
    let said: Vec<String> = input
        .text_or("kinds", "")
        .split_whitespace()
        .map(
            |kind| match events::emit(kind, Some("subject"), &json!({ "of": kind })) {
                Ok(()) => "ok".to_owned(),
                Err(error) => format!("{error:?}"),
            },
        )
        .collect();
    if input.text_or("fail", "") == "yes" {
        return Ok(Report::failed("not content"));
    }
    observed(&json!({ "said": said }))
}
