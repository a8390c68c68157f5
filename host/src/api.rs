//! Turns queries and intents into JSON, problems, SVG and server-sent events. Routes and OpenAPI document come from one declaration.
//!
//! Invariants: every answer carries `x-request-id`; every failure is an RFC 9457 problem with a stable code; every wait and every buffer has a bound.
//! What a request asks for is done by the [`ControlPlane`], which the application implements: nothing here knows of SQL, wasm or a plugin's file.

mod access;
mod agent_records;
mod agents;
mod alerts;
mod audit;
mod autodeploy;
mod backups;
mod badges;
mod bans;
mod billing;
mod checks;
mod commands;
mod compatibility;
mod config;
mod dead_letters;
mod docs;
mod effects;
mod envelope;
pub mod error;
mod events;
mod factors;
mod followers;
mod framing;
mod github;
mod health;
mod integrations;
mod json;
mod keys;
mod killswitch;
mod logs;
mod observe;
pub mod params;
mod plugins;
mod reported;
mod repositories;
mod runs;
mod schedule;
mod search;
mod secrets;
mod served;
mod server;
mod sign_in;
#[cfg(test)]
mod tests;
pub mod views;
mod webhooks;
mod workflows;

pub use alerts::{AlertList, AlertView};
pub use audit::{AuditList, Erasure, SealKey};
pub use bans::{BanList, LockoutList};
pub use checks::{CheckLimits, CheckList, NewCase, NewCheck, NewChecks, NewPatch};
pub use config::{ConfigCanary, ConfigError, ConfigStatus, NewConfig};
pub use error::{ApiError, InputError, Problem};
pub use factors::{FactorList, FactorShown};
pub use keys::{KeyList, SessionView};
pub use secrets::SecretList;
pub use server::{Connection, DRAIN_MAX, Listener, serve};
pub use sign_in::{NewSession, OfferList, SessionList};
pub use views::{
    AgentHealth, AgentState, AgentView, Badge, BadgeStyle, BadgeSubject, HealthCheck,
    IntegrationView, LiveRun, PluginStatus, PluginView, Progress, RunSummary, RunView, Status,
    WorkflowStep, WorkflowView,
};

use crate::access::Access;
use crate::alerts::Alert;
use crate::audit::chain::{Checkpoint, End, Unproven};
use crate::backup::Backups;
use crate::checks::{Check, CheckError, CheckNews, Refused, Submission};
use crate::commands::Template;
use crate::config::{Secret, WebhookConfig};
use crate::effects::{Comparison, DecideError, Difference};
use crate::forge::ForgeError;
use crate::holds::HoldError;
use crate::kill::KillView;
use crate::metrics::Metrics;
use crate::model::{
    BillingAction, CommitStatus, Effect, Event, Execution, LogLine, Principal, Run, Thread,
    Trigger, Verdict,
};
use crate::reload::ConfigVersion;
use crate::runtime::ServeError;
use crate::sandbox::checks::MayRead;
use crate::sandbox::serve::ServedBody;
use crate::secrets::Secrets;
use crate::store::{Store, StoreError};
use async_trait::async_trait;
use axum::extract::State;
use axum::response::IntoResponse as _;
use axum::routing::{any, get};
use bytes::Bytes;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

/// What to start.
#[derive(Clone, Debug)]
pub struct StartRun {
    /// The agent's name.
    pub agent: String,
    /// The run's input; `null` when there is none.
    pub input: Value,
    /// Who asks.
    pub principal: Principal,
    /// Why.
    pub trigger: Trigger,
    /// The same key starts one run only; 1 to 255 visible ASCII characters.
    pub idempotency_key: Option<String>,
    /// Whether what it proposes is only looked at.
    pub dry_run: bool,
}

/// Why a run was not started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// No agent has that name.
    #[error("unknown agent")]
    UnknownAgent {
        /// The name that was likely meant.
        nearest: Option<String>,
    },
    /// The agent is disabled.
    #[error("the agent is disabled")]
    Disabled,
    /// The input does not match the plugin's schema.
    #[error("invalid input at `{pointer}`: {message}")]
    InvalidInput {
        /// A JSON pointer into the input.
        pointer: String,
        /// What is wrong there.
        message: String,
    },
    /// Too many runs wait.
    #[error("the queue is full")]
    QueueFull,
    /// The kill switch is thrown.
    #[error("{}", crate::runtime::KILLED)]
    Killed,
    /// The host is stopping.
    #[error("the host is stopping")]
    Stopping,
    /// The store failed.
    #[error("cannot record the run")]
    Store(#[source] StoreError),
    /// A run with this idempotency key exists.
    #[error("a run with this idempotency key exists: {0}")]
    Duplicate(Uuid),
}

