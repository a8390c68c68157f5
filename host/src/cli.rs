//! Turns arguments into requests to the API and answers into text for people, or JSON for programs; and into an exit code.
//!
//! Invariants: data goes to standard output and everything else to standard error; the exit code is 0 for done, 1 for failed, 2 for "change the input";
//! what a guest or a file says reaches a terminal only without control characters. What needs more than the API (serving, compiling, judging policies)
//! is behind [`Launcher`], which the application implements: nothing here knows how a host is put together.

mod access;
mod alerts;
mod ask;
mod audit;
mod backup;
mod check;
mod client;
mod config;
mod doctor;
mod effects;
mod kill;
mod mcp;
mod output;
mod plugin;
mod policy;
mod run;
mod schedule;
mod secret;
mod selftest;
mod show;
mod sign_in;
mod store;
mod sync;
mod timeline;

pub use backup::BackupPlace;
pub use client::Client;
pub use output::{Output, printable};
pub use secret::SecretPlace;

use crate::api::Problem;
use crate::config::{Config, ConfigErrors};
use crate::doctor::Item;
use crate::logging::{LogFormat, LogLevel};
use crate::sandbox::call::Decision;
use crate::sandbox::inspect::Inspection;
use async_trait::async_trait;
use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// The configuration that is read when no other is named.
pub const DEFAULT_CONFIG: &str = "plugins.toml";

/// Where a package puts the configuration: read when no other is named and the folder has none.
pub const SYSTEM_CONFIG: &str = "/etc/infinity/plugins.toml";

/// The configuration of the folder that one is in, or else of the system.
fn default_config() -> &'static str {
    if !Path::new(DEFAULT_CONFIG).exists() && Path::new(SYSTEM_CONFIG).exists() {
        SYSTEM_CONFIG
    } else {
        DEFAULT_CONFIG
    }
}

/// Runs automation agents that nobody has to trust
#[derive(Debug, Parser)]
#[command(name = "infinity", version, about, arg_required_else_help = true)]
pub struct Cli {
    #[command(flatten)]
    pub global: GlobalOptions,
    #[command(subcommand)]
    pub command: Command,
}

/// What every command takes.
#[derive(Clone, Debug, Args)]
pub struct GlobalOptions {
    /// The configuration
    #[arg(long, global = true, env = "INFINITY_CONFIG", value_name = "FILE", default_value = default_config())]
    pub config: PathBuf,
    /// A host elsewhere, instead of the configuration's on this machine; with the key of `INFINITY_API_KEY`, or as who signed in
    #[arg(long, global = true, env = "INFINITY_URL", value_name = "URL")]
    pub url: Option<String>,
    /// Print JSON for programs
    #[arg(long, global = true)]
    pub json: bool,
    /// When to use colour
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub color: ColorChoice,
}

