//! Keys, roles and scopes, and who is kept out: over the network and on the host's own machine.

use crate::{effects, folder, ok, problem};
use anyhow::{Context as _, ensure};
use infinity_tests::host::{Folder, Host, PATIENCE, poll};
use reqwest::Method;
use reqwest::blocking::{Client, Response};
use reqwest::redirect::Policy;
use serde_json::{Value, json};
use std::fs;

/// Makes a key on the host's own machine, where nobody is asked for one.
pub(crate) fn key(folder: &Folder, arguments: &[&str]) -> anyhow::Result<String> {
    folder.key(arguments)
}

/// Asks with a key, or without one.
fn ask(host: &Host, method: &str, path: &str, key: Option<&str>) -> anyhow::Result<Response> {
    let mut request = host
        .client()
        .request(method.parse()?, host.url(path))
        .header("accept", "*/*");
    if let Some(key) = key {
        request = request.bearer_auth(key);
    }
    Ok(request.send()?)
}

fn status(host: &Host, method: &str, path: &str, key: Option<&str>) -> anyhow::Result<u16> {
    Ok(ask(host, method, path, key)?.status().as_u16())
}

#[test]
fn the_first_key_closes_the_host_to_all_who_have_none() -> anyhow::Result<()> {
    let host = crate::host()?;
    ensure!(status(&host, "GET", "/v1/runs", None)? == 200);
    let viewer = key(host.folder(), &["ann", "--role", "viewer"])?;
    let refused = ask(&host, "GET", "/v1/runs", None)?;
    ensure!(refused.headers()["www-authenticate"] == "Bearer realm=\"infinity\"");
    let detail = problem(refused, 401, "unauthenticated")?;
    ensure!(status(&host, "GET", "/v1/runs", Some(&viewer))? == 200);
    let shown = host
        .client()
        .get(host.url("/v1/runs"))
        .header("x-api-key", &viewer)
        .send()?;
    ensure!(shown.status() == 200);
    // What is wrong with a key is not said: all refusals are alike but for their id.
    for wrong in ["", "x", "inf_", &viewer[1..], &format!("{viewer}x")] {
        let body = problem(
            ask(&host, "GET", "/v1/runs", Some(wrong))?,
            401,
            "unauthenticated",
        );
        // The fifth wrong one locks out, and an empty one is one.
        let Ok(body) = body else { break };
        ensure!(body["detail"] == detail["detail"], "{body}");
    }
    // Everybody may see badges, health and the document; commands on this machine need no key.
    for open in ["/health", "/ready", "/badge.svg", "/openapi.json", "/docs"] {
        let seen = status(&host, "GET", open, None)?;
        ensure!(seen != 401 && seen != 429, "{open}: {seen}");
    }
    let listed = host.folder().infinity(&["key", "list"])?;
    let text = String::from_utf8_lossy(&listed.stdout).into_owned();
    ensure!(listed.status.success() && text.contains("ann"), "{text}");
    ensure!(!text.contains(&viewer), "{text}");
    ensure!(!host.log().contains(&viewer), "{}", host.log());
    Ok(())
}

