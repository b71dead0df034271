use std::{error::Error as StdError, fmt, str::FromStr};

/// A signature algorithm. A closed set, asymmetric only.
///
/// There is no `none` and no HMAC, so that no issuer's list can contain them (RFC 8725 §3.1, §3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Algorithm {
    /// ECDSA on P-256 with SHA-256 (RFC 7518 §3.4).
    Es256,
    /// ECDSA on P-384 with SHA-384 (RFC 7518 §3.4).
    Es384,
    /// Ed25519 (RFC 9864 §2.2), whose older name is `EdDSA` (RFC 8037 §3.1). Both names mean this algorithm.
    Ed25519,
    /// RSASSA-PKCS1-v1_5 with SHA-256 (RFC 7518 §3.3).
    Rs256,
    /// RSASSA-PKCS1-v1_5 with SHA-384 (RFC 7518 §3.3).
    Rs384,
    /// RSASSA-PKCS1-v1_5 with SHA-512 (RFC 7518 §3.3).
    Rs512,
    /// RSASSA-PSS with SHA-256 (RFC 7518 §3.5).
    Ps256,
    /// RSASSA-PSS with SHA-384 (RFC 7518 §3.5).
    Ps384,
    /// RSASSA-PSS with SHA-512 (RFC 7518 §3.5).
    Ps512,
}

impl Algorithm {
    /// Every algorithm.
    pub const ALL: &'static [Self] = &[
        Self::Es256,
        Self::Es384,
        Self::Ed25519,
        Self::Rs256,
        Self::Rs384,
        Self::Rs512,
        Self::Ps256,
        Self::Ps384,
        Self::Ps512,
    ];

    /// The default algorithms of an issuer: those in wide use, one hash length each.
    ///
    /// The order matters for a key without `alg`: it is used with the first algorithm that fits it.
    pub const DEFAULT: &'static [Self] = &[Self::Rs256, Self::Ps256, Self::Es256, Self::Es384, Self::Ed25519];

    /// The registered name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::Ed25519 => "Ed25519",
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
            Self::Ps256 => "PS256",
            Self::Ps384 => "PS384",
            Self::Ps512 => "PS512",
        }
    }

    /// The algorithm of this registered name, compared exactly and case-sensitively.
    pub fn from_name(name: &str) -> Option<Self> {
        // ALG-4, JOSE-7: neither an HMAC nor `none` has a name here. ALG-6, ALG-7: the older name is that of Ed25519.
        match name {
            "EdDSA" => Some(Self::Ed25519),
            _ => Self::ALL.iter().copied().find(|algorithm| algorithm.as_str() == name),
        }
    }
}

/// See [`from_name`](Algorithm::from_name).
impl FromStr for Algorithm {
    type Err = UnknownAlgorithm;

    fn from_str(name: &str) -> Result<Self, UnknownAlgorithm> {
        Self::from_name(name).ok_or(UnknownAlgorithm(()))
    }
}

/// The name is not that of a supported signature algorithm. It may be that of an HMAC, or `none`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownAlgorithm(());

impl fmt::Display for UnknownAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not one of")?;
        Algorithm::ALL.iter().try_for_each(|algorithm| write!(f, " {algorithm}"))
    }
}

impl StdError for UnknownAlgorithm {}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_exact_and_closed() {
        for algorithm in Algorithm::ALL {
            assert_eq!(Algorithm::from_name(algorithm.as_str()), Some(*algorithm));
            assert_eq!(Algorithm::from_name(&algorithm.as_str().to_lowercase()), None);
        }
        assert_eq!(Algorithm::from_name("EdDSA"), Some(Algorithm::Ed25519));
        assert_eq!(Algorithm::Ed25519.to_string(), "Ed25519");
        for name in ["none", "None", "", "HS256", "HS384", "HS512", "ES512", "ES256K", "RS256 ", "Ed448", "RSA-OAEP"] {
            assert_eq!(Algorithm::from_name(name), None, "{name}");
        }
    }
}
