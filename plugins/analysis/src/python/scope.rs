//! Where the names of a module are bound and where they are read: scopes as the language has them, without judging any of it.
//!
//! The model does not follow the flow of control. A name counts as bound in its whole scope, as a conditional assignment may have run. Only the
//! order of the text is kept, for the few places where it decides.

use crate::project;
use ruff_python_ast::visitor::{
    Visitor, walk_decorator, walk_expr, walk_pattern, walk_stmt, walk_type_param,
};
use ruff_python_ast::{
    Arguments, Comprehension, ExceptHandler, Expr, ExprContext, Parameters, Pattern, Stmt,
    StmtClassDef, StmtFunctionDef, StmtTry, TypeParam, TypeParams,
};
use ruff_text_size::TextRange;
use std::collections::{BTreeMap, HashMap, HashSet};

/// An index into [`Model::scopes`].
pub(crate) type ScopeId = usize;

/// The scope of the module itself.
pub(crate) const MODULE: ScopeId = 0;

/// What kind of scope it is, as lookups differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ScopeKind {
    Module,
    Class,
    Function,
    Comprehension,
    /// Holds the type parameters of a function, a class or an alias.
    TypeParams,
}

/// What gave a name its value.
#[derive(Clone, Debug)]
pub(crate) enum BindingKind<'a> {
    /// `name = value`, alone on its side.
    Assign,
    /// `except Error as name`, which is gone after the handler.
    Handler(TextRange),
    Import(Import<'a>),
    /// A function or class, with the statement list it stands in.
    Definition {
        block: u32,
        decorated: bool,
    },
    /// `del name`; straight when nothing decides whether it runs.
    Deletion {
        straight: bool,
    },
    /// Parameters, loops, `with`, patterns, tuples and whatever else is often left unread on purpose.
    Other,
}

/// An imported name.
#[derive(Clone, Debug)]
pub(crate) struct Import<'a> {
    /// What it stands for, such as `os.path` for `from os import path`.
    pub(crate) target: String,
    /// As it was written, for messages.
    pub(crate) shown: &'a str,
    /// `import x as x`, which hands the name on.
    pub(crate) is_reexport: bool,
    /// From `__future__`, which binds nothing of use.
    pub(crate) is_future: bool,
    /// Whether failing is expected: below `try` with `except ImportError`.
    pub(crate) is_attempt: bool,
    /// Where the statement begins, which may be lines above the name.
    pub(crate) statement: usize,
}

/// One binding.
#[derive(Clone, Debug)]
pub(crate) struct Binding<'a> {
    pub(crate) kind: BindingKind<'a>,
    pub(crate) offset: usize,
    /// Position in the order of the walk.
    pub(crate) order: u32,
    /// Whether a function bound it through `global` or `nonlocal`, at a time that the text does not show.
    pub(crate) is_from_function: bool,
}

/// A scope and the names bound in it.
#[derive(Debug)]
pub(crate) struct Scope<'a> {
    pub(crate) kind: ScopeKind,
    pub(crate) parent: Option<ScopeId>,
    /// Ordered, so that the same file gives the same findings even where there are too many of them.
    pub(crate) names: BTreeMap<&'a str, Vec<Binding<'a>>>,
    /// Names that `global` or `nonlocal` took out of the scope.
    globals: HashSet<&'a str>,
    nonlocals: HashMap<&'a str, usize>,
    /// Whether `locals()` is called in it, which reads everything.
    pub(crate) reads_locals: bool,
}

/// A place where a name is read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load<'a> {
    pub(crate) name: &'a str,
    pub(crate) scope: ScopeId,
    pub(crate) offset: usize,
    pub(crate) order: u32,
    /// Whether it is read when the module is complete at the earliest, or perhaps never: in a function, a generator or an annotation.
    pub(crate) is_late: bool,
    pub(crate) in_loop: bool,
    /// Below `try` with `except NameError`.
    pub(crate) is_attempt: bool,
}

/// A statement that imports.
#[derive(Debug)]
pub(crate) struct ImportStatement<'a> {
    /// Dots before the name.
    pub(crate) level: u32,
    pub(crate) module: &'a str,
    /// The names behind `import` of a `from` statement.
    pub(crate) members: Vec<&'a str>,
    pub(crate) offset: usize,
    /// Whether the program goes on without it: below `try` with `except ImportError`, or for type checkers only.
    pub(crate) is_optional: bool,
}

