//! The same behaviour as the languages' own programs on this machine.

use crate::{check_all, host, languages};
use anyhow::{Context as _, ensure};
use infinity_tests::host::root;
use infinity_tests::soak;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Programs that differ, by the beginning of their names, with the reason as `docs/checks.md` has it.
const PYTHON_DIFFERS: [(&str, &str); 12] = [
    (
        "023-dict-order-and-methods",
        "an error's text differs between versions of Python",
    ),
    ("030-exceptions-chaining", "error numbers are WASI's"),
    (
        "089-random-module",
        "hashes of numbers have 32 bits, and one seeds by a float",
    ),
    (
        "random-seeded-",
        "hashes of numbers have 32 bits, and some seed by a float",
    ),
    (
        "093-hashing-and-base64",
        "there is no OpenSSL, so no `hashlib.pbkdf2_hmac`",
    ),
    ("096-files-and-paths", "there are no files"),
    ("097-uncaught-file-missing", "error numbers are WASI's"),
    (
        "115-multi-module",
        "an error's text differs between versions of Python",
    ),
    ("116-multi-data-file", "there are no files"),
    (
        "142-lang-object-lifetime",
        "what lives at the end is not finalized",
    ),
    ("144-lang-unhandled-custom-str", "error numbers are WASI's"),
    ("files-use-", "there are no files"),
];

/// The same, of programs whose templates differ in some values only.
const SOME_DIFFER: [(&str, &str, usize); 1] = [("exits-", "those that write a file", 6)];

/// As above, of JavaScript.
const JAVASCRIPT_DIFFERS: [(&str, &str); 4] = [
    (
        "036-number-formatting",
        "digits of large numbers in another base",
    ),
    ("044-array-methods", "the engine is newer than node 20"),
    (
        "053-scope-shadowing",
        "a closure in a default parameter does not see what the body assigns to it",
    ),
    (
        "138-accessor-inheritance",
        "functions have no own `arguments` and `caller`",
    ),
];

fn differs(name: &str, known: &[(&str, &str)]) -> bool {
    known.iter().any(|(begin, _)| name.starts_with(begin))
}

/// What a program of the material prints: one JSON document a line.
fn lines(script: &str, arguments: &[&str]) -> anyhow::Result<Vec<Value>> {
    let said = Command::new("python3")
        .arg(root().join("tests/checks").join(script))
        .args(arguments)
        .output()?;
    ensure!(
        said.status.success(),
        "{script}: {}",
        String::from_utf8_lossy(&said.stderr)
    );
    String::from_utf8(said.stdout)?
        .lines()
        .map(|line| serde_json::from_str(line).context("no JSON"))
        .collect()
}

#[test]
fn human_eval_is_judged_as_python_judges_it() -> anyhow::Result<()> {
    if !languages()?.contains(&"python") {
        return Ok(());
    }
    let host = host()?;
    let problems = lines("human_eval.py", &["--reference"])?;
    ensure!(problems.len() == 164, "{} problems", problems.len());
    let submission = |code: &Value, problem: &Value| {
        json!({
            "language": "python",
            "files": { "solution.py": code },
            "tests": { "test_solution.py": problem["test"] },
            "steps": ["tests"],
        })
    };
    let solutions: Vec<Value> = problems
        .iter()
        .map(|problem| submission(&problem["solution"], problem))
        .collect();
    let mut wrong = String::new();
    for (problem, verdict) in problems.iter().zip(check_all(&host, &solutions)?) {
        if verdict["verdict"] != "passed" {
            writeln!(wrong, "{}: {}", problem["id"], verdict["summary"])?;
        }
    }
    let mut mutants = Vec::new();
    let mut natives = Vec::new();
    for problem in &problems {
        let native = problem["native"]["mutants"]
            .as_array()
            .context("no natives")?;
        ensure!(
            native.len() >= 5,
            "{}: {} mutants",
            problem["id"],
            native.len()
        );
        for (index, mutant) in problem["mutants"]
            .as_array()
            .into_iter()
            .flatten()
            .enumerate()
        {
            mutants.push(submission(mutant, problem));
            natives.push((format!("{} mutant {index}", problem["id"]), &native[index]));
        }
    }
    for ((name, native), verdict) in natives.iter().zip(check_all(&host, &mutants)?) {
        if (verdict["verdict"] == "passed") != (**native == true) {
            writeln!(
                wrong,
                "{name}: python3 says {native}, and here: {}",
                verdict["summary"]
            )?;
        }
    }
    ensure!(wrong.is_empty(), "{wrong}");
    Ok(())
}

