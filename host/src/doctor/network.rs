//! Whether what is configured can be reached: name, connection, TLS, and of services that are asked without being changed an answer. Nothing is sent to a channel.

use super::{Item, List, fail, ok, unknown, warn};
use crate::config::{Config, GithubAccess, Identity, Place, Service};
use futures::future::BoxFuture;
use http::Uri;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::net::TcpStream;

/// How long one service may take to be reached: who takes longer is as good as away.
const REACH_MAX: Duration = Duration::from_secs(5);

/// How far this machine's clock may be from GitHub's, in seconds: tokens of an App are refused beyond a minute.
const SKEW_MAX: u64 = 30;

/// Services of one look: each is a connection.
const SERVICES_MAX: usize = 100;

/// Where a service is.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Target {
    host: String,
    port: u16,
    tls: bool,
}

/// The target of an address; none for one that is none.
fn target(url: &str) -> Option<Target> {
    let uri: Uri = url.parse().ok()?;
    let (port, tls) = match uri.scheme_str()? {
        "https" => (443, true),
        "http" => (80, false),
        "smtps" => (465, true),
        // It begins in the open and asks for TLS later.
        "smtp" => (587, false),
        _ => return None,
    };
    Some(Target {
        host: uri.host()?.trim_matches(['[', ']']).to_owned(),
        port: uri.port_u16().unwrap_or(port),
        tls,
    })
}

/// What this machine trusts, and `ca_file`.
fn trusted(ca_file: Option<&Path>) -> Option<Arc<ClientConfig>> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if let Some(file) = ca_file
        && let Ok(found) = CertificateDer::pem_file_iter(file)
    {
        roots.add_parsable_certificates(found.flatten());
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .ok()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Some(Arc::new(config))
}

/// Connects and says nothing; why not, in words for people.
async fn reach(target: &Target, trust: Option<Arc<ClientConfig>>) -> Result<(), String> {
    let (host, port) = (target.host.as_str(), target.port);
    let connect = async {
        let addresses: Vec<_> = tokio::net::lookup_host((host, port))
            .await
            .map_err(|error| format!("the name `{host}` leads nowhere: {error}"))?
            .collect();
        let stream = TcpStream::connect(&addresses[..])
            .await
            .map_err(|error| format!("`{host}:{port}` takes no connection: {error}"))?;
        if !target.tls {
            return Ok(());
        }
        let trust = trust.ok_or("TLS cannot be spoken here")?;
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| format!("`{host}` cannot be the name of a server"))?;
        tokio_rustls::TlsConnector::from(trust)
            .connect(name, stream)
            .await
            .map_err(|error| format!("`{host}:{port}` is not who it should be: {error}"))?;
        Ok(())
    };
    tokio::time::timeout(REACH_MAX, connect)
        .await
        .unwrap_or_else(|_| {
            Err(format!(
                "`{host}:{port}` did not answer in {} s",
                REACH_MAX.as_secs()
            ))
        })
}

fn client(config: &Config, ca_file: Option<&Path>) -> Option<reqwest::Client> {
    let mut builder = reqwest::Client::builder()
        .timeout(REACH_MAX)
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("infinity/", env!("CARGO_PKG_VERSION")));
    builder = match &config.host.proxy {
        Some(proxy) => builder.proxy(reqwest::Proxy::all(proxy).ok()?),
        None => builder.no_proxy(),
    };
    for file in config.host.ca_file.as_deref().into_iter().chain(ca_file) {
        let pem = std::fs::read(file).ok()?;
        for certificate in reqwest::Certificate::from_pem_bundle(&pem).ok()? {
            builder = builder.add_root_certificate(certificate);
        }
    }
    builder.build().ok()
}

/// An answer to `GET`, and why there is none.
async fn ask(client: Option<reqwest::Client>, url: &str) -> Result<reqwest::Response, String> {
    let client = client.ok_or("no HTTP client can be made of `proxy` and `ca_file`")?;
    client
        .get(url)
        .send()
        .await
        // Addresses of channels are secrets; these are not, and yet the rest of the chain says more.
        .map_err(|error| causes(&error.without_url()))
}

fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        text.push_str(": ");
        text.push_str(&next.to_string());
        cause = next.source();
    }
    text
}

