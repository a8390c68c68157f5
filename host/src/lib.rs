//! Infinity runs automation agents that nobody has to trust. Start reading at [`app`], which joins the stages.

pub mod forge;
pub mod model;
pub mod sandbox;
