use std::borrow::Cow;

use super::ScopeClaim;
use crate::jose::json::Value;

/// A sign by which an access token is told from the other tokens that an issuer signs with the same keys.
#[derive(Clone, Debug)]
pub struct Evidence(pub(super) Sign);

#[derive(Clone, Debug)]
pub(super) enum Sign {
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
    /// The token has the profile's [scope claim](super::Profile::scope_claim), with at least one scope in it. Only `scope`, `scp` and
    /// `permissions` are a sign: a claim of another name may be in ID tokens of the issuer as well. Where only access
    /// tokens have it, use [`claim_present`](Self::claim_present).
    pub fn scope_claim() -> Self {
        Self(Sign::ScopeClaim)
    }

    /// The token has a top-level claim `name` that is the string `value`, such as `token_use` of `access`. Claims
    /// that ID tokens may have as well (`iss`, `sub`, `aud`, `azp`, `email`, `roles` and the like) are no sign, and a profile
    /// that takes one for it is refused.
    ///
    /// Where the claim is `typ` or `token_use`, whose purpose is to name the kind of token, `nonce`, `at_hash` and `c_hash` no
    /// longer mark an ID token.
    pub fn claim(name: impl Into<Cow<'static, str>>, value: impl Into<Cow<'static, str>>) -> Self {
        Self::claim_one_of(name, [value])
    }

    /// The token has a top-level claim `name` that is one of these strings. Without strings, no token has this sign.
    pub fn claim_one_of<V: Into<Cow<'static, str>>>(
        name: impl Into<Cow<'static, str>>,
        values: impl IntoIterator<Item = V>,
    ) -> Self {
        Self(Sign::Claim { name: name.into(), values: values.into_iter().map(Into::into).collect() })
    }

    /// The token has a top-level claim `name` that only access tokens have, and it is a string, an array or an object that
    /// is not empty. Neither is a string of white space, nor an array of nothing but these.
    pub fn claim_present(name: impl Into<Cow<'static, str>>) -> Self {
        Self(Sign::Present(name.into()))
    }

    /// The token has at least one of these signs. Without signs, no token has this one.
    pub fn any_of(signs: impl IntoIterator<Item = Self>) -> Self {
        Self(Sign::AnyOf(signs.into_iter().collect()))
    }

    /// Two top-level claims of the token are the same string, as `oid` and `sub` are in a token that Entra ID issues to an
    /// application for itself. The audience and a claim of ID tokens beside another are no sign, but for `azp` and `sub`.
    pub fn claims_equal(one: impl Into<Cow<'static, str>>, other: impl Into<Cow<'static, str>>) -> Self {
        Self(Sign::Equal(one.into(), other.into()))
    }

    pub(crate) fn prefix(name: &'static str, prefix: &'static str) -> Self {
        Self(Sign::Prefix { name, prefix })
    }
}

/// Claims that an ID token may have, so that they are no sign of an access token, whatever their value: those of OpenID
/// Connect Core §2, §3.3.2.11 and §5.1 and of its Session Management, and those by which RFC 9068 §2.2.3.1 says what a user
/// may do, which issuers write into both.
#[rustfmt::skip]
pub(super) const IN_ID_TOKENS: [&str; 35] = [
    "acr", "address", "amr", "at_hash", "aud", "auth_time", "azp", "birthdate", "c_hash", "email", "email_verified",
    "entitlements", "exp", "family_name", "gender", "given_name", "groups", "iat", "iss", "locale", "middle_name", "name",
    "nickname", "nonce", "phone_number", "phone_number_verified", "picture", "preferred_username", "profile", "roles", "sid",
    "sub", "updated_at", "website", "zoneinfo",
];

/// Whether other tokens than access tokens may have this claim.
fn is_in_id_tokens(name: &str) -> bool {
    IN_ID_TOKENS.contains(&name)
}

/// Claims of ID tokens, unless the token names its kind in a claim.
const MARKS_OF_ID_TOKENS: [&str; 3] = ["nonce", "at_hash", "c_hash"];

/// Claims of tokens that are not for this API in any case (JWT-11, IJWT-5).
const MARKS: [&str; 3] = ["events", "token_introspection", "status_list"];

/// The claims that mark a token of another kind, where `typ` does not settle the kind (JWT-11); fewer where a claim of the token
/// names it.
pub(crate) fn marks(is_named: bool) -> impl Iterator<Item = &'static str> {
    let of_id_tokens: &[&str] = if is_named { &[] } else { &MARKS_OF_ID_TOKENS };
    of_id_tokens.iter().chain(&MARKS).copied()
}

/// Whether a claim says by this value that the token is no access token (JWT-11).
pub(crate) fn is_other_kind(claim: &str, value: &str) -> bool {
    const KINDS: [(&str, &[&str]); 2] = [("token_use", &["id"]), ("typ", &["ID", "Refresh", "Offline", "Logout"])];
    KINDS.iter().any(|(name, kinds)| *name == claim && kinds.iter().any(|kind| kind.eq_ignore_ascii_case(value)))
}

impl Evidence {
    /// Whether the sign tells an access token from other tokens of its issuer.
    pub(super) fn distinguishes(&self) -> bool {
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

    /// Whether the sign is a claim by which the issuer names the kind of token, rather than one that other tokens lack.
    pub(super) fn names_the_kind(&self) -> bool {
        match &self.0 {
            Sign::AnyOf(signs) => !signs.is_empty() && signs.iter().all(Self::names_the_kind),
            Sign::Claim { .. } => self.distinguishes(),
            _ => false,
        }
    }

    /// Whether the sign is a claim whose only purpose is to name the kind of token, so that it outweighs the marks of ID
    /// tokens. ID tokens of the issuer may have any other claim as well.
    pub(super) fn outweighs_marks(&self) -> bool {
        match &self.0 {
            Sign::AnyOf(signs) => !signs.is_empty() && signs.iter().all(Self::outweighs_marks),
            Sign::Claim { name, .. } => matches!(&**name, "token_use" | "typ"),
            _ => false,
        }
    }

    /// The required values of this claim.
    pub(super) fn values_of(&self, claim: &str) -> Option<&[Cow<'static, str>]> {
        match &self.0 {
            Sign::Claim { name, values } if name == claim => Some(values),
            _ => None,
        }
    }

    pub(super) fn is_there<'v>(
        &self,
        scope_claim: &ScopeClaim,
        claim: &impl Fn(&str) -> Option<&'v Value<'v>>,
    ) -> bool {
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
                scope_claim.find(claim).is_some_and(|(place, value)| place.distinguishes() && place.has_scope(value))
            }
        }
    }

    /// The sign in words, for the log.
    pub(super) fn describe(&self, scope_claim: &ScopeClaim) -> String {
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

    /// The top-level claims that the sign depends on.
    pub(super) fn claim_names<'e>(&'e self, names: &mut Vec<&'e str>) {
        match &self.0 {
            Sign::AnyOf(signs) => signs.iter().for_each(|sign| sign.claim_names(names)),
            Sign::Claim { name, .. } | Sign::Present(name) => names.push(name),
            Sign::Equal(one, other) => names.extend([&**one, &**other]),
            Sign::Prefix { name, .. } => names.push(name),
            Sign::ScopeClaim => {}
        }
    }
}

/// Whether a claim is a string or an array that says something.
fn is_filled(value: &Value<'_>) -> bool {
    match value {
        Value::String(text) => !text.trim().is_empty(),
        Value::Array(elements) => elements.iter().any(|element| match element {
            Value::String(text) => !text.trim().is_empty(),
            element => *element != Value::Null,
        }),
        _ => false,
    }
}
