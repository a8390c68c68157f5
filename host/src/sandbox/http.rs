//! The egress gate: turns a guest's `wasi:http` request into an answer from a granted host.
//!
//! This file joins the gate to wasmtime-wasi-http; the work is in the files below it, which know
//! nothing of WASI: `grant` (what is allowed), `address` (what may be dialled), `gate` (look-up,
//! TLS, proxy), `egress` (one request), `body`, `mask` and `meter` (what passes).
//!
//! Invariants: the allow-list comes before any look-up; a name is looked up once and a vetted
//! address is dialled; no redirect is followed, nothing is decompressed, no connection is shared;
//! every count and every wait has an end; a guest never sees a credential. A server that encodes a
//! credential before sending it back can still reveal it: grant credentials to hosts you trust.
//!
//! To link it: `wasmtime_wasi_http::p2::add_only_http_to_linker_async`, with the store's data as
//! `WasiHttpView` whose `hooks` is its [`GuestHttp`].

mod address;
mod body;
mod breaker;
mod egress;
mod gate;
mod grant;
mod mask;
mod meter;
#[cfg(test)]
mod socket_tests;

use http::Request;
use http::uri::Scheme;
use http_body_util::BodyExt;
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpHooks};

pub use self::egress::GuestHttp;
pub(super) use self::egress::strip;
pub use self::gate::{
    DEFAULT_CONNECTIONS, EgressGate, GateError, GateSettings, Resolver, SystemResolver,
};
#[cfg(any(test, fuzzing))]
pub(crate) use self::grant::{Asked, granted};
pub use self::grant::{Credential, DenialReason, GrantError, HttpDenial, HttpGrant};
pub use self::meter::{HttpEvents, HttpLimits, HttpUsage};

use self::address::AddressRefusal;
use self::egress::Timeouts;
use self::meter::{EgressError, Phase};

/// Largest single write into a request's body, in bytes: two of them are buffered per request,
/// outside the guest's own memory.
const OUTGOING_CHUNK_BYTES: usize = 64 * 1024;

/// Whether the host itself may dial an address when somebody else named it; `private` says which ranges may be dialled besides public addresses.
///
/// # Errors
/// What kind of address it is, for people.
pub(crate) fn vet(address: std::net::IpAddr, private: &[ipnet::IpNet]) -> Result<(), String> {
    address::vet((address, 0).into(), private, &[]).map_err(|refusal| match refusal {
        AddressRefusal::NotGranted(ip) => match address::classify(ip) {
            address::AddressClass::Private(kind) | address::AddressClass::Never(kind) => {
                format!("{ip} is {kind}")
            }
            address::AddressClass::Public => format!("{ip} leads to an address that is not public"),
        },
        AddressRefusal::Never(ip, kind) => format!("{ip} is {kind}"),
        AddressRefusal::OwnListener(own) => format!("{own} is this host itself"),
    })
}

type Answer = (http::Response<WasiBody>, Work);
type Work = Box<dyn Future<Output = Result<(), Error>> + Send>;

impl WasiHttpHooks for GuestHttp {
    fn is_supported_scheme(&mut self, _: &Scheme) -> bool {
        // A foreign scheme is refused below, where it is recorded as a denial.
        true
    }

    fn set_host_header(&mut self) -> bool {
        // The gate writes it from the normalised host.
        false
    }

    fn p2_outgoing_body_chunk_size(&mut self) -> usize {
        OUTGOING_CHUNK_BYTES
    }

    fn send_request(
        &mut self,
        request: Request<WasiBody>,
        options: Option<RequestOptions>,
        _received: Work,
    ) -> Box<dyn Future<Output = Result<Answer, Error>> + Send> {
        let options = options.unwrap_or_default();
        let timeouts = Timeouts {
            connect: options.connect_timeout,
            first_byte: options.first_byte_timeout,
            between_bytes: options.between_bytes_timeout,
        };
        let sending = self.send(request, timeouts);
        Box::new(async move {
            let (response, driver) = sending.await.map_err(wasi_error)?;
            let response = response.map(|body| body.map_err(wasi_error).boxed_unsync());
            let work: Work = Box::new(async move {
                // Whoever reads the body hears of a failure; here it would be logged for each
                // connection that a guest or a server breaks.
                let _ = driver.await;
                Ok(())
            });
            Ok((response, work))
        })
    }
}

