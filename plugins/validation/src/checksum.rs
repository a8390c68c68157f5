//! Manifests of checksums in the formats that `sha256sum` writes, and the digests of files.

use crate::problem::{Problems, excerpt};
use sha2::{Digest, Sha256};
use std::io::Read;

/// Bytes read at once where a file is only hashed.
const CHUNK_BYTES: usize = 64 * 1024;

/// One line of a manifest.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Line {
    /// Where the line begins in the manifest, in bytes.
    pub(crate) offset: usize,
    /// Lower-case hexadecimal.
    pub(crate) digest: String,
    /// The name as written.
    pub(crate) name: String,
}

/// Reads a manifest: `<digest>  <name>`, `<digest> *<name>`, or `SHA256 (<name>) = <digest>`.
pub(crate) fn parse(text: &str, problems: &mut Problems) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut offset = 0;
    for line in text.split_inclusive('\n') {
        let content = line.trim_end_matches(['\n', '\r']);
        match parse_line(content) {
            Some((digest, name)) => lines.push(Line {
                offset,
                digest,
                name,
            }),
            None if content.trim().is_empty() || content.starts_with('#') => {}
            None => problems.error(
                "checksum/syntax",
                offset,
                format!("`{}` is no line of a checksum manifest", excerpt(content)),
                "write the SHA-256 digest in hexadecimal, two spaces and the file's name",
            ),
        }
        offset += line.len();
    }
    lines
}

fn parse_line(line: &str) -> Option<(String, String)> {
    let (digest, name) = if let Some(rest) = line.strip_prefix("SHA256 (") {
        let (name, digest) = rest.rsplit_once(") = ")?;
        (digest, name.to_owned())
    } else {
        // A leading backslash says that the name has escapes.
        let (escaped, line) = match line.strip_prefix('\\') {
            Some(rest) => (true, rest),
            None => (false, line),
        };
        let (digest, name) = line.split_once(' ')?;
        let name = name.strip_prefix([' ', '*'])?;
        let name = match escaped {
            true => name
                .replace("\\\\", "\0")
                .replace("\\n", "\n")
                .replace('\0', "\\"),
            false => name.to_owned(),
        };
        (digest, name)
    };
    let is_digest = digest.len() == 64 && digest.bytes().all(|it| it.is_ascii_hexdigit());
    (is_digest && !name.is_empty()).then(|| (digest.to_ascii_lowercase(), name))
}

/// The SHA-256 digest in lower-case hexadecimal.
pub(crate) fn digest(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// The digest of everything a reader gives, and how many bytes that is.
///
/// # Errors
/// What reading gives.
pub(crate) fn digest_of_reader(mut reader: impl Read) -> std::io::Result<(String, u64)> {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; CHUNK_BYTES];
    let mut total = 0;
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return Ok((hex(&hasher.finalize()), total)),
            Ok(length) => {
                hasher.update(buffer.get(..length).unwrap_or_default());
                total += length as u64;
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .map(|digit| char::from(DIGITS[usize::from(digit)]))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_sha_256() {
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(digest(b"abc"), expected);
        assert_eq!(
            digest_of_reader(&b"abc"[..]).unwrap(),
            (expected.to_owned(), 3)
        );
    }

    #[test]
    fn all_three_notations_are_read_and_others_reported() {
        let digest = "AB".repeat(32);
        let text = format!(
            "{digest}  a b\n{digest} *bin\n\\{digest}  x\\ny\\\\n\nSHA256 (c (1)) = {digest}\r\n\n# note\nnonsense\n"
        );
        let mut problems = Problems::default();
        let names: Vec<_> = parse(&text, &mut problems)
            .into_iter()
            .map(|line| (line.digest == "ab".repeat(32), line.name))
            .collect();
        assert_eq!(
            names,
            [
                (true, "a b".to_owned()),
                (true, "bin".to_owned()),
                (true, "x\ny\\n".to_owned()),
                (true, "c (1)".to_owned()),
            ]
        );
        assert_eq!(problems.rules_at(&text), [("checksum/syntax", 7, 1)]);
    }
}
