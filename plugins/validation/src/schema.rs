//! JSON Schema: which files must be valid against which schema, and where they are not.
//!
//! Schemas refer to nothing outside themselves: no file, no network. Positions come from the tree of the checked file.

use crate::problem::{Problems, excerpt};
use crate::tree::Tree;
use globset::GlobMatcher;
use infinity_sdk::types::Failure;
use jsonschema::Validator;
use jsonschema::error::ValidationErrorKind;
use serde_json::Value;

/// A schema and the files it is for.
pub(crate) struct Rule {
    pub(crate) glob: GlobMatcher,
    pub(crate) validator: Validator,
    /// How messages call the schema.
    pub(crate) name: String,
}

/// Compiles a schema.
///
/// # Errors
/// [`Failure::InvalidInput`] when the schema is none.
pub(crate) fn compile(glob: &GlobMatcher, schema: &Value, name: &str) -> Result<Rule, Failure> {
    let validator = jsonschema::validator_for(schema).map_err(|error| {
        Failure::InvalidInput(format!(
            "schema {name} cannot be used: {}",
            excerpt(&error.to_string())
        ))
    })?;
    Ok(Rule {
        glob: glob.clone(),
        validator,
        name: name.to_owned(),
    })
}

/// Reports where a document violates a schema.
pub(crate) fn check(rule: &Rule, tree: &Tree, problems: &mut Problems) {
    let Ok(value) = tree.to_json() else {
        problems.warning(
            "schema/not-checked",
            0,
            "nested too deep, or expanded by aliases too far, to be checked against its schema",
            "use fewer levels or aliases",
        );
        return;
    };
    for error in rule.validator.iter_errors(&value) {
        let pointer = error.instance_path().to_string();
        let node = tree.at_pointer(&pointer);
        let offset = match error.kind() {
            // The key is what is wrong, not the object around it.
            ValidationErrorKind::AdditionalProperties { unexpected }
            | ValidationErrorKind::UnevaluatedProperties { unexpected } => unexpected
                .iter()
                .filter_map(|key| tree.member(node, key))
                .map(|member| member.key_offset)
                .min()
                .unwrap_or_else(|| tree.offset(node)),
            _ => tree.offset(node),
        };
        let place = match pointer.as_str() {
            "" => "the document".to_owned(),
            pointer => format!("`{}`", excerpt(pointer)),
        };
        problems.error(
            "schema/violation",
            offset,
            format!("{place}: {}", excerpt(&error.masked().to_string())),
            format!(
                "see {}, at `{}`",
                rule.name,
                excerpt(&error.schema_path().to_string())
            ),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::{json, yaml};

    fn rule() -> Rule {
        let glob = globset::Glob::new("*").unwrap().compile_matcher();
        let schema = serde_json::json!({
            "type": "object",
            "required": ["name"],
            "additionalProperties": false,
            "properties": {"name": {"type": "string"}, "ports": {"type": "array", "items": {"type": "integer", "maximum": 65535}}}
        });
        compile(&glob, &schema, "the test's").unwrap()
    }

    #[test]
    fn violations_stand_where_the_value_stands() {
        let mut problems = Problems::default();
        let text = "{\"name\": 1,\n \"ports\": [80, 70000],\n \"ü\": 0, \"extra\": 1}";
        let tree = json::check(text, true, &mut problems).unwrap();
        check(&rule(), &tree, &mut problems);
        let mut found = problems.rules_at(text);
        found.sort_unstable();
        assert_eq!(
            found,
            [
                ("schema/violation", 1, 10),
                ("schema/violation", 2, 16),
                ("schema/violation", 3, 2),
            ]
        );
    }

    #[test]
    fn yaml_is_checked_the_same_way() {
        let mut problems = Problems::default();
        let text = "ports:\n  - 80\n  - x\n";
        let trees = yaml::check(text, true, &mut problems).unwrap();
        check(&rule(), &trees[0], &mut problems);
        assert_eq!(
            problems.rules_at(text),
            [("schema/violation", 1, 1), ("schema/violation", 3, 5)]
        );
    }

    #[test]
    fn a_schema_that_is_none_is_invalid_input() {
        let glob = globset::Glob::new("*").unwrap().compile_matcher();
        for schema in [
            serde_json::json!({"type": "nonsense"}),
            serde_json::json!({"$ref": "https://example.org/schema.json"}),
        ] {
            assert!(compile(&glob, &schema, "x").is_err(), "{schema}");
        }
    }
}
