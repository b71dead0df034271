use std::{borrow::Cow, error::Error as StdError, fmt};

use super::{
    Algorithm, base64url,
    json::{self, Value},
};
use crate::crypto::{CryptoBackend, Curve, PublicKey, VerifyingKey};

/// How many keys one set may have.
const MAX_KEYS: usize = 100;

/// How many keys are tried for one token, where its `kid` does not single one out.
const MAX_CANDIDATES: usize = 8;

/// The bounds of an RSA modulus, in bits (RFC 7518 §3.3; the upper one bounds the cost of a check).
const RSA_MODULUS_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// The bounds of an RSA public exponent: greater than 2^16 (FIPS 186-5 §5.1), and no longer than both libraries take.
const RSA_EXPONENT: std::ops::RangeInclusive<u64> = 65_537..=(1 << 33) - 1;

/// A JWK Set (RFC 7517 §5), read and checked.
///
/// A key that cannot be used for verifying signatures is skipped and reported, and the others are kept: one of an unknown
/// type, of a wrong shape or size, for another use (`use`, `key_ops`), of an algorithm that is not supported, symmetric, or
/// with a private member.
#[derive(Clone, Debug)]
pub struct JwkSet {
    keys: Vec<Jwk>,
    skipped: Vec<SkippedKey>,
}

#[derive(Clone, Debug)]
struct Jwk {
    /// The key's place in the set, to tell keys without an id apart in a report.
    index: usize,
    id: Option<Box<str>>,
    algorithm: Option<Algorithm>,
    public_key: PublicKey,
}

impl JwkSet {
    /// Reads the JSON text of a JWK Set.
    ///
    /// # Errors
    ///
    /// When the text is not a JSON object with an array `keys`, names a member twice, or has more than 100 keys. A set
    /// whose keys are all skipped, or that is empty, is no error here: it verifies nothing.
    pub fn from_json(json: &[u8]) -> Result<Self, JwkSetError> {
        let mut members = json::object(json, |name| name == "keys").map_err(|_| JwkSetError::NotAnObject)?;
        let Some((_, Value::Array(elements))) = members.pop() else { return Err(JwkSetError::NoKeys) };
        if elements.len() > MAX_KEYS {
            return Err(JwkSetError::TooManyKeys);
        }
        let mut set = Self { keys: Vec::new(), skipped: Vec::new() };
        for (index, element) in elements.iter().enumerate() {
            let id = member(element, "kid").ok().flatten();
            match Jwk::read(index, element) {
                Ok(key) => set.keys.push(key),
                Err(why) => set.skipped.push(SkippedKey { index, id: id.map(Into::into), why }),
            }
        }
        Ok(set)
    }

    /// Prepares the keys for use with `algorithms`, each with exactly one of them: its own `alg`, or, where it has none,
    /// the first on the list that fits its type (RFC 8725 §3.1).
    pub fn prepare(&self, algorithms: &[Algorithm], backend: CryptoBackend) -> KeySet {
        let mut skipped = self.skipped.clone();
        let mut keys: Vec<Key> = Vec::with_capacity(self.keys.len());
        for jwk in &self.keys {
            let prepared = match jwk
                .algorithm
                .or_else(|| algorithms.iter().copied().find(|&algorithm| jwk.public_key.fits(algorithm)))
            {
                Some(algorithm) if algorithms.contains(&algorithm) => {
                    VerifyingKey::new(backend, algorithm, &jwk.public_key)
                        .map(|key| (algorithm, key))
                        .ok_or("it is not a valid public key")
                }
                _ => Err("no algorithm of the issuer's list fits it"),
            };
            match prepared {
                Ok((algorithm, verifying_key)) => keys.push(Key { id: jwk.id.clone(), algorithm, verifying_key }),
                Err(why) => skipped.push(SkippedKey { index: jwk.index, id: jwk.id.clone(), why }),
            }
        }
        keys.sort_by(|a, b| a.id.cmp(&b.id));
        KeySet { keys, skipped }
    }
}

