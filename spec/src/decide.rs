//! The order of a decision: the requirements §0.

use crate::{
    Answers, Caller, Challenge, Config, Decision, ErrorCode, Issuer, Keys, Mode, Request, Rule, Scheme, State, StepUp,
    binding,
    claims::{self, Token},
    http::{self, BadRequest, Credentials},
    introspection, json, jws, keys,
};

/// Why a request with credentials is refused.
#[derive(Debug)]
pub enum Refusal {
    /// The token is bad.
    Token(Rule),
    /// The DPoP proof is bad.
    Proof(Rule),
    /// The DPoP proof has no nonce that is good.
    Nonce,
    /// The user has to authenticate again.
    StepUp,
    /// The token lacks a scope.
    Scope,
    /// Nothing can be said about the token (CHAL-10).
    Unavailable(Rule),
}

/// Decides about a request at a time, in seconds since 1970.
pub fn decide(config: &Config, answers: &Answers, now: i64, request: &Request, state: &mut State) -> Decision {
    // 400: transport and grammar.
    let credentials = match http::credentials(config, request) {
        Err(BadRequest(schemes, rule)) => {
            return refusal(config, 400, rule, &schemes, Some(ErrorCode::InvalidRequest), false);
        }
        // BEARER-13: absent credentials pass where nothing is demanded of them; bad ones never do.
        Ok(None) if config.optional && config.demand.is_none() && config.step_up.is_none() => {
            return Decision { status: 200, rule: "", challenges: Vec::new(), caller: None };
        }
        // CHAL-3, SCOPE-4
        Ok(None) => return refusal(config, 401, "CHAL-3", &[], None, config.scope_hint),
        Ok(Some(credentials)) => credentials,
    };
    let used = [credentials.scheme];
    // CHAL-4: one status and one code for each kind of refusal.
    let (status, rule, error) = match judge(config, answers, now, request, &credentials, state) {
        Ok(caller) => return Decision { status: 200, rule: "", challenges: Vec::new(), caller: Some(caller) },
        Err(Refusal::Token(rule)) => (401, rule, ErrorCode::InvalidToken), // AT-5
        Err(Refusal::Proof(rule)) => (401, rule, ErrorCode::InvalidDpopProof),
        Err(Refusal::Nonce) => (401, "DPOP-17", ErrorCode::UseDpopNonce),
        Err(Refusal::StepUp) => (401, "STEP-1", ErrorCode::InsufficientUserAuthentication),
        Err(Refusal::Scope) => (403, "SCOPE-1", ErrorCode::InsufficientScope),
        Err(Refusal::Unavailable(rule)) => {
            return Decision { status: 503, rule, challenges: Vec::new(), caller: None };
        }
    };
    // STEP-6: a step-up challenge names the scope too.
    let names_scope =
        config.scope_hint || matches!(error, ErrorCode::InsufficientScope | ErrorCode::InsufficientUserAuthentication);
    refusal(config, status, rule, &used, Some(error), names_scope)
}

fn judge(
    config: &Config,
    answers: &Answers,
    now: i64,
    request: &Request,
    credentials: &Credentials,
    state: &mut State,
) -> Result<Caller, Refusal> {
    // 401: the validity of the credentials. BEARER-12: the length, before anything is decoded.
    if credentials.token.len() > config.max_token_length {
        return Err(Refusal::Token("BEARER-12"));
    }
    let (issuer, token) = verified(config, answers, now, &credentials.token)?;
    // 401: the sender constraint.
    binding::check(config, now, request, credentials, &token, state)?;
    // 401: step-up.
    if config.step_up.as_ref().is_some_and(|demand| !is_met(demand, &token, config, now)) {
        return Err(Refusal::StepUp);
    }
    // 403: the scope.
    if config.demand.as_ref().is_some_and(|demand| !demand.is_met(&token.caller.scope, &issuer.grammar)) {
        return Err(Refusal::Scope);
    }
    Ok(token.caller)
}

/// INTRO-11, JOSE-16: the form of a token and its issuer select who judges it, and no verdict falls through to another.
fn verified<'a>(config: &'a Config, answers: &Answers, now: i64, text: &str) -> Result<(&'a Issuer, Token), Refusal> {
    let ask = |issuer| Ok((issuer, introspection::ask(text, issuer, config, answers, now)?));
    let asked: Vec<(&Issuer, Option<&String>)> = config
        .issuers
        .iter()
        .filter_map(|issuer| Some((issuer, issuer.introspection.as_ref()?.token_prefix.as_ref())))
        .collect();
    let (first, parts) = (text.split('.').next().unwrap_or_default(), text.split('.').count());
    let header = jws::base64url(first).and_then(|first| json::object(&first));
    let prefixed = asked.iter().filter(|(_, prefix)| prefix.is_some_and(|prefix| text.starts_with(prefix.as_str())));
    match (prefixed.max_by_key(|(_, prefix)| prefix.map(String::len)), &header) {
        (Some((issuer, _)), None) => return ask(issuer),
        _ if parts == 3 => return jwt(config, answers, now, text),
        // What begins with a JOSE header is no opaque token: a JWE, an SD-JWT with a key binding (JWT-11), a part of a JWS.
        (_, Some(_)) => return Err(Refusal::Token(if parts == 5 { "JOSE-12" } else { "JOSE-1" })),
        (None, None) => {}
    }
    // BEARER-4: on a server that asks nobody, what is not a JWT is a bad token.
    match asked.iter().filter(|(_, prefix)| prefix.is_none()).collect::<Vec<_>>()[..] {
        [(issuer, _)] => ask(issuer),
        _ => Err(Refusal::Token("BEARER-4")),
    }
}

