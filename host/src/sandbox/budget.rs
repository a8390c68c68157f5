//! What one run may use. Every field is set; nothing means "unlimited".

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The budget of one run.
///
/// Source: `limits` of the agent in `plugins.toml`, over `[host.limits]`, over [`RunBudget::default`]. [`RunBudget::MAXIMUM`] bounds every field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RunBudget {
    /// Wall-clock time from instantiation to the report, in milliseconds: 1 to 600,000, default 30,000. A timer drops the store when it is over,
    /// so it ends host calls too.
    pub time_ms: u64,
    /// CPU time of the guest and of the host calls that run on its thread, in milliseconds: 1 to 600,000, default 10,000. Checked at every epoch tick.
    pub cpu_ms: u64,
    /// Fuel, exact and repeatable, for agents that ask for determinism: 1 to 10^13, default none, which means that epochs stop the guest instead.
    pub fuel: Option<u64>,
    /// Linear memory summed over the whole store, in bytes: 64 KiB to 2 GiB, default 64 MiB.
    pub memory_bytes: u64,
    /// Table elements summed over the whole store: 1 to 1,000,000, default 20,000 (a large interpreter has some 10,000 functions in its table).
    pub table_elements: u64,
    /// Core instances, memories and tables, each: 1 to 1,000, default 100.
    pub instances: u32,
    /// Calls from the guest into the host: 1 to 100,000,000, default 1,000,000.
    pub host_calls: u64,
    /// Bytes that are lifted from the guest, over all calls: 64 KiB to 4 GiB, default 256 MiB.
    pub boundary_bytes: u64,
    /// Live resource handles: 1 to 100,000, default 1,000.
    pub handles: u32,
    /// Log lines and standard streams together, in bytes: 0 to 16 MiB, default 256 KiB; what is over is cut and the run says so.
    pub log_bytes: u64,
    /// Report and artifacts together, in bytes: 1 KiB to 256 MiB, default 8 MiB.
    pub output_bytes: u64,
    /// Outgoing requests: 0 to 100,000, default 100.
    pub http_requests: u32,
    /// Bytes sent in request bodies: 0 to 1 GiB, default 8 MiB.
    pub http_sent_bytes: u64,
    /// Bytes received in answers: 0 to 1 GiB, default 32 MiB; one answer at most 8 MiB.
    pub http_received_bytes: u64,
    /// Random bytes: 0 to 1 GiB, default 1 MiB.
    pub random_bytes: u64,
    /// Bytes a run may add to writable directories: 0 to 16 GiB, default 64 MiB.
    pub files_bytes: u64,
    /// Files and directories a run may create: 0 to 1,000,000, default 1,000.
    pub files_count: u64,
    /// Bytes of the agent's key-value space, keys included: 0 to 1 GiB, default 16 MiB.
    pub key_value_bytes: u64,
    /// Keys of the agent's key-value space: 0 to 1,000,000, default 10,000.
    pub key_value_keys: u64,
}

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;
const GIB: u64 = 1024 * MIB;

impl RunBudget {
    /// The most that a configuration may ask for.
    pub const MAXIMUM: Self = Self {
        time_ms: 600_000,
        cpu_ms: 600_000,
        fuel: Some(10_000_000_000_000),
        memory_bytes: 2 * GIB,
        table_elements: 1_000_000,
        instances: 1_000,
        host_calls: 100_000_000,
        boundary_bytes: 4 * GIB,
        handles: 100_000,
        log_bytes: 16 * MIB,
        output_bytes: 256 * MIB,
        http_requests: 100_000,
        http_sent_bytes: GIB,
        http_received_bytes: GIB,
        random_bytes: GIB,
        files_bytes: 16 * GIB,
        files_count: 1_000_000,
        key_value_bytes: GIB,
        key_value_keys: 1_000_000,
    };

    /// The least that makes sense.
    pub const MINIMUM: Self = Self {
        time_ms: 1,
        cpu_ms: 1,
        fuel: Some(1),
        memory_bytes: 64 * KIB,
        table_elements: 1,
        instances: 1,
        host_calls: 1,
        boundary_bytes: 64 * KIB,
        handles: 1,
        log_bytes: 0,
        output_bytes: KIB,
        http_requests: 0,
        http_sent_bytes: 0,
        http_received_bytes: 0,
        random_bytes: 0,
        files_bytes: 0,
        files_count: 0,
        key_value_bytes: 0,
        key_value_keys: 0,
    };
}

impl Default for RunBudget {
    fn default() -> Self {
        Self {
            time_ms: 30_000,
            cpu_ms: 10_000,
            fuel: None,
            memory_bytes: 64 * MIB,
            table_elements: 20_000,
            instances: 100,
            host_calls: 1_000_000,
            boundary_bytes: 256 * MIB,
            handles: 1_000,
            log_bytes: 256 * KIB,
            output_bytes: 8 * MIB,
            http_requests: 100,
            http_sent_bytes: 8 * MIB,
            http_received_bytes: 32 * MIB,
            random_bytes: MIB,
            files_bytes: 64 * MIB,
            files_count: 1_000,
            key_value_bytes: 16 * MIB,
            key_value_keys: 10_000,
        }
    }
}
