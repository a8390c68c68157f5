//! Turns the findings of a run into a SARIF 2.1.0 log, which code hosts and
//! editors read.
//!
//! Invariants: the log is valid against the SARIF schema whatever the findings
//! hold; each rule is listed once; URIs are relative to their repository,
//! percent-encoded, and never lead out of it. This module does not know of
//! runs, reports or WIT types: the caller maps them to [`SarifInput`].

use std::collections::HashMap;

use serde_json::{Map, Value, json};

/// Where the schema of the log is published.
const SCHEMA: &str =
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";

/// How bad a finding is, in SARIF's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    Note,
    Warning,
    Error,
}

impl Level {
    fn as_str(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// Where a finding is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// The repository that `path` is in, if it is in one.
    pub repository: Option<String>,
    /// Relative, with `/` between its parts.
    pub path: String,
    /// From 1; 0 is taken as unknown.
    pub line: Option<u32>,
    /// In characters, from 1; 0, or a column without a line, is taken as unknown.
    pub column: Option<u32>,
}

/// One problem found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// A stable name of the rule, such as `json/duplicate-key`.
    pub rule: String,
    pub level: Level,
    pub message: String,
    pub location: Option<Location>,
    /// What to do about it.
    pub help: Option<String>,
}

/// One run of a tool and what it found.
#[derive(Clone, Copy, Debug)]
pub struct SarifInput<'a> {
    /// The plugin's name.
    pub tool: &'a str,
    /// The plugin's version, if it has one.
    pub version: Option<&'a str>,
    pub findings: &'a [Finding],
    /// Whether the tool ran to its end. Findings do not make a run fail in this sense.
    pub success: bool,
}

/// The SARIF log of one run.
pub fn to_sarif(run: &SarifInput<'_>) -> Value {
    let mut rules: Vec<Map<String, Value>> = Vec::new();
    let mut rule_to_index: HashMap<&str, usize> = HashMap::new();
    let mut rule_to_help: HashMap<&str, &str> = HashMap::new();
    let mut bases = Map::new();
    let mut results = Vec::with_capacity(run.findings.len());

    for finding in run.findings {
        let index = *rule_to_index.entry(&finding.rule).or_insert_with(|| {
            let mut rule = Map::new();
            rule.insert("id".into(), json!(finding.rule));
            rules.push(rule);
            rules.len() - 1
        });
        let mut result = Map::new();
        result.insert("ruleId".into(), json!(finding.rule));
        result.insert("ruleIndex".into(), json!(index));
        result.insert("level".into(), json!(finding.level.as_str()));
        result.insert("message".into(), json!({ "text": finding.message }));
        if let Some(help) = &finding.help {
            // A rule has one help text, the first; a finding with another one carries it itself.
            let first = *rule_to_help.entry(&finding.rule).or_insert(help);
            if first == help {
                rules[index].insert("help".into(), json!({ "text": help }));
            } else {
                result.insert("properties".into(), json!({ "help": help }));
            }
        }
        if let Some(location) = &finding.location {
            if let Some(repository) = &location.repository {
                bases.entry(repository.clone()).or_insert_with(|| {
                    json!({
                        "description": { "text": format!("The root of the repository {repository}") }
                    })
                });
            }
            result.insert("locations".into(), json!([location_value(location)]));
        }
        results.push(Value::Object(result));
    }

    let mut driver = Map::new();
    driver.insert("name".into(), json!(run.tool));
    if let Some(version) = run.version {
        driver.insert("version".into(), json!(version));
    }
    driver.insert("rules".into(), json!(rules));
    let mut sarif_run = Map::new();
    sarif_run.insert("tool".into(), json!({ "driver": driver }));
    sarif_run.insert(
        "invocations".into(),
        json!([{ "executionSuccessful": run.success }]),
    );
    if !bases.is_empty() {
        sarif_run.insert("originalUriBaseIds".into(), Value::Object(bases));
    }
    sarif_run.insert("columnKind".into(), json!("unicodeCodePoints"));
    sarif_run.insert("results".into(), Value::Array(results));
    json!({ "$schema": SCHEMA, "version": "2.1.0", "runs": [sarif_run] })
}

fn location_value(location: &Location) -> Value {
    let mut artifact = Map::new();
    artifact.insert("uri".into(), json!(relative_uri(&location.path)));
    if let Some(repository) = &location.repository {
        artifact.insert("uriBaseId".into(), json!(repository));
    }
    let mut physical = Map::new();
    physical.insert("artifactLocation".into(), Value::Object(artifact));
    if let Some(line) = location.line.filter(|line| *line > 0) {
        let mut region = Map::new();
        region.insert("startLine".into(), json!(line));
        if let Some(column) = location.column.filter(|column| *column > 0) {
            region.insert("startColumn".into(), json!(column));
        }
        physical.insert("region".into(), Value::Object(region));
    }
    json!({ "physicalLocation": physical })
}

