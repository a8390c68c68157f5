//! Channels: what people are told, by the services' own protocols, and what becomes of a message that does not arrive.

use crate::effects::{decide, until, with_policy};
use anyhow::{Context as _, ensure};
use infinity_tests::host::{Folder, Host, PATIENCE, language, poll};
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

/// What a service is told: path, headers in small letters, body.
pub(crate) type Told = (String, String, Value);

/// A service that takes what it is sent, and answers what it is told to; then `200`.
pub(crate) struct Service {
    address: String,
    told: Arc<Mutex<Vec<Told>>>,
    answers: Arc<Mutex<VecDeque<&'static str>>>,
}

impl Service {
    pub(crate) fn new() -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let service = Self {
            address: listener.local_addr()?.to_string(),
            told: Arc::default(),
            answers: Arc::default(),
        };
        let (told, answers) = (Arc::clone(&service.told), Arc::clone(&service.answers));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let _ = answer(stream, &told, &answers);
            }
        });
        Ok(service)
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn told(&self) -> Vec<Told> {
        self.told
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn will_answer(&self, answer: &'static str) {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        answers.push_back(answer);
    }

    /// The first body at a path for which `wanted` holds.
    pub(crate) fn until(
        &self,
        path: &str,
        wanted: impl Fn(&Value) -> bool,
    ) -> anyhow::Result<Told> {
        let found = poll(PATIENCE, || {
            let told = self.told();
            told.into_iter()
                .find(|(at, _, body)| at == path && wanted(body))
        });
        found.with_context(|| format!("`{path}` was told {:?}", self.told()))
    }
}

/// Takes one request and answers it; `hang up` closes the connection instead.
fn answer(
    stream: TcpStream,
    told: &Mutex<Vec<Told>>,
    answers: &Mutex<VecDeque<&'static str>>,
) -> anyhow::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut head = String::new();
    while reader.read_line(&mut head)? > 2 {}
    let lower = head.to_lowercase();
    let length = lower
        .split("content-length: ")
        .nth(1)
        .and_then(|rest| rest.split("\r\n").next()?.parse().ok())
        .unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
    let answer = answers
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .pop_front();
    if answer == Some("hang up") {
        return Ok(());
    }
    let mut stream = stream;
    match answer {
        Some(answer) => write!(
            stream,
            "HTTP/1.1 {answer}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
        )?,
        None => {
            let body = serde_json::from_slice(&body).unwrap_or_default();
            told.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push((path, lower, body));
            write!(
                stream,
                "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok"
            )?;
        }
    }
    Ok(())
}

/// A host with these channels, an agent that writes to them, and who judges.
fn host(channels: &str, more: &[&str]) -> anyhow::Result<Host> {
    let folder = Folder::new()?;
    folder.component("test_guests", "guests")?;
    with_policy(&folder)?;
    let names: Vec<String> = more.iter().map(|name| format!("\"{name}\"")).collect();
    folder.config(
        "",
        &format!(
            "{channels}\n[agents.judge]\nplugin = \"policy\"\npolicies = \"policies\"\n\
             [agents.writer]\nplugin = \"guests\"\nautonomy = \"auto\"\n[agents.writer.grants]\nchannels = [{}]\nevents = [\"security.*\", \"build.*\"]\n",
            names.join(", ")
        ),
    )?;
    folder.serve()
}

fn publish(host: &Host, kind: &str, id: &str, data: &Value) -> anyhow::Result<()> {
    let event = json!({ "specversion": "1.0", "id": id, "source": "/tests", "type": kind, "time": "2026-01-01T00:00:00Z", "data": data });
    host.publish(&event)
}

fn notify(host: &Host, channel: &str, title: &str) -> anyhow::Result<Value> {
    let effect = json!({ "id": "tell", "kind": "notification", "action": { "channel": channel, "title": title, "body": "Look at it." } });
    let run = host.run("writer", &json!({ "case": "propose", "effects": [effect] }))?;
    let list = host.json(&format!("/v1/effects?run={}", crate::id(&run)?))?;
    list["items"]
        .get(0)
        .cloned()
        .with_context(|| format!("{run}"))
}

