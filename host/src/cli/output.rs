//! The only place of the command line that prints: data to standard output, everything else to standard error.
//!
//! What comes from guests, files and hosts is printed without control characters and without characters that change the direction of text, so that no
//! finding can move the cursor, hide a line or pose as another.

use super::{CliError, ColorChoice};
use crate::config::is_unprintable;
use crate::diagnostics;
use comfy_table::{Attribute, Cell, ContentArrangement, Table, presets};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;
use serde_json::json;
use std::io::{IsTerminal, Write};
use std::time::Duration;

/// How often a spinner turns: smooth to the eye.
const SPINNER_TICK: Duration = Duration::from_millis(100);

/// Where and how to print.
#[derive(Clone, Debug)]
pub struct Output {
    json: bool,
    terminal: bool,
    color: bool,
    color_errors: bool,
}

impl Output {
    /// Looks at the terminal and at `NO_COLOR`.
    #[must_use]
    pub fn new(json: bool, color: ColorChoice) -> Self {
        let terminal = std::io::stdout().is_terminal();
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let (color, color_errors) = match color {
            ColorChoice::Always => (true, true),
            ColorChoice::Never => (false, false),
            ColorChoice::Auto => (terminal && wanted, diagnostics::color()),
        };
        Self {
            json,
            terminal,
            color,
            color_errors,
        }
    }

    /// Whether programs read this.
    #[must_use]
    pub fn is_json(&self) -> bool {
        self.json
    }

    /// A line of data; the text may hold nothing that is not printable.
    pub fn line(&self, text: &str) {
        self.raw(format!("{}\n", printable(text)).as_bytes());
    }

    /// A line in colour, where colour is wanted. `style` is the parameter of an SGR sequence.
    pub(super) fn styled(&self, style: &str, text: &str) -> String {
        if self.color {
            format!("\u{1b}[{style}m{}\u{1b}[0m", printable(text))
        } else {
            printable(text)
        }
    }

    /// A line that was put together from [`Output::styled`] and [`printable`] text.
    pub(super) fn ready(&self, text: &str) {
        self.raw(format!("{text}\n").as_bytes());
    }

    /// JSON for programs.
    pub fn value(&self, value: &impl Serialize) {
        // Views and values are made of strings, numbers and maps with text keys: they can always be written.
        let text = serde_json::to_string_pretty(value).unwrap_or_default();
        self.raw(format!("{}\n", printable_json(&text)).as_bytes());
    }

    /// One JSON value on one line, for streams.
    pub(super) fn value_line(&self, value: &impl Serialize) {
        let text = serde_json::to_string(value).unwrap_or_default();
        self.raw(format!("{}\n", printable_json(&text)).as_bytes());
    }

    /// Bytes as they are.
    pub(super) fn raw(&self, bytes: &[u8]) {
        let mut stdout = std::io::stdout().lock();
        // Whoever closed the pipe has read enough; there is nobody left to tell.
        let _ = stdout.write_all(bytes).and_then(|()| stdout.flush());
    }

    /// Rows under a head: with lines on a terminal, bare columns elsewhere.
    pub fn table(&self, head: &[&str], rows: Vec<Vec<String>>) {
        let mut table = Table::new();
        if self.terminal {
            table.load_style(presets::UTF8_HORIZONTAL_ONLY);
            table.set_content_arrangement(ContentArrangement::Dynamic);
        } else {
            table.load_style(presets::NOTHING);
            table.force_no_tty();
        }
        table.set_header(head.iter().map(|name| {
            let cell = Cell::new(name);
            if self.color {
                cell.add_attribute(Attribute::Bold)
            } else {
                cell
            }
        }));
        for row in rows {
            table.add_row(row.iter().map(|text| Cell::new(printable(text))));
        }
        self.ready(&table.trim_fmt());
    }

    /// A remark on standard error.
    pub fn note(&self, text: &str) {
        let mut stderr = std::io::stderr().lock();
        let _ = writeln!(stderr, "{}", printable(text));
    }

