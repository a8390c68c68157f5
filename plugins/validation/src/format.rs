//! The formats that are parsed, one module each: text becomes problems by byte offset, and a tree where a later check wants one.

pub(crate) mod json;
pub(crate) mod markdown;
pub(crate) mod toml;
pub(crate) mod workflow;
pub(crate) mod yaml;

use crate::text::extension;

/// What a file is parsed as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Json,
    Yaml,
    Toml,
    Markdown,
}

/// Names whose tools read comments and trailing commas in files that end in `.json`.
const COMMENTED_JSON: &[&str] = &[
    ".eslintrc.json",
    ".jshintrc.json",
    "api-extractor.json",
    "deno.json",
    "devcontainer.json",
    "language-configuration.json",
    "tslint.json",
];

/// The format that a path promises.
pub(crate) fn of(path: &str) -> Option<Format> {
    let name = path.rsplit('/').next().unwrap_or(path);
    if name == "Cargo.lock" {
        return Some(Format::Toml);
    }
    match extension(path).as_str() {
        "json" if !is_commented_json(path, name) => Some(Format::Json),
        "yaml" | "yml" => Some(Format::Yaml),
        "toml" => Some(Format::Toml),
        "md" | "markdown" => Some(Format::Markdown),
        _ => None,
    }
}

fn is_commented_json(path: &str, name: &str) -> bool {
    let in_folder = |folder: &str| {
        path.starts_with(&format!("{folder}/")) || path.contains(&format!("/{folder}/"))
    };
    COMMENTED_JSON.contains(&name)
        || name.starts_with("tsconfig")
        || name.starts_with("jsconfig")
        || in_folder(".vscode")
        || in_folder(".devcontainer")
}

/// Whether GitHub reads the file as a workflow.
pub(crate) fn is_workflow(path: &str) -> bool {
    of(path) == Some(Format::Yaml)
        && path.rsplit_once('/').is_some_and(|(folder, _)| {
            folder == ".github/workflows" || folder.ends_with("/.github/workflows")
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_decide_the_format() {
        assert_eq!(of("a/b.JSON"), Some(Format::Json));
        assert_eq!(of("Cargo.lock"), Some(Format::Toml));
        assert_eq!(of("web/tsconfig.build.json"), None);
        assert_eq!(of(".vscode/settings.json"), None);
        assert_eq!(of("a.jsonc"), None);
        assert!(is_workflow(".github/workflows/ci.yml"));
        assert!(!is_workflow(".github/workflows/nested/ci.yml"));
        assert!(!is_workflow(".github/dependabot.yml"));
    }
}
