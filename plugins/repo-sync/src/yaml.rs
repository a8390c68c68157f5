//! YAML with the place of every value.

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{Location, Spanned};

/// A value of a file.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Node {
    /// Nothing, or a number that is no count.
    Other,
    Flag(bool),
    Number(u64),
    Text(String),
    List(Vec<Spanned<Node>>),
    Map(Vec<Member>),
}

/// A key and its value.
pub(crate) type Member = (Spanned<String>, Spanned<Node>);

/// The value of a key.
pub(crate) fn member<'m>(members: &'m [Member], key: &str) -> Option<&'m Spanned<Node>> {
    members
        .iter()
        .find(|(name, _)| name.value == key)
        .map(|(_, node)| node)
}

/// Reads a file of one document. Duplicate keys, aliases that grow and deep nesting are errors.
///
/// # Errors
/// The first error in the syntax, with its place.
pub(crate) fn parse(text: &str) -> Result<Spanned<Node>, (String, Option<Location>)> {
    serde_saphyr::from_str(text).map_err(|error| {
        let message = error.to_string();
        let first = message.lines().next().unwrap_or_default().to_owned();
        (first, error.location())
    })
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Nodes)
    }
}

struct Nodes;

impl<'de> Visitor<'de> for Nodes {
    type Value = Node;

    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("a value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Flag(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Number(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(u64::try_from(value).map_or(Node::Other, Node::Number))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Node, E> {
        Ok(Node::Other)
    }

    fn visit_str<E>(self, value: &str) -> Result<Node, E> {
        Ok(Node::Text(value.to_owned()))
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Other)
    }

    fn visit_none<E>(self) -> Result<Node, E> {
        Ok(Node::Other)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        Node::deserialize(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<Node, A::Error> {
        let mut list = Vec::new();
        while let Some(value) = values.next_element()? {
            list.push(value);
        }
        Ok(Node::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut values: A) -> Result<Node, A::Error> {
        let mut map = Vec::new();
        while let Some(entry) = values.next_entry()? {
            map.push(entry);
        }
        Ok(Node::Map(map))
    }
}
