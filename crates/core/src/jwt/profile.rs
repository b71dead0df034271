use std::borrow::Cow;

use super::providers::{self, Peculiarity};
use crate::{
    Reason, Scope,
    error::{Actual, FailedCheck},
    jws::json::Value,
};

/// What the access tokens of an issuer look like.
///
/// | profile | `typ` | claims required besides `iss` `aud` `exp` | evidence of an access token |
/// |---|---|---|---|
/// | [`rfc9068`](Self::rfc9068), the default | `at+jwt` | `sub` `client_id` `iat` `jti` | its `typ` |
/// | [`auth0`](Self::auth0), [`keycloak`](Self::keycloak) and others, by the name of the provider | see there | see there | see there |
/// | [`compat`](Self::compat) | as given | `sub` `client_id` `iat` `jti`, unless waived | as given |
///
/// [`by_name`](Self::by_name) finds a provider's profile by a name that a configuration file may hold. Each was written from
/// the provider's documentation unless it says otherwise, and what nobody here could check is marked *(unverified)*.
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
    /// Whether a key may say, by a member `issuer`, whose it is.
    keys_name_issuer: bool,
}

/// An claims_checked value of the `typ` header parameter.
#[derive(Clone, Debug)]
enum TokenType {
    Absent,
    Named(Cow<'static, str>),
}

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

/// A sign by which an access token is told from the other tokens that an issuer signs with the same keys.
#[derive(Clone, Debug)]
pub struct Evidence(Sign);

#[derive(Clone, Debug)]
enum Sign {
    AnyOf(Vec<Evidence>),
    Claim {
        name: Cow<'static, str>,
        values: Vec<Cow<'static, str>>,
    },
    /// Two claims are the same string.
    Equal(Cow<'static, str>, Cow<'static, str>),
    Prefix {
        name: &'static str,
        prefix: &'static str,
    },
    Present(Cow<'static, str>),
    ScopeClaim,
}

impl Evidence {
    /// The token has the profile's [scope claim](Profile::scope_claim), and it is not empty. Only `scope`, `scp` and
    /// `permissions` are a sign: of a claim by another name nobody knows whether ID tokens of the issuer have it as well. Where
    /// access tokens alone have it, say so with [`claim_present`](Self::claim_present).
    pub fn scope_claim() -> Self {
        Self(Sign::ScopeClaim)
    }

    /// The token has a top-level claim `name` that is the string `value`, such as `token_use` of `access`. Claims
    /// that ID tokens may have as well (`iss`, `sub`, `aud`, `azp`, `email`, `roles` and the like) are no sign, and a profile
    /// that takes one for it is refused.
    ///
    /// Where the claim is `typ` or `token_use`, whose job it is to name the kind of token, `nonce`, `at_hash` and `c_hash` are no
    /// marks of an ID token any more.
    pub fn claim(name: impl Into<Cow<'static, str>>, value: impl Into<Cow<'static, str>>) -> Self {
        Self::claim_one_of(name, [value])
    }

    /// The token has a top-level claim `name` that is one of these strings. Of no strings, it is none.
    pub fn claim_one_of<V: Into<Cow<'static, str>>>(
        name: impl Into<Cow<'static, str>>,
        values: impl IntoIterator<Item = V>,
    ) -> Self {
        Self(Sign::Claim { name: name.into(), values: values.into_iter().map(Into::into).collect() })
    }

    /// The token has a top-level claim `name` that only access tokens have, and it is a string, an array or an object that
    /// is not empty.
    pub fn claim_present(name: impl Into<Cow<'static, str>>) -> Self {
        Self(Sign::Present(name.into()))
    }

    /// The token has at least one of these signs. Of no signs, there is none.
    pub fn any_of(signs: impl IntoIterator<Item = Self>) -> Self {
        Self(Sign::AnyOf(signs.into_iter().collect()))
    }

    /// Two top-level claims of the token are the same string, as `oid` and `sub` are in a token that Entra ID issues to an
    /// application for itself. The audience and a claim of ID tokens beside another are no sign, but for `azp` and `sub`.
    pub fn claims_equal(one: impl Into<Cow<'static, str>>, other: impl Into<Cow<'static, str>>) -> Self {
        Self(Sign::Equal(one.into(), other.into()))
    }

