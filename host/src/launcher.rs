//! The command line's way to the application: a client of the host that runs, or of one made for a single command; and the policy commands, which need a sandbox
//! and no host.

use crate::app::{ADDRESS_FILE, App, Options, SOCKET_FILE};
use crate::cli::{
    BackupPlace, CliError, Client, GlobalOptions, Launcher, PolicyAnswer, PolicyEvalOptions,
    PolicyTest, PolicyTestOptions, PolicyTestOutcome, SecretPlace, ServeOptions,
};
use crate::config::{self, Config, Overrides};
use crate::dev;
use crate::diagnostics;
use crate::doctor::{self, Item, List};
use crate::logging::{self, LogFormat, LogLevel};
use crate::registry::{COMPONENT_MAX_BYTES, policy_files};
use crate::sandbox::budget::RunBudget;
use crate::sandbox::call::{Answer, Call, Decision};
use crate::sandbox::http::{EgressGate, GateSettings};
use crate::sandbox::inspect::{Inspection, inspect};
use crate::sandbox::meter::Meter;
use crate::sandbox::state::Capabilities;
use crate::sandbox::{
    CallEnd, InitFile, InitInput, Job, LoadRequest, Loaded, LocalSandbox, Sandbox, SandboxOptions,
    digest, worker,
};
use crate::secrets::Secrets;
use crate::store::{StoreError, keep};
use crate::supply::Supply;
use crate::telemetry;
use anyhow::Context as _;
use async_trait::async_trait;
use futures::future::BoxFuture;
use serde_json::{Value, json};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// What one policy command may use: whole trees and their tests are larger than a run of an agent.
const POLICY_TIME_MS: u64 = 300_000;
const POLICY_MEMORY_BYTES: u64 = 1024 * 1024 * 1024;
const POLICY_OUTPUT_BYTES: u64 = 64 * 1024 * 1024;

/// Text of a tree that one evaluation judges, in bytes: larger trees are judged in parts.
const TREE_PART_BYTES: usize = 2 * 1024 * 1024;

/// A tracked file above this size is data and not judged, in bytes.
const TREE_FILE_MAX_BYTES: u64 = 8 * 1024 * 1024;

/// The command line's launcher.
#[derive(Default)]
pub struct Program {
    /// The host that was made for a single command.
    app: tokio::sync::Mutex<Option<Arc<App>>>,
}

impl Program {
    /// Closes the host that was made for a single command, if one was.
    ///
    /// # Errors
    /// When the last writes fail.
    pub async fn close(&self) -> anyhow::Result<()> {
        match self.app.lock().await.take() {
            Some(app) => app.close().await,
            None => Ok(()),
        }
    }
}

fn failed(error: &anyhow::Error) -> CliError {
    let hint = match error.downcast_ref::<StoreError>() {
        Some(StoreError::Locked { .. }) => Some(
            "a host runs on this state folder: stop it, or start with `--state DIR`".to_owned(),
        ),
        _ => None,
    };
    CliError::Failed {
        message: format!("{error:#}"),
        hint,
    }
}

/// What this machine has of the secrets that a configuration names.
fn secrets_here(global: &GlobalOptions, overrides: &Overrides) -> Secrets {
    let state = match &overrides.state {
        Some(state) => state.clone(),
        None => state_despite_mistakes(&global.config),
    };
    Secrets::open(&global.config, &state)
}

fn load_with(
    secrets: &Secrets,
    global: &GlobalOptions,
    overrides: &Overrides,
) -> Result<Config, CliError> {
    config::load(&global.config, &|name| secrets.value(name), overrides)
        .map_err(|errors| CliError::Config(Box::new(errors)))
}

/// The configuration with its secrets, for which a Vault is asked where there is one.
async fn load(
    global: &GlobalOptions,
    overrides: &Overrides,
) -> Result<(Config, Arc<Secrets>), CliError> {
    let secrets = Arc::new(secrets_here(global, overrides));
    secrets.refresh().await;
    let config = load_with(&secrets, global, overrides).inspect_err(|_| {
        // Why a value is missing that the configuration asks for.
        for problem in secrets.problems() {
            let _ = writeln!(std::io::stderr(), "warning: {problem}");
        }
    })?;
    Ok((config, secrets))
}

