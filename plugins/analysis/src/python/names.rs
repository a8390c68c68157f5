//! Names: those that mean nothing, and those that nobody reads.

use crate::project;
use crate::python::MINOR_VERSION;
use crate::python::scope::{Binding, BindingKind, Load, MODULE, Model, ScopeId, ScopeKind};
use formats::problem::{Lines, Problems, excerpt};
use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

static BUILTINS: LazyLock<HashSet<&'static str>> = LazyLock::new(|| {
    ruff_python_stdlib::builtins::python_builtins(MINOR_VERSION, false)
        .chain(MODULE_ATTRIBUTES.iter().copied())
        .collect()
});

/// What every module has without assigning it. `WindowsError` is missing: it exists on one system only.
const MODULE_ATTRIBUTES: &[&str] = &[
    "_IncompleteInputError",
    "__annotate__",
    "__annotations__",
    "__builtins__",
    "__cached__",
    "__conditional_annotations__",
    "__debug__",
    "__dict__",
    "__doc__",
    "__file__",
    "__loader__",
    "__name__",
    "__package__",
    "__spec__",
];

/// What a class body has without assigning it.
const CLASS_ATTRIBUTES: &[&str] = &[
    "__annotations__",
    "__classdict__",
    "__doc__",
    "__firstlineno__",
    "__module__",
    "__qualname__",
    "__static_attributes__",
    "__type_params__",
];

/// Local names that are read by tools which look at frames.
const READ_FROM_OUTSIDE: &[&str] = &[
    "__debuggerskip__",
    "__traceback_info__",
    "__traceback_supplement__",
    "__tracebackhide__",
    "__unittest",
];

/// Whether a name is there in every module.
pub(crate) fn is_builtin(name: &str) -> bool {
    BUILTINS.contains(name)
}

/// Reports names without a meaning, unless names come to be that the text does not show.
pub(crate) fn check_defined(path: &str, model: &Model<'_>, problems: &mut Problems) {
    if !model.has_hidden_names {
        undefined(path, model, problems);
    }
}

/// Reports names without a use.
pub(crate) fn check_used(path: &str, text: &str, model: &Model<'_>, problems: &mut Problems) {
    let reads = reads(model);
    let names = Unused {
        path,
        text,
        lines: Lines::new(text),
        model,
        reads: &reads,
    };
    names.imports(problems);
    names.variables(problems);
    redefined(model, &names.lines, problems);
}

/// Which names of which scope are read.
fn reads<'a>(model: &Model<'a>) -> HashSet<(ScopeId, &'a str)> {
    model
        .loads
        .iter()
        .filter_map(|load| Some((model.find(load)?, load.name)))
        .collect()
}

fn is_in_class(model: &Model<'_>, scope: ScopeId) -> bool {
    let mut at = Some(scope);
    while let Some(scope) = at.and_then(|id| model.scopes.get(id)) {
        if scope.kind == ScopeKind::Class {
            return true;
        }
        at = scope.parent;
    }
    false
}

/// Whether a class attribute that the interpreter makes is meant. Comprehensions of a class body see them not, but nobody is told so here.
fn is_given(model: &Model<'_>, load: &Load<'_>) -> bool {
    is_builtin(load.name)
        || model.added_builtins.contains(load.name)
        || ((load.name == "__class__" || CLASS_ATTRIBUTES.contains(&load.name))
            && is_in_class(model, load.scope))
}

