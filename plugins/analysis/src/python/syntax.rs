//! Syntax errors: the parser's, those of constructs that are too new, and those that need to know where a statement stands.

use crate::python::MINOR_VERSION;
use crate::python::scope::Model;
use formats::problem::{Problems, excerpt};
use ruff_python_ast::visitor::{Visitor, walk_expr, walk_stmt};
use ruff_python_ast::{
    Comprehension, ExceptHandler, Expr, Parameters, PySourceType, PythonVersion, Stmt,
};
use ruff_python_parser::semantic_errors::{
    LazyImportContext, SemanticSyntaxChecker, SemanticSyntaxContext, SemanticSyntaxError,
    SemanticSyntaxErrorKind,
};
use ruff_python_parser::{ParseOptions, parse_unchecked};
use ruff_text_size::{Ranged, TextRange};
use std::cell::RefCell;
use std::collections::{HashMap, HashSet};

/// Syntax errors that are listed: the later ones mostly follow from the first.
const MAX_ERRORS: usize = 50;

const HELP: &str =
    "correct the syntax; the rest of the file is looked at when there is no such error";

/// The statements of a module, or nothing when there is a syntax error.
pub(crate) fn parse(path: &str, text: &str, problems: &mut Problems) -> Option<Vec<Stmt>> {
    let is_stub = path.ends_with(".pyi");
    let source_type = if is_stub {
        PySourceType::Stub
    } else {
        PySourceType::Python
    };
    let version = PythonVersion {
        major: 3,
        minor: MINOR_VERSION,
    };
    let parsed = parse_unchecked(
        text,
        ParseOptions::from(source_type).with_target_version(version),
    );
    let mut found: Vec<(usize, &'static str, String)> = parsed
        .errors()
        .iter()
        .map(|error| {
            (
                error.location.start().to_usize(),
                "python/syntax",
                error.error.to_string(),
            )
        })
        .collect();
    found.extend(parsed.unsupported_syntax_errors().iter().map(|error| {
        (
            error.range().start().to_usize(),
            "python/syntax",
            error.to_string(),
        )
    }));
    let module = parsed.try_into_module()?;
    let body: Vec<Stmt> = module.into_syntax().body.into_iter().collect();
    if found.is_empty() {
        let mut placement = Placement::new(text, version, is_stub);
        placement.visit_body(&body);
        found.extend(placement.errors.into_inner().iter().map(|error| {
            (
                error.range.start().to_usize(),
                rule_of(&error.kind),
                error.to_string(),
            )
        }));
    }
    if found.is_empty() {
        return Some(body);
    }
    found.sort();
    found.dedup();
    let total = found.len();
    for (offset, rule, message) in found.into_iter().take(MAX_ERRORS) {
        problems.error(rule, offset, excerpt(&message), HELP);
    }
    if total > MAX_ERRORS {
        problems.note(
            "python/syntax",
            None,
            format!("{} more syntax errors are not listed", total - MAX_ERRORS),
            "",
        );
    }
    None
}

fn rule_of(kind: &SemanticSyntaxErrorKind) -> &'static str {
    match kind {
        SemanticSyntaxErrorKind::ReturnOutsideFunction => "python/return-outside-function",
        SemanticSyntaxErrorKind::YieldOutsideFunction(kind) => {
            if kind.is_await() {
                "python/await-outside-function"
            } else {
                "python/yield-outside-function"
            }
        }
        SemanticSyntaxErrorKind::AwaitOutsideAsyncFunction(_) => "python/await-outside-function",
        SemanticSyntaxErrorKind::BreakOutsideLoop
        | SemanticSyntaxErrorKind::ContinueOutsideLoop => "python/outside-loop",
        _ => "python/syntax",
    }
}

/// Reports `nonlocal` names that no function around has; the parser's own checks do not know of bindings.
pub(crate) fn check_nonlocals(model: &Model<'_>, problems: &mut Problems) {
    for (name, offset) in model.dangling_nonlocals() {
        problems.error(
            "python/syntax",
            offset,
            format!(
                "no function around has a name `{}` for `nonlocal`",
                excerpt(name)
            ),
            "assign the name in the function around, or use `global`",
        );
    }
}

enum Scope {
    Module,
    Class,
    Function {
        is_async: bool,
        parameters: HashSet<String>,
        globals: HashMap<String, TextRange>,
    },
    Lambda {
        parameters: HashSet<String>,
    },
    /// A generator expression runs later; the other comprehensions run where they stand.
    Comprehension {
        is_generator: bool,
        is_async: bool,
    },
}

/// Walks the tree and tells the parser's checker where each statement stands.
struct Placement<'a> {
    checker: SemanticSyntaxChecker,
    errors: RefCell<Vec<SemanticSyntaxError>>,
    text: &'a str,
    version: PythonVersion,
    is_stub: bool,
    has_future_annotations: bool,
    scopes: Vec<Scope>,
    loops: usize,
    tries: usize,
}

