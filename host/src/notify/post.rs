//! Services that are told by a POST: Discord, Slack, any address, PagerDuty.

use super::{Message, TellError};
use crate::config::Secret;
use crate::model::Level;
use aws_lc_rs::hmac;
use reqwest::{Client, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};
use std::time::Duration;

/// Bytes of an answer that are read for a reason.
const ANSWER_MAX: usize = 2_000;

/// The longest that a service may ask to be left alone.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(3600);

fn cut(text: &str, characters: usize) -> String {
    if text.chars().count() <= characters {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(characters - 1).collect();
    short.push('…');
    short
}

/// Sends a request and tells apart what can be tried again.
async fn sent(request: RequestBuilder) -> Result<Response, TellError> {
    // The address holds the secret, so no error may show it.
    let answer = request.send().await.map_err(|error| {
        let error = error.without_url();
        if error.is_connect() || error.is_builder() {
            TellError::Later(format!("it cannot be reached: {error}"), None)
        } else {
            TellError::Unanswered(format!("it did not answer: {error}"))
        }
    })?;
    let status = answer.status();
    if status.is_success() {
        return Ok(answer);
    }
    let wait = answer
        .headers()
        .get("retry-after")
        .and_then(|value| value.to_str().ok()?.parse::<f64>().ok())
        .and_then(|seconds| Duration::try_from_secs_f64(seconds.max(0.0)).ok())
        .map(|wait| wait.min(RETRY_AFTER_MAX));
    let text = answer.text().await.unwrap_or_default();
    let said = cut(text.trim(), ANSWER_MAX).escape_debug().to_string();
    let message = format!("it answered {}: {said}", status.as_u16());
    if status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error() {
        Err(TellError::Later(message, wait))
    } else if matches!(status.as_u16(), 401 | 403 | 404 | 410) {
        Err(TellError::Closed(message))
    } else {
        Err(TellError::Refused(message))
    }
}

/// An embed, as Discord limits them.
fn embed(message: &Message) -> Value {
    json!({
        // Whatever the words are, nobody is called by them.
        "allowed_mentions": { "parse": [] },
        "embeds": [{
            "title": cut(&message.title, 256),
            "description": cut(&message.body, 4096),
            "color": message.color(),
            "timestamp": message.at.to_string(),
            "footer": { "text": cut(&format!("Infinity · {} · {}", message.kind, message.source), 2048) },
        }],
    })
}

pub(super) async fn discord(
    http: &Client,
    url: &Secret,
    message: &Message,
) -> Result<(), TellError> {
    sent(http.post(url.expose()).json(&embed(message))).await?;
    Ok(())
}

pub(super) async fn slack(http: &Client, url: &Secret, message: &Message) -> Result<(), TellError> {
    // Slack reads `<…>` and `&` as its own.
    let plain = |text: &str| {
        text.replace('&', "&amp;")
            .replace('<', "&lt;")
            .replace('>', "&gt;")
    };
    let body = json!({
        "text": cut(&plain(&message.title), 3_000),
        "attachments": [{
            "color": format!("#{:06x}", message.color()),
            "title": cut(&plain(&message.title), 300),
            "text": cut(&plain(&message.body), 8_000),
            "footer": format!("Infinity · {}", plain(&message.kind)),
            "ts": message.at.as_second(),
        }],
    });
    sent(http.post(url.expose()).json(&body)).await?;
    Ok(())
}

fn level(level: Level) -> &'static str {
    match level {
        Level::Note => "note",
        Level::Warning => "warning",
        Level::Error => "error",
    }
}

/// A CloudEvent with the message; with a key its body is signed as the scheme of Standard Webhooks does, over id, time and body.
pub(super) async fn webhook(
    http: &Client,
    url: &Secret,
    key: Option<&Secret>,
    message: &Message,
) -> Result<(), TellError> {
    let body = json!({
        "specversion": "1.0", "id": message.id, "source": message.source, "type": message.kind,
        "time": message.at.to_string(), "datacontenttype": "application/json",
        "data": { "level": level(message.level), "title": message.title, "body": message.body },
    })
    .to_string();
    let seconds = message.at.as_second().to_string();
    let mut request = http
        .post(url.expose())
        .header("content-type", "application/cloudevents+json")
        .header("webhook-id", &message.id)
        .header("webhook-timestamp", &seconds);
    if let Some(key) = key {
        let key = hmac::Key::new(hmac::HMAC_SHA256, key.expose().as_bytes());
        let signed = hmac::sign(&key, format!("{}.{seconds}.{body}", message.id).as_bytes());
        request = request.header(
            "webhook-signature",
            format!("sha256={}", hex::encode(signed)),
        );
    }
    sent(request.body(body)).await?;
    Ok(())
}

pub(super) async fn pagerduty(
    http: &Client,
    url: &Secret,
    key: &Secret,
    message: &Message,
) -> Result<(), TellError> {
    let body = json!({
        "routing_key": key.expose(),
        // Good news ends the incident that the bad news of the same source opened.
        "event_action": if message.good { "resolve" } else { "trigger" },
        "dedup_key": cut(&format!("infinity:{}", message.source), 255),
        "payload": {
            "summary": cut(&message.title, 1024),
            "source": message.source,
            "severity": match message.level {
                Level::Error => "critical",
                Level::Warning => "warning",
                Level::Note => "info",
            },
            "timestamp": message.at.to_string(),
            "component": message.kind,
            "custom_details": { "body": message.body, "event": message.id },
        },
    });
    let url = format!("{}/v2/enqueue", url.expose().trim_end_matches('/'));
    sent(http.post(url).json(&body)).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;

    #[test]
    fn an_embed_keeps_to_discords_limits_and_calls_nobody() {
        let message = Message {
            id: "1".into(),
            kind: "run.failed".into(),
            level: Level::Error,
            good: false,
            title: "@everyone ".repeat(100),
            body: "ü".repeat(5_000),
            source: "/agents/a".into(),
            at: Timestamp::UNIX_EPOCH,
        };
        let embed = embed(&message);
        let of = |name: &str| {
            embed["embeds"][0][name]
                .as_str()
                .map(|text| text.chars().count())
        };
        assert_eq!((of("title"), of("description")), (Some(256), Some(4096)));
        assert_eq!(embed["embeds"][0]["color"], 0x00e5_484d);
        assert_eq!(embed["embeds"][0]["timestamp"], "1970-01-01T00:00:00Z");
        assert_eq!(embed["allowed_mentions"]["parse"], json!([]));
    }
}
