//! Checks that wait or are in progress: taken, followed, waited for and recorded.

use super::{
    Check, CheckChange, CheckError, CheckNews, CheckVerdict, Checks, FAULT, STOPPING, Submission,
    given_up,
};
use crate::model::{Event, Principal, now};
use crate::store::StoreError;
use futures::FutureExt as _;
use serde_json::json;
use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{broadcast, mpsc, watch};
use uuid::Uuid;

/// News of a check that a slow follower may be behind; who is further behind is told so.
const NEWS_MAX: usize = 64;

/// How often a verdict is tried to be recorded, and how long lies between: a minute, as with ends of runs.
const RECORD_TRIES: u32 = 60;

/// See [`RECORD_TRIES`].
const RECORD_AGAIN: Duration = Duration::from_secs(1);

/// What is known of checks that have no verdict yet.
#[derive(Default)]
pub(super) struct Live(Mutex<HashMap<Uuid, Following>>);

/// The ends at which a check is followed.
#[derive(Clone)]
struct Following {
    ended: watch::Receiver<Option<Arc<Check>>>,
    news: broadcast::Sender<CheckNews>,
}

impl Live {
    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Uuid, Following>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is announced of a verdict.
fn announced(check: &Check) -> Event {
    Event::new(
        "/checks".into(),
        "check.ended",
        check.id.to_string(),
        json!({
            "check": check.id,
            "language": check.language,
            "verdict": check.verdict,
            "assurance": check.assurance,
            "summary": check.summary,
            "submission_digest": check.submission_digest,
            "change": check.change,
            "principal": check.principal,
        }),
    )
}

impl Checks {
    /// Takes submissions, all of them or none. They are judged whether anybody waits or not.
    ///
    /// # Errors
    /// When too many wait, nothing may run, or they cannot be recorded.
    pub async fn submit(
        self: &Arc<Self>,
        submissions: Vec<(Submission, String)>,
        principal: Principal,
    ) -> Result<Vec<Check>, CheckError> {
        if self.holds.kill.is_engaged() {
            return Err(CheckError::Killed);
        }
        if self.stopping.is_cancelled() {
            return Err(CheckError::Stopping);
        }
        let count = u32::try_from(submissions.len()).unwrap_or(u32::MAX);
        let mut waiting = Arc::clone(&self.waiting)
            .try_acquire_many_owned(count)
            .map_err(|_| CheckError::Full)?;
        let taken: Vec<(Submission, Check)> = submissions
            .into_iter()
            .map(|(submission, submission_digest)| {
                let check = Check {
                    id: Uuid::now_v7(),
                    principal: principal.clone(),
                    language: submission.language,
                    change: submission.change.as_ref().map(|change| CheckChange {
                        repository: change.repository.clone(),
                        base: change.base.clone(),
                        head: change.head.clone(),
                    }),
                    submission_digest,
                    created_at: now(),
                    ended_at: None,
                    verdict: None,
                    assurance: None,
                    summary: "no verdict yet".into(),
                    steps: Vec::new(),
                };
                (submission, check)
            })
            .collect();
        let mut room = Vec::with_capacity(taken.len());
        for (submission, _) in &taken {
            let kib = u32::try_from(submission.text_bytes() / 1024).unwrap_or(u32::MAX);
            let taken = Arc::clone(&self.room).try_acquire_many_owned(kib + 1);
            room.push(taken.map_err(|_| CheckError::Full)?);
        }
        let checks: Vec<Check> = taken.iter().map(|(_, check)| check.clone()).collect();
        // Whoever gets an id finds the check under it, whatever happens to this process.
        self.store.put_checks(checks.clone(), Vec::new()).await?;
        for ((submission, check), room) in taken.into_iter().zip(room) {
            let (news, mut told) = mpsc::unbounded_channel();
            let (end, ended) = watch::channel(None);
            let following = Following {
                ended,
                news: broadcast::Sender::new(NEWS_MAX),
            };
            let followers = following.news.clone();
            self.live.lock().insert(check.id, following);
            let checks = Arc::clone(self);
            let place = waiting.split(1);
            self.tasks.spawn(async move {
                let id = check.id;
                let open = check.clone();
                let judged = async {
                    // A check that brings the host's own code down has an end, too.
                    let judging = AssertUnwindSafe(checks.judge(&submission, check, Some(news)))
                        .catch_unwind();
                    tokio::select! {
                        judged = judging => judged.unwrap_or_else(|_| given_up(open, FAULT)),
                        () = checks.stopping.cancelled() => given_up(open, STOPPING),
                    }
                };
                let tell = async {
                    while let Some(news) = told.recv().await {
                        let _ = followers.send(news);
                    }
                };
                let (judged, ()) = tokio::join!(judged, tell);
                drop((place, room, submission));
                checks.record(&judged).await;
                let _ = end.send(Some(Arc::new(judged)));
                checks.live.lock().remove(&id);
            });
        }
        Ok(checks)
    }

    /// Writes a verdict. Where that fails the check stays open and is given up at the next start: no verdict is better than one that nobody finds again.
    async fn record(&self, check: &Check) {
        for attempt in 1..=RECORD_TRIES {
            let events = vec![announced(check)];
            match self.store.put_checks(vec![check.clone()], events).await {
                Ok(()) => return,
                Err(error) if attempt == RECORD_TRIES || self.stopping.is_cancelled() => {
                    tracing::error!(check.id = %check.id, "the verdict of check `{}` cannot be recorded: {error}", check.id);
                    return;
                }
                Err(_) => tokio::time::sleep(RECORD_AGAIN).await,
            }
        }
    }

    /// The check as it ended, or as it is when `timeout` is over; none when there is no such check.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn wait(&self, id: Uuid, timeout: Duration) -> Result<Option<Check>, StoreError> {
        let following = self.live.lock().get(&id).cloned();
        if let Some(mut following) = following {
            let ended = following.ended.wait_for(Option::is_some);
            if let Ok(Ok(check)) = tokio::time::timeout(timeout, ended).await
                && let Some(check) = check.as_ref()
            {
                return Ok(Some(check.as_ref().clone()));
            }
        }
        self.store.check(id).await
    }

    /// What happens in a check from now on; none when it is over or there is none.
    #[must_use]
    pub fn follow(&self, id: Uuid) -> Option<broadcast::Receiver<CheckNews>> {
        self.live
            .lock()
            .get(&id)
            .map(|following| following.news.subscribe())
    }

    /// Gives up on what an earlier process left without a verdict: the code was not kept.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn recover(&self) -> Result<(), StoreError> {
        let open = self.store.open_checks().await?;
        if open.is_empty() {
            return Ok(());
        }
        let given_up: Vec<Check> = open
            .into_iter()
            .map(|check| {
                given_up(
                    check,
                    "the host ended before there was a verdict; hand the code in again",
                )
            })
            .collect();
        debug_assert!(
            given_up
                .iter()
                .all(|check| check.verdict == Some(CheckVerdict::Error))
        );
        let events = given_up.iter().map(announced).collect();
        self.store.put_checks(given_up, events).await
    }
}
