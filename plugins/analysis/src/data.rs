//! JSON, YAML and TOML, by the parsers that the validation agent judges them with.

use formats::problem::{Level, Problems};
use formats::{json, toml, yaml};

/// What a data file is read as.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Format {
    Json,
    Yaml,
    Toml,
}

impl Format {
    /// The rule for text that no parser would get to see.
    pub(crate) const fn syntax_rule(self) -> &'static str {
        match self {
            Self::Json => "json/syntax",
            Self::Yaml => "yaml/syntax",
            Self::Toml => "toml/syntax",
        }
    }
}

/// Checks a document. The parsers bound their nesting themselves.
pub(crate) fn check(format: Format, path: &str, text: &str, problems: &mut Problems) {
    let mut found = Problems::default();
    match format {
        Format::Json if json::is_commented_json(path) => return,
        Format::Json => _ = json::check(text, false, &mut found),
        Format::Yaml => _ = yaml::check(text, false, &mut found),
        Format::Toml => _ = toml::check(text, false, &mut found),
    }
    let (list, omitted) = found.into_parts();
    for problem in list {
        // What stands behind the semicolon is about the settings of the validation agent.
        let help = problem
            .help
            .split("; ")
            .next()
            .unwrap_or_default()
            .to_owned();
        problems.add(
            problem.level,
            problem.rule,
            problem.offset,
            problem.message,
            help,
        );
    }
    for (rule, _, count) in omitted {
        problems.add(
            Level::Note,
            rule,
            None,
            format!("{count} more findings of this rule are not listed"),
            "",
        );
    }
}
