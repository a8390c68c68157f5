//! Fetches components from registries and puts them there: OCI's distribution protocol, in the layout that the CNCF wrote for WebAssembly.
//!
//! Invariants: everything that is fetched is bounded in bytes and in time, and compared with the digest under which it was asked for; of a tag the manifest's digest is
//! told. A registry that is named may be on this machine; nothing else that it or a name server points to may, nor in a private network, unless the caller allows that.
//! Credentials go to the registry itself, and to the token service that it names over TLS. The protocol is spoken here and not by `oci-client`, which bounds no
//! manifest and follows every redirect.
//!
//! It does not know what a component is, nor whose signatures count.

mod challenge;
mod credentials;
mod wire;

use std::path::PathBuf;

use bytes::Bytes;
use reqwest::header::HeaderValue;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use self::wire::Wire;
use super::reference::Reference;
use crate::sandbox::digest;
use crate::sandbox::inspect::Inspection;

/// Bytes of a manifest or an index: what registries take.
const MANIFEST_MAX_BYTES: u64 = 4 * 1024 * 1024;

/// Bytes of a signature.
const SIGNATURE_MAX_BYTES: u64 = super::signature::SIGNATURE_MAX_BYTES;

/// Signatures of one component that are looked at.
const SIGNATURES_MAX: usize = 16;

/// A manifest.
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// A list of manifests.
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// What a component says of itself.
const WASM_CONFIG: &str = "application/vnd.wasm.config.v0+json";
/// A component.
const WASM: &str = "application/wasm";
/// A component, as older tools call it.
const WASM_BEFORE: &str = "application/vnd.wasm.content.layer.v1+wasm";
/// The config of what has none.
const EMPTY: &str = "application/vnd.oci.empty.v1+json";
/// A signature over the digest of a component.
pub const SIGNATURE: &str = "application/vnd.infinity.plugin.signature.v1";

/// Why something could not be fetched or put.
#[derive(Debug, thiserror::Error)]
pub enum OciError {
    /// The address may not be asked.
    #[error("http_denied: `{host}` is not asked: {why}")]
    Denied { host: String, why: String },
    /// There was no answer.
    #[error("`{host}` does not answer: {why}")]
    Unreachable { host: String, why: String },
    /// Who asks is not known, or may not.
    #[error("`{registry}` wants to know who asks: {why}")]
    Unauthorized { registry: String, why: String },
    /// There is no such thing.
    #[error("`{0}` is not in the registry")]
    NotFound(String),
    /// Any other answer.
    #[error("`{host}` answered {status}: {said}")]
    Status {
        host: String,
        status: u16,
        said: String,
    },
    /// More than is taken.
    #[error("{what} has more than {max} bytes")]
    TooLarge { what: String, max: u64 },
    /// Something else came than was asked for.
    #[error(
        "digest_mismatch: {what} is not what was asked for: its digest is {found}, not {expected}"
    )]
    Digest {
        what: String,
        expected: String,
        found: String,
    },
    /// It is no component.
    #[error("`{reference}` is no plugin: {why}")]
    Layout { reference: String, why: String },
    /// Here something does not work.
    #[error("{0}")]
    Here(String),
}

impl OciError {
    /// Whether the caller has to change what was asked for.
    #[must_use]
    pub fn is_input(&self) -> bool {
        matches!(
            self,
            Self::Denied { .. }
                | Self::NotFound(_)
                | Self::TooLarge { .. }
                | Self::Digest { .. }
                | Self::Layout { .. }
        )
    }
}

/// How registries are spoken to.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Whether a registry that is not on this machine may be asked without TLS.
    pub plain_http: bool,
    /// Whether addresses of private networks may be asked.
    pub private: bool,
    /// `http://host:port` of a proxy.
    pub proxy: Option<String>,
    /// PEM file with further certificate authorities.
    pub ca_file: Option<PathBuf>,
}

/// A component that was fetched.
#[derive(Debug)]
pub struct Pulled {
    /// Where from, with the manifest's digest.
    pub reference: Reference,
    /// The component.
    pub bytes: Bytes,
    /// `sha256:<hex>` of it.
    pub digest: String,
    /// Signatures that the registry has for it.
    pub signatures: Vec<String>,
}

