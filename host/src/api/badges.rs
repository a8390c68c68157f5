//! `/badges` and `/badge.svg`: states as images, and as endpoints for shields.io.
//!
//! A badge is fetched by caches that ignore how fresh it should be, so it is marked `no-store` and carries an `ETag` of its bytes.

use super::error::{ApiError, Problem};
use super::params::{FromQuery, Name, Params, Values};
use super::views::{Badge, BadgeEndpoint, BadgeStyle, BadgeSubject};
use super::{Answer, ControlPlane, Plane};
use aws_lc_rs::digest::{SHA256, digest};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use std::sync::Arc;
use utoipa::IntoParams;

/// The longest label, in characters, as the contract states it.
const LABEL_MAX: usize = 100;

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct BadgeQuery {
    /// How it looks.
    #[param(value_type = Option<BadgeStyle>, inline)]
    style: BadgeStyle,
    /// The left text instead of the agent's name, at most 100 characters.
    label: Option<String>,
}

impl FromQuery for BadgeQuery {
    fn from_query(values: &Values) -> Result<Self, ApiError> {
        let label = values.text("label");
        if label
            .as_ref()
            .is_some_and(|label| label.chars().count() > LABEL_MAX)
        {
            return Err(ApiError::invalid_parameter(format!(
                "`label` has at most {LABEL_MAX} characters"
            )));
        }
        Ok(Self {
            style: values
                .word("style", &BadgeStyle::NAMES.map(|(name, _)| name))?
                .unwrap_or_default(),
            label,
        })
    }
}

#[derive(Clone, Copy)]
enum Form {
    Svg,
    Json,
}

/// Get an agent's badge
///
/// `{name}` is the agent's name with `.svg` for the image or `.json` for an endpoint of shields.io.
#[utoipa::path(
    get, path = "/badges/{name}", operation_id = "get_agent_badge", tag = "badges",
    params(("name" = String, Path, description = "`<agent>.svg` or `<agent>.json`"), BadgeQuery),
    responses(
        (status = 200, description = "The badge", content((String = "image/svg+xml"), (BadgeEndpoint = "application/json"))),
        (status = 304, description = "The badge is the one that `If-None-Match` names"),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn get_agent_badge(
    State(plane): Plane,
    Name(file): Name,
    Params(query): Params<BadgeQuery>,
    headers: HeaderMap,
) -> Answer<Response> {
    let (agent, form) = if let Some(agent) = file.strip_suffix(".svg") {
        (agent, Form::Svg)
    } else if let Some(agent) = file.strip_suffix(".json") {
        (agent, Form::Json)
    } else {
        return Err(ApiError::not_found(
            "a badge's name ends with `.svg` or `.json`",
        ));
    };
    let subject = BadgeSubject::Agent(agent.to_owned());
    answer(&plane, subject, query, form, &headers).await
}

/// Get the host's badge
#[utoipa::path(
    get, path = "/badges/system.svg", operation_id = "get_system_badge", tag = "badges",
    params(BadgeQuery),
    responses(
        (status = 200, description = "The badge", body = String, content_type = "image/svg+xml"),
        (status = 304, description = "The badge is the one that `If-None-Match` names"),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn get_system_svg(
    State(plane): Plane,
    Params(query): Params<BadgeQuery>,
    headers: HeaderMap,
) -> Answer<Response> {
    answer(&plane, BadgeSubject::System, query, Form::Svg, &headers).await
}

/// Get the host's badge for shields.io
#[utoipa::path(
    get, path = "/badges/system.json", operation_id = "get_system_badge_endpoint", tag = "badges",
    params(BadgeQuery),
    responses(
        (status = 200, description = "The badge", body = BadgeEndpoint),
        (status = 304, description = "The badge is the one that `If-None-Match` names"),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn get_system_json(
    State(plane): Plane,
    Params(query): Params<BadgeQuery>,
    headers: HeaderMap,
) -> Answer<Response> {
    answer(&plane, BadgeSubject::System, query, Form::Json, &headers).await
}

/// Get the host's badge at its short address
#[utoipa::path(
    get, path = "/badge.svg", operation_id = "get_badge", tag = "badges",
    params(BadgeQuery),
    responses(
        (status = 200, description = "The badge", body = String, content_type = "image/svg+xml"),
        (status = 304, description = "The badge is the one that `If-None-Match` names"),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn get_badge(
    State(plane): Plane,
    Params(query): Params<BadgeQuery>,
    headers: HeaderMap,
) -> Answer<Response> {
    answer(&plane, BadgeSubject::System, query, Form::Svg, &headers).await
}

async fn answer(
    plane: &Arc<dyn ControlPlane>,
    subject: BadgeSubject,
    query: BadgeQuery,
    form: Form,
    headers: &HeaderMap,
) -> Answer<Response> {
    let badge = plane.badge(subject, query.style, query.label).await?;
    let (media_type, body, tag) = match form {
        Form::Svg => ("image/svg+xml", badge.svg, badge.tag),
        Form::Json => {
            let body = endpoint(badge)?;
            let tag = tag(&body);
            ("application/json", body.into(), tag)
        }
    };
    let known = headers
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .any(|known| known == "*" || tag == known.strip_prefix("W/").unwrap_or(known));
    let mut response = if known {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let mut response = body.into_response();
        response
            .headers_mut()
            .insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
        response
    };
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::ETAG, tag);
    // A badge is an image; opened as a page it may not load or run anything.
    headers.insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'; img-src data:"),
    );
    Ok(response)
}

fn endpoint(badge: Badge) -> Answer<Vec<u8>> {
    serde_json::to_vec(&BadgeEndpoint {
        schema_version: 1,
        label: badge.label,
        message: badge.message,
        color: badge.color,
    })
    .map_err(|error| ApiError::internal(format!("a badge is no JSON: {error}")))
}

impl Badge {
    /// The badge with this image.
    #[must_use]
    pub fn new(svg: String, label: String, message: String, color: String) -> Self {
        Self {
            tag: tag(svg.as_bytes()),
            svg: svg.into(),
            label,
            message,
            color,
        }
    }
}

/// The entity tag of a body.
fn tag(body: &[u8]) -> HeaderValue {
    let digest = hex::encode(digest(&SHA256, body));
    // Digits and letters within quotes are always a header's value.
    HeaderValue::try_from(format!("\"{digest}\"")).unwrap_or(HeaderValue::from_static("\"\""))
}
