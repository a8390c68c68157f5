//! One `git cat-file --batch-command` for each repository that is being read, so that a look at a reference or an object costs a line in a pipe and not a process.
//!
//! Invariants: it answers what a new process would, as git looks for what it does not find once more, and reads references each time; what it has read of the configuration is kept for
//! [`LIFE`] at most. A process whose answers are not read to their end, or not understood, is ended: what comes next must not be taken for an answer. Whoever asks and goes away disturbs
//! nobody, as the process belongs to a task of its own.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::time::{Instant, timeout, timeout_at};

use super::{GIT_DEADLINE, GIT_PROCESSES, Group, is_object_id};

/// How long a process is kept for the next question.
const IDLE: Duration = Duration::from_secs(10);

/// How long it is kept at all, so that a repository whose configuration or alternates change is seen as it is.
const LIFE: Duration = Duration::from_secs(60);

/// Questions that wait for a process; beyond that those who ask wait.
const QUESTIONS_MAX: usize = 16;

/// How many bytes the first line of an answer may have: a question, which is at most a commit and a path, and a word.
const LINE_BYTES_MAX: u64 = 8 * 1024;

/// What is asked of each name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ask {
    /// Its id, kind and size.
    Info,
    /// Its bytes, too.
    Contents,
}

/// An object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Object {
    pub(super) id: String,
    /// `blob`, `tree`, `commit` or `tag`.
    pub(super) kind: String,
    pub(super) size: u64,
    /// Empty unless they were asked for.
    pub(super) bytes: Vec<u8>,
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Unanswered {
    /// The objects have more bytes together than were asked for.
    TooLarge,
    /// The process does not answer, or not as its manual says.
    Failed,
}

/// What a name stands for: none where there is no such object, or more than one.
type Answers = Result<Vec<Option<Object>>, Unanswered>;

struct Question {
    ask: Ask,
    names: Arc<Vec<String>>,
    bytes_max: u64,
    answers: oneshot::Sender<Answers>,
}

/// The process of one repository, if there is one.
#[derive(Default)]
pub(super) struct Reader {
    questions: Mutex<Option<mpsc::Sender<Question>>>,
}

impl Reader {
    /// What some names stand for, in their order, with at most `bytes_max` bytes of contents together. No name has a line feed. `command` is the program that is started if none runs.
    pub(super) async fn ask(
        &self,
        command: impl Fn() -> Command,
        ask: Ask,
        names: Vec<String>,
        bytes_max: u64,
    ) -> Answers {
        if names.iter().any(|name| name.contains('\n')) {
            return Err(Unanswered::Failed);
        }
        let names = Arc::new(names);
        // Twice, as a process may end while it is being asked.
        for _ in 0..2 {
            let (answers, answered) = oneshot::channel();
            let question = Question {
                ask,
                names: Arc::clone(&names),
                bytes_max,
                answers,
            };
            let questions = self.questions(&command).await.ok_or(Unanswered::Failed)?;
            if questions.send(question).await.is_ok()
                && let Ok(answers) = answered.await
            {
                return answers;
            }
        }
        Err(Unanswered::Failed)
    }

    /// Where the process that runs takes its questions, or a new one.
    async fn questions(&self, command: impl Fn() -> Command) -> Option<mpsc::Sender<Question>> {
        let mut kept = self.questions.lock().await;
        if let Some(questions) = kept.as_ref().filter(|questions| !questions.is_closed()) {
            return Some(questions.clone());
        }
        let (questions, asked) = mpsc::channel(QUESTIONS_MAX);
        tokio::spawn(Process::start(command())?.serve(asked));
        Some(kept.insert(questions).clone())
    }
}

struct Process {
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
    // Dropped in this order: the group while its id is still its own.
    _group: Group,
    _child: Child,
}

