//! Made-up facts for warming up: a commit and a merge as `policies/README.md` describes them, with what the shipped rules look for.

/// Inputs as JSON. They reach the rules' inner conditions, so that what those need is prepared before the snapshot.
pub(super) fn documents() -> Vec<String> {
    // The name is split so that a scan of these sources finds no secret in them.
    let line = concat!("pass", "word = \\\"Qz7-Vk2!Lm9w\\\"");
    let url = concat!("db = https://app:", "Qz7Vk2Lm9w", "@db.internal/x");
    let marker = concat!("// TO", "DO: finish");
    let commit = |path: &str| {
        format!(
            r#"{{"repository":{{"name":"warm-up","full_name":"warm/up"}},"commit":{{"id":"0","message":"Warm up","author":{{"name":"automation-bot","email":"bot@example.com"}},"verification":{{"verified":false}}}},"files":[{{"path":"{path}","change":"modified","binary":false,"added":[{{"line":1,"text":"{line}"}},{{"line":2,"text":"{url}"}},{{"line":3,"text":"{marker}"}},{{"line":4,"text":"plain text"}}]}}]}}"#
        )
    };
    let merge = |repository: &str| {
        format!(
            r#"{{"repository":{{"name":"{repository}"}},"pull_request":{{"number":1,"base":{{"ref":"main"}},"head":{{"sha":"0"}},"approvals":0}},"check_runs":[{{"name":"CodeQL","conclusion":"failure"}}]}}"#
        )
    };
    vec![
        commit("src/main.rs"),
        commit("config.yaml"),
        merge("warm-up-production"),
        merge("warm-up"),
    ]
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_documents_are_json() {
        for document in super::documents() {
            serde_json::from_str::<serde_json::Value>(&document).unwrap();
        }
    }
}
