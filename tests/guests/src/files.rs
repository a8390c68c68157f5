//! Cases that use files as any program would, through the standard library.

use crate::input::{Answer, Input, observed};
use infinity_sdk::prelude::*;
use serde_json::json;
use std::fs::{self, File, OpenOptions};
use std::io::Write;

/// An I/O error as its kind and its text.
fn failed(error: &std::io::Error) -> serde_json::Value {
    json!(format!("{:?}: {error}", error.kind()))
}

/// Reads `path`.
pub(crate) fn read_file(input: &Input) -> Answer {
    match fs::read(input.text("path")?) {
        Ok(bytes) => observed(&json!({
            "bytes": bytes.len(),
            "text": String::from_utf8_lossy(&bytes[..bytes.len().min(4096)]),
        })),
        Err(error) => observed(&json!({ "error": failed(&error) })),
    }
}

/// Writes `text`, or `bytes` bytes, to `path`; adds to what is there where `append` is set.
pub(crate) fn write_file(input: &Input) -> Answer {
    let content = match input.get("text").and_then(|text| text.as_str()) {
        Some(text) => text.as_bytes().to_vec(),
        None => vec![b'w'; input.size_or("bytes", 10)],
    };
    let append = input.flag("append");
    let result = OpenOptions::new()
        .create(true)
        .write(true)
        .append(append)
        .truncate(!append)
        .open(input.text("path")?)
        .and_then(|mut file| file.write_all(&content));
    observed(&match result {
        Ok(()) => json!({ "written": content.len(), "error": null }),
        Err(error) => json!({ "written": null, "error": failed(&error) }),
    })
}

/// Writes chunks of `chunk_bytes` to `path` until an error or `max_bytes`.
pub(crate) fn write_endless(input: &Input) -> Answer {
    let chunk = vec![b'e'; input.size_or("chunk_bytes", 64 * 1024)];
    let most = input.number_or("max_bytes", 10 * 1024 * 1024 * 1024);
    let mut file = match File::create(input.text("path")?) {
        Ok(file) => file,
        Err(error) => return observed(&json!({ "written": 0, "error": failed(&error) })),
    };
    let mut written = 0_u64;
    while written < most {
        match file.write(&chunk) {
            Ok(0) => return observed(&json!({ "written": written, "error": "nothing written" })),
            Ok(bytes) => written += bytes as u64,
            Err(error) => {
                return observed(&json!({ "written": written, "error": failed(&error) }));
            }
        }
    }
    observed(&json!({ "written": written, "error": null }))
}

/// Makes `path` `size` bytes long without writing them, then writes one byte at the end.
pub(crate) fn sparse(input: &Input) -> Answer {
    use std::io::{Seek, SeekFrom};
    let size = input.number_or("size", 1 << 60);
    let mut file = match File::create(input.text("path")?) {
        Ok(file) => file,
        Err(error) => return observed(&json!({ "create": failed(&error) })),
    };
    let words = |result: std::io::Result<()>| match result {
        Ok(()) => json!("ok"),
        Err(error) => failed(&error),
    };
    let set_len = words(file.set_len(size));
    let write_at_end = words(
        file.seek(SeekFrom::Start(size.saturating_sub(1)))
            .and_then(|_| file.write_all(b"e")),
    );
    let len = file.metadata().map(|metadata| metadata.len()).ok();
    observed(
        &json!({ "create": "ok", "set_len": set_len, "write_at_end": write_at_end, "len": len }),
    )
}

/// Makes `count` empty files in `dir`.
pub(crate) fn many_files(input: &Input) -> Answer {
    let dir = input.text("dir")?;
    let count = input.number_or("count", 1_000_000);
    for number in 0..count {
        if let Err(error) = File::create(format!("{dir}/f{number}")) {
            return observed(&json!({ "created": number, "error": failed(&error) }));
        }
    }
    observed(&json!({ "created": count, "error": null }))
}

/// Makes directories in one another below `dir`, `depth` deep.
pub(crate) fn deep_dirs(input: &Input) -> Answer {
    let mut path = input.text("dir")?.to_owned();
    let depth = input.number_or("depth", 10_000);
    for made in 0..depth {
        path.push_str("/d");
        if let Err(error) = fs::create_dir(&path) {
            return observed(&json!({ "created": made, "error": failed(&error) }));
        }
    }
    observed(&json!({ "created": depth, "error": null }))
}

/// The names in `path`, sorted.
pub(crate) fn list_dir(input: &Input) -> Answer {
    let entries = match fs::read_dir(input.text("path")?) {
        Ok(entries) => entries,
        Err(error) => return observed(&json!({ "error": failed(&error) })),
    };
    let mut names = Vec::new();
    for entry in entries {
        match entry {
            Ok(entry) => names.push(entry.file_name().to_string_lossy().into_owned()),
            Err(error) => return Err(Failure::Other(format!("while listing: {error}"))),
        }
    }
    names.sort();
    observed(&json!({ "names": names }))
}
