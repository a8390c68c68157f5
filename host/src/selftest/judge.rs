//! Whether a run ended as it should: pure, so that what counts as contained can be tested without a host.

use super::cases::Expected;
use serde::Serialize;
use serde_json::Value;

/// Milliseconds over a limit beyond which a guest was not contained in time, whatever else the machine does: at least five times what is aimed at.
const OVERRUN_MOST_MS: i64 = 500;

/// How many times as long that is in a crowd, of which each has a part of the machine only.
const CROWD_FACTOR: i64 = 4;

/// What else attacks the host meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Company {
    /// Nothing.
    Alone,
    /// All the other cases.
    Crowd,
}

/// Something that was not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Remark {
    /// Whether the case failed by it; otherwise it took longer than is aimed at, which a busy machine does to any program.
    pub grave: bool,
    /// What it was, in one sentence.
    pub what: String,
}

impl Remark {
    pub(super) fn grave(what: impl Into<String>) -> Self {
        Self {
            grave: true,
            what: what.into(),
        }
    }

    pub(super) fn slow(what: impl Into<String>) -> Self {
        Self {
            grave: false,
            what: what.into(),
        }
    }
}

/// What came of one run.
#[derive(Debug)]
pub(super) struct Judged {
    /// Outcome and reason.
    pub(super) got: String,
    /// Milliseconds over the limit of time or CPU time that ended it; `None` when neither did.
    pub(super) overrun_ms: Option<i64>,
    /// What was not as it should be.
    pub(super) remarks: Vec<Remark>,
}

/// Outcome and reason as people read them.
pub(super) fn words(outcome: &str, reason: Option<&str>) -> String {
    match reason {
        Some(reason) => format!("{outcome}: {reason}"),
        None => outcome.to_owned(),
    }
}

/// Compares a run, as the API shows it, with what was expected of it. `limits` are the agent's, `digest` is its plugin's, `allowed_ms` is how far over a limit of
/// time it may be, `noise_ms` how late the machine is by itself, `company` who else has a part of it.
pub(super) fn judge(
    expected: &Expected,
    run: &Value,
    limits: &Value,
    digest: &str,
    allowed_ms: i64,
    noise_ms: i64,
    company: Company,
) -> Judged {
    let mut remarks = Vec::new();
    let outcome = run["outcome"].as_str().unwrap_or("none");
    let reason = run["reason"].as_str();
    let got = words(outcome, reason);
    let wanted = words(expected.outcome, expected.reason);
    // Who gets a part of the processors only may be out of time before the limit that would end it alone.
    let is_out_of_time = company == Company::Crowd
        && (expected.outcome, outcome, reason) == ("limited", "limited", Some("time"));
    if got != wanted && !is_out_of_time {
        let message = run["message"].as_str().unwrap_or("no message");
        remarks.push(Remark::grave(format!(
            "it ended as `{got}` and not as `{wanted}`: {message}"
        )));
    }
    let told = run["message"].as_str().or(run["summary"].as_str());
    let told = told.unwrap_or_default();
    for word in expected.words.iter().filter(|_| !is_out_of_time) {
        if !told.contains(word) {
            remarks.push(Remark::grave(format!(
                "`{word}` is not in its message: {told}"
            )));
        }
    }
    if told.is_empty() {
        remarks.push(Remark::grave("no sentence says how it ended"));
    }
    if outcome == "limited" && !run["hint"].as_str().is_some_and(|hint| hint.contains('`')) {
        remarks.push(Remark::grave("no hint says which limit to raise"));
    }
    let denied: u64 = run["denials"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|denial| denial["count"].as_u64())
        .sum();
    if denied < expected.denials {
        remarks.push(Remark::grave(format!(
            "{denied} attempts were denied and recorded, not {}",
            expected.denials
        )));
    }
    if run["plugin_digest"] != digest {
        remarks.push(Remark::grave(format!(
            "its record names the plugin {} and not {digest}",
            run["plugin_digest"]
        )));
    }
    remarks.extend(within(run, limits));

    let over = |used: &str, limit: &str| {
        let used = run["usage"][used].as_i64()? / 1_000;
        Some(used - limits[limit].as_i64()?)
    };
    let overrun_ms = match reason {
        Some("cpu") => over("cpu_us", "cpu_ms"),
        Some("time") => over("wall_us", "time_ms"),
        _ => None,
    };
    if let Some(over) = overrun_ms {
        // The machine's own lateness delays a timer, but hardly counts as CPU time of the guest.
        let most = match company {
            Company::Alone => OVERRUN_MOST_MS,
            Company::Crowd => OVERRUN_MOST_MS * CROWD_FACTOR,
        };
        if over > most + noise_ms {
            remarks.push(Remark::grave(format!("it ran {over} ms over its limit")));
        } else if over > allowed_ms {
            remarks.push(Remark::slow(format!(
                "it ran {over} ms over its limit, {allowed_ms} are aimed at"
            )));
        }
    }
    Judged {
        got,
        overrun_ms,
        remarks,
    }
}

