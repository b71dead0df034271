use std::{
    collections::HashMap,
    fmt,
    hash::RandomState,
    sync::{Arc, PoisonError},
    time::{Duration, SystemTime},
};

use quick_cache::{OptionsBuilder, UnitWeighter};

use crate::{
    jwt::JwtVerifier,
    sync::{self, Mutex, planted},
};

/// Issuers that are not named one by one: which of them are trusted, and how their tokens are verified.
pub(crate) trait TenantGroup: fmt::Debug + Send + Sync + 'static {
    /// The name of the group.
    fn name(&self) -> &str;

    /// Whether this issuer is one of the group.
    fn trusts(&self, issuer: &str) -> bool;

    /// The verifier of a tenant, whose keys were last fetched at that time, if they were.
    fn verifier(&self, issuer: &str, last_asked: Option<SystemTime>) -> Option<JwtVerifier>;

    /// How many tenants may have a verifier once they are established.
    fn live_limit(&self) -> usize;

    /// For how long a tenant's keys are not fetched again.
    fn cool_down(&self) -> Duration;

    /// The time.
    fn now(&self) -> SystemTime;
}

/// The verifiers of the tenants of one group, at most so many as its limit allows. Every one but those on probation has sent a
/// valid token.
pub(crate) struct TenantSet {
    pub(super) group: Box<dyn TenantGroup>,
    pub(super) established: Cache,
    /// Tenants without a valid token yet. A stranger who names tenants in forged tokens can fill these and evict others of
    /// them, and touches none that is established.
    pub(super) probation: Cache,
    /// When the keys of tenants on probation were asked for, those of evicted ones included.
    pub(super) asked: Mutex<HashMap<Arc<str>, SystemTime>>,
}

type Cache = sync::Cache<Arc<str>, Arc<JwtVerifier>, UnitWeighter, RandomState>;

/// A cache of one shard: with several, one would evict while there is room in another.
fn cache(capacity: usize) -> Cache {
    let weight = u64::try_from(capacity).unwrap_or(u64::MAX);
    let options = OptionsBuilder::new().shards(1).estimated_items_capacity(capacity).weight_capacity(weight).build();
    let options = options.unwrap_or_else(|_| unreachable!("every option without a default is set"));
    Cache::with_options(options, UnitWeighter, RandomState::new(), quick_cache::sync::DefaultLifecycle::default())
}

impl TenantSet {
    pub(crate) fn new(group: impl TenantGroup) -> Self {
        let limit = group.live_limit();
        // Twice the limit, so that a stranger who names every trusted tenant evicts none where there are no more than the
        // limit.
        let probation = limit.saturating_mul(2).max(16);
        Self { group: Box::new(group), established: cache(limit), probation: cache(probation), asked: Mutex::default() }
    }

    pub(super) fn name(&self) -> &str {
        self.group.name()
    }

    /// The verifier of a trusted tenant, and whether it is on probation. A tenant without one gets it here. The predicate is
    /// asked each time, so that a tenant that is no longer trusted is refused from then on.
    pub(super) fn verifier(&self, issuer: &str) -> Option<(Arc<JwtVerifier>, bool)> {
        // JOSE-16: the rule decides before anything is fetched.
        if !self.group.trusts(issuer) {
            return None;
        }
        if let Some(known) = self.known(issuer) {
            return Some(known);
        }
        // Of concurrent first requests, one makes the verifier that all use, and only that one counts as asking.
        let make = || self.group.verifier(issuer, self.ask(issuer)).map(Arc::new).ok_or(());
        planted!("tenants: each makes one", {
            let verifier = Arc::new(self.group.verifier(issuer, None)?);
            self.probation.insert(Arc::from(issuer), Arc::clone(&verifier));
            return Some((verifier, true));
        });
        let verifier = self.probation.get_or_insert_with(&Arc::from(issuer), make).ok()?;
        Some((verifier, true))
    }

    /// The verifier that a tenant has, and whether it is on probation.
    pub(super) fn known(&self, issuer: &str) -> Option<(Arc<JwtVerifier>, bool)> {
        // `establish` inserts it into the one cache before it removes it from the other: read in the opposite order, one of them
        // has it at any time.
        let on_probation = self.probation.get(issuer).map(|verifier| (verifier, true));
        on_probation.or_else(|| self.established.get(issuer).map(|verifier| (verifier, false)))
    }

    /// Promotes a tenant after its first valid token, even if it has been evicted meanwhile. Where it has another verifier by
    /// then, that one stays as it is: its keys are newer.
    pub(super) fn establish(&self, verifier: &Arc<JwtVerifier>) {
        let name = &verifier.validation.issuer;
        let is_this = |other: &Arc<JwtVerifier>| Arc::ptr_eq(other, verifier);
        let on_probation = self.probation.get(name);
        planted!("tenants: removed before it is inserted", drop(self.probation.remove(name)));
        // Inserted first, removed afterwards: see `known`.
        match on_probation {
            Some(newer) if !is_this(&newer) => return,
            // An older one, which was evicted before this one was made, may have been established since.
            Some(_) => self.established.insert(Arc::clone(name), Arc::clone(verifier)),
            None => drop(self.established.get_or_insert_with(name, || Ok::<_, ()>(Arc::clone(verifier)))),
        }
        planted!("tenants: a newer one is removed", drop(self.probation.remove(name)));
        self.probation.remove_if(name, is_this);
    }

    /// Records that the keys of a tenant are about to be asked for. The time when they were last, if that is less than a
    /// cool-down ago; the present time if so many tenants are recorded that it is not known.
    fn ask(&self, issuer: &str) -> Option<SystemTime> {
        let (now, cool_down) = (self.group.now(), self.group.cool_down());
        let is_recent = |asked: SystemTime| now.duration_since(asked).is_ok_and(|since| since < cool_down);
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(last) = asked.get(issuer).copied().filter(|last| is_recent(*last)) {
            return Some(last);
        }
        let limit = self.group.live_limit().saturating_mul(16).max(1024);
        if asked.len() >= limit {
            asked.retain(|_, asked| is_recent(*asked));
            if asked.len() >= limit {
                return Some(now);
            }
        }
        asked.insert(issuer.into(), now);
        None
    }

    /// All verifiers, those of tenants on probation included.
    pub(super) fn all(&self) -> impl Iterator<Item = Arc<JwtVerifier>> {
        self.established.iter().chain(self.probation.iter()).map(|(_, verifier)| verifier)
    }

    pub(super) fn is_live(&self, issuer: &str) -> bool {
        self.established.contains_key(issuer) || self.probation.contains_key(issuer)
    }
}

impl fmt::Debug for TenantSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TenantSet").field("group", &self.group).field("live", &self.established.len()).finish()
    }
}

#[cfg(all(test, scopegate_loom))]
mod model;