/// What a person who starts a host wants to know first.
fn greeting(app: &App, address: std::net::SocketAddr) -> String {
    use std::fmt::Write as _;
    let registry = app.registry();
    let scheme = scheme(&registry.config);
    let mut text = format!(
        "infinity {} serves on {scheme}://{address}\n\n",
        env!("CARGO_PKG_VERSION")
    );
    for (name, agent) in &registry.agents {
        let when = match (&agent.loaded, &agent.config.schedule) {
            _ if !agent.config.enabled => "disabled".to_owned(),
            (Err(refusal), _) => format!("cannot run: {}", refusal.message),
            (Ok(_), Some(schedule)) => schedule.to_string(),
            (Ok(_), None) => "when asked".to_owned(),
        };
        let _ = writeln!(text, "  {name:<16} {:<16} {when}", agent.config.plugin);
    }
    for pipeline in registry.config.pipelines.values() {
        let steps: Vec<&str> = pipeline
            .steps
            .iter()
            .map(|step| step.agent.as_str())
            .collect();
        let when = pipeline
            .schedule
            .as_ref()
            .map_or_else(|| "when asked".to_owned(), ToString::to_string);
        let _ = writeln!(
            text,
            "  {:<16} {:<16} {when}: {}",
            pipeline.name,
            "pipeline",
            steps.join(" -> ")
        );
    }
    if let Some(name) = registry
        .agents
        .iter()
        .find(|(_, agent)| {
            agent.loaded.is_ok()
                && agent
                    .plugin
                    .as_ref()
                    .is_some_and(|plugin| plugin.name != "badge")
        })
        .map(|(name, _)| name)
    {
        let _ = write!(
            text,
            "\ntry:\n  infinity run {name}\n  infinity runs\n  curl {scheme}://{address}/badges/system.svg\n"
        );
    }
    text
}

/// What nobody may overlook who starts a host for trying things.
fn dev_banner(app: &App) -> String {
    let outbox = app.registry().config.host.state.join(dev::OUTBOX);
    format!(
        "\n*** DEV MODE *** nothing is sent to channels and nothing is changed on GitHub; what would have been is in\n  {}\n",
        outbox.display()
    )
}

/// What a person who puts a host on a network needs once.
fn first_key(secret: &str, scheme: &str, address: std::net::SocketAddr) -> String {
    format!(
        "\nThis host can be reached from other machines, so every request needs a key. The first one is an admin's and is shown this once:\n\n  {secret}\n\n  \
         curl -H 'Authorization: Bearer …' {scheme}://{address}/v1/status\n  infinity key create NAME --role viewer     on this machine, without a key\n"
    )
}

#[async_trait]
impl Launcher for Program {
    async fn connect(&self, global: &GlobalOptions) -> Result<Client, CliError> {
        if let Some(url) = &global.url {
            return Client::remote(url);
        }
        let (config, secrets) = match load(global, &Overrides::default()).await {
            Ok(loaded) => loaded,
            // Whoever has to stop a host must not have to mend its configuration first.
            Err(mistakes) => {
                let state = state_despite_mistakes(&global.config);
                return on_socket(&state).await?.ok_or(mistakes);
            }
        };
        if let Some(client) = running(&config).await? {
            return Ok(client);
        }
        logging::start(LogLevel::Warn, LogFormat::default(), diagnostics::color());
        // One that connects again wants to see what changed.
        self.close().await.map_err(|error| failed(&error))?;
        let options = Options {
            secrets: Some(secrets),
            ..Options::default()
        };
        let app = App::open(config, options, &|_| {})
            .await
            .map_err(|error| failed(&error))?;
        app.begin(false).await.map_err(|error| failed(&error))?;
        let client = Client::local(app.router());
        *self.app.lock().await = Some(app);
        Ok(client)
    }

    async fn config(&self, global: &GlobalOptions) -> Result<Config, CliError> {
        let (config, _) = load(global, &Overrides::default()).await?;
        Ok(config)
    }

    async fn secrets(&self, global: &GlobalOptions) -> Result<SecretPlace, CliError> {
        if global.url.is_none() {
            if let Some(client) = on_socket(&state_despite_mistakes(&global.config)).await? {
                return Ok(SecretPlace::Host(client));
            }
            let secrets = Arc::new(secrets_here(global, &Overrides::default()));
            secrets.refresh().await;
            if load_with(&secrets, global, &Overrides::default()).is_err() {
                return Ok(SecretPlace::Folder(secrets));
            }
        }
        self.connect(global).await.map(SecretPlace::Host)
    }

