//! The command line of the real program: what it prints, where, and how it exits; beside a running host and without one.

use anyhow::{Context as _, ensure};
use infinity_tests::host::{Folder, root};
use regex::Regex;
use serde_json::{Value, json};
use std::fs;
use std::process::Command;

/// What a command said.
#[derive(Debug)]
struct Said {
    code: Option<i32>,
    out: String,
    err: String,
}

fn say(mut command: Command) -> anyhow::Result<Said> {
    let output = command.output()?;
    Ok(Said {
        code: output.status.code(),
        out: String::from_utf8(output.stdout)?,
        err: without_log(&String::from_utf8(output.stderr)?),
    })
}

/// Without the lines that a host made for this one command logs: those begin with a moment.
fn without_log(text: &str) -> String {
    text.split_inclusive('\n')
        .filter(|line| {
            line.split_once(' ')
                .is_none_or(|(moment, _)| moment.parse::<jiff::Timestamp>().is_err())
        })
        .collect()
}

fn infinity(folder: &Folder, arguments: &[&str]) -> anyhow::Result<Said> {
    say(folder.command(arguments))
}

/// One JSON value on standard output, and nothing on standard error.
fn json_of(folder: &Folder, arguments: &[&str]) -> anyhow::Result<(Option<i32>, Value)> {
    let said = infinity(folder, &[&["--json"], arguments].concat())?;
    ensure!(said.err.is_empty(), "{arguments:?}: {}", said.err);
    let value = serde_json::from_str(&said.out).with_context(|| said.out.clone())?;
    Ok((said.code, value))
}

/// A folder with the component of the tests as `guests`.
fn folder() -> anyhow::Result<Folder> {
    let folder = Folder::new()?;
    folder.component("test_guests", "guests")?;
    folder.config(
        "",
        "[agents.guests]\nplugin = \"guests\"\n[agents.off]\nplugin = \"guests\"\nenabled = false\n",
    )?;
    Ok(folder)
}

/// Ids, digests, moments, lengths of time and sizes differ each time; columns shrink and grow with them.
fn redact(text: &str) -> String {
    let mut text = text.to_owned();
    for (pattern, word) in [
        (
            r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}",
            "ID",
        ),
        (r"sha256:[0-9a-f]+", "DIGEST"),
        (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "MOMENT"),
        (r"\d\d:\d\d:\d\d\.\d{3}", "TIME"),
        (r"\d+(\.\d+)? (µs|ms|s)\b", "LENGTH"),
        (r"\d+(\.\d+)? (B|KiB|MiB)\b", "SIZE"),
        (r"(memory SIZE), \d+ host calls?", "$1, N host calls"),
        (r" +", " "),
        (r"(?m)^ +| +$", ""),
    ] {
        // The patterns are fixed, and so is that they compile.
        if let Ok(pattern) = Regex::new(pattern) {
            text = pattern.replace_all(&text, word).into_owned();
        }
    }
    text
}

