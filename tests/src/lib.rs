//! What the suites share: the real program on a folder of its own, and defects to plant.

pub mod defects;
pub mod host;
pub mod soak;
