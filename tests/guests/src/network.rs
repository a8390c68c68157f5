//! Cases that reach for the network: HTTP through the host's gate, and sockets and name look-ups, which no grant opens.

use crate::input::{Answer, Input, observed};
use infinity_sdk::http::Request;
use infinity_sdk::prelude::*;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use wasip2::http::outgoing_handler;
use wasip2::http::types::{
    ErrorCode as HttpError, Fields, FutureIncomingResponse, Method, OutgoingBody, OutgoingRequest,
    RequestOptions, Scheme,
};
use wasip2::sockets::network::{
    ErrorCode, IpAddressFamily, IpSocketAddress, Ipv4SocketAddress, Ipv6SocketAddress,
};
use wasip2::sockets::{
    instance_network::instance_network, ip_name_lookup, tcp_create_socket, udp, udp_create_socket,
};

fn send(request: &Request) -> Value {
    match request.send() {
        Ok(response) => json!({
            "status": response.status,
            "headers": response.headers,
            "len": response.body.len(),
            "body_prefix": String::from_utf8_lossy(&response.body[..response.body.len().min(1024)]),
        }),
        Err(error) => json!({ "error": format!("{error:?}") }),
    }
}

/// Sends one request: `method`, `url`, `headers` (pairs), `body`, `max_bytes` of the answer.
pub(crate) fn http(input: &Input) -> Answer {
    let mut request = Request::new(input.text_or("method", "GET"), input.text("url")?);
    let pairs = input.get("headers").and_then(Value::as_array);
    for pair in pairs.into_iter().flatten() {
        if let (Some(name), Some(value)) = (pair[0].as_str(), pair[1].as_str()) {
            request = request.header(name, value);
        }
    }
    request.max_response_bytes = input.size_or("max_bytes", 1024 * 1024);
    observed(&send(&request.body(input.text_or("body", ""))))
}

/// Sends a `GET` to each of `urls`, one after the other.
pub(crate) fn http_each(input: &Input) -> Answer {
    let answers: Vec<_> = input
        .texts("urls")
        .into_iter()
        .map(|url| json!({ "url": url, "answer": send(&Request::get(url)) }))
        .collect();
    observed(&json!({ "answers": answers }))
}

/// Splits a plain `http` or `https` URL into scheme, authority and path.
fn split(url: &str) -> Result<(Scheme, &str, &str), Failure> {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", ""));
    let scheme = match scheme {
        "http" => Scheme::Http,
        "https" => Scheme::Https,
        _ => return Err(Failure::InvalidInput(format!("`{url}` is no URL"))),
    };
    let at = rest.find('/').unwrap_or(rest.len());
    let (authority, path) = rest.split_at(at);
    Ok((scheme, authority, if path.is_empty() { "/" } else { path }))
}

/// Makes a request by hand; the SDK's client would wait for the answer.
fn outgoing(url: &str, method: &Method) -> Result<OutgoingRequest, Failure> {
    let (scheme, authority, path) = split(url)?;
    let refused = |()| Failure::InvalidInput(format!("`{url}` is refused by the host"));
    let request = OutgoingRequest::new(Fields::new());
    request.set_method(method).map_err(refused)?;
    request.set_scheme(Some(&scheme)).map_err(refused)?;
    request.set_authority(Some(authority)).map_err(refused)?;
    request.set_path_with_query(Some(path)).map_err(refused)?;
    Ok(request)
}

/// Waits for an answer and says its status, or the error in words.
fn status(pending: &FutureIncomingResponse) -> String {
    pending.subscribe().block();
    match pending.get() {
        Some(Ok(Ok(response))) => response.status().to_string(),
        Some(Ok(Err(error))) => format!("{error:?}"),
        Some(Err(())) | None => "no answer".into(),
    }
}

/// Starts `count` requests to `url` and keeps them all open; waits for them only where `wait` is set.
pub(crate) fn http_concurrent(input: &Input) -> Answer {
    let url = input.text("url")?;
    let count = input.number_or("count", 10_000);
    let mut pending = Vec::new();
    let mut refused: BTreeMap<String, u64> = BTreeMap::new();
    for _ in 0..count {
        match outgoing_handler::handle(outgoing(url, &Method::Get)?, None) {
            Ok(future) => pending.push(future),
            Err(error) => *refused.entry(format!("{error:?}")).or_default() += 1,
        }
    }
    let started = pending.len();
    let mut answers: BTreeMap<String, u64> = BTreeMap::new();
    if input.flag("wait") {
        for future in &pending {
            *answers.entry(status(future)).or_default() += 1;
        }
    }
    observed(&json!({ "started": started, "refused": refused, "answers": answers }))
}

/// Asks for timeouts without end, then sends a `GET` to `url` and waits.
pub(crate) fn http_long_timeouts(input: &Input) -> Answer {
    let options = RequestOptions::new();
    let accepted = [
        options.set_connect_timeout(Some(u64::MAX)).is_ok(),
        options.set_first_byte_timeout(Some(u64::MAX)).is_ok(),
        options.set_between_bytes_timeout(Some(u64::MAX)).is_ok(),
    ];
    let request = outgoing(input.text("url")?, &Method::Get)?;
    let answer = match outgoing_handler::handle(request, Some(options)) {
        Ok(pending) => status(&pending),
        Err(error) => format!("{error:?}"),
    };
    observed(&json!({ "accepted": accepted, "answer": answer }))
}

