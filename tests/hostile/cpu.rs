//! Guests that take time: their own, or the host's.

use crate::suite::{Row, case, row};
use infinity_tests::host::{PATIENCE, poll};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

#[test]
fn h01_spin() {
    case("H01", |c| {
        let spin = c.run("victim", json!({ "case": "spin" }));
        c.expect(&spin, "limited", Some("cpu"), "epoch tick, CPU clock");
    });
}

#[test]
fn h01_spin_eight_at_once_while_the_api_answers() {
    case("H01 x8", |c| {
        let host = &c.suite.host;
        let mut slowest = Duration::ZERO;
        let runs: Vec<Value> = std::thread::scope(|scope| {
            let spinning: Vec<_> = (0..8)
                .map(|_| scope.spawn(|| host.run("spinner", &json!({ "case": "spin" })).unwrap()))
                .collect();
            while !spinning
                .iter()
                .all(std::thread::ScopedJoinHandle::is_finished)
            {
                let began = Instant::now();
                assert!(host.get("/v1/agents").unwrap().status().is_success());
                slowest = slowest.max(began.elapsed());
                std::thread::sleep(Duration::from_millis(10));
            }
            spinning
                .into_iter()
                .map(|run| run.join().unwrap())
                .collect()
        });
        for run in runs {
            let ended = c.ended(run);
            c.expect(
                &ended,
                "limited",
                Some("cpu"),
                "epoch tick, CPU clock, guests' own runtime",
            );
        }
        row(Row {
            case: "H01 x8 the API meanwhile".into(),
            expected: "an answer within 1 s".into(),
            got: format!("{} ms at most", slowest.as_millis()),
            containment: "guests' own runtime".into(),
            overrun_ms: None,
        });
        assert!(slowest < Duration::from_secs(1), "the API took {slowest:?}");
    });
}

#[test]
fn h02_fuel_is_exact_and_the_same_each_time() {
    case("H02", |c| {
        let counted = json!({ "case": "counted_loop" });
        let one = c.run("fuel", counted.clone());
        let other = c.run("fuel", counted);
        c.expect(&one, "succeeded", None, "fuel");
        c.expect(&other, "succeeded", None, "fuel");
        let fuel = |run: &Value| run["usage"]["fuel"].as_u64().unwrap();
        assert!(fuel(&one.run) > 1_000_000);
        assert_eq!(fuel(&one.run), fuel(&other.run));

        let endless = json!({ "case": "counted_loop", "n": u64::MAX });
        for _ in 0..2 {
            let spent = c.run("fuel", endless.clone());
            c.expect(&spent, "limited", Some("fuel"), "fuel");
            assert_eq!(fuel(&spent.run), 1_000_000_000);
        }
        // A trap gives nothing back.
        let trapped = c.run("fuel", json!({ "case": "trap" }));
        c.expect(&trapped, "trapped", Some("trap"), "trap");
        assert!(fuel(&trapped.run) > 0);
    });
}

#[test]
fn h03_start_loop() {
    case("H03", |c| {
        let looping = c.run("w-start-loop", Value::Null);
        c.expect(
            &looping,
            "limited",
            Some("cpu"),
            "limits are set before instantiation",
        );
        let trapping = c.run("w-start-trap", Value::Null);
        c.expect(&trapping, "trapped", Some("trap"), "trap in `start`");
    });
}

#[test]
fn h04_recurse() {
    case("H04", |c| {
        let recursing = c.run("victim", json!({ "case": "recurse" }));
        c.expect(
            &recursing,
            "trapped",
            Some("stack_overflow"),
            "wasm stack limit",
        );
        let starting = c.run("w-start-stack-overflow", Value::Null);
        c.expect(
            &starting,
            "trapped",
            Some("stack_overflow"),
            "wasm stack limit",
        );
        let shallow = c.run("victim", json!({ "case": "recurse", "depth": 100 }));
        c.expect(&shallow, "succeeded", None, "within the stack");
    });
}

#[test]
fn h05_sleep_forever() {
    case("H05", |c| {
        let sleeping = c.run("victim", json!({ "case": "sleep_forever" }));
        c.expect(&sleeping, "limited", Some("time"), "timer drops the store");
        let cpu_us = sleeping.run["usage"]["cpu_us"].as_u64().unwrap();
        assert!(
            cpu_us < 500_000,
            "it slept, so the CPU limit cannot have ended it: {cpu_us}"
        );
        let short = c.run("victim", json!({ "case": "sleep", "ms": 20 }));
        c.expect(&short, "succeeded", None, "within the time");
    });
}

