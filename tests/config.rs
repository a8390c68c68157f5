//! `plugins.toml` from outside: each `config/*.toml` beside its `.err`, which is what the user reads; the schema against the reader; and files that are nearly right.
//!
//! A `.toml` without mistakes has no `.err`. Lines `#env NAME=VALUE` set variables and `#listen ADDRESS` the flag of a case. With `UPDATE=1` in the environment the `.err`
//! files are written instead of compared.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use infinity::config::{self, Config, ConfigErrors, Overrides, Secret};
use infinity::diagnostics;
use serde_json::Value;

/// The directories and files that cases name, in a directory of their own.
struct Ground {
    directory: tempfile::TempDir,
}

impl Ground {
    fn new() -> Self {
        let ground = Self {
            directory: tempfile::tempdir().expect("a temporary directory"),
        };
        for name in [
            "data/inner",
            "other",
            "repo",
            "policies",
            "var/inner",
            "plugins/dist",
        ] {
            fs::create_dir_all(ground.path(name)).expect("a directory");
        }
        let files = [
            ("file.txt", "text"),
            (
                "ca.pem",
                "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            ),
            ("empty.pem", "nothing\n"),
            (
                "broken.pem",
                "-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n",
            ),
        ];
        for (name, content) in files {
            fs::write(ground.path(name), content).expect("a file");
        }
        for (certificate, key) in [
            ("server.pem", "server.key"),
            ("clients.pem", "clients.key"),
            ("other.pem", "other.key"),
        ] {
            let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]);
            let made = made.expect("a certificate");
            fs::write(ground.path(certificate), made.cert.pem()).expect("a file");
            fs::write(ground.path(key), made.signing_key.serialize_pem()).expect("a file");
        }
        std::os::unix::fs::symlink(ground.path("data"), ground.path("link")).expect("a link");
        ground
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn parse(&self, text: &str) -> Result<Config, ConfigErrors> {
        let (environment, overrides) = given(text);
        config::parse(text, &self.path("plugins.toml"), &environment, &overrides)
    }

    fn tolerant(&self, text: &str) -> Result<Config, ConfigErrors> {
        let (environment, overrides) = given(text);
        config::parse_tolerant(text, &self.path("plugins.toml"), &environment, &overrides)
    }

    fn valid(&self, text: &str) -> Config {
        self.parse(text)
            .unwrap_or_else(|errors| panic!("{}", diagnostics::render(&errors, false)))
    }

    fn rendered(&self, errors: &ConfigErrors) -> String {
        let prefix = format!("{}/", self.directory.path().display());
        diagnostics::render(errors, false).replace(&prefix, "")
    }
}

fn given(text: &str) -> (impl Fn(&str) -> Option<String>, Overrides) {
    let said = |word: &str| {
        text.lines()
            .filter_map(|line| line.strip_prefix(word))
            .map(|said| said.trim().to_owned())
            .collect::<Vec<_>>()
    };
    let variables = said("#env ");
    let environment = move |name: &str| {
        variables
            .iter()
            .find_map(|variable| Some(variable.strip_prefix(name)?.strip_prefix('=')?.to_owned()))
    };
    let overrides = Overrides {
        listen: said("#listen ")
            .first()
            .map(|address| address.parse().expect("an address")),
        state: None,
    };
    (environment, overrides)
}

fn cases() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("config")
}

fn full() -> String {
    fs::read_to_string(cases().join("full.toml")).expect("the case `full.toml`")
}

#[test]
fn for_each_makes_an_agent_of_each_repository() {
    let ground = Ground::new();
    let text = fs::read_to_string(cases().join("for_each.toml")).expect("a case");
    let config = ground.parse(&text).expect("no mistakes");
    let made: Vec<_> = config
        .agents
        .values()
        .map(|agent| {
            let grant = &agent.grants.repositories[0];
            (
                agent.name.as_str(),
                grant.name.as_str(),
                grant.checkout.as_deref(),
                agent.settings["roots"][0]["path"].as_str(),
            )
        })
        .collect();
    assert_eq!(
        made,
        [
            (
                "check-docs",
                "docs",
                Some("/repos/docs"),
                Some("/repos/docs")
            ),
            (
                "check-site",
                "site",
                Some("/repos/site"),
                Some("/repos/site")
            ),
        ]
    );
}

