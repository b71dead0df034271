use std::borrow::Cow;

use super::skipped_key::{MISSPELT_USE, OTHER_OPERATIONS, OTHER_USE, PRIVATE_KEY, SIGN_ALONE, SYMMETRIC};
use crate::{
    crypto::{CryptoBackend, Curve, PublicKey, VerifyingKey, is_strong_ed25519},
    jose::{
        Algorithm, base64url,
        json::{Malformed, Value},
        rsa_modulus::Examination,
    },
    redact::excerpt,
};

/// The bounds of an RSA modulus, in bits (RFC 7518 §3.3; ALG-5; the upper one bounds the cost of a check).
const RSA_MODULUS_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// The bounds of an RSA public exponent (ALG-5): above 2^16 (FIPS 186-5 §5.1), and no longer than both libraries accept.
const RSA_EXPONENT: std::ops::RangeInclusive<u64> = 65_537..=8_589_934_591;

/// The members of private and of symmetric keys.
pub(super) const PRIVATE: [&str; 9] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"];

#[derive(Clone, Debug)]
pub(super) struct Jwk {
    /// The key's index in the set, which identifies a key without an id in reports.
    pub(super) index: usize,
    pub(super) id: Option<Box<str>>,
    pub(super) algorithm: Option<Algorithm>,
    pub(super) public_key: PublicKey,
    /// The key's issuer, by the unregistered member `issuer` of Microsoft Entra ID.
    pub(super) issuer: Option<Box<str>>,
}

impl Jwk {
    pub(super) fn modulus(&self) -> Option<&[u8]> {
        match &self.public_key {
            PublicKey::Rsa { n, .. } => Some(n),
            _ => None,
        }
    }

    /// Prepares the key for its own algorithm, or for those of the list that fit it, as many as are permitted.
    pub(super) fn prepare(
        &self,
        algorithms: &[Algorithm],
        most: usize,
        backend: CryptoBackend,
    ) -> Result<Vec<(Algorithm, VerifyingKey)>, Cow<'static, str>> {
        // ALG-3, ALG-9: the key's own `alg`, or else its type and curve.
        let fits = |algorithm: &Algorithm| match self.algorithm {
            Some(own) => own == *algorithm,
            None => self.public_key.fits(*algorithm),
        };
        let fitting: Vec<Algorithm> = algorithms.iter().copied().filter(fits).take(most).collect();
        if fitting.is_empty() {
            return Err(match self.algorithm {
                Some(own) => format!("its `alg` is {own}, which is not on the issuer's list").into(),
                None => "no algorithm of the issuer's list fits it".into(),
            });
        }
        // KEY-15: an RSA key that is weak by its making is skipped.
        if let Some(weakness) = self.modulus().and_then(|modulus| Examination::of(modulus).finish()) {
            return Err(weakness.into());
        }
        fitting
            .into_iter()
            .map(|algorithm| Some((algorithm, VerifyingKey::new(backend, algorithm, &self.public_key)?)))
            .collect::<Option<_>>()
            .ok_or("it is not a valid public key".into())
    }

    pub(super) fn read(index: usize, element: &Value<'_>) -> Result<Self, Cow<'static, str>> {
        // KEY-9, ALG-4: no secret of an HMAC and no private key is ever used.
        if PRIVATE.iter().any(|name| find(element, name).is_some()) {
            let is_symmetric = member(element, "kty") == Ok(Some("oct"));
            return Err(if is_symmetric { SYMMETRIC } else { PRIVATE_KEY }.into());
        }
        let key_type = member(element, "kty")?.ok_or("it has no `kty`")?;
        // KEY-7: `use`, and `key_ops` below.
        match member(element, "use")? {
            None | Some("sig") => {}
            Some(purpose) if purpose.eq_ignore_ascii_case("sig") => return Err(MISSPELT_USE.into()),
            Some(_) => return Err(OTHER_USE.into()),
        }
        if !allows(element, "verify")? {
            return Err(if allows(element, "sign")? { SIGN_ALONE } else { OTHER_OPERATIONS }.into());
        }
        let public_key = match (key_type, member(element, "crv")?) {
            ("EC", Some("P-256")) => ec(element, Curve::P256)?,
            ("EC", Some("P-384")) => ec(element, Curve::P384)?,
            ("OKP", Some("Ed25519")) => ed25519(element)?,
            ("RSA", _) => rsa(element)?,
            _ => return Err("its type or curve is not supported".into()),
        };
        let algorithm = match member(element, "alg")? {
            None => None,
            Some(name) => match Algorithm::from_name(name) {
                // ALG-3: the key's own `alg` has to fit its type and curve.
                Some(algorithm) if public_key.fits(algorithm) => Some(algorithm),
                _ => {
                    let name = excerpt(name);
                    return Err(
                        format!("its `alg` is \"{name}\", which is not supported or does not fit its type").into()
                    );
                }
            },
        };
        let issuer = match find(element, "issuer") {
            Some(Value::String(issuer)) => Some((&**issuer).into()),
            _ => None,
        };
        Ok(Self { index, id: member(element, "kid")?.map(Into::into), algorithm, public_key, issuer })
    }
}

