use serde_json::{Map, Value, json};

use crate::{Mint, SigningAlgorithm};

/// The dialect of a token: its header type and its claims before the test changes any.
///
/// `iss`, `iat`, `exp` and, except in an ID token, a unique `jti` are in every shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Shape {
    /// A GenAuth (formerly Authing) machine token, from the client credentials grant: `typ: JWT`, `azp` for the
    /// client, a scope, and neither `sub` nor `client_id`.
    ///
    /// Signed by RS256, as that issuer does, where there is such a key. For its paths, give the issuer
    /// [`path("/oidc")`](crate::TestIssuerBuilder::path) and
    /// [`jwks_path("/.well-known/jwks.json")`](crate::TestIssuerBuilder::jwks_path).
    GenAuthMachine,
    /// A GenAuth user token: `typ: JWT`, `sub`, a scope, and no `client_id`. Signed like a machine token.
    ///
    /// Its audience is the mint's, as in all access tokens here; a real one names the application's identifier.
    GenAuthUser,
    /// An OpenID Connect ID token: `typ: JWT`, the client as audience, `nonce` and `auth_time`, and no scope.
    IdToken,
    /// An access token of [RFC 9068](https://www.rfc-editor.org/rfc/rfc9068), with all required claims: `typ: at+jwt`,
    /// `sub`, `aud`, `client_id` and `jti`. It has no scope until given one.
    Rfc9068,
}

impl Shape {
    pub(super) fn typ(self) -> &'static str {
        match self {
            Self::GenAuthMachine | Self::GenAuthUser | Self::IdToken => "JWT",
            Self::Rfc9068 => "at+jwt",
        }
    }

    /// The algorithm that issuers of this dialect use, whatever other keys they have.
    pub(super) fn preferred_algorithm(self) -> Option<SigningAlgorithm> {
        match self {
            Self::GenAuthMachine | Self::GenAuthUser => Some(SigningAlgorithm::Rs256),
            Self::IdToken | Self::Rfc9068 => None,
        }
    }

    /// The claims of a valid token, without the times that the builder sets.
    pub(super) fn claims(self, mint: &Mint, issued_at: i64, unique: &str) -> Map<String, Value> {
        let claims = match self {
            Self::GenAuthMachine => json!({
                "aud": mint.audience(),
                "azp": Mint::CLIENT_ID,
                "jti": unique,
                "scope": "message",
            }),
            Self::GenAuthUser => json!({
                "aud": mint.audience(),
                "jti": unique,
                "scope": "openid email message",
                "sub": Mint::SUBJECT,
            }),
            Self::IdToken => json!({
                "aud": Mint::CLIENT_ID,
                "auth_time": issued_at,
                "nonce": unique,
                "sub": Mint::SUBJECT,
            }),
            Self::Rfc9068 => json!({
                "aud": mint.audience(),
                "client_id": Mint::CLIENT_ID,
                "jti": unique,
                "sub": Mint::SUBJECT,
            }),
        };
        let Value::Object(mut claims) = claims else { unreachable!("every arm is an object") };
        claims.insert("iss".to_owned(), mint.issuer().into());
        claims.insert("iat".to_owned(), issued_at.into());
        claims
    }
}
