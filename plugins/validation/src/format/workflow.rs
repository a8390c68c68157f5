//! GitHub workflow files: what makes GitHub refuse a workflow, or skip a job, without telling anyone before the push.

use crate::problem::{Problems, excerpt};
use crate::tree::{NodeId, Tree, Value};

/// Keys that GitHub knows at the top level.
const TOP_LEVEL_KEYS: &[&str] = &[
    "name",
    "run-name",
    "on",
    "permissions",
    "env",
    "defaults",
    "concurrency",
    "jobs",
];

/// Checks the first document of a workflow file.
pub(crate) fn check(trees: &[Tree], problems: &mut Problems) {
    let Some((tree, members)) = trees
        .first()
        .and_then(|tree| tree.members(0).map(|members| (tree, members)))
    else {
        problems.error(
            "workflow/not-a-mapping",
            0,
            "the workflow is no mapping",
            "write `on:` and `jobs:` at the top level",
        );
        return;
    };
    for member in members {
        if !TOP_LEVEL_KEYS.contains(&member.key.as_str()) {
            problems.error(
                "workflow/unknown-key",
                member.key_offset,
                format!("unknown top-level key `{}`", excerpt(&member.key)),
                format!("GitHub knows `{}`", TOP_LEVEL_KEYS.join("`, `")),
            );
        }
    }
    let begin = tree.offset(0);
    if tree.member(0, "on").is_none() {
        problems.error(
            "workflow/missing-on",
            begin,
            "the workflow has no `on`",
            "say what starts it, for instance `on: [push, pull_request]`",
        );
    }
    let Some(jobs) = tree.member(0, "jobs") else {
        problems.error(
            "workflow/missing-jobs",
            begin,
            "the workflow has no `jobs`",
            "add at least one job below `jobs:`",
        );
        return;
    };
    match tree.members(jobs.value) {
        Some(members) if !members.is_empty() => {
            for member in members {
                check_job(
                    tree,
                    jobs.value,
                    &member.key,
                    member.key_offset,
                    member.value,
                    problems,
                );
            }
        }
        _ => problems.error(
            "workflow/missing-jobs",
            jobs.key_offset,
            "`jobs` holds no job",
            "add at least one job below `jobs:`",
        ),
    }
}

fn check_job(
    tree: &Tree,
    jobs: NodeId,
    name: &str,
    name_offset: usize,
    job: NodeId,
    problems: &mut Problems,
) {
    let name = excerpt(name);
    let calls_workflow = tree.member(job, "uses").is_some();
    if !calls_workflow && tree.member(job, "runs-on").is_none() {
        problems.error(
            "workflow/job-without-runner",
            name_offset,
            format!("job `{name}` has neither `runs-on` nor `uses`"),
            "say where it runs, for instance `runs-on: ubuntu-latest`",
        );
    }
    if let Some(needs) = tree.member(job, "needs") {
        let one = [needs.value];
        for &need in tree.items(needs.value).unwrap_or(&one) {
            if let Some(wanted) = tree.text(need)
                && tree.member(jobs, wanted).is_none()
            {
                problems.error(
                    "workflow/unknown-need",
                    tree.offset(need),
                    format!(
                        "job `{name}` needs `{}`, which is no job here",
                        excerpt(wanted)
                    ),
                    "name a job of this file",
                );
            }
        }
    }
    match tree.member(job, "steps") {
        Some(steps) => {
            for &step in tree.items(steps.value).unwrap_or_default() {
                check_step(tree, &name, step, problems);
            }
        }
        None if !calls_workflow && tree.member(job, "runs-on").is_some() => problems.error(
            "workflow/job-without-steps",
            name_offset,
            format!("job `{name}` has no `steps`"),
            "add `steps:` with at least one step",
        ),
        None => {}
    }
}

fn check_step(tree: &Tree, job: &str, step: NodeId, problems: &mut Problems) {
    let uses = tree.member(step, "uses");
    let run = tree.member(step, "run");
    let offset = tree.offset(step);
    match (uses, run) {
        (None, None) => problems.error(
            "workflow/step-without-action",
            offset,
            match tree.nodes.get(step).map(|node| &node.value) {
                Some(Value::Object(_)) => {
                    format!("a step of job `{job}` has neither `uses` nor `run`")
                }
                _ => format!("a step of job `{job}` is no mapping"),
            },
            "add `uses:` with an action or `run:` with a command",
        ),
        (Some(_), Some(run)) => problems.error(
            "workflow/step-with-uses-and-run",
            run.key_offset,
            format!("a step of job `{job}` has both `uses` and `run`"),
            "make two steps of it",
        ),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::yaml;

    fn problems_of(text: &str) -> Vec<(&'static str, u32, u32)> {
        let mut problems = Problems::default();
        if let Some(trees) = yaml::check(text, true, &mut problems) {
            check(&trees, &mut problems);
        }
        problems.rules_at(text)
    }

    const SOUND: &str = "name: CI\non: [push]\njobs:\n  build:\n    runs-on: ubuntu-latest\n    steps:\n      - uses: actions/checkout@v4\n      - run: make\n  call:\n    needs: [build]\n    uses: ./.github/workflows/other.yml\n";

    #[test]
    fn a_sound_workflow_has_no_findings() {
        assert_eq!(problems_of(SOUND), []);
        assert_eq!(
            problems_of(&SOUND.replace("needs: [build]", "needs: build")),
            []
        );
        assert_eq!(
            problems_of(&SOUND.replace("steps:\n", "steps: &s\n").replace(
                "    needs: [build]\n    uses: ./.github/workflows/other.yml",
                "    runs-on: x\n    steps: *s"
            )),
            []
        );
    }

    #[test]
    fn each_mistake_is_found_where_it_stands() {
        for (from, to, expected) in [
            ("on: [push]\n", "", ("workflow/missing-on", 1, 1)),
            ("name: CI", "nmae: CI", ("workflow/unknown-key", 1, 1)),
            (
                "    runs-on: ubuntu-latest\n",
                "",
                ("workflow/job-without-runner", 4, 3),
            ),
            (
                "- run: make",
                "- name: make",
                ("workflow/step-without-action", 8, 9),
            ),
            (
                "- run: make",
                "- uses: a/b@v1\n        run: make",
                ("workflow/step-with-uses-and-run", 9, 9),
            ),
            ("[build]", "[biuld]", ("workflow/unknown-need", 10, 13)),
        ] {
            assert_eq!(problems_of(&SOUND.replace(from, to)), [expected], "{to}");
        }
        assert_eq!(problems_of("on: push\n"), [("workflow/missing-jobs", 1, 1)]);
        assert_eq!(
            problems_of("on: push\njobs: {}\n"),
            [("workflow/missing-jobs", 2, 1)]
        );
        assert_eq!(problems_of("- a\n"), [("workflow/not-a-mapping", 1, 1)]);
        assert_eq!(
            problems_of("on: push\njobs:\n  a:\n    runs-on: x\n"),
            [("workflow/job-without-steps", 3, 3)]
        );
    }
}
