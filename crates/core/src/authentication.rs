//! What a request's credentials came to: the one extension that the rest of a service relies on.

use std::{fmt, sync::Arc, time::Duration};

use crate::{ProtectionSpace, VerifiedToken};

/// The outcome of authenticating a request: a [`VerifiedToken`], or nobody.
///
/// The `Authenticate` layer leaves one in the extensions of every request that it lets through, and replaces whatever was
/// there. Like a verified token it has no public constructor, so no other code can put one there that a
/// [`ResourceServer`](crate::ResourceServer) did not make.
#[derive(Clone)]
pub struct Authentication {
    token: Option<VerifiedToken>,
    /// The token text that was judged, so that it is not judged again, and for steps that need it.
    presented: Option<Arc<str>>,
    /// Which resource server judged it.
    judge: u64,
    space: Option<Arc<ProtectionSpace>>,
}

impl Authentication {
    pub(crate) fn anonymous(judge: u64) -> Self {
        Self { token: None, presented: None, judge, space: None }
    }

    pub(crate) fn verified(judge: u64, presented: &str, token: VerifiedToken) -> Self {
        Self { token: Some(token), presented: Some(presented.into()), judge, space: None }
    }

    /// Whether `judge` would find the same again for the same credentials: it was the judge, of this very token, and the
    /// token was still to expire at `cutoff`, the time less the leeway.
    pub(crate) fn still_holds(&self, judge: u64, presented: &str, cutoff: Duration) -> bool {
        self.judge == judge
            && self.presented.as_deref() == Some(presented)
            && self.token.as_ref().is_some_and(|token| token.expires_after(cutoff))
    }

    /// Says how later refusals of the same request are to be worded.
    #[must_use]
    pub fn within(mut self, space: Arc<ProtectionSpace>) -> Self {
        self.space = Some(space);
        self
    }

    /// The verified token; `None` where the request came without credentials.
    pub fn token(&self) -> Option<&VerifiedToken> {
        self.token.as_ref()
    }

    /// How refusals are to be worded.
    pub fn space(&self) -> Option<&Arc<ProtectionSpace>> {
        self.space.as_ref()
    }
}

impl fmt::Debug for Authentication {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authentication").field("token", &self.token).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verified_token::tests::verified;

    #[test]
    fn an_outcome_is_of_one_judge_and_one_token_until_it_expires() {
        let token = verified("https://a", None, None);
        let expiry = token.expires_at().duration_since(std::time::SystemTime::UNIX_EPOCH).unwrap();
        let before = expiry - Duration::from_nanos(1);
        let outcome = Authentication::verified(1, "token", token);
        assert!(outcome.still_holds(1, "token", before));
        assert!(!outcome.still_holds(1, "token", expiry));
        assert!(!outcome.still_holds(2, "token", before));
        assert!(!outcome.still_holds(1, "other", before));
        assert!(!Authentication::anonymous(1).still_holds(1, "token", before));
        assert!(!Authentication::anonymous(1).still_holds(1, "", before));
    }

    #[test]
    fn an_outcome_prints_without_the_token_that_was_presented() {
        let outcome = Authentication::verified(1, "presented", verified("https://a", Some("alice"), None));
        let printed = format!("{outcome:?}");
        assert!(printed.contains("alice") && !printed.contains("presented"), "{printed}");
    }

    #[test]
    fn nobody_has_no_token() {
        assert!(Authentication::anonymous(1).token().is_none());
        assert_eq!(
            Authentication::verified(1, "token", verified("https://a", None, None)).token().unwrap().issuer(),
            "https://a"
        );
    }
}
