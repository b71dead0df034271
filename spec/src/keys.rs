//! Public keys, and which key of an issuer's set verifies a token: RFC 7517, RFC 7518, RFC 8037.

use std::{fmt, sync::Arc};

use ed25519_dalek::VerifyingKey as Ed25519Key;
use num_bigint_dig::{BigUint, prime::probably_prime};
use p256::ecdsa::signature::Verifier;
use rsa::{Pkcs1v15Sign, Pss, RsaPublicKey, traits::PublicKeyParts as _};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256, Sha384, Sha512};

use crate::{
    Issuer, Keys, Rule,
    decide::Refusal,
    json,
    jws::{Jws, base64url, to_base64url},
};

/// How many keys are tried for a token without `kid` (KEY-6).
pub const MAX_TRIED: usize = 8;
const PRIVATE: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

/// A public key that can be used.
pub struct Jwk {
    material: Material,
    kid: Option<String>,
    alg: Option<String>,
    /// RFC 7638, SHA-256.
    pub thumbprint: String,
}

enum Material {
    Rsa(RsaPublicKey),
    P256(p256::ecdsa::VerifyingKey),
    P384(p384::ecdsa::VerifyingKey),
    P521(p521::ecdsa::VerifyingKey),
    Ed25519(Ed25519Key),
}

/// A JWK Set, whose keys are read when it is given, and not for each decision. Clones share them.
#[derive(Clone)]
pub struct KeySet {
    text: Arc<str>,
    keys: Option<Arc<[Jwk]>>,
}

impl KeySet {
    /// Reads the keys of a text. One that is no set has none, and nothing can be said about a token (KEY-12).
    pub fn read(text: &str) -> Self {
        Self { text: text.into(), keys: set(text).map(Arc::from) }
    }

    /// The text of the set, as it was given.
    pub fn text(&self) -> &str {
        &self.text
    }
}

impl fmt::Debug for KeySet {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("KeySet").field(&self.text).finish()
    }
}

/// The usable keys of a JWK Set, or `None` if the text is no set.
pub fn set(text: &str) -> Option<Vec<Jwk>> {
    let set = json::key_set(text.as_bytes())?;
    let keys = set.get("keys")?.as_array()?;
    // KEY-8: a key that cannot be used is skipped.
    Some(keys.iter().filter_map(|key| read(key.as_object()?).ok()).collect())
}

/// Verifies the signature of a token with the keys of its issuer.
pub fn verify(jws: &Jws, issuer: &Issuer) -> Result<(), Refusal> {
    // ALG-1: nothing outside of the list is run.
    if !issuer.algorithms.contains(&jws.alg) {
        return Err(Refusal::Token("ALG-1"));
    }
    // KEY-12: without keys nothing can be said.
    let keys = match &issuer.keys {
        Keys::Set(set) => set.keys.as_deref(),
        Keys::Unavailable | Keys::None => None,
    };
    let keys = keys.ok_or(Refusal::Unavailable("KEY-12"))?;
    // KEY-6, JOSE-11: `kid` selects by comparison; then type, curve and algorithm do.
    let candidates: Vec<&Jwk> = keys
        .iter()
        .filter(|key| jws.kid.is_none() || key.kid == jws.kid)
        .filter(|key| key.is_for(&jws.alg, issuer))
        .collect();
    if jws.kid.is_none() && candidates.len() > MAX_TRIED {
        return Err(Refusal::Token("KEY-6"));
    }
    match candidates.iter().any(|key| key.verifies(&jws.alg, jws.signing_input.as_bytes(), &jws.signature)) {
        true => Ok(()),
        false if candidates.is_empty() => Err(Refusal::Token("KEY-3")), // Unknown `kid`, or ALG-3: no key that fits.
        false => Err(Refusal::Token("JOSE-15")),
    }
}

