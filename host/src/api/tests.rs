//! Drives the router without a socket, over a control plane in memory: each route, each problem, and the document against the routes.

use super::*;
use crate::alerts::Silence;
use crate::audit::Record;
use crate::checks::Refused;
use crate::checks::{Check, CheckError, CheckNews, CheckVerdict, Submission};
use crate::effects::{Comparison, DecideError, Difference};
use crate::forge::ForgeError;
use crate::kill::{KillState, KillView};
use crate::model::{
    Approval, Artifact, ArtifactInfo, Comment, CommitStatus, Effect, Event, Execution, Finding,
    Level, Occurrence, Outcome, Report, RunEnd, RunState, Thread, Usage, Verdict,
};
use crate::sandbox::budget::RunBudget;
use crate::sandbox::checks::MayRead;
use crate::store::{
    AgentRecord, AlertFilter, EffectChange, EffectFilter, Entry, EventCount, ExecutionTotals,
    FoundFinding, FoundLine, JournalFilter, KeyRow, KvQuota, KvUsage, OccurrenceFilter,
    OffenderRow, Page, PageRequest, Pruned, Retention, RunFilter, SealedRow, Search, ThreadFilter,
    UsageBucket, Verified,
};
use axum::body::Body;
use http::{Method, Request, StatusCode, header};
use http_body_util::BodyExt;
use jiff::Timestamp;
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Mutex;
use tower::ServiceExt;

/// A control plane that remembers what it was asked.
#[derive(Default)]
struct Fake {
    metrics: Metrics,
    started: Mutex<Vec<StartRun>>,
    running: Mutex<Vec<Uuid>>,
}

const ENDED: Uuid = Uuid::from_u128(0x0189_0000_0000_7000_8000_0000_0000_0001);
const RUNNING: Uuid = Uuid::from_u128(0x0189_0000_0000_7000_8000_0000_0000_0002);
const STARTED: Uuid = Uuid::from_u128(0x0189_0000_0000_7000_8000_0000_0000_0003);
const MISSING: Uuid = Uuid::from_u128(0x0189_0000_0000_7000_8000_0000_0000_00ff);

fn run(id: Uuid, state: RunState) -> Run {
    Run {
        id,
        agent: "check".into(),
        plugin: "validation".into(),
        plugin_digest: String::new(),
        config_digest: String::new(),
        principal: Principal::local(),
        trigger: Trigger::Manual,
        attempt: 1,
        idempotency_key: "key".into(),
        dry_run: false,
        state,
        outcome: (state == RunState::Ended).then_some(Outcome::Succeeded),
        reason: None,
        message: None,
        hint: None,
        summary: None,
        findings: 1,
        denials: Vec::new(),
        usage: Usage::default(),
        input: json!({"a": 1}),
        scheduled_at: Timestamp::UNIX_EPOCH,
        created_at: Timestamp::UNIX_EPOCH,
        started_at: None,
        ended_at: None,
    }
}

fn line(seq: u64) -> LogLine {
    LogLine {
        seq,
        at: Timestamp::UNIX_EPOCH,
        level: "info".into(),
        message: format!("line {seq}"),
    }
}

fn finding() -> Finding {
    Finding {
        rule: "json/syntax".into(),
        level: Level::Error,
        message: "no".into(),
        location: None,
        help: None,
    }
}

fn page<T>(items: Vec<T>, page: &PageRequest) -> Result<Page<T>, StoreError> {
    match page.cursor.as_deref() {
        None => Ok(Page { items, next: None }),
        Some(_) => Err(StoreError::Cursor),
    }
}

#[async_trait]
impl Store for Fake {
    async fn run(&self, id: Uuid) -> Result<Option<Run>, StoreError> {
        Ok(match id {
            ENDED | STARTED => Some(run(id, RunState::Ended)),
            RUNNING => Some(run(id, RunState::Queued)),
            _ => None,
        })
    }

    async fn runs(&self, filter: RunFilter, request: PageRequest) -> Result<Page<Run>, StoreError> {
        if filter.agent.as_deref() == Some("broken") {
            return Err(StoreError::Corrupt {
                path: "secret".into(),
                detail: "secret".into(),
            });
        }
        if filter.agent.as_deref() == Some("panic") {
            panic!("on purpose");
        }
        page(
            vec![run(RUNNING, RunState::Queued), run(ENDED, RunState::Ended)],
            &request,
        )
    }

    async fn report(&self, _: Uuid) -> Result<Option<Report>, StoreError> {
        Ok(Some(Report {
            passed: Some(true),
            findings: vec![finding()],
            ..Report::default()
        }))
    }

    async fn findings(&self, _: Uuid, request: PageRequest) -> Result<Page<Finding>, StoreError> {
        page(vec![finding()], &request)
    }

    async fn log(
        &self,
        _: Uuid,
        after: Option<u64>,
        limit: u32,
    ) -> Result<Vec<LogLine>, StoreError> {
        Ok((after.map_or(0, |after| after + 1)..3)
            .take(limit as usize)
            .map(line)
            .collect())
    }

    async fn artifact(&self, _: Uuid, name: &str) -> Result<Option<Artifact>, StoreError> {
        Ok((name == "a/b.html").then(|| Artifact {
            info: ArtifactInfo {
                name: name.into(),
                media_type: "text/html".into(),
                size: 3,
                digest: "sha256:00".into(),
            },
            content: "<b>".into(),
        }))
    }

    async fn events(
        &self,
        _: &[String],
        after: Option<&str>,
        limit: u32,
    ) -> Result<Page<Event>, StoreError> {
        let cursor = after.map(str::to_owned);
        page(Vec::new(), &PageRequest { limit, cursor })
    }

    async fn create_run(&self, _: Run) -> Result<(), StoreError> {
        Err(StoreError::Closed)
    }

    async fn mark_running(&self, _: Uuid, _: Timestamp) -> Result<bool, StoreError> {
        Err(StoreError::Closed)
    }

