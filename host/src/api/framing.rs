//! Holds a request's head back until it is whole and means one thing, so that every refusal is a problem with a request id; hyper answers bad heads with an empty
//! body, and takes a length beside chunks for chunks.
//!
//! [`Framed`] goes around a connection's stream. It follows requests just far enough to know where the next head begins: what is in a body passes as it comes. When that cannot be
//! followed any more (bad chunks) nothing more passes, so that nobody reads what comes as another request.

use super::error::ApiError;
use super::server::{HEADER_BYTES_MAX, HEADERS_MAX};
use bytes::{Buf, BytesMut};
use http::StatusCode;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::io::poll_read_buf;
use tokio_util::sync::CancellationToken;

/// Bytes read at once: most requests whole.
const READ_BYTES: usize = 8 * 1024;

/// The longest line that says how long a chunk is, with its extensions: hyper takes 16 KiB, clients send some ten bytes.
const CHUNK_LINE_MAX: usize = 1024;

/// A head that no request may have.
#[derive(Debug, Default)]
pub(super) struct Refusal {
    error: OnceLock<ApiError>,
    told: CancellationToken,
}

impl Refusal {
    /// Is over once a head was refused; nothing is read from the connection after that.
    pub(super) fn happened(&self) -> tokio_util::sync::WaitForCancellationFuture<'_> {
        self.told.cancelled()
    }

    /// What to answer, if a head was refused.
    pub(super) fn error(&self) -> Option<&ApiError> {
        self.error.get()
    }
}

/// Where in a request the stream is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Head,
    /// In a body, or a chunk with its line end: this many bytes are left.
    Bytes(u64),
    /// This many bytes of a chunk are left, then there is another one.
    Chunk(u64),
    /// Before a line that says how long a chunk is.
    ChunkLine,
    /// After the last chunk, before the blank line.
    Trailers,
    /// Nothing is known any more.
    Lost,
}

/// A stream of requests.
pub(super) struct Framed<S> {
    stream: S,
    /// What was read and not handed on; its first `cleared` bytes may be.
    buffer: BytesMut,
    cleared: usize,
    place: Place,
    refusal: Arc<Refusal>,
}

impl<S> Framed<S> {
    pub(super) fn new(stream: S) -> Self {
        Self {
            stream,
            buffer: BytesMut::new(),
            cleared: 0,
            place: Place::Head,
            refusal: Arc::default(),
        }
    }

    pub(super) fn refusal(&self) -> Arc<Refusal> {
        Arc::clone(&self.refusal)
    }

    /// Whether a head has begun to come and is not whole.
    pub(super) fn is_in_head(&self) -> bool {
        let rest = &self.buffer[self.cleared..];
        // Line ends between two requests are nobody's head.
        self.place == Place::Head && !rest.iter().all(|byte| b"\r\n".contains(byte))
    }

    /// The stream, for a last answer.
    pub(super) fn into_inner(self) -> S {
        self.stream
    }

    /// Clears what can be handed on.
    fn advance(&mut self) -> Result<(), ApiError> {
        loop {
            let rest = &self.buffer[self.cleared..];
            if rest.is_empty() {
                return Ok(());
            }
            let count = rest.len();
            let (taken, place) = match self.place {
                Place::Head => match head(rest)? {
                    Some(whole) => whole,
                    None => return Ok(()),
                },
                Place::Bytes(left) => pass(count, left, Place::Bytes, Place::Head),
                Place::Chunk(left) => pass(count, left, Place::Chunk, Place::ChunkLine),
                Place::ChunkLine => match httparse::parse_chunk_size(rest) {
                    Ok(httparse::Status::Complete((line, 0))) => (line, Place::Trailers),
                    // The chunk and the end of its line.
                    Ok(httparse::Status::Complete((line, size))) => {
                        (line, Place::Chunk(size.saturating_add(2)))
                    }
                    Ok(httparse::Status::Partial) if count < CHUNK_LINE_MAX => return Ok(()),
                    Ok(httparse::Status::Partial) | Err(_) => (0, Place::Lost),
                },
                Place::Trailers => match rest.iter().position(|byte| *byte == b'\n') {
                    // The blank line.
                    Some(1) if rest[0] == b'\r' => (2, Place::Head),
                    // Hyper ends lines by both, and only there.
                    Some(end)
                        if end > 0
                            && rest.iter().position(|byte| *byte == b'\r') == Some(end - 1) =>
                    {
                        (end + 1, Place::Trailers)
                    }
                    Some(_) => (0, Place::Lost),
                    None if count < HEADER_BYTES_MAX => return Ok(()),
                    None => (0, Place::Lost),
                },
                Place::Lost => return Ok(()),
            };
            self.cleared += taken;
            self.place = place;
        }
    }
}

