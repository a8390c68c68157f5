//! What comes of honest code: the steps, their order, and the words.

use crate::{check, check_all, host, languages, material};
use anyhow::{Context as _, ensure};
use serde_json::{Value, json};

/// A task's submission with other files.
fn submission(task: &Value, files: &Value, tests: bool, cases: bool) -> Value {
    let entry = task["correct"]
        .as_object()
        .and_then(|files| files.keys().next());
    let mut submission = json!({
        "language": task["language"], "files": files, "entry": entry, "steps": [],
    });
    let mut steps = Vec::new();
    if tests
        && task["tests"]
            .as_object()
            .is_some_and(|tests| !tests.is_empty())
    {
        submission["tests"] = task["tests"].clone();
        steps.push("tests");
    }
    if cases
        && task["cases"]
            .as_array()
            .is_some_and(|cases| !cases.is_empty())
    {
        submission["cases"] = task["cases"].clone();
        steps.push("cases");
    }
    submission["steps"] = json!(steps);
    submission
}

#[test]
fn correct_solutions_pass_however_they_are_judged() -> anyhow::Result<()> {
    let host = host()?;
    let tasks = material("tasks.json")?;
    let languages = languages()?;
    let mut wrong = Vec::new();
    for (name, task) in tasks.as_object().context("no tasks")? {
        if !languages.contains(&task["language"].as_str().unwrap_or_default()) {
            continue;
        }
        for isolation in ["apart", "shared"] {
            let mut submission = submission(task, &task["correct"], true, true);
            submission["isolation"] = json!(isolation);
            let verdict = check(&host, &submission)?;
            if verdict["verdict"] != "passed" {
                wrong.push(format!("{name}, {isolation}: {verdict:#}"));
            }
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

#[test]
fn honest_code_that_looks_odd_passes() -> anyhow::Result<()> {
    let host = host()?;
    let tasks = material("tasks.json")?;
    let mut wrong = Vec::new();
    for language in languages()? {
        let honest = material(&format!("honest-{language}.json"))?;
        let honest = honest.as_array().context("no list")?;
        let submissions: Vec<Value> = honest
            .iter()
            .map(|one| {
                let task = &tasks[one["task"].as_str().unwrap_or_default()];
                submission(task, &one["files"], true, true)
            })
            .collect();
        for (one, verdict) in honest.iter().zip(check_all(&host, &submissions)?) {
            if verdict["verdict"] != "passed" {
                wrong.push(format!("{}: {verdict:#}", one["name"]));
            }
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

#[test]
fn a_verdict_says_what_was_done_and_what_it_took() -> anyhow::Result<()> {
    if !languages()?.contains(&"python") {
        return Ok(());
    }
    let host = host()?;
    let verdict = check(
        &host,
        &json!({
            "files": { "solution.py": "def double(x):\n    return x + x\n" },
            "tests": { "test_solution.py": "from solution import double\n\ndef test_two():\n    print('hello')\n    assert double(2) == 4\n\ndef test_text():\n    assert double('ab') == 'ab'\n" },
            "cases": [ { "call": "double", "arguments": [3], "returns": 6 } ],
        }),
    )?;
    ensure!(verdict["verdict"] == "failed", "{verdict:#}");
    ensure!(verdict["assurance"] == "guest", "{verdict:#}");
    let steps = verdict["steps"].as_array().context("no steps")?;
    let said: Vec<(&str, &str)> = steps
        .iter()
        .map(|step| {
            (
                step["step"].as_str().unwrap_or_default(),
                step["outcome"].as_str().unwrap_or_default(),
            )
        })
        .collect();
    ensure!(
        said == [
            ("policy", "passed"),
            ("analysis", "passed"),
            ("scripts", "passed"),
            ("tests", "failed"),
            ("cases", "passed"),
            ("reported", "skipped"),
        ],
        "{verdict:#}"
    );
    let tests = steps[3]["tests"].as_array().context("no tests")?;
    ensure!(tests.len() == 2, "{verdict:#}");
    ensure!(tests[0]["name"] == "test_solution.py::test_two");
    ensure!(tests[0]["outcome"] == "passed");
    ensure!(tests[0]["output"] == "hello\n", "{verdict:#}");
    ensure!(tests[1]["outcome"] == "failed");
    ensure!(
        tests[1]["path"] == "test_solution.py" && tests[1]["line"] == 8,
        "{verdict:#}"
    );
    let message = tests[1]["message"].as_str().unwrap_or_default();
    ensure!(message.contains("'abab' == 'ab'"), "{message}");
    ensure!(steps[3]["usage"]["instances"] == 2, "{verdict:#}");
    ensure!(steps[3]["usage"]["peak_memory_bytes"].as_u64() > Some(1_000_000));
    ensure!(steps[4]["usage"]["instances"] == 1);

    // It is there later, too, and the code is not.
    let id = verdict["id"].as_str().context("no id")?;
    let again = host.json(&format!("/v1/checks/{id}"))?;
    ensure!(again == verdict, "{again:#}");
    ensure!(!again.to_string().contains("return x + x"));
    let listed = host.json("/v1/checks?verdict=failed&limit=5")?;
    ensure!(listed["items"].to_string().contains(id));
    Ok(())
}

#[test]
fn each_step_finds_what_it_is_for() -> anyhow::Result<()> {
    if !languages()?.contains(&"python") {
        return Ok(());
    }
    let host = host()?;
    let secret = format!("AKIA{}", "IOSFODNN7EXAMPL3");
    let verdict = check(
        &host,
        &json!({
            "files": { "solution.py": format!("key = '{secret}'\n# {}: later\nprint(undefined_name)\n", "TODO") },
        }),
    )?;
    ensure!(
        verdict["verdict"] == "failed" && verdict["assurance"].is_null(),
        "{verdict:#}"
    );
    let rules = |index: usize| -> Vec<(String, u64)> {
        verdict["steps"][index]["findings"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|finding| {
                (
                    finding["rule"].as_str().unwrap_or_default().to_owned(),
                    finding["location"]["line"].as_u64().unwrap_or_default(),
                )
            })
            .collect()
    };
    ensure!(
        rules(0)
            == [
                ("github.commit.secrets".into(), 1),
                ("github.commit.todo".into(), 2)
            ],
        "{verdict:#}"
    );
    ensure!(
        rules(1).contains(&("python/undefined-name".into(), 3)),
        "{verdict:#}"
    );
    // Nothing further is done where that is asked.
    let early = check(
        &host,
        &json!({
            "files": { "solution.py": format!("key = '{secret}'\n") },
            "cases": [ { "stdout": "" } ],
            "stop_early": true,
        }),
    )?;
    ensure!(early["steps"][4]["outcome"] == "skipped", "{early:#}");
    ensure!(!early.to_string().contains(&secret), "the secret is shown");
    Ok(())
}

#[test]
fn a_check_is_followed_to_its_end() -> anyhow::Result<()> {
    if !languages()?.contains(&"python") {
        return Ok(());
    }
    let host = host()?;
    // Code that takes a moment, so that it is in progress when it is followed.
    let answer = host
        .client()
        .post(host.url("/v1/checks"))
        .json(&json!({
            "files": { "main.py": "for _ in range(2_000_000):\n    pass\nprint(1)\n" },
            "steps": ["cases"],
            "cases": [ { "stdout": "1" }, { "stdout": "2" } ],
        }))
        .send()?;
    ensure!(answer.status() == 202, "{}", answer.status());
    let location = answer.headers()["location"].to_str()?.to_owned();
    let stream = host.get(&format!("{location}/news"))?;
    ensure!(stream.headers()["content-type"] == "text/event-stream");
    let text = stream.text()?;
    let end = text
        .split("event: end\ndata: ")
        .nth(1)
        .and_then(|rest| rest.lines().next())
        .context(text.clone())?;
    let end: Value = serde_json::from_str(end)?;
    ensure!(end["verdict"] == "failed", "{end:#}");
    ensure!(text.contains("event: test\ndata: "), "{text}");
    ensure!(text.contains("event: step\ndata: "), "{text}");
    Ok(())
}

#[test]
fn scripts_of_ones_own_look_at_every_submission() -> anyhow::Result<()> {
    if languages()?.len() < 2 {
        return Ok(());
    }
    let host = host()?;
    let submission = |text: &str| json!({ "files": { "solution.py": text }, "steps": ["scripts"] });
    let good = check(&host, &submission("x = 1\n"))?;
    ensure!(good["verdict"] == "passed", "{good:#}");
    ensure!(
        good["steps"][0]["summary"] == "nothing found of 2 scripts",
        "{good:#}"
    );
    let bad = check(&host, &submission("x = 1\n# PRINT-NOTHING\n"))?;
    ensure!(bad["verdict"] == "failed", "{bad:#}");
    let findings = &bad["steps"][0]["findings"];
    ensure!(findings[0]["rule"] == "no_print/marker", "{bad:#}");
    ensure!(findings[0]["location"]["line"] == 2, "{bad:#}");
    ensure!(
        findings[1]["rule"] == "short/short" && findings[1]["level"] == "warning",
        "{bad:#}"
    );
    Ok(())
}

#[test]
fn what_comes_out_differently_is_flaky() -> anyhow::Result<()> {
    let host = host()?;
    for (language, file, code) in [
        (
            "python",
            "solution.py",
            "import time, random\nprint(int(time.time()) // 86400 % 7, random.SystemRandom().random() < 0.0)\n",
        ),
        (
            "javascript",
            "solution.js",
            "console.log(Math.floor(Date.now() / 86400000) % 7, false);\n",
        ),
    ] {
        if !languages()?.contains(&language) {
            continue;
        }
        let once = check(
            &host,
            &json!({ "files": { file: code }, "steps": ["cases"], "cases": [ { "exit_code": 0 } ] }),
        )?;
        ensure!(once["verdict"] == "passed", "{once:#}");
        let printed = once["steps"][0]["tests"][0]["output"].clone();
        let submission = |flaky: bool| {
            let printed = printed.as_str().unwrap_or_default().to_lowercase();
            let stdout = if language == "python" {
                printed.replace("false", "False")
            } else {
                printed
            };
            json!({
                "files": { file: code },
                "steps": ["cases"],
                "cases": [ { "stdout": stdout } ],
                "detect_flaky": flaky,
            })
        };
        // The moment and the dice are the same for everybody, so that it passes whenever it is tried.
        for _ in 0..2 {
            let again = check(&host, &submission(false))?;
            ensure!(again["verdict"] == "passed", "{again:#}");
        }
        let flaky = check(&host, &submission(true))?;
        ensure!(flaky["verdict"] == "flaky", "{flaky:#}");
        ensure!(
            flaky["steps"][0]["findings"][0]["rule"] == "check/flaky",
            "{flaky:#}"
        );
    }
    Ok(())
}
