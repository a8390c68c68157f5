//! `/docs`: the OpenAPI document as a page that people read. No script, nothing from elsewhere.

use super::error::Problem;
use super::params::{NoQuery, Params};
use super::{Answer, openapi};
use axum::response::{Html, IntoResponse, Response};
use http::{HeaderValue, header};
use serde_json::Value;
use std::fmt::Write as _;
use std::sync::OnceLock;

/// What the page may do: show itself.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1b1f24;background:#fff}\
    h2{margin-top:2.5rem;border-bottom:1px solid #d0d7de}details{border:1px solid #d0d7de;border-radius:6px;margin:.5rem 0;padding:.4rem .8rem}\
    summary{cursor:pointer}code,pre{font:14px ui-monospace,monospace}pre{overflow:auto;max-height:30rem}.m{display:inline-block;min-width:4.2rem;font-weight:600}\
    table{border-collapse:collapse;margin:.5rem 0}td,th{text-align:left;vertical-align:top;padding:.15rem .8rem .15rem 0}a{color:#0550ae}\
    @media(prefers-color-scheme:dark){body{color:#e6edf3;background:#0d1117}h2,details{border-color:#30363d}a{color:#79c0ff}}";

static PAGE: OnceLock<String> = OnceLock::new();

/// Read about the API
#[utoipa::path(
    get, path = "/docs", operation_id = "get_docs", tag = "host",
    responses(
        (status = 200, description = "A page", content((String = "text/html"))),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn get_docs(_: Params<NoQuery>) -> Answer<Response> {
    let page = PAGE.get_or_init(|| page(&openapi()));
    let mut response = Html(page.clone()).into_response();
    response
        .headers_mut()
        .insert(header::CONTENT_SECURITY_POLICY, POLICY);
    Ok(response)
}

/// As it stands in a page; what is between backquotes is code.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut code = false;
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '`' => {
                out.push_str(if code { "</code>" } else { "<code>" });
                code = !code;
            }
            other => out.push(other),
        }
    }
    if code {
        out.push_str("</code>");
    }
    out
}

fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value[name].as_str().unwrap_or_default()
}

/// The document, by tag.
fn page(document: &Value) -> String {
    let info = &document["info"];
    let mut out = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\"><title>{title} API</title><style>{STYLE}</style>\
         <h1>{title} API {version}</h1><p>{about}</p><p><a href=\"/openapi.json\">openapi.json</a></p>",
        title = escaped(text(info, "title")),
        version = escaped(text(info, "version")),
        about = escaped(text(info, "description")),
    );
    for tag in document["tags"].as_array().into_iter().flatten() {
        let name = text(tag, "name");
        let _ = write!(
            out,
            "<h2 id=\"{name}\">{name}</h2><p>{}</p>",
            escaped(text(tag, "description"))
        );
        for (path, item) in document["paths"].as_object().into_iter().flatten() {
            for (method, operation) in item.as_object().into_iter().flatten() {
                let tagged = operation["tags"]
                    .as_array()
                    .is_some_and(|tags| tags.iter().any(|tag| tag == name));
                if tagged {
                    one(&mut out, method, path, operation);
                }
            }
        }
    }
    out.push_str("</html>");
    out
}

fn one(out: &mut String, method: &str, path: &str, operation: &Value) {
    let _ = write!(
        out,
        "<details id=\"{id}\"><summary><span class=\"m\">{method}</span> <code>{path}</code> {summary}</summary><p>{about}</p>",
        id = escaped(text(operation, "operationId")),
        method = method.to_uppercase(),
        path = escaped(path),
        summary = escaped(text(operation, "summary")),
        about = escaped(text(operation, "description")),
    );
    let mut rows = |head: &str, rows: Vec<(String, String)>| {
        if rows.is_empty() {
            return;
        }
        let _ = write!(out, "<table><tr><th colspan=\"2\">{head}</th></tr>");
        for (name, about) in rows {
            let _ = write!(
                out,
                "<tr><td><code>{}</code></td><td>{}</td></tr>",
                escaped(&name),
                escaped(&about)
            );
        }
        out.push_str("</table>");
    };
    let parameters = operation["parameters"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|parameter| {
            let name = format!("{} ({})", text(parameter, "name"), text(parameter, "in"));
            (name, text(parameter, "description").to_owned())
        })
        .collect();
    rows("Parameters", parameters);
    let answers = operation["responses"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(status, answer)| {
            let kinds: Vec<&str> = answer["content"]
                .as_object()
                .into_iter()
                .flatten()
                .map(|(kind, _)| kind.as_str())
                .collect();
            let about = format!("{} {}", text(answer, "description"), kinds.join(", "));
            (status.clone(), about)
        })
        .collect();
    rows("Answers", answers);
    let bodies = operation["responses"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(status, answer)| (status.as_str(), answer));
    for (head, body) in std::iter::once(("Request", &operation["requestBody"])).chain(bodies) {
        let example = &body["content"]["application/json"]["example"];
        if !example.is_null() {
            let _ = write!(
                out,
                "<p>For instance ({head}):</p><pre>{}</pre>",
                // Backquotes in what was answered are no code.
                escaped(&format!("{example:#}").replace('`', "'"))
            );
        }
    }
    out.push_str("</details>");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_is_on_the_page_and_nothing_in_it_is_markup() {
        let document = openapi();
        let page = page(&document);
        for item in document["paths"].as_object().unwrap().values() {
            for operation in item.as_object().unwrap().values() {
                let id = format!("id=\"{}\"", operation["operationId"].as_str().unwrap());
                assert!(page.contains(&id), "{id} is not there");
            }
        }
        assert_eq!(
            escaped("<b> & \"`a`\" `open"),
            "&lt;b&gt; &amp; &quot;<code>a</code>&quot; <code>open</code>"
        );
    }
}
