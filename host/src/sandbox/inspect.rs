//! Turns the bytes of a plugin into what can be said of it without running or
//! compiling it: what kind of file it is, whether it is valid, what it imports
//! and exports, which worlds it fits, its manifest and its size.
//!
//! Invariants: nothing but a component that is valid with [`FEATURES`] gets an
//! [`Inspection`]; compiled code is refused by its first bytes; text that the
//! plugin brings along has no control characters and is bounded. The counts
//! are those of declarations: what an instance uses is only known when it runs.
//! The work is linear in the size of the file and may take a second for a
//! large one, so call it where blocking is allowed. This module does not know
//! of agents, grants or where the bytes come from.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use wasmparser::{
    ComponentExternalKind, ComponentName, Encoding, Instance, KnownCustom, Name, Parser, Payload,
    Validator, WasmFeatures,
};

/// What a component may use. The engines must accept all of it, and nothing else.
pub const FEATURES: WasmFeatures = WasmFeatures::WASM2
    .difference(WasmFeatures::GC_TYPES)
    .union(WasmFeatures::TAIL_CALL)
    .union(WasmFeatures::EXTENDED_CONST)
    .union(WasmFeatures::MULTI_MEMORY)
    .union(WasmFeatures::RELAXED_SIMD)
    .union(WasmFeatures::COMPONENT_MODEL);

/// What is switched off, in the words of a message. Those that a message should name first come first.
const DISABLED_FEATURES: &[(WasmFeatures, &str)] = &[
    (WasmFeatures::THREADS, "threads and shared memory"),
    (WasmFeatures::MEMORY64, "memory64"),
    (WasmFeatures::EXCEPTIONS, "exception handling"),
    (WasmFeatures::LEGACY_EXCEPTIONS, "legacy exception handling"),
    (WasmFeatures::GC_TYPES, "garbage-collected references"),
    (
        WasmFeatures::FUNCTION_REFERENCES,
        "typed function references",
    ),
    (WasmFeatures::GC, "garbage collection"),
    (WasmFeatures::STACK_SWITCHING, "stack switching"),
    (WasmFeatures::CM_ASYNC, "component-model async"),
    (
        WasmFeatures::CM_ASYNC_STACKFUL,
        "component-model async (stackful)",
    ),
    (
        WasmFeatures::CM_MORE_ASYNC_BUILTINS,
        "component-model async (more built-ins)",
    ),
    (
        WasmFeatures::CM_ERROR_CONTEXT,
        "component-model error contexts",
    ),
    (WasmFeatures::CM_THREADING, "component-model threading"),
    (WasmFeatures::CM_VALUES, "component-model values"),
    (
        WasmFeatures::CM_NESTED_NAMES,
        "component-model nested names",
    ),
    (
        WasmFeatures::CM_FIXED_LENGTH_LISTS,
        "component-model fixed-length lists",
    ),
    (WasmFeatures::CM_GC, "component-model garbage collection"),
    (WasmFeatures::CM_MAP, "component-model maps"),
    (WasmFeatures::CM64, "64-bit component model"),
    (WasmFeatures::CM_IMPLEMENTS, "component-model `implements`"),
    (
        WasmFeatures::SHARED_EVERYTHING_THREADS,
        "shared-everything threads",
    ),
    (WasmFeatures::MEMORY_CONTROL, "memory control"),
    (WasmFeatures::CUSTOM_PAGE_SIZES, "custom page sizes"),
    (WasmFeatures::WIDE_ARITHMETIC, "wide arithmetic"),
    (WasmFeatures::CUSTOM_DESCRIPTORS, "custom descriptors"),
    (WasmFeatures::COMPACT_IMPORTS, "compact imports"),
];

/// The custom section that a manifest is in.
const MANIFEST_SECTION: &str = "infinity:manifest";

/// How long a manifest may be, in bytes: a schema of settings for people fits many times over, and every listing of plugins reads it.
const MANIFEST_BYTES_MAX: usize = 64 * 1024;

/// How long a name or version may be, in characters: they are columns of tables.
const NAME_CHARACTERS_MAX: usize = 100;

/// How long a description may be, in characters: a paragraph.
const DESCRIPTION_CHARACTERS_MAX: usize = 1_000;

/// How many characters of a plugin's own text a message repeats.
const SHOWN_CHARACTERS_MAX: usize = 200;

/// How many imports and exports are kept. The interfaces that exist number some dozens; a component of ten thousand names is made to fill memory.
const NAMES_MAX: usize = 1_000;

/// The size of a page of linear memory, in bytes.
const PAGE_BYTES: u64 = 64 * 1024;

/// The newest patch version of WASI 0.2 that the host serves.
const WASI_PATCH_MAX: u32 = 12;

/// What `wasi` packages the host serves, and which of their interfaces.
const WASI_INTERFACES: &[(&str, &[&str])] = &[
    (
        "cli",
        &[
            "environment",
            "exit",
            "stdin",
            "stdout",
            "stderr",
            "terminal-input",
            "terminal-output",
            "terminal-stdin",
            "terminal-stdout",
            "terminal-stderr",
        ],
    ),
    ("clocks", &["monotonic-clock", "wall-clock"]),
    ("filesystem", &["types", "preopens"]),
    ("http", &["types", "outgoing-handler"]),
    ("io", &["error", "poll", "streams"]),
    ("random", &["random", "insecure", "insecure-seed"]),
    (
        "sockets",
        &[
            "network",
            "instance-network",
            "ip-name-lookup",
            "tcp",
            "tcp-create-socket",
            "udp",
            "udp-create-socket",
        ],
    ),
];

