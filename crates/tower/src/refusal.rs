//! Refusals as responses: status, challenge, body, and the event in the log.
//!
//! Layers and extractors all answer through [`Refusal`], so that every refusal has the same form:
//!
//! - the status and, where the client can remedy the refusal, a `WWW-Authenticate` field line with a challenge for each scheme,
//!   and a `DPoP-Nonce` where proofs need one, also with a 503 since nothing is known of used proofs;
//! - `Cache-Control: no-store`, and `Retry-After` with a 503;
//! - a problem document (RFC 9457), unless the request's `Accept` excludes JSON; for a `HEAD` only the headers that go with
//!   it;
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

use std::{
    any::type_name,
    cell::RefCell,
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode,
    header::{
        ACCEPT, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LENGTH, CONTENT_RANGE,
        CONTENT_TYPE, ETAG, LAST_MODIFIED, RETRY_AFTER, WWW_AUTHENTICATE,
    },
};
use scopegate_core::{
    Authentication, Error, ErrorKind, ProtectionSpace, Reason, RequestHead, ResourceServer, VerifiedToken,
    clock::{Clock as _, SystemClock},
    observe::{LogSampler, log_excerpt},
};
use tracing::Span;

use crate::ResponseBody;

/// `Retry-After` where neither the issuer nor the circuit breaker gives a time.
const DEFAULT_RETRY_AFTER: Duration = Duration::from_secs(5);

pub(crate) const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
pub(crate) const DPOP_NONCE: HeaderName = HeaderName::from_static("dpop-nonce");
pub(crate) const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");

/// The form in which the client of a request can read a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResponseForm(Form);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// Status and headers: the request does not accept JSON.
    Bare,
    /// A trailers-only gRPC response.
    Grpc(GrpcType),
    /// The headers of [`Problem`](Self::Problem) without its document: the request is a `HEAD`.
    Head,
    /// Status, headers and a problem document.
    Problem,
}

/// The content type of a gRPC response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GrpcType {
    Grpc,
    Web,
    WebText,
}

impl GrpcType {
    const ALL: [Self; 3] = [Self::WebText, Self::Web, Self::Grpc];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Grpc => "application/grpc",
            Self::Web => "application/grpc-web",
            Self::WebText => "application/grpc-web-text",
        }
    }
}

impl ResponseForm {
    /// A gRPC response that ends with its headers.
    pub(crate) const GRPC: Self = Self(Form::Grpc(GrpcType::Grpc));

    /// The form for this request. It is gRPC only where `space` [answers gRPC](ProtectionSpace::answering_grpc): a client
    /// chooses its content type, and must not turn the refusals of a REST route into HTTP 200.
    pub fn of<'r>(request: impl Into<RequestHead<'r>>, space: Option<&ProtectionSpace>) -> Self {
        Self::new(request.into(), || space.is_some_and(ProtectionSpace::answers_grpc))
    }

    /// The form for this request to a service whose response bodies are of type `B`.
    pub(crate) fn for_bodies<B>(request: RequestHead<'_>, space: Option<&ProtectionSpace>) -> Self {
        Self::new(request, || is_of_tonic::<B>() || space.is_some_and(ProtectionSpace::answers_grpc))
    }

    fn new(request: RequestHead<'_>, answers_grpc: impl FnOnce() -> bool) -> Self {
        // Every gRPC call is a POST. Other requests get an HTTP status, which proxies act on.
        let may_be_grpc = *request.method() == Method::POST;
        let content_type = may_be_grpc.then(|| grpc_content_type(request.headers())).flatten();
        Self(match content_type.filter(|_| answers_grpc()) {
            Some(content_type) => Form::Grpc(content_type),
            None if !accepts_json(request.headers()) => Form::Bare,
            None if *request.method() == Method::HEAD => Form::Head,
            None => Form::Problem,
        })
    }

    /// Whether the response has a problem document, or the headers of one.
    fn has_document(self) -> bool {
        matches!(self.0, Form::Head | Form::Problem)
    }
}

/// Whether a response body is tonic's, or wraps it: the service behind the layer then speaks only gRPC.
///
/// Decided by the type's name, since this crate does not depend on tonic. Should the compiler spell it differently one day,
/// refusals get HTTP statuses, which gRPC clients map to the same codes except for 500.
fn is_of_tonic<B>() -> bool {
    type_name::<B>().contains("tonic::body::")
}

/// Which gRPC these headers are of, and so the content type to answer a request with; `None` where they are of no gRPC.
pub(crate) fn grpc_content_type(headers: &HeaderMap) -> Option<GrpcType> {
    let content_type = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    GrpcType::ALL.into_iter().find(|answer| {
        let Some((prefix, rest)) = content_type.split_at_checked(answer.as_str().len()) else { return false };
        let ends = matches!(rest.bytes().next(), None | Some(b'+' | b';' | b' '));
        ends && prefix.eq_ignore_ascii_case(answer.as_str())
    })
}

