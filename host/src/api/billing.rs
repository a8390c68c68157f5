//! `/v1/billing/proposals`: changes of what is paid for. Nothing here changes a bill: several people agree, and that is recorded and announced.

use super::access::By;
use super::effects::{DecisionRequest, decided_by, no_such_effect};
use super::error::{ApiError, InputError, Problem};
use super::json::{Json, JsonBody};
use super::params::{NoQuery, PageQuery, Params, RunId};
use super::views::EffectList;
use super::{Answer, ControlPlane, Plane};
use crate::access::Caller;
use crate::model::{Action, BillingAction, Effect, Verdict};
use crate::store::{EffectFilter, PageRequest};
use axum::extract::State;
use http::{HeaderValue, StatusCode, header};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;
use uuid::Uuid;

/// Characters of a title or a resource.
const LINE_MAX: usize = 200;

/// Characters of a reason.
const REASON_MAX: usize = 4_000;

/// A change of what is paid for.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ProposalRequest {
    /// One line, at most 200 characters.
    #[schema(min_length = 1, max_length = 200)]
    title: String,
    /// What is paid for, for instance `database/production`; at most 200 characters.
    #[schema(min_length = 1, max_length = 200)]
    resource: String,
    /// By how many US dollars a month it changes; less than zero saves.
    #[schema(minimum = -1_000_000_000_i64, maximum = 1_000_000_000_i64)]
    monthly_usd: i64,
    /// Why; at most 4,000 characters.
    #[schema(min_length = 1, max_length = 4000)]
    reason: String,
    /// Who proposes, and so does not decide; without it the key's own name, or the person at this machine, who is taken at their word.
    #[serde(default)]
    #[schema(max_length = 100)]
    by: Option<String>,
}

fn invalid(pointer: &str, message: &str) -> ApiError {
    ApiError::new(
        StatusCode::UNPROCESSABLE_ENTITY,
        "invalid_proposal",
        "the proposal is not as it must be",
    )
    .with_errors(vec![InputError {
        pointer: pointer.into(),
        message: message.into(),
    }])
}

/// List billing proposals
#[utoipa::path(
    get, path = "/v1/billing/proposals", operation_id = "list_billing_proposals", tag = "effects",
    params(PageQuery),
    responses(
        (status = 200, description = "The proposals, newest first", body = EffectList),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn list_billing_proposals(
    State(plane): Plane,
    Params(query): Params<PageQuery>,
) -> Answer<Json<EffectList>> {
    let filter = EffectFilter {
        agent: Some(crate::effects::BILLING.into()),
        kind: Some("billing".into()),
        ..EffectFilter::default()
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

/// Propose a change of what is paid for
///
/// It waits for two people other than who proposes, and expires after seven days.
#[utoipa::path(
    post, path = "/v1/billing/proposals", operation_id = "propose_billing", tag = "effects",
    request_body(content = ProposalRequest),
    responses(
        (status = 201, description = "The proposal", body = Effect, headers(("location" = String, description = "Where the proposal is")),
         links(
            ("approve" = (operation_id = "approve_billing", parameters(("id" = "$response.body#/id")))),
            ("reject" = (operation_id = "reject_billing", parameters(("id" = "$response.body#/id")))),
        )),
        (status = 422, description = "`invalid_proposal`", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn propose_billing(
    State(plane): Plane,
    By(caller): By,
    _: Params<NoQuery>,
    JsonBody(body): JsonBody,
) -> Answer<(
    StatusCode,
    [(header::HeaderName, HeaderValue); 1],
    Json<Effect>,
)> {
    let request: ProposalRequest =
        serde_json::from_value(body).map_err(|error| invalid("", &error.to_string()))?;
    for (pointer, text) in [("/title", &request.title), ("/resource", &request.resource)] {
        let length = text.chars().count();
        if text.trim().is_empty() || length > LINE_MAX || text.chars().any(char::is_control) {
            return Err(invalid(pointer, "is not one line of 1 to 200 characters"));
        }
    }
    if request.reason.trim().is_empty() || request.reason.chars().count() > REASON_MAX {
        return Err(invalid("/reason", "is not a text of 1 to 4,000 characters"));
    }
    if request.monthly_usd.unsigned_abs() > 1_000_000_000 {
        return Err(invalid("/monthly_usd", "is more than anybody pays"));
    }
    let principal = decided_by(request.by, caller)?;
    let action = BillingAction {
        title: request.title,
        resource: request.resource,
        monthly_usd: request.monthly_usd,
    };
    let effect = plane
        .propose_billing(action, request.reason, principal)
        .await?;
    let location = HeaderValue::from_str(&format!("/v1/effects/{}", effect.id))
        .unwrap_or(HeaderValue::from_static("/v1/effects"));
    Ok((
        StatusCode::CREATED,
        [(header::LOCATION, location)],
        Json(effect),
    ))
}

async fn decide(
    plane: &Arc<dyn ControlPlane>,
    caller: Caller,
    id: Uuid,
    body: serde_json::Value,
    verdict: Verdict,
) -> Answer<Json<Effect>> {
    let body = if body.is_null() {
        serde_json::json!({})
    } else {
        body
    };
    let request: DecisionRequest =
        serde_json::from_value(body).map_err(|error| invalid("", &error.to_string()))?;
    let (comment, principal) = request.checked(caller)?;
    let there = plane.store().effect(id).await?;
    if !there.is_some_and(|effect| matches!(effect.action, Action::Billing(_))) {
        return Err(no_such_effect());
    }
    let effect = plane.decide(id, principal, verdict, comment, None).await?;
    Ok(Json(effect))
}

/// Approve a billing proposal
///
/// Two people have to, and none of them is who proposed it.
#[utoipa::path(
    post, path = "/v1/billing/proposals/{id}/approve", operation_id = "approve_billing", tag = "effects",
    params(("id" = Uuid, Path, description = "The proposal's id")),
    request_body(content = Option<DecisionRequest>),
    responses(
        (status = 200, description = "The proposal", body = Effect),
        (status = 403, description = "`own_proposal`", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "`effect_not_waiting`", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "`invalid_proposal`, `invalid_approval`", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn approve_billing(
    State(plane): Plane,
    By(caller): By,
    RunId(id): RunId,
    _: Params<NoQuery>,
    JsonBody(body): JsonBody,
) -> Answer<Json<Effect>> {
    decide(&plane, caller, id, body, Verdict::Approve).await
}

/// Reject a billing proposal
#[utoipa::path(
    post, path = "/v1/billing/proposals/{id}/reject", operation_id = "reject_billing", tag = "effects",
    params(("id" = Uuid, Path, description = "The proposal's id")),
    request_body(content = Option<DecisionRequest>),
    responses(
        (status = 200, description = "The proposal", body = Effect),
        (status = 409, description = "`effect_not_waiting`", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "`invalid_proposal`, `invalid_approval`", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn reject_billing(
    State(plane): Plane,
    By(caller): By,
    RunId(id): RunId,
    _: Params<NoQuery>,
    JsonBody(body): JsonBody,
) -> Answer<Json<Effect>> {
    decide(&plane, caller, id, body, Verdict::Reject).await
}
