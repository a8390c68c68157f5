//! `infinity plugin`: a new project that builds, tests and runs as it stands; a look into a component; and where components come from.

pub(super) mod dev;
mod project;
mod supply;

use self::project::Language;
use super::client::{Client, encode};
use super::output::bytes;
use super::{CliError, Done, GlobalOptions, Launcher, Output};
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use std::path::{Component, Path, PathBuf};

/// What to do with a plugin.
#[derive(Debug, Subcommand)]
pub enum PluginCommand {
    /// Write a project that builds, tests and runs as it stands
    New(NewOptions),
    /// Show what a component is, imports and wants
    Inspect {
        /// A `.wasm` file, or the name of a plugin that the host found
        #[arg(value_name = "FILE|NAME")]
        subject: String,
    },
    #[command(flatten)]
    Supply(supply::SupplyCommand),
}

/// Which project to write.
#[derive(Debug, Args)]
pub struct NewOptions {
    /// The plugin's name: a small letter, then small letters, digits and `-`
    name: String,
    /// Where to write it; `NAME` in the working directory if not set
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// What to write it in
    #[arg(long, value_enum, default_value = "rust")]
    lang: Language,
    /// For Rust: where the crate `infinity-sdk` is; `plugins/sdk` beside the configuration if not set
    #[arg(long, value_name = "PATH")]
    sdk: Option<PathBuf>,
}

/// The longest name, in characters: what the configuration takes.
const NAME_MAX: usize = 63;

/// Names that a crate cannot have, or that would hide one it needs.
const TAKEN: &[&str] = &[
    "abstract",
    "alloc",
    "as",
    "async",
    "await",
    "become",
    "box",
    "break",
    "const",
    "continue",
    "core",
    "crate",
    "do",
    "dyn",
    "else",
    "enum",
    "extern",
    "false",
    "final",
    "fn",
    "for",
    "gen",
    "if",
    "impl",
    "in",
    "infinity-sdk",
    "let",
    "loop",
    "macro",
    "match",
    "mod",
    "move",
    "mut",
    "override",
    "priv",
    "proc-macro",
    "pub",
    "ref",
    "return",
    "self",
    "serde-json",
    "static",
    "std",
    "struct",
    "super",
    "test",
    "trait",
    "true",
    "try",
    "type",
    "typeof",
    "unsafe",
    "unsized",
    "use",
    "virtual",
    "where",
    "while",
    "yield",
];

pub(super) async fn execute(
    command: &PluginCommand,
    global: &GlobalOptions,
    launcher: &dyn Launcher,
    output: &Output,
) -> Done {
    match command {
        PluginCommand::New(options) => new(options, global, output),
        PluginCommand::Inspect { subject } => inspect(subject, global, launcher, output).await,
        PluginCommand::Supply(command) => supply::execute(command, global, output).await,
    }
}

fn new(options: &NewOptions, global: &GlobalOptions, output: &Output) -> Done {
    let name = options.name.as_str();
    check_name(name)?;
    let dir = options.dir.clone().unwrap_or_else(|| PathBuf::from(name));
    let dir = absolute(&dir)?;
    let sdk = match options.lang {
        Language::Rust => Some(find_sdk(options.sdk.as_deref(), &global.config)?),
        Language::Python | Language::Js => None,
    };
    let vacant = match std::fs::read_dir(&dir) {
        Ok(mut entries) => entries.next().is_none(),
        Err(error) => error.kind() == std::io::ErrorKind::NotFound,
    };
    if !vacant {
        return Err(
            CliError::input(format!("`{}` exists and is not empty", dir.display()))
                .with_hint("name another directory with `--dir`"),
        );
    }
    let project = match sdk {
        Some(sdk) => {
            let workspace = workspace_of(&dir);
            project::rust(
                name,
                &relative(&dir, &sdk),
                workspace.as_deref().map(|root| relative(&dir, root)),
            )
        }
        None if options.lang == Language::Python => project::python(name),
        None => project::javascript(name),
    };
    for (path, text) in &project.files {
        write(&dir.join(path), text)?;
    }
    if output.is_json() {
        output.value(&json!({ "name": name, "path": dir.display().to_string() }));
    } else {
        output.line(&format!("wrote {}", dir.display()));
        output.line("next");
        for line in &project.commands {
            output.line(&format!("  {line}"));
        }
    }
    Ok(0)
}

fn check_name(name: &str) -> Result<(), CliError> {
    let well_formed = name.len() <= NAME_MAX
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && !name.ends_with('-')
        && name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
    if !well_formed {
        return Err(CliError::input(format!("`{name}` is no name for a plugin")).with_hint(
            format!("a name is a small letter, then small letters, digits and `-`, at most {NAME_MAX} characters"),
        ));
    }
    if TAKEN.contains(&name) {
        return Err(CliError::input(format!(
            "`{name}` is taken: Rust or the project itself uses it"
        ))
        .with_hint("choose another name"));
    }
    Ok(())
}

