//! What must hold of whatever somebody sends before anybody knows who it is: keys, tokens, forwarded addresses, signatures. Each target takes any bytes and panics where something does not hold.
//!
//! `cargo xtask fuzz` looks for such bytes for a minute each, from the seeds in `fuzz/seeds`; the tests below do the same for a second, on every run.

use crate::access::address::{Client, forwarded};
use crate::access::issuer::{TOKEN_MAX, header, is_token};
use crate::access::keys::naming;
use crate::access::{Scope, sessions::is_session};
use crate::api::is_signed;
use aws_lc_rs::hmac;
use http::{HeaderMap, HeaderName, HeaderValue};
use ipnet::IpNet;
use jsonwebtoken::Algorithm;
use std::net::IpAddr;

/// A target: its name, and what it does.
pub type Target = (&'static str, fn(&[u8]));

/// All of them.
pub const TARGETS: [Target; 4] = [
    ("key", key),
    ("token", token),
    ("forwarded", forwarded_for),
    ("webhook", webhook),
];

/// A text that is shown as a key, or written as a scope.
pub fn key(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Some(naming) = naming(&text) {
        assert_eq!(naming.len(), 8, "{text:?}");
        assert!(text.is_ascii() && text.starts_with("inf_"), "{text:?}");
        assert!(!is_session(&text) && !is_token(&text), "{text:?}");
        // A slip of the hand is no key.
        let slipped = text.replacen(naming, &naming.chars().rev().collect::<String>(), 1);
        assert!(
            slipped == text || self::naming(&slipped).is_none(),
            "{text:?}"
        );
    }
    if let Ok(scope) = text.parse::<Scope>() {
        let written = scope.to_string();
        assert_eq!(written.parse::<Scope>().as_ref(), Ok(&scope), "{text:?}");
        assert!(written.len() <= Scope::MAX, "{text:?}");
    }
}

/// A text that is shown as a token of a provider.
pub fn token(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Ok((_, algorithm)) = header(&text) {
        // Nothing that needs no key, or one that both sides have.
        assert!(
            !matches!(
                algorithm,
                Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512
            ),
            "{text:?}"
        );
        assert!(text.len() <= TOKEN_MAX, "{text:?}");
        assert_eq!(text.split('.').count(), 3, "{text:?}");
    }
}

/// What proxies say, or somebody who would like to be taken for one: lines of `X-Forwarded-For`.
pub fn forwarded_for(bytes: &[u8]) {
    let trusted: Vec<IpNet> = ["10.0.0.0/8", "fd00::/8"]
        .iter()
        .filter_map(|network| network.parse().ok())
        .collect();
    let is_trusted = |address: &IpAddr| trusted.iter().any(|network| network.contains(address));
    let mut headers = HeaderMap::new();
    for line in bytes.split(|byte| *byte == b'\n') {
        if let Ok(value) = HeaderValue::from_bytes(line) {
            headers.append(HeaderName::from_static("x-forwarded-for"), value);
        }
    }
    let outside = IpAddr::from([203, 0, 113, 7]);
    assert_eq!(forwarded(outside, &headers, &trusted), outside);
    let proxy = IpAddr::from([10, 0, 0, 1]);
    let found = forwarded(proxy, &headers, &trusted);
    assert_eq!(found, found.to_canonical());
    // Nobody is who is not written there, and behind an address that is no proxy's nothing is believed.
    let written: Vec<IpAddr> = headers
        .get_all("x-forwarded-for")
        .iter()
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(','))
        .filter_map(|part| {
            let part = part.trim();
            let bare = part
                .trim_start_matches('[')
                .split(']')
                .next()
                .unwrap_or(part);
            let parsed = bare.parse::<IpAddr>().or_else(|error| {
                part.rsplit_once(':')
                    .map_or(Err(error), |(address, _)| address.parse())
            });
            parsed.ok().map(|address| address.to_canonical())
        })
        .collect();
    assert!(
        found == proxy || written.contains(&found),
        "{found} of {written:?}"
    );
    if let Some(last) = written.last()
        && !is_trusted(&found)
        && !is_trusted(last)
    {
        assert_eq!(found, *last, "{written:?}");
    }
    let client = Client::of(found);
    assert_eq!(client.to_string().parse::<Client>().as_ref(), Ok(&client));
}

/// A delivery: its signature up to the first line's end, then its body.
pub fn webhook(bytes: &[u8]) {
    let secret = b"a secret of sixteen characters and more";
    let mut parts = bytes.splitn(2, |byte| *byte == b'\n');
    let (given, body) = (
        parts.next().unwrap_or_default(),
        parts.next().unwrap_or_default(),
    );
    let Ok(value) = HeaderValue::from_bytes(given) else {
        return;
    };
    let mut headers = HeaderMap::new();
    headers.insert(HeaderName::from_static("x-hub-signature-256"), value);
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), body);
    let right = format!("sha256={}", hex::encode(tag.as_ref()));
    let same =
        String::from_utf8_lossy(given).to_lowercase() == right && given.starts_with(b"sha256=");
    assert_eq!(is_signed(&headers, body, secret), same);
    headers.insert(
        HeaderName::from_static("x-hub-signature-256"),
        HeaderValue::from_str(&right).unwrap_or(HeaderValue::from_static("")),
    );
    assert!(is_signed(&headers, body, secret));
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::path::Path;

    fn seeds(target: &str) -> Vec<Vec<u8>> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../fuzz/seeds")
            .join(target);
        let mut files: Vec<_> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        files.sort();
        files
            .iter()
            .map(|file| std::fs::read(file).unwrap())
            .collect()
    }

    /// A seed in which some bytes are changed, left out, put in or said twice; or bytes of no seed.
    fn near(seeds: Vec<Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
        let change = (0_u8..4, any::<prop::sample::Index>(), any::<u8>());
        let changes = prop::collection::vec(change, 0..8);
        let changed = (prop::sample::select(seeds), changes).prop_map(|(mut bytes, changes)| {
            for (kind, place, byte) in changes {
                let place = place.index(bytes.len() + 1);
                match kind {
                    0 if place < bytes.len() => bytes[place] = byte,
                    1 if place < bytes.len() => {
                        bytes.remove(place);
                    }
                    2 => bytes.insert(place, byte),
                    3 => bytes.extend_from_within(place..),
                    _ => {}
                }
            }
            bytes
        });
        prop_oneof![4 => changed, 1 => prop::collection::vec(any::<u8>(), 0..200)]
    }

    #[test]
    fn whatever_is_sent_what_must_hold_holds() {
        for (name, target) in TARGETS {
            let seeds = seeds(name);
            assert!(seeds.len() >= 4, "`fuzz/seeds/{name}` has too few");
            for seed in &seeds {
                target(seed);
            }
            let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
                cases: 5_000,
                failure_persistence: None,
                ..ProptestConfig::default()
            });
            let found = runner.run(&near(seeds), |bytes| {
                target(&bytes);
                Ok(())
            });
            assert!(found.is_ok(), "{name}: {found:?}");
        }
    }

    #[test]
    fn every_target_can_be_fuzzed() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/fuzz_targets");
        for (name, _) in TARGETS {
            let file = std::fs::read_to_string(folder.join(format!("{name}.rs"))).unwrap();
            assert!(file.contains("infinity::fuzzing::"), "{name}");
        }
    }
}
