//! YAML 1.2: the first syntax error, and every duplicate key of every document.
//!
//! Works on the parser's events: aliases are references and never expanded, so no file can make itself larger than it is. The parser bounds
//! nesting (255 levels of each kind) and reports more as an error.

use crate::problem::{Lines, Problems, excerpt};
use crate::tree::{Member, NodeId, Tree, Value};
use granit_parser::{Event, Marker, Parser, ScalarStyle};
use serde_json::Number;
use std::collections::HashMap;

/// Checks all documents of a file, and builds their trees if they are wanted and there is no syntax error.
pub fn check(text: &str, want_trees: bool, problems: &mut Problems) -> Option<Vec<Tree>> {
    let mut reader = Reader {
        text,
        lines: None,
        stack: Vec::new(),
        trees: want_trees.then(Vec::new),
        anchors: HashMap::new(),
    };
    for event in Parser::new_from_str(text) {
        match event {
            Ok((event, span)) => reader.event(&event, offset(text, &span.start), problems),
            Err(error) => {
                let at = offset(text, error.marker());
                problems.error(
                    "yaml/syntax",
                    at,
                    excerpt(&error.info()),
                    "correct the YAML; templates and files broken on purpose belong into `exclude`",
                );
                return None;
            }
        }
    }
    reader.trees
}

fn offset(text: &str, marker: &Marker) -> usize {
    marker.byte_offset().unwrap_or_else(|| {
        text.char_indices()
            .nth(marker.index())
            .map_or(text.len(), |(at, _)| at)
    })
}

/// What makes two keys the same: tag, kind and text. `1` and `"1"` differ.
#[derive(PartialEq, Eq, Hash)]
enum Key {
    Text { tag: String, text: String },
    Other { text: String },
    Alias(usize),
}

enum Frame {
    Sequence {
        node: NodeId,
    },
    Mapping {
        node: NodeId,
        keys: HashMap<Key, usize>,
        expects_key: bool,
        /// The key whose value comes next; nothing for keys that are no scalars.
        key: Option<(String, usize)>,
    },
}

struct Reader<'a> {
    text: &'a str,
    lines: Option<Lines>,
    stack: Vec<Frame>,
    trees: Option<Vec<Tree>>,
    anchors: HashMap<usize, NodeId>,
}

impl Reader<'_> {
    fn event(&mut self, event: &Event<'_>, at: usize, problems: &mut Problems) {
        match event {
            Event::DocumentStart(..) => {
                self.stack.clear();
                self.anchors.clear();
                if let Some(trees) = &mut self.trees {
                    trees.push(Tree::default());
                }
            }
            Event::Scalar(text, style, anchor, tag) => {
                let plain = *style == ScalarStyle::Plain;
                let tag = tag.as_ref().map(|tag| tag.original());
                let value = match &tag {
                    None if plain => plain_value(text),
                    _ => Value::String(text.to_string()),
                };
                if self.is_key() {
                    let key = match value {
                        Value::String(_) => Key::Text {
                            tag: tag.unwrap_or_default(),
                            text: text.to_string(),
                        },
                        _ => Key::Other {
                            text: text.to_string(),
                        },
                    };
                    self.key(key, text, at, problems);
                    return;
                }
                self.place(at, *anchor, || value);
            }
            Event::Alias(id) => {
                if self.is_key() {
                    self.key(Key::Alias(*id), "*", at, problems);
                    return;
                }
                let target = self.anchors.get(id).copied();
                match target {
                    Some(target) => self.attach(target),
                    None => {
                        self.place(at, 0, || Value::Null);
                    }
                }
            }
            Event::SequenceStart(_, anchor, _) => {
                let node = self.start(at, *anchor, || Value::Array(Vec::new()));
                self.stack.push(Frame::Sequence { node });
            }
            Event::MappingStart(_, anchor, _) => {
                let node = self.start(at, *anchor, || Value::Object(Vec::new()));
                self.stack.push(Frame::Mapping {
                    node,
                    keys: HashMap::new(),
                    expects_key: true,
                    key: None,
                });
            }
            Event::SequenceEnd | Event::MappingEnd => {
                self.stack.pop();
            }
            _ => {}
        }
    }

    fn is_key(&self) -> bool {
        matches!(
            self.stack.last(),
            Some(Frame::Mapping {
                expects_key: true,
                ..
            })
        )
    }

    fn key(&mut self, name: Key, text: &str, at: usize, problems: &mut Problems) {
        let Some(Frame::Mapping {
            keys,
            expects_key,
            key,
            ..
        }) = self.stack.last_mut()
        else {
            return;
        };
        *expects_key = false;
        *key = Some((text.to_owned(), at));
        if let Some(&first) = keys.get(&name) {
            let lines = self.lines.get_or_insert_with(|| Lines::new(self.text));
            problems.error(
                "yaml/duplicate-key",
                at,
                format!(
                    "key `{}` stands here again, first on line {}",
                    excerpt(text),
                    lines.line(first)
                ),
                "remove or rename one of them: YAML forbids it, and parsers that accept it keep only one",
            );
        } else {
            keys.insert(name, at);
        }
    }

    /// A collection begins; as a key it is left out of the tree.
    fn start(&mut self, at: usize, anchor: usize, value: impl FnOnce() -> Value) -> NodeId {
        if let Some(Frame::Mapping {
            expects_key: expects_key @ true,
            key,
            ..
        }) = self.stack.last_mut()
        {
            *expects_key = false;
            *key = None;
            return match self.tree() {
                Some(tree) => tree.add(at, value()),
                None => 0,
            };
        }
        self.place(at, anchor, value)
    }

    fn tree(&mut self) -> Option<&mut Tree> {
        self.trees.as_mut()?.last_mut()
    }

    /// Makes a node and puts it below what is open.
    fn place(&mut self, at: usize, anchor: usize, value: impl FnOnce() -> Value) -> NodeId {
        let id = match self.tree() {
            Some(tree) => tree.add(at, value()),
            None => 0,
        };
        if anchor != 0 && self.trees.is_some() {
            self.anchors.insert(anchor, id);
        }
        self.attach(id);
        id
    }

    fn attach(&mut self, id: NodeId) {
        let tree = self.trees.as_mut().and_then(|trees| trees.last_mut());
        match self.stack.last_mut() {
            Some(Frame::Sequence { node }) => {
                if let Some(tree) = tree
                    && let Value::Array(items) = &mut tree.nodes[*node].value
                {
                    items.push(id);
                }
            }
            Some(Frame::Mapping {
                node,
                expects_key,
                key,
                ..
            }) => {
                *expects_key = true;
                if let (Some(tree), Some((key, key_offset))) = (tree, key.take())
                    && let Value::Object(members) = &mut tree.nodes[*node].value
                {
                    members.push(Member {
                        key,
                        key_offset,
                        value: id,
                    });
                }
            }
            None => {}
        }
    }
}

