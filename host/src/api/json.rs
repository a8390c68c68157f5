//! Turns a request's body into a JSON value, or says what is wrong with it and where; and a value into an answer.
//!
//! Reading is stricter than usual, because a value that two parsers read differently can pass a check and then mean something else: no duplicate keys, no byte
//! order mark, nothing after the value, at most 128 levels.

use super::error::ApiError;
use axum::extract::{FromRequest, Request};
use axum::response::{IntoResponse, Response};
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use http_body::Body as _;
use http_body_util::BodyExt;
use serde::Serialize;
use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use std::fmt;
use std::time::Duration;
use tokio::time::Instant;

/// The largest body: 1 MiB. An input is parameters, not material; material comes from granted repositories and directories.
pub(super) const BODY_MAX_BYTES: usize = 1024 * 1024;

/// How long a body may take beyond its due, so that one late packet is no reason to refuse.
const BODY_GRACE: Duration = Duration::from_secs(10);

/// The slowest body, in bytes per second: anything slower is no client but someone who wants to hold a connection.
const BODY_MIN_BYTES_PER_SECOND: u64 = 1024;

/// An answer in JSON. Unlike axum's it is written into one piece that is large enough from the start for most, and a value that cannot be written is a problem like any other.
pub(crate) struct Json<T>(pub(crate) T);

/// Room for what most answers have, in bytes.
const ANSWER_BYTES: usize = 8 * 1024;

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        let mut body = Vec::with_capacity(ANSWER_BYTES);
        match serde_json::to_writer(&mut body, &self.0) {
            Ok(()) => (
                [(
                    header::CONTENT_TYPE,
                    HeaderValue::from_static("application/json"),
                )],
                body,
            )
                .into_response(),
            Err(error) => {
                ApiError::internal(format!("an answer is no JSON: {error}")).into_response()
            }
        }
    }
}

/// The JSON body of a request; an empty body is `null`.
pub(crate) struct JsonBody(pub(crate) Value);

impl<S: Send + Sync> FromRequest<S> for JsonBody {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        let (parts, body) = request.into_parts();
        value(&parts.headers, body, BODY_MAX_BYTES).await.map(Self)
    }
}

async fn value(
    headers: &HeaderMap,
    body: axum::body::Body,
    most: usize,
) -> Result<Value, ApiError> {
    let bytes = read(headers, body, most).await?;
    if bytes.is_empty() {
        return Ok(Value::Null);
    }
    check_type(headers)?;
    parse(&bytes)
}

/// The largest body of what was exported before: a report may be of 8 MiB by default, and its run comes whole.
const LARGE_BODY_MAX_BYTES: usize = 16 * 1024 * 1024;

/// As [`JsonBody`], for records that the host itself wrote.
pub(crate) struct LargeJsonBody(pub(crate) Value);

impl<S: Send + Sync> FromRequest<S> for LargeJsonBody {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        let (parts, body) = request.into_parts();
        value(&parts.headers, body, LARGE_BODY_MAX_BYTES)
            .await
            .map(Self)
    }
}

/// The body of a request as it came.
pub(crate) struct RawBody(pub(crate) Bytes);

impl<S: Send + Sync> FromRequest<S> for RawBody {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        let (parts, body) = request.into_parts();
        read(&parts.headers, body, BODY_MAX_BYTES).await.map(Self)
    }
}

/// The largest body that GitHub sends, with room for what it counts differently.
const VAST_BODY_MAX_BYTES: usize = 26 * 1024 * 1024;

/// Such bodies that are held at once: each is read whole before anybody knows who sends it.
static VAST_BODIES: tokio::sync::Semaphore = tokio::sync::Semaphore::const_new(4);

/// As [`RawBody`], for GitHub's deliveries.
pub(crate) struct VastBody(pub(crate) Bytes);

impl<S: Send + Sync> FromRequest<S> for VastBody {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        let _place = VAST_BODIES.acquire().await;
        let (parts, body) = request.into_parts();
        read(&parts.headers, body, VAST_BODY_MAX_BYTES)
            .await
            .map(Self)
    }
}

fn check_type(headers: &HeaderMap) -> Result<(), ApiError> {
    if let Some(encoding) = headers.get(header::CONTENT_ENCODING)
        && encoding != "identity"
    {
        return Err(unsupported(
            "the body is compressed; send it without `Content-Encoding`",
        ));
    }
    let essence = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .map(|value| value.trim().to_ascii_lowercase())
        .unwrap_or_default();
    if essence == "application/json"
        || (essence.starts_with("application/") && essence.ends_with("+json"))
    {
        Ok(())
    } else {
        Err(unsupported(
            "the body must be JSON; send it with `Content-Type: application/json`",
        ))
    }
}

fn unsupported(detail: &str) -> ApiError {
    ApiError::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "unsupported_media_type",
        detail,
    )
    .with_header(header::ACCEPT, HeaderValue::from_static("application/json"))
}

/// How long a sender of a body that is too large may go on, so that the answer is read before the connection ends: one that still writes when it is closed sees only that.
const DISCARD_TIME: Duration = Duration::from_secs(5);

/// A sender that is silent for this long has heard, or never meant to send.
const DISCARD_SILENCE: Duration = Duration::from_secs(1);

/// As much of such a body as is read and thrown away, in bytes: what a fast sender has under way.
const DISCARD_MAX_BYTES: usize = 64 * 1024 * 1024;

