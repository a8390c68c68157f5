//! Any component drops in: components that nobody wrote for this host, in other languages, and clear words for what is none.

use crate::folder;
use anyhow::{Context as _, ensure};
use infinity_tests::host::{Folder, PATIENCE, language, poll, root, third_party};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

#[test]
fn programs_that_others_wrote_run_unchanged() -> anyhow::Result<()> {
    let folder = Folder::new()?;
    folder.config("", "")?;
    // The examples of the crate `wasip2` 1.0.4, and programs from crates.io as `cargo install` makes them.
    for name in ["hello-world", "cli_command", "jsonxf", "comrak"] {
        folder.foreign(name, &name.replace('_', "-"))?;
    }
    let host = folder.serve()?;
    let hello = host.run("hello-world", &Value::Null)?;
    assert_eq!(
        (&hello["outcome"], &hello["summary"]),
        (&json!("succeeded"), &json!("Hello, world!"))
    );
    assert_eq!(
        host.run("cli-command", &Value::Null)?["outcome"],
        "succeeded"
    );
    // It formats JSON, and is given the invocation's.
    let formatted = host.run("jsonxf", &json!({ "a": [1, 2] }))?;
    let report = host.report(&formatted)?;
    assert_eq!(
        report["output"]["input"],
        json!({ "a": [1, 2] }),
        "{report}"
    );
    assert_eq!(report["output"]["run_id"], formatted["id"]);
    // It makes HTML of Markdown.
    let html = host.run("comrak", &json!("*words*"))?;
    let output = host.report(&html)?["output"].to_string();
    assert!(output.contains("<em>words</em>"), "{output}");
    Ok(())
}

#[test]
fn each_version_of_wasi_gets_what_it_needs_or_a_clear_word() -> anyhow::Result<()> {
    let folder = folder("", "")?;
    // What an older and a newer patch of WASI 0.2 import links; a component that only imports tells.
    for (name, version) in [("old", "0.2.0"), ("older", "0.2.1"), ("newer", "0.2.8")] {
        let text = format!(
            r#"(component (import "wasi:cli/environment@{version}" (instance (export "get-arguments" (func (result (list string)))))))"#
        );
        folder.bytes(name, &wat::parse_str(text)?)?;
    }
    let coming = r#"(component (import "wasi:cli/environment@0.3.0" (instance (export "get-arguments" (func (result (list string)))))))"#;
    folder.bytes("coming", &wat::parse_str(coming)?)?;
    let core = r#"(module (func (export "run")))"#;
    folder.bytes("core", &wat::parse_str(core)?)?;
    let preview1 = r#"(module (import "wasi_snapshot_preview1" "fd_write" (func (param i32 i32 i32 i32) (result i32))) (memory (export "memory") 1) (func (export "_start")))"#;
    folder.bytes("preview1", &wat::parse_str(preview1)?)?;
    folder.bytes("garbage", b"\x7fELF and so on")?;
    let host = folder.serve()?;
    let plugins = host.json("/v1/plugins")?;
    let problem_of = |name: &str| -> anyhow::Result<String> {
        let found = plugins["items"]
            .as_array()
            .context("plugins")?
            .iter()
            .find(|plugin| plugin["name"] == name);
        let found = found.with_context(|| format!("no `{name}`"))?;
        Ok(found["problem"].as_str().unwrap_or_default().to_owned())
    };
    for name in ["old", "older", "newer"] {
        let agent = host.json(&format!("/v1/agents/{name}"))?;
        let refused = agent["problem"]
            .as_str()
            .is_some_and(|problem| problem.contains("import"));
        assert!(!refused, "{name}: {agent}");
    }
    let said: Vec<String> = ["coming", "core", "preview1", "garbage"]
        .iter()
        .map(|name| {
            let agent = host.json(&format!("/v1/agents/{name}")).unwrap_or_default();
            format!(
                "{}{}",
                problem_of(name).unwrap_or_default(),
                agent["problem"].as_str().unwrap_or_default()
            )
        })
        .collect();
    for (words, said) in [
        ("0.3", &said[0]),
        ("component", &said[1]),
        ("preview 1", &said[2]),
        ("compiled code is never accepted", &said[3]),
    ] {
        assert!(said.contains(words), "`{words}` is not in `{said}`");
    }
    for (index, one) in said.iter().enumerate() {
        assert!(
            said.iter().skip(index + 1).all(|other| other != one),
            "two get the same message: {one}"
        );
    }
    Ok(())
}

/// A new project, written by the program.
fn project(name: &str, lang: &str) -> anyhow::Result<Folder> {
    let folder = Folder::new()?;
    folder.config(
        "",
        &format!("[agents.{name}]\nplugin = \"{name}\"\nsettings = {{ name = \"you\" }}\n"),
    )?;
    let written = folder.infinity(&["plugin", "new", name, "--lang", lang])?;
    ensure!(
        written.status.success(),
        "{}",
        String::from_utf8_lossy(&written.stderr)
    );
    Ok(folder)
}