    async fn end_run(&self, _: RunEnd) -> Result<bool, StoreError> {
        Err(StoreError::Closed)
    }

    async fn bury(&self, _: Uuid, _: Option<Run>) -> Result<bool, StoreError> {
        Ok(false)
    }

    async fn fire(&self, _: Run, _: Occurrence) -> Result<(), StoreError> {
        Err(StoreError::Closed)
    }

    async fn note_occurrences(&self, _: Vec<Occurrence>) -> Result<(), StoreError> {
        Err(StoreError::Closed)
    }

    async fn occurrences(
        &self,
        _: OccurrenceFilter,
        request: PageRequest,
    ) -> Result<Page<Occurrence>, StoreError> {
        page(Vec::new(), &request)
    }

    async fn record_run(&self, _: RunEnd) -> Result<(), StoreError> {
        Err(StoreError::Closed)
    }

    async fn append_log(&self, _: Uuid, _: Vec<LogLine>) -> Result<(), StoreError> {
        Err(StoreError::Closed)
    }

    async fn unfinished(&self) -> Result<Vec<Run>, StoreError> {
        Err(StoreError::Closed)
    }

    async fn agent_records(&self) -> Result<Vec<AgentRecord>, StoreError> {
        Err(StoreError::Closed)
    }

    async fn publish(&self, _: Event) -> Result<bool, StoreError> {
        Err(StoreError::Closed)
    }

    async fn events_end(&self) -> Result<String, StoreError> {
        Err(StoreError::Closed)
    }

    async fn set_flag(&self, _: &str, _: Option<&str>) -> Result<(), StoreError> {
        Err(StoreError::Closed)
    }

    async fn flags(&self) -> Result<BTreeMap<String, String>, StoreError> {
        Err(StoreError::Closed)
    }

    async fn kv_get(&self, _: &str, _: &str) -> Result<Option<Vec<u8>>, StoreError> {
        Err(StoreError::Closed)
    }

    async fn kv_exists(&self, _: &str, _: &str) -> Result<bool, StoreError> {
        Err(StoreError::Closed)
    }

    async fn kv_set(&self, _: &str, _: &str, _: Vec<u8>, _: KvQuota) -> Result<(), StoreError> {
        Err(StoreError::Closed)
    }

    async fn kv_delete(&self, _: &str, _: &str) -> Result<bool, StoreError> {
        Err(StoreError::Closed)
    }

    async fn kv_list(
        &self,
        _: &str,
        _: Option<&str>,
        _: u32,
    ) -> Result<(Vec<String>, bool), StoreError> {
        Ok((Vec::new(), false))
    }

    async fn kv_increment(&self, _: &str, _: &str, _: u64, _: KvQuota) -> Result<u64, StoreError> {
        Err(StoreError::Closed)
    }

    async fn kv_get_many(&self, _: &str, _: &[String]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        Ok(Vec::new())
    }

    async fn kv_set_many(
        &self,
        _: &str,
        _: Vec<(String, Vec<u8>)>,
        _: KvQuota,
    ) -> Result<(), StoreError> {
        Err(StoreError::Closed)
    }

    async fn kv_delete_many(&self, _: &str, _: &[String]) -> Result<u64, StoreError> {
        Err(StoreError::Closed)
    }

    async fn kv_usage(&self, _: &str) -> Result<KvUsage, StoreError> {
        Err(StoreError::Closed)
    }

    async fn latest_attempt(&self, _: &str, _: &str) -> Result<Option<Run>, StoreError> {
        Err(StoreError::Closed)
    }

    async fn begin_execution(
        &self,
        _: Execution,
        _: Option<Occurrence>,
    ) -> Result<u64, StoreError> {
        Err(StoreError::Closed)
    }

    async fn update_execution(&self, _: Execution, _: Vec<Event>) -> Result<bool, StoreError> {
        Err(StoreError::Closed)
    }

    async fn execution(&self, _: Uuid) -> Result<Option<Execution>, StoreError> {
        Ok(None)
    }

    async fn put_checks(&self, _: Vec<Check>, _: Vec<Event>) -> Result<(), StoreError> {
        Err(StoreError::Closed)
    }

    async fn check(&self, _: Uuid) -> Result<Option<Check>, StoreError> {
        Ok(None)
    }

    async fn checks(
        &self,
        _: Option<CheckVerdict>,
        request: PageRequest,
    ) -> Result<Page<Check>, StoreError> {
        page(Vec::new(), &request)
    }

    async fn put_version(
        &self,
        _: ConfigVersion,
        _: String,
        _: Vec<Event>,
    ) -> Result<u64, StoreError> {
        Ok(1)
    }

    async fn update_version(&self, _: ConfigVersion, _: Vec<Event>) -> Result<(), StoreError> {
        Ok(())
    }

    async fn version(&self, _: u64) -> Result<Option<(ConfigVersion, String)>, StoreError> {
        Ok(None)
    }

    async fn versions(&self, request: PageRequest) -> Result<Page<ConfigVersion>, StoreError> {
        page(Vec::new(), &request)
    }

    async fn open_checks(&self) -> Result<Vec<Check>, StoreError> {
        Ok(Vec::new())
    }

    async fn executions(
        &self,
        _: &str,
        request: PageRequest,
    ) -> Result<Page<Execution>, StoreError> {
        page(Vec::new(), &request)
    }

    async fn running_executions(&self) -> Result<Vec<Execution>, StoreError> {
        Err(StoreError::Closed)
    }

    async fn execution_totals(&self, _: &str) -> Result<ExecutionTotals, StoreError> {
        Ok(ExecutionTotals::default())
    }

    async fn search_findings(
        &self,
        _: Search,
        _: Option<Level>,
        _: Option<&str>,
        request: PageRequest,
    ) -> Result<Page<FoundFinding>, StoreError> {
        page(Vec::new(), &request)
    }

