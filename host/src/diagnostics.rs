//! Errors, warnings and hints for people on standard error, and for programs as JSON. Nothing else in the host prints there but the log.
//!
//! Invariants: colour is never the only carrier of meaning; no control character of a file reaches the terminal; a line of an excerpt is never longer than
//! 120 characters and its two marks of omission. It does not know how mistakes are found.

use std::fmt::Write as _;
use std::io::IsTerminal;

use serde_json::{Value, json};

use crate::config::{ConfigError, ConfigErrors, is_unprintable};

/// Characters of a source line that are shown: what fits beside a margin on a wide terminal.
const MAX_EXCERPT: usize = 120;
/// Characters that are shown before a place that is far to the right.
const LEAD: usize = 40;

const RED: &str = "\u{1b}[1;31m";
const YELLOW: &str = "\u{1b}[1;33m";
const BLUE: &str = "\u{1b}[1;34m";
const GREEN: &str = "\u{1b}[1;32m";
const BOLD: &str = "\u{1b}[1m";
const RESET: &str = "\u{1b}[0m";

/// Text for people: for each mistake what, where with the line itself, and what to do; then how many there are.
#[must_use]
pub fn render(errors: &ConfigErrors, color: bool) -> String {
    let paint = Paint(color);
    let mut out = String::new();
    for error in &errors.errors {
        headline(&mut out, paint, (RED, "error"), &error.message);
        if error.line > 0 {
            excerpt(&mut out, paint, errors, error);
        }
        if let Some(help) = &error.help {
            if error.line > 0 {
                out.push('\n');
            }
            hint(&mut out, paint, help);
        }
        out.push('\n');
    }
    let count = errors.errors.len() + errors.more;
    let file = printable(&errors.path.display().to_string());
    if errors.more > 0 {
        let shown = errors.errors.len();
        headline(
            &mut out,
            paint,
            (RED, "error"),
            &format!("{count} mistakes in {file}, of which {shown} are shown"),
        );
    } else if count > 1 {
        headline(
            &mut out,
            paint,
            (RED, "error"),
            &format!("{count} mistakes in {file}"),
        );
    } else {
        // The empty line behind the only mistake separates it from nothing.
        out.pop();
    }
    out
}

/// For programs: `{"errors": [{message, label, help, file, line, column}], "more": 0}`; `line` and `column` are `null` where the mistake is not in the file.
#[must_use]
pub fn json(errors: &ConfigErrors) -> Value {
    let file = errors.path.display().to_string();
    let list: Vec<Value> = errors
        .errors
        .iter()
        .map(|error| {
            let place = |number: usize| (error.line > 0).then_some(number);
            json!({
                "message": error.message,
                "label": error.label,
                "help": error.help,
                "file": file,
                "line": place(error.line),
                "column": place(error.column),
            })
        })
        .collect();
    json!({ "errors": list, "more": errors.more })
}

/// Prints mistakes of a configuration to standard error.
pub fn config_errors(errors: &ConfigErrors) {
    print(&render(errors, color()));
}

/// Prints an error to standard error: what is wrong, and what to do about it.
pub fn error(message: &str, hint: Option<&str>) {
    print(&notice((RED, "error"), message, hint, color()));
}

/// Prints a warning to standard error.
pub fn warn(message: &str, hint: Option<&str>) {
    print(&notice((YELLOW, "warning"), message, hint, color()));
}

/// Whether standard error takes colour: it is a terminal, `NO_COLOR` is empty or unset, and `TERM` is not `dumb`.
#[must_use]
pub fn color() -> bool {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    std::io::stderr().is_terminal()
        && set("NO_COLOR").is_none()
        && set("TERM").is_none_or(|term| term != "dumb")
}

#[expect(
    clippy::print_stderr,
    reason = "this module is the one place that prints errors"
)]
fn print(text: &str) {
    eprint!("{text}");
}

#[derive(Clone, Copy)]
struct Paint(bool);

impl Paint {
    fn with(self, style: &str, text: &str) -> String {
        if self.0 {
            format!("{style}{text}{RESET}")
        } else {
            text.to_owned()
        }
    }
}

fn notice(level: (&str, &str), message: &str, help: Option<&str>, color: bool) -> String {
    let mut out = String::new();
    headline(&mut out, Paint(color), level, message);
    if let Some(help) = help {
        hint(&mut out, Paint(color), help);
    }
    out
}

fn headline(out: &mut String, paint: Paint, (style, level): (&str, &str), message: &str) {
    let level = paint.with(style, level);
    let message = paint.with(BOLD, &printable(message));
    line(out, &format!("{level}: {message}"));
}

fn hint(out: &mut String, paint: Paint, help: &str) {
    let word = paint.with(GREEN, "hint");
    line(out, &format!("{word}: {}", printable(help)));
}