#[test]
fn config_check_accepts_what_is_right_and_explains_what_is_wrong() -> anyhow::Result<()> {
    let folder = folder()?;
    let said = infinity(&folder, &["config", "check"])?;
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""));
    insta::assert_snapshot!(said.out, @"plugins.toml: no mistakes, 2 agents");
    let (code, value) = json_of(&folder, &["config", "check"])?;
    assert_eq!(
        (code, value),
        (Some(0), json!({ "errors": [], "more": 0, "agents": 2 }))
    );

    fs::write(
        folder.path().join("wrong.toml"),
        "[agents.mirror]\nplugin = \"guests\"\nevry = \"1m\"\n\n[agents.other]\nplugin = 7\n",
    )?;
    let said = infinity(&folder, &["config", "check", "--config", "wrong.toml"])?;
    assert_eq!((said.code, said.out.as_str()), (Some(2), ""));
    insta::assert_snapshot!(said.err, @r#"
    error: unknown key `evry` in agent `mirror`
     --> wrong.toml:3:1
      |
    3 | evry = "1m"
      | ^^^^ expected one of `plugin`, `description`, `enabled`, `on`, `webhook`, `priority`, `commands`, `concurrency`, `retries`, `retry_delay`, `for_each`, `settings`, `grants`, `limits`, `autonomy`, `dry_run`, `veto`, `effects_per_hour`, `policies`, `snapshot`, `shadow`, `canary`, `every`, `cron`, `tz`, `jitter`, `starts_at`, `ends_at`, `overlap`, `catch_up`, `catch_up_max`

    hint: did you mean `every`?

    error: `plugin` in agent `other` must be a string, not an integer
     --> wrong.toml:6:10
      |
    6 | plugin = 7
      |          ^ expected a string

    error: 2 mistakes in wrong.toml
    "#);
    let said = infinity(
        &folder,
        &["--json", "config", "check", "--config", "wrong.toml"],
    )?;
    assert_eq!(said.code, Some(2));
    let value: Value = serde_json::from_str(&[said.out, said.err].concat())?;
    assert_eq!(value["errors"].as_array().map(Vec::len), Some(2), "{value}");
    assert_eq!(value["errors"][0]["line"], 3);
    assert_eq!(value["errors"][0]["column"], 1);
    assert_eq!(value["errors"][0]["help"], "did you mean `every`?");

    // No command starts on a configuration with mistakes.
    for arguments in [&["serve"][..], &["run", "mirror"], &["agents"]] {
        let said = infinity(&folder, &[&["--config", "wrong.toml"], arguments].concat())?;
        assert_eq!(said.code, Some(2), "{arguments:?}: {}", said.err);
        assert!(said.err.contains("did you mean `every`?"), "{}", said.err);
    }
    let said = infinity(&folder, &["config", "check", "--config", "none.toml"])?;
    assert_eq!(said.code, Some(2));
    assert!(
        said.err.starts_with("error: `none.toml` cannot be read"),
        "{}",
        said.err
    );
    Ok(())
}

/// The shipped configuration as JSON. It is written simply: a table or a key with its value on each line.
fn shipped() -> anyhow::Result<Value> {
    let bare_keys = Regex::new(r#"("(?:[^"\\]|\\.)*")|([A-Za-z0-9_-]+)\s*="#)?;
    let mut whole = json!({});
    let mut place: Vec<String> = Vec::new();
    for line in fs::read_to_string(root().join("plugins.toml"))?.lines() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(table) = line
            .strip_prefix('[')
            .and_then(|line| line.strip_suffix(']'))
        {
            place = table.split('.').map(str::to_owned).collect();
        } else {
            let (key, value) = line.split_once(" = ").context(line.to_owned())?;
            let value = bare_keys.replace_all(value, |found: &regex::Captures<'_>| {
                match (found.get(1), found.get(2)) {
                    (Some(text), _) => text.as_str().to_owned(),
                    (None, Some(key)) => format!("\"{}\":", key.as_str()),
                    (None, None) => String::new(),
                }
            });
            let mut table = &mut whole;
            for part in &place {
                table = &mut table[part.as_str()];
            }
            table[key] = serde_json::from_str(&value).context(line.to_owned())?;
        }
    }
    Ok(whole)
}

#[test]
fn the_schema_is_a_json_schema_and_accepts_the_shipped_configuration() -> anyhow::Result<()> {
    let folder = Folder::new()?;
    // It needs no configuration.
    let (code, schema) = json_of(&folder, &["config", "schema"])?;
    assert_eq!(code, Some(0));
    let plain = infinity(&folder, &["config", "schema"])?;
    assert_eq!(serde_json::from_str::<Value>(&plain.out)?, schema);
    assert!(jsonschema::meta::is_valid(&schema));
    let validator = jsonschema::validator_for(&schema)?;
    let shipped = shipped()?;
    assert_eq!(
        shipped["agents"]["policy"]["settings"]["package"],
        "github.commit"
    );
    let mistakes: Vec<String> = validator
        .iter_errors(&shipped)
        .map(|error| error.to_string())
        .collect();
    assert!(mistakes.is_empty(), "{mistakes:#?}");
    for (pointer, value) in [
        ("/agents/policy/evry", json!("1m")),
        ("/agents/policy/every", json!(7)),
        ("/host/concurrency", json!("many")),
        ("/more", json!({})),
    ] {
        let mut wrong = shipped.clone();
        let (table, key) = pointer.rsplit_once('/').context("a key")?;
        wrong.pointer_mut(table).context("a table")?[key] = value;
        assert!(!validator.is_valid(&wrong), "{pointer}");
    }
    let said = infinity(
        &folder,
        &[
            "config",
            "check",
            "--config",
            &root().join("plugins.toml").display().to_string(),
        ],
    )?;
    assert_eq!(said.code, Some(0), "{}", said.err);
    Ok(())
}

