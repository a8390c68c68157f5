//! Benches: builds and runs the bench program, which prints ratios against its named peers.

use crate::build;
use crate::run::{cargo, checked};
use std::path::Path;
use std::process::ExitCode;

/// Runs the benches named in the arguments, or all.
pub(crate) fn run(root: &Path, arguments: &[String]) -> anyhow::Result<ExitCode> {
    build::components(root, true)?;
    build::workspace(root)?;
    let mut command = cargo(root);
    command.args([
        "run",
        "--release",
        "--locked",
        "--quiet",
        "--package",
        "infinity-tests",
        "--bin",
        "bench",
        "--",
    ]);
    command.args(arguments);
    checked("the benches", &mut command)?;
    Ok(ExitCode::SUCCESS)
}
