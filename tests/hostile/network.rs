//! Guests that reach for addresses, names and servers, and servers that answer badly.

use crate::suite::case;
use serde_json::{Value, json};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

#[test]
fn h36_ssrf_literals() {
    case("H36", |c| {
        let before = c.suite.server.connections();
        let port = c.suite.server.port;
        let granted = [
            format!("http://127.0.0.1:{port}/"),
            format!("http://localhost:{port}/"),
            format!("http://[::1]:{port}/"),
            format!("http://[::ffff:127.0.0.1]:{port}/"),
            format!("http://0.0.0.0:{port}/"),
            "http://10.1.2.3/".into(),
            "http://169.254.169.254/latest/meta-data".into(),
            "http://100.64.0.1/".into(),
            "http://[fc00::1]/".into(),
            "http://[fe80::1]/".into(),
            "http://[64:ff9b::7f00:1]/".into(),
            "http://[2002:7f00:1::]/".into(),
        ];
        let urls = json!({ "case": "http_each", "urls": granted });
        let tried = c.run("ssrf", urls);
        c.expect(
            &tried,
            "succeeded",
            None,
            "addresses are vetted before dialling; the guest copes",
        );
        for answer in tried.output()["answers"].as_array().unwrap() {
            assert!(answer["answer"]["error"].is_string(), "{answer}");
        }
        for denial in tried.run["denials"].as_array().unwrap() {
            let reason = denial["reason"].as_str().unwrap_or_default();
            assert!(reason.contains("address is not public"), "{denial}");
        }
        for url in &granted {
            tried.expect_denial("http", url.trim_end_matches('/'), "");
        }
        tried.expect_denial("http", &format!("127.0.0.1:{port}"), "private = [");
        tried.expect_denial("http", "169.254.169.254", "nothing can allow");

        let odd = [
            "http://127.1/",
            "http://2130706433/",
            "http://0x7f.1/",
            "http://017700000001/",
        ];
        let tried = c.run("net", json!({ "case": "http_each", "urls": odd }));
        c.expect(
            &tried,
            "succeeded",
            None,
            "unusual spellings are refused; the guest copes",
        );
        for url in odd {
            tried.expect_denial("http", url, "nothing can allow");
        }
        assert_eq!(c.suite.server.connections(), before, "a packet went out");
    });
}

#[test]
fn h36_the_hosts_own_port_is_never_reached() {
    case("H36 own port", |c| {
        let port = c
            .suite
            .host
            .address()
            .rsplit(':')
            .next()
            .unwrap()
            .to_owned();
        let urls = [
            format!("http://127.0.0.1:{port}/v1/runs"),
            format!("http://localhost:{port}/v1/runs"),
        ];
        let tried = c.run("net", json!({ "case": "http_each", "urls": urls }));
        c.expect(
            &tried,
            "succeeded",
            None,
            "own listeners are never dialled; the guest copes",
        );
        for url in &urls {
            tried.expect_denial(
                "http",
                url,
                "nothing can allow it: this host itself listens",
            );
        }
        let posted = json!({ "case": "http", "method": "POST", "url": urls[0], "body": "null" });
        let posted = c.run("net", posted);
        c.expect(
            &posted,
            "succeeded",
            None,
            "own listeners are never dialled; the guest copes",
        );
        posted.expect_denial("http", "POST", "nothing can allow it");
    });
}

#[test]
fn h38_redirects() {
    case("H38", |c| {
        for code in [302, 307, 308] {
            let url = c.suite.server.url(&format!("/redirect-{code}"));
            let answer = c.run("net", json!({ "case": "http", "url": url }));
            c.expect(&answer, "succeeded", None, "redirects go back to the guest");
            assert_eq!(answer.output()["status"], code);
        }
        assert!(c.suite.server.heads("/redirected").is_empty());
    });
}