#[test]
fn a_key_is_rotated_revoked_and_known_after_a_restart() -> anyhow::Result<()> {
    let host = crate::host()?;
    let admin = key(host.folder(), &["root", "--role", "admin"])?;
    let made = host
        .client()
        .post(host.url("/v1/keys"))
        .bearer_auth(&admin)
        .json(&json!({ "name": "ci", "role": "service", "scopes": ["agents:run:guests"] }))
        .send()?;
    ensure!(made.status() == 201);
    let made: Value = made.json()?;
    let ci = made["secret"].as_str().context("a secret")?;
    let id = made["id"].as_str().context("an id")?;
    let run = |host: &Host, key: &str| -> anyhow::Result<u16> {
        let answer = host
            .client()
            .post(host.url("/v1/agents/guests/runs?wait=60s"))
            .bearer_auth(key)
            .json(&ok())
            .send()?;
        let status = answer.status().as_u16();
        if status == 201 {
            let run: Value = answer.json()?;
            ensure!(
                run["principal"] == json!({ "kind": "key", "name": "ci" }),
                "{run}"
            );
        }
        Ok(status)
    };
    ensure!(run(&host, ci)? == 201);
    let refused = problem(ask(&host, "GET", "/v1/runs", Some(ci))?, 403, "forbidden")?;
    let detail = refused["detail"].as_str().context("a detail")?;
    ensure!(
        detail.contains("infinity key create NAME --role viewer --scope runs:read"),
        "{detail}"
    );
    let rotated = host
        .client()
        .post(host.url(&format!("/v1/keys/{id}/rotate")))
        .bearer_auth(&admin)
        .json(&json!({ "grace_seconds": 3600 }))
        .send()?;
    ensure!(rotated.status() == 201);
    let rotated: Value = rotated.json()?;
    let next = rotated["secret"].as_str().context("a secret")?;
    ensure!(run(&host, ci)? == 201 && run(&host, next)? == 201);
    let (ci, next, id) = (ci.to_owned(), next.to_owned(), id.to_owned());
    let host = host.kill_and_restart()?;
    ensure!(run(&host, &ci)? == 201 && run(&host, &next)? == 201);
    let revoked = ask(&host, "DELETE", &format!("/v1/keys/{id}"), Some(&admin))?;
    ensure!(revoked.status() == 200);
    // However often: who was not told yet is no attacker.
    for _ in 0..12 {
        ensure!(run(&host, &ci)? == 401);
    }
    ensure!(run(&host, &next)? == 201);
    // Nobody gives what they do not have.
    let gift = host
        .client()
        .post(host.url("/v1/keys"))
        .bearer_auth(&admin)
        .json(&json!({ "name": "boss", "role": "editor", "scopes": ["effects:approve"] }))
        .send()?;
    problem(gift, 403, "beyond_own")?;
    for (body, code) in [
        (
            json!({ "name": "ci", "role": "viewer" }),
            (409, "key_exists"),
        ),
        (
            json!({ "name": "Ci", "role": "viewer" }),
            (422, "invalid_key"),
        ),
        (
            json!({ "name": "x", "role": "service" }),
            (422, "invalid_key"),
        ),
        (
            json!({ "name": "x", "role": "viewer", "scopes": ["runs"] }),
            (422, "invalid_key"),
        ),
        (json!({ "name": "x", "role": "boss" }), (422, "invalid_key")),
        (
            json!({ "name": "x", "role": "viewer", "expires_at": "2020-01-01T00:00:00Z" }),
            (422, "invalid_key"),
        ),
        (
            json!({ "name": "x", "role": "viewer", "more": 1 }),
            (422, "invalid_key"),
        ),
    ] {
        let answer = host
            .client()
            .post(host.url("/v1/keys"))
            .bearer_auth(&admin)
            .json(&body)
            .send()?;
        problem(answer, code.0, code.1).with_context(|| body.to_string())?;
    }
    let feed = ask(&host, "GET", "/v1/events?limit=500", Some(&admin))?.text()?;
    for kind in ["key.created", "key.rotated", "key.revoked"] {
        ensure!(feed.contains(kind), "{kind} is not in {feed}");
    }
    ensure!(!feed.contains(&ci) && !feed.contains(&next) && !feed.contains(&admin));
    Ok(())
}

