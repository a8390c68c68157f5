//! Constructs that are legal and mostly mean something else than they do.

use crate::project;
use formats::problem::{Lines, Problems, excerpt};
use ruff_python_ast::visitor::{Visitor, walk_except_handler, walk_expr, walk_stmt};
use ruff_python_ast::{
    CmpOp, ExceptHandler, Expr, ExprCompare, ExprDict, Number, Parameters, Stmt,
};
use ruff_text_size::Ranged;
use std::collections::HashMap;

/// Functions whose result is a container that can be changed.
const MUTABLE_CALLS: &[&str] = &[
    "bytearray",
    "Counter",
    "OrderedDict",
    "defaultdict",
    "deque",
    "dict",
    "list",
    "set",
];

/// Reports what probably goes wrong.
pub(crate) fn check(path: &str, text: &str, body: &[Stmt], problems: &mut Problems) {
    let mut habits = Habits {
        text,
        lines: None,
        is_stub: project::name(path).ends_with(".pyi"),
        problems,
    };
    habits.visit_body(body);
}

struct Habits<'p, 't> {
    text: &'t str,
    lines: Option<Lines>,
    is_stub: bool,
    problems: &'p mut Problems,
}

impl Habits<'_, '_> {
    fn defaults(&mut self, parameters: &Parameters) {
        for parameter in parameters.iter_non_variadic_params() {
            let Some(default) = parameter.default.as_deref() else {
                continue;
            };
            if is_mutable(default) {
                self.problems.warning(
                    "python/mutable-default",
                    default.range().start().to_usize(),
                    format!(
                        "the default of `{}` is made once and shared by all calls",
                        excerpt(parameter.name().as_str())
                    ),
                    "use `None` as the default and make the value in the function",
                );
            }
        }
    }

    fn unreachable(&mut self, body: &[Stmt]) {
        for (statement, next) in body.iter().zip(body.iter().skip(1)) {
            let word = match statement {
                Stmt::Return(_) => "return",
                Stmt::Raise(_) => "raise",
                Stmt::Break(_) => "break",
                Stmt::Continue(_) => "continue",
                _ => continue,
            };
            // A `yield` that never runs makes a function a generator.
            let makes_generator = matches!(next, Stmt::Expr(it) if matches!(&*it.value, Expr::Yield(_) | Expr::YieldFrom(_)));
            if !makes_generator {
                self.problems.warning(
                    "python/unreachable",
                    next.range().start().to_usize(),
                    format!("this never runs: it stands behind `{word}`"),
                    "remove it, or move it before",
                );
            }
            return;
        }
    }

    fn comparison(&mut self, it: &ExprCompare) {
        let mut left = &*it.left;
        for (operator, right) in it.ops.iter().zip(&it.comparators) {
            let compares = !matches!(operator, CmpOp::In | CmpOp::NotIn);
            if compares
                && is_plain(left)
                && is_plain(right)
                && self.source(left) == self.source(right)
            {
                self.problems.warning(
                    "python/comparison-with-itself",
                    left.range().start().to_usize(),
                    format!("`{}` is compared with itself", excerpt(self.source(left))),
                    "compare with something else; `math.isnan` tells what is no number",
                );
            }
            left = right;
        }
    }

    fn source(&self, expr: &Expr) -> &str {
        let range = expr.range();
        self.text
            .get(range.start().to_usize()..range.end().to_usize())
            .unwrap_or_default()
    }

    fn keys(&mut self, it: &ExprDict) {
        let mut seen: HashMap<String, usize> = HashMap::new();
        for key in it.items.iter().filter_map(|item| item.key.as_ref()) {
            let Some(identity) = identity(key) else {
                continue;
            };
            let offset = key.range().start().to_usize();
            if let Some(&first) = seen.get(&identity) {
                let line = self
                    .lines
                    .get_or_insert_with(|| Lines::new(self.text))
                    .line(first);
                let shown = excerpt(self.source(key));
                self.problems.warning(
                    "python/duplicate-key",
                    offset,
                    format!("the key `{shown}` stands here again, first on line {line}"),
                    "remove or rename one of them: only the last one counts",
                );
            } else {
                seen.insert(identity, offset);
            }
        }
    }
}

