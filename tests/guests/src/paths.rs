//! Cases that try to leave a directory, or to change one that may only be read, through the bare `wasi:filesystem` calls: the standard library would
//! refuse some of these paths itself.
//!
//! Each attempt is one entry of the output, with the error's name or `ok`.

use crate::input::{Answer, Input, observed};
use infinity_sdk::prelude::*;
use serde_json::{Value, json};
use wasip2::filesystem::preopens;
use wasip2::filesystem::types::{
    Descriptor, DescriptorFlags, ErrorCode, NewTimestamp, OpenFlags, PathFlags,
};

/// The preopened directory that the guest sees as `base`.
fn preopen(base: &str) -> Result<Descriptor, Failure> {
    preopens::get_directories()
        .into_iter()
        .find(|(_, path)| path == base)
        .map(|(descriptor, _)| descriptor)
        .ok_or_else(|| Failure::InvalidInput(format!("`{base}` is not preopened")))
}

fn word<T>(result: Result<T, ErrorCode>) -> Value {
    match result {
        Ok(_) => json!("ok"),
        Err(error) => json!(error.name()),
    }
}

/// Opens a path to read it, and reads its first bytes.
fn read_at(base: &Descriptor, flags: PathFlags, path: &str) -> Value {
    match base.open_at(flags, path, OpenFlags::empty(), DescriptorFlags::READ) {
        Ok(file) => match file.read(256, 0) {
            Ok((bytes, _)) => json!({ "read": String::from_utf8_lossy(&bytes) }),
            Err(error) => json!({ "opened": true, "read_error": error.name() }),
        },
        Err(error) => json!(error.name()),
    }
}

/// The names in a directory below the base.
fn names_at(base: &Descriptor, flags: PathFlags, path: &str) -> Value {
    let listed = base
        .open_at(flags, path, OpenFlags::DIRECTORY, DescriptorFlags::READ)
        .and_then(|directory| {
            let entries = directory.read_directory()?;
            let mut names = Vec::new();
            while let Some(entry) = entries.read_directory_entry()? {
                names.push(entry.name);
            }
            names.sort();
            Ok(names)
        });
    match listed {
        Ok(names) => json!({ "names": names }),
        Err(error) => json!(error.name()),
    }
}

fn create_at(base: &Descriptor, path: &str) -> Result<(), ErrorCode> {
    let flags = DescriptorFlags::READ | DescriptorFlags::WRITE;
    let file = base.open_at(PathFlags::SYMLINK_FOLLOW, path, OpenFlags::CREATE, flags)?;
    file.write(b"tricked", 0).map(|_| ())
}

/// Reads, lists, changes and removes what each path names. `paths` replaces the list; `read_only` leaves out what changes anything.
pub(crate) fn path_tricks(input: &Input) -> Answer {
    let base = preopen(input.text("base")?)?;
    let long = "a".repeat(5000);
    let long_parts = "a/".repeat(2500);
    let mut paths = input.texts("paths");
    if paths.is_empty() {
        paths = vec![
            "..",
            "../",
            "../x",
            "../../../../etc/passwd",
            "a/../../x",
            "./../x",
            "a/b/../../../x",
            "/",
            "/etc/passwd",
            "//etc/passwd",
            "",
            ".",
            "nul\0byte",
            "..\0",
            "..\\x",
            "C:\\x",
            "\u{ff0e}\u{ff0e}/x",
            &long,
            &long_parts,
        ];
    }
    let follow = PathFlags::SYMLINK_FOLLOW;
    let outcomes: Vec<_> = paths
        .iter()
        .map(|path| {
            let mut tried = json!({
                "path": path.chars().take(40).collect::<String>(),
                "path_bytes": path.len(),
                "read": read_at(&base, follow, path),
                "list": names_at(&base, follow, path),
                "stat": word(base.stat_at(follow, path)),
                "readlink": match base.readlink_at(path) {
                    Ok(target) => json!({ "target": target }),
                    Err(error) => json!(error.name()),
                },
            });
            if !input.flag("read_only") {
                tried["create"] = word(create_at(&base, path));
                tried["create_directory"] = word(base.create_directory_at(path));
                tried["symlink"] = word(base.symlink_at("a", path));
                tried["link_to"] = word(base.link_at(PathFlags::empty(), "a", &base, path));
                tried["link_from"] = word(base.link_at(PathFlags::empty(), path, &base, "linked"));
                tried["rename_to"] = word(base.rename_at("renamed", &base, path));
                tried["rename_from"] = word(base.rename_at(path, &base, "renamed"));
                tried["unlink"] = word(base.unlink_file_at(path));
                tried["remove_directory"] = word(base.remove_directory_at(path));
            }
            tried
        })
        .collect();
    observed(&json!({ "outcomes": outcomes }))
}

