use std::{sync::Arc, time::Duration};

use super::{IntrospectionClient, JwtIntrospection};
use crate::{
    jwt,
    online::{Audience, CacheKey, Lookup, LookupRequest, OnlineVerifier, Purpose, Verified},
    token::VerifiedToken,
};

/// Verifies the tokens of one issuer by introspection.
#[derive(Debug)]
pub(crate) struct Introspector {
    pub(crate) online: Arc<OnlineVerifier>,
    pub(crate) client: Arc<IntrospectionClient>,
    pub(crate) jwts: JwtIntrospection,
    /// The checks of a JWT before it is introspected instead of having its signature checked.
    pub(crate) jwt_validation: jwt::JwtValidation,
    /// The prefixes of the issuer's opaque tokens; empty where it has all that no other issuer's prefix matches.
    pub(crate) prefixes: Vec<Box<str>>,
    /// The endpoint and the client, part of the cache key: a response to one client is not valid for another.
    identity: Vec<u8>,
}

impl Introspector {
    pub(crate) fn new(
        online: OnlineVerifier,
        client: IntrospectionClient,
        jwts: JwtIntrospection,
        jwt_validation: jwt::JwtValidation,
        prefixes: Vec<Box<str>>,
    ) -> Self {
        // INTRO-9: the endpoint, this client and its audiences are part of the key.
        let endpoint = client.endpoint.identity();
        let credentials = client.client.identity();
        let signed = [u8::from(client.signed.is_some())];
        let mut parts: Vec<&[u8]> = vec![endpoint.as_bytes(), &credentials, &signed];
        parts.extend(client.parameters.iter().flat_map(|(name, value)| [name.as_bytes(), value.as_bytes()]));
        if let Audience::Ours { names, .. } = &online.validation.audience {
            parts.extend(names.iter().map(|name| name.as_bytes()));
        }
        let identity = online.digest(&parts).as_bytes().to_vec();
        Self { online: Arc::new(online), client: Arc::new(client), jwts, jwt_validation, prefixes, identity }
    }

    /// Looks the token up in the cache or starts its introspection. A cached response older than `max_age` does not count. Of
    /// a token that was `verified` locally, the response only has to say that it is active.
    pub(crate) fn look_up(
        &self,
        token: &str,
        max_age: Option<Duration>,
        verified: Option<&VerifiedToken>,
        purpose: Purpose,
    ) -> Lookup {
        let key = Some(self.key(token, verified.is_some())).filter(|_| purpose == Purpose::Request);
        if let Some(verdict) = key.and_then(|key| self.online.cached(&key, max_age)) {
            return Lookup::Cached(verdict.map(|token| Verified { token, asked_at: None }));
        }
        let (client, presented) = (Arc::clone(&self.client), token.to_owned());
        let lookup = LookupRequest {
            key,
            token: self.online.token_tags(token),
            verified: verified.cloned(),
            max_age,
            purpose,
            ask: Box::new(move || Box::pin(async move { client.ask(&presented).await })),
        };
        Lookup::Pending(Box::pin(Arc::clone(&self.online).ask(lookup)))
    }

    fn key(&self, token: &str, is_verified: bool) -> CacheKey {
        let issuer = self.online.validation.issuer.as_bytes();
        self.online.digest(&[b"introspection", issuer, &self.identity, &[u8::from(is_verified)], token.as_bytes()])
    }

    /// The greatest age of a response about a JWT that was verified locally; `None` where it is not introspected.
    pub(crate) fn max_age_for_jwts(&self, required: Option<Duration>) -> Option<Duration> {
        match (&self.jwts, required) {
            (JwtIntrospection::NoOlderThan(max_age), Some(required)) => Some(required.min(*max_age)),
            (JwtIntrospection::NoOlderThan(max_age), None) => Some(*max_age),
            (_, required) => required,
        }
    }
}

