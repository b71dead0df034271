mod evidence;
mod scope_claim;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use self::evidence::Sign;
pub use self::{evidence::Evidence, scope_claim::ScopeClaim};
pub(super) use self::{
    evidence::{is_other_kind, marks},
    scope_claim::Granted,
};
use crate::{
    jose::json::Value,
    refusal::{FailedCheck, Reason, failed_check::Actual},
};

/// The form of an issuer's access tokens: their `typ`, the claims that they must have, and how they are told from other tokens.
///
/// | profile | `typ` | claims required besides `iss` `aud` `exp` | evidence of an access token |
/// |---|---|---|---|
/// | [`rfc9068`](Self::rfc9068), the default | `at+jwt` | `sub` `client_id` `iat` `jti` | its `typ` |
/// | [`auth0`](Self::auth0), [`keycloak`](Self::keycloak) and others, by the name of the provider | see there | see there | see there |
/// | [`compat`](Self::compat) | as given | `sub` `client_id` `iat` `jti`, unless waived | as given |
///
/// [`by_name`](Self::by_name) finds a provider's profile by a name that a configuration file may hold. Each was written from
/// the provider's documentation unless it says otherwise, and what could not be tried is marked *(unverified)*.
///
/// Where `typ` may be something other than `at+jwt`, it does not settle what kind of JWT a token is. Tokens that carry a mark
/// of another kind are refused there: `nonce`, `at_hash`, `c_hash` (ID tokens), `events` (logout tokens and security events),
/// `htm` with `htu` (DPoP proofs), `token_introspection`, `status_list`, `token_use` of `id`, and a payload `typ` of `ID`,
/// `Refresh`, `Offline` or `Logout`. The first three are no marks where the profile demands a claim `typ` or `token_use` and
/// the token has it ([`Evidence::claim`]): Keycloak repeats the `nonce` in its access tokens.
#[derive(Clone, Debug)]
#[must_use = "a profile has to be given to an `Issuer`"]
pub struct Profile {
    name: Cow<'static, str>,
    token_types: Vec<TokenType>,
    required: Vec<RequiredClaim>,
    evidence: Vec<Evidence>,
    /// Whether `typ` alone says that a token is an access token.
    type_is_decisive: bool,
    /// Claims that other tokens of the issuer have, and its access tokens never do.
    foreign_claims: Vec<Cow<'static, str>>,
    scope_claim: ScopeClaim,
    client_claim: Option<Cow<'static, str>>,
    /// Whether a token without the client claim was issued to its sole audience.
    client_is_audience: bool,
    peculiarity: Option<Peculiarity>,
    /// Whether a key may name its issuer in a member `issuer`.
    keys_name_issuer: bool,
}

/// An accepted value of the `typ` header parameter.
#[derive(Clone, Debug)]
enum TokenType {
    Absent,
    Named(Cow<'static, str>),
}

/// A check that the tokens or the settings of one provider need, and no other's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Peculiarity {
    /// GitHub: callers choose the audience, and the default is no choice.
    CustomAudience,
    /// Google: anyone can be issued a token.
    OpenToAll,
    /// Entra: the issuer contains the tenant, which is in a claim as well.
    TenantInIssuer,
}

/// The claim that names an Entra tenant.
pub(super) const TENANT: &str = "tid";

/// A claim that [`Profile::compat`] requires unless it is waived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RequiredClaim {
    /// `client_id`, or the claim named by [`Profile::client_claim`].
    ClientId,
    /// `iat`
    IssuedAt,
    /// `sub`
    Subject,
    /// `jti`
    TokenId,
}

impl Profile {
    /// Access tokens as RFC 9068 has them. The default.
    pub fn rfc9068() -> Self {
        Self {
            name: "RFC 9068".into(),
            token_types: vec![TokenType::Named("at+jwt".into())],
            required: vec![
                RequiredClaim::Subject,
                RequiredClaim::ClientId,
                RequiredClaim::IssuedAt,
                RequiredClaim::TokenId,
            ],
            evidence: Vec::new(),
            type_is_decisive: true,
            foreign_claims: Vec::new(),
            scope_claim: ScopeClaim::string("scope"),
            client_claim: Some("client_id".into()),
            client_is_audience: false,
            peculiarity: None,
            keys_name_issuer: false,
        }
    }

