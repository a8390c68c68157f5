//! A stand-in for GitHub (`tests/forge/`), with the App, people and repositories that tests need.

pub(crate) mod browser;

use self::browser::{Browser, End};
use crate::git::git;
use crate::host::{PATIENCE, language, poll, root};
use anyhow::{Context as _, bail, ensure};
use reqwest::Method;
use reqwest::blocking::{Client, Response};
use serde_json::{Value, json};
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// The owner of everybody's repositories.
pub const OWNER: &str = "acme";

/// A person's token: `ann` administers all repositories, `bob` may write to them.
pub const ANN: &str = "ghp_ann0000000000000000000000000000000000";
pub const BOB: &str = "ghp_bob0000000000000000000000000000000000";

/// The OAuth App that people sign in to, and its secret. `ann` and `bob` are members of the organization `acme`, and `ann` of its team `platform`.
pub const OAUTH_CLIENT: &str = "Iv1.infinity";
pub const OAUTH_SECRET: &str = "github-oauth-secret-of-40-characters-0000"; // infinity:allow-secret

/// What signs deliveries.
pub const WEBHOOK_SECRET: &str = "a secret of sixteen characters and more";

/// The stand-in, serving.
pub struct Github {
    directory: TempDir,
    child: Child,
    client: Client,
    base: String,
}

/// How it is set up.
pub struct Setup<'a> {
    /// Names of repositories.
    pub repositories: &'a [&'a str],
    /// Where deliveries go.
    pub webhook: Option<String>,
    /// How long a token of the App lasts, in seconds.
    pub token_seconds: u32,
    /// What the App may do; what its manifest asks for, unless set.
    pub permissions: Option<Value>,
}

impl Default for Setup<'_> {
    fn default() -> Self {
        Self {
            repositories: &["ops"],
            webhook: None,
            token_seconds: 3_600,
            permissions: None,
        }
    }
}

/// The permissions that the App's manifest asks for.
///
/// # Errors
/// When it cannot be read.
pub fn manifest() -> anyhow::Result<Value> {
    let text = fs::read_to_string(root().join("deploy/github/app-manifest.yaml"))?;
    Ok(serde_saphyr::from_str(&text)?)
}

