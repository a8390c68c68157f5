//! Whether an effect may be applied, and by whom it has to be approved: the agent's grants, the shape of the change, policy.

use super::Effects;
use super::place::LookError;
use crate::config::{AgentConfig, EffectKind, EffectScope};
use crate::forge::local::write::{File, WriteError};
use crate::forge::{Change, FileDiff, Forge as _, ForgeError, shown};
use crate::model::{Action, Content, Effect, Thread, ThreadKind, ThreadState};
use crate::store::StoreError;
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Bytes of all files of an effect: a site, or a large change, in memory at once.
pub(super) const EFFECT_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Lines of a title or of a status, as forges have them.
const LINE_MAX: usize = 256;

/// Bytes of a body or a message, as forges have them.
const BODY_MAX: usize = 64 * 1024;

/// Labels and reviewers.
const NAMES_MAX: usize = 100;

/// Commits of a pull request that policy looks at one by one; more are no change but an import.
const COMMITS_MAX: u32 = 250;

/// Bytes of added lines that policy sees of one effect: it reads some megabytes in a second.
const LINES_BYTES_MAX: usize = 4 * 1024 * 1024;

/// The people that policy may ask for at most.
const APPROVALS_MAX: u64 = 100;

/// Why an effect goes no further.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) message: String,
    pub(super) hint: Option<String>,
    pub(super) when: When,
}

/// Whether a refusal is for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum When {
    /// It is.
    Never,
    /// What the effect was made for is gone.
    Moved,
    /// It could not be looked at; it can be later.
    Later,
}

impl Refusal {
    fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            hint: None,
            when: When::Never,
        }
    }

    fn moved(message: impl Into<String>) -> Self {
        Self {
            when: When::Moved,
            ..Self::new(message)
        }
    }

    fn with_hint(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            hint: Some(hint.into()),
            ..Self::new(message)
        }
    }
}

impl From<WriteError> for Refusal {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Moved(message) => Self::moved(message),
            WriteError::Refused(message) => Self::new(message),
            WriteError::Forge(error) => error.into(),
        }
    }
}

impl From<ForgeError> for Refusal {
    fn from(error: ForgeError) -> Self {
        let when = match error {
            ForgeError::Unavailable(_) => When::Later,
            _ => When::Never,
        };
        Self {
            when,
            ..Self::new(error.to_string())
        }
    }
}

/// An effect that may be applied.
#[derive(Debug, Default)]
pub(super) struct Judged {
    /// People who have to approve; none where autonomy alone decides.
    pub(super) approvals: u32,
    /// Why people have to.
    pub(super) why: Option<String>,
    /// Whether whoever started the run does not count among them.
    pub(super) second_person: bool,
}

/// A changed file, as policy sees it.
#[derive(Clone, Debug, Serialize)]
struct FileFact {
    path: String,
    change: &'static str,
    binary: bool,
    added: Vec<Value>,
    /// Whether there is more in it than policy sees.
    truncated: bool,
}

/// Lines up to a number of bytes, and whether that was all.
fn lines<'l>(lines: impl Iterator<Item = (u64, &'l str)>, room: &mut usize) -> (Vec<Value>, bool) {
    let mut seen = Vec::new();
    for (number, text) in lines {
        if text.len() > *room {
            return (seen, true);
        }
        *room -= text.len();
        seen.push(json!({ "line": number, "text": text }));
    }
    (seen, false)
}

/// A difference, as policy sees it.
fn facts_of(files: Vec<FileDiff>) -> Vec<FileFact> {
    let mut room = LINES_BYTES_MAX;
    files
        .into_iter()
        .map(|file| {
            let given = file
                .added
                .iter()
                .map(|added| (u64::from(added.line), added.text.as_str()));
            let (added, truncated) = lines(given, &mut room);
            FileFact {
                change: match file.change {
                    Change::Added => "added",
                    Change::Modified => "modified",
                    Change::Deleted => "deleted",
                    Change::Renamed => "renamed",
                },
                binary: file.binary,
                added,
                truncated,
                path: file.path,
            }
        })
        .collect()
}

