//! A fixed pool of signing keys, made once.

use std::sync::LazyLock;

use ed25519_dalek::Signer as _;
use rand::{SeedableRng as _, rngs::StdRng};
use rsa::{
    Pkcs1v15Sign, Pss, RsaPrivateKey,
    sha2::{Digest as _, Sha256, Sha384, Sha512},
    traits::PublicKeyParts as _,
};

use crate::text::{Members, base64url, quoted};

/// How many keys the pool has: two of P-256, two of Ed25519, one of P-384, two of RSA.
pub const COUNT: usize = 7;

/// A signing key.
pub struct Key {
    pair: Pair,
    /// The members of its JWK that make the public key, as JSON.
    pub members: Vec<(&'static str, String)>,
    /// The algorithms that it fits.
    pub algorithms: &'static [&'static str],
}

enum Pair {
    P256(p256::ecdsa::SigningKey),
    P384(p384::ecdsa::SigningKey),
    Ed25519(ed25519_dalek::SigningKey),
    Rsa(Box<RsaPrivateKey>),
}

static POOL: LazyLock<[Key; COUNT]> =
    LazyLock::new(|| [p256(1), p256(2), ed25519(3), ed25519(4), p384(5), rsa(6), rsa(7)]);

/// A key of the pool.
pub fn key(index: usize) -> &'static Key {
    &POOL[index]
}

/// The JWK of a key of the pool.
pub fn jwk(index: usize) -> Members {
    key(index).members.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
}

fn p256(seed: u8) -> Key {
    let pair = p256::ecdsa::SigningKey::from_slice(&[seed; 32]).expect("a scalar in range");
    let point = pair.verifying_key().to_encoded_point(false);
    let members = ec("P-256", point.x().expect("not the identity"), point.y().expect("not compressed"));
    Key { pair: Pair::P256(pair), members, algorithms: &["ES256"] }
}

fn p384(seed: u8) -> Key {
    let pair = p384::ecdsa::SigningKey::from_slice(&[seed; 48]).expect("a scalar in range");
    let point = pair.verifying_key().to_encoded_point(false);
    let members = ec("P-384", point.x().expect("not the identity"), point.y().expect("not compressed"));
    Key { pair: Pair::P384(pair), members, algorithms: &["ES384"] }
}

fn ec(curve: &str, x: &[u8], y: &[u8]) -> Vec<(&'static str, String)> {
    vec![("kty", quoted("EC")), ("crv", quoted(curve)), ("x", quoted(&base64url(x))), ("y", quoted(&base64url(y)))]
}

fn ed25519(seed: u8) -> Key {
    let pair = ed25519_dalek::SigningKey::from_bytes(&[seed; 32]);
    let x = quoted(&base64url(pair.verifying_key().as_bytes()));
    let members = vec![("kty", quoted("OKP")), ("crv", quoted("Ed25519")), ("x", x)];
    Key { pair: Pair::Ed25519(pair), members, algorithms: &["Ed25519", "EdDSA"] }
}

fn rsa(seed: u64) -> Key {
    let pair = RsaPrivateKey::new(&mut StdRng::seed_from_u64(seed), 2048).expect("a key of ordinary size");
    let [n, e] = [pair.n(), pair.e()].map(|number| quoted(&base64url(number.to_bytes_be())));
    Key {
        pair: Pair::Rsa(Box::new(pair)),
        members: vec![("kty", quoted("RSA")), ("n", n), ("e", e)],
        algorithms: &["RS256", "PS256", "RS384", "RS512", "PS384", "PS512"],
    }
}

impl Key {
    /// Signs under this algorithm, or under another one of the key where it does not fit.
    pub fn sign(&self, algorithm: &str, input: &[u8]) -> Vec<u8> {
        match &self.pair {
            Pair::P256(pair) => {
                let signature: p256::ecdsa::Signature = pair.sign(input);
                signature.to_bytes().to_vec()
            }
            Pair::P384(pair) => {
                let signature: p384::ecdsa::Signature = pair.sign(input);
                signature.to_bytes().to_vec()
            }
            Pair::Ed25519(pair) => pair.sign(input).to_vec(),
            Pair::Rsa(pair) => sign_rsa(pair, algorithm, input),
        }
    }
}

fn sign_rsa(pair: &RsaPrivateKey, algorithm: &str, input: &[u8]) -> Vec<u8> {
    // The salt of PSS, of a fixed seed: a case is signed alike each time.
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
