//! `/v1/alerts`: what the host's own rules came to, and what keeps them from being told.

use super::access::By;
use super::error::{ApiError, InputError, Problem};
use super::json::{Json, JsonBody};
use super::params::{FromQuery, NoQuery, Only, Params, Values};
use super::{Answer, Plane};
use crate::alerts::rules::{RULES, Rule, rule};
use crate::alerts::{Alert, REASON_MAX, SILENCE_MAX, Silence};
use crate::model::now;
use crate::store::{AlertFilter, AlertsAsked, PageRequest};
use crate::words::nearest;
use axum::extract::State;
use http::StatusCode;
use jiff::SignedDuration;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// The states that can be asked for.
const STATES: [&str; 4] = ["pending", "firing", "silenced", "past"];

/// Which alerts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum AlertStates {
    /// Their rules hold, and not for long enough yet.
    Pending,
    /// They fire, and people were told.
    Firing,
    /// They fire, and nobody is told.
    Silenced,
    /// They are over; kept for 90 days.
    Past,
}

/// An alert, with what silences it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AlertView {
    #[serde(flatten)]
    /// The alert.
    pub alert: Alert,
    /// What keeps it from being told now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub silence: Option<Silence>,
}

/// A part of the alerts, those that fired last first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AlertList {
    /// The alerts.
    pub items: Vec<AlertView>,
    /// What to send as `cursor` for the next part; `null` at the end.
    pub next: Option<String>,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct AlertQuery {
    /// Only alerts in this state; without it all but those that are pending.
    #[param(inline)]
    state: Option<AlertStates>,
    /// How many items, 1 to 500.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 500, default = 50)]
    limit: u32,
    /// `next` of the part before.
    cursor: Option<String>,
}

impl FromQuery for AlertQuery {
    fn from_query(values: &Values) -> Result<Self, ApiError> {
        Ok(Self {
            state: values.word("state", &STATES)?,
            limit: values.limit()?,
            cursor: values.text("cursor"),
        })
    }
}

/// For how long nobody is told, and why.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SilenceRequest {
    /// For how long: 1 second to 30 days, such as `2h` or `90m`.
    #[serde(rename = "for")]
    #[schema(example = "2h")]
    lasts: String,
    /// Why; at most 500 characters.
    #[schema(min_length = 1, max_length = 500)]
    reason: String,
}

fn invalid(pointer: &str, message: impl Into<String>) -> ApiError {
    ApiError::new(
        StatusCode::UNPROCESSABLE_ENTITY,
        "invalid_silence",
        "the request is not as it must be; see `errors`",
    )
    .with_errors(vec![InputError {
        pointer: pointer.into(),
        message: message.into(),
    }])
}

/// The rule in a path.
fn known(name: &str) -> Answer<&'static Rule> {
    rule(name).ok_or_else(|| {
        let name: String = name.chars().take(64).collect();
        let names = RULES.iter().map(|rule| rule.name);
        ApiError::not_found(match nearest(&name, names.clone()) {
            Some(nearest) => format!("there is no rule `{name}`; did you mean `{nearest}`?"),
            None => format!(
                "there is no such rule; the rules are `{}`",
                names.collect::<Vec<_>>().join("`, `")
            ),
        })
    })
}

/// List alerts
///
/// What the host's own rules came to: `pending`, `firing`, `silenced` or `past`. `infinity alerts` shows the same.
#[utoipa::path(
    get, path = "/v1/alerts", operation_id = "list_alerts", tag = "alerts", params(AlertQuery),
    responses(
        (status = 200, description = "The alerts", body = AlertList),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn list_alerts(
    State(plane): Plane,
    Params(query): Params<AlertQuery>,
) -> Answer<Json<AlertList>> {
    let asked = match query.state {
        Some(AlertStates::Pending) => {
            // There are as many as there are rules at most.
            let items = plane.pending_alerts();
            let view = |alert| AlertView {
                alert,
                silence: None,
            };
            return Ok(Json(AlertList {
                items: items.into_iter().map(view).collect(),
                next: None,
            }));
        }
        Some(AlertStates::Firing) => Some(AlertsAsked::Firing),
        Some(AlertStates::Silenced) => Some(AlertsAsked::Silenced),
        Some(AlertStates::Past) => Some(AlertsAsked::Past),
        None => None,
    };
    let store = plane.store();
    let silences = store.silences(now()).await?;
    let filter = AlertFilter {
        state: asked,
        now: now(),
    };
    let page = PageRequest {
        limit: query.limit,
        cursor: query.cursor,
    };
    let page = store.alerts(filter, page).await?;
    let view = |alert: Alert| AlertView {
        silence: silences
            .iter()
            .find(|silence| silence.rule == alert.rule && alert.resolved_at.is_none())
            .cloned(),
        alert,
    };
    Ok(Json(AlertList {
        items: page.items.into_iter().map(view).collect(),
        next: page.next,
    }))
}

/// Silence a rule
///
/// Its alerts are recorded as before and nobody is told of them, until the time is over; in place of an earlier silence of the rule. One that still fires then is told.
#[utoipa::path(
    post, path = "/v1/alerts/{rule}/silences", operation_id = "silence_alert", tag = "alerts",
    params(("rule" = String, Path, description = "The rule, for instance `disk_high`")),
    request_body(content = SilenceRequest),
    responses(
        (status = 200, description = "It is silenced", body = Silence),
        (status = 422, description = "`invalid_silence`", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn silence_alert(
    State(plane): Plane,
    By(by): By,
    Only(name): Only,
    _: Params<NoQuery>,
    JsonBody(body): JsonBody,
) -> Answer<Json<Silence>> {
    let rule = known(&name)?;
    let request: SilenceRequest =
        serde_json::from_value(body).map_err(|error| invalid("", error.to_string()))?;
    let lasts = request
        .lasts
        .parse::<SignedDuration>()
        .ok()
        .filter(|lasts| (SignedDuration::from_secs(1)..=SILENCE_MAX).contains(lasts))
        .ok_or_else(|| {
            invalid(
                "/for",
                "is no length of time from 1 second to 30 days, such as `2h`",
            )
        })?;
    let length = request.reason.chars().count();
    if request.reason.trim().is_empty() || length > REASON_MAX {
        return Err(invalid("/reason", "is not a text of 1 to 500 characters"));
    }
    let created_at = now();
    let silence = Silence {
        rule: rule.name.into(),
        until: created_at.checked_add(lasts).unwrap_or(created_at),
        reason: request.reason,
        by: by.principal,
        created_at,
    };
    let event = silence.announced();
    plane.store().put_silence(silence.clone(), event).await?;
    tracing::info!(
        "`{}` is silenced until {} by {} `{}`",
        silence.rule,
        silence.until,
        silence.by.kind,
        silence.by.name
    );
    Ok(Json(silence))
}

/// End a silence
#[utoipa::path(
    delete, path = "/v1/alerts/{rule}/silences", operation_id = "unsilence_alert", tag = "alerts",
    params(("rule" = String, Path, description = "The rule")),
    responses(
        (status = 204, description = "Its alerts are told again"),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn unsilence_alert(
    State(plane): Plane,
    By(by): By,
    Only(name): Only,
    _: Params<NoQuery>,
) -> Answer<StatusCode> {
    let rule = known(&name)?;
    let event = Silence::ended(rule.name, &by.principal);
    if plane.store().end_silence(rule.name, now(), event).await? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(ApiError::not_found(
            "this rule is not silenced; `GET /v1/alerts?state=silenced` lists what is",
        ))
    }
}
