//! What the renderer of a refusal gets to know.

use std::{cell::Cell, fmt, time::Duration};

#[cfg(feature = "axum")]
use axum::extract::MatchedPath;
use http::{
    HeaderName, HeaderValue, Method, StatusCode,
    header::{ACCEPT, ACCEPT_LANGUAGE},
};
use scopegate_core::{ErrorKind, Reason, RequestHead};

use super::{
    negotiation::{media_type_weight, preferred_language, preferred_media_type},
    renderer::{Disclosed, RefusalBody},
};

/// The longest request id that is believed, in characters.
const MAX_REQUEST_ID: usize = 128;

/// A request that is refused, for the body of its response: the argument of a
/// [renderer](crate::Authenticate::render_refusals).
///
/// It says what the client is told in any case, and of the request only what may stand in a body whatever the client has sent: the
/// path, the query and the header fields are left out. Names, titles and the request's id need no escaping in JSON and in HTML
/// (outside of attributes in single quotes); scopes and the route's pattern are the application's own text.
///
/// ```
/// use http::HeaderValue;
/// use scopegate_tower::{RefusalBody, refusal::RefusedRequest};
///
/// /// For [`Authenticate::render_refusals`](scopegate_tower::Authenticate::render_refusals).
/// fn render(refused: &RefusedRequest<'_>) -> RefusalBody {
///     let json = HeaderValue::from_static("application/json");
///     let id = refused.request_id().unwrap_or("unknown");
///     RefusalBody::new(json, format!(r#"{{"error":"{}","request_id":"{id}"}}"#, refused.reason_name()))
/// }
/// ```
pub struct RefusedRequest<'a> {
    request: &'a RequestSummary,
    disclosed: &'a Disclosed,
    has_asked_for_language: Cell<bool>,
}

impl<'a> RefusedRequest<'a> {
    pub(super) fn new(request: &'a RequestSummary, disclosed: &'a Disclosed) -> Self {
        Self { request, disclosed, has_asked_for_language: Cell::new(false) }
    }

    pub(super) fn has_asked_for_language(&self) -> bool {
        self.has_asked_for_language.get()
    }

    /// Why it is refused, as far as the client may know. `None` where
    /// [descriptions are omitted](crate::Authenticate::without_descriptions): then [`kind`](Self::kind) is all that it may.
    pub fn reason(&self) -> Option<Reason> {
        self.disclosed.reason
    }

