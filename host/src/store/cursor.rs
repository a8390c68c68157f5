//! Turns a place in a list into text that can be handed to a client, and back.
//!
//! The text carries a keyed hash over the place and the query, so that a changed cursor, or one of another query, is refused instead of answered with the wrong rows.

use aws_lc_rs::hmac;

use super::StoreError;

/// Bytes of the hash that a cursor carries: enough to refuse mistakes and guesses, as nothing secret hangs on it.
const TAG_BYTES: usize = 8;

/// A place: two numbers, of which a list may use one.
pub(super) type Position = (i64, i64);

/// Signs and reads cursors.
#[derive(Debug)]
pub(super) struct Cursors {
    key: hmac::Key,
}

impl Cursors {
    pub(super) fn new(key: &[u8]) -> Self {
        Self {
            key: hmac::Key::new(hmac::HMAC_SHA256, key),
        }
    }

    /// The cursor for a place in the answer to `query`.
    pub(super) fn write(&self, query: &str, position: Position) -> String {
        let place = bytes(position);
        let mut text = hex(&place);
        text.push_str(&hex(&self.tag(query, &place)));
        text
    }

    /// The place that a cursor of the same query names.
    pub(super) fn read(&self, query: &str, cursor: &str) -> Result<Position, StoreError> {
        let read: [u8; 16 + TAG_BYTES] = unhex(cursor).ok_or(StoreError::Cursor)?;
        let (first, rest) = read.split_first_chunk().ok_or(StoreError::Cursor)?;
        let (second, tag) = rest.split_first_chunk().ok_or(StoreError::Cursor)?;
        let position = (i64::from_be_bytes(*first), i64::from_be_bytes(*second));
        if tag == self.tag(query, &bytes(position)) {
            Ok(position)
        } else {
            Err(StoreError::Cursor)
        }
    }

    fn tag(&self, query: &str, place: &[u8]) -> [u8; TAG_BYTES] {
        let mut context = hmac::Context::with_key(&self.key);
        context.update(place);
        context.update(query.as_bytes());
        let mut tag = [0; TAG_BYTES];
        for (to, from) in tag.iter_mut().zip(context.sign().as_ref()) {
            *to = *from;
        }
        tag
    }
}

fn bytes((first, second): Position) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&first.to_be_bytes());
    bytes[8..].copy_from_slice(&second.to_be_bytes());
    bytes
}

/// Lower-case hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .map(|digit| char::from(DIGITS[usize::from(digit)]))
        .collect()
}

/// Exactly `N` bytes from lower-case hexadecimal digits.
pub(super) fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let text = text.as_bytes();
    if text.len() != 2 * N {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}
