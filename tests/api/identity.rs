//! People and programs by way of a provider: a real OpenID Connect provider, and GitHub's own way, in a browser, from a terminal, and with tokens.

use crate::access::key;
use crate::{folder, problem};
use anyhow::{Context as _, ensure};
use infinity_tests::github::{Github, OAUTH_CLIENT, OAUTH_SECRET, Setup};
use infinity_tests::host::{Folder, Host, PATIENCE, poll};
use infinity_tests::identity::{CLIENT, Provider, SECRET};
use reqwest::blocking::{Client, Response};
use reqwest::redirect::Policy;
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader};
use std::process::Stdio;
use std::time::{SystemTime, UNIX_EPOCH};

/// For whom tokens of programs are made.
const AUDIENCE: &str = "https://infinity.test";

/// `[host]` lines of a host whose people come by way of this provider.
fn corp(provider: &Provider) -> String {
    format!(
        "[host.sign_in.corp]\nkind = \"oidc\"\nissuer = \"{}\"\nclient_id = \"{CLIENT}\"\nclient_secret = \"${{CORP_SECRET}}\"\n\
         audiences = [\"{AUDIENCE}\"]\nname_claim = \"sub\"\nscopes = [\"openid\", \"email\", \"groups\"]\n\
         roles = [{{ role = \"admin\", when = {{ groups = \"platform\" }} }}, {{ role = \"viewer\", when = {{ groups = \"staff\" }} }},\n\
         {{ role = \"service\", when = {{ groups = \"robots\" }}, scopes = [\"agents:run:guests\", \"runs:read\"] }}]\n",
        provider.issuer
    )
}

/// A host whose people come by way of the provider, and which asks everybody for something.
fn host(provider: &Provider) -> anyhow::Result<Host> {
    let folder = folder("", &corp(provider))?;
    let host = folder.serve_with(&[("CORP_SECRET", SECRET)])?;
    key(host.folder(), &["root", "--role", "admin"])?;
    provider.redirects(&[&host.url("/v1/sign-in/corp/callback")])?;
    Ok(host)
}

/// A browser that goes where it is sent only when the test says so.
fn browser() -> anyhow::Result<Client> {
    Ok(Client::builder()
        .no_proxy()
        .redirect(Policy::none())
        .build()?)
}

/// The cookies that an answer sets, as they are sent back.
fn cookies(answer: &Response) -> String {
    answer
        .headers()
        .get_all("set-cookie")
        .iter()
        .filter_map(|cookie| cookie.to_str().ok()?.split(';').next())
        .filter(|cookie| !cookie.ends_with('='))
        .collect::<Vec<_>>()
        .join("; ")
}

fn location(answer: &Response) -> anyhow::Result<String> {
    let place = answer.headers().get("location").context("a location")?;
    Ok(place.to_str()?.to_owned())
}

/// Where a sign-in leads that this browser began, and the browser's cookie.
fn begun(host: &Host, browser: &Client, to: &str) -> anyhow::Result<(String, String)> {
    let answer = browser
        .get(host.url(&format!("/v1/sign-in/corp?to={to}")))
        .send()?;
    ensure!(answer.status() == 303, "{}", answer.status());
    let cookie = cookies(&answer);
    ensure!(cookie.starts_with("infinity_sign_in="), "{cookie}");
    Ok((location(&answer)?, cookie))
}

/// Signs somebody in, and gives the cookies of the session.
fn signed_in(host: &Host, provider: &Provider, account: &str) -> anyhow::Result<String> {
    let browser = browser()?;
    let (place, cookie) = begun(host, &browser, "/docs")?;
    ensure!(
        place.contains("code_challenge_method=S256") && place.contains("nonce="),
        "{place}"
    );
    let back = provider.sign_in(&place, account)?;
    let answer = browser.get(&back).header("cookie", &cookie).send()?;
    let session = cookies(&answer);
    let set: Vec<String> = answer
        .headers()
        .get_all("set-cookie")
        .iter()
        .filter_map(|one| one.to_str().ok().map(str::to_owned))
        .collect();
    let status = answer.status();
    let text = answer.text()?;
    ensure!(status == 200, "{status}: {text}");
    ensure!(
        text.contains("url=/docs") && text.contains(&format!("corp:{account}")),
        "{text}"
    );
    let session_cookie = set.iter().find(|one| one.starts_with("infinity_session="));
    let session_cookie = session_cookie.context("a session")?;
    ensure!(
        session_cookie.contains("HttpOnly") && session_cookie.contains("SameSite=Strict"),
        "{session_cookie}"
    );
    Ok(session)
}

