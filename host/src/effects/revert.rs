//! Undoing an effect: what was committed is committed back, what was opened is closed, what was said is taken back. What cannot be undone says why.

use super::{DecideError, Effects, event};
use crate::forge::{Change, Forge as _, ForgeError, Repository, shown};
use crate::model::{
    Action, AgentControlAction, Approval, CommitAction, Content, Control, Effect, EffectState,
    FileChange, ForgeRecord, Principal, Thread, ThreadState, Verdict, now,
};
use crate::store::EffectChange;
use serde_json::json;
use uuid::Uuid;

impl Effects {
    /// Undoes an applied effect, as a person asks. The answer is the effect that undoes it, or the effect itself where that takes no further one.
    ///
    /// # Errors
    /// When there is no such effect, it is not applied, or cannot be undone; the message says why.
    pub async fn revert(&self, id: Uuid, principal: Principal) -> Result<Effect, DecideError> {
        let effect = self.store.effect(id).await?.ok_or(DecideError::Unknown)?;
        if effect.state != EffectState::Applied {
            return Err(DecideError::NotWaiting {
                state: effect.state,
                message: Some("only what is applied can be reverted".into()),
            });
        }
        let never = |why: &str| Err(DecideError::NotRevertible(why.to_owned()));
        if let Some(other) = effect.reverted_by {
            return never(&format!("the effect {other} is about to undo it"));
        }
        match &effect.action {
            Action::Commit(action) => {
                let (repository, branch) = (action.repository.clone(), action.branch.clone());
                self.uncommit(effect, principal, &repository, &branch).await
            }
            Action::Publication(action) => {
                let (repository, branch) = (action.repository.clone(), action.branch.clone());
                self.uncommit(effect, principal, &repository, &branch).await
            }
            Action::Merge(action) => {
                let repository = action.repository.clone();
                let branch = result(&effect, "branch").unwrap_or_default();
                self.uncommit(effect, principal, &repository, &branch).await
            }
            Action::PullRequest(action) => {
                let repository = action.repository.clone();
                self.close(effect, principal, &repository).await
            }
            Action::Issue(action) => {
                let repository = action.repository.clone();
                self.close(effect, principal, &repository).await
            }
            Action::Comment(action) => {
                let record = match self.repository(&action.repository)? {
                    Repository::Local(_) => Some(ForgeRecord::Uncomment(effect.id)),
                    Repository::Github(github) => {
                        let result = effect.result.as_ref();
                        let id = result.and_then(|result| result["comment_id"].as_u64());
                        github
                            .uncomment(id.unwrap_or_default())
                            .await
                            .map_err(ForgeError::from)?;
                        None
                    }
                };
                self.taken_back(effect, principal, record.into_iter().collect())
                    .await
            }
            Action::AgentControl(AgentControlAction { agent, control }) => {
                let control = match control {
                    Control::Pause | Control::Quarantine => Control::Resume,
                    Control::Resume => Control::Pause,
                    Control::Start => {
                        return never(
                            "a run that was started cannot be made not to have run; cancel it if it still runs",
                        );
                    }
                };
                let action = Action::AgentControl(AgentControlAction {
                    agent: agent.clone(),
                    control,
                });
                self.undone_by(effect, principal, action).await
            }
            Action::Billing(_) => never("the host changed nothing; propose the opposite"),
            Action::Status(_) => never("a status is history; propose a new one of the same name"),
            Action::Notification(_) => never("a message that was sent cannot be taken back"),
        }
    }

    /// Commits back what a commit changed, if nobody changed the same files since.
    async fn uncommit(
        &self,
        effect: Effect,
        principal: Principal,
        repository: &str,
        branch: &str,
    ) -> Result<Effect, DecideError> {
        let never = |why: String| Err(DecideError::NotRevertible(why));
        let Some(commit) = result(&effect, "commit") else {
            return never("it changed nothing".into());
        };
        let Some(before) = result(&effect, "before") else {
            return never(format!(
                "it made the branch {}; delete the branch if nobody needs it",
                shown(branch)
            ));
        };
        let opened = self.repository(repository)?;
        let forge = opened.objects().await?;
        let Some(head) = forge.branch(branch).await? else {
            return never(format!("the branch {} is gone", shown(branch)));
        };
        let tree =
            |entries: Vec<crate::forge::Entry>| -> std::collections::BTreeMap<String, String> {
                entries
                    .into_iter()
                    .map(|entry| (entry.path, entry.id))
                    .collect()
            };
        let then = tree(forge.tree(&commit, "").await?);
        let now_there = tree(forge.tree(&head, "").await?);
        let mut files = Vec::new();
        let mut conflicts = Vec::new();
        let old = tree(forge.tree(&before, "").await?);
        for file in forge.diff(Some(&before), &commit).await? {
            // A renamed file is one that went and one that came.
            let mut paths = vec![file.path.clone()];
            if file.change == Change::Renamed {
                paths.extend(
                    old.iter()
                        .filter(|(path, id)| {
                            !then.contains_key(*path) && then.get(&file.path) == Some(id)
                        })
                        .map(|(path, _)| path.clone()),
                );
            }
            for path in paths {
                if then.get(&path) != now_there.get(&path) {
                    conflicts.push(shown(&path));
                    continue;
                }
                let content = if old.contains_key(&path) {
                    Content::RepositoryFile {
                        repository: repository.to_owned(),
                        commit: before.clone(),
                        path: path.clone(),
                    }
                } else {
                    Content::Deleted { deleted: true }
                };
                files.push(FileChange { path, content });
            }
        }
        if !conflicts.is_empty() {
            conflicts.truncate(20);
            return never(format!(
                "these files changed since: {}",
                conflicts.join(", ")
            ));
        }
        let action = Action::Commit(CommitAction {
            repository: repository.to_owned(),
            branch: branch.to_owned(),
            base: Some(head),
            start: None,
            message: format!("Revert {}\n\nThis undoes {commit}.", effect.name),
            files,
        });
        self.undone_by(effect, principal, action).await
    }

