//! Builders for what a run returns.

use crate::types::{Action, Effect, Failure, Finding, Level, Location, Report, Verdict};

/// Ways to make and extend a [`Report`].
pub trait ReportExt: Sized {
    /// A report that says the agent is content.
    fn passed(summary: impl Into<String>) -> Self;
    /// A report that says it is not.
    fn failed(summary: impl Into<String>) -> Self;
    /// Adds findings.
    fn with_findings(self, findings: impl IntoIterator<Item = Finding>) -> Self;
    /// Sets the output for programs.
    ///
    /// # Errors
    /// `Failure::Other` when the value cannot be written as JSON.
    fn with_output(self, output: &impl serde::Serialize) -> Result<Self, Failure>;
    /// Proposes an effect.
    fn with_effect(self, effect: Effect) -> Self;
}

impl ReportExt for Report {
    fn passed(summary: impl Into<String>) -> Self {
        Self {
            verdict: Verdict::Passed,
            summary: summary.into(),
            findings: Vec::new(),
            output: None,
            effects: Vec::new(),
        }
    }

    fn failed(summary: impl Into<String>) -> Self {
        Self {
            verdict: Verdict::Failed,
            ..Self::passed(summary)
        }
    }

    fn with_findings(mut self, findings: impl IntoIterator<Item = Finding>) -> Self {
        self.findings.extend(findings);
        self
    }

    fn with_output(mut self, output: &impl serde::Serialize) -> Result<Self, Failure> {
        let text = serde_json::to_string(output)
            .map_err(|error| Failure::Other(format!("the output is no JSON: {error}")))?;
        self.output = Some(text);
        Ok(self)
    }

    fn with_effect(mut self, effect: Effect) -> Self {
        self.effects.push(effect);
        self
    }
}

/// Ways to make and extend a [`Finding`].
pub trait FindingExt: Sized {
    /// A finding without a place.
    fn new(rule: impl Into<String>, level: Level, message: impl Into<String>) -> Self;
    /// Sets the file, with line and column from 1.
    fn at(self, path: impl Into<String>, line: Option<u32>, column: Option<u32>) -> Self;
    /// Sets the repository that the file is in.
    fn in_repository(self, repository: impl Into<String>) -> Self;
    /// Says what to do.
    fn with_help(self, help: impl Into<String>) -> Self;
}

impl FindingExt for Finding {
    fn new(rule: impl Into<String>, level: Level, message: impl Into<String>) -> Self {
        Self {
            rule: rule.into(),
            level,
            message: message.into(),
            location: None,
            help: None,
        }
    }

    fn at(mut self, path: impl Into<String>, line: Option<u32>, column: Option<u32>) -> Self {
        let repository = self.location.take().and_then(|place| place.repository);
        self.location = Some(Location {
            repository,
            path: path.into(),
            line,
            column,
        });
        self
    }

    fn in_repository(mut self, repository: impl Into<String>) -> Self {
        let repository = Some(repository.into());
        match &mut self.location {
            Some(location) => location.repository = repository,
            None => {
                self.location = Some(Location {
                    repository,
                    path: String::new(),
                    line: None,
                    column: None,
                });
            }
        }
        self
    }

    fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// Ways to make and chain an [`Effect`].
pub trait Effects: Sized {
    /// An effect with an id that is unique in the report.
    fn propose(id: impl Into<String>, reason: impl Into<String>, action: Action) -> Self;
    /// Says that another effect of the report must be applied first.
    fn after(self, id: impl Into<String>) -> Self;
}

impl Effects for Effect {
    fn propose(id: impl Into<String>, reason: impl Into<String>, action: Action) -> Self {
        Self {
            id: id.into(),
            depends_on: Vec::new(),
            reason: reason.into(),
            action,
        }
    }

    fn after(mut self, id: impl Into<String>) -> Self {
        self.depends_on.push(id.into());
        self
    }
}
