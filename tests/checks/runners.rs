//! The runners' own tests, by the languages' own tools: what they do apart from any host.

use crate::languages;
use anyhow::ensure;
use infinity_tests::host::root;
use std::process::Command;

fn passes(command: &mut Command) -> anyhow::Result<()> {
    let said = command.output()?;
    ensure!(
        said.status.success(),
        "{}{}",
        String::from_utf8_lossy(&said.stdout),
        String::from_utf8_lossy(&said.stderr)
    );
    Ok(())
}

#[test]
fn the_python_runner_passes_its_own_tests() -> anyhow::Result<()> {
    if !languages()?.contains(&"python") {
        return Ok(());
    }
    passes(
        Command::new("python3")
            .args(["-B", "-m", "unittest", "discover", "-s", "tests"])
            .current_dir(root().join("plugins/python")),
    )
}

#[test]
fn the_javascript_runner_passes_its_own_tests() -> anyhow::Result<()> {
    if !languages()?.contains(&"javascript") {
        return Ok(());
    }
    passes(
        Command::new("npm")
            .args(["test", "--silent"])
            .current_dir(root().join("plugins/javascript")),
    )
}