impl Effects {
    /// Grants, shape, policy; the outer error is the store's.
    pub(super) async fn judged(
        &self,
        effect: &Effect,
        agent: &AgentConfig,
    ) -> Result<Result<Judged, Refusal>, StoreError> {
        let about = match &effect.action {
            Action::Merge(action) => Some((action.repository.as_str(), action.number)),
            _ => None,
        };
        let thread = match about {
            Some((repository, number)) => match self.thread(repository, number).await {
                Ok(thread) => thread,
                Err(LookError::Store(error)) => return Err(error),
                Err(LookError::Forge(error)) => return Ok(Err(error.into())),
            },
            None => None,
        };
        let reports = self.files_of(effect).await?;
        let looked = async {
            granted(effect, agent, thread.as_ref())?;
            shape(&effect.action)?;
            let files = reports?;
            self.facts(effect, agent, thread.as_ref(), &files).await
        };
        let (input, mut judged) = match looked.await {
            Ok(found) => found,
            Err(refusal) => return Ok(Err(refusal)),
        };
        Ok(self
            .asked(effect, thread.as_ref(), &input, &mut judged)
            .await
            .map(|()| judged))
    }

    /// What policy is asked about, and what holds whatever it says.
    async fn facts(
        &self,
        effect: &Effect,
        agent: &AgentConfig,
        thread: Option<&Thread>,
        files: &[File],
    ) -> Result<(Value, Judged), Refusal> {
        let mut judged = Judged::default();
        let mut input = json!({
            "effect": { "id": effect.id, "kind": effect.action.kind(), "reason": effect.reason },
            "agent": { "name": effect.agent, "plugin": agent.plugin, "plugin_digest": effect.plugin_digest, "autonomy": agent.autonomy.as_str() },
        });
        if let Some(name) = effect.action.repository() {
            let config = Arc::clone(&self.registry.load().config);
            let configured = config
                .repositories
                .get(name)
                .ok_or_else(|| Refusal::new(format!("there is no repository {}", shown(name))))?;
            input["repository"] =
                json!({ "name": name, "environment": configured.environment.as_str() });
            if configured.environment.is_guarded() {
                judged.approvals = 1;
                judged.why = Some(format!(
                    "{} is a {} repository: a person has to approve",
                    shown(name),
                    configured.environment.as_str()
                ));
            }
        }
        match &effect.action {
            Action::Commit(action) => {
                let forge = self.repository(&action.repository)?;
                let head = forge.objects().await?.branch(&action.branch).await?;
                if head != action.base {
                    return Err(Refusal::moved(format!(
                        "the branch {} moved on since the change was made",
                        shown(&action.branch)
                    )));
                }
                input["branch"] = json!(action.branch);
                input["commit"] = json!({ "message": action.message, "author": { "name": effect.agent, "email": "" }, "verification": { "verified": true } });
                input["files"] = json!(added(files));
            }
            Action::Publication(action) => {
                input["branch"] = json!(action.branch);
                input["files"] = json!(added(files));
            }
            Action::PullRequest(action) => {
                let repository = self.repository(&action.repository)?;
                let forge = repository.objects().await?;
                input["branch"] = json!(action.base);
                // The branch may be made by an effect that this one depends on.
                if let (Some(head), Some(base)) = (
                    forge.branch(&action.head).await?,
                    forge.branch(&action.base).await?,
                ) {
                    let meet = forge.merge_base(&base, &head).await?;
                    input["files"] = json!(facts_of(forge.diff(Some(&meet), &head).await?));
                }
                input["pull_request"] = json!({ "title": action.title, "head": { "ref": action.head }, "base": { "ref": action.base } });
            }
            Action::Merge(action) => {
                let thread = thread
                    .filter(|thread| thread.kind == ThreadKind::PullRequest)
                    .ok_or_else(|| {
                        Refusal::new(format!(
                            "{} has no pull request {}",
                            shown(&action.repository),
                            action.number
                        ))
                    })?;
                if thread.state != ThreadState::Open {
                    return Err(Refusal::new(format!(
                        "the pull request {} is not open",
                        action.number
                    )));
                }
                self.merge_facts(&mut input, action, thread).await?;
                // A merge is never a machine's decision alone.
                judged.approvals = judged.approvals.max(1);
                judged
                    .why
                    .get_or_insert_with(|| "a merge is approved by a person".into());
            }
            Action::AgentControl(action) => {
                input["target"] = json!({ "agent": action.agent, "control": action.control });
            }
            Action::Notification(action) => {
                if !self
                    .registry
                    .load()
                    .config
                    .channels
                    .contains_key(&action.channel)
                {
                    return Err(Refusal::with_hint(
                        format!("there is no channel {}", shown(&action.channel)),
                        format!("`[channels.{}]` in `plugins.toml` makes it", action.channel),
                    ));
                }
                input["channel"] = json!(action.channel);
            }
            Action::Issue(_) | Action::Comment(_) | Action::Status(_) => {}
            Action::Billing(_) => return Err(people_alone()),
        }
        Ok((input, judged))
    }

