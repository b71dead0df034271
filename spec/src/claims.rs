//! The claims of an access token: RFC 7519 §4, RFC 9068, and the dialects of issuers that follow neither.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::{Caller, Config, Issuer, Rule, jws::Jws, jws::same_type, scope};

/// The members of a JSON object.
pub type Claims = Map<String, Value>;

/// What the access tokens of an issuer look like.
#[derive(Clone, Debug)]
pub struct Profile {
    /// The accepted `typ` values; `None` is an absent one (AT-1, AT-2).
    pub types: Vec<Option<String>>,
    /// Whether marks of other kinds refuse a token whose `typ` is not `at+jwt` (JWT-11).
    pub marks: bool,
    /// What shows that it is an access token. One of them is enough; none refuses every token.
    pub evidence: Vec<Evidence>,
    /// The claims that are required beside `iss`, `aud` and `exp`.
    pub required: Vec<Required>,
    /// Where the scope is. The first claim that is there is the one.
    pub scope_claims: Vec<ScopeClaim>,
    /// Where the client is.
    pub client: ClientClaim,
    /// Whether `auth_time`, `acr` and `amr` of a wrong type refuse the token (AT-7).
    pub strict: bool,
}

/// A claim whose absence refuses a token, unless it is waived by name (AT-3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs)]
pub enum Required {
    Subject,
    Client,
    IssuedAt,
    TokenId,
}

/// Positive evidence of an access token (AT-2).
#[derive(Clone, Debug)]
pub enum Evidence {
    /// `typ` is `at+jwt`.
    Type,
    /// The scope claim is `scope`, `scp` or `permissions`, and has at least one scope token.
    Scope,
    /// The claim is there and is not empty.
    Present(String),
    /// The claim is one of these strings.
    OneOf(String, Vec<String>),
    /// Both claims are there and are the same string.
    Same(String, String),
    /// The claim begins with this text.
    Prefix(String, String),
    /// All of these.
    All(Vec<Evidence>),
}

/// A claim that has scopes.
#[derive(Clone, Debug)]
pub struct ScopeClaim {
    /// The names of nested objects, and at last of the claim.
    pub path: Vec<String>,
    /// Whether it may be a string of scopes with spaces between.
    pub string: bool,
    /// Whether it may be an array of scopes.
    pub array: bool,
}

impl ScopeClaim {
    /// A claim at the top level.
    pub fn named(name: &str, string: bool, array: bool) -> Self {
        Self { path: vec![name.to_owned()], string, array }
    }
}

/// Who the client is.
#[derive(Clone, Debug)]
pub enum ClientClaim {
    /// No claim names it.
    None,
    /// This claim.
    Named(String),
    /// The audience, if there is exactly one.
    SoleAudience,
    /// This claim, and without it the sole audience.
    NamedOrSoleAudience(String),
}

impl Profile {
    /// The strict profile of RFC 9068, which is the default.
    pub fn rfc9068() -> Self {
        Self {
            types: vec![Some("at+jwt".to_owned())],
            marks: false,
            evidence: vec![Evidence::Type],
            required: vec![Required::Subject, Required::Client, Required::IssuedAt, Required::TokenId],
            scope_claims: vec![ScopeClaim::named("scope", true, false)],
            client: ClientClaim::Named("client_id".to_owned()),
            strict: true,
        }
    }

    /// A profile for other types: marks are looked at, evidence is demanded.
    pub fn compat(types: &[Option<&str>], evidence: Vec<Evidence>) -> Self {
        let types = types.iter().map(|typ| typ.map(str::to_owned)).collect();
        Self { types, marks: true, evidence, strict: false, ..Self::rfc9068() }
    }

    /// The same without one required claim.
    pub fn waive(mut self, claim: Required) -> Self {
        self.required.retain(|required| *required != claim);
        self
    }
}

