//! Turns records into bytes that say nothing without a key, and back: AES-256-GCM with the keys of a file in the state folder.
//!
//! Invariants: what was sealed stays readable after a rotation, as old keys are kept; a sealed record opens only in its own place in the journal; a file of keys is replaced as a whole or not at all.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use arc_swap::ArcSwap;
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::{hmac, rand};

/// The file in the state folder. Whoever has it and the database can read the journal, so it belongs into another backup.
pub const FILE: &str = "journal.keys";

/// What a sealed text begins with.
const PLAIN: u8 = 0;
const SEALED: u8 = 1;

/// Keys of a file: a rotation a week for a century, about.
const KEYS_MAX: usize = 5_000;

/// Bytes of a file: as many keys, with words.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

type Key = [u8; 32];

/// The keys of a file.
struct Keys {
    /// By which a person is found again.
    people: Key,
    /// With their numbers; the last one seals.
    sealing: Vec<(u32, Key)>,
}

/// Seals records and opens them.
pub struct Sealer {
    path: PathBuf,
    encrypts: bool,
    keys: ArcSwap<Keys>,
    /// Held while a key is added.
    rotating: Mutex<()>,
}

impl std::fmt::Debug for Sealer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Sealer")
            .field("path", &self.path)
            .field("keys", &self.keys.load().sealing.len())
            .finish_non_exhaustive()
    }
}

/// Why a sealed text cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// Its key is not in the file.
    #[error("it is sealed with key {0}, which the file of keys does not have")]
    Key(u32),
    /// It was changed, or is in another's place.
    #[error("it is not what was sealed here")]
    Changed,
}

impl Sealer {
    /// The keys in a state folder, made if there are none. With `encrypts` off what comes is not sealed; what was sealed before stays readable.
    ///
    /// # Errors
    /// When the file cannot be read or written, or is damaged.
    pub fn open(state: &Path, encrypts: bool) -> io::Result<Self> {
        Ok(Self {
            encrypts,
            ..Self::open_file(&state.join(FILE))?
        })
    }

