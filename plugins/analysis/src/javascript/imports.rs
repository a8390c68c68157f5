//! Imports of files and modules that are not there.

use crate::javascript::Source;
use crate::javascript::globals::{NODE_MODULES, NODE_PREFIXED};
use crate::project::{self, Project};
use formats::problem::{Level, Problems, excerpt};
use oxc_ast::AstKind;
use oxc_ast::ast::{Argument, Expression, ImportOrExportKind};
use oxc_semantic::NodeId;

/// Endings that a path may leave out.
const ENDINGS: &[&str] = &[
    "js", "mjs", "cjs", "jsx", "ts", "mts", "cts", "tsx", "d.ts", "d.mts", "d.cts", "json", "node",
];

/// Endings that are written for what a compiler will make, and what it makes them from.
const COMPILED: &[(&str, &[&str])] = &[
    (".js", &["ts", "tsx", "jsx", "d.ts"]),
    (".mjs", &["mts", "d.mts"]),
    (".cjs", &["cts", "d.cts"]),
    (".jsx", &["tsx"]),
];

/// Reports imports that find nothing.
pub(crate) fn check(source: &Source<'_, '_>, project: &Project, problems: &mut Problems) {
    for node in source.semantic.nodes().iter() {
        let (name, offset, is_type) = match node.kind() {
            AstKind::ImportDeclaration(it) => (
                it.source.value.as_str(),
                it.source.span.start,
                it.import_kind == ImportOrExportKind::Type,
            ),
            AstKind::ExportFromDeclaration(it) => (
                it.source.value.as_str(),
                it.source.span.start,
                it.export_kind == ImportOrExportKind::Type,
            ),
            AstKind::ExportAllDeclaration(it) => (
                it.source.value.as_str(),
                it.source.span.start,
                it.export_kind == ImportOrExportKind::Type,
            ),
            AstKind::TSExternalModuleReference(it) => (
                it.expression.value.as_str(),
                it.expression.span.start,
                false,
            ),
            AstKind::ImportExpression(it) => match &it.source {
                Expression::StringLiteral(text) => (text.value.as_str(), text.span.start, false),
                _ => continue,
            },
            AstKind::CallExpression(it) => {
                let is_require = matches!(&it.callee, Expression::Identifier(name)
                    if name.name == "require" && source.semantic.is_reference_to_global_variable(name));
                match it.arguments.first() {
                    Some(Argument::StringLiteral(text)) if is_require => {
                        (text.value.as_str(), text.span.start, false)
                    }
                    _ => continue,
                }
            }
            _ => continue,
        };
        let Some(missing) = missing(source.path, name, project) else {
            continue;
        };
        let (level, help) = if is_type || is_attempt(source, node.id()) {
            (Level::Note, "the program seems to go on without it")
        } else {
            (
                Level::Error,
                "correct the name, add the file, or do without it: the modules of Node and the files of the project are all that is there",
            )
        };
        problems.add(
            level,
            "javascript/import-missing",
            offset as usize,
            missing,
            help,
        );
    }
}

/// Whether it stands in a `try` block.
fn is_attempt(source: &Source<'_, '_>, node: NodeId) -> bool {
    source
        .semantic
        .nodes()
        .ancestor_kinds(node)
        .any(|kind| matches!(kind, AstKind::TryStatement(_)))
}

/// What is missing, in a sentence.
fn missing(path: &str, name: &str, project: &Project) -> Option<String> {
    let shown = excerpt(name);
    let name = name.split(['?', '#']).next().unwrap_or(name);
    if name.is_empty() {
        return None;
    }
    if let Some(rest) = name.strip_prefix("node:") {
        let known = is_node_module(rest) || NODE_PREFIXED.contains(&first_part(rest));
        return (!known).then(|| format!("Node has no module `{shown}`"));
    }
    if name.starts_with('.') || name.starts_with('/') {
        return match resolve(project::folder(path), name) {
            None => Some(format!("`{shown}` leads out of the project")),
            Some(target) => {
                (!is_file(project, &target)).then(|| format!("there is no file `{shown}`"))
            }
        };
    }
    let is_installed = || {
        let package = format!("node_modules/{}", package(name));
        let mut at = project::folder(path);
        loop {
            if project.has_folder(&project::join(at, &package)) {
                return true;
            }
            if at.is_empty() {
                return false;
            }
            at = project::folder(at);
        }
    };
    (!is_node_module(name) && !is_installed()).then(|| format!("there is no module `{shown}`"))
}

fn first_part(name: &str) -> &str {
    name.split('/').next().unwrap_or(name)
}

fn is_node_module(name: &str) -> bool {
    NODE_MODULES.contains(&first_part(name))
}

/// The package of a name such as `@scope/package/file`.
fn package(name: &str) -> &str {
    let parts = if name.starts_with('@') { 2 } else { 1 };
    match name.match_indices('/').nth(parts - 1) {
        Some((end, _)) => name.get(..end).unwrap_or(name),
        None => name,
    }
}

/// The path that a relative one leads to; nothing when it leads out.
fn resolve(folder: &str, name: &str) -> Option<String> {
    let mut parts: Vec<&str> = if name.starts_with('/') {
        Vec::new()
    } else {
        folder.split('/').filter(|it| !it.is_empty()).collect()
    };
    for part in name.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            _ => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

fn is_file(project: &Project, target: &str) -> bool {
    let with_endings = |base: &str| {
        ENDINGS
            .iter()
            .any(|ending| project.has_file(&format!("{base}.{ending}")))
    };
    let compiled = COMPILED.iter().any(|(ending, sources)| {
        target.strip_suffix(ending).is_some_and(|base| {
            sources
                .iter()
                .any(|source| project.has_file(&format!("{base}.{source}")))
        })
    });
    project.has_file(target)
        || with_endings(target)
        || compiled
        || with_endings(&project::join(target, "index"))
        || project.has_file(&project::join(target, "package.json"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_to_files() {
        let project = Project::new(
            [
                "a/b.js",
                "a/c/index.ts",
                "d.ts",
                "node_modules/@x/y/index.js",
            ]
            .into_iter(),
        );
        for (from, name) in [
            ("a/x.js", "./b"),
            ("a/x.js", "./b.js"),
            ("a/x.js", "./c"),
            ("a/x.js", "../d.js"),
            ("a/c/index.ts", ".."),
            ("a/x.js", "@x/y"),
            ("a/x.js", "@x/y/z"),
            ("a/x.js", "fs/promises"),
            ("a/x.js", "node:test"),
            ("a/x.js", "#own"),
        ] {
            let found = missing(from, name, &project);
            // A folder without an index is no module.
            assert_eq!(found.is_some(), name == "..", "{name}: {found:?}");
        }
        for name in [
            "./x",
            "../../d",
            "left-pad",
            "node:left",
            "test",
            "@x/z",
            "https://a.b/c.js",
        ] {
            assert!(missing("a/x.js", name, &project).is_some(), "{name}");
        }
    }
}
