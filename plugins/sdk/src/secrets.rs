//! Secrets that the agent reads itself, which takes a grant `reveal`. Most need none: the host adds a granted credential to requests by itself.

use crate::host::on_host;

pub use crate::bindings::infinity::agent::secrets::Error;

#[cfg(target_arch = "wasm32")]
use crate::bindings::infinity::agent::secrets as calls;

/// The value of a secret as it is now.
///
/// # Errors
/// As the contract's `secrets.error`: without a grant and without such a secret it is the same.
pub fn reveal(name: &str) -> Result<String, Error> {
    on_host!(
        wasm => calls::reveal(name),
        native => |host| match host.secrets.get(name) {
            Some(value) => Ok(value.clone()),
            None => Err(Error::Denied(format!("secret_denied: reading the secret `{name}` is not granted"))),
        }
    )
}

/// The message of an error, for a report.
#[must_use]
pub fn message(error: &Error) -> &str {
    match error {
        Error::Denied(text) | Error::Other(text) => text,
    }
}
