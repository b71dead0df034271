//! The checks of a proof, in the order of their cost: what it says, who signed it, whose key that is, and whether it was used
//! before. A proof that nobody signed is never remembered (RFC 9449 §11.1).

use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};

use http::HeaderValue;

use super::{
    Dpop, DpopNonces, ReplayKey, ReplayStore, UsedProof,
    clock_steps::ClockSteps,
    known_keys::{KnownKey, KnownKeys},
    memory::MemoryReplayStore,
    nonce::NonceCheck,
    proof::{CheckedProof, DecodedProof, ProofBuffers, ProofDemands, Window, failure},
    replay::ProofUse,
    settings::ReplayCheck,
    target::{self, PublicUrls},
};
use crate::{
    BoxFuture,
    clock::{self, Clock},
    confirmation::{Evidence, binding::Thumbprint, evidence::ProofField},
    crypto::CryptoBackend,
    jose::Algorithm,
    redact,
    refusal::{
        Error, FailedCheck, Reason,
        failed_check::{Actual, Expected, Side, TimeBound},
        trace::Trace,
    },
    sync::planted,
    token::claims::NumericDate,
    unwind,
};

/// How far ahead of this service's clock a proof may be (FAPI 2.0 §5.3.2.1, note 3: clocks differ by seconds).
pub(super) const AHEAD: Duration = Duration::from_secs(10);

/// How much the clocks of replicas may differ. A proof is remembered for so much longer than it can be used.
pub(super) const CLOCK_DIFFERENCE: Duration = Duration::from_secs(10);

/// How long a shared store may take.
const STORE_DEADLINE: Duration = Duration::from_millis(500);

/// Checks proofs for a resource server.
pub(crate) struct DpopVerifier {
    urls: PublicUrls,
    algorithms: Arc<[Algorithm]>,
    window: Window,
    nonces: Option<DpopNonces>,
    replay: Replay,
    clock_steps: Arc<ClockSteps>,
    known_keys: KnownKeys,
    clock: Arc<dyn Clock>,
}

enum Replay {
    Memory(MemoryReplayStore),
    Shared(Arc<dyn ReplayStore>),
    Off,
}

/// What a proof has to be for.
#[derive(Clone, Copy)]
pub(crate) struct BoundTo<'t> {
    /// The thumbprint of the key that the token is bound to.
    pub(crate) key: &'t Thumbprint,
    /// The SHA-256 digest of the token.
    pub(crate) token_digest: Thumbprint,
}

/// A proof that is good, unless it was used before.
pub(crate) struct GoodProof {
    pub(crate) used: Use,
    /// The nonce to offer with the response.
    pub(crate) next_nonce: Option<HeaderValue>,
}

/// What is remembered of a proof.
pub(crate) struct Use {
    key: ReplayKey,
    freshness: Freshness,
}

/// When a proof can be used, in time since 1970.
#[derive(Clone, Copy)]
struct Freshness {
    /// When the proof or its nonce was made.
    made_at: Duration,
    from: Duration,
    until: Duration,
}

impl DpopVerifier {
    /// The verifier of these settings, whose faults were found to be none.
    pub(crate) fn new(settings: Dpop, urls: PublicUrls, clock: Arc<dyn Clock>) -> Self {
        Self {
            urls,
            algorithms: settings.algorithms.into(),
            window: Window { max_age: settings.max_age, ahead: AHEAD },
            nonces: settings.nonces,
            replay: match settings.replay {
                ReplayCheck::Memory { bytes } => Replay::Memory(MemoryReplayStore::new(bytes)),
                ReplayCheck::Shared(store) => Replay::Shared(store),
                ReplayCheck::Off => Replay::Off,
            },
            clock_steps: Arc::default(),
            known_keys: KnownKeys::default(),
            clock,
        }
    }

    /// The algorithms of proofs.
    pub(crate) fn algorithms(&self) -> &[Algorithm] {
        &self.algorithms
    }

    /// Whether a proof for one protected resource is one for the other.
    pub(crate) fn is_the_same_for(&self, one: usize, other: usize) -> bool {
        self.urls.of(one) == self.urls.of(other)
    }

    /// A nonce for the next proof, where proofs need one.
    pub(crate) fn fresh_nonce(&self, crypto: CryptoBackend) -> Option<HeaderValue> {
        HeaderValue::try_from(self.nonces.as_ref()?.issue(crypto, self.now())).ok()
    }

    fn now(&self) -> Duration {
        since_1970(&*self.clock)
    }

