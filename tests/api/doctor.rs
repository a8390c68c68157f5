//! What `infinity doctor` sees: a folder that is well, and each thing that is not.

use crate::{folder, ok};
use anyhow::{Context as _, ensure};
use infinity_tests::host::Folder;
use infinity_tests::vault::{ROOT, Vault};
use rcgen::{CertificateParams, KeyPair};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;

/// What the doctor says, and its exit code.
fn doctor(folder: &Folder) -> anyhow::Result<(Option<i32>, Value)> {
    let said = folder.infinity(&["--json", "doctor"])?;
    let value = serde_json::from_slice(&said.stdout)
        .with_context(|| String::from_utf8_lossy(&said.stderr).into_owned())?;
    Ok((said.status.code(), value))
}

/// The item of a list whose name and detail hold these words.
fn item<'v>(said: &'v Value, list: &str, name: &str, detail: &str) -> anyhow::Result<&'v Value> {
    let holds = |item: &&Value, field: &str, words: &str| {
        item[field]
            .as_str()
            .is_some_and(|text| text.contains(words))
    };
    said[list]
        .as_array()
        .context("a list")?
        .iter()
        .find(|item| holds(item, "name", name) && holds(item, "detail", detail))
        .with_context(|| format!("no `{name}` with `{detail}`: {said:#}"))
}

fn fails(said: &Value, list: &str, name: &str, detail: &str) -> anyhow::Result<()> {
    let item = item(said, list, name, detail)?;
    ensure!(item["standing"] == "fail", "{item}");
    ensure!(item["todo"].as_str().is_some_and(|todo| !todo.is_empty()));
    Ok(())
}

#[test]
fn a_healthy_folder_is_well_with_a_host_and_without() -> anyhow::Result<()> {
    let folder = folder("", "")?;
    let (code, said) = doctor(&folder)?;
    ensure!(code == Some(0) && said["ok"] == true, "{said:#}");
    for list in ["infrastructure", "application", "security"] {
        let items = said[list].as_array().context("a list")?;
        ensure!(!items.is_empty(), "{list}");
        // What cannot be seen from here is named, with the reason.
        let named = items.iter().find(|item| item["standing"] == "not_checked");
        ensure!(named.is_some_and(|item| !item["detail"].as_str().is_none_or(str::is_empty)));
    }
    item(&said, "infrastructure", "engine", "no advisory known")?;
    item(&said, "application", "running host", "none runs")?;
    item(&said, "infrastructure", "backups", "the host makes none")?;
    let host = folder.serve()?;
    host.run("guests", &ok())?;
    let (code, said) = doctor(host.folder())?;
    ensure!(code == Some(0), "{said:#}");
    item(&said, "application", "running host", "components work")?;
    item(&said, "security", "journal", "are whole")?;
    item(&said, "security", "kill switch", "off")?;
    // For people, with what to do.
    let text = host.folder().infinity(&["doctor"])?;
    let text = String::from_utf8_lossy(&text.stdout).into_owned();
    ensure!(
        text.contains("infrastructure") && text.contains("do: ") && !text.contains('\u{1b}'),
        "{text}"
    );
    ensure!(host.folder().infinity(&["kill", "drill"])?.status.success());
    let (code, said) = doctor(host.folder())?;
    ensure!(code == Some(1));
    fails(&said, "security", "kill switch", "thrown")
}

#[test]
fn what_is_wrong_has_a_line_of_its_own() -> anyhow::Result<()> {
    // A port that nobody listens on: it was free a moment ago.
    let port = std::net::TcpListener::bind("127.0.0.1:0")?
        .local_addr()?
        .port();
    let vault = Vault::start()?;
    let rest = format!(
        "[secrets.vault]\naddress = \"{}\"\ntoken = \"{ROOT}\"\n[telemetry]\notlp = \"http://127.0.0.1:{port}\"\n\
         [agents.missing]\nplugin = \"not-there\"\n\
         [channels.ops]\nkind = \"webhook\"\nurl = \"http://127.0.0.1:{port}/secret-path\"\n\
         [host.tls]\ncertificate = \"cert.pem\"\nkey = \"key.pem\"\n",
        vault.url()
    );
    let folder = folder("", &rest)?;
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new(vec!["localhost".to_owned()])?;
    params.not_after = rcgen::date_time_ymd(2021, 3, 4);
    fs::write(
        folder.path().join("cert.pem"),
        params.self_signed(&key)?.pem(),
    )?;
    fs::write(folder.path().join("key.pem"), key.serialize_pem())?;
    fs::set_permissions(
        folder.path().join("key.pem"),
        fs::Permissions::from_mode(0o644),
    )?;
    let (code, said) = doctor(&folder)?;
    ensure!(code == Some(1) && said["ok"] == false, "{said:#}");
    item(&said, "infrastructure", "vault", "is unsealed")?;
    fails(&said, "infrastructure", "telemetry", "takes no connection")?;
    fails(&said, "application", "plugin not-there", "cannot be read")?;
    fails(&said, "application", "channel ops", "takes no connection")?;
    fails(&said, "security", "certificate", "2021-03-04")?;
    fails(&said, "security", "file of a key", "key.pem")?;
    ensure!(!said.to_string().contains("secret-path"));
    vault.set_down(Some(503));
    let (_, said) = doctor(&folder)?;
    fails(&said, "infrastructure", "vault", "sealed")?;
    // A configuration with mistakes is a line, too.
    folder.config("listne = 1", "")?;
    let (code, said) = doctor(&folder)?;
    ensure!(code == Some(1));
    fails(&said, "application", "configuration", "mistake")
}
