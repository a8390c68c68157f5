//! Other people's programs, which are known to be right: run it with `INFINITY_CORPUS=folder cargo test -p analysis -- --ignored --nocapture`.

use super::*;
use std::collections::BTreeMap;
use std::path::Path;

/// Folders with programs that are broken on purpose, or written for other versions of the language.
const LEFT_OUT: &[&str] = &["lib2to3", "bad_coding", "badsyntax", "encoded_modules"];

fn collect(root: &Path, folder: &Path, files: &mut Vec<File>) {
    let mut entries: Vec<_> = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|it| it.path())
        .collect();
    entries.sort();
    for path in entries {
        let name = path.to_string_lossy().into_owned();
        if LEFT_OUT.iter().any(|it| name.contains(it)) || name.contains("site-packages") {
            continue;
        }
        if path.is_dir() {
            collect(root, &path, files);
        } else if language(&name).is_some_and(|it| !matches!(it, Language::Data(_)))
            && let Ok(text) = std::fs::read_to_string(&path)
        {
            let shown = path.strip_prefix(root).unwrap_or(&path);
            files.push(file(&shown.to_string_lossy(), &text));
        }
    }
}

#[test]
#[ignore = "needs a folder of programs"]
#[expect(clippy::print_stdout, reason = "a report to read")]
fn programs_of_others() {
    let Ok(root) = std::env::var("INFINITY_CORPUS") else {
        return;
    };
    let shown = std::env::var("INFINITY_RULES").unwrap_or_default();
    let root = Path::new(&root);
    let mut files = Vec::new();
    collect(root, root, &mut files);
    let started = std::time::Instant::now();
    let findings = analyse(&files, &[]);
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for it in &findings {
        *counts
            .entry(format!("{:?} {}", it.level, it.rule))
            .or_default() += 1;
        if shown
            .split(',')
            .any(|rule| !rule.is_empty() && it.rule.ends_with(rule))
        {
            let place = it.location.as_ref();
            println!(
                "{}:{}:{} {} {}",
                place.map_or("", |it| it.path.as_str()),
                place.and_then(|it| it.line).unwrap_or(0),
                place.and_then(|it| it.column).unwrap_or(0),
                it.rule,
                it.message
            );
        }
    }
    let bytes: usize = files.iter().map(|it| it.text.len()).sum();
    println!(
        "{} files, {bytes} bytes, {:?}\n{counts:#?}",
        files.len(),
        started.elapsed()
    );
}
