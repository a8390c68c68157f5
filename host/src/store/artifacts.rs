//! Turns the bytes of artifacts into files named by their digest, and back.
//!
//! Invariants: a file is complete and on the disk before a row names it; what is read is what was written, or an error.
//! Which runs name a file is in the rows; a file that none names is removed by pruning, between which and the writing of rows stands a gate.

use std::collections::HashSet;
use std::fs::{self, DirBuilder, File};
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aws_lc_rs::digest;
use bytes::Bytes;
use hex::FromHex as _;
use tokio::sync::{OwnedRwLockReadGuard, RwLock};
use tokio::task;

use super::StoreError;
use crate::model::{Artifact, ArtifactInfo};

/// SHA-256.
pub(super) type Digest = [u8; 32];

/// What the database keeps of an artifact.
pub(super) struct ArtifactRow {
    pub(super) name: String,
    pub(super) media_type: String,
    pub(super) size: u64,
    pub(super) digest: Digest,
}

/// The directory of all artifacts.
#[derive(Clone, Debug)]
pub(super) struct ArtifactFiles {
    root: PathBuf,
    /// Held for reading from a file's writing to the commit of its row, for writing while files without rows are removed.
    gate: Arc<RwLock<()>>,
}

impl ArtifactFiles {
    /// Opens the directory and clears what an earlier process left half-written.
    pub(super) fn open(state: &Path) -> Result<Self, StoreError> {
        let files = Self {
            root: state.join("artifacts"),
            gate: Arc::default(),
        };
        let unfinished = files.unfinished();
        match fs::remove_dir_all(&unfinished) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(StoreError::io(&unfinished, error));
            }
            _ => {}
        }
        make_directory(&unfinished).map_err(|error| StoreError::io(&unfinished, error))?;
        Ok(files)
    }

    /// Puts the bytes on the disk. The guard is to be held until the rows are committed.
    pub(super) async fn write(
        &self,
        artifacts: Vec<Artifact>,
    ) -> Result<(Vec<ArtifactRow>, Option<OwnedRwLockReadGuard<()>>), StoreError> {
        if artifacts.is_empty() {
            return Ok((Vec::new(), None));
        }
        let guard = Arc::clone(&self.gate).read_owned().await;
        let files = self.clone();
        let rows = blocking(move || {
            artifacts
                .into_iter()
                .map(|artifact| files.write_one(artifact))
                .collect()
        })
        .await?;
        Ok((rows, Some(guard)))
    }

    fn write_one(&self, artifact: Artifact) -> Result<ArtifactRow, StoreError> {
        let Artifact { info, content } = artifact;
        let digest = sha256(&content);
        if info.digest != name(&digest) {
            return Err(StoreError::Digest {
                name: info.name,
                digest: info.digest,
            });
        }
        let path = self.path(&digest);
        self.place(&path, &content)
            .map_err(|error| StoreError::io(&path, error))?;
        Ok(ArtifactRow {
            name: info.name,
            media_type: info.media_type,
            size: content.len() as u64,
            digest,
        })
    }

    fn place(&self, path: &Path, content: &[u8]) -> io::Result<()> {
        let shard = path.parent().unwrap_or(&self.root);
        let there = fs::metadata(path).is_ok_and(|there| there.len() == content.len() as u64);
        if !there {
            if !shard.is_dir() {
                make_directory(shard)?;
                File::open(&self.root)?.sync_all()?;
            }
            let mut file = tempfile::NamedTempFile::new_in(self.unfinished())?;
            file.write_all(content)?;
            file.as_file().sync_all()?;
            file.persist(path).map_err(|error| error.error)?;
        }
        // Also for a file that is there: whoever put it may not have come this far yet.
        File::open(shard)?.sync_all()
    }

    /// The bytes that a row names.
    pub(super) async fn read(&self, row: ArtifactRow) -> Result<Artifact, StoreError> {
        let path = self.path(&row.digest);
        blocking(move || {
            let content = match fs::read(&path) {
                Ok(content) => content,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    return Err(StoreError::Corrupt {
                        path,
                        detail: format!("the bytes of artifact `{}` are gone", row.name),
                    });
                }
                Err(error) => return Err(StoreError::io(&path, error)),
            };
            if sha256(&content) != row.digest {
                return Err(StoreError::Corrupt {
                    path,
                    detail: format!("the bytes of artifact `{}` are not those stored", row.name),
                });
            }
            Ok(Artifact {
                info: ArtifactInfo {
                    name: row.name,
                    media_type: row.media_type,
                    size: row.size,
                    digest: name(&row.digest),
                },
                content: Bytes::from(content),
            })
        })
        .await
    }

    /// Bytes of all files.
    pub(super) async fn bytes(&self) -> Result<u64, StoreError> {
        let root = self.root.clone();
        blocking(move || {
            let fail = |error| StoreError::io(&root, error);
            let mut bytes = 0;
            for shard in entries(&root).map_err(fail)? {
                let shard = root.join(shard);
                for name in entries(&shard).unwrap_or_default() {
                    bytes += fs::metadata(shard.join(name)).map_or(0, |file| file.len());
                }
            }
            Ok(bytes)
        })
        .await
    }

    /// The parts in which files are looked through: the first bytes of their digests that occur.
    pub(super) async fn shards(&self) -> Result<Vec<u8>, StoreError> {
        let root = self.root.clone();
        blocking(move || {
            let names = entries(&root).map_err(|error| StoreError::io(&root, error))?;
            Ok(names
                .iter()
                .filter_map(|name| <[u8; 1]>::from_hex(name).ok())
                .map(|[shard]| shard)
                .collect())
        })
        .await
    }

    /// Holds up those who write artifacts, so that the rows say which files are needed.
    pub(super) async fn shut(&self) -> Gate {
        Gate {
            files: self.clone(),
            _shut: Arc::clone(&self.gate).write_owned().await,
        }
    }

    fn path(&self, digest: &Digest) -> PathBuf {
        self.root
            .join(hex::encode(&digest[..1]))
            .join(hex::encode(digest))
    }

    /// Where files are until they are complete.
    fn unfinished(&self) -> PathBuf {
        self.root.join("unfinished")
    }
}

