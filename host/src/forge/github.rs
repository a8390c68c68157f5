//! A repository on GitHub.
//!
//! What is read comes from a copy that git's own protocol keeps up to date (`forge/local/mirror.rs`), so trees, files, history and differences are exact, whole and the same as of a local
//! repository, and cost no requests; what is changed, and what git does not know (pull requests, issues, checks, whose signature GitHub vouches for) goes through the REST API.
//!
//! Invariants: nothing is decided on an old copy: [`GithubForge::fresh`] asks GitHub. A branch moves from the commit that was looked at or not at all. What was sent and not answered is looked
//! for before it is sent again. No error holds a token.

mod access;
mod client;
pub mod deliveries;
pub(crate) mod threads;
mod write;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use tokio::sync::OnceCell;

use self::access::Access;
pub use self::access::{Configured, Keys};
pub(crate) use self::client::RequestError;
use self::client::{As, Client, PAGE};
use super::local::LocalForge;
use super::local::mirror::Remote;
use super::{
    ChangedFile, Checkout, Commit, Entry, FileDiff, Forge, ForgeError, LOG_COMMITS_MAX, Version,
    check_reference, shown,
};
use crate::config::{Config, GithubAccess, Secret};
use crate::dev::Recorder;

/// For how long a copy counts as up to date for reading. A delivery from GitHub ends it at once, so agents that events start see what they were started for.
const FRESH_FOR: Duration = Duration::from_secs(2);

/// How often the name of the default branch is asked for.
const REPOSITORY_EVERY: Duration = Duration::from_secs(300);

/// Commits of which it is remembered whether GitHub vouches for them.
const VERIFIED_MAX: usize = 20_000;

/// GitHub, as this host sees it.
pub struct Github {
    client: Client,
    /// Where repositories are cloned from, without a `/` at the end.
    git_url: String,
    proxy: Option<String>,
    ca_file: Option<PathBuf>,
    state: PathBuf,
    copies: Mutex<HashMap<String, Arc<Copy>>>,
    /// Who a token belongs to.
    owner: OnceCell<(String, String)>,
}

impl std::fmt::Debug for Github {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Github")
            .field("git_url", &self.git_url)
            .finish_non_exhaustive()
    }
}

/// What is known of one copy.
#[derive(Default)]
struct Copy {
    /// When it was brought up to date last, and when the default branch was asked for. Held meanwhile, so that many who read at once fetch once.
    seen: tokio::sync::Mutex<Seen>,
    stale: AtomicBool,
    /// Whether GitHub vouches for a commit.
    verified: Mutex<HashMap<String, bool>>,
}

#[derive(Default)]
struct Seen {
    fetched: Option<Instant>,
    described: Option<Instant>,
    default_branch: String,
}

/// What GitHub says of the host's place there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The App's or the person's name.
    pub identity: String,
    /// Requests left in the current hour, if GitHub said.
    pub rate_limit_left: Option<u64>,
}

impl Github {
    /// GitHub as the configuration reaches it; none when it does not say who the host is there. With a `recorder` nothing is changed there.
    ///
    /// # Errors
    /// When the proxy or `ca_file` cannot be used.
    pub fn new(
        config: &Config,
        keys: Option<Arc<dyn Keys>>,
        recorder: Option<Arc<Recorder>>,
    ) -> anyhow::Result<Option<Self>> {
        let Some(access) = config.github.access.clone() else {
            return Ok(None);
        };
        let keys = keys.unwrap_or_else(|| Arc::new(Configured(access.clone())));
        let mut http = reqwest::Client::builder().no_proxy();
        if let Some(proxy) = &config.host.proxy {
            http = http.proxy(reqwest::Proxy::all(proxy)?);
        }
        if let Some(file) = &config.host.ca_file {
            for one in reqwest::Certificate::from_pem_bundle(&std::fs::read(file)?)? {
                http = http.add_root_certificate(one);
            }
        }
        let api = config.github.api_url.as_str();
        // github.com has its API on a host of its own, GitHub Enterprise below a path.
        let git_url = match api {
            "https://api.github.com" => "https://github.com",
            other => other.strip_suffix("/api/v3").unwrap_or(other),
        };
        Ok(Some(Self {
            client: Client::new(http, api, Access::new(access, keys), recorder)?,
            git_url: git_url.to_owned(),
            proxy: config.host.proxy.clone(),
            ca_file: config.host.ca_file.clone(),
            state: config.host.state.clone(),
            copies: Mutex::default(),
            owner: OnceCell::new(),
        }))
    }