    async fn merge_facts(
        &self,
        input: &mut Value,
        action: &crate::model::MergeAction,
        thread: &Thread,
    ) -> Result<(), Refusal> {
        let forge = self.repository(&action.repository)?;
        let branch = |name: &Option<String>| name.clone().unwrap_or_default();
        let (head, base) = (branch(&thread.head), branch(&thread.base));
        let at = self.head_of(&forge, thread).await?;
        if at.as_deref() != Some(action.head.as_str()) {
            return Err(Refusal::moved(format!(
                "the branch {} is not at the commit that was judged",
                shown(&head)
            )));
        }
        let approvals = thread.approvals_of(&action.head);
        if approvals < thread.approvals_needed {
            return Err(Refusal::with_hint(
                format!(
                    "{approvals} of the {} people approve that the pull request {} asks for",
                    thread.approvals_needed, action.number
                ),
                "`POST /v1/approvals` with `pr_id` is a person's review of it",
            ));
        }
        let statuses = match self.statuses(&action.repository, &action.head).await {
            Ok(statuses) => statuses,
            Err(LookError::Forge(error)) => return Err(error.into()),
            Err(LookError::Store(error)) => {
                return Err(Refusal {
                    when: When::Later,
                    ..Refusal::new(error.to_string())
                });
            }
        };
        let checks: Vec<Value> = statuses
            .iter()
            .map(|status| json!({ "name": status.name, "conclusion": status.state }))
            .collect();
        input["branch"] = json!(base);
        input["pull_request"] = json!({
            "number": action.number, "title": thread.title, "author": thread.author,
            "head": { "ref": head, "sha": action.head }, "base": { "ref": base }, "approvals": approvals,
        });
        input["check_runs"] = json!(checks);
        Ok(())
    }

    /// Asks policy.
    async fn asked(
        &self,
        effect: &Effect,
        thread: Option<&Thread>,
        input: &Value,
        judged: &mut Judged,
    ) -> Result<(), Refusal> {
        self.evaluated("effects", input).await?;
        if let (Action::Merge(action), Some(thread)) = (&effect.action, thread) {
            self.evaluated("github.merge", input).await?;
            let repository = self.repository(&action.repository)?;
            let forge = repository.objects_of_pull(action.number).await?;
            let base = forge
                .branch(thread.base.as_deref().unwrap_or_default())
                .await?;
            // Whoever keeps the repository says whose signatures count.
            let reader = self.repository(&action.repository)?.reader();
            let commits = reader
                .log(&action.head, base.as_deref(), COMMITS_MAX)
                .await?;
            for commit in commits {
                let files = facts_of(forge.diff(None, &commit.id).await?);
                let facts = json!({
                    "repository": input["repository"],
                    "commit": {
                        "id": commit.id, "message": commit.message,
                        "author": { "name": commit.author.name, "email": commit.author.email },
                        "verification": { "verified": commit.verified },
                    },
                    "files": files,
                });
                self.evaluated("github.commit", &facts).await?;
            }
        }
        let asked = self
            .judge
            .query("data.effects.approvals", input)
            .await
            .map_err(no_decision)?;
        let second = self
            .judge
            .query("data.effects.second_person", input)
            .await
            .map_err(no_decision)?;
        judged.second_person = match second {
            None => false,
            Some(Value::Bool(second)) => second,
            Some(other) => {
                return Err(Refusal::new(format!(
                    "policy's `effects.second_person` is {other}, neither true nor false"
                )));
            }
        };
        if let Some(asked) = asked {
            let asked = asked.as_u64().filter(|count| *count <= APPROVALS_MAX).ok_or_else(|| {
                Refusal::new(format!("policy's `effects.approvals` is {asked}, not a number from 0 to {APPROVALS_MAX}"))
            })?;
            let asked = u32::try_from(asked).unwrap_or(u32::MAX);
            if asked > judged.approvals {
                judged.approvals = asked;
                judged.why = Some(match asked {
                    1 => "policy asks for a person's approval".to_owned(),
                    _ => format!("policy asks for the approval of {asked} people"),
                });
            }
        }
        Ok(())
    }

