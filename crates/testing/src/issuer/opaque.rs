use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};

use serde_json::Value;

use super::server::Shared;
use crate::{TokenBuilder, token::unique};

/// An opaque token in the making. Started by [`TestIssuer::opaque_token`](crate::TestIssuer::opaque_token).
///
/// Untouched, it is a good access token that says of itself what a JWT by
/// [`TestIssuer::token`](crate::TestIssuer::token) would. It says so in the answer of the introspection endpoint: each
/// claim is a member of that answer, beside `active: true` and `token_type: Bearer`, which are members like the others
/// and can be changed like them.
///
/// [`issue`](Self::issue) may be called again and again: the times are read from the clock and the text is drawn anew
/// each time.
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
/// let welcome = issuer.opaque_token().subject("alice").scope("message:read").issue();
/// let too_late = issuer.opaque_token().expired().issue();
/// let no_longer = issuer.opaque_token().issue();
/// issuer.revoke(&no_longer);
/// let refresh = issuer.opaque_token().prefix("ory_rt_").refresh_token().issue();
/// # assert!(!welcome.contains('.') && refresh.starts_with("ory_rt_"));
/// # let _ = too_late;
/// # }
/// ```
#[derive(Clone)]
#[must_use = "a token is made by `issue`"]
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
    /// A token of a [`text`](Self::text) that was issued before takes its place, revoked or not.
    pub fn issue(&self) -> String {
        let text = self.text.clone().unwrap_or_else(|| format!("{}{}", self.prefix, unique()));
        self.shared.tokens.issue(text, self.is_refresh_token, &self.claims)
    }

    /// Makes it a refresh token. It is active like the others, but has no `token_type`, and to a request with
    /// `token_type_hint=access_token` it is not active.
    ///
    /// That is how GenAuth (formerly Authing) answers. A resource server that sends no hint, or does not ask for
    /// `token_type`, takes such a token for an access token.
    pub fn refresh_token(mut self) -> Self {
        self.is_refresh_token = true;
        self
    }

    /// Puts `prefix` before the random text, as issuers do that want their tokens to be found in logs: `ory_at_`.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Takes this text for the token as it is, instead of 128 random bits in base64url.
    pub fn text(mut self, text: impl Into<String>) -> Self {
        self.text = Some(text.into());
        self
    }
}

/// Members of the answer.
impl OpaqueTokenBuilder {
    /// Sets `sub`.
    pub fn subject(self, sub: impl Into<String>) -> Self {
        self.with(|claims| claims.subject(sub))
    }

    /// Sets `aud` to one audience, as a string.
    pub fn audience(self, aud: impl Into<String>) -> Self {
        self.with(|claims| claims.audience(aud))
    }

    /// Sets `aud` to an array, whatever its length.
    pub fn audiences<A: Into<String>>(self, aud: impl IntoIterator<Item = A>) -> Self {
        self.with(|claims| claims.audiences(aud))
    }

    /// Sets `scope`, a list separated by spaces.
    pub fn scope(self, scope: impl Into<String>) -> Self {
        self.with(|claims| claims.scope(scope))
    }

    /// Sets `client_id`.
    pub fn client_id(self, client_id: impl Into<String>) -> Self {
        self.with(|claims| claims.client_id(client_id))
    }

    /// Sets any member, to a value of any JSON type.
    ///
    /// Numbers in `exp` and `nbf` decide whether the token is active, whichever way they got there; values of other
    /// types do not.
    pub fn claim(self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.with(|claims| claims.claim(name, value))
    }

    /// Leaves a member out. Without `exp`, the token does not expire.
    pub fn without_claim(self, name: impl Into<String>) -> Self {
        self.with(|claims| claims.without_claim(name))
    }

    /// Sets `exp` to `lifetime` after the clock's time. Unless told otherwise, it is five minutes.
    pub fn expires_in(self, lifetime: Duration) -> Self {
        self.with(|claims| claims.expires_in(lifetime))
    }

    /// Bad: a token that was good until an hour ago. It is not active.
    pub fn expired(self) -> Self {
        self.with(TokenBuilder::expired)
    }

    /// Bad: a token that is good from an hour hence, as `nbf` says. It is not active before.
    pub fn not_yet_valid(self) -> Self {
        self.with(TokenBuilder::not_yet_valid)
    }

    /// Sets `nbf`.
    pub fn not_before(self, time: SystemTime) -> Self {
        self.with(|claims| claims.not_before(time))
    }

    /// Sets `iat`, and nothing else: `exp` still follows from the clock.
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
