use std::{
    collections::HashSet,
    sync::{Arc, Mutex, atomic::AtomicUsize},
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use http::{
    HeaderName, HeaderValue, Request, Response, Uri,
    header::{ACCEPT, ACCEPT_ENCODING, HOST, IF_MODIFIED_SINCE, IF_NONE_MATCH, RANGE},
};
use tokio::runtime::Handle;

use super::{
    Issuer,
    faults::{Faults, IssuerFaults},
    issuer::Keys,
};
use crate::{
    BoxFuture,
    clock::Clock,
    crypto::CryptoBackend,
    custom::token_verifier::{Application, TokenVerifier},
    dispatch::Trusted,
    introspection::{
        Authenticator, Discovery, Endpoint, Introspection, IntrospectionClient, Introspector, JwtIntrospection,
        SignedResponses,
    },
    jose::JwkSet,
    jwt::{JwtValidation, JwtVerifier, ProfileFault, Settings},
    keys::{FixedKeys, KeyFetcher, KeyRefresh, KeySource, Location, RefreshMode, RemoteKeys},
    net::{
        fetch::{Fetch, FetchError, FetchLimits, document::Documents},
        https_url,
    },
    observe::Observer,
    online::{self, Audience, OnlineDeps, OnlineVerifier},
    redact,
    token::claims::checks::AllowedValues,
};

/// Makes the verifier of an issuer out of its settings, and of those that all issuers share: when a resource server is
/// built, and when a tenant becomes known.
#[derive(Clone, Debug)]
pub(crate) struct Verifiers {
    /// Of the issuers that have none of their own.
    pub(super) audiences: Vec<String>,
    pub(super) leeway: Duration,
    pub(super) max_token_age: Option<Duration>,
    pub(super) key_refresh: KeyRefresh,
    pub(super) observer: Option<Arc<dyn Observer>>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) fetch: Option<Arc<dyn Fetch>>,
    pub(super) user_agent: HeaderValue,
    pub(super) crypto: Option<CryptoBackend>,
    pub(super) runtime: Option<Handle>,
}

/// The group of tenants that an issuer belongs to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Membership<'g> {
    pub(super) name: &'g Arc<str>,
    /// When the tenant was last asked for its keys, if it is known.
    pub(super) last_asked: Option<SystemTime>,
    /// Whether this is no tenant, but stands for all of them.
    pub(super) is_template: bool,
}

impl Verifiers {
    /// Whoever judges the tokens of `issuer`.
    pub(crate) fn trusted(&self, issuer: Issuer, faults: &mut Faults) -> Option<Trusted> {
        let name: Arc<str> = issuer.identifier.as_str().into();
        let Some(introspection) = issuer.introspection.clone() else {
            let jwt = self.verifier(issuer, None, faults)?;
            return Some(Trusted { name, jwt: Some(Arc::new(jwt)), introspector: None });
        };
        let jwt = self.verifier(issuer.clone(), None, faults);
        let keys = jwt.as_ref().map(|jwt| Arc::clone(&jwt.keys));
        let jwt = jwt.filter(|_| introspection.jwts != JwtIntrospection::Instead).map(Arc::new);
        let mut faults = faults.of(&issuer.identifier);
        let introspector = Arc::new(self.introspector(&issuer, introspection, keys, &mut faults)?);
        Some(Trusted { name, jwt, introspector: Some(introspector) })
    }