    /// Asks nothing of GitHub any more, or asks again.
    pub fn suspend(&self, suspended: bool) {
        self.client.suspend(suspended);
    }

    /// Gives all tokens back, and answers how many were.
    pub async fn give_tokens_back(&self) -> usize {
        self.client.give_back().await
    }

    /// Until when GitHub wants to be left alone, if it does.
    #[must_use]
    pub fn until(&self) -> Option<Timestamp> {
        self.client.until()
    }

    /// Somebody changed a repository, `owner/name`: what is here of it is old.
    pub fn stale(&self, full_name: &str) {
        let copies = self.copies.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(copy) = copies.get(&full_name.to_lowercase()) {
            copy.stale.store(true, Ordering::Release);
        }
    }

    /// Who the host is there, and how much it may still ask.
    ///
    /// # Errors
    /// When GitHub does not answer, or knows neither App nor token.
    pub async fn standing(&self) -> Result<Standing, ForgeError> {
        let identity = if self.client.access.is_app() {
            let app = self.client.get("/app", As::App).await?;
            format!("{}[bot]", app.body["slug"].as_str().unwrap_or("app"))
        } else {
            let user = self.client.get("/user", As::Worker("")).await?;
            user.body["login"].as_str().unwrap_or("user").to_owned()
        };
        Ok(Standing {
            identity,
            rate_limit_left: self.client.left(),
        })
    }

    /// The committer of commits that a token makes: name and mail address.
    async fn owner(&self) -> Result<&(String, String), RequestError> {
        self.owner
            .get_or_try_init(|| async {
                if let GithubAccess::Token {
                    author: Some(author),
                    ..
                } = &self.client.access.access
                {
                    return Ok(author.clone());
                }
                let user = self.client.get("/user", As::Worker("")).await?;
                let login = user.body["login"].as_str().unwrap_or("infinity");
                let id = user.body["id"].as_u64().unwrap_or_default();
                // The address that GitHub gives to everybody, and believes.
                Ok((
                    login.to_owned(),
                    format!("{id}+{login}@users.noreply.github.com"),
                ))
            })
            .await
    }
}

/// One repository on GitHub.
pub struct GithubForge {
    /// Its name in `plugins.toml`.
    name: String,
    /// `owner/name`.
    full_name: String,
    owner: String,
    github: Arc<Github>,
    copy: Arc<Copy>,
    mirror: OnceCell<LocalForge>,
}

impl std::fmt::Debug for GithubForge {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("GithubForge")
            .field("name", &self.name)
            .field("full_name", &self.full_name)
            .finish_non_exhaustive()
    }
}

impl GithubForge {
    /// The repository `owner/name`, which messages call `name`.
    #[must_use]
    pub fn open(name: &str, owner: &str, repository: &str, github: &Arc<Github>) -> Self {
        let full_name = format!("{owner}/{repository}");
        let copy = github
            .copies
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .entry(full_name.to_lowercase())
            .or_default()
            .clone();
        Self {
            name: name.to_owned(),
            owner: owner.to_owned(),
            full_name,
            github: Arc::clone(github),
            copy,
            mirror: OnceCell::new(),
        }
    }

    /// `owner/name`.
    #[must_use]
    pub fn full_name(&self) -> &str {
        &self.full_name
    }

