//! `for_each = "repos/*"` to one agent for each repository that matches, each with its own record, keys and schedule: `{repository}` in the agent's strings is the
//! repository's name, and `-` with that name goes behind the agent's.

use std::borrow::Cow;
use std::collections::BTreeSet;

use globset::GlobBuilder;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::{Errors, literal};
use super::reader::Value;

/// What a pattern begins with.
const PREFIX: &str = "repos/";

/// What stands for the repository's name.
const PLACEHOLDER: &str = "{repository}";

/// One agent that the key makes.
pub(super) struct Made<'d> {
    pub(super) name: String,
    pub(super) value: Value<'d>,
}

/// The agents that an entry makes; `None` where the key is not there, so that the entry is an agent itself.
pub(super) fn expand<'d>(
    name: &Spanned<&str>,
    value: &Value<'d>,
    repositories: &BTreeSet<String>,
    errors: &mut Errors,
) -> Option<Vec<Made<'d>>> {
    let DeValue::Table(table) = value.get_ref() else {
        return None;
    };
    let pattern = table.get("for_each")?;
    // Anything else is for the reader of agents to refuse.
    let DeValue::String(text) = pattern.get_ref() else {
        return None;
    };
    let what = format!("`for_each` in agent {}", literal(name.get_ref()));
    let glob = text.strip_prefix(PREFIX);
    let glob = glob.and_then(|glob| GlobBuilder::new(glob).literal_separator(true).build().ok());
    let Some(glob) = glob else {
        errors
            .at(
                pattern.span(),
                format!("{what} is no pattern of repositories"),
            )
            .help("write `repos/` and a name in which `*` stands for any characters, for instance `\"repos/*\"`");
        return Some(Vec::new());
    };
    let matcher = glob.compile_matcher();
    let made: Vec<_> = repositories
        .iter()
        .filter(|repository| matcher.is_match(repository))
        .map(|repository| Made {
            name: format!("{}-{}", name.get_ref(), repository.replace(['.', '_'], "-")),
            value: filled(value, repository),
        })
        .collect();
    if made.is_empty() {
        let names: Vec<_> = repositories
            .iter()
            .take(10)
            .map(|name| literal(name))
            .collect();
        errors
            .at(pattern.span(), format!("{what} matches no repository"))
            .help(if names.is_empty() {
                "name repositories in `[repositories]`".to_owned()
            } else {
                format!("there are {}", names.join(", "))
            });
    }
    Some(made)
}

/// A text for every repository that it can be made for, or as it is.
pub(super) fn every(text: &str, repositories: &BTreeSet<String>) -> Vec<String> {
    if !text.contains(PLACEHOLDER) {
        return vec![text.to_owned()];
    }
    repositories
        .iter()
        .map(|repository| text.replace(PLACEHOLDER, repository))
        .collect()
}

/// The entry without the key and with the name in its strings. Spans stay, so mistakes are shown where they were made.
fn filled<'d>(value: &Value<'d>, repository: &str) -> Value<'d> {
    let inner = match value.get_ref() {
        DeValue::String(text) if text.contains(PLACEHOLDER) => {
            DeValue::String(Cow::Owned(text.replace(PLACEHOLDER, repository)))
        }
        DeValue::Array(array) => DeValue::Array(
            array
                .iter()
                .map(|element| filled(element, repository))
                .collect(),
        ),
        DeValue::Table(table) => DeValue::Table(
            table
                .iter()
                .filter(|(key, _)| key.get_ref() != "for_each")
                .map(|(key, value)| (key.clone(), filled(value, repository)))
                .collect::<DeTable<'d>>(),
        ),
        other => other.clone(),
    };
    Spanned::new(value.span(), inner)
}