fn find_sdk(named: Option<&Path>, config: &Path) -> Result<PathBuf, CliError> {
    let sdk = match named {
        Some(sdk) => sdk.to_owned(),
        None => config
            .parent()
            .unwrap_or(Path::new(""))
            .join("plugins")
            .join("sdk"),
    };
    let sdk = absolute(&sdk)?;
    if sdk.join("Cargo.toml").is_file() {
        Ok(sdk)
    } else {
        Err(CliError::input(format!(
            "the crate `infinity-sdk` is not in `{}`",
            sdk.display()
        ))
        .with_hint("name the folder `plugins/sdk` of Infinity's repository with `--sdk PATH`"))
    }
}

/// The path from the root, without `.` and `..`; what of it exists need not be all.
fn absolute(path: &Path) -> Result<PathBuf, CliError> {
    let path = std::path::absolute(path)
        .map_err(|error| CliError::input(format!("`{}`: {error}", path.display())))?;
    let mut clean = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                clean.pop();
            }
            Component::CurDir => {}
            part => clean.push(part),
        }
    }
    Ok(clean)
}

/// The way from one directory to another, with `/` between its parts: a project that is moved together with what it needs goes on building.
fn relative(from: &Path, to: &Path) -> String {
    let from: Vec<_> = from.components().collect();
    let to: Vec<_> = to.components().collect();
    let common = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
    let up = std::iter::repeat_n("..".to_owned(), from.len() - common);
    let down = to[common..]
        .iter()
        .map(|part| part.as_os_str().to_string_lossy().into_owned());
    let way: Vec<String> = up.chain(down).collect();
    if way.is_empty() {
        ".".into()
    } else {
        way.join("/")
    }
}

/// The root of the cargo workspace that takes this directory as a member by itself, if there is one: such a crate may not have a workspace of its own.
fn workspace_of(dir: &Path) -> Option<PathBuf> {
    dir.ancestors().skip(1).find_map(|root| {
        let text = std::fs::read_to_string(root.join("Cargo.toml")).ok()?;
        let manifest: toml::Table = text.parse().ok()?;
        let members = manifest.get("workspace")?.get("members")?.as_array()?;
        let inside = relative(root, dir);
        let parent = inside.rsplit_once('/').map_or("", |(parent, _)| parent);
        members
            .iter()
            .filter_map(|member| member.as_str())
            .any(|member| member == inside || member.strip_suffix("/*") == Some(parent))
            .then(|| root.to_owned())
    })
}

fn write(path: &Path, text: &str) -> Result<(), CliError> {
    let fail = |error: std::io::Error| {
        CliError::failed(format!("cannot write `{}`: {error}", path.display()))
    };
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).map_err(fail)?;
    }
    // `create_new`: nothing that appeared in the meantime is overwritten.
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(path)
        .map_err(fail)?;
    std::io::Write::write_all(&mut file, text.as_bytes()).map_err(fail)
}

async fn inspect(
    subject: &str,
    global: &GlobalOptions,
    launcher: &dyn Launcher,
    output: &Output,
) -> Done {
    let path = Path::new(subject);
    let is_file = path.is_file() || subject.contains(['/', '\\']) || subject.ends_with(".wasm");
    let inspection = if is_file {
        let inspection = launcher.inspect_file(path).await?;
        serde_json::to_value(inspection)
            .map_err(|error| CliError::failed(format!("cannot show `{subject}`: {error}")))?
    } else {
        let client: Client = launcher.connect(global).await?;
        let plugin: Value = client
            .get(&format!("/v1/plugins/{}", encode(subject)))
            .await?;
        if plugin["inspection"].is_null() {
            let problem = plugin["problem"].as_str().unwrap_or("it is being read");
            return Err(CliError::failed(format!(
                "nothing is known of `{subject}`: {problem}"
            )));
        }
        let mut inspection = plugin["inspection"].clone();
        for name in ["signed_by", "locked", "source"] {
            inspection[name] = plugin[name].clone();
        }
        inspection
    };
    if output.is_json() {
        output.value(&inspection);
    } else {
        show(&inspection, output);
    }
    Ok(0)
}

