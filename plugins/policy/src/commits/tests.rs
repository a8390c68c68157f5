use super::*;
use crate::engine::File;
use infinity_sdk::forge::{AddedLine, Person};
use infinity_sdk::testing::{TestHost, TestRepository};

const RULES: &str = r#"package github.commit.words

deny contains {"msg": "bad word", "path": file.path, "line": added.line, "help": "say it nicely"} if {
	some file in input.files
	some added in file.added
	contains(added.text, "bad")
}

warn contains sprintf("%s is not verified in %s", [input.commit.id, input.repository.name]) if not input.commit.verification.verified

deny contains "failing" if to_number(input.commit.message) == 1
"#;

fn with_rules() {
    crate::init(&[File {
        path: "policies/words.rego".into(),
        content: RULES.into(),
    }])
    .unwrap();
}

fn commit(id: &str) -> Commit {
    let person = Person {
        name: "Ada".into(),
        email: "ada@example.com".into(),
    };
    Commit {
        id: id.into(),
        parents: Vec::new(),
        author: person.clone(),
        committer: person,
        committed_at: "2026-01-01T00:00:00Z".into(),
        message: "0".into(),
        verified: true,
    }
}

fn diff(text: &str) -> Vec<FileDiff> {
    vec![FileDiff {
        path: "src/a.rs".into(),
        change: Change::Modified,
        binary: false,
        added: vec![AddedLine {
            line: 7,
            text: text.into(),
        }],
        removed: 0,
    }]
}

/// A repository whose newest commit comes first, each with its added line.
fn repository(commits: &[(&str, &str)]) -> TestRepository {
    TestRepository {
        commits: commits.iter().map(|(id, _)| commit(id)).collect(),
        diffs: commits
            .iter()
            .map(|(id, text)| ((*id).to_owned(), diff(text)))
            .collect(),
        ..TestRepository::default()
    }
}

fn run(host: TestHost) -> (Result<Report, Failure>, TestHost) {
    host.run(crate::run, "null")
}

#[test]
fn new_commits_are_judged_and_the_newest_is_remembered() {
    with_rules();
    let host = TestHost::new().repository("shop", repository(&[("c2", "bad"), ("c1", "good")]));
    let (report, host) = run(host);
    let report = report.unwrap();
    assert_eq!(report.summary, "2 commits judged, 1 denied");
    assert_eq!(report.verdict, Verdict::Failed);
    assert_eq!(
        report.findings,
        [
            Finding::new("github.commit.words", Level::Error, "bad word")
                .in_repository("shop")
                .at("src/a.rs", Some(7), None)
                .with_help("say it nicely (commit c2 by Ada)")
        ]
    );
    assert_eq!(
        report.findings[0]
            .location
            .as_ref()
            .unwrap()
            .repository
            .as_deref(),
        Some("shop")
    );
    let output: serde_json::Value = serde_json::from_str(&report.output.unwrap()).unwrap();
    assert_eq!(output["judged"], 2);
    assert_eq!(output["decisions"][0]["commit"], "c1");
    assert_eq!(output["decisions"][0]["allowed"], true);
    assert_eq!(output["decisions"][1]["denials"][0]["message"], "bad word");
    assert_eq!(host.kv["policy/shop"], b"c2");

    // Nothing new.
    let (report, mut host) = run(host);
    let report = report.unwrap();
    assert_eq!(report.summary, "0 commits judged, 0 denied");
    assert_eq!(report.verdict, Verdict::Passed);
    assert_eq!(host.kv["policy/shop"], b"c2");

    // One more, unverified: a warning does not fail the run.
    let shop = host.forge.repositories.get_mut("shop").unwrap();
    shop.commits.insert(
        0,
        Commit {
            verified: false,
            ..commit("c3")
        },
    );
    let (report, host) = run(host);
    let report = report.unwrap();
    assert_eq!(report.summary, "1 commit judged, 0 denied");
    assert_eq!(report.verdict, Verdict::Passed);
    assert_eq!(report.findings[0].level, Level::Warning);
    assert_eq!(report.findings[0].message, "c3 is not verified in shop");
    assert_eq!(host.kv["policy/shop"], b"c3");
}

#[test]
fn what_exceeds_a_run_is_judged_by_the_next_one() {
    with_rules();
    let commits: Vec<(String, &str)> = (0..7).rev().map(|n| (format!("c{n}"), "good")).collect();
    let commits: Vec<(&str, &str)> = commits.iter().map(|(id, t)| (id.as_str(), *t)).collect();
    let mut host = TestHost::new()
        .repository("shop", repository(&commits))
        .setting("max_commits", 3);
    host.kv.insert("policy/shop".into(), b"c0".to_vec());
    let mut judged = Vec::new();
    for expected in ["c3", "c6", "c6"] {
        let (report, after) = run(host);
        host = after;
        assert_eq!(host.kv["policy/shop"], expected.as_bytes());
        let output: serde_json::Value =
            serde_json::from_str(&report.unwrap().output.unwrap()).unwrap();
        for decision in output["decisions"].as_array().unwrap() {
            judged.push(decision["commit"].as_str().unwrap().to_owned());
        }
    }
    assert_eq!(judged, ["c1", "c2", "c3", "c4", "c5", "c6"]);
}

