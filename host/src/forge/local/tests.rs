use std::os::unix::fs::{PermissionsExt, symlink};

use super::parse::Signature;
use super::*;
use crate::forge::{AddedLine, Change, Person};

/// A repository that a test fills, and the state folder of the forge over it.
struct Fixture {
    folder: tempfile::TempDir,
    bare: bool,
}

impl Fixture {
    fn new() -> Self {
        let fixture = Self {
            folder: tempfile::tempdir().unwrap(),
            bare: false,
        };
        std::fs::create_dir(fixture.work()).unwrap();
        fixture.git(&["init", "--quiet", "--initial-branch=main"]);
        fixture
    }

    fn work(&self) -> PathBuf {
        self.folder.path().join("work")
    }

    fn git(&self, arguments: &[&str]) -> String {
        self.git_with(arguments, &[])
    }

    fn git_with(&self, arguments: &[&str], environment: &[(&str, &str)]) -> String {
        let output = std::process::Command::new("git")
            .args(["-c", "protocol.file.allow=always"])
            .args(arguments)
            .current_dir(self.work())
            .env("HOME", self.folder.path())
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_AUTHOR_NAME", "Ada")
            .env("GIT_AUTHOR_EMAIL", "ada@example.org")
            .env("GIT_AUTHOR_DATE", "2024-02-29T12:00:00+01:00")
            .env("GIT_COMMITTER_NAME", "Grace")
            .env("GIT_COMMITTER_EMAIL", "grace@example.org")
            .env("GIT_COMMITTER_DATE", "2024-02-29T12:00:01+01:00")
            .envs(environment.iter().copied())
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "git {arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        let path = self.work().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    /// Commits everything and gives the id.
    fn commit(&self, message: &str) -> String {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--allow-empty", "-m", message]);
        self.git(&["rev-parse", "HEAD"])
    }

    /// A program that leaves `marker` when it is run.
    fn trap(&self) -> (String, PathBuf) {
        let marker = self.folder.path().join("it-ran");
        let program = self.folder.path().join("trap.sh");
        std::fs::write(
            &program,
            format!("#!/bin/sh\ntouch '{}'\ncat\n", marker.display()),
        )
        .unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        (program.display().to_string(), marker)
    }

    /// Goes on with a bare clone.
    fn make_bare(&mut self) {
        self.git(&["clone", "--quiet", "--bare", ".", "../bare.git"]);
        self.bare = true;
    }

    fn forge(&self) -> LocalForge {
        let path = if self.bare {
            self.folder.path().join("bare.git")
        } else {
            self.work()
        };
        LocalForge::open("ops", &path, &self.folder.path().join("state")).unwrap()
    }
}

fn paths(entries: &[Entry]) -> Vec<&str> {
    entries.iter().map(|entry| entry.path.as_str()).collect()
}

fn not_found<T: std::fmt::Debug>(result: Result<T, ForgeError>) -> String {
    match result {
        Err(ForgeError::NotFound(message)) => message,
        other => panic!("not `NotFound`: {other:?}"),
    }
}

#[tokio::test]
async fn bare_and_other_repositories_answer_alike() {
    let mut fixture = Fixture::new();
    fixture.write("a.txt", "one\n");
    fixture.write("b/c.txt", "two\n");
    let first = fixture.commit("first");
    fixture.git(&["tag", "v1"]);
    fixture.write("a.txt", "one\nmore\n");
    let second = fixture.commit("second\n\nwith a body");
    for bare in [false, true] {
        if bare {
            fixture.make_bare();
        }
        let forge = fixture.forge();
        assert_eq!(forge.default_branch().await.unwrap(), "main");
        assert_eq!(forge.resolve("main").await.unwrap(), second);
        assert_eq!(forge.resolve("HEAD").await.unwrap(), second);
        assert_eq!(forge.resolve("HEAD~1").await.unwrap(), first);
        assert_eq!(forge.resolve("v1").await.unwrap(), first);
        assert_eq!(forge.resolve(&first[..10]).await.unwrap(), first);
        let tree = forge.tree("main", "").await.unwrap();
        assert_eq!(paths(&tree), ["a.txt", "b/c.txt"]);
        assert_eq!((tree[0].size, tree[0].kind), (9, EntryKind::File));
        assert_eq!(paths(&forge.tree("main", "b/").await.unwrap()), ["b/c.txt"]);
        assert_eq!(forge.read("v1", "a.txt").await.unwrap(), b"one\n");
        let log = forge.log("main", None, 10).await.unwrap();
        assert_eq!(log.len(), 2);
        assert_eq!(
            log[0],
            Commit {
                id: second.clone(),
                parents: vec![first.clone()],
                author: Person {
                    name: "Ada".into(),
                    email: "ada@example.org".into()
                },
                committer: Person {
                    name: "Grace".into(),
                    email: "grace@example.org".into()
                },
                committed_at: "2024-02-29T11:00:01Z".into(),
                message: "second\n\nwith a body".into(),
                verified: false,
            }
        );
        assert_eq!(forge.log("main", Some("v1"), 10).await.unwrap().len(), 1);
        assert_eq!(forge.log("main", None, 1).await.unwrap().len(), 1);
        let diff = forge.diff(Some("v1"), "main").await.unwrap();
        assert_eq!(diff.len(), 1);
        assert_eq!(
            diff[0].added,
            [AddedLine {
                line: 2,
                text: "more".into()
            }]
        );
        let checkout = forge.checkout(&first).await.unwrap();
        let content = std::fs::read(checkout.path().join("a.txt")).unwrap();
        assert_eq!(content, b"one\n");
    }
}

#[tokio::test]
async fn what_is_not_there_is_said_clearly() {
    let fixture = Fixture::new();
    let state = fixture.folder.path().join("state");
    let nowhere = fixture.folder.path().join("nowhere");
    assert!(
        not_found(LocalForge::open("x", &nowhere, &state)).contains("there is no git repository")
    );
    // A folder inside a work tree is not a repository of its own.
    fixture.write("inner/a", "");
    let inner = fixture.work().join("inner");
    not_found(LocalForge::open("x", &inner, &state));

    let forge = fixture.forge();
    for reference in ["HEAD", "main", "4b825dc642cb6eb9a060e54bf8d69288fbee4904"] {
        let message = not_found(forge.resolve(reference).await);
        assert_eq!(message, "the repository `ops` has no commits yet");
    }
    assert_eq!(forge.default_branch().await.unwrap(), "main");

    fixture.commit("first");
    fixture.git(&["symbolic-ref", "HEAD", "refs/heads/unborn"]);
    let message = not_found(forge.resolve("HEAD").await);
    assert!(message.contains("`unborn`"), "{message}");
    fixture.git(&["symbolic-ref", "HEAD", "refs/heads/main"]);

    not_found(forge.resolve("nothing").await);
    not_found(forge.resolve(&"0".repeat(40)).await);
    not_found(forge.tree("main", "nothing").await);
    not_found(forge.read("main", "nothing").await);
    let message = not_found(forge.read("main", "inner").await);
    assert!(message.contains("directory"), "{message}");
    assert!(forge.log("main", None, 0).await.is_err());
    assert!(forge.log("main", None, 1_001).await.is_err());

    // The tree of a commit is not a commit.
    let tree = fixture.git(&["rev-parse", "HEAD^{tree}"]);
    not_found(forge.resolve(&tree).await);

    std::fs::remove_dir_all(fixture.work()).unwrap();
    let error = forge.resolve("main").await.unwrap_err();
    assert!(matches!(error, ForgeError::Unavailable(_)), "{error:?}");
    assert!(!error.to_string().contains("work"), "{error}");
}

#[tokio::test]
async fn a_detached_head_is_its_own_branch() {
    let fixture = Fixture::new();
    let id = fixture.commit("first");
    fixture.git(&["checkout", "--quiet", "--detach"]);
    let forge = fixture.forge();
    assert_eq!(forge.default_branch().await.unwrap(), "HEAD");
    assert_eq!(forge.resolve("HEAD").await.unwrap(), id);
}

#[tokio::test]
async fn root_commits_are_compared_with_nothing_and_merges_with_their_first_parent() {
    let fixture = Fixture::new();
    fixture.write("a", "1\n2");
    fixture.write("empty", "");
    let root = fixture.commit("root");
    fixture.git(&["checkout", "--quiet", "-b", "side"]);
    fixture.write("side", "s\n");
    let side = fixture.commit("side");
    fixture.git(&["checkout", "--quiet", "main"]);
    fixture.write("main", "m\n");
    let main = fixture.commit("main");
    fixture.git(&["merge", "--quiet", "--no-ff", "-m", "merge", "side"]);
    let forge = fixture.forge();

    let diff = forge.diff(None, &root).await.unwrap();
    assert_eq!(diff.len(), 2);
    assert_eq!(diff[0].change, Change::Added);
    let added: Vec<_> = diff[0]
        .added
        .iter()
        .map(|added| (added.line, added.text.as_str()))
        .collect();
    assert_eq!(added, [(1, "1"), (2, "2")]);
    assert_eq!((diff[1].path.as_str(), diff[1].added.len()), ("empty", 0));

    let diff = forge.diff(None, "HEAD").await.unwrap();
    assert_eq!(diff.len(), 1);
    assert_eq!(diff[0].path, "side");
    let merge = &forge.log("HEAD", None, 1).await.unwrap()[0];
    assert_eq!(merge.parents, [main, side]);
    assert_eq!(forge.log("HEAD", None, 1_000).await.unwrap().len(), 4);
    assert_eq!(forge.diff(Some("HEAD"), "HEAD").await.unwrap(), []);
}

#[tokio::test]
async fn every_kind_of_change_is_told_apart() {
    let fixture = Fixture::new();
    let text: String = (1..=40).map(|line| format!("line {line}\n")).collect();
    fixture.write("old name.txt", &text);
    fixture.write("gone.txt", "x\ny\n");
    fixture.write("crlf.txt", "a\r\nb\r\n");
    fixture.write("binary", b"\0\x01\x02");
    fixture.write("becomes-link", "@@ -1 +1 @@\n");
    fixture.write("mode.sh", "echo\n");
    fixture.write("zz", "tail\n");
    // Attributes must not hide a text from a diff.
    fixture.write(".gitattributes", "* -diff\n");
    fixture.commit("before");
    let work = fixture.work();
    std::fs::rename(work.join("old name.txt"), work.join("neu\n\"ü\".txt")).unwrap();
    fixture.write("neu\n\"ü\".txt", text.replace("line 7\n", "line seven\n"));
    std::fs::remove_file(work.join("gone.txt")).unwrap();
    fixture.write("crlf.txt", "a\r\nB\r\nc");
    fixture.write("binary", b"\0\x01\x03");
    std::fs::remove_file(work.join("becomes-link")).unwrap();
    symlink("diff --git a/x b/x", work.join("becomes-link")).unwrap();
    std::fs::set_permissions(work.join("mode.sh"), std::fs::Permissions::from_mode(0o755)).unwrap();
    fixture.write(
        "zz",
        "diff --git a/x b/x\n@@ -1 +1 @@\nBinary files a and b differ\n",
    );
    fixture.commit("after");

    for diff in [fixture.forge().diff(None, "HEAD").await.unwrap(), {
        let mut fixture = fixture;
        fixture.make_bare();
        fixture.forge().diff(None, "HEAD").await.unwrap()
    }] {
        let by_path: HashMap<&str, &FileDiff> =
            diff.iter().map(|file| (file.path.as_str(), file)).collect();
        assert_eq!(by_path.len(), 7, "{diff:#?}");
        let check = |path: &str, change: Change, added: &[(u32, &str)], removed: u32| {
            let file = by_path[path];
            assert_eq!(file.change, change, "{path}");
            let found: Vec<(u32, &str)> = file
                .added
                .iter()
                .map(|added| (added.line, added.text.as_str()))
                .collect();
            assert_eq!(found, added, "{path}");
            assert_eq!(file.removed, removed, "{path}");
        };
        check("neu\n\"ü\".txt", Change::Renamed, &[(7, "line seven")], 1);
        check("gone.txt", Change::Deleted, &[], 2);
        check("crlf.txt", Change::Modified, &[(2, "B\r"), (3, "c")], 1);
        check("binary", Change::Modified, &[], 0);
        assert!(by_path["binary"].binary);
        assert!(!by_path["crlf.txt"].binary);
        check(
            "becomes-link",
            Change::Modified,
            &[(1, "diff --git a/x b/x")],
            1,
        );
        check("mode.sh", Change::Modified, &[], 0);
        check(
            "zz",
            Change::Modified,
            &[
                (1, "diff --git a/x b/x"),
                (2, "@@ -1 +1 @@"),
                (3, "Binary files a and b differ"),
            ],
            1,
        );
    }
}

#[tokio::test]
async fn odd_names_links_and_submodules_are_listed_and_read() {
    let fixture = Fixture::new();
    let odd = [
        "-option",
        "*.txt",
        ":(top)x",
        "a b",
        "new\nline",
        "quote\"",
        "tab\t",
        "ünïcode/日本",
    ];
    for path in odd {
        fixture.write(path, path);
    }
    symlink("/etc/passwd", fixture.work().join("link")).unwrap();
    fixture.write("run.sh", "");
    std::fs::set_permissions(
        fixture.work().join("run.sh"),
        std::fs::Permissions::from_mode(0o755),
    )
    .unwrap();
    let id = fixture.commit("files");
    let cacheinfo = format!("160000,{id},module");
    fixture.git(&["update-index", "--add", "--cacheinfo", &cacheinfo]);
    fixture.git(&["commit", "--quiet", "-m", "module"]);
    let forge = fixture.forge();
    let tree = forge.tree("main", "").await.unwrap();
    for path in odd {
        assert!(paths(&tree).contains(&path), "{path:?}");
        let content = forge.read("main", path).await.unwrap();
        assert_eq!(content, path.as_bytes(), "{path:?}");
        assert_eq!(forge.tree("main", path).await.unwrap().len(), 1, "{path:?}");
    }
    let kind = |path: &str| tree.iter().find(|entry| entry.path == path).unwrap().kind;
    assert_eq!(kind("link"), EntryKind::Symlink);
    assert_eq!(kind("run.sh"), EntryKind::Executable);
    assert_eq!(kind("module"), EntryKind::Submodule);
    assert_eq!(forge.read("main", "link").await.unwrap(), b"/etc/passwd");
    let message = not_found(forge.read("main", "module").await);
    assert!(message.contains("submodule"), "{message}");
    not_found(forge.read("main", "link/x").await);
    assert!(paths(&tree).is_sorted());

    let checkout = forge.checkout("main").await.unwrap();
    assert_eq!(
        std::fs::read_link(checkout.path().join("link")).unwrap(),
        Path::new("/etc/passwd")
    );
    assert_eq!(
        std::fs::read(checkout.path().join("new\nline")).unwrap(),
        b"new\nline"
    );
}

#[tokio::test]
async fn bytes_that_are_not_utf8_are_replaced() {
    let fixture = Fixture::new();
    let name = OsStr::from_bytes(b"n\xffm");
    std::fs::write(fixture.work().join(name), b"v\xfflue\n").unwrap();
    fixture.git(&["add", "--all"]);
    let tree = fixture.git(&["write-tree"]);
    // As an object: `git commit` would take the text for Latin-1 and recode it.
    let mut object =
        format!("tree {tree}\nauthor A <a@b> 1 +0000\ncommitter A <a@b> 1 +0000\n\n").into_bytes();
    object.extend(b"m\xffssage\n");
    fixture.write("../object", object);
    let id = fixture.git(&["hash-object", "-t", "commit", "-w", "../object"]);
    fixture.git(&["update-ref", "refs/heads/main", &id]);
    let forge = fixture.forge();
    assert_eq!(
        paths(&forge.tree("main", "").await.unwrap()),
        ["n\u{fffd}m"]
    );
    assert_eq!(
        forge.log("main", None, 1).await.unwrap()[0].message,
        "m\u{fffd}ssage"
    );
    let diff = forge.diff(None, "main").await.unwrap();
    assert_eq!(diff[0].added[0].text, "v\u{fffd}lue");
}

#[tokio::test]
async fn two_thousand_files_and_what_is_too_large() {
    let fixture = Fixture::new();
    for number in 0..2_000 {
        fixture.write(
            &format!("d{}/f{number}", number % 50),
            format!("{number}\n"),
        );
    }
    fixture.commit("many");
    let forge = fixture.forge();
    assert_eq!(forge.tree("main", "").await.unwrap().len(), 2_000);
    assert_eq!(forge.tree("main", "d7").await.unwrap().len(), 40);
    assert_eq!(forge.diff(None, "main").await.unwrap().len(), 2_000);

    let limit = usize::try_from(FILE_BYTES_MAX).unwrap();
    fixture.write("just", vec![b'x'; limit]);
    fixture.write("large", vec![b'x'; limit + 1]);
    fixture.commit("large");
    assert_eq!(forge.read("main", "just").await.unwrap().len(), limit);
    let error = forge.read("main", "large").await.unwrap_err();
    assert!(matches!(error, ForgeError::TooLarge(_)), "{error:?}");

    fixture.write("lines", "0123456789abcde\n".repeat(1_040_000));
    fixture.commit("a text that is just within 16 MiB, and not with a `+` before each line");
    let error = forge.diff(None, "main").await.map(|files| files.len());
    assert!(matches!(error, Err(ForgeError::TooLarge(_))), "{error:?}");
}

#[tokio::test]
async fn options_in_references_are_refused_and_in_paths_are_names() {
    let fixture = Fixture::new();
    fixture.write("a", "a");
    fixture.commit("first");
    let (program, marker) = fixture.trap();
    let forge = fixture.forge();
    for reference in [
        format!("--upload-pack={program}"),
        format!("--output={}", marker.display()),
        "-p".into(),
        "--all".into(),
    ] {
        assert!(matches!(
            forge.resolve(&reference).await,
            Err(ForgeError::Other(_))
        ));
        assert!(forge.tree(&reference, "").await.is_err());
        assert!(forge.read(&reference, "a").await.is_err());
        assert!(forge.log("main", Some(&reference), 1).await.is_err());
        assert!(forge.diff(Some(&reference), "main").await.is_err());
        assert!(forge.checkout(&reference).await.is_err());
    }
    not_found(forge.tree("main", "--name-only").await);
    not_found(
        forge
            .read(
                "main",
                &format!(
                    "--output={}",
                    marker.display().to_string().trim_start_matches('/')
                ),
            )
            .await,
    );
    assert!(!marker.exists());
}

#[tokio::test]
async fn programs_planted_in_the_repository_are_not_run() {
    let fixture = Fixture::new();
    fixture.write("a.txt", "one\n");
    fixture.write(".gitattributes", "* diff=evil filter=evil\n");
    fixture.commit("first");
    fixture.write("a.txt", "two\n");
    fixture.commit("second");
    // A signed commit, so that a signature program would be asked.
    let tree = fixture.git(&["rev-parse", "HEAD^{tree}"]);
    fixture.write(
        "../signed",
        format!(
            "tree {tree}\nauthor A <a@b> 1 +0000\ncommitter A <a@b> 1 +0000\ngpgsig -----BEGIN PGP SIGNATURE-----\n \n AAAA\n -----END PGP SIGNATURE-----\n\nsigned\n"
        ),
    );
    let signed = fixture.git(&["hash-object", "-t", "commit", "-w", "../signed"]);

    let (program, marker) = fixture.trap();
    for name in [
        "post-checkout",
        "post-index-change",
        "reference-transaction",
    ] {
        let hook = fixture.work().join(".git/hooks").join(name);
        std::fs::create_dir_all(hook.parent().unwrap()).unwrap();
        std::fs::copy(&program, hook).unwrap();
    }
    for key in [
        "core.fsmonitor",
        "core.pager",
        "core.sshCommand",
        "core.gitProxy",
        "diff.external",
        "diff.evil.command",
        "diff.evil.textconv",
        "filter.evil.smudge",
        "filter.evil.clean",
        "filter.evil.process",
        "filter.e=v.i l.smudge",
        "gpg.program",
        "gpg.openpgp.program",
        "gpg.x509.program",
        "gpg.ssh.program",
        "gpg.ssh.defaultKeyCommand",
        "alias.log",
        "uploadpack.packObjectsHook",
        "pager.log",
    ] {
        fixture.git(&["config", key, &program]);
    }
    fixture.git(&["config", "filter.evil.required", "true"]);
    fixture.git(&["config", "log.showSignature", "true"]);
    std::fs::create_dir_all(fixture.work().join(".git/info")).unwrap();
    fixture.write(
        ".git/info/attributes",
        "* diff=evil filter=evil\n*.md filter=\"e=v.i l\"\n",
    );
    assert!(!marker.exists(), "the preparation ran a trap");

    let forge = fixture.forge();
    forge.default_branch().await.unwrap();
    forge.tree("main", "").await.unwrap();
    forge.read("main", "a.txt").await.unwrap();
    forge.log("main", None, 10).await.unwrap();
    assert!(!forge.log(&signed, None, 1).await.unwrap()[0].verified);
    let diff = forge.diff(None, "main").await.unwrap();
    assert_eq!(diff[0].added[0].text, "two");
    let checkout = forge.checkout("main").await.unwrap();
    let content = std::fs::read(checkout.path().join("a.txt")).unwrap();
    assert_eq!(content, b"two\n");
    assert!(!marker.exists(), "a planted program ran");

    // The traps do spring for a git that is not locked.
    let _ = std::process::Command::new("git")
        .args([
            "-C",
            &fixture.work().display().to_string(),
            "diff",
            "HEAD~1",
        ])
        .output();
    assert!(marker.exists(), "the traps prove nothing");
}

#[tokio::test]
async fn attributes_do_not_change_what_is_laid_out() {
    let fixture = Fixture::new();
    fixture.write("a.txt", "$Id$\nb\n");
    fixture.write(".gitattributes", "*.txt text eol=crlf ident\n");
    fixture.commit("first");
    fixture.git(&["config", "core.autocrlf", "true"]);
    let checkout = fixture.forge().checkout("main").await.unwrap();
    let content = std::fs::read(checkout.path().join("a.txt")).unwrap();
    assert_eq!(content, b"$Id$\nb\n");
}

#[tokio::test]
async fn checkouts_are_shared_and_four_unused_ones_are_kept() {
    let fixture = Fixture::new();
    let mut ids = Vec::new();
    for number in 0..7 {
        fixture.write("number", number.to_string());
        ids.push(fixture.commit("next"));
    }
    let forge = fixture.forge();
    let first = forge.checkout(&ids[0]).await.unwrap();
    // A second forge over the same repository, as after a reload, respects the first one's checkouts.
    let other = fixture.forge();
    assert_eq!(other.checkout(&ids[0]).await.unwrap().path(), first.path());
    let second = other.checkout(&ids[1]).await.unwrap().path().to_owned();
    for id in &ids[2..] {
        let checkout = other.checkout(id).await.unwrap();
        assert!(checkout.path().is_dir());
    }
    let count = || {
        std::fs::read_dir(first.path().parent().unwrap())
            .unwrap()
            .count()
    };
    assert!(first.path().join("number").is_file());
    assert!(!second.exists());
    assert_eq!(count(), CHECKOUTS_KEPT + 1, "four and the one in use");
    drop(forge);
    let path = first.path().to_owned();
    let parent = path.parent().unwrap().to_owned();
    drop(first);
    other.checkout(&ids[6]).await.unwrap();
    assert!(!path.exists());
    assert_eq!(std::fs::read_dir(parent).unwrap().count(), CHECKOUTS_KEPT);
}

#[tokio::test]
async fn checkouts_of_one_commit_asked_for_at_once_are_one() {
    let fixture = Fixture::new();
    fixture.write("a", "a");
    fixture.commit("first");
    let forge = fixture.forge();
    let checkouts = two_at_once(&forge).await;
    assert_eq!(checkouts[0].path(), checkouts[1].path());
    let git_dir = fixture.work().join(".git");
    assert!(!git_dir.join("index.lock").exists());
    assert_eq!(fixture.git(&["status", "--porcelain"]), "");
}

async fn two_at_once(forge: &LocalForge) -> [Checkout; 2] {
    let (left, right) = tokio::join!(forge.checkout("main"), forge.checkout("HEAD"));
    [left.unwrap(), right.unwrap()]
}

#[tokio::test]
async fn signatures_count_only_from_keys_the_operator_trusts() {
    let fixture = Fixture::new();
    for key in ["trusted", "stranger"] {
        let made = std::process::Command::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", "", "-C", key, "-f"])
            .arg(fixture.folder.path().join(key))
            .status();
        // Without ssh-keygen there is nothing that could sign or verify.
        if !made.is_ok_and(|status| status.success()) {
            return;
        }
    }
    let public = std::fs::read_to_string(fixture.folder.path().join("trusted.pub")).unwrap();
    let signers = fixture.folder.path().join("signers");
    std::fs::write(&signers, format!("grace@example.org {public}")).unwrap();
    fixture.git(&["config", "gpg.format", "ssh"]);
    fixture.git(&[
        "config",
        "gpg.ssh.allowedSignersFile",
        &signers.display().to_string(),
    ]);
    fixture.commit("plain");
    for key in ["trusted", "stranger"] {
        let key_path = fixture.folder.path().join(key).display().to_string();
        fixture.git(&["config", "user.signingKey", &key_path]);
        fixture.git(&["commit", "--quiet", "--allow-empty", "-S", "-m", key]);
    }
    let log = fixture.forge().log("main", None, 10).await.unwrap();
    let verified: Vec<(&str, bool)> = log
        .iter()
        .map(|commit| (commit.message.as_str(), commit.verified))
        .collect();
    assert_eq!(
        verified,
        [("stranger", false), ("trusted", true), ("plain", false)]
    );
}

#[tokio::test]
async fn names_in_commits_cannot_pass_for_other_fields() {
    let content = b"tree 0\nparent 1\nauthor \x1fEve <e> x> <f@g> 5 +0000\ncommitter C <c@d> 99999999999999999 +0000\ngpgsig -----BEGIN SSH SIGNATURE-----\n author Fake <x@y> 1 +0000\n\nauthor Not <a@b> 1 +0000\n\n";
    let (commit, signature) = parse_commit("id", content);
    assert_eq!(commit.author.name, "\u{1f}Eve");
    assert_eq!(commit.author.email, "e");
    assert_eq!(commit.committer.name, "C");
    assert_eq!(commit.committed_at, "1970-01-01T00:00:00Z");
    assert_eq!(commit.message, "author Not <a@b> 1 +0000");
    assert_eq!(signature, Some(Signature::Ssh));
    assert!(!is_trusted(Signature::Ssh, Some(b'U')));
    assert!(is_trusted(Signature::Other, Some(b'U')));
    assert!(!is_trusted(Signature::Other, Some(b'B')));
    assert!(!is_trusted(Signature::Other, None));
}

#[tokio::test]
async fn a_git_that_does_not_answer_is_killed_and_a_missing_one_is_named() {
    let fixture = Fixture::new();
    fixture.commit("first");
    let stuck = fixture.folder.path().join("stuck.sh");
    let pid = fixture.folder.path().join("pid");
    std::fs::write(
        &stuck,
        format!(
            "#!/bin/sh\nsleep 600 &\necho $! > '{}'\nwait\n",
            pid.display()
        ),
    )
    .unwrap();
    std::fs::set_permissions(&stuck, std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut forge = fixture.forge();
    forge.program = stuck.into();
    forge.deadline = Duration::from_millis(500);
    let error = forge.resolve("main").await.unwrap_err();
    assert!(matches!(error, ForgeError::Unavailable(_)), "{error:?}");
    let pid: i32 = std::fs::read_to_string(pid)
        .unwrap()
        .trim()
        .parse()
        .unwrap();
    // What git started ends too: gone, or a zombie that nobody has collected yet.
    let mut alive = true;
    for _ in 0..100 {
        alive = std::fs::read_to_string(format!("/proc/{pid}/stat"))
            .is_ok_and(|stat| !stat.contains(") Z "));
        if !alive {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(!alive, "process {pid} outlived its deadline");

    forge.program = "no-such-git".into();
    let error = forge.resolve("main").await.unwrap_err();
    assert!(error.to_string().contains("install it"), "{error}");
}

#[tokio::test]
async fn repositories_with_sha256_ids_are_read() {
    let fixture = Fixture::new();
    std::fs::remove_dir_all(fixture.work().join(".git")).unwrap();
    fixture.git(&[
        "init",
        "--quiet",
        "--initial-branch=main",
        "--object-format=sha256",
    ]);
    fixture.write("a", "one\n");
    let id = fixture.commit("first");
    assert_eq!(id.len(), 64);
    let forge = fixture.forge();
    assert_eq!(forge.resolve("main").await.unwrap(), id);
    assert_eq!(forge.read("main", "a").await.unwrap(), b"one\n");
    assert_eq!(forge.diff(None, "main").await.unwrap()[0].added.len(), 1);
    assert_eq!(forge.log("main", None, 1).await.unwrap()[0].id, id);
    assert!(
        forge
            .checkout(&id)
            .await
            .unwrap()
            .path()
            .join("a")
            .is_file()
    );
}

#[test]
fn repository_names_become_names_of_one_directory() {
    assert_eq!(directory_name("ops"), "ops");
    assert_eq!(directory_name("../a/b"), "%2E.%2Fa%2Fb");
    assert_eq!(directory_name(".unfinished-x"), "%2Eunfinished-x");
    assert_eq!(directory_name("a%2Fb"), "a%252Fb");
}

#[tokio::test]
async fn a_change_that_was_made_before_is_found_and_not_made_again() {
    use super::write::{Base, File, Say, WriteError, Written};
    let mut fixture = Fixture::new();
    fixture.write("a", "1\n");
    let base = fixture.commit("base");
    fixture.git(&["branch", "other"]);
    fixture.make_bare();
    let forge = fixture.forge();
    let key = crate::forge::signing::SigningKey::open(fixture.folder.path()).unwrap();
    let trailers = ["Infinity-Effect: 01890000-0000-7000-8000-00000000000a".to_owned()];
    let other = ["Infinity-Effect: 01890000-0000-7000-8000-00000000000b".to_owned()];
    let say = |trailers| Say {
        author: "writer",
        message: "Change a",
        trailers,
        at: jiff::Timestamp::UNIX_EPOCH,
    };
    let files = [File {
        path: "a".into(),
        bytes: Some(b"2\n".to_vec()),
        executable: None,
    }];
    // As after a kill between the branch's move and the record of it: the branch is where the change brought it.
    let mut at = Some(base.clone());
    let mut made = None;
    for _ in 0..2 {
        let now = Base {
            at: at.as_deref(),
            start: None,
        };
        let written = forge
            .commit("main", now, &files, true, &say(&trailers), &key)
            .await
            .unwrap();
        let Written::Commit { id, before } = &written else {
            panic!("{written:?}");
        };
        assert_eq!(before.as_ref(), Some(&base));
        at = Some(id.clone());
        assert!(made.replace(id.clone()).is_none_or(|made| made == *id));
    }
    let made = made.unwrap();
    assert_eq!(
        forge
            .commit(
                "main",
                Base {
                    at: at.as_deref(),
                    start: None
                },
                &files,
                true,
                &say(&other),
                &key
            )
            .await,
        Ok(Written::Unchanged)
    );
    // The same for a merge, which moves the branch it goes into.
    let mut at = base.clone();
    for _ in 0..2 {
        let merged = forge
            .merge("other", &at, &made, &say(&other), &key)
            .await
            .unwrap();
        let Written::Commit { id, before } = merged else {
            panic!("{merged:?}");
        };
        assert_eq!(before, Some(base.clone()));
        at = id;
    }
    let third = ["Infinity-Effect: 01890000-0000-7000-8000-00000000000c".to_owned()];
    let stale = forge.merge("other", &base, &made, &say(&third), &key).await;
    assert!(matches!(stale, Err(WriteError::Moved(_))));
}

#[tokio::test]
async fn many_files_are_stored_at_once_and_read_back_the_same() {
    use super::write::{Base, File, Say, Written};
    let mut fixture = Fixture::new();
    fixture.write("a", "1\n");
    let base = fixture.commit("base");
    fixture.make_bare();
    let forge = fixture.forge();
    let key = crate::forge::signing::SigningKey::open(fixture.folder.path()).unwrap();
    // Bytes that a stream could stumble over, an empty file among them.
    let bytes = |number: usize| format!("blob\nmark :{number}\ndata 3\n\0ü\n").repeat(number % 3);
    let files: Vec<File> = (0..100)
        .map(|number| File {
            path: format!("f/{number}"),
            bytes: Some(bytes(number).into_bytes()),
            executable: Some(number % 2 == 0),
        })
        .collect();
    let say = Say {
        author: "writer",
        message: "Many",
        trailers: &[],
        at: jiff::Timestamp::UNIX_EPOCH,
    };
    let start = Base {
        at: None,
        start: Some(&base),
    };
    let patch = forge.preview(Some(&base), &files, false).await.unwrap();
    assert!(patch.contains("diff --git a/f/1 b/f/1"), "{patch}");
    let written = forge
        .commit("new", start, &files, false, &say, &key)
        .await
        .unwrap();
    let Written::Commit { id, before } = written else {
        panic!("{written:?}");
    };
    assert_eq!(before, Some(base));
    let paths: Vec<String> = (0..100).map(|number| format!("f/{number}")).collect();
    let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
    let read = forge.read_all(&id, &paths, 1 << 20).await.unwrap();
    for (number, (content, runs)) in read.into_iter().enumerate() {
        assert_eq!(content, bytes(number).into_bytes(), "{number}");
        assert_eq!(runs, number % 2 == 0, "{number}");
    }
    assert_eq!(forge.tree(&id, "").await.unwrap().len(), 101);
    // Names that the stream would take for something else, a deletion among many, and what no work tree may hold.
    let odd = [r#""quoted""#, r#""back\slash"#, " space ", "ü"];
    let mut more: Vec<File> = files[..40].to_vec();
    more.extend(odd.map(|path| File {
        path: path.to_owned(),
        bytes: Some(b"odd".to_vec()),
        executable: None,
    }));
    more.push(File {
        path: "a".into(),
        bytes: None,
        executable: None,
    });
    let next = Base {
        at: Some(&id),
        start: None,
    };
    let written = forge.commit("new", next, &more, false, &say, &key).await;
    let Ok(Written::Commit { id: second, .. }) = written else {
        panic!("{written:?}");
    };
    let tree = forge.tree(&second, "").await.unwrap();
    for path in odd {
        assert!(tree.iter().any(|entry| entry.path == path), "{path}");
    }
    assert!(tree.iter().all(|entry| entry.path != "a"));
    more[0].path = "GIT~1/config".into();
    let next = Base {
        at: Some(&second),
        start: None,
    };
    more.retain(|file| file.bytes.is_some());
    let refused = forge.commit("new", next, &more, false, &say, &key).await;
    assert!(
        matches!(refused, Err(super::write::WriteError::Refused(_))),
        "{refused:?}"
    );
    assert!(
        fixture
            .git(&["-C", "../bare.git", "for-each-ref"])
            .lines()
            .count()
            <= 2
    );
    let gone = forge.read_all(&id, &["f/0", "nowhere"], 1 << 20).await;
    assert!(matches!(gone, Err(ForgeError::NotFound(_))), "{gone:?}");
    let much = forge.read_all(&id, &paths, 10).await;
    assert!(matches!(much, Err(ForgeError::TooLarge(_))), "{much:?}");
}

#[tokio::test]
async fn changes_and_versions_are_those_of_the_trees() {
    let fixture = Fixture::new();
    for path in ["same", "changed", "gone", "moved/old", "runs"] {
        fixture.write(path, format!("{path}\n"));
    }
    let base = fixture.commit("base");
    fixture.write("changed", "new\n");
    fixture.write("added/ü b", "added\n");
    std::fs::remove_file(fixture.work().join("gone")).unwrap();
    std::fs::rename(
        fixture.work().join("moved/old"),
        fixture.work().join("moved/new"),
    )
    .unwrap();
    std::fs::set_permissions(
        fixture.work().join("runs"),
        std::fs::Permissions::from_mode(0o755),
    )
    .unwrap();
    symlink("same", fixture.work().join("link")).unwrap();
    let head = fixture.commit("head");
    let forge = fixture.forge();
    let changes = forge.changes(&base, &head).await.unwrap();
    let told: Vec<(&str, bool, bool)> = changes
        .iter()
        .map(|file| {
            (
                file.path.as_str(),
                file.before.is_some(),
                file.after.is_some(),
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            ("added/ü b", false, true),
            ("changed", true, true),
            ("gone", true, false),
            ("link", false, true),
            ("moved/new", false, true),
            ("moved/old", true, false),
            ("runs", true, true),
        ]
    );
    let runs = changes[6].after.as_ref().unwrap();
    assert_eq!(runs.kind, EntryKind::Executable);
    assert_eq!(changes[3].after.as_ref().unwrap().kind, EntryKind::Symlink);
    let mut paths: Vec<String> = [
        "changed",
        "gone",
        "added/ü b",
        "moved",
        "nowhere",
        "same/below",
    ]
    .map(str::to_owned)
    .into();
    for odd in [false, true] {
        let found = forge.versions(&head, &paths).await.unwrap();
        let ids: Vec<Option<&str>> = found
            .iter()
            .take(6)
            .map(|version| version.as_ref().map(|version| version.id.as_str()))
            .collect();
        let id = |path: &str| fixture.git(&["rev-parse", &format!("{head}:{path}")]);
        assert_eq!(
            ids,
            [
                Some(id("changed").as_str()),
                None,
                Some(id("added/ü b").as_str()),
                None,
                None,
                None
            ],
            "{odd}"
        );
        paths.push("changed/line\nfeed".to_owned());
    }
    assert!(forge.versions(&head, &[]).await.unwrap().is_empty());
    let much = vec!["x".to_owned(); VERSIONS_MAX + 1];
    assert!(matches!(
        forge.versions(&head, &much).await,
        Err(ForgeError::TooLarge(_))
    ));
    let out = forge.versions(&head, &["../x".to_owned()]).await;
    assert!(matches!(out, Err(ForgeError::Other(_))), "{out:?}");
    not_found(forge.changes(&"0".repeat(40), &head).await);
}

/// Names that git orders in its own way, by whether they are folders.
const CLOSE_NAMES: [&str; 10] = [
    "a", "a-b", "a.b", "a0", "a/b", "a/b.c", "a/b/c", "a/b0", "a.b/c", "b",
];

#[tokio::test]
async fn changes_are_what_git_says_whatever_became_of_a_name() {
    let fixture = Fixture::new();
    // Which names a commit has, and with what: by the bits of a number that goes through many of them.
    let (mut state, mut stream) = (1_u64, String::new());
    for commit in 0..60 {
        stream.push_str(
            "commit refs/heads/many\ncommitter Ada <ada@example.org> 1 +0000\ndata 1\nx\ndeleteall\n",
        );
        let mut taken: Vec<&str> = Vec::new();
        for name in CLOSE_NAMES {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let bits = state >> 59;
            let within = |one: &str, other: &str| {
                one.strip_prefix(other)
                    .is_some_and(|rest| rest.starts_with('/'))
            };
            let fits = taken
                .iter()
                .all(|other| !within(name, other) && !within(other, name));
            if bits & 3 != 0 && fits {
                taken.push(name);
                let mode = if bits & 4 == 0 { "100644" } else { "100755" };
                stream.push_str(&format!("M {mode} inline {name}\ndata 1\n{}\n", bits >> 3));
            }
        }
        if commit % 7 == 0 {
            stream.push_str(&format!("M 160000 {} module\n", "1".repeat(40)));
        }
    }
    let mut child = std::process::Command::new("git")
        .args(["fast-import", "--quiet", "--force"])
        .current_dir(fixture.work())
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), stream.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
    let listed = fixture.git(&["rev-list", "refs/heads/many"]);
    let commits: Vec<&str> = listed.lines().collect();
    assert_eq!(commits.len(), 60);
    let forge = fixture.forge();
    let side = |version: &Option<Version>| {
        let version = version.as_ref()?;
        let mode = match version.kind {
            EntryKind::File => "100644",
            EntryKind::Executable => "100755",
            EntryKind::Symlink => "120000",
            EntryKind::Submodule => "160000",
        };
        Some((mode.to_owned(), version.id.clone()))
    };
    let none = || ("000000".to_owned(), "0".repeat(40));
    for pair in commits.windows(2) {
        let own: Vec<String> = forge
            .changes(pair[1], pair[0])
            .await
            .unwrap()
            .iter()
            .map(|file| {
                let (old, new) = (side(&file.before), side(&file.after));
                let ((old, old_id), (new, new_id)) =
                    (old.unwrap_or_else(none), new.unwrap_or_else(none));
                format!(":{old} {new} {old_id} {new_id}\t{}", file.path)
            })
            .collect();
        let arguments = [
            "diff-tree",
            "-r",
            "--raw",
            "--no-abbrev",
            "--no-renames",
            pair[1],
            pair[0],
        ];
        let told = fixture.git(&arguments);
        // A path that was a file and is a folder is told of twice there, once as each.
        let mut theirs: Vec<String> = told
            .lines()
            .map(|line| {
                let (head, path) = line.split_once('\t').unwrap();
                format!("{}\t{path}", head.rsplit_once(' ').unwrap().0)
            })
            .collect();
        theirs.sort_by(|one, other| {
            one.split_once('\t')
                .unwrap()
                .1
                .cmp(other.split_once('\t').unwrap().1)
        });
        assert_eq!(own, theirs);
    }
}

#[tokio::test]
async fn trees_that_contain_one_another_are_too_large_and_not_the_end_of_the_host() {
    let fixture = Fixture::new();
    fixture.write("a", "1\n");
    let base = fixture.commit("base");
    let blob = fixture.git(&["rev-parse", "HEAD:a"]);
    let make = |entries: String| {
        let mut child = std::process::Command::new("git")
            .arg("mktree")
            .current_dir(fixture.work())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        std::io::Write::write_all(&mut child.stdin.take().unwrap(), entries.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    // Ten to the twelfth files in thirteen small objects; and paths that are longer than the objects that lead to them.
    let mut wide = make(format!("100644 blob {blob}\tf\n"));
    for _ in 0..12 {
        let entries = (0..10).map(|number| format!("040000 tree {wide}\t{number}\n"));
        wide = make(entries.collect());
    }
    let many = (0..2_000).map(|number| format!("100644 blob {blob}\t{number}\n"));
    let mut deep = make(many.collect());
    for _ in 0..100 {
        deep = make(format!("040000 tree {deep}\t{}\n", "n".repeat(250)));
    }
    let forge = fixture.forge();
    for tree in [wide, deep] {
        let head = fixture.git(&["commit-tree", &tree, "-m", "large"]);
        for (one, other) in [(&base, &head), (&head, &base)] {
            let answer = forge.changes(one, other).await;
            assert!(matches!(answer, Err(ForgeError::TooLarge(_))), "{answer:?}");
        }
        let path = ["a".to_owned(), "0/0/0/0/0/0/0/0/0/0/0/0/f".to_owned()];
        let versions = forge.versions(&head, &path).await.unwrap();
        assert_eq!(versions[0], None);
    }
    assert_eq!(forge.changes(&base, &base).await.unwrap(), []);
}

/// A commit of so many files, made without touching the disk for each, beside the given ones.
fn many(fixture: &Fixture, count: usize, more: &[(&str, &[u8])]) -> String {
    let mut stream = b"blob\nmark :1\ndata 2\nx\n\n".to_vec();
    for (index, (_, bytes)) in more.iter().enumerate() {
        stream.extend_from_slice(
            format!("blob\nmark :{}\ndata {}\n", index + 2, bytes.len()).as_bytes(),
        );
        stream.extend_from_slice(bytes);
        stream.push(b'\n');
    }
    stream.extend_from_slice(
        b"commit refs/heads/many\ncommitter Ada <ada@example.org> 1 +0000\ndata 4\nmany\n",
    );
    for number in 0..count {
        stream.extend_from_slice(format!("M 100644 :1 d{:03}/{number}\n", number % 300).as_bytes());
    }
    for (index, (path, _)) in more.iter().enumerate() {
        stream.extend_from_slice(format!("M 100644 :{} {path}\n", index + 2).as_bytes());
    }
    let mut child = std::process::Command::new("git")
        .args(["fast-import", "--quiet", "--force"])
        .current_dir(fixture.work())
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), &stream).unwrap();
    assert!(child.wait().unwrap().success());
    fixture.git(&["rev-parse", "refs/heads/many"])
}

#[tokio::test]
async fn a_hundred_thousand_files_are_read_and_changed_and_one_more_is_too_much() {
    use super::write::{Base, File, Say, WriteError, Written};
    let mut fixture = Fixture::new();
    fixture.write("a", "1\n");
    fixture.commit("base");
    let whole = many(&fixture, TREE_ENTRIES_MAX, &[]);
    fixture.make_bare();
    let forge = fixture.forge();
    assert_eq!(
        forge.tree(&whole, "").await.unwrap().len(),
        TREE_ENTRIES_MAX
    );
    let key = crate::forge::signing::SigningKey::open(fixture.folder.path()).unwrap();
    let say = Say {
        author: "writer",
        message: "One of many",
        trailers: &[],
        at: jiff::Timestamp::UNIX_EPOCH,
    };
    let file = |path: &str| File {
        path: path.to_owned(),
        bytes: Some(b"new\n".to_vec()),
        executable: None,
    };
    let base = Base {
        at: Some(&whole),
        start: None,
    };
    let written = forge
        .commit("many", base, &[file("d000/0")], false, &say, &key)
        .await
        .unwrap();
    let Written::Commit { id, .. } = written else {
        panic!("{written:?}");
    };
    assert_eq!(forge.changes(&whole, &id).await.unwrap().len(), 1);
    // A tree that grows beyond what the host reads is still a tree; what cannot be compared is said.
    let base = Base {
        at: Some(&id),
        start: None,
    };
    let grown = forge
        .commit("many", base, &[file("one-more")], false, &say, &key)
        .await
        .unwrap();
    let Written::Commit { id: grown, .. } = grown else {
        panic!("{grown:?}");
    };
    assert!(matches!(
        forge.tree(&grown, "").await,
        Err(ForgeError::TooLarge(_))
    ));
    let base = Base {
        at: Some(&grown),
        start: None,
    };
    let refused = forge
        .commit("many", base, &[file("two-more")], false, &say, &key)
        .await;
    assert!(
        matches!(refused, Err(WriteError::Forge(ForgeError::TooLarge(_)))),
        "{refused:?}"
    );
}

#[tokio::test]
async fn long_lines_bytes_that_are_no_text_and_names_that_are_none_come_through() {
    use super::write::{Base, File, Say, WriteError, Written};
    let mut fixture = Fixture::new();
    fixture.write("A.md", "1\n");
    fixture.commit("base");
    // Names as bytes that are no UTF-8, as another system may have left them.
    let head = many(
        &fixture,
        3,
        &[(r#""odd\377name""#, b"odd"), ("UPPER/x", b"x")],
    );
    fixture.make_bare();
    let forge = fixture.forge();
    let key = crate::forge::signing::SigningKey::open(fixture.folder.path()).unwrap();
    let say = Say {
        author: "writer",
        message: "Odd",
        trailers: &[],
        at: jiff::Timestamp::UNIX_EPOCH,
    };
    let long = vec![b'x'; 5 * 1024 * 1024];
    let binary: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    let invalid = b"caf\xe9\n".to_vec();
    let file = |path: &str, bytes: &[u8]| File {
        path: path.to_owned(),
        bytes: Some(bytes.to_vec()),
        executable: None,
    };
    let files = [
        file("long", &long),
        file("binary", &binary),
        file("invalid", &invalid),
    ];
    let base = Base {
        at: Some(&head),
        start: None,
    };
    let written = forge
        .commit("many", base, &files, false, &say, &key)
        .await
        .unwrap();
    let Written::Commit { id, .. } = written else {
        panic!("{written:?}");
    };
    for (path, bytes) in [("long", &long), ("binary", &binary), ("invalid", &invalid)] {
        assert_eq!(&forge.read(&id, path).await.unwrap(), bytes, "{path}");
    }
    // What was odd before stays as it was, byte for byte.
    let odd = fixture.git(&["-C", "../bare.git", "ls-tree", "-z", "--name-only", &id]);
    assert!(odd.contains("odd"), "{odd:?}");
    let base = Base {
        at: Some(&id),
        start: None,
    };
    for path in ["upper/x", "BINARY"] {
        let refused = forge
            .commit("many", base, &[file(path, b"x")], false, &say, &key)
            .await;
        assert!(
            matches!(refused, Err(WriteError::Refused(_))),
            "{path}: {refused:?}"
        );
    }
    // Five megabytes on a line are no reading for a person, and that is said.
    let patch = forge.preview(Some(&head), &files, false).await;
    assert!(
        matches!(&patch, Err(WriteError::Forge(ForgeError::TooLarge(_)))),
        "{patch:?}"
    );
}