#[test]
fn h39_allow_tricks() {
    case("H39", |c| {
        let urls = [
            "https://granted.test.evil.test/",
            "https://granted.test@evil.test/",
            "https://xn--grnted-9ta.test/",
            "https://granted.test:8443/",
            "http://granted.test/",
            "https://evil.test/",
        ];
        let tried = c.run("net", json!({ "case": "http_each", "urls": urls }));
        c.expect(
            &tried,
            "succeeded",
            None,
            "hosts match exactly; the guest copes",
        );
        assert_eq!(tried.run["denials"].as_array().unwrap().len(), urls.len());
        tried.expect_denial(
            "http",
            "granted.test.evil.test",
            "http = [{ url = \"https://granted.test.evil.test/\"",
        );
        tried.expect_denial("http", "****@evil.test", "nothing can allow it");
        tried.expect_denial(
            "http",
            "granted.test:8443",
            "http = [{ url = \"https://granted.test:8443/\"",
        );
        tried.expect_denial(
            "http",
            "GET http://granted.test/",
            "http = [{ url = \"http://granted.test/\"",
        );

        // The same host in another spelling is granted; that it does not exist is another matter.
        let same = ["https://GRANTED.test/", "https://granted.test./"];
        let tried = c.run("net", json!({ "case": "http_each", "urls": same }));
        c.expect(&tried, "succeeded", None, "hosts are normalised");
        assert_eq!(tried.run["denials"], json!([]));

        let url = c.suite.server.url("/own-host");
        let headers = [["host", "evil.test"]];
        let own = c.run(
            "net",
            json!({ "case": "http", "url": url, "headers": headers }),
        );
        c.expect(
            &own,
            "succeeded",
            None,
            "`Host` is the host's; the guest copes",
        );
        assert!(own.output()["error"].is_string(), "{}", own.output());

        let delete = json!({ "case": "http", "url": url, "method": "DELETE" });
        let delete = c.run("net", delete);
        c.expect(
            &delete,
            "succeeded",
            None,
            "methods are granted; the guest copes",
        );
        delete.expect_denial("http", "DELETE", "methods = [\"DELETE\"]");
        let ungranted = c.run("victim", json!({ "case": "http", "url": url }));
        c.expect(&ungranted, "succeeded", None, "no grant; the guest copes");
        ungranted.expect_denial("http", &url, &format!("http = [{{ url = \"{url}\""));
        assert!(c.suite.server.heads("/own-host").is_empty());
    });
}

#[test]
fn h41_response_bombs() {
    case("H41", |c| {
        for (path, words) in [
            ("/endless", "body size exceeds limit"),
            ("/announced", "HttpResponseBodySize"),
            ("/headers", "HttpResponseHeaderSectionSize"),
            ("/chunk", "incomplete"),
        ] {
            let input =
                json!({ "case": "http", "url": c.suite.server.url(path), "max_bytes": 1 << 30 });
            let bomb = c.run("net", input);
            c.expect(
                &bomb,
                "succeeded",
                None,
                "bytes are counted; the guest copes",
            );
            let error = bomb.output()["error"].as_str().unwrap();
            assert!(error.contains(words), "{path}: {error}");
            let received = bomb.run["usage"]["http_received_bytes"].as_u64();
            assert!(received <= Some(9 << 20), "{path}: {received:?}");
        }
        let fine = json!({ "case": "http", "url": c.suite.server.url("/fine") });
        let fine = c.run("net", fine);
        c.expect(&fine, "succeeded", None, "within the limits");
        assert_eq!(fine.output()["status"], 200);
    });
}

#[test]
fn h42_slow_servers() {
    case("H42", |c| {
        let input =
            |case: &str, path: &str| json!({ "case": case, "url": c.suite.server.url(path) });
        let silent = c.run("net", input("http", "/silent"));
        c.expect(&silent, "limited", Some("time"), "one deadline");
        let slow = c.run("net", input("http", "/slow"));
        c.expect(&slow, "limited", Some("time"), "one deadline");
        let patient = c.run("net", input("http_long_timeouts", "/silent"));
        c.expect(
            &patient,
            "limited",
            Some("time"),
            "the guest's timeouts only shorten",
        );
    });
}

#[test]
fn h44_upload_bomb() {
    case("H44", |c| {
        let before = c.suite.server.seen.body_bytes.load(Ordering::SeqCst);
        let url = c.suite.server.url("/upload");
        let upload = c.run("net", json!({ "case": "http_upload_endless", "url": url }));
        c.expect(
            &upload,
            "succeeded",
            None,
            "bytes are counted; the guest copes",
        );
        let answer = upload.output()["answer"].as_str().unwrap();
        assert!(answer.contains("HttpRequestBodySize"), "{answer}");
        let arrived = c.suite.server.seen.body_bytes.load(Ordering::SeqCst) - before;
        assert!(arrived <= 320 * 1024, "{arrived}");
    });
}

