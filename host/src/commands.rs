//! Commands that have a name: files with a text in which parameters are filled in. `POST /v1/commands` hands the text to the agent that takes commands.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::path::Path;
use utoipa::ToSchema;

/// Bytes of one file.
const FILE_MAX_BYTES: u64 = 64 * 1024;

/// Files of the folder; more than anybody chooses from.
const FILES_MAX: usize = 500;

/// Characters of a command: what a person writes, and not a file.
pub const COMMAND_MAX: usize = 16 * 1024;

/// A parameter of a template.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Parameter {
    /// What it is, for people.
    #[serde(default)]
    pub description: String,
    /// What it is when nobody says; a parameter without it is required.
    pub default: Option<String>,
}

/// A command with a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Template {
    /// Its file's name without `.toml`.
    #[serde(default)]
    pub name: String,
    /// What it does, for people.
    #[serde(default)]
    pub description: String,
    /// The command; `{name}` stands for a parameter.
    pub text: String,
    /// Its parameters, by name.
    #[serde(default)]
    pub parameters: BTreeMap<String, Parameter>,
    /// Why it cannot be used, in one sentence.
    #[serde(default)]
    pub problem: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    description: String,
    text: String,
    #[serde(default)]
    parameters: BTreeMap<String, Parameter>,
}

/// The templates of a folder, by name. One that cannot be read is there with its problem; a folder that is not there has none.
#[must_use]
pub fn templates(folder: &Path) -> Vec<Template> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut names: Vec<_> = entries
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let name = path
                .file_name()?
                .to_str()?
                .strip_suffix(".toml")?
                .to_owned();
            Some((name, path))
        })
        .collect();
    names.sort();
    names.truncate(FILES_MAX);
    names
        .into_iter()
        .map(|(name, path)| match read(&path) {
            Ok(file) => Template {
                problem: wrong(&file),
                name,
                description: file.description,
                text: file.text,
                parameters: file.parameters,
            },
            Err(problem) => Template {
                name,
                description: String::new(),
                text: String::new(),
                parameters: BTreeMap::new(),
                problem: Some(problem),
            },
        })
        .collect()
}

fn read(path: &Path) -> Result<File, String> {
    let metadata = path.metadata().map_err(|error| error.kind().to_string())?;
    if !metadata.is_file() {
        return Err("is not a regular file".into());
    }
    if metadata.len() > FILE_MAX_BYTES {
        return Err(format!("is larger than {FILE_MAX_BYTES} bytes"));
    }
    let text = std::fs::read_to_string(path).map_err(|error| error.kind().to_string())?;
    toml::from_str(&text).map_err(|error| {
        let line = error.span().map_or(1, |span| {
            text[..span.start.min(text.len())].matches('\n').count() + 1
        });
        format!("line {line}: {}", error.message())
    })
}

/// What of a file makes no sense.
fn wrong(file: &File) -> Option<String> {
    let named = placeholders(&file.text);
    if let Some(unknown) = named
        .iter()
        .find(|name| !file.parameters.contains_key(name.as_str()))
    {
        return Some(format!(
            "`{{{unknown}}}` in `text` is no parameter; add `[parameters.{unknown}]`"
        ));
    }
    file.parameters
        .keys()
        .find(|name| !named.contains(name))
        .map(|unused| format!("the parameter `{unused}` is not in `text`"))
}

/// The names in braces.
fn placeholders(text: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut rest = text;
    while let Some((_, after)) = rest.split_once('{') {
        let Some((name, behind)) = after.split_once('}') else {
            break;
        };
        let is_name = !name.is_empty()
            && name
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
        if is_name {
            names.push(name.to_owned());
            rest = behind;
        } else {
            rest = after;
        }
    }
    names
}

/// What is wrong with the parameters that somebody gave, each with the name it is about.
pub type Mistakes = Vec<(String, String)>;

/// The command that a template is with these parameters.
///
/// # Errors
/// Everything that is wrong with them.
pub fn fill(template: &Template, given: &Map<String, Value>) -> Result<String, Mistakes> {
    let mut mistakes = Vec::new();
    for name in given.keys() {
        if !template.parameters.contains_key(name) {
            mistakes.push((name.clone(), "is no parameter of the template".to_owned()));
        }
    }
    let mut values: BTreeMap<&str, String> = BTreeMap::new();
    for (name, parameter) in &template.parameters {
        let value = match given.get(name) {
            Some(Value::String(text)) if !text.contains(char::is_control) => text.clone(),
            Some(Value::Number(number)) => number.to_string(),
            Some(Value::Bool(boolean)) => boolean.to_string(),
            Some(_) => {
                mistakes.push((
                    name.clone(),
                    "must be text on one line, a number or a boolean".to_owned(),
                ));
                continue;
            }
            None => match &parameter.default {
                Some(default) => default.clone(),
                None => {
                    mistakes.push((name.clone(), "is missing".to_owned()));
                    continue;
                }
            },
        };
        values.insert(name, value);
    }
    if !mistakes.is_empty() {
        return Err(mistakes);
    }
    // From left to right and once, so that a value with braces in it stays what it is.
    let mut out = String::new();
    let mut rest = template.text.as_str();
    while let Some((before, after)) = rest.split_once('{') {
        out.push_str(before);
        match after.split_once('}') {
            Some((name, behind)) if values.contains_key(name) => {
                out.push_str(&values[name]);
                rest = behind;
            }
            _ => {
                out.push('{');
                rest = after;
            }
        }
    }
    out.push_str(rest);
    if out.chars().count() > COMMAND_MAX {
        return Err(vec![(
            String::new(),
            format!("the command has more than {COMMAND_MAX} characters"),
        )]);
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_template_is_filled_in_once() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(
            folder.path().join("sync.toml"),
            "description = \"Sync\"\ntext = \"sync {repo} to {branch} as {json: 1}\"\n[parameters.repo]\n[parameters.branch]\ndefault = \"main\"\n",
        )
        .unwrap();
        std::fs::write(folder.path().join("broken.toml"), "text = \"{a}\"").unwrap();
        std::fs::write(folder.path().join("syntax.toml"), "text =\n").unwrap();
        std::fs::write(folder.path().join("note.md"), "x").unwrap();
        let found = templates(folder.path());
        let names: Vec<_> = found
            .iter()
            .map(|template| template.name.as_str())
            .collect();
        assert_eq!(names, ["broken", "sync", "syntax"]);
        assert!(found[0].problem.as_ref().unwrap().contains("`{a}`"));
        assert!(found[2].problem.as_ref().unwrap().starts_with("line 1"));
        let given = |value: Value| value.as_object().unwrap().clone();
        assert_eq!(
            fill(&found[1], &given(json!({ "repo": "{branch}" }))).unwrap(),
            "sync {branch} to main as {json: 1}"
        );
        let mistakes = fill(&found[1], &given(json!({ "x": 1, "branch": [] }))).unwrap_err();
        assert_eq!(mistakes.len(), 3, "{mistakes:?}");
        assert!(templates(&folder.path().join("none")).is_empty());
    }
}
