//! Refusals as responses: status, challenge, body, and the event in the log.
//!
//! Layers and extractors all answer through [`Refusal`], so that every refusal has the same form:
//!
//! - the status and, where the client can remedy the refusal, a `WWW-Authenticate` field line with a challenge for each scheme,
//!   and a `DPoP-Nonce` where proofs need one, also with a 503 since nothing is known of used proofs;
//! - `Cache-Control: no-store`, and `Retry-After` with a 503;
//! - a problem document (RFC 9457), or the body that the application [writes](crate::Authenticate::render_refusals), unless the
//!   request's `Accept` excludes it; for a `HEAD` only the headers that go with it;
//! - for a gRPC request (a `POST` of such a content type to a service that [answers gRPC](crate::Authenticate::answer_grpc)),
//!   HTTP 200 and the status in `grpc-status`, with the challenge as metadata and no body;
//! - the [`Reason`] in the response extensions, for layers outside that log or count;
//! - one tracing event, target `scopegate`, with the fields `reason`, `issuer`, `key_id`, `failures` (each failed check with
//!   the expected and the actual value), `required` and `granted` scope, and `subject`, `client_id` and `token_id` of a valid
//!   token that lacks scope. Never the token. Where no span is active, the event is in a span `request` of its own with
//!   `method` and `path`.
//!
//! The event's level follows the class: `debug` for missing credentials, `info` for refused credentials, `warn` where the
//! token could not be verified, `error` where the service is misconfigured.
//!
//! Per reason and issuer, the first 20 events in 10 seconds have that level and the rest are at `debug`, so that an attacker
//! cannot flood the log. The first event of the next 10 seconds has their number as `left_out`.

mod form;
mod negotiation;
mod refused_request;
mod renderer;

use std::{
    cell::RefCell,
    time::{Duration, SystemTime},
};

use http::{
    HeaderName, HeaderValue, Response, StatusCode,
    header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE},
};
use scopegate_core::{
    Authentication, Error, ErrorKind, ProtectionSpace, Reason, RequestHead, ResourceServer, VerifiedToken,
    clock::{Clock as _, SystemClock},
    observe::{LogSampler, log_excerpt},
};
use tracing::Span;

use self::renderer::{Disclosed, remove_body};
pub use self::{form::ResponseForm, refused_request::RefusedRequest, renderer::RefusalBody};
pub(crate) use self::{
    form::{GrpcType, grpc_content_type},
    refused_request::RequestSummary,
    renderer::{Renderer, render},
};
use crate::ResponseBody;

/// `Retry-After` where neither the issuer nor the circuit breaker gives a time.
const DEFAULT_RETRY_AFTER: Duration = Duration::from_secs(5);

pub(crate) const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
pub(crate) const DPOP_NONCE: HeaderName = HeaderName::from_static("dpop-nonce");
pub(crate) const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");

/// A refusal on its way to becoming a response. See the [module docs](self).
#[derive(Clone, Copy, Debug)]
#[must_use = "a refusal refuses nothing until it is made a response"]
pub struct Refusal<'a> {
    error: &'a Error,
    space: Option<&'a ProtectionSpace>,
    required: Option<&'a str>,
    token: Option<&'a VerifiedToken>,
    resource_server: Option<&'a ResourceServer>,
    request: Option<RequestHead<'a>>,
    is_logged: bool,
}

impl<'a> Refusal<'a> {
    /// The refusal of a request for this reason.
    pub fn new(error: &'a Error) -> Self {
        Self { error, space: None, required: None, token: None, resource_server: None, request: None, is_logged: true }
    }

    /// Writes the refusal for the protection space of this resource server, and reports it to the server's observer. Without a
    /// space there is no challenge, and an error that needs one is answered as a misconfiguration (500).
    pub fn by(mut self, resource_server: &'a ResourceServer) -> Self {
        self.space = resource_server.protection_space();
        self.resource_server = Some(resource_server);
        self
    }

    /// Adds the token that lacks scope to the log event.
    pub(crate) fn of(mut self, token: Option<&'a VerifiedToken>) -> Self {
        self.token = token;
        self
    }

    /// Takes the protection space, the observer and the token for the log from the `Authentication` of the request.
    pub fn after(mut self, authentication: Option<&'a Authentication>) -> Self {
        self.token = authentication.and_then(Authentication::token);
        match authentication {
            Some(authentication) => self.by(authentication.resource_server()),
            None => self,
        }
    }

