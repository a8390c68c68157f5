//! `infinity check`: has code judged, a file, a folder or a whole submission, and shows the verdict; again whenever a file changes, if asked.

use super::client::Client;
use super::output::{bytes, micros, plural, printable};
use super::show::finding_table;
use super::{CliError, Done, EXIT_FAILED, EXIT_INPUT, Output};
use crate::checks::submission::is_test;
use crate::checks::{Assurance, Check, CheckStep, CheckVerdict, Language, StepOutcome};
use crate::model::Level;
use crate::sandbox::code::{Test, TestOutcome};
use crate::sarif;
use clap::Args;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// How long a verdict may take: a batch of others may be in front.
const WAIT: &str = "10m";

/// The most bytes that are read of a folder or of standard input: more than a submission may have, so that the host says what is too much.
const READ_MAX_BYTES: u64 = 8 * 1024 * 1024;

/// Files that are looked at in a folder: as above.
const FILES_MAX: usize = 2_000;

/// How deep folders are looked into.
const DEPTH_MAX: usize = 16;

/// How often files are looked at that are watched.
const LOOK_EVERY: Duration = Duration::from_millis(300);

/// Folders that hold no code of one's own.
const LEFT_OUT: [&str; 6] = [
    "node_modules",
    "__pycache__",
    "target",
    "venv",
    "dist",
    "build",
];

/// What to check, and how.
#[derive(Debug, Args)]
pub struct CheckOptions {
    /// A file, a folder, a submission in JSON (`FILE.json`), or `-` for a submission or a diff on standard input
    #[arg(required_unless_present = "head")]
    path: Option<PathBuf>,
    /// The repository of `plugins.toml` that a diff, or a branch, changes
    #[arg(long, value_name = "NAME")]
    repository: Option<String>,
    /// What it changes: a branch, tag or commit, instead of the default branch
    #[arg(long, value_name = "REFERENCE", requires = "repository")]
    base: Option<String>,
    /// Judge this branch, tag or commit of the repository
    #[arg(
        long,
        value_name = "REFERENCE",
        requires = "repository",
        conflicts_with_all = ["path", "watch", "tests"]
    )]
    head: Option<String>,
    /// A folder or file of the repository that the tests need, instead of all code; may be given more than once
    #[arg(long = "with", value_name = "PATH", requires = "repository")]
    with: Vec<String>,
    /// What the code is written in, instead of what the files' names say
    #[arg(long, value_name = "LANGUAGE")]
    language: Option<String>,
    /// A file of tests, beside those that are named like tests; may be given more than once
    #[arg(long = "test", value_name = "FILE")]
    tests: Vec<PathBuf>,
    /// Only this step: policy, analysis, scripts, tests, cases or reported; may be given more than once
    #[arg(long = "step", value_name = "STEP")]
    steps: Vec<String>,
    /// Let tests and code share one interpreter
    #[arg(long)]
    shared: bool,
    /// Run everything twice, the second time at another moment and with other dice
    #[arg(long)]
    detect_flaky: bool,
    /// Wall-clock time of each instance, in milliseconds
    #[arg(long, value_name = "MS")]
    time_ms: Option<u64>,
    /// Check again whenever a file changes
    #[arg(long)]
    watch: bool,
    /// Print the findings as a SARIF 2.1.0 log
    #[arg(long, conflicts_with = "junit")]
    sarif: bool,
    /// Print the tests as JUnit XML
    #[arg(long)]
    junit: bool,
}

pub(super) async fn execute(options: &CheckOptions, client: &Client, output: &Output) -> Done {
    if !options.watch {
        return once(options, client, output).await;
    }
    if is_stdin(options) {
        return Err(CliError::input("standard input cannot be watched"));
    }
    let mut seen = Vec::new();
    loop {
        let now = fingerprint(options);
        if now == seen {
            tokio::time::sleep(LOOK_EVERY).await;
            continue;
        }
        seen = now;
        // A mistake is mended, and the next look sees it.
        if let Err(error) = once(options, client, output).await {
            output.error(&error);
        }
        output.note("watching; Ctrl-C ends it");
    }
}

fn path_of(options: &CheckOptions) -> &Path {
    options.path.as_deref().unwrap_or(Path::new("."))
}

fn is_stdin(options: &CheckOptions) -> bool {
    path_of(options) == Path::new("-")
}

