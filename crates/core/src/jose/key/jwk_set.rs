use std::{error::Error as StdError, fmt};

use super::{
    jwk::{self, Jwk},
    key_set::{Key, KeySet},
    skipped_key::SkippedKey,
};
use crate::{
    crypto::CryptoBackend,
    jose::{
        Algorithm,
        json::{self, Malformed},
        rsa_modulus::{self, Examination},
    },
};

/// The default limit of keys per set (KEY-13).
const MAX_KEYS: usize = 100;

/// A parsed and checked JWK Set (RFC 7517 §5).
///
/// A key that cannot verify signatures is skipped and reported, and the others are kept. Skipped are keys of an unknown type,
/// a wrong shape or size, another use (`use`, `key_ops`) or an unsupported algorithm, symmetric keys, keys with a private
/// member, and weak RSA keys: whose modulus is a prime, has a factor below 752, or has the fingerprint of CVE-2017-15361
/// ("ROCA"). A member that is `null` counts as absent.
#[derive(Clone, Debug)]
pub struct JwkSet {
    pub(super) keys: Vec<Jwk>,
    pub(super) skipped: Vec<SkippedKey>,
    /// Whether a key without `alg` is used with every algorithm that fits it.
    several_algorithms: bool,
}

/// The most examination work for the new RSA keys of one fetched set: a hundred keys of 4096 bits, some seconds. Without a
/// bound, an issuer could occupy a processor with ever new keys.
const MAX_WORK: u64 = 100 * 128 * 64 * 64 * 64;

impl JwkSet {
    /// Parses a JWK Set.
    ///
    /// # Errors
    ///
    /// When the text is not a JSON object with an array `keys`, repeats a member of that object, or has more than 100 keys. An
    /// empty set, or one whose keys are all skipped, is not an error: it verifies nothing.
    pub fn from_json(json: &[u8]) -> Result<Self, JwkSetError> {
        Self::from_json_up_to(json, MAX_KEYS)
    }

    /// Like [`from_json`](Self::from_json), with another limit of keys.
    pub(crate) fn from_json_up_to(json: &[u8], max_keys: usize) -> Result<Self, JwkSetError> {
        let elements = json::elements(json, "keys", max_keys)
            .map_err(|rule| JwkSetError::of(rule, json))?
            // KEY-14: a body without an array of keys is an error, so it replaces no set.
            .ok_or(JwkSetError::NoKeys)?;
        let mut set = Self { keys: Vec::new(), skipped: Vec::new(), several_algorithms: false };
        for (index, (element, broken)) in elements.iter().enumerate() {
            match broken.map_or_else(|| Jwk::read(index, element), |rule| Err(jwk::unreadable(rule).into())) {
                Ok(key) => set.keys.push(key),
                // KEY-8: the rest of the set stays usable.
                Err(why) => set.skipped.push(SkippedKey { index, id: jwk::id(element).map(Into::into), why }),
            }
        }
        Ok(set)
    }

    /// Removes the keys whose member `issuer` names another issuer; `{tenantid}` in it stands for any one tenant. Keys without
    /// the member stay.
    pub(crate) fn of_issuer(mut self, issuer: &str) -> Self {
        const TENANT: &str = "{tenantid}";
        let is_ours = |named: &str| match named.split_once(TENANT) {
            None => named == issuer,
            Some((before, after)) => issuer
                .strip_prefix(before)
                .and_then(|rest| rest.strip_suffix(after))
                .is_some_and(|tenant| !tenant.is_empty() && !tenant.contains('/')),
        };
        let (ours, others): (Vec<_>, Vec<_>) =
            self.keys.into_iter().partition(|key| key.issuer.as_deref().is_none_or(is_ours));
        self.keys = ours;
        self.skipped.extend(others.into_iter().map(|key| SkippedKey {
            index: key.index,
            id: key.id,
            why: "its `issuer` is another one".into(),
        }));
        self
    }

    /// Examines the RSA keys that were never examined before, ahead of [`prepare`](Self::prepare), as a resource server does
    /// with a fetched set. It yields to the runtime after each millisecond.
    ///
    /// What has not been examined, `prepare` examines without a bound, so use this for a set that others have made. Long
    /// keys take long: those beyond the work of a hundred keys of 4096 bits are skipped, and reported as such.
    pub async fn examined(self) -> Self {
        self.examined_within(MAX_WORK).await
    }

