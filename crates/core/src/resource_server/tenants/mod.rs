use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};

use super::{
    Issuer,
    faults::Faults,
    issuer::Keys,
    verifier_factory::{Membership, VerifierFactory},
};
use crate::{dispatch::TenantGroup, jwt::JwtVerifier, net::https_url};

/// The placeholder of the tenant in a template.
const PLACEHOLDER: &str = "{tenant}";

/// The identifier of the sample by which the settings of all tenants are checked.
const SAMPLE: &str = "https://tenant.example";

/// The longest name of a tenant.
const MAX_TENANT: usize = 256;

/// Many issuers that differ in nothing but their name: the tenants of one authorization server.
///
/// A tenant becomes known with its first token. Before anything is fetched for it, it has to be trusted: its `iss` has to
/// fit the template, and the predicate has to accept the tenant. All tenants have the same settings, and each has its own keys.
///
/// ```
/// use scopegate_core::{ResourceServer, Tenants};
///
/// let known = ["north", "south"];
/// let builder = ResourceServer::builder()
///     .tenants(
///         Tenants::template("https://{tenant}.idp.example/oidc", move |tenant| known.contains(&tenant))
///             .settings(|issuer| issuer.audiences(["https://api.example"]))
///             .max_live(500),
///     );
/// ```
///
/// Of the trusted tenants, 1000 are live at a time, unless [`max_live`](Self::max_live) says otherwise: their keys are cached.
/// One more evicts one that was used little, whose keys are fetched again with its next token. Tenants without a valid token
/// yet are on probation and have room of their own, so that forged tokens evict no tenant that is served. Let `max_live` be no
/// smaller than the number of trusted tenants: otherwise a stranger who names all of them can keep a tenant that has not been
/// served yet waiting for its cool-down.
///
/// Each tenant has its own budget of fetches, also while it is not live, so a predicate that trusts every name lets strangers
/// cause traffic: to the hosts that the template allows, and to those that the metadata documents there name for their keys,
/// unless [`key_hosts`](Issuer::key_hosts) in the settings allows fewer.
///
/// Strangers can find out which tenants are trusted: forged tokens of those are refused for another reason, the answer takes
/// longer while keys are fetched, and it is 503 where that fails. Where this matters,
/// [`uniform_refusals`](super::ResourceServerBuilder::uniform_refusals) makes the answers the same in all but the time they
/// take.
#[derive(Clone)]
#[must_use = "tenants have to be given to a `ResourceServerBuilder`"]
pub struct Tenants {
    pub(super) name: Arc<str>,
    pub(super) settings: Issuer,
    pub(super) max_live: usize,
    template: Option<Template>,
    /// Where the keys of each are, with the tenant in the place of `{tenant}`.
    jwks_uri: Option<String>,
    trusted: Arc<dyn Fn(&str) -> bool + Send + Sync>,
}

#[derive(Clone)]
struct Template {
    before: Box<str>,
    after: Box<str>,
}

impl Template {
    /// Whether the template is the placeholder alone, so that the predicate sees whole identifiers.
    fn is_all(&self) -> bool {
        self.before.is_empty() && self.after.is_empty()
    }

    /// Whether a tenant cannot choose the domain or the port: the placeholder is in the path, or it is followed by a dot and
    /// a name of two parts at least.
    fn keeps_to_its_domain(&self) -> bool {
        let authority = self.before.split_once("://").map_or("", |(_, rest)| rest);
        if self.is_all() || authority.contains('/') {
            return true;
        }
        let domain = self.after.split(['/', ':']).next().unwrap_or_default();
        let is_domain =
            domain.strip_prefix('.').is_some_and(|name| name.split('.').filter(|part| !part.is_empty()).count() >= 2);
        is_domain && !authority.contains(':')
    }
}