/// All that is configured to be elsewhere, each to be looked at beside the others.
pub(super) fn looks(config: &Config) -> Vec<(String, BoxFuture<'static, Item>)> {
    let mut looks: Vec<(String, BoxFuture<'static, Item>)> = Vec::new();
    let trust = trusted(config.host.ca_file.as_deref());
    let client = self::client(config, None);
    let proxy = config.host.proxy.clone();
    if let Some(proxy) = &proxy {
        let proxy = target(proxy);
        looks.push((
            "proxy".into(),
            Box::pin(async move {
                match proxy {
                    Some(proxy) => {
                        reached(List::Infrastructure, "proxy", reach(&proxy, None).await)
                    }
                    None => fail(
                        List::Infrastructure,
                        "proxy",
                        "it is no address",
                        "correct `proxy` in `[host]`",
                    ),
                }
            }),
        ));
    }
    for channel in config.channels.values() {
        let name = format!("channel {}", channel.name);
        let url = match &channel.service {
            Service::Discord { url }
            | Service::Slack { url }
            | Service::Webhook { url, .. }
            | Service::Smtp { url, .. }
            | Service::Pagerduty { url, .. } => target(url.expose()),
        };
        let (proxied, trust) = (proxy.is_some(), trust.clone());
        let own = name.clone();
        looks.push((
            name,
            Box::pin(async move {
                match url {
                    None => unknown(
                        List::Application,
                        &own,
                        "its address has no host that can be looked up",
                    ),
                    Some(_) if proxied => unknown(
                        List::Application,
                        &own,
                        "it is behind the proxy, and nothing is sent to a channel to try it",
                    ),
                    Some(target) => reached(List::Application, &own, reach(&target, trust).await),
                }
            }),
        ));
    }
    let on_github = config.github.access.is_some()
        || config
            .repositories
            .values()
            .any(|repository| matches!(repository.place, Place::Github { .. }));
    if on_github {
        let url = format!("{}/meta", config.github.api_url);
        let app = matches!(config.github.access, Some(GithubAccess::App { .. }));
        let client = client.clone();
        looks.push((
            "github".into(),
            Box::pin(async move { github(ask(client, &url).await, app) }),
        ));
    }
    for provider in config.host.access.sign_in.values() {
        let name = format!("sign-in {}", provider.name);
        let url = match &provider.service {
            Identity::Oidc { issuer } => format!(
                "{}/.well-known/openid-configuration",
                issuer.trim_end_matches('/')
            ),
            Identity::Github { api_url, .. } => format!("{api_url}/meta"),
        };
        let client = client.clone();
        let own = name.clone();
        looks.push((
            name,
            Box::pin(async move {
                let answer = ask(client, &url).await.and_then(|answer| {
                    if answer.status().is_success() {
                        Ok(())
                    } else {
                        Err(format!("it answers {}", answer.status()))
                    }
                });
                reached(List::Application, &own, answer)
            }),
        ));
    }
    if let Some(found) = &config.secrets.vault {
        let url = format!(
            "{}/v1/sys/health?standbyok=true&perfstandbyok=true",
            found.address.trim_end_matches('/')
        );
        let client = self::client(config, found.ca_file.as_deref());
        looks.push((
            "vault".into(),
            Box::pin(async move { vault(ask(client, &url).await) }),
        ));
    }
    if let Some(telemetry) = &config.telemetry {
        let collector = target(&telemetry.otlp);
        let proxied = proxy.is_some();
        looks.push((
            "telemetry".into(),
            Box::pin(async move {
                match collector.filter(|_| !proxied) {
                    Some(collector) => reached(
                        List::Infrastructure,
                        "telemetry",
                        reach(&collector, trust).await,
                    ),
                    None => unknown(
                        List::Infrastructure,
                        "telemetry",
                        "the collector is behind the proxy, and nothing is sent to try it",
                    ),
                }
            }),
        ));
    }
    looks.truncate(SERVICES_MAX);
    looks
}

/// What an answer of Vault's says; it is asked without a token.
fn vault(answer: Result<reqwest::Response, String>) -> Item {
    let list = List::Infrastructure;
    match answer.map(|answer| answer.status().as_u16()) {
        Err(why) => reached(list, "vault", Err(why)),
        Ok(200) => ok(list, "vault", "can be reached and is unsealed"),
        Ok(503) => fail(
            list,
            "vault",
            "it is sealed: no secret can be read",
            "unseal it, with `vault operator unseal` or its key management service",
        ),
        Ok(501) => fail(
            list,
            "vault",
            "it was never initialised",
            "`vault operator init`",
        ),
        Ok(status) => warn(
            list,
            "vault",
            format!("it answers {status} to the question how it is"),
            "look at the `address` of `[secrets.vault]`",
        ),
    }
}

fn reached(list: List, name: &str, found: Result<(), String>) -> Item {
    match found {
        Ok(()) => ok(list, name, "can be reached"),
        Err(why) => fail(
            list,
            name,
            why,
            "look at the address, at name servers and firewalls, and at `proxy` and `ca_file` in `[host]`",
        ),
    }
}

/// What an answer of GitHub's says of the way there and of the clock.
fn github(answer: Result<reqwest::Response, String>, app: bool) -> Item {
    let list = List::Application;
    let answer = match answer {
        Ok(answer) => answer,
        Err(why) => return reached(list, "github", Err(why)),
    };
    let date = answer
        .headers()
        .get(http::header::DATE)
        .and_then(|date| date.to_str().ok())
        .and_then(|date| jiff::fmt::rfc2822::parse(date).ok())
        .map(|date| SystemTime::from(date.timestamp()));
    let skew = date.map(|date| match SystemTime::now().duration_since(date) {
        Ok(ahead) => ahead.as_secs(),
        Err(behind) => behind.duration().as_secs(),
    });
    match skew {
        Some(skew) if skew > SKEW_MAX && app => fail(
            list,
            "github",
            format!(
                "it answers, and its clock is {skew} s from this machine's: tokens will be refused"
            ),
            "set the clock, for instance with `timedatectl set-ntp true`",
        ),
        Some(skew) if skew > SKEW_MAX => warn(
            list,
            "github",
            format!("it answers, and its clock is {skew} s from this machine's"),
            "set the clock, for instance with `timedatectl set-ntp true`",
        ),
        _ => ok(
            list,
            "github",
            format!("answers {}", answer.status().as_u16()),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_say_where_to_knock() {
        let found = |url: &str| target(url).map(|target| (target.host, target.port, target.tls));
        assert_eq!(
            found("https://hooks.example.com/secret"),
            Some(("hooks.example.com".into(), 443, true))
        );
        assert_eq!(
            found("http://[::1]:8080/x"),
            Some(("::1".into(), 8080, false))
        );
        assert_eq!(
            found("smtps://u:p@mail.example.com"),
            Some(("mail.example.com".into(), 465, true))
        );
        assert_eq!(found("smtp://mail"), Some(("mail".into(), 587, false)));
        assert_eq!(found("ftp://x"), None);
        assert_eq!(found("not an address"), None);
    }
}
