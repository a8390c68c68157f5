//! `infinity selftest`, as a user runs it: the real program attacks a host of its own, says what came of it, and leaves nothing behind.

use infinity_tests::host::{Folder, poll, root};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// An empty folder without a configuration; its folder for temporary files is the one where nothing may be left.
fn folder() -> Folder {
    let folder = Folder::new().unwrap();
    fs::create_dir(folder.path().join("tmp")).unwrap();
    folder
}

fn command(folder: &Folder, arguments: &[&str]) -> Command {
    let mut command = folder.command(&[&["selftest"], arguments].concat());
    command.env("TMPDIR", folder.path().join("tmp"));
    command
}

fn expect_nothing_left(folder: &Folder) {
    let names: Vec<_> = fs::read_dir(folder.path().join("tmp"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert!(names.is_empty(), "{names:?} are left");
    for name in ["var", "plugins.toml"] {
        assert!(!folder.path().join(name).exists(), "`{name}` was made");
    }
}

fn texts<'a>(list: &'a Value, field: &str) -> BTreeSet<&'a str> {
    let items = list.as_array().unwrap();
    items
        .iter()
        .map(|item| item[field].as_str().unwrap())
        .collect()
}

#[test]
fn every_attack_is_contained_and_every_row_is_accounted_for() {
    let folder = folder();
    let output = command(&folder, &["--json", "--markdown", "page.md"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let report: Value = serde_json::from_str(&said)
        .unwrap_or_else(|_| panic!("{said}{}", String::from_utf8_lossy(&output.stderr)));
    for case in report["cases"].as_array().unwrap() {
        assert_eq!(case["contained"], true, "{case:#}");
        assert_eq!(case["got"], case["expected"], "{case:#}");
        assert_ne!(case["layer"], "", "{case:#}");
    }
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(report["failed"], 0);
    assert!(report["contained"].as_u64() >= Some(55), "{report:#}");
    assert!(report["host"]["canary_runs"].as_u64() > Some(5));

    // Each row of the page is tried, or it is said where it is tested instead.
    let tried = texts(&report["cases"], "row");
    let told = texts(&report["not_here"], "row");
    assert!(tried.is_disjoint(&told));
    let page = fs::read_to_string(root().join("docs/hostile.md")).unwrap();
    let rows = page
        .lines()
        .filter_map(|line| line.strip_prefix("| H")?.split_once(' '));
    for (number, _) in rows {
        let row = format!("H{number}");
        assert!(
            tried.contains(&*row) || told.contains(&*row),
            "{row} is neither tried nor named"
        );
    }

    let page = fs::read_to_string(folder.path().join("page.md")).unwrap();
    let lines = page.lines().filter(|line| line.starts_with("| H"));
    assert_eq!(
        lines.count(),
        report["cases"].as_array().unwrap().len()
            + told.iter().filter(|row| row.starts_with('H')).count()
    );
    assert!(page.contains("All contained"), "{page}");
    expect_nothing_left(&folder);
}

#[test]
fn only_the_rows_that_were_asked_for_are_tried() {
    let folder = folder();
    let output = command(&folder, &["--json", "--only", "H04,h13-grow"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let names = texts(&report["cases"], "name");
    assert_eq!(
        names,
        BTreeSet::from(["h04-recurse", "h04-start", "h13-grow"])
    );
    expect_nothing_left(&folder);

    let output = command(&folder, &["--only", "H04"]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("trapped: stack_overflow"), "{said}");
    assert!(said.contains("all contained: 2 attacks in"), "{said}");
    assert!(!said.contains('\u{1b}'), "{said}");

    let output = command(&folder, &["--only", "H99"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("there is no case `H99`"), "{said}");
    expect_nothing_left(&folder);
}

#[test]
fn a_soak_repeats_the_attacks_and_looks_at_the_host() {
    let folder = folder();
    let output = command(
        &folder,
        &["--json", "--only", "H04,H13,H25", "--soak", "5s"],
    )
    .output()
    .unwrap();
    assert!(output.status.success(), "{output:?}");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let soak = &report["soak"];
    assert!(soak["attacks"].as_u64() > Some(20), "{soak}");
    assert!(soak["looks"].as_u64() >= Some(2), "{soak}");
    let ends: Vec<_> = soak["ends"].as_object().unwrap().keys().collect();
    assert_eq!(
        ends,
        ["limited: memory", "succeeded", "trapped: stack_overflow"]
    );
    expect_nothing_left(&folder);
}

#[test]
fn an_interruption_leaves_nothing_behind() {
    for signal in ["INT", "TERM"] {
        let folder = folder();
        let temporary = folder.path().join("tmp");
        let mut child = command(&folder, &["--soak", "10m"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let host = poll(Duration::from_secs(120), || listening(&temporary));
        let host = host.expect("the host that is attacked did not start");
        let sent = Command::new("kill")
            .args([&format!("-{signal}"), &child.id().to_string()])
            .status();
        assert!(sent.unwrap().success());
        let ended = poll(Duration::from_secs(20), || child.try_wait().unwrap());
        assert_eq!(ended.expect("it did not end").code(), Some(1), "{signal}");
        assert!(
            poll(Duration::from_secs(5), || {
                (!Path::new(&format!("/proc/{host}")).exists()).then_some(())
            })
            .is_some(),
            "the host still runs after {signal}"
        );
        expect_nothing_left(&folder);
    }
}

/// The process of the host that is attacked, once it listens.
fn listening(temporary: &Path) -> Option<u32> {
    let folder = fs::read_dir(temporary).ok()?.flatten().next()?.path();
    fs::metadata(folder.join("var/address")).ok()?;
    // The host is the one that works in that folder.
    fs::read_dir("/proc").ok()?.flatten().find_map(|entry| {
        let process: u32 = entry.file_name().to_str()?.parse().ok()?;
        let place = fs::read_link(entry.path().join("cwd")).ok()?;
        (place == folder).then_some(process)
    })
}