fn with(host: &Host, cookies: &str, path: &str) -> anyhow::Result<Response> {
    Ok(host
        .client()
        .get(host.url(path))
        .header("cookie", cookies)
        .send()?)
}

#[test]
fn a_person_comes_in_with_a_browser_and_may_what_the_provider_says_that_they_are()
-> anyhow::Result<()> {
    let Some(provider) = Provider::start_if_there()? else {
        return Ok(());
    };
    let host = host(&provider)?;
    let offers: Value = host.client().get(host.url("/v1/sign-in")).send()?.json()?;
    ensure!(
        offers == json!({ "items": [{ "name": "corp", "kind": "oidc" }] }),
        "{offers}"
    );
    let ann = signed_in(&host, &provider, "ann")?;
    let view: Value = with(&host, &ann, "/v1/session")?.json()?;
    ensure!(
        view["principal"] == json!({ "kind": "user", "name": "corp:ann" }),
        "{view}"
    );
    ensure!(view["role"] == "admin", "{view}");
    // What changes something takes the token of the page, too.
    let pause = |csrf: Option<&str>| -> anyhow::Result<Response> {
        let mut request = host
            .client()
            .post(host.url("/v1/agents/guests/pause"))
            .header("cookie", &ann);
        if let Some(csrf) = csrf {
            request = request.header("x-csrf-token", csrf);
        }
        Ok(request.send()?)
    };
    problem(pause(None)?, 403, "csrf")?;
    let csrf = view["csrf_token"].as_str().context("a token")?;
    ensure!(pause(Some(csrf))?.status() == 200);
    let bob = signed_in(&host, &provider, "bob")?;
    ensure!(with(&host, &bob, "/v1/runs")?.status() == 200);
    let refused = problem(with(&host, &bob, "/v1/sessions")?, 403, "forbidden")?;
    ensure!(
        refused["detail"]
            .as_str()
            .is_some_and(|said| said.contains("corp:bob")),
        "{refused}"
    );
    // Of whom the provider says nothing that counts does not come in.
    let browser = browser()?;
    let (place, cookie) = begun(&host, &browser, "/")?;
    let back = provider.sign_in(&place, "eve")?;
    let refused = browser.get(&back).header("cookie", &cookie).send()?;
    let refused = problem(refused, 403, "no_role")?;
    ensure!(
        refused["detail"]
            .as_str()
            .is_some_and(|said| said.contains("corp:eve")),
        "{refused}"
    );
    // Sessions outlast the process, and end when somebody ends them.
    let host = host.kill_and_restart_with(&[("CORP_SECRET", SECRET)])?;
    // Somebody's stream ends with their session.
    let stream = host
        .client()
        .get(host.url("/v1/events"))
        .header("cookie", &bob)
        .header("accept", "text/event-stream")
        .send()?;
    let following = std::thread::spawn(move || stream.text());
    let list: Value = with(&host, &ann, "/v1/sessions")?.json()?;
    let items = list["items"].as_array().context("sessions")?;
    ensure!(items.len() == 2, "{list}");
    let of_bob = items.iter().find(|one| one["name"] == "corp:bob");
    let id = of_bob.and_then(|one| one["id"].as_str()).context("bob's")?;
    let ended = host
        .client()
        .delete(host.url(&format!("/v1/sessions/{id}")))
        .header("cookie", &ann)
        .header("x-csrf-token", csrf)
        .send()?;
    ensure!(ended.status() == 204);
    problem(with(&host, &bob, "/v1/runs")?, 401, "unauthenticated")?;
    // At the next line of it, of which there is one every few seconds.
    let ended = poll(PATIENCE, || following.is_finished().then_some(()));
    ended.context("the stream goes on")?;
    let out = host
        .client()
        .delete(host.url("/v1/session"))
        .header("cookie", &ann)
        .send()?;
    ensure!(out.status() == 204);
    problem(with(&host, &ann, "/v1/runs")?, 401, "unauthenticated")?;
    // The journal has who came and went, and the texts of sessions are in no file.
    let said = host.folder().infinity(&["audit", "export"])?;
    let text = String::from_utf8_lossy(&said.stdout).into_owned();
    ensure!(text.contains("session.begun"), "{text}");
    ensure!(
        !text.contains("ins_") && !host.log().contains("ins_"),
        "{text}"
    );
    Ok(())
}

