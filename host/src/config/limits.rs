//! `limits` to a [`RunBudget`]: what is set replaces what it is laid over.

use super::error::Errors;
use super::reader::Reader;
use crate::sandbox::budget::RunBudget;

/// Lays the limits that are set over `defaults`. Ranges are those of [`RunBudget::MINIMUM`] and [`RunBudget::MAXIMUM`].
pub(super) fn read(
    limits: &Reader<'_, '_>,
    defaults: &RunBudget,
    errors: &mut Errors,
) -> RunBudget {
    let mut budget = defaults.clone();
    let wide = [
        ("time", &mut budget.time_ms),
        ("cpu", &mut budget.cpu_ms),
        ("memory", &mut budget.memory_bytes),
        ("table_elements", &mut budget.table_elements),
        ("host_calls", &mut budget.host_calls),
        ("boundary", &mut budget.boundary_bytes),
        ("log", &mut budget.log_bytes),
        ("output", &mut budget.output_bytes),
        ("http_sent", &mut budget.http_sent_bytes),
        ("http_received", &mut budget.http_received_bytes),
        ("random", &mut budget.random_bytes),
        ("files", &mut budget.files_bytes),
        ("files_count", &mut budget.files_count),
        ("key_value", &mut budget.key_value_bytes),
        ("key_value_keys", &mut budget.key_value_keys),
    ];
    for (name, field) in wide {
        if let Some(number) = limits.number(name, errors) {
            *field = number;
        }
    }
    let narrow = [
        ("instances", &mut budget.instances),
        ("handles", &mut budget.handles),
        ("http_requests", &mut budget.http_requests),
    ];
    for (name, field) in narrow {
        // The range of the key ends below what the field holds.
        if let Some(number) = limits.number(name, errors).and_then(|n| n.try_into().ok()) {
            *field = number;
        }
    }
    if let Some(fuel) = limits.number("fuel", errors) {
        budget.fuel = Some(fuel);
    }
    budget
}