#[test]
fn h45_connection_flood() {
    case("H45", |c| {
        let host = &c.suite.host;
        let url = c.suite.server.url("/flood");
        let (flood, other_took, other) = std::thread::scope(|scope| {
            let input = json!({ "case": "http_concurrent", "url": url, "count": 60, "wait": true });
            let flood = scope.spawn(move || host.run("net", &input).unwrap());
            let began = Instant::now();
            infinity_tests::host::poll(Duration::from_secs(10), || {
                (c.suite.server.seen.silent_most.load(Ordering::SeqCst) >= 8).then_some(())
            });
            let other = json!({ "case": "http", "url": c.suite.server.url("/with") });
            let other = host.run("credential", &other).unwrap();
            (flood.join().unwrap(), began.elapsed(), other)
        });
        let other = c.ended(other);
        c.expect(&other, "succeeded", None, "other agents' requests pass");
        assert_eq!(other.output()["status"], 200);
        assert!(other_took < Duration::from_secs(12), "{other_took:?}");
        let flood = c.ended(flood);
        c.expect(
            &flood,
            "limited",
            Some("time"),
            "eight at once, the others wait",
        );
        let most = c.suite.server.seen.silent_most.load(Ordering::SeqCst);
        assert!((1..=8).contains(&most), "{most}");

        let url = c.suite.server.url("/fine");
        let input = json!({ "case": "http_concurrent", "url": url, "count": 60, "wait": true });
        let counted = c.run("net", input);
        c.expect(
            &counted,
            "succeeded",
            None,
            "requests are counted; the guest copes",
        );
        let answers = &counted.output()["answers"];
        assert_eq!(answers["200"], 50, "{answers}");
        let endless = json!({ "case": "http_concurrent", "url": url });
        let endless = c.run("net", endless);
        c.expect(&endless, "limited", Some("handles"), "resource table");
    });
}

#[test]
fn h46_names_and_sockets() {
    case("H46", |c| {
        let looked = c.run(
            "net",
            json!({ "case": "resolve_name", "name": "secret.evil.test" }),
        );
        c.expect(&looked, "succeeded", None, "no look-ups; the guest copes");
        assert_eq!(looked.output()["error"], "access-denied");
        looked.expect_denial("sockets", "secret.evil.test", "nothing can allow this");
        let asked = c.run(
            "net",
            json!({ "case": "http", "url": "https://secret.evil.test/" }),
        );
        c.expect(
            &asked,
            "succeeded",
            None,
            "grants come before look-ups; the guest copes",
        );
        asked.expect_denial("http", "secret.evil.test", "http = [{ url =");

        let before = c.suite.server.connections();
        let address = format!("127.0.0.1:{}", c.suite.server.port);
        for (attack, words) in [("tcp_connect", "TCP"), ("udp_send", "UDP")] {
            let socket = c.run("net", json!({ "case": attack, "addr": address }));
            c.expect(&socket, "succeeded", None, "no sockets; the guest copes");
            assert_eq!(socket.output()["error"], "access-denied");
            socket.expect_denial("sockets", words, "nothing can allow this");
        }
        assert_eq!(c.suite.server.connections(), before);
    });
}

#[test]
fn a_credential_is_set_by_the_host_and_never_seen_by_the_guest() {
    case("credential", |c| {
        let url = c.suite.server.url("/with");
        let headers = [["x-key", "the guest's own"]];
        let asked = c.run(
            "credential",
            json!({ "case": "http", "url": url, "headers": headers }),
        );
        c.expect(&asked, "succeeded", None, "masked in the answer");
        let heads = c.suite.server.heads("/with");
        let sent = heads.last().unwrap();
        assert!(sent.contains("x-key: hush-hush-hush-42"), "{sent}");
        assert!(!sent.contains("the guest's own"), "{sent}");
        let seen = asked.output().to_string();
        assert!(
            !seen.contains("hush") && seen.contains("x-key: ***"),
            "{seen}"
        );
        for path in ["/v1/agents", "/v1/runs?agent=credential"] {
            let shown: Value = c.suite.host.json(path).unwrap();
            assert!(!shown.to_string().contains("hush-hush"), "{path}");
        }
        assert!(!c.suite.host.log().contains("hush-hush"));
    });
}
