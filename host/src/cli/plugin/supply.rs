//! Where components come from: digests that are pinned, signatures, registries. All of it is done here, without a host.
//!
//! Invariants: a component reaches the folder whole or not at all, and after it was compared with its digest and inspected; nothing that was there is replaced unless
//! that is asked for. Nothing is run.

use super::super::output::bytes as size;
use super::super::{CliError, Done, EXIT_FAILED, GlobalOptions, Output};
use super::show;
use crate::config::{Config, Overrides, load_tolerant};
use crate::registry::{COMPONENT_MAX_BYTES, PLUGINS_MAX};
use crate::sandbox::digest;
use crate::sandbox::inspect::{Inspection, inspect};
use crate::supply::lock::{Entry, FILE, Lock};
use crate::supply::oci::{OciError, Options, Pulled, Repository};
use crate::supply::reference::Reference;
use crate::supply::signature::{self, KeyError, Verdict};
use crate::supply::{files, unproven};
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use ssh_key::{HashAlg, LineEnding, PublicKey};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// Where components come from.
#[derive(Debug, Subcommand)]
pub enum SupplyCommand {
    /// Pin the digests of components in `plugins.lock`
    Lock(LockOptions),
    /// Make a key that signs components
    Keygen {
        /// Where to write it; the public key goes beside it, into FILE.pub
        file: PathBuf,
    },
    /// Sign the digest of a component, into FILE.sig
    Sign {
        /// The `.wasm` file
        file: PathBuf,
        /// An Ed25519 key of SSH without a passphrase
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
    },
    /// Say who signed a component; the exit code is 0 if it is somebody trusted
    Verify {
        /// The `.wasm` file, with its `.wasm.sig` beside it
        file: PathBuf,
        /// A public key that counts besides those of the configuration
        #[arg(long, value_name = "FILE.pub")]
        key: Vec<PathBuf>,
    },
    /// Put a component into a registry, with its signature if it has one
    Push {
        /// The `.wasm` file
        file: PathBuf,
        /// REGISTRY/NAME:TAG
        reference: String,
        #[command(flatten)]
        registry: RegistryOptions,
    },
    /// Fetch a component from a registry into a file, with its signature if it has one
    Pull {
        /// REGISTRY/NAME:TAG, or REGISTRY/NAME@sha256:…
        reference: String,
        /// The file; `NAME.wasm` in the working directory if not set
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
        /// Replace a file that holds something else
        #[arg(long)]
        replace: bool,
        #[command(flatten)]
        registry: RegistryOptions,
    },
    /// Fetch a component from a registry into the folder of plugins, and pin it
    Add(AddOptions),
}

/// What to pin.
#[derive(Debug, Args)]
pub struct LockOptions {
    /// Names of plugins; all in the folder if none is named, and those that are gone are dropped
    names: Vec<String>,
    /// Change nothing; the exit code is 0 if nothing would change
    #[arg(long)]
    check: bool,
}

/// What to add.
#[derive(Debug, Args)]
pub struct AddOptions {
    /// REGISTRY/NAME:TAG, REGISTRY/NAME@sha256:… or both
    reference: String,
    /// What the plugin is called here; the last part of NAME if not set
    #[arg(long = "as", value_name = "NAME")]
    name: Option<String>,
    /// A public key that must have signed it, or one of several
    #[arg(long, value_name = "FILE.pub")]
    key: Vec<PathBuf>,
    /// Replace a plugin of this name that is another component
    #[arg(long)]
    replace: bool,
    #[command(flatten)]
    registry: RegistryOptions,
}

/// How a registry is spoken to.
#[derive(Debug, Args)]
pub struct RegistryOptions {
    /// Ask a registry that is not on this machine without TLS
    #[arg(long)]
    plain_http: bool,
    /// Ask addresses of private networks
    #[arg(long)]
    private: bool,
}

impl From<KeyError> for CliError {
    fn from(error: KeyError) -> Self {
        match error {
            KeyError::Unusable(_) => Self::failed(error.to_string()),
            _ => Self::input(error.to_string()),
        }
    }
}

impl From<OciError> for CliError {
    fn from(error: OciError) -> Self {
        let message = error.to_string();
        if error.is_input() {
            Self::input(message)
        } else {
            Self::failed(message)
        }
    }
}

