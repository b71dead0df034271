use std::{
    fmt, mem,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use scopegate_core::RequestHead;
use tower_service::Service;

use super::{ResponseFuture, settings::Settings};
use crate::{guard::Decided, refusal::ResponseForm};

/// The service of [`Authenticate`](super::Authenticate). See the [module docs](super).
#[derive(Clone)]
pub struct AuthenticateService<S> {
    inner: S,
    settings: Arc<Settings>,
}

impl<S> AuthenticateService<S> {
    pub(super) fn new(inner: S, settings: Arc<Settings>) -> Self {
        Self { inner, settings }
    }

    /// The head of a request, with the target that its client sent where proofs name it.
    fn head<'r, B>(&self, request: &'r Request<B>) -> RequestHead<'r> {
        let head = RequestHead::from(request);
        #[cfg(feature = "axum")]
        if self.settings.resource_server.accepts_dpop()
            && let Some(axum::extract::OriginalUri(uri)) = request.extensions().get()
        {
            // DPOP-9: the path as it was before a router took a prefix off.
            return head.with_original_uri(uri);
        }
        head
    }
}

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for AuthenticateService<S>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>> + Clone,
    ResBody: Body<Data = Bytes>,
{
    type Response = Response<crate::ResponseBody<ResBody>>;
    type Error = S::Error;
    type Future = ResponseFuture<S, ReqBody, ResBody>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        Decided::note_authenticated(request.extensions());
        let space = self.settings.resource_server.protection_space();
        let form = ResponseForm::for_bodies::<ResBody>((&request).into(), space);
        match self.settings.resource_server.authenticate(self.head(&request)).try_now() {
            Ok(outcome) => match self.settings.admit(outcome, (&request).into(), form) {
                Ok(authentication) => {
                    ResponseFuture::admitted(&mut self.inner, request, authentication, &self.settings, form)
                }
                Err(response) => {
                    // What the inner service reserved by being ready goes with it: the client may leave the connection idle.
                    self.inner = self.inner.clone();
                    ResponseFuture::refused(response, form)
                }
            },
            Err(authenticating) => {
                // OPS-5: the service that was polled ready is the one that has to be called; its clone may not be ready.
                let clone = self.inner.clone();
                let ready = mem::replace(&mut self.inner, clone);
                ResponseFuture::authenticating(authenticating, ready, request, Arc::clone(&self.settings), form)
            }
        }
    }
}

impl<S: fmt::Debug> fmt::Debug for AuthenticateService<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthenticateService").field("inner", &self.inner).field("settings", &self.settings).finish()
    }
}
