//! Precision and recall on a copy of this repository with planted defects, and how the agent behaves as a whole.

use infinity_sdk::prelude::*;
use infinity_sdk::testing::TestHost;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

#[path = "../../../tests/src/defects.rs"]
#[expect(unreachable_pub, reason = "public in the crate of the suites")]
mod defects;

fn run(settings: &Value) -> (Result<Report, Failure>, TestHost) {
    let mut host = TestHost::new();
    for (key, value) in settings.as_object().unwrap() {
        host = host.setting(key, value);
    }
    host.run(validation::run, "null")
}

/// How often each rule is reported at each place.
fn places(report: &Report) -> BTreeMap<(String, String, Option<u32>), i32> {
    let mut places = BTreeMap::new();
    for finding in &report.findings {
        let location = finding.location.as_ref().unwrap();
        let place = (finding.rule.clone(), location.path.clone(), location.line);
        *places.entry(place).or_default() += 1;
    }
    places
}

fn copy_tree(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name();
        let skipped = [".git", "target", "var", "dist", "node_modules"];
        let kind = entry.file_type().unwrap();
        if kind.is_dir() && !skipped.contains(&&*name.to_string_lossy()) {
            copy_tree(&entry.path(), &to.join(name));
        } else if kind.is_file() {
            fs::copy(entry.path(), to.join(name)).unwrap();
        }
    }
}

#[test]
fn every_planted_defect_is_found_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("repository");
    copy_tree(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../.."), &root);
    let mut settings = defects::settings(root.to_str().unwrap(), Some("infinity"));
    settings["schemas"] = json!([]);
    settings["checksums"] = json!([]);
    // What is wrong already is not for this test to judge.
    let before = places(&run(&settings).0.unwrap());

    let planted = defects::plant(&root).unwrap();
    assert_eq!(planted.len(), defects::DEFECTS);
    let settings = defects::settings(root.to_str().unwrap(), Some("infinity"));
    let (report, host) = run(&settings);
    let report = report.unwrap();

    let mut wrong = places(&report);
    for (place, count) in before {
        *wrong.entry(place).or_default() -= count;
    }
    for defect in planted {
        *wrong
            .entry((defect.rule, defect.path, defect.line))
            .or_default() -= 1;
    }
    wrong.retain(|_, count| *count != 0);
    assert!(
        wrong.is_empty(),
        "positive: too much, negative: missed: {wrong:#?}"
    );

    assert_eq!(report.verdict, Verdict::Failed);
    assert!(!host.progress.is_empty());
    for finding in &report.findings {
        let location = finding.location.as_ref().unwrap();
        assert_eq!(location.repository.as_deref(), Some("infinity"));
        assert_eq!(location.line.is_some(), location.column.is_some());
        assert!(!finding.message.ends_with('.') && !finding.message.contains('\n'));
        assert!(finding.help.is_some());
    }
}

#[test]
fn a_clean_tree_passes_with_counts() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join(".git")).unwrap();
    fs::write(folder.path().join(".git/broken.json"), "{").unwrap();
    fs::write(folder.path().join("a.json"), "{}").unwrap();
    fs::write(folder.path().join("b.md"), "# B\n\n[a](a.json)\n").unwrap();
    let (report, _) = run(&json!({"roots": [{"path": folder.path()}]}));
    let report = report.unwrap();
    assert_eq!(report.verdict, Verdict::Passed);
    assert_eq!(report.summary, "2 files checked, 0 errors, 0 warnings");
    assert_eq!(
        serde_json::from_str::<Value>(&report.output.unwrap()).unwrap(),
        json!({"files": 2, "bytes": 19, "errors": 0, "warnings": 0, "by_rule": {}})
    );
}

#[test]
fn warnings_alone_do_not_fail_the_run() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.txt"), "a\r\nb\nc\n").unwrap();
    let (report, _) = run(&json!({"roots": [{"path": folder.path()}]}));
    let report = report.unwrap();
    assert_eq!(report.verdict, Verdict::Passed);
    assert_eq!(report.summary, "1 file checked, 0 errors, 1 warning");
}

#[test]
fn findings_beyond_the_limit_are_counted_not_listed() {
    let folder = tempfile::tempdir().unwrap();
    for index in 0..10 {
        fs::write(folder.path().join(format!("{index}.json")), "{").unwrap();
    }
    let twice = format!("{{{}\"a\": 0}}", "\"a\": 0, ".repeat(3_000));
    fs::write(folder.path().join("twice.json"), twice).unwrap();
    let (report, _) = run(&json!({"roots": [{"path": folder.path()}], "max_findings": 4}));
    let report = report.unwrap();
    assert_eq!(report.findings.len(), 4);
    let output: Value = serde_json::from_str(&report.output.unwrap()).unwrap();
    assert_eq!(
        output["by_rule"],
        json!({"json/syntax": 10, "json/duplicate-key": 3_000})
    );
    assert_eq!(
        (&output["errors"], &output["omitted"]),
        (&json!(3_010), &json!(3_006))
    );
}