    async fn evaluated(&self, package: &str, input: &Value) -> Result<(), Refusal> {
        let decision = self
            .judge
            .evaluate(package, input)
            .await
            .map_err(no_decision)?;
        if decision.allowed {
            return Ok(());
        }
        let said: Vec<String> =
            decision
                .denials
                .iter()
                .map(|violation| {
                    let place = violation.path.as_ref().map_or_else(String::new, |path| {
                        match violation.line {
                            Some(line) => format!(" ({path}:{line})"),
                            None => format!(" ({path})"),
                        }
                    });
                    format!("{}{place} [{}]", violation.message, violation.rule)
                })
                .collect();
        let help = decision
            .denials
            .iter()
            .find_map(|violation| violation.help.clone());
        Err(Refusal {
            hint: help,
            ..Refusal::new(format!("policy says no: {}", said.join("; ")))
        })
    }

    /// The files that an effect writes, with their bytes.
    pub(super) async fn files_of(
        &self,
        effect: &Effect,
    ) -> Result<Result<Vec<File>, Refusal>, StoreError> {
        let mut files = Vec::new();
        let mut bytes = 0;
        let listed = if effect
            .action
            .files()
            .iter()
            .any(|file| matches!(file.content, Content::Artifact { .. }))
        {
            self.store
                .report(effect.run)
                .await?
                .map(|report| report.artifacts)
                .unwrap_or_default()
        } else {
            Vec::new()
        };
        let mut sources: BTreeMap<(&str, &str), Vec<&str>> = BTreeMap::new();
        for file in effect.action.files() {
            if let Content::RepositoryFile {
                repository,
                commit,
                path,
            } = &file.content
            {
                let of = sources.entry((repository, commit)).or_default();
                of.push(path);
            }
        }
        // Many files of one commit are read at once: a process for each would take seconds.
        let mut read: BTreeMap<(&str, &str, &str), (Vec<u8>, bool)> = BTreeMap::new();
        for ((repository, commit), paths) in sources {
            let found = async {
                let forge = self.repository(repository)?;
                forge
                    .objects_with(commit)
                    .await?
                    .read_all(commit, &paths, EFFECT_BYTES_MAX)
                    .await
            };
            match found.await {
                Ok(found) => {
                    let keys = paths.into_iter().map(|path| (repository, commit, path));
                    read.extend(keys.zip(found));
                }
                Err(error) => return Ok(Err(error.into())),
            }
        }
        for file in effect.action.files() {
            let mut executable = None;
            let content = match &file.content {
                Content::Text { text } => Some(text.clone().into_bytes()),
                Content::Deleted { .. } => None,
                Content::Elided { .. } => return Ok(Err(Refusal::new("the effect is not whole"))),
                Content::Artifact { artifact } => {
                    let named = listed.iter().find(|one| one.digest == *artifact);
                    let found = match named {
                        Some(named) => self.store.artifact(effect.run, &named.name).await?,
                        None => None,
                    };
                    let Some(found) = found else {
                        return Ok(Err(Refusal::new(format!(
                            "the run has no artifact {}",
                            shown(artifact)
                        ))));
                    };
                    Some(found.content.to_vec())
                }
                Content::RepositoryFile {
                    repository,
                    commit,
                    path,
                } => {
                    let key = (repository.as_str(), commit.as_str(), path.as_str());
                    let (bytes, runs) = read.get(&key).cloned().unwrap_or_default();
                    executable = Some(runs);
                    Some(bytes)
                }
            };
            bytes += content.as_ref().map_or(0, |content| content.len() as u64);
            if bytes > EFFECT_BYTES_MAX {
                return Ok(Err(Refusal::new(
                    "the files have more than 64 MiB together",
                )));
            }
            files.push(File {
                path: file.path.clone(),
                bytes: content,
                executable,
            });
        }
        Ok(Ok(files))
    }
}

fn no_decision(error: String) -> Refusal {
    Refusal::with_hint(
        format!("there is no decision by policy, and no decision means no: {error}"),
        "an agent with the plugin `policy` and `policies = \"policies\"` decides; `policies/effects/` holds what it goes by",
    )
}

