use std::sync::Arc;

use super::{skipped_key::SkippedKey, usable_key::UsableKey};
use crate::{
    crypto::{PublicKey, VerifyingKey},
    jose::Algorithm,
    redact::excerpt,
    refusal::{
        Error, FailedCheck, Reason,
        failed_check::{Actual, Expected, Failures},
    },
};

/// How many keys are tried for one token whose `kid` does not select one (KEY-6). Bounds the cost of a token.
const MAX_CANDIDATES: usize = 8;

/// The prepared keys of one issuer.
#[derive(Debug)]
pub struct KeySet {
    /// Sorted by id, keys without one first. A key that is used with several algorithms occurs once for each.
    keys: Vec<Key>,
    /// The number of distinct keys.
    length: usize,
    skipped: Vec<SkippedKey>,
    /// For the log: the ids of the keys, or their number where there are many.
    described: Arc<str>,
}

#[derive(Debug)]
pub(super) struct Key {
    pub(super) id: Option<Box<str>>,
    pub(super) algorithm: Algorithm,
    /// Whether the algorithm was chosen for a key without `alg`.
    pub(super) is_pinned: bool,
    pub(super) public_key: PublicKey,
    pub(super) verifying_key: VerifyingKey,
}

/// The result of checking a signature with a key set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SignatureCheck {
    Invalid,
    /// No key has this id, or too many keys would have to be tried.
    UnknownKey,
    Valid,
    /// Keys have this id, and none of them is used with the algorithm.
    WrongAlgorithm,
}

impl KeySet {
    pub(super) fn new(mut keys: Vec<Key>, length: usize, skipped: Vec<SkippedKey>) -> Self {
        keys.sort_by(|a, b| a.id.cmp(&b.id));
        let mut set = Self { keys, length, skipped, described: Arc::default() };
        set.described = set.describe().into();
        set
    }

    /// Checks `signature` with the keys of `key_id` for `algorithm`, or with all keys for `algorithm` where the token has no
    /// key id.
    pub(crate) fn verify(
        &self,
        algorithm: Algorithm,
        key_id: Option<&str>,
        message: &[u8],
        signature: &[u8],
    ) -> SignatureCheck {
        let named = self.named(key_id);
        // KEY-6, ALG-3, ALG-9: of the keys with this id, those that are prepared for this algorithm.
        let candidates = || named.iter().filter(|key| key.algorithm == algorithm);
        match candidates().count() {
            1..=MAX_CANDIDATES if candidates().any(|key| key.verifying_key.verify(message, signature)) => {
                SignatureCheck::Valid
            }
            1..=MAX_CANDIDATES => SignatureCheck::Invalid,
            0 if !named.is_empty() => SignatureCheck::WrongAlgorithm,
            _ => SignatureCheck::UnknownKey,
        }
    }

    /// The keys of this id, or all.
    fn named(&self, key_id: Option<&str>) -> &[Key] {
        let Some(id) = key_id else { return &self.keys };
        let from = self.keys.partition_point(|key| key.id.as_deref() < Some(id));
        let length = self.keys[from..].partition_point(|key| key.id.as_deref() == Some(id));
        &self.keys[from..from + length]
    }

    /// The refusal of a token for which no key was found.
    ///
    /// Which of algorithm and key id is reported depends on the algorithms of all keys, so that the reason does not reveal
    /// which key ids exist. The log names both.
    pub(crate) fn no_key(&self, algorithm: Algorithm, key_id: Option<&str>) -> Error {
        let is_in_use = self.keys.is_empty() || self.keys.iter().any(|key| key.algorithm == algorithm);
        let reason = if is_in_use { Reason::UnknownKey } else { Reason::AlgorithmNotAllowed };
        let named = self.named(key_id);
        let is_wrong = !named.iter().any(|key| key.algorithm == algorithm);
        let expected = || algorithms_of(if named.is_empty() { &self.keys } else { named });
        let mut failures = Failures::default();
        if is_wrong && !(named.is_empty() && is_in_use) {
            failures.push(FailedCheck::new(reason, "alg", expected(), Actual::Fixed(algorithm.as_str())));
        }
        if named.is_empty() || !is_wrong {
            let skipped = self.skipped.iter().find(|skipped| key_id.is_some() && skipped.id.as_deref() == key_id);
            let expected = match skipped {
                Some(skipped) => format!("{} ({skipped}; the token has {algorithm})", self.described).into(),
                None => Expected::from(&self.described),
            };
            failures.push(FailedCheck::new(
                Reason::UnknownKey,
                "kid",
                expected,
                key_id.map_or(Actual::NONE, Actual::from),
            ));
        }
        Error::from_failures(failures).unwrap_or_else(|| reason.into())
    }

    /// Of a signature that is valid: by which key it may have been, and by which it was.
    pub(crate) fn finding(&self, algorithm: Algorithm, key_id: Option<&str>) -> (Expected, Actual) {
        let by = key_id.map_or("one of the issuer's keys".to_owned(), |id| format!("key {}", excerpt(id)));
        (format!("{algorithm}, by {}", self.described).into(), Actual::from(format!("{algorithm}, by {by}")))
    }

    /// The ids of the keys, each once. Keys without an id are omitted.
    pub fn key_ids(&self) -> impl Iterator<Item = &str> {
        let mut last = None;
        self.keys.iter().filter_map(move |key| {
            let id = key.id.as_deref()?;
            (last.replace(id) != Some(id)).then_some(id)
        })
    }

    /// Whether a key has this id.
    pub(crate) fn holds(&self, key_id: &str) -> bool {
        self.keys.binary_search_by(|key| key.id.as_deref().cmp(&Some(key_id))).is_ok()
    }

    pub(super) fn describe(&self) -> String {
        let ids: Vec<String> = self.key_ids().take(5).map(excerpt).collect();
        match ids.as_slice() {
            [_, ..] if ids.len() <= 4 && ids.len() == self.length => ids.join(" or "),
            _ => format!("one of {} keys", self.length),
        }
    }

    /// Whether `other` has the same keys under the same ids and for the same algorithms.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        fn parts(key: &Key) -> (Option<&str>, Algorithm, &PublicKey) {
            (key.id.as_deref(), key.algorithm, &key.public_key)
        }
        self.keys.iter().map(parts).eq(other.keys.iter().map(parts))
    }

    /// The keys, sorted by id, those without one first. A key that is used with several algorithms occurs once for each.
    pub fn keys(&self) -> impl Iterator<Item = UsableKey<'_>> {
        self.keys.iter().map(UsableKey)
    }

    /// The number of keys.
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether there are no keys, so that no token verifies.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The keys of the set that are not used, and why.
    pub fn skipped(&self) -> &[SkippedKey] {
        &self.skipped
    }
}

/// The algorithms of these keys, and the reason, for the log.
fn algorithms_of(keys: &[Key]) -> String {
    let mut algorithms: Vec<&str> = keys.iter().map(|key| key.algorithm.as_str()).collect();
    algorithms.sort_unstable();
    algorithms.dedup();
    let algorithms = algorithms.join(" or ");
    let (Some(first), Some(last)) = (keys.first(), keys.last()) else { return algorithms };
    match &first.id {
        Some(id) if first.id == last.id => {
            let id = excerpt(id);
            if keys.iter().any(|key| key.is_pinned) {
                format!(
                    "{algorithms}, since key {id} has no `alg` and is used with one algorithm (see `Issuer::algorithms`)"
                )
            } else {
                format!("{algorithms}, which key {id} is for")
            }
        }
        _ => format!("{algorithms}, which the issuer's keys are used with"),
    }
}
