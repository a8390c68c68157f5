//! `/v1/agents/{name}/webhook`: signed deliveries of other programs that start runs.
//!
//! Invariants: nothing is believed before the signature over the raw bytes was found right, in constant time; a delivery is on the disk before its 2xx; one delivery id starts one run.
//! What is signed is the body, as senders of webhooks do it: who has seen a delivery can send the same bytes again under another id, so an agent must not take a body for new
//! because of its id alone.

use super::error::{ApiError, Problem};
use super::json::{self, Json, RawBody};
use super::params::{Name, NoQuery, Params};
use super::views::Delivered;
use super::{Answer, Plane, StartError, StartRun};
use crate::model::{Principal, Trigger, json_depth};
use aws_lc_rs::hmac;
use axum::extract::State;
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use uuid::Uuid;

/// Headers that carry the signature, `sha256=` and 64 hexadecimal digits.
const SIGNATURES: [&str; 2] = ["x-signature-256", "x-hub-signature-256"];

/// Headers that carry the delivery's id, a UUID.
const DELIVERIES: [&str; 2] = ["x-delivery", "x-github-delivery"];

/// Headers that say what is delivered.
const EVENTS: [&str; 2] = ["x-event", "x-github-event"];

/// What a sender says to find out whether somebody is there.
const PING: &str = "ping";

/// Levels of a body that is taken as JSON: it becomes part of a run's input, which is read again as JSON. A deeper one is taken as text.
const DEPTH_MAX: usize = 64;

/// Characters of the kind of a delivery.
const EVENT_MAX: usize = 100;

fn header<'h>(headers: &'h HeaderMap, names: &[&str]) -> Option<&'h str> {
    names
        .iter()
        .find_map(|name| headers.get(*name)?.to_str().ok())
}