    /// Access tokens of an issuer that does not follow RFC 9068 and has no profile of its own here.
    ///
    /// Such a profile accepts nothing until it is given a `typ` with [`accept_type`](Self::accept_type) or
    /// [`accept_absent_type`](Self::accept_absent_type), and a sign of an access token with [`evidence`](Self::evidence):
    /// an ID token may have no mark of its kind, so not looking like one proves nothing.
    pub fn compat(name: impl Into<Cow<'static, str>>) -> Self {
        Self { name: name.into(), token_types: Vec::new(), type_is_decisive: false, ..Self::rfc9068() }
    }

    /// Accepts tokens of this `typ`, compared without regard to case or to a prefix `application/` (RFC 7515 §4.1.9).
    pub fn accept_type(mut self, token_type: impl Into<Cow<'static, str>>) -> Self {
        self.token_types.push(TokenType::Named(token_type.into()));
        self.type_is_decisive = false;
        self
    }

    /// Accepts tokens without a `typ`.
    pub fn accept_absent_type(mut self) -> Self {
        self.token_types.push(TokenType::Absent);
        self.type_is_decisive = false;
        self
    }

    /// Requires this sign of an access token, besides those named before. A token has to have every one.
    pub fn evidence(mut self, evidence: Evidence) -> Self {
        self.evidence.push(evidence);
        self
    }

    /// Refuses tokens that have this claim, whatever its value: other tokens of the issuer have it, and access tokens never
    /// do.
    pub fn foreign_claim(mut self, name: impl Into<Cow<'static, str>>) -> Self {
        self.foreign_claims.push(name.into());
        self
    }

    /// Accepts tokens without a claim that RFC 9068 §2.2 requires, for an issuer that does not send it.
    pub fn dangerous_waive(mut self, claim: RequiredClaim) -> Self {
        self.required.retain(|&required| required != claim);
        self
    }

    /// Takes the scope from this claim. The one claim is chosen; two are never united.
    pub fn scope_claim(mut self, scope_claim: ScopeClaim) -> Self {
        self.scope_claim = scope_claim;
        self
    }

    /// Takes the client from this claim, such as `azp`. Such tokens do not follow RFC 9068, so evidence is demanded.
    pub fn client_claim(mut self, name: impl Into<Cow<'static, str>>) -> Self {
        self.client_claim = Some(name.into());
        self.client_is_audience = false;
        self.type_is_decisive = false;
        self
    }

    /// Tokens name no client.
    pub(super) fn no_client_claim(mut self) -> Self {
        self.client_claim = None;
        self.type_is_decisive = false;
        self.dangerous_waive(RequiredClaim::ClientId)
    }

    /// Takes the client from the sole audience where no claim names it.
    pub(super) fn client_is_sole_audience(mut self) -> Self {
        self.client_is_audience = true;
        self.dangerous_waive(RequiredClaim::ClientId)
    }

    pub(super) fn named(mut self, name: &'static str) -> Self {
        self.name = name.into();
        self
    }

    pub(super) fn peculiar(mut self, peculiarity: Peculiarity) -> Self {
        self.peculiarity = Some(peculiarity);
        self
    }

    /// Does not use a key that says, by a member `issuer`, that it is another issuer's.
    pub(super) fn with_keys_that_name_their_issuer(mut self) -> Self {
        self.keys_name_issuer = true;
        self
    }

    /// The profile's name, for messages.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether the sign tells an access token from others, given where the scope is read from.
    fn distinguishes(&self, sign: &Evidence) -> bool {
        let is_no_sign = |sign: &Evidence| {
            matches!(sign.0, Sign::ScopeClaim)
                && !self.scope_claim.places.is_empty()
                && !self.scope_claim.distinguishes()
        };
        match &sign.0 {
            Sign::AnyOf(signs) => {
                let mut signs = signs.iter().filter(|sign| !is_no_sign(sign)).peekable();
                signs.peek().is_some() && signs.all(|sign| self.distinguishes(sign))
            }
            _ => sign.distinguishes() && !is_no_sign(sign),
        }
    }

