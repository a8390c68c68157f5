//! The API over TLS: which versions, whose certificates, and a certificate that is renewed while the host serves. And which pages of other origins may read it.

use crate::{folder, problem};
use anyhow::{Context as _, ensure};
use infinity_tests::host::{Host, PATIENCE, poll};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use reqwest::blocking::Client;
use reqwest::{Certificate, Identity, tls::Version};
use serde_json::Value;
use std::fs;
use std::path::Path;

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority(name: &str) -> anyhow::Result<Authority> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
        .distinguished_name
        .push(rcgen::DnType::CommonName, name);
    Ok(CertifiedIssuer::self_signed(params, KeyPair::generate()?)?)
}

/// A certificate for this name and its key, in PEM.
fn issued(authority: &Authority, name: &str) -> anyhow::Result<(String, String)> {
    let key = KeyPair::generate()?;
    let params = CertificateParams::new(vec![name.to_owned(), "127.0.0.1".to_owned()])?;
    let certificate = params.signed_by(&key, authority)?;
    Ok((certificate.pem(), key.serialize_pem()))
}

fn written(folder: &Path, authority: &Authority, name: &str) -> anyhow::Result<()> {
    let (certificate, key) = issued(authority, name)?;
    // The key first, as tools do that renew: for a moment the two do not go together.
    fs::write(folder.join("key.pem"), key)?;
    fs::write(folder.join("cert.pem"), certificate)?;
    Ok(())
}

/// A host that serves with a certificate for `localhost`; `more` are lines of `[host.tls]`.
fn host(authority: &Authority, more: &str) -> anyhow::Result<Host> {
    let folder = folder(
        "",
        &format!("[host.tls]\ncertificate = \"cert.pem\"\nkey = \"key.pem\"\n{more}\n"),
    )?;
    written(folder.path(), authority, "localhost")?;
    folder.serve()
}

fn client(authority: &Authority) -> anyhow::Result<reqwest::blocking::ClientBuilder> {
    Ok(Client::builder()
        .no_proxy()
        .tls_certs_only([Certificate::from_pem(authority.pem().as_bytes())?]))
}

fn url(host: &Host, path: &str) -> String {
    let port = host.address().rsplit(':').next().unwrap_or_default();
    format!("https://localhost:{port}{path}")
}

#[test]
fn the_api_is_served_over_tls_1_3_and_a_renewed_certificate_is_taken_up() -> anyhow::Result<()> {
    let (first, second) = (authority("first")?, authority("second")?);
    let host = host(&first, "")?;
    let own = client(&first)?.build()?;
    let answer = own.get(url(&host, "/health")).send()?;
    ensure!(answer.status() == 200);
    ensure!(answer.headers()["strict-transport-security"] == "max-age=63072000");
    let old = client(&first)?.tls_version_max(Version::TLS_1_2).build()?;
    ensure!(old.get(url(&host, "/health")).send().is_err());
    // Who speaks in the open is told what to write.
    let plain = host.client().get(host.url("/health")).send()?;
    problem(plain, 400, "tls_required")?;
    // Commands on this machine need neither.
    let status = host.folder().infinity(&["status"])?;
    ensure!(status.status.success());
    // A file that is half written changes nothing.
    let before = fs::read(host.path().join("cert.pem"))?;
    fs::write(host.path().join("cert.pem"), &before[..before.len() / 2])?;
    poll(PATIENCE, || {
        host.log().contains("is not taken up").then_some(())
    })
    .context("the log does not say that the file is bad")?;
    ensure!(own.get(url(&host, "/health")).send()?.status() == 200);
    // A new one is taken up without a restart, and without a request that fails meanwhile.
    written(host.path(), &second, "localhost")?;
    let renewed = client(&second)?.build()?;
    poll(PATIENCE, || renewed.get(url(&host, "/health")).send().ok())
        .context("the new certificate is not taken up")?;
    ensure!(
        client(&first)?
            .build()?
            .get(url(&host, "/health"))
            .send()
            .is_err()
    );
    // A cookie goes nowhere but here.
    let made = host
        .folder()
        .infinity(&["--json", "key", "create", "ann", "--role", "viewer"])?;
    let made: Value = serde_json::from_slice(&made.stdout)?;
    let secret = made["secret"].as_str().context("a secret")?;
    let browser = client(&second)?
        .redirect(reqwest::redirect::Policy::none())
        .build()?;
    let answer = browser
        .get(url(&host, &format!("/v1/runs?api_key={secret}")))
        .send()?;
    ensure!(answer.status() == 303);
    for cookie in answer.headers().get_all("set-cookie") {
        ensure!(cookie.to_str()?.contains("; Secure"), "{cookie:?}");
    }
    // The command line over the network, with an authority of one's own.
    fs::write(host.path().join("ca.pem"), second.pem())?;
    let remote = host
        .folder()
        .command(&["--json", "--url", &url(&host, ""), "runs"])
        .env("INFINITY_CA_FILE", host.path().join("ca.pem"))
        .env("INFINITY_API_KEY", secret)
        .output()?;
    ensure!(
        remote.status.success(),
        "{}",
        String::from_utf8_lossy(&remote.stderr)
    );
    Ok(())
}