    /// Whoever asks an issuer about tokens.
    fn introspector(
        &self,
        issuer: &Issuer,
        introspection: Introspection,
        keys: Option<Arc<dyn KeySource>>,
        faults: &mut IssuerFaults<'_>,
    ) -> Option<Introspector> {
        introspection.faults().into_iter().for_each(|fault| faults.add(fault));
        if introspection.signed && matches!(issuer.keys, Keys::None) {
            faults.add("its answers have to be signed, and it has no keys to check that by; name the issuer with `Issuer::discovered`");
        }
        let name: Arc<str> = issuer.identifier.as_str().into();
        let client = self.crypto.map(|backend| introspection.client.prepare(backend));
        let client = client?.map_err(|fault| faults.add(format!("the client authentication {fault}"))).ok();
        let by_certificate = client.as_ref().is_some_and(Authenticator::uses_tls);
        let fetch = introspection.fetch.or_else(|| self.fetch.clone());
        let endpoint = match &introspection.endpoint {
            Some(url) => match https_url::parse(url, &issuer.plain_http) {
                Ok(url) => Some(Endpoint::At(url)),
                Err(fault) => {
                    faults.add(format!("the introspection endpoint {:?} {fault}", redact::url(url)));
                    None
                }
            },
            None => {
                let refresh = issuer.key_refresh.as_ref().unwrap_or(&self.key_refresh);
                let metadata_url = Self::metadata_url(issuer, faults);
                fetch.clone().map(|fetch| {
                    Endpoint::Discovered(Arc::new(Discovery {
                        issuer: Arc::clone(&name),
                        documents: Documents {
                            fetch,
                            clock: Arc::clone(&self.clock),
                            limits: FetchLimits::new(refresh.max_document, refresh.timeout),
                            user_agent: self.user_agent.clone(),
                        },
                        metadata_url,
                        plain_http: issuer.plain_http.clone(),
                        by_certificate,
                        hosts: introspection.endpoint_hosts.clone(),
                        first_form: AtomicUsize::new(0),
                        state: Mutex::default(),
                    }))
                })
            }
        };
        let audiences = self.audiences_of(issuer);
        let rules = online::ResponseValidation {
            aliases: introspection.aliases.iter().map(|alias| alias.as_str().into()).collect(),
            authorized_parties: issuer
                .authorized_parties
                .as_ref()
                .map(|parties| parties.iter().map(String::as_str).collect()),
            demands_token_type: introspection.demands_token_type,
            scope_may_be_array: introspection.scope_may_be_array,
            ..online::ResponseValidation::new(
                Arc::clone(&name),
                Audience::Ours { names: audiences.clone(), may_be_absent: introspection.audience_waived },
                Arc::clone(&issuer.grammar),
                self.leeway,
                self.max_token_age,
            )
        };
        let signed = introspection.signed.then_some(keys).flatten().map(|keys| SignedResponses {
            keys,
            algorithms: issuer.algorithms.clone(),
            audiences,
            leeway: self.leeway,
        });
        let limits = FetchLimits::new(introspection.max_response, introspection.limits.timeout);
        let asker = IntrospectionClient {
            issuer: name,
            endpoint: endpoint?,
            client: client?,
            parameters: introspection.parameters,
            token_type_hint: introspection.token_type_hint,
            signed,
            fetch: fetch?,
            clock: Arc::clone(&self.clock),
            limits,
            user_agent: self.user_agent.clone(),
        };
        let prefixes = introspection.prefixes.into_iter().map(Into::into).collect();
        self.deps().map(|deps| {
            let online = OnlineVerifier::new(rules, &introspection.cache, introspection.limits, deps);
            Introspector::new(online, asker, introspection.jwts, self.jwt_validation(issuer), prefixes)
        })
    }

    /// A verifier of the application, at a online of its own.
    pub(crate) fn application(&self, verifier: Arc<dyn TokenVerifier>, faults: &mut Faults) -> Option<Application> {
        let (cache, limits) = (verifier.cache(), verifier.limits());
        let mut faults = faults.of(verifier.issuer());
        online::faults(&cache, &limits).for_each(|fault| faults.add(fault));
        if let Some(fault) = verifier.fault() {
            faults.add(fault);
        }
        if verifier.issuer().is_empty() {
            faults.add("a verifier has to call the issuer of its tokens something");
        }
        let rules = online::ResponseValidation::new(
            verifier.issuer().into(),
            Audience::SeenTo,
            verifier.scope_grammar(),
            self.leeway,
            self.max_token_age,
        );
        let deps = self.deps();
        deps.map(|deps| Application::new(verifier, OnlineVerifier::new(rules, &cache, limits, deps)))
    }