/// A component that was put.
#[derive(Debug, Serialize)]
pub struct Pushed {
    /// `sha256:<hex>` of the manifest.
    pub manifest: String,
    /// Whether a signature went with it.
    pub signed: bool,
}

/// What stands for bytes.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    media_type: String,
    digest: String,
    size: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    artifact_type: Option<String>,
}

impl Descriptor {
    fn of(media_type: &str, bytes: &[u8]) -> Self {
        Self {
            media_type: media_type.to_owned(),
            digest: digest(bytes),
            size: bytes.len() as u64,
            artifact_type: None,
        }
    }
}

/// What is read of a manifest or an index.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    #[serde(default)]
    media_type: String,
    #[serde(default)]
    artifact_type: Option<String>,
    #[serde(default)]
    layers: Vec<Descriptor>,
    #[serde(default)]
    manifests: Vec<Descriptor>,
}

/// A repository of a registry.
pub struct Repository {
    wire: Wire,
    reference: Reference,
}

impl Repository {
    /// The repository of a reference. Nothing is asked yet.
    ///
    /// # Errors
    /// [`OciError::Here`] when proxy, certificates or credentials cannot be used.
    pub fn open(reference: &Reference, options: &Options) -> Result<Self, OciError> {
        Ok(Self {
            wire: Wire::new(reference, options)?,
            reference: reference.clone(),
        })
    }

    /// Fetches the component, of at most `max` bytes, and the signatures that the registry has for it.
    ///
    /// # Errors
    /// [`OciError`]
    pub async fn pull(&self, max: u64) -> Result<Pulled, OciError> {
        let asked = self.reference.asked();
        let found = self
            .manifest(asked)
            .await?
            .ok_or_else(|| OciError::NotFound(self.reference.to_string()))?;
        let pinned = digest(&found);
        let document = self.document(&found)?;
        let layer = self.component_of(&document)?;
        let bytes = self.blob(layer, max, "the component").await?;
        let signatures = self.signatures(&pinned).await?;
        Ok(Pulled {
            reference: self.reference.pinned(&pinned),
            digest: layer.digest.clone(),
            bytes,
            signatures,
        })
    }

