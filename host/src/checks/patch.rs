//! Turns the change of a repository into a submission: the files as they are after it, the tests among them, and what of it is new.

use super::Checks;
use super::submission::{
    self, Change, FILES_MAX, Language, Mistake, Submission, TEXT_MAX_BYTES, bad_path, is_test,
};
use crate::forge::local::LocalForge;
use crate::forge::local::patch::Patched;
use crate::forge::local::write::WriteError;
use crate::forge::{self, EntryKind, Forge as _, ForgeError, Forges};
use crate::sandbox::checks::MayRead;
use crate::sandbox::code::CodeFile;
use crate::sandbox::digest;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// The largest file that is no code and is handed in, in bytes.
const DATA_MAX_BYTES: u64 = 1024 * 1024;

/// What of a repository is to be judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Patch {
    /// Its name in `plugins.toml`.
    pub repository: String,
    /// A reference; the default branch where it is left out.
    pub base: Option<String>,
    /// What changes.
    pub to: PatchTo,
    /// Files and folders that are handed in beside those that change; all where there are none.
    pub paths: Vec<String>,
    /// What is run, if somebody said so.
    pub language: Option<Language>,
}

/// What changes a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PatchTo {
    /// A patch in git's format.
    Diff(String),
    /// A reference; what it has since its history and the base's meet.
    Head(String),
}

/// What a patch makes of a repository.
#[derive(Clone, Debug, PartialEq)]
pub struct Changed {
    /// The code.
    pub files: Vec<CodeFile>,
    /// The tests.
    pub tests: Vec<CodeFile>,
    /// What of them is new.
    pub change: Change,
    /// What is run.
    pub language: Language,
}

/// Why a submission is not taken.
#[derive(Debug, PartialEq, Eq)]
pub enum Refused {
    /// These mistakes are in it.
    Mistakes(Vec<Mistake>),
    /// Whoever hands it in may not read this repository.
    Unreadable(String),
    /// The repository does not answer now.
    Unavailable(String),
}

fn mistake(pointer: &str, message: impl Into<String>) -> Refused {
    Refused::Mistakes(vec![Mistake {
        pointer: pointer.into(),
        message: message.into(),
    }])
}

/// What a failed read says of the part of the patch that was looked up.
fn at(pointer: &'static str) -> impl Fn(ForgeError) -> Refused {
    move |error| match error {
        ForgeError::Unavailable(message) => Refused::Unavailable(message),
        ForgeError::NotFound(message)
        | ForgeError::TooLarge(message)
        | ForgeError::Other(message) => mistake(pointer, message),
    }
}

impl Checks {
    /// Reads a submission, with the repository that it changes, if it does, and gives it a digest: the same code, asked the same, has the same. `may_read` says which repositories whoever
    /// hands it in may read.
    ///
    /// # Errors
    /// See [`Refused`].
    pub async fn read(
        &self,
        value: &Value,
        may_read: &MayRead<'_>,
    ) -> Result<(Submission, String), Refused> {
        let patch = submission::patch(value).map_err(Refused::Mistakes)?;
        let mut asked = value.to_string();
        let changed = match patch {
            None => None,
            // Nobody learns which repositories there are that they may not read.
            Some(patch) if !may_read(&patch.repository) => {
                return Err(Refused::Unreadable(patch.repository));
            }
            Some(patch) => {
                let changed = self.repositories.changed(&patch).await?;
                asked.push_str(&json!([&changed.change.base, &changed.change.head]).to_string());
                // What policy sees may be in files that are not handed in.
                asked.push_str(&json!(changed.change.files).to_string());
                for file in changed.files.iter().chain(&changed.tests) {
                    asked.push_str(&file.path);
                    asked.push('\0');
                    asked.push_str(&file.text);
                    asked.push('\0');
                }
                Some(changed)
            }
        };
        let submission = submission::read(value, changed).map_err(Refused::Mistakes)?;
        Ok((submission, digest(asked.as_bytes())))
    }
}

