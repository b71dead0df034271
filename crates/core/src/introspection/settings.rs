use std::{fmt, sync::Arc, time::Duration};

use super::ClientAuthentication;
use crate::{
    net::fetch::Fetch,
    online::{CacheConfig, Limits},
    redact,
};

/// The default of [`Introspection::max_response`], in bytes.
const DEFAULT_MAX_RESPONSE: usize = 64 * 1024;

/// Form fields that this crate sends itself.
const OURS: [&str; 6] =
    ["token", "token_type_hint", "client_id", "client_secret", "client_assertion", "client_assertion_type"];

/// Where and how an issuer's tokens are introspected, and what is checked of the responses. See the [module docs](super).
///
/// | setting | default |
/// |---|---|
/// | [`cache`](Self::cache) | [`CacheConfig::default`]: a revoked token works for at most 30 s |
/// | [`limits`](Self::limits) | [`Limits::default`] |
/// | [`introspect_jwts`](Self::introspect_jwts) | [`JwtIntrospection::WhereRequired`] |
/// | [`signed_responses`](Self::signed_responses) | plain JSON |
/// | [`token_prefix`](Self::token_prefix) | none |
/// | [`max_response`](Self::max_response) | 64 KiB |
/// | [`fetch`](Self::fetch) | the resource server's |
#[derive(Clone)]
#[must_use = "an introspection has no effect until it is given to an `Issuer`"]
pub struct Introspection {
    pub(crate) client: ClientAuthentication,
    pub(crate) endpoint: Option<String>,
    pub(crate) endpoint_hosts: Vec<String>,
    pub(crate) parameters: Vec<(String, String)>,
    pub(crate) token_type_hint: bool,
    pub(crate) prefixes: Vec<String>,
    pub(crate) signed: bool,
    pub(crate) aliases: Vec<String>,
    pub(crate) audience_waived: bool,
    pub(crate) demands_token_type: bool,
    pub(crate) scope_may_be_array: bool,
    pub(crate) jwts: JwtIntrospection,
    pub(crate) cache: CacheConfig,
    pub(crate) limits: Limits,
    pub(crate) max_response: usize,
    pub(crate) fetch: Option<Arc<dyn Fetch>>,
}

/// Whether an issuer's JWTs are introspected as well, so that a revoked one is refused before it expires.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum JwtIntrospection {
    /// JWTs are verified locally, and introspected on routes with a `RequireActive` layer.
    #[default]
    WhereRequired,
    /// JWTs are verified locally and introspected; a cached response may be this old. Zero introspects for every request.
    NoOlderThan(Duration),
    /// JWTs are introspected and their signatures are not checked: the response decides. Before that, the claims of the token
    /// can refuse it: `cnf` (RFC 7800 §3.1), a `typ` other than `at+jwt`, `JWT` and those of the issuer's
    /// [`Profile`](crate::jwt::Profile), a claim that marks another kind of token, an `exp`, `nbf` or `iat` that does not fit
    /// the time, and an `aud` without this API. The response must have the claims that the token lacks, and its `cnf`.
    Instead,
}

impl Introspection {
    fn new(client: ClientAuthentication, endpoint: Option<String>) -> Self {
        Self {
            client,
            endpoint,
            endpoint_hosts: Vec::new(),
            parameters: Vec::new(),
            token_type_hint: true,
            prefixes: Vec::new(),
            signed: false,
            aliases: Vec::new(),
            audience_waived: false,
            demands_token_type: false,
            scope_may_be_array: false,
            jwts: JwtIntrospection::default(),
            cache: CacheConfig::default(),
            limits: Limits::default(),
            max_response: DEFAULT_MAX_RESPONSE,
            fetch: None,
        }
    }

    /// Uses the `introspection_endpoint` of the issuer's metadata document, which is fetched with the first request. The
    /// endpoint must be at the issuer's own host, unless [`endpoint_hosts`](Self::endpoint_hosts) allows others.
    pub fn discovered(client: ClientAuthentication) -> Self {
        Self::new(client, None)
    }

