//! `wasi:sockets` links, because components of other toolchains name it, and is denied at the call: sockets and name look-ups are never granted.

use super::meter::{Meter, escape};
use super::state::RunState;
use std::sync::Arc;
use wasmtime::component::{HasData, Linker, Resource};
use wasmtime_wasi::p2::bindings::sockets::network::{
    ErrorCode, IpAddress, IpAddressFamily, Network,
};
use wasmtime_wasi::p2::bindings::sockets::{
    ip_name_lookup, network, tcp_create_socket, udp_create_socket,
};
use wasmtime_wasi::p2::{DynPollable, SocketError, SocketResult, TcpSocket, UdpSocket};

const ALLOW: &str =
    "nothing can allow this: reach hosts over HTTP, with `http = [{ url = \"https://…\" }]`";

pub(super) struct NoSockets(Arc<Meter>);

struct HasNoSockets;

impl HasData for HasNoSockets {
    type Data<'a> = NoSockets;
}

impl NoSockets {
    fn deny(&self, attempt: String) -> SocketError {
        self.0.deny(
            "sockets",
            attempt,
            "sockets and name look-ups are not available to plugins".into(),
            ALLOW.into(),
        );
        ErrorCode::AccessDenied.into()
    }
}

pub(super) fn link(linker: &mut Linker<RunState>) -> wasmtime::Result<()> {
    let get = |state: &mut RunState| NoSockets(Arc::clone(&state.meter));
    tcp_create_socket::add_to_linker::<RunState, HasNoSockets>(linker, get)?;
    udp_create_socket::add_to_linker::<RunState, HasNoSockets>(linker, get)?;
    ip_name_lookup::add_to_linker::<RunState, HasNoSockets>(linker, get)
}

impl network::Host for NoSockets {
    fn convert_error_code(&mut self, error: SocketError) -> wasmtime::Result<ErrorCode> {
        error.downcast()
    }

    fn network_error_code(
        &mut self,
        _: Resource<wasmtime::Error>,
    ) -> wasmtime::Result<Option<ErrorCode>> {
        Ok(None)
    }
}

impl network::HostNetwork for NoSockets {
    fn drop(&mut self, _: Resource<Network>) -> wasmtime::Result<()> {
        Ok(())
    }
}

impl tcp_create_socket::Host for NoSockets {
    fn create_tcp_socket(&mut self, _: IpAddressFamily) -> SocketResult<Resource<TcpSocket>> {
        Err(self.deny("create a TCP socket".into()))
    }
}

impl udp_create_socket::Host for NoSockets {
    async fn create_udp_socket(&mut self, _: IpAddressFamily) -> SocketResult<Resource<UdpSocket>> {
        Err(self.deny("create a UDP socket".into()))
    }
}

impl ip_name_lookup::Host for NoSockets {
    fn resolve_addresses(
        &mut self,
        _: Resource<Network>,
        name: String,
    ) -> SocketResult<Resource<ip_name_lookup::ResolveAddressStream>> {
        let name: String = name.chars().take(253).collect();
        Err(self.deny(format!("look up `{}`", escape(&name))))
    }
}

impl ip_name_lookup::HostResolveAddressStream for NoSockets {
    fn resolve_next_address(
        &mut self,
        _: Resource<ip_name_lookup::ResolveAddressStream>,
    ) -> SocketResult<Option<IpAddress>> {
        Err(ErrorCode::AccessDenied.into())
    }

    fn subscribe(
        &mut self,
        _: Resource<ip_name_lookup::ResolveAddressStream>,
    ) -> wasmtime::Result<Resource<DynPollable>> {
        Err(wasmtime::Error::msg("no look-up is in progress"))
    }

    fn drop(&mut self, _: Resource<ip_name_lookup::ResolveAddressStream>) -> wasmtime::Result<()> {
        Ok(())
    }
}