/// Why a run was not cancelled.
#[derive(Debug, thiserror::Error)]
pub enum CancelError {
    /// No run has this id.
    #[error("no run has this id")]
    NotFound,
    /// It is over.
    #[error("the run has ended")]
    Ended,
    /// The store failed.
    #[error("cannot record the cancellation")]
    Store(#[source] StoreError),
}

/// Why there is no badge.
#[derive(Debug, thiserror::Error)]
pub enum BadgeError {
    /// No agent has that name.
    #[error("unknown agent")]
    UnknownAgent {
        /// The name that was likely meant.
        nearest: Option<String>,
    },
    /// The label is too long or holds what no badge can show. The text is for the caller.
    #[error("{0}")]
    InvalidLabel(String),
    /// The plugin that draws badges is not ready, or failed. The text is for the log.
    #[error("{0}")]
    Unavailable(String),
}

/// Why a pipeline did not begin.
#[derive(Debug, thiserror::Error)]
pub enum WorkflowError {
    /// It runs already.
    #[error("the pipeline runs already: {0}")]
    Running(Uuid),
    /// The kill switch is thrown.
    #[error("{}", crate::runtime::KILLED)]
    Killed,
    /// The host is stopping.
    #[error("the host is stopping")]
    Stopping,
    /// The store failed.
    #[error("cannot record the execution")]
    Store(#[source] StoreError),
}

/// Why a host was not recovered.
#[derive(Debug, thiserror::Error)]
pub enum RecoverError {
    /// Nothing is stopped.
    #[error("the kill switch is off; there is nothing to recover")]
    Off,
    /// Another recovery is in progress.
    #[error("another dry run is in progress")]
    Busy,
    /// The dry run did not pass.
    #[error(
        "the dry run `{run}` did not succeed: {why}; `infinity runs show {run}` says more, and everything stays stopped"
    )]
    DryRun {
        /// The run.
        run: Uuid,
        /// How it ended.
        why: String,
    },
    /// The dry run did not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// An agent that takes signed deliveries.
#[derive(Clone, Debug)]
pub struct Webhook {
    /// What it asks of them.
    pub config: WebhookConfig,
    /// Secrets that count beside its own, while a replacement is in its grace.
    pub further_secrets: Vec<Secret>,
    /// Whether it crashed too often.
    pub quarantined: bool,
}

/// What the API needs of the host.
#[async_trait]
pub trait ControlPlane: Send + Sync + 'static {
    /// The records.
    fn store(&self) -> &dyn Store;

    /// The plugins in force, by name.
    fn plugins(&self) -> Vec<PluginView>;

    /// The agents in force, by name.
    fn agents(&self) -> Vec<AgentView>;

    /// What the host runs by.
    fn config_status(&self) -> ConfigStatus;

    /// Takes a text in the place of `plugins.toml`.
    async fn apply_config(&self, new: NewConfig) -> Result<ConfigVersion, ConfigError>;

    /// Goes back to a version.
    async fn roll_back_config(
        &self,
        number: u64,
        principal: Principal,
    ) -> Result<ConfigVersion, ConfigError>;

    /// Approves a change of an agent that waits.
    async fn approve_config(
        &self,
        agent: &str,
        digest: Option<&str>,
        principal: Principal,
    ) -> Result<ConfigVersion, ConfigError>;

    /// Records a run and wakes the schedule.
    async fn start_run(&self, request: StartRun) -> Result<Run, StartError>;

    /// The run as it ended, or as it is when `timeout` is over; `None` when there is no such run.
    async fn wait(&self, id: Uuid, timeout: Duration) -> Result<Option<Run>, StoreError>;

    /// Ends a run.
    async fn cancel(&self, id: Uuid, principal: Principal) -> Result<Run, CancelError>;

    /// Pauses or resumes an agent, or everything.
    async fn hold(
        &self,
        agent: Option<&str>,
        paused: bool,
        principal: Principal,
    ) -> Result<(), HoldError>;

    /// Adds an event to the feed; `false` when it is there already.
    async fn publish(&self, event: Event) -> Result<bool, StoreError>;

    /// Starts a run again that was given up on; `None` when it is not among those.
    async fn retry_dead(&self, id: Uuid, principal: Principal) -> Result<Option<Run>, StartError>;

