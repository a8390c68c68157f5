//! JSON, YAML and TOML.

use super::expect;

#[test]
fn data_is_judged_as_the_validation_agent_does() {
    for (path, text, expected) in [
        (
            "a.json",
            "{\"a\": [1, 2.5e3, null, true, \"\\u00e9\"]}\n",
            "",
        ),
        ("a.json", "{\"a\": 1,}\n", "syntax:1"),
        ("a.json", "{\"a\": 1,\n \"a\": 2}\n", "duplicate-key:2"),
        ("a.json", "// no\n{}", "syntax:1"),
        (".vscode/settings.json", "// yes\n{}", ""),
        ("a.json", "", "syntax:1"),
        ("a.yaml", "a: 1\nb: [1, 2]\n---\na: 2\n", ""),
        ("a.yml", "a: 1\na: 2\n", "duplicate-key:2"),
        ("a.yml", "a: [1, 2\nb: 3\n", "syntax:2"),
        ("a.toml", "a = 1\n[b]\nc = [1, 2]\n", ""),
        ("a.toml", "a = 1\na = 2\n", "duplicate-key:2"),
        ("a.toml", "a = \n", "syntax:1"),
    ] {
        expect(path, text, expected);
    }
}
