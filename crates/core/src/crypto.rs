//! The one file that names a cryptographic library.
//!
//! Keys are prepared once, when a key set arrives, and used for one algorithm each. Which library does it is named at
//! every call, never taken from a process-wide default. Both libraries are given keys whose shape was checked already
//! ([`crate::jws`]), so that they agree on what a usable key is; points are checked to be on their curve here. AWS-LC looks
//! at an Ed25519 point when it checks a signature and not before, so that point is found by curve25519-dalek.

use std::fmt;

use base64_simd::STANDARD;

use crate::jws::Algorithm;

/// A library that checks signatures, and makes those by which a resource server proves itself to others.
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

    /// The SHA-256 digest of `parts`, one after the other.
    pub(crate) fn sha256(self, parts: &[&[u8]]) -> [u8; 32] {
        #[cfg(not(any(feature = "aws-lc-rs", feature = "rust-crypto")))]
        let _ = parts;
        match self {
            #[cfg(feature = "aws-lc-rs")]
            Self::AwsLcRs => aws_lc::sha256(parts),
            #[cfg(feature = "rust-crypto")]
            Self::RustCrypto => rust_crypto::sha256(parts),
        }
    }

    /// HMAC with SHA-256 (RFC 2104). A key may have any length; how long one has to be is for the caller to say.
    pub(crate) fn hmac_sha256(self, key: &[u8], message: &[u8]) -> [u8; 32] {
        #[cfg(not(any(feature = "aws-lc-rs", feature = "rust-crypto")))]
        let _ = (key, message);
        match self {
            #[cfg(feature = "aws-lc-rs")]
            Self::AwsLcRs => aws_lc::hmac_sha256(key, message),
            #[cfg(feature = "rust-crypto")]
            Self::RustCrypto => rust_crypto::hmac_sha256(key, message),
        }
    }

    /// Bytes that nobody can guess, from the operating system or a generator that it seeds; `None` where it has none to
    /// give, and then there is nothing to use in their place.
    pub(crate) fn random<const N: usize>(self) -> Option<[u8; N]> {
        match self {
            #[cfg(feature = "aws-lc-rs")]
            Self::AwsLcRs => aws_lc::random(),
            #[cfg(feature = "rust-crypto")]
            Self::RustCrypto => rust_crypto::random(),
        }
    }

    /// Reads a private key in PEM (PKCS#8, RFC 5958), for `algorithm` or, without one, for the default of its type: RS256,
    /// ES256, ES384 or Ed25519.
    ///
    /// # Errors
    ///
    /// When the text holds no private key, more than one, or one in another form; when the key's type is another one, the
    /// key is not valid, or `algorithm` does not fit it. The text says the remedy, fits after "the private key", and has
    /// nothing of the key in it.
    pub(crate) fn signing_key(self, pem: &str, algorithm: Option<Algorithm>) -> Result<SigningKey, &'static str> {
        let der = pkcs8(pem)?;
        let key_type = KeyType::of_pkcs8(&der)
            .ok_or("is of a type that is not supported: use RSA, Ed25519, or EC with the named curve P-256 or P-384")?;
        let algorithm = algorithm.unwrap_or(key_type.algorithms()[0]);
        if !key_type.algorithms().contains(&algorithm) {
            return Err(key_type.algorithm_fault());
        }
        let private = self.private(key_type, &der).ok_or(key_type.fault())?;
        Ok(SigningKey { algorithm, private })
    }

    fn private(self, key_type: KeyType, der: &[u8]) -> Option<Private> {
        #[cfg(not(any(feature = "aws-lc-rs", feature = "rust-crypto")))]
        let _ = (key_type, der);
        match self {
            #[cfg(feature = "aws-lc-rs")]
            Self::AwsLcRs => aws_lc::private(key_type, der).map(Private::AwsLcRs),
            #[cfg(feature = "rust-crypto")]
            Self::RustCrypto => rust_crypto::private(key_type, der).map(Box::new).map(Private::RustCrypto),
        }
    }
}

