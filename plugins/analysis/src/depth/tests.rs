//! What is too deep and what is not.

use super::{MAX_CHAIN, TooDeep, javascript, python};

fn is_deep(found: Result<(), TooDeep>) -> Option<bool> {
    match found {
        Ok(()) => None,
        Err(TooDeep::Levels(_)) => Some(true),
        Err(TooDeep::Chain(_)) => Some(false),
    }
}

#[test]
fn python_nests_in_brackets_blocks_and_operators() {
    let blocks: String = (0..300)
        .map(|level| format!("{}if x:\n", " ".repeat(level)))
        .collect();
    for (text, expected) in [
        ("(".repeat(100_000), Some(true)),
        ("[{(".repeat(100), Some(true)),
        (format!("{}1{}\n", "(".repeat(90), ")".repeat(90)), None),
        ("x = f\"{x(((1)))}\"\n".repeat(5_000), None),
        (format!("f\"{{ \"a\" {} }}\"", "(".repeat(300)), Some(true)),
        (format!("x = '{}'\n", "(".repeat(300)), None),
        (format!("# {}\n", "(".repeat(300)), None),
        (blocks, Some(true)),
        (format!("x = {}1\n", "1 + ".repeat(10_000)), Some(false)),
        (format!("x = {}1\n", "-".repeat(10_000)), Some(false)),
        (format!("x = {}1\n", "not ".repeat(10_000)), Some(false)),
        (format!("x = {}1\n", "lambda: ".repeat(10_000)), Some(false)),
        (
            format!("x = {}1\n", "lambda a, b: ".repeat(10_000)),
            Some(false),
        ),
        (format!("x{}\n", "()".repeat(10_000)), Some(false)),
        (format!("x{}\n", ".a".repeat(10_000)), Some(false)),
        (
            format!("x = {}1\n", "1 if 1 else ".repeat(10_000)),
            Some(false),
        ),
        ("x = a + b\n".repeat(MAX_CHAIN * 2), None),
        (format!("x = [{}]\n", "a + b, ".repeat(MAX_CHAIN * 2)), None),
        (format!("x = ({})\n", "'a'\n".repeat(MAX_CHAIN * 2)), None),
    ] {
        let shown: String = text.chars().take(40).collect();
        assert_eq!(is_deep(python::measure(&text)), expected, "{shown}");
    }
}

#[test]
fn javascript_nests_in_brackets_and_operators() {
    for (text, expected) in [
        ("(".repeat(100_000), Some(true)),
        ("[{(".repeat(100), Some(true)),
        ("`${".repeat(300), Some(true)),
        (format!("'{}'", "(".repeat(300)), None),
        (format!("/{}/.test(x)", "\\(".repeat(300)), None),
        (format!("x = /{}/", "(".repeat(300)), Some(true)),
        (
            format!("// {}\n/* {} */", "(".repeat(300), "(".repeat(300)),
            None,
        ),
        (format!("`{}`", "(".repeat(300)), None),
        (format!("a / 2 + {} / 3", "(".repeat(300)), Some(true)),
        ("if (a) ".repeat(10_000), Some(false)),
        ("if (a) {} else ".repeat(10_000), Some(false)),
        ("for (;;)\n".repeat(10_000), Some(false)),
        ("a => ".repeat(10_000), Some(false)),
        ("async a => ".repeat(10_000), Some(false)),
        ("a ? b : ".repeat(10_000), Some(false)),
        ("x = ".repeat(10_000), Some(false)),
        ("!".repeat(10_000), Some(false)),
        ("typeof ".repeat(10_000), Some(false)),
        ("1 + ".repeat(10_000), Some(false)),
        ("a.".repeat(10_000), Some(false)),
        ("a()".to_owned() + &"()".repeat(10_000), Some(false)),
        ("a: ".repeat(10_000), Some(false)),
        ("<a>".repeat(10_000), Some(true)),
        ("let x: A<".to_owned() + &"A<".repeat(10_000), Some(false)),
        ("foo.bar(1)\n".repeat(MAX_CHAIN * 2), None),
        ("if (a) { b() }\n".repeat(MAX_CHAIN * 2), None),
        ("a = b + c;".repeat(MAX_CHAIN * 2), None),
        (
            "switch (a) {".to_owned() + &"case 1:\n".repeat(MAX_CHAIN * 2),
            None,
        ),
        ("<p>a</p>".repeat(300), None),
        ("let a = 1\nconst b = a < 2\n".repeat(MAX_CHAIN), None),
    ] {
        let shown: String = text.chars().take(40).collect();
        assert_eq!(is_deep(javascript::measure(&text)), expected, "{shown}");
    }
}