/// The place, and the line that it is in with carets below it. A place over several lines is marked to the end of its first.
fn excerpt(out: &mut String, paint: Paint, errors: &ConfigErrors, error: &ConfigError) {
    let text = errors.text.as_str();
    let at = |offset: usize| text.floor_char_boundary(offset.min(text.len()));
    let (start, end) = (at(error.span.start), at(error.span.end));
    let line_start = text[..start].rfind('\n').map_or(0, |offset| offset + 1);
    let line_end = text[start..]
        .find('\n')
        .map_or(text.len(), |offset| start + offset);
    let before: Vec<char> = text[line_start..start].chars().collect();
    let marked: Vec<char> = text[start..end.clamp(start, line_end)]
        .trim_end_matches('\r')
        .chars()
        .collect();
    let after: Vec<char> = text[start..line_end]
        .trim_end_matches('\r')
        .chars()
        .skip(marked.len())
        .collect();

    // Of a long line, what is around the place.
    let cut = if before.len() + marked.len() + after.len() > MAX_EXCERPT {
        before.len().saturating_sub(LEAD)
    } else {
        0
    };
    let mut before: String = before[cut..].iter().copied().map(shown).collect();
    if cut > 0 {
        before.insert(0, '…');
    }
    let room = MAX_EXCERPT.saturating_sub(before.chars().count());
    let marked_shown: String = marked.iter().copied().map(shown).take(room).collect();
    let carets = "^".repeat(marked_shown.chars().count().max(1));
    let rest_room = room - marked_shown.chars().count();
    let mut rest: String = after.iter().copied().map(shown).take(rest_room).collect();
    if marked.len() + after.len() > room {
        rest.push('…');
    }

    let number = error.line.to_string();
    let margin = " ".repeat(number.len());
    let bar = paint.with(BLUE, "|");
    let file = printable(&errors.path.display().to_string());
    let arrow = paint.with(BLUE, "-->");
    line(
        out,
        &format!("{margin}{arrow} {file}:{}:{}", error.line, error.column),
    );
    line(out, &format!("{margin} {bar}"));
    let source = format!(
        "{} {bar} {before}{marked_shown}{rest}",
        paint.with(BLUE, &number)
    );
    line(out, source.trim_end());
    let indent = " ".repeat(before.chars().count());
    let label = error
        .label
        .as_deref()
        .map_or_else(String::new, |label| format!(" {}", printable(label)));
    let carets = paint.with(RED, &format!("{carets}{label}"));
    line(out, &format!("{margin} {bar} {indent}{carets}"));
}

fn line(out: &mut String, text: &str) {
    // Writing to a string cannot fail.
    let _ = writeln!(out, "{text}");
}

/// One character for one, so that the carets stand below it.
fn shown(character: char) -> char {
    match character {
        '\t' => ' ',
        unprintable if is_unprintable(unprintable) => '\u{fffd}',
        printable => printable,
    }
}

fn printable(text: &str) -> String {
    text.chars()
        .map(|character| {
            if is_unprintable(character) {
                '\u{fffd}'
            } else {
                character
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn errors(text: &str) -> ConfigErrors {
        crate::config::parse(
            text,
            Path::new("plugins.toml"),
            &|_| None,
            &Default::default(),
        )
        .expect_err("the text has mistakes")
    }

    #[test]
    fn says_where_what_and_what_to_do() {
        let rendered = render(
            &errors("[agents.mirror]\nplugin = \"mirror\"\nshedule = 1\nevrey = \"1m\"\n"),
            false,
        );
        assert!(rendered.starts_with("error: unknown key `shedule` in agent `mirror`\n --> plugins.toml:3:1\n  |\n3 | shedule = 1\n  | ^^^^^^^ expected one of `plugin`, "), "{rendered}");
        assert!(
            rendered.contains("\n\nhint: did you mean `every`?\n\n"),
            "{rendered}"
        );
        assert!(
            rendered.ends_with("\nerror: 2 mistakes in plugins.toml\n"),
            "{rendered}"
        );
    }

    #[test]
    fn colour_changes_nothing_but_colour() {
        let errors = errors("[host]\nqueue = 0\n");
        let coloured = render(&errors, true);
        let mut plain = coloured.clone();
        for style in [RED, YELLOW, BLUE, GREEN, BOLD, RESET] {
            plain = plain.replace(style, "");
        }
        assert_ne!(coloured, plain);
        assert_eq!(plain, render(&errors, false));
    }

    #[test]
    fn shows_the_part_of_a_long_line_that_matters() {
        let rendered = render(
            &errors(&format!(
                "x = {{ y = \"{}\" }}\n[host]\nqueue = 0 # {}\n",
                "é".repeat(400),
                "z".repeat(400)
            )),
            false,
        );
        assert!(
            rendered.lines().all(|line| line.chars().count() < 250),
            "{rendered}"
        );
        assert!(rendered.contains('…'));
    }

    #[test]
    fn no_control_character_reaches_the_terminal() {
        let rendered = render(
            &errors("\"\\u001b[31m\\u202e\" = 1\n\u{1b}[2J = 1\n"),
            false,
        );
        assert!(
            !rendered.contains(|c: char| c != '\n' && is_unprintable(c)),
            "{rendered:?}"
        );
    }

    #[test]
    fn programs_get_places_as_numbers() {
        let value = json(&errors("[host]\nqueue = 0\n"));
        assert_eq!(value["errors"][0]["line"], 2);
        assert_eq!(value["errors"][0]["column"], 9);
        assert_eq!(value["errors"][0]["file"], "plugins.toml");
    }

    #[test]
    fn a_warning_has_its_hint_on_a_line_of_its_own() {
        assert_eq!(
            notice(
                (YELLOW, "warning"),
                "no plugin",
                Some("run `cargo xtask build`"),
                false
            ),
            "warning: no plugin\nhint: run `cargo xtask build`\n"
        );
    }
}
