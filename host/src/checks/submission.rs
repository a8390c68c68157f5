//! Turns what was handed in into a submission, or says everything that is wrong with it at once.

use super::patch::{Changed, Patch, PatchTo};
use crate::forge::FileDiff;
use crate::sandbox::budget::RunBudget;
use crate::sandbox::code::CodeFile;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// Files of one submission, tests included: more is a repository, and those come as a patch.
pub const FILES_MAX: usize = 1_000;

/// All texts of one submission together, in bytes: each instance gets a copy.
pub const TEXT_MAX_BYTES: usize = 4 * 1024 * 1024;

/// The longest path, in bytes.
const PATH_MAX_BYTES: usize = 255;

/// Cases of one submission: each is an instance of its own.
pub const CASES_MAX: usize = 1_000;

/// Standard input, or the expected output, of one case, in bytes.
const STREAM_MAX_BYTES: usize = 1024 * 1024;

/// Mistakes that are told at once; who made more mends these first.
pub(super) const MISTAKES_MAX: usize = 50;

/// Wall-clock time of one instance unless the submission says otherwise, in milliseconds.
const TIME_MS: u64 = 10_000;

/// Check runs that one submission waits for.
const REPORTED_MAX: usize = 50;

/// The rules that judge code unless a submission names others.
const PACKAGE: &str = "github.commit";

/// Packages of rules of one submission.
const POLICIES_MAX: usize = 20;

/// The longest name of a check run or a package, in bytes.
const NAME_MAX_BYTES: usize = 200;

/// Memory of one instance unless the submission says otherwise, in bytes: CPython begins with some 40 MiB.
const MEMORY_BYTES: u64 = 256 * 1024 * 1024;

/// The most memory of one instance, in bytes.
const MEMORY_MAX_BYTES: u64 = 1024 * 1024 * 1024;

/// The longest time of one instance, in milliseconds.
const TIME_MAX_MS: u64 = 120_000;

/// What one instance may print, in bytes.
const OUTPUT_BYTES: u64 = 1024 * 1024;

/// What is wrong with a part of a submission.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Mistake {
    /// A JSON pointer.
    pub pointer: String,
    /// What is wrong there, and what would be right.
    pub message: String,
}

/// A language that submissions may be written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Language {
    /// CPython.
    Python,
    /// QuickJS.
    Javascript,
    /// QuickJS, after the types were taken out.
    Typescript,
}

impl Language {
    /// Its name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Python => "python",
            Self::Javascript => "javascript",
            Self::Typescript => "typescript",
        }
    }

    /// The plugin that runs it.
    #[must_use]
    pub fn runner(self) -> &'static str {
        match self {
            Self::Python => "python",
            Self::Javascript | Self::Typescript => "javascript",
        }
    }

    pub(super) fn named(name: &str) -> Option<Self> {
        [Self::Python, Self::Javascript, Self::Typescript]
            .into_iter()
            .find(|language| language.as_str() == name)
    }

    /// The language of a file by the ending of its name.
    #[must_use]
    pub fn of_path(path: &str) -> Option<Self> {
        let ending = path.rsplit('/').next()?.rsplit_once('.')?.1;
        match ending {
            "py" => Some(Self::Python),
            "js" | "mjs" | "cjs" | "jsx" => Some(Self::Javascript),
            "ts" | "mts" | "cts" | "tsx" => Some(Self::Typescript),
            _ => None,
        }
    }
}

/// A part of a check.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum StepKind {
    /// The rules of `github.commit` over every line that was handed in.
    Policy,
    /// Static analysis.
    Analysis,
    /// The scripts of the operator's own.
    Scripts,
    /// The tests.
    Tests,
    /// The cases.
    Cases,
    /// What other tools reported of the commit.
    Reported,
}

impl StepKind {
    /// All of them, in their order.
    pub const ALL: [Self; 6] = [
        Self::Policy,
        Self::Analysis,
        Self::Scripts,
        Self::Tests,
        Self::Cases,
        Self::Reported,
    ];

    /// Its name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Policy => "policy",
            Self::Analysis => "analysis",
            Self::Scripts => "scripts",
            Self::Tests => "tests",
            Self::Cases => "cases",
            Self::Reported => "reported",
        }
    }
}

/// Where tests run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Isolation {
    /// In an instance of their own: nothing of the code is in it but what it answers.
    #[default]
    Apart,
    /// In the same interpreter as the code, which can then do to them what it likes.
    Shared,
}

/// What a program or a function is given, and what must come of it. What must come never enters the sandbox.
#[derive(Clone, Debug, PartialEq)]
pub struct Case {
    /// Unique within the submission.
    pub name: String,
    /// What is run.
    pub task: CaseTask,
}

