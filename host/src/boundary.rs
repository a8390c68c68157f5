//! Places at which the host can be made to die as by `kill -9`, for tests of what it finds when it is back.
//!
//! `INFINITY_DIE_AT=NAME` in the environment names one of [`NAMES`]; `NAME:3` dies at the third time. Without the variable nothing is done here. It is no way to do harm: whoever sets a process's
//! environment can kill it.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// The variable.
pub const VARIABLE: &str = "INFINITY_DIE_AT";

/// An effect's way, in order: its run ended and it is on the disk; it was judged and that is not on the disk; it is on the disk that it may be applied; that it is being applied; what it writes
/// is written and no branch moved; it is done and that is not on the disk; that it is done is on the disk.
pub const NAMES: [&str; 7] = [
    "effect.proposed",
    "effect.judged",
    "effect.admitted",
    "effect.applying",
    "effect.written",
    "effect.done",
    "effect.applied",
];

/// The name and how often it is still to be passed.
static AT: OnceLock<Option<(String, AtomicU32)>> = OnceLock::new();

/// The host is at a place.
pub(crate) fn at(name: &str) {
    let at = AT.get_or_init(|| {
        let written = std::env::var(VARIABLE).ok()?;
        let (name, times) = match written.split_once(':') {
            Some((name, times)) => (name, times.parse().ok()?),
            None => (written.as_str(), 1),
        };
        NAMES
            .contains(&name)
            .then(|| (name.to_owned(), AtomicU32::new(times)))
    });
    if let Some((wanted, left)) = at
        && wanted == name
        && left.fetch_sub(1, Ordering::Relaxed) == 1
    {
        // It fails for nobody's own process.
        let _ =
            rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    }
}
