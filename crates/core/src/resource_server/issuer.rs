use std::{collections::HashSet, fmt, path::PathBuf, sync::Arc};

use http::Uri;

use crate::{
    config::origin::Origin,
    introspection::{Introspection, JwtIntrospection},
    jose::Algorithm,
    jwt::Profile,
    keys::{KeyRefresh, KeySource},
    net::https_url::PlainHttp,
    redact,
    scope::{ExactScopes, ScopeGrammar},
};

/// The settings of one issuer: its identifier, where its keys are, and how its tokens are checked.
///
/// Every setting belongs to this issuer alone; its keys verify no other issuer's tokens.
///
/// The identifier is what the issuer writes into `iss`, character for character. It is a name, and may be any StringOrURI (RFC
/// 7519 §2), such as `http://adfs.corp.example/adfs/services/trust`, where [`with_jwks_uri`](Self::with_jwks_uri), one of its
/// siblings or [`metadata_url`](Self::metadata_url) says what to fetch. Where the metadata document is found by the identifier,
/// that is an `https` URL without query and fragment (RFC 8414 §2).
///
/// ```
/// use scopegate_core::{GenAuthScopes, Issuer, jwt::Profile};
///
/// let issuer = Issuer::discovered("https://steam-talk.genauth.ai/oidc")
///     .audiences(["60193c610f9117e7cb049159"])
///     .profile(Profile::genauth())
///     .scope_grammar(GenAuthScopes);
/// ```
#[derive(Clone)]
#[must_use = "an issuer has to be given to a `ResourceServerBuilder`"]
pub struct Issuer {
    pub(super) identifier: String,
    pub(super) keys: Keys,
    pub(super) metadata_url: Option<String>,
    pub(super) jwks_header: Option<(String, String)>,
    pub(super) key_hosts: Option<HashSet<String>>,
    pub(super) key_refresh: Option<KeyRefresh>,
    pub(super) plain_http: PlainHttp,
    pub(super) audiences: Vec<String>,
    pub(super) audience_waived: bool,
    pub(super) authorized_parties: Option<Vec<String>>,
    pub(super) algorithms: Vec<Algorithm>,
    pub(super) several_algorithms_per_key: bool,
    pub(super) profile: Profile,
    pub(super) grammar: Arc<dyn ScopeGrammar>,
    pub(super) introspection: Option<Introspection>,
    /// What its settings come from. No setting itself.
    pub(crate) origin: Origin,
}

impl fmt::Debug for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Issuer")
            .field("identifier", &redact::url(&self.identifier))
            .field("keys", &self.keys)
            .field("key_hosts", &self.key_hosts)
            .field("key_refresh", &self.key_refresh)
            .field("plain_http", &self.plain_http)
            .field("audiences", &self.audiences)
            .field("audience_waived", &self.audience_waived)
            .field("authorized_parties", &self.authorized_parties)
            .field("algorithms", &self.algorithms)
            .field("several_algorithms_per_key", &self.several_algorithms_per_key)
            .field("profile", &self.profile)
            .field("grammar", &self.grammar)
            .field("introspection", &self.introspection)
            .finish_non_exhaustive()
    }
}

/// Where the keys come from.
#[derive(Clone)]
pub(super) enum Keys {
    Discovered,
    File(PathBuf),
    Given(Vec<u8>),
    /// No keys: the issuer is asked about every token.
    None,
    Source(Arc<dyn KeySource>),
    Url(String),
}

/// Shows neither a given key set, which is long and by mistake may have private members, nor the secret part of a URL.
impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Discovered => f.write_str("Discovered"),
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            Self::Given(_) => f.write_str("Given(..)"),
            Self::None => f.write_str("None"),
            Self::Source(source) => f.debug_tuple("Source").field(source).finish(),
            Self::Url(url) => f.debug_tuple("Url").field(&redact::url(url)).finish(),
        }
    }
}

impl Issuer {
    pub(super) fn new(identifier: impl Into<String>, keys: Keys) -> Self {
        Self {
            identifier: identifier.into(),
            keys,
            metadata_url: None,
            jwks_header: None,
            key_hosts: None,
            key_refresh: None,
            plain_http: PlainHttp::REFUSED,
            audiences: Vec::new(),
            audience_waived: false,
            authorized_parties: None,
            algorithms: Algorithm::DEFAULT.to_vec(),
            several_algorithms_per_key: false,
            profile: Profile::rfc9068(),
            grammar: Arc::new(ExactScopes),
            introspection: None,
            origin: Origin::Code,
        }
    }

