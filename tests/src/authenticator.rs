//! A browser with an authenticator of its own, as WebAuthn has them: ES256 keys, a counter for each, no attestation.
//!
//! Written from the standard, in the forms that browsers send. The host's own tests include this file.

#![allow(
    unreachable_pub,
    reason = "of the tests' crate it is a public module, in the host's tests a private one"
)]

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

/// Somebody is there.
const PRESENT: u8 = 0x01;
/// It is they.
const VERIFIED: u8 = 0x04;
/// A new key follows.
const ATTESTED: u8 = 0x40;

/// What stands before a point of P-256 in a public key.
const SPKI: &str = "3059301306072a8648ce3d020106082a8648ce3d030107034200";

/// A passkey.
pub struct Held {
    id: Vec<u8>,
    domain: String,
    key: EcdsaKeyPair,
    handle: Value,
    /// How often it was used.
    pub counter: u32,
}

/// A browser, and the passkeys of its authenticator.
#[derive(Default)]
pub struct Browser {
    /// In the order in which they were made.
    pub held: Vec<Held>,
}

fn text(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn client_data(kind: &str, options: &Value, page: &str) -> String {
    json!({ "type": kind, "challenge": options["challenge"], "origin": page, "crossOrigin": false })
        .to_string()
}

fn head(domain: &str, flags: u8, counter: u32) -> Vec<u8> {
    let hash = digest(&SHA256, domain.as_bytes());
    [hash.as_ref(), &[flags], &counter.to_be_bytes()].concat()
}

/// Whether browsers let a page use passkeys of a domain.
fn may(page: &str, domain: &str) -> bool {
    let host = page.split("://").nth(1).unwrap_or_default();
    let host = host.split(':').next().unwrap_or_default();
    host.strip_suffix(domain)
        .is_some_and(|below| below.is_empty() || below.ends_with('.'))
}

impl Browser {
    fn known(&mut self, listed: &Value) -> Option<&mut Held> {
        let ids: Vec<&str> = listed
            .as_array()
            .map_or(&[][..], Vec::as_slice)
            .iter()
            .filter_map(|one| one["id"].as_str())
            .collect();
        self.held
            .iter_mut()
            .find(|held| ids.contains(&text(&held.id).as_str()))
    }

    /// `navigator.credentials.create`, and the answer's `toJSON`.
    ///
    /// # Errors
    /// The name of the exception that a page sees.
    pub fn create(&mut self, page: &str, options: &Value) -> Result<Value, &'static str> {
        let domain = options["rp"]["id"].as_str().ok_or("TypeError")?.to_owned();
        if !may(page, &domain) {
            return Err("SecurityError");
        }
        if self.known(&options["excludeCredentials"]).is_some() {
            return Err("InvalidStateError");
        }
        let takes_es256 = options["pubKeyCredParams"]
            .as_array()
            .is_some_and(|all| all.iter().any(|one| one["alg"] == -7));
        if !takes_es256 {
            return Err("NotSupportedError");
        }
        let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).map_err(|_| "Unknown")?;
        let point = key.public_key().as_ref().to_vec();
        let mut id = vec![0; 16];
        aws_lc_rs::rand::fill(&mut id).map_err(|_| "Unknown")?;
        let (x, y) = point[1..].split_at(32);
        // A COSE key: EC2, ES256, P-256.
        let cose = [
            &[0xa5, 0x01, 0x02, 0x03, 0x26, 0x20, 0x01, 0x21, 0x58, 0x20],
            x,
            &[0x22, 0x58, 0x20],
            y,
        ]
        .concat();
        let data = [
            &head(&domain, PRESENT | VERIFIED | ATTESTED, 0)[..],
            &[7; 16],
            &[0, 16],
            &id,
            &cose,
        ]
        .concat();
        let length = u8::try_from(data.len()).map_err(|_| "Unknown")?;
        let attestation = [
            b"\xa3\x63fmt\x64none\x67attStmt\xa0\x68authData\x58",
            &[length][..],
            &data,
        ]
        .concat();
        let spki = [hex(SPKI), point].concat();
        let answer = json!({
            "id": text(&id),
            "rawId": text(&id),
            "type": "public-key",
            "authenticatorAttachment": "platform",
            "clientExtensionResults": {},
            "response": {
                "clientDataJSON": text(client_data("webauthn.create", options, page)),
                "authenticatorData": text(&data),
                "publicKey": text(&spki),
                "publicKeyAlgorithm": -7,
                "attestationObject": text(&attestation),
                "transports": ["internal"],
            },
        });
        self.held.push(Held {
            id,
            domain,
            key,
            handle: options["user"]["id"].clone(),
            counter: 0,
        });
        Ok(answer)
    }

    /// `navigator.credentials.get`, and the answer's `toJSON`.
    ///
    /// # Errors
    /// As [`Browser::create`].
    pub fn get(&mut self, page: &str, options: &Value) -> Result<Value, &'static str> {
        let domain = options["rpId"].as_str().ok_or("TypeError")?;
        if !may(page, domain) {
            return Err("SecurityError");
        }
        let data = client_data("webauthn.get", options, page);
        self.signed(options, &data, PRESENT | VERIFIED)
            .ok_or("NotAllowedError")
    }

    /// An answer to these client data by the passkey that is named, properly signed whatever they are, with somebody there or not.
    pub fn sign(&mut self, options: &Value, client_data: &str, present: bool) -> Option<Value> {
        let flags = if present { PRESENT } else { 0 };
        let mut answer = self.signed(options, client_data, flags)?;
        // As few members as there may be.
        let members = answer.as_object_mut()?;
        members.retain(|name, _| name == "id" || name == "response");
        Some(answer)
    }

    fn signed(&mut self, options: &Value, client_data: &str, flags: u8) -> Option<Value> {
        let held = self.known(&options["allowCredentials"])?;
        held.counter += 1;
        let data = head(&held.domain, flags, held.counter);
        let hash = digest(&SHA256, client_data.as_bytes());
        let signed = [&data, hash.as_ref()].concat();
        let signature = held.key.sign(&SystemRandom::new(), &signed).ok()?;
        Some(json!({
            "id": text(&held.id),
            "rawId": text(&held.id),
            "type": "public-key",
            "authenticatorAttachment": "platform",
            "clientExtensionResults": {},
            "response": {
                "clientDataJSON": text(client_data),
                "authenticatorData": text(&data),
                "signature": text(signature.as_ref()),
                "userHandle": held.handle,
            },
        }))
    }
}

fn hex(digits: &str) -> Vec<u8> {
    digits
        .as_bytes()
        .chunks(2)
        .filter_map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect()
}