/// What a patch makes of a repository.
///
/// # Errors
/// See [`Refused`].
pub async fn changed(forges: &Forges, patch: &Patch) -> Result<Changed, Refused> {
    let repository = forges
        .open(&patch.repository)
        .map_err(at("/patch/repository"))?;
    let objects = repository
        .objects()
        .await
        .map_err(at("/patch/repository"))?;
    let base = match &patch.base {
        Some(base) => base.clone(),
        None => objects
            .default_branch()
            .await
            .map_err(at("/patch/repository"))?,
    };
    let base = objects.resolve(&base).await.map_err(at("/patch/base"))?;
    let (patched, base, head) = match &patch.to {
        PatchTo::Head(head) => {
            let head = objects.resolve(head).await.map_err(at("/patch/head"))?;
            let met = match objects.merge_base(&base, &head).await {
                Ok(met) => met,
                Err(ForgeError::Unavailable(message)) => return Err(Refused::Unavailable(message)),
                Err(_) => {
                    return Err(mistake(
                        "/patch/head",
                        "it has no history in common with the base",
                    ));
                }
            };
            (Patched::commit(met.clone(), head.clone()), met, Some(head))
        }
        PatchTo::Diff(diff) => match objects.patched(&base, diff).await {
            Ok(patched) => (patched, base, None),
            Err(WriteError::Forge(error)) => return Err(at("/patch/diff")(error)),
            Err(error) => {
                return Err(mistake(
                    "/patch/diff",
                    format!("it does not apply to `{base}`: {error}"),
                ));
            }
        },
    };
    let files = objects.patched_diff(&patched).await.map_err(at("/patch"))?;
    if files.is_empty() {
        return Err(mistake("/patch", "it changes nothing"));
    }
    let added: usize = files
        .iter()
        .flat_map(|file| &file.added)
        .map(|line| line.text.len())
        .sum();
    if added > TEXT_MAX_BYTES {
        return Err(mistake(
            "/patch",
            format!("it adds lines of {added} bytes, {TEXT_MAX_BYTES} are allowed"),
        ));
    }
    let tree = objects.patched_tree(&patched).await.map_err(at("/patch"))?;
    let touched: BTreeSet<&str> = files
        .iter()
        .filter(|file| file.change != forge::Change::Deleted)
        .map(|file| file.path.as_str())
        .collect();
    let regular: Vec<&forge::Entry> = tree
        .iter()
        .filter(|entry| matches!(entry.kind, EntryKind::File | EntryKind::Executable))
        .collect();
    let language = match patch.language {
        Some(language) => language,
        None => language_of(&regular, &touched)?,
    };
    let (wanted, others): (Vec<&forge::Entry>, Vec<&forge::Entry>) = regular
        .into_iter()
        .partition(|entry| is_wanted(entry, &touched, language, &patch.paths));
    check_sizes(&wanted, language)?;
    let texts = texts(objects, &patched, &wanted, &touched).await?;
    let (mut tests, mut code): (Vec<CodeFile>, Vec<CodeFile>) = texts
        .into_iter()
        .partition(|file| is_test(&file.path) && Language::of_path(&file.path).is_some());
    // What only supports tests is none.
    if tests.iter().all(|file| {
        let name = file.path.rsplit('/').next().unwrap_or(&file.path);
        matches!(name, "__init__.py" | "conftest.py")
    }) {
        code.append(&mut tests);
    }
    Ok(Changed {
        files: code,
        tests,
        language,
        change: Change {
            repository: patch.repository.clone(),
            base,
            head,
            others: others
                .into_iter()
                .filter(|entry| is_code(&entry.path, language))
                .map(|entry| entry.path.clone())
                .collect(),
            files,
        },
    })
}

/// The one language of what is touched, or else of the repository.
fn language_of(regular: &[&forge::Entry], touched: &BTreeSet<&str>) -> Result<Language, Refused> {
    let of_touched = touched.iter().copied();
    let of_all = regular.iter().map(|entry| entry.path.as_str());
    for paths in [
        of_touched.collect::<Vec<&str>>(),
        of_all.collect::<Vec<&str>>(),
    ] {
        let mut found: BTreeSet<&str> = paths
            .into_iter()
            .filter_map(Language::of_path)
            .map(Language::as_str)
            .collect();
        // TypeScript may import JavaScript.
        if found.contains("typescript") {
            found.remove("javascript");
        }
        let found: Vec<&str> = found.into_iter().collect();
        match found.as_slice() {
            [] => {}
            [only] => {
                if let Some(language) = Language::named(only) {
                    return Ok(language);
                }
            }
            several => {
                return Err(mistake(
                    "/language",
                    format!(
                        "there is code in {}; say which `language` is to be judged",
                        several.join(" and ")
                    ),
                ));
            }
        }
    }
    Err(mistake(
        "/patch",
        "neither the change nor the repository has Python, JavaScript or TypeScript",
    ))
}

