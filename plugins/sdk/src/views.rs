//! Files that the host makes of what it knows of itself.

use crate::host::on_host;

pub use crate::bindings::infinity::agent::views::Error;

#[cfg(target_arch = "wasm32")]
use crate::bindings::infinity::agent::views as calls;

/// A view's bytes; none where there is nothing at the moment.
///
/// # Errors
/// As the contract's `views.error`.
pub fn read(name: &str) -> Result<Option<Vec<u8>>, Error> {
    on_host!(
        wasm => calls::read(name),
        native => |host| match host.views.get(name) {
            Some(bytes) => Ok(bytes.clone()),
            None => Err(Error::Unknown(format!("the host makes no view `{name}`"))),
        }
    )
}

/// The message of an error, for a report.
#[must_use]
pub fn message(error: &Error) -> &str {
    match error {
        Error::Denied(text) | Error::Unknown(text) | Error::Other(text) => text,
    }
}