/// Whether `Accept` permits JSON (RFC 9110 §12.5.1). A request without `Accept` permits everything.
fn accepts_json(headers: &HeaderMap) -> bool {
    let mut fields = headers.get_all(ACCEPT).iter().peekable();
    if fields.peek().is_none() {
        return true;
    }
    let ranges = fields.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
    // The most specific range decides; of two equally specific, the more permissive one.
    let mut best = (0, false);
    for range in ranges {
        let mut parts = range.split(';').map(str::trim);
        let specificity = match parts.next().unwrap_or_default().to_ascii_lowercase().as_str() {
            "*/*" => 1,
            "application/*" => 2,
            "application/json" | "application/problem+json" => 3,
            _ => continue,
        };
        let excluded = parts.any(|parameter| {
            parameter.split_once('=').is_some_and(|(name, value)| {
                name.trim().eq_ignore_ascii_case("q") && value.trim().parse::<f32>().is_ok_and(|quality| quality <= 0.0)
            })
        });
        best = best.max((specificity, !excluded));
    }
    best.1
}

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
        let error = if is_challenged && self.space.is_none() { &no_space } else { self.error };
        let disclosed = error.disclosed();
        let kind = disclosed.kind();

        let headers = response.headers_mut();
        for name in [
            CONTENT_DISPOSITION,
            CONTENT_ENCODING,
            CONTENT_LANGUAGE,
            CONTENT_LENGTH,
            CONTENT_RANGE,
            CONTENT_TYPE,
            ETAG,
            LAST_MODIFIED,
        ] {
            headers.remove(name);
        }
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(space) = self.space.filter(|_| kind.is_challenged()) {
            headers.remove(WWW_AUTHENTICATE);
            for challenge in &*space.challenge_values(error, self.required, self.token) {
                headers.append(WWW_AUTHENTICATE, challenge.clone());
            }
        }
        // A store that was restarted cannot tell of proofs with an earlier nonce, and its clients would keep theirs.
        let wants_proof = kind.is_challenged() || disclosed == Reason::ReplayCheckUnavailable;
        if let Some(nonce) = self.resource_server.filter(|_| wants_proof).and_then(ResourceServer::dpop_nonce) {
            headers.insert(DPOP_NONCE, nonce);
        }
        if kind == ErrorKind::Unavailable {
            // Whole seconds, rounded up: a client that retries earlier is refused again.
            let seconds = error.retry_after().unwrap_or(DEFAULT_RETRY_AFTER).as_millis().div_ceil(1000);
            headers.insert(RETRY_AFTER, HeaderValue::from(u64::try_from(seconds).unwrap_or(u64::MAX)));
        }
        *response.body_mut() = ResponseBody::default();
        *response.status_mut() = match form.0 {
            Form::Grpc(content_type) => {
                let headers = response.headers_mut();
                headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type.as_str()));
                headers.insert(GRPC_STATUS, HeaderValue::from(kind.grpc_status()));
                headers.insert(GRPC_MESSAGE, HeaderValue::from_static(self.message(disclosed)));
                StatusCode::OK
            }
            _ => kind.status(),
        };
        let problem = Bytes::from_static(self.problem(disclosed).as_bytes());
        RefusalBody::new(HeaderValue::from_static("application/problem+json"), problem).put_into(response, form);
        let extensions = response.extensions_mut();
        extensions.remove::<Disclosed>();
        extensions.insert(error.reason());
        if disclosed != error.reason().disclosed() {
            extensions.insert(Disclosed(disclosed));
        }
    }

    fn problem(&self, reason: Reason) -> &'static str {
        self.space.map_or_else(|| reason.problem(), |space| space.problem(reason))
    }

    /// Printable ASCII without a per cent sign, so that percent-encoding does not change it.
    fn message(&self, reason: Reason) -> &'static str {
        self.space.map_or_else(|| reason.description(), |space| space.message(reason))
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

/// [`ResourceServer::admit_to_log`] for requests that no resource server has seen. Sampled per thread, to avoid a lock.
fn admit_without_resource_server(reason: Reason, now: SystemTime) -> Option<u64> {
    thread_local! {
        static SAMPLER: RefCell<LogSampler> = RefCell::default();
    }
    SAMPLER.with_borrow_mut(|sampler| sampler.admit(reason, "", now))
}

/// What the client is told, where that does not follow from the [`Reason`] in the extensions, which is for logs.
#[derive(Clone, Copy)]
struct Disclosed(Reason);

/// Renders the body of a refusal in place of the problem document.
pub(crate) type Renderer = Arc<dyn Fn(Reason) -> RefusalBody + Send + Sync>;

