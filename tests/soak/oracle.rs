//! Which responses are right, from what is true of the token, of the issuers and of the time.

use std::{sync::Arc, time::Duration};

use crate::tokens::{Flaw, Kind, Token};

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// The leeway of the service.
pub(crate) const LEEWAY: u64 = 5;

/// How long an answer is used, counted from its call (`CacheConfig::ttl`).
const ANSWER_AGE: Duration = seconds(30);

/// The longest time without a request, in seconds.
const LONGEST_PAUSE: u64 = 150;

/// How long the answer that a token is not valid is used, with the call.
const NEGATIVE_AGE: Duration = seconds(5 + 6);

/// How long a proof can be used.
const PROOF_LIFE: Duration = seconds(60);

/// How long keys are certainly used during an outage: a day beyond the shortest lifetime.
const STALE_KEYS: Duration = seconds(23 * 3600);

/// How long keys are used at most: a day, and a lifetime.
const KEYS_END: Duration = seconds(25 * 3600);

/// How long after an outage everything is as before: keys of which nobody had heard are found, and nobody gets a 503.
const RECOVERY: Duration = seconds(610);

/// The same for issuers that are asked about each token: as long as a circuit breaker may be open, and until a call has been its
/// probe. A step takes up to 150 seconds, and requests that come with the probe are answered 503.
const BREAKER: Duration = seconds(30 + 150 + 20);

/// The keys of the last set that the service has fetched.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) key_ids: Vec<String>,
    pub(crate) at: Duration,
}

impl Held {
    fn has(&self, token: &Token) -> bool {
        token.key_id.as_ref().is_some_and(|key_id| self.key_ids.contains(key_id))
    }
}

/// The state of everything at a moment.
#[derive(Clone, Debug)]
pub(crate) struct Moment {
    /// Time since the beginning of the world, which never goes back.
    pub(crate) elapsed: Duration,
    /// The clock, in seconds since 1970.
    pub(crate) clock: u64,
    pub(crate) held: Option<Arc<Held>>,
    /// For how long the endpoints that serve keys have worked.
    pub(crate) keys_healthy: Duration,
    /// For how long introspection has worked.
    pub(crate) introspection_healthy: Duration,
    /// For how long the issuer of another format has worked.
    pub(crate) social_healthy: Duration,
    /// Whether the clock has shown this time before.
    pub(crate) is_repeated: bool,
    /// How long ago the process started.
    pub(crate) uptime: Duration,
}

/// A request, from its beginning to its response.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Decision<'r> {
    pub(crate) token: &'r Token,
    pub(crate) flaw: Option<Flaw>,
    /// Whether the route requires the scope `read`.
    pub(crate) needs_scope: bool,
    pub(crate) start: &'r Moment,
    pub(crate) end: &'r Moment,
    /// Whether the clock was set in between.
    pub(crate) clock_was_set: bool,
    /// For how long the token's key has been published.
    pub(crate) key_published: Option<Duration>,
}

/// The statuses that are right.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Right {
    pub(crate) ok: bool,
    pub(crate) unauthorized: bool,
    pub(crate) forbidden: bool,
    pub(crate) unavailable: bool,
}

impl Right {
    pub(crate) fn is(self, status: u16) -> bool {
        match status {
            200 => self.ok,
            401 => self.unauthorized,
            403 => self.forbidden,
            503 => self.unavailable,
            _ => false,
        }
    }
}