/// What a name that is read stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    Builtin,
    /// An import, by its target.
    Import(String),
    Other,
    Unknown,
}

/// All scopes and reads of a module.
#[derive(Debug, Default)]
pub(crate) struct Model<'a> {
    pub(crate) scopes: Vec<Scope<'a>>,
    pub(crate) loads: Vec<Load<'a>>,
    pub(crate) imports: Vec<ImportStatement<'a>>,
    /// The names of `__all__`.
    pub(crate) exports: HashSet<&'a str>,
    /// Names in strings that are annotations.
    pub(crate) quoted: HashSet<&'a str>,
    /// Names of parameters, which pytest looks up among what is imported.
    pub(crate) parameters: HashSet<&'a str>,
    /// Whether names come to be that the text does not show: `from x import *`, `exec`, writes to `globals()`.
    pub(crate) has_hidden_names: bool,
    /// Names set on `builtins`.
    pub(crate) added_builtins: HashSet<&'a str>,
    /// Targets of loads, by offset.
    meanings: HashMap<usize, Meaning>,
}

impl<'a> Model<'a> {
    /// The scope and name that a read finds, if any.
    pub(crate) fn find(&self, load: &Load<'a>) -> Option<ScopeId> {
        let mut at = load.scope;
        let mut only_type_params = true;
        loop {
            let scope = self.scopes.get(at)?;
            let visible = scope.kind != ScopeKind::Class || at == load.scope || only_type_params;
            if visible {
                if scope.globals.contains(load.name) {
                    return self.is_bound(MODULE, load.name).then_some(MODULE);
                }
                if self.is_bound(at, load.name) && self.is_alive(at, load) {
                    return Some(at);
                }
            }
            only_type_params &= scope.kind == ScopeKind::TypeParams;
            at = scope.parent?;
        }
    }

    fn is_bound(&self, scope: ScopeId, name: &str) -> bool {
        self.scopes
            .get(scope)
            .and_then(|scope| scope.names.get(name))
            .is_some_and(|bindings| {
                bindings
                    .iter()
                    .any(|it| !matches!(it.kind, BindingKind::Deletion { .. }))
            })
    }

    /// False when the name is bound by handlers only and read outside of all of them.
    fn is_alive(&self, scope: ScopeId, load: &Load<'a>) -> bool {
        if load.scope != scope || load.is_late && scope == MODULE {
            return true;
        }
        let Some(bindings) = self
            .scopes
            .get(scope)
            .and_then(|it| it.names.get(load.name))
        else {
            return true;
        };
        bindings.iter().any(|it| match it.kind {
            BindingKind::Handler(range) => {
                range.start().to_usize() <= load.offset && load.offset < range.end().to_usize()
            }
            BindingKind::Deletion { .. } => false,
            _ => true,
        })
    }

    /// What the name at an offset stands for.
    pub(crate) fn meaning(&self, offset: usize) -> &Meaning {
        self.meanings.get(&offset).unwrap_or(&Meaning::Unknown)
    }

    /// The dotted path that an expression stands for, with imports followed: `system` after `from os import system` is `os.system`. Builtins are
    /// below `builtins`.
    pub(crate) fn path(&self, expr: &Expr) -> Option<String> {
        match expr {
            Expr::Name(name) => match self.meaning(name.range.start().to_usize()) {
                Meaning::Builtin => Some(format!("builtins.{}", name.id)),
                Meaning::Import(target) => Some(target.clone()),
                Meaning::Other | Meaning::Unknown => None,
            },
            Expr::Attribute(attribute) => Some(format!(
                "{}.{}",
                self.path(&attribute.value)?,
                attribute.attr
            )),
            _ => None,
        }
    }

    /// Names and places of `nonlocal` without a function around that has the name.
    pub(crate) fn dangling_nonlocals(&self) -> Vec<(&'a str, usize)> {
        let mut found = Vec::new();
        for scope in &self.scopes {
            for (&name, &offset) in &scope.nonlocals {
                let mut at = scope.parent;
                // The cell of the class, which is there in every method.
                let mut bound = name == "__class__";
                while let Some(outer) = at.and_then(|id| self.scopes.get(id)) {
                    bound |= matches!(outer.kind, ScopeKind::Function | ScopeKind::TypeParams)
                        && (outer.names.contains_key(name) || outer.nonlocals.contains_key(name));
                    at = outer.parent;
                }
                if !bound {
                    found.push((name, offset));
                }
            }
        }
        found.sort_by_key(|(_, offset)| *offset);
        found
    }

