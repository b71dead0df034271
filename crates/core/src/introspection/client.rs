use std::{borrow::Cow, fmt, sync::Arc};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Uri, header::CONTENT_TYPE};

use super::{
    Authenticator, Discovery, SignedResponses,
    response::{self, JSON, SIGNED},
};
use crate::{
    clock::Clock,
    net::fetch::{Fetch, FetchLimits, headers},
    online::{TokenStatus, Unavailable, UnavailableKind},
    redact,
};

/// Sends an introspection request and reads the response.
pub(crate) struct IntrospectionClient {
    pub(crate) issuer: Arc<str>,
    pub(crate) endpoint: Endpoint,
    pub(crate) client: Authenticator,
    pub(crate) parameters: Vec<(String, String)>,
    pub(crate) token_type_hint: bool,
    /// Set where responses have to be signed.
    pub(crate) signed: Option<SignedResponses>,
    pub(crate) fetch: Arc<dyn Fetch>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) limits: FetchLimits,
    pub(crate) user_agent: HeaderValue,
}

impl IntrospectionClient {
    /// The status of the token at the issuer.
    pub(crate) async fn ask(&self, token: &str) -> Result<TokenStatus, Unavailable> {
        let endpoint = self.endpoint.url().await?;
        let mut retried = false;
        let answer = loop {
            let request = self.request(&endpoint, token)?;
            match self.fetch.fetch(request, self.limits.clone()).await {
                Ok(answer) => break answer,
                // The connection may have been closed while it was idle. Repeating the request is harmless (RFC 7662 §2.1);
                // repeating the wait is not.
                Err(error) if error.may_be_tried_again() && !retried => retried = true,
                Err(error) if error.is_about_answer() => {
                    let error = format!("{error}, which is `max_response`");
                    return Err(Unavailable::new(UnavailableKind::Upstream, error).about_token());
                }
                // INTRO-7: without an answer, the token is not admitted.
                Err(error) => {
                    let error = format!("{}: {}", redact::url(&endpoint.to_string()), redact::chain(&error));
                    return Err(Unavailable::new(UnavailableKind::Upstream, error));
                }
            }
        };
        match &self.signed {
            None => response::token_status(&response::body(answer, JSON, self.limits.body, token)?),
            // IJWT-2: an answer in plain JSON is none.
            Some(signed) => {
                let jwt = response::body(answer, SIGNED, self.limits.body, token)?;
                response::token_status(
                    &signed.open(&jwt, &self.issuer, self.client.client_id(), self.clock.now()).await?,
                )
            }
        }
    }

    /// RFC 7662 §2.1 (INTRO-1): a POST with a form, since URLs are logged. Authenticated anew, since an assertion is valid for
    /// one request.
    fn request(&self, endpoint: &Uri, token: &str) -> Result<Request<Bytes>, Unavailable> {
        // IJWT-1: it asks for what it accepts.
        let accept = if self.signed.is_some() { SIGNED } else { JSON };
        let mut headers = headers(&self.user_agent, accept);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        let mut form: Vec<(&'static str, Cow<'_, str>)> = vec![("token", token.into())];
        if self.token_type_hint {
            form.push(("token_type_hint", "access_token".into()));
        }
        self.client
            .authenticate(&self.issuer, self.clock.now(), &mut headers, &mut form)
            .map_err(|fault| Unavailable::new(UnavailableKind::Misconfigured, fault))?;
        let body =
            form_urlencoded::Serializer::new(String::new()).extend_pairs(form).extend_pairs(&self.parameters).finish();

        let mut request = Request::new(Bytes::from(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = endpoint.clone();
        *request.headers_mut() = headers;
        Ok(request)
    }
}

impl fmt::Debug for IntrospectionClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IntrospectionClient")
            .field("issuer", &self.issuer)
            .field("signed", &self.signed.is_some())
            .finish_non_exhaustive()
    }
}

/// Where the introspection endpoint is.
pub(crate) enum Endpoint {
    At(Uri),
    Discovered(Arc<Discovery>),
}

impl Endpoint {
    /// Identifies the endpoint by its configuration.
    pub(crate) fn identity(&self) -> String {
        match self {
            Self::At(url) => url.to_string(),
            Self::Discovered(_) => "discovered".to_owned(),
        }
    }

    async fn url(&self) -> Result<Uri, Unavailable> {
        match self {
            Self::At(url) => Ok(url.clone()),
            Self::Discovered(discovery) => discovery.url().await,
        }
    }
}