fn jwt<'a>(config: &'a Config, answers: &Answers, now: i64, text: &str) -> Result<(&'a Issuer, Token), Refusal> {
    let jws = jws::parse(text).map_err(Refusal::Token)?;
    // JWT-1, KEY-1
    let iss = jws.claims.get("iss").and_then(|iss| iss.as_str());
    let issuer = config.issuers.iter().find(|issuer| iss == Some(issuer.identifier.as_str()));
    let issuer = issuer.ok_or(Refusal::Token("JWT-1"))?;
    let mode = issuer.introspection.as_ref().map_or(Mode::OpaqueAlone, |introspection| introspection.mode);
    if matches!(issuer.keys, Keys::None) || mode == Mode::Instead {
        let refuse = |issuer| -> Result<(), Rule> {
            // INTRO-15: the claims of a JWT that is not verified can still refuse it.
            claims::names_other_kind(&jws, issuer)?;
            claims::names_us(&jws.claims, issuer, config)?;
            match claims::date(&jws.claims, "exp")? {
                Some(expiry) if now as f64 >= expiry + config.leeway as f64 => Err("JWT-4"),
                _ => Ok(()),
            }
        };
        refuse(issuer).map_err(Refusal::Token)?;
        let mut token = introspection::ask(text, issuer, config, answers, now)?;
        token.confirmations.extend(jws.claims.get("cnf").map(|cnf| (cnf.clone(), false)));
        return Ok((issuer, token));
    }
    keys::verify(&jws, issuer)?;
    let token = claims::judge(&jws, issuer, config, now).map_err(Refusal::Token)?;
    if mode == Mode::OpaqueAlone {
        return Ok((issuer, token));
    }
    let answer = introspection::ask(text, issuer, config, answers, now)?;
    Ok((issuer, both(token, answer, issuer).map_err(Refusal::Token)?))
}

/// A JWT that was verified, and what its issuer says of it.
fn both(jwt: Token, answer: Token, issuer: &Issuer) -> Result<Token, Rule> {
    // INTRO-15: the answer is about the same subject, client and audience, as far as it names them.
    let differ = |one: &Option<String>, other: &Option<String>| other.is_some() && one.is_some() && one != other;
    let foreign = answer.audience.iter().any(|audience| !jwt.audience.is_empty() && !jwt.audience.contains(audience));
    if differ(&jwt.caller.subject, &answer.caller.subject) || differ(&jwt.client, &answer.client) || foreign {
        return Err("INTRO-15");
    }
    let mut token = jwt;
    // A narrower scope in the answer counts: what both grant.
    if answer.names_scope {
        let grants = |granted: &Caller, scope: &String| {
            granted.scope.iter().any(|granted| issuer.grammar.grants(granted, scope))
        };
        let (ours, theirs) = (&token.caller, &answer.caller);
        let scope = theirs.scope.iter().filter(|scope| grants(ours, scope));
        token.caller.scope = scope.chain(ours.scope.iter().filter(|scope| grants(theirs, scope))).cloned().collect();
    }
    let expiry = token.caller.expiry.into_iter().chain(answer.caller.expiry);
    token.caller.expiry = expiry.reduce(f64::min);
    // INTRO-12, MTLS-5: every confirmation has to hold.
    token.confirmations.extend(answer.confirmations);
    token.is_dpop = answer.is_dpop;
    token.acr = token.acr.or(answer.acr);
    token.auth_time = token.auth_time.or(answer.auth_time);
    Ok(token)
}

// STEP-2, STEP-3, STEP-4: what is missing does not meet a demand.
fn is_met(demand: &StepUp, token: &Token, config: &Config, now: i64) -> bool {
    let context = demand.acr_values.is_empty() || token.acr.as_ref().is_some_and(|acr| demand.acr_values.contains(acr));
    let is_recent = |max_age| token.auth_time.is_some_and(|time| now as f64 - time <= (max_age + config.leeway) as f64);
    context && demand.max_age.is_none_or(is_recent)
}

/// CHAL-1, CHAL-8: a challenge for each scheme that is offered. DPOP-19: the error is in those of the schemes that were used.
fn refusal(
    config: &Config,
    status: u16,
    rule: Rule,
    used: &[Scheme],
    error: Option<ErrorCode>,
    names_scope: bool,
) -> Decision {
    // Where only DPoP can succeed, `Bearer` is no offer.
    let needs_dpop = config.require_binding && !config.certificate_binding;
    let offers_bearer = !config.dpop.as_ref().is_some_and(|dpop| dpop.required || needs_dpop);
    let first = if offers_bearer { Scheme::Bearer } else { Scheme::Dpop };
    // An error without a known scheme, such as a header that is no credentials at all, is told under the first one.
    let used = if used.is_empty() { &[first] } else { used };
    let scope = config.demand.as_ref().filter(|_| names_scope).map(|demand| demand.names()).unwrap_or_default();
    let is_offered = |scheme: &Scheme| match scheme {
        Scheme::Bearer => offers_bearer || used.contains(scheme),
        Scheme::Dpop => config.dpop.is_some(),
    };
    let challenge =
        |scheme| Challenge { scheme, error: error.filter(|_| used.contains(&scheme)), scope: scope.clone() };
    let challenges = [Scheme::Bearer, Scheme::Dpop].into_iter().filter(is_offered).map(challenge).collect();
    Decision { status, rule, challenges, caller: None }
}
