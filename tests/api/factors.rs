//! Second factors: enrolled by who has them, shown before anything is approved, from wherever the approval comes.

use crate::access::key;
use crate::{effects, problem};
use anyhow::{Context as _, ensure};
use infinity_tests::authenticator::Browser;
use infinity_tests::host::{Folder, Host};
use reqwest::blocking::Response;
use serde_json::{Value, json};
use std::time::{SystemTime, UNIX_EPOCH};
use totp_rs::Totp;

/// The key of somebody who may do everything of a role, and approve effects.
fn approver(host: &Host, name: &str, role: &str) -> anyhow::Result<String> {
    let scopes = ["--scope", "*", "--scope", "effects:approve"];
    key(
        host.folder(),
        &[&[name, "--role", role][..], &scopes].concat(),
    )
}

/// A host with an effect that waits, and the key of somebody who may approve.
fn desk(host: &str) -> anyhow::Result<(Host, String, String)> {
    let folder = Folder::new()?;
    folder.component("test_guests", "guests")?;
    effects::with_policy(&folder)?;
    folder.config(host, &effects::everything())?;
    let host = folder.serve()?;
    let made = effects::some(&host)?;
    let ann = approver(&host, "ann", "editor")?;
    Ok((host, made.waiting, ann))
}

fn post(host: &Host, path: &str, key: &str, body: &Value) -> anyhow::Result<Response> {
    Ok(host
        .client()
        .post(host.url(path))
        .bearer_auth(key)
        .json(body)
        .send()?)
}

fn approve(host: &Host, key: &str, effect: &str) -> anyhow::Result<Response> {
    let body = json!({ "effect_id": effect, "decision": "approve" });
    post(host, "/v1/approvals", key, &body)
}

/// What the app shows, so many steps from now.
pub(crate) fn code(app: &Totp, steps: i64) -> anyhow::Result<String> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let at = now.checked_add_signed(steps * 30).context("a moment")?;
    Ok(app.generate(at).to_string())
}

/// An authenticator app of a key's owner.
struct Enrolled {
    app: Totp,
    id: String,
    /// The code that was shown while it was added, which counts for nothing any more.
    shown: String,
}

/// Adds an authenticator app to a key's owner.
fn enrolled(host: &Host, key: &str) -> anyhow::Result<Enrolled> {
    let made = post(host, "/v1/factors/totp", key, &json!({ "label": "phone" }))?;
    ensure!(made.status() == 201, "{}", made.text()?);
    let made: Value = made.json()?;
    let app = Totp::from_url(made["uri"].as_str().context("an address")?)?;
    let id = made["id"].as_str().context("an id")?.to_owned();
    let path = format!("/v1/factors/totp/{id}/confirmation");
    // The one before the current one, so that the current one is still there to be shown.
    let shown = code(&app, -1)?;
    let confirmed = post(host, &path, key, &json!({ "code": shown }))?;
    ensure!(confirmed.status() == 200, "{}", confirmed.text()?);
    Ok(Enrolled { app, id, shown })
}

