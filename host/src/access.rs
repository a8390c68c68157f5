//! Who may do what: roles, scopes, and what each asks for. Pure; [`keys`] has the keys, [`sign_in`] and [`sessions`] the people who come by way of a provider, [`factors`] what they show
//! before they approve, [`guard`] the bans, lockouts and rates, [`address`] whose request it is.
//!
//! Invariants: a scope only narrows what a role may, except for [`APPROVALS`], which no role has unless a scope names it. What is not stated is for admins alone.

pub mod address;
pub mod factors;
pub mod guard;
pub mod issuer;
pub mod keys;
pub mod passkeys;
pub mod people;
pub mod person;
pub mod sessions;
pub mod sign_in;

use crate::audit::calls::Calls;
use crate::model::Principal;
use crate::words::nearest;
use address::Client;
use factors::Factors;
use guard::Guard;
use http::{HeaderMap, HeaderValue};
use ipnet::IpNet;
use jiff::Timestamp;
use keys::Keys;
use people::People;
use serde::{Deserialize, Serialize};
use sessions::Sessions;
use sign_in::SignIn;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;
use utoipa::ToSchema;
use uuid::Uuid;

/// What a key may do before its scopes narrow it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// A program: up to what an editor may, and of that what its scopes name. Without scopes nothing.
    Service,
    /// Reads.
    Viewer,
    /// Reads and changes.
    Editor,
    /// Everything that is not an approval.
    Admin,
}

impl Role {
    /// All of them, the least first.
    pub const ALL: [Self; 4] = [Self::Service, Self::Viewer, Self::Editor, Self::Admin];

    /// The word in requests and answers.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Service => "service",
            Self::Viewer => "viewer",
            Self::Editor => "editor",
            Self::Admin => "admin",
        }
    }

    /// How far the role goes.
    fn reach(self) -> Self {
        match self {
            Self::Service => Self::Editor,
            other => other,
        }
    }
}

impl FromStr for Role {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|role| role.as_str() == text)
            .ok_or_else(|| "a role is `viewer`, `editor`, `admin` or `service`".to_owned())
    }
}

impl fmt::Display for Role {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// What requests are about.
pub const RESOURCES: [&str; 23] = [
    "agents",
    "alerts",
    "audit",
    "backups",
    "badges",
    "bans",
    "billing",
    "checks",
    "commands",
    "config",
    "effects",
    "events",
    "host",
    "integrations",
    "keys",
    "killswitch",
    "pages",
    "pipelines",
    "plugins",
    "repositories",
    "runs",
    "schedule",
    "secrets",
];

/// What can be done with them.
pub const VERBS: [&str; 7] = [
    "approve", "change", "delete", "deliver", "propose", "read", "run",
];

/// What no role has by itself, and editors and admins can be given by name.
pub const APPROVALS: [(&str, &str); 3] = [
    ("billing", "approve"),
    ("config", "approve"),
    ("effects", "approve"),
];

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Permission {
    /// One of [`RESOURCES`].
    pub resource: &'static str,
    /// One of [`VERBS`].
    pub verb: &'static str,
    /// The least role that has it; of an approval that can be given it.
    pub least: Role,
}

impl Permission {
    /// Whether a scope has to name it.
    #[must_use]
    pub fn is_approval(&self) -> bool {
        APPROVALS.contains(&(self.resource, self.verb))
    }

    /// As a scope that allows no more than it, for one thing if it has a name.
    #[must_use]
    pub fn scope(&self, name: Option<&str>) -> Scope {
        Scope {
            resource: self.resource.into(),
            verb: self.verb.into(),
            name: name.map(str::to_owned),
        }
    }
}

/// A part of what a role may: `resource:verb`, or `resource:verb:name` for one thing. `*` stands for anything, alone for everything.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Scope {
    resource: String,
    verb: String,
    name: Option<String>,
}

impl Scope {
    /// Characters of a scope: the longest words and the longest name.
    pub const MAX: usize = 100;

