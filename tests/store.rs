//! The store from outside: what it acknowledged is there afterwards, whatever happened in between; what it refuses, it refuses with a reason.

#[path = "store/alerts.rs"]
mod alerts;
#[path = "store/journal.rs"]
mod journal;

use std::collections::HashSet;
use std::error::Error;
use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use infinity::model::{
    Artifact, ArtifactInfo, Denial, Event, Finding, Frame, Level, LogLine, Occurrence,
    OccurrenceResult, Outcome, Principal, Report, Run, RunEnd, RunState, Trigger, Usage,
};
use infinity::store::{
    KEY_MAX_BYTES, KvQuota, KvUsage, OccurrenceFilter, PageRequest, Retention, RunFilter,
    SqliteStore, Store, StoreError, VALUE_MAX_BYTES,
};
use jiff::Timestamp;
use serde_json::json;
use sqlx::{Connection, SqliteConnection};
use tempfile::TempDir;
use uuid::Uuid;

type Result<T = ()> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// Set for a process that a test starts from its own binary: the state directory to work in.
const CHILD: &str = "INFINITY_STORE_TEST_STATE";

const QUOTA: KvQuota = KvQuota {
    bytes: 4 * 1024 * 1024,
    keys: 10_000,
};

/// The SHA-256 of `hello`.
const HELLO: &str = "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";

async fn open(state: &Path) -> std::result::Result<SqliteStore, StoreError> {
    SqliteStore::open(state).await
}

fn at(microseconds: i64) -> Timestamp {
    Timestamp::from_microsecond(1_700_000_000_000_000 + microseconds).unwrap_or(Timestamp::MAX)
}

fn queued(agent: &str) -> Run {
    let id = Uuid::now_v7();
    Run {
        id,
        agent: agent.into(),
        plugin: "policy".into(),
        plugin_digest: String::new(),
        config_digest: "sha256:00".into(),
        principal: Principal::local(),
        trigger: Trigger::Manual,
        attempt: 1,
        idempotency_key: id.to_string(),
        dry_run: false,
        state: RunState::Queued,
        outcome: None,
        reason: None,
        message: None,
        hint: None,
        summary: None,
        findings: 0,
        denials: Vec::new(),
        usage: Usage::default(),
        input: json!({"pull": 7, "title": "ünïcode"}),
        scheduled_at: at(0),
        created_at: at(0),
        started_at: None,
        ended_at: None,
    }
}

fn lines(count: u64) -> Vec<LogLine> {
    (0..count)
        .map(|seq| LogLine {
            seq,
            at: at(i64::try_from(seq).unwrap_or(0)),
            level: "info".into(),
            message: format!("line {seq}"),
        })
        .collect()
}

fn event(kind: &str) -> Event {
    Event {
        time: at(9),
        ..Event::new("/agents/a".into(), kind, "x".into(), json!({ "n": 1 }))
    }
}

fn ended(run: &Run, outcome: Outcome) -> RunEnd {
    let mut run = run.clone();
    run.state = RunState::Ended;
    run.outcome = Some(outcome);
    run.ended_at = Some(at(9));
    RunEnd {
        run,
        report: Report::default(),
        log: Vec::new(),
        artifacts: Vec::new(),
        events: Vec::new(),
        effects: Vec::new(),
        retry: None,
        dead: false,
    }
}

fn finding(number: usize) -> Finding {
    Finding {
        rule: "json/duplicate-key".into(),
        level: Level::Warning,
        message: format!("finding {number}"),
        location: None,
        help: None,
    }
}

fn hello(name: &str) -> Artifact {
    Artifact {
        info: ArtifactInfo {
            name: name.into(),
            media_type: "text/plain".into(),
            size: 5,
            digest: HELLO.into(),
        },
        content: Bytes::from_static(b"hello"),
    }
}

fn page(limit: u32, cursor: Option<String>) -> PageRequest {
    PageRequest { limit, cursor }
}

fn mode(path: &Path) -> Result<u32> {
    Ok(fs::metadata(path)?.permissions().mode() & 0o777)
}

