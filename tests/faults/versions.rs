//! State that another version of the program wrote.

use crate::{chain_is_whole, folder, number, ok, tamper};
use anyhow::{Context as _, ensure};
use infinity_tests::host::Folder;
use infinity_tests::soak::{count, figure};
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, Connection as _, SqlSafeStr as _, SqliteConnection};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

/// What a run used, as it was written from the first version on.
const USAGE: &str = r#"{"queue_us":1,"compile_us":0,"instantiate_us":1,"guest_us":1,"host_calls_us":0,"wall_us":3,"cpu_us":2,"fuel":null,"peak_memory_bytes":65536,"host_calls":1,"http_requests":0,"http_sent_bytes":0,"http_received_bytes":0,"output_bytes":2,"log_bytes":0,"log_truncated":false,"snapshot":false}"#;

/// The schema's steps: their numbers, names and text, as they are in the sources.
fn steps() -> anyhow::Result<Vec<(i64, String, String)>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../host/migrations/sqlite");
    let mut steps = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_stem().and_then(|name| name.to_str());
        let (number, name) = name
            .and_then(|name| name.split_once('_'))
            .context("a step's name")?;
        steps.push((number.parse()?, name.to_owned(), fs::read_to_string(&path)?));
    }
    steps.sort();
    Ok(steps)
}

/// Makes a state folder as a version left it that knew so many steps, with so many runs of the agent `guests`.
#[tokio::main(flavor = "current_thread")]
async fn left_by(state: &Path, known: usize, runs: u32) -> anyhow::Result<()> {
    fs::create_dir_all(state)?;
    fs::set_permissions(state, fs::Permissions::from_mode(0o700))?;
    let options = SqliteConnectOptions::new()
        .filename(state.join("infinity.db"))
        .create_if_missing(true)
        .journal_mode(sqlx::sqlite::SqliteJournalMode::Wal);
    let mut connection = SqliteConnection::connect_with(&options).await?;
    let steps = steps()?
        .into_iter()
        .take(known)
        .map(|(number, name, sql)| {
            let sql = AssertSqlSafe(sql).into_sql_str();
            Migration::new(number, name.into(), MigrationType::Simple, sql, false)
        })
        .collect();
    Migrator::with_migrations(steps)
        .run(&mut connection)
        .await?;
    let sql = format!(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {runs}) \
         INSERT INTO runs (id, agent, plugin, plugin_digest, config_digest, principal_kind, principal_name, trigger_kind, attempt, \
         idempotency_key, state, outcome, findings, denials, usage, input, scheduled_at, created_at, started_at, ended_at) \
         SELECT randomblob(16), 'guests', 'guests', 'sha256:00', 'sha256:00', 'local', 'local', 'manual', 1, 'key-' || i, 'ended', 'succeeded', \
         0, '[]', '{USAGE}', '{{\"n\":' || i || '}}', t, t, t, t FROM (SELECT i, 1700000000000000 + i AS t FROM n)"
    );
    sqlx::raw_sql(AssertSqlSafe(sql))
        .execute(&mut connection)
        .await?;
    connection.close().await?;
    Ok(())
}

fn newest(state: &Path) -> anyhow::Result<i64> {
    number(
        state,
        "SELECT max(version) FROM _sqlx_migrations WHERE success",
    )
}

fn whole(folder: &Folder) -> anyhow::Result<()> {
    let checked = folder.infinity(&["--json", "store", "check"])?;
    ensure!(
        checked.status.success(),
        "{}{}",
        String::from_utf8_lossy(&checked.stdout),
        String::from_utf8_lossy(&checked.stderr)
    );
    Ok(())
}

#[test]
fn f05_state_of_every_earlier_version_is_brought_up_to_date() -> anyhow::Result<()> {
    let steps = steps()?;
    let last = steps.last().context("a step")?.0;
    for known in 1..=steps.len() {
        let folder = folder("", "")?;
        let state = folder.path().join("var");
        left_by(&state, known, 300)?;
        let host = folder.serve()?;
        ensure!(
            newest(&state)? == last,
            "from {known} it is at {}",
            newest(&state)?
        );
        let runs = host
            .json("/v1/runs?agent=guests&limit=500")
            .with_context(|| host.log())?;
        ensure!(
            runs["items"].as_array().map(Vec::len) == Some(300),
            "from {known}: {runs}"
        );
        // A key of the earlier version is still known.
        let known_run = host.run_of_key("guests", &serde_json::json!({ "n": 7 }), "key-7")?;
        ensure!(known_run["idempotency_key"] == "key-7", "{known_run}");
        ensure!(
            host.run("guests", &ok())?["outcome"] == "succeeded",
            "from {known}: a run"
        );
        chain_is_whole(&host)?;
        let (status, folder) = host.stop_and_keep()?;
        ensure!(status.success(), "{status}");
        whole(&folder)?;
    }
    Ok(())
}