#[cfg(all(test, any(feature = "aws-lc-rs", feature = "rust-crypto")))]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use http::HeaderValue;

    use super::*;
    use crate::{
        confirmation::Checkable,
        crypto::tests::BACKENDS,
        introspection::{ClientAuthentication, Discovery, Endpoint},
        jose::Algorithm,
        jwt::{JwtValidation, Profile},
        net::{
            fetch::{FetchLimits, USER_AGENT_NAME, document::Documents},
            https_url::PlainHttp,
        },
        online::{CacheConfig, Limits, OnlineDeps, ResponseValidation},
        resource_server::tests::{ISSUER, Network, SetClock},
        scope::ExactScopes,
    };

    /// The settings that decide which answers are the same.
    #[derive(Clone)]
    struct Settings {
        issuer: &'static str,
        /// `None` for a discovered one.
        endpoint: Option<&'static str>,
        client: ClientAuthentication,
        parameters: &'static [(&'static str, &'static str)],
        audience: &'static [&'static str],
        jwts: JwtIntrospection,
    }

    fn settings() -> Settings {
        Settings {
            issuer: ISSUER,
            endpoint: Some("https://as.example/introspect"),
            client: ClientAuthentication::client_secret_basic("api", "secret"),
            parameters: &[("a", "bc")],
            audience: &["api"],
            jwts: JwtIntrospection::WhereRequired,
        }
    }

    fn introspector(settings: Settings) -> Introspector {
        let clock = Arc::new(SetClock::new());
        let limits = FetchLimits::new(1024, Duration::from_secs(5));
        let audiences = || settings.audience.iter().copied().collect();
        let audience = Audience::Ours { names: audiences(), may_be_absent: false };
        let grammar = Arc::new(ExactScopes);
        let validation =
            ResponseValidation::new(settings.issuer.into(), audience, grammar.clone(), Duration::ZERO, None);
        let deps = OnlineDeps { clock: clock.clone(), observer: None, backend: BACKENDS[0], runtime: None };
        let online = OnlineVerifier::new(validation, &CacheConfig::default(), Limits::default(), deps);
        let documents = Documents {
            fetch: Arc::new(Network::new()),
            clock: clock.clone(),
            limits: limits.clone(),
            user_agent: USER_AGENT_NAME,
        };
        let discovered = || Discovery {
            issuer: settings.issuer.into(),
            documents,
            metadata_url: None,
            plain_http: PlainHttp::REFUSED,
            by_certificate: false,
            hosts: Vec::new(),
            first_form: AtomicUsize::new(0),
            state: std::sync::Mutex::default(),
        };
        let endpoint = match settings.endpoint {
            Some(url) => Endpoint::At(url.parse().unwrap()),
            None => Endpoint::Discovered(Arc::new(discovered())),
        };
        let client = IntrospectionClient {
            issuer: settings.issuer.into(),
            endpoint,
            client: settings.client.prepare(BACKENDS[0]).unwrap(),
            parameters: settings.parameters.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect(),
            token_type_hint: true,
            signed: None,
            fetch: Arc::new(Network::new()),
            clock,
            limits,
            user_agent: HeaderValue::from_static("test"),
        };
        let jwt_validation = JwtValidation {
            issuer: settings.issuer.into(),
            audiences: audiences(),
            audience_waived: false,
            authorized_parties: None,
            algorithms: Algorithm::DEFAULT.into(),
            profile: Profile::rfc9068(),
            grammar,
            leeway: Duration::ZERO,
            max_age: None,
            confirmations: Checkable::default(),
        };
        Introspector::new(online, client, settings.jwts, jwt_validation, Vec::new())
    }

    #[test]
    fn i_12_an_answer_is_reused_for_the_same_token_endpoint_client_and_audience_alone() {
        let key = |settings| introspector(settings).key("token", false);
        let basic = ClientAuthentication::client_secret_basic;
        let others = [
            key(settings()),
            introspector(settings()).key("token", true),
            introspector(settings()).key("other", false),
            key(Settings { issuer: "https://other", ..settings() }),
            key(Settings { endpoint: Some("https://as.example/other"), ..settings() }),
            key(Settings { endpoint: None, ..settings() }),
            key(Settings { client: basic("other", "secret"), ..settings() }),
            key(Settings { client: ClientAuthentication::bearer("one"), ..settings() }),
            key(Settings { client: ClientAuthentication::bearer("two"), ..settings() }),
            key(Settings { parameters: &[], ..settings() }),
            key(Settings { parameters: &[("ab", "c")], ..settings() }),
            key(Settings { audience: &["api", "other"], ..settings() }),
        ];
        for (i, other) in others.iter().enumerate() {
            assert!(!others[i + 1..].contains(other), "{i}");
        }
        assert_eq!(key(settings()), others[0]);
        assert_eq!(key(Settings { client: basic("api", "renewed"), ..settings() }), others[0], "it is the same client");
    }

    #[test]
    fn the_greatest_age_of_an_answer_about_a_jwt_is_the_shorter_of_what_is_configured_and_demanded() {
        let (short, long) = (Duration::from_secs(1), Duration::from_secs(9));
        for (jwts, demanded, max_age) in [
            (JwtIntrospection::NoOlderThan(short), Some(long), Some(short)),
            (JwtIntrospection::NoOlderThan(long), Some(short), Some(short)),
            (JwtIntrospection::NoOlderThan(long), None, Some(long)),
            (JwtIntrospection::WhereRequired, Some(long), Some(long)),
            (JwtIntrospection::WhereRequired, None, None),
        ] {
            let introspector = introspector(Settings { jwts: jwts.clone(), ..settings() });
            assert_eq!(introspector.max_age_for_jwts(demanded), max_age, "{jwts:?} {demanded:?}");
        }
    }
}
