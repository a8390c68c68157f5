//! Who is kept out before any key is looked at: bans, lockouts after failed keys, and rates of requests.
//!
//! Five failures within 15 minutes lock a client out for 15 minutes; five further ones ban it until somebody lifts the ban. A key that is tried with wrong secrets is locked, too, from
//! wherever they come. Rates are counted by client, and by who comes once that is known.
//!
//! Invariants: everything here is bounded; failures, lockouts and bans outlast the process. Time is the process's own, so that a clock that is set lets nobody in.

use super::address::Client;
use crate::model::Event;
use crate::store::{OffenderRow, Store, StoreError};
use arc_swap::ArcSwap;
use ipnet::IpNet;
use jiff::{SignedDuration, Timestamp};
use lru::LruCache;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use utoipa::ToSchema;
use uuid::Uuid;

/// Failures that lock out, and how long they count.
pub const FAILURES: usize = 5;
/// How long a failure counts.
const FAILURE_WINDOW: SignedDuration = SignedDuration::from_mins(15);
/// How long a lockout lasts.
pub const LOCKOUT: SignedDuration = SignedDuration::from_mins(15);
/// How long a lockout is remembered: the next one after it is the first again.
const MEMORY: SignedDuration = SignedDuration::from_hours(24);

/// Clients and keys that are remembered for failures. Who was quiet longest is forgotten.
const OFFENDERS: NonZeroUsize = NonZeroUsize::new(100_000).expect("is not zero");
/// Bans at once; the oldest makes room.
const BANS_MAX: usize = 100_000;
/// Counted windows: one for each client and class of request.
const WINDOWS: NonZeroUsize = NonZeroUsize::new(100_000).expect("is not zero");
/// Clients whose refusals are gathered.
const NOISY: NonZeroUsize = NonZeroUsize::new(10_000).expect("is not zero");

/// Over how many seconds requests are counted.
pub const WINDOW_SECONDS: i64 = 10;
/// Default of [`Settings::reads`]: a console and some programs behind one address.
pub const READS: u32 = 1_000;
/// Default of [`Settings::changes`].
pub const CHANGES: u32 = 300;
/// Reads and changes of a client in a window of each route that older systems know.
pub const OLD_READS: u32 = 20;
/// As [`OLD_READS`], for what changes something.
pub const OLD_CHANGES: u32 = 1;

/// How often refusals of one client are told of.
const TELL_EVERY: SignedDuration = SignedDuration::from_mins(1);

/// What the name of a key among clients begins with.
const KEY: &str = "key:";

/// The flag that keeps the windows over a restart, and how many of them.
const WINDOWS_FLAG: &str = "access/windows";
const WINDOWS_KEPT: usize = 10_000;

/// What the operator set.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Who is not banned, only locked out.
    pub never_banned: Vec<IpNet>,
    /// Whether the fifth failure bans.
    pub ban_at_first_lockout: bool,
    /// Reads in a window, of all routes that have no number of their own.
    pub reads: u32,
    /// Changes in a window, likewise.
    pub changes: u32,
    /// Requests in a window, by method and path as in the document.
    pub rates: BTreeMap<String, u32>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            never_banned: Vec::new(),
            ban_at_first_lockout: false,
            reads: READS,
            changes: CHANGES,
            rates: BTreeMap::new(),
        }
    }
}

/// What is remembered of a client or a key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offender {
    /// The failures that count, oldest first.
    failures: Vec<Timestamp>,
    locked_until: Option<Timestamp>,
    locked_at: Option<Timestamp>,
    banned_at: Option<Timestamp>,
    reason: Option<String>,
    /// Rises with each change, so that of two writes the later one stays.
    version: i64,
}

/// A client that is kept out until somebody lets it in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Ban {
    /// The client: an address, or of IPv6 a network of 64 bits.
    pub address: String,
    /// Since when.
    #[schema(value_type = String, format = DateTime)]
    pub banned_at: Timestamp,
    /// Why.
    pub reason: String,
}

/// A client or a key that is kept out for a while.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Lockout {
    /// The client, as in a ban, or `key:` and a key's id.
    pub subject: String,
    /// Until when.
    #[schema(value_type = String, format = DateTime)]
    pub until: Timestamp,
}