#[test]
fn f05_a_host_that_is_killed_while_it_brings_state_up_to_date_finds_it_whole() -> anyhow::Result<()>
{
    let kills: u32 = count(8, 100);
    let rows: u32 = count(60_000, 400_000);
    let last = steps()?.last().context("a step")?.0;
    let folder = folder("", "")?;
    let state = folder.path().join("var");
    left_by(&state, 1, rows)?;
    // How long a whole start takes says where to cut.
    let mut seen = std::collections::BTreeSet::new();
    for kill in 0..kills {
        let mut child = folder.command(&["serve"]).spawn()?;
        let instant = Duration::from_millis(u64::from(20 + kill * 53 % 600));
        let began = Instant::now();
        while began.elapsed() < instant && child.try_wait()?.is_none() {
            std::thread::sleep(Duration::from_millis(1));
        }
        child.kill()?;
        child.wait()?;
        // At a step, or between two: never half-way through one.
        seen.insert(newest(&state)?);
        let runs = number(&state, "SELECT count(*) FROM runs")?;
        ensure!(runs == i64::from(rows), "{runs} runs are left");
    }
    let host = folder.serve()?;
    ensure!(newest(&state)? == last, "it is at {}", newest(&state)?);
    ensure!(
        host.run("guests", &ok())?["outcome"] == "succeeded",
        "a run"
    );
    chain_is_whole(&host)?;
    whole(host.folder())?;
    figure(
        "kills while state of the first version is brought up to date",
        kills,
        &format!("{rows} runs there, stopped at steps {seen:?}"),
    );
    Ok(())
}

#[test]
fn f44_state_of_a_later_version_is_left_alone_with_an_instruction() -> anyhow::Result<()> {
    let host = folder("", "")?.serve()?;
    ensure!(
        host.run("guests", &ok())?["outcome"] == "succeeded",
        "a run"
    );
    let (_, folder) = host.stop_and_keep()?;
    let state = folder.path().join("var");
    let known = newest(&state)?;
    tamper(
        &state,
        &format!(
            "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) VALUES ({}, 'later', TRUE, x'00', 0)",
            known + 1
        ),
    )?;
    let before = fs::read(state.join("infinity.db"))?;
    let began = Instant::now();
    let said = folder.infinity(&["serve"])?;
    let text = String::from_utf8_lossy(&said.stderr).into_owned();
    ensure!(said.status.code() == Some(1), "{}: {text}", said.status);
    ensure!(
        began.elapsed() < Duration::from_secs(10),
        "{:?}",
        began.elapsed()
    );
    ensure!(
        text.contains(&format!("schema {}", known + 1))
            && text.contains("run the version of `infinity` that wrote it"),
        "{text}"
    );
    ensure!(
        fs::read(state.join("infinity.db"))? == before,
        "it was written to"
    );
    // The version that wrote it goes on with it.
    tamper(
        &state,
        &format!("DELETE FROM _sqlx_migrations WHERE version = {}", known + 1),
    )?;
    let host = folder.serve()?;
    ensure!(
        host.run("guests", &ok())?["outcome"] == "succeeded",
        "a run"
    );
    chain_is_whole(&host)
}

#[test]
fn f44_an_older_copy_of_the_database_is_found_out_by_a_checkpoint() -> anyhow::Result<()> {
    let host = folder("", "")?.serve()?;
    ensure!(
        host.run("guests", &ok())?["outcome"] == "succeeded",
        "a run"
    );
    let (_, folder) = host.stop_and_keep()?;
    let path = folder.path().join("var/infinity.db");
    let older = fs::read(&path)?;
    let host = folder.serve()?;
    for _ in 0..5 {
        ensure!(
            host.run("guests", &ok())?["outcome"] == "succeeded",
            "a run"
        );
    }
    let (_, folder) = host.stop_and_keep()?;
    let verify = |folder: &Folder| folder.infinity(&["audit", "verify"]);
    ensure!(
        verify(&folder)?.status.success(),
        "the journal is not whole"
    );
    fs::write(&path, older)?;
    let _ = fs::remove_file(path.with_extension("db-wal"));
    let _ = fs::remove_file(path.with_extension("db-shm"));
    let said = verify(&folder)?;
    let text = String::from_utf8_lossy(&said.stdout).into_owned();
    ensure!(
        said.status.code() == Some(1) && text.contains("an older copy put in place"),
        "{}: {text}",
        said.status
    );
    // Nor does a host that goes on with it make it right.
    let (_, folder) = folder.serve()?.stop_and_keep()?;
    ensure!(verify(&folder)?.status.code() == Some(1), "it is forgotten");
    Ok(())
}