fn undefined(path: &str, model: &Model<'_>, problems: &mut Problems) {
    let is_stub = path.ends_with(".pyi");
    let mut reported = HashSet::new();
    for load in &model.loads {
        if load.is_attempt || is_given(model, load) {
            continue;
        }
        let shown = excerpt(load.name);
        let Some(scope) = model.find(load) else {
            if reported.insert(load.offset) {
                // Looking for what was meant is dear, and findings beyond the bound are not listed.
                let help = if reported.len() <= MAX_SUGGESTIONS {
                    similar(model, load)
                } else {
                    String::new()
                };
                problems.error(
                    "python/undefined-name",
                    load.offset,
                    format!("the name `{shown}` is not defined"),
                    help,
                );
            }
            continue;
        };
        if is_stub || load.in_loop || load.is_late && load.scope == MODULE {
            continue;
        }
        let Some(bindings) = model
            .scopes
            .get(scope)
            .and_then(|it| it.names.get(load.name))
        else {
            continue;
        };
        if scope == MODULE && !load.is_late && comes_later(bindings, load) {
            problems.error(
                "python/undefined-name",
                load.offset,
                format!("the name `{shown}` is used before it is defined"),
                "move the definition before this line",
            );
        } else if load.scope == scope && is_deleted(bindings, load) {
            problems.error(
                "python/undefined-name",
                load.offset,
                format!("the name `{shown}` was deleted before this line"),
                "use it before `del`, or assign it again",
            );
        }
    }
}