    fn worker(&self) -> As<'_> {
        As::Worker(&self.full_name)
    }

    /// A path of the API about this repository.
    fn path(&self, rest: &str) -> String {
        format!("/repos/{}{rest}", self.full_name)
    }

    async fn get(&self, rest: &str) -> Result<client::Answer, RequestError> {
        self.github
            .client
            .get(&self.path(rest), self.worker())
            .await
    }

    async fn pages(
        &self,
        rest: &str,
        member: Option<&str>,
        pages_max: usize,
    ) -> Result<Vec<serde_json::Value>, RequestError> {
        let path = self.path(rest);
        self.github
            .client
            .pages(&path, self.worker(), member, pages_max)
            .await
    }

    async fn change(
        &self,
        method: reqwest::Method,
        rest: &str,
        body: Option<&serde_json::Value>,
    ) -> Result<client::Answer, RequestError> {
        let path = self.path(rest);
        self.github
            .client
            .change(method, &path, body, self.worker())
            .await
    }

    /// The copy as it is, made if there is none.
    async fn mirror(&self) -> Result<&LocalForge, ForgeError> {
        self.mirror
            .get_or_try_init(|| async {
                let folder = self.full_name.to_lowercase();
                let path = self
                    .github
                    .state
                    .join("mirrors")
                    .join(format!("{folder}.git"));
                if !path.join("HEAD").is_file() {
                    LocalForge::init(&path, &self.github.state).await?;
                }
                LocalForge::open(self.name.as_str(), &path, &self.github.state)
            })
            .await
    }

    /// The copy as GitHub has it now. Whatever is decided is decided on this.
    ///
    /// # Errors
    /// [`ForgeError::Unavailable`] when GitHub does not answer.
    pub async fn fresh(&self) -> Result<&LocalForge, ForgeError> {
        self.up_to_date(Duration::ZERO).await
    }

    /// The copy, at most so old.
    async fn up_to_date(&self, age: Duration) -> Result<&LocalForge, ForgeError> {
        let asked = Instant::now();
        let mirror = self.mirror().await?;
        let mut seen = self.copy.seen.lock().await;
        let stale = self.copy.stale.swap(false, Ordering::AcqRel);
        // Whoever waited while another fetched has what that one got.
        let fresh = seen
            .fetched
            .is_some_and(|at| at >= asked || at.elapsed() < age);
        if fresh && !stale {
            return Ok(mirror);
        }
        let began = Instant::now();
        let fetched = async {
            self.fetch(mirror, &[]).await?;
            if seen
                .described
                .is_none_or(|at| at.elapsed() > REPOSITORY_EVERY)
            {
                let about = self.get("").await?;
                let branch = about.body["default_branch"].as_str().unwrap_or("main");
                if branch != seen.default_branch {
                    mirror.set_default_branch(branch).await?;
                    branch.clone_into(&mut seen.default_branch);
                }
                seen.described = Some(began);
            }
            Ok(())
        };
        let fetched: Result<(), ForgeError> = fetched.await;
        if fetched.is_err() {
            self.copy.stale.store(true, Ordering::Release);
        }
        fetched?;
        seen.fetched = Some(began);
        Ok(mirror)
    }

    async fn fetch(&self, mirror: &LocalForge, refspecs: &[String]) -> Result<(), ForgeError> {
        if let Some(until) = self.github.until() {
            return Err(ForgeError::Unavailable(format!(
                "GitHub wants to be left alone until {until}"
            )));
        }
        let token = self.github.client.token(&self.full_name).await?;
        let basic = STANDARD.encode(format!("x-access-token:{}", token.expose()));
        let url = format!("{}/{}.git", self.github.git_url, self.full_name);
        let remote = Remote {
            url: &url,
            authorization: Secret::new(format!("Basic {basic}")),
            proxy: self.github.proxy.as_deref(),
            ca_file: self.github.ca_file.as_deref(),
        };
        let fetched = mirror.fetch(&remote, refspecs).await;
        // GitHub answers to a token that it does not know (any more) as to a repository that is not there.
        if matches!(
            fetched,
            Err(ForgeError::NotFound(_) | ForgeError::Unavailable(_))
        ) && self.github.client.access.is_app()
        {
            self.github.client.access.forget(&self.full_name);
        }
        fetched
    }

    /// The copy with the commits of a pull request, which may come from elsewhere.
    pub(super) async fn with_pull(&self, number: u64) -> Result<&LocalForge, ForgeError> {
        let mirror = self.fresh().await?;
        let reference = format!("refs/pull/{number}/head");
        self.fetch(mirror, &[format!("+{reference}:{reference}")])
            .await?;
        Ok(mirror)
    }

    /// The copy for what `reference` names: a commit that is here needs no look at GitHub, as it never changes.
    pub(super) async fn knows(&self, reference: &str) -> Result<&LocalForge, ForgeError> {
        check_reference(reference)?;
        let is_id = matches!(reference.len(), 40 | 64)
            && reference.bytes().all(|byte| byte.is_ascii_hexdigit());
        if is_id {
            let mirror = self.mirror().await?;
            if mirror.resolve(reference).await.is_ok() {
                return Ok(mirror);
            }
            // However new the copy is: the commit may be newer.
            return self.fresh().await;
        }
        self.up_to_date(FRESH_FOR).await
    }

    /// Says of each commit whether GitHub vouches for its signature: it has the keys of the people who work there.
    async fn vouched(&self, head: &str, commits: &mut [Commit]) -> Result<(), ForgeError> {
        let known = |id: &str| {
            let verified = self
                .copy
                .verified
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            verified.get(id).copied()
        };
        let pages = commits.len().div_ceil(PAGE);
        if commits.iter().any(|commit| known(&commit.id).is_none()) {
            let listed = self
                .pages(&format!("/commits?sha={head}&per_page={PAGE}"), None, pages)
                .await?;
            let mut verified = self
                .copy
                .verified
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            if verified.len() > VERIFIED_MAX {
                verified.clear();
            }
            for one in listed {
                if let Some(id) = one["sha"].as_str() {
                    let good = one["commit"]["verification"]["verified"] == true;
                    verified.insert(id.to_owned(), good);
                }
            }
        }
        for commit in commits {
            if let Some(good) = known(&commit.id) {
                commit.verified |= good;
            }
        }
        Ok(())
    }
}

