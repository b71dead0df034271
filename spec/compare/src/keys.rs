//! A fixed pool of signing keys, made once.
//!
//! AWS-LC signs, which takes a tenth of the time of RustCrypto's ECDSA. The signatures of ECDSA and PSS are other ones each time.

use std::sync::LazyLock;

use aws_lc_rs::{
    agreement::{ECDH_P256, ECDH_P384, PrivateKey},
    rand::SystemRandom,
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _,
        RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256, RSA_PSS_SHA384, RSA_PSS_SHA512,
        RsaEncoding, RsaKeyPair,
    },
};
use rand::{SeedableRng as _, rngs::StdRng};
use rsa::{RsaPrivateKey, pkcs1::EncodeRsaPrivateKey as _, traits::PublicKeyParts as _};

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
    Ecdsa(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
    Rsa(RsaKeyPair),
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
    let secret = [seed; 32];
    let private = PrivateKey::from_private_key(&ECDH_P256, &secret).expect("a scalar in range");
    let point = private.compute_public_key().expect("a point for each scalar");
    let pair = EcdsaKeyPair::from_private_key_and_public_key(&ECDSA_P256_SHA256_FIXED_SIGNING, &secret, point.as_ref());
    let pair = Pair::Ecdsa(pair.expect("a pair that belongs together"));
    Key { pair, members: ec("P-256", point.as_ref()), algorithms: &["ES256"] }
}

fn p384(seed: u8) -> Key {
    let secret = [seed; 48];
    let private = PrivateKey::from_private_key(&ECDH_P384, &secret).expect("a scalar in range");
    let point = private.compute_public_key().expect("a point for each scalar");
    let pair = EcdsaKeyPair::from_private_key_and_public_key(&ECDSA_P384_SHA384_FIXED_SIGNING, &secret, point.as_ref());
    let pair = Pair::Ecdsa(pair.expect("a pair that belongs together"));
    Key { pair, members: ec("P-384", point.as_ref()), algorithms: &["ES384"] }
}

/// The members for a point that is not compressed: an octet that says so, and both coordinates.
fn ec(curve: &str, point: &[u8]) -> Vec<(&'static str, String)> {
    let (x, y) = point[1..].split_at(point.len() / 2);
    vec![("kty", quoted("EC")), ("crv", quoted(curve)), ("x", quoted(&base64url(x))), ("y", quoted(&base64url(y)))]
}

fn ed25519(seed: u8) -> Key {
    let pair = Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).expect("a seed of the right length");
    let x = quoted(&base64url(pair.public_key()));
    let members = vec![("kty", quoted("OKP")), ("crv", quoted("Ed25519")), ("x", x)];
    Key { pair: Pair::Ed25519(pair), members, algorithms: &["Ed25519", "EdDSA"] }
}

fn rsa(seed: u64) -> Key {
    let private = RsaPrivateKey::new(&mut StdRng::seed_from_u64(seed), 2048).expect("a key of ordinary size");
    let [n, e] = [private.n(), private.e()].map(|number| quoted(&base64url(number.to_bytes_be())));
    let pair = RsaKeyPair::from_der(private.to_pkcs1_der().expect("a key that can be written").as_bytes());
    Key {
        pair: Pair::Rsa(pair.expect("a key of ordinary size")),
        members: vec![("kty", quoted("RSA")), ("n", n), ("e", e)],
        algorithms: &["RS256", "PS256", "RS384", "RS512", "PS384", "PS512"],
    }
}

impl Key {
    /// Signs under this algorithm, or under another one of the key where it does not fit.
    pub fn sign(&self, algorithm: &str, input: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match &self.pair {
            Pair::Ecdsa(pair) => pair.sign(&random, input).expect("random bytes").as_ref().to_vec(),
            Pair::Ed25519(pair) => pair.sign(input).as_ref().to_vec(),
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(rsa_encoding(algorithm), &random, input, &mut signature).expect("a digest that fits");
                signature
            }
        }
    }
}

fn rsa_encoding(algorithm: &str) -> &'static dyn RsaEncoding {
    match algorithm {
        "RS384" => &RSA_PKCS1_SHA384,
        "RS512" => &RSA_PKCS1_SHA512,
        "PS256" => &RSA_PSS_SHA256,
        "PS384" => &RSA_PSS_SHA384,
        "PS512" => &RSA_PSS_SHA512,
        _ => &RSA_PKCS1_SHA256,
    }
}
