//! Rego sources and data documents into decisions, query results and test results.
//!
//! Everything is parsed and analysed once, in [`PolicyEngine::load`], which reports the mistakes of all files together. Afterwards a decision costs one
//! rule evaluation: for each package prefix that has rules there is a prepared rule that collects `deny` and `warn` of every package below it.
//! Tests live in an engine of their own, so they neither slow a decision down nor change it. No decision means no: a name without rules, an input that
//! is no JSON, a failing rule and an answer of a strange shape are errors.
//!
//! This module knows neither the component's bindings nor repositories.

use regorus::{Engine, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write as _};
use std::time::Instant;

mod warm;

/// The package of the prepared rules. Two underscores keep it apart from names that people give.
const JUDGE_PACKAGE: &str = "__infinity";

/// Tests of one load, the names that are listed: far above any real set of policies, it keeps a broken generator from filling the memory.
const MAX_TESTS: usize = 100_000;

/// Compiled patterns that are kept: every pattern of a large set of policies, at a few KiB each.
const PATTERN_CACHE: usize = 1_024;

/// Tests of each file that warm-up runs: the first few reach most of what their rules need, and large tables would make the snapshot slow.
const WARM_UP_TESTS_PER_FILE: usize = 3;

/// A file handed to [`PolicyEngine::load`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Relative, with `/` between its parts. A leading `policies/` is the root and names no part of `data`.
    pub path: String,
    /// The text.
    pub content: String,
}

/// One mistake in one file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LoadError {
    /// As given in [`File::path`].
    pub path: String,
    /// Line and column, from 1; 0 where only the file is known.
    pub line: u32,
    /// Column, from 1.
    pub column: u32,
    /// What is wrong.
    pub message: String,
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line == 0 {
            write!(f, "{}: {}", self.path, self.message)
        } else {
            write!(
                f,
                "{}:{}:{}: {}",
                self.path, self.line, self.column, self.message
            )
        }
    }
}

/// Why there is no decision.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EvaluateError {
    /// No `deny` or `warn` rule is at or below that name.
    #[error("no `deny` or `warn` rule is loaded at or below `{0}`")]
    UnknownPackage(String),
    /// The input is no JSON.
    #[error("the input is no JSON: {0}")]
    InvalidInput(String),
    /// A rule failed, or answered with something that is no violation; with its place where that is known.
    #[error("{0}")]
    Evaluation(String),
}

/// A rule's answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Violation {
    /// The package of the rule, without `data.`.
    pub rule: String,
    /// The rule's own words.
    pub message: String,
    /// A file of the judged material.
    pub path: Option<String>,
    /// From 1.
    pub line: Option<u32>,
    /// From 1.
    pub column: Option<u32>,
    /// What to do about it.
    pub help: Option<String>,
}

/// What the rules say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decision {
    /// Answers of `deny`, sorted by place.
    pub denials: Vec<Violation>,
    /// Answers of `warn`, sorted by place.
    pub warnings: Vec<Violation>,
}

impl Decision {
    /// Whether nothing is denied.
    #[must_use]
    pub fn allowed(&self) -> bool {
        self.denials.is_empty()
    }
}

/// How a test ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TestOutcome {
    /// Defined and neither `false` nor undefined.
    Passed,
    /// `false` or undefined.
    Failed,
    /// The evaluation failed.
    Errored,
    /// Named `todo_test_…`.
    Skipped,
}

/// One test of the rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TestResult {
    /// Without `data.`.
    pub package: String,
    /// The rule's name.
    pub name: String,
    /// How it ended.
    pub outcome: TestOutcome,
    /// What went wrong, then what the test printed.
    pub message: Option<String>,
    /// In nanoseconds.
    pub duration_ns: u64,
    /// The file the test is in.
    pub path: String,
}