/// While it is there, nobody writes artifacts.
pub(super) struct Gate {
    files: ArtifactFiles,
    _shut: tokio::sync::OwnedRwLockWriteGuard<()>,
}

impl Gate {
    /// Removes the files of a part that are not `needed`, and answers how many.
    pub(super) async fn sweep(self, shard: u8, needed: HashSet<Digest>) -> Result<u64, StoreError> {
        blocking(move || {
            let directory = self.files.root.join(hex::encode([shard]));
            let mut removed = 0;
            let names = entries(&directory).map_err(|error| StoreError::io(&directory, error))?;
            for name in names {
                // What has another name is not ours to remove.
                if <[u8; 32]>::from_hex(&name).is_ok_and(|digest| !needed.contains(&digest)) {
                    let path = directory.join(name);
                    fs::remove_file(&path).map_err(|error| StoreError::io(&path, error))?;
                    removed += 1;
                }
            }
            Ok(removed)
        })
        .await
    }
}

/// A directory for the owner alone, and what leads to it.
pub(super) fn make_directory(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

fn entries(directory: &Path) -> io::Result<Vec<String>> {
    fs::read_dir(directory)?
        .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
        .collect()
}

fn sha256(bytes: &[u8]) -> Digest {
    let mut digest = [0; 32];
    digest.copy_from_slice(digest::digest(&digest::SHA256, bytes).as_ref());
    digest
}

fn name(digest: &Digest) -> String {
    format!("sha256:{}", hex::encode(digest))
}

/// Runs what waits for the disk where it holds up nobody.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    // It is never cancelled, so it is missing only when the runtime ends.
    task::spawn_blocking(work)
        .await
        .unwrap_or(Err(StoreError::Closed))
}
