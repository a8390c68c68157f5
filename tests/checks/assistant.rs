//! Coding assistants: the checks as tools of the Model Context Protocol, used by the protocol's own client from npm.

use crate::{folder, host};
use anyhow::{Context as _, ensure};
use infinity_tests::host::{PATIENCE, binary, fed, language, poll, root};
use serde_json::{Value, json};
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

/// What the client says of a server: first who it is, then an answer for each call.
fn client(modules: &Path, arguments: &[&str], calls: &[Value]) -> anyhow::Result<Vec<Value>> {
    let mut command = Command::new("node");
    command
        .arg(root().join("tests/checks/mcp/client.mjs"))
        .args(arguments)
        .env("INFINITY_NODE_MODULES", modules);
    let input: String = calls.iter().map(|call| format!("{call}\n")).collect();
    let said = fed(command, input.as_bytes())?;
    ensure!(
        said.status.success(),
        "{}",
        String::from_utf8_lossy(&said.stderr)
    );
    String::from_utf8(said.stdout)?
        .lines()
        .map(|line| serde_json::from_str(line).context("no JSON"))
        .collect()
}

fn calls() -> Vec<Value> {
    vec![
        json!({ "name": "check_code", "arguments": {
            "files": { "a.py": "print(1)\n" }, "steps": ["policy", "analysis"],
        } }),
        json!({ "name": "check_code", "arguments": {
            "files": { "a.py": "print(missing)\n" }, "steps": ["policy", "analysis"],
        } }),
        json!({ "name": "check_code", "arguments": { "files": { "../a.py": "" } } }),
        json!({ "name": "run_policy", "arguments": {} }),
    ]
}

fn judge(said: &[Value]) -> anyhow::Result<()> {
    ensure!(said.len() == 5, "{said:?}");
    ensure!(said[0]["server"]["name"] == "infinity", "{}", said[0]);
    let tools = said[0]["tools"].as_array().context("no tools")?;
    ensure!(
        tools.len() == 1 && tools[0]["name"] == "check_code",
        "{}",
        said[0]
    );
    ensure!(
        tools[0]["inputSchema"]["properties"]["files"].is_object(),
        "{}",
        said[0]
    );
    let text = |at: usize| {
        said[at]["content"][0]["text"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    };
    ensure!(text(1).starts_with("passed"), "{}", said[1]);
    ensure!(
        said[1]["structuredContent"]["verdict"] == "passed",
        "{}",
        said[1]
    );
    ensure!(
        text(2).starts_with("failed")
            && text(2).contains("a.py:1")
            && text(2).contains("python/undefined-name"),
        "{}",
        said[2]
    );
    ensure!(
        said[3]["isError"] == true && text(3).contains("/files/..~1a.py"),
        "{}",
        said[3]
    );
    // What was not named on the command line is no tool.
    ensure!(
        said[4]["protocolError"].is_string() || said[4]["isError"] == true,
        "{}",
        said[4]
    );
    Ok(())
}

#[test]
fn an_assistant_checks_code_over_standard_streams() -> anyhow::Result<()> {
    let Some(modules) = language("mcp") else {
        return Ok(());
    };
    let host = host()?;
    let program = binary().canonicalize()?.display().to_string();
    let url = host.url("");
    let said = client(
        &modules,
        &["stdio", &program, "--url", url.trim_end_matches('/'), "mcp"],
        &calls(),
    )?;
    judge(&said)
}

#[test]
fn an_assistant_checks_code_over_http_on_this_machine_alone() -> anyhow::Result<()> {
    let Some(modules) = language("mcp") else {
        return Ok(());
    };
    let host = host()?;
    let url = host.url("");
    let url = url.trim_end_matches('/');
    let mut server = Command::new(binary())
        .args(["--url", url, "mcp", "--listen", "127.0.0.1:0"])
        .stderr(Stdio::piped())
        .spawn()?;
    let result = (|| {
        let mut said = BufReader::new(server.stderr.take().context("no output")?);
        let mut line = String::new();
        said.read_line(&mut line)?;
        let at = line
            .trim()
            .rsplit(' ')
            .next()
            .unwrap_or_default()
            .to_owned();
        ensure!(at.starts_with("http://127.0.0.1:"), "{line}");
        poll(PATIENCE, || {
            client(&modules, &["http", &at], &calls())
                .ok()
                .map(|said| judge(&said))
        })
        .context("the server does not answer")?
    })();
    server.kill()?;
    server.wait()?;
    result?;
    let place = folder()?;
    let config = fs::read_to_string(place.path().join("plugins.toml"))?;
    let own: Vec<&str> = config
        .lines()
        .filter(|line| !line.starts_with("state"))
        .collect();
    fs::write(place.path().join("plugins.toml"), own.join("\n"))?;
    let said = place.infinity(&["mcp", "--listen", "0.0.0.0:0"])?;
    let error = String::from_utf8(said.stderr)?;
    ensure!(
        said.status.code() == Some(2) && error.contains("other machines"),
        "{error}"
    );
    Ok(())
}
