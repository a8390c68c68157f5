//! The page that lists every fault: what it names exists, and no test is missing in it.

use anyhow::{Context as _, ensure};
use infinity_tests::host::root;
use std::fs;

/// Every row, in the order of the page.
const ROWS: [&str; 34] = [
    "F01", "F02", "F03", "F04", "F05", "F06", "F07", "F08", "F10", "F11", "F12", "F13", "F15",
    "F16", "F18", "F19", "F20", "F22", "F23", "F24", "F26", "F34", "F35", "F37", "F38", "F40",
    "F41", "F42", "F44", "F45", "F46", "H58", "EMFILE", "UPGRADE",
];

/// The tests of this program, as they are written.
const SOURCES: [&str; 8] = [
    include_str!("changes.rs"),
    include_str!("clients.rs"),
    include_str!("clock.rs"),
    include_str!("crashes.rs"),
    include_str!("disk.rs"),
    include_str!("kills.rs"),
    include_str!("power.rs"),
    include_str!("versions.rs"),
];

#[test]
fn every_fault_is_on_the_page_with_tests_that_exist() -> anyhow::Result<()> {
    let page = fs::read_to_string(root().join("docs/faults.md"))?;
    let mut listed = Vec::new();
    for line in page.lines().filter(|line| line.starts_with("| ")) {
        let cells: Vec<&str> = line.split(" | ").collect();
        let row = cells[0].trim_start_matches("| ");
        if !ROWS.contains(&row) {
            continue;
        }
        ensure!(cells.len() == 5, "{line}");
        ensure!(
            !cells[4].trim_end_matches(" |").is_empty(),
            "no result: {line}"
        );
        // `file`: `test`, `test`; further files behind `<br>`.
        for shown in cells[3].split("<br>") {
            let (file, tests) = shown
                .split_once(": ")
                .with_context(|| format!("no test: {line}"))?;
            let file = file.trim_matches('`');
            let source = fs::read_to_string(root().join(file)).with_context(|| file.to_owned())?;
            for test in tests.split(", ") {
                let test = test.trim_matches('`');
                ensure!(
                    source.contains(&format!("fn {test}(")),
                    "`{file}` has no test `{test}`"
                );
            }
        }
        listed.push(row);
    }
    ensure!(listed == ROWS, "{listed:?}");
    // And none of the tests here is unknown to it.
    for source in SOURCES {
        for test in source.split("#[test]\nfn ").skip(1) {
            let name = test.split('(').next().unwrap_or_default();
            ensure!(
                page.contains(&format!("`{name}`")),
                "`{name}` is not on the page"
            );
        }
    }
    Ok(())
}