    pub(super) async fn examined_within(mut self, most: u64) -> Self {
        let mut work = 0;
        let mut beyond = Vec::new();
        for (place, modulus) in self.keys.iter().enumerate().filter_map(|(place, key)| Some((place, key.modulus()?))) {
            let mut examination = Examination::of(modulus);
            if examination.is_done() {
                continue;
            }
            work += rsa_modulus::work(modulus);
            if work > most {
                beyond.push(place);
                continue;
            }
            while examination.advance().is_none() {
                tokio::task::yield_now().await;
            }
        }
        for place in beyond.into_iter().rev() {
            let Jwk { index, id, .. } = self.keys.remove(place);
            let why = "too many long RSA keys of the set are new; it is examined when the set is fetched again";
            self.skipped.push(SkippedKey { index, id, why: why.into() });
        }
        self
    }

    /// Uses a key without `alg` with every algorithm of the list that fits it, for a [`KeySource`](crate::keys::KeySource) of
    /// the application. See
    /// [`Issuer::dangerous_allow_several_algorithms_per_key`](crate::Issuer::dangerous_allow_several_algorithms_per_key).
    pub fn dangerous_allow_several_algorithms_per_key(mut self) -> Self {
        self.several_algorithms = true;
        self
    }

    /// Prepares the keys for `algorithms`, each key with exactly one: its own `alg`, or else the first on the list that fits
    /// its type (RFC 8725 §3.1).
    pub fn prepare(&self, algorithms: &[Algorithm], backend: CryptoBackend) -> KeySet {
        let mut skipped = self.skipped.clone();
        let mut keys: Vec<Key> = Vec::with_capacity(self.keys.len());
        for jwk in &self.keys {
            // ALG-9: a key without `alg` is for one algorithm, the first that fits.
            let is_pinned = jwk.algorithm.is_none() && !self.several_algorithms;
            match jwk.prepare(algorithms, if is_pinned { 1 } else { usize::MAX }, backend) {
                Ok(prepared) => keys.extend(prepared.into_iter().map(|(algorithm, verifying_key)| Key {
                    id: jwk.id.clone(),
                    algorithm,
                    is_pinned,
                    public_key: jwk.public_key.clone(),
                    verifying_key,
                })),
                Err(why) => skipped.push(SkippedKey { index: jwk.index, id: jwk.id.clone(), why }),
            }
        }
        let length = self.keys.len() + self.skipped.len() - skipped.len();
        KeySet::new(keys, length, skipped)
    }
}

/// The text is not a JWK Set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum JwkSetError {
    /// The text begins with a byte order mark of UTF-8 or UTF-16.
    ByteOrderMark,
    /// The object repeats a member. A key that repeats a member is skipped instead.
    DuplicateMember,
    /// There is no member `keys`, or it is not an array.
    NoKeys,
    /// The text is not one JSON object.
    NotAnObject,
    /// The text is PEM: a key or a certificate (RFC 7468).
    Pem,
    /// Arrays and objects nest too deep.
    TooDeep,
    /// There are more keys than the limit allows.
    TooManyKeys,
    /// The object has too many members besides its keys.
    TooManyMembers,
}

impl JwkSetError {
    fn of(rule: Malformed, text: &[u8]) -> Self {
        match rule {
            Malformed::ByteOrderMark => Self::ByteOrderMark,
            Malformed::DuplicateMember => Self::DuplicateMember,
            Malformed::TooDeep => Self::TooDeep,
            Malformed::TooManyElements => Self::TooManyKeys,
            Malformed::TooManyMembers => Self::TooManyMembers,
            // PEM may begin with explanatory text.
            Malformed::Syntax if String::from_utf8_lossy(text).contains("-----BEGIN ") => Self::Pem,
            Malformed::PrivateName | Malformed::Syntax => Self::NotAnObject,
        }
    }
}

impl fmt::Display for JwkSetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ByteOrderMark => "the JWK Set begins with a byte order mark; save it as UTF-8 without one",
            Self::DuplicateMember => "the JWK Set names a member twice",
            Self::NoKeys => "the JWK Set has no array named `keys`; a single JWK goes into one: {\"keys\":[..]}",
            Self::NotAnObject => "the JWK Set is not one JSON object",
            Self::Pem => {
                "the text is PEM, and a JWK Set is wanted; convert the public key to a JWK, and put that into {\"keys\":[..]}"
            }
            Self::TooDeep => "the JWK Set nests arrays and objects too deep",
            Self::TooManyKeys => {
                "the JWK Set has more keys than `max_keys` allows; raise it if the issuer really has so many"
            }
            Self::TooManyMembers => "the JWK Set has too many members besides its keys",
        })
    }
}

impl StdError for JwkSetError {}
