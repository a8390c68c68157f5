use super::*;
use std::path::Path;

fn file(path: &str, content: &str) -> File {
    File {
        path: path.to_owned(),
        content: content.to_owned(),
    }
}

fn load(files: &[(&str, &str)]) -> PolicyEngine {
    let files: Vec<File> = files.iter().map(|(p, c)| file(p, c)).collect();
    PolicyEngine::load(&files).unwrap_or_else(|errors| panic!("{}", lines(&errors)))
}

fn errors(files: &[(&str, &str)]) -> String {
    let files: Vec<File> = files.iter().map(|(p, c)| file(p, c)).collect();
    lines(&PolicyEngine::load(&files).expect_err("a mistake is found"))
}

fn lines(errors: &[LoadError]) -> String {
    let lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

/// The repository's own policies, with paths from its root.
pub(crate) fn shipped() -> Vec<File> {
    fn collect(directory: &Path, prefix: &str, files: &mut Vec<File>) {
        let mut entries: Vec<_> = std::fs::read_dir(directory)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        entries.sort();
        for path in entries {
            let name = format!("{prefix}/{}", path.file_name().unwrap().to_str().unwrap());
            if path.is_dir() {
                collect(&path, &name, files);
            } else {
                files.push(file(&name, &std::fs::read_to_string(&path).unwrap()));
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../policies");
    let mut files = Vec::new();
    collect(&root, "policies", &mut files);
    files
}

const SIZE: &str = r#"package shop.size

deny contains {"msg": "too big", "path": "a.txt", "line": 3, "help": "split it"} if input.size > 10

warn contains "rather big" if input.size > 5
"#;

#[test]
fn a_package_gives_denials_and_warnings_with_their_places() {
    let mut engine = load(&[("policies/size.rego", SIZE)]);
    let decision = engine.evaluate("shop.size", r#"{"size":11}"#).unwrap();
    assert!(!decision.allowed());
    assert_eq!(
        decision.denials,
        [Violation {
            rule: "shop.size".into(),
            message: "too big".into(),
            path: Some("a.txt".into()),
            line: Some(3),
            column: None,
            help: Some("split it".into()),
        }]
    );
    assert_eq!(decision.warnings[0].message, "rather big");

    // The next input is judged on its own.
    let decision = engine.evaluate("shop.size", r#"{"size":1}"#).unwrap();
    assert_eq!(decision, Decision::default());
    assert!(decision.allowed());
}

#[test]
fn a_prefix_asks_every_package_at_or_below_it_and_nothing_beside_it() {
    let mut engine = load(&[
        ("a.rego", "package shop\ndeny contains \"top\""),
        ("b.rego", "package shop.deep.er\ndeny contains \"deep\""),
        ("c.rego", "package shopping\ndeny contains \"beside\""),
        ("d.rego", "package facts\nlist := [1]"),
        (
            "e.rego",
            "package shop[\"two words\"]\ndeny contains \"odd\"",
        ),
    ]);
    let mut denials = |package: &str| -> Vec<String> {
        let decision = engine.evaluate(package, "{}").unwrap();
        decision.denials.into_iter().map(|v| v.rule).collect()
    };
    assert_eq!(denials("shop"), ["shop", "shop.deep.er", "shop.two words"]);
    assert_eq!(denials("shop.deep"), ["shop.deep.er"]);
    assert_eq!(denials("data.shop.deep.er"), ["shop.deep.er"]);
    assert_eq!(denials("shop.two words"), ["shop.two words"]);
    assert_eq!(denials("").len(), 4);
    assert_eq!(
        engine.packages(),
        ["shop", "shop.deep.er", "shop.two words", "shopping"]
    );
}

#[test]
fn no_decision_is_an_error_and_not_a_yes() {
    let mut engine = load(&[
        ("size.rego", SIZE),
        ("facts.rego", "package facts\nlist := [1]"),
        (
            "fails.rego",
            "package fails\ndeny contains \"x\" if to_number(input.text) > 1",
        ),
        ("strange.rego", "package strange\ndeny contains 7"),
        (
            "silent.rego",
            "package silent\ndeny contains {\"message\": \"x\"}",
        ),
    ]);
    for unknown in ["shop.siz", "facts", "sho", "shop.size.deny", "nothing", "."] {
        assert_eq!(
            engine.evaluate(unknown, "{}"),
            Err(EvaluateError::UnknownPackage(unknown.to_owned()))
        );
    }
    for input in ["", "{", "{} {}", "size"] {
        let answer = engine.evaluate("shop", input);
        assert!(
            matches!(answer, Err(EvaluateError::InvalidInput(_))),
            "{input}: {answer:?}"
        );
    }
    let failing = engine
        .evaluate("fails", r#"{"text":"many"}"#)
        .unwrap_err()
        .to_string();
    assert!(failing.starts_with("fails.rego:2:"), "{failing}");
    for (package, part) in [("strange", "another kind"), ("silent", "without `msg`")] {
        let error = engine.evaluate(package, "{}").unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
    // One failing package spoils the answer of all.
    assert!(engine.evaluate("", r#"{"text":"many"}"#).is_err());
    // And none of it sticks.
    assert!(engine.evaluate("shop", "{}").unwrap().allowed());

    let mut empty = load(&[]);
    assert!(empty.evaluate("", "{}").is_err());
    assert!(empty.packages().is_empty());
}

#[test]
fn complete_rules_are_read_as_well() {
    let mut engine = load(&[
        ("a.rego", "package a\ndeny := true if input.bad"),
        ("b.rego", "package b\ndeny := \"no\" if input.bad"),
        (
            "c.rego",
            "package c\ndeny := [\"one\", {\"msg\": \"two\"}] if input.bad",
        ),
    ]);
    let decision = engine.evaluate("", r#"{"bad":true}"#).unwrap();
    let messages: Vec<_> = decision
        .denials
        .iter()
        .map(|v| v.message.as_str())
        .collect();
    assert_eq!(messages, ["`a` denies this", "no", "one", "two"]);
    assert!(engine.evaluate("", r#"{"bad":false}"#).unwrap().allowed());
}

#[test]
fn the_mistakes_of_all_files_are_reported_at_once_with_their_places() {
    let text = errors(&[
        ("policies/good.rego", SIZE),
        (
            "policies/syntax.rego",
            "package a\n\ndeny contains \"x\" if {\n",
        ),
        ("policies/unsafe.rego", "package b\n\nallow if x == y\n"),
        (
            "policies/unsafe2_test.rego",
            "package c\n\ntest_x if nothing_here\n",
        ),
        ("policies/x/data.json", "{\n  \"a\": 1,\n}"),
        ("policies/x/more.yaml", "a: [1\nb: 2\n"),
        ("policies/x/list.json", "[1]"),
        ("policies/good.rego", SIZE),
    ]);
    let found: Vec<&str> = text.lines().collect();
    assert_eq!(found.len(), 7, "{text}");
    for (place, line) in [
        "policies/good.rego: the file is given twice",
        "policies/syntax.rego:4:",
        "policies/unsafe.rego:3:",
        "policies/unsafe2_test.rego:3:",
        "policies/x/data.json:3:1: key must be a string",
        "policies/x/list.json: a data document must be a mapping at its top",
        "policies/x/more.yaml:1:4: did not find",
    ]
    .iter()
    .zip(found)
    {
        assert!(line.starts_with(place), "{place}\n{text}");
    }
}

#[test]
fn documents_are_merged_at_the_path_of_their_directory() {
    let mut engine = load(&[
        ("policies/data.json", r#"{"top": 1, "github": {"a": 1}}"#),
        ("policies/github/data.json", r#"{"b": 2}"#),
        ("policies/github/other.yaml", "c: [3]\n"),
        ("policies/README.md", "# No document"),
    ]);
    assert_eq!(
        engine.query("data", "null").unwrap(),
        r#"{"result":[{"expressions":[{"value":{"github":{"a":1,"b":2,"c":[3]},"top":1},"text":"data","location":{"row":1,"col":1}}]}]}"#
    );
    let text = errors(&[
        ("policies/data.json", r#"{"github": {"a": 1}}"#),
        ("policies/github/data.json", r#"{"a": 2}"#),
    ]);
    assert!(
        text.starts_with("policies/github/data.json: contradicts another data document"),
        "{text}"
    );
}

#[test]
fn a_document_cannot_take_the_place_of_a_rule() {
    let text = errors(&[
        ("policies/size.rego", SIZE),
        ("policies/shop/data.json", r#"{"size": {"deny": []}}"#),
    ]);
    assert_eq!(
        text,
        "policies/size.rego: a data document sets `data.shop.size.deny`, which is a rule of this file"
    );
    let text = errors(&[
        ("policies/size.rego", SIZE),
        ("policies/shop/data.json", r#"{"size": 3}"#),
    ]);
    assert!(text.contains("which is the package of this file"), "{text}");
}

#[test]
fn queries_answer_as_opa_does() {
    let mut engine = load(&[("size.rego", SIZE)]);
    assert_eq!(
        engine
            .query("x := input.size + 1; x > 1", r#"{"size":1}"#)
            .unwrap(),
        r#"{"result":[{"expressions":[{"value":true,"text":"x := input.size + 1","location":{"row":1,"col":1}},{"value":true,"text":"x > 1","location":{"row":1,"col":22}}],"bindings":{"x":2}}]}"#
    );
    assert_eq!(engine.query("input.nothing", "{}").unwrap(), "{}");
    assert_eq!(engine.query("data.nothing.at.all", "{}").unwrap(), "{}");
    let answer = engine
        .query("data.shop.size.warn", r#"{"size":6}"#)
        .unwrap();
    assert!(answer.contains(r#""value":["rather big"]"#), "{answer}");
    let error = engine.query("x :=", "{}").unwrap_err().to_string();
    assert!(error.starts_with("<query.rego>:1:"), "{error}");
    assert!(engine.query("true", "nonsense").is_err());
}

const TESTS: &str = r#"package shop.size_test

import data.shop.size

test_big_is_denied if count(size.deny) == 1 with input as {"size": 11}

test_mocked_data if data.limits.max == 3 with data.limits.max as 3

test_mocked_function if fetch("x") == 7 with fetch as 7

fetch(_) := 1

test_false := false

test_undefined if {
	print("the size is", 4)
	4 > 5
}

test_error if to_number("many") == 1

todo_test_later if false

test_zero_is_truthy := 0

not_a_test if true
text := `
test_in_a_text if true
`
"#;

#[test]
fn tests_pass_fail_err_and_are_left_for_later_as_with_opa() {
    let mut engine = load(&[
        ("policies/size.rego", SIZE),
        ("policies/size_test.rego", TESTS),
    ]);
    let results = engine.test(None).unwrap();
    let outcomes: Vec<(&str, TestOutcome)> = results
        .iter()
        .map(|result| (result.name.as_str(), result.outcome))
        .collect();
    use TestOutcome::{Errored, Failed, Passed, Skipped};
    assert_eq!(
        outcomes,
        [
            ("test_big_is_denied", Passed),
            ("test_mocked_data", Passed),
            ("test_mocked_function", Passed),
            ("test_false", Failed),
            ("test_undefined", Failed),
            ("test_error", Errored),
            ("todo_test_later", Skipped),
            ("test_zero_is_truthy", Passed),
        ]
    );
    let by_name = |name: &str| results.iter().find(|result| result.name == name).unwrap();
    assert_eq!(by_name("test_false").message.as_deref(), Some("false"));
    assert_eq!(
        by_name("test_undefined").message.as_deref(),
        Some("undefined\npolicies/size_test.rego:16: the size is 4")
    );
    let error = by_name("test_error").message.clone().unwrap();
    assert!(error.starts_with("policies/size_test.rego:20:"), "{error}");
    assert_eq!(by_name("test_big_is_denied").message, None);
    assert_eq!(by_name("test_false").path, "policies/size_test.rego");
    assert_eq!(by_name("test_false").package, "shop.size_test");
    assert!(by_name("test_big_is_denied").duration_ns > 0);
    assert_eq!(by_name("todo_test_later").duration_ns, 0);

    let names = |engine: &mut PolicyEngine, filter| -> Vec<String> {
        let results = engine.test(Some(filter)).unwrap();
        results.into_iter().map(|result| result.name).collect()
    };
    assert_eq!(
        names(&mut engine, r"size_test\.test_mock"),
        ["test_mocked_data", "test_mocked_function"]
    );
    assert!(names(&mut engine, "^nothing$").is_empty());
    assert!(matches!(
        engine.test(Some("(")),
        Err(EvaluateError::InvalidInput(_))
    ));
}

#[test]
fn tests_do_not_change_a_decision() {
    let mut engine = load(&[
        ("size.rego", SIZE),
        (
            "size_test.rego",
            "package shop.size\ndeny contains \"from a test\"\ntest_x if true\n",
        ),
    ]);
    assert!(engine.evaluate("shop", r#"{"size":1}"#).unwrap().allowed());
    assert_eq!(
        engine
            .query("data.shop.size.deny", r#"{"size":1}"#)
            .unwrap(),
        r#"{"result":[{"expressions":[{"value":[],"text":"data.shop.size.deny","location":{"row":1,"col":1}}]}]}"#
    );
    assert_eq!(engine.test(None).unwrap()[0].outcome, TestOutcome::Passed);
    assert!(engine.evaluate("shop", r#"{"size":1}"#).unwrap().allowed());
}

#[test]
fn warming_up_changes_no_answer_and_survives_failing_rules() {
    let mut engine = load(&[
        ("size.rego", SIZE),
        (
            "fails.rego",
            "package fails\ndeny contains \"x\" if to_number(\"many\") > 1",
        ),
        ("size_test.rego", TESTS),
    ]);
    engine.warm_up();
    assert!(engine.evaluate("shop", r#"{"size":1}"#).unwrap().allowed());
    assert!(engine.evaluate("fails", "{}").is_err());
    assert_eq!(
        engine.query("input", "null").unwrap(),
        "{\"result\":[{\"expressions\":[{\"value\":null,\"text\":\"input\",\"location\":{\"row\":1,\"col\":1}}]}]}"
    );
}

#[test]
fn the_shipped_policies_pass_their_tests() {
    let mut engine = PolicyEngine::load(&shipped()).unwrap_or_else(|e| panic!("{}", lines(&e)));
    engine.warm_up();
    let results = engine.test(None).unwrap();
    let bad: Vec<String> = results
        .iter()
        .filter(|result| result.outcome != TestOutcome::Passed)
        .map(|r| format!("{}.{}: {:?} {:?}", r.package, r.name, r.outcome, r.message))
        .collect();
    assert!(bad.is_empty(), "{}", bad.join("\n"));
    for package in [
        "github.commit.secrets",
        "github.commit.signed",
        "github.commit.todo",
        "github.merge.approval",
        "github.merge.codeql",
    ] {
        assert!(engine.packages().contains(&package), "{package}");
        let tests = |part: &str| {
            results
                .iter()
                .filter(|r| r.package == format!("{package}_test") && r.name.contains(part))
                .count()
        };
        assert!(tests("_denies") > 0 && tests("_allows") > 0, "{package}");
    }
}

/// A commit of `files` with `lines` added lines each.
fn commit(files: usize, lines: usize) -> String {
    let files: Vec<serde_json::Value> = (0..files)
        .map(|file| {
            let added: Vec<serde_json::Value> = (0..lines)
                .map(|line| {
                    serde_json::json!({
                        "line": line + 1,
                        "text": format!("    let value_{line} = compute({file}, &token, \"text {line}\")?;"),
                    })
                })
                .collect();
            serde_json::json!({"path": format!("src/file_{file}.rs"), "change": "modified", "binary": false, "added": added})
        })
        .collect();
    serde_json::json!({
        "repository": {"name": "shop"},
        "commit": {"id": "0", "message": "Change", "author": {"name": "Ada", "email": "ada@example.com"}, "verification": {"verified": true}},
        "files": files,
    })
    .to_string()
}

/// Prints what decisions cost; run with `--ignored --nocapture` in release mode.
#[test]
#[ignore = "a measurement, not a check"]
#[expect(clippy::print_stdout, reason = "the measurement is the point")]
fn measure() {
    let started = Instant::now();
    let mut engine = PolicyEngine::load(&shipped()).unwrap();
    println!("load {:?}", started.elapsed());
    let started = Instant::now();
    engine.warm_up();
    println!("warm up {:?}", started.elapsed());
    for (files, lines, rounds) in [(3, 10, 2_000), (3, 100, 200), (1, 5_000, 10)] {
        let input = commit(files, lines);
        for package in [
            "github.commit",
            "github.commit.secrets",
            "github.commit.signed",
        ] {
            let started = Instant::now();
            for _ in 0..rounds {
                assert!(engine.evaluate(package, &input).unwrap().allowed());
            }
            println!(
                "{files} files of {lines} lines, {package}: {:?}",
                started.elapsed() / rounds
            );
        }
    }
}
