//! The documentation agent: builds a site from a repository's Markdown and proposes to publish it.
//!
//! The site says what it was built from, in `build.json`; where a branch has one that was built from the same, nothing is built and nothing is proposed.

mod page;
mod site;

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use infinity_sdk::forge::{Entry, EntryKind};
use infinity_sdk::prelude::*;
use infinity_sdk::types::{Action, Content, FileChange, PublicationAction, RepositoryFile};
use page::is_markdown;
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use syntect::parsing::SyntaxSet;

infinity_sdk::agent!(run, manifest = "../manifest.json");

/// Pages of a site.
const PAGES_MAX: usize = 2_000;

/// Other files of a site.
const FILES_MAX: usize = 5_000;

/// Where a site goes.
#[derive(Debug, Deserialize)]
struct Target {
    repository: String,
    #[serde(default = "pages_branch")]
    branch: String,
}

fn pages_branch() -> String {
    "gh-pages".into()
}

/// Runs the agent once.
///
/// # Errors
/// [`Failure::InvalidInput`] when the settings cannot be used, [`Failure::Unavailable`] when a repository does not answer.
pub fn run(_: Invocation) -> Result<Report, Failure> {
    let source: String = settings::required("source")?;
    let reference = settings::optional("reference")?.unwrap_or_else(|| "HEAD".to_owned());
    let paths: Vec<String> =
        settings::optional("paths")?.unwrap_or_else(|| vec!["README.md".into(), "docs/**".into()]);
    let title: String = settings::optional("title")?.unwrap_or_else(|| source.clone());
    let output: Option<String> = settings::optional("output")?;
    let target: Option<Target> = settings::optional("target")?;
    let commit = forge::resolve(&source, &reference).map_err(|error| failed(&source, &error))?;
    let covered = globs(&paths)?;
    let entries: Vec<Entry> = forge::tree(&source, &commit, "")
        .map_err(|error| failed(&source, &error))?
        .into_iter()
        .filter(|entry| matches!(entry.kind, EntryKind::File | EntryKind::Executable))
        .filter(|entry| covered.is_match(&entry.path))
        .collect();
    let inputs = digest(&title, &entries);
    let mut said = json!({ "source": source, "commit": commit, "inputs": inputs });
    if let Some(target) = &target {
        said["repository"] = json!(target.repository);
        said["branch"] = json!(target.branch);
        if published(target)?.as_deref() == Some(&inputs) {
            said["skipped"] = json!(true);
            return Report::passed("Nothing changed since the site was published")
                .with_output(&said);
        }
    }
    let pages = pages(&source, &commit, &entries)?;
    let mut report = Report::passed(format!("Build complete - {} pages", pages.len()));
    for (path, page) in &pages {
        report.findings.extend(page.broken.iter().map(|link| {
            Finding::new(
                "site/link",
                Level::Warning,
                format!("the link `{link}` leads to nothing on the site"),
            )
            .at(path.clone(), None, None)
            .in_repository(source.clone())
            .with_help("name a file of the site, or add its path to `paths`")
        }));
    }
    let site = site::build(&title, &pages, &commit, &inputs);
    let assets: Vec<&Entry> = entries
        .iter()
        .filter(|entry| !is_markdown(&entry.path))
        .collect();
    said["pages"] = json!(pages.len());
    said["files"] = json!(site.len() + assets.len());
    if let Some(output) = &output {
        write(Path::new(output), &site, &assets, &source, &commit)?;
    }
    let mut files = Vec::with_capacity(site.len() + assets.len());
    for (number, (place, bytes)) in site.into_iter().enumerate() {
        let name = format!(
            "{number:04}-{}",
            place.replace(|c: char| !c.is_ascii_alphanumeric() && c != '.', "-")
        );
        let name: String = name.chars().take(200).collect();
        let digest = artifacts::put(&name, media_type(&place), &bytes)?;
        files.push(FileChange {
            path: place,
            content: Content::Artifact(digest),
        });
    }
    files.extend(assets.into_iter().map(|entry| FileChange {
        path: entry.path.clone(),
        content: Content::RepositoryFile(RepositoryFile {
            repository: source.clone(),
            commit: commit.clone(),
            path: entry.path.clone(),
        }),
    }));
    if let Some(target) = target {
        let reason = format!(
            "the documents of `{source}` changed: {} pages from {commit}",
            pages.len()
        );
        let action = Action::Publication(PublicationAction {
            repository: target.repository,
            branch: target.branch,
            files,
        });
        report = report.with_effect(Effect::propose("site", reason, action));
    }
    report.with_output(&said)
}