/// A plain scalar by the core schema.
fn plain_value(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" => return Value::Bool(true),
        "false" | "False" | "FALSE" => return Value::Bool(false),
        _ => {}
    }
    number(text).map_or_else(|| Value::String(text.to_owned()), Value::Number)
}

fn number(text: &str) -> Option<Number> {
    if let Some(digits) = text.strip_prefix("0x") {
        return u64::from_str_radix(digits, 16).ok().map(Number::from);
    }
    if let Some(digits) = text.strip_prefix("0o") {
        return u64::from_str_radix(digits, 8).ok().map(Number::from);
    }
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if !unsigned.starts_with(|first: char| first.is_ascii_digit() || first == '.')
        || !unsigned.contains(|digit: char| digit.is_ascii_digit())
        || !unsigned
            .chars()
            .all(|it| it.is_ascii_digit() || matches!(it, '.' | 'e' | 'E' | '-' | '+'))
    {
        return None;
    }
    if let Ok(number) = text.parse::<i64>() {
        return Some(number.into());
    }
    text.parse::<f64>().ok().and_then(Number::from_f64)
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
    fn duplicate_keys_are_found_in_every_document() {
        assert_eq!(
            problems_of("a: 1\nb:\n  é: {x: 1, \"x\": 2}\na: 3\n---\na: 1\na: 2\n"),
            [
                ("yaml/duplicate-key", 3, 13),
                ("yaml/duplicate-key", 4, 1),
                ("yaml/duplicate-key", 7, 1),
            ]
        );
    }

    #[test]
    fn keys_that_only_look_alike_are_fine() {
        for text in [
            "a: {a: {a: 1}}\nb: [{a: 1}, {a: 2}]\n",
            "1: x\n\"1\": y\n",
            "a: |\n  a: 1\n  a: 2\n",
            "base: &base {a: 1}\nuse:\n  <<: *base\n  a: 2\n",
            "? [a, b]\n: 1\n? [a, c]\n: 2\n",
            "# only a comment\n",
            "",
            "a: 1\r\nb: 2\r\n",
            "%YAML 1.2\n---\na: 1\n...\n---\na: 2\n",
        ] {
            assert_eq!(problems_of(text), [], "{text}");
        }
    }

    #[test]
    fn syntax_errors_have_a_place() {
        for (text, line) in [
            ("a: [1, 2\nb: 3\n", 2),
            ("a: b: c\n", 1),
            ("a:\n\t- b\n", 2),
            ("a: *missing\n", 1),
            ("a: \"never ends\n", 2),
        ] {
            let found = problems_of(text);
            assert_eq!(found.len(), 1, "{text}: {found:?}");
            assert_eq!((found[0].0, found[0].1), ("yaml/syntax", line), "{text}");
        }
    }

    #[test]
    fn bombs_and_deep_nesting_end_early() {
        let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
        for level in 1..12 {
            let below = format!("*a{}, ", level - 1).repeat(9);
            bomb.push_str(&format!("a{level}: &a{level} [{below}]\n"));
        }
        let mut problems = Problems::default();
        let trees = check(&bomb, true, &mut problems).unwrap();
        assert!(trees[0].to_json().is_err());
        assert_eq!(problems.rules_at(&bomb), []);
        assert_eq!(problems_of(&"[".repeat(1_000_000))[0].0, "yaml/syntax");
        assert_eq!(problems_of(&"- ".repeat(1_000_000))[0].0, "yaml/syntax");
        let trees = check("&a [*a]", true, &mut Problems::default()).unwrap();
        assert!(trees[0].to_json().is_err());
    }

    #[test]
    fn scalars_follow_the_core_schema() {
        let text = "a: 1\nb: 0x1F\nc: 1.5e3\nd: yes\ne: ~\nf: \"1\"\ng: .\nh: 1.2.3\ni: true\nj:\n";
        let trees = check(text, true, &mut Problems::default()).unwrap();
        assert_eq!(
            trees[0].to_json().unwrap(),
            serde_json::json!({"a": 1, "b": 31, "c": 1500.0, "d": "yes", "e": null, "f": "1", "g": ".", "h": "1.2.3", "i": true, "j": null})
        );
    }
}
