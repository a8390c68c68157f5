//! One table of the parsed file to typed values. A reader never stops: what is wrong is pushed with its place, and the value is treated as absent.
//!
//! It knows kinds and ranges of keys from [`super::keys`], and nothing of what they mean.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeInteger, DeTable, DeValue};

use super::error::{Errors, literal, nearest};
use super::keys::{Kind, MAX_LIST, Table};
use super::secret::{Piece, pieces};
use super::units::{duration_ms, show_duration, show_number, show_size, size_bytes};

/// A value with its place.
pub(super) type Value<'d> = Spanned<DeValue<'d>>;

/// A table whose keys have been checked against [`Table`].
pub(super) struct Reader<'r, 'd> {
    table: &'r DeTable<'d>,
    keys: &'static Table,
    what: String,
    place: Range<usize>,
}

impl<'r, 'd> Reader<'r, 'd> {
    /// Opens the whole file. `what` is how messages call it.
    pub(super) fn root(
        table: &'r DeTable<'d>,
        keys: &'static Table,
        what: &str,
        errors: &mut Errors,
    ) -> Self {
        let reader = Self {
            table,
            keys,
            what: what.to_owned(),
            place: 0..0,
        };
        reader.check_keys(errors);
        reader
    }

    /// Opens a value that should be a table. `place` is where a missing key is reported: the table's own name.
    pub(super) fn open(
        value: &'r Value<'d>,
        keys: &'static Table,
        what: String,
        place: Range<usize>,
        errors: &mut Errors,
    ) -> Option<Self> {
        let DeValue::Table(table) = value.get_ref() else {
            errors
                .at(
                    value.span(),
                    format!("{what} must be a table, not {}", found(value)),
                )
                .label("expected a table");
            return None;
        };
        let reader = Self {
            table,
            keys,
            what,
            place,
        };
        reader.check_keys(errors);
        Some(reader)
    }

    /// How messages call this table.
    pub(super) fn what(&self) -> &str {
        &self.what
    }

    /// Where the table's name stands.
    pub(super) fn place(&self) -> Range<usize> {
        self.place.clone()
    }

    /// Where a key's value stands, or else the table.
    pub(super) fn place_of(&self, name: &str) -> Range<usize> {
        self.table
            .get(name)
            .map_or(self.place(), |value| value.span())
    }

    fn check_keys(&self, errors: &mut Errors) {
        for (key, _) in self.table.iter() {
            let name = key.get_ref().as_ref();
            if self.keys.key(name).is_some() {
                continue;
            }
            if let Some((_, until_then)) = self.keys.later.iter().find(|(later, _)| *later == name)
            {
                errors
                    .at(
                        key.span(),
                        format!("`{name}` is not available in this version"),
                    )
                    .help(*until_then);
                continue;
            }
            let names = || self.keys.keys.iter().map(|key| key.name);
            let instead = |word: &str| self.keys.instead.iter().find(|(wrong, _)| *wrong == word);
            // A slip in a word that people try is as good as the word.
            let known = || names().chain(self.keys.instead.iter().map(|(wrong, _)| *wrong));
            let meant = match instead(name) {
                Some((wrong, _)) => Some(*wrong),
                None if errors.room() > 0 => nearest(name, known()),
                None => None,
            };
            let help = meant.map(|meant| match instead(meant) {
                Some((_, right)) => format!("write `{right}`"),
                None => format!("did you mean `{meant}`?"),
            });
            let error = errors
                .at(
                    key.span(),
                    format!("unknown key {} in {}", literal(name), self.what),
                )
                .label(format!("expected one of {}", listed(names())));
            if let Some(help) = help {
                error.help(help);
            }
        }
        for key in self.keys.keys.iter().filter(|key| key.required) {
            if !self.table.contains_key(key.name) {
                errors
                    .at(self.place(), format!("{} has no `{}`", self.what, key.name))
                    .help(format!("add `{}`: {}", key.name, as_clause(key.doc)));
            }
        }
    }