fn failed(repository: &str, error: &forge::Error) -> Failure {
    let message = format!("repository `{repository}`: {}", forge::message(error));
    match error {
        forge::Error::Unavailable(_) => Failure::Unavailable(message),
        _ => Failure::Other(message),
    }
}

fn globs(paths: &[String]) -> Result<GlobSet, Failure> {
    let wrong = |error: globset::Error| Failure::InvalidInput(format!("setting `paths`: {error}"));
    let mut set = GlobSetBuilder::new();
    for path in paths {
        set.add(
            GlobBuilder::new(path)
                .literal_separator(true)
                .build()
                .map_err(wrong)?,
        );
    }
    set.build().map_err(wrong)
}

/// What a site is made of: its documents, its title, and how this version of the plugin builds.
fn digest(title: &str, entries: &[Entry]) -> String {
    let mut hash = Sha256::new();
    for part in [env!("CARGO_PKG_VERSION"), title] {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    for entry in entries {
        hash.update(entry.path.as_bytes());
        hash.update([0]);
        hash.update(entry.id.as_bytes());
        hash.update([0]);
    }
    let digest: String = hash
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("sha256:{digest}")
}

/// What the site on a branch was made of; none where there is no site.
fn published(target: &Target) -> Result<Option<String>, Failure> {
    match forge::read(&target.repository, &target.branch, site::BUILD) {
        Ok(bytes) => {
            let build: Value = serde_json::from_slice(&bytes).unwrap_or_default();
            Ok(build["inputs"].as_str().map(str::to_owned))
        }
        Err(forge::Error::NotFound(_)) => Ok(None),
        Err(error) => Err(failed(&target.repository, &error)),
    }
}

fn pages(
    source: &str,
    commit: &str,
    entries: &[Entry],
) -> Result<BTreeMap<String, page::Page>, Failure> {
    let files: BTreeSet<String> = entries.iter().map(|entry| entry.path.clone()).collect();
    let documents: Vec<&Entry> = entries
        .iter()
        .filter(|entry| is_markdown(&entry.path))
        .collect();
    if documents.len() > PAGES_MAX || entries.len() > FILES_MAX {
        return Err(Failure::InvalidInput(format!(
            "`paths` name {} documents of {} files; at most {PAGES_MAX} of {FILES_MAX} make a site",
            documents.len(),
            entries.len()
        )));
    }
    let syntaxes = SyntaxSet::load_defaults_newlines();
    let mut pages = BTreeMap::new();
    for (done, entry) in documents.iter().enumerate() {
        progress::report(done as u64, Some(documents.len() as u64), &entry.path);
        let bytes =
            forge::read(source, commit, &entry.path).map_err(|error| failed(source, &error))?;
        let text = String::from_utf8_lossy(&bytes);
        pages.insert(
            entry.path.clone(),
            page::render(&entry.path, &text, &files, &syntaxes),
        );
    }
    Ok(pages)
}

/// Writes the site to a directory, over what is there.
fn write(
    root: &Path,
    site: &site::Site,
    assets: &[&Entry],
    source: &str,
    commit: &str,
) -> Result<(), Failure> {
    let write = |place: &str, bytes: &[u8]| {
        let path = root.join(place);
        let made = path
            .parent()
            .map_or(Ok(()), fs::create_dir_all)
            .and_then(|()| fs::write(&path, bytes));
        made.map_err(|error| {
            Failure::Other(format!("`{}` cannot be written: {error}", path.display()))
        })
    };
    for (place, bytes) in site {
        write(place, bytes)?;
    }
    for entry in assets {
        let bytes =
            forge::read(source, commit, &entry.path).map_err(|error| failed(source, &error))?;
        write(&entry.path, &bytes)?;
    }
    Ok(())
}

fn media_type(place: &str) -> &'static str {
    match place.rsplit_once('.').map(|(_, extension)| extension) {
        Some("html") => "text/html",
        Some("css") => "text/css",
        Some("js") => "text/javascript",
        Some("json") => "application/json",
        _ => "application/octet-stream",
    }
}
