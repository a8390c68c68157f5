//! Every value that this process knows to be secret, and how texts lose them: whatever a guest says, and whatever the host logs, goes through [`mask`].
//!
//! Invariants: what is masked is found in one pass over a text, however many values there are; a value that was known stays known until the process ends, as texts with it may still come; no value
//! leaves this module.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::io;
use std::sync::{LazyLock, Mutex, PoisonError};

use aho_corasick::{AhoCorasick, MatchKind};
use arc_swap::ArcSwapOption;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use serde_json::Value;

/// Bytes of the shortest value that is masked, and of its shortest spelling: shorter ones stand in texts by chance, and a text without them is no text any more.
pub const LENGTH_MIN: usize = 8;

/// Values that are masked at most: a search for more would take as much memory as the host.
const VALUES_MAX: usize = 4_096;

/// What stands in a value's place.
const STARS: &str = "****";

/// All values, and their spellings in one search; none while nothing is known.
static VALUES: LazyLock<Mutex<BTreeSet<String>>> = LazyLock::new(Mutex::default);
static SEARCH: LazyLock<ArcSwapOption<AhoCorasick>> = LazyLock::new(ArcSwapOption::empty);

/// Adds values to what is masked from now on.
pub fn learn<'v>(values: impl IntoIterator<Item = &'v str>) {
    let mut known = VALUES.lock().unwrap_or_else(PoisonError::into_inner);
    let before = known.len();
    for value in values {
        if value.len() >= LENGTH_MIN && known.len() < VALUES_MAX {
            known.insert(value.to_owned());
        }
    }
    if known.len() == before {
        return;
    }
    match search(&known) {
        Ok(search) => SEARCH.store(Some(search.into())),
        Err(error) => tracing::error!("new secrets cannot be masked: {error}"),
    }
}

fn search(values: &BTreeSet<String>) -> Result<AhoCorasick, aho_corasick::BuildError> {
    let spellings: BTreeSet<String> = values
        .iter()
        .flat_map(|value| spellings(value))
        .filter(|spelling| spelling.len() >= LENGTH_MIN)
        .collect();
    AhoCorasick::builder()
        .match_kind(MatchKind::LeftmostLongest)
        .build(spellings)
}

/// The ways in which a value is commonly written.
fn spellings(value: &str) -> Vec<String> {
    let mut spellings = vec![value.to_owned()];
    // Where a value stands in a longer text, its beginning shifts what base64 makes of it: there are three ways, each with ends that depend on the neighbours.
    for shift in 0..3_usize {
        let mut bytes = vec![0; shift];
        bytes.extend_from_slice(value.as_bytes());
        let first = [0, 2, 3][shift];
        let last = bytes.len() * 8 / 6;
        for text in [
            STANDARD_NO_PAD.encode(&bytes),
            URL_SAFE_NO_PAD.encode(&bytes),
        ] {
            spellings.extend(text.get(first..last).map(str::to_owned));
        }
    }
    let mut upper = String::new();
    let mut lower = String::new();
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            upper.push(char::from(byte));
            lower.push(char::from(byte));
        } else {
            upper.push_str(&format!("%{byte:02X}"));
            lower.push_str(&format!("%{byte:02x}"));
        }
    }
    spellings.extend([upper, lower]);
    let json = Value::String(value.to_owned()).to_string();
    spellings.push(json[1..json.len() - 1].to_owned());
    spellings.push(crate::sandbox::meter::escape(value));
    // Of a value of several lines, such as a private key, each line says too much.
    if value.contains('\n') {
        spellings.extend(value.lines().map(|line| line.trim().to_owned()));
    }
    spellings
}

/// The text with `****` for every known value.
#[must_use]
pub fn mask(text: &str) -> Cow<'_, str> {
    let search = SEARCH.load();
    let Some(search) = search.as_ref() else {
        return Cow::Borrowed(text);
    };
    let mut masked = String::new();
    let mut end = 0;
    for found in search.find_iter(text) {
        masked.push_str(&text[end..found.start()]);
        masked.push_str(STARS);
        end = found.end();
    }
    if end == 0 {
        return Cow::Borrowed(text);
    }
    masked.push_str(&text[end..]);
    Cow::Owned(masked)
}

