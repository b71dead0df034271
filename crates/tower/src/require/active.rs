use std::{
    fmt,
    future::Future,
    marker::PhantomData,
    mem,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use pin_project_lite::pin_project;
use scopegate_core::{AuthenticateFuture, ResourceServer};
use tower_layer::Layer;
use tower_service::Service;

use super::refused::refused;
use crate::ResponseBody;

/// Layer: lets only requests through whose token its issuer, or the application's verifier, confirms as active now. A revoked
/// JWT is refused here before it expires.
///
/// It costs a request to the issuer for each token, so it is for the routes where a revoked token must stop at once. A JWT
/// needs an issuer with [`Introspection`](scopegate_core::introspection::Introspection); without it the answer is 500. An
/// opaque token that the [`Authenticate`](crate::Authenticate) in front has just introspected for the same request is not
/// introspected again.
///
/// Routes without this layer verify a JWT locally and go on accepting a revoked one until it expires. Where that is not
/// acceptable, introspect every JWT by [`JwtIntrospection`](scopegate_core::introspection::JwtIntrospection). An opaque token
/// that is refused here is refused everywhere from then on. A verifier of the application is called anew, as an issuer is.
///
/// It belongs inside of `Authenticate`. Put it outside of [`RequireScope`](super::RequireScope) for an issuer whose
/// introspection responses may narrow the scope of its JWTs: the narrowed scope is then what is checked. Inside of
/// `RequireScope`, a token without the scope causes no request to the issuer, and only the handler sees a narrowed scope. An
/// anonymous request is refused.
///
/// | the issuer or verifier | the answer |
/// |---|---|
/// | accepts the token | what the inner service answers |
/// | rejects it | 401 `invalid_token` |
/// | is unavailable | 503, `Retry-After` |
///
/// ```
/// use std::time::Duration;
///
/// use scopegate_tower::RequireActive;
///
/// RequireActive::now();
/// RequireActive::within(Duration::from_secs(5)); // Accepts a cached answer of the last five seconds.
/// ```
#[doc(alias = "introspection")]
#[doc(alias = "revocation")]
#[derive(Clone, Debug)]
#[must_use = "a layer does nothing until it is applied"]
pub struct RequireActive {
    max_age: Duration,
}

impl RequireActive {
    /// Verifies online for every request. The one exception: an answer of the last second for this very request, or one that
    /// another request with the same token is still waiting for.
    pub fn now() -> Self {
        Self::within(Duration::ZERO)
    }

    /// Accepts a cached answer that is at most `max_age` old.
    pub fn within(max_age: Duration) -> Self {
        Self { max_age }
    }
}

impl<S> Layer<S> for RequireActive {
    type Service = Active<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Active { inner, max_age: self.max_age }
    }
}

/// The service of [`RequireActive`].
#[derive(Clone, Debug)]
pub struct Active<S> {
    inner: S,
    max_age: Duration,
}

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for Active<S>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>> + Clone,
    ResBody: Body<Data = Bytes>,
{
    type Response = Response<ResponseBody<ResBody>>;
    type Error = S::Error;
    type Future = ActiveFuture<S, ReqBody, ResBody>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        let verifying = ResourceServer::require_active(&request, self.max_age);
        // The service that was polled ready is the one that has to be called; its clone may not be ready.
        let clone = self.inner.clone();
        let ready = mem::replace(&mut self.inner, clone);
        let waiting = Some((ready, request));
        ActiveFuture { state: State::Verifying { verifying, waiting }, body: PhantomData }
    }
}

pin_project! {
    /// The response future of [`Active`].
    ///
    /// Dropping it cancels this request only: an introspection that it waits for goes on.
    #[must_use = "futures do nothing unless polled"]
    pub struct ActiveFuture<S, ReqBody, ResBody>
    where
        S: Service<Request<ReqBody>>,
    {
        #[pin]
        state: State<S, S::Future, ReqBody>,
        body: PhantomData<fn() -> ResBody>,
    }
}

pin_project! {
    #[project = StateProjection]
    enum State<S, F, ReqBody> {
        Verifying { #[pin] verifying: AuthenticateFuture, waiting: Option<(S, Request<ReqBody>)> },
        Verified { #[pin] future: F },
    }
}

impl<S, ReqBody, ResBody> Future for ActiveFuture<S, ReqBody, ResBody>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
{
    type Output = Result<Response<ResponseBody<ResBody>>, S::Error>;

    /// # Panics
    ///
    /// When polled again after it has completed.
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            let next = match this.state.as_mut().project() {
                StateProjection::Verified { future } => {
                    return Poll::Ready(ready!(future.poll(context)).map(|response| response.map(ResponseBody::inner)));
                }
                StateProjection::Verifying { verifying, waiting } => {
                    let outcome = ready!(verifying.poll(context));
                    let (mut inner, mut request) = waiting.take().expect("polled again after completion");
                    match outcome {
                        Ok(authentication) => {
                            request.extensions_mut().insert(authentication);
                            State::Verified { future: inner.call(request) }
                        }
                        Err(error) => return Poll::Ready(Ok(refused(&error, &request, None))),
                    }
                }
            };
            this.state.set(next);
        }
    }
}

impl<S, ReqBody, ResBody> fmt::Debug for ActiveFuture<S, ReqBody, ResBody>
where
    S: Service<Request<ReqBody>>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ActiveFuture").finish_non_exhaustive()
    }
}
