//! The formats that are parsed, one module each: text becomes problems by byte offset, and a tree where a later check wants one.

pub(crate) mod markdown;
pub(crate) mod workflow;

pub(crate) use formats::{json, toml, yaml};

use crate::text::extension;

/// What a file is parsed as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Json,
    Yaml,
    Toml,
    Markdown,
}

/// The format that a path promises.
pub(crate) fn of(path: &str) -> Option<Format> {
    let name = path.rsplit('/').next().unwrap_or(path);
    if name == "Cargo.lock" {
        return Some(Format::Toml);
    }
    match extension(path).as_str() {
        "json" if !json::is_commented_json(path) => Some(Format::Json),
        "yaml" | "yml" => Some(Format::Yaml),
        "toml" => Some(Format::Toml),
        "md" | "markdown" => Some(Format::Markdown),
        _ => None,
    }
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
