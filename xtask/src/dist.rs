//! What is shipped: one tree of files, as an archive and as a package for Debian, with a list of what is in it and the digests of all of it.
//!
//! Invariants: only what git tracks and what was built goes in; every moment in the artefacts is the last commit's, every owner is root and every list is sorted, so that the same
//! commit, compiler and `dpkg-deb` make the same bytes; an artefact is put in place whole.

mod licences;
mod sbom;

use crate::build::{self, PLUGINS, target_directory};
use crate::run::say;
use crate::runners::INTERPRETERS;
use anyhow::{Context as _, bail, ensure};
use flate2::{Compression, write::GzEncoder};
use sbom::Sbom;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// Where the documents go.
const DOCUMENTS: &str = "usr/share/doc/infinity";

/// Folders of the repository, and where they go.
const FOLDERS: [(&str, &str); 4] = [
    ("deploy", "usr/share/infinity/deploy"),
    ("docs", "usr/share/doc/infinity/docs"),
    ("policies", "usr/share/infinity/policies"),
    ("wit", "usr/share/infinity/wit"),
];

/// Single files of the repository, and where they go.
const FILES: [(&str, &str); 7] = [
    ("ARCHITECTURE.md", "usr/share/doc/infinity/ARCHITECTURE.md"),
    ("CHANGELOG.md", "usr/share/doc/infinity/CHANGELOG.md"),
    ("LICENSE", "usr/share/doc/infinity/LICENSE"),
    ("README.md", "usr/share/doc/infinity/README.md"),
    (
        "deploy/debian/copyright",
        "usr/share/doc/infinity/copyright",
    ),
    ("deploy/plugins.toml", CONFIGURATION),
    (
        "deploy/systemd/infinity.service",
        "usr/lib/systemd/system/infinity.service",
    ),
];

/// The one file that belongs to whoever runs the host, and so is in no list of digests.
const CONFIGURATION: &str = "etc/infinity/plugins.toml";

/// Shells, and where each looks for completions.
const COMPLETIONS: [(&str, &str); 3] = [
    ("bash", "usr/share/bash-completion/completions/infinity"),
    ("fish", "usr/share/fish/vendor_completions.d/infinity.fish"),
    ("zsh", "usr/share/zsh/vendor-completions/_infinity"),
];

/// What dpkg runs and reads, as in `deploy/debian`; the scripts are executable.
const CONTROL: [(&str, u32); 4] = [
    ("conffiles", 0o644),
    ("postinst", 0o755),
    ("postrm", 0o755),
    ("prerm", 0o755),
];

/// A package that every dpkg since 1.21.18 opens: Debian 12, Ubuntu 22.04. Older systems lack the C library that the program needs, too. At level 10 it is as small as with xz, in
/// half the time; one thread, as more make other bytes.
const COMPRESSION: [&str; 3] = ["-Zzstd", "-z10", "--threads-max=1"];

/// One file of the tree.
struct Shipped {
    bytes: Vec<u8>,
    mode: u32,
}

/// The files by their paths below the root, without a slash in front.
type Tree = BTreeMap<String, Shipped>;

/// When the last commit was made.
struct Moment {
    /// Seconds since 1970.
    seconds: u64,
    /// RFC 3339, in UTC.
    text: String,
}

/// Builds everything unless told not to, and makes all artefacts.
pub(crate) fn run(root: &Path, arguments: &[String]) -> anyhow::Result<ExitCode> {
    let mut as_json = false;
    let mut builds = true;
    for argument in arguments {
        match argument.as_str() {
            "--json" => as_json = true,
            "--no-build" => builds = false,
            other => bail!("`{other}` is not an option of `dist`: expected `--json`, `--no-build`"),
        }
    }
    if builds {
        build::all(root)?;
    }
    let binary = build::binary(root);
    let components = components(root)?;
    let moment = moment(root)?;
    say("listing what is in it");
    let sbom = Sbom::read(root)?;
    let version = sbom.version().to_owned();
    let mut digests = BTreeMap::from([("infinity-host".to_owned(), sha256(&read(&binary)?))]);
    for (name, bytes) in &components {
        digests.insert(name.clone(), sha256(bytes));
    }
    let list = sbom.document(&moment.text, &digests)?;
    let mut tree = tree(root, &binary, components)?;
    add(
        &mut tree,
        &format!("{DOCUMENTS}/infinity.cdx.json"),
        list.clone(),
    );
    add(
        &mut tree,
        &format!("{DOCUMENTS}/third-party-licences.txt"),
        licences::text(&sbom)?,
    );
    let sums = sums(&tree);
    add(&mut tree, &format!("{DOCUMENTS}/SHA256SUMS"), sums);

    let folder = target_directory(root).join("dist");
    // What an earlier version left would be taken for part of this one.
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;
    let architecture = std::env::consts::ARCH;
    let bill = folder.join(format!("infinity-{version}.cdx.json"));
    fs::write(&bill, list)?;
    say("packing the archive");
    let name = format!("infinity-{version}");
    let archive_file = folder.join(format!("{name}-{architecture}-linux.tar.gz"));
    archive(&tree, &name, moment.seconds, &archive_file)?;
    say("packing the package for Debian");
    let debian = debian_architecture(architecture)?;
    let package_file = folder.join(format!("infinity_{version}_{debian}.deb"));
    let control = control(root, &binary, &version, debian, &tree)?;
    package(root, &tree, &control, moment.seconds, &package_file)?;
    report(
        &folder,
        &version,
        as_json,
        [&archive_file, &package_file, &bill],
    )?;
    Ok(ExitCode::SUCCESS)
}