    /// Whether its keys come over the network.
    pub(super) fn is_fetched(&self) -> bool {
        matches!(self.keys, Keys::Discovered | Keys::Url(_))
    }

    /// Whether it needs the resource server's HTTP client.
    pub(super) fn needs_fetch(&self) -> bool {
        self.is_fetched() || self.introspection.as_ref().is_some_and(|introspection| introspection.fetch.is_none())
    }

    /// Whether its metadata document is fetched from URLs that are made of its identifier.
    pub(super) fn is_found_by_name(&self) -> bool {
        self.is_discovered() && self.metadata_url.is_none()
    }

    /// Whether its metadata document is fetched.
    pub(super) fn is_discovered(&self) -> bool {
        let by_introspection =
            self.introspection.as_ref().is_some_and(|introspection| introspection.endpoint.is_none());
        matches!(self.keys, Keys::Discovered) || by_introspection
    }

    /// Whether its keys may be fetched from this URL.
    pub(super) fn allows_host(&self, url: &Uri) -> bool {
        let host = url.host().unwrap_or_default().to_ascii_lowercase();
        self.key_hosts.as_ref().is_none_or(|hosts| hosts.contains(&host))
    }

    /// An issuer whose keys are found through its metadata document (RFC 8414, OpenID Connect Discovery), at the well-known
    /// addresses of its identifier.
    pub fn discovered(identifier: impl Into<String>) -> Self {
        Self::new(identifier, Keys::Discovered)
    }

    /// An issuer whose JWK Set is at a known URL.
    pub fn with_jwks_uri(identifier: impl Into<String>, jwks_uri: impl Into<String>) -> Self {
        Self::new(identifier, Keys::Url(jwks_uri.into()))
    }

    /// An issuer whose JWK Set is in a file, which is read again at every refresh: write a new one beside it and rename
    /// that, so that it is never read half.
    pub fn with_jwks_file(identifier: impl Into<String>, path: impl Into<PathBuf>) -> Self {
        Self::new(identifier, Keys::File(path.into()))
    }

    /// An issuer whose JWK Set is given as JSON and never changes.
    pub fn with_jwks(identifier: impl Into<String>, json: impl Into<Vec<u8>>) -> Self {
        Self::new(identifier, Keys::Given(json.into()))
    }

    /// An issuer whose keys come from the application.
    pub fn with_key_source(identifier: impl Into<String>, keys: impl KeySource) -> Self {
        Self::new(identifier, Keys::Source(Arc::new(keys)))
    }

    /// An issuer that is asked about every token, JWTs included, so that its keys are not needed.
    ///
    /// ```
    /// use scopegate_core::{Issuer, introspection::{ClientAuthentication, Introspection}};
    ///
    /// let client = ClientAuthentication::client_secret_basic("my-api", "a secret that the issuer knows");
    /// let issuer = Issuer::introspected("https://tenant.example", Introspection::discovered(client));
    /// ```
    pub fn introspected(identifier: impl Into<String>, introspection: Introspection) -> Self {
        let introspection = introspection.introspect_jwts(JwtIntrospection::Instead);
        Self { introspection: Some(introspection), ..Self::new(identifier, Keys::None) }
    }

    /// Asks the issuer about opaque tokens, and about JWTs where [`JwtIntrospection`] says so.
    pub fn introspection(mut self, introspection: Introspection) -> Self {
        self.introspection = Some(introspection);
        self
    }

    /// Finds the metadata document at this address, instead of at the well-known ones of the issuer. The document still has to
    /// name the issuer, whose identifier need not be an address any more.
    pub fn metadata_url(mut self, url: impl Into<String>) -> Self {
        self.metadata_url = Some(url.into());
        self
    }

