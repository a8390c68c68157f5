//! Cases that take memory, handles or random bytes, and the search for what another run left.

use crate::input::{Answer, Input, observed};
use infinity_sdk::prelude::*;
use serde_json::json;
use std::hint::black_box;
use std::mem::forget;

/// Grows until it gets no more, touching each page: `step_bytes` at a time, `max_bytes` at most.
pub(crate) fn grow_memory(input: &Input) -> Answer {
    let step = input.size_or("step_bytes", 1024 * 1024).max(1);
    let most = input.number_or("max_bytes", u64::MAX);
    let mut held: Vec<Vec<u8>> = Vec::new();
    let mut grown = 0_u64;
    let mut refused = false;
    while grown < most {
        let mut block = Vec::new();
        if held.try_reserve(1).is_err() || block.try_reserve_exact(step).is_err() {
            refused = true;
            break;
        }
        block.resize(step, 0xa5);
        held.push(black_box(block));
        grown += step as u64;
    }
    let kept = held.len();
    // The report needs some memory too.
    drop(held);
    observed(&json!({
        "grown_bytes": grown,
        "blocks": kept,
        "refused": refused,
        "memory_pages": core::arch::wasm32::memory_size::<0>(),
    }))
}

/// Makes `count` handles and forgets them; `kind` is `pollable`, `fields`, `stream` or `bucket`.
pub(crate) fn handle_leak(input: &Input) -> Answer {
    let count = input.number_or("count", 1_000_000);
    let kind = input.text_or("kind", "pollable");
    for made in 0..count {
        match kind {
            "pollable" => forget(wasip2::clocks::monotonic_clock::subscribe_duration(0)),
            "fields" => forget(wasip2::http::types::Fields::new()),
            "stream" => forget(wasip2::cli::stdout::get_stdout()),
            "bucket" => match infinity_sdk::bindings::wasi::keyvalue::store::open("") {
                Ok(bucket) => forget(bucket),
                Err(error) => {
                    return observed(&json!({ "made": made, "error": format!("{error:?}") }));
                }
            },
            other => return Err(Failure::InvalidInput(format!("`{other}` is no kind"))),
        }
    }
    observed(&json!({ "made": count, "error": null }))
}

/// Asks for `bytes` random bytes at once; `insecure` takes the other generator.
pub(crate) fn random_bomb(input: &Input) -> Answer {
    let bytes = input.number_or("bytes", 4 * 1024 * 1024 * 1024);
    let got = if input.flag("insecure") {
        wasip2::random::insecure::get_insecure_random_bytes(bytes)
    } else {
        wasip2::random::random::get_random_bytes(bytes)
    };
    observed(&json!({ "asked": bytes, "got": got.len() }))
}

/// The pattern of a seed. It is computed, so that no data segment holds it.
fn pattern(seed: u64) -> u64 {
    let mut word = black_box(seed) ^ 0x9e37_79b9_7f4a_7c15;
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

/// Fills `levels` frames of 32 KiB of the stack.
#[inline(never)]
fn fill_stack(word: u64, levels: u32) -> u64 {
    let frame = [word; 4096];
    let below = if levels > 1 {
        fill_stack(word, levels - 1)
    } else {
        0
    };
    below ^ black_box(&frame)[4095]
}

fn fill(seed: u64, bytes: usize) -> usize {
    let word = pattern(seed);
    // 16 frames are 512 KiB, half of the stack that the linker gives.
    black_box(fill_stack(word, 16));
    let mut heap = Vec::new();
    if heap.try_reserve_exact(bytes / 8).is_err() {
        return 0;
    }
    heap.resize(bytes / 8, word);
    black_box(&heap);
    // Left as it is: what is tested is that nobody else sees it.
    forget(heap);
    bytes
}

/// Fills `bytes` of the heap and half of the stack with the pattern of `seed`; ends by a trap where `trap` is set.
pub(crate) fn residue_fill(input: &Input) -> Answer {
    let bytes = fill(
        input.number_or("seed", 1),
        input.size_or("bytes", 32 * 1024 * 1024),
    );
    if input.flag("trap") {
        core::arch::wasm32::unreachable();
    }
    observed(&json!({ "filled_bytes": bytes }))
}

/// Grows the memory by `grow_bytes` and looks through all of it for the pattern of `seed`. With `fill_first` it finds its own, which proves
/// that it looks.
pub(crate) fn residue_scan(input: &Input) -> Answer {
    const PAGE: usize = 64 * 1024;
    let seed = input.number_or("seed", 1);
    if input.flag("fill_first") {
        fill(seed, 1024 * 1024);
    }
    let pages = input.size_or("grow_bytes", 32 * 1024 * 1024) / PAGE;
    let grown = core::arch::wasm32::memory_grow::<0>(pages) != usize::MAX;
    let end = core::arch::wasm32::memory_size::<0>() * PAGE;
    let wanted = pattern(seed);
    let mut hits = 0_u64;
    let mut nonzero = 0_u64;
    let fresh = end - if grown { pages * PAGE } else { 0 };
    // The null address is no valid one, even here.
    for address in (8..end).step_by(8) {
        let word = word_at(address);
        hits += u64::from(word == wanted);
        nonzero += u64::from(address >= fresh && word != 0);
    }
    observed(&json!({
        "scanned_bytes": end,
        "grown": grown,
        "hits": hits,
        "nonzero_in_grown": nonzero,
    }))
}

#[expect(
    unsafe_code,
    reason = "looking at memory that nobody handed out is what is tested"
)]
fn word_at(address: usize) -> u64 {
    // SAFETY: the address is below the end of the linear memory and a multiple of 8; every byte there can be read, and volatile keeps the
    // compiler from concluding anything from the value.
    unsafe { std::ptr::with_exposed_provenance::<u64>(address).read_volatile() }
}
