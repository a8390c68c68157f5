//! Code that is judged in sandboxes of its own.

use crate::host::on_host;

pub use crate::bindings::infinity::agent::checks::Error;

#[cfg(target_arch = "wasm32")]
use crate::bindings::infinity::agent::checks as calls;

/// Hands a submission in, as `POST /v1/checks` takes it, and gives the record of the check with its verdict.
///
/// # Errors
/// As the contract's `checks.error`; [`Error::Unavailable`] for an answer that is no JSON.
pub fn check(submission: &serde_json::Value) -> Result<serde_json::Value, Error> {
    let submission = submission.to_string();
    let answer: Result<String, Error> = on_host!(
        wasm => calls::check(&submission),
        native => |host| match &host.checks {
            Some(judge) => judge(&submission),
            None => Err(Error::Denied("having code judged is not granted".into())),
        }
    );
    serde_json::from_str(&answer?)
        .map_err(|error| Error::Unavailable(format!("the answer is no JSON: {error}")))
}

/// The message of an error, for a report.
#[must_use]
pub fn message(error: &Error) -> &str {
    match error {
        Error::Denied(text) | Error::Invalid(text) | Error::Unavailable(text) => text,
    }
}
