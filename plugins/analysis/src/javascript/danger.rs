//! Calls that run what nobody wrote down, start programs, or write files. They are often right, and always worth a look.

use crate::javascript::Source;
use formats::problem::{Problems, excerpt};
use oxc_ast::AstKind;
use oxc_ast::ast::{
    Argument, AssignmentTarget, BindingPattern, Expression, IdentifierReference,
    ImportDeclarationSpecifier, ModuleExportName,
};
use oxc_semantic::SymbolId;
use std::collections::HashMap;

const RULE: &str = "javascript/dangerous-call";

const HELP_RUNS_TEXT: &str = "parse the text instead, such as with `JSON.parse`, or choose from functions that are written down";
const HELP_OUTSIDE: &str =
    "this reaches out of the program: leave it to a caller that is allowed to";

/// Modules that are worth a look wherever they come in.
const MODULES: &[(&str, &str)] = &[
    ("child_process", "runs other programs"),
    ("cluster", "runs other programs"),
    ("vm", "runs text as code"),
    ("inspector", "watches the engine"),
    ("net", "talks to the network"),
    ("dgram", "talks to the network"),
];

/// Functions of `fs` that change something, without the ending `Sync`.
const WRITES: &[&str] = &[
    "appendFile",
    "chmod",
    "chown",
    "copyFile",
    "cp",
    "createWriteStream",
    "link",
    "mkdir",
    "mkdtemp",
    "rename",
    "rm",
    "rmdir",
    "symlink",
    "truncate",
    "unlink",
    "utimes",
    "write",
    "writeFile",
];

/// Reports what deserves a second look.
pub(crate) fn check(source: &Source<'_, '_>, problems: &mut Problems) {
    let modules = modules(source);
    let mut danger = Danger {
        source,
        modules,
        problems,
    };
    for node in source.semantic.nodes().iter() {
        danger.node(node.kind());
    }
}

/// What a name stands for: a member of a module, or the module itself.
struct Origin {
    module: String,
    member: Option<String>,
}

fn plain(module: &str) -> &str {
    module.strip_prefix("node:").unwrap_or(module)
}

/// Names that imports and `require` give.
fn modules(source: &Source<'_, '_>) -> HashMap<SymbolId, Origin> {
    let mut found = HashMap::new();
    for node in source.semantic.nodes().iter() {
        match node.kind() {
            AstKind::ImportDeclaration(it) => {
                let module = plain(it.source.value.as_str());
                for specifier in it.specifiers.iter().flatten() {
                    let (local, member) = match specifier {
                        ImportDeclarationSpecifier::ImportSpecifier(it) => {
                            let member = match &it.imported {
                                ModuleExportName::StringLiteral(text) => text.value.to_string(),
                                other => other.name().to_string(),
                            };
                            (&it.local, Some(member))
                        }
                        ImportDeclarationSpecifier::ImportDefaultSpecifier(it) => (&it.local, None),
                        ImportDeclarationSpecifier::ImportNamespaceSpecifier(it) => {
                            (&it.local, None)
                        }
                    };
                    if let Some(symbol) = local.symbol_id.get() {
                        let module = module.to_owned();
                        found.insert(symbol, Origin { module, member });
                    }
                }
            }
            AstKind::VariableDeclarator(it) => {
                let Some(module) = it.init.as_ref().and_then(|init| required(source, init)) else {
                    continue;
                };
                bind(&it.id, plain(module), &mut found);
            }
            _ => {}
        }
    }
    found
}

fn bind(pattern: &BindingPattern<'_>, module: &str, found: &mut HashMap<SymbolId, Origin>) {
    match pattern {
        BindingPattern::BindingIdentifier(name) => {
            if let Some(symbol) = name.symbol_id.get() {
                let module = module.to_owned();
                found.insert(
                    symbol,
                    Origin {
                        module,
                        member: None,
                    },
                );
            }
        }
        BindingPattern::ObjectPattern(object) => {
            for property in &object.properties {
                if let (Some(member), BindingPattern::BindingIdentifier(name)) =
                    (property.key.static_name(), &property.value)
                    && let Some(symbol) = name.symbol_id.get()
                {
                    let module = module.to_owned();
                    let member = Some(member.into_owned());
                    found.insert(symbol, Origin { module, member });
                }
            }
        }
        _ => {}
    }
}

/// The module of `require("module")`.
fn required<'a>(source: &Source<'_, '_>, expression: &Expression<'a>) -> Option<&'a str> {
    let Expression::CallExpression(call) = expression else {
        return None;
    };
    let Expression::Identifier(name) = &call.callee else {
        return None;
    };
    match call.arguments.first() {
        Some(Argument::StringLiteral(text))
            if name.name == "require" && source.semantic.is_reference_to_global_variable(name) =>
        {
            Some(text.value.as_str())
        }
        _ => None,
    }
}

struct Danger<'d, 's, 'a> {
    source: &'d Source<'s, 'a>,
    modules: HashMap<SymbolId, Origin>,
    problems: &'d mut Problems,
}