pub(super) async fn execute(
    command: &SupplyCommand,
    global: &GlobalOptions,
    output: &Output,
) -> Done {
    match command {
        SupplyCommand::Lock(options) => lock(options, global, output),
        SupplyCommand::Keygen { file } => keygen(file, output),
        SupplyCommand::Sign { file, key } => sign(file, key, output),
        SupplyCommand::Verify { file, key } => verify(file, key, global, output),
        SupplyCommand::Push {
            file,
            reference,
            registry,
        } => push(file, reference, registry, global, output).await,
        SupplyCommand::Pull {
            reference,
            output: file,
            replace,
            registry,
        } => {
            pull(
                reference,
                file.as_deref(),
                *replace,
                registry,
                global,
                output,
            )
            .await
        }
        SupplyCommand::Add(options) => add(options, global, output).await,
    }
}

/// The configuration, whatever its agents are.
fn configuration(global: &GlobalOptions) -> Result<Config, CliError> {
    let environment = |name: &str| std::env::var(name).ok();
    load_tolerant(&global.config, &environment, &Overrides::default()).map_err(CliError::from)
}

/// The same, where there may be none.
fn perhaps(global: &GlobalOptions) -> Result<Option<Config>, CliError> {
    if global.config.exists() {
        configuration(global).map(Some)
    } else {
        Ok(None)
    }
}

fn read(file: &Path) -> Result<Vec<u8>, CliError> {
    let wrong = |why: &str| CliError::input(format!("`{}` cannot be read: {why}", file.display()));
    // Looked at before it is opened, because opening a pipe would wait for a writer.
    let metadata = std::fs::metadata(file).map_err(|error| wrong(&error.to_string()))?;
    if !metadata.is_file() {
        return Err(wrong("it is no regular file"));
    }
    if metadata.len() > COMPONENT_MAX_BYTES {
        return Err(wrong("it has more than 128 MiB"));
    }
    std::fs::read(file).map_err(|error| wrong(&error.to_string()))
}

fn inspected(file: &str, bytes: &[u8]) -> Result<Inspection, CliError> {
    inspect(bytes).map_err(|error| CliError::input(format!("`{file}`: {error}")))
}

fn written(file: &Path, bytes: &[u8]) -> Result<(), CliError> {
    files::write(file, bytes)
        .map_err(|error| CliError::failed(format!("cannot write `{}`: {error}", file.display())))
}

/// Puts a component and its signature into place; one that another component had goes.
fn place(file: &Path, bytes: &[u8], signature: Option<&str>) -> Result<(), CliError> {
    let beside = signature::file_of(file);
    match signature {
        Some(text) => written(&beside, text.as_bytes())?,
        None => files::remove(&beside).map_err(|error| {
            CliError::failed(format!("cannot remove `{}`: {error}", beside.display()))
        })?,
    }
    written(file, bytes)
}

fn read_lock(config: &Config) -> Result<Lock, CliError> {
    Lock::read(&config.supply.lock).map_err(|error| CliError::input(error.to_string()))
}

fn write_lock(config: &Config, lock: &Lock) -> Result<(), CliError> {
    let file = &config.supply.lock;
    lock.write(file)
        .map_err(|error| CliError::failed(format!("cannot write `{}`: {error}", file.display())))
}

/// The components in the folder, by name.
fn components(folder: &Path) -> Result<BTreeMap<String, PathBuf>, CliError> {
    let entries = std::fs::read_dir(folder).map_err(|error| {
        CliError::input(format!(
            "the folder of plugins `{}` cannot be read: {error}",
            folder.display()
        ))
    })?;
    Ok(entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "wasm")
        })
        .filter_map(|path| Some((path.file_stem()?.to_str()?.to_owned(), path)))
        .take(PLUGINS_MAX)
        .collect())
}