    async fn search_logs(
        &self,
        _: Search,
        request: PageRequest,
    ) -> Result<Page<FoundLine>, StoreError> {
        page(Vec::new(), &request)
    }

    async fn usage(&self, _: &str, _: Timestamp, _: u32) -> Result<Vec<UsageBucket>, StoreError> {
        Ok(Vec::new())
    }

    async fn count_events(&self, _: Vec<EventCount>, _: &str, _: &str) -> Result<(), StoreError> {
        Err(StoreError::Closed)
    }

    async fn event_counts(&self, _: Timestamp) -> Result<Vec<EventCount>, StoreError> {
        Ok(Vec::new())
    }

    async fn forget(&self, _: &str) -> Result<u64, StoreError> {
        Err(StoreError::Closed)
    }

    async fn shrink(&self, _: u64) -> Result<u64, StoreError> {
        Err(StoreError::Closed)
    }

    async fn effect(&self, _: Uuid) -> Result<Option<Effect>, StoreError> {
        Ok(None)
    }

    async fn effects(&self, _: EffectFilter, _: PageRequest) -> Result<Page<Effect>, StoreError> {
        Ok(Page {
            items: Vec::new(),
            next: None,
        })
    }

    async fn due_effects(
        &self,
        _: Timestamp,
        _: &[String],
        _: u32,
    ) -> Result<(Vec<(Uuid, String)>, Option<Timestamp>), StoreError> {
        Ok((Vec::new(), None))
    }

    async fn applied_since(
        &self,
        _: &str,
        _: Timestamp,
    ) -> Result<(u64, Option<Timestamp>), StoreError> {
        Ok((0, None))
    }

    async fn propose(&self, _: Effect, _: Event) -> Result<(), StoreError> {
        Ok(())
    }

    async fn change_effect(&self, _: EffectChange) -> Result<Option<Effect>, StoreError> {
        Ok(None)
    }

    async fn thread(&self, _: &str, _: u64) -> Result<Option<Thread>, StoreError> {
        Ok(None)
    }

    async fn thread_of(&self, _: Uuid) -> Result<Option<Thread>, StoreError> {
        Ok(None)
    }

    async fn threads(&self, _: ThreadFilter, _: PageRequest) -> Result<Page<Thread>, StoreError> {
        Ok(Page {
            items: Vec::new(),
            next: None,
        })
    }

    async fn comments(&self, _: &str, _: u64) -> Result<Vec<Comment>, StoreError> {
        Ok(Vec::new())
    }

    async fn put_status(
        &self,
        _: &str,
        _: &str,
        _: CommitStatus,
        _: Event,
    ) -> Result<(), StoreError> {
        Err(StoreError::Closed)
    }

    async fn statuses(&self, _: &str, _: &str) -> Result<Vec<CommitStatus>, StoreError> {
        Ok(Vec::new())
    }

    async fn keep_thread(&self, _: Thread) -> Result<(), StoreError> {
        Ok(())
    }

    async fn put_alert(&self, _: Alert, _: Event) -> Result<(), StoreError> {
        Ok(())
    }

    async fn alerts(
        &self,
        _: AlertFilter,
        request: PageRequest,
    ) -> Result<Page<Alert>, StoreError> {
        page(Vec::new(), &request)
    }

    async fn put_silence(&self, _: Silence, _: Event) -> Result<(), StoreError> {
        Ok(())
    }

    async fn end_silence(&self, _: &str, _: Timestamp, _: Event) -> Result<bool, StoreError> {
        Ok(false)
    }

    async fn silences(&self, _: Timestamp) -> Result<Vec<Silence>, StoreError> {
        Ok(Vec::new())
    }

    async fn keys(&self) -> Result<Vec<KeyRow>, StoreError> {
        Ok(Vec::new())
    }

    async fn sealed(&self, _: &'static str) -> Result<Vec<SealedRow>, StoreError> {
        Ok(Vec::new())
    }

    async fn put_sealed(
        &self,
        _: &'static str,
        _: Vec<SealedRow>,
        _: Vec<Uuid>,
        _: Vec<Event>,
    ) -> Result<(), StoreError> {
        Ok(())
    }

    async fn put_keys(&self, _: Vec<KeyRow>, _: Vec<Uuid>, _: Event) -> Result<(), StoreError> {
        Ok(())
    }

    async fn offenders(&self) -> Result<Vec<OffenderRow>, StoreError> {
        Ok(Vec::new())
    }

    async fn note(&self, _: Vec<Record>) -> Result<(), StoreError> {
        Ok(())
    }

    async fn journal(
        &self,
        _: JournalFilter,
        request: PageRequest,
    ) -> Result<Page<Entry>, StoreError> {
        page(Vec::new(), &request)
    }

    async fn journal_end(&self) -> Result<(Vec<u8>, End), StoreError> {
        Ok((Vec::new(), End::start(&[])))
    }

    async fn people(&self, _: &[String]) -> Result<BTreeMap<String, String>, StoreError> {
        Ok(BTreeMap::new())
    }

    async fn pseudonyms(&self, _: &str, _: &[String]) -> Result<Vec<String>, StoreError> {
        Ok(Vec::new())
    }

    async fn erase_person(&self, _: &str, _: &str, _: Record) -> Result<bool, StoreError> {
        Ok(false)
    }

    async fn rotate_journal_key(&self, _: Record) -> Result<u32, StoreError> {
        Ok(2)
    }

    async fn verify_journal(&self) -> Result<Verified, StoreError> {
        Err(StoreError::Closed)
    }

    async fn put_offenders(&self, _: Vec<OffenderRow>, _: Vec<Event>) -> Result<(), StoreError> {
        Ok(())
    }

    async fn review(
        &self,
        _: &str,
        _: u64,
        _: Approval,
        _: Event,
    ) -> Result<Option<Thread>, StoreError> {
        Ok(None)
    }

    async fn prune(&self, _: Retention) -> Result<Pruned, StoreError> {
        Err(StoreError::Closed)
    }