/// What is known of a token that was judged good, before its sender constraint.
#[derive(Clone, Debug)]
pub struct Token {
    /// Who it speaks for.
    pub caller: Caller,
    /// `client_id`, or what stands in for it.
    pub client: Option<String>,
    /// `aud`.
    pub audience: Vec<String>,
    /// Whether there was a scope claim or member.
    pub names_scope: bool,
    /// Each `cnf`, and whether it comes from a source that is trusted to admit the token.
    pub confirmations: Vec<(Value, bool)>,
    /// `token_type` of an introspection answer is `DPoP`.
    pub is_dpop: bool,
    /// `acr`.
    pub acr: Option<String>,
    /// `auth_time`.
    pub auth_time: Option<f64>,
}

/// Judges the claims of a JWT whose signature was verified.
pub fn judge(jws: &Jws, issuer: &Issuer, config: &Config, now: i64) -> Result<Token, Rule> {
    let (profile, claims) = (&issuer.profile, &jws.claims);
    kind(jws, profile)?;
    let granted = profile_scope(claims, profile)?;
    if !profile.evidence.iter().any(|evidence| evidence.is_in(jws, &granted)) {
        return Err("AT-2");
    }
    let names_us = names_us(claims, issuer, config)?;
    if !names_us && !issuer.waive_audience {
        return Err("JWT-2"); // AT-4, RES-1
    }
    let expiry = times(claims, config, now)?.ok_or("JWT-4")?;
    let client = client(claims, &profile.client)?;
    for required in &profile.required {
        let is_there = match required {
            Required::Subject => claims.contains_key("sub"),
            Required::Client => client.is_some() || matches!(profile.client, ClientClaim::None),
            Required::IssuedAt => claims.contains_key("iat"),
            Required::TokenId => claims.contains_key("jti"),
        };
        if !is_there {
            return Err("AT-3");
        }
    }
    let token = token(claims, issuer, client, Some(granted.scopes), Some(expiry))?;
    if profile.strict {
        // AT-7
        let methods = claims
            .get("amr")
            .is_none_or(|amr| amr.as_array().is_some_and(|methods| methods.iter().all(Value::is_string)));
        let time = claims.get("auth_time").is_none_or(|_| token.auth_time.is_some());
        let context = claims.get("acr").is_none_or(|_| token.acr.is_some());
        if !(methods && time && context) {
            return Err("AT-7");
        }
    }
    Ok(token)
}

/// JWT-11, JWT-12, AT-1: the kind of a JWT, by its `typ` and by the marks of other kinds.
pub fn kind(jws: &Jws, profile: &Profile) -> Result<(), Rule> {
    if !has_accepted_type(jws, profile) {
        return Err("AT-1");
    }
    if profile.marks && !is_at_jwt(jws) && has_mark(&jws.claims) {
        return Err("JWT-11");
    }
    Ok(())
}

fn has_accepted_type(jws: &Jws, profile: &Profile) -> bool {
    profile.types.iter().any(|accepted| match (accepted, &jws.typ) {
        (Some(accepted), Some(typ)) => same_type(accepted, typ),
        (None, None) => true,
        _ => false,
    })
}

/// INTRO-15: whether a JWT that is not verified says itself that it is of another kind. A `typ` of `JWT`, or none, says nothing.
pub fn names_other_kind(jws: &Jws, issuer: &Issuer) -> Result<(), Rule> {
    let profile = &issuer.profile;
    let is_accepted = has_accepted_type(jws, profile);
    let says_nothing = jws.typ.as_deref().is_none_or(|typ| same_type(typ, "JWT")) || is_at_jwt(jws);
    if !is_accepted && !says_nothing {
        return Err("INTRO-15");
    }
    let reads_marks = !is_at_jwt(jws) && (profile.marks || !is_accepted);
    if says_other_kind(&jws.claims) || reads_marks && has_mark(&jws.claims) {
        return Err("INTRO-15");
    }
    Ok(())
}

fn is_at_jwt(jws: &Jws) -> bool {
    jws.typ.as_deref().is_some_and(|typ| same_type(typ, "at+jwt"))
}

fn has_mark(claims: &Claims) -> bool {
    let has = |name| claims.contains_key(name);
    let marks = ["nonce", "at_hash", "c_hash", "events", "token_introspection", "status_list"];
    marks.into_iter().any(has) || has("htm") && has("htu") || says_other_kind(claims)
}

