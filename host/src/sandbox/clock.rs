//! Clocks and randomness that follow from a number, for code that is judged: it sees the same moment and the same dice whenever it runs.
//!
//! Time is counted, not measured: each look at a clock takes a microsecond, and who sleeps is woken at once, that much later. A program that waits for an hour costs nothing, and
//! one that asks how long it took learns nothing of the machine.

use super::state::RunState;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use wasmtime::component::{HasData, Linker, Resource, ResourceTable};
use wasmtime_wasi::clocks::{HostMonotonicClock, HostWallClock, WasiClocksCtxView};
use wasmtime_wasi::p2::bindings::clocks::monotonic_clock;
use wasmtime_wasi::p2::{DynPollable, Pollable, subscribe};

/// What a look at a clock takes, in nanoseconds: a loop that waits for a moment comes to its end.
const LOOK_NS: u64 = 1_000;

/// The first moment, in seconds since 1970: 2026-01-01T00:00:00Z.
const BEGINNING: u64 = 1_767_225_600;

/// Seconds between the first moments of two seeds: another month sooner or later, another day of the week, and another hour, minute and second.
const SEED_STEP: u64 = 40 * 86_400 + 3_661;

/// Where clocks and dice come from instead of the machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fixed {
    /// Any number; 0 for the moment and the dice that documents speak of.
    pub seed: u64,
}

/// Nanoseconds that have passed inside.
#[derive(Clone, Debug, Default)]
pub(super) struct Counted(Arc<AtomicU64>);

impl Counted {
    fn look(&self) -> u64 {
        self.0.fetch_add(LOOK_NS, Ordering::Relaxed)
    }

    fn later(&self, moment: u64) {
        self.0.fetch_max(moment, Ordering::Relaxed);
    }
}

/// The time of day.
pub(super) struct WallClock {
    counted: Counted,
    beginning: Duration,
}

impl WallClock {
    pub(super) fn new(counted: Counted, fixed: Fixed) -> Self {
        Self {
            counted,
            beginning: Duration::from_secs(
                BEGINNING.saturating_add((fixed.seed % 1_000).saturating_mul(SEED_STEP)),
            ),
        }
    }
}

impl HostWallClock for WallClock {
    fn resolution(&self) -> Duration {
        Duration::from_nanos(LOOK_NS)
    }

    fn now(&self) -> Duration {
        self.beginning + Duration::from_nanos(self.counted.look())
    }
}

impl HostMonotonicClock for Counted {
    fn resolution(&self) -> u64 {
        LOOK_NS
    }

    fn now(&self) -> u64 {
        self.look()
    }
}

/// `wasi:clocks/monotonic-clock`, which sleeps for real or only counts.
pub(super) struct Monotonic<'a> {
    inner: WasiClocksCtxView<'a>,
    counted: Option<Counted>,
}

struct HasMonotonic;

impl HasData for HasMonotonic {
    type Data<'a> = Monotonic<'a>;
}

impl RunState {
    fn monotonic(&mut self) -> Monotonic<'_> {
        Monotonic {
            counted: self.counted.clone(),
            inner: self.wasi_clocks(),
        }
    }

    fn wasi_clocks(&mut self) -> WasiClocksCtxView<'_> {
        WasiClocksCtxView {
            ctx: self.wasi.clocks(),
            table: &mut self.table,
        }
    }
}

pub(super) fn link(linker: &mut Linker<RunState>) -> wasmtime::Result<()> {
    monotonic_clock::add_to_linker::<RunState, HasMonotonic>(linker, RunState::monotonic)
}

impl monotonic_clock::Host for Monotonic<'_> {
    fn now(&mut self) -> wasmtime::Result<u64> {
        monotonic_clock::Host::now(&mut self.inner)
    }

    fn resolution(&mut self) -> wasmtime::Result<u64> {
        monotonic_clock::Host::resolution(&mut self.inner)
    }

    fn subscribe_instant(&mut self, when: u64) -> wasmtime::Result<Resource<DynPollable>> {
        match self.counted.clone() {
            Some(counted) => wake(self.inner.table, counted, when),
            None => monotonic_clock::Host::subscribe_instant(&mut self.inner, when),
        }
    }

    fn subscribe_duration(&mut self, duration: u64) -> wasmtime::Result<Resource<DynPollable>> {
        match self.counted.clone() {
            Some(counted) => {
                let when = counted.look().saturating_add(duration);
                wake(self.inner.table, counted, when)
            }
            None => monotonic_clock::Host::subscribe_duration(&mut self.inner, duration),
        }
    }
}

/// Who waits for it makes the moment come.
struct Moment {
    counted: Counted,
    when: u64,
}

#[wasmtime_wasi::async_trait]
impl Pollable for Moment {
    async fn ready(&mut self) {
        // A guest that does nothing but wait leaves its thread to others, and its time limit a chance.
        tokio::task::yield_now().await;
        self.counted.later(self.when);
    }
}

fn wake(
    table: &mut ResourceTable,
    counted: Counted,
    when: u64,
) -> wasmtime::Result<Resource<DynPollable>> {
    let moment = table.push(Moment { counted, when })?;
    subscribe(table, moment)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_passes_by_looking_and_by_waiting_alone() {
        let counted = Counted::default();
        let clock = WallClock::new(counted.clone(), Fixed::default());
        let first = clock.now();
        assert_eq!(first.as_secs(), BEGINNING);
        assert_eq!((clock.now() - first).as_nanos(), u128::from(LOOK_NS));
        counted.later(3_600_000_000_000);
        assert_eq!(clock.now().as_secs(), BEGINNING + 3_600);
        counted.later(5);
        assert!(HostMonotonicClock::now(&counted) > 3_600_000_000_000);
        let other = WallClock::new(Counted::default(), Fixed { seed: 1 });
        assert_eq!(other.now().as_secs(), BEGINNING + SEED_STEP);
    }
}
