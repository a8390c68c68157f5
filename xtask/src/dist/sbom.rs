//! What is in the artefacts, as CycloneDX 1.6: the crates of the program and of each plugin from cargo's own graph with the lockfile's digests, and for the interpreters the packages
//! that carry them.
//!
//! The graph is that of the whole workspace with all its features, which is how the program is built. A crate that only builds (a build script's, a procedural macro's) is marked
//! `excluded`: nothing of it is shipped.

use crate::run::cargo;
use anyhow::{Context as _, ensure};
use base64::Engine as _;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The crate of the program; in the list it is what everything else belongs to.
const HOST: &str = "infinity-host";

/// The program's name.
const PROGRAM: &str = "infinity";

/// One thing that something shipped is made of.
#[derive(Debug, Default)]
pub(super) struct Part {
    pub(super) name: String,
    pub(super) version: String,
    /// An SPDX expression.
    pub(super) licence: Option<String>,
    /// Where its sources are on this machine.
    pub(super) folder: PathBuf,
    /// Whether others wrote it.
    pub(super) is_foreign: bool,
    /// Whether anything of it is in an artefact.
    pub(super) is_shipped: bool,
    /// The algorithm by CycloneDX's name, and the digest in hexadecimal.
    digest: Option<(&'static str, String)>,
    repository: Option<String>,
    /// The references of what it needs.
    needs: BTreeSet<String>,
}

/// Everything, by references: package URLs, or name and version of what is made here.
pub(super) struct Sbom {
    parts: BTreeMap<String, Part>,
    version: String,
}

impl Sbom {
    /// Reads cargo's graph for this machine and for the plugins, and what the interpreters are made of.
    pub(super) fn read(root: &Path) -> anyhow::Result<Self> {
        let digests = locked(root)?;
        let mut parts = BTreeMap::new();
        let architecture = std::env::consts::ARCH;
        let machine = metadata(root, &format!("{architecture}-unknown-linux-gnu"))?;
        walk(&machine, HOST, &digests, &mut parts)?;
        let guests = metadata(root, crate::build::TARGET)?;
        for plugin in crate::build::PLUGINS {
            walk(&guests, plugin, &digests, &mut parts)?;
        }
        let version = parts
            .values()
            .find(|part| part.name == HOST)
            .map(|part| part.version.clone())
            .context("cargo does not know the host's version")?;
        python(root, &version, &mut parts)?;
        javascript(root, &version, &mut parts)?;
        Ok(Self { parts, version })
    }

    /// The program's version.
    pub(super) fn version(&self) -> &str {
        &self.version
    }

    /// What others wrote and is shipped.
    pub(super) fn foreign(&self) -> impl Iterator<Item = &Part> {
        self.parts
            .values()
            .filter(|part| part.is_foreign && part.is_shipped)
    }

