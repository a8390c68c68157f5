//! What belongs to one agent over time: `state`, `history`, `health`, `usage`, and its data as a whole: exported, imported, deleted.

use super::access::By;
use super::agents::find_agent;
use super::error::{ApiError, InputError, Problem};
use super::json::{Json, LargeJsonBody};
use super::params::{FromQuery, Name, NoQuery, PageQuery, Params, Values};
use super::runs::view;
use super::views::{AgentHealth, AgentStateView, Forgotten, Imported, RunList, UsageList};
use super::{Answer, ControlPlane, Plane};
use crate::model::{LogLine, Occurrence, Report, Run, RunEnd, RunState};
use crate::store::{KvQuota, OccurrenceFilter, PageRequest, RunFilter, StoreError};
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::VecDeque;
use std::sync::Arc;
use utoipa::IntoParams;

/// How far `usage` looks back when nobody says.
const USAGE_SINCE: SignedDuration = SignedDuration::from_hours(7 * 24);

/// Records of one page of an export.
const EXPORT_PAGE: u32 = 100;

/// Runs of one step of an export: each brings its report and log.
const EXPORT_RUNS: u32 = 4;

/// Lines of a run's log that are read at once.
const EXPORT_LINES: u32 = 1_000;

/// Records of one import.
const IMPORT_MAX: usize = 1_000;