    /// What is written through `nonlocal` is bound in the function around.
    fn share_nonlocals(&mut self) {
        let mut shared: Vec<(ScopeId, &'a str, usize)> = Vec::new();
        for scope in &self.scopes {
            for (&name, &offset) in &scope.nonlocals {
                let mut at = scope.parent;
                while let Some((id, outer)) = at.and_then(|id| Some((id, self.scopes.get(id)?))) {
                    if outer.kind == ScopeKind::Function && outer.names.contains_key(name) {
                        shared.push((id, name, offset));
                        break;
                    }
                    at = outer.parent;
                }
            }
        }
        for (id, name, offset) in shared {
            if let Some(bindings) = self
                .scopes
                .get_mut(id)
                .and_then(|it| it.names.get_mut(name))
            {
                bindings.push(Binding {
                    kind: BindingKind::Other,
                    offset,
                    order: u32::MAX,
                    is_from_function: true,
                });
            }
        }
    }

    fn resolve(&mut self) {
        self.share_nonlocals();
        let meanings = self
            .loads
            .iter()
            .map(|load| (load.offset, self.meaning_of(load)))
            .collect();
        self.meanings = meanings;
    }

    fn meaning_of(&self, load: &Load<'a>) -> Meaning {
        let Some(scope) = self.find(load) else {
            return if super::names::is_builtin(load.name) {
                Meaning::Builtin
            } else {
                Meaning::Unknown
            };
        };
        self.scopes
            .get(scope)
            .and_then(|it| it.names.get(load.name))
            .and_then(|bindings| {
                bindings.iter().find_map(|it| match &it.kind {
                    BindingKind::Import(import) => Some(Meaning::Import(import.target.clone())),
                    _ => None,
                })
            })
            .unwrap_or(Meaning::Other)
    }
}

/// Reads the scopes of a module.
pub(crate) fn build<'a>(path: &str, body: &'a [Stmt]) -> Model<'a> {
    let mut builder = Builder {
        model: Model::default(),
        scope: MODULE,
        order: 0,
        blocks: 0,
        block: 0,
        depth: 0,
        loops: 0,
        late: 0,
        attempts: 0,
        import_attempts: 0,
        annotation: 0,
        is_stub: path.ends_with(".pyi"),
    };
    builder.open(ScopeKind::Module);
    if project::name(path) == "__init__.py" {
        builder.bind("__path__", BindingKind::Other, 0);
    }
    builder.visit_body(body);
    builder.model.resolve();
    builder.model
}

struct Builder<'a> {
    model: Model<'a>,
    scope: ScopeId,
    order: u32,
    blocks: u32,
    /// The statement list that is walked.
    block: u32,
    /// Statement lists below the body of the scope.
    depth: u32,
    loops: u32,
    /// Functions, generators and annotations around.
    late: u32,
    attempts: u32,
    import_attempts: u32,
    annotation: u32,
    is_stub: bool,
}

impl<'a> Builder<'a> {
    fn open(&mut self, kind: ScopeKind) -> ScopeId {
        let id = self.model.scopes.len();
        self.model.scopes.push(Scope {
            kind,
            parent: (id != MODULE).then_some(self.scope),
            names: BTreeMap::new(),
            globals: HashSet::new(),
            nonlocals: HashMap::new(),
            reads_locals: false,
        });
        id
    }

    /// Walks something in a new scope.
    fn within(&mut self, kind: ScopeKind, walk: impl FnOnce(&mut Self)) {
        let id = self.open(kind);
        let outer = std::mem::replace(&mut self.scope, id);
        let depth = std::mem::take(&mut self.depth);
        walk(self);
        self.scope = outer;
        self.depth = depth;
    }

    fn late(&mut self, walk: impl FnOnce(&mut Self)) {
        self.late += 1;
        walk(self);
        self.late -= 1;
    }

    /// A function's body: loops and attempts around it are not around its calls.
    fn function(&mut self, walk: impl FnOnce(&mut Self)) {
        let loops = std::mem::take(&mut self.loops);
        let attempts = std::mem::take(&mut self.attempts);
        self.late(|this| this.within(ScopeKind::Function, walk));
        self.loops = loops;
        self.attempts = attempts;
    }

