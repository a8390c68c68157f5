//! What the suites share: the real program on a folder of its own, and defects to plant.

pub mod authenticator;
pub mod collector;
mod compiled;
pub mod defects;
mod git;
pub mod github;
pub mod host;
pub mod identity;
pub mod soak;
pub mod vault;

pub use git::git;