fn lock(options: &LockOptions, global: &GlobalOptions, output: &Output) -> Done {
    let config = configuration(global)?;
    let found = components(&config.host.plugins)?;
    let mut lock = read_lock(&config)?;
    if let Some(unknown) = options.names.iter().find(|name| !found.contains_key(*name)) {
        return Err(CliError::input(format!(
            "there is no `{unknown}.wasm` in `{}`",
            config.host.plugins.display()
        )));
    }
    let wanted = |name: &str| options.names.is_empty() || options.names.iter().any(|n| n == name);
    let (mut changes, mut unchanged) = (Vec::new(), 0);
    for (name, file) in found.iter().filter(|(name, _)| wanted(name)) {
        let bytes = read(file)?;
        let digest = digest(&bytes);
        let before = lock.get(name).map(|entry| entry.digest.clone());
        if before.as_ref() == Some(&digest) {
            unchanged += 1;
            continue;
        }
        let entry = Entry {
            digest: digest.clone(),
            size: bytes.len() as u64,
            source: FILE.to_owned(),
        };
        lock.put(name, entry);
        changes.push(json!({ "name": name, "from": before, "to": digest }));
    }
    if options.names.is_empty() {
        let gone: Vec<String> = lock
            .names()
            .filter(|name| !found.contains_key(*name))
            .map(str::to_owned)
            .collect();
        for name in gone {
            let before = lock.get(&name).map(|entry| entry.digest.clone());
            lock.remove(&name);
            changes.push(json!({ "name": name, "from": before, "to": null }));
        }
    }
    let file = &config.supply.lock;
    let written = !options.check && (!changes.is_empty() || !file.exists());
    if written {
        write_lock(&config, &lock)?;
    }
    if output.is_json() {
        output.value(&json!({
            "file": file.display().to_string(),
            "written": written,
            "changes": changes,
            "unchanged": unchanged,
        }));
    } else {
        for change in &changes {
            let name = change["name"].as_str().unwrap_or_default();
            output.line(&match (change["from"].as_str(), change["to"].as_str()) {
                (None, Some(to)) => format!("{name}  new  {to}"),
                (Some(from), Some(to)) => format!("{name}  {from} -> {to}"),
                (Some(from), None) => format!("{name}  gone  {from}"),
                (None, None) => name.to_owned(),
            });
        }
        output.line(&format!(
            "{}: {} changed, {unchanged} unchanged{}",
            file.display(),
            changes.len(),
            if options.check { ", not written" } else { "" }
        ));
    }
    Ok(if options.check && !changes.is_empty() {
        EXIT_FAILED
    } else {
        0
    })
}

fn keygen(file: &Path, output: &Output) -> Done {
    let key = signature::generate()?;
    let unusable = |error: ssh_key::Error| KeyError::Unusable(error.to_string());
    let text = key.to_openssh(LineEnding::LF).map_err(unusable)?;
    let public = key.public_key().to_openssh().map_err(unusable)?;
    let mut beside = file.as_os_str().to_owned();
    beside.push(".pub");
    let beside = PathBuf::from(beside);
    let line = format!("{public}\n");
    for (file, text, mode) in [
        (file, text.as_str(), 0o600),
        (beside.as_path(), line.as_str(), 0o644),
    ] {
        // `create_new`: no key is ever written over another.
        std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(file)
            .and_then(|mut file| {
                file.write_all(text.as_bytes())?;
                file.sync_all()
            })
            .map_err(|error| {
                CliError::input(format!("cannot write `{}`: {error}", file.display()))
            })?;
    }
    let fingerprint = key.fingerprint(HashAlg::Sha256).to_string();
    // Its comment is nobody's name.
    let mut bare = key.public_key().clone();
    bare.set_comment("");
    let bare = bare.to_openssh().map_err(unusable)?;
    if output.is_json() {
        output.value(&json!({
            "file": file.display().to_string(),
            "public_file": beside.display().to_string(),
            "public_key": bare,
            "fingerprint": fingerprint,
        }));
    } else {
        output.line(&format!(
            "wrote {} and {}",
            file.display(),
            beside.display()
        ));
        output.line(&format!("fingerprint {fingerprint}"));
        output.line("to trust it, in `plugins.toml`:");
        output.line("  [plugins]");
        output.line(&format!("  trusted = {{ NAME = \"{bare}\" }}"));
    }
    Ok(0)
}