/// What a case runs.
#[derive(Clone, Debug, PartialEq)]
pub enum CaseTask {
    /// The entry file as a program.
    Program {
        /// What follows its name.
        arguments: Vec<String>,
        /// Standard input.
        stdin: String,
        /// Standard output, if it matters.
        stdout: Option<String>,
        /// Whether spaces at the ends of lines and empty lines at the end matter.
        exact: bool,
        /// The exit code.
        exit_code: u8,
    },
    /// A function.
    Function {
        /// The file that defines it.
        path: String,
        /// Its name.
        name: String,
        /// A JSON array.
        arguments: Value,
        /// A JSON object.
        named: Value,
        /// What must come of it.
        expected: Expected,
    },
}

impl CaseTask {
    /// The bytes of its input and of what must come of it.
    fn bytes(&self) -> usize {
        match self {
            Self::Program {
                arguments,
                stdin,
                stdout,
                ..
            } => {
                let arguments: usize = arguments.iter().map(String::len).sum();
                arguments + stdin.len() + stdout.as_ref().map_or(0, String::len)
            }
            Self::Function {
                arguments,
                named,
                expected,
                ..
            } => {
                let expected = match expected {
                    Expected::Returns(value, _) => value.to_string().len(),
                    Expected::Raises(name) => name.len(),
                };
                arguments.to_string().len() + named.to_string().len() + expected
            }
        }
    }
}

/// What must come of a function.
#[derive(Clone, Debug, PartialEq)]
pub enum Expected {
    /// This value; numbers may be off by so much.
    Returns(Value, f64),
    /// An exception of this type.
    Raises(String),
}

/// What a submission changes in a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Its name in `plugins.toml`.
    pub repository: String,
    /// The commit that is changed.
    pub base: String,
    /// The commit that changes it; none for a patch that is in no repository.
    pub head: Option<String>,
    /// What is changed.
    pub files: Vec<FileDiff>,
    /// The other files of the repository, which are not handed in.
    pub others: Vec<String>,
}

/// Code, how it is to be judged, and within what.
#[derive(Clone, Debug, PartialEq)]
pub struct Submission {
    /// What it is written in.
    pub language: Language,
    /// The code.
    pub files: Vec<CodeFile>,
    /// Its tests.
    pub tests: Vec<CodeFile>,
    /// What of it is new, where it is the change of a repository; otherwise everything is.
    pub change: Option<Change>,
    /// Names of check runs that other tools report of the commit.
    pub reported: Vec<String>,
    /// The file that cases run.
    pub entry: Option<String>,
    /// Inputs with what must come of them.
    pub cases: Vec<Case>,
    /// Packages of rules that judge it.
    pub policies: Vec<String>,
    /// What is done.
    pub steps: Vec<StepKind>,
    /// Whether a step that failed is the last one.
    pub stop_early: bool,
    /// Where tests run.
    pub isolation: Isolation,
    /// Whether everything runs twice, at another moment and with other dice.
    pub detect_flaky: bool,
    /// Of each instance.
    pub budget: RunBudget,
}

impl Submission {
    /// The bytes of its texts, its cases, and of what is known of its change: what it takes in memory, about.
    #[must_use]
    pub fn text_bytes(&self) -> usize {
        let files = self.files.iter().chain(&self.tests);
        let texts: usize = files.map(|file| file.text.len()).sum();
        let cases: usize = self.cases.iter().map(|case| case.task.bytes()).sum();
        let Some(change) = &self.change else {
            return texts + cases;
        };
        let changed = change.files.iter().map(|file| {
            let lines = file.added.iter().map(|line| line.text.len());
            file.path.len() + lines.sum::<usize>()
        });
        let others: usize = change.others.iter().map(String::len).sum();
        texts + cases + others + changed.sum::<usize>()
    }
}

/// The budget of each instance unless a submission says otherwise.
#[must_use]
pub fn budget() -> RunBudget {
    RunBudget {
        time_ms: TIME_MS,
        cpu_ms: TIME_MS,
        memory_bytes: MEMORY_BYTES,
        output_bytes: OUTPUT_BYTES,
        // Nothing can be reached.
        http_requests: 0,
        // What protects comparisons of the code's objects is drawn anew for each instance.
        random_bytes: 16 * 1024 * 1024,
        files_bytes: 0,
        files_count: 0,
        // Two instances take turns in calls, each of which counts.
        host_calls: 10_000_000,
        ..RunBudget::default()
    }
}

const KEYS: [&str; 13] = [
    "language",
    "files",
    "tests",
    "patch",
    "reported",
    "policies",
    "entry",
    "cases",
    "steps",
    "stop_early",
    "isolation",
    "detect_flaky",
    "limits",
];

const PATCH_KEYS: [&str; 5] = ["repository", "base", "diff", "head", "paths"];

