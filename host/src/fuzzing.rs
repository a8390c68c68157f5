//! What must hold of whatever somebody sends before anybody knows who it is (keys, tokens, forwarded addresses, signatures), and of what is read before anything is run: configurations,
//! components, lines of grants and the addresses that guests ask for. Each target takes any bytes and panics where something does not hold.
//!
//! `cargo xtask fuzz` looks for such bytes for a minute each, from the seeds in `fuzz/seeds`, from the configurations of the tests and from their components; the tests below do the same for some
//! seconds, on every run.

use crate::access::address::{Client, forwarded};
use crate::access::issuer::{TOKEN_MAX, header, is_token};
use crate::access::keys::naming;
use crate::access::{Scope, sessions::is_session};
use crate::api::is_signed;
use crate::config::{self, ConfigErrors, MAX_ERRORS, Overrides};
use crate::sandbox::http::{Asked, HttpGrant, granted};
use crate::sandbox::inspect::{inspect, unknown_imports};
use crate::sandbox::linked_here;
use aws_lc_rs::hmac;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use ipnet::IpNet;
use jsonwebtoken::Algorithm;
use std::net::IpAddr;
use std::path::Path;

/// A target: its name, and what it does.
pub type Target = (&'static str, fn(&[u8]));

/// All of them.
pub const TARGETS: [Target; 8] = [
    ("key", key),
    ("token", token),
    ("forwarded", forwarded_for),
    ("webhook", webhook),
    ("configuration", configuration),
    ("grant", grant),
    ("component", component),
    ("loading", loading),
];

/// The most that a message about a component says, in bytes: it repeats names that the component chose, and somebody reads it.
const MESSAGE_MAX: usize = 64 * 1024;

/// What is compiled here, in bytes: the compiler's own cost is bounded in a process of its own, which this one is not.
const COMPILED_MAX: usize = 16 * 1024;

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

/// The text of a `plugins.toml`.
pub fn configuration(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let path = Path::new("/nowhere/plugins.toml");
    let variable = |name: &str| (name == "SET").then(|| "a value of some length".to_owned());
    let strict = config::parse(&text, path, &variable, &Overrides::default());
    let tolerant = config::parse_tolerant(&text, path, &variable, &Overrides::default());
    let whole = |config: &config::Config| config.disabled.is_empty() && config.left_out.is_empty();
    match (&strict, &tolerant) {
        (Ok(_), Ok(tolerant)) => assert!(whole(tolerant), "{text:?}"),
        (Ok(_), Err(errors)) => panic!("mercy finds more mistakes: {errors}"),
        (Err(_), Ok(tolerant)) => assert!(!whole(tolerant), "{text:?}"),
        (Err(_), Err(_)) => {}
    }
    if let Ok(tolerant) = &tolerant {
        for agent in &tolerant.disabled {
            assert!(!agent.errors.is_empty(), "{text:?}");
        }
    }
    for errors in [strict.err(), tolerant.err()].into_iter().flatten() {
        are_places_in(&errors, &text);
    }
}

/// Whether every mistake has a place inside the text, or none.
fn are_places_in(errors: &ConfigErrors, text: &str) {
    assert!(!errors.errors.is_empty(), "{text:?}");
    assert!(errors.errors.len() <= MAX_ERRORS, "{text:?}");
    let lines = text.split('\n').count();
    for error in &errors.errors {
        let told = format!("{error:?} in {text:?}");
        assert!(!error.message.is_empty(), "{told}");
        assert!(!error.message.chars().any(char::is_control), "{told}");
        if error.line == 0 {
            assert_eq!(error.column, 0, "{told}");
            continue;
        }
        // The text that is kept is masked byte for byte, so that places hold in it.
        for text in [text, &errors.text] {
            assert!(text.get(error.span.clone()).is_some(), "{told}");
        }
        assert!(error.line <= lines && error.column >= 1, "{told}");
    }
    assert!(!errors.to_string().is_empty());
}

/// A line of `grants.http`, and behind the first line's end the address that a guest asks for.
pub fn grant(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let (line, url) = text.split_once('\n').unwrap_or((&text, ""));
    let Ok(grant) = HttpGrant::parse(line, &[], &[]) else {
        return;
    };
    // Its normal spelling is one: read again, it is the same.
    let normal = grant.url();
    let again = HttpGrant::parse(&normal, &[], &[]).map(|grant| grant.url());
    assert_eq!(again.as_deref(), Ok(normal.as_str()), "{line:?}");

    let Ok(uri) = url.parse::<Uri>() else {
        return;
    };
    let Some(asked) = granted(&grant, &Method::GET, &uri) else {
        return;
    };
    let told = format!("{line:?} grants {url:?} as {asked:?}");
    is_within(&normal, &asked, &told);
    // Asked for in its normal spelling, it is the same request.
    let same: Uri = asked.url.parse().unwrap_or_else(|_| panic!("{told}"));
    let same = granted(&grant, &Method::GET, &same);
    assert_eq!(same.as_ref(), Some(&asked), "{told}");
    // Who reads addresses by another book (servers, proxies, browsers) reads the same one, or none: in what is sent, and in what the guest wrote.
    for written in [asked.url.as_str(), url] {
        let Ok(other) = reqwest::Url::parse(written) else {
            continue;
        };
        if !written.contains("://") {
            continue;
        }
        let host = other.host_str().unwrap_or_default().trim_end_matches('.');
        assert_eq!(host, asked.host, "{told}: {other}");
        assert_eq!(other.port_or_known_default(), Some(asked.port), "{told}");
        assert_eq!(other.scheme(), asked.scheme, "{told}");
        assert!(
            other.username().is_empty() && other.password().is_none(),
            "{told}"
        );
        assert_eq!(decoded(other.path()), decoded(&asked.path), "{told}");
    }
}

/// Whether a granted request stays within the normal spelling of its grant.
fn is_within(normal: &str, asked: &Asked, told: &str) {
    let (scheme, rest) = normal.split_once("://").unwrap_or_else(|| panic!("{told}"));
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    assert_eq!(scheme, asked.scheme, "{told}");
    let name = match authority.rsplit_once(':') {
        Some((name, port)) if !port.contains(']') => {
            assert_eq!(port, asked.port.to_string(), "{told}");
            name
        }
        _ => {
            let port = if scheme == "https" { 443 } else { 80 };
            assert_eq!(asked.port, port, "{told}");
            authority
        }
    };
    match name.strip_prefix('*') {
        Some(below) => assert!(
            asked.host.ends_with(below) && asked.host.len() > below.len(),
            "{told}"
        ),
        None => assert_eq!(name, asked.host, "{told}"),
    }
    match path.strip_suffix('*') {
        Some(below) => assert!(asked.path.starts_with(below), "{told}"),
        None => assert_eq!(path, asked.path, "{told}"),
    }
}

/// A path with what is percent-encoded in plain bytes: books differ in what they encode.
fn decoded(path: &str) -> Vec<u8> {
    let bytes = path.as_bytes();
    let mut plain = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let pair = path.get(at + 1..at + 3);
        let value = pair.and_then(|pair| u8::from_str_radix(pair, 16).ok());
        match value {
            Some(value) if *byte == b'%' => {
                plain.push(value);
                at += 3;
            }
            _ => {
                plain.push(*byte);
                at += 1;
            }
        }
    }
    plain
}

