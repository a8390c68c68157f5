//! `infinity login`, `logout`, `whoami`, `sessions` and `factor`: how a person at a terminal comes in by way of a provider, and shows a second factor.

use super::client::{Client, KEY_VARIABLE, encode, sessions};
use super::output::{Output, printable};
use super::show::seconds;
use super::{CliError, Done};
use crate::access::factors::{Factor, FactorKind, NewTotp};
use crate::access::sign_in::DeviceView;
use crate::api::{FactorList, FactorShown, NewSession, OfferList, SessionList, SessionView};
use clap::{Args, Subcommand};
use serde_json::json;
use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;
use uuid::Uuid;

/// How long to wait before asking again.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// By way of whom.
#[derive(Debug, Args)]
pub struct LoginOptions {
    /// The provider; not needed where there is one
    provider: Option<String>,
}

pub(super) async fn login(options: &LoginOptions, client: &Client, output: &Output) -> Done {
    let Some(base) = client.base_url() else {
        return Err(CliError::input("there is no host to sign in to").with_hint(
            "name one with `--url https://infinity.example.com`; on the host's own machine nobody signs in",
        ));
    };
    let offers: OfferList = client.get("/v1/sign-in").await?;
    let names: Vec<&str> = offers
        .items
        .iter()
        .map(|offer| offer.name.as_str())
        .collect();
    let provider = match (&options.provider, &names[..]) {
        (Some(name), _) => name.clone(),
        (None, [one]) => (*one).to_owned(),
        (None, []) => {
            return Err(
                CliError::input("this host knows nobody who vouches for people")
                    .with_hint("an admin adds `[host.sign_in.NAME]` to its `plugins.toml`"),
            );
        }
        (None, many) => {
            return Err(CliError::input("there is more than one provider")
                .with_hint(format!("name one of `{}`", many.join("`, `"))));
        }
    };
    let path = format!("/v1/sign-in/{}/device", encode(&provider));
    let device: DeviceView = client.post(&path, &json!({})).await?;
    let place = device
        .verification_uri_complete
        .as_deref()
        .unwrap_or(&device.verification_uri);
    output.note(&format!(
        "open {} and enter {}",
        printable(place),
        printable(&device.user_code)
    ));
    let waiting = output.spinner("waiting for you");
    let body = json!({ "handle": device.handle });
    let session: NewSession = loop {
        let asked = client.post_or_wait(&format!("{path}/session"), &body).await;
        match asked {
            Ok(Some(session)) => break session,
            // The host waits for the person itself, but not for ever and not for everybody at once.
            Ok(None) => tokio::time::sleep(ASK_AGAIN).await,
            Err(error) => {
                waiting.finish_and_clear();
                return Err(error);
            }
        }
    };
    waiting.finish_and_clear();
    sessions::keep(&base, Some(&session.token))?;
    if output.is_json() {
        output.value(&session.session);
    } else {
        output.line(&format!(
            "signed in to {base} as `{}`, until {}",
            printable(&session.session.name),
            seconds(session.session.ends_at)
        ));
    }
    Ok(0)
}

pub(super) async fn logout(client: &Client, output: &Output) -> Done {
    if std::env::var_os(KEY_VARIABLE).is_some() {
        return Err(CliError::input(format!(
            "`{KEY_VARIABLE}` is set, so this would be its key and no session"
        ))
        .with_hint("unset it; `infinity key revoke` ends a key"));
    }
    client.delete("/v1/session").await?;
    if let Some(base) = client.base_url() {
        sessions::keep(&base, None)?;
    }
    if output.is_json() {
        output.value(&json!({ "signed_out": true }));
    } else {
        output.line("signed out");
    }
    Ok(0)
}

pub(super) async fn whoami(client: &Client, output: &Output) -> Done {
    let view: SessionView = client.get("/v1/session").await?;
    if output.is_json() {
        output.value(&view);
        return Ok(0);
    }
    let may = match (&view.role, view.scopes.is_empty()) {
        (None, _) => "everything, as whoever works on the host's own machine".to_owned(),
        (Some(role), true) => role.to_string(),
        (Some(role), false) => format!("{role}, of that {}", view.scopes.join(" ")),
    };
    output.line(&format!("{}: {may}", printable(&view.principal.name)));
    match (view.factor_required, view.factor_shown_until) {
        (_, Some(until)) => {
            output.note(&format!("a second factor counts until {}", seconds(until)))
        }
        (true, None) => output.note("approving takes a second factor: `infinity factor show CODE`"),
        (false, None) => {}
    }
    Ok(0)
}

/// What to do with sessions.
#[derive(Debug, Subcommand)]
pub enum SessionsCommand {
    /// List those of people who signed in
    List,
    /// End one: it is refused from now on
    End {
        /// The session's id
        id: Uuid,
    },
}

