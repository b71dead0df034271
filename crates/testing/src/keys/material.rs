//! The private half of a key, generated or read from a JWK, and what is derived from it.
//!
//! AWS-LC generates and parses keys, and checks that the parts of an imported key belong together.

use aws_lc_rs::{
    encoding::{AsBigEndian as _, AsDer, Pkcs8V1Der, PublicKeyX509Der},
    rsa::{KeySize, PublicKeyComponents},
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm,
        Ed25519KeyPair, KeyPair as _, RsaKeyPair,
    },
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::EncodingKey;
use serde_json::{Map, Value};

use super::KeyError;
use crate::SigningAlgorithm;

/// The type of a key, which decides its algorithms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Ed25519,
    P256,
    P384,
    Rsa,
}

impl Kind {
    pub(super) fn of(algorithm: SigningAlgorithm) -> Self {
        match algorithm {
            SigningAlgorithm::Es256 => Self::P256,
            SigningAlgorithm::Es384 => Self::P384,
            SigningAlgorithm::EdDsa | SigningAlgorithm::Ed25519 => Self::Ed25519,
            SigningAlgorithm::Ps256 | SigningAlgorithm::Rs256 => Self::Rsa,
        }
    }

    /// The members of a public JWK that its thumbprint is of (RFC 7638, section 3.2; RFC 8037, section 2).
    pub(super) fn required_members(self) -> &'static [&'static str] {
        match self {
            Self::Ed25519 => &["crv", "kty", "x"],
            Self::P256 | Self::P384 => &["crv", "kty", "x", "y"],
            Self::Rsa => &["e", "kty", "n"],
        }
    }

    /// The algorithm of a key of this type whose JWK names none.
    pub(super) fn usual_algorithm(self) -> SigningAlgorithm {
        match self {
            Self::Ed25519 => SigningAlgorithm::EdDsa,
            Self::P256 => SigningAlgorithm::Es256,
            Self::P384 => SigningAlgorithm::Es384,
            Self::Rsa => SigningAlgorithm::Rs256,
        }
    }
}

#[derive(Clone)]
pub(super) struct Material {
    pub(super) kind: Kind,
    pub(super) private: EncodingKey,
    /// PKCS#8, in DER.
    pub(super) private_der: Vec<u8>,
    /// SubjectPublicKeyInfo, in DER.
    pub(super) public_der: Vec<u8>,
    /// `kty` and the public parameters.
    pub(super) public_members: Map<String, Value>,
    /// The private parameters.
    pub(super) private_members: Map<String, Value>,
}

impl Material {
    /// Generates a key. AWS-LC fails only when it is out of memory or randomness.
    pub(super) fn generate(kind: Kind) -> Self {
        const INFALLIBLE: &str = "AWS-LC generates a key";
        match kind {
            Kind::Ed25519 => Self::ed25519(&Ed25519KeyPair::generate().expect(INFALLIBLE)),
            Kind::P256 => Self::ec(kind, &EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect(INFALLIBLE)),
            Kind::P384 => Self::ec(kind, &EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).expect(INFALLIBLE)),
            Kind::Rsa => Self::rsa(&RsaKeyPair::generate(KeySize::Rsa2048).expect(INFALLIBLE)),
        }
    }

    pub(super) fn from_jwk(jwk: &Map<String, Value>) -> Result<Self, KeyError> {
        match (text(jwk, "kty")?, jwk.get("crv").and_then(Value::as_str)) {
            ("EC", Some("P-256")) => Self::ec_from_jwk(Kind::P256, &ECDSA_P256_SHA256_FIXED_SIGNING, jwk),
            ("EC", Some("P-384")) => Self::ec_from_jwk(Kind::P384, &ECDSA_P384_SHA384_FIXED_SIGNING, jwk),
            ("OKP", Some("Ed25519")) => {
                let pair = Ed25519KeyPair::from_seed_and_public_key(&octets(jwk, "d")?, &octets(jwk, "x")?);
                Ok(Self::ed25519(&pair.map_err(|_| KeyError::INCONSISTENT)?))
            }
            ("RSA", _) => {
                let pair = RsaKeyPair::from_der(&rsa_private_key(jwk)?).map_err(|_| KeyError::INCONSISTENT)?;
                Ok(Self::rsa(&pair))
            }
            _ => Err(KeyError::UNSUPPORTED),
        }
    }

    fn ec_from_jwk(
        kind: Kind,
        algorithm: &'static EcdsaSigningAlgorithm,
        jwk: &Map<String, Value>,
    ) -> Result<Self, KeyError> {
        let point = [vec![4], octets(jwk, "x")?, octets(jwk, "y")?].concat();
        EcdsaKeyPair::from_private_key_and_public_key(algorithm, &octets(jwk, "d")?, &point)
            .map(|pair| Self::ec(kind, &pair))
            .map_err(|_| KeyError::INCONSISTENT)
    }

    fn ec(kind: Kind, pair: &EcdsaKeyPair) -> Self {
        // An uncompressed point: one byte of tag, then both coordinates at full length.
        let coordinates = &pair.public_key().as_ref()[1..];
        let (x, y) = coordinates.split_at(coordinates.len() / 2);
        let crv = if kind == Kind::P256 { "P-256" } else { "P-384" };
        let private_der = pair.to_pkcs8v1().expect(SERIALIZES).as_ref().to_vec();
        Self {
            kind,
            private: EncodingKey::from_ec_der(&private_der),
            private_der,
            public_der: spki(pair.public_key()),
            public_members: members([("kty", "EC".into()), ("crv", crv.into()), ("x", b64(x)), ("y", b64(y))]),
            private_members: members([("d", b64(pair.private_key().as_be_bytes().expect(SERIALIZES).as_ref()))]),
        }
    }

    fn ed25519(pair: &Ed25519KeyPair) -> Self {
        let seed = pair.seed().expect(SERIALIZES);
        let private_der = pair.to_pkcs8().expect(SERIALIZES).as_ref().to_vec();
        Self {
            kind: Kind::Ed25519,
            private: EncodingKey::from_ed_der(&private_der),
            private_der,
            public_der: spki(pair.public_key()),
            public_members: members([
                ("kty", "OKP".into()),
                ("crv", "Ed25519".into()),
                ("x", b64(pair.public_key().as_ref())),
            ]),
            private_members: members([("d", b64(seed.as_be_bytes().expect(SERIALIZES).as_ref()))]),
        }
    }

    fn rsa(pair: &RsaKeyPair) -> Self {
        // The signer needs the RSAPrivateKey inside of PKCS#8. For a modulus of at least 2048 bits, which AWS-LC requires, the
        // prefix has a fixed length: two headers with lengths of two bytes, version and algorithm.
        const PKCS8_PREFIX: usize = 26;
        let pkcs8 = AsDer::<Pkcs8V1Der<'_>>::as_der(pair).expect(SERIALIZES);
        let private = &pkcs8.as_ref()[PKCS8_PREFIX..];
        let public = PublicKeyComponents::<Vec<u8>>::from(pair.public_key());
        Self {
            kind: Kind::Rsa,
            private: EncodingKey::from_rsa_der(private),
            private_der: pkcs8.as_ref().to_vec(),
            public_der: spki(pair.public_key()),
            public_members: members([("kty", "RSA".into()), ("n", b64(&public.n)), ("e", b64(&public.e))]),
            private_members: rsa_private_members(private),
        }
    }
}

