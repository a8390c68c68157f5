//! Turns the guests of `selftest/`, which are text, into components that the program carries: a parser of text and the text itself would only be used by `infinity selftest`.
//!
//! A line `;; include: NAME` stands for `parts/NAME.wat`; a line that ends in `;; repeated` is written [`REPEATED`] times in `many_instances.wat`.

#![expect(
    clippy::print_stdout,
    reason = "that is how a build script speaks to cargo"
)]

use std::error::Error;
use std::path::{Path, PathBuf};
use std::{env, fs};

/// Spare core instances of `many_instances`: half as many again as the limit of the selftest allows.
const REPEATED: usize = 150;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=selftest");
    let from = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("selftest");
    let to = PathBuf::from(env::var("OUT_DIR")?);
    for folder in ["agents", "attacks"] {
        for entry in fs::read_dir(from.join(folder))? {
            let path = entry?.path();
            let text = assembled(&path, &from.join("parts"))?;
            let bytes =
                wat::parse_str(&text).map_err(|error| format!("`{}`: {error}", path.display()))?;
            let name = path.file_stem().unwrap_or_default();
            fs::write(to.join(name).with_extension("wasm"), bytes)?;
        }
    }
    Ok(())
}

/// The text of a guest with its parts in place.
fn assembled(path: &Path, parts: &Path) -> Result<String, Box<dyn Error>> {
    let mut text = String::new();
    for line in fs::read_to_string(path)?.lines() {
        if let Some(part) = line.trim().strip_prefix(";; include: ") {
            text.push_str(&fs::read_to_string(parts.join(part).with_extension("wat"))?);
            continue;
        }
        let times = if line.ends_with(";; repeated") {
            REPEATED
        } else {
            1
        };
        for _ in 0..times {
            text.push_str(line);
            text.push('\n');
        }
    }
    Ok(text)
}
