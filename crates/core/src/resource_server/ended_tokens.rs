//! Which tokens an invalidation ends.

use std::sync::atomic::Ordering;

use super::{inner::Inner, token_end::TokenEnd, token_identity::TokenIdentity};
use crate::{
    jose::signed_part,
    jwt::{DecodedJwt, JwtBuffers, cache::TokenDigest},
    online::Invalidate,
    token::{VerifiedToken, claims::UnverifiedClaims},
};

impl Inner {
    /// Ends the tokens that an invalidation concerns. Their answers are gone from the caches by now: a request that comes after
    /// this in the new epoch has a new answer.
    pub(super) fn end_tokens(&self, what: Invalidate<'_>) {
        let tags = match what {
            Invalidate::Token(token) => self.tags_of_text(token),
            Invalidate::Subject { issuer, subject } => vec![self.tag("subject", issuer, subject)],
            Invalidate::Session { issuer, session } => vec![self.tag("session", issuer, session)],
        };
        self.invalidations.record(tags, |epoch| self.invalidation_epoch.store(epoch, Ordering::Release));
    }

    /// What completes when this token is no longer valid.
    pub(super) fn token_end(&self, token: &VerifiedToken, presented: &TokenIdentity) -> TokenEnd {
        TokenEnd::new(&self.invalidations, self.tags_of(token, presented), presented.epoch, token)
    }

    fn tag(&self, kind: &str, issuer: &str, value: &str) -> TokenDigest {
        self.jwt_cache.digest(format!("{kind} {} {issuer} {value}", issuer.len()).as_bytes())
    }

    /// The tags of every token that may have this text, or is the same JWT with another signature.
    fn tags_of_text(&self, token: &str) -> Vec<TokenDigest> {
        let mut tags =
            vec![self.jwt_cache.digest(token.as_bytes()), self.jwt_cache.digest(signed_part(token).as_bytes())];
        let (mut buffers, mut claims) = (JwtBuffers::new(), UnverifiedClaims::default());
        if let Ok(jwt) = DecodedJwt::decode(token, &mut buffers, &mut claims, &self.claim_names) {
            tags.push(self.tag("claims", "", jwt.claims.text()));
        }
        tags.dedup();
        tags
    }

    /// The tags that end this token.
    fn tags_of(&self, token: &VerifiedToken, presented: &TokenIdentity) -> Vec<TokenDigest> {
        let issuer = token.issuer();
        let mut tags = vec![presented.digest];
        tags.extend(presented.signed_part.as_deref());
        if token.issuer_context().verified_by.is_some() {
            tags.push(self.tag("claims", "", token.json()));
        }
        tags.extend(token.subject().map(|subject| self.tag("subject", issuer, subject)));
        tags.extend(token.session().map(|session| self.tag("session", issuer, &session)));
        tags
    }
}
