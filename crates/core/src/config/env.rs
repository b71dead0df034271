//! Configuration from environment variables.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    net::{IpAddr, SocketAddr},
};

use super::{
    Config,
    binding::{CertificateTable, DpopTable},
    caching::{JwtCacheTable, RefreshTable},
    introspection::{CacheTable, IntrospectionTable, LimitsTable},
    issuer::{GrammarTable, HeaderTable, IssuerTable},
    resource::ResourceTable,
    spelling::meant,
    value::{Address, List, Secret},
};

impl Config {
    /// Reads the variables of the process whose names begin with `prefix` and an underscore: `SCOPEGATE_LEEWAY` with
    /// `SCOPEGATE`.
    ///
    /// [`build`](crate::ResourceServerBuilder::build) reports their faults. See the [module
    /// docs](crate::config#environment-variables).
    pub fn from_env(prefix: &str) -> Self {
        Self::from_vars(prefix, std::env::vars_os())
    }

    /// Like [`from_env`](Self::from_env), with these names and values instead of the process's variables.
    ///
    /// ```
    /// use scopegate_core::config::Config;
    ///
    /// let builder = Config::from_vars(
    ///     "MY_API",
    ///     [("MY_API_ISSUER", "https://tenant.example/oidc"), ("MY_API_AUDIENCE", "https://api.example"), ("HOME", "/root")],
    /// )
    /// .into_builder();
    /// # let _ = builder;
    /// ```
    pub fn from_vars<N, V>(prefix: &str, vars: impl IntoIterator<Item = (N, V)>) -> Self
    where
        N: AsRef<OsStr>,
        V: Into<OsString>,
    {
        let prefix = format!("{}_", prefix.trim_end_matches('_'));
        // Sorted by name, so that faults are always reported in the same order.
        let vars: BTreeMap<String, OsString> = vars
            .into_iter()
            .map(|(name, value)| (name.as_ref().to_string_lossy().into_owned(), value.into()))
            .filter(|(name, _)| name.starts_with(&prefix))
            .collect();

        let mut config = Self { variables: Some(prefix.clone()), ..Self::default() };
        let mut issuers = BTreeMap::new();
        let mut service_links = Vec::new();
        for (name, value) in vars {
            let outcome = match value.into_string() {
                Ok(value) if is_service_link(&name[prefix.len()..], &value) => {
                    service_links.push(name);
                    continue;
                }
                Ok(value) if value.is_empty() => {
                    Err("is empty; give it a value, or unset it for the default".to_owned())
                }
                Ok(value) => config.set(&name[prefix.len()..], value, &mut issuers),
                Err(_) => Err("is not UTF-8".to_owned()),
            };
            if let Err(fault) = outcome {
                let meant = (fault == UNKNOWN).then(|| meant(&name[prefix.len()..])).flatten();
                config.faults.push(match meant {
                    Some(meant) => format!("{name}: is not a setting; did you mean `{prefix}{meant}`?"),
                    None => format!("{name}: {fault}"),
                });
            }
        }
        if !service_links.is_empty() {
            let variables = service_links.join(", ");
            tracing::debug!(variables, "variables that Kubernetes made for services are ignored");
        }
        config.issuers = issuers
            .into_iter()
            .map(|(number, issuer)| IssuerTable {
                place: Some(match number {
                    None => format!("{prefix}ISSUER"),
                    Some(number) => format!("{prefix}ISSUER_{number}"),
                }),
                ..issuer
            })
            .collect();
        config
    }

