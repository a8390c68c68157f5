//! Names: those that mean nothing, and those that nobody reads.

use crate::javascript::Source;
use crate::javascript::globals::is_global;
use formats::problem::{Problems, excerpt};
use oxc_ast::AstKind;
use oxc_ast::ast::BindingPattern;
use oxc_semantic::{NodeId, SymbolFlags, SymbolId};
use oxc_span::GetSpan;
use oxc_syntax::operator::UnaryOperator;
use std::collections::HashSet;

/// Reports names without a meaning. Declarations of other files have none.
pub(crate) fn check_defined(source: &Source<'_, '_>, problems: &mut Problems) {
    if !source.semantic.source_type().is_typescript_definition() {
        undefined(source, problems);
    }
}

/// Reports names without a use.
pub(crate) fn check_used(source: &Source<'_, '_>, problems: &mut Problems) {
    if !source.semantic.source_type().is_typescript_definition() {
        unused(source, problems);
    }
}

fn undefined(source: &Source<'_, '_>, problems: &mut Problems) {
    let semantic = source.semantic;
    let nodes = semantic.nodes();
    // `with` and an `eval` that is called directly bring names that the text does not show.
    let hidden = nodes
        .iter()
        .any(|node| matches!(node.kind(), AstKind::WithStatement(_)));
    if hidden {
        return;
    }
    let declared = declared_in_comments(source);
    let scoping = semantic.scoping();
    for (name, references) in scoping.root_unresolved_references() {
        let name = name.as_str();
        if is_global(name) || declared.contains(name) {
            continue;
        }
        let is_strict = scoping.root_scope_flags().is_strict_mode();
        let mut places = Vec::new();
        let mut is_settled = false;
        for id in references {
            let reference = scoping.get_reference(*id);
            let node = reference.node_id();
            // A file that asks whether a name is there knows that it may not be. An assignment in a sloppy script makes a global.
            if is_behind_typeof(source, node) || (reference.is_write() && !is_strict) {
                is_settled = true;
                break;
            }
            if reference.is_value() && !is_type_only(source, node) {
                places.push(nodes.kind(node).span().start as usize);
            }
        }
        if is_settled {
            continue;
        }
        for offset in places {
            problems.error(
                "javascript/undefined-name",
                offset,
                format!("the name `{}` is not defined", excerpt(name)),
                "define or import it",
            );
        }
    }
}

fn is_behind_typeof(source: &Source<'_, '_>, node: NodeId) -> bool {
    matches!(
        source.semantic.nodes().parent_kind(node),
        AstKind::UnaryExpression(it) if it.operator == UnaryOperator::Typeof
    )
}

/// Whether a reference stands in a declaration that vanishes before the program runs.
fn is_type_only(source: &Source<'_, '_>, node: NodeId) -> bool {
    source.semantic.nodes().ancestor_kinds(node).any(|kind| {
        matches!(
            kind,
            AstKind::TSTypeQuery(_)
                | AstKind::TSInterfaceDeclaration(_)
                | AstKind::TSTypeAliasDeclaration(_)
                | AstKind::TSExternalModuleDeclaration(_)
                | AstKind::TSGlobalDeclaration(_)
        )
    })
}

/// Names in comments such as `/* global $, jQuery:readonly */`.
fn declared_in_comments<'s>(source: &Source<'s, '_>) -> HashSet<&'s str> {
    let mut names = HashSet::new();
    for comment in source.semantic.comments() {
        let span = comment.content_span();
        let text = source
            .text
            .get(span.start as usize..span.end as usize)
            .unwrap_or_default()
            .trim();
        let list = text
            .strip_prefix("globals ")
            .or_else(|| text.strip_prefix("global "));
        for part in list.into_iter().flat_map(|list| list.split(',')) {
            names.insert(part.split(':').next().unwrap_or(part).trim());
        }
    }
    names
}

fn unused(source: &Source<'_, '_>, problems: &mut Problems) {
    let semantic = source.semantic;
    let scoping = semantic.scoping();
    let calls_eval = scoping
        .root_unresolved_references()
        .keys()
        .any(|it| it.as_str() == "eval");
    if calls_eval {
        return;
    }
    let has_elements = semantic.nodes().iter().any(|node| {
        matches!(
            node.kind(),
            AstKind::JSXElement(_) | AstKind::JSXFragment(_)
        )
    });
    let keeps_to_itself = source.is_module || is_node(source);
    for symbol in scoping.symbol_ids() {
        let name = scoping.symbol_name(symbol);
        let flags = scoping.symbol_flags(symbol);
        if name.starts_with('_') || is_read(source, symbol) {
            continue;
        }
        let offset = scoping.symbol_span(symbol).start as usize;
        let shown = excerpt(name);
        if flags.intersects(SymbolFlags::Import | SymbolFlags::TypeImport) {
            // Elements were calls of `React.createElement` once.
            if has_elements && matches!(name, "React" | "h" | "Fragment") {
                continue;
            }
            problems.warning(
                "javascript/unused-import",
                offset,
                format!("`{shown}` is imported and never used"),
                "remove the import",
            );
            continue;
        }
        let is_top = scoping.symbol_scope_id(symbol) == scoping.root_scope_id();
        if is_top && !keeps_to_itself || !is_plain_declaration(source, symbol) {
            continue;
        }
        problems.warning(
            "javascript/unused-variable",
            offset,
            format!("`{shown}` is defined and never read"),
            "remove it, or begin its name with `_` if it is there on purpose",
        );
    }
}

fn is_read(source: &Source<'_, '_>, symbol: SymbolId) -> bool {
    source
        .semantic
        .symbol_references(symbol)
        .any(|reference| reference.is_read() || !reference.is_write())
}

/// Whether a script is one of Node's, whose names at the top are its own.
fn is_node(source: &Source<'_, '_>) -> bool {
    source.path.ends_with(".cjs")
        || source
            .semantic
            .scoping()
            .root_unresolved_references()
            .keys()
            .any(|it| matches!(it.as_str(), "require" | "module" | "exports"))
}

/// A variable alone on its side, or a function declaration: what is there for nothing when nobody reads it. Parameters, parts of patterns, loops and
/// exports are not.
fn is_plain_declaration(source: &Source<'_, '_>, symbol: SymbolId) -> bool {
    let nodes = source.semantic.nodes();
    let scoping = source.semantic.scoping();
    let declaration = scoping.symbol_declaration(symbol);
    if !scoping.symbol_redeclarations(symbol).is_empty() {
        return false;
    }
    let is_plain = match nodes.kind(declaration) {
        AstKind::VariableDeclarator(it) => matches!(it.id, BindingPattern::BindingIdentifier(_)),
        AstKind::Function(it) => it.is_declaration() && it.body.is_some() && !it.declare,
        _ => false,
    };
    is_plain
        && !nodes.ancestor_kinds(declaration).take(3).any(|kind| {
            matches!(
                kind,
                AstKind::ExportNamedDeclaration(_)
                    | AstKind::ExportDeclaration(_)
                    | AstKind::ExportDefaultDeclaration(_)
                    | AstKind::ForInStatement(_)
                    | AstKind::ForOfStatement(_)
                    | AstKind::TSModuleBlock(_)
            )
        })
        && !nodes.ancestor_kinds(declaration).any(|kind| match kind {
            AstKind::VariableDeclaration(it) => it.declare || it.kind.is_using(),
            _ => false,
        })
}
