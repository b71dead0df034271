//! What a layer was told to do with a request and with its response.

use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Response, StatusCode,
    header::{ACCESS_CONTROL_EXPOSE_HEADERS, CACHE_CONTROL, VARY, WWW_AUTHENTICATE},
};
use http_body::Body;
use scopegate_core::{Authentication, Error, RequestHead, ResourceServer, VerifiedToken};

use crate::{
    Requirement, ResponseBody, UnmetRequirement,
    refusal::{DPOP_NONCE, Refusal, Renderer, RequestSummary, ResponseForm, render},
    stream::Ending,
};

#[derive(Clone)]
pub(super) struct Settings {
    /// Has a protection space, which `Authenticate::new` sets.
    pub(super) resource_server: ResourceServer,
    pub(super) optional: bool,
    pub(super) hint: Requirement,
    /// Whether scripts of other origins may read challenges.
    pub(super) exposed: bool,
    pub(super) renderer: Option<Renderer>,
    pub(super) request_id_header: HeaderName,
    /// How long streams may go on after their token; `None` where they do not end with it.
    pub(super) stream_grace: Option<Duration>,
}

/// What this layer adds to refusals of a request, its own and those of layers further in.
struct Finish {
    exposed: bool,
    /// Boxed, since few layers have one.
    rendering: Option<Box<Rendering>>,
}

/// A renderer, with what it gets to know of the request.
struct Rendering {
    renderer: Renderer,
    request: RequestSummary,
}

impl Settings {
    /// The `Authentication` for the handler, or the refusal.
    #[expect(clippy::result_large_err, reason = "a refusal is moved once; boxing it would cost an allocation")]
    pub(super) fn admit<B>(
        &self,
        outcome: Result<Authentication, Error>,
        request: RequestHead<'_>,
        form: ResponseForm,
    ) -> Result<Authentication, Response<ResponseBody<B>>> {
        let admitted = match outcome {
            // BEARER-13: optional, an absent token passes and a bad one does not.
            Ok(authentication) if authentication.token().is_some() || self.optional => Ok(authentication),
            Ok(_) => Err(Error::missing_credentials()),
            Err(error) => Err(error),
        };
        admitted.map_err(|error| {
            // A malformed request (400) needs no other scope.
            let hint = self.hint.challenge().filter(|_| error.disclosed().kind().status() == StatusCode::UNAUTHORIZED);
            let refusal = Refusal::new(&error).by(&self.resource_server).to(request);
            let mut response = refusal.requiring(hint).respond(form);
            self.finish(request).apply(&mut response, form);
            response
        })
    }

    fn finish(&self, request: RequestHead<'_>) -> Finish {
        let rendering = |renderer: &Renderer| {
            let request = RequestSummary::new(request, &self.request_id_header);
            Box::new(Rendering { renderer: Arc::clone(renderer), request })
        };
        Finish { exposed: self.exposed, rendering: self.renderer.as_ref().map(rendering) }
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authenticate")
            .field("resource_server", &self.resource_server)
            .field("space", &self.resource_server.protection_space())
            .field("optional", &self.optional)
            .field("scope_hint", &self.hint.challenge())
            .field("stream_grace", &self.stream_grace)
            .finish_non_exhaustive()
    }
}

/// What remains to do with the response to an admitted request. It shares what the request owns, not the layer's settings: one
/// reference count for all threads would be contended.
pub(super) struct Admitted {
    resource_server: ResourceServer,
    token: Option<VerifiedToken>,
    finish: Finish,
    /// What a binding of the token adds to the response.
    fields: Option<Box<BindingFields>>,
    /// `None` where streams do not end with their token.
    stream_end: Option<Box<StreamEnd>>,
}

/// The fields that a response to a bound token may need.
struct BindingFields {
    /// For the client's next proof (RFC 9449 §8.2).
    next_dpop_nonce: Option<HeaderValue>,
    /// The header of the request that named the certificate (RFC 9440 §2.4).
    vary: Option<HeaderName>,
}