    fn covers(&self, permission: &Permission, name: Option<&str>) -> bool {
        let word =
            |own: &str, asked: &str| own == asked || (own == "*" && !permission.is_approval());
        let named = match self.name.as_deref() {
            None | Some("*") => true,
            own => own == name,
        };
        word(&self.resource, permission.resource) && word(&self.verb, permission.verb) && named
    }
}

impl Scope {
    /// Whether it has something of an approval.
    #[must_use]
    pub fn approves(&self) -> bool {
        APPROVALS.contains(&(self.resource.as_str(), self.verb.as_str()))
    }

    /// All that a role may: `*`.
    fn everything() -> Self {
        Self {
            resource: "*".into(),
            verb: "*".into(),
            name: None,
        }
    }

    /// Whether it has all that the other has.
    fn includes(&self, other: &Self) -> bool {
        let approves = other.approves();
        let word = |own: &str, other: &str| own == other || (own == "*" && !approves);
        let named = match self.name.as_deref() {
            None | Some("*") => true,
            own => own == other.name.as_deref(),
        };
        word(&self.resource, &other.resource) && word(&self.verb, &other.verb) && named
    }
}

impl FromStr for Scope {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.len() > Self::MAX {
            return Err(format!("a scope has at most {} characters", Self::MAX));
        }
        if text == "*" {
            return Ok(Self::everything());
        }
        let mut parts = text.splitn(3, ':');
        let (Some(resource), Some(verb), name) = (parts.next(), parts.next(), parts.next()) else {
            return Err(format!(
                "`{}` is no scope; write `resource:verb` or `resource:verb:name`, for instance `agents:run:badge`",
                text.escape_debug()
            ));
        };
        for (kind, word, known) in [
            ("resource", resource, &RESOURCES[..]),
            ("verb", verb, &VERBS[..]),
        ] {
            if word != "*" && !known.contains(&word) {
                let meant = nearest(word, known.iter().copied()).map_or_else(
                    || format!("there are `{}`", known.join("`, `")),
                    |nearest| format!("did you mean `{nearest}`?"),
                );
                return Err(format!(
                    "`{}` is no {kind} of a scope; {meant}",
                    word.escape_debug()
                ));
            }
        }
        let plain = |name: &str| {
            !name.is_empty()
                && name
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"._-*".contains(&byte))
        };
        if name.is_some_and(|name| !plain(name)) {
            return Err(format!(
                "the name in the scope `{}` is no name of letters, digits, `.`, `_` and `-`",
                text.escape_debug()
            ));
        }
        Ok(Self {
            resource: resource.into(),
            verb: verb.into(),
            name: name.map(str::to_owned),
        })
    }
}

impl TryFrom<String> for Scope {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Scope> for String {
    fn from(scope: Scope) -> Self {
        scope.to_string()
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            None if self.resource == "*" && self.verb == "*" => formatter.write_str("*"),
            None => write!(formatter, "{}:{}", self.resource, self.verb),
            Some(name) => write!(formatter, "{}:{}:{name}", self.resource, self.verb),
        }
    }
}

/// What stands in front of the API.
pub struct Access {
    /// The keys.
    pub keys: Keys,
    /// The providers by way of which people and programs come.
    pub sign_in: SignIn,
    /// What they are called here.
    pub people: People,
    /// Those who are in.
    pub sessions: Sessions,
    /// What they show before they approve.
    pub factors: Factors,
    /// Where browsers reach this host, if that is set.
    pub url: Option<String>,
    /// Whether they do so over TLS, so that their cookies go nowhere else.
    pub secure: bool,
    /// Whether who has a second factor shows it before they change anything.
    pub factor_for_changes: bool,
    /// Who is kept out.
    pub guard: Arc<Guard>,
    /// What was asked of the API, on its way into the journal.
    pub calls: Calls,
    /// Proxies whose word on addresses counts.
    pub trusted_proxies: Vec<IpNet>,
    /// Names that this host answers to, beside its addresses.
    pub names: Vec<String>,
    /// Origins whose pages may read answers.
    pub cors: Vec<HeaderValue>,
}