    const fn tick(&mut self) -> u32 {
        self.order = self.order.saturating_add(1);
        self.order
    }

    fn current(&mut self) -> Option<&mut Scope<'a>> {
        self.model.scopes.get_mut(self.scope)
    }

    fn bind(&mut self, name: &'a str, kind: BindingKind<'a>, offset: usize) {
        self.bind_in(self.scope, name, kind, offset);
    }

    fn bind_in(&mut self, scope: ScopeId, name: &'a str, kind: BindingKind<'a>, offset: usize) {
        let order = self.tick();
        let Some(found) = self.model.scopes.get(scope) else {
            return;
        };
        if found.nonlocals.contains_key(name) {
            // It belongs to a function around; that it is written here says nothing about reads there.
            return;
        }
        let is_global = found.globals.contains(name);
        let target = if is_global { MODULE } else { scope };
        if let Some(scope) = self.model.scopes.get_mut(target) {
            scope.names.entry(name).or_default().push(Binding {
                kind,
                offset,
                order,
                is_from_function: is_global,
            });
        }
    }

    fn load(&mut self, name: &'a str, offset: usize) {
        let order = self.tick();
        self.model.loads.push(Load {
            name,
            scope: self.scope,
            offset,
            order,
            is_late: self.late > 0 || self.is_stub,
            in_loop: self.loops > 0,
            is_attempt: self.attempts > 0,
        });
    }

    /// The scope that a `:=` writes to: comprehensions hand it on.
    fn walrus_scope(&self) -> ScopeId {
        let mut at = self.scope;
        while let Some(scope) = self.model.scopes.get(at) {
            match (scope.kind, scope.parent) {
                (ScopeKind::Comprehension, Some(parent)) => at = parent,
                _ => break,
            }
        }
        at
    }

    fn looping(&mut self, walk: impl FnOnce(&mut Self)) {
        self.loops += 1;
        walk(self);
        self.loops -= 1;
    }

    /// A target of an assignment: `kind` for a name alone, `Other` for what is inside tuples.
    fn target(&mut self, target: &'a Expr, kind: BindingKind<'a>) {
        match target {
            Expr::Name(name) => self.bind(name.id.as_str(), kind, name.range.start().to_usize()),
            Expr::Tuple(it) => {
                for part in &it.elts {
                    self.target(part, BindingKind::Other);
                }
            }
            Expr::List(it) => {
                for part in &it.elts {
                    self.target(part, BindingKind::Other);
                }
            }
            Expr::Starred(it) => self.target(&it.value, BindingKind::Other),
            Expr::Attribute(it) => {
                if let Expr::Name(owner) = &*it.value
                    && matches!(
                        owner.id.as_str(),
                        "builtins" | "__builtins__" | "__builtin__"
                    )
                {
                    self.model.added_builtins.insert(it.attr.as_str());
                }
                self.visit_expr(&it.value);
            }
            other => self.visit_expr(other),
        }
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
        self.late += u32::from(is_generator);
        self.within(ScopeKind::Comprehension, |this| {
            this.target(&first.target, BindingKind::Other);
            for condition in &first.ifs {
                this.visit_expr(condition);
            }
            for generator in rest {
                this.visit_expr(&generator.iter);
                this.target(&generator.target, BindingKind::Other);
                for condition in &generator.ifs {
                    this.visit_expr(condition);
                }
            }
            for part in parts {
                this.visit_expr(part);
            }
        });
        self.late -= u32::from(is_generator);
    }

    fn defaults(&mut self, parameters: &'a Parameters) {
        for parameter in parameters.iter_non_variadic_params() {
            if let Some(default) = &parameter.default {
                self.visit_expr(default);
            }
        }
    }

    fn bind_parameters(&mut self, parameters: &'a Parameters) {
        for parameter in parameters.iter() {
            let name = parameter.name();
            self.model.parameters.insert(name.as_str());
            self.bind(
                name.as_str(),
                BindingKind::Other,
                name.range.start().to_usize(),
            );
        }
    }

    fn with_type_params(&mut self, params: Option<&'a TypeParams>, walk: impl FnOnce(&mut Self)) {
        match params {
            None => walk(self),
            Some(params) => self.within(ScopeKind::TypeParams, |this| {
                this.visit_type_params(params);
                walk(this);
            }),
        }
    }

    fn function_definition(&mut self, it: &'a StmtFunctionDef) {
        for decorator in &it.decorator_list {
            walk_decorator(self, decorator);
        }
        self.defaults(&it.parameters);
        self.with_type_params(it.type_params.as_deref(), |this| {
            for parameter in it.parameters.iter() {
                if let Some(annotation) = parameter.as_parameter().annotation() {
                    this.visit_annotation(annotation);
                }
            }
            if let Some(returns) = &it.returns {
                this.visit_annotation(returns);
            }
            this.function(|this| {
                this.bind_parameters(&it.parameters);
                this.visit_body(&it.body);
            });
        });
        let kind = BindingKind::Definition {
            block: self.block,
            decorated: !it.decorator_list.is_empty(),
        };
        self.bind(it.name.as_str(), kind, it.name.range.start().to_usize());
    }

    fn class_definition(&mut self, it: &'a StmtClassDef) {
        for decorator in &it.decorator_list {
            // Puts the members of an enumeration into the module.
            self.model.has_hidden_names |= names_one_of(&decorator.expression, &["global_enum"]);
            walk_decorator(self, decorator);
        }
        self.with_type_params(it.type_params.as_deref(), |this| {
            if let Some(arguments) = &it.arguments {
                this.visit_arguments(arguments);
            }
            this.within(ScopeKind::Class, |this| this.visit_body(&it.body));
        });
        let kind = BindingKind::Definition {
            block: self.block,
            decorated: !it.decorator_list.is_empty(),
        };
        self.bind(it.name.as_str(), kind, it.name.range.start().to_usize());
    }

    /// A statement list that may run or not.
    fn branch(&mut self, body: &'a [Stmt]) {
        self.depth += 1;
        self.visit_body(body);
        self.depth -= 1;
    }

    fn attempt(&mut self, it: &'a StmtTry) {
        let catches = |names: &[&str]| {
            it.handlers
                .iter()
                .any(|ExceptHandler::ExceptHandler(handler)| {
                    handler
                        .type_
                        .as_deref()
                        .is_none_or(|kind| names_one_of(kind, names))
                })
        };
        let names = catches(&["NameError", "Exception", "BaseException"]);
        let imports = catches(&[
            "ImportError",
            "ModuleNotFoundError",
            "Exception",
            "BaseException",
        ]);
        self.attempts += u32::from(names);
        self.import_attempts += u32::from(imports);
        self.branch(&it.body);
        self.attempts -= u32::from(names);
        // What stands in place of a module that is missing is allowed to be missing, too.
        for ExceptHandler::ExceptHandler(handler) in &it.handlers {
            if let Some(kind) = &handler.type_ {
                self.visit_expr(kind);
            }
            if let Some(name) = &handler.name {
                self.bind(
                    name.as_str(),
                    BindingKind::Handler(handler.range),
                    name.range.start().to_usize(),
                );
            }
            self.branch(&handler.body);
        }
        self.import_attempts -= u32::from(imports);
        self.branch(&it.orelse);
        self.branch(&it.finalbody);
    }

    fn export_all(&mut self, value: &'a Expr) {
        let mut strings = Strings(Vec::new());
        strings.visit_expr(value);
        self.model.exports.extend(strings.0);
    }

    fn call(&mut self, func: &'a Expr, arguments: &'a Arguments) {
        match func {
            Expr::Name(name) => match name.id.as_str() {
                "locals" | "vars" | "dir" if arguments.is_empty() => {
                    if let Some(scope) = self.current() {
                        scope.reads_locals = true;
                    }
                }
                "exec" | "eval" => {
                    if let Some(scope) = self.current() {
                        scope.reads_locals = true;
                    }
                    self.model.has_hidden_names |= name.id.as_str() == "exec";
                }
                "cast" | "TypeVar" | "ForwardRef" | "NewType" | "NamedTuple" | "TypedDict" => {
                    self.quote_arguments(arguments);
                }
                _ => {}
            },
            Expr::Attribute(it) => {
                let owner = match &*it.value {
                    Expr::Name(name) => Some(name.id.as_str()),
                    _ => None,
                };
                match (owner, it.attr.as_str()) {
                    (Some("__all__"), "extend" | "append") => {
                        for argument in &*arguments.args {
                            self.export_all(argument);
                        }
                    }
                    (Some("typing" | "t"), "cast" | "TypeVar" | "ForwardRef" | "NewType") => {
                        self.quote_arguments(arguments);
                    }
                    // `gettext.install` and its kind.
                    (_, "install") => self.model.added_builtins.extend([
                        "_",
                        "gettext",
                        "ngettext",
                        "npgettext",
                        "pgettext",
                    ]),
                    // Makes an enumeration of the module's names and puts its members into the module.
                    (_, "_convert_" | "_convert") => self.model.has_hidden_names = true,
                    // `globals().update(…)` and its kind.
                    (None, "update" | "setdefault" | "__setitem__") if is_namespace(&it.value) => {
                        self.model.has_hidden_names = true;
                    }
                    _ => {}
                }
            }
            _ => {}
        }
        // Handed to somebody else, who may write to it.
        let passed = arguments
            .args
            .iter()
            .chain(arguments.keywords.iter().map(|keyword| &keyword.value));
        for argument in passed {
            if is_namespace(argument) {
                self.model.has_hidden_names = true;
            }
        }
    }

    fn quote_arguments(&mut self, arguments: &'a Arguments) {
        let mut strings = Strings(Vec::new());
        strings.visit_arguments(arguments);
        for text in strings.0 {
            self.quote(text);
        }
    }

    fn quote(&mut self, text: &'a str) {
        self.model.quoted.extend(
            text.split(|it: char| !(it.is_alphanumeric() || it == '_'))
                .filter(|it| !it.is_empty()),
        );
    }
}

