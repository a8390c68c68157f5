//! The git command, as a person of no machine in particular calls it.

use anyhow::ensure;
use std::path::Path;
use std::process::Command;

/// What git says in a directory, without the spaces around it.
///
/// # Errors
/// When git cannot be called, or fails; with what it said.
pub fn git(directory: &Path, arguments: &[&str]) -> anyhow::Result<String> {
    let said = Command::new("git")
        .args(["-c", "user.name=Ada", "-c", "user.email=ada@example.com"])
        .args(["-c", "commit.gpgsign=false", "-c", "core.quotePath=false"])
        .args(["-c", "gc.auto=0"])
        .arg("-C")
        .arg(directory)
        .args(arguments)
        .output()?;
    ensure!(
        said.status.success(),
        "git {arguments:?}: {}",
        String::from_utf8_lossy(&said.stderr)
    );
    Ok(String::from_utf8_lossy(&said.stdout).trim().to_owned())
}
