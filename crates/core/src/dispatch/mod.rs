//! Which verifier judges a token: the one that it belongs to, and no other.
//!
//! Verifiers are never tried in turn, and what one refuses is offered to no other. A token that a verifier of the application
//! accepts is that one's. One in the shape of a JWT belongs to the issuer that its claims name; nobody has verified them yet,
//! and all they can do is choose among the issuers that were configured and the tenants that the configuration trusts. Every
//! other token is opaque, and belongs to the issuer whose prefix it has, or to the one that has none.

mod tenant_set;

use std::{cmp::Ordering, collections::HashMap, sync::Arc};

pub(crate) use self::tenant_set::{TenantGroup, TenantSet};
use crate::{
    custom::token_verifier::{Application, PresentedToken},
    introspection::Introspector,
    jose::is_jwt_shaped,
    jwt::JwtVerifier,
    online::OnlineVerifier,
    refusal::{Error, FailedCheck, Reason, error},
    token::{
        claims::UnverifiedClaims,
        verified::{IssuerContext, IssuerIndex},
    },
};

/// What a token looks like, and whom it belongs to by that.
pub(crate) enum Route<'d> {
    /// It is for a verifier of the application.
    Application(&'d Application),
    /// It is a JWT: its claims say whose.
    Jwt,
    /// It is opaque.
    Opaque(&'d Introspector),
}

/// The verifiers that a token may be for.
#[derive(Debug)]
pub(crate) struct Dispatch {
    pub(crate) issuers: Issuers,
    pub(crate) applications: Box<[Application]>,
}

impl Dispatch {
    /// Whose token this is.
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
                Err(FailedCheck::new(Reason::OpaqueToken, "token", expected, error::Actual::Fixed("an opaque one"))
                    .into())
            }
            // All that is left for it to be is a malformed JWT.
            None => Ok(Route::Jwt),
        }
    }

    /// The one verifier of the application that takes the token for its own, if any does. All are asked, so that a token that
    /// two of them accept never passes.
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

    /// Whether whose a token is may depend on the request that it comes with.
    pub(crate) fn has_custom_verifiers(&self) -> bool {
        !self.applications.is_empty()
    }

    /// The issuers that have a name of their own.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.issuers.named.iter().map(|trusted| &*trusted.name).chain(self.applications.iter().map(Application::issuer))
    }

    /// Everybody who can be asked about a token.
    pub(crate) fn online_verifiers(&self) -> impl Iterator<Item = &Arc<OnlineVerifier>> {
        let introspectors = self.issuers.named.iter().filter_map(|trusted| trusted.introspector.as_ref());
        introspectors.map(|introspector| &introspector.online).chain(self.applications.iter().map(Application::online))
    }

    /// What an issuer is called where things are counted.
    pub(crate) fn label(&self, issuer: &str) -> Option<&str> {
        let application = || self.applications.iter().map(Application::issuer).find(|name| *name == issuer);
        self.issuers.label(issuer).or_else(application)
    }
}

/// An issuer that was named by itself: how its JWTs are verified, and how it is asked about tokens. It has one at least.
#[derive(Debug)]
pub(crate) struct Trusted {
    pub(crate) name: Arc<str>,
    pub(crate) jwt: Option<Arc<JwtVerifier>>,
    pub(crate) introspector: Option<Arc<Introspector>>,
}

/// The configured issuers.
#[derive(Debug)]
pub(crate) struct Issuers {
    /// For the log: the issuers by name where they are few, else how many they are.
    expected: Arc<str>,
    named: Box<[Trusted]>,
    /// Where each of them is, by its name.
    numbers: HashMap<Arc<str>, usize>,
    /// Their names [in the order](compare_roughly) where a slash at the end and the case of letters do not count, for the log.
    nearly: Box<[Arc<str>]>,
    /// Who is asked about opaque tokens that begin like this. No prefix is the beginning of another.
    prefixed: Box<[(Box<str>, Arc<Introspector>)]>,
    /// Who is asked about all others.
    general: Option<Arc<Introspector>>,
    tenants: Box<[TenantSet]>,
}

/// The order of names where neither a slash at their end nor the case of their letters counts: the shorter one first, so that
/// most are told apart at once.
fn compare_roughly(one: &str, other: &str) -> Ordering {
    let [one, other] = [one, other].map(|name| name.strip_suffix('/').unwrap_or(name));
    let lower = |byte: u8| byte.to_ascii_lowercase();
    one.len().cmp(&other.len()).then_with(|| one.bytes().map(lower).cmp(other.bytes().map(lower)))
}