/// Whether two secrets are the same. The time this takes depends on their length and on nothing else of them.
#[allow(unreachable_code, reason = "which return is the first depends on the features")]
pub(crate) fn equal(a: &[u8], b: &[u8]) -> bool {
    #[cfg(feature = "aws-lc-rs")]
    return aws_lc_rs::constant_time::verify_slices_are_equal(a, b).is_ok();
    #[cfg(feature = "rust-crypto")]
    return subtle::ConstantTimeEq::ct_eq(a, b).into();
    a.len() == b.len()
        && std::iter::zip(a, b).fold(0, |differences, (a, b)| std::hint::black_box(differences | (a ^ b))) == 0
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
        self.key_type().algorithms().contains(&algorithm)
    }

    fn key_type(&self) -> KeyType {
        match self {
            Self::Ec { curve, .. } => KeyType::Ec(*curve),
            Self::Ed25519 { .. } => KeyType::Ed25519,
            Self::Rsa { .. } => KeyType::Rsa,
        }
    }
}

/// What decides which algorithms a key can be used with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum KeyType {
    Ec(Curve),
    Ed25519,
    Rsa,
}

impl KeyType {
    /// The type of a private key, by its `AlgorithmIdentifier`; `None` for one that is not supported.
    fn of_pkcs8(der: &[u8]) -> Option<Self> {
        // A sequence, whose first element is the version and whose second one is what is looked for (RFC 5958 §2).
        let ([0x30, 0..=0x7f, elements @ ..] | [0x30, 0x81, _, elements @ ..] | [0x30, 0x82, _, _, elements @ ..]) =
            der
        else {
            return None;
        };
        let [0x02, 1, 0 | 1, elements @ ..] = elements else { return None };
        [Self::Ec(Curve::P256), Self::Ec(Curve::P384), Self::Ed25519, Self::Rsa]
            .into_iter()
            .find(|key_type| elements.starts_with(key_type.identifier()))
    }

    /// The `AlgorithmIdentifier` in DER: RFC 5480 §2.1.1, RFC 8410 §3 and RFC 8017 §A.1.
    const fn identifier(self) -> &'static [u8] {
        match self {
            Self::Ec(Curve::P256) => {
                b"\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07"
            }
            Self::Ec(Curve::P384) => b"\x30\x10\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x05\x2b\x81\x04\x00\x22",
            Self::Ed25519 => b"\x30\x05\x06\x03\x2b\x65\x70",
            Self::Rsa => b"\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00",
        }
    }

    /// The algorithms that fit, that which is used unless another one is named first.
    const fn algorithms(self) -> &'static [Algorithm] {
        use Algorithm::{Ed25519, Es256, Es384, Ps256, Ps384, Ps512, Rs256, Rs384, Rs512};
        match self {
            Self::Ec(Curve::P256) => &[Es256],
            Self::Ec(Curve::P384) => &[Es384],
            Self::Ed25519 => &[Ed25519],
            Self::Rsa => &[Rs256, Rs384, Rs512, Ps256, Ps384, Ps512],
        }
    }

    const fn algorithm_fault(self) -> &'static str {
        match self {
            Self::Ec(Curve::P256) => "does not fit the algorithm: a P-256 key signs with ES256",
            Self::Ec(Curve::P384) => "does not fit the algorithm: a P-384 key signs with ES384",
            Self::Ed25519 => "does not fit the algorithm: an Ed25519 key signs with Ed25519",
            Self::Rsa => "does not fit the algorithm: an RSA key signs with RS256, RS384, RS512, PS256, PS384 or PS512",
        }
    }

    const fn fault(self) -> &'static str {
        match self {
            Self::Ec(_) => "is not a valid EC key, or its public part is another key's: export it again",
            Self::Ed25519 => "is not a valid Ed25519 key, or its public part is another key's: export it again",
            Self::Rsa => {
                "is not a valid RSA key of 2048 to 8192 bits (RFC 7518 §3.3): export it again, or make a longer one"
            }
        }
    }
}