    /// Sets the setting of the variable of this name, which is without the prefix.
    pub(super) fn set(
        &mut self,
        name: &str,
        value: String,
        issuers: &mut BTreeMap<Option<u16>, IssuerTable>,
    ) -> Result<(), String> {
        match name {
            "AUDIENCE" => self.audience = Some(list(&value)?),
            "LEEWAY" => self.leeway = Some(value.into()),
            "TOKEN_HEADER" => self.token_header = Some(value),
            "USER_AGENT" => self.user_agent = Some(value),
            "REQUIRE_BOUND_TOKENS" => self.require_bound_tokens = boolean(&value)?,
            "FAPI_2_0" => self.fapi_2_0 = boolean(&value)?,
            "UNIFORM_REFUSALS" => self.uniform_refusals = boolean(&value)?,
            "MAX_TOKEN_AGE" => self.max_token_age = Some(value.into()),
            "MAX_TOKEN_LENGTH" => self.max_token_length = Some(value.into()),
            "STARTUP" => self.startup = Some(value.into()),
            _ => {
                if let Some(name) = name.strip_prefix("KEY_REFRESH_") {
                    return self.key_refresh.set(name, value);
                }
                if let Some(name) = name.strip_prefix("JWT_CACHE_") {
                    return self.jwt_cache.set(name, value);
                }
                if let Some(name) = name.strip_prefix("DPOP_") {
                    return self.dpop.get_or_insert_default().set(name, value);
                }
                if let Some(name) = name.strip_prefix("CERTIFICATE_BINDING_") {
                    return self.certificate_binding.get_or_insert_default().set(name, value);
                }
                if let Some(name) = name.strip_prefix("PROTECTED_RESOURCE_") {
                    return self.protected_resource.get_or_insert_default().set(name, value);
                }
                let (number, name) = numbered(name).map_or((None, name), |(number, name)| (Some(number), name));
                // An unknown name must not add an issuer.
                let mut issuer = issuers.get(&number).cloned().unwrap_or_default();
                issuer.set(name, value)?;
                issuers.insert(number, issuer);
            }
        }
        Ok(())
    }
}

impl IssuerTable {
    fn set(&mut self, name: &str, value: String) -> Result<(), String> {
        match name {
            "ISSUER" => self.issuer = Some(Address(value)),
            "TEMPLATE" => self.template = Some(Address(value)),
            "TRUSTED_TENANTS" => self.trusted_tenants = Some(list(&value)?),
            "MAX_LIVE_TENANTS" => self.max_live_tenants = Some(value.into()),
            "AUDIENCE" => self.audience = Some(list(&value)?),
            "AUTHORIZED_PARTIES" => self.authorized_parties = Some(list(&value)?),
            "ALGORITHMS" => self.algorithms = Some(list(&value)?),
            "PROFILE" => self.profile = Some(value),
            "SCOPE_CLAIM" => self.scope_claim = Some(list(&value)?),
            "SCOPE_GRAMMAR" => self.scope_grammar = Some(GrammarTable::Named(value)),
            "JWKS_URI" => self.jwks_uri = Some(Address(value)),
            "METADATA_URL" => self.metadata_url = Some(Address(value)),
            "JWKS_FILE" => self.jwks_file = Some(value.into()),
            "JWKS_HEADER_NAME" => self.header().name = Some(Secret::Text(value)),
            "JWKS_HEADER_VALUE" => self.header().value = Some(Secret::Text(value)),
            "JWKS_HEADER_VALUE_FILE" => self.header().value_file = Some(value.into()),
            "KEY_HOSTS" => self.key_hosts = Some(list(&value)?),
            "DANGEROUS_ALLOW_HTTP_ON_LOOPBACK" => self.dangerous_allow_http_on_loopback = boolean(&value)?,
            "DANGEROUS_ALLOW_HTTP_FOR_HOST" => self.dangerous_allow_http_for_host = Some(list(&value)?),
            "DANGEROUS_ALLOW_SEVERAL_ALGORITHMS_PER_KEY" => {
                self.dangerous_allow_several_algorithms_per_key = boolean(&value)?;
            }
            "DANGEROUS_WAIVE_AUDIENCE" => self.dangerous_waive_audience = boolean(&value)?,
            _ => {
                if let Some(name) = name.strip_prefix("KEY_REFRESH_") {
                    return self.key_refresh.get_or_insert_default().set(name, value);
                }
                return match name.strip_prefix("INTROSPECTION_") {
                    Some(name) => self.introspection.get_or_insert_default().set(name, value),
                    None => Err(UNKNOWN.to_owned()),
                };
            }
        }
        Ok(())
    }

    fn header(&mut self) -> &mut HeaderTable {
        self.jwks_header.get_or_insert_default()
    }
}