#[test]
fn several_roots_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["one", "two"] {
        fs::create_dir(folder.path().join(name)).unwrap();
        fs::write(folder.path().join(name).join("a.json"), "[").unwrap();
    }
    let two = folder.path().join("two");
    let settings =
        json!({"roots": [{"path": folder.path().join("one"), "repository": "one"}, {"path": two}]});
    let report = run(&settings).0.unwrap();
    let shown: Vec<_> = report
        .findings
        .iter()
        .map(|it| {
            let location = it.location.clone().unwrap();
            (location.repository, location.path)
        })
        .collect();
    let expected = format!("{}/a.json", two.to_str().unwrap().trim_matches('/'));
    assert_eq!(
        shown,
        [
            (Some("one".to_owned()), "a.json".to_owned()),
            (None, expected)
        ]
    );
}

#[test]
fn wrong_roots_and_schemas_are_invalid_input() {
    let folder = tempfile::tempdir().unwrap();
    for settings in [
        json!({}),
        json!({"roots": []}),
        json!({"roots": [{"path": "/no/such/directory"}]}),
        json!({"roots": [{"path": folder.path()}], "schemas": [{"glob": "*", "schema": "none.json"}]}),
        json!({"roots": [{"path": folder.path()}], "schemas": [{"glob": "*", "schema": {"type": 1}}]}),
        json!({"roots": [{"path": folder.path()}], "exclude": ["a{"]}),
        json!({"roots": [{"path": folder.path()}], "max_file_bytes": 0}),
    ] {
        let answer = run(&settings).0;
        assert!(
            matches!(answer, Err(Failure::InvalidInput(_))),
            "{settings}: {answer:?}"
        );
    }
}

#[test]
fn any_bytes_below_any_name_end_in_a_report() {
    let folder = tempfile::tempdir().unwrap();
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let pieces: [&[u8]; 24] = [
        b"{",
        b"}",
        b"[",
        b"]",
        b"\"",
        b":",
        b",",
        b"\\u",
        b"#",
        b"- ",
        b"\n",
        b"&a ",
        b"*a",
        b"<a href=",
        b">",
        b"](",
        b"```",
        b"<!--",
        b"=",
        b"'",
        b"\xF0\x9F",
        "é".as_bytes(),
        b"jobs:\n  a:\n",
        b"|\n",
    ];
    for index in 0..600 {
        let mut bytes = Vec::new();
        for _ in 0..random() % 200 {
            bytes.extend_from_slice(pieces[(random() % pieces.len() as u64) as usize]);
        }
        let extension = ["json", "yaml", "toml", "md", "txt", "SHA256"][index % 6];
        fs::write(folder.path().join(format!("{index}.{extension}")), bytes).unwrap();
    }
    fs::create_dir_all(folder.path().join(".github/workflows")).unwrap();
    for (index, text) in [
        "",
        "jobs: 1\n",
        "jobs: {a: 1}\n",
        "jobs: {a: {steps: 1, needs: {}}}\n",
        "&a jobs: {a: {steps: [*a]}}\n",
    ]
    .iter()
    .enumerate()
    {
        fs::write(
            folder.path().join(format!(".github/workflows/{index}.yml")),
            text,
        )
        .unwrap();
    }
    let (report, _) = run(&json!({
        "roots": [{"path": folder.path()}],
        "schemas": [{"glob": "**", "schema": {"type": "object", "additionalProperties": {"type": "string"}}}],
        "checksums": ["5.SHA256"],
    }));
    report.unwrap();
}

#[test]
fn lines_of_megabytes_are_checked_in_seconds() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: String| fs::write(folder.path().join(name), text).unwrap();
    write(
        "keys.json",
        format!("{{{}\"a\": 0}}", "\"a\": 0,".repeat(600_000)),
    );
    write("links.md", "[a](b.md) ".repeat(400_000));
    write("anchors.md", "[a](#b) ".repeat(400_000));
    write("list.yaml", format!("[{}1]", "a, ".repeat(1_000_000)));
    write("list.toml", format!("a = [{}1]", "1, ".repeat(1_000_000)));
    write("words.txt", "é".repeat(2_000_000));
    write("entities.md", format!("<h1>{}", "&".repeat(4_000_000)));
    let (report, _) = run(&json!({"roots": [{"path": folder.path()}]}));
    assert!(!report.unwrap().findings.is_empty());
}
