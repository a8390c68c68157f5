//! The licences of everything that others wrote and that is shipped, from the sources on this machine: each text once, with what it covers.

use super::sbom::Sbom;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

/// How the files begin, in capitals.
const NAMES: [&str; 6] = [
    "COPYING",
    "COPYRIGHT",
    "LICENCE",
    "LICENSE",
    "NOTICE",
    "UNLICENSE",
];

/// The document.
pub(super) fn text(sbom: &Sbom) -> anyhow::Result<Vec<u8>> {
    let mut text_to_parts: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut lines = BTreeSet::new();
    for part in sbom.foreign() {
        let name = format!("{} {}", part.name, part.version);
        let licence = part.licence.as_deref().unwrap_or("see its text");
        lines.insert(format!("{name}: {licence}"));
        for text in texts(&part.folder)? {
            text_to_parts.entry(text).or_default().insert(name.clone());
        }
    }
    let mut document = String::from(
        "What others wrote and is part of the program or of a plugin, with its licence; below are the texts.\n\n",
    );
    for line in lines {
        let _ = writeln!(document, "{line}");
    }
    // By what they cover, so that a reader finds them and the order is always the same.
    let mut ordered: Vec<(BTreeSet<String>, String)> = text_to_parts
        .into_iter()
        .map(|(text, parts)| (parts, text))
        .collect();
    ordered.sort();
    for (parts, text) in ordered {
        let parts: Vec<String> = parts.into_iter().collect();
        let _ = write!(document, "\n==== {}\n\n{text}\n", parts.join(", "));
    }
    Ok(document.into_bytes())
}

/// The texts in one folder of sources; none where the sources are not here.
fn texts(folder: &Path) -> anyhow::Result<BTreeSet<String>> {
    let mut texts = BTreeSet::new();
    if folder.as_os_str().is_empty() || !folder.is_dir() {
        return Ok(texts);
    }
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().to_uppercase();
        if NAMES.iter().any(|begin| name.starts_with(begin)) && entry.file_type()?.is_file() {
            let bytes = fs::read(entry.path())?;
            let text = String::from_utf8_lossy(&bytes);
            texts.insert(text.trim().replace("\r\n", "\n"));
        }
    }
    Ok(texts)
}
