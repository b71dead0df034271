use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use pin_project_lite::pin_project;
use scopegate_core::{AuthenticateFuture, Authentication};
use tower_service::Service;

use super::settings::{Admitted, Settings};
use crate::{ResponseBody, refusal::ResponseForm};

pin_project! {
    /// The response future of [`AuthenticateService`](super::AuthenticateService).
    ///
    /// Dropping it cancels this request only: a key fetch or introspection that it waits for goes on.
    #[must_use = "futures do nothing unless polled"]
    pub struct ResponseFuture<S, ReqBody, ResBody>
    where
        S: Service<Request<ReqBody>>,
    {
        #[pin]
        state: State<S, S::Future, ReqBody, ResBody>,
        form: ResponseForm,
    }
}

pin_project! {
    #[project = StateProjection]
    enum State<S, F, ReqBody, ResBody> {
        AuthenticateFuture { waiting: Box<Waiting<S, ReqBody>> },
        Admitted { #[pin] future: F, admitted: Option<Admitted> },
        Refused { response: Option<Response<ResponseBody<ResBody>>> },
    }
}

/// A request that waits for keys or for an online verification. Boxed, since few requests wait.
struct Waiting<S, ReqBody> {
    authenticating: AuthenticateFuture,
    settings: Arc<Settings>,
    /// The inner service is the one that was polled ready.
    request: Option<(S, Request<ReqBody>)>,
}

impl<S, ReqBody, ResBody> ResponseFuture<S, ReqBody, ResBody>
where
    S: Service<Request<ReqBody>>,
{
    pub(super) fn admitted(
        inner: &mut S,
        request: Request<ReqBody>,
        authentication: Authentication,
        settings: &Settings,
        form: ResponseForm,
    ) -> Self {
        Self { state: State::admitted(inner, request, authentication, settings), form }
    }

    pub(super) fn authenticating(
        authenticating: AuthenticateFuture,
        ready: S,
        request: Request<ReqBody>,
        settings: Arc<Settings>,
        form: ResponseForm,
    ) -> Self {
        let waiting = Box::new(Waiting { authenticating, settings, request: Some((ready, request)) });
        Self { state: State::AuthenticateFuture { waiting }, form }
    }

    pub(super) fn refused(response: Response<ResponseBody<ResBody>>, form: ResponseForm) -> Self {
        Self { state: State::Refused { response: Some(response) }, form }
    }
}

impl<S, ReqBody, ResBody> State<S, S::Future, ReqBody, ResBody>
where
    S: Service<Request<ReqBody>>,
{
    fn admitted(
        inner: &mut S,
        mut request: Request<ReqBody>,
        authentication: Authentication,
        settings: &Settings,
    ) -> Self {
        let admitted = Some(Admitted::new(&authentication, (&request).into(), settings));
        // OPS-3: in place of any that the request had.
        request.extensions_mut().insert(authentication);
        Self::Admitted { future: inner.call(request), admitted }
    }
}

impl<S, ReqBody, ResBody> Future for ResponseFuture<S, ReqBody, ResBody>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
    ResBody: Body<Data = Bytes>,
{
    type Output = Result<Response<ResponseBody<ResBody>>, S::Error>;

    /// # Panics
    ///
    /// When polled again after it has completed.
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            let next = match this.state.as_mut().project() {
                StateProjection::Refused { response } => {
                    return Poll::Ready(Ok(response.take().expect("polled again after completion")));
                }
                StateProjection::Admitted { future, admitted } => {
                    let response = ready!(future.poll(context))?;
                    let admitted = admitted.take().expect("polled again after completion");
                    return Poll::Ready(Ok(admitted.complete(response, *this.form)));
                }
                StateProjection::AuthenticateFuture { waiting } => {
                    let outcome = ready!(Pin::new(&mut waiting.authenticating).poll(context));
                    let (mut inner, request) = waiting.request.take().expect("polled again after completion");
                    match waiting.settings.admit(outcome, (&request).into(), *this.form) {
                        Ok(authentication) => State::admitted(&mut inner, request, authentication, &waiting.settings),
                        Err(response) => State::Refused { response: Some(response) },
                    }
                }
            };
            this.state.set(next);
        }
    }
}

impl<S, ReqBody, ResBody> fmt::Debug for ResponseFuture<S, ReqBody, ResBody>
where
    S: Service<Request<ReqBody>>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("authenticate::ResponseFuture").finish_non_exhaustive()
    }
}
