//! Makes answers of responses: what an issuer or a verifier said of a token, held to the rules and ready to be cached.

use std::time::{Duration, SystemTime};

use bytes::Bytes;

use super::{OnlineVerifier, lookup::LookupTarget};
use crate::{
    online::{
        CacheKey, TokenStatus, Unavailable, UnavailableKind,
        local_cache::{Answer, Verdict},
        response::VerifiedResponse,
    },
    refusal::Error,
    token::VerifiedToken,
};

impl OnlineVerifier {
    /// Holds a response to the rules of this issuer. One that breaks them is a refusal, which is cached as such; one that is
    /// not a JSON object within bounds is no answer.
    pub(super) fn verify(
        &self,
        status: TokenStatus,
        target: &LookupTarget,
        asked_at: Duration,
        now: Duration,
    ) -> Result<Answer, Unavailable> {
        let claims = match status {
            TokenStatus::Active(claims) => claims,
            TokenStatus::Rejected(error) => return Ok(self.rejected(&error, target, asked_at)),
        };
        match self.verify_claims(&claims, target, asked_at, now) {
            Some(Ok(answer)) => Ok(answer),
            Some(Err(error)) => Ok(self.rejected(&error, target, asked_at)),
            None => {
                let odd = "the answer is not one JSON object within bounds";
                Err(Unavailable::new(UnavailableKind::Upstream, odd).about_token())
            }
        }
    }

    /// `None` where the claims are no JSON object within bounds.
    pub(super) fn verify_claims(
        &self,
        claims: &Bytes,
        target: &LookupTarget,
        asked_at: Duration,
        now: Duration,
    ) -> Option<Result<Answer, Error>> {
        let response = match self.validation.verify(claims, target.verified.as_ref(), now)? {
            Ok(response) => response,
            Err(error) => return Some(Err(error)),
        };
        let expiry = response.token.expires_at().and_then(|at| at.duration_since(SystemTime::UNIX_EPOCH).ok());
        Some(Ok(Answer {
            number: target.number,
            asked_at,
            // INTRO-8: never beyond `exp`.
            keep_until: expiry.unwrap_or(Duration::MAX).min(asked_at + self.ttl),
            tags: self.tags(target, &response),
            verdict: Verdict::Good(response.token),
            from_upstream: true,
        }))
    }

    /// The tags by which an answer is invalidated: its token, and the subject and session that it or its verified token names.
    fn tags(&self, target: &LookupTarget, response: &VerifiedResponse) -> Vec<CacheKey> {
        let verified = target.verified.as_ref();
        let session = verified.and_then(VerifiedToken::session);
        let subjects = [response.token.subject(), verified.and_then(VerifiedToken::subject)];
        let sessions = [response.session.as_deref(), session.as_deref()];
        let mut tags = vec![target.token.exact, target.token.signed_part];
        tags.extend(subjects.into_iter().flatten().map(|subject| self.subject_tag(subject)));
        tags.extend(sessions.into_iter().flatten().map(|session| self.session_tag(session)));
        tags.dedup();
        tags
    }

    fn rejected(&self, error: &Error, target: &LookupTarget, asked_at: Duration) -> Answer {
        // INTRO-10: a refusal is kept for a shorter time.
        let keep_until = asked_at + self.negative_ttl;
        let (number, tags) = (target.number, vec![target.token.exact, target.token.signed_part]);
        Answer { verdict: Verdict::bad(error), number, asked_at, keep_until, tags, from_upstream: true }
    }
}
