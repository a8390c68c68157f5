//! Guests that reach for other agents' keys and repositories, fill their own space, or hunt for secrets.

use crate::suite::case;
use serde_json::json;

#[test]
fn h54_other_agents_keys() {
    case("H54", |c| {
        let tricks = c.run(
            "keys",
            json!({ "case": "kv_keys_tricks", "keys": ["note", "neighbour/note"] }),
        );
        c.expect(&tricks, "succeeded", None, "each agent has its own space");
        for outcome in tricks.output()["outcomes"].as_array().unwrap() {
            assert_ne!(outcome["existed"], true, "{outcome}");
            let key = outcome["key"].as_str().unwrap();
            if key.is_empty() || key.contains('\0') || outcome["key_bytes"] == 65536 {
                assert_ne!(outcome["set"], "ok", "{outcome}");
            }
        }
        for name in ["neighbour", "../neighbour", "neighbour/note", "victim"] {
            let opened = c.run("keys", json!({ "case": "kv_open", "name": name }));
            c.expect(
                &opened,
                "succeeded",
                None,
                "other spaces do not open; the guest copes",
            );
            assert!(opened.output()["keys"].is_null(), "{}", opened.output());
            opened.expect_denial(
                "key_value",
                &format!("open `{name}`"),
                "nothing can allow this",
            );
        }
        let input = json!({ "case": "kv_get", "bucket": "neighbour", "key": "note" });
        let get = c.run("keys", input);
        c.expect(
            &get,
            "succeeded",
            None,
            "other spaces do not open; the guest copes",
        );
        get.expect_denial("key_value", "open `neighbour`", "nothing can allow this");
        assert!(!get.report.to_string().contains("knows"));
    });
}

#[test]
fn h55_key_value_flood() {
    case("H55", |c| {
        for (bytes, most) in [(10, 100), (32 * 1024, 7)] {
            let input = json!({ "case": "kv_flood", "bytes": bytes });
            let flood = c.run("flood", input);
            c.expect(
                &flood,
                "succeeded",
                None,
                "keys and bytes are counted; the guest copes",
            );
            let error = flood.output()["error"].as_str().unwrap();
            assert!(error.contains("limit"), "{error}");
            // The second flood replaces keys of the first one.
            let set = flood.output()["set"].as_u64().unwrap();
            assert!((1..=most).contains(&set), "{set}");
        }
        let listed = c.run("flood", json!({ "case": "kv_list" }));
        c.expect(&listed, "succeeded", None, "within the limit");
        assert!(listed.output()["keys"].as_array().unwrap().len() <= 100);

        let max = u64::MAX;
        let count = |delta: u64| {
            let input = json!({ "case": "kv_increment", "key": "counter", "delta": delta });
            let count = c.run("keys", input);
            c.expect(
                &count,
                "succeeded",
                None,
                "counters do not wrap; the guest copes",
            );
            count
        };
        assert_eq!(count(max).output()["value"], max);
        assert!(count(1).output()["error"].is_string());
        assert_eq!(count(0).output()["value"], max);
        let delete = c.run("keys", json!({ "case": "kv_delete", "key": "counter" }));
        c.expect(&delete, "succeeded", None, "within the limit");
        let once = c.run("keys", json!({ "case": "kv_set_once" }));
        c.expect(&once, "succeeded", None, "within the limit");
        assert_eq!(once.output()["first"], true);
    });
}

#[test]
fn h56_secret_hunt() {
    case("H56", |c| {
        let names = ["GRANTED", "HUNTED", "var/cache.key"];
        for agent in ["victim", "secrets"] {
            let hunt = c.run(
                agent,
                json!({ "case": "env_hunt", "names": names, "print": true }),
            );
            c.expect(
                &hunt,
                "succeeded",
                None,
                "nothing is there; the guest copes",
            );
            let output = hunt.output();
            let expected = match agent {
                "secrets" => json!({ "GRANTED": "a-granted-value" }),
                _ => json!({}),
            };
            assert_eq!(output["env"], expected);
            assert_eq!(output["args"], json!([agent]));
            assert_eq!(output["preopens"], json!([]));
            assert!(output["initial_cwd"].is_null());
            // The same answer whether a name exists elsewhere or nowhere.
            for name in names {
                assert!(output["config"][name].is_null(), "{output}");
                assert_eq!(output["buckets"][name], output["buckets"]["PATH"], "{name}");
                hunt.expect_denial(
                    "key_value",
                    &format!("open `{name}`"),
                    "nothing can allow this",
                );
            }
        }
        let agents = c.suite.host.json("/v1/agents").unwrap().to_string();
        assert!(
            !agents.contains("a-granted-value"),
            "values of `env` print as ****"
        );
    });
}

#[test]
fn repositories_that_are_not_granted_are_denied() {
    case("forge", |c| {
        let listed = c.run("victim", json!({ "case": "forge_repositories" }));
        c.expect(&listed, "succeeded", None, "nothing is granted");
        assert_eq!(listed.output()["repositories"], json!([]));
        for input in [
            json!({ "case": "forge_read", "repository": "ops", "path": "x" }),
            json!({ "case": "forge_log", "repository": "ops" }),
            json!({ "case": "forge_tree", "repository": "ops" }),
            json!({ "case": "forge_diff", "repository": "ops" }),
        ] {
            let read = c.run("victim", input);
            c.expect(&read, "succeeded", None, "no grant; the guest copes");
            assert!(read.output()["error"].is_string());
            read.expect_denial("forge", "ops", "repos = [{ name = \"ops\"");
        }
    });
}
