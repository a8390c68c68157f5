//! Running other programs, with what they are for on standard error.

use anyhow::{Context as _, ensure};
use std::path::Path;
use std::process::{Command, Stdio};

/// Says something to the person who waits.
#[expect(
    clippy::print_stderr,
    reason = "the one place of this crate that prints"
)]
pub(crate) fn say(text: &str) {
    eprintln!("{text}");
}

/// The cargo that runs this, or the one on the path.
pub(crate) fn cargo(root: &Path) -> Command {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.current_dir(root).stdin(Stdio::null());
    command
}

/// Runs a program and fails when it does.
///
/// # Errors
/// When it cannot be started or ends with another code than 0.
pub(crate) fn checked(what: &str, command: &mut Command) -> anyhow::Result<()> {
    let status = command
        .status()
        .with_context(|| format!("{what}: `{}` cannot be started", name(command)))?;
    ensure!(status.success(), "{what} failed ({status})");
    Ok(())
}

fn name(command: &Command) -> String {
    command.get_program().to_string_lossy().into_owned()
}
