//! Turns a guest's request into an answer, or into a denial, a limit or a failure.
//!
//! The order is the point: count, match the grants, wait for a place, look up and vet, dial,
//! send, hand back. What fails at one step never reaches the next, so a denied request causes no
//! packet. Invariants: no redirect is followed; `Host` and the credential are the gate's; one
//! deadline holds from the guest's call to the last byte. It does not know of WASI.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, Uri, Version, header};
use http_body::Body;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

use super::body::{RequestBody, ResponseBody, UploadFate};
use super::gate::{EgressGate, Route, RouteError};
use super::grant::{Credential, GATE_HEADERS, HttpGrant, Permit, Refusal, Target, denial, permit};
use super::mask::Mask;
use super::meter::{EgressError, HttpEvents, HttpLimits, HttpUsage, Meter, Phase, header_bytes};
use crate::model::now;
use crate::sandbox::meter::Outside;

/// Headers of one answer. The parser reserves room for all of them.
const RESPONSE_HEADERS_MAX: usize = 100;

/// Bounds of [`HttpLimits::response_header_bytes`]; the lower one is the parser's own.
const RESPONSE_HEADER_BYTES: std::ops::RangeInclusive<usize> = 8 * 1024..=1024 * 1024;

/// The guest's own patience. It can only shorten the gate's deadline.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Timeouts {
    pub(super) connect: Option<Duration>,
    pub(super) first_byte: Option<Duration>,
    pub(super) between_bytes: Option<Duration>,
}

/// Moves the bytes of one connection. It ends when the answer was read, at the deadline, or when
/// it is dropped; it holds the request's places, so they come free even if the guest stops reading.
pub(super) type Driver = Pin<Box<dyn Future<Output = Result<(), EgressError>> + Send>>;

/// The way out of one run. Clones share the counters, so the run can read them at its end.
#[derive(Clone)]
pub struct GuestHttp {
    gate: Arc<EgressGate>,
    grants: Arc<[HttpGrant]>,
    meter: Arc<Meter>,
    places: Arc<Semaphore>,
}

impl GuestHttp {
    /// The way out for a run with these grants and limits, which reports to `events`.
    pub fn new(
        gate: Arc<EgressGate>,
        grants: Arc<[HttpGrant]>,
        limits: HttpLimits,
        events: Arc<dyn HttpEvents>,
    ) -> Self {
        let places = Arc::new(Semaphore::new((limits.concurrent as usize).max(1)));
        Self {
            gate,
            grants,
            meter: Arc::new(Meter::new(limits, events)),
            places,
        }
    }

    /// What was used so far.
    pub fn usage(&self) -> HttpUsage {
        self.meter.usage()
    }

    /// Sends a request. The deadline starts now, whenever the future is polled.
    pub(super) fn send<B>(
        &self,
        request: Request<B>,
        timeouts: Timeouts,
    ) -> impl Future<Output = Result<(Response<ResponseBody>, Driver), EgressError>> + Send + use<B>
    where
        B: Body<Data = Bytes> + Send + Unpin + 'static,
    {
        let exchange = Exchange {
            deadline: Instant::now() + self.meter.limits().total(),
            http: self.clone(),
            timeouts,
        };
        async move {
            let deadline = exchange.deadline;
            let meter = Arc::clone(&exchange.http.meter);
            let watched = meter.watches().then(|| Outside::of(&request));
            let answered = exchange.run(request).await.map_err(|error| match error {
                // The guest's own, shorter patience is no limit of the run.
                EgressError::Time(phase) if Instant::now() >= deadline => meter.time(phase),
                error => error,
            });
            if let Some(call) = watched {
                meter.exchanged(call.answered(&answered));
            }
            answered
        }
    }
}

/// A server that is not reached in this time is not there.
const CONNECT_LONG: Duration = Duration::from_secs(5);

impl Outside {
    /// A request that is about to leave: its method and host, as anything more may hold a secret.
    fn of<B>(request: &Request<B>) -> Self {
        let from = now();
        Self {
            what: request.method().to_string().chars().take(20).collect(),
            name: request
                .uri()
                .host()
                .unwrap_or_default()
                .chars()
                .take(253)
                .collect(),
            from,
            to: from,
            status: None,
            error: None,
        }
    }

    fn answered<B, D>(self, answered: &Result<(Response<B>, D), EgressError>) -> Self {
        Self {
            to: now(),
            status: answered
                .as_ref()
                .ok()
                .map(|(response, _)| response.status().as_u16()),
            error: answered.as_ref().err().map(ToString::to_string),
            ..self
        }
    }
}

/// One request on its way.
struct Exchange {
    http: GuestHttp,
    timeouts: Timeouts,
    deadline: Instant,
}