#[async_trait]
impl Forge for GithubForge {
    async fn default_branch(&self) -> Result<String, ForgeError> {
        self.up_to_date(FRESH_FOR).await?.default_branch().await
    }

    async fn resolve(&self, reference: &str) -> Result<String, ForgeError> {
        self.knows(reference).await?.resolve(reference).await
    }

    async fn tree(&self, reference: &str, path: &str) -> Result<Vec<Entry>, ForgeError> {
        self.knows(reference).await?.tree(reference, path).await
    }

    async fn versions(
        &self,
        reference: &str,
        paths: &[String],
    ) -> Result<Vec<Option<Version>>, ForgeError> {
        self.knows(reference)
            .await?
            .versions(reference, paths)
            .await
    }

    async fn changes(&self, base: &str, head: &str) -> Result<Vec<ChangedFile>, ForgeError> {
        self.knows(base).await?;
        self.knows(head).await?.changes(base, head).await
    }

    async fn read(&self, reference: &str, path: &str) -> Result<Vec<u8>, ForgeError> {
        self.knows(reference).await?.read(reference, path).await
    }

    async fn log(
        &self,
        reference: &str,
        since: Option<&str>,
        limit: u32,
    ) -> Result<Vec<Commit>, ForgeError> {
        if let Some(since) = since {
            self.knows(since).await?;
        }
        let mirror = self.knows(reference).await?;
        let mut commits = mirror
            .log(reference, since, limit.min(LOG_COMMITS_MAX))
            .await?;
        if let Some(head) = commits.first().map(|commit| commit.id.clone()) {
            self.vouched(&head, &mut commits).await?;
        }
        Ok(commits)
    }

    async fn diff(&self, base: Option<&str>, head: &str) -> Result<Vec<FileDiff>, ForgeError> {
        if let Some(base) = base {
            self.knows(base).await?;
        }
        self.knows(head).await?.diff(base, head).await
    }

    async fn checkout(&self, commit: &str) -> Result<Checkout, ForgeError> {
        self.knows(commit).await?.checkout(commit).await
    }
}

/// What GitHub calls a repository in messages.
fn there(full_name: &str) -> String {
    format!("{} on GitHub", shown(full_name))
}