    /// Uses this endpoint.
    pub fn at(endpoint: impl Into<String>, client: ClientAuthentication) -> Self {
        Self::new(client, Some(endpoint.into()))
    }

    /// Accepts a discovered endpoint at one of these hosts, too. This service's credentials and every opaque token are sent
    /// there.
    pub fn endpoint_hosts<H: Into<String>>(mut self, hosts: impl IntoIterator<Item = H>) -> Self {
        self.endpoint_hosts.extend(hosts.into_iter().map(Into::into));
        self
    }

    /// Adds a form field that the endpoint requires. May be called several times.
    pub fn parameter(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.parameters.push((name.into(), value.into()));
        self
    }

    /// Omits `token_type_hint=access_token`, for an endpoint that rejects it. Some issuers report refresh tokens as active
    /// without the hint.
    pub fn without_token_type_hint(mut self) -> Self {
        self.token_type_hint = false;
        self
    }

    /// Declares a prefix of this issuer's opaque tokens, such as `ory_at_`. May be called several times. Where several issuers
    /// have an introspection, all but one of them need a prefix.
    pub fn token_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefixes.push(prefix.into());
        self
    }

    /// Requires signed responses (RFC 9701), verified with the issuer's keys. A plain response counts as an outage, so that an
    /// intermediary cannot strip the signature. Default: plain responses, and a signed one counts as an outage. Encrypted
    /// responses are not supported.
    pub fn signed_responses(mut self) -> Self {
        self.signed = true;
        self
    }

    /// Accepts this name in the response's `iss` besides the issuer's identifier, for an issuer that still sends an older
    /// name.
    pub fn issuer_alias(mut self, name: impl Into<String>) -> Self {
        self.aliases.push(name.into());
        self
    }

    /// Accepts responses without `aud`. Nothing then says that the token is meant for this API, so a token that was issued for
    /// another API is accepted, unless the issuer answers each client about its own tokens only: list the clients that may use
    /// theirs here by [`Issuer::authorized_parties`](crate::Issuer::authorized_parties). A response with `aud` must still name
    /// this API.
    ///
    /// Some issuers, node-oidc-provider among them, report refresh tokens as active whatever the hint, and only the missing
    /// audience tells them from access tokens. Add [`require_token_type`](Self::require_token_type) there.
    pub fn dangerous_accept_responses_without_audience(mut self) -> Self {
        self.audience_waived = true;
        self
    }

    /// Refuses tokens whose response has no `token_type`, for an issuer that sends one about access tokens only. Default: not
    /// required.
    pub fn require_token_type(mut self) -> Self {
        self.demands_token_type = true;
        self
    }

    /// Accepts an array of scopes in `scope` as well as a string, for an issuer that does not follow RFC 7662 §2.2.
    pub fn scope_may_be_array(mut self) -> Self {
        self.scope_may_be_array = true;
        self
    }

    /// Sets whether JWTs of this issuer are introspected. Default: where a route has a `RequireActive` layer.
    pub fn introspect_jwts(mut self, check: JwtIntrospection) -> Self {
        self.jwts = check;
        self
    }

    /// Sets how long responses are cached. Default: [`CacheConfig::default`], so that a revoked token works for at most 30 s.
    pub fn cache(mut self, cache: CacheConfig) -> Self {
        self.cache = cache;
        self
    }

    /// Bounds concurrent requests to the endpoint, and the waiting for them. Default: [`Limits::default`].
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// The longest response that is read, in bytes. A longer one counts as an outage. Default: 64 KiB, so that the endpoint
    /// cannot exhaust memory.
    pub fn max_response(mut self, bytes: usize) -> Self {
        self.max_response = bytes;
        self
    }

    /// Uses this HTTP client instead of the resource server's, for example one that presents a certificate.
    pub fn fetch(mut self, fetch: impl Fetch) -> Self {
        self.fetch = Some(Arc::new(fetch));
        self
    }

    /// The faults of these settings that do not depend on the issuer.
    pub(crate) fn faults(&self) -> Vec<String> {
        let mut faults: Vec<String> =
            crate::online::faults(&self.cache, &self.limits).map(|fault| format!("introspection {fault}")).collect();
        for (name, _) in &self.parameters {
            if name.is_empty() || OURS.contains(&&**name) {
                faults.push(format!("introspection sends the form field `{name}` itself; remove it"));
            }
        }
        for prefix in &self.prefixes {
            if prefix.is_empty()
                || !prefix.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte))
            {
                faults.push(format!("no token begins with the prefix `{prefix}`; use letters, digits and `-._~+/`"));
            }
        }
        if !(1024..=16 * 1024 * 1024).contains(&self.max_response) {
            faults.push("`max_response` is not between 1 KiB and 16 MiB; the default is 64 KiB".into());
        }
        if let JwtIntrospection::NoOlderThan(age) = self.jwts
            && age > self.cache.ttl
        {
            faults.push(format!(
                "JWTs are introspected every {age:?}, and responses are cached for {:?} only; raise the cache's `ttl`",
                self.cache.ttl
            ));
        }
        faults
    }
}

