//! Paths of `plugins.toml` to paths of this machine, and which directories no guest may see.
//!
//! Relative paths start at the directory of the file. A directory that is granted is kept in its canonical form: what was judged is what is opened later.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use toml::Spanned;

use super::error::{Errors, literal};

/// Directories that describe or are the machine. They are refused with everything below them.
const SYSTEM: [&str; 4] = ["/etc", "/proc", "/sys", "/dev"];

/// What the rules on directories need to know of the host's own files; all paths are settled.
#[derive(Debug)]
pub(super) struct HostPaths {
    /// The directory of `plugins.toml`.
    pub(super) root: PathBuf,
    /// The state directory, which no guest may see.
    pub(super) state: PathBuf,
    /// What decides about guests, which no guest may change, with a name for messages.
    pub(super) deciding: Vec<(PathBuf, &'static str)>,
}

/// A path of the file as a path of this machine, without `.` and without a `/` at the end.
pub(super) fn resolve(root: &Path, written: &str) -> PathBuf {
    root.join(written).components().collect()
}

/// The canonical form of a path that need not exist: of its nearest ancestor that does, and the rest as it is.
pub(super) fn settled(path: &Path) -> PathBuf {
    for ancestor in path.ancestors() {
        if let (Ok(real), Ok(rest)) = (ancestor.canonicalize(), path.strip_prefix(ancestor)) {
            return real.join(rest);
        }
    }
    path.to_owned()
}

/// Whether one of the two holds the other.
pub(super) fn overlap(left: &Path, right: &Path) -> bool {
    left.starts_with(right) || right.starts_with(left)
}

/// Judges a directory that is to be granted. `must_exist` is false for agents that do not run.
pub(super) fn granted_directory(
    written: &Spanned<String>,
    write: bool,
    must_exist: bool,
    host: &HostPaths,
    errors: &mut Errors,
) -> Option<PathBuf> {
    let name = literal(written.get_ref());
    let path = resolve(&host.root, written.get_ref());
    match path.symlink_metadata() {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            if !must_exist {
                return Some(path);
            }
            errors
                .at(written.span(), format!("directory {name} does not exist"))
                .help("create it, or correct the path; relative paths start at the directory of this file");
            return None;
        }
        Err(error) => {
            errors.at(
                written.span(),
                format!("directory {name} cannot be read: {}", error.kind()),
            );
            return None;
        }
        Ok(metadata) if metadata.is_symlink() => {
            errors
                .at(
                    written.span(),
                    format!("directory {name} cannot be granted: it is a symbolic link"),
                )
                .help("name the directory that the link leads to");
            return None;
        }
        Ok(metadata) if !metadata.is_dir() => {
            errors
                .at(written.span(), format!("{name} is not a directory"))
                .help("grant the directory that holds the file");
            return None;
        }
        Ok(_) => {}
    }
    let real = match path.canonicalize() {
        Ok(real) => real,
        Err(error) => {
            errors.at(
                written.span(),
                format!("directory {name} cannot be read: {}", error.kind()),
            );
            return None;
        }
    };
    let Some((reason, help)) = unsafe_because(&real, write, host) else {
        return Some(real);
    };
    errors
        .at(
            written.span(),
            format!("directory {name} cannot be granted: {reason}"),
        )
        .help(help);
    None
}

fn unsafe_because(real: &Path, write: bool, host: &HostPaths) -> Option<(String, &'static str)> {
    const NARROWER: &str = "grant only the directory that the agent needs";
    if real.parent().is_none() {
        return Some(("it is the whole machine".to_owned(), NARROWER));
    }
    let system = SYSTEM
        .into_iter()
        .find(|system| real.starts_with(system) || real.starts_with(settled(Path::new(system))));
    if let Some(system) = system {
        return Some((
            format!("`{system}` belongs to the machine"),
            "copy what the agent needs into a directory of its own",
        ));
    }
    if host.state == real {
        return Some((
            "it is the host's state directory".to_owned(),
            "use a directory beside it",
        ));
    }
    if host.state.starts_with(real) {
        return Some(("the host's state directory is in it".to_owned(), NARROWER));
    }
    if real.starts_with(&host.state) {
        return Some((
            "it is in the host's state directory".to_owned(),
            "use a directory beside it",
        ));
    }
    let (_, decides) = host
        .deciding
        .iter()
        .find(|(path, _)| write && overlap(path, real))?;
    Some((
        format!("a guest that writes there could change {decides}"),
        "drop `write = true`, or grant a directory of its own",
    ))
}

/// Why a guest's path cannot be used, if so.
pub(super) fn wrong_guest_path(guest: &str) -> Option<&'static str> {
    // Longer paths than a file system takes are a mistake.
    const MAX_LENGTH: usize = 1_024;
    let Some(rest) = guest.strip_prefix('/') else {
        return Some("it must start with `/`");
    };
    if guest.len() > MAX_LENGTH {
        return Some("it is too long");
    }
    if guest.contains(|c: char| c.is_control() || c == '\\') {
        return Some("it holds a control character or `\\`");
    }
    let clean = rest.is_empty() || rest.split('/').all(|part| !matches!(part, "" | "." | ".."));
    (!clean).then_some("it must hold no `.`, `..`, `//` and no `/` at the end")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guest_paths_are_absolute_and_normalised() {
        for good in ["/", "/data", "/data/in.d", "/…"] {
            assert_eq!(wrong_guest_path(good), None, "{good}");
        }
        for bad in [
            "", "data", "./data", "/data/", "//", "/a//b", "/a/./b", "/a/..", "/a\\b", "/a\0",
        ] {
            assert!(wrong_guest_path(bad).is_some(), "{bad}");
        }
        assert!(wrong_guest_path(&format!("/{}", "a".repeat(2_000))).is_some());
    }

    #[test]
    fn a_path_that_does_not_exist_settles_below_one_that_does() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let real = directory.path().canonicalize().expect("it exists");
        assert_eq!(settled(&directory.path().join("a/b")), real.join("a/b"));
    }
}
