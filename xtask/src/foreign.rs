//! What the tests need from elsewhere: components that nobody wrote for this host, and the tools of Python and JavaScript.
//!
//! Everything is put below the target directory once and used again. Versions are fixed here, so that a test fails because of a change in this repository and of nothing else.

use crate::build::target_directory;
use crate::run::{cargo, checked, say};
use anyhow::{Context as _, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const TARGET: &str = "wasm32-wasip2";

/// Programs from crates.io, each as it is: name, version, features.
const PROGRAMS: [(&str, &str, &[&str]); 2] = [
    ("jsonxf", "1.1.1", &[]),
    (
        "comrak",
        "0.59.0",
        &["--no-default-features", "--features", "cli"],
    ),
];

/// Tests the API by its document.
const SCHEMATHESIS: &str = "schemathesis==4.32.5";

/// A mail server.
const AIOSMTPD: &str = "aiosmtpd==1.4.6";

/// Debian's registry of components.
const REGISTRY: &str = "docker-registry";

/// Debian's names of what may be missing.
pub(crate) const PACKAGES: [&str; 4] = ["python3", "python3-venv", "nodejs", "npm"];

/// Builds components that others wrote: the examples of the crate `wasip2`, and programs.
pub(crate) fn components(root: &Path) -> anyhow::Result<()> {
    let place = target_directory(root).join("third-party");
    let manifest = wasip2(root)?;
    say("building components that others wrote");
    let mut examples = cargo(root);
    examples
        .args(["build", "--release", "--examples", "--target", TARGET])
        .arg("--manifest-path")
        .arg(&manifest)
        .arg("--target-dir")
        .arg(&place);
    checked("building the examples of `wasip2`", &mut examples)?;
    for (name, version, features) in PROGRAMS {
        if place.join(format!("bin/{name}.wasm")).is_file() {
            continue;
        }
        let mut install = cargo(root);
        install
            .args(["install", "--locked", "--quiet", "--target", TARGET, name])
            .args(["--version", version])
            .args(features)
            .arg("--root")
            .arg(&place)
            .arg("--target-dir")
            .arg(&place);
        checked(&format!("installing `{name}`"), &mut install)?;
    }
    Ok(())
}

/// Where cargo keeps the crate `wasip2`, which the guests use.
fn wasip2(root: &Path) -> anyhow::Result<PathBuf> {
    let said = cargo(root)
        .args(["metadata", "--format-version", "1", "--locked"])
        .args(["--filter-platform", TARGET])
        .output()
        .context("`cargo metadata` cannot be called")?;
    let text = String::from_utf8_lossy(&said.stdout);
    // One field of a long document: the path stands behind its name.
    text.split("\"manifest_path\":\"")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .find(|path| path.contains("/wasip2-1."))
        .map(PathBuf::from)
        .context("the crate `wasip2` is not among the dependencies")
}

/// Makes a Python environment and a folder of JavaScript modules with the tools of the templates. Where Python or Node.js are missing, the tests say that they skip; in CI that is
/// an error.
pub(crate) fn languages(root: &Path) -> anyhow::Result<()> {
    let place = target_directory(root).join("languages");
    fs::create_dir_all(&place)?;
    let ci = std::env::var_os("CI").is_some();
    if ci && (!works("python3", &["-c", "import venv, ensurepip"]) || !works("npm", &["--version"]))
    {
        say("installing Python and Node.js");
        let mut update = Command::new("apt-get");
        checked("`apt-get update`", update.args(["update", "--quiet"]))?;
        let mut install = Command::new("apt-get");
        install
            .args(["install", "--quiet", "--yes", "--no-install-recommends"])
            .args(PACKAGES)
            .env("DEBIAN_FRONTEND", "noninteractive");
        checked("`apt-get install`", &mut install)?;
    }
    if works("python3", &["-c", "import venv, ensurepip"]) {
        python_environment(root, &[SCHEMATHESIS, AIOSMTPD])?;
    } else if ci {
        bail!(
            "python3 with its module `venv` is missing: install the packages {}",
            PACKAGES.join(", ")
        );
    } else {
        say("python3 with its module `venv` is missing: its tests are skipped");
    }
    if works("npm", &["--version"]) {
        javascript(root, &place)?;
        github(root, &place)?;
        identity(root, &place)?;
        assistant(root, &place)?;
        schemas(root, &place)?;
    } else if ci {
        bail!(
            "Node.js with npm is missing: install the packages {}",
            PACKAGES.join(", ")
        );
    } else {
        say("Node.js with npm is missing: its tests are skipped");
    }
    Ok(())
}

/// Unpacks Debian's registry below the target directory, without installing it. Where there is no Debian, the tests say that they skip; in CI that is an error.
pub(crate) fn registry(root: &Path) -> anyhow::Result<()> {
    let place = target_directory(root).join("languages/registry");
    let made = place.join("made");
    if made.is_file() {
        return Ok(());
    }
    let ci = std::env::var_os("CI").is_some();
    if !works("apt-get", &["--version"]) || !works("dpkg", &["--version"]) {
        if ci {
            bail!("apt-get is missing, which fetches `{REGISTRY}`");
        }
        say("apt-get is missing: the tests with a registry are skipped");
        return Ok(());
    }
    say("fetching a registry");
    fs::create_dir_all(&place)?;
    let fetch = || {
        let mut fetch = Command::new("apt-get");
        fetch
            .current_dir(&place)
            .args(["download", "--quiet", REGISTRY]);
        checked("`apt-get download`", &mut fetch)
    };
    if let Err(first) = fetch() {
        if !ci {
            say(&format!(
                "{first:#}: the tests with a registry are skipped; `apt-get update` may help"
            ));
            return Ok(());
        }
        // A machine that is new knows no packages.
        let mut update = Command::new("apt-get");
        checked("`apt-get update`", update.args(["update", "--quiet"]))?;
        fetch()?;
    }
    let package = fs::read_dir(&place)?
        .flatten()
        .map(|entry| entry.path())
        .find(|path| path.extension().is_some_and(|end| end == "deb"))
        .context("`apt-get download` left no package")?;
    let mut unpack = Command::new("dpkg");
    unpack.arg("-x").arg(&package).arg(&place);
    checked("`dpkg -x`", &mut unpack)?;
    fs::write(made, package.display().to_string())?;
    Ok(())
}

/// Whether a program is there and does this.
pub(crate) fn works(program: &str, arguments: &[&str]) -> bool {
    Command::new(program)
        .args(arguments)
        .output()
        .is_ok_and(|said| said.status.success())
}

/// The Python environment with componentize-py, and with further packages; those that are there stay.
pub(crate) fn python_environment(root: &Path, further: &[&str]) -> anyhow::Result<PathBuf> {
    let place = target_directory(root).join("languages");
    fs::create_dir_all(&place)?;
    let wanted = fs::read_to_string(root.join("host/templates/python/requirements.txt"))?;
    let wanted: Vec<&str> = wanted
        .split_whitespace()
        .chain(further.iter().copied())
        .collect();
    let environment = place.join("python");
    let made = environment.join("made");
    let there = fs::read_to_string(&made).unwrap_or_default();
    let missing = |package: &&&str| !there.lines().any(|line| line == **package);
    let missing: Vec<&str> = wanted.iter().filter(missing).copied().collect();
    if missing.is_empty() {
        return Ok(environment);
    }
    say("making a Python environment");
    let mut venv = Command::new("python3");
    checked(
        "`python3 -m venv`",
        venv.args(["-m", "venv"]).arg(&environment),
    )?;
    let mut install = Command::new(environment.join("bin/pip"));
    install.args(["install", "--quiet", "--disable-pip-version-check"]);
    checked("`pip install`", install.args(&missing))?;
    // Of a package whose version changed, only the new one is there.
    let name = |package: &str| package.split("==").next().unwrap_or_default().to_owned();
    let kept = there
        .lines()
        .filter(|line| !wanted.iter().any(|package| name(package) == name(line)));
    let lines: Vec<&str> = kept.chain(wanted.iter().copied()).collect();
    fs::write(made, lines.join("\n"))?;
    Ok(environment)
}

fn javascript(root: &Path, place: &Path) -> anyhow::Result<()> {
    let wanted = fs::read_to_string(root.join("host/templates/js/package.json"))?;
    let folder = place.join("js");
    fs::create_dir_all(&folder)?;
    let described = folder.join("wanted.json");
    fs::write(&described, wanted.replace("PLUGIN", "tools"))?;
    modules(&folder, &described, "the JavaScript tools")
}

/// GitHub's published description, for the stand-in that tests speak to.
fn github(root: &Path, place: &Path) -> anyhow::Result<()> {
    let wanted = root.join("tests/forge/package.json");
    modules(&place.join("github"), &wanted, "GitHub's description")
}

/// The OpenID provider that tests sign in at.
fn identity(root: &Path, place: &Path) -> anyhow::Result<()> {
    let wanted = root.join("tests/identity/package.json");
    modules(&place.join("identity"), &wanted, "the OpenID provider")
}

/// A client of the Model Context Protocol, to use the checks as coding assistants do.
fn assistant(root: &Path, place: &Path) -> anyhow::Result<()> {
    let wanted = root.join("tests/checks/mcp/package.json");
    modules(
        &place.join("mcp"),
        &wanted,
        "a client of the Model Context Protocol",
    )
}

/// CycloneDX's published schemas, to judge the list of what is shipped by.
fn schemas(root: &Path, place: &Path) -> anyhow::Result<()> {
    let wanted = root.join("tests/dist/package.json");
    modules(&place.join("cyclonedx"), &wanted, "CycloneDX's schemas")
}

/// Fetches what a `package.json` names into a folder, unless it is there.
fn modules(folder: &Path, described: &Path, what: &str) -> anyhow::Result<()> {
    let wanted = fs::read_to_string(described)?;
    let made = folder.join("made");
    if fs::read_to_string(&made).is_ok_and(|before| before == wanted) {
        return Ok(());
    }
    say(&format!("fetching {what}"));
    fs::create_dir_all(folder)?;
    fs::write(folder.join("package.json"), &wanted)?;
    let mut install = Command::new("npm");
    install
        .current_dir(folder)
        .args(["install", "--no-audit", "--no-fund", "--loglevel=error"]);
    checked("`npm install`", &mut install)?;
    fs::write(made, wanted)?;
    Ok(())
}