fn sign(file: &Path, key: &Path, output: &Output) -> Done {
    let bytes = read(file)?;
    inspected(&file.display().to_string(), &bytes)?;
    let digest = digest(&bytes);
    let beside = signature::file_of(file);
    let opened = signature::private_key(key).map_err(|error| {
        let passphrase = matches!(error, KeyError::Passphrase { .. });
        let error = CliError::from(error);
        if passphrase {
            error.with_hint(format!(
                "OpenSSH asks for it: printf '{digest}\\n' | ssh-keygen -Y sign -n {} -f {} > {}",
                signature::NAMESPACE,
                key.display(),
                beside.display()
            ))
        } else {
            error
        }
    })?;
    let text = signature::sign(&opened, &digest)?;
    written(&beside, text.as_bytes())?;
    let fingerprint = opened.fingerprint(HashAlg::Sha256).to_string();
    if output.is_json() {
        output.value(&json!({
            "file": beside.display().to_string(),
            "digest": digest,
            "fingerprint": fingerprint,
        }));
    } else {
        output.line(&format!("{digest}  {fingerprint}"));
        output.line(&format!("wrote {}", beside.display()));
    }
    Ok(0)
}

/// Keys that count besides those of the configuration, each by its comment or else its file's name.
fn keys(named: &[PathBuf]) -> Result<BTreeMap<String, PublicKey>, CliError> {
    let mut keys = BTreeMap::new();
    for file in named {
        let key = signature::public_key(file)?;
        let name = match key.comment() {
            "" => file
                .file_stem()
                .map_or_else(String::new, |stem| stem.to_string_lossy().into_owned()),
            comment => comment.to_owned(),
        };
        keys.insert(name, key);
    }
    Ok(keys)
}

fn verify(file: &Path, named: &[PathBuf], global: &GlobalOptions, output: &Output) -> Done {
    let mut trusted = perhaps(global)?.map_or_else(BTreeMap::new, |config| config.supply.trusted);
    trusted.extend(keys(named)?);
    let digest = digest(&read(file)?);
    let verdict = match signature::beside(file) {
        Ok(None) => Verdict::Unsigned,
        Ok(Some(text)) => signature::verify(&text, &digest, &trusted),
        Err(why) => Verdict::Bad { why },
    };
    let name = file
        .file_stem()
        .map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
    let denied = unproven(&name, &verdict);
    let signed_by = match &verdict {
        Verdict::Trusted { name } => Some(name.as_str()),
        Verdict::Unsigned | Verdict::Untrusted { .. } | Verdict::Bad { .. } => None,
    };
    if output.is_json() {
        output.value(&json!({
            "digest": digest,
            "verified": signed_by.is_some(),
            "signed_by": signed_by,
            "reason": denied.as_ref().map(|denied| denied.reason),
            "message": denied.as_ref().map(|denied| denied.message.as_str()),
        }));
    } else {
        output.line(&match (&denied, signed_by) {
            (None, Some(name)) => format!("{digest} is signed by {name}"),
            (denied, _) => denied
                .as_ref()
                .map_or_else(String::new, ToString::to_string),
        });
    }
    Ok(if denied.is_some() { EXIT_FAILED } else { 0 })
}

fn reference(text: &str) -> Result<Reference, CliError> {
    text.parse::<Reference>().map_err(|error| {
        CliError::input(error.to_string()).with_hint("write for instance `ghcr.io/acme/mirror:1.2`")
    })
}

fn options_of(registry: &RegistryOptions, config: Option<&Config>) -> Options {
    Options {
        plain_http: registry.plain_http,
        private: registry.private,
        proxy: config.and_then(|config| config.host.proxy.clone()),
        ca_file: config.and_then(|config| config.host.ca_file.clone()),
    }
}

async fn push(
    file: &Path,
    text: &str,
    registry: &RegistryOptions,
    global: &GlobalOptions,
    output: &Output,
) -> Done {
    let reference = reference(text)?;
    if reference.tag.is_none() || reference.digest.is_some() {
        return Err(CliError::input(format!(
            "`{text}` is no place to put a component: it takes a tag and no digest"
        ))
        .with_hint("write for instance `ghcr.io/acme/mirror:1.2`"));
    }
    let bytes = read(file)?;
    let inspection = inspected(&file.display().to_string(), &bytes)?;
    let signature = signature::beside(file)
        .map_err(|why| CliError::input(format!("the signature of `{}`: {why}", file.display())))?;
    if let Some(text) = &signature
        && let Verdict::Bad { why } = signature::verify(text, &inspection.digest, &BTreeMap::new())
    {
        return Err(
            CliError::input(format!("the signature of `{}`: {why}", file.display()))
                .with_hint("sign it again, or remove the `.sig` file to push it unsigned"),
        );
    }
    let config = perhaps(global)?;
    let repository = Repository::open(&reference, &options_of(registry, config.as_ref()))?;
    let spinner = output.spinner(&format!(
        "putting {} into {reference}",
        size(bytes.len() as u64)
    ));
    let pushed = repository
        .push(&bytes.into(), &inspection, signature.as_deref())
        .await;
    spinner.finish_and_clear();
    let pushed = pushed?;
    let pinned = reference.pinned(&pushed.manifest);
    if output.is_json() {
        output.value(&json!({
            "reference": pinned.to_string(),
            "manifest": pushed.manifest,
            "digest": inspection.digest,
            "signed": pushed.signed,
        }));
    } else {
        output.line(&pinned.to_string());
        output.line(if pushed.signed {
            "with its signature"
        } else {
            "unsigned"
        });
    }
    Ok(0)
}

