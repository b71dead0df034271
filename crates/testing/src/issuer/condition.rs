use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use super::{introspection::IntrospectionTrouble, site::Endpoint};

/// The state of the server: whether it responds and how fast, and the fault of its introspection.
#[derive(Clone, Debug, Default)]
pub(super) struct Condition {
    pub(super) failure: Option<Failure>,
    pub(super) delay: Duration,
    pub(super) introspection: Option<IntrospectionTrouble>,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Failure {
    /// The connection is closed instead of a response.
    HungUp,
    /// 503 Service Unavailable.
    Unavailable,
}

/// The number of requests to each endpoint of a [`TestIssuer`](crate::TestIssuer), including failed ones.
///
/// A snapshot, taken by [`TestIssuer::requests`](crate::TestIssuer::requests).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RequestCounts {
    /// Requests for a metadata document, at any of the well-known paths.
    pub discovery: u64,
    /// Requests to the introspection endpoint.
    pub introspection: u64,
    /// Requests for the JWK Set.
    pub jwks: u64,
    /// Requests to the revocation endpoint.
    pub revocation: u64,
    /// Requests to the rotation endpoint.
    pub rotation: u64,
    /// Requests to the token endpoint.
    pub token: u64,
}

/// The live counts.
#[derive(Debug, Default)]
pub(super) struct Counters {
    discovery: AtomicU64,
    introspection: AtomicU64,
    jwks: AtomicU64,
    revocation: AtomicU64,
    rotation: AtomicU64,
    token: AtomicU64,
}

impl Counters {
    pub(super) fn count(&self, endpoint: Endpoint) {
        match endpoint {
            Endpoint::Discovery => &self.discovery,
            Endpoint::Introspection => &self.introspection,
            Endpoint::Jwks => &self.jwks,
            Endpoint::Revocation => &self.revocation,
            Endpoint::Rotation => &self.rotation,
            Endpoint::Token => &self.token,
        }
        .fetch_add(1, Ordering::SeqCst);
    }

    pub(super) fn snapshot(&self) -> RequestCounts {
        RequestCounts {
            discovery: self.discovery.load(Ordering::SeqCst),
            introspection: self.introspection.load(Ordering::SeqCst),
            jwks: self.jwks.load(Ordering::SeqCst),
            revocation: self.revocation.load(Ordering::SeqCst),
            rotation: self.rotation.load(Ordering::SeqCst),
            token: self.token.load(Ordering::SeqCst),
        }
    }
}
