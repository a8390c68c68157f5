//! `[host]`, environment variables and flags to [`HostConfig`]: flags go over variables, variables over the file, the file over defaults.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::Range;
use std::path::{Path, PathBuf};

use http::Uri;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::access::{self, AccessConfig};
use super::error::{Errors, literal};
use super::paths::resolve;
use super::reader::Reader;
use super::secret::Secret;
use super::triggers::{self, Maintenance};
use super::{Overrides, limits};
use crate::logging::LogFormat;
use crate::sandbox::budget::RunBudget;

/// The host itself. Source: `[host]`.
#[derive(Clone, Debug, PartialEq)]
pub struct HostConfig {
    /// Where the API and the console listen, default [`DEFAULT_LISTEN`]; port 0 takes any free one.
    /// Source: `listen`, its port over it from `PORT`, over both `--listen`.
    pub listen: SocketAddr,
    /// Database, compile cache and artifacts; default [`DEFAULT_STATE`]. Need not exist. Source: `state`, over it `--state` (relative to the working directory).
    pub state: PathBuf,
    /// `.wasm` components; default [`DEFAULT_PLUGINS`]. Need not exist. Source: `plugins`.
    pub plugins: PathBuf,
    /// Scripts that look at submissions; default [`DEFAULT_CHECKS`]. Need not exist. Source: `checks`.
    pub checks: PathBuf,
    /// `http://host:port` of a proxy for outgoing requests, without user or path. Source: `proxy`.
    pub proxy: Option<String>,
    /// PEM file with further certificate authorities; at least one when it was checked. Source: `ca_file`.
    pub ca_file: Option<PathBuf>,
    /// How the log is written; default [`LogFormat::Text`]. Source: `log_format`, over it `--log-format`.
    pub log_format: LogFormat,
    /// Runs at once: 1 to 1,000, default [`DEFAULT_CONCURRENCY`]. Source: `concurrency`.
    pub concurrency: u32,
    /// Runs at once while many wait: [`HostConfig::concurrency`] to 1,000, default 20. Source: `concurrency_max`.
    pub concurrency_max: u32,
    /// Bytes of the state folder: 64 MiB to 16 TiB, default [`DEFAULT_STATE_BUDGET`]. Source: `state_budget`.
    pub state_budget: u64,
    /// Files of commands that can be given by name; default [`DEFAULT_COMMAND_TEMPLATES`]. Need not exist. Source: `command_templates`.
    pub command_templates: PathBuf,
    /// Runs that may wait: 1 to 1,000,000, default [`DEFAULT_QUEUE`]. Source: `queue`.
    pub queue: u32,
    /// CPU time for compiling one component, in milliseconds: 1,000 to 3,600,000, default [`DEFAULT_COMPILE_CPU_MS`]. Source: `compile_cpu`.
    pub compile_cpu_ms: u64,
    /// Memory for compiling one component, in bytes: 64 MiB to 64 GiB, default [`DEFAULT_COMPILE_MEMORY_BYTES`]. Source: `compile_memory`.
    pub compile_memory_bytes: u64,
    /// Limits of agents that set none. Source: `[host.limits]` over [`RunBudget::default`].
    pub limits: RunBudget,
    /// A further listener for badges: 1 to 65,535. Source: `badge_port`, over it `BADGE_PORT`.
    pub badge_port: Option<u16>,
    /// A further listener for deployments: 1 to 65,535. Source: `autodeploy_port`, over it `AUTODEPLOY_PORT`.
    pub autodeploy_port: Option<u16>,
    /// A further listener for `/v1`: 1 to 65,535. Source: `gateway_port`.
    pub gateway_port: Option<u16>,
    /// A further listener for `/metrics`; none unless set. Source: `metrics_listen`.
    pub metrics_listen: Option<SocketAddr>,
    /// Times in which nothing starts by itself. Source: `[[host.maintenance]]`.
    pub maintenance: Vec<Maintenance>,
    /// Pull requests that are refused or reverted within an hour before the kill switch is thrown: 1 to 100,000, default [`DEFAULT_KILL_AFTER_PULL_REQUESTS`]. Source: `kill_after_pull_requests`.
    pub kill_after_pull_requests: u32,
    /// Crashes in a row of an agent's new version before the one before takes its place: 1 to 100, default [`DEFAULT_ROLLBACK_AFTER`]. Source: `rollback_after`.
    pub rollback_after: u32,
    /// US dollars that models may cost on one day in UTC: 1 to 1,000,000; at twice that the kill switch is thrown. Source: `daily_budget_usd`.
    pub daily_budget_usd: Option<u32>,
    /// Who may call.
    pub access: AccessConfig,
    /// Environment variables that stages to come use.
    pub variables: Variables,
}

