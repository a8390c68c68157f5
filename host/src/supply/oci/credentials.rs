//! Name and password for a registry, as `docker login` and its like leave them: `auths` of `~/.docker/config.json`, or of the folder in `DOCKER_CONFIG`.
//!
//! Programs that keep passwords (`credHelpers`, `credsStore`) are not called.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use crate::config::Secret;

/// Bytes of the file.
const MAX_BYTES: u64 = 1 << 20;

/// Name and password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Credentials {
    pub(super) name: String,
    pub(super) password: Secret,
}

#[derive(Default, Deserialize)]
struct Document {
    #[serde(default)]
    auths: BTreeMap<String, Auth>,
}

#[derive(Deserialize)]
struct Auth {
    #[serde(default)]
    auth: Option<String>,
    #[serde(default)]
    username: Option<String>,
    #[serde(default)]
    password: Option<String>,
}

/// Where the file is.
pub(super) fn file(environment: &dyn Fn(&str) -> Option<String>) -> Option<PathBuf> {
    let folder = match environment("DOCKER_CONFIG").filter(|folder| !folder.is_empty()) {
        Some(folder) => PathBuf::from(folder),
        None => Path::new(&environment("HOME")?).join(".docker"),
    };
    Some(folder.join("config.json"))
}

/// What a file has for a registry; nothing when there is no file.
///
/// # Errors
/// Why the file cannot be used.
pub(super) fn read(file: &Path, registry: &str) -> Result<Option<Credentials>, String> {
    let wrong = |why: String| format!("`{}` cannot be used: {why}", file.display());
    let metadata = match file.metadata() {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(wrong(error.to_string())),
    };
    if !metadata.is_file() || metadata.len() > MAX_BYTES {
        return Err(wrong("it is no file of at most 1 MiB".into()));
    }
    let text = std::fs::read_to_string(file).map_err(|error| wrong(error.to_string()))?;
    parse(&text, registry).map_err(wrong)
}

fn parse(text: &str, registry: &str) -> Result<Option<Credentials>, String> {
    // The reader's own words could repeat a part of the text, which is secret.
    let document: Document = serde_json::from_str(text)
        .map_err(|error| format!("line {} is no such JSON", error.line()))?;
    let wanted = match registry {
        "docker.io" | "registry-1.docker.io" => "index.docker.io",
        other => other,
    };
    let host = |key: &str| {
        let key = key
            .strip_prefix("https://")
            .or_else(|| key.strip_prefix("http://"))
            .unwrap_or(key);
        key.split_once('/').map_or(key, |(host, _)| host).to_owned()
    };
    let Some((_, auth)) = document.auths.iter().find(|(key, _)| host(key) == wanted) else {
        return Ok(None);
    };
    if let Some(encoded) = auth.auth.as_deref().filter(|auth| !auth.is_empty()) {
        let decoded = STANDARD
            .decode(encoded.trim())
            .ok()
            .and_then(|bytes| String::from_utf8(bytes).ok());
        let Some((name, password)) = decoded.as_deref().and_then(|text| text.split_once(':'))
        else {
            return Err(format!(
                "`auth` of `{registry}` is no `name:password` in base64"
            ));
        };
        return Ok(Some(Credentials {
            name: name.to_owned(),
            password: Secret::new(password.trim_end_matches('\0')),
        }));
    }
    Ok(match (&auth.username, &auth.password) {
        (Some(name), Some(password)) => Some(Credentials {
            name: name.clone(),
            password: Secret::new(password.as_str()),
        }),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_belongs_to_a_registry() {
        let text = r#"{"auths": {
            "https://index.docker.io/v1/": {"auth": "aHViOm9uZQ=="},
            "localhost:5000": {"auth": "YWxpY2U6YTpi"},
            "ghcr.io": {"username": "bob", "password": "two"},
            "helper.example": {}
        }, "credsStore": "desktop"}"#;
        let check = |registry: &str, expected: Option<(&str, &str)>| {
            let found = parse(text, registry).unwrap();
            let found = found
                .as_ref()
                .map(|one| (one.name.as_str(), one.password.expose()));
            assert_eq!(found, expected, "{registry}");
        };
        check("docker.io", Some(("hub", "one")));
        check("localhost:5000", Some(("alice", "a:b")));
        check("ghcr.io", Some(("bob", "two")));
        check("helper.example", None);
        check("localhost", None);
        assert_eq!(parse("{}", "x").unwrap(), None);
        assert!(parse("[", "x").is_err());
        assert!(parse(r#"{"auths": {"x": {"auth": "!"}}}"#, "x").is_err());
    }

    #[test]
    fn the_folder_may_be_named() {
        let environment = |name: &str| (name == "HOME").then(|| "/home/a".to_owned());
        assert_eq!(
            file(&environment),
            Some("/home/a/.docker/config.json".into())
        );
        let environment = |name: &str| (name == "DOCKER_CONFIG").then(|| "/d".to_owned());
        assert_eq!(file(&environment), Some("/d/config.json".into()));
        assert_eq!(file(&|_| None), None);
    }
}