/// Every route, with every role and with keys that have one scope, of what the document says that they need.
#[test]
fn every_route_asks_what_the_document_says_of_every_role_and_scope() -> anyhow::Result<()> {
    let host = folder("reads = 100000\nchanges = 100000", "")?.serve()?;
    let document = host.json("/openapi.json")?;
    let roles = ["service", "viewer", "editor", "admin"];
    let mut scopes: Vec<String> = vec!["*".into(), "*:read".into(), "agents:run:guests".into()];
    let mut routes = Vec::new();
    for (path, item) in document["paths"].as_object().context("paths")? {
        for (method, operation) in item.as_object().context("operations")? {
            let scope = operation["x-scope"].as_str().map(str::to_owned);
            let role = operation["x-role"].as_str().map(str::to_owned);
            let open = operation["security"].is_null();
            ensure!(scope.is_some() == role.is_some(), "{method} {path}");
            if let Some(scope) = &scope {
                let plain = scope.trim_end_matches(":{name}").to_owned();
                if !scopes.contains(&plain) {
                    scopes.push(plain);
                }
            }
            routes.push((method.to_uppercase(), path.clone(), scope, role, open));
        }
    }
    ensure!(
        routes.len() > 60 && scopes.len() > 20,
        "{} {}",
        routes.len(),
        scopes.len()
    );
    let mut keys = Vec::new();
    for role in roles {
        for (number, scope) in scopes.iter().enumerate() {
            let name = format!("{role}-{number}");
            let made = key(host.folder(), &[&name, "--role", role, "--scope", scope])?;
            keys.push((role, Some(scope.clone()), made));
        }
        if role != "service" {
            keys.push((
                role,
                None,
                key(host.folder(), &[&format!("{role}-all"), "--role", role])?,
            ));
        }
    }
    let rank = |role: &str| match role {
        "viewer" => 1,
        "editor" | "service" => 2,
        _ => 3,
    };
    let mut asked = 0;
    for (method, path, scope, role, open) in &routes {
        // What nothing has: the answer is 404 or 422 for who may, and nothing is changed. What needs nothing to be named is asked last of all.
        let concrete = path
            .replace("{name}", "guests")
            .replace("{id}", "00000000-0000-7000-8000-000000000000")
            .replace("{job_id}", "00000000-0000-7000-8000-000000000000")
            .replace("{address}", "203.0.113.7")
            .replace("{subject}", "203.0.113.7");
        let without = status(&host, method, &concrete, None)?;
        ensure!(
            (without == 401) != *open || path.ends_with("webhook") || path == "/webhooks/github",
            "{method} {path}: {without}"
        );
        if *open {
            continue;
        }
        for (own_role, own_scope, key) in &keys {
            let seen = status(&host, method, &concrete, Some(key))?;
            asked += 1;
            ensure!(
                (seen != 401 && seen < 500) || seen == 503,
                "{method} {path}: {seen}"
            );
            let (Some(scope), Some(role)) = (scope, role) else {
                ensure!(seen != 403, "{method} {path}");
                continue;
            };
            let approves = scope.ends_with(":approve");
            let scope = scope.replace("{name}", "guests");
            let plain = scope.trim_end_matches(":guests");
            let covered = match own_scope.as_deref() {
                None => !approves,
                Some("*") => !approves,
                Some("*:read") => plain.ends_with(":read"),
                Some(own) => own == scope || own == plain,
            };
            let expected = covered && rank(own_role) >= rank(role);
            ensure!(
                (seen != 403) == expected,
                "{method} {path} with {own_role} {own_scope:?}: {seen}"
            );
        }
    }
    ensure!(asked > 5_000, "{asked}");
    Ok(())
}

/// Asks as a client behind a proxy.
fn from(host: &Host, address: &str, key: Option<&str>) -> anyhow::Result<Response> {
    let mut request = host
        .client()
        .get(host.url("/v1/runs"))
        .header("x-forwarded-for", address);
    if let Some(key) = key {
        request = request.bearer_auth(key);
    }
    Ok(request.send()?)
}

#[test]
fn failed_keys_lock_out_then_ban_and_both_outlast_a_kill() -> anyhow::Result<()> {
    let host = folder("trusted_proxies = [\"127.0.0.1\"]", "")?.serve()?;
    let viewer = key(host.folder(), &["ann", "--role", "viewer"])?;
    let attacker = "203.0.113.7";
    for _ in 0..5 {
        problem(
            from(&host, attacker, Some("inf_wrong"))?,
            401,
            "unauthenticated",
        )?;
    }
    let locked = from(&host, attacker, Some(&viewer))?;
    let after: u64 = locked.headers()["retry-after"].to_str()?.parse()?;
    ensure!((800..=901).contains(&after), "{after}");
    problem(locked, 429, "locked_out")?;
    // Another address is not, whatever it says of itself on the way.
    ensure!(from(&host, "203.0.113.7, 198.51.100.1", Some(&viewer))?.status() == 200);
    let host = host.kill_and_restart()?;
    problem(from(&host, attacker, Some(&viewer))?, 429, "locked_out")?;
    let unlocked = host.folder().infinity(&["bans", "unlock", attacker])?;
    ensure!(unlocked.status.success(), "{unlocked:?}");
    ensure!(from(&host, attacker, Some(&viewer))?.status() == 200);
    for _ in 0..10 {
        from(&host, "2001:db8::1", Some("inf_wrong"))?;
    }
    // One subscriber of IPv6 has many addresses.
    problem(
        from(&host, "2001:db8::2:2", Some(&viewer))?,
        429,
        "locked_out",
    )?;
    Ok(())
}