    pub(super) fn prefix(name: &'static str, prefix: &'static str) -> Self {
        Self(Sign::Prefix { name, prefix })
    }
}

/// Claims that an ID token may have, so that they are no sign of an access token, whatever their value: those of OpenID
/// Connect Core §2, §3.3.2.11 and §5.1 and of its Session Management, and those by which RFC 9068 §2.2.3.1 says what a user
/// may do, which issuers write into both.
#[rustfmt::skip]
const IN_ID_TOKENS: [&str; 35] = [
    "acr", "address", "amr", "at_hash", "aud", "auth_time", "azp", "birthdate", "c_hash", "email", "email_verified",
    "entitlements", "exp", "family_name", "gender", "given_name", "groups", "iat", "iss", "locale", "middle_name", "name",
    "nickname", "nonce", "phone_number", "phone_number_verified", "picture", "preferred_username", "profile", "roles", "sid",
    "sub", "updated_at", "website", "zoneinfo",
];

/// The claims in which access tokens have their scope. A scope that is read from another claim is no sign of an access token,
/// since an issuer may write that claim into its ID tokens as well.
const SCOPES_OF_ACCESS_TOKENS: [&str; 3] = ["permissions", "scope", "scp"];

/// Whether other tokens than access tokens may have this claim.
fn is_in_id_tokens(name: &str) -> bool {
    IN_ID_TOKENS.contains(&name)
}

/// Claims of ID tokens that only a word of the issuer outweighs.
const MARKS_OF_ID_TOKENS: [&str; 3] = ["nonce", "at_hash", "c_hash"];

/// Claims of tokens that are not for this API in any case.
const MARKS: [&str; 3] = ["events", "token_introspection", "status_list"];

/// The claims by which a token is known to be of another kind, where `typ` does not settle it: fewer where a claim of the
/// token itself names its kind.
pub(super) fn marks(is_named: bool) -> impl Iterator<Item = &'static str> {
    let of_id_tokens: &[&str] = if is_named { &[] } else { &MARKS_OF_ID_TOKENS };
    of_id_tokens.iter().chain(&MARKS).copied()
}

/// What a claim says by this value, where it says that a token is of another kind.
pub(super) fn other_kind(claim: &str, value: &str) -> Option<&'static str> {
    const KINDS: [(&str, &[&str], &str); 2] = [
        ("token_use", &["id"], "token_use = id"),
        ("typ", &["ID", "Refresh", "Offline", "Logout"], "typ = ID, Refresh, Offline or Logout"),
    ];
    let (_, _, description) = KINDS
        .into_iter()
        .find(|(name, kinds, _)| *name == claim && kinds.iter().any(|kind| kind.eq_ignore_ascii_case(value)))?;
    Some(description)
}

impl Evidence {
    /// Whether the sign tells an access token from other tokens of its issuer.
    fn distinguishes(&self) -> bool {
        match &self.0 {
            Sign::AnyOf(signs) => !signs.is_empty() && signs.iter().all(Self::distinguishes),
            Sign::Claim { name, .. } | Sign::Present(name) => !is_in_id_tokens(name),
            Sign::Equal(one, other) => match (&**one, &**other) {
                // A client that is its own subject.
                ("azp", "sub") | ("sub", "azp") => true,
                ("aud", _) | (_, "aud") => false,
                (one, other) => one != other && !(is_in_id_tokens(one) && is_in_id_tokens(other)),
            },
            // Where it is not, it is not there.
            Sign::ScopeClaim => true,
            Sign::Prefix { .. } => false,
        }
    }

    /// Whether the sign is a word of the issuer for the kind of token, and not merely something that others lack.
    fn names_the_kind(&self) -> bool {
        match &self.0 {
            Sign::AnyOf(signs) => !signs.is_empty() && signs.iter().all(Self::names_the_kind),
            Sign::Claim { .. } => self.distinguishes(),
            _ => false,
        }
    }

    /// Whether the sign is a claim whose only job is to name the kind of token, so that it outweighs the marks of ID tokens. Of
    /// other claims nobody knows whether ID tokens of the issuer have them as well.
    fn outweighs_marks(&self) -> bool {
        match &self.0 {
            Sign::AnyOf(signs) => !signs.is_empty() && signs.iter().all(Self::outweighs_marks),
            Sign::Claim { name, .. } => matches!(&**name, "token_use" | "typ"),
            _ => false,
        }
    }

    /// The values that are demanded of this claim.
    fn values_of(&self, claim: &str) -> Option<&[Cow<'static, str>]> {
        match &self.0 {
            Sign::Claim { name, values } if name == claim => Some(values),
            _ => None,
        }
    }

