//! What a figure was measured on.

use serde_json::{Value, json};

/// The machine and the command.
pub(crate) struct Machine {
    cores: usize,
    cpu: String,
    kernel: String,
    load: String,
    command: String,
}

impl Machine {
    /// This one; what cannot be read is called unknown.
    pub(crate) fn this() -> Self {
        let unknown = || "unknown".to_owned();
        let cpu = std::fs::read_to_string("/proc/cpuinfo")
            .ok()
            .and_then(|text| {
                text.lines()
                    .find_map(|line| line.strip_prefix("model name")?.split_once(':'))
                    .map(|(_, name)| name.trim().to_owned())
            })
            .unwrap_or_else(unknown);
        let read = |path: &str| {
            std::fs::read_to_string(path).map_or_else(|_| unknown(), |text| text.trim().to_owned())
        };
        let load = read("/proc/loadavg");
        let command: Vec<String> = std::iter::once("bench".to_owned())
            .chain(std::env::args().skip(1))
            .collect();
        Self {
            cores: std::thread::available_parallelism().map_or(0, std::num::NonZero::get),
            cpu,
            kernel: read("/proc/sys/kernel/osrelease"),
            load: load.split(' ').next().unwrap_or("unknown").to_owned(),
            command: command.join(" "),
        }
    }

    /// For people.
    pub(crate) fn line(&self) -> String {
        format!(
            "{} cores, {}, Linux {}, load {} at the end: `{}`",
            self.cores, self.cpu, self.kernel, self.load, self.command
        )
    }

    /// For programs.
    pub(crate) fn json(&self) -> Value {
        json!({
            "cores": self.cores, "cpu": self.cpu, "kernel": self.kernel,
            "load": self.load, "command": self.command,
        })
    }
}