    /// Checks the proof of a request for a token that is bound to a key (RFC 9449 §4.3, §7.1).
    pub(crate) fn check(
        &self,
        evidence: &Evidence,
        bound_to: BoundTo<'_>,
        crypto: CryptoBackend,
        trace: &Trace,
    ) -> Result<GoodProof, Error> {
        let text = match &evidence.proof {
            ProofField::One(line) => line.as_bytes(),
            // DPOP-1, DPOP-2: exactly one field line.
            ProofField::None => return Err(Reason::MissingDpopProof.into()),
            ProofField::Several => {
                return Err(failure("DPoP", "one field line", Actual::Fixed("several")).into());
            }
        };
        // DPOP-9: by configured URLs, and by the path as the client sent it.
        let (now, urls) = (self.now(), self.urls.of(evidence.resource));
        let mut buffers = ProofBuffers::new();
        let proof = DecodedProof::decode(text, &mut buffers, |header| self.known_keys.get(bound_to.key, header))?;
        let demands = ProofDemands {
            algorithms: &self.algorithms,
            expected_algorithms: &Expected::Algorithms(Arc::clone(&self.algorithms)),
            method: evidence.method.as_str(),
            token_digest: bound_to.token_digest,
        };
        let path = evidence.target.path();
        let checked = proof.check(
            &demands,
            |htu| target::matched(htu, urls, path),
            || {
                let targets: Vec<String> = urls.iter().filter_map(|url| url.target(path)).collect();
                redact::excerpt(&targets.join(" or ")).into()
            },
            trace,
        )?;
        // DPOP-20: only a proof that passes all of these is ever remembered.
        let (freshness, next_nonce) = self.freshness(&checked, crypto, now)?;
        self.check_signature(&proof, checked.algorithm, bound_to.key, crypto)?;
        let key =
            // DPOP-11: an identifier is used once for a key and a target.
            ReplayKey::new(crypto.sha256(&[bound_to.key, checked.target.as_bytes(), b"\0", checked.id.as_bytes()]));
        Ok(GoodProof { used: Use { key, freshness }, next_nonce })
    }

    /// Checks the signature (RFC 9449 §4.3, number 6) and that the token is bound to the key that made it.
    fn check_signature(
        &self,
        proof: &DecodedProof<'_>,
        algorithm: Algorithm,
        bound_to: &Thumbprint,
        crypto: CryptoBackend,
    ) -> Result<(), Error> {
        let (input, signature) = (proof.signing_input(), proof.signature());
        let failed = || failure("signature", "one by the key in jwk", Actual::Fixed("another"));
        if let Some(known) = proof.known_key() {
            return if known.key.verify(input, signature) { Ok(()) } else { Err(failed().into()) };
        }
        // DPOP-5: signed by the key that it brings.
        let key = proof.key(algorithm)?;
        if !key.verify(algorithm, crypto, input, signature) {
            return Err(failed().into());
        }
        // DPOP-13: that key is the one of `cnf.jkt`.
        if key.thumbprint(crypto) != *bound_to {
            return Err(FailedCheck::new(
                Reason::BindingMismatch,
                "jkt",
                "the key that the token is bound to",
                Actual::Fixed("a proof by another key"),
            )
            .into());
        }
        if let Some(weakness) = key.weakness() {
            return Err(failure("jwk", "a key by which only its holder can sign", Actual::Fixed(weakness)).into());
        }
        if let Some(key) = key.prepare(algorithm, crypto) {
            let header = proof.encoded_header().into();
            self.known_keys.insert(KnownKey { thumbprint: *bound_to, header, algorithm, key });
        }
        Ok(())
    }

    /// Whether a proof is fresh: by its nonce where this service demands one, and else by its own time (RFC 9449 §4.3, numbers
    /// 10 and 11).
    fn freshness(
        &self,
        proof: &CheckedProof<'_>,
        crypto: CryptoBackend,
        now: Duration,
    ) -> Result<(Freshness, Option<HeaderValue>), Error> {
        // DPOP-10: nonces bound the freshness of a proof, or else its `iat` does.
        let Some(nonces) = &self.nonces else { return Ok((self.by_time(proof.issued_at, now)?, None)) };
        let expected = "one that this service has given lately";
        let refused = |found| Err(FailedCheck::new(Reason::UseDpopNonce, "nonce", expected, found).into());
        // DPOP-17: where nonces are given, a proof has one.
        let Some(nonce) = proof.nonce else { return refused(Actual::NONE) };
        match nonces.check(crypto, nonce, now) {
            NonceCheck::Valid { issued_at, valid_until, renew } => {
                let next = if renew { self.fresh_nonce(crypto) } else { None };
                Ok((Freshness { made_at: issued_at, from: issued_at, until: valid_until }, next))
            }
            NonceCheck::Expired => refused(Actual::Fixed("one that has expired")),
            NonceCheck::Unknown => refused(Actual::Fixed("one that this service has not given")),
        }
    }

