//! Values that must not be printed, and `${NAME}`, by which `plugins.toml` names them without holding them.

use std::fmt;

/// A value that prints as `****`. Equality is for comparing two configurations, not for checking what somebody sent.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a value.
    #[must_use]
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The value itself, for the one place that sends it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("****")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("****")
    }
}

/// A piece of a string of `plugins.toml`.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece<'t> {
    /// Text as it stands.
    Text(&'t str),
    /// `${NAME}`: the name.
    Variable(&'t str),
    /// `$${`, which stands for `${`.
    Escaped,
    /// `${` without a name and `}` behind it.
    Broken,
}

/// Splits a string at its `${NAME}`. A name is a letter or `_`, then letters, digits and `_`.
pub(super) fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        let before = &rest[..start];
        let after = &rest[start + 2..];
        if let Some(before) = before.strip_suffix('$') {
            pieces.push(Piece::Text(before));
            pieces.push(Piece::Escaped);
            rest = after;
            continue;
        }
        pieces.push(Piece::Text(before));
        let name_ends = after
            .find(|c: char| !is_name_character(c))
            .unwrap_or(after.len());
        let name = &after[..name_ends];
        match after[name_ends..].strip_prefix('}') {
            Some(behind) if is_variable_name(name) => {
                pieces.push(Piece::Variable(name));
                rest = behind;
            }
            _ => {
                pieces.push(Piece::Broken);
                rest = after;
            }
        }
    }
    pieces.push(Piece::Text(rest));
    pieces.retain(|piece| *piece != Piece::Text(""));
    pieces
}

/// Whether this can be the name of an environment variable.
pub(super) fn is_variable_name(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.chars().all(is_name_character)
}

fn is_name_character(character: char) -> bool {
    character.is_ascii_alphanumeric() || character == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_prints_as_stars() {
        let secret = Secret::new("hunter2");
        assert_eq!(format!("{secret} {secret:?}"), "**** ****");
        assert_eq!(secret.expose(), "hunter2");
    }

    #[test]
    fn splits_at_variables() {
        use Piece::{Broken, Escaped, Text, Variable};
        let check = |text, expected: &[Piece<'_>]| assert_eq!(pieces(text), expected, "{text:?}");
        check("plain $5 {x}", &[Text("plain $5 {x}")]);
        check("Bearer ${TOKEN}", &[Text("Bearer "), Variable("TOKEN")]);
        check("${A}${B_2}!", &[Variable("A"), Variable("B_2"), Text("!")]);
        check("$${A}", &[Escaped, Text("A}")]);
        check("${2A}", &[Broken, Text("2A}")]);
        check("${{ x }}", &[Broken, Text("{ x }}")]);
        check("${A", &[Broken, Text("A")]);
        check("${", &[Broken]);
        check("", &[]);
    }
}