/// Names and attributes of names, which give the same value when they are read twice in a row.
fn is_plain(expr: &Expr) -> bool {
    match expr {
        Expr::Name(_) => true,
        Expr::Attribute(it) => is_plain(&it.value),
        _ => false,
    }
}

/// What makes two literal keys the same; nothing for keys that are computed.
fn identity(key: &Expr) -> Option<String> {
    match key {
        Expr::StringLiteral(it) => Some(format!("s{}", it.value.to_str())),
        Expr::BytesLiteral(it) => Some(format!("b{:?}", it.value.bytes().collect::<Vec<u8>>())),
        Expr::NumberLiteral(it) => match &it.value {
            Number::Int(int) => Some(format!("i{int}")),
            _ => None,
        },
        Expr::BooleanLiteral(it) => Some(format!("t{}", it.value)),
        Expr::NoneLiteral(_) => Some("n".to_owned()),
        _ => None,
    }
}

fn is_mutable(default: &Expr) -> bool {
    match default {
        Expr::List(_)
        | Expr::Dict(_)
        | Expr::Set(_)
        | Expr::ListComp(_)
        | Expr::DictComp(_)
        | Expr::SetComp(_) => true,
        Expr::Call(call) => match &*call.func {
            Expr::Name(name) => MUTABLE_CALLS.contains(&name.id.as_str()),
            Expr::Attribute(it) => {
                matches!(&*it.value, Expr::Name(name) if name.id.as_str() == "collections")
                    && MUTABLE_CALLS.contains(&it.attr.as_str())
            }
            _ => false,
        },
        _ => false,
    }
}

impl<'a> Visitor<'a> for Habits<'_, '_> {
    fn visit_body(&mut self, body: &'a [Stmt]) {
        self.unreachable(body);
        for statement in body {
            self.visit_stmt(statement);
        }
    }

    fn visit_stmt(&mut self, stmt: &'a Stmt) {
        match stmt {
            Stmt::FunctionDef(it) if !self.is_stub => self.defaults(&it.parameters),
            Stmt::Assert(it) => {
                if matches!(&*it.test, Expr::Tuple(tuple) if !tuple.elts.is_empty()) {
                    self.problems.error(
                        "python/assert-tuple",
                        it.range.start().to_usize(),
                        "this always holds: a tuple with something in it counts as true",
                        "remove the parentheses around the condition and the message",
                    );
                }
                // Whether something equals itself is what a test of `__eq__` asks.
                if matches!(&*it.test, Expr::Compare(_)) {
                    return;
                }
            }
            _ => {}
        }
        walk_stmt(self, stmt);
    }

    fn visit_except_handler(&mut self, handler: &'a ExceptHandler) {
        let ExceptHandler::ExceptHandler(it) = handler;
        let raises_again = it
            .body
            .iter()
            .any(|statement| matches!(statement, Stmt::Raise(raise) if raise.exc.is_none()));
        if it.type_.is_none() && !raises_again {
            self.problems.note(
                "python/bare-except",
                it.range.start().to_usize(),
                "this also catches `KeyboardInterrupt` and `SystemExit`",
                "name what is expected, or use `except Exception:`",
            );
        }
        walk_except_handler(self, handler);
    }

    fn visit_expr(&mut self, expr: &'a Expr) {
        match expr {
            Expr::Lambda(it) => {
                if let Some(parameters) = &it.parameters {
                    self.defaults(parameters);
                }
            }
            Expr::Compare(it) => self.comparison(it),
            Expr::Dict(it) => self.keys(it),
            _ => {}
        }
        walk_expr(self, expr);
    }
}
