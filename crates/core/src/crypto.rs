//! The one file that names a cryptographic library.
//!
//! Keys are prepared once, when a key set arrives, and used for one algorithm each. Which library does it is named at
//! every call, never taken from a process-wide default. Both libraries are given keys whose shape was checked already
//! ([`crate::jws`]), so that they agree on what a usable key is; points are checked to be on their curve here. AWS-LC looks
//! at an Ed25519 point when it checks a signature and not before, so that point is found by curve25519-dalek.

use std::fmt;

use crate::jws::Algorithm;

/// A library that checks signatures.
///
/// Which ones exist depends on the features `aws-lc-rs` and `rust-crypto`. Without either, no resource server can be built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CryptoBackend {
    /// [AWS-LC](https://docs.rs/aws-lc-rs), in C and assembly. The faster one, and the default where both are compiled in.
    #[cfg(feature = "aws-lc-rs")]
    AwsLcRs,
    /// The [RustCrypto](https://github.com/RustCrypto) crates, in Rust alone.
    #[cfg(feature = "rust-crypto")]
    RustCrypto,
}

impl CryptoBackend {
    /// The backend that is used unless a builder is told otherwise; `None` where neither feature is on.
    #[allow(unreachable_code, reason = "which return is the first depends on the features")]
    pub const fn compiled_in() -> Option<Self> {
        #[cfg(feature = "aws-lc-rs")]
        return Some(Self::AwsLcRs);
        #[cfg(feature = "rust-crypto")]
        return Some(Self::RustCrypto);
        None
    }

    fn prepare(self, algorithm: Algorithm, key: &PublicKey) -> Option<Prepared> {
        #[cfg(not(any(feature = "aws-lc-rs", feature = "rust-crypto")))]
        let _ = (algorithm, key);
        match self {
            #[cfg(feature = "aws-lc-rs")]
            Self::AwsLcRs => aws_lc::prepare(algorithm, key).map(Prepared::AwsLcRs),
            #[cfg(feature = "rust-crypto")]
            Self::RustCrypto => rust_crypto::prepare(algorithm, key).map(Prepared::RustCrypto),
        }
    }
}