/// Why a request goes no further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Barred {
    /// Until somebody lifts the ban.
    Banned,
    /// For so many seconds.
    Locked(u64),
    /// For so many seconds.
    TooMany(u64),
}

/// Who is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Subject {
    /// A client, by its address.
    Client(Client),
    /// Whoever comes with a key.
    Key(Uuid),
}

impl std::fmt::Display for Subject {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Client(client) => client.fmt(formatter),
            Self::Key(id) => write!(formatter, "{KEY}{id}"),
        }
    }
}

impl Subject {
    fn read(text: &str) -> Option<Self> {
        match text.strip_prefix(KEY) {
            Some(id) => id.parse().ok().map(Self::Key),
            None => text.parse().ok().map(Self::Client),
        }
    }
}

/// What is counted together.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Class {
    Reads,
    Changes,
    /// A route with a number of its own.
    Route(String),
}

/// A moment's worth of requests, second by second.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Window(Vec<(i64, u32)>);

impl Window {
    /// Counts a request, or says for how many seconds there is room for none.
    fn count(&mut self, second: i64, most: u32) -> Result<(), u64> {
        // The second in which a window began counts whole, so that there is never more in any ten.
        self.0.retain(|(at, _)| second - at <= WINDOW_SECONDS);
        let sum: u64 = self.0.iter().map(|(_, count)| u64::from(*count)).sum();
        if sum >= u64::from(most) {
            let mut left = sum;
            for (at, count) in &self.0 {
                left -= u64::from(*count);
                if left < u64::from(most) {
                    return Err(u64::try_from(at + WINDOW_SECONDS + 1 - second).unwrap_or(1));
                }
            }
            return Err(WINDOW_SECONDS.unsigned_abs());
        }
        match self.0.last_mut() {
            Some((at, count)) if *at == second => *count += 1,
            _ => self.0.push((second, 1)),
        }
        Ok(())
    }
}

/// Refusals of one client that were not told of yet.
struct Noise {
    told_at: Timestamp,
    since: u64,
}

/// Who is kept out.
pub struct Guard {
    store: Arc<dyn Store>,
    settings: Settings,
    began: (Timestamp, Instant),
    offenders: Mutex<LruCache<String, Offender>>,
    bans: ArcSwap<HashMap<Client, Ban>>,
    /// One change of the bans at a time.
    changing: tokio::sync::Mutex<()>,
    windows: Mutex<LruCache<(Subject, Class), Window>>,
    noise: Mutex<LruCache<(Client, &'static str), Noise>>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Each map is whole after every statement.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn event(kind: &str, subject: &str, data: Value) -> Event {
    Event::new(
        "/access".into(),
        format!("security.{kind}"),
        subject.to_owned(),
        data,
    )
}

impl Guard {
    /// With what the store remembers.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn open(store: Arc<dyn Store>, settings: Settings) -> Result<Self, StoreError> {
        let mut offenders = LruCache::new(OFFENDERS);
        let mut bans = HashMap::new();
        // Oldest first, so that who was last stays longest.
        for row in store.offenders().await? {
            if let (Some(banned_at), Ok(client)) = (row.offender.banned_at, row.subject.parse()) {
                let ban = Ban {
                    address: row.subject.clone(),
                    banned_at,
                    reason: row.offender.reason.clone().unwrap_or_default(),
                };
                bans.insert(client, ban);
            }
            offenders.put(row.subject, row.offender);
        }
        let mut windows = LruCache::new(WINDOWS);
        let kept = store.flags().await?.remove(WINDOWS_FLAG);
        let kept: Vec<(String, Class, Window)> = kept
            .and_then(|text| serde_json::from_str(&text).ok())
            .unwrap_or_default();
        for (subject, class, window) in kept {
            if let Some(subject) = Subject::read(&subject) {
                windows.put((subject, class), window);
            }
        }
        Ok(Self {
            store,
            settings,
            began: (crate::model::now(), Instant::now()),
            offenders: Mutex::new(offenders),
            bans: ArcSwap::from_pointee(bans),
            changing: tokio::sync::Mutex::new(()),
            windows: Mutex::new(windows),
            noise: Mutex::new(LruCache::new(NOISY)),
        })
    }