/// When to use colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum ColorChoice {
    /// On a terminal, unless `NO_COLOR` is set
    #[default]
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the host until it is told to stop
    Serve(ServeOptions),
    /// Run an agent once and show what it found
    Run(run::RunOptions),
    /// Have code judged: policy, static analysis, tests and cases, in a sandbox that reaches nothing
    Check(check::CheckOptions),
    /// Serve checks as tools of the Model Context Protocol, to coding assistants
    Mcp(mcp::McpOptions),
    /// List the plugins
    Plugins,
    /// List the agents, or do something with one
    Agents {
        #[command(subcommand)]
        command: Option<ask::AgentsCommand>,
    },
    /// Agents one after the other: list, show, run, cancel
    #[command(subcommand)]
    Pipelines(ask::PipelinesCommand),
    /// Give a command to the agent that takes them
    Command(ask::CommandOptions),
    /// Look for text in the findings or logs of all runs
    Search(ask::SearchOptions),
    /// List runs, newest first, or show one
    Runs(show::RunsOptions),
    /// Show the log of a run
    Logs(show::LogsOptions),
    /// Show what a run found
    Findings(show::FindingsOptions),
    /// Pause an agent, or everything: nothing of it starts by itself
    Pause {
        /// The agent; all without it
        agent: Option<String>,
    },
    /// Resume an agent, or everything
    Resume {
        /// The agent; all without it
        agent: Option<String>,
    },
    /// Show what the host is doing
    Status,
    /// List what the host's own rules came to, or silence one
    Alerts(alerts::AlertsOptions),
    /// List the moments at which agents were due, and what came of them
    Occurrences(schedule::OccurrencesOptions),
    /// Show what happened, oldest first, or as it happens
    Events(show::EventsOptions),
    /// List runs that were given up on, start them again or drop them
    #[command(subcommand)]
    DeadLetters(schedule::DeadLettersCommand),
    /// What runs propose to change: list, show, approve, reject, revert
    Effects {
        #[command(subcommand)]
        command: Option<effects::EffectsCommand>,
    },
    /// Keys for programs and people that come over the network: create, list, rotate, revoke
    #[command(subcommand)]
    Key(access::KeyCommand),
    /// Values that the configuration names without holding them: set, list, rotate, rm
    #[command(subcommand)]
    Secret(secret::SecretCommand),
    /// Sign in to a host elsewhere, by way of who vouches for you there
    Login(sign_in::LoginOptions),
    /// End the session that `login` began
    Logout,
    /// Show as whom you come, and what you may
    Whoami,
    /// Sessions of people who signed in: list, end
    #[command(subcommand)]
    Sessions(sign_in::SessionsCommand),
    /// What you show before you approve: list, totp, confirm, show, remove
    #[command(subcommand)]
    Factor(sign_in::FactorCommand),
    /// Stop everything at once, until `recover`
    Kill(kill::KillOptions),
    /// Let everything go on after `kill`, once a dry run of an agent has passed
    Recover(kill::RecoverOptions),
    /// Who is kept out after failed keys: list, lift, lockouts, unlock
    #[command(subcommand)]
    Bans(access::BansCommand),
    /// What was done, by whom: tail, report, export, verify, checkpoint, erase, rotate-key
    #[command(subcommand)]
    Audit(audit::AuditCommand),
    /// Show what a sync between repositories would change, or undo the last one
    #[command(subcommand)]
    Sync(sync::SyncCommand),
    /// Start a new plugin, or look into one
    #[command(subcommand)]
    Plugin(plugin::PluginCommand),
    /// Watch a plugin's source: build it, run it and show the report as it changes
    Dev(plugin::dev::DevOptions),
    /// Look after the state folder: check, vacuum
    #[command(subcommand)]
    Store(store::StoreCommand),
    /// Backups: create, verify, list, restore, drill, rotate-key
    #[command(subcommand)]
    Backup(backup::BackupCommand),
    /// Look at the machine, the configuration and the running host, and say what to do; fails if anything is wrong
    Doctor,
    /// Show how much the running host logs, or change it
    LogLevel {
        /// The level from now on
        level: Option<LogLevel>,
    },
    /// Check the configuration; see what is in force, change it, go back
    #[command(subcommand)]
    Config(config::ConfigCommand),
    /// Test policies, or ask them something
    #[command(subcommand)]
    Policy(policy::PolicyCommand),
    /// Prove on this machine that guests are contained: attack a host that is thrown away
    Selftest(selftest::SelftestArguments),
    /// Print completions for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Compile one component, within the limits that the parent set
    #[command(hide = true)]
    CompileWorker {
        /// Describes the job
        job: PathBuf,
    },
}

/// How to serve.
#[derive(Clone, Debug, Default, Args)]
pub struct ServeOptions {
    /// Where to listen instead of `host.listen`
    #[arg(long, value_name = "ADDR:PORT")]
    pub listen: Option<SocketAddr>,
    /// Where to keep state instead of `host.state`
    #[arg(long, value_name = "DIR")]
    pub state: Option<PathBuf>,
    /// How to write the log instead of `host.log_format`
    #[arg(long, value_name = "FORMAT")]
    pub log_format: Option<LogFormat>,
    /// For trying things: say everything in the log, and record what would be sent to channels and changed on GitHub instead of doing it
    #[arg(long)]
    pub dev: bool,
}

