//! Turns what wasmtime reports into the closed set of outcomes, with a sentence for people and a hint.

use super::meter::{Meter, escape};
use super::{HostFault, Stop};
use crate::model::{Frame, Limit, Outcome};
use wasmtime::component::ResourceTableError;
use wasmtime::{Trap, WasmBacktrace};

/// The component has not the export that was to be called.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct WrongWorld(pub(super) String);

/// Whoever asked is not there any more.
#[derive(Debug, thiserror::Error)]
#[error("the client went away")]
pub(super) struct ClientGone;

/// The longest message that is taken over from a guest's trap, in characters.
const MESSAGE_MAX: usize = 1_000;

impl Stop {
    /// A fault of the host.
    #[must_use]
    pub fn host(message: &str) -> Self {
        Self {
            outcome: Outcome::HostError,
            reason: None,
            message: message.to_owned(),
            hint: Some("this is a bug of the host: please report it with the run's id".into()),
            backtrace: Vec::new(),
        }
    }

    /// Ended by somebody.
    #[must_use]
    pub fn cancelled() -> Self {
        Self {
            outcome: Outcome::Cancelled,
            reason: None,
            message: "cancelled".into(),
            hint: None,
            backtrace: Vec::new(),
        }
    }

    fn limited(limit: Limit, message: String) -> Self {
        Self {
            outcome: Outcome::Limited,
            reason: Some(limit.as_str().into()),
            message,
            hint: Some(hint(limit.key())),
            backtrace: Vec::new(),
        }
    }

    fn trapped(reason: &str, message: String) -> Self {
        Self {
            outcome: Outcome::Trapped,
            reason: Some(reason.into()),
            message,
            hint: Some("the plugin has a bug; the backtrace says where".into()),
            backtrace: Vec::new(),
        }
    }
}

fn hint(key: &str) -> String {
    format!("if this much is right for the agent, raise `{key}` in its `limits`")
}

/// The wall clock ran out.
pub(super) fn out_of_time(meter: &Meter) -> Stop {
    Stop::limited(
        Limit::Time,
        format!("ran longer than {} ms", meter.budget.time_ms),
    )
}

/// What an error means.
pub(super) fn stop(error: &wasmtime::Error, meter: &Meter) -> Stop {
    let mut stop = judge(error, meter);
    stop.backtrace = backtrace(error);
    stop
}

fn judge(error: &wasmtime::Error, meter: &Meter) -> Stop {
    if let Some(stopped) = meter.stopped() {
        return Stop {
            hint: Some(hint(stopped.key)),
            ..Stop::limited(stopped.limit, stopped.message)
        };
    }
    if error.downcast_ref::<ClientGone>().is_some() {
        return Stop {
            message: "the client went away".into(),
            ..Stop::cancelled()
        };
    }
    if let Some(fault) = error.downcast_ref::<HostFault>() {
        return Stop::host(&fault.0);
    }
    if let Some(wrong) = error.downcast_ref::<WrongWorld>() {
        return Stop {
            outcome: Outcome::Refused,
            reason: Some("wrong_world".into()),
            message: wrong.0.clone(),
            hint: Some("`infinity plugin inspect` shows what the component exports".into()),
            backtrace: Vec::new(),
        };
    }
    let text = format!("{error:#}");
    let full = matches!(
        error.downcast_ref::<ResourceTableError>(),
        Some(ResourceTableError::Full)
    );
    if full
        || text.contains("handle limit exceeded")
        || text.contains("resource table has no free keys")
    {
        return Stop::limited(
            Limit::Handles,
            format!("holds more than {} handles", meter.budget.handles),
        );
    }
    if text.contains("fuel allocated for hostcalls has been exhausted") {
        return Stop::limited(
            Limit::Output,
            format!(
                "handed over more than {} bytes at once",
                meter.budget.output_bytes.max(super::CALL_MIN_BYTES)
            ),
        );
    }
    if text.contains("resource limit exceeded") {
        return Stop::limited(
            Limit::Instances,
            format!(
                "needs more than {} core instances, memories or tables",
                meter.budget.instances
            ),
        );
    }
    match error.downcast_ref::<Trap>() {
        Some(Trap::OutOfFuel) => {
            return Stop::limited(
                Limit::Fuel,
                format!(
                    "used up its {} units of fuel",
                    meter.budget.fuel.unwrap_or(0)
                ),
            );
        }
        Some(Trap::Interrupt) => {
            return Stop::limited(Limit::Cpu, "was interrupted".into());
        }
        Some(Trap::StackOverflow) => {
            return Stop::trapped("stack_overflow", "the guest's stack overflowed".into());
        }
        _ => {}
    }
    if let Some((limit, message)) = meter.refused() {
        return Stop::limited(limit, message);
    }
    if let Some(exit) = error.downcast_ref::<wasmtime_wasi::I32Exit>() {
        return Stop {
            outcome: Outcome::Failed,
            reason: Some("exit".into()),
            message: format!("the guest exited with code {}", exit.0),
            hint: None,
            backtrace: Vec::new(),
        };
    }
    if let Some(trap) = error.downcast_ref::<Trap>() {
        return Stop::trapped("trap", trap.to_string());
    }
    let message: String = escape(&root(error)).chars().take(MESSAGE_MAX).collect();
    Stop::trapped("abi", message)
}

/// The innermost message: the ones around it say where in the host it passed.
fn root(error: &wasmtime::Error) -> String {
    error
        .chain()
        .last()
        .map_or_else(|| error.to_string(), ToString::to_string)
}

/// The guest's frames, with names and, where there is debug information, files and lines.
fn backtrace(error: &wasmtime::Error) -> Vec<Frame> {
    let Some(backtrace) = error.downcast_ref::<WasmBacktrace>() else {
        return Vec::new();
    };
    let mut frames = Vec::new();
    for frame in backtrace.frames() {
        let name = |raw: Option<&str>| {
            raw.map_or_else(
                || format!("<function {}>", frame.func_index()),
                |raw| escape(&format!("{:#}", rustc_demangle::demangle(raw))),
            )
        };
        if frame.symbols().is_empty() {
            frames.push(Frame {
                function: name(frame.func_name()),
                file: None,
                line: None,
            });
        }
        for symbol in frame.symbols() {
            frames.push(Frame {
                function: name(symbol.name().or(frame.func_name())),
                file: symbol.file().map(short),
                line: symbol.line(),
            });
        }
    }
    frames
}

/// A source path as its author knows it: the builder's directories are nobody's business.
fn short(path: &str) -> String {
    let parts: Vec<&str> = path.split('/').collect();
    let from = parts
        .iter()
        .rposition(|part| *part == "src")
        .map_or(parts.len().saturating_sub(2), |at| at.saturating_sub(1));
    escape(&parts[from..].join("/"))
}

#[cfg(test)]
mod tests {
    use super::short;

    #[test]
    fn shortens_source_paths_to_what_the_author_knows() {
        let check = |path, expected| assert_eq!(short(path), expected);
        check(
            "/build/x/plugins/policy/src/engine.rs",
            "policy/src/engine.rs",
        );
        check("src/lib.rs", "src/lib.rs");
        check(
            "/rustc/abc/library/std/src/panicking.rs",
            "std/src/panicking.rs",
        );
        check("lib.rs", "lib.rs");
    }
}