#[test]
fn each_service_is_spoken_to_as_it_wants() -> anyhow::Result<()> {
    let service = Service::new()?;
    let channels = format!(
        "[channels.chat]\nkind = \"discord\"\nurl = \"{}\"\non = [\"security.*\"]\n\
         [channels.work]\nkind = \"slack\"\nurl = \"{}\"\nlevel = \"error\"\non = [\"security.*\", \"build.*\"]\n\
         [channels.hook]\nkind = \"webhook\"\nurl = \"{}\"\nkey = \"shared\"\non = [\"build.*\"]\n\
         [channels.page]\nkind = \"pagerduty\"\nkey = \"routing\"\nurl = \"{}\"\non = [\"security.*\"]\n",
        service.url("/discord"),
        service.url("/slack"),
        service.url("/hook"),
        service.url("")
    );
    let host = host(&channels, &["chat"])?;
    publish(
        &host,
        "security.ban",
        "1",
        &json!({ "message": "203.0.113.9 is banned @everyone" }),
    )?;
    publish(
        &host,
        "build.done",
        "2",
        &json!({ "level": "note", "title": "fine" }),
    )?;
    let (_, _, body) = service.until("/discord", |body| body["embeds"].is_array())?;
    let embed = &body["embeds"][0];
    assert_eq!(embed["title"], "security.ban: /tests");
    assert_eq!(
        embed["description"],
        "message: 203.0.113.9 is banned @everyone"
    );
    assert_eq!(embed["color"], 0x00e5_484d);
    assert_eq!(embed["timestamp"], "2026-01-01T00:00:00Z");
    assert_eq!(embed["footer"]["text"], "Infinity · security.ban · /tests");
    assert_eq!(body["allowed_mentions"]["parse"], json!([]));
    let (_, _, body) = service.until("/slack", |body| body["text"].is_string())?;
    assert_eq!(body["attachments"][0]["color"], "#e5484d");
    let (_, _, body) = service.until("/v2/enqueue", |body| body["event_action"] == "trigger")?;
    assert_eq!(body["routing_key"], "routing");
    assert_eq!(body["payload"]["severity"], "critical");
    let (_, headers, body) = service.until("/hook", |body| body["type"] == "build.done")?;
    assert_eq!(body["specversion"], "1.0");
    ensure!(
        headers.contains("webhook-signature: sha256=") && headers.contains("webhook-id: 2"),
        "{headers}"
    );
    // Severity decides, and the same words are said once.
    publish(
        &host,
        "security.ban",
        "3",
        &json!({ "message": "203.0.113.9 is banned @everyone" }),
    )?;
    publish(&host, "security.ban", "4", &json!({ "message": "another" }))?;
    service.until("/discord", |body| {
        body["embeds"][0]["description"] == "message: another"
    })?;
    let told = service.told();
    let at = |path: &str| told.iter().filter(|(at, _, _)| at == path).count();
    assert_eq!(at("/discord"), 2, "{told:?}");
    ensure!(
        told.iter()
            .all(|(at, _, body)| at != "/slack" || body["attachments"][0]["color"] == "#e5484d"),
        "{told:?}"
    );
    Ok(())
}

