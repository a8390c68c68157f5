//! Files that a run makes.

use crate::host::on_host;
use crate::types::Failure;

/// Keeps bytes under a name that is unique in the run and answers with their digest, `sha256:<hex>`.
///
/// # Errors
/// [`Failure::Other`] when the name is not allowed or the run's output limit is reached.
pub fn put(name: &str, media_type: &str, content: &[u8]) -> Result<String, Failure> {
    on_host!(
        wasm => {
            use crate::bindings::infinity::agent::artifacts::{Error, put};
            put(name, media_type, content).map_err(|error| match error {
                Error::InvalidName(message) | Error::TooLarge(message) | Error::Other(message) => {
                    Failure::Other(message)
                }
            })
        },
        native => |host| {
            host.artifacts.insert(name.to_owned(), (media_type.to_owned(), content.to_vec()));
            Ok(format!("sha256:test-{name}"))
        }
    )
}
