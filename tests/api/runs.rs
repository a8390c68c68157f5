//! `/v1/runs`: how a run begins, how it is found again, how it is cancelled.

use crate::webhooks::{SECRET, deliver};
use crate::{
    GONE, cancel, folder, host, id, kept, look, ok, problem, serve_without_repository, start,
};
use anyhow::{Context as _, ensure};
use infinity_tests::host::{Host, PATIENCE, poll};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};
use uuid::Uuid;

#[test]
fn a_run_is_created_and_waited_for() -> anyhow::Result<()> {
    let host = host()?;
    let response = host
        .client()
        .post(host.url("/v1/agents/guests/runs?wait=60s"))
        .json(&json!({ "case": "ok", "number": 7 }))
        .send()?;
    assert_eq!(response.status(), 201);
    let location = response.headers()["location"].to_str()?.to_owned();
    assert!(response.headers().contains_key("x-request-id"));
    let run: Value = serde_json::from_str(&response.text()?)?;
    assert_eq!(location, format!("/v1/runs/{}", id(&run)?));
    assert_eq!(run["state"], "ended");
    assert_eq!(run["outcome"], "succeeded");
    assert_eq!(run["summary"], "ok");
    assert_eq!(run["trigger"], "manual");
    assert_eq!(run["attempt"], 1);
    assert_eq!(run["principal"], json!({ "kind": "user", "name": "local" }));
    assert_eq!(run["input"], json!({ "case": "ok", "number": 7 }));
    let moments: Vec<&str> = ["created_at", "started_at", "ended_at"]
        .iter()
        .filter_map(|key| run[key].as_str())
        .collect();
    assert_eq!(moments.len(), 3, "{run}");
    assert!(moments.iter().all(|moment| moment.ends_with('Z')), "{run}");
    assert!(
        run["plugin_digest"]
            .as_str()
            .is_some_and(|digest| digest.starts_with("sha256:"))
    );

    assert_eq!(kept(&host.json(&location)?), kept(&run));
    let report = host.report(&run)?;
    assert_eq!(report["passed"], true);
    assert_eq!(report["output"]["input"], run["input"].clone());
    assert_eq!(report["output"]["run_id"], run["id"]);
    assert_eq!(report["output"]["trigger"], "manual");

    // Every end has its word.
    for (input, outcome, reason) in [
        (json!({ "case": "fails" }), "failed", Value::Null),
        (json!({ "case": "trap" }), "trapped", json!("trap")),
        (
            json!({ "case": "no_such_case" }),
            "failed",
            json!("invalid_input"),
        ),
    ] {
        let run = host.run("guests", &input)?;
        assert_eq!(run["outcome"], outcome, "{run}");
        if outcome == "trapped" || reason.is_null() {
            assert_eq!(run["reason"], reason, "{run}");
        }
    }
    let agent = host.json("/v1/agents/guests")?;
    assert_eq!(agent["state"], "error");
    assert_eq!(agent["last_run"]["outcome"], "failed");
    Ok(())
}

#[test]
fn waiting_ends_with_the_time_that_was_given() -> anyhow::Result<()> {
    let host = host()?;
    let began = Instant::now();
    let response = host
        .client()
        .post(host.url("/v1/agents/guests/runs?wait=200ms"))
        .json(&json!({ "case": "sleep_forever" }))
        .send()?;
    assert_eq!(response.status(), 201);
    let run: Value = serde_json::from_str(&response.text()?)?;
    assert_ne!(run["state"], "ended");
    assert!(began.elapsed() < Duration::from_secs(15));
    cancel(&host, &run)?;
    for wait in ["11m", "-1s", "soon", "5"] {
        let response = host
            .client()
            .post(host.url(&format!("/v1/agents/guests/runs?wait={wait}")))
            .json(&ok())
            .send()?;
        problem(response, 422, "invalid_parameter")?;
    }
    Ok(())
}

#[test]
fn a_run_is_cancelled_within_a_second() -> anyhow::Result<()> {
    let host = host()?;
    for case in ["sleep_forever", "spin"] {
        let run = start(&host, "guests", &json!({ "case": case }))?;
        poll(PATIENCE, || {
            (look(&host, &run).ok()?["state"] == "running").then_some(())
        })
        .context("it does not start")?;
        // No report before the end.
        problem(
            host.get(&format!("/v1/runs/{}/report", id(&run)?))?,
            409,
            "run_not_ended",
        )?;
        problem(
            host.get(&format!("/v1/runs/{}/sarif", id(&run)?))?,
            409,
            "run_not_ended",
        )?;

        cancelled_at_once(&host, &run).context(case)?;
        problem(cancel(&host, &run)?, 409, "run_ended")?;
    }
    problem(
        cancel(
            &host,
            &json!({ "id": "01890000-0000-7000-8000-00000000000a" }),
        )?,
        404,
        "not_found",
    )?;
    Ok(())
}