/// Loaded rules. It holds no handles, so a snapshot of the memory may contain it.
#[derive(Debug)]
pub struct PolicyEngine {
    /// The rules and the prepared collecting rules.
    judge: Engine,
    /// The rules alone, for queries.
    rules: Engine,
    /// The rules and their tests.
    tested: Engine,
    /// By package prefix, the empty one included.
    prefix_to_collector: BTreeMap<String, Collector>,
    tests: Vec<Test>,
}

/// The prepared rule of one package prefix.
#[derive(Clone, Debug)]
struct Collector {
    /// The full path of the rule.
    rule: String,
    /// What the elements of its value are, in order.
    parts: Vec<(String, Kind)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Deny,
    Warn,
}

#[derive(Clone, Debug)]
struct Test {
    package: String,
    name: String,
    /// The full path of the rule.
    rule: String,
    path: String,
}

/// A module with its package.
struct Module<'a> {
    file: &'a File,
    components: Vec<String>,
}

impl PolicyEngine {
    /// Parses and analyses all files: `*.rego` are modules (`*_test.rego` only for tests), `*.json`, `*.yaml` and `*.yml` are documents merged into
    /// `data` at the path of their directory, the rest is left alone. No rules at all are fine here and an error when they are asked.
    ///
    /// # Errors
    /// The mistakes of all files, sorted by place: the first syntax error of each file, what the analysis finds, and documents that are not mappings,
    /// contradict one another or hide a rule.
    pub fn load(files: &[File]) -> Result<Self, Vec<LoadError>> {
        regorus::cache::configure(regorus::cache::Config {
            regex: PATTERN_CACHE,
            glob: PATTERN_CACHE,
        });
        let mut errors = Vec::new();
        let mut engine = Engine::new();
        engine.set_gather_prints(true);

        let mut seen = BTreeSet::new();
        let mut modules = Vec::new();
        for file in files {
            if !seen.insert(file.path.as_str()) {
                errors.push(whole_file(&file.path, "the file is given twice"));
                continue;
            }
            match extension(&file.path) {
                "rego" => modules.push(file),
                "json" | "yaml" | "yml" => {
                    if let Err(error) = add_document(&mut engine, file) {
                        errors.push(error);
                    }
                }
                _ => {}
            }
        }
        let data = engine.get_data();

        // What parses is analysed together, and again without each file that does not pass, so that every file's first mistake is known.
        let mut parsed = Vec::new();
        for file in modules {
            match Engine::new().add_policy(file.path.clone(), file.content.clone()) {
                Ok(_) => parsed.push(file),
                Err(error) => errors.push(load_error(&file.path, &error.to_string())),
            }
        }
        let tested = loop {
            let mut candidate = engine.clone();
            let added = parsed.iter().try_for_each(|file| {
                candidate
                    .add_policy(file.path.clone(), file.content.clone())
                    .map(drop)
            });
            match added.and_then(|()| candidate.eval_query("true".to_owned(), false)) {
                Ok(_) => break candidate,
                Err(error) => {
                    let error = load_error("", &error.to_string());
                    let culprit = parsed.iter().position(|file| file.path == error.path);
                    errors.push(error);
                    match culprit {
                        Some(index) => drop(parsed.remove(index)),
                        None => break candidate,
                    }
                }
            }
        };

        let components = tested
            .get_policy_package_components()
            .map_err(|error| vec![whole_file("policies", &error.to_string())])?;
        let all: Vec<Module<'_>> = parsed
            .iter()
            .zip(components)
            .map(|(&file, package)| Module {
                file,
                components: package.components,
            })
            .collect();
        for module in &all {
            errors.extend(hidden_rules(&tested, module, &data));
        }
        if !errors.is_empty() {
            errors.sort();
            errors.dedup();
            return Err(errors);
        }

        let unexpected = |error: String| vec![load_error("policies", &error)];
        let mut rules = engine;
        for module in all.iter().filter(|module| !is_test_file(&module.file.path)) {
            rules
                .add_policy(module.file.path.clone(), module.file.content.clone())
                .map_err(|error| unexpected(error.to_string()))?;
        }
        let (source, prefix_to_collector) = collectors(&tested, &all);
        let mut judge = rules.clone();
        judge
            .add_policy(JUDGE_PACKAGE.to_owned(), source)
            .map_err(|error| unexpected(error.to_string()))?;
        let tests = find_tests(&tested, &all);
        let mut loaded = Self {
            judge,
            rules,
            tested,
            prefix_to_collector,
            tests,
        };
        for engine in [&mut loaded.judge, &mut loaded.rules, &mut loaded.tested] {
            engine
                .eval_query("true".to_owned(), false)
                .map_err(|error| unexpected(error.to_string()))?;
        }
        Ok(loaded)
    }