    fn find(&self, name: &str) -> Option<(&'static Kind, &'r Value<'d>)> {
        debug_assert!(
            self.keys.key(name).is_some(),
            "`{name}` is not in the table of keys"
        );
        Some((&self.keys.key(name)?.kind, self.table.get(name)?))
    }

    /// Where a key's value stands.
    pub(super) fn span(&self, name: &str) -> Option<Range<usize>> {
        self.table.get(name).map(|value| value.span())
    }

    fn wrong_type(&self, name: &str, kind: &Kind, value: &Value<'_>, errors: &mut Errors) {
        let expected = expected(kind);
        let error = errors
            .at(
                value.span(),
                format!(
                    "`{name}` in {} must be {expected}, not {}",
                    self.what,
                    found(value)
                ),
            )
            .label(format!("expected {expected}"));
        match (kind, value.get_ref()) {
            (Kind::Duration { .. }, DeValue::Integer(number)) => {
                error.help(format!(
                    "a number needs a unit: `\"{}s\"`",
                    digits_of(number)
                ));
            }
            (Kind::Integer { .. }, DeValue::String(text)) if text.parse::<u64>().is_ok() => {
                error.help("write it without quotes");
            }
            (Kind::Boolean, DeValue::String(text)) if text.parse::<bool>().is_ok() => {
                error.help("write it without quotes");
            }
            (Kind::Tables(_), DeValue::Table(_)) => {
                error.help(format!("put it in brackets: `{name} = [{{ … }}]`"));
            }
            (Kind::Texts | Kind::Branches | Kind::Steps(_), DeValue::String(_)) => {
                error.help(format!("put it in brackets: `{name} = [\"…\"]`"));
            }
            _ => {}
        }
    }

    /// A string in which `${NAME}` has no meaning.
    pub(super) fn text(&self, name: &str, errors: &mut Errors) -> Option<Spanned<String>> {
        let text = self.raw_text(name, errors)?;
        let plain = plain(text.get_ref(), text.span(), errors)?;
        Some(Spanned::new(text.span(), plain))
    }

    /// A string as it stands.
    pub(super) fn raw_text(&self, name: &str, errors: &mut Errors) -> Option<Spanned<String>> {
        let (kind, value) = self.find(name)?;
        let DeValue::String(text) = value.get_ref() else {
            self.wrong_type(name, kind, value, errors);
            return None;
        };
        Some(Spanned::new(value.span(), text.clone().into_owned()))
    }

    /// A string that can be a path.
    pub(super) fn path(&self, name: &str, errors: &mut Errors) -> Option<Spanned<String>> {
        let text = self.text(name, errors)?;
        if text.get_ref().is_empty() || text.get_ref().contains('\0') {
            errors.at(
                text.span(),
                format!("`{name}` in {} is not a path", self.what),
            );
            return None;
        }
        Some(text)
    }

    pub(super) fn boolean(&self, name: &str, errors: &mut Errors) -> Option<bool> {
        let (kind, value) = self.find(name)?;
        let DeValue::Boolean(boolean) = value.get_ref() else {
            self.wrong_type(name, kind, value, errors);
            return None;
        };
        Some(*boolean)
    }