/// Which tests to run.
#[derive(Clone, Debug)]
pub struct PolicyTestOptions {
    /// A file or directory of policies and tests; `None` means the `policies` directory beside the configuration.
    pub path: Option<PathBuf>,
    /// Only tests whose full name matches this regular expression.
    pub run: Option<String>,
}

/// How a test ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PolicyTestOutcome {
    /// Its rule is true.
    Pass,
    /// Its rule is false or undefined.
    Fail,
    /// It could not be evaluated.
    Error,
    /// Its name begins with `todo_`.
    Skipped,
}

/// One test of a policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyTest {
    /// For instance `data.github.secrets_test`.
    pub package: String,
    /// The rule, for instance `test_denies_a_token`.
    pub name: String,
    /// How it ended.
    pub outcome: PolicyTestOutcome,
    /// Why it could not be evaluated.
    pub message: Option<String>,
    /// How long it took, in nanoseconds.
    pub duration_ns: u64,
    /// The file it is in.
    pub path: String,
}

/// What policies said.
#[derive(Clone, Debug)]
pub enum PolicyAnswer {
    /// Of a query: OPA's result document.
    Result(Value),
    /// Of a package.
    Decision(Decision),
}

/// What to ask policies.
#[derive(Clone, Debug)]
pub struct PolicyEvalOptions {
    /// A Rego query; there is either this or `package`.
    pub query: Option<String>,
    /// The package that decides.
    pub package: Option<String>,
    /// `input`, read from a file; `null` when there is none.
    pub input: Value,
    /// The directory of policies; `None` means the one beside the configuration.
    pub policies: Option<PathBuf>,
    /// A directory whose files become facts of the input.
    pub tree: Option<PathBuf>,
}

/// What the command line needs of the application.
#[async_trait]
pub trait Launcher: Send + Sync {
    /// A client of the host that runs with this configuration; or, when none does, of a host made in this process for this one command.
    ///
    /// # Errors
    /// [`CliError::Config`] when the configuration has mistakes; otherwise what keeps a host from starting.
    async fn connect(&self, global: &GlobalOptions) -> Result<Client, CliError>;

    /// The configuration, with the values that it names.
    ///
    /// # Errors
    /// [`CliError::Config`] when it has mistakes.
    async fn config(&self, global: &GlobalOptions) -> Result<Config, CliError>;

    /// Where secrets are changed: which works without a configuration that is right, as it may be a secret that it lacks.
    ///
    /// # Errors
    /// What keeps a host from starting.
    async fn secrets(&self, global: &GlobalOptions) -> Result<SecretPlace, CliError>;

    /// The state folder.
    ///
    /// # Errors
    /// [`CliError::Config`] when the configuration has mistakes.
    fn state(&self, global: &GlobalOptions) -> Result<PathBuf, CliError>;

    /// Where backups are made from and to.
    ///
    /// # Errors
    /// As [`Launcher::state`].
    fn backups(&self, global: &GlobalOptions) -> Result<BackupPlace, CliError>;

    /// A client of the host that was named, or of the one that runs with this configuration; none when none does.
    ///
    /// # Errors
    /// When the client cannot be made.
    async fn running(&self, global: &GlobalOptions) -> Result<Option<Client>, CliError>;

    /// Looks at everything that needs no running host.
    async fn doctor(&self, global: &GlobalOptions) -> Vec<Item>;

    /// Runs a host until it is told to stop and has drained.
    ///
    /// # Errors
    /// [`CliError::Config`] when the configuration has mistakes; otherwise what keeps the host from starting or made it stop.
    async fn serve(&self, global: &GlobalOptions, options: &ServeOptions) -> Result<(), CliError>;