    /// What an agent asks of signed deliveries; `None` when it takes none, or there is no such agent.
    fn webhook(&self, agent: &str) -> Option<Webhook>;

    /// What GitHub signs its deliveries with.
    fn github_secrets(&self) -> Vec<Secret>;

    /// The pipelines in force, by name, without totals.
    fn workflows(&self) -> Vec<WorkflowView>;

    /// Records an execution of a pipeline and begins it.
    async fn begin_workflow(
        &self,
        name: &str,
        principal: Principal,
    ) -> Result<Execution, WorkflowError>;

    /// Ends an execution; `false` when it is not in progress.
    fn cancel_workflow(&self, id: Uuid, principal: Principal) -> bool;

    /// The agent that takes commands.
    fn command_agent(&self) -> Option<String>;

    /// Commands that have a name.
    fn templates(&self) -> Vec<Template>;

    /// How healthy an agent is.
    fn agent_health(&self, agent: &str) -> Option<AgentHealth>;

    /// Removes what an agent left, and answers how many rows that were; `None` when runs of it wait or are in progress.
    async fn forget(&self, agent: &str, principal: Principal) -> Result<Option<u64>, StoreError>;

    /// Where requests are counted.
    fn metrics(&self) -> &Metrics;

    /// All series as text. The error is for the log.
    async fn metrics_text(&self) -> Result<String, String>;

    /// Has an agent's component answer a request.
    async fn serve(
        &self,
        agent: &str,
        request: http::Request<wasmtime_wasi_http::WasiBody>,
    ) -> Result<http::Response<ServedBody>, ServeError>;

    /// What the host is doing.
    fn status(&self) -> Status;

    /// What is known of a run that is queued or running in this process.
    fn live(&self, id: Uuid) -> Option<LiveRun>;

    /// The lines of a running run after the line numbered `after`; `None` when it does not run in this process.
    async fn live_log(&self, id: Uuid, after: Option<u64>) -> Option<Vec<LogLine>>;

    /// Draws a badge.
    async fn badge(
        &self,
        subject: BadgeSubject,
        style: BadgeStyle,
        label: Option<String>,
    ) -> Result<Badge, BadgeError>;

    /// Signs the journal's end.
    ///
    /// # Errors
    /// When the key cannot sign.
    fn checkpoint(&self, journal: &[u8], end: End) -> Result<Checkpoint, Unproven>;

    /// Reads a submission, and what it changes in a repository, if `may_read` says that it may be read. Gives its digest, too.
    ///
    /// # Errors
    /// With every mistake, or why it cannot be read now.
    async fn submission(
        &self,
        value: &Value,
        may_read: &MayRead<'_>,
    ) -> Result<(Submission, String), Refused>;

    /// Keeps what a tool found in the latest commit of a pull request.
    ///
    /// # Errors
    /// When the pull request is not open, not on this machine, or at another commit.
    async fn report_check(
        &self,
        thread: &Thread,
        status: CommitStatus,
        commit: Option<&str>,
        principal: Principal,
    ) -> Result<CommitStatus, DecideError>;

    /// Takes code to be judged, all submissions or none. Each comes with its digest.
    async fn check(
        &self,
        submissions: Vec<(Submission, String)>,
        principal: Principal,
    ) -> Result<Vec<Check>, CheckError>;

    /// The check as it ended, or as it is when `timeout` is over; `None` when there is no such check.
    async fn wait_check(&self, id: Uuid, timeout: Duration) -> Result<Option<Check>, StoreError>;

    /// What happens in a check from now on; `None` when it is over or there is none.
    fn follow_check(&self, id: Uuid) -> Option<tokio::sync::broadcast::Receiver<CheckNews>>;

    /// What an effect would do, as a patch or a text.
    async fn preview(&self, effect: &Effect) -> Result<Option<String>, DecideError>;

    /// A person's word on an effect. `digest` is that of what they looked at.
    async fn decide(
        &self,
        id: Uuid,
        principal: Principal,
        decision: Verdict,
        comment: Option<String>,
        digest: Option<String>,
    ) -> Result<Effect, DecideError>;

    /// A person's word on a pull request.
    async fn review(
        &self,
        thread: &Thread,
        principal: Principal,
        decision: Verdict,
        comment: Option<String>,
    ) -> Result<Thread, DecideError>;

    /// Undoes an effect.
    async fn revert(&self, id: Uuid, principal: Principal) -> Result<Effect, DecideError>;

    /// What a pull request would change.
    async fn difference(&self, thread: &Thread) -> Result<Difference, DecideError>;