#[test]
fn programs_print_what_python_prints() -> anyhow::Result<()> {
    if !languages()?.contains(&"python") {
        return Ok(());
    }
    let host = host()?;
    let programs = lines("programs.py", &["--count", "1000", "--reference"])?;
    ensure!(programs.len() >= 1000);
    let submissions: Vec<Value> = programs
        .iter()
        .map(|program| {
            json!({
                "language": "python",
                "files": program["files"],
                "entry": "main.py",
                "steps": ["cases"],
                "cases": [{
                    "arguments": program["args"],
                    "stdin": program["stdin"],
                    "stdout": program["native"]["stdout"],
                    "exact": true,
                    "exit_code": program["native"]["exit"],
                }],
            })
        })
        .collect();
    let mut wrong = String::new();
    let mut some = [0; SOME_DIFFER.len()];
    for (program, verdict) in programs.iter().zip(check_all(&host, &submissions)?) {
        let name = program["name"].as_str().unwrap_or_default();
        if differs(name, &PYTHON_DIFFERS) {
            continue;
        }
        let at = SOME_DIFFER
            .iter()
            .position(|(begin, ..)| name.starts_with(begin));
        if let Some(at) = at.filter(|_| verdict["verdict"] != "passed") {
            some[at] += 1;
            continue;
        }
        let test = &verdict["steps"][0]["tests"][0];
        let output = test["output"].as_str().unwrap_or_default();
        let native = &program["native"];
        if verdict["verdict"] != "passed" {
            writeln!(
                wrong,
                "{}: {} {output}",
                program["name"], verdict["summary"]
            )?;
        } else if let Some(error) = native["error"].as_str().filter(|error| !error.is_empty()) {
            let last = output.trim().lines().next_back().unwrap_or_default().trim();
            if last != error.trim() && at.is_none() {
                writeln!(
                    wrong,
                    "{}: ends with {last:?} instead of {error:?}",
                    program["name"]
                )?;
            }
            for frame in native["frames"].as_array().into_iter().flatten() {
                let line = format!("File \"main.py\", line {}", frame[1]);
                if frame[0] == "main.py" && !output.contains(&line) {
                    writeln!(wrong, "{}: no {line} in {output}", program["name"])?;
                }
            }
        }
    }
    for ((begin, why, most), count) in SOME_DIFFER.iter().zip(some) {
        ensure!(
            count <= *most,
            "{count} of `{begin}` differ, which are more than {why}"
        );
    }
    ensure!(wrong.is_empty(), "{wrong}");
    Ok(())
}

/// The programs in JavaScript.
fn programs() -> anyhow::Result<Vec<PathBuf>> {
    let folder = root().join("tests/checks/javascript");
    let mut files: Vec<_> = fs::read_dir(&folder)?
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| {
            path.extension()
                .is_some_and(|ending| ending == "js" || ending == "mjs")
        })
        .collect();
    files.sort();
    ensure!(files.len() >= 150, "{} programs", files.len());
    Ok(files)
}

#[test]
fn programs_print_what_node_prints() -> anyhow::Result<()> {
    if !languages()?.contains(&"javascript") {
        return Ok(());
    }
    let host = host()?;
    let files = programs()?;
    let mut submissions = Vec::new();
    for file in &files {
        let name = file
            .file_name()
            .context("no name")?
            .to_string_lossy()
            .into_owned();
        let input = file.with_extension("stdin");
        let stdin = fs::read(&input).unwrap_or_default();
        let mut node = Command::new("node");
        node.arg(file).env("TZ", "UTC");
        let said = infinity_tests::host::fed(node, &stdin)?;
        submissions.push(json!({
            "language": "javascript",
            "files": { name.as_str(): fs::read_to_string(file)? },
            "steps": ["cases"],
            "cases": [{
                "stdin": String::from_utf8(stdin)?,
                "stdout": String::from_utf8(said.stdout)?,
                "exact": true,
                "exit_code": said.status.code().unwrap_or(1),
            }],
        }));
    }
    let mut wrong = String::new();
    for (file, verdict) in files.iter().zip(check_all(&host, &submissions)?) {
        let name = file.file_name().context("no name")?.to_string_lossy();
        if verdict["verdict"] != "passed" && !differs(&name, &JAVASCRIPT_DIFFERS) {
            writeln!(
                wrong,
                "{}: {}\n{}",
                file.display(),
                verdict["summary"],
                verdict["steps"][0]["tests"][0]["output"]
                    .as_str()
                    .unwrap_or_default()
            )?;
        }
    }
    ensure!(wrong.is_empty(), "{wrong}");
    Ok(())
}

/// What is written instead of what, for programs that are nearly right.
const MUTATIONS: [(&str, &str); 20] = [
    (" + ", " - "),
    (" - ", " + "),
    (" * ", " + "),
    (" / ", " * "),
    (" % ", " / "),
    (" === ", " !== "),
    (" !== ", " === "),
    (" < ", " <= "),
    (" > ", " >= "),
    (" <= ", " < "),
    (" && ", " || "),
    (" || ", " && "),
    ("true", "false"),
    ("push(", "unshift("),
    ("0)", "1)"),
    ("1)", "2)"),
    ("[0]", "[1]"),
    ("++", "--"),
    (" += ", " = "),
    (".length", ".length - 1"),
];