    /// Puts a component under the reference's tag, with its signature.
    ///
    /// # Errors
    /// [`OciError`]
    pub async fn push(
        &self,
        bytes: &Bytes,
        inspection: &Inspection,
        signature: Option<&str>,
    ) -> Result<Pushed, OciError> {
        let Some(tag) = &self.reference.tag else {
            return Err(self.layout("it has no tag to put a component under"));
        };
        let layer = Descriptor::of(WASM, bytes);
        let described = describe(inspection, &layer.digest);
        let described = Bytes::from(described.to_string());
        let config = Descriptor::of(WASM_CONFIG, &described);
        self.put_blob(&config, &described).await?;
        self.put_blob(&layer, bytes).await?;
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": config,
            "layers": [layer],
            "annotations": annotations(inspection),
        })
        .to_string();
        let subject = Descriptor::of(MANIFEST, manifest.as_bytes());
        self.put_manifest(tag, MANIFEST, manifest).await?;
        if let Some(signature) = signature {
            self.put_signature(&subject, signature).await?;
        }
        Ok(Pushed {
            manifest: subject.digest,
            signed: signature.is_some(),
        })
    }

    fn layout(&self, why: impl Into<String>) -> OciError {
        OciError::Layout {
            reference: self.reference.to_string(),
            why: why.into(),
        }
    }

    fn path(&self, rest: &str) -> String {
        format!("/v2/{}/{rest}", self.reference.repository)
    }

    fn document(&self, bytes: &[u8]) -> Result<Document, OciError> {
        serde_json::from_slice(bytes)
            .map_err(|error| self.layout(format!("its manifest cannot be read: {error}")))
    }

    /// The one layer of a plugin.
    fn component_of<'d>(&self, document: &'d Document) -> Result<&'d Descriptor, OciError> {
        if document.media_type == INDEX || !document.manifests.is_empty() {
            return Err(self.layout("it is a list of manifests; name one of them by its digest"));
        }
        let [layer] = document.layers.as_slice() else {
            return Err(self.layout(format!(
                "it has {} layers, and a component is one",
                document.layers.len()
            )));
        };
        if layer.media_type != WASM && layer.media_type != WASM_BEFORE {
            return Err(self.layout(format!("its layer is `{}`, not `{WASM}`", layer.media_type)));
        }
        Ok(layer)
    }

    /// A manifest's bytes, by tag or digest; none when there is none.
    async fn manifest(&self, asked: &str) -> Result<Option<Bytes>, OciError> {
        let accept = HeaderValue::from_static(
            "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json",
        );
        let path = self.path(&format!("manifests/{asked}"));
        let answer = self.wire.get(&path, Some(accept)).await?;
        if answer.status() == 404 {
            return Ok(None);
        }
        let answer = self.wire.well(answer).await?;
        let told = wire::header(&answer, "docker-content-digest");
        let bytes = self
            .wire
            .body(answer, MANIFEST_MAX_BYTES, "the manifest")
            .await?;
        let found = digest(&bytes);
        let by_digest = super::lock::is_digest(asked).then(|| asked.to_owned());
        let told = told.filter(|told| super::lock::is_digest(told));
        if let Some(expected) = by_digest.into_iter().chain(told).find(|one| *one != found) {
            return Err(OciError::Digest {
                what: "the manifest".into(),
                expected,
                found,
            });
        }
        Ok(Some(bytes))
    }

    /// What a descriptor stands for.
    async fn blob(&self, descriptor: &Descriptor, max: u64, what: &str) -> Result<Bytes, OciError> {
        if !super::lock::is_digest(&descriptor.digest) {
            return Err(self.layout(format!("{what} has no digest of SHA-256")));
        }
        if descriptor.size > max {
            return Err(OciError::TooLarge {
                what: what.to_owned(),
                max,
            });
        }
        let path = self.path(&format!("blobs/{}", descriptor.digest));
        let answer = self.wire.get(&path, None).await?;
        if answer.status() == 404 {
            return Err(OciError::NotFound(format!(
                "{}/{}@{}",
                self.reference.registry, self.reference.repository, descriptor.digest
            )));
        }
        let answer = self.wire.well(answer).await?;
        let bytes = self.wire.body(answer, descriptor.size, what).await?;
        let found = digest(&bytes);
        if found != descriptor.digest {
            return Err(OciError::Digest {
                what: what.to_owned(),
                expected: descriptor.digest.clone(),
                found,
            });
        }
        Ok(bytes)
    }

    /// Signatures that refer to a manifest. What is none, or cannot be fetched whole, is an error: a registry that withholds one should not look like one that has none.
    async fn signatures(&self, subject: &str) -> Result<Vec<String>, OciError> {
        let Some(index) = self.referrers(subject).await? else {
            return Ok(Vec::new());
        };
        let of_signatures = |one: &&Descriptor| one.artifact_type.as_deref() == Some(SIGNATURE);
        let mut signatures = Vec::new();
        for descriptor in index
            .manifests
            .iter()
            .filter(of_signatures)
            .take(SIGNATURES_MAX)
        {
            if !super::lock::is_digest(&descriptor.digest) {
                return Err(self.layout("a signature has no digest of SHA-256"));
            }
            let Some(manifest) = self.manifest(&descriptor.digest).await? else {
                return Err(self.layout("a signature that it names is missing"));
            };
            let document = self.document(&manifest)?;
            if document.artifact_type.as_deref() != Some(SIGNATURE) {
                return Err(self.layout("what it names as a signature is none"));
            }
            let [layer] = document.layers.as_slice() else {
                return Err(self.layout("a signature of it has not one layer"));
            };
            let bytes = self
                .blob(layer, SIGNATURE_MAX_BYTES, "the signature")
                .await?;
            let text = String::from_utf8(bytes.to_vec())
                .map_err(|_| self.layout("a signature of it is no text"))?;
            signatures.push(text);
        }
        Ok(signatures)
    }

    /// What refers to a manifest: by the registry's own list, or by the tag that stands in for one.
    async fn referrers(&self, subject: &str) -> Result<Option<Document>, OciError> {
        let path = self.path(&format!("referrers/{subject}"));
        let answer = self
            .wire
            .get(&path, Some(HeaderValue::from_static(INDEX)))
            .await?;
        if answer.status().is_success() {
            let bytes = self
                .wire
                .body(answer, MANIFEST_MAX_BYTES, "the list of signatures")
                .await?;
            return self.document(&bytes).map(Some);
        }
        // Registries without such lists answer 404, some 405 or 400.
        if !answer.status().is_client_error() {
            self.wire.well(answer).await?;
            return Ok(None);
        }
        match self.manifest(&tag_of(subject)).await? {
            Some(bytes) => self.document(&bytes).map(Some),
            None => Ok(None),
        }
    }

    async fn put_blob(&self, descriptor: &Descriptor, bytes: &Bytes) -> Result<(), OciError> {
        let path = self.path(&format!("blobs/{}", descriptor.digest));
        if self.wire.head(&path).await?.status().is_success() {
            return Ok(());
        }
        let started = self.wire.post(&self.path("blobs/uploads/")).await?;
        let started = self.wire.well(started).await?;
        let Some(location) = wire::header(&started, "location") else {
            return Err(self.layout("the registry does not say where to put it"));
        };
        let put = self
            .wire
            .upload(&location, &descriptor.digest, bytes.clone())
            .await?;
        self.wire.well(put).await?;
        Ok(())
    }

    /// Puts a manifest and answers whether the registry keeps lists of what refers to what.
    async fn put_manifest(
        &self,
        name: &str,
        media_type: &'static str,
        text: String,
    ) -> Result<bool, OciError> {
        let path = self.path(&format!("manifests/{name}"));
        let expected = digest(text.as_bytes());
        let put = self.wire.put(&path, media_type, text.into()).await?;
        let put = self.wire.well(put).await?;
        match wire::header(&put, "docker-content-digest") {
            Some(found) if found != expected => Err(OciError::Digest {
                what: "the manifest in the registry".into(),
                expected,
                found,
            }),
            _ => Ok(wire::header(&put, "oci-subject").is_some()),
        }
    }

    async fn put_signature(&self, subject: &Descriptor, signature: &str) -> Result<(), OciError> {
        let empty = Bytes::from_static(b"{}");
        let config = Descriptor::of(EMPTY, &empty);
        self.put_blob(&config, &empty).await?;
        let text = Bytes::from(signature.to_owned());
        let layer = Descriptor::of(SIGNATURE, &text);
        self.put_blob(&layer, &text).await?;
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "artifactType": SIGNATURE,
            "config": config,
            "layers": [layer],
            "subject": subject,
        })
        .to_string();
        let mut own = Descriptor::of(MANIFEST, manifest.as_bytes());
        own.artifact_type = Some(SIGNATURE.to_owned());
        if self.put_manifest(&own.digest, MANIFEST, manifest).await? {
            return Ok(());
        }
        // The registry keeps no list, so a tag stands in for it. Two that sign one component at the same moment may lose one of the two signatures.
        let tag = tag_of(&subject.digest);
        let mut listed: Vec<Value> = Vec::new();
        if let Some(bytes) = self.manifest(&tag).await? {
            let index: Value = serde_json::from_slice(&bytes)
                .map_err(|error| self.layout(format!("its list cannot be read: {error}")))?;
            listed = index["manifests"].as_array().cloned().unwrap_or_default();
        }
        if listed.iter().any(|one| one["digest"] == own.digest) {
            return Ok(());
        }
        listed.push(json!(own));
        let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": listed });
        self.put_manifest(&tag, INDEX, index.to_string()).await?;
        Ok(())
    }
}

/// The tag that stands in for a list of what refers to a digest.
fn tag_of(digest: &str) -> String {
    digest.replace(':', "-")
}

/// What the layout says of a component. Its time is no time, so that the same component always has the same manifest.
fn describe(inspection: &Inspection, layer: &str) -> Value {
    json!({
        "created": "1970-01-01T00:00:00Z",
        "architecture": "wasm",
        "os": "wasip2",
        "layerDigests": [layer],
        "component": { "imports": inspection.imports, "exports": inspection.exports },
    })
}

/// What a plugin says of itself, for lists of registries.
fn annotations(inspection: &Inspection) -> Value {
    let description = inspection
        .manifest
        .as_ref()
        .and_then(|manifest| manifest.description.clone());
    let mut annotations = serde_json::Map::new();
    for (name, value) in [
        ("title", inspection.name.clone()),
        ("version", inspection.version.clone()),
        ("description", description),
    ] {
        if let Some(value) = value {
            annotations.insert(format!("org.opencontainers.image.{name}"), value.into());
        }
    }
    Value::Object(annotations)
}