#[test]
fn who_is_banned_sees_nothing_until_somebody_lifts_it() -> anyhow::Result<()> {
    let host = folder(
        "trusted_proxies = [\"127.0.0.1\"]\nban_at_first_lockout = true\nnever_banned = [\"198.51.100.0/24\"]",
        "",
    )?
    .serve()?;
    let viewer = key(host.folder(), &["ann", "--role", "viewer"])?;
    for _ in 0..5 {
        for attacker in ["203.0.113.7", "198.51.100.7"] {
            problem(
                from(&host, attacker, Some("inf_wrong"))?,
                401,
                "unauthenticated",
            )?;
        }
    }
    problem(
        from(&host, "198.51.100.7", Some(&viewer))?,
        429,
        "locked_out",
    )?;
    let host = host.kill_and_restart()?;
    for path in ["/v1/runs", "/badge.svg", "/health", "/nowhere"] {
        let answer = host
            .client()
            .get(host.url(path))
            .header("x-forwarded-for", "203.0.113.7")
            .bearer_auth(&viewer)
            .send()?;
        problem(answer, 403, "banned").context(path)?;
    }
    let listed = host.folder().infinity(&["--json", "bans", "list"])?;
    let listed: Value = serde_json::from_slice(&listed.stdout)?;
    ensure!(listed["items"][0]["address"] == "203.0.113.7", "{listed}");
    let lifted = host.folder().infinity(&["bans", "lift", "203.0.113.7"])?;
    ensure!(lifted.status.success(), "{lifted:?}");
    ensure!(from(&host, "203.0.113.7", Some(&viewer))?.status() == 200);
    let admin = key(host.folder(), &["root", "--role", "admin"])?;
    let feed = ask(&host, "GET", "/v1/events?limit=500", Some(&admin))?.text()?;
    for kind in ["invalid_key", "lockout", "ban", "banned_access", "unban"] {
        ensure!(
            feed.contains(&format!("\"security.{kind}\"")),
            "{kind}: {feed}"
        );
    }
    Ok(())
}

#[test]
fn an_address_that_nobody_vouches_for_is_the_connections_own() -> anyhow::Result<()> {
    let host = crate::host()?;
    let viewer = key(host.folder(), &["ann", "--role", "viewer"])?;
    for number in 0..5 {
        let spoofed = format!("203.0.113.{number}");
        problem(
            from(&host, &spoofed, Some("inf_wrong"))?,
            401,
            "unauthenticated",
        )?;
    }
    problem(
        from(&host, "203.0.113.9", Some(&viewer))?,
        429,
        "locked_out",
    )?;
    Ok(())
}

