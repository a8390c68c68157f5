//! What `infinity serve --dev` has instead of the world outside: a file of what would have been sent.
//!
//! Channels and everything that changes something on GitHub hand over here what they would send, and go on as if it had arrived. What only reads is asked for as always. Invariants: no address and
//! no key of a service is written, as these are secrets; the file has an end.

use crate::model::now;
use anyhow::Context as _;
use serde_json::{Value, json};
use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// The file in the state folder, a JSON object on each line.
pub const OUTBOX: &str = "dev/outbox.jsonl";

/// What the file is called when it is full and another begins; one older than that is dropped.
pub const OLD_OUTBOX: &str = "dev/outbox.old.jsonl";

/// Bytes of the file before another begins: more than a day of trying things.
const OUTBOX_MAX: u64 = 16 * 1024 * 1024;

/// Characters of what is shown in the log of one message; the file has all of it.
const SHOWN_MAX: usize = 500;

/// Takes what would have been sent.
#[derive(Debug)]
pub struct Recorder {
    file: PathBuf,
    old: PathBuf,
    /// Held while a line is written.
    open: Mutex<File>,
}

fn opened(file: &Path) -> std::io::Result<File> {
    OpenOptions::new().create(true).append(true).open(file)
}

impl Recorder {
    /// A recorder that writes below a state folder.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn open(state: &Path) -> anyhow::Result<Self> {
        let file = state.join(OUTBOX);
        let cannot = || format!("`{}` cannot be written", file.display());
        if let Some(folder) = file.parent() {
            fs::create_dir_all(folder).with_context(cannot)?;
        }
        let open = opened(&file).with_context(cannot)?;
        Ok(Self {
            old: state.join(OLD_OUTBOX),
            open: Mutex::new(open),
            file,
        })
    }

    /// Where it writes.
    #[must_use]
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Records what would have been sent: by what, to whom, and what.
    pub fn would_send(&self, by: &str, to: &str, what: &Value) {
        let shown: String = what.to_string().chars().take(SHOWN_MAX).collect();
        tracing::info!("would have sent to `{to}` by {by}: {shown}");
        let line = json!({ "at": now().to_string(), "by": by, "to": to, "what": what });
        if let Err(error) = self.write(&line) {
            tracing::error!("`{}` cannot be written: {error}", self.file.display());
        }
    }

    fn write(&self, line: &Value) -> std::io::Result<()> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.metadata()?.len() > OUTBOX_MAX {
            fs::rename(&self.file, &self.old)?;
            *open = opened(&self.file)?;
        }
        // In one piece, so that whoever follows the file sees whole lines.
        open.write_all(format!("{line}\n").as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_have_been_sent_is_a_line_of_a_file_that_has_an_end() {
        let folder = tempfile::tempdir().expect("a folder");
        let recorder = Recorder::open(folder.path()).expect("a recorder");
        recorder.would_send("discord", "chat", &json!({ "title": "two\nlines" }));
        let text = fs::read_to_string(recorder.file()).expect("a file");
        assert_eq!(text.lines().count(), 1);
        let line: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(
            (&line["by"], &line["to"], &line["what"]["title"]),
            (&json!("discord"), &json!("chat"), &json!("two\nlines"))
        );
        let full = OpenOptions::new()
            .write(true)
            .open(recorder.file())
            .expect("a file");
        full.set_len(OUTBOX_MAX + 1).expect("room");
        recorder.would_send("discord", "chat", &json!({}));
        assert!(folder.path().join(OLD_OUTBOX).exists());
        let text = fs::read_to_string(recorder.file()).expect("a file");
        assert_eq!(text.lines().count(), 1);
    }
}
