use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use http::{Request, Response};
use pin_project_lite::pin_project;
use scopegate_core::{Authenticating, Authentication, VerifiedToken};
use tower_service::Service;

use super::layer::Settings;
use crate::{GateBody, refusal::ResponseForm};

pin_project! {
    /// The response future of [`AuthenticateService`](super::AuthenticateService).
    ///
    /// Dropping it cancels the request and nothing else: a fetch of keys that it waits for goes on.
    #[must_use = "futures do nothing unless polled"]
    pub struct ResponseFuture<S, ReqBody, ResBody>
    where
        S: Service<Request<ReqBody>>,
    {
        #[pin]
        state: State<S, S::Future, ReqBody, ResBody>,
        settings: Option<Arc<Settings>>,
        form: Option<ResponseForm>,
    }
}

pin_project! {
    #[project = StateProjection]
    enum State<S, F, ReqBody, ResBody> {
        /// Waits for keys. The inner service is the one that was polled ready.
        Authenticating { #[pin] authenticating: Authenticating, waiting: Option<(S, Request<ReqBody>)> },
        Admitted { #[pin] future: F, token: Option<VerifiedToken> },
        Refused { response: Option<Response<GateBody<ResBody>>> },
    }
}

impl<S, ReqBody, ResBody> ResponseFuture<S, ReqBody, ResBody>
where
    S: Service<Request<ReqBody>>,
{
    pub(super) fn admitted(
        inner: &mut S,
        request: Request<ReqBody>,
        authentication: Authentication,
        settings: Arc<Settings>,
        form: ResponseForm,
    ) -> Self {
        Self { state: State::admitted(inner, request, authentication), settings: Some(settings), form: Some(form) }
    }

    pub(super) fn authenticating(
        authenticating: Authenticating,
        ready: S,
        request: Request<ReqBody>,
        settings: Arc<Settings>,
        form: ResponseForm,
    ) -> Self {
        Self {
            state: State::Authenticating { authenticating, waiting: Some((ready, request)) },
            settings: Some(settings),
            form: Some(form),
        }
    }

    pub(super) fn refused(response: Response<GateBody<ResBody>>) -> Self {
        Self { state: State::Refused { response: Some(response) }, settings: None, form: None }
    }
}

impl<S, ReqBody, ResBody> State<S, S::Future, ReqBody, ResBody>
where
    S: Service<Request<ReqBody>>,
{
    fn admitted(inner: &mut S, mut request: Request<ReqBody>, authentication: Authentication) -> Self {
        let token = authentication.token().cloned();
        request.extensions_mut().insert(authentication);
        Self::Admitted { future: inner.call(request), token }
    }
}

impl<S, ReqBody, ResBody> Future for ResponseFuture<S, ReqBody, ResBody>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
{
    type Output = Result<Response<GateBody<ResBody>>, S::Error>;

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
                StateProjection::Admitted { future, token } => {
                    let response = ready!(future.poll(context))?;
                    let (settings, form) =
                        this.settings.take().zip(this.form.take()).expect("polled again after completion");
                    return Poll::Ready(Ok(settings.complete(response, token.as_ref(), form)));
                }
                StateProjection::Authenticating { authenticating, waiting } => {
                    let outcome = ready!(authenticating.poll(context));
                    let (mut inner, request) = waiting.take().expect("polled again after completion");
                    let (settings, form) =
                        this.settings.as_ref().zip(*this.form).expect("polled again after completion");
                    match settings.admit(outcome, form) {
                        Ok(authentication) => State::admitted(&mut inner, request, authentication),
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
