use std::{error::Error as StdError, fmt};

/// Why a private JWK, or a set of them, was refused.
///
/// The text names the faulty member and shows nothing of the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyError {
    reason: Reason,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Reason {
    Inconsistent,
    Member(&'static str),
    NotASet,
    NotAnObject,
    Unsupported,
}

impl KeyError {
    pub(super) const INCONSISTENT: Self = Self { reason: Reason::Inconsistent };
    pub(super) const NOT_AN_OBJECT: Self = Self { reason: Reason::NotAnObject };
    pub(super) const NOT_A_SET: Self = Self { reason: Reason::NotASet };
    pub(super) const UNSUPPORTED: Self = Self { reason: Reason::Unsupported };

    pub(super) const fn member(name: &'static str) -> Self {
        Self { reason: Reason::Member(name) }
    }
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.reason {
            Reason::Inconsistent => f.write_str("the private and the public half of the JWK are not one valid key"),
            Reason::Member(name) => write!(f, "the JWK has no usable `{name}`"),
            Reason::NotASet => f.write_str("not a JWK Set: a JSON object with an array `keys`"),
            Reason::NotAnObject => f.write_str("the JWK is not a JSON object"),
            Reason::Unsupported => f.write_str("the JWK is neither P-256, P-384, Ed25519 nor RSA"),
        }
    }
}

impl StdError for KeyError {}