impl Exchange {
    async fn run<B>(
        self,
        request: Request<B>,
    ) -> Result<(Response<ResponseBody>, Driver), EgressError>
    where
        B: Body<Data = Bytes> + Send + Unpin + 'static,
    {
        let meter = &self.http.meter;
        meter.request()?;
        let (target, permit) = self.allowed(&request)?;
        self.charge_request(&request)?;
        // The grants stand for the agent: each has its own.
        let agent = self.http.grants.as_ptr().addr();
        let server = format!("{}:{}", target.host, target.port);
        let gate = Arc::clone(&self.http.gate);
        let trial = gate
            .breaker
            .admit((agent, server), std::time::Instant::now())
            .map_err(|rest| EgressError::Resting(rest.as_secs().max(1)))?;
        let mut connecting = None;
        let answered = self.go(request, &target, permit, &mut connecting).await;
        match &answered {
            Ok((response, _)) if !is_outage(response.status()) => trial.succeeded(),
            Ok(_) => trial.failed(std::time::Instant::now()),
            // The guest may have less patience, or its run less time, than any server needs.
            Err(EgressError::Time(_))
                if connecting.is_none_or(|since: Instant| since.elapsed() < CONNECT_LONG) =>
            {
                drop(trial);
            }
            Err(error) if error.is_outage() => trial.failed(std::time::Instant::now()),
            Err(_) => drop(trial),
        }
        answered
    }

    /// Sends a request that is allowed.
    async fn go<B>(
        &self,
        request: Request<B>,
        target: &Target,
        permit: Permit,
        connecting: &mut Option<Instant>,
    ) -> Result<(Response<ResponseBody>, Driver), EgressError>
    where
        B: Body<Data = Bytes> + Send + Unpin + 'static,
    {
        let meter = &self.http.meter;
        meter.leaving().await;

        // The run's own place first: a flood waits here, not in the queue that all guests share.
        let place = self.place(&self.http.places).await?;
        let shared_place = self.place(&self.http.gate.places).await?;

        *connecting = Some(Instant::now());
        let connect_by = self.by(self.timeouts.connect);
        let gate = &self.http.gate;
        let route = match gate.route(target, &permit.private, connect_by).await {
            Ok(route) => route,
            Err(RouteError::Failed(error)) => return Err(error),
            Err(RouteError::Refused(refusal)) => {
                return Err(self.denied(&refusal, &request, Some(target)));
            }
        };
        let wire = gate.connect(target, &route, connect_by).await?;
        let credential = permit.credential.as_deref().map(Credential::label);
        meter.reaches(
            request.method().as_str(),
            &target.host.to_string(),
            credential,
        );

        let fate = Arc::new(UploadFate::default());
        let request = rewrite(request, target, &route, permit.credential.as_deref())?
            .map(|body| RequestBody::new(body, Arc::clone(meter), Arc::clone(&fate)));
        let header_bytes_max = (meter.limits().response_header_bytes as usize)
            .clamp(*RESPONSE_HEADER_BYTES.start(), *RESPONSE_HEADER_BYTES.end());
        let (mut sender, connection) = http1::Builder::new()
            .max_headers(RESPONSE_HEADERS_MAX)
            .max_header_size(header_bytes_max)
            .max_buf_size(header_bytes_max)
            .handshake(TokioIo::new(wire))
            .await
            .map_err(|_| EgressError::Protocol)?;
        let deadline = self.deadline;
        let mut driver: Driver = Box::pin(async move {
            let _places: [OwnedSemaphorePermit; 2] = [place, shared_place];
            match timeout_at(deadline, connection).await {
                Ok(Ok(())) => Ok(()),
                Ok(Err(_)) => Err(EgressError::Incomplete),
                Err(_) => Err(EgressError::Time(Phase::Body)),
            }
        });

        let sending = sender.send_request(request);
        let head = async {
            tokio::pin!(sending);
            tokio::select! {
                biased;
                response = &mut sending => response,
                _ = &mut driver => {
                    // A finished future must not be polled again by whoever takes it over.
                    driver = Box::pin(std::future::ready(Ok(())));
                    sending.await
                }
            }
        };
        let response = timeout_at(self.by(self.timeouts.first_byte), head)
            .await
            .map_err(|_| EgressError::Time(Phase::Head))?
            .map_err(|error| self.head_error(&error, &fate))?;
        let response = self.receive(response, fate, permit.credential)?;
        Ok((response, driver))
    }

    fn by(&self, patience: Option<Duration>) -> Instant {
        match patience {
            // A guest may ask for 500 years, which no clock can add.
            Some(patience) => {
                let patience = patience.min(self.http.meter.limits().total());
                self.deadline.min(Instant::now() + patience)
            }
            None => self.deadline,
        }
    }

    fn allowed<B>(&self, request: &Request<B>) -> Result<(Target, Permit), EgressError> {
        let target =
            Target::parse(request.uri()).map_err(|refusal| self.denied(&refusal, request, None))?;
        match permit(&self.http.grants, &target, request.method()) {
            Ok(permit) => Ok((target, permit)),
            Err(refusal) => Err(self.denied(&refusal, request, Some(&target))),
        }
    }