/// The shipped components, by the names of their files. Without an interpreter its language cannot be checked, and everything else works; in CI it has to be there.
fn components(root: &Path) -> anyhow::Result<BTreeMap<String, Vec<u8>>> {
    let folder = root.join("plugins/dist");
    let mut components = BTreeMap::new();
    for name in PLUGINS {
        components.insert(name.to_owned(), read(&folder.join(format!("{name}.wasm")))?);
    }
    for name in INTERPRETERS {
        let file = folder.join(format!("{name}.wasm"));
        if file.exists() || std::env::var_os("CI").is_some() {
            components.insert(name.to_owned(), read(&file)?);
        } else {
            say(&format!(
                "there is no `{}`: what is shipped cannot check that language",
                file.display()
            ));
        }
    }
    Ok(components)
}

fn read(file: &Path) -> anyhow::Result<Vec<u8>> {
    fs::read(file).with_context(|| {
        format!(
            "`{}` cannot be read; `cargo xtask build` makes what is shipped",
            file.display()
        )
    })
}

fn add(tree: &mut Tree, path: &str, bytes: Vec<u8>) {
    tree.insert(path.to_owned(), Shipped { bytes, mode: 0o644 });
}

/// Every file that is installed, save the lists about them.
fn tree(root: &Path, binary: &Path, components: BTreeMap<String, Vec<u8>>) -> anyhow::Result<Tree> {
    let mut tree = Tree::new();
    let program = Shipped {
        bytes: read(binary)?,
        mode: 0o755,
    };
    tree.insert("usr/bin/infinity".to_owned(), program);
    for (name, bytes) in components {
        add(
            &mut tree,
            &format!("usr/lib/infinity/plugins/{name}.wasm"),
            bytes,
        );
    }
    for (from, to) in FILES {
        add(&mut tree, to, read(&root.join(from))?);
    }
    add(
        &mut tree,
        "usr/lib/sysusers.d/infinity.conf",
        read(&root.join("deploy/systemd/infinity.sysusers"))?,
    );
    for (folder, place) in FOLDERS {
        for path in tracked(root, folder)? {
            let bytes = read(&root.join(&path))?;
            let below = path.strip_prefix(folder).unwrap_or(&path);
            add(&mut tree, &format!("{place}{below}"), bytes);
        }
    }
    for (shell, place) in COMPLETIONS {
        let said = Command::new(binary)
            .args(["completions", shell])
            .output()
            .with_context(|| format!("`{}` cannot be started", binary.display()))?;
        ensure!(
            said.status.success(),
            "`infinity completions {shell}` failed"
        );
        add(&mut tree, place, said.stdout);
    }
    Ok(tree)
}

/// The files below a folder that git tracks, by their paths from the root.
fn tracked(root: &Path, folder: &str) -> anyhow::Result<Vec<String>> {
    let listed = git(root, &["ls-files", "-z", "--", folder])?;
    let paths: Vec<String> = listed
        .split('\0')
        .filter(|path| !path.is_empty())
        .map(str::to_owned)
        .collect();
    ensure!(!paths.is_empty(), "git tracks nothing below `{folder}`");
    Ok(paths)
}

fn git(root: &Path, arguments: &[&str]) -> anyhow::Result<String> {
    let said = Command::new("git")
        .current_dir(root)
        .env("TZ", "UTC")
        .args(arguments)
        .output()
        .context("`git` cannot be started")?;
    ensure!(
        said.status.success(),
        "`git {}` failed: {}",
        arguments.join(" "),
        String::from_utf8_lossy(&said.stderr).trim()
    );
    Ok(String::from_utf8(said.stdout)?)
}