    /// An error on standard error: for programs as JSON.
    pub fn error(&self, error: &CliError) {
        let text = match error {
            CliError::Config(errors) if self.json => format!("{}\n", diagnostics::json(errors)),
            CliError::Config(errors) => diagnostics::render(errors, self.color_errors),
            _ if self.json => format!("{}\n", printable_json(&as_json(error).to_string())),
            CliError::Problem(problem) => {
                for input in &problem.errors {
                    let pointer = if input.pointer.is_empty() {
                        "the input"
                    } else {
                        &input.pointer
                    };
                    self.note(&format!("{pointer}: {}", input.message));
                }
                let hint = (problem.status >= 500).then(|| {
                    format!(
                        "the host's log has more under request {}",
                        problem.request_id
                    )
                });
                return diagnostics::error(&error.to_string(), hint.as_deref());
            }
            CliError::Input { message, hint } | CliError::Failed { message, hint } => {
                return diagnostics::error(message, hint.as_deref());
            }
        };
        let _ = std::io::stderr().lock().write_all(text.as_bytes());
    }

    /// A bar on standard error for what has many steps; invisible unless a person watches.
    #[must_use]
    pub fn bar(&self) -> ProgressBar {
        let bar = self.spinner("");
        if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} {msg} ({elapsed})") {
            bar.set_style(style);
        }
        bar
    }

    /// A spinner on standard error while something takes long; invisible unless a person watches.
    #[must_use]
    pub fn spinner(&self, message: &str) -> ProgressBar {
        let target = if self.json || !std::io::stderr().is_terminal() {
            ProgressDrawTarget::hidden()
        } else {
            ProgressDrawTarget::stderr()
        };
        let spinner = ProgressBar::with_draw_target(None, target);
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} ({elapsed})") {
            spinner.set_style(style);
        }
        spinner.set_message(printable(message));
        if !spinner.is_hidden() {
            spinner.enable_steady_tick(SPINNER_TICK);
        }
        spinner
    }
}

fn as_json(error: &CliError) -> serde_json::Value {
    match error {
        CliError::Problem(problem) => json!({ "error": problem }),
        CliError::Input { message, hint } => {
            json!({ "error": { "code": "invalid_input", "message": message, "hint": hint } })
        }
        CliError::Failed { message, hint } => {
            json!({ "error": { "code": "failed", "message": message, "hint": hint } })
        }
        CliError::Config(errors) => diagnostics::json(errors),
    }
}

/// The text with every character that does not print written as its escape.
#[must_use]
pub fn printable(text: &str) -> String {
    text.chars()
        .flat_map(|character| {
            let escape = is_unprintable(character);
            let mut escaped = escape.then(|| character.escape_default());
            let mut plain = (!escape).then_some(character);
            std::iter::from_fn(move || match &mut escaped {
                Some(escaped) => escaped.next(),
                None => plain.take(),
            })
        })
        .collect()
}

/// JSON text with such characters as `\u` escapes, which mean the same; line ends stay, since JSON's own are all between values.
fn printable_json(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        if character != '\n' && is_unprintable(character) {
            for unit in character.encode_utf16(&mut [0; 2]) {
                out.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            out.push(character);
        }
    }
    out
}

/// Bytes as people read them.
pub(super) fn bytes(count: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    let mut value = count as f64 / 1024.0;
    if value < 1.0 {
        return format!("{count} B");
    }
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

/// Microseconds as people read them.
pub(super) fn micros(count: u64) -> String {
    match count {
        0..1_000 => format!("{count} µs"),
        1_000..1_000_000 => format!("{:.1} ms", count as f64 / 1e3),
        _ => format!("{:.1} s", count as f64 / 1e6),
    }
}

/// One or many.
pub(super) fn plural(count: u64, one: &str) -> String {
    if count == 1 {
        format!("1 {one}")
    } else {
        format!("{count} {one}s")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_moves_the_cursor_is_printed() {
        assert_eq!(printable("a\u{1b}[2Jb"), "a\\u{1b}[2Jb");
        assert_eq!(printable("x\u{202e}y\nz\t"), "x\\u{202e}y\\nz\\t");
        assert_eq!(printable("é 💥 ok"), "é 💥 ok");
    }

    #[test]
    fn escaped_json_means_the_same() {
        let value = json!({"a": "\u{7f}\u{202e}\u{9b}\n"});
        let text = printable_json(&value.to_string());
        assert!(!text.chars().any(is_unprintable), "{text:?}");
        let back: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(back, value);
    }

    #[test]
    fn sizes_and_times_are_for_people() {
        assert_eq!(bytes(12), "12 B");
        assert_eq!(bytes(3 * 1024 * 1024 / 2), "1.5 MiB");
        assert_eq!(micros(12), "12 µs");
        assert_eq!(micros(2_500_000), "2.5 s");
        assert_eq!(plural(1, "finding"), "1 finding");
        assert_eq!(plural(0, "finding"), "0 findings");
    }
}
