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