    fn is_there<'v>(&self, scope_claim: &ScopeClaim, claim: &impl Fn(&str) -> Option<&'v Value<'v>>) -> bool {
        let text = |name: &str| match claim(name) {
            Some(Value::String(text)) => Some(&**text),
            _ => None,
        };
        match &self.0 {
            Sign::AnyOf(signs) => signs.iter().any(|sign| sign.is_there(scope_claim, claim)),
            Sign::Claim { name, values } => text(name).is_some_and(|found| values.iter().any(|value| value == found)),
            Sign::Equal(one, other) => text(one).is_some_and(|one| !one.is_empty() && text(other) == Some(one)),
            Sign::Prefix { name, prefix } => {
                text(name).and_then(|text| text.strip_prefix(prefix)).is_some_and(|rest| !rest.is_empty())
            }
            Sign::Present(name) => claim(name).is_some_and(|value| match value {
                Value::Object(members) => members.iter().any(|(_, value)| *value != Value::Null),
                value => is_filled(value),
            }),
            Sign::ScopeClaim => {
                scope_claim.find(claim).is_some_and(|(place, value)| place.distinguishes() && is_filled(value))
            }
        }
    }

    /// What is looked for, for the log.
    fn describe(&self, scope_claim: &ScopeClaim) -> String {
        match &self.0 {
            Sign::AnyOf(signs) => {
                let is_sign = |sign: &&Self| !matches!(sign.0, Sign::ScopeClaim) || scope_claim.distinguishes();
                let mut described: Vec<_> =
                    signs.iter().filter(is_sign).map(|sign| sign.describe(scope_claim)).collect();
                described.dedup();
                described.join(", or ")
            }
            Sign::Claim { name, values } => format!("{name} = {}", values.join(" or ")),
            Sign::Equal(one, other) => format!("the same in `{one}` and `{other}`"),
            Sign::Prefix { name, prefix } => format!("{prefix}.. in `{name}`"),
            Sign::Present(name) => format!("something in `{name}`"),
            Sign::ScopeClaim if scope_claim.distinguishes() => format!("something in {}", scope_claim.describe()),
            Sign::ScopeClaim => "a scope in `scope`, `scp` or `permissions`".to_owned(),
        }
    }

    /// The top-level claims that are looked at.
    fn claim_names<'e>(&'e self, names: &mut Vec<&'e str>) {
        match &self.0 {
            Sign::AnyOf(signs) => signs.iter().for_each(|sign| sign.claim_names(names)),
            Sign::Claim { name, .. } | Sign::Present(name) => names.push(name),
            Sign::Equal(one, other) => names.extend([&**one, &**other]),
            Sign::Prefix { name, .. } => names.push(name),
            Sign::ScopeClaim => {}
        }
    }
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

    /// Demands this sign of an access token, besides those named before. Of several, every one is demanded.
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

    /// Does without a claim that RFC 9068 §2.2 requires, for an issuer that does not send it.
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
                let is_other_kind = |value: &str| !self.type_is_decisive && other_kind(name, value).is_some();
                let mut possible = values.iter().filter(|value| !is_other_kind(value));
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

    /// Whether the issuer says in so many words that a token is an access token: by the type `at+jwt`, or a claim such as
    /// `token_use`.
    pub(crate) fn names_the_kind(&self) -> bool {
        self.type_is_decisive || self.evidence.iter().any(Evidence::names_the_kind)
    }

    pub(crate) fn peculiarity(&self) -> Option<Peculiarity> {
        self.peculiarity
    }

    /// The top-level claims that this profile reads besides the registered ones.
    pub(crate) fn claim_names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.scope_claim.roots().collect();
        names.extend(self.client_claim.as_deref());
        names.extend(self.foreign_claims.iter().map(|name| &**name));
        self.evidence.iter().for_each(|evidence| evidence.claim_names(&mut names));
        if self.peculiarity == Some(Peculiarity::TenantInIssuer) {
            names.push(providers::TENANT);
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
        let accepted = self.token_types.iter().any(|accepted| match (accepted, found) {
            (TokenType::Absent, None) => true,
            (TokenType::Named(name), Some(found)) => media_type(name).eq_ignore_ascii_case(media_type(found)),
            _ => false,
        });
        if accepted {
            return Ok(());
        }
        let names: Vec<&str> = self
            .token_types
            .iter()
            .map(|accepted| if let TokenType::Named(name) = accepted { name } else { "none" })
            .collect();
        let mut expected = names.join(" or ");
        if self.is_strict() {
            expected.push_str(" (an issuer that sends another needs a profile, see `Issuer::profile`)");
        } else if found.is_some_and(|found| media_type(found).eq_ignore_ascii_case("at+jwt")) {
            expected
                .push_str(" (an issuer that sends at+jwt has another dialect, see `Profile::rfc9068` and its like)");
        }
        Err(FailedCheck::new(Reason::WrongTokenType, "typ", expected, found.map_or(Actual::NONE, Actual::from)))
    }

    /// Whether `typ` says that this is an access token, where its issuer is asked about it: then no `typ` at all and `JWT`, which
    /// say nothing, are no reason to refuse. One that names another kind is.
    pub(super) fn check_type_before_asking(&self, found: Option<&str>) -> Result<bool, FailedCheck> {
        match found.map(media_type) {
            Some(named) if named.eq_ignore_ascii_case("at+jwt") => Ok(true),
            Some(named) if !named.eq_ignore_ascii_case("JWT") => self.check_type(found).map(|()| false),
            _ => Ok(false),
        }
    }

    /// Looks for each sign of an access token. `claim` gives a top-level claim of the token.
    pub(super) fn check_evidence<'v>(&self, claim: impl Fn(&str) -> Option<&'v Value<'v>>) -> Result<(), FailedCheck> {
        let Some(missing) = self.evidence.iter().find(|sign| !sign.is_there(&self.scope_claim, &claim)) else {
            return Ok(());
        };
        let subject = if matches!(missing.0, Sign::ScopeClaim) { "scope" } else { "claims" };
        let expected = format!("{}, the sign of an access token", missing.describe(&self.scope_claim));
        Err(FailedCheck::new(Reason::WrongTokenType, subject, expected, Actual::Fixed("something else, or nothing")))
    }
}

