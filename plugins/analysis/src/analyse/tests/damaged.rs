//! Programs that somebody damaged: whatever comes in, the answer is findings and never a panic.

use super::*;

/// Cases for each run. The sequence is always the same, so that what fails once fails again.
const CASES: u32 = 10_000;

/// A generator of numbers that needs no crate: xorshift.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % sides.max(1) as u64).unwrap_or(0)
    }
}

const SAMPLES: &[(&str, &str)] = &[
    ("a.py", include_str!("samples/program.py")),
    ("test_a.py", include_str!("samples/strange.py")),
    ("a.js", include_str!("samples/program.js")),
    ("a.tsx", include_str!("samples/program.tsx")),
    (
        "a.json",
        "{\"a\": [1, {\"b\": null}], \"c\": \"\\ud83e\\udd80\"}",
    ),
    ("a.yaml", "a: &x [1, 2]\nb: *x\n? [c]\n: |\n  text\n"),
    ("a.toml", "a = 1\n[b.c]\nd = [{e = 1979-05-27}]\n"),
];

const SNIPPETS: &[&str] = &[
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    "\"",
    "'",
    "\"\"\"",
    "`",
    "${",
    "f\"{",
    "/",
    "//",
    "/*",
    "*/",
    "#",
    "\\",
    "\n",
    "\r",
    "\t",
    "    ",
    "\u{feff}",
    "\u{2028}",
    "é",
    "🦀",
    "\u{0}",
    ":",
    ";",
    ",",
    ".",
    "...",
    "=",
    "==",
    "=>",
    "->",
    ":=",
    "*",
    "**",
    "@",
    "<",
    ">",
    "</",
    "/>",
    "?",
    "?.",
    "!",
    "0x",
    "1e999",
    "9007199254740993",
    "0777",
    "1_",
    "def ",
    "class ",
    "lambda ",
    "async ",
    "await ",
    "yield ",
    "return ",
    "import ",
    "from . import *\n",
    "global x\n",
    "nonlocal x\n",
    "del x\n",
    "match x:\n case ",
    "try:\n",
    "except* ",
    "with ",
    "function ",
    "new ",
    "super",
    "this",
    "enum ",
    "namespace ",
    "declare ",
    "type ",
    "as ",
    "satisfies ",
    "#private",
    "static ",
    "get ",
    "accessor ",
    "import.meta",
    "/(?<a>",
    "\\u{110000}",
    "%s",
    "{{",
    "}}",
    "!r",
    "rb'",
    "t'{",
    "__proto__",
];

fn damage(text: &str, dice: &mut Dice) -> String {
    let mut characters: Vec<char> = text.chars().collect();
    for _ in 0..=dice.roll(6) {
        let at = dice.roll(characters.len() + 1);
        let end = (at + dice.roll(30)).min(characters.len());
        match dice.roll(5) {
            0 => drop(characters.drain(at..end)),
            1 => {
                let part: Vec<char> = characters.get(at..end).unwrap_or_default().to_vec();
                let to = dice.roll(characters.len() + 1);
                drop(characters.splice(to..to, part));
            }
            2 => characters.truncate(at),
            3 => {
                let snippet = SNIPPETS[dice.roll(SNIPPETS.len())];
                let times = if dice.roll(20) == 0 { 300 } else { 1 };
                drop(characters.splice(at..at, snippet.repeat(times).chars()));
            }
            _ => {
                let snippet = SNIPPETS[dice.roll(SNIPPETS.len())];
                drop(characters.splice(at..end, snippet.chars()));
            }
        }
    }
    characters.into_iter().collect()
}

#[test]
fn damaged_programs_end_in_findings() {
    let mut dice = Dice(0x9E37_79B9_7F4A_7C15);
    for _ in 0..CASES {
        let (path, text) = SAMPLES[dice.roll(SAMPLES.len())];
        let text = damage(text, &mut dice);
        for finding in analyse(&[file(path, &text)], &[]) {
            assert!(!finding.message.is_empty() && finding.rule.contains('/'));
        }
    }
}

#[test]
fn samples_are_sound() {
    for (path, text) in SAMPLES {
        let errors: Vec<Finding> = analyse(&[file(path, text)], &[])
            .into_iter()
            .filter(|it| it.level == types::Level::Error)
            .collect();
        assert_eq!(errors, [], "{path}");
    }
}

/// Nothing that a program of this size does takes long, however it is made.
#[test]
fn contrived_programs_take_no_time() {
    let mut names = String::new();
    for at in 0..30_000 {
        names.push_str(&format!("x{at} = y{at}\n"));
    }
    let deep: String = (0..90)
        .map(|level| format!("{}def f{level}():\n", " ".repeat(level)))
        .chain((0..2_000).map(|at| format!("{}missing{at}\n", " ".repeat(90))))
        .collect();
    let keys = format!("x = {{{}}}\n", "1: 1, ".repeat(50_000));
    let started = std::time::Instant::now();
    for (path, text) in [
        ("a.py", names.as_str()),
        ("a.py", deep.as_str()),
        ("a.py", keys.as_str()),
        ("a.js", names.as_str()),
        ("a.js", &format!("x = {{{}}}\n", "a: 1, ".repeat(50_000))),
        ("a.js", &"/".repeat(100_000)),
        ("a.js", &"/(".repeat(100_000)),
        ("a.js", &"`${".repeat(100_000)),
        ("a.py", &"f'{".repeat(100_000)),
        ("a.py", &"'''".repeat(100_000)),
    ] {
        analyse(&[file(path, text)], &[]);
    }
    // Generous, as machines that test are busy.
    assert!(started.elapsed().as_secs() < 30, "{:?}", started.elapsed());
}