/// Get an agent's state
#[utoipa::path(
    get, path = "/v1/agents/{name}/state", operation_id = "get_agent_state", tag = "agents",
    params(("name" = String, Path, description = "The agent's name")),
    responses(
        (status = 200, description = "What it is doing", body = AgentStateView),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn get_agent_state(
    State(plane): Plane,
    Name(name): Name,
    _: Params<NoQuery>,
) -> Answer<Json<AgentStateView>> {
    let agent = find_agent(plane.as_ref(), &name)?;
    Ok(Json(AgentStateView {
        agent: agent.name,
        state: agent.state,
        paused: agent.paused,
        quarantined: agent.quarantined,
        enabled: agent.enabled,
        problem: agent.problem,
        next_at: agent.next_at,
        last_run: agent.last_run,
    }))
}

/// List an agent's history
///
/// Its runs, newest first.
#[utoipa::path(
    get, path = "/v1/agents/{name}/history", operation_id = "list_agent_history", tag = "agents",
    params(("name" = String, Path, description = "The agent's name"), PageQuery),
    responses(
        (status = 200, description = "The runs", body = RunList),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn list_agent_history(
    State(plane): Plane,
    Name(name): Name,
    Params(query): Params<PageQuery>,
) -> Answer<Json<RunList>> {
    find_agent(plane.as_ref(), &name)?;
    let filter = RunFilter {
        agent: Some(name),
        ..RunFilter::default()
    };
    let page = PageRequest {
        limit: query.limit,
        cursor: query.cursor,
    };
    let page = plane.store().runs(filter, page).await?;
    Ok(Json(RunList {
        items: page
            .items
            .into_iter()
            .map(|run| view(plane.as_ref(), run))
            .collect(),
        next: page.next,
    }))
}

/// Get an agent's health
///
/// The score is the share of successful runs among the last 20, minus the agent's staleness: 0 until it is due, growing to 1 over one more interval. 1 is healthy.
#[utoipa::path(
    get, path = "/v1/agents/{name}/health", operation_id = "get_agent_health", tag = "agents",
    params(("name" = String, Path, description = "The agent's name")),
    responses(
        (status = 200, description = "How healthy it is", body = AgentHealth),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn get_agent_health(
    State(plane): Plane,
    Name(name): Name,
    _: Params<NoQuery>,
) -> Answer<Json<AgentHealth>> {
    find_agent(plane.as_ref(), &name)?;
    let health = plane.agent_health(&name);
    health
        .map(Json)
        .ok_or_else(|| super::error::unknown_agent(None))
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct UsageQuery {
    /// From this moment on; the last seven days without it.
    #[param(value_type = Option<String>, format = DateTime)]
    since: Option<Timestamp>,
    /// How many hours each item spans, 1 to 744.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 744, default = 1)]
    hours: u32,
}

impl FromQuery for UsageQuery {
    fn from_query(values: &Values) -> Result<Self, ApiError> {
        let hours = values.number("hours")?.unwrap_or(1);
        Ok(Self {
            since: values.timestamp("since")?,
            hours: u32::try_from(hours)
                .ok()
                .filter(|hours| (1..=744).contains(hours))
                .ok_or_else(|| ApiError::invalid_parameter("`hours` is a number from 1 to 744"))?,
        })
    }
}

/// Get an agent's usage
///
/// What its ended runs used, summed over spans of time, oldest first. Spans without a run are left out.
#[utoipa::path(
    get, path = "/v1/agents/{name}/usage", operation_id = "get_agent_usage", tag = "agents",
    params(("name" = String, Path, description = "The agent's name"), UsageQuery),
    responses(
        (status = 200, description = "The spans", body = UsageList),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn get_agent_usage(
    State(plane): Plane,
    Name(name): Name,
    Params(query): Params<UsageQuery>,
) -> Answer<Json<UsageList>> {
    find_agent(plane.as_ref(), &name)?;
    let since = query.since.unwrap_or_else(|| {
        Timestamp::now()
            .checked_sub(USAGE_SINCE)
            .unwrap_or(Timestamp::MIN)
    });
    Ok(Json(UsageList {
        items: plane.store().usage(&name, since, query.hours).await?,
        next: None,
    }))
}

/// Delete an agent's data
///
/// Its ended runs with all that is theirs, its moments of the ledger and its keys, for an agent in force or one that is gone. The agent itself is its entry in `plugins.toml`.
#[utoipa::path(
    delete, path = "/v1/agents/{name}/data", operation_id = "delete_agent_data", tag = "agents",
    params(("name" = String, Path, description = "The agent's name, of now or of before")),
    responses(
        (status = 200, description = "It is deleted", body = Forgotten),
        (status = 409, description = "`runs_active`", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn delete_agent_data(
    State(plane): Plane,
    By(by): By,
    Name(name): Name,
    _: Params<NoQuery>,
) -> Answer<Json<Forgotten>> {
    let known = known(plane.as_ref(), &name).await?;
    if !known {
        return Err(find_agent(plane.as_ref(), &name)
            .err()
            .unwrap_or_else(|| super::error::unknown_agent(None)));
    }
    match plane.forget(&name, by.principal).await? {
        Some(rows) => Ok(Json(Forgotten { rows })),
        None => Err(ApiError::new(
            StatusCode::CONFLICT,
            "runs_active",
            "runs of the agent wait or are in progress; pause it, cancel them, then try again",
        )),
    }
}

/// Whether there is or was such an agent.
async fn known(plane: &dyn ControlPlane, name: &str) -> Answer<bool> {
    if find_agent(plane, name).is_ok() {
        return Ok(true);
    }
    let records = plane.store().agent_records().await?;
    Ok(records.iter().any(|record| record.agent == name))
}

/// One line of an export.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "snake_case")]
enum Exported {
    /// A key of its space; the value is text, or bytes in hexadecimal digits where it is none.
    Key {
        key: String,
        #[serde(default)]
        text: Option<String>,
        #[serde(default)]
        hex: Option<String>,
    },
    /// A run that ended, with what it returned and logged. Its files are not part of it.
    Run {
        run: Box<Run>,
        report: Box<Report>,
        log: Vec<LogLine>,
    },
    /// A moment of the ledger.
    Occurrence { occurrence: Occurrence },
}

/// Export an agent's data
///
/// One JSON object a line: its keys, its ended runs with report and log (files are left out), its moments of the ledger. `POST …/import` takes these lines as an array, a part at a time.
#[utoipa::path(
    get, path = "/v1/agents/{name}/export", operation_id = "export_agent", tag = "agents",
    params(("name" = String, Path, description = "The agent's name, of now or of before")),
    responses(
        (status = 200, description = "The lines", content((String = "application/x-ndjson"))),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn export_agent(
    State(plane): Plane,
    Name(name): Name,
    _: Params<NoQuery>,
) -> Answer<Response> {
    if !known(plane.as_ref(), &name).await? {
        find_agent(plane.as_ref(), &name)?;
    }
    let export = Export {
        plane,
        agent: name,
        part: Part::Keys(None),
        lines: VecDeque::new(),
    };
    let stream = futures::stream::try_unfold(export, |mut export| async move {
        loop {
            if let Some(line) = export.lines.pop_front() {
                return Ok::<_, StoreError>(Some((line, export)));
            }
            if matches!(export.part, Part::Over) {
                return Ok(None);
            }
            export.read().await?;
        }
    });
    let mut response = Body::from_stream(stream).into_response();
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/x-ndjson"),
    );
    Ok(response)
}

enum Part {
    /// After this key.
    Keys(Option<String>),
    /// From this cursor on.
    Runs(Option<String>),
    /// From this cursor on.
    Occurrences(Option<String>),
    Over,
}

struct Export {
    plane: Arc<dyn ControlPlane>,
    agent: String,
    part: Part,
    lines: VecDeque<String>,
}

impl Export {
    fn add(&mut self, record: &Exported) {
        // Plain data: it can always be written.
        let mut line = serde_json::to_string(record).unwrap_or_default();
        line.push('\n');
        self.lines.push_back(line);
    }

    /// Reads the next part.
    async fn read(&mut self) -> Result<(), StoreError> {
        let plane = Arc::clone(&self.plane);
        let store = plane.store();
        let agent = self.agent.clone();
        let page = |cursor: &Option<String>| PageRequest {
            limit: EXPORT_PAGE,
            cursor: cursor.clone(),
        };
        match &self.part {
            Part::Keys(after) => {
                let (keys, more) = store
                    .kv_list(&agent, after.as_deref(), EXPORT_PAGE / 10)
                    .await?;
                let values = store.kv_get_many(&agent, &keys).await?;
                let last = keys.last().cloned();
                for (key, value) in keys.into_iter().zip(values) {
                    let Some(value) = value else { continue };
                    let record = match String::from_utf8(value) {
                        Ok(text) => Exported::Key {
                            key,
                            text: Some(text),
                            hex: None,
                        },
                        Err(error) => Exported::Key {
                            key,
                            text: None,
                            hex: Some(hex::encode(error.as_bytes())),
                        },
                    };
                    self.add(&record);
                }
                self.part = if more {
                    Part::Keys(last)
                } else {
                    Part::Runs(None)
                };
            }
            Part::Runs(cursor) => {
                let filter = RunFilter {
                    agent: Some(agent),
                    ended: Some(true),
                    ..RunFilter::default()
                };
                let part = PageRequest {
                    limit: EXPORT_RUNS,
                    cursor: cursor.clone(),
                };
                let found = store.runs(filter, part).await?;
                for run in found.items {
                    let report = store.report(run.id).await?.unwrap_or_default();
                    let mut log = store.log(run.id, None, EXPORT_LINES).await?;
                    let mut full = log.len() == EXPORT_LINES as usize;
                    while full {
                        let last = log.last().map(|line| line.seq);
                        let more = store.log(run.id, last, EXPORT_LINES).await?;
                        full = more.len() == EXPORT_LINES as usize;
                        log.extend(more);
                    }
                    self.add(&Exported::Run {
                        run: Box::new(run),
                        report: Box::new(report),
                        log,
                    });
                }
                self.part = match found.next {
                    Some(next) => Part::Runs(Some(next)),
                    None => Part::Occurrences(None),
                };
            }
            Part::Occurrences(cursor) => {
                let filter = OccurrenceFilter {
                    agent: Some(agent),
                    ..OccurrenceFilter::default()
                };
                let found = store.occurrences(filter, page(cursor)).await?;
                for occurrence in found.items {
                    self.add(&Exported::Occurrence { occurrence });
                }
                self.part = match found.next {
                    Some(next) => Part::Occurrences(Some(next)),
                    None => Part::Over,
                };
            }
            Part::Over => {}
        }
        Ok(())
    }
}

/// Import an agent's data
///
/// Lines of an export as an array of at most 1,000, and 16 MiB. What is there already is left alone, so that an import can be repeated. Keys count against the agent's limits.
#[utoipa::path(
    post, path = "/v1/agents/{name}/import", operation_id = "import_agent", tag = "agents",
    params(("name" = String, Path, description = "The agent's name")),
    request_body(content = Vec<Object>, content_type = "application/json"),
    responses(
        (status = 200, description = "What was taken", body = Imported),
        (status = 409, description = "`import_stopped`: what came before is taken, and the import can be repeated", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "`invalid_record`: nothing is taken", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn import_agent(
    State(plane): Plane,
    Name(name): Name,
    _: Params<NoQuery>,
    LargeJsonBody(body): LargeJsonBody,
) -> Answer<Json<Imported>> {
    let agent = find_agent(plane.as_ref(), &name)?;
    let quota = KvQuota {
        bytes: agent.limits.key_value_bytes,
        keys: agent.limits.key_value_keys,
    };
    let (keys, runs, moments) = records(body, &name)?;
    let store = plane.store();
    let mut imported = Imported::default();
    for (key, value) in keys {
        if store.kv_exists(&name, &key).await.map_err(refused)? {
            imported.known += 1;
            continue;
        }
        store
            .kv_set(&name, &key, value, quota)
            .await
            .map_err(refused)?;
        imported.keys += 1;
    }
    for end in runs {
        match store.record_run(end).await {
            Ok(()) => imported.runs += 1,
            Err(StoreError::Duplicate { .. }) => imported.known += 1,
            Err(error) => return Err(error.into()),
        }
    }
    imported.occurrences = moments.len() as u64;
    store.note_occurrences(moments).await?;
    Ok(Json(imported))
}

fn refused(error: StoreError) -> ApiError {
    match error {
        StoreError::Quota { .. } | StoreError::InvalidKey { .. } => ApiError::new(
            StatusCode::CONFLICT,
            "import_stopped",
            format!("{error}; what came before it is taken, and the import can be repeated"),
        ),
        other => other.into(),
    }
}

type Records = (Vec<(String, Vec<u8>)>, Vec<RunEnd>, Vec<Occurrence>);

/// The records of an import, under the name that they are imported for; or everything that is wrong with them.
fn records(body: Value, agent: &str) -> Answer<Records> {
    let invalid = |errors: Vec<InputError>| {
        ApiError::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "invalid_record",
            "not every record is one that an export gave; see `errors`",
        )
        .with_errors(errors)
    };
    let wrong = |index: usize, message: &str| InputError {
        pointer: format!("/{index}"),
        message: message.to_owned(),
    };
    let lines = match body {
        Value::Array(lines) if lines.len() <= IMPORT_MAX => lines,
        _ => {
            return Err(invalid(vec![InputError {
                pointer: String::new(),
                message: format!("must be an array of at most {IMPORT_MAX} records"),
            }]));
        }
    };
    let (mut keys, mut runs, mut moments) = Records::default();
    let mut errors = Vec::new();
    for (index, line) in lines.into_iter().enumerate() {
        match serde_json::from_value(line) {
            Ok(Exported::Key { key, text, hex }) => {
                match text
                    .map(String::into_bytes)
                    .or_else(|| hex::decode(hex?).ok())
                {
                    Some(value) => keys.push((key, value)),
                    None => errors.push(wrong(index, "has neither `text` nor `hex`")),
                }
            }
            Ok(Exported::Run { run, report, log }) => {
                if run.state != RunState::Ended || run.outcome.is_none() {
                    errors.push(wrong(index, "is a run that has not ended"));
                    continue;
                }
                let mut report = *report;
                report.artifacts.clear();
                runs.push(RunEnd {
                    run: Run {
                        agent: agent.to_owned(),
                        ..*run
                    },
                    report,
                    log,
                    artifacts: Vec::new(),
                    events: Vec::new(),
                    effects: Vec::new(),
                    retry: None,
                    dead: false,
                });
            }
            Ok(Exported::Occurrence { occurrence }) => moments.push(Occurrence {
                agent: agent.to_owned(),
                ..occurrence
            }),
            Err(error) => errors.push(wrong(index, &error.to_string())),
        }
    }
    if errors.is_empty() {
        Ok((keys, runs, moments))
    } else {
        Err(invalid(errors))
    }
}
