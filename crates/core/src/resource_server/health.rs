use std::{sync::Arc, time::Duration};

use serde::{Serialize, Serializer, ser::SerializeStruct as _};

use crate::{
    dispatch::Dispatch,
    jwt::JwtVerifier,
    keys::KeyHealth,
    online::{CircuitState, OnlineVerifier},
};

/// The health of a resource server's issuers. Made by [`ResourceServer::health`](crate::ResourceServer::health), which causes
/// no traffic, and by [`health_and_refresh`](crate::ResourceServer::health_and_refresh), which may.
///
/// With `serde` it is an object with a boolean `ready` and arrays `issuers`, `tenants` and `online`; times in it are whole
/// seconds, points in time since 1970. It names issuers and key ids, so it is for operators: serve it where only they can reach
/// it.
///
/// ```
/// # fn respond(resource_server: scopegate_core::ResourceServer) -> serde_json::Result<(u16, String)> {
/// let health = resource_server.health_and_refresh();
/// let status = if health.is_ready() { 200 } else { 503 };
/// let body = serde_json::to_string(&health)?;
/// # Ok((status, body))
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    issuers: Vec<IssuerHealth>,
    tenants: Vec<IssuerHealth>,
    online: Vec<OnlineHealth>,
}

/// The health of one issuer whose JWTs are verified here.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct IssuerHealth {
    /// The issuer's identifier.
    pub issuer: Arc<str>,
    /// The state of its keys.
    pub keys: KeyHealth,
}

/// The health of one issuer that is asked about tokens, or of a verifier of the application.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OnlineHealth {
    /// The issuer's identifier, or what the verifier calls the issuer of its tokens.
    pub issuer: Arc<str>,
    /// The state of its circuit breaker: whether it is asked about tokens.
    pub circuit: CircuitState,
    /// For how long it is not asked, where the circuit is open.
    pub retry_after: Option<Duration>,
    /// Whether the last lookup failed.
    pub is_failing: bool,
}

impl Health {
    pub(super) fn of(dispatch: &Dispatch) -> Self {
        let mut health = Self {
            issuers: dispatch.issuers.named_verifiers().map(|verifier| IssuerHealth::of(verifier)).collect(),
            tenants: dispatch.issuers.tenant_verifiers().map(|verifier| IssuerHealth::of(&verifier)).collect(),
            online: dispatch.online_verifiers().map(|online| OnlineHealth::of(online)).collect(),
        };
        for reports in [&mut health.issuers, &mut health.tenants] {
            reports.sort_by(|a, b| a.issuer.cmp(&b.issuer));
        }
        health.online.sort_by(|a, b| a.issuer.cmp(&b.issuer));
        health
    }

    /// The issuers that were named one by one and whose JWTs are verified here, in the order of their identifiers.
    pub fn issuers(&self) -> &[IssuerHealth] {
        &self.issuers
    }

    /// The live [tenants](crate::Tenants), in the order of their identifiers. Keys of a tenant that sends no requests are not
    /// refreshed, however old they are.
    pub fn tenants(&self) -> &[IssuerHealth] {
        &self.tenants
    }

    /// The issuers that are [asked](crate::introspection) about tokens, and the [verifiers](crate::token_verifier) of the
    /// application, in the order of their names. An issuer may be among [`issuers`](Self::issuers) as well.
    pub fn online(&self) -> &[OnlineHealth] {
        &self.online
    }

    /// Whether the tokens of every issuer can be verified: issuers whose JWTs are verified here have keys, and no circuit of
    /// those that are asked is open. Tenants do not count: strangers can name them, and they come and go.
    ///
    /// A circuit is open for the time that its [`Limits`](crate::online::Limits) set, and half open from then on until the next
    /// lookup. Half open counts as ready, or else a service that a probe takes out of rotation would never ask again.
    ///
    /// With several issuers, consider whether a probe should depend on this: when one of them is down for longer than its keys
    /// may be used, tokens of the others can still be verified.
    pub fn is_ready(&self) -> bool {
        self.issuers.iter().all(|issuer| issuer.keys.is_ready()) && self.online.iter().all(OnlineHealth::is_ready)
    }
}

