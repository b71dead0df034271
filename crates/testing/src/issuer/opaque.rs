use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};

use serde_json::Value;

use super::shared::Shared;
use crate::{DpopClient, TokenBuilder, token::unique};

/// Builds an opaque token. Started by [`TestIssuer::opaque_token`](crate::TestIssuer::opaque_token).
///
/// By default it is a valid access token with the claims of a JWT by [`TestIssuer::token`](crate::TestIssuer::token). Each
/// claim is a member of the introspection response, beside `active: true` and `token_type`, which can be changed in the same
/// way. `token_type` is `DPoP` for a token with `jkt` in its `cnf`, and `Bearer` for any other.
///
/// [`issue`](Self::issue) can be called repeatedly: each call reads the clock and draws a new text.
///
/// # Examples
///
/// ```
/// use scopegate_testing::TestIssuer;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let issuer = TestIssuer::start().await;
///
/// let valid = issuer.opaque_token().subject("alice").scope("message:read").issue();
/// let expired = issuer.opaque_token().expired().issue();
/// let revoked = issuer.opaque_token().issue();
/// issuer.revoke(&revoked);
/// let refresh = issuer.opaque_token().prefix("ory_rt_").refresh_token().issue();
/// # assert!(!valid.contains('.') && refresh.starts_with("ory_rt_"));
/// # let _ = expired;
/// # }
/// ```
#[derive(Clone)]
#[must_use = "a builder makes no token until `issue` is called"]
pub struct OpaqueTokenBuilder {
    shared: Arc<Shared>,
    claims: TokenBuilder,
    is_refresh_token: bool,
    prefix: String,
    text: Option<String>,
}

impl OpaqueTokenBuilder {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        let claims = shared.mint().token();
        Self { shared, claims, is_refresh_token: false, prefix: String::new(), text: None }
    }

    /// Registers the token with the issuer and returns its text.
    ///
    /// A token with the [`text`](Self::text) of an earlier one replaces it, revoked or not.
    pub fn issue(&self) -> String {
        let text = self.text.clone().unwrap_or_else(|| format!("{}{}", self.prefix, unique()));
        self.shared.tokens.issue(text, self.is_refresh_token, &self.claims)
    }

    /// Makes it a refresh token: active, without `token_type`, and inactive to a request with `token_type_hint=access_token`.
    ///
    /// GenAuth (formerly Authing) responds like this. A resource server that sends no hint and does not require `token_type`
    /// takes such a token for an access token.
    pub fn refresh_token(mut self) -> Self {
        self.is_refresh_token = true;
        self
    }

    /// Puts `prefix` before the random text, as some issuers do so that secret scanners find their tokens: `ory_at_`.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Sets the token's text, in place of 128 random bits in base64url.
    pub fn text(mut self, text: impl Into<String>) -> Self {
        self.text = Some(text.into());
        self
    }
}

/// Members of the introspection response.
impl OpaqueTokenBuilder {
    /// Sets `sub`.
    pub fn subject(self, sub: impl Into<String>) -> Self {
        self.with(|claims| claims.subject(sub))
    }

    /// Sets `aud` to one audience, as a string.
    pub fn audience(self, aud: impl Into<String>) -> Self {
        self.with(|claims| claims.audience(aud))
    }

    /// Sets `aud` to an array of any length.
    pub fn audiences<A: Into<String>>(self, aud: impl IntoIterator<Item = A>) -> Self {
        self.with(|claims| claims.audiences(aud))
    }

    /// Sets `scope`, space-delimited.
    pub fn scope(self, scope: impl Into<String>) -> Self {
        self.with(|claims| claims.scope(scope))
    }

    /// Sets `client_id`.
    pub fn client_id(self, client_id: impl Into<String>) -> Self {
        self.with(|claims| claims.client_id(client_id))
    }

    /// Binds the token to the client's key: `jkt` in `cnf`, beside what else `cnf` is set to, and `token_type: DPoP` ([RFC 9449,
    /// section 6.2](https://www.rfc-editor.org/rfc/rfc9449#section-6.2)).
    pub fn bound_to(self, client: &DpopClient) -> Self {
        self.with(|claims| claims.bound_to(client))
    }

    /// Binds the token to a TLS client certificate in DER: `x5t#S256` in `cnf`, beside what else `cnf` is set to ([RFC 8705,
    /// section 3.2](https://www.rfc-editor.org/rfc/rfc8705#section-3.2)). The bytes are hashed and not parsed.
    pub fn bound_to_certificate(self, der: &[u8]) -> Self {
        self.with(|claims| claims.bound_to_certificate(der))
    }

    /// Sets any member to any JSON value.
    ///
    /// Numbers in `exp` and `nbf` decide whether the token is active, however they were set; values of other types do not.
    pub fn claim(self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.with(|claims| claims.claim(name, value))
    }

    /// Removes a member. Without `exp`, the token does not expire.
    pub fn without_claim(self, name: impl Into<String>) -> Self {
        self.with(|claims| claims.without_claim(name))
    }

    /// Sets `exp` to `lifetime` after the clock's time. Default: five minutes.
    pub fn expires_in(self, lifetime: Duration) -> Self {
        self.with(|claims| claims.expires_in(lifetime))
    }

    /// Invalid: the token expired an hour ago. It is not active.
    pub fn expired(self) -> Self {
        self.with(TokenBuilder::expired)
    }

    /// Invalid: the token is valid from an hour hence, by its `nbf`. It is not active before.
    pub fn not_yet_valid(self) -> Self {
        self.with(TokenBuilder::not_yet_valid)
    }

    /// Sets `nbf`.
    pub fn not_before(self, time: SystemTime) -> Self {
        self.with(|claims| claims.not_before(time))
    }

    /// Sets `iat` only: `exp` still follows from the clock.
    pub fn issued_at(self, time: SystemTime) -> Self {
        self.with(|claims| claims.issued_at(time))
    }

    fn with(mut self, change: impl FnOnce(TokenBuilder) -> TokenBuilder) -> Self {
        self.claims = change(self.claims);
        self
    }
}

impl fmt::Debug for OpaqueTokenBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpaqueTokenBuilder")
            .field("claims", &self.claims)
            .field("is_refresh_token", &self.is_refresh_token)
            .field("prefix", &self.prefix)
            .field("text", &self.text.as_ref().map(|_| "[redacted]"))
            .finish_non_exhaustive()
    }
}
