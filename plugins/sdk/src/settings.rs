//! The agent's `settings` table of `plugins.toml`, through `wasi:config/store`.
//!
//! Strings arrive as they are, everything else as JSON.

use crate::host::on_host;
use crate::types::Failure;
use serde::de::DeserializeOwned;

/// The raw text of one setting.
#[must_use]
pub fn raw(key: &str) -> Option<String> {
    on_host!(
        wasm => crate::bindings::wasi::config::store::get(key).ok().flatten(),
        native => |host| host.settings.get(key).cloned()
    )
}

/// A setting, if it is there.
///
/// # Errors
/// [`Failure::InvalidInput`] when the value has another type.
pub fn optional<T: DeserializeOwned>(key: &str) -> Result<Option<T>, Failure> {
    let Some(text) = raw(key) else {
        return Ok(None);
    };
    serde_json::from_str(&text)
        .or_else(|first| serde_json::from_value(serde_json::Value::String(text)).map_err(|_| first))
        .map(Some)
        .map_err(|error| {
            Failure::InvalidInput(format!("setting `{key}` has the wrong type: {error}"))
        })
}

/// A setting that must be there.
///
/// # Errors
/// [`Failure::InvalidInput`] when it is missing or has another type.
pub fn required<T: DeserializeOwned>(key: &str) -> Result<T, Failure> {
    optional(key)?.ok_or_else(|| Failure::InvalidInput(format!("setting `{key}` is missing")))
}
