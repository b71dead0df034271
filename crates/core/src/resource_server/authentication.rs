//! The outcome of authenticating a request: the extension that the rest of a service relies on.

use std::{fmt, time::Duration};

use http::{HeaderName, HeaderValue};

use super::{ResourceServer, token_end::TokenEnd, token_identity::TokenIdentity};
use crate::{
    confirmation::{ConfirmationMethod, Confirmed},
    jwt::cache::TokenDigest,
    refusal::{Error, ProtectionSpace},
    token::VerifiedToken,
};

/// The outcome of authenticating a request: a [`VerifiedToken`], or an anonymous caller.
///
/// The `Authenticate` layer leaves one in the extensions of every request that it lets through, and replaces one that was there
/// before. It has no public constructor, so each was made by a [`ResourceServer`](crate::ResourceServer).
#[derive(Clone)]
pub struct Authentication {
    token: Option<VerifiedToken>,
    /// The token that was presented.
    presented: Option<TokenIdentity>,
    /// When the issuer or the application was asked about it, if the answer was not cached when this request came.
    asked_at: Option<Duration>,
    /// Whether a verifier of the application verified it, which may depend on more of the request than the token.
    by_application: bool,
    confirmed: Confirmed,
    /// The resource server that made this.
    resource_server: ResourceServer,
}

impl Authentication {
    // OPS-3: no constructor is public, so that only this crate makes one.
    pub(crate) fn anonymous(resource_server: ResourceServer) -> Self {
        Self {
            token: None,
            presented: None,
            asked_at: None,
            by_application: false,
            confirmed: Confirmed::ANONYMOUS,
            resource_server,
        }
    }

    /// The outcome of a token that was verified and confirmed, unless it is for another protected resource than the one that is
    /// served.
    pub(crate) fn verified(
        resource_server: ResourceServer,
        presented: TokenIdentity,
        token: VerifiedToken,
        confirmed: Confirmed,
    ) -> Result<Self, Error> {
        // BCP-1, BCP-3: the audience is checked for each request, also of a token that was cached.
        resource_server.check_resource(&token)?;
        Ok(Self { token: Some(token), presented: Some(presented), confirmed, ..Self::anonymous(resource_server) })
    }

    /// Records when the token was looked up online, and whether by a verifier of the application.
    pub(crate) fn asked(self, asked_at: Option<Duration>, by_application: bool) -> Self {
        Self { asked_at, by_application, ..self }
    }

    /// What was confirmed of the token of this digest, if it is confirmed by that for this resource server.
    pub(crate) fn confirmed(&self, resource_server: &ResourceServer, presented: TokenDigest) -> Option<Confirmed> {
        let is_it = self.resource_server.confirms_as(resource_server) && self.is_about(presented);
        is_it.then(|| self.confirmed.clone())
    }

    /// A nonce for the next proof of the client, if it is time for one (RFC 9449 §8.2): the response has to carry it as
    /// `DPoP-Nonce`, and must not be stored by caches.
    pub fn next_dpop_nonce(&self) -> Option<&HeaderValue> {
        self.confirmed.next_nonce()
    }

    /// The request header that the response depends on, because it named the certificate that the token is bound to: the response
    /// has to have it in `Vary` (RFC 9440 §2.4).
    pub fn depends_on(&self) -> Option<&HeaderName> {
        // MTLS-4: such a response varies by the header.
        let is_bound = self.token.as_ref()?.binding().is_by(ConfirmationMethod::ClientCertificate);
        self.resource_server.server().confirmation.certificates.as_ref()?.vary().filter(|_| is_bound)
    }

    /// Whether it is about the token of this digest.
    pub(crate) fn is_about(&self, presented: TokenDigest) -> bool {
        self.presented.as_ref().is_some_and(|own| own.digest == presented)
    }

    /// Whether it was looked up online, for this request or one at the same time, at most `max_age` ago.
    pub(crate) fn is_fresh(&self, now: Duration, max_age: Duration) -> bool {
        self.asked_at.is_some_and(|asked_at| now.checked_sub(asked_at).is_some_and(|age| age <= max_age))
    }

    /// Whether this stands for verifying the token of this digest by `resource_server` again, in the same request: it is by that
    /// resource server and about that token, whose times still allow it. Keys and revocation are not checked again.
    pub(crate) fn is_reusable(&self, resource_server: &ResourceServer, presented: TokenDigest, now: Duration) -> bool {
        self.resource_server.is(resource_server)
            && !self.by_application
            && self.is_about(presented)
            && self.token.as_ref().is_some_and(|token| token.is_valid_at(now))
    }

    /// The same outcome with another handle of the same resource server.
    pub(crate) fn with_resource_server(self, resource_server: ResourceServer) -> Self {
        Self { resource_server, ..self }
    }

    /// The verified token; `None` where the request came without credentials.
    pub fn token(&self) -> Option<&VerifiedToken> {
        self.token.as_ref()
    }

