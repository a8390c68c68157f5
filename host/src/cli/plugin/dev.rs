//! `infinity dev`: watches a plugin's source, builds it, runs it in a host of its own and shows the report, each time something changes.

use super::project::Language;
use crate::cli::{CliError, Done, GlobalOptions, Launcher, Output, run};
use clap::Args;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, SystemTime};

/// How often the source is looked at: a person who saves waits for it.
const LOOK_EVERY: Duration = Duration::from_millis(300);

/// Files that are looked at; a folder with more is no plugin's.
const FILES_MAX: usize = 20_000;

/// How deep folders are looked into.
const DEPTH_MAX: usize = 12;

/// Folders that hold what was built or fetched.
const BUILT: [&str; 6] = [
    "target",
    "node_modules",
    ".venv",
    "__pycache__",
    ".git",
    "wit_world",
];

/// What of a component's name a crate may have instead.
const TARGET: &str = "wasm32-wasip2";

/// What to watch.
#[derive(Debug, Args)]
pub struct DevOptions {
    /// The plugin's folder: a project of Rust, Python or JavaScript
    dir: PathBuf,
    /// The run's input: JSON, `@FILE`, or `-` for standard input
    #[arg(long, value_name = "JSON|@FILE|-")]
    input: Option<String>,
    /// Build and run once, and end with the run's exit code
    #[arg(long)]
    once: bool,
}

/// The file beside the source whose lines go into the agent's table, such as settings and grants.
const AGENT_FILE: &str = "agent.toml";

pub(crate) async fn execute(
    options: &DevOptions,
    global: &GlobalOptions,
    launcher: &dyn Launcher,
    output: &Output,
) -> Done {
    let dir = super::absolute(&options.dir)?;
    let Some(language) = Language::of(&dir) else {
        return Err(CliError::input(format!("`{}` is no plugin's project", dir.display()))
            .with_hint("it has neither `Cargo.toml` nor `package.json` nor `app.py`; `infinity plugin new` writes one"));
    };
    let input = run::input_of(options.input.as_deref())?;
    let place = tempfile::tempdir()
        .map_err(|error| CliError::failed(format!("cannot make a directory: {error}")))?;
    let config = place.path().join("plugins.toml");
    let global = GlobalOptions {
        config: config.clone(),
        ..global.clone()
    };
    let mut seen = None;
    loop {
        let now = fingerprint(&dir);
        if seen.as_ref() != Some(&now) {
            seen = Some(now);
            let done = once(
                &dir,
                language,
                place.path(),
                &config,
                &global,
                launcher,
                &input,
                output,
            )
            .await;
            match done {
                Ok(code) if options.once => return Ok(code),
                Err(error) if options.once => return Err(error),
                Ok(_) => {}
                Err(error) => output.error(&error),
            }
            output.note("waiting for a change; Ctrl-C ends");
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => {}
            _ = tokio::signal::ctrl_c() => return Ok(0),
        }
    }
}

#[expect(clippy::too_many_arguments, reason = "all of one round, named once")]
async fn once(
    dir: &Path,
    language: Language,
    place: &Path,
    config: &Path,
    global: &GlobalOptions,
    launcher: &dyn Launcher,
    input: &serde_json::Value,
    output: &Output,
) -> Done {
    let component = build(dir, language, output).await?;
    let name = agent_name(dir);
    let fail = |error: std::io::Error| CliError::failed(format!("cannot prepare a host: {error}"));
    let dist = place.join("dist");
    std::fs::create_dir_all(&dist).map_err(fail)?;
    std::fs::copy(&component, dist.join(format!("{name}.wasm"))).map_err(fail)?;
    let own = std::fs::read_to_string(dir.join(AGENT_FILE)).unwrap_or_default();
    let text = format!(
        "[host]\nlisten = \"127.0.0.1:0\"\nstate = \"state\"\nplugins = \"dist\"\n\n[agents.{name}]\nplugin = \"{name}\"\n{own}"
    );
    std::fs::write(config, text).map_err(fail)?;
    let client = launcher.connect(global).await?;
    run::start_and_show(&name, input, &client, output).await
}

/// A name for the agent, from the folder's.
fn agent_name(dir: &Path) -> String {
    let name: String = dir
        .file_name()
        .map(|name| name.to_string_lossy().to_lowercase())
        .unwrap_or_default()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .take(50)
        .collect();
    let name = name.trim_matches('-');
    if name.starts_with(|c: char| c.is_ascii_lowercase()) {
        name.to_owned()
    } else {
        format!("plugin-{name}").trim_end_matches('-').to_owned()
    }
}

/// Builds the component and says where it is.
async fn build(dir: &Path, language: Language, output: &Output) -> Result<PathBuf, CliError> {
    let name = dir
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    match language {
        Language::Rust => {
            let arguments = [
                "build",
                "--release",
                "--target",
                TARGET,
                "--message-format",
                "json-render-diagnostics",
            ];
            let said = call(dir, "cargo", &arguments, output).await?;
            component_of(&said).ok_or_else(|| {
                CliError::failed("the build made no component")
                    .with_hint("its `Cargo.toml` needs `crate-type = [\"cdylib\"]` under `[lib]`")
            })
        }
        Language::Js => {
            if !dir.join("node_modules").is_dir() {
                call(dir, "npm", &["install", "--no-audit", "--no-fund"], output).await?;
            }
            call(dir, "npm", &["run", "build"], output).await?;
            newest_component(dir)
        }
        Language::Python => {
            if !dir.join(".venv/bin/componentize-py").is_file() {
                call(dir, "python3", &["-m", "venv", ".venv"], output).await?;
                let install = ["install", "--quiet", "-r", "requirements.txt"];
                call(dir, ".venv/bin/pip", &install, output).await?;
            }
            let file = format!("{name}.wasm");
            let arguments = [
                "-d",
                "wit",
                "-w",
                "agent",
                "componentize",
                "app",
                "-o",
                &file,
            ];
            call(dir, ".venv/bin/componentize-py", &arguments, output).await?;
            Ok(dir.join(file))
        }
    }
}