/// Who judges a JWT.
pub(crate) enum JwtRoute<'i> {
    /// Its signature does, by its issuer's keys.
    Local(ResolvedIssuer),
    /// Its issuer does, which is asked about it.
    Introspect(&'i Introspector),
}

/// The verifier of a token's issuer.
pub(crate) struct ResolvedIssuer {
    pub(crate) verifier: Arc<JwtVerifier>,
    pub(crate) issuer_index: IssuerIndex,
    /// Whether it is a tenant that no good token came from yet.
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

    /// The group of tenants that an issuer is one of at this moment: the first that trusts it.
    fn group_of(&self, issuer: &str) -> Option<(usize, &TenantSet)> {
        self.tenants.iter().enumerate().find(|(_, tenants)| tenants.group.trusts(issuer))
    }

    fn named(&self, issuer: &str) -> Option<(usize, &Trusted)> {
        let number = *self.numbers.get(issuer)?;
        Some((number, self.named.get(number)?))
    }

    /// Who judges the tokens of the issuer that the claims name, compared code point by code point (RFC 9068 §4).
    pub(crate) fn resolve(&self, claims: &UnverifiedClaims<'_>) -> Result<JwtRoute<'_>, Error> {
        let Some(issuer) = claims.string("iss", "iss")? else {
            return Err(FailedCheck::new(Reason::MissingClaim, "iss", &self.expected, error::Actual::NONE).into());
        };
        let unknown = || self.unknown(issuer).into();
        match self.named(issuer) {
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

    /// The failure of a token from another issuer. Where that is called nearly like one of ours, it is this one that was meant.
    fn unknown(&self, issuer: &str) -> FailedCheck {
        let near =
            self.nearly.binary_search_by(|name| compare_roughly(name, issuer)).map(|place| &self.nearly[place]).ok();
        let hint = near.and_then(|name| error::near_miss(name, issuer));
        let expected = near.filter(|_| hint.is_some()).unwrap_or(&self.expected);
        FailedCheck::new(Reason::UnknownIssuer, "iss", expected, issuer).with_hint(hint)
    }

    /// Who is asked about the tokens of this issuer.
    pub(crate) fn introspector(&self, issuer: &str) -> Option<&Introspector> {
        if self.general.is_none() && self.prefixed.is_empty() {
            return None;
        }
        self.named(issuer)?.1.introspector.as_deref()
    }

    /// Who is asked about an opaque token: the issuer whose prefix it has, else the one that has none.
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
            // A tenant may have ceased to be trusted, and one that was evicted has another verifier, if any. Looking it up counts
            // as use, so that a tenant with cached tokens is not the next to be evicted.
            IssuerIndex::Tenant(_) => {
                let issuer = &context.issuer;
                let known = self.group_of(issuer).and_then(|(_, tenants)| tenants.known(issuer));
                known.is_some_and(|(verifier, _)| {
                    Arc::ptr_eq(issuer, &verifier.validation.issuer) && is_current(&verifier)
                })
            }
        }
    }

    /// A good token came from this on_probation.
    pub(crate) fn establish(&self, verifier: &Arc<JwtVerifier>, issuer_index: IssuerIndex) {
        if let IssuerIndex::Tenant(group) = issuer_index
            && let Some(tenants) = self.tenants.get(group)
        {
            tenants.establish(verifier);
        }
    }

    /// What an issuer is called where things are counted: by its name, or by that of the group of tenants it belongs to.
    pub(crate) fn label(&self, issuer: &str) -> Option<&str> {
        let fixed = self.named(issuer).map(|(_, trusted)| &*trusted.name);
        let tenants = || self.group_of(issuer).filter(|(_, tenants)| tenants.is_live(issuer));
        fixed.or_else(|| tenants().map(|(_, tenants)| tenants.name()))
    }

    /// The verifiers of the issuers that were named one by one.
    pub(crate) fn fixed(&self) -> impl Iterator<Item = &Arc<JwtVerifier>> {
        self.named.iter().filter_map(|trusted| trusted.jwt.as_ref())
    }

    /// The verifiers of live tenants and probation.
    pub(crate) fn live(&self) -> impl Iterator<Item = Arc<JwtVerifier>> {
        self.tenants.iter().flat_map(TenantSet::all)
    }
}

#[cfg(test)]
mod tests;
