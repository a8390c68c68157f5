//! A small Debian in a folder, for the test that installs the package: this machine's release, from where this machine gets its packages.
//!
//! It is made once below the target directory and never started; the test works on a copy. It needs root and debootstrap, as system calls and users do: elsewhere one line says so and
//! the test is skipped. In CI it has to be there.

use crate::build::target_directory;
use crate::foreign::works;
use crate::run::{checked, say};
use anyhow::{Context as _, bail};
use std::fs;
use std::path::Path;
use std::process::Command;

/// What the package depends on, beside the smallest system.
const PACKAGES: &str = "adduser,ca-certificates,git,openssh-client";

/// Makes the system where it is not there.
pub(crate) fn system(root: &Path) -> anyhow::Result<()> {
    let ci = std::env::var_os("CI").is_some();
    match made(root, ci) {
        Err(error) if !ci => {
            say(&format!("the package is not installed anywhere: {error:#}"));
            Ok(())
        }
        result => result,
    }
}

fn made(root: &Path, ci: bool) -> anyhow::Result<()> {
    let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let suite = field(&release, "VERSION_CODENAME=", '\n')
        .filter(|_| works("dpkg-deb", &["--version"]))
        .context("this is no Debian")?;
    let wanted = format!("{suite} {PACKAGES}\n");
    let place = target_directory(root).join("debian");
    let mark = place.join("made");
    if fs::read_to_string(&mark).is_ok_and(|before| before == wanted) {
        return Ok(());
    }
    if !works("sh", &["-c", "test \"$(id -u)\" = 0"]) {
        bail!("that needs root");
    }
    if !works("debootstrap", &["--version"]) {
        if !ci {
            bail!("install the package debootstrap");
        }
        say("installing debootstrap");
        let mut update = Command::new("apt-get");
        checked("`apt-get update`", update.args(["update", "--quiet"]))?;
        let mut install = Command::new("apt-get");
        install
            .args(["install", "--quiet", "--yes", "--no-install-recommends"])
            .arg("debootstrap")
            .env("DEBIAN_FRONTEND", "noninteractive");
        checked("`apt-get install`", &mut install)?;
    }
    let mirror = mirror(&sources(), suite)
        .with_context(|| format!("apt's sources name no place for `{suite}`"))?;
    say("making a Debian to install the package in (about two minutes)");
    if place.exists() {
        fs::remove_dir_all(&place)?;
    }
    fs::create_dir_all(&place)?;
    let mut debootstrap = Command::new("debootstrap");
    debootstrap
        .args(["--variant=minbase", &format!("--include={PACKAGES}"), suite])
        .arg(place.join("root"))
        .arg(&mirror)
        .stdout(fs::File::create(place.join("log"))?);
    checked("`debootstrap`", &mut debootstrap)
        .with_context(|| format!("see `{}`", place.join("log").display()))?;
    fs::write(mark, wanted)?;
    Ok(())
}

/// What stands behind a word, without quotes.
fn field<'a>(text: &'a str, name: &str, end: char) -> Option<&'a str> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split(end).next().map(|value| value.trim_matches('"'))
}

/// The texts of apt's sources.
fn sources() -> Vec<String> {
    let folder = fs::read_dir("/etc/apt/sources.list.d");
    let mut files: Vec<_> = folder
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .collect();
    files.sort();
    files.insert(0, "/etc/apt/sources.list".into());
    files
        .into_iter()
        .filter_map(|file| fs::read_to_string(file).ok())
        .collect()
}

/// The first place that has a release's main part: both ways of writing are read, `deb [options] URI SUITE main` and stanzas.
fn mirror(sources: &[String], suite: &str) -> Option<String> {
    let has = |words: &str, wanted: &str| words.split_whitespace().any(|word| word == wanted);
    for text in sources {
        for stanza in text.split("\n\n") {
            if field(stanza, "Suites:", '#').is_some_and(|suites| has(suites, suite))
                && field(stanza, "Components:", '#').is_some_and(|parts| has(parts, "main"))
                && let Some(uris) = field(stanza, "URIs:", '#')
                && let Some(uri) = uris.split_whitespace().find(|uri| uri.starts_with("http"))
            {
                return Some(uri.to_owned());
            }
        }
        for line in text.lines().filter_map(|line| line.strip_prefix("deb ")) {
            let line = match line.trim_start().strip_prefix('[') {
                Some(rest) => rest.split_once(']').map_or("", |(_, rest)| rest),
                None => line,
            };
            let mut words = line.split_whitespace();
            if let Some(uri) = words.next().filter(|uri| uri.starts_with("http"))
                && words.next() == Some(suite)
                && words.any(|word| word == "main")
            {
                return Some(uri.to_owned());
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mirror_is_found_in_either_way_of_writing() {
        let check = |text: &str, expected: Option<&str>| {
            let found = mirror(&[text.to_owned()], "bookworm");
            assert_eq!(found.as_deref(), expected, "{text}");
        };
        check(
            "# x\nTypes: deb\nURIs: http://one.example/debian\nSuites: bookworm bookworm-updates\nComponents: main\n\nTypes: deb\nURIs: http://two.example/\nSuites: bookworm-security\nComponents: main\n",
            Some("http://one.example/debian"),
        );
        check(
            "deb http://other.example sdk main\ndeb [signed-by=/x y=z] http://two.example/debian bookworm contrib main\n",
            Some("http://two.example/debian"),
        );
        check("deb http://other.example bookworm-updates main\n", None);
        check("deb cdrom:[x]/ bookworm main\n", None);
    }
}
