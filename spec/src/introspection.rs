//! What an issuer says of a token: RFC 7662, and RFC 9701 for signed answers.

use serde_json::Value;

use crate::{
    Answers, Config, Issuer, Rule,
    claims::{self, Claims, Token},
    decide::Refusal,
    json, jws, keys,
};

/// How an issuer is asked.
#[derive(Clone, Debug, Default)]
pub struct Introspection {
    /// Which JWTs it is asked about. It is asked about every opaque token.
    pub mode: Mode,
    /// The prefix by which its tokens are known.
    pub token_prefix: Option<String>,
    /// Whether an answer without `aud` passes.
    pub accept_without_audience: bool,
    /// Whether an answer without `token_type` is refused.
    pub require_token_type: bool,
    /// Whether `scope` may be an array (INTRO-13).
    pub scope_array: bool,
    /// Signed answers are demanded, and name one of these in `aud` (IJWT-2).
    pub signed: Option<Vec<String>>,
}

/// Which JWTs an issuer is asked about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// None: they are verified here.
    #[default]
    OpaqueAlone,
    /// All, after they were verified here.
    Also,
    /// All, in place of verifying them here.
    Instead,
}

/// An answer of an introspection endpoint.
#[derive(Clone, Debug)]
pub enum Answer {
    /// `application/json`.
    Json(String),
    /// `application/token-introspection+jwt`.
    Jwt(String),
    /// Whatever else happens: an error status, a time-out, another content type (INTRO-6, INTRO-7).
    Outage,
}

/// How old a signed answer may be, in seconds, beside the leeway. The standards say "fresh" and give no figure.
pub const MAX_ANSWER_AGE: i64 = 60;

/// Asks an issuer about a token.
pub fn ask(text: &str, issuer: &Issuer, config: &Config, answers: &Answers, now: i64) -> Result<Token, Refusal> {
    let settings = issuer.introspection.as_ref().ok_or(Refusal::Unavailable("INTRO-11"))?;
    let members = match (answers.get(text), &settings.signed) {
        (None, _) => return Err(Refusal::Token("INTRO-3")),
        (Some(Answer::Json(json)), None) => json::object(json.as_bytes()).ok_or("INTRO-4"),
        (Some(Answer::Jwt(jwt)), Some(audiences)) => signed(jwt, audiences, issuer, config, now),
        (Some(Answer::Json(_)), Some(_)) => Err("IJWT-2"), // A downgrade.
        (Some(Answer::Jwt(_)), None) => Err("INTRO-4"),    // A content type that was not asked for.
        (Some(Answer::Outage), _) => Err("INTRO-7"),
    };
    let mut members = members.map_err(Refusal::Unavailable)?;
    // INTRO-14: `null` is absent, but for two members.
    members.retain(|name, value| !value.is_null() || name == "active" || name == "cnf");
    match members.get("active") {
        Some(Value::Bool(true)) => judge(&members, settings, issuer, config, now).map_err(Refusal::Token),
        Some(Value::Bool(false)) => Err(Refusal::Token("INTRO-3")),
        _ => Err(Refusal::Unavailable("INTRO-4")), // Neither active nor inactive.
    }
}

/// INTRO-5: an active answer is checked as the claims of a JWT are.
fn judge(
    members: &Claims,
    settings: &Introspection,
    issuer: &Issuer,
    config: &Config,
    now: i64,
) -> Result<Token, Rule> {
    if claims::says_other_kind(members) {
        return Err("JWT-11");
    }
    // INTRO-12 (RFC 6749 §7.1: without regard to case). A type that is not known cannot be checked.
    let token_type = claims::string(members, "token_type")?.map(|name| name.to_ascii_lowercase());
    let is_known = match token_type.as_deref() {
        None => !settings.require_token_type,
        Some(name) => name == "bearer" || name == "dpop",
    };
    if !is_known {
        return Err("INTRO-5");
    }
    // INTRO-13: the issuer that was asked, unless it names itself.
    if claims::string(members, "iss")?.is_some_and(|iss| iss != issuer.identifier) {
        return Err("INTRO-5");
    }
    if !claims::names_us(members, issuer, config)? && !settings.accept_without_audience {
        return Err("INTRO-5");
    }
    let expiry = claims::times(members, config, now)?;
    let scope = members.get("scope").map(|scope| claims::scopes_of(scope, true, settings.scope_array));
    let client = claims::string(members, "client_id")?;
    let token = claims::token(members, issuer, client, scope.transpose()?, expiry)?;
    Ok(Token { is_dpop: token_type.as_deref() == Some("dpop"), ..token })
}

// IJWT-1 to IJWT-4. What fails here is the answer, not the token.
fn signed(text: &str, audiences: &[String], issuer: &Issuer, config: &Config, now: i64) -> Result<Claims, Rule> {
    let jws = jws::parse(text)?;
    if !jws.typ.as_deref().is_some_and(|typ| jws::same_type(typ, "token-introspection+jwt")) {
        return Err("IJWT-3");
    }
    keys::verify(&jws, issuer).map_err(|_| "IJWT-3")?;
    let is_for_us = claims::audience(&jws.claims)?.is_some_and(|aud| aud.iter().any(|one| audiences.contains(one)));
    let is_theirs = claims::string(&jws.claims, "iss")?.as_ref() == Some(&issuer.identifier);
    let is_fresh = claims::date(&jws.claims, "iat")?.is_some_and(|issued| {
        let age = now as f64 - issued;
        age >= -(config.leeway as f64) && age <= (MAX_ANSWER_AGE + config.leeway) as f64
    });
    if !(is_for_us && is_theirs && is_fresh) {
        return Err("IJWT-3");
    }
    // IJWT-4
    jws.claims.get("token_introspection").and_then(Value::as_object).cloned().ok_or("IJWT-4")
}
