//! Makes the objects immortal that are in the memory of a component of CPython.
//!
//! The interpreter counts the references to each object in its first word, and does not where that word says that the object is immortal. Written by the build, it spares each instance the
//! copies of pages that nothing but such a count would change. `plugins/python/runner/image.py` leaves a list of all objects in the memory.

use anyhow::{Context as _, bail, ensure};
use std::ops::Range;
use wasmparser::{DataKind, Operator, Parser, Payload};

/// What stands in front of the list.
const MARK: &[u8] = b"here is the list of objects\0";

/// Counts from this one on are those of immortal objects, where an address has 32 bits: see `Include/refcount.h` of CPython.
const IMMORTAL_MINIMUM: u32 = 1 << 30;

/// A part of a memory: its address, and where its bytes are in the file.
struct Part {
    address: u32,
    file: Range<usize>,
}

/// Writes the counts, and answers how many.
pub(crate) fn make(component: &mut [u8]) -> anyhow::Result<usize> {
    let parts = parts(component)?;
    let mut lists = Vec::new();
    for part in &parts {
        let bytes = &component[part.file.clone()];
        let mut from = 0;
        while let Some(at) = find(&bytes[from..], MARK) {
            from += at + MARK.len();
            // Also what was freed looks so; only the list itself has the sum that it says.
            lists.extend(list(&bytes[from..]));
        }
    }
    let [(none, addresses)] = lists.as_slice() else {
        bail!("there are {} lists of objects in the memory", lists.len());
    };
    let place = |address: u32| {
        parts
            .iter()
            .find_map(|part| {
                let offset = usize::try_from(address.checked_sub(part.address)?).ok()?;
                let at = part.file.start + offset;
                (at + 4 <= part.file.end).then_some(at)
            })
            .with_context(|| format!("the object at {address:#x} is not in the memory"))
    };
    let read = |component: &[u8], at: usize| {
        let mut word = [0; 4];
        word.copy_from_slice(&component[at..at + 4]);
        u32::from_le_bytes(word)
    };
    let immortal = read(component, place(*none)?);
    ensure!(
        immortal >= IMMORTAL_MINIMUM,
        "`None` is counted ({immortal}); this CPython has other counts"
    );
    for address in addresses {
        let at = place(*address)?;
        let count = read(component, at);
        ensure!(
            count > 0 && count < IMMORTAL_MINIMUM,
            "the object at {address:#x} has the count {count:#x}"
        );
        component[at..at + 4].copy_from_slice(&immortal.to_le_bytes());
    }
    Ok(addresses.len())
}

/// The address of `None` and those of the objects, if this is the list.
fn list(bytes: &[u8]) -> Option<(u32, Vec<u32>)> {
    let mut words = bytes
        .chunks_exact(4)
        .map(|word| u32::from_le_bytes([word[0], word[1], word[2], word[3]]));
    let (none, count, sum) = (words.next()?, words.next()?, words.next()?);
    let addresses: Vec<u32> = words.take(usize::try_from(count).ok()?).collect();
    let is_whole = u32::try_from(addresses.len()).is_ok_and(|length| length == count);
    let total = addresses
        .iter()
        .fold(0_u32, |sum, address| sum.wrapping_add(*address));
    (count > 0 && is_whole && total == sum).then_some((none, addresses))
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

/// The parts of all memories that are there when an instance begins.
fn parts(component: &[u8]) -> anyhow::Result<Vec<Part>> {
    let mut parts = Vec::new();
    for payload in Parser::new(0).parse_all(component) {
        let Payload::DataSection(section) = payload? else {
            continue;
        };
        for data in section {
            let data = data?;
            let DataKind::Active { offset_expr, .. } = &data.kind else {
                continue;
            };
            let Operator::I32Const { value } = offset_expr.get_operators_reader().read()? else {
                continue;
            };
            let start = data.range.end - data.data.len();
            parts.push(Part {
                address: value.cast_unsigned(),
                file: start..data.range.end,
            });
        }
    }
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_list_is_one() {
        let words = |words: &[u32]| -> Vec<u8> {
            words.iter().flat_map(|word| word.to_le_bytes()).collect()
        };
        let found = list(&words(&[7, 2, 30, 10, 20, 99])).unwrap();
        assert_eq!(found, (7, vec![10, 20]));
        assert!(list(&words(&[7, 2, 31, 10, 20])).is_none());
        assert!(list(&words(&[7, 3, 30, 10, 20])).is_none());
        assert!(list(&words(&[7, 0, 0])).is_none());
    }
}
