//! Looks at the machine, the files and the services that a host needs, and says of each how it is and what to do. It changes nothing and needs no host.
//!
//! Invariants: what cannot be looked at is named, with the reason, and is never left out; every look has an end, and all of them together take [`ALL_MAX`] at most; nothing secret is in what it says.

pub mod advisories;
mod network;

use crate::config::{Config, KeySource};
use crate::sandbox::inspect::inspect;
use crate::store::{backups, keep, network_file_system, parcel, verify_tail};
use futures::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};
use rustix::process::{Resource, getrlimit};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// How long all looks together may take.
pub const ALL_MAX: Duration = Duration::from_secs(15);

/// How long one may take: a little less, so that what did not end is named.
const ONE_MAX: Duration = Duration::from_secs(12);

/// Free room below which there is a warning, and below which nothing can be relied on, in bytes.
const ROOM_WARN: u64 = 2 << 30;
const ROOM_FAIL: u64 = 256 << 20;

/// Files that may be open: each connection, each file of a guest and each process of git takes some.
const FILES_WARN: u64 = 4_096;
const FILES_FAIL: u64 = 1_024;

/// Mappings of memory that a process may have: the pool has some for each slot, and the kernel's default is enough.
const MAPS_WARN: u64 = 65_530;

/// Memory of the control group below which compiling takes all of it, in bytes.
const MEMORY_WARN: u64 = 1 << 30;

/// The first version of git with what merges are made with: `merge-tree --write-tree`.
const GIT_LEAST: (u64, u64) = (2, 38);

/// How long before its end a certificate should have been renewed.
const CERTIFICATE_WARN: SignedDuration = SignedDuration::from_hours(21 * 24);

/// How old a key may become before there is a warning, in days.
pub const KEY_DAYS: i64 = 365;

/// How far ahead of the clock a file may be, in seconds: some file systems count in twos.
const AHEAD_MAX: u64 = 5;

/// Bytes of a component: as the registry takes.
const COMPONENT_MAX: u64 = crate::registry::COMPONENT_MAX_BYTES;

/// What something belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum List {
    /// The machine and what the host keeps on it.
    Infrastructure,
    /// What is configured.
    Application,
    /// Who could come in, and with what.
    Security,
}

/// How something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// As it should be.
    Ok,
    /// It works, and could be better.
    Warn,
    /// It does not work, or is not safe.
    Fail,
    /// It was not looked at; the detail says why.
    NotChecked,
}

/// What was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// What it belongs to.
    pub list: List,
    /// What it is.
    pub name: String,
    /// How it is.
    pub standing: Standing,
    /// What was seen, or why it was not looked at.
    pub detail: String,
    /// What to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub todo: Option<String>,
}

/// Something that is as it should be.
pub fn ok(list: List, name: &str, detail: impl Into<String>) -> Item {
    item(list, name, Standing::Ok, detail, None)
}

/// Something that could be better.
pub fn warn(list: List, name: &str, detail: impl Into<String>, todo: &str) -> Item {
    item(list, name, Standing::Warn, detail, Some(todo))
}

/// Something that does not work, or is not safe.
pub fn fail(list: List, name: &str, detail: impl Into<String>, todo: &str) -> Item {
    item(list, name, Standing::Fail, detail, Some(todo))
}

/// Something that was not looked at.
pub fn unknown(list: List, name: &str, why: impl Into<String>) -> Item {
    item(list, name, Standing::NotChecked, why, None)
}

fn item(
    list: List,
    name: &str,
    standing: Standing,
    detail: impl Into<String>,
    todo: Option<&str>,
) -> Item {
    Item {
        list,
        name: name.to_owned(),
        standing,
        detail: detail.into(),
        todo: todo.map(str::to_owned),
    }
}