/// The DER of the one private key of a PEM text (RFC 7468 §10). Other blocks, such as its certificate, may be beside it.
fn pkcs8(pem: &str) -> Result<Vec<u8>, &'static str> {
    const BEGIN: &str = "-----BEGIN PRIVATE KEY-----";
    let (_, rest) = pem.split_once(BEGIN).ok_or_else(|| not_pkcs8(pem))?;
    let (text, rest) =
        rest.split_once("-----END PRIVATE KEY-----").ok_or("is cut off: it has no line `-----END PRIVATE KEY-----`")?;
    if rest.contains(BEGIN) {
        return Err("is one of several in its text: keep the one that is to be used");
    }
    let text: String = text.split_ascii_whitespace().collect();
    STANDARD
        .decode_to_vec(text)
        .map_err(|_| "is not base64 between its first line and its last: is a line break written as `\\n`?")
}

/// What is wrong with a text that has no private key in PKCS#8.
fn not_pkcs8(pem: &str) -> &'static str {
    let has = |label| pem.contains(&format!("-----BEGIN {label}-----"));
    if has("ENCRYPTED PRIVATE KEY") {
        "is encrypted: decrypt it by `openssl pkcs8 -topk8 -nocrypt -in key.pem`, and keep what that prints where secrets are kept"
    } else if has("RSA PRIVATE KEY") || has("EC PRIVATE KEY") {
        "is not in PKCS#8 form: convert it by `openssl pkcs8 -topk8 -nocrypt -in key.pem`"
    } else if has("OPENSSH PRIVATE KEY") {
        "is in OpenSSH's form: make one for this purpose by `openssl genpkey -algorithm ed25519`"
    } else if has("CERTIFICATE") || has("PUBLIC KEY") || has("RSA PUBLIC KEY") {
        "is missing: its text is a certificate or a public key, and the file with `-----BEGIN PRIVATE KEY-----` is needed"
    } else if pem.trim_start().starts_with('{') {
        "is a JWK, and PEM is wanted: convert it to a file with `-----BEGIN PRIVATE KEY-----`"
    } else {
        "is not PEM: its text has no line `-----BEGIN PRIVATE KEY-----` (is it a file's name instead of what is in the file?)"
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

/// A private key that is ready to sign with one algorithm.
pub(crate) struct SigningKey {
    algorithm: Algorithm,
    private: Private,
}

enum Private {
    #[cfg(feature = "aws-lc-rs")]
    AwsLcRs(aws_lc::PrivateKey),
    #[cfg(feature = "rust-crypto")]
    RustCrypto(Box<rust_crypto::PrivateKey>),
}

impl SigningKey {
    pub(crate) fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The signature over `message` in the form of a JWS (RFC 7518 §3), or `None` where the library cannot make one.
    pub(crate) fn sign(&self, message: &[u8]) -> Option<Vec<u8>> {
        #[cfg(not(any(feature = "aws-lc-rs", feature = "rust-crypto")))]
        let _ = message;
        match self.private {
            #[cfg(feature = "aws-lc-rs")]
            Private::AwsLcRs(ref key) => key.sign(self.algorithm, message),
            #[cfg(feature = "rust-crypto")]
            Private::RustCrypto(ref key) => key.sign(self.algorithm, message),
        }
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey").field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}

/// An elliptic-curve point in the uncompressed form of SEC 1.
#[cfg(any(feature = "aws-lc-rs", feature = "rust-crypto"))]
fn uncompressed(x: &[u8], y: &[u8]) -> Vec<u8> {
    [&[4], x, y].concat()
}

#[cfg(feature = "aws-lc-rs")]
mod aws_lc {
    use aws_lc_rs::{
        digest, hmac,
        rand::{self, SystemRandom},
        signature::{
            self, EcdsaKeyPair, Ed25519KeyPair, ParsedPublicKey, RsaEncoding, RsaKeyPair, RsaParameters,
            RsaPublicKeyComponents,
        },
    };
    use curve25519_dalek::edwards::CompressedEdwardsY;

    use super::{Curve, KeyType, PublicKey, uncompressed};
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

    pub(super) enum PrivateKey {
        Ecdsa(EcdsaKeyPair),
        Ed25519(Ed25519KeyPair),
        Rsa(RsaKeyPair),
    }

    pub(super) fn private(key_type: KeyType, der: &[u8]) -> Option<PrivateKey> {
        match key_type {
            KeyType::Ec(curve) => {
                let algorithm = match curve {
                    Curve::P256 => &signature::ECDSA_P256_SHA256_FIXED_SIGNING,
                    Curve::P384 => &signature::ECDSA_P384_SHA384_FIXED_SIGNING,
                };
                EcdsaKeyPair::from_pkcs8(algorithm, der).ok().map(PrivateKey::Ecdsa)
            }
            KeyType::Ed25519 => Ed25519KeyPair::from_pkcs8(der).ok().map(PrivateKey::Ed25519),
            KeyType::Rsa => RsaKeyPair::from_pkcs8(der).ok().map(PrivateKey::Rsa),
        }
    }

    impl PrivateKey {
        pub(super) fn sign(&self, algorithm: Algorithm, message: &[u8]) -> Option<Vec<u8>> {
            // AWS-LC takes its randomness from itself, whatever is given here.
            let random = SystemRandom::new();
            match self {
                Self::Ecdsa(key) => Some(key.sign(&random, message).ok()?.as_ref().to_vec()),
                Self::Ed25519(key) => Some(key.try_sign(message).ok()?.as_ref().to_vec()),
                Self::Rsa(key) => {
                    let mut signature = vec![0; key.public_modulus_len()];
                    key.sign(encoding(algorithm)?, &random, message, &mut signature).ok()?;
                    Some(signature)
                }
            }
        }
    }

    fn encoding(algorithm: Algorithm) -> Option<&'static dyn RsaEncoding> {
        Some(match algorithm {
            Algorithm::Rs256 => &signature::RSA_PKCS1_SHA256,
            Algorithm::Rs384 => &signature::RSA_PKCS1_SHA384,
            Algorithm::Rs512 => &signature::RSA_PKCS1_SHA512,
            Algorithm::Ps256 => &signature::RSA_PSS_SHA256,
            Algorithm::Ps384 => &signature::RSA_PSS_SHA384,
            Algorithm::Ps512 => &signature::RSA_PSS_SHA512,
            Algorithm::Es256 | Algorithm::Es384 | Algorithm::Ed25519 => return None,
        })
    }

    pub(super) fn sha256(parts: &[&[u8]]) -> [u8; 32] {
        let mut context = digest::Context::new(&digest::SHA256);
        for part in parts {
            context.update(part);
        }
        array(context.finish().as_ref())
    }

    pub(super) fn hmac_sha256(key: &[u8], message: &[u8]) -> [u8; 32] {
        array(hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), message).as_ref())
    }

    /// What SHA-256 gives, which has this length.
    fn array(output: &[u8]) -> [u8; 32] {
        let mut array = [0; 32];
        array.copy_from_slice(output);
        array
    }

    pub(super) fn random<const N: usize>() -> Option<[u8; N]> {
        let mut bytes = [0; N];
        rand::fill(&mut bytes).ok()?;
        Some(bytes)
    }
}

