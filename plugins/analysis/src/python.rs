//! Python 3.14: what its compiler would refuse, names that mean nothing, imports that find nothing, and habits that go wrong.
//!
//! A file with a syntax error is only told of that: what the parser made of the rest is a guess.

mod danger;
mod habits;
mod imports;
mod names;
mod scope;
mod syntax;

use crate::depth;
use crate::project::Project;
use formats::problem::Problems;

/// The minor version whose builtins and standard library are known to be there.
const MINOR_VERSION: u8 = 14;

/// Checks a module.
pub(crate) fn check(path: &str, text: &str, project: &Project, problems: &mut Problems) {
    if depth::check_python(text, problems) {
        return;
    }
    let Some(body) = syntax::parse(path, text, problems) else {
        return;
    };
    let model = scope::build(path, &body);
    syntax::check_nonlocals(&model, problems);
    if !problems.is_empty() {
        return;
    }
    // What is worst comes first: problems beyond a bound are only counted.
    names::check_defined(path, &model, problems);
    imports::check(path, &model, project, problems);
    names::check_used(path, text, &model, problems);
    danger::check(&body, &model, problems);
    habits::check(path, text, &body, problems);
}
