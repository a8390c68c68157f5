//! Counts what the journal says of a period: who did what, what was denied, what was approved.

use super::Record;
use crate::store::Entry;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Different lines of one part of a report: more is no reading.
const LINES_MAX: usize = 500;

/// What was done in a period.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The first moment.
    pub since: Option<Timestamp>,
    /// The moment after the last.
    pub until: Option<Timestamp>,
    /// Records that were read.
    pub records: u64,
    /// Records that could not be read.
    pub unreadable: u64,
    /// Whose lines did not fit into the parts below.
    pub left_out: u64,
    /// Who did what how often.
    pub actors: Vec<Line>,
    /// What was denied.
    pub denials: Vec<Moment>,
    /// What was approved or rejected.
    pub approvals: Vec<Moment>,
}

/// Who did what how often.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// The person, the agent, or the host.
    pub actor: String,
    /// The action.
    pub action: String,
    /// How often.
    pub count: u64,
    /// How often it did not work.
    pub failed: u64,
}

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moment {
    /// Its place in the journal.
    pub seq: i64,
    /// When.
    pub at: Timestamp,
    /// Who, or which agent.
    pub actor: String,
    /// What.
    pub action: String,
    /// On what.
    pub resource: String,
    /// Why, as far as it is said.
    pub reason: String,
}

/// Gathers records into a report.
#[derive(Debug, Default)]
pub struct Gather {
    report: Report,
    actors: BTreeMap<(String, String), (u64, u64)>,
}

impl Gather {
    /// For a period.
    #[must_use]
    pub fn new(since: Option<Timestamp>, until: Option<Timestamp>) -> Self {
        Self {
            report: Report {
                since,
                until,
                ..Report::default()
            },
            actors: BTreeMap::new(),
        }
    }

    /// Takes one more. `people` has the names of pseudonyms.
    pub fn take(&mut self, entry: &Entry, people: &BTreeMap<String, String>) {
        self.report.records += 1;
        if entry.unreadable.is_some() {
            self.report.unreadable += 1;
        }
        let record = &entry.record;
        let named = |pseudonym: &String| people.get(pseudonym).unwrap_or(pseudonym).clone();
        let actor = record
            .user_id
            .as_ref()
            .map(named)
            .or_else(|| record.agent.clone())
            .or_else(|| record.ip_address.as_ref().map(named))
            .unwrap_or_else(|| "host".into());
        let key = (actor.clone(), event_of(record));
        if self.actors.len() < LINES_MAX || self.actors.contains_key(&key) {
            let (count, failed) = self.actors.entry(key).or_default();
            *count += record.count;
            *failed += if record.success { 0 } else { record.count };
        } else {
            self.report.left_out += 1;
        }
        let event = event_of(record);
        let is_approval = matches!(
            event.as_str(),
            "effect.approved" | "effect.rejected" | "effect.vetoed"
        );
        let is_denial = record.policy_verdict.as_deref() == Some("denied")
            || matches!(
                record.action.as_str(),
                "access.forbidden" | "banned_access" | "ban" | "lockout"
            );
        let part = if is_approval {
            &mut self.report.approvals
        } else if is_denial {
            &mut self.report.denials
        } else {
            return;
        };
        if part.len() >= LINES_MAX {
            self.report.left_out += 1;
            return;
        }
        let reason = record
            .error_message
            .clone()
            .or_else(|| Some(record.detail.get("reason")?.as_str()?.to_owned()))
            .unwrap_or_default();
        part.push(Moment {
            seq: entry.seq,
            at: record.timestamp,
            actor,
            action: event,
            resource: format!(
                "{} {}",
                record.resource_type,
                record.resource_id.as_ref().map(named).unwrap_or_default()
            )
            .trim()
            .to_owned(),
            reason,
        });
    }

    /// The report.
    #[must_use]
    pub fn finish(mut self) -> Report {
        self.report.actors = self
            .actors
            .into_iter()
            .map(|((actor, action), (count, failed))| Line {
                actor,
                action,
                count,
                failed,
            })
            .collect();
        self.report
    }
}

/// The most exact word for what was done.
fn event_of(record: &Record) -> String {
    match record.detail.get("event") {
        Some(Value::String(event)) if record.action != "event.published" => event.clone(),
        _ => record.action.clone(),
    }
}

