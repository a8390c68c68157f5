//! Files that are no components, and components that ask for what no guest gets.

use crate::suite::{Row, case, end_with_the_tests, not_components, row, wasm};
use infinity_tests::host::Folder;
use serde_json::Value;

#[test]
fn h18_features() {
    case("H18", |c| {
        for (agent, feature) in [
            ("w-shared-memory", "threads and shared memory"),
            ("w-memory64", "memory64"),
            ("w-gc", "garbage collection"),
            ("w-exceptions", "exception handling"),
            ("w-stack-switching", "stack switching"),
            ("w-async-lift", "component-model async"),
        ] {
            c.expect_refused(agent, "invalid_component", &[feature, "switched off"]);
        }
    });
}

#[test]
fn h30_not_wasm() {
    case("H30", |c| {
        for (agent, _, words) in not_components() {
            if agent != "x-elf" {
                c.expect_refused(agent, "invalid_component", &[words]);
            }
        }
        let plugins = c.suite.host.json("/v1/plugins").unwrap();
        for (name, _, words) in not_components() {
            let mut items = plugins["items"].as_array().unwrap().iter();
            let plugin = items.find(|plugin| plugin["name"] == name).unwrap();
            assert_eq!(plugin["status"], "refused", "{plugin}");
            assert!(
                plugin["problem"].as_str().unwrap().contains(words),
                "{plugin}"
            );
        }
    });
}

#[test]
fn h33_unknown_imports() {
    case("H33", |c| {
        let imports = ["acme:widget/thing@9.9.9", "wasi:http/types@0.3.0"];
        c.expect_refused("w-ungranted-imports", "capability_missing", &imports);
    });
}

#[test]
fn h33_known_but_ungranted() {
    case("H33 ungranted", |c| {
        // The component names sockets, files and HTTP, and links without any grant.
        let fine = c.run("victim", serde_json::json!({ "case": "ok" }));
        c.expect(
            &fine,
            "succeeded",
            None,
            "interfaces link and deny at the call",
        );
        let noop = c.run("w-noop-agent", Value::Null);
        c.expect(&noop, "succeeded", None, "nothing is asked for");
    });
}

#[test]
fn h34_compiled_code() {
    case("H34", |c| {
        // What this very host compiled is the best forgery there is: the same engine, the same settings.
        let cache = c.suite.path("var/cache");
        let kept: Vec<_> = std::fs::read_dir(cache)
            .unwrap()
            .map(|entry| std::fs::read(entry.unwrap().path()).unwrap())
            .collect();
        assert!(!kept.is_empty());
        assert!(
            kept.iter().all(|bytes| bytes[32..].starts_with(b"\x7fELF")),
            "the cache holds compiled code after 32 bytes of authentication"
        );
        let words = "compiled code is never accepted";
        c.expect_refused("x-elf", "invalid_component", &[words]);
        let forged = c.suite.path("forged.wasm");
        std::fs::write(&forged, &kept[0][32..]).unwrap();
        let folder = c.suite.host.folder();
        let output = folder
            .infinity(&["plugin", "inspect", "forged.wasm"])
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr).replace(['\n', '│'], " ");
        let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(!output.status.success());
        assert!(said.contains(words), "{said}");
    });
}

/// A component around one core module.
fn around(module: &str) -> Vec<u8> {
    wasm(&format!(
        "(component (core module $m {module}) (core instance (instantiate $m)))"
    ))
}

#[test]
fn h31_compile_bomb() {
    // Each of these costs the compiler more than the second of CPU time that this host gives it.
    let one_function = format!(
        "(func (param i32) (result i32) local.get 0 {})",
        "local.get 0 i32.add local.get 0 i32.mul ".repeat(400_000)
    );
    let many_functions =
        "(func (param i32) (result i32) local.get 0 i32.const 7 i32.mul)".repeat(200_000);
    let folder = Folder::new().unwrap();
    folder
        .bytes("one-function", &around(&one_function))
        .unwrap();
    folder
        .bytes("many-functions", &around(&many_functions))
        .unwrap();
    let text = test_guests::component_text("noop_agent").unwrap();
    folder.bytes("noop", &wasm(text)).unwrap();
    let agents = "[agents.one-function]\nplugin = \"one-function\"\n\
        [agents.many-functions]\nplugin = \"many-functions\"\n[agents.noop]\nplugin = \"noop\"\n";
    folder.config("compile_cpu = \"1s\"", agents).unwrap();
    let host = folder.serve().unwrap();
    end_with_the_tests(&host);
    for agent in ["one-function", "many-functions"] {
        let run = host.run(agent, &Value::Null).unwrap();
        assert_eq!(run["outcome"], "refused", "{run}");
        assert_eq!(run["reason"], "load_limit", "{run}");
    }
    let run = host.run("noop", &Value::Null).unwrap();
    assert_eq!(run["outcome"], "succeeded", "the host goes on: {run}");
    row(Row {
        case: "H31".into(),
        expected: "refused (load_limit)".into(),
        got: "refused (load_limit)".into(),
        containment: "CPU limit of the compile child".into(),
        overrun_ms: None,
    });
}
