//! Changes of files on GitHub: one commit, however many files, through the Git data API; and merges of pull requests.
//!
//! Invariants: the tree is made here first, from the same bytes and by the same rules as for a local repository, and GitHub's has to be the same: what people saw is what is applied. The branch
//! moves last, only forward, from the commit that was looked at. An App sends neither author nor committer, so GitHub signs; for a token the host signs the bytes of the commit itself.

use std::collections::HashMap;

use reqwest::Method;
use serde_json::{Value, json};

use super::threads::escaped;
use super::{GithubForge, RequestError, there};
use crate::forge::local::write::{
    Base, File, Objects, Say, WriteError, Written, commit_head, mode_of, moved, name,
};
use crate::forge::signing::SigningKey;
use crate::forge::{Forge as _, ForgeError};

/// Bytes of texts that one request for a tree carries.
const TREE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Files that one request for a tree carries.
const TREE_FILES_MAX: usize = 1_000;

/// Larger texts are sent by themselves, as what is no text is.
const INLINE_MAX: usize = 1024 * 1024;

/// How a refusal counts that may come of a branch that moved.
fn refused(error: RequestError) -> WriteError {
    match error {
        RequestError::Status { status, message } if status != 401 => WriteError::Refused(message),
        other => WriteError::Forge(other.into()),
    }
}

impl GithubForge {
    /// Puts files onto a branch as one commit, as [`crate::forge::local::LocalForge::commit`] does.
    ///
    /// # Errors
    /// [`WriteError::Moved`] when the branch is elsewhere, [`WriteError::Refused`] when GitHub or git refuses the files, the branch or the host.
    pub async fn commit(
        &self,
        branch: &str,
        base: Base<'_>,
        files: &[File],
        whole: bool,
        say: &Say<'_>,
        key: &SigningKey,
    ) -> Result<Written, WriteError> {
        let mirror = self.fresh().await?;
        if let Some(made) = mirror.begin(branch, base.at, say).await? {
            return Ok(made);
        }
        let parent = base.parent();
        let aside = mirror.scratch().await?;
        let tree = mirror
            .tree_of(parent, files, whole, &Objects::Aside(aside.path()))
            .await?;
        let before = match parent {
            Some(parent) => Some(mirror.tree_id(parent).await?),
            None => None,
        };
        if before.as_ref() == Some(&tree) {
            return Ok(Written::Unchanged);
        }
        let were = match parent {
            Some(parent) if !whole => {
                let paths: Vec<String> = files.iter().map(|file| file.path.clone()).collect();
                mirror.listed(parent, &paths).await?
            }
            _ => HashMap::new(),
        };
        let mut entries = Vec::with_capacity(files.len());
        for file in files {
            let mode = mode_of(file, were.get(&file.path).map(|version| version.kind));
            let entry = json!({ "path": file.path, "mode": mode, "type": "blob" });
            entries.push((
                self.with_content(entry, file).await?,
                file.bytes.as_ref().map_or(0, Vec::len),
            ));
        }
        let made = self
            .trees(before.filter(|_| !whole).as_deref(), entries)
            .await?;
        if made != tree {
            return Err(WriteError::Refused(format!(
                "{} made another tree of the files ({made}) than git does here ({tree})",
                there(&self.full_name)
            )));
        }
        let parents: Vec<&str> = parent.into_iter().collect();
        let commit = self.write_commit(&tree, &parents, say, key).await?;
        crate::boundary::at("effect.written");
        self.move_branch(branch, base.at, &commit).await?;
        Ok(Written::Commit {
            id: commit,
            before: parent.map(str::to_owned),
        })
    }

    /// An entry of a tree with what it holds: text in place, anything else as an object that is stored first.
    async fn with_content(&self, mut entry: Value, file: &File) -> Result<Value, WriteError> {
        match &file.bytes {
            None => entry["sha"] = Value::Null,
            Some(bytes) => match std::str::from_utf8(bytes) {
                Ok(text) if bytes.len() <= INLINE_MAX && !text.contains('\0') => {
                    entry["content"] = json!(text);
                }
                _ => {
                    use base64::Engine as _;
                    let content = base64::engine::general_purpose::STANDARD.encode(bytes);
                    let body = json!({ "content": content, "encoding": "base64" });
                    let blob = self
                        .change(Method::POST, "/git/blobs", Some(&body))
                        .await
                        .map_err(refused)?;
                    entry["sha"] = blob.body["sha"].clone();
                }
            },
        }
        Ok(entry)
    }

    /// One tree of many entries, in requests that GitHub takes.
    async fn trees(
        &self,
        base: Option<&str>,
        entries: Vec<(Value, usize)>,
    ) -> Result<String, WriteError> {
        let mut base = base.map(str::to_owned);
        let mut parts: Vec<Vec<Value>> = vec![Vec::new()];
        let mut room = TREE_BYTES_MAX;
        for (entry, bytes) in entries {
            let bytes = if entry["content"].is_string() {
                bytes
            } else {
                0
            };
            let full = parts
                .last()
                .is_some_and(|part| part.len() >= TREE_FILES_MAX);
            if full || bytes > room {
                parts.push(Vec::new());
                room = TREE_BYTES_MAX;
            }
            room -= bytes;
            if let Some(part) = parts.last_mut() {
                part.push(entry);
            }
        }
        for part in parts {
            let mut body = json!({ "tree": part });
            if let Some(base) = base {
                body["base_tree"] = json!(base);
            }
            let made = self
                .change(Method::POST, "/git/trees", Some(&body))
                .await
                .map_err(|error| match error {
                    RequestError::Status { status: 409, .. } => WriteError::Refused(format!(
                        "{} has no commits; its first one is made there",
                        there(&self.full_name)
                    )),
                    other => refused(other),
                })?;
            base = made.body["sha"].as_str().map(str::to_owned);
        }
        base.ok_or_else(|| self.unreadable().into())
    }