/// The public part of a key, its shape checked and its point, if it has one, not yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PublicKey {
    /// Coordinates of the curve's length.
    Ec {
        curve: Curve,
        x: Vec<u8>,
        y: Vec<u8>,
    },
    Ed25519 {
        x: Vec<u8>,
    },
    /// Big-endian, without leading zeros.
    Rsa {
        n: Vec<u8>,
        e: Vec<u8>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Curve {
    P256,
    P384,
}

impl Curve {
    /// The length of a coordinate in bytes; a signature is twice as long.
    pub(crate) const fn coordinate_length(self) -> usize {
        match self {
            Self::P256 => 32,
            Self::P384 => 48,
        }
    }
}

impl PublicKey {
    /// Whether `algorithm` can be used with this kind of key.
    pub(crate) fn fits(&self, algorithm: Algorithm) -> bool {
        use Algorithm::{Ed25519, Es256, Es384, Ps256, Ps384, Ps512, Rs256, Rs384, Rs512};
        match self {
            Self::Ec { curve: Curve::P256, .. } => algorithm == Es256,
            Self::Ec { curve: Curve::P384, .. } => algorithm == Es384,
            Self::Ed25519 { .. } => algorithm == Ed25519,
            Self::Rsa { .. } => matches!(algorithm, Rs256 | Rs384 | Rs512 | Ps256 | Ps384 | Ps512),
        }
    }
}

/// Whether an Ed25519 point is none of those that let one signature fit many messages: points of small order, and
/// coordinates not less than the field's prime. The sign bit does not matter for either.
pub(crate) fn is_strong_ed25519(x: &[u8]) -> bool {
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

/// A key that is ready to verify signatures of one algorithm.
pub(crate) struct VerifyingKey {
    form: SignatureForm,
    prepared: Prepared,
}

/// What every signature by a key looks like, whatever it is over. The libraries do not look at all of it alike.
enum SignatureForm {
    /// Two numbers of the curve's length (RFC 7518 §3.4).
    Ecdsa { length: usize },
    /// A point, held to the same as a key's, and a number (RFC 8037 §3.1).
    Ed25519,
    /// A number as long as the modulus, and below it (RFC 8017 §5.2.2).
    Rsa { modulus: Box<[u8]> },
}

impl SignatureForm {
    fn of(key: &PublicKey) -> Self {
        match key {
            PublicKey::Ec { curve, .. } => Self::Ecdsa { length: 2 * curve.coordinate_length() },
            PublicKey::Ed25519 { .. } => Self::Ed25519,
            PublicKey::Rsa { n, .. } => Self::Rsa { modulus: n.as_slice().into() },
        }
    }

    fn fits(&self, signature: &[u8]) -> bool {
        match self {
            Self::Ecdsa { length } => signature.len() == *length,
            Self::Ed25519 => signature.len() == 64 && is_strong_ed25519(&signature[..32]),
            Self::Rsa { modulus } => signature.len() == modulus.len() && signature < &**modulus,
        }
    }
}

enum Prepared {
    #[cfg(feature = "aws-lc-rs")]
    AwsLcRs(aws_lc::Key),
    #[cfg(feature = "rust-crypto")]
    RustCrypto(rust_crypto::Key),
}

impl VerifyingKey {
    /// Prepares `key` for `algorithm`, or `None` where they do not fit or the library rejects the key.
    pub(crate) fn new(backend: CryptoBackend, algorithm: Algorithm, key: &PublicKey) -> Option<Self> {
        if !key.fits(algorithm) {
            return None;
        }
        let prepared = backend.prepare(algorithm, key)?;
        Some(Self { form: SignatureForm::of(key), prepared })
    }

    /// Whether `signature` is this key's over `message`.
    pub(crate) fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        if !self.form.fits(signature) {
            return false;
        }
        #[cfg(not(any(feature = "aws-lc-rs", feature = "rust-crypto")))]
        let _ = message;
        match self.prepared {
            #[cfg(feature = "aws-lc-rs")]
            Prepared::AwsLcRs(ref key) => key.verify_sig(message, signature).is_ok(),
            #[cfg(feature = "rust-crypto")]
            Prepared::RustCrypto(ref key) => key.verify(message, signature),
        }
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifyingKey").finish_non_exhaustive()
    }
}

/// An elliptic-curve point in the uncompressed form of SEC 1.
#[cfg(any(feature = "aws-lc-rs", feature = "rust-crypto"))]
fn uncompressed(x: &[u8], y: &[u8]) -> Vec<u8> {
    [&[4], x, y].concat()
}

#[cfg(feature = "aws-lc-rs")]
mod aws_lc {
    use aws_lc_rs::signature::{self, ParsedPublicKey, RsaParameters, RsaPublicKeyComponents};
    use curve25519_dalek::edwards::CompressedEdwardsY;

    use super::{Curve, PublicKey, uncompressed};
    use crate::jws::Algorithm;

    pub(super) type Key = ParsedPublicKey;

    pub(super) fn prepare(algorithm: Algorithm, key: &PublicKey) -> Option<Key> {
        match key {
            PublicKey::Ec { curve: Curve::P256, x, y } => {
                ParsedPublicKey::new(&signature::ECDSA_P256_SHA256_FIXED, uncompressed(x, y)).ok()
            }
            PublicKey::Ec { curve: Curve::P384, x, y } => {
                ParsedPublicKey::new(&signature::ECDSA_P384_SHA384_FIXED, uncompressed(x, y)).ok()
            }
            PublicKey::Ed25519 { x } => {
                CompressedEdwardsY::from_slice(x).ok()?.decompress()?;
                ParsedPublicKey::new(&signature::ED25519, x).ok()
            }
            PublicKey::Rsa { n, e } => {
                RsaPublicKeyComponents { n, e }.to_parsed_public_key(parameters(algorithm)?).ok()
            }
        }
    }

    fn parameters(algorithm: Algorithm) -> Option<&'static RsaParameters> {
        Some(match algorithm {
            Algorithm::Rs256 => &signature::RSA_PKCS1_2048_8192_SHA256,
            Algorithm::Rs384 => &signature::RSA_PKCS1_2048_8192_SHA384,
            Algorithm::Rs512 => &signature::RSA_PKCS1_2048_8192_SHA512,
            Algorithm::Ps256 => &signature::RSA_PSS_2048_8192_SHA256,
            Algorithm::Ps384 => &signature::RSA_PSS_2048_8192_SHA384,
            Algorithm::Ps512 => &signature::RSA_PSS_2048_8192_SHA512,
            Algorithm::Es256 | Algorithm::Es384 | Algorithm::Ed25519 => return None,
        })
    }
}