    async fn close(&self) -> Result<(), StoreError> {
        Err(StoreError::Closed)
    }
}

#[async_trait]
impl ControlPlane for Fake {
    fn config_status(&self) -> ConfigStatus {
        ConfigStatus {
            version: 1,
            path: "plugins.toml".into(),
            digest: String::new(),
            since: Timestamp::UNIX_EPOCH,
            problems: Vec::new(),
            held: Vec::new(),
            restart: Vec::new(),
            draining: 0,
            canaries: Vec::new(),
        }
    }

    async fn apply_config(&self, _: NewConfig) -> Result<ConfigVersion, ConfigError> {
        Err(ConfigError::NotFound)
    }

    async fn roll_back_config(&self, _: u64, _: Principal) -> Result<ConfigVersion, ConfigError> {
        Err(ConfigError::NotFound)
    }

    async fn approve_config(
        &self,
        _: &str,
        _: Option<&str>,
        _: Principal,
    ) -> Result<ConfigVersion, ConfigError> {
        Err(ConfigError::NotFound)
    }

    fn killswitch(&self) -> KillView {
        KillView {
            state: KillState::Off,
            kill: None,
        }
    }

    async fn kill(&self, _: String, _: Option<u32>, _: Principal) -> Result<KillView, StoreError> {
        Ok(self.killswitch())
    }

    async fn recover(&self, _: StartRun) -> Result<KillView, RecoverError> {
        Err(RecoverError::Off)
    }

    fn store(&self) -> &dyn Store {
        self
    }

    fn plugins(&self) -> Vec<PluginView> {
        vec![PluginView {
            name: "validation".into(),
            file: "validation.wasm".into(),
            digest: "sha256:00".into(),
            size: 8,
            status: PluginStatus::Ready,
            problem: None,
            inspection: None,
            signed_by: None,
            locked: false,
            source: None,
        }]
    }

    fn agents(&self) -> Vec<AgentView> {
        vec![AgentView {
            name: "check".into(),
            plugin: "validation".into(),
            description: None,
            enabled: true,
            problem: None,
            webhook: false,
            priority: "normal".into(),
            commands: false,
            serves: None,
            health_score: 1.0,
            on: Vec::new(),
            every_ms: None,
            cron: None,
            paused: false,
            quarantined: false,
            autonomy: "observe".into(),
            grants: json!({}),
            limits: RunBudget::default(),
            next_at: None,
            input_schema: None,
            state: AgentState::Online,
            last_run: None,
        }]
    }

    async fn start_run(&self, request: StartRun) -> Result<Run, StartError> {
        let answer = match (request.agent.as_str(), request.idempotency_key.as_deref()) {
            (_, Some("used")) => Err(StartError::Duplicate(ENDED)),
            (_, Some("in-flight")) => Err(StartError::Duplicate(MISSING)),
            ("check", _) => Ok(run(STARTED, RunState::Queued)),
            ("disabled", _) => Err(StartError::Disabled),
            ("schema", _) => Err(StartError::InvalidInput {
                pointer: "/a".into(),
                message: "is no text".into(),
            }),
            ("full", _) => Err(StartError::QueueFull),
            ("stopping", _) => Err(StartError::Stopping),
            ("disk", _) => Err(StartError::Store(StoreError::Full {
                path: "state".into(),
            })),
            _ => Err(StartError::UnknownAgent {
                nearest: Some("check".into()),
            }),
        };
        self.started.lock().expect("no panic").push(request);
        answer
    }

    async fn wait(&self, id: Uuid, _: Duration) -> Result<Option<Run>, StoreError> {
        self.run(id).await
    }

    async fn cancel(&self, id: Uuid, _: Principal) -> Result<Run, CancelError> {
        match id {
            RUNNING => Ok(run(id, RunState::Running)),
            ENDED => Err(CancelError::Ended),
            _ => Err(CancelError::NotFound),
        }
    }

    async fn hold(&self, _: Option<&str>, _: bool, _: Principal) -> Result<(), HoldError> {
        Ok(())
    }

    async fn publish(&self, _: Event) -> Result<bool, StoreError> {
        Ok(true)
    }

    async fn retry_dead(&self, _: Uuid, _: Principal) -> Result<Option<Run>, StartError> {
        Ok(None)
    }

    fn webhook(&self, _: &str) -> Option<Webhook> {
        None
    }

    fn github_secrets(&self) -> Vec<crate::config::Secret> {
        Vec::new()
    }

    fn workflows(&self) -> Vec<WorkflowView> {
        vec![WorkflowView {
            name: "full".into(),
            description: None,
            steps: vec![WorkflowStep {
                agent: "check".into(),
                go_on: false,
            }],
            schedule: None,
            next_at: None,
            running: false,
            totals: None,
        }]
    }

    async fn begin_workflow(&self, _: &str, _: Principal) -> Result<Execution, WorkflowError> {
        Err(WorkflowError::Running(ENDED))
    }

    fn cancel_workflow(&self, _: Uuid, _: Principal) -> bool {
        false
    }

    fn command_agent(&self) -> Option<String> {
        Some("check".into())
    }

    fn templates(&self) -> Vec<Template> {
        Vec::new()
    }

    fn agent_health(&self, agent: &str) -> Option<AgentHealth> {
        Some(AgentHealth {
            agent: agent.to_owned(),
            score: 1.0,
            success_rate: None,
            runs: 0,
            succeeded: 0,
            staleness: 0.0,
            quarantined: false,
            problem: None,
        })
    }

    async fn forget(&self, _: &str, _: Principal) -> Result<Option<u64>, StoreError> {
        Ok(None)
    }

    fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    async fn metrics_text(&self) -> Result<String, String> {
        self.metrics
            .text(crate::metrics::Levels::default())
            .map_err(|error| error.to_string())
    }

    async fn serve(
        &self,
        agent: &str,
        _: http::Request<wasmtime_wasi_http::WasiBody>,
    ) -> Result<http::Response<ServedBody>, ServeError> {
        Err(ServeError::Unknown {
            name: agent.to_owned(),
        })
    }