/// Refuses a body; as many at once as there are connections. Throws away what still comes of it for a while.
fn too_large(mut rest: axum::body::Body, most: usize) -> ApiError {
    tokio::spawn(tokio::time::timeout(DISCARD_TIME, async move {
        let mut discarded = 0;
        while discarded < DISCARD_MAX_BYTES
            && let Ok(Some(Ok(frame))) = tokio::time::timeout(DISCARD_SILENCE, rest.frame()).await
        {
            discarded += frame.data_ref().map_or(0, Bytes::len);
        }
    }));
    ApiError::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        "body_too_large",
        format!("the body is over the limit of {most} bytes"),
    )
    .with_header(header::CONNECTION, HeaderValue::from_static("close"))
}

/// Reads a body of `most` bytes at most and no slower than [`BODY_MIN_BYTES_PER_SECOND`].
async fn read(
    headers: &HeaderMap,
    mut body: axum::body::Body,
    most: usize,
) -> Result<Bytes, ApiError> {
    let declared = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.parse::<u64>().ok());
    if declared.is_some_and(|length| length > most as u64) {
        return Err(too_large(body, most));
    }
    let start = Instant::now();
    let mut bytes = BytesMut::new();
    while !body.is_end_stream() {
        let frame = tokio::time::timeout_at(start + time_for(bytes.len()), body.frame())
            .await
            .map_err(|_| {
                ApiError::new(
                    StatusCode::REQUEST_TIMEOUT,
                    "request_timeout",
                    format!(
                        "the body came slower than {BODY_MIN_BYTES_PER_SECOND} bytes per second"
                    ),
                )
                .with_header(header::CONNECTION, HeaderValue::from_static("close"))
            })?;
        let Some(frame) = frame else { break };
        let frame = frame.map_err(|_| {
            ApiError::new(
                StatusCode::BAD_REQUEST,
                "invalid_body",
                "the body is not framed as its headers say",
            )
            .with_header(header::CONNECTION, HeaderValue::from_static("close"))
        })?;
        if let Ok(data) = frame.into_data() {
            if bytes.len() + data.len() > most {
                return Err(too_large(body, most));
            }
            bytes.extend_from_slice(&data);
        }
    }
    Ok(bytes.freeze())
}

/// How long a body may take when so many bytes of it have come.
fn time_for(received: usize) -> Duration {
    BODY_GRACE + Duration::from_millis(received as u64 * 1000 / BODY_MIN_BYTES_PER_SECOND)
}

/// Parses one JSON value.
///
/// # Errors
/// `invalid_json` with line and column.
pub(crate) fn parse(bytes: &[u8]) -> Result<Value, ApiError> {
    if bytes.starts_with(b"\xEF\xBB\xBF") {
        return Err(invalid(
            "the body starts with a byte order mark at line 1 column 1; send it without",
        ));
    }
    serde_json::from_slice::<Strict>(bytes)
        .map(|strict| strict.0)
        .map_err(|error| invalid(format!("the body is no valid JSON: {error}")))
}

fn invalid(detail: impl Into<String>) -> ApiError {
    ApiError::new(StatusCode::BAD_REQUEST, "invalid_json", detail)
}

/// A JSON value whose objects have no key twice.
struct Strict(Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StrictVisitor).map(Self)
    }
}

struct StrictVisitor;

impl<'de> Visitor<'de> for StrictVisitor {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value)
            .map(Value::Number)
            .ok_or_else(|| E::custom("number out of range"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(Strict(item)) = access.next_element()? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut entries = Map::new();
        while let Some(key) = access.next_key::<String>()? {
            if entries.contains_key(&key) {
                return Err(de::Error::custom(format_args!("duplicate key `{key}`")));
            }
            let Strict(value) = access.next_value()?;
            entries.insert(key, value);
        }
        Ok(Value::Object(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn detail(input: &[u8]) -> String {
        let error = parse(input).expect_err("the input is invalid");
        assert_eq!(error.code(), "invalid_json");
        error.problem("id").detail.unwrap_or_default()
    }

    #[test]
    fn names_line_and_column_of_what_is_wrong() {
        assert!(detail(b"{\n  \"a\": }").ends_with("at line 2 column 8"));
        assert!(detail(b"{} x").contains("trailing characters at line 1 column 4"));
        assert!(detail(b"\xEF\xBB\xBF{}").contains("byte order mark"));
        assert!(detail(b"\xff").contains("line 1 column"));
        assert!(detail("[".repeat(200).as_bytes()).contains("recursion limit exceeded"));
        assert!(detail(b"1e999").contains("out of range"));
    }

    #[test]
    fn refuses_a_key_that_comes_twice_at_any_depth() {
        let detail = detail(b"[{\"a\": {\"b\": 1,\n \"b\": 2}}]");
        assert!(detail.contains("duplicate key `b` at line 2"), "{detail}");
        let detail = super::tests::detail(b"{\"a\":1,\"\\u0061\":2}");
        assert!(detail.contains("duplicate key `a`"), "{detail}");
    }

    #[test]
    fn a_body_earns_its_time_with_its_bytes() {
        assert_eq!(time_for(0), BODY_GRACE);
        assert_eq!(time_for(10 * 1024), BODY_GRACE + Duration::from_secs(10));
    }

    #[test]
    fn keeps_what_is_valid() {
        let text = br#"{"a":[1,-2,3.5,true,null,"x"],"b":{"c":18446744073709551615}}"#;
        let value = parse(text).expect("valid");
        assert_eq!(value.to_string().as_bytes(), text);
    }
}
