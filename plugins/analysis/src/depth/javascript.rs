//! JavaScript and TypeScript, by a scan of their own: the parser keeps its lexer to itself, as only a parser knows a division from a regular
//! expression. Here the token before decides, which is right but for contrived programs.

use super::{Levels, MAX_LEVELS, TooDeep, opening, report};
use formats::problem::Problems;

/// Whether a program is too deep to be parsed, which is then reported.
pub(crate) fn check_javascript(text: &str, problems: &mut Problems) -> bool {
    match measure(text) {
        Ok(()) => false,
        Err(found) => {
            report("javascript/too-deep", &found, problems);
            true
        }
    }
}

/// What stood before, as far as it decides what comes next.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Before {
    /// A value may have ended here: a name, a literal, a closing bracket.
    Value,
    /// A statement goes on behind it: the bracket of `if (…)`.
    Header,
    /// An operator, a keyword, or the start.
    Other,
}

/// Keywords behind which a value begins, each of which nests what follows.
const PREFIXES: &[&str] = &[
    "async",
    "await",
    "delete",
    "do",
    "else",
    "extends",
    "if",
    "for",
    "in",
    "infer",
    "instanceof",
    "keyof",
    "new",
    "of",
    "readonly",
    "return",
    "throw",
    "try",
    "typeof",
    "unique",
    "void",
    "while",
    "with",
    "yield",
    "as",
    "satisfies",
    "is",
    "catch",
    "finally",
];

/// Words that go on with what stands before them.
const CONTINUES: &[&str] = &[
    "as",
    "catch",
    "else",
    "extends",
    "finally",
    "in",
    "instanceof",
    "is",
    "of",
    "satisfies",
];

struct Scanner<'a> {
    bytes: &'a [u8],
    text: &'a str,
    at: usize,
    levels: Levels,
    before: Before,
    /// For each open bracket, whether a statement follows its end.
    headers: Vec<bool>,
    /// Whether the word before was `if`, `for`, `while` or `with`.
    expects_header: bool,
    /// Elements of JSX around.
    elements: usize,
}

pub(super) fn measure(text: &str) -> Result<(), TooDeep> {
    let mut scanner = Scanner {
        bytes: text.as_bytes(),
        text,
        at: 0,
        levels: Levels::new(),
        before: Before::Other,
        headers: Vec::new(),
        expects_header: false,
        elements: 0,
    };
    while scanner.at < scanner.bytes.len() {
        scanner.token()?;
    }
    Ok(())
}

