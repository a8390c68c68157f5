//! What is shipped: that the archive, the package and the list of what is in them say the same and are made the same way twice; and that a Debian with the package installed runs
//! agents, and without it is as before.

use anyhow::{Context as _, ensure};
use infinity_tests::host::{PATIENCE, binary, language, program, root};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long the first start may take: every plugin is compiled before the host listens, CPython's for half a minute alone.
const FIRST_START: Duration = Duration::from_secs(300);

/// Files that the tools of Debian write beside those of a package.
const NOT_THE_PACKAGES: [&str; 8] = [
    "/etc/.pwd.lock",
    "/etc/group-",
    "/etc/gshadow-",
    "/etc/passwd-",
    "/etc/shadow-",
    "/var/cache/",
    "/var/lib/dpkg/",
    "/var/log/",
];

/// The artefacts, made twice: what the second time printed.
static MADE: LazyLock<Option<Value>> = LazyLock::new(|| {
    if !is_there("dpkg-deb") {
        skipped("`dpkg-deb` is missing: install the package dpkg");
        return None;
    }
    // Whoever builds may have any mask, time zone and language.
    let first = dist("umask 077; export TZ=Asia/Tokyo LC_ALL=C").expect("artefacts");
    let second = dist("umask 022; export TZ=America/Lima").expect("artefacts");
    assert_eq!(first, second, "not the same bytes twice");
    Some(second)
});

/// Says what was not tested.
///
/// # Panics
/// In CI, where everything has to be there.
#[expect(
    clippy::print_stderr,
    reason = "whoever reads the output should know what was not tested"
)]
fn skipped(why: &str) {
    assert!(std::env::var_os("CI").is_none(), "{why}");
    eprintln!("skipped: {why}");
}

fn is_there(program: &str) -> bool {
    Command::new(program)
        .arg("--version")
        .output()
        .is_ok_and(|said| said.status.success())
}

