//! A client that was made for the released API goes on working: the document is compared with that of the last release.

use infinity_tests::host::root;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;

/// What a client of `old` would miss in `new`.
fn breaks(old: &Value, new: &Value) -> Vec<String> {
    let mut found = Vec::new();
    for (path, item) in old["paths"].as_object().into_iter().flatten() {
        for (method, operation) in item.as_object().into_iter().flatten() {
            let place = format!("{method} {path}");
            let now = &new["paths"][path][method];
            if now.is_null() {
                found.push(format!("{place} is gone"));
                continue;
            }
            if operation["operationId"] != now["operationId"] {
                found.push(format!("{place} has another operationId"));
            }
            parameters(&place, operation, now, &mut found);
            for (status, response) in operation["responses"].as_object().into_iter().flatten() {
                let answer = &now["responses"][status];
                if answer.is_null() {
                    found.push(format!("{place} does not answer {status} any more"));
                }
                for (media, content) in response["content"].as_object().into_iter().flatten() {
                    let is = &answer["content"][media];
                    if is.is_null() {
                        found.push(format!(
                            "{place} does not answer {status} as {media} any more"
                        ));
                    } else {
                        let place = format!("{place} {status}");
                        let (was, is) = (&content["schema"], &is["schema"]);
                        answers(&place, old, was, new, is, &mut BTreeSet::new(), &mut found);
                    }
                }
            }
        }
    }
    found
}

/// What was optional may not become required, and what was known may not go.
fn parameters(place: &str, old: &Value, new: &Value, found: &mut Vec<String>) {
    let key = |parameter: &Value| format!("{}.{}", parameter["in"], parameter["name"]);
    let list = |operation: &Value| {
        operation["parameters"]
            .as_array()
            .cloned()
            .unwrap_or_default()
    };
    let before = list(old);
    for parameter in list(new) {
        let was = before.iter().find(|known| key(known) == key(&parameter));
        let required = parameter["required"] == true;
        if required && was.is_none_or(|was| was["required"] != true) {
            found.push(format!("{place} demands {}", key(&parameter)));
        }
    }
    for parameter in &before {
        if !list(new).iter().any(|known| key(known) == key(parameter)) {
            found.push(format!("{place} does not know {} any more", key(parameter)));
        }
    }
    if new["requestBody"]["required"] == true && old["requestBody"]["required"] != true {
        found.push(format!("{place} demands a body"));
    }
}

fn resolved<'d>(document: &'d Value, schema: &'d Value) -> &'d Value {
    match schema["$ref"].as_str() {
        Some(reference) => document
            .pointer(reference.trim_start_matches('#'))
            .unwrap_or(&Value::Null),
        None => schema,
    }
}

/// What an answer held, it holds.
fn answers(
    place: &str,
    old_document: &Value,
    old: &Value,
    new_document: &Value,
    new: &Value,
    seen: &mut BTreeSet<String>,
    found: &mut Vec<String>,
) {
    if let Some(reference) = old["$ref"].as_str()
        && !seen.insert(reference.to_owned())
    {
        return;
    }
    let (old, new) = (resolved(old_document, old), resolved(new_document, new));
    if !old["type"].is_null() && old["type"] != new["type"] {
        found.push(format!("{place}: {} became {}", old["type"], new["type"]));
        return;
    }
    let required = |schema: &Value| -> BTreeSet<String> {
        schema["required"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|name| name.as_str().map(str::to_owned))
            .collect()
    };
    for name in required(old).difference(&required(new)) {
        found.push(format!("{place}: `{name}` is not always there any more"));
    }
    for (name, property) in old["properties"].as_object().into_iter().flatten() {
        let now = &new["properties"][name];
        let place = format!("{place}.{name}");
        if now.is_null() {
            found.push(format!("{place} is gone"));
        } else {
            answers(
                &place,
                old_document,
                property,
                new_document,
                now,
                seen,
                found,
            );
        }
    }
    if !old["items"].is_null() {
        let place = format!("{place}[]");
        answers(
            &place,
            old_document,
            &old["items"],
            new_document,
            &new["items"],
            seen,
            found,
        );
    }
    for (index, part) in old["allOf"].as_array().into_iter().flatten().enumerate() {
        answers(
            place,
            old_document,
            part,
            new_document,
            &new["allOf"][index],
            seen,
            found,
        );
    }
}

#[test]
fn the_api_keeps_what_the_last_release_promised() -> anyhow::Result<()> {
    let host = crate::host()?;
    let file = root().join("docs/openapi-released.json");
    let released: Value = serde_json::from_str(&fs::read_to_string(file)?)?;
    let found = breaks(&released, &host.json("/openapi.json")?);
    assert!(
        found.is_empty(),
        "clients of the last release would break:\n{}",
        found.join("\n")
    );
    Ok(())
}

#[test]
fn a_change_that_breaks_clients_is_found_and_an_addition_is_none() {
    let old = json!({
        "paths": {
            "/a": { "get": {
                "operationId": "a",
                "parameters": [{ "in": "query", "name": "q", "required": false }],
                "responses": { "200": { "content": { "application/json": { "schema": { "$ref": "#/components/schemas/A" } } } } }
            } },
            "/b": { "post": { "operationId": "b", "responses": {} } }
        },
        "components": { "schemas": { "A": { "type": "object", "required": ["x"], "properties": {
            "x": { "type": "string" }, "l": { "type": "array", "items": { "type": "integer" } }, "again": { "$ref": "#/components/schemas/A" } } } } }
    });
    assert_eq!(breaks(&old, &old), Vec::<String>::new());
    let mut more = old.clone();
    more["paths"]["/c"] = json!({ "get": {} });
    more["paths"]["/a"]["get"]["parameters"]
        .as_array_mut()
        .expect("a list")
        .push(json!({ "in": "query", "name": "r", "required": false }));
    more["components"]["schemas"]["A"]["properties"]["y"] = json!({ "type": "string" });
    assert_eq!(breaks(&old, &more), Vec::<String>::new());
    let broken = |change: &dyn Fn(&mut Value)| {
        let mut new = old.clone();
        change(&mut new);
        breaks(&old, &new).len()
    };
    assert_eq!(
        broken(&|new| drop(new["paths"].as_object_mut().unwrap().remove("/b"))),
        1
    );
    assert_eq!(
        broken(&|new| new["paths"]["/a"]["get"]["parameters"][0]["required"] = true.into()),
        1
    );
    assert_eq!(
        broken(&|new| new["paths"]["/a"]["get"]["parameters"] = json!([])),
        1
    );
    assert_eq!(
        broken(&|new| new["components"]["schemas"]["A"]["required"] = json!([])),
        1
    );
    assert_eq!(
        broken(
            &|new| new["components"]["schemas"]["A"]["properties"]["x"]["type"] = "integer".into()
        ),
        1
    );
    assert_eq!(
        broken(
            &|new| new["components"]["schemas"]["A"]["properties"]["l"]["items"]["type"] =
                "string".into()
        ),
        1
    );
}
