//! The bodies on either side of the layer.

use std::{
    convert::Infallible,
    error::Error as StdError,
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use scopegate_tower::ResponseBody;

use crate::{events::EventFilter, lists::Fault};

/// The error of a body, of whatever type.
pub(crate) type BoxError = Box<dyn StdError + Send + Sync>;

/// The body of the request that the inner service gets: the judged message, written anew.
#[derive(Clone, Default)]
pub struct MessageBody(Option<Bytes>);

impl MessageBody {
    pub(crate) fn new(message: Bytes) -> Self {
        Self(Some(message))
    }
}

impl Body for MessageBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.take().map(|message| Ok(Frame::data(message))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.as_ref().map_or(0, |message| message.len() as u64))
    }
}

/// Omits the message, whose arguments may be personal data.
impl fmt::Debug for MessageBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MessageBody").field("len", &self.0.as_ref().map(Bytes::len)).finish_non_exhaustive()
    }
}

pin_project! {
    /// The body of the layer's response: the inner service's, the same without what a list may not show, or that of a refusal.
    pub struct McpResponseBody<B> {
        #[pin]
        kind: Kind<B>,
    }
}

pin_project! {
    #[project = KindProjection]
    enum Kind<B> {
        Inner { #[pin] body: B },
        Events { #[pin] body: B, filter: Option<EventFilter>, last: Option<Result<Frame<Bytes>, BoxError>> },
        Refusal { #[pin] body: ResponseBody<B> },
        Whole { body: MessageBody },
    }
}

impl<B> McpResponseBody<B> {
    pub(crate) fn inner(body: B) -> Self {
        Self { kind: Kind::Inner { body } }
    }

    pub(crate) fn events(body: B, filter: EventFilter) -> Self {
        Self { kind: Kind::Events { body, filter: Some(filter), last: None } }
    }

    pub(crate) fn refusal(body: ResponseBody<B>) -> Self {
        Self { kind: Kind::Refusal { body } }
    }

    pub(crate) fn whole(body: impl Into<Bytes>) -> Self {
        Self { kind: Kind::Whole { body: MessageBody::new(body.into()) } }
    }

    pub(crate) fn empty() -> Self {
        Self { kind: Kind::Whole { body: MessageBody::default() } }
    }
}

impl<B> Body for McpResponseBody<B>
where
    B: Body<Data = Bytes, Error: Into<BoxError>>,
{
    type Data = Bytes;
    /// That of the inner body, or that an event could not be filtered: then the stream ends there.
    type Error = BoxError;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match self.project().kind.project() {
            KindProjection::Inner { body } => body.poll_frame(context).map_err(Into::into),
            KindProjection::Refusal { body } => body.poll_frame(context).map_err(Into::into),
            KindProjection::Whole { body } => Pin::new(body).poll_frame(context).map_err(|never| match never {}),
            KindProjection::Events { body, filter, last } => filtered(body, filter, last, context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Inner { body } => body.is_end_stream(),
            Kind::Refusal { body } => body.is_end_stream(),
            Kind::Whole { body } => body.is_end_stream(),
            Kind::Events { filter, last, .. } => filter.is_none() && last.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Inner { body } => body.size_hint(),
            Kind::Refusal { body } => body.size_hint(),
            Kind::Whole { body } => body.size_hint(),
            Kind::Events { .. } => SizeHint::default(),
        }
    }
}

/// The next filtered piece of an event stream. `filter` is `None` once the stream is at its end, and `last` is what then comes:
/// the trailers, or the error that ended it.
fn filtered<B>(
    mut body: Pin<&mut B>,
    filter: &mut Option<EventFilter>,
    last: &mut Option<Result<Frame<Bytes>, BoxError>>,
    context: &mut Context<'_>,
) -> Poll<Option<Result<Frame<Bytes>, BoxError>>>
where
    B: Body<Data = Bytes, Error: Into<BoxError>>,
{
    while let Some(events) = filter {
        let mut out = Vec::new();
        let written = match ready!(body.as_mut().poll_frame(context)).map(|frame| frame.map(Frame::into_data)) {
            Some(Ok(Ok(data))) => events.push(&data, &mut out),
            Some(Ok(Err(trailers))) => {
                *last = Some(Ok(trailers));
                end(filter, &mut out)
            }
            Some(Err(error)) => {
                *last = Some(Err(error.into()));
                *filter = None;
                Ok(())
            }
            None => end(filter, &mut out),
        };
        if let Err(fault) = written {
            tracing::error!(target: "scopegate", "{fault}; the stream was ended");
            *last = Some(Err(fault.into()));
            *filter = None;
        }
        // Whole events that came before the fault are good.
        if !out.is_empty() {
            return Poll::Ready(Some(Ok(Frame::data(out.into()))));
        }
    }
    Poll::Ready(last.take())
}

fn end(filter: &mut Option<EventFilter>, out: &mut Vec<u8>) -> Result<(), Fault> {
    filter.take().map_or(Ok(()), |mut events| events.finish(out))
}

/// An empty body, which some frameworks require of every body type.
impl<B> Default for McpResponseBody<B> {
    fn default() -> Self {
        Self::empty()
    }
}

impl<B> fmt::Debug for McpResponseBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.kind {
            Kind::Inner { .. } => "McpResponseBody::Inner",
            Kind::Events { .. } => "McpResponseBody::Events",
            Kind::Refusal { .. } => "McpResponseBody::Refusal",
            Kind::Whole { .. } => "McpResponseBody::Whole",
        })
    }
}