    /// The time that everything here goes by.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        let (wall, began) = &self.began;
        let since = SignedDuration::try_from(began.elapsed()).unwrap_or_default();
        *wall + since
    }

    /// Whether the client is banned.
    #[must_use]
    pub fn is_banned(&self, client: Client) -> bool {
        self.bans.load().contains_key(&client)
    }

    /// For how many seconds the client, or the key that it shows, is locked out.
    #[must_use]
    pub fn is_locked(&self, client: Client, key: Option<Uuid>) -> Option<u64> {
        let now = self.now();
        let offenders = locked(&self.offenders);
        if offenders.is_empty() {
            return None;
        }
        let subjects = [Some(client.to_string()), key.map(of_key)];
        subjects
            .into_iter()
            .flatten()
            .filter_map(|subject| offenders.peek(&subject)?.locked_until)
            .filter(|until| *until > now)
            .map(|until| {
                let left = until.duration_since(now).as_secs();
                u64::try_from(left).unwrap_or(0) + 1
            })
            .max()
    }

    /// Counts a request, and says for how many seconds there is no room for one more. `route` is method and path; `old` is whether older systems know it.
    ///
    /// # Errors
    /// The seconds.
    pub fn count(
        &self,
        subject: Subject,
        route: impl Fn() -> String,
        reads: bool,
        old: bool,
    ) -> Result<(), u64> {
        // Most routes have no number of their own, and then no text is made of them.
        let named = (old || !self.settings.rates.is_empty()).then(route);
        let own = named
            .as_ref()
            .and_then(|route| self.settings.rates.get(route).copied());
        let (class, most) = match (named, own, reads) {
            (Some(route), Some(most), _) => (Class::Route(route), most),
            (Some(route), None, true) if old => (Class::Route(route), OLD_READS),
            (Some(route), None, false) if old => (Class::Route(route), OLD_CHANGES),
            (_, _, true) => (Class::Reads, self.settings.reads),
            (_, _, false) => (Class::Changes, self.settings.changes),
        };
        let second = self.now().as_second();
        let mut windows = locked(&self.windows);
        windows
            .get_or_insert_mut((subject, class), Window::default)
            .count(second, most)
    }

    /// Notes a failed key, and what comes of it: for how many seconds the client is locked out now, or that it is banned.
    ///
    /// # Errors
    /// When the store fails; the failure counts all the same.
    pub async fn failed(
        &self,
        client: Client,
        key: Option<Uuid>,
        reason: &'static str,
    ) -> Result<Option<Barred>, StoreError> {
        let now = self.now();
        let name = client.to_string();
        let mut events = vec![event(
            "invalid_key",
            &name,
            json!({ "address": name, "reason": reason, "key": key }),
        )];
        let mut barred = None;
        let mut rows = Vec::new();
        {
            let mut offenders = locked(&self.offenders);
            for subject in [Some(name.clone()), key.map(of_key)].into_iter().flatten() {
                let is_client = subject == name;
                let spared = !is_client || client.is_in(&self.settings.never_banned);
                let offender = offenders.get_or_insert_mut(subject.clone(), Offender::default);
                let came = offender.fail(now, spared, self.settings.ban_at_first_lockout);
                match came {
                    Some(Barred::Banned) => events.push(event(
                        "ban",
                        &name,
                        json!({ "address": name, "reason": "failed keys" }),
                    )),
                    Some(Barred::Locked(seconds)) => events.push(event(
                        "lockout",
                        &subject,
                        json!({ "address": name, "subject": subject, "seconds": seconds }),
                    )),
                    _ => {}
                }
                barred = barred.or(came);
                rows.push(OffenderRow {
                    subject,
                    version: offender.version,
                    offender: offender.clone(),
                });
            }
        }
        if barred == Some(Barred::Banned) {
            self.add_ban(client, now, "failed keys").await;
        }
        self.store.put_offenders(rows, events).await?;
        Ok(barred)
    }

    async fn add_ban(&self, client: Client, banned_at: Timestamp, reason: &str) {
        let _changing = self.changing.lock().await;
        let mut bans = HashMap::clone(&self.bans.load());
        if bans.len() >= BANS_MAX
            && let Some(oldest) = bans
                .iter()
                .min_by_key(|(_, ban)| ban.banned_at)
                .map(|(client, _)| *client)
        {
            bans.remove(&oldest);
        }
        let ban = Ban {
            address: client.to_string(),
            banned_at,
            reason: reason.into(),
        };
        bans.insert(client, ban);
        self.bans.store(Arc::new(bans));
    }

    /// Tells of a refusal, of which there can be many: at once, then once a minute with their number.
    pub async fn refused(&self, client: Client, kind: &'static str) {
        let now = self.now();
        let count = {
            let mut noise = locked(&self.noise);
            match noise.get_mut(&(client, kind)) {
                Some(one) if now.duration_since(one.told_at) < TELL_EVERY => {
                    one.since += 1;
                    return;
                }
                Some(one) => {
                    let count = one.since + 1;
                    *one = Noise {
                        told_at: now,
                        since: 0,
                    };
                    count
                }
                None => {
                    let first = Noise {
                        told_at: now,
                        since: 0,
                    };
                    noise.put((client, kind), first);
                    1
                }
            }
        };
        let name = client.to_string();
        let event = event(kind, &name, json!({ "address": name, "requests": count }));
        if let Err(error) = self.store.publish(event).await {
            tracing::warn!("a refusal of {name} could not be recorded: {error}");
        }
    }

    /// The bans, the newest first.
    #[must_use]
    pub fn bans(&self) -> Vec<Ban> {
        let mut bans: Vec<Ban> = self.bans.load().values().cloned().collect();
        bans.sort_by(|one, other| {
            (other.banned_at, &one.address).cmp(&(one.banned_at, &other.address))
        });
        bans
    }

    /// The lockouts that are on, the longest first.
    #[must_use]
    pub fn lockouts(&self) -> Vec<Lockout> {
        let now = self.now();
        let mut lockouts: Vec<Lockout> = locked(&self.offenders)
            .iter()
            .filter_map(|(subject, offender)| {
                let until = offender.locked_until.filter(|until| *until > now)?;
                Some(Lockout {
                    subject: subject.clone(),
                    until,
                })
            })
            .collect();
        lockouts
            .sort_by(|one, other| (other.until, &one.subject).cmp(&(one.until, &other.subject)));
        lockouts
    }

    /// Lifts a ban and forgets what led to it; `false` when there is none.
    ///
    /// # Errors
    /// When the store fails; the ban stays then.
    pub async fn unban(&self, client: Client, by: &Value) -> Result<bool, StoreError> {
        let _changing = self.changing.lock().await;
        let mut bans = HashMap::clone(&self.bans.load());
        if bans.remove(&client).is_none() {
            return Ok(false);
        }
        self.forget(&client.to_string(), "unban", by).await?;
        self.bans.store(Arc::new(bans));
        Ok(true)
    }

    /// Ends a lockout; `false` when there is none.
    ///
    /// # Errors
    /// When the store fails; the lockout stays then.
    pub async fn unlock(&self, subject: &str, by: &Value) -> Result<bool, StoreError> {
        let is_on = self.lockouts().iter().any(|one| one.subject == subject);
        if is_on {
            self.forget(subject, "unlock", by).await?;
        }
        Ok(is_on)
    }

    async fn forget(&self, subject: &str, kind: &str, by: &Value) -> Result<(), StoreError> {
        let version = locked(&self.offenders)
            .peek(subject)
            .map_or(0, |offender| offender.version)
            + 1;
        let offender = Offender {
            version,
            ..Offender::default()
        };
        let row = OffenderRow {
            subject: subject.to_owned(),
            version,
            offender: offender.clone(),
        };
        let event = event(kind, subject, json!({ "subject": subject, "by": by }));
        self.store.put_offenders(vec![row], vec![event]).await?;
        locked(&self.offenders).put(subject.to_owned(), offender);
        Ok(())
    }

    /// Keeps the windows that count, for the process after this one.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn keep(&self) -> Result<(), StoreError> {
        let second = self.now().as_second();
        let kept: Vec<(String, Class, Window)> = locked(&self.windows)
            .iter()
            .take(WINDOWS_KEPT)
            .filter(|(_, window)| {
                window
                    .0
                    .last()
                    .is_some_and(|(at, _)| second - at <= WINDOW_SECONDS)
            })
            .map(|((subject, class), window)| (subject.to_string(), class.clone(), window.clone()))
            .collect();
        let text = serde_json::to_string(&kept).unwrap_or_default();
        let flag = (!kept.is_empty()).then_some(text.as_str());
        self.store.set_flag(WINDOWS_FLAG, flag).await
    }
}

