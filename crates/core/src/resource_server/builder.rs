use std::{collections::HashSet, sync::Arc, time::Duration};

use http::{HeaderName, HeaderValue};
use tokio::runtime::Handle;

use super::{
    Inner, Issuer, ResourceServer, Startup, Tenants,
    faults::{BuildError, Faults},
    tenants::Group,
    verifiers::{Membership, Verifiers, audience_faults},
};
use crate::{
    clock::{Clock, SystemClock},
    crypto::CryptoBackend,
    custom::token_verifier::TokenVerifier,
    dispatch::{Dispatch, Issuers, TenantSet},
    jwt::cache::{JwtCache, JwtCacheConfig},
    keys::KeyRefresh,
    net::fetch::{Fetch, USER_AGENT_NAME},
    observe::Observer,
    redact,
    request::credentials::token_header_fault,
    token::claims::ClaimNames,
};

/// The difference between clocks that is tolerated unless [`ResourceServerBuilder::leeway`] says otherwise.
const DEFAULT_LEEWAY: Duration = Duration::from_secs(60);

/// The greatest leeway. More of it would keep expired tokens alive rather than make up for clocks.
const MAX_LEEWAY: Duration = Duration::from_secs(5 * 60);

/// The longest token that is read unless [`ResourceServerBuilder::max_token_length`] says otherwise, in bytes.
const DEFAULT_MAX_TOKEN_LENGTH: usize = 16 * 1024;

/// Settings of a [`ResourceServer`]. Issuers and audiences are mandatory; the rest has defaults.
///
/// The settings of one issuer (its profile, its algorithms, its keys) are on [`Issuer`]. Unless
/// [`startup`](Self::startup) says otherwise, this checks the settings and contacts nobody: keys are fetched when the
/// first token needs them.
///
/// | setting | default |
/// |---|---|
/// | [`startup`](Self::startup) | [`Startup::Lazy`]: serve at once |
/// | [`key_refresh`](Self::key_refresh) | [`KeyRefresh::default`] |
/// | [`observer`](Self::observer) | none |
/// | [`leeway`](Self::leeway) | 60 s, at most 5 min |
/// | [`max_token_length`](Self::max_token_length) | 16 KiB |
/// | [`max_token_age`](Self::max_token_age) | no limit but `exp` |
/// | [`token_header`](Self::token_header) | none besides `Authorization` |
/// | [`uniform_refusals`](Self::uniform_refusals) | off: a client is told what was wrong |
/// | [`jwt_cache`](Self::jwt_cache) | 100 000 jwt_cache on JWTs, at most 64 MiB |
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
    leeway: Duration,
    max_token_length: usize,
    max_token_age: Option<Duration>,
    key_refresh: KeyRefresh,
    startup: Startup,
    observer: Option<Arc<dyn Observer>>,
    token_header: Option<HeaderName>,
    uniform_refusals: bool,
    jwt_cache: JwtCacheConfig,
    clock: Arc<dyn Clock>,
    fetch: Option<Arc<dyn Fetch>>,
    user_agent: HeaderValue,
    crypto: Option<CryptoBackend>,
    /// What was wrong with a [`Config`](crate::config::Config) that the settings came from.
    faults: Faults,
}

