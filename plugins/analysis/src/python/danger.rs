//! Calls and names that run what nobody wrote down, leave the program, or reach into the interpreter. They are often right, and always worth a look.

use crate::python::scope::Model;
use formats::problem::{Level, Problems, excerpt};
use ruff_python_ast::visitor::{Visitor, walk_expr, walk_stmt};
use ruff_python_ast::{Arguments, Expr, ExprCall, Stmt};
use ruff_text_size::Ranged;

const RULE: &str = "python/dangerous-call";

const HELP_RUNS_TEXT: &str =
    "parse the text instead, such as with `ast.literal_eval` or `json.loads`";
const HELP_PROCESS: &str =
    "do without another program, or pass a list of arguments that come from trusted text only";
const HELP_LOADS: &str = "loading can run any code that the data names: use JSON";
const HELP_INTERPRETER: &str =
    "this reaches into the interpreter: pass what is needed as an argument";
const HELP_OUTSIDE: &str =
    "this reaches out of the program: leave it to a caller that is allowed to";

/// Functions by their full name, what they do, and what to do instead.
const CALLS: &[(&str, &str, &str)] = &[
    ("builtins.eval", "runs text as code", HELP_RUNS_TEXT),
    ("builtins.exec", "runs text as code", HELP_RUNS_TEXT),
    ("builtins.compile", "makes code of text", HELP_RUNS_TEXT),
    (
        "builtins.__import__",
        "imports what a text names",
        "use an `import` statement",
    ),
    (
        "importlib.import_module",
        "imports what a text names",
        "use an `import` statement",
    ),
    (
        "os.system",
        "runs another program through a shell",
        HELP_PROCESS,
    ),
    (
        "os.popen",
        "runs another program through a shell",
        HELP_PROCESS,
    ),
    ("pickle.load", "makes objects of data", HELP_LOADS),
    ("pickle.loads", "makes objects of data", HELP_LOADS),
    ("pickle.Unpickler", "makes objects of data", HELP_LOADS),
    ("marshal.load", "makes code of data", HELP_LOADS),
    ("marshal.loads", "makes code of data", HELP_LOADS),
    ("shelve.open", "makes objects of data", HELP_LOADS),
    (
        "tempfile.mktemp",
        "names a file that somebody else may make first",
        "use `tempfile.mkstemp` or `tempfile.NamedTemporaryFile`",
    ),
    (
        "sys.settrace",
        "watches every line that runs",
        HELP_INTERPRETER,
    ),
    ("sys.setprofile", "watches every call", HELP_INTERPRETER),
    (
        "sys._getframe",
        "reads the frames of callers",
        HELP_INTERPRETER,
    ),
    (
        "inspect.currentframe",
        "reads the frames of callers",
        HELP_INTERPRETER,
    ),
    (
        "inspect.stack",
        "reads the frames of callers",
        HELP_INTERPRETER,
    ),
    (
        "gc.get_objects",
        "reads every object of the program",
        HELP_INTERPRETER,
    ),
    (
        "gc.get_referrers",
        "reads objects of others",
        HELP_INTERPRETER,
    ),
    (
        "atexit.register",
        "runs code when the program has ended",
        "clean up with `with` or `try` and `finally`",
    ),
];

/// Modules that reach out of the program or around the language.
const MODULES: &[(&str, &str)] = &[
    ("ctypes", "calls code outside of the language"),
    ("_ctypes", "calls code outside of the language"),
    ("socket", "talks to the network"),
    ("_socket", "talks to the network"),
];

/// Attributes that lead from any object to every other one.
const ATTRIBUTES: &[&str] = &["__subclasses__", "__globals__", "__builtins__"];

/// Reports what deserves a second look.
pub(crate) fn check(body: &[Stmt], model: &Model<'_>, problems: &mut Problems) {
    let mut danger = Danger {
        model,
        problems,
        functions: 0,
        is_main: false,
    };
    danger.visit_body(body);
}

struct Danger<'m, 'a> {
    model: &'m Model<'a>,
    problems: &'m mut Problems,
    /// Functions around.
    functions: u32,
    /// Below `if __name__ == "__main__"`.
    is_main: bool,
}

impl Danger<'_, '_> {
    fn warn(&mut self, offset: usize, message: String, help: &'static str) {
        self.problems.warning(RULE, offset, message, help);
    }

    fn imported(&mut self, module: &str, offset: usize) {
        let first = module.split('.').next().unwrap_or(module);
        if let Some((_, what)) = MODULES.iter().find(|(name, _)| *name == first) {
            self.warn(offset, format!("`{first}` {what}"), HELP_OUTSIDE);
        }
    }