impl Github {
    /// Starts it; none where Node.js is missing, which is said.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start(setup: &Setup<'_>) -> anyhow::Result<Option<Self>> {
        let Some(modules) = language("github") else {
            return Ok(None);
        };
        let directory = tempfile::Builder::new()
            .prefix("infinity-github-")
            .tempdir()?;
        let (private, public) = app_key()?;
        fs::write(directory.path().join("app.pem"), private)?;
        let permissions = match &setup.permissions {
            Some(permissions) => permissions.clone(),
            None => manifest()?["default_permissions"].clone(),
        };
        let full = |name: &&str| format!("{OWNER}/{name}");
        let repositories: Vec<String> = setup.repositories.iter().map(full).collect();
        let config = json!({
            "installation_token_seconds": setup.token_seconds,
            "app": {
                "id": 7, "slug": "infinity-test", "public_key_pem": public, "permissions": permissions,
                "events": ["push", "pull_request", "pull_request_review", "check_run", "workflow_run", "issues"],
                "webhook": setup.webhook.as_ref().map(|url| json!({ "url": url, "secret": WEBHOOK_SECRET })),
            },
            "installations": [{ "id": 11, "account": OWNER, "repositories": repositories, "permissions": permissions }],
            "users": [
                { "login": "ann", "token": ANN, "email": "ann@example.com" },
                { "login": "bob", "token": BOB, "email": "bob@example.com" },
            ],
            "organizations": [{
                "login": OWNER, "members": ["ann", "bob"],
                "teams": [{ "slug": "platform", "name": "Platform", "members": ["ann"] }],
            }],
            // People may be sent to any port of this machine. A second between two questions of a device is enough here.
            "oauth_apps": [{
                "client_id": OAUTH_CLIENT, "client_secret": OAUTH_SECRET, "name": "Infinity",
                "callback_url": "http://127.0.0.1/", "device_flow": true, "device_interval": 1,
            }],
            "repositories": repositories.iter().map(|name| json!({
                "full_name": name, "private": true, "collaborators": { "ann": "admin", "bob": "write" },
            })).collect::<Vec<_>>(),
        });
        let file = directory.path().join("config.json");
        fs::write(&file, config.to_string())?;
        let log = fs::File::create(directory.path().join("log"))?;
        let mut child = Command::new("node")
            .arg(root().join("tests/forge/github.mjs"))
            .arg("--root")
            .arg(directory.path().join("git"))
            .arg("--config")
            .arg(&file)
            .env("INFINITY_NODE_MODULES", modules)
            // It ends with whoever holds the other end.
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .context("node cannot be started")?;
        let stdout = child.stdout.take().context("its output")?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        let said: Value = serde_json::from_str(&line).with_context(|| {
            let log = fs::read_to_string(directory.path().join("log"));
            format!("the stand-in said {line:?}: {}", log.unwrap_or_default())
        })?;
        let base = said["listening"].as_str().context("an address")?.to_owned();
        Ok(Some(Self {
            directory,
            child,
            client: Client::builder()
                .no_proxy()
                .timeout(Duration::from_secs(60))
                .build()?,
            base,
        }))
    }

    /// `[github]` of a host that is the App.
    #[must_use]
    pub fn as_app(&self) -> String {
        format!(
            "[github]\napi_url = \"{}/api/v3\"\napp_id = 7\nprivate_key_file = \"{}\"\nwebhook_secrets = [\"{WEBHOOK_SECRET}\"]\n",
            self.base,
            self.directory.path().join("app.pem").display()
        )
    }

    /// `[github]` of a host that has the token of `ann`.
    #[must_use]
    pub fn as_ann(&self) -> String {
        format!(
            "[github]\napi_url = \"{}/api/v3\"\ntoken = \"{ANN}\"\nauthor = \"Infinity <ann@example.com>\"\n",
            self.base
        )
    }

    /// Where it is: the pages of OAuth are below `/login`, the API below `/api/v3`.
    #[must_use]
    pub fn base(&self) -> &str {
        &self.base
    }

    /// Signs somebody in by the web flow, in a browser of their own; nobody, `""`, says no. Gives the address that leads back, which is not asked for.
    ///
    /// # Errors
    /// When it does not lead back.
    pub fn oauth_sign_in(&self, authorization: &str, account: &str) -> anyhow::Result<String> {
        match Browser::new(&[("account", account)])?.walk(authorization)? {
            End::Left(location) => Ok(location),
            End::Page(status, page) => bail!("it ends with {status}: {page}"),
        }
    }

    /// Connects a device as somebody, in a browser of their own; nobody, `""`, says no.
    ///
    /// # Errors
    /// When the page does not take the code.
    pub fn oauth_device(
        &self,
        verification_uri: &str,
        user_code: &str,
        account: &str,
    ) -> anyhow::Result<()> {
        let fields = [("user_code", user_code), ("account", account)];
        match Browser::new(&fields)?.walk(verification_uri)? {
            End::Page(status, _) if status.is_success() => Ok(()),
            End::Page(status, page) => bail!("it ends with {status}: {page}"),
            End::Left(location) => bail!("it leads to {location}"),
        }
    }

    /// A bare repository.
    #[must_use]
    pub fn repository(&self, name: &str) -> PathBuf {
        self.directory
            .path()
            .join(format!("git/{OWNER}/{name}.git"))
    }

    /// A clone of a repository, for a person.
    ///
    /// # Errors
    /// When git fails.
    pub fn clone(&self, name: &str, to: &Path) -> anyhow::Result<()> {
        let from = self.repository(name);
        git(
            self.directory.path(),
            &[
                "clone",
                "--quiet",
                &from.display().to_string(),
                &to.display().to_string(),
            ],
        )?;
        Ok(())
    }

    /// Puts files into a repository as one commit on a branch, as a person who pushes; GitHub tells of it.
    ///
    /// # Errors
    /// When git fails.
    pub fn push(&self, name: &str, branch: &str, files: &[(&str, &str)]) -> anyhow::Result<String> {
        let work = tempfile::tempdir()?;
        let path = work.path().join("work");
        self.clone(name, &path)?;
        let reference = format!("refs/heads/{branch}");
        let before = git(&path, &["ls-remote", "origin", &reference])?;
        let before = before.split_whitespace().next().map(str::to_owned);
        match &before {
            Some(_) => git(
                &path,
                &[
                    "checkout",
                    "--quiet",
                    "-B",
                    branch,
                    &format!("origin/{branch}"),
                ],
            )?,
            None => git(&path, &["checkout", "--quiet", "-B", branch])?,
        };
        for (file, text) in files {
            let file = path.join(file);
            fs::create_dir_all(file.parent().context("a folder")?)?;
            fs::write(file, text)?;
        }
        git(&path, &["add", "--all"])?;
        git(&path, &["commit", "--quiet", "--message", "Change files"])?;
        git(
            &path,
            &["push", "--quiet", "origin", &format!("{branch}:{branch}")],
        )?;
        let after = git(&path, &["rev-parse", "HEAD"])?;
        let pushed = json!({
            "full_name": format!("{OWNER}/{name}"), "ref": reference,
            "before": before.unwrap_or_else(|| "0".repeat(40)), "after": after,
        });
        self.client
            .post(format!("{}/_stand_in/push", self.base))
            .json(&pushed)
            .send()?
            .error_for_status()?;
        Ok(after)
    }

    /// What git says in a repository.
    ///
    /// # Errors
    /// When it fails.
    pub fn git(&self, name: &str, arguments: &[&str]) -> anyhow::Result<String> {
        git(&self.repository(name), arguments)
    }

    /// The App's own word for who it is.
    ///
    /// # Errors
    /// When it cannot be signed.
    pub fn jwt(&self) -> anyhow::Result<String> {
        let key = jsonwebtoken::EncodingKey::from_rsa_pem(app_key()?.0.as_bytes())?;
        let now = jiff::Timestamp::now().as_second();
        let claims = json!({ "iat": now - 30, "exp": now + 300, "iss": "7" });
        let header = jsonwebtoken::Header::new(jsonwebtoken::Algorithm::RS256);
        Ok(jsonwebtoken::encode(&header, &claims, &key)?)
    }

    /// A request by a person.
    ///
    /// # Errors
    /// When there is no answer.
    pub fn by(
        &self,
        token: &str,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> anyhow::Result<Response> {
        let mut request = self
            .client
            .request(method, format!("{}{path}", self.base))
            .header("accept", "application/vnd.github+json")
            .bearer_auth(token);
        if let Some(body) = body {
            request = request.json(body);
        }
        Ok(request.send()?)
    }

    /// An answer to `ann`, about a repository.
    ///
    /// # Errors
    /// When it is no success.
    pub fn json(&self, name: &str, rest: &str) -> anyhow::Result<Value> {
        let path = format!("/repos/{OWNER}/{name}{rest}");
        let answer = self.by(ANN, Method::GET, &path, None)?;
        let status = answer.status();
        let text = answer.text()?;
        ensure!(status.is_success(), "GET {path}: {status}: {text}");
        Ok(serde_json::from_str(&text)?)
    }

    /// A change by a person, about a repository.
    ///
    /// # Errors
    /// When it is no success.
    pub fn change(
        &self,
        token: &str,
        method: Method,
        name: &str,
        rest: &str,
        body: &Value,
    ) -> anyhow::Result<Value> {
        let path = format!("/repos/{OWNER}/{name}{rest}");
        let answer = self.by(token, method.clone(), &path, Some(body))?;
        let status = answer.status();
        let text = answer.text()?;
        ensure!(status.is_success(), "{method} {path}: {status}: {text}");
        Ok(serde_json::from_str(&text).unwrap_or_default())
    }

    /// Outages, latency, limits of the rate: nothing else can be set.
    ///
    /// # Errors
    /// When there is no answer.
    pub fn knobs(&self, knobs: &Value) -> anyhow::Result<()> {
        self.client
            .post(format!("{}/_stand_in/knobs", self.base))
            .json(knobs)
            .send()?
            .error_for_status()?;
        Ok(())
    }

    /// What is to happen to the App when a request arrives; without anything all is as in the beginning.
    ///
    /// # Errors
    /// When there is no answer.
    pub fn moment(&self, moment: &Value) -> anyhow::Result<()> {
        self.client
            .post(format!("{}/_stand_in/moment", self.base))
            .json(moment)
            .send()?
            .error_for_status()?;
        Ok(())
    }

    /// Whether it happened.
    ///
    /// # Errors
    /// When there is no answer.
    pub fn happened(&self) -> anyhow::Result<bool> {
        let answer = self.client.get(format!("{}/_stand_in/moment", self.base));
        Ok(answer.send()?.json::<Value>()?["happened"] == true)
    }

    /// What was asked so far.
    ///
    /// # Errors
    /// When there is no answer.
    pub fn record(&self) -> anyhow::Result<Value> {
        let answer = self.client.get(format!("{}/_stand_in/record", self.base));
        Ok(answer.send()?.json()?)
    }

    /// Fails if a request or an answer was not as GitHub's description says.
    ///
    /// # Errors
    /// With what was wrong.
    pub fn ensure_described(&self) -> anyhow::Result<()> {
        let record = self.record()?;
        let asked = record["requests"].as_array().map_or(0, Vec::len);
        ensure!(asked > 0, "nothing was asked");
        let wrong = record["violations"].as_array().context("violations")?;
        ensure!(wrong.is_empty(), "{wrong:#?}");
        Ok(())
    }

    /// How often something was asked, by method and the end of the path in the description.
    ///
    /// # Errors
    /// When there is no answer.
    pub fn asked(&self, method: &str, operation: &str) -> anyhow::Result<usize> {
        let record = self.record()?;
        let requests = record["requests"].as_array().context("requests")?;
        let is = |request: &&Value| {
            request["method"] == method
                && request["operation"]
                    .as_str()
                    .is_some_and(|path| path.ends_with(operation))
        };
        Ok(requests.iter().filter(is).count())
    }

    /// How often it answered with a status, to anybody.
    ///
    /// # Errors
    /// When there is no answer.
    pub fn answered(&self, status: u16) -> anyhow::Result<usize> {
        let record = self.record()?;
        let requests = record["requests"].as_array().context("requests")?;
        Ok(requests
            .iter()
            .filter(|one| one["status"] == status)
            .count())
    }

    /// Waits until something is so on GitHub.
    ///
    /// # Errors
    /// When it does not become so.
    pub fn until<T>(&self, what: &str, ask: impl FnMut() -> Option<T>) -> anyhow::Result<T> {
        poll(PATIENCE, ask).with_context(|| format!("{what}; the stand-in: {}", self.log()))
    }

    /// What it printed.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Github {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The App's key in PEM, private and public: made once, as it takes some time.
fn app_key() -> anyhow::Result<(String, String)> {
    static KEY: std::sync::OnceLock<Result<(String, String), String>> = std::sync::OnceLock::new();
    let made = KEY.get_or_init(|| {
        let make = || {
            let folder = tempfile::tempdir()?;
            let file = folder.path().join("key");
            let generated = Command::new("ssh-keygen")
                .args(["-q", "-t", "rsa", "-b", "2048", "-m", "PEM", "-N", "", "-f"])
                .arg(&file)
                .status()?;
            ensure!(generated.success(), "ssh-keygen: {generated}");
            let public = Command::new("ssh-keygen")
                .args(["-e", "-m", "PKCS8", "-f"])
                .arg(file.with_extension("pub"))
                .output()?;
            ensure!(public.status.success(), "ssh-keygen -e");
            anyhow::Ok((
                fs::read_to_string(&file)?,
                String::from_utf8(public.stdout)?,
            ))
        };
        make().map_err(|error| format!("{error:#}"))
    });
    made.clone().map_err(|error| anyhow::anyhow!("{error}"))
}
