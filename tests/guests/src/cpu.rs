//! Cases that trap, or take time in the guest or in host calls.

use crate::input::{Answer, Input, observed};
use infinity_sdk::bindings::wasi::keyvalue::store;
use infinity_sdk::bindings::wasi::logging::logging;
use infinity_sdk::prelude::*;
use serde_json::json;
use std::hint::black_box;
use wasip2::clocks::monotonic_clock;

/// Panics three named functions deep.
pub(crate) fn trap(input: &Input) -> Answer {
    outer_function(input.number_or("depth", 1));
    observed(&json!({ "trapped": false }))
}

#[inline(never)]
fn outer_function(depth: u64) {
    middle_function(black_box(depth));
    black_box(());
}

#[inline(never)]
fn middle_function(depth: u64) {
    innermost_function(black_box(depth));
    black_box(());
}

#[inline(never)]
fn innermost_function(depth: u64) {
    assert!(depth == u64::MAX, "this guest panics on purpose");
    black_box(());
}

/// The instruction `unreachable`, without a panic's message.
pub(crate) fn unreachable(_: &Input) -> Answer {
    core::arch::wasm32::unreachable()
}

/// An endless loop without a call.
pub(crate) fn spin(_: &Input) -> Answer {
    #[expect(
        clippy::empty_loop,
        reason = "the loop without a body is what is tested"
    )]
    loop {}
}

/// Adds up `n` numbers; takes the same number of instructions each time.
pub(crate) fn counted_loop(input: &Input) -> Answer {
    let n = input.number_or("n", 1_000_000);
    let mut sum = 0_u64;
    for number in 0..n {
        sum = black_box(sum.wrapping_add(number));
    }
    observed(&json!({ "n": n, "sum": sum }))
}

/// Calls itself until the stack ends.
pub(crate) fn recurse(input: &Input) -> Answer {
    let depth = descend(input.number_or("depth", u64::MAX));
    observed(&json!({ "depth": depth }))
}

#[inline(never)]
fn descend(left: u64) -> u64 {
    if black_box(left) == 0 {
        return 0;
    }
    // Used after the call, so that the call is no jump.
    1 + black_box(descend(black_box(left - 1)))
}

/// Sleeps `ms` milliseconds, then answers.
pub(crate) fn sleep(input: &Input) -> Answer {
    let ms = input.number_or("ms", 100);
    let before = monotonic_clock::now();
    monotonic_clock::subscribe_duration(ms.saturating_mul(1_000_000)).block();
    let slept_ms = monotonic_clock::now().saturating_sub(before) / 1_000_000;
    observed(&json!({ "slept_ms": slept_ms }))
}

/// Waits for the end of time.
pub(crate) fn sleep_forever(_: &Input) -> Answer {
    monotonic_clock::subscribe_duration(u64::MAX).block();
    observed(&json!({ "woke": true }))
}

/// Polls what is ready at once, over and over.
pub(crate) fn poll_spin(input: &Input) -> Answer {
    let count = input.number_or("count", u64::MAX);
    for _ in 0..count {
        let pollable = monotonic_clock::subscribe_duration(0);
        black_box(wasip2::io::poll::poll(&[&pollable]));
    }
    observed(&json!({ "polls": count }))
}

/// Fills and copies `bytes` of memory, `count` times.
pub(crate) fn bulk_memory(input: &Input) -> Answer {
    let bytes = input.size_or("bytes", 16 * 1024 * 1024);
    let count = input.number_or("count", u64::MAX);
    let mut from = vec![0_u8; bytes];
    let mut to = vec![0_u8; bytes];
    for round in 0..count {
        black_box(&mut from).fill(round.to_le_bytes()[0]);
        black_box(&mut to).copy_from_slice(black_box(&from));
    }
    observed(&json!({ "rounds": count, "last": to.last() }))
}

/// Calls the host `count` times; `kind` is `log`, `clock`, `kv` or `random`.
pub(crate) fn hostcall_storm(input: &Input) -> Answer {
    let count = input.number_or("count", 10_000_000);
    let mut errors = 0_u64;
    match input.text("kind")? {
        "log" => {
            for number in 0..count {
                logging::log(logging::Level::Info, "storm", &format!("line {number}"));
            }
        }
        "clock" => {
            for _ in 0..count {
                black_box(monotonic_clock::now());
            }
        }
        "kv" => match store::open("") {
            Ok(bucket) => {
                for _ in 0..count {
                    errors += u64::from(bucket.get("storm").is_err());
                }
            }
            Err(error) => return observed(&json!({ "open": format!("{error:?}") })),
        },
        "random" => {
            for _ in 0..count {
                black_box(wasip2::random::random::get_random_u64());
            }
        }
        other => return Err(Failure::InvalidInput(format!("`{other}` is no kind"))),
    }
    observed(&json!({ "calls": count, "errors": errors }))
}