    /// Sends this header field with requests for the JWK Set, and with no others: an API key, for an endpoint that requires
    /// one. The value is never shown. Where the URL of the keys is in the metadata document, [`key_hosts`](Self::key_hosts) has
    /// to name the hosts that may get it.
    pub fn jwks_header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.jwks_header = Some((name.into(), value.into()));
        self
    }

    /// Takes keys from these hosts only, whatever the metadata document says, compared without regard to case and without
    /// the port.
    pub fn key_hosts<H: Into<String>>(mut self, hosts: impl IntoIterator<Item = H>) -> Self {
        self.key_hosts = Some(hosts.into_iter().map(|host| host.into().to_ascii_lowercase()).collect());
        self
    }

    /// Keeps the keys up to date in this way, instead of the [builder](super::ResourceServerBuilder::key_refresh)'s.
    pub fn key_refresh(mut self, refresh: KeyRefresh) -> Self {
        self.key_refresh = Some(refresh);
        self
    }

    /// The audiences (`aud`) that tokens of this issuer are accepted for, in place of the
    /// [builder](super::ResourceServerBuilder::audience)'s: for an issuer that knows this API by another name.
    ///
    /// Default: the builder's.
    pub fn audiences<A: Into<String>>(mut self, audiences: impl IntoIterator<Item = A>) -> Self {
        self.audiences = audiences.into_iter().map(Into::into).collect();
        self
    }

    /// Accepts tokens without `aud`, for an issuer that writes none. Their clients are checked in its place: this requires
    /// [`authorized_parties`](Self::authorized_parties), and a profile whose tokens say themselves that they are access tokens.
    /// A token that has `aud` still has to name this API, so that [`audiences`](Self::audiences) is required all the same; any
    /// name of this API will do.
    ///
    /// A token that one of these clients got for another API of the issuer is accepted here, too.
    pub fn dangerous_waive_audience(mut self) -> Self {
        self.audience_waived = true;
        self
    }

    /// Accepts only tokens that were issued to one of these clients.
    pub fn authorized_parties<P: Into<String>>(mut self, parties: impl IntoIterator<Item = P>) -> Self {
        self.authorized_parties = Some(parties.into_iter().map(Into::into).collect());
        self
    }

    /// Accepts these algorithms instead of [`Algorithm::DEFAULT`]. A key that does not say its algorithm is used with the
    /// first of them that fits it: where the issuer signs with PS256 and its RSA keys have no `alg`, that is the one to list.
    pub fn algorithms(mut self, algorithms: impl IntoIterator<Item = Algorithm>) -> Self {
        self.algorithms = algorithms.into_iter().collect();
        self
    }

    /// Uses a key that does not say its algorithm with every one of the [`algorithms`](Self::algorithms) that fits it, for an
    /// issuer that does sign with several by one key, such as RS256 and PS256. A key that has an `alg` is used with that.
    ///
    /// RFC 8725 section 3.1 requires each key to be used with exactly one algorithm: the security proof of each assumes a key
    /// of its own, and a weakness of one algorithm becomes a weakness of the key.
    pub fn dangerous_allow_several_algorithms_per_key(mut self) -> Self {
        self.several_algorithms_per_key = true;
        self
    }

    /// Expects access tokens of this profile, instead of [`Profile::rfc9068`].
    pub fn profile(mut self, profile: Profile) -> Self {
        self.profile = profile;
        self
    }

    /// Reads the scopes of this issuer by this grammar, instead of [`ExactScopes`].
    pub fn scope_grammar(mut self, grammar: impl ScopeGrammar) -> Self {
        self.grammar = Arc::new(grammar);
        self
    }

    /// Allows `http` where the host is a loopback address, for an issuer on the same machine. The address has to be written
    /// as one, such as `127.0.0.1`: a name like `localhost` is resolved elsewhere, and is allowed by
    /// [`dangerous_allow_http_for_host`](Self::dangerous_allow_http_for_host).
    ///
    /// A process that can answer on that port decides which tokens are accepted.
    pub fn dangerous_allow_http_on_loopback(mut self) -> Self {
        self.plain_http.on_loopback = true;
        self
    }

    /// Allows `http` for all URLs of this issuer at this host: its metadata, its keys and its introspection endpoint.
    /// For an issuer inside a cluster or a compose network, such as `keycloak` for `http://keycloak:8080`. May be called
    /// several times. The host is compared without regard to case and as a whole, without the port; there are no wildcards.
    ///
    /// An attacker who can answer for that name, or change traffic on its way, decides which tokens are accepted, and reads the
    /// opaque tokens and the client secret that are sent there.
    pub fn dangerous_allow_http_for_host(mut self, host: impl Into<String>) -> Self {
        self.plain_http.hosts.push(host.into());
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        BoxFuture,
        introspection::ClientAuthentication,
        net::fetch::{Fetch, FetchError, FetchLimits},
    };

    const NAME: &str = "https://as.example";

    #[derive(Debug)]
    struct NoNetwork;

    impl Fetch for NoNetwork {
        fn fetch(
            &self,
            _: http::Request<bytes::Bytes>,
            _: FetchLimits,
        ) -> BoxFuture<'static, Result<http::Response<bytes::Bytes>, FetchError>> {
            Box::pin(async { Err(FetchError::failed("there is none")) })
        }
    }

    #[test]
    fn an_issuer_needs_a_client_for_its_keys_and_for_introspection_without_one_of_its_own() {
        let introspection = || Introspection::discovered(ClientAuthentication::none("api"));
        let own = || introspection().fetch(NoNetwork);
        let given = || Issuer::with_jwks(NAME, "{}");
        for (issuer, is_fetched, needs_fetch) in [
            (Issuer::discovered(NAME), true, true),
            (Issuer::with_jwks_uri(NAME, "https://as.example/jwks"), true, true),
            (Issuer::discovered(NAME).introspection(own()), true, true),
            (Issuer::with_jwks_file(NAME, "jwks.json"), false, false),
            (given(), false, false),
            (given().introspection(introspection()), false, true),
            (given().introspection(own()), false, false),
            (Issuer::introspected(NAME, introspection()), false, true),
            (Issuer::introspected(NAME, own()), false, false),
        ] {
            assert_eq!((issuer.is_fetched(), issuer.needs_fetch()), (is_fetched, needs_fetch), "{issuer:?}");
        }
    }

    #[test]
    fn an_issuer_is_found_by_its_name_where_its_metadata_is_needed_and_has_no_address() {
        let client = || ClientAuthentication::none("api");
        let at = || Introspection::at("https://as.example/introspect", client());
        for (issuer, is_discovered) in [
            (Issuer::discovered(NAME), true),
            (Issuer::with_jwks_uri(NAME, "https://as.example/jwks"), false),
            (Issuer::introspected(NAME, Introspection::discovered(client())), true),
            (Issuer::introspected(NAME, at()), false),
            (Issuer::discovered(NAME).introspection(at()), true),
        ] {
            assert_eq!((issuer.is_discovered(), issuer.is_found_by_name()), (is_discovered, is_discovered));
            let elsewhere = issuer.metadata_url("https://other.example/metadata");
            assert_eq!((elsewhere.is_discovered(), elsewhere.is_found_by_name()), (is_discovered, false));
        }
    }

    #[test]
    fn an_introspected_issuer_has_no_keys_and_decides_about_jwts() {
        let issuer = Issuer::introspected(NAME, Introspection::discovered(ClientAuthentication::none("api")));
        assert!(matches!(issuer.keys, Keys::None));
        assert_eq!(issuer.introspection.unwrap().jwts, JwtIntrospection::Instead);
    }

    #[test]
    fn k_11_keys_are_fetched_from_the_hosts_that_are_named_without_regard_to_case_and_port() {
        let allows = |issuer: &Issuer, url: &'static str| issuer.allows_host(&Uri::from_static(url));
        let any = Issuer::discovered(NAME);
        assert!(allows(&any, "https://other.example/jwks"));
        let named = any.key_hosts(["Keys.Example"]);
        assert!(allows(&named, "https://keys.example/jwks") && allows(&named, "https://KEYS.example:8443/jwks"));
        assert!(!allows(&named, "https://as.example/jwks") && !allows(&named, "https://a.keys.example/jwks"));
        assert!(!allows(&named, "/jwks"));
    }

    #[test]
    fn an_issuer_prints_where_its_keys_are_and_no_secret() {
        let secret = "s3cret";
        for (issuer, shown) in [
            (Issuer::discovered(NAME), "Discovered"),
            (Issuer::with_jwks_uri(NAME, format!("https://u:{secret}@as.example/jwks?key={secret}")), "Url("),
            (Issuer::with_jwks_file(NAME, "keys.json"), r#"File("keys.json")"#),
            (Issuer::with_jwks(NAME, secret), "Given(..)"),
            (Issuer::introspected(NAME, Introspection::discovered(ClientAuthentication::none("api"))), "None"),
        ] {
            let printed = format!("{:?}", issuer.jwks_header("x-api-key", secret));
            assert!(printed.starts_with("Issuer {") && printed.contains(NAME) && printed.contains(shown), "{printed}");
            assert!(!printed.contains(secret), "{printed}");
        }
    }
}