/// Wrong programs of each right one, where it has so many places.
const MUTANTS: usize = 5;

/// Programs with one thing changed, spread over the text.
fn mutants(text: &str) -> Vec<String> {
    let mut places: Vec<(usize, &str, &str)> = MUTATIONS
        .iter()
        .flat_map(|(from, to)| {
            text.match_indices(from)
                .map(move |(at, _)| (at, *from, *to))
        })
        .collect();
    places.sort_unstable();
    let count = places.len().min(MUTANTS);
    (0..count)
        .map(|index| places[index * places.len() / count])
        .map(|(at, from, to)| format!("{}{to}{}", &text[..at], &text[at + from.len()..]))
        .collect()
}

/// What `node` prints for a program, the first megabyte, and how it ends; none when it does not end.
fn by_node(file: &Path, stdin: &[u8]) -> anyhow::Result<Option<(Vec<u8>, i32)>> {
    let script = "timeout 3 node \"$1\" 2>/dev/null | head -c 1000000";
    let mut node = Command::new("bash");
    node.args(["-o", "pipefail", "-c", script, "node"])
        .arg(file)
        .env("TZ", "UTC");
    let said = infinity_tests::host::fed(node, stdin)?;
    Ok(match said.status.code() {
        None | Some(124) => None,
        Some(code) => Some((said.stdout, code)),
    })
}

/// A wrong program's name, whether `node` sees nothing wrong, and its submission.
type Judged = (String, bool, Value);

/// The wrong programs of some right ones.
fn by_mutants(files: &[PathBuf]) -> anyhow::Result<Vec<Judged>> {
    let place = tempfile::tempdir()?;
    // Node looks further up for how to take a file.
    fs::write(place.path().join("package.json"), "{}")?;
    let mut judged = Vec::new();
    for file in files {
        let name = file
            .file_name()
            .context("no name")?
            .to_string_lossy()
            .into_owned();
        if differs(&name, &JAVASCRIPT_DIFFERS) {
            continue;
        }
        let stdin = fs::read(file.with_extension("stdin")).unwrap_or_default();
        let right = by_node(file, &stdin)?.context("a right program does not end")?;
        let expected = String::from_utf8(right.0.clone())?;
        for (index, text) in mutants(&fs::read_to_string(file)?).into_iter().enumerate() {
            let path = place.path().join(&name);
            fs::write(&path, &text)?;
            let passes = by_node(&path, &stdin)?.is_some_and(|said| said == right);
            let submission = json!({
                "language": "javascript",
                "files": { name.as_str(): text },
                "steps": ["cases"],
                "limits": { "time_ms": 4000 },
                "cases": [{
                    "stdin": String::from_utf8(stdin.clone())?,
                    "stdout": expected,
                    "exact": true,
                    "exit_code": right.1,
                }],
            });
            judged.push((format!("{name} mutant {index}"), passes, submission));
        }
    }
    Ok(judged)
}

#[test]
fn wrong_programs_fail_where_node_sees_it() -> anyhow::Result<()> {
    if !languages()?.contains(&"javascript") {
        return Ok(());
    }
    let host = host()?;
    // Each start of node takes a tenth of a second, so every fourth program has to do for a usual day.
    let files: Vec<PathBuf> = programs()?.into_iter().step_by(soak::count(4, 1)).collect();
    let halves: Vec<anyhow::Result<Vec<Judged>>> = std::thread::scope(|scope| {
        let halves: Vec<_> = files
            .chunks(files.len().div_ceil(2))
            .map(|half| scope.spawn(move || by_mutants(half)))
            .collect();
        halves
            .into_iter()
            .filter_map(|half| half.join().ok())
            .collect()
    });
    let mut judged = Vec::new();
    for half in halves {
        judged.extend(half?);
    }
    let least = soak::count(120, 550);
    ensure!(judged.len() >= least, "only {} mutants", judged.len());
    let caught = judged.iter().filter(|(_, passes, _)| !passes).count();
    ensure!(caught * 2 > judged.len(), "only {caught} mutants are wrong");
    let submissions: Vec<Value> = judged.iter().map(|(.., one)| one.clone()).collect();
    let mut wrong = String::new();
    for ((name, passes, _), verdict) in judged.iter().zip(check_all(&host, &submissions)?) {
        if (verdict["verdict"] == "passed") != *passes {
            writeln!(
                wrong,
                "{name}: node says {passes}, and here: {}",
                verdict["summary"]
            )?;
        }
    }
    ensure!(wrong.is_empty(), "{wrong}");
    Ok(())
}