    fn status(&self) -> Status {
        Status {
            state: AgentState::Online,
            paused: false,
            killswitch: self.killswitch(),
            maintenance: false,
            agents: 0,
            paused_agents: Vec::new(),
            queued: 0,
            running: 0,
            places: 8,
            states: BTreeMap::new(),
            running_workflows: Vec::new(),
            started_at: Timestamp::UNIX_EPOCH,
        }
    }

    fn live(&self, id: Uuid) -> Option<LiveRun> {
        (id == RUNNING).then(|| LiveRun {
            started_at: Some(Timestamp::UNIX_EPOCH),
            progress: Some(Progress {
                done: 1,
                total: Some(2),
                message: "half".into(),
            }),
        })
    }

    async fn live_log(&self, id: Uuid, after: Option<u64>) -> Option<Vec<LogLine>> {
        (id == RUNNING && self.running.lock().expect("no panic").is_empty())
            .then(|| (after.map_or(0, |after| after + 1)..2).map(line).collect())
    }

    async fn badge(
        &self,
        subject: BadgeSubject,
        style: BadgeStyle,
        label: Option<String>,
    ) -> Result<Badge, BadgeError> {
        match subject {
            BadgeSubject::Agent(agent) if agent != "check" => {
                Err(BadgeError::UnknownAgent { nearest: None })
            }
            _ if label.as_deref() == Some("bad") => {
                Err(BadgeError::InvalidLabel("the label is bad".into()))
            }
            _ if label.as_deref() == Some("broken") => Err(BadgeError::Unavailable("trap".into())),
            subject => Ok(Badge::new(
                format!("<svg>{subject:?}{style:?}</svg>"),
                label.unwrap_or_else(|| "infinity".into()),
                "online".into(),
                "brightgreen".into(),
            )),
        }
    }

    fn checkpoint(&self, _: &[u8], _: End) -> Result<Checkpoint, Unproven> {
        Err(Unproven::Sign("the fake has no key".into()))
    }

    async fn submission(
        &self,
        _: &Value,
        _: &MayRead<'_>,
    ) -> Result<(Submission, String), Refused> {
        Err(Refused::Unavailable("the fake judges nothing".into()))
    }

    async fn check(
        &self,
        _: Vec<(Submission, String)>,
        _: Principal,
    ) -> Result<Vec<Check>, CheckError> {
        Err(CheckError::Full)
    }

    async fn wait_check(&self, _: Uuid, _: Duration) -> Result<Option<Check>, StoreError> {
        Ok(None)
    }

    fn follow_check(&self, _: Uuid) -> Option<tokio::sync::broadcast::Receiver<CheckNews>> {
        None
    }

    async fn preview(&self, _: &Effect) -> Result<Option<String>, DecideError> {
        Ok(None)
    }

    async fn decide(
        &self,
        _: Uuid,
        _: Principal,
        _: Verdict,
        _: Option<String>,
        _: Option<String>,
    ) -> Result<Effect, DecideError> {
        Err(DecideError::Unknown)
    }

    async fn review(
        &self,
        _: &Thread,
        _: Principal,
        _: Verdict,
        _: Option<String>,
    ) -> Result<Thread, DecideError> {
        Err(DecideError::Unknown)
    }

    async fn revert(&self, _: Uuid, _: Principal) -> Result<Effect, DecideError> {
        Err(DecideError::Unknown)
    }

    async fn report_check(
        &self,
        _: &Thread,
        _: CommitStatus,
        _: Option<&str>,
        _: Principal,
    ) -> Result<CommitStatus, DecideError> {
        Err(DecideError::NotLocal)
    }

    async fn difference(&self, thread: &Thread) -> Result<Difference, DecideError> {
        Ok(Difference {
            thread: thread.clone(),
            head: None,
            patch: None,
            statuses: Vec::new(),
        })
    }

    async fn compare(&self, _: &str, _: Option<&str>, _: &str) -> Result<Comparison, ForgeError> {
        Err(ForgeError::NotFound("there is no such repository".into()))
    }

    async fn propose_billing(
        &self,
        _: crate::model::BillingAction,
        _: String,
        _: Principal,
    ) -> Result<Effect, StoreError> {
        Err(StoreError::Closed)
    }

    fn integrations(&self) -> Vec<IntegrationView> {
        Vec::new()
    }

    async fn health(&self) -> Vec<HealthCheck> {
        vec![HealthCheck {
            component: "config".into(),
            ok: false,
            detail: "plugins.toml:1:1".into(),
        }]
    }

    fn ready(&self) -> Result<(), String> {
        Err("plugins are being compiled".into())
    }
}

/// What came back.
struct Reply {
    status: StatusCode,
    headers: http::HeaderMap,
    body: Vec<u8>,
}

impl Reply {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }

    /// Checks that this is a problem with everything a problem has.
    fn problem(&self, status: u16, code: &str) -> Value {
        let body = self.json();
        assert_eq!(self.status.as_u16(), status, "{body}");
        assert_eq!(self.header("content-type"), "application/problem+json");
        assert_eq!(body["code"], code, "{body}");
        assert_eq!(body["status"], status);
        assert_eq!(body["request_id"], self.header("x-request-id"));
        assert!(!self.header("x-request-id").is_empty());
        body
    }
}

async fn send(request: Request<Body>) -> Reply {
    let response = router(Arc::new(Fake::default()))
        .oneshot(request)
        .await
        .expect("a router does not fail");
    let (parts, body) = response.into_parts();
    Reply {
        status: parts.status,
        headers: parts.headers,
        body: body
            .collect()
            .await
            .expect("a body in memory")
            .to_bytes()
            .to_vec(),
    }
}

async fn get(path: &str) -> Reply {
    send(Request::get(path).body(Body::empty()).expect("valid")).await
}