#[test]
fn an_agents_message_arrives_or_says_why_it_did_not() -> anyhow::Result<()> {
    let service = Service::new()?;
    let channels = format!(
        "[channels.chat]\nkind = \"discord\"\nurl = \"{0}\"\non = []\n\
         [channels.once]\nkind = \"webhook\"\nurl = \"{0}\"\non = []\nguarantee = \"at_most_once\"\n",
        service.url("/told")
    );
    let host = host(&channels, &["chat", "once", "nowhere"])?;
    until(&host, &notify(&host, "chat", "Hello")?, "applied")?;
    service.until("/told", |body| body["embeds"][0]["title"] == "Hello")?;
    // A service that is busy, or gone for a moment, gets it later.
    service.will_answer("429 Too Many Requests\r\nretry-after: 0");
    service.will_answer("503 Service Unavailable");
    until(&host, &notify(&host, "chat", "Again")?, "applied")?;
    service.will_answer("404 Not Found");
    let failed = until(&host, &notify(&host, "chat", "Lost")?, "failed")?;
    let message = failed["message"].as_str().context("a message")?;
    assert!(message.contains("404"), "{message}");
    // Nobody knows whether it arrived: it is sent again, or a person looks.
    service.will_answer("hang up");
    until(
        &host,
        &notify(&host, "chat", "Twice rather than never")?,
        "applied",
    )?;
    service.will_answer("hang up");
    let unknown = until(&host, &notify(&host, "once", "Once")?, "unknown")?;
    let body = json!({ "effect_id": unknown["id"], "decision": "approve", "comment": "I saw it" });
    ensure!(
        decide(&host, &body)?.status() == 200,
        "it cannot be settled"
    );
    let settled = until(&host, &unknown, "applied")?;
    assert_eq!(settled["approvals"][0]["comment"], "I saw it");
    // Without a grant, and without a channel.
    let refused = until(&host, &notify(&host, "page", "No")?, "refused")?;
    assert!(
        refused["hint"]
            .as_str()
            .context("a hint")?
            .contains("channels = [\"page\"]")
    );
    let refused = until(&host, &notify(&host, "nowhere", "No")?, "refused")?;
    assert!(
        refused["hint"]
            .as_str()
            .context("a hint")?
            .contains("[channels.nowhere]")
    );
    let chat = host.json("/v1/integrations/channel.chat")?;
    assert_eq!(
        (&chat["kind"], &chat["reachable"]),
        (&json!("discord"), &json!(true)),
        "{chat}"
    );
    ensure!(
        chat["last_error"]
            .as_str()
            .is_some_and(|why| !why.contains("/told")),
        "{chat}"
    );
    Ok(())
}

#[test]
fn a_channel_that_was_down_is_told_what_it_missed_and_a_flood_is_one_message() -> anyhow::Result<()>
{
    let service = Service::new()?;
    let channels = format!(
        "[channels.chat]\nkind = \"discord\"\nurl = \"{}\"\non = [\"build.*\"]\nper_minute = 5\n",
        service.url("/told")
    );
    let host = host(&channels, &[])?;
    publish(&host, "build.first", "0", &json!({}))?;
    service.until("/told", |body| {
        body["embeds"][0]["title"] == "build.first: /tests"
    })?;
    service.will_answer("404 Not Found");
    publish(&host, "build.second", "1", &json!({}))?;
    service.until("/told", |body| {
        body["embeds"][0]["title"] == "build.second: /tests"
    })?;
    let events: Vec<Value> = (0..40)
        .map(|n| json!({ "specversion": "1.0", "id": format!("f{n}"), "source": "/tests", "type": format!("build.n{n}"), "data": {} }))
        .collect();
    let answer = host
        .client()
        .post(host.url("/v1/events"))
        .header("content-type", "application/cloudevents-batch+json")
        .body(json!(events).to_string())
        .send()?;
    ensure!(answer.status().is_success(), "{}", answer.text()?);
    let (_, _, body) = service.until("/told", |body| {
        let text = body["embeds"][0]["description"].as_str();
        text.is_some_and(|text| text.contains("build.n39"))
    })?;
    let title = body["embeds"][0]["title"].as_str().unwrap_or_default();
    ensure!(title.ends_with("things happened"), "{body}");
    ensure!(service.told().len() <= 5, "{:?}", service.told());
    Ok(())
}

/// A mail server that writes what it gets to a file.
struct MailServer {
    child: Child,
    port: u16,
}

impl Drop for MailServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const MAIL_SERVER: &str = "
import socket, sys, time
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult
class Keep:
    async def handle_DATA(self, server, session, envelope):
        with open(sys.argv[1], 'ab') as file:
            file.write(envelope.mail_from.encode() + b'>' + ','.join(envelope.rcpt_tos).encode() + b'\\n' + envelope.content + b'\\n')
        return '250 OK'