impl BindingFields {
    fn of(authentication: &Authentication) -> Option<Box<Self>> {
        if authentication.token()?.binding().is_none() {
            return None;
        }
        let next_dpop_nonce = authentication.next_dpop_nonce().cloned();
        Some(Box::new(Self { next_dpop_nonce, vary: authentication.depends_on().cloned() }))
    }

    /// Caches must give a nonce to nobody else.
    fn put_into(self, headers: &mut HeaderMap) {
        if let Some(nonce) = self.next_dpop_nonce {
            // DPOP-18: the next nonce rides on any response, which is not stored then.
            headers.entry(DPOP_NONCE).or_insert(nonce);
            headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        }
        if let Some(header) = self.vary {
            // MTLS-4: no cache gives it to a client with another certificate.
            headers.append(VARY, header.into());
        }
    }
}

/// What a stream ends by, if the response is one.
struct StreamEnd {
    authentication: Authentication,
    grace: Duration,
}

impl Admitted {
    pub(super) fn new(authentication: &Authentication, request: RequestHead<'_>, settings: &Settings) -> Self {
        let stream_end = |grace| Box::new(StreamEnd { authentication: authentication.clone(), grace });
        Self {
            resource_server: authentication.resource_server().clone(),
            token: authentication.token().cloned(),
            finish: settings.finish(request),
            fields: BindingFields::of(authentication),
            stream_end: settings.stream_grace.map(stream_end),
        }
    }

    /// The response for the client: turns the mark of an [`UnmetRequirement`] into a refusal, applies this layer's settings to
    /// refusals from further in, and has a stream end with its token.
    pub(super) fn complete<B>(self, response: Response<B>, form: ResponseForm) -> Response<ResponseBody<B>>
    where
        B: Body<Data = Bytes>,
    {
        let mut response = response.map(ResponseBody::inner);
        if let Some(requirement) = response.extensions_mut().remove::<UnmetRequirement>() {
            let is_known = self.token.is_some();
            // SCOPE-8, SCOPE-4: with the challenges of this layer.
            let error = if is_known { Error::insufficient_scope() } else { Error::missing_credentials() };
            Refusal::new(&error)
                .by(&self.resource_server)
                .of(self.token.as_ref())
                .requiring(Some(requirement.challenge()))
                .overwrite(&mut response, form);
        }
        if let Some(fields) = self.fields {
            fields.put_into(response.headers_mut());
        }
        self.finish.apply(&mut response, form);
        if let Some(end) = self.stream_end {
            end.apply(&mut response);
        }
        response
    }
}

impl StreamEnd {
    fn apply<B>(self, response: &mut Response<ResponseBody<B>>)
    where
        B: Body<Data = Bytes>,
    {
        if response.body().may_go_on()
            && let Some(end) = self.authentication.token_end()
        {
            let ending = Ending::of(response.headers());
            response.body_mut().end_with(end.with_grace(self.grace), ending);
        }
    }
}

impl Finish {
    fn apply<B>(&self, response: &mut Response<ResponseBody<B>>, form: ResponseForm) {
        if let Some(Rendering { renderer, request }) = self.rendering.as_deref() {
            render(response, renderer, request, form);
        }
        if self.exposed {
            // CHAL-11: by option, scripts of other origins may read both.
            expose(&WWW_AUTHENTICATE, "WWW-Authenticate", response.headers_mut());
            expose(&DPOP_NONCE, "DPoP-Nonce", response.headers_mut());
        }
    }
}

/// Lets scripts of other origins read a field, if it is there.
fn expose(field: &HeaderName, name: &'static str, headers: &mut HeaderMap) {
    if !headers.contains_key(field) {
        return;
    }
    let exposed = headers.get_all(ACCESS_CONTROL_EXPOSE_HEADERS);
    let names =
        || exposed.iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(',')).map(str::trim);
    if !names().any(|known| known.eq_ignore_ascii_case(name)) {
        headers.append(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(name));
    }
}