/// Reads a public key.
pub fn read(jwk: &Map<String, Value>) -> Result<Jwk, Rule> {
    let present = |name: &str| jwk.get(name).filter(|value| !value.is_null()); // KEY-9: `null` is absent.
    if PRIVATE.iter().any(|name| present(name).is_some()) {
        return Err("KEY-9"); // `oct` keys too, whose `k` is private.
    }
    // KEY-7
    if present("use").is_some_and(|usage| usage != "sig") {
        return Err("KEY-7");
    }
    if let Some(operations) = present("key_ops")
        && !operations.as_array().ok_or("KEY-8")?.contains(&"verify".into())
    {
        return Err("KEY-7");
    }
    let text = |name| present(name).map(|value| value.as_str().map(str::to_owned).ok_or("KEY-8")).transpose();
    let required = |name| text(name)?.ok_or("KEY-8");
    let octets = |name| base64url(&required(name)?).ok_or("KEY-8");
    let (kty, crv) = (required("kty")?, text("crv")?);
    let (material, members) = match (kty.as_str(), crv.as_deref()) {
        ("RSA", _) => {
            let members = json!({ "e": required("e")?, "kty": kty, "n": required("n")? });
            (Material::Rsa(rsa(&octets("n")?, &octets("e")?)?), members)
        }
        ("EC", Some(crv @ ("P-256" | "P-384" | "P-521"))) => {
            let (x, y) = (octets("x")?, octets("y")?);
            if x.len() != y.len() {
                return Err("ALG-8"); // RFC 7518 §6.2.1.2: both have the full size of a coordinate.
            }
            let point = [&[4], &x[..], &y[..]].concat();
            // ALG-8: these constructors refuse another length, and a point off the curve.
            let material = match crv {
                "P-256" => p256::ecdsa::VerifyingKey::from_sec1_bytes(&point).map(Material::P256),
                "P-384" => p384::ecdsa::VerifyingKey::from_sec1_bytes(&point).map(Material::P384),
                _ => p521::ecdsa::VerifyingKey::from_sec1_bytes(&point).map(Material::P521),
            };
            let members = json!({ "crv": crv, "kty": kty, "x": required("x")?, "y": required("y")? });
            (material.map_err(|_| "ALG-8")?, members)
        }
        ("OKP", Some("Ed25519")) => {
            let point = octets("x")?.try_into().map_err(|_| "ALG-8")?;
            let key = Ed25519Key::from_bytes(&point).map_err(|_| "ALG-8")?;
            if key.is_weak() {
                return Err("ALG-8"); // A point of small order.
            }
            (Material::Ed25519(key), json!({ "crv": "Ed25519", "kty": kty, "x": required("x")? }))
        }
        _ => return Err("KEY-8"), // An unknown type or curve. Ed448 is not offered (ALG-6).
    };
    // DPOP-13: the members in lexicographic order, which is the order of `serde_json`'s map.
    let thumbprint = to_base64url(Sha256::digest(members.to_string()));
    Ok(Jwk { material, kid: text("kid")?, alg: text("alg")?, thumbprint })
}

fn rsa(modulus: &[u8], exponent: &[u8]) -> Result<RsaPublicKey, Rule> {
    if modulus.first() == Some(&0) || exponent.first() == Some(&0) {
        return Err("KEY-8"); // RFC 7518 §2: Base64urlUInt has the minimum number of octets.
    }
    let (n, e) = (BigUint::from_bytes_be(modulus), BigUint::from_bytes_be(exponent));
    // ALG-5
    if !(2048..=8192).contains(&n.bits()) {
        return Err("ALG-5");
    }
    let is_odd = exponent.last().is_some_and(|last| last % 2 == 1);
    if !is_odd || e < BigUint::from(3_u8) || e.bits() > 33 {
        return Err("ALG-5");
    }
    // KEY-15: a small factor, a prime, the fingerprint of ROCA (CVE-2017-15361).
    let rest = |divisor: u32| modulus.iter().fold(0, |rest, byte| (rest << 8 | u32::from(*byte)) % divisor);
    let is_prime = |number: &u32| (2..*number).all(|divisor| !number.is_multiple_of(divisor));
    if (2..752).filter(is_prime).any(|prime| rest(prime) == 0) {
        return Err("KEY-15");
    }
    let is_power_of_65537 = |prime: u32| {
        let rest = rest(prime);
        let powers = std::iter::successors(Some(1), |power| Some(power * (65537 % prime) % prime));
        powers.take(prime as usize).any(|power| power == rest)
    };
    if (3..=167).filter(is_prime).all(is_power_of_65537) || probably_prime(&n, 20) {
        return Err("KEY-15");
    }
    RsaPublicKey::new_with_max_size(n, e, 8192).map_err(|_| "ALG-5")
}