    /// What changed between two commits of a repository, or since the first parent of one.
    async fn compare(
        &self,
        repository: &str,
        base: Option<&str>,
        head: &str,
    ) -> Result<Comparison, ForgeError>;

    /// Records a change of what is paid for, which waits for people.
    async fn propose_billing(
        &self,
        action: BillingAction,
        reason: String,
        principal: Principal,
    ) -> Result<Effect, StoreError>;

    /// What the host works with outside of itself, by name.
    fn integrations(&self) -> Vec<IntegrationView>;

    /// Looks at every component.
    async fn health(&self) -> Vec<HealthCheck>;

    /// Alerts whose rules hold, and not for long enough yet; none where no rule is looked at.
    fn pending_alerts(&self) -> Vec<Alert> {
        Vec::new()
    }

    /// How the kill switch is.
    fn killswitch(&self) -> KillView;

    /// Stops everything.
    async fn kill(
        &self,
        reason: String,
        minutes: Option<u32>,
        principal: Principal,
    ) -> Result<KillView, StoreError>;

    /// Lets everything go on if this run, with nothing applied, succeeds.
    async fn recover(&self, run: StartRun) -> Result<KillView, RecoverError>;

    /// The backups of this host; none where there is no host, as in a test.
    fn backups(&self) -> Option<Arc<Backups>> {
        None
    }

    /// What stands in front of the API; none where everybody is let in, as in a test.
    fn access(&self) -> Option<&Access> {
        None
    }

    /// Where the values of the configuration come from; none in a test.
    fn secrets(&self) -> Option<&Secrets> {
        None
    }

    /// Whether runs are taken; the text says why not.
    fn ready(&self) -> Result<(), String>;
}

#[cfg(any(test, fuzzing))]
pub(crate) use webhooks::is_signed;

/// What handlers share.
pub(crate) type Plane = State<Arc<dyn ControlPlane>>;

/// What a handler answers.
pub(crate) type Answer<T> = Result<T, ApiError>;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Infinity",
        description = "Runs automation agents that nobody has to trust. Lists answer `{ \"items\": [...], \"next\": cursor-or-null }`; failures are RFC 9457 problems with a stable `code`. Beside it, `/agents/{name}/…` is answered by the components of agents that export `wasi:http/incoming-handler`."
    ),
    components(schemas(Problem, InputError)),
    tags(
        (name = "plugins", description = "Components that can run"),
        (name = "agents", description = "Plugins with settings, grants and limits"),
        (name = "runs", description = "Executions of agents"),
        (name = "checks", description = "Code that was handed in, and what speaks against it"),
        (name = "effects", description = "What runs propose to change, and what people say to it"),
        (name = "schedule", description = "When agents were due, and what came of it"),
        (name = "workflows", description = "Pipelines: agents one after the other"),
        (name = "commands", description = "What people and programs ask for in words"),
        (name = "events", description = "What happened"),
        (name = "alerts", description = "What the host's own rules came to"),
        (name = "badges", description = "States as images"),
        (name = "audit", description = "What was done, and whether the journal of it is whole"),
        (name = "config", description = "What the host runs by: other versions of it, and the way back"),
        (name = "access", description = "Who may call, and who is kept out"),
        (name = "secrets", description = "What the configuration names without holding it"),
        (name = "host", description = "The host itself"),
    )
)]
struct Document;

