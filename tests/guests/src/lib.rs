//! Turns a case's name and parameters into one behaviour: well-behaved, broken or hostile. The host's tests run it and judge what comes of it.
//!
//! One component holds all cases, so it is built and compiled once. Its input is JSON, `{"case": "<name>", …parameters}`, and a case that survives answers
//! with what it observed as the report's output; `README.md` lists both. [`CASES`] can be read on any target, the cases exist in the sandbox alone. Nothing
//! here knows what the host's answer should be.

/// Declares the cases once: the names for the host's tests and, in the sandbox, the functions behind them.
macro_rules! cases {
    ($($name:literal => $function:path,)*) => {
        /// Every case's name, sorted by subject; each has at least one test.
        pub const CASES: &[&str] = &[$($name),*];

        #[cfg(target_arch = "wasm32")]
        fn dispatch(name: &str, input: &input::Input) -> Option<input::Answer> {
            match name {
                $($name => Some($function(input)),)*
                _ => None,
            }
        }
    };
}

cases! {
    "ok" => output::ok,
    "fails" => output::fails,
    "error" => output::error,
    "finding" => output::finding,
    "findings_bomb" => output::findings_bomb,
    "return_bomb" => output::return_bomb,
    "deep_output" => output::deep_output,
    "invalid_output" => output::invalid_output,
    "stdin" => output::stdin,
    "print" => output::print,
    "progress" => output::progress,
    "stdout_flood" => output::stdout_flood,
    "log_inject" => output::log_inject,
    "artifact" => output::artifact,
    "emit" => output::emit,
    "artifacts" => output::artifacts,
    "effects" => output::effects,
    "propose" => effects::propose,
    "trap" => cpu::trap,
    "unreachable" => cpu::unreachable,
    "spin" => cpu::spin,
    "counted_loop" => cpu::counted_loop,
    "recurse" => cpu::recurse,
    "sleep" => cpu::sleep,
    "sleep_forever" => cpu::sleep_forever,
    "poll_spin" => cpu::poll_spin,
    "bulk_memory" => cpu::bulk_memory,
    "hostcall_storm" => cpu::hostcall_storm,
    "grow_memory" => memory::grow_memory,
    "handle_leak" => memory::handle_leak,
    "random_bomb" => memory::random_bomb,
    "residue_fill" => memory::residue_fill,
    "residue_scan" => memory::residue_scan,
    "read_file" => files::read_file,
    "write_file" => files::write_file,
    "write_endless" => files::write_endless,
    "sparse" => files::sparse,
    "many_files" => files::many_files,
    "deep_dirs" => files::deep_dirs,
    "list_dir" => files::list_dir,
    "path_tricks" => paths::path_tricks,
    "symlink_tricks" => paths::symlink_tricks,
    "readonly_tricks" => paths::readonly_tricks,
    "open_special" => paths::open_special,
    "http" => network::http,
    "http_each" => network::http_each,
    "http_concurrent" => network::http_concurrent,
    "http_long_timeouts" => network::http_long_timeouts,
    "http_upload_endless" => network::http_upload_endless,
    "resolve_name" => network::resolve_name,
    "tcp_connect" => network::tcp_connect,
    "udp_send" => network::udp_send,
    "kv_get" => state::kv_get,
    "kv_set" => state::kv_set,
    "kv_delete" => state::kv_delete,
    "kv_list" => state::kv_list,
    "kv_increment" => state::kv_increment,
    "kv_set_once" => state::kv_set_once,
    "kv_open" => state::kv_open,
    "kv_keys_tricks" => state::kv_keys_tricks,
    "kv_flood" => state::kv_flood,
    "env_hunt" => state::env_hunt,
    "reveal" => state::reveal,
    "forge_repositories" => forge::repositories,
    "forge_read" => forge::read,
    "forge_log" => forge::log,
    "forge_tree" => forge::tree,
    "forge_diff" => forge::diff,
}