#[test]
fn h06_poll_spin() {
    case("H06", |c| {
        let polling = c.run("victim", json!({ "case": "poll_spin" }));
        c.expect(
            &polling,
            "limited",
            Some("host_calls"),
            "count of host calls",
        );
        let fuelled = c.run("fuel", json!({ "case": "poll_spin" }));
        c.expect(
            &fuelled,
            "limited",
            Some("host_calls"),
            "count of host calls",
        );
    });
}

#[test]
fn h08_bulk_memory() {
    case("H08", |c| {
        let bulk = c.run("victim", json!({ "case": "bulk_memory" }));
        c.expect(
            &bulk,
            "limited",
            Some("cpu"),
            "epoch tick between bulk operations",
        );
    });
}

#[test]
fn h10_hostcall_storm() {
    case("H10", |c| {
        for kind in ["log", "clock", "kv", "random"] {
            let storm = c.run("victim", json!({ "case": "hostcall_storm", "kind": kind }));
            if kind == "kv" && storm.run["reason"] == "time" {
                // Each call asks the store: on a slow machine the time is over before the calls are.
                c.expect(&storm, "limited", Some("time"), "timer");
            } else {
                c.expect(&storm, "limited", Some("host_calls"), "count of host calls");
            }
            if kind == "log" {
                assert_eq!(storm.run["usage"]["log_truncated"], true);
                // With the line that says where it was cut.
                assert!(crate::output::log_bytes(c, &storm) <= 65 * 1024);
            }
        }
    });
}

#[test]
fn h28_no_store_is_used_again_after_a_trap_or_a_cancellation() {
    case("H28", |c| {
        let host = &c.suite.host;
        let trapped = c.run(
            "victim",
            json!({ "case": "residue_fill", "seed": 28, "trap": true }),
        );
        c.expect(&trapped, "trapped", Some("trap"), "the store is dropped");

        let started = host
            .client()
            .post(host.url("/v1/agents/victim/runs"))
            .json(&json!({ "case": "bulk_memory" }))
            .send()
            .unwrap();
        let started: Value = started.json().unwrap();
        let path = format!("/v1/runs/{}", started["id"].as_str().unwrap());
        let running = poll(PATIENCE, || {
            let run = host.json(&path).unwrap();
            (run["state"] != "queued").then_some(run)
        });
        assert_eq!(running.unwrap()["state"], "running");
        let cancelled = host
            .client()
            .post(host.url(&format!("{path}/cancel")))
            .send()
            .unwrap();
        assert!(
            cancelled.status().is_success(),
            "{}",
            cancelled.text().unwrap()
        );
        let ended = poll(PATIENCE, || {
            let run = host.json(&path).unwrap();
            (run["state"] == "ended").then_some(run)
        });
        let ended = c.ended(ended.unwrap());
        c.expect(&ended, "cancelled", None, "cancellation drops the store");

        for agent in ["victim", "spinner", "other"] {
            let scan = c.run(agent, json!({ "case": "residue_scan", "seed": 28 }));
            c.expect(&scan, "succeeded", None, "a fresh store each time");
            assert_eq!(scan.output()["hits"], 0);
            assert_eq!(scan.output()["nonzero_in_grown"], 0);
        }
    });
}

#[test]
fn a_trap_names_the_functions_it_went_through() {
    case("trap", |c| {
        let trapped = c.run("victim", json!({ "case": "trap" }));
        c.expect(&trapped, "trapped", Some("trap"), "trap");
        let functions: Vec<String> = trapped.report["backtrace"]
            .as_array()
            .unwrap()
            .iter()
            .map(|frame| frame["function"].as_str().unwrap().to_owned())
            .collect();
        let place = |name: &str| {
            let found = functions
                .iter()
                .position(|function| function.contains(name));
            found.unwrap_or_else(|| panic!("`{name}` is not in {functions:?}"))
        };
        assert!(place("innermost_function") < place("middle_function"));
        assert!(place("middle_function") < place("outer_function"));
        assert!(
            !trapped
                .report
                .to_string()
                .contains(env!("CARGO_MANIFEST_DIR")),
            "the builder's directories are nobody's business"
        );
        let bare = c.run("victim", json!({ "case": "unreachable" }));
        c.expect(&bare, "trapped", Some("trap"), "trap");
    });
}