/// What the host serves in exactly one version.
const EXACT_INTERFACES: &[&str] = &[
    "wasi:config/store@0.2.0-rc.1",
    "wasi:keyvalue/store@0.2.0-draft",
    "wasi:keyvalue/atomics@0.2.0-draft",
    "wasi:keyvalue/batch@0.2.0-draft",
    "wasi:logging/logging@0.1.0-draft",
];

/// The interfaces of `infinity:agent` that the host serves.
const AGENT_INTERFACES: &[&str] = &[
    "types",
    "forge",
    "artifacts",
    "progress",
    "events",
    "views",
    "checks",
    "secrets",
    "code-types",
    "testing",
    "peer",
];

/// Why bytes are no plugin.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InspectError {
    #[error("the file is empty; build it again")]
    Empty,
    /// Native code, or code that an engine compiled.
    #[error(
        "the file is {kind}, and compiled code is never accepted; give the `.wasm` component it was made from"
    )]
    Compiled {
        /// With its article.
        kind: &'static str,
    },
    #[error(
        "the file is WebAssembly in its text form; make a component of it with `wasm-tools parse`"
    )]
    Text,
    #[error("the file is not WebAssembly: it begins with `{beginning}` instead of `00 61 73 6d`")]
    NotWasm {
        /// The first bytes in hexadecimal.
        beginning: String,
    },
    #[error("the file ends early, at byte {length}; copy or build it again")]
    Truncated { length: usize },
    #[error("the file is a core module, not a component; build with `--target wasm32-wasip2`")]
    CoreModule,
    #[error(
        "the file is a core module for WASI preview 1 (`wasm32-wasip1`), not a component; build with `--target wasm32-wasip2`"
    )]
    Preview1Module,
    #[error(
        "the component uses {feature}, which this host has switched off; build it without ({message} at byte {offset})"
    )]
    DisabledFeature {
        /// One feature, or several joined by `and`.
        feature: String,
        message: String,
        offset: usize,
    },
    #[error("the component is not valid: {message} at byte {offset}")]
    Invalid { message: String, offset: usize },
    #[error("the component has more than 1,000 imports or exports")]
    TooManyNames,
    #[error("the manifest in the section `infinity:manifest` {mistake}")]
    Manifest {
        /// What is wrong and what to do, as the end of a sentence.
        mistake: String,
    },
}

/// A world that a component fits: it exports what the world asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub enum World {
    #[serde(rename = "agent")]
    Agent,
    #[serde(rename = "badge-renderer")]
    BadgeRenderer,
    #[serde(rename = "policy-engine")]
    PolicyEngine,
    #[serde(rename = "code-runner")]
    CodeRunner,
    #[serde(rename = "code-analyser")]
    CodeAnalyser,
    #[serde(rename = "prepared")]
    Prepared,
    #[serde(rename = "wasi:cli/command")]
    Command,
    #[serde(rename = "wasi:http/proxy")]
    Proxy,
}

impl World {
    /// The name as WIT has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Agent => "agent",
            Self::BadgeRenderer => "badge-renderer",
            Self::PolicyEngine => "policy-engine",
            Self::CodeRunner => "code-runner",
            Self::CodeAnalyser => "code-analyser",
            Self::Prepared => "prepared",
            Self::Command => "wasi:cli/command",
            Self::Proxy => "wasi:http/proxy",
        }
    }
}

impl std::fmt::Display for World {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// What a plugin says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Manifest {
    /// At most 100 characters.
    pub name: String,
    /// At most 100 characters.
    pub version: String,
    /// At most 1,000 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The world it was written for; what it exports counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub world: Option<String>,
    /// The grants it would like, by the names of `grants` in `plugins.toml`. Wanting is not having.
    #[schema(value_type = Object)]
    pub wants: BTreeMap<String, Vec<Value>>,
    /// A JSON Schema of the agent's settings.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub settings_schema: Option<Value>,
    /// A JSON Schema of a run's input.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub input_schema: Option<Value>,
}

/// What can be said of a component before it is compiled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Inspection {
    /// `sha256:<hex>` over the whole file.
    pub digest: String,
    pub size_bytes: u64,
    /// From the manifest, or from the names that compilers leave.
    pub name: Option<String>,
    /// From the manifest, or from the `version` section.
    pub version: Option<String>,
    pub manifest: Option<Manifest>,
    /// In the order of [`World`]; empty for a component that the host can do nothing with.
    pub worlds: Vec<World>,
    /// Full names such as `wasi:http/outgoing-handler@0.2.6`, in the component's order.
    pub imports: Vec<String>,
    /// Full names, in the component's order.
    pub exports: Vec<String>,
    /// What all declared memories have at their start, summed, in bytes.
    pub memory_min_bytes: u64,
    /// Core modules in the component, in nested components too.
    pub core_modules: u32,
    /// Instantiations of core modules that the component declares.
    pub core_instances: u32,
    /// Linear memories that core modules declare.
    pub memories: u32,
    /// Tables that core modules declare.
    pub tables: u32,
}

