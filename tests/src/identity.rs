//! An OpenID provider (`tests/identity/`), with the people and clients that tests need.

use crate::github::browser::{Browser, End};
use crate::host::{language, root};
use anyhow::{Context as _, bail, ensure};
use reqwest::blocking::{Client, RequestBuilder};
use reqwest::header::CONTENT_TYPE;
use serde_json::{Value, json};
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// The client that people sign in to, and its secret.
pub const CLIENT: &str = "infinity";
pub const SECRET: &str = "infinity-secret-of-at-least-32-characters"; // infinity:allow-secret

/// The client that is a machine, and its secret.
pub const MACHINE: &str = "machine";
pub const MACHINE_SECRET: &str = "machine-secret-of-at-least-32-characters"; // infinity:allow-secret

/// The provider, serving. `ann` is of the groups `platform` and `staff`, `bob` of `staff`; of `eve` it says nothing about groups.
pub struct Provider {
    /// What it calls itself: where it is.
    pub issuer: String,
    directory: TempDir,
    child: Child,
    client: Client,
}

/// How often the provider was asked for what says how to check its tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    /// `/.well-known/openid-configuration`.
    pub discovery: u64,
    /// `/jwks`.
    pub jwks: u64,
}

impl Provider {
    /// Starts it.
    ///
    /// # Errors
    /// When it does not start, or Node.js or its packages are missing.
    pub fn start() -> anyhow::Result<Self> {
        Self::start_if_there()?.context("the packages of `tests/identity` are missing")
    }

    /// Starts it; none where Node.js is missing, which is said.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start_if_there() -> anyhow::Result<Option<Self>> {
        let Some(modules) = language("identity") else {
            return Ok(None);
        };
        let directory = tempfile::Builder::new()
            .prefix("infinity-identity-")
            .tempdir()?;
        let log = fs::File::create(directory.path().join("log"))?;
        let mut child = Command::new("node")
            .arg(root().join("tests/identity/provider.mjs"))
            .env("INFINITY_NODE_MODULES", modules)
            // It ends with whoever holds the other end.
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .context("node cannot be started")?;
        let stdout = child.stdout.take().context("its output")?;
        let mut provider = Self {
            issuer: String::new(),
            directory,
            child,
            client: Client::builder()
                .no_proxy()
                .timeout(Duration::from_secs(60))
                .build()?,
        };
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        let said: Value = serde_json::from_str(&line)
            .with_context(|| format!("the provider said {line:?}: {}", provider.log()))?;
        provider.issuer = said["issuer"].as_str().context("an issuer")?.to_owned();
        Ok(Some(provider))
    }

    /// Where people may be sent back to: these addresses and no others.
    ///
    /// # Errors
    /// When it does not take them.
    pub fn redirects(&self, uris: &[&str]) -> anyhow::Result<()> {
        self.tell("redirects", &json!({ "uris": uris }))?;
        Ok(())
    }

    /// Signs with a new key from now on, by `RS256`, `ES256` or `EdDSA`, and forgets the one before; says what the new key is called.
    ///
    /// # Errors
    /// When it has no such algorithm.
    pub fn rotate(&self, algorithm: &str) -> anyhow::Result<String> {
        let said = self.tell("rotate", &json!({ "alg": algorithm }))?;
        Ok(said["kid"].as_str().context("a key")?.to_owned())
    }

    /// Whether its discovery and keys, and nothing else, answer with 503.
    ///
    /// # Errors
    /// When there is no answer.
    pub fn down(&self, down: bool) -> anyhow::Result<()> {
        self.tell("down", &json!({ "down": down }))?;
        Ok(())
    }

    /// What it was asked so far, also while it was down.
    ///
    /// # Errors
    /// When there is no answer.
    pub fn counts(&self) -> anyhow::Result<Counts> {
        let said = answer(self.client.get(format!("{}/test/counts", self.issuer)))?;
        Ok(Counts {
            discovery: said["discovery"].as_u64().context("discovery")?,
            jwks: said["jwks"].as_u64().context("jwks")?,
        })
    }

    /// A token with these claims, of whatever type, and the signature of the provider.
    ///
    /// # Errors
    /// When there is no answer.
    pub fn sign(&self, claims: &Value) -> anyhow::Result<String> {
        self.sign_with(claims, &json!({}))
    }

    /// The same with other members of the header; `null` leaves one out. The signature stays what it is, whatever the header says.
    ///
    /// # Errors
    /// When there is no answer.
    pub fn sign_with(&self, claims: &Value, header: &Value) -> anyhow::Result<String> {
        let said = self.tell("sign", &json!({ "claims": claims, "header": header }))?;
        Ok(said["token"].as_str().context("a token")?.to_owned())
    }

    /// A token that a machine has for a resource, which is its audience; of the group `robots`.
    ///
    /// # Errors
    /// When there is none.
    pub fn machine_token(&self, resource: &str) -> anyhow::Result<String> {
        let mut form = reqwest::Url::parse("http://form/")?;
        form.query_pairs_mut()
            .append_pair("grant_type", "client_credentials")
            .append_pair("resource", resource);
        let request = self
            .client
            .post(format!("{}/token", self.issuer))
            .basic_auth(MACHINE, Some(MACHINE_SECRET))
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(form.query().unwrap_or_default().to_owned());
        let said = answer(request)?;
        Ok(said["access_token"].as_str().context("a token")?.to_owned())
    }

    /// Signs somebody in, in a browser of their own; nobody, `""`, says no. Gives the address that leads back, which is not asked for.
    ///
    /// # Errors
    /// When it does not lead back.
    pub fn sign_in(&self, authorization: &str, account: &str) -> anyhow::Result<String> {
        match Browser::new(&[("account", account)])?.walk(authorization)? {
            End::Left(location) => Ok(location),
            End::Page(status, page) => bail!("it ends with {status}: {page}"),
        }
    }

    /// Connects a device as somebody, in a browser of their own; nobody, `""`, says no.
    ///
    /// # Errors
    /// When the pages do not say so.
    pub fn device(&self, verification_uri_complete: &str, account: &str) -> anyhow::Result<()> {
        let end = Browser::new(&[("account", account)])?.walk(verification_uri_complete)?;
        let said = if account.is_empty() {
            "Denied"
        } else {
            "Connected"
        };
        match end {
            End::Page(_, page) if page.contains(&format!("<h1>{said}</h1>")) => Ok(()),
            End::Page(status, page) => bail!("it ends with {status}: {page}"),
            End::Left(location) => bail!("it leads to {location}"),
        }
    }

    /// What it printed.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }

    fn tell(&self, command: &str, sent: &Value) -> anyhow::Result<Value> {
        let url = format!("{}/test/{command}", self.issuer);
        answer(self.client.post(url).json(sent))
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The JSON of a success.
fn answer(request: RequestBuilder) -> anyhow::Result<Value> {
    let answer = request.send()?;
    let status = answer.status();
    let text = answer.text()?;
    ensure!(status.is_success(), "{status}: {text}");
    Ok(serde_json::from_str(&text)?)
}
