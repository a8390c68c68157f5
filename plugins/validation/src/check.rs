//! One run: every file below every root is read once, and problems become the findings of a report.
//!
//! First the tree is listed, then each file is read and checked, then what needs the whole tree is judged: anchors in other files, and files of
//! a checksum manifest that the walk did not read.

use crate::checksum;
use crate::format::markdown::{self, Anchors, Link};
use crate::format::{self, Format, json, toml, workflow, yaml};
use crate::links::{self, Destination};
use crate::problem::{Level, Problem, Problems, excerpt, positions};
use crate::schema;
use crate::settings::{Root, SchemaSource, Settings};
use crate::text;
use crate::tree::Tree;
use crate::walk::{self, Kind, Listing, Resolved};
use infinity_sdk::prelude::*;
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Files between two reports of progress.
const PROGRESS_EVERY: usize = 200;

/// Links into other Markdown files that wait until all anchors are known; about 200 bytes each. Those beyond are checked for the file only.
const MAX_WAITING_LINKS: usize = 100_000;

/// What a run found.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    findings: Vec<Finding>,
    max_findings: usize,
    counts: Counts,
}

/// The output for programs. Counts are of all problems, also of those that the report has no room for.
#[derive(Debug, Default, Serialize)]
struct Counts {
    files: u64,
    bytes: u64,
    errors: u64,
    warnings: u64,
    by_rule: BTreeMap<&'static str, u64>,
    #[serde(skip_serializing_if = "is_zero")]
    omitted: u64,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde hands over a reference"
)]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl Counts {
    fn add(&mut self, rule: &'static str, level: Level, count: u64) {
        *self.by_rule.entry(rule).or_default() += count;
        match level {
            Level::Error => self.errors += count,
            Level::Warning => self.warnings += count,
            Level::Note => {}
        }
    }
}

impl Outcome {
    /// The report: failed if there is an error.
    ///
    /// # Errors
    /// When the output cannot be written as JSON.
    pub(crate) fn into_report(self) -> Result<Report, Failure> {
        let counts = &self.counts;
        let mut summary = format!(
            "{} checked, {}, {}",
            counted(counts.files, "file"),
            counted(counts.errors, "error"),
            counted(counts.warnings, "warning")
        );
        if counts.omitted > 0 {
            summary.push_str(&format!(
                "; {} not listed, see `by_rule` of the output",
                counted(counts.omitted, "finding")
            ));
        }
        let report = match counts.errors {
            0 => Report::passed(summary),
            _ => Report::failed(summary),
        };
        report
            .with_findings(self.findings)
            .with_output(&self.counts)
    }

    fn room(&mut self, rule: &'static str, level: Level) -> bool {
        self.counts.add(rule, level, 1);
        let room = self.findings.len() < self.max_findings;
        self.counts.omitted += u64::from(!room);
        room
    }
}

const fn level_of(level: Level) -> infinity_sdk::types::Level {
    match level {
        Level::Note => infinity_sdk::types::Level::Note,
        Level::Warning => infinity_sdk::types::Level::Warning,
        Level::Error => infinity_sdk::types::Level::Error,
    }
}

fn counted(count: u64, noun: &str) -> String {
    match count {
        1 => format!("1 {noun}"),
        _ => format!("{count} {noun}s"),
    }
}

/// Checks all roots.
///
/// # Errors
/// [`Failure::InvalidInput`] when a root cannot be read or a schema cannot be used.
pub(crate) fn check(settings: &Settings) -> Result<Outcome, Failure> {
    let mut outcome = Outcome {
        max_findings: settings.max_findings,
        ..Outcome::default()
    };
    for root in &settings.roots {
        let before = outcome.findings.len();
        RootCheck::new(settings, root)?.run(&mut outcome);
        if let Some(found) = outcome.findings.get_mut(before..) {
            found.sort_by(|a, b| place(a).cmp(&place(b)));
        }
    }
    Ok(outcome)
}

fn place(finding: &Finding) -> (&str, u32, u32, &str) {
    let location = finding.location.as_ref();
    (
        location.map_or("", |it| it.path.as_str()),
        location.and_then(|it| it.line).unwrap_or(0),
        location.and_then(|it| it.column).unwrap_or(0),
        finding.rule.as_str(),
    )
}

/// A link whose anchor is judged when all files are read.
struct WaitingLink {
    from: String,
    line: u32,
    column: u32,
    target: String,
    fragment: String,
}

/// A line of a checksum manifest.
struct Expected {
    manifest: String,
    line: u32,
    digest: String,
    name: String,
    /// Below the root; nothing where the name leads out of it.
    path: Option<String>,
    done: bool,
}

