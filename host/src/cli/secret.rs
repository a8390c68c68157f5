//! `infinity secret`: values for what the configuration names by `${NAME}`. A value comes from standard input or a prompt and is never an argument, which others could read.

use super::client::Client;
use super::output::Output;
use super::show::seconds;
use super::{CliError, Done};
use crate::api::SecretList;
use crate::secrets::{SecretError, SecretView, Secrets, VALUE_BYTES_MAX};
use clap::{Args, Subcommand};
use jiff::{SignedDuration, Timestamp};
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
use serde_json::json;
use std::io::{IsTerminal as _, Read as _, Write as _};
use std::sync::Arc;

/// What to do with secrets.
#[derive(Debug, Subcommand)]
pub enum SecretCommand {
    /// Give one a value, from standard input or typed unseen
    Set {
        /// Its name: capital letters, digits and `_`
        name: String,
    },
    /// List them: where each comes from, how old it is, what names it
    List,
    /// Replace one now: by a value that the host makes, or by one from standard input
    Rotate(RotateOptions),
    /// Remove one from the host's own file
    Rm {
        /// Its name
        name: String,
    },
}

/// How to replace a secret.
#[derive(Debug, Args)]
pub struct RotateOptions {
    /// Its name
    name: String,
    /// Take the new value from standard input
    #[arg(long)]
    value_stdin: bool,
    /// How long the value before counts, for instance `2d`; `0m` in an emergency; as the catalogue says without it
    #[arg(long, value_name = "TIME", value_parser = super::access::length)]
    grace: Option<SignedDuration>,
}

/// Where secrets are changed: through a host, or, where its configuration has mistakes and so none can be made, on the state folder.
pub enum SecretPlace {
    /// A host.
    Host(Client),
    /// The state folder alone.
    Folder(Arc<Secrets>),
}

impl From<SecretError> for CliError {
    fn from(error: SecretError) -> Self {
        let message = error.to_string();
        match error {
            SecretError::Vault(_) | SecretError::Sealed(_) | SecretError::Full => {
                Self::failed(message)
            }
            _ => Self::input(message),
        }
    }
}

pub(super) async fn execute(command: &SecretCommand, place: &SecretPlace, output: &Output) -> Done {
    match command {
        SecretCommand::Set { name } => {
            let value = value(name)?;
            let view = match place {
                SecretPlace::Host(client) => {
                    client.put(&path(name), &json!({ "value": value })).await?
                }
                SecretPlace::Folder(secrets) => {
                    let view = secrets.set(name, &value).await?;
                    noted(secrets, "secret.set", name)?;
                    view
                }
            };
            shown("is set", &view, output);
        }
        SecretCommand::List => list(place, output).await?,
        SecretCommand::Rotate(options) => {
            let value = options
                .value_stdin
                .then(|| value(&options.name))
                .transpose()?;
            let name = &options.name;
            let view = match place {
                SecretPlace::Host(client) => {
                    let body = json!({ "value": value, "grace_seconds": options.grace.map(|grace| grace.as_secs()) });
                    client
                        .post(&format!("{}/rotations", path(name)), &body)
                        .await?
                }
                SecretPlace::Folder(secrets) => {
                    let view = secrets
                        .rotate(name, value.as_deref(), options.grace)
                        .await?;
                    noted(secrets, "secret.rotated", name)?;
                    view
                }
            };
            shown("is replaced", &view, output);
        }
        SecretCommand::Rm { name } => {
            match place {
                SecretPlace::Host(client) => client.delete(&path(name)).await?,
                SecretPlace::Folder(secrets) => {
                    secrets.remove(name).await?;
                    noted(secrets, "secret.removed", name)?;
                }
            }
            if output.is_json() {
                output.value(&json!({ "removed": name }));
            } else {
                output.line(&format!("`{name}` is removed"));
            }
        }
    }
    Ok(0)
}

fn path(name: &str) -> String {
    format!("/v1/secrets/{}", super::client::encode(name))
}