impl fmt::Debug for Introspection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parameters: Vec<&str> = self.parameters.iter().map(|(name, _)| &**name).collect();
        f.debug_struct("Introspection")
            .field("endpoint", &self.endpoint.as_deref().map(redact::url))
            .field("endpoint_hosts", &self.endpoint_hosts)
            .field("client", &self.client)
            .field("parameters", &parameters)
            .field("prefixes", &self.prefixes)
            .field("signed", &self.signed)
            .field("aliases", &self.aliases)
            .field("audience_waived", &self.audience_waived)
            .field("jwts", &self.jwts)
            .field("cache", &self.cache)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn introspection() -> Introspection {
        Introspection::at("https://as.example/introspect", ClientAuthentication::none("api"))
    }

    #[test]
    fn settings_have_bounds_that_their_ends_are_within() {
        let second = Duration::from_secs(1);
        for within in [
            introspection(),
            introspection().max_response(1024),
            introspection().max_response(16 * 1024 * 1024),
            introspection().parameter("tenant", ""),
            introspection().token_prefix("aZ09-._~+/"),
            introspection().introspect_jwts(JwtIntrospection::NoOlderThan(30 * second)),
            introspection().introspect_jwts(JwtIntrospection::NoOlderThan(Duration::ZERO)).cache(CacheConfig::off()),
        ] {
            assert_eq!(within.faults(), [""; 0], "{within:?}");
        }
        for (beyond, named) in [
            (introspection().max_response(1023), "`max_response`"),
            (introspection().max_response(16 * 1024 * 1024 + 1), "`max_response`"),
            (introspection().parameter("token", "t"), "`token`"),
            (introspection().parameter("", "t"), "``"),
            (introspection().token_prefix(""), "``"),
            (introspection().token_prefix("a b"), "`a b`"),
            (introspection().token_prefix("a="), "`a=`"),
            (introspection().introspect_jwts(JwtIntrospection::NoOlderThan(31 * second)), "every 31s"),
            (introspection().limits(Limits::default().max_in_flight(0)), "introspection "),
        ] {
            let faults = beyond.faults();
            assert!(faults.len() == 1 && faults[0].contains(named), "{faults:?}");
        }
    }

    #[test]
    fn every_fault_is_found_at_once() {
        let faults = OURS.iter().fold(introspection().token_prefix("a b").max_response(0), |introspection, name| {
            introspection.parameter(*name, "value")
        });
        assert_eq!(faults.faults().len(), OURS.len() + 2);
    }
}
