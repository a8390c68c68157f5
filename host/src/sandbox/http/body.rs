//! Turns the guest's request body and the server's answer into streams that are counted, cut at
//! a limit, ended at a deadline and free of the injected credential.
//!
//! Invariants: an error ends the stream for good; no frame passes uncounted; a guest that stops
//! reading delays only itself. Nothing is decompressed, so a small answer stays small here.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep, sleep, sleep_until};

use super::mask::Mask;
use super::meter::{EgressError, Meter, Phase, header_bytes};

/// How a request's body ended, told to whoever reads the answer.
///
/// hyper reports a failed request body to the connection alone; the guest would see a broken
/// connection instead of the reason.
#[derive(Default)]
pub(super) struct UploadFate {
    cut: AtomicBool,
    failed: AtomicBool,
}

impl UploadFate {
    pub(super) fn error(&self, meter: &Meter) -> Option<EgressError> {
        if self.cut.load(Ordering::Relaxed) {
            Some(EgressError::RequestBytes(meter.limits().request_bytes))
        } else if self.failed.load(Ordering::Relaxed) {
            Some(EgressError::RequestBody)
        } else {
            None
        }
    }
}

/// A guest's request body, counted.
pub(super) struct RequestBody<B> {
    inner: B,
    meter: Arc<Meter>,
    fate: Arc<UploadFate>,
    ended: bool,
}

impl<B> RequestBody<B> {
    pub(super) fn new(inner: B, meter: Arc<Meter>, fate: Arc<UploadFate>) -> Self {
        Self {
            inner,
            meter,
            fate,
            ended: false,
        }
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for RequestBody<B> {
    type Data = Bytes;
    type Error = EgressError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, EgressError>>> {
        let this = &mut *self;
        if this.ended {
            return Poll::Ready(None);
        }
        let Poll::Ready(frame) = Pin::new(&mut this.inner).poll_frame(cx) else {
            return Poll::Pending;
        };
        let result = match frame {
            None => None,
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) => match this.meter.sent(data.len() as u64) {
                    Ok(()) => return Poll::Ready(Some(Ok(Frame::data(data)))),
                    Err(error) => {
                        this.fate.cut.store(true, Ordering::Relaxed);
                        Some(Err(error))
                    }
                },
                // Trailers are announced by a header that the gate strips.
                Err(_trailers) => None,
            },
            Some(Err(_)) => {
                this.fate.failed.store(true, Ordering::Relaxed);
                Some(Err(EgressError::RequestBody))
            }
        };
        this.ended = true;
        Poll::Ready(result)
    }

    fn is_end_stream(&self) -> bool {
        self.ended || self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// A server's answer, counted, timed and masked.
pub(super) struct ResponseBody {
    inner: Incoming,
    meter: Arc<Meter>,
    fate: Arc<UploadFate>,
    mask: Option<Mask>,
    deadline: Instant,
    timer: Pin<Box<Sleep>>,
    /// The guest's own, shorter patience between two frames.
    between: Option<(Duration, Pin<Box<Sleep>>)>,
    /// Trailers that wait until the last bytes held back by the mask have left.
    trailers: Option<HeaderMap>,
    ended: bool,
}

impl ResponseBody {
    pub(super) fn new(
        inner: Incoming,
        meter: Arc<Meter>,
        fate: Arc<UploadFate>,
        mask: Option<Mask>,
        deadline: Instant,
        between: Option<Duration>,
    ) -> Self {
        Self {
            inner,
            meter,
            fate,
            mask,
            deadline,
            timer: Box::pin(sleep_until(deadline)),
            between: between.map(|wait| (wait, Box::pin(sleep(wait)))),
            trailers: None,
            ended: false,
        }
    }

    fn end(&mut self, error: EgressError) -> Poll<Option<Result<Frame<Bytes>, EgressError>>> {
        self.ended = true;
        self.mask = None;
        Poll::Ready(Some(Err(error)))
    }

    fn reason(&self, error: &hyper::Error) -> EgressError {
        if let Some(error) = self.fate.error(&self.meter) {
            error
        } else if Instant::now() >= self.deadline {
            // The connection is closed at the deadline, whoever notices first.
            self.meter.time(Phase::Body)
        } else if error.is_parse_too_large() {
            self.meter.response_headers()
        } else if error.is_parse() {
            EgressError::Protocol
        } else {
            EgressError::Incomplete
        }
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = EgressError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, EgressError>>> {
        let this = &mut *self;
        if let Some(trailers) = this.trailers.take() {
            return Poll::Ready(Some(Ok(Frame::trailers(trailers))));
        }
        if this.ended {
            return Poll::Ready(None);
        }
        if this.timer.as_mut().poll(cx).is_ready() {
            let error = this.meter.time(Phase::Body);
            return this.end(error);
        }
        loop {
            match Pin::new(&mut this.inner).poll_frame(cx) {
                Poll::Pending => {
                    if let Some((_, timer)) = &mut this.between
                        && timer.as_mut().poll(cx).is_ready()
                    {
                        return this.end(EgressError::Time(Phase::BetweenBytes));
                    }
                    return Poll::Pending;
                }
                Poll::Ready(Some(Err(error))) => {
                    let error = this.reason(&error);
                    return this.end(error);
                }
                Poll::Ready(None) => {
                    this.ended = true;
                    return match this.mask.take().map(|mut mask| mask.finish()) {
                        Some(rest) if !rest.is_empty() => {
                            Poll::Ready(Some(Ok(Frame::data(rest.into()))))
                        }
                        _ => Poll::Ready(None),
                    };
                }
                Poll::Ready(Some(Ok(frame))) => {
                    if let Some((wait, timer)) = &mut this.between {
                        timer.as_mut().reset(Instant::now() + *wait);
                    }
                    match frame.into_data() {
                        Ok(data) => {
                            if let Err(error) = this.meter.received(data.len() as u64) {
                                return this.end(error);
                            }
                            let data = match &mut this.mask {
                                Some(mask) => mask.push(&data).into(),
                                None => data,
                            };
                            if !data.is_empty() {
                                return Poll::Ready(Some(Ok(Frame::data(data))));
                            }
                        }
                        Err(frame) => {
                            let Ok(mut trailers) = frame.into_trailers() else {
                                continue;
                            };
                            if let Err(error) = this.meter.received(header_bytes(&trailers)) {
                                return this.end(error);
                            }
                            this.ended = true;
                            let rest = match this.mask.take() {
                                Some(mut mask) => {
                                    mask.headers(&mut trailers);
                                    mask.finish()
                                }
                                None => Vec::new(),
                            };
                            if rest.is_empty() {
                                return Poll::Ready(Some(Ok(Frame::trailers(trailers))));
                            }
                            this.trailers = Some(trailers);
                            return Poll::Ready(Some(Ok(Frame::data(rest.into()))));
                        }
                    }
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.ended && self.trailers.is_none()
    }
}
