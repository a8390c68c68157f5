//! The run's log, through `wasi:logging`. The host caps its rate and size and escapes control characters.

use crate::host::on_host;

/// How important a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// For whoever debugs the agent.
    Debug,
    /// What the agent does.
    Info,
    /// Something odd that did not stop it.
    Warn,
    /// Something that did.
    Error,
}

/// Writes one message.
pub fn write(severity: Severity, message: &str) {
    on_host!(
        wasm => {
            use crate::bindings::wasi::logging::logging::{Level, log};
            let level = match severity {
                Severity::Debug => Level::Debug,
                Severity::Info => Level::Info,
                Severity::Warn => Level::Warn,
                Severity::Error => Level::Error,
            };
            log(level, "", message);
        },
        native => |host| host.log.push((severity, message.to_owned()))
    );
}

/// Formats and writes at level info.
#[macro_export]
macro_rules! log_info { ($($arg:tt)*) => { $crate::log::write($crate::log::Severity::Info, &format!($($arg)*)) }; }
/// Formats and writes at level debug.
#[macro_export]
macro_rules! log_debug { ($($arg:tt)*) => { $crate::log::write($crate::log::Severity::Debug, &format!($($arg)*)) }; }
/// Formats and writes at level warn.
#[macro_export]
macro_rules! log_warn { ($($arg:tt)*) => { $crate::log::write($crate::log::Severity::Warn, &format!($($arg)*)) }; }
/// Formats and writes at level error.
#[macro_export]
macro_rules! log_error { ($($arg:tt)*) => { $crate::log::write($crate::log::Severity::Error, &format!($($arg)*)) }; }

pub use crate::{log_debug as debug, log_error as error, log_info as info, log_warn as warn};
