mod introspector;
mod keys;

use std::{
    collections::HashSet,
    sync::Arc,
    time::{Duration, SystemTime},
};

use http::HeaderValue;
use tokio::runtime::Handle;

use super::{Issuer, faults::Faults};
use crate::{
    clock::Clock,
    confirmation::Checkable,
    crypto::CryptoBackend,
    custom::token_verifier::{Application, TokenVerifier},
    dispatch::Trusted,
    introspection::JwtIntrospection,
    jwt::{JwtValidation, JwtVerifier, ProfileFault, Settings},
    keys::KeyRefresh,
    net::{fetch::Fetch, https_url},
    observe::Observer,
    online::{self, Audience, OnlineDeps, OnlineVerifier},
    token::claims::checks::AllowedValues,
};

/// The settings that all issuers share. Makes the verifier of an issuer from them and the issuer's own: when a resource server
/// is built, and when the first token of a tenant comes.
#[derive(Clone, Debug)]
pub(crate) struct VerifierFactory {
    /// Those of the issuers without their own.
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
    pub(super) confirmations: Checkable,
}

/// The group of tenants that an issuer belongs to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Membership<'g> {
    pub(super) name: &'g Arc<str>,
    /// When the tenant's keys were last asked for, if that is known.
    pub(super) last_asked: Option<SystemTime>,
    /// Whether this is the sample by which the settings of all tenants are checked.
    pub(super) is_template: bool,
}

impl VerifierFactory {
    /// The verifiers of an issuer: of its JWTs, of its other tokens, or both.
    pub(crate) fn trusted(&self, issuer: Issuer, faults: &mut Faults) -> Option<Trusted> {
        let name: Arc<str> = issuer.identifier.as_str().into();
        let is_discovered = issuer.is_found_by_name();
        let Some(introspection) = issuer.introspection.clone() else {
            let jwt = self.verifier(issuer, None, faults)?;
            return Some(Trusted { name, is_discovered, jwt: Some(Arc::new(jwt)), introspector: None });
        };
        let jwt = self.verifier(issuer.clone(), None, faults);
        let keys = jwt.as_ref().map(|jwt| Arc::clone(&jwt.keys));
        let jwt = jwt.filter(|_| introspection.jwts != JwtIntrospection::Instead).map(Arc::new);
        let mut faults = faults.of(&issuer.identifier);
        let introspector = Arc::new(self.introspector(&issuer, introspection, keys, &mut faults)?);
        Some(Trusted { name, is_discovered, jwt, introspector: Some(introspector) })
    }

    /// A verifier of the application, with an [`OnlineVerifier`] of its own for cache, limits and circuit breaker.
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
        let rules = online::ResponseValidation {
            confirmations: self.confirmations,
            ..online::ResponseValidation::new(
                verifier.issuer().into(),
                Audience::CheckedByVerifier,
                verifier.scope_grammar(),
                self.leeway,
                self.max_token_age,
            )
        };
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

    /// The verifier of the JWTs of an issuer, which may be one of many tenants. Adds every fault in its settings to `faults`.
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
            // META-5: what is fetched from is an https URL without query and fragment.
            faults.add(format!(
                "the identifier {fault}; if it is a name alone, say where its metadata is with {}, or its keys with {}",
                issuer.origin.names(".metadata_url(..)", "metadata_url"),
                issuer.origin.names("Issuer::with_jwks_uri", "jwks_uri")
            ));
        }
        for host in issuer.plain_http.hosts.iter().filter(|host| !https_url::is_host(host)) {
            faults.add(format!(
                "http is allowed for {host:?}, which is no host; give it as in a URL, without scheme and port"
            ));
        }
        let audiences = if issuer.audiences.is_empty() { &self.audiences } else { &issuer.audiences };
        // JWT-3: no audience is no setting.
        if audiences.is_empty() {
            let setting = issuer.origin.names(".audience(..)", "audience");
            faults.add(if issuer.audience_waived {
                format!(
                    "has no audience; one is needed all the same, for tokens that name audiences and for the realm: give this \
                     API any name with {setting}"
                )
            } else {
                format!("has no audience; name this API as its tokens do in `aud`, with {setting}")
            });
        }
        for (audience, fault) in audience_faults(&issuer.audiences) {
            faults.add(format!("the audience {audience:?} {fault}"));
        }
        // ALG-1: there is always a list.
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
            // AT-2: without a sign of an access token, an ID token would pass.
            Some(ProfileFault::NoEvidence) => faults.add(format!(
                "the profile {:?} would accept ID tokens; say with `.evidence(..)` how an access token is known",
                issuer.profile.name()
            )),
            None => {}
        }
        let settings = Settings {
            issuer: &issuer.identifier,
            origin: &issuer.origin,
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

    /// The checks of the JWTs of an issuer.
    fn jwt_validation(&self, issuer: &Issuer) -> JwtValidation {
        JwtValidation {
            issuer: issuer.identifier.as_str().into(),
            audiences: self.audiences_of(issuer),
            audience_waived: issuer.audience_waived,
            authorized_parties: issuer
                .authorized_parties
                .as_ref()
                .map(|parties| parties.iter().map(String::as_str).collect()),
            // ALG-1, META-8: this list alone, whatever metadata says.
            algorithms: issuer.algorithms.as_slice().into(),
            profile: issuer.profile.clone(),
            grammar: Arc::clone(&issuer.grammar),
            leeway: self.leeway,
            max_age: self.max_token_age,
            confirmations: self.confirmations,
        }
    }
}

/// The faults in names of this API. Each has to be a resource indicator (RFC 8707 §2; RES-1) that can be a realm as well.
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