impl Default for ResourceServerBuilder {
    fn default() -> Self {
        Self {
            issuers: Vec::new(),
            tenants: Vec::new(),
            applications: Vec::new(),
            audiences: Vec::new(),
            leeway: DEFAULT_LEEWAY,
            max_token_length: DEFAULT_MAX_TOKEN_LENGTH,
            max_token_age: None,
            key_refresh: KeyRefresh::default(),
            startup: Startup::Lazy,
            observer: None,
            token_header: None,
            uniform_refusals: false,
            jwt_cache: JwtCacheConfig::default(),
            clock: Arc::new(SystemClock),
            fetch: None,
            user_agent: USER_AGENT_NAME,
            crypto: CryptoBackend::compiled_in(),
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

    /// Accepts tokens that this verifier of the application judges, besides the issuers named before.
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

    /// Tolerates this much difference between the issuer's clock and ours, for `exp`, `nbf` and `iat`.
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
    /// application say it by [`TokenInfo::issued_at`](crate::custom::token_verifier::TokenInfo::issued_at), those of API keys included.
    pub fn max_token_age(mut self, age: Duration) -> Self {
        self.max_token_age = Some(age);
        self
    }

    /// Keeps the keys of every issuer up to date in this way, unless the issuer has settings of its own.
    pub fn key_refresh(mut self, refresh: KeyRefresh) -> Self {
        self.key_refresh = refresh;
        self
    }

    /// Says whether [`build`](Self::build) waits for the keys of its issuers. Tenants are not waited for: nobody knows them
    /// yet.
    pub fn startup(mut self, startup: Startup) -> Self {
        self.startup = startup;
        self
    }

    /// Tells this observer of fetches and refusals.
    pub fn observer(mut self, observer: impl Observer) -> Self {
        self.observer = Some(Arc::new(observer));
        self
    }

    /// Takes tokens from this header too, where a proxy puts them, such as `Cf-Access-Jwt-Assertion`. Its value is a token
    /// and no scheme. There is one such header; the last that is named counts.
    ///
    /// A request with a token in this header and in `Authorization` is refused, and so is one with several of this header.
    /// Whoever reaches this service without the proxy can write the header as well, so a token from it is verified like any
    /// other.
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

    /// Answers every JWT that was not proven genuine alike: 401, as for a signature that is not valid, whatever was wrong with it.
    ///
    /// Without this, a client is told what was wrong, which saves honest developers hours. But claims are looked at before the
    /// signature, so that anybody who writes tokens can find out by the answers which issuers are trusted, which audience,
    /// algorithms, types and clients are accepted, and which [`Tenants`] exist. With this, none of that is told; the log and the
    /// [`Reason`](crate::Reason) in the response's extensions have it still. A token of a tenant whose keys cannot be had is
    /// answered 401, too, and not 503 as for other issuers: its client does not learn that another attempt may succeed.
    ///
    /// How long an answer takes says something still: keys of a tenant are fetched for the first token that names it.
    pub fn uniform_refusals(mut self) -> Self {
        self.uniform_refusals = true;
        self
    }

    /// Remembers so many jwt_cache on JWTs, or none with [`JwtCacheConfig::off`].
    ///
    /// A token that was verified once is not verified again while it is remembered: a fraction of a microsecond instead of a
    /// signature check. Its times, its key and its issuer are looked at for every request all the same, so that nothing is
    /// accepted that would not be otherwise.
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

    /// Calls this service so in `User-Agent` (RFC 9110 §10.1.5), in requests for metadata, for keys and for introspection. An
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

    /// Has [`build`](Self::build) report these faults with its own.
    pub(crate) fn with_faults(mut self, faults: Vec<String>) -> Self {
        faults.into_iter().for_each(|fault| self.faults.add(fault));
        self
    }

    /// Builds the resource server. Unless [`startup`](Self::startup) says otherwise, it does not wait for its issuers: keys
    /// are fetched when the first token needs them, and until they can be had the answer is 503.
    ///
    /// # Errors
    ///
    /// With every fault at once:
    ///
    /// - a setting of a [`Config`](crate::config::Config) is unknown, cannot be read, or contradicts another;
    /// - there is no issuer, two are equal, or one is no StringOrURI (RFC 7519 §2), or no `https` URL without query and fragment
    ///   although its metadata is found by it;
    /// - http is allowed for a host that is none;
    /// - an issuer has no audience, or an audience is empty, has other characters than visible ASCII, or is a URI with a fragment;
    /// - an issuer's list of algorithms, of authorized parties or of key hosts is empty;
    /// - an issuer's profile accepts no `typ`, or demands no sign of an access token where `typ` gives none;
    /// - an issuer's other settings do not fit its profile: its audience is waived and nothing stands in for it, clients are
    ///   listed and its tokens name none, or what the profile of a provider demands is not there;
    /// - given keys are not a JWK Set, or none of them can be used;
    /// - a header for the JWK Set is not a header, or is one where the keys do not come from a URL, or from who knows what host;
    /// - the address of a metadata document is not one, or is one where the keys are not found through it;
    /// - a template of tenants fits no issuer, or two templates are equal;
    /// - the leeway is over 5 minutes, the token length or the age of tokens is 0, the token header is one of other credentials, or a setting of
    ///   [`KeyRefresh`] is out of its bounds;
    /// - keys have to be fetched, and there is no client (the feature `reqwest` is off and none was given, or no TLS
    ///   provider can be had), or no tokio runtime;
    /// - neither of the features `aws-lc-rs` and `rust-crypto` is on;
    /// - with [`Startup::FailFast`], the keys of an issuer cannot be had.
    pub async fn build(mut self) -> Result<ResourceServer, BuildError> {
        let mut faults = std::mem::take(&mut self.faults);
        self.check(&mut faults);
        self.provide_fetch(&mut faults);

        let factory = Verifiers {
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
            // The settings are the same for every tenant, so one that nobody asks shows whether they are good.
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
            faults.add("audience: none is configured; name this API with `.audience(..)`");
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

        Ok(ResourceServer::new(Inner {
            default_realm: default_realm.unwrap_or_default().into(),
            audiences: audiences.into(),
            dispatch: Dispatch { issuers, applications: applications.into() },
            claim_names,
            max_token_length: self.max_token_length,
            token_header: self.token_header,
            uniform_refusals: self.uniform_refusals,
            observer: self.observer,
            log_sampler: Default::default(),
            clock: self.clock,
            jwt_cache: JwtCache::new(self.jwt_cache, secret.unwrap_or_default()),
        }))
    }

    /// The settings that concern no issuer in particular.
    fn check(&self, faults: &mut Faults) {
        if self.issuers.is_empty() && self.tenants.is_empty() && self.applications.is_empty() {
            faults
                .add("issuer: none is configured; name at least one, with `ResourceServer::discover`, `.issuer(..)` or in the configuration");
        }
        let mut seen_issuers = HashSet::new();
        for issuer in &self.issuers {
            if !seen_issuers.insert(&*issuer.identifier) {
                faults.add(format!(
                    "issuer {:?}: is configured twice; give each issuer once, with all its audiences",
                    redact::url(&issuer.identifier)
                ));
            }
        }
        let mut seen = HashSet::new();
        for tenants in &self.tenants {
            if let Some(fault) = tenants.fault() {
                faults.add(format!("tenants {:?}: {fault}", redact::url(&tenants.name)));
            }
            if !seen.insert(&tenants.name) {
                faults.add(format!("tenants {:?}: are configured twice", redact::url(&tenants.name)));
            }
        }
        for (name, others) in
            self.applications.iter().enumerate().map(|(at, one)| (one.issuer(), &self.applications[..at]))
        {
            let is_taken = others.iter().any(|other| other.issuer() == name)
                || seen_issuers.contains(name)
                || self.tenants.iter().any(|tenants| tenants.trusts(name));
            if is_taken {
                faults.add(format!("verifier {name:?}: another issuer or verifier is called the same; subjects of one could be taken for the other's"));
            }
        }
        self.check_opaque(faults);
        for (audience, fault) in audience_faults(&self.audiences) {
            faults.add(format!("audience: {audience:?} {fault}"));
        }
        if self.max_token_age == Some(Duration::ZERO) {
            faults.add("max_token_age: is zero, so that every token would be too old; leave it out for no limit");
        }
        if self.leeway > MAX_LEEWAY {
            faults.add(format!("leeway: {:?} is over 5 minutes; synchronize the clocks instead", self.leeway));
        }
        if self.max_token_length == 0 {
            faults.add("max_token_length: is 0, so that every token would be refused; the default is 16384 bytes");
        }
        if let Some(fault) = self.jwt_cache.fault() {
            faults.add(format!("jwt_cache: {fault}"));
        }
        if let Some((name, fault)) = self.token_header.as_ref().and_then(|name| Some((name, token_header_fault(name)?)))
        {
            faults.add(format!("token_header: {name} {fault}"));
        }
        if self.user_agent.as_bytes().trim_ascii().is_empty() {
            faults.add("user_agent: is empty; leave it out for the default, or name this service");
        }
        if self.crypto.is_none() {
            faults.add("crypto: no backend is compiled in; enable the feature `aws-lc-rs` or `rust-crypto`");
        }
    }

    /// An opaque token has to belong to one issuer, as far as can be told by looking at it.
    fn check_opaque(&self, faults: &mut Faults) {
        let asked =
            || self.issuers.iter().filter_map(|issuer| Some((&issuer.identifier, issuer.introspection.as_ref()?)));
        let general: Vec<String> = asked()
            .filter(|(_, introspection)| introspection.prefixes.is_empty())
            .map(|(issuer, _)| redact::url(issuer))
            .collect();
        if general.len() > 1 {
            faults.add(format!(
                "introspection: {} would be asked about the same opaque tokens; say by which prefixes they are told apart, with \
                 `Introspection::token_prefix` or `token_prefixes` in a configuration, for all but one",
                general.join(" and ")
            ));
        }
        let prefixes: Vec<(&str, &str)> = asked()
            .flat_map(|(issuer, introspection)| introspection.prefixes.iter().map(move |prefix| (&**prefix, &**issuer)))
            .collect();
        for (at, (prefix, issuer)) in prefixes.iter().enumerate() {
            for (other, whose) in &prefixes[..at] {
                if prefix.starts_with(other) || other.starts_with(prefix) {
                    faults.add(format!(
                        "introspection: a token may have both the prefix {prefix:?} of {} and {other:?} of {}",
                        redact::url(issuer),
                        redact::url(whose)
                    ));
                }
            }
        }
    }

    /// Makes a client where one is needed and none was given.
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
mod tests {
    use super::*;
    use crate::{
        crypto::tests::{BACKENDS, jwks},
        custom::api_keys::ApiKeys,
        introspection::{ClientAuthentication, Introspection},
        jose::Algorithm,
        jwt::{Evidence, Profile},
        resource_server::tests::Network,
    };

    fn issuer() -> Issuer {
        Issuer::with_jwks("https://as.example", jwks(&["a-es256"]))
    }

    fn builder(issuer: Issuer) -> ResourceServerBuilder {
        ResourceServer::builder().issuer(issuer).audience("https://api.example").fetch(Network::new())
    }

    /// The faults of some settings; none where they can be built from.
    async fn faults(builder: ResourceServerBuilder) -> Vec<String> {
        builder.build().await.err().iter().flat_map(BuildError::faults).map(str::to_owned).collect()
    }

    async fn faults_of(issuer: Issuer) -> Vec<String> {
        faults(builder(issuer)).await
    }

    const NONE: [String; 0] = [];

    #[tokio::test]
    async fn an_issuer_and_an_audience_suffice() {
        assert_eq!(faults_of(issuer()).await, NONE);
        assert_eq!(faults_of(Issuer::discovered("https://as.example")).await, NONE);
        assert_eq!(faults_of(Issuer::with_jwks_uri("https://as.example", "https://keys.example/jwks?v=1")).await, NONE);
    }

    #[tokio::test]
    async fn no_issuer_is_a_fault() {
        assert_eq!(
            faults(ResourceServer::builder().audience("api")).await,
            [
                "issuer: none is configured; name at least one, with `ResourceServer::discover`, `.issuer(..)` or in the configuration"
            ]
        );
    }

    #[tokio::test]
    async fn the_same_issuer_twice_is_a_fault() {
        assert_eq!(
            faults(builder(issuer()).issuer(issuer())).await,
            [r#"issuer "https://as.example": is configured twice; give each issuer once, with all its audiences"#]
        );
        let other = Issuer::with_jwks("https://as.example/", jwks(&["a-es256"]));
        assert_eq!(faults(builder(issuer()).issuer(other)).await, NONE, "issuers compare exactly");
    }

    const A_NAME_ALONE: &str = "if it is a name alone, say where its metadata is with `.metadata_url(..)`, or its keys with `Issuer::with_jwks_uri`";
    const INSIDE: &str =
        "must be https; for an issuer inside your own network, call `dangerous_allow_http_for_host(..)` with this host";

    #[tokio::test]
    async fn meta_5_an_issuer_that_is_found_by_its_name_and_is_no_https_url_is_a_fault() {
        for (identifier, fault) in [
            ("http://as.example", INSIDE),
            ("https://as.example?x=1", "must not have a query"),
            ("https://as.example#x", "must not have a fragment"),
            ("https://user@as.example", "must not have user information"),
            ("as.example/tenant", "is not a valid URL"),
            ("", "is not a valid URL"),
        ] {
            let fault = format!("issuer {:?}: the identifier {fault}; {A_NAME_ALONE}", redact::url(identifier));
            assert_eq!(faults_of(Issuer::discovered(identifier)).await, [fault.as_str()]);
            let asked = Introspection::discovered(ClientAuthentication::none("api"));
            assert_eq!(faults_of(Issuer::introspected(identifier, asked.clone())).await, [fault.as_str()]);
            let keys = jwks(&["a-es256"]);
            assert_eq!(faults_of(Issuer::with_jwks(identifier, keys).introspection(asked)).await, [fault]);
        }
    }

    #[tokio::test]
    async fn meta_5_an_issuer_that_nothing_is_fetched_from_may_have_any_name() {
        let asked = || Introspection::at("https://as.example/introspect", ClientAuthentication::none("api"));
        for name in [
            "http://adfs.corp.example/adfs/services/trust",
            "http://localhost:8080/realms/x",
            "https://as.example?tenant=x",
            "https://user@as.example/.well-known/x",
            "urn:corp:sts",
            "accounts.google.com",
            "Our issuer",
        ] {
            let file = Issuer::with_jwks_file(name, "keys.json");
            for issuer in [
                Issuer::with_jwks(name, jwks(&["a-es256"])),
                file.introspection(asked()),
                Issuer::with_jwks_uri(name, "https://keys.example/jwks"),
                Issuer::introspected(name, asked()),
                Issuer::discovered(name).metadata_url("https://as.example/metadata"),
            ] {
                assert_eq!(faults_of(issuer).await, NONE, "{name}");
            }
        }
        for (name, fault) in
            [("", "is empty"), (" https://as.example", "has a colon, and is not a URI (RFC 7519 section 2)")]
        {
            let found = faults_of(Issuer::with_jwks(name, jwks(&["a-es256"]))).await;
            assert_eq!(found, [format!("issuer {name:?}: the identifier {fault}")]);
        }
    }

    #[tokio::test]
    async fn key_2_plain_http_is_a_fault_but_where_it_is_allowed_by_name() {
        let local = || Issuer::with_jwks_uri("http://127.0.0.1:9", "http://127.0.0.1:9/jwks");
        assert_eq!(faults_of(local().dangerous_allow_http_on_loopback()).await, NONE);
        assert_eq!(faults_of(local()).await.len(), 1, "the address of the keys");
        let remote = Issuer::discovered("http://as.example").dangerous_allow_http_on_loopback();
        assert_eq!(
            faults_of(remote).await,
            [format!("issuer \"http://as.example\": the identifier {INSIDE}; {A_NAME_ALONE}")]
        );

        let client = ClientAuthentication::none("api");
        for inside in [
            Issuer::discovered("http://keycloak:8080/realms/x"),
            Issuer::discovered("http://x").metadata_url("http://keycloak:8080/metadata"),
            Issuer::with_jwks_uri("http://x", "http://keycloak:8080/certs"),
            Issuer::introspected("http://x", Introspection::at("http://keycloak:8080/introspect", client)),
        ] {
            assert_eq!(faults_of(inside.clone()).await.len(), 1, "{inside:?}");
            assert_eq!(faults_of(inside.clone().dangerous_allow_http_for_host("other")).await.len(), 1, "{inside:?}");
            let allowed = inside.dangerous_allow_http_for_host("other").dangerous_allow_http_for_host("Keycloak");
            assert_eq!(faults_of(allowed.clone()).await, NONE, "{allowed:?}");
            let another = Issuer::with_jwks_uri("http://y", "http://keycloak:8080/certs");
            assert_eq!(faults(builder(allowed).issuer(another)).await.len(), 1, "it is allowed for one issuer");
        }
    }

    #[tokio::test]
    async fn http_is_allowed_for_a_host_and_nothing_wider() {
        for other in ["", "*", "http://keycloak", "keycloak:8080", "keycloak/realms"] {
            assert_eq!(
                faults_of(issuer().dangerous_allow_http_for_host(other)).await,
                [format!(
                    "issuer \"https://as.example\": http is allowed for {other:?}, which is no host; give it as in a URL, \
                     without scheme and port"
                )]
            );
        }
    }

    #[tokio::test]
    async fn a_metadata_document_is_no_issuer() {
        let found = faults_of(Issuer::discovered("https://as.example/.well-known/openid-configuration")).await;
        assert_eq!(found.len(), 1);
        assert!(found[0].contains("give the issuer"), "{found:?}");
    }

    #[tokio::test]
    async fn key_2_an_address_of_keys_that_is_no_https_url_is_a_fault() {
        assert_eq!(
            faults_of(Issuer::with_jwks_uri("https://as.example", "http://as.example/jwks")).await,
            [format!(r#"issuer "https://as.example": the JWKS URL "http://as.example/jwks" {INSIDE}"#)]
        );
    }

    #[tokio::test]
    async fn jwt_3_no_audience_is_a_fault() {
        assert_eq!(
            faults(ResourceServer::builder().issuer(issuer())).await,
            [
                r#"issuer "https://as.example": has no audience; name this API as its tokens do in `aud`, with `.audience(..)`"#
            ]
        );
        assert_eq!(faults(ResourceServer::builder().issuer(issuer().audiences(["api"]))).await, NONE);
    }

    #[tokio::test]
    async fn jwt_3_a_waived_audience_without_a_substitute_is_a_fault() {
        let waiving = |profile| issuer().profile(profile).dangerous_waive_audience();
        assert_eq!(faults_of(waiving(Profile::cognito()).authorized_parties(["app"])).await, NONE);
        assert_eq!(
            faults_of(waiving(Profile::cognito())).await,
            [
                r#"issuer "https://as.example": the profile "Amazon Cognito" is used without an audience, and nothing stands in for it; list the clients with `.authorized_parties(..)`"#
            ]
        );
        assert_eq!(
            faults_of(waiving(Profile::okta()).authorized_parties(["app"])).await,
            [
                r#"issuer "https://as.example": the profile "Okta" is used without an audience, and its tokens do not say in so many words that they are access tokens; call no `.dangerous_waive_audience()`"#
            ]
        );
        let nameless = ResourceServer::builder().issuer(waiving(Profile::cognito()).authorized_parties(["app"]));
        assert!(faults(nameless).await[0].contains("has no audience"), "what is present is checked still");
    }

    #[tokio::test]
    async fn google_s_bare_name_is_an_issuer_whose_keys_are_given() {
        let google = |issuer: Issuer| issuer.profile(Profile::google()).authorized_parties(["1"]);
        let keys = "https://www.googleapis.com/oauth2/v3/certs";
        assert_eq!(faults_of(google(Issuer::with_jwks_uri("accounts.google.com", keys))).await, NONE);
        assert_eq!(faults_of(google(Issuer::discovered("accounts.google.com"))).await.len(), 1);
        assert_eq!(
            faults_of(Issuer::with_jwks_uri("https://accounts.google.com", keys).profile(Profile::google())).await,
            [
                r#"issuer "https://accounts.google.com": the profile "Google" accepts service accounts of everybody; list those that may call with `.authorized_parties(..)`"#
            ]
        );
    }

    #[tokio::test]
    async fn an_audience_that_is_empty_or_has_a_fragment_is_a_fault() {
        for audience in ["", "https://api.example#x", "https://api.example/#"] {
            let fault = format!("{audience:?} is empty, or has a fragment; RFC 8707 section 2 allows neither");
            let own = faults_of(issuer().audiences([audience])).await;
            assert_eq!(own, [format!("issuer \"https://as.example\": the audience {fault}")]);
            let builder = ResourceServer::builder().issuer(issuer()).audience("api").audience(audience);
            assert_eq!(faults(builder).await, [format!("audience: {fault}")]);
        }
        assert_eq!(faults_of(issuer().audiences(["api#1"])).await, NONE, "it is no URL");
        assert_eq!(faults_of(issuer().audiences(["urn:api"])).await, NONE);
        assert_eq!(faults_of(issuer().audiences(["https://api.example/v1"])).await, NONE);
    }

    #[tokio::test]
    async fn an_audience_that_is_not_visible_ascii_is_a_fault() {
        for audience in ["caf\u{e9}", "api\n", "\u{7f}"] {
            assert_eq!(
                faults_of(issuer().audiences([audience])).await,
                [format!(
                    "issuer \"https://as.example\": the audience {audience:?} has characters other than visible ASCII"
                )]
            );
        }
        assert_eq!(faults_of(issuer().audiences(["My API ~"])).await, NONE);
    }

    #[tokio::test]
    async fn a_common_audience_is_checked_once_and_even_where_no_issuer_uses_it() {
        let fault = [r#"audience: "" is empty, or has a fragment; RFC 8707 section 2 allows neither"#];
        let other = Issuer::with_jwks("https://b.example", jwks(&["a-es256"]));
        assert_eq!(faults(builder(issuer()).issuer(other.clone()).audience("")).await, fault);
        assert_eq!(faults(builder(issuer().audiences(["a"])).issuer(other.audiences(["b"])).audience("")).await, fault);
        let keys = ResourceServer::builder().verifier(ApiKeys::new("https://api.example/keys", "sk_"));
        assert_eq!(faults(keys.audience("")).await, fault, "an audience of application verifiers alone");
    }

    #[tokio::test]
    async fn jwt_8_an_age_of_zero_is_a_fault() {
        assert_eq!(
            faults(builder(issuer()).max_token_age(Duration::ZERO)).await,
            ["max_token_age: is zero, so that every token would be too old; leave it out for no limit"]
        );
        assert_eq!(faults(builder(issuer()).max_token_age(Duration::from_secs(1))).await, NONE);
    }

    #[tokio::test]
    async fn an_empty_list_of_algorithms_is_a_fault() {
        let found = faults_of(Issuer::discovered("https://as.example").algorithms([])).await;
        assert_eq!(
            found,
            [
                r#"issuer "https://as.example": the list of algorithms is empty, so that every token would be refused; leave it out for the default"#
            ]
        );
    }

    #[tokio::test]
    async fn an_empty_list_of_authorized_parties_is_a_fault() {
        assert_eq!(
            faults_of(issuer().authorized_parties([""; 0])).await,
            [
                r#"issuer "https://as.example": the list of authorized parties is empty, so that every token would be refused; leave it out to accept every client"#
            ]
        );
        assert_eq!(faults_of(issuer().authorized_parties(["app"])).await, NONE);
    }

    #[tokio::test]
    async fn a_profile_that_accepts_nothing_is_a_fault() {
        assert_eq!(
            faults_of(issuer().profile(Profile::compat("mine"))).await,
            [
                r#"issuer "https://as.example": the profile "mine" accepts no `typ`; add `.accept_type(..)` or `.accept_absent_type()`"#
            ]
        );
    }

    #[tokio::test]
    async fn at_2_a_profile_that_would_accept_id_tokens_is_a_fault() {
        let profile = Profile::compat("mine").accept_type("JWT");
        assert_eq!(
            faults_of(issuer().profile(profile.clone())).await,
            [
                r#"issuer "https://as.example": the profile "mine" would accept ID tokens; say with `.evidence(..)` how an access token is known"#
            ]
        );
        assert_eq!(faults_of(issuer().profile(profile.evidence(Evidence::scope_claim()))).await, NONE);
    }

    #[tokio::test]
    async fn given_keys_that_are_no_jwk_set_are_a_fault() {
        assert_eq!(
            faults_of(Issuer::with_jwks("https://as.example", "{}")).await,
            [
                r#"issuer "https://as.example": the JWK Set has no array named `keys`; a single JWK goes into one: {"keys":[..]}"#
            ]
        );
        let more = KeyRefresh::default().max_keys(101);
        let set = format!(r#"{{"keys":[{}{{}}]}}"#, "{},".repeat(100));
        let given = || Issuer::with_jwks("https://as.example", set.clone());
        let found = [faults_of(given()).await, faults_of(given().key_refresh(more)).await];
        assert!(found[0][0].contains("more keys than `max_keys` allows"), "{found:?}");
        assert!(found[1][0].contains("none of the given keys can be used"), "{found:?}");
    }

    #[tokio::test]
    async fn alg_9_a_key_source_chooses_its_algorithms_by_itself() {
        #[derive(Debug)]
        struct Source;
        impl crate::keys::KeySource for Source {
            fn snapshot(&self) -> Option<crate::keys::Snapshot> {
                None
            }
            fn refetch(
                &self,
                _: crate::keys::RefetchReason<'_>,
            ) -> crate::BoxFuture<'static, Result<Arc<crate::jose::KeySet>, crate::keys::KeysUnavailable>> {
                Box::pin(async { Err(crate::keys::KeysUnavailable::new("none")) })
            }
        }
        let issuer = Issuer::with_key_source("https://as.example", Source);
        assert_eq!(faults_of(issuer.clone()).await, NONE);
        let found = faults_of(issuer.dangerous_allow_several_algorithms_per_key()).await;
        assert!(found[0].contains("`dangerous_allow_several_algorithms_per_key` of the `JwkSet`"), "{found:?}");
    }

    #[tokio::test]
    async fn given_keys_none_of_which_can_be_used_are_a_fault() {
        assert_eq!(
            faults_of(Issuer::with_jwks("https://as.example", jwks(&["a-enc"]))).await,
            [
                r#"issuer "https://as.example": none of the given keys can be used: [key "a-enc" is not used: its `use` is not `sig`]"#
            ]
        );
        assert_eq!(
            faults_of(issuer().algorithms([Algorithm::Rs256])).await,
            [
                r#"issuer "https://as.example": none of the given keys can be used: [key "a-es256" is not used: its `alg` is ES256, which is not on the issuer's list]"#
            ]
        );
    }

    #[tokio::test]
    async fn jwt_6_a_leeway_over_five_minutes_is_a_fault() {
        assert_eq!(faults(builder(issuer()).leeway(Duration::from_secs(300))).await, NONE);
        assert_eq!(
            faults(builder(issuer()).leeway(Duration::from_millis(300_001))).await,
            ["leeway: 300.001s is over 5 minutes; synchronize the clocks instead"]
        );
    }

    #[tokio::test]
    async fn a_token_length_of_nothing_is_a_fault() {
        assert_eq!(
            faults(builder(issuer()).max_token_length(0)).await,
            ["max_token_length: is 0, so that every token would be refused; the default is 16384 bytes"]
        );
        assert_eq!(faults(builder(issuer()).max_token_length(1)).await, NONE);
    }

    #[tokio::test]
    async fn bearer_14_a_token_header_of_other_credentials_is_a_fault() {
        let named = |name| faults(builder(issuer()).token_header(HeaderName::from_static(name)));
        assert_eq!(named("cf-access-jwt-assertion").await, NONE);
        assert_eq!(
            named("authorization").await,
            ["token_header: authorization is looked at anyway, and holds a scheme before the token; leave it out"]
        );
        assert_eq!(named("cookie").await.len(), 1);
    }

    #[test]
    fn keys_to_be_fetched_need_a_runtime() {
        use std::{
            pin::pin,
            task::{Context, Poll, Waker},
        };

        let outcome = |issuer| {
            let mut context = Context::from_waker(Waker::noop());
            match pin!(builder(issuer).build()).poll(&mut context) {
                Poll::Ready(built) => built.map(drop).map_err(|error| error.to_string()),
                Poll::Pending => panic!("building waits for something"),
            }
        };
        assert_eq!(outcome(issuer()), Ok(()), "given keys need none");
        assert_eq!(
            outcome(Issuer::discovered("https://as.example")).unwrap_err(),
            "the resource server cannot be built:\n- issuer \"https://as.example\": its keys have to be fetched, and there \
             is no tokio runtime; build inside of one"
        );
    }

    #[cfg(not(feature = "reqwest"))]
    #[tokio::test]
    async fn keys_to_be_fetched_need_a_client() {
        let discovering = ResourceServer::builder().issuer(Issuer::discovered("https://as.example")).audience("api");
        assert_eq!(
            faults(discovering).await,
            ["fetch: there is no HTTP client; enable the feature `reqwest`, or give one with `.fetch(..)`"]
        );
        assert_eq!(faults(ResourceServer::builder().issuer(issuer()).audience("api")).await, NONE);
    }

    #[cfg(feature = "reqwest")]
    #[tokio::test]
    async fn the_client_of_the_feature_is_used_where_none_is_given() {
        assert_eq!(
            faults(ResourceServer::builder().issuer(Issuer::discovered("https://as.example")).audience("api")).await,
            NONE
        );
    }

    #[tokio::test]
    async fn every_fault_is_named_at_once() {
        let first = Issuer::with_jwks("", "[]").algorithms([]).authorized_parties([""; 0]);
        let second = Issuer::discovered("https://b.example").audiences([""]).profile(Profile::compat("mine"));
        let builder = ResourceServer::builder()
            .issuer(first)
            .issuer(second)
            .leeway(Duration::MAX)
            .max_token_length(0)
            .jwt_cache(JwtCacheConfig::default().max_bytes(64));
        let found = faults(builder.fetch(Network::new())).await;
        let settings: Vec<&str> = found.iter().map(|fault| fault.split(' ').next().unwrap()).collect();
        assert_eq!(
            settings,
            [
                "leeway:",
                "max_token_length:",
                "jwt_cache:",
                "issuer",
                "issuer",
                "issuer",
                "issuer",
                "issuer",
                "issuer",
                "issuer"
            ],
            "{found:#?}"
        );
    }

    #[tokio::test]
    async fn room_for_verdicts_is_none_or_enough_for_one() {
        for (bytes, entries, fault) in [
            (0, 1, None),
            (1, 0, None),
            (1, 1, Some("jwt_cache: max_bytes is 1; give 65536 at least, or 0 to cache nothing")),
            (65_535, 1, Some("jwt_cache: max_bytes is 65535; give 65536 at least, or 0 to cache nothing")),
            (65_536, 1, None),
        ] {
            let cache = JwtCacheConfig::default().max_bytes(bytes).max_entries(entries);
            let builder = ResourceServer::builder()
                .issuer(Issuer::discovered("https://as.example"))
                .audience("api")
                .jwt_cache(cache);
            assert_eq!(faults(builder.fetch(Network::new())).await, fault.as_slice(), "{bytes}, {entries}");
        }
    }

    #[tokio::test]
    async fn faults_are_listed_one_to_a_line() {
        let error = ResourceServer::builder().leeway(Duration::MAX).build().await.unwrap_err();
        let text = error.to_string();
        let (head, faults) = text.split_once('\n').unwrap();
        assert_eq!(head, "the resource server cannot be built:");
        assert_eq!(faults, error.faults().map(|fault| format!("- {fault}")).collect::<Vec<_>>().join("\n"));
    }

    #[tokio::test]
    async fn the_default_realm_is_the_first_audience_of_the_first_issuer() {
        let realm = async |builder: ResourceServerBuilder| {
            let server = builder.build().await.unwrap();
            server.default_realm().to_owned()
        };
        assert_eq!(realm(builder(issuer()).audience("second")).await, "https://api.example");
        assert_eq!(realm(builder(issuer().audiences(["own"]))).await, "own");
    }

    #[tokio::test]
    async fn every_backend_can_be_chosen() {
        for &backend in BACKENDS {
            assert_eq!(faults(builder(issuer()).crypto(backend)).await, NONE);
        }
    }
}

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