#[test]
fn an_answer_counts_once_for_the_browser_that_asked() -> anyhow::Result<()> {
    let Some(provider) = Provider::start_if_there()? else {
        return Ok(());
    };
    let host = host(&provider)?;
    let browser = browser()?;
    let come = |address: &str, cookie: &str| -> anyhow::Result<Response> {
        Ok(browser.get(address).header("cookie", cookie).send()?)
    };
    let (place, cookie) = begun(&host, &browser, "/")?;
    let back = provider.sign_in(&place, "ann")?;
    // Somebody else's browser, or one with no cookie at all: and then it is over for the right one, too.
    let (_, other) = begun(&host, &browser, "/")?;
    problem(come(&back, &other)?, 400, "oidc_state")?;
    problem(come(&back, &cookie)?, 400, "oidc_state")?;
    let (place, cookie) = begun(&host, &browser, "/")?;
    let back = provider.sign_in(&place, "ann")?;
    ensure!(come(&back, &cookie)?.status() == 200);
    problem(come(&back, &cookie)?, 400, "oidc_state")?;
    // A code of somebody else's sign-in: it was asked for with another verifier.
    let (place, cookie) = begun(&host, &browser, "/")?;
    let (theirs, _) = begun(&host, &browser, "/")?;
    let own = reqwest::Url::parse(&provider.sign_in(&place, "ann")?)?;
    let foreign = reqwest::Url::parse(&provider.sign_in(&theirs, "bob")?)?;
    let of = |url: &reqwest::Url, name: &str| -> anyhow::Result<String> {
        let mut pairs = url.query_pairs();
        let found = pairs.find(|(key, _)| key == name).context("a parameter")?;
        Ok(found.1.into_owned())
    };
    let mixed = host.url(&format!(
        "/v1/sign-in/corp/callback?state={}&code={}",
        of(&own, "state")?,
        of(&foreign, "code")?
    ));
    let refused = problem(come(&mixed, &cookie)?, 400, "oidc_state")?;
    ensure!(
        refused["detail"]
            .as_str()
            .is_some_and(|said| said.contains("invalid_grant")),
        "{refused}"
    );
    for (address, cookie) in [
        ("/v1/sign-in/corp/callback", ""),
        (
            "/v1/sign-in/corp/callback?state=x&code=y",
            "infinity_sign_in=z",
        ),
        ("/v1/sign-in/corp/callback?error=access_denied", ""),
    ] {
        problem(come(&host.url(address), cookie)?, 400, "oidc_state")?;
    }
    // A person who says no is told so.
    let (place, cookie) = begun(&host, &browser, "/")?;
    let back = provider.sign_in(&place, "")?;
    problem(come(&back, &cookie)?, 400, "oidc_state")?;
    // Nobody is sent elsewhere.
    for elsewhere in [
        "//evil.example",
        "https://evil.example",
        "/%5Cevil.example",
        "x",
    ] {
        let answer = browser
            .get(host.url(&format!("/v1/sign-in/corp?to={elsewhere}")))
            .send()?;
        problem(answer, 422, "invalid_parameter")?;
    }
    problem(
        browser.get(host.url("/v1/sign-in/nobody")).send()?,
        404,
        "not_found",
    )?;
    Ok(())
}

/// `infinity` with this host's address, at home in the test's folder.
fn terminal(folder: &Folder, host: &Host, arguments: &[&str]) -> std::process::Command {
    let mut command = folder.command(arguments);
    command
        .env("HOME", folder.path())
        .env("INFINITY_URL", host.url(""));
    command
}

