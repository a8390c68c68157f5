//! `policy`: the five policies of `policies/` over a commit of three files and a merge, each in a fresh sandbox, against regorus in this process.
//!
//! The peer is what a careful user of regorus writes: the same files without tests, parsed and analysed once, the same cache of patterns, one engine that is used
//! again and again without any isolation, JSON in, and one rule evaluation that collects all answers. Both sides must find the same.

use crate::samples::{Pair, Samples};
use crate::scene::Scene;
use crate::table::Section;
use anyhow::{Context as _, anyhow, bail, ensure};
use infinity::app::App;
use infinity::registry::policy_files;
use infinity::sandbox::budget::RunBudget;
use infinity::sandbox::call::{Answer, Call};
use infinity::sandbox::meter::Meter;
use infinity::sandbox::state::Capabilities;
use infinity::sandbox::{InitFile, InitInput, Job, LoadRequest, Loaded, Sandbox as _, digest};
use infinity_tests::host::{component, root};
use regorus::{Engine, Value};
use std::sync::Arc;
use std::time::Instant;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

/// Rounds of each side.
const ROUNDS: usize = 20;

/// Evaluations of each side in a round.
const CALLS: usize = 25;

/// Evaluations without a snapshot in a round: each parses and warms up everything.
const SLOW_CALLS: usize = 1;

/// Rounds without a snapshot.
const SLOW_ROUNDS: usize = 5;

/// Compiled patterns that the peer keeps; as many as the plugin.
const PATTERN_CACHE: usize = 1_024;

/// The memory of the shipped policy agent.
const MEMORY_BYTES: u64 = 256 * 1024 * 1024;

/// The aim of the issue.
const AIM: f64 = 3.0;

/// What is judged.
#[derive(Clone, Copy)]
struct Subject {
    package: &'static str,
    input: &'static str,
    /// All rules that answer below the package.
    rules: &'static [&'static str],
    /// A rule of the peer's own that collects them.
    collector: &'static str,
}

const COMMIT: Subject = Subject {
    package: "github.commit",
    input: include_str!("inputs/commit.json"),
    rules: &[
        "data.github.commit.secrets.deny",
        "data.github.commit.secrets.warn",
        "data.github.commit.todo.deny",
        "data.github.commit.signed.deny",
    ],
    collector: "commit",
};

const MERGE: Subject = Subject {
    package: "github.merge",
    input: include_str!("inputs/merge.json"),
    rules: &[
        "data.github.merge.approval.deny",
        "data.github.merge.codeql.deny",
    ],
    collector: "merge",
};

/// How the peer asks.
#[derive(Clone, Copy)]
enum Asking {
    /// One rule that collects the answers, so that intermediate results are shared.
    Together,
    /// Each `deny` and `warn` by itself.
    Each,
}

/// regorus in this process.
struct Peer(Engine);

impl Peer {
    fn new(files: &[InitFile]) -> anyhow::Result<Self> {
        regorus::cache::configure(regorus::cache::Config {
            regex: PATTERN_CACHE,
            glob: PATTERN_CACHE,
        });
        let mut engine = Engine::new();
        for file in files {
            if file.path.ends_with("_test.rego") {
                continue;
            }
            if file.path.ends_with(".rego") {
                engine.add_policy(file.path.clone(), file.content.clone())?;
            } else if file.path.ends_with(".json") {
                let mut value: serde_json::Value = serde_json::from_str(&file.content)?;
                for part in file.path.split('/').rev().skip(1) {
                    value = serde_json::json!({ part: value });
                }
                engine.add_data(Value::from_json_str(&value.to_string())?)?;
            }
        }
        let mut source = "package bench\n".to_owned();
        for subject in [COMMIT, MERGE] {
            let elements: Vec<String> = subject
                .rules
                .iter()
                .map(|rule| format!("[x | x := {rule}]"))
                .collect();
            source.push_str(&format!(
                "{} := [{}]\n",
                subject.collector,
                elements.join(", ")
            ));
        }
        engine.add_policy("bench.rego".into(), source)?;
        Ok(Self(engine))
    }

    /// How many answers there are.
    fn evaluate(&mut self, subject: Subject, asking: Asking) -> anyhow::Result<usize> {
        self.0.set_input_json(subject.input)?;
        match asking {
            Asking::Each => subject.rules.iter().try_fold(0, |sum, rule| {
                let answers = self.0.eval_rule((*rule).to_owned())?;
                Ok(sum + answers.as_set()?.len())
            }),
            Asking::Together => {
                let answers = self
                    .0
                    .eval_rule(format!("data.bench.{}", subject.collector))?;
                answers.as_array()?.iter().try_fold(0, |sum, part| {
                    let found = part.as_array()?.first().context("a rule gave no answer")?;
                    Ok(sum + found.as_set()?.len())
                })
            }
        }
    }
}

