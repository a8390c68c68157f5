//! `infinity key` and `infinity bans`: who may call, and who is kept out.

use super::Done;
use super::client::{Client, encode};
use super::output::Output;
use super::show::seconds;
use crate::access::Role;
use crate::access::keys::{ApiKey, NewKey};
use crate::api::{BanList, KeyList, LockoutList};
use clap::{Args, Subcommand};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use uuid::Uuid;

/// A key's id as it is typed.
fn key_id(typed: &str) -> Result<Uuid, String> {
    typed
        .parse()
        .map_err(|_| "that is no key's id; `infinity key list` lists them".to_owned())
}

/// A length of time as it is typed, such as `90d`.
pub(super) fn length(typed: &str) -> Result<SignedDuration, String> {
    let wrong =
        || "that is no length of time; write for instance `30m`, `12h`, `90d` or `4w`".to_owned();
    let unit = typed.chars().last().ok_or_else(wrong)?;
    let number: i64 = typed[..typed.len() - unit.len_utf8()]
        .parse()
        .map_err(|_| wrong())?;
    let minutes = match unit {
        'm' => 1,
        'h' => 60,
        'd' => 24 * 60,
        'w' => 7 * 24 * 60,
        _ => return Err(wrong()),
    };
    number
        .checked_mul(minutes)
        .filter(|minutes| (0..=20 * 366 * 24 * 60).contains(minutes))
        .map(SignedDuration::from_mins)
        .ok_or_else(wrong)
}

/// What to do with keys.
#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// Make one; it is shown this once
    Create(CreateOptions),
    /// List them, newest first
    List,
    /// Make one in place of another, which stays valid for a while
    Rotate {
        /// The key's id
        #[arg(value_parser = key_id)]
        id: Uuid,
        /// How long the old one stays valid
        #[arg(long, value_name = "TIME", default_value = "1d", value_parser = length)]
        grace: SignedDuration,
    },
    /// End one: it is refused from now on
    Revoke {
        /// The key's id
        #[arg(value_parser = key_id)]
        id: Uuid,
    },
}

/// The key to make.
#[derive(Debug, Args)]
pub struct CreateOptions {
    /// Who will come with it, in records
    name: String,
    /// What it may: `viewer`, `editor`, `admin`, or `service` for a program that may only what its scopes name
    #[arg(long)]
    role: Role,
    /// What of that, for instance `agents:run:badge`; approving has to be named: `effects:approve`
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<String>,
    /// How long it is valid, for instance `90d`; for ever without it
    #[arg(long, value_name = "TIME", value_parser = length)]
    expires: Option<SignedDuration>,
}

pub(super) async fn keys(command: &KeyCommand, client: &Client, output: &Output) -> Done {
    match command {
        KeyCommand::Create(options) => {
            let body = json!({
                "name": options.name, "role": options.role, "scopes": options.scopes,
                "expires_at": options.expires.map(|lasts| Timestamp::now() + lasts),
            });
            shown(&client.post("/v1/keys", &body).await?, output)
        }
        KeyCommand::List => list(client, output).await,
        KeyCommand::Rotate { id, grace } => {
            let body = json!({ "grace_seconds": grace.as_secs() });
            let key: NewKey = client.post(&format!("/v1/keys/{id}/rotate"), &body).await?;
            shown(&key, output)
        }
        KeyCommand::Revoke { id } => {
            let key: ApiKey = client.delete_with_answer(&format!("/v1/keys/{id}")).await?;
            if output.is_json() {
                output.value(&key);
            } else {
                output.line(&format!("`{}` ({}…) is revoked", key.name, key.prefix));
            }
            Ok(0)
        }
    }
}

/// A new key: alone on its line, so that it can be taken from there.
fn shown(new: &NewKey, output: &Output) -> Done {
    if output.is_json() {
        output.value(new);
        return Ok(0);
    }
    output.line(&new.secret);
    let until = new.key.expires_at.map_or_else(
        || "for ever".to_owned(),
        |end| format!("until {}", seconds(end)),
    );
    output.note(&format!(
        "this is the key `{}` ({}, {}), valid {until}; it is shown this once",
        new.key.name,
        new.key.role,
        allowed(&new.key)
    ));
    Ok(0)
}

