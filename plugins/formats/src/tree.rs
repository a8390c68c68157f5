//! A value with the place of each of its parts, the same for JSON, YAML and TOML.
//!
//! Nodes stand in one list and refer to each other by index, so that a YAML alias is one more reference to a node and never a copy. Turning a
//! tree into JSON is where aliases multiply, and it has a budget of nodes and depth.

use serde_json::Number;

/// Levels of nesting a schema is checked against.
const MAX_JSON_DEPTH: usize = 128;

/// Nodes of the value a schema is checked against: more than any file of 5 MiB holds without aliases that multiply.
const MAX_JSON_NODES: usize = 3_000_000;

/// Which node; the root is the first.
pub type NodeId = usize;

/// A parsed document.
#[derive(Debug, Default)]
pub struct Tree {
    pub nodes: Vec<Node>,
}

/// One value.
#[derive(Debug)]
pub struct Node {
    /// Where it begins, in bytes.
    pub offset: usize,
    pub value: Value,
}

/// What a node holds.
#[derive(Debug)]
pub enum Value {
    Null,
    Bool(bool),
    Number(Number),
    String(String),
    Array(Vec<NodeId>),
    Object(Vec<Member>),
}

/// A key and its value.
#[derive(Debug)]
pub struct Member {
    pub key: String,
    pub key_offset: usize,
    pub value: NodeId,
}

/// The tree expands to more than the budget allows.
#[derive(Debug, PartialEq, Eq)]
pub struct TooLarge;

impl Tree {
    /// Adds a node and answers with its id.
    pub fn add(&mut self, offset: usize, value: Value) -> NodeId {
        self.nodes.push(Node { offset, value });
        self.nodes.len() - 1
    }

    /// The members of an object; nothing for other values.
    pub fn members(&self, node: NodeId) -> Option<&[Member]> {
        match &self.nodes.get(node)?.value {
            Value::Object(members) => Some(members),
            _ => None,
        }
    }

    /// The items of an array; nothing for other values.
    pub fn items(&self, node: NodeId) -> Option<&[NodeId]> {
        match &self.nodes.get(node)?.value {
            Value::Array(items) => Some(items),
            _ => None,
        }
    }

    /// The text of a string; nothing for other values.
    pub fn text(&self, node: NodeId) -> Option<&str> {
        match &self.nodes.get(node)?.value {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    /// The member of an object.
    pub fn member(&self, node: NodeId, key: &str) -> Option<&Member> {
        self.members(node)?.iter().find(|member| member.key == key)
    }

    /// Where a node begins.
    pub fn offset(&self, node: NodeId) -> usize {
        self.nodes.get(node).map_or(0, |node| node.offset)
    }

    /// The node that a JSON Pointer names, or the nearest one on the way.
    pub fn at_pointer(&self, pointer: &str) -> NodeId {
        let mut node = 0;
        for segment in pointer.split('/').skip(1) {
            let segment = segment.replace("~1", "/").replace("~0", "~");
            let next = match self.nodes.get(node).map(|node| &node.value) {
                Some(Value::Object(_)) => self.member(node, &segment).map(|member| member.value),
                Some(Value::Array(items)) => segment
                    .parse::<usize>()
                    .ok()
                    .and_then(|index| items.get(index).copied()),
                _ => None,
            };
            match next {
                Some(next) => node = next,
                None => break,
            }
        }
        node
    }

    /// The value as JSON, with YAML's merge keys merged.
    ///
    /// # Errors
    /// [`TooLarge`] when it is nested too deep or aliases make it too large.
    pub fn to_json(&self) -> Result<serde_json::Value, TooLarge> {
        let mut budget = MAX_JSON_NODES;
        self.node_to_json(0, 0, &mut budget)
    }

    fn node_to_json(
        &self,
        node: NodeId,
        depth: usize,
        budget: &mut usize,
    ) -> Result<serde_json::Value, TooLarge> {
        use serde_json::Value as Json;
        *budget = budget.checked_sub(1).ok_or(TooLarge)?;
        if depth > MAX_JSON_DEPTH {
            return Err(TooLarge);
        }
        let Some(node) = self.nodes.get(node) else {
            return Ok(Json::Null);
        };
        Ok(match &node.value {
            Value::Null => Json::Null,
            Value::Bool(value) => Json::Bool(*value),
            Value::Number(number) => Json::Number(number.clone()),
            Value::String(text) => Json::String(text.clone()),
            Value::Array(items) => Json::Array(
                items
                    .iter()
                    .map(|&item| self.node_to_json(item, depth + 1, budget))
                    .collect::<Result<_, _>>()?,
            ),
            Value::Object(members) => {
                let mut object = serde_json::Map::new();
                let mut merged = Vec::new();
                for member in members {
                    let value = self.node_to_json(member.value, depth + 1, budget)?;
                    match value {
                        Json::Object(map) if member.key == "<<" => merged.push(map),
                        Json::Array(maps) if member.key == "<<" => {
                            merged.extend(maps.into_iter().filter_map(|map| match map {
                                Json::Object(map) => Some(map),
                                _ => None,
                            }));
                        }
                        value => {
                            object.insert(member.key.clone(), value);
                        }
                    }
                }
                for (key, value) in merged.into_iter().flatten() {
                    object.entry(key).or_insert(value);
                }
                Json::Object(object)
            }
        })
    }
}
