//! The attacks: which guest, with which grants and limits, how it has to end and what contains it.
//!
//! A case is one agent of the host that is attacked. In its grants `{server}` stands for the port of a server that answers, `{sink}` for that of one that nobody may
//! reach, and `{own}` for the host's own.

/// How a run has to end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Expected {
    /// As `GET /v1/runs` names it.
    pub(super) outcome: &'static str,
    pub(super) reason: Option<&'static str>,
    /// What its message has to hold.
    pub(super) words: &'static [&'static str],
    /// Attempts that have to be recorded as denied, at least: a guest that never tried proves nothing.
    pub(super) denials: u64,
}

/// What is done with the agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Act {
    /// Run once.
    Run,
    /// Run eight times at once; all have to end so.
    Eight,
    /// Run twice; both have to use the same fuel.
    Twice,
    /// Cancel it while it runs.
    Cancel,
    /// Run once, then look for what is left of it with another agent.
    Scan,
    /// Run once, then follow the runs that its events start.
    Chain,
    /// Run five times, after which it has to be in quarantine, and let it go on.
    Crash,
    /// Ask for it twice under one key: there has to be one run.
    Key,
    /// Run once, then read its log, which has to be inert and within its limit.
    Log,
}

/// One attack.
#[derive(Clone, Copy, Debug)]
pub(super) struct Case {
    /// Its row in `docs/hostile.md`.
    pub(super) row: &'static str,
    /// The agent's name, which begins with the row.
    pub(super) name: &'static str,
    /// What the guest does, after "the guest".
    pub(super) does: &'static str,
    /// The guest.
    pub(super) guest: &'static str,
    /// Its entry in `plugins.toml` beyond that.
    pub(super) entry: &'static str,
    /// Its grants.
    pub(super) grants: &'static str,
    pub(super) expected: Expected,
    /// What contains it.
    pub(super) layer: &'static str,
    /// Milliseconds that it may run over a limit of time.
    pub(super) allowed_ms: i64,
    pub(super) act: Act,
    /// A folder that is emptied before.
    pub(super) empties: Option<&'static str>,
}

/// Limits of every case that does not set its own: those of the suite, made smaller so that all cases take a minute. The time is long beside the CPU time, so that
/// it is the one that ends what computes, on a busy machine, too.
pub(super) const LIMITS: &str = r#"[host.limits]
time = "10s"
cpu = "300ms"
memory = "64MiB"
table_elements = 1000
instances = 100
host_calls = 20000
handles = 500
log = "64KiB"
output = "64KiB"
http_requests = 20
http_sent = "64KiB"
http_received = "1MiB"
random = "1MiB"
files = "256KiB"
files_count = 50
key_value = "64KiB"
key_value_keys = 50
"#;

/// Milliseconds over a limit of CPU time that are aimed at: some ticks of the epoch.
const CPU_MS: i64 = 20;

/// The same where one instruction takes long.
const BULK_MS: i64 = 50;

/// Milliseconds over a limit of wall-clock time that are aimed at.
const TIME_MS: i64 = 100;

/// Rows that this machine does not try, with where they are tested instead.
pub(super) const NOT_HERE: &[(&str, &str)] = &[
    (
        "H37",
        "needs a name server that lies: `host/src/sandbox/http/socket_tests.rs`",
    ),
    (
        "H45",
        "floods for longer than a minute allows: `tests/hostile/network.rs`",
    ),
    (
        "H58",
        "needs a host that dies and is started again: `tests/faults`",
    ),
    ("V01", "needs an interpreter: `tests/checks`"),
    (
        "V03",
        "needs an interpreter: `tests/checks`, with 3,000 forgeries",
    ),
    ("V04", "needs an interpreter: `tests/checks`"),
    ("V07", "needs an interpreter: `tests/checks`"),
];

const fn ends(outcome: &'static str, reason: Option<&'static str>) -> Expected {
    Expected {
        outcome,
        reason,
        words: &[],
        denials: 0,
    }
}

const fn limited(reason: &'static str) -> Expected {
    ends("limited", Some(reason))
}

