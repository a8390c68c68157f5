//! Drops calls that were cancelled.
//!
//! A guest that is suspended is unwound by wasmtime as by a trap, with a backtrace, which takes many milliseconds where the component has debugging information. When hundreds are cancelled
//! at once those that still run must not wait for that. So one is dropped where it stands, and what comes meanwhile by a thread that ends when nothing is left.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, PoisonError};
use tokio::runtime::Handle;

/// Calls that wait to be dropped: as many as there can be in the sandbox. Further ones are dropped where they stand.
const WAITING_MAX: usize = 1_000;

type Call = Box<dyn Any + Send>;

struct Calls {
    /// Whether somebody drops some.
    busy: bool,
    waiting: Vec<Call>,
}

static CALLS: Mutex<Calls> = Mutex::new(Calls {
    busy: false,
    waiting: Vec::new(),
});

/// Drops a call, now or as soon as those before it are dropped. It is not polled again in any case.
pub(super) fn later(call: impl Send + 'static) {
    let call: Call = Box::new(call);
    {
        let mut calls = CALLS.lock().unwrap_or_else(PoisonError::into_inner);
        if calls.busy && calls.waiting.len() < WAITING_MAX {
            calls.waiting.push(call);
            return;
        }
        if calls.busy {
            drop(calls);
            drop(call);
            return;
        }
        calls.busy = true;
    }
    let Some(waiting) = dropped(vec![call]) else {
        return;
    };
    let runtime = Handle::try_current().ok();
    let thread = std::thread::Builder::new().name("discard".into());
    let started = thread.spawn(move || {
        // What is dropped may end tasks of its own.
        let _inside = runtime.as_ref().map(Handle::enter);
        let mut calls = waiting;
        while let Some(more) = dropped(calls) {
            calls = more;
        }
    });
    if started.is_err() {
        // Those were dropped with the thread that there is none of.
        let mut calls = CALLS.lock().unwrap_or_else(PoisonError::into_inner);
        calls.busy = false;
    }
}

/// Drops calls and gives those that came meanwhile; none when nobody is needed any more.
fn dropped(calls: Vec<Call>) -> Option<Vec<Call>> {
    for call in calls {
        // A panic of one is no reason to keep all others.
        if catch_unwind(AssertUnwindSafe(|| drop(call))).is_err() {
            tracing::error!("a call that was cancelled panicked as it was dropped");
        }
    }
    let mut calls = CALLS.lock().unwrap_or_else(PoisonError::into_inner);
    if calls.waiting.is_empty() {
        calls.busy = false;
        return None;
    }
    Some(std::mem::take(&mut calls.waiting))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::{Duration, Instant};

    struct Slow(Arc<AtomicUsize>, bool);

    impl Drop for Slow {
        fn drop(&mut self) {
            std::thread::sleep(Duration::from_millis(5));
            self.0.fetch_add(1, Ordering::SeqCst);
            assert!(!self.1, "on purpose");
        }
    }

    #[test]
    fn all_are_dropped_and_nobody_waits_for_others() {
        let count = Arc::new(AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for number in 0..100 {
                let call = Slow(Arc::clone(&count), number == 7);
                scope.spawn(move || later(call));
            }
        });
        let began = Instant::now();
        while count.load(Ordering::SeqCst) < 100 {
            assert!(began.elapsed() < Duration::from_secs(30), "{count:?}");
            std::thread::sleep(Duration::from_millis(1));
        }
        later(Slow(Arc::clone(&count), false));
    }
}