/// What the files that are watched look like.
fn fingerprint(options: &CheckOptions) -> Vec<(PathBuf, u64, Option<SystemTime>)> {
    let mut files = Vec::new();
    let _ = walk(path_of(options), 0, &mut files);
    files.extend(options.tests.iter().cloned());
    files
        .into_iter()
        .filter_map(|path| {
            let metadata = std::fs::metadata(&path).ok()?;
            Some((path, metadata.len(), metadata.modified().ok()))
        })
        .collect()
}

async fn once(options: &CheckOptions, client: &Client, output: &Output) -> Done {
    let submission = submission(options)?;
    let spinner =
        output.spinner("checking; the first check of a language compiles its interpreter");
    let check = client
        .post::<Check>(&format!("/v1/checks?wait={WAIT}"), &submission)
        .await;
    spinner.finish_and_clear();
    let check = check?;
    let code = match check.verdict {
        Some(CheckVerdict::Passed) => 0,
        Some(CheckVerdict::Failed | CheckVerdict::Flaky) => EXIT_FAILED,
        Some(CheckVerdict::Error) => EXIT_INPUT,
        None => {
            return Err(CliError::failed(format!(
                "check `{}` has no verdict yet; `GET /v1/checks/{}` has it later",
                check.id, check.id
            )));
        }
    };
    if options.sarif {
        output.value(&as_sarif(&check));
    } else if options.junit {
        output.raw(as_junit(&check).as_bytes());
    } else if output.is_json() {
        output.value(&check);
    } else {
        show(&check, output);
    }
    Ok(code)
}

/// The submission that the options describe.
fn submission(options: &CheckOptions) -> Result<Value, CliError> {
    if is_stdin(options) && !options.tests.is_empty() {
        return Err(CliError::input(
            "`--test` goes with a file or a folder; what comes by standard input has its own tests",
        ));
    }
    if options.repository.is_some() && options.head.is_none() && !is_stdin(options) {
        return Err(CliError::input(
            "`--repository` goes with a diff on standard input, or with `--head`",
        )
        .with_hint("`git diff main | infinity check - --repository NAME --base main`"));
    }
    let mut submission = if let Some(head) = &options.head {
        changing(options, "head", head)?
    } else if is_stdin(options) {
        let mut text = String::new();
        std::io::stdin()
            .lock()
            .take(READ_MAX_BYTES + 1)
            .read_to_string(&mut text)
            .map_err(|error| CliError::input(format!("cannot read standard input: {error}")))?;
        if text.len() as u64 > READ_MAX_BYTES {
            return Err(CliError::input(format!(
                "standard input has more than {READ_MAX_BYTES} bytes"
            )));
        }
        if text.trim_start().starts_with('{') {
            if options.repository.is_some() {
                return Err(CliError::input(
                    "standard input is a submission, which names its repository itself",
                ));
            }
            parse(&text, "standard input")?
        } else {
            changing(options, "diff", &text)?
        }
    } else if path_of(options)
        .extension()
        .is_some_and(|ending| ending == "json")
    {
        let path = path_of(options);
        parse(&read(path)?, &path.display().to_string())?
    } else {
        let (files, tests) = gather(options)?;
        let mut submission = Map::new();
        submission.insert("files".into(), json!(files));
        if !tests.is_empty() {
            submission.insert("tests".into(), json!(tests));
        }
        submission
    };
    if let Some(language) = &options.language {
        submission.insert("language".into(), json!(language));
    }
    if !options.steps.is_empty() {
        submission.insert("steps".into(), json!(options.steps));
    }
    if options.shared {
        submission.insert("isolation".into(), json!("shared"));
    }
    if options.detect_flaky {
        submission.insert("detect_flaky".into(), json!(true));
    }
    if let Some(time_ms) = options.time_ms {
        let limits = submission
            .entry("limits")
            .or_insert_with(|| json!({}))
            .as_object_mut()
            .ok_or_else(|| CliError::input("`limits` of the submission is no object"))?;
        limits.insert("time_ms".into(), json!(time_ms));
    }
    Ok(Value::Object(submission))
}

/// A submission that changes a repository.
fn changing(
    options: &CheckOptions,
    what: &str,
    value: &str,
) -> Result<Map<String, Value>, CliError> {
    if value.trim().is_empty() {
        return Err(
            CliError::input("there is nothing to judge: what changes is empty").with_hint(EXAMPLE),
        );
    }
    let repository = options.repository.as_ref().ok_or_else(|| {
        CliError::input("standard input is no submission in JSON, so it has to be a diff; say which repository it changes")
            .with_hint("`git diff main | infinity check - --repository NAME --base main`, with a name of `[repositories]`")
    })?;
    let mut patch = json!({ "repository": repository, what: value });
    if let Some(base) = &options.base {
        patch["base"] = json!(base);
    }
    if !options.with.is_empty() {
        patch["paths"] = json!(options.with);
    }
    let mut submission = Map::new();
    submission.insert("patch".into(), patch);
    Ok(submission)
}

