//! What is known to be wrong with versions of wasmtime, as of November 2026: one table. A newer one is known to a newer program alone.

/// The version that is compiled in.
pub const WASMTIME: &str = env!("WASMTIME_VERSION");

/// When the table was last brought up to date.
pub const AS_OF: &str = "2026-11-28";

/// Something that was wrong with some versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Advisory {
    /// Its name where it was published.
    pub id: &'static str,
    /// The first version that has it.
    pub since: &'static str,
    /// The first version of the same line that does not.
    pub fixed: &'static str,
    /// What it is.
    pub what: &'static str,
}

/// All of them.
pub const ADVISORIES: &[Advisory] = &[
    Advisory {
        id: "GHSA-32h6-97mm-8q3c",
        since: "39.0.0",
        fixed: "48.0.4",
        what: "a guest overflows the native stack through callbacks of async components",
    },
    Advisory {
        id: "RUSTSEC-2026-0353",
        since: "48.0.0",
        fixed: "48.0.6",
        what: "calling a function that is lifted as async panics",
    },
];

/// The numbers of a version; what follows a `-` or `+` does not count.
fn numbers(version: &str) -> Option<[u64; 3]> {
    let mut parts = version.split(['-', '+']).next()?.split('.');
    let mut next = || parts.next()?.parse().ok();
    Some([next()?, next()?, next()?])
}

/// Those that a version has; none when it is no version.
#[must_use]
pub fn known(version: &str) -> Option<Vec<&'static Advisory>> {
    let version = numbers(version)?;
    let has = |advisory: &&Advisory| {
        numbers(advisory.since).is_some_and(|since| version >= since)
            && numbers(advisory.fixed).is_some_and(|fixed| version < fixed)
    };
    Some(ADVISORIES.iter().filter(has).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_their_numbers() {
        let ids = |version: &str| -> Vec<&str> {
            known(version).unwrap().iter().map(|one| one.id).collect()
        };
        assert_eq!(ids("48.0.3"), ["GHSA-32h6-97mm-8q3c", "RUSTSEC-2026-0353"]);
        assert_eq!(ids("48.0.5"), ["RUSTSEC-2026-0353"]);
        assert_eq!(ids("40.0.10"), ["GHSA-32h6-97mm-8q3c"]);
        assert!(ids("48.0.8").is_empty() && ids("38.0.0").is_empty());
        assert_eq!(known("next"), None);
    }

    #[test]
    fn what_is_compiled_in_has_no_known_advisory() {
        assert_eq!(known(WASMTIME), Some(Vec::new()));
    }
}
