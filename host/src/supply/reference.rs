//! `REGISTRY/NAME:TAG@sha256:…`: what people write for a component in a registry.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use super::lock::is_digest;

/// Characters of a repository's name, as registries have it.
const REPOSITORY_MAX: usize = 255;

/// Characters of a tag, as registries have it.
const TAG_MAX: usize = 128;

/// A component in a registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// Host, and port where it is not that of the scheme.
    pub registry: String,
    /// The repository there.
    pub repository: String,
    /// A name that may move.
    pub tag: Option<String>,
    /// `sha256:<hex>` of the manifest.
    pub digest: Option<String>,
}

/// Why a text names no component in a registry.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ReferenceError(String);

impl Reference {
    /// The name of its last part: what a plugin is called if nobody says otherwise.
    #[must_use]
    pub fn name(&self) -> &str {
        self.repository
            .rsplit_once('/')
            .map_or(self.repository.as_str(), |(_, name)| name)
    }

    /// By what a manifest is asked for: the digest, where there is one.
    #[must_use]
    pub fn asked(&self) -> &str {
        self.digest
            .as_deref()
            .or(self.tag.as_deref())
            .unwrap_or_default()
    }

    /// The same, with the manifest's digest.
    #[must_use]
    pub fn pinned(&self, digest: &str) -> Self {
        Self {
            digest: Some(digest.to_owned()),
            ..self.clone()
        }
    }

    /// The registry's host without its port.
    #[must_use]
    pub fn host(&self) -> &str {
        let port = |(_, port): &(&str, &str)| port.bytes().all(|byte| byte.is_ascii_digit());
        self.registry
            .rsplit_once(':')
            .filter(port)
            .map_or(self.registry.as_str(), |(host, _)| host)
    }

    /// Whether the registry is said to be on this machine.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        let host = self.host();
        let address = host.trim_start_matches('[').trim_end_matches(']');
        host == "localhost"
            || address
                .parse::<IpAddr>()
                .is_ok_and(|address| address.is_loopback())
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.registry, self.repository)?;
        if let Some(tag) = &self.tag {
            write!(formatter, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(formatter, "@{digest}")?;
        }
        Ok(())
    }
}

impl FromStr for Reference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        let wrong = |why: &str| ReferenceError(format!("`{text}` {why}"));
        let rest = text.strip_prefix("oci://").unwrap_or(text);
        if let Some((scheme, _)) = rest.split_once("://") {
            return Err(wrong(&format!(
                "is no place in a registry: `{scheme}:` is not fetched from"
            )));
        }
        let (rest, digest) = match rest.split_once('@') {
            Some((rest, digest)) if is_digest(digest) => (rest, Some(digest.to_owned())),
            Some(_) => return Err(wrong("has no digest of SHA-256 behind its `@`")),
            None => (rest, None),
        };
        let Some((registry, rest)) = rest.split_once('/') else {
            return Err(wrong("names no registry"));
        };
        let (repository, tag) = match rest.split_once(':') {
            Some((repository, tag)) => (repository, Some(tag)),
            None => (rest, None),
        };
        if !is_registry(registry) {
            return Err(wrong(
                "does not begin with the host of a registry, such as `ghcr.io` or `localhost:5000`",
            ));
        }
        if !is_repository(repository) {
            return Err(wrong("has no name of a repository behind the registry"));
        }
        if tag.is_some_and(|tag| !is_tag(tag)) {
            return Err(wrong("has no tag behind its `:`"));
        }
        if tag.is_none() && digest.is_none() {
            return Err(wrong("has neither a tag nor a digest"));
        }
        Ok(Self {
            registry: registry.to_ascii_lowercase(),
            repository: repository.to_owned(),
            tag: tag.map(str::to_owned),
            digest,
        })
    }
}

fn is_registry(text: &str) -> bool {
    // What is before the first `/` of `library/x` is no host.
    let looks_like_one = text == "localhost" || text.contains(['.', ':']);
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, rest)) => {
            if host.parse::<std::net::Ipv6Addr>().is_err() {
                return false;
            }
            (
                "v6",
                rest.strip_prefix(':').or(rest.is_empty().then_some("1")),
            )
        }
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, Some("1")),
        },
    };
    let host_fits = !host.is_empty()
        && host.starts_with(|c: char| c.is_ascii_alphanumeric())
        && host
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-'));
    let port_fits = port.is_some_and(|port| {
        !port.starts_with('+') && port.parse::<u16>().is_ok_and(|port| port > 0)
    });
    looks_like_one && host_fits && port_fits
}

fn is_repository(text: &str) -> bool {
    let edge = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    text.len() <= REPOSITORY_MAX
        && text.split('/').all(|part| {
            part.starts_with(edge)
                && part.ends_with(edge)
                && part
                    .chars()
                    .all(|c| edge(c) || matches!(c, '.' | '_' | '-'))
                && !part.contains("..")
        })
}

fn is_tag(text: &str) -> bool {
    text.len() <= TAG_MAX
        && text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_people_write() {
        let digest = format!("sha256:{}", "0".repeat(64));
        for (text, registry, repository, tag) in [
            ("ghcr.io/acme/mirror:1.2", "ghcr.io", "acme/mirror", "1.2"),
            ("localhost:5000/a:v1", "localhost:5000", "a", "v1"),
            ("oci://localhost/a/b_c:1", "localhost", "a/b_c", "1"),
            ("[::1]:5000/a:1", "[::1]:5000", "a", "1"),
            ("REGISTRY.example/a:1", "registry.example", "a", "1"),
        ] {
            let read: Reference = text.parse().unwrap();
            assert_eq!(
                (
                    read.registry.as_str(),
                    read.repository.as_str(),
                    read.tag.as_deref()
                ),
                (registry, repository, Some(tag)),
                "{text}"
            );
            let pinned: Reference = format!("{text}@{digest}").parse().unwrap();
            assert_eq!(pinned, read.pinned(&digest));
            assert_eq!(pinned.asked(), digest);
            assert_eq!(pinned.to_string().parse::<Reference>().unwrap(), pinned);
        }
        let read: Reference = "ghcr.io/acme/mirror:1".parse().unwrap();
        assert_eq!(read.name(), "mirror");
    }

    #[test]
    fn refuses_what_is_no_place_in_a_registry() {
        for text in [
            "",
            "mirror",
            "mirror:1",
            "acme/mirror:1",
            "ghcr.io/acme/mirror",
            "ghcr.io/Acme:1",
            "ghcr.io/../etc:1",
            "ghcr.io/a//b:1",
            "ghcr.io/a:1 2",
            "ghcr.io/a@sha256:12",
            "ghcr.io:0/a:1",
            "ghcr.io:99999/a:1",
            "user@ghcr.io/a:1",
            "file:///etc/passwd",
            "https://ghcr.io/a:1",
            "oci://file:///a:1",
            "[::1/a:1",
        ] {
            assert!(text.parse::<Reference>().is_err(), "{text}");
        }
    }

    #[test]
    fn knows_what_is_on_this_machine() {
        let check = |text: &str, expected: bool| {
            let read: Reference = text.parse().unwrap();
            assert_eq!(read.is_loopback(), expected, "{text}");
        };
        check("localhost/a:1", true);
        check("localhost:5000/a:1", true);
        check("127.0.0.1:5000/a:1", true);
        check("127.8.0.1/a:1", true);
        check("[::1]:5000/a:1", true);
        check("localhost.example/a:1", false);
        check("10.0.0.1/a:1", false);
    }
}