    /// Completes when the token is no longer valid, for what outlives the request: a stream, a WebSocket, a job. `None` where the
    /// request came without credentials.
    pub fn token_end(&self) -> Option<TokenEnd> {
        Some(self.resource_server.server().token_end(self.token.as_ref()?, self.presented.as_ref()?))
    }

    /// The resource server that authenticated the request.
    pub fn resource_server(&self) -> &ResourceServer {
        &self.resource_server
    }

    /// The protection space that refusals name, if the resource server was given one.
    pub fn protection_space(&self) -> Option<&ProtectionSpace> {
        self.resource_server.protection_space()
    }
}

impl fmt::Debug for Authentication {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authentication").field("token", &self.token).finish_non_exhaustive()
    }
}

#[cfg(test)]
#[cfg(any(feature = "aws-lc-rs", feature = "rust-crypto"))]
mod tests {
    use super::*;
    use crate::{resource_server::tests::fixed, token::verified::tests::verified};

    fn of(digest: TokenDigest) -> TokenIdentity {
        TokenIdentity { digest, signed_part: None, epoch: 0 }
    }

    #[tokio::test]
    async fn an_outcome_is_of_one_judge_and_one_token_while_its_times_allow() {
        let (resource_server, other) = (fixed(&["a-es256"]).await, fixed(&["a-es256"]).await);
        let token = verified("https://a", None, None);
        let expiry = token.expires_at().unwrap().duration_since(std::time::SystemTime::UNIX_EPOCH).unwrap();
        let before = expiry - Duration::from_nanos(1);
        let outcome = Authentication::verified(
            resource_server.clone(),
            of(resource_server.digest("token")),
            token,
            Confirmed::ANONYMOUS,
        )
        .unwrap();
        assert!(
            outcome.is_reusable(&resource_server, resource_server.digest("token"), before)
                && outcome.resource_server().is(&resource_server)
        );
        assert!(!outcome.is_reusable(&resource_server, resource_server.digest("token"), expiry));
        assert!(!outcome.is_reusable(&other, resource_server.digest("token"), before));
        assert!(!outcome.is_reusable(&resource_server, resource_server.digest("other"), before));
        let anonymous = Authentication::anonymous(resource_server.clone());
        assert!(
            !anonymous.is_reusable(&resource_server, resource_server.digest("token"), before)
                && !anonymous.is_reusable(&resource_server, resource_server.digest(""), before)
        );
    }

    #[tokio::test]
    async fn an_outcome_is_fresh_for_as_long_as_is_demanded_after_the_call_for_it() {
        let resource_server = fixed(&["a-es256"]).await;
        let (second, tick) = (Duration::from_secs(1), Duration::from_nanos(1));
        let outcome = |asked_at| Authentication::anonymous(resource_server.clone()).asked(asked_at, false);
        let asked = outcome(Some(100 * second));
        assert!(asked.is_fresh(100 * second, Duration::ZERO) && asked.is_fresh(107 * second, 7 * second));
        assert!(!asked.is_fresh(107 * second + tick, 7 * second));
        assert!(!asked.is_fresh(100 * second - tick, 7 * second), "from the future");
        assert!(!outcome(None).is_fresh(100 * second, 7 * second));
    }

    #[tokio::test]
    async fn what_a_verifier_of_the_application_said_is_not_reused() {
        let resource_server = fixed(&["a-es256"]).await;
        let digest = resource_server.digest("token");
        let outcome = || {
            Authentication::verified(
                resource_server.clone(),
                of(digest),
                verified("https://a", None, None),
                Confirmed::ANONYMOUS,
            )
            .unwrap()
        };
        let is_reusable = |outcome: Authentication| outcome.is_reusable(&resource_server, digest, Duration::ZERO);
        assert!(is_reusable(outcome().asked(None, false)));
        assert!(!is_reusable(outcome().asked(None, true)), "it may have read more of the request than the token");
    }

    #[tokio::test]
    async fn an_outcome_prints_without_the_token_that_was_presented() {
        let token = verified("https://a", Some("alice"), None);
        let resource_server = fixed(&["a-es256"]).await;
        let digest = resource_server.digest("presented");
        let printed = format!(
            "{:?}",
            Authentication::verified(resource_server, of(digest), token, Confirmed::ANONYMOUS).unwrap()
        );
        assert!(printed.contains("alice") && !printed.contains("presented"), "{printed}");
    }

    #[tokio::test]
    async fn nobody_has_no_token() {
        let resource_server = fixed(&["a-es256"]).await;
        assert!(Authentication::anonymous(resource_server.clone()).token().is_none());
        let authenticated = Authentication::verified(
            resource_server.clone(),
            of(resource_server.digest("token")),
            verified("https://a", None, None),
            Confirmed::ANONYMOUS,
        )
        .unwrap();
        assert_eq!(authenticated.token().unwrap().issuer(), "https://a");
    }
}