#[test]
fn a_key_in_an_address_becomes_a_session() -> anyhow::Result<()> {
    let host = crate::host()?;
    let editor = key(host.folder(), &["ann", "--role", "editor"])?;
    let client = Client::builder()
        .no_proxy()
        .redirect(Policy::none())
        .build()?;
    let sent = client
        .get(host.url(&format!("/v1/runs?limit=5&api_key={editor}")))
        .send()?;
    ensure!(sent.status() == 303);
    ensure!(sent.headers()["location"] == "/v1/runs?limit=5");
    let cookies: Vec<String> = sent
        .headers()
        .get_all("set-cookie")
        .iter()
        .filter_map(|line| line.to_str().ok().map(str::to_owned))
        .collect();
    ensure!(cookies.len() == 2, "{cookies:?}");
    ensure!(cookies.iter().all(|line| line.contains("SameSite=Strict")));
    ensure!(cookies[0].contains("HttpOnly") && !cookies[0].contains(&editor));
    let jar: Vec<&str> = cookies
        .iter()
        .filter_map(|line| line.split(';').next())
        .collect();
    let jar = jar.join("; ");
    let send = |method: Method, path: &str, token: Option<&str>| {
        let mut request = client
            .request(method, host.url(path))
            .header("cookie", &jar);
        if let Some(token) = token {
            request = request.header("x-csrf-token", token);
        }
        request.send()
    };
    ensure!(send(Method::GET, "/v1/runs", None)?.status() == 200);
    let session: Value = send(Method::GET, "/v1/session", None)?.json()?;
    ensure!(session["principal"]["name"] == "ann", "{session}");
    // A page of another site has the cookie sent and does not know the token.
    problem(send(Method::POST, "/v1/pause", None)?, 403, "csrf")?;
    problem(send(Method::POST, "/v1/pause", Some("x"))?, 403, "csrf")?;
    let token = session["csrf_token"].as_str();
    ensure!(send(Method::POST, "/v1/pause", token)?.status() == 200);
    ensure!(send(Method::POST, "/v1/resume", token)?.status() == 200);
    let ended = send(Method::DELETE, "/v1/session", None)?;
    ensure!(ended.status() == 204 && ended.headers().get_all("set-cookie").iter().count() == 2);
    // Where something is done the key itself will do, and no address is left to look at.
    let posted = client
        .post(host.url(&format!("/v1/pause?api_key={editor}")))
        .send()?;
    ensure!(posted.status() == 200);
    // The session ends with its key.
    let keys = host.folder().infinity(&["--json", "key", "list"])?;
    let keys: Value = serde_json::from_slice(&keys.stdout)?;
    let id = keys["items"][0]["id"].as_str().context("an id")?;
    let revoked = host.folder().infinity(&["key", "revoke", id])?;
    ensure!(revoked.status.success());
    problem(send(Method::GET, "/v1/runs", None)?, 401, "unauthenticated")?;
    ensure!(!host.log().contains(&editor), "{}", host.log());
    Ok(())
}

#[test]
fn a_host_on_a_network_makes_its_first_key_and_answers_to_its_names() -> anyhow::Result<()> {
    let folder = folder("names = [\"infinity.example.com\"]", "")?;
    let config = folder.path().join("plugins.toml");
    let text = fs::read_to_string(&config)?.replace("127.0.0.1:0", "0.0.0.0:0");
    fs::write(&config, text)?;
    let host = folder.serve()?;
    let port = host
        .address()
        .rsplit(':')
        .next()
        .context("a port")?
        .to_owned();
    let admin = poll(PATIENCE, || {
        host.log()
            .lines()
            .map(str::trim)
            .find(|line| line.starts_with("inf_"))
            .map(str::to_owned)
    })
    .context("no key is shown")?;
    let get = |name: &str, key: Option<&str>| {
        let mut request = host
            .client()
            .get(format!("http://127.0.0.1:{port}/v1/status"))
            .header("host", name);
        if let Some(key) = key {
            request = request.bearer_auth(key);
        }
        request.send()
    };
    ensure!(get("infinity.example.com", Some(&admin))?.status() == 200);
    problem(get("infinity.example.com", None)?, 401, "unauthenticated")?;
    problem(
        get("other.example.com", Some(&admin))?,
        421,
        "misdirected_request",
    )?;
    // The next start has a key and shows none.
    let host = host.kill_and_restart()?;
    ensure!(!host.log().contains("inf_"), "{}", host.log());
    Ok(())
}

#[test]
fn the_founders_key_may_everything_but_approve() -> anyhow::Result<()> {
    let rest = effects::everything();
    let folder = folder("", &rest)?;
    effects::with_policy(&folder)?;
    let host = folder.serve_with(&[("FOUNDER_API_KEY", "founder-words")])?;
    let founder = Some("founder-words");
    ensure!(status(&host, "GET", "/v1/keys", None)? == 401);
    ensure!(status(&host, "GET", "/v1/keys", founder)? == 200);
    ensure!(status(&host, "POST", "/v1/pause", founder)? == 200);
    ensure!(status(&host, "POST", "/v1/resume", founder)? == 200);
    problem(
        ask(&host, "POST", "/v1/approvals", founder)?,
        403,
        "forbidden",
    )?;
    let proposal = "/v1/billing/proposals/00000000-0000-7000-8000-000000000000/approve";
    problem(ask(&host, "POST", proposal, founder)?, 403, "forbidden")?;
    Ok(())
}