/// Runs a program in the folder; what it says on standard error goes to the terminal, and on standard output is the answer.
async fn call(
    dir: &Path,
    program: &str,
    arguments: &[&str],
    output: &Output,
) -> Result<Vec<u8>, CliError> {
    let shown = format!("{program} {}", arguments.join(" "));
    let spinner = output.spinner(&shown);
    let path = if program.contains('/') {
        dir.join(program)
    } else {
        PathBuf::from(program)
    };
    let child = tokio::process::Command::new(&path)
        .args(arguments)
        .current_dir(dir)
        // What this program was called with is not meant for what it calls.
        .env_remove("CARGO_TARGET_DIR")
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .kill_on_drop(true)
        .output()
        .await;
    spinner.finish_and_clear();
    let said = child.map_err(|error| {
        CliError::failed(format!("cannot call `{program}`: {error}")).with_hint(
            "install it, or build the plugin yourself and put it into the folder of plugins",
        )
    })?;
    if said.status.success() {
        return Ok(said.stdout);
    }
    let text = String::from_utf8_lossy(&said.stdout);
    let last: Vec<&str> = text.lines().filter(|line| !line.starts_with('{')).collect();
    for line in &last[last.len().saturating_sub(20)..] {
        output.note(line);
    }
    Err(CliError::failed(format!("`{shown}` failed")))
}

/// The component among the files that cargo says it made.
fn component_of(messages: &[u8]) -> Option<PathBuf> {
    String::from_utf8_lossy(messages)
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter(|message| message["reason"] == "compiler-artifact")
        .flat_map(|message| message["filenames"].as_array().cloned().unwrap_or_default())
        .filter_map(|file| file.as_str().map(PathBuf::from))
        .rfind(|file| {
            file.extension()
                .is_some_and(|extension| extension == "wasm")
        })
}

fn newest_component(dir: &Path) -> Result<PathBuf, CliError> {
    let mut found: Vec<(SystemTime, PathBuf)> = std::fs::read_dir(dir)
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let path = entry.path();
            (path.extension()? == "wasm").then_some(())?;
            Some((entry.metadata().ok()?.modified().ok()?, path))
        })
        .collect();
    found.sort();
    found.pop().map(|(_, path)| path).ok_or_else(|| {
        CliError::failed("the build made no component")
            .with_hint("it has to write a `.wasm` file into the project's folder")
    })
}

/// What the source looks like: every file with its size and time.
fn fingerprint(dir: &Path) -> Vec<(PathBuf, u64, Option<SystemTime>)> {
    let mut files = Vec::new();
    let mut folders = vec![(dir.to_owned(), 0)];
    while let Some((folder, depth)) = folders.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            let name = entry.file_name().to_string_lossy().into_owned();
            let Ok(metadata) = entry.metadata() else {
                continue;
            };
            if metadata.is_dir() {
                if !BUILT.contains(&name.as_str()) && depth < DEPTH_MAX {
                    folders.push((path, depth + 1));
                }
            } else if !name.ends_with(".wasm")
                && !name.ends_with(".lock")
                && name != "package-lock.json"
                && files.len() < FILES_MAX
            {
                files.push((path, metadata.len(), metadata.modified().ok()));
            }
        }
    }
    files.sort();
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_gives_the_agent_its_name() {
        for (folder, name) in [
            ("/x/hello", "hello"),
            ("/x/Hello_You", "hello-you"),
            ("/x/1st", "plugin-1st"),
            ("/x/--", "plugin"),
        ] {
            assert_eq!(agent_name(Path::new(folder)), name);
        }
    }

    #[test]
    fn what_is_built_is_no_change() {
        let root = tempfile::tempdir().unwrap();
        std::fs::write(root.path().join("app.py"), "1").unwrap();
        let before = fingerprint(root.path());
        std::fs::create_dir(root.path().join("node_modules")).unwrap();
        std::fs::write(root.path().join("node_modules/x.js"), "1").unwrap();
        std::fs::write(root.path().join("x.wasm"), "1").unwrap();
        assert_eq!(fingerprint(root.path()), before);
        std::fs::write(root.path().join("app.py"), "12").unwrap();
        assert_ne!(fingerprint(root.path()), before);
    }

    #[test]
    fn cargo_says_where_the_component_is() {
        let said = br#"{"reason":"compiler-artifact","filenames":["/t/a.rlib"]}
not json
{"reason":"compiler-artifact","filenames":["/t/b.d","/t/b.wasm"]}
{"reason":"build-finished","success":true}"#;
        assert_eq!(component_of(said), Some(PathBuf::from("/t/b.wasm")));
        assert_eq!(component_of(b""), None);
    }
}
