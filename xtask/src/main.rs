//! The only build driver: `cargo xtask up | build | dist | test | soak | fuzz | bench`.
//!
//! It calls `cargo` with one profile and one target directory, so that wasmtime's compiler is built once, and puts the components where the host looks for them.

mod bench;
mod build;
mod debian;
mod dist;
mod foreign;
mod fuzz;
mod immortal;
mod run;
mod runners;
mod suites;

use anyhow::{Context as _, bail};
use std::path::PathBuf;
use std::process::ExitCode;

const USAGE: &str = "\
cargo xtask COMMAND

  up       build everything and serve with plugins.toml; Ctrl-C drains and stops
  build    build the host and the shipped plugins
  dist     make what is shipped in target/dist: archive, package for Debian, SBOM, digests: cargo xtask dist [--no-build] [--json]
  test     run every suite
  soak     run every suite at full counts
  fuzz     look for bytes that break what must hold, a minute for each target: cargo xtask fuzz [TARGET...] [--seconds N]; takes a nightly compiler and cargo-fuzz
  bench    measure against named peers: cargo xtask bench [NAME...] [--json]; names: checks sandbox runs policy schedule api badge serve webhooks effects sync control density reload
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match dispatch(&arguments) {
        Ok(code) => code,
        Err(error) => {
            run::say(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn dispatch(arguments: &[String]) -> anyhow::Result<ExitCode> {
    let root = root()?;
    let rest = arguments.get(1..).unwrap_or_default();
    match arguments.first().map(String::as_str) {
        Some("up") => build::up(&root, rest),
        Some("build") if rest.is_empty() => {
            build::all(&root)?;
            Ok(ExitCode::SUCCESS)
        }
        Some("dist") => dist::run(&root, rest),
        Some("test") => suites::run(&root, false, rest),
        Some("soak") => suites::run(&root, true, rest),
        Some("fuzz") => fuzz::run(&root, rest),
        Some("bench") => bench::run(&root, rest),
        None | Some("help" | "--help" | "-h") => {
            run::say(USAGE);
            Ok(ExitCode::SUCCESS)
        }
        Some(other) => bail!("there is no command `{other}`\n\n{USAGE}"),
    }
}

/// The repository's root: the folder above this crate.
fn root() -> anyhow::Result<PathBuf> {
    let manifest = std::env::var_os("CARGO_MANIFEST_DIR")
        .context("start this through cargo: `cargo xtask help`")?;
    PathBuf::from(manifest)
        .parent()
        .map(PathBuf::from)
        .context("the crate has no folder above it")
}