/// The next host's journal says what was done without one.
fn noted(secrets: &Secrets, action: &str, name: &str) -> Result<(), CliError> {
    secrets.note_offline(action, name).map_err(|error| {
        CliError::failed(format!(
            "it is done, and cannot be noted for the journal: {error}"
        ))
    })
}

fn shown(what: &str, view: &SecretView, output: &Output) {
    if output.is_json() {
        output.value(view);
        return;
    }
    output.line(&format!("`{}` {what}", view.name));
    if let Some(until) = view.previous_until {
        output.note(&format!("the value before counts until {}", seconds(until)));
    }
    if view.used_by.is_empty() {
        output.note(&format!(
            "nothing names it; write `${{{}}}` where it is needed",
            view.name
        ));
    }
}

async fn list(place: &SecretPlace, output: &Output) -> Result<(), CliError> {
    let list = match place {
        SecretPlace::Host(client) => client.get("/v1/secrets").await?,
        SecretPlace::Folder(secrets) => SecretList {
            items: secrets.list(),
            problems: secrets.problems(),
        },
    };
    if output.is_json() {
        output.value(&list);
        return Ok(());
    }
    let now = Timestamp::now();
    let rows = list.items.iter().map(|view| row(view, now)).collect();
    output.table(
        &[
            "SECRET", "FROM", "VERSION", "AGE", "REPLACED", "STATE", "USED BY",
        ],
        rows,
    );
    for problem in &list.problems {
        output.note(problem);
    }
    if list.items.is_empty() {
        output.note("there are no secrets, and nothing names one");
    }
    Ok(())
}

fn row(view: &SecretView, now: Timestamp) -> Vec<String> {
    let nothing = || "-".to_owned();
    let days = |seconds: u64| format!("{} d", seconds / 86_400);
    let age = view.changed_at.map(|changed_at| {
        let age = now.duration_since(changed_at).as_secs();
        days(u64::try_from(age).unwrap_or(0))
    });
    let state = match (view.provider, view.overdue, view.previous_until) {
        (None, ..) => "missing".to_owned(),
        (_, true, _) => "overdue".to_owned(),
        (_, _, Some(until)) => format!("the one before counts until {}", seconds(until)),
        _ => "valid".to_owned(),
    };
    let by = if view.by_host { "host" } else { "hand" };
    vec![
        view.name.clone(),
        view.provider
            .map_or_else(nothing, |provider| provider.as_str().to_owned()),
        view.version
            .map_or_else(nothing, |version| version.to_string()),
        age.unwrap_or_else(nothing),
        format!("after {} by {by}", days(view.rotate_seconds)),
        state,
        view.used_by.join(" "),
    ]
}

/// The value: typed unseen at a terminal, or all of standard input without the line break at its end.
fn value(name: &str) -> Result<String, CliError> {
    let unreadable =
        |error: std::io::Error| CliError::failed(format!("nothing can be read: {error}"));
    let stdin = std::io::stdin();
    let mut value = String::new();
    if stdin.is_terminal() {
        let _ = write!(std::io::stderr(), "the value of {name}: ");
        let before = tcgetattr(&stdin).map_err(|error| unreadable(error.into()))?;
        let mut unseen = before.clone();
        unseen.local_modes.remove(LocalModes::ECHO);
        tcsetattr(&stdin, OptionalActions::Flush, &unseen)
            .map_err(|error| unreadable(error.into()))?;
        let read = stdin.read_line(&mut value);
        let _ = tcsetattr(&stdin, OptionalActions::Flush, &before);
        let _ = writeln!(std::io::stderr());
        read.map_err(unreadable)?;
    } else {
        stdin
            .take(VALUE_BYTES_MAX as u64 + 3)
            .read_to_string(&mut value)
            .map_err(|error| match error.kind() {
                std::io::ErrorKind::InvalidData => CliError::input("the value is no UTF-8 text"),
                _ => unreadable(error),
            })?;
    }
    if value.ends_with('\n') {
        value.pop();
        if value.ends_with('\r') {
            value.pop();
        }
    }
    Ok(value)
}