impl Access {
    /// Whether what somebody came with still counts.
    #[must_use]
    pub fn counts_still(&self, caller: &Caller) -> bool {
        let Some(shown) = &caller.key else {
            return true;
        };
        let at = self.guard.now();
        if shown.until.is_some_and(|until| until <= at) {
            return false;
        }
        match caller.principal.kind.as_str() {
            "key" => self.keys.is_valid(shown.id, at),
            // A token ends by itself, and nothing else ends it.
            _ if shown.since.is_none() => true,
            _ => self.sessions.is_valid(shown.device, at),
        }
    }

    /// Whose request it is.
    #[must_use]
    pub fn client(&self, peer: IpAddr, headers: &HeaderMap) -> Client {
        Client::of(address::forwarded(peer, headers, &self.trusted_proxies))
    }
}

/// Whoever sent a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// Who it is, in records.
    pub principal: Principal,
    /// With what they came; none for a person at this machine, who may do everything.
    pub key: Option<Shown>,
}

/// With what a caller came: a key, a session or a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// The key's id, or the person's; nil for the founder's key.
    pub id: Uuid,
    /// From where: the same for the same session or token, and for the same key.
    pub device: Uuid,
    /// When the person came in; none for a key and for a token.
    pub since: Option<Timestamp>,
    /// Until when it counts, where that was said.
    pub until: Option<Timestamp>,
    /// What it may.
    pub role: Role,
    /// What of that.
    pub scopes: Vec<Scope>,
}

impl Caller {
    /// A person at this machine.
    #[must_use]
    pub fn local() -> Self {
        Self {
            principal: Principal::local(),
            key: None,
        }
    }

    /// Whether they may give somebody a key with this role and these scopes: nobody hands out what they do not have.
    #[must_use]
    pub fn may_give(&self, role: Role, scopes: &[Scope]) -> bool {
        let Some(key) = &self.key else { return true };
        // Without scopes a role is not narrowed, but for that of programs, which has nothing then.
        let whole = [Scope::everything()];
        fn named<'s>(role: Role, scopes: &'s [Scope], whole: &'s [Scope]) -> &'s [Scope] {
            if scopes.is_empty() && role != Role::Service {
                whole
            } else {
                scopes
            }
        }
        let own = named(key.role, &key.scopes, &whole);
        role.reach() <= key.role.reach()
            && named(role, scopes, &whole)
                .iter()
                .all(|scope| own.iter().any(|own| own.includes(scope)))
    }

