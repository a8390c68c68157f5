//! Where components come from: pinned digests, signatures, and a real registry, Debian's `docker-registry`, on this machine.

use anyhow::{Context as _, ensure};
use infinity_tests::host::{Folder, PATIENCE, component, fed, language, poll};
use serde_json::{Value, json};
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

/// Who may use the registry that asks, with the password `secret`.
const HTPASSWD: &str = "alice:$2b$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a\n";

/// `alice:secret` in base64.
const AUTH: &str = "YWxpY2U6c2VjcmV0";

/// A registry on a port of its own, with nothing in it.
struct Registry {
    child: Child,
    place: TempDir,
    host: String,
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Registry {
    /// None where the machine has no registry, which is said.
    fn start(asks: bool) -> anyhow::Result<Option<Self>> {
        let Some(unpacked) = language("registry") else {
            return Ok(None);
        };
        let place = tempfile::tempdir()?;
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let host = format!("127.0.0.1:{port}");
        let mut text = format!(
            "version: 0.1\nlog:\n  level: error\n  accesslog:\n    disabled: true\nstorage:\n  filesystem:\n    rootdirectory: {}\nhttp:\n  addr: {host}\n",
            place.path().join("data").display()
        );
        if asks {
            let file = place.path().join("htpasswd");
            fs::write(&file, HTPASSWD)?;
            text.push_str(&format!(
                "auth:\n  htpasswd:\n    realm: tests\n    path: {}\n",
                file.display()
            ));
        }
        let config = place.path().join("config.yml");
        fs::write(&config, text)?;
        let log = fs::File::create(place.path().join("log"))?;
        let child = Command::new(unpacked.join("usr/bin/docker-registry"))
            .arg("serve")
            .arg(&config)
            .stdout(log.try_clone()?)
            .stderr(log)
            .stdin(Stdio::null())
            .spawn()?;
        let registry = Self { child, place, host };
        let client = reqwest::blocking::Client::builder().no_proxy().build()?;
        poll(PATIENCE, || {
            client
                .get(format!("http://{}/v2/", registry.host))
                .send()
                .ok()
        })
        .with_context(|| registry.log())?;
        Ok(Some(registry))
    }

    fn log(&self) -> String {
        fs::read_to_string(self.place.path().join("log")).unwrap_or_default()
    }

    fn reference(&self, rest: &str) -> String {
        format!("{}/{rest}", self.host)
    }

    /// Where a blob lies.
    fn blob(&self, digest: &str) -> PathBuf {
        let hex = digest.trim_start_matches("sha256:");
        self.place.path().join(format!(
            "data/docker/registry/v2/blobs/sha256/{}/{hex}/data",
            &hex[..2]
        ))
    }
}

/// What a command that prints JSON said, and its exit code.
fn said(command: &mut Command) -> anyhow::Result<(i32, Value)> {
    let output = command.output()?;
    let text = if output.stdout.is_empty() {
        &output.stderr
    } else {
        &output.stdout
    };
    let value =
        serde_json::from_slice(text).with_context(|| String::from_utf8_lossy(text).into_owned())?;
    Ok((output.status.code().context("a code")?, value))
}

fn plugin(folder: &Folder, arguments: &[&str]) -> anyhow::Result<(i32, Value)> {
    said(&mut folder.command(&[&["--json", "plugin"], arguments].concat()))
}

/// One that has to work.
fn works(folder: &Folder, arguments: &[&str]) -> anyhow::Result<Value> {
    let (code, value) = plugin(folder, arguments)?;
    ensure!(code == 0, "{arguments:?}: {code}: {value}");
    Ok(value)
}

/// One that has to be refused, and its words.
fn refused(folder: &Folder, arguments: &[&str]) -> anyhow::Result<String> {
    let (code, value) = plugin(folder, arguments)?;
    ensure!(code == 2, "{arguments:?}: {code}: {value}");
    let message = value["error"]["message"].as_str().context("a message")?;
    Ok(message.to_owned())
}

/// A folder with two keys, `alice` who is trusted and `mallory` who is not, and two components, `one.wasm` and `two.wasm`.
fn folder(require: &str) -> anyhow::Result<Folder> {
    let folder = Folder::new()?;
    for (built, name) in [("test_guests", "one"), ("badge", "two")] {
        fs::copy(component(built), folder.path().join(format!("{name}.wasm")))?;
    }
    folder.config("", "")?;
    works(&folder, &["keygen", "mallory"])?;
    let alice = works(&folder, &["keygen", "alice"])?;
    folder.config(
        "",
        &format!(
            "[plugins]\nrequire = \"{require}\"\ntrusted = {{ alice = {} }}\n",
            alice["public_key"]
        ),
    )?;
    Ok(folder)
}

fn digest_of(folder: &Folder, file: &str) -> anyhow::Result<String> {
    let inspection = works(folder, &["inspect", file])?;
    Ok(inspection["digest"]
        .as_str()
        .context("a digest")?
        .to_owned())
}

fn text<'v>(value: &'v Value, name: &str) -> anyhow::Result<&'v str> {
    value[name]
        .as_str()
        .with_context(|| format!("no `{name}` in {value}"))
}

