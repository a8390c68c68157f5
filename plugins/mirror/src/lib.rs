//! Copies of files on a branch: which files they are, where each goes, and what differs. `mirror-sync` makes them, `watchtower` looks whether they are as they should be.

mod plan;
mod source;

pub use plan::{Change, Origin, changes};
pub use source::{Collected, Source, Target, collect, present};
