//! A copy of a repository that is elsewhere, brought up to date by git's own protocol.
//!
//! Invariants: a copy is the host's own, bare, in its state folder; nobody commits to it. A credential is in the environment of one git process, never in an argument, a file or the copy's
//! configuration, and follows no redirect. Only the address that the host names is asked, by HTTP.

use std::path::Path;
use std::time::Duration;

use tokio::sync::Semaphore;

use super::LocalForge;
use crate::config::Secret;
use crate::forge::{ForgeError, shown};

/// How long bringing a copy up to date may take: the first time of a large repository.
const FETCH_DEADLINE: Duration = Duration::from_secs(600);

/// Copies brought up to date at once. Apart from the places of local processes: a forge that does not answer holds up nobody who does not need it.
static FETCHES: Semaphore = Semaphore::const_new(4);

/// Where a copy comes from.
pub(in crate::forge) struct Remote<'a> {
    /// The address of the repository.
    pub(in crate::forge) url: &'a str,
    /// What is shown there, as the value of the header `Authorization`.
    pub(in crate::forge) authorization: Secret,
    /// A proxy, if one has to be asked.
    pub(in crate::forge) proxy: Option<&'a str>,
    /// Who vouches for the server, beside those that the machine trusts.
    pub(in crate::forge) ca_file: Option<&'a Path>,
}

impl LocalForge {
    /// Brings the copy up to date: all branches and tags, or what `refspecs` names. What is gone there is gone here.
    pub(in crate::forge) async fn fetch(
        &self,
        remote: &Remote<'_>,
        refspecs: &[String],
    ) -> Result<(), ForgeError> {
        let mut arguments: Vec<String> = [
            "fetch",
            "--quiet",
            "--force",
            "--no-tags",
            "--no-write-fetch-head",
            "--no-recurse-submodules",
            "--no-show-forced-updates",
        ]
        .map(str::to_owned)
        .into();
        if refspecs.is_empty() {
            arguments.push("--prune".into());
        }
        arguments.extend(["--".to_owned(), remote.url.to_owned()]);
        if refspecs.is_empty() {
            arguments.extend(
                ["+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*"].map(str::to_owned),
            );
        }
        arguments.extend(refspecs.iter().cloned());
        let mut settings = vec![
            ("protocol.https.allow", "always".to_owned()),
            ("protocol.http.allow", "always".to_owned()),
            ("http.followRedirects", "false".to_owned()),
            ("credential.helper", String::new()),
            ("gc.autoDetach", "false".to_owned()),
            ("maintenance.autoDetach", "false".to_owned()),
            // What comes is a pack, which is there as a whole or not at all: whoever finds a commit while it is being fetched finds its files, too.
            ("fetch.unpackLimit", "1".to_owned()),
            (
                "http.extraHeader",
                format!("Authorization: {}", remote.authorization.expose()),
            ),
            // A server that sends next to nothing is given up on.
            ("http.lowSpeedLimit", "100".to_owned()),
            ("http.lowSpeedTime", "60".to_owned()),
        ];
        if let Some(proxy) = remote.proxy {
            settings.push(("http.proxy", proxy.to_owned()));
        }
        if let Some(file) = remote.ca_file {
            settings.push(("http.sslCAInfo", file.display().to_string()));
        }
        let mut call = self.call(arguments);
        call.deadline = FETCH_DEADLINE;
        call.places = &FETCHES;
        call.environment
            .push(("GIT_CONFIG_COUNT".into(), settings.len().to_string().into()));
        for (index, (key, value)) in settings.into_iter().enumerate() {
            call.environment
                .push((format!("GIT_CONFIG_KEY_{index}").into(), key.into()));
            call.environment
                .push((format!("GIT_CONFIG_VALUE_{index}").into(), value.into()));
        }
        let answer = self.run(call).await?;
        if answer.code == Some(0) {
            return Ok(());
        }
        tracing::warn!(
            repository.name = %self.name,
            git.complaint = %answer.complaint.escape_debug(),
            "the copy of the repository `{}` could not be brought up to date",
            self.name
        );
        let complaint = answer.complaint.as_str();
        let name = shown(&self.name);
        Err(if complaint.contains("couldn't find remote ref") {
            ForgeError::NotFound(format!("the repository {name} has no such reference"))
        } else if complaint.contains("not found") {
            ForgeError::NotFound(format!(
                "the repository {name} is not where the configuration says, or the host may not see it"
            ))
        } else {
            // Whatever else it is, a later attempt may do: git's words do not tell an outage from a refusal.
            ForgeError::Unavailable(format!(
                "the repository {name} could not be fetched; the host's log has git's words"
            ))
        })
    }

    /// Makes `HEAD` name a branch.
    pub(in crate::forge) async fn set_default_branch(
        &self,
        branch: &str,
    ) -> Result<(), ForgeError> {
        crate::forge::check_reference(branch)?;
        let reference = format!("refs/heads/{branch}");
        self.output(self.call(["symbolic-ref", "HEAD", &reference]))
            .await?;
        Ok(())
    }
}
