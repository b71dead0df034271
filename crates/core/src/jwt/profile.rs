use std::borrow::Cow;

use crate::{Reason, Scope, error::Failure, jws::json::Value};

/// What the access tokens of an issuer look like.
///
/// | profile | `typ` | claims required besides `iss` `aud` `exp` | evidence of an access token |
/// |---|---|---|---|
/// | [`rfc9068`](Self::rfc9068), the default | `at+jwt` | `sub` `client_id` `iat` `jti` | its `typ` |
/// | [`genauth`](Self::genauth) | `JWT` | `iat` | a `scope` claim |
/// | [`compat`](Self::compat) | as given | `sub` `client_id` `iat` `jti`, unless waived | as given |
///
/// Under every profile but the default, `typ` does not settle what kind of JWT a token is. Tokens that carry a mark of
/// another kind are refused there: `nonce`, `at_hash`, `c_hash` (ID tokens), `events` (logout tokens and security events),
/// `htm` with `htu` (DPoP proofs), `token_introspection`, `status_list`, `token_use` of `id`, and a payload `typ` of `ID`,
/// `Refresh`, `Offline` or `Logout`.
#[derive(Clone, Debug)]
#[must_use = "a profile has to be given to an `Issuer`"]
pub struct Profile {
    name: Cow<'static, str>,
    token_types: Vec<TokenType>,
    required: Vec<RequiredClaim>,
    evidence: Vec<Evidence>,
    /// Whether `typ` alone says that a token is an access token.
    type_is_decisive: bool,
    scope_claim: ScopeClaim,
    client_claim: Cow<'static, str>,
    /// Whether a token without the client claim was issued to its sole audience.
    client_is_audience: bool,
}

/// An acceptable value of the `typ` header parameter.
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
    Claim { name: Cow<'static, str>, value: Cow<'static, str> },
    ScopeClaim,
}

impl Evidence {
    /// The token has the profile's scope claim, and it is not empty.
    pub fn scope_claim() -> Self {
        Self(Sign::ScopeClaim)
    }

    /// The token has a top-level claim `name` that is the string `value`, such as `token_use` of `access`. The claims that
    /// every token of an issuer has (`iss`, `sub`, `aud`) are no sign, and a profile that takes one for it is refused.
    pub fn claim(name: impl Into<Cow<'static, str>>, value: impl Into<Cow<'static, str>>) -> Self {
        Self(Sign::Claim { name: name.into(), value: value.into() })
    }
}