impl<'a> Placement<'a> {
    fn new(text: &'a str, version: PythonVersion, is_stub: bool) -> Self {
        Self {
            checker: SemanticSyntaxChecker::new(),
            errors: RefCell::default(),
            text,
            version,
            is_stub,
            has_future_annotations: false,
            scopes: vec![Scope::Module],
            loops: 0,
            tries: 0,
        }
    }

    fn with_checker(&mut self, ask: impl FnOnce(&mut SemanticSyntaxChecker, &Self)) {
        let mut checker = std::mem::take(&mut self.checker);
        ask(&mut checker, self);
        self.checker = checker;
    }

    fn within(&mut self, scope: Scope, walk: impl FnOnce(&mut Self)) {
        let loops = match scope {
            Scope::Comprehension { .. } => self.loops,
            _ => std::mem::take(&mut self.loops),
        };
        self.scopes.push(scope);
        walk(self);
        self.scopes.pop();
        self.loops = loops;
    }

    fn looping(&mut self, body: &'a [Stmt]) {
        self.loops += 1;
        self.visit_body(body);
        self.loops -= 1;
    }

    fn comprehension(
        &mut self,
        parts: &[&'a Expr],
        generators: &'a [Comprehension],
        is_generator: bool,
    ) {
        let Some((first, rest)) = generators.split_first() else {
            return;
        };
        self.visit_expr(&first.iter);
        let scope = Scope::Comprehension {
            is_generator,
            is_async: generators.iter().any(|it| it.is_async),
        };
        self.within(scope, |this| {
            this.visit_expr(&first.target);
            for condition in &first.ifs {
                this.visit_expr(condition);
            }
            for generator in rest {
                this.visit_comprehension(generator);
            }
            for part in parts {
                this.visit_expr(part);
            }
        });
    }
}

fn parameter_names(parameters: &Parameters) -> HashSet<String> {
    parameters.iter().map(|it| it.name().to_string()).collect()
}

/// The names that `global` declares in a body, not in functions and classes within it.
fn declared_globals(body: &[Stmt], names: &mut HashMap<String, TextRange>) {
    for statement in body {
        match statement {
            Stmt::Global(it) => {
                for name in &it.names {
                    names.entry(name.to_string()).or_insert(it.range);
                }
            }
            Stmt::If(it) => {
                declared_globals(&it.body, names);
                for clause in &it.elif_else_clauses {
                    declared_globals(&clause.body, names);
                }
            }
            Stmt::For(it) => {
                declared_globals(&it.body, names);
                declared_globals(&it.orelse, names);
            }
            Stmt::While(it) => {
                declared_globals(&it.body, names);
                declared_globals(&it.orelse, names);
            }
            Stmt::With(it) => declared_globals(&it.body, names),
            Stmt::Match(it) => {
                for case in &it.cases {
                    declared_globals(&case.body, names);
                }
            }
            Stmt::Try(it) => {
                declared_globals(&it.body, names);
                for ExceptHandler::ExceptHandler(handler) in &it.handlers {
                    declared_globals(&handler.body, names);
                }
                declared_globals(&it.orelse, names);
                declared_globals(&it.finalbody, names);
            }
            _ => {}
        }
    }
}

impl<'a> Visitor<'a> for Placement<'a> {
    fn visit_stmt(&mut self, stmt: &'a Stmt) {
        self.with_checker(|checker, context| checker.visit_stmt(stmt, context));
        match stmt {
            Stmt::ImportFrom(it) => {
                if it.module.as_deref() == Some("__future__")
                    && it
                        .names
                        .iter()
                        .any(|alias| alias.name.as_str() == "annotations")
                {
                    self.has_future_annotations = true;
                }
            }
            Stmt::FunctionDef(it) => {
                for decorator in &it.decorator_list {
                    self.visit_decorator(decorator);
                }
                if let Some(type_params) = &it.type_params {
                    self.visit_type_params(type_params);
                }
                self.visit_parameters(&it.parameters);
                if let Some(returns) = &it.returns {
                    self.visit_annotation(returns);
                }
                let mut globals = HashMap::new();
                declared_globals(&it.body, &mut globals);
                let scope = Scope::Function {
                    is_async: it.is_async,
                    parameters: parameter_names(&it.parameters),
                    globals,
                };
                self.within(scope, |this| this.visit_body(&it.body));
            }
            Stmt::ClassDef(it) => {
                for decorator in &it.decorator_list {
                    self.visit_decorator(decorator);
                }
                if let Some(type_params) = &it.type_params {
                    self.visit_type_params(type_params);
                }
                if let Some(arguments) = &it.arguments {
                    self.visit_arguments(arguments);
                }
                self.within(Scope::Class, |this| this.visit_body(&it.body));
            }
            Stmt::For(it) => {
                self.visit_expr(&it.iter);
                self.visit_expr(&it.target);
                self.looping(&it.body);
                self.visit_body(&it.orelse);
            }
            Stmt::While(it) => {
                self.visit_expr(&it.test);
                self.looping(&it.body);
                self.visit_body(&it.orelse);
            }
            Stmt::Try(_) => {
                self.tries += 1;
                walk_stmt(self, stmt);
                self.tries -= 1;
            }
            _ => walk_stmt(self, stmt),
        }
    }

