//! Mistakes found while reading `plugins.toml`: collected one by one with byte spans, then turned into lines and columns once, at the end.
//!
//! Invariants: every span lies inside the text, on character boundaries; the text that is kept for excerpts shows no credential.
//! How a mistake looks on a terminal is the business of `diagnostics`.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Mistakes that are kept one by one; later ones are only counted. A file of one mebibyte can hold half a million mistakes, and nobody reads more than these.
pub const MAX_ERRORS: usize = 100;

/// Characters of a file's own words that a message repeats; longer ones are cut.
const MAX_LITERAL: usize = 60;

/// One mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// What is wrong, one sentence without a full stop.
    pub message: String,
    /// A few words for the place itself, printed behind the carets.
    pub label: Option<String>,
    /// What to do about it.
    pub help: Option<String>,
    /// Bytes of the text; `0..0` where `line` is 0.
    pub span: Range<usize>,
    /// From 1; 0 where the mistake is not in the file but in a flag, an environment variable or the file as a whole.
    pub line: usize,
    /// In characters, from 1; 0 where `line` is 0.
    pub column: usize,
}

impl ConfigError {
    fn new(span: Option<Range<usize>>, message: String) -> Self {
        Self {
            message,
            label: None,
            help: None,
            // A line above 0 marks a place in the file until `position` fills in the real one.
            line: usize::from(span.is_some()),
            span: span.unwrap_or_default(),
            column: 0,
        }
    }

    /// The mistake on one line, with its place and what to do.
    #[must_use]
    pub fn brief(&self, path: &Path) -> String {
        let mut text = match self.line {
            0 => format!("{}: {}", path.display(), self.message),
            line => format!(
                "{}:{line}:{}: {}",
                path.display(),
                self.column,
                self.message
            ),
        };
        // What to do, or else what would be right there.
        if let Some(more) = self.help.as_ref().or(self.label.as_ref()) {
            text.push_str("; ");
            text.push_str(more);
        }
        text
    }

    pub(super) fn label(&mut self, label: impl Into<String>) -> &mut Self {
        self.label = Some(label.into());
        self
    }

    pub(super) fn help(&mut self, help: impl Into<String>) -> &mut Self {
        self.help = Some(help.into());
        self
    }
}

/// Every mistake of one file, in the order of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigErrors {
    /// The file, as it was named.
    pub path: PathBuf,
    /// The file's text with credentials masked byte for byte, so that spans hold; empty where it could not be read.
    pub text: String,
    /// At least one; at most [`MAX_ERRORS`].
    pub errors: Vec<ConfigError>,
    /// Mistakes beyond [`MAX_ERRORS`], which are not listed.
    pub more: usize,
}

impl ConfigErrors {
    /// The file cannot be read.
    #[must_use]
    pub fn unreadable(path: &Path, why: &str) -> Self {
        Self::of_file(path, why, "try again")
    }

