//! Components that answer HTTP (`wasi:http/incoming-handler`): one request, one store.
//!
//! The guest's body is moved to the client inside the guest's own future: counted, within the run's time, and with an end of its own, because
//! wasmtime-wasi-http ends a body cleanly when its store is dropped, which would make an answer that was cut look whole.

use super::call::Answer;
use super::http::strip;
use super::meter::{Meter, escape};
use super::outcome::ClientGone;
use super::state::RunState;
use crate::model::Limit;
use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode, header};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::sync::{mpsc, oneshot};
use wasmtime::Store;
use wasmtime::component::Instance;
use wasmtime_wasi_http::p2::bindings::ProxyIndices;
use wasmtime_wasi_http::p2::bindings::http::types::{ErrorCode, Scheme};
use wasmtime_wasi_http::p2::body::HyperOutgoingBody;
use wasmtime_wasi_http::{WasiBody, WasiHttpView as _};

/// Chunks between the guest and the connection.
const FRAMES: usize = 1;

/// The answer's head and body, or what the guest said instead of one.
pub type Head = Result<Response<ServedBody>, String>;

type Told = Result<Response<HyperOutgoingBody>, ErrorCode>;

/// A request on its way to a guest.
pub(super) struct Exchange {
    pub(super) request: Request<WasiBody>,
    pub(super) head: oneshot::Sender<Head>,
}

/// What is left to do when the guest is done; it needs no store.
pub(super) type Rest = Pin<Box<dyn Future<Output = wasmtime::Result<Answer>> + Send>>;

/// How far a call got.
pub(super) enum Flow {
    /// To its end.
    Ended(Answer),
    /// The guest is done and the client has not everything yet.
    Rest(Rest),
}

/// Lets the guest answer.
pub(super) async fn handle(
    store: &mut Store<RunState>,
    indices: &ProxyIndices,
    instance: &Instance,
    exchange: Exchange,
    meter: Arc<Meter>,
) -> wasmtime::Result<Flow> {
    let Exchange { mut request, head } = exchange;
    let proxy = indices.load(&mut *store, instance)?;
    // The authority is read from it; the guest never sees the header itself.
    let host = request.headers_mut().remove(header::HOST);
    strip(request.headers_mut());
    // Browsers send the cookies of everything on this machine, whatever the port.
    request.headers_mut().remove(header::COOKIE);
    if let Some(host) = host {
        request.headers_mut().insert(header::HOST, host);
    }
    let asked_head = request.method() == Method::HEAD;
    let (sender, told) = oneshot::channel();
    let (request, outparam) = {
        let mut view = store.data_mut().http();
        (
            view.new_incoming_request(Scheme::Http, request)?,
            view.new_response_outparam(sender)?,
        )
    };
    let mut rest: Rest = Box::pin(forward(told, head, asked_head, meter));
    let handler = proxy.wasi_http_incoming_handler();
    let mut guest = pin!(handler.call_handle(&mut *store, request, outparam));
    tokio::select! {
        biased;
        answer = &mut rest => {
            // The client has everything, or is gone; the guest may work on after its answer.
            let answer = answer?;
            guest.await?;
            Ok(Flow::Ended(answer))
        }
        called = &mut guest => {
            // After a trap the rest is dropped without its end, so the client sees a broken answer.
            called?;
            Ok(Flow::Rest(rest))
        }
    }
}