async fn fetch(
    reference: &Reference,
    options: &Options,
    output: &Output,
) -> Result<Pulled, CliError> {
    let repository = Repository::open(reference, options)?;
    let spinner = output.spinner(&format!("fetching {reference}"));
    let pulled = repository.pull(COMPONENT_MAX_BYTES).await;
    spinner.finish_and_clear();
    Ok(pulled?)
}

/// Of several signatures the one that counts; or else the first, with what is wrong with it.
fn best<'p>(
    pulled: &'p Pulled,
    trusted: &BTreeMap<String, PublicKey>,
) -> (Option<&'p str>, Verdict) {
    let judged = |text: &'p String| {
        (
            Some(text.as_str()),
            signature::verify(text, &pulled.digest, trusted),
        )
    };
    let rank = |verdict: &Verdict| match verdict {
        Verdict::Trusted { .. } => 0,
        Verdict::Untrusted { .. } => 1,
        Verdict::Bad { .. } | Verdict::Unsigned => 2,
    };
    pulled
        .signatures
        .iter()
        .map(judged)
        .min_by_key(|(_, verdict)| rank(verdict))
        .unwrap_or((None, Verdict::Unsigned))
}

async fn pull(
    text: &str,
    file: Option<&Path>,
    replace: bool,
    registry: &RegistryOptions,
    global: &GlobalOptions,
    output: &Output,
) -> Done {
    let reference = reference(text)?;
    let config = perhaps(global)?;
    let file = file.map_or_else(
        || PathBuf::from(format!("{}.wasm", reference.name())),
        PathBuf::from,
    );
    let pulled = fetch(&reference, &options_of(registry, config.as_ref()), output).await?;
    if file.exists() && !replace && digest(&read(&file)?) != pulled.digest {
        return Err(
            CliError::input(format!("`{}` is another component", file.display()))
                .with_hint("name another file with `--output`, or replace it with `--replace`"),
        );
    }
    let trusted = config.map_or_else(BTreeMap::new, |config| config.supply.trusted);
    let (signature, verdict) = best(&pulled, &trusted);
    place(&file, &pulled.bytes, signature)?;
    let signed_by = match verdict {
        Verdict::Trusted { name } => Some(name),
        Verdict::Unsigned | Verdict::Untrusted { .. } | Verdict::Bad { .. } => None,
    };
    if output.is_json() {
        output.value(&json!({
            "reference": pulled.reference.to_string(),
            "digest": pulled.digest,
            "size_bytes": pulled.bytes.len(),
            "file": file.display().to_string(),
            "signed": signature.is_some(),
            "signed_by": signed_by,
        }));
    } else {
        output.line(&pulled.reference.to_string());
        output.line(&format!(
            "{}  {}",
            pulled.digest,
            size(pulled.bytes.len() as u64)
        ));
        output.line(&match (signature, signed_by) {
            (None, _) => "unsigned".to_owned(),
            (Some(_), Some(name)) => format!("signed by {name}"),
            (Some(_), None) => "signed by nobody that is trusted here".to_owned(),
        });
        output.line(&format!("wrote {}", file.display()));
    }
    Ok(0)
}