fn moment(root: &Path) -> anyhow::Result<Moment> {
    let format = ["--format=%ct %cd", "--date=format-local:%Y-%m-%dT%H:%M:%SZ"];
    let said = git(root, &["log", "-1", format[0], format[1]])?;
    let (seconds, text) = said
        .trim()
        .split_once(' ')
        .context("`git log` says no moment")?;
    Ok(Moment {
        seconds: seconds.parse()?,
        text: text.to_owned(),
    })
}

fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// What `sha256sum --check` reads in the root folder.
fn sums(tree: &Tree) -> Vec<u8> {
    let mut text = String::new();
    for (path, shipped) in tree.iter().filter(|(path, _)| *path != CONFIGURATION) {
        let _ = writeln!(text, "{}  {path}", sha256(&shipped.bytes));
    }
    text.into_bytes()
}

/// All folders that the files are in, outermost first.
fn folders(tree: &Tree) -> BTreeSet<&str> {
    tree.keys()
        .flat_map(|path| path.match_indices('/').map(|(end, _)| &path[..end]))
        .collect()
}

/// Writes the archive: folders first, then files, all below one folder with the version in its name.
fn archive(tree: &Tree, name: &str, seconds: u64, file: &Path) -> anyhow::Result<()> {
    // The head of a gzip file has a moment and a name, which are left empty.
    let encoder = GzEncoder::new(fs::File::create(file)?, Compression::default());
    let mut archive = tar::Builder::new(encoder);
    let header = |kind: tar::EntryType, mode: u32| -> anyhow::Result<tar::Header> {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_mtime(seconds);
        header.set_uid(0);
        header.set_gid(0);
        header.set_username("root")?;
        header.set_groupname("root")?;
        header.set_size(0);
        Ok(header)
    };
    for folder in std::iter::once("").chain(folders(tree)) {
        let mut header = header(tar::EntryType::Directory, 0o755)?;
        let path = format!("{}/", format!("{name}/{folder}").trim_end_matches('/'));
        archive.append_data(&mut header, path, std::io::empty())?;
    }
    for (path, shipped) in tree {
        let mut header = header(tar::EntryType::Regular, shipped.mode)?;
        header.set_size(u64::try_from(shipped.bytes.len())?);
        archive.append_data(&mut header, format!("{name}/{path}"), &shipped.bytes[..])?;
    }
    archive.into_inner()?.finish()?.sync_all()?;
    Ok(())
}

/// Debian's word for the machine.
fn debian_architecture(architecture: &str) -> anyhow::Result<&'static str> {
    match architecture {
        "x86_64" => Ok("amd64"),
        "aarch64" => Ok("arm64"),
        other => bail!("Debian's name for `{other}` is not known here: add it to `dist.rs`"),
    }
}

/// The package's description, with what it depends on.
fn control(
    root: &Path,
    binary: &Path,
    version: &str,
    architecture: &str,
    tree: &Tree,
) -> anyhow::Result<String> {
    let text = fs::read_to_string(root.join("deploy/debian/control"))?;
    let kib: usize = tree
        .values()
        .map(|shipped| shipped.bytes.len().div_ceil(1024))
        .sum();
    Ok(text
        .replace("@VERSION@", version)
        .replace("@ARCHITECTURE@", architecture)
        .replace("@INSTALLED_KIB@", &kib.to_string())
        .replace("@LIBRARIES@", &libraries(binary)?))
}

/// The packages of the libraries that a program is linked with, as `Depends` names them.
fn libraries(binary: &Path) -> anyhow::Result<String> {
    let said = Command::new("readelf")
        .env("LC_ALL", "C")
        .args(["--wide", "--dynamic", "--version-info"])
        .arg(binary)
        .output()
        .context(
            "`readelf` cannot be started; it comes with the linker, in the package binutils",
        )?;
    ensure!(said.status.success(), "`readelf` cannot read the program");
    depends(&String::from_utf8_lossy(&said.stdout))
}

