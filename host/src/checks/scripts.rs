//! Scripts of the operator's own that look at submissions: each has a function `check(submission)` and needs no build step. They get every text and reach nothing, so that a script that a
//! language model wrote can do no harm either.

use super::submission::{Language, StepKind, Submission};
use super::{CheckStep, Checks, StepOutcome, shown, stopped, unexpected};
use crate::sandbox::call::Answer;
use crate::sandbox::code::{CodeCall, CodeFile, CodeTask};
use bytes::Bytes;
use std::path::Path;
use std::sync::Arc;

/// Scripts in the folder: each runs for every submission.
const SCRIPTS_MAX: usize = 100;

/// One script, in bytes.
const SCRIPT_MAX_BYTES: u64 = 256 * 1024;

/// The scripts of a folder, by name; none where there is no folder.
fn read(folder: &Path) -> Result<Vec<CodeFile>, String> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(format!("`{}` cannot be read: {error}", folder.display())),
    };
    let mut scripts = Vec::new();
    for entry in entries {
        let entry =
            entry.map_err(|error| format!("`{}` cannot be read: {error}", folder.display()))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if Language::of_path(&name).is_none() {
            continue;
        }
        let fail = |why: String| format!("the script `{name}` cannot be read: {why}");
        // Mounted configuration consists of links.
        let metadata = std::fs::metadata(entry.path()).map_err(|error| fail(error.to_string()))?;
        if !metadata.is_file() {
            continue;
        }
        if scripts.len() >= SCRIPTS_MAX {
            return Err(format!(
                "`{}` has more than {SCRIPTS_MAX} scripts",
                folder.display()
            ));
        }
        if metadata.len() > SCRIPT_MAX_BYTES {
            return Err(fail(format!("it has more than {SCRIPT_MAX_BYTES} bytes")));
        }
        let text =
            std::fs::read_to_string(entry.path()).map_err(|error| fail(error.to_string()))?;
        scripts.push(CodeFile { path: name, text });
    }
    scripts.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(scripts)
}

impl Checks {
    /// Has each script look at everything that was handed in, each in an instance of its own.
    pub(super) async fn scripts(&self, submission: &Submission) -> CheckStep {
        let folder = self.registry.load().config.host.checks.clone();
        let scripts = match tokio::task::spawn_blocking(move || read(&folder)).await {
            Ok(Ok(scripts)) => scripts,
            Ok(Err(message)) => return CheckStep::error(StepKind::Scripts, message),
            Err(error) => return CheckStep::error(StepKind::Scripts, error.to_string()),
        };
        if scripts.is_empty() {
            return CheckStep::skipped(StepKind::Scripts, "there are no scripts");
        }
        let files = super::steps::new(submission);
        let files: Arc<Vec<CodeFile>> = Arc::new(files.into_iter().cloned().collect());
        let mut step = CheckStep::new(StepKind::Scripts, StepOutcome::Passed, "");
        let count = scripts.len();
        for script in scripts {
            if let Err(message) = self.script(submission, &files, script, &mut step).await {
                step.outcome = StepOutcome::Error;
                step.summary = message;
                return step;
            }
        }
        super::steps::by_findings(&mut step);
        step.summary = format!(
            "{} of {}",
            step.summary,
            super::steps::counted(count, "script")
        );
        step
    }

    async fn script(
        &self,
        submission: &Submission,
        files: &Arc<Vec<CodeFile>>,
        script: CodeFile,
        step: &mut CheckStep,
    ) -> Result<(), String> {
        let name = script.path.clone();
        let fail = |why: String| format!("the script `{name}` failed: {why}");
        let language = Language::of_path(&name).unwrap_or(submission.language);
        let component = self.component(language.runner()).await?;
        let files = Arc::clone(files);
        let ran = self
            .run(
                &component,
                self.job(submission, 0),
                move |heard| CodeCall {
                    files,
                    task: CodeTask::Check(script),
                    input: Bytes::new(),
                    heard,
                    peer: None,
                },
                None,
                None,
            )
            .await;
        step.add(&ran.end, &ran.meter);
        step.output.push_str(&shown(&ran.stdout));
        step.output.push_str(&shown(&ran.stderr));
        match ran.end.result {
            Ok(Answer::Code(answer, findings)) => match answer.error {
                Some(error) => Err(fail(
                    error
                        .trim_end()
                        .lines()
                        .next_back()
                        .unwrap_or_default()
                        .to_owned(),
                )),
                None => {
                    let stem = name.split('.').next().unwrap_or(&name).to_owned();
                    step.findings
                        .extend(findings.into_iter().map(|mut finding| {
                            if finding.rule.is_empty() {
                                finding.rule.clone_from(&stem);
                            } else if !finding.rule.contains('/') {
                                finding.rule = format!("{stem}/{}", finding.rule);
                            }
                            finding
                        }));
                    Ok(())
                }
            },
            Ok(answer) => Err(fail(unexpected(&answer))),
            Err(stop) => Err(fail(stopped(&stop))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_are_read_by_name_and_what_is_none_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(read(&folder.path().join("none")).unwrap(), Vec::new());
        for (name, text) in [("b.py", "b"), ("a.js", "a"), ("notes.txt", "n")] {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        std::fs::create_dir(folder.path().join("c.py")).unwrap();
        let names: Vec<String> = read(folder.path())
            .unwrap()
            .into_iter()
            .map(|script| script.path)
            .collect();
        assert_eq!(names, ["a.js", "b.py"]);
        std::fs::write(folder.path().join("d.py"), [0xff]).unwrap();
        assert!(read(folder.path()).unwrap_err().contains("`d.py`"));
    }
}