    fn unreadable(&self) -> ForgeError {
        ForgeError::Other(format!(
            "the answer of {} has an unknown form",
            there(&self.full_name)
        ))
    }

    async fn write_commit(
        &self,
        tree: &str,
        parents: &[&str],
        say: &Say<'_>,
        key: &SigningKey,
    ) -> Result<String, WriteError> {
        let message = say.text();
        let mut body = json!({ "message": message, "tree": tree, "parents": parents });
        if !self.github.client.access.is_app() {
            let (who, mail) = self.github.owner().await.map_err(refused)?;
            let author = name(say.author);
            let by = [
                (author.as_str(), mail.clone()),
                (who.as_str(), mail.clone()),
            ];
            let head = commit_head(tree, parents, &by, say.at);
            let signature = key
                .sign(format!("{head}\n{message}").as_bytes())
                .map_err(|error| {
                    ForgeError::Other(format!("the commit cannot be signed: {error}"))
                })?;
            // To the second, as git keeps it: the signature is over these bytes.
            let date = jiff::Timestamp::from_second(say.at.as_second())
                .unwrap_or(say.at)
                .to_string();
            body["author"] = json!({ "name": author, "email": mail, "date": date });
            body["committer"] = json!({ "name": who, "email": mail, "date": date });
            body["signature"] = json!(signature.trim_end());
        }
        let made = self
            .change(Method::POST, "/git/commits", Some(&body))
            .await
            .map_err(refused)?;
        let id = made.body["sha"].as_str().map(str::to_owned);
        id.ok_or_else(|| self.unreadable().into())
    }

    /// Moves a branch forward. GitHub compares with the commit's ancestors and not with where the branch was, so a branch that somebody set back in between is moved on, and nothing is lost.
    async fn move_branch(
        &self,
        branch: &str,
        from: Option<&str>,
        to: &str,
    ) -> Result<(), WriteError> {
        let sent = match from {
            Some(_) => {
                let body = json!({ "sha": to, "force": false });
                let path = format!("/git/refs/heads/{}", escaped(branch));
                self.change(Method::PATCH, &path, Some(&body)).await
            }
            None => {
                let body = json!({ "ref": format!("refs/heads/{branch}"), "sha": to });
                self.change(Method::POST, "/git/refs", Some(&body)).await
            }
        };
        self.github.stale(&self.full_name);
        let Err(error) = sent else { return Ok(()) };
        if let RequestError::Status { .. } = &error {
            let now = self.fresh().await?.branch(branch).await?;
            if now.as_deref() != from && now.as_deref() != Some(to) {
                return Err(moved(branch, from, now.as_deref()));
            }
        }
        Err(refused(error))
    }

    /// Merges a pull request whose head is still `head`.
    ///
    /// # Errors
    /// [`WriteError::Moved`] when the head is elsewhere, [`WriteError::Refused`] with GitHub's reason.
    pub async fn merge(
        &self,
        number: u64,
        head: &str,
        say: &Say<'_>,
    ) -> Result<Written, WriteError> {
        let path = format!("/pulls/{number}");
        let pull = self.get(&path).await.map_err(refused)?.body;
        if pull["merged"] == true {
            return self.merged_before(&pull, say).await;
        }
        let (title, text) = say.message.split_once('\n').unwrap_or((say.message, ""));
        let text = format!("{}\n\n{}", text.trim(), say.trailers.join("\n"));
        let mut body = json!({
            "sha": head, "merge_method": "merge", "commit_title": title, "commit_message": text.trim(),
        });
        let path = format!("{path}/merge");
        let mut sent = self.change(Method::PUT, &path, Some(&body)).await;
        // A repository may allow one way of merging alone.
        if matches!(&sent, Err(RequestError::Status { status: 405, message }) if message.contains("Merge commits are not allowed"))
        {
            body["merge_method"] = json!("squash");
            sent = self.change(Method::PUT, &path, Some(&body)).await;
        }
        self.github.stale(&self.full_name);
        let done = sent.map_err(|error| match error {
            RequestError::Status {
                status: 409,
                message,
            } => WriteError::Moved(message),
            other => refused(other),
        })?;
        let id = done.body["sha"]
            .as_str()
            .map(str::to_owned)
            .ok_or_else(|| self.unreadable())?;
        let before = self.parent_of(&id).await?;
        Ok(Written::Commit { id, before })
    }

    /// By whom a merged pull request was merged: by an earlier attempt, or by somebody else.
    async fn merged_before(&self, pull: &Value, say: &Say<'_>) -> Result<Written, WriteError> {
        let id = pull["merge_commit_sha"].as_str().unwrap_or_default();
        let commit = self.fresh().await?.log(id, None, 1).await?;
        let mark = say.trailers.first().map_or("", String::as_str);
        let ours = commit
            .first()
            .is_some_and(|commit| commit.message.lines().any(|line| line == mark));
        if !ours {
            return Ok(Written::Unchanged);
        }
        let before = self.parent_of(id).await?;
        Ok(Written::Commit {
            id: id.to_owned(),
            before,
        })
    }

    async fn parent_of(&self, commit: &str) -> Result<Option<String>, ForgeError> {
        let commits = self.fresh().await?.log(commit, None, 1).await?;
        Ok(commits
            .first()
            .and_then(|commit| commit.parents.first().cloned()))
    }
}
