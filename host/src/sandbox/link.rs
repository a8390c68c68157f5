//! One linker for each engine: everything the host knows is linked, and each capability decides at the call. A component that imports something else is refused
//! before, with all such names.

use super::contract;
use super::state::RunState;
use super::{clock, files, random, sockets};
use wasmtime::Engine;
use wasmtime::component::{HasSelf, Linker};

/// Links every interface that the host knows.
///
/// # Errors
/// Only when two of them clash, which is a bug.
pub(super) fn linker(engine: &Engine) -> wasmtime::Result<Linker<RunState>> {
    let mut linker = Linker::new(engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker)?;
    // The host's own versions of these stand in front of wasmtime-wasi's.
    linker.allow_shadowing(true);
    clock::link(&mut linker)?;
    files::link(&mut linker)?;
    random::link(&mut linker)?;
    sockets::link(&mut linker)?;
    linker.allow_shadowing(false);
    contract::agent::Agent::add_to_linker::<RunState, HasSelf<RunState>>(&mut linker, |state| {
        state
    })?;
    let linked = &mut linker;
    use contract::code::infinity::agent as code;
    code::code_types::add_to_linker::<RunState, HasSelf<RunState>>(linked, |state| state)?;
    code::testing::add_to_linker::<RunState, HasSelf<RunState>>(linked, |state| state)?;
    code::peer::add_to_linker::<RunState, HasSelf<RunState>>(linked, |state| state)?;
    Ok(linker)
}

/// The interface holds types only.
impl contract::agent::infinity::agent::types::Host for RunState {}