/// Moves the answer to the client.
async fn forward(
    told: oneshot::Receiver<Told>,
    mut head: oneshot::Sender<Head>,
    asked_head: bool,
    meter: Arc<Meter>,
) -> wasmtime::Result<Answer> {
    let told = tokio::select! {
        biased;
        () = head.closed() => return Err(ClientGone.into()),
        told = told => told,
    };
    let response = match told {
        Ok(Ok(response)) => response,
        Ok(Err(code)) => return Ok(refuse(head, &format!("the handler gave up: {code:?}"))),
        Err(_) => return Ok(refuse(head, "the handler gave no answer")),
    };
    let (mut parts, mut body) = response.into_parts();
    if parts.status.is_informational() {
        return Ok(refuse(head, "the handler answered with a 1xx status"));
    }
    strip(&mut parts.headers);
    // They would go to, or take away from, everything else on this machine.
    parts.headers.remove(header::SET_COOKIE);
    parts.headers.remove("clear-site-data");
    let Ok(length) = take_length(&mut parts.headers) else {
        return Ok(refuse(head, "the handler's `content-length` is no number"));
    };
    let no_body = matches!(
        parts.status,
        StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED
    );
    let bodiless = asked_head || no_body;
    let empty = body.is_end_stream();
    if empty && !bodiless && length.is_some_and(|length| length > 0) {
        return Ok(refuse(head, "the handler announced a body and gave none"));
    }
    if let Some(length) = length.filter(|_| !no_body) {
        parts.headers.insert(header::CONTENT_LENGTH, length.into());
    }
    let status = parts.status.as_u16();
    let open = !(bodiless || empty || length == Some(0));
    let (sender, receiver) = mpsc::channel(FRAMES);
    let served = ServedBody {
        frames: open.then_some(receiver),
        left: length.filter(|_| open),
    };
    if head.send(Ok(Response::from_parts(parts, served))).is_err() {
        return Err(ClientGone.into());
    }
    let mut sender = open.then_some(sender);
    let mut sent = 0_u64;
    loop {
        let frame = match &sender {
            Some(sender) => tokio::select! {
                biased;
                () = sender.closed() => return Err(ClientGone.into()),
                frame = body.frame() => frame,
            },
            // Read on: a guest whose body is dropped gets an error from its last flush.
            None => body.frame().await,
        };
        let Some(client) = &sender else {
            match frame {
                Some(Ok(_)) => continue,
                None | Some(Err(_)) => return Ok(Answer::Served { status }),
            }
        };
        match frame {
            None if length.is_none() => {
                let _ = client.send(None).await;
                return Ok(Answer::Served { status });
            }
            None | Some(Err(_)) => {
                return Ok(Answer::Error(
                    "the handler left its answer unfinished".into(),
                ));
            }
            Some(Ok(frame)) => {
                // Trailers end here, as at the egress gate: the header that announces them is stripped.
                let Ok(mut data) = frame.into_data() else {
                    continue;
                };
                if let Some(length) = length {
                    data.truncate(usize::try_from(length - sent).unwrap_or(usize::MAX));
                }
                let bytes = data.len() as u64;
                if !meter.charge_output(bytes) {
                    return Err(meter.stop(
                        Limit::Output,
                        format!(
                            "the answer has more than {} bytes",
                            meter.budget.output_bytes
                        ),
                    ));
                }
                client.send(Some(data)).await.map_err(|_| ClientGone)?;
                sent += bytes;
                if length == Some(sent) {
                    sender = None;
                }
            }
        }
    }
}

fn refuse(head: oneshot::Sender<Head>, why: &str) -> Answer {
    let why = escape(why);
    let _ = head.send(Err(why.clone()));
    Answer::Error(why)
}

/// Takes the announced length out of the head: hyper trusts it, whatever the body has.
fn take_length(headers: &mut HeaderMap) -> Result<Option<u64>, ()> {
    let Some(value) = headers.remove(header::CONTENT_LENGTH) else {
        return Ok(None);
    };
    let text = value.to_str().map_err(|_| ())?;
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(());
    }
    text.parse().map(Some).map_err(|_| ())
}

/// A guest's answer as it comes. Dropping it before its end ends the guest.
#[derive(Debug)]
pub struct ServedBody {
    /// `None` in the channel is the end; a channel that closes without one was cut.
    frames: Option<mpsc::Receiver<Option<Bytes>>>,
    left: Option<u64>,
}

/// The guest was stopped before its answer was whole.
#[derive(Debug, thiserror::Error)]
#[error("the answer was cut")]
pub struct Cut;

impl Body for ServedBody {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        let this = &mut *self;
        let Some(frames) = &mut this.frames else {
            return Poll::Ready(None);
        };
        match ready!(frames.poll_recv(context)) {
            Some(Some(data)) => {
                if let Some(left) = &mut this.left {
                    *left = left.saturating_sub(data.len() as u64);
                    if *left == 0 {
                        this.frames = None;
                    }
                }
                Poll::Ready(Some(Ok(Frame::data(data))))
            }
            Some(None) => {
                this.frames = None;
                Poll::Ready(None)
            }
            None => {
                this.frames = None;
                Poll::Ready(Some(Err(Cut)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.frames.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        match (&self.frames, self.left) {
            (None, _) => SizeHint::with_exact(0),
            (Some(_), Some(left)) => SizeHint::with_exact(left),
            (Some(_), None) => SizeHint::default(),
        }
    }
}
