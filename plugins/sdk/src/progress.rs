//! How far a run has got, for people who watch.

use crate::host::on_host;

/// Says that `done` of `total` steps are over and what comes next.
pub fn report(done: u64, total: Option<u64>, message: &str) {
    on_host!(
        wasm => crate::bindings::infinity::agent::progress::report(done, total, message),
        native => |host| host.progress.push((done, total, message.to_owned()))
    );
}