#[test]
fn the_first_run_judges_the_last_twenty_commits() {
    with_rules();
    let commits: Vec<(String, &str)> = (0..50).rev().map(|n| (format!("c{n}"), "good")).collect();
    let commits: Vec<(&str, &str)> = commits.iter().map(|(id, t)| (id.as_str(), *t)).collect();
    let (report, host) = run(TestHost::new().repository("shop", repository(&commits)));
    assert_eq!(report.unwrap().summary, "20 commits judged, 0 denied");
    assert_eq!(host.kv["policy/shop"], b"c49");
}

#[test]
fn nothing_is_remembered_when_one_repository_fails() {
    with_rules();
    let mut broken = repository(&[("d1", "good")]);
    broken.commits[0].message = "many".into();
    let host = TestHost::new()
        .repository("a", repository(&[("c1", "good")]))
        .repository("b", broken);
    let (answer, host) = run(host);
    let Err(Failure::Other(message)) = answer else {
        panic!("{answer:?}");
    };
    assert!(
        message.starts_with("commit d1 of `b`: policies/words.rego:11:"),
        "{message}"
    );
    assert!(host.kv.is_empty());
}

#[test]
fn only_the_named_repositories_are_judged() {
    with_rules();
    let host = TestHost::new()
        .repository("a", repository(&[("c1", "bad")]))
        .repository("b", repository(&[("d1", "good")]))
        .setting("repositories", ["b"]);
    let (report, host) = run(host);
    assert_eq!(report.unwrap().summary, "1 commit judged, 0 denied");
    assert_eq!(host.kv.keys().collect::<Vec<_>>(), ["policy/b"]);

    let (answer, _) = run(TestHost::new().setting("repositories", ["secret"]));
    assert!(
        matches!(&answer, Err(Failure::Other(message)) if message.contains("`secret`")),
        "{answer:?}"
    );
}

#[test]
fn wrong_settings_are_invalid_input() {
    with_rules();
    let shop = || TestHost::new().repository("shop", repository(&[("c1", "good")]));
    for host in [
        shop().setting("max_commits", 0),
        shop().setting("max_commits", 5_000),
        shop().setting("max_commits", "many"),
        shop().setting("repositories", 3),
        shop().setting("package", "github.nothing"),
    ] {
        let (answer, host) = run(host);
        assert!(
            matches!(answer, Err(Failure::InvalidInput(_))),
            "{answer:?}"
        );
        assert!(host.kv.is_empty());
    }
}

#[test]
fn without_policies_the_run_says_what_to_set() {
    // Another thread has no engine: this test may run after others of its thread.
    let host = || TestHost::new().repository("shop", repository(&[("c1", "good")]));
    let answer = std::thread::spawn(move || run(host()).0).join().unwrap();
    let Err(Failure::InvalidInput(message)) = answer else {
        panic!("{answer:?}");
    };
    assert!(message.contains("`policies = \"policies\"`"), "{message}");

    crate::init(&[]).unwrap();
    let (answer, _) = run(TestHost::new());
    assert!(matches!(answer, Err(Failure::InvalidInput(_))));
}

#[test]
fn a_mistake_in_the_policies_keeps_the_loaded_ones() {
    with_rules();
    let broken = File {
        path: "policies/a.rego".into(),
        content: "package".into(),
    };
    let text = crate::init(&[broken]).unwrap_err();
    assert!(text.starts_with("policies/a.rego:1:"), "{text}");
    let (report, _) = run(TestHost::new().repository("shop", repository(&[("c1", "bad")])));
    assert_eq!(report.unwrap().summary, "1 commit judged, 1 denied");
}

#[test]
fn the_shipped_policies_judge_a_commit() {
    crate::init(&crate::engine::tests::shipped()).unwrap();
    let line = concat!("pass", "word: \"Tr0ub4dor-and-9\"");
    let mut shop = repository(&[("c1", line)]);
    shop.commits[0].verified = false;
    let (report, _) = run(TestHost::new().repository("shop", shop));
    let found: Vec<(String, String)> = report
        .unwrap()
        .findings
        .into_iter()
        .map(|finding| (finding.rule, finding.message))
        .collect();
    let expected = [
        ("github.commit.signed", "All commits must be GPG signed"),
        (
            "github.commit.secrets",
            concat!("Commit contains potential secret: pass", "word"),
        ),
    ];
    assert_eq!(
        found,
        expected.map(|(rule, message)| (rule.to_owned(), message.to_owned()))
    );
}
