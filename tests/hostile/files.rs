//! Guests that reach beyond their directories, or fill them.

use crate::suite::{Case, case, tree};
use infinity_tests::host::Folder;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// What must not change: everything that is not the guest's to write.
struct Outside {
    files: BTreeMap<String, Vec<u8>>,
    names: Vec<String>,
}

impl Outside {
    fn look(c: &Case<'_>) -> Self {
        let mut names: Vec<String> = std::fs::read_dir(c.suite.host.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        let mut files = tree(&c.suite.path("outside"));
        files.extend(tree(&c.suite.path("ro")));
        Self { files, names }
    }

    fn expect_unchanged(&self, c: &Case<'_>) {
        let now = Self::look(c);
        assert_eq!(now.files, self.files);
        assert_eq!(now.names, self.names);
    }
}

fn is_passed(word: &Value) -> bool {
    word == "ok" || word.is_object()
}

#[test]
fn h47_dotdot() {
    case("H47", |c| {
        let outside = Outside::look(c);
        let tricks = c.run("files", json!({ "case": "path_tricks", "base": "/data" }));
        c.expect(&tricks, "succeeded", None, "paths stay below the directory");
        let outcomes = tricks.output()["outcomes"].as_array().unwrap().clone();
        assert!(outcomes.len() >= 19);
        for outcome in &outcomes {
            let path = outcome["path"].as_str().unwrap();
            let leaves = path.starts_with("..") && !path.contains('\\') || path.starts_with('/');
            let broken = path.contains('\0') || path.is_empty() || outcome["path_bytes"] == 5000;
            if leaves || broken || path.contains("/../") {
                let through: Vec<_> = outcome
                    .as_object()
                    .unwrap()
                    .iter()
                    .filter(|(name, word)| !name.starts_with("path") && is_passed(word))
                    .collect();
                assert!(through.is_empty(), "{path:?}: {through:?}");
            }
        }
        for path in ["..", "../x", "../../../../etc/passwd", "/etc/passwd"] {
            tricks.expect_denial("files", &format!("open `{path}`"), "directories = [");
        }
        outside.expect_unchanged(c);
    });
}

#[test]
fn h48_symlinks() {
    case("H48", |c| {
        let outside = Outside::look(c);
        let links = ["tree/up", "tree/absolute", "tree/file"];
        let input = json!({ "case": "symlink_tricks", "base": "/data", "links": links,
            "targets": ["../outside", "../outside/", "../outside/passwd/"] });
        let tricks = c.run("files", input);
        c.expect(&tricks, "succeeded", None, "links do not lead out");
        let told = tricks.output().to_string();
        assert!(
            !told.contains("nobody may read this") && !told.contains("root:"),
            "{told}"
        );
        let mut led_out = 0;
        for outcome in tricks.output()["outcomes"].as_array().unwrap() {
            let target = outcome["target"].as_str().unwrap_or("..");
            if target.starts_with('/') {
                assert!(!is_passed(&outcome["made"]), "{outcome}");
                continue;
            }
            if !target.starts_with("..") {
                continue;
            }
            led_out += 1;
            for (name, word) in outcome.as_object().unwrap() {
                // The link itself may be looked at and is the guest's own.
                let own = ["link", "target", "made", "stat_slash"].contains(&name.as_str());
                assert!(own || !is_passed(word), "`{name}` of {outcome}");
            }
        }
        assert!(led_out >= 10, "{led_out}");
        tricks.expect_denial("files", "open `link-4`", "directories = [");
        outside.expect_unchanged(c);
    });
}

#[test]
fn h49_read_only_bypass() {
    case("H49", |c| {
        let outside = Outside::look(c);
        let file = c.suite.path("ro/file.txt");
        let state = |path: &Path| {
            let metadata = path.metadata().unwrap();
            (
                metadata.mtime(),
                metadata.mtime_nsec(),
                metadata.nlink(),
                metadata.len(),
            )
        };
        let before = (state(&file), state(&c.suite.path("ro")));
        let input = json!({ "case": "readonly_tricks", "base": "/ro", "writable": "/data" });
        let tricks = c.run("files", input);
        c.expect(&tricks, "succeeded", None, "read-only directory");
        for (name, word) in tricks.output()["outcomes"].as_object().unwrap() {
            let allowed = [
                "read",
                "open_mutate_directory",
                "other_create",
                "write_linked_out",
            ];
            assert_eq!(
                is_passed(word),
                allowed.contains(&name.as_str()),
                "{name}: {word}"
            );
        }
        assert_eq!((state(&file), state(&c.suite.path("ro"))), before);
        outside.expect_unchanged(c);
        tricks.expect_denial("files", "open `file.txt`", "write = true");

        let written = c.run(
            "files",
            json!({ "case": "write_file", "path": "/ro/new.txt" }),
        );
        c.expect(
            &written,
            "succeeded",
            None,
            "read-only directory; the guest copes",
        );
        assert!(written.output()["error"].is_string());
        written.expect_denial("files", "open `new.txt`", "write = true");
        let read = c.run(
            "files",
            json!({ "case": "read_file", "path": "/ro/file.txt" }),
        );
        c.expect(&read, "succeeded", None, "granted");
        assert_eq!(read.output()["text"], "original\n");
        let listed = c.run("files", json!({ "case": "list_dir", "path": "/ro" }));
        c.expect(&listed, "succeeded", None, "granted");
        assert_eq!(listed.output()["names"], json!(["directory", "file.txt"]));
        let missing = c.run(
            "victim",
            json!({ "case": "read_file", "path": "/ro/file.txt" }),
        );
        c.expect(&missing, "succeeded", None, "no directory; the guest copes");
        assert!(missing.output()["error"].is_string());
    });
}

#[test]
fn h51_fill_disk() {
    case("H51", |c| {
        let quota = c.suite.path("quota");
        let bytes = || {
            tree(&quota)
                .values()
                .map(|bytes| bytes.len() as u64)
                .sum::<u64>()
        };
        let empty = || {
            std::fs::remove_dir_all(&quota).unwrap();
            std::fs::create_dir(&quota).unwrap();
        };
        let input = json!({ "case": "write_endless", "path": "/quota/endless" });
        let endless = c.run("quota", input);
        c.expect(
            &endless,
            "succeeded",
            None,
            "bytes are charged; the guest copes",
        );
        assert!(
            endless.output()["error"].is_string(),
            "{}",
            endless.output()
        );
        assert!(endless.output()["written"].as_u64() <= Some(1 << 20));
        assert!((512 * 1024..=1 << 20).contains(&bytes()), "{}", bytes());
        empty();

        let sparse = c.run(
            "quota",
            json!({ "case": "sparse", "path": "/quota/sparse" }),
        );
        c.expect(
            &sparse,
            "succeeded",
            None,
            "growth is charged; the guest copes",
        );
        assert!(
            !is_passed(&sparse.output()["set_len"]),
            "{}",
            sparse.output()
        );
        let length = quota.join("sparse").metadata().unwrap().len();
        row_of_sparse(length);
        empty();

        let many = c.run("quota", json!({ "case": "many_files", "dir": "/quota" }));
        c.expect(
            &many,
            "succeeded",
            None,
            "files are counted; the guest copes",
        );
        assert!(
            many.output()["error"].as_str().unwrap().contains("Quota"),
            "{}",
            many.output()
        );
        assert_eq!(many.output()["created"], 100);
        assert_eq!(std::fs::read_dir(&quota).unwrap().count(), 100);
        empty();

        let deep = c.run("quota", json!({ "case": "deep_dirs", "dir": "/quota" }));
        c.expect(
            &deep,
            "succeeded",
            None,
            "directories are counted; the guest copes",
        );
        assert!(deep.output()["error"].is_string(), "{}", deep.output());
        assert!(deep.output()["created"].as_u64() <= Some(100));
        empty();
    });
}

fn row_of_sparse(length: u64) {
    crate::suite::row(crate::suite::Row {
        case: "H51 sparse, the file's length".into(),
        expected: "at most 1 MiB".into(),
        got: format!("{length} bytes"),
        containment: "growth is charged".into(),
        overrun_ms: None,
    });
    assert!(length <= 1 << 20, "{length}");
}

#[test]
fn h52_special_files() {
    case("H52", |c| {
        for name in ["fifo", "socket"] {
            let input = json!({ "case": "open_special", "base": "/data", "name": name });
            let special = c.run("files", input);
            c.expect(
                &special,
                "succeeded",
                None,
                "only files and directories are opened",
            );
            for way in ["read", "write", "both"] {
                let word = &special.output()["outcomes"][way];
                assert!(word.is_string() && word != "ok", "{way}: {word}");
            }
            special.expect_denial("files", name, "directories = [");
            // Nothing waited for the other end.
            assert!(special.run["usage"]["wall_us"].as_u64() < Some(2_000_000));
        }
    });
}

/// The same attacks where the kernel has no `openat2`, so that paths are resolved step by step: the same is refused, if not always with the same word.
#[test]
fn h48_symlinks_without_openat2() {
    let attack = |without: bool| {
        let folder = Folder::new().unwrap();
        folder.component("test_guests", "guests").unwrap();
        let grants = "[agents.files]\nplugin = \"guests\"\n\
            grants = { directories = [{ host = \"data\", guest = \"/data\", write = true }] }";
        folder.config("", grants).unwrap();
        let path = folder.path();
        std::fs::create_dir_all(path.join("data/tree")).unwrap();
        std::fs::create_dir(path.join("outside")).unwrap();
        std::fs::write(path.join("outside/passwd"), "nobody may read this\n").unwrap();
        for (target, link) in [
            ("../../outside", "up"),
            ("/etc", "absolute"),
            ("../../outside/passwd", "file"),
        ] {
            std::os::unix::fs::symlink(target, path.join("data/tree").join(link)).unwrap();
        }
        let host = if without {
            folder.serve_without_openat2()
        } else {
            folder.serve()
        }
        .unwrap();
        let status = std::fs::read_to_string(format!("/proc/{}/status", host.pid())).unwrap();
        let filtered = status.lines().any(|line| line.trim() == "Seccomp:\t2");
        assert_eq!(
            filtered, without,
            "the filter is in force where it should be"
        );
        let mut seen = Vec::new();
        for input in [
            json!({ "case": "path_tricks", "base": "/data" }),
            json!({ "case": "symlink_tricks", "base": "/data",
                "links": ["tree/up", "tree/absolute", "tree/file"],
                "targets": ["../outside", "../outside/", "../outside/passwd/"] }),
        ] {
            let run = host.run("files", &input).unwrap();
            assert_eq!(run["outcome"], "succeeded", "{run}");
            let report = host.report(&run).unwrap();
            let told = report["output"].to_string();
            assert!(
                !told.contains("nobody may read this") && !told.contains("root:"),
                "{told}"
            );
            seen.push(report["output"].clone());
        }
        let outside = tree(&host.path().join("outside"));
        assert_eq!(outside.len(), 1, "{outside:?}");
        assert_eq!(outside["passwd"], b"nobody may read this\n");
        seen
    };
    let (without, with) = (attack(true), attack(false));
    for (without, with) in without.iter().zip(&with) {
        let outcomes = |seen: &Value| seen["outcomes"].as_array().unwrap().clone();
        let (without, with) = (outcomes(without), outcomes(with));
        assert_eq!(without.len(), with.len());
        for (without, with) in without.iter().zip(&with) {
            for (name, word) in with.as_object().unwrap() {
                assert_eq!(
                    is_passed(&without[name]),
                    is_passed(word),
                    "`{name}`: {} and not {word}, of {with}",
                    without[name]
                );
            }
        }
    }
}
