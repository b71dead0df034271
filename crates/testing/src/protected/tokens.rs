//! The tokens of the requests, and how they are sent.

use http::{
    HeaderMap, HeaderValue, Method, Response,
    header::{AUTHORIZATION, WWW_AUTHENTICATE},
};

use crate::{DpopClient, Mint, TestIssuer, TokenBuilder, dpop::SCHEME as DPOP};

pub(super) const BEARER: &str = "Bearer";

/// Makes the tokens of [`assert_protected`](crate::assert_protected): a [`TestIssuer`], a [`Mint`], or a function, for tokens of
/// another [`Shape`](crate::Shape); [`DpopTokens`] has them bound to a key.
pub trait TokenSource {
    /// Starts a token that the service accepts.
    fn token(&self) -> TokenBuilder;

    /// The URL at which clients reach the service, where each token is to be bound to a key and sent with a proof. Default: none,
    /// bearer tokens.
    fn dpop_url(&self) -> Option<&str> {
        None
    }
}

impl TokenSource for TestIssuer {
    fn token(&self) -> TokenBuilder {
        Self::token(self)
    }
}

impl TokenSource for Mint {
    fn token(&self) -> TokenBuilder {
        Self::token(self)
    }
}

impl<F: Fn() -> TokenBuilder> TokenSource for F {
    fn token(&self) -> TokenBuilder {
        self()
    }
}

/// Tokens that are bound to the key of a client, which sends each with a fresh proof (RFC 9449), and with a nonce where the service
/// demands one.
///
/// ```
/// # use scopegate_core::Routes;
/// # use scopegate_testing::TestIssuer;
/// # async fn example<S, B>(app: S, routes: Routes, issuer: TestIssuer)
/// # where
/// #     S: tower_service::Service<http::Request<http_body_util::Empty<bytes::Bytes>>, Response = http::Response<B>> + Clone + std::fmt::Debug,
/// #     S::Error: std::fmt::Debug,
/// # {
/// use scopegate_testing::{DpopTokens, assert_protected};
///
/// assert_protected(app, &routes, &DpopTokens::of(&issuer, "https://api.example")).await;
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct DpopTokens<'t, T: ?Sized> {
    tokens: &'t T,
    url: String,
}

impl<'t, T: TokenSource + ?Sized> DpopTokens<'t, T> {
    /// Binds these tokens. Proofs name `public_url`, followed by the path: one of the
    /// [public URLs](scopegate_core::dpop::Dpop::public_url) of the service.
    pub fn of(tokens: &'t T, public_url: impl Into<String>) -> Self {
        Self { tokens, url: public_url.into() }
    }
}

impl<T: TokenSource + ?Sized> TokenSource for DpopTokens<'_, T> {
    fn token(&self) -> TokenBuilder {
        self.tokens.token()
    }

    fn dpop_url(&self) -> Option<&str> {
        Some(&self.url)
    }
}

/// A client that sends the tokens.
pub(super) struct Sender {
    dpop: Option<(DpopClient, String)>,
}

impl Sender {
    pub(super) fn of(tokens: &(impl TokenSource + ?Sized)) -> Self {
        let client = || DpopClient::on(tokens.token().clock().clone());
        Self { dpop: tokens.dpop_url().map(|url| (client(), url.trim_end_matches('/').to_owned())) }
    }

    pub(super) fn is_dpop(&self) -> bool {
        self.dpop.is_some()
    }

    /// The scheme under which tokens are sent.
    pub(super) fn scheme(&self) -> &'static str {
        if self.is_dpop() { DPOP } else { BEARER }
    }

    /// The token as this client can send it.
    pub(super) fn bind(&self, token: TokenBuilder) -> TokenBuilder {
        match &self.dpop {
            Some((client, _)) => token.bound_to(client),
            None => token,
        }
    }

    /// The headers of a request with this token.
    pub(super) fn headers(&self, method: &Method, path: &str, token: &str) -> HeaderMap {
        match &self.dpop {
            Some((client, url)) => client.headers(method, format!("{url}{path}"), token),
            None => bearer(token),
        }
    }

    /// Whether the request has to be repeated with the nonce of its response, which is used from now on.
    pub(super) fn uses_nonce_of<B>(&mut self, response: &Response<B>) -> bool {
        let Some((client, _)) = &mut self.dpop else { return false };
        client.use_nonce_of(response.headers());
        let mut challenges = response.headers().get_all(WWW_AUTHENTICATE).iter();
        challenges.any(|challenge| challenge.to_str().is_ok_and(|text| text.contains("error=\"use_dpop_nonce\"")))
    }
}

/// The headers of a request with a bearer token.
pub(super) fn bearer(token: &str) -> HeaderMap {
    let credentials = HeaderValue::try_from(format!("{BEARER} {token}")).expect("the token fits a header");
    HeaderMap::from_iter([(AUTHORIZATION, credentials)])
}
