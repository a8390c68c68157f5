//! Every suite in one go: unit tests, tests from outside, the policies' own tests and the secrets rule over this repository.

use crate::run::{cargo, checked, say};
use crate::{build, debian, foreign, runners};
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Instant;

/// Runs everything; `soak` at full counts. Further arguments go to `cargo test`, for instance a name.
pub(crate) fn run(root: &Path, soak: bool, arguments: &[String]) -> anyhow::Result<ExitCode> {
    let began = Instant::now();
    build::components(root, true)?;
    foreign::components(root)?;
    foreign::languages(root)?;
    foreign::registry(root)?;
    debian::system(root)?;
    runners::components(root)?;
    build::workspace(root)?;
    let mut tests = cargo(root);
    tests.args([
        "test",
        "--release",
        "--locked",
        "--workspace",
        "--no-fail-fast",
    ]);
    tests.args(arguments);
    tests.env("INFINITY_SOAK", if soak { "1" } else { "0" });
    let figures = build::target_directory(root).join("soak.md");
    if soak {
        std::fs::write(&figures, "| what | how often | result |\n|---|---|---|\n")?;
        tests.env("INFINITY_SOAK_FIGURES", &figures);
    }
    say(&format!(
        "running the tests; building took {} s",
        began.elapsed().as_secs()
    ));
    let passed = checked("the tests", &mut tests);
    if soak {
        // Also when something failed: the rest is worth reading.
        say(&format!("the figures, kept in {}:", figures.display()));
        say(&std::fs::read_to_string(&figures)?);
    }
    // Also when a test failed: whoever reads a failed run wants to know all of it.
    let ruled = if arguments.is_empty() {
        policies(root)
    } else {
        Ok(())
    };
    passed?;
    ruled?;
    say(&format!(
        "all suites passed in {} s",
        began.elapsed().as_secs()
    ));
    Ok(ExitCode::SUCCESS)
}

/// The shipped policies' tests, and what the secrets rule says of every tracked file.
fn policies(root: &Path) -> anyhow::Result<()> {
    let infinity = || {
        let mut command = Command::new(build::binary(root));
        command.current_dir(root);
        command
    };
    say("running the policies' tests");
    checked(
        "the policies' tests",
        infinity().args(["policy", "test", "policies"]),
    )?;
    say("looking for secrets in the tracked files");
    checked(
        "the secrets rule",
        infinity().args([
            "policy",
            "eval",
            "--package",
            "github.commit.secrets",
            "--tree",
            ".",
        ]),
    )
}