/// The marks that name a kind outright, in a JWT or in an answer.
pub fn says_other_kind(claims: &Claims) -> bool {
    let is =
        |name: &str, kinds: &[&str]| claims.get(name).and_then(Value::as_str).is_some_and(|kind| kinds.contains(&kind));
    is("token_use", &["id"]) || is("typ", &["ID", "Refresh", "Offline", "Logout"])
}

impl Evidence {
    fn is_in(&self, jws: &Jws, granted: &Granted) -> bool {
        let text = |name: &String| jws.claims.get(name).and_then(Value::as_str);
        match self {
            Self::Type => is_at_jwt(jws),
            Self::Scope => granted.is_evidence && !granted.scopes.is_empty(),
            Self::Present(name) => match jws.claims.get(name) {
                None | Some(Value::Null) => false,
                Some(Value::String(text)) => !text.is_empty(),
                Some(Value::Array(elements)) => !elements.is_empty(),
                Some(_) => true,
            },
            Self::OneOf(name, values) => text(name).is_some_and(|text| values.iter().any(|value| value == text)),
            Self::Same(one, other) => text(one).is_some() && text(one) == text(other),
            Self::Prefix(name, prefix) => text(name).is_some_and(|text| text.starts_with(prefix.as_str())),
            Self::All(all) => all.iter().all(|evidence| evidence.is_in(jws, granted)),
        }
    }
}

struct Granted {
    scopes: BTreeSet<String>,
    is_evidence: bool,
}

// SCOPE-6: one claim is chosen, never the union of two. AT-6: no other claim becomes a scope.
fn profile_scope(claims: &Claims, profile: &Profile) -> Result<Granted, Rule> {
    for claim in &profile.scope_claims {
        let Some((first, rest)) = claim.path.split_first() else { continue };
        let Some(top) = claims.get(first) else { continue };
        let value = rest.iter().try_fold(top, |value, name| value.get(name));
        let scopes = match value {
            Some(value) if rest.is_empty() => scopes_of(value, claim.string, claim.array)?,
            // S-06: in a nested claim an odd type at any step is no scope.
            Some(value) => match scopes_of(value, claim.string, claim.array) {
                Err("JWT-10") => BTreeSet::new(),
                scopes => scopes?,
            },
            None => BTreeSet::new(),
        };
        let is_evidence = rest.is_empty() && ["scope", "scp", "permissions"].contains(&first.as_str());
        return Ok(Granted { scopes, is_evidence });
    }
    Ok(Granted { scopes: BTreeSet::new(), is_evidence: false })
}

/// The scopes of a claim or of a member of an answer. JWT-10: any other type refuses the token.
pub fn scopes_of(value: &Value, string: bool, array: bool) -> Result<BTreeSet<String>, Rule> {
    match value {
        Value::String(text) if string => Ok(scope::of_string(text)),
        Value::Array(elements) if array => scope::of_array(elements),
        _ => Err("JWT-10"),
    }
}

fn client(claims: &Claims, claim: &ClientClaim) -> Result<Option<String>, Rule> {
    let sole_audience = || Ok(audience(claims)?.filter(|all| all.len() == 1).and_then(|mut all| all.pop()));
    match claim {
        ClientClaim::None => Ok(None),
        ClientClaim::Named(name) => string(claims, name),
        ClientClaim::SoleAudience => sole_audience(),
        ClientClaim::NamedOrSoleAudience(name) => match string(claims, name)? {
            None => sole_audience(),
            client => Ok(client),
        },
    }
}