    fn by_time(&self, issued_at: NumericDate, now: Duration) -> Result<Freshness, FailedCheck> {
        let Window { max_age, ahead } = self.window;
        let bound = |side, leeway| Expected::Time(TimeBound { side, now, leeway });
        // DPOP-10, FAPI-5: at most ten seconds ahead.
        if issued_at > now + ahead {
            return Err(failure("iat", bound(Side::NoLaterThanNow, ahead), issued_at));
        }
        let until = issued_at.saturating_add(max_age);
        if now > until {
            return Err(failure("iat", bound(Side::AtMostBefore(max_age), Duration::ZERO), issued_at));
        }
        Ok(Freshness { made_at: issued_at, from: issued_at.saturating_sub(ahead), until })
    }

    /// Remembers a proof, and refuses it if it was used before: at once, or by the future that asks the shared store.
    ///
    /// The clock is read anew, and once more after the proof was looked up: while this request stood still, whatever remembers
    /// used proofs may have forgotten this one, by a reading of the clock that another request had.
    pub(crate) fn use_up(&self, used: Use) -> Result<Option<BoxFuture<'static, Result<(), Error>>>, Error> {
        let Use { key, freshness } = used;
        if matches!(self.replay, Replay::Off) {
            return Ok(None);
        }
        let now = freshness.check(&*self.clock, &self.clock_steps)?;
        let forgotten_at = freshness.until.saturating_add(CLOCK_DIFFERENCE);
        match &self.replay {
            Replay::Off => Ok(None),
            Replay::Memory(memory) => {
                // DPOP-11, DPOP-20: the last step, of a proof that is good.
                let found = memory.insert(key, forgotten_at, now).map_err(|full| unknown(full.into()))?;
                first(found)?;
                planted!("dpop: the clock is not read again", return Ok(None));
                planted!("dpop: steps are not looked at again", {
                    return freshness.has_lasted_to(self.now()).map(|()| None);
                });
                freshness.check(&*self.clock, &self.clock_steps).map(|_| None)
            }
            Replay::Shared(store) => {
                let lifetime = forgotten_at.saturating_sub(now);
                let proof = UsedProof { key, acceptable_from: freshness.from, lifetime };
                let asking =
                    unwind::catch(|| store.insert_if_absent(proof)).map_err(|panicked| unknown(panicked.into()))?;
                let (clock, clock_steps) = (Arc::clone(&self.clock), Arc::clone(&self.clock_steps));
                Ok(Some(Box::pin(async move {
                    let answer = clock::timeout(&*clock, STORE_DEADLINE, unwind::catch_in(asking)).await;
                    let answer = answer.unwrap_or_else(|| Ok(Err("it has not answered within half a second".into())));
                    let found = answer.unwrap_or_else(|panicked| Err(panicked.into())).map_err(unknown)?;
                    first(found)?;
                    freshness.check(&*clock, &clock_steps).map(drop)
                })))
            }
        }
    }
}

impl Freshness {
    /// Reads the clock. Fails where a store cannot tell any more whether the proof was used: it is too old, or the clock was set
    /// back.
    fn check(self, clock: &dyn Clock, steps: &ClockSteps) -> Result<Duration, Error> {
        let now = since_1970(clock);
        self.has_lasted_to(now)?;
        steps.check(now, self.made_at).map_err(|error| unknown(error.into()))?;
        Ok(now)
    }

    /// Fails where a proof that was fresh is not any more, through no fault of its client.
    fn has_lasted_to(self, now: Duration) -> Result<(), Error> {
        if now <= self.until { Ok(()) } else { Err(unknown("it got too old while it was checked".into())) }
    }
}

fn since_1970(clock: &dyn Clock) -> Duration {
    clock.now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}

fn first(found: ProofUse) -> Result<(), Error> {
    match found {
        ProofUse::First => Ok(()),
        ProofUse::Repeated => Err(Reason::RepeatedDpopProof.into()),
    }
}

/// Whether the proof was used before cannot be told.
fn unknown(cause: Box<dyn std::error::Error + Send + Sync>) -> Error {
    Error::from(Reason::ReplayCheckUnavailable).with_source(cause)
}

impl fmt::Debug for DpopVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DpopVerifier")
            .field("urls", &self.urls)
            .field("algorithms", &self.algorithms)
            .finish_non_exhaustive()
    }
}

#[cfg(all(test, scopegate_loom))]
mod model;
#[cfg(test)]
#[cfg(any(feature = "aws-lc-rs", feature = "rust-crypto"))]
mod tests;
