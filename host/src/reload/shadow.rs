//! Shadow runs: what an agent's new version makes of the inputs that its runs had, compared with what the version in force makes of them in the same minute.
//!
//! Pure: it compares two ends. `runtime/shadow.rs` makes them.

use crate::model::{Outcome, Reached, Report, Run};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

/// What shadow runs of a changed agent showed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = ShadowRuns)]
pub struct Shadows {
    /// Recorded inputs that both versions got.
    pub runs: u32,
    /// Of these, how many the new version ended otherwise: another outcome, output, finding or effect.
    pub different: u32,
    /// What the new version reached while it was tried; it is not recorded elsewhere.
    pub reached: Vec<Reached>,
}

/// Things that were reached and are listed, at most: as many as two runs list.
const REACHED_MAX: usize = 128;

impl Shadows {
    /// Adds what one of them reached.
    pub fn reach(&mut self, reached: &[Reached]) {
        for one in reached {
            let room = self.reached.len() < REACHED_MAX;
            let known = self
                .reached
                .iter_mut()
                .find(|known| known.kind == one.kind && known.name == one.name);
            match known {
                Some(known) => known.count += one.count,
                None if room => self.reached.push(one.clone()),
                None => {}
            }
        }
    }
}

/// How a call ended: its record, of which nothing is kept, and what it returned.
pub struct Shadow {
    /// The record that it would have had.
    pub run: Run,
    /// What it returned.
    pub report: Report,
    /// What it reached.
    pub reached: Vec<Reached>,
}

/// What two versions made of the same input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The same.
    Same,
    /// Something else that is no worse.
    Different,
    /// It ends worse, and how.
    Worse(String),
}

/// How bad an end is.
fn rank(outcome: Option<Outcome>) -> u8 {
    match outcome {
        Some(Outcome::Succeeded) => 0,
        Some(Outcome::Failed) => 1,
        _ => 2,
    }
}

/// Compares the new version's end with that of the version in force.
#[must_use]
pub fn verdict(in_force: &Shadow, new: &Shadow) -> Verdict {
    if rank(new.run.outcome) > rank(in_force.run.outcome) {
        let word = |run: &Run| json!(run.outcome);
        let mut said = format!(
            "it ends {} where the version in force ends {}",
            word(&new.run),
            word(&in_force.run)
        );
        if let Some(reason) = &new.run.reason {
            said.push_str(&format!(" ({reason})"));
        }
        if let Some(message) = new.run.message.as_ref().or(new.run.summary.as_ref()) {
            said.push_str(": ");
            said.push_str(message);
        }
        return Verdict::Worse(said);
    }
    let same = new.run.outcome == in_force.run.outcome
        && new.report.output == in_force.report.output
        && new.report.findings == in_force.report.findings
        && new.report.effects == in_force.report.effects;
    if same {
        Verdict::Same
    } else {
        Verdict::Different
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Usage;
    use serde_json::Value;

    fn shadow(outcome: &str, output: &Value) -> Shadow {
        let run = json!({
            "id": "01a03eb6-0000-7000-8000-000000000000", "agent": "a", "plugin": "p", "plugin_digest": "", "config_digest": "",
            "principal": { "kind": "host", "name": "t" }, "trigger": "manual", "attempt": 1, "idempotency_key": "k", "dry_run": false,
            "state": "ended", "outcome": outcome, "reason": null, "message": "a message", "hint": null, "summary": null, "findings": 0,
            "denials": [], "usage": Usage::default(), "input": null, "scheduled_at": "2026-01-01T00:00:00Z", "created_at": "2026-01-01T00:00:00Z",
            "started_at": null, "ended_at": null,
        });
        Shadow {
            run: serde_json::from_value(run).unwrap(),
            report: Report {
                output: Some(output.clone()),
                ..Report::default()
            },
            reached: Vec::new(),
        }
    }

    #[test]
    fn only_what_ends_worse_is_worse() {
        let one = json!(1);
        let good = shadow("succeeded", &one);
        assert_eq!(verdict(&good, &shadow("succeeded", &one)), Verdict::Same);
        assert_eq!(
            verdict(&good, &shadow("succeeded", &json!(2))),
            Verdict::Different
        );
        assert_eq!(
            verdict(&shadow("trapped", &one), &shadow("failed", &one)),
            Verdict::Different
        );
        // Both crash: the new one is no worse.
        assert_eq!(
            verdict(&shadow("trapped", &one), &shadow("limited", &one)),
            Verdict::Different
        );
        let Verdict::Worse(said) = verdict(&good, &shadow("trapped", &one)) else {
            panic!("a trap is worse");
        };
        assert_eq!(
            said,
            r#"it ends "trapped" where the version in force ends "succeeded": a message"#
        );
    }
}
