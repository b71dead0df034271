use std::{fmt, sync::Arc, time::Duration};

use super::{DpopNonces, ReplayStore};
use crate::jose::Algorithm;

/// The greatest age of a proof, unless [`Dpop::max_proof_age`] says otherwise: a request takes less, and the clocks of clients
/// are rarely further off.
const DEFAULT_MAX_AGE: Duration = Duration::from_secs(60);

/// How much memory used proofs take at most, unless [`Dpop::replay_memory`] says otherwise.
const DEFAULT_MEMORY: usize = 64 * 1024 * 1024;

/// The greatest age that can be set: a proof of that age says little of who sends it.
const MAX_MAX_AGE: Duration = Duration::from_secs(5 * 60);

/// The least memory that can be set.
const LEAST_MEMORY: usize = 64 * 1024;

/// Accepts tokens that are bound to a key of the client (RFC 9449), for
/// [`ResourceServerBuilder::dpop`](crate::ResourceServerBuilder::dpop).
///
/// | setting | default |
/// |---|---|
/// | [`public_url`](Self::public_url) | the origins of the protected resources |
/// | [`algorithms`](Self::algorithms) | ES256, ES384, Ed25519, PS256, RS256 |
/// | [`max_proof_age`](Self::max_proof_age) | 60 s, at most 5 min |
/// | [`nonces`](Self::nonces) | none: the time of a proof says that it is fresh |
/// | [`replay_memory`](Self::replay_memory) | 64 MiB, a million proofs |
/// | [`replay_store`](Self::replay_store) | the memory of this process |
#[derive(Clone, Debug)]
#[must_use = "settings do nothing until a resource server is built with them"]
pub struct Dpop {
    pub(crate) public_urls: Vec<String>,
    pub(crate) algorithms: Vec<Algorithm>,
    pub(super) max_age: Duration,
    pub(super) nonces: Option<DpopNonces>,
    pub(super) replay: ReplayCheck,
}

/// Where used proofs are remembered.
#[derive(Clone)]
pub(super) enum ReplayCheck {
    Memory { bytes: usize },
    Shared(Arc<dyn ReplayStore>),
    Off,
}

impl fmt::Debug for ReplayCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory { bytes } => f.debug_struct("Memory").field("bytes", bytes).finish(),
            Self::Shared(store) => store.fmt(f),
            Self::Off => f.write_str("Off"),
        }
    }
}

impl Default for Dpop {
    fn default() -> Self {
        Self {
            public_urls: Vec::new(),
            algorithms: Self::DEFAULT_ALGORITHMS.to_vec(),
            max_age: DEFAULT_MAX_AGE,
            nonces: None,
            replay: ReplayCheck::Memory { bytes: DEFAULT_MEMORY },
        }
    }
}

impl Dpop {
    /// Those in wide use, the cheapest for clients first.
    pub(crate) const DEFAULT_ALGORITHMS: &[Algorithm] =
        &[Algorithm::Es256, Algorithm::Es384, Algorithm::Ed25519, Algorithm::Ps256, Algorithm::Rs256];

    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Names a URL at which clients reach this service, with which the `htu` of a proof has to begin; the path of the request
    /// follows. Its own path is the prefix that a proxy takes off, and is usually empty. May be called several times.
    ///
    /// Without a call it is the origin of each protected resource, for that resource alone. A URL that is named here counts for all
    /// of them.
    ///
    /// Nothing that a request says of its host counts, since an attacker who captured a proof for another host could name that.
    pub fn public_url(mut self, url: impl Into<String>) -> Self {
        self.public_urls.push(url.into());
        self
    }

    /// Accepts proofs with these algorithms, in place of the default ones. They are named in challenges.
    pub fn algorithms(mut self, algorithms: impl IntoIterator<Item = Algorithm>) -> Self {
        self.algorithms = algorithms.into_iter().collect();
        self
    }

    /// Refuses proofs that were made longer ago (RFC 9449 §11.1). One that is more than 10 seconds ahead of this service's clock
    /// is refused as well. With [`nonces`](Self::nonces) neither counts, but the age of the nonce.
    pub fn max_proof_age(mut self, age: Duration) -> Self {
        self.max_age = age;
        self
    }

    /// Demands a nonce of this service in each proof (RFC 9449 §9), so that no proof can be made ahead of time, and the clocks
    /// of clients do not matter.
    pub fn nonces(mut self, nonces: DpopNonces) -> Self {
        self.nonces = Some(nonces);
        self
    }

    /// Remembers used proofs in this process, in so many bytes at most. A proof takes less than 64 bytes. Once they are full,
    /// requests with a proof are answered 503 until older proofs have expired: none is forgotten early. A proof is remembered
    /// for as long as it can be used, which is 80 seconds, or the [lifetime](DpopNonces::lifetime) of nonces.
    ///
    /// They are gone when the process ends: a proof that was captured can then be used once more while it is fresh. Nonces
    /// [of the process](DpopNonces::of_this_process) rule that out, and so does a [shared store](Self::replay_store).
    pub fn replay_memory(mut self, bytes: usize) -> Self {
        self.replay = ReplayCheck::Memory { bytes };
        self
    }

    /// Remembers used proofs in this store, which the replicas of a service share. Without one, a proof can be used once at each
    /// replica.
    pub fn replay_store(mut self, store: impl ReplayStore) -> Self {
        self.replay = ReplayCheck::Shared(Arc::new(store));
        self
    }

    /// The same with a store that the settings did not name, if there is one.
    pub(crate) fn shared_by(mut self, store: Option<Arc<dyn ReplayStore>>) -> Self {
        if let Some(store) = store {
            self.replay = ReplayCheck::Shared(store);
        }
        self
    }

    /// What is wrong with the settings, except for the public URLs, each with the setting's name in a configuration.
    pub(crate) fn faults(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        let of_age = self.max_age.is_zero() || self.max_age > MAX_MAX_AGE;
        let of_memory = matches!(self.replay, ReplayCheck::Memory { bytes } if bytes < LEAST_MEMORY);
        let found = [
            (
                self.algorithms.is_empty(),
                "dpop.algorithms",
                "the list of algorithms is empty, so that every proof would be refused; leave it out for the default",
            ),
            (
                of_age,
                "dpop.max_proof_age",
                "the greatest age of a proof is zero or over 5 minutes; give nonces where clocks differ by more",
            ),
            (of_memory, "dpop.replay_memory", "the memory for used proofs is less than 64 KiB, a thousand proofs"),
        ];
        let own = found.into_iter().filter_map(|(is_fault, setting, fault)| is_fault.then_some((setting, fault)));
        own.chain(self.nonces.iter().flat_map(DpopNonces::faults))
    }

    /// Accepts a proof any number of times while it is fresh. An attacker who captures a request can then repeat it.
    pub fn dangerous_accept_repeated_proofs(mut self) -> Self {
        self.replay = ReplayCheck::Off;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limits_of_settings_are_those_that_are_documented() {
        let is_faulty = |dpop: Dpop| dpop.faults().next().is_some();
        for (bytes, expected) in [(0, true), (64 * 1024 - 1, true), (64 * 1024, false), (64 << 20, false)] {
            assert_eq!(is_faulty(Dpop::new().replay_memory(bytes)), expected, "{bytes}");
        }
        for (seconds, expected) in [(0, true), (1, false), (300, false), (301, true)] {
            assert_eq!(is_faulty(Dpop::new().max_proof_age(Duration::from_secs(seconds))), expected, "{seconds}");
        }
        assert_eq!(format!("{:?}", Dpop::new().replay), "Memory { bytes: 67108864 }");
    }
}