/// Whether the record's usage is within the agent's limits.
fn within(run: &Value, limits: &Value) -> Vec<Remark> {
    // The call that was one too many is counted, too.
    let used = [
        ("peak_memory_bytes", "memory_bytes", 0),
        ("host_calls", "host_calls", 1),
        ("output_bytes", "output_bytes", 0),
        ("http_requests", "http_requests", 0),
    ];
    used.into_iter()
        .filter_map(|(used, limit, slack)| {
            let (Some(count), Some(most)) = (run["usage"][used].as_u64(), limits[limit].as_u64())
            else {
                return Some(Remark::grave(format!("its record does not say `{used}`")));
            };
            (count > most + slack)
                .then(|| Remark::grave(format!("it used {count} of `{limit}`, {most} are allowed")))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const EXPECTED: Expected = Expected {
        outcome: "limited",
        reason: Some("cpu"),
        words: &["CPU time"],
        denials: 0,
    };

    fn run() -> Value {
        json!({
            "outcome": "limited", "reason": "cpu", "message": "more than 300 ms of CPU time", "hint": "raise `cpu`",
            "denials": [], "plugin_digest": "sha256:aa",
            "usage": { "cpu_us": 305_000, "wall_us": 400_000, "peak_memory_bytes": 65_536, "host_calls": 11, "output_bytes": 0,
                "http_requests": 0 },
        })
    }

    fn alone(expected: &Expected, run: &Value) -> Judged {
        judge(expected, run, &limits(), "sha256:aa", 20, 0, Company::Alone)
    }

    fn limits() -> Value {
        json!({ "cpu_ms": 300, "time_ms": 2_000, "memory_bytes": 65_536, "host_calls": 10, "output_bytes": 0, "http_requests": 0 })
    }

    /// Judges the run with one field changed.
    fn check(field: &str, value: Value, remarks: &[&str]) {
        let mut run = run();
        if !field.is_empty() {
            run[field] = value;
        }
        let judged = alone(&EXPECTED, &run);
        let told: Vec<&str> = judged.remarks.iter().map(|remark| &*remark.what).collect();
        assert_eq!(told.len(), remarks.len(), "{told:?}");
        for (told, wanted) in told.iter().zip(remarks) {
            assert!(told.contains(wanted), "{told}");
        }
    }

    #[test]
    fn a_run_that_ended_as_expected_has_no_remarks() {
        check("", Value::Null, &[]);
        let judged = alone(&EXPECTED, &run());
        assert_eq!(judged.got, "limited: cpu");
        assert_eq!(judged.overrun_ms, Some(5));
    }

    #[test]
    fn another_end_is_grave() {
        check(
            "outcome",
            json!("succeeded"),
            &["ended as `succeeded: cpu` and not as `limited: cpu`"],
        );
        check(
            "reason",
            json!("fuel"),
            &["ended as `limited: fuel` and not as"],
        );
        check(
            "outcome",
            Value::Null,
            &["ended as `none: cpu` and not as `limited: cpu`"],
        );
    }

    #[test]
    fn a_record_that_says_too_little_is_grave() {
        check(
            "message",
            json!("it ended"),
            &["`CPU time` is not in its message"],
        );
        check("hint", Value::Null, &["no hint"]);
        check("plugin_digest", json!("sha256:bb"), &["names the plugin"]);
        check("usage", json!({}), &["does not say"; 4]);
    }

    #[test]
    fn usage_beyond_a_limit_is_grave() {
        let mut run = run();
        run["usage"]["host_calls"] = json!(12);
        let judged = alone(&EXPECTED, &run);
        assert_eq!(
            judged.remarks,
            [Remark::grave("it used 12 of `host_calls`, 10 are allowed")]
        );
    }

    #[test]
    fn lateness_is_told_and_only_much_of_it_is_grave() {
        let over = |cpu_us: u64| {
            let mut run = run();
            run["usage"]["cpu_us"] = json!(cpu_us);
            alone(&EXPECTED, &run).remarks
        };
        assert!(over(320_000).is_empty());
        assert!(!over(350_000)[0].grave);
        assert!(over(900_000)[0].grave);
    }

    #[test]
    fn in_a_crowd_time_may_end_what_another_limit_would() {
        let mut run = run();
        run["reason"] = json!("time");
        run["message"] = json!("ran longer than 2000 ms");
        run["usage"]["wall_us"] = json!(2_900_000);
        let remarks = |run: &Value, company| {
            judge(&EXPECTED, run, &limits(), "sha256:aa", 20, 0, company).remarks
        };
        let alone = remarks(&run, Company::Alone);
        assert!(alone.iter().filter(|remark| remark.grave).count() >= 2);
        let crowd = remarks(&run, Company::Crowd);
        assert!(crowd.iter().all(|remark| !remark.grave), "{crowd:?}");
        run["usage"]["wall_us"] = json!(4_100_000);
        assert!(remarks(&run, Company::Crowd)[0].grave);
        // It has to be a limit.
        run["outcome"] = json!("succeeded");
        assert!(remarks(&run, Company::Crowd)[0].grave);
    }

    #[test]
    fn denials_are_counted_over_all_attempts() {
        let expected = Expected {
            denials: 3,
            ..EXPECTED
        };
        let mut run = run();
        run["denials"] = json!([{ "count": 1 }, { "count": 2 }]);
        assert!(alone(&expected, &run).remarks.is_empty());
        run["denials"] = json!([{ "count": 2 }]);
        assert!(alone(&expected, &run).remarks[0].grave);
    }
}
