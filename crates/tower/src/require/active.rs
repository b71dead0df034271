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
use scopegate_core::{AuthenticateFuture, Authentication, Error, ResourceServer};
use tower_layer::Layer;
use tower_service::Service;

use crate::{
    ResponseBody,
    refusal::{Refusal, ResponseForm},
};

/// Lets only requests through whose token is good at this moment, by the word of whoever can tell: a revoked JWT stops
/// working here before it expires. For the routes where that matters, since it costs a question to the issuer.
///
/// Of a JWT, its issuer is asked by its [`Introspection`](scopegate_core::introspection::Introspection); one that has none
/// cannot be asked, and the answer is 500. A token that was asked about by the [`Authenticate`](crate::Authenticate) in front,
/// for the same request, is not asked about again.
///
/// A JWT that was refused here is still good on routes without this layer, until it expires: they verify it locally. Where that
/// must not be, let the issuer be asked about every JWT, by
/// [`JwtIntrospection`](scopegate_core::introspection::JwtIntrospection). An opaque token is refused everywhere from then on. A verifier of
/// the application is asked anew as an issuer is; one that decides without asking does so for every request anyway.
///
/// It belongs inside of `Authenticate`. Outside of [`RequireScope`](super::RequireScope), which is right for an issuer whose
/// answers may name a narrower scope than its JWTs do, the narrower one is what has to meet the requirement. Inside of it nobody is
/// asked about a token that lacks the scope, and only the handler sees a scope that was narrowed. An anonymous request is
/// refused.
///
/// | whoever can tell says | the answer |
/// |---|---|
/// | the token is good | what the inner service answers |
/// | it is not | 401 `invalid_token` |
/// | nothing, because of an outage | 503, `Retry-After` |
///
/// ```
/// use std::time::Duration;
///
/// use scopegate_tower::RequireActive;
///
/// RequireActive::now();
/// RequireActive::within(Duration::from_secs(5)); // An answer of the last five seconds will do.
/// ```
#[derive(Clone, Debug)]
#[must_use = "a layer does nothing until it is applied"]
pub struct RequireActive {
    max_age: Duration,
}

impl RequireActive {
    /// Asks anew, unless that was done within the last second for this very request, or for others with the same token that
    /// still wait for the answer.
    pub fn now() -> Self {
        Self::within(Duration::ZERO)
    }

    /// Accepts an answer that is no older than this.
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
        let confirming = ResourceServer::require_active(&request, self.max_age);
        // The service that was polled ready is the one that has to be called; its clone may not be ready.
        let clone = self.inner.clone();
        let ready = mem::replace(&mut self.inner, clone);
        let waiting = Some((ready, request));
        ActiveFuture { state: State::Confirming { confirming, waiting }, body: PhantomData }
    }
}

pin_project! {
    /// The response future of [`Active`].
    ///
    /// Dropping it cancels the request and nothing else: a question that it waits for goes on.
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
        Confirming { #[pin] confirming: AuthenticateFuture, waiting: Option<(S, Request<ReqBody>)> },
        Confirmed { #[pin] future: F },
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
                StateProjection::Confirmed { future } => {
                    return Poll::Ready(ready!(future.poll(context)).map(|response| response.map(ResponseBody::inner)));
                }
                StateProjection::Confirming { confirming, waiting } => {
                    let outcome = ready!(confirming.poll(context));
                    let (mut inner, mut request) = waiting.take().expect("polled again after completion");
                    match outcome {
                        Ok(authentication) => {
                            request.extensions_mut().insert(authentication);
                            State::Confirmed { future: inner.call(request) }
                        }
                        Err(error) => return Poll::Ready(Ok(refused(&error, &request))),
                    }
                }
            };
            this.state.set(next);
        }
    }
}

fn refused<ReqBody, ResBody>(error: &Error, request: &Request<ReqBody>) -> Response<ResponseBody<ResBody>> {
    let authentication = request.extensions().get::<Authentication>();
    let form =
        ResponseForm::for_bodies::<ResBody>(request.into(), authentication.and_then(Authentication::protection_space));
    Refusal::new(error).after(authentication).to(request).respond(form)
}

impl<S, ReqBody, ResBody> fmt::Debug for ActiveFuture<S, ReqBody, ResBody>
where
    S: Service<Request<ReqBody>>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ActiveFuture").finish_non_exhaustive()
    }
}