fn show(inspection: &Value, output: &Output) {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let list = |value: &Value| -> Vec<String> {
        value.as_array().into_iter().flatten().map(text).collect()
    };
    let manifest = &inspection["manifest"];
    let worlds = list(&inspection["worlds"]);
    let rows = [
        ("name", text(&inspection["name"])),
        ("version", text(&inspection["version"])),
        ("description", text(&manifest["description"])),
        (
            "world",
            if worlds.is_empty() {
                "none that the host knows".into()
            } else {
                worlds.join(", ")
            },
        ),
        ("digest", text(&inspection["digest"])),
        (
            "size",
            bytes(inspection["size_bytes"].as_u64().unwrap_or_default()),
        ),
        (
            "memory",
            bytes(inspection["memory_min_bytes"].as_u64().unwrap_or_default()),
        ),
        (
            "locked",
            match (inspection["locked"].as_bool(), &inspection["source"]) {
                (Some(true), source) => format!("yes, from {}", text(source)),
                (Some(false), _) => "no".into(),
                (None, _) => String::new(),
            },
        ),
        ("signed by", text(&inspection["signed_by"])),
    ];
    for (name, value) in rows.iter().filter(|(_, value)| !value.is_empty()) {
        output.line(&format!("{name:12} {value}"));
    }
    for name in ["imports", "exports"] {
        let names = list(&inspection[name]);
        if !names.is_empty() {
            output.line(name);
            for name in names {
                output.line(&format!("  {name}"));
            }
        }
    }
    if let Some(wants) = manifest["wants"].as_object() {
        output.line(if wants.is_empty() {
            "wants        nothing"
        } else {
            "wants        (only `grants` in `plugins.toml` gives)"
        });
        for (kind, grants) in wants {
            for grant in grants.as_array().into_iter().flatten() {
                output.line(&format!("  {kind}  {grant}"));
            }
        }
    }
    for (name, title) in [("settings_schema", "settings"), ("input_schema", "input")] {
        if !manifest[name].is_null() {
            output.line(title);
            let schema = serde_json::to_string_pretty(&manifest[name]).unwrap_or_default();
            for line in schema.lines() {
                output.line(&format!("  {line}"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Cli, ColorChoice, Command};
    use super::*;
    use clap::Parser;

    fn create(arguments: &[&str]) -> Done {
        let cli = Cli::try_parse_from([&["infinity", "plugin", "new"], arguments].concat())
            .expect("arguments");
        let Command::Plugin(PluginCommand::New(options)) = &cli.command else {
            panic!("not `plugin new`");
        };
        new(options, &cli.global, &Output::new(true, ColorChoice::Never))
    }

    fn sdk(root: &Path) -> String {
        let sdk = root.join("sdk");
        std::fs::create_dir_all(&sdk).expect("creates");
        std::fs::write(sdk.join("Cargo.toml"), "[package]\n").expect("writes");
        sdk.display().to_string()
    }

    #[test]
    fn a_project_is_written_once() {
        let root = tempfile::tempdir().expect("a directory");
        let sdk = sdk(root.path());
        let dir = root.path().join("plugins/hello").display().to_string();
        let arguments = ["hello-you", "--dir", &dir, "--sdk", &sdk];
        assert_eq!(create(&arguments).expect("writes"), 0);
        let cargo = std::fs::read_to_string(format!("{dir}/Cargo.toml")).expect("is there");
        assert!(cargo.contains("path = \"../../sdk\""), "{cargo}");
        assert!(cargo.contains("[workspace]"), "{cargo}");
        let cargo: toml::Table = cargo.parse().expect("TOML");
        assert_eq!(cargo["package"]["name"].as_str(), Some("hello-you"));
        let manifest = std::fs::read_to_string(format!("{dir}/manifest.json")).expect("is there");
        let manifest: Value = serde_json::from_str(&manifest).expect("JSON");
        assert_eq!(manifest["name"], "hello-you");
        let readme = std::fs::read_to_string(format!("{dir}/README.md")).expect("is there");
        assert!(readme.contains("plugin = \"hello_you\""), "{readme}");
        assert_eq!(create(&arguments).expect_err("is there").exit_code(), 2);
    }

    #[test]
    fn a_member_of_a_workspace_has_none_of_its_own() {
        let root = tempfile::tempdir().expect("a directory");
        let sdk = sdk(root.path());
        std::fs::write(
            root.path().join("Cargo.toml"),
            "[workspace]\nmembers = [\"plugins/*\"]\n",
        )
        .expect("writes");
        let dir = root.path().join("plugins/hello").display().to_string();
        create(&["hello", "--dir", &dir, "--sdk", &sdk]).expect("writes");
        let cargo = std::fs::read_to_string(format!("{dir}/Cargo.toml")).expect("is there");
        assert!(!cargo.contains("[workspace]"), "{cargo}");
        let readme = std::fs::read_to_string(format!("{dir}/README.md")).expect("is there");
        assert!(readme.contains("../../target/wasm32-wasip2"), "{readme}");
    }

    #[test]
    fn a_name_is_one_that_cargo_and_the_configuration_take() {
        for good in ["a", "mirror-2", "x1"] {
            assert!(check_name(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "A",
            "1a",
            "a_b",
            "a-",
            "../x",
            "fn",
            "std",
            &"a".repeat(64),
        ] {
            assert!(check_name(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_missing_sdk_says_how_to_name_it() {
        let root = tempfile::tempdir().expect("a directory");
        let dir = root.path().join("x").display().to_string();
        let nowhere = root.path().join("nowhere").display().to_string();
        let error = create(&["x", "--dir", &dir, "--sdk", &nowhere]).expect_err("is missing");
        assert_eq!(error.exit_code(), 2);
        assert!(!root.path().join("x").exists());
    }
}