    /// Evaluates every package with made-up facts, and the first tests of each file, so that patterns are compiled and caches are filled. What they answer does not
    /// matter: a rule that fails here fails again, with a report, when it is asked.
    pub fn warm_up(&mut self) {
        for document in warm::documents() {
            if self.evaluate("", &document).is_err() {
                // One package may stumble over facts it does not expect and keep the others from being reached.
                let packages: Vec<String> = self.prefix_to_collector.keys().cloned().collect();
                for package in packages {
                    drop(self.evaluate(&package, &document));
                }
            }
        }
        let mut path_to_count: BTreeMap<&str, usize> = BTreeMap::new();
        for test in &self.tests {
            let count = path_to_count.entry(&test.path).or_default();
            *count += 1;
            if *count <= WARM_UP_TESTS_PER_FILE {
                self.tested.set_input(Value::Undefined);
                drop(self.tested.eval_rule(test.rule.clone()));
            }
        }
        self.forget();
    }

    /// Drops what evaluations left behind.
    fn forget(&mut self) {
        for engine in [&mut self.judge, &mut self.rules, &mut self.tested] {
            engine.set_input(Value::Undefined);
            drop(engine.take_prints());
        }
    }

    /// The packages that have a `deny` or `warn` rule, sorted.
    #[must_use]
    pub fn packages(&self) -> Vec<&str> {
        let mut packages: Vec<&str> = self
            .prefix_to_collector
            .get("")
            .map(|all| all.parts.iter().map(|(name, _)| name.as_str()).collect())
            .unwrap_or_default();
        packages.dedup();
        packages
    }

    /// How many tests there are.
    #[must_use]
    pub fn test_count(&self) -> usize {
        self.tests.len()
    }

    /// Evaluates `deny` and `warn` of every package at or below `package` (with or without `data.`; empty for all) with the JSON text `input`.
    ///
    /// # Errors
    /// See [`EvaluateError`]; a caller must take each of them for a no.
    pub fn evaluate(&mut self, package: &str, input: &str) -> Result<Decision, EvaluateError> {
        let prefix = match package {
            "data" => "",
            other => other.strip_prefix("data.").unwrap_or(other),
        };
        let collector = self
            .prefix_to_collector
            .get(prefix)
            .ok_or_else(|| EvaluateError::UnknownPackage(package.to_owned()))?;
        set_input(&mut self.judge, input)?;
        let answer = self
            .judge
            .eval_rule(collector.rule.clone())
            .map_err(|error| EvaluateError::Evaluation(one_line(&error.to_string())))?;
        drop(self.judge.take_prints());
        let parts = answer
            .as_array()
            .ok()
            .filter(|parts| parts.len() == collector.parts.len())
            .ok_or_else(|| {
                EvaluateError::Evaluation(format!("the rules below `{package}` gave no answer"))
            })?;
        let mut decision = Decision::default();
        for (part, (rule, kind)) in parts.iter().zip(&collector.parts) {
            let list = match kind {
                Kind::Deny => &mut decision.denials,
                Kind::Warn => &mut decision.warnings,
            };
            // The outer array is empty when the rule is undefined.
            for value in part.as_array().into_iter().flat_map(|part| part.iter()) {
                add_violations(list, rule, *kind, value)?;
            }
        }
        for list in [&mut decision.denials, &mut decision.warnings] {
            list.sort_by(|a, b| order(a).cmp(&order(b)));
        }
        Ok(decision)
    }

