//! The bodies of refusals: problem documents, or what the application writes in their place.

use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Response,
    header::{
        ACCEPT, ACCEPT_LANGUAGE, CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LENGTH,
        CONTENT_LOCATION, CONTENT_RANGE, CONTENT_TYPE, ETAG, LAST_MODIFIED, VARY,
    },
};
use scopegate_core::{ErrorKind, ProtectionSpace, Reason};

use super::{
    form::{PROBLEM_JSON, ResponseForm},
    refused_request::{RefusedRequest, RequestSummary},
};
use crate::ResponseBody;

/// Of RFC 9530.
const CONTENT_DIGEST: HeaderName = HeaderName::from_static("content-digest");
const REPR_DIGEST: HeaderName = HeaderName::from_static("repr-digest");

/// Writes the body of a refusal in place of the problem document.
pub(crate) type Renderer = Arc<dyn Fn(&RefusedRequest<'_>) -> RefusalBody + Send + Sync>;

/// The body of a refusal, from [`Authenticate::render_refusals`](crate::Authenticate::render_refusals). Status, challenge and
/// other headers are not the renderer's to change.
#[derive(Clone, PartialEq, Eq)]
pub struct RefusalBody {
    content_type: HeaderValue,
    text: Bytes,
}

impl RefusalBody {
    /// A body of this content type. It is sent where the request's `Accept` permits the type.
    pub fn new(content_type: HeaderValue, text: impl Into<Bytes>) -> Self {
        Self { content_type, text: text.into() }
    }

    /// Becomes the body of `response`. A `HEAD` gets the type and length that the `GET` would have (RFC 9110 §8.6); without
    /// them, a server would send a length of 0.
    pub(super) fn put_into<B>(self, response: &mut Response<ResponseBody<B>>, form: ResponseForm) {
        response.headers_mut().insert(CONTENT_TYPE, self.content_type);
        // PROB-3: no body, and its length all the same.
        if form.is_head() {
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

/// What the client is told of a refusal. It is in the extensions of the response for an `Authenticate` further out, beside the
/// [`Reason`], which is for logs and may say more.
#[derive(Clone)]
pub(super) struct Disclosed {
    pub(super) kind: ErrorKind,
    /// `None` where the client is told the kind alone.
    pub(super) reason: Option<Reason>,
    pub(super) name: &'static str,
    pub(super) title: &'static str,
    pub(super) problem: &'static str,
    /// As in the challenge.
    pub(super) scope: Option<Box<str>>,
    /// As in `Retry-After`.
    pub(super) retry_after: Option<Duration>,
}

impl Disclosed {
    /// What `space` lets be known of a reason.
    pub(super) fn new(reason: Reason, space: Option<&ProtectionSpace>) -> Self {
        Self {
            kind: reason.kind(),
            reason: space.map_or(Some(reason.disclosed()), |space| space.disclosed(reason)),
            name: space.map_or(reason.as_str(), |space| space.reason_name(reason)),
            title: space.map_or(reason.description(), |space| space.message(reason)),
            problem: space.map_or(reason.problem(), |space| space.problem(reason)),
            scope: None,
            retry_after: None,
        }
    }

    pub(super) fn problem(&self) -> RefusalBody {
        RefusalBody::new(HeaderValue::from_static(PROBLEM_JSON), Bytes::from_static(self.problem.as_bytes()))
    }
}

/// Gives a refusal the application's body, where the client can read it.
pub(crate) fn render<B>(
    response: &mut Response<ResponseBody<B>>,
    renderer: &Renderer,
    request: &RequestSummary,
    form: ResponseForm,
) {
    if form.grpc().is_some() {
        return;
    }
    // Another layer may have replaced the refusal by a different response and left the extension.
    let is_refusal = |disclosed: &&Disclosed| response.status() == disclosed.kind.status();
    let Some(disclosed) = response.extensions().get::<Disclosed>().filter(is_refusal) else { return };
    // PROB-2: it makes a body, and touches neither the status nor the challenges.
    let refused = RefusedRequest::new(request, disclosed);
    let body = renderer(&refused);
    let depends_on_language = refused.has_asked_for_language();

    remove_body(response);
    vary(response.headers_mut(), &ACCEPT);
    if depends_on_language {
        vary(response.headers_mut(), &ACCEPT_LANGUAGE);
    }
    if request.accepts(body.content_type.to_str().unwrap_or_default()) {
        body.put_into(response, form);
    }
}

/// Removes the body, and the headers that describe it.
pub(super) fn remove_body<B>(response: &mut Response<ResponseBody<B>>) {
    *response.body_mut() = ResponseBody::default();
    for name in [
        CONTENT_DISPOSITION,
        CONTENT_ENCODING,
        CONTENT_LANGUAGE,
        CONTENT_LENGTH,
        CONTENT_LOCATION,
        CONTENT_RANGE,
        CONTENT_TYPE,
        ETAG,
        LAST_MODIFIED,
        CONTENT_DIGEST,
        REPR_DIGEST,
    ] {
        response.headers_mut().remove(name);
    }
}

/// Names a header of the request in `Vary` (RFC 9110 §12.5.5), if it is not named yet.
fn vary(headers: &mut HeaderMap, name: &HeaderName) {
    let lines = headers.get_all(VARY).iter().filter_map(|value| value.to_str().ok());
    let is_named = |known: &str| known == "*" || known.eq_ignore_ascii_case(name.as_str());
    if !lines.flat_map(|line| line.split(',')).map(str::trim).any(is_named) {
        headers.append(VARY, name.clone().into());
    }
}
