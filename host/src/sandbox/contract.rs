//! The contract's types and calls as Rust, generated from `wit/`, and how they become the host's own records.

/// The world `agent` with everything it may import.
pub mod agent {
    #![allow(
        clippy::all,
        reason = "generated from the WIT files, which carry the documentation"
    )]
    wasmtime::component::bindgen!({
        path: "../wit/0.1.0",
        world: "agent",
        imports: { default: async | trappable },
        exports: { default: async },
        with: { "wasi:keyvalue/store.bucket": crate::sandbox::key_value::Bucket },
        require_store_data_send: true,
    });
}

/// The world `badge-renderer`.
pub mod badge {
    #![allow(
        clippy::all,
        reason = "generated from the WIT files, which carry the documentation"
    )]
    wasmtime::component::bindgen!({
        path: "../wit/0.1.0",
        world: "badge-renderer",
        exports: { default: async },
        require_store_data_send: true,
    });
}

/// The world `policy-engine`.
pub mod policy {
    #![allow(
        clippy::all,
        reason = "generated from the WIT files, which carry the documentation"
    )]
    wasmtime::component::bindgen!({
        path: "../wit/0.1.0",
        world: "policy-engine",
        exports: { default: async },
        require_store_data_send: true,
    });
}

/// The world `prepared`.
pub mod prepared {
    #![allow(
        clippy::all,
        reason = "generated from the WIT files, which carry the documentation"
    )]
    wasmtime::component::bindgen!({
        path: "../wit/0.1.0",
        world: "prepared",
        exports: { default: async },
        require_store_data_send: true,
    });
}

/// The world `code-runner`.
pub mod code {
    #![allow(
        clippy::all,
        reason = "generated from the WIT files, which carry the documentation"
    )]
    wasmtime::component::bindgen!({
        path: "../wit/0.1.0",
        world: "code-runner",
        imports: { default: async | trappable },
        exports: { default: async },
        with: { "infinity:agent/types": crate::sandbox::contract::agent::infinity::agent::types },
        require_store_data_send: true,
    });
}

/// The world `code-analyser`.
pub mod analysis {
    #![allow(
        clippy::all,
        reason = "generated from the WIT files, which carry the documentation"
    )]
    wasmtime::component::bindgen!({
        path: "../wit/0.1.0",
        world: "code-analyser",
        exports: { default: async },
        with: {
            "infinity:agent/types": crate::sandbox::contract::agent::infinity::agent::types,
            "infinity:agent/code-types": crate::sandbox::contract::code::infinity::agent::code_types,
        },
        require_store_data_send: true,
    });
}