    /// Evaluates any query over the rules (without their tests) and answers with OPA's result JSON: `{}` where nothing is defined.
    ///
    /// # Errors
    /// [`EvaluateError::InvalidInput`], or [`EvaluateError::Evaluation`] also for a query that does not parse.
    pub fn query(&mut self, query: &str, input: &str) -> Result<String, EvaluateError> {
        set_input(&mut self.rules, input)?;
        let results = self
            .rules
            .eval_query(query.to_owned(), false)
            .map_err(|error| EvaluateError::Evaluation(one_line(&error.to_string())))?;
        drop(self.rules.take_prints());
        // A single expression that is undefined is an undefined query to OPA.
        let defined: Vec<_> = results
            .result
            .into_iter()
            .filter(|result| {
                result
                    .expressions
                    .iter()
                    .all(|e| e.value != Value::Undefined)
            })
            .collect();
        serde_json::to_string(&QueryDocument { result: defined })
            .map_err(|error| EvaluateError::Evaluation(format!("the result is no JSON: {error}")))
    }

    /// Runs the tests whose full name (`package.test_name`) matches the regular expression `filter`, or all, in the order of their files.
    ///
    /// # Errors
    /// [`EvaluateError::InvalidInput`] when the filter is no regular expression.
    pub fn test(&mut self, filter: Option<&str>) -> Result<Vec<TestResult>, EvaluateError> {
        let filter = filter.map(regex::Regex::new).transpose().map_err(|error| {
            EvaluateError::InvalidInput(format!(
                "the filter is no regular expression: {}",
                one_line(&error.to_string())
            ))
        })?;
        let mut results = Vec::new();
        for test in &self.tests {
            let full_name = format!("{}.{}", test.package, test.name);
            if filter.as_ref().is_some_and(|f| !f.is_match(&full_name)) {
                continue;
            }
            results.push(run_test(&mut self.tested, test));
        }
        Ok(results)
    }
}

fn run_test(engine: &mut Engine, test: &Test) -> TestResult {
    let mut result = TestResult {
        package: test.package.clone(),
        name: test.name.clone(),
        outcome: TestOutcome::Skipped,
        message: None,
        duration_ns: 0,
        path: test.path.clone(),
    };
    if test.name.starts_with("todo_") {
        return result;
    }
    engine.set_input(Value::Undefined);
    let started = Instant::now();
    let answer = engine.eval_rule(test.rule.clone());
    result.duration_ns = u64::try_from(started.elapsed().as_nanos()).unwrap_or(u64::MAX);
    let (outcome, reason) = match answer {
        Ok(Value::Undefined) => (TestOutcome::Failed, Some("undefined".to_owned())),
        Ok(Value::Bool(false)) => (TestOutcome::Failed, Some("false".to_owned())),
        Ok(_) => (TestOutcome::Passed, None),
        Err(error) => (TestOutcome::Errored, Some(one_line(&error.to_string()))),
    };
    result.outcome = outcome;
    let lines: Vec<String> = reason
        .into_iter()
        .chain(engine.take_prints().unwrap_or_default())
        .collect();
    result.message = (!lines.is_empty()).then(|| lines.join("\n"));
    result
}

fn set_input(engine: &mut Engine, input: &str) -> Result<(), EvaluateError> {
    engine
        .set_input_json(input)
        .map_err(|error| EvaluateError::InvalidInput(one_line(&error.to_string())))
}

/// OPA's result document.
#[derive(serde::Serialize)]
struct QueryDocument {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    result: Vec<regorus::QueryResult>,
}

