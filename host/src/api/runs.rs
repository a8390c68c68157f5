//! `/v1/runs` and what belongs to one run, its log excepted.

use super::access::By;
use super::error::{ApiError, Problem, no_such_run};
use super::json::Json;
use super::params::{FromQuery, Name, NoQuery, PageQuery, Params, RunId, Values};
use super::server::Connection;
use super::views::{ArtifactList, FindingList, RunList, RunView};
use super::{Answer, ControlPlane, Plane};
use crate::model::{Finding, Level, Outcome, Report, Run, RunState, Trigger};
use crate::sarif;
use crate::store::{PageRequest, RunFilter};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use jiff::Timestamp;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use utoipa::IntoParams;
use uuid::Uuid;

const STATES: [&str; 3] = ["queued", "running", "ended"];
const OUTCOMES: [&str; 8] = [
    "succeeded",
    "failed",
    "trapped",
    "limited",
    "refused",
    "cancelled",
    "lost",
    "host_error",
];
const TRIGGERS: [&str; 5] = ["cron", "every", "event", "webhook", "manual"];

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct RunQuery {
    /// Only runs of this agent.
    agent: Option<String>,
    /// Only runs of this plugin.
    plugin: Option<String>,
    /// Only runs in this state.
    state: Option<RunState>,
    /// Only runs with this outcome.
    outcome: Option<Outcome>,
    /// Only runs that started for this reason.
    trigger: Option<Trigger>,
    /// Only runs created at or after this moment.
    #[param(value_type = Option<String>, format = DateTime)]
    since: Option<Timestamp>,
    /// Only runs created before this moment.
    #[param(value_type = Option<String>, format = DateTime)]
    until: Option<Timestamp>,
    /// `-created_at` for the newest first, `created_at` for the oldest first.
    #[param(value_type = Option<String>, pattern = "^-?created_at$", default = "-created_at")]
    sort: bool,
    /// How many items, 1 to 500.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 500, default = 50)]
    limit: u32,
    /// `next` of the part before.
    cursor: Option<String>,
}

/// Whether the oldest come first.
fn ascending(values: &Values) -> Result<bool, ApiError> {
    match values.text("sort").as_deref() {
        None | Some("-created_at") => Ok(false),
        Some("created_at") => Ok(true),
        Some(_) => Err(ApiError::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "unknown_column",
            "`sort` is `-created_at` or `created_at`",
        )),
    }
}

impl FromQuery for RunQuery {
    fn from_query(values: &Values) -> Result<Self, ApiError> {
        Ok(Self {
            agent: values.text("agent"),
            plugin: values.text("plugin"),
            state: values.word("state", &STATES)?,
            outcome: values.word("outcome", &OUTCOMES)?,
            trigger: values.word("trigger", &TRIGGERS)?,
            since: values.timestamp("since")?,
            until: values.timestamp("until")?,
            sort: ascending(values)?,
            limit: values.limit()?,
            cursor: values.text("cursor"),
        })
    }
}

/// A run as it is shown: what is known of it in this process goes over the row, which is written at the start and at the end only.
pub(super) fn view(plane: &dyn ControlPlane, mut run: Run) -> RunView {
    let mut progress = None;
    if run.state != RunState::Ended
        && let Some(live) = plane.live(run.id)
    {
        if let Some(started_at) = live.started_at {
            run.state = RunState::Running;
            run.started_at = Some(started_at);
        }
        progress = live.progress;
    }
    RunView { run, progress }
}

/// The run as it ended, or as it is after `wait`, or as it is when the host stops.
pub(super) async fn waited(
    plane: &Arc<dyn ControlPlane>,
    run: Run,
    wait: Duration,
    connection: Option<&Connection>,
) -> Answer<Run> {
    if run.state == RunState::Ended {
        return Ok(run);
    }
    let stopping = async {
        match connection {
            Some(connection) => connection.stopping.cancelled().await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        ended = plane.wait(run.id, wait) => Ok(ended?.unwrap_or(run)),
        () = stopping => Ok(plane.store().run(run.id).await?.unwrap_or(run)),
    }
}

/// The run with this id.
pub(super) async fn find(plane: &Arc<dyn ControlPlane>, id: Uuid) -> Answer<Run> {
    plane.store().run(id).await?.ok_or_else(no_such_run)
}

/// The run's report, once it has ended.
async fn report_of(plane: &Arc<dyn ControlPlane>, run: &Run) -> Answer<Report> {
    if run.state != RunState::Ended {
        return Err(ApiError::new(
            StatusCode::CONFLICT,
            "run_not_ended",
            "the run has not ended, so there is no report yet",
        ));
    }
    Ok(plane.store().report(run.id).await?.unwrap_or_default())
}

/// List runs
///
/// Newest first, unless `sort` says otherwise.
#[utoipa::path(
    get, path = "/v1/runs", operation_id = "list_runs", tag = "runs",
    params(RunQuery),
    responses(
        (status = 200, description = "The runs", body = RunList),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn list_runs(
    State(plane): Plane,
    Params(query): Params<RunQuery>,
) -> Answer<Json<RunList>> {
    let filter = RunFilter {
        agent: query.agent,
        plugin: query.plugin,
        ended: query.state.map(|state| state == RunState::Ended),
        outcome: query.outcome,
        trigger: query.trigger,
        since: query.since,
        until: query.until,
        dead: false,
        ascending: query.sort,
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
            // What a run is doing is known better here than in its row.
            .filter(|view| query.state.is_none_or(|state| view.run.state == state))
            .collect(),
        next: page.next,
    }))
}

