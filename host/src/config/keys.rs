//! Every key of `plugins.toml`, once: its kind, range, default and description. The readers take ranges and names from here and the schema is made from here,
//! so neither can know a key that the other does not.

use super::secrets::BY;
use super::sign_in::{KIND as SIGN_IN_KIND, ROLE};
use super::supply::REQUIRE;
use super::tls::MIN_VERSION;
use super::triggers::{CATCH_UP, OVERLAP};
use crate::sandbox::budget::RunBudget;

/// What a key holds.
#[derive(Debug)]
pub(super) enum Kind {
    /// A string; the pattern is for the schema and empty where the reader says more than a pattern can.
    Text(&'static str),
    /// `true` or `false`.
    Boolean,
    /// A whole number.
    Integer { min: u64, max: u64 },
    /// A string such as `"30s"`; the range is in milliseconds.
    Duration { min: u64, max: u64 },
    /// A string such as `"64MiB"`, or an integer of bytes.
    Size { min: u64, max: u64 },
    /// One of these strings.
    Choice(&'static [&'static str]),
    /// A list of strings.
    Texts,
    /// `true`, `false` or a list of branch patterns.
    Branches,
    /// A table of strings.
    TextMap,
    /// A table of anything.
    Free,
    /// A table with known keys.
    Table(&'static Table),
    /// A list of such tables.
    Tables(&'static Table),
    /// A list of names, or of such tables where a name is not enough.
    Steps(&'static Table),
    /// A table whose keys are names and whose values are such tables; the pattern is what a name looks like.
    Named(&'static Table, &'static str),
}

/// One key.
#[derive(Debug)]
pub(super) struct Key {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) required: bool,
    /// As JSON, which for these values is TOML too; empty where there is none.
    pub(super) default: &'static str,
    pub(super) doc: &'static str,
}

/// The keys of one table.
#[derive(Debug)]
pub(super) struct Table {
    /// Its name among the schema's definitions.
    pub(super) name: &'static str,
    pub(super) doc: &'static str,
    pub(super) keys: &'static [Key],
    /// Words that people try, with what to write instead.
    pub(super) instead: &'static [(&'static str, &'static str)],
    /// Words of later versions, with what to do until then.
    pub(super) later: &'static [(&'static str, &'static str)],
}

impl Table {
    pub(super) fn key(&self, name: &str) -> Option<&'static Key> {
        self.keys.iter().find(|key| key.name == name)
    }
}

/// Names of agents: they stand in URLs, file names and log lines.
pub(super) const AGENT_NAME: &str = "^[a-z][a-z0-9-]{0,62}$";
/// Names of plugins and repositories.
pub(super) const LOOSE_NAME: &str = "^[a-z][a-z0-9._-]{0,62}$";
/// The name of a granted repository, which an agent with `for_each` leaves open.
const GRANTED_NAME: &str = r"^([a-z][a-z0-9._-]{0,62}|\{repository\})$";

/// Names of secrets: they stand in URLs, and as variables in shells.
const SECRET_NAME: &str = "^[A-Z][A-Z0-9_]{0,63}$";

/// Most agents, and most repositories: far above what one machine runs, and low enough that comparing two configurations on a reload stays quick.
pub(super) const MAX_ENTRIES: usize = 10_000;
/// Most elements of any list: each is checked against the others.
pub(super) const MAX_LIST: usize = 100;

const fn key(name: &'static str, kind: Kind, default: &'static str, doc: &'static str) -> Key {
    Key {
        name,
        kind,
        required: false,
        default,
        doc,
    }
}

const fn required(name: &'static str, kind: Kind, doc: &'static str) -> Key {
    Key {
        name,
        kind,
        required: true,
        default: "",
        doc,
    }
}

const SECOND: u64 = 1_000;
const DAY: u64 = 86_400 * SECOND;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// The file itself.
pub(super) static ROOT: Table = Table {
    name: "plugins",
    doc: "Which agents run, when, within what, and what they may reach.",
    keys: &[
        key("host", Kind::Table(&HOST), "", "The host itself."),
        key(
            "plugins",
            Kind::Table(&SUPPLY),
            "",
            "What a component needs before anything of it is used.",
        ),
        key(
            "repositories",
            Kind::Named(&REPOSITORY, LOOSE_NAME),
            "",
            "Git repositories that agents can be granted, by name.",
        ),
        key("github", Kind::Table(&GITHUB), "", "GitHub."),
        key(
            "backup",
            Kind::Table(&BACKUP),
            "",
            "Backups that the host makes by itself.",
        ),
        key(
            "secrets",
            Kind::Table(&SECRETS),
            "",
            "Where the values of `${NAME}` come from beside the environment, and how often each is replaced.",
        ),
        key(
            "channels",
            Kind::Named(&CHANNEL, LOOSE_NAME),
            "",
            "Where people are told of what happens, by name.",
        ),
        key("alerts", Kind::Table(&ALERTS), "", "The host's own alerts."),
        key(
            "telemetry",
            Kind::Table(&TELEMETRY),
            "",
            "Where traces and logs are sent to.",
        ),
        key(
            "agents",
            Kind::Named(&AGENT, AGENT_NAME),
            "",
            "Plugins with settings, grants, limits and triggers, by name.",
        ),
        key(
            "pipelines",
            Kind::Named(&PIPELINE, AGENT_NAME),
            "",
            "Agents that run one after the other, by name.",
        ),
    ],
    instead: &[
        ("server", "[host]"),
        ("agent", "[agents.NAME]"),
        ("plugin", "[agents.NAME]"),
        ("repos", "[repositories.NAME]"),
        ("workflows", "[pipelines.NAME]"),
        ("pipeline", "[pipelines.NAME]"),
        ("tracing", "[telemetry]"),
        ("otel", "[telemetry]"),
        ("limits", "[host.limits]"),
        ("listen", "[host]` with `listen = \"…\""),
        ("grants", "[agents.NAME.grants]"),
    ],
    later: &[("include", "write everything into this file")],
};

pub(super) static SUPPLY: Table = Table {
    name: "supply",
    doc: "What a component needs before anything of it is used. The folder of components is `plugins` in `[host]`.",
    keys: &[
        key(
            "require",
            Kind::Choice(REQUIRE),
            "\"nothing\"",
            "`lock`: the digest that `plugins.lock` beside this file names, see `infinity plugin lock`. `signature`: one by a key of `trusted` over the digest, in a file `NAME.wasm.sig` beside the component, see `infinity plugin sign`. `both`: the two together. What has it not is refused, and nothing else is.",
        ),
        key(
            "trusted",
            Kind::TextMap,
            "{}",
            "Whose signatures count: a name for each public key, as in `alice = \"ssh-ed25519 AAAA…\"`.",
        ),
    ],
    instead: &[
        ("keys", "trusted"),
        ("signers", "trusted"),
        ("folder", "[host]` with `plugins = \"…\""),
        ("path", "[host]` with `plugins = \"…\""),
    ],
    later: &[],
};

pub(super) static SECRETS: Table = Table {
    name: "secrets",
    doc: "Where the values of `${NAME}` come from: the environment, then this folder, then what `infinity secret set` keeps, then Vault.",
    keys: &[
        key(
            "files",
            Kind::Text(""),
            "",
            "Folder whose files are secrets, relative to this file: each one's name is the secret's. A file that others can read is refused.",
        ),
        key("vault", Kind::Table(&VAULT), "", "A HashiCorp Vault."),
        key(
            "catalogue",
            Kind::Named(&CATALOGUE, SECRET_NAME),
            "",
            "What is known of single secrets, by name. One that is not here is replaced by people, every 90 days.",
        ),
    ],
    instead: &[
        ("folder", "files"),
        ("directory", "files"),
        ("secrets", "catalogue"),
    ],
    later: &[],
};

pub(super) static VAULT: Table = Table {
    name: "vault",
    doc: "A HashiCorp Vault with a KV store of version 2.",
    keys: &[
        required(
            "address",
            Kind::Text(""),
            "Its address, for instance `https://vault.example.com:8200`.",
        ),
        key(
            "mount",
            Kind::Text(""),
            "\"secret\"",
            "Where the KV store is mounted.",
        ),
        key(
            "namespace",
            Kind::Text(""),
            "",
            "The namespace, where it has some.",
        ),
        key(
            "token",
            Kind::Text(""),
            "",
            "A token to come with, with `${NAME}` filled in.",
        ),
        key(
            "role_id",
            Kind::Text(""),
            "",
            "The role to log in as by AppRole, with `${NAME}` filled in.",
        ),
        key(
            "secret_id",
            Kind::Text(""),
            "",
            "What proves it, with `${NAME}` filled in.",
        ),
        key(
            "ca_file",
            Kind::Text(""),
            "",
            "PEM file with further certificate authorities to trust.",
        ),
        key(
            "refresh",
            Kind::Duration {
                min: 10 * SECOND,
                max: DAY,
            },
            "\"5m\"",
            "How often it is asked.",
        ),
    ],
    instead: &[("url", "address"), ("addr", "address"), ("path", "mount")],
    later: &[],
};

pub(super) static CATALOGUE: Table = Table {
    name: "catalogued_secret",
    doc: "What is known of one secret.",
    keys: &[
        key(
            "vault",
            Kind::Text(""),
            "",
            "Where it is in Vault: the path below the mount, `#` and the field, for instance `github/app-key#value`.",
        ),
        key(
            "rotate",
            Kind::Duration {
                min: 3_600 * SECOND,
                max: 3_660 * DAY,
            },
            "\"90d\"",
            "The age at which it is replaced. Ten days later it is overdue.",
        ),
        key(
            "grace",
            Kind::Duration {
                min: 0,
                max: 90 * DAY,
            },
            "\"7d\"",
            "How long the value before is accepted beside a new one.",
        ),
        key(
            "by",
            Kind::Choice(BY),
            "\"hand\"",
            "Who makes new values: people, or the host, where any random value does.",
        ),
        key("description", Kind::Text(""), "", "What it is for."),
    ],
    instead: &[
        ("age", "rotate"),
        ("every", "rotate"),
        ("max_age", "rotate"),
        ("path", "vault"),
    ],
    later: &[],
};

pub(super) static HOST: Table = Table {
    name: "host",
    doc: "The host itself.",
    keys: &[
        key(
            "listen",
            Kind::Text(""),
            "\"127.0.0.1:8080\"",
            "Address and port of the API and the console. Beyond loopback every request needs a key, and the first start makes one. The variable `PORT` replaces the port, the flag `--listen` both.",
        ),
        key(
            "state",
            Kind::Text(""),
            "\"var\"",
            "Directory for the database, the compile cache and artifacts, relative to this file. The flag `--state` replaces it.",
        ),
        key(
            "plugins",
            Kind::Text(""),
            "\"plugins/dist\"",
            "Directory of `.wasm` components, relative to this file.",
        ),
        key(
            "checks",
            Kind::Text(""),
            "\"checks\"",
            "Directory of scripts that look at every submission of code, relative to this file: each a Python or JavaScript file with a function `check(submission)`. They run in the sandbox and reach nothing.",
        ),
        key(
            "proxy",
            Kind::Text("^http://[^/@]+/?$"),
            "",
            "HTTP proxy for outgoing requests, for instance `http://proxy.internal:3128`.",
        ),
        key(
            "ca_file",
            Kind::Text(""),
            "",
            "PEM file with further certificate authorities to trust in outgoing requests.",
        ),
        key(
            "log_format",
            Kind::Choice(LOG_FORMAT),
            "\"text\"",
            "How the log is written on standard error: for people, or a JSON object on each line. The flag `--log-format` replaces it.",
        ),
        key(
            "concurrency",
            Kind::Integer { min: 1, max: 1_000 },
            "8",
            "Runs at once.",
        ),
        key(
            "concurrency_max",
            Kind::Integer { min: 1, max: 1_000 },
            "20",
            "Runs at once while many wait: one more for every four that wait, up to this; never less than `concurrency`.",
        ),
        key(
            "queue",
            Kind::Integer {
                min: 1,
                max: 1_000_000,
            },
            "10000",
            "Runs that may wait; further ones are turned away.",
        ),
        key(
            "state_budget",
            Kind::Size {
                min: 64 * MIB,
                max: 16_384 * GIB,
            },
            "\"10GiB\"",
            "Bytes of the state folder. Beyond it compiled components that nobody uses go first, then the files and then the records of the oldest runs.",
        ),
        key(
            "command_templates",
            Kind::Text(""),
            "\"commands\"",
            "Directory of `.toml` files with commands that can be given by name, relative to this file.",
        ),
        key(
            "compile_cpu",
            Kind::Duration {
                min: SECOND,
                max: 3_600 * SECOND,
            },
            "\"60s\"",
            "CPU time for compiling one component.",
        ),
        key(
            "compile_memory",
            Kind::Size {
                min: 64 * MIB,
                max: 64 * GIB,
            },
            "\"2GiB\"",
            "Memory for compiling one component.",
        ),
        key(
            "badge_port",
            Kind::Integer {
                min: 1,
                max: 65_535,
            },
            "",
            "Port of a further listener, for badges alone. The variable `BADGE_PORT` replaces it.",
        ),
        key(
            "autodeploy_port",
            Kind::Integer {
                min: 1,
                max: 65_535,
            },
            "",
            "Port of a further listener, for deployments alone. The variable `AUTODEPLOY_PORT` replaces it.",
        ),
        key(
            "gateway_port",
            Kind::Integer {
                min: 1,
                max: 65_535,
            },
            "",
            "Port of a further listener, for `/v1` alone, for instance 8000.",
        ),
        key(
            "metrics_listen",
            Kind::Text(""),
            "",
            "Address and port of a further listener, for `/metrics` alone, for instance `127.0.0.1:9464` or an address of an inner network. `/metrics` is answered there, on loopback addresses and on the socket of the state folder, and nowhere else.",
        ),
        key(
            "kill_after_pull_requests",
            Kind::Integer {
                min: 1,
                max: 100_000,
            },
            "100",
            "Pull requests of agents that may be refused or reverted within an hour; one more throws the kill switch.",
        ),
        key(
            "rollback_after",
            Kind::Integer { min: 1, max: 100 },
            "3",
            "Crashes in a row of an agent's new version before the one before takes its place again.",
        ),
        key(
            "daily_budget_usd",
            Kind::Integer {
                min: 1,
                max: 1_000_000,
            },
            "",
            "US dollars that models may cost on one day in UTC, as events of type `llm.usage` say in `cost_usd`; at twice that the kill switch is thrown.",
        ),
        key(
            "names",
            Kind::Texts,
            "[]",
            "Names by which clients reach the host, beside its addresses; requests to other names are refused.",
        ),
        key(
            "url",
            Kind::Text("^https?://[^/?#@]+/?$"),
            "",
            "Where people's browsers reach the host, for instance `https://infinity.example.com`; its name counts among `names`. Without it the address that a request names.",
        ),
        key(
            "cors",
            Kind::Texts,
            "[]",
            "Origins whose pages may read answers, for instance `https://console.example.com`; without any no page of another origin can. They come with a key, never with a cookie.",
        ),
        key(
            "factor_for_changes",
            Kind::Boolean,
            "false",
            "Whether who has a second factor shows it before they change anything, and not only before they approve.",
        ),
        key(
            "tls",
            Kind::Table(&TLS),
            "",
            "The certificate that the API is served with. Without it the API is served in the open, which is for this machine or a proxy that terminates TLS.",
        ),
        key(
            "sign_in",
            Kind::Named(&SIGN_IN, AGENT_NAME),
            "",
            "Who vouches for people and programs, by name.",
        ),
        key(
            "trusted_proxies",
            Kind::Texts,
            "[]",
            "Addresses of proxies in front of the host: what they write into `X-Forwarded-For` is believed. With any of them every request needs a key.",
        ),
        key(
            "never_banned",
            Kind::Texts,
            "[]",
            "Addresses that are locked out after failed keys and never banned. Loopback is among them.",
        ),
        key(
            "seal_journal",
            Kind::Boolean,
            "true",
            "Whether records of the journal are encrypted, with the keys of `journal.keys` in the state folder.",
        ),
        key(
            "seal_backups",
            Kind::Boolean,
            "true",
            "Whether backups are encrypted, with the keys of `backup.keys` in the state folder, which is in no backup.",
        ),
        key(
            "checkpoints",
            Kind::Text(""),
            "",
            "File to which the journal's signed end is appended every hour, best on another disk; without it `checkpoints.jsonl` in the state folder.",
        ),
        key(
            "name_people_in_views",
            Kind::Boolean,
            "false",
            "Whether `security_audit.json` and `banned_ips.json` in the state folder name people and addresses instead of their pseudonyms. They may be mirrored: for private places alone.",
        ),
        key(
            "ban_at_first_lockout",
            Kind::Boolean,
            "false",
            "Whether five failed keys ban at once, instead of ten.",
        ),
        key(
            "reads",
            Kind::Integer {
                min: 1,
                max: 1_000_000,
            },
            "1000",
            "Reads of one client within 10 seconds, of all routes without a limit of their own, once the host asks for keys.",
        ),
        key(
            "changes",
            Kind::Integer {
                min: 1,
                max: 1_000_000,
            },
            "300",
            "Requests of one client within 10 seconds that change something, likewise.",
        ),
        key(
            "rate_limits",
            Kind::Tables(&RATE_LIMIT),
            "[]",
            "Routes with a limit of their own.",
        ),
        key(
            "limits",
            Kind::Table(&LIMITS),
            "",
            "Limits of every agent that does not set its own.",
        ),
        key(
            "maintenance",
            Kind::Tables(&MAINTENANCE),
            "[]",
            "Times in which nothing starts by itself.",
        ),
    ],
    instead: &[
        ("port", "listen = \"127.0.0.1:PORT\""),
        ("address", "listen = \"127.0.0.1:PORT\""),
        ("bind", "listen = \"127.0.0.1:PORT\""),
        ("data", "state"),
        ("workers", "concurrency"),
    ],
    later: &[],
};

/// The `canary` table of an agent.
static CANARY: Table = Table {
    name: "canary",
    doc: "The part of an agent's runs that a new component gets before it gets all of them. One that crashes is rolled back.",
    keys: &[
        key(
            "percent",
            Kind::Integer { min: 1, max: 99 },
            "5",
            "Of a hundred runs, so many.",
        ),
        key(
            "for",
            Kind::Duration {
                min: SECOND,
                max: 7 * DAY,
            },
            "\"5m\"",
            "How long.",
        ),
    ],
    instead: &[("share", "percent = 5"), ("time", "for = \"5m\"")],
    later: &[],
};

/// The `[backup]` table.
pub(super) static BACKUP: Table = Table {
    name: "backup",
    doc: "Backups that the host makes by itself, tries out and removes when they are old: copies for 8 hours, snapshots for 2 days, the last of each day for 30 days, the first of each year for ten years.",
    keys: &[
        required(
            "to",
            Kind::Text(""),
            "Folder of backups, best on another disk or a mount of another place; made if it is not there.",
        ),
        key(
            "every",
            Kind::Duration {
                min: SECOND,
                max: 7 * DAY,
            },
            "\"6h\"",
            "How often a snapshot is made, of which all is read again.",
        ),
        key(
            "journal_every",
            Kind::Duration {
                min: SECOND,
                max: DAY,
            },
            "\"15m\"",
            "How often a copy is made between snapshots: the most that is lost when the disk is.",
        ),
        key(
            "drill_every",
            Kind::Duration {
                min: SECOND,
                max: 92 * DAY,
            },
            "\"7d\"",
            "How often the newest backup is put back into an empty folder, to see that it can be.",
        ),
    ],
    instead: &[
        ("path", "to"),
        ("dir", "to"),
        ("folder", "to"),
        ("copy_every", "journal_every"),
    ],
    later: &[],
};

/// The `[host.tls]` table.
pub(super) static TLS: Table = Table {
    name: "tls",
    doc: "The certificate that the API is served with. A file that changes is taken up within seconds, without a restart.",
    keys: &[
        required(
            "certificate",
            Kind::Text(""),
            "The certificate and those between it and its authority: a PEM file, relative to this file.",
        ),
        required(
            "key",
            Kind::Text(""),
            "The certificate's private key: a PEM file.",
        ),
        key(
            "client_ca",
            Kind::Text(""),
            "",
            "PEM file with authorities of clients: who has no certificate of theirs gets no connection. Keys are asked for all the same.",
        ),
        key(
            "min_version",
            Kind::Choice(MIN_VERSION),
            "\"1.3\"",
            "The least version of TLS.",
        ),
    ],
    instead: &[
        ("cert", "certificate"),
        ("private_key", "key"),
        ("ca", "client_ca"),
    ],
    later: &[],
};

/// A `[host.sign_in.NAME]` table.
pub(super) static SIGN_IN: Table = Table {
    name: "sign_in",
    doc: "An identity provider: it says who somebody is, and `roles` what they may.",
    keys: &[
        required(
            "kind",
            Kind::Choice(SIGN_IN_KIND),
            "What it speaks: OpenID Connect, or OAuth as GitHub has it.",
        ),
        key(
            "issuer",
            Kind::Text("^https?://"),
            "",
            "With `oidc`: the provider's address, as its tokens name it.",
        ),
        key(
            "url",
            Kind::Text("^https?://"),
            "\"https://github.com\"",
            "With `github`: where people sign in; of GitHub Enterprise `https://HOST`.",
        ),
        key(
            "api_url",
            Kind::Text("^https?://"),
            "\"https://api.github.com\"",
            "With `github`: where the REST API is; of GitHub Enterprise `https://HOST/api/v3`.",
        ),
        required(
            "client_id",
            Kind::Text(""),
            "What this host is called there.",
        ),
        key(
            "client_secret",
            Kind::Text(""),
            "",
            "By what it is known there, with `${NAME}` filled in. A public client has none.",
        ),
        key(
            "audiences",
            Kind::Texts,
            "",
            "With `oidc`: for whom the tokens are made that programs may send as `Authorization: Bearer`; `client_id` without it.",
        ),
        key(
            "name_claim",
            Kind::Text(""),
            "",
            "The claim that is somebody's name in records, behind the provider's: `sub` without it, at GitHub `login`. An `email` counts unless the provider says that it is not verified.",
        ),
        key(
            "scopes",
            Kind::Texts,
            "",
            "What is asked for when a person signs in: `openid email profile` without it, at GitHub `read:org`.",
        ),
        key(
            "roles",
            Kind::Tables(&ROLE_RULE),
            "[]",
            "What people and programs may: the first that fits. Of whom none fits does not come in.",
        ),
    ],
    instead: &[("secret", "client_secret"), ("id", "client_id")],
    later: &[],
};

pub(super) static ROLE_RULE: Table = Table {
    name: "role_rule",
    doc: "What somebody may of whom the provider says this.",
    keys: &[
        required("role", Kind::Choice(ROLE), "What they may."),
        required(
            "when",
            Kind::TextMap,
            "Claims and what they hold, all of them: a text, or of a list one of its elements; `*` for anything, `a.b` for what is within. Of GitHub there are `login`, `orgs` and `teams` (`org/team`).",
        ),
        key(
            "scopes",
            Kind::Texts,
            "[]",
            "What of the role, as of a key; approving has to be named: `effects:approve`.",
        ),
    ],
    instead: &[("claims", "when"), ("if", "when"), ("scope", "scopes")],
    later: &[],
};

pub(super) static RATE_LIMIT: Table = Table {
    name: "rate_limit",
    doc: "How often one client may use a route, once the host asks for keys.",
    keys: &[
        required(
            "route",
            Kind::Text("^(GET|POST|PUT|DELETE) /"),
            "Method and path as in the OpenAPI document, for instance `POST /v1/agents/{name}/runs`.",
        ),
        required(
            "requests",
            Kind::Integer {
                min: 1,
                max: 1_000_000,
            },
            "Requests of one client within 10 seconds.",
        ),
    ],
    instead: &[("path", "route = \"GET /v1/runs\""), ("limit", "requests")],
    later: &[],
};

pub(super) static MAINTENANCE: Table = Table {
    name: "maintenance",
    doc: "A time in which nothing starts by itself; the ledger says so for each moment.",
    keys: &[
        required(
            "cron",
            Kind::Text(""),
            "When it begins, as in `cron` of an agent.",
        ),
        key("tz", Kind::Text(""), "\"UTC\"", "Time zone of `cron`."),
        required(
            "lasts",
            Kind::Duration {
                min: 60 * SECOND,
                max: 7 * DAY,
            },
            "How long it lasts.",
        ),
    ],
    instead: &[
        ("duration", "lasts = \"2h\""),
        ("start", "cron = \"0 2 * * SUN\""),
    ],
    later: &[],
};

pub(super) static REPOSITORY: Table = Table {
    name: "repository",
    doc: "A git repository that agents can be granted.",
    keys: &[
        key(
            "path",
            Kind::Text(""),
            "",
            "Directory of a local git repository, with or without a working tree, relative to this file.",
        ),
        key(
            "github",
            Kind::Text(""),
            "",
            "Instead of `path`: the repository on GitHub, as `owner/name`. It is reached as `[github]` says.",
        ),
        key(
            "create",
            Kind::Boolean,
            "false",
            "Make a bare repository there if there is nothing; its branch `main` begins with a commit without files.",
        ),
        key(
            "environment",
            Kind::Choice(ENVIRONMENT),
            "\"development\"",
            "What it is for. Changes to production and enterprise repositories wait for a person, whatever an agent's autonomy.",
        ),
    ],
    instead: &[("dir", "path"), ("directory", "path"), ("repo", "github")],
    later: &[(
        "url",
        "name one on GitHub with `github = \"owner/name\"`, or a local clone with `path`",
    )],
};

/// The `[github]` table.
pub(super) static GITHUB: Table = Table {
    name: "github",
    doc: "GitHub: who the host is there, and what is believed that comes from there.",
    keys: &[
        key(
            "app_id",
            Kind::Integer {
                min: 1,
                max: i64::MAX as u64,
            },
            "",
            "The id of the GitHub App that the host acts as, with `private_key` or `private_key_file`.",
        ),
        key(
            "private_key",
            Kind::Text(""),
            "",
            "The App's private key in PEM, with `${NAME}` filled in.",
        ),
        key(
            "private_key_file",
            Kind::Text(""),
            "",
            "A file with the App's private key in PEM, relative to this file; read when it is used, so it may be replaced while the host serves.",
        ),
        key(
            "token",
            Kind::Text(""),
            "",
            "Instead of an App: a personal access token with the scope `repo`, with `${NAME}` filled in. Commits are then signed by the host.",
        ),
        key(
            "author",
            Kind::Text(""),
            "",
            "With `token`: the committer of commits, as `Name <mail@example.com>`; the mail address is one of the token's owner, who has the host's `signing_key.pub` among their signing keys.",
        ),
        key(
            "api_url",
            Kind::Text(""),
            "\"https://api.github.com\"",
            "Where GitHub's REST API is; of GitHub Enterprise `https://HOST/api/v3`.",
        ),
        key(
            "webhook_secrets",
            Kind::Texts,
            "[]",
            "What GitHub signs its deliveries to `/webhooks/github` with, with `${NAME}` filled in: at most two, so that one can be replaced by another.",
        ),
    ],
    instead: &[
        ("secret", "webhook_secrets"),
        ("webhook_secret", "webhook_secrets"),
        ("app", "app_id"),
        ("key", "private_key"),
        ("url", "api_url"),
        ("base_url", "api_url"),
    ],
    later: &[],
};

/// The `[alerts]` table.
pub(super) static ALERTS: Table = Table {
    name: "alerts",
    doc: "The host's own alerts. `GET /v1/alerts` and channels tell of them.",
    keys: &[
        key(
            "every",
            Kind::Duration {
                min: SECOND,
                max: 300 * SECOND,
            },
            "\"15s\"",
            "How often the rules are looked at.",
        ),
        key(
            "disabled",
            Kind::Texts,
            "[]",
            "Names of rules that are off.",
        ),
        key(
            "rules",
            Kind::Named(&ALERT_RULE, LOOSE_NAME),
            "",
            "Other numbers for rules, by name.",
        ),
    ],
    instead: &[("interval", "every"), ("rule", "rules")],
    later: &[],
};

/// An `[alerts.rules.NAME]` table.
pub(super) static ALERT_RULE: Table = Table {
    name: "alert_rule",
    doc: "Other numbers for one of the host's rules; what is not given stays.",
    keys: &[
        key(
            "above",
            Kind::Integer {
                min: 0,
                max: 1_000_000_000,
            },
            "",
            "The rule holds above this: percent, milliseconds or a count, as the rule has it.",
        ),
        key(
            "least",
            Kind::Integer {
                min: 0,
                max: 1_000_000,
            },
            "",
            "The rule holds only if so many of what it counts were in its window.",
        ),
        key(
            "window",
            Kind::Duration {
                min: SECOND,
                max: 3_600 * SECOND,
            },
            "",
            "How far the rule looks back.",
        ),
        key(
            "for",
            Kind::Duration {
                min: 0,
                max: 3_600 * SECOND,
            },
            "",
            "How long the rule has to hold before it fires, and not to hold before it is over.",
        ),
    ],
    instead: &[
        ("threshold", "above"),
        ("min", "least"),
        ("duration", "for"),
    ],
    later: &[],
};

/// The values of `log_format`.
pub(super) const LOG_FORMAT: &[&str] = &["text", "json"];

/// The `[telemetry]` table.
pub(super) static TELEMETRY: Table = Table {
    name: "telemetry",
    doc: "A collector that takes traces and logs by OTLP over HTTP.",
    keys: &[
        key(
            "otlp",
            Kind::Text("^https?://"),
            "",
            "Its address; `/v1/traces` and `/v1/logs` are below it. Without it that of the variable `OTEL_EXPORTER_OTLP_ENDPOINT`.",
        ),
        key(
            "headers",
            Kind::TextMap,
            "{}",
            "Headers of each request, with `${NAME}` filled in.",
        ),
        key("traces", Kind::Boolean, "true", "Whether traces are sent."),
        key(
            "logs",
            Kind::Boolean,
            "true",
            "Whether the log's lines are sent.",
        ),
        key(
            "sample_percent",
            Kind::Integer { min: 0, max: 100 },
            "100",
            "How many of a hundred traces are sent. A trace is sent whole or not at all.",
        ),
        key(
            "service",
            Kind::Text(""),
            "\"infinity\"",
            "What this host is called there.",
        ),
    ],
    instead: &[
        ("endpoint", "otlp"),
        ("url", "otlp"),
        ("sample", "sample_percent"),
        ("service_name", "service"),
    ],
    later: &[("metrics", "have Prometheus read `/metrics`")],
};

/// A `[channels.NAME]` table.
pub(super) static CHANNEL: Table = Table {
    name: "channel",
    doc: "Where people are told of what happens.",
    keys: &[
        required(
            "kind",
            Kind::Choice(CHANNEL_KIND),
            "How it is spoken to: a Discord webhook, a Slack-compatible one, JSON to any address, mail, or PagerDuty's Events API.",
        ),
        key(
            "url",
            Kind::Text(""),
            "",
            "The address, with `${NAME}` filled in: `https://…`, for mail `smtp://user:password@host:587` or `smtps://…`.",
        ),
        key(
            "key",
            Kind::Text(""),
            "",
            "With `${NAME}` filled in: PagerDuty's routing key, or what signs a webhook's body.",
        ),
        key("from", Kind::Text(""), "", "The sender's mail address."),
        key("to", Kind::Texts, "", "Mail addresses."),
        key(
            "on",
            Kind::Texts,
            "",
            "Types of events, or beginnings of types with `*` behind them, that it is told of. Unless set: security, deployments, changes of state, and what waits for people.",
        ),
        key(
            "level",
            Kind::Choice(&["note", "warning", "error"]),
            "\"note\"",
            "The least severity of events that it is told of.",
        ),
        key(
            "per_minute",
            Kind::Integer { min: 1, max: 600 },
            "20",
            "Messages in a minute; what is more becomes one message.",
        ),
        key(
            "digest",
            Kind::Duration {
                min: 10 * SECOND,
                max: DAY,
            },
            "",
            "Events of this time become one message; without it each is told at once.",
        ),
        key(
            "guarantee",
            Kind::Choice(&["at_most_once", "at_least_once"]),
            "\"at_least_once\"",
            "Whether an agent's message is sent again when nobody knows whether it arrived.",
        ),
    ],
    instead: &[
        ("webhook", "url"),
        ("type", "kind"),
        ("events", "on"),
        ("token", "key"),
    ],
    later: &[],
};

/// The values of a channel's `kind`.
pub(super) const CHANNEL_KIND: &[&str] = &["discord", "slack", "webhook", "smtp", "pagerduty"];

/// The values of `priority`, in the order of [`super::Priority`].
pub(super) const PRIORITY: &[&str] = &["high", "normal", "low"];

/// The values of a repository's `environment`, in the order of [`super::Environment`].
pub(super) const ENVIRONMENT: &[&str] = &["development", "staging", "production", "enterprise"];

/// The values of `autonomy`, in the order of [`super::Autonomy`].
pub(super) const AUTONOMY: &[&str] = &["observe", "alert", "approve", "auto_after", "auto"];

/// A list of keys with those of a schedule behind them: agents and pipelines have the same.
macro_rules! with_schedule {
    ($($key:expr),* $(,)?) => {
        &[
            $($key,)*
            key(
                "every",
                Kind::Duration {
                    min: SECOND,
                    max: 366 * DAY,
                },
                "",
                "Time from one run to the next; without it and `cron` the agent runs when somebody asks.",
            ),
            key(
                "cron",
                Kind::Text(""),
                "",
                "When it runs: minute, hour, day of the month, month and day of the week, with seconds before them where they matter.",
            ),
            key(
                "tz",
                Kind::Text(""),
                "",
                "Time zone of `cron`, UTC without it, for instance `Europe/Paris`. A single time of day that a clock skips comes right after the gap, and one that it repeats comes once; several times of day follow the clock.",
            ),
            key(
                "jitter",
                Kind::Duration { min: 0, max: DAY },
                "\"0s\"",
                "Each moment starts up to this much later, so that agents with the same times do not start together.",
            ),
            key(
                "starts_at",
                Kind::Text(""),
                "",
                "No moment before this one, as in RFC 3339.",
            ),
            key(
                "ends_at",
                Kind::Text(""),
                "",
                "No moment from this one on, as in RFC 3339.",
            ),
            key(
                "overlap",
                Kind::Choice(OVERLAP),
                "\"skip\"",
                "What a moment does while a run is in progress: nothing, wait for its end, end it, or start another.",
            ),
            key(
                "catch_up",
                Kind::Choice(CATCH_UP),
                "\"one\"",
                "What becomes of moments that passed while the host was down: the latest runs, all run up to `catch_up_max`, or none does.",
            ),
            key(
                "catch_up_max",
                Kind::Integer { min: 1, max: 1_000 },
                "10",
                "Moments that `catch_up = \"all\"` makes up for; the oldest are given up first.",
            ),
        ]
    };
}

pub(super) static AGENT: Table = Table {
    name: "agent",
    doc: "A plugin with settings, grants, limits and triggers.",
    keys: with_schedule![
        required(
            "plugin",
            Kind::Text(LOOSE_NAME),
            "The plugin's name: its file in the plugin directory without `.wasm`.",
        ),
        key(
            "description",
            Kind::Text(""),
            "",
            "What the agent is for, for people; at most 1_000 characters.",
        ),
        key(
            "enabled",
            Kind::Boolean,
            "true",
            "Whether it runs. A disabled agent is checked all the same, but its environment variables may be missing.",
        ),
        key(
            "on",
            Kind::Texts,
            "[]",
            "Events that start it: types such as `github.push`, beginnings of types such as `run.*`, topics such as `agent.state-changes`. The event is the run's input.",
        ),
        key(
            "webhook",
            Kind::Table(&WEBHOOK),
            "",
            "Signed requests to `/v1/agents/NAME/webhook` that start it, one run for each delivery.",
        ),
        key(
            "priority",
            Kind::Choice(PRIORITY),
            "\"normal\"",
            "Who goes first when places are short: `high` as if it had waited for half a minute more than `normal`, `low` as if for two minutes less, so that none waits for ever.",
        ),
        key(
            "commands",
            Kind::Boolean,
            "false",
            "Whether it is the agent that `POST /v1/commands` hands commands to; one agent at most.",
        ),
        key(
            "concurrency",
            Kind::Integer { min: 1, max: 1_000 },
            "",
            "Runs of this agent at once; without it half of the host's `concurrency`.",
        ),
        key(
            "retries",
            Kind::Integer { min: 0, max: 20 },
            "4",
            "Further attempts at a run that started by itself and ended for a reason that may pass.",
        ),
        key(
            "retry_delay",
            Kind::Duration {
                min: 100,
                max: 600 * SECOND,
            },
            "\"1s\"",
            "Time before the second attempt; it doubles before each further one, up to ten minutes.",
        ),
        key(
            "for_each",
            Kind::Text("^repos/"),
            "",
            "Make one agent of this entry for each repository that matches, for instance `repos/*`, named NAME-REPOSITORY. `{repository}` in the entry's strings is the repository's name.",
        ),
        key(
            "settings",
            Kind::Free,
            "",
            "Handed to the plugin, which says what it understands.",
        ),
        key(
            "grants",
            Kind::Table(&GRANTS),
            "",
            "What the agent may reach.",
        ),
        key("limits", Kind::Table(&LIMITS), "", "What one run may use."),
        key(
            "autonomy",
            Kind::Choice(AUTONOMY),
            "\"approve\"",
            "What happens to proposed effects: recorded, announced, held for people, applied unless somebody objects, applied.",
        ),
        key(
            "dry_run",
            Kind::Boolean,
            "false",
            "Judge effects and record what would happen, but apply none.",
        ),
        key(
            "veto",
            Kind::Duration {
                min: 10 * SECOND,
                max: 7 * 24 * 3600 * SECOND,
            },
            "\"5m\"",
            "How long people may object to an effect under `auto_after` before it is applied.",
        ),
        key(
            "effects_per_hour",
            Kind::Integer {
                min: 1,
                max: 10_000,
            },
            "60",
            "Effects applied in an hour that nobody approved; further ones wait.",
        ),
        key(
            "policies",
            Kind::Text(""),
            "",
            "Directory whose `.rego`, `.json` and `.yaml` files are handed to the component's `init`, relative to this file.",
        ),
        key(
            "snapshot",
            Kind::Boolean,
            "true",
            "Start runs from a snapshot taken after `init`.",
        ),
        key(
            "shadow",
            Kind::Integer { min: 0, max: 20 },
            "0",
            "On how many recorded inputs a new version is tried, without consequences, before it takes over; one that ends worse than the version in force does not.",
        ),
        key(
            "canary",
            Kind::Table(&CANARY),
            "",
            "A new component gets a part of the runs first.",
        ),
    ],
    instead: &[
        ("schedule", "every = \"15m\""),
        ("interval", "every = \"15m\""),
        ("timeout", "limits = { time = \"30s\" }"),
        ("time", "limits = { time = \"30s\" }"),
        ("memory", "limits = { memory = \"64MiB\" }"),
        ("disabled", "enabled = false"),
        ("wasm", "plugin"),
        ("config", "settings"),
        ("permissions", "[agents.NAME.grants]"),
        ("repos", "grants = { repos = [{ name = \"…\" }] }"),
        ("http", "grants = { http = [{ url = \"…\" }] }"),
        (
            "directories",
            "grants = { directories = [{ host = \"…\", guest = \"/…\" }] }",
        ),
        ("env", "grants = { env = { NAME = \"…\" } }"),
    ],
    later: &[],
};

pub(super) static WEBHOOK: Table = Table {
    name: "webhook",
    doc: "Requests of other programs that start runs, each signed with a secret that both sides know.",
    keys: &[
        required(
            "secret",
            Kind::Text(""),
            "What the sender signs with (HMAC with SHA-256 over the body); `${NAME}` is the environment variable. At least 16 characters.",
        ),
        key(
            "events",
            Kind::Texts,
            "[]",
            "Values of `X-GitHub-Event` or `X-Event` that start runs; every value without it.",
        ),
    ],
    instead: &[
        ("token", "secret = \"${NAME}\""),
        ("key", "secret = \"${NAME}\""),
    ],
    later: &[],
};

pub(super) static PIPELINE: Table = Table {
    name: "pipeline",
    doc: "Agents that run one after the other.",
    keys: with_schedule![
        key(
            "description",
            Kind::Text(""),
            "",
            "What the pipeline is for, for people; at most 1_000 characters.",
        ),
        required(
            "steps",
            Kind::Steps(&STEP),
            "Names of agents in their order; the first failure ends it, unless the step is written `{ agent = \"NAME\", continue = true }`.",
        ),
    ],
    instead: &[
        ("agents", "steps = [\"…\"]"),
        ("stages", "steps = [\"…\"]"),
        ("schedule", "every = \"1h\""),
        ("interval", "every = \"1h\""),
    ],
    later: &[],
};

pub(super) static STEP: Table = Table {
    name: "step",
    doc: "One step of a pipeline.",
    keys: &[
        required("agent", Kind::Text(AGENT_NAME), "The agent that runs."),
        key(
            "continue",
            Kind::Boolean,
            "false",
            "Whether the next step comes after this one failed, too.",
        ),
    ],
    instead: &[("name", "agent"), ("continue_on_error", "continue = true")],
    later: &[],
};

pub(super) static GRANTS: Table = Table {
    name: "grants",
    doc: "What an agent may reach. What is not listed is denied.",
    keys: &[
        key(
            "repos",
            Kind::Tables(&REPOSITORY_GRANT),
            "[]",
            "Repositories of `[repositories]`.",
        ),
        key(
            "http",
            Kind::Tables(&HTTP_GRANT),
            "[]",
            "Hosts and paths that may be requested.",
        ),
        key(
            "directories",
            Kind::Tables(&DIRECTORY_GRANT),
            "[]",
            "Directories of this machine.",
        ),
        key(
            "env",
            Kind::TextMap,
            "{}",
            "Environment variables of the guest. `${NAME}` in a value is the host's variable; the guest can read the value.",
        ),
        key(
            "events",
            Kind::Texts,
            "[]",
            "Types of events that the agent may emit, for instance `build.*`; never those of the host itself.",
        ),
        key(
            "agents",
            Kind::Texts,
            "[]",
            "Agents that it may propose to start, pause, resume or put into quarantine.",
        ),
        key(
            "channels",
            Kind::Texts,
            "[]",
            "Channels that it may propose to write to.",
        ),
        key(
            "views",
            Kind::Texts,
            "[]",
            "Files that the host makes of what it knows of itself, and that it may read: `scheduler.log`, `pause.flag`, `security_audit.json`, `banned_ips.json`, `checkpoints.jsonl`.",
        ),
        key(
            "checks",
            Kind::Boolean,
            "false",
            "Whether the agent may have code judged, in sandboxes that reach nothing.",
        ),
        key(
            "secrets",
            Kind::Texts,
            "",
            "Secrets that the agent's credentials and variables may name, each by its whole name; without this list they may name any.",
        ),
        key(
            "reveal",
            Kind::Texts,
            "",
            "Of these secrets the ones that the guest itself may read. Each time is in the journal.",
        ),
    ],
    instead: &[
        ("repositories", "repos"),
        ("repo", "repos"),
        ("environment", "env"),
        ("dirs", "directories"),
        ("files", "directories"),
        ("hosts", "http"),
        ("urls", "http"),
    ],
    later: &[],
};

pub(super) static REPOSITORY_GRANT: Table = Table {
    name: "repository_grant",
    doc: "What an agent may do with one repository.",
    keys: &[
        required(
            "name",
            Kind::Text(GRANTED_NAME),
            "A name of `[repositories]`.",
        ),
        key(
            "read",
            Kind::Boolean,
            "true",
            "List, read, log and diff through the forge interface.",
        ),
        key(
            "files",
            Kind::Boolean,
            "false",
            "Show the checkout to the guest as a read-only directory.",
        ),
        key(
            "checkout",
            Kind::Text("^/"),
            "",
            "Where the guest sees the checkout; `/repos/NAME` where `files` is true and this is not set. Setting it sets `files`.",
        ),
        key(
            "commit",
            Kind::Branches,
            "false",
            "Propose commits: to branches that match these patterns, or to any.",
        ),
        key(
            "pull_request",
            Kind::Branches,
            "false",
            "Propose pull requests into these branches.",
        ),
        key(
            "merge",
            Kind::Branches,
            "false",
            "Propose merges into these branches.",
        ),
        key("issue", Kind::Branches, "false", "Propose issues."),
        key("comment", Kind::Branches, "false", "Propose comments."),
        key(
            "status",
            Kind::Branches,
            "false",
            "Propose commit statuses on these branches.",
        ),
        key(
            "publication",
            Kind::Branches,
            "false",
            "Propose publications from these branches.",
        ),
    ],
    instead: &[
        ("repository", "name"),
        ("write", "commit = [\"BRANCH\"]"),
        ("branches", "commit = [\"BRANCH\"]"),
        ("path", "[repositories.NAME]` with `path = \"…\""),
    ],
    later: &[],
};

pub(super) static HTTP_GRANT: Table = Table {
    name: "http_grant",
    doc: "Requests that an agent may send.",
    keys: &[
        required(
            "url",
            Kind::Text("^https?://[^/?#@]+(/[^?#]*)?$"),
            "Scheme, host, and port and path where they matter, for instance `https://api.example.com/v1/*`.",
        ),
        key("methods", Kind::Texts, "[\"GET\", \"HEAD\"]", "Methods."),
        key(
            "private",
            Kind::Texts,
            "[]",
            "Ranges of non-public addresses that the host's name may resolve to, for instance `10.2.0.0/16`.",
        ),
        key(
            "credential",
            Kind::Table(&CREDENTIAL),
            "",
            "A header that the host adds and the guest never sees.",
        ),
    ],
    instead: &[
        ("host", "url"),
        ("method", "methods = [\"GET\"]"),
        ("token", "credential = { value = \"Bearer ${NAME}\" }"),
        (
            "headers",
            "credential = { header = \"…\", value = \"${NAME}\" }",
        ),
    ],
    later: &[],
};

pub(super) static CREDENTIAL: Table = Table {
    name: "credential",
    doc: "A header that the host sets on matching requests, in place of whatever the guest set.",
    keys: &[
        key(
            "header",
            Kind::Text("^[!#$%&'*+.^_`|~0-9A-Za-z-]+$"),
            "\"authorization\"",
            "The header's name.",
        ),
        required(
            "value",
            Kind::Text(""),
            "The header's value; `${NAME}` is the environment variable.",
        ),
    ],
    instead: &[("name", "header"), ("token", "value = \"Bearer ${NAME}\"")],
    later: &[],
};

pub(super) static DIRECTORY_GRANT: Table = Table {
    name: "directory_grant",
    doc: "A directory of this machine that the guest sees.",
    keys: &[
        required(
            "host",
            Kind::Text(""),
            "The directory, relative to this file.",
        ),
        required(
            "guest",
            Kind::Text("^/"),
            "Where the guest sees it: absolute, without `.`, `..` or a `/` at the end.",
        ),
        key(
            "write",
            Kind::Boolean,
            "false",
            "Whether the guest may change what is in it.",
        ),
    ],
    instead: &[
        ("path", "host = \"…\", guest = \"/…\""),
        ("read_only", "write = false"),
    ],
    later: &[],
};

const LEAST: RunBudget = RunBudget::MINIMUM;
const MOST: RunBudget = RunBudget::MAXIMUM;

const fn or_zero(value: Option<u64>) -> u64 {
    match value {
        Some(value) => value,
        None => 0,
    }
}

const fn count(min: u64, max: u64) -> Kind {
    Kind::Integer { min, max }
}

const fn size(min: u64, max: u64) -> Kind {
    Kind::Size { min, max }
}

/// The keys of `limits`. Ranges are those of [`RunBudget`]; the defaults are compared with it by a test.
pub(super) static LIMITS: Table = Table {
    name: "limits",
    doc: "What one run may use. Nothing means \"unlimited\".",
    keys: &[
        key(
            "time",
            Kind::Duration {
                min: LEAST.time_ms,
                max: MOST.time_ms,
            },
            "\"30s\"",
            "Wall-clock time.",
        ),
        key(
            "cpu",
            Kind::Duration {
                min: LEAST.cpu_ms,
                max: MOST.cpu_ms,
            },
            "\"10s\"",
            "CPU time.",
        ),
        key(
            "fuel",
            count(or_zero(LEAST.fuel), or_zero(MOST.fuel)),
            "",
            "Fuel, exact and repeatable; without it the CPU time alone stops the guest.",
        ),
        key(
            "memory",
            size(LEAST.memory_bytes, MOST.memory_bytes),
            "\"64MiB\"",
            "Linear memory, summed.",
        ),
        key(
            "table_elements",
            count(LEAST.table_elements, MOST.table_elements),
            "20000",
            "Table elements, summed.",
        ),
        key(
            "instances",
            count(LEAST.instances as u64, MOST.instances as u64),
            "100",
            "Core instances, memories and tables, each.",
        ),
        key(
            "host_calls",
            count(LEAST.host_calls, MOST.host_calls),
            "1000000",
            "Calls from the guest into the host.",
        ),
        key(
            "boundary",
            size(LEAST.boundary_bytes, MOST.boundary_bytes),
            "\"256MiB\"",
            "Bytes taken from the guest over all calls.",
        ),
        key(
            "handles",
            count(LEAST.handles as u64, MOST.handles as u64),
            "1000",
            "Resource handles at once.",
        ),
        key(
            "log",
            size(LEAST.log_bytes, MOST.log_bytes),
            "\"256KiB\"",
            "Log and standard streams together; the rest is cut.",
        ),
        key(
            "output",
            size(LEAST.output_bytes, MOST.output_bytes),
            "\"8MiB\"",
            "Report and artifacts together.",
        ),
        key(
            "http_requests",
            count(LEAST.http_requests as u64, MOST.http_requests as u64),
            "100",
            "Outgoing requests.",
        ),
        key(
            "http_sent",
            size(LEAST.http_sent_bytes, MOST.http_sent_bytes),
            "\"8MiB\"",
            "Bytes of request bodies.",
        ),
        key(
            "http_received",
            size(LEAST.http_received_bytes, MOST.http_received_bytes),
            "\"32MiB\"",
            "Bytes of answers.",
        ),
        key(
            "random",
            size(LEAST.random_bytes, MOST.random_bytes),
            "\"1MiB\"",
            "Random bytes.",
        ),
        key(
            "files",
            size(LEAST.files_bytes, MOST.files_bytes),
            "\"64MiB\"",
            "Bytes added to writable directories.",
        ),
        key(
            "files_count",
            count(LEAST.files_count, MOST.files_count),
            "1000",
            "Files and directories created.",
        ),
        key(
            "key_value",
            size(LEAST.key_value_bytes, MOST.key_value_bytes),
            "\"16MiB\"",
            "Bytes of the agent's key-value space, keys included.",
        ),
        key(
            "key_value_keys",
            count(LEAST.key_value_keys, MOST.key_value_keys),
            "10000",
            "Keys of the agent's key-value space.",
        ),
    ],
    instead: &[
        ("timeout", "time"),
        ("wall", "time"),
        ("wall_time", "time"),
        ("tables", "table_elements"),
        ("http", "http_requests"),
        ("logs", "log"),
        ("disk", "files"),
    ],
    later: &[],
};