#[test]
fn nobody_approves_with_less_once_anybody_has_a_second_factor() -> anyhow::Result<()> {
    let (host, waiting, ann) = desk("")?;
    let bob = approver(&host, "bob", "editor")?;
    let Enrolled { app, id, shown } = enrolled(&host, &bob)?;
    // Whoever it is, and from wherever: with a key, on the host's own machine, with a scope that names it.
    problem(
        approve(&host, &ann, &waiting)?,
        403,
        "second_factor_required",
    )?;
    let local = host.folder().infinity(&["effects", "approve", &waiting])?;
    let text = String::from_utf8_lossy(&local.stderr).into_owned();
    ensure!(
        local.status.code() == Some(2) && text.contains("infinity factor"),
        "{text}"
    );
    // Ann has none to show, and Bob's is Bob's.
    let none = post(
        &host,
        "/v1/session/factor",
        &ann,
        &json!({ "code": code(&app, 0)? }),
    )?;
    problem(none, 409, "no_factor")?;
    let billing = json!({ "title": "More", "resource": "r", "monthly_usd": 1, "reason": "why" });
    let payer = key(
        host.folder(),
        &[
            "carl",
            "--role",
            "admin",
            "--scope",
            "*",
            "--scope",
            "billing:approve",
        ],
    )?;
    let made: Value = post(&host, "/v1/billing/proposals", &ann, &billing)?.json()?;
    let path = format!(
        "/v1/billing/proposals/{}/approve",
        made["id"].as_str().context("an id")?
    );
    problem(
        post(&host, &path, &payer, &json!({}))?,
        403,
        "second_factor_required",
    )?;
    // What else they may they may as before.
    let runs = host
        .client()
        .get(host.url("/v1/runs"))
        .bearer_auth(&ann)
        .send()?;
    ensure!(runs.status() == 200);
    // After a restart nothing counts that was shown before it, and a code counts once.
    let host = host.kill_and_restart()?;
    problem(
        approve(&host, &bob, &waiting)?,
        403,
        "second_factor_required",
    )?;
    let seen = json!({ "code": shown });
    problem(
        post(&host, "/v1/session/factor", &bob, &seen)?,
        403,
        "wrong_factor",
    )?;
    let shown = post(
        &host,
        "/v1/session/factor",
        &bob,
        &json!({ "code": code(&app, 0)? }),
    )?;
    ensure!(shown.status() == 200);
    let session: Value = host
        .client()
        .get(host.url("/v1/session"))
        .bearer_auth(&bob)
        .send()?
        .json()?;
    ensure!(
        session["factor_required"] == true && session["factor_shown_until"].is_string(),
        "{session}"
    );
    let done = approve(&host, &bob, &waiting)?;
    ensure!(done.status() == 200, "{}", done.text()?);
    // Nobody else can take it away but people of the host's own machine, and then nobody needs one.
    let path = format!("/v1/factors/{id}");
    let foreign = host
        .client()
        .delete(host.url(&path))
        .bearer_auth(&ann)
        .send()?;
    problem(foreign, 404, "not_found")?;
    let listed = host.folder().infinity(&["factor", "list"])?;
    let text = String::from_utf8_lossy(&listed.stdout).into_owned();
    ensure!(
        text.contains("bob") && text.contains("authenticator app"),
        "{text}"
    );
    let removed = host.folder().infinity(&["factor", "remove", &id])?;
    ensure!(removed.status.success());
    let session: Value = host
        .client()
        .get(host.url("/v1/session"))
        .bearer_auth(&ann)
        .send()?
        .json()?;
    ensure!(session["factor_required"] == false, "{session}");
    let said = host.folder().infinity(&["audit", "export"])?;
    let text = String::from_utf8_lossy(&said.stdout).into_owned();
    for action in ["factor.enrolled", "factor.shown", "factor.removed"] {
        ensure!(text.contains(action), "{action}: {text}");
    }
    Ok(())
}

#[test]
fn codes_that_are_guessed_lock_out_and_a_stolen_key_changes_no_factor() -> anyhow::Result<()> {
    let (host, _, ann) = desk("")?;
    let Enrolled { app, id, .. } = enrolled(&host, &ann)?;
    // What was shown while enrolling counts for the key that did; a restart ends that.
    let host = host.kill_and_restart()?;
    let add = post(&host, "/v1/factors/totp", &ann, &json!({}))?;
    problem(add, 403, "second_factor_required")?;
    let options = post(&host, "/v1/factors/passkey/options", &ann, &json!({}))?;
    problem(options, 403, "second_factor_required")?;
    let path = format!("/v1/factors/{id}");
    let gone = host
        .client()
        .delete(host.url(&path))
        .bearer_auth(&ann)
        .send()?;
    problem(gone, 403, "second_factor_required")?;
    let right = code(&app, 0)?;
    let wrong = if right == "000000" {
        "000001"
    } else {
        "000000"
    };
    let mut locked = None;
    for _ in 0..6 {
        let answer = post(&host, "/v1/session/factor", &ann, &json!({ "code": wrong }))?;
        if answer.status() == 429 {
            locked = Some(answer);
            break;
        }
        problem(answer, 403, "wrong_factor")?;
    }
    let locked = locked.context("nobody is locked out")?;
    ensure!(locked.headers().contains_key("retry-after"));
    problem(locked, 429, "locked_out")?;
    // The right one, too, until it is over.
    let answer = post(
        &host,
        "/v1/session/factor",
        &ann,
        &json!({ "code": code(&app, 1)? }),
    )?;
    problem(answer, 429, "locked_out")?;
    Ok(())
}