/// Runs a program, and gives what it printed.
fn said(command: &mut Command) -> anyhow::Result<String> {
    let output = command.output().with_context(|| format!("{command:?}"))?;
    let out = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(
        output.status.success(),
        "{command:?}: {}\n{out}{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(out)
}

fn dist(before: &str) -> anyhow::Result<Value> {
    let mut command = Command::new("sh");
    command
        .args([
            "-c",
            &format!("{before}; exec \"$0\" dist --no-build --json"),
        ])
        .arg(program("xtask"))
        .env("CARGO_MANIFEST_DIR", root().join("xtask"));
    Ok(serde_json::from_str(&said(&mut command)?)?)
}

/// The artefact whose name ends like this.
fn artefact(made: &Value, end: &str) -> anyhow::Result<PathBuf> {
    let names = made["artefacts"].as_array().into_iter().flatten();
    let name = names
        .filter_map(|artefact| artefact["file"].as_str())
        .find(|name| name.ends_with(end))
        .with_context(|| format!("no `{end}` in {made}"))?;
    Ok(Path::new(made["folder"].as_str().context("a folder")?).join(name))
}

/// All artefacts taken apart: the folders of the archive and of the package.
fn unpacked(made: &Value) -> anyhow::Result<(TempDir, PathBuf, PathBuf)> {
    let directory = TempDir::new()?;
    let place = directory.path();
    said(
        Command::new("tar")
            .args(["--extract", "--file"])
            .arg(artefact(made, ".tar.gz")?)
            .arg("--directory")
            .arg(place),
    )?;
    let version = made["version"].as_str().context("a version")?;
    let archive = place.join(format!("infinity-{version}"));
    let package = place.join("package");
    said(
        Command::new("dpkg-deb")
            .arg("--extract")
            .arg(artefact(made, ".deb")?)
            .arg(&package),
    )?;
    Ok((directory, archive, package))
}

/// The SHA-256 digests in a list, by paths.
fn digests(list: &Path) -> anyhow::Result<BTreeMap<String, String>> {
    Ok(fs::read_to_string(list)?
        .lines()
        .filter_map(|line| line.split_once("  "))
        .map(|(digest, path)| (path.to_owned(), digest.to_owned()))
        .collect())
}

#[test]
fn archive_and_package_hold_the_same_files_with_their_digests() -> anyhow::Result<()> {
    let Some(made) = &*MADE else { return Ok(()) };
    let folder = Path::new(made["folder"].as_str().context("a folder")?);
    let check = |folder: &Path, list: &str| {
        said(
            Command::new("sha256sum")
                .current_dir(folder)
                .args(["--check", "--strict", "--quiet", list]),
        )
    };
    check(folder, "SHA256SUMS")?;
    for artefact in made["artefacts"].as_array().into_iter().flatten() {
        let listed = digests(&folder.join("SHA256SUMS"))?;
        let name = artefact["file"].as_str().unwrap_or_default();
        assert_eq!(
            Some(name),
            listed.keys().map(String::as_str).find(|key| *key == name)
        );
        assert_eq!(artefact["sha256"], json!(listed[name]));
    }

    let (_directory, archive, package) = unpacked(made)?;
    said(
        Command::new("diff")
            .args(["--recursive", "--brief"])
            .args([&archive, &package]),
    )?;
    let list = "usr/share/doc/infinity/SHA256SUMS";
    check(&archive, list)?;
    let digests = digests(&archive.join(list))?;
    for path in [
        "usr/bin/infinity",
        "usr/lib/infinity/plugins/policy.wasm",
        "usr/lib/systemd/system/infinity.service",
        "usr/share/infinity/policies/effects/approvals.rego",
        "usr/share/infinity/wit/0.1.0/worlds.wit",
        "usr/share/bash-completion/completions/infinity",
        "usr/share/doc/infinity/copyright",
        "usr/share/doc/infinity/third-party-licences.txt",
    ] {
        assert!(digests.contains_key(path), "{path}");
    }
    assert_eq!(
        fs::read(archive.join("usr/bin/infinity"))?,
        fs::read(binary())?,
        "what is tested is what is shipped"
    );

    // Everything is root's, made at the moment of the commit, and writable by nobody else.
    let listed = said(
        Command::new("tar")
            .env("TZ", "UTC")
            .args(["--list", "--verbose", "--numeric-owner", "--full-time"])
            .arg("--file")
            .arg(artefact(made, ".tar.gz")?),
    )?;
    let mut moments = BTreeSet::new();
    for line in listed.lines() {
        let columns: Vec<&str> = line.split_whitespace().collect();
        assert!(
            ["drwxr-xr-x", "-rwxr-xr-x", "-rw-r--r--"].contains(&columns[0]),
            "{line}"
        );
        assert_eq!(columns[1], "0/0", "{line}");
        moments.insert(format!("{}T{}Z", columns[3], columns[4]));
    }
    let sbom: Value = serde_json::from_slice(&fs::read(artefact(made, ".cdx.json")?)?)?;
    let moments: Vec<String> = moments.into_iter().collect();
    assert_eq!(json!(moments), json!([sbom["metadata"]["timestamp"]]));
    Ok(())
}

#[test]
fn the_list_of_what_is_shipped_is_whole_and_fits_its_schema() -> anyhow::Result<()> {
    let Some(made) = &*MADE else { return Ok(()) };
    let sbom: Value = serde_json::from_slice(&fs::read(artefact(made, ".cdx.json")?)?)?;
    let main = &sbom["metadata"]["component"];
    let components = sbom["components"].as_array().context("components")?;
    let reference = |component: &Value| component["bom-ref"].as_str().map(str::to_owned);
    let listed = components.iter().chain([main]).filter_map(reference);
    let references: BTreeSet<String> = listed.collect();
    assert_eq!(references.len(), components.len() + 1, "each once");

    // Every edge leads to something listed, everything listed has its edges, and all is reached from the program.
    let mut edges: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for dependency in sbom["dependencies"].as_array().context("dependencies")? {
        let needs = dependency["dependsOn"].as_array().context("edges")?;
        edges.insert(
            dependency["ref"].as_str().context("a reference")?,
            needs.iter().filter_map(Value::as_str).collect(),
        );
    }
    let mut reached = BTreeSet::new();
    let mut open = vec![main["bom-ref"].as_str().context("a reference")?];
    while let Some(next) = open.pop() {
        if reached.insert(next.to_owned()) {
            open.extend(edges.get(next).with_context(|| next.to_owned())?);
        }
    }
    assert_eq!(reached, references);

    let of = |name: &str| {
        let mut found = components
            .iter()
            .filter(|component| component["name"] == name);
        found.next().with_context(|| format!("no `{name}`"))
    };
    for (name, scope) in [
        ("wasmtime", "required"),
        ("libsqlite3-sys", "required"),
        ("rustls", "required"),
        ("regorus", "required"),
        ("serde_derive", "excluded"),
        ("cc", "excluded"),
    ] {
        let component = of(name)?;
        assert_eq!(component["scope"], scope, "{name}");
        assert_eq!(component["hashes"][0]["alg"], "SHA-256", "{name}");
        assert!(component["licenses"][0]["expression"].is_string(), "{name}");
        assert!(
            component["purl"]
                .as_str()
                .is_some_and(|purl| purl.starts_with(&format!("pkg:cargo/{name}@"))),
            "{name}"
        );
    }
    assert!(of("proptest").is_err(), "what only tests is not shipped");

    // The digests are those of the files.
    let (_directory, archive, _package) = unpacked(made)?;
    let digests = digests(&archive.join("usr/share/doc/infinity/SHA256SUMS"))?;
    assert_eq!(
        main["hashes"][0]["content"],
        json!(digests["usr/bin/infinity"])
    );
    let plugins = "usr/lib/infinity/plugins/";
    for (path, digest) in digests.iter().filter(|(path, _)| path.starts_with(plugins)) {
        let name = path.trim_start_matches(plugins).trim_end_matches(".wasm");
        assert_eq!(of(name)?["hashes"][0]["content"], json!(digest), "{name}");
    }

    let Some(place) = language("cyclonedx") else {
        return Ok(());
    };
    let schemas = place.join("node_modules/@cyclonedx/cyclonedx-library/res/schema");
    let read = |name: &str| -> anyhow::Result<Value> {
        let file = schemas.join(format!("{name}.SNAPSHOT.schema.json"));
        Ok(serde_json::from_slice(&fs::read(file)?)?)
    };
    // The schema names its neighbours by their ids: inside of it they are found without a network.
    let mut schema = read("bom-1.6")?;
    for neighbour in ["spdx", "jsf-0.82"] {
        let mut inner = read(neighbour)?;
        inner["$id"] = json!(format!("{neighbour}.SNAPSHOT.schema.json"));
        schema["definitions"][neighbour] = inner;
    }
    let validator = jsonschema::validator_for(&schema).context("the schema")?;
    let mistakes: Vec<String> = validator
        .iter_errors(&sbom)
        .take(5)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(mistakes.is_empty(), "{mistakes:#?}");
    Ok(())
}

#[test]
fn systemd_reads_the_units_and_finds_them_closed() -> anyhow::Result<()> {
    let Some(made) = &*MADE else { return Ok(()) };
    if !is_there("systemd-analyze") {
        skipped("`systemd-analyze` is missing: install the package systemd");
        return Ok(());
    }
    let (_directory, _archive, package) = unpacked(made)?;
    // `systemd-analyze` looks for the programs that the units start, and for the units that those want.
    fs::create_dir_all(package.join("bin"))?;
    for other in ["bin/sh", "usr/bin/find"] {
        fs::write(package.join(other), "")?;
        fs::set_permissions(package.join(other), fs::Permissions::from_mode(0o755))?;
    }
    let units = package.join("usr/lib/systemd/system");
    for target in [
        "network-online",
        "sysinit",
        "basic",
        "shutdown",
        "timers",
        "time-set",
        "time-sync",
    ] {
        fs::write(units.join(format!("{target}.target")), "[Unit]\n")?;
    }
    {
        let unit = "infinity.service";
        let mut verify = Command::new("systemd-analyze");
        verify
            .args(["verify", "--man=no", "--recursive-errors=no"])
            .arg(format!("--root={}", package.display()))
            .arg(unit);
        said(&mut verify)?;
    }
    // Exposure from 0 to 100: what needs the network and compiles code cannot be far below.
    {
        let unit = "infinity.service";
        let mut judge = Command::new("systemd-analyze");
        judge
            .args(["security", "--offline=yes", "--threshold=20", "--no-pager"])
            .arg(format!("--root={}", package.display()))
            .arg(unit);
        said(&mut judge)?;
    }
    Ok(())
}

/// A copy of the Debian that `cargo xtask test` makes.
struct Debian {
    directory: TempDir,
    has_processes: bool,
}

impl Debian {
    /// None where there is none, which is said.
    fn new() -> anyhow::Result<Option<Self>> {
        let target = binary();
        let target = target.ancestors().nth(2).context("the target directory")?;
        let place = target.join("debian");
        if !place.join("made").is_file() || !rustix::process::geteuid().is_root() {
            skipped(
                "there is no Debian to install the package in: as root, install debootstrap and run `cargo xtask test`",
            );
            return Ok(None);
        }
        // Beside the original: a folder for temporary files may refuse devices.
        let directory = tempfile::Builder::new()
            .prefix("installed-")
            .tempdir_in(&place)?;
        said(
            Command::new("cp")
                .args(["--archive", "--reflink=auto", "--no-target-directory"])
                .args([place.join("root"), directory.path().join("root")]),
        )?;
        let mut debian = Self {
            directory,
            has_processes: false,
        };
        // The host finds its own program by way of /proc.
        debian.has_processes = Command::new("mount")
            .args(["-t", "proc", "proc"])
            .arg(debian.path("/proc"))
            .output()
            .is_ok_and(|mounted| mounted.status.success());
        Ok(Some(debian))
    }

    /// Where a path in it is on this machine.
    fn path(&self, path: &str) -> PathBuf {
        let root = self.directory.path().join("root");
        root.join(path.trim_start_matches('/'))
    }

    /// A program in it, as root or as somebody.
    fn command(&self, user: Option<&str>, arguments: &[&str]) -> Command {
        let mut command = Command::new("chroot");
        command.args(user.map(|user| format!("--userspec={user}:{user}")));
        command
            .arg(self.path("/"))
            .args(arguments)
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("DEBIAN_FRONTEND", "noninteractive")
            .stdin(Stdio::null());
        command
    }

    fn run(&self, arguments: &[&str]) -> anyhow::Result<String> {
        said(&mut self.command(None, arguments))
    }

    /// What the program answers there, as the user that the package makes: files that root made in the state folder would be in the host's way.
    fn json(&self, arguments: &[&str]) -> anyhow::Result<Value> {
        let arguments = [&["infinity", "--json"], arguments].concat();
        let out = said(&mut self.command(Some("infinity"), &arguments))?;
        Ok(serde_json::from_str(&out)?)
    }

    /// Every path in it.
    fn paths(&self) -> anyhow::Result<BTreeSet<String>> {
        let found = self.run(&["find", "/", "-xdev"])?;
        let is_the_packages =
            |path: &&str| !NOT_THE_PACKAGES.iter().any(|other| path.starts_with(other));
        Ok(found
            .lines()
            .filter(is_the_packages)
            .map(str::to_owned)
            .collect())
    }
}

impl Drop for Debian {
    fn drop(&mut self) {
        if self.has_processes {
            let _ = Command::new("umount").arg(self.path("/proc")).output();
        }
    }
}

/// Ends a host that a failed test leaves.
struct Served(Child);

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn is_ready(debian: &Debian) -> bool {
    let Ok(address) = fs::read_to_string(debian.path("/var/lib/infinity/state/address")) else {
        return false;
    };
    reqwest::blocking::get(format!("http://{}/ready", address.trim()))
        .is_ok_and(|answer| answer.status().is_success())
}

/// Serves as the unit does, runs agents, backs up and stops.
fn serves(debian: &Debian, log: &Path) -> anyhow::Result<()> {
    let user = Some("infinity");
    let mut serve = debian.command(user, &["infinity", "serve"]);
    // Every machine has a port of its own, and here are other hosts.
    serve.env("PORT", "0").stderr(fs::File::create(log)?);
    let mut host = Served(serve.spawn()?);
    let began = Instant::now();
    while !is_ready(debian) {
        let ended = host.0.try_wait()?;
        let log = || fs::read_to_string(log).unwrap_or_default();
        ensure!(ended.is_none(), "the host ended: {}", log());
        ensure!(began.elapsed() < FIRST_START, "not ready: {}", log());
        std::thread::sleep(Duration::from_millis(100));
    }
    let mode = fs::metadata(debian.path("/var/lib/infinity"))?;
    assert_eq!(mode.permissions().mode() & 0o777, 0o700);
    for agent in ["badge", "validation", "policy"] {
        let run = debian.json(&["run", agent])?;
        assert_eq!(run["run"]["outcome"], "succeeded", "{run}");
    }
    // What could not run would be listed with its problem.
    let agents = debian.json(&["agents"])?;
    for agent in agents["items"].as_array().context("agents")? {
        assert!(
            agent["enabled"] == false || agent["problem"].is_null(),
            "{agent}"
        );
    }
    said(&mut debian.command(user, &["infinity", "backup", "create"]))?;
    said(&mut debian.command(user, &["infinity", "backup", "drill"]))?;

    let pid = rustix::process::Pid::from_child(&host.0);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM)?;
    let began = Instant::now();
    let status = loop {
        if let Some(status) = host.0.try_wait()? {
            break status;
        }
        ensure!(began.elapsed() < PATIENCE, "the host does not stop");
        std::thread::sleep(Duration::from_millis(50));
    };
    assert_eq!(status.code(), Some(0), "{}", fs::read_to_string(log)?);
    Ok(())
}

