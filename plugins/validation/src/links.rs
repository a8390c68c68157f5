//! Judges the destinations of links: which file they name below the root, and which anchor in it.
//!
//! Takes destinations as written, gives [`Destination`]s. Absolute URLs, links that leave the root, templates and paths of Rust items
//! (`crate::module`) are nobody's business here.
//! It does not read files.

/// What a link names.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Destination {
    /// Not to be checked.
    Elsewhere,
    /// A place in the file that holds the link.
    Here { fragment: String },
    /// A path below the root, without `.` and `..`, and the anchor wanted in it.
    File {
        path: String,
        /// The destination ends with `/`, so it must be a directory.
        directory: bool,
        fragment: Option<String>,
    },
}

/// Resolves the destination of a link in the file `from`.
pub(crate) fn resolve(from: &str, destination: &str) -> Destination {
    let destination = destination.trim();
    let template = ["{{", "{%", "${", "<%", "::"]
        .iter()
        .any(|mark| destination.contains(mark));
    if destination.is_empty()
        || template
        || has_scheme(destination)
        || destination.starts_with("//")
    {
        return Destination::Elsewhere;
    }
    let (before, fragment) = match destination.split_once('#') {
        Some((before, fragment)) => (before, Some(percent_decode(fragment))),
        None => (destination, None),
    };
    let (path, query) = match before.split_once('?') {
        Some((path, _)) => (path, true),
        None => (before, false),
    };
    if path.is_empty() {
        return match fragment {
            Some(fragment) if !query => Destination::Here { fragment },
            _ => Destination::Elsewhere,
        };
    }
    let path = percent_decode(path);
    // A line break or NUL is in no name that a link can mean.
    if path.contains(['\0', '\n']) {
        return Destination::Elsewhere;
    }
    let mut parts: Vec<&str> = match (path.strip_prefix('/'), from.rsplit_once('/')) {
        (None, Some((folder, _))) => folder.split('/').collect(),
        _ => Vec::new(),
    };
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                if parts.pop().is_none() {
                    return Destination::Elsewhere;
                }
            }
            part => parts.push(part),
        }
    }
    Destination::File {
        path: parts.join("/"),
        directory: path.ends_with('/'),
        // With a query the server decides what is shown.
        fragment: fragment.filter(|_| !query),
    }
}

fn has_scheme(destination: &str) -> bool {
    destination.split_once(':').is_some_and(|(scheme, _)| {
        scheme.starts_with(|first: char| first.is_ascii_alphabetic())
            && scheme
                .chars()
                .all(|it| it.is_ascii_alphanumeric() || matches!(it, '+' | '-' | '.'))
    })
}

/// Decodes `%XX`; what is no such escape stays as it is, and bytes that are no UTF-8 become replacement characters.
pub(crate) fn percent_decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let digit = |offset: usize| {
            bytes
                .get(at + offset)
                .and_then(|&it| char::from(it).to_digit(16))
        };
        if byte == b'%'
            && let (Some(high), Some(low)) = (digit(1), digit(2))
        {
            decoded.push((high * 16 + low) as u8);
            at += 3;
        } else {
            decoded.push(byte);
            at += 1;
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, directory: bool, fragment: Option<&str>) -> Destination {
        Destination::File {
            path: path.into(),
            directory,
            fragment: fragment.map(str::to_owned),
        }
    }

    #[test]
    fn destinations_become_paths_below_the_root() {
        for (from, destination, expected) in [
            ("README.md", "docs/a.md", file("docs/a.md", false, None)),
            (
                "docs/a.md",
                "../b%20c.md#x%C3%BC",
                file("b c.md", false, Some("xü")),
            ),
            ("docs/a.md", "/b.md", file("b.md", false, None)),
            ("docs/a.md", "./sub/", file("docs/sub", true, None)),
            (
                "docs/a.md",
                "b.md?raw=1#frag",
                file("docs/b.md", false, None),
            ),
            ("docs/a.md", "..", file("", false, None)),
            ("a.md", "100%.md", file("100%.md", false, None)),
            (
                "a.md",
                "#part",
                Destination::Here {
                    fragment: "part".into(),
                },
            ),
        ] {
            assert_eq!(resolve(from, destination), expected, "{destination}");
        }
        for destination in [
            "https://a.b/c",
            "mailto:a@b.c",
            "//a.b/c",
            "../x.md",
            "../../issues",
            "",
            "{{site}}/x",
            "?q=1",
            "data:image/png;base64,AA",
            "tower_http::trace",
            "a%00b",
        ] {
            assert_eq!(
                resolve("a.md", destination),
                Destination::Elsewhere,
                "{destination}"
            );
        }
    }
}
