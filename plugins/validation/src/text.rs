//! Bytes become text, or are known to be none: encodings, line endings and merge markers.
//!
//! Whether a file is text is decided by what its name promises and what its bytes look like; a file that promises nothing and looks binary is
//! left alone.

use crate::problem::{Problems, excerpt};

/// Extensions that promise text.
const TEXT_EXTENSIONS: &[&str] = &[
    "adoc",
    "bash",
    "bat",
    "c",
    "cc",
    "cfg",
    "conf",
    "cpp",
    "cs",
    "css",
    "csv",
    "env",
    "go",
    "gradle",
    "h",
    "hpp",
    "htm",
    "html",
    "ini",
    "java",
    "js",
    "json",
    "jsonc",
    "jsonl",
    "jsx",
    "kt",
    "less",
    "lock",
    "lua",
    "markdown",
    "md",
    "mjs",
    "php",
    "pl",
    "properties",
    "proto",
    "ps1",
    "py",
    "rb",
    "rego",
    "rs",
    "rst",
    "scss",
    "sh",
    "sql",
    "svg",
    "swift",
    "tf",
    "toml",
    "ts",
    "tsv",
    "tsx",
    "txt",
    "vue",
    "wat",
    "wit",
    "xml",
    "yaml",
    "yml",
    "zsh",
];

/// Extensions that promise something else, even where the first bytes look like text.
const BINARY_EXTENSIONS: &[&str] = &[
    "7z", "a", "avif", "bin", "bmp", "br", "bz2", "class", "cwasm", "db", "der", "dll", "dylib",
    "eot", "exe", "gif", "gz", "ico", "jar", "jpeg", "jpg", "mo", "mov", "mp3", "mp4", "o", "ogg",
    "otf", "pdf", "png", "psd", "pyc", "rlib", "rmeta", "so", "sqlite", "tar", "tgz", "tif",
    "tiff", "ttf", "wasm", "wav", "webm", "webp", "woff", "woff2", "xz", "zip", "zst",
];

/// Bytes looked at to tell text from binary, as git does.
const SNIFFED_BYTES: usize = 8_000;

/// The extension in lower case, empty without one.
pub(crate) fn extension(path: &str) -> String {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.rsplit_once('.')
        .map(|(_, extension)| extension.to_ascii_lowercase())
        .unwrap_or_default()
}

/// The text of a file without its byte order mark. Nothing for binary files, and for text that is damaged so that other checks would only guess.
pub(crate) fn decode<'a>(path: &str, bytes: &'a [u8], problems: &mut Problems) -> Option<&'a str> {
    let extension = extension(path);
    if BINARY_EXTENSIONS.contains(&extension.as_str()) {
        return None;
    }
    if !TEXT_EXTENSIONS.contains(&extension.as_str()) && !looks_like_text(bytes) {
        return None;
    }
    if bytes.starts_with(&[0xFF, 0xFE]) || bytes.starts_with(&[0xFE, 0xFF]) {
        problems.error(
            "encoding/invalid-utf8",
            0,
            "the file is UTF-16",
            "save the file as UTF-8",
        );
        return None;
    }
    let body = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    if body.len() != bytes.len() {
        let (message, help) = (
            "the file begins with a byte order mark",
            "save the file as UTF-8 without a byte order mark",
        );
        // RFC 8259 forbids it, and most JSON parsers refuse it; elsewhere it is a nuisance.
        if extension == "json" {
            problems.error("encoding/bom", 0, message, help);
        } else {
            problems.warning("encoding/bom", 0, message, help);
        }
    }
    if let Some(at) = body.iter().position(|&byte| byte == 0) {
        problems.error(
            "encoding/nul",
            at,
            "a NUL character in a text file",
            "remove the character; if the file is binary give it an extension that says so",
        );
        return None;
    }
    match std::str::from_utf8(body) {
        Ok(text) => Some(text),
        Err(error) => {
            let at = error.valid_up_to();
            problems.error(
                "encoding/invalid-utf8",
                at,
                format!(
                    "byte 0x{:02x} is not UTF-8",
                    body.get(at).copied().unwrap_or(0)
                ),
                "save the file as UTF-8",
            );
            None
        }
    }
}

/// No NUL or other control characters, and mostly ASCII: Latin-1 prose passes, compressed data does not. Valid UTF-8 of any script passes.
fn looks_like_text(bytes: &[u8]) -> bool {
    let head = &bytes[..bytes.len().min(SNIFFED_BYTES)];
    let controls = head
        .iter()
        .any(|&byte| byte < 0x20 && !matches!(byte, b'\t' | b'\n' | b'\r' | 0x08 | 0x0C | 0x1B));
    if controls {
        return false;
    }
    let ascii = head.iter().filter(|byte| byte.is_ascii()).count();
    match std::str::from_utf8(head) {
        Ok(_) => true,
        // The head may end inside a character.
        Err(error) if error.error_len().is_none() => true,
        Err(_) => ascii * 10 >= head.len() * 7,
    }
}

