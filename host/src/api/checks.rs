//! `/v1/checks`: code that is handed in to be judged, and the verdicts.

use super::access::By;
use super::error::{ApiError, InputError, Problem};
use super::followers;
use super::json::{Json, LargeJsonBody};
use super::params::{FromQuery, NoQuery, Params, Values, WaitQuery, parse_id};
use super::server::Connection;
use super::{Answer, ControlPlane, Plane};
use crate::access::{Caller, Permission, Role};
use crate::checks::{Check, CheckNews, CheckVerdict, Mistake, Refused, Submission};
use crate::store::PageRequest;
use axum::Extension;
use axum::extract::{FromRequestParts, Path, State};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use http::request::Parts;
use http::{HeaderValue, StatusCode, header};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::broadcast::error::RecvError;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

/// Submissions of one request.
const BATCH_MAX: usize = 1_000;

/// Code of one request, what its patches bring in included, in bytes.
const BATCH_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Submissions of one request that change repositories.
const BATCH_PATCHES_MAX: usize = 100;

/// Mistakes of one request that are told: as many as anybody reads.
const BATCH_MISTAKES_MAX: usize = 100;

/// How long the verdict may take to be recorded after the last news.
const END_WAIT: Duration = Duration::from_secs(10);

const VERDICTS: [&str; 4] = ["passed", "failed", "error", "flaky"];

/// Code, how it is to be judged, and within what. Everything but `files` or `patch` may be left out.
#[derive(Deserialize, Serialize, ToSchema)]
pub struct NewCheck {
    /// `python`, `javascript` or `typescript`; by the endings of the files' names where it is left out.
    language: Option<String>,
    /// The code: each path with its text. At most 1,000 files and 4 MiB, tests included.
    files: Option<BTreeMap<String, String>>,
    /// The change of a repository, in place of `files` and `tests`.
    patch: Option<NewPatch>,
    /// Names of check runs that other tools report of the commit, as by `POST /v1/prs/{id}/checks`; at most 50. Each has to have succeeded; while one is missing the verdict is `error`.
    reported: Option<Vec<String>>,
    /// Its tests: each path with its text.
    tests: Option<BTreeMap<String, String>>,
    /// Packages of rules that judge it, 1 to 20; `github.commit` where it is left out.
    policies: Option<Vec<String>>,
    /// The file that cases run; the only file of the language where it is left out.
    entry: Option<String>,
    /// Inputs with what must come of them: what is expected never enters the sandbox. At most 1,000.
    cases: Option<Vec<NewCase>>,
    /// Some of `policy`, `analysis`, `scripts`, `tests`, `cases`, `reported`; all where it is left out.
    steps: Option<Vec<String>>,
    /// Whether a step that failed is the last one.
    stop_early: Option<bool>,
    /// `apart`: tests and code are in two instances; `shared`: in one, where the code can do to the tests what it likes.
    isolation: Option<String>,
    /// Whether everything runs twice, the second time at another moment and with other dice.
    detect_flaky: Option<bool>,
    /// Of each instance.
    limits: Option<CheckLimits>,
}

/// What changes a repository: a `diff`, or a `head` that is there. Judged is the repository after it; policy and analysis look at what it touches.
#[derive(Deserialize, Serialize, ToSchema)]
pub struct NewPatch {
    /// The repository's name in `plugins.toml`. Whoever hands it in must be allowed to read it: the scope `repositories:read`.
    repository: String,
    /// What it applies to: a branch, tag or commit; the default branch where it is left out.
    base: Option<String>,
    /// A patch in git's format.
    diff: Option<String>,
    /// A branch, tag or commit; what it has since its history and that of `base` meet.
    head: Option<String>,
    /// Folders and files that the tests need beside what is touched; all code of the language where it is left out.
    paths: Option<Vec<String>>,
}