const fn refused(reason: &'static str, words: &'static [&'static str]) -> Expected {
    Expected {
        outcome: "refused",
        reason: Some(reason),
        words,
        denials: 0,
    }
}

/// The guest passes: each of its attempts was answered with an error, and so many were recorded as denied.
const fn copes(denials: u64) -> Expected {
    Expected {
        outcome: "succeeded",
        reason: None,
        words: &[],
        denials,
    }
}

const fn trapped(reason: &'static str) -> Expected {
    ends("trapped", Some(reason))
}

/// A case that runs once.
const fn case(
    row: &'static str,
    name: &'static str,
    guest: &'static str,
    does: &'static str,
    expected: Expected,
    layer: &'static str,
) -> Case {
    Case {
        row,
        name,
        does,
        guest,
        entry: "",
        grants: "",
        expected,
        layer,
        allowed_ms: TIME_MS,
        act: Act::Run,
        empties: None,
    }
}

/// The same with grants.
const fn granted(case: Case, grants: &'static str) -> Case {
    Case { grants, ..case }
}

/// The same as another act.
const fn as_act(case: Case, act: Act) -> Case {
    Case { act, ..case }
}

/// The same with more in its entry.
const fn with_entry(case: Case, entry: &'static str) -> Case {
    Case { entry, ..case }
}

/// The same with another aim.
const fn within_ms(case: Case, allowed_ms: i64) -> Case {
    Case { allowed_ms, ..case }
}

/// For what waits: its time is up soon.
const SHORT: &str = "limits = { time = \"1s\" }";

const EPOCH: &str = "epoch tick, CPU clock";
const CALLS: &str = "count of host calls";
const LIMITER: &str = "limiter, summed over the store";
const VALIDATION: &str = "validation before anything is compiled";
const EGRESS: &str = "egress gate";
const FILES: &str = "WASI gate, paths below a directory";
const QUOTA: &str = "file quota, charged before each call";

/// Every attack, in the order of their rows.
pub(super) const CASES: &[Case] = &[
    within_ms(
        case(
            "H01",
            "h01-spin",
            "spin",
            "loops for ever",
            limited("cpu"),
            EPOCH,
        ),
        CPU_MS,
    ),
    within_ms(
        as_act(
            case(
                "H01",
                "h01-eight",
                "spin",
                "loops for ever, eight times at once",
                limited("cpu"),
                "epoch tick, guests' own threads",
            ),
            Act::Eight,
        ),
        CPU_MS,
    ),
    with_entry(
        as_act(
            case(
                "H02",
                "h02-fuel",
                "count",
                "counts for ever, with a limit of fuel",
                limited("fuel"),
                "fuel, the same in both runs",
            ),
            Act::Twice,
        ),
        "limits = { fuel = 10000000 }",
    ),
    within_ms(
        case(
            "H03",
            "h03-start",
            "start_loop",
            "loops while it is instantiated",
            limited("cpu"),
            "limits set before instantiation",
        ),
        CPU_MS,
    ),
    case(
        "H04",
        "h04-recurse",
        "recurse",
        "calls itself without end",
        trapped("stack_overflow"),
        "the guest's own stack",
    ),
    case(
        "H04",
        "h04-start",
        "start_stack_overflow",
        "overflows the stack while it is instantiated",
        trapped("stack_overflow"),
        "the guest's own stack",
    ),
    with_entry(
        case(
            "H05",
            "h05-sleep",
            "sleep",
            "sleeps for ever in one host call",
            limited("time"),
            "timer, drops the store",
        ),
        SHORT,
    ),
    case(
        "H06",
        "h06-poll",
        "poll-spin",
        "waits for what is ready, over and over",
        limited("host_calls"),
        CALLS,
    ),
    within_ms(
        case(
            "H08",
            "h08-bulk",
            "bulk",
            "fills and copies all its memory, over and over",
            limited("cpu"),
            "epoch tick; the memory limit bounds one operation",
        ),
        BULK_MS,
    ),
    case(
        "H10",
        "h10-clock",
        "storm-clock",
        "asks for the time ten million times",
        limited("host_calls"),
        CALLS,
    ),
    as_act(
        case(
            "H10",
            "h10-log",
            "storm-log",
            "logs ten million lines",
            limited("host_calls"),
            "count of host calls; the log is cut",
        ),
        Act::Log,
    ),
    granted(
        with_entry(
            as_act(
                case(
                    "H11",
                    "h11-ping",
                    "emit",
                    "starts itself by way of another agent's events",
                    copes(0),
                    "count of hops, eight at most",
                ),
                Act::Chain,
            ),
            r#"on = ["selftest.pong"]"#,
        ),
        "env = { KIND = \"selftest.ping\" }\nevents = [\"selftest.*\"]",
    ),
    as_act(
        case(
            "H12",
            "h12-crash",
            "trap",
            "traps each time",
            trapped("trap"),
            "quarantine after five crashes",
        ),
        Act::Crash,
    ),
    case(
        "H13",
        "h13-grow",
        "mem_grow",
        "grows its memory until refused",
        limited("memory"),
        LIMITER,
    ),
    case(
        "H14",
        "h14-minimum",
        "mem_min",
        "declares 4 GiB of memory",
        refused("memory", &["raise `memory`"]),
        "inspection before anything is compiled",
    ),
    case(
        "H15",
        "h15-instances",
        "many_memories",
        "has fifty memories in fifty instances, each small",
        limited("memory"),
        LIMITER,
    ),
    case(
        "H15",
        "h15-module",
        "multi_memory",
        "has many memories in one module, each small",
        limited("memory"),
        LIMITER,
    ),
    case(
        "H16",
        "h16-many",
        "many_instances",
        "has 150 core instances",
        limited("instances"),
        "limiter, counted over the store",
    ),
    case(
        "H16",
        "h16-nested",
        "many_instances_nested",
        "has 3,125 core instances in nested components",
        limited("instances"),
        "limiter, counted over the store",
    ),
    case(
        "H17",
        "h17-grow",
        "table_grow",
        "grows a table by a thousand million elements",
        limited("tables"),
        LIMITER,
    ),
    case(
        "H17",
        "h17-minimum",
        "table_min",
        "declares a table of ten million elements",
        limited("tables"),
        LIMITER,
    ),
    case(
        "H17",
        "h17-wide",
        "table64_min",
        "declares a table of 2^61 elements",
        refused("invalid_component", &["memory64"]),
        VALIDATION,
    ),
    case(
        "H18",
        "h18-threads",
        "shared_memory",
        "needs threads",
        refused("invalid_component", &["threads", "switched off"]),
        VALIDATION,
    ),
    case(
        "H18",
        "h18-memory64",
        "memory64",
        "needs 64-bit memory",
        refused("invalid_component", &["memory64", "switched off"]),
        VALIDATION,
    ),
    case(
        "H18",
        "h18-gc",
        "gc",
        "needs garbage collection",
        refused("invalid_component", &["garbage collection", "switched off"]),
        VALIDATION,
    ),
    case(
        "H18",
        "h18-exceptions",
        "exceptions",
        "needs exceptions",
        refused("invalid_component", &["exception handling", "switched off"]),
        VALIDATION,
    ),
    case(
        "H18",
        "h18-stacks",
        "stack_switching",
        "needs stack switching",
        refused("invalid_component", &["stack switching", "switched off"]),
        VALIDATION,
    ),
    case(
        "H18",
        "h18-async",
        "async_lift",
        "needs async lifting",
        refused(
            "invalid_component",
            &["component-model async", "switched off"],
        ),
        VALIDATION,
    ),
    case(
        "H19",
        "h19-leak",
        "leak",
        "makes a million handles and drops none",
        limited("handles"),
        "bounded resource table",
    ),
    case(
        "H22",
        "h22-random",
        "random",
        "asks for 4 GiB of randomness",
        limited("host_calls"),
        "count of random bytes",
    ),
    case(
        "H23",
        "h23-output",
        "flood-out",
        "returns 8 MiB",
        limited("output"),
        "count of output bytes",
    ),
    as_act(
        case(
            "H24",
            "h24-flood",
            "flood-err",
            "prints 1 MiB in one line",
            copes(0),
            "the log is cut, the run goes on",
        ),
        Act::Log,
    ),
    as_act(
        case(
            "H25",
            "h25-inject",
            "inject",
            "prints escape sequences, bidirectional marks, a forged record, markup",
            copes(0),
            "escaped where it is kept",
        ),
        Act::Log,
    ),
    with_entry(
        as_act(
            case(
                "H27",
                "h27-residue",
                "residue-fill",
                "fills 32 MiB with a pattern, for another agent to find",
                trapped("trap"),
                "a fresh store, cleared memory",
            ),
            Act::Scan,
        ),
        "limits = { cpu = \"2s\" }",
    ),
    with_entry(
        as_act(
            case(
                "H28",
                "h28-cancel",
                "bulk",
                "is cancelled in the middle of a bulk operation",
                ends("cancelled", None),
                "the store is dropped, none is used twice",
            ),
            Act::Cancel,
        ),
        "limits = { cpu = \"20s\", time = \"20s\" }",
    ),
    case(
        "H30",
        "h30-empty",
        "no-empty",
        "is an empty file",
        refused("invalid_component", &["the file is empty"]),
        "inspection",
    ),
    case(
        "H30",
        "h30-random",
        "no-random",
        "is a file of random bytes",
        refused("invalid_component", &["is not WebAssembly"]),
        "inspection",
    ),
    case(
        "H30",
        "h30-truncated",
        "no-truncated",
        "is half of a component",
        refused("invalid_component", &["ends early"]),
        "inspection",
    ),
    case(
        "H30",
        "h30-module",
        "no-core-module",
        "is a core module",
        refused("invalid_component", &["core module"]),
        "inspection",
    ),
    case(
        "H30",
        "h30-text",
        "no-text",
        "is the text of a component",
        refused("invalid_component", &["text form"]),
        "inspection",
    ),
    case(
        "H31",
        "h31-bomb",
        "compile-bomb",
        "is one function of 800,000 operations",
        refused("load_limit", &[]),
        "compile child, CPU time",
    ),
    case(
        "H33",
        "h33-unknown",
        "ungranted_imports",
        "imports what the host does not have",
        refused(
            "capability_missing",
            &["acme:widget/thing@9.9.9", "wasi:http/types@0.3.0"],
        ),
        "link, every name in the message",
    ),
    case(
        "H34",
        "h34-compiled",
        "no-compiled",
        "is compiled code under the name of a component",
        refused("invalid_component", &["compiled code is never accepted"]),
        "inspection of the first bytes",
    ),
    granted(
        case(
            "H36",
            "h36-granted",
            "fetch",
            "asks for private addresses that are granted by name",
            copes(10),
            EGRESS,
        ),
        r#"env = { RA = "127.0.0.1:{sink}/", RB = "localhost:{sink}/", RC = "[::1]:{sink}/", RD = "[::ffff:127.0.0.1]:{sink}/", RE = "0.0.0.0:{sink}/", RF = "10.1.2.3/", RG = "169.254.169.254/latest/meta-data", RH = "100.64.0.1/", RI = "[fc00::1]/", RJ = "[64:ff9b::7f00:1]/" }
http = [{ url = "http://127.0.0.1:{sink}" }, { url = "http://localhost:{sink}" }, { url = "http://[::1]:{sink}" }, { url = "http://[::ffff:127.0.0.1]:{sink}" }, { url = "http://0.0.0.0:{sink}" }, { url = "http://10.1.2.3" }, { url = "http://169.254.169.254" }, { url = "http://100.64.0.1" }, { url = "http://[fc00::1]" }, { url = "http://[64:ff9b::7f00:1]" }]"#,
    ),
    granted(
        case(
            "H36",
            "h36-spellings",
            "fetch",
            "spells loopback in unusual ways",
            copes(4),
            EGRESS,
        ),
        r#"env = { RA = "127.1:{sink}/", RB = "2130706433:{sink}/", RC = "0x7f.1:{sink}/", RD = "017700000001:{sink}/" }"#,
    ),
    granted(
        case(
            "H36",
            "h36-own",
            "fetch",
            "asks the host's own API, which is granted",
            copes(2),
            "egress gate, own listeners",
        ),
        r#"env = { RA = "127.0.0.1:{own}/v1/runs", RB = "localhost:{own}/v1/runs" }
http = [{ url = "http://127.0.0.1:{own}", private = ["127.0.0.0/8"] }, { url = "http://localhost:{own}", private = ["127.0.0.0/8", "::1/128"] }]"#,
    ),
    granted(
        case(
            "H38",
            "h38-redirect",
            "fetch",
            "asks a server that redirects to loopback",
            copes(0),
            "redirects are answers",
        ),
        "env = { M = \"127.0.0.1:{server}/redirect\" }\nhttp = [{ url = \"http://127.0.0.1:{server}\", private = [\"127.0.0.0/8\"] }]",
    ),
    granted(
        case(
            "H39",
            "h39-tricks",
            "fetch",
            "writes the granted host's name in tricky ways",
            copes(5),
            "egress gate, exact comparison",
        ),
        r#"env = { RSA = "granted.test.evil.test/", RSB = "granted.test@evil.test/", RSC = "granted.test:8443/", RSD = "xn--grnted-9ta.test/", RT = "granted.test/" }
http = [{ url = "https://granted.test" }]"#,
    ),
    granted(
        case(
            "H41",
            "h41-bombs",
            "fetch",
            "gets an endless body, a false length, 20,000 headers, a broken chunk",
            copes(0),
            "egress gate, counted streams",
        ),
        "env = { BA = \"127.0.0.1:{server}/endless\", BB = \"127.0.0.1:{server}/announced\", BC = \"127.0.0.1:{server}/headers\", BD = \"127.0.0.1:{server}/chunk\" }\nhttp = [{ url = \"http://127.0.0.1:{server}\", private = [\"127.0.0.0/8\"] }]",
    ),
    with_entry(
        granted(
            case(
                "H42",
                "h42-silent",
                "fetch",
                "asks a server that never answers",
                limited("time"),
                "one deadline for all",
            ),
            "env = { B = \"127.0.0.1:{server}/silent\" }\nhttp = [{ url = \"http://127.0.0.1:{server}\", private = [\"127.0.0.0/8\"] }]",
        ),
        SHORT,
    ),
    with_entry(
        granted(
            case(
                "H42",
                "h42-slow",
                "fetch",
                "asks a server that stops after one byte",
                limited("time"),
                "one deadline for all",
            ),
            "env = { B = \"127.0.0.1:{server}/slow\" }\nhttp = [{ url = \"http://127.0.0.1:{server}\", private = [\"127.0.0.0/8\"] }]",
        ),
        SHORT,
    ),
    granted(
        case(
            "H44",
            "h44-upload",
            "fetch",
            "sends a body without end",
            copes(0),
            "egress gate, counted streams",
        ),
        "env = { U = \"127.0.0.1:{server}/upload\" }\nhttp = [{ url = \"http://127.0.0.1:{server}\", private = [\"127.0.0.0/8\"], methods = [\"GET\", \"POST\"] }]",
    ),
    case(
        "H46",
        "h46-sockets",
        "sockets",
        "opens a socket and looks a name up",
        copes(2),
        "no sockets, no look-ups",
    ),
    granted(
        case(
            "H47",
            "h47-dotdot",
            "files",
            "leaves its directory by `..` and absolute paths",
            copes(8),
            FILES,
        ),
        r#"env = { G = "own.txt", RA = "..", RB = "../outside/passwd", RC = "/etc/passwd", RD = "tree/../../outside/passwd", WA = "../planted", WB = "/planted", CA = "../planted", UA = "../outside/passwd", NA = "../outside/passwd" }
directories = [{ host = "data", guest = "/data", write = true }]"#,
    ),
    granted(
        case(
            "H48",
            "h48-links",
            "files",
            "follows links that lead out, and plants one",
            copes(7),
            FILES,
        ),
        r#"env = { RA = "tree/up/passwd", RB = "tree/absolute/passwd", RC = "tree/up", RD = "tree/up/", WA = "tree/up/planted", CA = "tree/up/planted", UA = "tree/up/passwd", NA = "tree/up/passwd", SA = "/etc/passwd" }
directories = [{ host = "data", guest = "/data", write = true }]"#,
    ),
    granted(
        case(
            "H49",
            "h49-read-only",
            "files",
            "writes, truncates, renames, links and removes where it may only read",
            copes(6),
            "WASI gate, rights of the directory",
        ),
        r#"env = { G = "file.txt", TA = "file.txt", WA = "new.txt", CA = "new", UA = "file.txt", NA = "file.txt", LA = "file.txt", SA = "file.txt" }
directories = [{ host = "ro", guest = "/ro" }]"#,
    ),
    Case {
        empties: Some("quota-bytes"),
        ..granted(
            case(
                "H51",
                "h51-bytes",
                "files",
                "writes 10 GiB",
                copes(0),
                QUOTA,
            ),
            "env = { Q = \"endless\" }\ndirectories = [{ host = \"quota-bytes\", guest = \"/quota\", write = true }]",
        )
    },
    Case {
        empties: Some("quota-sparse"),
        ..granted(
            case(
                "H51",
                "h51-sparse",
                "files",
                "makes a file of 2^60 bytes, all of them a hole",
                copes(0),
                QUOTA,
            ),
            "env = { Z = \"sparse\" }\ndirectories = [{ host = \"quota-sparse\", guest = \"/quota\", write = true }]",
        )
    },
    Case {
        empties: Some("quota-files"),
        ..granted(
            case(
                "H51",
                "h51-files",
                "files",
                "makes files until refused",
                copes(0),
                QUOTA,
            ),
            "env = { F = \"xx-empty\" }\ndirectories = [{ host = \"quota-files\", guest = \"/quota\", write = true }]",
        )
    },
    granted(
        case(
            "H52",
            "h52-fifo",
            "files",
            "opens a FIFO that nobody reads or writes",
            copes(2),
            "WASI gate, a look before the open",
        ),
        r#"env = { RA = "fifo", WA = "fifo" }
directories = [{ host = "data", guest = "/data", write = true }]"#,
    ),
    granted(
        case(
            "H54",
            "h54-keys",
            "keys",
            "reaches for another agent's keys",
            copes(3),
            "each agent's own space",
        ),
        r#"env = { OA = "note", OB = "neighbour", OC = "../neighbour", GA = "note", GB = "neighbour/note", GC = "../neighbour/note", PA = "../neighbour/planted", PB = "neighbour:planted" }"#,
    ),
    granted(
        case(
            "H55",
            "h55-flood",
            "keys",
            "fills its key-value space",
            copes(0),
            "store quota, in the same transaction",
        ),
        "env = { F = \"any\" }",
    ),
    case(
        "H56",
        "h56-hunt",
        "hunt",
        "looks for variables, arguments, directories and settings",
        copes(0),
        "an empty environment",
    ),
    as_act(
        case(
            "H57",
            "h57-twice",
            "passes",
            "is started twice under one key",
            copes(0),
            "the key is unique in the store",
        ),
        Act::Key,
    ),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::selftest::guests;

    #[test]
    fn names_are_unique_and_begin_with_their_row() {
        for (at, case) in CASES.iter().enumerate() {
            assert!(
                CASES[..at].iter().all(|other| other.name != case.name),
                "{}",
                case.name
            );
            let row = case.row.to_lowercase();
            assert!(case.name.starts_with(&format!("{row}-")), "{}", case.name);
        }
    }

    #[test]
    fn every_guest_is_there() {
        let made = guests::made(b"\x7fELF");
        for case in CASES {
            let carried = guests::COMPONENTS
                .iter()
                .any(|(name, _)| *name == case.guest);
            assert!(
                carried || made.iter().any(|(name, _)| *name == case.guest),
                "{}",
                case.guest
            );
        }
    }

    #[test]
    fn a_row_is_tried_or_it_is_said_why_not() {
        let page = include_str!("../../../docs/hostile.md");
        let rows = page
            .lines()
            .filter_map(|line| line.strip_prefix("| H")?.split_once(' '))
            .map(|(number, _)| format!("H{number}"));
        for row in rows {
            let tried = CASES.iter().any(|case| case.row == row);
            let told = NOT_HERE.iter().any(|(other, _)| *other == row);
            assert!(tried != told, "{row}");
        }
    }
}