/// Inspects the bytes of a plugin.
///
/// # Errors
/// [`InspectError`] says what the bytes are instead of a component that this host accepts.
pub fn inspect(bytes: &[u8]) -> Result<Inspection, InspectError> {
    check_kind(bytes)?;
    validate(bytes)?;
    let survey = survey(bytes).map_err(|error| broken(bytes, &error))?;
    if survey.too_many_names {
        return Err(InspectError::TooManyNames);
    }
    let manifest = manifest(&survey)?;
    let worlds = worlds(&survey);
    let (name, version) = match &manifest {
        Some(manifest) => (Some(manifest.name.clone()), Some(manifest.version.clone())),
        None => (survey.name(), survey.version.clone()),
    };
    Ok(Inspection {
        digest: digest(bytes),
        size_bytes: bytes.len() as u64,
        name,
        version,
        manifest,
        worlds,
        imports: survey.imports,
        exports: survey.exports.into_iter().map(|(name, _)| name).collect(),
        memory_min_bytes: survey.memory_min_bytes,
        core_modules: survey.core_modules,
        core_instances: survey.core_instances,
        memories: survey.memories,
        tables: survey.tables,
    })
}

/// Those imports that this host does not serve, in their order.
///
/// Known are the interfaces of WASI 0.2 up to patch 12, the drafts of
/// `wasi:config`, `wasi:keyvalue` and `wasi:logging` that the contract names,
/// and `infinity:agent` 0.1. `wasi:sockets` is known although it leads nowhere:
/// ordinary toolchains import it.
pub fn unknown_imports(imports: &[String]) -> Vec<String> {
    imports
        .iter()
        .filter(|import| !is_known_import(import))
        .cloned()
        .collect()
}

/// `sha256:<hex>` of some bytes.
fn digest(bytes: &[u8]) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
    let mut text = String::from("sha256:");
    for byte in digest.as_ref() {
        text.push_str(&format!("{byte:02x}"));
    }
    text
}

/// Refuses everything whose first bytes are not a component's.
fn check_kind(bytes: &[u8]) -> Result<(), InspectError> {
    if bytes.is_empty() {
        return Err(InspectError::Empty);
    }
    if bytes.starts_with(b"\x7fELF") {
        // Wasmtime marks what it compiled with this ABI, on every system.
        let kind = if bytes.get(7) == Some(&200) {
            "a compiled `.cwasm`"
        } else {
            "a native ELF program or library"
        };
        return Err(InspectError::Compiled { kind });
    }
    if bytes.starts_with(b"MZ") {
        return Err(InspectError::Compiled {
            kind: "a native Windows program or library",
        });
    }
    if [
        b"\xcf\xfa\xed\xfe",
        b"\xfe\xed\xfa\xcf",
        b"\xca\xfe\xba\xbe",
    ]
    .iter()
    .any(|magic| bytes.starts_with(*magic))
    {
        return Err(InspectError::Compiled {
            kind: "a native macOS program or library",
        });
    }
    let magic = b"\0asm";
    if !bytes.starts_with(&magic[..bytes.len().min(4)]) {
        if is_text_form(bytes) {
            return Err(InspectError::Text);
        }
        let beginning: Vec<String> = bytes
            .iter()
            .take(4)
            .map(|byte| format!("{byte:02x}"))
            .collect();
        return Err(InspectError::NotWasm {
            beginning: beginning.join(" "),
        });
    }
    if bytes.len() < 8 {
        return Err(InspectError::Truncated {
            length: bytes.len(),
        });
    }
    if Parser::is_core_wasm(bytes) {
        return Err(if is_preview1(bytes) {
            InspectError::Preview1Module
        } else {
            InspectError::CoreModule
        });
    }
    Ok(())
}

/// Whether this is the text form: comments, then a module or component.
fn is_text_form(mut bytes: &[u8]) -> bool {
    loop {
        bytes = bytes.trim_ascii_start();
        if !bytes.starts_with(b";;") {
            return bytes.starts_with(b"(module") || bytes.starts_with(b"(component");
        }
        let line = bytes.iter().position(|byte| *byte == b'\n');
        bytes = line.map_or(&[], |end| &bytes[end..]);
    }
}

/// Whether a core module imports WASI preview 1. A module that is broken behind its imports still counts.
fn is_preview1(bytes: &[u8]) -> bool {
    Parser::new(0)
        .parse_all(bytes)
        .map_while(Result::ok)
        .any(|payload| match payload {
            Payload::ImportSection(imports) => imports
                .into_imports()
                .map_while(Result::ok)
                .any(|import| matches!(import.module, "wasi_snapshot_preview1" | "wasi_unstable")),
            _ => false,
        })
}

/// Validates with [`FEATURES`] only, and finds out which feature a refusal is about.
fn validate(bytes: &[u8]) -> Result<(), InspectError> {
    let is_valid = |features| {
        Validator::new_with_features(features)
            .validate_all(bytes)
            .is_ok()
    };
    let Err(error) = Validator::new_with_features(FEATURES).validate_all(bytes) else {
        return Ok(());
    };
    // One feature more than allowed makes it valid: then that one is the reason. A
    // validation stops at its first mistake, so only the last of these is a long one.
    let single = DISABLED_FEATURES
        .iter()
        .find(|(feature, _)| is_valid(FEATURES.union(*feature)));
    let names: Vec<&str> = match single {
        Some((_, name)) => vec![name],
        None => {
            // Several together: leave out each that is not needed.
            let mut needed: Vec<&(WasmFeatures, &str)> = DISABLED_FEATURES.iter().collect();
            let all = |features: &[&(WasmFeatures, &str)]| {
                features
                    .iter()
                    .fold(FEATURES, |all, (feature, _)| all.union(*feature))
            };
            if !is_valid(all(&needed)) {
                return Err(broken(bytes, &error));
            }
            for candidate in DISABLED_FEATURES.iter().rev() {
                let rest: Vec<&(WasmFeatures, &str)> = needed
                    .iter()
                    .copied()
                    .filter(|(feature, _)| *feature != candidate.0)
                    .collect();
                if is_valid(all(&rest)) {
                    needed = rest;
                }
            }
            needed.into_iter().map(|(_, name)| *name).collect()
        }
    };
    Err(InspectError::DisabledFeature {
        feature: names.join(" and "),
        message: printable(error.message(), SHOWN_CHARACTERS_MAX),
        offset: error.offset(),
    })
}