/// One evaluation in a fresh sandbox; how many answers there are.
async fn evaluate(app: &App, loaded: &Arc<Loaded>, subject: Subject) -> anyhow::Result<usize> {
    let job = Job {
        meter: Arc::new(Meter::new(RunBudget {
            memory_bytes: MEMORY_BYTES,
            ..RunBudget::default()
        })),
        capabilities: Arc::new(Capabilities {
            agent: "policy".into(),
            ..Capabilities::default()
        }),
        cancel: CancellationToken::new(),
    };
    let call = Call::Evaluate {
        package: subject.package.into(),
        input: subject.input.into(),
    };
    let end = app.sandbox().call(loaded, call, job).await;
    match end.result {
        Ok(Answer::Decision(decision)) => Ok(decision.denials.len() + decision.warnings.len()),
        Ok(Answer::Error(message)) => bail!("the policies gave no decision: {message}"),
        Ok(_) => bail!("the sandbox answered another call"),
        Err(stop) => bail!("the evaluation was stopped: {}", stop.message),
    }
}

/// Rounds of both sides in turns, on the guests' runtime, all subjects in each call.
async fn pair(
    handle: &Handle,
    app: Arc<App>,
    loaded: Arc<Loaded>,
    mut peer: Peer,
    (subjects, asking): (&'static [Subject], Asking),
    (rounds, calls): (usize, usize),
) -> anyhow::Result<(Pair, Peer)> {
    let measured = handle.spawn(async move {
        let mut pair = Pair::default();
        // The first round warms up.
        for round in 0..=rounds {
            let mut own = Samples::default();
            let mut own_found = 0;
            for _ in 0..calls {
                let began = Instant::now();
                own_found = 0;
                for &subject in subjects {
                    own_found += evaluate(&app, &loaded, subject).await?;
                }
                own.push(began.elapsed());
            }
            let mut other = Samples::default();
            for _ in 0..calls {
                let began = Instant::now();
                let mut found = 0;
                for &subject in subjects {
                    found += peer.evaluate(subject, asking)?;
                }
                other.push(began.elapsed());
                ensure!(
                    found == own_found,
                    "the sandbox found {own_found} and regorus {found}"
                );
            }
            if round > 0 {
                pair.round(&own, &other);
            }
        }
        anyhow::Ok((pair, peer))
    });
    measured.await?
}

/// Measures.
pub(crate) async fn measure() -> anyhow::Result<Section> {
    let scene = Scene::open(&[]).await?;
    let app = &scene.app;
    let handle = app.sandbox().handle().context("the sandbox is shut down")?;
    let files =
        policy_files(&root().join("policies")).map_err(|refusal| anyhow!(refusal.message))?;
    let mut peer = Peer::new(&files)?;
    let bytes = std::fs::read(component("policy"))?;
    let request = LoadRequest {
        digest: digest(&bytes),
        bytes: bytes.into(),
        inspection: None,
        fuel: false,
        init: Some(Arc::new(InitInput {
            settings: "{}".into(),
            files,
        })),
        snapshot: true,
    };
    let slow = app
        .sandbox()
        .load(LoadRequest {
            snapshot: false,
            ..request.clone()
        })
        .await?;
    let fast = app.sandbox().load(request).await?;
    app.sandbox().prepare(&fast).await?;
    ensure!(
        fast.snapshot() && !slow.snapshot(),
        "the snapshot could not be made: {:?}",
        fast.notice()
    );

    let mut section = Section::of_pairs("policy");
    let mut headline = f64::NAN;
    for (label, loaded, what, often) in [
        (
            "all five policies",
            &fast,
            (&[COMMIT, MERGE][..], Asking::Together),
            (ROUNDS, CALLS),
        ),
        (
            "`github.commit`",
            &fast,
            (&[COMMIT][..], Asking::Together),
            (ROUNDS, CALLS),
        ),
        (
            "`github.merge`",
            &fast,
            (&[MERGE][..], Asking::Together),
            (ROUNDS, CALLS),
        ),
        (
            "all five, peer asks each rule",
            &fast,
            (&[COMMIT, MERGE][..], Asking::Each),
            (ROUNDS, CALLS),
        ),
        (
            "all five, without a snapshot",
            &slow,
            (&[COMMIT, MERGE][..], Asking::Together),
            (SLOW_ROUNDS, SLOW_CALLS),
        ),
    ] {
        let (measured, back) = pair(
            &handle,
            Arc::clone(app),
            Arc::clone(loaded),
            peer,
            what,
            often,
        )
        .await?;
        peer = back;
        if headline.is_nan() {
            headline = measured.ratio();
        }
        section.pair(label, &measured);
    }
    section.at_most("ratio of all five policies", AIM, headline);
    section.note("all five: `github.commit` over a commit of three files and `github.merge` over a merge, each in a sandbox of its own");
    section.note("peer: regorus in this process, one prepared engine without isolation, one collecting rule; where it says so, each `deny` and `warn` by itself");
    Ok(section)
}