    /// The keys of any file, made if there are none.
    ///
    /// # Errors
    /// As [`Sealer::open`].
    pub fn open_file(path: &Path) -> io::Result<Self> {
        let keys = match read(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let keys = Keys {
                    people: random()?,
                    sealing: vec![(1, random()?)],
                };
                write(path, &keys)?;
                keys
            }
            keys => keys?,
        };
        Ok(Self::with(path, keys))
    }

    /// As [`Sealer::open`], to read alone: nothing is made.
    ///
    /// # Errors
    /// When the file is not there, cannot be read or is damaged.
    pub fn open_to_read(state: &Path) -> io::Result<Self> {
        Self::open_file_to_read(&state.join(FILE))
    }

    /// The same of any file.
    ///
    /// # Errors
    /// As [`Sealer::open_to_read`].
    pub fn open_file_to_read(path: &Path) -> io::Result<Self> {
        Ok(Self::with(path, read(path)?))
    }

    fn with(path: &Path, keys: Keys) -> Self {
        Self {
            path: path.to_owned(),
            encrypts: true,
            keys: ArcSwap::from_pointee(keys),
            rotating: Mutex::default(),
        }
    }

    /// Whether what comes is sealed.
    #[must_use]
    pub fn encrypts(&self) -> bool {
        self.encrypts
    }

    /// Makes a new key, with which everything is sealed from now on, and gives its number.
    ///
    /// # Errors
    /// When the file cannot be written; nothing changes then.
    pub fn rotate(&self) -> io::Result<u32> {
        let _alone = self.rotating.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.keys.load();
        if now.sealing.len() >= KEYS_MAX {
            return Err(io::Error::other(format!(
                "`{}` has {KEYS_MAX} keys, which is all that fit",
                self.path.display()
            )));
        }
        let number = now.sealing.last().map_or(1, |(number, _)| number + 1);
        let mut sealing = now.sealing.clone();
        sealing.push((number, random()?));
        let keys = Keys {
            people: now.people,
            sealing,
        };
        write(&self.path, &keys)?;
        self.keys.store(keys.into());
        Ok(number)
    }

    /// A text for one place, which `place` says in a form that no other place has.
    ///
    /// # Errors
    /// Without randomness.
    pub fn seal(&self, place: &[u8], text: &[u8]) -> io::Result<Vec<u8>> {
        if !self.encrypts {
            return Ok([&[PLAIN], text].concat());
        }
        self.protect(place, text)
    }

    /// As [`Sealer::seal`], for what is never kept in the open, whatever is set of the journal.
    ///
    /// # Errors
    /// As there.
    pub fn protect(&self, place: &[u8], text: &[u8]) -> io::Result<Vec<u8>> {
        let keys = self.keys.load();
        let (number, key) = keys
            .sealing
            .last()
            .ok_or_else(|| io::Error::other("there is no key to seal with"))?;
        let mut nonce = [0; NONCE_LEN];
        rand::fill(&mut nonce).map_err(|_| no_randomness())?;
        let mut bytes = Vec::with_capacity(1 + 4 + NONCE_LEN + text.len() + 16);
        bytes.push(SEALED);
        bytes.extend_from_slice(&number.to_be_bytes());
        bytes.extend_from_slice(&nonce);
        bytes.extend_from_slice(text);
        let tag = cipher(key)?
            .seal_in_place_separate_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(place),
                &mut bytes[1 + 4 + NONCE_LEN..],
            )
            .map_err(|_| io::Error::other("the text cannot be sealed"))?;
        bytes.extend_from_slice(tag.as_ref());
        Ok(bytes)
    }

    /// What [`Sealer::seal`] was given.
    ///
    /// # Errors
    /// [`Unreadable`]
    pub fn open_sealed(&self, place: &[u8], bytes: &[u8]) -> Result<Vec<u8>, Unreadable> {
        match bytes.split_first() {
            Some((&PLAIN, text)) => Ok(text.to_vec()),
            Some((&SEALED, rest)) => {
                let (number, rest) = rest.split_first_chunk().ok_or(Unreadable::Changed)?;
                let (nonce, rest) = rest.split_first_chunk().ok_or(Unreadable::Changed)?;
                let number = u32::from_be_bytes(*number);
                let keys = self.keys.load();
                let (_, key) = keys
                    .sealing
                    .iter()
                    .rev()
                    .find(|(own, _)| *own == number)
                    .ok_or(Unreadable::Key(number))?;
                let mut text = rest.to_vec();
                let length = cipher(key)
                    .map_err(|_| Unreadable::Changed)?
                    .open_in_place(
                        Nonce::assume_unique_for_key(*nonce),
                        Aad::from(place),
                        &mut text,
                    )
                    .map_err(|_| Unreadable::Changed)?
                    .len();
                text.truncate(length);
                Ok(text)
            }
            _ => Err(Unreadable::Changed),
        }
    }

    /// By what a person is found again, and nothing is found out of it without the key.
    #[must_use]
    pub fn person(&self, kind: &str, text: &str) -> [u8; 32] {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.keys.load().people);
        let mut context = hmac::Context::with_key(&key);
        context.update(kind.as_bytes());
        context.update(&[0]);
        context.update(text.as_bytes());
        let mut tag = [0; 32];
        tag.copy_from_slice(context.sign().as_ref());
        tag
    }
}

fn no_randomness() -> io::Error {
    io::Error::other("there is no randomness")
}

fn random() -> io::Result<Key> {
    let mut key = [0; 32];
    rand::fill(&mut key).map_err(|_| no_randomness())?;
    Ok(key)
}

fn cipher(key: &Key) -> io::Result<LessSafeKey> {
    UnboundKey::new(&AES_256_GCM, key)
        .map(LessSafeKey::new)
        .map_err(|_| io::Error::other("the key cannot be used"))
}