async fn get_with(path: &str, name: &str, value: &str) -> Reply {
    send(
        Request::get(path)
            .header(name, value)
            .body(Body::empty())
            .expect("valid"),
    )
    .await
}

async fn post(path: &str, body: impl Into<Body>) -> Reply {
    send(
        Request::post(path)
            .header(header::CONTENT_TYPE, "application/json")
            .body(body.into())
            .expect("valid"),
    )
    .await
}

fn run_path(id: Uuid, rest: &str) -> String {
    format!("/v1/runs/{id}{rest}")
}

#[tokio::test]
async fn lists_answer_items_and_next() {
    for path in [
        "/v1/plugins",
        "/v1/agents",
        "/v1/runs?agent=check&state=ended&outcome=succeeded&trigger=manual&since=2026-01-01T00:00:00Z&until=2027-01-01T00:00:00Z&limit=1&plugin=x",
        "/v1/events?type=run.failed",
        &run_path(ENDED, "/findings?limit=500"),
        &run_path(ENDED, "/artifacts"),
        &run_path(RUNNING, "/artifacts"),
        &run_path(ENDED, "/logs"),
    ] {
        let reply = get(path).await;
        let body = reply.json();
        assert_eq!(reply.status, StatusCode::OK, "{path}: {body}");
        assert!(
            body["items"].is_array() && body["next"].is_null(),
            "{path}: {body}"
        );
    }
}

#[tokio::test]
async fn a_running_run_shows_what_is_known_of_it_in_this_process() {
    let body = get(&run_path(RUNNING, "")).await.json();
    assert_eq!(body["state"], "running");
    assert_eq!(body["progress"]["message"], "half");
    assert_eq!(body["started_at"], "1970-01-01T00:00:00Z");
    let body = get(&run_path(ENDED, "")).await.json();
    assert_eq!(body["outcome"], "succeeded");
    assert!(body["progress"].is_null());
}

#[tokio::test]
async fn what_a_run_returned_is_there_once_it_has_ended() {
    assert_eq!(
        get(&run_path(ENDED, "/report")).await.json()["passed"],
        true
    );
    let sarif = get(&run_path(ENDED, "/sarif")).await;
    assert_eq!(sarif.header("content-type"), "application/sarif+json");
    for rest in ["/report", "/sarif"] {
        get(&run_path(RUNNING, rest))
            .await
            .problem(409, "run_not_ended");
    }
}

#[tokio::test]
async fn an_artifact_is_never_a_page_of_this_host() {
    let reply = get(&run_path(ENDED, "/artifacts/a%2Fb.html")).await;
    assert_eq!(reply.body, b"<b>");
    assert_eq!(reply.header("content-type"), "text/html");
    assert_eq!(reply.header("x-content-type-options"), "nosniff");
    assert!(
        reply
            .header("content-disposition")
            .starts_with("attachment")
    );
    assert_eq!(reply.header("etag"), "\"sha256:00\"");
    get(&run_path(ENDED, "/artifacts/none"))
        .await
        .problem(404, "not_found");
}

#[tokio::test]
async fn a_log_is_read_in_parts_running_or_not() {
    let body = get(&run_path(ENDED, "/logs?limit=2")).await.json();
    assert_eq!(
        (body["items"][1]["seq"].as_u64(), body["next"].as_str()),
        (Some(1), Some("1"))
    );
    let body = get(&run_path(ENDED, "/logs?limit=2&after=1")).await.json();
    assert_eq!(
        (body["items"][0]["seq"].as_u64(), body["next"].as_str()),
        (Some(2), None)
    );
    let body = get(&run_path(RUNNING, "/logs")).await.json();
    assert_eq!(
        (
            body["items"].as_array().map(Vec::len),
            body["next"].as_str()
        ),
        (Some(2), Some("1"))
    );
}

#[tokio::test]
async fn a_log_is_followed_to_its_end_and_resumed() {
    let reply = get_with(&run_path(ENDED, "/logs"), "accept", "text/event-stream").await;
    assert_eq!(reply.header("content-type"), "text/event-stream");
    let text = String::from_utf8_lossy(&reply.body);
    assert_eq!(text.matches("event: log").count(), 3, "{text}");
    assert!(
        text.contains("id: 2") && text.contains("event: end"),
        "{text}"
    );
    let resumed = send(
        Request::get(run_path(ENDED, "/logs"))
            .header("accept", "text/event-stream")
            .header("last-event-id", "1")
            .body(Body::empty())
            .expect("valid"),
    )
    .await;
    let text = String::from_utf8_lossy(&resumed.body);
    assert_eq!(text.matches("event: log").count(), 1, "{text}");
}

