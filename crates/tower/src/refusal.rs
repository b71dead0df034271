//! Refusals as responses: status, challenge, body, and the event in the log.
//!
//! Layers and extractors all answer through [`Refusal`], so that a refusal looks the same whoever made it:
//!
//! - the status and, where the client can do something about it, one `WWW-Authenticate` challenge;
//! - `Cache-Control: no-store`, and `Retry-After` with a 503;
//! - a problem document (RFC 9457), unless its `Accept` excludes JSON; for a `HEAD` only the headers that go with it;
//! - for gRPC (a `POST` of such a content type to a service that [answers gRPC](crate::Authenticate::answer_grpc)), HTTP 200
//!   and the status in `grpc-status`, with the challenge as metadata and no body;
//! - the [`Reason`] in the response extensions, for whatever logs or counts outside;
//! - one tracing event, target `scopegate`: `reason`, `issuer`, `key_id`, the checks that failed with what was expected and
//!   what was found, `required` and `granted` scope; `subject`, `client_id` and `token_id` of a token that is good and too weak.
//!   Never the token. Where no span is active, it is in a span `request` of its own with `method` and `path`.
//!
//! The event's level follows the class: `debug` for missing credentials, `info` for credentials that were refused, `warn`
//! where no decision was possible, `error` where the service is misconfigured.
//!
//! Of one reason and issuer, 20 events in 10 seconds have that level; the others are at `debug`. The first one of the next 10
//! seconds has how many they were, as `left_out`.

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

/// When to try again, where nobody knows better.
const DEFAULT_RETRY_AFTER: Duration = Duration::from_secs(5);

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");

/// The form in which the client of a request can read a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResponseForm(Form);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// Status and headers: the request does not accept JSON.
    Bare,
    /// A trailers-only response.
    Grpc(GrpcType),
    /// Status, headers and what they say of a problem document that is left out: the request is a `HEAD`.
    Head,
    /// Status, headers and a problem document.
    Problem,
}

/// What a gRPC request is answered with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum GrpcType {
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
    /// The form for this request. It is that of gRPC only where `space` [answers gRPC](ProtectionSpace::answering_grpc): a
    /// content type is the client's to choose, and must not turn the refusals of a REST route into HTTP 200.
    pub fn of<'r>(request: impl Into<RequestHead<'r>>, space: Option<&ProtectionSpace>) -> Self {
        Self::new(request.into(), || space.is_some_and(ProtectionSpace::answers_grpc))
    }

    /// The form for this request to a service whose responses have bodies of type `B`.
    pub(crate) fn for_bodies<B>(request: RequestHead<'_>, space: Option<&ProtectionSpace>) -> Self {
        Self::new(request, || is_of_tonic::<B>() || space.is_some_and(ProtectionSpace::answers_grpc))
    }

    fn new(request: RequestHead<'_>, answers_grpc: impl FnOnce() -> bool) -> Self {
        // Every gRPC call is a POST. What else claims to be gRPC gets an HTTP status, which proxies go by.
        let may_be_grpc = *request.method() == Method::POST;
        let content_type = may_be_grpc.then(|| grpc_content_type(request.headers())).flatten();
        Self(match content_type.filter(|_| answers_grpc()) {
            Some(content_type) => Form::Grpc(content_type),
            None if !accepts_json(request.headers()) => Form::Bare,
            None if *request.method() == Method::HEAD => Form::Head,
            None => Form::Problem,
        })
    }

    /// Whether the client can read a document, or learn its length.
    fn has_document(self) -> bool {
        matches!(self.0, Form::Head | Form::Problem)
    }
}

/// Whether a response body is tonic's, or wraps it, so that the service behind a layer speaks nothing but gRPC.
///
/// It goes by the type's name, since this crate does not depend on tonic. Should the compiler write it otherwise one day, the
/// answers are HTTP statuses, which a gRPC client maps to the same codes but for 500.
fn is_of_tonic<B>() -> bool {
    type_name::<B>().contains("tonic::body::")
}

/// The content type to answer a gRPC request with; `None` where the request is not gRPC.
fn grpc_content_type(headers: &HeaderMap) -> Option<GrpcType> {
    let content_type = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    GrpcType::ALL.into_iter().find(|answer| {
        let Some((prefix, rest)) = content_type.split_at_checked(answer.as_str().len()) else { return false };
        let ends = matches!(rest.bytes().next(), None | Some(b'+' | b';' | b' '));
        ends && prefix.eq_ignore_ascii_case(answer.as_str())
    })
}

/// Whether `Accept` leaves room for JSON (RFC 9110 §12.5.1). A request without it accepts anything.
fn accepts_json(headers: &HeaderMap) -> bool {
    let mut fields = headers.get_all(ACCEPT).iter().peekable();
    if fields.peek().is_none() {
        return true;
    }
    let ranges = fields.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
    // The most specific range decides; of two alike, the more generous one.
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
    judge: Option<&'a ResourceServer>,
    request: Option<RequestHead<'a>>,
}

impl<'a> Refusal<'a> {
    /// The refusal of a request for this reason.
    pub fn new(error: &'a Error) -> Self {
        Self { error, space: None, required: None, token: None, judge: None, request: None }
    }

    /// Words the refusal for the protection space that this resource server is in front of, and tells its observer. Without a
    /// space there is no challenge, and an error that would need one is answered as a wiring fault.
    pub fn by(mut self, judge: &'a ResourceServer) -> Self {
        self.space = judge.protection_space();
        self.judge = Some(judge);
        self
    }

    /// Names the token that was found too weak, for the log.
    pub(crate) fn of(mut self, token: Option<&'a VerifiedToken>) -> Self {
        self.token = token;
        self
    }