    fn state(&self, global: &GlobalOptions) -> Result<PathBuf, CliError> {
        self.backups(global).map(|place| place.state)
    }

    async fn running(&self, global: &GlobalOptions) -> Result<Option<Client>, CliError> {
        if let Some(url) = &global.url {
            return Client::remote(url).map(Some);
        }
        match load(global, &Overrides::default()).await {
            Ok((config, _)) => running(&config).await,
            Err(_) => on_socket(&state_despite_mistakes(&global.config)).await,
        }
    }

    fn backups(&self, global: &GlobalOptions) -> Result<BackupPlace, CliError> {
        let overrides = Overrides::default();
        match load_with(&secrets_here(global, &overrides), global, &overrides) {
            Ok(config) => Ok(BackupPlace {
                state: config.host.state,
                seals: config.host.access.journal.seals_backups,
                to: config.backup.map(|backup| backup.to),
            }),
            // Whoever looks after what was kept needs neither the agents' secrets nor a configuration without mistakes.
            Err(mistakes) => {
                let state = state_despite_mistakes(&global.config);
                if state.join(keep::DATABASE).is_file() {
                    Ok(BackupPlace {
                        state,
                        seals: true,
                        to: None,
                    })
                } else {
                    Err(mistakes)
                }
            }
        }
    }

    async fn doctor(&self, global: &GlobalOptions) -> Vec<Item> {
        let config = match load(global, &Overrides::default()).await {
            Ok((config, _)) => Arc::new(config),
            Err(error) => {
                return vec![doctor::fail(
                    List::Application,
                    "configuration",
                    format!("{error}; without it nothing else is looked at"),
                    "`infinity config check` shows each",
                )];
            }
        };
        let own = global.clone();
        let policies: BoxFuture<'static, Item> = Box::pin(async move { policies_load(&own).await });
        doctor::examine(&config, vec![("policies".into(), policies)]).await
    }

    async fn serve(&self, global: &GlobalOptions, options: &ServeOptions) -> Result<(), CliError> {
        let overrides = Overrides {
            listen: options.listen,
            state: options.state.clone(),
        };
        let (config, secrets) = load(global, &overrides).await?;
        let (level, dev) = (
            if options.dev {
                LogLevel::Debug
            } else {
                LogLevel::Info
            },
            options.dev,
        );
        let format = options.log_format.unwrap_or(config.host.log_format);
        logging::start(level, format, diagnostics::color());
        for problem in secrets.problems() {
            tracing::warn!("{problem}");
        }
        let telemetry = telemetry::start(&config)
            .context("traces and logs cannot be sent")
            .map_err(|error| failed(&error))?;
        let opened = Options {
            dev,
            overrides,
            secrets: Some(secrets),
            ..Options::default()
        };
        let app = App::open(config, opened, &|what| {
            tracing::info!("{what}");
        })
        .await
        .map_err(|error| failed(&error))?;
        let first = app.first_key().await.map_err(|error| failed(&error))?;
        let greeted = Arc::clone(&app);
        let served = app.serve(asked_to_stop(), move |address| {
            // Whatever collects lines of JSON reads nothing else.
            let mut text = match format {
                LogFormat::Text => greeting(&greeted, address),
                LogFormat::Json => {
                    tracing::info!("serves on {address}");
                    String::new()
                }
            };
            if dev && format == LogFormat::Json {
                tracing::warn!(
                    "DEV MODE: nothing is sent to channels and nothing is changed on GitHub"
                );
            } else if dev {
                text.push_str(&dev_banner(&greeted));
            }
            if let Some(first) = &first {
                text.push_str(&first_key(
                    &first.secret,
                    scheme(&greeted.registry().config),
                    address,
                ));
            }
            let _ = std::io::stderr().write_all(text.as_bytes());
        });
        let served = served.await.map_err(|error| failed(&error));
        if let Some(telemetry) = telemetry {
            telemetry.end().await;
        }
        served
    }

    fn compile_worker(&self, job: &Path) -> ExitCode {
        compile_worker(job)
    }