/// The body of a refusal, from [`Authenticate::render_refusals`](crate::Authenticate::render_refusals). Status, challenge and
/// other headers are not the renderer's to change.
#[derive(Clone, PartialEq, Eq)]
pub struct RefusalBody {
    content_type: HeaderValue,
    text: Bytes,
}

impl RefusalBody {
    /// A body of this content type.
    pub fn new(content_type: HeaderValue, text: impl Into<Bytes>) -> Self {
        Self { content_type, text: text.into() }
    }

    /// Becomes the body of `response`, where the client can read one. A `HEAD` gets the type and length that the `GET` would
    /// have (RFC 9110 §8.6); without them, a server would send a length of 0.
    fn put_into<B>(self, response: &mut Response<ResponseBody<B>>, form: ResponseForm) {
        if !form.has_document() {
            return;
        }
        response.headers_mut().insert(CONTENT_TYPE, self.content_type);
        if form.0 == Form::Head {
            response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(self.text.len()));
        } else {
            *response.body_mut() = ResponseBody::whole(self.text);
        }
    }
}

impl fmt::Debug for RefusalBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RefusalBody").field("content_type", &self.content_type).finish_non_exhaustive()
    }
}

/// Gives a refusal the application's body, where the client can read one.
pub(crate) fn render<B>(response: &mut Response<ResponseBody<B>>, renderer: &Renderer, form: ResponseForm) {
    // Another layer may have replaced the refusal by a different response and left its reason in the extensions.
    let is_refusal = |told: &Reason| form.has_document() && response.status() == told.kind().status();
    let concealed = response.extensions().get().map(|Disclosed(told)| *told);
    let told = concealed.or_else(|| response.extensions().get().copied().map(Reason::disclosed));
    if let Some(told) = told.filter(is_refusal) {
        renderer(told).put_into(response, form);
    }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn form(method: Method, headers: &[(HeaderName, &str)]) -> Form {
        let mut request = Request::builder().method(method);
        for (name, value) in headers {
            request = request.header(name, *value);
        }
        ResponseForm::of(&request.body(()).unwrap(), Some(&answering_grpc())).0
    }

    fn answering_grpc() -> ProtectionSpace {
        ProtectionSpace::new("r").unwrap().answering_grpc()
    }

    #[test]
    fn the_form_follows_method_accept_and_content_type() {
        assert_eq!(form(Method::GET, &[]), Form::Problem);
        assert_eq!(form(Method::HEAD, &[]), Form::Head);
        assert_eq!(form(Method::HEAD, &[(ACCEPT, "text/html")]), Form::Bare);
        for (accept, expected) in [
            ("application/json", Form::Problem),
            ("application/problem+json", Form::Problem),
            ("Application/*", Form::Problem),
            ("text/html, */*;q=0.1", Form::Problem),
            ("text/html", Form::Bare),
            ("", Form::Bare),
            ("*/*;q=0", Form::Bare),
            ("*/*, application/json;q=0", Form::Bare),
            ("application/json; q=0.0, */*", Form::Bare),
            ("application/*;q=0, application/json", Form::Problem),
            ("application/jsonx", Form::Bare),
        ] {
            assert_eq!(form(Method::GET, &[(ACCEPT, accept)]), expected, "{accept:?}");
        }
        assert_eq!(form(Method::GET, &[(ACCEPT, "text/html"), (ACCEPT, "application/json")]), Form::Problem);
    }

    #[test]
    fn grpc_is_known_by_its_content_type() {
        for (content_type, expected) in [
            ("application/grpc", Form::Grpc(GrpcType::Grpc)),
            ("application/grpc+proto", Form::Grpc(GrpcType::Grpc)),
            ("Application/GRPC; x=y", Form::Grpc(GrpcType::Grpc)),
            ("application/grpc-web+proto", Form::Grpc(GrpcType::Web)),
            ("application/grpc-web-text", Form::Grpc(GrpcType::WebText)),
            ("application/grpcx", Form::Problem),
            ("application/json", Form::Problem),
            ("application/grp", Form::Problem),
        ] {
            assert_eq!(form(Method::POST, &[(CONTENT_TYPE, content_type)]), expected, "{content_type}");
        }
    }

    #[test]
    fn grpc_1_the_form_is_grpcs_where_the_service_answers_grpc() {
        let request = Request::post("/").header(CONTENT_TYPE, "application/grpc").body(()).unwrap();
        let http = ProtectionSpace::new("r").unwrap();
        for space in [None, Some(&http)] {
            assert_eq!(ResponseForm::of(&request, space).0, Form::Problem);
            assert_eq!(ResponseForm::for_bodies::<Bytes>((&request).into(), space).0, Form::Problem);
        }
        let grpc = Form::Grpc(GrpcType::Grpc);
        assert_eq!(ResponseForm::for_bodies::<Bytes>((&request).into(), Some(&answering_grpc())).0, grpc);
    }
}