impl Jwk {
    /// ALG-3: type and curve fit the algorithm. `none` and HMAC fit no key (JOSE-7, ALG-4, DPOP-4).
    fn fits(&self, alg: &str) -> bool {
        match self.material {
            Material::Rsa(_) => matches!(alg, "RS256" | "RS384" | "RS512" | "PS256" | "PS384" | "PS512"),
            Material::P256(_) => alg == "ES256",
            Material::P384(_) => alg == "ES384",
            Material::P521(_) => alg == "ES512",
            Material::Ed25519(_) => matches!(alg, "Ed25519" | "EdDSA"), // ALG-6
        }
    }

    /// ALG-3: the key's own `alg`, if it has one, is that of the token.
    pub fn agrees(&self, alg: &str) -> bool {
        self.fits(alg) && self.alg.as_deref().is_none_or(|own| same_algorithm(own, alg))
    }

    // ALG-9: without an `alg`, a key is used with the first algorithm of the issuer's list that fits it.
    fn is_for(&self, alg: &str, issuer: &Issuer) -> bool {
        let pinned = issuer.algorithms.iter().find(|listed| self.fits(listed));
        let free = self.alg.is_some() || issuer.several_algorithms_per_key;
        self.agrees(alg) && (free || pinned.is_some_and(|listed| same_algorithm(listed, alg)))
    }

    /// JOSE-15: the exact length of a signature, and values in their range.
    pub fn verifies(&self, alg: &str, input: &[u8], signature: &[u8]) -> bool {
        match &self.material {
            Material::Rsa(key) => rsa_verifies(key, alg, input, signature),
            Material::P256(key) => ecdsa_verifies(key, input, p256::ecdsa::Signature::from_slice(signature)),
            Material::P384(key) => ecdsa_verifies(key, input, p384::ecdsa::Signature::from_slice(signature)),
            Material::P521(key) => ecdsa_verifies(key, input, p521::ecdsa::Signature::from_slice(signature)),
            Material::Ed25519(key) => ed25519_dalek::Signature::from_slice(signature)
                .is_ok_and(|signature| key.verify_strict(input, &signature).is_ok()),
        }
    }
}

// `from_slice` wants R and S in full length, within their range and not zero.
fn ecdsa_verifies<S>(key: &impl Verifier<S>, input: &[u8], signature: Result<S, impl std::error::Error>) -> bool {
    signature.is_ok_and(|signature| key.verify(input, &signature).is_ok())
}

fn rsa_verifies(key: &RsaPublicKey, alg: &str, input: &[u8], signature: &[u8]) -> bool {
    if signature.len() != key.size() || BigUint::from_bytes_be(signature) >= *key.n() {
        return false; // RFC 8017 §5.2.2. The crate itself compares with the modulus for one of the two paddings.
    }
    let verified = match alg {
        "RS256" => key.verify(Pkcs1v15Sign::new::<Sha256>(), &Sha256::digest(input), signature),
        "RS384" => key.verify(Pkcs1v15Sign::new::<Sha384>(), &Sha384::digest(input), signature),
        "RS512" => key.verify(Pkcs1v15Sign::new::<Sha512>(), &Sha512::digest(input), signature),
        // The salt is as long as the hash (RFC 7518 §3.5).
        "PS256" => key.verify(Pss::new::<Sha256>(), &Sha256::digest(input), signature),
        "PS384" => key.verify(Pss::new::<Sha384>(), &Sha384::digest(input), signature),
        "PS512" => key.verify(Pss::new::<Sha512>(), &Sha512::digest(input), signature),
        _ => return false,
    };
    verified.is_ok()
}

// ALG-7: issuers go from `EdDSA` to `Ed25519` in the key set and in tokens at different times.
fn same_algorithm(one: &str, other: &str) -> bool {
    let name = |alg| if alg == "EdDSA" { "Ed25519" } else { alg };
    name(one) == name(other)
}