/// Deliver a webhook
///
/// For agents with `webhook` in `plugins.toml`. The body is signed with HMAC and SHA-256 under the shared secret: `X-Signature-256: sha256=<hex>` (or `X-Hub-Signature-256`, as GitHub sends
/// it). `X-Delivery` (or `X-GitHub-Delivery`) is a UUID; the same one again starts nothing. `X-Event` (or `X-GitHub-Event`) says what is delivered; `ping` starts nothing.
/// The run's input is `{ "delivery", "event", "body" }`, and it is on the disk before the answer.
#[utoipa::path(
    post, path = "/v1/agents/{name}/webhook", operation_id = "deliver_webhook", tag = "agents",
    params(
        ("name" = String, Path, description = "The agent's name"),
        ("X-Signature-256" = Option<String>, Header, description = "`sha256=` and the signature in hexadecimal digits"),
        ("X-Delivery" = Option<String>, Header, description = "The delivery's id, a UUID"),
        ("X-Event" = Option<String>, Header, description = "What is delivered"),
    ),
    request_body(content = Object, content_type = "application/json", description = "At most 1 MiB; anything that is no JSON becomes text"),
    responses(
        (status = 202, description = "It started a run, or is of a kind that the agent does not ask for", body = Delivered),
        (status = 200, description = "It is a `ping`, or was delivered before", body = Delivered),
        (status = 400, description = "`invalid_delivery`", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "`bad_signature`", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "`no_webhook`", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "`agent_disabled`, `agent_quarantined`", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "`queue_full`, `stopping`", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn deliver_webhook(
    State(plane): Plane,
    Name(name): Name,
    _: Params<NoQuery>,
    headers: HeaderMap,
    RawBody(body): RawBody,
) -> Answer<(StatusCode, Json<Delivered>)> {
    // Whether there is such an agent at all is told to nobody without a signature.
    let Some(webhook) = plane.webhook(&name) else {
        return Err(ApiError::new(
            StatusCode::NOT_FOUND,
            "no_webhook",
            "no agent of this name takes deliveries; give it `webhook = { secret = \"${NAME}\" }` in `plugins.toml`",
        ));
    };
    let mut secrets = std::iter::once(&webhook.config.secret).chain(&webhook.further_secrets);
    if !secrets.any(|secret| is_signed(&headers, &body, secret.expose().as_bytes())) {
        return Err(ApiError::new(
            StatusCode::UNAUTHORIZED,
            "bad_signature",
            "the signature is missing or is not that of these bytes under the agent's secret; send `X-Signature-256: sha256=<HMAC with SHA-256 of the raw body, in hexadecimal digits>`",
        )
        .with_header(
            http::header::WWW_AUTHENTICATE,
            http::HeaderValue::from_static("Signature"),
        ));
    }
    let event = header(&headers, &EVENTS).map(str::to_owned);
    if event
        .as_ref()
        .is_some_and(|event| event.chars().count() > EVENT_MAX)
    {
        return Err(invalid("`X-Event` is too long"));
    }
    let delivery = header(&headers, &DELIVERIES)
        .and_then(|id| Uuid::parse_str(id).ok())
        .ok_or_else(|| invalid("`X-Delivery` is missing or is no UUID"))?;
    let mut delivered = Delivered {
        delivery,
        duplicate: false,
        ignored: false,
        run: None,
    };
    let asked = &webhook.config.events;
    let wanted = asked.is_empty() || event.as_ref().is_some_and(|event| asked.contains(event));
    if event.as_deref() == Some(PING) && !asked.iter().any(|asked| asked == PING) {
        delivered.ignored = true;
        return Ok((StatusCode::OK, Json(delivered)));
    }
    if !wanted {
        delivered.ignored = true;
        return Ok((StatusCode::ACCEPTED, Json(delivered)));
    }
    if webhook.quarantined {
        return Err(ApiError::new(
            StatusCode::CONFLICT,
            "agent_quarantined",
            "the agent crashed too often and takes nothing until a person resumes it",
        ));
    }
    let body = match json::parse(&body) {
        _ if body.is_empty() => Value::Null,
        Ok(value) if json_depth(&value) <= DEPTH_MAX => value,
        _ => Value::String(String::from_utf8_lossy(&body).into_owned()),
    };
    let request = StartRun {
        agent: name.clone(),
        input: json!({ "delivery": delivery, "event": event, "body": body }),
        principal: Principal {
            kind: "webhook".into(),
            name,
        },
        trigger: Trigger::Webhook,
        idempotency_key: Some(format!("webhook/{delivery}")),
        dry_run: false,
    };
    match plane.start_run(request).await {
        Ok(run) => {
            delivered.run = Some(run.id);
            Ok((StatusCode::ACCEPTED, Json(delivered)))
        }
        Err(StartError::Duplicate(run)) => {
            delivered.run = Some(run);
            delivered.duplicate = true;
            Ok((StatusCode::OK, Json(delivered)))
        }
        Err(error) => Err(error.into()),
    }
}

fn invalid(detail: &str) -> ApiError {
    ApiError::new(StatusCode::BAD_REQUEST, "invalid_delivery", detail)
}

/// Whether one of the headers has the right signature.
pub(crate) fn is_signed(headers: &HeaderMap, body: &[u8], secret: &[u8]) -> bool {
    let Some(given) = header(headers, &SIGNATURES).and_then(|value| value.strip_prefix("sha256="))
    else {
        return false;
    };
    let mut tag = [0; 32];
    hex::decode_to_slice(given, &mut tag).is_ok()
        && hmac::verify(&hmac::Key::new(hmac::HMAC_SHA256, secret), body, &tag).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn only_the_right_signature_over_the_raw_bytes_counts() {
        let secret = b"a secret that nobody knows";
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
        let body = br#"{"a": 1}"#;
        let tag: String = hmac::sign(&key, body)
            .as_ref()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let check = |name: &'static str, value: &str, body: &[u8]| {
            let mut headers = HeaderMap::new();
            headers.insert(name, HeaderValue::from_str(value).unwrap());
            is_signed(&headers, body, secret)
        };
        assert!(check("x-signature-256", &format!("sha256={tag}"), body));
        assert!(check(
            "x-hub-signature-256",
            &format!("sha256={}", tag.to_uppercase()),
            body
        ));
        assert!(!check(
            "x-signature-256",
            &format!("sha256={tag}"),
            br#"{"a":1}"#
        ));
        assert!(!check(
            "x-hub-signature",
            &format!("sha1={}", &tag[..40]),
            body
        ));
        for wrong in [
            String::new(),
            tag.clone(),
            "sha256=".into(),
            format!("sha256={}", &tag[..62]),
            format!("sha256={tag}00"),
            format!("sha256={}zz", &tag[..62]),
        ] {
            assert!(!check("x-signature-256", &wrong, body), "{wrong}");
        }
    }
}
