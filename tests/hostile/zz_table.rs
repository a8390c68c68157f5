//! The table of all attacks, last.

use crate::suite::{Row, row, rows, say};

/// What cannot be shown from outside, with where it is tested instead.
const ELSEWHERE: [(&str, &str); 4] = [
    (
        "H37 dns-rebind",
        "needs a name server that lies: host/src/sandbox/http/socket_tests.rs",
    ),
    (
        "H39 Host and SNI",
        "needs a trusted server's side of TLS: host/src/sandbox/http/socket_tests.rs",
    ),
    (
        "H42 TLS never done",
        "needs a trusted server's side of TLS: host/src/sandbox/http/socket_tests.rs",
    ),
    (
        "H46 DNS sink",
        "needs a name server: host/src/sandbox/http/socket_tests.rs",
    ),
];

#[test]
fn zz_prints_the_table_of_all_attacks() {
    for (case, place) in ELSEWHERE {
        row(Row {
            case: case.into(),
            expected: "not from outside".into(),
            got: "not run here".into(),
            containment: place.into(),
            overrun_ms: None,
        });
    }
    let rows = rows();
    say("| case | expected | got | contained by | overrun ms |");
    say("|---|---|---|---|---|");
    for row in &rows {
        let overrun = row
            .overrun_ms
            .map_or_else(|| "-".to_owned(), |ms| ms.to_string());
        say(&format!(
            "| {} | {} | {} | {} | {overrun} |",
            row.case, row.expected, row.got, row.containment
        ));
    }
}
