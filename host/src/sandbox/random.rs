//! `wasi:random` with the run's own total: wasmtime-wasi's limit holds per call.

use super::meter::Meter;
use super::state::RunState;
use std::sync::Arc;
use wasmtime::component::{HasData, Linker};
use wasmtime_wasi::p2::bindings::random::{insecure, insecure_seed, random};
use wasmtime_wasi::random::WasiRandomCtx;

pub(super) struct Random<'a> {
    inner: &'a mut WasiRandomCtx,
    meter: Arc<Meter>,
}

struct HasRandom;

impl HasData for HasRandom {
    type Data<'a> = Random<'a>;
}

impl RunState {
    fn random(&mut self) -> Random<'_> {
        Random {
            meter: Arc::clone(&self.meter),
            inner: self.wasi.random(),
        }
    }
}

pub(super) fn link(linker: &mut Linker<RunState>) -> wasmtime::Result<()> {
    random::add_to_linker::<RunState, HasRandom>(linker, RunState::random)?;
    insecure::add_to_linker::<RunState, HasRandom>(linker, RunState::random)?;
    insecure_seed::add_to_linker::<RunState, HasRandom>(linker, RunState::random)
}

impl random::Host for Random<'_> {
    fn get_random_bytes(&mut self, len: u64) -> wasmtime::Result<Vec<u8>> {
        self.meter.random(len)?;
        random::Host::get_random_bytes(self.inner, len)
    }

    fn get_random_u64(&mut self) -> wasmtime::Result<u64> {
        self.meter.random(8)?;
        random::Host::get_random_u64(self.inner)
    }
}

impl insecure::Host for Random<'_> {
    fn get_insecure_random_bytes(&mut self, len: u64) -> wasmtime::Result<Vec<u8>> {
        self.meter.random(len)?;
        insecure::Host::get_insecure_random_bytes(self.inner, len)
    }

    fn get_insecure_random_u64(&mut self) -> wasmtime::Result<u64> {
        self.meter.random(8)?;
        insecure::Host::get_insecure_random_u64(self.inner)
    }
}

impl insecure_seed::Host for Random<'_> {
    fn insecure_seed(&mut self) -> wasmtime::Result<(u64, u64)> {
        insecure_seed::Host::insecure_seed(self.inner)
    }
}
