//! The examples of `docs/checks.md`, run as they stand there.

use crate::{host, languages};
use anyhow::{Context as _, ensure};
use infinity_tests::host::{fed, language, root};
use serde_json::Value;
use std::fs;
use std::process::Command;

/// The code of a kind in the document, in order.
fn blocks(kind: &str) -> Vec<String> {
    let docs = include_str!("../../docs/checks.md");
    docs.split(&format!("```{kind}\n"))
        .skip(1)
        .filter_map(|rest| rest.split("\n```").next())
        .map(|text| format!("{text}\n"))
        .collect()
}

/// Says what a program printed: the verdict.
fn verdict(command: Command, input: &str) -> anyhow::Result<String> {
    let said = fed(command, input.as_bytes())?;
    ensure!(
        said.status.success(),
        "{}",
        String::from_utf8_lossy(&said.stderr)
    );
    Ok(String::from_utf8(said.stdout)?.trim().to_owned())
}

#[test]
fn the_snippets_are_judged_as_they_deserve() -> anyhow::Result<()> {
    if !languages()?.contains(&"python") {
        return Ok(());
    }
    let host = host()?;
    let judged = |name: &str| -> anyhow::Result<(Option<i32>, Value)> {
        let folder = root().join("docs/snippets").join(name).canonicalize()?;
        let folder = folder.display().to_string();
        let said = host.folder().infinity(&["--json", "check", &folder])?;
        Ok((said.status.code(), serde_json::from_slice(&said.stdout)?))
    };
    let (code, good) = judged("good")?;
    ensure!(code == Some(0) && good["verdict"] == "passed", "{good:#}");
    let (code, malicious) = judged("malicious")?;
    ensure!(
        code == Some(1) && malicious["verdict"] == "failed",
        "{malicious:#}"
    );
    let steps = malicious["steps"].as_array().context("no steps")?;
    let tests = steps
        .iter()
        .find(|step| step["step"] == "tests")
        .context("no tests")?;
    let failed = tests["tests"].as_array().context("no tests")?;
    ensure!(failed.iter().all(|test| test["outcome"] == "failed"));
    ensure!(tests["denials"][0]["capability"] == "sockets", "{tests:#}");
    Ok(())
}

#[test]
fn the_examples_do_what_the_document_says() -> anyhow::Result<()> {
    if !languages()?.contains(&"python") {
        return Ok(());
    }
    let host = host()?;
    let base = host.url("");
    let base = base.trim_end_matches('/');
    let submission = blocks("json").into_iter().next().context("no submission")?;
    let place = tempfile::tempdir()?;
    fs::write(place.path().join("submission.json"), &submission)?;

    let shell = blocks("sh")
        .into_iter()
        .find(|text| text.starts_with("curl "))
        .context("no curl")?
        .replace("http://127.0.0.1:8080", base);
    let mut curl = Command::new("sh");
    curl.args(["-c", &shell]).current_dir(place.path());
    let check: Value = serde_json::from_str(&verdict(curl, "")?)?;
    ensure!(check["verdict"] == "passed", "{check:#}");

    let python = blocks("python").into_iter().next().context("no Python")?;
    let mut program = Command::new("python3");
    let rest = format!("import sys\nprint(check(json.load(sys.stdin), {base:?})['verdict'])\n");
    program.args(["-c", &format!("{python}\n{rest}")]);
    ensure!(verdict(program, &submission)? == "passed");

    let Some(tools) = language("js") else {
        return Ok(());
    };
    let script = blocks("ts").into_iter().next().context("no TypeScript")?;
    let file = place.path().join("check.ts");
    let rest = format!(
        "import {{ readFileSync }} from 'node:fs';\nconst said: any = await check(JSON.parse(readFileSync(0, 'utf8')), {base:?});\nconsole.log(said.verdict);\n"
    );
    fs::write(&file, format!("{script}\n{rest}"))?;
    let mut esbuild = Command::new(tools.join("node_modules/.bin/esbuild"));
    esbuild.arg(&file).arg("--format=esm").arg(format!(
        "--outfile={}",
        place.path().join("check.mjs").display()
    ));
    verdict(esbuild, "")?;
    let mut node = Command::new("node");
    node.arg(place.path().join("check.mjs"));
    ensure!(verdict(node, &submission)? == "passed");
    Ok(())
}
