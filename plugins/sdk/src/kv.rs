//! The agent's own key-value space, through `wasi:keyvalue`. It survives runs and nobody else sees it.

use crate::host::on_host;
use crate::types::Failure;

#[cfg(target_arch = "wasm32")]
use crate::bindings::wasi::keyvalue::{atomics, store};

#[cfg(target_arch = "wasm32")]
fn failure(error: store::Error) -> Failure {
    match error {
        store::Error::NoSuchStore => Failure::Other("the key-value space is missing".into()),
        store::Error::AccessDenied => Failure::Other("the key-value space is denied".into()),
        store::Error::Other(message) => Failure::Other(message),
    }
}

#[cfg(target_arch = "wasm32")]
fn bucket() -> Result<store::Bucket, Failure> {
    store::open("").map_err(failure)
}

/// The value of a key.
///
/// # Errors
/// [`Failure::Other`] when the host refuses, for instance over a quota.
pub fn get(key: &str) -> Result<Option<Vec<u8>>, Failure> {
    on_host!(
        wasm => bucket()?.get(key).map_err(failure),
        native => |host| Ok(host.kv.get(key).cloned())
    )
}

/// Sets a key.
///
/// # Errors
/// As [`get`].
pub fn set(key: &str, value: &[u8]) -> Result<(), Failure> {
    on_host!(
        wasm => bucket()?.set(key, value).map_err(failure),
        native => |host| {
            host.kv.insert(key.to_owned(), value.to_vec());
            Ok(())
        }
    )
}

/// Removes a key; removing what is not there is no error.
///
/// # Errors
/// As [`get`].
pub fn delete(key: &str) -> Result<(), Failure> {
    on_host!(
        wasm => bucket()?.delete(key).map_err(failure),
        native => |host| {
            host.kv.remove(key);
            Ok(())
        }
    )
}

/// Adds to a counter and answers with its new value.
///
/// # Errors
/// As [`get`]; also when the value is no counter or would overflow.
pub fn increment(key: &str, delta: u64) -> Result<u64, Failure> {
    on_host!(
        wasm => atomics::increment(&bucket()?, key, delta).map_err(failure),
        native => |host| {
            let old = match host.kv.get(key) {
                None => 0,
                Some(bytes) => std::str::from_utf8(bytes)
                    .ok()
                    .and_then(|text| text.parse().ok())
                    .ok_or_else(|| Failure::Other(format!("`{key}` is no counter")))?,
            };
            let new = u64::checked_add(old, delta)
                .ok_or_else(|| Failure::Other(format!("`{key}` would overflow")))?;
            host.kv.insert(key.to_owned(), new.to_string().into_bytes());
            Ok(new)
        }
    )
}
