//! Response bodies that end with the token of their request.

use std::{
    error::Error as StdError,
    fmt,
    future::Future as _,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{BufMut as _, Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, header::CONTENT_TYPE};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use scopegate_core::{Reason, TokenEnd};

use crate::refusal::{GRPC_MESSAGE, GRPC_STATUS, GrpcType, grpc_content_type};

/// What bodies fail with: the error of the inner body, or that a token ended before the body did.
pub(crate) type BoxError = Box<dyn StdError + Send + Sync>;

/// A body whose length is known and no greater is as good as sent: nothing waits for the end of its token.
const MAX_WHOLE: u64 = 64 * 1024;

/// Whether a body is not to be ended.
pub(crate) fn is_whole(body: &impl Body) -> bool {
    body.is_end_stream() || body.size_hint().exact().is_some_and(|length| length <= MAX_WHOLE)
}

/// How the end of a token looks to the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The body fails, so that what was sent is not taken for the whole.
    Abort,
    /// The body ends: a client of server-sent events connects again.
    Close,
    /// The trailers of a gRPC call.
    Grpc,
    /// The same as the last frame of a gRPC-Web body, where no frame is cut by it.
    GrpcWeb,
}

impl Ending {
    /// That of a response with these headers.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        match grpc_content_type(headers) {
            Some(GrpcType::Grpc) => return Self::Grpc,
            Some(GrpcType::Web) => return Self::GrpcWeb,
            // Its frames are encoded, and one that ends amid three octets cannot be continued.
            Some(GrpcType::WebText) => return Self::Abort,
            None => {}
        }
        let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let media_type = content_type.split(';').next().unwrap_or_default().trim();
        if media_type.eq_ignore_ascii_case("text/event-stream") { Self::Close } else { Self::Abort }
    }

    /// What the body yields in the end.
    fn last(self, reason: Reason) -> Option<Result<Frame<Bytes>, BoxError>> {
        // GRPC-5: a stream that ends with its token has the status of a refusal.
        let (status, message) = (reason.kind().grpc_status(), reason.description());
        match self {
            Self::Abort => Some(Err(Box::new(TokenEnded(reason)))),
            Self::Close => None,
            Self::Grpc => {
                let mut trailers = HeaderMap::new();
                trailers.insert(GRPC_STATUS, HeaderValue::from(status));
                trailers.insert(GRPC_MESSAGE, HeaderValue::from_static(message));
                Some(Ok(Frame::trailers(trailers)))
            }
            Self::GrpcWeb => {
                let trailers = format!("grpc-status:{status}\r\ngrpc-message:{message}\r\n");
                let mut frame = BytesMut::with_capacity(5 + trailers.len());
                frame.put_u8(0x80);
                frame.put_u32(trailers.len() as u32);
                frame.put_slice(trailers.as_bytes());
                Some(Ok(Frame::data(frame.freeze())))
            }
        }
    }
}

/// Where a gRPC-Web body has got to. Frames of data end anywhere, and what is sent amid a message counts as part of it.
#[derive(Debug, Default)]
struct WebFrames {
    /// A flag, and the length of what follows.
    head: [u8; 5],
    /// How many octets of the head there are; none between frames and within the payload of one.
    in_head: usize,
    /// How many octets of the payload are to come.
    left: u64,
    has_trailers: bool,
}

impl WebFrames {
    fn read(&mut self, mut data: &[u8]) {
        while !data.is_empty() {
            if self.left > 0 {
                let read = data.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
                self.left -= read as u64;
                data = &data[read..];
                continue;
            }
            let read = data.len().min(self.head.len() - self.in_head);
            self.head[self.in_head..][..read].copy_from_slice(&data[..read]);
            self.in_head += read;
            data = &data[read..];
            if self.in_head == self.head.len() {
                let [flag, length @ ..] = self.head;
                self.has_trailers |= flag & 0x80 != 0;
                (self.in_head, self.left) = (0, u32::from_be_bytes(length).into());
            }
        }
    }

    /// How the body can end here.
    fn ending(&self) -> Ending {
        match self {
            Self { in_head: 0, left: 0, has_trailers: false, .. } => Ending::GrpcWeb,
            // The call has its status already.
            Self { in_head: 0, left: 0, has_trailers: true, .. } => Ending::Close,
            _ => Ending::Abort,
        }
    }
}

pin_project! {
    /// A body that ends with a token.
    pub(crate) struct Stream<B> {
        // `None` once it has ended.
        #[pin]
        body: Option<B>,
        end: Option<TokenEnd>,
        ending: Ending,
        frames: WebFrames,
    }
}

impl<B> Stream<B> {
    pub(crate) fn new(body: B, end: TokenEnd, ending: Ending) -> Self {
        Self { body: Some(body), end: Some(end), ending, frames: WebFrames::default() }
    }
}

impl<B> Body for Stream<B>
where
    B: Body<Data = Bytes, Error: Into<BoxError>>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let mut this = self.project();
        if let Some(end) = this.end
            && let Poll::Ready(reason) = Pin::new(end).poll(context)
        {
            tracing::debug!(target: "scopegate", reason = reason.as_str(), "a stream was ended with its token");
            *this.end = None;
            this.body.set(None);
            let ending = if *this.ending == Ending::GrpcWeb { this.frames.ending() } else { *this.ending };
            return Poll::Ready(ending.last(reason));
        }
        let Some(body) = this.body.as_mut().as_pin_mut() else { return Poll::Ready(None) };
        let frame = ready!(body.poll_frame(context));
        match frame.as_ref().and_then(|frame| frame.as_ref().ok()?.data_ref()) {
            Some(data) if *this.ending == Ending::GrpcWeb => this.frames.read(data),
            Some(_) => {}
            // The last of it.
            None => *this.end = None,
        }
        Poll::Ready(frame.map(|frame| frame.map_err(Into::into)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

/// Why a body failed: its token ended before it did.
#[derive(Debug)]
struct TokenEnded(Reason);

impl fmt::Display for TokenEnded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the response was ended with its token: {}", self.0.description())
    }
}

impl StdError for TokenEnded {}
