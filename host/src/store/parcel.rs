//! Sealed files that say nothing to who finds them: a folder in one file, and back.
//!
//! Such a file is a compressed archive in parts, each sealed with AES-256-GCM for its place in this backup, so that none can be changed, left out, moved or taken from another. The keys are in
//! `backup.keys` in the state folder, which is in no backup.
//!
//! Invariant: what was not sealed here is not unpacked.

use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use aws_lc_rs::rand;

use super::StoreError;
use crate::audit::seal::Sealer;

/// The keys in a state folder.
pub const KEYS: &str = "backup.keys";

/// The one file of a sealed backup.
pub const CONTENT: &str = "backup.sealed";

/// What it begins with: its form, then its id.
const MAGIC: &[u8; 8] = b"infbak1\n";

/// Bytes of a part before it is sealed.
const PART: usize = 1 << 20;

/// Bytes of a part at most: sealed, with the key's number, nonce and tag.
const SEALED_MAX: usize = PART + 64;

/// How hard zstd tries: its default, at some hundred megabytes a second.
const LEVEL: i32 = 3;

fn place(id: [u8; 16], number: u64, last: bool) -> Vec<u8> {
    [
        b"backup\0",
        &id[..],
        &number.to_be_bytes(),
        &[u8::from(last)],
    ]
    .concat()
}

/// Seals what is written, part by part.
struct Sealing<'s, W: Write> {
    sealer: &'s Sealer,
    to: W,
    id: [u8; 16],
    part: Vec<u8>,
    number: u64,
}

impl<W: Write> Sealing<'_, W> {
    fn put(&mut self, last: bool) -> io::Result<()> {
        let sealed = self
            .sealer
            .protect(&place(self.id, self.number, last), &self.part)?;
        let length = u32::try_from(sealed.len()).map_err(io::Error::other)?;
        // The highest bit says that it is the last; so does its place.
        let marked = length | (u32::from(last) << 31);
        self.to.write_all(&marked.to_be_bytes())?;
        self.to.write_all(&sealed)?;
        self.part.clear();
        self.number += 1;
        Ok(())
    }

    fn finish(mut self) -> io::Result<W> {
        self.put(true)?;
        self.to.flush()?;
        Ok(self.to)
    }
}

impl<W: Write> Write for Sealing<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.part.len() == PART {
            self.put(false)?;
        }
        let taken = bytes.len().min(PART - self.part.len());
        self.part.extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Opens what was sealed, part by part.
struct Opening<'s, R: Read> {
    sealer: &'s Sealer,
    from: R,
    id: [u8; 16],
    part: Vec<u8>,
    at: usize,
    number: u64,
    ended: bool,
}

fn broken(what: impl std::fmt::Display) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.to_string())
}

impl<R: Read> Opening<'_, R> {
    fn next(&mut self) -> io::Result<()> {
        let mut marked = [0; 4];
        self.from
            .read_exact(&mut marked)
            .map_err(|_| broken("it ends before its last part"))?;
        let marked = u32::from_be_bytes(marked);
        let last = marked >> 31 == 1;
        let length = (marked & (u32::MAX >> 1)) as usize;
        if length > SEALED_MAX {
            return Err(broken("a part is longer than parts are"));
        }
        let mut sealed = vec![0; length];
        self.from
            .read_exact(&mut sealed)
            .map_err(|_| broken("it ends within a part"))?;
        self.part = self
            .sealer
            .open_sealed(&place(self.id, self.number, last), &sealed)
            .map_err(|error| broken(format!("part {}: {error}", self.number)))?;
        self.at = 0;
        self.number += 1;
        self.ended = last;
        if last && self.from.read(&mut [0])? != 0 {
            return Err(broken("something follows its last part"));
        }
        Ok(())
    }
}

impl<R: Read> Read for Opening<'_, R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        while self.at == self.part.len() && !self.ended {
            self.next()?;
        }
        let taken = bytes.len().min(self.part.len() - self.at);
        bytes[..taken].copy_from_slice(&self.part[self.at..self.at + taken]);
        self.at += taken;
        Ok(taken)
    }
}

/// Writes a folder into one sealed file.
pub(super) fn seal(sealer: &Sealer, folder: &Path, file: &Path) -> io::Result<()> {
    let mut id = [0; 16];
    rand::fill(&mut id).map_err(|_| io::Error::other("there is no randomness"))?;
    let mut to = BufWriter::new(
        fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(file)?,
    );
    to.write_all(MAGIC)?;
    to.write_all(&id)?;
    let sealing = Sealing {
        sealer,
        to,
        id,
        part: Vec::with_capacity(PART),
        number: 0,
    };
    let mut archive = tar::Builder::new(zstd::Encoder::new(sealing, LEVEL)?);
    archive.follow_symlinks(false);
    archive.append_dir_all("", folder)?;
    let to = archive.into_inner()?.finish()?.finish()?;
    to.into_inner()
        .map_err(io::IntoInnerError::into_error)?
        .sync_all()
}