#[test]
fn bad_factors_are_told_what_is_wrong_with_them() -> anyhow::Result<()> {
    let (host, _, ann) = desk("")?;
    for (path, body, status, code) in [
        ("/v1/session/factor", json!({}), 422, "invalid_factor"),
        (
            "/v1/session/factor",
            json!({ "code": "1", "passkey": {} }),
            422,
            "invalid_factor",
        ),
        (
            "/v1/session/factor",
            json!({ "code": 1 }),
            422,
            "invalid_factor",
        ),
        (
            "/v1/session/factor",
            json!({ "code": "123456" }),
            409,
            "no_factor",
        ),
        ("/v1/session/factor/options", Value::Null, 409, "no_factor"),
        (
            "/v1/factors/totp",
            json!({ "label": "" }),
            422,
            "invalid_factor",
        ),
        (
            "/v1/factors/totp",
            json!({ "label": "a\nb" }),
            422,
            "invalid_factor",
        ),
        (
            "/v1/factors/totp",
            json!({ "label": "x".repeat(61) }),
            422,
            "invalid_factor",
        ),
        (
            "/v1/factors/totp",
            json!({ "secret": "x" }),
            422,
            "invalid_factor",
        ),
        (
            "/v1/factors/passkey",
            json!({ "passkey": {} }),
            422,
            "invalid_factor",
        ),
        (
            "/v1/factors/passkey",
            json!({ "passkey": null }),
            422,
            "invalid_factor",
        ),
        (
            "/v1/factors/totp/01890000-0000-7000-8000-000000000001/confirmation",
            json!({ "code": "123456" }),
            404,
            "not_found",
        ),
    ] {
        let answer = post(&host, path, &ann, &body)?;
        problem(answer, status, code).with_context(|| format!("{path} {body}"))?;
    }
    // On a terminal it is a picture.
    let shown = host.folder().infinity(&["factor", "totp"])?;
    let picture = String::from_utf8_lossy(&shown.stdout).into_owned();
    ensure!(
        shown.status.success() && picture.lines().count() > 20,
        "{picture}"
    );
    ensure!(
        !picture.contains("\\n") && picture.contains("otpauth://totp/"),
        "{picture}"
    );
    for _ in 0..10 {
        ensure!(post(&host, "/v1/factors/totp", &ann, &json!({}))?.status() == 201);
    }
    problem(
        post(&host, "/v1/factors/totp", &ann, &json!({}))?,
        409,
        "too_many_factors",
    )?;
    Ok(())
}

#[test]
fn a_passkey_is_made_and_shown_by_a_browser_on_the_hosts_own_address() -> anyhow::Result<()> {
    let (host, waiting, ann) = desk("")?;
    // Who is reached by a name asks everybody for a key from the start.
    let (_, folder) = host.stop_and_keep()?;
    folder.config(
        "url = \"https://infinity.example.com\"",
        &effects::everything(),
    )?;
    let host = folder.serve()?;
    let open = host.client().get(host.url("/v1/runs")).send()?;
    problem(open, 401, "unauthenticated")?;
    let page = "https://infinity.example.com";
    let mut browser = Browser::default();
    let options: Value = post(&host, "/v1/factors/passkey/options", &ann, &json!({}))?.json()?;
    ensure!(options["rp"]["id"] == "infinity.example.com", "{options}");
    let made = browser.create(page, &options).map_err(anyhow::Error::msg)?;
    let body = json!({ "label": "laptop", "passkey": made });
    let added = post(&host, "/v1/factors/passkey", &ann, &body)?;
    ensure!(added.status() == 201, "{}", added.text()?);
    // It was asked for once.
    problem(
        post(&host, "/v1/factors/passkey", &ann, &body)?,
        409,
        "not_begun",
    )?;
    let host = host.kill_and_restart()?;
    problem(
        approve(&host, &ann, &waiting)?,
        403,
        "second_factor_required",
    )?;
    let options: Value = post(&host, "/v1/session/factor/options", &ann, &json!({}))?.json()?;
    let shown = browser.get(page, &options).map_err(anyhow::Error::msg)?;
    let body = json!({ "passkey": shown });
    let taken = post(&host, "/v1/session/factor", &ann, &body)?;
    ensure!(taken.status() == 200, "{}", taken.text()?);
    ensure!(approve(&host, &ann, &waiting)?.status() == 200);
    problem(
        post(&host, "/v1/session/factor", &ann, &body)?,
        409,
        "not_begun",
    )?;
    Ok(())
}

