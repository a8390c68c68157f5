//! The same guests with their guard lifted, in a host of their own that is thrown away: each does more than the suite's limit allows, else the limit's test
//! would prove nothing.

use crate::suite::{Row, agent_of, cpu_time, end_with_the_tests, row, wasm};
use infinity_tests::host::{Folder, Host, PATIENCE, poll};
use serde_json::{Value, json};
use std::time::Duration;

const LIFTED: &str = r#"
[host.limits]
time = "60s"
cpu = "600s"
memory = "1GiB"
table_elements = 1000000
instances = 1000
host_calls = 100000000
boundary = "4GiB"
handles = 100000
log = "16MiB"
output = "64MiB"
random = "64MiB"
files = "64MiB"
files_count = 10000
key_value = "64MiB"
key_value_keys = 10000
"#;

fn start() -> Host {
    let folder = Folder::new().unwrap();
    folder.component("test_guests", "test_guests").unwrap();
    std::fs::create_dir(folder.path().join("quota")).unwrap();
    let mut agents = r#"
[agents.lifted]
plugin = "test_guests"
grants = { directories = [{ host = "quota", guest = "/quota", write = true }] }
"#
    .to_owned();
    let mut add = |name: &str, text: &str| {
        folder.bytes(name, &wasm(text)).unwrap();
        agents.push_str(&format!(
            "[agents.{}]\nplugin = \"{name}\"\n",
            agent_of(name)
        ));
    };
    for name in ["start_loop", "mem_grow", "many_memories"] {
        add(name, test_guests::component_text(name).unwrap());
    }
    add("many_instances_150", &test_guests::many_instances(150));
    folder.config("", &format!("{LIFTED}\n{agents}")).unwrap();
    let host = folder.serve().unwrap();
    end_with_the_tests(&host);
    host
}

fn misbehaved(case: &str, more: String) {
    row(Row {
        case: format!("{case} lifted"),
        expected: "more than the limit".into(),
        got: more,
        containment: "none, thrown away".into(),
        overrun_ms: None,
    });
}

/// Starts a run that does not end by itself.
fn started(host: &Host, agent: &str, input: &Value) -> String {
    let url = host.url(&format!("/v1/agents/{agent}/runs"));
    let run: Value = host
        .client()
        .post(url)
        .json(input)
        .send()
        .unwrap()
        .json()
        .unwrap();
    format!("/v1/runs/{}", run["id"].as_str().unwrap())
}

#[test]
fn guests_misbehave_once_their_guard_is_lifted() {
    let host = start();

    // H01 and H03 burn more CPU time, and H05 sleeps longer, than the suite allows; then somebody ends them.
    let before = cpu_time(host.pid());
    let endless: Vec<String> = [
        ("lifted", json!({ "case": "spin" })),
        ("w-start-loop", Value::Null),
        ("lifted", json!({ "case": "sleep_forever" })),
    ]
    .iter()
    .map(|(agent, input)| started(&host, agent, input))
    .collect();
    let began = std::time::Instant::now();
    let enough = poll(PATIENCE, || {
        let burnt = cpu_time(host.pid()).saturating_sub(before);
        (burnt > Duration::from_secs(5) && began.elapsed() > Duration::from_millis(5_200))
            .then_some(burnt)
    });
    let burnt = enough.expect("two endless loops burn CPU time");
    for (path, case) in endless.iter().zip(["H01", "H03", "H05"]) {
        let run = host.json(path).unwrap();
        assert_eq!(run["state"], "running", "{case}: {run}");
        let cancelled = host
            .client()
            .post(host.url(&format!("{path}/cancel")))
            .send()
            .unwrap();
        assert!(cancelled.status().is_success());
        let ended = poll(PATIENCE, || {
            let run = host.json(path).unwrap();
            (run["state"] == "ended").then_some(run)
        });
        assert_eq!(ended.unwrap()["outcome"], "cancelled");
        misbehaved(
            case,
            format!(
                "running after {} ms, {} ms of CPU burnt",
                began.elapsed().as_millis(),
                burnt.as_millis()
            ),
        );
    }

    // What ends by itself ends well, and beyond the suite's limit.
    let beyond = |case: &str, agent: &str, input: Value, what: &str, least: u64| {
        let run = host.run(agent, &input).unwrap();
        assert_eq!(run["outcome"], "succeeded", "{case}: {run}");
        let report = host.report(&run).unwrap();
        let output = report["output"].get(what).and_then(Value::as_u64);
        let much = output.or(run["usage"][what].as_u64());
        assert!(
            much > Some(least),
            "{case}: `{what}` is {much:?}, more than {least} was expected"
        );
        misbehaved(
            case,
            format!("{} {what}, {least} are the limit", much.unwrap_or(0)),
        );
    };
    let mib = 1 << 20;
    beyond(
        "H06",
        "lifted",
        json!({ "case": "poll_spin", "count": 60_000 }),
        "host_calls",
        100_000,
    );
    for kind in ["log", "clock", "random"] {
        let input = json!({ "case": "hostcall_storm", "kind": kind, "count": 150_000 });
        beyond("H10", "lifted", input, "calls", 100_000);
    }
    let input = json!({ "case": "grow_memory", "max_bytes": 200 * mib });
    beyond("H13", "lifted", input, "grown_bytes", 64 * mib);
    beyond(
        "H15",
        "w-many-memories",
        Value::Null,
        "peak_memory_bytes",
        64 * mib,
    );
    let input = json!({ "case": "handle_leak", "count": 5_000 });
    beyond("H19", "lifted", input, "made", 1_000);
    let input = json!({ "case": "random_bomb", "bytes": 4 * mib });
    beyond("H22", "lifted", input, "got", mib);
    let input = json!({ "case": "return_bomb", "bytes": 4 * mib });
    beyond("H23", "lifted", input, "output_bytes", 64 * 1024);
    let input = json!({ "case": "stdout_flood", "bytes": 4 * mib });
    beyond("H24", "lifted", input.clone(), "log_bytes", 64 * 1024);
    let flood = host.run("lifted", &input).unwrap();
    assert_eq!(flood["usage"]["log_truncated"], false);
    let input = json!({ "case": "write_endless", "path": "/quota/endless", "max_bytes": 4 * mib });
    beyond("H51", "lifted", input, "written", mib);
    let input = json!({ "case": "many_files", "dir": "/quota", "count": 500 });
    beyond("H51 files", "lifted", input, "created", 100);
    beyond(
        "H55",
        "lifted",
        json!({ "case": "kv_flood", "count": 300 }),
        "set",
        100,
    );

    let many = host.run("w-many-instances-150", &Value::Null).unwrap();
    assert_eq!(many["outcome"], "succeeded", "{many}");
    misbehaved("H16", "150 spare instances, 100 are the limit".into());
    let grown = host.run("w-mem-grow", &Value::Null).unwrap();
    let peak = grown["usage"]["peak_memory_bytes"].as_u64();
    assert!(peak > Some(64 * mib), "{grown}");
    misbehaved(
        "H13 WAT",
        format!("{} peak_memory_bytes", peak.unwrap_or(0)),
    );
}
