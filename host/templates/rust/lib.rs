//! Greets whoever the settings name.

use infinity_sdk::prelude::*;
use serde_json::json;

infinity_sdk::agent!(run, manifest = "../manifest.json");

fn run(invocation: Invocation) -> Result<Report, Failure> {
    let name: String = settings::optional("name")?.unwrap_or_else(|| "world".into());
    log::info!("run {} greets {name}", invocation.run_id);
    if name.trim().is_empty() {
        let finding = Finding::new("PLUGIN/no-name", Level::Error, "the name is empty")
            .with_help("set `name` in the agent's settings");
        return Ok(Report::failed("there is nobody to greet").with_findings([finding]));
    }
    Report::passed(format!("hello {name}")).with_output(&json!({ "name": name }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use infinity_sdk::testing::TestHost;

    #[test]
    fn greets_the_name_in_the_settings() {
        let (report, host) = TestHost::new().setting("name", "you").run(run, "null");
        assert_eq!(report.unwrap().summary, "hello you");
        assert_eq!(host.log.len(), 1);
    }

    #[test]
    fn finds_an_empty_name() {
        let (report, _) = TestHost::new().setting("name", " ").run(run, "null");
        assert_eq!(report.unwrap().findings[0].rule, "PLUGIN/no-name");
    }
}