#[test]
fn what_is_pushed_is_pulled_by_tag_and_by_digest() -> anyhow::Result<()> {
    let Some(registry) = Registry::start(false)? else {
        return Ok(());
    };
    let folder = folder("nothing")?;
    let tag = registry.reference("acme/one:1");
    let pushed = works(&folder, &["push", "one.wasm", &tag])?;
    assert_eq!(pushed["signed"], false);
    let manifest = text(&pushed, "manifest")?.to_owned();
    // The same again is the same manifest.
    let again = works(&folder, &["push", "one.wasm", &tag])?;
    assert_eq!(again["manifest"], pushed["manifest"]);

    let pulled = works(&folder, &["pull", &tag, "-o", "by-tag.wasm"])?;
    assert_eq!(pulled["digest"], pushed["digest"]);
    assert_eq!(pulled["reference"], json!(format!("{tag}@{manifest}")));
    let by_digest = registry.reference(&format!("acme/one@{manifest}"));
    works(&folder, &["pull", &by_digest, "-o", "by-digest.wasm"])?;
    for file in ["by-tag.wasm", "by-digest.wasm"] {
        ensure!(fs::read(folder.path().join(file))? == fs::read(component("test_guests"))?);
    }
    // What is there and something else is not replaced by accident.
    let words = refused(&folder, &["pull", &tag, "-o", "two.wasm"])?;
    ensure!(words.contains("another component"), "{words}");
    works(&folder, &["pull", &tag, "-o", "two.wasm", "--replace"])?;
    let words = refused(&folder, &["pull", &registry.reference("acme/none:1")])?;
    ensure!(words.contains("is not in the registry"), "{words}");

    // As the CNCF's layout has it.
    let client = reqwest::blocking::Client::builder().no_proxy().build()?;
    let stored: Value = client
        .get(format!(
            "http://{}/v2/acme/one/manifests/{manifest}",
            registry.host
        ))
        .header("accept", "application/vnd.oci.image.manifest.v1+json")
        .send()?
        .error_for_status()?
        .json()?;
    assert_eq!(
        stored["config"]["mediaType"],
        "application/vnd.wasm.config.v0+json"
    );
    assert_eq!(stored["layers"].as_array().map(Vec::len), Some(1));
    assert_eq!(stored["layers"][0]["mediaType"], "application/wasm");
    assert_eq!(stored["layers"][0]["digest"], pushed["digest"]);
    assert_eq!(
        stored["annotations"]["org.opencontainers.image.title"],
        "test-guests"
    );
    Ok(())
}