/// What a key is called among clients.
fn of_key(id: Uuid) -> String {
    Subject::Key(id).to_string()
}

impl Offender {
    fn fail(&mut self, now: Timestamp, spared: bool, ban_at_once: bool) -> Option<Barred> {
        self.version += 1;
        self.failures
            .retain(|at| now.duration_since(*at) < FAILURE_WINDOW);
        self.failures.push(now);
        if self.failures.len() < FAILURES {
            return None;
        }
        self.failures.clear();
        let again = self
            .locked_at
            .is_some_and(|at| now.duration_since(at) < MEMORY);
        if !spared && (again || ban_at_once) {
            self.banned_at = Some(now);
            self.locked_until = None;
            self.reason = Some("failed keys".into());
            return Some(Barred::Banned);
        }
        self.locked_at = Some(now);
        self.locked_until = Some(now + LOCKOUT);
        Some(Barred::Locked(LOCKOUT.as_secs().unsigned_abs()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::SqliteStore;

    fn client(text: &str) -> Client {
        text.parse().unwrap()
    }

    async fn guard(folder: &std::path::Path, settings: Settings) -> (Arc<SqliteStore>, Guard) {
        let store = Arc::new(SqliteStore::open(folder).await.unwrap());
        let guard = Guard::open(Arc::clone(&store) as Arc<dyn Store>, settings)
            .await
            .unwrap();
        (store, guard)
    }

    #[test]
    fn ten_failures_lock_out_and_then_ban() {
        let start = Timestamp::UNIX_EPOCH;
        let minute = |number: i64| start + SignedDuration::from_mins(number);
        let mut offender = Offender::default();
        let locked = Some(Barred::Locked(900));
        for number in 0..4 {
            assert_eq!(offender.fail(minute(number), false, false), None);
        }
        assert_eq!(offender.fail(minute(4), false, false), locked);
        for number in 20..24 {
            assert_eq!(offender.fail(minute(number), false, false), None);
        }
        assert_eq!(
            offender.fail(minute(24), false, false),
            Some(Barred::Banned)
        );
        // Slowly, it is never more than five in a window.
        let mut slow = Offender::default();
        for number in 0..100 {
            assert_eq!(slow.fail(minute(number * 4), false, false), None);
        }
        // Who is spared is locked out each time; a lockout of yesterday is forgotten.
        for (spared, later) in [(true, 20), (false, 25 * 60)] {
            let mut one = Offender::default();
            for begin in [0, later] {
                for number in 0..4 {
                    assert_eq!(one.fail(minute(begin + number), spared, false), None);
                }
                assert_eq!(one.fail(minute(begin + 4), spared, false), locked);
            }
        }
        let mut once = Offender::default();
        let came: Vec<_> = (0..5)
            .map(|number| once.fail(minute(number), false, true))
            .collect();
        assert_eq!(came[4], Some(Barred::Banned));
    }

    #[test]
    fn a_window_never_holds_more_than_it_may() {
        let mut window = Window::default();
        let mut let_through = Vec::new();
        let mut wait = 0;
        for second in 0..60 {
            for _ in 0..3 {
                match window.count(second, 5) {
                    Ok(()) => let_through.push(second),
                    Err(left) => {
                        wait = left;
                        let freed = window
                            .clone()
                            .count(second + i64::try_from(left).unwrap(), 5);
                        assert!(freed.is_ok(), "at {second} after {left}");
                    }
                }
            }
        }
        assert!(wait > 0);
        for begin in 0..50 {
            let within = let_through
                .iter()
                .filter(|at| (begin..=begin + WINDOW_SECONDS).contains(*at))
                .count();
            assert!(within <= 5, "{within} from {begin}");
        }
        let mut one = Window::default();
        assert_eq!(one.count(100, 1), Ok(()));
        assert_eq!(one.count(100, 1), Err(11));
        assert_eq!(one.count(110, 1), Err(1));
        assert_eq!(one.count(111, 1), Ok(()));
    }

    #[tokio::test]
    async fn failures_lockouts_and_bans_outlast_the_process() {
        let folder = tempfile::tempdir().unwrap();
        let attacker = client("203.0.113.7");
        let key = Uuid::from_u128(7);
        let (store, own) = guard(folder.path(), Settings::default()).await;
        for _ in 0..4 {
            assert_eq!(
                own.failed(attacker, Some(key), "wrong").await.unwrap(),
                None
            );
        }
        assert_eq!(own.is_locked(attacker, None), None);
        store.close().await.unwrap();
        drop((store, own));
        let (store, own) = guard(folder.path(), Settings::default()).await;
        let came = own.failed(attacker, Some(key), "wrong").await.unwrap();
        assert_eq!(came, Some(Barred::Locked(900)));
        assert!(own.is_locked(attacker, None).is_some());
        // The key is locked from elsewhere, too; another is not.
        let other = client("198.51.100.1");
        assert!(own.is_locked(other, Some(key)).is_some());
        assert_eq!(own.is_locked(other, Some(Uuid::from_u128(8))), None);
        for _ in 0..5 {
            own.failed(attacker, None, "unknown").await.unwrap();
        }
        assert!(own.is_banned(attacker) && !own.is_banned(other));
        assert_eq!(own.lockouts().len(), 1);
        store.close().await.unwrap();
        drop((store, own));
        let (store, own) = guard(folder.path(), Settings::default()).await;
        assert!(own.is_banned(attacker));
        assert_eq!(own.bans()[0].address, "203.0.113.7");
        let by = json!("test");
        assert!(own.unban(attacker, &by).await.unwrap());
        assert!(!own.unban(attacker, &by).await.unwrap());
        assert!(own.unlock(&format!("key:{key}"), &by).await.unwrap());
        assert!(!own.unlock("203.0.113.9", &by).await.unwrap());
        store.close().await.unwrap();
        drop((store, own));
        let (store, own) = guard(folder.path(), Settings::default()).await;
        assert!(own.bans().is_empty() && own.lockouts().is_empty());
        let feed = store.events(&[], None, 100).await.unwrap().items;
        let count = |kind: &str| feed.iter().filter(|event| event.kind == kind).count();
        assert_eq!(count("security.invalid_key"), 10);
        assert_eq!(count("security.lockout"), 2);
        assert_eq!(count("security.ban"), 1);
        assert_eq!(count("security.unban"), 1);
        store.close().await.unwrap();
    }

    #[tokio::test]
    async fn rates_are_of_clients_and_routes_and_outlast_the_process() {
        let folder = tempfile::tempdir().unwrap();
        let settings = Settings {
            rates: BTreeMap::from([("GET /v1/runs".to_owned(), 2)]),
            ..Settings::default()
        };
        let (store, own) = guard(folder.path(), settings.clone()).await;
        let a = Subject::Client(client("203.0.113.7"));
        let b = Subject::Key(Uuid::from_u128(7));
        let route = |name: &'static str| move || name.to_owned();
        let count = |own: &Guard, subject| own.count(subject, route("POST /deploy"), false, true);
        assert_eq!(count(&own, a), Ok(()));
        assert!(count(&own, a).is_err());
        assert_eq!(count(&own, b), Ok(()));
        for expected in [true, true, false] {
            assert_eq!(
                own.count(a, route("GET /v1/runs"), true, false).is_ok(),
                expected
            );
        }
        let through = (0..READS + 10)
            .filter(|_| own.count(a, route("GET /v1/agents"), true, false).is_ok())
            .count();
        assert_eq!(through, READS as usize);
        own.keep().await.unwrap();
        store.close().await.unwrap();
        drop((store, own));
        let (store, own) = guard(folder.path(), settings).await;
        assert!(count(&own, a).is_err() && count(&own, b).is_err());
        store.close().await.unwrap();
    }

    #[tokio::test]
    async fn many_refusals_are_told_of_once_a_minute() {
        let folder = tempfile::tempdir().unwrap();
        let (store, own) = guard(folder.path(), Settings::default()).await;
        for _ in 0..100 {
            own.refused(client("203.0.113.7"), "banned_access").await;
        }
        own.refused(client("203.0.113.8"), "banned_access").await;
        let feed = store.events(&[], None, 1000).await.unwrap().items;
        assert_eq!(feed.len(), 2);
        store.close().await.unwrap();
    }
}