/// Makes links that lead out of `base` and goes through each; `targets` adds to the list, `links` names links that are already there.
pub(crate) fn symlink_tricks(input: &Input) -> Answer {
    let base = preopen(input.text("base")?)?;
    let mut targets = vec![
        "/etc",
        "/etc/",
        "/etc/passwd",
        "/etc/passwd/",
        "..",
        "../",
        "../..",
        "../../../../../../etc",
        "link-0",
        "link-5/passwd",
        "link-10",
        "missing",
        "missing/",
        ".",
    ];
    targets.extend(input.texts("targets"));
    let mut links: Vec<(String, Option<&str>, Value)> = targets
        .iter()
        .enumerate()
        .map(|(number, target)| {
            let link = format!("link-{number}");
            let made = word(base.symlink_at(target, &link));
            (link, Some(*target), made)
        })
        .collect();
    for link in input.texts("links") {
        links.push((link.to_owned(), None, json!("was there")));
    }
    // All links before any use, so that chains may point forward.
    let outcomes: Vec<_> = links
        .iter()
        .map(|(link, target, made)| {
            if made != "ok" && target.is_some() {
                // Without the link, what follows would make a file of its name and hide it from the chains.
                return json!({ "link": link, "target": target, "made": made });
            }
            let follow = PathFlags::SYMLINK_FOLLOW;
            let slash = format!("{link}/");
            let below = format!("{link}/passwd");
            let moved = format!("{link}-moved");
            json!({
                "link": link,
                "target": target,
                "made": made,
                "read": read_at(&base, follow, link),
                "read_no_follow": read_at(&base, PathFlags::empty(), link),
                "read_slash": read_at(&base, follow, &slash),
                "read_slash_no_follow": read_at(&base, PathFlags::empty(), &slash),
                "read_below": read_at(&base, follow, &below),
                "list": names_at(&base, follow, link),
                "list_slash": names_at(&base, follow, &slash),
                "list_slash_no_follow": names_at(&base, PathFlags::empty(), &slash),
                "stat": word(base.stat_at(follow, link)),
                "stat_slash": word(base.stat_at(PathFlags::empty(), &slash)),
                "create_below": word(create_at(&base, &format!("{link}/created"))),
                "create_through": word(create_at(&base, link)),
                "set_times": word(base.set_times_at(
                    follow,
                    link,
                    NewTimestamp::Now,
                    NewTimestamp::Now,
                )),
                "link_below": word(base.link_at(PathFlags::empty(), &below, &base, "hard")),
                "rename_below": word(base.rename_at(&below, &base, "moved")),
                "unlink_below": word(base.unlink_file_at(&below)),
                "rename_slash": word(base.rename_at(&slash, &base, &moved)),
                "unlink_slash": word(base.unlink_file_at(&slash)),
                "remove_directory_slash": word(base.remove_directory_at(&slash)),
            })
        })
        .collect();
    let removed: Vec<_> = links
        .iter()
        .filter(|(_, target, _)| target.is_some())
        .map(|(link, _, _)| word(base.unlink_file_at(link)))
        .collect();
    observed(&json!({ "outcomes": outcomes, "removed": removed }))
}

