use serde_json::{Map, Value, json};

use crate::{Mint, SigningAlgorithm};

/// The dialect of a token: its header type and its claims before the test changes any, and where its scope is.
///
/// `iss`, `iat` and `exp` are in every shape. A resource server accepts the access tokens of an issuer by the `Profile` of the
/// same name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Shape {
    /// An access token of a user from Auth0: `typ: JWT`, `azp` for the client, and the scope `openid`.
    Auth0,
    /// An access token of a user from Amazon Cognito: no `typ`, `token_use: access`, the scope
    /// `aws.cognito.signin.user.admin`, and no `aud`. The resource server waives the audience and lists the clients.
    Cognito,
    /// An access token of a user from Microsoft Entra ID, version 2.0: `typ: JWT`, `azp` for the client, and the scope
    /// `access_as_user` in `scp`. Its issuer has the tenant in its name: give it
    /// [`path("/00000000-0000-4000-8000-000000000002/v2.0")`](crate::TestIssuerBuilder::path).
    EntraV2,
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
    /// An access token of a user from Keycloak: `typ: JWT` in the header, the claim `typ: Bearer`, `azp` for the client,
    /// `account` beside the audience, and the scope `email profile`.
    Keycloak,
    /// An access token of a user from Okta: no `typ`, `cid` for the client, and the scope `openid` in the array `scp`.
    Okta,
    /// An access token of [RFC 9068](https://www.rfc-editor.org/rfc/rfc9068), with all required claims: `typ: at+jwt`,
    /// `sub`, `aud`, `client_id` and `jti`. It has no scope until given one.
    Rfc9068,
}

impl Shape {
    /// Every shape.
    pub fn all() -> impl Iterator<Item = Self> {
        [
            Self::Auth0,
            Self::Cognito,
            Self::EntraV2,
            Self::GenAuthMachine,
            Self::GenAuthUser,
            Self::IdToken,
            Self::Keycloak,
            Self::Okta,
            Self::Rfc9068,
        ]
        .into_iter()
    }

    /// The name of the shape, as the token endpoint of a [`TestIssuer`](crate::TestIssuer) takes it: `keycloak`,
    /// `id-token`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Auth0 => "auth0",
            Self::Cognito => "cognito",
            Self::EntraV2 => "entra-v2",
            Self::GenAuthMachine => "genauth-machine",
            Self::GenAuthUser => "genauth-user",
            Self::IdToken => "id-token",
            Self::Keycloak => "keycloak",
            Self::Okta => "okta",
            Self::Rfc9068 => "rfc9068",
        }
    }

    pub(super) fn typ(self) -> Option<&'static str> {
        match self {
            Self::Auth0 | Self::EntraV2 | Self::GenAuthMachine | Self::GenAuthUser | Self::IdToken | Self::Keycloak => {
                Some("JWT")
            }
            Self::Cognito | Self::Okta => None,
            Self::Rfc9068 => Some("at+jwt"),
        }
    }

    /// The claim with this scope.
    pub(super) fn scope(self, scope: String) -> (&'static str, Value) {
        match self {
            Self::EntraV2 => ("scp", scope.into()),
            Self::Okta => ("scp", scope.split_ascii_whitespace().collect()),
            _ => ("scope", scope.into()),
        }
    }

    /// The algorithm that issuers of this dialect use, whatever other keys they have.
    pub(super) fn preferred_algorithm(self) -> Option<SigningAlgorithm> {
        match self {
            Self::GenAuthMachine | Self::GenAuthUser => Some(SigningAlgorithm::Rs256),
            _ => None,
        }
    }

    /// The claims of a valid token, without the times that the builder sets.
    pub(super) fn claims(self, mint: &Mint, issued_at: i64, unique: &str) -> Map<String, Value> {
        let claims = match self {
            Self::Auth0 => json!({
                "aud": mint.audience(),
                "azp": Mint::CLIENT_ID,
                "scope": "openid",
                "sub": Mint::SUBJECT,
            }),
            Self::Cognito => json!({
                "auth_time": issued_at,
                "client_id": Mint::CLIENT_ID,
                "jti": unique,
                "scope": "aws.cognito.signin.user.admin",
                "sub": Mint::SUBJECT,
                "token_use": "access",
                "username": Mint::SUBJECT,
                "version": 2,
            }),
            Self::EntraV2 => json!({
                "aud": mint.audience(),
                "azp": Mint::CLIENT_ID,
                "azpacr": "1",
                "oid": "00000000-0000-4000-8000-000000000001",
                "scp": "access_as_user",
                "sub": Mint::SUBJECT,
                "tid": "00000000-0000-4000-8000-000000000002",
                "uti": unique,
                "ver": "2.0",
            }),
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
            Self::Keycloak => json!({
                "aud": [mint.audience(), "account"],
                "azp": Mint::CLIENT_ID,
                "jti": unique,
                "preferred_username": Mint::SUBJECT,
                "scope": "email profile",
                "sub": Mint::SUBJECT,
                "typ": "Bearer",
            }),
            Self::Okta => json!({
                "aud": mint.audience(),
                "cid": Mint::CLIENT_ID,
                "jti": format!("AT.{unique}"),
                "scp": ["openid"],
                "sub": Mint::SUBJECT,
                "uid": Mint::SUBJECT,
                "ver": 1,
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