fn cancelled_at_once(host: &Host, run: &Value) -> anyhow::Result<()> {
    let began = Instant::now();
    let response = cancel(host, run)?;
    ensure!(response.status() == 200, "{}", response.text()?);
    let ended = poll(PATIENCE, || {
        look(host, run).ok().filter(|run| run["state"] == "ended")
    })
    .context("it does not end")?;
    ensure!(
        began.elapsed() < Duration::from_secs(1),
        "{:?}: {ended}",
        began.elapsed()
    );
    ensure!(ended["outcome"] == "cancelled", "{ended}");
    Ok(())
}

#[test]
fn a_run_that_waits_is_cancelled_within_a_second_whatever_it_waits_for() -> anyhow::Result<()> {
    // It accepts and says nothing.
    let server = std::net::TcpListener::bind("127.0.0.1:0")?;
    let url = format!("http://{}/", server.local_addr()?);
    let host = serve_without_repository(folder(
        "",
        &format!(
            "[agents.caller]\nplugin = \"guests\"\ngrants.http = [{{ url = \"{url}\", private = [\"127.0.0.0/8\"] }}]\n\
             [agents.single]\nplugin = \"guests\"\nconcurrency = 1\n\
             [agents.patient]\nplugin = \"guests\"\nretries = 5\nretry_delay = \"10m\"\nwebhook = {{ secret = \"{SECRET}\" }}\n{GONE}"
        ),
    )?)?;
    // For a server's answer.
    let asks = start(&host, "caller", &json!({ "case": "http", "url": url }))?;
    let _connection = server.accept()?;
    cancelled_at_once(&host, &asks)?;
    // For its place.
    let first = start(&host, "single", &json!({ "case": "sleep_forever" }))?;
    let second = start(&host, "single", &ok())?;
    assert_eq!(look(&host, &second)?["state"], "queued");
    cancelled_at_once(&host, &second)?;
    cancelled_at_once(&host, &first)?;
    // For its next attempt.
    assert_eq!(
        deliver(&host, "patient", Uuid::now_v7(), "push", b"1")?.status(),
        202
    );
    let again = poll(PATIENCE, || {
        let list = host.json("/v1/runs?agent=patient&state=queued").ok()?;
        let items = list["items"].as_array()?;
        items.iter().find(|run| run["attempt"] == 2).cloned()
    })
    .context("nothing waits for its next attempt")?;
    cancelled_at_once(&host, &again)?;
    Ok(())
}