    async fn inspect_file(&self, file: &Path) -> Result<Inspection, CliError> {
        let shown = file.display();
        let bytes = read(file)?;
        inspect(&bytes).map_err(|error| CliError::Input {
            message: format!("`{shown}`: {error}"),
            hint: None,
        })
    }

    async fn policy_test(
        &self,
        global: &GlobalOptions,
        options: &PolicyTestOptions,
    ) -> Result<Vec<PolicyTest>, CliError> {
        let engine = PolicyEngine::open(global, options.path.as_deref()).await?;
        let call = Call::TestPolicies {
            filter: options.run.clone(),
        };
        let Answer::Tests(tests) = engine.call(call).await? else {
            return Err(CliError::Failed {
                message: "the policy plugin answered something else".into(),
                hint: None,
            });
        };
        Ok(tests
            .into_iter()
            .map(|test| PolicyTest {
                package: test.package,
                name: test.name,
                outcome: match test.outcome.as_str() {
                    "passed" => PolicyTestOutcome::Pass,
                    "failed" => PolicyTestOutcome::Fail,
                    "skipped" => PolicyTestOutcome::Skipped,
                    _ => PolicyTestOutcome::Error,
                },
                message: test.message,
                duration_ns: test.duration_ns,
                path: test.path,
            })
            .collect())
    }

    async fn policy_eval(
        &self,
        global: &GlobalOptions,
        options: &PolicyEvalOptions,
    ) -> Result<PolicyAnswer, CliError> {
        let inputs = match &options.tree {
            Some(tree) => tree_inputs(tree)?,
            None => vec![options.input.clone()],
        };
        let engine = PolicyEngine::open(global, options.policies.as_deref()).await?;
        let wrong = || CliError::Failed {
            message: "the policy plugin answered something else".into(),
            hint: None,
        };
        if let Some(query) = &options.query {
            let mut results = Vec::new();
            for input in inputs {
                let call = Call::Query {
                    query: query.clone(),
                    input: input.to_string(),
                };
                let Answer::Result(result) = engine.call(call).await? else {
                    return Err(wrong());
                };
                results.push(serde_json::from_str(&result).unwrap_or(Value::String(result)));
            }
            let value = match results.len() {
                1 => results.swap_remove(0),
                _ => Value::Array(results),
            };
            return Ok(PolicyAnswer::Result(value));
        }
        let package = options.package.clone().unwrap_or_default();
        let mut whole = Decision {
            allowed: true,
            ..Decision::default()
        };
        for input in inputs {
            let call = Call::Evaluate {
                package: package.clone(),
                input: input.to_string(),
            };
            let Answer::Decision(decision) = engine.call(call).await? else {
                return Err(wrong());
            };
            whole.allowed &= decision.allowed;
            whole.denials.extend(decision.denials);
            whole.warnings.extend(decision.warnings);
        }
        Ok(PolicyAnswer::Decision(whole))
    }
}

