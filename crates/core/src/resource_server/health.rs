use std::sync::Arc;

use serde::{Serialize, Serializer, ser::SerializeStruct as _};

use crate::{dispatch::Issuers, jwks::KeyHealth, jwt::JwtVerifier};

/// How a resource server's issuers are doing. Made by [`ResourceServer::health`](crate::ResourceServer::health).
///
/// With `serde` it is an object with a boolean `ready` and arrays `issuers` and `tenants`; times in it are whole seconds, points in time
/// since 1970. It names issuers and key ids, so it is for operators: serve it where they alone can ask.
///
/// ```
/// # fn respond(resource_server: scopegate_core::ResourceServer) -> serde_json::Result<(u16, String)> {
/// let health = resource_server.health();
/// let status = if health.is_ready() { 200 } else { 503 };
/// let body = serde_json::to_string(&health)?;
/// # Ok((status, body))
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    issuers: Vec<IssuerHealth>,
    tenants: Vec<IssuerHealth>,
}

/// How one issuer is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct IssuerHealth {
    /// The issuer's identifier.
    pub issuer: Arc<str>,
    /// How its keys are doing.
    pub keys: KeyHealth,
}

impl Health {
    pub(super) fn of(issuers: &Issuers) -> Self {
        let mut health = Self {
            issuers: issuers.fixed().map(|verifier| IssuerHealth::of(verifier)).collect(),
            tenants: issuers.live().map(|verifier| IssuerHealth::of(&verifier)).collect(),
        };
        for reports in [&mut health.issuers, &mut health.tenants] {
            reports.sort_by(|a, b| a.issuer.cmp(&b.issuer));
        }
        health
    }

    /// The issuers that were named one by one, in the order of their identifiers.
    pub fn issuers(&self) -> &[IssuerHealth] {
        &self.issuers
    }

    /// The [tenants](crate::Tenants) that are live, in the order of their identifiers. Those that nobody asks for rest, with
    /// keys as old as they may be.
    pub fn tenants(&self) -> &[IssuerHealth] {
        &self.tenants
    }

    /// Whether the tokens of every issuer can be judged. Tenants do not count: strangers can name them, and they come and go.
    ///
    /// With several issuers think twice before a probe rests on this: when one of them is down for longer than its keys
    /// serve, the others still do.
    pub fn is_ready(&self) -> bool {
        self.issuers.iter().all(|issuer| issuer.keys.is_ready())
    }
}

impl IssuerHealth {
    fn of(verifier: &JwtVerifier) -> Self {
        Self { issuer: Arc::clone(&verifier.rules.issuer), keys: verifier.keys.health() }
    }
}

impl Serialize for Health {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut health = serializer.serialize_struct("Health", 3)?;
        health.serialize_field("ready", &self.is_ready())?;
        health.serialize_field("issuers", &self.issuers)?;
        health.serialize_field("tenants", &self.tenants)?;
        health.end()
    }
}

impl Serialize for IssuerHealth {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut issuer = serializer.serialize_struct("IssuerHealth", 2)?;
        issuer.serialize_field("issuer", &*self.issuer)?;
        issuer.serialize_field("keys", &self.keys)?;
        issuer.end()
    }
}