/// Whether an expression is `globals()`, `vars()`, `locals()` or a `__dict__`.
fn is_namespace(expr: &Expr) -> bool {
    match expr {
        Expr::Call(call) => {
            matches!(&*call.func, Expr::Name(name) if matches!(name.id.as_str(), "globals" | "vars" | "locals"))
                && call.arguments.is_empty()
        }
        Expr::Attribute(it) => it.attr.as_str() == "__dict__",
        _ => false,
    }
}

/// Whether the type behind `except` is one of the names, or a tuple with one of them.
fn names_one_of(kind: &Expr, names: &[&str]) -> bool {
    match kind {
        Expr::Name(name) => names.contains(&name.id.as_str()),
        Expr::Attribute(it) => names.contains(&it.attr.as_str()),
        Expr::Tuple(it) => it.elts.iter().any(|part| names_one_of(part, names)),
        _ => false,
    }
}

/// Whether a condition is false when a program runs: `TYPE_CHECKING`.
fn is_type_checking(test: &Expr) -> bool {
    match test {
        Expr::Name(name) => name.id.as_str() == "TYPE_CHECKING",
        Expr::Attribute(it) => it.attr.as_str() == "TYPE_CHECKING",
        _ => false,
    }
}

struct Strings<'a>(Vec<&'a str>);