#[test]
fn a_terminal_is_let_in_by_a_person_with_a_browser() -> anyhow::Result<()> {
    let Some(provider) = Provider::start_if_there()? else {
        return Ok(());
    };
    let host = host(&provider)?;
    let home = Folder::new()?;
    let mut login = terminal(&home, &host, &["login"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let mut lines = BufReader::new(login.stderr.take().context("its words")?).lines();
    let place = lines
        .find_map(|line| {
            let line = line.ok()?;
            let begin = line.find("http://")?;
            line[begin..].split(' ').next().map(str::to_owned)
        })
        .context("no address")?;
    provider.device(&place, "ann")?;
    let said = login.wait_with_output()?;
    let text = String::from_utf8_lossy(&said.stdout).into_owned();
    ensure!(
        said.status.success() && text.contains("as `corp:ann`"),
        "{text}"
    );
    let whoami = terminal(&home, &host, &["--json", "whoami"]).output()?;
    let view: Value = serde_json::from_slice(&whoami.stdout)?;
    ensure!(view["principal"]["name"] == "corp:ann", "{view}");
    let kept = home.path().join(".config/infinity/sessions.json");
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&kept)?.permissions());
    ensure!(mode & 0o077 == 0, "{mode:o}");
    let listed = terminal(&home, &host, &["sessions", "list"]).output()?;
    let text = String::from_utf8_lossy(&listed.stdout).into_owned();
    ensure!(text.contains("corp:ann"), "{text}");
    let out = terminal(&home, &host, &["logout"]).output()?;
    ensure!(out.status.success());
    let refused = terminal(&home, &host, &["runs"]).output()?;
    ensure!(refused.status.code() == Some(2), "{:?}", refused.status);
    // However many ask after one device, the others are served.
    let begun = host
        .client()
        .post(host.url("/v1/sign-in/corp/device"))
        .send()?;
    let begun: Value = begun.json()?;
    let body = json!({ "handle": begun["handle"] });
    let path = host.url("/v1/sign-in/corp/device/session");
    let began = std::time::Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..30 {
            scope.spawn(|| host.client().post(&path).json(&body).send());
        }
        for _ in 0..50 {
            let health = host.client().get(host.url("/health")).send();
            assert!(health.is_ok_and(|answer| answer.status() == 200));
        }
        provider.device(
            begun["verification_uri_complete"]
                .as_str()
                .unwrap_or_default(),
            "ann",
        )
    })?;
    ensure!(
        began.elapsed() < std::time::Duration::from_secs(15),
        "{:?}",
        began.elapsed()
    );
    // Who says no is told so where they wait.
    let begun = host
        .client()
        .post(host.url("/v1/sign-in/corp/device"))
        .send()?;
    ensure!(begun.status() == 201);
    let begun: Value = begun.json()?;
    let place = begun["verification_uri_complete"]
        .as_str()
        .context("a place")?;
    provider.device(place, "")?;
    let asked = || {
        let body = json!({ "handle": begun["handle"] });
        let path = host.url("/v1/sign-in/corp/device/session");
        host.client().post(path).json(&body).send()
    };
    let refused = poll(PATIENCE, || {
        let answer = asked().ok()?;
        (answer.status() != 202).then_some(answer)
    });
    problem(refused.context("an answer")?, 400, "oidc_state")?;
    // What came of it is told once.
    problem(asked()?, 400, "oidc_state")?;
    Ok(())
}

fn seconds() -> anyhow::Result<u64> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs())
}

#[test]
fn programs_come_with_tokens_that_a_provider_made_for_this_host() -> anyhow::Result<()> {
    let Some(provider) = Provider::start_if_there()? else {
        return Ok(());
    };
    let host = host(&provider)?;
    let spare = key(host.folder(), &["spare", "--role", "viewer"])?;
    let ask = |token: &str, path: &str| -> anyhow::Result<Response> {
        Ok(host
            .client()
            .get(host.url(path))
            .bearer_auth(token)
            .send()?)
    };
    let token = provider.machine_token(AUDIENCE)?;
    let view: Value = ask(&token, "/v1/session")?.json()?;
    ensure!(
        view["role"] == "service" && view["principal"]["kind"] == "user",
        "{view}"
    );
    let run = host
        .client()
        .post(host.url("/v1/agents/guests/runs?wait=60s"))
        .bearer_auth(&token)
        .json(&crate::ok())
        .send()?;
    ensure!(run.status() == 201);
    problem(ask(&token, "/v1/agents")?, 403, "forbidden")?;
    // Keys are changed at the provider, in any of the ways that count.
    for algorithm in ["ES256", "EdDSA"] {
        provider.rotate(algorithm)?;
        let next = provider.machine_token(AUDIENCE)?;
        let answer = ask(&next, "/v1/session")?;
        // Twice within a minute is once too often: the second new key has to wait.
        let expected = if algorithm == "ES256" { 200 } else { 401 };
        ensure!(
            answer.status() == expected,
            "{algorithm}: {}",
            answer.status()
        );
    }
    // Without its keys nobody can be told from anybody; keys of the host's own work all the same.
    provider.down(true)?;
    ensure!(ask(&spare, "/v1/runs")?.status() == 200);
    Ok(())
}