#[cfg(feature = "rust-crypto")]
mod rust_crypto {
    use std::ops::RangeInclusive;

    use hmac::{Hmac, KeyInit as _, Mac as _};
    use p256::ecdsa::signature::{Signer as _, Verifier as _};
    use rsa::{BoxedUint, Generate as _, pkcs8::DecodePrivateKey as _, traits::PublicKeyParts as _};
    use sha2::{Digest as _, Sha256, Sha384, Sha512};

    use super::{Curve, KeyType, PublicKey, uncompressed};
    use crate::jws::Algorithm;

    /// The lengths of an RSA modulus, in bits: those that the other library takes. This one signs with shorter ones, too.
    const MODULUS: RangeInclusive<usize> = 2048..=8192;

    pub(super) enum Key {
        Ed25519(ed25519_dalek::VerifyingKey),
        P256(p256::ecdsa::VerifyingKey),
        P384(p384::ecdsa::VerifyingKey),
        Rsa(Algorithm, rsa::PublicKey),
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
                let [n, e] = [n, e].map(|number| BoxedUint::from_be_slice_vartime(number));
                Key::Rsa(algorithm, rsa::PublicKey::new_with_size_limits(n, e, MODULUS).ok()?)
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

    /// The salt of a PSS signature is as long as its hash (RFC 7518 §3.5), which is what the library demands.
    fn verify_rsa(algorithm: Algorithm, key: &rsa::PublicKey, message: &[u8], signature: &[u8]) -> bool {
        let verified = match algorithm {
            Algorithm::Rs256 => key.pkcs1v15_verify::<Sha256>(message, signature),
            Algorithm::Rs384 => key.pkcs1v15_verify::<Sha384>(message, signature),
            Algorithm::Rs512 => key.pkcs1v15_verify::<Sha512>(message, signature),
            Algorithm::Ps256 => key.pss_verify::<Sha256>(message, signature),
            Algorithm::Ps384 => key.pss_verify::<Sha384>(message, signature),
            Algorithm::Ps512 => key.pss_verify::<Sha512>(message, signature),
            Algorithm::Es256 | Algorithm::Es384 | Algorithm::Ed25519 => return false,
        };
        verified.is_ok()
    }