impl Jwk {
    fn read(index: usize, element: &Value<'_>) -> Result<Self, &'static str> {
        if ["d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"].iter().any(|name| find(element, name).is_some()) {
            return Err("it has a private member, or is symmetric");
        }
        let key_type = member(element, "kty")?.ok_or("it has no `kty`")?;
        if member(element, "use")?.is_some_and(|purpose| purpose != "sig") {
            return Err("its `use` is not `sig`");
        }
        if !may_verify(element)? {
            return Err("its `key_ops` lacks `verify`");
        }
        let public_key = match (key_type, member(element, "crv")?) {
            ("EC", Some("P-256")) => ec(element, Curve::P256)?,
            ("EC", Some("P-384")) => ec(element, Curve::P384)?,
            ("OKP", Some("Ed25519")) => ed25519(element)?,
            ("RSA", _) => rsa(element)?,
            _ => return Err("its type or curve is not supported"),
        };
        let algorithm = match member(element, "alg")? {
            None => None,
            Some(name) => match Algorithm::from_name(name) {
                Some(algorithm) if public_key.fits(algorithm) => Some(algorithm),
                _ => return Err("its `alg` is not supported, or does not fit its type"),
            },
        };
        Ok(Self { index, id: member(element, "kid")?.map(Into::into), algorithm, public_key })
    }
}

fn find<'v>(element: &'v Value<'_>, name: &str) -> Option<&'v Value<'v>> {
    let Value::Object(members) = element else { return None };
    members.iter().find(|(key, _)| key == name).map(|(_, value)| value)
}

/// A member that has to be a string where it is present.
fn member<'v>(element: &'v Value<'_>, name: &str) -> Result<Option<&'v str>, &'static str> {
    match find(element, name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err("one of its members has the wrong type"),
    }
}

