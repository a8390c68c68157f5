//! Cases about the key-value space, and the hunt for secrets.

use crate::input::{Answer, Input, observed, outcome};
use infinity_sdk::bindings::wasi::config::store as config;
use infinity_sdk::bindings::wasi::keyvalue::store::{Bucket, Error};
use infinity_sdk::bindings::wasi::keyvalue::{atomics, store};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Runs `body` with the bucket that `bucket` names, the agent's own unless it is set, and turns an error into an observation.
fn with_bucket(input: &Input, body: impl FnOnce(&Bucket) -> Result<Value, Error>) -> Answer {
    let result = store::open(input.text_or("bucket", "")).and_then(|bucket| body(&bucket));
    match result {
        Ok(value) => observed(&value),
        Err(error) => observed(&json!({ "error": format!("{error:?}") })),
    }
}

fn text(value: Option<Vec<u8>>) -> Option<String> {
    value.map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

/// Reads the secret `name` and says how long it is, or why not; with `print` it goes to log, standard output, an artifact and the output.
pub(crate) fn reveal(input: &Input) -> Answer {
    let name = input.text("name")?;
    let value = match infinity_sdk::secrets::reveal(name) {
        Ok(value) => value,
        Err(error) => {
            return observed(&json!({ "error": infinity_sdk::secrets::message(&error) }));
        }
    };
    if !input.flag("print") {
        return observed(&json!({ "length": value.len() }));
    }
    infinity_sdk::log::info!("{value}");
    use std::io::Write;
    // A closed stream is for the test to notice.
    drop(writeln!(std::io::stdout(), "it is {value}"));
    let kept = infinity_sdk::artifacts::put("secret.txt", "text/plain", value.as_bytes());
    observed(&json!({ "length": value.len(), "value": value, "kept": kept.is_ok() }))
}

/// The value of `key`.
pub(crate) fn kv_get(input: &Input) -> Answer {
    let key = input.text("key")?;
    with_bucket(input, |bucket| {
        Ok(json!({ "value": text(bucket.get(key)?), "exists": bucket.exists(key)? }))
    })
}

/// Sets `key` to `value`.
pub(crate) fn kv_set(input: &Input) -> Answer {
    let key = input.text("key")?;
    let value = input.text("value")?;
    with_bucket(input, |bucket| {
        bucket.set(key, value.as_bytes())?;
        Ok(json!({ "set": true }))
    })
}

/// Removes `key`.
pub(crate) fn kv_delete(input: &Input) -> Answer {
    let key = input.text("key")?;
    with_bucket(input, |bucket| {
        bucket.delete(key)?;
        Ok(json!({ "deleted": true }))
    })
}

/// All keys, following the cursor.
pub(crate) fn kv_list(input: &Input) -> Answer {
    with_bucket(input, |bucket| {
        let mut keys = Vec::new();
        let mut pages = 0_u64;
        let mut cursor = None;
        loop {
            let page = bucket.list_keys(cursor)?;
            pages += 1;
            keys.extend(page.keys);
            cursor = page.cursor;
            if cursor.is_none() {
                break;
            }
        }
        Ok(json!({ "keys": keys, "pages": pages }))
    })
}

/// Adds `delta` to the counter `key`.
pub(crate) fn kv_increment(input: &Input) -> Answer {
    let key = input.text("key")?;
    let delta = input.number_or("delta", 1);
    with_bucket(input, |bucket| {
        Ok(json!({ "value": atomics::increment(bucket, key, delta)? }))
    })
}

/// Counts one effect for the run's idempotency key: `first` is true the first time only.
pub(crate) fn kv_set_once(input: &Input) -> Answer {
    let key = format!("once-{}", input.invocation.idempotency_key);
    with_bucket(input, |bucket| {
        let value = atomics::increment(bucket, &key, 1)?;
        Ok(json!({ "key": key, "first": value == 1 }))
    })
}

/// Opens the bucket `name` and lists it.
pub(crate) fn kv_open(input: &Input) -> Answer {
    let opened = store::open(input.text("name")?);
    let keys = opened
        .as_ref()
        .ok()
        .map(|bucket| match bucket.list_keys(None) {
            Ok(page) => json!(page.keys),
            Err(error) => json!(format!("{error:?}")),
        });
    observed(&json!({ "open": outcome(&opened), "keys": keys }))
}

/// Reads and writes under keys that try to leave the space; `key` adds one to the list.
pub(crate) fn kv_keys_tricks(input: &Input) -> Answer {
    let long = "k".repeat(64 * 1024);
    let mut keys = vec![
        "../x",
        "other:key",
        "other/key",
        "%",
        "_",
        "' OR 1=1 --",
        "nul\0key",
        "line\nkey",
        "\u{202e}key",
        "",
        " ",
        &long,
    ];
    keys.extend(input.texts("keys"));
    with_bucket(input, |bucket| {
        let outcomes: Vec<_> = keys
            .iter()
            .map(|key| {
                let before = bucket.get(key).map(|value| value.is_some());
                let set = bucket.set(key, b"tricked");
                let after = bucket.get(key).map(text);
                let short: String = key.chars().take(40).collect();
                json!({
                    "key": short,
                    "key_bytes": key.len(),
                    "existed": match before { Ok(there) => json!(there), Err(e) => json!(format!("{e:?}")) },
                    "set": outcome(&set),
                    "value": match after { Ok(value) => json!(value), Err(e) => json!(format!("{e:?}")) },
                })
            })
            .collect();
        Ok(json!({ "outcomes": outcomes }))
    })
}

/// Sets `count` keys to `bytes` bytes each until one is refused.
pub(crate) fn kv_flood(input: &Input) -> Answer {
    let count = input.number_or("count", 1_000_000);
    let value = vec![b'v'; input.size_or("bytes", 1024)];
    with_bucket(input, |bucket| {
        for number in 0..count {
            if let Err(error) = bucket.set(&format!("flood-{number}"), &value) {
                return Ok(json!({ "set": number, "error": format!("{error:?}") }));
            }
        }
        Ok(json!({ "set": count, "error": null }))
    })
}

/// Looks wherever a secret might lie: environment, arguments, settings, preopens, other buckets; `names` adds names to try, and each value
/// found under one is printed and logged where `print` is set.
pub(crate) fn env_hunt(input: &Input) -> Answer {
    let mut names = vec![
        "token",
        "secret",
        "secrets",
        "password",
        "api_key",
        "authorization",
        "GITHUB_TOKEN",
        "AWS_SECRET_ACCESS_KEY",
        "FOUNDER_API_KEY",
        "PATH",
        "HOME",
    ];
    names.extend(input.texts("names"));
    let environment: BTreeMap<String, String> = std::env::vars().collect();
    let mut by_config = BTreeMap::new();
    let mut by_bucket = BTreeMap::new();
    for name in &names {
        let found = config::get(name);
        if let (true, Ok(Some(value))) = (input.flag("print"), &found) {
            infinity_sdk::log::info!("found {value}");
            use std::io::Write;
            // A closed stream is for the test to notice.
            drop(writeln!(std::io::stdout(), "found {value}"));
        }
        by_config.insert(
            *name,
            match found {
                Ok(value) => json!(value),
                Err(error) => json!({ "error": format!("{error:?}") }),
            },
        );
        by_bucket.insert(*name, outcome(&store::open(name)));
    }
    let preopens: Vec<String> = wasip2::filesystem::preopens::get_directories()
        .into_iter()
        .map(|(_, path)| path)
        .collect();
    observed(&json!({
        "env": environment,
        "args": std::env::args().collect::<Vec<_>>(),
        "initial_cwd": wasip2::cli::environment::initial_cwd(),
        "config": by_config,
        "buckets": by_bucket,
        "preopens": preopens,
    }))
}
