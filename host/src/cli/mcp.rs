//! `infinity mcp`: checks, and agents that are named, as tools of the Model Context Protocol, over standard streams or HTTP on this machine.
//!
//! What a tool does is asked of the API, as every command does: who has no key for it cannot do it here either.

use super::client::{Client, encode};
use super::{CliError, Done, Output};
use crate::api::RunView;
use crate::checks::{Check, CheckVerdict};
use crate::model::{Outcome, RunState};
use clap::Args;
use rmcp::ServerHandler;
use rmcp::ServiceExt as _;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, ErrorData,
    Implementation, JsonObject, ListToolsResult, PaginatedRequestParams, ServerCapabilities,
    ServerConfig, Tool, ToolAnnotations,
};
use rmcp::service::{RequestContext, RoleServer};
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::Arc;

/// How long a tool may take: assistants give up earlier.
const WAIT: &str = "5m";

/// The tool that checks code.
const CHECK: &str = "check_code";

/// How an agent's tool begins.
const AGENT: &str = "run_";

/// What to serve, and where.
#[derive(Debug, Args)]
pub struct McpOptions {
    /// Serve streamable HTTP at `http://ADDRESS/mcp` instead of standard input and output; an address of this machine alone
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// An agent that may be run as a tool; may be given more than once
    #[arg(long = "agent", value_name = "NAME")]
    agents: Vec<String>,
}

/// What assistants are told of the server.
const INSTRUCTIONS: &str = "Checks code before it is shown or used: policy rules, static analysis, tests and input-output cases, in a WebAssembly sandbox without network or files. Call `check_code` with the files and, if there are any, tests or cases; mend what it finds and call it again.";

#[derive(Clone)]
struct Tools {
    client: Client,
    agents: Arc<[String]>,
    schema: Arc<JsonObject>,
}

pub(super) async fn execute(options: &McpOptions, client: Client, output: &Output) -> Done {
    for agent in &options.agents {
        // A name that is not there is told now, not to an assistant later.
        client
            .get::<Value>(&format!("/v1/agents/{}", encode(agent)))
            .await?;
    }
    let tools = Tools {
        client,
        agents: options.agents.clone().into(),
        schema: Arc::new(schema()?),
    };
    match options.listen {
        None => {
            let failed = |error: &dyn std::fmt::Display| {
                CliError::failed(format!("the assistant cannot be served: {error}"))
            };
            let service = tools
                .serve(rmcp::transport::stdio())
                .await
                .map_err(|error| failed(&error))?;
            service.waiting().await.map_err(|error| failed(&error))?;
            Ok(0)
        }
        Some(address) if !address.ip().is_loopback() => Err(CliError::input(format!(
            "{address} can be reached from other machines, and nobody is asked for a key here"
        ))
        .with_hint("give an address of this machine, such as `127.0.0.1:8090`")),
        Some(address) => listen(tools, address, output).await,
    }
}

async fn listen(tools: Tools, address: SocketAddr, output: &Output) -> Done {
    let service = StreamableHttpService::new(
        move || Ok(tools.clone()),
        Arc::new(LocalSessionManager::default()),
        StreamableHttpServerConfig::default(),
    );
    let router = axum::Router::new().nest_service("/mcp", service);
    let listener = tokio::net::TcpListener::bind(address)
        .await
        .map_err(|error| CliError::failed(format!("cannot listen on {address}: {error}")))?;
    let address = listener
        .local_addr()
        .map_err(|error| CliError::failed(error.to_string()))?;
    output.note(&format!("serving at http://{address}/mcp"));
    axum::serve(listener, router)
        .with_graceful_shutdown(async {
            let _ = tokio::signal::ctrl_c().await;
        })
        .await
        .map_err(|error| CliError::failed(format!("cannot serve: {error}")))?;
    Ok(0)
}

/// The schema of a submission, as the API's document has it, whole.
fn schema() -> Result<JsonObject, CliError> {
    let document = crate::api::openapi();
    let schemas = &document["components"]["schemas"];
    let mut schema = schemas["NewCheck"].clone();
    resolve(&mut schema, schemas, 0);
    match schema {
        Value::Object(schema) => Ok(schema),
        _ => Err(CliError::failed(
            "the document has no schema of a submission",
        )),
    }
}

/// Puts schemas in the place of references to them: assistants know no document.
fn resolve(schema: &mut Value, schemas: &Value, depth: usize) {
    // The schemas of a submission nest three deep.
    if depth > 16 {
        return;
    }
    if let Some(name) = schema["$ref"]
        .as_str()
        .and_then(|reference| reference.rsplit('/').next())
    {
        *schema = schemas[name].clone();
    }
    match schema {
        Value::Object(object) => object
            .values_mut()
            .for_each(|value| resolve(value, schemas, depth + 1)),
        Value::Array(items) => items
            .iter_mut()
            .for_each(|value| resolve(value, schemas, depth + 1)),
        _ => {}
    }
}