    pub(super) enum PrivateKey {
        Ed25519(ed25519_dalek::SigningKey),
        P256(p256::ecdsa::SigningKey),
        P384(p384::ecdsa::SigningKey),
        Rsa(rsa::PrivateKey),
    }

    pub(super) fn private(key_type: KeyType, der: &[u8]) -> Option<PrivateKey> {
        Some(match key_type {
            KeyType::Ec(Curve::P256) => PrivateKey::P256(p256::ecdsa::SigningKey::from_pkcs8_der(der).ok()?),
            KeyType::Ec(Curve::P384) => PrivateKey::P384(p384::ecdsa::SigningKey::from_pkcs8_der(der).ok()?),
            KeyType::Ed25519 => PrivateKey::Ed25519(ed25519_dalek::SigningKey::from_pkcs8_der(der).ok()?),
            KeyType::Rsa => {
                let key = rsa::PrivateKey::from_pkcs8_der(der).ok()?;
                let bits = usize::try_from(key.n().bit_width()).ok()?;
                PrivateKey::Rsa(Some(key).filter(|_| MODULUS.contains(&bits))?)
            }
        })
    }

    impl PrivateKey {
        pub(super) fn sign(&self, algorithm: Algorithm, message: &[u8]) -> Option<Vec<u8>> {
            match self {
                Self::Ed25519(key) => Some(key.try_sign(message).ok()?.to_vec()),
                Self::P256(key) => {
                    let signature: p256::ecdsa::Signature = key.try_sign(message).ok()?;
                    Some(signature.to_vec())
                }
                Self::P384(key) => {
                    let signature: p384::ecdsa::Signature = key.try_sign(message).ok()?;
                    Some(signature.to_vec())
                }
                Self::Rsa(key) => sign_rsa(algorithm, key, message),
            }
        }
    }

