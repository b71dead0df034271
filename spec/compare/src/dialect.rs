//! What the access tokens of an issuer look like, in the words of the specification and of the gate.

use scopegate_core::jwt;
use scopegate_spec::{ClientClaim, Evidence, Profile, Required, ScopeClaim};

use crate::text::{Members, array, quoted, set};

/// A profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// RFC 9068.
    Rfc9068,
    /// RFC 9068 without `sub`, `client_id`, `iat` and `jti`.
    Waived,
    /// `typ` of `JWT` or none; scopes in `scp`, of either shape, which are the evidence.
    ScopeIsEvidence,
    /// `typ` of `JWT`; `kind` of `access` is the evidence; the client is in `azp`; scopes in an array.
    ClaimIsEvidence,
    /// No `typ`; `permissions` or `kind` is the evidence; scopes are nested.
    Nested,
    /// The first of two scope claims.
    FirstOf,
    /// Keycloak.
    Keycloak,
    /// GenAuth.
    GenAuth,
    /// Auth0.
    Auth0,
}

impl Dialect {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Rfc9068,
        Self::Waived,
        Self::ScopeIsEvidence,
        Self::ClaimIsEvidence,
        Self::Nested,
        Self::FirstOf,
        Self::Keycloak,
        Self::GenAuth,
        Self::Auth0,
    ];

    /// For the specification.
    pub fn specified(self) -> Profile {
        let kind = || Evidence::OneOf("kind".to_owned(), vec!["access".to_owned()]);
        let present = |name: &str| Evidence::Present(name.to_owned());
        let azp = || "azp".to_owned();
        match self {
            Self::Rfc9068 => Profile::rfc9068(),
            Self::Waived => [Required::Subject, Required::Client, Required::IssuedAt, Required::TokenId]
                .into_iter()
                .fold(Profile::rfc9068(), Profile::waive),
            Self::ScopeIsEvidence => Profile {
                scope_claims: vec![ScopeClaim::named("scp", true, true)],
                ..Profile::compat(&[Some("JWT"), None], vec![Evidence::Scope])
            },
            Self::ClaimIsEvidence => Profile {
                scope_claims: vec![ScopeClaim::named("scope", false, true)],
                client: ClientClaim::Named(azp()),
                ..Profile::compat(&[Some("JWT")], vec![kind()])
            },
            Self::Nested => Profile {
                scope_claims: vec![ScopeClaim { path: NESTED.map(str::to_owned).to_vec(), string: true, array: true }],
                ..Profile::compat(&[None], vec![present("permissions"), kind()])
            },
            Self::FirstOf => Profile {
                scope_claims: vec![ScopeClaim::named("scp", false, true), ScopeClaim::named("scope", true, false)],
                ..Profile::compat(&[Some("JWT")], vec![Evidence::Scope])
            },
            Self::Keycloak => Profile {
                client: ClientClaim::Named(azp()),
                marks: false,
                ..Profile::compat(
                    &[Some("JWT"), Some("at+jwt")],
                    vec![Evidence::OneOf("typ".to_owned(), vec!["Bearer".to_owned(), "DPoP".to_owned()])],
                )
            },
            Self::GenAuth => Profile {
                client: ClientClaim::NamedOrSoleAudience(azp()),
                ..Profile::compat(&[Some("JWT")], vec![Evidence::Scope])
            }
            .waive(Required::Subject)
            .waive(Required::Client)
            .waive(Required::TokenId),
            Self::Auth0 => Profile {
                client: ClientClaim::Named(azp()),
                ..Profile::compat(&[Some("JWT")], vec![Evidence::Scope, present("permissions"), present("gty")])
            }
            .waive(Required::TokenId),
        }
    }

    /// For the gate.
    pub fn implemented(self) -> jwt::Profile {
        use jwt::{Evidence, Profile, RequiredClaim, ScopeClaim};
        let kind = || Evidence::claim("kind", "access");
        match self {
            Self::Rfc9068 => Profile::rfc9068(),
            Self::Waived => {
                [RequiredClaim::Subject, RequiredClaim::ClientId, RequiredClaim::IssuedAt, RequiredClaim::TokenId]
                    .into_iter()
                    .fold(Profile::rfc9068(), Profile::dangerous_waive)
            }
            Self::ScopeIsEvidence => Profile::compat("scope is evidence")
                .accept_type("JWT")
                .accept_absent_type()
                .scope_claim(ScopeClaim::string_or_array("scp"))
                .evidence(Evidence::scope_claim()),
            Self::ClaimIsEvidence => Profile::compat("claim is evidence")
                .accept_type("JWT")
                .scope_claim(ScopeClaim::array("scope"))
                .client_claim("azp")
                .evidence(kind()),
            Self::Nested => Profile::compat("nested")
                .accept_absent_type()
                .scope_claim(ScopeClaim::path(NESTED))
                .evidence(Evidence::any_of([Evidence::claim_present("permissions"), kind()])),
            Self::FirstOf => Profile::compat("first of two")
                .accept_type("JWT")
                .scope_claim(ScopeClaim::first_of([ScopeClaim::array("scp"), ScopeClaim::string("scope")]))
                .evidence(Evidence::scope_claim()),
            Self::Keycloak => Profile::keycloak(),
            Self::GenAuth => Profile::genauth(),
            Self::Auth0 => Profile::auth0(),
        }
    }

    /// Whether its tokens name their kind, which a waived audience requires.
    pub fn names_kind(self) -> bool {
        matches!(self, Self::Rfc9068 | Self::Waived | Self::Keycloak)
    }

    /// The `typ` of a good token, as JSON.
    pub fn typ(self) -> Option<String> {
        match self {
            Self::Rfc9068 | Self::Waived => Some(quoted("at+jwt")),
            Self::Nested => None,
            _ => Some(quoted("JWT")),
        }
    }

    /// Writes the claims of a good token that depend on the dialect.
    pub fn write(self, claims: &mut Members, client: &str, scopes: &[&str]) {
        let text = quoted(&scopes.join(" "));
        let (name, scope) = match self {
            Self::ScopeIsEvidence => ("scp", text),
            Self::ClaimIsEvidence => ("scope", array(scopes)),
            Self::FirstOf if scopes.len().is_multiple_of(2) => ("scp", array(scopes)),
            Self::Nested => ("realm_access", format!("{{\"roles\":{}}}", array(scopes))),
            _ => ("scope", text),
        };
        set(claims, name, scope);
        let client_claim = match self {
            Self::ClaimIsEvidence | Self::Keycloak | Self::GenAuth | Self::Auth0 => "azp",
            _ => "client_id",
        };
        set(claims, client_claim, quoted(client));
        match self {
            Self::ClaimIsEvidence | Self::Nested => set(claims, "kind", quoted("access")),
            Self::Keycloak => set(claims, "typ", quoted("Bearer")),
            Self::Auth0 => set(claims, "gty", quoted("client-credentials")),
            _ => {}
        }
    }
}

const NESTED: [&str; 2] = ["realm_access", "roles"];