fn parse(text: &str, source: &str) -> Result<Map<String, Value>, CliError> {
    match serde_json::from_str(text) {
        Ok(Value::Object(submission)) => Ok(submission),
        Ok(_) => Err(
            CliError::input(format!("{source} is no submission: it is no JSON object"))
                .with_hint(EXAMPLE),
        ),
        Err(error) => {
            Err(CliError::input(format!("{source} is no submission: {error}")).with_hint(EXAMPLE))
        }
    }
}

const EXAMPLE: &str = "a submission looks like `{\"files\": {\"solution.py\": \"…\"}, \"tests\": {\"test_solution.py\": \"…\"}}`";

fn read(path: &Path) -> Result<String, CliError> {
    let fail = |why: String| CliError::input(format!("cannot read `{}`: {why}", path.display()));
    let metadata = std::fs::metadata(path).map_err(|error| fail(error.to_string()))?;
    if !metadata.is_file() {
        return Err(fail("it is no regular file".into()));
    }
    if metadata.len() > READ_MAX_BYTES {
        return Err(fail(format!(
            "it has {} bytes, {READ_MAX_BYTES} are allowed",
            metadata.len()
        )));
    }
    let bytes = std::fs::read(path).map_err(|error| fail(error.to_string()))?;
    String::from_utf8(bytes).map_err(|error| {
        fail(format!(
            "it is not UTF-8 from byte {} on",
            error.utf8_error().valid_up_to()
        ))
    })
}

type Texts = BTreeMap<String, String>;

/// The code and the tests below a path.
fn gather(options: &CheckOptions) -> Result<(Texts, Texts), CliError> {
    let mut found = Vec::new();
    let path = path_of(options);
    walk(path, 0, &mut found)?;
    let root = if path.is_dir() {
        path.to_owned()
    } else {
        path.parent().map(Path::to_path_buf).unwrap_or_default()
    };
    let single = !path.is_dir();
    let mut files = Texts::new();
    let mut tests = Texts::new();
    let mut size = 0;
    for file in found {
        let text = read(&file)?;
        size += text.len() as u64;
        if size > READ_MAX_BYTES {
            return Err(CliError::input(format!(
                "`{}` has more than {READ_MAX_BYTES} bytes of code",
                path.display()
            ))
            .with_hint("hand in the part that is to be checked"));
        }
        let name = file.strip_prefix(&root).unwrap_or(&file);
        let name = name.to_string_lossy().replace('\\', "/");
        if !single && is_test(&name) {
            tests.insert(name, text);
        } else {
            files.insert(name, text);
        }
    }
    for test in &options.tests {
        let name = test.file_name().map_or_else(
            || test.display().to_string(),
            |name| name.to_string_lossy().into_owned(),
        );
        files.remove(&name);
        if tests.insert(name.clone(), read(test)?).is_some() {
            return Err(
                CliError::input(format!("two files of tests are called `{name}`"))
                    .with_hint("rename one, or hand a submission in as JSON"),
            );
        }
    }
    if files.is_empty() && tests.is_empty() {
        return Err(CliError::input(format!(
            "there is no Python, JavaScript or TypeScript in `{}`",
            path.display()
        )));
    }
    Ok((files, tests))
}

/// Files of code below a path, in the order of their names. Links are not followed: what is handed in is what lies there.
fn walk(path: &Path, depth: usize, found: &mut Vec<PathBuf>) -> Result<(), CliError> {
    let fail = |error: std::io::Error| {
        CliError::input(format!("cannot read `{}`: {error}", path.display()))
    };
    if !path.is_dir() {
        // Whoever names a file means it, whatever its name.
        std::fs::symlink_metadata(path).map_err(fail)?;
        found.push(path.to_owned());
        return Ok(());
    }
    let mut entries: Vec<_> = std::fs::read_dir(path)
        .map_err(fail)?
        .collect::<Result<_, _>>()
        .map_err(fail)?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let Ok(kind) = entry.file_type() else {
            continue;
        };
        if kind.is_dir() {
            if depth < DEPTH_MAX && !name.starts_with('.') && !LEFT_OUT.contains(&name.as_ref()) {
                walk(&entry.path(), depth + 1, found)?;
            }
        } else if kind.is_file() && Language::of_path(&name).is_some() {
            if found.len() >= FILES_MAX {
                return Err(CliError::input(format!(
                    "there are more than {FILES_MAX} files of code in `{}`",
                    path.display()
                ))
                .with_hint("hand in the part that is to be checked"));
            }
            found.push(entry.path());
        }
    }
    Ok(())
}

