//! Which files an import can name: those that were handed in and those that are said to be beside them.

use std::collections::HashSet;

/// The paths of a project, relative with `/` between their parts.
#[derive(Debug, Default)]
pub(crate) struct Project {
    files: HashSet<String>,
    folders: HashSet<String>,
}

impl Project {
    /// Takes paths as they come; `./` before them and `/` around them change nothing.
    pub(crate) fn new<'a>(paths: impl Iterator<Item = &'a str>) -> Self {
        let mut project = Self::default();
        for path in paths {
            let path = path.trim_start_matches("./").trim_matches('/');
            if path.is_empty() {
                continue;
            }
            let mut folder = path;
            while let Some((parent, _)) = folder.rsplit_once('/') {
                if !project.folders.insert(parent.to_owned()) {
                    break;
                }
                folder = parent;
            }
            project.files.insert(path.to_owned());
        }
        project
    }

    /// Whether there is a file.
    pub(crate) fn has_file(&self, path: &str) -> bool {
        self.files.contains(path)
    }

    /// Whether there is a folder with something in it, or a path without an ending that may be one.
    pub(crate) fn has_folder(&self, path: &str) -> bool {
        self.folders.contains(path) || self.files.contains(path)
    }
}

/// The folder of a path, empty at the top.
pub(crate) fn folder(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// The name at the end of a path.
pub(crate) fn name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// Both parts with `/` between them, if the first is not empty.
pub(crate) fn join(folder: &str, name: &str) -> String {
    if folder.is_empty() {
        name.to_owned()
    } else if name.is_empty() {
        folder.to_owned()
    } else {
        format!("{folder}/{name}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_follow_from_files() {
        let project = Project::new(["./a/b/c.py", "d.py", ""].into_iter());
        assert!(project.has_file("a/b/c.py") && project.has_file("d.py"));
        assert!(project.has_folder("a/b") && project.has_folder("a"));
        assert!(!project.has_folder("") && !project.has_folder("b"));
        assert_eq!((folder("a/b.py"), folder("b.py")), ("a", ""));
        assert_eq!((join("", "x"), join("a", "x")), ("x".into(), "a/x".into()));
    }
}