#[test]
fn who_has_no_certificate_of_a_clients_authority_gets_no_connection() -> anyhow::Result<()> {
    let (servers, clients, others) = (authority("s")?, authority("c")?, authority("o")?);
    let folder = folder(
        "",
        "[host.tls]\ncertificate = \"cert.pem\"\nkey = \"key.pem\"\nclient_ca = \"clients.pem\"\nmin_version = \"1.2\"\n",
    )?;
    written(folder.path(), &servers, "localhost")?;
    fs::write(folder.path().join("clients.pem"), clients.pem())?;
    let host = folder.serve()?;
    let health = url(&host, "/health");
    ensure!(client(&servers)?.build()?.get(&health).send().is_err());
    let identity = |authority: &Authority| -> anyhow::Result<Identity> {
        let (certificate, key) = issued(authority, "ann")?;
        Ok(Identity::from_pem(
            format!("{certificate}{key}").as_bytes(),
        )?)
    };
    let foreign = client(&servers)?.identity(identity(&others)?).build()?;
    ensure!(foreign.get(&health).send().is_err());
    for version in [Version::TLS_1_2, Version::TLS_1_3] {
        let own = client(&servers)?
            .identity(identity(&clients)?)
            .tls_version_min(version)
            .tls_version_max(version)
            .build()?;
        ensure!(own.get(&health).send()?.status() == 200, "{version:?}");
    }
    // A certificate opens the connection; who somebody is says their key.
    let made = host
        .folder()
        .infinity(&["key", "create", "ann", "--role", "viewer"])?;
    ensure!(made.status.success());
    let own = client(&servers)?.identity(identity(&clients)?).build()?;
    problem(
        own.get(url(&host, "/v1/runs")).send()?,
        401,
        "unauthenticated",
    )?;
    Ok(())
}

#[test]
fn clients_that_never_agree_on_tls_keep_nobody_out() -> anyhow::Result<()> {
    let first = authority("first")?;
    let host = host(&first, "")?;
    // More than there are places; each says nothing.
    let silent: Vec<std::net::TcpStream> = (0..700)
        .map(|_| std::net::TcpStream::connect(host.address()))
        .collect::<Result<_, _>>()?;
    for _ in 0..20 {
        let own = client(&first)?.build()?;
        ensure!(own.get(url(&host, "/health")).send()?.status() == 200);
    }
    drop(silent);
    Ok(())
}

#[test]
fn pages_of_other_origins_read_what_the_configuration_lets_them() -> anyhow::Result<()> {
    let host = folder("cors = [\"https://console.example.com\"]", "")?.serve()?;
    let viewer = crate::access::key(host.folder(), &["ann", "--role", "viewer"])?;
    let preflight = |origin: &str| -> anyhow::Result<reqwest::blocking::Response> {
        Ok(host
            .client()
            .request(reqwest::Method::OPTIONS, host.url("/v1/runs"))
            .header("origin", origin)
            .header("access-control-request-method", "GET")
            .header("access-control-request-headers", "authorization")
            .send()?)
    };
    let allowed = preflight("https://console.example.com")?;
    ensure!(allowed.status() == 200);
    let headers = allowed.headers();
    ensure!(headers["access-control-allow-origin"] == "https://console.example.com");
    ensure!(
        headers["access-control-allow-headers"]
            .to_str()?
            .contains("authorization")
    );
    ensure!(!headers.contains_key("access-control-allow-credentials"));
    let other = preflight("https://evil.example")?;
    ensure!(!other.headers().contains_key("access-control-allow-origin"));
    let read = |origin: &str| -> anyhow::Result<reqwest::blocking::Response> {
        Ok(host
            .client()
            .get(host.url("/v1/runs"))
            .header("origin", origin)
            .header("sec-fetch-site", "cross-site")
            .header("sec-fetch-mode", "cors")
            .bearer_auth(&viewer)
            .send()?)
    };
    let answer = read("https://console.example.com")?;
    ensure!(answer.status() == 200);
    ensure!(answer.headers()["access-control-allow-origin"] == "https://console.example.com");
    problem(read("https://evil.example")?, 403, "csrf")?;
    // Without any nothing is said at all.
    let closed = crate::host()?;
    let answer = closed
        .client()
        .request(reqwest::Method::OPTIONS, closed.url("/v1/runs"))
        .header("origin", "https://console.example.com")
        .header("access-control-request-method", "GET")
        .send()?;
    ensure!(!answer.headers().contains_key("access-control-allow-origin"));
    Ok(())
}