struct RootCheck<'a> {
    settings: &'a Settings,
    root: &'a Root,
    native: PathBuf,
    listing: Listing,
    schemas: Vec<schema::Rule>,
    expected: Vec<Expected>,
    /// Which of `expected` a file answers.
    path_to_expected: HashMap<String, Vec<usize>>,
    path_to_anchors: HashMap<String, Anchors>,
    waiting: Vec<WaitingLink>,
    /// Links that the listing could not answer, so that each is asked once.
    path_to_resolved: HashMap<String, Resolved>,
}

impl<'a> RootCheck<'a> {
    fn new(settings: &'a Settings, root: &'a Root) -> Result<Self, Failure> {
        let native = PathBuf::from(&root.path);
        let listing = walk::walk(&native, &settings.exclude).map_err(|error| {
            Failure::InvalidInput(format!(
                "root `{}` cannot be read ({error}); is the directory granted and its name right?",
                root.path
            ))
        })?;
        let mut check = Self {
            settings,
            root,
            native,
            listing,
            schemas: Vec::new(),
            expected: Vec::new(),
            path_to_expected: HashMap::new(),
            path_to_anchors: HashMap::new(),
            waiting: Vec::new(),
            path_to_resolved: HashMap::new(),
        };
        check.schemas = settings
            .schemas
            .iter()
            .map(|setting| match &setting.schema {
                SchemaSource::Inline(schema) => {
                    schema::compile(&setting.glob, schema, "the schema in the settings")
                }
                SchemaSource::File(path) => {
                    let schema = check.read_schema(path)?;
                    schema::compile(&setting.glob, &schema, &format!("`{path}`"))
                }
            })
            .collect::<Result<_, _>>()?;
        Ok(check)
    }

    /// Reads a schema file from this root, or from the first other root that has it.
    fn read_schema(&self, path: &str) -> Result<serde_json::Value, Failure> {
        let other_roots = self.settings.roots.iter().map(|root| Path::new(&root.path));
        let mut reason = "no such file".to_owned();
        for root in std::iter::once(self.native.as_path()).chain(other_roots) {
            let Resolved::Found {
                path: real,
                directory: false,
            } = walk::resolve(root, path)
            else {
                continue;
            };
            match read(&root.join(real), self.settings.max_file_bytes) {
                Ok(Some(bytes)) => match serde_json::from_slice(&bytes) {
                    Ok(schema) => return Ok(schema),
                    Err(error) => reason = error.to_string(),
                },
                Ok(None) => reason = "it is larger than `max_file_bytes`".to_owned(),
                Err(error) => reason = error.to_string(),
            }
        }
        Err(Failure::InvalidInput(format!(
            "schema `{path}` of setting `schemas` cannot be read: {reason}"
        )))
    }

    fn run(mut self, outcome: &mut Outcome) {
        for trouble in std::mem::take(&mut self.listing.troubles) {
            let mut problems = Problems::default();
            problems.warning(
                trouble.rule,
                None,
                trouble.message,
                "leave it out with `exclude`, or check its permissions",
            );
            self.publish(&trouble.path, &[], problems, outcome);
        }
        self.read_manifests(outcome);
        let entries = std::mem::take(&mut self.listing.entries);
        let chosen = |entry: &&walk::Entry| !entry.excluded;
        let total = entries
            .iter()
            .filter(chosen)
            .filter(|entry| entry.kind == Kind::File)
            .count();
        let mut done = 0;
        // The listing keeps answering which paths exist while its entries are worked through.
        let paths: Vec<(String, PathBuf, Kind)> = entries
            .iter()
            .filter(chosen)
            .map(|entry| (entry.path.clone(), entry.native.clone(), entry.kind.clone()))
            .collect();
        self.listing.entries = entries;
        for (path, native, kind) in paths {
            match kind {
                Kind::Directory | Kind::Other => {}
                Kind::Link => self.check_link(&path, outcome),
                Kind::File => {
                    if done % PROGRESS_EVERY == 0 {
                        let shown: String = path.chars().take(200).collect();
                        progress::report(done as u64, Some(total as u64), &shown);
                    }
                    done += 1;
                    self.check_path(&path, &native, outcome);
                }
            }
        }
        progress::report(
            done as u64,
            Some(total as u64),
            "judging links and checksums",
        );
        self.judge_waiting_links(outcome);
        self.judge_remaining_checksums(outcome);
    }

