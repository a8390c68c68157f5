//! Constructs that are legal and mostly mean something else than they do.

use crate::javascript::Source;
use formats::problem::{Lines, Problems, excerpt};
use oxc_ast::AstKind;
use oxc_ast::ast::{
    Expression, ObjectExpression, ObjectPropertyKind, PropertyKind, Statement,
    VariableDeclarationKind,
};
use oxc_span::{GetSpan, Span};
use std::collections::HashMap;

/// Digits up to which every whole number has a value of its own.
const EXACT_DIGITS: usize = 15;

/// Reports what probably goes wrong.
pub(crate) fn check(source: &Source<'_, '_>, problems: &mut Problems) {
    let mut habits = Habits {
        source,
        lines: None,
        problems,
    };
    for node in source.semantic.nodes().iter() {
        habits.node(node.kind());
    }
}

struct Habits<'d, 's, 'a> {
    source: &'d Source<'s, 'a>,
    lines: Option<Lines>,
    problems: &'d mut Problems,
}

impl Habits<'_, '_, '_> {
    fn node(&mut self, kind: AstKind<'_>) {
        match kind {
            AstKind::Program(it) => self.unreachable(&it.body),
            AstKind::FunctionBody(it) => self.unreachable(&it.statements),
            AstKind::BlockStatement(it) => self.unreachable(&it.body),
            AstKind::StaticBlock(it) => self.unreachable(&it.body),
            AstKind::SwitchCase(it) => self.unreachable(&it.consequent),
            AstKind::ObjectExpression(it) => self.keys(it),
            AstKind::BinaryExpression(it) => {
                let compares = it.operator.is_equality() || it.operator.is_compare();
                let (left, right) = (self.text(it.left.span()), self.text(it.right.span()));
                if compares && is_plain(&it.left) && is_plain(&it.right) && left == right {
                    let shown = excerpt(left);
                    self.problems.warning(
                        "javascript/comparison-with-itself",
                        it.span.start as usize,
                        format!("`{shown}` is compared with itself"),
                        "compare with something else; `Number.isNaN` tells what is no number",
                    );
                }
            }
            AstKind::IfStatement(it) => self.condition(&it.test),
            AstKind::WhileStatement(it) => self.condition(&it.test),
            AstKind::DoWhileStatement(it) => self.condition(&it.test),
            AstKind::ConditionalExpression(it) => self.condition(&it.test),
            AstKind::ForStatement(it) => {
                if let Some(test) = &it.test {
                    self.condition(test);
                }
            }
            AstKind::NumericLiteral(it) => {
                let raw = it.raw.as_ref().map_or("", |raw| raw.as_str());
                if loses_precision(raw, it.value) {
                    let shown = excerpt(raw);
                    self.problems.warning(
                        "javascript/loss-of-precision",
                        it.span.start as usize,
                        format!(
                            "`{shown}` is no number that can be kept: it becomes {}",
                            it.value
                        ),
                        "write it as a `BigInt`, with `n` behind it, or as a string",
                    );
                }
            }
            _ => {}
        }
    }

    fn text(&self, span: Span) -> &str {
        self.source
            .text
            .get(span.start as usize..span.end as usize)
            .unwrap_or_default()
    }

    fn unreachable(&mut self, body: &[Statement<'_>]) {
        let mut statements = body.iter();
        let word = statements.find_map(|statement| match statement {
            Statement::ReturnStatement(_) => Some("return"),
            Statement::ThrowStatement(_) => Some("throw"),
            Statement::BreakStatement(_) => Some("break"),
            Statement::ContinueStatement(_) => Some("continue"),
            _ => None,
        });
        let Some(word) = word else {
            return;
        };
        if let Some(next) = statements.find(|statement| runs(statement)) {
            self.problems.warning(
                "javascript/unreachable",
                next.span().start as usize,
                format!("this never runs: it stands behind `{word}`"),
                "remove it, or move it before",
            );
        }
    }

    fn condition(&mut self, test: &Expression<'_>) {
        if let Expression::AssignmentExpression(it) = test {
            self.problems.warning(
                "javascript/assignment-in-condition",
                it.span.start as usize,
                "this assigns, and the condition is what was assigned",
                "compare with `===`, or put parentheses around the assignment if it is meant",
            );
        }
    }

    fn keys(&mut self, object: &ObjectExpression<'_>) {
        let mut seen: HashMap<(String, u8), u32> = HashMap::new();
        for property in &object.properties {
            let ObjectPropertyKind::ObjectProperty(it) = property else {
                continue;
            };
            let Some(name) = it.key.static_name().filter(|name| name != "__proto__") else {
                continue;
            };
            let kind = match it.kind {
                PropertyKind::Init => 0,
                PropertyKind::Get => 1,
                PropertyKind::Set => 2,
            };
            let name = name.into_owned();
            let shown = excerpt(&name);
            if let Some(first) = seen.get(&(name.clone(), kind)) {
                let text = self.source.text;
                let line = self
                    .lines
                    .get_or_insert_with(|| Lines::new(text))
                    .line(*first as usize);
                self.problems.warning(
                    "javascript/duplicate-key",
                    it.span.start as usize,
                    format!("the key `{shown}` stands here again, first on line {line}"),
                    "remove or rename one of them: only the last one counts",
                );
            } else {
                seen.insert((name, kind), it.span.start);
            }
        }
    }
}

/// Whether a statement does anything where it stands: declarations that are hoisted, types and semicolons do not.
fn runs(statement: &Statement<'_>) -> bool {
    match statement {
        Statement::FunctionDeclaration(_)
        | Statement::EmptyStatement(_)
        | Statement::TSTypeAliasDeclaration(_)
        | Statement::TSInterfaceDeclaration(_) => false,
        // A switch has the habit of `return x; break;`.
        Statement::BreakStatement(_) => false,
        Statement::VariableDeclaration(it) => {
            it.kind != VariableDeclarationKind::Var
                || it
                    .declarations
                    .iter()
                    .any(|declaration| declaration.init.is_some())
        }
        _ => true,
    }
}

/// Names and members of names, which give the same value when they are read twice in a row.
fn is_plain(expression: &Expression<'_>) -> bool {
    match expression {
        Expression::Identifier(_) | Expression::ThisExpression(_) => true,
        Expression::StaticMemberExpression(it) => is_plain(&it.object),
        _ => false,
    }
}

/// Whether a whole decimal number is written with digits that its value does not have.
fn loses_precision(raw: &str, value: f64) -> bool {
    let digits: String = raw.chars().filter(|it| *it != '_').collect();
    if digits.len() <= EXACT_DIGITS
        || digits.starts_with('0')
        || !digits.bytes().all(|it| it.is_ascii_digit())
    {
        return false;
    }
    let exact = format!("{value:.0}");
    // Round numbers such as 1e21 written out are kept as they are.
    exact != digits
}