/// Environment variables that are recognised and kept; an empty one counts as unset.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Variables {
    /// `GITHUB_REPO`.
    pub github_repo: Option<String>,
    /// `GITHUB_TOKEN`.
    pub github_token: Option<Secret>,
    /// `DISCORD_WEBHOOK`; its address is what grants access.
    pub discord_webhook: Option<Secret>,
    /// `FOUNDER_API_KEY`.
    pub founder_api_key: Option<Secret>,
}

/// Default of [`HostConfig::listen`].
pub const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8080);
/// Default of [`HostConfig::state`], in the directory of the file.
pub const DEFAULT_STATE: &str = "var";
/// Default of [`HostConfig::plugins`], in the directory of the file.
pub const DEFAULT_PLUGINS: &str = "plugins/dist";
/// Default of [`HostConfig::checks`], in the directory of the file.
pub const DEFAULT_CHECKS: &str = "checks";
/// Default of [`HostConfig::concurrency`].
pub const DEFAULT_CONCURRENCY: u32 = 8;
/// Default of [`HostConfig::concurrency_max`].
pub const DEFAULT_CONCURRENCY_MAX: u32 = 20;
/// Default of [`HostConfig::state_budget`].
pub const DEFAULT_STATE_BUDGET: u64 = 10 << 30;
/// Default of [`HostConfig::command_templates`], in the directory of the file.
pub const DEFAULT_COMMAND_TEMPLATES: &str = "commands";
/// Default of [`HostConfig::kill_after_pull_requests`]: far more than people refuse on a busy day.
pub const DEFAULT_KILL_AFTER_PULL_REQUESTS: u32 = 100;
/// Default of [`HostConfig::rollback_after`]: before five crashes bring the agent into quarantine.
pub const DEFAULT_ROLLBACK_AFTER: u32 = 3;
/// Default of [`HostConfig::queue`].
pub const DEFAULT_QUEUE: u32 = 10_000;
/// Default of [`HostConfig::compile_cpu_ms`]: twice what a Python component takes.
pub const DEFAULT_COMPILE_CPU_MS: u64 = 60_000;
/// Default of [`HostConfig::compile_memory_bytes`].
pub const DEFAULT_COMPILE_MEMORY_BYTES: u64 = 2 << 30;

/// Bytes of `ca_file`: several times what a whole operating system trusts.
const MAX_CA_FILE: u64 = 4 << 20;

impl HostConfig {
    /// Keeps what a host settles when it starts, and names the keys of `[host]` that are different there.
    pub(crate) fn keep_settled(&mut self, settled: &Self) -> Vec<String> {
        let mut different = Vec::new();
        macro_rules! keep {
            ($($field:ident => $key:literal),* $(,)?) => {$(
                if self.$field != settled.$field {
                    different.push(concat!("host.", $key).to_owned());
                    self.$field.clone_from(&settled.$field);
                }
            )*};
        }
        keep!(
            listen => "listen",
            state => "state",
            proxy => "proxy",
            ca_file => "ca_file",
            concurrency => "concurrency",
            concurrency_max => "concurrency_max",
            queue => "queue",
            compile_cpu_ms => "compile_cpu",
            compile_memory_bytes => "compile_memory",
            badge_port => "badge_port",
            autodeploy_port => "autodeploy_port",
            gateway_port => "gateway_port",
            metrics_listen => "metrics_listen",
            log_format => "log_format",
            access => "access",
            variables => "variables",
        );
        different
    }

