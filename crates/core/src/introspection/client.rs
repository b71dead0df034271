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
};

/// Asks an issuer about a token: one request, and what was answered.
pub(crate) struct IntrospectionClient {
    pub(crate) issuer: Arc<str>,
    pub(crate) endpoint: Endpoint,
    pub(crate) client: Authenticator,
    pub(crate) parameters: Vec<(String, String)>,
    pub(crate) token_type_hint: bool,
    /// Where answers have to be signed: how.
    pub(crate) signed: Option<SignedResponses>,
    pub(crate) fetch: Arc<dyn Fetch>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) limits: FetchLimits,
    pub(crate) user_agent: HeaderValue,
}

impl IntrospectionClient {
    /// What the issuer says of the token.
    pub(crate) async fn ask(&self, token: &str) -> Result<TokenStatus, Unavailable> {
        let endpoint = self.endpoint.url().await?;
        let mut retried = false;
        let answer = loop {
            let request = self.request(&endpoint, token)?;
            match self.fetch.fetch(request, self.limits.clone()).await {
                Ok(answer) => break answer,
                // The connection may have been closed while it was idle. Asking twice does no harm (RFC 7662 §2.1), but
                // waiting twice would.
                Err(error) if error.may_be_tried_again() && !retried => retried = true,
                Err(error) if error.is_about_answer() => {
                    return Err(Unavailable::new(UnavailableKind::Upstream, error).about_token());
                }
                Err(error) => return Err(Unavailable::new(UnavailableKind::Upstream, error)),
            }
        };
        match &self.signed {
            None => response::told(&response::body(answer, JSON, self.limits.body, token)?),
            Some(signed) => {
                let jwt = response::body(answer, SIGNED, self.limits.body, token)?;
                response::told(&signed.open(&jwt, &self.issuer, self.client.client_id(), self.clock.now()).await?)
            }
        }
    }

    /// RFC 7662 §2.1: a POST with a form, since a URL would be logged. An assertion is good for one request, so each has
    /// its own.
    fn request(&self, endpoint: &Uri, token: &str) -> Result<Request<Bytes>, Unavailable> {
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

/// Where to ask.
pub(crate) enum Endpoint {
    At(Uri),
    Discovered(Arc<Discovery>),
}

impl Endpoint {
    /// The endpoint as it is configured, to tell one from another.
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