    /// A number of its kind's unit (one, milliseconds, bytes), in its kind's range.
    pub(super) fn number(&self, name: &str, errors: &mut Errors) -> Option<u64> {
        let (kind, value) = self.find(name)?;
        let (number, min, max, show): (_, _, _, fn(u64) -> String) = match (kind, value.get_ref()) {
            (Kind::Integer { min, max }, DeValue::Integer(integer)) => {
                (to_u64(integer), *min, *max, show_number)
            }
            (Kind::Size { min, max }, DeValue::Integer(integer)) => {
                (to_u64(integer), *min, *max, show_size)
            }
            (Kind::Size { min, max }, DeValue::String(text)) => {
                let Some(bytes) = size_bytes(text) else {
                    errors
                        .at(
                            value.span(),
                            format!("`{name}` in {} is not a size", self.what),
                        )
                        .help("write a whole number with `B`, `KiB`, `MiB`, `GiB`, `KB`, `MB` or `GB`, for instance `\"64MiB\"`");
                    return None;
                };
                (Some(bytes), *min, *max, show_size)
            }
            (Kind::Duration { min, max }, DeValue::String(text)) => {
                let Some(ms) = duration_ms(text) else {
                    errors
                        .at(
                            value.span(),
                            format!("`{name}` in {} is not a duration", self.what),
                        )
                        .help("write whole numbers with `d`, `h`, `m`, `s` or `ms`, larger units first, for instance `\"90s\"` or `\"1h30m\"`");
                    return None;
                };
                (Some(ms), *min, *max, show_duration)
            }
            _ => {
                self.wrong_type(name, kind, value, errors);
                return None;
            }
        };
        let in_range = number.filter(|number| (min..=max).contains(number));
        if in_range.is_none() {
            errors
                .at(
                    value.span(),
                    format!("`{name}` in {} is out of range", self.what),
                )
                .label(format!("allowed: {} to {}", show(min), show(max)));
        }
        in_range
    }

    /// The position of the value among the choices.
    pub(super) fn choice(&self, name: &str, errors: &mut Errors) -> Option<usize> {
        let (kind, value) = self.find(name)?;
        let (Kind::Choice(choices), DeValue::String(text)) = (kind, value.get_ref()) else {
            self.wrong_type(name, kind, value, errors);
            return None;
        };
        let index = choices.iter().position(|choice| choice == text);
        if index.is_none() {
            let error = errors
                .at(
                    value.span(),
                    format!("`{name}` in {} cannot be {}", self.what, literal(text)),
                )
                .label(format!("expected {}", expected(kind)));
            if let Some(right) = nearest(text, choices.iter().copied()) {
                error.help(format!("did you mean `{right}`?"));
            }
        }
        index
    }

    /// A list of strings in which `${NAME}` has no meaning.
    pub(super) fn texts(&self, name: &str, errors: &mut Errors) -> Option<Vec<Spanned<String>>> {
        let raw = self.raw_texts(name, errors)?;
        let plain = raw.into_iter().filter_map(|text| {
            let value = plain(text.get_ref(), text.span(), errors)?;
            Some(Spanned::new(text.span(), value))
        });
        Some(plain.collect())
    }

    /// A list of strings as they stand.
    pub(super) fn raw_texts(
        &self,
        name: &str,
        errors: &mut Errors,
    ) -> Option<Vec<Spanned<String>>> {
        let (kind, value) = self.find(name)?;
        let DeValue::Array(array) = value.get_ref() else {
            self.wrong_type(name, kind, value, errors);
            return None;
        };
        let mut texts = Vec::new();
        for element in self.bounded(name, value, array.iter(), errors) {
            match element.get_ref() {
                DeValue::String(text) => {
                    texts.push(Spanned::new(element.span(), text.clone().into_owned()));
                }
                _ => {
                    errors
                        .at(
                            element.span(),
                            format!(
                                "`{name}` in {} must hold strings, not {}",
                                self.what,
                                found(element)
                            ),
                        )
                        .label("expected a string");
                }
            }
        }
        Some(texts)
    }

    /// `Ok(whether)` or `Err(patterns)`.
    pub(super) fn branches(
        &self,
        name: &str,
        errors: &mut Errors,
    ) -> Option<Result<bool, Vec<Spanned<String>>>> {
        let (_, value) = self.find(name)?;
        match value.get_ref() {
            DeValue::Boolean(whether) => Some(Ok(*whether)),
            _ => self.texts(name, errors).map(Err),
        }
    }