/// Does one job of the compiler. It needs no runtime and prints one line for the parent.
#[must_use]
pub fn compile_worker(job: &Path) -> ExitCode {
    // Nobody waits for the answer once the host is gone, and compiling takes a core for many seconds.
    let alone = std::thread::Builder::new().stack_size(64 * 1024).spawn(|| {
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        std::process::exit(1);
    });
    if let Err(error) = alone {
        let _ = writeln!(std::io::stderr(), "nothing watches the host: {error}");
    }
    let answered = worker::work(job).and_then(|answer| {
        let answer = serde_json::to_vec(&answer)?;
        std::io::stdout().write_all(&answer)?;
        Ok(())
    });
    match answered {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "{error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Resolves when the process is asked to stop, by Ctrl-C or by a service manager.
async fn asked_to_stop() {
    let terminate = async {
        match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(mut signal) => {
                signal.recv().await;
            }
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        () = terminate => {}
    }
}

/// The host that has this state folder, if it runs and has a socket. Whoever may open that needs no key.
async fn on_socket(state: &Path) -> Result<Option<Client>, CliError> {
    let socket = state.join(SOCKET_FILE);
    // A host that was killed leaves it behind: only an answer counts.
    match tokio::net::UnixStream::connect(&socket).await {
        Ok(_) => Client::on_socket(&socket).map(Some),
        Err(_) => Ok(None),
    }
}

/// The state folder that a configuration names, or would, which may have any mistake.
fn state_despite_mistakes(file: &Path) -> PathBuf {
    let read = std::fs::read_to_string(file).unwrap_or_default();
    let named = read.parse::<toml::Table>().ok().and_then(|table| {
        let state = table.get("host")?.get("state")?.as_str()?;
        Some(state.to_owned())
    });
    let folder = file.parent().unwrap_or(Path::new(""));
    folder.join(named.as_deref().unwrap_or(config::DEFAULT_STATE))
}

/// A client of the host that runs on the configuration's state folder, if one does.
async fn running(config: &Config) -> Result<Option<Client>, CliError> {
    let state = &config.host.state;
    if let Some(client) = on_socket(state).await? {
        return Ok(Some(client));
    }
    let Ok(address) = std::fs::read_to_string(state.join(ADDRESS_FILE)) else {
        return Ok(None);
    };
    let Ok(address) = address.trim().parse::<std::net::SocketAddr>() else {
        return Ok(None);
    };
    let connect = tokio::net::TcpStream::connect(address);
    match tokio::time::timeout(Duration::from_secs(2), connect).await {
        Ok(Ok(_)) => {
            let scheme = scheme(config);
            Client::remote(&format!("{scheme}://{address}")).map(Some)
        }
        _ => Ok(None),
    }
}

/// What the host's own port speaks.
fn scheme(config: &Config) -> &'static str {
    match &config.host.access.tls {
        Some(_) => "https",
        None => "http",
    }
}

fn read(file: &Path) -> Result<Vec<u8>, CliError> {
    let input = |message: String, hint: Option<&str>| CliError::Input {
        message,
        hint: hint.map(str::to_owned),
    };
    let metadata = std::fs::metadata(file).map_err(|error| {
        input(
            format!("`{}` cannot be read: {error}", file.display()),
            None,
        )
    })?;
    if metadata.len() > COMPONENT_MAX_BYTES || !metadata.is_file() {
        return Err(input(
            format!("`{}` is no file of at most 128 MiB", file.display()),
            None,
        ));
    }
    std::fs::read(file).map_err(|error| {
        input(
            format!("`{}` cannot be read: {error}", file.display()),
            None,
        )
    })
}

/// The policy plugin with a set of policies, in a sandbox of its own.
struct PolicyEngine {
    sandbox: LocalSandbox,
    loaded: Arc<Loaded>,
}

impl PolicyEngine {
    async fn open(global: &GlobalOptions, policies: Option<&Path>) -> Result<Self, CliError> {
        let (config, _) = load(global, &Overrides::default()).await?;
        let policies = policies.map_or_else(|| config.root.join("policies"), PathBuf::from);
        let files = if policies.is_dir() {
            policy_files(&policies).map_err(|refusal| CliError::Input {
                message: refusal.message,
                hint: None,
            })?
        } else {
            let content = String::from_utf8(read(&policies)?).map_err(|_| CliError::Input {
                message: format!("`{}` is no UTF-8", policies.display()),
                hint: None,
            })?;
            vec![InitFile {
                path: policies.display().to_string(),
                content,
            }]
        };
        let component = config.host.plugins.join("policy.wasm");
        if !component.exists() {
            return Err(CliError::Input {
                message: format!("the policy plugin `{}` is missing", component.display()),
                hint: Some("`cargo xtask build` makes it".into()),
            });
        }
        let bytes = read(&component)?;
        let digest = digest(&bytes);
        let (_, denied) = Supply::open(&config.supply).judge("policy", &component, &digest);
        if let Some(denied) = denied {
            return Err(CliError::Input {
                message: denied.to_string(),
                hint: None,
            });
        }
        let gate = EgressGate::new(GateSettings::default())
            .map_err(|error| failed(&anyhow::Error::from(error)))?;
        let worker = std::env::current_exe().map_err(|error| failed(&error.into()))?;
        let sandbox = LocalSandbox::new(SandboxOptions {
            state: config.host.state.clone(),
            worker,
            compile_cpu: Duration::from_millis(config.host.compile_cpu_ms),
            compile_memory_bytes: config.host.compile_memory_bytes,
            gate: Arc::new(gate),
            threads: 1,
        })
        .map_err(|error| failed(&error))?;
        let loaded = sandbox
            .load(LoadRequest {
                digest,
                bytes: bytes.into(),
                inspection: None,
                fuel: false,
                init: Some(Arc::new(InitInput {
                    settings: "{}".into(),
                    files,
                })),
                snapshot: false,
            })
            .await
            .map_err(|error| CliError::Input {
                message: error.to_string(),
                hint: None,
            })?;
        Ok(Self { sandbox, loaded })
    }

    async fn call(&self, call: Call) -> Result<Answer, CliError> {
        let budget = RunBudget {
            time_ms: POLICY_TIME_MS,
            cpu_ms: POLICY_TIME_MS,
            memory_bytes: POLICY_MEMORY_BYTES,
            output_bytes: POLICY_OUTPUT_BYTES,
            ..RunBudget::default()
        };
        let job = Job {
            meter: Arc::new(Meter::new(budget)),
            capabilities: Arc::new(Capabilities::default()),
            cancel: CancellationToken::new(),
        };
        let CallEnd { result, .. } = self.sandbox.call(&self.loaded, call, job).await;
        match result {
            Ok(Answer::Error(message)) => Err(CliError::Input {
                message,
                hint: None,
            }),
            Ok(answer) => Ok(answer),
            Err(stop) => Err(CliError::Failed {
                message: stop.message,
                hint: stop.hint,
            }),
        }
    }
}

/// Whether the policies beside the configuration can be asked.
async fn policies_load(global: &GlobalOptions) -> Item {
    let (list, name) = (List::Application, "policies");
    let folder = match load(global, &Overrides::default()).await {
        Ok((config, _)) => config.root.join("policies"),
        Err(error) => return doctor::unknown(list, name, error.to_string()),
    };
    if !folder.is_dir() {
        return doctor::ok(list, name, "there are none");
    }
    let todo = "`infinity policy test` says more";
    match PolicyEngine::open(global, None).await {
        Ok(_) => doctor::ok(list, name, format!("`{}` loads", folder.display())),
        Err(error) => doctor::fail(list, name, error.to_string(), todo),
    }
}

/// The tracked files of a tree as the files of commits: every line is one that the commit adds.
fn tree_inputs(tree: &Path) -> Result<Vec<Value>, CliError> {
    let listed = std::process::Command::new("git")
        .arg("-C")
        .arg(tree)
        .args(["ls-files", "-z"])
        .output()
        .map_err(|error| CliError::Failed {
            message: format!("`git` cannot be started: {error}"),
            hint: None,
        })?;
    if !listed.status.success() {
        return Err(CliError::Input {
            message: format!("`{}` is no git work tree", tree.display()),
            hint: Some("`--tree` judges the tracked files of a repository".into()),
        });
    }
    let name = tree
        .canonicalize()
        .ok()
        .and_then(|path| Some(path.file_name()?.to_string_lossy().into_owned()))
        .unwrap_or_default();
    let mut inputs = Vec::new();
    let mut files = Vec::new();
    let mut bytes = 0;
    let commit = |files: Vec<Value>| {
        json!({
            "repository": { "name": name },
            "commit": { "id": "", "message": "", "author": { "name": "", "email": "" },
                "verification": { "verified": false } },
            "files": files,
        })
    };
    for path in String::from_utf8_lossy(&listed.stdout)
        .split('\0')
        .filter(|path| !path.is_empty())
    {
        let full = tree.join(path);
        let small = std::fs::symlink_metadata(&full)
            .is_ok_and(|metadata| metadata.is_file() && metadata.len() <= TREE_FILE_MAX_BYTES);
        let content = if small {
            std::fs::read(&full).ok()
        } else {
            None
        };
        // What is no text has no lines to judge.
        let Some(text) = content.and_then(|content| String::from_utf8(content).ok()) else {
            continue;
        };
        bytes += text.len();
        let added: Vec<Value> = text
            .lines()
            .enumerate()
            .map(|(index, line)| json!({ "line": index + 1, "text": line }))
            .collect();
        files.push(json!({ "path": path, "change": "added", "binary": false, "added": added }));
        if bytes > TREE_PART_BYTES {
            inputs.push(commit(std::mem::take(&mut files)));
            bytes = 0;
        }
    }
    if !files.is_empty() || inputs.is_empty() {
        inputs.push(commit(files));
    }
    Ok(inputs)
}
