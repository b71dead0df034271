use std::{fmt, sync::Arc, time::Duration};

use super::ClientAuthentication;
use crate::{
    net::fetch::Fetch,
    online::{CacheConfig, Limits},
    redact,
};

/// The longest answer that is read unless [`Introspection::max_response`] says otherwise, in bytes.
const DEFAULT_MAX_RESPONSE: usize = 64 * 1024;

/// Form fields that are for us to send.
const OURS: [&str; 6] =
    ["token", "token_type_hint", "client_id", "client_secret", "client_assertion", "client_assertion_type"];

/// Where and how an issuer is asked about tokens, and what its answers are held to. See the [module docs](super).
///
/// | setting | default |
/// |---|---|
/// | [`cache`](Self::cache) | [`CacheConfig::default`]: a revoked token works for 30 s at most |
/// | [`limits`](Self::limits) | [`Limits::default`] |
/// | [`introspect_jwts`](Self::introspect_jwts) | [`JwtIntrospection::WhereDemanded`] |
/// | [`signed_responses`](Self::signed_responses) | plain JSON |
/// | [`token_prefix`](Self::token_prefix) | none |
/// | [`max_response`](Self::max_response) | 64 KiB |
/// | [`fetch`](Self::fetch) | the resource server's |
#[derive(Clone)]
#[must_use = "an introspection has to be given to an `Issuer`"]
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

/// Whether an issuer is asked about its JWTs as well, so that one that was revoked stops working before it expires.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum JwtIntrospection {
    /// They are verified locally, and asked about where a `RequireActive` layer demands it.
    #[default]
    WhereDemanded,
    /// They are verified locally and asked about, each token as often as this: an answer may be so old. Zero asks for every
    /// request.
    Every(Duration),
    /// Their signatures are not checked: the issuer's word is what counts. What such a token says of itself can still refuse it,
    /// before the issuer is asked: `cnf` (RFC 7800 §3.1), a `typ` other than `at+jwt`, `JWT` and those of the issuer's
    /// [`Profile`](crate::jwt::Profile), a claim that marks another kind of token, an `exp`, `nbf` or `iat` that does not fit
    /// the time, and an `aud` that does not name this API. What it leaves out, the answer has to say.
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

    /// Asks at the `introspection_endpoint` of the issuer's metadata document, which is read with the first question. It has
    /// to be at the issuer's own host, unless [`endpoint_hosts`](Self::endpoint_hosts) allows others.
    pub fn discovered(client: ClientAuthentication) -> Self {
        Self::new(client, None)
    }

    /// Asks at this endpoint.
    pub fn at(endpoint: impl Into<String>, client: ClientAuthentication) -> Self {
        Self::new(client, Some(endpoint.into()))
    }

    /// Asks at an endpoint that is discovered at one of these hosts, too. Our credentials and every opaque token go there.
    pub fn endpoint_hosts<H: Into<String>>(mut self, hosts: impl IntoIterator<Item = H>) -> Self {
        self.endpoint_hosts.extend(hosts.into_iter().map(Into::into));
        self
    }

    /// Sends this form field as well, for an endpoint that wants one. May be called several times.
    pub fn parameter(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.parameters.push((name.into(), value.into()));
        self
    }

    /// Leaves out `token_type_hint=access_token`, for an endpoint that cannot bear it. There are issuers that answer about
    /// refresh tokens as active unless they are told what is asked about.
    pub fn without_token_type_hint(mut self) -> Self {
        self.token_type_hint = false;
        self
    }

    /// Says that this issuer's opaque tokens begin like this, such as `ory_at_`. May be called several times. Where several
    /// issuers are asked about tokens, all but one of them need a prefix.
    pub fn token_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefixes.push(prefix.into());
        self
    }

    /// Demands signed answers (RFC 9701), by the issuer's keys. A plain one counts as no answer, so that nobody in between
    /// can strip the signature off. Without this, a signed answer counts as none. Encrypted answers are not supported.
    pub fn signed_responses(mut self) -> Self {
        self.signed = true;
        self
    }

    /// Takes this name in `iss` for the issuer's own, besides its identifier. Some answer by an older one.
    pub fn issuer_alias(mut self, name: impl Into<String>) -> Self {
        self.aliases.push(name.into());
        self
    }

    /// Accepts answers that name no audience. Then nothing says that the token is meant for this API, unless the issuer
    /// answers each client about its own tokens only: list the clients that may use theirs here with
    /// [`Issuer::authorized_parties`](crate::Issuer::authorized_parties). An answer that names audiences has to name this API.
    ///
    /// Some issuers, node-oidc-provider among them, call refresh tokens active whatever the hint, and it is the missing audience
    /// that tells those from access tokens. Add [`require_token_type`](Self::require_token_type) there.
    pub fn dangerous_accept_responses_without_audience(mut self) -> Self {
        self.audience_waived = true;
        self
    }

    /// Refuses tokens whose answer has no `token_type`, for an issuer that has one in answers about access tokens only.
    pub fn require_token_type(mut self) -> Self {
        self.demands_token_type = true;
        self
    }

    /// Takes an array of scopes in `scope` as well as a string, for an issuer that does not keep to RFC 7662 §2.2.
    pub fn scope_may_be_array(mut self) -> Self {
        self.scope_may_be_array = true;
        self
    }

    /// Says whether JWTs of this issuer are asked about.
    pub fn introspect_jwts(mut self, check: JwtIntrospection) -> Self {
        self.jwts = check;
        self
    }

    /// Remembers answers in this way.
    pub fn cache(mut self, cache: CacheConfig) -> Self {
        self.cache = cache;
        self
    }

    /// Asks within these limits.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// The longest answer that is read, in bytes. A longer one counts as none.
    pub fn max_response(mut self, bytes: usize) -> Self {
        self.max_response = bytes;
        self
    }

    /// Asks with this client instead of the resource server's, one that presents a certificate for example.
    pub fn fetch(mut self, fetch: impl Fetch) -> Self {
        self.fetch = Some(Arc::new(fetch));
        self
    }

    /// What is wrong with these settings, whichever issuer they are for.
    pub(crate) fn faults(&self) -> Vec<String> {
        let mut faults: Vec<String> =
            crate::online::faults(&self.cache, &self.limits).map(|fault| format!("introspection {fault}")).collect();
        for (name, _) in &self.parameters {
            if name.is_empty() || OURS.contains(&&**name) {
                faults.push(format!("introspection sends the form field {name:?} itself; leave it out"));
            }
        }
        for prefix in &self.prefixes {
            if prefix.is_empty()
                || !prefix.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte))
            {
                faults.push(format!("no token begins with the prefix {prefix:?}; it has letters, digits and -._~+/"));
            }
        }
        if !(1024..=16 * 1024 * 1024).contains(&self.max_response) {
            faults.push("the longest answer is not between 1 KiB and 16 MiB; the default is 64 KiB".into());
        }
        if let JwtIntrospection::Every(age) = self.jwts
            && age > self.cache.ttl
        {
            faults.push(format!(
                "JWTs would be asked about every {age:?}, and answers are remembered for {:?} only; let `ttl` be as long",
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
