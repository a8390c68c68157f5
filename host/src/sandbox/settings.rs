//! `wasi:config/store`: the agent's settings. A string is handed over as it is, everything else as JSON.

use super::contract::agent::wasi::config::store::{Error, Host};
use super::state::RunState;
use serde_json::Value;

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

impl Host for RunState {
    async fn get(&mut self, key: String) -> wasmtime::Result<Result<Option<String>, Error>> {
        let found = self.capabilities.settings.get(&key).map(text);
        if found.is_some() {
            self.meter.reach("setting", &key);
        }
        Ok(Ok(found))
    }

    async fn get_all(&mut self) -> wasmtime::Result<Result<Vec<(String, String)>, Error>> {
        let settings = &self.capabilities.settings;
        for key in settings.keys() {
            self.meter.reach("setting", key);
        }
        Ok(Ok(settings
            .iter()
            .map(|(key, value)| (key.clone(), text(value)))
            .collect()))
    }
}