fn verdict_word(verdict: CheckVerdict) -> (&'static str, &'static str) {
    match verdict {
        CheckVerdict::Passed => ("passed", "1;32"),
        CheckVerdict::Failed => ("failed", "1;31"),
        CheckVerdict::Error => ("error", "1;31"),
        CheckVerdict::Flaky => ("flaky", "1;33"),
    }
}

fn show(check: &Check, output: &Output) {
    let (word, style) = check.verdict.map_or(("no verdict", "1"), verdict_word);
    let assurance = match check.assurance {
        Some(Assurance::Host) => "  compared by the host",
        Some(Assurance::Guest) => "  compared in the sandbox",
        None => "",
    };
    output.ready(&format!(
        "{}  {}{assurance}  check {}",
        output.styled(style, word),
        check.language.as_str(),
        check.id
    ));
    for step in &check.steps {
        show_step(step, output);
    }
}

fn show_step(step: &CheckStep, output: &Output) {
    let (word, style) = match step.outcome {
        StepOutcome::Passed => ("passed", "32"),
        StepOutcome::Failed => ("failed", "1;31"),
        StepOutcome::Error => ("error", "1;31"),
        StepOutcome::Skipped => ("skipped", "2"),
    };
    let time = match step.outcome {
        StepOutcome::Skipped => String::new(),
        _ => format!("  ({})", micros(step.usage.wall_us)),
    };
    output.ready(&format!(
        "  {:9} {}  {}{time}",
        step.step.as_str(),
        output.styled(style, &format!("{word:7}")),
        printable(&step.summary)
    ));
    for test in &step.tests {
        if matches!(test.outcome, TestOutcome::Failed | TestOutcome::Errored) {
            show_test(test, output);
        }
    }
    if !step.findings.is_empty() {
        finding_table(&step.findings, output);
    }
    for denial in &step.denials {
        output.line(&format!(
            "    denied {}: {} ({})",
            denial.capability,
            denial.attempt,
            plural(denial.count, "time")
        ));
    }
}

fn show_test(test: &Test, output: &Output) {
    output.ready(&format!(
        "    {} {}  {}, {}",
        output.styled("1;31", "failed"),
        printable(&test.name),
        micros(test.duration_us),
        bytes(test.memory_peak_bytes)
    ));
    let place = match (&test.path, test.line) {
        (Some(path), Some(line)) => format!("{path}:{line}: "),
        _ => String::new(),
    };
    if let Some(message) = &test.message {
        output.line(&format!("      {place}{message}"));
    }
    for denial in &test.denials {
        output.line(&format!(
            "      denied {}: {}",
            denial.capability, denial.attempt
        ));
    }
    for text in [test.details.as_deref(), Some(test.output.as_str())]
        .into_iter()
        .flatten()
    {
        for line in text.lines() {
            output.line(&format!("      | {line}"));
        }
    }
}

/// The findings of all steps, and each test that failed, as a SARIF log.
fn as_sarif(check: &Check) -> Value {
    let level = |level: Level| match level {
        Level::Note => sarif::Level::Note,
        Level::Warning => sarif::Level::Warning,
        Level::Error => sarif::Level::Error,
    };
    let mut findings: Vec<sarif::Finding> = Vec::new();
    for step in &check.steps {
        findings.extend(step.findings.iter().map(|finding| sarif::Finding {
            rule: finding.rule.clone(),
            level: level(finding.level),
            message: finding.message.clone(),
            location: finding.location.as_ref().map(|location| sarif::Location {
                repository: location.repository.clone(),
                path: location.path.clone(),
                line: location.line,
                column: location.column,
            }),
            help: finding.help.clone(),
        }));
        findings.extend(
            step.tests
                .iter()
                .filter(|test| matches!(test.outcome, TestOutcome::Failed | TestOutcome::Errored))
                .map(|test| sarif::Finding {
                    rule: format!("check/{}", step.step.as_str()),
                    level: sarif::Level::Error,
                    message: format!(
                        "{}: {}",
                        test.name,
                        test.message.as_deref().unwrap_or("failed")
                    ),
                    location: test.path.as_ref().map(|path| sarif::Location {
                        repository: None,
                        path: path.clone(),
                        line: test.line,
                        column: None,
                    }),
                    help: None,
                }),
        );
    }
    for step in &check.steps {
        let speaks = |finding: &sarif::Finding| finding.level == sarif::Level::Error;
        if matches!(step.outcome, StepOutcome::Error | StepOutcome::Failed)
            && !findings.iter().any(speaks)
        {
            findings.push(sarif::Finding {
                rule: format!("check/{}", step.step.as_str()),
                level: sarif::Level::Error,
                message: step.summary.clone(),
                location: None,
                help: None,
            });
        }
    }
    sarif::to_sarif(&sarif::SarifInput {
        tool: "infinity check",
        version: Some(env!("CARGO_PKG_VERSION")),
        findings: &findings,
        success: check.verdict != Some(CheckVerdict::Error),
    })
}