    /// The library blinds the key at every signature, since its arithmetic does not always take the same time.
    fn sign_rsa(algorithm: Algorithm, key: &rsa::PrivateKey, message: &[u8]) -> Option<Vec<u8>> {
        let signature = match algorithm {
            Algorithm::Rs256 => key.pkcs1v15_sign::<Sha256>(message),
            Algorithm::Rs384 => key.pkcs1v15_sign::<Sha384>(message),
            Algorithm::Rs512 => key.pkcs1v15_sign::<Sha512>(message),
            Algorithm::Ps256 => key.pss_sign::<Sha256>(message),
            Algorithm::Ps384 => key.pss_sign::<Sha384>(message),
            Algorithm::Ps512 => key.pss_sign::<Sha512>(message),
            Algorithm::Es256 | Algorithm::Es384 | Algorithm::Ed25519 => return None,
        };
        signature.ok()
    }

    pub(super) fn sha256(parts: &[&[u8]]) -> [u8; 32] {
        let mut digest = Sha256::new();
        for part in parts {
            digest.update(part);
        }
        digest.finalize().into()
    }

    pub(super) fn hmac_sha256(key: &[u8], message: &[u8]) -> [u8; 32] {
        let mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
        mac.chain_update(message).finalize().into_bytes().into()
    }

    pub(super) fn random<const N: usize>() -> Option<[u8; N]> {
        <[u8; N]>::try_generate().ok()
    }
}

#[cfg(test)]
#[cfg(any(feature = "aws-lc-rs", feature = "rust-crypto"))]
pub(crate) mod tests {
    use std::sync::LazyLock;

    use aws_lc_rs::{rand::SystemRandom, signature as sign};
    use base64_simd::URL_SAFE_NO_PAD;
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
        let input = [header, claims].map(|part| URL_SAFE_NO_PAD.encode_to_string(part.to_string())).join(".");
        let signature = sign(key_id, algorithm, input.as_bytes());
        format!("{input}.{}", URL_SAFE_NO_PAD.encode_to_string(signature))
    }

    fn member(jwk: &Value, name: &str) -> Vec<u8> {
        URL_SAFE_NO_PAD.decode_to_vec(jwk[name].as_str().unwrap()).unwrap()
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
        let key = sign::RsaKeyPair::from_der(&pkcs1(jwk)).unwrap();
        let mut signature = vec![0; key.public_modulus_len()];
        key.sign(padding, &SystemRandom::new(), message, &mut signature).unwrap();
        signature
    }

    fn pkcs1(jwk: &Value) -> Vec<u8> {
        let integers = ["n", "e", "d", "p", "q", "dp", "dq", "qi"].map(|name| der_integer(&member(jwk, name)));
        der(0x30, &[der_integer(&[0]), integers.concat()].concat())
    }

    /// A private key of the rig in PKCS#8.
    fn pkcs8_der(key_id: &str) -> Vec<u8> {
        let jwk = private_jwk(key_id);
        let key_type = public_key(&jwk).key_type();
        let private = match key_type {
            KeyType::Ec(_) => {
                let point = der(3, &[&[0], &*uncompressed(&member(&jwk, "x"), &member(&jwk, "y"))].concat());
                der(0x30, &[der_integer(&[1]), der(4, &member(&jwk, "d")), der(0xa1, &point)].concat())
            }
            KeyType::Ed25519 => der(4, &member(&jwk, "d")),
            KeyType::Rsa => pkcs1(&jwk),
        };
        der(0x30, &[&der_integer(&[0]), key_type.identifier(), &der(4, &private)].concat())
    }

    fn pem(label: &str, der: &[u8]) -> String {
        let text = STANDARD.encode_to_string(der);
        let lines: Vec<&str> = text.as_bytes().chunks(64).map(|line| str::from_utf8(line).unwrap()).collect();
        format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
    }

    /// A private key of the rig in PEM.
    pub(crate) fn private_pem(key_id: &str) -> String {
        pem("PRIVATE KEY", &pkcs8_der(key_id))
    }