#[tokio::test]
async fn a_start_answers_201_with_where_the_run_is() {
    let reply = post("/v1/agents/check/runs", r#"{"a":1}"#).await;
    assert_eq!(reply.status, StatusCode::CREATED);
    assert_eq!(reply.header("location"), format!("/v1/runs/{STARTED}"));
    assert_eq!(reply.json()["state"], "queued");
    let reply = post("/v1/agents/check/runs?wait=30s", Body::empty()).await;
    assert_eq!(reply.status, StatusCode::CREATED);
    assert_eq!(reply.json()["state"], "ended");
    for wait in ["11m", "-1s", "x"] {
        post(&format!("/v1/agents/check/runs?wait={wait}"), Body::empty())
            .await
            .problem(422, "invalid_parameter");
    }
}

#[tokio::test]
async fn a_start_that_is_refused_says_why() {
    for (agent, status, code) in [
        ("none", 404, "unknown_agent"),
        ("disabled", 409, "agent_disabled"),
        ("schema", 422, "invalid_input"),
        ("full", 503, "queue_full"),
        ("stopping", 503, "stopping"),
        ("disk", 507, "storage_full"),
    ] {
        let reply = post(&format!("/v1/agents/{agent}/runs"), "null").await;
        let body = reply.problem(status, code);
        assert_eq!(status == 503, !reply.header("retry-after").is_empty());
        if code == "invalid_input" {
            assert_eq!(body["errors"][0]["pointer"], "/a");
        }
    }
}

#[tokio::test]
async fn an_idempotency_key_starts_one_run() {
    let with_key = async |key: &str, body: &'static str| {
        send(
            Request::post("/v1/agents/check/runs")
                .header("idempotency-key", key)
                .header(header::CONTENT_TYPE, "application/json")
                .body(Body::from(body))
                .expect("valid"),
        )
        .await
    };
    let reply = with_key("used", r#"{"a":1}"#).await;
    assert_eq!(reply.status, StatusCode::OK);
    assert_eq!(reply.header("idempotency-replayed"), "true");
    assert_eq!(reply.json()["id"], ENDED.to_string());
    with_key("used", "{}")
        .await
        .problem(422, "idempotency_key_reused");
    with_key("in-flight", "{}")
        .await
        .problem(409, "idempotency_key_in_flight");
    with_key(&"k".repeat(256), "{}")
        .await
        .problem(400, "invalid_idempotency_key");
    with_key("", "{}")
        .await
        .problem(400, "invalid_idempotency_key");
    assert_eq!(
        with_key(&"k".repeat(255), "{}").await.status,
        StatusCode::CREATED
    );
}

#[tokio::test]
async fn a_body_that_is_no_json_is_refused_before_the_start() {
    let path = "/v1/agents/check/runs";
    for bad in ["{", "{} {}", "{\"a\":1,\"a\":2}", "\u{feff}{}", "nul"] {
        let problem = post(path, bad).await.problem(400, "invalid_json");
        let detail = problem["detail"].as_str().unwrap_or_default();
        assert!(detail.contains("line 1 column"), "{bad}: {detail}");
    }
    post(path, "[".repeat(200))
        .await
        .problem(400, "invalid_json");
    post(path, vec![b' '; json::BODY_MAX_BYTES + 1])
        .await
        .problem(413, "body_too_large");
    let chunks =
        futures::stream::iter((0..17).map(|_| Ok::<_, std::io::Error>(vec![b' '; 64 * 1024])));
    post(path, Body::from_stream(chunks))
        .await
        .problem(413, "body_too_large");
    let plain = Request::post(path).header(header::CONTENT_TYPE, "text/plain");
    send(plain.body(Body::from("{}")).expect("valid"))
        .await
        .problem(415, "unsupported_media_type");
    let packed = Request::post(path)
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::CONTENT_ENCODING, "gzip");
    send(packed.body(Body::from("{}")).expect("valid"))
        .await
        .problem(415, "unsupported_media_type");
}

#[tokio::test]
async fn a_run_is_cancelled_once() {
    let reply = post(&run_path(RUNNING, "/cancel"), Body::empty()).await;
    assert_eq!(reply.status, StatusCode::OK);
    post(&run_path(ENDED, "/cancel"), Body::empty())
        .await
        .problem(409, "run_ended");
    post(&run_path(MISSING, "/cancel"), Body::empty())
        .await
        .problem(404, "not_found");
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    let long = format!("/v1/runs/{}", "a".repeat(10_000));
    for path in [
        "/nothing",
        "/v1/runs/",
        "/v1/runs/null",
        "/v1/runs/%F0%9F%92%A5",
        "/v1/runs/%ff",
        "/v1/plugins/none",
        "/badges/check.png",
        &long,
        &run_path(MISSING, ""),
        &run_path(MISSING, "/logs"),
        &run_path(MISSING, "/findings"),
        &run_path(MISSING, "/report"),
    ] {
        get(path).await.problem(404, "not_found");
    }
    let problem = get("/v1/agents/chekc").await.problem(404, "unknown_agent");
    assert!(
        problem["detail"]
            .as_str()
            .is_some_and(|detail| detail.contains("`check`"))
    );
}

#[tokio::test]
async fn a_wrong_method_names_the_right_ones() {
    let request = Request::delete("/v1/runs")
        .body(Body::empty())
        .expect("valid");
    let reply = send(request).await;
    reply.problem(405, "method_not_allowed");
    assert_eq!(reply.header("allow"), "GET,HEAD");
    let reply = get("/v1/agents/check/runs").await;
    reply.problem(405, "method_not_allowed");
    assert_eq!(reply.header("allow"), "POST");
}

#[tokio::test]
async fn a_parameter_is_known_and_in_its_range() {
    let problem = get("/v1/runs?agnet=x")
        .await
        .problem(422, "unknown_parameter");
    assert!(
        problem["detail"]
            .as_str()
            .is_some_and(|detail| detail.contains("`agent`"))
    );
    get("/v1/runs?sort=id;drop")
        .await
        .problem(422, "unknown_column");
    get("/v1/plugins?x").await.problem(422, "unknown_parameter");
    for query in [
        "limit=0",
        "limit=-1",
        "limit=1000000000",
        "limit=",
        "state=done",
        "outcome=%27",
        "trigger=x",
        "since=yesterday",
        "limit=1&limit=2",
    ] {
        get(&format!("/v1/runs?{query}"))
            .await
            .problem(422, "invalid_parameter");
    }
    get("/v1/runs?cursor=tampered")
        .await
        .problem(400, "invalid_cursor");
    get(&run_path(ENDED, "/logs?after=x"))
        .await
        .problem(422, "invalid_parameter");
}

#[tokio::test]
async fn an_answer_is_one_that_the_client_takes() {
    get_with("/v1/runs", "accept", "text/html")
        .await
        .problem(406, "not_acceptable");
    let html = Request::post("/v1/agents/check/runs").header("accept", "text/html");
    send(html.body(Body::empty()).expect("valid"))
        .await
        .problem(406, "not_acceptable");
    for accept in ["*/*", "application/*", "text/html, application/json;q=0.1"] {
        assert_eq!(
            get_with("/v1/runs", "accept", accept).await.status,
            StatusCode::OK
        );
    }
    let image = get_with("/badge.svg", "accept", "image/avif,image/webp,image/*").await;
    assert_eq!(image.status, StatusCode::OK);
}