    fn denied<B>(
        &self,
        refusal: &Refusal,
        request: &Request<B>,
        target: Option<&Target>,
    ) -> EgressError {
        self.http
            .meter
            .denied(denial(refusal, request.method(), request.uri(), target))
    }

    fn charge_request<B: Body>(&self, request: &Request<B>) -> Result<(), EgressError> {
        let path = request
            .uri()
            .path_and_query()
            .map_or(1, |path| path.as_str().len());
        self.http
            .meter
            .sent(path as u64 + header_bytes(request.headers()))?;
        let announced = request
            .headers()
            .get(header::CONTENT_LENGTH)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.parse::<u64>().ok())
            .unwrap_or(0);
        self.http
            .meter
            .may_send(announced.max(request.body().size_hint().lower()))
    }

    async fn place(&self, places: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit, EgressError> {
        timeout_at(self.deadline, Arc::clone(places).acquire_owned())
            .await
            .map_err(|_| EgressError::Time(Phase::Queue))?
            .map_err(|_| EgressError::Internal("the host is stopping"))
    }

    fn head_error(&self, error: &hyper::Error, fate: &UploadFate) -> EgressError {
        let meter = &self.http.meter;
        if let Some(error) = fate.error(meter) {
            error
        } else if Instant::now() >= self.deadline {
            // The driver closes the connection at the same moment.
            EgressError::Time(Phase::Head)
        } else if error.is_parse_too_large() {
            meter.response_headers()
        } else if error.is_parse() {
            EgressError::Protocol
        } else {
            EgressError::Incomplete
        }
    }

    fn receive(
        &self,
        response: Response<hyper::body::Incoming>,
        fate: Arc<UploadFate>,
        credential: Option<Arc<Credential>>,
    ) -> Result<Response<ResponseBody>, EgressError> {
        let meter = &self.http.meter;
        let (mut parts, body) = response.into_parts();
        if parts.status == StatusCode::SWITCHING_PROTOCOLS {
            // Nobody asked for it, and what follows would not be HTTP.
            return Err(EgressError::Protocol);
        }
        meter.received(header_bytes(&parts.headers))?;
        meter.may_receive(body.size_hint().lower())?;
        strip(&mut parts.headers);
        // hyper keeps the server's reason phrase here, which would pass unmasked.
        parts.extensions.clear();
        let mask = credential.map(Mask::new);
        if let Some(mask) = &mask {
            mask.headers(&mut parts.headers);
        }
        let body = ResponseBody::new(
            body,
            Arc::clone(meter),
            fate,
            mask,
            self.deadline,
            self.timeouts
                .between_bytes
                .map(|patience| patience.min(meter.limits().total())),
        );
        Ok(Response::from_parts(parts, body))
    }
}

/// Whether an answer says that the server is not there: what stands before it answered.
fn is_outage(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT
    )
}

/// Removes what belongs to one connection, and what only the gate may say.
pub(in crate::sandbox) fn strip(headers: &mut HeaderMap) {
    let named: Vec<String> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|name| name.trim().to_ascii_lowercase())
        .collect();
    for name in named {
        headers.remove(name.as_str());
    }
    for name in &GATE_HEADERS {
        headers.remove(name);
    }
}

/// The request as it goes on the wire.
fn rewrite<B>(
    request: Request<B>,
    target: &Target,
    route: &Route<'_>,
    credential: Option<&Credential>,
) -> Result<Request<B>, EgressError> {
    let (mut parts, body) = request.into_parts();
    let unwritable = |_| EgressError::Internal("the request cannot be written");
    let headers = &mut parts.headers;
    strip(headers);
    let host = HeaderValue::from_str(&target.authority())
        .map_err(|_| EgressError::Internal("the host cannot be written"))?;
    headers.insert(header::HOST, host);
    headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    if let Some(credential) = credential {
        // A compressed answer, or one fetched piece by piece, would carry the secret past the mask.
        headers.insert(
            header::ACCEPT_ENCODING,
            HeaderValue::from_static("identity"),
        );
        headers.remove(header::RANGE);
        headers.remove(header::IF_RANGE);
        headers.insert(credential.header().clone(), credential.value().clone());
    }
    parts.uri = match route.proxy {
        Some(proxy) if !target.is_https() => {
            if let Some(value) = proxy.authorization() {
                headers.insert(header::PROXY_AUTHORIZATION, value.clone());
            }
            target.absolute_form().parse::<Uri>().map_err(unwritable)?
        }
        _ => target.path_and_query().parse::<Uri>().map_err(unwritable)?,
    };
    parts.version = Version::HTTP_11;
    parts.extensions.clear();
    Ok(Request::from_parts(parts, body))
}