/// The bytes of a plugin, looked at.
pub fn component(bytes: &[u8]) {
    match inspect(bytes) {
        Ok(inspection) => {
            assert_eq!(inspection.size_bytes, bytes.len() as u64);
            assert!(inspection.digest.starts_with("sha256:"));
            let unknown = unknown_imports(&inspection.imports);
            assert!(unknown.iter().all(|name| inspection.imports.contains(name)));
            // What it says of itself is printed and kept.
            let names = [&inspection.imports, &inspection.exports]
                .into_iter()
                .flatten()
                .chain(&inspection.name)
                .chain(&inspection.version);
            for name in names {
                assert!(!name.chars().any(char::is_control), "{name:?}");
            }
        }
        Err(error) => {
            let message = error.to_string();
            assert!(!message.chars().any(char::is_control), "{message:?}");
            assert!(message.len() <= MESSAGE_MAX, "{} bytes", message.len());
        }
    }
}

/// The bytes of a plugin, on their way to an agent: what passes the look is compiled, and linked against all that the host serves. Neither runs anything.
pub fn loading(bytes: &[u8]) {
    let Ok(inspection) = inspect(bytes) else {
        return;
    };
    if bytes.len() > COMPILED_MAX || !unknown_imports(&inspection.imports).is_empty() {
        return;
    }
    // What the look let pass the engine knows: a feature that it does not have was named before.
    if let Err(error) = linked_here(bytes) {
        let message = format!("{error:#}");
        assert!(!message.contains("support is not enabled"), "{message}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::path::Path;

    /// The files of a folder beside the host's.
    fn files(folder: &str, end: &str) -> Vec<Vec<u8>> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("..")
            .join(folder);
        let mut files: Vec<_> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.to_string_lossy().ends_with(end))
            .collect();
        files.sort();
        files
            .iter()
            .map(|file| std::fs::read(file).unwrap())
            .collect()
    }

    /// As `cargo xtask fuzz` takes them.
    fn seeds(target: &str) -> Vec<Vec<u8>> {
        match target {
            "configuration" => files("tests/config", ".toml"),
            "component" | "loading" => files("host/selftest/agents", ".wat")
                .iter()
                .map(|text| wat::parse_bytes(text).unwrap().into_owned())
                .collect(),
            _ => files(&format!("fuzz/seeds/{target}"), ""),
        }
    }

    /// How often: what takes a millisecond at a time is tried less.
    fn cases(target: &str) -> u32 {
        match target {
            "configuration" | "loading" => 500,
            _ => 5_000,
        }
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
            assert!(seeds.len() >= 4, "there are too few seeds for `{name}`");
            for seed in &seeds {
                target(seed);
            }
            let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
                cases: cases(name),
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