type Place<'a> = (
    &'a Option<String>,
    Option<u32>,
    Option<u32>,
    &'a str,
    &'a str,
);

fn order(violation: &Violation) -> Place<'_> {
    (
        &violation.path,
        violation.line,
        violation.column,
        &violation.rule,
        &violation.message,
    )
}

/// Reads what a `deny` or `warn` rule answered: `true`, a string, an object with `msg`, or a set or array of the latter two.
fn add_violations(
    list: &mut Vec<Violation>,
    rule: &str,
    kind: Kind,
    value: &Value,
) -> Result<(), EvaluateError> {
    match value {
        Value::Undefined | Value::Null | Value::Bool(false) => {}
        Value::Bool(true) => list.push(Violation {
            rule: rule.to_owned(),
            message: match kind {
                Kind::Deny => format!("`{rule}` denies this"),
                Kind::Warn => format!("`{rule}` warns of this"),
            },
            ..Violation::default()
        }),
        Value::Set(set) => {
            for value in set.iter() {
                list.push(violation(rule, value)?);
            }
        }
        Value::Array(array) => {
            for value in array.iter() {
                list.push(violation(rule, value)?);
            }
        }
        other => list.push(violation(rule, other)?),
    }
    Ok(())
}

fn violation(rule: &str, value: &Value) -> Result<Violation, EvaluateError> {
    let strange = |what: &str| {
        EvaluateError::Evaluation(format!(
            "`{rule}` answered with {what}; a violation is a string, or an object with a string `msg` and, if wanted, strings `path` and `help` and \
             numbers `line` and `column`"
        ))
    };
    match value {
        Value::String(message) => Ok(Violation {
            rule: rule.to_owned(),
            message: message.to_string(),
            ..Violation::default()
        }),
        Value::Object(_) => {
            let text = |key: &str| match &value[key] {
                Value::Undefined | Value::Null => Ok(None),
                Value::String(text) => Ok(Some(text.to_string())),
                _ => Err(strange(&format!("a `{key}` that is no string"))),
            };
            let number = |key: &str| match &value[key] {
                Value::Undefined | Value::Null => Ok(None),
                number => number
                    .as_u32()
                    .map(Some)
                    .map_err(|_| strange(&format!("a `{key}` that is no whole number"))),
            };
            Ok(Violation {
                rule: rule.to_owned(),
                message: text("msg")?.ok_or_else(|| strange("an object without `msg`"))?,
                path: text("path")?,
                line: number("line")?,
                column: number("column")?,
                help: text("help")?,
            })
        }
        _ => Err(strange("a value of another kind")),
    }
}