/// Whether analysis knows a file though it is no code. A lock file of megabytes is left to the rules.
fn is_data(entry: &forge::Entry) -> bool {
    let ending = entry.path.rsplit_once('.').map(|(_, ending)| ending);
    matches!(ending, Some("json" | "yaml" | "yml" | "toml")) && entry.size <= DATA_MAX_BYTES
}

/// Whether a language's interpreter runs a file.
fn is_code(path: &str, language: Language) -> bool {
    Language::of_path(path).is_some_and(|found| found.runner() == language.runner())
}

/// Whether a file is handed in: what is touched, and code of the language that it may need.
fn is_wanted(
    entry: &forge::Entry,
    touched: &BTreeSet<&str>,
    language: Language,
    paths: &[String],
) -> bool {
    let path = entry.path.as_str();
    if touched.contains(path) {
        return is_code(path, language) || is_data(entry);
    }
    is_code(path, language)
        && bad_path(path).is_none()
        && (paths.is_empty()
            || paths.iter().any(|named| {
                path.strip_prefix(named.as_str())
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            }))
}

fn check_sizes(wanted: &[&forge::Entry], language: Language) -> Result<(), Refused> {
    let bytes: u64 = wanted.iter().map(|entry| entry.size).sum();
    if wanted.len() <= FILES_MAX && bytes <= TEXT_MAX_BYTES as u64 {
        return Ok(());
    }
    Err(mistake(
        "/patch/paths",
        format!(
            "there are {} files of {} with {bytes} bytes; {FILES_MAX} files with {TEXT_MAX_BYTES} bytes are allowed, so name the folders that the tests need",
            wanted.len(),
            language.as_str()
        ),
    ))
}

/// The texts of files. One that is none is left out, unless it is code that is touched.
async fn texts(
    objects: &LocalForge,
    patched: &Patched,
    wanted: &[&forge::Entry],
    touched: &BTreeSet<&str>,
) -> Result<Vec<CodeFile>, Refused> {
    let ids: Vec<String> = wanted.iter().map(|entry| entry.id.clone()).collect();
    let contents = objects
        .patched_files(patched, &ids, TEXT_MAX_BYTES)
        .await
        .map_err(at("/patch"))?;
    let mut mistakes = Vec::new();
    let mut texts = Vec::with_capacity(wanted.len());
    for (entry, bytes) in wanted.iter().zip(contents) {
        let path = entry.path.clone();
        let why = match String::from_utf8(bytes) {
            Ok(text) if text.contains('\0') => "it has a NUL character, so it is no source".into(),
            Ok(text) => match bad_path(&path) {
                None => {
                    texts.push(CodeFile { path, text });
                    continue;
                }
                Some(why) => why,
            },
            Err(error) => format!(
                "it is not UTF-8 from byte {} on",
                error.utf8_error().valid_up_to()
            ),
        };
        if touched.contains(path.as_str()) && Language::of_path(&path).is_some() {
            mistakes.push(Mistake {
                pointer: "/patch".into(),
                message: format!("`{}`: {why}", path.escape_debug()),
            });
        }
    }
    if mistakes.is_empty() {
        Ok(texts)
    } else {
        mistakes.truncate(submission::MISTAKES_MAX);
        Err(Refused::Mistakes(mistakes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_touched_is_handed_in_and_code_that_it_may_need() {
        let touched = BTreeSet::from(["src/a.py", "data/x.yaml", "notes.txt", "web/a.js"]);
        let is = |path: &str, paths: &[&str]| {
            let paths: Vec<String> = paths.iter().map(|path| (*path).to_owned()).collect();
            let entry = forge::Entry {
                path: path.to_owned(),
                kind: EntryKind::File,
                id: String::new(),
                size: 1,
            };
            is_wanted(&entry, &touched, Language::Python, &paths)
        };
        assert!(is("src/a.py", &["other"]));
        assert!(is("data/x.yaml", &[]));
        assert!(!is("notes.txt", &[]));
        assert!(!is("web/a.js", &[]));
        assert!(is("src/b.py", &[]));
        assert!(is("src/b.py", &["src"]) && is("src/b.py", &["src/b.py"]));
        assert!(!is("src/b.py", &["sr"]));
        assert!(!is("data/y.yaml", &[]));
    }
}