    /// Does one job of the compiler and ends.
    fn compile_worker(&self, job: &Path) -> ExitCode;

    /// Looks into a component.
    ///
    /// # Errors
    /// [`CliError::Input`] when the file cannot be read or is no component that the host takes.
    async fn inspect_file(&self, file: &Path) -> Result<Inspection, CliError>;

    /// Runs the tests of policies.
    ///
    /// # Errors
    /// [`CliError::Input`] when the policies cannot be read or parsed.
    async fn policy_test(
        &self,
        global: &GlobalOptions,
        options: &PolicyTestOptions,
    ) -> Result<Vec<PolicyTest>, CliError>;

    /// Asks policies something.
    ///
    /// # Errors
    /// [`CliError::Input`] when policies or query cannot be read or parsed.
    async fn policy_eval(
        &self,
        global: &GlobalOptions,
        options: &PolicyEvalOptions,
    ) -> Result<PolicyAnswer, CliError>;
}

/// Why a command was not done.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// The input has to change; exit code 2.
    #[error("{message}")]
    Input {
        /// What is wrong.
        message: String,
        /// What to do.
        hint: Option<String>,
    },
    /// It failed; exit code 1.
    #[error("{message}")]
    Failed {
        /// What happened.
        message: String,
        /// What to do.
        hint: Option<String>,
    },
    /// The configuration has mistakes; exit code 2.
    #[error("the configuration has mistakes")]
    Config(Box<ConfigErrors>),
    /// The host refused the request.
    #[error("{}", .0.detail.as_deref().unwrap_or(&.0.title))]
    Problem(Box<Problem>),
}

impl CliError {
    /// The input has to change.
    pub fn input(message: impl Into<String>) -> Self {
        Self::Input {
            message: message.into(),
            hint: None,
        }
    }

    /// It failed.
    pub fn failed(message: impl Into<String>) -> Self {
        Self::Failed {
            message: message.into(),
            hint: None,
        }
    }

    /// Adds what to do.
    #[must_use]
    pub fn with_hint(mut self, text: impl Into<String>) -> Self {
        if let Self::Input { hint, .. } | Self::Failed { hint, .. } = &mut self {
            *hint = Some(text.into());
        }
        self
    }

    /// 1 for failed, 2 for "change the input".
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Input { .. } | Self::Config(_) => EXIT_INPUT,
            Self::Failed { .. } => EXIT_FAILED,
            // A conflict, a timeout and a full queue may pass; anything else about the request does not by itself.
            Self::Problem(problem) => match problem.status {
                409 if problem.code == "agent_disabled" => EXIT_INPUT,
                408 | 409 | 429 => EXIT_FAILED,
                400..500 => EXIT_INPUT,
                _ => EXIT_FAILED,
            },
        }
    }
}

impl From<ConfigErrors> for CliError {
    fn from(errors: ConfigErrors) -> Self {
        Self::Config(Box::new(errors))
    }
}

/// It failed.
pub(crate) const EXIT_FAILED: u8 = 1;
/// The input has to change.
pub(crate) const EXIT_INPUT: u8 = 2;

/// What a command answers: its exit code when it did what it could.
pub(crate) type Done = Result<u8, CliError>;

/// Does what the arguments say.
pub async fn execute(cli: Cli, launcher: &dyn Launcher) -> ExitCode {
    let output = Output::new(cli.global.json, cli.global.color);
    match dispatch(&cli, launcher, &output).await {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            output.error(&error);
            ExitCode::from(error.exit_code())
        }
    }
}

