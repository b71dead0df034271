//! The settings of an issuer's introspection.

use std::{collections::BTreeMap, path::PathBuf};

use serde::Deserialize;

use super::{
    place::{Place, not_null, table},
    value::{Address, List, Quantity, Secret, algorithm},
};
use crate::{
    introspection::{ClientAuthentication, Introspection},
    online::{CacheConfig, Limits},
};

table! {
    #[serde(expecting = "a table of settings")]
    pub(super) struct IntrospectionTable {
        endpoint: Option<Address>,
        client_authentication: Option<String>,
        client_id: Option<String>,
        client_secret: Option<Secret>,
        client_secret_file: Option<PathBuf>,
        private_key: Option<Secret>,
        private_key_file: Option<PathBuf>,
        bearer_token: Option<Secret>,
        bearer_token_file: Option<PathBuf>,
        key_id: Option<String>,
        algorithm: Option<String>,
        assertion_audience: Option<String>,
        endpoint_hosts: Option<List>,
        #[serde(deserialize_with = "not_null")]
        token_prefixes: Option<List>,
        /// A value may be a key or a password.
        parameters: BTreeMap<String, Secret>,
        token_type_hint: Option<bool>,
        signed_responses: bool,
        issuer_aliases: Option<List>,
        dangerous_accept_responses_without_audience: bool,
        require_token_type: bool,
        scope_may_be_array: bool,
        #[serde(deserialize_with = "not_null")]
        introspect_jwts: Option<Quantity>,
        cache: CacheTable,
        limits: LimitsTable,
        max_response: Option<Quantity>,
    }
}

table! {
    pub(super) struct CacheTable {
        ttl: Option<Quantity>,
        negative_ttl: Option<Quantity>,
        max_bytes: Option<Quantity>,
    }
}

table! {
    pub(super) struct LimitsTable {
        timeout: Option<Quantity>,
        max_in_flight: Option<Quantity>,
        max_queued: Option<Quantity>,
        breaker_threshold: Option<Quantity>,
        breaker_open_for: Option<Quantity>,
        breaker_max_open_for: Option<Quantity>,
    }
}

impl IntrospectionTable {
    /// Reads the table. If a setting is faulty, the result serves only to find further faults in the builder.
    pub(super) fn read(mut self, place: &mut Place<'_>) -> Introspection {
        place.unknown("introspection.", std::mem::take(&mut self.unknown), Self::NAMES);
        let client = self.client(place).unwrap_or_else(|| ClientAuthentication::none("unknown"));
        let mut introspection = match self.endpoint {
            Some(Address(endpoint)) => Introspection::at(endpoint, client),
            None => Introspection::discovered(client),
        };
        if let Some(hosts) = place.list("introspection.endpoint_hosts", self.endpoint_hosts) {
            introspection = introspection.endpoint_hosts(hosts);
        }
        for prefix in place.list("introspection.token_prefixes", self.token_prefixes).unwrap_or_default() {
            introspection = introspection.token_prefix(prefix);
        }
        for alias in place.list("introspection.issuer_aliases", self.issuer_aliases).unwrap_or_default() {
            introspection = introspection.issuer_alias(alias);
        }
        for (name, value) in self.parameters {
            let setting = format!("introspection.parameters.{}", name.escape_debug());
            if let Some(value) = place.ok(&setting, value.text()) {
                introspection = introspection.parameter(name, value);
            }
        }
        if self.token_type_hint == Some(false) {
            introspection = introspection.without_token_type_hint();
        }
        if self.signed_responses {
            introspection = introspection.signed_responses();
        }
        if self.dangerous_accept_responses_without_audience {
            introspection = introspection.dangerous_accept_responses_without_audience();
        }
        if self.require_token_type {
            introspection = introspection.require_token_type();
        }
        if self.scope_may_be_array {
            introspection = introspection.scope_may_be_array();
        }
        if let Some(check) =
            place.read("introspection.introspect_jwts", self.introspect_jwts, Quantity::jwt_introspection)
        {
            introspection = introspection.introspect_jwts(check);
        }
        if let Some(bytes) = place.read("introspection.max_response", self.max_response, Quantity::size) {
            introspection = introspection.max_response(bytes);
        }
        introspection.cache(self.cache.read(place)).limits(self.limits.read(place))
    }