#[test]
fn what_is_added_is_pinned_and_a_tag_that_moved_replaces_nothing_by_itself() -> anyhow::Result<()> {
    let Some(registry) = Registry::start(false)? else {
        return Ok(());
    };
    let folder = folder("lock")?;
    let tag = registry.reference("acme/tool:latest");
    let first = works(&folder, &["push", "two.wasm", &tag])?;
    let added = works(&folder, &["add", &tag])?;
    assert_eq!(
        (&added["name"], &added["added"]),
        (&json!("tool"), &json!(true))
    );
    let file = folder.path().join("dist/tool.wasm");
    let lock = || fs::read_to_string(folder.path().join("plugins.lock"));
    let pinned = format!("source = \"oci:{tag}@{}\"", text(&first, "manifest")?);
    ensure!(lock()?.contains(&pinned), "{}", lock()?);
    ensure!(lock()?.contains(text(&first, "digest")?), "{}", lock()?);
    works(&folder, &["lock", "--check"])?;
    // Pinning what is there keeps where it came from.
    works(&folder, &["lock"])?;
    ensure!(lock()?.contains(&pinned), "{}", lock()?);

    let second = works(&folder, &["push", "one.wasm", &tag])?;
    ensure!(first["manifest"] != second["manifest"]);
    let (code, answer) = plugin(&folder, &["add", &tag])?;
    assert_eq!((code, &answer["added"]), (1, &json!(false)), "{answer}");
    assert_eq!(answer["difference"]["from"], first["digest"]);
    assert_eq!(answer["digest"], second["digest"]);
    ensure!(
        answer["difference"]["new_imports"]
            .as_array()
            .is_some_and(|imports| !imports.is_empty()),
        "{answer}"
    );
    ensure!(fs::read(&file)? == fs::read(component("badge"))?);
    ensure!(lock()?.contains(&pinned), "{}", lock()?);

    // What was pinned can still be had by its digest.
    let exact = format!("{tag}@{}", text(&first, "manifest")?);
    works(&folder, &["add", &exact])?;
    works(&folder, &["add", &tag, "--replace"])?;
    ensure!(fs::read(&file)? == fs::read(component("test_guests"))?);
    ensure!(lock()?.contains(text(&second, "digest")?), "{}", lock()?);
    works(&folder, &["lock", "--check"])?;
    Ok(())
}

#[test]
fn b31_what_a_registry_forged_is_refused() -> anyhow::Result<()> {
    let Some(registry) = Registry::start(false)? else {
        return Ok(());
    };
    let folder = folder("nothing")?;
    let tag = registry.reference("acme/one:1");
    let pushed = works(&folder, &["push", "one.wasm", &tag])?;
    let blob = registry.blob(text(&pushed, "digest")?);
    let sound = fs::read(&blob)?;
    let mut forged = sound.clone();
    if let Some(byte) = forged.last_mut() {
        *byte ^= 1;
    }
    fs::write(&blob, &forged)?;
    let words = refused(&folder, &["add", &tag])?;
    ensure!(words.starts_with("digest_mismatch"), "{words}");
    // More than was declared is not read.
    forged.extend([0; 1024]);
    fs::write(&blob, &forged)?;
    let words = refused(&folder, &["add", &tag])?;
    ensure!(words.contains("has more than"), "{words}");
    ensure!(!folder.path().join("dist/one.wasm").exists());
    ensure!(!folder.path().join("plugins.lock").exists());
    fs::write(&blob, &sound)?;

    // A manifest that was exchanged under its digest.
    let manifest = registry.blob(text(&pushed, "manifest")?);
    let text_before = fs::read_to_string(&manifest)?;
    fs::write(&manifest, text_before.replace("test-guests", "best-guests"))?;
    let words = refused(&folder, &["add", &tag])?;
    ensure!(words.starts_with("digest_mismatch"), "{words}");
    fs::write(&manifest, text_before)?;
    works(&folder, &["add", &tag])?;
    Ok(())
}