    fn deps(&self) -> Option<OnlineDeps> {
        self.crypto.map(|backend| OnlineDeps {
            clock: Arc::clone(&self.clock),
            observer: self.observer.clone(),
            backend,
            runtime: self.runtime.clone(),
        })
    }

    fn audiences_of(&self, issuer: &Issuer) -> AllowedValues {
        let audiences = if issuer.audiences.is_empty() { &self.audiences } else { &issuer.audiences };
        audiences.iter().map(String::as_str).collect()
    }

    /// The verifier for the tokens of `issuer`, which may be one of many tenants.
    pub(crate) fn verifier(
        &self,
        issuer: Issuer,
        tenants: Option<Membership<'_>>,
        faults: &mut Faults,
    ) -> Option<JwtVerifier> {
        let mut faults = faults.of(&issuer.identifier);
        if tenants.is_some() && issuer.introspection.is_some() {
            faults.add("tenants cannot be asked about tokens; name the issuer by itself");
        }
        if !issuer.is_found_by_name() {
            if let Err(fault) = https_url::check_name(&issuer.identifier) {
                faults.add(format!("the identifier {fault}"));
            }
        } else if issuer.identifier.contains("/.well-known/") {
            faults.add("is the address of a metadata document; give the issuer, as the document names it");
        } else if let Err(fault) = https_url::parse_issuer(&issuer.identifier, &issuer.plain_http) {
            faults.add(format!(
                "the identifier {fault}; if it is a name alone, say where its metadata is with `.metadata_url(..)`, or its keys \
                 with `Issuer::with_jwks_uri`"
            ));
        }
        for host in issuer.plain_http.hosts.iter().filter(|host| !https_url::is_host(host)) {
            faults.add(format!(
                "http is allowed for {host:?}, which is no host; give it as in a URL, without scheme and port"
            ));
        }
        let audiences = if issuer.audiences.is_empty() { &self.audiences } else { &issuer.audiences };
        if audiences.is_empty() {
            faults.add(if issuer.audience_waived {
                "has no audience; one is needed all the same, for tokens that name audiences and for the realm: give this API \
                 any name with `.audience(..)`"
            } else {
                "has no audience; name this API as its tokens do in `aud`, with `.audience(..)`"
            });
        }
        for (audience, fault) in audience_faults(&issuer.audiences) {
            faults.add(format!("the audience {audience:?} {fault}"));
        }
        if issuer.algorithms.is_empty() {
            faults.add(
                "the list of algorithms is empty, so that every token would be refused; leave it out for the default",
            );
        }
        if issuer.authorized_parties.as_ref().is_some_and(Vec::is_empty) {
            faults.add("the list of authorized parties is empty, so that every token would be refused; leave it out to accept every client");
        }
        match issuer.profile.fault() {
            Some(ProfileFault::AcceptsNothing) => {
                faults.add(format!(
                    "the profile {:?} accepts no `typ`; add `.accept_type(..)` or `.accept_absent_type()`",
                    issuer.profile.name()
                ));
            }
            Some(ProfileFault::Contradiction(demanded)) => faults.add(format!(
                "the profile {:?} would accept nothing: it demands {demanded}, and its other settings leave no such token; change \
                 `.evidence(..)`, `.scope_claim(..)` or `.foreign_claim(..)`",
                issuer.profile.name()
            )),
            Some(ProfileFault::NoEvidence) => faults.add(format!(
                "the profile {:?} would accept ID tokens; say with `.evidence(..)` how an access token is known",
                issuer.profile.name()
            )),
            None => {}
        }
        let settings = Settings {
            issuer: &issuer.identifier,
            audiences,
            audience_waived: issuer.audience_waived,
            has_parties: issuer.authorized_parties.is_some(),
            is_template: tenants.is_some_and(|group| group.is_template),
        };
        for misfit in issuer.profile.misfits(&settings) {
            faults.add(format!("the profile {:?} {misfit}", issuer.profile.name()));
        }
        if issuer.key_hosts.as_ref().is_some_and(HashSet::is_empty) {
            faults.add("the list of hosts for its keys is empty, so that they could be had from nowhere; leave it out to accept every host");
        }
        for fault in issuer.key_refresh.as_ref().unwrap_or(&self.key_refresh).faults() {
            faults.add(fault);
        }
        let keys = self.keys(&issuer, tenants, &mut faults)?;
        Some(JwtVerifier::new(self.jwt_validation(&issuer), keys))
    }

