//! How much the suites do: as much as fits into minutes, or their full counts in `cargo xtask soak`, which collects the figures.

use std::fs::OpenOptions;
use std::io::Write as _;

/// Names the file that collects the figures of a soak.
const FIGURES: &str = "INFINITY_SOAK_FIGURES";

/// Whether this is a soak.
#[must_use]
pub fn is_soak() -> bool {
    std::env::var_os("INFINITY_SOAK").is_some_and(|value| value == "1")
}

/// One of two counts: for every day, and for a soak.
#[must_use]
pub fn count<N>(usual: N, full: N) -> N {
    if is_soak() { full } else { usual }
}

/// Adds a line to the table of a soak: what was done, how often, and what came of it.
///
/// # Panics
/// When the file cannot be written.
pub fn figure(what: &str, count: impl std::fmt::Display, result: &str) {
    let Some(path) = std::env::var_os(FIGURES) else {
        return;
    };
    let mut file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .expect("the file of figures opens");
    writeln!(file, "| {what} | {count} | {result} |").expect("the file of figures is written");
}