#[test]
fn b31_only_components_are_pushed_and_added() -> anyhow::Result<()> {
    let folder = folder("nothing")?;
    for (name, bytes) in [
        ("empty", &b""[..]),
        ("module", b"\0asm\x01\0\0\0"),
        ("elf", b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0"),
        ("text", b"(component)"),
    ] {
        let file = format!("{name}.wasm");
        fs::write(folder.path().join(&file), bytes)?;
        for arguments in [
            &["push", &file, "127.0.0.1:1/a:1"][..],
            &["sign", &file, "--key", "alice"],
        ] {
            let words = refused(&folder, arguments)?;
            ensure!(words.contains(&file), "{name}: {words}");
        }
    }
    Ok(())
}

#[test]
fn b33_what_is_no_registry_is_not_asked() -> anyhow::Result<()> {
    let folder = folder("nothing")?;
    let check = |reference: &str, expected: &str| -> anyhow::Result<()> {
        let words = refused(&folder, &["add", reference])?;
        ensure!(words.contains(expected), "{reference}: {words}");
        Ok(())
    };
    check("file:///etc/passwd", "is not fetched from")?;
    check("http://127.0.0.1:1/a:1", "is not fetched from")?;
    check("a:1", "names no registry")?;
    check("127.0.0.1:1/a", "neither a tag nor a digest")?;
    check("10.0.0.1:1/a:1", "http_denied")?;
    check("192.168.0.1/a:1", "http_denied")?;
    check("169.254.169.254/a:1", "http_denied")?;
    check("[fd00::1]:1/a:1", "http_denied")?;
    let words = refused(
        &folder,
        &["add", "169.254.169.254/a:1", "--private", "--plain-http"],
    )?;
    ensure!(words.contains("http_denied"), "{words}");
    // Nobody answers, which is no mistake of who asks.
    let (code, answer) = plugin(&folder, &["add", "127.0.0.1:1/a:1"])?;
    assert_eq!(code, 1, "{answer}");
    Ok(())
}

#[test]
fn b33_a_redirect_into_a_private_network_is_denied() -> anyhow::Result<()> {
    use std::io::{Read as _, Write as _};
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let host = listener.local_addr()?;
    let server = std::thread::spawn(move || -> std::io::Result<()> {
        let (mut stream, _) = listener.accept()?;
        let mut request = [0; 4096];
        let _ = stream.read(&mut request)?;
        stream.write_all(
            b"HTTP/1.1 307 Temporary Redirect\r\nlocation: http://10.0.0.1/secret\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
        )
    });
    let folder = folder("nothing")?;
    let words = refused(&folder, &["pull", &format!("{host}/a:1")])?;
    ensure!(words.starts_with("http_denied: `10.0.0.1`"), "{words}");
    server
        .join()
        .map_err(|_| anyhow::anyhow!("the server panicked"))??;
    Ok(())
}

#[test]
fn a_signature_travels_with_its_component() -> anyhow::Result<()> {
    let Some(registry) = Registry::start(false)? else {
        return Ok(());
    };
    let folder = folder("signature")?;
    let tag = registry.reference("acme/one:1");

    works(&folder, &["push", "one.wasm", &tag])?;
    let words = refused(&folder, &["add", &tag])?;
    ensure!(words.starts_with("unsigned"), "{words}");

    works(&folder, &["sign", "one.wasm", "--key", "mallory"])?;
    let pushed = works(&folder, &["push", "one.wasm", &tag])?;
    assert_eq!(pushed["signed"], true);
    let words = refused(&folder, &["add", &tag])?;
    ensure!(words.starts_with("untrusted_key"), "{words}");
    ensure!(!folder.path().join("dist/one.wasm").exists());

    // One signature that counts is enough, whatever others there are.
    works(&folder, &["sign", "one.wasm", "--key", "alice"])?;
    works(&folder, &["push", "one.wasm", &tag])?;
    works(&folder, &["push", "one.wasm", &tag])?;
    let words = refused(&folder, &["add", &tag, "--key", "nobody.pub"])?;
    ensure!(words.contains("nobody.pub"), "{words}");
    let added = works(&folder, &["add", &tag])?;
    assert_eq!(added["signed_by"], "alice");
    let verified = works(&folder, &["verify", "dist/one.wasm"])?;
    assert_eq!(verified["signed_by"], "alice");
    // Whoever names a key wants that one.
    works(&folder, &["add", &tag, "--key", "mallory.pub"])?;
    let (code, verified) = plugin(&folder, &["verify", "dist/one.wasm"])?;
    assert_eq!(
        (code, &verified["reason"]),
        (1, &json!("untrusted_key")),
        "{verified}"
    );

    // A signature of something else is not pushed.
    fs::copy(
        folder.path().join("one.wasm.sig"),
        folder.path().join("two.wasm.sig"),
    )?;
    let words = refused(&folder, &["push", "two.wasm", &tag])?;
    ensure!(words.contains("for other bytes"), "{words}");
    Ok(())
}

#[test]
fn a_registry_that_asks_is_told() -> anyhow::Result<()> {
    let Some(registry) = Registry::start(true)? else {
        return Ok(());
    };
    let folder = folder("nothing")?;
    let tag = registry.reference("acme/one:1");
    let docker = folder.path().join("docker");
    fs::create_dir(&docker)?;
    let with = |auth: &str, arguments: &[&str]| -> anyhow::Result<(i32, Value)> {
        let text = json!({ "auths": { &registry.host: { "auth": auth } } });
        fs::write(docker.join("config.json"), text.to_string())?;
        said(
            folder
                .command(&[&["--json", "plugin"], arguments].concat())
                .env("DOCKER_CONFIG", &docker),
        )
    };
    let (code, answer) = plugin(&folder, &["push", "one.wasm", &tag])?;
    assert_eq!(code, 1, "{answer}");
    let words = text(&answer["error"], "message")?;
    ensure!(words.contains("config.json"), "{words}");
    // `alice:wrong`
    let (code, answer) = with("YWxpY2U6d3Jvbmc=", &["push", "one.wasm", &tag])?;
    assert_eq!(code, 1, "{answer}");
    ensure!(!answer.to_string().contains("wrong"), "{answer}");
    let (code, answer) = with(AUTH, &["push", "one.wasm", &tag])?;
    assert_eq!(code, 0, "{answer}");
    let (code, answer) = with(AUTH, &["add", &tag])?;
    assert_eq!(code, 0, "{answer}");
    Ok(())
}

#[test]
fn ssh_keygen_agrees() -> anyhow::Result<()> {
    if Command::new("ssh-keygen").arg("-?").output().is_err() {
        ensure!(std::env::var_os("CI").is_none(), "ssh-keygen is missing");
        return Ok(());
    }
    let folder = folder("nothing")?;
    let at = |name: &str| folder.path().join(name);
    works(&folder, &["sign", "one.wasm", "--key", "alice"])?;
    let message = format!("{}\n", digest_of(&folder, "one.wasm")?);
    let public = fs::read_to_string(at("alice.pub"))?;
    fs::write(
        at("signers"),
        format!("alice namespaces=\"infinity-plugin@v1\" {public}"),
    )?;
    let verify = |signature: &Path, message: &str| -> anyhow::Result<bool> {
        let mut command = Command::new("ssh-keygen");
        command
            .args(["-Y", "verify", "-I", "alice", "-n", "infinity-plugin@v1"])
            .arg("-f")
            .arg(at("signers"))
            .arg("-s")
            .arg(signature);
        Ok(fed(command, message.as_bytes())?.status.success())
    };
    ensure!(verify(&at("one.wasm.sig"), &message)?);
    ensure!(!verify(&at("one.wasm.sig"), "sha256:00\n")?);

    // And the other way round, with a key and a signature of OpenSSH's own.
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-C", "openssh", "-f"])
        .arg(at("own"))
        .status()?;
    ensure!(made.success());
    let mut sign = Command::new("ssh-keygen");
    sign.args(["-q", "-Y", "sign", "-n", "infinity-plugin@v1", "-f"])
        .arg(at("own"));
    let signed = fed(sign, message.as_bytes())?;
    ensure!(signed.status.success());
    fs::write(at("one.wasm.sig"), &signed.stdout)?;
    let verified = works(&folder, &["verify", "one.wasm", "--key", "own.pub"])?;
    assert_eq!(verified["signed_by"], "openssh");
    works(&folder, &["sign", "one.wasm", "--key", "own"])?;
    works(&folder, &["verify", "one.wasm", "--key", "own.pub"])?;
    Ok(())
}

/// What the host says of a plugin, once it is this.
fn becomes(
    host: &infinity_tests::host::Host,
    name: &str,
    status: &str,
    problem: &str,
) -> anyhow::Result<Value> {
    let mut last = Value::Null;
    let found = poll(PATIENCE, || {
        last = host.json(&format!("/v1/plugins/{name}")).ok()?;
        let said = last["problem"].as_str().unwrap_or_default();
        (last["status"] == status && said.contains(problem)).then(|| last.clone())
    });
    found.with_context(|| format!("`{name}` does not become {status}: {last}"))
}

#[test]
fn f22_a_running_host_takes_up_what_is_signed_and_nothing_else() -> anyhow::Result<()> {
    let folder = folder("signature")?;
    works(&folder, &["sign", "one.wasm", "--key", "alice"])?;
    folder.component("test_guests", "sound")?;
    fs::copy(
        folder.path().join("one.wasm.sig"),
        folder.path().join("dist/sound.wasm.sig"),
    )?;
    let host = folder.serve()?;
    let at = host.path().to_owned();
    let sound = becomes(&host, "sound", "ready", "")?;
    assert_eq!(sound["signed_by"], "alice");
    assert_eq!(sound["locked"], false);

    fs::copy(at.join("one.wasm"), at.join("dist/unsigned.wasm"))?;
    becomes(&host, "unsigned", "refused", "nobody signed")?;
    fs::copy(at.join("two.wasm"), at.join("dist/other.wasm"))?;
    fs::copy(at.join("one.wasm.sig"), at.join("dist/other.wasm.sig"))?;
    becomes(&host, "other", "refused", "for other bytes")?;
    works(
        host.folder(),
        &["sign", "dist/unsigned.wasm", "--key", "mallory"],
    )?;
    becomes(&host, "unsigned", "refused", "is not trusted")?;
    let run = host.run("sound", &json!({ "case": "ok" }))?;
    ensure!(run["outcome"] == "succeeded", "{run}");
    let agents = host.json("/v1/agents")?;
    let names: Vec<_> = agents["items"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|agent| agent["name"].clone())
        .collect();
    assert_eq!(names, [json!("sound")]);

    // Once it is signed it runs; once its signature is gone it does not.
    works(
        host.folder(),
        &["sign", "dist/unsigned.wasm", "--key", "alice"],
    )?;
    becomes(&host, "unsigned", "ready", "")?;
    let run = host.run("unsigned", &json!({ "case": "ok" }))?;
    ensure!(run["outcome"] == "succeeded", "{run}");
    fs::remove_file(at.join("dist/sound.wasm.sig"))?;
    becomes(&host, "sound", "refused", "nobody signed")?;
    let run = host.run("unsigned", &json!({ "case": "ok" }))?;
    ensure!(run["outcome"] == "succeeded", "{run}");
    Ok(())
}

#[test]
fn f22_a_running_host_runs_what_is_locked_and_nothing_else() -> anyhow::Result<()> {
    let folder = folder("lock")?;
    folder.component("test_guests", "sound")?;
    works(&folder, &["lock"])?;
    let host = folder.serve()?;
    let at = host.path().to_owned();
    let sound = becomes(&host, "sound", "ready", "")?;
    assert_eq!(
        (&sound["locked"], &sound["source"]),
        (&json!(true), &json!("file"))
    );
    fs::copy(at.join("one.wasm"), at.join("dist/new.wasm"))?;
    becomes(&host, "new", "refused", "infinity plugin lock new")?;
    works(host.folder(), &["lock", "new"])?;
    becomes(&host, "new", "ready", "")?;
    fs::copy(at.join("two.wasm"), at.join("dist/new.wasm"))?;
    becomes(&host, "new", "refused", "is not the component")?;
    let run = host.run("sound", &json!({ "case": "ok" }))?;
    ensure!(run["outcome"] == "succeeded", "{run}");
    Ok(())
}
