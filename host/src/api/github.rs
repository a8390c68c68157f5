//! `/webhooks/github`: what GitHub says happened, as events `github.*`.
//!
//! Invariants: nothing is believed before the signature over the raw bytes was found right, in constant time, under one of the secrets in force; a delivery is an event on the disk before its
//! 2xx; one delivery is one event however often it is sent, and so starts one run of each agent that asks for it. Deliveries may come in any order: an event says what happened, and an agent
//! looks at the repository as it is.

use super::error::{ApiError, Problem};
use super::json::{self, Json, VastBody};
use super::params::{NoQuery, Params};
use super::views::Received;
use super::webhooks::is_signed;
use super::{Answer, Plane};
use crate::forge::github::deliveries;
use axum::extract::State;
use http::{HeaderMap, StatusCode};
use uuid::Uuid;

/// Take a delivery from GitHub
///
/// For the webhook of a GitHub App or repository whose secret is among `webhook_secrets` of `[github]`; two may be in force while one is replaced. The deliveries `push`, `pull_request`,
/// `pull_request_review`, `check_run`, `workflow_run` and `issues` become events `github.<name>`, on the disk before the answer; the others, and `ping`, are acknowledged.
#[utoipa::path(
    post, path = "/webhooks/github", operation_id = "receive_github", tag = "events",
    params(
        ("X-Hub-Signature-256" = Option<String>, Header, description = "`sha256=` and the HMAC of the body in hexadecimal digits"),
        ("X-GitHub-Delivery" = Option<String>, Header, description = "The delivery's id, a UUID"),
        ("X-GitHub-Event" = Option<String>, Header, description = "What is delivered"),
    ),
    request_body(content = Object, content_type = "application/json", description = "At most 25 MiB, as GitHub sends them"),
    responses(
        (status = 202, description = "It is an event now, or is of a kind that becomes none", body = Received),
        (status = 200, description = "It is a `ping`, or was delivered before", body = Received),
        (status = 400, description = "`invalid_delivery`", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "`bad_signature`", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "`no_webhook`", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn receive_github(
    State(plane): Plane,
    _: Params<NoQuery>,
    headers: HeaderMap,
    VastBody(body): VastBody,
) -> Answer<(StatusCode, Json<Received>)> {
    let secrets = plane.github_secrets();
    if secrets.is_empty() {
        return Err(ApiError::new(
            StatusCode::NOT_FOUND,
            "no_webhook",
            "nobody takes deliveries from GitHub; `webhook_secrets = [\"${NAME}\"]` in `[github]` of `plugins.toml` does",
        ));
    }
    // Each is tried, so that the time says nothing of which is right.
    let signed = secrets.iter().fold(false, |found, secret| {
        is_signed(&headers, &body, secret.expose().as_bytes()) | found
    });
    if !signed {
        return Err(ApiError::new(
            StatusCode::UNAUTHORIZED,
            "bad_signature",
            "`X-Hub-Signature-256` is missing or is not that of these bytes under a secret of `[github]`",
        )
        .with_header(
            http::header::WWW_AUTHENTICATE,
            http::HeaderValue::from_static("Signature"),
        ));
    }
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let invalid = |detail: &str| ApiError::new(StatusCode::BAD_REQUEST, "invalid_delivery", detail);
    let delivery = text("x-github-delivery")
        .and_then(|id| Uuid::parse_str(id).ok())
        .ok_or_else(|| invalid("`X-GitHub-Delivery` is missing or is no UUID"))?;
    let kind = text("x-github-event").ok_or_else(|| invalid("`X-GitHub-Event` is missing"))?;
    let mut received = Received {
        delivery,
        duplicate: false,
        event: None,
    };
    if kind == "ping" {
        return Ok((StatusCode::OK, Json(received)));
    }
    if !deliveries::is_event(kind) {
        return Ok((StatusCode::ACCEPTED, Json(received)));
    }
    let payload = json::parse(&body)?;
    let event = deliveries::event(kind, delivery, payload)
        .ok_or_else(|| invalid("the payload is nested too deeply"))?;
    let kind = event.kind.clone();
    received.event = Some(kind);
    received.duplicate = !plane.publish(event).await?;
    let status = if received.duplicate {
        StatusCode::OK
    } else {
        StatusCode::ACCEPTED
    };
    Ok((status, Json(received)))
}