    /// Adds the request to the log event.
    pub fn to(mut self, request: impl Into<RequestHead<'a>>) -> Self {
        self.request = Some(request.into());
        self
    }

    /// Names the scope that the request needs, space-delimited, in the challenge and in the log event; not where it was a
    /// policy that was not met, since no scope would help.
    pub fn requiring(mut self, scope: Option<&'a str>) -> Self {
        self.required = scope.filter(|scope| !scope.is_empty() && self.error.reason() != Reason::PolicyNotMet);
        self
    }

    /// Leaves the refusal out of the log, for a caller that has written a line of its own.
    pub(crate) fn unlogged(self) -> Self {
        Self { is_logged: false, ..self }
    }

    /// Logs the refusal and builds its response.
    pub fn respond<B>(self, form: ResponseForm) -> Response<ResponseBody<B>> {
        let mut response = Response::new(ResponseBody::default());
        self.overwrite(&mut response, form);
        response
    }

    /// Logs the refusal and writes it over an existing response: status, body and the headers of a refusal. Headers that
    /// describe the replaced body are removed; others stay.
    pub(crate) fn overwrite<B>(self, response: &mut Response<ResponseBody<B>>, form: ResponseForm) {
        if let Some(resource_server) = self.resource_server {
            resource_server.observe_refusal(self.error, self.token);
        }
        if self.is_logged {
            self.log();
        }

        let no_space = Error::missing_authenticate_layer();
        let is_challenged = self.error.disclosed().kind().is_challenged();
        // SCOPE-5: without the layer that knows the challenges, it is a fault of the wiring.
        let error = if is_challenged && self.space.is_none() { &no_space } else { self.error };
        let disclosed = error.disclosed();
        let kind = disclosed.kind();

        remove_body(response);
        let headers = response.headers_mut();
        // CHAL-12: no cache keeps a refusal.
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        let challenging = self.space.filter(|_| kind.is_challenged());
        if let Some(space) = challenging {
            // CHAL-1, CHAL-8: a field line for each challenge.
            headers.remove(WWW_AUTHENTICATE);
            for challenge in &*space.challenge_values(error, self.required, self.token) {
                headers.append(WWW_AUTHENTICATE, challenge.clone());
            }
        }
        // A store that was restarted cannot tell of proofs with an earlier nonce, and its clients would keep theirs.
        // DPOP-17: each refusal with a challenge brings a fresh nonce.
        let wants_proof = kind.is_challenged() || disclosed == Reason::ReplayCheckUnavailable;
        if let Some(nonce) = self.resource_server.filter(|_| wants_proof).and_then(ResourceServer::dpop_nonce) {
            headers.insert(DPOP_NONCE, nonce);
        }
        let retry_after = (kind == ErrorKind::Unavailable).then(|| whole_seconds(error.retry_after()));
        if let Some(seconds) = retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        let disclosed = Disclosed {
            retry_after: retry_after.map(Duration::from_secs),
            scope: self.required.filter(|_| challenging.is_some()).map(Into::into),
            ..Disclosed::new(disclosed, self.space)
        };
        // GRPC-1, GRPC-2, GRPC-3: 200 with the status of the class, which no table of HTTP statuses gives.
        if let Some(content_type) = form.grpc() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
            headers.insert(GRPC_STATUS, HeaderValue::from(kind.grpc_status()));
            headers.insert(GRPC_MESSAGE, HeaderValue::from_static(disclosed.title));
            *response.status_mut() = StatusCode::OK;
        } else {
            *response.status_mut() = kind.status();
        }
        if form.takes_problem() {
            // PROB-1: a problem document of its reason.
            disclosed.problem().put_into(response, form);
        }
        response.extensions_mut().insert(error.reason());
        response.extensions_mut().insert(disclosed);
    }

    /// A span that names the request, where no span is active.
    fn span(&self) -> Option<Span> {
        let request = self.request.filter(|_| Span::current().is_none())?;
        Some(tracing::error_span!(
            target: "scopegate",
            "request",
            method = log_excerpt(request.method().as_str()),
            path = log_excerpt(request.uri().path())
        ))
    }

    /// The number of events that were dropped to `debug` before this one; `None` where this one is dropped as well.
    fn admit(&self) -> Option<u64> {
        match self.resource_server {
            Some(resource_server) => resource_server.admit_to_log(self.error, self.token),
            None => admit_without_resource_server(self.error.reason(), SystemClock.now()),
        }
    }

    /// Writes the event at its level, or at `debug` if the sampler rejects it. Does not consume the sampler's budget where no
    /// subscriber listens.
    fn log(&self) {
        macro_rules! write_event {
            ($level:ident, $left_out:expr, $message:literal) => {
                if tracing::event_enabled!(target: "scopegate", tracing::Level::$level) {
                    let _span = self.span().map(Span::entered);
                    let failures = Some(self.error.failed_checks()).filter(|failures| !failures.is_empty());
                    tracing::event!(
                        target: "scopegate",
                        tracing::Level::$level,
                        reason = self.error.reason().as_str(),
                        issuer = self.error.issuer().or(self.token.map(VerifiedToken::issuer)),
                        key_id = self.error.key_id(),
                        failures = failures.map(tracing::field::debug),
                        required = self.required,
                        granted = self.token.map(|token| token.scope().to_log()),
                        subject = self.token.and_then(VerifiedToken::subject).map(log_excerpt),
                        client_id = self.token.and_then(VerifiedToken::client_id).map(log_excerpt),
                        token_id = self.token.and_then(VerifiedToken::token_id).map(log_excerpt),
                        cause = self.error.cause().map(tracing::field::display),
                        left_out = $left_out.filter(|left_out: &u64| *left_out > 0),
                        $message
                    )
                }
            };
        }
        macro_rules! event {
            ($level:ident, $message:literal) => {
                if tracing::event_enabled!(target: "scopegate", tracing::Level::$level) {
                    match self.admit() {
                        Some(left_out) => write_event!($level, Some(left_out), $message),
                        None => write_event!(DEBUG, None, $message),
                    }
                }
            };
        }
        match self.error.kind() {
            _ if self.error.disclosed().kind().is_challenged() && self.space.is_none() => event!(
                ERROR,
                "a refusal has no `Authenticate` layer around it: add `.layer(Authenticate::new(..))` around the service"
            ),
            // Not sampled: events above the rate go to `debug` as well.
            ErrorKind::MissingCredentials => write_event!(DEBUG, None, "a request without credentials was refused"),
            ErrorKind::Unavailable => event!(WARN, "a token could not be verified"),
            ErrorKind::Misconfigured if self.error.reason() == Reason::NoBinding => event!(
                ERROR,
                "a route requires a bound token, and its resource server has not switched on the method: do so with `.dpop(..)` or \
                 `.certificate_binding(..)`, or remove `RequireBound` or `.bound()` from the route"
            ),
            ErrorKind::Misconfigured if self.error.reason() == Reason::NoIntrospection => event!(
                ERROR,
                "a route has a `RequireActive` layer and the token's issuer has no introspection: add `.introspection(..)` to \
                 the issuer"
            ),
            ErrorKind::Misconfigured if self.error.reason() == Reason::AmbiguousToken => {
                event!(ERROR, "two verifiers accept the same token: make their `accepts` exclude each other")
            }
            ErrorKind::Misconfigured if self.error.reason() == Reason::VerifierPanicked => event!(
                ERROR,
                "a verifier of the application panicked, so its token was refused: correct the verifier; the panic hook has \
                 printed the message"
            ),
            ErrorKind::Misconfigured => event!(
                ERROR,
                "a route requires a token and no `Authenticate` layer runs in front of it. On a `ProtectedRouter` the route is \
                 `public()`: say `authenticated()`, or `optional()` for an `Option<AccessToken>`. Elsewhere add the layer outside \
                 of what requires the token: on an axum `Router`, add the routes, call `.route_layer(RequireScope::new(..))` or \
                 `.route_layer(RequireActive::now())`, and then `.route_layer(Authenticate::new(..))`; in a \
                 `tower::ServiceBuilder`, put `Authenticate` first"
            ),
            _ => event!(INFO, "credentials were refused"),
        }
    }
}

/// Rounded up: a client that retries earlier is refused again.
fn whole_seconds(retry_after: Option<Duration>) -> u64 {
    let seconds = retry_after.unwrap_or(DEFAULT_RETRY_AFTER).as_millis().div_ceil(1000);
    u64::try_from(seconds).unwrap_or(u64::MAX)
}

/// [`ResourceServer::admit_to_log`] for requests that no resource server has seen. Sampled per thread, to avoid a lock.
fn admit_without_resource_server(reason: Reason, now: SystemTime) -> Option<u64> {
    thread_local! {
        static SAMPLER: RefCell<LogSampler> = RefCell::default();
    }
    SAMPLER.with_borrow_mut(|sampler| sampler.admit(reason, "", now))
}