async fn dispatch(cli: &Cli, launcher: &dyn Launcher, output: &Output) -> Done {
    let global = &cli.global;
    match &cli.command {
        Command::Serve(options) => launcher.serve(global, options).await.map(|()| 0),
        Command::CompileWorker { job } => Ok(exit_code(launcher.compile_worker(job))),
        Command::Completions { shell } => {
            let mut text = Vec::new();
            clap_complete::generate(*shell, &mut Cli::command(), "infinity", &mut text);
            output.raw(&text);
            Ok(0)
        }
        Command::Config(command) => config::execute(command, global, launcher, output).await,
        Command::Selftest(arguments) => selftest::execute(arguments, output).await,
        Command::Secret(command) => {
            secret::execute(command, &launcher.secrets(global).await?, output).await
        }
        Command::Policy(command) => policy::execute(command, global, launcher, output).await,
        Command::Plugin(command) => plugin::execute(command, global, launcher, output).await,
        Command::Run(options) => {
            // Read before a host is made: bad input should cost nothing.
            let input = run::input(options)?;
            let client = launcher.connect(global).await?;
            run::execute(options, input, &client, output).await
        }
        Command::Check(options) => {
            check::execute(options, &launcher.connect(global).await?, output).await
        }
        Command::Mcp(options) => {
            mcp::execute(options, launcher.connect(global).await?, output).await
        }
        Command::Plugins => show::plugins(&launcher.connect(global).await?, output).await,
        Command::Agents { command: None } => {
            show::agents(&launcher.connect(global).await?, output).await
        }
        Command::Agents {
            command: Some(command),
        } => ask::agents(command, &launcher.connect(global).await?, output).await,
        Command::Pipelines(command) => {
            ask::pipelines(command, &launcher.connect(global).await?, output).await
        }
        Command::Command(options) => {
            ask::command(options, &launcher.connect(global).await?, output).await
        }
        Command::Search(options) => {
            ask::search(options, &launcher.connect(global).await?, output).await
        }
        Command::Dev(options) => plugin::dev::execute(options, global, launcher, output).await,
        Command::Store(command) => store::execute(command, &launcher.state(global)?, output).await,
        Command::Backup(command) => backup::execute(command, global, launcher, output).await,
        Command::Doctor => doctor::execute(global, launcher, output).await,
        Command::LogLevel { level } => {
            ask::log_level(*level, &launcher.connect(global).await?, output).await
        }
        Command::Runs(options) => {
            show::runs(options, &launcher.connect(global).await?, output).await
        }
        Command::Logs(options) => {
            show::logs(options, &launcher.connect(global).await?, output).await
        }
        Command::Key(command) => {
            access::keys(command, &launcher.connect(global).await?, output).await
        }
        Command::Login(options) => {
            sign_in::login(options, &launcher.connect(global).await?, output).await
        }
        Command::Logout => sign_in::logout(&launcher.connect(global).await?, output).await,
        Command::Whoami => sign_in::whoami(&launcher.connect(global).await?, output).await,
        Command::Sessions(command) => {
            sign_in::manage(command, &launcher.connect(global).await?, output).await
        }
        Command::Factor(command) => {
            sign_in::factors(command, &launcher.connect(global).await?, output).await
        }
        Command::Kill(options) => {
            kill::kill(options, &launcher.connect(global).await?, output).await
        }
        Command::Recover(options) => {
            kill::recover(options, &launcher.connect(global).await?, output).await
        }
        Command::Audit(command) if audit::is_offline(command) => {
            audit::offline(command, &launcher.state(global)?, output).await
        }
        Command::Audit(command) => {
            audit::online(command, &launcher.connect(global).await?, output).await
        }
        Command::Bans(command) => {
            access::bans(command, &launcher.connect(global).await?, output).await
        }
        Command::Pause { agent } => {
            let client = launcher.connect(global).await?;
            schedule::hold(agent.as_deref(), "pause", &client, output).await
        }
        Command::Resume { agent } => {
            let client = launcher.connect(global).await?;
            schedule::hold(agent.as_deref(), "resume", &client, output).await
        }
        Command::Alerts(options) => {
            alerts::execute(options, &launcher.connect(global).await?, output).await
        }
        Command::Status => schedule::status(&launcher.connect(global).await?, output).await,
        Command::Occurrences(options) => {
            schedule::occurrences(options, &launcher.connect(global).await?, output).await
        }
        Command::Events(options) => {
            show::events(options, &launcher.connect(global).await?, output).await
        }
        Command::Effects { command } => {
            effects::execute(command.as_ref(), &launcher.connect(global).await?, output).await
        }
        Command::Sync(command) => {
            sync::execute(command, &launcher.connect(global).await?, output).await
        }
        Command::DeadLetters(command) => {
            schedule::dead_letters(command, &launcher.connect(global).await?, output).await
        }
        Command::Findings(options) => {
            show::findings(options, &launcher.connect(global).await?, output).await
        }
    }
}