fn may_verify(element: &Value<'_>) -> Result<bool, &'static str> {
    match find(element, "key_ops") {
        None => Ok(true),
        Some(Value::Array(operations)) => Ok(operations.contains(&Value::String(Cow::Borrowed("verify")))),
        Some(_) => Err("one of its members has the wrong type"),
    }
}

fn bytes(element: &Value<'_>, name: &str) -> Result<Vec<u8>, &'static str> {
    member(element, name)?
        .and_then(base64url::decode)
        .ok_or("a member of its public key is missing or is not base64url")
}

fn ec(element: &Value<'_>, curve: Curve) -> Result<PublicKey, &'static str> {
    let (x, y) = (bytes(element, "x")?, bytes(element, "y")?);
    if x.len() != curve.coordinate_length() || y.len() != curve.coordinate_length() {
        return Err("its coordinates do not have the length of its curve");
    }
    Ok(PublicKey::Ec { curve, x, y })
}

fn ed25519(element: &Value<'_>) -> Result<PublicKey, &'static str> {
    let x = bytes(element, "x")?;
    if x.len() != 32 {
        return Err("its coordinates do not have the length of its curve");
    }
    if !is_strong_ed25519(&x) {
        return Err("it is a point of small order, or not in canonical form");
    }
    Ok(PublicKey::Ed25519 { x })
}

/// Refuses the encodings that let one signature fit many messages: points of small order, and coordinates not less than
/// the field's prime. The sign bit does not matter for either.
fn is_strong_ed25519(x: &[u8]) -> bool {
    const ORDER_8: [&[u8; 32]; 2] = [
        b"\x26\xe8\x95\x8f\xc2\xb2\x27\xb0\x45\xc3\xf4\x89\xf2\xef\x98\xf0\xd5\xdf\xac\x05\xd3\xc6\x33\x39\xb1\x38\x02\x88\x6d\x53\xfc\x05",
        b"\xc7\x17\x6a\x70\x3d\x4d\xd8\x4f\xba\x3c\x0b\x76\x0d\x10\x67\x0f\x2a\x20\x53\xfa\x2c\x39\xcc\xc6\x4e\xc7\xfd\x77\x92\xac\x03\x7a",
    ];
    let Some((&top, low)) = x.split_last() else { return false };
    let top = top & 0x7f;
    let all = |value: u8| low[1..].iter().all(|&byte| byte == value);
    // 2^255 - 19 is ed ff .. ff 7f; one less is the point of order 2. Zero is of order 4, and one is the neutral point.
    let near_prime = top == 0x7f && all(0xff) && low[0] >= 0xec;
    let near_zero = top == 0 && all(0) && low[0] <= 1;
    let order_8 = ORDER_8.iter().any(|point| point[..31] == *low && point[31] == top);
    !(near_prime || near_zero || order_8)
}

fn rsa(element: &Value<'_>) -> Result<PublicKey, &'static str> {
    let (n, e) = (without_leading_zeros(bytes(element, "n")?), without_leading_zeros(bytes(element, "e")?));
    let bits = n.first().map_or(0, |first| n.len() * 8 - first.leading_zeros() as usize);
    if !RSA_MODULUS_BITS.contains(&bits) || n.last().is_none_or(|last| last % 2 == 0) {
        return Err("its modulus is even, or not between 2048 and 8192 bits");
    }
    let exponent = if e.len() <= 8 { e.iter().fold(0, |value: u64, &byte| value << 8 | u64::from(byte)) } else { 0 };
    if !RSA_EXPONENT.contains(&exponent) || exponent % 2 == 0 {
        return Err("its exponent is even, or not between 65537 and 2^33 - 1");
    }
    Ok(PublicKey::Rsa { n, e })
}

fn without_leading_zeros(mut bytes: Vec<u8>) -> Vec<u8> {
    let zeros = bytes.iter().take_while(|&&byte| byte == 0).count();
    bytes.split_off(zeros)
}

/// Keys that are ready to verify the tokens of one issuer.
#[derive(Debug)]
pub struct KeySet {
    /// Sorted by id; those without one come first.
    keys: Vec<Key>,
    skipped: Vec<SkippedKey>,
}

#[derive(Debug)]
struct Key {
    id: Option<Box<str>>,
    algorithm: Algorithm,
    verifying_key: VerifyingKey,
}

/// What a key set says of a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verification {
    Invalid,
    /// No key of this id and algorithm, or too many to try.
    UnknownKey,
    Valid,
}

impl KeySet {
    /// Checks `signature` with the keys of `key_id` that are for `algorithm`, or, where the token names no key, with all
    /// that are for `algorithm`.
    pub(crate) fn verify(
        &self,
        algorithm: Algorithm,
        key_id: Option<&str>,
        message: &[u8],
        signature: &[u8],
    ) -> Verification {
        let named = match key_id {
            None => &self.keys[..],
            Some(id) => {
                let from = self.keys.partition_point(|key| key.id.as_deref() < Some(id));
                let length = self.keys[from..].partition_point(|key| key.id.as_deref() == Some(id));
                &self.keys[from..from + length]
            }
        };
        let candidates = || named.iter().filter(|key| key.algorithm == algorithm);
        match candidates().count() {
            1..=MAX_CANDIDATES if candidates().any(|key| key.verifying_key.verify(message, signature)) => {
                Verification::Valid
            }
            1..=MAX_CANDIDATES => Verification::Invalid,
            _ => Verification::UnknownKey,
        }
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there are none, so that no token verifies.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The keys of the set that are not used, and why.
    pub fn skipped(&self) -> &[SkippedKey] {
        &self.skipped
    }
}

/// A key of a JWK Set that is not used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SkippedKey {
    index: usize,
    id: Option<Box<str>>,
    why: &'static str,
}

impl SkippedKey {
    /// The key's `kid`.
    pub fn key_id(&self) -> Option<&str> {
        self.id.as_deref()
    }
}

impl fmt::Display for SkippedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.id {
            Some(id) => write!(f, "key {id:?} is not used: {}", self.why),
            None => write!(f, "key number {} is not used: {}", self.index, self.why),
        }
    }
}

/// A text that is not a JWK Set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum JwkSetError {
    /// There is no member `keys`, or it is not an array.
    NoKeys,
    /// The text is not one JSON object without duplicate members.
    NotAnObject,
    /// There are more than 100 keys.
    TooManyKeys,
}

impl fmt::Display for JwkSetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoKeys => "the JWK Set has no array named `keys`",
            Self::NotAnObject => "the JWK Set is not one JSON object without duplicate members",
            Self::TooManyKeys => "the JWK Set has more than 100 keys",
        })
    }
}

impl StdError for JwkSetError {}
