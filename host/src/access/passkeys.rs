//! Passkeys (WebAuthn) as the second factor of somebody who is known already: how one is registered, and how it is asked for.
//!
//! Invariants: a ceremony belongs to who began it, lasts five minutes and is used once, whatever comes of it; a passkey of somebody else never counts. Nothing here waits or
//! is stored: what is kept of a passkey is the caller's to keep, its new state after each use as well.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::VecDeque;
use std::fmt::Display;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;
use uuid::Uuid;
use webauthn_rp::bin::{Decode as _, Encode as _};
use webauthn_rp::request::auth::{AllowedCredentials, AuthenticationVerificationOptions};
use webauthn_rp::request::register::{
    Nickname, PublicKeyCredentialUserEntity, RegistrationVerificationOptions, UserHandle16,
};
use webauthn_rp::request::{
    AsciiDomain, Credentials as _, DomainOrigin, Port, PublicKeyCredentialDescriptor, RpId, Scheme,
    TimedCeremony, UserVerificationRequirement,
};
use webauthn_rp::response::auth::error::AuthCeremonyErr;
use webauthn_rp::response::auth::ser_relaxed::NonDiscoverableAuthenticationRelaxed16;
use webauthn_rp::response::register::error::RegCeremonyErr;
use webauthn_rp::response::register::ser_relaxed::RegistrationRelaxed;
use webauthn_rp::response::register::{DynamicState, StaticState};
use webauthn_rp::response::{AuthTransports, CredentialId, SentChallenge};
use webauthn_rp::{
    AuthenticatedCredential, NonDiscoverableAuthenticationServerState,
    NonDiscoverableCredentialRequestOptions, PublicKeyCredentialCreationOptions,
    RegistrationServerState,
};

/// Ceremonies of one kind at once; the oldest makes room.
const CEREMONIES_MAX: usize = 1_000;

/// Ceremonies of one kind and person at once: some windows of a browser.
const OWN_MAX: usize = 5;

/// How long a ceremony lasts, in milliseconds.
const LASTS: NonZeroU32 = match NonZeroU32::new(5 * 60 * 1_000) {
    Some(lasts) => lasts,
    None => NonZeroU32::MIN,
};

const ELSEWHERE: &str = "the passkey was used on a page of another address than this host's";

/// Why a passkey was not registered or not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PasskeyError {
    /// There is no such ceremony, it is over, or it is somebody else's.
    #[error("no passkey was asked for, or its five minutes are over; begin again")]
    NotBegun,
    /// The answer is not what was asked for; why, in a sentence.
    #[error("{0}")]
    Refused(String),
    /// The answer is not in the form that browsers give it.
    #[error("the browser's answer cannot be read: {0}")]
    Malformed(String),
    /// Nothing can be asked for; why, in a sentence.
    #[error("{0}")]
    Unusable(String),
}

/// What is kept of a passkey. None of it is secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credential {
    /// Its id as browsers write it: base64url.
    id: String,
    /// Whose it is: the user handle.
    owner: Uuid,
    /// Its public key and what else never changes of it, as `webauthn_rp` writes it, in base64url.
    key: String,
    /// Its counter and what else changes as it is used, likewise.
    state: String,
    /// How a browser reaches it, likewise: a set of bits.
    transports: u8,
}

impl Credential {
    /// Its id as browsers write it: base64url.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    fn descriptor(&self) -> Result<PublicKeyCredentialDescriptor<Vec<u8>>, PasskeyError> {
        Ok(PublicKeyCredentialDescriptor {
            id: CredentialId::decode(bytes(&self.id)?).map_err(unreadable)?,
            transports: AuthTransports::decode(self.transports).map_err(unreadable)?,
        })
    }

    fn state(&self) -> Result<DynamicState, PasskeyError> {
        let state = bytes(&self.state)?;
        let state = state.try_into().map_err(|_| unreadable("its length"))?;
        DynamicState::decode(state).map_err(unreadable)
    }
}

