//! Infinity runs automation agents that nobody has to trust. Start reading at [`app`], which joins the stages.

pub mod access;
pub mod api;
pub mod app;
pub mod audit;
pub mod boundary;
pub mod checks;
pub mod cli;
pub mod commands;
pub mod config;
pub mod delivery;
pub mod diagnostics;
pub mod effects;
pub mod forge;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
pub mod health;
pub mod holds;
pub mod kill;
pub mod launcher;
pub mod logging;
pub mod metrics;
pub mod model;
pub mod notify;
pub mod observers;
pub mod pipelines;
pub mod registry;
pub mod retry;
pub mod runtime;
pub mod sandbox;
pub mod sarif;
pub mod schedule;
pub mod store;
pub mod timetable;
pub mod tls;
pub mod topics;
pub mod words;