#[test]
fn runs_are_listed_newest_first_in_pages_and_by_filter() -> anyhow::Result<()> {
    let host = folder("", "[agents.second]\nplugin = \"guests\"\n")?.serve()?;
    let mut made = Vec::new();
    for number in 0..30 {
        let (agent, case) = match number % 3 {
            0 => ("second", "ok"),
            1 => ("guests", "ok"),
            _ => ("guests", "fails"),
        };
        let run = host.run(agent, &json!({ "case": case, "number": number }))?;
        made.push(id(&run)?.to_owned());
    }
    made.reverse();

    let pages = |query: &str| -> anyhow::Result<(Vec<String>, usize)> {
        let mut ids = Vec::new();
        let mut count = 0;
        let mut cursor = String::new();
        loop {
            let page = host.json(&format!("/v1/runs?{query}&cursor={cursor}"))?;
            count += 1;
            for run in page["items"].as_array().context("items")? {
                ids.push(id(run)?.to_owned());
            }
            match page["next"].as_str() {
                Some(next) => cursor = next.to_owned(),
                None => return Ok((ids, count)),
            }
        }
    };
    let (all, count) = pages("limit=7")?;
    assert_eq!(all, made);
    assert_eq!(count, 5);
    assert_eq!(pages("limit=500")?.0, made);

    let every = |from: usize| -> Vec<String> {
        (0..30)
            .rev()
            .filter(|number| number % 3 == from)
            .map(|number| made[29 - number].clone())
            .collect()
    };
    assert_eq!(pages("limit=4&agent=second")?.0, every(0));
    assert_eq!(pages("limit=4&outcome=failed")?.0, every(2));
    assert_eq!(pages("limit=4&agent=guests&outcome=succeeded")?.0, every(1));
    assert_eq!(
        pages("plugin=guests&state=ended&trigger=manual&limit=100")?.0,
        made
    );
    assert!(pages("state=running")?.0.is_empty());
    assert!(pages("agent=nobody")?.0.is_empty());
    let middle = host.json(&format!("/v1/runs/{}", made[15]))?;
    let since = middle["created_at"].as_str().context("a moment")?;
    assert_eq!(pages(&format!("limit=5&since={since}"))?.0, made[..16]);
    assert_eq!(pages(&format!("limit=5&until={since}"))?.0, made[16..]);

    // A run that comes while someone turns pages does not move the others.
    let first = host.json("/v1/runs?limit=10")?;
    host.run("guests", &ok())?;
    let next = first["next"].as_str().context("more")?;
    let second = host.json(&format!("/v1/runs?limit=10&cursor={next}"))?;
    let ids: Vec<&str> = second["items"]
        .as_array()
        .context("items")?
        .iter()
        .filter_map(|run| run["id"].as_str())
        .collect();
    assert_eq!(ids, made[10..20]);

    // Each end is an event, in order; the end of the list is where one goes on later.
    let events = host.json("/v1/events?limit=500&type=run.*")?;
    let items = events["items"].as_array().context("items")?;
    assert_eq!(items.len(), 31);
    let distinct: BTreeSet<&str> = items
        .iter()
        .filter_map(|event| event["id"].as_str())
        .collect();
    assert_eq!(distinct.len(), 31);
    assert_eq!(items[0]["subject"], made[29]);
    let next = events["next"].as_str().context("always there")?;
    let run = host.run("guests", &json!({ "case": "fails" }))?;
    let later = host.json(&format!("/v1/events?cursor={next}"))?;
    assert_eq!(later["items"].as_array().map(Vec::len), Some(1), "{later}");
    assert_eq!(later["items"][0]["type"], "run.failed");
    assert_eq!(later["items"][0]["subject"], run["id"]);
    assert_eq!(
        host.json("/v1/events?type=run.failed&limit=500")?["items"]
            .as_array()
            .map(Vec::len),
        Some(11)
    );
    Ok(())
}

#[test]
fn the_same_key_starts_one_run() -> anyhow::Result<()> {
    let host = folder("", "[agents.second]\nplugin = \"guests\"\n")?.serve()?;
    let post = |agent: &str, key: &str, input: &Value| {
        host.client()
            .post(host.url(&format!("/v1/agents/{agent}/runs?wait=60s")))
            .header("idempotency-key", key)
            .json(input)
            .send()
    };
    let first = post("guests", "key-1", &ok())?;
    assert_eq!(first.status(), 201);
    assert!(!first.headers().contains_key("idempotency-replayed"));
    let first: Value = serde_json::from_str(&first.text()?)?;
    let second = post("guests", "key-1", &ok())?;
    assert_eq!(second.status(), 200);
    assert_eq!(second.headers()["idempotency-replayed"], "true");
    assert_eq!(kept(&serde_json::from_str(&second.text()?)?), kept(&first));

    problem(
        post("guests", "key-1", &json!({ "case": "fails" }))?,
        422,
        "idempotency_key_reused",
    )?;
    // A key is an agent's own, or else it is refused; it never starts something unnoticed.
    let other = post("second", "key-1", &ok())?;
    assert!(
        [201, 422].contains(&other.status().as_u16()),
        "{}",
        other.status()
    );

    let longest = "k".repeat(255);
    assert_eq!(post("guests", &longest, &ok())?.status(), 201);
    for bad in ["k".repeat(256), "a b".into(), String::new()] {
        problem(post("guests", &bad, &ok())?, 400, "invalid_idempotency_key")?;
    }
    Ok(())
}

#[test]
fn of_many_requests_with_one_key_at_once_one_starts_a_run() -> anyhow::Result<()> {
    let host = host()?;
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..16)
            .map(|_| {
                scope.spawn(|| {
                    host.client()
                        .post(host.url("/v1/agents/guests/runs"))
                        .header("idempotency-key", "one")
                        .json(&ok())
                        .send()
                        .map_or(0, |response| response.status().as_u16())
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or(0))
            .collect()
    });
    assert_eq!(
        statuses.iter().filter(|status| **status == 201).count(),
        1,
        "{statuses:?}"
    );
    assert!(
        statuses
            .iter()
            .all(|status| [200, 201, 409].contains(status)),
        "{statuses:?}"
    );
    assert_eq!(
        host.json("/v1/runs")?["items"].as_array().map(Vec::len),
        Some(1)
    );
    Ok(())
}
