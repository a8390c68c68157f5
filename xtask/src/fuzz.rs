//! Looks for bytes that break what must hold of whatever somebody sends or has read, with libFuzzer.

use crate::run::{checked, say};
use anyhow::{Context as _, bail, ensure};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

/// The targets; each is a file of `fuzz/fuzz_targets`.
const TARGETS: [&str; 8] = [
    "key",
    "token",
    "forwarded",
    "webhook",
    "configuration",
    "grant",
    "component",
    "loading",
];

/// How long each is looked at, in seconds.
const SECONDS: &str = "60";

/// The longest input of a target, in bytes: components and whole configurations are longer than what comes in a header.
fn longest(target: &str) -> u32 {
    match target {
        "configuration" | "component" | "loading" => 16 * 1024,
        _ => 4 * 1024,
    }
}

/// Where a target's first inputs are: files that are kept for it, the configurations of the tests, or their components, which are written here from their text.
fn seeds(root: &Path, target: &str) -> anyhow::Result<PathBuf> {
    match target {
        "configuration" => Ok(root.join("tests/config")),
        "component" | "loading" => {
            let made = root.join("target/fuzz-seeds/components");
            std::fs::create_dir_all(&made)?;
            for entry in std::fs::read_dir(root.join("host/selftest/agents"))? {
                let path = entry?.path();
                let name = path.file_stem().context("a component has a name")?;
                let bytes = wat::parse_file(&path)?;
                std::fs::write(made.join(name).with_extension("wasm"), bytes)?;
            }
            Ok(made)
        }
        _ => Ok(root.join("fuzz/seeds").join(target)),
    }
}

pub(crate) fn run(root: &Path, arguments: &[String]) -> anyhow::Result<ExitCode> {
    let mut seconds = SECONDS.to_owned();
    let mut targets = Vec::new();
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        match argument.as_str() {
            "--seconds" => {
                let given = rest.next().context("`--seconds` takes a number")?;
                let number: u32 = given.parse().context("`--seconds` takes a number")?;
                seconds = number.to_string();
            }
            name if TARGETS.contains(&name) => targets.push(name.to_owned()),
            other => bail!(
                "there is no target `{other}`; there are {}",
                TARGETS.join(", ")
            ),
        }
    }
    if targets.is_empty() {
        targets.extend(TARGETS.map(str::to_owned));
    }
    let there = Command::new("cargo")
        .args(["+nightly", "fuzz", "--version"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    ensure!(
        there,
        "cargo-fuzz or a nightly compiler is missing: `rustup toolchain install nightly` and `cargo install cargo-fuzz`"
    );
    for target in &targets {
        say(&format!("fuzzing {target} for {seconds} s"));
        // What it finds on its way stays out of the repository; what breaks something is in `fuzz/artifacts`.
        let corpus = root.join("target/fuzz-corpus").join(target);
        std::fs::create_dir_all(&corpus)?;
        let mut command = Command::new("cargo");
        command
            .current_dir(root)
            .args([
                "+nightly",
                "fuzz",
                "run",
                "--target-dir",
                "target/fuzz",
                target,
            ])
            .arg(&corpus)
            .arg(seeds(root, target)?)
            .args([
                "--",
                &format!("-max_total_time={seconds}"),
                &format!("-max_len={}", longest(target)),
            ]);
        checked(&format!("fuzzing {target}"), &mut command)?;
    }
    Ok(ExitCode::SUCCESS)
}