impl IntrospectionTable {
    fn set(&mut self, name: &str, value: String) -> Result<(), String> {
        match name {
            "ENDPOINT" => self.endpoint = Some(Address(value)),
            "CLIENT_AUTHENTICATION" => self.client_authentication = Some(value),
            "CLIENT_ID" => self.client_id = Some(value),
            "CLIENT_SECRET" => self.client_secret = Some(Secret::Text(value)),
            "CLIENT_SECRET_FILE" => self.client_secret_file = Some(value.into()),
            "PRIVATE_KEY" => self.private_key = Some(Secret::Text(value)),
            "PRIVATE_KEY_FILE" => self.private_key_file = Some(value.into()),
            "BEARER_TOKEN" => self.bearer_token = Some(Secret::Text(value)),
            "BEARER_TOKEN_FILE" => self.bearer_token_file = Some(value.into()),
            "KEY_ID" => self.key_id = Some(value),
            "ALGORITHM" => self.algorithm = Some(value),
            "ASSERTION_AUDIENCE" => self.assertion_audience = Some(value),
            "ENDPOINT_HOSTS" => self.endpoint_hosts = Some(list(&value)?),
            "TOKEN_PREFIXES" => self.token_prefixes = Some(list(&value)?),
            "TOKEN_TYPE_HINT" => self.token_type_hint = Some(boolean(&value)?),
            "SIGNED_RESPONSES" => self.signed_responses = boolean(&value)?,
            "ISSUER_ALIASES" => self.issuer_aliases = Some(list(&value)?),
            "DANGEROUS_ACCEPT_RESPONSES_WITHOUT_AUDIENCE" => {
                self.dangerous_accept_responses_without_audience = boolean(&value)?;
            }
            "REQUIRE_TOKEN_TYPE" => self.require_token_type = boolean(&value)?,
            "SCOPE_MAY_BE_ARRAY" => self.scope_may_be_array = boolean(&value)?,
            "INTROSPECT_JWTS" => self.introspect_jwts = Some(value.into()),
            "MAX_RESPONSE" => self.max_response = Some(value.into()),
            _ => {
                if let Some(name) = name.strip_prefix("CACHE_") {
                    return self.cache.set(name, value);
                }
                return match name.strip_prefix("LIMITS_") {
                    Some(name) => self.limits.set(name, value),
                    None => Err(UNKNOWN.to_owned()),
                };
            }
        }
        Ok(())
    }
}

impl CacheTable {
    fn set(&mut self, name: &str, value: String) -> Result<(), String> {
        let setting = match name {
            "TTL" => &mut self.ttl,
            "NEGATIVE_TTL" => &mut self.negative_ttl,
            "MAX_BYTES" => &mut self.max_bytes,
            _ => return Err(UNKNOWN.to_owned()),
        };
        *setting = Some(value.into());
        Ok(())
    }
}

impl LimitsTable {
    fn set(&mut self, name: &str, value: String) -> Result<(), String> {
        let setting = match name {
            "TIMEOUT" => &mut self.timeout,
            "MAX_IN_FLIGHT" => &mut self.max_in_flight,
            "MAX_QUEUED" => &mut self.max_queued,
            "BREAKER_THRESHOLD" => &mut self.breaker_threshold,
            "BREAKER_OPEN_FOR" => &mut self.breaker_open_for,
            "BREAKER_MAX_OPEN_FOR" => &mut self.breaker_max_open_for,
            _ => return Err(UNKNOWN.to_owned()),
        };
        *setting = Some(value.into());
        Ok(())
    }
}

impl RefreshTable {
    fn set(&mut self, name: &str, value: String) -> Result<(), String> {
        let setting = match name {
            "COOL_DOWN" => &mut self.cool_down,
            "MIN_INTERVAL" => &mut self.min_interval,
            "MAX_INTERVAL" => &mut self.max_interval,
            "STALE_IF_ERROR" => &mut self.stale_if_error,
            "TIMEOUT" => &mut self.timeout,
            "MAX_DOCUMENT" => &mut self.max_document,
            "MAX_KEYS" => &mut self.max_keys,
            _ => return Err(UNKNOWN.to_owned()),
        };
        *setting = Some(value.into());
        Ok(())
    }
}

impl ResourceTable {
    fn set(&mut self, name: &str, value: String) -> Result<(), String> {
        match name {
            "AUDIENCE" => self.audience = Some(list(&value)?),
            "AUTHORIZATION_SERVERS" => self.authorization_servers = Some(list(&value)?),
            "SCOPES" => self.scopes = Some(list(&value)?),
            "IDENTIFIER" => self.identifier = Some(value),
            "NAME" => self.name = Some(value),
            "DOCUMENTATION" => self.documentation = Some(value),
            "POLICY" => self.policy = Some(value),
            "TERMS_OF_SERVICE" => self.terms_of_service = Some(value),
            "SIGNED_METADATA" => self.signed_metadata = Some(value),
            _ => return Err(UNKNOWN.to_owned()),
        }
        Ok(())
    }
}