    /// Turns the problems of a file into findings.
    fn publish(&self, path: &str, body: &[u8], problems: Problems, outcome: &mut Outcome) {
        let (list, omitted) = problems.into_parts();
        for (rule, level, count) in omitted {
            outcome.counts.add(rule, level, count);
            outcome.counts.omitted += count;
        }
        let offsets: Vec<usize> = list.iter().filter_map(|problem| problem.offset).collect();
        let mut places = positions(body, &offsets).into_iter();
        for problem in list {
            let place = problem.offset.and_then(|_| places.next());
            self.publish_one(path, place, problem, outcome);
        }
    }

    fn publish_one(
        &self,
        path: &str,
        place: Option<(u32, u32)>,
        problem: Problem,
        outcome: &mut Outcome,
    ) {
        if !outcome.room(problem.rule, problem.level) {
            return;
        }
        // Without a repository, only the root tells apart what several roots hold.
        let shown = if self.root.repository.is_none() && self.settings.roots.len() > 1 {
            format!("{}/{path}", self.root.path.trim_matches('/'))
        } else {
            path.to_owned()
        };
        let mut finding = Finding::new(problem.rule, level_of(problem.level), problem.message)
            .at(shown, place.map(|it| it.0), place.map(|it| it.1))
            .with_help(problem.help);
        if let Some(repository) = &self.root.repository {
            finding = finding.in_repository(repository);
        }
        outcome.findings.push(finding);
    }

    fn check_link(&self, path: &str, outcome: &mut Outcome) {
        let mut problems = Problems::default();
        match walk::resolve(&self.native, path) {
            Resolved::Found { .. } => {}
            Resolved::Missing => problems.error(
                "symlink/broken",
                None,
                "the symbolic link leads to nothing",
                "point it at a file that exists, or remove it",
            ),
            Resolved::Outside => problems.error(
                "symlink/leaves-root",
                None,
                "the symbolic link leads out of the tree, so it works on no other machine",
                "point it at a file below the root with a relative path",
            ),
        }
        self.publish(path, &[], problems, outcome);
    }

