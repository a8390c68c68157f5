//! Who a provider says that somebody is, and what the configuration makes of it. Pure.

use super::{Caller, Role, Scope, Shown};
use crate::config::SignInConfig;
use crate::model::Principal;
use aws_lc_rs::digest;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

/// What a provider says of somebody.
pub type Claims = Map<String, Value>;

/// Characters of a name in records, and of what a provider calls somebody.
const NAME_MAX: usize = 200;

/// Somebody for whom a provider vouches.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    /// The same for the same account of the same provider, whatever it is called.
    pub id: Uuid,
    /// The name in records: the provider's, a `:`, and theirs there.
    pub name: String,
    /// What they may.
    pub role: Role,
    /// What of that.
    pub scopes: Vec<Scope>,
}

/// Why somebody for whom a provider vouches does not come in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Stranger {
    /// The provider does not say who it is.
    #[error(
        "`{provider}` does not say who it is: the claim `{claim}` is not a text of 1 to {NAME_MAX} characters"
    )]
    Nameless {
        /// The provider.
        provider: String,
        /// What is missing.
        claim: String,
    },
    /// The mail address could be anybody's.
    #[error("`{0}` says that the mail address is not verified")]
    Unverified(String),
    /// Somebody else is called that here.
    #[error(
        "`{0}` is another account of the provider here, so this one does not come in; give the accounts different names"
    )]
    Taken(String),
    /// No rule fits.
    #[error("`{name}` has no role here: none of the `roles` of `[host.sign_in.{provider}]` fits")]
    NoRole {
        /// The provider.
        provider: String,
        /// Who came.
        name: String,
    },
}

impl Person {
    /// What the configuration makes of what a provider says. `issuer` is who says it.
    ///
    /// # Errors
    /// [`Stranger`]
    pub fn of(config: &SignInConfig, issuer: &str, claims: &Claims) -> Result<Self, Stranger> {
        let provider = || config.name.clone();
        let text = |claim: &str| {
            claims
                .get(claim)
                .and_then(Value::as_str)
                .filter(|text| {
                    (1..=NAME_MAX).contains(&text.chars().count())
                        && !text.chars().any(char::is_control)
                })
                .ok_or_else(|| Stranger::Nameless {
                    provider: provider(),
                    claim: claim.to_owned(),
                })
        };
        let subject = text("sub")?;
        let name = text(&config.name_claim)?;
        let verified = claims.get("email_verified");
        let said = |word: bool| {
            verified.is_some_and(|said| match said {
                Value::Bool(said) => *said == word,
                Value::String(said) => *said == word.to_string(),
                _ => false,
            })
        };
        if config.name_claim == "email" && said(false) {
            return Err(Stranger::Unverified(provider()));
        }
        let name = format!("{}:{name}", config.name);
        let rule = config
            .roles
            .iter()
            .find(|rule| {
                // Whose address it is says nothing of who may, unless somebody looked.
                rule.when.iter().all(|(claim, expected)| {
                    (claim != "email" || said(true)) && holds(claims, claim, expected)
                })
            })
            .ok_or_else(|| Stranger::NoRole {
                provider: provider(),
                name: name.clone(),
            })?;
        Ok(Self {
            id: id(issuer, subject),
            name,
            role: rule.role,
            scopes: rule.scopes.clone(),
        })
    }

    /// Them as callers, from a device of theirs on which they came in at that moment, or with a token; and until when that counts.
    #[must_use]
    pub fn caller(
        &self,
        device: Uuid,
        since: Option<Timestamp>,
        until: Option<Timestamp>,
    ) -> Caller {
        Caller {
            principal: Principal {
                kind: "user".into(),
                name: self.name.clone(),
            },
            key: Some(Shown {
                id: self.id,
                device,
                since,
                until,
                role: self.role,
                scopes: self.scopes.clone(),
            }),
        }
    }
}

fn id(issuer: &str, subject: &str) -> Uuid {
    let whole = [issuer.as_bytes(), &[0], subject.as_bytes()].concat();
    let digest = digest::digest(&digest::SHA256, &whole);
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest.as_ref()[..16]);
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

