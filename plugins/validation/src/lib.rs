//! The validation agent: turns the files below granted directories into findings, each with file, line, column, rule and help.
//!
//! It reads and never writes. A rule's name is stable. What only an operator can know (which files are broken on purpose, which schema a file
//! obeys) comes from the settings; see `manifest.json`. The crate does not know of the host: directories are read through `std::fs`, so the same
//! code runs natively under test.

mod check;
mod checksum;
mod format;
mod links;
mod schema;
mod settings;
mod text;
mod walk;

pub(crate) use formats::{problem, tree};

use infinity_sdk::prelude::*;

infinity_sdk::agent!(run, manifest = "../manifest.json");

/// Runs the agent once: checks the roots of the input, or else of the settings.
///
/// # Errors
/// [`Failure::InvalidInput`] when input, settings, a schema or a root cannot be used.
pub fn run(invocation: Invocation) -> Result<Report, Failure> {
    let settings = settings::Settings::load(&invocation.input)?;
    check::check(&settings)?.into_report()
}