/// Sends a body to `url` that ends only at an error or at `max_bytes`.
pub(crate) fn http_upload_endless(input: &Input) -> Answer {
    /// The most that one `blocking-write-and-flush` takes.
    const CHUNK: usize = 4096;
    let most = input.number_or("max_bytes", u64::MAX);
    let request = outgoing(input.text("url")?, &Method::Post)?;
    let broken = |()| Failure::Other("the body was taken twice".into());
    let body = request.body().map_err(broken)?;
    let pending = match outgoing_handler::handle(request, None) {
        Ok(pending) => pending,
        Err(error) => return observed(&json!({ "sent": 0, "error": format!("{error:?}") })),
    };
    let stream = body.write().map_err(broken)?;
    let mut sent = 0_u64;
    let mut write_error = None;
    while sent < most {
        if let Err(error) = stream.blocking_write_and_flush(&[b'u'; CHUNK]) {
            write_error = Some(format!("{error:?}"));
            break;
        }
        sent += CHUNK as u64;
    }
    drop(stream);
    let finished: Result<(), HttpError> = OutgoingBody::finish(body, None);
    observed(&json!({
        "sent": sent,
        "error": write_error,
        "finish": finished.err().map(|error| format!("{error:?}")),
        "answer": status(&pending),
    }))
}

/// Looks `name` up.
pub(crate) fn resolve_name(input: &Input) -> Answer {
    let network = instance_network();
    let lookup = match ip_name_lookup::resolve_addresses(&network, input.text("name")?) {
        Ok(lookup) => lookup,
        Err(error) => return observed(&json!({ "error": error.name(), "addresses": [] })),
    };
    let mut addresses = Vec::new();
    let error = loop {
        match lookup.resolve_next_address() {
            Ok(Some(address)) => addresses.push(format!("{address:?}")),
            Ok(None) => break None,
            Err(ErrorCode::WouldBlock) => lookup.subscribe().block(),
            Err(error) => break Some(error.name()),
        }
    };
    observed(&json!({ "error": error, "addresses": addresses }))
}

/// The address `addr` in WASI's terms, with its family and the unspecified address to bind to.
fn address(input: &Input) -> Result<(IpAddressFamily, IpSocketAddress, IpSocketAddress), Failure> {
    let text = input.text("addr")?;
    let convert = |address: SocketAddr| match address {
        SocketAddr::V4(v4) => IpSocketAddress::Ipv4(Ipv4SocketAddress {
            port: v4.port(),
            address: v4.ip().octets().into(),
        }),
        SocketAddr::V6(v6) => IpSocketAddress::Ipv6(Ipv6SocketAddress {
            port: v6.port(),
            flow_info: v6.flowinfo(),
            address: v6.ip().segments().into(),
            scope_id: v6.scope_id(),
        }),
    };
    let remote: SocketAddr = text
        .parse()
        .map_err(|_| Failure::InvalidInput(format!("`{text}` is no address with a port")))?;
    let (family, any) = match remote {
        SocketAddr::V4(_) => (IpAddressFamily::Ipv4, SocketAddr::from(([0_u8; 4], 0))),
        SocketAddr::V6(_) => (IpAddressFamily::Ipv6, SocketAddr::from(([0_u16; 8], 0))),
    };
    Ok((family, convert(remote), convert(any)))
}

/// Says at which step it ended, and how.
fn step(name: &str, result: Result<(), ErrorCode>) -> Answer {
    observed(&json!({ "step": name, "error": result.err().map(|error| error.name()) }))
}

/// Connects to `addr` over TCP.
pub(crate) fn tcp_connect(input: &Input) -> Answer {
    let (family, remote, _) = address(input)?;
    let network = instance_network();
    let socket = match tcp_create_socket::create_tcp_socket(family) {
        Ok(socket) => socket,
        Err(error) => return step("create", Err(error)),
    };
    if let Err(error) = socket.start_connect(&network, remote) {
        return step("start_connect", Err(error));
    }
    loop {
        match socket.finish_connect() {
            Ok(_) => return step("connected", Ok(())),
            Err(ErrorCode::WouldBlock) => socket.subscribe().block(),
            Err(error) => return step("finish_connect", Err(error)),
        }
    }
}

/// Sends one datagram to `addr`.
pub(crate) fn udp_send(input: &Input) -> Answer {
    let (family, remote, any) = address(input)?;
    let network = instance_network();
    let socket = match udp_create_socket::create_udp_socket(family) {
        Ok(socket) => socket,
        Err(error) => return step("create", Err(error)),
    };
    if let Err(error) = socket.start_bind(&network, any) {
        return step("start_bind", Err(error));
    }
    loop {
        match socket.finish_bind() {
            Ok(()) => break,
            Err(ErrorCode::WouldBlock) => socket.subscribe().block(),
            Err(error) => return step("finish_bind", Err(error)),
        }
    }
    let (_incoming, outgoing) = match socket.stream(None) {
        Ok(streams) => streams,
        Err(error) => return step("stream", Err(error)),
    };
    if let Err(error) = outgoing.check_send() {
        return step("check_send", Err(error));
    }
    let datagram = udp::OutgoingDatagram {
        data: b"tricked".to_vec(),
        remote_address: Some(remote),
    };
    step("send", outgoing.send(&[datagram]).map(|_| ()))
}
