use scopegate_axum::ResourceServer;
use serde::{Deserialize, Serialize};

use crate::Shared;

/// A kind of token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    Jwt,
    Opaque,
    ApiKey,
    Dpop,
}

impl Kind {
    const ALL: [Self; 4] = [Self::Jwt, Self::Opaque, Self::ApiKey, Self::Dpop];

    /// The kinds that the API accepts.
    pub(crate) fn accepted(shared: &Shared) -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(|kind| match kind {
            Self::Jwt => true,
            Self::Opaque => introspects(&shared.resource_server, shared.issuer.issuer()),
            Self::ApiKey => shared.api_keys.is_some(),
            Self::Dpop => shared.resource_server.accepts_dpop(),
        })
    }

    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::Jwt => "JWT",
            Self::Opaque => "opaque token",
            Self::ApiKey => "API key",
            Self::Dpop => "JWT bound to a key (DPoP)",
        }
    }

    /// The scheme of `Authorization`.
    pub(crate) const fn scheme(self) -> &'static str {
        match self {
            Self::Dpop => "DPoP",
            Self::Jwt | Self::Opaque | Self::ApiKey => "Bearer",
        }
    }
}

/// Whether this issuer is asked about tokens.
fn introspects(resource_server: &ResourceServer, issuer: &str) -> bool {
    resource_server.health().online().iter().any(|online| &*online.issuer == issuer)
}