def known(server, session, envelope, mechanism, data):
    return AuthResult(success=data.login == b'user' and data.password == b'secret', handled=False)
controller = Controller(Keep(), hostname='127.0.0.1', port=0, authenticator=known, auth_required=True, auth_require_tls=False)
probe = socket.socket(); probe.bind(('127.0.0.1', 0)); controller.port = probe.getsockname()[1]; probe.close()
controller.start()
print(controller.port, flush=True)
time.sleep(3600)
";

#[test]
fn mail_goes_through_a_real_server() -> anyhow::Result<()> {
    let Some(python) = language("python") else {
        return Ok(());
    };
    let folder = Folder::new()?;
    let inbox = folder.path().join("inbox");
    fs::write(&inbox, "")?;
    let mut child = Command::new(python.join("bin/python"))
        .args(["-c", MAIL_SERVER])
        .arg(&inbox)
        .stdout(Stdio::piped())
        .spawn()?;
    let mut line = String::new();
    BufReader::new(child.stdout.take().context("an output")?).read_line(&mut line)?;
    let server = MailServer {
        child,
        port: line.trim().parse()?,
    };
    let channels = format!(
        "[channels.mail]\nkind = \"smtp\"\nurl = \"smtp://user:secret@127.0.0.1:{0}\"\nfrom = \"Infinity <infinity@example.com>\"\nto = [\"ops@example.com\", \"Ada <ada@example.com>\"]\non = [\"build.*\"]\n\
         [channels.wrong]\nkind = \"smtp\"\nurl = \"smtp://user:guess@127.0.0.1:{0}\"\nfrom = \"infinity@example.com\"\nto = [\"ops@example.com\"]\non = []\n",
        server.port
    );
    let host = host(&channels, &["mail", "wrong"])?;
    publish(
        &host,
        "build.failed",
        "m1",
        &json!({ "message": "Größe: ü" }),
    )?;
    let mail = poll(PATIENCE, || {
        let mail = fs::read_to_string(&inbox).ok()?;
        mail.contains("Message-ID").then_some(mail)
    })
    .context("no mail arrived")?;
    for part in [
        "infinity@example.com>ops@example.com,ada@example.com",
        "Subject: build.failed: /tests",
        "Message-ID: <m1@example.com>",
        "Auto-Submitted: auto-generated",
    ] {
        assert!(mail.contains(part), "no `{part}` in {mail}");
    }
    until(&host, &notify(&host, "mail", "Hello")?, "applied")?;
    let failed = until(&host, &notify(&host, "wrong", "Hello")?, "failed")?;
    let message = failed["message"].as_str().context("a message")?;
    ensure!(!message.contains("guess"), "{message}");
    drop(server);
    Ok(())
}

#[test]
fn what_is_done_to_keys_and_the_kill_switch_pages_people() -> anyhow::Result<()> {
    let service = Service::new()?;
    let channels = format!(
        "[channels.chat]\nkind = \"discord\"\nurl = \"{}\"\n\
         [channels.page]\nkind = \"pagerduty\"\nkey = \"routing\"\nurl = \"{}\"\non = [\"killswitch.*\"]\n",
        service.url("/chat"),
        service.url("")
    );
    let host = host(&channels, &[])?;
    let admin = crate::access::key(host.folder(), &["root", "--role", "admin"])?;
    let says = |text: &'static str| move |body: &Value| body.to_string().contains(text);
    service.until("/chat", says("key.created"))?;
    for _ in 0..5 {
        let wrong = host.client().get(host.url("/v1/runs"));
        wrong.bearer_auth("inf_wrong").send()?;
    }
    service.until("/chat", says("security.lockout"))?;
    let killed = host.folder().infinity(&["kill", "by hand"])?;
    ensure!(killed.status.success(), "{killed:?}");
    service.until("/chat", says("killswitch."))?;
    let (_, _, page) = service.until("/v2/enqueue", says("killswitch."))?;
    ensure!(page["event_action"] == "trigger", "{page}");
    // Nobody is shown a key.
    ensure!(!format!("{:?}", service.told()).contains(&admin));
    Ok(())
}
