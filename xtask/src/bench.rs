//! Benches: builds and runs the bench program, which prints ratios against its named peers.

use crate::run::checked;
use crate::{build, foreign, runners};
use std::path::Path;
use std::process::{Command, ExitCode};

/// Runs the benches named in the arguments, or all.
pub(crate) fn run(root: &Path, arguments: &[String]) -> anyhow::Result<ExitCode> {
    build::components(root, true)?;
    runners::components(root)?;
    foreign::components(root)?;
    build::workspace(root)?;
    let mut command = Command::new(build::target_directory(root).join("release/bench"));
    command.current_dir(root);
    command.args(arguments);
    checked("the benches", &mut command)?;
    Ok(ExitCode::SUCCESS)
}