fn files_below(path: &Path) -> Result<usize> {
    let mut count = 0;
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        count += if entry.file_type()?.is_dir() {
            files_below(&entry.path())?
        } else {
            1
        };
    }
    Ok(count)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_goes_from_queued_to_ended_and_everything_of_it_comes_back() -> Result {
    let directory = TempDir::new()?;
    let state = directory.path().join("a/b");
    let store = open(&state).await?;
    assert_eq!(mode(&state)?, 0o700);
    for name in ["infinity.db", "infinity.db-wal", "lock"] {
        assert_eq!(mode(&state.join(name))?, 0o600, "{name}");
    }

    let mut run = queued("a");
    run.trigger = Trigger::Cron;
    store.create_run(run.clone()).await?;
    assert_eq!(store.run(run.id).await?, Some(run.clone()));
    assert_eq!(store.unfinished().await?, [run.clone()]);
    assert_eq!(store.report(run.id).await?, None);
    assert!(store.mark_running(run.id, at(5)).await?);
    assert!(!store.mark_running(run.id, at(6)).await?);
    run.state = RunState::Running;
    run.started_at = Some(at(5));
    assert_eq!(store.run(run.id).await?, Some(run.clone()));

    // Two lines are followed live; the end brings all five.
    store.append_log(run.id, lines(2)).await?;
    store.append_log(run.id, lines(2)).await?;
    assert_eq!(store.log(run.id, None, 10).await?, lines(2));

    let mut end = ended(&run, Outcome::Failed);
    end.run.plugin_digest = "sha256:11".into();
    end.run.reason = Some("time".into());
    end.run.message = Some("it took too long".into());
    end.run.hint = Some("raise `time`".into());
    end.run.summary = Some("one problem".into());
    end.run.findings = 1;
    end.run.denials = vec![Denial {
        capability: "http".into(),
        attempt: "GET https://example.com/".into(),
        reason: "not granted".into(),
        allow: "http = [\"example.com\"]".into(),
        count: 3,
    }];
    end.run.usage.fuel = Some(u64::MAX);
    end.report = Report {
        passed: Some(false),
        summary: "one problem".into(),
        findings: vec![finding(0)],
        output: Some(json!([1, null, {"a": 1.5}])),
        artifacts: vec![hello("a.txt").info],
        effects: vec![json!({"kind": "comment"})],
        backtrace: vec![Frame {
            function: "main".into(),
            file: None,
            line: Some(3),
        }],
    };
    end.log = lines(5);
    end.artifacts = vec![hello("a.txt"), hello("b.txt")];
    end.events = vec![event("run.failed")];
    assert!(store.end_run(end.clone()).await?);

    assert_eq!(store.run(run.id).await?, Some(end.run.clone()));
    assert_eq!(store.report(run.id).await?, Some(end.report.clone()));
    assert_eq!(store.log(run.id, None, 10).await?, lines(5));
    assert_eq!(store.log(run.id, Some(1), 2).await?, lines(5)[2..4]);
    assert_eq!(store.log(run.id, Some(4), 2).await?, []);
    assert_eq!(store.artifact(run.id, "a.txt").await?, Some(hello("a.txt")));
    assert_eq!(store.artifact(run.id, "c.txt").await?, None);
    assert_eq!(files_below(&state.join("artifacts"))?, 1);
    assert_eq!(store.unfinished().await?, []);
    assert_eq!(store.events(&[], None, 10).await?.items, end.events);

    // A second end, even another one, is not written.
    let mut again = ended(&run, Outcome::Succeeded);
    again.events = vec![event("run.succeeded")];
    assert!(!store.end_run(again).await?);
    assert_eq!(store.run(run.id).await?, Some(end.run));
    assert_eq!(store.events(&[], None, 10).await?.items.len(), 1);
    store.append_log(run.id, lines(9)).await?;
    assert_eq!(store.log(run.id, None, 10).await?.len(), 5);

    let records = store.agent_records().await?;
    assert_eq!(records.len(), 1);
    assert_eq!((records[0].runs, records[0].failures), (1, 1));
    // The ledger knows moments; a run alone is none.
    assert_eq!(records[0].last_scheduled_at, None);
    let last = records[0].last_run.as_ref().ok_or("no last run")?;
    assert_eq!((last.id, last.outcome), (run.id, Some(Outcome::Failed)));
    store.close().await?;
    assert!(matches!(store.run(run.id).await, Err(StoreError::Closed)));
    assert!(matches!(
        store.publish(event("x")).await,
        Err(StoreError::Closed)
    ));

    let store = open(&state).await?;
    assert_eq!(store.report(run.id).await?, Some(end.report));
    assert_eq!(store.agent_records().await?, records);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_word_of_the_model_survives_its_column() -> Result {
    let directory = TempDir::new()?;
    let store = open(directory.path()).await?;
    let triggers = ["cron", "every", "event", "webhook", "manual"];
    let outcomes = [
        "succeeded",
        "failed",
        "trapped",
        "limited",
        "refused",
        "cancelled",
        "lost",
        "host_error",
    ];
    for outcome in outcomes {
        for trigger in triggers {
            let mut run = queued("a");
            run.trigger = serde_json::from_value(json!(trigger))?;
            store.create_run(run.clone()).await?;
            let end = ended(&run, serde_json::from_value(json!(outcome))?);
            store.end_run(end.clone()).await?;
            assert_eq!(store.run(run.id).await?, Some(end.run));
        }
    }
    let filter = RunFilter {
        outcome: Some(Outcome::HostError),
        trigger: Some(Trigger::Webhook),
        ..RunFilter::default()
    };
    assert_eq!(store.runs(filter, page(10, None)).await?.items.len(), 1);
    // 20 newest: four outcomes of five triggers, of which the cancelled do not count.
    assert_eq!(store.agent_records().await?[0].failures, 15);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_next_attempt_is_recorded_with_the_end_and_what_is_given_up_on_is_found() -> Result {
    let directory = TempDir::new()?;
    let store = open(directory.path()).await?;
    let first = queued("a");
    store.create_run(first.clone()).await?;
    let second = Run {
        id: Uuid::now_v7(),
        attempt: 2,
        ..first.clone()
    };
    let mut end = ended(&first, Outcome::Lost);
    end.retry = Some(Box::new(second.clone()));
    store.end_run(end).await?;
    assert_eq!(store.unfinished().await?, std::slice::from_ref(&second));

    let dead = || RunFilter {
        dead: true,
        ..RunFilter::default()
    };
    assert_eq!(store.runs(dead(), page(10, None)).await?.items, []);
    let mut end = ended(&second, Outcome::Lost);
    end.dead = true;
    store.end_run(end).await?;
    let found = store.runs(dead(), page(10, None)).await?.items;
    assert_eq!(
        found.iter().map(|run| run.id).collect::<Vec<_>>(),
        [second.id]
    );

    let third = Run {
        id: Uuid::now_v7(),
        attempt: 3,
        ..first.clone()
    };
    assert!(store.bury(second.id, Some(third.clone())).await?);
    assert_eq!(store.runs(dead(), page(10, None)).await?.items, []);
    assert_eq!(store.unfinished().await?, [third]);
    assert!(!store.bury(second.id, None).await?, "it is no longer there");
    store.close().await?;
    Ok(())
}

fn moment(agent: &str, second: i64, result: OccurrenceResult) -> Occurrence {
    Occurrence {
        agent: agent.into(),
        due_at: at(second),
        until: at(second),
        moments: 1,
        result,
        reason: None,
        late_us: (result == OccurrenceResult::Fired).then_some(1_500),
        run: None,
        recorded_at: at(second),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_moment_has_one_row_and_is_written_with_its_run() -> Result {
    let directory = TempDir::new()?;
    let store = open(directory.path()).await?;
    let mut fired = Vec::new();
    for second in [10, 20, 30] {
        let run = queued("a");
        let mut occurrence = moment("a", second, OccurrenceResult::Fired);
        occurrence.run = Some(run.id);
        store.fire(run, occurrence.clone()).await?;
        fired.push(occurrence);
    }
    // A moment that has a row starts nothing, and leaves no run.
    let run = queued("a");
    let id = run.id;
    let again = store
        .fire(run, moment("a", 20, OccurrenceResult::Fired))
        .await;
    assert!(
        matches!(again, Err(StoreError::Duplicate { .. })),
        "{again:?}"
    );
    assert_eq!(store.run(id).await?, None);
    // Nor is it overwritten.
    let mut missed = moment("a", 40, OccurrenceResult::Missed);
    missed.until = at(90);
    missed.moments = 6;
    let skipped = moment("b", 15, OccurrenceResult::Skipped);
    store
        .note_occurrences(vec![
            moment("a", 20, OccurrenceResult::Skipped),
            missed.clone(),
            skipped.clone(),
        ])
        .await?;

    let list = async |filter: OccurrenceFilter| -> Result<Vec<Occurrence>> {
        let mut all = Vec::new();
        let mut cursor = None;
        loop {
            let page = store.occurrences(filter.clone(), page(2, cursor)).await?;
            all.extend(page.items);
            match page.next {
                Some(next) => cursor = Some(next),
                None => return Ok(all),
            }
        }
    };
    let [first, second, third] = fired.try_into().map_err(|_| "three")?;
    let everything = list(OccurrenceFilter::default()).await?;
    assert_eq!(
        everything,
        [
            missed.clone(),
            third.clone(),
            second.clone(),
            skipped.clone(),
            first.clone()
        ]
    );
    let of_a = OccurrenceFilter {
        agent: Some("a".into()),
        since: Some(at(20)),
        until: Some(at(40)),
        ..OccurrenceFilter::default()
    };
    assert_eq!(list(of_a).await?, [third, second]);
    let by_result = OccurrenceFilter {
        result: Some(OccurrenceResult::Skipped),
        ..OccurrenceFilter::default()
    };
    assert_eq!(list(by_result).await?, [skipped]);
    let last: Vec<_> = store
        .agent_records()
        .await?
        .into_iter()
        .map(|record| (record.agent, record.runs, record.last_scheduled_at))
        .collect();
    assert_eq!(
        last,
        [
            ("a".to_owned(), 3, Some(at(90))),
            ("b".to_owned(), 0, Some(at(15)))
        ]
    );
    store.close().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_recorded_with_its_end_is_as_one_that_was_created_and_ended() -> Result {
    let directory = TempDir::new()?;
    let store = Arc::new(open(directory.path()).await?);
    let mut ends = Vec::new();
    // Alone, where it is a transaction by itself, and many at once, where they share some.
    for number in 0..40 {
        let mut end = ended(&queued("a"), Outcome::Failed);
        end.log = lines(if number % 2 == 0 { 5 } else { 0 });
        end.artifacts = vec![hello("a.txt"), hello("b.txt")];
        end.report.findings = vec![serde_json::from_value(json!({
            "rule": "r", "level": "error", "message": "m", "location": null, "help": null
        }))?];
        end.events = vec![event("run.failed"), event("policy.denied")];
        ends.push(end);
    }
    let mut tasks = Vec::new();
    for (number, end) in ends.iter().cloned().enumerate() {
        let task = {
            let store = Arc::clone(&store);
            tokio::spawn(async move { store.record_run(end).await })
        };
        if number < 5 {
            task.await??;
        } else {
            tasks.push(task);
        }
    }
    for task in tasks {
        task.await??;
    }
    for end in &ends {
        let id = end.run.id;
        assert_eq!(store.run(id).await?, Some(end.run.clone()));
        assert_eq!(
            store.report(id).await?.map(|report| report.findings),
            Some(end.report.findings.clone())
        );
        assert_eq!(store.log(id, None, 10).await?, end.log);
        assert!(store.artifact(id, "b.txt").await?.is_some());
        assert!(!store.end_run(end.clone()).await?, "it has ended");
    }
    let events = store.events(&[], None, 1_000).await?.items;
    assert_eq!(events.len(), 80);
    assert_eq!(store.agent_records().await?[0].runs, 40);

    let again = store.record_run(ends[0].clone()).await;
    assert!(matches!(again, Err(StoreError::Duplicate { run }) if run == ends[0].run.id));
    let events = store.events(&[], None, 1_000).await?.items;
    assert_eq!(events.len(), 80, "nothing of the second one is there");
    // The writer goes on.
    store.create_run(queued("a")).await?;
    store.close().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_recorded_is_a_duplicate_and_what_was_not_is_unknown() -> Result {
    let directory = TempDir::new()?;
    let store = open(directory.path()).await?;
    let first = queued("a");
    store.create_run(first.clone()).await?;

    let mut same_trigger = queued("a");
    same_trigger.idempotency_key = first.idempotency_key.clone();
    let refused = store.create_run(same_trigger.clone()).await;
    assert!(matches!(refused, Err(StoreError::Duplicate { run }) if run == first.id));
    same_trigger.attempt = 2;
    store.create_run(same_trigger).await?;
    let refused = store.create_run(first.clone()).await;
    assert!(matches!(refused, Err(StoreError::Duplicate { run }) if run == first.id));
    assert_eq!(store.agent_records().await?[0].runs, 2);

    let unknown = queued("a");
    let end = store.end_run(ended(&unknown, Outcome::Lost)).await;
    assert!(matches!(end, Err(StoreError::UnknownRun { run }) if run == unknown.id));
    let mark = store.mark_running(unknown.id, at(0)).await;
    assert!(matches!(mark, Err(StoreError::UnknownRun { .. })));
    let append = store.append_log(unknown.id, lines(1)).await;
    assert!(matches!(append, Err(StoreError::UnknownRun { .. })));

    let mut open_end = ended(&first, Outcome::Lost);
    open_end.run.outcome = None;
    let end = store.end_run(open_end).await;
    assert!(matches!(end, Err(StoreError::NoOutcome { .. })));
    let mut wrong = ended(&first, Outcome::Lost);
    wrong.artifacts = vec![hello("a.txt")];
    wrong.artifacts[0].content = Bytes::from_static(b"hullo");
    let end = store.end_run(wrong).await;
    assert!(matches!(end, Err(StoreError::Digest { .. })));
    assert_eq!(store.run(first.id).await?, Some(first));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_show_each_run_once_though_all_have_one_time() -> Result {
    let directory = TempDir::new()?;
    let store = Arc::new(open(directory.path()).await?);
    let mut tasks = Vec::new();
    for number in 0..5_000 {
        let store = Arc::clone(&store);
        tasks.push(tokio::spawn(async move {
            let run = queued(if number % 5 == 0 { "rare" } else { "common" });
            store.create_run(run).await
        }));
    }
    for task in tasks {
        task.await??;
    }
    for (agent, expected) in [(None, 5_000), (Some("rare"), 1_000)] {
        let filter = RunFilter {
            agent: agent.map(str::to_owned),
            since: Some(at(0)),
            until: Some(at(1)),
            ..RunFilter::default()
        };
        let mut seen = HashSet::new();
        let mut cursor = None;
        loop {
            let found = store.runs(filter.clone(), page(333, cursor)).await?;
            for run in &found.items {
                assert!(seen.insert(run.id), "a run is shown twice");
            }
            cursor = found.next;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(seen.len(), expected);
    }
    let none = RunFilter {
        until: Some(at(0)),
        ..RunFilter::default()
    };
    assert_eq!(store.runs(none, page(10, None)).await?.items, []);
    assert_eq!(store.unfinished().await?.len(), 5_000);
    // 5,000 writes came at once, so they shared their transactions.
    assert!(store.commits() < 2_500, "{} commits", store.commits());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_are_listed_newest_first_by_every_index() -> Result {
    let directory = TempDir::new()?;
    let store = open(directory.path()).await?;
    let mut ids = Vec::new();
    // Not in the order of their times.
    for time in [3, 1, 2, 5, 4] {
        let mut run = queued("a");
        run.created_at = at(time);
        store.create_run(run.clone()).await?;
        if time != 4 {
            let outcome = if time == 2 {
                Outcome::Succeeded
            } else {
                Outcome::Failed
            };
            store.end_run(ended(&run, outcome)).await?;
        }
        ids.push((time, run.id));
    }
    let all = RunFilter::default();
    let filters = [
        (all.clone(), vec![5, 4, 3, 2, 1]),
        (
            RunFilter {
                agent: Some("a".into()),
                ..all.clone()
            },
            vec![5, 4, 3, 2, 1],
        ),
        (
            RunFilter {
                agent: Some("b".into()),
                ..all.clone()
            },
            vec![],
        ),
        (
            RunFilter {
                plugin: Some("policy".into()),
                ..all.clone()
            },
            vec![5, 4, 3, 2, 1],
        ),
        (
            RunFilter {
                ended: Some(false),
                ..all.clone()
            },
            vec![4],
        ),
        (
            RunFilter {
                ended: Some(true),
                ..all.clone()
            },
            vec![5, 3, 2, 1],
        ),
        (
            RunFilter {
                outcome: Some(Outcome::Failed),
                ..all.clone()
            },
            vec![5, 3, 1],
        ),
        (
            RunFilter {
                outcome: Some(Outcome::Succeeded),
                ..all.clone()
            },
            vec![2],
        ),
        (
            RunFilter {
                trigger: Some(Trigger::Manual),
                ..all.clone()
            },
            vec![5, 4, 3, 2, 1],
        ),
        (
            RunFilter {
                since: Some(at(2)),
                until: Some(at(4)),
                ..all.clone()
            },
            vec![3, 2],
        ),
    ];
    for (filter, expected) in filters {
        let mut times = Vec::new();
        let mut cursor = None;
        loop {
            let found = store.runs(filter.clone(), page(2, cursor)).await?;
            for run in found.items {
                times.extend(
                    ids.iter()
                        .filter(|(_, id)| *id == run.id)
                        .map(|(time, _)| *time),
                );
            }
            cursor = found.next;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(times, expected, "{filter:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_that_was_changed_or_is_of_another_query_is_refused() -> Result {
    let directory = TempDir::new()?;
    let store = open(directory.path()).await?;
    for _ in 0..3 {
        store.create_run(queued("a")).await?;
    }
    let all = RunFilter::default();
    let cursor = store
        .runs(all.clone(), page(1, None))
        .await?
        .next
        .ok_or("no cursor")?;
    let mut bad: Vec<String> = (0..cursor.len())
        .map(|place| {
            let digit = if &cursor[place..=place] == "0" {
                "1"
            } else {
                "0"
            };
            format!("{}{digit}{}", &cursor[..place], &cursor[place + 1..])
        })
        .collect();
    bad.extend([
        String::new(),
        "x".into(),
        "é".repeat(24),
        format!("{cursor}00"),
    ]);
    for cursor in bad {
        let refused = store.runs(all.clone(), page(1, Some(cursor.clone()))).await;
        assert!(matches!(refused, Err(StoreError::Cursor)), "{cursor}");
    }
    let other = RunFilter {
        agent: Some("a".into()),
        ..all.clone()
    };
    let refused = store.runs(other, page(1, Some(cursor.clone()))).await;
    assert!(matches!(refused, Err(StoreError::Cursor)));
    let refused = store.events(&[], Some(&cursor), 1).await;
    assert!(matches!(refused, Err(StoreError::Cursor)));
    for limit in [0, 1_001] {
        let refused = store.runs(all.clone(), page(limit, None)).await;
        assert!(matches!(refused, Err(StoreError::PageLimit { .. })));
    }
    // It outlives the process.
    store.close().await?;
    let store = open(directory.path()).await?;
    assert_eq!(store.runs(all, page(5, Some(cursor))).await?.items.len(), 2);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn many_findings_and_a_long_log_come_in_pages() -> Result {
    let directory = TempDir::new()?;
    let store = open(directory.path()).await?;
    let run = queued("a");
    store.create_run(run.clone()).await?;
    let mut end = ended(&run, Outcome::Failed);
    end.report.findings = (0..10_000).map(finding).collect();
    end.log = lines(3_456);
    store.end_run(end.clone()).await?;

    let mut found = Vec::new();
    let mut cursor = None;
    loop {
        let next = store.findings(run.id, page(1_000, cursor)).await?;
        found.extend(next.items);
        cursor = next.next;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(found, end.report.findings);
    assert_eq!(store.report(run.id).await?, Some(end.report));

    let mut log: Vec<LogLine> = Vec::new();
    loop {
        let next = store
            .log(run.id, log.last().map(|line| line.seq), 700)
            .await?;
        if next.is_empty() {
            break;
        }
        log.extend(next);
    }
    assert_eq!(log, end.log);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_feed_goes_on_from_any_place_and_flags_stay() -> Result {
    let directory = TempDir::new()?;
    let store = open(directory.path()).await?;
    let start = store.events(&[], None, 10).await?;
    assert_eq!(start.items, []);
    let events: Vec<Event> = ["a", "b", "a", "c", "b"].map(event).into();
    for event in &events {
        store.publish(event.clone()).await?;
    }
    store.publish(events[0].clone()).await?;
    let first = store.events(&[], start.next.as_deref(), 3).await?;
    assert_eq!(first.items, events[..3]);
    let rest = store.events(&[], first.next.as_deref(), 3).await?;
    assert_eq!(rest.items, events[3..]);
    let end = store.events_end().await?;
    assert_eq!(store.events(&[], Some(&end), 3).await?.items, []);
    let kinds = ["b".to_owned(), "c".to_owned(), "b".to_owned()];
    let some = store.events(&kinds, None, 2).await?;
    assert_eq!(some.items, [events[1].clone(), events[3].clone()]);
    let some = store.events(&kinds, some.next.as_deref(), 2).await?;
    assert_eq!(some.items, [events[4].clone()]);

    store.publish(event("a")).await?;
    assert_eq!(store.events(&[], Some(&end), 3).await?.items.len(), 1);

    store.set_flag("agent.a.paused", Some("by hand")).await?;
    store.set_flag("agent.b.paused", Some("x")).await?;
    store.set_flag("agent.b.paused", None).await?;
    store.close().await?;
    let store = open(directory.path()).await?;
    let flags: Vec<_> = store.flags().await?.into_iter().collect();
    assert_eq!(flags, [("agent.a.paused".to_owned(), "by hand".to_owned())]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agents_keys_are_its_own_and_within_its_quota() -> Result {
    let directory = TempDir::new()?;
    let store = open(directory.path()).await?;
    store.kv_set("a", "k", b"one".to_vec(), QUOTA).await?;
    store.kv_set("b", "k", b"two".to_vec(), QUOTA).await?;
    assert_eq!(store.kv_get("a", "k").await?.as_deref(), Some(&b"one"[..]));
    assert_eq!(store.kv_get("b", "k").await?.as_deref(), Some(&b"two"[..]));
    assert!(!store.kv_exists("c", "k").await?);
    assert!(store.kv_delete("a", "k").await?);
    assert!(!store.kv_delete("a", "k").await?);
    assert!(store.kv_exists("b", "k").await?);
    assert_eq!(store.kv_usage("a").await?, KvUsage::default());
    assert_eq!(store.kv_usage("b").await?, KvUsage { bytes: 4, keys: 1 });

    for key in [String::new(), "a\0b".into(), "x".repeat(KEY_MAX_BYTES + 1)] {
        let refused = store.kv_set("a", &key, Vec::new(), QUOTA).await;
        assert!(matches!(refused, Err(StoreError::InvalidKey { .. })));
    }
    let longest = "x".repeat(KEY_MAX_BYTES);
    store
        .kv_set("a", &longest, vec![7; VALUE_MAX_BYTES], QUOTA)
        .await?;
    let refused = store
        .kv_set("a", "y", vec![7; VALUE_MAX_BYTES + 1], QUOTA)
        .await;
    assert!(matches!(refused, Err(StoreError::Quota { .. })));
    store.kv_delete("a", &longest).await?;

    let small = KvQuota { bytes: 10, keys: 2 };
    store.kv_set("a", "k1", b"123".to_vec(), small).await?;
    let both = vec![
        ("k2".to_owned(), b"1".to_vec()),
        ("k3".to_owned(), Vec::new()),
    ];
    let refused = store.kv_set_many("a", both, small).await;
    assert!(matches!(refused, Err(StoreError::Quota { limit: 2, .. })));
    assert_eq!(
        store.kv_list("a", None, 10).await?,
        (vec!["k1".to_owned()], false)
    );
    let refused = store.kv_set("a", "k2", b"1234".to_vec(), small).await;
    assert!(matches!(refused, Err(StoreError::Quota { limit: 10, .. })));
    store.kv_set("a", "k1", b"12345678".to_vec(), small).await?;
    // Over a quota that was lowered, a value may become smaller and not larger.
    let lower = KvQuota { bytes: 5, keys: 1 };
    store.kv_set("a", "k1", b"1234567".to_vec(), lower).await?;
    let refused = store.kv_set("a", "k1", b"12345678".to_vec(), lower).await;
    assert!(matches!(refused, Err(StoreError::Quota { .. })));

    assert_eq!(store.kv_increment("a", "n", 0, QUOTA).await?, 0);
    assert_eq!(
        store.kv_increment("a", "n", u64::MAX, QUOTA).await?,
        u64::MAX
    );
    let refused = store.kv_increment("a", "n", 1, QUOTA).await;
    assert!(matches!(refused, Err(StoreError::Overflow { .. })));
    store.kv_set("a", "n", b"1x".to_vec(), QUOTA).await?;
    let refused = store.kv_increment("a", "n", 1, QUOTA).await;
    assert!(matches!(refused, Err(StoreError::NotCounter { .. })));
    assert_eq!(store.kv_usage("a").await?, KvUsage { bytes: 12, keys: 2 });

    let keys = ["n", "gone", "k1", "n"].map(str::to_owned);
    let values = store.kv_get_many("a", &keys).await?;
    let expected: [Option<&[u8]>; 4] = [Some(b"1x"), None, Some(b"1234567"), Some(b"1x")];
    assert_eq!(
        values.iter().map(Option::as_deref).collect::<Vec<_>>(),
        expected
    );
    assert_eq!(store.kv_delete_many("a", &keys).await?, 2);
    let refused = store.kv_get_many("a", &vec!["k".to_owned(); 1_001]).await;
    assert!(matches!(refused, Err(StoreError::Quota { .. })));
    for key in ["b", "a", "ä", "c"] {
        store.kv_set("a", key, Vec::new(), QUOTA).await?;
    }
    let (keys, more) = store.kv_list("a", Some("a"), 2).await?;
    assert_eq!((keys.join(" "), more), ("b c".to_owned(), true));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn counters_and_quotas_hold_under_many_callers() -> Result {
    let directory = TempDir::new()?;
    let store = Arc::new(open(directory.path()).await?);
    let quota = KvQuota {
        bytes: 1_000_000,
        keys: 101,
    };
    let mut tasks = Vec::new();
    for number in 0..400 {
        let store = Arc::clone(&store);
        tasks.push(tokio::spawn(async move {
            store.kv_increment("a", "n", 1, quota).await?;
            let set = store
                .kv_set("a", &format!("k{number}"), vec![1], quota)
                .await;
            Ok::<_, StoreError>(set.is_ok())
        }));
    }
    let mut set = 0;
    for task in tasks {
        set += u64::from(task.await??);
    }
    assert_eq!(set, 100);
    assert_eq!(store.kv_get("a", "n").await?.as_deref(), Some(&b"400"[..]));
    assert_eq!(store.kv_usage("a").await?.keys, 101);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_the_database_refuses_does_not_take_its_neighbours_with_it() -> Result {
    let directory = TempDir::new()?;
    let store = Arc::new(open(directory.path()).await?);
    let mut tasks = Vec::new();
    for number in 0..100 {
        let store = Arc::clone(&store);
        tasks.push(tokio::spawn(async move {
            let mut run = queued("a");
            if number % 10 == 3 {
                // Ended without an outcome: the schema has none of it.
                run.state = RunState::Ended;
            }
            (number, run.id, store.create_run(run).await)
        }));
    }
    for task in tasks {
        let (number, id, created) = task.await?;
        if number % 10 == 3 {
            assert!(matches!(created, Err(StoreError::Database { .. })));
        } else {
            created?;
        }
        assert_eq!(store.run(id).await?.is_some(), number % 10 != 3);
    }
    assert_eq!(store.agent_records().await?[0].runs, 90);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn pruning_keeps_the_newest_runs_and_the_files_they_name() -> Result {
    let directory = TempDir::new()?;
    let store = open(directory.path()).await?;
    let mut runs = Vec::new();
    for number in 0..450 {
        let mut run = queued(if number < 445 { "a" } else { "b" });
        run.created_at = at(number);
        store.create_run(run.clone()).await?;
        let mut end = ended(&run, Outcome::Succeeded);
        end.log = lines(2);
        end.events = vec![event("run.succeeded")];
        end.events[0].time = at(number);
        if number == 0 {
            end.artifacts = vec![hello("a.txt")];
        }
        store.end_run(end).await?;
        runs.push(run);
    }
    let waiting = queued("a");
    store.create_run(waiting.clone()).await?;
    let new = Retention {
        runs_per_agent: 10,
        runs_since: at(300),
        runs_per_agent_max: 1_000,
        executions_per_pipeline: 10,
        checks_since: at(0),
        alerts_since: at(0),
        events_since: at(400),
        effects_since: at(0),
        occurrences_since: at(0),
        logs_hot_since: at(0),
        logs_since: at(0),
    };
    let pruned = store.prune(new).await?;
    assert_eq!(
        (pruned.runs, pruned.events, pruned.artifacts),
        (300, 400, 1)
    );
    // A run that is tried again finds its key as long as the first one is there.
    let mut again = queued("a");
    again.idempotency_key = runs[300].idempotency_key.clone();
    let refused = store.create_run(again).await;
    assert!(matches!(refused, Err(StoreError::Duplicate { run }) if run == runs[300].id));
    let many = Retention {
        runs_per_agent_max: 20,
        ..new
    };
    assert_eq!(store.prune(many).await?.runs, 125);
    let keep = Retention {
        runs_since: at(1_000),
        ..new
    };
    assert_eq!(store.prune(keep).await?.runs, 10);
    assert_eq!(files_below(&directory.path().join("artifacts"))?, 0);
    assert_eq!(store.run(runs[434].id).await?, None);
    assert_eq!(store.report(runs[434].id).await?, None);
    assert_eq!(store.log(runs[434].id, None, 10).await?, []);
    assert_eq!(store.log(runs[435].id, None, 10).await?, lines(2));
    assert_eq!(store.unfinished().await?, [waiting]);
    let records = store.agent_records().await?;
    assert_eq!((records[0].runs, records[1].runs), (446, 5));
    let again = store.prune(keep).await?;
    assert_eq!((again.runs, again.events, again.artifacts), (0, 0, 0));
    Ok(())
}

fn keep(logs_hot_since: Timestamp, logs_since: Timestamp) -> Retention {
    Retention {
        runs_per_agent: 1_000,
        runs_since: at(0),
        runs_per_agent_max: 1_000,
        executions_per_pipeline: 10,
        checks_since: at(0),
        alerts_since: at(0),
        events_since: at(0),
        effects_since: at(0),
        occurrences_since: at(0),
        logs_hot_since,
        logs_since,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_are_compressed_and_read_as_before_and_then_gone() -> Result {
    let directory = TempDir::new()?;
    let store = open(directory.path()).await?;
    let mut runs = Vec::new();
    for number in 0..120 {
        let mut run = queued("a");
        run.created_at = at(number);
        store.create_run(run.clone()).await?;
        let mut end = ended(&run, Outcome::Succeeded);
        end.log = lines(3);
        store.end_run(end).await?;
        runs.push(run);
    }
    let pruned = store.prune(keep(at(100), at(0))).await?;
    assert_eq!((pruned.compressed, pruned.logs), (100, 0));
    for run in [&runs[0], &runs[99], &runs[100]] {
        assert_eq!(store.log(run.id, None, 10).await?, lines(3));
        assert_eq!(store.log(run.id, Some(1), 10).await?, lines(3)[2..]);
        assert_eq!(store.log(run.id, None, 2).await?, lines(3)[..2]);
    }
    let again = store.prune(keep(at(100), at(50))).await?;
    assert_eq!((again.compressed, again.logs), (0, 50));
    assert_eq!(store.log(runs[49].id, None, 10).await?, []);
    assert_eq!(store.log(runs[50].id, None, 10).await?, lines(3));
    assert!(
        store.run(runs[0].id).await?.is_some(),
        "the run itself stays"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn room_is_made_of_the_oldest_files_first_and_of_no_more_than_is_needed() -> Result {
    let directory = TempDir::new()?;
    let store = open(directory.path()).await?;
    let mut runs = Vec::new();
    for number in 0..40_u8 {
        let mut run = queued("a");
        // The runs of the last day are not touched.
        run.created_at = if number < 30 {
            at(i64::from(number))
        } else {
            Timestamp::now()
        };
        store.create_run(run.clone()).await?;
        let content = vec![number; 100_000];
        let mut end = ended(&run, Outcome::Succeeded);
        end.artifacts = vec![Artifact {
            info: ArtifactInfo {
                name: "a.bin".into(),
                media_type: "application/octet-stream".into(),
                size: content.len() as u64,
                digest: infinity::sandbox::digest(&content),
            },
            content: content.into(),
        }];
        store.end_run(end).await?;
        runs.push(run);
    }
    let used = store.used().await?;
    assert!(used > 4_000_000, "{used}");
    let left = store.shrink(used - 450_000).await?;
    assert!(left <= used - 450_000, "{left}");
    assert!(
        store.artifact(runs[4].id, "a.bin").await?.is_none(),
        "the oldest files go"
    );
    assert!(
        store.artifact(runs[5].id, "a.bin").await?.is_some(),
        "and no more than that"
    );
    assert!(store.run(runs[0].id).await?.is_some(), "their runs stay");
    let left = store.shrink(0).await?;
    assert!(left >= 1_000_000, "{left}");
    assert!(store.run(runs[0].id).await?.is_none(), "then the runs go");
    for run in &runs[30..] {
        assert!(
            store.artifact(run.id, "a.bin").await?.is_some(),
            "the last day stays"
        );
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_are_listed_the_oldest_first_where_that_is_asked_for() -> Result {
    let directory = TempDir::new()?;
    let store = open(directory.path()).await?;
    let mut expected = Vec::new();
    for number in 0..25 {
        let mut run = queued(if number % 2 == 0 { "a" } else { "b" });
        run.created_at = at(number / 3);
        store.create_run(run.clone()).await?;
        expected.push(run.id);
    }
    let mut found = Vec::new();
    let mut cursor = None;
    loop {
        let filter = RunFilter {
            ascending: true,
            since: Some(at(1)),
            until: Some(at(8)),
            ..RunFilter::default()
        };
        let page = store.runs(filter, PageRequest { limit: 4, cursor }).await?;
        found.extend(page.items.iter().map(|run| run.id));
        match page.next {
            Some(next) => cursor = Some(next),
            None => break,
        }
    }
    assert_eq!(found, expected[3..24]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_artifact_whose_bytes_changed_is_an_error() -> Result {
    let directory = TempDir::new()?;
    let store = open(directory.path()).await?;
    let run = queued("a");
    store.create_run(run.clone()).await?;
    let mut end = ended(&run, Outcome::Succeeded);
    end.artifacts = vec![hello("a.txt")];
    store.end_run(end).await?;
    let digest = &HELLO["sha256:".len()..];
    let path = directory.path().join("artifacts/2c").join(digest);
    assert_eq!(mode(&path)?, 0o600);
    fs::write(&path, "hullo")?;
    let read = store.artifact(run.id, "a.txt").await;
    assert!(matches!(read, Err(StoreError::Corrupt { path: named, .. }) if named == path));
    fs::remove_file(&path)?;
    let read = store.artifact(run.id, "a.txt").await;
    assert!(matches!(read, Err(StoreError::Corrupt { .. })));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_owner_is_refused_at_once_and_told_who_is_first() -> Result {
    let directory = TempDir::new()?;
    let store = open(directory.path()).await?;
    let refused = open(directory.path()).await.err().ok_or("opened twice")?;
    assert!(
        matches!(refused, StoreError::Locked { pid, .. } if pid == Some(std::process::id())),
        "{refused}"
    );
    assert!(
        refused
            .to_string()
            .contains(&std::process::id().to_string())
    );
    store.close().await?;
    open(directory.path()).await?.close().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_was_dropped_opens_again_with_what_it_acknowledged() -> Result {
    let directory = TempDir::new()?;
    let store = open(directory.path()).await?;
    let run = queued("a");
    store.create_run(run.clone()).await?;
    drop(store);
    // The task that writes ends on its own and lets go of the lock then.
    let deadline = Instant::now() + Duration::from_secs(10);
    let store = loop {
        match open(directory.path()).await {
            Err(StoreError::Locked { .. }) if Instant::now() < deadline => {
                tokio::task::yield_now().await;
            }
            result => break result?,
        }
    };
    assert_eq!(store.run(run.id).await?, Some(run));
    Ok(())
}

/// The same test of this binary as a process of its own, in `state`.
fn child(test: &str, state: &Path) -> Result<Command> {
    let mut command = Command::new("sh");
    // A write over the limit of a file's size is to fail, and not to kill.
    command
        .args(["-c", "trap '' XFSZ; exec \"$@\"", "sh"])
        .arg(std::env::current_exe()?)
        .args(["--exact", test, "--nocapture"])
        .env(CHILD, state)
        .stdout(Stdio::piped());
    Ok(command)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_is_there_after_kill_9() -> Result {
    if let Some(state) = std::env::var_os(CHILD) {
        let store = Arc::new(open(Path::new(&state)).await?);
        let mut tasks = Vec::new();
        for _ in 0..8 {
            let store = Arc::clone(&store);
            tasks.push(tokio::spawn(async move {
                loop {
                    let run = queued("a");
                    store.create_run(run.clone()).await?;
                    writeln!(std::io::stdout(), "created {}", run.id)?;
                    let mut end = ended(&run, Outcome::Succeeded);
                    end.log = lines(5);
                    end.artifacts = vec![hello("a.txt")];
                    store.end_run(end).await?;
                    writeln!(std::io::stdout(), "ended {}", run.id)?;
                }
            }));
        }
        for task in tasks {
            let result: Result = task.await?;
            result?;
        }
        return Ok(());
    }

    let directory = TempDir::new()?;
    let mut created: Vec<Uuid> = Vec::new();
    let mut ended: Vec<Uuid> = Vec::new();
    let rounds = infinity_tests::soak::count(10, 1_000);
    for round in 0..rounds {
        // Another instant each time, without growing for ever.
        let instant = 50 + round * 13 % 500;
        let mut process = child(
            "what_was_acknowledged_is_there_after_kill_9",
            directory.path(),
        )?
        .spawn()?;
        let output = process.stdout.take().ok_or("no output")?;
        let mut seen = 0;
        for line in BufReader::new(output).lines() {
            let line = line?;
            // What else is on the line is the test harness's.
            if let Some((_, id)) = line.split_once("created ") {
                created.push(id.parse()?);
            } else if let Some((_, id)) = line.split_once("ended ") {
                ended.push(id.parse()?);
            } else {
                continue;
            }
            seen += 1;
            if seen == instant {
                // The rest of the lines still come, up to the end of the pipe.
                process.kill()?;
            }
        }
        process.wait()?;
        assert!(seen >= instant, "the child ended by itself");

        let store = open(directory.path()).await?;
        for id in &created {
            assert!(store.run(*id).await?.is_some(), "run {id} is lost");
        }
        for id in &ended {
            let run = store.run(*id).await?.ok_or("a run is lost")?;
            assert_eq!(run.outcome, Some(Outcome::Succeeded));
            assert_eq!(store.log(*id, None, 10).await?.len(), 5);
            assert!(store.artifact(*id, "a.txt").await?.is_some());
        }
        store.close().await?;
    }
    infinity_tests::soak::figure(
        "kills of a process that writes",
        rounds,
        &format!("{} acknowledged rows there", created.len() + ended.len()),
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_commit_failed_on_the_disk_nothing_is_written_and_reading_goes_on() -> Result {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    let Some(state) = std::env::var_os(CHILD) else {
        let directory = TempDir::new()?;
        let test = "after_a_commit_failed_on_the_disk_nothing_is_written_and_reading_goes_on";
        let output = child(test, directory.path())?.output()?;
        assert!(output.status.success(), "{output:?}");
        // The run acknowledged before is there; what failed may be or not.
        let store = open(directory.path()).await?;
        assert!(!store.unfinished().await?.is_empty());
        return Ok(());
    };
    let state = Path::new(&state);
    let store = open(state).await?;
    let run = queued("a");
    store.create_run(run.clone()).await?;
    let written = fs::metadata(state.join("infinity.db-wal"))?.len();
    let before = getrlimit(Resource::Fsize);
    let limit = Rlimit {
        current: Some(written + 1),
        maximum: before.maximum,
    };
    setrlimit(Resource::Fsize, limit)?;
    let refused = store.create_run(queued("a")).await;
    assert!(
        matches!(refused, Err(StoreError::Database { .. })),
        "{refused:?}"
    );
    setrlimit(Resource::Fsize, before)?;
    let refused = store.create_run(queued("a")).await;
    assert!(matches!(refused, Err(StoreError::Failed)), "{refused:?}");
    assert_eq!(store.run(run.id).await?, Some(run));
    assert!(matches!(store.close().await, Err(StoreError::Failed)));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_from_a_later_version_is_refused() -> Result {
    let directory = TempDir::new()?;
    open(directory.path()).await?.close().await?;
    let url = format!(
        "sqlite://{}",
        directory.path().join("infinity.db").display()
    );
    let mut connection = SqliteConnection::connect(&url).await?;
    sqlx::query(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
         VALUES (9999, 'later', TRUE, x'00', 0)",
    )
    .execute(&mut connection)
    .await?;
    connection.close().await?;
    let refused = open(directory.path()).await.err().ok_or("opened")?;
    assert!(matches!(refused, StoreError::Newer { found: 9999, .. }));
    assert!(
        refused
            .to_string()
            .contains("run the version of `infinity` that wrote it")
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_file_is_refused_with_its_name_and_what_to_do() -> Result {
    let directory = TempDir::new()?;
    let path = directory.path().join("infinity.db");
    let store = open(directory.path()).await?;
    for _ in 0..200 {
        store.create_run(queued("a")).await?;
    }
    store.close().await?;
    let sound = fs::read(&path)?;

    let mut file = fs::OpenOptions::new().write(true).open(&path)?;
    file.write_all(b"not a database at all")?;
    drop(file);
    let refused = open(directory.path()).await.err().ok_or("opened")?;
    assert!(matches!(refused, StoreError::Corrupt { .. }), "{refused:?}");
    let said = refused.to_string();
    assert!(said.contains("infinity.db` is damaged"), "{said}");
    assert!(said.contains("put a backup in its place"), "{said}");

    // Damage in the middle is looked for after an end that was not clean.
    fs::write(&path, &sound)?;
    let mut file = fs::OpenOptions::new().write(true).open(&path)?;
    file.seek(SeekFrom::Start(sound.len() as u64 / 2))?;
    file.write_all(&[0xff; 8192])?;
    drop(file);
    fs::write(directory.path().join("lock"), "1\n")?;
    let refused = open(directory.path()).await.err().ok_or("opened")?;
    assert!(matches!(refused, StoreError::Corrupt { .. }), "{refused:?}");

    fs::write(&path, &sound)?;
    assert_eq!(open(directory.path()).await?.unfinished().await?.len(), 200);
    Ok(())
}

/// A small file system of its own, for as long as the value lives.
struct Small(TempDir);

impl Small {
    fn mount() -> Result<Option<Self>> {
        let directory = TempDir::new()?;
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=8m,mode=700", "tmpfs"])
            .arg(directory.path())
            .stderr(Stdio::null())
            .status();
        Ok(matches!(mounted, Ok(status) if status.success()).then(|| Self(directory)))
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        // Lazily, as a reader may not be gone yet.
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_writes_until_there_is_room_again() -> Result {
    let Some(small) = Small::mount()? else {
        writeln!(std::io::stderr(), "skipped: a tmpfs cannot be mounted here")?;
        return Ok(());
    };
    let state = small.0.path();
    fs::set_permissions(state, Permissions::from_mode(0o700))?;
    // More than the rest, so that once it is gone the log can be folded into the database.
    fs::write(state.join("ballast"), vec![1; 5 * 1024 * 1024])?;
    let store = open(state).await?;
    let mut written = Vec::new();
    let refused = loop {
        let mut run = queued("a");
        run.input = json!("x".repeat(50_000));
        match store.create_run(run.clone()).await {
            Ok(()) => written.push(run),
            Err(error) => break error,
        }
    };
    assert!(matches!(refused, StoreError::Full { .. }), "{refused:?}");
    assert!(!written.is_empty());
    let run = queued("a");
    for run in &written {
        assert!(store.run(run.id).await?.is_some());
    }
    fs::remove_file(state.join("ballast"))?;
    store.create_run(run.clone()).await?;
    assert!(store.run(run.id).await?.is_some());
    store.close().await?;
    let mut text = String::new();
    fs::File::open(state.join("lock"))?.read_to_string(&mut text)?;
    assert_eq!(text, "");
    Ok(())
}