    /// Whether a token that passes the other checks may have this sign.
    fn is_possible(&self, sign: &Evidence) -> bool {
        let may_have = |name: &str| {
            !self.foreign_claims.iter().any(|foreign| foreign == name)
                && (self.type_is_decisive
                    || !marks(self.evidence.iter().any(Evidence::outweighs_marks)).any(|mark| mark == name))
        };
        match &sign.0 {
            Sign::AnyOf(signs) => signs.iter().any(|sign| self.is_possible(sign)),
            Sign::Claim { name, values } => {
                let others = || self.evidence.iter().filter_map(|sign| sign.values_of(name));
                let names_another = |value: &str| !self.type_is_decisive && is_other_kind(name, value);
                let mut possible = values.iter().filter(|value| !names_another(value));
                may_have(name) && possible.any(|value| others().all(|values| values.contains(value)))
            }
            Sign::Equal(one, other) => may_have(one) && may_have(other),
            Sign::Prefix { name, .. } => may_have(name),
            Sign::Present(name) => may_have(name),
            Sign::ScopeClaim => {
                self.scope_claim.places.iter().any(|place| place.distinguishes() && place.root().is_some_and(may_have))
            }
        }
    }

    /// Whether the issuer says in a claim of this token, `typ` or `token_use`, that it is an access token.
    pub(super) fn names_the_kind_of<'v>(&self, claim: impl Fn(&str) -> Option<&'v Value<'v>>) -> bool {
        self.evidence.iter().any(|sign| sign.outweighs_marks() && sign.is_there(&self.scope_claim, &claim))
    }

    /// The claims that a token has to have in any case.
    fn demanded_claims(&self) -> impl Iterator<Item = &str> {
        let required = self.required.iter().filter_map(|claim| match claim {
            RequiredClaim::ClientId => self.client_claim.as_deref(),
            RequiredClaim::IssuedAt => Some("iat"),
            RequiredClaim::Subject => Some("sub"),
            RequiredClaim::TokenId => Some("jti"),
        });
        ["iss", "exp"].into_iter().chain(required)
    }

    pub(crate) fn keys_name_issuer(&self) -> bool {
        self.keys_name_issuer
    }

    pub(crate) fn fault(&self) -> Option<ProfileFault> {
        if self.token_types.is_empty() {
            Some(ProfileFault::AcceptsNothing)
        } else if !self.type_is_decisive && !self.evidence.iter().any(|sign| self.distinguishes(sign)) {
            Some(ProfileFault::NoEvidence)
        } else if let Some(sign) = self.evidence.iter().find(|sign| !self.is_possible(sign)) {
            Some(ProfileFault::Contradiction(sign.describe(&self.scope_claim)))
        } else {
            let foreign = self.demanded_claims().find(|name| self.foreign_claims.iter().any(|foreign| foreign == name));
            foreign.map(|name| ProfileFault::Contradiction(format!("something in `{name}`")))
        }
    }

    /// Whether each token of this profile says what it is: by a type of access tokens alone (`at+jwt`), or by a claim that
    /// names the kind of token. Those of other profiles are known by something that other tokens of the issuer lack, such as
    /// a scope, so that a token may fit several of them.
    ///
    /// ```
    /// use scopegate_core::jwt::Profile;
    ///
    /// assert!(Profile::rfc9068().names_the_kind() && Profile::keycloak().names_the_kind());
    /// assert!(!Profile::auth0().names_the_kind());
    /// ```
    pub fn names_the_kind(&self) -> bool {
        self.type_is_decisive || self.evidence.iter().any(Evidence::names_the_kind)
    }

    pub(super) fn peculiarity(&self) -> Option<Peculiarity> {
        self.peculiarity
    }

    /// The top-level claims that this profile reads besides the registered ones.
    pub(crate) fn claim_names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.scope_claim.roots().collect();
        names.extend(self.client_claim.as_deref());
        names.extend(self.foreign_claims.iter().map(|name| &**name));
        self.evidence.iter().for_each(|evidence| evidence.claim_names(&mut names));
        if self.peculiarity == Some(Peculiarity::TenantInIssuer) {
            names.push(TENANT);
        }
        names
    }

    pub(super) fn requires(&self, claim: RequiredClaim) -> bool {
        self.required.contains(&claim)
    }

    pub(super) fn scope_from(&self) -> &ScopeClaim {
        &self.scope_claim
    }

    pub(super) fn client_from(&self) -> Option<&str> {
        self.client_claim.as_deref()
    }

    pub(super) fn foreign_claims(&self) -> impl Iterator<Item = &str> {
        self.foreign_claims.iter().map(|name| &**name)
    }

    pub(super) fn client_is_audience(&self) -> bool {
        self.client_is_audience
    }

    /// Whether `typ` alone says that a token is an access token of RFC 9068.
    pub(super) fn is_strict(&self) -> bool {
        self.type_is_decisive
    }

    pub(super) fn check_type(&self, found: Option<&str>) -> Result<(), FailedCheck> {
        // AT-1, JWT-12: an accepted type, in any case. JWT-11, IJWT-5: so no other kind of JWT passes.
        let accepted = self.token_types.iter().any(|accepted| match (accepted, found) {
            (TokenType::Absent, None) => true,
            (TokenType::Named(name), Some(found)) => media_type(name).eq_ignore_ascii_case(media_type(found)),
            _ => false,
        });
        if accepted {
            return Ok(());
        }
        let mut expected = self.accepted_types();
        if self.is_strict() {
            expected.push_str(" (an issuer that sends another needs a profile, see `Issuer::profile`)");
        } else if found.is_some_and(|found| media_type(found).eq_ignore_ascii_case("at+jwt")) {
            expected
                .push_str(" (an issuer that sends at+jwt has another dialect, see `Profile::rfc9068` and its like)");
        }
        Err(FailedCheck::new(Reason::WrongTokenType, "typ", expected, found.map_or(Actual::NONE, Actual::from)))
    }

    /// Whether `typ` says that this is an access token, where its issuer is asked about it: then no `typ` at all and `JWT`,
    /// which say nothing, are no reason to refuse. One that names another kind is.
    pub(super) fn check_type_before_asking(&self, found: Option<&str>) -> Result<bool, FailedCheck> {
        match found.map(media_type) {
            Some(named) if named.eq_ignore_ascii_case("at+jwt") => Ok(true),
            Some(named) if !named.eq_ignore_ascii_case("JWT") => self.check_type(found).map(|()| false),
            _ => Ok(false),
        }
    }

    /// The types of token that are accepted, for the log.
    pub(super) fn accepted_types(&self) -> String {
        let names: Vec<&str> = self
            .token_types
            .iter()
            .map(|accepted| if let TokenType::Named(name) = accepted { name } else { "none" })
            .collect();
        names.join(" or ")
    }

    /// The signs of an access token, for the log; empty where its type says it.
    pub(crate) fn signs(&self) -> String {
        let signs = self.evidence.iter().map(|sign| sign.describe(&self.scope_claim).to_string());
        signs.collect::<Vec<_>>().join(" and ")
    }

    /// Looks for each sign of an access token. `claim` gives a top-level claim of the token.
    pub(super) fn check_evidence<'v>(&self, claim: impl Fn(&str) -> Option<&'v Value<'v>>) -> Result<(), FailedCheck> {
        // AT-2: evidence that this is an access token.
        let Some(missing) = self.evidence.iter().find(|sign| !sign.is_there(&self.scope_claim, &claim)) else {
            return Ok(());
        };
        let subject = if matches!(missing.0, Sign::ScopeClaim) { "scope" } else { "claims" };
        let expected = format!("{}, the sign of an access token", missing.describe(&self.scope_claim));
        Err(FailedCheck::new(Reason::WrongTokenType, subject, expected, Actual::Fixed("something else, or nothing")))
    }
}

/// RFC 7515 §4.1.9: a value without a slash has an implied prefix `application/`.
fn media_type(value: &str) -> &str {
    const PREFIX: &str = "application/";
    match value.get(..PREFIX.len()) {
        Some(prefix) if prefix.eq_ignore_ascii_case(PREFIX) => &value[PREFIX.len()..],
        _ => value,
    }
}

/// A profile under which no token, or any JWT of the issuer, would pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ProfileFault {
    AcceptsNothing,
    /// This is demanded, and no token that passes the other checks has it.
    Contradiction(String),
    NoEvidence,
}
