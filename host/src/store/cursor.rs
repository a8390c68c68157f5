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
        hex::encode([&place[..], &self.tag(query, &place)].concat())
    }

    /// The place that a cursor of the same query names.
    pub(super) fn read(&self, query: &str, cursor: &str) -> Result<Position, StoreError> {
        let mut read = [0; 16 + TAG_BYTES];
        hex::decode_to_slice(cursor, &mut read).map_err(|_| StoreError::Cursor)?;
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