fn call(folder: &Path, program: &Path, arguments: &[&str]) -> anyhow::Result<()> {
    let said = Command::new(program)
        .current_dir(folder)
        .args(arguments)
        .output()?;
    ensure!(
        said.status.success(),
        "{} {arguments:?}: {}{}",
        program.display(),
        String::from_utf8_lossy(&said.stdout),
        String::from_utf8_lossy(&said.stderr)
    );
    Ok(())
}

/// Drops the built component in and runs it, as it is meant and with a mistake in its settings.
fn drop_in(folder: Folder, name: &str) -> anyhow::Result<()> {
    fs::create_dir_all(folder.path().join("dist"))?;
    fs::copy(
        folder.path().join(format!("{name}/{name}.wasm")),
        folder.path().join(format!("dist/{name}.wasm")),
    )?;
    let host = folder.serve()?;
    let run = host.run(name, &Value::Null)?;
    assert_eq!(
        (&run["outcome"], &run["summary"]),
        (&json!("succeeded"), &json!("hello you")),
        "{run}"
    );
    assert_eq!(host.report(&run)?["output"], json!({ "name": "you" }));
    let logs = host.json(&format!(
        "/v1/runs/{}/logs",
        run["id"].as_str().context("an id")?
    ))?;
    assert!(logs.to_string().contains("greets you"), "{logs}");
    Ok(())
}

#[test]
fn an_agent_in_python_is_written_tested_built_and_run() -> anyhow::Result<()> {
    let Some(tools) = language("python") else {
        return Ok(());
    };
    let folder = project("snake", "python")?;
    let place = folder.path().join("snake");
    symlink(&tools, place.join(".venv"))?;
    call(&place, &tools.join("bin/python"), &["-m", "unittest"])?;
    call(
        &place,
        &tools.join("bin/componentize-py"),
        &[
            "-d",
            "wit",
            "-w",
            "agent",
            "componentize",
            "app",
            "-o",
            "snake.wasm",
        ],
    )?;
    // The same by the one command for those who develop.
    let shown = folder.infinity(&["dev", "snake", "--once"])?;
    let text = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(
        shown.status.success() && text.contains("hello world"),
        "{text}{}",
        String::from_utf8_lossy(&shown.stderr)
    );
    drop_in(folder, "snake")
}

#[test]
fn an_agent_in_javascript_is_written_tested_built_and_run() -> anyhow::Result<()> {
    let Some(tools) = language("js") else {
        return Ok(());
    };
    let folder = project("script", "js")?;
    let place = folder.path().join("script");
    symlink(tools.join("node_modules"), place.join("node_modules"))?;
    call(&place, Path::new("npm"), &["test"])?;
    call(&place, Path::new("npm"), &["run", "build"])?;
    drop_in(folder, "script")
}

#[test]
fn the_guides_show_what_is_tested() -> anyhow::Result<()> {
    for (guide, files) in [
        (
            "docs/plugins-in-python.md",
            ["python/app.py", "python/greeting.py"],
        ),
        (
            "docs/plugins-in-javascript.md",
            ["js/app.js", "js/greeting.js"],
        ),
    ] {
        let text = fs::read_to_string(root().join(guide))?;
        for file in files {
            let code = fs::read_to_string(root().join("host/templates").join(file))?
                .replace("PLUGIN", "hello");
            assert!(
                text.contains(code.trim()),
                "{guide} does not show {file} as it is"
            );
        }
    }
    Ok(())
}

#[test]
fn a_replaced_component_lets_runs_in_flight_end_with_the_old_one() -> anyhow::Result<()> {
    let folder = folder("", "")?;
    folder.foreign("hello-world", "swap")?;
    let host = folder.serve()?;
    let before = host.run("swap", &Value::Null)?;
    // A copy beside it and a rename, as a careful person does.
    let dist = host.path().join("dist");
    fs::copy(third_party("cli_command"), dist.join("swap.new"))?;
    fs::rename(dist.join("swap.new"), dist.join("swap.wasm"))?;
    let after = poll(PATIENCE, || {
        let run = host.run("swap", &Value::Null).ok()?;
        (run["plugin_digest"] != before["plugin_digest"]).then_some(run)
    })
    .context("the new component is not taken up")?;
    assert_eq!(after["outcome"], "succeeded");
    poll(PATIENCE, || {
        let events = host.json("/v1/events?type=agent.reloaded").ok()?;
        (events["items"][0]["subject"] == "swap").then_some(())
    })
    .context("it is not announced")?;
    fs::remove_file(dist.join("swap.wasm"))?;
    poll(PATIENCE, || {
        (host.get("/v1/agents/swap").ok()?.status() == 404).then_some(())
    })
    .context("the agent stays")?;
    Ok(())
}
