//! The tags by which cached answers are invalidated: digests of a token, of a subject and of a session.

use super::{OnlineVerifier, lookup::TokenTags};
use crate::{
    jose::signed_part,
    online::{CacheKey, Invalidate},
};

impl OnlineVerifier {
    pub(crate) fn token_tags(&self, token: &str) -> TokenTags {
        let digest = |text: &str| self.digest(&[b"token", text.as_bytes()]);
        TokenTags { exact: digest(token), signed_part: digest(signed_part(token)) }
    }

    pub(super) fn subject_tag(&self, subject: &str) -> CacheKey {
        self.digest(&[b"subject", self.validation.issuer.as_bytes(), subject.as_bytes()])
    }

    pub(super) fn session_tag(&self, session: &str) -> CacheKey {
        self.digest(&[b"session", self.validation.issuer.as_bytes(), session.as_bytes()])
    }

    /// The tag of what is to be invalidated; `None` where that is of another issuer.
    pub(crate) fn tag_of(&self, what: Invalidate<'_>) -> Option<CacheKey> {
        let is_ours = |issuer: &str| *issuer == *self.validation.issuer;
        match what {
            Invalidate::Token(token) => Some(self.token_tags(token).signed_part),
            Invalidate::Subject { issuer, subject } => is_ours(issuer).then(|| self.subject_tag(subject)),
            Invalidate::Session { issuer, session } => is_ours(issuer).then(|| self.session_tag(session)),
        }
    }
}