    /// A table with known keys. `what` is how messages call it.
    pub(super) fn table(&self, name: &str, what: String, errors: &mut Errors) -> Option<Self> {
        let (kind, value) = self.find(name)?;
        let Kind::Table(keys) = kind else { return None };
        let place = self
            .table
            .get_key_value(name)
            .map_or(0..0, |(key, _)| key.span());
        Self::open(value, keys, what, place, errors)
    }

    /// A list of tables with known keys.
    pub(super) fn tables(&self, name: &str, what: &str, errors: &mut Errors) -> Vec<Self> {
        let Some((kind, value)) = self.find(name) else {
            return Vec::new();
        };
        let (Kind::Tables(keys), DeValue::Array(array)) = (kind, value.get_ref()) else {
            self.wrong_type(name, kind, value, errors);
            return Vec::new();
        };
        self.bounded(name, value, array.iter(), errors)
            .filter_map(|element| {
                Self::open(element, keys, what.to_owned(), element.span(), errors)
            })
            .collect()
    }

    /// A list of names, or of tables with known keys.
    pub(super) fn steps(
        &self,
        name: &str,
        what: &str,
        errors: &mut Errors,
    ) -> Vec<Result<Spanned<String>, Self>> {
        let Some((kind, value)) = self.find(name) else {
            return Vec::new();
        };
        let (Kind::Steps(keys), DeValue::Array(array)) = (kind, value.get_ref()) else {
            self.wrong_type(name, kind, value, errors);
            return Vec::new();
        };
        self.bounded(name, value, array.iter(), errors)
            .filter_map(|element| match element.get_ref() {
                DeValue::String(text) => {
                    let text = plain(text, element.span(), errors)?;
                    Some(Ok(Spanned::new(element.span(), text)))
                }
                _ => Self::open(element, keys, what.to_owned(), element.span(), errors).map(Err),
            })
            .collect()
    }

    /// The elements of a table whose keys are names, in their order, with the keys that each may hold.
    pub(super) fn entries(
        &self,
        name: &str,
        errors: &mut Errors,
    ) -> Vec<(Spanned<&'r str>, &'r Value<'d>)> {
        let Some((kind, value)) = self.find(name) else {
            return Vec::new();
        };
        let DeValue::Table(table) = value.get_ref() else {
            self.wrong_type(name, kind, value, errors);
            return Vec::new();
        };
        table
            .iter()
            .map(|(key, value)| (Spanned::new(key.span(), key.get_ref().as_ref()), value))
            .collect()
    }

    fn bounded<'e, I>(
        &self,
        name: &str,
        value: &Value<'_>,
        elements: I,
        errors: &mut Errors,
    ) -> std::iter::Take<I>
    where
        I: ExactSizeIterator<Item = &'e Value<'d>>,
        'd: 'e,
    {
        if elements.len() > MAX_LIST {
            errors
                .at(
                    value.span(),
                    format!("`{name}` in {} has too many elements", self.what),
                )
                .label(format!("allowed: {MAX_LIST}"));
        }
        elements.take(MAX_LIST)
    }

    /// A table of anything, as JSON.
    pub(super) fn json(
        &self,
        name: &str,
        errors: &mut Errors,
    ) -> Option<serde_json::Map<String, serde_json::Value>> {
        let (kind, value) = self.find(name)?;
        let DeValue::Table(table) = value.get_ref() else {
            self.wrong_type(name, kind, value, errors);
            return None;
        };
        Some(json_table(table, &self.what, errors))
    }
}

/// Settings are JSON for the guest. The recursion is bounded by the parser, which refuses more than 80 levels.
fn json_table(
    table: &DeTable<'_>,
    what: &str,
    errors: &mut Errors,
) -> serde_json::Map<String, serde_json::Value> {
    table
        .iter()
        .map(|(key, value)| {
            (
                key.get_ref().clone().into_owned(),
                json_value(value, what, errors),
            )
        })
        .collect()
}