    fn call(&mut self, call: &ExprCall) {
        let offset = call.range().start().to_usize();
        let Some(path) = self.model.path(&call.func) else {
            return;
        };
        let shown = excerpt(path.strip_prefix("builtins.").unwrap_or(&path));
        if let Some((_, what, help)) = CALLS.iter().find(|(name, _, _)| *name == path) {
            self.warn(offset, format!("`{shown}` {what}"), help);
        } else if path.starts_with("subprocess.")
            || path.starts_with("os.exec")
            || path.starts_with("os.spawn")
            || path.starts_with("os.posix_spawn")
        {
            self.warn(
                offset,
                format!("`{shown}` runs another program"),
                HELP_PROCESS,
            );
        } else if matches!(path.as_str(), "yaml.load" | "yaml.load_all") {
            if !has_safe_loader(&call.arguments) {
                self.warn(
                    offset,
                    format!("`{shown}` without a safe loader makes any object that the text names"),
                    "use `yaml.safe_load`",
                );
            }
        } else if matches!(path.as_str(), "builtins.setattr" | "builtins.delattr") {
            let target = call
                .arguments
                .args
                .first()
                .and_then(|it| self.model.path(it));
            if target.is_some_and(|it| is_builtins(&it)) {
                self.tampering(offset);
            }
        } else if matches!(
            path.as_str(),
            "sys.exit" | "os._exit" | "builtins.exit" | "builtins.quit"
        ) && self.functions == 0
            && !self.is_main
        {
            self.problems.add(
                Level::Note,
                RULE,
                offset,
                format!("`{shown}` ends the program of whoever imports this module"),
                "call it in a function, or below `if __name__ == \"__main__\":`",
            );
        }
    }

    fn tampering(&mut self, offset: usize) {
        self.warn(
            offset,
            "this changes a builtin for the whole program".to_owned(),
            "give the own version an own name",
        );
    }

    fn assigned(&mut self, target: &Expr) {
        let owner = match target {
            Expr::Attribute(it) => &it.value,
            Expr::Subscript(it) => &it.value,
            _ => return,
        };
        if self.model.path(owner).is_some_and(|it| is_builtins(&it)) {
            self.tampering(target.range().start().to_usize());
        }
    }
}

/// Whether a path is the module `builtins` or its other names.
fn is_builtins(path: &str) -> bool {
    matches!(
        path,
        "builtins"
            | "builtins.__builtins__"
            | "builtins.__dict__"
            | "builtins.__builtins__.__dict__"
    )
}

fn has_safe_loader(arguments: &Arguments) -> bool {
    let loader = arguments
        .find_keyword("Loader")
        .map(|keyword| &keyword.value)
        .or_else(|| arguments.args.get(1));
    match loader {
        Some(Expr::Name(name)) => {
            name.id.as_str().contains("Safe") || name.id.as_str() == "BaseLoader"
        }
        Some(Expr::Attribute(it)) => {
            it.attr.as_str().contains("Safe") || it.attr.as_str() == "BaseLoader"
        }
        _ => false,
    }
}

/// Whether a condition compares `__name__` with `"__main__"`.
fn is_main_guard(test: &Expr) -> bool {
    let Expr::Compare(it) = test else {
        return false;
    };
    let is_name = |expr: &Expr| matches!(expr, Expr::Name(name) if name.id.as_str() == "__name__");
    is_name(&it.left) || it.comparators.iter().any(is_name)
}

impl<'a> Visitor<'a> for Danger<'_, '_> {
    fn visit_stmt(&mut self, stmt: &'a Stmt) {
        match stmt {
            Stmt::Import(it) => {
                for alias in &it.names {
                    self.imported(alias.name.as_str(), alias.range.start().to_usize());
                }
            }
            Stmt::ImportFrom(it) => {
                if let (0, Some(module)) = (it.level, &it.module) {
                    self.imported(module.as_str(), it.range.start().to_usize());
                }
            }
            Stmt::Assign(it) => {
                for target in &it.targets {
                    self.assigned(target);
                }
                walk_stmt(self, stmt);
            }
            Stmt::FunctionDef(_) => {
                self.functions += 1;
                walk_stmt(self, stmt);
                self.functions -= 1;
            }
            Stmt::If(it) if is_main_guard(&it.test) => {
                let outer = std::mem::replace(&mut self.is_main, true);
                walk_stmt(self, stmt);
                self.is_main = outer;
            }
            _ => walk_stmt(self, stmt),
        }
    }

    fn visit_expr(&mut self, expr: &'a Expr) {
        match expr {
            Expr::Call(call) => self.call(call),
            Expr::Attribute(it) if ATTRIBUTES.contains(&it.attr.as_str()) => {
                self.warn(
                    it.attr.range.start().to_usize(),
                    format!("`{}` leads to objects that nobody handed over", it.attr),
                    HELP_INTERPRETER,
                );
            }
            Expr::Lambda(_) => {
                self.functions += 1;
                walk_expr(self, expr);
                self.functions -= 1;
                return;
            }
            _ => {}
        }
        walk_expr(self, expr);
    }
}
