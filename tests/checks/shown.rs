//! Checks from a terminal.

use crate::{folder, languages, runner};
use anyhow::{Context as _, ensure};
use infinity_tests::host::root;
use serde_json::Value;
use std::fs;

/// What the command says of a folder of files: exit code, standard output, standard error.
fn infinity(files: &[(&str, &str)], arguments: &[&str]) -> anyhow::Result<(i32, String, String)> {
    let place = folder()?;
    // A state folder of its own: the shared one belongs to the host of the other tests. Analysis compiles in a moment.
    let config = fs::read_to_string(place.path().join("plugins.toml"))?;
    let own: Vec<&str> = config
        .lines()
        .filter(|line| !line.starts_with("state"))
        .collect();
    fs::write(place.path().join("plugins.toml"), own.join("\n"))?;
    let code = place.path().join("code");
    fs::create_dir(&code)?;
    for (name, text) in files {
        let file = code.join(name);
        fs::create_dir_all(file.parent().context("no folder")?)?;
        fs::write(file, text)?;
    }
    let said = place.infinity(arguments)?;
    Ok((
        said.status.code().unwrap_or(-1),
        String::from_utf8(said.stdout)?,
        String::from_utf8(said.stderr)?,
    ))
}

const STILL: [&str; 4] = ["--step", "policy", "--step", "analysis"];

#[test]
fn a_folder_is_checked_and_the_exit_code_says_what_came_of_it() -> anyhow::Result<()> {
    let arguments = |more: &[&'static str]| {
        let mut arguments = vec!["check", "code"];
        arguments.extend(STILL);
        arguments.extend(more);
        arguments
    };
    let good = [("a.py", "x = 1\nprint(x)\n"), ("notes.txt", "undefined")];
    let (code, out, err) = infinity(&good, &arguments(&[]))?;
    ensure!(code == 0, "{out}{err}");
    ensure!(
        out.contains("passed  python") && out.contains("analysis  passed"),
        "{out}"
    );
    let bad = [("a.py", "print(nothing)\n")];
    let (code, out, _) = infinity(&bad, &arguments(&[]))?;
    ensure!(code == 1 && out.contains("python/undefined-name"), "{out}");
    let (code, out, _) = infinity(&bad, &arguments(&["--json"]))?;
    let check: Value = serde_json::from_str(&out)?;
    ensure!(code == 1 && check["verdict"] == "failed");
    let (code, out, _) = infinity(&bad, &arguments(&["--junit"]))?;
    ensure!(code == 1 && out.contains("<failure message="), "{out}");
    let (code, out, _) = infinity(&bad, &arguments(&["--sarif"]))?;
    let log: Value = serde_json::from_str(&out)?;
    ensure!(code == 1 && log["version"] == "2.1.0", "{out}");
    let schema: Value = serde_json::from_str(&fs::read_to_string(
        root().join("tests/api/sarif-schema-2.1.0.json"),
    )?)?;
    let validator = jsonschema::validator_for(&schema).context("the schema")?;
    ensure!(validator.is_valid(&log), "{out}");
    let (code, _, err) = infinity(&[("a.txt", "")], &arguments(&[]))?;
    ensure!(
        code == 2 && err.contains("no Python, JavaScript or TypeScript"),
        "{err}"
    );
    let (code, _, err) = infinity(&[], &["check", "nowhere"])?;
    ensure!(code == 2 && err.contains("nowhere"), "{err}");
    Ok(())
}

#[test]
fn a_language_whose_interpreter_is_missing_says_what_to_do() -> anyhow::Result<()> {
    let _ = languages()?;
    let place = folder()?;
    for name in ["python", "javascript"] {
        if runner(name)?.is_some() {
            fs::remove_file(place.path().join(format!("dist/{name}.wasm")))?;
        }
    }
    let config = fs::read_to_string(place.path().join("plugins.toml"))?;
    let own: Vec<&str> = config
        .lines()
        .filter(|line| !line.starts_with("state"))
        .collect();
    fs::write(place.path().join("plugins.toml"), own.join("\n"))?;
    fs::write(
        place.path().join("submission.json"),
        r#"{"files": {"a.py": "print(1)\n"}, "cases": [{"stdout": "1"}]}"#,
    )?;
    let said = place.infinity(&["check", "submission.json"])?;
    let out = String::from_utf8(said.stdout)?;
    ensure!(said.status.code() == Some(2), "{out}");
    ensure!(out.contains("`cargo xtask build` makes it"), "{out}");
    ensure!(out.contains("analysis  passed"), "{out}");
    Ok(())
}