pub(super) async fn manage(command: &SessionsCommand, client: &Client, output: &Output) -> Done {
    match command {
        SessionsCommand::List => {
            let list: SessionList = client.get("/v1/sessions").await?;
            if output.is_json() {
                output.value(&list);
                return Ok(0);
            }
            let rows = list
                .items
                .into_iter()
                .map(|one| {
                    vec![
                        one.id.to_string(),
                        printable(&one.name),
                        printable(&one.device.unwrap_or_default()),
                        seconds(one.created_at).to_string(),
                        seconds(one.ends_at).to_string(),
                    ]
                })
                .collect();
            output.table(&["SESSION", "WHO", "DEVICE", "SINCE", "UNTIL"], rows);
        }
        SessionsCommand::End { id } => {
            client.delete(&format!("/v1/sessions/{id}")).await?;
            if output.is_json() {
                output.value(&json!({ "ended": id }));
            } else {
                output.line(&format!("{id} is over"));
            }
        }
    }
    Ok(0)
}

/// What to do with second factors.
#[derive(Debug, Subcommand)]
pub enum FactorCommand {
    /// List yours; on the host's own machine everybody's
    List,
    /// Add an authenticator app: its code is asked for on a terminal, and otherwise confirmed with `confirm`
    Totp {
        /// What to call it
        #[arg(long, default_value = "authenticator")]
        label: String,
    },
    /// Confirm an authenticator app with the code that it shows
    Confirm {
        /// The factor's id
        id: Uuid,
        /// Six digits
        code: String,
    },
    /// Show the code of an authenticator app: it counts for ten minutes
    Show {
        /// Six digits
        code: String,
    },
    /// Remove one; on the host's own machine anybody's
    Remove {
        /// The factor's id
        id: Uuid,
    },
}

fn kind(kind: FactorKind) -> &'static str {
    match kind {
        FactorKind::Totp => "authenticator app",
        FactorKind::Passkey => "passkey",
    }
}

pub(super) async fn factors(command: &FactorCommand, client: &Client, output: &Output) -> Done {
    match command {
        FactorCommand::List => {
            let list: FactorList = client.get("/v1/factors").await?;
            if output.is_json() {
                output.value(&list);
                return Ok(0);
            }
            let rows = list
                .items
                .iter()
                .map(|one| {
                    let used = match (one.confirmed, one.used_at) {
                        (false, _) => "not confirmed".to_owned(),
                        (true, Some(at)) => seconds(at).to_string(),
                        (true, None) => String::new(),
                    };
                    vec![
                        one.id.to_string(),
                        printable(&one.owner.name),
                        kind(one.kind).to_owned(),
                        printable(&one.label),
                        used,
                    ]
                })
                .collect();
            output.table(&["FACTOR", "WHOSE", "KIND", "LABEL", "USED"], rows);
            Ok(0)
        }
        FactorCommand::Totp { label } => totp(label, client, output).await,
        FactorCommand::Confirm { id, code } => confirm(*id, code, client, output).await,
        FactorCommand::Show { code } => {
            let shown = show(code, client).await?;
            if output.is_json() {
                output.value(&shown);
            } else {
                output.line(&format!("it counts until {}", seconds(shown.until)));
            }
            Ok(0)
        }
        FactorCommand::Remove { id } => {
            let factor: Factor = client
                .delete_with_answer(&format!("/v1/factors/{id}"))
                .await?;
            if output.is_json() {
                output.value(&factor);
            } else {
                output.line(&format!(
                    "the {} `{}` of `{}` is removed",
                    kind(factor.kind),
                    printable(&factor.label),
                    printable(&factor.owner.name)
                ));
            }
            Ok(0)
        }
    }
}

/// Shows a code, before what takes one.
pub(super) async fn show(code: &str, client: &Client) -> Result<FactorShown, CliError> {
    client
        .post("/v1/session/factor", &json!({ "code": code }))
        .await
}

async fn totp(label: &str, client: &Client, output: &Output) -> Done {
    let new: NewTotp = client
        .post("/v1/factors/totp", &json!({ "label": label }))
        .await?;
    if output.is_json() {
        output.value(&new);
        return Ok(0);
    }
    if let Ok(picture) = qrcode::QrCode::new(&new.uri) {
        let picture = picture
            .render::<qrcode::render::unicode::Dense1x2>()
            .build();
        for line in picture.lines() {
            output.line(line);
        }
    }
    output.line(&new.uri);
    output.note(&format!(
        "let an authenticator app read the picture, or give it the secret {}; it is shown this once",
        new.secret
    ));
    if !std::io::stdin().is_terminal() {
        output.note(&format!(
            "then: `infinity factor confirm {} CODE`, within 15 minutes",
            new.factor.id
        ));
        return Ok(0);
    }
    let _ = write!(std::io::stderr(), "the code that it shows: ");
    let mut code = String::new();
    std::io::stdin()
        .read_line(&mut code)
        .map_err(|error| CliError::failed(format!("nothing can be read: {error}")))?;
    confirm(new.factor.id, code.trim(), client, output).await
}

async fn confirm(id: Uuid, code: &str, client: &Client, output: &Output) -> Done {
    let path = format!("/v1/factors/totp/{id}/confirmation");
    let factor: Factor = client.post(&path, &json!({ "code": code })).await?;
    if output.is_json() {
        output.value(&factor);
    } else {
        output.line(&format!(
            "`{}` counts from now on; whoever approves on this host shows theirs",
            printable(&factor.label)
        ));
    }
    Ok(0)
}