    /// Takes the protection space, the observer, and the token for the log, from what `Authenticate` left with the request.
    pub fn after(mut self, authentication: Option<&'a Authentication>) -> Self {
        self.token = authentication.and_then(Authentication::token);
        match authentication {
            Some(authentication) => self.by(authentication.resource_server()),
            None => self,
        }
    }

    /// Names the request, for the log.
    pub fn to(mut self, request: impl Into<RequestHead<'a>>) -> Self {
        self.request = Some(request.into());
        self
    }

    /// Names the scope that the request needs, space-delimited.
    pub fn requiring(mut self, scope: Option<&'a str>) -> Self {
        self.required = scope.filter(|scope| !scope.is_empty());
        self
    }

    /// Writes the event and the response.
    pub fn respond<B>(self, form: ResponseForm) -> Response<ResponseBody<B>> {
        let mut response = Response::new(ResponseBody::default());
        self.overwrite(&mut response, form);
        response
    }

    /// Writes the event, and the refusal over a response that is already there: status, body and the headers that a
    /// refusal has. Headers that describe the body that was there go with it; others stay.
    pub(crate) fn overwrite<B>(self, response: &mut Response<ResponseBody<B>>, form: ResponseForm) {
        if let Some(judge) = self.judge {
            judge.observe_refusal(self.error, self.token);
        }
        self.log();

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
        if let Some(challenge) = self.space.and_then(|space| space.challenge_value(error, self.required)) {
            headers.insert(WWW_AUTHENTICATE, challenge);
        }
        if kind == ErrorKind::Unavailable {
            // Whole seconds, rounded up, so that nobody comes back a moment too early.
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

    /// Printable ASCII without a per cent sign, so that its percent-encoding is itself.
    fn message(&self, reason: Reason) -> &'static str {
        self.space.map_or_else(|| reason.description(), |space| space.message(reason))
    }

    /// A span that says which request it is, where there is none that does.
    fn span(&self) -> Option<Span> {
        let request = self.request.filter(|_| Span::current().is_none())?;
        Some(tracing::error_span!(
            target: "scopegate",
            "request",
            method = log_excerpt(request.method().as_str()),
            path = log_excerpt(request.uri().path())
        ))
    }

    /// Whether the event is worth a line, and then how many were left out before it.
    fn admit(&self) -> Option<u64> {
        match self.judge {
            Some(judge) => judge.admit_to_log(self.error, self.token),
            None => admit_unjudged(self.error.reason(), SystemClock.now()),
        }
    }

    /// Writes the event at its level, if it is worth a line, and else at `debug`. Where nobody listens, nothing is decided.
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
                "a refusal has no `Authenticate` layer around it to word it: add `.layer(Authenticate::new(..))` around the \
                 service"
            ),
            // None of these is left out, since they are at `debug` anyway.
            ErrorKind::MissingCredentials => write_event!(DEBUG, None, "a request without credentials was refused"),
            ErrorKind::Unavailable => event!(WARN, "a token could not be judged"),
            ErrorKind::Misconfigured if self.error.reason() == Reason::NoIntrospection => event!(
                ERROR,
                "a route demands by `RequireActive` that the token is asked about, and its issuer cannot be asked: give the \
                 issuer an `.introspection(..)`"
            ),
            ErrorKind::Misconfigured if self.error.reason() == Reason::AmbiguousToken => event!(
                ERROR,
                "two verifiers take one token for their own: let each `accepts` only what the others do not"
            ),
            ErrorKind::Misconfigured if self.error.reason() == Reason::VerifierPanicked => event!(
                ERROR,
                "a verifier of the application panicked, so that its token was refused: mend the verifier, whose panic message \
                 the panic hook has printed"
            ),
            ErrorKind::Misconfigured => event!(
                ERROR,
                "a route demands a token and no `Authenticate` layer runs in front of it: put it outside of what demands the \
                 token. On an axum `Router`, add the routes, call `.route_layer(RequireScope::new(..))` or \
                 `.route_layer(RequireActive::now())`, and then `.route_layer(Authenticate::new(..))`; in a \
                 `tower::ServiceBuilder`, put `Authenticate` first. Where only unknown paths are answered so, one of the two was \
                 put on with `layer` and the other with `route_layer`: use `route_layer` for both"
            ),
            _ => event!(INFO, "credentials were refused"),
        }
    }
}

/// The same as [`ResourceServer::admit_to_log`] says, for requests that no resource server has seen. Each thread has lines
/// of its own: they are few, and none waits for another.
fn admit_unjudged(reason: Reason, now: SystemTime) -> Option<u64> {
    thread_local! {
        static SAMPLER: RefCell<LogSampler> = RefCell::default();
    }
    SAMPLER.with_borrow_mut(|sampler| sampler.admit(reason, "", now))
}

/// What the client was told, where that does not follow from the reason, which is for whoever logs.
#[derive(Clone, Copy)]
struct Disclosed(Reason);

/// A body for refusals, in place of the problem document.
pub(crate) type Renderer = Arc<dyn Fn(Reason) -> RefusalBody + Send + Sync>;

/// What a renderer puts into the body of a refusal. Status and headers but the content type are not its to change.
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

    /// Becomes the body of `response`, where the client can read one. To a `HEAD` it lends its type and length, which are
    /// those of the answer to a `GET` (RFC 9110 §8.6); without them, a server would say that the length is 0.
    fn put_into<B>(self, response: &mut Response<ResponseBody<B>>, form: ResponseForm) {
        if !form.has_document() {
            return;
        }
        response.headers_mut().insert(CONTENT_TYPE, self.content_type);
        if form.0 == Form::Head {
            response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(self.text.len()));
        } else {
            *response.body_mut() = ResponseBody::refusal(self.text);
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
    // A layer further in may have made something else of a refusal, whose reason is still there.
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