const CASE_KEYS: [&str; 12] = [
    "name",
    "arguments",
    "stdin",
    "stdout",
    "exact",
    "exit_code",
    "call",
    "path",
    "named",
    "returns",
    "raises",
    "tolerance",
];

const LIMIT_KEYS: [&str; 3] = ["time_ms", "memory_bytes", "output_bytes"];

/// Reads a submission. What its `patch` makes of a repository is given, as nothing here reads repositories.
///
/// # Errors
/// Every mistake, at most fifty.
pub fn read(value: &Value, changed: Option<Changed>) -> Result<Submission, Vec<Mistake>> {
    let mut reader = Reader::default();
    let submission = reader.submission(value, changed);
    match submission {
        Some(submission) if reader.mistakes.is_empty() => Ok(submission),
        _ => Err(reader.mistakes),
    }
}

/// What the `patch` of a submission says; none where there is none.
///
/// # Errors
/// Every mistake in it.
pub fn patch(value: &Value) -> Result<Option<Patch>, Vec<Mistake>> {
    let Some(object) = value
        .as_object()
        .filter(|object| object.contains_key("patch"))
    else {
        return Ok(None);
    };
    let mut reader = Reader::default();
    match reader.patch(object) {
        Some(patch) if reader.mistakes.is_empty() => Ok(Some(patch)),
        _ => Err(reader.mistakes),
    }
}

/// Whether a file is named like a test.
#[must_use]
pub fn is_test(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    let stem = name.split('.').next().unwrap_or(name);
    let parts: Vec<&str> = path.split('/').collect();
    stem.starts_with("test_")
        || stem.ends_with("_test")
        || name.contains(".test.")
        || name.contains(".spec.")
        || stem == "conftest"
        || parts[..parts.len() - 1]
            .iter()
            .any(|part| matches!(*part, "tests" | "test" | "__tests__"))
}

#[derive(Default)]
struct Reader {
    mistakes: Vec<Mistake>,
}