/// The routes and the document that describes them.
fn routes() -> (
    axum::Router<Arc<dyn ControlPlane>>,
    utoipa::openapi::OpenApi,
) {
    let (router, mut document) = OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(health::index))
        .routes(routes!(health::health))
        .routes(routes!(health::ready))
        .routes(routes!(docs::get_docs))
        .routes(routes!(plugins::list_plugins))
        .routes(routes!(plugins::get_plugin))
        .routes(routes!(agents::list_agents))
        .routes(routes!(agents::get_agent))
        .routes(routes!(agents::start_run))
        .routes(routes!(checks::list_checks, checks::create_check))
        .routes(routes!(checks::create_checks))
        .routes(routes!(checks::get_check))
        .routes(routes!(checks::follow_check))
        .routes(routes!(reported::report_check))
        .routes(routes!(webhooks::deliver_webhook))
        .routes(routes!(agent_records::get_agent_state))
        .routes(routes!(agent_records::list_agent_history))
        .routes(routes!(agent_records::get_agent_health))
        .routes(routes!(agent_records::get_agent_usage))
        .routes(routes!(agent_records::delete_agent_data))
        .routes(routes!(agent_records::export_agent))
        .routes(routes!(agent_records::import_agent))
        .routes(routes!(workflows::list_workflows))
        .routes(routes!(workflows::get_workflow))
        .routes(routes!(
            workflows::list_executions,
            workflows::start_execution
        ))
        .routes(routes!(workflows::get_execution))
        .routes(routes!(workflows::cancel_execution))
        .routes(routes!(autodeploy::start_deployment))
        .routes(routes!(commands::list_commands, commands::give_command))
        .routes(routes!(commands::list_templates))
        .routes(routes!(commands::get_job_status))
        .routes(routes!(search::search_findings))
        .routes(routes!(search::search_logs))
        .routes(routes!(search::count_events))
        .routes(routes!(alerts::list_alerts))
        .routes(routes!(alerts::silence_alert, alerts::unsilence_alert))
        .routes(routes!(observe::get_metrics))
        .routes(routes!(observe::get_log_level, observe::put_log_level))
        .routes(routes!(schedule::pause_agent))
        .routes(routes!(schedule::resume_agent))
        .routes(routes!(schedule::pause))
        .routes(routes!(schedule::resume))
        .routes(routes!(
            killswitch::get_killswitch,
            killswitch::engage_killswitch
        ))
        .routes(routes!(killswitch::recover_killswitch))
        .routes(routes!(config::get_config, config::apply_config))
        .routes(routes!(config::list_versions))
        .routes(routes!(config::get_version))
        .routes(routes!(config::roll_back))
        .routes(routes!(config::approve))
        .routes(routes!(schedule::get_status))
        .routes(routes!(schedule::list_occurrences))
        .routes(routes!(runs::list_runs))
        .routes(routes!(runs::get_run))
        .routes(routes!(runs::cancel_run))
        .routes(routes!(runs::get_report))
        .routes(routes!(logs::get_logs))
        .routes(routes!(runs::list_findings))
        .routes(routes!(runs::get_sarif))
        .routes(routes!(runs::list_artifacts))
        .routes(routes!(runs::get_artifact))
        .routes(routes!(dead_letters::list_dead_letters))
        .routes(routes!(dead_letters::retry_dead_letter))
        .routes(routes!(dead_letters::drop_dead_letter))
        .routes(routes!(events::list_events, events::publish_events))
        .routes(routes!(
            billing::list_billing_proposals,
            billing::propose_billing
        ))
        .routes(routes!(billing::approve_billing))
        .routes(routes!(billing::reject_billing))
        .routes(routes!(github::receive_github))
        .routes(routes!(effects::list_effects))
        .routes(routes!(effects::get_effect))
        .routes(routes!(effects::revert_effect))
        .routes(routes!(effects::decide))
        .routes(routes!(effects::list_pull_requests))
        .routes(routes!(effects::get_pull_request))
        .routes(routes!(repositories::get_difference))
        .routes(routes!(keys::list_keys, keys::create_key))
        .routes(routes!(keys::revoke_key))
        .routes(routes!(keys::rotate_key))
        .routes(routes!(keys::get_session, keys::end_session))
        .routes(routes!(factors::show_factor))
        .routes(routes!(factors::begin_factor))
        .routes(routes!(factors::list_factors))
        .routes(routes!(factors::add_totp))
        .routes(routes!(factors::confirm_totp))
        .routes(routes!(factors::begin_passkey))
        .routes(routes!(factors::add_passkey))
        .routes(routes!(factors::remove_factor))
        .routes(routes!(sign_in::list_providers))
        .routes(routes!(sign_in::sign_in))
        .routes(routes!(sign_in::finish_sign_in))
        .routes(routes!(sign_in::begin_device))
        .routes(routes!(sign_in::finish_device))
        .routes(routes!(sign_in::list_sessions))
        .routes(routes!(sign_in::revoke_session))
        .routes(routes!(backups::list_backups, backups::create_backup))
        .routes(routes!(backups::drill_backup))
        .routes(routes!(bans::list_bans))
        .routes(routes!(audit::list_audit_actions))
        .routes(routes!(audit::list_audit_events))
        .routes(routes!(audit::verify_audit))
        .routes(routes!(audit::get_audit_checkpoint))
        .routes(routes!(audit::erase_person))
        .routes(routes!(audit::rotate_audit_key))
        .routes(routes!(secrets::list_secrets))
        .routes(routes!(secrets::put_secret, secrets::remove_secret))
        .routes(routes!(secrets::rotate_secret))
        .routes(routes!(bans::lift_ban))
        .routes(routes!(bans::list_lockouts))
        .routes(routes!(bans::end_lockout))
        .routes(routes!(integrations::list_integrations))
        .routes(routes!(integrations::get_integration))
        .routes(routes!(badges::get_agent_badge))
        .routes(routes!(badges::get_system_svg))
        .routes(routes!(badges::get_system_json))
        .routes(routes!(badges::get_badge))
        .split_for_parts();
    document.info.version = env!("CARGO_PKG_VERSION").into();
    document.info.license = None;
    document.info.contact = None;
    (router, document)
}