impl Decision<'_> {
    pub(crate) fn right(&self) -> Right {
        let mut right = match self.token.kind {
            Kind::Jwt => self.jwt(),
            Kind::Bound => self.bound(),
            Kind::Opaque => self.asked(self.start.introspection_healthy.min(self.end.introspection_healthy)),
            Kind::Social => self.asked(self.start.social_healthy.min(self.end.social_healthy)),
        };
        if self.needs_scope && !self.token.reads {
            (right.forbidden, right.ok) = (right.ok, false);
        }
        right
    }

    fn jwt(&self) -> Right {
        let (start, end) = (self.start.held.as_deref(), self.end.held.as_deref());
        let has_recovered = self.keys_healthy() >= RECOVERY && self.start.uptime >= RECOVERY;
        let is_usable = |held: &Held| self.end.elapsed.saturating_sub(held.at) < STALE_KEYS;
        let unavailable = !has_recovered && !start.is_some_and(is_usable);
        if let Some(flaw) = self.flaw {
            // Where the keys may be old ones, a key that does not fit is no verdict.
            let is_of_key = matches!(flaw, Flaw::UnknownKeyId | Flaw::OtherKey | Flaw::Tampered);
            let asks = is_of_key && !has_recovered;
            // Claims can refuse without keys.
            let is_judged = !is_of_key || start.is_some() || end.is_some() || !self.is_always_in_time();
            return Right { unauthorized: is_judged, unavailable: unavailable || asks, ..Right::default() };
        }
        let is_past_its_end = |held: &Held| self.start.elapsed.saturating_sub(held.at) > KEYS_END;
        let has = |held: Option<&Held>| held.is_some_and(|held| held.has(self.token) && !is_past_its_end(held));
        let is_found = self.key_published.is_some_and(|published| published >= RECOVERY) && has_recovered;
        let is_known = has(start) && has(end) || is_found;
        // Without any keys there is no verdict.
        let is_judged = start.is_some() || end.is_some();
        Right {
            ok: self.is_ever_in_time() && (has(start) || has(end)),
            unauthorized: is_judged && !is_known || !self.is_always_in_time(),
            forbidden: false,
            // The timers of a clock that was set back end late, those of a fetch among them.
            unavailable: unavailable || !has_recovered && (!has(start) || self.end.is_repeated),
        }
    }

    fn bound(&self) -> Right {
        // The token is judged before its proof.
        let flaw = self.flaw.filter(|flaw| !Flaw::OF_PROOFS.contains(flaw));
        let mut right = Self { flaw, ..*self }.jwt();
        // Proofs of a time that the clock shows again cannot be told from those that were used then.
        if self.clock_was_set || self.end.is_repeated {
            (right.unauthorized, right.unavailable) = (true, true);
        }
        // Its proof was made at the start, and the keys may be waited for, by a time that passes at once.
        if self.end.elapsed - self.start.elapsed >= PROOF_LIFE {
            (right.unauthorized, right.unavailable) = (true, true);
        }
        if flaw != self.flaw {
            right = Right { ok: false, unauthorized: true, ..right };
        }
        right
    }

    /// A token that its issuer is asked about.
    fn asked(&self, healthy: Duration) -> Right {
        let unavailable = healthy < BREAKER;
        if self.flaw.is_some() {
            return Right { unauthorized: true, unavailable, ..Right::default() };
        }
        let revoked = self.token.revoked_at;
        // An answer ages by the clock. One that was set back before anybody looked at it again makes the answer younger.
        let (clock, then) = (self.start.clock, self.token.revoked_clock);
        let is_young_again = self.end.is_repeated
            && clock < then + ANSWER_AGE.as_secs()
            && then <= clock + ANSWER_AGE.as_secs() + LONGEST_PAUSE;
        let is_ever_active = is_young_again || revoked.is_none_or(|at| at + ANSWER_AGE > self.start.elapsed);
        let is_always_active = revoked.is_none_or(|at| at > self.end.elapsed);
        // A token that was issued before the clock was set back may have been asked about before it was valid again.
        let before = self.start.clock.saturating_sub(NEGATIVE_AGE.as_secs());
        let may_be_remembered_as_bad = self.end.is_repeated && !self.is_in_time(before);
        Right {
            ok: is_ever_active && self.is_ever_in_time(),
            unauthorized: !is_always_active || !self.is_always_in_time() || may_be_remembered_as_bad,
            forbidden: false,
            unavailable,
        }
    }

    fn keys_healthy(&self) -> Duration {
        self.start.keys_healthy.min(self.end.keys_healthy)
    }

    fn is_in_time(&self, clock: u64) -> bool {
        self.token.times.is_none_or(|(from, to)| from <= clock + LEEWAY && clock < to + LEEWAY)
    }

    fn is_ever_in_time(&self) -> bool {
        self.clock_was_set || self.is_in_time(self.start.clock) || self.is_in_time(self.end.clock)
    }

    fn is_always_in_time(&self) -> bool {
        !self.clock_was_set && self.is_in_time(self.start.clock) && self.is_in_time(self.end.clock)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment() -> Moment {
        let day = seconds(86_400);
        Moment {
            elapsed: day,
            clock: 1_000_000,
            held: Some(Arc::new(Held { key_ids: vec!["k".to_owned()], at: day - seconds(60) })),
            keys_healthy: day,
            introspection_healthy: day,
            social_healthy: day,
            is_repeated: false,
            uptime: day,
        }
    }

    fn token(kind: Kind) -> Token {
        Token {
            kind,
            text: String::new(),
            flaw: None,
            subject: "s".to_owned(),
            reads: true,
            times: Some((999_000, 1_001_000)),
            key_id: Some("k".to_owned()),
            revoked_at: None,
            revoked_clock: 0,
        }
    }

    fn right(token: &Token, start: &Moment, end: &Moment) -> Right {
        let key_published = Some(seconds(100_000));
        Decision { token, flaw: token.flaw, needs_scope: true, start, end, clock_was_set: false, key_published }.right()
    }

    #[test]
    fn a_good_token_passes_and_nothing_else_is_right() {
        let ok = Right { ok: true, ..Right::default() };
        for kind in Kind::ALL {
            assert_eq!(right(&token(kind), &moment(), &moment()), ok, "{kind:?}");
        }
        let poor = Token { reads: false, ..token(Kind::Jwt) };
        assert_eq!(right(&poor, &moment(), &moment()), Right { forbidden: true, ..Right::default() });
    }

    #[test]
    fn a_token_that_is_not_good_never_passes() {
        let refused = Right { unauthorized: true, ..Right::default() };
        for kind in Kind::ALL {
            for flaw in Flaw::OF_JWTS {
                assert_eq!(right(&Token { flaw: Some(flaw), ..token(kind) }, &moment(), &moment()), refused);
            }
            let expired = Token { times: Some((1, 999_995)), ..token(kind) };
            assert_eq!(right(&expired, &moment(), &moment()), refused, "{kind:?}");
        }
        let revoked =
            Token { revoked_at: Some(moment().elapsed - seconds(40)), revoked_clock: 999_960, ..token(Kind::Opaque) };
        assert_eq!(right(&revoked, &moment(), &moment()), refused);
        let set_back = Moment { clock: 999_980, is_repeated: true, ..moment() };
        assert!(right(&revoked, &set_back, &set_back).ok);
        let lately = Token { revoked_at: Some(moment().elapsed - seconds(20)), ..token(Kind::Opaque) };
        assert_eq!(right(&lately, &moment(), &moment()), Right { ok: true, ..refused });
        let of_other_key = Token { key_id: Some("gone".to_owned()), ..token(Kind::Jwt) };
        assert!(!right(&of_other_key, &moment(), &moment()).ok);
    }

    #[test]
    fn an_outage_is_no_verdict() {
        let out = || Moment { keys_healthy: Duration::ZERO, introspection_healthy: Duration::ZERO, ..moment() };
        // Keys that were fetched before are used on.
        assert_eq!(right(&token(Kind::Jwt), &out(), &out()), Right { ok: true, ..Right::default() });
        let opaque = right(&token(Kind::Opaque), &out(), &out());
        assert_eq!(opaque, Right { ok: true, unavailable: true, ..Right::default() });
        let old = Arc::new(Held { key_ids: vec!["k".to_owned()], at: Duration::ZERO });
        let gone = || Moment { elapsed: 2 * moment().elapsed, held: Some(Arc::clone(&old)), ..out() };
        assert!(!right(&token(Kind::Jwt), &gone(), &gone()).ok);
        let cold = || Moment { held: None, uptime: Duration::ZERO, ..out() };
        assert_eq!(right(&token(Kind::Jwt), &cold(), &cold()), Right { unavailable: true, ..Right::default() });
    }
}
