//! Durations and sizes as people write them (`"1h30m"`, `"64MiB"`) to milliseconds and bytes, and back for messages.

/// Units of durations in milliseconds, longest first.
const DURATIONS: [(&str, u64); 5] = [
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// Units of sizes in bytes, largest first.
const SIZES: [(&str, u64); 9] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("GB", 1_000_000_000),
    ("MiB", 1 << 20),
    ("MB", 1_000_000),
    ("KiB", 1 << 10),
    ("kB", 1_000),
    ("KB", 1_000),
    ("B", 1),
];

/// What a duration looks like, for the schema.
pub(super) const DURATION_PATTERN: &str = "^([0-9]+(d|h|m|s|ms))+$";
/// What a size looks like, for the schema.
pub(super) const SIZE_PATTERN: &str = "^[0-9]+ ?(B|kB|KB|KiB|MB|MiB|GB|GiB|TiB)$";

/// Milliseconds of `1h30m`, `30s`, `100ms`: whole numbers, each with its unit, larger units first. More than a `u64` holds becomes its maximum, which is over every range.
pub(super) fn duration_ms(text: &str) -> Option<u64> {
    let mut rest = text;
    let mut total = 0_u64;
    let mut units = DURATIONS.as_slice();
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let (number, after) = leading_number(rest)?;
        let word_ends = after
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(after.len());
        let (word, after) = after.split_at(word_ends);
        let index = units.iter().position(|(unit, _)| *unit == word)?;
        total = total.saturating_add(number.saturating_mul(units[index].1));
        units = &units[index + 1..];
        rest = after;
    }
    Some(total)
}

/// Bytes of `64MiB`, `10 MB`, `512B`; saturates like [`duration_ms`].
pub(super) fn size_bytes(text: &str) -> Option<u64> {
    let (number, unit) = leading_number(text)?;
    let unit = unit.strip_prefix(' ').unwrap_or(unit);
    let (_, factor) = SIZES.iter().find(|(name, _)| *name == unit)?;
    Some(number.saturating_mul(*factor))
}

fn leading_number(text: &str) -> Option<(u64, &str)> {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    if digits.is_empty() {
        return None;
    }
    // All digits, so the only way to fail is to be too large.
    Some((digits.parse().unwrap_or(u64::MAX), rest))
}

/// The shortest exact way to write a duration with one unit.
pub(super) fn show_duration(ms: u64) -> String {
    for (unit, factor) in DURATIONS {
        if ms > 0 && ms.is_multiple_of(factor) {
            return format!("{}{unit}", ms / factor);
        }
    }
    "0s".to_owned()
}

/// The shortest exact way to write a size with one binary unit.
pub(super) fn show_size(bytes: u64) -> String {
    for (unit, factor) in SIZES {
        if bytes > 0 && unit.contains('i') && bytes.is_multiple_of(factor) {
            return format!("{}{unit}", bytes / factor);
        }
    }
    format!("{bytes}B")
}

/// Digits in groups of three, as TOML takes them.
pub(super) fn show_number(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push('_');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_durations() {
        let check = |text: &str, expected| assert_eq!(duration_ms(text), expected, "{text:?}");
        check("30s", Some(30_000));
        check("100ms", Some(100));
        check("5m", Some(300_000));
        check("1h30m", Some(5_400_000));
        check("1d2h3m4s5ms", Some(93_784_005));
        check("366d", Some(31_622_400_000));
        check("0s", Some(0));
        check("99999999999999999999d", Some(u64::MAX));
        for wrong in [
            "",
            "30",
            "s",
            "-1s",
            "1.5h",
            "30 s",
            "30m1h",
            "1s1s",
            "5 minutes",
            "5S",
            "m5",
            "٣s",
        ] {
            check(wrong, None);
        }
    }

    #[test]
    fn reads_sizes() {
        let check = |text: &str, expected| assert_eq!(size_bytes(text), expected, "{text:?}");
        check("64MiB", Some(64 << 20));
        check("10MB", Some(10_000_000));
        check("10 MB", Some(10_000_000));
        check("512B", Some(512));
        check("2GiB", Some(2 << 30));
        check("99999999999999999999GiB", Some(u64::MAX));
        for wrong in [
            "", "64", "64 megs", "64mib", "-1MiB", "1.5GiB", "MiB", "64  MiB",
        ] {
            check(wrong, None);
        }
    }

    #[test]
    fn shows_what_it_reads() {
        for ms in [0, 1, 100, 30_000, 90_000, 5_400_000, 31_622_400_000] {
            assert_eq!(duration_ms(&show_duration(ms)), Some(ms));
        }
        for bytes in [0, 1, 1_000, 1_024, 64 << 20, 2 << 30, 1 << 40] {
            assert_eq!(size_bytes(&show_size(bytes)), Some(bytes));
        }
        assert_eq!(show_number(1_000_000), "1_000_000");
        assert_eq!(show_number(100), "100");
    }
}
