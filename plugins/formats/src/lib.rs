//! Data that is parsed with the place of each of its parts: text becomes problems by byte offset, and a tree where a later check wants one.
//!
//! No component by itself: plugins that judge files share it, so that a file is judged the same wherever it is looked at.

pub mod json;
pub mod problem;
pub mod toml;
pub mod tree;
pub mod yaml;