/// What nobody can see from this machine, by list.
const ELSEWHERE: &[(List, &str, &str)] = &[
    (
        List::Infrastructure,
        "cloud project, network, cluster",
        "the host runs on one machine and asks no cloud about itself",
    ),
    (
        List::Infrastructure,
        "buckets, queues, databases of a cloud",
        "the host uses none: its record is in the state folder",
    ),
    (
        List::Infrastructure,
        "dashboards and log collection",
        "who reads the log and `/metrics` is not known here",
    ),
    (
        List::Infrastructure,
        "a copy of `backup.keys` elsewhere",
        "a place elsewhere cannot be seen; without a copy the backups of a lost disk do not open",
    ),
    (
        List::Application,
        "tests",
        "they are run where the program is built: `cargo xtask test`",
    ),
    (
        List::Application,
        "language models",
        "the host calls none; agents reach them by their own `http` grants",
    ),
    (
        List::Security,
        "review of who may what",
        "whether each key and role is still right is for a person to say: `infinity key list`",
    ),
    (
        List::Security,
        "firewall and protection from floods",
        "what stands between this machine and others cannot be seen from it",
    ),
    (
        List::Security,
        "scanning of images and dependencies",
        "it is done where the program is built",
    ),
];

/// One look at what a configuration names.
type Look = fn(&Config) -> Vec<Item>;

