use std::{
    collections::HashSet,
    error::Error as StdError,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use super::{Inner, Issuer, ResourceServer, issuer::Keys};
use crate::{
    clock::{Clock, SystemClock},
    crypto::CryptoBackend,
    dispatch::Issuers,
    fetch::Fetch,
    https_url,
    jwks::{FixedKeys, KeySource, Location, RemoteKeys},
    jws::JwkSet,
    jwt::{ClaimNames, JwtVerifier, ProfileFault, Rules},
};

/// The difference between clocks that is tolerated unless [`ResourceServerBuilder::leeway`] says otherwise.
const DEFAULT_LEEWAY: Duration = Duration::from_secs(60);

/// The greatest leeway. More of it would keep expired tokens alive rather than make up for clocks.
const MAX_LEEWAY: Duration = Duration::from_secs(5 * 60);

/// The longest token that is read unless [`ResourceServerBuilder::max_token_length`] says otherwise, in bytes.
const DEFAULT_MAX_TOKEN_LENGTH: usize = 16 * 1024;

/// Settings of a [`ResourceServer`]. Issuers and audiences are mandatory; the rest has defaults.
///
/// | setting | default |
/// |---|---|
/// | [`leeway`](Self::leeway) | 60 s, at most 5 min |
/// | [`max_token_length`](Self::max_token_length) | 16 KiB |
/// | [`max_token_age`](Self::max_token_age) | no limit but `exp` |
/// | [`clock`](Self::clock) | the operating system's |
/// | [`fetch`](Self::fetch) | `ReqwestFetch`, with the feature `reqwest` |
/// | [`crypto`](Self::crypto) | AWS-LC where it is compiled in, else RustCrypto |
#[derive(Debug)]
#[must_use = "a builder builds nothing until `build` is called"]
pub struct ResourceServerBuilder {
    issuers: Vec<Issuer>,
    audiences: Vec<String>,
    leeway: Duration,
    max_token_length: usize,
    max_token_age: Option<Duration>,
    clock: Arc<dyn Clock>,
    fetch: Option<Arc<dyn Fetch>>,
    crypto: Option<CryptoBackend>,
}

impl Default for ResourceServerBuilder {
    fn default() -> Self {
        Self {
            issuers: Vec::new(),
            audiences: Vec::new(),
            leeway: DEFAULT_LEEWAY,
            max_token_length: DEFAULT_MAX_TOKEN_LENGTH,
            max_token_age: None,
            clock: Arc::new(SystemClock),
            fetch: None,
            crypto: CryptoBackend::compiled_in(),
        }
    }
}

impl ResourceServerBuilder {
    /// Accepts tokens of this issuer, besides those named before.
    pub fn issuer(mut self, issuer: Issuer) -> Self {
        self.issuers.push(issuer);
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

    /// Refuses tokens that were issued longer ago than this, whatever their `exp` says, and tokens without `iat`.
    pub fn max_token_age(mut self, age: Duration) -> Self {
        self.max_token_age = Some(age);
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

    /// Checks signatures with this library.
    pub fn crypto(mut self, backend: CryptoBackend) -> Self {
        self.crypto = Some(backend);
        self
    }

    /// Builds the resource server. It does not wait for its issuers: keys are fetched when the first token needs them, and
    /// until they can be had the answer is 503.
    ///
    /// # Errors
    ///
    /// With every fault at once:
    ///
    /// - there is no issuer, two are equal, or one is not an `https` URL without query and fragment;
    /// - an issuer has no audience, or one that is empty, or is a URL with a fragment;
    /// - an issuer's list of algorithms or of authorized parties is empty;
    /// - an issuer's profile accepts no `typ`, or demands no sign of an access token where `typ` gives none;
    /// - given keys are not a JWK Set, or none of them can be used;
    /// - the leeway is over 5 minutes, or the token length is 0;
    /// - keys have to be fetched, and there is no client (the feature `reqwest` is off and none was given, or no TLS
    ///   provider can be had), or no tokio runtime;
    /// - neither of the features `aws-lc-rs` and `rust-crypto` is on.
    pub async fn build(mut self) -> Result<ResourceServer, BuildError> {
        let mut faults = Faults::default();
        self.check(&mut faults);
        self.provide_fetch(&mut faults);

        let mut claim_names = ClaimNames::default();
        let mut verifiers = Vec::with_capacity(self.issuers.len());
        for issuer in std::mem::take(&mut self.issuers) {
            claim_names.add(&issuer.profile);
            verifiers.extend(self.verifier(issuer, &mut faults));
        }
        let default_realm = verifiers
            .first()
            .and_then(|first: &JwtVerifier| first.rules.audiences.first().cloned())
            .unwrap_or_default();
        faults.none()?;

        static NEXT_ID: AtomicU64 = AtomicU64::new(0);
        Ok(ResourceServer(Arc::new(Inner {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            default_realm,
            issuers: Issuers::new(verifiers),
            claim_names,
            max_token_length: self.max_token_length,
            clock: self.clock,
        })))
    }

    /// The settings that concern no issuer in particular.
    fn check(&self, faults: &mut Faults) {
        if self.issuers.is_empty() {
            faults
                .add("issuer: none is configured; name at least one with `ResourceServer::discover` or `.issuer(..)`");
        }
        let mut seen = HashSet::new();
        for issuer in &self.issuers {
            if !seen.insert(&issuer.identifier) {
                faults.add(format!(
                    "issuer {:?}: is configured twice; give each issuer once, with all its audiences",
                    issuer.identifier
                ));
            }
        }
        if self.leeway > MAX_LEEWAY {
            faults.add("leeway: is over 5 minutes; mend the clock instead");
        }
        if self.max_token_length == 0 {
            faults.add("max_token_length: is 0, so that every token would be refused; the default is 16384 bytes");
        }
        if self.crypto.is_none() {
            faults.add("crypto: no backend is compiled in; enable the feature `aws-lc-rs` or `rust-crypto`");
        }
    }

    /// Makes a client where one is needed and none was given.
    fn provide_fetch(&mut self, faults: &mut Faults) {
        let needed = self.issuers.iter().any(|issuer| matches!(issuer.keys, Keys::Discovered | Keys::Url(_)));
        if !needed || self.fetch.is_some() {
            return;
        }
        #[cfg(feature = "reqwest")]
        match crate::fetch::ReqwestFetch::new() {
            Ok(fetch) => self.fetch = Some(Arc::new(fetch)),
            Err(error) => {
                faults.add(format!("fetch: {error}: {}", error.source().map(ToString::to_string).unwrap_or_default()))
            }
        }
        #[cfg(not(feature = "reqwest"))]
        faults.add("fetch: there is no HTTP client; enable the feature `reqwest`, or give one with `.fetch(..)`");
    }

    fn verifier(&self, issuer: Issuer, faults: &mut Faults) -> Option<JwtVerifier> {
        let mut faults = faults.of(&issuer.identifier);
        if let Err(fault) = https_url::parse_issuer(&issuer.identifier, issuer.plain_http) {
            faults.add(format!("the identifier {fault}"));
        }
        let audiences = if issuer.audiences.is_empty() { &self.audiences } else { &issuer.audiences };
        if audiences.is_empty() {
            faults.add("has no audience; name this API as its tokens do in `aud`, with `.audience(..)`");
        }
        for audience in audiences {
            if audience.is_empty() || audience.contains("://") && audience.contains('#') {
                faults.add(format!(
                    "the audience {audience:?} is empty, or has a fragment; RFC 8707 section 2 allows neither"
                ));
            }
            if !audience.bytes().all(|byte| matches!(byte, 0x20..=0x7e)) {
                faults.add(format!("the audience {audience:?} has characters other than visible ASCII"));
            }
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
            Some(ProfileFault::NoEvidence) => faults.add(format!(
                "the profile {:?} would accept ID tokens; say with `.evidence(..)` how an access token is known",
                issuer.profile.name()
            )),
            None => {}
        }
        let keys = self.keys(&issuer, &mut faults)?;
        let rules = Rules {
            issuer: issuer.identifier.into(),
            audiences: audiences.iter().map(|audience| audience.as_str().into()).collect(),
            authorized_parties: issuer.authorized_parties.map(|parties| parties.into_iter().map(Into::into).collect()),
            algorithms: issuer.algorithms,
            profile: issuer.profile,
            grammar: issuer.grammar,
            leeway: self.leeway,
            max_age: self.max_token_age,
        };
        Some(JwtVerifier { rules, keys })
    }

    fn keys(&self, issuer: &Issuer, faults: &mut IssuerFaults<'_>) -> Option<Arc<dyn KeySource>> {
        match &issuer.keys {
            Keys::Source(source) => Some(Arc::clone(source)),
            Keys::Given(json) => {
                let set = JwkSet::from_json(json)
                    .map_err(|error| faults.add(error.to_string()))
                    .ok()?
                    .prepare(&issuer.algorithms, self.crypto?);
                if set.is_empty() {
                    let skipped: Vec<String> = set.skipped().iter().map(ToString::to_string).collect();
                    faults.add(format!("none of the given keys can be used: [{}]", skipped.join("; ")));
                }
                Some(Arc::new(FixedKeys(Arc::new(set))))
            }
            Keys::Discovered => self.remote(issuer, Location::Discovered, faults),
            Keys::Url(url) => match https_url::parse(url, issuer.plain_http) {
                Ok(url) => self.remote(issuer, Location::At(url), faults),
                Err(fault) => {
                    faults.add(format!("the JWKS URL {fault}"));
                    None
                }
            },
        }
    }

    fn remote(&self, issuer: &Issuer, location: Location, faults: &mut IssuerFaults<'_>) -> Option<Arc<dyn KeySource>> {
        let runtime = tokio::runtime::Handle::try_current()
            .map_err(|_| faults.add("its keys have to be fetched, and there is no tokio runtime; build inside of one"))
            .ok()?;
        Some(Arc::new(RemoteKeys::new(
            issuer.identifier.as_str().into(),
            location,
            issuer.plain_http,
            issuer.algorithms.clone(),
            self.crypto?,
            Arc::clone(self.fetch.as_ref()?),
            Arc::clone(&self.clock),
            runtime,
        )))
    }
}

/// The faults found so far.
#[derive(Default)]
struct Faults(Vec<String>);

impl Faults {
    fn add(&mut self, fault: impl Into<String>) {
        self.0.push(fault.into());
    }

    fn of<'f>(&'f mut self, issuer: &str) -> IssuerFaults<'f> {
        IssuerFaults { issuer: format!("{issuer:?}"), faults: self }
    }

    fn none(self) -> Result<(), BuildError> {
        if self.0.is_empty() { Ok(()) } else { Err(BuildError { faults: self.0 }) }
    }
}

/// The faults of one issuer's settings.
struct IssuerFaults<'f> {
    issuer: String,
    faults: &'f mut Faults,
}

impl IssuerFaults<'_> {
    fn add(&mut self, fault: impl fmt::Display) {
        self.faults.add(format!("issuer {}: {fault}", self.issuer));
    }
}

/// Settings that no resource server can be built from. Names every faulty setting, and the remedy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuildError {
    faults: Vec<String>,
}

impl BuildError {
    /// The faults, each with the setting it is in and what to do about it.
    pub fn faults(&self) -> impl Iterator<Item = &str> {
        self.faults.iter().map(String::as_str)
    }
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the resource server cannot be built:")?;
        self.faults.iter().try_for_each(|fault| write!(f, "\n- {fault}"))
    }
}

impl StdError for BuildError {}
