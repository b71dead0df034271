//! A case in the words of the specification.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use scopegate_spec::{
    Answer, Answers, ClientClaim, Config, Demand, Dpop, Evidence, Grammar, Introspection, Issuer, KeySet, Keys, Mode,
    Profile, Request, Required, Rule, ScopeClaim, State, decide,
};
use scopegate_spec_compare::outcome::Outcome;

use crate::format::{self, Case, Configuration, JsonType, Jwts};

/// What the specification decides, and the rule of a refusal.
pub fn decision(configuration: &Configuration, time: i64, case: &Case) -> (Outcome, Rule) {
    let config = config(configuration);
    let answers: Answers = case.introspection.iter().map(|answer| (answer.token.clone(), said(answer))).collect();
    let mut state = State::default();
    for before in &case.preceding {
        decide(&config, &answers, time, &request(before), &mut state);
    }
    let decision = decide(&config, &answers, time, &request(&case.request), &mut state);
    let rule = decision.rule;
    (Outcome::from(decision), rule)
}

fn said(answer: &format::Answer) -> Answer {
    match (answer.status, answer.content_type.as_str()) {
        (200, "application/json") => Answer::Json(answer.body.clone()),
        (200, "application/token-introspection+jwt") => Answer::Jwt(answer.body.clone()),
        _ => Answer::Outage,
    }
}

fn request(request: &format::Request) -> Request {
    Request {
        method: request.method.clone(),
        uri: request.target.clone(),
        headers: request.fields.iter().map(|field| (field.name.clone(), field.octets())).collect(),
        certificate: request.certificate.as_ref().map(|der| STANDARD.decode(der).expect("base64")),
    }
}

impl format::Field {
    /// The octets of the value.
    pub fn octets(&self) -> Vec<u8> {
        match (&self.value, &self.value_base64) {
            (Some(text), None) => text.clone().into_bytes(),
            (None, Some(octets)) => STANDARD.decode(octets).expect("base64"),
            _ => panic!("a field has one value, in one form"),
        }
    }
}

fn config(configuration: &Configuration) -> Config {
    Config {
        issuers: configuration.issuers.iter().map(issuer).collect(),
        audiences: configuration.audiences.clone(),
        demand: configuration.required_scope.as_ref().map(demand),
        optional: configuration.anonymous,
        leeway: configuration.leeway_seconds.into(),
        max_token_age: configuration.max_token_age_seconds.map(Into::into),
        max_token_length: configuration.max_token_bytes,
        token_header: configuration.token_field.clone(),
        dpop: configuration.dpop.as_ref().map(dpop),
        certificate_binding: configuration.certificate_bound_tokens,
        require_binding: configuration.require_bound_tokens,
        ..Config::new("")
    }
}

fn demand(scope: &format::Scope) -> Demand {
    match scope {
        format::Scope::Token(token) => Demand::Scope(token.clone()),
        format::Scope::All { all } => Demand::All(all.iter().map(demand).collect()),
        format::Scope::Any { any } => Demand::Any(any.iter().map(demand).collect()),
    }
}

fn dpop(dpop: &format::Dpop) -> Dpop {
    Dpop {
        required: false,
        public_urls: dpop.public_urls.clone(),
        algorithms: dpop.algorithms.clone(),
        max_age: dpop.max_proof_age_seconds.into(),
        max_ahead: dpop.max_proof_ahead_seconds.into(),
        nonces: dpop.nonce_required.then(Vec::new),
        accept_repeated: false,
    }
}

fn issuer(issuer: &format::Issuer) -> Issuer {
    Issuer {
        identifier: issuer.identifier.clone(),
        keys: match &issuer.keys {
            format::Keys::Jwks(set) => Keys::Set(KeySet::read(&set.to_string())),
            format::Keys::JwksText(text) => Keys::Set(KeySet::read(text)),
            format::Keys::Unavailable => Keys::Unavailable,
            format::Keys::None => Keys::None,
        },
        algorithms: issuer.algorithms.clone(),
        several_algorithms_per_key: !issuer.one_algorithm_per_key,
        profile: profile(&issuer.token_profile),
        audiences: issuer.audiences.clone().unwrap_or_default(),
        waive_audience: !issuer.audience_required,
        authorized_parties: issuer.authorized_parties.clone(),
        grammar: if issuer.implied_scopes.is_empty() {
            Grammar::Exact
        } else {
            Grammar::Implied(issuer.implied_scopes.clone())
        },
        introspection: issuer.introspection.as_ref().map(introspection),
    }
}

fn profile(profile: &format::TokenProfile) -> Profile {
    let required = profile.required_claims.iter().map(|claim| match claim.as_str() {
        "sub" => Required::Subject,
        "iat" => Required::IssuedAt,
        "jti" => Required::TokenId,
        client => {
            assert_eq!(client, profile.client_claim, "a claim that can be required");
            Required::Client
        }
    });
    let is_rfc9068 = profile.is_rfc9068();
    let evidence = profile.evidence.iter().map(|evidence| match &evidence.values {
        Some(values) => Evidence::OneOf(evidence.claim.clone(), values.clone()),
        None if profile.scope_claims.iter().any(|scope| scope.claim == evidence.claim) => Evidence::Scope,
        None => Evidence::Present(evidence.claim.clone()),
    });
    Profile {
        types: profile.types.clone(),
        marks: !is_rfc9068,
        evidence: if is_rfc9068 { vec![Evidence::Type] } else { evidence.collect() },
        required: required.collect(),
        scope_claims: profile
            .scope_claims
            .iter()
            .map(|scope| {
                let has = |kind| scope.types.contains(&kind);
                ScopeClaim::named(&scope.claim, has(JsonType::String), has(JsonType::Array))
            })
            .collect(),
        client: ClientClaim::Named(profile.client_claim.clone()),
        strict: is_rfc9068,
    }
}

impl format::TokenProfile {
    /// Whether `typ` settles what a token is.
    pub fn is_rfc9068(&self) -> bool {
        self.types == [Some("at+jwt".to_owned())]
    }
}

fn introspection(introspection: &format::Introspection) -> Introspection {
    Introspection {
        mode: match introspection.jwts {
            Jwts::Verified => Mode::OpaqueAlone,
            Jwts::VerifiedAndIntrospected => Mode::Also,
            Jwts::Introspected => Mode::Instead,
        },
        token_prefix: introspection.token_prefix.clone(),
        accept_without_audience: !introspection.audience_required,
        require_token_type: introspection.token_type_required,
        scope_array: introspection.scope_array,
        signed: introspection.signed_for.clone().map(|name| vec![name]),
    }
}
