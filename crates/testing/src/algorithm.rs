use std::fmt;

/// A signature algorithm of JSON Web Signature, by its registered name.
///
/// The name of a variant is both what a key generated for it publishes as `alg` and what a token signed by it says in
/// its header. The two names of Ed25519 signatures are therefore two variants; they use the same kind of key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SigningAlgorithm {
    /// `Ed25519`: EdDSA on that curve, under the fully specified name of
    /// [RFC 9864](https://www.rfc-editor.org/rfc/rfc9864).
    Ed25519,
    /// `EdDSA`: the same signature under the name that [RFC 8037](https://www.rfc-editor.org/rfc/rfc8037) gave it, and
    /// that most issuers still send.
    EdDsa,
    /// `ES256`: ECDSA on P-256 with SHA-256. The default.
    #[default]
    Es256,
    /// `ES384`: ECDSA on P-384 with SHA-384.
    Es384,
    /// `PS256`: RSASSA-PSS with SHA-256.
    Ps256,
    /// `RS256`: RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
}

impl SigningAlgorithm {
    /// Every algorithm; of the two names of Ed25519 signatures only `EdDSA`.
    ///
    /// That includes two RSA keys, which take longer to generate than most tests take to run.
    pub fn all() -> impl Iterator<Item = Self> {
        [Self::Es256, Self::Es384, Self::EdDsa, Self::Ps256, Self::Rs256].into_iter()
    }

    /// The registered name, as in `alg`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ed25519 => "Ed25519",
            Self::EdDsa => "EdDSA",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::Ps256 => "PS256",
            Self::Rs256 => "RS256",
        }
    }

    /// The algorithm of that name, if it is one of these.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::all().chain([Self::Ed25519]).find(|algorithm| algorithm.name() == name)
    }
}

impl fmt::Display for SigningAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