impl Tenants {
    /// The issuers whose identifier is `template` with a trusted tenant in the place of `{tenant}`.
    ///
    /// A tenant's name is up to 256 letters, digits, and `-._~`. Where the placeholder is in the host, it is followed by the
    /// rest of a domain of yours: `https://{tenant}.idp.example/`.
    ///
    /// The predicate is asked for every token of a tenant, so it has to be quick, and a tenant that it no longer trusts is
    /// refused at once.
    pub fn template(template: impl Into<String>, trusted: impl Fn(&str) -> bool + Send + Sync + 'static) -> Self {
        let template = template.into();
        let parts = template
            .split_once(PLACEHOLDER)
            .filter(|(before, after)| !after.contains(PLACEHOLDER) && (!before.is_empty() || !after.is_empty()));
        let parts = parts.map(|(before, after)| Template { before: before.into(), after: after.into() });
        Self::new(&template, parts, trusted)
    }

    /// The issuers that the predicate trusts, by their whole identifier. `name` is that of all of them in logs and metrics.
    ///
    /// The predicate gets what a stranger may have written into a token. It has to compare the whole identifier with known
    /// ones, the rows of a table for example, and not only its beginning.
    pub fn trusting(name: impl AsRef<str>, trusted: impl Fn(&str) -> bool + Send + Sync + 'static) -> Self {
        let whole = Template { before: Box::default(), after: Box::default() };
        Self::new(name.as_ref(), Some(whole), trusted)
    }

    fn new(name: &str, template: Option<Template>, trusted: impl Fn(&str) -> bool + Send + Sync + 'static) -> Self {
        Self {
            name: name.into(),
            settings: Issuer::new(SAMPLE, Keys::Discovered),
            max_live: 1000,
            template,
            jwks_uri: None,
            trusted: Arc::new(trusted),
        }
    }

    /// Changes the settings of all tenants: audiences, profile, algorithms, as for any [`Issuer`].
    pub fn settings(mut self, change: impl FnOnce(Issuer) -> Issuer) -> Self {
        self.settings = change(self.settings);
        self
    }

    /// Takes each tenant's keys from this address, with the tenant in the place of `{tenant}`, instead of from where its
    /// metadata says. An address without `{tenant}` is that of one key set which all of them have.
    ///
    /// Nothing is fetched from the tenants' names then, so the template may be any StringOrURI (RFC 7519 §2).
    ///
    /// ```
    /// use scopegate_core::Tenants;
    ///
    /// let tenants = Tenants::template("http://localhost:8080/realms/{tenant}", |tenant| tenant == "shop")
    ///     .jwks_uri("https://keycloak.internal.example/realms/{tenant}/protocol/openid-connect/certs");
    /// ```
    pub fn jwks_uri(mut self, address: impl Into<String>) -> Self {
        self.jwks_uri = Some(address.into());
        self
    }

    /// Caches the keys of so many tenants, instead of 1000.
    pub fn max_live(mut self, tenants: usize) -> Self {
        self.max_live = tenants;
        self
    }