    /// What the JWTs of an issuer are held to.
    fn jwt_validation(&self, issuer: &Issuer) -> JwtValidation {
        JwtValidation {
            issuer: issuer.identifier.as_str().into(),
            audiences: self.audiences_of(issuer),
            audience_waived: issuer.audience_waived,
            authorized_parties: issuer
                .authorized_parties
                .as_ref()
                .map(|parties| parties.iter().map(String::as_str).collect()),
            algorithms: issuer.algorithms.as_slice().into(),
            profile: issuer.profile.clone(),
            grammar: Arc::clone(&issuer.grammar),
            leeway: self.leeway,
            max_age: self.max_token_age,
        }
    }

    fn keys(
        &self,
        issuer: &Issuer,
        tenants: Option<Membership<'_>>,
        faults: &mut IssuerFaults<'_>,
    ) -> Option<Arc<dyn KeySource>> {
        let header = self.header(issuer, faults);
        let remote = |location| self.remote(issuer, location, header, tenants, faults);
        match &issuer.keys {
            Keys::Source(source) => {
                if issuer.several_algorithms_per_key {
                    faults.add(
                        "has a key source of the application, which prepares its keys by itself; call \
                         `dangerous_allow_several_algorithms_per_key` of the `JwkSet` there",
                    );
                }
                Some(Arc::clone(source))
            }
            Keys::Given(json) => {
                let most = issuer.key_refresh.as_ref().unwrap_or(&self.key_refresh).max_keys;
                let mut set =
                    JwkSet::from_json_up_to(json, most).map_err(|error| faults.add(error.to_string())).ok()?;
                if issuer.several_algorithms_per_key {
                    set = set.dangerous_allow_several_algorithms_per_key();
                }
                let set = set.prepare(&issuer.algorithms, self.crypto?);
                if set.is_empty() {
                    let skipped: Vec<String> = set.skipped().iter().map(ToString::to_string).collect();
                    faults.add(match skipped.as_slice() {
                        [] => "the given JWK Set has no keys".to_owned(),
                        skipped => format!("none of the given keys can be used: [{}]", skipped.join("; ")),
                    });
                }
                Some(Arc::new(FixedKeys(Arc::new(set))))
            }
            Keys::None => None,
            Keys::Discovered => remote(Location::Discovered),
            Keys::File(path) => remote(Location::File(path.clone())),
            Keys::Url(url) => match https_url::parse(url, &issuer.plain_http) {
                Ok(url) if !issuer.allows_host(&url) => {
                    faults.add(format!(
                        "the JWKS URL {:?} is not at one of its hosts for keys",
                        redact::url(&url.to_string())
                    ));
                    None
                }
                Ok(url) => remote(Location::At(url)),
                Err(fault) => {
                    faults.add(format!("the JWKS URL {:?} {fault}", redact::url(url)));
                    None
                }
            },
        }
    }

    /// The header that goes with requests for the keys.
    fn header(&self, issuer: &Issuer, faults: &mut IssuerFaults<'_>) -> Option<(HeaderName, HeaderValue)> {
        let (name, value) = issuer.jwks_header.as_ref()?;
        if !issuer.is_fetched() {
            faults.add("has a header for its JWK Set, which is not fetched from a URL; leave it out");
        }
        if matches!(issuer.keys, Keys::Discovered) && issuer.key_hosts.is_none() {
            faults.add(
                "has a header for its JWK Set, which would go to whatever host the metadata document names; name the hosts \
                 with `.key_hosts(..)`",
            );
        }
        let header = name.parse::<HeaderName>().ok().zip(HeaderValue::from_str(value).ok());
        match header {
            // The name may be a secret as well, if the two were confused.
            None => faults.add("the header for its JWK Set is no header: a name of letters, digits and dashes, and a value of visible ASCII"),
            Some((ref name, _)) if [ACCEPT, ACCEPT_ENCODING, HOST, IF_NONE_MATCH, IF_MODIFIED_SINCE, RANGE].contains(name) => {
                faults.add(format!("the header {name} for its JWK Set is for us to send"));
            }
            Some((name, mut value)) => {
                value.set_sensitive(true);
                return Some((name, value));
            }
        }
        None
    }

