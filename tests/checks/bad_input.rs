//! Submissions that make no sense: each gets a clear problem, and the next request is answered.

use crate::{check, host, languages};
use anyhow::{Context as _, ensure};
use serde_json::{Value, json};

fn refused(body: Vec<u8>) -> anyhow::Result<(u16, Value)> {
    let host = host()?;
    let answer = host
        .client()
        .post(host.url("/v1/checks?wait=10s"))
        .header("content-type", "application/json")
        .body(body)
        .send()?;
    let status = answer.status().as_u16();
    let problem: Value = answer.json().context("no problem")?;
    // The service answers the next one.
    ensure!(host.get("/health")?.status() == 200);
    Ok((status, problem))
}

#[test]
fn each_gets_a_clear_problem() -> anyhow::Result<()> {
    let check = |body: Vec<u8>, status: u16, code: &str, text: &str| -> anyhow::Result<()> {
        let (found, problem) = refused(body)?;
        ensure!(
            found == status && problem["code"] == code && problem.to_string().contains(text),
            "{found} instead of {status} {code} {text}: {problem:#}"
        );
        Ok(())
    };
    check(
        Vec::new(),
        422,
        "invalid_submission",
        "a submission is a JSON object",
    )?;
    check(b"{".to_vec(), 400, "invalid_json", "line 1")?;
    check(
        b"{\"files\": {\"a.py\": \"\xff\"}}".to_vec(),
        400,
        "invalid_json",
        "",
    )?;
    check(
        b"{\"files\": {\"a.py\": \"\", \"a.py\": \"x\"}}".to_vec(),
        400,
        "invalid_json",
        "duplicate key `a.py`",
    )?;
    check(
        b"{\"files\": {\"a.py\": \"\\u0000\"}}".to_vec(),
        422,
        "invalid_submission",
        "NUL",
    )?;
    check(
        br#"{"files": {}}"#.to_vec(),
        422,
        "invalid_submission",
        "nothing to check",
    )?;
    check(
        br#"{"files": {"../../etc/passwd.py": ""}}"#.to_vec(),
        422,
        "invalid_submission",
        "leads down only",
    )?;
    check(
        br#"{"language": "brainfuck", "files": {"a.bf": ""}}"#.to_vec(),
        422,
        "invalid_submission",
        "`python`, `javascript` or `typescript`",
    )?;
    let many: serde_json::Map<String, Value> = (0..10_000)
        .map(|at| (format!("f{at}.py"), json!("")))
        .collect();
    check(
        json!({ "files": many }).to_string().into_bytes(),
        422,
        "invalid_submission",
        "10000 files",
    )?;
    let huge = format!(
        "{{\"files\": {{\"a.py\": \"{}\"}}}}",
        "x".repeat(100 * 1024 * 1024)
    );
    check(huge.into_bytes(), 413, "body_too_large", "")?;
    Ok(())
}

#[test]
fn tests_that_define_nothing_are_an_error_and_never_a_pass() -> anyhow::Result<()> {
    let host = host()?;
    for (language, file, test) in [
        ("python", "solution.py", "test_solution.py"),
        ("javascript", "solution.js", "solution.test.js"),
    ] {
        if !languages()?.contains(&language) {
            continue;
        }
        for isolation in ["apart", "shared"] {
            for text in ["", "\n\n", "x = 1\n"] {
                let verdict = check(
                    &host,
                    &json!({
                        "files": { file: "x = 1\n" }, "tests": { test: text },
                        "steps": ["tests"], "isolation": isolation,
                    }),
                )?;
                ensure!(
                    verdict["verdict"] == "error" && verdict.to_string().contains("define nothing"),
                    "{language} {isolation} {text:?}: {verdict:#}"
                );
            }
        }
    }
    Ok(())
}

#[test]
fn a_file_named_like_a_standard_module_hides_it_from_the_code_alone() -> anyhow::Result<()> {
    if !languages()?.contains(&"python") {
        return Ok(());
    }
    let host = host()?;
    let judge = |isolation: &str, name: &str, test: &str| {
        check(
            &host,
            &json!({
                "files": {
                    "solution.py": "def one():\n    return 1\n",
                    format!("{name}.py"): "import sys\nmatch = fullmatch = loads = raises = lambda *_: True\n",
                },
                "tests": { "test_solution.py": test },
                "steps": ["tests"], "isolation": isolation,
            }),
        )
    };
    // What the tests use in passing is the library's, and honest tests pass.
    for name in ["unittest", "json", "traceback", "random", "re"] {
        for (test, expected) in [
            (
                "from solution import one\n\ndef test_one():\n    assert one() == 1\n",
                "passed",
            ),
            (
                "from solution import one\n\ndef test_one():\n    assert one() == 2\n",
                "failed",
            ),
        ] {
            let verdict = judge("apart", name, test)?;
            ensure!(verdict["verdict"] == expected, "{name}: {verdict:#}");
        }
    }
    for isolation in ["apart", "shared"] {
        let verdict = judge(
            isolation,
            "unittest",
            "from solution import one\n\ndef test_one():\n    assert one() == 2\n",
        )?;
        ensure!(verdict["verdict"] == "failed", "{isolation}: {verdict:#}");
    }
    // Tests that name it would mean one or the other: nobody says that they passed.
    let verdict = judge(
        "apart",
        "re",
        "import re\nfrom solution import one\n\ndef test_one():\n    assert re.fullmatch('2', str(one()))\n",
    )?;
    ensure!(
        verdict["verdict"] == "error"
            && verdict["summary"]
                .as_str()
                .is_some_and(|text| text.contains("standard module")),
        "{verdict:#}"
    );
    Ok(())
}

#[test]
fn what_is_handed_in_cannot_take_the_place_of_what_a_script_rests_on() -> anyhow::Result<()> {
    if languages()?.len() < 2 {
        return Ok(());
    }
    let host = host()?;
    let verdict = check(
        &host,
        &json!({
            "files": { "solution.py": "# PRINT-NOTHING\n", "builtins.py": "", "enumerate.py": "" , "re.py": "raise SystemExit(0)\n" },
            "steps": ["scripts"],
        }),
    )?;
    ensure!(verdict["verdict"] == "failed", "{verdict:#}");
    Ok(())
}