async fn add(options: &AddOptions, global: &GlobalOptions, output: &Output) -> Done {
    let reference = reference(&options.reference)?;
    let config = configuration(global)?;
    let name = options.name.as_deref().unwrap_or_else(|| reference.name());
    named(name)?;
    let mut lock = read_lock(&config)?;
    let folder = &config.host.plugins;
    let file = folder.join(format!("{name}.wasm"));
    let registry = options_of(&options.registry, Some(&config));
    let pulled = fetch(&reference, &registry, output).await?;
    let inspection = inspected(&pulled.reference.to_string(), &pulled.bytes)?;
    // Who names a key wants one of these, whomever the configuration trusts.
    let trusted = if options.key.is_empty() {
        config.supply.trusted.clone()
    } else {
        keys(&options.key)?
    };
    let (signature, verdict) = best(&pulled, &trusted);
    let asked_for = config.supply.require.signature() || !options.key.is_empty();
    if asked_for && let Some(denied) = unproven(name, &verdict) {
        return Err(CliError::input(format!("{}: {denied}", denied.reason))
            .with_hint("nothing was written"));
    }
    let signed_by = match verdict {
        Verdict::Trusted { name } => Some(name),
        Verdict::Unsigned | Verdict::Untrusted { .. } | Verdict::Bad { .. } => None,
    };
    let before = if file.exists() {
        Some(read(&file)?)
    } else {
        None
    };
    let difference = before
        .as_deref()
        .map(|before| Difference::of(before, &inspection));
    let other = difference
        .as_ref()
        .is_some_and(|difference| difference.from != inspection.digest);
    let keeps = other && !options.replace;
    if !keeps {
        std::fs::create_dir_all(folder).map_err(|error| {
            CliError::failed(format!("cannot make `{}`: {error}", folder.display()))
        })?;
        let entry = Entry {
            digest: inspection.digest.clone(),
            size: inspection.size_bytes,
            source: format!("oci:{}", pulled.reference),
        };
        lock.put(name, entry);
        // A host that requires the lock refuses whichever of the two is there without the other, so the order decides nothing but how long.
        place(&file, &pulled.bytes, signature)?;
        write_lock(&config, &lock)?;
    }
    if output.is_json() {
        output.value(&json!({
            "name": name,
            "reference": pulled.reference.to_string(),
            "digest": inspection.digest,
            "signed_by": signed_by,
            "added": !keeps,
            "difference": difference.as_ref().filter(|_| other).map(Difference::value),
            "inspection": inspection,
        }));
    } else {
        let shown = serde_json::to_value(&inspection).unwrap_or_default();
        show(&shown, output);
        output.line(&format!("{:12} {}", "from", pulled.reference));
        output.line(&format!(
            "{:12} {}",
            "signed by",
            signed_by
                .as_deref()
                .unwrap_or("nobody that is trusted here")
        ));
        if let Some(difference) = difference.as_ref().filter(|_| other) {
            difference.show(&inspection.digest, output);
        }
        if !keeps {
            output.line(&format!("wrote {}", file.display()));
        }
    }
    if keeps {
        output.note(&format!(
            "`{}` is another component and stays; `--replace` replaces it",
            file.display()
        ));
        return Ok(EXIT_FAILED);
    }
    Ok(0)
}

/// What a plugin in the folder may be called.
fn named(name: &str) -> Result<(), CliError> {
    let well_formed = name.len() <= super::NAME_MAX
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-".contains(c));
    if well_formed {
        return Ok(());
    }
    Err(
        CliError::input(format!("`{name}` is no name for a plugin")).with_hint(
            "choose one with `--as`: a small letter, then small letters, digits, `.`, `_` and `-`, at most 63 characters",
        ),
    )
}

/// How a component differs from the one that was there.
struct Difference {
    /// The other's digest.
    from: String,
    /// The other's version, if it says so.
    version: Option<String>,
    /// Imports that the other had not.
    imports: Vec<String>,
    /// Wanted grants that the other did not want.
    wants: Vec<String>,
}

impl Difference {
    fn of(before: &[u8], now: &Inspection) -> Self {
        // A file that is no component had nothing.
        let was = inspect(before).ok();
        let imported: BTreeSet<&str> = was
            .iter()
            .flat_map(|was| was.imports.iter().map(String::as_str))
            .collect();
        let wanted: BTreeSet<String> = was.iter().flat_map(wants).collect();
        Self {
            from: digest(before),
            version: was.as_ref().and_then(|was| was.version.clone()),
            imports: now
                .imports
                .iter()
                .filter(|import| !imported.contains(import.as_str()))
                .cloned()
                .collect(),
            wants: wants(now)
                .into_iter()
                .filter(|want| !wanted.contains(want))
                .collect(),
        }
    }