/// Writes the module of collecting rules: for each prefix one rule whose value has, for each `deny` and `warn` below it, an array that is empty where the
/// rule is undefined and holds its value otherwise.
fn collectors(engine: &Engine, modules: &[Module<'_>]) -> (String, BTreeMap<String, Collector>) {
    let mut package_to_kinds: BTreeMap<Vec<String>, [bool; 2]> = BTreeMap::new();
    for module in modules
        .iter()
        .filter(|module| !is_test_file(&module.file.path))
    {
        let declares = |name: &str| {
            engine
                .has_declared_rule_rooted_at(&module.file.path, name)
                .unwrap_or(false)
        };
        let kinds = package_to_kinds
            .entry(module.components.clone())
            .or_default();
        kinds[0] |= declares("deny");
        kinds[1] |= declares("warn");
    }
    package_to_kinds.retain(|_, kinds| kinds[0] || kinds[1]);

    let mut prefixes = BTreeSet::new();
    for components in package_to_kinds.keys() {
        for length in 0..=components.len() {
            prefixes.insert(components[..length].to_vec());
        }
    }
    let mut source = format!("package {JUDGE_PACKAGE}\n");
    let mut prefix_to_collector = BTreeMap::new();
    for (index, prefix) in prefixes.iter().enumerate() {
        let mut parts = Vec::new();
        let mut elements = Vec::new();
        for (components, kinds) in package_to_kinds
            .iter()
            .filter(|(components, _)| components.starts_with(prefix))
        {
            for (name, kind, declared) in [
                ("deny", Kind::Deny, kinds[0]),
                ("warn", Kind::Warn, kinds[1]),
            ] {
                if declared {
                    elements.push(format!("\n\t[x | x := {}.{name}]", reference(components)));
                    parts.push((components.join("."), kind));
                }
            }
        }
        // Writing to a string cannot fail.
        let _ = writeln!(source, "collect_{index} := [{}\n]", elements.join(","));
        prefix_to_collector.insert(
            prefix.join("."),
            Collector {
                rule: format!("data.{JUDGE_PACKAGE}.collect_{index}"),
                parts,
            },
        );
    }
    (source, prefix_to_collector)
}

/// A package as a reference below `data`. Each part is quoted, as it need not be a plain name.
fn reference(components: &[String]) -> String {
    components.iter().fold("data".to_owned(), |mut text, part| {
        let quoted = serde_json::Value::String(part.clone());
        // Writing to a string cannot fail.
        let _ = write!(text, "[{quoted}]");
        text
    })
}

/// The path by which regorus knows a rule: like [`reference`], with plain names after dots.
fn rule_path(components: &[String], name: &str) -> String {
    let mut path = "data".to_owned();
    for part in components {
        let plain = part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
            && !part.starts_with(|c: char| c.is_ascii_digit())
            && !part.is_empty();
        // Writing to a string cannot fail.
        let _ = if plain {
            write!(path, ".{part}")
        } else {
            write!(path, "[{}]", serde_json::Value::String(part.clone()))
        };
    }
    format!("{path}.{name}")
}

/// Finds the tests: names at the start of a line that the module declares as rules.
fn find_tests(engine: &Engine, modules: &[Module<'_>]) -> Vec<Test> {
    let mut tests = Vec::new();
    let mut seen = BTreeSet::new();
    for module in modules {
        for line in module.file.content.lines() {
            let text = line.trim_start();
            let bare = text.strip_prefix("todo_").unwrap_or(text);
            if !bare.starts_with("test_") {
                continue;
            }
            let name: String = text
                .chars()
                .take_while(|c| c.is_ascii_alphanumeric() || *c == '_')
                .collect();
            let declared = engine
                .has_declared_rule_rooted_at(&module.file.path, &name)
                .unwrap_or(false);
            let rule = rule_path(&module.components, &name);
            if declared && tests.len() < MAX_TESTS && seen.insert(rule.clone()) {
                tests.push(Test {
                    package: module.components.join("."),
                    name,
                    rule,
                    path: module.file.path.clone(),
                });
            }
        }
    }
    tests
}

/// Finds data that would take the place of a rule: it would win, and a denial would be lost.
fn hidden_rules(engine: &Engine, module: &Module<'_>, data: &Value) -> Vec<LoadError> {
    let mut place = data;
    for component in &module.components {
        place = &place[component.as_str()];
    }
    let package = module.components.join(".");
    match place {
        Value::Undefined => Vec::new(),
        Value::Object(members) => members
            .iter()
            .filter_map(|(key, _)| key.as_string().ok())
            .filter(|key| {
                engine
                    .has_declared_rule_rooted_at(&module.file.path, key)
                    .unwrap_or(false)
            })
            .map(|key| {
                whole_file(
                    &module.file.path,
                    &format!(
                        "a data document sets `data.{package}.{key}`, which is a rule of this file"
                    ),
                )
            })
            .collect(),
        _ => vec![whole_file(
            &module.file.path,
            &format!("a data document sets `data.{package}`, which is the package of this file"),
        )],
    }
}

/// Merges one document into `data` at the path of its directory.
fn add_document(engine: &mut Engine, file: &File) -> Result<(), LoadError> {
    let mut value = if extension(&file.path) == "json" {
        // regorus does not say where a document is broken.
        serde_json::from_str::<serde::de::IgnoredAny>(&file.content).map_err(|error| {
            LoadError {
                path: file.path.clone(),
                line: u32::try_from(error.line()).unwrap_or(u32::MAX),
                column: u32::try_from(error.column().max(1)).unwrap_or(u32::MAX),
                message: without_position(&error.to_string()).to_owned(),
            }
        })?;
        Value::from_json_str(&file.content)
    } else {
        Value::from_yaml_str(&file.content)
    }
    .map_err(|error| yaml_error(&file.path, &error.to_string()))?;
    if value.as_object().is_err() {
        return Err(whole_file(
            &file.path,
            "a data document must be a mapping at its top",
        ));
    }
    let path = file.path.strip_prefix("./").unwrap_or(&file.path);
    let path = path.strip_prefix("policies/").unwrap_or(path);
    for part in path
        .split('/')
        .rev()
        .skip(1)
        .filter(|part| !part.is_empty())
    {
        let mut outer = Value::new_object();
        if let Ok(members) = outer.as_object_mut() {
            members.insert(Value::from(part), value);
        }
        value = outer;
    }
    engine.add_data(value).map_err(|error| {
        whole_file(
            &file.path,
            &format!(
                "contradicts another data document: {}",
                one_line(&error.to_string())
            ),
        )
    })
}

fn yaml_error(path: &str, text: &str) -> LoadError {
    let number_after = |word: &str| -> Option<u32> {
        let rest = &text[text.rfind(word)? + word.len()..];
        let end = rest
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(rest.len());
        rest[..end].parse().ok()
    };
    LoadError {
        path: path.to_owned(),
        line: number_after("line ").unwrap_or(0),
        column: number_after("column ").unwrap_or(1),
        message: without_position(text).to_owned(),
    }
}

/// Cuts off the ` at line 1 column 2` that the parsers of documents append.
fn without_position(text: &str) -> &str {
    let text = text.strip_prefix("Failed to parse YAML: ").unwrap_or(text);
    text.find(" at line ").map_or(text, |end| &text[..end])
}

fn whole_file(path: &str, message: &str) -> LoadError {
    LoadError {
        path: path.to_owned(),
        line: 0,
        column: 0,
        message: message.to_owned(),
    }
}

/// Takes regorus's drawing of an error apart. `path` is for errors without a place.
fn load_error(path: &str, text: &str) -> LoadError {
    match take_apart(text) {
        Some((place, message)) => {
            let mut parts = place.rsplitn(3, ':');
            let column = parts.next().and_then(|part| part.parse().ok());
            let line = parts.next().and_then(|part| part.parse().ok());
            LoadError {
                path: parts.next().unwrap_or(path).to_owned(),
                line: line.unwrap_or(0),
                column: column.unwrap_or(1),
                message,
            }
        }
        None => whole_file(path, &text.trim().replace('\n', " ")),
    }
}

/// regorus's drawing of an error as `file:line:column: message`.
fn one_line(text: &str) -> String {
    match take_apart(text) {
        Some((place, message)) => format!("{place}: {message}"),
        None => text.trim().replace('\n', " "),
    }
}

/// The place and the message of the last drawing in the text.
fn take_apart(text: &str) -> Option<(&str, String)> {
    let drawing = &text[text.rfind("--> ")? + "--> ".len()..];
    let place = drawing.lines().next()?.trim();
    let message = drawing.split_once("\nerror: ")?.1.trim();
    Some((place, message.replace('\n', " ")))
}

fn extension(path: &str) -> &str {
    path.rsplit_once('.').map_or("", |(_, extension)| extension)
}

fn is_test_file(path: &str) -> bool {
    path.ends_with("_test.rego")
}

#[cfg(test)]
pub(crate) mod tests;