#[cfg(target_arch = "wasm32")]
mod cpu;
#[cfg(target_arch = "wasm32")]
mod effects;
#[cfg(target_arch = "wasm32")]
mod files;
#[cfg(target_arch = "wasm32")]
mod forge;
#[cfg(target_arch = "wasm32")]
mod input;
#[cfg(target_arch = "wasm32")]
mod memory;
#[cfg(target_arch = "wasm32")]
mod network;
#[cfg(target_arch = "wasm32")]
mod output;
#[cfg(target_arch = "wasm32")]
mod paths;
#[cfg(target_arch = "wasm32")]
mod state;

#[cfg(target_arch = "wasm32")]
mod component {
    //! The `run` export.

    use infinity_sdk::prelude::*;

    fn run(invocation: Invocation) -> Result<Report, Failure> {
        let input = crate::input::Input::parse(invocation)?;
        let case = input.text("case")?;
        crate::dispatch(case, &input)
            .unwrap_or_else(|| Err(Failure::InvalidInput(format!("there is no case `{case}`"))))
    }

    infinity_sdk::agent!(run, manifest = "../manifest.json");
}

/// Declares the hand-written components once.
macro_rules! components {
    ($($name:literal,)*) => {
        /// Name and text of the components that are written by hand, for what Rust cannot express; `README.md` says what each does. Each has at least one test.
        pub const COMPONENTS: &[(&str, &str)] =
            &[$(($name, include_str!(concat!("../../../host/selftest/agents/", $name, ".wat")))),*];
    };
}

components! {
    "noop_agent",
    "badge_noop",
    "start_loop",
    "start_trap",
    "start_stack_overflow",
    "mem_min",
    "mem_grow",
    "many_memories",
    "multi_memory",
    "many_instances",
    "many_instances_nested",
    "table_grow",
    "table_min",
    "table64_min",
    "shared_memory",
    "memory64",
    "gc",
    "exceptions",
    "stack_switching",
    "async_lift",
    "ungranted_imports",
}

/// The text of a hand-written component.
#[must_use]
pub fn component_text(name: &str) -> Option<&'static str> {
    COMPONENTS
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, text)| *text)
}

/// The component `many_instances` with `count` spare core instances, each with a table.
#[must_use]
pub fn many_instances(count: usize) -> String {
    let lines = include_str!("../../../host/selftest/agents/many_instances.wat").lines();
    lines
        .flat_map(|line| {
            let times = if line.ends_with(";; repeated") {
                count
            } else {
                1
            };
            std::iter::repeat_n([line, "\n"], times)
        })
        .flatten()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{CASES, COMPONENTS, component_text, many_instances};

    #[test]
    fn case_names_are_unique_and_documented() {
        let readme = include_str!("../README.md");
        for (at, name) in CASES.iter().enumerate() {
            assert!(!CASES[..at].contains(name), "`{name}` twice");
            assert!(
                readme.contains(&format!("| `{name}` |")),
                "`{name}` is not in README.md"
            );
        }
    }

    #[test]
    fn the_readme_lists_no_case_that_does_not_exist() {
        let listed = include_str!("../README.md")
            .lines()
            .filter_map(|line| line.strip_prefix("| `")?.split_once('`'))
            .map(|(name, _)| name);
        for name in listed {
            let known = match name.strip_suffix(".wat") {
                Some(name) => component_text(name).is_some(),
                None => CASES.contains(&name),
            };
            assert!(known, "`{name}` is listed only");
        }
    }

    #[test]
    fn every_hand_written_component_is_listed_and_documented() {
        let readme = include_str!("../README.md");
        for (name, text) in COMPONENTS {
            assert!(text.contains("(component"), "`{name}` is no component");
            assert!(
                readme.contains(&format!("| `{name}.wat` |")),
                "`{name}.wat` is not in README.md"
            );
        }
        let files = std::fs::read_dir(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../host/selftest/agents"
        ))
        .unwrap();
        assert_eq!(files.count(), COMPONENTS.len());
    }

    #[test]
    fn many_instances_repeats_one_line() {
        let one = many_instances(1);
        let thousand = many_instances(1000);
        assert_eq!(one, component_text("many_instances").unwrap());
        assert_eq!(thousand.lines().count(), one.lines().count() + 999);
    }
}