/// Whether every binding stands after the read. What functions bind through `global` comes at a time that the text does not show.
fn comes_later(bindings: &[Binding<'_>], load: &Load<'_>) -> bool {
    bindings
        .iter()
        .all(|it| it.order > load.order && !it.is_from_function)
}

/// Whether the last thing that happened to the name before the read is a `del` that surely ran.
fn is_deleted(bindings: &[Binding<'_>], load: &Load<'_>) -> bool {
    bindings
        .iter()
        .filter(|it| it.order < load.order)
        .max_by_key(|it| it.order)
        .is_some_and(|it| matches!(it.kind, BindingKind::Deletion { straight: true }))
        && !bindings.iter().any(|it| it.is_from_function)
}

/// Says which name may have been meant.
fn similar(model: &Model<'_>, load: &Load<'_>) -> String {
    let mut candidates: Vec<&str> = Vec::new();
    let mut at = Some(load.scope);
    while let Some(scope) = at.and_then(|id| model.scopes.get(id)) {
        candidates.extend(scope.names.keys().copied());
        at = scope.parent;
    }
    candidates.extend(BUILTINS.iter().copied());
    candidates.sort_unstable();
    let close = candidates
        .into_iter()
        .filter(|it| *it != load.name)
        .map(|it| (distance(it, load.name), it))
        .filter(|(distance, it)| *distance <= it.len().min(load.name.len()).div_ceil(4))
        .min();
    match close {
        Some((_, name)) => format!(
            "`{}` is close to it; otherwise define or import it",
            excerpt(name)
        ),
        None => "define or import it".to_owned(),
    }
}

/// Names for which another one is suggested, as many as a file has findings.
const MAX_SUGGESTIONS: usize = 200;

/// Characters in a name that is compared with others: longer ones are no typing mistakes, and comparing costs their product.
const MAX_COMPARED_CHARS: usize = 40;

/// Single characters to insert, remove or replace.
fn distance(left: &str, right: &str) -> usize {
    if left.len() > MAX_COMPARED_CHARS
        || right.len() > MAX_COMPARED_CHARS
        || left.len().abs_diff(right.len()) > 2
    {
        return usize::MAX;
    }
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (line, a) in left.chars().enumerate() {
        let mut diagonal = line;
        let mut before = line + 1;
        if let Some(first) = row.first_mut() {
            *first = before;
        }
        for (b, cell) in right.iter().zip(row.iter_mut().skip(1)) {
            let cost = (diagonal + usize::from(a != *b))
                .min(before + 1)
                .min(*cell + 1);
            diagonal = *cell;
            *cell = cost;
            before = cost;
        }
    }
    row.last().copied().unwrap_or(usize::MAX)
}

struct Unused<'m, 'a> {
    path: &'m str,
    text: &'m str,
    lines: Lines,
    model: &'m Model<'a>,
    reads: &'m HashSet<(ScopeId, &'a str)>,
}

impl Unused<'_, '_> {
    fn imports(&self, problems: &mut Problems) {
        let file = project::name(self.path);
        if matches!(file, "__init__.py" | "__init__.pyi") {
            return;
        }
        // pytest looks fixtures up by the names of parameters.
        let has_fixtures =
            file.starts_with("test_") || file.ends_with("_test.py") || file == "conftest.py";
        let texts: Vec<&str> = self.text.split('\n').collect();
        for (id, scope) in self.model.scopes.iter().enumerate() {
            for (name, bindings) in &scope.names {
                let known = self.reads.contains(&(id, name))
                    || self.model.quoted.contains(name)
                    || (id == MODULE && self.model.exports.contains(name))
                    || (has_fixtures
                        && (self.model.parameters.contains(name) || file == "conftest.py"))
                    || scope.reads_locals
                    || scope.kind == ScopeKind::Class;
                if known {
                    continue;
                }
                for binding in bindings {
                    let BindingKind::Import(import) = &binding.kind else {
                        continue;
                    };
                    let silenced = [binding.offset, import.statement].iter().any(|offset| {
                        texts
                            .get(self.lines.line(*offset) - 1)
                            .is_some_and(|line| has_noqa(line))
                    });
                    if import.is_future || import.is_reexport || import.is_attempt || silenced {
                        continue;
                    }
                    problems.warning(
                        "python/unused-import",
                        binding.offset,
                        format!("`{}` is imported and never used", excerpt(import.shown)),
                        "remove the import, or list the name in `__all__` if others import it from here",
                    );
                }
            }
        }
    }

    fn variables(&self, problems: &mut Problems) {
        for (id, scope) in self.model.scopes.iter().enumerate() {
            if scope.kind != ScopeKind::Function || scope.reads_locals {
                continue;
            }
            for (name, bindings) in &scope.names {
                if name.starts_with('_')
                    || READ_FROM_OUTSIDE.contains(name)
                    || self.reads.contains(&(id, name))
                {
                    continue;
                }
                let simple = bindings
                    .iter()
                    .all(|it| matches!(it.kind, BindingKind::Assign | BindingKind::Handler(_)));
                let Some(first) = bindings.first().filter(|_| simple) else {
                    continue;
                };
                let shown = excerpt(name);
                let (message, help) = match first.kind {
                    BindingKind::Handler(_) => (
                        format!("the exception `{shown}` is named and never used"),
                        "leave `as …` out",
                    ),
                    _ => (
                        format!("the variable `{shown}` is assigned and never read"),
                        "remove it, or begin its name with `_` if it is there on purpose",
                    ),
                };
                problems.warning("python/unused-variable", first.offset, message, help);
            }
        }
    }
}

/// Whether a line says that unused imports in it are meant.
fn has_noqa(line: &str) -> bool {
    let Some((_, comment)) = line.split_once('#') else {
        return false;
    };
    let comment = comment.to_ascii_lowercase();
    let Some((_, rest)) = comment.split_once("noqa") else {
        return false;
    };
    match rest.trim_start().strip_prefix(':') {
        Some(codes) => codes.contains("f401") || codes.contains("unused-import"),
        None => true,
    }
}

/// Reports functions and classes that another one of the same name replaces before anybody could use them.
fn redefined(model: &Model<'_>, lines: &Lines, problems: &mut Problems) {
    let mut name_to_orders: HashMap<&str, Vec<u32>> = HashMap::new();
    for load in &model.loads {
        name_to_orders
            .entry(load.name)
            .or_default()
            .push(load.order);
    }
    for scope in &model.scopes {
        for (name, bindings) in &scope.names {
            if *name == "_" {
                continue;
            }
            for (first, second) in bindings.iter().zip(bindings.iter().skip(1)) {
                let (
                    BindingKind::Definition {
                        block,
                        decorated: false,
                    },
                    BindingKind::Definition {
                        block: other,
                        decorated: false,
                    },
                ) = (&first.kind, &second.kind)
                else {
                    continue;
                };
                let used = name_to_orders
                    .get(name)
                    .is_some_and(|it| it.iter().any(|at| first.order < *at && *at < second.order));
                if block == other && !used {
                    problems.warning(
                        "python/redefined",
                        second.offset,
                        format!(
                            "`{}` is defined again, and nothing used the one of line {}",
                            excerpt(name),
                            lines.line(first.offset)
                        ),
                        "remove or rename one of them",
                    );
                }
            }
        }
    }
}