impl Process {
    fn start(mut command: Command) -> Option<Self> {
        let mut child = command
            .args(["cat-file", "--batch-command"])
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::null())
            .spawn()
            .ok()?;
        Some(Self {
            _group: Group::of(&child),
            questions: child.stdin.take()?,
            answers: BufReader::new(child.stdout.take()?),
            _child: child,
        })
    }

    /// Answers until nobody asks, or an answer is not whole.
    async fn serve(mut self, mut asked: mpsc::Receiver<Question>) {
        let end = Instant::now() + LIFE;
        // A question that waits would be heard even when the time is over.
        while Instant::now() < end
            && let Ok(Some(question)) =
                timeout_at(end.min(Instant::now() + IDLE), asked.recv()).await
        {
            let work = async {
                let _place = GIT_PROCESSES.acquire().await.ok()?;
                self.answer(&question).await
            };
            let answers = timeout(GIT_DEADLINE, work).await.ok().flatten();
            let whole = answers.is_some();
            let answers = answers.unwrap_or(Err(Unanswered::Failed));
            let whole = whole && !matches!(answers, Err(Unanswered::TooLarge));
            // Nobody waits for it any more, perhaps.
            let _ = question.answers.send(answers);
            if !whole {
                break;
            }
        }
    }

    async fn answer(&mut self, question: &Question) -> Option<Answers> {
        let word = match question.ask {
            Ask::Info => "info",
            Ask::Contents => "contents",
        };
        let mut lines = String::new();
        for name in question.names.iter() {
            lines.push_str(word);
            lines.push(' ');
            lines.push_str(name);
            lines.push('\n');
        }
        let Self {
            questions, answers, ..
        } = self;
        // Both at once: git answers the first while the last is being asked.
        let write = async { questions.write_all(lines.as_bytes()).await.ok() };
        let read = async {
            let mut found = Vec::with_capacity(question.names.len());
            let mut room = question.bytes_max;
            for name in question.names.iter() {
                let Some(mut object) = head(answers, name).await? else {
                    found.push(None);
                    continue;
                };
                if question.ask == Ask::Contents {
                    let Some(left) = room.checked_sub(object.size) else {
                        return Some(Err(Unanswered::TooLarge));
                    };
                    room = left;
                    let mut bytes = vec![0; usize::try_from(object.size).ok()?];
                    answers.read_exact(&mut bytes).await.ok()?;
                    (answers.read_u8().await.ok()? == b'\n').then_some(())?;
                    object.bytes = bytes;
                }
                found.push(Some(object));
            }
            Some(Ok(found))
        };
        tokio::pin!(write, read);
        tokio::select! {
            // An answer before the last question was asked is one that is too large.
            answers = &mut read => answers,
            written = &mut write => {
                written?;
                read.await
            }
        }
    }
}

/// Reads the first line of an answer.
async fn head(answers: &mut BufReader<ChildStdout>, name: &str) -> Option<Option<Object>> {
    let mut line = String::new();
    (&mut *answers)
        .take(LINE_BYTES_MAX)
        .read_line(&mut line)
        .await
        .ok()?;
    let line = line.strip_suffix('\n')?;
    if let Some(word) = line.strip_prefix(name)
        && matches!(word, " missing" | " ambiguous")
    {
        return Some(None);
    }
    let mut fields = line.split(' ');
    let object = Object {
        id: fields.next().filter(|id| is_object_id(id))?.to_owned(),
        kind: fields.next()?.to_owned(),
        size: fields.next()?.parse().ok()?,
        bytes: Vec::new(),
    };
    fields.next().is_none().then_some(Some(object))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_too_large_or_cannot_be_asked_ends_with_its_process_and_the_next_is_answered() {
        let repository = tempfile::tempdir().unwrap();
        let git = |arguments: &[&str]| {
            let said = std::process::Command::new("git")
                .arg("-C")
                .arg(repository.path())
                .args(arguments)
                .output()
                .unwrap();
            assert!(said.status.success(), "{said:?}");
            String::from_utf8(said.stdout).unwrap().trim().to_owned()
        };
        git(&["init", "--quiet", "--bare"]);
        let file = repository.path().join("file");
        std::fs::write(&file, "x".repeat(100_000)).unwrap();
        let id = git(&["hash-object", "-w", file.to_str().unwrap()]);
        let command = || {
            let mut command = Command::new("git");
            command.arg("-C").arg(repository.path());
            command
        };
        let reader = Reader::default();
        let ask = |ask, names: &[&str], most| {
            let names = names.iter().map(|name| (*name).to_owned()).collect();
            reader.ask(command, ask, names, most)
        };
        let none = "0".repeat(40);
        let found = ask(Ask::Info, &[&id, &none, "nobody"], 0).await.unwrap();
        let sizes: Vec<Option<u64>> = found
            .into_iter()
            .map(|one| one.map(|object| object.size))
            .collect();
        assert_eq!(sizes, [Some(100_000), None, None]);
        let many = vec![id.as_str(); 1_000];
        let large = ask(Ask::Contents, &many, 50_000_000).await;
        assert!(matches!(large, Err(Unanswered::TooLarge)), "{large:?}");
        let odd = ask(Ask::Info, &["a\nb"], 0).await;
        assert!(matches!(odd, Err(Unanswered::Failed)), "{odd:?}");
        let whole = ask(Ask::Contents, &many, 100_000_000).await.unwrap();
        assert!(whole.iter().flatten().all(|one| one.bytes.len() == 100_000));
        // Git sees what came after it began.
        std::fs::write(&file, "later").unwrap();
        let later = git(&["hash-object", "-w", file.to_str().unwrap()]);
        let found = ask(Ask::Contents, &[&later], 10).await.unwrap();
        assert_eq!(found[0].as_ref().unwrap().bytes, b"later");
    }
}