/// Get a run
#[utoipa::path(
    get, path = "/v1/runs/{id}", operation_id = "get_run", tag = "runs",
    params(("id" = Uuid, Path, description = "The run's id")),
    responses(
        (status = 200, description = "The run", body = RunView),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn get_run(
    State(plane): Plane,
    RunId(id): RunId,
    _: Params<NoQuery>,
) -> Answer<Json<RunView>> {
    let run = find(&plane, id).await?;
    Ok(Json(view(plane.as_ref(), run)))
}

/// Cancel a run
#[utoipa::path(
    post, path = "/v1/runs/{id}/cancel", operation_id = "cancel_run", tag = "runs",
    params(("id" = Uuid, Path, description = "The run's id")),
    responses(
        (status = 200, description = "The run", body = RunView),
        (status = 409, description = "`run_ended`", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn cancel_run(
    State(plane): Plane,
    By(by): By,
    RunId(id): RunId,
    _: Params<NoQuery>,
) -> Answer<Json<RunView>> {
    let run = plane.cancel(id, by.principal).await?;
    Ok(Json(view(plane.as_ref(), run)))
}

/// Get a run's report
///
/// What the guest returned, or a trap's backtrace. 409 `run_not_ended` until then.
#[utoipa::path(
    get, path = "/v1/runs/{id}/report", operation_id = "get_report", tag = "runs",
    params(("id" = Uuid, Path, description = "The run's id")),
    responses(
        (status = 200, description = "The report", body = Report),
        (status = 409, description = "`run_not_ended`", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn get_report(
    State(plane): Plane,
    RunId(id): RunId,
    _: Params<NoQuery>,
) -> Answer<Json<Report>> {
    let run = find(&plane, id).await?;
    Ok(Json(report_of(&plane, &run).await?))
}

/// List a run's findings
#[utoipa::path(
    get, path = "/v1/runs/{id}/findings", operation_id = "list_findings", tag = "runs",
    params(("id" = Uuid, Path, description = "The run's id"), PageQuery),
    responses(
        (status = 200, description = "The findings, in the report's order", body = FindingList),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn list_findings(
    State(plane): Plane,
    RunId(id): RunId,
    Params(query): Params<PageQuery>,
) -> Answer<Json<FindingList>> {
    find(&plane, id).await?;
    let page = PageRequest {
        limit: query.limit,
        cursor: query.cursor,
    };
    let page = plane.store().findings(id, page).await?;
    Ok(Json(FindingList {
        items: page.items,
        next: page.next,
    }))
}

/// Get a run's findings as SARIF
///
/// SARIF 2.1.0, for code hosts and editors.
#[utoipa::path(
    get, path = "/v1/runs/{id}/sarif", operation_id = "get_sarif", tag = "runs",
    params(("id" = Uuid, Path, description = "The run's id")),
    responses(
        (status = 200, description = "The findings", body = Object, content_type = "application/sarif+json"),
        (status = 409, description = "`run_not_ended`", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn get_sarif(
    State(plane): Plane,
    RunId(id): RunId,
    _: Params<NoQuery>,
) -> Answer<Response> {
    let run = find(&plane, id).await?;
    let report = report_of(&plane, &run).await?;
    let mut response = Json(sarif_of(&plane, &run, &report)).into_response();
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/sarif+json"),
    );
    Ok(response)
}

/// The findings in SARIF's words; the tool is the plugin, with the version that its manifest states if it is still the component that ran.
fn sarif_of(plane: &Arc<dyn ControlPlane>, run: &Run, report: &Report) -> Value {
    let findings: Vec<sarif::Finding> = report.findings.iter().map(sarif_finding).collect();
    let plugins = plane.plugins();
    let version = plugins
        .iter()
        .find(|plugin| plugin.digest == run.plugin_digest)
        .and_then(|plugin| plugin.inspection.as_ref())
        .and_then(|inspection| inspection.version.as_deref());
    sarif::to_sarif(&sarif::SarifInput {
        tool: &run.plugin,
        version,
        findings: &findings,
        success: matches!(run.outcome, Some(Outcome::Succeeded | Outcome::Failed)),
    })
}

fn sarif_finding(finding: &Finding) -> sarif::Finding {
    sarif::Finding {
        rule: finding.rule.clone(),
        level: match finding.level {
            Level::Note => sarif::Level::Note,
            Level::Warning => sarif::Level::Warning,
            Level::Error => sarif::Level::Error,
        },
        message: finding.message.clone(),
        location: finding.location.as_ref().map(|location| sarif::Location {
            repository: location.repository.clone(),
            path: location.path.clone(),
            line: location.line,
            column: location.column,
        }),
        help: finding.help.clone(),
    }
}

/// List a run's artifacts
#[utoipa::path(
    get, path = "/v1/runs/{id}/artifacts", operation_id = "list_artifacts", tag = "runs",
    params(("id" = Uuid, Path, description = "The run's id")),
    responses(
        (status = 200, description = "The files that the run made", body = ArtifactList,
         links(("artifact" = (operation_id = "get_artifact", parameters(("id" = "$request.path.id"), ("name" = "$response.body#/items/0/name")))))),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn list_artifacts(
    State(plane): Plane,
    RunId(id): RunId,
    _: Params<NoQuery>,
) -> Answer<Json<ArtifactList>> {
    let run = find(&plane, id).await?;
    let items = match run.state {
        RunState::Ended => report_of(&plane, &run).await?.artifacts,
        RunState::Queued | RunState::Running => Vec::new(),
    };
    Ok(Json(ArtifactList { items, next: None }))
}

/// Get an artifact
///
/// The bytes, as an attachment: what a guest made is never shown as a page of this host.
#[utoipa::path(
    get, path = "/v1/runs/{id}/artifacts/{name}", operation_id = "get_artifact", tag = "runs",
    params(
        ("id" = Uuid, Path, description = "The run's id"),
        ("name" = String, Path, description = "The artifact's name, with `/` as `%2F`"),
    ),
    responses(
        (status = 200, description = "The bytes, with the media type that the guest stated", body = Vec<u8>, content_type = "*/*"),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn get_artifact(
    State(plane): Plane,
    RunId(id): RunId,
    Name(name): Name,
    _: Params<NoQuery>,
) -> Answer<Response> {
    let missing = || ApiError::not_found("the run has no artifact of this name");
    find(&plane, id).await?;
    let artifact = plane
        .store()
        .artifact(id, &name)
        .await?
        .ok_or_else(missing)?;
    let mut response = artifact.content.into_response();
    let headers = response.headers_mut();
    // The guest chose the media type: one that is no header value is shown as bytes.
    let media_type = HeaderValue::from_str(&artifact.info.media_type)
        .ok()
        .filter(|value| !value.is_empty())
        .unwrap_or(HeaderValue::from_static("application/octet-stream"));
    headers.insert(header::CONTENT_TYPE, media_type);
    headers.insert(header::CONTENT_DISPOSITION, disposition(&name));
    headers.insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; sandbox"),
    );
    if let Ok(tag) = HeaderValue::from_str(&format!("\"{}\"", artifact.info.digest)) {
        headers.insert(header::ETAG, tag);
    }
    Ok(response)
}

/// `attachment` with the name's last part, percent-encoded (RFC 6266), so that no name can end the header or leave the folder of downloads.
fn disposition(name: &str) -> HeaderValue {
    let name = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let mut text = String::from("attachment; filename*=UTF-8''");
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_') {
            text.push(char::from(byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
    HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static("attachment"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_leave_the_header_or_the_folder() {
        let shown = |name: &str| {
            disposition(name)
                .to_str()
                .map(str::to_owned)
                .unwrap_or_default()
        };
        assert_eq!(
            shown("a b\"\r\nx: y"),
            "attachment; filename*=UTF-8''a%20b%22%0D%0Ax%3A%20y"
        );
        assert_eq!(
            shown("../../etc/passwd"),
            "attachment; filename*=UTF-8''passwd"
        );
        assert_eq!(shown("é.txt"), "attachment; filename*=UTF-8''%C3%A9.txt");
    }

    #[test]
    fn every_word_of_a_filter_is_one_that_the_model_knows() {
        let known = |words: &[&str], parse: fn(&str) -> bool| {
            for word in words {
                assert!(parse(&format!("\"{word}\"")), "{word}");
            }
        };
        known(&STATES, |word| {
            serde_json::from_str::<RunState>(word).is_ok()
        });
        known(&OUTCOMES, |word| {
            serde_json::from_str::<Outcome>(word).is_ok()
        });
        known(&TRIGGERS, |word| {
            serde_json::from_str::<Trigger>(word).is_ok()
        });
    }
}