/// Looks at everything that needs no running host; `more` are further looks, by name, which go on beside the others.
pub async fn examine(
    config: &Arc<Config>,
    more: Vec<(String, BoxFuture<'static, Item>)>,
) -> Vec<Item> {
    let mut looks: Vec<(String, BoxFuture<'static, Vec<Item>>)> = Vec::new();
    let here: [(&str, Look); 5] = [
        ("the machine", |_| machine()),
        ("the state folder", state),
        ("files of keys", keys),
        ("plugins", plugins),
        ("backups", backup),
    ];
    for (name, look) in here {
        let config = Arc::clone(config);
        looks.push((
            name.to_owned(),
            Box::pin(async move {
                tokio::task::spawn_blocking(move || look(&config))
                    .await
                    .unwrap_or_default()
            }),
        ));
    }
    let own = Arc::clone(config);
    looks.push((
        "journal".into(),
        Box::pin(async move { vec![journal(&own.host.state).await] }),
    ));
    looks.push(("git".into(), Box::pin(async { vec![git().await] })));
    for (name, look) in network::looks(config).into_iter().chain(more) {
        looks.push((name, Box::pin(async move { vec![look.await] })));
    }
    let looks = looks.into_iter().map(|(name, look)| async move {
        match tokio::time::timeout(ONE_MAX, look).await {
            Ok(items) => items,
            Err(_) => vec![unknown(
                List::Infrastructure,
                &name,
                format!("it did not end within {} s", ONE_MAX.as_secs()),
            )],
        }
    });
    let mut items: Vec<Item> = futures::future::join_all(looks).await.concat();
    items.push(engine());
    items.extend(listeners(config));
    items.extend(certificate(config));
    items.push(sealed(config));
    items.extend(
        ELSEWHERE
            .iter()
            .map(|(list, name, why)| unknown(*list, name, *why)),
    );
    sort(&mut items);
    items
}

/// By list; within one what is wrong first.
pub fn sort(items: &mut [Item]) {
    let weight = |standing: Standing| match standing {
        Standing::Fail => 0,
        Standing::Warn => 1,
        Standing::Ok => 2,
        Standing::NotChecked => 3,
    };
    items.sort_by_key(|item| (item.list, weight(item.standing)));
}

fn engine() -> Item {
    let (list, name) = (List::Infrastructure, "engine");
    let version = advisories::WASMTIME;
    match advisories::known(version) {
        None => unknown(list, name, format!("`{version}` is no version of wasmtime")),
        Some(found) if found.is_empty() => ok(
            list,
            name,
            format!(
                "wasmtime {version}, infinity {}; no advisory known on {}",
                env!("CARGO_PKG_VERSION"),
                advisories::AS_OF
            ),
        ),
        Some(found) => {
            let found: Vec<String> = found
                .iter()
                .map(|one| format!("{} ({})", one.id, one.what))
                .collect();
            fail(
                list,
                name,
                format!("wasmtime {version} has {}", found.join(", ")),
                "put a newer version of `infinity` in its place",
            )
        }
    }
}

/// Limits, processor, clock.
fn machine() -> Vec<Item> {
    let list = List::Infrastructure;
    let mut items = vec![processor()];
    let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let detail = format!("{files} files may be open");
    let todo = "raise it: `LimitNOFILE=` of the service, or `ulimit -n`";
    items.push(match files {
        0..FILES_FAIL => fail(list, "open files", detail, todo),
        FILES_FAIL..FILES_WARN => warn(list, "open files", detail, todo),
        _ => ok(list, "open files", detail),
    });
    items.push(match getrlimit(Resource::As).current {
        None => ok(list, "address space", "without a limit"),
        Some(bytes) => fail(
            list,
            "address space",
            format!(
                "limited to {} GiB, and the pool of sandboxes takes some TiB that it does not fill",
                bytes >> 30
            ),
            "take the limit away: `LimitAS=infinity` of the service, or `ulimit -v unlimited`",
        ),
    });
    items.push(match number("/proc/sys/vm/overcommit_memory") {
        None => unknown(list, "overcommit", "`/proc/sys/vm/overcommit_memory` cannot be read"),
        Some(2) => fail(
            list,
            "overcommit",
            "the kernel hands out no address space that it has no memory for, and the pool takes some TiB",
            "`sysctl vm.overcommit_memory=0`",
        ),
        Some(mode) => ok(list, "overcommit", format!("vm.overcommit_memory is {mode}")),
    });
    items.push(match number("/proc/sys/vm/max_map_count") {
        None => unknown(
            list,
            "mappings",
            "`/proc/sys/vm/max_map_count` cannot be read",
        ),
        Some(most) if most < MAPS_WARN => warn(
            list,
            "mappings",
            format!("vm.max_map_count is {most}"),
            "`sysctl vm.max_map_count=65530`",
        ),
        Some(most) => ok(list, "mappings", format!("vm.max_map_count is {most}")),
    });
    items.push(memory());
    items.push(synchronised());
    items.extend(process());
    items
}

fn number(file: &str) -> Option<u64> {
    fs::read_to_string(file).ok()?.trim().parse().ok()
}

fn processor() -> Item {
    let (list, name) = (List::Infrastructure, "processor");
    #[cfg(target_arch = "x86_64")]
    {
        let missing: Vec<&str> = [
            ("sse4.1", std::arch::is_x86_feature_detected!("sse4.1")),
            ("sse4.2", std::arch::is_x86_feature_detected!("sse4.2")),
            ("popcnt", std::arch::is_x86_feature_detected!("popcnt")),
            ("avx2", std::arch::is_x86_feature_detected!("avx2")),
        ]
        .into_iter()
        .filter_map(|(feature, there)| (!there).then_some(feature))
        .collect();
        if !missing.is_empty() {
            return warn(
                list,
                name,
                format!("it has no {}: guests run more slowly", missing.join(", ")),
                "have the virtual machine pass the processor's features on",
            );
        }
    }
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    ok(
        list,
        name,
        format!("{cores} cores of {}", std::env::consts::ARCH),
    )
}

/// The memory of the control group, if it has a limit.
fn memory() -> Item {
    let (list, name) = (List::Infrastructure, "memory");
    let group = fs::read_to_string("/proc/self/cgroup")
        .ok()
        .and_then(|text| {
            let line = text.lines().find_map(|line| line.strip_prefix("0::/"))?;
            Some(Path::new("/sys/fs/cgroup").join(line))
        });
    let limit = group.and_then(|group| {
        group
            .ancestors()
            .take_while(|folder| folder.starts_with("/sys/fs/cgroup"))
            .filter_map(|folder| {
                fs::read_to_string(folder.join("memory.max"))
                    .ok()?
                    .trim()
                    .parse::<u64>()
                    .ok()
            })
            .min()
    });
    match limit {
        Some(bytes) if bytes < MEMORY_WARN => warn(
            list,
            name,
            format!("the control group has {} MiB", bytes >> 20),
            "give it at least 1 GiB: compiling one component may take that much",
        ),
        Some(bytes) => ok(
            list,
            name,
            format!("the control group has {} MiB", bytes >> 20),
        ),
        None => ok(list, name, "the control group sets no limit"),
    }
}

/// Whether something keeps the clock right.
fn synchronised() -> Item {
    let (list, name) = (List::Infrastructure, "clock is kept right");
    let signs = [
        ("systemd-timesyncd", "/run/systemd/timesync/synchronized"),
        ("chrony", "/run/chrony/chronyd.pid"),
        ("ntpd", "/run/ntpd.pid"),
        ("ntpsec", "/run/ntpsec/ntpd.pid"),
    ];
    match signs.iter().find(|(_, file)| Path::new(file).exists()) {
        Some((who, _)) => ok(list, name, format!("by {who}")),
        None => unknown(
            list,
            name,
            "neither timesyncd, chrony nor ntpd is seen; in a container the machine around it does that",
        ),
    }
}

/// What a process that this one would serve as may do.
fn process() -> Vec<Item> {
    let list = List::Security;
    let text = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let field = |name: &str| {
        text.lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
            .map(str::trim)
    };
    let capabilities = field("CapEff").and_then(|bits| u64::from_str_radix(bits, 16).ok());
    let capable = match capabilities {
        Some(0) => ok(list, "capabilities", "none"),
        Some(_) if rustix::process::geteuid().is_root() => warn(
            list,
            "capabilities",
            "this user is root, and may do everything",
            "run the host as a user of its own; it needs no rights",
        ),
        Some(bits) => warn(
            list,
            "capabilities",
            format!("{} are held", bits.count_ones()),
            "take them away: `CapabilityBoundingSet=` of the service",
        ),
        None => unknown(list, "capabilities", "`/proc/self/status` does not say"),
    };
    let filtered = match field("Seccomp") {
        Some("2") => ok(list, "system calls", "filtered"),
        Some(_) => warn(
            list,
            "system calls",
            "not filtered in this shell; a service may be",
            "`SystemCallFilter=@system-service` of the service",
        ),
        None => unknown(list, "system calls", "`/proc/self/status` does not say"),
    };
    vec![capable, filtered]
}

/// The state folder: whose it is, where it is, and the room there.
fn state(config: &Config) -> Vec<Item> {
    let list = List::Infrastructure;
    let state = &config.host.state;
    let shown = state.display();
    let Ok(metadata) = fs::metadata(state) else {
        let nearest = state.ancestors().find(|folder| folder.is_dir());
        let room = nearest.map(|folder| room("room for the state folder", folder));
        return [ok(
            list,
            "state folder",
            format!("`{shown}` is made at the first start"),
        )]
        .into_iter()
        .chain(room)
        .collect();
    };
    let mut items = Vec::new();
    let mode = metadata.permissions().mode() & 0o777;
    let user = rustix::process::geteuid().as_raw();
    items.push(if metadata.uid() != user {
        fail(
            list,
            "state folder",
            format!(
                "`{shown}` belongs to user {} and this is user {user}",
                metadata.uid()
            ),
            "run as the user whose folder it is, or give it to this one with `chown -R`",
        )
    } else if mode & 0o022 != 0 {
        fail(
            list,
            "state folder",
            format!("others may write to `{shown}` (mode {mode:o})"),
            "`chmod 700` it",
        )
    } else if mode & 0o055 != 0 {
        warn(
            list,
            "state folder",
            format!("others may look into `{shown}` (mode {mode:o})"),
            "`chmod 700` it",
        )
    } else {
        ok(list, "state folder", format!("`{shown}`, mode {mode:o}"))
    });
    items.push(match network_file_system(state) {
        Some(kind) => fail(
            list,
            "file system",
            format!("`{shown}` is on {kind}, where the database's log does not work"),
            "keep the state folder on a local disk",
        ),
        None => ok(list, "file system", "local"),
    });
    items.push(room("room for the state folder", state));
    items.push(ahead(state));
    items
}

fn room(name: &str, folder: &Path) -> Item {
    let list = List::Infrastructure;
    let found = match rustix::fs::statvfs(folder) {
        Ok(found) => found,
        Err(error) => return unknown(list, name, format!("`{}`: {error}", folder.display())),
    };
    let free = found.f_bavail.saturating_mul(found.f_frsize);
    let detail = format!("{} MiB are free for `{}`", free >> 20, folder.display());
    let todo = "free some, give the host another disk, or lower `state_budget`";
    // Some file systems count no files.
    if found.f_files > 0 && found.f_favail < 1_000 {
        return fail(
            list,
            name,
            format!("{} files can be made yet", found.f_favail),
            todo,
        );
    }
    match free {
        0..ROOM_FAIL => fail(list, name, detail, todo),
        ROOM_FAIL..ROOM_WARN => warn(list, name, detail, todo),
        _ => ok(list, name, detail),
    }
}

/// Whether the clock is behind what was written already.
fn ahead(state: &Path) -> Item {
    let (list, name) = (List::Infrastructure, "clock");
    let newest = keep_files(state)
        .into_iter()
        .filter_map(|file| fs::metadata(file).ok()?.modified().ok())
        .max();
    let ahead = newest.and_then(|newest| newest.duration_since(SystemTime::now()).ok());
    match ahead {
        Some(ahead) if ahead.as_secs() > AHEAD_MAX => fail(
            list,
            name,
            format!(
                "a file of the store was written {} s in the future",
                ahead.as_secs()
            ),
            "set the clock: schedules and keys go by it",
        ),
        _ => ok(list, name, "not behind what was written"),
    }
}

fn keep_files(state: &Path) -> Vec<PathBuf> {
    [keep::DATABASE, "infinity.db-wal", "lock"]
        .map(|name| state.join(name))
        .to_vec()
}

/// Files that only the host's user may read.
fn keys(config: &Config) -> Vec<Item> {
    let list = List::Security;
    let state = &config.host.state;
    let mut files: Vec<PathBuf> = [
        crate::audit::seal::FILE,
        parcel::KEYS,
        "signing_key",
        "cache.key",
        keep::DATABASE,
    ]
    .map(|name| state.join(name))
    .to_vec();
    files.extend(config.host.access.tls.as_ref().map(|tls| tls.key.clone()));
    if let Some(crate::config::GithubAccess::App {
        key: KeySource::File(file),
        ..
    }) = &config.github.access
    {
        files.push(file.clone());
    }
    let mut items = Vec::new();
    let mut private = 0;
    for file in files {
        let Ok(metadata) = fs::metadata(&file) else {
            continue;
        };
        let mode = metadata.permissions().mode() & 0o777;
        let shown = file.display();
        if mode & 0o077 == 0 {
            private += 1;
        } else {
            items.push(fail(
                list,
                "file of a key",
                format!("others may read or write `{shown}` (mode {mode:o})"),
                "`chmod 600` it, and make the key anew if it may have been read",
            ));
        }
    }
    items.push(ok(
        list,
        "files of keys",
        format!("{private} are their owner's alone"),
    ));
    for (file, what) in [
        (crate::audit::seal::FILE, "`infinity audit rotate-key`"),
        (parcel::KEYS, "`infinity backup rotate-key`"),
    ] {
        let age = fs::metadata(state.join(file))
            .and_then(|metadata| metadata.modified())
            .ok()
            .and_then(|at| SystemTime::now().duration_since(at).ok());
        if let Some(age) = age {
            let days = age.as_secs() / 86_400;
            let name = format!("age of `{file}`");
            items.push(if days >= KEY_DAYS.unsigned_abs() {
                warn(
                    list,
                    &name,
                    format!("{days} days"),
                    &format!("{what} makes a new one"),
                )
            } else {
                ok(list, &name, format!("{days} days"))
            });
        }
    }
    let writable =
        fs::metadata(&config.path).is_ok_and(|metadata| metadata.permissions().mode() & 0o022 != 0);
    if writable {
        items.push(fail(
            list,
            "configuration",
            format!(
                "others may write to `{}`, and so grant themselves anything",
                config.path.display()
            ),
            "`chmod go-w` it",
        ));
    }
    items
}

/// The configuration and each plugin that it names.
fn plugins(config: &Config) -> Vec<Item> {
    let list = List::Application;
    let mut items = vec![ok(
        list,
        "configuration",
        format!(
            "{} agents, {} repositories, {} channels",
            config.agents.len(),
            config.repositories.len(),
            config.channels.len()
        ),
    )];
    let named: BTreeSet<&str> = config
        .agents
        .values()
        .filter(|agent| agent.enabled)
        .map(|agent| agent.plugin.as_str())
        .collect();
    let mut sound = 0;
    for plugin in named {
        let file = config.host.plugins.join(format!("{plugin}.wasm"));
        let name = format!("plugin {plugin}");
        let shown = file.display();
        match fs::metadata(&file) {
            Err(error) => items.push(fail(
                list,
                &name,
                format!("`{shown}` cannot be read: {}", error.kind()),
                "put the component there, or correct `plugin` of the agent",
            )),
            Ok(metadata) if metadata.len() > COMPONENT_MAX => items.push(fail(
                list,
                &name,
                format!("`{shown}` is larger than 128 MiB"),
                "build it without debugging information",
            )),
            Ok(_) => match fs::read(&file).map(|bytes| inspect(&bytes)) {
                Ok(Ok(_)) => sound += 1,
                Ok(Err(error)) => items.push(fail(
                    list,
                    &name,
                    error.to_string(),
                    &format!("`infinity plugin inspect {shown}` says more"),
                )),
                Err(error) => items.push(fail(
                    list,
                    &name,
                    format!("`{shown}` cannot be read: {}", error.kind()),
                    "look at its permissions",
                )),
            },
        }
    }
    items.push(ok(
        list,
        "plugins",
        format!("{sound} are components that the host takes"),
    ));
    for repository in config.repositories.values() {
        let crate::config::Place::Local { path, create } = &repository.place else {
            continue;
        };
        let is_one = path.join("HEAD").is_file() || path.join(".git").exists();
        if !is_one && (!*create || path.exists()) {
            items.push(fail(
                list,
                &format!("repository {}", repository.name),
                format!("`{}` is no git repository", path.display()),
                "correct `path`, or say `create = true`",
            ));
        }
    }
    items
}

async fn git() -> Item {
    let (list, name) = (List::Infrastructure, "git");
    let asked = tokio::process::Command::new("git")
        .arg("--version")
        .kill_on_drop(true)
        .output()
        .await;
    let todo = "install git 2.38 or later";
    let said = match asked {
        Ok(said) => String::from_utf8_lossy(&said.stdout).trim().to_owned(),
        Err(error) => return fail(list, name, format!("it cannot be started: {error}"), todo),
    };
    match version(&said) {
        Some(found) if found < GIT_LEAST => fail(list, name, said, todo),
        Some(_) => ok(list, name, said),
        None => unknown(list, name, format!("it says of itself `{said}`")),
    }
}

/// The first two numbers of `git version 2.47.3`.
fn version(said: &str) -> Option<(u64, u64)> {
    let mut numbers = said.split_whitespace().nth(2)?.split('.');
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// The newest records, which a host may be adding to.
async fn journal(state: &Path) -> Item {
    let (list, name) = (List::Security, "journal");
    if !state.join(keep::DATABASE).is_file() {
        return unknown(list, name, "there is no store yet");
    }
    match verify_tail(state).await {
        Ok(verified) => match verified.broken {
            None => ok(
                list,
                name,
                format!(
                    "the newest {} of {} records are whole; `infinity audit verify` reads all",
                    verified.records, verified.seq
                ),
            ),
            Some(broken) => fail(
                list,
                name,
                broken.to_string(),
                "`infinity audit verify` says more; compare with a backup",
            ),
        },
        Err(error) => fail(
            list,
            name,
            match std::error::Error::source(&error) {
                Some(cause) => format!("{error}: {cause}"),
                None => error.to_string(),
            },
            "`infinity store check` says more",
        ),
    }
}

/// Whether backups are made, fresh and sealed.
fn backup(config: &Config) -> Vec<Item> {
    let list = List::Infrastructure;
    let Some(backup) = &config.backup else {
        return vec![warn(
            list,
            "backups",
            "the host makes none by itself",
            "name a folder on another disk: `to = \"DIR\"` in `[backup]`",
        )];
    };
    let mut items = Vec::new();
    let todo =
        "start the host, which makes them, or `infinity backup create`; its log says why not";
    let newest = backups::list(&backup.to).into_iter().next();
    items.push(match newest {
        None => warn(
            list,
            "backups",
            format!("there is none in `{}`", backup.to.display()),
            todo,
        ),
        Some(newest) => {
            let age = Timestamp::now().duration_since(newest.made_at);
            let detail = format!("the newest is {} min old", age.as_mins());
            let most = backup
                .journal_every
                .saturating_mul(2)
                .max(backups::LOSS_MAX);
            if Duration::try_from(age).is_ok_and(|age| age > most) {
                warn(list, "backups", detail, todo)
            } else {
                ok(list, "backups", detail)
            }
        }
    });
    let same = |path: &Path| {
        path.ancestors()
            .find_map(|folder| fs::metadata(folder).ok())
            .map(|metadata| metadata.dev())
    };
    if same(&backup.to).is_some() && same(&backup.to) == same(&config.host.state) {
        items.push(warn(
            list,
            "place of backups",
            "it is on the disk of the state folder: what takes one takes both",
            "name a mount of another disk or machine in `[backup]`",
        ));
    }
    if backup.to.is_dir() {
        items.push(room("room for backups", &backup.to));
    }
    items
}

/// Whether everybody else's requests travel in the open.
fn listeners(config: &Config) -> Vec<Item> {
    let (list, name) = (List::Security, "listener");
    let listen = config.host.listen;
    let access = &config.host.access;
    let found = if listen.ip().is_loopback() {
        ok(list, name, format!("{listen}, for this machine alone"))
    } else if access.tls.is_some() {
        ok(list, name, format!("{listen}, with TLS and keys"))
    } else if !access.trusted_proxies.is_empty() {
        ok(
            list,
            name,
            format!("{listen}, behind a proxy that has to speak TLS"),
        )
    } else {
        fail(
            list,
            name,
            format!("{listen} takes requests of others without TLS: keys travel in the open"),
            "write `[host.tls]`, or listen on `127.0.0.1` behind a proxy",
        )
    };
    vec![found]
}

fn sealed(config: &Config) -> Item {
    let (list, name) = (List::Security, "encryption at rest");
    let journal = &config.host.access.journal;
    match (journal.sealed, journal.seals_backups) {
        (true, true) => ok(list, name, "the journal and backups are sealed"),
        (false, _) => warn(
            list,
            name,
            "the journal is not sealed",
            "take `seal_journal = false` away",
        ),
        (_, false) => warn(
            list,
            name,
            "backups are not sealed",
            "take `seal_backups = false` away",
        ),
    }
}

/// How long the certificate lasts.
fn certificate(config: &Config) -> Option<Item> {
    let tls = config.host.access.tls.as_ref()?;
    let (list, name) = (List::Security, "certificate");
    let todo = "renew it; the host takes the new files up by itself";
    let end = CertificateDer::pem_file_iter(&tls.certificate)
        .ok()?
        .filter_map(Result::ok)
        .filter_map(|certificate| end_of(&certificate))
        .min();
    let Some(end) = end else {
        return Some(unknown(list, name, "its end cannot be read"));
    };
    let left = end.duration_since(Timestamp::now());
    let detail = format!("of `{}` ends at {end}", tls.certificate.display());
    Some(if left <= SignedDuration::ZERO {
        fail(list, name, format!("{detail}, which is over"), todo)
    } else if left < CERTIFICATE_WARN {
        warn(list, name, detail, todo)
    } else {
        ok(list, name, detail)
    })
}

fn end_of(certificate: &[u8]) -> Option<Timestamp> {
    let (_, certificate) = x509_parser::parse_x509_certificate(certificate).ok()?;
    Timestamp::from_second(certificate.validity().not_after.timestamp()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_git_says_of_itself_is_a_version() {
        assert_eq!(version("git version 2.47.3"), Some((2, 47)));
        assert_eq!(version("git version 2.39.5 (Apple Git-154)"), Some((2, 39)));
        assert_eq!(version("hub 1"), None);
    }

    #[test]
    fn what_is_wrong_comes_first_in_its_list() {
        let mut items = vec![
            unknown(List::Security, "d", ""),
            ok(List::Application, "b", ""),
            fail(List::Application, "a", "", ""),
            warn(List::Security, "c", "", ""),
        ];
        sort(&mut items);
        let names: Vec<_> = items.iter().map(|item| item.name.as_str()).collect();
        assert_eq!(names, ["a", "b", "c", "d"]);
    }

    #[test]
    fn a_certificate_says_when_it_ends() {
        let mut params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.not_after = rcgen::date_time_ymd(2021, 3, 4);
        let key = rcgen::KeyPair::generate().unwrap();
        let made = params.self_signed(&key).unwrap();
        let end = end_of(made.der()).unwrap();
        assert_eq!(end.to_string(), "2021-03-04T00:00:00Z");
        assert_eq!(end_of(b"no certificate"), None);
    }
}