    fn value(&self) -> Value {
        json!({
            "from": self.from,
            "from_version": self.version,
            "new_imports": self.imports,
            "new_wants": self.wants,
        })
    }

    fn show(&self, to: &str, output: &Output) {
        let version = self.version.as_deref().unwrap_or("unknown version");
        output.line(&format!("{:12} {} ({version})", "was", self.from));
        output.line(&format!("{:12} {to}", "is"));
        for (title, lines) in [("new imports", &self.imports), ("new wants", &self.wants)] {
            if !lines.is_empty() {
                output.line(title);
            }
            for line in lines {
                output.line(&format!("  {line}"));
            }
        }
    }
}

/// What a plugin wants, a line for each grant.
fn wants(inspection: &Inspection) -> Vec<String> {
    let manifest = inspection.manifest.iter();
    manifest
        .flat_map(|manifest| &manifest.wants)
        .flat_map(|(kind, grants)| grants.iter().map(move |grant| format!("{kind}  {grant}")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::super::ColorChoice;
    use super::*;

    fn quiet() -> Output {
        Output::new(true, ColorChoice::Never)
    }

    fn component() -> Vec<u8> {
        wat::parse_str("(component)").expect("a component")
    }

    #[test]
    fn what_is_signed_is_verified_by_its_key_alone() {
        let place = tempfile::tempdir().expect("a directory");
        let at = |name: &str| place.path().join(name);
        let global = GlobalOptions {
            config: at("plugins.toml"),
            url: None,
            json: true,
            color: ColorChoice::Never,
        };
        std::fs::write(at("a.wasm"), component()).expect("writes");
        keygen(&at("key"), &quiet()).expect("makes");
        keygen(&at("other"), &quiet()).expect("makes");
        assert!(keygen(&at("key"), &quiet()).is_err());
        let check = |key: &str, expected: u8| {
            let code = verify(&at("a.wasm"), &[at(key)], &global, &quiet()).expect("reads");
            assert_eq!(code, expected, "{key}");
        };
        check("key.pub", 1);
        sign(&at("a.wasm"), &at("key"), &quiet()).expect("signs");
        check("key.pub", 0);
        check("other.pub", 1);
        let mut other = component();
        // A custom section without a name and content.
        other.extend([0, 1, 0]);
        std::fs::write(at("a.wasm"), other).expect("writes");
        check("key.pub", 1);
    }

    #[test]
    fn a_lock_follows_the_folder_when_it_is_told_to() {
        let place = tempfile::tempdir().expect("a directory");
        let at = |name: &str| place.path().join(name);
        let global = GlobalOptions {
            config: at("plugins.toml"),
            url: None,
            json: true,
            color: ColorChoice::Never,
        };
        std::fs::write(at("plugins.toml"), "[host]\nplugins = \"dist\"\n").expect("writes");
        std::fs::create_dir(at("dist")).expect("makes");
        for name in ["dist/a.wasm", "dist/b.wasm"] {
            std::fs::write(at(name), component()).expect("writes");
        }
        let run = |names: &[&str], check: bool| {
            let options = LockOptions {
                names: names.iter().map(|name| (*name).to_owned()).collect(),
                check,
            };
            lock(&options, &global, &quiet())
        };
        let names = || -> Vec<String> {
            let lock = Lock::read(&at("plugins.lock")).expect("reads");
            lock.names().map(str::to_owned).collect()
        };
        assert_eq!(run(&[], true).expect("reads"), 1);
        assert!(!at("plugins.lock").exists());
        assert_eq!(run(&["a"], false).expect("writes"), 0);
        assert_eq!(names(), ["a"]);
        assert_eq!(run(&[], false).expect("writes"), 0);
        assert_eq!(run(&[], true).expect("reads"), 0);
        std::fs::remove_file(at("dist/a.wasm")).expect("removes");
        assert_eq!(run(&[], true).expect("reads"), 1);
        assert_eq!(run(&["a"], false).expect_err("is gone").exit_code(), 2);
        assert_eq!(run(&[], false).expect("writes"), 0);
        assert_eq!(names(), ["b"]);
    }
}