    fn new(root: &Path) -> Self {
        Self {
            listen: DEFAULT_LISTEN,
            state: resolve(root, DEFAULT_STATE),
            plugins: resolve(root, DEFAULT_PLUGINS),
            checks: resolve(root, DEFAULT_CHECKS),
            proxy: None,
            ca_file: None,
            log_format: LogFormat::default(),
            concurrency: DEFAULT_CONCURRENCY,
            concurrency_max: DEFAULT_CONCURRENCY_MAX,
            state_budget: DEFAULT_STATE_BUDGET,
            command_templates: resolve(root, DEFAULT_COMMAND_TEMPLATES),
            queue: DEFAULT_QUEUE,
            compile_cpu_ms: DEFAULT_COMPILE_CPU_MS,
            compile_memory_bytes: DEFAULT_COMPILE_MEMORY_BYTES,
            limits: RunBudget::default(),
            badge_port: None,
            autodeploy_port: None,
            gateway_port: None,
            metrics_listen: None,
            maintenance: Vec::new(),
            kill_after_pull_requests: DEFAULT_KILL_AFTER_PULL_REQUESTS,
            rollback_after: DEFAULT_ROLLBACK_AFTER,
            daily_budget_usd: None,
            access: AccessConfig::default(),
            variables: Variables::default(),
        }
    }
}

/// Reads `[host]` if there is one, then what goes over it.
pub(super) fn read(
    table: Option<&Reader<'_, '_>>,
    root: &Path,
    environment: &dyn Fn(&str) -> Option<String>,
    overrides: &Overrides,
    errors: &mut Errors,
) -> HostConfig {
    let mut host = HostConfig::new(root);
    if let Some(table) = table {
        from_file(&mut host, table, root, environment, errors);
    }
    from_variables(&mut host, environment, errors);
    if let Some(listen) = overrides.listen {
        host.listen = listen;
    }
    if let Some(state) = &overrides.state {
        // A flag is typed in a shell, so it is relative to where the shell is.
        match std::path::absolute(state) {
            Ok(state) => host.state = state,
            Err(error) => {
                errors.anywhere(format!(
                    "the flag `--state` is not a path: {}",
                    error.kind()
                ));
            }
        }
    }
    host
}

fn from_file(
    host: &mut HostConfig,
    table: &Reader<'_, '_>,
    root: &Path,
    environment: &dyn Fn(&str) -> Option<String>,
    errors: &mut Errors,
) {
    host.maintenance = triggers::maintenance(table, errors);
    host.access = access::read(root, table, environment, errors);
    if let Some(text) = table.text("listen", errors) {
        match text.get_ref().parse::<SocketAddr>() {
            Ok(listen) => host.listen = listen,
            Err(_) => {
                errors
                    .at(
                        text.span(),
                        format!("{} is not an address with a port", literal(text.get_ref())),
                    )
                    .help("write for instance `127.0.0.1:8080`");
            }
        }
    }
    if let Some(text) = table.text("metrics_listen", errors) {
        host.metrics_listen = text.get_ref().parse().ok();
        if host.metrics_listen.is_none() {
            errors
                .at(
                    text.span(),
                    format!("{} is not an address with a port", literal(text.get_ref())),
                )
                .help("write for instance `127.0.0.1:9464`");
        }
    }
    if let Some(path) = table.path("state", errors) {
        host.state = resolve(root, path.get_ref());
    }
    if let Some(path) = table.path("plugins", errors) {
        host.plugins = resolve(root, path.get_ref());
    }
    if let Some(path) = table.path("checks", errors) {
        host.checks = resolve(root, path.get_ref());
    }
    if let Some(text) = table.text("proxy", errors) {
        host.proxy = proxy(text.get_ref(), text.span(), errors);
    }
    if let Some(path) = table.path("ca_file", errors) {
        let file = resolve(root, path.get_ref());
        if let Err(reason) = check_ca_file(&file) {
            errors
                .at(
                    path.span(),
                    format!("certificate file {} {reason}", literal(path.get_ref())),
                )
                .help("name a PEM file with at least one `BEGIN CERTIFICATE` block; relative paths start at the directory of this file");
        }
        host.ca_file = Some(file);
    }
    if table.choice("log_format", errors) == Some(1) {
        host.log_format = LogFormat::Json;
    }
    let numbers = [
        ("concurrency", &mut host.concurrency),
        ("queue", &mut host.queue),
        (
            "kill_after_pull_requests",
            &mut host.kill_after_pull_requests,
        ),
        ("rollback_after", &mut host.rollback_after),
    ];
    for (name, field) in numbers {
        // The range of the key ends below what the field holds; so for the ports.
        if let Some(number) = table.number(name, errors).and_then(|n| n.try_into().ok()) {
            *field = number;
        }
    }
    host.daily_budget_usd = table
        .number("daily_budget_usd", errors)
        .and_then(|usd| usd.try_into().ok());
    let most = table.number("concurrency_max", errors);
    if let Some(most) = most.and_then(|most| u32::try_from(most).ok()) {
        if most < host.concurrency {
            errors
                .at(
                    table.place_of("concurrency_max"),
                    "`concurrency_max` is less than `concurrency`",
                )
                .help("give both the same number for a fixed one");
        }
        host.concurrency_max = most;
    }
    host.concurrency_max = host.concurrency_max.max(host.concurrency);
    if let Some(bytes) = table.number("state_budget", errors) {
        host.state_budget = bytes;
    }
    if let Some(path) = table.path("command_templates", errors) {
        host.command_templates = resolve(root, path.get_ref());
    }
    if let Some(ms) = table.number("compile_cpu", errors) {
        host.compile_cpu_ms = ms;
    }
    if let Some(bytes) = table.number("compile_memory", errors) {
        host.compile_memory_bytes = bytes;
    }
    let ports = [
        ("badge_port", &mut host.badge_port),
        ("autodeploy_port", &mut host.autodeploy_port),
        ("gateway_port", &mut host.gateway_port),
    ];
    for (name, field) in ports {
        *field = table.number(name, errors).and_then(|n| n.try_into().ok());
    }
    if let Some(table) = table.table("limits", "`[host.limits]`".to_owned(), errors) {
        host.limits = limits::read(&table, &host.limits, errors);
    }
}