/// A program's input and output, or a function's.
#[derive(Deserialize, Serialize, ToSchema)]
pub struct NewCase {
    /// Unique; `case 1` and so on where it is left out.
    name: Option<String>,
    /// Of a program: what follows its name, strings. Of a function: its arguments, any JSON.
    arguments: Option<Vec<Value>>,
    /// Of a program: standard input.
    stdin: Option<String>,
    /// Of a program: what standard output must be.
    stdout: Option<String>,
    /// Whether spaces at the ends of lines and empty lines at the end matter.
    exact: Option<bool>,
    /// Of a program: its exit code, 0 where it is left out.
    exit_code: Option<u8>,
    /// The function to call.
    call: Option<String>,
    /// The file that defines it; `entry` where it is left out.
    path: Option<String>,
    /// Named arguments, in Python.
    #[schema(value_type = Option<Object>)]
    named: Option<Value>,
    /// What it must return.
    returns: Option<Value>,
    /// The type of the exception that must come out of it.
    raises: Option<String>,
    /// How far numbers may be off.
    tolerance: Option<f64>,
}

/// Limits of each instance.
#[derive(Deserialize, Serialize, ToSchema)]
pub struct CheckLimits {
    /// 1 to 120,000; 10,000 where it is left out.
    time_ms: Option<u64>,
    /// 1 MiB to 1 GiB; 256 MiB where it is left out.
    memory_bytes: Option<u64>,
    /// What it may print: 1 KiB to 16 MiB; 1 MiB where it is left out.
    output_bytes: Option<u64>,
}

/// Several submissions.
#[derive(Deserialize, Serialize, ToSchema)]
pub struct NewChecks {
    /// 1 to 1,000.
    submissions: Vec<NewCheck>,
}

/// A part of the checks, newest first; or those of a request, in its order.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct CheckList {
    /// The checks.
    pub items: Vec<Check>,
    /// What to send as `cursor` for the next part; `null` at the end.
    pub next: Option<String>,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct CheckQuery {
    /// Only checks with this verdict.
    verdict: Option<CheckVerdict>,
    /// How many items, 1 to 500.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 500, default = 50)]
    limit: u32,
    /// `next` of the part before.
    cursor: Option<String>,
}

impl FromQuery for CheckQuery {
    fn from_query(values: &Values) -> Result<Self, ApiError> {
        Ok(Self {
            verdict: values.word("verdict", &VERDICTS)?,
            limit: values.limit()?,
            cursor: values.text("cursor"),
        })
    }
}

fn invalid(mistakes: Vec<Mistake>) -> ApiError {
    let errors: Vec<InputError> = mistakes
        .into_iter()
        .map(|mistake| InputError {
            pointer: mistake.pointer,
            message: mistake.message,
        })
        .collect();
    let detail = match errors.as_slice() {
        [only] => format!(
            "the submission has a mistake at `{}`: {}",
            only.pointer, only.message
        ),
        all => format!(
            "the submission has {} mistakes; `errors` lists them",
            all.len()
        ),
    };
    ApiError::new(
        StatusCode::UNPROCESSABLE_ENTITY,
        "invalid_submission",
        detail,
    )
    .with_errors(errors)
}

/// A check's id in the path.
pub(super) struct CheckId(Uuid);

impl<S: Send + Sync> FromRequestParts<S> for CheckId {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let Path(path) = Path::<BTreeMap<String, String>>::from_request_parts(parts, state)
            .await
            .map_err(|_| no_such_check())?;
        path.get("id")
            .and_then(|id| parse_id(id))
            .map(Self)
            .ok_or_else(no_such_check)
    }
}

/// A submission with its digest.
async fn submission(
    plane: &Arc<dyn ControlPlane>,
    by: &Caller,
    value: &Value,
) -> Result<(Submission, String), Refused> {
    let reading = Permission {
        resource: "repositories",
        verb: "read",
        least: Role::Viewer,
    };
    let may_read = |name: &str| by.may(&reading, Some(name));
    plane.submission(value, &may_read).await
}

impl From<Refused> for ApiError {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Mistakes(mistakes) => invalid(mistakes),
            Refused::Unreadable(name) => ApiError::new(
                StatusCode::FORBIDDEN,
                "forbidden",
                format!(
                    "reading the repository `{}` needs the scope `repositories:read`",
                    name.escape_debug()
                ),
            ),
            Refused::Unavailable(message) => ApiError::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "repository_unavailable",
                message,
            ),
        }
    }
}