#[cfg(feature = "rust-crypto")]
mod rust_crypto {
    use p256::ecdsa::signature::Verifier as _;
    use rsa::{BigUint, Pkcs1v15Sign, Pss, RsaPublicKey};
    use sha2::{Digest as _, Sha256, Sha384, Sha512};

    use super::{Curve, PublicKey, uncompressed};
    use crate::jws::Algorithm;

    /// The longest modulus, in bits. The library's own limit is half of it.
    const MAX_MODULUS: usize = 8192;

    pub(super) enum Key {
        Ed25519(ed25519_dalek::VerifyingKey),
        P256(p256::ecdsa::VerifyingKey),
        P384(p384::ecdsa::VerifyingKey),
        Rsa(Algorithm, RsaPublicKey),
    }

    pub(super) fn prepare(algorithm: Algorithm, key: &PublicKey) -> Option<Key> {
        Some(match key {
            PublicKey::Ec { curve: Curve::P256, x, y } => {
                Key::P256(p256::ecdsa::VerifyingKey::from_sec1_bytes(&uncompressed(x, y)).ok()?)
            }
            PublicKey::Ec { curve: Curve::P384, x, y } => {
                Key::P384(p384::ecdsa::VerifyingKey::from_sec1_bytes(&uncompressed(x, y)).ok()?)
            }
            PublicKey::Ed25519 { x } => {
                Key::Ed25519(ed25519_dalek::VerifyingKey::from_bytes(x.as_slice().try_into().ok()?).ok()?)
            }
            PublicKey::Rsa { n, e } => {
                let (n, e) = (BigUint::from_bytes_be(n), BigUint::from_bytes_be(e));
                Key::Rsa(algorithm, RsaPublicKey::new_with_max_size(n, e, MAX_MODULUS).ok()?)
            }
        })
    }

    impl Key {
        pub(super) fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
            match self {
                Self::Ed25519(key) => ed25519_dalek::Signature::from_slice(signature)
                    .is_ok_and(|signature| key.verify_strict(message, &signature).is_ok()),
                Self::P256(key) => p256::ecdsa::Signature::from_slice(signature)
                    .is_ok_and(|signature| key.verify(message, &signature).is_ok()),
                Self::P384(key) => p384::ecdsa::Signature::from_slice(signature)
                    .is_ok_and(|signature| key.verify(message, &signature).is_ok()),
                Self::Rsa(algorithm, key) => verify_rsa(*algorithm, key, message, signature),
            }
        }
    }

    /// The salt of a PSS signature is as long as its hash (RFC 7518 §3.5).
    fn verify_rsa(algorithm: Algorithm, key: &RsaPublicKey, message: &[u8], signature: &[u8]) -> bool {
        match algorithm {
            Algorithm::Rs256 => key.verify(Pkcs1v15Sign::new::<Sha256>(), &Sha256::digest(message), signature).is_ok(),
            Algorithm::Rs384 => key.verify(Pkcs1v15Sign::new::<Sha384>(), &Sha384::digest(message), signature).is_ok(),
            Algorithm::Rs512 => key.verify(Pkcs1v15Sign::new::<Sha512>(), &Sha512::digest(message), signature).is_ok(),
            Algorithm::Ps256 => {
                key.verify(Pss::new_with_salt::<Sha256>(32), &Sha256::digest(message), signature).is_ok()
            }
            Algorithm::Ps384 => {
                key.verify(Pss::new_with_salt::<Sha384>(48), &Sha384::digest(message), signature).is_ok()
            }
            Algorithm::Ps512 => {
                key.verify(Pss::new_with_salt::<Sha512>(64), &Sha512::digest(message), signature).is_ok()
            }
            Algorithm::Es256 | Algorithm::Es384 | Algorithm::Ed25519 => false,
        }
    }
}

#[cfg(test)]
#[cfg(any(feature = "aws-lc-rs", feature = "rust-crypto"))]
pub(crate) mod tests {
    use std::sync::LazyLock;

    use aws_lc_rs::{rand::SystemRandom, signature as sign};
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    use serde_json::{Value, json};

    use super::*;
    use Algorithm::{Ed25519, Es256, Es384, Ps256, Ps384, Ps512, Rs256, Rs384, Rs512};

    /// The backends that are compiled in.
    pub(crate) const BACKENDS: &[CryptoBackend] = &[
        #[cfg(feature = "aws-lc-rs")]
        CryptoBackend::AwsLcRs,
        #[cfg(feature = "rust-crypto")]
        CryptoBackend::RustCrypto,
    ];