fn json_value(value: &Value<'_>, what: &str, errors: &mut Errors) -> serde_json::Value {
    let number = match value.get_ref() {
        DeValue::String(text) => {
            return plain(text, value.span(), errors).unwrap_or_default().into();
        }
        DeValue::Boolean(boolean) => return (*boolean).into(),
        DeValue::Datetime(datetime) => return datetime.to_string().into(),
        DeValue::Array(array) => {
            return array
                .iter()
                .map(|element| json_value(element, what, errors))
                .collect();
        }
        DeValue::Table(table) => return json_table(table, what, errors).into(),
        DeValue::Integer(integer) => to_u64(integer)
            .map(serde_json::Number::from)
            .or_else(|| to_i64(integer).map(serde_json::Number::from)),
        DeValue::Float(float) => float
            .as_str()
            .parse()
            .ok()
            .and_then(serde_json::Number::from_f64),
    };
    if number.is_none() {
        errors
            .at(
                value.span(),
                format!("the settings of {what} hold a number that JSON cannot carry"),
            )
            .label("expected a finite number of at most 64 bits");
    }
    number.map_or(serde_json::Value::Null, serde_json::Value::Number)
}

/// A string in which `${NAME}` has no meaning: one that is there is a mistake, and `$${` stands for `${`.
fn plain(text: &str, span: Range<usize>, errors: &mut Errors) -> Option<String> {
    let mut out = String::new();
    let mut variable = None;
    for piece in pieces(text) {
        match piece {
            Piece::Text(text) => out.push_str(text),
            Piece::Escaped | Piece::Broken => out.push_str("${"),
            Piece::Variable(name) => variable = variable.or(Some(name)),
        }
    }
    let Some(name) = variable else {
        return Some(out);
    };
    errors
        .at(
            span,
            format!("{} cannot stand here", literal(&format!("${{{name}}}"))),
        )
        .help("variables are filled in only in `grants.http[].credential.value`, `grants.env` and `webhook.secret`; write `$${` for the characters themselves");
    None
}

fn to_u64(integer: &DeInteger<'_>) -> Option<u64> {
    u64::from_str_radix(integer.as_str(), integer.radix()).ok()
}

fn to_i64(integer: &DeInteger<'_>) -> Option<i64> {
    i64::from_str_radix(integer.as_str(), integer.radix()).ok()
}

fn digits_of(integer: &DeInteger<'_>) -> u64 {
    to_u64(integer).unwrap_or(1).max(1)
}

/// What a value is, for messages.
pub(super) fn found(value: &Value<'_>) -> &'static str {
    match value.get_ref() {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(_) => "a float",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

fn expected(kind: &Kind) -> String {
    match kind {
        Kind::Text(_) => "a string",
        Kind::Boolean => "`true` or `false`",
        Kind::Integer { .. } => "an integer",
        Kind::Duration { .. } => "a duration such as `\"30s\"`",
        Kind::Size { .. } => "a size such as `\"64MiB\"`",
        Kind::Choice(choices) => return format!("one of {}", listed(choices.iter().copied())),
        Kind::Texts => "a list of strings",
        Kind::Branches => "`true`, `false` or a list of branch patterns",
        Kind::TextMap => "a table of strings",
        Kind::Free | Kind::Table(_) | Kind::Named(..) => "a table",
        Kind::Tables(_) => "a list of tables",
        Kind::Steps(_) => "a list of names",
    }
    .to_owned()
}

fn listed<'n>(names: impl Iterator<Item = &'n str>) -> String {
    let quoted: Vec<String> = names.map(|name| format!("`{name}`")).collect();
    quoted.join(", ")
}

/// A sentence as the end of another one.
fn as_clause(doc: &str) -> String {
    let doc = doc.strip_suffix('.').unwrap_or(doc);
    let mut characters = doc.chars();
    characters.next().map_or_else(String::new, |first| {
        first.to_lowercase().chain(characters).collect()
    })
}
