//! What an observer and the log are told of requests.

use std::{
    sync::{Arc, PoisonError},
    time::SystemTime,
};

use super::{AuthenticateFuture, Authentication, ResourceServer};
use crate::{
    clock::Clock,
    observe::{AuthenticationAttempt, AuthenticationOutcome, Observer, VerificationMethod},
    refusal::Error,
    request::RequestHead,
    token::VerifiedToken,
};

impl ResourceServer {
    /// [`authenticate_head`](Self::authenticate_head), with its outcome and duration told to the observer. Apart, so that
    /// requests without an observer do not pay for it.
    #[inline(never)]
    pub(super) fn authenticate_observed(
        &self,
        request: RequestHead<'_>,
        observer: &Arc<dyn Observer>,
    ) -> AuthenticateFuture {
        let began = self.server().clock.now();
        let (server, observer) = (self.for_this_thread(), Arc::clone(observer));
        self.authenticate_head(request)
            .observed(move |outcome, method| server.observe_authentication(&*observer, outcome, method, began))
    }

    fn observe_authentication(
        &self,
        observer: &dyn Observer,
        outcome: &Result<Authentication, Error>,
        method: VerificationMethod,
        began: SystemTime,
    ) {
        let (issuer, outcome) = match outcome {
            Ok(authentication) => match authentication.token() {
                Some(token) => (self.server().dispatch.label(token.issuer()), AuthenticationOutcome::Accepted),
                None => (None, AuthenticationOutcome::Anonymous),
            },
            Err(error) => (self.label(error, None), AuthenticationOutcome::of_refusal(error.kind())),
        };
        let at = self.server().clock.now();
        let duration = at.duration_since(began).unwrap_or_default();
        observer.authenticated(&AuthenticationAttempt { issuer, outcome, method, duration, at });
    }

    /// Tells the observer that a request was refused. The layers and extractors call this for what they refuse; `token` is
    /// the valid token of a request that is not permitted.
    pub fn observe_refusal(&self, error: &Error, token: Option<&VerifiedToken>) {
        if let Some(observer) = &self.server().observer {
            observer.refused(self.label(error, token), error.reason());
        }
    }

    /// Whether a refusal is to be logged, and then how many of its kind were left out since the last one that was. Call it
    /// right before writing to the log: a refusal that is admitted counts as logged.
    pub fn admit_to_log(&self, error: &Error, token: Option<&VerifiedToken>) -> Option<u64> {
        let issuer = self.label(error, token).unwrap_or_default();
        let mut sampler = self.server().log_sampler.lock().unwrap_or_else(PoisonError::into_inner);
        sampler.admit(error.reason(), issuer, self.server().clock.now())
    }

    /// The name of the issuer of a refused token in metrics and logs.
    fn label<'s>(&'s self, error: &'s Error, token: Option<&'s VerifiedToken>) -> Option<&'s str> {
        self.server().dispatch.label(error.issuer().or(token.map(VerifiedToken::issuer))?)
    }
}