/// A member that is present. `null` counts as absent (KEY-9), since some issuers write omitted members so.
fn find<'v>(element: &'v Value<'_>, name: &str) -> Option<&'v Value<'v>> {
    let Value::Object(members) = element else { return None };
    members.iter().find(|(key, value)| key == name && *value != Value::Null).map(|(_, value)| value)
}

/// The `kid` for a report; `None` where it is repeated.
pub(super) fn id<'v>(element: &'v Value<'_>) -> Option<&'v str> {
    let Value::Object(members) = element else { return None };
    let mut ids = members.iter().filter(|(name, _)| name == "kid");
    match (ids.next(), ids.next()) {
        (Some((_, Value::String(id))), None) => Some(id),
        _ => None,
    }
}

/// Why a key is skipped, by the rule that it breaks.
pub(super) fn unreadable(rule: Malformed) -> &'static str {
    match rule {
        Malformed::DuplicateMember => "it names a member twice",
        Malformed::TooManyMembers => "it has too many members",
        _ => "it is not within the rules for JSON objects",
    }
}

/// A member that must be a string if present.
fn member<'v>(element: &'v Value<'_>, name: &str) -> Result<Option<&'v str>, &'static str> {
    match find(element, name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err("one of its members has the wrong type"),
    }
}

fn allows(element: &Value<'_>, operation: &str) -> Result<bool, &'static str> {
    match find(element, "key_ops") {
        None => Ok(true),
        Some(Value::Array(operations)) => Ok(operations.contains(&Value::String(Cow::Borrowed(operation)))),
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
    // ALG-8: the length; that the point is on the curve, the cryptographic library checks.
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
    // ALG-8: neither of small order nor in a second encoding.
    if !is_strong_ed25519(&x) {
        return Err("it is a point of small order, or not in canonical form");
    }
    Ok(PublicKey::Ed25519 { x })
}

fn rsa(element: &Value<'_>) -> Result<PublicKey, Cow<'static, str>> {
    let (n, e) = (without_leading_zeros(bytes(element, "n")?), without_leading_zeros(bytes(element, "e")?));
    let (fewest, most, found) = (RSA_MODULUS_BITS.start(), RSA_MODULUS_BITS.end(), bits(&n));
    if found < *fewest {
        return Err(format!("its modulus has {found} bits, and at least {fewest} are needed").into());
    }
    if found > *most {
        return Err(format!("its modulus has {found} bits, and at most {most} are allowed").into());
    }
    if n.last().is_none_or(|last| last % 2 == 0) {
        return Err("its modulus is even".into());
    }
    let exponent = if e.len() <= 8 { e.iter().fold(0, |value: u64, &byte| 256 * value + u64::from(byte)) } else { 0 };
    if !RSA_EXPONENT.contains(&exponent) || exponent % 2 == 0 {
        return Err("its exponent is even, or not between 65537 and 2^33 - 1".into());
    }
    Ok(PublicKey::Rsa { n, e })
}

/// The length in bits of a number without leading zero bytes.
pub(super) fn bits(number: &[u8]) -> usize {
    number.first().map_or(0, |first| number.len() * 8 - first.leading_zeros() as usize)
}

fn without_leading_zeros(mut bytes: Vec<u8>) -> Vec<u8> {
    let zeros = bytes.iter().take_while(|&&byte| byte == 0).count();
    bytes.drain(..zeros);
    bytes
}