fn from_variables(
    host: &mut HostConfig,
    environment: &dyn Fn(&str) -> Option<String>,
    errors: &mut Errors,
) {
    let variable = |name: &str| environment(name).filter(|value| !value.is_empty());
    let mut port = |name: &str, least: u16| {
        let written = variable(name)?;
        let port = written.parse::<u16>().ok().filter(|port| *port >= least);
        if port.is_none() {
            errors
                .anywhere(format!(
                    "the environment variable `{name}` is {}, which is not a port",
                    literal(&written)
                ))
                .help(format!(
                    "set it to a number from {least} to 65_535, or unset it"
                ));
        }
        port
    };
    if let Some(port) = port("PORT", 0) {
        host.listen.set_port(port);
    }
    host.badge_port = port("BADGE_PORT", 1).or(host.badge_port);
    host.autodeploy_port = port("AUTODEPLOY_PORT", 1).or(host.autodeploy_port);
    host.variables = Variables {
        github_repo: variable("GITHUB_REPO"),
        github_token: variable("GITHUB_TOKEN").map(Secret::new),
        discord_webhook: variable("DISCORD_WEBHOOK").map(Secret::new),
        founder_api_key: variable("FOUNDER_API_KEY").map(Secret::new),
    };
}

fn proxy(written: &str, span: Range<usize>, errors: &mut Errors) -> Option<String> {
    let uri = written.parse::<Uri>().ok();
    let authority = uri.as_ref().and_then(Uri::authority);
    let reason = match (&uri, authority) {
        (Some(uri), Some(authority)) => {
            if uri.scheme_str() != Some("http") {
                "does not start with `http://`"
            } else if authority.as_str().contains('@') {
                "holds a user name or a password"
            } else if authority.host().is_empty() {
                "names no host"
            } else if authority.as_str().len() > authority.host().len()
                && authority.port_u16().is_none_or(|port| port == 0)
            {
                "has a port that is not between 1 and 65_535"
            } else if uri
                .path_and_query()
                .is_some_and(|path| path.as_str() != "/")
                || written.contains('#')
            {
                "has a path"
            } else {
                return Some(format!("http://{authority}"));
            }
        }
        _ => "is not an address",
    };
    errors
        .at(span, format!("proxy {} {reason}", literal(written)))
        .help("write for instance `http://proxy.internal:3128`");
    None
}

pub(super) fn check_ca_file(path: &Path) -> Result<(), String> {
    let metadata = path
        .metadata()
        .map_err(|error| format!("cannot be read: {}", error.kind()))?;
    if !metadata.is_file() {
        return Err("is not a file".to_owned());
    }
    if metadata.len() > MAX_CA_FILE {
        return Err("is over 4 MiB".to_owned());
    }
    let content =
        std::fs::read(path).map_err(|error| format!("cannot be read: {}", error.kind()))?;
    let mut certificates = 0;
    for certificate in CertificateDer::pem_slice_iter(&content) {
        certificate.map_err(|_| "is not valid PEM".to_owned())?;
        certificates += 1;
    }
    if certificates == 0 {
        return Err("holds no certificate".to_owned());
    }
    Ok(())
}