/// A part of a JSON pointer.
fn token(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

impl Reader {
    fn wrong(&mut self, pointer: &str, message: impl Into<String>) {
        if self.mistakes.len() < MISTAKES_MAX {
            self.mistakes.push(Mistake {
                pointer: pointer.to_owned(),
                message: message.into(),
            });
        }
    }

    fn unknown(&mut self, object: &Map<String, Value>, at: &str, keys: &[&str]) {
        for name in object.keys() {
            if !keys.contains(&name.as_str()) {
                self.wrong(
                    &format!("{at}/{}", token(name)),
                    format!("no such key; there are `{}`", keys.join("`, `")),
                );
            }
        }
    }

    fn submission(&mut self, value: &Value, changed: Option<Changed>) -> Option<Submission> {
        let Some(object) = value.as_object() else {
            self.wrong("", "a submission is a JSON object with `files`");
            return None;
        };
        self.unknown(object, "", &KEYS);
        let mut files = self.files(object, "files");
        let mut tests = self.files(object, "tests");
        let (mut change, mut changed_language) = (None, None);
        if let Some(changed) = changed {
            changed_language = Some(changed.language);
            for name in ["files", "tests"] {
                if object.contains_key(name) {
                    self.wrong(&format!("/{name}"), "the files are those of `patch`");
                }
            }
            (files, tests, change) = (changed.files, changed.tests, Some(changed.change));
        }
        let reported = self.reported(object, change.as_ref());
        // A change of texts that are no code is judged by the rules alone.
        if files.is_empty() && tests.is_empty() && change.is_none() && self.mistakes.is_empty() {
            self.wrong(
                "/files",
                "there is nothing to check; give each path its text",
            );
        }
        self.sizes(&files, &tests);
        for test in &tests {
            if files.iter().any(|file| file.path == test.path) {
                self.wrong(
                    &format!("/tests/{}", token(&test.path)),
                    "the same path is among `files`; one would hide the other",
                );
            }
        }
        let language = match (&change, changed_language) {
            (Some(_), Some(language)) if !object.contains_key("language") => Some(language),
            _ => self.language(object, &files, &tests),
        };
        let entry = self.entry(object, language, &files);
        let cases = self.cases(object, language, entry.as_deref(), &files);
        let policies = self.policies(object);
        let steps = self.steps(object);
        let flag = |reader: &mut Self, name: &str| match object.get(name) {
            None => false,
            Some(Value::Bool(value)) => *value,
            Some(_) => {
                reader.wrong(&format!("/{name}"), "this is `true` or `false`");
                false
            }
        };
        let stop_early = flag(self, "stop_early");
        let detect_flaky = flag(self, "detect_flaky");
        let isolation = match object.get("isolation").map(Value::as_str) {
            None | Some(Some("apart")) => Isolation::Apart,
            Some(Some("shared")) => Isolation::Shared,
            Some(_) => {
                self.wrong("/isolation", "this is `apart` or `shared`");
                Isolation::Apart
            }
        };
        let budget = self.budget(object);
        Some(Submission {
            language: language?,
            files,
            tests,
            change,
            reported,
            entry,
            cases,
            policies,
            steps,
            stop_early,
            isolation,
            detect_flaky,
            budget,
        })
    }

    fn files(&mut self, object: &Map<String, Value>, key: &str) -> Vec<CodeFile> {
        let files = match object.get(key) {
            None => return Vec::new(),
            Some(Value::Object(files)) => files,
            Some(_) => {
                self.wrong(
                    &format!("/{key}"),
                    "this is an object that gives each path its text",
                );
                return Vec::new();
            }
        };
        let mut read = Vec::with_capacity(files.len().min(FILES_MAX));
        for (path, text) in files {
            let pointer = format!("/{key}/{}", token(path));
            if let Some(why) = bad_path(path) {
                self.wrong(&pointer, why);
            }
            match text {
                Value::String(text) if text.contains('\0') => {
                    self.wrong(&pointer, "the text has a NUL character, so it is no source");
                }
                Value::String(text) => read.push(CodeFile {
                    path: path.clone(),
                    text: text.clone(),
                }),
                _ => self.wrong(&pointer, "the text of a file is a string"),
            }
        }
        read
    }

    fn sizes(&mut self, files: &[CodeFile], tests: &[CodeFile]) {
        let count = files.len() + tests.len();
        if count > FILES_MAX {
            self.wrong(
                "/files",
                format!("there are {count} files, {FILES_MAX} are allowed; hand in those that the tests need"),
            );
        }
        let bytes: usize = files.iter().chain(tests).map(|file| file.text.len()).sum();
        if bytes > TEXT_MAX_BYTES {
            self.wrong(
                "/files",
                format!("the files have {bytes} bytes together, {TEXT_MAX_BYTES} are allowed"),
            );
        }
        // A path that is a file and a folder at once is neither.
        let mut paths: Vec<&str> = files
            .iter()
            .chain(tests)
            .map(|file| file.path.as_str())
            .collect();
        paths.sort_unstable();
        for pair in paths.windows(2) {
            if pair[1]
                .strip_prefix(pair[0])
                .is_some_and(|rest| rest.starts_with('/'))
            {
                self.wrong(
                    &format!("/files/{}", token(pair[0])),
                    format!("it is a file, and `{}` makes a folder of it", pair[1]),
                );
            }
        }
    }

    fn language(
        &mut self,
        object: &Map<String, Value>,
        files: &[CodeFile],
        tests: &[CodeFile],
    ) -> Option<Language> {
        let known = "`python`, `javascript` or `typescript`";
        if let Some(value) = object.get("language") {
            let language = value.as_str().and_then(Language::named);
            if language.is_none() {
                self.wrong("/language", format!("the language is {known}"));
            }
            return language;
        }
        let mut found: BTreeMap<&str, Language> = BTreeMap::new();
        for file in files.iter().chain(tests) {
            if let Some(language) = Language::of_path(&file.path) {
                found.insert(language.as_str(), language);
            }
        }
        // TypeScript may import JavaScript.
        if found.contains_key("typescript") {
            found.remove("javascript");
        }
        let mut languages = found.into_values();
        match (languages.next(), languages.next()) {
            (Some(language), None) => Some(language),
            (None, _) => {
                if !(files.is_empty() && tests.is_empty()) {
                    self.wrong(
                        "/language",
                        format!("no file's ending names a language; say `language`: {known}"),
                    );
                }
                None
            }
            (Some(one), Some(other)) => {
                self.wrong(
                    "/language",
                    format!(
                        "there are files of {} and of {}; say which `language` the tests run",
                        one.as_str(),
                        other.as_str()
                    ),
                );
                None
            }
        }
    }

    fn entry(
        &mut self,
        object: &Map<String, Value>,
        language: Option<Language>,
        files: &[CodeFile],
    ) -> Option<String> {
        match object.get("entry") {
            None => {
                let mut code = files.iter().filter(|file| {
                    language.is_some_and(|language| {
                        Language::of_path(&file.path)
                            .is_some_and(|of| of.runner() == language.runner())
                    })
                });
                match (code.next(), code.next()) {
                    (Some(only), None) => Some(only.path.clone()),
                    _ => None,
                }
            }
            Some(Value::String(path)) if files.iter().any(|file| file.path == *path) => {
                Some(path.clone())
            }
            Some(_) => {
                self.wrong("/entry", "this is the path of one of `files`");
                None
            }
        }
    }

    fn reported(&mut self, object: &Map<String, Value>, change: Option<&Change>) -> Vec<String> {
        let names = match object.get("reported") {
            None => return Vec::new(),
            Some(Value::Array(names)) if names.len() <= REPORTED_MAX => names,
            Some(_) => {
                self.wrong(
                    "/reported",
                    format!("this is a list of at most {REPORTED_MAX} names of check runs"),
                );
                return Vec::new();
            }
        };
        if change.is_none_or(|change| change.head.is_none()) {
            self.wrong(
                "/reported",
                "tools report of commits; say `patch` with its `head`",
            );
        }
        let mut reported = Vec::new();
        for (index, name) in names.iter().enumerate() {
            match name.as_str() {
                Some(name) if !name.is_empty() && name.len() <= NAME_MAX_BYTES => {
                    reported.push(name.to_owned());
                }
                _ => self.wrong(
                    &format!("/reported/{index}"),
                    format!("a name has 1 to {NAME_MAX_BYTES} bytes"),
                ),
            }
        }
        reported
    }

    fn policies(&mut self, object: &Map<String, Value>) -> Vec<String> {
        let names = match object.get("policies") {
            None => return vec![PACKAGE.to_owned()],
            Some(Value::Array(names)) if (1..=POLICIES_MAX).contains(&names.len()) => names,
            Some(_) => {
                self.wrong(
                    "/policies",
                    format!("this is a list of 1 to {POLICIES_MAX} packages of rules"),
                );
                return Vec::new();
            }
        };
        let is_part = |part: &str| {
            !part.is_empty()
                && part
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        };
        let mut policies = Vec::new();
        for (index, name) in names.iter().enumerate() {
            match name.as_str() {
                Some(name) if name.len() <= NAME_MAX_BYTES && name.split('.').all(is_part) => {
                    policies.push(name.to_owned());
                }
                _ => self.wrong(
                    &format!("/policies/{index}"),
                    "a package is a name such as `github.commit`, without `data.`",
                ),
            }
        }
        policies
    }

    /// What `patch` says.
    fn patch(&mut self, object: &Map<String, Value>) -> Option<Patch> {
        let Some(patch) = object["patch"].as_object() else {
            self.wrong(
                "/patch",
                "this is an object with `repository`, and `diff` or `head`",
            );
            return None;
        };
        self.unknown(patch, "/patch", &PATCH_KEYS);
        let word = |reader: &mut Self, name: &str| match patch.get(name) {
            None => None,
            Some(Value::String(text)) if !text.is_empty() => Some(text.clone()),
            Some(_) => {
                reader.wrong(&format!("/patch/{name}"), "this is a text, and not empty");
                None
            }
        };
        let repository = word(self, "repository");
        if !patch.contains_key("repository") {
            self.wrong(
                "/patch/repository",
                "say which of `[repositories]` is changed",
            );
        }
        let base = word(self, "base");
        let to = match (word(self, "diff"), word(self, "head")) {
            (Some(diff), None) => Some(PatchTo::Diff(diff)),
            (None, Some(head)) => Some(PatchTo::Head(head)),
            (Some(_), Some(_)) => {
                self.wrong("/patch", "a change is a `diff` or a `head`, not both");
                None
            }
            (None, None) => {
                if !patch.contains_key("diff") && !patch.contains_key("head") {
                    self.wrong(
                        "/patch",
                        "say what changes: a `diff` in git's format, or a `head`",
                    );
                }
                None
            }
        };
        let mut paths = Vec::new();
        match patch.get("paths") {
            None => {}
            Some(Value::Array(list)) if !list.is_empty() && list.len() <= FILES_MAX => {
                for (index, path) in list.iter().enumerate() {
                    match path.as_str().map(|path| (path, bad_path(path))) {
                        Some((path, None)) => paths.push(path.to_owned()),
                        Some((_, Some(why))) => {
                            self.wrong(&format!("/patch/paths/{index}"), why);
                        }
                        None => {
                            self.wrong(&format!("/patch/paths/{index}"), "a path is a string");
                        }
                    }
                }
            }
            Some(_) => self.wrong("/patch/paths", "this is a list of files and folders"),
        }
        let language = object
            .get("language")
            .and_then(Value::as_str)
            .and_then(Language::named);
        Some(Patch {
            repository: repository?,
            base,
            to: to?,
            paths,
            language,
        })
    }

    fn steps(&mut self, object: &Map<String, Value>) -> Vec<StepKind> {
        let all = StepKind::ALL.to_vec();
        let known = StepKind::ALL.map(StepKind::as_str).join("`, `");
        let names = match object.get("steps") {
            None => return all,
            Some(Value::Array(names)) if !names.is_empty() => names,
            Some(_) => {
                self.wrong("/steps", format!("this is a list of some of `{known}`"));
                return all;
            }
        };
        let mut steps = Vec::new();
        for (index, name) in names.iter().enumerate() {
            let step = StepKind::ALL
                .into_iter()
                .find(|step| name.as_str() == Some(step.as_str()));
            match step {
                Some(step) if steps.contains(&step) => {
                    self.wrong(&format!("/steps/{index}"), "the step is named twice");
                }
                Some(step) => steps.push(step),
                None => self.wrong(
                    &format!("/steps/{index}"),
                    format!("no such step; there are `{known}`"),
                ),
            }
        }
        steps.sort_unstable();
        steps
    }

    fn number(
        &mut self,
        object: &Map<String, Value>,
        at: &str,
        name: &str,
        default: u64,
        range: (u64, u64),
    ) -> u64 {
        match object.get(name) {
            None => default,
            Some(value) => match value.as_u64() {
                Some(number) if (range.0..=range.1).contains(&number) => number,
                _ => {
                    self.wrong(
                        &format!("{at}/{name}"),
                        format!("this is a number from {} to {}", range.0, range.1),
                    );
                    default
                }
            },
        }
    }

    fn budget(&mut self, object: &Map<String, Value>) -> RunBudget {
        let mut budget = budget();
        let limits = match object.get("limits") {
            None => return budget,
            Some(Value::Object(limits)) => limits,
            Some(_) => {
                self.wrong("/limits", "this is an object");
                return budget;
            }
        };
        self.unknown(limits, "/limits", &LIMIT_KEYS);
        budget.time_ms = self.number(limits, "/limits", "time_ms", TIME_MS, (1, TIME_MAX_MS));
        budget.cpu_ms = budget.time_ms;
        budget.memory_bytes = self.number(
            limits,
            "/limits",
            "memory_bytes",
            MEMORY_BYTES,
            (1024 * 1024, MEMORY_MAX_BYTES),
        );
        budget.output_bytes = self.number(
            limits,
            "/limits",
            "output_bytes",
            OUTPUT_BYTES,
            (1024, 16 * 1024 * 1024),
        );
        budget
    }

    fn text(&mut self, object: &Map<String, Value>, at: &str, name: &str) -> Option<String> {
        match object.get(name)? {
            Value::String(text) if text.len() > STREAM_MAX_BYTES => {
                self.wrong(
                    &format!("{at}/{name}"),
                    format!(
                        "it has {} bytes, {STREAM_MAX_BYTES} are allowed",
                        text.len()
                    ),
                );
                None
            }
            Value::String(text) => Some(text.clone()),
            _ => {
                self.wrong(&format!("{at}/{name}"), "this is a string");
                None
            }
        }
    }

    fn cases(
        &mut self,
        object: &Map<String, Value>,
        language: Option<Language>,
        entry: Option<&str>,
        files: &[CodeFile],
    ) -> Vec<Case> {
        let list = match object.get("cases") {
            None => return Vec::new(),
            Some(Value::Array(list)) => list,
            Some(_) => {
                self.wrong("/cases", "this is a list");
                return Vec::new();
            }
        };
        if list.len() > CASES_MAX {
            self.wrong(
                "/cases",
                format!("there are {} cases, {CASES_MAX} are allowed", list.len()),
            );
            return Vec::new();
        }
        let mut cases: Vec<Case> = Vec::with_capacity(list.len());
        for (index, value) in list.iter().enumerate() {
            let at = format!("/cases/{index}");
            let Some(object) = value.as_object() else {
                self.wrong(&at, "a case is an object");
                continue;
            };
            self.unknown(object, &at, &CASE_KEYS);
            let Some(case) = self.case(object, &at, index, language, entry, files) else {
                continue;
            };
            if cases.iter().any(|other| other.name == case.name) {
                self.wrong(&format!("{at}/name"), "another case has this name");
            }
            cases.push(case);
        }
        cases
    }

    fn case(
        &mut self,
        object: &Map<String, Value>,
        at: &str,
        index: usize,
        language: Option<Language>,
        entry: Option<&str>,
        files: &[CodeFile],
    ) -> Option<Case> {
        let function = object.contains_key("call");
        let (here, others): (&str, &[&str]) = if function {
            (
                "a case with `call`",
                &["stdin", "stdout", "exact", "exit_code"],
            )
        } else {
            (
                "a case without `call`",
                &["path", "named", "returns", "raises", "tolerance"],
            )
        };
        for name in others {
            if object.contains_key(*name) {
                self.wrong(&format!("{at}/{name}"), format!("{here} has no `{name}`"));
            }
        }
        let path = match object.get("path") {
            None => entry.map(str::to_owned),
            Some(Value::String(path)) if files.iter().any(|file| file.path == *path) => {
                Some(path.clone())
            }
            Some(_) => {
                self.wrong(&format!("{at}/path"), "this is the path of one of `files`");
                return None;
            }
        };
        let Some(path) = path else {
            self.wrong(
                at,
                "which file it runs is not clear; say `entry` beside `files`",
            );
            return None;
        };
        let named = self.text(object, at, "name");
        if !function {
            let arguments = match object.get("arguments") {
                None => Vec::new(),
                Some(value) => match serde_json::from_value(value.clone()) {
                    Ok(arguments) => arguments,
                    Err(_) => {
                        self.wrong(
                            &format!("{at}/arguments"),
                            "the arguments of a program are a list of strings",
                        );
                        return None;
                    }
                },
            };
            let exact = match object.get("exact") {
                None => false,
                Some(Value::Bool(exact)) => *exact,
                Some(_) => {
                    self.wrong(&format!("{at}/exact"), "this is `true` or `false`");
                    false
                }
            };
            if !object.contains_key("stdout") && !object.contains_key("exit_code") {
                self.wrong(
                    at,
                    "a case says what must come of it: `stdout`, `exit_code`, or both",
                );
            }
            return Some(Case {
                name: named.unwrap_or_else(|| format!("case {}", index + 1)),
                task: CaseTask::Program {
                    arguments,
                    stdin: self.text(object, at, "stdin").unwrap_or_default(),
                    stdout: self.text(object, at, "stdout"),
                    exact,
                    exit_code: u8::try_from(self.number(object, at, "exit_code", 0, (0, 255)))
                        .unwrap_or(0),
                },
            });
        }
        let Some(name) = self
            .text(object, at, "call")
            .filter(|name| !name.is_empty())
        else {
            self.wrong(&format!("{at}/call"), "this is the name of a function");
            return None;
        };
        let arguments = match object.get("arguments") {
            None => Value::Array(Vec::new()),
            Some(value @ Value::Array(_)) => value.clone(),
            Some(_) => {
                self.wrong(&format!("{at}/arguments"), "the arguments are a list");
                return None;
            }
        };
        let keywords = match object.get("named") {
            None => Value::Object(Map::new()),
            Some(Value::Object(_)) if language != Some(Language::Python) => {
                self.wrong(
                    &format!("{at}/named"),
                    "the language has no named arguments; hand an object over in `arguments`",
                );
                return None;
            }
            Some(value @ Value::Object(_)) => value.clone(),
            Some(_) => {
                self.wrong(&format!("{at}/named"), "the named arguments are an object");
                return None;
            }
        };
        let tolerance = match object.get("tolerance").map(Value::as_f64) {
            None => 0.0,
            Some(Some(tolerance)) if tolerance >= 0.0 => tolerance,
            Some(_) => {
                self.wrong(&format!("{at}/tolerance"), "this is a number from 0");
                0.0
            }
        };
        let expected = match (object.get("returns"), object.get("raises")) {
            (Some(value), None) => {
                if let Some(number) = inexact(value) {
                    self.wrong(
                        &format!("{at}/returns"),
                        format!("{number} cannot be compared exactly; have the function return a string of it"),
                    );
                }
                Expected::Returns(value.clone(), tolerance)
            }
            (None, Some(Value::String(name))) if !name.is_empty() => Expected::Raises(name.clone()),
            (None, Some(_)) => {
                self.wrong(&format!("{at}/raises"), "this is the name of a type");
                return None;
            }
            (None, None) | (Some(_), Some(_)) => {
                self.wrong(at, "a case with `call` has either `returns` or `raises`");
                return None;
            }
        };
        Some(Case {
            name: named.unwrap_or_else(|| format!("case {}", index + 1)),
            task: CaseTask::Function {
                path,
                name,
                arguments,
                named: keywords,
                expected,
            },
        })
    }
}

/// A whole number that JSON readers round: beyond 64 bits it is kept as a float.
fn inexact(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) if number.is_f64() => number
            .as_f64()
            .filter(|float| float.abs() >= 1.8e19 && float.fract() == 0.0),
        Value::Array(items) => items.iter().find_map(inexact),
        Value::Object(object) => object.values().find_map(inexact),
        _ => None,
    }
}