    fn visit_expr(&mut self, expr: &'a Expr) {
        self.with_checker(|checker, context| checker.visit_expr(expr, context));
        match expr {
            Expr::Lambda(it) => {
                if let Some(parameters) = &it.parameters {
                    self.visit_parameters(parameters);
                }
                let parameters = it
                    .parameters
                    .as_deref()
                    .map(parameter_names)
                    .unwrap_or_default();
                self.within(Scope::Lambda { parameters }, |this| {
                    this.visit_expr(&it.body)
                });
            }
            Expr::ListComp(it) => self.comprehension(&[&it.elt], &it.generators, false),
            Expr::SetComp(it) => self.comprehension(&[&it.elt], &it.generators, false),
            Expr::Generator(it) => self.comprehension(&[&it.elt], &it.generators, true),
            Expr::DictComp(it) => {
                let parts: Vec<&Expr> = it
                    .key
                    .as_deref()
                    .into_iter()
                    .chain(std::iter::once(&*it.value))
                    .collect();
                self.comprehension(&parts, &it.generators, false);
            }
            _ => walk_expr(self, expr),
        }
    }
}

impl SemanticSyntaxContext for Placement<'_> {
    fn future_annotations_or_stub(&self) -> bool {
        self.is_stub || self.has_future_annotations
    }

    fn lazy_import_context(&self) -> Option<LazyImportContext> {
        match self.scopes.last() {
            Some(Scope::Function { .. } | Scope::Lambda { .. }) => {
                Some(LazyImportContext::Function)
            }
            Some(Scope::Class) => Some(LazyImportContext::Class),
            _ if self.tries > 0 => Some(LazyImportContext::TryExceptBlocks),
            _ => None,
        }
    }

    fn python_version(&self) -> PythonVersion {
        self.version
    }

    fn source(&self) -> &str {
        self.text
    }

    fn global(&self, name: &str) -> Option<TextRange> {
        match self.scopes.last() {
            Some(Scope::Function { globals, .. }) => globals.get(name).copied(),
            _ => None,
        }
    }

    // `check_nonlocals` knows better.
    fn has_nonlocal_binding(&self, _name: &str) -> bool {
        true
    }

    fn in_async_context(&self) -> bool {
        self.scopes
            .iter()
            .rev()
            .find_map(|scope| match scope {
                Scope::Function { is_async, .. } => Some(*is_async),
                Scope::Class | Scope::Lambda { .. } => Some(false),
                Scope::Module | Scope::Comprehension { .. } => None,
            })
            .unwrap_or(false)
    }

    fn in_await_allowed_context(&self) -> bool {
        self.scopes
            .iter()
            .rev()
            .find_map(|scope| match scope {
                Scope::Function { .. } | Scope::Lambda { .. } => Some(true),
                Scope::Class => Some(false),
                Scope::Comprehension { is_generator, .. } => is_generator.then_some(true),
                Scope::Module => None,
            })
            .unwrap_or(false)
    }

    fn in_yield_allowed_context(&self) -> bool {
        matches!(
            self.scopes.last(),
            Some(Scope::Function { .. } | Scope::Lambda { .. })
        )
    }

    fn in_sync_comprehension(&self) -> bool {
        self.scopes.iter().any(|scope| {
            matches!(
                scope,
                Scope::Comprehension {
                    is_generator: false,
                    is_async: false
                }
            )
        })
    }

    fn in_class_body_comprehension(&self) -> bool {
        let mut inner = self
            .scopes
            .iter()
            .rev()
            .skip_while(|scope| matches!(scope, Scope::Comprehension { .. }));
        matches!(inner.next(), Some(Scope::Class))
    }

    fn in_module_scope(&self) -> bool {
        matches!(self.scopes.last(), Some(Scope::Module))
    }

    fn in_function_scope(&self) -> bool {
        self.in_yield_allowed_context()
    }

    fn in_generator_context(&self) -> bool {
        self.scopes.iter().any(|scope| {
            matches!(
                scope,
                Scope::Comprehension {
                    is_generator: true,
                    ..
                }
            )
        })
    }

    fn in_notebook(&self) -> bool {
        false
    }

    fn report_semantic_error(&self, error: SemanticSyntaxError) {
        self.errors.borrow_mut().push(error);
    }

    fn in_loop_context(&self) -> bool {
        self.loops > 0
    }

    fn is_bound_parameter(&self, name: &str) -> bool {
        match self.scopes.last() {
            Some(Scope::Function { parameters, .. } | Scope::Lambda { parameters }) => {
                parameters.contains(name)
            }
            _ => false,
        }
    }
}