/// AWS-LC fails to write a key that it holds only when it is out of memory.
const SERIALIZES: &str = "AWS-LC serializes a key that it holds";

fn spki(key: &impl AsDer<PublicKeyX509Der<'static>>) -> Vec<u8> {
    key.as_der().expect(SERIALIZES).as_ref().to_vec()
}

fn members<const N: usize>(members: [(&str, String); N]) -> Map<String, Value> {
    members.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect()
}

fn b64(octets: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(octets)
}

fn text<'a>(jwk: &'a Map<String, Value>, member: &'static str) -> Result<&'a str, KeyError> {
    jwk.get(member).and_then(Value::as_str).ok_or(KeyError::member(member))
}

fn octets(jwk: &Map<String, Value>, member: &'static str) -> Result<Vec<u8>, KeyError> {
    URL_SAFE_NO_PAD.decode(text(jwk, member)?).map_err(|_| KeyError::member(member))
}

/// The private parameters of an RSAPrivateKey of AWS-LC, in DER: the reverse of [`rsa_private_key`].
fn rsa_private_members(der: &[u8]) -> Map<String, Value> {
    let (mut integers, _) = content(der);
    let mut private = Map::new();
    for name in ["version", "n", "e", "d", "p", "q", "dp", "dq", "qi"] {
        let (magnitude, rest) = content(integers);
        integers = rest;
        if !["version", "n", "e"].contains(&name) {
            private.insert(name.to_owned(), b64(magnitude.strip_prefix(&[0]).unwrap_or(magnitude)).into());
        }
    }
    private
}

/// The content of the first element of well-formed DER, and what follows the element.
fn content(der: &[u8]) -> (&[u8], &[u8]) {
    let (short, rest) = (usize::from(der[1]), &der[2..]);
    if short < 0x80 {
        return rest.split_at(short);
    }
    let (length, rest) = rest.split_at(short & 0x7F);
    rest.split_at(length.iter().fold(0, |length, octet| length << 8 | usize::from(*octet)))
}

/// The RSAPrivateKey of RFC 8017, appendix A.1.2, in DER.
fn rsa_private_key(jwk: &Map<String, Value>) -> Result<Vec<u8>, KeyError> {
    const INTEGER: u8 = 0x02;
    const SEQUENCE: u8 = 0x30;
    let two_primes = der(INTEGER, &[0]);
    let mut integers = two_primes;
    for member in ["n", "e", "d", "p", "q", "dp", "dq", "qi"] {
        let mut magnitude = octets(jwk, member)?;
        let zeros = magnitude.iter().take_while(|octet| **octet == 0).count();
        magnitude.drain(..zeros);
        // DER integers are signed: a zero precedes a number whose first bit is set, and an empty one.
        if magnitude.first().is_none_or(|first| first & 0x80 != 0) {
            magnitude.insert(0, 0);
        }
        integers.extend(der(INTEGER, &magnitude));
    }
    Ok(der(SEQUENCE, &integers))
}

fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len().to_be_bytes();
    let length = &length[length.iter().take_while(|octet| **octet == 0).count()..];
    let mut out = vec![tag];
    if content.len() < 0x80 {
        out.push(content.len() as u8);
    } else {
        out.push(0x80 | length.len() as u8);
        out.extend(length);
    }
    out.extend(content);
    out
}