/// Text as XML takes it: without what no XML may hold.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\n' => escaped.push_str("&#10;"),
            '\t' => escaped.push('\t'),
            control if control.is_control() || matches!(control, '\u{fffe}' | '\u{ffff}') => {
                escaped.push('\u{fffd}');
            }
            other => escaped.push(other),
        }
    }
    escaped
}

/// The tests and cases as JUnit XML, a suite for each step; a finding that is an error is a failed case.
fn as_junit(check: &Check) -> String {
    let mut suites = String::new();
    for step in &check.steps {
        let mut cases = String::new();
        let (mut count, mut failed, mut errored, mut skipped) = (0, 0, 0, 0);
        for test in &step.tests {
            count += 1;
            let seconds = Duration::from_micros(test.duration_us).as_secs_f64();
            cases.push_str(&format!(
                "    <testcase classname=\"{}\" name=\"{}\" time=\"{seconds:.6}\">",
                step.step.as_str(),
                escaped(&test.name)
            ));
            let message = escaped(test.message.as_deref().unwrap_or("failed"));
            let details = escaped(test.details.as_deref().unwrap_or_default());
            match test.outcome {
                TestOutcome::Passed => {}
                TestOutcome::Failed => {
                    failed += 1;
                    cases.push_str(&format!(
                        "<failure message=\"{message}\">{details}</failure>"
                    ));
                }
                TestOutcome::Errored => {
                    errored += 1;
                    cases.push_str(&format!("<error message=\"{message}\">{details}</error>"));
                }
                TestOutcome::Skipped => {
                    skipped += 1;
                    cases.push_str("<skipped/>");
                }
            }
            if !test.output.is_empty() {
                cases.push_str(&format!(
                    "<system-out>{}</system-out>",
                    escaped(&test.output)
                ));
            }
            cases.push_str("</testcase>\n");
        }
        for finding in &step.findings {
            if finding.level != Level::Error {
                continue;
            }
            count += 1;
            failed += 1;
            let place = finding.location.as_ref().map_or_else(String::new, |at| {
                let line = at.line.map_or_else(String::new, |line| format!(":{line}"));
                format!("{}{line} ", at.path)
            });
            cases.push_str(&format!(
                "    <testcase classname=\"{}\" name=\"{}\"><failure message=\"{}\"></failure></testcase>\n",
                step.step.as_str(),
                escaped(&format!("{place}{}", finding.rule)),
                escaped(&finding.message)
            ));
        }
        if matches!(step.outcome, StepOutcome::Error | StepOutcome::Failed) && failed + errored == 0
        {
            count += 1;
            errored += 1;
            cases.push_str(&format!(
                "    <testcase classname=\"{0}\" name=\"{0}\"><error message=\"{1}\"></error></testcase>\n",
                step.step.as_str(),
                escaped(&step.summary)
            ));
        }
        let seconds = Duration::from_micros(step.usage.wall_us).as_secs_f64();
        suites.push_str(&format!(
            "  <testsuite name=\"{}\" tests=\"{count}\" failures=\"{failed}\" errors=\"{errored}\" skipped=\"{skipped}\" time=\"{seconds:.6}\">\n{cases}  </testsuite>\n",
            step.step.as_str()
        ));
    }
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"infinity check\">\n{suites}</testsuites>\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn xml_holds_what_xml_may_hold() {
        assert_eq!(
            escaped("a<b>&\"c\"\u{1b}[0m\u{0}\n"),
            "a&lt;b&gt;&amp;&quot;c&quot;\u{fffd}[0m\u{fffd}&#10;"
        );
    }
}