    fn hex(text: &str) -> Vec<u8> {
        (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
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
    pub(crate) fn verifies(key_id: &str, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> bool {
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
            let order = hex(order);
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
        let signature = [&[1][..], &[0; 31], &hex(scalar)].concat();
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

    #[test]
    fn every_key_signs_what_its_public_part_verifies() {
        for (algorithm, key_id) in SIGNERS {
            for backend in BACKENDS {
                let key = backend.signing_key(&private_pem(key_id), Some(algorithm)).unwrap();
                assert_eq!(key.algorithm(), algorithm);
                for message in [&b""[..], b"message", &[0; 1000]] {
                    let signature = key.sign(message).unwrap();
                    assert!(verifies(key_id, algorithm, message, &signature), "{algorithm}, {backend:?}");
                    assert!(!verifies(key_id, algorithm, b"another", &signature), "{algorithm}, {backend:?}");
                }
            }
        }
    }

    #[test]
    fn a_key_without_an_algorithm_signs_with_the_default_of_its_type() {
        for (key_id, algorithm) in
            [("a-rsa-noalg", Rs256), ("a-es256", Es256), ("a-es384", Es384), ("a-ed25519", Ed25519)]
        {
            for backend in BACKENDS {
                assert_eq!(backend.signing_key(&private_pem(key_id), None).unwrap().algorithm(), algorithm);
            }
        }
    }

    /// What the backends say against a private key: all the same.
    fn signing_fault(pem: &str, algorithm: Option<Algorithm>) -> &'static str {
        let faults: Vec<_> = BACKENDS.iter().map(|backend| backend.signing_key(pem, algorithm).unwrap_err()).collect();
        assert!(faults.iter().all(|fault| *fault == faults[0]), "{BACKENDS:?} say {faults:?}");
        faults[0]
    }

    #[test]
    fn a_signing_key_signs_with_no_algorithm_of_another_type() {
        for (key_id, fitting) in
            [("a-es256", "ES256"), ("a-es384", "ES384"), ("a-ed25519", "Ed25519"), ("a-rs256", "PS256")]
        {
            let key = public_key(&public_jwk(key_id));
            for &algorithm in Algorithm::ALL.iter().filter(|&&algorithm| !key.fits(algorithm)) {
                let fault = signing_fault(&private_pem(key_id), Some(algorithm));
                assert!(fault.starts_with("does not fit the algorithm") && fault.contains(fitting), "{fault}");
            }
        }
    }

    #[test]
    fn a_private_key_in_another_form_is_refused_with_the_way_to_convert_it() {
        let pkcs8 = private_pem("a-es256");
        let der = pkcs8_der("a-es256");
        let p521 = b"\x30\x1a\x02\x01\x00\x30\x10\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x05\x2b\x81\x04\x00\x23\x04\x03\x30\x01\x00";
        for (text, fault) in [
            (String::new(), "is not PEM"),
            ("/run/secrets/key.pem".into(), "a file's name"),
            (private_jwk("a-es256").to_string(), "is a JWK, and PEM is wanted"),
            (pem("RSA PRIVATE KEY", &der), "`openssl pkcs8 -topk8 -nocrypt -in key.pem`"),
            (
                pem("EC PARAMETERS", &[5, 0]) + &pem("EC PRIVATE KEY", &der),
                "`openssl pkcs8 -topk8 -nocrypt -in key.pem`",
            ),
            (pem("ENCRYPTED PRIVATE KEY", &der), "is encrypted"),
            (pem("OPENSSH PRIVATE KEY", &der), "OpenSSH"),
            (pem("CERTIFICATE", &der), "a certificate or a public key"),
            (pem("PUBLIC KEY", &der), "a certificate or a public key"),
            (pem("RSA PUBLIC KEY", &der), "a certificate or a public key"),
            (pkcs8[..pkcs8.len() - 10].into(), "is cut off"),
            (pkcs8.replace('\n', "\\n"), "is a line break written as `\\n`?"),
            (pkcs8.repeat(2), "is one of several"),
            (pem("PRIVATE KEY", b""), "is of a type that is not supported"),
            (pem("PRIVATE KEY", b"\x30\x00"), "is of a type that is not supported"),
            (pem("PRIVATE KEY", p521), "is of a type that is not supported"),
        ] {
            let found = signing_fault(&text, None);
            assert!(found.contains(fault), "{found} of {text}");
        }
    }

    #[test]
    fn a_damaged_private_key_is_refused() {
        for (key_id, name) in [("a-es256", "EC"), ("a-es384", "EC"), ("a-ed25519", "Ed25519"), ("a-rs256", "RSA")] {
            let good = pkcs8_der(key_id);
            assert!(signing_fault(&pem("PRIVATE KEY", &good[..good.len() - 1]), None).contains(name));
        }
        // The last byte of an EC key in this form is one of its public point.
        for key_id in ["a-es256", "a-es384"] {
            let mut other = pkcs8_der(key_id);
            *other.last_mut().unwrap() ^= 1;
            assert!(signing_fault(&pem("PRIVATE KEY", &other), None).contains("its public part"));
        }
    }

    #[test]
    fn alg_5_a_short_rsa_key_signs_nothing() {
        // A key of 1024 bits, made for this test.
        const SHORT: &str = include_str!("../testdata/rsa_1024.key.pem");
        let fault = signing_fault(SHORT, None);
        assert!(fault.contains("2048"), "{fault}");
    }

    #[test]
    fn a_private_key_may_stand_beside_its_certificate_and_on_one_line() {
        let key = private_pem("a-es256");
        for text in [
            pem("CERTIFICATE", b"not read") + &key,
            key.clone() + &pem("CERTIFICATE", b"not read"),
            key.replace('\n', "\r\n"),
            key.replace('\n', " "),
            key.replace('\n', ""),
        ] {
            for backend in BACKENDS {
                assert!(backend.signing_key(&text, None).is_ok(), "{text}");
            }
        }
    }

    #[test]
    fn a_signing_key_says_its_algorithm_and_nothing_else_of_itself() {
        let key = BACKENDS[0].signing_key(&private_pem("a-es256"), None);
        assert_eq!(format!("{key:?}"), "Ok(SigningKey { algorithm: Es256, .. })");
    }

    #[test]
    fn sha_256_is_over_the_parts_in_their_order() {
        // FIPS 180-4, and the two examples of its length.
        for backend in BACKENDS {
            for parts in [&[&b"abc"[..]][..], &[b"a", b"", b"bc"], &[b"ab", b"c"]] {
                assert_eq!(
                    backend.sha256(parts)[..],
                    hex("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
                );
            }
            for parts in [&[][..], &[&b""[..]]] {
                assert_eq!(
                    backend.sha256(parts)[..],
                    hex("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
                );
            }
        }
    }

    #[test]
    fn hmac_gives_what_rfc_4231_says() {
        for (key, message, mac) in [
            (&[0x0b; 20][..], &b"Hi There"[..], "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"),
            (
                b"Jefe",
                b"what do ya want for nothing?",
                "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
            ),
            (&[0xaa; 20], &[0xdd; 50], "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"),
            (
                &[0xaa; 131],
                b"Test Using Larger Than Block-Size Key - Hash Key First",
                "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
            ),
        ] {
            for backend in BACKENDS {
                assert_eq!(backend.hmac_sha256(key, message)[..], hex(mac), "{backend:?}");
            }
        }
    }

    #[test]
    fn random_bytes_are_not_the_same_twice() {
        for backend in BACKENDS {
            assert_ne!(backend.random::<16>().unwrap(), backend.random::<16>().unwrap());
        }
    }

    #[test]
    fn equal_is_true_of_the_same_bytes_and_of_no_others() {
        for same in [&b""[..], b"a", &[0xff; 32]] {
            assert!(equal(same, same));
        }
        for (a, b) in
            [(&b""[..], &b"a"[..]), (b"a", b"b"), (b"ab", b"a"), (b"\x01\x01", b"\x01\x00"), (b"\x01\x01", b"\x00\x01")]
        {
            assert!(!equal(a, b) && !equal(b, a), "{a:?}, {b:?}");
        }
    }
}