    fn check_path(&mut self, path: &str, native: &Path, outcome: &mut Outcome) {
        outcome.counts.files += 1;
        let limit = self.settings.max_file_bytes;
        let mut problems = Problems::default();
        match read(native, limit) {
            Ok(Some(bytes)) => {
                outcome.counts.bytes += bytes.len() as u64;
                if self.path_to_expected.contains_key(path) {
                    self.compare(path, &checksum::digest(&bytes), outcome);
                }
                let body = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&bytes);
                self.check_content(path, &bytes, &mut problems);
                self.publish(path, body, problems, outcome);
            }
            Ok(None) => {
                problems.error(
                    "size/too-large",
                    None,
                    format!("larger than {limit} bytes; its content is not checked"),
                    "move it out of the tree, raise `max_file_bytes`, or add it to `exclude`",
                );
                self.publish(path, &[], problems, outcome);
            }
            Err(error) => {
                problems.warning(
                    "file/unreadable",
                    None,
                    format!("the file cannot be read: {error}"),
                    "check its permissions",
                );
                self.publish(path, &[], problems, outcome);
            }
        }
    }

    fn check_content(&mut self, path: &str, bytes: &[u8], problems: &mut Problems) {
        let Some(text) = text::decode(path, bytes, problems) else {
            return;
        };
        text::check_line_endings(path, text, problems);
        let format = format::of(path);
        if format == Some(Format::Markdown) {
            let scan = markdown::scan(text);
            text::check_merge_markers(text, &scan.code_blocks, problems);
            self.check_links(path, text, scan.links, &scan.anchors, problems);
            self.path_to_anchors.insert(path.to_owned(), scan.anchors);
            return;
        }
        if text::check_merge_markers(text, &[], problems) {
            // Whatever a parser says of a conflict is its consequence.
            return;
        }
        let Some(format) = format else {
            return;
        };
        let is_workflow = format::is_workflow(path);
        let rules: Vec<&schema::Rule> = self
            .schemas
            .iter()
            .filter(|rule| rule.glob.is_match(path))
            .collect();
        let want_trees = is_workflow || !rules.is_empty();
        let trees: Vec<Tree> = match format {
            Format::Json => json::check(text, want_trees, problems)
                .into_iter()
                .collect(),
            Format::Toml => toml::check(text, want_trees, problems)
                .into_iter()
                .collect(),
            Format::Yaml => match yaml::check(text, want_trees, problems) {
                Some(trees) => {
                    if is_workflow {
                        workflow::check(&trees, problems);
                    }
                    trees
                }
                None => return,
            },
            Format::Markdown => return,
        };
        for rule in rules {
            for tree in trees.iter().filter(|tree| !tree.nodes.is_empty()) {
                schema::check(rule, tree, problems);
            }
        }
    }

    fn check_links(
        &mut self,
        path: &str,
        text: &str,
        mut found: Vec<Link>,
        anchors: &Anchors,
        problems: &mut Problems,
    ) {
        if is_template(path) {
            return;
        }
        found.sort_by_key(|link| link.offset);
        let mut waiting = Vec::new();
        for link in found {
            match links::resolve(path, &link.destination) {
                Destination::Elsewhere => {}
                Destination::Here { fragment } => {
                    if !anchors.contains(&fragment) {
                        let (message, help) = broken_anchor("this file", &fragment, anchors);
                        problems.error("markdown/broken-anchor", link.offset, message, help);
                    }
                }
                Destination::File {
                    path: target,
                    directory,
                    fragment,
                } => match self.lookup(&target) {
                    Some((_, is_directory)) if directory && !is_directory => problems.error(
                        "markdown/broken-link",
                        link.offset,
                        format!("`{}` is a file, not a directory", excerpt(&target)),
                        "remove the `/` at the end of the link",
                    ),
                    Some((real, false)) => {
                        if let Some(fragment) = fragment.filter(|it| !it.is_empty()) {
                            waiting.push((link.offset, real, fragment));
                        }
                    }
                    Some(_) => {}
                    None => problems.error(
                        "markdown/broken-link",
                        link.offset,
                        format!("the link names `{}`, which does not exist", excerpt(&target)),
                        "correct the path (it is relative to this file, or to the root with a leading `/`)",
                    ),
                },
            }
        }
        let offsets: Vec<usize> = waiting.iter().map(|it| it.0).collect();
        let places = positions(text.as_bytes(), &offsets);
        for ((_, target, fragment), (line, column)) in waiting.into_iter().zip(places) {
            if self.waiting.len() < MAX_WAITING_LINKS {
                self.waiting.push(WaitingLink {
                    from: path.to_owned(),
                    line,
                    column,
                    target,
                    fragment,
                });
            }
        }
    }

    /// The real path of a file or directory below the root and whether it is a directory; nothing if there is none. Links that lead out count as
    /// found: they have their own finding.
    fn lookup(&mut self, path: &str) -> Option<(String, bool)> {
        match self.listing.kind(path) {
            Some(Kind::File | Kind::Other) => return Some((path.to_owned(), false)),
            Some(Kind::Directory) => return Some((path.to_owned(), true)),
            Some(Kind::Link) | None => {}
        }
        let native = &self.native;
        let resolved = self
            .path_to_resolved
            .entry(path.to_owned())
            .or_insert_with(|| walk::resolve(native, path));
        match resolved {
            Resolved::Found { path, directory } => Some((path.clone(), *directory)),
            Resolved::Outside => Some((path.to_owned(), true)),
            Resolved::Missing => None,
        }
    }

    fn judge_waiting_links(&mut self, outcome: &mut Outcome) {
        for link in std::mem::take(&mut self.waiting) {
            let Some(anchors) = self.path_to_anchors.get(&link.target) else {
                continue;
            };
            if !anchors.contains(&link.fragment) {
                let shown = format!("`{}`", excerpt(&link.target));
                let (message, help) = broken_anchor(&shown, &link.fragment, anchors);
                let problem = Problem {
                    rule: "markdown/broken-anchor",
                    level: Level::Error,
                    offset: None,
                    message,
                    help,
                };
                self.publish_one(&link.from, Some((link.line, link.column)), problem, outcome);
            }
        }
    }

    fn read_manifests(&mut self, outcome: &mut Outcome) {
        for manifest in &self.settings.checksums {
            let mut problems = Problems::default();
            let bytes = match walk::resolve(&self.native, manifest) {
                Resolved::Found {
                    path,
                    directory: false,
                } => read(&self.native.join(path), self.settings.max_file_bytes)
                    .ok()
                    .flatten(),
                _ => None,
            };
            let Some(bytes) = bytes else {
                // With several roots, a manifest of one of them is absent from the others.
                let elsewhere = self.settings.roots.iter().any(|root| {
                    matches!(
                        walk::resolve(Path::new(&root.path), manifest),
                        Resolved::Found { .. }
                    )
                });
                if !elsewhere || self.settings.roots.len() == 1 {
                    problems.error(
                        "checksum/missing",
                        None,
                        "the checksum manifest cannot be read",
                        "write it with `sha256sum`, or correct the setting `checksums`",
                    );
                    self.publish(manifest, &[], problems, outcome);
                }
                continue;
            };
            let text = String::from_utf8_lossy(&bytes);
            let lines = checksum::parse(&text, &mut problems);
            let offsets: Vec<usize> = lines.iter().map(|line| line.offset).collect();
            let places = positions(text.as_bytes(), &offsets);
            for (line, (number, _)) in lines.into_iter().zip(places) {
                let path = self.named_file(manifest, &line.name);
                if let Some(path) = &path {
                    self.path_to_expected
                        .entry(path.clone())
                        .or_default()
                        .push(self.expected.len());
                }
                self.expected.push(Expected {
                    manifest: manifest.clone(),
                    line: number,
                    digest: line.digest,
                    name: line.name,
                    path,
                    done: false,
                });
            }
            self.publish(manifest, text.as_bytes(), problems, outcome);
        }
    }

    /// The file that a manifest names: relative to the manifest, or else to the root.
    fn named_file(&self, manifest: &str, name: &str) -> Option<String> {
        let beside = match manifest.rsplit_once('/') {
            Some((folder, _)) => format!("{folder}/{name}"),
            None => name.to_owned(),
        };
        [beside.as_str(), name]
            .into_iter()
            .filter(|_| !name.starts_with('/'))
            .find_map(|path| match walk::resolve(&self.native, path) {
                Resolved::Found {
                    path,
                    directory: false,
                } => Some(path),
                _ => None,
            })
    }

    /// Compares a file's digest with what manifests say of it.
    fn compare(&mut self, path: &str, digest: &str, outcome: &mut Outcome) {
        for index in self.path_to_expected.remove(path).unwrap_or_default() {
            let Some(expected) = self.expected.get_mut(index) else {
                continue;
            };
            expected.done = true;
            if expected.digest != digest {
                let problem = Problem {
                    rule: "checksum/mismatch",
                    level: Level::Error,
                    offset: None,
                    message: format!(
                        "`{}` has the SHA-256 digest {digest}, not the one of the manifest",
                        excerpt(&expected.name)
                    ),
                    help: "restore the file, or write the manifest anew if the change is meant"
                        .to_owned(),
                };
                let (manifest, line) = (expected.manifest.clone(), expected.line);
                self.publish_one(&manifest, Some((line, 1)), problem, outcome);
            }
        }
    }

    /// Files of manifests that the walk did not read: too large, excluded, or missing.
    fn judge_remaining_checksums(&mut self, outcome: &mut Outcome) {
        let remaining: Vec<(String, u32, String, Option<String>)> = self
            .expected
            .iter()
            .filter(|expected| !expected.done)
            .map(|it| {
                (
                    it.manifest.clone(),
                    it.line,
                    it.name.clone(),
                    it.path.clone(),
                )
            })
            .collect();
        for (manifest, line, name, path) in remaining {
            let digest = path.as_ref().and_then(|path| {
                // A second line for the same file finds it answered already.
                self.path_to_expected.get(path)?;
                let file = File::open(self.native.join(path)).ok()?;
                checksum::digest_of_reader(file).ok()
            });
            match (path, digest) {
                (Some(path), Some((digest, _))) => self.compare(&path, &digest, outcome),
                (Some(path), None) if !self.path_to_expected.contains_key(&path) => {}
                _ => {
                    let problem = Problem {
                        rule: "checksum/missing",
                        level: Level::Error,
                        offset: None,
                        message: format!("`{}` does not exist or cannot be read", excerpt(&name)),
                        help: "restore the file, or remove its line".to_owned(),
                    };
                    self.publish_one(&manifest, Some((line, 1)), problem, outcome);
                }
            }
        }
    }
}

/// GitHub shows these files on other pages, so nothing can be said of their relative links.
fn is_template(path: &str) -> bool {
    let lower = path.to_ascii_lowercase();
    lower.contains("issue_template") || lower.contains("pull_request_template")
}

fn broken_anchor(file: &str, fragment: &str, anchors: &Anchors) -> (String, String) {
    let message = format!("no heading or anchor `#{}` in {file}", excerpt(fragment));
    let help = match anchors.nearest(fragment) {
        Some(near) => format!("anchors are case-sensitive: write `#{}`", excerpt(near)),
        None => "correct the anchor: the heading in lower case, without punctuation, spaces as `-`"
            .to_owned(),
    };
    (message, help)
}

/// The bytes of a file; nothing if it has more than `limit`.
fn read(path: &Path, limit: u64) -> std::io::Result<Option<Vec<u8>>> {
    let file = File::open(path)?;
    let length = file.metadata()?.len();
    if length > limit {
        return Ok(None);
    }
    let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(0));
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    Ok((bytes.len() as u64 <= limit).then_some(bytes))
}