/// Whether a claim says anything: a string or an array that is not empty.
fn is_filled(value: &Value<'_>) -> bool {
    match value {
        Value::String(text) => !text.is_empty(),
        Value::Array(elements) => elements.iter().any(|element| *element != Value::Null),
        _ => false,
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

/// Where an issuer puts the scope, and in which shape.
///
/// ```
/// use scopegate_core::jwt::ScopeClaim;
///
/// ScopeClaim::string("scope");                    // RFC 9068: "openid email"
/// ScopeClaim::array("scp");                       // Okta: ["openid", "email"]
/// ScopeClaim::path(["realm_access", "roles"]);    // a nested claim, of either shape
/// ```
#[derive(Clone, Debug)]
pub struct ScopeClaim {
    /// The places to look at. The first that a token has counts, and no other.
    places: Vec<Place>,
}

#[derive(Clone, Debug)]
struct Place {
    path: Vec<Cow<'static, str>>,
    shape: Shape,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    Array,
    String,
    Either,
    /// Either, and whatever else is there counts as no scopes.
    Lenient,
}

impl ScopeClaim {
    fn at(path: Vec<Cow<'static, str>>, shape: Shape) -> Self {
        Self { places: vec![Place { path, shape }] }
    }

    /// A claim that is one space-delimited string.
    pub fn string(name: impl Into<Cow<'static, str>>) -> Self {
        Self::at(vec![name.into()], Shape::String)
    }

    /// A claim that is an array of scopes, none of which is split.
    pub fn array(name: impl Into<Cow<'static, str>>) -> Self {
        Self::at(vec![name.into()], Shape::Array)
    }

    /// A claim that is a string or an array, as the issuer's configuration has it.
    pub fn string_or_array(name: impl Into<Cow<'static, str>>) -> Self {
        Self::at(vec![name.into()], Shape::Either)
    }

    /// A claim inside of others, of either shape. Where a step leads nowhere, or the end is something else, there are no
    /// scopes. An empty path leads nowhere.
    pub fn path<N: Into<Cow<'static, str>>>(path: impl IntoIterator<Item = N>) -> Self {
        Self::at(path.into_iter().map(Into::into).collect(), Shape::Lenient)
    }

    /// The first of these claims that a token has, for an issuer whose configuration chooses the name. The others are not
    /// looked at, even where the first is empty.
    pub fn first_of(claims: impl IntoIterator<Item = Self>) -> Self {
        Self { places: claims.into_iter().flat_map(|claim| claim.places).collect() }
    }

    /// No claim: the issuer grants no scopes.
    pub fn none() -> Self {
        Self { places: Vec::new() }
    }

    /// Whether a scope may tell an access token from other tokens.
    fn distinguishes(&self) -> bool {
        self.places.iter().any(Place::distinguishes)
    }

    fn roots(&self) -> impl Iterator<Item = &str> {
        self.places.iter().filter_map(Place::root)
    }

    fn find<'v>(&self, claim: impl Fn(&str) -> Option<&'v Value<'v>>) -> Option<(&Place, &'v Value<'v>)> {
        self.places.iter().find_map(|place| Some((place, place.find(&claim)?)))
    }

    /// What a token says of its scope. An absent claim is an empty scope.
    pub(super) fn read<'v>(&self, claim: impl Fn(&str) -> Option<&'v Value<'v>>) -> Result<Granted<'v>, FailedCheck> {
        self.find(claim).map_or(Ok(Granted::Nothing), |(place, value)| place.read(value))
    }

    /// The places at which a scope tells an access token from other tokens.
    fn describe(&self) -> String {
        let places = self.places.iter().filter(|place| place.distinguishes());
        places.map(Place::describe).collect::<Vec<_>>().join(" or ")
    }
}

/// The scope of a token as it is written there. It becomes a [`Scope`] when somebody vouches for the token.
#[derive(Clone, Copy, Debug)]
pub(super) enum Granted<'v> {
    Nothing,
    /// Scopes with spaces between them.
    Text(&'v str),
    /// Each string without a space is one scope, and nothing else is any.
    Elements(&'v [Value<'v>]),
}

