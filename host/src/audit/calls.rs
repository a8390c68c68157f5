//! Gathers what was asked of the API and brings it into the journal: each change by itself, and reads that are the same as one record with their number.
//!
//! What a change did is in the journal by the commit that did it; the record here says who asked, and comes within a second. A host that is killed loses the records of that second.

use super::{Record, cut};
use crate::access::address::Client;
use crate::store::{Store, StoreError};
use http::Method;
use serde_json::json;
use std::collections::HashMap;
use std::collections::hash_map::{Entry, RandomState};
use std::hash::BuildHasher as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// How long a change waits to be written.
const CHANGES_EVERY: Duration = Duration::from_secs(1);

/// How long reads are counted together: a client that polls twice a second is one record in this time.
const READS_EVERY: Duration = Duration::from_secs(10);

/// Records that wait: more than that within their time is a flood, of which the sum is written.
const WAITING_MAX: usize = 2_000;

/// A request that was answered.
#[derive(Clone, Copy, Debug)]
pub struct Call<'c> {
    /// Who came; none where nobody has to say.
    pub user: Option<&'c str>,
    /// With which key, or in which session.
    pub key: Option<Uuid>,
    /// From where; none for the socket of the state folder, and where nobody has to say who comes.
    pub address: Option<Client>,
    /// What the client says that it is.
    pub user_agent: Option<&'c str>,
    /// The method.
    pub method: &'c Method,
    /// The route as the document writes it, without what stood in its place.
    pub route: &'c str,
    /// The status of the answer.
    pub status: u16,
    /// How long it took.
    pub took: Duration,
}

impl Call<'_> {
    fn is_read(&self) -> bool {
        *self.method == Method::GET || *self.method == Method::HEAD
    }

    /// The record, whose persons are named.
    fn record(&self) -> Record {
        let mut record = Record::new(action(self.method, self.route), "route");
        record.user_id = self.user.map(str::to_owned);
        record.device_id = self.key.map(|key| key.to_string());
        record.ip_address = self.address.map(|address| address.to_string());
        record.user_agent = self.user_agent.map(cut);
        record.resource_id = Some(format!("{} {}", self.method, self.route));
        record.success = self.status < 400;
        record.detail.insert("status".into(), json!(self.status));
        record
    }
}

#[derive(Debug)]
struct Waiting {
    record: Record,
    took: Duration,
    read: bool,
}

#[derive(Debug, Default)]
struct Gathered {
    /// By a hash of what makes calls the same, with a number for a change, which is the same as no other. With a random key two that differ have one hash once in ten thousand million years.
    waiting: HashMap<u64, Waiting>,
    changes: u64,
    reads_since: Option<Instant>,
}

/// Gathers calls.
#[derive(Clone)]
pub struct Calls {
    store: Arc<dyn Store>,
    gathered: Arc<Mutex<Gathered>>,
    hashes: RandomState,
}

/// The action of a route that older systems have a name for.
fn action(method: &Method, route: &str) -> &'static str {
    let safe = *method == Method::GET || *method == Method::HEAD;
    match (safe, route) {
        (true, "/status" | "/v1/status") => "status",
        (true, "/bans" | "/v1/bans") => "bans_view",
        (true, "/audit") => "audit_view",
        (true, route) if route.starts_with("/v1/audit/") => "audit_view",
        (false, "/pause" | "/v1/pause") => "pause",
        (false, "/resume" | "/v1/resume") => "resume",
        (false, "/deploy" | "/autodeploy/{name}") => "deploy",
        (true, _) => "api.read",
        (false, _) => "api.change",
    }
}

impl Calls {
    /// With nothing gathered.
    #[must_use]
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self {
            store,
            gathered: Arc::default(),
            hashes: RandomState::new(),
        }
    }

    /// Notes a call.
    pub fn note(&self, call: &Call<'_>) {
        let mut gathered = self.gathered.lock().unwrap_or_else(PoisonError::into_inner);
        let read = call.is_read();
        gathered.changes += u64::from(!read);
        // Those of whom nobody knows who they are fill no disk: theirs are counted.
        let counted = read || call.user.is_none();
        let number = if counted { 0 } else { gathered.changes };
        let asked = (call.method, call.route, call.status);
        let who = (call.user, call.key, call.address, call.user_agent);
        let key = (who, asked, number);
        let mut call = *call;
        let mut hash = self.hashes.hash_one(key);
        if gathered.waiting.len() >= WAITING_MAX && !gathered.waiting.contains_key(&hash) {
            // Of a flood it is kept what was asked and what became of it, and no longer by whom.
            (call.user, call.key) = (None, None);
            (call.address, call.user_agent) = (None, None);
            hash = self.hashes.hash_one(asked);
        }
        if counted {
            gathered.reads_since.get_or_insert_with(Instant::now);
        }
        match gathered.waiting.entry(hash) {
            Entry::Occupied(mut same) => {
                let same = same.get_mut();
                same.record.count += 1;
                same.took += call.took;
            }
            Entry::Vacant(place) => {
                place.insert(Waiting {
                    record: call.record(),
                    took: call.took,
                    read: counted,
                });
            }
        }
    }

    /// Brings what is due into the journal; everything, with `all`.
    ///
    /// # Errors
    /// When the store fails; what was not written is kept for the next time.
    pub async fn flush(&self, all: bool) -> Result<(), StoreError> {
        let taken: Vec<(u64, Waiting)> = {
            let mut gathered = self.gathered.lock().unwrap_or_else(PoisonError::into_inner);
            let reads = all
                || gathered.waiting.len() >= WAITING_MAX
                || gathered
                    .reads_since
                    .is_some_and(|since| since.elapsed() >= READS_EVERY);
            if reads {
                gathered.reads_since = None;
            }
            gathered
                .waiting
                .extract_if(|_, waiting| reads || !waiting.read)
                .collect()
        };
        if taken.is_empty() {
            return Ok(());
        }
        let mut records: Vec<Record> = taken
            .iter()
            .map(|(_, waiting)| {
                let mut record = waiting.record.clone();
                let each = waiting.took.as_millis() / u128::from(record.count.max(1));
                record.duration_ms = u64::try_from(each).ok();
                record
            })
            .collect();
        records.sort_by_key(|record| record.timestamp);
        let written = self.store.note(records).await;
        if written.is_err() {
            let mut gathered = self.gathered.lock().unwrap_or_else(PoisonError::into_inner);
            gathered.reads_since.get_or_insert_with(Instant::now);
            for (hash, waiting) in taken {
                let room = gathered.waiting.len() < WAITING_MAX;
                match gathered.waiting.entry(hash) {
                    Entry::Occupied(mut same) => {
                        let same = same.get_mut();
                        same.record.count += waiting.record.count;
                        same.took += waiting.took;
                    }
                    Entry::Vacant(place) if room => {
                        place.insert(waiting);
                    }
                    Entry::Vacant(_) => {}
                }
            }
        }
        written
    }

    /// Flushes until it is told to end, and then once more.
    pub async fn run(self, ending: CancellationToken) {
        loop {
            tokio::select! {
                () = ending.cancelled() => break,
                () = tokio::time::sleep(CHANGES_EVERY) => {}
            }
            if let Err(error) = self.flush(false).await {
                tracing::error!("calls of the API could not be written to the journal: {error}");
            }
        }
        if let Err(error) = self.flush(true).await {
            tracing::error!(
                "the last calls of the API could not be written to the journal: {error}"
            );
        }
    }
}