/// Tries everything that would change `base`, which holds `file` and may hold the directory `directory`; `writable` names a second preopen to link
/// and rename from.
pub(crate) fn readonly_tricks(input: &Input) -> Answer {
    let base = preopen(input.text("base")?)?;
    let file = input.text_or("file", "file.txt");
    let directory = input.text_or("directory", "directory");
    let follow = PathFlags::SYMLINK_FOLLOW;
    let none = OpenFlags::empty();
    let read = DescriptorFlags::READ;
    let write = DescriptorFlags::WRITE;
    let now = NewTimestamp::Now;
    let still = NewTimestamp::NoChange;
    let open = |open, flags| word(base.open_at(follow, file, open, flags));
    let mut outcomes = json!({
        "read": read_at(&base, follow, file),
        "open_write": open(none, write),
        "open_read_write": open(none, read | write),
        "open_truncate": open(OpenFlags::TRUNCATE, write),
        "open_truncate_read": open(OpenFlags::TRUNCATE, read),
        "open_create_existing": open(OpenFlags::CREATE, read),
        "open_create": word(base.open_at(follow, "new.txt", OpenFlags::CREATE, write)),
        "open_create_read": word(base.open_at(follow, "new-2.txt", OpenFlags::CREATE, read)),
        "open_create_exclusive": word(base.open_at(
            follow,
            "new-3.txt",
            OpenFlags::CREATE | OpenFlags::EXCLUSIVE,
            write,
        )),
        "open_mutate_directory": word(base.open_at(
            follow,
            ".",
            OpenFlags::DIRECTORY,
            read | DescriptorFlags::MUTATE_DIRECTORY,
        )),
        "create_directory": word(base.create_directory_at("new-directory")),
        "symlink": word(base.symlink_at(file, "new-symlink")),
        "link": word(base.link_at(PathFlags::empty(), file, &base, "new-link")),
        "rename": word(base.rename_at(file, &base, "renamed.txt")),
        "rename_onto_itself": word(base.rename_at(file, &base, file)),
        "set_times_at": word(base.set_times_at(follow, file, now, now)),
        "set_times_at_directory": word(base.set_times_at(follow, directory, now, still)),
        "set_times_base": word(base.set_times(now, now)),
        "unlink": word(base.unlink_file_at(file)),
        "unlink_directory": word(base.unlink_file_at(directory)),
        "remove_directory": word(base.remove_directory_at(directory)),
    });
    let mutable = read | DescriptorFlags::MUTATE_DIRECTORY;
    if let Ok(again) = base.open_at(follow, ".", OpenFlags::DIRECTORY, mutable) {
        outcomes["mutable_create"] = word(create_at(&again, "new-4.txt"));
        outcomes["mutable_create_directory"] = word(again.create_directory_at("new-directory-2"));
        outcomes["mutable_unlink"] = word(again.unlink_file_at(file));
        outcomes["mutable_set_times_at"] = word(again.set_times_at(follow, file, now, now));
    }
    match base.open_at(follow, file, none, read) {
        Ok(opened) => {
            outcomes["descriptor_write"] = word(opened.write(b"tricked", 0));
            outcomes["descriptor_write_stream"] = word(opened.write_via_stream(0));
            outcomes["descriptor_append_stream"] = word(opened.append_via_stream());
            outcomes["descriptor_set_size"] = word(opened.set_size(0));
            outcomes["descriptor_set_times"] = word(opened.set_times(now, now));
        }
        Err(error) => outcomes["descriptor"] = json!(error.name()),
    }
    match base.open_at(follow, directory, OpenFlags::DIRECTORY, read) {
        Ok(inner) => {
            outcomes["inner_create"] = word(create_at(&inner, "new.txt"));
            outcomes["inner_create_directory"] = word(inner.create_directory_at("new"));
            outcomes["inner_rename_up"] = word(inner.rename_at("..", &base, "up"));
            outcomes["inner_read_up"] = read_at(&inner, follow, &format!("../{file}"));
        }
        Err(error) => outcomes["inner"] = json!(error.name()),
    }
    if let Some(other) = input.get("writable").and_then(Value::as_str) {
        let other = preopen(other)?;
        outcomes["other_create"] = word(create_at(&other, "source.txt"));
        let no_follow = PathFlags::empty();
        outcomes["link_in"] = word(other.link_at(no_follow, "source.txt", &base, "linked"));
        outcomes["link_out"] = word(base.link_at(no_follow, file, &other, "linked-out.txt"));
        outcomes["write_linked_out"] = word(create_at(&other, "linked-out.txt"));
        outcomes["rename_in"] = word(other.rename_at("source.txt", &base, "moved.txt"));
        outcomes["rename_onto"] = word(other.rename_at("source.txt", &base, file));
        outcomes["rename_out"] = word(base.rename_at(file, &other, "moved-out.txt"));
    }
    observed(&json!({ "outcomes": outcomes }))
}

/// Opens `name` below `base`, which is no regular file, for reading and for writing.
pub(crate) fn open_special(input: &Input) -> Answer {
    let base = preopen(input.text("base")?)?;
    let path = input.text("name")?;
    let mut outcomes = json!({
        "stat": word(base.stat_at(PathFlags::SYMLINK_FOLLOW, path)),
    });
    let attempts = [
        ("read", DescriptorFlags::READ),
        ("write", DescriptorFlags::WRITE),
        ("both", DescriptorFlags::READ | DescriptorFlags::WRITE),
    ];
    for (name, flags) in attempts {
        let opened = base.open_at(PathFlags::SYMLINK_FOLLOW, path, OpenFlags::empty(), flags);
        outcomes[name] = match opened {
            Ok(descriptor) => json!({
                "type": descriptor.get_type().map_or_else(|e| e.name().to_owned(), |t| format!("{t:?}")),
                "read": word(descriptor.read(16, 0)),
                "write": word(descriptor.write(b"tricked", 0)),
            }),
            Err(error) => json!(error.name()),
        };
    }
    observed(&json!({ "outcomes": outcomes }))
}