impl<'a> Visitor<'a> for Strings<'a> {
    fn visit_expr(&mut self, expr: &'a Expr) {
        if let Expr::StringLiteral(it) = expr {
            self.0.extend(it.value.iter().map(|part| &*part.value));
        }
        walk_expr(self, expr);
    }
}

impl<'a> Visitor<'a> for Builder<'a> {
    fn visit_body(&mut self, body: &'a [Stmt]) {
        self.blocks += 1;
        let block = std::mem::replace(&mut self.block, self.blocks);
        for statement in body {
            self.visit_stmt(statement);
        }
        self.block = block;
    }

    fn visit_stmt(&mut self, stmt: &'a Stmt) {
        match stmt {
            Stmt::FunctionDef(it) => self.function_definition(it),
            Stmt::ClassDef(it) => self.class_definition(it),
            Stmt::TypeAlias(it) => {
                self.target(&it.name, BindingKind::Other);
                self.with_type_params(it.type_params.as_deref(), |this| {
                    this.visit_annotation(&it.value);
                });
            }
            Stmt::Assign(it) => {
                self.visit_expr(&it.value);
                for target in &it.targets {
                    if matches!(target, Expr::Name(name) if name.id.as_str() == "__all__") {
                        self.export_all(&it.value);
                    }
                    if let Expr::Subscript(subscript) = target
                        && is_namespace(&subscript.value)
                    {
                        self.model.has_hidden_names = true;
                    }
                    self.target(target, BindingKind::Assign);
                }
            }
            Stmt::AugAssign(it) => {
                if let Expr::Name(name) = &*it.target {
                    if name.id.as_str() == "__all__" {
                        self.export_all(&it.value);
                    }
                    self.load(name.id.as_str(), name.range.start().to_usize());
                }
                self.visit_expr(&it.value);
                self.target(&it.target, BindingKind::Other);
            }
            Stmt::AnnAssign(it) => {
                if let Some(value) = &it.value {
                    if matches!(&*it.target, Expr::Name(name) if name.id.as_str() == "__all__") {
                        self.export_all(value);
                    }
                    self.visit_expr(value);
                }
                self.visit_annotation(&it.annotation);
                let kind = match it.value {
                    Some(_) => BindingKind::Assign,
                    None => BindingKind::Other,
                };
                self.target(&it.target, kind);
            }
            Stmt::Delete(it) => {
                for target in &it.targets {
                    let straight = self.depth == 0 && self.loops == 0;
                    self.deletion(target, straight);
                }
            }
            Stmt::For(it) => {
                self.visit_expr(&it.iter);
                self.looping(|this| {
                    this.target(&it.target, BindingKind::Other);
                    this.branch(&it.body);
                });
                self.branch(&it.orelse);
            }
            Stmt::While(it) => {
                self.looping(|this| {
                    this.visit_expr(&it.test);
                    this.branch(&it.body);
                });
                self.branch(&it.orelse);
            }
            Stmt::If(it) => {
                self.visit_expr(&it.test);
                let optional = u32::from(is_type_checking(&it.test));
                self.import_attempts += optional;
                self.branch(&it.body);
                self.import_attempts -= optional;
                for clause in &it.elif_else_clauses {
                    if let Some(test) = &clause.test {
                        self.visit_expr(test);
                    }
                    self.branch(&clause.body);
                }
            }
            Stmt::With(it) => {
                for item in &it.items {
                    self.visit_expr(&item.context_expr);
                    if let Some(target) = &item.optional_vars {
                        self.target(target, BindingKind::Other);
                    }
                }
                // `contextlib.suppress(ImportError)` is a `try` in other words.
                let suppresses = it.items.iter().any(|item| match &item.context_expr {
                    Expr::Call(call) => call.arguments.args.iter().any(|argument| {
                        names_one_of(
                            argument,
                            &["ImportError", "ModuleNotFoundError", "NameError"],
                        )
                    }),
                    _ => false,
                });
                self.import_attempts += u32::from(suppresses);
                self.attempts += u32::from(suppresses);
                self.branch(&it.body);
                self.import_attempts -= u32::from(suppresses);
                self.attempts -= u32::from(suppresses);
            }
            Stmt::Match(it) => {
                self.visit_expr(&it.subject);
                for case in &it.cases {
                    self.visit_pattern(&case.pattern);
                    if let Some(guard) = &case.guard {
                        self.visit_expr(guard);
                    }
                    self.branch(&case.body);
                }
            }
            Stmt::Try(it) => self.attempt(it),
            Stmt::Import(it) => {
                for alias in &it.names {
                    let full = alias.name.as_str();
                    let first = full.split('.').next().unwrap_or(full);
                    self.model.imports.push(ImportStatement {
                        level: 0,
                        module: full,
                        members: Vec::new(),
                        offset: alias.range.start().to_usize(),
                        is_optional: self.import_attempts > 0,
                    });
                    let (name, target) = match &alias.asname {
                        Some(name) => (name.as_str(), full),
                        None => (first, first),
                    };
                    let import = Import {
                        target: target.to_owned(),
                        shown: full,
                        is_reexport: alias.asname.is_some() && name == full,
                        is_future: false,
                        is_attempt: self.import_attempts > 0,
                        statement: it.range.start().to_usize(),
                    };
                    let offset = alias.range.start().to_usize();
                    self.bind(name, BindingKind::Import(import), offset);
                }
            }
            Stmt::ImportFrom(it) => {
                let module = it.module.as_ref().map_or("", |name| name.as_str());
                self.model.imports.push(ImportStatement {
                    level: it.level,
                    module,
                    members: it.names.iter().map(|alias| alias.name.as_str()).collect(),
                    offset: it.range.start().to_usize(),
                    is_optional: self.import_attempts > 0,
                });
                for alias in &it.names {
                    let member = alias.name.as_str();
                    if member == "*" {
                        self.model.has_hidden_names = true;
                        continue;
                    }
                    let name = alias.asname.as_ref().map_or(member, |name| name.as_str());
                    let dots = ".".repeat(it.level as usize);
                    let import = Import {
                        target: format!("{dots}{module}.{member}"),
                        shown: member,
                        is_reexport: alias.asname.is_some() && name == member,
                        is_future: it.level == 0 && module == "__future__",
                        is_attempt: self.import_attempts > 0,
                        statement: it.range.start().to_usize(),
                    };
                    let offset = alias.range.start().to_usize();
                    self.bind(name, BindingKind::Import(import), offset);
                }
            }
            Stmt::Global(it) => {
                for name in &it.names {
                    let name_text = name.as_str();
                    if self.scope != MODULE {
                        if let Some(scope) = self.current() {
                            scope.globals.insert(name_text);
                        }
                        // Whoever declares it means that it will be there.
                        self.bind(name_text, BindingKind::Other, name.range.start().to_usize());
                    }
                }
            }
            Stmt::Nonlocal(it) => {
                for name in &it.names {
                    let offset = name.range.start().to_usize();
                    let parent = self.model.scopes.get(self.scope).and_then(|it| it.parent);
                    if let Some(scope) = self.current() {
                        scope.nonlocals.insert(name.as_str(), offset);
                    }
                    // The function around shares the name, which is a use of it.
                    let inner = self.scope;
                    self.scope = parent.unwrap_or(inner);
                    self.load(name.as_str(), offset);
                    self.scope = inner;
                }
            }
            _ => walk_stmt(self, stmt),
        }
    }

    fn visit_annotation(&mut self, expr: &'a Expr) {
        self.annotation += 1;
        self.late(|this| this.visit_expr(expr));
        self.annotation -= 1;
    }

    fn visit_expr(&mut self, expr: &'a Expr) {
        match expr {
            Expr::Name(name) => {
                let (text, offset) = (name.id.as_str(), name.range.start().to_usize());
                match name.ctx {
                    ExprContext::Store => self.bind(text, BindingKind::Other, offset),
                    _ => self.load(text, offset),
                }
            }
            Expr::Named(it) => {
                self.visit_expr(&it.value);
                if let Expr::Name(name) = &*it.target {
                    let scope = self.walrus_scope();
                    let offset = name.range.start().to_usize();
                    self.bind_in(scope, name.id.as_str(), BindingKind::Other, offset);
                }
            }
            Expr::Lambda(it) => {
                if let Some(parameters) = &it.parameters {
                    self.defaults(parameters);
                }
                self.function(|this| {
                    if let Some(parameters) = &it.parameters {
                        this.bind_parameters(parameters);
                    }
                    this.visit_expr(&it.body);
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
            Expr::Call(it) => {
                self.call(&it.func, &it.arguments);
                walk_expr(self, expr);
            }
            Expr::StringLiteral(it) if self.annotation > 0 => {
                for part in &it.value {
                    self.quote(&part.value);
                }
            }
            _ => walk_expr(self, expr),
        }
    }

    fn visit_pattern(&mut self, pattern: &'a Pattern) {
        let name = match pattern {
            Pattern::MatchStar(it) => it.name.as_ref(),
            Pattern::MatchAs(it) => it.name.as_ref(),
            Pattern::MatchMapping(it) => it.rest.as_ref(),
            _ => None,
        };
        if let Some(name) = name {
            self.bind(
                name.as_str(),
                BindingKind::Other,
                name.range.start().to_usize(),
            );
        }
        walk_pattern(self, pattern);
    }

    fn visit_type_params(&mut self, params: &'a TypeParams) {
        for param in params {
            let name = match param {
                TypeParam::TypeVar(it) => &it.name,
                TypeParam::TypeVarTuple(it) => &it.name,
                TypeParam::ParamSpec(it) => &it.name,
            };
            self.bind(
                name.as_str(),
                BindingKind::Other,
                name.range.start().to_usize(),
            );
        }
        for param in params {
            self.late(|this| walk_type_param(this, param));
        }
    }
}

impl<'a> Builder<'a> {
    fn deletion(&mut self, target: &'a Expr, straight: bool) {
        match target {
            Expr::Name(name) => {
                let (text, offset) = (name.id.as_str(), name.range.start().to_usize());
                self.load(text, offset);
                self.bind(text, BindingKind::Deletion { straight }, offset);
            }
            Expr::Tuple(it) => {
                for part in &it.elts {
                    self.deletion(part, straight);
                }
            }
            Expr::List(it) => {
                for part in &it.elts {
                    self.deletion(part, straight);
                }
            }
            other => self.visit_expr(other),
        }
    }
}
