//! Guests that return, print and stage too much, or what would do harm where it is shown.

use crate::suite::{Case, Ended, case};
use serde_json::{Value, json};

/// All lines of a run's log.
fn log(c: &Case<'_>, ended: &Ended) -> Vec<String> {
    let id = ended.run["id"].as_str().unwrap();
    let mut lines = Vec::new();
    let mut after = String::new();
    loop {
        let path = format!("/v1/runs/{id}/logs?limit=500{after}");
        let page = c.suite.host.json(&path).unwrap();
        let items = page["items"].as_array().unwrap();
        lines.extend(
            items
                .iter()
                .map(|line| line["message"].as_str().unwrap().to_owned()),
        );
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => return lines,
        }
    }
}

/// Bytes of a run's log, as it is kept.
pub(crate) fn log_bytes(c: &Case<'_>, ended: &Ended) -> usize {
    log(c, ended).iter().map(String::len).sum()
}

/// Whether a text holds what a terminal or a reader would obey.
fn is_active(text: &str) -> bool {
    text.chars().any(|character| {
        (character.is_control() && character != '\n')
            || matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    })
}

#[test]
fn h23_return_bomb() {
    case("H23", |c| {
        let huge = c.run("victim", json!({ "case": "return_bomb" }));
        c.expect(
            &huge,
            "limited",
            Some("memory"),
            "the guest gets no memory for it",
        );
        for field in ["output", "summary"] {
            let bytes = 1024 * 1024;
            let bomb = c.run(
                "victim",
                json!({ "case": "return_bomb", "bytes": bytes, "field": field }),
            );
            c.expect(&bomb, "limited", Some("output"), "bytes lifted at once");
        }
        let findings = c.run("victim", json!({ "case": "findings_bomb" }));
        c.expect(&findings, "limited", Some("output"), "bytes lifted at once");
        let deep = c.run("victim", json!({ "case": "deep_output" }));
        c.expect(&deep, "limited", Some("output"), "bytes lifted at once");
        let deep = c.run("victim", json!({ "case": "deep_output", "depth": 20_000 }));
        c.expect(
            &deep,
            "failed",
            Some("invalid_output"),
            "the parser's depth limit",
        );
        let wrong = c.run("victim", json!({ "case": "invalid_output" }));
        c.expect(
            &wrong,
            "failed",
            Some("invalid_output"),
            "the output must be JSON",
        );
        let artifacts = c.run("victim", json!({ "case": "artifacts" }));
        c.expect(
            &artifacts,
            "limited",
            Some("output"),
            "artifacts count as output",
        );
        let one = c.run("victim", json!({ "case": "artifact" }));
        c.expect(&one, "succeeded", None, "within the limit");
    });
}

#[test]
fn h24_stdout_flood() {
    case("H24", |c| {
        for shape in ["lines", "one_line", "nul"] {
            for stream in ["stdout", "stderr"] {
                let bytes = 8 << 20;
                let input = json!({ "case": "stdout_flood", "shape": shape, "stream": stream, "bytes": bytes });
                let flood = c.run("victim", input);
                c.expect(&flood, "succeeded", None, "the log is cut, the run goes on");
                assert_eq!(flood.output(), &json!({ "written": bytes, "error": null }));
                assert_eq!(flood.run["usage"]["log_truncated"], true);
                assert!(flood.run["usage"]["log_bytes"].as_u64() > Some(7 << 20));
                let kept = log_bytes(c, &flood);
                // With the line that says where it was cut.
                assert!((16 * 1024..=65 * 1024).contains(&kept), "{shape}: {kept}");
            }
        }
        let endless = c.run("victim", json!({ "case": "stdout_flood" }));
        // A gigabyte takes more CPU time or, on a busy machine, more time than there is.
        let reason = match endless.run["reason"].as_str() {
            Some("time") => "time",
            _ => "cpu",
        };
        c.expect(
            &endless,
            "limited",
            Some(reason),
            "the log is cut, time is limited",
        );
        assert!(log_bytes(c, &endless) <= 65 * 1024);
        let small = c.run("victim", json!({ "case": "print", "text": "one line" }));
        c.expect(&small, "succeeded", None, "within the limit");
        assert_eq!(log(c, &small), ["one line"]);
        assert_eq!(small.run["usage"]["log_truncated"], false);
    });
}

#[test]
fn h25_log_inject() {
    case("H25", |c| {
        let injected = c.run("victim", json!({ "case": "log_inject" }));
        c.expect(
            &injected,
            "succeeded",
            None,
            "escaped where it is kept and where it is shown",
        );
        let lines = log(c, &injected);
        assert!(lines.len() >= 18, "{lines:?}");
        for line in &lines {
            assert!(!is_active(line) && !line.contains('\n'), "{line:?}");
        }
        assert!(
            lines.iter().any(|line| line.contains("\\u{1b}[2J")),
            "{lines:?}"
        );

        let folder = c.suite.host.folder();
        let id = injected.run["id"].as_str().unwrap();
        for arguments in [
            vec!["runs"],
            vec!["runs", id],
            vec!["logs", id],
            vec!["findings", id],
        ] {
            let output = folder.infinity(&arguments).unwrap();
            let shown = String::from_utf8_lossy(&output.stdout);
            assert!(output.status.success(), "{arguments:?}: {output:?}");
            assert!(!shown.is_empty(), "{arguments:?}");
            assert!(!is_active(&shown), "{arguments:?}: {shown:?}");
            let forged = shown.lines().any(|line| line.starts_with("{\"level\""));
            assert!(!forged, "{arguments:?}: {shown}");
        }
        let badge = c
            .suite
            .host
            .get("/badges/victim.svg")
            .unwrap()
            .text()
            .unwrap();
        assert!(!badge.contains("<script>"), "{badge}");
    });
}

#[test]
fn reports_errors_and_effects_are_recorded_and_nothing_is_applied() {
    case("reports", |c| {
        let expect = |input: Value, outcome: &str, reason: Option<&str>| {
            let ended = c.run("victim", input);
            c.expect(&ended, outcome, reason, "the guest's own words");
            ended
        };
        expect(json!({ "case": "fails" }), "failed", None);
        expect(json!({ "case": "error" }), "failed", Some("error"));
        let found = expect(json!({ "case": "finding" }), "failed", None);
        assert_eq!(found.run["findings"], 2);
        let read = expect(json!({ "case": "stdin" }), "succeeded", None);
        assert_eq!(read.output()["bytes"], 0);
        expect(
            json!({ "case": "progress", "count": 1000, "bytes": 1000 }),
            "succeeded",
            None,
        );
        let proposed = expect(json!({ "case": "effects" }), "succeeded", None);
        assert_eq!(proposed.report["effects"].as_array().unwrap().len(), 1);
        expect(
            json!({ "case": "there is none" }),
            "failed",
            Some("invalid_input"),
        );
    });
}
