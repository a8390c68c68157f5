//! One call: each file is judged by the ending of its name, within bounds, and its problems become findings.

// Without the export there is no caller but the tests.
#![cfg_attr(
    not(any(target_arch = "wasm32", test)),
    expect(dead_code, reason = "called by the component's export only")
)]

use crate::bindings::exports::infinity::agent::analysis::{File, Finding};
use crate::bindings::infinity::agent::types;
use crate::project::Project;
use crate::{data, javascript, project, python};
use formats::problem::{Level, Problem, Problems, positions};
use std::cmp::Reverse;

/// Bytes of a file that is looked at. Nobody writes a megabyte of code by hand, and a tree takes some fifty times the memory of its text.
const MAX_FILE_BYTES: usize = 1024 * 1024;

/// Findings of a file. One with more has a defect many times over, and somebody has to read them.
const MAX_FINDINGS_PER_FILE: usize = 200;

/// Looks at the files. `local` are paths that imports may name beside those of the files.
pub(crate) fn analyse(files: &[File], local: &[String]) -> Vec<Finding> {
    let project = Project::new(
        files
            .iter()
            .map(|file| file.path.as_str())
            .chain(local.iter().map(String::as_str)),
    );
    files
        .iter()
        .flat_map(|file| look_at(&file.path, &file.text, &project))
        .collect()
}

/// What a file is read as.
enum Language {
    Python,
    JavaScript,
    Data(data::Format),
}

fn language(path: &str) -> Option<Language> {
    let name = project::name(path);
    let (_, ending) = name.rsplit_once('.')?;
    match ending.to_ascii_lowercase().as_str() {
        "py" | "pyi" => Some(Language::Python),
        "js" | "mjs" | "cjs" | "jsx" | "ts" | "mts" | "cts" | "tsx" => Some(Language::JavaScript),
        "json" => Some(Language::Data(data::Format::Json)),
        "yaml" | "yml" => Some(Language::Data(data::Format::Yaml)),
        "toml" => Some(Language::Data(data::Format::Toml)),
        _ => None,
    }
}

fn look_at(path: &str, text: &str, project: &Project) -> Vec<Finding> {
    let Some(language) = language(path) else {
        return Vec::new();
    };
    // A byte order mark is no part of a program: offsets count from behind it.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut problems = Problems::default();
    let syntax_rule = match &language {
        Language::Python => "python/syntax",
        Language::JavaScript => "javascript/syntax",
        Language::Data(format) => format.syntax_rule(),
    };
    if text.len() > MAX_FILE_BYTES {
        problems.note(
            "analysis/too-large",
            None,
            format!(
                "the file has {} bytes and was not looked at; at most {MAX_FILE_BYTES} are",
                text.len()
            ),
            "split the file, or leave it out if a program wrote it",
        );
    } else if let Some(at) = text.find('\0') {
        problems.error(
            syntax_rule,
            at,
            "a NUL character, which no source file may hold",
            "remove the character",
        );
    } else {
        match language {
            Language::Python => python::check(path, text, project, &mut problems),
            Language::JavaScript => javascript::check(path, text, project, &mut problems),
            Language::Data(format) => data::check(format, path, text, &mut problems),
        }
    }
    findings(path, text, problems)
}

/// The worst problems of a file, in its order.
fn findings(path: &str, text: &str, problems: Problems) -> Vec<Finding> {
    let (mut list, uncounted) = problems.into_parts();
    // The sort keeps what is equally bad in the order of the file.
    list.sort_by_key(|problem| Reverse(problem.level));
    let beyond = list.len().saturating_sub(MAX_FINDINGS_PER_FILE) as u64;
    list.truncate(MAX_FINDINGS_PER_FILE);
    list.sort_by_key(|problem| problem.offset);
    let omitted = beyond + uncounted.iter().map(|(_, _, count)| count).sum::<u64>();
    let offsets: Vec<usize> = list.iter().map(|it| it.offset.unwrap_or(0)).collect();
    let positions = positions(text.as_bytes(), &offsets);
    let mut findings: Vec<Finding> = list
        .into_iter()
        .zip(positions)
        .map(|(problem, position)| finding(path, problem, position))
        .collect();
    if omitted > 0 {
        findings.push(finding(
            path,
            Problem {
                rule: "analysis/more",
                level: Level::Note,
                offset: None,
                message: format!("{omitted} more findings in this file are not listed"),
                help: "correct the listed ones and look again".to_owned(),
            },
            (1, 1),
        ));
    }
    findings
}

fn finding(path: &str, problem: Problem, (line, column): (u32, u32)) -> Finding {
    let known = problem.offset.is_some();
    Finding {
        rule: problem.rule.to_owned(),
        level: match problem.level {
            Level::Note => types::Level::Note,
            Level::Warning => types::Level::Warning,
            Level::Error => types::Level::Error,
        },
        message: problem.message,
        location: Some(types::Location {
            repository: None,
            path: path.to_owned(),
            line: known.then_some(line),
            column: known.then_some(column),
        }),
        help: (!problem.help.is_empty()).then_some(problem.help),
    }
}

#[cfg(test)]
mod tests;