impl Danger<'_, '_, '_> {
    fn warn(&mut self, offset: u32, message: impl Into<String>, help: &'static str) {
        self.problems.warning(RULE, offset as usize, message, help);
    }

    fn module(&mut self, name: &str, offset: u32) {
        let first = plain(name).split('/').next().unwrap_or(name);
        if let Some((module, what)) = MODULES.iter().find(|(module, _)| *module == first) {
            self.warn(offset, format!("`{module}` {what}"), HELP_OUTSIDE);
        }
    }

    fn is_global(&self, name: &IdentifierReference<'_>, text: &str) -> bool {
        name.name == text && self.source.semantic.is_reference_to_global_variable(name)
    }

    fn node(&mut self, kind: AstKind<'_>) {
        match kind {
            AstKind::ImportDeclaration(it) => {
                self.module(it.source.value.as_str(), it.source.span.start);
            }
            AstKind::ImportExpression(it) => {
                if let Expression::StringLiteral(text) = &it.source {
                    self.module(text.value.as_str(), text.span.start);
                }
            }
            AstKind::WithStatement(it) => self.warn(
                it.span.start,
                "`with` makes it unclear what a name means",
                "name the object and its members",
            ),
            AstKind::NewExpression(it) => self.callee(&it.callee, it.span.start, &it.arguments),
            AstKind::CallExpression(it) => {
                if let Expression::Identifier(name) = &it.callee
                    && self.is_global(name, "require")
                    && let Some(Argument::StringLiteral(text)) = it.arguments.first()
                {
                    self.module(text.value.as_str(), text.span.start);
                }
                self.callee(&it.callee, it.span.start, &it.arguments);
            }
            AstKind::AssignmentExpression(it) => {
                let is_prototype = match &it.left {
                    AssignmentTarget::StaticMemberExpression(member) => {
                        member.property.name == "__proto__"
                    }
                    AssignmentTarget::ComputedMemberExpression(member) => {
                        member.expression.is_specific_string_literal("__proto__")
                    }
                    _ => false,
                };
                if is_prototype {
                    self.warn(
                        it.span.start,
                        "this changes what an object inherits, for everybody who holds it",
                        "use `Object.create`, or a class",
                    );
                }
            }
            _ => {}
        }
    }

    fn callee(&mut self, callee: &Expression<'_>, offset: u32, arguments: &[Argument<'_>]) {
        match callee {
            Expression::Identifier(name) => {
                if self.is_global(name, "eval") || self.is_global(name, "Function") {
                    let shown = excerpt(&name.name);
                    self.warn(
                        offset,
                        format!("`{shown}` runs text as code"),
                        HELP_RUNS_TEXT,
                    );
                } else if (self.is_global(name, "setTimeout")
                    || self.is_global(name, "setInterval"))
                    && matches!(arguments.first(), Some(Argument::StringLiteral(_)))
                {
                    self.warn(
                        offset,
                        format!("`{}` runs text as code", name.name),
                        "pass a function",
                    );
                } else if let Some(member) = self.member_of_fs(name) {
                    self.writes(&member, offset);
                }
            }
            Expression::StaticMemberExpression(it) => {
                let member = it.property.name.as_str();
                match &it.object {
                    Expression::Identifier(name) if self.is_global(name, "process") => {
                        if matches!(member, "binding" | "_linkedBinding" | "dlopen") {
                            self.warn(
                                offset,
                                format!("`process.{member}` reaches into the engine"),
                                HELP_OUTSIDE,
                            );
                        }
                    }
                    Expression::Identifier(name) => {
                        if self.is_fs(name) {
                            self.writes(member, offset);
                        }
                    }
                    Expression::StaticMemberExpression(inner) => {
                        if inner.property.name == "promises"
                            && matches!(&inner.object, Expression::Identifier(name) if self.is_fs(name))
                        {
                            self.writes(member, offset);
                        }
                    }
                    object => {
                        if required(self.source, object).is_some_and(is_fs_name) {
                            self.writes(member, offset);
                        }
                    }
                }
            }
            _ => {}
        }
    }

    fn origin(&self, name: &IdentifierReference<'_>) -> Option<&Origin> {
        let reference = self
            .source
            .semantic
            .scoping()
            .get_reference(name.reference_id.get()?);
        self.modules.get(&reference.symbol_id()?)
    }

    /// Whether a name is `fs` or `fs.promises`.
    fn is_fs(&self, name: &IdentifierReference<'_>) -> bool {
        self.origin(name).is_some_and(|it| {
            is_fs_name(&it.module)
                && matches!(it.member.as_deref(), None | Some("default" | "promises"))
        })
    }

    fn member_of_fs(&self, name: &IdentifierReference<'_>) -> Option<String> {
        let origin = self.origin(name).filter(|it| is_fs_name(&it.module))?;
        origin.member.clone()
    }

    fn writes(&mut self, member: &str, offset: u32) {
        let base = member.strip_suffix("Sync").unwrap_or(member);
        if WRITES.contains(&base) {
            self.warn(
                offset,
                format!("`{}` changes files", excerpt(member)),
                HELP_OUTSIDE,
            );
        }
    }
}

fn is_fs_name(module: &str) -> bool {
    matches!(plain(module), "fs" | "fs/promises")
}
