use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use pin_project_lite::pin_project;
use tower_service::Service;

use crate::{ResponseBody, authenticate, require::Require, stream::BoxError};

/// The future of a method for which a token is optional.
type Optional<S, ReqBody, ResBody> = authenticate::ResponseFuture<S, ReqBody, ResBody>;

/// The future of a method that requires a token.
type Protected<S, ReqBody, ResBody> = authenticate::ResponseFuture<Require<S>, ReqBody, ResponseBody<ResBody>>;

pin_project! {
    /// The response future of [`GrpcScoped`](super::GrpcScoped).
    ///
    /// Dropping it cancels this request only: a key fetch or introspection that it waits for goes on.
    #[must_use = "futures do nothing unless polled"]
    pub struct ResponseFuture<S, ReqBody, ResBody>
    where
        S: Service<Request<ReqBody>, Response = Response<ResBody>>,
        ResBody: Body<Data = Bytes, Error: Into<BoxError>>,
    {
        #[pin]
        kind: Kind<S::Future, Optional<S, ReqBody, ResBody>, Protected<S, ReqBody, ResBody>>,
    }
}

pin_project! {
    #[project = KindProjection]
    enum Kind<F, O, P> {
        Public { #[pin] future: F },
        Optional { #[pin] future: O },
        Protected { #[pin] future: P },
    }
}

impl<S, ReqBody, ResBody> ResponseFuture<S, ReqBody, ResBody>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
    ResBody: Body<Data = Bytes, Error: Into<BoxError>>,
{
    pub(super) fn public(future: S::Future) -> Self {
        Self { kind: Kind::Public { future } }
    }

    pub(super) fn optional(future: Optional<S, ReqBody, ResBody>) -> Self {
        Self { kind: Kind::Optional { future } }
    }

    pub(super) fn protected(future: Protected<S, ReqBody, ResBody>) -> Self {
        Self { kind: Kind::Protected { future } }
    }
}

impl<S, ReqBody, ResBody> Future for ResponseFuture<S, ReqBody, ResBody>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
    ResBody: Body<Data = Bytes, Error: Into<BoxError>>,
{
    type Output = Result<Response<ResponseBody<ResponseBody<ResBody>>>, S::Error>;

    /// # Panics
    ///
    /// When polled again after it has completed.
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(Ok(match self.project().kind.project() {
            KindProjection::Public { future } => {
                ready!(future.poll(context))?.map(|body| ResponseBody::inner(ResponseBody::inner(body)))
            }
            KindProjection::Optional { future } => ready!(future.poll(context))?.map(ResponseBody::inner),
            KindProjection::Protected { future } => ready!(future.poll(context))?,
        }))
    }
}

impl<S, ReqBody, ResBody> fmt::Debug for ResponseFuture<S, ReqBody, ResBody>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
    ResBody: Body<Data = Bytes, Error: Into<BoxError>>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("grpc::ResponseFuture").finish_non_exhaustive()
    }
}
