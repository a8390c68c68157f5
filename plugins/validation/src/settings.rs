//! The agent's settings and input, checked once; later modules see no raw JSON.

use globset::{GlobBuilder, GlobMatcher, GlobSet, GlobSetBuilder};
use infinity_sdk::settings::optional;
use infinity_sdk::types::Failure;
use serde::Deserialize;
use serde_json::Value;

/// Files larger than this are reported and not read, in bytes: 5 MiB.
const DEFAULT_MAX_FILE_BYTES: u64 = 5 * 1024 * 1024;

/// The largest `max_file_bytes`: a parsed file takes several times its size in memory. 64 MiB.
const LARGEST_MAX_FILE_BYTES: u64 = 64 * 1024 * 1024;

/// The most findings a report may hold, by the contract.
const MAX_FINDINGS: usize = 10_000;

/// The most roots of one run.
const MAX_ROOTS: usize = 100;

/// A directory to check.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Root {
    /// As the guest sees it.
    pub(crate) path: String,
    /// The repository that findings name.
    pub(crate) repository: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSchema {
    glob: String,
    schema: Value,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Input {
    roots: Option<Vec<Root>>,
}

/// Which files must be valid against which schema.
#[derive(Debug)]
pub(crate) struct SchemaSetting {
    pub(crate) glob: GlobMatcher,
    pub(crate) schema: SchemaSource,
}

/// Where a schema comes from.
#[derive(Debug)]
pub(crate) enum SchemaSource {
    /// A file relative to the root.
    File(String),
    Inline(Value),
}

/// What is left out. Globs are relative to the root; `*` stops at `/`.
#[derive(Debug)]
pub(crate) struct Exclude {
    files: GlobSet,
    directories: GlobSet,
}

impl Exclude {
    /// Whether a file is left out.
    pub(crate) fn file(&self, path: &str) -> bool {
        self.files.is_match(path)
    }

    /// Whether a directory is left out with everything below it.
    pub(crate) fn directory(&self, path: &str) -> bool {
        self.directories.is_match(path)
    }
}

/// Everything a run needs to know.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) roots: Vec<Root>,
    pub(crate) exclude: Exclude,
    pub(crate) schemas: Vec<SchemaSetting>,
    pub(crate) max_file_bytes: u64,
    pub(crate) checksums: Vec<String>,
    pub(crate) max_findings: usize,
}

impl Settings {
    /// Reads the settings; the input's roots go before theirs.
    ///
    /// # Errors
    /// [`Failure::InvalidInput`] with the key that is wrong.
    pub(crate) fn load(input: &str) -> Result<Self, Failure> {
        let input = match input.trim() {
            "" => Input::default(),
            text => serde_json::from_str::<Option<Input>>(text)
                .map_err(|error| {
                    Failure::InvalidInput(format!("the input cannot be used: {error}"))
                })?
                .unwrap_or_default(),
        };
        let roots = match input.roots {
            Some(roots) => roots,
            None => optional("roots")?.unwrap_or_default(),
        };
        if roots.is_empty() || roots.len() > MAX_ROOTS {
            return Err(Failure::InvalidInput(format!(
                "setting `roots` must name 1 to {MAX_ROOTS} directories, for instance `roots = [{{ path = \"/repos/NAME\", repository = \"NAME\" }}]`"
            )));
        }
        let max_file_bytes = optional("max_file_bytes")?.unwrap_or(DEFAULT_MAX_FILE_BYTES);
        if !(1..=LARGEST_MAX_FILE_BYTES).contains(&max_file_bytes) {
            return Err(Failure::InvalidInput(format!(
                "setting `max_file_bytes` must be 1 to {LARGEST_MAX_FILE_BYTES}"
            )));
        }
        let max_findings = optional("max_findings")?.unwrap_or(MAX_FINDINGS);
        if !(1..=MAX_FINDINGS).contains(&max_findings) {
            return Err(Failure::InvalidInput(format!(
                "setting `max_findings` must be 1 to {MAX_FINDINGS}"
            )));
        }
        let exclude: Vec<String> = optional("exclude")?.unwrap_or_default();
        let schemas: Vec<RawSchema> = optional("schemas")?.unwrap_or_default();
        Ok(Self {
            roots,
            exclude: build_exclude(&exclude)?,
            schemas: schemas
                .into_iter()
                .map(|raw| {
                    Ok(SchemaSetting {
                        glob: glob("schemas", &raw.glob)?.compile_matcher(),
                        schema: match raw.schema {
                            Value::String(path) => SchemaSource::File(path),
                            schema @ Value::Object(_) => SchemaSource::Inline(schema),
                            _ => {
                                return Err(Failure::InvalidInput(format!(
                                    "the schema for `{}` in setting `schemas` is neither a path nor an object",
                                    raw.glob
                                )));
                            }
                        },
                    })
                })
                .collect::<Result<_, _>>()?,
            max_file_bytes,
            checksums: optional("checksums")?.unwrap_or_default(),
            max_findings,
        })
    }
}

fn glob(setting: &str, pattern: &str) -> Result<globset::Glob, Failure> {
    let pattern = pattern.strip_prefix("./").unwrap_or(pattern);
    GlobBuilder::new(pattern)
        .literal_separator(true)
        .build()
        .map_err(|error| {
            Failure::InvalidInput(format!("glob `{pattern}` in setting `{setting}`: {error}"))
        })
}

fn build_exclude(patterns: &[String]) -> Result<Exclude, Failure> {
    let mut files = GlobSetBuilder::new();
    let mut directories = GlobSetBuilder::new();
    for pattern in patterns {
        // `target`, `target/` and `target/**` all leave the directory out.
        let pattern = pattern.trim_end_matches('/');
        let whole = pattern.strip_suffix("/**").unwrap_or(pattern);
        files.add(glob("exclude", pattern)?);
        directories.add(glob("exclude", whole)?);
    }
    let build = |builder: GlobSetBuilder| {
        builder
            .build()
            .map_err(|error| Failure::InvalidInput(format!("setting `exclude`: {error}")))
    };
    Ok(Exclude {
        files: build(files)?,
        directories: build(directories)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_leave_out_files_and_directories() {
        let exclude = build_exclude(&[
            "target/**".into(),
            "**/*.snap".into(),
            "a/b/".into(),
            "/x".into(),
        ])
        .unwrap();
        assert!(exclude.directory("target"));
        assert!(!exclude.directory("sub/target"));
        assert!(exclude.file("x/y.snap") && exclude.file("y.snap"));
        assert!(exclude.directory("a/b"));
        assert!(!exclude.file("target.rs"));
    }

    #[test]
    fn wrong_input_is_refused_with_the_reason() {
        for input in ["{\"rots\": []}", "[", "{\"roots\": []}", "null"] {
            assert!(matches!(
                Settings::load(input),
                Err(Failure::InvalidInput(_))
            ));
        }
        let settings = Settings::load("{\"roots\": [{\"path\": \"/a\"}]}").unwrap();
        assert_eq!(settings.max_file_bytes, 5 * 1024 * 1024);
    }
}
