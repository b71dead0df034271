use std::{
    fmt, mem,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use scopegate_core::TokenEnd;

use crate::stream::{self, BoxError, Ending, Stream};

pin_project! {
    /// The body of a layer's response: the inner service's, or that of its own answer.
    ///
    /// A refusal carries a body whatever the body type of the inner service is, so the layers of this crate answer with this
    /// type. Its error is boxed: a body that [ends with its token](crate::Authenticate::end_streams) may fail where the inner
    /// one does not.
    pub struct ResponseBody<B> {
        #[pin]
        kind: Kind<B>,
    }
}

pin_project! {
    #[project = KindProjection]
    enum Kind<B> {
        Inner { #[pin] body: B },
        // Boxed, since few responses are streams.
        Stream { body: Pin<Box<Stream<B>>> },
        Whole { text: Option<Bytes> },
    }
}

impl<B> ResponseBody<B> {
    pub(crate) fn inner(body: B) -> Self {
        Self { kind: Kind::Inner { body } }
    }

    /// Whether this is the body of the inner service and may take long, so that a token can end before it does.
    pub(crate) fn may_go_on(&self) -> bool
    where
        B: Body,
    {
        matches!(&self.kind, Kind::Inner { body } if !stream::is_whole(body))
    }

    /// Has the body of the inner service end with a token.
    pub(crate) fn end_with(&mut self, end: TokenEnd, ending: Ending) {
        self.kind = match mem::replace(&mut self.kind, Kind::Whole { text: None }) {
            Kind::Inner { body } => Kind::Stream { body: Box::pin(Stream::new(body, end, ending)) },
            other => other,
        };
    }

    /// A body of this text; no body where `text` is empty.
    pub(crate) fn whole(text: Bytes) -> Self {
        Self { kind: Kind::Whole { text: Some(text).filter(|text| !text.is_empty()) } }
    }
}

impl<B> Body for ResponseBody<B>
where
    B: Body<Data = Bytes, Error: Into<BoxError>>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match self.project().kind.project() {
            KindProjection::Inner { body } => body.poll_frame(context).map_err(Into::into),
            KindProjection::Stream { body } => body.as_mut().poll_frame(context),
            KindProjection::Whole { text } => Poll::Ready(text.take().map(|text| Ok(Frame::data(text)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Inner { body } => body.is_end_stream(),
            Kind::Stream { body } => body.is_end_stream(),
            Kind::Whole { text } => text.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Inner { body } => body.size_hint(),
            Kind::Stream { body } => body.size_hint(),
            Kind::Whole { text } => SizeHint::with_exact(text.as_ref().map_or(0, |text| text.len() as u64)),
        }
    }
}

/// An empty body, which some frameworks require of every body type.
impl<B> Default for ResponseBody<B> {
    fn default() -> Self {
        Self::whole(Bytes::new())
    }
}

impl<B> fmt::Debug for ResponseBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.kind {
            Kind::Inner { .. } => "ResponseBody::Inner",
            Kind::Stream { .. } => "ResponseBody::Stream",
            Kind::Whole { .. } => "ResponseBody::Whole",
        })
    }
}