/// What to say of bytes that a parser or validator refused.
fn broken(bytes: &[u8], error: &wasmparser::BinaryReaderError) -> InspectError {
    // The parser has no other sign of an early end that is public.
    if error.message().starts_with("unexpected end") && is_cut(bytes) {
        return InspectError::Truncated {
            length: bytes.len(),
        };
    }
    InspectError::Invalid {
        message: printable(error.message(), SHOWN_CHARACTERS_MAX),
        offset: error.offset(),
    }
}

/// Whether the last of the outermost sections is longer than the file.
fn is_cut(bytes: &[u8]) -> bool {
    let mut position = 8;
    while position < bytes.len() {
        let mut length = 0_u64;
        let mut shift = 0;
        // The section's id, then its length as LEB128.
        position += 1;
        loop {
            let Some(byte) = bytes.get(position) else {
                return true;
            };
            position += 1;
            length |= u64::from(byte & 0x7f) << shift;
            shift += 7;
            if byte & 0x80 == 0 || shift > 28 {
                break;
            }
        }
        let left = (bytes.len() - position) as u64;
        if length > left {
            return true;
        }
        position += usize::try_from(length).unwrap_or(usize::MAX);
    }
    false
}

/// What one pass over a component collects.
#[derive(Default)]
struct Survey {
    imports: Vec<String>,
    exports: Vec<(String, ComponentExternalKind)>,
    too_many_names: bool,
    memory_min_bytes: u64,
    core_modules: u32,
    core_instances: u32,
    memories: u32,
    tables: u32,
    component_name: Option<String>,
    module_name: Option<String>,
    version: Option<String>,
    /// A manifest of the component itself.
    own_manifest: Option<Vec<u8>>,
    /// The different manifests of its core modules.
    module_manifests: BTreeSet<Vec<u8>>,
}

impl Survey {
    /// The component's name, or that of its first module that a person wrote.
    fn name(&self) -> Option<String> {
        self.component_name
            .clone()
            .or_else(|| self.module_name.clone())
    }
}

fn survey(bytes: &[u8]) -> Result<Survey, wasmparser::BinaryReaderError> {
    let mut survey = Survey::default();
    let mut nesting: Vec<Encoding> = Vec::new();
    for payload in Parser::new(0).parse_all(bytes) {
        let outermost = nesting.len() == 1;
        match payload? {
            Payload::Version { encoding, .. } => {
                if encoding == Encoding::Module {
                    survey.core_modules = survey.core_modules.saturating_add(1);
                }
                nesting.push(encoding);
            }
            Payload::End(_) => {
                nesting.pop();
            }
            Payload::ComponentImportSection(imports) if outermost => {
                for import in imports {
                    let import = import?;
                    // A world that uses types of an interface imports each by its bare name; nobody has to provide them.
                    if matches!(import.ty, wasmparser::ComponentTypeRef::Type(_)) {
                        continue;
                    }
                    let name = import.name.name;
                    survey.too_many_names |= survey.imports.len() == NAMES_MAX;
                    if !survey.too_many_names {
                        survey.imports.push(printable(name, usize::MAX));
                    }
                }
            }
            Payload::ComponentExportSection(exports) if outermost => {
                for export in exports {
                    let export = export?;
                    survey.too_many_names |= survey.exports.len() == NAMES_MAX;
                    if !survey.too_many_names {
                        let name = printable(export.name.name, usize::MAX);
                        survey.exports.push((name, export.kind));
                    }
                }
            }
            Payload::InstanceSection(instances) => {
                for instance in instances {
                    if matches!(instance?, Instance::Instantiate { .. }) {
                        survey.core_instances = survey.core_instances.saturating_add(1);
                    }
                }
            }
            Payload::MemorySection(memories) => {
                for memory in memories {
                    let bytes = memory?.initial.saturating_mul(PAGE_BYTES);
                    survey.memories = survey.memories.saturating_add(1);
                    survey.memory_min_bytes = survey.memory_min_bytes.saturating_add(bytes);
                }
            }
            Payload::TableSection(tables) => {
                survey.tables = survey.tables.saturating_add(tables.count());
            }
            Payload::CustomSection(section) => {
                let in_module = nesting.last() == Some(&Encoding::Module);
                match section.name() {
                    MANIFEST_SECTION if outermost => {
                        survey
                            .own_manifest
                            .get_or_insert_with(|| kept(section.data()));
                    }
                    // Two different ones are a mistake; more tell nothing new.
                    MANIFEST_SECTION if in_module && survey.module_manifests.len() < 2 => {
                        survey.module_manifests.insert(kept(section.data()));
                    }
                    "version" if outermost => {
                        survey.version = said(section.data());
                    }
                    _ => match section.as_known() {
                        KnownCustom::ComponentName(names) if outermost => {
                            for name in names.into_iter().map_while(Result::ok) {
                                if let ComponentName::Component { name, .. } = name {
                                    survey.component_name = said(name.as_bytes());
                                }
                            }
                        }
                        KnownCustom::Name(names) if in_module && survey.module_name.is_none() => {
                            for name in names.into_iter().map_while(Result::ok) {
                                if let Name::Module { name, .. } = name
                                    && !name.starts_with("wit-component:")
                                {
                                    let name = name.strip_suffix(".wasm").unwrap_or(name);
                                    survey.module_name = said(name.as_bytes());
                                }
                            }
                        }
                        _ => {}
                    },
                }
            }
            _ => {}
        }
    }
    Ok(survey)
}