impl Evidence {
    /// Whether the sign tells an access token from other tokens of its issuer.
    fn distinguishes(&self) -> bool {
        !matches!(&self.0, Sign::Claim { name, .. } if ["iss", "sub", "aud"].contains(&&**name))
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
            scope_claim: ScopeClaim::string("scope"),
            client_claim: "client_id".into(),
            client_is_audience: false,
        }
    }

    /// Access tokens of GenAuth, formerly Authing.
    ///
    /// Their `typ` is `JWT`, and ID tokens of the same issuer have the same `aud` and are signed with the same keys; an
    /// access token is known by its `scope` claim. Tokens of machines have no `sub`, and name the client in `azp`; in tokens
    /// of users the client is the audience.
    ///
    /// Written from the issuer's documentation. Scopes compare exactly under this profile too: its wildcards are
    /// [`GenAuthScopes`](crate::GenAuthScopes), and have to be chosen for the issuer.
    pub fn genauth() -> Self {
        Self {
            name: "GenAuth".into(),
            token_types: vec![TokenType::Named("JWT".into())],
            required: vec![RequiredClaim::IssuedAt],
            evidence: vec![Evidence::scope_claim()],
            type_is_decisive: false,
            scope_claim: ScopeClaim::string("scope"),
            client_claim: "azp".into(),
            client_is_audience: true,
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

    /// Demands this sign of an access token. Of several, every one is demanded.
    pub fn evidence(mut self, evidence: Evidence) -> Self {
        self.evidence.push(evidence);
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
        self.client_claim = name.into();
        self.type_is_decisive = false;
        self
    }

    /// The profile's name, for messages.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn fault(&self) -> Option<ProfileFault> {
        if self.token_types.is_empty() {
            Some(ProfileFault::AcceptsNothing)
        } else if !self.type_is_decisive && !self.evidence.iter().any(Evidence::distinguishes) {
            Some(ProfileFault::NoEvidence)
        } else {
            None
        }
    }

    /// The top-level claims that this profile reads besides the registered ones.
    pub(super) fn claim_names(&self) -> impl Iterator<Item = &str> {
        let evidence = self.evidence.iter().filter_map(|evidence| match &evidence.0 {
            Sign::Claim { name, .. } => Some(&**name),
            Sign::ScopeClaim => None,
        });
        [self.scope_claim.root(), &*self.client_claim].into_iter().chain(evidence)
    }

    pub(super) fn requires(&self, claim: RequiredClaim) -> bool {
        self.required.contains(&claim)
    }

    pub(super) fn scope_from(&self) -> &ScopeClaim {
        &self.scope_claim
    }

    pub(super) fn client_from(&self) -> &str {
        &self.client_claim
    }

    pub(super) fn client_is_audience(&self) -> bool {
        self.client_is_audience
    }

    /// Whether tokens follow RFC 9068 to the letter, so that `typ` alone says what they are.
    pub(super) fn is_strict(&self) -> bool {
        self.type_is_decisive
    }

    pub(super) fn check_type(&self, found: Option<&str>) -> Result<(), Failure> {
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
        }
        Err(Failure::new(Reason::WrongTokenType, "typ", expected, found.unwrap_or("none")))
    }

    /// Looks for each sign of an access token. `claim` gives a top-level claim of the token.
    pub(super) fn check_evidence<'v>(&self, claim: impl Fn(&str) -> Option<&'v Value<'v>>) -> Result<(), Failure> {
        for evidence in &self.evidence {
            match &evidence.0 {
                Sign::ScopeClaim if !self.scope_claim.find(&claim).is_some_and(is_filled) => {
                    let expected =
                        format!("something in `{}`, the sign of an access token", self.scope_claim.path.join("."));
                    return Err(Failure::new(Reason::WrongTokenType, "scope", expected, "nothing"));
                }
                Sign::Claim { name, value } if !matches!(claim(name), Some(Value::String(found)) if found == value) => {
                    return Err(Failure::new(
                        Reason::WrongTokenType,
                        "claims",
                        format!("{name} = {value}, the sign of an access token"),
                        "something else, or nothing",
                    ));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// Whether a claim says anything: a string or an array that is not empty.
fn is_filled(value: &Value<'_>) -> bool {
    match value {
        Value::String(text) => !text.is_empty(),
        Value::Array(elements) => !elements.is_empty(),
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ProfileFault {
    AcceptsNothing,
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
    /// Never empty.
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
    /// A claim that is one space-delimited string.
    pub fn string(name: impl Into<Cow<'static, str>>) -> Self {
        Self { path: vec![name.into()], shape: Shape::String }
    }

    /// A claim that is an array of scopes, none of which is split.
    pub fn array(name: impl Into<Cow<'static, str>>) -> Self {
        Self { path: vec![name.into()], shape: Shape::Array }
    }

    /// A claim that is a string or an array, as the issuer's configuration has it.
    pub fn string_or_array(name: impl Into<Cow<'static, str>>) -> Self {
        Self { path: vec![name.into()], shape: Shape::Either }
    }

    /// A claim inside of others, of either shape. Where a step leads nowhere, or the end is something else, there are no
    /// scopes. An empty path leads nowhere.
    pub fn path<N: Into<Cow<'static, str>>>(path: impl IntoIterator<Item = N>) -> Self {
        Self { path: path.into_iter().map(Into::into).collect(), shape: Shape::Lenient }
    }

    fn root(&self) -> &str {
        self.path.first().map_or("", |root| root)
    }

    fn find<'v>(&self, claim: impl Fn(&str) -> Option<&'v Value<'v>>) -> Option<&'v Value<'v>> {
        let (root, steps) = self.path.split_first()?;
        steps.iter().try_fold(claim(root)?, |value, step| match value {
            Value::Object(members) => members.iter().find(|(name, _)| name == step).map(|(_, value)| value),
            _ => None,
        })
    }

    /// Reads the scope of a token. An absent claim is an empty scope.
    pub(super) fn read<'v>(&self, claim: impl Fn(&str) -> Option<&'v Value<'v>>) -> Result<Scope, Failure> {
        match (self.find(claim), self.shape) {
            (None, _) => Ok(Scope::default()),
            (Some(Value::String(text)), Shape::String | Shape::Either | Shape::Lenient) => Ok(Scope::parse(text)),
            (Some(Value::Array(elements)), Shape::Lenient) => {
                let texts = elements.iter().filter_map(|element| match element {
                    Value::String(text) if !text.contains(' ') => Some(&**text),
                    _ => None,
                });
                Ok(Scope::from_elements(texts).unwrap_or_default())
            }
            (Some(Value::Array(elements)), Shape::Array | Shape::Either) => {
                let texts = elements.iter().map(|element| match element {
                    Value::String(text) => Ok(&**text),
                    other => Err(self.mistyped("an array of strings", other.type_name())),
                });
                let texts = texts.collect::<Result<Vec<_>, _>>()?;
                Scope::from_elements(texts)
                    .map_err(|_| self.mistyped("one scope in each element", "an element with a space"))
            }
            (Some(_), Shape::Lenient) => Ok(Scope::default()),
            (Some(other), Shape::String) => Err(self.mistyped("a string", other.type_name())),
            (Some(other), Shape::Array) => Err(self.mistyped("an array", other.type_name())),
            (Some(other), Shape::Either) => Err(self.mistyped("a string or an array", other.type_name())),
        }
    }

    fn mistyped(&self, expected: &str, found: &str) -> Failure {
        Failure::new(Reason::MalformedClaim, "scope", format!("{expected} in `{}`", self.path.join(".")), found)
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
        from.read(claim).map(|scope| scope.to_string()).map_err(|failure| failure.reason())
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
    fn a_profile_that_would_accept_anything_or_nothing_is_at_fault() {
        assert_eq!(Profile::rfc9068().fault(), None);
        assert_eq!(Profile::genauth().fault(), None);
        assert_eq!(Profile::compat("x").fault(), Some(ProfileFault::AcceptsNothing));
        assert_eq!(Profile::compat("x").accept_type("JWT").fault(), Some(ProfileFault::NoEvidence));
        assert_eq!(Profile::rfc9068().accept_absent_type().fault(), Some(ProfileFault::NoEvidence));
        assert_eq!(Profile::compat("x").accept_type("JWT").evidence(Evidence::scope_claim()).fault(), None);
        assert_eq!(Profile::rfc9068().client_claim("azp").fault(), Some(ProfileFault::NoEvidence));
        for name in ["iss", "sub", "aud"] {
            let profile = Profile::compat("x").accept_type("JWT").evidence(Evidence::claim(name, "x"));
            assert_eq!(profile.fault(), Some(ProfileFault::NoEvidence), "{name}");
        }
    }
}