fn read(path: &Path) -> io::Result<Keys> {
    let size = fs::metadata(path)?.len();
    let wrong = || {
        io::Error::other(format!(
            "`{}` is damaged; put it back from a copy, as nothing else opens what it sealed",
            path.display()
        ))
    };
    if size > FILE_BYTES_MAX {
        return Err(wrong());
    }
    let text = fs::read_to_string(path)?;
    let mut people = None;
    let mut sealing = Vec::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (name, key) = line.split_once(' ').ok_or_else(wrong)?;
        let mut bytes = [0; 32];
        hex::decode_to_slice(key, &mut bytes).map_err(|_| wrong())?;
        if name == "people" {
            people = Some(bytes);
        } else {
            sealing.push((name.parse().map_err(|_| wrong())?, bytes));
        }
    }
    if sealing.is_empty() {
        return Err(wrong());
    }
    Ok(Keys {
        people: people.ok_or_else(wrong)?,
        sealing,
    })
}

/// Writes a whole file beside the other and puts it in its place.
fn write(path: &Path, keys: &Keys) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new().prefix(FILE).tempfile_in(folder)?;
    writeln!(
        file,
        "# Without these keys what they sealed cannot be read; keep a copy apart from it."
    )?;
    writeln!(file, "people {}", hex::encode(keys.people))?;
    for (number, key) in &keys.sealing {
        writeln!(file, "{number} {}", hex::encode(key))?;
    }
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    fs::File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn what_is_sealed_opens_in_its_place_after_rotations_and_nowhere_else() {
        let state = tempfile::tempdir().unwrap();
        let sealer = Sealer::open(state.path(), true).unwrap();
        let first = sealer.seal(b"1", b"a record").unwrap();
        assert!(!first.windows(6).any(|part| part == b"record"));
        assert_eq!(sealer.rotate().unwrap(), 2);
        let second = sealer.seal(b"2", b"another").unwrap();
        let again = Sealer::open(state.path(), false).unwrap();
        assert_eq!(again.open_sealed(b"1", &first).unwrap(), b"a record");
        assert_eq!(again.open_sealed(b"2", &second).unwrap(), b"another");
        assert_eq!(again.open_sealed(b"2", &first), Err(Unreadable::Changed));
        let mut changed = first.clone();
        *changed.last_mut().unwrap() ^= 1;
        assert_eq!(again.open_sealed(b"1", &changed), Err(Unreadable::Changed));
        assert_eq!(again.open_sealed(b"1", &[]), Err(Unreadable::Changed));
        let plain = again.seal(b"3", b"open").unwrap();
        assert_eq!(sealer.open_sealed(b"3", &plain).unwrap(), b"open");
        // The same person is the same, in whichever process.
        assert_eq!(sealer.person("user", "a"), again.person("user", "a"));
        assert_ne!(sealer.person("user", "a"), again.person("address", "a"));
        let mode = fs::metadata(state.path().join(FILE))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
        // Other keys open nothing.
        fs::remove_file(state.path().join(FILE)).unwrap();
        let other = Sealer::open(state.path(), true).unwrap();
        assert_eq!(other.open_sealed(b"2", &second), Err(Unreadable::Key(2)));
        assert_eq!(other.open_sealed(b"1", &first), Err(Unreadable::Changed));
    }

    #[test]
    fn a_damaged_file_is_told_and_stays() {
        let state = tempfile::tempdir().unwrap();
        let path = state.path().join(FILE);
        for damaged in ["", "people 00\n", "1 zz\n", "people\n"] {
            fs::write(&path, damaged).unwrap();
            let error = Sealer::open(state.path(), true).unwrap_err().to_string();
            assert!(error.contains("damaged"), "{error}");
            assert_eq!(fs::read_to_string(&path).unwrap(), damaged);
        }
    }
}