#[test]
fn run_exits_with_0_1_or_2() -> anyhow::Result<()> {
    let folder = folder()?;
    let run = |input: &str| infinity(&folder, &["run", "guests", "--input", input]);
    let said = run(r#"{"case":"ok"}"#)?;
    assert_eq!(said.code, Some(0), "{}", said.err);
    insta::assert_snapshot!(redact(&said.out), @r#"
    succeeded guests 0 findings run ID
    ok

    used wall LENGTH, cpu LENGTH, memory SIZE, N host calls
    time queue LENGTH, compile LENGTH, instantiate LENGTH, guest LENGTH, host calls LENGTH
    "#);
    let said = run(r#"{"case":"finding"}"#)?;
    assert_eq!(said.code, Some(1));
    insta::assert_snapshot!(redact(&said.out), @r#"
    failed guests 2 findings run ID
    two findings

    LEVEL PLACE RULE MESSAGE
    error ops/src/lib.rs:3:7 test/placed this file has a problem (remove the problem)
    note test/general this is good to know

    used wall LENGTH, cpu LENGTH, memory SIZE, N host calls
    time queue LENGTH, compile LENGTH, instantiate LENGTH, guest LENGTH, host calls LENGTH
    "#);
    let said = run(r#"{"case":"unreachable"}"#)?;
    assert_eq!(said.code, Some(1));
    assert!(said.out.starts_with("trapped"), "{}", said.out);
    assert!(
        said.out.contains("where it stopped, innermost first"),
        "{}",
        said.out
    );
    // A failure is a result and stands where results stand.
    assert_eq!(said.err, "");

    for (arguments, code, snapshot) in [
        (
            &["run", "gests"][..],
            2,
            "error: no agent has this name; did you mean `guests`?\n",
        ),
        (
            &["run", "off"],
            2,
            "error: the agent is disabled; set `enabled = true` in `plugins.toml` or mend the problem that `GET /v1/agents/{name}` names\n",
        ),
        (
            &["run", "guests", "--input", "{x"],
            2,
            "error: `--input` is no valid JSON: key must be a string at line 1 column 2\nhint: write `--input '{\"key\": \"value\"}'`, or `--input @FILE`\n",
        ),
    ] {
        let said = infinity(&folder, arguments)?;
        assert_eq!(
            (said.code, said.out.as_str()),
            (Some(code), ""),
            "{arguments:?}"
        );
        assert_eq!(said.err, snapshot);
    }
    for arguments in [
        &["run"][..],
        &["run", "guests", "--input", "@none.json"],
        &["run", "guests", "--wait", "soon"],
        &["runs", "--limit", "0"],
        &["runs", "--limit", "501"],
        &["runs", "not-an-id"],
        &["logs", "nobody"],
        &["nonsense"],
        &[],
    ] {
        let said = infinity(&folder, arguments)?;
        assert_eq!(said.code, Some(2), "{arguments:?}: {}", said.err);
        assert_eq!(said.out, "", "{arguments:?}");
    }

    // An input comes from a file or from standard input, too.
    fs::write(
        folder.path().join("input.json"),
        r#"{"case":"ok","from":"file"}"#,
    )?;
    let (code, value) = json_of(&folder, &["run", "guests", "--input", "@input.json"])?;
    assert_eq!(code, Some(0));
    assert_eq!(value["run"]["input"]["from"], "file");
    let mut command = folder.command(&["--json", "run", "guests", "--input", "-"]);
    command.stdin(fs::File::open(folder.path().join("input.json"))?);
    let value: Value = serde_json::from_str(&say(command)?.out)?;
    assert_eq!(value["run"]["input"]["from"], "file");
    Ok(())
}

#[test]
fn every_command_speaks_json() -> anyhow::Result<()> {
    let folder = folder()?;
    let (code, ran) = json_of(
        &folder,
        &["run", "guests", "--input", r#"{"case":"finding"}"#],
    )?;
    assert_eq!(code, Some(1));
    assert_eq!(ran["run"]["outcome"], "failed");
    assert_eq!(ran["report"]["findings"].as_array().map(Vec::len), Some(2));
    let id = ran["run"]["id"].as_str().context("an id")?;

    let (code, value) = json_of(&folder, &["runs"])?;
    assert_eq!(
        (code, &value["items"][0]["id"]),
        (Some(0), &ran["run"]["id"])
    );
    // Showing a run that failed is no failure.
    let (code, value) = json_of(&folder, &["runs", id])?;
    assert_eq!((code, &value["report"]), (Some(0), &ran["report"]));
    let (code, value) = json_of(&folder, &["findings", id])?;
    assert_eq!(
        (code, &value["items"]),
        (Some(0), &ran["report"]["findings"])
    );
    let (code, value) = json_of(&folder, &["findings", "guests"])?;
    assert_eq!(
        (code, &value["items"]),
        (Some(0), &ran["report"]["findings"])
    );
    let (code, value) = json_of(&folder, &["agents"])?;
    assert_eq!(
        (code, &value["items"][0]["name"]),
        (Some(0), &json!("guests"))
    );
    let (code, value) = json_of(&folder, &["plugins"])?;
    assert_eq!(
        (code, &value["items"][0]["name"]),
        (Some(0), &json!("guests"))
    );
    let (code, value) = json_of(&folder, &["plugin", "inspect", "guests"])?;
    assert_eq!((code, &value["name"]), (Some(0), &json!("test-guests")));
    let (code, value) = json_of(&folder, &["runs", "--outcome", "succeeded"])?;
    assert_eq!((code, &value["items"]), (Some(0), &json!([])));

    // A log is a stream: a value on each line.
    infinity(
        &folder,
        &[
            "run",
            "guests",
            "--input",
            r#"{"case":"print","text":"one\ntwo\n"}"#,
        ],
    )?;
    for arguments in [
        &["--json", "logs", "guests"][..],
        &["--json", "logs", "-f", "guests"],
    ] {
        let said = infinity(&folder, arguments)?;
        let lines: Vec<Value> = said
            .out
            .lines()
            .map(serde_json::from_str)
            .collect::<Result<_, _>>()?;
        assert_eq!(lines.len(), 2, "{}", said.out);
        assert_eq!(lines[1]["message"], "two");
        assert_eq!(lines[1]["level"], "stdout");
    }

    // So are errors, on standard error.
    for (arguments, code) in [
        (&["--json", "run", "gests"][..], 2),
        (&["--json", "run", "off"], 2),
        (&["--json", "plugin", "inspect", "none.wasm"], 2),
    ] {
        let said = infinity(&folder, arguments)?;
        assert_eq!(
            (said.code, said.out.as_str()),
            (Some(code), ""),
            "{arguments:?}"
        );
        let value: Value = serde_json::from_str(&said.err).with_context(|| said.err.clone())?;
        assert!(value["error"].is_object(), "{value}");
    }
    Ok(())
}

#[test]
fn lists_are_tables() -> anyhow::Result<()> {
    let folder = folder()?;
    infinity(
        &folder,
        &["run", "guests", "--input", r#"{"case":"finding"}"#],
    )?;
    let shown = |arguments: &[&str]| -> anyhow::Result<String> {
        let said = infinity(&folder, arguments)?;
        ensure!(said.code == Some(0), "{arguments:?}: {}", said.err);
        Ok(redact(&said.out))
    };
    insta::assert_snapshot!(shown(&["plugins"])?, @r#"
    PLUGIN VERSION STATUS WORLDS SIZE DIGEST LOCKED SIGNED BY PROBLEM
    guests 0.1.0 ready agent SIZE DIGEST no
    "#);
    insta::assert_snapshot!(shown(&["agents"])?, @r#"
    AGENT PLUGIN STATE WHEN LAST RUN NEXT RUN PROBLEM
    guests guests error failed
    off guests disabled never
    "#);
    insta::assert_snapshot!(shown(&["runs"])?, @r#"
    RUN AGENT TRIGGER OUTCOME FINDINGS CREATED SUMMARY
    ID guests manual failed 2 MOMENT two findings
    "#);
    insta::assert_snapshot!(shown(&["findings", "guests"])?, @r#"
    LEVEL PLACE RULE MESSAGE
    error ops/src/lib.rs:3:7 test/placed this file has a problem (remove the problem)
    note test/general this is good to know
    "#);
    infinity(
        &folder,
        &[
            "run",
            "guests",
            "--input",
            r#"{"case":"print","text":"one\n\u001b[31mtwo\n"}"#,
        ],
    )?;
    insta::assert_snapshot!(shown(&["logs", "guests"])?, @r#"
    TIME stdout one
    TIME stdout \u{1b}[31mtwo
    "#);
    Ok(())
}

#[test]
fn a_running_host_and_none_give_the_same() -> anyhow::Result<()> {
    let folder = folder()?;
    let first = infinity(
        &folder,
        &["run", "guests", "--input", r#"{"case":"finding"}"#],
    )?;
    infinity(
        &folder,
        &[
            "run",
            "guests",
            "--input",
            r#"{"case":"print","text":"one\ntwo\n"}"#,
        ],
    )?;
    let commands: [&[&str]; 9] = [
        &["plugins"],
        &["agents"],
        &["runs"],
        &["findings", "guests"],
        &["logs", "guests"],
        &["--json", "runs", "--limit", "1"],
        &["--json", "plugins"],
        &["plugin", "inspect", "guests"],
        &["run", "gests"],
    ];
    let alone: Vec<Said> = commands
        .iter()
        .map(|arguments| infinity(&folder, arguments))
        .collect::<anyhow::Result<_>>()?;
    let host = folder.serve()?;
    for (arguments, alone) in commands.iter().zip(alone) {
        let beside = infinity(host.folder(), arguments)?;
        assert_eq!(beside.code, alone.code, "{arguments:?}");
        assert_eq!(beside.out, alone.out, "{arguments:?}");
        assert_eq!(beside.err, alone.err, "{arguments:?}");
    }
    let again = infinity(
        host.folder(),
        &["run", "guests", "--input", r#"{"case":"finding"}"#],
    )?;
    assert_eq!(again.code, first.code);
    assert_eq!(redact(&again.out), redact(&first.out));
    // It ran in the host: its API knows the run.
    assert_eq!(
        host.json("/v1/runs")?["items"].as_array().map(Vec::len),
        Some(3)
    );
    let said = infinity(
        host.folder(),
        &[
            "run",
            "guests",
            "--detach",
            "--input",
            r#"{"case":"sleep","ms":1000}"#,
        ],
    )?;
    assert_eq!(said.code, Some(0));
    insta::assert_snapshot!(redact(&said.out), @"started run ID");
    Ok(())
}

#[test]
fn colour_is_used_only_where_it_is_wanted() -> anyhow::Result<()> {
    let folder = folder()?;
    let coloured = |arguments: &[&str], no_color: Option<&str>| -> anyhow::Result<bool> {
        let mut command = folder.command(arguments);
        if let Some(value) = no_color {
            command.env("NO_COLOR", value);
        }
        let said = say(command)?;
        Ok([said.out, said.err].concat().contains('\u{1b}'))
    };
    let run = &["run", "guests", "--input", r#"{"case":"fails"}"#][..];
    let always = [&["--color", "always"], run].concat();
    assert!(!coloured(run, None)?);
    assert!(coloured(&always, None)?);
    assert!(!coloured(run, Some("1"))?);
    assert!(!coloured(&[&["--color", "never"], run].concat(), None)?);
    assert!(!coloured(&[&["--json"], run].concat(), None)?);
    // A guest has no colour of its own.
    let print = &["run", "guests", "--input", r#"{"case":"log_inject"}"#][..];
    assert!(!coloured(print, None)?);
    assert!(!coloured(&["logs", "guests"], None)?);
    assert!(!coloured(&["findings", "guests"], None)?);
    Ok(())
}

#[test]
fn a_component_is_looked_into_and_what_is_none_is_named() -> anyhow::Result<()> {
    let folder = folder()?;
    folder.component("badge", "badge")?;
    fs::write(folder.path().join("core.wasm"), b"\0asm\x01\0\0\0")?;
    fs::write(folder.path().join("garbage.wasm"), b"hi\n")?;
    fs::write(folder.path().join("empty.wasm"), b"")?;
    let said = infinity(&folder, &["plugin", "inspect", "dist/badge.wasm"])?;
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""));
    for line in [
        "name badge",
        "version 0.1.0",
        "world badge-renderer",
        "digest DIGEST",
        "infinity:agent/badge@0.1.0",
    ] {
        assert!(
            redact(&said.out).lines().any(|shown| shown == line),
            "{line}: {}",
            redact(&said.out)
        );
    }
    // By name, without an agent that has it; what is in the folder may be locked, too.
    let by_name = infinity(&folder, &["plugin", "inspect", "badge"])?;
    let shown = by_name.out.replace("locked       no\n", "");
    assert_eq!((by_name.code, shown), (Some(0), said.out));
    assert!(by_name.out.contains("locked"), "{}", by_name.out);
    let mut errors = Vec::new();
    for subject in [
        "core.wasm",
        "garbage.wasm",
        "empty.wasm",
        "none.wasm",
        "nobody",
    ] {
        let said = infinity(&folder, &["plugin", "inspect", subject])?;
        assert_eq!((said.code, said.out.as_str()), (Some(2), ""), "{subject}");
        errors.push(said.err);
    }
    insta::assert_snapshot!(errors.concat(), @r#"
    error: `core.wasm`: the file is a core module, not a component; build with `--target wasm32-wasip2`
    error: `garbage.wasm`: the file is not WebAssembly: it begins with `68 69 0a` instead of `00 61 73 6d`
    error: `empty.wasm`: the file is empty; build it again
    error: `none.wasm` cannot be read: No such file or directory (os error 2)
    error: no plugin has this name; `GET /v1/plugins` lists them
    "#);
    Ok(())
}

#[test]
fn completions_are_for_shells() -> anyhow::Result<()> {
    let folder = Folder::new()?;
    for shell in ["bash", "zsh", "fish"] {
        let said = infinity(&folder, &["completions", shell])?;
        assert_eq!((said.code, said.err.as_str()), (Some(0), ""), "{shell}");
        for word in ["infinity", "findings", "completions"] {
            assert!(said.out.contains(word), "{shell}: no `{word}`");
        }
    }
    let script = infinity(&folder, &["completions", "bash"])?.out;
    fs::write(folder.path().join("completions"), script)?;
    let checked = Command::new("bash")
        .args(["-n", "completions"])
        .current_dir(folder.path())
        .status();
    if let Ok(status) = checked {
        assert!(status.success());
    }
    assert_eq!(infinity(&folder, &["completions", "basic"])?.code, Some(2));
    Ok(())
}

#[test]
fn a_new_plugin_is_written_once_and_builds() -> anyhow::Result<()> {
    let folder = folder()?;
    let sdk = root()
        .canonicalize()?
        .join("plugins/sdk")
        .display()
        .to_string();
    let new = |name: &str| {
        infinity(
            &folder,
            &["plugin", "new", name, "--dir", "demo", "--sdk", &sdk],
        )
    };
    let said = new("demo")?;
    assert_eq!(said.code, Some(0), "{}", said.err);
    let text = said.out.replace(
        &folder.path().canonicalize()?.display().to_string(),
        "FOLDER",
    );
    insta::assert_snapshot!(text, @r#"
    wrote FOLDER/demo
    next
      cargo test
      cargo build --release --target wasm32-wasip2
      infinity plugin inspect target/wasm32-wasip2/release/demo.wasm
    "#);
    for file in [
        "Cargo.toml",
        "src/lib.rs",
        "manifest.json",
        "README.md",
        ".gitignore",
    ] {
        assert!(folder.path().join("demo").join(file).is_file(), "{file}");
    }
    // What is there is not overwritten.
    let before = fs::read(folder.path().join("demo/src/lib.rs"))?;
    assert_eq!(new("other")?.code, Some(2));
    assert_eq!(fs::read(folder.path().join("demo/src/lib.rs"))?, before);
    for (name, directory) in [("Bad Name", "a"), ("../up", "b"), ("fn", "c")] {
        let said = infinity(
            &folder,
            &["plugin", "new", name, "--dir", directory, "--sdk", &sdk],
        )?;
        assert_eq!(said.code, Some(2), "{name}: {}", said.out);
        assert!(!folder.path().join(directory).exists());
    }

    // Building takes minutes, so it is for the long form of the suites.
    if !infinity_tests::soak::is_soak() {
        return Ok(());
    }
    for arguments in [
        &["test"][..],
        &["build", "--release", "--target", "wasm32-wasip2"],
    ] {
        let status = Command::new("cargo")
            .args(arguments)
            .current_dir(folder.path().join("demo"))
            .env_remove("CARGO_TARGET_DIR")
            .status()?;
        ensure!(status.success(), "cargo {arguments:?}: {status}");
    }
    fs::copy(
        folder
            .path()
            .join("demo/target/wasm32-wasip2/release/demo.wasm"),
        folder.path().join("dist/demo.wasm"),
    )?;
    folder.config(
        "",
        "[agents.demo]\nplugin = \"demo\"\nsettings = { name = \"you\" }\n",
    )?;
    let (code, value) = json_of(&folder, &["run", "demo"])?;
    assert_eq!(
        (code, &value["report"]["summary"]),
        (Some(0), &json!("hello you"))
    );
    Ok(())
}