#[test]
fn a_debian_with_the_package_runs_agents_and_without_it_is_as_before() -> anyhow::Result<()> {
    let Some(made) = &*MADE else { return Ok(()) };
    let Some(debian) = Debian::new()? else {
        return Ok(());
    };
    let before = debian.paths()?;
    fs::copy(artefact(made, ".deb")?, debian.path("/tmp/infinity.deb"))?;
    // Without a network: what it depends on is there, or this fails.
    debian.run(&["dpkg", "--install", "/tmp/infinity.deb"])?;
    let version = made["version"].as_str().context("a version")?;
    assert_eq!(
        debian.run(&["infinity", "--version"])?.trim(),
        format!("infinity {version}")
    );
    let checked = debian.run(&["infinity", "config", "check"])?;
    assert!(
        checked.starts_with("/etc/infinity/plugins.toml: no mistakes"),
        "{checked}"
    );
    let user = debian.run(&["getent", "passwd", "infinity"])?;
    assert!(
        user.contains(":/var/lib/infinity:/usr/sbin/nologin"),
        "{user}"
    );
    if debian.has_processes {
        serves(&debian, &debian.directory.path().join("log"))?;
    } else {
        skipped("/proc cannot be mounted here, so the installed host is not started");
    }

    // Installing again, as an upgrade does, leaves the configuration and the state.
    let configuration = debian.path("/etc/infinity/plugins.toml");
    let mine = fs::read_to_string(&configuration)? + "# mine\n";
    fs::write(&configuration, &mine)?;
    debian.run(&["dpkg", "--install", "/tmp/infinity.deb"])?;
    assert_eq!(fs::read_to_string(&configuration)?, mine);
    if debian.has_processes {
        let runs = debian.json(&["runs"])?;
        let runs = runs["items"].as_array().context("runs")?;
        // Those that were due at the start are there, too.
        let asked_for = runs.iter().filter(|run| run["trigger"] == "manual");
        assert_eq!(asked_for.count(), 3, "{runs:?}");
    }
    debian.run(&["dpkg", "--remove", "infinity"])?;
    assert!(!debian.path("/usr/bin/infinity").exists());
    assert!(debian.path("/var/lib/infinity").exists());
    assert_eq!(fs::read_to_string(&configuration)?, mine);

    debian.run(&["dpkg", "--purge", "infinity"])?;
    let backups = debian.path("/var/lib/infinity-backups");
    if backups.exists() {
        assert!(
            fs::read_dir(&backups)?.next().is_some(),
            "backups outlive the package"
        );
        fs::remove_dir_all(backups)?;
    }
    fs::remove_file(debian.path("/tmp/infinity.deb"))?;
    let after = debian.paths()?;
    let left: Vec<&String> = after.difference(&before).collect();
    let gone: Vec<&String> = before.difference(&after).collect();
    assert!(
        left.is_empty() && gone.is_empty(),
        "left {left:?}, gone {gone:?}"
    );
    assert!(debian.run(&["getent", "passwd", "infinity"]).is_err());
    assert!(debian.run(&["getent", "group", "infinity"]).is_err());
    Ok(())
}