#[test]
fn each_mistake_reads_as_written_beside_it() {
    let ground = Ground::new();
    let update = std::env::var_os("UPDATE").is_some_and(|value| value == "1");
    let mut names: Vec<PathBuf> = fs::read_dir(cases())
        .expect("the directory of cases")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    names.sort();
    let mut wrong = Vec::new();
    let mut compared = 0;
    for toml in names
        .iter()
        .filter(|path| path.extension().is_some_and(|e| e == "toml"))
    {
        let text = fs::read_to_string(toml).expect("a case");
        let expected_path = toml.with_extension("err");
        let found = match ground.parse(&text) {
            Ok(_) => None,
            Err(errors) => Some(ground.rendered(&errors)),
        };
        if update {
            match &found {
                Some(found) => fs::write(&expected_path, found).expect("an `.err` file"),
                None if expected_path.exists() => fs::remove_file(&expected_path).expect("removed"),
                None => {}
            }
            continue;
        }
        compared += 1;
        let expected = fs::read_to_string(&expected_path).ok();
        if found != expected {
            wrong.push(format!(
                "{}\n--- expected\n{}\n--- found\n{}",
                toml.display(),
                expected.unwrap_or_default(),
                found.unwrap_or_default()
            ));
        }
    }
    for orphan in names
        .iter()
        .filter(|path| path.extension().is_some_and(|e| e == "err"))
    {
        assert!(
            orphan.with_extension("toml").exists(),
            "{orphan:?} belongs to no case"
        );
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    assert!(update || compared >= 30, "only {compared} cases were found");
}

#[test]
fn a_file_that_cannot_be_read_says_why() {
    let ground = Ground::new();
    let check = |name: &str, expected: &str| {
        let errors = config::load(&ground.path(name), &|_| None, &Overrides::default())
            .expect_err("it cannot be read");
        let rendered = ground.rendered(&errors);
        assert!(rendered.contains(expected), "{rendered}");
        assert!(rendered.contains("\nhint: "), "{rendered}");
        errors
    };
    check("missing.toml", "cannot be read: entity not found");
    check("data", "is a directory");
    fs::write(ground.path("latin.toml"), b"[host]\n# caf\xe9\n").expect("a file");
    let errors = check("latin.toml", "is not UTF-8: the byte at offset 12");
    assert_eq!((errors.errors[0].line, errors.errors[0].column), (2, 6));
    fs::write(ground.path("large.toml"), "#".repeat(10_000_000)).expect("a file");
    check("large.toml", "is larger than 1 MiB");
    std::os::unix::net::UnixListener::bind(ground.path("socket.toml")).expect("a socket");
    check("socket.toml", "is not a regular file");
}

#[test]
fn a_file_of_nothing_but_mistakes_is_read_quickly_and_its_mistakes_are_counted() {
    let ground = Ground::new();
    let mut text = String::from("[host]\n");
    for index in 0..50_000 {
        text.push_str(&format!("x{index} = 1\n"));
    }
    let errors = ground.parse(&text).expect_err("unknown keys");
    assert_eq!(
        (errors.errors.len(), errors.more),
        (config::MAX_ERRORS, 49_900)
    );
    assert!(
        ground
            .rendered(&errors)
            .ends_with("50000 mistakes in plugins.toml, of which 100 are shown\n")
    );
    let errors = ground.parse(&"= \n".repeat(100_000)).expect_err("no TOML");
    assert!(errors.more > 0);
    ground
        .parse(&format!("x = {}", "[".repeat(500_000)))
        .expect_err("too deep");
}

#[test]
fn an_empty_file_gives_the_defaults() {
    let ground = Ground::new();
    let config = ground.valid("");
    assert_eq!(config.host.listen, config::DEFAULT_LISTEN);
    assert_eq!(config.host.state, ground.path("var"));
    assert_eq!(config.root, ground.directory.path());
    assert_eq!(
        config.digest,
        "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    );
    assert!(config.agents.is_empty());
}

#[test]
fn the_full_file_is_read_as_it_is_meant() {
    let ground = Ground::new();
    let config = ground.valid(&full());
    let agent = &config.agents["mirror"];
    let schedule = agent.schedule.as_ref().expect("a schedule");
    assert_eq!(schedule.to_string(), "every 90m");
    assert_eq!(schedule.jitter, std::time::Duration::from_secs(30));
    assert_eq!(schedule.overlap, config::Overlap::Queue);
    assert_eq!(schedule.catch_up, config::CatchUp::All(5));
    assert_eq!(agent.concurrency, 2);
    assert_eq!(agent.retry.retries, 3);
    assert_eq!(agent.retry.delay, std::time::Duration::from_secs(2));
    let schedule = config.agents["each-ops"].schedule.as_ref();
    assert_eq!(
        schedule.map(ToString::to_string).as_deref(),
        Some("0 3 * * MON-FRI Europe/Paris")
    );
    assert_eq!(config.host.maintenance.len(), 1);
    let access = &config.host.access;
    assert_eq!(access.trusted_proxies.len(), 2);
    assert_eq!(access.names.len(), 2);
    let tls = access.tls.as_ref().expect("files");
    assert!(tls.tls_1_2 && tls.client_ca.is_some());
    let corp = &access.sign_in["corp"];
    assert_eq!(corp.roles[0].when["realm.kind"], "person");
    assert_eq!(corp.roles[0].scopes.len(), 2);
    assert_eq!(access.sign_in["github"].name_claim, "login");
    assert!(!access.journal.seals_backups);
    assert_eq!(config.host.daily_budget_usd, Some(50));
    assert!(access.guard.ban_at_first_lockout);
    assert_eq!((access.guard.reads, access.guard.changes), (2_000, 100));
    assert_eq!(access.guard.rates["POST /v1/agents/{name}/runs"], 10);
    assert_eq!(config.host.kill_after_pull_requests, 20);
    assert_eq!(agent.limits.time_ms, 20_000);
    assert_eq!(agent.limits.memory_bytes, 32 << 20);
    assert_eq!(
        (agent.limits.instances, agent.limits.table_elements),
        (50, 30_000)
    );
    assert_eq!(agent.autonomy, config::Autonomy::AutoAfter);
    assert_eq!(agent.settings["since"], "2026-01-01");
    assert_eq!(agent.settings["template"], "${KEPT}");
    assert_eq!(agent.veto, jiff::SignedDuration::from_mins(2));
    assert_eq!(agent.effects_per_hour, 10);
    assert_eq!(agent.grants.agents, ["badge"]);
    assert_eq!(agent.grants.channels, ["chat"]);
    assert_eq!(config.github.webhook_secrets.len(), 2);
    let chat = &config.channels["chat"];
    assert_eq!(chat.service.as_str(), "discord");
    assert_eq!((chat.per_minute, chat.at_least_once), (5, false));
    assert_eq!(chat.digest, Some(std::time::Duration::from_secs(600)));
    assert_eq!(chat.on, ["security.*", "run.failed"]);
    // Secrets print as stars.
    assert!(!format!("{:?}", config.channels).contains("example.com/"));
    assert!(config.channels["page"].at_least_once);
    let repository = &config.repositories["ops"];
    assert!(matches!(
        &repository.place,
        config::Place::Local { create: true, .. }
    ));
    assert!(repository.environment.is_guarded());
    assert_eq!(agent.line, 102);
    let repository = &agent.grants.repositories[0];
    assert_eq!(repository.checkout.as_deref(), Some("/src"));
    assert_eq!(
        repository.effects[&config::EffectKind::Commit],
        config::EffectScope::Branches(vec!["founder_mirror".into(), "release/*".into()])
    );
    assert_eq!(
        repository.effects[&config::EffectKind::Issue],
        config::EffectScope::AnyBranch
    );
    assert!(!repository.effects.contains_key(&config::EffectKind::Merge));
    let credential = agent.grants.http[0]
        .credential
        .as_ref()
        .expect("a credential");
    assert_eq!(credential.header, "x-api-key");
    assert_eq!(credential.value.expose(), "Bearer hunter2");
    assert_eq!(agent.grants.environment["TOKEN"], Secret::new("hunter2"));
    assert_eq!(
        agent.grants.directories[0].host,
        ground.path("data").canonicalize().expect("it exists")
    );
    assert!(!config.agents["sleeper"].enabled);
    assert!(!format!("{config:?}").contains("hunter2"));
}

#[test]
fn flags_go_over_variables_and_variables_over_the_file() {
    let ground = Ground::new();
    let listen = |text: &str| ground.valid(text).host.listen.to_string();
    let file = "[host]\nlisten = \"127.0.0.2:1\"\nbadge_port = 5\n";
    assert_eq!(listen(file), "127.0.0.2:1");
    assert_eq!(listen(&format!("{file}#env PORT=2\n")), "127.0.0.2:2");
    assert_eq!(
        listen(&format!("{file}#env PORT=2\n#listen [::1]:3\n")),
        "[::1]:3"
    );
    let host = ground
        .valid(&format!("{file}#env BADGE_PORT=6\n#env AUTODEPLOY_PORT=7\n#env GITHUB_TOKEN=hunter2\n#env GITHUB_REPO=a/b\n#env DISCORD_WEBHOOK=\n"))
        .host;
    assert_eq!((host.badge_port, host.autodeploy_port), (Some(6), Some(7)));
    assert_eq!(host.variables.github_token, Some(Secret::new("hunter2")));
    assert_eq!(host.variables.github_repo.as_deref(), Some("a/b"));
    assert_eq!(host.variables.discord_webhook, None);
    assert!(!format!("{host:?}").contains("hunter2"));
}

#[test]
fn a_mistake_in_one_agent_disables_it_alone() {
    let ground = Ground::new();
    let text = "[agents.good]\nplugin = \"p\"\n[agents.bad]\nplugin = \"p\"\nevery = \"0s\"\ncron = \"* * *\"\n";
    let config = ground.tolerant(text).expect("only an agent is wrong");
    assert_eq!(
        config
            .agents
            .keys()
            .map(config::AgentName::as_str)
            .collect::<Vec<_>>(),
        ["good"]
    );
    assert_eq!(config.disabled.len(), 1);
    assert_eq!(
        (config.disabled[0].name.as_str(), config.disabled[0].line),
        ("bad", 3)
    );
    let lines: Vec<usize> = config.disabled[0]
        .errors
        .iter()
        .map(|error| error.line)
        .collect();
    assert_eq!(lines, [5, 6]);
    assert_eq!(ground.parse(text).expect_err("strict").errors.len(), 2);
    let both = format!("{text}[host]\nqueue = 0\n");
    assert_eq!(
        ground
            .tolerant(&both)
            .expect_err("the host is wrong")
            .errors
            .len(),
        3
    );
}

#[test]
fn no_credential_is_in_any_message() {
    let ground = Ground::new();
    let check = |text: &str| {
        let errors = ground.parse(text).expect_err("it has mistakes");
        let all = format!(
            "{}{}{errors:?}{errors}",
            ground.rendered(&errors),
            diagnostics::json(&errors)
        );
        assert!(!all.contains("hunter2"), "{all}");
    };
    let grant = |credential: &str| {
        format!(
            "[agents.a]\nplugin = \"p\"\ngrants = {{ http = [{{ url = \"https://x/\", credential = {{ {credential} }} }}] }}\n"
        )
    };
    check(&grant("heder = 1, value = \"hunter2\""));
    check(&grant("value = \"hunter2\", header = \"host\""));
    check("[host]\nproxy = \"http://me:hunter2@proxy:1\"\n");
    check(
        "[agents.a]\nplugin = \"p\"\ngrants = { http = [{ url = \"https://me:hunter2@x/\" }] }\n",
    );
    check("[agents.a.grants.http.credential]\nvalue = \"hunter2\" x\n");
    // A variable whose value is no header: the value stays out of the message.
    let environment = |name: &str| (name == "SECRET").then(|| "hunter2\n".to_owned());
    let errors = config::parse(
        &grant("value = \"${SECRET}\""),
        &ground.path("plugins.toml"),
        &environment,
        &Overrides::default(),
    )
    .expect_err("a line break");
    let rendered = ground.rendered(&errors);
    assert!(
        rendered.contains("not a valid header value") && !rendered.contains("hunter2"),
        "{rendered}"
    );
}

/// Text in front of a key of each table of the schema.
const PLACES: [(&str, &str); 30] = [
    ("supply", "[plugins]\n"),
    ("secrets", "[secrets]\n"),
    ("vault", "[secrets.vault]\n"),
    ("catalogued_secret", "[secrets.catalogue.X]\n"),
    ("alerts", "[alerts]\n"),
    ("alert_rule", "[alerts.rules.error_rate]\n"),
    ("backup", "[backup]\n"),
    ("channel", "[channels.x]\n"),
    ("telemetry", "[telemetry]\n"),
    ("github", "[github]\n"),
    ("plugins", ""),
    ("host", "[host]\n"),
    ("maintenance", "[[host.maintenance]]\n"),
    ("rate_limit", "[[host.rate_limits]]\n"),
    ("tls", "[host.tls]\n"),
    ("sign_in", "[host.sign_in.corp]\n"),
    ("role_rule", "[[host.sign_in.corp.roles]]\n"),
    ("limits", "[host.limits]\n"),
    ("limits", "[agents.a.limits]\n"),
    ("repository", "[repositories.r]\n"),
    ("agent", "[agents.a]\n"),
    ("webhook", "[agents.a.webhook]\n"),
    ("canary", "[agents.a.canary]\n"),
    ("pipeline", "[pipelines.p]\n"),
    ("step", "[[pipelines.p.steps]]\n"),
    ("grants", "[agents.a.grants]\n"),
    ("repository_grant", "[[agents.a.grants.repos]]\n"),
    ("http_grant", "[[agents.a.grants.http]]\n"),
    (
        "credential",
        "[[agents.a.grants.http]]\n[agents.a.grants.http.credential]\n",
    ),
    ("directory_grant", "[[agents.a.grants.directories]]\n"),
];

fn tables(schema: &Value) -> Vec<(&'static str, &'static str, &serde_json::Map<String, Value>)> {
    PLACES
        .into_iter()
        .map(|(name, place)| {
            let table = if name == "plugins" {
                schema
            } else {
                &schema["$defs"][name]
            };
            let properties = table["properties"]
                .as_object()
                .unwrap_or_else(|| panic!("no table `{name}`"));
            (name, place, properties)
        })
        .collect()
}

#[test]
fn the_reader_accepts_every_key_of_the_schema_and_checks_it() {
    let ground = Ground::new();
    let schema = config::schema();
    let tables = tables(&schema);
    let named: BTreeSet<&str> = tables
        .iter()
        .map(|(name, _, _)| *name)
        .filter(|name| *name != "plugins")
        .collect();
    let defined: BTreeSet<&str> = schema["$defs"]
        .as_object()
        .expect("definitions")
        .keys()
        .map(String::as_str)
        .collect();
    assert_eq!(named, defined);
    for (_, place, properties) in tables {
        for key in properties.keys() {
            let text = format!("{place}{key} = 2026-01-01\n");
            let errors = ground.parse(&text).expect_err("no key takes a date");
            assert!(
                errors
                    .errors
                    .iter()
                    .any(|error| error.message.ends_with("not a date")),
                "{text}{errors}"
            );
        }
        let text = format!("{place}no_such_key = 1\n");
        let errors = ground.parse(&text).expect_err("an unknown key");
        let unknown = errors
            .errors
            .iter()
            .find(|error| error.message.contains("unknown key"));
        let label = unknown
            .and_then(|error| error.label.as_deref())
            .expect("the allowed keys");
        let listed: BTreeSet<&str> = label
            .trim_start_matches("expected one of ")
            .split(", ")
            .map(|key| key.trim_matches('`'))
            .collect();
        assert_eq!(listed, properties.keys().map(String::as_str).collect());
    }
}

#[test]
fn the_full_file_has_every_key_and_fits_the_schema() {
    let schema = config::schema();
    let validator = jsonschema::validator_for(&schema).expect("a schema");
    assert!(jsonschema::meta::is_valid(&schema));
    let text = full();
    let instance: Value = toml_to_json(&text);
    let mistakes: Vec<String> = validator
        .iter_errors(&instance)
        .map(|error| error.to_string())
        .collect();
    assert!(mistakes.is_empty(), "{mistakes:?}");
    let mut used = BTreeSet::new();
    collect_keys(&instance, &mut used);
    // Who the host is on GitHub is said in one of three ways.
    let further = ["github_token.toml", "github_file.toml"]
        .map(|name| toml_to_json(&fs::read_to_string(cases().join(name)).expect("a case")));
    for instance in &further {
        assert!(validator.is_valid(instance));
        collect_keys(instance, &mut used);
    }
    for (name, _, properties) in tables(&schema) {
        for key in properties.keys() {
            assert!(
                used.contains(key.as_str()),
                "`{key}` of `{name}` is not in full.toml"
            );
        }
    }
    let mut wrong = instance;
    wrong["agents"]["mirror"]["shedule"] = 1.into();
    assert!(!validator.is_valid(&wrong));
}

/// The settings of an agent are the one place where the reader hands out what stands in the file, so it serves as a converter: each top-level table goes through it.
fn toml_to_json(text: &str) -> Value {
    let indented: String = text
        .replace("\n[[", "\n[[agents.a.settings.")
        .replace("\n[", "\n[agents.a.settings.")
        .replace(
            "[agents.a.settings.[agents.a.settings.",
            "[[agents.a.settings.",
        )
        // Variables have no meaning in settings.
        .replace("${", "$${")
        .replace("$$${", "$${");
    let text = format!("[agents.a]\nplugin = \"p\"\n{indented}");
    let config = config::parse(
        &text,
        Path::new("plugins.toml"),
        &|_| None,
        &Overrides::default(),
    )
    .unwrap_or_else(|errors| panic!("{}", diagnostics::render(&errors, false)));
    Value::Object(config.agents["a"].settings.clone())
}

fn collect_keys<'v>(value: &'v Value, keys: &mut BTreeSet<&'v str>) {
    match value {
        Value::Object(object) => {
            for (key, value) in object {
                keys.insert(key);
                collect_keys(value, keys);
            }
        }
        Value::Array(array) => array.iter().for_each(|value| collect_keys(value, keys)),
        _ => {}
    }
}

#[test]
fn the_defaults_of_the_schema_are_the_defaults_in_force() {
    let ground = Ground::new();
    let schema = config::schema();
    let assignments = |name: &str| -> String {
        let properties = schema["$defs"][name]["properties"]
            .as_object()
            .expect("a table");
        let defaults: Vec<String> = properties
            .iter()
            .filter_map(|(key, property)| Some(format!("{key} = {}\n", property.get("default")?)))
            .collect();
        assert!(!defaults.is_empty(), "`{name}` has no defaults");
        defaults.concat()
    };
    let file = |filled: &dyn Fn(&str) -> String| {
        format!(
            "[agents.a]\nplugin = \"p\"\n{}[repositories.r]\npath = \"repo\"\n[host]\n{}[host.limits]\n{}[agents.a.limits]\n{}\
             [agents.b]\nplugin = \"p\"\n[agents.b.grants]\n{}[agents.c]\nplugin = \"p\"\n[[agents.c.grants.repos]]\nname = \"r\"\n{}\
             [[agents.c.grants.directories]]\nhost = \"data\"\nguest = \"/d\"\n{}[[agents.c.grants.http]]\nurl = \"https://x/\"\n{}\
             [agents.c.grants.http.credential]\nvalue = \"v\"\n{}",
            filled("agent"),
            filled("host"),
            filled("limits"),
            filled("limits"),
            filled("grants"),
            filled("repository_grant"),
            filled("directory_grant"),
            filled("http_grant"),
            filled("credential")
        )
    };
    let explicit = ground.valid(&file(&assignments));
    let mut implicit = ground.valid(&file(&|_| String::new()));
    for (name, agent) in &mut implicit.agents {
        agent.line = explicit.agents[name].line;
    }
    assert_eq!(explicit.host, implicit.host);
    assert_eq!(explicit.agents, implicit.agents);
}

/// A linear congruential generator: the same rounds every time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).expect("31 bits") % bound.max(1)
    }
}

