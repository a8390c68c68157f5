//! JSON as RFC 8259 has it: the exact place of the first syntax error, and every duplicate key.
//!
//! An own scanner, because a deserializer neither tells where a key stands nor sees that it stood there before. It keeps its own stack, so
//! nesting costs no call stack. Tests hold it against `serde_json`.

use crate::problem::{Lines, Problems, excerpt};
use crate::tree::{Member, NodeId, Tree, Value};
use std::collections::HashMap;

/// Levels of nesting: several times what common parsers accept (`serde_json` stops at 128, Python near 1,000).
const MAX_DEPTH: usize = 512;

/// Names whose tools read comments and trailing commas in files that end in `.json`.
const COMMENTED_JSON: &[&str] = &[
    ".eslintrc.json",
    ".jshintrc.json",
    "api-extractor.json",
    "deno.json",
    "devcontainer.json",
    "language-configuration.json",
    "tslint.json",
];

/// Whether the tools that read a file also read comments in it, which is no JSON then.
#[must_use]
pub fn is_commented_json(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    let in_folder = |folder: &str| {
        path.starts_with(&format!("{folder}/")) || path.contains(&format!("/{folder}/"))
    };
    COMMENTED_JSON.contains(&name)
        || name.starts_with("tsconfig")
        || name.starts_with("jsconfig")
        || in_folder(".vscode")
        || in_folder(".devcontainer")
}

/// Checks a document, and builds its tree if that is wanted and there is no syntax error.
pub fn check(text: &str, want_tree: bool, problems: &mut Problems) -> Option<Tree> {
    let mut scanner = Scanner {
        text,
        at: 0,
        lines: None,
        stack: Vec::new(),
        tree: want_tree.then(Tree::default),
    };
    match scanner.document(problems) {
        Ok(()) => scanner.tree,
        Err(Mistake {
            offset,
            message,
            rule,
        }) => {
            problems.error(
                rule,
                offset,
                message,
                "correct the JSON; a file that is broken on purpose belongs into `exclude`",
            );
            None
        }
    }
}

struct Mistake {
    offset: usize,
    message: String,
    rule: &'static str,
}

fn mistake(offset: usize, message: impl Into<String>) -> Mistake {
    Mistake {
        offset,
        message: message.into(),
        rule: "json/syntax",
    }
}

enum Frame {
    Array {
        node: NodeId,
    },
    Object {
        node: NodeId,
        /// Decoded keys and where each first stood.
        keys: HashMap<Vec<u8>, usize>,
        /// The key whose value comes next, for the tree.
        key: Option<(String, usize)>,
    },
}

enum State {
    Value,
    FirstItem,
    FirstKey,
    Key,
    After,
}

struct Scanner<'a> {
    text: &'a str,
    at: usize,
    lines: Option<Lines>,
    stack: Vec<Frame>,
    tree: Option<Tree>,
}

