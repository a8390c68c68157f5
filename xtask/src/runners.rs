//! The interpreters that run code of others: CPython and QuickJS, each made into a component with the tools of its language.
//!
//! Where Python or Node.js is missing, that language cannot be checked, one line says what to install, and everything else works.

use crate::build::{place, target_directory};
use crate::foreign::{PACKAGES, python_environment, works};
use crate::immortal;
use crate::run::{checked, say};
use anyhow::Context as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

/// The components that this makes, beside the plugins.
pub(crate) const INTERPRETERS: [&str; 2] = ["javascript", "python"];

/// Makes the components of the languages whose tools are there, where they are older than what they are made from.
pub(crate) fn components(root: &Path) -> anyhow::Result<()> {
    let dist = root.join("plugins/dist");
    fs::create_dir_all(&dist)?;
    if works("python3", &["-c", "import venv, ensurepip"]) {
        made("Python", python(root, &dist))?;
    } else {
        missing("Python", &PACKAGES[..2]);
    }
    if works("npm", &["--version"]) {
        made("JavaScript", javascript(root, &dist))?;
    } else {
        missing("JavaScript", &PACKAGES[2..]);
    }
    Ok(())
}

/// Without a network an interpreter may not be made, and everything else works. In CI it has to be there.
fn made(language: &str, result: anyhow::Result<()>) -> anyhow::Result<()> {
    match result {
        Err(error) if std::env::var_os("CI").is_none() => {
            say(&format!("{language} cannot be checked: {error:#}"));
            Ok(())
        }
        result => result,
    }
}

fn missing(language: &str, packages: &[&str]) {
    say(&format!(
        "{language} cannot be checked: install the packages {} and build again",
        packages.join(" ")
    ));
}

fn python(root: &Path, dist: &Path) -> anyhow::Result<()> {
    let made = dist.join("python.wasm");
    let source = root.join("plugins/python");
    let pass = root.join("xtask/src/immortal.rs");
    if is_newer(&made, &[source.clone(), root.join("wit"), tool(root), pass]) {
        return Ok(());
    }
    let environment = python_environment(root, &[])?;
    say("making a component of CPython");
    let built = target_directory(root).join("languages/python.wasm");
    let mut componentize = Command::new(environment.join("bin/componentize-py"));
    componentize
        .arg("-d")
        .arg(root.join("wit/0.1.0"))
        .args(["-w", "code-runner", "componentize", "app", "-p"])
        .arg(&source)
        .arg("-o")
        .arg(&built);
    checked("`componentize-py`", &mut componentize)?;
    let mut component = fs::read(&built)?;
    immortal::make(&mut component).context("the memory of CPython's component")?;
    fs::write(&built, component)?;
    place(&built, &made)
}

/// What names the version of componentize-py.
fn tool(root: &Path) -> PathBuf {
    root.join("host/templates/python/requirements.txt")
}

fn javascript(root: &Path, dist: &Path) -> anyhow::Result<()> {
    let made = dist.join("javascript.wasm");
    let source = root.join("plugins/javascript");
    if is_newer(&made, &[source.clone(), root.join("wit")]) {
        return Ok(());
    }
    let lock = fs::read_to_string(source.join("package-lock.json"))?;
    let fetched = source.join("node_modules/.fetched");
    if !fs::read_to_string(&fetched).is_ok_and(|before| before == lock) {
        say("fetching the JavaScript engine");
        let mut install = Command::new("npm");
        install
            .current_dir(&source)
            .args(["ci", "--no-audit", "--no-fund", "--loglevel=error"]);
        checked("`npm ci`", &mut install)?;
        fs::write(fetched, lock)?;
    }
    say("making a component of QuickJS");
    let folder = target_directory(root).join("languages");
    fs::create_dir_all(&folder)?;
    let built = fs::canonicalize(folder)?.join("javascript.wasm");
    let mut build = Command::new("node");
    build.current_dir(&source).arg("build.js").arg(&built);
    checked("making the JavaScript component", &mut build)?;
    place(&built, &made)
}

/// Whether a file is newer than everything at and below some places.
fn is_newer(file: &Path, sources: &[PathBuf]) -> bool {
    let Ok(made) = fs::metadata(file).and_then(|metadata| metadata.modified()) else {
        return false;
    };
    sources
        .iter()
        .all(|source| newest(source).is_some_and(|changed| changed < made))
}

fn newest(path: &Path) -> Option<SystemTime> {
    let metadata = fs::metadata(path).ok()?;
    if !metadata.is_dir() {
        return metadata.modified().ok();
    }
    fs::read_dir(path)
        .ok()?
        .flatten()
        .filter(|entry| {
            !matches!(
                entry.file_name().to_str(),
                Some("node_modules" | "__pycache__" | "dist")
            )
        })
        .filter_map(|entry| newest(&entry.path()))
        .max()
}