#[test]
fn tokens_that_are_not_what_they_say_are_refused_alike() -> anyhow::Result<()> {
    let Some(provider) = Provider::start_if_there()? else {
        return Ok(());
    };
    let host = host(&provider)?;
    let now = seconds()?;
    let fine = json!({
        "iss": provider.issuer, "aud": AUDIENCE, "sub": "ci", "exp": now + 600, "iat": now, "groups": ["robots"],
    });
    let but = |name: &str, value: Value| {
        let mut claims = fine.clone();
        match value {
            Value::Null => {
                claims.as_object_mut().map(|claims| claims.remove(name));
            }
            value => claims[name] = value,
        }
        claims
    };
    let ask = |token: &str| -> anyhow::Result<Response> {
        let request = host.client().get(host.url("/v1/runs"));
        // Each from an address of its own, so that none is locked out for the others.
        Ok(request.bearer_auth(token).send()?)
    };
    ensure!(ask(&provider.sign(&fine)?)?.status() == 200);
    let several = but("aud", json!(["https://other.test", AUDIENCE]));
    ensure!(ask(&provider.sign(&several)?)?.status() == 200);
    let mut wrong = Vec::new();
    for (name, value) in [
        ("aud", json!("https://other.test")),
        ("aud", Value::Null),
        ("iss", json!("https://evil.example")),
        ("iss", Value::Null),
        ("exp", Value::Null),
        ("exp", json!((now + 600).to_string())),
        ("exp", json!(now - 600)),
        ("nbf", json!(now + 600)),
    ] {
        wrong.push((
            format!("{name} = {value}"),
            provider.sign(&but(name, value.clone()))?,
        ));
    }
    for (name, value) in [
        ("alg", json!("none")),
        ("alg", json!("HS256")),
        ("alg", json!("PS512")),
        ("kid", json!("../../etc/passwd")),
        ("kid", json!("http://evil.example/key")),
        ("kid", json!(7)),
        ("kid", json!("unknown")),
        ("crit", json!(["exp"])),
        ("jwk", json!({ "kty": "oct", "k": "AA" })),
    ] {
        let header = json!({ name: value });
        let token = provider.sign_with(&fine, &header)?;
        // A key in the header is not looked at, and makes the signature another's.
        if name != "jwk" {
            wrong.push((header.to_string(), token));
        }
    }
    let whole = provider.sign(&fine)?;
    let parts: Vec<&str> = whole.split('.').collect();
    wrong.push(("no signature".into(), format!("{}.{}.", parts[0], parts[1])));
    wrong.push(("five parts".into(), format!("{whole}.a.b")));
    wrong.push(("another's claims".into(), {
        let other = provider.sign(&but("sub", json!("root")))?;
        let claims = other.split('.').nth(1).unwrap_or_default().to_owned();
        format!("{}.{claims}.{}", parts[0], parts[2])
    }));
    for (what, token) in &wrong {
        let refused = ask(token)?;
        if refused.status() == 429 {
            // Five wrong ones lock out, as with keys: a person lets them in again.
            let unlocked = host.folder().infinity(&["bans", "unlock", "127.0.0.1"])?;
            ensure!(unlocked.status.success());
            let refused = ask(token)?;
            ensure!(
                refused.headers()["www-authenticate"]
                    .to_str()?
                    .contains("invalid_token")
            );
            problem(refused, 401, "invalid_token").context(what.clone())?;
            continue;
        }
        problem(refused, 401, "invalid_token").context(what.clone())?;
    }
    // A flood of unknown keys asks the provider for its own once, and no more within a minute.
    let before = provider.counts()?;
    for number in 0..50 {
        let token = provider.sign_with(&fine, &json!({ "kid": format!("flood-{number}") }))?;
        let status = ask(&token)?.status();
        ensure!(status == 401 || status == 429, "{status}");
    }
    let after = provider.counts()?;
    ensure!(after.jwks - before.jwks <= 1, "{before:?} {after:?}");
    let unlocked = host.folder().infinity(&["bans", "unlock", "127.0.0.1"])?;
    drop(unlocked);
    ensure!(ask(&provider.sign(&fine)?)?.status() == 200);
    Ok(())
}