/// What was asked and answered once, for each operation: `{ "request": …, "status": "200", "response": … }`. Written by a test from answers of a host.
const EXAMPLES: &str = include_str!("api/examples.json");

/// The OpenAPI document, version 3.1, in JSON, with its examples.
#[must_use]
pub fn openapi() -> Value {
    // Both are part of the program, and tests read them.
    let mut document = serde_json::to_value(routes().1).unwrap_or_default();
    let examples: Value = serde_json::from_str(EXAMPLES).unwrap_or_default();
    document["components"]["securitySchemes"] = access::security_schemes();
    let operations = document["paths"]
        .as_object_mut()
        .into_iter()
        .flatten()
        .filter_map(|(path, item)| Some((path, item.as_object_mut()?)))
        .flat_map(|(path, item)| {
            item.iter_mut()
                .map(move |(method, one)| (path, method, one))
        });
    for (path, method, operation) in operations {
        access::describe(method, path, operation);
        let Some(example) = operation["operationId"]
            .as_str()
            .and_then(|id| examples.get(id))
        else {
            continue;
        };
        let status = example["status"].as_str().unwrap_or_default();
        for (place, value) in [
            ("/requestBody", example.get("request")),
            (&format!("/responses/{status}"), example.get("response")),
        ] {
            let content = operation
                .pointer_mut(place)
                .and_then(|place| place.get_mut("content"))
                .and_then(|content| content.get_mut("application/json"));
            if let (Some(content), Some(value)) = (content, value) {
                content["example"] = value.clone();
            }
        }
    }
    document
}

/// Whether there is a route of this method and path, such as `GET /v1/runs`.
#[must_use]
pub fn is_route(route: &str) -> bool {
    access::STATED
        .iter()
        .any(|(method, path, _)| route == format!("{method} {path}"))
}

/// The part of the routes whose paths begin so, and `/health`: for a listener of its own.
pub fn part(router: axum::Router, prefixes: &'static [&'static str]) -> axum::Router {
    let only = move |request: axum::extract::Request, next: axum::middleware::Next| async move {
        let path = request.uri().path();
        let begins = |prefix: &&str| {
            path.strip_prefix(*prefix)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '.']))
        };
        if path == "/health" || prefixes.iter().any(begins) {
            return next.run(request).await;
        }
        ApiError::not_found("this listener serves a part of the paths; the main one serves all")
            .into_response()
    };
    router.layer(axum::middleware::from_fn(only))
}

/// The same routes on a listener of an inner network: what is for such alone is answered.
pub fn inner(router: axum::Router) -> axum::Router {
    router.layer(axum::Extension(observe::Inner))
}

/// All routes, with everything around them: request ids, problems, limits, the check of `Host` and `Origin`.
pub fn router(plane: Arc<dyn ControlPlane>) -> axum::Router {
    let (router, _) = routes();
    let document = Bytes::from(openapi().to_string());
    let router = router
        .merge(compatibility::routes())
        .route(
            "/openapi.json",
            get(move |_: params::Params<params::NoQuery>| {
                let document = document.clone();
                async move { ([(http::header::CONTENT_TYPE, "application/json")], document) }
            }),
        )
        .fallback(async || {
            ApiError::not_found("there is no such path; `GET /openapi.json` lists them")
        })
        .method_not_allowed_fallback(async || {
            ApiError::new(
                http::StatusCode::METHOD_NOT_ALLOWED,
                "method_not_allowed",
                "this path does not take this method; see the header `Allow`",
            )
        })
        .with_state(Arc::clone(&plane));
    let served = axum::Router::new()
        .route("/agents/{name}", any(served::serve))
        .route("/agents/{name}/", any(served::serve))
        .route("/agents/{name}/{*path}", any(served::serve))
        .with_state(Arc::clone(&plane));
    envelope::wrap(router, Arc::clone(&plane)).merge(envelope::wrap_served(served, plane))
}
