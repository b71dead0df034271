//! What a request's credentials came to: the one extension that the rest of a service relies on.

use std::{fmt, time::Duration};

use crate::{ProtectionSpace, ResourceServer, VerifiedToken, verdicts::TokenDigest};

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
    judge: ResourceServer,
}

impl Authentication {
    pub(crate) fn anonymous(judge: ResourceServer) -> Self {
        Self { token: None, presented: None, asked_at: None, by_application: false, judge }
    }

    pub(crate) fn verified(judge: ResourceServer, presented: TokenDigest, token: VerifiedToken) -> Self {
        Self { token: Some(token), presented: Some(presented), ..Self::anonymous(judge) }
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

    /// Whether `judge` would find the same again for the same credentials: it was the judge, of this very token, whose times
    /// and age allow it still.
    pub(crate) fn still_holds(&self, judge: &ResourceServer, presented: TokenDigest, now: Duration) -> bool {
        self.judge.is(judge)
            && !self.by_application
            && self.is_about(presented)
            && self.token.as_ref().is_some_and(|token| token.is_valid_at(now))
    }

    /// The same outcome, found by another handle of the same judge.
    pub(crate) fn judged_by(self, judge: ResourceServer) -> Self {
        Self { judge, ..self }
    }

    /// The verified token; `None` where the request came without credentials.
    pub fn token(&self) -> Option<&VerifiedToken> {
        self.token.as_ref()
    }

    /// The resource server that authenticated the request.
    pub fn judge(&self) -> &ResourceServer {
        &self.judge
    }

    /// How refusals are to be worded.
    pub fn protection_space(&self) -> Option<&ProtectionSpace> {
        self.judge.protection_space()
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
    use crate::{resource_server::tests::fixed, verified_token::tests::verified};

    #[tokio::test]
    async fn an_outcome_is_of_one_judge_and_one_token_while_its_times_allow() {
        let (judge, other) = (fixed(&["a-es256"]).await, fixed(&["a-es256"]).await);
        let token = verified("https://a", None, None);
        let expiry = token.expires_at().unwrap().duration_since(std::time::SystemTime::UNIX_EPOCH).unwrap();
        let before = expiry - Duration::from_nanos(1);
        let outcome = Authentication::verified(judge.clone(), judge.digest("token"), token);
        assert!(outcome.still_holds(&judge, judge.digest("token"), before) && outcome.judge().is(&judge));
        assert!(!outcome.still_holds(&judge, judge.digest("token"), expiry));
        assert!(!outcome.still_holds(&other, judge.digest("token"), before));
        assert!(!outcome.still_holds(&judge, judge.digest("other"), before));
        let anonymous = Authentication::anonymous(judge.clone());
        assert!(
            !anonymous.still_holds(&judge, judge.digest("token"), before)
                && !anonymous.still_holds(&judge, judge.digest(""), before)
        );
    }

    #[tokio::test]
    async fn an_outcome_prints_without_the_token_that_was_presented() {
        let token = verified("https://a", Some("alice"), None);
        let judge = fixed(&["a-es256"]).await;
        let digest = judge.digest("presented");
        let printed = format!("{:?}", Authentication::verified(judge, digest, token));
        assert!(printed.contains("alice") && !printed.contains("presented"), "{printed}");
    }

    #[tokio::test]
    async fn nobody_has_no_token() {
        let judge = fixed(&["a-es256"]).await;
        assert!(Authentication::anonymous(judge.clone()).token().is_none());
        let somebody =
            Authentication::verified(judge.clone(), judge.digest("token"), verified("https://a", None, None));
        assert_eq!(somebody.token().unwrap().issuer(), "https://a");
    }
}