fn depends(elf: &str) -> anyhow::Result<String> {
    let mut packages = BTreeSet::new();
    for library in elf
        .split("Shared library: [")
        .skip(1)
        .filter_map(|rest| rest.split(']').next())
    {
        packages.insert(match library {
            "libc.so.6"
            | "libm.so.6"
            | "libdl.so.2"
            | "libpthread.so.0"
            | "librt.so.1"
            | "ld-linux-x86-64.so.2"
            | "ld-linux-aarch64.so.1" => "libc6",
            "libgcc_s.so.1" => "libgcc-s1",
            other => bail!("the program needs `{other}`: name its package in `dist.rs`"),
        });
    }
    let newest = elf
        .split("GLIBC_")
        .skip(1)
        .filter_map(|rest| {
            let end = rest.find(|letter: char| !letter.is_ascii_digit() && letter != '.')?;
            let parts: Vec<u32> = rest[..end]
                .split('.')
                .filter_map(|part| part.parse().ok())
                .collect();
            (parts.len() > 1).then_some(parts)
        })
        .max()
        .context("the program does not say which C library it needs")?;
    let newest: Vec<String> = newest.iter().map(u32::to_string).collect();
    let named: Vec<String> = packages
        .into_iter()
        .map(|package| match package {
            "libc6" => format!("libc6 (>= {})", newest.join(".")),
            other => other.to_owned(),
        })
        .collect();
    Ok(named.join(", "))
}

/// Writes the package with `dpkg-deb`.
fn package(
    root: &Path,
    tree: &Tree,
    control: &str,
    seconds: u64,
    file: &Path,
) -> anyhow::Result<()> {
    let stage = file.with_extension("stage");
    let put = |path: PathBuf, bytes: &[u8], mode: u32| -> anyhow::Result<()> {
        fs::write(&path, bytes)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(mode))?;
        Ok(())
    };
    let description = stage.join("DEBIAN");
    fs::create_dir_all(&description)?;
    for folder in folders(tree) {
        fs::create_dir_all(stage.join(folder))?;
    }
    for folder in folders(tree).into_iter().chain(["", "DEBIAN"]) {
        // Whatever mask whoever builds has.
        fs::set_permissions(stage.join(folder), fs::Permissions::from_mode(0o755))?;
    }
    for (path, shipped) in tree {
        put(stage.join(path), &shipped.bytes, shipped.mode)?;
    }
    put(description.join("control"), control.as_bytes(), 0o644)?;
    for (name, mode) in CONTROL {
        let bytes = read(&root.join("deploy/debian").join(name))?;
        put(description.join(name), &bytes, mode)?;
    }
    let said = Command::new("dpkg-deb")
        .env("SOURCE_DATE_EPOCH", seconds.to_string())
        .arg("--root-owner-group")
        .args(COMPRESSION)
        .arg("--build")
        .args([&stage, file])
        .output()
        .context("`dpkg-deb` cannot be started: install the package dpkg")?;
    ensure!(
        said.status.success(),
        "`dpkg-deb` failed: {}",
        String::from_utf8_lossy(&said.stderr).trim()
    );
    fs::remove_dir_all(&stage)?;
    Ok(())
}

/// Writes `SHA256SUMS` and says what there is now, to people or to programs.
fn report(folder: &Path, version: &str, as_json: bool, files: [&PathBuf; 3]) -> anyhow::Result<()> {
    let mut sums = String::new();
    let mut artefacts = Vec::new();
    let mut lines = String::new();
    for file in files {
        let bytes = fs::read(file)?;
        let name = file
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default();
        let digest = sha256(&bytes);
        let _ = writeln!(sums, "{digest}  {name}");
        let _ = writeln!(
            lines,
            "{}  {} bytes  sha256:{digest}",
            file.display(),
            bytes.len()
        );
        artefacts.push(json!({ "file": name, "bytes": bytes.len(), "sha256": digest }));
    }
    fs::write(folder.join("SHA256SUMS"), sums)?;
    let text = if as_json {
        let value: Value = json!({ "version": version, "folder": folder, "artefacts": artefacts });
        format!("{value}\n")
    } else {
        lines
    };
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_symbol_decides_which_c_library_is_needed() {
        let elf = "
 0x1 (NEEDED)  Shared library: [libgcc_s.so.1]
 0x1 (NEEDED)  Shared library: [libm.so.6]
 0x1 (NEEDED)  Shared library: [libc.so.6]
  0x0010:   Name: GLIBC_2.2.5  Flags: none  Version: 9
  0x0020:   Name: GLIBC_2.34  Flags: none  Version: 3
  0x0030:   Name: GLIBC_2.4  Flags: none  Version: 4
";
        assert_eq!(depends(elf).unwrap(), "libc6 (>= 2.34), libgcc-s1");
        let further = elf.replace("libm.so.6", "libssl.so.3");
        assert!(depends(&further).is_err());
    }

    #[test]
    fn every_folder_of_a_file_is_made_before_what_is_in_it() {
        let mut tree = Tree::new();
        add(&mut tree, "usr/share/doc/a", Vec::new());
        add(&mut tree, "usr/bin/b", Vec::new());
        let folders: Vec<&str> = folders(&tree).into_iter().collect();
        assert_eq!(folders, ["usr", "usr/bin", "usr/share", "usr/share/doc"]);
    }
}
