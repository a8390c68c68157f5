//! JavaScript and TypeScript: what an engine would refuse, names that mean nothing, imports that find nothing, and habits that go wrong.
//!
//! A file with a syntax error is only told of that: what the parser made of the rest is a guess.

mod danger;
mod globals;
mod habits;
mod imports;
mod names;

use crate::depth;
use crate::project::{self, Project};
use formats::problem::{Problems, excerpt};
use oxc_allocator::Allocator;
use oxc_ast::ast::Program;
use oxc_diagnostics::{OxcDiagnostic, Severity};
use oxc_parser::{ParseOptions, Parser};
use oxc_semantic::{Semantic, SemanticBuilder};
use oxc_span::SourceType;

/// Syntax errors that are listed: the later ones mostly follow from the first.
const MAX_ERRORS: usize = 50;

/// A file that was read without an error, as the rules see it.
pub(crate) struct Source<'s, 'a> {
    pub(crate) path: &'s str,
    pub(crate) text: &'s str,
    pub(crate) semantic: &'s Semantic<'a>,
    /// Whether it imports or exports, and so has names of its own at the top.
    pub(crate) is_module: bool,
}

/// Checks a file.
pub(crate) fn check(path: &str, text: &str, project: &Project, problems: &mut Problems) {
    if depth::check_javascript(text, problems) {
        return;
    }
    let mut errors = Vec::new();
    // What a name promises may not be what it is: scripts that return early and old programs are read as Node reads them.
    for (at, source_type) in source_types(path).into_iter().enumerate() {
        let allocator = Allocator::default();
        let parsed = Parser::new(&allocator, text, source_type)
            .with_options(ParseOptions {
                parse_regular_expression: true,
                allow_return_outside_function: source_type.is_commonjs(),
                ..ParseOptions::default()
            })
            .parse();
        let program: &Program<'_> = allocator.alloc(parsed.program);
        let mut found: Vec<OxcDiagnostic> = parsed.diagnostics.into_vec();
        found.retain(|it| it.severity == Severity::Error);
        if found.is_empty() && !parsed.panicked {
            let built = SemanticBuilder::new()
                .with_build_nodes(true)
                .with_check_syntax_error(true)
                .build(program);
            found = built.diagnostics.into_vec();
            found.retain(|it| it.severity == Severity::Error);
            if found.is_empty() {
                let source = Source {
                    path,
                    text,
                    semantic: &built.semantic,
                    is_module: program.source_type.is_module(),
                };
                // What is worst comes first: problems beyond a bound are only counted.
                names::check_defined(&source, problems);
                imports::check(&source, project, problems);
                names::check_used(&source, problems);
                danger::check(&source, problems);
                habits::check(&source, problems);
                return;
            }
        }
        if at == 0 {
            errors = found;
        }
    }
    report(&errors, problems);
}

fn source_types(path: &str) -> Vec<SourceType> {
    let name = project::name(path).to_ascii_lowercase();
    let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
    match ending {
        "mjs" => vec![SourceType::mjs().with_jsx(true)],
        "cjs" => vec![SourceType::cjs().with_jsx(true)],
        "js" | "jsx" => vec![
            SourceType::unambiguous().with_jsx(true),
            SourceType::cjs().with_jsx(true),
        ],
        _ if name.ends_with(".d.ts") || name.ends_with(".d.mts") || name.ends_with(".d.cts") => {
            vec![SourceType::d_ts()]
        }
        "tsx" => vec![SourceType::tsx()],
        "cts" => vec![SourceType::ts().with_commonjs(true)],
        _ => vec![SourceType::ts()],
    }
}

fn report(errors: &[OxcDiagnostic], problems: &mut Problems) {
    for error in errors.iter().take(MAX_ERRORS) {
        let offset = error.labels.first().map(|label| label.offset() as usize);
        let help = error.help.as_deref().map(excerpt).unwrap_or_else(|| {
            "correct the syntax; the rest of the file is looked at when there is no such error"
                .to_owned()
        });
        problems.error("javascript/syntax", offset, excerpt(&error.message), help);
    }
    if errors.len() > MAX_ERRORS {
        problems.note(
            "javascript/syntax",
            None,
            format!(
                "{} more syntax errors are not listed",
                errors.len() - MAX_ERRORS
            ),
            "",
        );
    }
    if errors.is_empty() {
        problems.error(
            "javascript/syntax",
            0,
            "the file cannot be read",
            "correct the syntax",
        );
    }
}