fn pass(count: usize, left: u64, more: fn(u64) -> Place, then: Place) -> (usize, Place) {
    let taken = usize::try_from(left).unwrap_or(usize::MAX).min(count);
    let left = left - taken as u64;
    (taken, if left == 0 { then } else { more(left) })
}

/// How long the head is and what comes after it; `None` while it is not whole.
fn head(bytes: &[u8]) -> Result<Option<(usize, Place)>, ApiError> {
    let malformed = |detail: &str| {
        ApiError::new(
            StatusCode::BAD_REQUEST,
            "malformed_request",
            format!("the head of the request is no HTTP/1.1: {detail}"),
        )
    };
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut request = httparse::Request::new(&mut headers);
    let length = match request.parse(bytes) {
        Ok(httparse::Status::Complete(length)) if length <= HEADER_BYTES_MAX => length,
        Ok(httparse::Status::Partial) if bytes.len() < HEADER_BYTES_MAX => return Ok(None),
        Ok(_) => {
            return Err(ApiError::new(
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
                "headers_too_large",
                format!("request line and headers have more than {HEADER_BYTES_MAX} bytes"),
            ));
        }
        Err(httparse::Error::TooManyHeaders) => {
            return Err(ApiError::new(
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
                "headers_too_large",
                format!("the request has more than {HEADERS_MAX} headers"),
            ));
        }
        Err(error) => return Err(malformed(&error.to_string())),
    };
    let target = request.path.unwrap_or_default();
    if target.parse::<http::Uri>().is_err() {
        return Err(malformed("the path is no address"));
    }
    let values = |name: &str| {
        request
            .headers
            .iter()
            .filter(move |header| header.name.eq_ignore_ascii_case(name))
            .map(|header| header.value)
            .collect::<Vec<_>>()
    };
    let place = match (
        values("content-length").as_slice(),
        values("transfer-encoding").as_slice(),
    ) {
        ([], []) => Place::Head,
        ([], [encoding]) if encoding.eq_ignore_ascii_case(b"chunked") => {
            if request.version == Some(0) {
                return Err(malformed("version 1.0 knows no `Transfer-Encoding`"));
            }
            Place::ChunkLine
        }
        ([], _) => {
            return Err(malformed(
                "`Transfer-Encoding` is something else than `chunked`",
            ));
        }
        ([length], []) => match decimal(length) {
            Some(0) => Place::Head,
            Some(length) => Place::Bytes(length),
            None => return Err(malformed("`Content-Length` is no number")),
        },
        (_, []) => return Err(malformed("there is more than one `Content-Length`")),
        _ => {
            return Err(malformed(
                "`Content-Length` and `Transfer-Encoding` contradict each other",
            ));
        }
    };
    Ok(Some((length, place)))
}

fn decimal(value: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(value).ok()?;
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    // The two highest numbers mean something else to hyper.
    digits
        .then(|| text.parse().ok())
        .flatten()
        .filter(|length| *length <= u64::MAX - 2)
}