#[test]
fn a_file_that_is_nearly_right_never_panics_and_its_mistakes_lie_in_it() {
    let rounds: usize = infinity_tests::soak::count(2_000, 100_000);
    let ground = Ground::new();
    let valid: Vec<char> = full().chars().collect();
    let spice: Vec<char> = "\"'[]{}=.,#\n\t $\\é\u{202e}\u{1}09-x".chars().collect();
    let mut dice = Dice(1);
    let mut refused = 0;
    for _ in 0..rounds {
        let mut text = valid.clone();
        for _ in 0..=dice.below(4) {
            let start = dice.below(text.len());
            let end = (start + 1 + dice.below(12)).min(text.len());
            match dice.below(4) {
                0 => drop(text.drain(start..end)),
                1 => text.insert(start, spice[dice.below(spice.len())]),
                2 => text[start] = spice[dice.below(spice.len())],
                _ => {
                    let copied: Vec<char> = text[start..end].to_vec();
                    let to = dice.below(text.len());
                    text.splice(to..to, copied);
                }
            }
        }
        let text: String = text.into_iter().collect();
        let tolerant = ground.tolerant(&text);
        let Err(errors) = ground.parse(&text) else {
            assert!(tolerant.is_ok_and(|config| config.disabled.is_empty()));
            continue;
        };
        refused += 1;
        assert!(!errors.errors.is_empty());
        for error in &errors.errors {
            assert!(text.get(error.span.clone()).is_some(), "{error:?}\n{text}");
            assert_eq!(error.line == 0, error.column == 0);
            assert!(error.line <= text.matches('\n').count() + 1);
            assert!(
                !error.message.is_empty() && !error.message.ends_with('.'),
                "{error:?}"
            );
        }
        assert_eq!(errors.text.len(), text.len());
        assert!(diagnostics::render(&errors, true).contains("error"));
        assert!(diagnostics::json(&errors)["errors"].is_array());
    }
    assert!(
        refused > rounds / 2,
        "only {refused} of {rounds} files were refused"
    );
    infinity_tests::soak::figure(
        "configurations with random damage",
        rounds,
        "every one answered",
    );
}

#[test]
fn an_entry_with_for_each_is_no_agent_of_its_own_name() {
    let ground = Ground::new();
    let text = fs::read_to_string(cases().join("for_each.toml")).expect("a case");
    let config = ground.valid(&text);
    assert!(config.implicit_agent("check").is_none());
    assert!(config.implicit_agent("other").is_some());
}

#[test]
fn policies_of_each_repository_cannot_be_granted_for_writing() {
    let ground = Ground::new();
    fs::create_dir_all(ground.path("policies/docs")).expect("a directory");
    let text = "[repositories.docs]\npath = \"repo\"\n\
        [agents.judge]\nplugin = \"a\"\nfor_each = \"repos/*\"\npolicies = \"policies/{repository}\"\n\
        [agents.writer]\nplugin = \"a\"\n\
        grants = { directories = [{ host = \"policies/docs\", guest = \"/d\", write = true }] }\n";
    let errors = ground
        .parse(text)
        .expect_err("a guest could change its judge");
    assert!(errors.to_string().contains("policies"), "{errors}");
}
