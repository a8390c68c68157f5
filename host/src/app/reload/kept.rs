//! Components that were replaced or removed are kept for a while, so that one can go back to them.

use super::super::App;
use crate::registry::{self, Registry};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The folder in the state folder with components that were replaced or removed.
pub(super) const COMPONENTS: &str = "components";

/// Bytes of replaced components that are kept: twenty of the size of an interpreter.
const COMPONENTS_MAX_BYTES: u64 = 1 << 30;

impl App {
    /// Keeps components that are replaced or gone, so that one can go back to them.
    pub(super) async fn keep_components(&self, before: &Registry, after: &Registry) {
        let folder = after.config.host.state.join(COMPONENTS);
        for (name, plugin) in &before.plugins {
            let now = after.plugins.get(name).map(|plugin| &plugin.digest);
            if now == Some(&plugin.digest) || plugin.inspection.is_err() {
                continue;
            }
            let (folder, plugin) = (folder.clone(), Arc::clone(plugin));
            let kept = tokio::task::spawn_blocking(move || keep_component(&folder, &plugin)).await;
            match kept {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    tracing::warn!("the replaced component of `{name}` is not kept: {error}");
                }
                Err(error) => {
                    tracing::warn!("the replaced component of `{name}` is not kept: {error}");
                }
            }
        }
    }
}

pub(super) fn component_name(digest: &str) -> String {
    let hex = digest.strip_prefix("sha256:").unwrap_or(digest);
    format!("{hex}.wasm")
}

fn keep_component(folder: &Path, plugin: &registry::Plugin) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)?;
    let file = folder.join(component_name(&plugin.digest));
    if !file.exists() {
        write_whole_now(&file, plugin.bytes())?;
    }
    // The oldest go first.
    let mut kept: Vec<(std::time::SystemTime, u64, PathBuf)> = std::fs::read_dir(folder)?
        .flatten()
        .filter_map(|entry| {
            let metadata = entry.metadata().ok()?;
            Some((metadata.modified().ok()?, metadata.len(), entry.path()))
        })
        .collect();
    kept.sort();
    let mut bytes: u64 = kept.iter().map(|(_, size, _)| size).sum();
    for (_, size, path) in kept {
        if bytes <= COMPONENTS_MAX_BYTES || path == file {
            break;
        }
        std::fs::remove_file(&path)?;
        bytes -= size;
    }
    Ok(())
}

/// Writes a file such that it is there whole or as it was: beside it, to the disk, in its place.
pub(super) async fn write_whole(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let (path, bytes) = (path.to_owned(), bytes.to_vec());
    tokio::task::spawn_blocking(move || write_whole_now(&path, &bytes))
        .await
        .map_err(std::io::Error::other)?
}

fn write_whole_now(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    use std::io::Write as _;
    // A link stays one.
    let path = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let folder = path.parent().unwrap_or_else(|| Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(bytes)?;
    if let Ok(metadata) = std::fs::metadata(&path) {
        file.as_file().set_permissions(metadata.permissions())?;
    } else {
        use std::os::unix::fs::PermissionsExt as _;
        file.as_file()
            .set_permissions(std::fs::Permissions::from_mode(0o644))?;
    }
    file.as_file().sync_all()?;
    file.persist(&path)?;
    std::fs::File::open(folder)?.sync_all()
}