/// A path as a relative URI: unreserved characters and `/` stay, every other
/// byte is encoded, so that nothing can be read as a scheme, a host, a query or
/// a fragment. Parts that are empty, `.` or `..` are left out.
fn relative_uri(path: &str) -> String {
    let mut uri = String::with_capacity(path.len());
    for part in path
        .split('/')
        .filter(|part| !matches!(*part, "" | "." | ".."))
    {
        if !uri.is_empty() {
            uri.push('/');
        }
        for byte in part.bytes() {
            if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
                uri.push(char::from(byte));
            } else {
                uri.push_str(&format!("%{byte:02X}"));
            }
        }
    }
    uri
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(rule: &str, location: Option<Location>, help: Option<&str>) -> Finding {
        Finding {
            rule: rule.into(),
            level: Level::Warning,
            message: "the key `a` is there twice".into(),
            location,
            help: help.map(Into::into),
        }
    }

    fn at(
        repository: Option<&str>,
        path: &str,
        line: Option<u32>,
        column: Option<u32>,
    ) -> Location {
        Location {
            repository: repository.map(Into::into),
            path: path.into(),
            line,
            column,
        }
    }

    /// The log of these findings, after it was found valid.
    fn valid(findings: &[Finding], success: bool) -> Value {
        let schema: Value =
            serde_json::from_str(include_str!("../../tests/api/sarif-schema-2.1.0.json")).unwrap();
        let validator = jsonschema::validator_for(&schema).unwrap();
        let log = to_sarif(&SarifInput {
            tool: "validation",
            version: Some("0.1.0"),
            findings,
            success,
        });
        let mistakes: Vec<String> = validator
            .iter_errors(&log)
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert!(mistakes.is_empty(), "{mistakes:#?}\n{log:#}");
        log
    }

    #[test]
    fn the_schema_refuses_a_log_that_is_wrong() {
        let schema: Value =
            serde_json::from_str(include_str!("../../tests/api/sarif-schema-2.1.0.json")).unwrap();
        let mut log = valid(&[finding("a", None, None)], true);
        log["runs"][0]["results"][0]["level"] = json!("bad");
        assert!(!jsonschema::is_valid(&schema, &log));
    }

    #[test]
    fn a_run_without_findings_is_a_log_without_results() {
        let log = valid(&[], false);
        assert_eq!(log["runs"][0]["results"], json!([]));
        assert_eq!(
            log["runs"][0]["invocations"][0]["executionSuccessful"],
            json!(false)
        );
        assert_eq!(
            log["runs"][0]["tool"]["driver"]["name"],
            json!("validation")
        );
    }

    #[test]
    fn rules_are_listed_once_and_results_point_to_them() {
        let log = valid(
            &[
                finding("a", None, None),
                finding("b", None, Some("help of b")),
                finding("a", None, Some("help of a")),
                finding("a", None, Some("another help")),
            ],
            true,
        );
        let run = &log["runs"][0];
        assert_eq!(
            run["tool"]["driver"]["rules"],
            json!([
                { "id": "a", "help": { "text": "help of a" } },
                { "id": "b", "help": { "text": "help of b" } },
            ])
        );
        let indexes: Vec<&Value> = run["results"]
            .as_array()
            .unwrap()
            .iter()
            .map(|result| &result["ruleIndex"])
            .collect();
        assert_eq!(indexes, [0, 1, 0, 0]);
        assert_eq!(
            run["results"][3]["properties"]["help"],
            json!("another help")
        );
    }

    #[test]
    fn locations_are_relative_to_their_repository() {
        let log = valid(
            &[
                finding(
                    "a",
                    Some(at(Some("ops"), "dir/file.json", Some(3), Some(7))),
                    None,
                ),
                finding("a", Some(at(None, "a", Some(0), Some(7))), None),
                finding("a", Some(at(Some("docs"), "a", Some(2), Some(0))), None),
            ],
            true,
        );
        let run = &log["runs"][0];
        assert_eq!(run["columnKind"], json!("unicodeCodePoints"));
        let bases: Vec<&String> = run["originalUriBaseIds"]
            .as_object()
            .unwrap()
            .keys()
            .collect();
        assert_eq!(bases, ["docs", "ops"]);
        let physical = |index: usize| &run["results"][index]["locations"][0]["physicalLocation"];
        assert_eq!(
            *physical(0),
            json!({
                "artifactLocation": { "uri": "dir/file.json", "uriBaseId": "ops" },
                "region": { "startLine": 3, "startColumn": 7 },
            })
        );
        assert_eq!(*physical(1), json!({ "artifactLocation": { "uri": "a" } }));
        assert_eq!(physical(2)["region"], json!({ "startLine": 2 }));
    }

    #[test]
    fn odd_paths_stay_relative_uris() {
        let check = |path: &str, uri: &str| {
            assert_eq!(relative_uri(path), uri);
            valid(
                &[finding("a", Some(at(Some("ops"), path, None, None)), None)],
                true,
            );
        };
        check("a b/ü#?.md", "a%20b/%C3%BC%23%3F.md");
        check("javascript:alert(1)", "javascript%3Aalert%281%29");
        check("//example.org/x", "example.org/x");
        check("../../etc/./passwd", "etc/passwd");
        check("100%", "100%25");
        check("new\nline\\", "new%0Aline%5C");
        check("", "");
    }

    #[test]
    fn any_text_gives_a_valid_log() {
        let mut odd = finding(
            "",
            Some(at(Some(""), "\0", Some(u32::MAX), Some(u32::MAX))),
            Some(""),
        );
        odd.message = String::new();
        odd.level = Level::Error;
        let mut note = finding("[a](b) {0}", None, Some("\u{1b}[31m"));
        note.level = Level::Note;
        valid(&[odd, note], true);
    }
}
