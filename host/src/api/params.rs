//! Turns a request's path and query into checked values.
//!
//! What a route takes is declared once, as a struct with `IntoParams`: the OpenAPI document and the check for unknown names read the same list.
//! A parameter that nobody knows is an error, since a filter that is silently ignored answers another question than the one asked.

use super::error::{ApiError, no_such_run};
use crate::words::nearest;
use axum::extract::{FromRequestParts, Path, Query};
use http::StatusCode;
use http::request::Parts;
use jiff::{SignedDuration, Timestamp};
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::time::Duration;
use utoipa::IntoParams;
use uuid::Uuid;

/// How many items a list gives when it is not asked for a number.
pub const LIMIT_DEFAULT: u32 = 50;

/// The most items in one answer: what a person or a program can take in one go, and some hundred kilobytes at most in practice.
pub const LIMIT_MAX: u32 = 500;

/// The longest `?wait`: as long as the longest run may take.
pub const WAIT_MAX: Duration = Duration::from_secs(600);

/// The query of a route.
pub(crate) trait FromQuery: IntoParams + Sized {
    /// Reads the values; names were checked before.
    fn from_query(values: &Values) -> Result<Self, ApiError>;
}

/// Extracts a [`FromQuery`].
pub(crate) struct Params<T>(pub(crate) T);

impl<T: FromQuery, S: Send + Sync> FromRequestParts<S> for Params<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let known: Vec<String> = T::into_params(|| None)
            .into_iter()
            .map(|parameter| parameter.name)
            .collect();
        let Query(pairs) = Query::<Vec<(String, String)>>::try_from_uri(&parts.uri)
            .map_err(|_| ApiError::invalid_parameter("the query is not `name=value&…`"))?;
        let mut values = BTreeMap::new();
        for (name, value) in pairs {
            if !known.contains(&name) {
                return Err(unknown(&name, &known));
            }
            if values.insert(name.clone(), value).is_some() {
                return Err(ApiError::invalid_parameter(format!(
                    "`{name}` is given more than once"
                )));
            }
        }
        T::from_query(&Values(values)).map(Self)
    }
}

fn unknown(name: &str, known: &[String]) -> ApiError {
    let name: String = name.chars().take(64).collect();
    let detail = match nearest(&name, known.iter().map(String::as_str)) {
        Some(nearest) => format!("unknown parameter `{name}`; did you mean `{nearest}`?"),
        None if known.is_empty() => {
            format!("unknown parameter `{name}`; this route takes none")
        }
        None => format!(
            "unknown parameter `{name}`; this route takes `{}`",
            known.join("`, `")
        ),
    };
    ApiError::new(
        StatusCode::UNPROCESSABLE_ENTITY,
        "unknown_parameter",
        detail,
    )
}

/// The values of a query by name, each at most once.
pub(crate) struct Values(BTreeMap<String, String>);

impl Values {
    /// A value that is given and not empty.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        self.0.get(name).filter(|value| !value.is_empty()).cloned()
    }

    /// Whether a flag is given: alone, or as `true` or `1`.
    pub(crate) fn flag(&self, name: &str) -> Result<bool, ApiError> {
        match self.0.get(name).map(String::as_str) {
            None | Some("false" | "0") => Ok(false),
            Some("" | "true" | "1") => Ok(true),
            Some(_) => Err(ApiError::invalid_parameter(format!(
                "`{name}` is `true` or `false`"
            ))),
        }
    }

    /// `limit`, from 1 to [`LIMIT_MAX`].
    pub(crate) fn limit(&self) -> Result<u32, ApiError> {
        match self.0.get("limit") {
            None => Ok(LIMIT_DEFAULT),
            Some(value) => value
                .parse()
                .ok()
                .filter(|limit| (1..=LIMIT_MAX).contains(limit))
                .ok_or_else(|| {
                    ApiError::invalid_parameter(format!(
                        "`limit` is a number from 1 to {LIMIT_MAX}"
                    ))
                }),
        }
    }

    /// A whole number from 0.
    pub(crate) fn number(&self, name: &str) -> Result<Option<u64>, ApiError> {
        self.0
            .get(name)
            .map(|value| {
                value.parse().map_err(|_| {
                    ApiError::invalid_parameter(format!("`{name}` is a whole number from 0"))
                })
            })
            .transpose()
    }

    /// One of a closed set of words, as the type's own JSON spells them; `words` says which there are.
    pub(crate) fn word<T: DeserializeOwned>(
        &self,
        name: &str,
        words: &[&str],
    ) -> Result<Option<T>, ApiError> {
        self.text(name)
            .map(|value| {
                serde_json::from_value(serde_json::Value::String(value)).map_err(|_| {
                    ApiError::invalid_parameter(format!(
                        "`{name}` is one of `{}`",
                        words.join("`, `")
                    ))
                })
            })
            .transpose()
    }

    /// A moment in RFC 3339.
    pub(crate) fn timestamp(&self, name: &str) -> Result<Option<Timestamp>, ApiError> {
        self.text(name)
            .map(|value| {
                value.parse().map_err(|_| {
                    ApiError::invalid_parameter(format!(
                        "`{name}` is a moment in RFC 3339, such as `2026-01-31T12:00:00Z`"
                    ))
                })
            })
            .transpose()
    }

    /// A length of time up to [`WAIT_MAX`], such as `30s` or `2m`.
    pub(crate) fn wait(&self, name: &str) -> Result<Option<Duration>, ApiError> {
        self.text(name)
            .map(|value| {
                value
                    .parse::<SignedDuration>()
                    .ok()
                    .and_then(|duration| Duration::try_from(duration).ok())
                    .filter(|duration| *duration <= WAIT_MAX)
                    .ok_or_else(|| {
                        ApiError::invalid_parameter(format!(
                            "`{name}` is a length of time from `0s` to `10m`, such as `30s`"
                        ))
                    })
            })
            .transpose()
    }
}