impl Scanner<'_> {
    fn document(&mut self, problems: &mut Problems) -> Result<(), Mistake> {
        let mut state = State::Value;
        let mut comma = None;
        loop {
            self.skip_white_space();
            let start = self.at;
            state = match state {
                State::FirstItem if self.peek() == Some(b']') => State::After,
                State::FirstItem => State::Value,
                State::FirstKey if self.peek() == Some(b'}') => State::After,
                State::FirstKey => State::Key,
                State::Value => match self.peek() {
                    Some(b'{') => {
                        let node = self.place(start, || Value::Object(Vec::new()));
                        self.push(Frame::Object {
                            node,
                            keys: HashMap::new(),
                            key: None,
                        })?;
                        State::FirstKey
                    }
                    Some(b'[') => {
                        let node = self.place(start, || Value::Array(Vec::new()));
                        self.push(Frame::Array { node })?;
                        State::FirstItem
                    }
                    Some(b'"') => {
                        let bytes = self.string()?;
                        self.place(start, || {
                            Value::String(String::from_utf8_lossy(&bytes).into_owned())
                        });
                        State::After
                    }
                    Some(b'-' | b'0'..=b'9') => {
                        self.number()?;
                        let lexeme = &self.text[start..self.at];
                        self.place(start, || number_value(lexeme));
                        State::After
                    }
                    Some(b']') => {
                        let at = comma.unwrap_or(start);
                        return Err(mistake(at, "a comma before `]`, where JSON allows none"));
                    }
                    _ => {
                        self.literal()?;
                        State::After
                    }
                },
                State::Key => match self.peek() {
                    Some(b'"') => {
                        self.key(problems)?;
                        State::Value
                    }
                    Some(b'}') => {
                        let at = comma.unwrap_or(start);
                        return Err(mistake(at, "a comma before `}`, where JSON allows none"));
                    }
                    _ => return Err(self.unexpected("a key in double quotes")),
                },
                State::After => match (self.stack.last(), self.peek()) {
                    (None, None) => return Ok(()),
                    (None, Some(_)) => return Err(self.unexpected("the end of the file")),
                    (Some(Frame::Array { .. }), Some(b',')) => {
                        comma = Some(start);
                        self.at += 1;
                        State::Value
                    }
                    (Some(Frame::Object { .. }), Some(b',')) => {
                        comma = Some(start);
                        self.at += 1;
                        State::Key
                    }
                    (Some(Frame::Array { .. }), Some(b']'))
                    | (Some(Frame::Object { .. }), Some(b'}')) => {
                        self.at += 1;
                        self.stack.pop();
                        State::After
                    }
                    (Some(Frame::Array { .. }), _) => return Err(self.unexpected("`,` or `]`")),
                    (Some(Frame::Object { .. }), _) => return Err(self.unexpected("`,` or `}`")),
                },
            };
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip_white_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn push(&mut self, frame: Frame) -> Result<(), Mistake> {
        if self.stack.len() >= MAX_DEPTH {
            return Err(Mistake {
                rule: "json/too-deep",
                ..mistake(
                    self.at,
                    format!("nested more than {MAX_DEPTH} levels deep, which most parsers refuse"),
                )
            });
        }
        self.stack.push(frame);
        self.at += 1;
        Ok(())
    }

    /// Puts a value into the tree, below what is open.
    fn place(&mut self, offset: usize, value: impl FnOnce() -> Value) -> NodeId {
        let Some(tree) = &mut self.tree else {
            return 0;
        };
        let id = tree.add(offset, value());
        match self.stack.last_mut() {
            Some(Frame::Array { node }) => {
                if let Value::Array(items) = &mut tree.nodes[*node].value {
                    items.push(id);
                }
            }
            Some(Frame::Object { node, key, .. }) => {
                if let (Value::Object(members), Some((key, key_offset))) =
                    (&mut tree.nodes[*node].value, key.take())
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
        id
    }

    fn key(&mut self, problems: &mut Problems) -> Result<(), Mistake> {
        let start = self.at;
        let bytes = self.string()?;
        let written = &self.text[start..self.at];
        self.skip_white_space();
        if self.peek() != Some(b':') {
            return Err(self.unexpected("`:`"));
        }
        self.at += 1;
        let want_tree = self.tree.is_some();
        if let Some(Frame::Object { keys, key, .. }) = self.stack.last_mut() {
            if want_tree {
                *key = Some((String::from_utf8_lossy(&bytes).into_owned(), start));
            }
            if let Some(&first) = keys.get(&bytes) {
                let lines = self.lines.get_or_insert_with(|| Lines::new(self.text));
                problems.error(
                    "json/duplicate-key",
                    start,
                    format!(
                        "key `{}` stands here again, first on line {}",
                        excerpt(written.trim_matches('"')),
                        lines.line(first)
                    ),
                    "remove or rename one of them: parsers keep one and do not say which",
                );
            } else {
                keys.insert(bytes, start);
            }
        }
        Ok(())
    }

    /// Reads a string and decodes it; a lone surrogate becomes the three bytes that UTF-8 would use, so that different keys stay different.
    fn string(&mut self) -> Result<Vec<u8>, Mistake> {
        let start = self.at;
        let bytes = self.text.as_bytes();
        let mut decoded = Vec::new();
        self.at += 1;
        loop {
            match bytes.get(self.at) {
                None => return Err(mistake(start, "the string that begins here never ends")),
                Some(b'"') => {
                    self.at += 1;
                    return Ok(decoded);
                }
                Some(b'\\') => self.escape(&mut decoded)?,
                Some(b'\n' | b'\r') => {
                    return Err(mistake(
                        start,
                        "the string that begins here does not end on its line",
                    ));
                }
                Some(byte) if *byte < 0x20 => {
                    return Err(mistake(
                        self.at,
                        format!("control character 0x{byte:02x} in a string must be escaped"),
                    ));
                }
                Some(byte) => {
                    decoded.push(*byte);
                    self.at += 1;
                }
            }
        }
    }

    fn escape(&mut self, decoded: &mut Vec<u8>) -> Result<(), Mistake> {
        let start = self.at;
        let plain = match self.text.as_bytes().get(start + 1) {
            Some(b'"') => b'"',
            Some(b'\\') => b'\\',
            Some(b'/') => b'/',
            Some(b'b') => 0x08,
            Some(b'f') => 0x0C,
            Some(b'n') => b'\n',
            Some(b'r') => b'\r',
            Some(b't') => b'\t',
            Some(b'u') => {
                let Some(first) = self.hex(start) else {
                    return Err(mistake(start, "`\\u` without four hexadecimal digits"));
                };
                self.at = start + 6;
                let second = (0xD800..0xDC00)
                    .contains(&first)
                    .then(|| self.hex(self.at))
                    .flatten()
                    .filter(|low| (0xDC00..0xE000).contains(low));
                let code = match second {
                    Some(low) => {
                        self.at += 6;
                        0x10000 + ((first - 0xD800) << 10) + (low - 0xDC00)
                    }
                    None => first,
                };
                match char::from_u32(code) {
                    Some(character) => {
                        decoded.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                    }
                    None => decoded.extend(
                        [
                            0xE0 | (code >> 12),
                            0x80 | (code >> 6 & 0x3F),
                            0x80 | (code & 0x3F),
                        ]
                        .map(|byte| byte as u8),
                    ),
                }
                return Ok(());
            }
            _ => return Err(mistake(start, "unknown escape in a string")),
        };
        decoded.push(plain);
        self.at = start + 2;
        Ok(())
    }

    /// The value of `\uXXXX` at an offset.
    fn hex(&self, at: usize) -> Option<u32> {
        let digits = self.text.as_bytes().get(at..at + 6)?.strip_prefix(b"\\u")?;
        digits.iter().try_fold(0, |code, &digit| {
            Some(code * 16 + char::from(digit).to_digit(16)?)
        })
    }

    fn digits(&mut self) -> Result<(), Mistake> {
        if !matches!(self.peek(), Some(b'0'..=b'9')) {
            return Err(self.unexpected("a digit"));
        }
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        Ok(())
    }

    fn number(&mut self) -> Result<(), Mistake> {
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        if self.peek() == Some(b'0') {
            self.at += 1;
            if matches!(self.peek(), Some(b'0'..=b'9')) {
                return Err(mistake(self.at - 1, "a number must not begin with zero"));
            }
        } else {
            self.digits()?;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(())
    }

    fn literal(&mut self) -> Result<(), Mistake> {
        let start = self.at;
        let rest = &self.text[start..];
        let value = if rest.starts_with("true") {
            self.at += 4;
            Value::Bool(true)
        } else if rest.starts_with("false") {
            self.at += 5;
            Value::Bool(false)
        } else if rest.starts_with("null") {
            self.at += 4;
            Value::Null
        } else {
            return Err(self.unexpected("a value"));
        };
        self.place(start, || value);
        Ok(())
    }

    fn unexpected(&self, wanted: &str) -> Mistake {
        let rest = &self.text[self.at..];
        let message = match rest.chars().next() {
            None if self.text.trim().is_empty() => "the file holds no value".to_owned(),
            None => format!("the file ends where {wanted} is expected"),
            Some('/') if rest.starts_with("//") || rest.starts_with("/*") => {
                format!("a comment, where JSON allows none: {wanted} is expected")
            }
            Some(character) => format!(
                "found `{}` where {wanted} is expected",
                excerpt(&character.to_string())
            ),
        };
        mistake(self.at, message)
    }
}

fn number_value(lexeme: &str) -> Value {
    match serde_json::from_str(lexeme) {
        Ok(number) => Value::Number(number),
        // Out of the range of a double: a schema sees the text.
        Err(_) => Value::String(lexeme.to_owned()),
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
    fn duplicate_keys_are_found_where_they_stand_again() {
        assert_eq!(
            problems_of("{\"é🦀\": 1, \"a\": {\"b\": 1,\r\n \"b\": 2},\n\"\\u0061\": 3}"),
            [("json/duplicate-key", 2, 2), ("json/duplicate-key", 3, 1)]
        );
        assert_eq!(
            problems_of(r#"{"a": {"a": [{"a": 1}, {"a": 2}]}, "A": "\"a\": 1", "b": "a"}"#),
            []
        );
        assert_eq!(problems_of(r#"{"\ud800": 1, "\ud801": 2, "😀": 0}"#), []);
        assert_eq!(
            problems_of(r#"{"\ud83d\ude00": 1, "😀": 2}"#),
            [("json/duplicate-key", 1, 21)]
        );
    }

    #[test]
    fn syntax_errors_have_their_exact_place() {
        for (text, line, column) in [
            ("", 1, 1),
            ("{\"ü\": tru}", 1, 7),
            ("[1, 2,]", 1, 6),
            ("{\"a\": 1,\n}", 1, 8),
            ("{\"a\" 1}", 1, 6),
            ("{a: 1}", 1, 2),
            ("[\"abc]\n", 1, 2),
            ("// no\n{}", 1, 1),
            ("{} {}", 1, 4),
            ("[01]", 1, 2),
            ("[1.]", 1, 4),
            ("[\"\\x\"]", 1, 3),
            ("[1 2]", 1, 4),
            ("[\n\n  1\n", 4, 1),
        ] {
            assert_eq!(
                problems_of(text),
                [("json/syntax", line, column)],
                "{text:?}"
            );
        }
    }

    #[test]
    fn deep_nesting_ends_in_a_finding() {
        let deep = "[".repeat(1_000_000);
        assert_eq!(problems_of(&deep), [("json/too-deep", 1, 513)]);
        let mixed = "{\"a\":[".repeat(400_000);
        assert_eq!(problems_of(&mixed)[0].0, "json/too-deep");
    }

    /// Every text made from a valid one by removing, doubling or replacing a byte is judged as `serde_json` judges it.
    #[test]
    fn agrees_with_serde_json_on_mutated_documents() {
        let seed = r#" {"a": [1, -0.5e+3, "x\u00e9\n", true, false, null], "b": {"c": [[], {}]}, "d": 0} "#;
        let mut texts = Vec::new();
        for at in 0..seed.len() {
            for insert in ["", "\"", "0", ",", "]", "}", "\\", "e", " ", "-", "."] {
                let mut text = seed.to_owned();
                text.replace_range(at..=at, insert);
                texts.push(text);
                let mut text = seed.to_owned();
                text.insert_str(at, insert);
                texts.push(text);
            }
        }
        for text in texts {
            let theirs = serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok();
            let ours = problems_of(&text)
                .iter()
                .all(|(rule, _, _)| *rule == "json/duplicate-key");
            assert_eq!(ours, theirs, "{text}");
        }
    }

    #[test]
    fn the_tree_says_where_values_stand() {
        let text = r#"{"a": {"b/c": [10, 20]}}"#;
        let tree = check(text, true, &mut Problems::default()).unwrap();
        assert_eq!(
            tree.to_json().unwrap(),
            serde_json::json!({"a": {"b/c": [10, 20]}})
        );
        let node = tree.at_pointer("/a/b~1c/1");
        assert_eq!(&text[tree.offset(node)..][..2], "20");
    }
}
