//! The journal: what happens is in it by the same commit, nobody is named in it, and nothing in it changes unseen.

use super::{Result, open};
use infinity::audit::Record;
use infinity::audit::chain::Checkpoint;
use infinity::forge::signing::SigningKey;
use infinity::model::{Event, now};
use infinity::store::{
    Entry, JournalFilter, JournalReader, PageRequest, Retention, SqliteStore, Store, StoreError,
    Verified, keep, verify_journal,
};
use jiff::Timestamp;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection, SqliteConnection};
use std::fs;
use std::path::Path;

fn event(kind: &str, data: Value) -> Event {
    Event::new("/access".into(), kind, "203.0.113.7".into(), data)
}

fn banned() -> Event {
    event(
        "security.ban",
        json!({ "address": "203.0.113.7", "by": { "kind": "key", "name": "grace" }, "reason": "failed keys" }),
    )
}

async fn all(store: &SqliteStore) -> std::result::Result<Vec<Entry>, StoreError> {
    let page = PageRequest {
        limit: 500,
        ..PageRequest::default()
    };
    Ok(store.journal(JournalFilter::default(), page).await?.items)
}

async fn verified(state: &Path, checkpoints: &[Checkpoint]) -> Result<Verified> {
    Ok(verify_journal(state, checkpoints, &|_, _, _| {}).await?)
}

