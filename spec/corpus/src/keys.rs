//! The test keys of the corpus, from `corpus/test-keys.json`.

use std::{collections::BTreeMap, sync::LazyLock};

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use ed25519_dalek::Signer as _;
use hmac::{Hmac, Mac as _};
use rand::{SeedableRng as _, rngs::StdRng};
use rsa::{
    BigUint, Pkcs1v15Sign, Pss, RsaPrivateKey,
    sha2::{Digest as _, Sha256, Sha384, Sha512},
};
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// The text of the file.
const FILE: &str = include_str!("../../../corpus/test-keys.json");

#[derive(Deserialize)]
struct File {
    keys: BTreeMap<String, Map<String, Value>>,
    certificates: BTreeMap<String, String>,
}

static KEYS: LazyLock<File> = LazyLock::new(|| serde_json::from_str(FILE).expect("test-keys.json has this form"));

/// The DER of a certificate.
pub fn certificate(name: &str) -> Vec<u8> {
    STANDARD.decode(&KEYS.certificates[name]).expect("base64")
}

/// A key, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key(pub &'static str);

/// Of the issuer.
pub const ES256: Key = Key("issuer-es256");
/// Of the issuer.
pub const ES384: Key = Key("issuer-es384");
/// Of the issuer.
pub const ED25519: Key = Key("issuer-ed25519");
/// Of the issuer.
pub const RSA: Key = Key("issuer-rsa");
/// Of another issuer. The second coordinate begins with a zero octet.
pub const SHORT: Key = Key("short-es256");
/// Of 1024 bits.
pub const SMALL_RSA: Key = Key("small-rsa");
/// Of another issuer, or of an attacker.
pub const OTHER: Key = Key("other-es256");
/// Of a client.
pub const CLIENT: Key = Key("client-es256");
/// Of the same client.
pub const CLIENT_ED25519: Key = Key("client-ed25519");
/// Of another client.
pub const OTHER_CLIENT: Key = Key("other-client-es256");

impl Key {
    fn members(self) -> &'static Map<String, Value> {
        &KEYS.keys[self.0]
    }

    fn octets(self, member: &str) -> Vec<u8> {
        let text = self.members()[member].as_str().expect("a string");
        URL_SAFE_NO_PAD.decode(text).expect("base64url")
    }

    /// The public key, without `kid` and `alg`.
    pub fn public(self) -> Value {
        let names = ["kty", "crv", "x", "y", "n", "e"];
        let members = self.members().iter().filter(|(name, _)| names.contains(&name.as_str()));
        Value::Object(members.map(|(name, value)| (name.clone(), value.clone())).collect())
    }

    /// The public key with its `kid` and `alg`.
    pub fn jwk(self) -> Value {
        let mut jwk = self.public();
        jwk["kid"] = self.kid().into();
        jwk["alg"] = self.algorithm().into();
        jwk
    }

    /// `kid`.
    pub fn kid(self) -> &'static str {
        self.0.split_once('-').map_or(self.0, |(_, kid)| kid)
    }

    /// The first of its algorithms.
    pub fn algorithm(self) -> &'static str {
        match self.members().get("crv").and_then(Value::as_str) {
            Some("P-256") => "ES256",
            Some("P-384") => "ES384",
            Some(_) => "Ed25519",
            None => "RS256",
        }
    }

    /// The thumbprint of RFC 7638.
    pub fn thumbprint(self) -> String {
        // The members of a `Map` are sorted by their names, and have to be.
        let required = self.public().to_string();
        URL_SAFE_NO_PAD.encode(Sha256::digest(required))
    }

    /// Signs. The algorithm is one of the key's, or another one where that means nothing.
    pub fn sign(self, algorithm: &str, input: &[u8]) -> Vec<u8> {
        match self.algorithm() {
            "ES256" => {
                let pair = p256::ecdsa::SigningKey::from_slice(&self.octets("d")).expect("a key of P-256");
                let signature: p256::ecdsa::Signature = pair.sign(input);
                signature.to_bytes().to_vec()
            }
            "ES384" => {
                let pair = p384::ecdsa::SigningKey::from_slice(&self.octets("d")).expect("a key of P-384");
                let signature: p384::ecdsa::Signature = pair.sign(input);
                signature.to_bytes().to_vec()
            }
            "Ed25519" => {
                let secret = self.octets("d").try_into().expect("32 octets");
                ed25519_dalek::SigningKey::from_bytes(&secret).sign(input).to_vec()
            }
            _ => self.sign_rsa(algorithm, input),
        }
    }

    fn sign_rsa(self, algorithm: &str, input: &[u8]) -> Vec<u8> {
        let number = |member| BigUint::from_bytes_be(&self.octets(member));
        let primes = vec![number("p"), number("q")];
        let pair = RsaPrivateKey::from_components(number("n"), number("e"), number("d"), primes).expect("an RSA key");
        // The same salt each time, so that the corpus has the same octets.
        let mut random = StdRng::seed_from_u64(0);
        let signature = match algorithm {
            "RS384" => pair.sign(Pkcs1v15Sign::new::<Sha384>(), &Sha384::digest(input)),
            "RS512" => pair.sign(Pkcs1v15Sign::new::<Sha512>(), &Sha512::digest(input)),
            "PS256" => pair.sign_with_rng(&mut random, Pss::new::<Sha256>(), &Sha256::digest(input)),
            "PS384" => pair.sign_with_rng(&mut random, Pss::new::<Sha384>(), &Sha384::digest(input)),
            "PS512" => pair.sign_with_rng(&mut random, Pss::new::<Sha512>(), &Sha512::digest(input)),
            _ => pair.sign(Pkcs1v15Sign::new::<Sha256>(), &Sha256::digest(input)),
        };
        signature.expect("a digest that fits the modulus")
    }
}