    /// Whether they may, of the thing of that name.
    #[must_use]
    pub fn may(&self, permission: &Permission, name: Option<&str>) -> bool {
        let Some(key) = &self.key else { return true };
        if key.role.reach() < permission.least {
            return false;
        }
        let covered = key
            .scopes
            .iter()
            .any(|scope| scope.covers(permission, name));
        let narrowed = key.role == Role::Service || permission.is_approval();
        covered || (key.scopes.is_empty() && !narrowed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn permission(resource: &'static str, verb: &'static str, least: Role) -> Permission {
        Permission {
            resource,
            verb,
            least,
        }
    }

    fn caller(role: Role, scopes: &[&str]) -> Caller {
        Caller {
            principal: Principal::local(),
            key: Some(Shown {
                id: Uuid::nil(),
                device: Uuid::nil(),
                since: None,
                until: None,
                role,
                scopes: scopes.iter().map(|scope| scope.parse().unwrap()).collect(),
            }),
        }
    }

    #[test]
    fn scopes_narrow_what_a_role_may() {
        let read = permission("runs", "read", Role::Viewer);
        let run = permission("agents", "run", Role::Editor);
        let keys = permission("keys", "change", Role::Admin);
        for (role, scopes, name, expected) in [
            (Role::Viewer, &[][..], None, [true, false, false]),
            (Role::Editor, &[], None, [true, true, false]),
            (Role::Admin, &[], None, [true, true, true]),
            (Role::Service, &[], None, [false, false, false]),
            (Role::Service, &["*"], None, [true, true, false]),
            (Role::Admin, &["*"], None, [true, true, true]),
            (Role::Admin, &["*:read"], None, [true, false, false]),
            (
                Role::Editor,
                &["agents:run:badge"],
                Some("badge"),
                [false, true, false],
            ),
            (
                Role::Editor,
                &["agents:run:badge"],
                Some("other"),
                [false; 3],
            ),
            (Role::Editor, &["agents:run:badge"], None, [false; 3]),
            (
                Role::Editor,
                &["agents:run:*"],
                Some("x"),
                [false, true, false],
            ),
            (Role::Viewer, &["agents:run"], Some("x"), [false; 3]),
            (Role::Editor, &["agents:*"], Some("x"), [false, true, false]),
        ] {
            let caller = caller(role, scopes);
            let seen = [&read, &run, &keys].map(|asked| caller.may(asked, name));
            assert_eq!(seen, expected, "{role} {scopes:?} {name:?}");
        }
        assert!(Caller::local().may(&keys, None));
    }

    #[test]
    fn approvals_are_given_by_name() {
        let approve = permission("effects", "approve", Role::Editor);
        for (role, scopes, expected) in [
            (Role::Admin, &[][..], false),
            (Role::Admin, &["*"], false),
            (Role::Admin, &["effects:*"], false),
            (Role::Admin, &["*:approve"], false),
            (Role::Admin, &["*", "effects:approve"], true),
            (Role::Editor, &["effects:approve"], true),
            (Role::Viewer, &["effects:approve"], false),
        ] {
            assert_eq!(
                caller(role, scopes).may(&approve, None),
                expected,
                "{role} {scopes:?}"
            );
        }
    }

    #[test]
    fn nobody_hands_out_what_they_do_not_have() {
        let list = |scopes: &[&str]| -> Vec<Scope> {
            scopes.iter().map(|scope| scope.parse().unwrap()).collect()
        };
        for (own, role, scopes, expected) in [
            (caller(Role::Admin, &[]), Role::Admin, &[][..], true),
            (
                caller(Role::Admin, &[]),
                Role::Editor,
                &["effects:approve"],
                false,
            ),
            (
                caller(Role::Admin, &["*", "effects:approve"]),
                Role::Editor,
                &["effects:approve"],
                true,
            ),
            (
                caller(Role::Admin, &["keys:change"]),
                Role::Admin,
                &[],
                false,
            ),
            (
                caller(Role::Admin, &["keys:change"]),
                Role::Admin,
                &["*"],
                false,
            ),
            (
                caller(Role::Admin, &["keys:*", "runs:read"]),
                Role::Viewer,
                &["runs:read"],
                true,
            ),
            (
                caller(Role::Admin, &["agents:run:badge"]),
                Role::Editor,
                &["agents:run"],
                false,
            ),
            (
                caller(Role::Admin, &["agents:run"]),
                Role::Editor,
                &["agents:run:badge"],
                true,
            ),
            (caller(Role::Editor, &[]), Role::Admin, &[], false),
            (caller(Role::Editor, &[]), Role::Service, &["*"], true),
            (Caller::local(), Role::Admin, &["billing:approve"], true),
        ] {
            assert_eq!(
                own.may_give(role, &list(scopes)),
                expected,
                "{own:?} {role} {scopes:?}"
            );
        }
    }

    #[test]
    fn a_scope_is_read_as_it_is_written() {
        for text in ["*", "agents:read", "agents:run:badge", "*:read", "agents:*"] {
            assert_eq!(text.parse::<Scope>().unwrap().to_string(), text);
        }
        for (text, part) in [
            ("agents", "is no scope"),
            ("agent:run", "did you mean `agents`?"),
            ("agents:fly", "there are `approve`"),
            ("agents:run:", "no name"),
            ("agents:run:a b", "no name"),
            ("", "is no scope"),
        ] {
            let error = text.parse::<Scope>().unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
        let long = format!("agents:run:{}", "x".repeat(Scope::MAX));
        assert!(long.parse::<Scope>().unwrap_err().contains("at most"));
    }
}
