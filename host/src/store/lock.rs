//! Turns a state directory into one that belongs to this process alone, and remembers whether the last owner let go of it cleanly.
//!
//! The lock is the kernel's (`flock`), so it ends with the process however that dies. The file's text is for the next one who comes: the owner's process id, or nothing after a clean end.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;
use rustix::io::Errno;

use super::StoreError;

/// Longest text read from the file: a process id has ten digits.
const TEXT_MAX_BYTES: u64 = 64;

/// A state directory held.
#[derive(Debug)]
pub(super) struct Lock {
    file: File,
    path: PathBuf,
}

impl Lock {
    /// Takes the directory, at once or not at all, and says whether its last owner died without closing.
    pub(super) fn take(state: &Path) -> Result<(Self, bool), StoreError> {
        let path = state.join("lock");
        let fail = |error| StoreError::io(&path, error);
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(fail)?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => {
                return Err(StoreError::Locked {
                    path: state.to_owned(),
                    // The owner may be about to write it.
                    pid: text(&mut file).ok().and_then(|text| text.parse().ok()),
                });
            }
            Err(error) => return Err(fail(error.into())),
        }
        let unclean = !text(&mut file).map_err(fail)?.is_empty();
        let mut lock = Self { file, path };
        lock.write(&format!("{}\n", std::process::id()))?;
        Ok((lock, unclean))
    }

    /// Notes a clean end. The lock itself goes with the value.
    pub(super) fn mark_clean(&mut self) -> Result<(), StoreError> {
        self.write("")
    }

    fn write(&mut self, text: &str) -> Result<(), StoreError> {
        let write = |file: &mut File| {
            file.set_len(0)?;
            file.rewind()?;
            file.write_all(text.as_bytes())?;
            file.sync_all()
        };
        write(&mut self.file).map_err(|error| StoreError::io(&self.path, error))
    }
}

fn text(file: &mut File) -> io::Result<String> {
    let mut bytes = Vec::new();
    file.take(TEXT_MAX_BYTES).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).trim().to_owned())
}
