//! The trip of a request that is explained.

use http::{Extensions, HeaderMap, Method, Uri};

use super::{Explanation, Presented};
use crate::{
    BoxFuture,
    keys::RefetchReason,
    refusal::{
        Error, Step,
        failed_check::Actual,
        trace::{Records, Trace},
    },
    request::{Credentials, RequestHead},
    resource_server::{AuthenticateFuture, Authentication, DigestedToken, ResourceServer},
};

impl ResourceServer {
    /// Explains what is decided about a request, and why: each check that is made, with what it expected and what it found, and every
    /// one that fails instead of the first.
    ///
    /// The decision is made afresh, by the code that makes it for requests. Nothing that is remembered is used: the signature is
    /// checked, and an issuer that is asked about tokens is asked. Nor is anything remembered for requests: neither the token nor the
    /// answer about it is cached, and an answer that does not come does not count for the circuit breaker, which refuses an
    /// explanation as it would a request. Missing keys are fetched, within the budget that all requests share, even for a signature
    /// that decides nothing because the claims do. A DPoP proof is checked and not used up, so that whether it was used before is left
    /// open.
    ///
    /// A proof is for the target that the client sent. Where a router has shortened the request's path since, give the first one by
    /// [`RequestHead::with_original_uri`].
    ///
    /// This is for operators; see [`Explanation`]. To explain a token that came without a request, make a request of it:
    ///
    /// ```
    /// # async fn explain(resource_server: scopegate_core::ResourceServer, token: &str) -> Result<(), http::Error> {
    /// let (request, ()) = http::Request::get("https://api.example/messages")
    ///     .header("authorization", format!("Bearer {token}"))
    ///     .body(())?
    ///     .into_parts();
    /// let explanation = resource_server.explain(&request).await;
    /// println!("{explanation}");
    /// # Ok(())
    /// # }
    /// ```
    pub fn explain<'r>(&self, request: impl Into<RequestHead<'r>>) -> BoxFuture<'static, Explanation> {
        let (server, request) = (self.clone(), OwnedHead::of(request.into()));
        Box::pin(async move {
            let (mut records, mut outcome) = server.traced(&request).await;
            if let Some(keys) = records.missing_keys.take()
                && keys.refetch(RefetchReason::RefreshDue).await.is_ok()
            {
                (records, outcome) = server.traced(&request).await;
            }
            let presented = Presented::of(request.head(), server.server().transports());
            Explanation::new(server.clone(), &presented, records, outcome)
        })
    }

    /// What is decided about a request, if it has credentials, and what was recorded on the way.
    async fn traced(&self, request: &OwnedHead) -> (Records, Result<Option<Authentication>, Error>) {
        let trace = Trace::on();
        let outcome = match self.explained(request.head(), &trace) {
            Some(outcome) => outcome.await.map(Some),
            None => Ok(None),
        };
        (trace.take(), outcome)
    }

    /// The decision about a request; `None` where it has no credentials.
    fn explained(&self, request: RequestHead<'_>, trace: &Trace) -> Option<AuthenticateFuture> {
        let credentials = match Credentials::from_request_with(request, self.server().transports()) {
            Ok(Some(credentials)) => credentials,
            Ok(None) => return None,
            Err(error) => return Some(AuthenticateFuture::ready(Err(error))),
        };
        let scheme = credentials.scheme();
        trace.passed(Step::Credentials, "Authorization", || {
            ("one token, under a scheme that is accepted here".into(), Actual::from(scheme.as_str()))
        });
        let digested = DigestedToken { trace, cache_missed: true, ..self.digested(credentials) };
        Some(self.verify(request, digested, None))
    }
}

/// A request that is explained, which is only borrowed, and which may have to be looked at twice.
struct OwnedHead {
    method: Method,
    uri: Uri,
    original_uri: Uri,
    headers: HeaderMap,
    extensions: Extensions,
}

impl OwnedHead {
    fn of(request: RequestHead<'_>) -> Self {
        Self {
            method: request.method().clone(),
            uri: request.uri().clone(),
            original_uri: request.original_uri().clone(),
            headers: request.headers().clone(),
            extensions: request.extensions().clone(),
        }
    }

    fn head(&self) -> RequestHead<'_> {
        let Self { method, uri, original_uri, headers, extensions } = self;
        RequestHead::new(method, uri, headers, extensions).with_original_uri(original_uri)
    }
}