impl Scanner<'_> {
    fn byte(&self, ahead: usize) -> u8 {
        self.bytes.get(self.at + ahead).copied().unwrap_or(0)
    }

    fn token(&mut self) -> Result<(), TooDeep> {
        let byte = self.byte(0);
        match byte {
            b' ' | b'\t' | b'\r' | b'\n' => self.at += 1,
            b'/' if self.byte(1) == b'/' => self.skip_line(),
            b'/' if self.byte(1) == b'*' => self.skip_comment(),
            b'/' if self.before != Before::Value => {
                self.regular_expression()?;
                self.before = Before::Value;
            }
            b'"' | b'\'' => {
                self.boundary("");
                self.string(byte);
                self.before = Before::Value;
            }
            b'`' => {
                self.levels.push(b'`', self.at)?;
                self.headers.push(false);
                self.at += 1;
                self.template()?;
            }
            b'(' | b'[' | b'{' => self.open(byte)?,
            b')' | b']' | b'}' => self.close(byte)?,
            b';' | b',' => {
                self.levels.next_part();
                self.before = Before::Other;
                self.at += 1;
            }
            _ if byte.is_ascii_alphanumeric()
                || matches!(byte, b'_' | b'$' | b'#' | b'\\')
                || !byte.is_ascii() =>
            {
                self.word()?;
            }
            _ => self.operator(byte)?,
        }
        Ok(())
    }

    /// A value follows a value: something has ended between them, with or without a semicolon.
    fn boundary(&mut self, word: &str) {
        if self.before == Before::Value && !CONTINUES.contains(&word) {
            self.levels.next_part();
        }
    }

    fn word(&mut self) -> Result<(), TooDeep> {
        let start = self.at;
        while self.at < self.bytes.len() {
            let byte = self.byte(0);
            if byte.is_ascii_alphanumeric()
                || matches!(byte, b'_' | b'$' | b'#' | b'\\')
                || !byte.is_ascii()
            {
                self.at += 1;
            } else {
                break;
            }
        }
        let word = self.text.get(start..self.at).unwrap_or_default();
        self.boundary(word);
        if matches!(word, "case" | "default") {
            self.levels.next_part();
            self.before = Before::Other;
        } else if PREFIXES.contains(&word) {
            self.levels.operator(start)?;
            self.before = Before::Other;
        } else {
            self.before = Before::Value;
        }
        self.expects_header = matches!(word, "if" | "for" | "while" | "with")
            || self.expects_header && word == "await";
        Ok(())
    }

    fn open(&mut self, bracket: u8) -> Result<(), TooDeep> {
        self.levels.push(bracket, self.at)?;
        self.headers.push(bracket == b'(' && self.expects_header);
        self.expects_header = false;
        self.before = Before::Other;
        self.at += 1;
        Ok(())
    }

    fn close(&mut self, bracket: u8) -> Result<(), TooDeep> {
        self.at += 1;
        // `${` within a template was opened as a bracket of its own.
        let is_header = self.headers.last().copied().unwrap_or(false);
        if self.levels.pop(opening(bracket)) {
            self.headers.pop();
        }
        self.before = if is_header {
            Before::Header
        } else {
            Before::Value
        };
        if bracket == b'}'
            && self
                .levels
                .open
                .last()
                .is_some_and(|(last, _)| *last == b'`')
        {
            self.template()?;
        }
        Ok(())
    }

    fn operator(&mut self, byte: u8) -> Result<(), TooDeep> {
        let start = self.at;
        if byte == b'<' {
            if self.byte(1) == b'/' {
                self.elements = self.elements.saturating_sub(1);
            } else if self.before != Before::Value
                && (self.byte(1).is_ascii_alphabetic() || self.byte(1) == b'>')
            {
                self.elements += 1;
                if self.elements + self.levels.open.len() > MAX_LEVELS {
                    return Err(TooDeep::Levels(start));
                }
            }
        } else if byte == b'/' && self.byte(1) == b'>' {
            self.elements = self.elements.saturating_sub(1);
        }
        self.levels.operator(start)?;
        self.at += 1;
        // `a++` and `a!` leave a value behind them.
        let is_step = matches!(byte, b'+' | b'-') && self.byte(0) == byte;
        if is_step && self.before == Before::Value {
            self.at += 1;
            return Ok(());
        }
        // The rest of `===`, `&&=`, `>>>` and `=>`; several `!` are several operators, and so are `<` and `/`.
        if matches!(byte, b'&' | b'|' | b'*' | b'>' | b'?') {
            while self.byte(0) == byte {
                self.at += 1;
            }
        }
        while self.byte(0) == b'=' {
            self.at += 1;
        }
        if byte == b'=' && self.byte(0) == b'>' {
            self.at += 1;
        }
        if byte != b'!' || self.at > start + 1 {
            self.before = Before::Other;
        }
        Ok(())
    }

    fn skip_line(&mut self) {
        while self.at < self.bytes.len() && self.byte(0) != b'\n' {
            self.at += 1;
        }
    }

    fn skip_comment(&mut self) {
        self.at += 2;
        while self.at < self.bytes.len() && !(self.byte(0) == b'*' && self.byte(1) == b'/') {
            self.at += 1;
        }
        self.at += 2;
    }

    /// To the closing quote, or to the end of the line: quotes in the text of JSX close nothing.
    fn string(&mut self, quote: u8) {
        self.at += 1;
        while self.at < self.bytes.len() {
            match self.byte(0) {
                b'\\' => self.at += 2,
                b'\n' => return,
                byte => {
                    self.at += 1;
                    if byte == quote {
                        return;
                    }
                }
            }
        }
    }

    /// A regular expression, whose groups nest, too. Nothing is skipped when it turns out to be none.
    fn regular_expression(&mut self) -> Result<(), TooDeep> {
        let start = self.at;
        let mut in_class = false;
        let mut groups = self.levels.open.len();
        self.at += 1;
        while self.at < self.bytes.len() {
            match self.byte(0) {
                b'\\' => self.at += 1,
                b'[' => in_class = true,
                b']' => in_class = false,
                b'(' if !in_class => {
                    groups += 1;
                    if groups > MAX_LEVELS {
                        return Err(TooDeep::Levels(self.at));
                    }
                }
                b')' if !in_class => groups = groups.saturating_sub(1),
                b'/' if !in_class => {
                    self.at += 1;
                    return Ok(());
                }
                b'\n' => break,
                _ => {}
            }
            self.at += 1;
        }
        self.at = start + 1;
        Ok(())
    }

    /// The text of a template, to its end or to the next `${`.
    fn template(&mut self) -> Result<(), TooDeep> {
        while self.at < self.bytes.len() {
            match self.byte(0) {
                b'\\' => self.at += 2,
                b'`' => {
                    self.at += 1;
                    self.levels.pop(b'`');
                    self.headers.pop();
                    self.before = Before::Value;
                    return Ok(());
                }
                b'$' if self.byte(1) == b'{' => {
                    self.at += 1;
                    return self.open(b'{');
                }
                _ => self.at += 1,
            }
        }
        Ok(())
    }
}