impl Key {
    /// What an RSA public key with the exponent 2 takes as a signature of RS256: the square root of the encoded message, where it
    /// has one.
    pub fn square_root(self, input: &[u8]) -> Option<Vec<u8>> {
        let number = |member| BigUint::from_bytes_be(&self.octets(member));
        let (p, q) = (number("p"), number("q"));
        let square = BigUint::from_bytes_be(&encoded_message(input));
        assert!(
            &p % 4_u32 == BigUint::from(3_u32) && &q % 8_u32 == BigUint::from(5_u32),
            "the formulas are for such primes"
        );
        let of_p = square.modpow(&((&p + 1_u32) / 4_u32), &p);
        let mut of_q = square.modpow(&((&q + 3_u32) / 8_u32), &q);
        if &of_q * &of_q % &q != &square % &q {
            of_q = of_q * BigUint::from(2_u32).modpow(&((&q - 1_u32) / 4_u32), &q) % &q;
        }
        // The Chinese remainder theorem.
        let inverse = q.modpow(&(&p - 2_u32), &p);
        let root = (of_p + &p - &of_q % &p) * inverse % &p * &q + of_q;
        let octets = root.to_bytes_be();
        let is_root = &root * &root % number("n") == square;
        is_root.then(|| [vec![0; 256 - octets.len()], octets].concat())
    }
}

/// The encoded message of RS256 with 2048 bits (RFC 8017 section 9.2).
pub fn encoded_message(input: &[u8]) -> Vec<u8> {
    const SHA_256: &[u8] = b"\x30\x31\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\x04\x20";
    [&[0, 1][..], &[0xff; 202], &[0], SHA_256, &Sha256::digest(input)].concat()
}

/// The public key that is this multiple of the base point of P-256.
pub fn multiple(number: u8) -> Value {
    let scalar = [&[0; 31][..], &[number]].concat();
    let pair = p256::ecdsa::SigningKey::from_slice(&scalar).expect("a number from 1 on");
    let point = pair.verifying_key().to_encoded_point(false);
    let (x, y) = (point.x().expect("not compressed"), point.y().expect("not compressed"));
    let encode = |octets: &[u8]| URL_SAFE_NO_PAD.encode(octets);
    json!({ "kty": "EC", "crv": "P-256", "x": encode(x), "y": encode(y), "kid": format!("{number}"), "alg": "ES256" })
}

/// HMAC with SHA-256.
pub fn hmac(secret: &[u8], input: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("any length will do");
    mac.update(input);
    mac.finalize().into_bytes().to_vec()
}

/// A JWK Set.
pub fn set(keys: impl IntoIterator<Item = Value>) -> Value {
    json!({ "keys": keys.into_iter().collect::<Vec<_>>() })
}