#[test]
fn a_provider_that_is_down_from_the_start_keeps_no_key_out() -> anyhow::Result<()> {
    let Some(provider) = Provider::start_if_there()? else {
        return Ok(());
    };
    provider.down(true)?;
    let host = host(&provider)?;
    let viewer = key(host.folder(), &["ann", "--role", "viewer"])?;
    let claims = json!({
        "iss": provider.issuer, "aud": AUDIENCE, "sub": "ci", "exp": seconds()? + 600, "groups": ["robots"],
    });
    let token = provider.sign(&claims)?;
    let ask = |token: &str| {
        host.client()
            .get(host.url("/v1/runs"))
            .bearer_auth(token)
            .send()
    };
    for _ in 0..10 {
        let refused = ask(&token)?;
        ensure!(refused.headers().contains_key("retry-after"));
        problem(refused, 503, "issuer_unreachable")?;
    }
    ensure!(ask(&viewer)?.status() == 200);
    // However many ask, the provider is asked once a minute.
    ensure!(
        provider.counts()?.discovery == 1,
        "{:?}",
        provider.counts()?
    );
    let refused = host.client().get(host.url("/v1/sign-in/corp")).send()?;
    problem(refused, 502, "provider_unreachable")?;
    Ok(())
}

#[test]
fn a_person_of_github_comes_in_by_their_organisation_and_team() -> anyhow::Result<()> {
    let Some(github) = Github::start(&Setup::default())? else {
        return Ok(());
    };
    let base = github.base().trim_end_matches('/').to_owned();
    let folder = folder(
        "",
        &format!(
            "[host.sign_in.github]\nkind = \"github\"\nurl = \"{base}\"\napi_url = \"{base}\"\nclient_id = \"{OAUTH_CLIENT}\"\n\
             client_secret = \"${{GITHUB_OAUTH_SECRET}}\"\n\
             roles = [{{ role = \"editor\", when = {{ teams = \"acme/platform\" }}, scopes = [\"*\", \"effects:approve\"] }}, {{ role = \"viewer\", when = {{ orgs = \"acme\" }} }}]\n"
        ),
    )?;
    let host = folder.serve_with(&[("GITHUB_OAUTH_SECRET", OAUTH_SECRET)])?;
    key(host.folder(), &["root", "--role", "admin"])?;
    let browser = browser()?;
    for (account, role) in [("ann", "editor"), ("bob", "viewer")] {
        let answer = browser.get(host.url("/v1/sign-in/github")).send()?;
        ensure!(answer.status() == 303);
        let cookie = cookies(&answer);
        let back = github.oauth_sign_in(&location(&answer)?, account)?;
        let answer = browser.get(&back).header("cookie", &cookie).send()?;
        let session = cookies(&answer);
        let text = answer.text()?;
        ensure!(text.contains(&format!("github:{account}")), "{text}");
        let view: Value = with(&host, &session, "/v1/session")?.json()?;
        ensure!(view["role"] == role, "{view}");
    }
    let begun = host
        .client()
        .post(host.url("/v1/sign-in/github/device"))
        .send()?;
    let begun: Value = begun.json()?;
    let text = |name: &str| begun[name].as_str().context("a text");
    github.oauth_device(text("verification_uri")?, text("user_code")?, "ann")?;
    let session = poll(PATIENCE, || {
        let body = json!({ "handle": begun["handle"] });
        let path = host.url("/v1/sign-in/github/device/session");
        let answer = host.client().post(path).json(&body).send().ok()?;
        (answer.status() == 201).then(|| answer.json::<Value>().ok())?
    })
    .context("a session")?;
    let token = session["token"].as_str().context("a token")?;
    let seen = host
        .client()
        .get(host.url("/v1/session"))
        .bearer_auth(token)
        .send()?;
    let seen: Value = seen.json()?;
    ensure!(seen["principal"]["name"] == "github:ann", "{seen}");
    ensure!(github.asked("GET", "/user/teams")? == 3);
    github.ensure_described()?;
    Ok(())
}

#[test]
fn the_provider_is_one() -> anyhow::Result<()> {
    crate::node_tests("identity", "tests/identity", "provider.test.mjs")
}