fn text(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn bytes(text: &str) -> Result<Vec<u8>, PasskeyError> {
    URL_SAFE_NO_PAD.decode(text).map_err(unreadable)
}

fn handle(owner: Uuid) -> UserHandle16 {
    let Ok(handle) = UserHandle16::decode(owner.into_bytes());
    handle
}

fn unreadable(error: impl Display) -> PasskeyError {
    PasskeyError::Unusable(format!("a passkey that was kept cannot be read: {error}"))
}

fn unusable(error: impl Display) -> PasskeyError {
    PasskeyError::Unusable(format!("no passkey can be asked for: {error}"))
}

fn malformed(error: impl Display) -> PasskeyError {
    PasskeyError::Malformed(error.to_string())
}

fn not_registered(error: RegCeremonyErr) -> PasskeyError {
    PasskeyError::Refused(match error {
        RegCeremonyErr::Timeout => return PasskeyError::NotBegun,
        RegCeremonyErr::OriginMismatch
        | RegCeremonyErr::CrossOrigin
        | RegCeremonyErr::TopOriginMismatch => ELSEWHERE.to_owned(),
        other => format!("the passkey was not registered: {other}"),
    })
}

fn not_accepted(error: AuthCeremonyErr) -> PasskeyError {
    PasskeyError::Refused(match error {
        AuthCeremonyErr::Timeout => return PasskeyError::NotBegun,
        AuthCeremonyErr::OriginMismatch
        | AuthCeremonyErr::CrossOrigin
        | AuthCeremonyErr::TopOriginMismatch => ELSEWHERE.to_owned(),
        AuthCeremonyErr::AssertionSignature => "the signature is not the passkey's".to_owned(),
        AuthCeremonyErr::SignatureCounter => {
            "the passkey's counter did not go forward, so there may be a copy of it".to_owned()
        }
        AuthCeremonyErr::NoMatchingAllowedCredential => {
            "the passkey is not one of those asked for".to_owned()
        }
        other => format!("the passkey was not accepted: {other}"),
    })
}

/// Ceremonies in progress, the oldest first; all of a kind last equally long.
struct Ceremonies<T>(Mutex<VecDeque<(Uuid, T)>>);

impl<T: TimedCeremony> Ceremonies<T> {
    fn new() -> Self {
        Self(Mutex::new(VecDeque::new()))
    }

    fn keep(&self, owner: Uuid, ceremony: T) {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Who begins often pushes out their own.
        let own = held.iter().filter(|(of, _)| *of == owner).count();
        if own >= OWN_MAX
            && let Some(oldest) = held.iter().position(|(of, _)| *of == owner)
        {
            held.remove(oldest);
        }
        if held.len() >= CEREMONIES_MAX {
            held.pop_front();
        }
        held.push_back((owner, ceremony));
    }

    fn take(&self, owner: Uuid, challenge: SentChallenge) -> Result<T, PasskeyError> {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        held.retain(|(_, ceremony)| ceremony.expiration() > now);
        held.iter()
            .position(|(of, ceremony)| *of == owner && ceremony.sent_challenge() == challenge)
            .and_then(|at| held.remove(at))
            .map(|(_, ceremony)| ceremony)
            .ok_or(PasskeyError::NotBegun)
    }
}

/// Registering passkeys and asking for them, on the pages of one domain.
pub struct Passkeys {
    rp: RpId,
    origins: Vec<String>,
    lasts: NonZeroU32,
    registrations: Ceremonies<RegistrationServerState<16>>,
    assertions: Ceremonies<NonDiscoverableAuthenticationServerState>,
}

impl Passkeys {
    /// For the pages of these origins. `domain` is what passkeys are bound to (the RP id), for instance `infinity.example.com` or `localhost`: those that were registered
    /// are of no use under another one. An origin is complete and as browsers write it, for instance `https://infinity.example.com:8443`.
    ///
    /// # Errors
    /// When the domain is none, or browsers would not let a page of an origin use its passkeys.
    pub fn new(domain: &str, origins: Vec<String>) -> Result<Self, PasskeyError> {
        let domain = AsciiDomain::try_from(domain.to_owned()).map_err(unusable)?;
        if domain.as_ref().parse::<IpAddr>().is_ok() {
            return Err(unusable("browsers want a domain, not an address"));
        }
        if origins.is_empty() {
            return Err(unusable("no origin is stated"));
        }
        if let Some(origin) = origins.iter().find(|own| !fits(own, domain.as_ref())) {
            return Err(unusable(format!(
                "the origin `{origin}` is not `https://`, a host that is {host} or ends in .{host}, and a port if it is not 443",
                host = domain.as_ref()
            )));
        }
        Ok(Self {
            rp: RpId::Domain(domain),
            origins,
            lasts: LASTS,
            registrations: Ceremonies::new(),
            assertions: Ceremonies::new(),
        })
    }

    /// Begins to register a passkey of somebody who has these already. The answer is for `navigator.credentials.create`, in the form that
    /// `PublicKeyCredential.parseCreationOptionsFromJSON` takes; `name` is what the browser shows.
    ///
    /// # Errors
    /// When a passkey that was kept cannot be read.
    pub fn begin_registration(
        &self,
        owner: Uuid,
        name: &str,
        existing: &[Credential],
    ) -> Result<Value, PasskeyError> {
        let existing: Result<Vec<_>, _> = existing.iter().map(Credential::descriptor).collect();
        let user = handle(owner);
        let mut options = PublicKeyCredentialCreationOptions::second_factor(
            &self.rp,
            PublicKeyCredentialUserEntity::from(&user),
            existing?,
        );
        options.authenticator_selection.user_verification = UserVerificationRequirement::Preferred;
        options.timeout = self.lasts;
        let (ceremony, client) = options.start_ceremony().map_err(unusable)?;
        let mut shown = serde_json::to_value(&client).map_err(unusable)?;
        // The library's rules for user names are those for signing in (no spaces); these names are only looked at.
        let name = Nickname::try_from(name)
            .map_or_else(|_| owner.to_string(), |name| name.as_ref().to_owned());
        shown["user"]["name"] = name.clone().into();
        shown["user"]["displayName"] = name.into();
        self.registrations.keep(owner, ceremony);
        Ok(shown)
    }

    /// Ends it: `response` is what `credential.toJSON()` gives. That no other passkey has the id is the caller's to ensure.
    ///
    /// # Errors
    /// When it was not begun, or the answer is malformed or refused.
    pub fn finish_registration(
        &self,
        owner: Uuid,
        response: &Value,
    ) -> Result<Credential, PasskeyError> {
        let response = RegistrationRelaxed::deserialize(response)
            .map_err(malformed)?
            .0;
        let challenge = response.challenge_relaxed().map_err(malformed)?;
        let ceremony = self.registrations.take(owner, challenge)?;
        let options = RegistrationVerificationOptions::<String, String> {
            allowed_origins: &self.origins,
            error_on_unsolicited_extensions: false,
            ..RegistrationVerificationOptions::default()
        };
        let made = ceremony
            .verify(&self.rp, &response, &options)
            .map_err(not_registered)?;
        let (id, transports, _, key, state, _) = made.into_parts();
        let (Ok(key), Ok(state), Ok(transports)) =
            (key.encode(), state.encode(), transports.encode());
        Ok(Credential {
            id: text(id),
            owner,
            key: text(key),
            state: text(state),
            transports,
        })
    }

    /// Begins to ask somebody for one of these passkeys, of which only their own count. The answer is for `navigator.credentials.get`, in the form that
    /// `PublicKeyCredential.parseRequestOptionsFromJSON` takes.
    ///
    /// # Errors
    /// When there is none, or one cannot be read.
    pub fn begin_assertion(
        &self,
        owner: Uuid,
        credentials: &[Credential],
    ) -> Result<Value, PasskeyError> {
        let mut allowed = AllowedCredentials::with_capacity(credentials.len());
        for credential in credentials.iter().filter(|own| own.owner == owner) {
            allowed.push(credential.descriptor()?.into());
        }
        let mut request = NonDiscoverableCredentialRequestOptions::second_factor(&self.rp, allowed)
            .map_err(|_| unusable("none is registered"))?;
        request.options().user_verification = UserVerificationRequirement::Preferred;
        request.options().timeout = self.lasts;
        let (ceremony, client) = request.start_ceremony().map_err(unusable)?;
        let shown = serde_json::to_value(&client).map_err(unusable)?;
        self.assertions.keep(owner, ceremony);
        Ok(shown)
    }

    /// Ends it: `response` is what `credential.toJSON()` gives. The passkey as it is now takes the place of what was kept of it.
    ///
    /// # Errors
    /// When it was not begun, the answer is malformed or refused, or the passkey cannot be read.
    pub fn finish_assertion(
        &self,
        owner: Uuid,
        credentials: &[Credential],
        response: &Value,
    ) -> Result<Credential, PasskeyError> {
        let response = NonDiscoverableAuthenticationRelaxed16::deserialize(response)
            .map_err(malformed)?
            .0;
        let challenge = response.challenge_relaxed().map_err(malformed)?;
        let ceremony = self.assertions.take(owner, challenge)?;
        let id = text(response.raw_id());
        let kept = credentials
            .iter()
            .find(|own| own.owner == owner && own.id == id)
            .ok_or_else(|| {
                PasskeyError::Refused("the passkey is not registered here".to_owned())
            })?;
        let user = handle(owner);
        let key = StaticState::decode(bytes(&kept.key)?.as_slice()).map_err(unreadable)?;
        let mut used = AuthenticatedCredential::new(response.raw_id(), &user, key, kept.state()?)
            .map_err(unreadable)?;
        let options = AuthenticationVerificationOptions::<String, String> {
            allowed_origins: &self.origins,
            error_on_unsolicited_extensions: false,
            ..AuthenticationVerificationOptions::default()
        };
        ceremony
            .verify(&self.rp, &response, &mut used, &options)
            .map_err(not_accepted)?;
        let Ok(state) = used.dynamic_state().encode();
        Ok(Credential {
            state: text(state),
            ..kept.clone()
        })
    }
}

/// Whether browsers let a page of that origin use the passkeys of the domain, and would write the origin so.
fn fits(origin: &str, domain: &str) -> bool {
    let Ok(DomainOrigin { scheme, host, port }) = DomainOrigin::try_from(origin) else {
        return false;
    };
    let below = host.strip_suffix(domain);
    below.is_some_and(|below| below.is_empty() || below.ends_with('.'))
        && match scheme {
            Scheme::Https => !matches!(port, Port::Val(443)),
            // What is on the same machine needs no certificate.
            Scheme::Other("http") => domain == "localhost" && !matches!(port, Port::Val(80)),
            _ => false,
        }
}

#[cfg(test)]
#[path = "../../../tests/src/authenticator.rs"]
mod authenticator;

#[cfg(test)]
mod tests {
    use super::authenticator::Browser;
    use super::*;
    use serde_json::json;
    use std::time::Duration;

    const HERE: &str = "https://infinity.example.com:8443";

    fn passkeys() -> Passkeys {
        Passkeys::new("infinity.example.com", vec![HERE.to_owned()]).unwrap()
    }

    async fn register(own: &Passkeys, browser: &mut Browser, owner: Uuid) -> Credential {
        let options = own.begin_registration(owner, "Ann Lee", &[]).unwrap();
        let made = browser.create(HERE, &options).unwrap();
        own.finish_registration(owner, &made).unwrap()
    }

    /// Somebody with a passkey.
    async fn begun() -> (Passkeys, Browser, Uuid, [Credential; 1]) {
        let (own, mut browser, owner) = (passkeys(), Browser::default(), Uuid::now_v7());
        let credential = register(&own, &mut browser, owner).await;
        (own, browser, owner, [credential])
    }

    fn why<T: std::fmt::Debug>(result: Result<T, PasskeyError>) -> String {
        match result.unwrap_err() {
            PasskeyError::Refused(why) => why,
            other => format!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn a_passkey_is_registered_and_used_again_and_again() {
        let (own, mut browser, owner) = (passkeys(), Browser::default(), Uuid::now_v7());
        let options = own.begin_registration(owner, "Ann Lee", &[]).unwrap();
        assert_eq!(options["rp"]["id"], "infinity.example.com");
        assert_eq!(options["user"]["id"], text(owner.as_bytes()));
        assert_eq!(options["user"]["name"], "Ann Lee");
        assert_eq!(options["user"]["displayName"], "Ann Lee");
        assert_eq!(options["timeout"], 300_000);
        assert_eq!(
            options["authenticatorSelection"]["userVerification"],
            "preferred"
        );
        let made = browser.create(HERE, &options).unwrap();
        let first = own.finish_registration(owner, &made).unwrap();
        assert_eq!(json!(first.id), made["id"]);
        // It is kept as JSON.
        let kept = serde_json::to_string(&first).unwrap();
        assert_eq!(serde_json::from_str::<Credential>(&kept).unwrap(), first);

        // The same authenticator is not registered twice.
        let known = std::slice::from_ref(&first);
        let again = own.begin_registration(owner, "Ann Lee", known).unwrap();
        assert_eq!(again["excludeCredentials"][0]["id"], first.id);
        assert_eq!(browser.create(HERE, &again), Err("InvalidStateError"));
        let second = register(&own, &mut Browser::default(), owner).await;

        let mut credentials = [second, first.clone()];
        for count in 1..=3 {
            let options = own.begin_assertion(owner, &credentials).unwrap();
            assert_eq!(options["allowCredentials"].as_array().unwrap().len(), 2);
            assert_eq!(options["userVerification"], "preferred");
            let given = browser.get(HERE, &options).unwrap();
            let used = own.finish_assertion(owner, &credentials, &given).unwrap();
            assert_eq!(used.state().unwrap().sign_count, count);
            assert_ne!(used, credentials[1]);
            credentials[1] = used;
        }
        assert_eq!(credentials[1].key, first.key);
    }

    #[tokio::test]
    async fn other_pages_are_refused() {
        let (own, mut browser, owner, credentials) = begun().await;
        for page in [
            "https://infinity.example.com",
            "https://other.infinity.example.com:8443",
        ] {
            let options = own.begin_registration(owner, "Ann", &[]).unwrap();
            let made = Browser::default().create(page, &options).unwrap();
            assert_eq!(why(own.finish_registration(owner, &made)), ELSEWHERE);
            let options = own.begin_assertion(owner, &credentials).unwrap();
            let given = browser.get(page, &options).unwrap();
            let result = own.finish_assertion(owner, &credentials, &given);
            assert_eq!(why(result), ELSEWHERE);
        }
    }

    #[tokio::test]
    async fn a_ceremony_is_its_owners_and_used_once() {
        let (own, mut browser, owner, credentials) = begun().await;
        let other = Uuid::now_v7();
        let options = own.begin_registration(owner, "Ann", &[]).unwrap();
        let made = Browser::default().create(HERE, &options).unwrap();
        let result = own.finish_registration(other, &made);
        assert_eq!(result, Err(PasskeyError::NotBegun));
        own.finish_registration(owner, &made).unwrap();
        let result = own.finish_registration(owner, &made);
        assert_eq!(result, Err(PasskeyError::NotBegun));

        let options = own.begin_assertion(owner, &credentials).unwrap();
        let given = browser.get(HERE, &options).unwrap();
        let result = own.finish_assertion(other, &credentials, &given);
        assert_eq!(result, Err(PasskeyError::NotBegun));
        let used = own.finish_assertion(owner, &credentials, &given).unwrap();
        let result = own.finish_assertion(owner, &[used], &given);
        assert_eq!(result, Err(PasskeyError::NotBegun));

        // One that was refused is used as well.
        let options = own.begin_assertion(owner, &credentials).unwrap();
        let given = browser.get(HERE, &options).unwrap();
        assert!(why(own.finish_assertion(owner, &[], &given)).contains("not registered"));
        let result = own.finish_assertion(owner, &credentials, &given);
        assert_eq!(result, Err(PasskeyError::NotBegun));
    }

    #[tokio::test]
    async fn a_ceremony_ends_and_the_oldest_makes_room() {
        let (mut own, mut browser, owner, credentials) = begun().await;
        let first = own.begin_assertion(owner, &credentials).unwrap();
        let second = own.begin_assertion(owner, &credentials).unwrap();
        for _ in 1..OWN_MAX {
            own.begin_assertion(Uuid::now_v7(), &[]).unwrap_err();
            own.begin_assertion(owner, &credentials).unwrap();
        }
        let given = browser.get(HERE, &first).unwrap();
        let result = own.finish_assertion(owner, &credentials, &given);
        assert_eq!(result, Err(PasskeyError::NotBegun));
        let given = browser.get(HERE, &second).unwrap();
        own.finish_assertion(owner, &credentials, &given).unwrap();

        own = passkeys();
        own.lasts = NonZeroU32::MIN;
        let new = own.begin_registration(owner, "Ann", &[]).unwrap();
        let options = own.begin_assertion(owner, &credentials).unwrap();
        tokio::time::sleep(Duration::from_millis(5)).await;
        let made = Browser::default().create(HERE, &new).unwrap();
        let result = own.finish_registration(owner, &made);
        assert_eq!(result, Err(PasskeyError::NotBegun));
        let given = browser.get(HERE, &options).unwrap();
        let result = own.finish_assertion(owner, &credentials, &given);
        assert_eq!(result, Err(PasskeyError::NotBegun));
    }

    #[tokio::test]
    async fn only_the_owners_passkeys_that_were_asked_for_count() {
        let (own, _, owner, credentials) = begun().await;
        let (other, mut theirs) = (Uuid::now_v7(), Browser::default());
        let foreign = register(&own, &mut theirs, other).await;
        let both = [credentials[0].clone(), foreign.clone()];
        // A list with somebody else's in it makes no difference.
        let options = own.begin_assertion(owner, &both).unwrap();
        assert_eq!(options["allowCredentials"].as_array().unwrap().len(), 1);
        let result = own.begin_assertion(owner, std::slice::from_ref(&foreign));
        assert!(matches!(result, Err(PasskeyError::Unusable(_))));
        let client_data = |options: &Value| {
            json!({ "type": "webauthn.get", "challenge": options["challenge"], "origin": HERE })
                .to_string()
        };
        let mut asked = options.clone();
        asked["allowCredentials"][0]["id"] = json!(foreign.id);
        let given = theirs.sign(&asked, &client_data(&options), true).unwrap();
        let result = own.finish_assertion(owner, &both, &given);
        assert!(why(result).contains("not registered"));

        // Nor is one enough that is the owner's and was not asked for, nor one's name on the answer of another.
        let mut more = Browser::default();
        let later = register(&own, &mut more, owner).await;
        let both = [credentials[0].clone(), later.clone()];
        for name in [&later.id, &credentials[0].id] {
            let options = own.begin_assertion(owner, &credentials).unwrap();
            let mut asked = options.clone();
            asked["allowCredentials"][0]["id"] = json!(later.id);
            let mut given = more.sign(&asked, &client_data(&options), true).unwrap();
            given["id"] = json!(name);
            let result = why(own.finish_assertion(owner, &both, &given));
            if *name == later.id {
                assert!(result.contains("not one of those asked for"), "{result}");
            } else {
                assert!(result.contains("signature"), "{result}");
            }
        }
    }

    #[tokio::test]
    async fn what_was_tampered_with_is_refused() {
        let (own, mut browser, owner, credentials) = begun().await;
        for field in ["signature", "authenticatorData"] {
            let options = own.begin_assertion(owner, &credentials).unwrap();
            let mut given = browser.get(HERE, &options).unwrap();
            let value = &mut given["response"][field];
            let mut raw = bytes(value.as_str().unwrap()).unwrap();
            *raw.last_mut().unwrap() ^= 1;
            *value = json!(text(raw));
            let result = why(own.finish_assertion(owner, &credentials, &given));
            assert!(result.contains("signature"), "{result}");
        }
        // Nobody was there.
        let options = own.begin_assertion(owner, &credentials).unwrap();
        let client_data =
            json!({ "type": "webauthn.get", "challenge": options["challenge"], "origin": HERE });
        let given = browser
            .sign(&options, &client_data.to_string(), false)
            .unwrap();
        let result = why(own.finish_assertion(owner, &credentials, &given));
        assert!(result.contains("not present"), "{result}");
        // A counter that does not go forward.
        let options = own.begin_assertion(owner, &credentials).unwrap();
        let given = browser.get(HERE, &options).unwrap();
        let used = [own.finish_assertion(owner, &credentials, &given).unwrap()];
        for passkey in &mut browser.held {
            passkey.counter = 0;
        }
        let options = own.begin_assertion(owner, &used).unwrap();
        let given = browser.get(HERE, &options).unwrap();
        let result = why(own.finish_assertion(owner, &used, &given));
        assert!(result.contains("counter"), "{result}");
    }

    #[tokio::test]
    async fn client_data_are_read_as_browsers_write_them() {
        let (own, mut browser, owner, mut credentials) = begun().await;
        let escaped = HERE.replace('/', r"\/");
        for (kind, rest, expected) in [
            (
                "get",
                format!(r#""origin":"{HERE}","crossOrigin":false"#),
                "",
            ),
            // Safari leaves out what is false, and Android escapes more than it needs to.
            ("get", format!(r#""origin":"{HERE}""#), ""),
            (
                "get",
                format!(r#""origin":"{escaped}","androidPackageName":"a""#),
                "",
            ),
            ("create", format!(r#""origin":"{HERE}""#), "not accepted"),
            (
                "get",
                format!(r#""origin":"{HERE}","crossOrigin":true"#),
                ELSEWHERE,
            ),
            ("get", r#""origin":"null""#.to_owned(), ELSEWHERE),
            ("get", r#""other":1"#.to_owned(), "not accepted"),
        ] {
            let options = own.begin_assertion(owner, &credentials).unwrap();
            let challenge = options["challenge"].as_str().unwrap();
            let client_data =
                format!(r#"{{"type":"webauthn.{kind}","challenge":"{challenge}",{rest}}}"#);
            let given = browser.sign(&options, &client_data, true).unwrap();
            let result = own.finish_assertion(owner, &credentials, &given);
            if expected.is_empty() {
                credentials = [result.unwrap()];
            } else {
                let result = why(result);
                assert!(result.contains(expected), "{client_data}: {result}");
            }
        }
    }

    #[tokio::test]
    async fn what_cannot_be_read_is_malformed_and_begins_or_ends_nothing() {
        let (own, mut browser, owner, credentials) = begun().await;
        let options = own.begin_assertion(owner, &credentials).unwrap();
        let given = browser.get(HERE, &options).unwrap();
        let mut garbled = given.clone();
        garbled["response"]["clientDataJSON"] = json!(text("{"));
        let mut bare = given.clone();
        bare["response"]
            .as_object_mut()
            .unwrap()
            .remove("signature");
        let mut mixed = given.clone();
        mixed["rawId"] = json!(text([1; 16]));
        for broken in [Value::Null, json!({}), json!([1]), garbled, bare, mixed] {
            let result = own.finish_assertion(owner, &credentials, &broken);
            assert!(
                matches!(result, Err(PasskeyError::Malformed(_))),
                "{broken}"
            );
            let result = own.finish_registration(owner, &broken);
            assert!(
                matches!(result, Err(PasskeyError::Malformed(_))),
                "{broken}"
            );
        }
        own.finish_assertion(owner, &credentials, &given).unwrap();

        let [own_one] = credentials;
        for broken in [
            Credential {
                id: "?".to_owned(),
                ..own_one.clone()
            },
            Credential {
                transports: 255,
                ..own_one.clone()
            },
        ] {
            let result = own.begin_assertion(owner, std::slice::from_ref(&broken));
            assert!(matches!(result, Err(PasskeyError::Unusable(_))));
            let result = own.begin_registration(owner, "Ann", &[broken]);
            assert!(matches!(result, Err(PasskeyError::Unusable(_))));
        }
    }

    #[test]
    fn only_origins_that_browsers_allow_are_taken() {
        for (domain, origin) in [
            ("localhost", "http://localhost:8080"),
            ("localhost", "https://localhost"),
            ("example.com", "https://example.com"),
            ("Example.com", "https://a.example.com:8443"),
        ] {
            assert!(
                Passkeys::new(domain, vec![origin.to_owned()]).is_ok(),
                "{origin}"
            );
        }
        for (domain, origin) in [
            ("", "https://"),
            ("127.0.0.1", "http://127.0.0.1"),
            ("example.com", "http://example.com"),
            ("example.com", "https://example.com:443"),
            ("example.com", "https://example.com/"),
            ("example.com", "https://badexample.com"),
            ("example.com", "https://example.org"),
            ("example.com", "example.com"),
            ("a.example.com", "https://example.com"),
        ] {
            let result = Passkeys::new(domain, vec![origin.to_owned()]);
            assert!(matches!(result, Err(PasskeyError::Unusable(_))), "{origin}");
        }
        assert!(Passkeys::new("example.com", Vec::new()).is_err());
        // A name that cannot be shown is no reason to have no passkey.
        let owner = Uuid::now_v7();
        let options = passkeys().begin_registration(owner, "\u{7}", &[]).unwrap();
        assert_eq!(options["user"]["name"], owner.to_string());
    }
}
