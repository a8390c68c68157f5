//! The files of a new project, by language: those under `templates/`, with the plugin's name filled in, and the contract where the language's tools want it as files.

use clap::ValueEnum;
use std::path::Path;

/// What a plugin is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Language {
    /// Rust, with the SDK
    Rust,
    /// Python, by componentize-py
    Python,
    /// JavaScript, by componentize-js
    Js,
}

impl Language {
    /// What a project is written in, by the files that it consists of.
    pub(super) fn of(project: &Path) -> Option<Self> {
        [
            ("Cargo.toml", Self::Rust),
            ("package.json", Self::Js),
            ("app.py", Self::Python),
        ]
        .into_iter()
        .find(|(file, _)| project.join(file).is_file())
        .map(|(_, language)| language)
    }
}

/// A project to be written.
pub(super) struct Project {
    /// Paths and texts.
    pub(super) files: Vec<(String, String)>,
    /// What to type next: test, build, look.
    pub(super) commands: Vec<String>,
}

macro_rules! wit {
    ($($file:literal),* $(,)?) => {
        &[$(($file, include_str!(concat!("../../../../wit/0.1.0/", $file)))),*]
    };
}

/// The contract, for languages whose tools read it.
const WIT: &[(&str, &str)] = wit![
    "worlds.wit",
    "policy.wit",
    "progress.wit",
    "snapshot.wit",
    "badge.wit",
    "code.wit",
    "artifacts.wit",
    "events.wit",
    "checks.wit",
    "views.wit",
    "secrets.wit",
    "types.wit",
    "forge.wit",
    "deps/config/world.wit",
    "deps/config/store.wit",
    "deps/keyvalue/batch.wit",
    "deps/keyvalue/atomic.wit",
    "deps/keyvalue/watch.wit",
    "deps/keyvalue/world.wit",
    "deps/keyvalue/store.wit",
    "deps/logging/logging.wit",
];

macro_rules! template {
    ($file:literal) => {
        include_str!(concat!("../../../templates/", $file))
    };
}

fn filled(files: &[(&str, &str)], name: &str) -> Vec<(String, String)> {
    files
        .iter()
        .map(|(path, text)| ((*path).to_owned(), text.replace("PLUGIN", name)))
        .collect()
}

fn readme(name: &str, file: &str, commands: &[String], needs: &str) -> String {
    template!("README.md")
        .replace("COMMANDS", &commands.join("\n"))
        .replace("NEEDS", needs)
        .replace("FILE", file)
        .replace("STEM", file.trim_end_matches(".wasm"))
        .replace("PLUGIN", name)
}

/// A Rust project. `sdk` is the way from it to the SDK, `workspace` to the workspace that it is a member of.
pub(super) fn rust(name: &str, sdk: &str, workspace: Option<String>) -> Project {
    // A member of a workspace takes the profile of its root.
    let own = if workspace.is_some() {
        ""
    } else {
        "\n[profile.release]\nopt-level = \"s\"\nlto = true\nstrip = \"debuginfo\"\n\n[workspace]\n"
    };
    let cargo = format!(
        "[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\npublish = false\n\n\
         [lib]\ncrate-type = [\"cdylib\", \"rlib\"]\n\n\
         [dependencies]\ninfinity-sdk = {{ path = \"{sdk}\" }}\nserde_json = \"1\"\n{own}"
    );
    let target = match &workspace {
        Some(root) => format!("{root}/target"),
        None => "target".into(),
    };
    let file = format!("{}.wasm", name.replace('-', "_"));
    let commands = vec![
        "cargo test".to_owned(),
        "cargo build --release --target wasm32-wasip2".into(),
        format!("infinity plugin inspect {target}/wasm32-wasip2/release/{file}"),
    ];
    let mut files = filled(
        &[
            ("src/lib.rs", template!("rust/lib.rs")),
            ("manifest.json", template!("rust/manifest.json")),
        ],
        name,
    );
    files.push(("Cargo.toml".into(), cargo));
    let needs = "The target comes with `rustup target add wasm32-wasip2`.";
    files.push(("README.md".into(), readme(name, &file, &commands, needs)));
    if workspace.is_none() {
        files.push((".gitignore".into(), "/target\n".into()));
    }
    Project { files, commands }
}

/// A Python project.
pub(super) fn python(name: &str) -> Project {
    let file = format!("{name}.wasm");
    let commands = vec![
        "python3 -m venv .venv".to_owned(),
        ".venv/bin/pip install -r requirements.txt".into(),
        ".venv/bin/python -m unittest".into(),
        format!(".venv/bin/componentize-py -d wit -w agent componentize app -o {file}"),
        format!("infinity plugin inspect {file}"),
    ];
    let mut files = filled(
        &[
            ("app.py", template!("python/app.py")),
            ("greeting.py", template!("python/greeting.py")),
            ("test_greeting.py", template!("python/test_greeting.py")),
            ("requirements.txt", template!("python/requirements.txt")),
            (".gitignore", template!("python/gitignore")),
        ],
        name,
    );
    let needs = "It needs Python 3.10 or later with its module `venv`. The component brings its own Python along, of some 18 MB.";
    files.push(("README.md".into(), readme(name, &file, &commands, needs)));
    files.extend(contract());
    Project { files, commands }
}

/// A JavaScript project.
pub(super) fn javascript(name: &str) -> Project {
    let file = format!("{name}.wasm");
    let commands = vec![
        "npm install".to_owned(),
        "npm test".into(),
        "npm run build".into(),
        format!("infinity plugin inspect {file}"),
    ];
    let mut files = filled(
        &[
            ("app.js", template!("js/app.js")),
            ("greeting.js", template!("js/greeting.js")),
            ("greeting.test.js", template!("js/greeting.test.js")),
            ("build.mjs", template!("js/build.mjs")),
            ("package.json", template!("js/package.json")),
            (".gitignore", template!("js/gitignore")),
        ],
        name,
    );
    let needs = "It needs Node.js 20 or later with npm. The component brings its own engine along, of some 12 MB.";
    files.push(("README.md".into(), readme(name, &file, &commands, needs)));
    files.extend(contract());
    Project { files, commands }
}

fn contract() -> impl Iterator<Item = (String, String)> {
    WIT.iter()
        .map(|(path, text)| (format!("wit/{path}"), (*text).to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn below(folder: &Path, at: &str, found: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let name = format!("{at}{}", entry.file_name().to_str().unwrap());
            if entry.file_type().unwrap().is_dir() {
                below(&entry.path(), &format!("{name}/"), found);
            } else {
                found.insert(name);
            }
        }
    }

    #[test]
    fn a_project_gets_the_whole_contract() {
        let contract = Path::new(env!("CARGO_MANIFEST_DIR")).join("../wit/0.1.0");
        let mut there = BTreeSet::new();
        below(&contract, "", &mut there);
        let given: BTreeSet<String> = WIT.iter().map(|(path, _)| (*path).to_owned()).collect();
        assert_eq!(given, there);
    }
}
