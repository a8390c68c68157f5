//! Problems in one file, by byte offset, and how offsets become lines and columns.
//!
//! Checks know offsets only; one pass over the bytes turns all of a file's offsets into positions, so a line of many megabytes costs no more
//! than any other text. This module does not know what the rules mean.

/// Problems kept per file; more are only counted. A file with more is one defect many times over, and a report holds 10,000 findings.
const MAX_PROBLEMS_PER_FILE: usize = 1_000;

/// Characters of the user's text quoted in a message.
const MAX_EXCERPT_CHARS: usize = 80;

/// How bad a problem is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    Note,
    Warning,
    Error,
}

/// Something wrong in a file.
#[derive(Debug)]
pub struct Problem {
    /// A stable name, such as `json/duplicate-key`.
    pub rule: &'static str,
    /// How bad it is.
    pub level: Level,
    /// Byte offset in the file without its byte order mark; nothing where the file as a whole is meant.
    pub offset: Option<usize>,
    /// What is wrong, one sentence without a full stop.
    pub message: String,
    /// What to do about it, empty where nothing is left to say.
    pub help: String,
}

/// The problems of one file.
#[derive(Debug, Default)]
pub struct Problems {
    list: Vec<Problem>,
    omitted: Vec<(&'static str, Level, u64)>,
}

impl Problems {
    /// Adds an error.
    pub fn error(
        &mut self,
        rule: &'static str,
        offset: impl Into<Option<usize>>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.push(Level::Error, rule, offset.into(), message, help);
    }

    /// Adds a warning.
    pub fn warning(
        &mut self,
        rule: &'static str,
        offset: impl Into<Option<usize>>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.push(Level::Warning, rule, offset.into(), message, help);
    }

    /// Adds a note.
    pub fn note(
        &mut self,
        rule: &'static str,
        offset: impl Into<Option<usize>>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.push(Level::Note, rule, offset.into(), message, help);
    }

    /// Adds a problem of a level that the caller decides.
    pub fn add(
        &mut self,
        level: Level,
        rule: &'static str,
        offset: impl Into<Option<usize>>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.push(level, rule, offset.into(), message, help);
    }

    /// Whether nothing was found.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    fn push(
        &mut self,
        level: Level,
        rule: &'static str,
        offset: Option<usize>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        if self.list.len() < MAX_PROBLEMS_PER_FILE {
            self.list.push(Problem {
                rule,
                level,
                offset,
                message: message.into(),
                help: help.into(),
            });
            return;
        }
        match self.omitted.iter_mut().find(|(name, _, _)| *name == rule) {
            Some((_, _, count)) => *count += 1,
            None => self.omitted.push((rule, level, 1)),
        }
    }

    /// The problems in the order of the file, and rule, level and number of those beyond the limit.
    #[must_use]
    pub fn into_parts(mut self) -> (Vec<Problem>, Vec<(&'static str, Level, u64)>) {
        self.list.sort_by_key(|problem| problem.offset);
        (self.list, self.omitted)
    }

    /// Rules with lines and columns, for tests.
    #[must_use]
    pub fn rules_at(self, text: &str) -> Vec<(&'static str, u32, u32)> {
        let (list, _) = self.into_parts();
        let offsets: Vec<usize> = list.iter().map(|it| it.offset.unwrap_or(0)).collect();
        let positions = positions(text.as_bytes(), &offsets);
        list.iter()
            .zip(positions)
            .map(|(problem, (line, column))| (problem.rule, line, column))
            .collect()
    }
}

/// Line and column (in characters), both from 1, of each offset. The offsets must be sorted; those beyond the end are at the end.
#[must_use]
pub fn positions(bytes: &[u8], offsets: &[usize]) -> Vec<(u32, u32)> {
    let (mut line, mut column, mut at) = (1_u32, 1_u32, 0_usize);
    offsets
        .iter()
        .map(|&offset| {
            for &byte in &bytes[at.min(offset).min(bytes.len())..offset.min(bytes.len())] {
                if byte == b'\n' {
                    line = line.saturating_add(1);
                    column = 1;
                } else if byte & 0xC0 != 0x80 {
                    column = column.saturating_add(1);
                }
            }
            at = at.max(offset);
            (line, column)
        })
        .collect()
}

/// Finds the line of an offset, for messages that point at a second place.
pub struct Lines(Vec<usize>);

impl Lines {
    /// Reads where the lines of a text end.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(
            text.bytes()
                .enumerate()
                .filter_map(|(at, byte)| (byte == b'\n').then_some(at))
                .collect(),
        )
    }

    /// The line, from 1.
    #[must_use]
    pub fn line(&self, offset: usize) -> usize {
        self.0.partition_point(|&end| end < offset) + 1
    }
}

/// The user's text as it may stand in a message: short, in one line, without control characters.
#[must_use]
pub fn excerpt(text: &str) -> String {
    let mut short: String = text
        .chars()
        .take(MAX_EXCERPT_CHARS)
        .map(|character| {
            if character.is_control() {
                ' '
            } else {
                character
            }
        })
        .collect();
    if text.chars().nth(MAX_EXCERPT_CHARS).is_some() {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_characters_and_lines_end_at_line_feeds() {
        let text = "a🦀b\r\nçd\n";
        let at = |needle: &str| text.find(needle).unwrap();
        assert_eq!(
            positions(text.as_bytes(), &[0, at("b"), at("d"), 999]),
            [(1, 1), (1, 3), (2, 2), (3, 1)]
        );
        let lines = Lines::new(text);
        assert_eq!(
            (lines.line(0), lines.line(at("d")), lines.line(999)),
            (1, 2, 3)
        );
    }

    #[test]
    fn problems_beyond_the_limit_are_counted() {
        let mut problems = Problems::default();
        for _ in 0..MAX_PROBLEMS_PER_FILE + 5 {
            problems.error("json/duplicate-key", 0, "", "");
        }
        let (list, omitted) = problems.into_parts();
        assert_eq!(list.len(), MAX_PROBLEMS_PER_FILE);
        assert_eq!(omitted, [("json/duplicate-key", Level::Error, 5)]);
    }

    #[test]
    fn excerpts_are_short_and_in_one_line() {
        assert_eq!(excerpt("a\nb"), "a b");
        assert_eq!(
            excerpt(&"x".repeat(500)).chars().count(),
            MAX_EXCERPT_CHARS + 1
        );
    }
}
