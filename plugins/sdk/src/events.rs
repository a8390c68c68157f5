//! Events that an agent announces.

use crate::host::on_host;
use crate::types::Failure;

/// Announces that something happened: a type such as `build.finished`, perhaps what it is about, and details. It is published together with the end of the run, and only if
/// the run succeeds.
///
/// # Errors
/// [`Failure::Other`] when the agent's grants do not name the type, the event is invalid, or there are too many.
pub fn emit(
    kind: &str,
    subject: Option<&str>,
    data: &impl serde::Serialize,
) -> Result<(), Failure> {
    let data = serde_json::to_string(data)
        .map_err(|error| Failure::Other(format!("the event's data is no JSON: {error}")))?;
    on_host!(
        wasm => {
            use crate::bindings::infinity::agent::events::{Error, emit};
            emit(kind, subject, &data).map_err(|error| match error {
                Error::Denied(message) | Error::Invalid(message) | Error::TooMany(message) => {
                    Failure::Other(message)
                }
            })
        },
        native => |host| {
            host.events.push((kind.to_owned(), subject.map(str::to_owned), data));
            Ok(())
        }
    )
}
