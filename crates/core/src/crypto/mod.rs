//! The only module that names cryptographic libraries, each in a file of its own.
//!
//! Keys are prepared once, when a key set arrives, for one algorithm each. Every call names its library; none is taken from a
//! process-wide default. Both libraries get keys whose shape is checked ([`crate::jose`]), so that they agree on which keys
//! are usable; this module checks that points are on their curve. AWS-LC checks an Ed25519 point only with a signature, so
//! curve25519-dalek checks it beforehand.

#[cfg(feature = "aws-lc-rs")]
mod aws_lc;
#[cfg(feature = "rust-crypto")]
mod rust_crypto;
#[cfg(test)]
#[cfg(any(feature = "aws-lc-rs", feature = "rust-crypto"))]
pub(crate) mod tests;

use std::fmt;

use base64_simd::STANDARD;

use crate::jose::Algorithm;

/// The library that verifies signatures, and signs this service's client assertions.
///
/// Its variants depend on the features `aws-lc-rs` and `rust-crypto`. With neither, no resource server can be built.
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
    /// The default backend; `None` where neither feature is on.
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

    /// The SHA-256 digest of the concatenated `parts`.
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

    /// HMAC with SHA-256 (RFC 2104). The caller ensures that the key is long enough.
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

    /// Unpredictable bytes, from the operating system or a generator that it seeds; `None` where there are none, and then
    /// nothing may be used in their place.
    pub(crate) fn random<const N: usize>(self) -> Option<[u8; N]> {
        match self {
            #[cfg(feature = "aws-lc-rs")]
            Self::AwsLcRs => aws_lc::random(),
            #[cfg(feature = "rust-crypto")]
            Self::RustCrypto => rust_crypto::random(),
        }
    }

    /// Parses a private key in PEM (PKCS#8, RFC 5958), for `algorithm` or else for the default of its type: RS256, ES256,
    /// ES384 or Ed25519.
    ///
    /// # Errors
    ///
    /// When the text holds no private key, more than one, or one in another form; when the key's type is not supported, the
    /// key is invalid, or `algorithm` does not fit it. The error is a fragment that follows "the private key", with the remedy
    /// and nothing of the key.
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

/// Whether two secrets are equal. The time depends on their lengths only.
#[allow(unreachable_code, reason = "which return is the first depends on the features")]
pub(crate) fn equal(a: &[u8], b: &[u8]) -> bool {
    #[cfg(feature = "aws-lc-rs")]
    return aws_lc::equal(a, b);
    #[cfg(feature = "rust-crypto")]
    return rust_crypto::equal(a, b);
    a.len() == b.len()
        && std::iter::zip(a, b).fold(0, |differences, (a, b)| std::hint::black_box(differences | (a ^ b))) == 0
}

/// A public key whose shape is checked. Whether its point is on the curve is not.
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
    /// Whether `algorithm` can be used with this type of key.
    pub(crate) fn fits(&self, algorithm: Algorithm) -> bool {
        self.key_type().algorithms().contains(&algorithm)
    }

    /// The members of its JWK that are the key, in the order of a thumbprint (RFC 7638 §3.2, RFC 8037 §2).
    pub(crate) const fn members(&self) -> &'static [&'static str] {
        match self {
            Self::Ec { .. } => &["crv", "kty", "x", "y"],
            Self::Ed25519 { .. } => &["crv", "kty", "x"],
            Self::Rsa { .. } => &["e", "kty", "n"],
        }
    }

    /// Whether `signature` is this key's over `message`, for one check of a key that is not worth [preparing](VerifyingKey).
    pub(crate) fn verify(
        &self,
        algorithm: Algorithm,
        backend: CryptoBackend,
        message: &[u8],
        signature: &[u8],
    ) -> bool {
        #[cfg(not(any(feature = "aws-lc-rs", feature = "rust-crypto")))]
        let _ = message;
        self.fits(algorithm)
            && SignatureForm::of(self).fits(signature)
            && match backend {
                #[cfg(feature = "aws-lc-rs")]
                CryptoBackend::AwsLcRs => aws_lc::verify(algorithm, self, message, signature),
                #[cfg(feature = "rust-crypto")]
                CryptoBackend::RustCrypto => {
                    rust_crypto::prepare(algorithm, self).is_some_and(|key| key.verify(message, signature))
                }
            }
    }

    fn key_type(&self) -> KeyType {
        match self {
            Self::Ec { curve, .. } => KeyType::Ec(*curve),
            Self::Ed25519 { .. } => KeyType::Ed25519,
            Self::Rsa { .. } => KeyType::Rsa,
        }
    }
}

/// The type of a key, which decides its algorithms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum KeyType {
    Ec(Curve),
    Ed25519,
    Rsa,
}

impl KeyType {
    /// The type of a private key, by its `AlgorithmIdentifier`; `None` for an unsupported one.
    fn of_pkcs8(der: &[u8]) -> Option<Self> {
        // A sequence of the version and the `AlgorithmIdentifier` (RFC 5958 §2).
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

    /// The algorithms of this type, the default first.
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

/// The DER of the only private key in a PEM text (RFC 7468 §10). Other blocks, such as its certificate, are ignored.
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

/// Why a text has no private key in PKCS#8.
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

/// Whether an Ed25519 point is none of those with which one signature fits many messages: points of small order, and
/// non-canonical coordinates. The sign bit does not matter for either.
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

/// The form of every valid signature by a key. Checked here, since the libraries differ in what they check.
enum SignatureForm {
    /// Two numbers of the curve's length (RFC 7518 §3.4).
    Ecdsa { length: usize },
    /// A point, under the same conditions as a key's, and a scalar (RFC 8037 §3.1).
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
    /// Prepares `key` for `algorithm`; `None` where they do not fit or the library rejects the key.
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

/// A private key, prepared to sign with one algorithm.
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
