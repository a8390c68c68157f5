//! TOML: the first syntax error and the duplicate keys before it, and the tree of a sound file.

use crate::problem::{Problems, excerpt};
use crate::tree::{Member, NodeId, Tree, Value};
use ::toml::de::{DeTable, DeValue};
use serde_json::Number;

/// Checks a file, and builds its tree if that is wanted and nothing is wrong.
pub fn check(text: &str, want_tree: bool, problems: &mut Problems) -> Option<Tree> {
    let (table, errors) = DeTable::parse_recoverable(text);
    let is_duplicate = |error: &::toml::de::Error| error.message().contains("duplicate key");
    let start = |error: &::toml::de::Error| error.span().map_or(0, |span| span.start);
    let first_syntax = errors
        .iter()
        .filter(|error| !is_duplicate(error))
        .min_by_key(|error| start(error));
    if let Some(error) = first_syntax {
        problems.error(
            "toml/syntax",
            start(error),
            excerpt(error.message()),
            "correct the TOML; a file that is broken on purpose belongs into `exclude`",
        );
    }
    // What follows a syntax error is the parser's guess.
    let limit = first_syntax.map_or(usize::MAX, start);
    for error in errors.iter().filter(|error| is_duplicate(error)) {
        let span = error.span().unwrap_or(0..0);
        if span.start < limit {
            problems.error(
                "toml/duplicate-key",
                span.start,
                format!(
                    "key `{}` stands here again",
                    excerpt(text.get(span).unwrap_or_default())
                ),
                "remove or rename one of them: TOML forbids it",
            );
        }
    }
    if !want_tree || !errors.is_empty() {
        return None;
    }
    let mut tree = Tree::default();
    add_table(&mut tree, table.span().start, table.get_ref());
    Some(tree)
}

/// The parser bounds nesting, so recursion is bounded too.
fn add_table(tree: &mut Tree, offset: usize, table: &DeTable<'_>) -> NodeId {
    let id = tree.add(offset, Value::Null);
    let members = table
        .iter()
        .map(|(key, value)| Member {
            key: key.get_ref().to_string(),
            key_offset: key.span().start,
            value: add_value(tree, value.span().start, value.get_ref()),
        })
        .collect();
    tree.nodes[id].value = Value::Object(members);
    id
}

fn add_value(tree: &mut Tree, offset: usize, value: &DeValue<'_>) -> NodeId {
    match value {
        DeValue::String(text) => tree.add(offset, Value::String(text.to_string())),
        DeValue::Integer(integer) => {
            let number = i64::from_str_radix(integer.as_str(), integer.radix()).map(Number::from);
            let value = number.map_or_else(
                |_| Value::String(integer.as_str().to_owned()),
                Value::Number,
            );
            tree.add(offset, value)
        }
        DeValue::Float(float) => {
            let number = float.as_str().parse().ok().and_then(Number::from_f64);
            let value =
                number.map_or_else(|| Value::String(float.as_str().to_owned()), Value::Number);
            tree.add(offset, value)
        }
        DeValue::Boolean(value) => tree.add(offset, Value::Bool(*value)),
        DeValue::Datetime(time) => tree.add(offset, Value::String(time.to_string())),
        DeValue::Array(items) => {
            let id = tree.add(offset, Value::Null);
            let items = items
                .iter()
                .map(|item| add_value(tree, item.span().start, item.get_ref()))
                .collect();
            tree.nodes[id].value = Value::Array(items);
            id
        }
        DeValue::Table(table) => add_table(tree, offset, table),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems_of(text: &str) -> Vec<(&'static str, u32, u32)> {
        let mut problems = Problems::default();
        check(text, true, &mut problems);
        problems.rules_at(text)
    }

    #[test]
    fn duplicate_keys_and_tables_are_named_as_such() {
        assert_eq!(
            problems_of("a = 1\n[t]\n\"ü\" = 1\nb = 1\nb = 2\n[t]\nc = { x = 1, x = 2 }\n"),
            [
                ("toml/duplicate-key", 5, 1),
                ("toml/duplicate-key", 6, 2),
                ("toml/duplicate-key", 7, 14),
            ]
        );
        assert_eq!(
            problems_of("[[a]]\nb = 1\n[[a]]\nb = 1\n[x]\nb = 1\n[x.y]\nb = 1\n"),
            []
        );
    }

    #[test]
    fn the_first_syntax_error_is_reported_alone() {
        assert_eq!(problems_of("a = 1\nb = [1, 2\nc = 3\n").len(), 1);
        assert_eq!(problems_of("a = \nb = \n")[0].1, 1);
        assert_eq!(problems_of("é = 1\n"), [("toml/syntax", 1, 1)]);
    }

    #[test]
    fn deep_nesting_ends_in_a_finding() {
        assert_eq!(
            problems_of(&format!("a = {}", "[".repeat(1_000_000)))[0].0,
            "toml/syntax"
        );
        assert_eq!(
            problems_of(&format!("{}a = 1", "a.".repeat(200_000)))[0].0,
            "toml/syntax"
        );
    }

    #[test]
    fn the_tree_holds_the_values() {
        let text = "a = 0x1F\nb = 1.5\nc = 2026-01-01\n[[d]]\ne = [true]\n";
        let tree = check(text, true, &mut Problems::default()).unwrap();
        assert_eq!(
            tree.to_json().unwrap(),
            serde_json::json!({"a": 31, "b": 1.5, "c": "2026-01-01", "d": [{"e": [true]}]})
        );
        let node = tree.at_pointer("/d/0/e/0");
        assert_eq!(&text[tree.offset(node)..], "true]\n");
    }
}
