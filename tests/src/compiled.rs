//! Components that nearly every test needs, compiled once for all suites: each test has a state folder of its own, and would compile them anew.

use crate::host::{binary, component, poll, target};
use anyhow::{Context as _, ensure};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, UNIX_EPOCH};

/// The built components that are compiled once.
const COMPONENTS: [&str; 2] = ["test_guests", "policy"];

/// Puts the compiled code of a built component into a state folder, as a host before would have left it. Does nothing for those that few tests need.
///
/// # Errors
/// When it cannot be compiled or copied.
pub(crate) fn put(built: &str, state: &Path) -> anyhow::Result<()> {
    static KEPT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    if !COMPONENTS.contains(&built) {
        return Ok(());
    }
    let kept = KEPT.get_or_init(|| kept().map_err(|error| format!("{error:#}")));
    let kept = match kept {
        Ok(kept) => kept,
        Err(error) => anyhow::bail!("the components could not be compiled: {error}"),
    };
    let (cache, key) = (state.join("cache"), state.join("cache.key"));
    if key.exists() && fs::read(&key)? != fs::read(kept.join("cache.key"))? {
        // A host ran here already.
        return Ok(());
    }
    for folder in [state, &cache] {
        private(folder)?;
    }
    // With its mode: others may not read it.
    fs::copy(kept.join("cache.key"), key)?;
    for entry in fs::read_dir(kept.join(built))? {
        let entry = entry?;
        fs::copy(entry.path(), cache.join(entry.file_name()))?;
    }
    Ok(())
}

/// A folder that nobody else may look into, as the host makes its own.
fn private(folder: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)?;
    Ok(())
}

/// Where the compiled code is: the key, and a folder for each component. Made if this program or a component is another than it was made with.
fn kept() -> anyhow::Result<PathBuf> {
    let place = target().join("tmp/compiled");
    fs::create_dir_all(&place)?;
    // Suites that run beside each other wait here.
    let lock = fs::File::create(place.join("lock"))?;
    lock.lock()?;
    let made_with = made_with()?;
    let note = place.join("made-with");
    if fs::read_to_string(&note).is_ok_and(|made| made == made_with) {
        return Ok(place);
    }
    let _ = fs::remove_file(&note);
    let folder = tempfile::tempdir()?;
    fs::create_dir(folder.path().join("dist"))?;
    for built in COMPONENTS {
        let files = compile(folder.path(), built)?;
        let own = place.join(built);
        let _ = fs::remove_dir_all(&own);
        fs::create_dir(&own)?;
        for file in files {
            let name = file.file_name().context("a name")?;
            fs::copy(&file, own.join(name))?;
            // What is left belongs to the next.
            fs::remove_file(&file)?;
        }
    }
    fs::copy(folder.path().join("var/cache.key"), place.join("cache.key"))?;
    fs::write(&note, made_with)?;
    Ok(place)
}

/// What says that compiled code is of this program and these components.
fn made_with() -> anyhow::Result<String> {
    let mut text = String::new();
    for file in [binary()].into_iter().chain(COMPONENTS.map(component)) {
        let metadata = fs::metadata(&file)?;
        let modified = metadata.modified()?.duration_since(UNIX_EPOCH)?;
        text.push_str(&format!(
            "{} {modified:?} {}\n",
            metadata.len(),
            file.display()
        ));
    }
    Ok(text)
}

/// Has the program compile a component; answers the files of its code.
fn compile(folder: &Path, built: &str) -> anyhow::Result<Vec<PathBuf>> {
    fs::copy(component(built), folder.join("dist/one.wasm"))?;
    fs::write(
        folder.join("plugins.toml"),
        "[host]\nlisten = \"127.0.0.1:0\"\nstate = \"var\"\nplugins = \"dist\"\n[agents.one]\nplugin = \"one\"\nsnapshot = false\n",
    )?;
    let address = folder.join("var/address");
    let _ = fs::remove_file(&address);
    let log = fs::File::create(folder.join("log"))?;
    let mut host = Command::new(binary())
        .arg("serve")
        .current_dir(folder)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()?;
    // It listens when its agents are loaded.
    let listens = poll(Duration::from_secs(180), || {
        let ended = host.try_wait().ok().flatten().is_some();
        (ended || address.exists()).then_some(())
    });
    host.kill()?;
    host.wait()?;
    let log = fs::read_to_string(folder.join("log")).unwrap_or_default();
    listens.with_context(|| format!("it does not listen: {log}"))?;
    let files: Vec<PathBuf> = fs::read_dir(folder.join("var/cache"))?
        .flatten()
        .map(|entry| entry.path())
        .collect();
    ensure!(!files.is_empty(), "`{built}` was not compiled: {log}");
    Ok(files)
}