    /// The document. `files` are the SHA-256 digests of what is shipped, by names: a plugin without one is left out.
    pub(super) fn document(
        &self,
        timestamp: &str,
        files: &BTreeMap<String, String>,
    ) -> anyhow::Result<Vec<u8>> {
        let is_left_out = |part: &Part| {
            !part.is_foreign && is_component(&part.name) && !files.contains_key(&part.name)
        };
        let listed: BTreeMap<&String, &Part> = self
            .parts
            .iter()
            .filter(|(_, part)| !is_left_out(part))
            .collect();
        let mut components = Vec::new();
        let mut dependencies = Vec::new();
        let mut whole = Value::Null;
        for (reference, part) in &listed {
            let digest = files.get(&part.name).filter(|_| !part.is_foreign);
            let mut needs = part.needs.clone();
            let component = component(reference, part, digest);
            if part.name == HOST && !part.is_foreign {
                // The plugins are shipped with the program, not linked into it.
                needs.extend(
                    listed
                        .iter()
                        .filter(|(_, other)| !other.is_foreign && is_component(&other.name))
                        .map(|(reference, _)| (*reference).clone()),
                );
                whole = component;
            } else {
                components.push(component);
            }
            needs.retain(|need| listed.contains_key(need));
            dependencies.push(json!({ "ref": reference, "dependsOn": needs }));
        }
        let mut document = json!({
            "bomFormat": "CycloneDX",
            "specVersion": "1.6",
            "version": 1,
            "metadata": {
                "timestamp": timestamp,
                "tools": { "components": [{ "type": "application", "name": "xtask", "version": self.version }] },
                "component": whole,
            },
            "components": components,
            "dependencies": dependencies,
        });
        let serial = serial(&serde_json::to_vec(&document)?);
        document["serialNumber"] = Value::String(serial);
        let mut text = serde_json::to_vec_pretty(&document)?;
        text.push(b'\n');
        Ok(text)
    }
}

/// Whether this is the name of a shipped component.
fn is_component(name: &str) -> bool {
    crate::build::PLUGINS.contains(&name) || crate::runners::INTERPRETERS.contains(&name)
}

/// A UUID of version 8 that is a function of what the document says.
fn serial(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    let mut id: Vec<u8> = digest.iter().copied().take(16).collect();
    id[6] = (id[6] & 0x0f) | 0x80;
    id[8] = (id[8] & 0x3f) | 0x80;
    let text = hex::encode(id);
    format!(
        "urn:uuid:{}-{}-{}-{}-{}",
        &text[..8],
        &text[8..12],
        &text[12..16],
        &text[16..20],
        &text[20..]
    )
}

/// One entry of the list.
fn component(reference: &str, part: &Part, file: Option<&String>) -> Value {
    let is_program = part.name == HOST && !part.is_foreign;
    let mut fields = Map::new();
    let kind = if file.is_some() {
        "application"
    } else {
        "library"
    };
    fields.insert("type".into(), kind.into());
    fields.insert("bom-ref".into(), reference.into());
    let name = if is_program { PROGRAM } else { &part.name };
    fields.insert("name".into(), name.into());
    fields.insert("version".into(), part.version.clone().into());
    if !is_program {
        let scope = if part.is_shipped {
            "required"
        } else {
            "excluded"
        };
        fields.insert("scope".into(), scope.into());
    }
    let digest = file
        .map(|digest| ("SHA-256", digest))
        .or(part.digest.as_ref().map(|(name, digest)| (*name, digest)));
    if let Some((algorithm, digest)) = digest {
        fields.insert(
            "hashes".into(),
            json!([{ "alg": algorithm, "content": digest }]),
        );
    }
    if let Some(licence) = &part.licence {
        fields.insert("licenses".into(), json!([{ "expression": licence }]));
    }
    if part.is_foreign {
        fields.insert("purl".into(), reference.into());
    }
    if let Some(repository) = &part.repository {
        let reference = json!([{ "type": "vcs", "url": repository }]);
        fields.insert("externalReferences".into(), reference);
    }
    Value::Object(fields)
}

/// Cargo's graph for one target.
fn metadata(root: &Path, target: &str) -> anyhow::Result<Value> {
    let said = cargo(root)
        .args(["metadata", "--format-version", "1", "--locked"])
        .args(["--filter-platform", target])
        .output()
        .context("`cargo metadata` cannot be called")?;
    ensure!(
        said.status.success(),
        "`cargo metadata` failed: {}",
        String::from_utf8_lossy(&said.stderr).trim()
    );
    Ok(serde_json::from_slice(&said.stdout)?)
}

/// The lockfile's digests, by names and versions.
fn locked(root: &Path) -> anyhow::Result<BTreeMap<(String, String), String>> {
    let text = fs::read_to_string(root.join("Cargo.lock"))?;
    let lock: toml::Table = text.parse().context("`Cargo.lock`")?;
    let packages = lock.get("package").and_then(toml::Value::as_array);
    let field = |package: &toml::Value, name: &str| {
        let value = package.get(name)?.as_str()?;
        Some(value.to_owned())
    };
    Ok(packages
        .into_iter()
        .flatten()
        .filter_map(|package| {
            let key = (field(package, "name")?, field(package, "version")?);
            Some((key, field(package, "checksum")?))
        })
        .collect())
}

/// Adds a workspace's crate and everything that it needs.
fn walk(
    metadata: &Value,
    start: &str,
    digests: &BTreeMap<(String, String), String>,
    parts: &mut BTreeMap<String, Part>,
) -> anyhow::Result<()> {
    let by_id = |list: &Value| -> BTreeMap<String, Value> {
        let entries = list.as_array().cloned().unwrap_or_default();
        entries
            .into_iter()
            .filter_map(|entry| Some((entry["id"].as_str()?.to_owned(), entry)))
            .collect()
    };
    let packages = by_id(&metadata["packages"]);
    let nodes = by_id(&metadata["resolve"]["nodes"]);
    let id = packages
        .iter()
        .find(|(_, package)| package["name"] == start && package["source"].is_null())
        .map(|(id, _)| id.clone())
        .with_context(|| format!("cargo knows no crate `{start}` here"))?;
    // What is reached in both ways is met twice at most.
    let mut seen: BTreeMap<String, bool> = BTreeMap::new();
    let mut open = vec![(id, true)];
    while let Some((id, is_shipped)) = open.pop() {
        if seen.get(&id).is_some_and(|before| *before || !is_shipped) {
            continue;
        }
        let package = packages.get(&id).context("a crate without a package")?;
        let is_shipped = is_shipped && !is_macro(package);
        seen.insert(id.clone(), is_shipped);
        let mut needs = BTreeSet::new();
        let dependencies = nodes.get(&id).and_then(|node| node["deps"].as_array());
        for dependency in dependencies.into_iter().flatten() {
            let kinds = dependency["dep_kinds"].as_array();
            let has = |kind: &Value| {
                kinds
                    .into_iter()
                    .flatten()
                    .any(|dependency| dependency["kind"] == *kind)
            };
            let (is_linked, builds) = (has(&Value::Null), has(&json!("build")));
            let Some(needed) = dependency["pkg"].as_str().filter(|_| is_linked || builds) else {
                continue;
            };
            needs.insert(reference(
                packages.get(needed).context("a crate without a package")?,
            ));
            open.push((needed.to_owned(), is_shipped && is_linked));
        }
        let part = parts
            .entry(reference(package))
            .or_insert_with(|| part(package, digests));
        part.is_shipped |= is_shipped;
        part.needs.extend(needs);
    }
    Ok(())
}

/// Whether a crate is a procedural macro: it runs in the compiler.
fn is_macro(package: &Value) -> bool {
    package["targets"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|target| target["kind"].as_array())
        .flatten()
        .any(|kind| kind == "proc-macro")
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// A package URL, or name and version of what is made here.
fn reference(package: &Value) -> String {
    let (name, version) = (text(&package["name"]), text(&package["version"]));
    if package["source"].is_null() {
        return format!("{name}@{version}");
    }
    package_url("cargo", &name, &version)
}

/// A package URL: <https://github.com/package-url/purl-spec>. Only what occurs in names and versions is escaped.
fn package_url(kind: &str, name: &str, version: &str) -> String {
    let name = name.replace('@', "%40");
    let version = version.replace('+', "%2B");
    format!("pkg:{kind}/{name}@{version}")
}

fn part(package: &Value, digests: &BTreeMap<(String, String), String>) -> Part {
    let (name, version) = (text(&package["name"]), text(&package["version"]));
    let digest = digests.get(&(name.clone(), version.clone()));
    let manifest = PathBuf::from(text(&package["manifest_path"]));
    Part {
        licence: package["license"].as_str().map(expression),
        folder: manifest.parent().map(PathBuf::from).unwrap_or_default(),
        is_foreign: !package["source"].is_null(),
        is_shipped: false,
        digest: digest.map(|digest| ("SHA-256", digest.clone())),
        repository: package["repository"].as_str().map(str::to_owned),
        needs: BTreeSet::new(),
        name,
        version,
    }
}

/// Old manifests have a slash between the licences that one may choose from.
fn expression(licence: &str) -> String {
    let choices: Vec<&str> = licence.split('/').map(str::trim).collect();
    choices.join(" OR ")
}

/// The interpreter of Python: CPython and its library, as componentize-py carries them.
fn python(root: &Path, version: &str, parts: &mut BTreeMap<String, Part>) -> anyhow::Result<()> {
    let wanted = fs::read_to_string(root.join("host/templates/python/requirements.txt"))?;
    let (name, tool) = wanted
        .trim()
        .split_once("==")
        .context("`host/templates/python/requirements.txt` names no version")?;
    let carrier = Part {
        name: name.to_owned(),
        version: tool.to_owned(),
        // Its own, and that of the CPython in it.
        licence: Some("Apache-2.0 WITH LLVM-exception AND Python-2.0.1".to_owned()),
        is_foreign: true,
        is_shipped: true,
        ..Part::default()
    };
    let reference = package_url("pypi", name, tool);
    interpreter("python", version, [reference.clone()].into(), parts);
    parts.insert(reference, carrier);
    Ok(())
}

/// The interpreter of JavaScript: QuickJS, as componentize-qjs carries it, and the modules that are bundled.
fn javascript(
    root: &Path,
    version: &str,
    parts: &mut BTreeMap<String, Part>,
) -> anyhow::Result<()> {
    let folder = root.join("plugins/javascript");
    let lock: Value = serde_json::from_slice(&fs::read(folder.join("package-lock.json"))?)?;
    let packages = lock["packages"]
        .as_object()
        .context("`plugins/javascript/package-lock.json` lists no packages")?;
    let is_in = |path: &str, package: &Value| {
        !path.is_empty() && (package["dev"] != true || path == "node_modules/componentize-qjs")
    };
    let reference_of = |name: &str| {
        let path = format!("node_modules/{name}");
        let package = packages
            .get(&path)
            .filter(|package| is_in(&path, package))?;
        Some(package_url("npm", name, package["version"].as_str()?))
    };
    let mut all = BTreeSet::new();
    for (path, package) in packages
        .iter()
        .filter(|(path, package)| is_in(path, package))
    {
        let name = path.rsplit("node_modules/").next().unwrap_or(path);
        let digest = text(&package["integrity"]);
        let digest = digest.strip_prefix("sha512-").and_then(|digest| {
            base64::engine::general_purpose::STANDARD
                .decode(digest)
                .ok()
        });
        let needs = package["dependencies"].as_object();
        let part = Part {
            name: name.to_owned(),
            version: text(&package["version"]),
            licence: package["license"].as_str().map(str::to_owned),
            folder: folder.join(path),
            is_foreign: true,
            is_shipped: true,
            digest: digest.map(|digest| ("SHA-512", hex::encode(digest))),
            repository: None,
            needs: needs
                .into_iter()
                .flat_map(Map::keys)
                .filter_map(|name| reference_of(name))
                .collect(),
        };
        let reference = package_url("npm", name, &part.version);
        all.insert(reference.clone());
        parts.insert(reference, part);
    }
    interpreter("javascript", version, all, parts);
    Ok(())
}

fn interpreter(
    name: &str,
    version: &str,
    needs: BTreeSet<String>,
    parts: &mut BTreeMap<String, Part>,
) {
    let part = Part {
        name: name.to_owned(),
        version: version.to_owned(),
        licence: Some("Apache-2.0".to_owned()),
        is_shipped: true,
        needs,
        ..Part::default()
    };
    parts.insert(format!("{name}@{version}"), part);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_package_url_cannot_hold_is_escaped() {
        assert_eq!(
            package_url("cargo", "toml", "1.2.1+spec-1.1.0"),
            "pkg:cargo/toml@1.2.1%2Bspec-1.1.0"
        );
        assert_eq!(
            package_url("npm", "@jridgewell/gen-mapping", "0.3.13"),
            "pkg:npm/%40jridgewell/gen-mapping@0.3.13"
        );
        assert_eq!(expression("MIT / Apache-2.0"), "MIT OR Apache-2.0");
    }

    #[test]
    fn a_crate_that_only_builds_is_not_shipped() {
        let package = |name: &str, kind: &str| json!({ "id": name, "name": name, "version": "1.0.0", "source": null, "targets": [{ "kind": [kind] }], "manifest_path": "/x/Cargo.toml" });
        let needs =
            |name: &str, kind: Value| json!({ "pkg": name, "dep_kinds": [{ "kind": kind }] });
        let metadata = json!({
            "packages": [package("a", "bin"), package("b", "lib"), package("c", "proc-macro"), package("d", "lib"), package("e", "lib")],
            "resolve": { "nodes": [
                { "id": "a", "deps": [needs("b", Value::Null), needs("c", Value::Null), needs("e", json!("dev"))] },
                { "id": "b", "deps": [] },
                { "id": "c", "deps": [needs("b", Value::Null), needs("d", Value::Null)] },
                { "id": "d", "deps": [] },
                { "id": "e", "deps": [] },
            ] },
        });
        let mut parts = BTreeMap::new();
        walk(&metadata, "a", &BTreeMap::new(), &mut parts).unwrap();
        let shipped: Vec<(&str, bool)> = parts
            .values()
            .map(|part| (part.name.as_str(), part.is_shipped))
            .collect();
        assert_eq!(
            shipped,
            [("a", true), ("b", true), ("c", false), ("d", false)]
        );
    }
}