/// The checks that a JWT and an introspection answer have in common, and what comes of them.
pub fn token(
    claims: &Claims,
    issuer: &Issuer,
    client: Option<String>,
    scope: Option<BTreeSet<String>>,
    expiry: Option<f64>,
) -> Result<Token, Rule> {
    // JWT-10: registered claims of a wrong type.
    let subject = string(claims, "sub")?;
    string(claims, "jti")?;
    string(claims, "client_id")?;
    // JWT-3: the clients that stand in for an audience, or that are accepted besides.
    if let Some(parties) = &issuer.authorized_parties
        && !client.as_ref().is_some_and(|client| parties.contains(client))
    {
        return Err("JWT-3");
    }
    // RAR-1
    let has_type = |detail: &Value| detail.get("type").is_some_and(Value::is_string);
    let are_details = |details: &Value| details.as_array().is_some_and(|details| details.iter().all(has_type));
    if !claims.get("authorization_details").is_none_or(are_details) {
        return Err("RAR-1");
    }
    // ACT-2
    if !claims.get("act").is_none_or(|actor| actor.get("sub").is_some_and(Value::is_string)) {
        return Err("ACT-2");
    }
    Ok(Token {
        names_scope: scope.is_some(),
        caller: Caller { issuer: issuer.identifier.clone(), subject, scope: scope.unwrap_or_default(), expiry },
        client,
        audience: audience(claims)?.unwrap_or_default(),
        confirmations: claims.get("cnf").map(|cnf| (cnf.clone(), true)).into_iter().collect(),
        is_dpop: false,
        acr: claims.get("acr").and_then(Value::as_str).map(str::to_owned),
        auth_time: date(claims, "auth_time").ok().flatten(),
    })
}

/// A claim that is a string if it is there at all.
pub fn string(claims: &Claims, name: &str) -> Result<Option<String>, Rule> {
    claims.get(name).map(|value| value.as_str().map(str::to_owned).ok_or("JWT-10")).transpose()
}

/// JWT-5: a NumericDate may have a fraction or an exponent. The range is that of 64 bits.
pub fn date(claims: &Claims, name: &str) -> Result<Option<f64>, Rule> {
    let Some(value) = claims.get(name) else { return Ok(None) };
    let range = -(2_f64.powi(63))..=2_f64.powi(63);
    value.as_f64().filter(|date| range.contains(date)).map(Some).ok_or("JWT-5")
}

/// JWT-2: one string, or an array of strings.
pub fn audience(claims: &Claims) -> Result<Option<Vec<String>>, Rule> {
    match claims.get("aud") {
        None => Ok(None),
        Some(Value::String(one)) => Ok(Some(vec![one.clone()])),
        Some(Value::Array(all)) => {
            let all: Option<Vec<String>> = all.iter().map(|one| one.as_str().map(str::to_owned)).collect();
            all.map(Some).ok_or("JWT-2")
        }
        Some(_) => Err("JWT-2"),
    }
}

/// Whether `aud` names this resource server: `false` if there is no `aud`, an error if it names others alone.
/// AT-4, RES-1: values are compared code point by code point.
pub fn names_us(claims: &Claims, issuer: &Issuer, config: &Config) -> Result<bool, Rule> {
    let ours = if issuer.audiences.is_empty() { &config.audiences } else { &issuer.audiences };
    match audience(claims)? {
        None => Ok(false),
        Some(audience) if audience.iter().any(|one| ours.contains(one)) => Ok(true),
        Some(_) => Err("JWT-2"),
    }
}

/// The times of a token, and its expiry.
pub fn times(claims: &Claims, config: &Config, now: i64) -> Result<Option<f64>, Rule> {
    let (now, leeway) = (now as f64, config.leeway as f64); // JWT-6
    let (expiry, issued) = (date(claims, "exp")?, date(claims, "iat")?);
    // JWT-4: at the very second of `exp` it has expired.
    if expiry.is_some_and(|expiry| now >= expiry + leeway) {
        return Err("JWT-4");
    }
    // JWT-7
    if date(claims, "nbf")?.is_some_and(|start| start > now + leeway) {
        return Err("JWT-7");
    }
    // JWT-8
    if issued.is_some_and(|issued| issued > now + leeway) {
        return Err("JWT-8");
    }
    if let Some(max_age) = config.max_token_age
        && !issued.is_some_and(|issued| now < issued + max_age as f64 + leeway)
    {
        return Err("JWT-8");
    }
    Ok(expiry)
}