/// A manifest's bytes, as many as are needed to tell that there are too many.
fn kept(bytes: &[u8]) -> Vec<u8> {
    bytes[..bytes.len().min(MANIFEST_BYTES_MAX + 1)].to_vec()
}

/// A name or version that a compiler left, if there is something to show.
fn said(bytes: &[u8]) -> Option<String> {
    let text = printable(String::from_utf8_lossy(bytes).trim(), NAME_CHARACTERS_MAX);
    (!text.is_empty()).then_some(text)
}

/// Text on one line, without control characters, with at most so many characters.
fn printable(text: &str, characters_max: usize) -> String {
    text.chars()
        .take(characters_max)
        .map(|character| {
            if character.is_control() {
                char::REPLACEMENT_CHARACTER
            } else {
                character
            }
        })
        .collect()
}

/// The worlds whose exports a component has.
fn worlds(survey: &Survey) -> Vec<World> {
    let exports_instance = |interface: &str| {
        survey.exports.iter().any(|(name, kind)| {
            *kind == ComponentExternalKind::Instance
                && name.rsplit_once('@').is_some_and(|(name, version)| {
                    let line = if name.starts_with("wasi:") {
                        "0.2"
                    } else {
                        "0.1"
                    };
                    name == interface && patch_of(version, line).is_some()
                })
        })
    };
    let exports_run = survey
        .exports
        .iter()
        .any(|(name, kind)| name == "run" && *kind == ComponentExternalKind::Func);
    let prepared = exports_instance("infinity:agent/snapshot");
    [
        (World::Agent, exports_run),
        (
            World::BadgeRenderer,
            exports_instance("infinity:agent/badge"),
        ),
        (
            World::PolicyEngine,
            prepared && exports_instance("infinity:agent/policy"),
        ),
        (World::CodeRunner, exports_instance("infinity:agent/code")),
        (
            World::CodeAnalyser,
            exports_instance("infinity:agent/analysis"),
        ),
        (World::Prepared, prepared),
        (World::Command, exports_instance("wasi:cli/run")),
        (World::Proxy, exports_instance("wasi:http/incoming-handler")),
    ]
    .into_iter()
    .filter_map(|(world, fits)| fits.then_some(world))
    .collect()
}

/// The patch number of a released version of this line (`0.2` of `0.2.6`).
fn patch_of(version: &str, line: &str) -> Option<u32> {
    let patch = version.strip_prefix(line)?.strip_prefix('.')?;
    let is_number = patch.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| patch.parse().ok()).flatten()
}

fn is_known_import(import: &str) -> bool {
    if EXACT_INTERFACES.contains(&import) {
        return true;
    }
    let Some((name, version)) = import.split_once('@') else {
        return false;
    };
    let Some((package, interface)) = name.split_once('/') else {
        return false;
    };
    match package.split_once(':') {
        Some(("infinity", "agent")) => {
            AGENT_INTERFACES.contains(&interface) && patch_of(version, "0.1").is_some()
        }
        Some(("wasi", package)) => {
            WASI_INTERFACES
                .iter()
                .any(|(known, interfaces)| *known == package && interfaces.contains(&interface))
                && patch_of(version, "0.2").is_some_and(|patch| patch <= WASI_PATCH_MAX)
        }
        _ => false,
    }
}

/// The manifest that counts: the component's own, or that of its modules.
fn manifest(survey: &Survey) -> Result<Option<Manifest>, InspectError> {
    let wrong = |mistake: &str| {
        Err(InspectError::Manifest {
            mistake: mistake.to_owned(),
        })
    };
    let mut of_modules = survey.module_manifests.iter();
    let bytes = match (&survey.own_manifest, of_modules.next(), of_modules.next()) {
        (Some(own), ..) => own,
        (None, Some(_), Some(_)) => {
            return wrong("is there more than once, with different texts; keep one");
        }
        (None, Some(only), None) => only,
        (None, None, _) => return Ok(None),
    };
    if bytes.len() > MANIFEST_BYTES_MAX {
        return wrong("is longer than 64 KiB; shorten it");
    }
    parse_manifest(bytes)
        .map(Some)
        .map_err(|mistake| InspectError::Manifest { mistake })
}