/// Somebody who can write to the file and knows SQLite.
async fn tamper(state: &Path, sql: &str) -> Result {
    let path = state.join("infinity.db");
    let mut connection = SqliteConnection::connect(&format!("sqlite://{}", path.display())).await?;
    let sql = format!(
        "DROP TRIGGER IF EXISTS journal_is_not_changed; DROP TRIGGER IF EXISTS journal_is_not_removed; {sql}"
    );
    sqlx::raw_sql(AssertSqlSafe(sql))
        .execute(&mut connection)
        .await?;
    connection.close().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_announced_is_in_the_journal_and_names_nobody() -> Result {
    let state = tempfile::tempdir()?;
    let store = open(state.path()).await?;
    store.publish(banned()).await?;
    let twice = banned();
    store.publish(twice.clone()).await?;
    assert!(!store.publish(twice).await?, "it is known");
    store
        .publish(event("system.health", json!({ "ok": true })))
        .await?;
    let mut called = Record::new("api.change", "route");
    called.user_id = Some("grace".into());
    called.user_agent = Some("curl/8".into());
    store.note(vec![called]).await?;
    let found = all(&store).await?;
    assert_eq!(found.len(), 3, "{found:?}");
    assert_eq!(
        found.iter().map(|entry| entry.seq).collect::<Vec<_>>(),
        [3, 2, 1]
    );
    let (call, ban) = (&found[0].record, &found[2].record);
    assert_eq!(
        (call.action.as_str(), ban.action.as_str()),
        ("api.change", "ban")
    );
    // The same person wherever they appear, and two records of one address are of one.
    assert_eq!(call.user_id, ban.user_id);
    assert_eq!(found[1].record.ip_address, ban.ip_address);
    let text = serde_json::to_string(&found)?;
    assert!(
        !text.contains("grace") && !text.contains("203.0.113"),
        "{text}"
    );
    let pseudonyms = [
        call.user_id.clone(),
        ban.ip_address.clone(),
        call.user_agent.clone(),
    ]
    .map(Option::unwrap_or_default);
    let people = store.people(&pseudonyms).await?;
    assert_eq!(
        people.values().collect::<Vec<_>>(),
        ["203.0.113.7", "curl/8", "grace"]
    );
    // By name as by pseudonym.
    for user in ["grace", &pseudonyms[0]] {
        let filter = JournalFilter {
            user: Some(user.into()),
            ..JournalFilter::default()
        };
        let page = store.journal(filter, PageRequest::default()).await?;
        assert_eq!(page.items.len(), 3, "{user}");
    }
    store.close().await?;
    // Sealed: no record can be read in the file. What the feed keeps for a week stands in its own table.
    let bytes = fs::read(state.path().join("infinity.db"))?;
    assert!(!bytes.windows(6).any(|part| part == b"curl/8"));
    assert_eq!(verified(state.path(), &[]).await?.broken, None);

    // Not sealed, if somebody wants it so; and what was sealed stays readable.
    let store = SqliteStore::open_with(state.path(), false).await?;
    store.note(vec![Record::new("status", "host")]).await?;
    assert_eq!(all(&store).await?.len(), 4);
    store.close().await?;
    let reader = JournalReader::open(state.path()).await?;
    let (page, next) = reader.page(&JournalFilter::default(), None, 2).await?;
    assert_eq!((page.len(), next), (2, Some(3)));
    assert_eq!(page[0].record.action, "status");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_recorded_is_not_done() -> Result {
    let state = tempfile::tempdir()?;
    let store = open(state.path()).await?;
    store.publish(banned()).await?;
    let sql = "CREATE TRIGGER full BEFORE INSERT ON journal BEGIN SELECT RAISE(ABORT, 'no'); END";
    tamper(state.path(), sql).await?;
    let refused = banned();
    assert!(store.publish(refused.clone()).await.is_err());
    let many = (0..20).map(|_| store.publish(banned()));
    let many = futures(many).await;
    assert!(many.iter().all(std::result::Result::is_err));
    // What leaves no record goes on.
    store.set_flag("flag", Some("up")).await?;
    tamper(state.path(), "DROP TRIGGER full").await?;
    assert!(store.publish(refused).await?, "it was not there");
    assert_eq!(all(&store).await?.len(), 2);
    assert_eq!(store.verify_journal().await?.broken, None);
    store.close().await?;
    Ok(())
}

async fn futures<F: Future>(all: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut answers = Vec::new();
    for one in all {
        answers.push(one.await);
    }
    answers
}

#[tokio::test(flavor = "multi_thread")]
async fn every_change_to_the_file_is_found_at_its_record() -> Result {
    let state = tempfile::tempdir()?;
    let key = SigningKey::open(state.path())?;
    let store = open(state.path()).await?;
    for _ in 0..20 {
        store.publish(banned()).await?;
    }
    let (journal, end) = store.journal_end().await?;
    let early = Checkpoint::sign(&journal, end, now(), &key)?;
    for _ in 0..20 {
        store.publish(banned()).await?;
    }
    let (_, end) = store.journal_end().await?;
    let late = Checkpoint::sign(&journal, end, now(), &key)?;
    store.close().await?;
    let whole = verified(state.path(), &[early.clone(), late.clone()]).await?;
    assert_eq!((whole.broken, whole.seq, whole.records), (None, 40, 40));

    let older = tempfile::tempdir()?;
    for (what, sql, without, with) in [
        (
            "edited",
            "UPDATE journal SET sealed = CAST(sealed || x'00' AS BLOB) WHERE seq = 7",
            Some(7),
            Some(7),
        ),
        (
            "another moment",
            "UPDATE journal SET at = at + 1 WHERE seq = 40",
            Some(40),
            Some(40),
        ),
        (
            "another action",
            "UPDATE journal SET action = 'status' WHERE seq = 1",
            Some(1),
            Some(1),
        ),
        (
            "another hash",
            "UPDATE journal SET hash = zeroblob(32) WHERE seq = 9",
            Some(9),
            Some(9),
        ),
        (
            "deleted",
            "DELETE FROM journal WHERE seq = 12",
            Some(12),
            Some(12),
        ),
        (
            "reordered",
            "UPDATE journal SET seq = -1 WHERE seq = 3; UPDATE journal SET seq = 3 WHERE seq = 4; UPDATE journal SET seq = 4 WHERE seq = -1",
            Some(3),
            Some(3),
        ),
        (
            "put in between",
            "INSERT INTO journal SELECT 41, at, action, sealed, hash FROM journal WHERE seq = 40",
            Some(41),
            Some(41),
        ),
        (
            "put in before the first",
            "INSERT INTO journal SELECT 0, at, action, sealed, hash FROM journal WHERE seq = 1",
            Some(0),
            Some(0),
        ),
        (
            "cut off",
            "DELETE FROM journal WHERE seq > 30",
            None,
            Some(31),
        ),
        ("all gone", "DELETE FROM journal", None, Some(1)),
        (
            "another journal",
            "DELETE FROM journal; UPDATE meta SET value = randomblob(16) WHERE name = 'journal_id'",
            None,
            Some(1),
        ),
    ] {
        let copy = tempfile::tempdir_in(older.path())?;
        fs::copy(
            state.path().join("infinity.db"),
            copy.path().join("infinity.db"),
        )?;
        tamper(copy.path(), sql).await?;
        let found = verified(copy.path(), &[]).await?;
        assert_eq!(found.broken.map(|broken| broken.seq), without, "{what}");
        let checked = keep::check(copy.path(), &|_, _, _| {}).await?;
        assert_eq!(checked.problems.is_empty(), without.is_none(), "{what}");
        let found = verified(copy.path(), &[early.clone(), late.clone()]).await?;
        assert_eq!(
            found.broken.map(|broken| broken.seq),
            with,
            "{what}, with checkpoints"
        );
    }

    // An older copy in the place of the database, with a new end of its own: the chain is whole, and the checkpoint tells.
    let copy = tempfile::tempdir()?;
    for file in ["infinity.db", "journal.keys"] {
        fs::copy(state.path().join(file), copy.path().join(file))?;
    }
    tamper(copy.path(), "DELETE FROM journal WHERE seq > 20").await?;
    let store = open(copy.path()).await?;
    for _ in 0..30 {
        store.publish(banned()).await?;
    }
    store.close().await?;
    assert_eq!(verified(copy.path(), &[early]).await?.broken, None);
    let found = verified(copy.path(), &[late]).await?;
    assert_eq!(found.broken.map(|broken| broken.seq), Some(40));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_takes_records_away() -> Result {
    let state = tempfile::tempdir()?;
    let store = open(state.path()).await?;
    for _ in 0..5 {
        store.publish(banned()).await?;
    }
    let nothing = Retention {
        runs_per_agent: 0,
        runs_per_agent_max: 0,
        executions_per_pipeline: 0,
        checks_since: Timestamp::MAX,
        alerts_since: Timestamp::MAX,
        runs_since: Timestamp::MAX,
        events_since: Timestamp::MAX,
        effects_since: Timestamp::MAX,
        occurrences_since: Timestamp::MAX,
        logs_hot_since: Timestamp::MAX,
        logs_since: Timestamp::MAX,
    };
    assert_eq!(store.prune(nothing).await?.events, 5);
    store.shrink(0).await?;
    store.forget("any").await?;
    store.close().await?;
    keep::vacuum(state.path(), &|_, _, _| {}).await?;
    let path = state.path().join("infinity.db");
    let mut connection = SqliteConnection::connect(&format!("sqlite://{}", path.display())).await?;
    for sql in ["DELETE FROM journal", "UPDATE journal SET at = 0"] {
        let error = sqlx::query(sql).execute(&mut connection).await;
        assert!(error.is_err_and(|error| error.to_string().contains("journal")));
    }
    connection.close().await?;
    let found = verified(state.path(), &[]).await?;
    assert_eq!((found.seq, found.broken), (5, None));
    // A copy of the store has its journal and can be read.
    let to = tempfile::tempdir()?;
    keep::copy(state.path(), &to.path().join("copy"), &|_, _, _| {}).await?;
    let reader = JournalReader::open(&to.path().join("copy")).await?;
    let (page, _) = reader.page(&JournalFilter::default(), None, 10).await?;
    assert!(page.len() == 5 && page.iter().all(|entry| entry.unreadable.is_none()));
    // What a copy replaces is moved aside with its keys.
    let copy = to.path().join("copy");
    let (_, aside) = keep::restore(&copy, state.path(), true, &|_, _, _| {}).await?;
    let aside = JournalReader::open(&aside.unwrap_or_default()).await?;
    let (page, _) = aside.page(&JournalFilter::default(), None, 10).await?;
    assert!(page.len() == 5 && page.iter().all(|entry| entry.unreadable.is_none()));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_erased_is_nobody_and_the_chain_is_whole() -> Result {
    let state = tempfile::tempdir()?;
    let store = open(state.path()).await?;
    store.publish(banned()).await?;
    let before = all(&store).await?;
    let pseudonym = before[0].record.user_id.clone().unwrap_or_default();
    let note = || Record::new("audit.erased", "person");
    assert!(!store.erase_person("user", "nobody", note()).await?);
    assert!(store.erase_person("user", "grace", note()).await?);
    assert!(!store.erase_person("user", "grace", note()).await?);
    assert!(
        store
            .people(std::slice::from_ref(&pseudonym))
            .await?
            .is_empty()
    );
    store.publish(banned()).await?;
    let after = all(&store).await?;
    assert_eq!(after.len(), 3, "one erasure is noted");
    assert_ne!(after[0].record.user_id, Some(pseudonym), "a new one");
    assert_eq!(after[2], before[0], "records stay");
    assert_eq!(after[0].record.ip_address, after[2].record.ip_address);
    assert_eq!(store.verify_journal().await?.broken, None);
    // With a new key as well.
    assert_eq!(
        store
            .rotate_journal_key(Record::new("audit.rotated", "journal"))
            .await?,
        2
    );
    store.publish(banned()).await?;
    assert!(
        all(&store)
            .await?
            .iter()
            .all(|entry| entry.unreadable.is_none())
    );
    store.close().await?;
    // Without the keys the chain is as whole, and records say no more than their action.
    fs::remove_file(state.path().join("journal.keys"))?;
    let store = open(state.path()).await?;
    let found = all(&store).await?;
    assert!(found.iter().all(|entry| entry.unreadable.is_some()));
    assert_eq!(
        found.last().map(|entry| entry.record.action.as_str()),
        Some("ban")
    );
    assert_eq!(store.verify_journal().await?.broken, None);
    store.close().await?;
    Ok(())
}
