//! `/v1/effects`, `/v1/approvals` and `/v1/prs`: what runs propose to change, and what people say to it.

use super::access::By;
use super::error::{ApiError, InputError, Problem};
use super::json::{Json, JsonBody};
use super::params::{FromQuery, NoQuery, Params, RunId, Values};
use super::views::{EffectList, EffectView, PullRequestList, PullRequestView};
use super::{Answer, ControlPlane, Plane};
use crate::access::{Caller, Permission, Role};
use crate::effects::DecideError;
use crate::model::{
    Action, Effect, EffectState, Principal, Thread, ThreadKind, ThreadState, Verdict,
};
use crate::store::{EffectFilter, PageRequest, ThreadFilter};
use axum::extract::State;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

/// Kinds of effects, as [`crate::model::Action::kind`] names them.
const KINDS: [&str; 10] = [
    "commit",
    "pull_request",
    "merge",
    "issue",
    "comment",
    "status",
    "notification",
    "publication",
    "agent_control",
    "billing",
];

/// Characters of a comment on a decision.
const COMMENT_MAX: usize = 1_000;

/// Characters of a person's name.
const NAME_MAX: usize = 100;

impl From<DecideError> for ApiError {
    fn from(error: DecideError) -> Self {
        let conflict =
            |code, error: &DecideError| Self::new(StatusCode::CONFLICT, code, error.to_string());
        match error {
            DecideError::Unknown => no_such_effect(),
            DecideError::NotWaiting { .. } => conflict("effect_not_waiting", &error),
            DecideError::Digest => conflict("digest_mismatch", &error),
            DecideError::Own => Self::new(StatusCode::FORBIDDEN, "own_proposal", error.to_string()),
            DecideError::NotOpen => conflict("pull_request_not_open", &error),
            DecideError::NotLocal => conflict("not_local", &error),
            DecideError::NameTaken => conflict("name_taken", &error),
            DecideError::Outdated(_) => conflict("commit_outdated", &error),
            DecideError::NotRevertible(_) => conflict("not_revertible", &error),
            DecideError::Store(error) => error.into(),
            DecideError::Forge(error) => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "repository_unavailable",
                error.to_string(),
            ),
        }
    }
}

pub(super) fn no_such_effect() -> ApiError {
    ApiError::not_found("no effect has this id; `GET /v1/effects` lists them")
}

fn no_such_pull_request() -> ApiError {
    ApiError::not_found("no pull request has this id; `GET /v1/prs` lists them")
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct EffectQuery {
    /// Only effects in this state.
    state: Option<EffectState>,
    /// Only effects of this agent.
    agent: Option<String>,
    /// Only effects of this kind.
    #[param(
        pattern = "^(commit|pull_request|merge|issue|comment|status|notification|publication|agent_control|billing)$"
    )]
    kind: Option<String>,
    /// Only effects that change this repository.
    repository: Option<String>,
    /// Only effects that this run proposed.
    run: Option<Uuid>,
    /// How many items, 1 to 500.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 500, default = 50)]
    limit: u32,
    /// `next` of the part before.
    cursor: Option<String>,
}

impl FromQuery for EffectQuery {
    fn from_query(values: &Values) -> Result<Self, ApiError> {
        let states = EffectState::ALL.map(EffectState::as_str);
        Ok(Self {
            state: values.word("state", &states)?,
            agent: values.text("agent"),
            kind: values.word("kind", &KINDS)?,
            repository: values.text("repository"),
            run: values
                .text("run")
                .map(|text| {
                    Uuid::parse_str(&text).map_err(|_| {
                        ApiError::invalid_parameter("`run` is the id of a run".to_owned())
                    })
                })
                .transpose()?,
            limit: values.limit()?,
            cursor: values.text("cursor"),
        })
    }
}