#[test]
fn a_stolen_key_does_not_make_itself_another_that_has_shown_everything() -> anyhow::Result<()> {
    let (host, waiting, _) = desk("factor_for_changes = true")?;
    let root = approver(&host, "root", "admin")?;
    let bob = approver(&host, "bob", "editor")?;
    let gift = json!({ "name": "x", "role": "editor", "scopes": ["effects:approve"] });
    let made = post(&host, "/v1/keys", &root, &gift)?;
    ensure!(made.status() == 201);
    let made: Value = made.json()?;
    let Enrolled { app, .. } = enrolled(&host, &bob)?;
    problem(
        post(&host, "/v1/keys", &root, &gift)?,
        403,
        "second_factor_required",
    )?;
    let path = format!("/v1/keys/{}/rotate", made["id"].as_str().context("an id")?);
    problem(
        post(&host, &path, &root, &json!({}))?,
        403,
        "second_factor_required",
    )?;
    // What approves nothing is made as before.
    let plain = json!({ "name": "y", "role": "viewer" });
    ensure!(post(&host, "/v1/keys", &root, &plain)?.status() == 201);
    // Who may approve effects may not approve what is paid for, by whichever route.
    let billing = json!({ "title": "More", "resource": "r", "monthly_usd": 1, "reason": "why" });
    let proposed: Value = post(&host, "/v1/billing/proposals", &root, &billing)?.json()?;
    let body = json!({ "effect_id": proposed["id"], "decision": "approve" });
    let refused = problem(post(&host, "/v1/approvals", &bob, &body)?, 403, "forbidden")?;
    ensure!(
        refused["detail"]
            .as_str()
            .is_some_and(|said| said.contains("billing:approve")),
        "{refused}"
    );
    // Here who has a factor shows it before they change anything; who has none goes on as before.
    let host = host.kill_and_restart()?;
    let pause = |key: &str| post(&host, "/v1/agents/other/pause", key, &json!({}));
    problem(pause(&bob)?, 403, "second_factor_required")?;
    ensure!(pause(&root)?.status() == 200);
    let read = host
        .client()
        .get(host.url("/v1/runs"))
        .bearer_auth(&bob)
        .send()?;
    ensure!(read.status() == 200);
    let shown = post(
        &host,
        "/v1/session/factor",
        &bob,
        &json!({ "code": code(&app, 0)? }),
    )?;
    ensure!(shown.status() == 200, "{}", shown.text()?);
    ensure!(pause(&bob)?.status() == 200);
    ensure!(approve(&host, &bob, &waiting)?.status() == 200);
    Ok(())
}

#[test]
fn many_guesses_at_once_are_five_guesses() -> anyhow::Result<()> {
    let (host, _, ann) = desk("")?;
    let Enrolled { app, .. } = enrolled(&host, &ann)?;
    let (right, next) = (code(&app, 0)?, code(&app, 1)?);
    let outcomes: Vec<u16> = std::thread::scope(|scope| {
        let tries: Vec<_> = (0..40)
            .map(|number| {
                let (host, ann) = (&host, &ann);
                let guess = format!("{:06}", 100_000 + number);
                let guess = if guess == right || guess == next {
                    "999999".to_owned()
                } else {
                    guess
                };
                scope.spawn(move || {
                    let answer = post(host, "/v1/session/factor", ann, &json!({ "code": guess }));
                    answer.map_or(0, |answer| answer.status().as_u16())
                })
            })
            .collect();
        tries
            .into_iter()
            .filter_map(|one| one.join().ok())
            .collect()
    });
    let tried = outcomes.iter().filter(|status| **status == 403).count();
    ensure!(tried <= 5, "{outcomes:?}");
    ensure!(
        outcomes.iter().filter(|status| **status == 429).count() >= 35,
        "{outcomes:?}"
    );
    Ok(())
}