#[tokio::test]
async fn a_badge_is_an_image_or_an_endpoint_with_a_tag() {
    for path in [
        "/badge.svg",
        "/badges/system.svg",
        "/badges/check.svg?style=for-the-badge&label=x",
    ] {
        let reply = get(path).await;
        assert_eq!(reply.status, StatusCode::OK, "{path}");
        assert_eq!(reply.header("content-type"), "image/svg+xml");
        assert_eq!(reply.header("cache-control"), "no-store");
        let again = get_with(path, "if-none-match", reply.header("etag")).await;
        assert_eq!(again.status, StatusCode::NOT_MODIFIED);
        assert!(again.body.is_empty());
        assert_eq!(again.header("etag"), reply.header("etag"));
    }
    assert_eq!(
        get("/badge.svg").await.body,
        get("/badges/system.svg").await.body
    );
    let endpoint = get("/badges/check.json").await.json();
    assert_eq!(
        endpoint,
        json!({"schemaVersion": 1, "label": "infinity", "message": "online", "color": "brightgreen"})
    );
    get("/badges/none.svg").await.problem(404, "unknown_agent");
    get("/badges/check.svg?style=round")
        .await
        .problem(422, "invalid_parameter");
    get("/badges/check.svg?label=bad")
        .await
        .problem(422, "invalid_parameter");
    get(&format!("/badge.svg?label={}", "x".repeat(101)))
        .await
        .problem(422, "invalid_parameter");
    let problem = get("/badge.svg?label=broken")
        .await
        .problem(503, "badge_unavailable");
    assert!(!problem.to_string().contains("trap"));
}

#[tokio::test]
async fn health_is_200_and_readiness_is_not() {
    let health = get("/health").await;
    assert_eq!(health.status, StatusCode::OK);
    assert_eq!(health.json()["status"], "degraded");
    assert!(health.json().get("checks").is_none());
    assert_eq!(
        get("/health?verbose").await.json()["checks"][0]["component"],
        "config"
    );
    get("/ready").await.problem(503, "not_ready");
}

#[tokio::test]
async fn a_failure_of_the_host_tells_the_caller_nothing() {
    for agent in ["broken", "panic"] {
        let problem = get(&format!("/v1/runs?agent={agent}"))
            .await
            .problem(500, "internal");
        assert!(problem.get("detail").is_none(), "{problem}");
        assert!(!problem.to_string().contains("secret"));
    }
}

#[tokio::test]
async fn a_page_of_another_site_cannot_drive_the_host() {
    get_with("/v1/runs", "host", "evil.example")
        .await
        .problem(421, "misdirected_request");
    get_with("/v1/runs", "host", "127.0.0.1.evil.example:8080")
        .await
        .problem(421, "misdirected_request");
    for host in ["localhost:8080", "127.0.0.1:8080", "[::1]:8080"] {
        assert_eq!(
            get_with("/v1/runs", "host", host).await.status,
            StatusCode::OK
        );
    }
    let foreign = async |origin: &str| {
        let request = Request::post("/v1/agents/check/runs").header("origin", origin);
        send(request.body(Body::empty()).expect("valid")).await
    };
    foreign("https://evil.example").await.problem(403, "csrf");
    foreign("null").await.problem(403, "csrf");
    assert_eq!(
        foreign("http://localhost:8080").await.status,
        StatusCode::CREATED
    );
}

#[tokio::test]
async fn head_answers_like_get_without_a_body() {
    for (path, status) in [("/v1/runs", 200), ("/badge.svg", 200), ("/nothing", 404)] {
        let request = Request::head(path).body(Body::empty()).expect("valid");
        let reply = send(request).await;
        assert_eq!(reply.status.as_u16(), status);
        assert!(reply.body.is_empty());
        assert!(!reply.header("x-request-id").is_empty());
    }
}

#[tokio::test]
async fn the_document_and_the_routes_are_the_same() {
    let document = get("/openapi.json").await.json();
    assert_eq!(document["openapi"], "3.1.0");
    let paths = document["paths"].as_object().expect("paths");
    assert!(paths.len() >= 20);
    for (path, item) in paths {
        let address = path.replace("{id}", &ENDED.to_string()).replace(
            "{name}",
            if path.starts_with("/badges") {
                "check.svg"
            } else {
                "check"
            },
        );
        for method in ["get", "post", "put", "delete", "patch"] {
            let request = Request::builder()
                .method(Method::from_bytes(method.to_uppercase().as_bytes()).expect("a method"))
                .uri(&address)
                .body(Body::empty())
                .expect("valid");
            let reply = send(request).await;
            let declared = item.get(method).is_some();
            assert_eq!(
                declared,
                reply.status != StatusCode::METHOD_NOT_ALLOWED,
                "{method} {path}: {}",
                reply.status
            );
            let unrouted = reply.json()["detail"]
                .as_str()
                .is_some_and(|detail| detail.contains("there is no such path"));
            assert!(!unrouted, "{method} {path} is not routed");
        }
    }
}

#[test]
fn every_reference_of_the_document_leads_somewhere() {
    fn check(value: &Value, document: &Value) {
        match value {
            Value::Object(entries) => {
                if let Some(reference) = entries.get("$ref").and_then(Value::as_str) {
                    let pointer = reference.trim_start_matches('#');
                    assert!(document.pointer(pointer).is_some(), "{reference}");
                }
                entries.values().for_each(|value| check(value, document));
            }
            Value::Array(items) => items.iter().for_each(|value| check(value, document)),
            _ => {}
        }
    }
    let document = openapi();
    check(&document, &document);
    let mut ids: Vec<&str> = document["paths"]
        .as_object()
        .expect("paths")
        .values()
        .flat_map(|item| item.as_object().expect("an item").values())
        .filter_map(|operation| operation["operationId"].as_str())
        .collect();
    let count = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), count, "operation ids are unique");
}
