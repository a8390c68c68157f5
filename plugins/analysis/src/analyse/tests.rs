//! Whole files, as they are handed in.

use super::*;

mod corpus;
mod damaged;
mod data;
mod javascript;
mod python;

fn file(path: &str, text: &str) -> File {
    File {
        path: path.to_owned(),
        text: text.to_owned(),
    }
}

/// Rules with their lines, without the language before `/`, in the order of the file.
fn rules_of(path: &str, text: &str, local: &[&str]) -> Vec<(String, u32)> {
    let local: Vec<String> = local.iter().map(|it| (*it).to_owned()).collect();
    analyse(&[file(path, text)], &local)
        .into_iter()
        .map(|it| {
            let rule = it.rule.split_once('/').map_or("", |(_, rule)| rule);
            let line = it.location.and_then(|it| it.line).unwrap_or(0);
            (rule.to_owned(), line)
        })
        .collect()
}

/// The findings as `rule:line` in the order of the file, with blanks between them.
fn summary(path: &str, text: &str) -> String {
    rules_of(path, text, &[])
        .into_iter()
        .map(|(rule, line)| format!("{rule}:{line}"))
        .collect::<Vec<String>>()
        .join(" ")
}

fn expect(path: &str, text: &str, expected: &str) {
    let start: String = text.chars().take(200).collect();
    assert_eq!(summary(path, text), expected, "\n{start}");
}

/// Expects a summary of each text, and tells of all that differ.
fn table(path: &str, cases: &[(&str, &str)]) {
    let wrong: Vec<String> = cases
        .iter()
        .map(|(text, expected)| (text, expected, summary(path, text)))
        .filter(|(_, expected, found)| **expected != found)
        .map(|(text, expected, found)| {
            format!("{text}\n  expected {expected}\n  found    {found}\n")
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn endings_decide_what_is_looked_at() {
    for (path, expected) in [
        ("a.py", 1),
        ("a.PYI", 1),
        ("a.js", 1),
        ("a.mjs", 1),
        ("a.cjs", 1),
        ("a.jsx", 1),
        ("a.ts", 1),
        ("a.mts", 1),
        ("a.cts", 1),
        ("a.tsx", 1),
        ("a.json", 1),
        ("a.yaml", 1),
        ("a.yml", 1),
        ("a.toml", 1),
        ("a.txt", 0),
        ("py", 0),
        ("tsconfig.json", 0),
        ("", 0),
    ] {
        assert_eq!(
            rules_of(path, "} } {", &[]).len().min(1),
            expected,
            "{path}"
        );
    }
}

#[test]
fn columns_count_characters() {
    let found = analyse(&[file("a.py", "x = '🦀é' + missing\n")], &[]);
    let place = found[0].location.clone().unwrap();
    assert_eq!((place.line, place.column), (Some(1), Some(12)));
    assert_eq!(place.path, "a.py");
    assert!(found[0].help.is_some() && found[0].message.contains("missing"));
}

#[test]
fn files_are_bounded() {
    expect("a.py", &"#".repeat(MAX_FILE_BYTES + 1), "too-large:0");
    expect("a.py", &"#".repeat(MAX_FILE_BYTES), "");
    expect("a.js", "let a = '\0'\n", "syntax:1");
    expect("a.json", "\0", "syntax:1");
    let found = rules_of("a.py", &"missing\n".repeat(500), &[]);
    assert_eq!(found.len(), MAX_FINDINGS_PER_FILE + 1);
    assert_eq!(found.last().unwrap(), &("more".to_owned(), 0));
    // What is worst is kept, though it stands last.
    let noise = "try:\n    pass\nexcept:\n    pass\n".repeat(300);
    let found = rules_of("a.py", &format!("{noise}missing\n"), &[]);
    assert!(found.contains(&("undefined-name".to_owned(), 1_201)));
}

#[test]
fn a_byte_order_mark_moves_nothing() {
    expect(
        "a.py",
        "\u{feff}import os\nprint(os)\nmissing\n",
        "undefined-name:3",
    );
    expect(
        "a.js",
        "\u{feff}console.log(1)\nmissing()\n",
        "undefined-name:2",
    );
}

#[test]
fn nesting_is_bounded_in_every_language() {
    let deep = "[".repeat(100_000);
    expect("a.py", &deep, "too-deep:1");
    expect("a.py", &format!("x = 1\n\n{deep}"), "too-deep:3");
    expect("a.js", &format!("x = 1\n\n{deep}"), "too-deep:3");
    expect("a.json", &deep, "too-deep:1");
    expect("a.yaml", &deep, "syntax:1");
    expect("a.toml", &format!("a = {deep}"), "syntax:1");
}

#[test]
fn files_see_each_other() {
    let files = [
        file("package/__init__.py", ""),
        file(
            "package/stack.py",
            "from . import queue\nfrom .queue import Queue\nprint(queue, Queue)\n",
        ),
        file("package/queue.py", "class Queue:\n    pass\n"),
        file(
            "test_stack.py",
            "import package.stack\nfrom package import queue\nprint(package, queue)\n",
        ),
        file(
            "web/main.mjs",
            "import { a } from './a.mjs'\nimport b from '../data.json'\nconsole.log(a, b)\n",
        ),
        file("web/a.mjs", "export const a = 1\n"),
    ];
    assert_eq!(analyse(&files, &["data.json".to_owned()]), []);
    assert_eq!(analyse(&files, &[]).len(), 1);
}

#[test]
fn the_same_files_give_the_same_findings() {
    let few = "import a, b, c\ndef f():\n    x = y = z = 1\n    return p, q, r\n".to_owned();
    let mut many = String::from("def f():\n");
    for at in 0..1_500 {
        many.push_str(&format!("    x{at} = 1\n"));
    }
    for text in [few, many] {
        let first = analyse(&[file("a.py", &text)], &[]);
        for _ in 0..10 {
            assert_eq!(analyse(&[file("a.py", &text)], &[]), first);
        }
    }
}
