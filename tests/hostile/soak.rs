//! All attacks at once, in no order, for a while: what one alone does not show.

use crate::suite::{case, say};
use infinity_tests::soak::{count, figure};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Attackers at once; the canary and the oracle need their places, too.
const ATTACKERS: u64 = 6;

/// Ends that a guest can bring about. `host_error` and `lost` are none.
const ALLOWED: [&str; 4] = ["succeeded", "failed", "trapped", "limited"];

#[test]
fn zy_all_attacks_at_once() {
    let time = count(Duration::from_secs(15), Duration::from_secs(30 * 60));
    case("mix", |case| {
        let host = &case.suite.host;
        let ends: Mutex<BTreeMap<String, u64>> = Mutex::default();
        let until = Instant::now() + time;
        std::thread::scope(|scope| {
            for attacker in 0..ATTACKERS {
                let ends = &ends;
                scope.spawn(move || {
                    let mut state = attacker + 1;
                    while Instant::now() < until {
                        state = state
                            .wrapping_mul(6_364_136_223_846_793_005)
                            .wrapping_add(1_442_695_040_888_963_407);
                        let cases = test_guests::CASES;
                        let attack = cases[(state >> 33) as usize % cases.len()];
                        let run = host.run("victim", &json!({ "case": attack })).unwrap();
                        let outcome = run["outcome"].as_str().unwrap_or("none");
                        assert!(ALLOWED.contains(&outcome), "{attack}: {run}");
                        *ends.lock().unwrap().entry(outcome.to_owned()).or_default() += 1;
                    }
                });
            }
        });
        let ends = ends.into_inner().unwrap();
        let runs: u64 = ends.values().sum();
        assert!(
            ends.len() == ALLOWED.len(),
            "not every end was met: {ends:?}"
        );
        let summary = Value::from_iter(ends).to_string();
        say(&format!(
            "hostile: {runs} attacks in {} s: {summary}",
            time.as_secs()
        ));
        figure(
            &format!("attacks at once, {} s", time.as_secs()),
            runs,
            &format!("{summary}, then the oracle"),
        );
    });
}