    /// Reads the client authentication. Takes what the method uses out of the table, so that the rest is refused.
    fn client(&mut self, place: &mut Place<'_>) -> Option<ClientAuthentication> {
        let method = self.client_authentication.take().unwrap_or_else(|| "client_secret_basic".to_owned());
        let client = match method.as_str() {
            "client_secret_basic" => self.with_secret(place, ClientAuthentication::client_secret_basic),
            "client_secret_post" => self.with_secret(place, ClientAuthentication::client_secret_post),
            "client_secret_jwt" => {
                let client = self.with_secret(place, ClientAuthentication::client_secret_jwt);
                self.for_audience(client)
            }
            "private_key_jwt" => {
                let client = self.with_private_key(place);
                self.for_audience(client)
            }
            "bearer" => {
                let (token, file) = (self.bearer_token.take(), self.bearer_token_file.take());
                place.secret("introspection.bearer_token", token, file).map(ClientAuthentication::bearer)
            }
            "tls_client_auth" => self.id(place).map(ClientAuthentication::tls_client_auth),
            "none" => self.id(place).map(ClientAuthentication::none),
            _ => {
                place.fault(
                    "introspection.client_authentication",
                    format_args!(
                        "{method:?} is not a method; use one of client_secret_basic, client_secret_post, \
                         client_secret_jwt, private_key_jwt, bearer, tls_client_auth, none"
                    ),
                );
                return None;
            }
        };
        for (setting, left) in [
            ("introspection.client_id", self.client_id.is_some()),
            ("introspection.client_secret", self.client_secret.is_some()),
            ("introspection.client_secret_file", self.client_secret_file.is_some()),
            ("introspection.private_key", self.private_key.is_some()),
            ("introspection.private_key_file", self.private_key_file.is_some()),
            ("introspection.bearer_token", self.bearer_token.is_some()),
            ("introspection.bearer_token_file", self.bearer_token_file.is_some()),
            ("introspection.key_id", self.key_id.is_some()),
            ("introspection.algorithm", self.algorithm.is_some()),
            ("introspection.assertion_audience", self.assertion_audience.is_some()),
        ] {
            if left {
                place.fault(
                    setting,
                    format_args!("is not used by {method:?}; remove it, or choose another `client_authentication`"),
                );
            }
        }
        client
    }

    fn id(&mut self, place: &mut Place<'_>) -> Option<String> {
        if self.client_id.is_none() {
            place.fault("introspection.client_id", "is missing; set the id that the issuer has for this API");
        }
        self.client_id.take()
    }

    fn with_secret(
        &mut self,
        place: &mut Place<'_>,
        make: fn(String, String) -> ClientAuthentication,
    ) -> Option<ClientAuthentication> {
        let id = self.id(place);
        let (secret, file) = (self.client_secret.take(), self.client_secret_file.take());
        let (id, secret) = id.zip(place.secret("introspection.client_secret", secret, file))?;
        Some(make(id, secret))
    }

    fn with_private_key(&mut self, place: &mut Place<'_>) -> Option<ClientAuthentication> {
        let id = self.id(place);
        let key = place.secret("introspection.private_key", self.private_key.take(), self.private_key_file.take());
        let algorithm = self.algorithm.take().and_then(|name| place.ok("introspection.algorithm", algorithm(&name)));
        let key_id = self.key_id.take();
        let (id, key) = id.zip(key)?;
        let mut client = ClientAuthentication::private_key_jwt(id, key);
        if let Some(algorithm) = algorithm {
            client = client.algorithm(algorithm);
        }
        if let Some(key_id) = key_id {
            client = client.key_id(key_id);
        }
        Some(client)
    }

    fn for_audience(&mut self, client: Option<ClientAuthentication>) -> Option<ClientAuthentication> {
        match self.assertion_audience.take() {
            Some(audience) => client.map(|client| client.audience(audience)),
            None => client,
        }
    }
}

impl CacheTable {
    fn read(self, place: &mut Place<'_>) -> CacheConfig {
        place.unknown("introspection.cache.", self.unknown, Self::NAMES);
        let mut cache = CacheConfig::default();
        if let Some(time) = place.read("introspection.cache.ttl", self.ttl, Quantity::duration) {
            cache = cache.ttl(time);
        }
        if let Some(time) = place.read("introspection.cache.negative_ttl", self.negative_ttl, Quantity::duration) {
            cache = cache.negative_ttl(time);
        }
        if let Some(bytes) = place.read("introspection.cache.max_bytes", self.max_bytes, Quantity::size) {
            cache = cache.max_bytes(bytes);
        }
        cache
    }
}

impl LimitsTable {
    fn read(self, place: &mut Place<'_>) -> Limits {
        place.unknown("introspection.limits.", self.unknown, Self::NAMES);
        let mut limits = Limits::default();
        let (mut first, mut longest) = limits.breaker_open_for;
        for (setting, given, time) in [
            ("introspection.limits.timeout", self.timeout, &mut limits.timeout),
            ("introspection.limits.breaker_open_for", self.breaker_open_for, &mut first),
            ("introspection.limits.breaker_max_open_for", self.breaker_max_open_for, &mut longest),
        ] {
            if let Some(given) = place.read(setting, given, Quantity::duration) {
                *time = given;
            }
        }
        for (setting, given, questions) in [
            ("introspection.limits.max_in_flight", self.max_in_flight, &mut limits.max_in_flight),
            ("introspection.limits.max_queued", self.max_queued, &mut limits.max_queued),
        ] {
            if let Some(given) = place.read(setting, given, Quantity::size) {
                *questions = given;
            }
        }
        if let Some(failures) =
            place.read("introspection.limits.breaker_threshold", self.breaker_threshold, Quantity::count)
        {
            limits.breaker_threshold = failures;
        }
        limits.breaker_open_for(first, longest)
    }
}
