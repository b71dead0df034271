mod fapi;
mod faults;

use std::{
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use http::{HeaderName, HeaderValue};
use tokio::runtime::Handle;

use super::{
    Inner, Issuer, ProtectedResource, ResourceServer, Startup, Tenants,
    faults::{BuildError, Faults},
    protected_resource::Resource,
    tenants::Group,
    token_end::Invalidations,
    verifier_factory::{Membership, VerifierFactory},
};
use crate::{
    clock::{Clock, SystemClock},
    config::origin::Origin,
    confirmation::{
        Checkable, ConfirmationVerifier,
        certificate::CertificateBinding,
        dpop::{Dpop, DpopVerifier, ReplayStore},
    },
    crypto::CryptoBackend,
    custom::token_verifier::TokenVerifier,
    dispatch::{Dispatch, Issuers, TenantSet},
    jwt::cache::{JwtCache, JwtCacheConfig},
    keys::KeyRefresh,
    net::fetch::{Fetch, USER_AGENT_NAME},
    observe::Observer,
    token::claims::ClaimNames,
};

/// The tolerated difference between clocks, unless [`ResourceServerBuilder::leeway`] says otherwise.
const DEFAULT_LEEWAY: Duration = Duration::from_secs(60);

/// The longest token that is read, in bytes, unless [`ResourceServerBuilder::max_token_length`] says otherwise.
const DEFAULT_MAX_TOKEN_LENGTH: usize = 16 * 1024;

/// Settings of a [`ResourceServer`]. Issuers and audiences are mandatory; the rest has defaults.
///
/// The settings of one issuer (its profile, its algorithms, its keys) are on [`Issuer`]. Unless
/// [`startup`](Self::startup) says otherwise, building checks the settings and makes no request: keys are fetched when the
/// first token needs them.
///
/// | setting | default |
/// |---|---|
/// | [`protected_resource`](Self::protected_resource) | none: no metadata document |
/// | [`startup`](Self::startup) | [`Startup::Lazy`]: serve at once |
/// | [`key_refresh`](Self::key_refresh) | [`KeyRefresh::default`] |
/// | [`observer`](Self::observer) | none |
/// | [`leeway`](Self::leeway) | 60 s, at most 5 min |
/// | [`max_token_length`](Self::max_token_length) | 16 KiB |
/// | [`max_token_age`](Self::max_token_age) | no limit but `exp` |
/// | [`token_header`](Self::token_header) | none besides `Authorization` |
/// | [`dpop`](Self::dpop) | off: tokens that are bound to a key are refused |
/// | [`certificate_binding`](Self::certificate_binding) | off: tokens that are bound to a certificate are refused |
/// | [`require_bound_tokens`](Self::require_bound_tokens) | off: bearer tokens are accepted |
/// | [`fapi_2_0`](Self::fapi_2_0) | off |
/// | [`uniform_refusals`](Self::uniform_refusals) | off: a client is told what was wrong |
/// | [`jwt_cache`](Self::jwt_cache) | 100 000 JWTs, at most 64 MiB |
/// | [`clock`](Self::clock) | the operating system's |
/// | [`fetch`](Self::fetch) | `ReqwestFetch`, with the feature `reqwest` |
/// | [`user_agent`](Self::user_agent) | `scopegate/` and its version |
/// | [`crypto`](Self::crypto) | AWS-LC where it is compiled in, else RustCrypto |
#[derive(Debug)]
#[must_use = "a builder builds nothing until `build` is called"]
pub struct ResourceServerBuilder {
    issuers: Vec<Issuer>,
    tenants: Vec<Tenants>,
    applications: Vec<Arc<dyn TokenVerifier>>,
    audiences: Vec<String>,
    resources: Vec<ProtectedResource>,
    leeway: Duration,
    max_token_length: usize,
    max_token_age: Option<Duration>,
    key_refresh: KeyRefresh,
    startup: Startup,
    observer: Option<Arc<dyn Observer>>,
    token_header: Option<HeaderName>,
    dpop: Option<Dpop>,
    dpop_is_set_twice: bool,
    replay_store: Option<Arc<dyn ReplayStore>>,
    certificates: Option<CertificateBinding>,
    certificates_are_set_twice: bool,
    demands_binding: bool,
    is_fapi: bool,
    uniform_refusals: bool,
    jwt_cache: JwtCacheConfig,
    clock: Arc<dyn Clock>,
    fetch: Option<Arc<dyn Fetch>>,
    user_agent: HeaderValue,
    crypto: Option<CryptoBackend>,
    /// What the settings come from that no single issuer has, and those of DPoP.
    origin: Origin,
    dpop_origin: Origin,
    /// The faults of a [`Config`](crate::config::Config) that the settings came from.
    faults: Faults,
}

impl Default for ResourceServerBuilder {
    fn default() -> Self {
        Self {
            issuers: Vec::new(),
            tenants: Vec::new(),
            applications: Vec::new(),
            audiences: Vec::new(),
            resources: Vec::new(),
            leeway: DEFAULT_LEEWAY,
            max_token_length: DEFAULT_MAX_TOKEN_LENGTH,
            max_token_age: None,
            key_refresh: KeyRefresh::default(),
            startup: Startup::Lazy,
            observer: None,
            token_header: None,
            dpop: None,
            dpop_is_set_twice: false,
            replay_store: None,
            certificates: None,
            certificates_are_set_twice: false,
            demands_binding: false,
            is_fapi: false,
            uniform_refusals: false,
            jwt_cache: JwtCacheConfig::default(),
            clock: Arc::new(SystemClock),
            fetch: None,
            user_agent: USER_AGENT_NAME,
            crypto: CryptoBackend::compiled_in(),
            origin: Origin::Code,
            dpop_origin: Origin::Code,
            faults: Faults::default(),
        }
    }
}

impl ResourceServerBuilder {
    /// Accepts tokens of this issuer, besides those named before.
    pub fn issuer(mut self, issuer: Issuer) -> Self {
        self.issuers.push(issuer);
        self
    }

    /// Accepts tokens of these tenants, besides the issuers and tenants named before. An issuer that is named by itself keeps
    /// its own settings, and of several groups the first that trusts a tenant decides.
    pub fn tenants(mut self, tenants: Tenants) -> Self {
        self.tenants.push(tenants);
        self
    }

    /// Accepts tokens that this verifier of the application verifies, besides those of the issuers named before.
    pub fn verifier(mut self, verifier: impl TokenVerifier) -> Self {
        self.applications.push(Arc::new(verifier));
        self
    }

    /// Names this resource server, as issuers do in `aud`, for every issuer that has no audience of its own. May be called
    /// several times; a token has to have one of them, character for character.
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        self.audiences.push(audience.into());
        self
    }

    /// Names the protected resource that this is (RFC 9728): the URL that clients call. Its audiences are those of this resource
    /// server, unless [`audience`](Self::audience) names others. Challenges point to its metadata document, which a
    /// `ProtectedRouter` serves, and elsewhere the layer `ServeResourceMetadata`.
    ///
    /// Called several times, one process serves several resources with one set of keys and caches. Each accepts the tokens
    /// that name it and no others: what is built serves the first, and
    /// [`for_resource`](ResourceServer::for_resource) gives the others. Audiences then belong to the resources, and to nothing
    /// else, and a token has to name one: those of a verifier of the application by
    /// [`TokenInfo::audience`](crate::custom::token_verifier::TokenInfo::audience).
    pub fn protected_resource(mut self, resource: ProtectedResource) -> Self {
        self.resources.push(resource);
        self
    }

    /// Tolerates this difference between the issuer's clock and this service's, for `exp`, `nbf` and `iat`.
    pub fn leeway(mut self, leeway: Duration) -> Self {
        self.leeway = leeway;
        self
    }

    /// Refuses longer tokens, in bytes, before anything is decoded.
    pub fn max_token_length(mut self, bytes: usize) -> Self {
        self.max_token_length = bytes;
        self
    }

    /// Refuses tokens that were issued longer ago than this, whatever their `exp` says, and tokens without `iat`. Zero is a
    /// fault. It holds for tokens of every kind: for opaque ones `iat` is in the answer of their issuer, and verifiers of the
    /// application set [`TokenInfo::issued_at`](crate::custom::token_verifier::TokenInfo::issued_at), those of API keys
    /// included.
    pub fn max_token_age(mut self, age: Duration) -> Self {
        self.max_token_age = Some(age);
        self
    }

    /// Keeps the keys of every issuer up to date in this way, unless the issuer has settings of its own.
    pub fn key_refresh(mut self, refresh: KeyRefresh) -> Self {
        self.key_refresh = refresh;
        self
    }

    /// Sets whether [`build`](Self::build) waits for the keys of its issuers. It never waits for those of tenants, which are
    /// not known yet.
    pub fn startup(mut self, startup: Startup) -> Self {
        self.startup = startup;
        self
    }

    /// Reports authentications, refusals, fetches, lookups and circuit breakers to this observer.
    pub fn observer(mut self, observer: impl Observer) -> Self {
        self.observer = Some(Arc::new(observer));
        self
    }

    /// Takes tokens from this header too, where a proxy puts them, such as `Cf-Access-Jwt-Assertion`. Its value is a token
    /// and no scheme. There is one such header; the last that is named counts.
    ///
    /// A request with a token in this header and in `Authorization` is refused, and so is one with several of this header.
    /// A client that reaches this service without the proxy can write the header as well, so a token from it is verified like
    /// any other.
    ///
    /// ```
    /// use http::HeaderName;
    /// use scopegate_core::{Issuer, ResourceServer, jwt::Profile};
    ///
    /// let builder = ResourceServer::builder()
    ///     .issuer(
    ///         Issuer::with_jwks_uri("https://team.cloudflareaccess.com", "https://team.cloudflareaccess.com/cdn-cgi/access/certs")
    ///             .audiences(["4714c1358e65fe4b408ad6d432a5f878f08194bdb4752441fd56faefa9b2b6f2"])
    ///             .profile(Profile::cloudflare_access()),
    ///     )
    ///     .token_header(HeaderName::from_static("cf-access-jwt-assertion"));
    /// ```
    pub fn token_header(mut self, name: HeaderName) -> Self {
        self.token_header = Some(name);
        self
    }

    /// Accepts tokens that are bound to a key of the client, with a proof of it in each request (RFC 9449). See
    /// [`dpop`](crate::dpop).
    ///
    /// Once: a second call, or one on a builder of a [`Config`](crate::config::Config) that has settings for it, is a fault. It would
    /// drop the public URLs and the nonces of the first.
    pub fn dpop(mut self, dpop: Dpop) -> Self {
        self.dpop_is_set_twice = self.dpop.is_some();
        self.dpop = Some(dpop);
        self.dpop_origin = Origin::Code;
        self
    }

    /// Remembers used proofs in this store, which the replicas of a service share, as [`Dpop::replay_store`] does: for settings that
    /// come from a [`Config`](crate::config::Config), which names no store.
    pub fn replay_store(mut self, store: impl ReplayStore) -> Self {
        self.replay_store = Some(Arc::new(store));
        self
    }

    /// Accepts tokens that are bound to the certificate of the client's TLS connection (RFC 8705 §3). See [`mtls`](crate::mtls).
    ///
    /// Once: a second call, or one on a builder of a [`Config`](crate::config::Config) that has settings for it, is a fault. It would
    /// drop the header and the trusted peers of the first.
    pub fn certificate_binding(mut self, certificates: CertificateBinding) -> Self {
        self.certificates_are_set_twice = self.certificates.is_some();
        self.certificates = Some(certificates);
        self
    }

    /// Refuses bearer tokens, which any party in possession of them can use (RFC 9700 §2.2.1): a token has to be bound by a
    /// method that is switched on.
    pub fn require_bound_tokens(mut self) -> Self {
        self.demands_binding = true;
        self
    }

    /// Gives one answer to every JWT whose signature was not verified, whatever is wrong: 401, as for an invalid signature.
    ///
    /// Without this, the answer says what is wrong, which saves honest developers hours. But claims are checked before the
    /// signature, so that forged tokens find out by the answers which issuers are trusted, which audiences, algorithms, types
    /// and clients are accepted, and which [`Tenants`] exist. With this, only the log and the [`Reason`](crate::Reason) in the
    /// response's extensions say so. A token of a tenant whose keys cannot be fetched is answered 401, too, and not 503 as for
    /// other issuers: its client does not learn that another attempt may succeed.
    ///
    /// The time that an answer takes still tells something: keys of a tenant are fetched for the first token that names it.
    pub fn uniform_refusals(mut self) -> Self {
        self.uniform_refusals = true;
        self
    }

    /// Sets how many verified JWTs are cached; none with [`JwtCacheConfig::off`].
    ///
    /// The signature of a cached token is not checked again: the token costs a fraction of a microsecond. Its times, its
    /// keys and its issuer are checked for every request all the same, so that no token is accepted that would be refused
    /// without the cache: when the issuer's key set changes, every signature is checked once more.
    pub fn jwt_cache(mut self, cache: JwtCacheConfig) -> Self {
        self.jwt_cache = cache;
        self
    }

    /// Reads the time from this clock.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Fetches metadata and keys with this client.
    pub fn fetch(mut self, fetch: impl Fetch) -> Self {
        self.fetch = Some(Arc::new(fetch));
        self
    }

    /// Sends this `User-Agent` (RFC 9110 §10.1.5) in requests for metadata, for keys and for introspection. An
    /// empty name is a fault, since web application firewalls are known to answer 403 to nameless clients.
    ///
    /// ```
    /// use http::HeaderValue;
    /// use scopegate_core::{Issuer, ResourceServer};
    ///
    /// let builder = ResourceServer::builder()
    ///     .issuer(Issuer::discovered("https://tenant.example/oidc"))
    ///     .user_agent(HeaderValue::from_static("orders-api/1.2"));
    /// ```
    pub fn user_agent(mut self, name: HeaderValue) -> Self {
        self.user_agent = name;
        self
    }

    /// Checks signatures with this library.
    pub fn crypto(mut self, backend: CryptoBackend) -> Self {
        self.crypto = Some(backend);
        self
    }

    /// Makes [`build`](Self::build) report these faults with its own.
    pub(crate) fn with_faults(mut self, faults: Vec<String>) -> Self {
        faults.into_iter().for_each(|fault| self.faults.add(fault));
        self
    }

    /// Makes [`build`](Self::build) name settings as they are written there.
    pub(crate) fn with_origin(self, origin: &Origin) -> Self {
        Self { origin: origin.clone(), dpop_origin: origin.clone(), ..self }
    }

    /// Builds the resource server. Unless [`startup`](Self::startup) says otherwise, it does not wait for its issuers: keys
    /// are fetched when the first token needs them, and the answer is 503 where they cannot be fetched.
    ///
    /// # Errors
    ///
    /// With every fault at once:
    ///
    /// - a setting of a [`Config`](crate::config::Config) is unknown, cannot be read, or contradicts another;
    /// - there is no issuer, two are equal, or one is no StringOrURI (RFC 7519 §2), or no `https` URL without query and
    ///   fragment although its metadata is found by it;
    /// - http is allowed for a text that is no host;
    /// - a protected resource is no `https` URL without a fragment, or what it says of itself is malformed; or there are several
    ///   whose tokens could not be told apart;
    /// - an issuer has no audience, or an audience is empty, has other characters than visible ASCII, or is a URI with a
    ///   fragment;
    /// - an issuer's list of algorithms, of authorized parties or of key hosts is empty;
    /// - an issuer's profile accepts no `typ`, or demands no sign of an access token where `typ` gives none;
    /// - an issuer's other settings do not fit its profile: its audience is waived and no list of clients replaces it, clients
    ///   are listed and its tokens name none, or what the profile of a provider requires is absent;
    /// - given keys are not a JWK Set, or none of them can be used;
    /// - a header for the JWK Set is not a header, or is one where the keys do not come from a URL, or may come from any host;
    /// - the address of a metadata document is not a URL, or is given where the keys are not found through it;
    /// - a template of tenants fits no issuer, or two templates are equal;
    /// - a setting of [`CertificateBinding`] is no address, or contradicts another;
    /// - [`dpop`](Self::dpop) or [`certificate_binding`](Self::certificate_binding) is set twice;
    /// - DPoP is switched on without a public URL, or a setting of [`Dpop`] is out of its bounds; or bound tokens are required
    ///   and no binding is switched on;
    /// - a setting contradicts [`fapi_2_0`](Self::fapi_2_0);
    /// - the leeway is over 5 minutes, the token length or the age of tokens is 0, the token header is one of other
    ///   credentials, or a setting of [`KeyRefresh`] is out of its bounds;
    /// - keys have to be fetched, and there is no client (the feature `reqwest` is off and none was given, or there is no TLS
    ///   provider), or no tokio runtime;
    /// - neither of the features `aws-lc-rs` and `rust-crypto` is on;
    /// - with [`Startup::FailFast`], the keys of an issuer cannot be fetched.
    pub async fn build(mut self) -> Result<ResourceServer, BuildError> {
        let mut faults = std::mem::take(&mut self.faults);
        self.apply_fapi(&mut faults);
        self.check(&mut faults);
        let public_urls = self.public_urls(&mut faults);
        self.provide_fetch(&mut faults);
        if self.audiences.is_empty() {
            // RES-2: the identifiers of the protected resources, unless audiences are named.
            self.audiences = self.resources.iter().flat_map(ProtectedResource::names).cloned().collect();
        }

        let factory = VerifierFactory {
            audiences: self.audiences,
            leeway: self.leeway,
            max_token_age: self.max_token_age,
            key_refresh: self.key_refresh,
            observer: self.observer.clone(),
            clock: Arc::clone(&self.clock),
            fetch: self.fetch,
            user_agent: self.user_agent,
            crypto: self.crypto,
            runtime: Handle::try_current().ok(),
            confirmations: Checkable { certificate: self.certificates.is_some(), dpop: self.dpop.is_some() },
        };
        let mut claim_names = ClaimNames::default();
        let mut trusted = Vec::with_capacity(self.issuers.len());
        let mut default_realm = None;
        let mut audiences: Vec<Box<str>> = Vec::new();
        let mut name_ours = |names: &[String]| {
            let names = if names.is_empty() { &factory.audiences } else { names };
            names.iter().for_each(|name| {
                if !audiences.iter().any(|known| **known == **name) {
                    audiences.push(name.as_str().into());
                }
            });
        };
        for issuer in self.issuers {
            name_ours(&issuer.audiences);
            claim_names.add(issuer.profile.claim_names());
            default_realm = default_realm.or_else(|| issuer.audiences.first().or(factory.audiences.first()).cloned());
            trusted.extend(factory.trusted(issuer, &mut faults));
        }
        let mut tenants = Vec::with_capacity(self.tenants.len());
        for group in self.tenants {
            name_ours(&group.settings.audiences);
            claim_names.add(group.settings.profile.claim_names());
            // The settings are the same for every tenant, so a sample that is never asked shows their faults.
            let sample = factory.verifier(
                group.sample(),
                Some(Membership { is_template: true, ..group.membership(None) }),
                &mut faults,
            );
            default_realm = default_realm.or_else(|| sample?.validation.audiences.first().map(|name| name.to_string()));
            tenants.push(group);
        }
        let mut applications = Vec::with_capacity(self.applications.len());
        for verifier in self.applications {
            name_ours(&[]);
            default_realm = default_realm.or_else(|| factory.audiences.first().cloned());
            applications.extend(factory.application(verifier, &mut faults));
        }
        if default_realm.is_none() && !applications.is_empty() {
            let audience = self.origin.names(".audience(..)", "audience");
            faults.add(format!("audience: none is configured; name this API with {audience}"));
        }
        let secret = self.crypto.and_then(CryptoBackend::random);
        if secret.is_none() && self.crypto.is_some() {
            faults.add("crypto: the operating system has no random numbers to give");
        }
        faults.none()?;

        let issuers = Issuers::new(
            trusted,
            tenants.into_iter().map(|tenants| TenantSet::new(Group { tenants, verifiers: factory.clone() })),
        );
        self.startup.wait_for(&issuers, &*self.clock).await?;

        let confirmation = ConfirmationVerifier {
            dpop: self
                .dpop
                .map(|dpop| DpopVerifier::new(dpop.shared_by(self.replay_store), public_urls, Arc::clone(&self.clock))),
            certificates: self.certificates,
            demands_binding: self.demands_binding,
            crypto: self.crypto,
        };
        let invalidations = Arc::new(Invalidations::new(Arc::clone(&self.clock)));
        Ok(ResourceServer::new(Inner {
            default_realm: default_realm.unwrap_or_default().into(),
            audiences: audiences.into(),
            resources: self
                .resources
                .into_iter()
                .map(|resource| Resource { audiences: resource.names().iter().map(String::as_str).collect(), resource })
                .collect(),
            dispatch: Dispatch { issuers, applications: applications.into() },
            claim_names,
            max_token_length: self.max_token_length,
            token_header: self.token_header,
            confirmation,
            uniform_refusals: self.uniform_refusals,
            authentication_observer: self.observer.clone().filter(|observer| observer.wants_authentications()),
            observer: self.observer,
            log_sampler: Default::default(),
            clock: self.clock,
            jwt_cache: JwtCache::new(self.jwt_cache, secret.unwrap_or_default()),
            invalidation_epoch: AtomicU64::default(),
            invalidations,
        }))
    }

    /// Makes an HTTP client where one is needed and none was given.
    fn provide_fetch(&mut self, faults: &mut Faults) {
        let needed = !self.tenants.is_empty() || self.issuers.iter().any(Issuer::needs_fetch);
        if !needed || self.fetch.is_some() {
            return;
        }
        #[cfg(feature = "reqwest")]
        match crate::net::fetch::ReqwestFetch::new() {
            Ok(fetch) => self.fetch = Some(Arc::new(fetch)),
            Err(error) => {
                faults.add(format!("fetch: {}", error.cause().map_or_else(|| error.to_string(), ToString::to_string)))
            }
        }
        #[cfg(not(feature = "reqwest"))]
        faults.add("fetch: there is no HTTP client; enable the feature `reqwest`, or give one with `.fetch(..)`");
    }
}

#[cfg(test)]
#[cfg(any(feature = "aws-lc-rs", feature = "rust-crypto"))]
mod tests;

#[cfg(test)]
#[cfg(not(any(feature = "aws-lc-rs", feature = "rust-crypto")))]
mod tests_without_a_backend {
    use super::*;

    #[tokio::test]
    async fn a_server_without_a_backend_is_a_fault_that_names_the_two_features() {
        for issuer in [
            Issuer::with_jwks("https://as.example", r#"{"keys":[]}"#),
            Issuer::with_jwks_uri("https://as.example", "https://as.example/jwks"),
        ] {
            let error = ResourceServer::builder().issuer(issuer).audience("api").build().await.unwrap_err();
            let fault = "crypto: no backend is compiled in; enable the feature `aws-lc-rs` or `rust-crypto`";
            assert!(error.faults().any(|found| found == fault), "{error}");
        }
    }
}