/// New files, as policy sees them: every line counts as added.
fn added(files: &[File]) -> Vec<FileFact> {
    let mut room = LINES_BYTES_MAX;
    files
        .iter()
        .map(|file| {
            let text = file.bytes.as_deref().map(std::str::from_utf8);
            let (added, truncated) = match text {
                Some(Ok(text)) => lines((1..).zip(text.lines()), &mut room),
                _ => (Vec::new(), false),
            };
            FileFact {
                path: file.path.clone(),
                change: if file.bytes.is_some() {
                    "modified"
                } else {
                    "deleted"
                },
                binary: matches!(text, Some(Err(_))),
                added,
                truncated,
            }
        })
        .collect()
}

/// Checks the agent's grants.
fn granted(effect: &Effect, agent: &AgentConfig, thread: Option<&Thread>) -> Result<(), Refusal> {
    let (kind, branch) = match &effect.action {
        Action::Commit(action) => (EffectKind::Commit, Some(action.branch.as_str())),
        Action::Publication(action) => (EffectKind::Publication, Some(action.branch.as_str())),
        Action::PullRequest(action) => (EffectKind::PullRequest, Some(action.base.as_str())),
        Action::Merge(_) => (
            EffectKind::Merge,
            thread.and_then(|thread| thread.base.as_deref()),
        ),
        Action::Issue(_) => (EffectKind::Issue, None),
        Action::Comment(_) => (EffectKind::Comment, None),
        Action::Status(_) => (EffectKind::Status, None),
        Action::Billing(_) => return Err(people_alone()),
        Action::Notification(action) => {
            if agent.grants.channels.contains(&action.channel) {
                return Ok(());
            }
            return Err(Refusal::with_hint(
                format!("the agent may not write to {}", shown(&action.channel)),
                format!(
                    "`grants.channels = [\"{}\"]` in `[agents.{}]` would allow it",
                    action.channel, effect.agent
                ),
            ));
        }
        Action::AgentControl(action) => {
            if agent.grants.agents.contains(&action.agent) {
                return Ok(());
            }
            return Err(Refusal::with_hint(
                format!("the agent may not steer {}", shown(&action.agent)),
                format!(
                    "`grants.agents = [\"{}\"]` in `[agents.{}]` would allow it",
                    action.agent, effect.agent
                ),
            ));
        }
    };
    let name = effect.action.repository().unwrap_or_default();
    let allow = branch.map_or_else(|| "true".to_owned(), |branch| format!("[\"{branch}\"]"));
    let line = format!(
        "`repos = [{{ name = \"{name}\", {} = {allow} }}]` in `[agents.{}.grants]` would allow it",
        kind.as_str(),
        effect.agent
    );
    let scope = agent
        .grants
        .repositories
        .iter()
        .find(|grant| grant.name == name)
        .and_then(|grant| grant.effects.get(&kind));
    match (scope, branch) {
        (Some(EffectScope::AnyBranch), _) | (Some(_), None) => {}
        (Some(EffectScope::Branches(patterns)), Some(branch)) => {
            if !patterns
                .iter()
                .any(|pattern| matches_branch(pattern, branch))
            {
                return Err(Refusal::with_hint(
                    format!(
                        "the agent may not propose a {} to the branch {} of {}",
                        word(kind),
                        shown(branch),
                        shown(name)
                    ),
                    line,
                ));
            }
        }
        (None, _) => {
            return Err(Refusal::with_hint(
                format!(
                    "the agent may not propose a {} to {}",
                    word(kind),
                    shown(name)
                ),
                line,
            ));
        }
    }
    for file in effect.action.files() {
        if let Content::RepositoryFile { repository, .. } = &file.content {
            let reads = agent
                .grants
                .repositories
                .iter()
                .any(|grant| grant.name == *repository && grant.read);
            if !reads {
                return Err(Refusal::with_hint(
                    format!(
                        "the agent may not read {}, from which {} comes",
                        shown(repository),
                        shown(&file.path)
                    ),
                    format!(
                        "`repos = [{{ name = \"{repository}\", read = true }}]` in `[agents.{}.grants]` would allow it",
                        effect.agent
                    ),
                ));
            }
        }
    }
    Ok(())
}

fn people_alone() -> Refusal {
    Refusal::new("what is paid for is for people to propose: `POST /v1/billing/proposals`")
}

fn word(kind: EffectKind) -> String {
    kind.as_str().replace('_', " ")
}