#[test]
fn a_key_decides_in_its_own_name() -> anyhow::Result<()> {
    let host = crate::host()?;
    let proposer = key(host.folder(), &["ann", "--role", "editor"])?;
    let approver = |name: &str| {
        key(
            host.folder(),
            &[
                name,
                "--role",
                "editor",
                "--scope",
                "*",
                "--scope",
                "billing:approve",
            ],
        )
    };
    let (bob, cy) = (approver("bob")?, approver("cy")?);
    let post = |path: &str, key: &str, body: &Value| {
        host.client()
            .post(host.url(path))
            .bearer_auth(key)
            .json(body)
            .send()
    };
    let proposal = json!({ "title": "More", "resource": "r", "monthly_usd": 1, "reason": "why" });
    let made: Value = post("/v1/billing/proposals", &bob, &proposal)?.json()?;
    ensure!(
        made["proposed_by"] == json!({ "kind": "key", "name": "bob" }),
        "{made}"
    );
    let id = made["id"].as_str().context("an id")?;
    let path = format!("/v1/billing/proposals/{id}/approve");
    problem(post(&path, &proposer, &json!({}))?, 403, "forbidden")?;
    problem(post(&path, &bob, &json!({}))?, 403, "own_proposal")?;
    problem(
        post(&path, &cy, &json!({ "by": "dan" }))?,
        422,
        "invalid_approval",
    )?;
    let decided = post(&path, &cy, &json!({ "by": "cy" }))?;
    ensure!(decided.status() == 200, "{}", decided.text()?);
    Ok(())
}