impl Report {
    /// As Markdown, for people.
    #[must_use]
    pub fn markdown(&self) -> String {
        let mut text = String::from("# What was done\n\n");
        let moment = |at: Option<Timestamp>, other: &str| {
            at.map_or_else(|| other.to_owned(), |at| at.to_string())
        };
        let _ = writeln!(
            text,
            "From {} to {}: {} records{}{}.\n",
            moment(self.since, "the beginning"),
            moment(self.until, "now"),
            self.records,
            if self.unreadable > 0 {
                format!(", {} of them unreadable", self.unreadable)
            } else {
                String::new()
            },
            if self.left_out > 0 {
                format!(", {} not listed below", self.left_out)
            } else {
                String::new()
            }
        );
        text.push_str(
            "## Who did what\n\n| Who | What | How often | Failed |\n|---|---|---|---|\n",
        );
        for line in &self.actors {
            let _ = writeln!(
                text,
                "| {} | {} | {} | {} |",
                cell(&line.actor),
                cell(&line.action),
                line.count,
                line.failed
            );
        }
        for (title, part) in [("Denials", &self.denials), ("Approvals", &self.approvals)] {
            let _ = write!(text, "\n## {title}\n\n");
            if part.is_empty() {
                text.push_str("None.\n");
                continue;
            }
            text.push_str(
                "| Record | When | Who | What | On what | Why |\n|---|---|---|---|---|---|\n",
            );
            for one in part {
                let _ = writeln!(
                    text,
                    "| {} | {} | {} | {} | {} | {} |",
                    one.seq,
                    one.at,
                    cell(&one.actor),
                    cell(&one.action),
                    cell(&one.resource),
                    cell(&one.reason)
                );
            }
        }
        text
    }

    /// As comma-separated values: one table, whose first column says which part a line is of.
    #[must_use]
    pub fn csv(&self) -> String {
        let mut text = String::from("part,record,when,who,what,on_what,count,failed,why\r\n");
        for line in &self.actors {
            let _ = write!(
                text,
                "actor,,,{},{},,{},{},\r\n",
                field(&line.actor),
                field(&line.action),
                line.count,
                line.failed
            );
        }
        for (part, moments) in [("denial", &self.denials), ("approval", &self.approvals)] {
            for one in moments {
                let _ = write!(
                    text,
                    "{part},{},{},{},{},{},,,{}\r\n",
                    one.seq,
                    one.at,
                    field(&one.actor),
                    field(&one.action),
                    field(&one.resource),
                    field(&one.reason)
                );
            }
        }
        text
    }
}

/// A text that stays in its cell and shows what it is.
fn cell(text: &str) -> String {
    text.chars()
        .flat_map(|c| match c {
            '|' | '`' | '<' | '>' | '[' | ']' | '*' | '_' | '\\' => vec!['\\', c],
            c if c.is_control() => vec![' '],
            c => vec![c],
        })
        .collect()
}

/// A value as RFC 4180 has it. What a spreadsheet would take for a formula is shown as text.
fn field(text: &str) -> String {
    let text: String = text.chars().filter(|c| !c.is_control()).collect();
    let formula = text.starts_with(['=', '+', '-', '@']);
    let quoted = text.replace('"', "\"\"");
    if formula {
        format!("\"'{quoted}\"")
    } else if quoted.contains([',', '"']) {
        format!("\"{quoted}\"")
    } else {
        quoted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_says_who_did_what_and_stays_in_its_form() {
        let mut gather = Gather::new(None, None);
        let mut record = Record::new("effect", "effect");
        record.user_id = Some("user-1".into());
        record
            .detail
            .insert("event".into(), "effect.rejected".into());
        record
            .detail
            .insert("reason".into(), "=1+1 | \"no\"".into());
        let entry = |seq, record: &Record| Entry {
            seq,
            hash: String::new(),
            unreadable: None,
            record: record.clone(),
        };
        let people = BTreeMap::from([("user-1".to_owned(), "a|b".to_owned())]);
        gather.take(&entry(1, &record), &people);
        let mut denied = Record::new("policy.denied", "run");
        denied.agent = Some("badge".into());
        denied.success = false;
        denied.policy_verdict = Some("denied".into());
        denied.count = 3;
        gather.take(&entry(2, &denied), &people);
        let mut locked = Record::new("lockout", "client");
        locked
            .detail
            .insert("event".into(), "security.lockout".into());
        gather.take(&entry(3, &locked), &people);
        let report = gather.finish();
        assert_eq!(report.records, 3);
        assert_eq!(report.denials[1].action, "security.lockout");
        assert_eq!(report.approvals.len(), 1);
        assert_eq!(report.denials[0].actor, "badge");
        assert_eq!(report.actors[1].failed, 3);
        let markdown = report.markdown();
        assert!(
            markdown.contains("a\\|b") && !markdown.contains("a|b"),
            "{markdown}"
        );
        let csv = report.csv();
        assert!(csv.contains("\"'=1+1 | \"\"no\"\"\""), "{csv}");
    }
}
