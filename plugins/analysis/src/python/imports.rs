//! Imports of modules that are not there.

use crate::project::{self, Project};
use crate::python::MINOR_VERSION;
use crate::python::scope::{ImportStatement, Model};
use formats::problem::{Level, Problems, excerpt};

/// What is there beside the listed modules of the standard library: the language's own two, and what runs tests.
const INSTALLED: &[&str] = &["__future__", "__main__", "_pytest", "pytest"];

/// Endings of files that hold a module.
const ENDINGS: &[&str] = &["py", "pyi", "so", "pyd"];

/// Folders that are put on the import path by custom, beside those around the file.
const ROOTS: &[&str] = &["", "src", "lib", "python"];

/// Reports imports that find nothing.
pub(crate) fn check(path: &str, model: &Model<'_>, project: &Project, problems: &mut Problems) {
    for import in &model.imports {
        let Some(missing) = missing(path, import, project) else {
            continue;
        };
        let (level, help) = if import.is_optional {
            (Level::Note, "the program seems to go on without it")
        } else {
            (
                Level::Error,
                "correct the name, add the module, or do without it: the standard library and the files of the project are all that is there",
            )
        };
        problems.add(level, "python/import-missing", import.offset, missing, help);
    }
}

/// What is missing, in a sentence.
fn missing(path: &str, import: &ImportStatement<'_>, project: &Project) -> Option<String> {
    if import.level > 0 {
        return missing_relative(path, import, project);
    }
    let first = import.module.split('.').next().unwrap_or_default();
    if first.is_empty()
        || INSTALLED.contains(&first)
        || ruff_python_stdlib::sys::is_known_standard_library(MINOR_VERSION, first)
    {
        return None;
    }
    let found = roots(path).any(|root| {
        let below = import.module.replace('.', "/");
        is_module(project, &project::join(&root, &below))
    });
    (!found).then(|| format!("there is no module `{}`", excerpt(import.module)))
}

/// Where a module is looked for: the custom places, and every folder around the file.
fn roots(path: &str) -> impl Iterator<Item = String> {
    let mut around = Vec::new();
    let mut at = project::folder(path);
    while !at.is_empty() {
        around.push(at.to_owned());
        at = project::folder(at);
    }
    ROOTS.iter().map(|root| (*root).to_owned()).chain(around)
}

fn is_module(project: &Project, path: &str) -> bool {
    project.has_folder(path)
        || ENDINGS
            .iter()
            .any(|ending| project.has_file(&format!("{path}.{ending}")))
}

fn missing_relative(path: &str, import: &ImportStatement<'_>, project: &Project) -> Option<String> {
    let dots = ".".repeat((import.level as usize).min(8));
    let shown = format!("{dots}{}", excerpt(import.module));
    let mut base = project::folder(path);
    for _ in 1..import.level {
        if base.is_empty() {
            return Some(format!("`{shown}` leads out of the project"));
        }
        base = project::folder(base);
    }
    if !import.module.is_empty() {
        let target = project::join(base, &import.module.replace('.', "/"));
        return (!is_module(project, &target)).then(|| format!("there is no module `{shown}`"));
    }
    // `from . import x`: a module beside the file, or a name of the package.
    let has_package = ["__init__.py", "__init__.pyi"]
        .iter()
        .any(|file| project.has_file(&project::join(base, file)));
    if has_package {
        return None;
    }
    import
        .members
        .iter()
        .find(|member| **member != "*" && !is_module(project, &project::join(base, member)))
        .map(|member| format!("there is no module `{dots}{}`", excerpt(member)))
}
