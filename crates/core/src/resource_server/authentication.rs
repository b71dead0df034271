//! What a request's credentials came to: the one extension that the rest of a service relies on.

use std::{fmt, time::Duration};

use super::ResourceServer;
use crate::{jwt::cache::TokenDigest, refusal::ProtectionSpace, token::VerifiedToken};

/// The outcome of authenticating a request: a [`VerifiedToken`], or nobody.
///
/// The `Authenticate` layer leaves one in the extensions of every request that it lets through, and replaces whatever was
/// there. Like a verified token it has no public constructor, so no other code can put one there that a
/// [`ResourceServer`](crate::ResourceServer) did not make.
#[derive(Clone)]
pub struct Authentication {
    token: Option<VerifiedToken>,
    /// What the token that was judged is known by, so that it is not judged again.
    presented: Option<TokenDigest>,
    /// When somebody was asked about it, if that was for this very request.
    asked_at: Option<Duration>,
    /// Whether a verifier of the application judged it, which may have looked at more than the token.
    by_application: bool,
    /// Who judged it.
    resource_server: ResourceServer,
}

impl Authentication {
    pub(crate) fn anonymous(resource_server: ResourceServer) -> Self {
        Self { token: None, presented: None, asked_at: None, by_application: false, resource_server }
    }

    pub(crate) fn verified(resource_server: ResourceServer, presented: TokenDigest, token: VerifiedToken) -> Self {
        Self { token: Some(token), presented: Some(presented), ..Self::anonymous(resource_server) }
    }

    /// With when somebody was asked about the token, and whether that was by a verifier of the application.
    pub(crate) fn asked(self, asked_at: Option<Duration>, by_application: bool) -> Self {
        Self { asked_at, by_application, ..self }
    }

    /// Whether this is about a token that is known by that.
    pub(crate) fn is_about(&self, presented: TokenDigest) -> bool {
        self.presented == Some(presented)
    }

    /// Whether somebody was asked about it no longer than that before, for this very request.
    pub(crate) fn is_fresh(&self, now: Duration, max_age: Duration) -> bool {
        self.asked_at.is_some_and(|asked_at| now.checked_sub(asked_at).is_some_and(|age| age <= max_age))
    }

    /// Whether `resource_server` would find the same again for the same credentials: it was the resource_server, of this very token, whose times
    /// and age allow it still.
    pub(crate) fn is_reusable(&self, resource_server: &ResourceServer, presented: TokenDigest, now: Duration) -> bool {
        self.resource_server.is(resource_server)
            && !self.by_application
            && self.is_about(presented)
            && self.token.as_ref().is_some_and(|token| token.is_valid_at(now))
    }

    /// The same outcome, found by another handle of the same resource_server.
    pub(crate) fn with_resource_server(self, resource_server: ResourceServer) -> Self {
        Self { resource_server, ..self }
    }

    /// The verified token; `None` where the request came without credentials.
    pub fn token(&self) -> Option<&VerifiedToken> {
        self.token.as_ref()
    }

    /// The resource server that authenticated the request.
    pub fn resource_server(&self) -> &ResourceServer {
        &self.resource_server
    }

    /// How refusals are to be worded.
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

    #[tokio::test]
    async fn an_outcome_is_of_one_judge_and_one_token_while_its_times_allow() {
        let (resource_server, other) = (fixed(&["a-es256"]).await, fixed(&["a-es256"]).await);
        let token = verified("https://a", None, None);
        let expiry = token.expires_at().unwrap().duration_since(std::time::SystemTime::UNIX_EPOCH).unwrap();
        let before = expiry - Duration::from_nanos(1);
        let outcome = Authentication::verified(resource_server.clone(), resource_server.digest("token"), token);
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
    async fn an_outcome_prints_without_the_token_that_was_presented() {
        let token = verified("https://a", Some("alice"), None);
        let resource_server = fixed(&["a-es256"]).await;
        let digest = resource_server.digest("presented");
        let printed = format!("{:?}", Authentication::verified(resource_server, digest, token));
        assert!(printed.contains("alice") && !printed.contains("presented"), "{printed}");
    }

    #[tokio::test]
    async fn nobody_has_no_token() {
        let resource_server = fixed(&["a-es256"]).await;
        assert!(Authentication::anonymous(resource_server.clone()).token().is_none());
        let somebody = Authentication::verified(
            resource_server.clone(),
            resource_server.digest("token"),
            verified("https://a", None, None),
        );
        assert_eq!(somebody.token().unwrap().issuer(), "https://a");
    }
}