/// Masks a text in its place.
pub fn mask_text(text: &mut String) {
    if let Cow::Owned(masked) = mask(text) {
        *text = masked;
    }
}

/// Masks the texts and the names of fields in a value, as deep as it goes: what is masked was read with a bound.
pub fn mask_value(value: &mut Value) {
    match value {
        Value::String(text) => mask_text(text),
        Value::Array(items) => items.iter_mut().for_each(mask_value),
        Value::Object(fields) => {
            fields.values_mut().for_each(mask_value);
            if fields
                .keys()
                .any(|name| matches!(mask(name), Cow::Owned(_)))
            {
                *fields = std::mem::take(fields)
                    .into_iter()
                    .map(|(name, value)| (mask(&name).into_owned(), value))
                    .collect();
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// The bytes of a file, masked where they are text; none where nothing changes.
#[must_use]
pub fn mask_bytes(bytes: &[u8]) -> Option<Vec<u8>> {
    match mask(std::str::from_utf8(bytes).ok()?) {
        Cow::Owned(masked) => Some(masked.into_bytes()),
        Cow::Borrowed(_) => None,
    }
}

/// Masks any record, by way of its JSON. A record without a known value stays as it is.
pub fn mask_record<T: serde::Serialize + serde::de::DeserializeOwned>(record: &mut T) {
    let is_known = |text: &str| {
        let search = SEARCH.load();
        search.as_ref().is_some_and(|search| search.is_match(text))
    };
    if SEARCH.load().is_none() {
        return;
    }
    let Ok(text) = serde_json::to_string(record) else {
        return;
    };
    if !is_known(&text) {
        return;
    }
    let masked = serde_json::from_str(&text).map(|mut value| {
        mask_value(&mut value);
        value
    });
    if let Ok(masked) = masked.and_then(serde_json::from_value) {
        *record = masked;
    }
}

/// Standard error, on which no known value appears. One write is one whole line or more.
#[derive(Clone, Copy, Debug, Default)]
pub struct MaskedErrors;

impl io::Write for MaskedErrors {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match mask_bytes(bytes) {
            Some(masked) => io::stderr().write_all(&masked)?,
            None => io::stderr().write_all(bytes)?,
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::engine::general_purpose::STANDARD;
    use serde_json::json;

    // The values of a process are shared by its tests, so each test has its own.

    #[test]
    fn a_known_value_is_masked_in_every_spelling() {
        let value = "p\"ss w/rd-known-1";
        assert_eq!(mask(&format!("<{value}>")), format!("<{value}>"));
        learn([value, "short"]);
        let check = |text: &str, expected: &str| assert_eq!(mask(text), expected, "{text}");
        check(&format!("<{value}>"), "<****>");
        check("p%22ss%20w%2Frd-known-1", "****");
        check("p%22ss%20w%2frd-known-1", "****");
        check(r#"{"a":"p\"ss w/rd-known-1"}"#, r#"{"a":"****"}"#);
        check("short stays", "short stays");
        for before in ["", "a", "ab", "user:"] {
            let text = STANDARD.encode(format!("{before}{value}!"));
            let masked = mask(&text).into_owned();
            assert!(masked.contains(STARS), "{before}: {masked}");
            assert!(masked.len() < STARS.len() + 12, "{before}: {masked}");
        }
    }

    #[test]
    fn values_and_files_are_masked_and_nothing_else_changes() {
        learn(["another-known-value"]);
        let mut value = json!({ "a": ["x another-known-value y", 1], "another-known-value": null });
        mask_value(&mut value);
        assert_eq!(value, json!({ "a": ["x **** y", 1], "****": null }));
        assert_eq!(mask_bytes(b"nothing here"), None);
        assert_eq!(mask_bytes(b"\xff another-known-value"), None);
        assert_eq!(
            mask_bytes(b"= another-known-value").as_deref(),
            Some(&b"= ****"[..])
        );
        let mut record = vec!["another-known-value".to_owned(), "other".to_owned()];
        mask_record(&mut record);
        assert_eq!(record, ["****", "other"]);
    }
}