/// The error that the guest sees. It tells a denial from a failure, and nothing about the network
/// behind the gate beyond that.
fn wasi_error(error: EgressError) -> Error {
    match error {
        EgressError::Denied(DenialReason::PrivateAddress | DenialReason::OwnListener) => {
            Error::DestinationIpProhibited
        }
        EgressError::Denied(_) => Error::HttpRequestDenied,
        EgressError::Requests(_) => Error::ConnectionLimitReached,
        EgressError::RequestBytes(max) => Error::HttpRequestBodySize(Some(max)),
        EgressError::ResponseBytes(max) => Error::HttpResponseBodySize(Some(max)),
        EgressError::ResponseHeaders(max) => Error::HttpResponseHeaderSectionSize(Some(max)),
        EgressError::Time(Phase::Queue | Phase::Connect) => Error::ConnectionTimeout,
        EgressError::Time(Phase::Lookup) => Error::DnsTimeout,
        EgressError::Time(Phase::Head | Phase::Body) => Error::HttpResponseTimeout,
        EgressError::Time(Phase::BetweenBytes) => Error::ConnectionReadTimeout,
        EgressError::Lookup(_) | EgressError::NoAddress => Error::DnsError {
            rcode: None,
            info_code: None,
        },
        EgressError::Connect(error) => match error.kind() {
            std::io::ErrorKind::ConnectionRefused => Error::ConnectionRefused,
            std::io::ErrorKind::TimedOut => Error::ConnectionTimeout,
            _ => Error::DestinationUnavailable,
        },
        EgressError::Tls(error) => {
            let cause = error
                .get_ref()
                .and_then(|cause| cause.downcast_ref::<rustls::Error>());
            match cause {
                Some(rustls::Error::InvalidCertificate(_)) => Error::TlsCertificateError,
                _ => Error::TlsProtocolError,
            }
        }
        EgressError::Proxy(_) | EgressError::Resting(_) => Error::DestinationUnavailable,
        EgressError::Incomplete => Error::HttpResponseIncomplete,
        EgressError::Protocol | EgressError::RequestBody => Error::HttpProtocolError,
        EgressError::Internal(why) => Error::InternalError(Some(why.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;
    use std::sync::Arc;

    use http_body_util::Empty;

    use super::*;

    struct Deaf;

    impl HttpEvents for Deaf {
        fn denied(&self, _: HttpDenial) {}
        fn limit(&self, _: &'static str) {}
    }

    #[tokio::test]
    async fn the_guest_is_told_of_a_denial() {
        let gate = Arc::new(EgressGate::new(GateSettings::default()).expect("a gate"));
        let literal = HttpGrant::parse("http://127.0.0.1", &[], &[]).expect("valid");
        let mut http = GuestHttp::new(
            gate,
            vec![literal].into(),
            HttpLimits::default(),
            Arc::new(Deaf),
        );
        for (url, expected) in [
            ("https://a.test/", "HTTP request denied"),
            ("gopher://a.test/", "HTTP request denied"),
            ("http://127.0.0.1/", "destination IP address is prohibited"),
        ] {
            let body = Empty::new().map_err(|never| match never {}).boxed_unsync();
            let request = Request::get(url).body(body).expect("a request");
            let sending = http.send_request(request, None, Box::new(async { Ok(()) }));
            let error = Pin::from(sending).await.err().expect(url);
            assert_eq!(error.to_string(), expected, "{url}");
        }
        assert_eq!(http.usage().denied, 3);
    }
}