    async fn close(
        &self,
        effect: Effect,
        principal: Principal,
        repository: &str,
    ) -> Result<Effect, DecideError> {
        let number = effect
            .result
            .as_ref()
            .and_then(|result| result["number"].as_u64())
            .unwrap_or_default();
        let Some(thread) = self.thread(repository, number).await? else {
            return Err(DecideError::NotRevertible("it is gone".into()));
        };
        if thread.id != effect.id {
            return Err(DecideError::NotRevertible(
                "it was opened by another effect".into(),
            ));
        }
        if thread.state == ThreadState::Merged {
            return Err(DecideError::NotRevertible(
                "the pull request was merged; revert the merge".into(),
            ));
        }
        if let Repository::Github(github) = self.repository(repository)? {
            github
                .close(thread.kind, number)
                .await
                .map_err(ForgeError::from)?;
        }
        let record = ForgeRecord::Change(Box::new(Thread {
            state: ThreadState::Closed,
            closed_at: Some(now()),
            ..thread
        }));
        self.taken_back(effect, principal, vec![record]).await
    }

    /// The host's own record is all there is to change.
    async fn taken_back(
        &self,
        mut effect: Effect,
        principal: Principal,
        records: Vec<ForgeRecord>,
    ) -> Result<Effect, DecideError> {
        effect.state = EffectState::Reverted;
        effect.message = Some(format!("{} took it back", shown(&principal.name)));
        let announced = event(&effect, json!({ "by": principal.name }));
        let changed = self
            .store
            .change_effect(EffectChange {
                from: EffectState::Applied,
                effect,
                further: None,
                events: vec![announced],
                records,
            })
            .await?;
        self.announced.notify_one();
        changed.ok_or(DecideError::NotRevertible(
            "somebody else reverted it".into(),
        ))
    }

    /// A further effect, approved by whoever asks.
    async fn undone_by(
        &self,
        mut effect: Effect,
        principal: Principal,
        action: Action,
    ) -> Result<Effect, DecideError> {
        let moment = now();
        let digest = action.digest();
        let undoes = Effect {
            id: Uuid::now_v7(),
            name: format!("revert-{}", effect.name),
            depends_on: Vec::new(),
            reason: format!("{} asked to undo {}", principal.name, effect.id),
            action,
            state: EffectState::Approved,
            message: None,
            hint: None,
            approvals_needed: 1,
            approvals: vec![Approval {
                principal: principal.clone(),
                decision: Verdict::Approve,
                comment: None,
                digest: digest.clone(),
                at: moment,
            }],
            digest,
            result: None,
            reverts: Some(effect.id),
            reverted_by: None,
            attempts: 0,
            created_at: moment,
            caused_at: Some(moment),
            latency_us: None,
            due_at: Some(moment),
            approved_at: Some(moment),
            ended_at: None,
            ..effect.clone()
        };
        effect.reverted_by = Some(undoes.id);
        let announced = event(
            &undoes,
            json!({ "by": principal.name, "reverts": effect.id }),
        );
        let changed = self
            .store
            .change_effect(EffectChange {
                from: EffectState::Applied,
                effect,
                further: Some(undoes.clone()),
                events: vec![announced],
                records: Vec::new(),
            })
            .await?;
        self.announced.notify_one();
        self.wake.notify_one();
        match changed {
            Some(_) => Ok(undoes),
            None => Err(DecideError::NotRevertible(
                "somebody else reverted it".into(),
            )),
        }
    }
}

fn result(effect: &Effect, name: &str) -> Option<String> {
    effect.result.as_ref()?[name].as_str().map(str::to_owned)
}
