//! Whether every guest is used: what nobody runs proves nothing.

/// The tests' own text.
const SOURCES: [&str; 12] = [
    include_str!("../api/effects.rs"),
    include_str!("../api/records.rs"),
    include_str!("../api/secrets.rs"),
    include_str!("components.rs"),
    include_str!("cpu.rs"),
    include_str!("files.rs"),
    include_str!("lifted.rs"),
    include_str!("memory.rs"),
    include_str!("network.rs"),
    include_str!("output.rs"),
    include_str!("state.rs"),
    include_str!("suite.rs"),
];

/// Cases that are named by a variable, with where.
const NAMED_ELSEWHERE: [(&str, &str); 3] = [
    (
        "http_long_timeouts",
        "network.rs: input(\"http_long_timeouts\"",
    ),
    ("tcp_connect", "network.rs: (\"tcp_connect\""),
    ("udp_send", "network.rs: (\"udp_send\""),
];

/// Hand-written components that no attack runs, with the reason.
const NOT_RUN: [(&str, &str); 1] = [(
    "badge_noop",
    "draws badges and attacks nothing; the benches measure it",
)];

#[test]
fn every_case_of_the_guests_is_used() {
    let unused: Vec<_> = test_guests::CASES
        .iter()
        .filter(|name| {
            let literal = format!("\"case\": \"{name}\"");
            let elsewhere = NAMED_ELSEWHERE
                .iter()
                .find(|(known, _)| known == *name)
                .and_then(|(_, place)| place.split_once(": "))
                .map(|(_, text)| text);
            !SOURCES.iter().any(|source| {
                source.contains(&literal) || elsewhere.is_some_and(|text| source.contains(text))
            })
        })
        .collect();
    assert!(unused.is_empty(), "no test runs {unused:?}");
}

#[test]
fn every_hand_written_component_is_used() {
    let unused: Vec<_> = test_guests::COMPONENTS
        .iter()
        .map(|(name, _)| *name)
        .filter(|name| !NOT_RUN.iter().any(|(known, _)| known == name))
        .filter(|name| {
            let agent = format!("\"{}\"", crate::suite::agent_of(name));
            !SOURCES.iter().any(|source| source.contains(&agent))
        })
        .collect();
    assert!(unused.is_empty(), "no test runs {unused:?}");
}
