//! The choice of the one verifier of a token.
//!
//! Verifiers are never tried in turn: a token that one refuses is refused. A token that a verifier of the application accepts
//! is for that verifier. A token in the shape of a JWT is for the issuer that its claims name; they are not verified yet, and
//! can only choose among the configured issuers and the tenants that the configuration trusts. Every other token is opaque, and
//! is for the issuer whose prefix it has, or else for the one issuer without a prefix.

mod tenant_set;

use std::{cmp::Ordering, collections::HashMap, sync::Arc};

pub(crate) use self::tenant_set::{TenantGroup, TenantSet};
use crate::{
    custom::token_verifier::{Application, PresentedToken},
    introspection::Introspector,
    jose::is_jwt_shaped,
    jwt::JwtVerifier,
    net::https_url,
    online::OnlineVerifier,
    refusal::{Error, FailedCheck, Reason, failed_check},
    token::{
        claims::UnverifiedClaims,
        verified::{IssuerContext, IssuerIndex},
    },
};

/// The verifier of a token, as far as its shape tells.
pub(crate) enum Route<'d> {
    /// A verifier of the application accepts it.
    Application(&'d Application),
    /// It is a JWT, whose claims name its issuer.
    Jwt,
    /// It is opaque, and its issuer is asked.
    Opaque(&'d Introspector),
}

/// All verifiers of a resource server.
#[derive(Debug)]
pub(crate) struct Dispatch {
    pub(crate) issuers: Issuers,
    pub(crate) applications: Box<[Application]>,
}

impl Dispatch {
    /// Selects the verifier for a token.
    pub(crate) fn route(&self, presented: &PresentedToken<'_>) -> Result<Route<'_>, Error> {
        if let Some(application) = self.accepting(presented)? {
            return Ok(Route::Application(application));
        }
        if is_jwt_shaped(presented.token()) {
            return Ok(Route::Jwt);
        }
        match self.issuers.introspector_of_opaque(presented.token()) {
            Some(introspector) => Ok(Route::Opaque(introspector)),
            None if !presented.token().contains('.') => {
                let expected = "a JWT, since no issuer is asked about opaque tokens and no verifier accepts it";
                Err(FailedCheck::new(
                    Reason::OpaqueToken,
                    "token",
                    expected,
                    failed_check::Actual::Fixed("an opaque one"),
                )
                .into())
            }
            // BEARER-4: a text with a dot can only be a malformed JWT.
            None => Ok(Route::Jwt),
        }
    }

    /// The verifier of the application that accepts the token, if any does. All are asked, so that a token which two of them
    /// accept is refused.
    fn accepting(&self, presented: &PresentedToken<'_>) -> Result<Option<&Application>, Error> {
        let mut accepting = None;
        for application in &self.applications {
            if !application.accepts(presented)? {
                continue;
            }
            if let Some(other) = accepting.replace(application) {
                let both = format!("{} and {}", other.issuer(), application.issuer());
                return Err(
                    FailedCheck::new(Reason::AmbiguousToken, "token", "one verifier that accepts it", both).into()
                );
            }
        }
        Ok(accepting)
    }

    /// Whether the choice may depend on more of the request than its token.
    pub(crate) fn has_custom_verifiers(&self) -> bool {
        !self.applications.is_empty()
    }

    /// The names of the issuers, except for tenants, and of the application's verifiers.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.issuers.named.iter().map(|trusted| &*trusted.name).chain(self.applications.iter().map(Application::issuer))
    }

    /// The verifiers that look up tokens online.
    pub(crate) fn online_verifiers(&self) -> impl Iterator<Item = &Arc<OnlineVerifier>> {
        let introspectors = self.issuers.named.iter().filter_map(|trusted| trusted.introspector.as_ref());
        introspectors.map(|introspector| &introspector.online).chain(self.applications.iter().map(Application::online))
    }

    /// The name of an issuer in metrics.
    pub(crate) fn label(&self, issuer: &str) -> Option<&str> {
        let application = || self.applications.iter().map(Application::issuer).find(|name| *name == issuer);
        self.issuers.label(issuer).or_else(application)
    }
}

/// An issuer that was named by itself, with a verifier of its JWTs, an introspector or both.
#[derive(Debug)]
pub(crate) struct Trusted {
    pub(crate) name: Arc<str>,
    /// Whether its metadata is found by its name, which clients can do as well.
    pub(crate) is_discovered: bool,
    pub(crate) jwt: Option<Arc<JwtVerifier>>,
    pub(crate) introspector: Option<Arc<Introspector>>,
}

/// The configured issuers.
#[derive(Debug)]
pub(crate) struct Issuers {
    /// The names of the issuers, or their number where they are many, for the log.
    expected: Arc<str>,
    named: Box<[Trusted]>,
    /// The index of each in `named`, by its name.
    numbers: HashMap<Arc<str>, usize>,
    /// Their names, sorted by [`compare_roughly`], to find a near miss for the log.
    nearly: Box<[Arc<str>]>,
    /// The introspectors of opaque tokens with these prefixes. No prefix is the beginning of another.
    prefixed: Box<[(Box<str>, Arc<Introspector>)]>,
    /// The introspector of all other opaque tokens.
    general: Option<Arc<Introspector>>,
    tenants: Box<[TenantSet]>,
}

/// The order of names in which neither a slash at the end nor the case of letters counts: by length first, which tells most
/// apart at once.
fn compare_roughly(one: &str, other: &str) -> Ordering {
    let [one, other] = [one, other].map(|name| name.strip_suffix('/').unwrap_or(name));
    let lower = |byte: u8| byte.to_ascii_lowercase();
    one.len().cmp(&other.len()).then_with(|| one.bytes().map(lower).cmp(other.bytes().map(lower)))
}

/// How a JWT is verified.
pub(crate) enum JwtRoute<'i> {
    /// By its signature, with its issuer's keys.
    Local(ResolvedIssuer),
    /// By introspection at its issuer.
    Introspect(&'i Introspector),
}

/// The verifier of a token's issuer.
pub(crate) struct ResolvedIssuer {
    pub(crate) verifier: Arc<JwtVerifier>,
    pub(crate) issuer_index: IssuerIndex,
    /// Whether it is a tenant without a valid token yet.
    pub(crate) on_probation: bool,
}

impl Issuers {
    pub(crate) fn new(
        trusted: impl IntoIterator<Item = Trusted>,
        tenants: impl IntoIterator<Item = TenantSet>,
    ) -> Self {
        let named: Box<[Trusted]> = trusted.into_iter().collect();
        let numbers: HashMap<Arc<str>, usize> =
            named.iter().enumerate().map(|(number, trusted)| (Arc::clone(&trusted.name), number)).collect();
        let mut nearly: Box<[Arc<str>]> = named.iter().map(|trusted| Arc::clone(&trusted.name)).collect();
        nearly.sort_by(|one, other| compare_roughly(one, other));
        let tenants: Box<[TenantSet]> = tenants.into_iter().collect();
        let mut names: Vec<&str> = numbers.keys().map(|name| &**name).collect();
        names.sort_unstable();
        names.extend(tenants.iter().map(TenantSet::name));
        let expected = if names.len() <= 4 { names.join(" or ") } else { format!("one of {} issuers", names.len()) };
        let introspectors = || named.iter().filter_map(|trusted| trusted.introspector.as_ref());
        let prefixed = introspectors().flat_map(|introspector| {
            introspector.prefixes.iter().map(|prefix| (prefix.clone(), Arc::clone(introspector)))
        });
        let prefixed = prefixed.collect();
        let general = introspectors().find(|introspector| introspector.prefixes.is_empty()).cloned();
        Self { expected: expected.into(), named, numbers, nearly, prefixed, general, tenants }
    }

    /// The issuers that were named by themselves.
    pub(crate) fn named(&self) -> impl Iterator<Item = &Trusted> {
        self.named.iter()
    }

    /// Whether there are tenants, which are trusted by a rule.
    pub(crate) fn has_tenants(&self) -> bool {
        !self.tenants.is_empty()
    }

    /// The names of issuers that are URLs, where a client can look for an authorization server.
    pub(crate) fn urls(&self) -> impl Iterator<Item = &str> {
        self.named.iter().map(|trusted| &*trusted.name).filter(|name| https_url::is_http(name))
    }

    /// The first set of tenants whose group trusts an issuer at this moment, and its index.
    fn group_of(&self, issuer: &str) -> Option<(usize, &TenantSet)> {
        self.tenants.iter().enumerate().find(|(_, tenants)| tenants.group.trusts(issuer))
    }

    fn by_name(&self, issuer: &str) -> Option<(usize, &Trusted)> {
        let number = *self.numbers.get(issuer)?;
        Some((number, self.named.get(number)?))
    }

    /// The verifier of the issuer that the claims name, compared code point by code point (RFC 9068 §4; JWT-1).
    pub(crate) fn resolve(&self, claims: &UnverifiedClaims<'_>) -> Result<JwtRoute<'_>, Error> {
        let Some(issuer) = claims.string("iss", "iss")? else {
            return Err(
                FailedCheck::new(Reason::MissingClaim, "iss", &self.expected, failed_check::Actual::NONE).into()
            );
        };
        // JOSE-16, INTRO-11: a token of another issuer is sent nowhere.
        let unknown = || self.unknown(issuer).into();
        match self.by_name(issuer) {
            Some((number, Trusted { jwt: Some(verifier), .. })) => {
                let issuer_index = IssuerIndex::Named(number);
                let verifier = Arc::clone(verifier);
                return Ok(JwtRoute::Local(ResolvedIssuer { verifier, issuer_index, on_probation: false }));
            }
            Some((_, Trusted { introspector: Some(introspector), .. })) => {
                return Ok(JwtRoute::Introspect(introspector));
            }
            Some(_) => return Err(unknown()),
            None => {}
        }
        self.group_of(issuer)
            .and_then(|(group, tenants)| {
                let (verifier, on_probation) = tenants.verifier(issuer)?;
                let issuer_index = IssuerIndex::Tenant(group);
                Some(JwtRoute::Local(ResolvedIssuer { verifier, issuer_index, on_probation }))
            })
            .ok_or_else(unknown)
    }

    /// The failure of a token from an unknown issuer. Where its name is nearly that of a configured one, the log shows that
    /// one.
    fn unknown(&self, issuer: &str) -> FailedCheck {
        let near =
            self.nearly.binary_search_by(|name| compare_roughly(name, issuer)).map(|place| &self.nearly[place]).ok();
        let hint = near.and_then(|name| failed_check::near_miss(name, issuer));
        let expected = near.filter(|_| hint.is_some()).unwrap_or(&self.expected);
        FailedCheck::new(Reason::UnknownIssuer, "iss", expected, issuer).with_hint(hint)
    }

    /// The introspector of this issuer, if it has one.
    pub(crate) fn introspector(&self, issuer: &str) -> Option<&Introspector> {
        if self.general.is_none() && self.prefixed.is_empty() {
            return None;
        }
        self.by_name(issuer)?.1.introspector.as_deref()
    }

    /// The introspector of an opaque token: that of the issuer whose prefix it has, else of the one without a prefix.
    pub(crate) fn introspector_of_opaque(&self, token: &str) -> Option<&Introspector> {
        let prefixed = self.prefixed.iter().find(|(prefix, _)| token.starts_with(&**prefix));
        prefixed.map(|(_, introspector)| introspector).or(self.general.as_ref()).map(|introspector| &**introspector)
    }

    /// Whether the keys that verified a token are still those of its issuer. `false` where the token was looked up.
    pub(crate) fn keys_are_current(&self, context: &IssuerContext) -> bool {
        let Some(verified_by) = &context.verified_by else { return false };
        let is_current = |verifier: &JwtVerifier| verifier.keys.is_current(&verified_by.keys);
        match verified_by.issuer_index {
            IssuerIndex::Named(number) => {
                let verifier = self.named.get(number).and_then(|trusted| trusted.jwt.as_ref());
                verifier.is_some_and(|verifier| is_current(verifier))
            }
            // A tenant may have ceased to be trusted, and one that was evicted has another verifier, if any. Looking it up
            // counts as use, so that a tenant with cached tokens is not the next to be evicted.
            IssuerIndex::Tenant(_) => {
                let issuer = &context.issuer;
                let known = self.group_of(issuer).and_then(|(_, tenants)| tenants.known(issuer));
                known.is_some_and(|(verifier, _)| {
                    Arc::ptr_eq(issuer, &verifier.validation.issuer) && is_current(&verifier)
                })
            }
        }
    }

    /// Promotes a tenant after its first valid token.
    pub(crate) fn establish(&self, verifier: &Arc<JwtVerifier>, issuer_index: IssuerIndex) {
        if let IssuerIndex::Tenant(group) = issuer_index
            && let Some(tenants) = self.tenants.get(group)
        {
            tenants.establish(verifier);
        }
    }

    /// The name of an issuer in metrics: its own, or that of its group of tenants.
    pub(crate) fn label(&self, issuer: &str) -> Option<&str> {
        let fixed = self.by_name(issuer).map(|(_, trusted)| &*trusted.name);
        let tenants = || self.group_of(issuer).filter(|(_, tenants)| tenants.is_live(issuer));
        fixed.or_else(|| tenants().map(|(_, tenants)| tenants.name()))
    }

    /// The verifiers of the issuers that were named one by one.
    pub(crate) fn named_verifiers(&self) -> impl Iterator<Item = &Arc<JwtVerifier>> {
        self.named.iter().filter_map(|trusted| trusted.jwt.as_ref())
    }

    /// The verifiers of live tenants and probation.
    pub(crate) fn tenant_verifiers(&self) -> impl Iterator<Item = Arc<JwtVerifier>> {
        self.tenants.iter().flat_map(TenantSet::all)
    }
}

#[cfg(all(test, not(scopegate_loom)))]
mod tests;
