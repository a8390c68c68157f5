//! What attacks: the components of `host/selftest/components`, made of the texts beside them, and files that are none, which are made here.
//!
//! The components are committed, so that the program needs no parser of text and no wasm target to be built. A test makes them anew and compares; with
//! `INFINITY_WRITE_GUESTS=1` it writes them. In a text the line `;; include: NAME` stands for `parts/NAME.wat`.

/// Declares the components once, by the name of their file.
macro_rules! components {
    ($($name:literal,)*) => {
        /// Name and bytes of every component that the program carries.
        pub(super) const COMPONENTS: &[(&str, &[u8])] =
            &[$(($name, include_bytes!(concat!("../../selftest/components/", $name, ".wasm")))),*];
    };
}

components! {
    "async_lift",
    "bulk",
    "count",
    "emit",
    "exceptions",
    "fetch",
    "files",
    "flood-err",
    "flood-out",
    "gc",
    "hunt",
    "inject",
    "keys",
    "leak",
    "many_instances",
    "many_instances_nested",
    "many_memories",
    "mem_grow",
    "mem_min",
    "memory64",
    "multi_memory",
    "note",
    "passes",
    "poll-spin",
    "random",
    "recurse",
    "residue-fill",
    "residue-scan",
    "shared_memory",
    "sleep",
    "sockets",
    "spin",
    "stack_switching",
    "start_loop",
    "start_stack_overflow",
    "storm-clock",
    "storm-log",
    "table64_min",
    "table_grow",
    "table_min",
    "trap",
    "ungranted_imports",
}

/// Additions and multiplications of the function that takes too long to compile: more than a second of CPU time on any machine of today.
const OPERATIONS: usize = 400_000;

/// Files that are no components, or cannot be compiled in the time there is, by name.
pub(super) fn made(program: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let component = COMPONENTS[0].1;
    vec![
        ("no-empty", Vec::new()),
        (
            "no-random",
            // Every byte is odd, so no part of it is a header.
            (0..4096_u32).map(|n| (n * 7 + n / 3) as u8 | 1).collect(),
        ),
        ("no-truncated", component[..component.len() / 2].to_vec()),
        ("no-core-module", b"\0asm\x01\0\0\0".to_vec()),
        ("no-text", b"(component)".to_vec()),
        (
            "no-compiled",
            program[..program.len().min(64 * 1024)].to_vec(),
        ),
        ("compile-bomb", compile_bomb()),
    ]
}

/// A component of one valid function that is far too long.
fn compile_bomb() -> Vec<u8> {
    // No locals of its own, then `local.get 0`, and `+` and `*` with it, over and over.
    let mut body = vec![0x00, 0x20, 0x00];
    for _ in 0..OPERATIONS {
        body.extend([0x20, 0x00, 0x6a, 0x20, 0x00, 0x6c]);
    }
    body.push(0x0b);
    let mut code = vec![1];
    code.extend(length(body.len()));
    code.extend(body);

    let mut module = b"\0asm\x01\0\0\0".to_vec();
    // One type, from one integer to another, and one function of it.
    module.extend(section(1, &[1, 0x60, 1, 0x7f, 1, 0x7f]));
    module.extend(section(3, &[1, 0]));
    module.extend(section(10, &code));

    let mut component = b"\0asm\x0d\0\x01\0".to_vec();
    component.extend(section(1, &module));
    // An instance of it, without imports.
    component.extend(section(2, &[1, 0, 0, 0]));
    component
}

fn section(id: u8, content: &[u8]) -> Vec<u8> {
    let mut section = vec![id];
    section.extend(length(content.len()));
    section.extend(content);
    section
}

/// A length as WebAssembly writes it: seven bits a byte, the lowest first.
fn length(mut value: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = (value & 0x7f) as u8;
        value >>= 7;
        if value == 0 {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::path::{Path, PathBuf};

    /// Spare core instances of `many_instances`: half as many again as the limit of the selftest allows.
    const REPEATED: usize = 150;

    /// The text of a guest with its parts in place.
    fn assembled(path: &Path, parts: &Path) -> String {
        let read = |path: &Path| fs::read_to_string(path).expect("a text");
        let mut text = String::new();
        for line in read(path).lines() {
            if let Some(part) = line.trim().strip_prefix(";; include: ") {
                text.push_str(&read(&parts.join(part).with_extension("wat")));
                continue;
            }
            let repeated = line.ends_with(";; repeated");
            for _ in 0..if repeated { REPEATED } else { 1 } {
                text.push_str(line);
                text.push('\n');
            }
        }
        text
    }

    #[test]
    fn the_components_are_those_of_the_texts() {
        let place = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("selftest");
        let writes = std::env::var_os("INFINITY_WRITE_GUESTS").is_some();
        for (name, committed) in COMPONENTS {
            let texts = ["attacks", "agents"]
                .map(|folder| place.join(folder).join(name).with_extension("wat"));
            let text = texts.iter().find(|path| path.exists()).expect(name);
            let made = wat::parse_str(assembled(text, &place.join("parts"))).expect(name);
            if writes {
                let file = place.join("components").join(name).with_extension("wasm");
                fs::write(file, made).expect("a file");
            } else {
                assert!(
                    made == *committed,
                    "`{name}.wasm` is not what its text says: run this test with INFINITY_WRITE_GUESTS=1"
                );
            }
        }
        let files = fs::read_dir(place.join("components")).expect("a folder");
        assert_eq!(files.count(), COMPONENTS.len());
        let attacks = fs::read_dir(place.join("attacks")).expect("a folder");
        for entry in attacks {
            let path = entry.expect("an entry").path();
            let name = path.file_stem().and_then(|name| name.to_str());
            assert!(
                COMPONENTS.iter().any(|(known, _)| Some(*known) == name),
                "nobody runs {name:?}"
            );
        }
    }

    #[test]
    fn the_guest_that_takes_too_long_to_compile_is_valid() {
        let bomb = compile_bomb();
        assert!(wasmparser::Validator::new().validate_all(&bomb).is_ok());
        assert!(bomb.len() > OPERATIONS * 6);
    }

    #[test]
    fn lengths_are_written_seven_bits_a_byte() {
        assert_eq!(length(0), [0]);
        assert_eq!(length(127), [127]);
        assert_eq!(length(128), [0x80, 1]);
        assert_eq!(length(624_485), [0xe5, 0x8e, 0x26]);
    }

    #[test]
    fn names_are_unique() {
        for (at, (name, _)) in COMPONENTS.iter().enumerate() {
            assert!(
                COMPONENTS[..at].iter().all(|(other, _)| other != name),
                "{name}"
            );
        }
    }
}
