//! Cases that read repositories.

use crate::input::{Answer, Input, observed};
use infinity_sdk::forge;
use serde_json::json;

fn error(error: &forge::Error) -> serde_json::Value {
    json!({ "error": format!("{error:?}") })
}

/// The granted repositories.
pub(crate) fn repositories(_: &Input) -> Answer {
    observed(&json!({ "repositories": forge::repositories() }))
}

/// A file of `repository` at `reference`.
pub(crate) fn read(input: &Input) -> Answer {
    let reference = input.text_or("reference", "HEAD");
    match forge::read(input.text("repository")?, reference, input.text("path")?) {
        Ok(bytes) => observed(&json!({
            "bytes": bytes.len(),
            "text": String::from_utf8_lossy(&bytes[..bytes.len().min(4096)]),
        })),
        Err(failed) => observed(&error(&failed)),
    }
}

/// Commits of `repository`.
pub(crate) fn log(input: &Input) -> Answer {
    let reference = input.text_or("reference", "HEAD");
    let since = input.get("since").and_then(|since| since.as_str());
    let limit = u32::try_from(input.number_or("limit", 10)).unwrap_or(u32::MAX);
    match forge::log(input.text("repository")?, reference, since, limit) {
        Ok(commits) => observed(&json!({ "commits": commits })),
        Err(failed) => observed(&error(&failed)),
    }
}

/// Files of `repository` below `path`.
pub(crate) fn tree(input: &Input) -> Answer {
    let reference = input.text_or("reference", "HEAD");
    match forge::tree(
        input.text("repository")?,
        reference,
        input.text_or("path", ""),
    ) {
        Ok(entries) => observed(&json!({ "entries": entries })),
        Err(failed) => observed(&error(&failed)),
    }
}

/// What changed from `base`, or the first parent, to `head`.
pub(crate) fn diff(input: &Input) -> Answer {
    let base = input.get("base").and_then(|base| base.as_str());
    match forge::diff(
        input.text("repository")?,
        base,
        input.text_or("head", "HEAD"),
    ) {
        Ok(files) => observed(&json!({ "files": files })),
        Err(failed) => observed(&error(&failed)),
    }
}