/// Whether a pattern, in which `*` stands for any characters, is this branch.
fn matches_branch(pattern: &str, branch: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = branch.strip_prefix(first) else {
        return false;
    };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else {
        return rest.is_empty();
    };
    for part in middle {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

/// Checks what no grant and no policy can allow.
fn shape(action: &Action) -> Result<(), Refusal> {
    let line = |what: &str, text: &str| {
        if text.trim().is_empty()
            || text.chars().count() > LINE_MAX
            || text.chars().any(char::is_control)
        {
            return Err(Refusal::new(format!(
                "the {what} is not one line of 1 to {LINE_MAX} characters"
            )));
        }
        Ok(())
    };
    let body = |what: &str, text: &str| {
        if text.len() > BODY_MAX {
            return Err(Refusal::new(format!(
                "the {what} has more than {BODY_MAX} bytes"
            )));
        }
        if text.contains("Infinity-Effect:") {
            return Err(Refusal::new(format!(
                "the {what} has the line `Infinity-Effect:`, which is the host's own"
            )));
        }
        Ok(())
    };
    let names = |what: &str, names: &[String]| {
        if names.len() > NAMES_MAX {
            return Err(Refusal::new(format!(
                "there are more than {NAMES_MAX} {what}"
            )));
        }
        names.iter().try_for_each(|name| line(what, name))
    };
    match action {
        Action::Commit(action) => {
            if action.files.is_empty() {
                return Err(Refusal::new("the commit changes no file"));
            }
            if action.message.trim().is_empty() {
                return Err(Refusal::new("the commit has no message"));
            }
            let is_id = |id: &String| {
                matches!(id.len(), 40 | 64) && id.bytes().all(|byte| byte.is_ascii_hexdigit())
            };
            if action.start.as_ref().is_some_and(|start| !is_id(start)) {
                return Err(Refusal::new("`start` is no full commit id"));
            }
            if action.base.is_some() && action.start.is_some() {
                return Err(Refusal::new(
                    "the commit has a `base` and a `start`; a branch that is there begins nowhere",
                ));
            }
            body("message", &action.message)
        }
        Action::PullRequest(action) => {
            line("title", &action.title)?;
            body("body", &action.body)?;
            names("labels", &action.labels)?;
            names("reviewers", &action.reviewers)?;
            if u64::from(action.approvals) > APPROVALS_MAX {
                return Err(Refusal::new(format!(
                    "`approvals` is more than {APPROVALS_MAX}"
                )));
            }
            Ok(())
        }
        Action::Issue(action) => {
            line("title", &action.title)?;
            body("body", &action.body)?;
            names("labels", &action.labels)
        }
        Action::Comment(action) => {
            if action.body.trim().is_empty() {
                return Err(Refusal::new("the comment is empty"));
            }
            body("body", &action.body)
        }
        Action::Status(action) => {
            line("name", &action.name)?;
            line("summary", &action.summary)
        }
        Action::Notification(action) => {
            line("title", &action.title)?;
            body("body", &action.body)
        }
        Action::Merge(_)
        | Action::Publication(_)
        | Action::AgentControl(_)
        | Action::Billing(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_branch_begins_at_a_commit_and_at_nothing_else() {
        let commit = |base: Option<&str>, start: Option<&str>| {
            shape(&Action::Commit(crate::model::CommitAction {
                repository: "ops".into(),
                branch: "b".into(),
                base: base.map(str::to_owned),
                start: start.map(str::to_owned),
                message: "m".into(),
                files: vec![crate::model::FileChange {
                    path: "a".into(),
                    content: Content::Deleted { deleted: true },
                }],
            }))
        };
        let id = "0123456789012345678901234567890123456789";
        assert!(commit(None, Some(id)).is_ok());
        for wrong in ["main", "--all", "", "0123456", "HEAD~1"] {
            assert!(commit(None, Some(wrong)).is_err(), "{wrong}");
        }
        assert!(commit(Some(id), Some(id)).is_err());
    }

    #[test]
    fn a_star_stands_for_any_characters() {
        for (pattern, branch) in [
            ("main", "main"),
            ("*", "anything/at/all"),
            ("automation/*", "automation/sync-ops-1"),
            ("*-mirror", "founder-mirror"),
            ("a*b*c", "a-b-b-c"),
        ] {
            assert!(matches_branch(pattern, branch), "{pattern} {branch}");
        }
        for (pattern, branch) in [
            ("main", "main2"),
            ("main", "amain"),
            ("automation/*", "automation"),
            ("a*b*c", "acb"),
            ("a*a", "a"),
        ] {
            assert!(!matches_branch(pattern, branch), "{pattern} {branch}");
        }
    }
}
