//! Building the host and the components, and serving.

use crate::run::{cargo, checked, say};
use anyhow::{Context as _, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// What guests are built for.
pub(crate) const TARGET: &str = "wasm32-wasip2";

/// The plugins that are shipped: package and file name.
pub(crate) const PLUGINS: [&str; 9] = [
    "analysis",
    "autodeploy",
    "badge",
    "code-check",
    "mirror-sync",
    "policy",
    "repo-sync",
    "validation",
    "watchtower",
];

/// The component that the tests drive.
const TEST_GUESTS: [&str; 2] = ["test-guests", "test-program"];

/// Where cargo puts things.
pub(crate) fn target_directory(root: &Path) -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from)
}

/// The host's program.
pub(crate) fn binary(root: &Path) -> PathBuf {
    target_directory(root).join("release/infinity")
}

/// Installs the target for guests where it is missing.
fn install_target(root: &Path) -> anyhow::Result<()> {
    let sysroot = Command::new("rustc")
        .args(["--print", "sysroot"])
        .current_dir(root)
        .output()
        .context("`rustc` cannot be started; install it with rustup")?;
    let sysroot = String::from_utf8_lossy(&sysroot.stdout).trim().to_owned();
    if Path::new(&sysroot)
        .join("lib/rustlib")
        .join(TARGET)
        .exists()
    {
        return Ok(());
    }
    say(&format!("installing the target {TARGET}"));
    let added = Command::new("rustup")
        .args(["target", "add", TARGET])
        .current_dir(root)
        .status();
    match added {
        Ok(status) if status.success() => Ok(()),
        _ => bail!("the target {TARGET} is missing: run `rustup target add {TARGET}`"),
    }
}

/// Builds the host's program, with the features that it has in the whole workspace: what is built here is not built again for the tests.
pub(crate) fn host(root: &Path) -> anyhow::Result<()> {
    say("building the host (the first time takes about fifteen minutes on two cores)");
    let mut command = cargo(root);
    command.args([
        "build",
        "--release",
        "--locked",
        "--workspace",
        "--bin",
        "infinity",
    ]);
    checked("building the host", &mut command)
}

/// Builds everything, tests included, in one go: programs and tests then share every library, whose features depend on what is built together.
pub(crate) fn workspace(root: &Path) -> anyhow::Result<()> {
    say("building the workspace (the first time takes about twenty minutes on two cores)");
    let mut command = cargo(root);
    command.args([
        "build",
        "--release",
        "--locked",
        "--workspace",
        "--all-targets",
    ]);
    checked("building the workspace", &mut command)
}

/// Builds components and copies the shipped ones to `plugins/dist`.
pub(crate) fn components(root: &Path, tests: bool) -> anyhow::Result<()> {
    install_target(root)?;
    say("building the plugins");
    let mut command = cargo(root);
    command.args([
        "build",
        "--profile",
        "guest",
        "--locked",
        "--target",
        TARGET,
    ]);
    for package in PLUGINS {
        command.args(["--package", package]);
    }
    if tests {
        for package in TEST_GUESTS {
            command.args(["--package", package]);
        }
    }
    checked("building the plugins", &mut command)?;
    let built = target_directory(root).join(TARGET).join("guest");
    let dist = root.join("plugins/dist");
    fs::create_dir_all(&dist)?;
    for package in PLUGINS {
        place(
            &built.join(format!("{}.wasm", package.replace('-', "_"))),
            &dist.join(format!("{package}.wasm")),
        )?;
    }
    Ok(())
}

/// Copies a component whole or not at all: a host that runs must never see half of one.
pub(crate) fn place(from: &Path, to: &Path) -> anyhow::Result<()> {
    let temporary = to.with_extension("new");
    fs::copy(from, &temporary).with_context(|| format!("`{}` was not built", from.display()))?;
    fs::rename(&temporary, to)?;
    Ok(())
}

/// The host and the shipped plugins.
pub(crate) fn all(root: &Path) -> anyhow::Result<()> {
    components(root, false)?;
    crate::runners::components(root)?;
    host(root)?;
    say(&format!("built {}", binary(root).display()));
    Ok(())
}

/// Builds everything and serves.
pub(crate) fn up(root: &Path, arguments: &[String]) -> anyhow::Result<ExitCode> {
    all(root)?;
    say("to see code judged, good and malicious, while it serves:");
    for snippet in ["good", "malicious"] {
        say(&format!(
            "  target/release/infinity check docs/snippets/{snippet}"
        ));
    }
    let mut command = Command::new(binary(root));
    command.current_dir(root).arg("serve").args(arguments);
    // Ctrl-C reaches both processes; the host decides when it is done, and this one waits for it.
    let mut child = command.spawn().context("the host cannot be started")?;
    ignore_interrupts();
    let status = child.wait()?;
    Ok(if status.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(u8::try_from(status.code().unwrap_or(1)).unwrap_or(1))
    })
}

/// From here on an interrupt is the child's to answer.
fn ignore_interrupts() {
    // Without a handler the first Ctrl-C would end this process and leave the host running in the background of the terminal.
    let _ = ctrlc::set_handler(|| {});
}