impl DpopTable {
    fn set(&mut self, name: &str, value: String) -> Result<(), String> {
        match name {
            "PUBLIC_URL" => self.public_url = Some(list(&value)?),
            "ALGORITHMS" => self.algorithms = Some(list(&value)?),
            "MAX_PROOF_AGE" => self.max_proof_age = Some(value.into()),
            "NONCES" => self.nonces = Some(boolean(&value)?),
            "NONCE_SECRET" => self.nonce_secret = Some(Secret::Text(value)),
            "NONCE_SECRET_FILE" => self.nonce_secret_file = Some(value.into()),
            "PREVIOUS_NONCE_SECRET" => self.previous_nonce_secret = Some(Secret::Text(value)),
            "PREVIOUS_NONCE_SECRET_FILE" => self.previous_nonce_secret_file = Some(value.into()),
            "NONCE_LIFETIME" => self.nonce_lifetime = Some(value.into()),
            "REPLAY_MEMORY" => self.replay_memory = Some(value.into()),
            _ => return Err(UNKNOWN.to_owned()),
        }
        Ok(())
    }
}

impl CertificateTable {
    fn set(&mut self, name: &str, value: String) -> Result<(), String> {
        match name {
            "SOURCE" => self.source = Some(value),
            "HEADER" => self.header = Some(value),
            "TRUSTED_PEERS" => self.trusted_peers = Some(list(&value)?),
            _ => return Err(UNKNOWN.to_owned()),
        }
        Ok(())
    }
}

impl JwtCacheTable {
    fn set(&mut self, name: &str, value: String) -> Result<(), String> {
        let setting = match name {
            "MAX_BYTES" => &mut self.max_bytes,
            "MAX_ENTRIES" => &mut self.max_entries,
            _ => return Err(UNKNOWN.to_owned()),
        };
        *setting = Some(value.into());
        Ok(())
    }
}

pub(super) const UNKNOWN: &str =
    "is not a setting; check its spelling, or choose another prefix if it belongs to another program";

/// Whether Kubernetes made this variable for a service of the namespace (service links), by the name without the prefix and
/// the form of the value. No setting has such a name.
fn is_service_link(name: &str, value: &str) -> bool {
    let is_port = || value.parse::<u16>().is_ok();
    let is_address = || value.parse::<IpAddr>().is_ok();
    let is_protocol = |text: &str| ["tcp", "udp", "sctp"].contains(&text);
    let is_url = || {
        value.split_once("://").is_some_and(|(scheme, rest)| is_protocol(scheme) && rest.parse::<SocketAddr>().is_ok())
    };
    let is_link = |port: &str, protocol: &str| port.parse::<u16>().is_ok() && is_protocol(&protocol.to_lowercase());

    let parts: Vec<&str> = name.split('_').collect();
    match parts.as_slice() {
        [.., "PORT", port, protocol] if is_link(port, protocol) => is_url(),
        [.., "PORT", port, protocol, "PROTO"] if is_link(port, protocol) => is_protocol(value),
        [.., "PORT", port, protocol, "PORT"] if is_link(port, protocol) => is_port(),
        [.., "PORT", port, protocol, "ADDR"] if is_link(port, protocol) => is_address(),
        [.., "SERVICE", "HOST"] => is_address(),
        [.., "PORT"] if is_url() => true,
        // The port alone, or a named port of the service.
        parts => parts.windows(2).any(|pair| pair == ["SERVICE", "PORT"]) && is_port(),
    }
}

/// The number of an issuer and its setting: `ISSUER_2` and `ISSUER_2_PROFILE`.
pub(super) fn numbered(name: &str) -> Option<(u16, &str)> {
    let rest = name.strip_prefix("ISSUER_")?;
    let (digits, setting) = match rest.split_once('_') {
        // Each setting has one spelling, so that no two variables set the same one.
        Some((_, "ISSUER")) => return None,
        Some(parts) => parts,
        None => (rest, "ISSUER"),
    };
    digits.parse().ok().filter(|number: &u16| number.to_string() == digits).map(|number| (number, setting))
}

fn list(value: &str) -> Result<List, String> {
    let elements: Vec<String> = value.split(',').map(|element| element.trim().to_owned()).collect();
    if elements.iter().any(String::is_empty) {
        return Err("has an empty element; separate the elements by single commas".into());
    }
    Ok(List(elements))
}

fn boolean(value: &str) -> Result<bool, String> {
    match value {
        "false" => Ok(false),
        "true" => Ok(true),
        _ => Err(format!("{value:?} is neither \"true\" nor \"false\"")),
    }
}