/// What an assistant reads of a verdict: why, where, and nothing else.
fn told(check: &Check) -> String {
    let verdict = match check.verdict {
        Some(CheckVerdict::Passed) => "passed",
        Some(CheckVerdict::Failed) => "failed",
        Some(CheckVerdict::Flaky) => "flaky",
        Some(CheckVerdict::Error) => "error",
        None => "no verdict yet",
    };
    let mut text = format!("{verdict}: {}\n", check.summary);
    for step in &check.steps {
        for finding in &step.findings {
            let place = finding.location.as_ref().map_or_else(String::new, |at| {
                let line = at.line.map_or_else(String::new, |line| format!(":{line}"));
                format!("{}{line}: ", at.path)
            });
            text.push_str(&format!("- {place}{} [{}]", finding.message, finding.rule));
            if let Some(help) = &finding.help {
                text.push_str(&format!(" ({help})"));
            }
            text.push('\n');
        }
        for test in &step.tests {
            use crate::sandbox::code::TestOutcome::{Errored, Failed};
            if matches!(test.outcome, Failed | Errored) {
                let message = test.message.as_deref().unwrap_or("failed");
                text.push_str(&format!("- {}: {message}\n", test.name));
                if let Some(details) = &test.details {
                    text.push_str(details.trim_end());
                    text.push('\n');
                }
            }
        }
    }
    text
}

impl Tools {
    async fn check(&self, submission: Value) -> CallToolResult {
        let path = format!("/v1/checks?wait={WAIT}");
        match self.client.post::<Check>(&path, &submission).await {
            Ok(check) => {
                let mut result = CallToolResult::success(vec![ContentBlock::text(told(&check))]);
                result.structured_content = serde_json::to_value(&check).ok();
                result
            }
            Err(error) => refused(&error),
        }
    }

    async fn run(&self, agent: &str, input: Value) -> CallToolResult {
        let path = format!("/v1/agents/{}/runs?wait={WAIT}", encode(agent));
        match self.client.post::<RunView>(&path, &input).await {
            Ok(view) => {
                let run = view.run;
                let good = run.outcome == Some(Outcome::Succeeded);
                let said = run.summary.clone().or_else(|| run.message.clone());
                let text = match (run.state, run.outcome) {
                    (RunState::Ended, Some(outcome)) => format!(
                        "{}: {}",
                        super::run::outcome_word(outcome),
                        said.unwrap_or_default()
                    ),
                    _ => format!("run {} has not ended yet", run.id),
                };
                let content = vec![ContentBlock::text(text)];
                let mut result = if good {
                    CallToolResult::success(content)
                } else {
                    CallToolResult::error(content)
                };
                result.structured_content = serde_json::to_value(&run).ok();
                result
            }
            Err(error) => refused(&error),
        }
    }
}

/// What keeps a tool from being used, for whoever called it.
fn refused(error: &CliError) -> CallToolResult {
    let mut text = error.to_string();
    if let CliError::Problem(problem) = error {
        for error in &problem.errors {
            text.push_str(&format!("\n- {}: {}", error.pointer, error.message));
        }
    }
    CallToolResult::error(vec![ContentBlock::text(text)])
}

impl ServerHandler for Tools {
    fn get_info(&self) -> ServerConfig {
        let capabilities = ServerCapabilities::builder().enable_tools().build();
        ServerConfig::new(capabilities)
            .with_server_info(Implementation::new("infinity", env!("CARGO_PKG_VERSION")))
            .with_instructions(INSTRUCTIONS)
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let check = Tool::new(
            CHECK,
            "Judges Python, JavaScript or TypeScript: secrets and other policy, static analysis, tests and input-output cases, in a sandbox. Gives a verdict with each problem's file and line.",
            Arc::clone(&self.schema),
        )
        .with_title("Check code")
        .with_annotations(
            ToolAnnotations::new()
                .read_only(true)
                .destructive(false)
                .open_world(false),
        );
        let agents = self.agents.iter().map(|agent| {
            let input = json!({
                "type": "object",
                "properties": { "input": { "description": "The run's input: any JSON" } },
            });
            let schema = input.as_object().cloned().unwrap_or_default();
            Tool::new(
                format!("{AGENT}{agent}"),
                format!("Runs the agent `{agent}` once. What it proposes is subject to policy and approval."),
                Arc::new(schema),
            )
        });
        Ok(ListToolsResult::with_all_items(
            std::iter::once(check).chain(agents).collect(),
        ))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let arguments = request.arguments.unwrap_or_default();
        if request.name == CHECK {
            return Ok(self.check(Value::Object(arguments)).await.into());
        }
        let granted = request
            .name
            .strip_prefix(AGENT)
            .filter(|name| self.agents.iter().any(|agent| agent == name));
        match granted {
            Some(agent) => {
                let input = arguments.get("input").cloned().unwrap_or_default();
                Ok(self.run(agent, input).await.into())
            }
            None => Err(ErrorData::invalid_params(
                format!("there is no tool `{}`", request.name),
                None,
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_is_whole() {
        let schema = Value::Object(schema().unwrap());
        assert!(!schema.to_string().contains("$ref"), "{schema}");
        assert_eq!(schema["type"], "object");
        assert!(schema.to_string().contains("exit_code"), "{schema}");
    }
}