/// Why a path is none that a file may have.
pub(super) fn bad_path(path: &str) -> Option<String> {
    let why = if path.is_empty() {
        "a path is not empty"
    } else if path.len() > PATH_MAX_BYTES {
        return Some(format!("a path has at most {PATH_MAX_BYTES} bytes"));
    } else if path.chars().any(char::is_control) {
        "a path has no control characters"
    } else if path.contains('\\') {
        "the parts of a path are joined by `/`"
    } else if path.starts_with('/') || path.get(1..2) == Some(":") {
        "a path is relative, such as `package/module.py`"
    } else if path.split('/').any(|part| matches!(part, "" | "." | "..")) {
        "a path leads down only: no part of it is empty, `.` or `..`"
    } else {
        return None;
    };
    Some(why.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn mistakes(value: Value) -> Vec<String> {
        match read(&value, None) {
            Ok(_) => Vec::new(),
            Err(mistakes) => mistakes
                .into_iter()
                .map(|mistake| format!("{}: {}", mistake.pointer, mistake.message))
                .collect(),
        }
    }

    #[test]
    fn tests_are_known_by_their_names() {
        for path in [
            "test_a.py",
            "a_test.py",
            "pkg/tests/b.py",
            "a.test.js",
            "x/a.spec.ts",
            "conftest.py",
        ] {
            assert!(is_test(path), "{path}");
        }
        for path in [
            "a.py",
            "testing.py",
            "contest.py",
            "latest/a.js",
            "tests.py",
        ] {
            assert!(!is_test(path), "{path}");
        }
    }

    #[test]
    fn what_is_left_out_has_a_default() {
        let submission = read(&json!({ "files": { "a.py": "x = 1" } }), None).unwrap();
        assert_eq!(submission.language, Language::Python);
        assert_eq!(submission.entry.as_deref(), Some("a.py"));
        assert_eq!(submission.steps, StepKind::ALL);
        assert_eq!(submission.isolation, Isolation::Apart);
        assert_eq!(submission.budget, budget());
    }

    #[test]
    fn all_mistakes_are_told_at_once() {
        let told = mistakes(json!({
            "langauge": "python",
            "files": { "../a.py": "", "/b.py": "", "c\\d.py": "", "e.py": "a\0b", "f.py": 3, "g": "", "g/h.py": "" },
            "tests": { "e.py": "" },
            "steps": ["policy", "policy", "luck"],
            "isolation": "none",
            "stop_early": 1,
            "limits": { "time_ms": 0, "memory": 3 },
            "cases": [ { "call": "f" }, { "stdin": 3 }, 4, { "returns": 3 } ],
        }));
        for expected in [
            "/langauge: no such key",
            "/files/..~1a.py: a path leads down only",
            "/files/~1b.py: a path is relative",
            "/files/c\\d.py: the parts of a path",
            "/files/e.py: the text has a NUL",
            "/files/f.py: the text of a file is a string",
            "/files/g: it is a file, and `g/h.py`",
            "/steps/1: the step is named twice",
            "/steps/2: no such step",
            "/isolation: this is",
            "/stop_early: this is",
            "/limits/time_ms: this is a number from 1 to 120000",
            "/limits/memory: no such key",
            "/cases/2: a case is an object",
        ] {
            assert!(
                told.iter().any(|mistake| mistake.starts_with(expected)),
                "{expected} is not among {told:#?}"
            );
        }
    }

    #[test]
    fn contradictions_are_told() {
        let check = |value: Value, expected: &str| {
            let told = mistakes(value);
            assert!(
                told.iter().any(|mistake| mistake.contains(expected)),
                "{expected} is not among {told:?}"
            );
        };
        check(json!({}), "there is nothing to check");
        check(json!([]), "a submission is a JSON object");
        check(json!({ "files": { "a.txt": "" } }), "no file's ending");
        check(
            json!({ "files": { "a.py": "", "b.js": "" } }),
            "files of javascript and of python",
        );
        check(
            json!({ "language": "cobol", "files": { "a.cob": "" } }),
            "the language is",
        );
        check(
            json!({ "files": { "a.py": "" }, "tests": { "a.py": "" } }),
            "one would hide the other",
        );
        check(
            json!({ "files": { "a.py": "", "b.py": "" }, "cases": [ { "exit_code": 0 } ] }),
            "which file it runs is not clear",
        );
        check(
            json!({ "files": { "a.py": "" }, "cases": [ { "call": "f", "returns": 1, "raises": "E" } ] }),
            "either `returns` or `raises`",
        );
        check(
            json!({ "files": { "a.py": "" }, "cases": [ { "call": "f", "returns": 1, "stdin": "" } ] }),
            "has no `stdin`",
        );
        check(
            json!({ "files": { "a.js": "" }, "cases": [ { "call": "f", "returns": 1, "named": {} } ] }),
            "no named arguments",
        );
        check(
            json!({ "files": { "a.py": "" }, "cases": [ { "name": "x", "exit_code": 0 }, { "name": "x", "exit_code": 0 } ] }),
            "another case has this name",
        );
        check(
            serde_json::from_str(r#"{ "files": { "a.py": "" }, "cases": [ { "call": "f", "returns": [100000000000000000000] } ] }"#).unwrap(),
            "cannot be compared exactly",
        );
        let files: Map<String, Value> = (0..10_000)
            .map(|at| (format!("f{at}.py"), json!("")))
            .collect();
        check(json!({ "files": files }), "10000 files, 1000 are allowed");
        check(
            json!({ "files": { "a.py": "x".repeat(TEXT_MAX_BYTES + 1) } }),
            "are allowed",
        );
    }
}