    /// A key pair of the rig for each algorithm, by its id.
    pub(crate) const SIGNERS: [(Algorithm, &str); 9] = [
        (Es256, "a-es256"),
        (Es384, "a-es384"),
        (Ed25519, "a-ed25519"),
        (Rs256, "a-rs256"),
        (Rs384, "a-rsa-noalg"),
        (Rs512, "a-rsa-noalg"),
        (Ps256, "a-ps256"),
        (Ps384, "a-rsa-noalg"),
        (Ps512, "a-rsa-noalg"),
    ];

    const PRIVATE_MEMBERS: [&str; 6] = ["d", "p", "q", "dp", "dq", "qi"];

    /// A private key of the rig, as a JWK.
    pub(crate) fn private_jwk(key_id: &str) -> Value {
        static RIG: LazyLock<Value> =
            LazyLock::new(|| serde_json::from_str(include_str!("../testdata/hostile/rig.json")).unwrap());
        let issuers = RIG["issuers"].as_array().unwrap().iter().map(|issuer| &issuer["private"]);
        issuers
            .chain([&RIG["attacker_private"]])
            .flat_map(|keys| keys.as_array().unwrap())
            .find(|jwk| jwk["kid"] == key_id)
            .unwrap_or_else(|| panic!("the rig has no key {key_id}"))
            .clone()
    }

    /// The public part of a key of the rig.
    pub(crate) fn public_jwk(key_id: &str) -> Value {
        without_private_members(private_jwk(key_id))
    }

    pub(crate) fn without_private_members(mut jwk: Value) -> Value {
        jwk.as_object_mut().unwrap().retain(|name, _| !PRIVATE_MEMBERS.contains(&name.as_str()));
        jwk
    }

    /// A JWK Set of public keys of the rig.
    pub(crate) fn jwks(key_ids: &[&str]) -> Vec<u8> {
        let keys: Vec<Value> = key_ids.iter().map(|key_id| public_jwk(key_id)).collect();
        json!({ "keys": keys }).to_string().into_bytes()
    }