    /// A single mistake about the file as a whole.
    pub(super) fn of_file(path: &Path, message: impl Into<String>, help: &str) -> Self {
        let mut errors = Errors::default();
        errors.anywhere(message).help(help);
        errors.finish(path, "")
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.errors.iter().enumerate() {
            if index > 0 {
                formatter.write_str("\n")?;
            }
            write!(formatter, "{}:", self.path.display())?;
            if error.line > 0 {
                write!(formatter, "{}:{}:", error.line, error.column)?;
            }
            write!(formatter, " {}", error.message)?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}

/// Collects mistakes. Readers push and go on.
#[derive(Debug)]
pub(super) struct Errors {
    list: Vec<ConfigError>,
    room: usize,
    more: usize,
    overflow: ConfigError,
}

impl Default for Errors {
    fn default() -> Self {
        Self::with_room(MAX_ERRORS)
    }
}

impl Errors {
    pub(super) fn with_room(room: usize) -> Self {
        Self {
            list: Vec::new(),
            room,
            more: 0,
            overflow: ConfigError::new(None, String::new()),
        }
    }

    /// How many more will be kept. Costly hints are left out when there is none.
    pub(super) fn room(&self) -> usize {
        self.room - self.list.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.list.is_empty() && self.more == 0
    }

    /// A mistake at a place of the file.
    pub(super) fn at(
        &mut self,
        span: Range<usize>,
        message: impl Into<String>,
    ) -> &mut ConfigError {
        self.push(ConfigError::new(Some(span), message.into()))
    }

    /// A mistake outside the file's text.
    pub(super) fn anywhere(&mut self, message: impl Into<String>) -> &mut ConfigError {
        self.push(ConfigError::new(None, message.into()))
    }

    fn push(&mut self, error: ConfigError) -> &mut ConfigError {
        if self.room() == 0 {
            self.more += 1;
            self.overflow = error;
            return &mut self.overflow;
        }
        self.list.push(error);
        let last = self.list.len() - 1;
        &mut self.list[last]
    }

    pub(super) fn extend(&mut self, other: Self) {
        self.more += other.more;
        for error in other.list {
            self.push(error);
        }
    }

    /// Sorts by place and fills in lines and columns.
    pub(super) fn finish(mut self, path: &Path, text: &str) -> ConfigErrors {
        position(&mut self.list, text);
        ConfigErrors {
            path: path.to_owned(),
            text: masked(text),
            errors: self.list,
            more: self.more,
        }
    }

    /// The mistakes with lines and columns, where the text is not needed again.
    pub(super) fn into_list(mut self, text: &str) -> Vec<ConfigError> {
        position(&mut self.list, text);
        self.list
    }
}

fn position(errors: &mut [ConfigError], text: &str) {
    let lines = Lines::new(text);
    for error in errors.iter_mut().filter(|error| error.line > 0) {
        let start = text.floor_char_boundary(error.span.start.min(text.len()));
        let end = text.ceil_char_boundary(error.span.end.clamp(start, text.len()));
        error.span = start..end;
        (error.line, error.column) = lines.position(text, start);
    }
    errors.sort_by_key(|error| (error.line > 0, error.span.start, error.span.end));
}

/// Where each line starts, so that a position costs a search and not a walk over the file.
pub(super) struct Lines(Vec<usize>);

impl Lines {
    pub(super) fn new(text: &str) -> Self {
        let after_breaks = text.match_indices('\n').map(|(offset, _)| offset + 1);
        Self(std::iter::once(0).chain(after_breaks).collect())
    }

    /// Line and column, from 1, of a character boundary.
    pub(super) fn position(&self, text: &str, offset: usize) -> (usize, usize) {
        let line = self.0.partition_point(|start| *start <= offset).max(1);
        let column = text
            .get(self.0[line - 1]..offset)
            .map_or(0, |before| before.chars().count());
        (line, column + 1)
    }
}

/// Repeats something from the file in a message: in backticks, on one line, without control characters, cut where it is long.
pub(super) fn literal(text: &str) -> String {
    let text = masked(text);
    let mut out = String::from("`");
    for (index, character) in text.chars().enumerate() {
        if index == MAX_LITERAL {
            out.push('…');
            break;
        }
        if is_unprintable(character) {
            out.extend(character.escape_default());
        } else {
            out.push(character);
        }
    }
    out.push('`');
    out
}

/// Control characters, and those that change the direction of what follows: neither may reach a terminal from a file.
pub(crate) fn is_unprintable(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// The text with what may be a credential replaced by as many `*` as it has bytes: what stands in quotes behind `value =` without naming a variable, and what stands
/// between `://` and `@`. It works on the text and not on the tree, because excerpts are printed for files that do not parse, too.
#[must_use]
pub(super) fn masked(text: &str) -> String {
    masked_behind(text, &["value"])
}

/// A whole file with everything replaced that may be a credential, by whatever key it stands: for those who see the file and were not shown a mistake of their own in it.
#[must_use]
pub fn masked_whole(text: &str) -> String {
    let mut masked = masked_behind(text, &CREDENTIAL_KEYS).into_bytes();
    for (start, word) in text.match_indices("webhook_secrets") {
        let rest = &text[start + word.len()..];
        if let (Some(open), Some(close)) = (rest.find('['), rest.find(']'))
            && open < close
        {
            let from = start + word.len();
            mask(&mut masked, from + open + 1..from + close);
        }
    }
    String::from_utf8_lossy(&masked).into_owned()
}

/// Keys behind which a credential may stand in plain text.
const CREDENTIAL_KEYS: [&str; 7] = [
    "value",
    "secret",
    "secret_id",
    "client_secret",
    "token",
    "key",
    "private_key",
];

fn masked_behind(text: &str, keys: &[&str]) -> String {
    let mut bytes = text.as_bytes().to_vec();
    let found = keys.iter().flat_map(|key| text.match_indices(key));
    for (start, word) in found {
        let named_otherwise = text[..start]
            .ends_with(|before: char| before.is_alphanumeric() || matches!(before, '_' | '-'));
        if named_otherwise {
            continue;
        }
        if let Some(range) = quoted_after_equals(text, start + word.len())
            && !text[range.clone()].contains("${")
        {
            mask(&mut bytes, range);
        }
    }
    for (start, separator) in text.match_indices("://") {
        let start = start + separator.len();
        let authority = text[start..]
            .find(|end: char| end.is_whitespace() || matches!(end, '"' | '\'' | '/'))
            .map_or(text.len(), |length| start + length);
        if let Some(length) = text[start..authority].rfind('@') {
            mask(&mut bytes, start..start + length);
        }
    }
    // Only whole characters were replaced, so this never replaces anything.
    String::from_utf8_lossy(&bytes).into_owned()
}

fn mask(bytes: &mut [u8], range: Range<usize>) {
    for byte in &mut bytes[range] {
        if !matches!(byte, b'\n' | b'\r') {
            *byte = b'*';
        }
    }
}

/// What stands in quotes behind `=`, without the quotes; to the end of the line where a quote is not closed.
fn quoted_after_equals(text: &str, from: usize) -> Option<Range<usize>> {
    let rest = text[from..].trim_start_matches(['"', '\'']);
    let rest = rest.trim_start_matches([' ', '\t']).strip_prefix('=')?;
    let rest = rest.trim_start_matches([' ', '\t']);
    let quote = rest
        .chars()
        .next()
        .filter(|first| matches!(first, '"' | '\''))?;
    let triple = [quote; 3].iter().collect::<String>();
    if let Some(content) = rest.strip_prefix(triple.as_str()) {
        let start = text.len() - content.len();
        return Some(
            start
                ..content
                    .find(&triple)
                    .map_or(text.len(), |length| start + length),
        );
    }
    let content = &rest[1..];
    let start = text.len() - content.len();
    let mut escaped = false;
    for (offset, character) in content.char_indices() {
        match character {
            '\n' => return Some(start..start + offset),
            _ if escaped => escaped = false,
            '\\' if quote == '"' => escaped = true,
            _ if character == quote => return Some(start..start + offset),
            _ => {}
        }
    }
    Some(start..text.len())
}

/// The nearest of `candidates` to what was written, if one is near enough to be meant.
pub(super) fn nearest<'n>(
    written: &str,
    candidates: impl IntoIterator<Item = &'n str>,
) -> Option<&'n str> {
    // Longer words are no slips of the keyboard, and the comparison is quadratic in their length.
    const MAX_LENGTH: usize = 64;
    if written.len() > MAX_LENGTH {
        return None;
    }
    candidates
        .into_iter()
        .filter(|candidate| candidate.len() <= MAX_LENGTH)
        .map(|candidate| (distance(written, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= (candidate.chars().count() / 3).max(1))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Insertions, deletions, replacements and swaps of neighbours that turn one word into the other.
fn distance(left: &str, right: &str) -> usize {
    let left: Vec<char> = left.chars().collect();
    let right: Vec<char> = right.chars().collect();
    let mut before = vec![0; right.len() + 1];
    let mut last: Vec<usize> = (0..=right.len()).collect();
    for (i, a) in left.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, b) in right.iter().enumerate() {
            let mut best = (last[j] + usize::from(a != b))
                .min(last[j + 1] + 1)
                .min(row[j] + 1);
            if i > 0 && j > 0 && *a == right[j - 1] && left[i - 1] == *b {
                best = best.min(before[j - 1] + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut last, row);
    }
    last[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_nearest_word_and_no_far_one() {
        let words = ["every", "settings", "autonomy"];
        assert_eq!(nearest("evrey", words), Some("every"));
        assert_eq!(nearest("seting", words), Some("settings"));
        assert_eq!(nearest("grants", words), None);
    }

    #[test]
    fn one_line_says_what_would_be_right() {
        let mut error = ConfigError::new(Some(0..1), "`memory` is out of range".into());
        (error.line, error.column) = (3, 5);
        error.label("allowed: 64KiB to 2GiB");
        let said = |error: &ConfigError| error.brief(Path::new("plugins.toml"));
        assert_eq!(
            said(&error),
            "plugins.toml:3:5: `memory` is out of range; allowed: 64KiB to 2GiB"
        );
        error.help("say it in bytes");
        assert_eq!(
            said(&error),
            "plugins.toml:3:5: `memory` is out of range; say it in bytes"
        );
    }

    #[test]
    fn masks_a_whole_file() {
        let text = "secret = \"aaaa\"\nwebhook_secrets = [\"bbbb\", \"cccc\"]\ntoken = \"${T}\"\nkey = \"dddd\"\nplugin = \"eeee\"\n";
        let whole = masked_whole(text);
        for gone in ["aaaa", "bbbb", "cccc", "dddd"] {
            assert!(!whole.contains(gone), "{whole}");
        }
        assert!(whole.contains("${T}") && whole.contains("eeee"), "{whole}");
    }

    #[test]
    fn masks_credentials_byte_for_byte() {
        let check = |text: &str, expected: &str| {
            assert_eq!(masked(text), expected);
            assert_eq!(masked(text).len(), text.len());
        };
        check(r#"{ value = "abc", x = 1 }"#, r#"{ value = "***", x = 1 }"#);
        check(
            r#"value = "Bearer ${TOKEN}""#,
            r#"value = "Bearer ${TOKEN}""#,
        );
        check("value = 'ab", "value = '**");
        check("value = \"a\\\"b\" # c", "value = \"****\" # c");
        check("value = \"\"\"a\nb\"\"\"", "value = \"\"\"*\n*\"\"\"");
        check(r#"some_value = "abc""#, r#"some_value = "abc""#);
        check(r#""http://me:pw@proxy:1/""#, r#""http://*****@proxy:1/""#);
        check("value = \"é\"", "value = \"**\"");
    }

    #[test]
    fn counts_what_it_does_not_keep() {
        let mut errors = Errors::default();
        for _ in 0..MAX_ERRORS + 5 {
            errors.at(7..9, "wrong").help("mend it");
        }
        let errors = errors.finish(Path::new("plugins.toml"), "a = 1\n");
        assert_eq!((errors.errors.len(), errors.more), (MAX_ERRORS, 5));
        assert_eq!(errors.errors[0].span, 6..6);
        assert_eq!((errors.errors[0].line, errors.errors[0].column), (2, 1));
    }
}
