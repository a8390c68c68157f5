//! Finds the version of wasmtime that is compiled in, which the crate itself does not tell.

use std::path::Path;

fn main() {
    let lock = Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.lock");
    println!("cargo::rerun-if-changed={}", lock.display());
    let text = std::fs::read_to_string(&lock).unwrap_or_default();
    let version = text
        .split("[[package]]")
        .find(|package| package.contains("name = \"wasmtime\"\n"))
        .and_then(|package| package.split("version = \"").nth(1)?.split('"').next());
    match version {
        Some(version) => println!("cargo::rustc-env=WASMTIME_VERSION={version}"),
        None => println!("cargo::error=`Cargo.lock` names no version of wasmtime"),
    }
}