/// List effects
///
/// What runs propose to change, newest first. Long texts are left out; `GET /v1/effects/{id}` has them.
#[utoipa::path(
    get, path = "/v1/effects", operation_id = "list_effects", tag = "effects",
    params(EffectQuery),
    responses(
        (status = 200, description = "The effects", body = EffectList),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn list_effects(
    State(plane): Plane,
    Params(query): Params<EffectQuery>,
) -> Answer<Json<EffectList>> {
    let filter = EffectFilter {
        state: query.state,
        agent: query.agent,
        kind: query.kind,
        run: query.run,
        repository: query.repository,
    };
    let page = PageRequest {
        limit: query.limit,
        cursor: query.cursor,
    };
    let page = plane.store().effects(filter, page).await?;
    Ok(Json(EffectList {
        items: page.items,
        next: page.next,
    }))
}

async fn find(plane: &Arc<dyn ControlPlane>, id: Uuid) -> Answer<Effect> {
    plane.store().effect(id).await?.ok_or_else(no_such_effect)
}

/// Get an effect
///
/// With what it would do, or did, as a patch or a text.
#[utoipa::path(
    get, path = "/v1/effects/{id}", operation_id = "get_effect", tag = "effects",
    params(("id" = Uuid, Path, description = "The effect's id")),
    responses(
        (status = 200, description = "The effect", body = EffectView),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn get_effect(
    State(plane): Plane,
    RunId(id): RunId,
    _: Params<NoQuery>,
) -> Answer<Json<EffectView>> {
    let effect = find(&plane, id).await?;
    let preview = plane.preview(&effect).await?;
    Ok(Json(EffectView { effect, preview }))
}

/// Undo an effect
///
/// Answers with the effect that undoes it, which is applied at once, or with the effect itself where nothing more is needed.
#[utoipa::path(
    post, path = "/v1/effects/{id}/revert", operation_id = "revert_effect", tag = "effects",
    params(("id" = Uuid, Path, description = "The effect's id")),
    responses(
        (status = 200, description = "The effect", body = Effect),
        (status = 409, description = "`effect_not_waiting`, `not_revertible`", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn revert_effect(
    State(plane): Plane,
    By(by): By,
    RunId(id): RunId,
    _: Params<NoQuery>,
) -> Answer<Json<Effect>> {
    Ok(Json(plane.revert(id, by.principal).await?))
}

/// A person's word.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ApprovalRequest {
    /// The effect to decide on; or else `pr_id`.
    #[serde(default)]
    effect_id: Option<Uuid>,
    /// The pull request to review; or else `effect_id`.
    #[serde(default)]
    pr_id: Option<Uuid>,
    /// Yes or no. A no to an effect that waits for objections is a veto.
    decision: Verdict,
    /// Why; at most 1,000 characters.
    #[serde(default)]
    #[schema(max_length = 1000)]
    comment: Option<String>,
    /// The effect's `digest` as it was looked at; another one is refused.
    #[serde(default)]
    digest: Option<String>,
    /// Who decides; without it the key's own name, or the person at this machine, who is taken at their word. A key decides in its own name alone.
    #[serde(default)]
    #[schema(max_length = 100)]
    by: Option<String>,
}

/// Why, and who decides.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct DecisionRequest {
    /// Why; at most 1,000 characters.
    #[serde(default)]
    #[schema(max_length = 1000)]
    comment: Option<String>,
    /// Who decides; without it the key's own name, or the person at this machine, who is taken at their word. A key decides in its own name alone.
    #[serde(default)]
    #[schema(max_length = 100)]
    by: Option<String>,
}

impl DecisionRequest {
    /// The comment and the person, if they can be used.
    pub(super) fn checked(self, caller: Caller) -> Answer<(Option<String>, Principal)> {
        let long = |comment: &String| comment.chars().count() > COMMENT_MAX;
        if self.comment.as_ref().is_some_and(long) {
            return Err(invalid("/comment", "has more than 1,000 characters"));
        }
        Ok((self.comment, decided_by(self.by, caller)?))
    }
}

/// Who decides, by the name they give. Who came with a key is known by its name.
pub(super) fn decided_by(by: Option<String>, caller: Caller) -> Answer<Principal> {
    let named = |name: &String| {
        !name.trim().is_empty()
            && name.chars().count() <= NAME_MAX
            && !name.chars().any(char::is_control)
    };
    match by {
        None => Ok(caller.principal),
        Some(name) if name == caller.principal.name => Ok(caller.principal),
        Some(_) if caller.key.is_some() => Err(invalid(
            "/by",
            "is not the name of the key that the request came with; leave it out",
        )),
        Some(name) if named(&name) => Ok(Principal {
            name,
            ..caller.principal
        }),
        Some(_) => Err(invalid("/by", "is no name of 1 to 100 characters")),
    }
}

/// What was decided on, as it is now.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(super) struct Decided {
    /// The effect, if it was one.
    effect: Option<Effect>,
    /// The pull request, if it was one.
    pull_request: Option<Thread>,
}

fn invalid(pointer: &str, message: &str) -> ApiError {
    ApiError::new(
        StatusCode::UNPROCESSABLE_ENTITY,
        "invalid_approval",
        "the decision is not as it must be",
    )
    .with_errors(vec![InputError {
        pointer: pointer.into(),
        message: message.into(),
    }])
}

/// What approving takes that costs money.
const BILLING: Permission = Permission {
    resource: "billing",
    verb: "approve",
    least: Role::Editor,
};

/// Decide
///
/// Approves or rejects an effect that waits, objects to one that is about to be applied, or reviews a pull request at its head commit.
#[utoipa::path(
    post, path = "/v1/approvals", operation_id = "decide", tag = "effects",
    request_body(content = ApprovalRequest),
    responses(
        (status = 200, description = "What was decided on", body = Decided),
        (status = 409, description = "`effect_not_waiting`, `digest_mismatch`, `pull_request_not_open`", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "`invalid_approval`", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn decide(
    State(plane): Plane,
    By(caller): By,
    _: Params<NoQuery>,
    JsonBody(body): JsonBody,
) -> Answer<Json<Decided>> {
    let request: ApprovalRequest = serde_json::from_value::<ApprovalRequest>(body)
        .map_err(|error| invalid("", &error.to_string()))?;
    let by = DecisionRequest {
        comment: request.comment,
        by: request.by,
    };
    let may_pay = caller.may(&BILLING, None);
    let (comment, principal) = by.checked(caller)?;
    match (request.effect_id, request.pr_id) {
        (Some(id), None) => {
            let there = plane.store().effect(id).await?;
            if !may_pay && there.is_some_and(|effect| matches!(effect.action, Action::Billing(_))) {
                return Err(ApiError::new(
                    StatusCode::FORBIDDEN,
                    "forbidden",
                    "what is paid for is approved with the scope `billing:approve`; `infinity key create NAME --role editor --scope billing:approve` makes a key that may",
                ));
            }
            let effect = plane
                .decide(id, principal, request.decision, comment, request.digest)
                .await?;
            Ok(Json(Decided {
                effect: Some(effect),
                pull_request: None,
            }))
        }
        (None, Some(id)) => {
            let thread = pull_request(&plane, id).await?;
            let thread = plane
                .review(&thread, principal, request.decision, comment)
                .await?;
            Ok(Json(Decided {
                effect: None,
                pull_request: Some(thread),
            }))
        }
        _ => Err(invalid("", "must have either `effect_id` or `pr_id`")),
    }
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct PullRequestQuery {
    /// Only those of this repository.
    repository: Option<String>,
    /// Only those in this state.
    state: Option<ThreadState>,
    /// How many items, 1 to 500.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 500, default = 50)]
    limit: u32,
    /// `next` of the part before.
    cursor: Option<String>,
}

impl FromQuery for PullRequestQuery {
    fn from_query(values: &Values) -> Result<Self, ApiError> {
        Ok(Self {
            repository: values.text("repository"),
            state: values.word("state", &["open", "merged", "closed"])?,
            limit: values.limit()?,
            cursor: values.text("cursor"),
        })
    }
}

/// List pull requests
///
/// Those that effects opened, newest first; of a repository on GitHub as they were when the host looked last.
#[utoipa::path(
    get, path = "/v1/prs", operation_id = "list_pull_requests", tag = "effects",
    params(PullRequestQuery),
    responses(
        (status = 200, description = "The pull requests", body = PullRequestList),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn list_pull_requests(
    State(plane): Plane,
    Params(query): Params<PullRequestQuery>,
) -> Answer<Json<PullRequestList>> {
    let filter = ThreadFilter {
        kind: ThreadKind::PullRequest,
        repository: query.repository,
        state: query.state,
    };
    let page = PageRequest {
        limit: query.limit,
        cursor: query.cursor,
    };
    let page = plane.store().threads(filter, page).await?;
    Ok(Json(PullRequestList {
        items: page.items,
        next: page.next,
    }))
}

pub(super) async fn pull_request(plane: &Arc<dyn ControlPlane>, id: Uuid) -> Answer<Thread> {
    plane
        .store()
        .thread_of(id)
        .await?
        .filter(|thread| thread.kind == ThreadKind::PullRequest)
        .ok_or_else(no_such_pull_request)
}

/// Get a pull request
///
/// With its difference, comments, and what is thought of its head commit.
#[utoipa::path(
    get, path = "/v1/prs/{id}", operation_id = "get_pull_request", tag = "effects",
    params(("id" = Uuid, Path, description = "The pull request's id, which is that of the effect that opened it")),
    responses(
        (status = 200, description = "The pull request", body = PullRequestView),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn get_pull_request(
    State(plane): Plane,
    RunId(id): RunId,
    _: Params<NoQuery>,
) -> Answer<Json<PullRequestView>> {
    let thread = pull_request(&plane, id).await?;
    let comments = plane
        .store()
        .comments(&thread.repository, thread.number)
        .await?;
    let difference = plane.difference(&thread).await?;
    Ok(Json(PullRequestView {
        pull_request: difference.thread,
        head_commit: difference.head,
        diff: difference.patch,
        comments,
        statuses: difference.statuses,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn a_decision_has_no_other_fields() {
        let read = |value: Value| serde_json::from_value::<ApprovalRequest>(value);
        assert!(read(json!({ "decision": "approve" })).is_ok());
        assert!(read(json!({ "decision": "approve", "comments": "x" })).is_err());
        assert!(read(json!({ "decision": "maybe" })).is_err());
    }
}