    /// Where the metadata document is, if somebody said so.
    fn metadata_url(issuer: &Issuer, faults: &mut IssuerFaults<'_>) -> Option<Uri> {
        let url = issuer.metadata_url.as_deref()?;
        if !issuer.is_discovered() {
            faults.add("has an address of its metadata document, and nothing that is found through it; leave it out");
        }
        https_url::parse(url, &issuer.plain_http)
            .map_err(|fault| faults.add(format!("the metadata URL {:?} {fault}", redact::url(url))))
            .ok()
    }

    fn remote(
        &self,
        issuer: &Issuer,
        location: Location,
        header: Option<(HeaderName, HeaderValue)>,
        tenants: Option<Membership<'_>>,
        faults: &mut IssuerFaults<'_>,
    ) -> Option<Arc<dyn KeySource>> {
        let Some(runtime) = self.runtime.clone() else {
            faults.add("its keys have to be fetched, and there is no tokio runtime; build inside of one");
            return None;
        };
        let metadata_url = Self::metadata_url(issuer, faults);
        let refresh = issuer.key_refresh.clone().unwrap_or_else(|| self.key_refresh.clone());
        let fetch = match &location {
            Location::File(_) => Arc::new(NoFetch),
            _ => Arc::clone(self.fetch.as_ref()?),
        };
        let name: Arc<str> = issuer.identifier.as_str().into();
        let origin = KeyFetcher {
            issuer: Arc::clone(&name),
            location,
            plain_http: issuer.plain_http.clone(),
            header,
            hosts: issuer.key_hosts.clone().map(Arc::new),
            algorithms: issuer.algorithms.as_slice().into(),
            several_algorithms_per_key: issuer.several_algorithms_per_key,
            backend: self.crypto?,
            documents: Documents {
                fetch,
                clock: Arc::clone(&self.clock),
                limits: FetchLimits::new(refresh.max_document, refresh.timeout),
                user_agent: self.user_agent.clone(),
            },
            refresh,
            keys_name_issuer: issuer.profile.keys_name_issuer(),
            reading: Arc::default(),
            first_form: Arc::default(),
            metadata_url,
            told_of_host: Arc::default(),
        };
        let (label, idle, last) = match tenants {
            Some(group) => (Arc::clone(group.name), RefreshMode::OnDemand, group.last_asked),
            None => (name, RefreshMode::Scheduled, None),
        };
        Some(Arc::new(RemoteKeys::new(origin, last, label, self.observer.clone(), runtime, idle)))
    }
}

/// What is wrong with names of this API: a resource indicator (RFC 8707 §2) that is fit to be a realm as well.
pub(super) fn audience_faults(audiences: &[String]) -> impl Iterator<Item = (&str, &'static str)> {
    audiences.iter().filter_map(|audience| {
        let fault = if audience.is_empty() || https_url::has_scheme(audience) && audience.contains('#') {
            "is empty, or has a fragment; RFC 8707 section 2 allows neither"
        } else if !audience.bytes().all(|byte| matches!(byte, 0x20..=0x7e)) {
            "has characters other than visible ASCII"
        } else {
            return None;
        };
        Some((audience.as_str(), fault))
    })
}

/// The client of a source that reads a file.
#[derive(Debug)]
struct NoFetch;

impl Fetch for NoFetch {
    fn fetch(&self, _: Request<Bytes>, _: FetchLimits) -> BoxFuture<'static, Result<Response<Bytes>, FetchError>> {
        Box::pin(async { Err(FetchError::failed("nothing is fetched for keys in a file")) })
    }
}
