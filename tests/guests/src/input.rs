//! Turns an invocation into a case's parameters, and an observation into a report.

use infinity_sdk::prelude::*;
use serde_json::{Map, Value};

/// What a case answers with.
pub(crate) type Answer = Result<Report, Failure>;

/// The invocation and its input, an object.
pub(crate) struct Input {
    pub(crate) invocation: Invocation,
    fields: Map<String, Value>,
}

impl Input {
    pub(crate) fn parse(invocation: Invocation) -> Result<Self, Failure> {
        match serde_json::from_str(&invocation.input) {
            Ok(Value::Object(fields)) => Ok(Self { invocation, fields }),
            _ => Err(Failure::InvalidInput(
                "the input must be an object with the field `case`".into(),
            )),
        }
    }

    pub(crate) fn all(&self) -> &Map<String, Value> {
        &self.fields
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Value> {
        self.fields.get(name)
    }

    /// A string that must be there.
    pub(crate) fn text(&self, name: &str) -> Result<&str, Failure> {
        self.get(name)
            .and_then(Value::as_str)
            .ok_or_else(|| Failure::InvalidInput(format!("`{name}` must be a string")))
    }

    /// A string, or what stands for it.
    pub(crate) fn text_or<'a>(&'a self, name: &str, default: &'a str) -> &'a str {
        self.get(name).and_then(Value::as_str).unwrap_or(default)
    }

    /// A whole number, or what stands for it.
    pub(crate) fn number_or(&self, name: &str, default: u64) -> u64 {
        self.get(name).and_then(Value::as_u64).unwrap_or(default)
    }

    /// A size in this component's address space; what does not fit is the largest there is.
    pub(crate) fn size_or(&self, name: &str, default: u64) -> usize {
        usize::try_from(self.number_or(name, default)).unwrap_or(usize::MAX)
    }

    pub(crate) fn flag(&self, name: &str) -> bool {
        self.get(name).and_then(Value::as_bool).unwrap_or(false)
    }

    /// A list of strings; empty where there is none.
    pub(crate) fn texts(&self, name: &str) -> Vec<&str> {
        self.get(name)
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect()
    }
}

/// A report that says passed and carries what the case saw.
pub(crate) fn observed(value: &Value) -> Answer {
    Report::passed("done").with_output(value)
}

/// `ok` or the error in words, for lists of outcomes.
pub(crate) fn outcome<T, E: std::fmt::Debug>(result: &Result<T, E>) -> String {
    match result {
        Ok(_) => "ok".into(),
        Err(error) => format!("{error:?}"),
    }
}
