//! The library that is loaded into the program before its own, so that its clock, its disk and its names fail as a test says: `shim.c`.

use anyhow::ensure;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use tempfile::TempDir;

const SOURCE: &str = include_str!("shim.c");

/// What steers the library in one program.
pub(crate) struct Shim {
    directory: TempDir,
    control: File,
}

/// The library, built once for all tests; none where there is no C compiler.
fn library() -> Option<&'static Path> {
    static BUILT: OnceLock<Option<PathBuf>> = OnceLock::new();
    let build = || -> anyhow::Result<PathBuf> {
        let place = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let source = place.join("faults-shim.c");
        std::fs::write(&source, SOURCE)?;
        let library = place.join("faults-shim.so");
        let built = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-o"])
            .arg(&library)
            .arg(&source)
            .output()?;
        ensure!(
            built.status.success(),
            "cc: {}",
            String::from_utf8_lossy(&built.stderr)
        );
        Ok(library)
    };
    BUILT
        .get_or_init(|| match build() {
            Ok(library) => Some(library),
            Err(error) => {
                crate::skipped(&format!("there is no C compiler: {error:#}"));
                None
            }
        })
        .as_deref()
}

impl Shim {
    /// A library that changes nothing yet.
    pub(crate) fn new() -> anyhow::Result<Option<Self>> {
        if library().is_none() {
            return Ok(None);
        }
        let directory = TempDir::new()?;
        let control = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .open(directory.path().join("control"))?;
        control.write_all_at(&[0; 16], 0)?;
        Ok(Some(Self { directory, control }))
    }

    /// The environment of a program that it steers.
    pub(crate) fn environment(&self) -> anyhow::Result<[(&'static str, String); 2]> {
        Ok([
            ("LD_PRELOAD", text(library())?),
            (
                "FAULTS",
                text(Some(&self.directory.path().join("control")))?,
            ),
        ])
    }

    /// The environment of a program whose unsynced writes are noted.
    pub(crate) fn noting(&self) -> anyhow::Result<[(&'static str, String); 2]> {
        Ok([
            ("LD_PRELOAD", text(library())?),
            ("FAULTS_UNDO", text(Some(&self.undo()))?),
        ])
    }

    /// Where they are noted.
    pub(crate) fn undo(&self) -> PathBuf {
        self.directory.path().join("undo")
    }

    /// Sets the wall clock so many seconds ahead of the machine's, or behind.
    pub(crate) fn clock_ahead(&self, seconds: i64) -> anyhow::Result<()> {
        Ok(self.control.write_all_at(&seconds.to_ne_bytes(), 0)?)
    }

    /// Whether syncs of the database fail with `EIO`.
    pub(crate) fn syncs_fail(&self, fail: bool) -> anyhow::Result<()> {
        Ok(self.control.write_all_at(&[u8::from(fail)], 8)?)
    }

    /// After how many seconds each look-up of a name fails.
    pub(crate) fn names_fail_after(&self, seconds: u8) -> anyhow::Result<()> {
        Ok(self.control.write_all_at(&[seconds], 9)?)
    }
}

fn text(path: Option<&Path>) -> anyhow::Result<String> {
    let path = path.and_then(Path::to_str).map(str::to_owned);
    anyhow::Context::context(path, "a path in UTF-8")
}

/// For [`infinity_tests::host::Folder::serve_with`].
pub(crate) fn pairs<'e>(environment: &'e [(&'static str, String)]) -> Vec<(&'static str, &'e str)> {
    environment
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect()
}
