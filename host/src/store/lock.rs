//! Turns a state directory into one that belongs to this process alone, and remembers whether the last owner let go of it cleanly.
//!
//! The lock is the kernel's (`flock`), so it ends with the process however that dies, or with a child that was just being started and has not let go of its parent's files. The file's text is for the next one who comes: the owner's process id, or nothing after a clean end.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::FlockOperation;
use rustix::io::Errno;
use rustix::process::{Pid, test_kill_process};

use super::StoreError;

/// Longest text read from the file: a process id has ten digits.
const TEXT_MAX_BYTES: u64 = 64;

/// How long a dead owner's children may hold on: from the fork to the exec, which on a busy machine is some milliseconds.
const CHILDREN_MAX: Duration = Duration::from_secs(5);

/// How often it is looked whether they let go.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// A state directory held.
#[derive(Debug)]
pub(super) struct Lock {
    file: File,
    path: PathBuf,
}

impl Lock {
    /// Takes the directory, unless its owner lives, and says whether its last owner died without closing.
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
        let began = Instant::now();
        loop {
            match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => break,
                Err(Errno::WOULDBLOCK) => {
                    file.rewind().map_err(fail)?;
                    // The owner may be about to write it.
                    let pid: Option<u32> = text(&mut file).ok().and_then(|text| text.parse().ok());
                    if pid.is_none_or(is_alive) || began.elapsed() > CHILDREN_MAX {
                        return Err(StoreError::Locked {
                            path: state.to_owned(),
                            pid,
                        });
                    }
                    std::thread::sleep(LOOK_EVERY);
                }
                Err(error) => return Err(fail(error.into())),
            }
        }
        file.rewind().map_err(fail)?;
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

/// Whether there is such a process, ours or another's.
fn is_alive(pid: u32) -> bool {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    pid.is_some_and(|pid| !matches!(test_kill_process(pid), Err(Errno::SRCH)))
}

fn text(file: &mut File) -> io::Result<String> {
    let mut bytes = Vec::new();
    file.take(TEXT_MAX_BYTES).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).trim().to_owned())
}