/// Writes what is in a sealed file into a folder.
pub(super) fn unseal(sealer: &Sealer, file: &Path, folder: &Path) -> io::Result<()> {
    let mut from = BufReader::new(File::open(file)?);
    let mut magic = [0; 8];
    let mut id = [0; 16];
    from.read_exact(&mut magic)
        .and_then(|()| from.read_exact(&mut id))
        .map_err(|_| broken("it is no backup"))?;
    if magic != *MAGIC {
        return Err(broken("it is no backup"));
    }
    let opening = Opening {
        sealer,
        from,
        id,
        part: Vec::new(),
        at: 0,
        number: 0,
        ended: false,
    };
    let mut archive = tar::Archive::new(zstd::Decoder::new(opening)?);
    archive.set_preserve_permissions(false);
    archive.unpack(folder)?;
    // To its very end: an archive says itself that it is over, and what follows could be anything.
    io::copy(&mut archive.into_inner(), &mut io::sink())?;
    Ok(())
}

/// The keys in a state folder, made if there are none and `making`.
pub(super) fn keys(state: &Path, making: bool) -> Result<Sealer, StoreError> {
    let path = state.join(KEYS);
    let opened = if making {
        Sealer::open_file(&path)
    } else {
        Sealer::open_file_to_read(&path)
    };
    opened.map_err(|error| StoreError::io(&path, error))
}

/// Does what may block, and says of damage that it is some.
pub(super) async fn blocking(
    path: &Path,
    work: impl FnOnce() -> io::Result<()> + Send + 'static,
) -> Result<(), StoreError> {
    let done = tokio::task::spawn_blocking(work)
        .await
        .map_err(|_| StoreError::Closed)?;
    done.map_err(|error| match error.kind() {
        io::ErrorKind::InvalidData => StoreError::Corrupt {
            path: path.to_owned(),
            detail: error.to_string(),
        },
        _ => StoreError::io(path, error),
    })
}

/// Seals backups with a new key from now on, and gives its number; older ones open as before.
///
/// # Errors
/// When the keys cannot be read or written.
pub fn rotate_key(state: &Path) -> Result<u32, StoreError> {
    let path = state.join(KEYS);
    keys(state, true)?
        .rotate()
        .map_err(|error| StoreError::io(&path, error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    fn file(sealer: &Sealer, folder: &Path, name: &str, bytes: &[u8]) -> PathBuf {
        let plain = folder.join(format!("{name}-plain"));
        fs::create_dir_all(plain.join("deep")).unwrap();
        fs::write(plain.join("deep/file"), bytes).unwrap();
        let sealed = folder.join(name);
        seal(sealer, &plain, &sealed).unwrap();
        sealed
    }

    #[test]
    fn what_was_sealed_is_there_again_and_nothing_else_is() {
        let folder = tempfile::tempdir().unwrap();
        let sealer = Sealer::open_file(&folder.path().join(KEYS)).unwrap();
        // More than two parts that do not compress.
        let mut bytes = vec![0; 2 * PART + 1000];
        rand::fill(&mut bytes).unwrap();
        let sealed = file(&sealer, folder.path(), "a", &bytes);
        let whole = fs::read(&sealed).unwrap();
        let open = |name: &str, content: &[u8], sealer: &Sealer| {
            let path = folder.path().join(name);
            fs::write(&path, content).unwrap();
            let to = tempfile::tempdir().unwrap();
            unseal(sealer, &path, to.path())?;
            fs::read(to.path().join("deep/file"))
        };
        assert_eq!(open("whole", &whole, &sealer).unwrap(), bytes);
        // An old key opens what it sealed.
        sealer.rotate().unwrap();
        assert_eq!(open("rotated", &whole, &sealer).unwrap(), bytes);
        let first = 24;
        let length = u32::from_be_bytes(whole[first..first + 4].try_into().unwrap()) as usize + 4;
        let mut changed = whole.clone();
        changed[first + length / 2] ^= 1;
        let without = [&whole[..first], &whole[first + length..]].concat();
        let twice = [&whole[..first + length], &whole[first..]].concat();
        let swapped = [
            &whole[..first],
            &whole[first + length..first + 2 * length],
            &whole[first..first + length],
            &whole[first + 2 * length..],
        ]
        .concat();
        let mut early = whole[..first + length].to_vec();
        early[first] |= 0x80;
        let foreign = fs::read(file(&sealer, folder.path(), "b", &bytes)).unwrap();
        let mixed = [&whole[..first + length], &foreign[first + length..]].concat();
        for (what, content) in [
            ("changed", &changed[..]),
            ("cut", &whole[..whole.len() - 1]),
            ("without a part", &without),
            ("a part twice", &twice),
            ("parts swapped", &swapped),
            ("ended early", &early),
            ("cut at a part", &whole[..first + length]),
            ("longer", &[&whole[..], b"x"].concat()),
            ("of two", &mixed),
            ("empty", b""),
            (
                "something else",
                b"PK\x03\x04 something that is no backup at all",
            ),
        ] {
            let error = open("wrong", content, &sealer).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{what}: {error}");
        }
        let other = Sealer::open_file(&folder.path().join("other.keys")).unwrap();
        assert!(open("other", &whole, &other).is_err());
    }
}