/// Whether a claim holds a text: it is the text, a list with it, or a list in one text, as `scope` is. A name with a `.` that is no claim leads into claims.
fn holds(claims: &Claims, claim: &str, expected: &str) -> bool {
    let within = |(outer, inner): (&str, &str)| {
        let claims = claims.get(outer)?.as_object()?;
        Some(holds(claims, inner, expected))
    };
    let is_scope = matches!(claim.rsplit('.').next(), Some("scope" | "scp"));
    let Some(value) = claims.get(claim) else {
        return claim.split_once('.').and_then(within).unwrap_or_default();
    };
    let is = |value: &Value| match value {
        Value::String(text) => text == expected,
        Value::Bool(is) => expected == if *is { "true" } else { "false" },
        Value::Number(number) => number.to_string() == expected,
        _ => false,
    };
    match value {
        Value::Null | Value::Bool(false) if expected == "*" => false,
        Value::String(text) if expected == "*" => !text.is_empty(),
        Value::Array(values) if expected == "*" => !values.is_empty(),
        _ if expected == "*" => true,
        Value::Array(values) => values.iter().any(is),
        // Anybody may be called what somebody else is, and more.
        Value::String(text) if is_scope => text.split(' ').any(|word| word == expected),
        value => is(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Identity, RoleRule};
    use serde_json::json;

    fn rule(role: Role, when: &[(&str, &str)]) -> RoleRule {
        RoleRule {
            when: when
                .iter()
                .map(|(claim, value)| ((*claim).to_owned(), (*value).to_owned()))
                .collect(),
            role,
            scopes: Vec::new(),
        }
    }

    fn config() -> SignInConfig {
        SignInConfig {
            name: "corp".into(),
            service: Identity::Oidc {
                issuer: "https://id".into(),
            },
            client_id: "infinity".into(),
            client_secret: None,
            audiences: vec!["infinity".into()],
            name_claim: "email".into(),
            scopes: Vec::new(),
            roles: vec![
                rule(
                    Role::Admin,
                    &[("groups", "platform"), ("hd", "example.com")],
                ),
                rule(Role::Editor, &[("realm.roles", "dev")]),
                rule(Role::Service, &[("scope", "run")]),
                rule(Role::Viewer, &[("groups", "*")]),
            ],
        }
    }

    fn of(claims: Value) -> Result<Person, Stranger> {
        let mut whole = json!({ "sub": "1", "email": "ann@example.com" });
        let claims = claims.as_object().unwrap().clone();
        whole.as_object_mut().unwrap().extend(claims);
        Person::of(&config(), "https://id", whole.as_object().unwrap())
    }

    #[test]
    fn the_first_rule_that_fits_says_what_somebody_may() {
        for (claims, expected) in [
            (
                json!({ "groups": ["staff", "platform"], "hd": "example.com" }),
                Some(Role::Admin),
            ),
            (json!({ "groups": ["platform"] }), Some(Role::Viewer)),
            (
                json!({ "groups": "platform", "hd": "example.com" }),
                Some(Role::Admin),
            ),
            (json!({ "realm": { "roles": ["dev"] } }), Some(Role::Editor)),
            (json!({ "scope": "read run" }), Some(Role::Service)),
            (json!({ "scope": "rerun" }), None),
            (json!({ "groups": null }), None),
            (json!({ "groups": [] }), None),
            (json!({ "groups": "" }), None),
            (json!({ "groups": false }), None),
            (
                json!({ "groups": "other platform", "hd": "example.com" }),
                Some(Role::Viewer),
            ),
            (json!({ "realm": "roles" }), None),
            (json!({ "groups": [{ "platform": 1 }] }), Some(Role::Viewer)),
            (json!({}), None),
        ] {
            let role = of(claims.clone()).ok().map(|person| person.role);
            assert_eq!(role, expected, "{claims}");
        }
    }

    #[test]
    fn who_has_no_sure_name_stays_outside() {
        let groups = json!(["a"]);
        let person = of(json!({ "groups": groups })).unwrap();
        assert_eq!(person.name, "corp:ann@example.com");
        // The account is who it is, whatever it is called.
        let renamed = of(json!({ "groups": groups, "email": "eve@example.com" })).unwrap();
        assert_eq!(renamed.id, person.id);
        let other = of(json!({ "groups": groups, "sub": "2" })).unwrap();
        assert_ne!(other.id, person.id);
        for wrong in [
            json!({ "sub": "" }),
            json!({ "sub": 1 }),
            json!({ "email": "a\nb" }),
            json!({ "email": "x".repeat(201) }),
            json!({ "email": null }),
        ] {
            let error = of(wrong.clone()).unwrap_err();
            assert!(matches!(error, Stranger::Nameless { .. }), "{wrong}");
        }
        for unverified in [json!(false), json!("false")] {
            assert_eq!(
                of(json!({ "groups": groups, "email_verified": unverified })),
                Err(Stranger::Unverified("corp".into()))
            );
        }
        // A role is given to an address only if somebody looked whose it is.
        let mut by_mail = config();
        by_mail.roles = vec![rule(Role::Admin, &[("email", "ann@example.com")])];
        for (verified, expected) in [
            (json!(true), true),
            (json!("true"), true),
            (json!(null), false),
            (json!("yes"), false),
        ] {
            let claims =
                json!({ "sub": "1", "email": "ann@example.com", "email_verified": verified });
            let person = Person::of(&by_mail, "https://id", claims.as_object().unwrap());
            assert_eq!(person.is_ok(), expected, "{verified}");
        }
        let error = of(json!({})).unwrap_err().to_string();
        assert!(
            error.contains("`corp:ann@example.com` has no role"),
            "{error}"
        );
    }
}