impl<S: AsyncRead + Unpin> AsyncRead for Framed<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let framed = &mut *self;
        loop {
            if framed.cleared > 0 {
                let count = framed.cleared.min(out.remaining());
                out.put_slice(&framed.buffer[..count]);
                framed.buffer.advance(count);
                framed.cleared -= count;
                return Poll::Ready(Ok(()));
            }
            if framed.place == Place::Lost {
                let error = io::Error::new(io::ErrorKind::InvalidData, "the chunks are broken");
                return Poll::Ready(Err(error));
            }
            if framed.refusal.error.get().is_some() {
                return Poll::Pending;
            }
            framed.buffer.reserve(READ_BYTES);
            let read = ready!(poll_read_buf(
                Pin::new(&mut framed.stream),
                context,
                &mut framed.buffer
            ))?;
            if read == 0 {
                return Poll::Ready(Ok(()));
            }
            if let Err(error) = framed.advance() {
                let _ = framed.refusal.error.set(error);
                framed.refusal.told.cancel();
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Framed<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        // The refusal is still to be written.
        if self.refusal.error().is_some() {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncReadExt;

    /// What passes of a stream that comes in pieces of `size`, and the code of the refusal.
    async fn passes(bytes: &[u8], size: usize) -> (Vec<u8>, Option<&'static str>) {
        let mut mock = tokio_test_stream(bytes, size);
        let refusal = mock.refusal();
        let mut out = Vec::new();
        tokio::select! {
            biased;
            read = mock.read_to_end(&mut out) => { read.expect("reads"); }
            () = refusal.happened() => {}
        }
        (out, refusal.error().map(ApiError::code))
    }

    fn tokio_test_stream(bytes: &[u8], size: usize) -> Framed<Pieces> {
        Framed::new(Pieces(
            bytes.chunks(size).map(<[u8]>::to_vec).rev().collect(),
        ))
    }

    struct Pieces(Vec<Vec<u8>>);

    impl AsyncRead for Pieces {
        fn poll_read(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            out: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            if let Some(piece) = self.0.pop() {
                out.put_slice(&piece);
            }
            Poll::Ready(Ok(()))
        }
    }

    #[tokio::test]
    async fn requests_pass_unchanged_whatever_the_pieces() {
        let stream = b"POST /a HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\nGET /\
            POST /b HTTP/1.1\r\nTransfer-Encoding: Chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\ntrailer: 1\r\n\r\n\
            GET /c HTTP/1.1\r\n\r\n";
        for size in [1, 2, 3, 7, 50, 4096] {
            let (passed, refused) = passes(stream, size).await;
            assert_eq!(passed, stream, "pieces of {size}");
            assert_eq!(refused, None);
        }
    }

    #[tokio::test]
    async fn nothing_passes_after_chunks_that_cannot_be_followed() {
        let head = "POST /a HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n";
        for (good, bad) in [
            ("", "zz\r\n"),
            ("", "00000000000000005\r\nhello\r\n0\r\n\r\n"),
            ("0\r\n", "\nPOST /x HTTP/1.1\r\n\r\n"),
            ("0\r\n", "a: b\n\r\nGET / HTTP/1.1\r\n\r\n"),
        ] {
            let mut framed = tokio_test_stream(format!("{head}{good}{bad}").as_bytes(), 4096);
            let mut out = Vec::new();
            let error = framed.read_to_end(&mut out).await.expect_err(bad);
            assert_eq!(error.kind(), io::ErrorKind::InvalidData);
            assert_eq!(
                String::from_utf8_lossy(&out),
                format!("{head}{good}"),
                "{bad}"
            );
        }
    }

    #[tokio::test]
    async fn what_follows_a_good_request_is_judged_for_itself() {
        let good = "POST /a HTTP/1.1\r\ncontent-length: 2\r\n\r\n{}";
        for bad in [
            "POST / HTTP/1.1\r\ncontent-length: 4\r\ntransfer-encoding: chunked\r\n\r\n",
            "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\ncontent-length: 4\r\n\r\n",
            "POST / HTTP/1.1\r\ntransfer-encoding: gzip, chunked\r\n\r\n",
            "POST / HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n",
            "POST / HTTP/1.1\r\ncontent-length: 4\r\ncontent-length: 4\r\n\r\n",
            "POST / HTTP/1.1\r\ncontent-length: +4\r\n\r\n",
            "POST / HTTP/1.1\r\ncontent-length: 99999999999999999999\r\n\r\n",
            "GET / HTTP/1.1\r\nhost : x\r\n\r\n",
            "GET http://[ HTTP/1.1\r\n\r\n",
            "\u{16}\u{3}\u{1}\r\n\r\n",
        ] {
            for size in [1, 4096] {
                let (passed, refused) = passes(format!("{good}{bad}").as_bytes(), size).await;
                assert_eq!(String::from_utf8_lossy(&passed), good, "{bad}");
                assert_eq!(refused, Some("malformed_request"), "{bad}");
            }
        }
        let many = format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(101));
        let long = format!("GET / HTTP/1.1\r\na: {}\r\n\r\n", "b".repeat(17_000));
        let endless = format!("GET /{}", "a".repeat(17_000));
        for bad in [many, long, endless] {
            let (passed, refused) = passes(bad.as_bytes(), 1000).await;
            assert_eq!(passed, b"");
            assert_eq!(refused, Some("headers_too_large"));
        }
    }
}