fn no_such_check() -> ApiError {
    ApiError::not_found("there is no check with this id")
}

/// Check code
///
/// Hands code in to be judged: by policy, static analysis, tests and cases, in fresh instances without network, files or a clock. With `wait` the answer is the verdict, if it is there by then.
#[utoipa::path(
    post, path = "/v1/checks", operation_id = "create_check", tag = "checks",
    params(WaitQuery),
    request_body = NewCheck,
    responses(
        (status = 200, description = "The verdict", body = Check),
        (status = 202, description = "There is no verdict yet", body = Check, headers(("location" = String, description = "Where the check is")),
         links(("check" = (operation_id = "get_check", parameters(("id" = "$response.body#/id")))))),
        (status = 422, description = "`invalid_submission`: `errors` has every mistake", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "`queue_full`, `kill_switch` or `stopping`", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn create_check(
    State(plane): Plane,
    By(by): By,
    Params(query): Params<WaitQuery>,
    LargeJsonBody(body): LargeJsonBody,
) -> Answer<Response> {
    let submission = submission(&plane, &by, &body).await?;
    let checks = plane.check(vec![submission], by.principal).await?;
    let Some(mut check) = checks.into_iter().next() else {
        return Err(ApiError::internal("a check was taken and is not there"));
    };
    if let Some(wait) = query.wait {
        check = plane.wait_check(check.id, wait).await?.unwrap_or(check);
    }
    if check.verdict.is_some() {
        return Ok(Json(check).into_response());
    }
    let location = format!("/v1/checks/{}", check.id);
    let mut response = (StatusCode::ACCEPTED, Json(check)).into_response();
    if let Ok(location) = HeaderValue::from_str(&location) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}

/// Check much code
///
/// Up to 1,000 submissions, all taken or none. With `wait` the answer has the verdicts that are there by then, in the order of the submissions.
#[utoipa::path(
    post, path = "/v1/checks/batch", operation_id = "create_checks", tag = "checks",
    params(WaitQuery),
    request_body = NewChecks,
    responses(
        (status = 200, description = "The checks, each with its verdict if it has one", body = CheckList),
        (status = 422, description = "`invalid_submission`: `errors` has every mistake", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "`queue_full`, `kill_switch` or `stopping`", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn create_checks(
    State(plane): Plane,
    By(by): By,
    Params(query): Params<WaitQuery>,
    LargeJsonBody(body): LargeJsonBody,
) -> Answer<Json<CheckList>> {
    let wrong = |message: &str| {
        let mistake = Mistake {
            pointer: "/submissions".into(),
            message: message.into(),
        };
        Err(invalid(vec![mistake]))
    };
    let list = match body.get("submissions").and_then(Value::as_array) {
        Some(list) if (1..=BATCH_MAX).contains(&list.len()) => list,
        _ => return wrong("this is a list of 1 to 1000 submissions"),
    };
    if body.as_object().is_some_and(|body| body.len() > 1) {
        return wrong("there is no other key beside this one");
    }
    // Each of them reads a repository.
    let patches = list.iter().filter(|value| value.get("patch").is_some());
    if patches.count() > BATCH_PATCHES_MAX {
        return wrong("at most 100 of them have a `patch`");
    }
    let (mut mistakes, mut bytes) = (Vec::new(), 0);
    let mut submissions = Vec::with_capacity(list.len());
    for (index, value) in list.iter().enumerate() {
        let at = format!("/submissions/{index}");
        match submission(&plane, &by, value).await {
            Ok(read) => {
                bytes += read.0.text_bytes();
                submissions.push(read);
            }
            Err(Refused::Mistakes(found)) => {
                mistakes.extend(found.into_iter().map(|mistake| Mistake {
                    pointer: format!("{at}{}", mistake.pointer),
                    message: mistake.message,
                }));
            }
            Err(refused) => return Err(refused.into()),
        }
        if bytes > BATCH_BYTES_MAX {
            mistakes.push(Mistake {
                pointer: at,
                message: format!(
                    "up to here the submissions have more than {BATCH_BYTES_MAX} bytes of code; hand the rest in with another request"
                ),
            });
            break;
        }
        // As many as anybody reads.
        if mistakes.len() >= BATCH_MISTAKES_MAX {
            break;
        }
    }
    if !mistakes.is_empty() {
        mistakes.truncate(BATCH_MISTAKES_MAX);
        return Err(invalid(mistakes));
    }
    let mut items = plane.check(submissions, by.principal).await?;
    if let Some(wait) = query.wait {
        let until = Instant::now() + wait;
        for check in &mut items {
            let left = until.saturating_duration_since(Instant::now());
            if let Some(ended) = plane.wait_check(check.id, left).await? {
                *check = ended;
            }
        }
    }
    Ok(Json(CheckList { items, next: None }))
}

/// List checks
///
/// Newest first.
#[utoipa::path(
    get, path = "/v1/checks", operation_id = "list_checks", tag = "checks",
    params(CheckQuery),
    responses(
        (status = 200, description = "The checks", body = CheckList),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn list_checks(
    State(plane): Plane,
    Params(query): Params<CheckQuery>,
) -> Answer<Json<CheckList>> {
    let page = PageRequest {
        limit: query.limit,
        cursor: query.cursor,
    };
    let page = plane.store().checks(query.verdict, page).await?;
    Ok(Json(CheckList {
        items: page.items,
        next: page.next,
    }))
}

/// Get a check
#[utoipa::path(
    get, path = "/v1/checks/{id}", operation_id = "get_check", tag = "checks",
    params(("id" = Uuid, Path, description = "The check's id"), WaitQuery),
    responses(
        (status = 200, description = "The check", body = Check),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn get_check(
    State(plane): Plane,
    CheckId(id): CheckId,
    Params(query): Params<WaitQuery>,
) -> Answer<Json<Check>> {
    let check = plane
        .wait_check(id, query.wait.unwrap_or(Duration::ZERO))
        .await?;
    check.map(Json).ok_or_else(no_such_check)
}

/// Follow a check
///
/// Server-sent events while it is in progress: `test` and `step` with what is over, and at last `end` with the check.
#[utoipa::path(
    get, path = "/v1/checks/{id}/news", operation_id = "follow_check", tag = "checks",
    params(("id" = Uuid, Path, description = "The check's id")),
    responses(
        (status = 200, description = "What happens", body = String, content_type = "text/event-stream"),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn follow_check(
    State(plane): Plane,
    CheckId(id): CheckId,
    _: Params<NoQuery>,
    connection: Option<Extension<Connection>>,
) -> Answer<Response> {
    // Followed first: what ends in between is then seen as ended.
    let news = plane.follow_check(id);
    if plane.store().check(id).await?.is_none() {
        return Err(no_such_check());
    }
    let place = followers::take(connection.as_deref())?;
    let stopping = connection
        .map(|Extension(connection)| connection.stopping)
        .unwrap_or_default();
    let stream = futures::stream::unfold((plane, news, false), move |(plane, mut news, over)| {
        let stopping = stopping.clone();
        let _place = &place;
        async move {
            if over {
                return None;
            }
            loop {
                let next = match &mut news {
                    None => None,
                    Some(receiver) => tokio::select! {
                        next = receiver.recv() => Some(next),
                        () = stopping.cancelled() => return None,
                    },
                };
                match next {
                    Some(Ok(told)) => {
                        let name = match &told {
                            CheckNews::Test { .. } => "test",
                            CheckNews::Step { .. } => "step",
                        };
                        let event = Event::default().event(name).json_data(&told);
                        return Some((event, (plane, news, false)));
                    }
                    // Who was too slow goes on with what is there; the end has everything.
                    Some(Err(RecvError::Lagged(_))) => {}
                    Some(Err(RecvError::Closed)) | None => {
                        let check = plane.wait_check(id, END_WAIT).await.ok().flatten()?;
                        let event = Event::default().event("end").json_data(&check);
                        return Some((event, (plane, None, true)));
                    }
                }
            }
        }
    });
    Ok(Sse::new(stream)
        .keep_alive(KeepAlive::default())
        .into_response())
}