/// No query at all.
#[derive(IntoParams)]
pub(crate) struct NoQuery {}

impl FromQuery for NoQuery {
    fn from_query(_: &Values) -> Result<Self, ApiError> {
        Ok(Self {})
    }
}

/// `limit` and `cursor`.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct PageQuery {
    /// How many items, 1 to 500.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 500, default = 50)]
    pub(crate) limit: u32,
    /// `next` of the part before.
    pub(crate) cursor: Option<String>,
}

impl FromQuery for PageQuery {
    fn from_query(values: &Values) -> Result<Self, ApiError> {
        Ok(Self {
            limit: values.limit()?,
            cursor: values.text("cursor"),
        })
    }
}

/// A run's id from the path. What is no id is not found.
pub(crate) struct RunId(pub(crate) Uuid);

impl<S: Send + Sync> FromRequestParts<S> for RunId {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let Path(path) = Path::<BTreeMap<String, String>>::from_request_parts(parts, state)
            .await
            .map_err(|_| no_such_run())?;
        path.get("id")
            .and_then(|id| parse_id(id))
            .map(Self)
            .ok_or_else(no_such_run)
    }
}

/// How long an answer may wait for an end.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct WaitQuery {
    /// Answer when it has ended, or after this time (`0s` to `10m`) as it is then.
    #[param(value_type = Option<String>, example = "1s")]
    pub(crate) wait: Option<Duration>,
}

impl FromQuery for WaitQuery {
    fn from_query(values: &Values) -> Result<Self, ApiError> {
        Ok(Self {
            wait: values.wait("wait")?,
        })
    }
}

/// An id as the API writes it: 36 characters in lower case, so that every run has one address.
pub(crate) fn parse_id(text: &str) -> Option<Uuid> {
    Uuid::parse_str(text)
        .ok()
        .filter(|id| id.as_hyphenated().to_string() == text)
}

/// A name from the path.
pub(crate) struct Name(pub(crate) String);

impl<S: Send + Sync> FromRequestParts<S> for Name {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let missing = || ApiError::not_found("nothing has this name");
        let Path(mut path) = Path::<BTreeMap<String, String>>::from_request_parts(parts, state)
            .await
            .map_err(|_| missing())?;
        path.remove("name").map(Self).ok_or_else(missing)
    }
}

/// The one part of the path that is not fixed.
pub(crate) struct Only(pub(crate) String);

impl<S: Send + Sync> FromRequestParts<S> for Only {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let missing = || ApiError::not_found("there is nothing of this name");
        let Path(path) = Path::<BTreeMap<String, String>>::from_request_parts(parts, state)
            .await
            .map_err(|_| missing())?;
        path.into_values().next().map(Self).ok_or_else(missing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_lengths_of_time_within_ten_minutes() {
        let wait = |text: &str| {
            Values(BTreeMap::from([("wait".to_owned(), text.to_owned())])).wait("wait")
        };
        assert_eq!(wait("30s").ok().flatten(), Some(Duration::from_secs(30)));
        assert_eq!(wait("1m30s").ok().flatten(), Some(Duration::from_secs(90)));
        assert_eq!(wait("10m").ok().flatten(), Some(WAIT_MAX));
        for bad in ["601s", "-1s", "30", "soon", "1h"] {
            assert!(wait(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_id_has_one_spelling() {
        let id = "01890000-0000-7000-8000-00000000000a";
        assert!(parse_id(id).is_some());
        for bad in ["", "null", "💥", &id.to_uppercase(), &id.replace('-', "")] {
            assert!(parse_id(bad).is_none(), "{bad}");
        }
    }
}
