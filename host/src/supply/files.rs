//! Files that are the old one or the new one, whole, whenever the machine stops.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::{Duration, SystemTime};

/// What an unfinished file is called; no plugin's file begins with it, nor ends so.
const UNFINISHED: &str = ".unfinished-";

/// How old an unfinished file has to be before it is nobody's: a download takes a tenth of it.
const ORPHANED_AFTER: Duration = Duration::from_secs(3_600);

/// Writes a file beside the other, puts it on the disk, and into its place. Unfinished files that a stopped program left are removed.
///
/// # Errors
/// What the system says; the old file is then as it was.
pub fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    collect(folder);
    let mut file = tempfile::Builder::new()
        .prefix(UNFINISHED)
        // What the process's mask takes away is taken away here, too.
        .permissions(fs::Permissions::from_mode(0o666))
        .tempfile_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    fs::File::open(folder)?.sync_all()
}

/// Removes a file, if there is one.
///
/// # Errors
/// What the system says.
pub fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Removes what was never finished. What cannot be removed does no harm but take space.
fn collect(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    let old = |entry: &fs::DirEntry| {
        let modified = entry.metadata().and_then(|metadata| metadata.modified());
        modified.is_ok_and(|modified| {
            SystemTime::now()
                .duration_since(modified)
                .is_ok_and(|age| age > ORPHANED_AFTER)
        })
    };
    for entry in entries.flatten() {
        if entry.file_name().to_string_lossy().starts_with(UNFINISHED) && old(&entry) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_and_orphans_are_collected() {
        let folder = tempfile::tempdir().unwrap();
        let orphan = folder.path().join(".unfinished-old");
        let fresh = folder.path().join(".unfinished-new");
        for file in [&orphan, &fresh] {
            fs::write(file, "half").unwrap();
        }
        let long_ago = SystemTime::now() - 2 * ORPHANED_AFTER;
        fs::File::options()
            .write(true)
            .open(&orphan)
            .unwrap()
            .set_modified(long_ago)
            .unwrap();
        let path = folder.path().join("a");
        write(&path, b"one").unwrap();
        write(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert!(!orphan.exists() && fresh.exists());
        remove(&path).unwrap();
        remove(&path).unwrap();
        assert!(!path.exists());
    }
}