impl IssuerHealth {
    fn of(verifier: &JwtVerifier) -> Self {
        Self { issuer: Arc::clone(&verifier.validation.issuer), keys: verifier.keys.health() }
    }
}

impl OnlineHealth {
    fn of(online: &OnlineVerifier) -> Self {
        let (circuit, retry_after, is_failing) = online.health();
        Self { issuer: Arc::clone(&online.validation.issuer), circuit, retry_after, is_failing }
    }

    /// Whether it will be asked about the next token.
    pub fn is_ready(&self) -> bool {
        self.circuit != CircuitState::Open
    }
}

impl Serialize for Health {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut health = serializer.serialize_struct("Health", 4)?;
        health.serialize_field("ready", &self.is_ready())?;
        health.serialize_field("issuers", &self.issuers)?;
        health.serialize_field("tenants", &self.tenants)?;
        health.serialize_field("online", &self.online)?;
        health.end()
    }
}

impl Serialize for OnlineHealth {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut online = serializer.serialize_struct("OnlineHealth", 4)?;
        online.serialize_field("issuer", &*self.issuer)?;
        online.serialize_field("circuit", self.circuit.as_str())?;
        online.serialize_field("retry_after", &self.retry_after.map(|time| time.as_secs()))?;
        online.serialize_field("failing", &self.is_failing)?;
        online.end()
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::KeyState;

    fn issuer(name: &str, state: KeyState) -> IssuerHealth {
        IssuerHealth { issuer: name.into(), keys: KeyHealth { state, ..KeyHealth::cached(None) } }
    }

    fn online(name: &str, circuit: CircuitState) -> OnlineHealth {
        OnlineHealth { issuer: name.into(), circuit, retry_after: None, is_failing: circuit != CircuitState::Closed }
    }

    #[test]
    fn a_server_is_ready_if_every_issuer_has_keys_and_no_circuit_is_open_whatever_tenants_do() {
        use CircuitState::{Closed, HalfOpen, Open};
        use KeyState::{Fresh, Stale, Unavailable};
        for (issuers, circuits, is_ready) in [
            (&[][..], &[][..], true),
            (&[Fresh, Stale], &[Closed, HalfOpen], true),
            (&[Fresh, Unavailable], &[Closed], false),
            (&[Unavailable], &[], false),
            (&[Fresh], &[Closed, Open], false),
            (&[], &[Open], false),
        ] {
            let health = Health {
                issuers: issuers.iter().map(|state| issuer("i", *state)).collect(),
                tenants: vec![issuer("t", Unavailable)],
                online: circuits.iter().map(|circuit| online("o", *circuit)).collect(),
            };
            assert_eq!(health.is_ready(), is_ready, "{health:?}");
        }
        assert!(online("o", Closed).is_ready() && online("o", HalfOpen).is_ready() && !online("o", Open).is_ready());
    }

    #[test]
    fn health_is_written_as_it_is_read() {
        let health = Health {
            issuers: vec![issuer("i", KeyState::Fresh)],
            tenants: vec![issuer("t", KeyState::Stale)],
            online: vec![OnlineHealth {
                retry_after: Some(Duration::from_millis(7_900)),
                ..online("o", CircuitState::Open)
            }],
        };
        assert_eq!((health.issuers(), health.tenants()), (&health.issuers[..], &health.tenants[..]));
        assert_eq!(health.online(), &health.online[..]);
        let written = serde_json::to_value(&health).unwrap();
        assert_eq!(written["ready"], false);
        assert_eq!(
            (&written["issuers"][0]["issuer"], &written["issuers"][0]["keys"]["state"]),
            (&"i".into(), &"fresh".into())
        );
        assert_eq!(written["tenants"][0]["keys"]["state"], "stale");
        assert_eq!(
            written["online"],
            serde_json::json!([{ "issuer": "o", "circuit": "open", "retry_after": 7, "failing": true }])
        );
    }
}
