//! `[telemetry]` to [`TelemetryConfig`]: where traces and logs are sent to, and how many of the traces.

use std::collections::BTreeMap;

use http::{HeaderName, HeaderValue, Uri};
use toml::Spanned;
use toml::de::DeValue;

use super::error::{Errors, literal};
use super::grants::fill;
use super::keys;
use super::reader::{Reader, found};
use super::secret::Secret;

/// A collector that speaks OTLP over HTTP. Source: `[telemetry]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TelemetryConfig {
    /// `http://` or `https://`, without a `/` at its end; `/v1/traces` and `/v1/logs` are below it. Source: `otlp`, else `OTEL_EXPORTER_OTLP_ENDPOINT`.
    pub otlp: String,
    /// Headers of each request, which may hold what grants access. Source: `headers`.
    pub headers: BTreeMap<String, Secret>,
    /// Whether traces are sent; default `true`. Source: `traces`.
    pub traces: bool,
    /// Whether the log's lines are sent; default `true`. Source: `logs`.
    pub logs: bool,
    /// How many of a hundred traces are sent: 0 to 100, default 100. Source: `sample_percent`.
    pub sample_percent: u8,
    /// What this host is called there; default [`DEFAULT_SERVICE`]. Source: `service`.
    pub service: String,
}

/// Default of [`TelemetryConfig::service`].
pub const DEFAULT_SERVICE: &str = "infinity";

/// The variable that names the collector where the file does not.
const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";

/// Reads `[telemetry]` if there is one. `environment` gives the value of an environment variable.
pub(super) fn read(
    root: &Reader<'_, '_>,
    environment: &dyn Fn(&str) -> Option<String>,
    errors: &mut Errors,
) -> Option<TelemetryConfig> {
    let table = root.table("telemetry", "`[telemetry]`".to_owned(), errors)?;
    let headers = headers(&table, environment, errors);
    let traces = table.boolean("traces", errors).unwrap_or(true);
    let logs = table.boolean("logs", errors).unwrap_or(true);
    let percent = table.number("sample_percent", errors);
    let service = table.text("service", errors);
    let otlp = match table.text("otlp", errors) {
        Some(text) => address(text.get_ref(), errors, |errors, message| {
            errors.at(text.span(), message).help(HELP);
        }),
        None if table.span("otlp").is_some() => None,
        None => match environment(ENDPOINT).filter(|value| !value.is_empty()) {
            // It may hold a password, so it is not shown.
            Some(value) => address(&value, errors, |errors, _| {
                errors
                    .anywhere(format!(
                        "the environment variable `{ENDPOINT}` is no address of a collector"
                    ))
                    .help(HELP);
            }),
            None => {
                errors
                    .at(table.place(), "`[telemetry]` needs `otlp`")
                    .help(format!("{HELP}, or set `{ENDPOINT}`"));
                None
            }
        },
    };
    Some(TelemetryConfig {
        otlp: otlp?,
        headers,
        traces,
        logs,
        sample_percent: percent
            .and_then(|percent| u8::try_from(percent).ok())
            .unwrap_or(100),
        service: service
            .map(Spanned::into_inner)
            .filter(|service| !service.is_empty())
            .unwrap_or_else(|| DEFAULT_SERVICE.to_owned()),
    })
}

const HELP: &str = "write for instance `otlp = \"http://127.0.0.1:4318\"`";

fn address(
    written: &str,
    errors: &mut Errors,
    wrong: impl FnOnce(&mut Errors, String),
) -> Option<String> {
    let uri = written.parse::<Uri>().ok();
    let host = uri.as_ref().and_then(Uri::host).unwrap_or_default();
    let scheme = uri.as_ref().and_then(Uri::scheme_str).unwrap_or_default();
    let query = uri.as_ref().and_then(Uri::query);
    if host.is_empty() || !["http", "https"].contains(&scheme) || query.is_some() {
        wrong(
            errors,
            format!("{} is no address of a collector", literal(written)),
        );
        return None;
    }
    Some(written.trim_end_matches('/').to_owned())
}

fn headers(
    table: &Reader<'_, '_>,
    environment: &dyn Fn(&str) -> Option<String>,
    errors: &mut Errors,
) -> BTreeMap<String, Secret> {
    let mut headers = BTreeMap::new();
    for (name, value) in table
        .entries("headers", errors)
        .into_iter()
        .take(keys::MAX_LIST)
    {
        if HeaderName::from_bytes(name.get_ref().as_bytes()).is_err() {
            errors.at(
                name.span(),
                format!("{} cannot be the name of a header", literal(name.get_ref())),
            );
        }
        let DeValue::String(text) = value.get_ref() else {
            errors
                .at(
                    value.span(),
                    format!(
                        "headers of `[telemetry]` must be strings, not {}",
                        found(value)
                    ),
                )
                .label("expected a string");
            continue;
        };
        let text = Spanned::new(value.span(), text.clone().into_owned());
        let Some(filled) = fill(&text, "`[telemetry]`", true, environment, errors) else {
            continue;
        };
        if HeaderValue::from_str(&filled).is_err() {
            errors
                .at(
                    value.span(),
                    format!(
                        "header {} holds what no header can hold",
                        literal(name.get_ref())
                    ),
                )
                .help("a line break at the end of a variable is a common reason");
            continue;
        }
        headers.insert((*name.get_ref()).to_owned(), Secret::new(filled));
    }
    headers
}