/// Parses a manifest. The error is the end of a sentence and has every mistake in it.
fn parse_manifest(bytes: &[u8]) -> Result<Manifest, String> {
    let value: Value = serde_json::from_slice(bytes)
        .map_err(|error| printable(&format!("is not valid JSON: {error}"), SHOWN_CHARACTERS_MAX))?;
    let Value::Object(mut object) = value else {
        return Err("is not a JSON object; write `{ \"name\": …, \"version\": … }`".into());
    };
    let mut mistakes = Vec::new();

    let mut text = |key: &str, characters_max: usize, required: bool| -> Option<String> {
        let mistake = match object.remove(key) {
            None if required => format!("`{key}` is missing"),
            None => return None,
            Some(Value::String(text)) => {
                if text.trim().is_empty() {
                    format!("`{key}` is empty")
                } else if text.chars().count() > characters_max {
                    format!("`{key}` is longer than {characters_max} characters")
                } else if text.chars().any(char::is_control) {
                    format!("`{key}` has control characters")
                } else {
                    return Some(text);
                }
            }
            Some(_) => format!("`{key}` is not a string"),
        };
        mistakes.push(mistake);
        None
    };
    let name = text("name", NAME_CHARACTERS_MAX, true);
    let version = text("version", NAME_CHARACTERS_MAX, true);
    let description = text("description", DESCRIPTION_CHARACTERS_MAX, false);
    let world = text("world", NAME_CHARACTERS_MAX, false);

    let mut wants = BTreeMap::new();
    match object.remove("wants") {
        None => {}
        Some(Value::Object(map)) => {
            for (grant, wanted) in map {
                if let Value::Array(list) = wanted {
                    wants.insert(grant, list);
                } else {
                    let grant = printable(&grant, SHOWN_CHARACTERS_MAX);
                    mistakes.push(format!("`wants.{grant}` is not a list"));
                }
            }
        }
        Some(_) => mistakes.push("`wants` is not an object of lists".to_owned()),
    }

    let mut schema = |key: &str| -> Option<Value> {
        let value = object.remove(key)?;
        if value.is_object() || value.is_boolean() {
            return Some(value);
        }
        mistakes.push(format!(
            "`{key}` is not a JSON Schema: an object or a boolean"
        ));
        None
    };
    let settings_schema = schema("settings_schema");
    let input_schema = schema("input_schema");

    if !object.is_empty() {
        let names: Vec<String> = object
            .keys()
            .map(|key| format!("`{}`", printable(key, SHOWN_CHARACTERS_MAX)))
            .collect();
        mistakes.push(printable(
            &format!(
                "unknown {} {}; known are `name`, `version`, `description`, `world`, `wants`, `settings_schema`, `input_schema`",
                if names.len() == 1 { "key" } else { "keys" },
                names.join(", ")
            ),
            // Some hundred keys of ordinary length; more would bury the terminal.
            4096,
        ));
    }
    match (name, version) {
        (Some(name), Some(version)) if mistakes.is_empty() => Ok(Manifest {
            name,
            version,
            description,
            world,
            wants,
            settings_schema,
            input_schema,
        }),
        _ => Err(format!("has mistakes: {}", mistakes.join("; "))),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn wasm(text: &str) -> Vec<u8> {
        wat::parse_str(text).unwrap()
    }

    fn refusal(text: &str) -> String {
        inspect(&wasm(text)).unwrap_err().to_string()
    }

    /// A component with a manifest section of its own.
    fn with_manifest(manifest: &str) -> Result<Inspection, InspectError> {
        let escaped: String = manifest
            .bytes()
            .map(|byte| format!("\\{byte:02x}"))
            .collect();
        inspect(&wasm(&format!(
            "(component (@custom \"infinity:manifest\" \"{escaped}\"))"
        )))
    }

    fn mistake(manifest: &str) -> String {
        with_manifest(manifest).unwrap_err().to_string()
    }

    #[test]
    fn what_is_no_component_is_named() {
        let check = |bytes: &[u8], expected: &str| {
            let message = inspect(bytes).unwrap_err().to_string();
            assert!(message.contains(expected), "{message}");
        };
        check(b"", "the file is empty");
        check(b"#!/bin/sh\n", "it begins with `23 21 2f 62`");
        check(&[0xff; 100], "it begins with `ff ff ff ff`");
        check(b"\0", "ends early, at byte 1");
        check(b"\0asm", "ends early, at byte 4");
        check(b"\0asm\x0d\0\x01", "ends early, at byte 7");
        check(b"  (component)", "text form");
        check(b"\x7fELF\x02\x01\x01\x00rest", "a native ELF program");
        check(b"\x7fELF\x02\x01\x01\xc8rest", "a compiled `.cwasm`");
        check(b"\x7fELF", "compiled code is never accepted");
        check(b"MZ\x90\0", "compiled code is never accepted");
        check(
            &wasm("(module)"),
            "core module, not a component; build with",
        );
        check(
            &wasm(r#"(module (import "wasi_snapshot_preview1" "fd_write" (func)))"#),
            "wasm32-wasip1",
        );
        check(b"\0asm\x0d\0\x02\0", "not valid");
    }

    #[test]
    fn every_cut_and_every_damaged_byte_is_an_error_or_an_inspection() {
        let whole = wasm(
            r#"(component
                (core module $m (memory (export "memory") 1) (func (export "f")) (data (i32.const 0) "abc"))
                (core instance $i (instantiate $m))
                (func $f (canon lift (core func $i "f")))
                (export "run" (func $f)))"#,
        );
        inspect(&whole).unwrap();
        let mut truncated = 0;
        for length in 0..whole.len() {
            match inspect(&whole[..length]) {
                Err(InspectError::Truncated { length: said }) => {
                    assert_eq!(said, length);
                    truncated += 1;
                }
                // A cut between two sections can leave a smaller component.
                Ok(_) | Err(InspectError::Empty | InspectError::Invalid { .. }) => {}
                Err(error) => panic!("cut at {length}: {error}"),
            }
        }
        assert!(truncated > whole.len() / 2, "{truncated}");
        for position in 0..whole.len() {
            for bit in 0..8 {
                let mut damaged = whole.clone();
                damaged[position] ^= 1 << bit;
                if let Err(error) = inspect(&damaged) {
                    let message = error.to_string();
                    assert!(!message.chars().any(char::is_control), "{message:?}");
                }
            }
        }
    }

    #[test]
    fn a_refusal_names_the_feature_that_is_switched_off() {
        let check = |text: &str, feature: &str| match inspect(&wasm(text)) {
            Err(InspectError::DisabledFeature { feature: named, .. }) => {
                assert_eq!(named, feature, "{text}");
            }
            other => panic!("{text}: {other:?}"),
        };
        check(
            "(component (core module (memory 1 1 shared)))",
            "threads and shared memory",
        );
        check("(component (core module (memory i64 1)))", "memory64");
        check("(component (core module (tag)))", "exception handling");
        check(
            "(component (core module (func (param externref))))",
            "garbage-collected references",
        );
        check(
            "(component (core module (type $f (func)) (type (cont $f))))",
            "garbage-collected references and stack switching",
        );
        check(
            "(component (core module (memory 1 (pagesize 1))))",
            "custom page sizes",
        );
        check("(component (type (stream u8)))", "component-model async");
        check(
            "(component (type (map string u32)))",
            "component-model maps",
        );
        check(
            "(component (core module (memory i64 1) (tag)))",
            "memory64 and exception handling",
        );
        let message = refusal("(component (core module (memory i64 1)))");
        assert!(
            message.starts_with("the component uses memory64, which this host has switched off"),
            "{message}"
        );
    }

    #[test]
    fn garbage_collected_types_are_refused() {
        let message = refusal("(component (core module (type (struct (field i32)))))");
        assert!(message.contains("garbage collection"), "{message}");
    }

    #[test]
    fn an_invalid_component_is_told_from_one_that_needs_a_feature() {
        let error = inspect(&wasm(
            "(component (core module (func (result i32) i64.const 1)))",
        ))
        .unwrap_err();
        assert!(
            matches!(&error, InspectError::Invalid { message, offset } if message.contains("type mismatch") && *offset > 8),
            "{error:?}"
        );
    }

    #[test]
    fn features_that_toolchains_use_are_allowed() {
        inspect(&wasm(
            r#"(component (core module
                (memory 1) (memory 1)
                (table 1 funcref)
                (global i32 (i32.add (i32.const 1) (i32.const 2)))
                (func $f (result i32 i32) (return_call $f))
                (func (param v128) (result i32) (i32x4.extract_lane 0 (local.get 0)))
                (func (param i32) (memory.fill (local.get 0) (local.get 0) (local.get 0)))))"#,
        ))
        .unwrap();
    }

    #[test]
    fn imports_exports_and_sizes_are_listed() {
        let bytes = wasm(
            r#"(component $named
                (import "wasi:http/outgoing-handler@0.2.6" (instance))
                (import "infinity:agent/forge@0.1.0" (instance))
                (core module $a (memory 2) (table 1 funcref))
                (core module $b (memory 3 10) (func (export "f")))
                (core instance $one (instantiate $b))
                (core instance $two (instantiate $b))
                (core instance (export "f" (func $one "f")))
                (component $nested (core module (memory 1)))
                (func $f (canon lift (core func $one "f")))
                (export "run" (func $f)))"#,
        );
        let inspection = inspect(&bytes).unwrap();
        assert_eq!(
            inspection.imports,
            [
                "wasi:http/outgoing-handler@0.2.6",
                "infinity:agent/forge@0.1.0"
            ]
        );
        assert_eq!(inspection.exports, ["run"]);
        assert_eq!(inspection.worlds, [World::Agent]);
        assert_eq!(inspection.memory_min_bytes, 6 * PAGE_BYTES);
        assert_eq!(inspection.core_modules, 3);
        assert_eq!(inspection.core_instances, 2);
        assert_eq!((inspection.memories, inspection.tables), (3, 1));
        assert_eq!(inspection.size_bytes, bytes.len() as u64);
        assert_eq!(inspection.name.as_deref(), Some("named"));
        assert_eq!(inspection.version, None);
        assert_eq!(inspection.digest.len(), "sha256:".len() + 64);
        let value = serde_json::to_value(&inspection).unwrap();
        assert_eq!(value["worlds"], json!(["agent"]));
        assert_eq!(
            digest(b"abc"),
            "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }

    #[test]
    fn worlds_are_told_by_their_exports() {
        let check = |exports: &[&str], expected: &[World]| {
            let exports: String = exports
                .iter()
                .map(|name| format!("(export \"{name}\" (instance $i))"))
                .collect();
            let text = format!("(component (instance $i) {exports})");
            assert_eq!(inspect(&wasm(&text)).unwrap().worlds, expected, "{exports}");
        };
        check(&[], &[]);
        check(&["infinity:agent/badge@0.1.0"], &[World::BadgeRenderer]);
        check(&["infinity:agent/badge@0.1.7"], &[World::BadgeRenderer]);
        check(&["infinity:agent/badge@0.2.0"], &[]);
        check(&["infinity:agent/snapshot@0.1.0"], &[World::Prepared]);
        check(
            &[
                "infinity:agent/policy@0.1.0",
                "infinity:agent/snapshot@0.1.0",
            ],
            &[World::PolicyEngine, World::Prepared],
        );
        check(&["infinity:agent/policy@0.1.0"], &[]);
        check(&["wasi:cli/run@0.2.3"], &[World::Command]);
        check(&["wasi:http/incoming-handler@0.2.0"], &[World::Proxy]);
        // An instance called `run` is not the function.
        check(&["run"], &[]);
    }

    #[test]
    fn names_and_versions_are_found_without_a_manifest() {
        let inspection = inspect(&wasm(
            r#"(component
                (@custom "version" "1.2.3")
                (core module $wit-component:shim)
                (core module $badge.wasm))"#,
        ))
        .unwrap();
        assert_eq!(inspection.name.as_deref(), Some("badge"));
        assert_eq!(inspection.version.as_deref(), Some("1.2.3"));
        assert_eq!(inspection.manifest, None);
    }

    #[test]
    fn a_manifest_is_read_from_the_component_or_its_modules() {
        let text = r#"{ "name": "mirror", "version": "1.0.0", "description": "Mirrors", "wants": { "repos": [{ "name": "*", "read": true }], "http": [] }, "settings_schema": { "type": "object" }, "input_schema": true }"#;
        let manifest = with_manifest(text).unwrap().manifest.unwrap();
        assert_eq!(manifest.name, "mirror");
        assert_eq!(
            manifest.wants["repos"],
            [json!({ "name": "*", "read": true })]
        );
        assert_eq!(manifest.settings_schema, Some(json!({ "type": "object" })));
        assert_eq!(manifest.input_schema, Some(json!(true)));

        let module = |name: &str| {
            format!(
                r#"(core module (@custom "infinity:manifest" "{{\"name\":\"{name}\",\"version\":\"1\"}}"))"#
            )
        };
        let read = |text: String| inspect(&wasm(&text));
        let inspection = read(format!("(component (core module) {})", module("a"))).unwrap();
        assert_eq!(inspection.name.as_deref(), Some("a"));
        assert_eq!(inspection.version.as_deref(), Some("1"));
        let inspection = read(format!("(component (component {}))", module("deep"))).unwrap();
        assert_eq!(inspection.name.as_deref(), Some("deep"));
        let twice = format!("(component {} {})", module("a"), module("a"));
        assert!(read(twice).is_ok());
        let error = read(format!("(component {} {})", module("a"), module("b"))).unwrap_err();
        assert!(error.to_string().contains("more than once"), "{error}");
    }

    #[test]
    fn every_mistake_in_a_manifest_is_named() {
        assert!(mistake("{").contains("is not valid JSON: EOF"));
        assert!(mistake("[]").contains("is not a JSON object"));
        assert!(mistake("\u{1}").contains("is not valid JSON"));
        let message = mistake(
            r#"{ "name": "", "wants": { "http": 1 }, "settings_schema": [], "shedule": 1, "wnts": 2 }"#,
        );
        for part in [
            "`name` is empty",
            "`version` is missing",
            "`wants.http` is not a list",
            "`settings_schema` is not a JSON Schema",
            "unknown keys `shedule`, `wnts`; known are `name`",
        ] {
            assert!(message.contains(part), "{part}: {message}");
        }
        assert!(mistake(r#"{ "name": 1, "version": "1" }"#).contains("`name` is not a string"));
        let message = mistake(r#"{ "name": "a\u001b[31m", "version": "1", "b\n": 1 }"#);
        assert!(message.contains("`name` has control characters"));
        assert!(!message.contains('\n'), "{message}");
        let long = format!(
            r#"{{ "name": "a", "version": "1"{} }}"#,
            " ".repeat(MANIFEST_BYTES_MAX)
        );
        assert!(mistake(&long).contains("longer than 64 KiB"));
        let deep = "[".repeat(MANIFEST_BYTES_MAX);
        assert!(mistake(&deep).contains("is not valid JSON"));
    }

    #[test]
    fn a_component_of_very_many_names_is_refused() {
        let imports: String = (0..=NAMES_MAX)
            .map(|number| format!("(import \"i{number}\" (func))"))
            .collect();
        let error = inspect(&wasm(&format!("(component {imports})"))).unwrap_err();
        assert_eq!(error, InspectError::TooManyNames);
    }

    #[test]
    fn imports_that_the_host_does_not_serve_are_listed() {
        let known = [
            "wasi:cli/environment@0.2.0",
            "wasi:io/streams@0.2.12",
            "wasi:http/types@0.2.6",
            "wasi:http/outgoing-handler@0.2.6",
            "wasi:sockets/tcp@0.2.3",
            "wasi:config/store@0.2.0-rc.1",
            "wasi:keyvalue/batch@0.2.0-draft",
            "wasi:logging/logging@0.1.0-draft",
            "infinity:agent/forge@0.1.0",
            "infinity:agent/types@0.1.3",
        ];
        let unknown = [
            "wasi:cli/environment@0.2.13",
            "wasi:cli/environment@0.2.99",
            "wasi:cli/environment@0.3.0",
            "wasi:cli/environment@0.2.0-rc-2023-11-10",
            "wasi:cli/environment@0.2.+1",
            "wasi:cli/environment@0.2.",
            "wasi:cli/environment",
            "wasi:cli/made-up@0.2.0",
            "wasi:http/incoming-handler@0.2.0",
            "wasi:nn/graph@0.2.0",
            "wasi:config/store@0.2.0",
            "wasi:keyvalue/watch@0.2.0-draft",
            "infinity:agent/badge@0.1.0",
            "infinity:agent/forge@0.2.0",
            "infinity:agent/forge@0.1.0@0.1.0",
            "other:package/thing@0.1.0",
            "plain",
            "",
        ];
        let imports: Vec<String> = known
            .iter()
            .chain(&unknown)
            .map(|name| (*name).to_owned())
            .collect();
        assert_eq!(unknown_imports(&imports), unknown);
    }

    #[test]
    fn every_interface_of_the_contract_is_served() {
        let worlds = include_str!("../../../wit/0.1.0/worlds.wit");
        let imported: Vec<&str> = worlds
            .lines()
            .filter_map(|line| line.trim().strip_prefix("import ")?.strip_suffix(';'))
            .filter(|name| !name.contains(':'))
            .collect();
        assert_eq!(AGENT_INTERFACES, imported);
    }
}