#[test]
fn older_clients_find_their_routes_with_their_rates() -> anyhow::Result<()> {
    let host = folder(
        "trusted_proxies = [\"127.0.0.1\"]",
        "[agents.autodeploy]\nplugin = \"guests\"\n",
    )?
    .serve_with(&[("FOUNDER_API_KEY", "founder-words")])?;
    let send = |method: &str, path: &str, key: Option<&str>, from: &str, body: Option<&Value>| {
        let mut request = host
            .client()
            .request(method.parse()?, host.url(path))
            .header("x-forwarded-for", from);
        if let Some(key) = key {
            request = request.header("x-api-key", key);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        anyhow::Ok(request.send()?)
    };
    let founder = Some("founder-words");
    problem(
        send("POST", "/deploy", None, "203.0.113.1", None)?,
        401,
        "unauthenticated",
    )?;
    let deployed = send("POST", "/deploy", founder, "203.0.113.2", None)?;
    ensure!(deployed.status() == 201, "{}", deployed.text()?);
    // One change in ten seconds, of one client and one route; the founder's key is one wherever it comes from.
    for from in ["203.0.113.2", "203.0.113.3"] {
        problem(
            send("POST", "/deploy", founder, from, None)?,
            429,
            "rate_limited",
        )?;
    }
    ensure!(send("POST", "/pause", founder, "203.0.113.2", None)?.status() == 200);
    ensure!(host.path().join("var/pause.flag").exists());
    ensure!(send("POST", "/resume", founder, "203.0.113.2", None)?.status() == 200);
    for number in 0..25 {
        let seen = send("GET", "/status", founder, "203.0.113.4", None)?;
        ensure!(
            seen.status() == if number < 20 { 200 } else { 429 },
            "{number}"
        );
    }
    for _ in 0..5 {
        send("GET", "/bans", Some("wrong"), "203.0.113.5", None)?;
    }
    let admin = key(host.folder(), &["root", "--role", "admin"])?;
    let bans: Value = send("GET", "/bans", Some(&admin), "203.0.113.6", None)?.json()?;
    ensure!(bans["items"] == json!([]), "{bans}");
    let unknown = json!({ "ip": "203.0.113.5" });
    problem(
        send(
            "POST",
            "/unban",
            Some(&admin),
            "203.0.113.6",
            Some(&unknown),
        )?,
        404,
        "not_found",
    )?;
    Ok(())
}

#[test]
fn a_client_that_asks_too_often_waits() -> anyhow::Result<()> {
    let host = folder(
        "[[host.rate_limits]]\nroute = \"GET /v1/runs\"\nrequests = 3",
        "",
    )?
    .serve()?;
    // While nobody is asked for a key nobody is counted.
    for _ in 0..10 {
        ensure!(status(&host, "GET", "/v1/runs", None)? == 200);
    }
    let (_, folder) = host.stop_and_keep()?;
    let config = folder.path().join("plugins.toml");
    let proxied = fs::read_to_string(&config)?.replacen(
        "[host]",
        "[host]\ntrusted_proxies = [\"127.0.0.1\"]",
        1,
    );
    fs::write(&config, proxied)?;
    // With a proxy in front everybody may come, so everybody is asked.
    let host = folder.serve()?;
    problem(from(&host, "203.0.113.1", None)?, 401, "unauthenticated")?;
    let viewer = key(host.folder(), &["ann", "--role", "viewer"])?;
    let limited = |host: &Host, address: &str| -> anyhow::Result<usize> {
        let mut limited = 0;
        for _ in 0..4 {
            let answer = from(host, address, Some(&viewer))?;
            if answer.status() == 429 {
                let after: u64 = answer.headers()["retry-after"].to_str()?.parse()?;
                ensure!((1..=11).contains(&after), "{after}");
                problem(answer, 429, "rate_limited")?;
                limited += 1;
            }
        }
        Ok(limited)
    };
    ensure!(limited(&host, "203.0.113.1")? >= 1);
    // The key is counted, too, from wherever it comes.
    ensure!(limited(&host, "203.0.113.2")? >= 3);
    // A person's console and a hundred checks in a row are no burst.
    for _ in 0..100 {
        ensure!(status(&host, "GET", "/v1/agents", Some(&viewer))? == 200);
    }
    Ok(())
}

/// Ports that nothing listens on.
fn free_ports<const N: usize>() -> anyhow::Result<[u16; N]> {
    let held: Vec<std::net::TcpListener> = (0..N)
        .map(|_| std::net::TcpListener::bind("127.0.0.1:0"))
        .collect::<Result<_, _>>()?;
    let mut ports = [0; N];
    for (port, listener) in ports.iter_mut().zip(&held) {
        *port = listener.local_addr()?.port();
    }
    Ok(ports)
}

#[test]
fn further_listeners_serve_their_part_with_the_same_keys() -> anyhow::Result<()> {
    let [badge, deploy, gateway] = free_ports()?;
    let folder = folder(
        &format!("gateway_port = {gateway}"),
        "[agents.badge]\nplugin = \"badge\"\n",
    )?;
    folder.component("badge", "badge")?;
    let host = folder.serve_with(&[
        ("BADGE_PORT", &badge.to_string()),
        ("AUTODEPLOY_PORT", &deploy.to_string()),
    ])?;
    let viewer = key(host.folder(), &["ann", "--role", "viewer"])?;
    let ask = |port: u16, method: &str, path: &str, key: Option<&str>| -> anyhow::Result<u16> {
        let mut request = host
            .client()
            .request(method.parse()?, format!("http://127.0.0.1:{port}{path}"));
        if let Some(key) = key {
            request = request.bearer_auth(key);
        }
        Ok(request.send()?.status().as_u16())
    };
    for port in [badge, deploy, gateway] {
        ensure!(ask(port, "GET", "/health", None)? == 200, "{port}");
    }
    // Its own paths, and nothing else; what takes a key takes one here, too.
    ensure!(ask(badge, "GET", "/badges/system.json", None)? == 200);
    ensure!(ask(badge, "GET", "/v1/runs", Some(&viewer))? == 404);
    ensure!(ask(badge, "GET", "/badgesomething", None)? == 404);
    ensure!(ask(deploy, "POST", "/autodeploy/full", None)? == 401);
    ensure!(ask(deploy, "POST", "/autodeploy/full", Some(&viewer))? == 403);
    ensure!(ask(deploy, "GET", "/badges/system.json", None)? == 404);
    ensure!(ask(gateway, "GET", "/v1/runs", None)? == 401);
    ensure!(ask(gateway, "GET", "/v1/runs", Some(&viewer))? == 200);
    ensure!(ask(gateway, "GET", "/openapi.json", None)? == 200);
    ensure!(ask(gateway, "POST", "/autodeploy/full", Some(&viewer))? == 404);
    Ok(())
}
