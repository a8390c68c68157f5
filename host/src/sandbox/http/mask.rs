//! Turns a stream of bytes into the same stream with every secret overwritten by `*`.
//!
//! Invariants: the length never changes, so `Content-Length` stays true; a secret is found where
//! it crosses the border of two chunks; nothing that may be the start of a secret leaves before
//! the next bytes are known. A secret that the server encodes (base64, URL escapes, compression)
//! is not recognised.

use std::sync::Arc;

use http::{HeaderMap, HeaderValue};

use super::grant::Credential;

pub(super) struct Mask {
    credential: Arc<Credential>,
    /// The end of what came so far that may be the start of a secret.
    tail: Vec<u8>,
}

impl Mask {
    pub(super) fn new(credential: Arc<Credential>) -> Self {
        Self {
            credential,
            tail: Vec::new(),
        }
    }

    /// Takes a chunk and gives what can leave; it may be empty.
    pub(super) fn push(&mut self, chunk: &[u8]) -> Vec<u8> {
        let mut bytes = std::mem::take(&mut self.tail);
        bytes.extend_from_slice(chunk);
        // Before overwriting: the end of one secret may be the start of another.
        let keep = self
            .credential
            .needles()
            .iter()
            .map(|n| open_end(&bytes, n))
            .max()
            .unwrap_or(0);
        overwrite(&mut bytes, self.credential.needles());
        self.tail = bytes.split_off(bytes.len() - keep);
        bytes
    }

    /// What was held back, at the end of the stream.
    pub(super) fn finish(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.tail)
    }

    /// Overwrites secrets in the values of headers or trailers.
    pub(super) fn headers(&self, headers: &mut HeaderMap) {
        for value in headers.values_mut() {
            let mut bytes = value.as_bytes().to_vec();
            if overwrite(&mut bytes, self.credential.needles()) {
                // `*` is valid in every header; should that ever fail, nothing is shown.
                *value = HeaderValue::from_bytes(&bytes)
                    .unwrap_or_else(|_| HeaderValue::from_static("****"));
            }
        }
    }
}

/// Whether anything was found.
fn overwrite(bytes: &mut [u8], needles: &[Vec<u8>]) -> bool {
    let mut found = Vec::new();
    for needle in needles {
        let Some((&first, _)) = needle.split_first() else {
            continue;
        };
        let mut from = 0;
        while let Some(at) = bytes[from..].iter().position(|&b| b == first) {
            let start = from + at;
            if bytes[start..].starts_with(needle) {
                found.push(start..start + needle.len());
            }
            from = start + 1;
        }
    }
    let any = !found.is_empty();
    for range in found {
        bytes[range].fill(b'*');
    }
    any
}

/// The length of the longest end of `bytes` that is a start of `needle`, shorter than it.
fn open_end(bytes: &[u8], needle: &[u8]) -> usize {
    let longest = bytes.len().min(needle.len().saturating_sub(1));
    (1..=longest)
        .rev()
        .find(|&n| bytes.ends_with(&needle[..n]))
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mask(secrets: &[&str]) -> Mask {
        let mut credential =
            Credential::new("authorization", &format!("Bearer {}", secrets[0])).expect("valid");
        for secret in &secrets[1..] {
            credential = credential.mask_also(secret).expect("valid");
        }
        Mask::new(Arc::new(credential))
    }

    fn stream(secrets: &[&str], chunks: &[&str]) -> String {
        let mut mask = mask(secrets);
        let mut out = Vec::new();
        for chunk in chunks {
            out.extend(mask.push(chunk.as_bytes()));
        }
        out.extend(mask.finish());
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn a_secret_is_masked_wherever_the_chunks_are_cut() {
        let text = "see tokentoken-123 and token-123token-12 then token-123";
        let expected = "see token********* and *********token-12 then *********";
        assert_eq!(stream(&["token-123"], &[text]), expected);
        for cut in 0..text.len() {
            let (a, b) = text.split_at(cut);
            assert_eq!(stream(&["token-123"], &[a, b]), expected, "cut at {cut}");
        }
        let single: Vec<&str> = text.split("").filter(|c| !c.is_empty()).collect();
        assert_eq!(stream(&["token-123"], &single), expected);
    }

    #[test]
    fn several_secrets_and_overlaps_are_masked() {
        assert_eq!(
            stream(&["abab", "babc"], &["xaba", "babc", "x"]),
            "x*******x"
        );
        assert_eq!(stream(&["secret"], &["secre", "", "T"]), "secreT");
    }

    #[test]
    fn nothing_is_held_back_that_cannot_be_a_secret() {
        let mut mask = mask(&["token-123"]);
        assert_eq!(mask.push(b"data: hello\n\n"), b"data: hello\n\n");
        assert_eq!(mask.push(b"to"), b"");
        assert_eq!(mask.push(b"day"), b"today");
    }

    #[test]
    fn headers_are_masked() {
        let mut headers = HeaderMap::new();
        headers.insert("x-echo", HeaderValue::from_static("Bearer token-123; x"));
        mask(&["token-123"]).headers(&mut headers);
        assert_eq!(headers["x-echo"], "Bearer *********; x");
    }
}