/// What a key may of its role.
fn allowed(key: &ApiKey) -> String {
    if key.scopes.is_empty() {
        return "all of it but approvals".to_owned();
    }
    let scopes: Vec<String> = key.scopes.iter().map(ToString::to_string).collect();
    scopes.join(" ")
}

async fn list(client: &Client, output: &Output) -> Done {
    let list: KeyList = client.get("/v1/keys").await?;
    if output.is_json() {
        output.value(&list);
        return Ok(0);
    }
    let now = Timestamp::now();
    let rows = list
        .items
        .iter()
        .map(|key| {
            let state = match (key.refused(now), key.replaced_by, key.expires_at) {
                (Some(refused), ..) => refused.as_str().to_owned(),
                (None, Some(_), Some(end)) => format!("replaced, until {}", seconds(end)),
                (None, _, Some(end)) => format!("until {}", seconds(end)),
                (None, ..) => "valid".to_owned(),
            };
            vec![
                key.id.to_string(),
                key.name.clone(),
                key.role.to_string(),
                allowed(key),
                format!("{}…", key.prefix),
                seconds(key.created_at).to_string(),
                state,
            ]
        })
        .collect();
    output.table(
        &["KEY", "NAME", "ROLE", "MAY", "BEGINS", "MADE", "STATE"],
        rows,
    );
    if list.items.is_empty() {
        output.note(
            "there are no keys; from the first one on every request over the network needs one",
        );
    }
    Ok(0)
}

/// What to do with bans and lockouts.
#[derive(Debug, Subcommand)]
pub enum BansCommand {
    /// List those who are kept out until somebody lets them in
    List,
    /// Let one in again
    Lift {
        /// The address, as the list writes it
        address: String,
    },
    /// List those who are kept out for a while
    Lockouts,
    /// Let one of those in again
    Unlock {
        /// The subject, as the list writes it
        subject: String,
    },
}

pub(super) async fn bans(command: &BansCommand, client: &Client, output: &Output) -> Done {
    match command {
        BansCommand::List => {
            let list: BanList = client.get("/v1/bans").await?;
            if output.is_json() {
                output.value(&list);
                return Ok(0);
            }
            let rows = list
                .items
                .into_iter()
                .map(|ban| vec![ban.address, seconds(ban.banned_at).to_string(), ban.reason])
                .collect();
            output.table(&["ADDRESS", "SINCE", "WHY"], rows);
        }
        BansCommand::Lockouts => {
            let list: LockoutList = client.get("/v1/lockouts").await?;
            if output.is_json() {
                output.value(&list);
                return Ok(0);
            }
            let rows = list
                .items
                .into_iter()
                .map(|one| vec![one.subject, seconds(one.until).to_string()])
                .collect();
            output.table(&["WHO", "UNTIL"], rows);
        }
        BansCommand::Lift { address } => {
            client
                .delete(&format!("/v1/bans/{}", encode(address)))
                .await?;
            done(output, "lifted", address);
        }
        BansCommand::Unlock { subject } => {
            client
                .delete(&format!("/v1/lockouts/{}", encode(subject)))
                .await?;
            done(output, "unlocked", subject);
        }
    }
    Ok(0)
}

fn done(output: &Output, what: &str, whom: &str) {
    if output.is_json() {
        output.value(&Value::from(serde_json::Map::from_iter([(
            what.to_owned(),
            Value::from(whom),
        )])));
    } else {
        output.line(&format!("`{whom}` is let in again"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_are_read_as_people_write_them() {
        for (typed, minutes) in [("30m", 30), ("12h", 720), ("90d", 129_600), ("2w", 20_160)] {
            assert_eq!(
                length(typed),
                Ok(SignedDuration::from_mins(minutes)),
                "{typed}"
            );
        }
        for typed in ["", "d", "90", "-1d", "1y", "9999999999d", "1.5d", "1é"] {
            assert!(length(typed).is_err(), "{typed}");
        }
    }
}