/// `ExitCode` cannot be read, so 0 is told apart by comparison.
fn exit_code(code: ExitCode) -> u8 {
    if code == ExitCode::SUCCESS {
        0
    } else {
        EXIT_FAILED
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn reads_what_people_write() {
        for line in [
            "infinity serve --config x.toml --listen 127.0.0.1:1 --state s",
            "infinity run check --input @file.json --wait 10s --json",
            "infinity runs",
            "infinity runs 01890000-0000-7000-8000-000000000001",
            "infinity runs --agent check --outcome failed --limit 3",
            "infinity logs -f check",
            "infinity findings 01890000-0000-7000-8000-000000000001",
            "infinity plugin new hello --dir x --sdk y",
            "infinity plugin inspect badge",
            "infinity plugin lock badge --check",
            "infinity plugin keygen key",
            "infinity plugin sign a.wasm --key key",
            "infinity plugin verify a.wasm --key a.pub --key b.pub",
            "infinity plugin push a.wasm localhost:5000/a:1 --plain-http",
            "infinity plugin pull localhost:5000/a:1 -o a.wasm --replace",
            "infinity plugin add localhost:5000/a:1 --as b --key a.pub --private",
            "infinity config check",
            "infinity --json config schema",
            "infinity policy test policies --run secrets",
            "infinity policy eval data.x --input f --policies d",
            "infinity policy eval --package p --policies d --tree t",
            "infinity completions bash",
            "infinity compile-worker job",
            "infinity --color never agents",
            "infinity agents show check",
            "infinity agents delete check --data",
            "infinity runs show 01890000-0000-7000-8000-000000000001",
            "infinity runs diff 01890000-0000-7000-8000-000000000001 01890000-0000-7000-8000-000000000002",
            "infinity pipelines run full --detach",
            "infinity command check the links",
            "infinity command --template sync --set repo=ops",
            "infinity search token --logs --agent check",
            "infinity store check",
            "infinity backup create --to x",
            "infinity backup restore x --replace",
            "infinity backup drill --keep",
            "infinity doctor --json",
            "infinity log-level debug",
            "infinity alerts --state firing",
            "infinity alerts silence disk_high --for 2h --reason moving",
            "infinity alerts unsilence disk_high",
            "infinity selftest --only H01,H13 --soak 30m --markdown selftest.md --json",
            "infinity dev plugins/hello --once",
            "infinity secret rotate TOKEN --value-stdin --grace 0m",
        ] {
            let parsed = Cli::try_parse_from(line.split(' '));
            assert!(parsed.is_ok(), "{line}: {:?}", parsed.err());
        }
        assert!(Cli::try_parse_from(["infinity", "serve", "--listen", "x"]).is_err());
    }

    #[test]
    fn an_exit_code_says_whether_the_input_has_to_change() {
        let problem = |status| {
            CliError::Problem(Box::new(Problem {
                kind: String::new(),
                title: String::new(),
                status,
                detail: None,
                code: String::new(),
                request_id: String::new(),
                errors: Vec::new(),
            }))
            .exit_code()
        };
        assert_eq!([404, 422, 400].map(problem), [2, 2, 2]);
        assert_eq!([409, 500, 503].map(problem), [1, 1, 1]);
        assert_eq!(CliError::input("x").exit_code(), 2);
        assert_eq!(CliError::failed("x").exit_code(), 1);
    }
}