    /// The name of the reason, as in the `type` of the problem document; that of its class where
    /// [`reason`](Self::reason) is `None`. Lower-case letters and underscores.
    pub fn reason_name(&self) -> &'static str {
        self.disclosed.name
    }

    /// The class of the reason.
    pub fn kind(&self) -> ErrorKind {
        self.disclosed.kind
    }

    /// The status of the response.
    pub fn status(&self) -> StatusCode {
        self.disclosed.kind.status()
    }

    /// A sentence in English for the client's developer, as in the `title` of the problem document. It has no quotation marks and
    /// no backslashes.
    pub fn title(&self) -> &'static str {
        self.disclosed.title
    }

    /// The scope that would suffice, space-delimited, where the challenge names one (RFC 6750 §3).
    pub fn scope(&self) -> Option<&'a str> {
        self.disclosed.scope.as_deref()
    }

    /// When to try again, in whole seconds as in `Retry-After`; `None` where the response is no 503.
    pub fn retry_after(&self) -> Option<Duration> {
        self.disclosed.retry_after
    }

    /// The method: `GET` for a `HEAD`, whose headers are those of the `GET` (RFC 9110 §9.3.2). `None` for a method other than
    /// those of RFC 9110 and RFC 5789, since its name is the client's.
    pub fn method(&self) -> Option<&'a Method> {
        match &self.request.method {
            &Method::HEAD => Some(&Method::GET),
            method => is_standard(method).then_some(method),
        }
    }

    /// The pattern of the route, such as `/users/{id}`. `None` where the layer is not on a route of axum's, and without the
    /// feature `axum`.
    pub fn matched_path(&self) -> Option<&'a str> {
        #[cfg(feature = "axum")]
        return self.request.matched_path.as_ref().map(MatchedPath::as_str);
        #[cfg(not(feature = "axum"))]
        None
    }

    /// The request's id, from `x-request-id` or the header that
    /// [`request_id_header`](crate::Authenticate::request_id_header) names. `None` where the header is missing or sent twice, has
    /// more than 128 characters, or others than letters, digits, `-`, `.`, `_` and `~` (the unreserved ones of RFC 3986 §2.3),
    /// which need no escaping in JSON, HTML, a URL or a log.
    ///
    /// A layer or proxy in front sets it. Where none does, it is the client's choice.
    pub fn request_id(&self) -> Option<&'a str> {
        let id = self.request.request_id.as_ref()?.to_str().ok()?;
        let is_unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        ((1..=MAX_REQUEST_ID).contains(&id.len()) && id.bytes().all(is_unreserved)).then_some(id)
    }

    /// Whether the client can read a body of this media type, such as `text/html` (`Accept`, RFC 9110 §12.5.1).
    pub fn accepts(&self, media_type: &str) -> bool {
        self.request.accepts(media_type)
    }

    /// The media type that the client wants most (`Accept`, RFC 9110 §12.5.1), of several that it wants equally the first; `None`
    /// where it can read none.
    ///
    /// With `["application/json", "text/html"]`, a browser gets HTML and a client that accepts everything gets JSON. Who accepts
    /// `application/json` can read every kind of JSON, such as a problem document.
    pub fn preferred_media_type<'t>(&self, available: &[&'t str]) -> Option<&'t str> {
        preferred_media_type(&self.request.accept, available)
    }

    /// The language that the client wants most (`Accept-Language`, RFC 9110 §12.5.4), by the Lookup of RFC 4647 §3.4: `de-CH`
    /// finds `de`. `None` where it names none of these. The first 64 of its languages are looked at.
    ///
    /// The response then has `Vary: accept-language`.
    pub fn preferred_language<'t>(&self, available: &[&'t str]) -> Option<&'t str> {
        self.has_asked_for_language.set(true);
        preferred_language(&self.request.accept_language, available)
    }

    /// The body that the refusal has without a renderer: a problem document (RFC 9457).
    pub fn problem(&self) -> RefusalBody {
        self.disclosed.problem()
    }
}

/// Shows what is refused and why, and nothing that a client wrote.
impl fmt::Debug for RefusedRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RefusedRequest")
            .field("method", &self.method())
            .field("matched_path", &self.matched_path())
            .field("reason_name", &self.reason_name())
            .finish_non_exhaustive()
    }
}

/// What a [`RefusedRequest`] says of the request, kept while the request is with the inner service. Header values are shared and
/// not copied.
pub(crate) struct RequestSummary {
    method: Method,
    #[cfg(feature = "axum")]
    matched_path: Option<MatchedPath>,
    accept: Vec<HeaderValue>,
    accept_language: Vec<HeaderValue>,
    request_id: Option<HeaderValue>,
}

impl RequestSummary {
    pub(crate) fn new(request: RequestHead<'_>, request_id_header: &HeaderName) -> Self {
        let lines = |name| request.headers().get_all(name).iter();
        let mut ids = lines(request_id_header);
        Self {
            method: request.method().clone(),
            #[cfg(feature = "axum")]
            matched_path: request.extensions().get().cloned(),
            accept: lines(&ACCEPT).cloned().collect(),
            accept_language: lines(&ACCEPT_LANGUAGE).cloned().collect(),
            request_id: ids.next().filter(|_| ids.next().is_none()).cloned(),
        }
    }

    pub(super) fn accepts(&self, media_type: &str) -> bool {
        media_type_weight(&self.accept, media_type) > 0.0
    }
}

fn is_standard(method: &Method) -> bool {
    [
        Method::CONNECT,
        Method::DELETE,
        Method::GET,
        Method::HEAD,
        Method::OPTIONS,
        Method::PATCH,
        Method::POST,
        Method::PUT,
        Method::TRACE,
    ]
    .contains(method)
}