impl Granted<'_> {
    pub(super) fn read(self) -> Scope {
        match self {
            Self::Nothing => Scope::default(),
            Self::Text(text) => Scope::parse(text),
            Self::Elements(elements) => {
                let texts = elements.iter().filter_map(|element| match element {
                    Value::String(text) if !text.contains(' ') => Some(&**text),
                    _ => None,
                });
                Scope::from_elements(texts).unwrap_or_default()
            }
        }
    }
}

impl Place {
    fn root(&self) -> Option<&str> {
        self.path.first().map(|root| &**root)
    }

    /// Whether something at this place tells an access token from other tokens.
    fn distinguishes(&self) -> bool {
        matches!(&*self.path, [name] if SCOPES_OF_ACCESS_TOKENS.contains(&&**name))
    }

    fn find<'v>(&self, claim: impl Fn(&str) -> Option<&'v Value<'v>>) -> Option<&'v Value<'v>> {
        let (root, steps) = self.path.split_first()?;
        steps.iter().try_fold(claim(root)?, |value, step| match value {
            Value::Object(members) => members.iter().find(|(name, _)| name == step).map(|(_, value)| value),
            _ => None,
        })
    }

    fn read<'v>(&self, value: &'v Value<'v>) -> Result<Granted<'v>, FailedCheck> {
        match (value, self.shape) {
            (Value::String(text), Shape::String | Shape::Either | Shape::Lenient) => Ok(Granted::Text(text)),
            (Value::Array(elements), Shape::Lenient) => Ok(Granted::Elements(elements)),
            (Value::Array(elements), Shape::Array | Shape::Either) => {
                let fault = elements.iter().find_map(|element| match element {
                    Value::String(text) if !text.contains(' ') => None,
                    Value::String(_) => Some(("one scope in each element", "an element with a space")),
                    other => Some(("an array of strings", other.type_name())),
                });
                match fault {
                    None => Ok(Granted::Elements(elements)),
                    Some((expected, found)) => Err(self.mistyped(expected, found)),
                }
            }
            (_, Shape::Lenient) => Ok(Granted::Nothing),
            (other, Shape::String) => Err(self.mistyped("a string", other.type_name())),
            (other, Shape::Array) => Err(self.mistyped("an array", other.type_name())),
            (other, Shape::Either) => Err(self.mistyped("a string or an array", other.type_name())),
        }
    }

    fn describe(&self) -> String {
        format!("`{}`", self.path.join("."))
    }

    fn mistyped(&self, expected: &str, found: &'static str) -> FailedCheck {
        FailedCheck::new(
            Reason::MalformedClaim,
            "scope",
            format!("{expected} in {}", self.describe()),
            Actual::Fixed(found),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jws::json;

    /// Reads the scope of a claims set.
    fn scope(from: &ScopeClaim, claims: &str) -> Result<String, Reason> {
        let members = json::object(claims.as_bytes(), |_| true).unwrap();
        let claim = |name: &str| members.iter().find(|(key, _)| key == name).map(|(_, value)| value);
        from.read(claim).map(|scope| scope.read().to_string()).map_err(|failure| failure.reason())
    }

    #[test]
    fn a_scope_claim_has_the_shape_it_was_configured_with() {
        let [string, array, either] =
            [ScopeClaim::string("s"), ScopeClaim::array("s"), ScopeClaim::string_or_array("s")];
        for (claims, expected) in [
            (r#"{"s":"b  a "}"#, [Ok("a b"), Err(Reason::MalformedClaim), Ok("a b")]),
            (r#"{"s":["b","a",""]}"#, [Err(Reason::MalformedClaim), Ok("a b"), Ok("a b")]),
            (r#"{"s":["a b"]}"#, [Err(Reason::MalformedClaim); 3]),
            (r#"{"s":["a",1]}"#, [Err(Reason::MalformedClaim); 3]),
            (r#"{"s":1}"#, [Err(Reason::MalformedClaim); 3]),
            (r#"{"s":null}"#, [Err(Reason::MalformedClaim); 3]),
            (r#"{"t":"a"}"#, [Ok(""); 3]),
        ] {
            let found = [scope(&string, claims), scope(&array, claims), scope(&either, claims)];
            assert_eq!(found, expected.map(|scope| scope.map(str::to_owned)), "{claims}");
        }
    }

    #[test]
    fn a_path_that_leads_nowhere_grants_nothing() {
        let path = ScopeClaim::path(["a", "b"]);
        assert_eq!(scope(&path, r#"{"a":{"b":["x","y z",1,null]}}"#), Ok("x".into()));
        assert_eq!(scope(&path, r#"{"a":{"b":"x y"}}"#), Ok("x y".into()));
        for claims in
            [r#"{}"#, r#"{"a":1}"#, r#"{"a":["b"]}"#, r#"{"a":{"b":{}}}"#, r#"{"a":{"b":null}}"#, r#"{"a":{"c":"x"}}"#]
        {
            assert_eq!(scope(&path, claims), Ok(String::new()), "{claims}");
        }
        assert_eq!(scope(&ScopeClaim::path([""; 0]), r#"{"a":"x"}"#), Ok(String::new()));
    }

    #[test]
    fn scope_6_of_several_places_the_first_that_is_there_counts() {
        let first = ScopeClaim::first_of([ScopeClaim::string_or_array("scp"), ScopeClaim::string("scope")]);
        for (claims, expected) in [
            (r#"{"scp":["a"],"scope":"b"}"#, Ok("a")),
            (r#"{"scope":"b","scp":"a"}"#, Ok("a")),
            (r#"{"scope":"b"}"#, Ok("b")),
            (r#"{"scp":[],"scope":"b"}"#, Ok("")),
            (r#"{"scp":null,"scope":"b"}"#, Err(Reason::MalformedClaim)),
            (r#"{"scope":["b"]}"#, Err(Reason::MalformedClaim)),
            (r#"{}"#, Ok("")),
        ] {
            assert_eq!(scope(&first, claims), expected.map(str::to_owned), "{claims}");
        }
    }

    #[test]
    fn scope_6_where_there_is_no_place_there_is_no_scope() {
        assert_eq!(scope(&ScopeClaim::none(), r#"{"scope":"a","scp":["b"]}"#), Ok(String::new()));
    }

    /// Whether a sign is in a claims set, under a profile whose scope claim is `scope`.
    fn is_there(sign: &Evidence, claims: &str) -> bool {
        let members = json::object(claims.as_bytes(), |_| true).unwrap();
        let claim = |name: &str| members.iter().find(|(key, _)| key == name).map(|(_, value)| value);
        sign.is_there(&ScopeClaim::string("scope"), &claim)
    }

    #[test]
    fn at_2_a_sign_is_there_or_it_is_not() {
        let one_of = Evidence::claim_one_of("t", ["a", "b"]);
        assert!(is_there(&one_of, r#"{"t":"a"}"#) && is_there(&one_of, r#"{"t":"b"}"#));
        for other in [r#"{}"#, r#"{"t":"A"}"#, r#"{"t":["a"]}"#, r#"{"t":null}"#, r#"{"t":"a b"}"#] {
            assert!(!is_there(&one_of, other), "{other}");
        }
        assert!(!is_there(&Evidence::claim_one_of("t", [""; 0]), r#"{"t":""}"#));

        let present = Evidence::claim_present("t");
        for there in [r#"{"t":"a"}"#, r#"{"t":["a"]}"#, r#"{"t":{"a":1}}"#] {
            assert!(is_there(&present, there), "{there}");
        }
        for nothing in [r#"{}"#, r#"{"t":""}"#, r#"{"t":[]}"#, r#"{"t":{}}"#, r#"{"t":true}"#] {
            assert!(!is_there(&present, nothing), "{nothing}");
        }

        let any = Evidence::any_of([Evidence::scope_claim(), Evidence::claim("t", "a")]);
        assert!(is_there(&any, r#"{"scope":"x"}"#) && is_there(&any, r#"{"t":"a","scope":""}"#));
        assert!(!is_there(&any, r#"{"scope":"","t":"b"}"#));
        assert!(!is_there(&Evidence::any_of([]), r#"{"scope":"x"}"#));

        let equal = Evidence::claims_equal("a", "b");
        assert!(is_there(&equal, r#"{"a":"x","b":"x"}"#));
        for unequal in [r#"{"a":"x","b":"y"}"#, r#"{"a":"x"}"#, r#"{}"#, r#"{"a":"","b":""}"#, r#"{"a":1,"b":1}"#] {
            assert!(!is_there(&equal, unequal), "{unequal}");
        }

        let prefix = Evidence::prefix("sub", "x:");
        assert!(is_there(&prefix, r#"{"sub":"x:a"}"#));
        for other in [r#"{"sub":"x:"}"#, r#"{"sub":"X:a"}"#, r#"{"sub":"ax:a"}"#, r#"{"sub":["x:a"]}"#, r#"{}"#] {
            assert!(!is_there(&prefix, other), "{other}");
        }
    }

    #[test]
    fn at_2_a_null_is_no_evidence() {
        let signs = [
            Evidence::claim_present("t"),
            Evidence::claim("t", "null"),
            Evidence::claims_equal("t", "u"),
            Evidence::prefix("t", "n"),
            Evidence::any_of([Evidence::claim_present("t"), Evidence::scope_claim()]),
            Evidence::scope_claim(),
        ];
        for null in ["null", "[null]", "[null,null]", r#"{"a":null}"#] {
            let claims = format!(r#"{{"t":{null},"u":{null},"scope":{null}}}"#);
            assert!(!signs.iter().any(|sign| is_there(sign, &claims)), "{null}");
        }
    }

    #[test]
    fn a_profile_reads_the_claims_that_it_looks_at() {
        let profile = Profile::compat("x")
            .scope_claim(ScopeClaim::first_of([ScopeClaim::string("a"), ScopeClaim::path(["b", "x"])]))
            .client_claim("c")
            .foreign_claim("d")
            .evidence(Evidence::any_of([Evidence::claim("e", "1"), Evidence::claim_present("f")]))
            .evidence(Evidence::claims_equal("g", "h"))
            .evidence(Evidence::prefix("i", "1"));
        let mut names = profile.claim_names();
        names.sort_unstable();
        assert_eq!(names, ["a", "b", "c", "d", "e", "f", "g", "h", "i"]);
        assert!(Profile::entra_v1().claim_names().contains(&"tid"));
    }

    #[test]
    fn types_compare_without_case_and_prefix() {
        let profile = Profile::rfc9068();
        for good in ["at+jwt", "AT+JWT", "application/at+jwt", "Application/AT+JWT"] {
            assert!(profile.check_type(Some(good)).is_ok(), "{good}");
        }
        for bad in [
            "JWT",
            "",
            "application/",
            "at+jwtx",
            "at jwt",
            "application/application/at+jwt",
            "applicatiom/at+jwt",
            "text/at+jwt",
            "application/jwt",
        ] {
            assert_eq!(profile.check_type(Some(bad)).unwrap_err().reason(), Reason::WrongTokenType, "{bad}");
        }
        assert!(profile.check_type(None).is_err());
        let compat = Profile::compat("x").accept_absent_type();
        assert!(compat.check_type(None).is_ok() && compat.check_type(Some("at+jwt")).is_err());
        assert_eq!(compat.check_type(Some("x")).unwrap_err().expected(), "none");
    }

    #[test]
    fn only_a_word_for_the_kind_names_it() {
        let word = || Evidence::claim("token_use", "access");
        for (sign, names_it) in [
            (word(), true),
            (Evidence::any_of([word(), Evidence::claim("typ", "Bearer")]), true),
            (Evidence::any_of([word(), Evidence::scope_claim()]), false),
            (Evidence::any_of([]), false),
            (Evidence::scope_claim(), false),
            (Evidence::claim("sub", "x"), false),
            (Evidence::claim("roles", "x"), false),
            (Evidence::claims_equal("oid", "sub"), false),
        ] {
            assert_eq!(sign.names_the_kind(), names_it, "{sign:?}");
        }
    }

    #[test]
    fn a_sign_that_is_looked_for_is_described_in_the_log() {
        let places = ["rights", "scp", "scope"].map(ScopeClaim::string);
        let scope = ScopeClaim::first_of(places);
        for (sign, described) in [
            (Evidence::scope_claim(), "something in `scp` or `scope`"),
            (Evidence::claim_one_of("t", ["x", "y"]), "t = x or y"),
            (Evidence::any_of([Evidence::claim("t", "x"), Evidence::claim_present("s")]), "t = x, or something in `s`"),
            (Evidence::claims_equal("oid", "sub"), "the same in `oid` and `sub`"),
        ] {
            assert_eq!(sign.describe(&scope), described);
        }
    }

    #[test]
    fn at_2_only_a_claim_known_for_scopes_is_evidence() {
        let sole = |sign, scope| Profile::compat("x").accept_type("JWT").evidence(sign).scope_claim(scope);
        for (scope, is_sign) in [
            (ScopeClaim::string("scope"), true),
            (ScopeClaim::array("scp"), true),
            (ScopeClaim::path(["permissions"]), true),
            (ScopeClaim::first_of([ScopeClaim::array("rights"), ScopeClaim::string("scope")]), true),
            (ScopeClaim::path(["scope", "x"]), false),
            (ScopeClaim::path(["x", "scope"]), false),
            (ScopeClaim::array("Scope"), false),
            (ScopeClaim::array("rights"), false),
            (ScopeClaim::array("groups"), false),
            (ScopeClaim::array("roles"), false),
            (ScopeClaim::array("sub"), false),
        ] {
            for sign in [Evidence::scope_claim(), Evidence::any_of([Evidence::scope_claim()])] {
                let fault = sole(sign, scope.clone()).fault();
                assert_eq!(fault, (!is_sign).then_some(ProfileFault::NoEvidence), "{scope:?}");
            }
        }
        // Where another sign is demanded, a scope claim may have any name.
        let named = sole(Evidence::claim("token_use", "access"), ScopeClaim::array("rights"));
        assert_eq!(named.fault(), None);
    }

    #[test]
    fn two_equal_claims_are_a_sign_unless_id_tokens_have_both() {
        for (one, other, is_sign) in [
            ("oid", "sub", true),
            ("sub", "client_id", true),
            ("azp", "sub", true),
            ("sub", "azp", true),
            ("oid", "oid", false),
            ("sub", "sub", false),
            ("azp", "aud", false),
            ("client_id", "aud", false),
            ("preferred_username", "email", false),
            ("iss", "sub", false),
        ] {
            let profile = Profile::compat("x").accept_type("JWT").evidence(Evidence::claims_equal(one, other));
            assert_eq!(profile.fault().is_none(), is_sign, "{one} {other}");
        }
    }

    #[test]
    fn a_profile_whose_demands_no_token_meets_is_at_fault() {
        let compat = || Profile::compat("x").accept_type("JWT").evidence(Evidence::claim("kind", "access"));
        let demanded = |profile: Profile| match profile.fault() {
            Some(ProfileFault::Contradiction(demanded)) => demanded,
            other => panic!("{other:?}"),
        };
        let no_scope = "a scope in `scope`, `scp` or `permissions`";
        let no_word = Evidence::any_of([Evidence::claim("a", "1"), Evidence::claim_present("a")]);
        for (profile, expected) in [
            (compat().evidence(Evidence::scope_claim()).scope_claim(ScopeClaim::none()), no_scope),
            (compat().evidence(Evidence::scope_claim()).scope_claim(ScopeClaim::string("roles")), no_scope),
            (compat().evidence(Evidence::claim_one_of("a", [""; 0])), "a = "),
            (compat().evidence(Evidence::claim("kind", "other")), "kind = access"),
            (compat().evidence(Evidence::claim("typ", "id")), "typ = id"),
            (compat().evidence(Evidence::claim("token_use", "id")), "token_use = id"),
            (compat().evidence(Evidence::claim_present("events")), "something in `events`"),
            (compat().evidence(Evidence::claim_present("a")).foreign_claim("a"), "something in `a`"),
            (compat().evidence(no_word).foreign_claim("a"), "a = 1, or something in `a`"),
            (compat().foreign_claim("kind"), "kind = access"),
            (compat().foreign_claim("sub"), "something in `sub`"),
            (compat().client_claim("azp").foreign_claim("azp"), "something in `azp`"),
            (compat().foreign_claim("exp"), "something in `exp`"),
            (Profile::zitadel().foreign_claim("jti"), "something in `jti`"),
            (Profile::rfc9068().foreign_claim("client_id"), "something in `client_id`"),
        ] {
            assert_eq!(demanded(profile), expected);
        }
        for possible in [
            compat().evidence(Evidence::claim_one_of("kind", ["other", "access"])),
            compat().evidence(Evidence::any_of([Evidence::claim("kind", "other"), Evidence::claim_present("a")])),
            compat().foreign_claim("nonce"),
            compat().dangerous_waive(RequiredClaim::Subject).foreign_claim("sub"),
            Profile::rfc9068().evidence(Evidence::claim_present("events")),
            Profile::auth0().scope_claim(ScopeClaim::none()),
        ] {
            assert_eq!(possible.fault(), None, "{possible:?}");
        }
    }

    #[test]
    fn only_keys_of_entra_id_may_name_their_issuer() {
        assert!(Profile::entra_v2().keys_name_issuer());
        assert!(!Profile::rfc9068().keys_name_issuer() && !Profile::entra_v1().keys_name_issuer());
    }

    #[test]
    fn a_profile_that_would_accept_anything_or_nothing_is_at_fault() {
        assert_eq!(Profile::rfc9068().fault(), None);
        assert_eq!(Profile::genauth().fault(), None);
        assert_eq!(Profile::compat("x").fault(), Some(ProfileFault::AcceptsNothing));
        assert_eq!(Profile::compat("x").accept_type("JWT").fault(), Some(ProfileFault::NoEvidence));
        assert_eq!(Profile::rfc9068().accept_absent_type().fault(), Some(ProfileFault::NoEvidence));
        assert_eq!(Profile::compat("x").accept_type("JWT").evidence(Evidence::scope_claim()).fault(), None);
        assert_eq!(Profile::rfc9068().client_claim("azp").fault(), Some(ProfileFault::NoEvidence));
        for no_sign in [
            Evidence::any_of([]),
            Evidence::any_of([Evidence::scope_claim(), Evidence::claim("sub", "x")]),
            Evidence::claim_present("exp"),
            Evidence::claim_present("iat"),
            Evidence::prefix("sub", "x"),
        ] {
            let profile = Profile::compat("x").accept_type("JWT").evidence(no_sign.clone());
            assert_eq!(profile.fault(), Some(ProfileFault::NoEvidence), "{no_sign:?}");
        }
        for name in IN_ID_TOKENS {
            for sign in [Evidence::claim(name, "x"), Evidence::claim_present(name)] {
                let profile = Profile::compat("x").accept_type("JWT").evidence(sign);
                assert_eq!(profile.fault(), Some(ProfileFault::NoEvidence), "{name}");
                assert!(!profile.names_the_kind(), "{name}");
            }
        }
    }
}