/// Warns where a file's lines end in two ways.
pub(crate) fn check_line_endings(path: &str, text: &str, problems: &mut Problems) {
    if matches!(extension(path).as_str(), "patch" | "diff" | "snap") {
        return;
    }
    let bytes = text.as_bytes();
    let ends_crlf = |at: usize| at > 0 && bytes[at - 1] == b'\r';
    let (mut crlf, mut lf) = (0_usize, 0_usize);
    let (mut first_crlf, mut first_lf) = (None, None);
    for (at, _) in bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n') {
        if ends_crlf(at) {
            crlf += 1;
            first_crlf.get_or_insert(at - 1);
        } else {
            lf += 1;
            first_lf.get_or_insert(at);
        }
    }
    let (Some(first_crlf), Some(first_lf)) = (first_crlf, first_lf) else {
        return;
    };
    let crlf_is_odd = crlf < lf || (crlf == lf && first_lf < first_crlf);
    let (at, odd, usual) = if crlf_is_odd {
        (first_crlf, "CRLF", "LF")
    } else {
        (first_lf, "LF", "CRLF")
    };
    problems.warning(
        "encoding/mixed-line-endings",
        at,
        format!("this line ends with {odd}, most lines of the file with {usual}"),
        format!("end every line with {usual}"),
    );
}

/// Reports conflicts that a merge left behind: all three markers in their order. A lone `=======` is a heading's underline. Conflicts that lie
/// wholly inside one of `examples` (byte ranges) are documentation. Answers whether there was one.
pub(crate) fn check_merge_markers(
    text: &str,
    examples: &[std::ops::Range<usize>],
    problems: &mut Problems,
) -> bool {
    let opening = "<".repeat(7);
    let middle = "=".repeat(7);
    let closing = ">".repeat(7);
    let is_marker = |line: &str, marker: &str| {
        line.strip_prefix(marker)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
    };
    let mut begun: Option<(usize, String)> = None;
    let mut divided = false;
    let mut found = false;
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let content = line.trim_end_matches(['\n', '\r']);
        if is_marker(content, &opening) {
            begun = Some((at, excerpt(content)));
            divided = false;
        } else if begun.is_some() && content == middle {
            divided = true;
        } else if divided && is_marker(content, &closing) {
            if let Some((start, label)) = begun.take() {
                let documented = examples
                    .iter()
                    .any(|range| range.start <= start && at < range.end);
                if !documented {
                    found = true;
                    problems.error(
                        "merge-marker",
                        start,
                        format!("unresolved merge conflict `{label}`"),
                        "choose one side and remove the markers",
                    );
                }
            }
            divided = false;
        }
        at += line.len();
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &str, bytes: &[u8], expected: &[(&str, u32, u32)]) {
        let mut problems = Problems::default();
        if let Some(text) = decode(path, bytes, &mut problems) {
            check_line_endings(path, text, &mut problems);
            check_merge_markers(text, &[], &mut problems);
        }
        let text = String::from_utf8_lossy(bytes);
        assert_eq!(problems.rules_at(&text), expected, "{path}");
    }

    #[test]
    fn damaged_text_is_reported_where_the_damage_begins() {
        check("a.rs", b"ok\n", &[]);
        check("a.txt", b"", &[]);
        check("a.md", b"\xEF\xBB\xBFok\n", &[("encoding/bom", 1, 1)]);
        check("a.rs", b"ok\nab\0c", &[("encoding/nul", 2, 3)]);
        check("a.py", "é\nx".as_bytes(), &[]);
        check("a.py", b"# caf\xE9", &[("encoding/invalid-utf8", 1, 6)]);
        check(
            "LICENSE",
            b"J\xFCrgen wrote this",
            &[("encoding/invalid-utf8", 1, 2)],
        );
        check(
            "a.json",
            b"\xFF\xFE{\0}\0",
            &[("encoding/invalid-utf8", 1, 1)],
        );
    }

    #[test]
    fn binary_files_are_left_alone() {
        check("a.png", b"\x89PNG\r\n\x1a\n\0", &[]);
        check("blob", b"\x00\x01\x02", &[]);
        check("noise", b"\xf1\x93\x9a\xfe\xd2\xaa\xbb", &[]);
        check("a.gz", b"looks like text\r\nbut is none\n", &[]);
    }

    #[test]
    fn the_odd_line_ending_is_the_one_reported() {
        check("a.txt", b"a\r\nb\r\n", &[]);
        check(
            "a.txt",
            b"a\nb\r\nc\n",
            &[("encoding/mixed-line-endings", 2, 2)],
        );
        check(
            "a.txt",
            b"a\r\nb\nc\r\n",
            &[("encoding/mixed-line-endings", 2, 2)],
        );
        check("a.patch", b"a\r\nb\n", &[]);
    }

    #[test]
    fn only_whole_conflicts_are_reported() {
        let (open, middle, close) = ("<".repeat(7), "=".repeat(7), ">".repeat(7));
        let conflict = format!("x\n{open} HEAD\na\n{middle}\nb\n{close} other\n");
        check("a.rs", conflict.as_bytes(), &[("merge-marker", 2, 1)]);
        check("a.md", format!("Title\n{middle}\n").as_bytes(), &[]);
        check(
            "a.rs",
            format!(" {open} HEAD\n{middle}\n{close} b\n").as_bytes(),
            &[],
        );
        check(
            "a.sh",
            format!("{open}EOF\n{middle}\n{close} b\n").as_bytes(),
            &[],
        );
        check("a.txt", format!("{open} a\n{close} b\n").as_bytes(), &[]);
    }
}
