//! Results as a table for people and as JSON for programs, from the same values.

use crate::samples::Pair;
use serde_json::{Map, Value, json};
use std::fmt::Write as _;

/// One bench's result.
pub(crate) struct Section {
    name: &'static str,
    columns: Vec<&'static str>,
    rows: Vec<(String, Vec<f64>)>,
    aims: Vec<Aim>,
    notes: Vec<String>,
}

/// A promise and how it went.
struct Aim {
    what: String,
    /// As the aim says it, for instance `at most 1.3`.
    aim: String,
    result: f64,
    met: bool,
}

impl Section {
    /// An empty table.
    pub(crate) fn new(name: &'static str, columns: &[&'static str]) -> Self {
        Self {
            name,
            columns: columns.to_vec(),
            rows: Vec::new(),
            aims: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// A table of [`Pair`]s.
    pub(crate) fn of_pairs(name: &'static str) -> Self {
        Self::new(
            name,
            &[
                "median µs",
                "p99 µs",
                "peer median µs",
                "peer p99 µs",
                "ratio",
                "lowest",
                "highest",
                "calls",
            ],
        )
    }

    /// Adds a row; as many values as columns.
    pub(crate) fn row(&mut self, label: &str, values: &[f64]) {
        self.rows.push((label.to_owned(), values.to_vec()));
    }

    /// Adds a row of a table of pairs.
    pub(crate) fn pair(&mut self, label: &str, pair: &Pair) {
        let (low, high) = pair.spread();
        #[expect(clippy::cast_precision_loss, reason = "some thousand calls")]
        let calls = pair.own.len() as f64;
        self.row(
            label,
            &[
                pair.own.median_us(),
                pair.own.p99_us(),
                pair.peer.median_us(),
                pair.peer.p99_us(),
                pair.ratio(),
                low,
                high,
                calls,
            ],
        );
    }

    /// Says whether a value stays at or below what it should.
    pub(crate) fn at_most(&mut self, what: &str, aim: f64, result: f64) {
        self.aims.push(Aim {
            what: what.to_owned(),
            aim: format!("at most {aim}"),
            result,
            met: result <= aim,
        });
    }

    /// Says whether a value reaches what it should.
    pub(crate) fn at_least(&mut self, what: &str, aim: f64, result: f64) {
        self.aims.push(Aim {
            what: what.to_owned(),
            aim: format!("at least {aim}"),
            result,
            met: result >= aim,
        });
    }

    /// Adds a sentence on how to read the figures.
    pub(crate) fn note(&mut self, text: impl Into<String>) {
        self.notes.push(text.into());
    }

    /// For programs.
    pub(crate) fn json(&self) -> Value {
        let rows: Vec<Value> = self
            .rows
            .iter()
            .map(|(label, values)| {
                let mut row = Map::new();
                row.insert("what".into(), json!(label));
                for (column, value) in self.columns.iter().zip(values) {
                    let key = column
                        .replace('µ', "u")
                        .replace(' ', "_")
                        .replace('/', "_per_");
                    row.insert(key, json!(value));
                }
                Value::Object(row)
            })
            .collect();
        let aims: Vec<Value> = self
            .aims
            .iter()
            .map(|aim| json!({ "what": aim.what, "aim": aim.aim, "result": aim.result, "met": aim.met }))
            .collect();
        json!({ "bench": self.name, "rows": rows, "aims": aims, "notes": self.notes })
    }

    /// For people.
    pub(crate) fn text(&self) -> String {
        let cells: Vec<Vec<String>> = self
            .rows
            .iter()
            .map(|(label, values)| {
                std::iter::once(label.clone())
                    .chain(values.iter().map(|value| number(*value)))
                    .collect()
            })
            .collect();
        let header: Vec<String> = std::iter::once(self.name)
            .chain(self.columns.iter().copied())
            .map(str::to_owned)
            .collect();
        let widths: Vec<usize> = (0..header.len())
            .map(|column| {
                std::iter::once(&header)
                    .chain(&cells)
                    .filter_map(|row| row.get(column))
                    .map(|cell| cell.chars().count())
                    .max()
                    .unwrap_or(0)
            })
            .collect();
        let mut text = String::new();
        for row in std::iter::once(&header).chain(&cells) {
            for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
                // Writing to a string cannot fail.
                let _ = if column == 0 {
                    write!(text, "{cell:width$}")
                } else {
                    write!(text, "  {cell:>width$}")
                };
            }
            text.push('\n');
        }
        for aim in &self.aims {
            let met = if aim.met { "met" } else { "missed" };
            let _ = writeln!(
                text,
                "aim: {} {}: {} ({met})",
                aim.what,
                aim.aim,
                number(aim.result)
            );
        }
        for note in &self.notes {
            let _ = writeln!(text, "note: {note}");
        }
        text
    }
}

/// Three digits that count.
fn number(value: f64) -> String {
    if !value.is_finite() {
        "-".to_owned()
    } else if value >= 100.0 {
        format!("{value:.0}")
    } else if value >= 10.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.2}")
    }
}