    /// A token signed with a key of the rig. The header's `alg` says how.
    pub(crate) fn token(key_id: &str, header: &Value, claims: &Value) -> String {
        let algorithm = Algorithm::from_name(header["alg"].as_str().unwrap()).unwrap();
        let input = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string())).join(".");
        let signature = sign(key_id, algorithm, input.as_bytes());
        format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    fn member(jwk: &Value, name: &str) -> Vec<u8> {
        URL_SAFE_NO_PAD.decode(jwk[name].as_str().unwrap()).unwrap()
    }

    fn public_key(jwk: &Value) -> PublicKey {
        match jwk["crv"].as_str() {
            Some("P-256") => PublicKey::Ec { curve: Curve::P256, x: member(jwk, "x"), y: member(jwk, "y") },
            Some("P-384") => PublicKey::Ec { curve: Curve::P384, x: member(jwk, "x"), y: member(jwk, "y") },
            Some(_) => PublicKey::Ed25519 { x: member(jwk, "x") },
            None => PublicKey::Rsa { n: member(jwk, "n"), e: member(jwk, "e") },
        }
    }

    /// Signs with a key of the rig.
    pub(crate) fn sign(key_id: &str, algorithm: Algorithm, message: &[u8]) -> Vec<u8> {
        let jwk = private_jwk(key_id);
        match algorithm {
            Es256 => ecdsa(&sign::ECDSA_P256_SHA256_FIXED_SIGNING, &jwk, message),
            Es384 => ecdsa(&sign::ECDSA_P384_SHA384_FIXED_SIGNING, &jwk, message),
            Ed25519 => sign::Ed25519KeyPair::from_seed_and_public_key(&member(&jwk, "d"), &member(&jwk, "x"))
                .unwrap()
                .sign(message)
                .as_ref()
                .to_vec(),
            Rs256 => rsa(&sign::RSA_PKCS1_SHA256, &jwk, message),
            Rs384 => rsa(&sign::RSA_PKCS1_SHA384, &jwk, message),
            Rs512 => rsa(&sign::RSA_PKCS1_SHA512, &jwk, message),
            Ps256 => rsa(&sign::RSA_PSS_SHA256, &jwk, message),
            Ps384 => rsa(&sign::RSA_PSS_SHA384, &jwk, message),
            Ps512 => rsa(&sign::RSA_PSS_SHA512, &jwk, message),
        }
    }

    fn ecdsa(algorithm: &'static sign::EcdsaSigningAlgorithm, jwk: &Value, message: &[u8]) -> Vec<u8> {
        let point = uncompressed(&member(jwk, "x"), &member(jwk, "y"));
        sign::EcdsaKeyPair::from_private_key_and_public_key(algorithm, &member(jwk, "d"), &point)
            .unwrap()
            .sign(&SystemRandom::new(), message)
            .unwrap()
            .as_ref()
            .to_vec()
    }

    fn rsa(padding: &'static dyn sign::RsaEncoding, jwk: &Value, message: &[u8]) -> Vec<u8> {
        let integers = ["n", "e", "d", "p", "q", "dp", "dq", "qi"].map(|name| der_integer(&member(jwk, name)));
        let key = sign::RsaKeyPair::from_der(&der(0x30, &[der_integer(&[0]), integers.concat()].concat())).unwrap();
        let mut signature = vec![0; key.public_modulus_len()];
        key.sign(padding, &SystemRandom::new(), message, &mut signature).unwrap();
        signature
    }

    fn der_integer(value: &[u8]) -> Vec<u8> {
        let zeros = value[..value.len() - 1].iter().take_while(|&&byte| byte == 0).count();
        let sign: &[u8] = if value[zeros] < 0x80 { &[] } else { &[0] };
        der(2, &[sign, &value[zeros..]].concat())
    }

    fn der(tag: u8, content: &[u8]) -> Vec<u8> {
        let length = u16::try_from(content.len()).unwrap().to_be_bytes();
        let length = match length {
            [0, short @ 0..0x80] => vec![short],
            [0, long] => vec![0x81, long],
            [high, low] => vec![0x82, high, low],
        };
        [&[tag], &length[..], content].concat()
    }

    /// What the backends say of a signature by a key of the rig: all the same.
    fn verifies(key_id: &str, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> bool {
        let verdicts = BACKENDS.iter().map(|&backend| {
            let key = VerifyingKey::new(backend, algorithm, &public_key(&public_jwk(key_id))).unwrap();
            key.verify(message, signature)
        });
        unanimous(verdicts, format!("{algorithm} by {key_id}: {signature:02x?}"))
    }

    /// Whether the backends can use a key: all or none.
    fn usable(algorithm: Algorithm, key: &PublicKey) -> bool {
        let verdicts = BACKENDS.iter().map(|&backend| VerifyingKey::new(backend, algorithm, key).is_some());
        unanimous(verdicts, format!("{algorithm} with {key:02x?}"))
    }

    fn unanimous(verdicts: impl Iterator<Item = bool>, of: String) -> bool {
        let verdicts: Vec<bool> = verdicts.collect();
        assert!(verdicts.iter().all(|verdict| *verdict == verdicts[0]), "{BACKENDS:?} say {verdicts:?} of {of}");
        verdicts[0]
    }

    /// A big-endian sum of the same length; `None` where it does not fit.
    fn sum(a: &[u8], b: &[u8]) -> Option<Vec<u8>> {
        let mut carry = 0;
        let mut sum: Vec<u8> = std::iter::zip(a, b)
            .rev()
            .map(|(a, b)| {
                let digit = u16::from(*a) + u16::from(*b) + carry;
                carry = digit >> 8;
                digit as u8
            })
            .collect();
        sum.reverse();
        (carry == 0).then_some(sum)
    }

    #[test]
    fn the_backend_that_is_not_chosen_is_aws_lc_where_it_is_compiled_in() {
        assert_eq!(CryptoBackend::compiled_in(), Some(BACKENDS[0]));
    }

    #[test]
    fn every_algorithm_verifies_what_its_key_signed_and_nothing_else() {
        for (algorithm, key_id) in SIGNERS {
            for message in [&b""[..], b"message", &[0; 1000]] {
                let signature = sign(key_id, algorithm, message);
                assert!(verifies(key_id, algorithm, message, &signature), "{algorithm}");
                assert!(!verifies(key_id, algorithm, &[message, b"."].concat(), &signature), "{algorithm}");
            }
        }
    }

    #[test]
    fn a_signature_by_another_key_is_refused() {
        for (algorithm, key_id, other) in
            [(Es256, "a-es256", "b-es256"), (Rs256, "a-rs256", "attacker-rsa"), (Ps512, "a-rsa-noalg", "attacker-rsa")]
        {
            assert!(!verifies(key_id, algorithm, b"message", &sign(other, algorithm, b"message")), "{algorithm}");
        }
    }

    #[test]
    fn alg_9_a_signature_of_another_algorithm_by_the_same_key_is_refused() {
        let algorithms = [Rs256, Rs384, Rs512, Ps256, Ps384, Ps512];
        for signed in algorithms {
            let signature = sign("a-rsa-noalg", signed, b"message");
            for algorithm in algorithms {
                assert_eq!(
                    verifies("a-rsa-noalg", algorithm, b"message", &signature),
                    algorithm == signed,
                    "{signed} as {algorithm}"
                );
            }
        }
    }

    #[test]
    fn jose_15_a_signature_has_one_length() {
        for (algorithm, key_id) in SIGNERS {
            let signature = sign(key_id, algorithm, b"message");
            for other in [
                &[][..],
                &signature[1..],
                &signature[..signature.len() - 1],
                &signature[..signature.len() / 2],
                &[&signature[..], &[0]].concat(),
                &[&[0], &signature[..]].concat(),
                &signature.repeat(2),
            ] {
                assert!(!verifies(key_id, algorithm, b"message", other), "{algorithm}");
            }
        }
    }

    #[test]
    fn a_changed_signature_is_refused() {
        for (algorithm, key_id) in SIGNERS {
            let good = sign(key_id, algorithm, b"message");
            for at in [0, 1, good.len() / 2 - 1, good.len() / 2, good.len() - 2, good.len() - 1] {
                for bit in [0x01, 0x80] {
                    let mut changed = good.clone();
                    changed[at] ^= bit;
                    assert!(!verifies(key_id, algorithm, b"message", &changed), "{algorithm}, byte {at}");
                }
            }
            for filler in [0, 0xff] {
                assert!(!verifies(key_id, algorithm, b"message", &vec![filler; good.len()]), "{algorithm}");
            }
            let (first, second) = good.split_at(good.len() / 2);
            assert!(!verifies(key_id, algorithm, b"message", &[second, first].concat()), "{algorithm}");
        }
    }

    #[test]
    fn jose_15_ecdsa_in_der_is_refused() {
        for (algorithm, key_id) in [(Es256, "a-es256"), (Es384, "a-es384")] {
            let fixed = sign(key_id, algorithm, b"message");
            let (r, s) = fixed.split_at(fixed.len() / 2);
            let der = der(0x30, &[der_integer(r), der_integer(s)].concat());
            assert!(!verifies(key_id, algorithm, b"message", &der), "{algorithm}");
        }
    }

    #[test]
    fn jose_15_r_and_s_are_neither_zero_nor_as_large_as_the_order() {
        const P256: &str = "FFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551";
        const P384: &str =
            "FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFC7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973";
        for (algorithm, key_id, order) in [(Es256, "a-es256", P256), (Es384, "a-es384", P384)] {
            let order: Vec<u8> =
                (0..order.len()).step_by(2).map(|at| u8::from_str_radix(&order[at..at + 2], 16).unwrap()).collect();
            let zero = vec![0; order.len()];
            let mut one = zero.clone();
            one[order.len() - 1] = 1;
            let good = sign(key_id, algorithm, b"message");
            let (r, s) = good.split_at(order.len());
            for (r, s) in [
                (&zero[..], s),
                (r, &zero),
                (&order, s),
                (r, &order),
                (&zero, &zero),
                (&order, &order),
                (&zero, &one),
                (&one, &zero),
                (&one, &one),
            ] {
                assert!(!verifies(key_id, algorithm, b"message", &[r, s].concat()), "{algorithm}");
            }
        }
    }

    #[test]
    fn jose_15_an_ed25519_scalar_is_below_the_order() {
        // The order of the base point, big-endian; a signature has its scalar little-endian.
        let mut order = vec![0; 32];
        order[0] = 0x10;
        order[16..].copy_from_slice(&0x14def9dea2f79cd65812631a5cf5d3ed_u128.to_be_bytes());
        let good = sign("a-ed25519", Ed25519, b"message");
        let scalar: Vec<u8> = good[32..].iter().rev().copied().collect();
        let mut greater = sum(&scalar, &order).unwrap();
        greater.reverse();
        assert!(!verifies("a-ed25519", Ed25519, b"message", &[&good[..32], &greater].concat()));
    }

    #[test]
    fn jose_15_an_rsa_signature_is_below_the_modulus() {
        for (key_id, algorithm) in [("a-rs256", Rs256), ("a-ps256", Ps256)] {
            let modulus = member(&public_jwk(key_id), "n");
            let tried = (0..1000_u32).map(|counter| {
                let message = counter.to_be_bytes();
                (message, sign(key_id, algorithm, &message))
            });
            let (message, not_reduced) =
                tried.filter_map(|(message, good)| Some((message, sum(&good, &modulus)?))).next().unwrap();
            assert!(!verifies(key_id, algorithm, &message, &not_reduced), "{algorithm}");
            assert!(!verifies(key_id, algorithm, &message, &modulus), "{algorithm}");
            assert!(!SignatureForm::of(&public_key(&public_jwk(key_id))).fits(&modulus), "{algorithm}");
        }
    }

    #[test]
    fn alg_3_a_key_is_prepared_for_the_algorithms_of_its_type_and_curve_only() {
        const RSA: &[Algorithm] = &[Rs256, Rs384, Rs512, Ps256, Ps384, Ps512];
        for (key_id, fitting) in
            [("a-es256", &[Es256][..]), ("a-es384", &[Es384]), ("a-ed25519", &[Ed25519]), ("a-rsa-noalg", RSA)]
        {
            let key = public_key(&public_jwk(key_id));
            for &algorithm in Algorithm::ALL {
                assert_eq!(usable(algorithm, &key), fitting.contains(&algorithm), "{key_id}, {algorithm}");
            }
        }
    }

    #[test]
    fn alg_8_a_point_off_its_curve_is_no_key() {
        for (algorithm, key_id) in [(Es256, "a-es256"), (Es384, "a-es384")] {
            let PublicKey::Ec { curve, x, y } = public_key(&public_jwk(key_id)) else { unreachable!() };
            let length = curve.coordinate_length();
            let mut beside = y.clone();
            beside[length - 1] ^= 1;
            for (x, y) in [
                (x.clone(), beside),
                (y.clone(), x.clone()),
                (vec![0; length], vec![0; length]),
                (vec![0xff; length], vec![0xff; length]),
                (x.clone(), vec![0xff; length]),
            ] {
                assert!(!usable(algorithm, &PublicKey::Ec { curve, x, y }), "{algorithm}");
            }
            assert!(usable(algorithm, &PublicKey::Ec { curve, x, y }));
        }
    }

    #[test]
    fn alg_8_an_encoding_of_no_ed25519_point_is_unusable() {
        for (first, is_point) in [(2, false), (3, true), (4, true), (7, false)] {
            let x = [&[first][..], &[0; 31]].concat();
            assert_eq!(usable(Ed25519, &PublicKey::Ed25519 { x }), is_point, "{first}");
        }
    }

    #[test]
    fn an_ed25519_signature_with_a_point_of_small_order_is_refused() {
        // Only the holder of the key can make one: R is the neutral point, and s = H(R, A, M) a.
        let scalar = "137acb747f083e841fb15f65fc68ad66d0ddcf89a28971137781b79c8c9bea03";
        let scalar = (0..64).step_by(2).map(|at| u8::from_str_radix(&scalar[at..at + 2], 16).unwrap());
        let signature: Vec<u8> = [1].into_iter().chain([0; 31]).chain(scalar).collect();
        assert!(!verifies("a-ed25519", Ed25519, b"message", &signature));
    }

    #[test]
    fn alg_5_both_libraries_take_the_moduli_and_exponents_that_are_let_through() {
        for bits in [2048, 2049, 3072, 4096, 8191, 8192] {
            let mut n = vec![0xff; usize::div_ceil(bits, 8)];
            n[0] >>= n.len() * 8 - bits;
            for e in [&[1, 0, 1][..], &[1, 0xff, 0xff, 0xff, 0xff]] {
                assert!(usable(Rs256, &PublicKey::Rsa { n: n.clone(), e: e.into() }), "{bits} bits, {e:?}");
            }
        }
    }

    #[test]
    fn a_verifying_key_says_nothing_of_itself() {
        let key = VerifyingKey::new(BACKENDS[0], Es256, &public_key(&public_jwk("a-es256")));
        assert_eq!(format!("{key:?}"), "Some(VerifyingKey { .. })");
    }
}
