//! Guests that take memory, tables, instances, handles or randomness, or look for what others left.

use crate::suite::case;
use serde_json::{Value, json};

#[test]
fn h13_memory_grow() {
    case("H13", |c| {
        let grown = c.run("w-mem-grow", Value::Null);
        c.expect(&grown, "limited", Some("memory"), "limiter");
        // A guest that copes with the refusal and reports has succeeded, within the limit.
        let coped = c.run("victim", json!({ "case": "grow_memory" }));
        c.expect(&coped, "succeeded", None, "limiter; the guest copes");
        assert_eq!(coped.output()["refused"], true);
        let peak = coped.run["usage"]["peak_memory_bytes"].as_u64().unwrap();
        assert!((32 << 20..=64 << 20).contains(&peak), "{peak}");
    });
}

#[test]
fn h14_memory_minimum() {
    case("H14", |c| {
        c.expect_refused("w-mem-min", "memory", &["raise `memory`", "67108864"]);
    });
}

#[test]
fn h15_many_memories() {
    case("H15", |c| {
        let many = c.run("w-many-memories", Value::Null);
        c.expect(
            &many,
            "limited",
            Some("memory"),
            "limiter sums over the store",
        );
        let one_module = c.run("w-multi-memory", Value::Null);
        c.expect(
            &one_module,
            "limited",
            Some("memory"),
            "limiter sums over the store",
        );
    });
}

#[test]
fn h16_many_instances() {
    case("H16", |c| {
        c.expect_refused(
            "w-many-instances-5000",
            "invalid_component",
            &["exceeds limit of 1000"],
        );
        for agent in ["w-many-instances-150", "w-many-instances-nested"] {
            let many = c.run(agent, Value::Null);
            c.expect(&many, "limited", Some("instances"), "limiter");
        }
        let one = c.run("w-many-instances", Value::Null);
        c.expect(
            &one,
            "succeeded",
            None,
            "one spare instance is within the limit",
        );
    });
}

#[test]
fn h17_table_grow() {
    case("H17", |c| {
        let grown = c.run("w-table-grow", Value::Null);
        c.expect(&grown, "limited", Some("tables"), "limiter");
        let declared = c.run("w-table-min", Value::Null);
        c.expect(&declared, "limited", Some("tables"), "limiter");
        c.expect_refused("w-table64-min", "invalid_component", &["memory64"]);
    });
}

#[test]
fn h19_handle_leak() {
    case("H19", |c| {
        for kind in ["pollable", "fields", "stream", "bucket"] {
            let leak = c.run("victim", json!({ "case": "handle_leak", "kind": kind }));
            c.expect(&leak, "limited", Some("handles"), "resource table");
        }
    });
}

#[test]
fn h22_random_bomb() {
    case("H22", |c| {
        for insecure in [false, true] {
            let bomb = c.run(
                "victim",
                json!({ "case": "random_bomb", "insecure": insecure }),
            );
            c.expect(
                &bomb,
                "limited",
                Some("host_calls"),
                "random bytes are counted",
            );
        }
        let some = c.run("victim", json!({ "case": "random_bomb", "bytes": 1000 }));
        c.expect(&some, "succeeded", None, "within the limit");
        assert_eq!(some.output()["got"], 1000);
    });
}

#[test]
fn h27_residue() {
    case("H27", |c| {
        let own = c.run(
            "victim",
            json!({ "case": "residue_scan", "seed": 27, "fill_first": true }),
        );
        c.expect(&own, "succeeded", None, "the scan finds its own pattern");
        assert!(own.output()["hits"].as_u64() > Some(0));

        let fill = |input: Value, outcome: &str, reason: Option<&str>| {
            let filled = c.run("victim", input);
            c.expect(&filled, outcome, reason, "fresh store, zeroed slots");
        };
        for round in 0..4 {
            match round {
                0 | 1 => fill(
                    json!({ "case": "residue_fill", "seed": 27 }),
                    "succeeded",
                    None,
                ),
                2 => fill(
                    json!({ "case": "residue_fill", "seed": 27, "trap": true }),
                    "trapped",
                    Some("trap"),
                ),
                _ => fill(
                    json!({ "case": "recurse" }),
                    "trapped",
                    Some("stack_overflow"),
                ),
            }
            for agent in ["victim", "other"] {
                let scan = c.run(agent, json!({ "case": "residue_scan", "seed": 27 }));
                c.expect(&scan, "succeeded", None, "fresh store, zeroed slots");
                assert_eq!(scan.output()["hits"], 0, "{round}");
                assert_eq!(scan.output()["nonzero_in_grown"], 0, "{round}");
                assert!(scan.output()["scanned_bytes"].as_u64() > Some(32 << 20));
            }
        }
    });
}
