//! Hostile guests against the real program: each attack runs over HTTP in a host that is shared by all tests, and after each one the same oracle looks whether
//! the host, its other agents and its records are as they should be.
//!
//! Tests are named after the attacks. They take turns, whatever number of threads runs them, and write what they measured to standard error. The attacks are in
//! the component `test-guests`; nothing here knows how the host contains them.

mod components;
mod coverage;
mod cpu;
mod files;
mod lifted;
mod memory;
mod network;
mod output;
mod server;
mod soak;
mod state;
mod suite;
mod zz_table;
