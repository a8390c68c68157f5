//! The tables of keys as a JSON Schema, with which editors complete and check `plugins.toml`.
//!
//! It cannot say everything: rules between keys, and ranges of durations and sizes, are the readers' alone and stand in the descriptions.

use serde_json::{Map, Value, json};

use super::keys::{Key, Kind, MAX_ENTRIES, MAX_LIST, ROOT, Table};
use super::units::{DURATION_PATTERN, SIZE_PATTERN, show_duration, show_size};

/// The JSON Schema (draft 2020-12) of `plugins.toml`. Every object in it with `additionalProperties: false` is one table of the file.
#[must_use]
pub fn schema() -> Value {
    let mut definitions = Map::new();
    let mut root = table(&ROOT, &mut definitions);
    if let Some(root) = root.as_object_mut() {
        root.insert(
            "$schema".to_owned(),
            "https://json-schema.org/draft/2020-12/schema".into(),
        );
        root.insert("title".to_owned(), "plugins.toml".into());
        root.insert("$defs".to_owned(), definitions.into());
    }
    root
}

fn table(table: &Table, definitions: &mut Map<String, Value>) -> Value {
    let properties: Map<String, Value> = table
        .keys
        .iter()
        .map(|key| (key.name.to_owned(), property(key, definitions)))
        .collect();
    let required: Vec<&str> = table
        .keys
        .iter()
        .filter(|key| key.required)
        .map(|key| key.name)
        .collect();
    let mut schema = json!({
        "type": "object",
        "description": table.doc,
        "properties": properties,
        "additionalProperties": false,
    });
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    schema
}

fn property(key: &Key, definitions: &mut Map<String, Value>) -> Value {
    let mut schema = kind(&key.kind, definitions);
    let mut description = key.doc.to_owned();
    let range = match key.kind {
        Kind::Duration { min, max } => Some((show_duration(min), show_duration(max))),
        Kind::Size { min, max } => Some((show_size(min), show_size(max))),
        _ => None,
    };
    if let Some((min, max)) = range {
        description.push_str(&format!(" From {min} to {max}."));
    }
    schema["description"] = description.into();
    // The tables are ours; a test reads every default.
    if let Ok(default) = serde_json::from_str::<Value>(key.default) {
        schema["default"] = default;
    }
    schema
}

fn kind(kind: &Kind, definitions: &mut Map<String, Value>) -> Value {
    match kind {
        Kind::Text("") => json!({ "type": "string" }),
        Kind::Text(pattern) => json!({ "type": "string", "pattern": pattern }),
        Kind::Boolean => json!({ "type": "boolean" }),
        Kind::Integer { min, max } => json!({ "type": "integer", "minimum": min, "maximum": max }),
        Kind::Duration { .. } => json!({ "type": "string", "pattern": DURATION_PATTERN }),
        Kind::Size { min, max } => json!({ "anyOf": [
            { "type": "string", "pattern": SIZE_PATTERN },
            { "type": "integer", "minimum": min, "maximum": max },
        ] }),
        Kind::Choice(choices) => json!({ "enum": choices }),
        Kind::Texts => texts(),
        Kind::Branches => json!({ "anyOf": [{ "type": "boolean" }, texts()] }),
        Kind::TextMap => json!({ "type": "object", "additionalProperties": { "type": "string" } }),
        Kind::Free => json!({ "type": "object" }),
        Kind::Table(keys) => reference(keys, definitions),
        Kind::Tables(keys) => {
            json!({ "type": "array", "maxItems": MAX_LIST, "items": reference(keys, definitions) })
        }
        Kind::Steps(keys) => json!({
            "type": "array",
            "maxItems": MAX_LIST,
            "items": { "anyOf": [{ "type": "string" }, reference(keys, definitions)] },
        }),
        Kind::Named(keys, pattern) => json!({
            "type": "object",
            "propertyNames": { "pattern": pattern },
            "maxProperties": MAX_ENTRIES,
            "additionalProperties": reference(keys, definitions),
        }),
    }
}

fn texts() -> Value {
    json!({ "type": "array", "maxItems": MAX_LIST, "items": { "type": "string" } })
}

fn reference(keys: &Table, definitions: &mut Map<String, Value>) -> Value {
    if !definitions.contains_key(keys.name) {
        // The place is taken before it is filled, so that a table that holds itself would end here.
        definitions.insert(keys.name.to_owned(), Value::Null);
        let schema = table(keys, definitions);
        definitions.insert(keys.name.to_owned(), schema);
    }
    json!({ "$ref": format!("#/$defs/{}", keys.name) })
}