    /// The template, or the name that was given: the name of all tenants in logs and metrics.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The tenant in an identifier that fits the template.
    fn tenant_of<'i>(&self, issuer: &'i str) -> Option<&'i str> {
        let template = self.template.as_ref()?;
        let tenant = issuer.strip_prefix(&*template.before)?.strip_suffix(&*template.after)?;
        (template.is_all() || is_tenant(tenant)).then_some(tenant)
    }

    /// Whether this is the identifier of a trusted tenant.
    pub(super) fn trusts(&self, issuer: &str) -> bool {
        self.tenant_of(issuer).is_some_and(|tenant| (self.trusted)(tenant))
    }

    /// The issuer of this identifier, if it is a trusted tenant.
    fn resolve(&self, issuer: &str) -> Option<Issuer> {
        let tenant = self.tenant_of(issuer)?;
        self.check_identifier(issuer).ok()?;
        (self.trusted)(tenant).then(|| self.issuer(issuer, tenant))
    }

    /// The settings of a tenant.
    fn issuer(&self, identifier: &str, tenant: &str) -> Issuer {
        let keys = match &self.jwks_uri {
            Some(address) => Keys::Url(address.replacen(PLACEHOLDER, tenant, 1)),
            None => self.settings.keys.clone(),
        };
        Issuer { identifier: identifier.to_owned(), keys, ..self.settings.clone() }
    }

    /// A sample tenant, by which the settings of all are checked.
    pub(super) fn sample(&self) -> Issuer {
        self.issuer(SAMPLE, "tenant")
    }

    /// An identifier has to be a URL only where the metadata is fetched from it.
    fn check_identifier(&self, issuer: &str) -> Result<(), &'static str> {
        match self.jwks_uri {
            Some(_) => https_url::check_name(issuer),
            None => https_url::parse_issuer(issuer, &self.settings.plain_http).map(drop),
        }
    }

    pub(super) fn membership(&self, last_asked: Option<SystemTime>) -> Membership<'_> {
        Membership { name: &self.name, last_asked, is_template: false }
    }

    /// The fault of the template, if it has one.
    pub(super) fn fault(&self) -> Option<String> {
        let Some(template) = &self.template else {
            return Some(format!("the template has to have `{PLACEHOLDER}` in it, once"));
        };
        if self.max_live == 0 {
            return Some("no tenant may be live, so that every token would be refused; the default is 1000".into());
        }
        if !matches!(self.settings.keys, Keys::Discovered) {
            return Some(
                "the keys of tenants are found through their metadata, or at `jwks_uri`; leave the settings' own issuer alone".into(),
            );
        }
        if self.settings.metadata_url.is_some() {
            return Some(
                "one metadata document names one issuer, and no tenant beside it; leave out `metadata_url`".into(),
            );
        }
        let sample =
            if template.is_all() { SAMPLE.to_owned() } else { format!("{}tenant{}", template.before, template.after) };
        if let Err(fault) = self.check_identifier(&sample) {
            return Some(format!("the template {fault}"));
        }
        let keys_by_tenant = match self.jwks_uri.as_deref().map(|address| address.split_once(PLACEHOLDER)) {
            Some(Some(_)) if template.is_all() => {
                return Some(format!(
                    "the address of their keys has `{PLACEHOLDER}` in it, and they are known by whole identifiers"
                ));
            }
            Some(Some((_, after))) if after.contains(PLACEHOLDER) => {
                return Some(format!("the address of their keys has `{PLACEHOLDER}` in it more than once"));
            }
            Some(parts) => parts.map(|(before, after)| Template { before: before.into(), after: after.into() }),
            None => Some(template.clone()),
        };
        keys_by_tenant.is_some_and(|fetched| !fetched.keeps_to_its_domain()).then(|| {
            format!(
                "an attacker who chooses the tenant would choose the host; let `{PLACEHOLDER}` be in the path, or a part of a host that \
                 your own domain follows, such as `https://{PLACEHOLDER}.idp.example/`"
            )
        })
    }
}

/// Tenants, and the settings from which their verifiers are made.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) tenants: Tenants,
    pub(super) verifiers: VerifierFactory,
}

impl TenantGroup for Group {
    fn name(&self) -> &str {
        &self.tenants.name
    }

    fn trusts(&self, issuer: &str) -> bool {
        self.tenants.trusts(issuer)
    }

    fn verifier(&self, issuer: &str, last_asked: Option<SystemTime>) -> Option<JwtVerifier> {
        let tenant = self.tenants.resolve(issuer)?;
        let mut faults = Faults::default();
        let verifier = self.verifiers.verifier(tenant, Some(self.tenants.membership(last_asked)), &mut faults);
        match faults.none() {
            Ok(()) => verifier,
            Err(error) => {
                // The settings were checked when the resource server was built, so it is about this very tenant.
                tracing::error!(tenants = %self.tenants.name, %error, "a trusted tenant cannot be served");
                None
            }
        }
    }

    fn live_limit(&self) -> usize {
        self.tenants.max_live
    }

    fn cool_down(&self) -> Duration {
        self.tenants.settings.key_refresh.as_ref().unwrap_or(&self.verifiers.key_refresh).cool_down
    }

    fn now(&self) -> SystemTime {
        self.verifiers.clock.now()
    }
}

/// Whether the text is a tenant's name: no character in it ends a path segment or a host, or is part of an encoding.
pub(crate) fn is_tenant(text: &str) -> bool {
    (1..=MAX_TENANT).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte))
        && !matches!(text, "." | "..")
}

impl fmt::Debug for Tenants {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tenants")
            .field("name", &self.name)
            .field("max_live", &self.max_live)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
