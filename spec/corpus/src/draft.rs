//! How cases are written down: the decision that is meant, in one word. The specification says the rest of it.

use std::collections::{BTreeMap, BTreeSet};

use scopegate_spec_compare::outcome::Outcome;
use serde_json::Value;

use crate::{
    format::{
        Answer, Case, Challenge, Configuration, Dpop, Evidence, Expected, Group, Introspection, Issuer, JsonType, Jwts,
        Keys, Request, Scope, ScopeClaim, Token, TokenProfile,
    },
    keys::{ED25519, ES256, ES384, set},
    requirements::{choice, sources},
    specified,
    token::{AUDIENCE, ISSUER, NOW},
};

/// What is decided about a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It reaches the application, with a token.
    Passes,
    /// It reaches the application, without a token.
    Anonymous,
    /// 401 without a code.
    NoCredentials,
    /// 400 `invalid_request`.
    InvalidRequest,
    /// 401 `invalid_token`.
    InvalidToken,
    /// 401 `invalid_dpop_proof`.
    InvalidProof,
    /// 401 `use_dpop_nonce`.
    NonceDemanded,
    /// 403 `insufficient_scope`.
    InsufficientScope,
    /// 503.
    Unavailable,
}

/// A group that is being written.
#[derive(Debug)]
pub struct Draft {
    group: Group,
    /// What each case is meant to be.
    verdicts: Vec<Verdict>,
}

impl Draft {
    /// A group without cases.
    pub fn new(name: &str, configuration: Configuration) -> Self {
        let group = Group { name: name.to_owned(), configuration, time: NOW, cases: Vec::new() };
        Self { group, verdicts: Vec::new() }
    }

    /// One more case. The requirements are separated by spaces, and `†` is behind the one by which the outcome is a choice.
    pub fn case(mut self, requirements: &str, name: impl Into<String>, verdict: Verdict, request: Request) -> Self {
        let mut chosen = requirements.split(' ').filter_map(|id| id.strip_suffix('†'));
        let choice = chosen.next().map(|id| choice(id).to_owned());
        assert_eq!(chosen.next(), None, "one choice a case");
        let requirements: Vec<String> =
            requirements.split(' ').map(|id| id.strip_suffix('†').unwrap_or(id).to_owned()).collect();
        let sources: BTreeSet<String> =
            requirements.iter().flat_map(|id| sources(id)).map(|source| (*source).to_owned()).collect();
        self.group.cases.push(Case {
            name: name.into(),
            requirements,
            sources: sources.into_iter().collect(),
            choice,
            comment: None,
            preceding: Vec::new(),
            request,
            introspection: Vec::new(),
            expected: Expected { status: 0, challenges: Vec::new(), token: None },
        });
        self.verdicts.push(verdict);
        self
    }

    fn last(&mut self) -> &mut Case {
        self.group.cases.last_mut().expect("there is a case")
    }

    /// What else there is to say about the last case.
    pub fn comment(mut self, comment: &str) -> Self {
        self.last().comment = Some(comment.to_owned());
        self
    }

    /// The server of the last case got these requests before.
    pub fn after(mut self, preceding: impl IntoIterator<Item = Request>) -> Self {
        self.last().preceding = preceding.into_iter().collect();
        self
    }

    /// What is answered about a token in the last case.
    pub fn answer(mut self, token: &str, status: u16, content_type: &str, body: impl ToString) -> Self {
        let (token, content_type) = (token.to_owned(), content_type.to_owned());
        self.last().introspection.push(Answer { token, status, content_type, body: body.to_string() });
        self
    }

    /// What is answered about a token in the last case, as JSON.
    pub fn json(self, token: &str, answer: &Value) -> Self {
        self.answer(token, 200, "application/json", answer)
    }

    /// The group, with the decisions of the specification. Those that are not what was meant are added to a list.
    pub fn finish(mut self, wrong: &mut Vec<String>) -> Group {
        let Group { configuration, time, cases, .. } = &mut self.group;
        for (case, verdict) in cases.iter_mut().zip(self.verdicts) {
            let (outcome, rule) = specified::decision(configuration, *time, case);
            if Verdict::of(&outcome) != Some(verdict) {
                wrong.push(format!("{}: {verdict:?} was meant, and it is {rule}, {outcome:?}", case.name));
            }
            case.expected = outcome.into();
        }
        self.group
    }
}

impl Verdict {
    fn of(outcome: &Outcome) -> Option<Self> {
        let error = outcome.challenges.iter().find_map(|challenge| challenge.error.as_deref());
        Some(match (outcome.status, error) {
            (200, None) if outcome.caller.is_none() => Self::Anonymous,
            (200, None) => Self::Passes,
            (400, Some("invalid_request")) => Self::InvalidRequest,
            (401, None) if !outcome.challenges.is_empty() => Self::NoCredentials,
            (401, Some("invalid_token")) => Self::InvalidToken,
            (401, Some("invalid_dpop_proof")) => Self::InvalidProof,
            (401, Some("use_dpop_nonce")) => Self::NonceDemanded,
            (403, Some("insufficient_scope")) => Self::InsufficientScope,
            (503, None) => Self::Unavailable,
            _ => return None,
        })
    }
}

impl From<Outcome> for Expected {
    fn from(outcome: Outcome) -> Self {
        let challenges = outcome.challenges.into_iter().map(|challenge| Challenge {
            scheme: challenge.scheme,
            error: challenge.error,
            scope: challenge.scope.into_iter().collect(),
        });
        let token = outcome.caller.map(|caller| Token {
            issuer: caller.issuer,
            subject: caller.subject,
            scope: caller.scope.into_iter().collect(),
            expires_at_ms: caller.expiry,
        });
        Self { status: outcome.status, challenges: challenges.collect(), token }
    }
}

impl Configuration {
    /// One issuer of RFC 9068 tokens, one audience, and a route for every good token.
    pub fn new() -> Self {
        Self {
            issuers: vec![Issuer::new(ISSUER, set([ES256, ES384, ED25519].map(|key| key.jwk())))],
            audiences: vec![AUDIENCE.to_owned()],
            leeway_seconds: 60,
            max_token_age_seconds: None,
            max_token_bytes: 16 * 1024,
            anonymous: false,
            token_field: None,
            required_scope: None,
            dpop: None,
            certificate_bound_tokens: false,
            require_bound_tokens: false,
        }
    }

    /// The same with changes.
    pub fn with(change: impl FnOnce(&mut Self)) -> Self {
        let mut configuration = Self::new();
        change(&mut configuration);
        configuration
    }

    /// The same with changes of the issuer.
    pub fn of_issuer(change: impl FnOnce(&mut Issuer)) -> Self {
        Self::with(|configuration| change(&mut configuration.issuers[0]))
    }

    /// The same with this JWK Set.
    pub fn with_keys(keys: impl IntoIterator<Item = Value>) -> Self {
        Self::of_issuer(|issuer| issuer.keys = Keys::Jwks(set(keys)))
    }

    /// The same with this demand.
    pub fn requiring(scope: Scope) -> Self {
        Self::with(|configuration| configuration.required_scope = Some(scope))
    }

    /// The same with DPoP.
    pub fn with_dpop() -> Self {
        Self::with(|configuration| configuration.dpop = Some(Dpop::new()))
    }
}

impl Default for Configuration {
    fn default() -> Self {
        Self::new()
    }
}

impl Issuer {
    /// An issuer of RFC 9068 tokens.
    pub fn new(identifier: &str, jwks: Value) -> Self {
        Self {
            identifier: identifier.to_owned(),
            keys: Keys::Jwks(jwks),
            algorithms: scopegate_spec::DEFAULT_ALGORITHMS.map(str::to_owned).to_vec(),
            one_algorithm_per_key: true,
            audiences: None,
            audience_required: true,
            authorized_parties: None,
            implied_scopes: BTreeMap::new(),
            token_profile: TokenProfile::rfc9068(),
            introspection: None,
        }
    }
}

impl TokenProfile {
    /// RFC 9068.
    pub fn rfc9068() -> Self {
        Self {
            types: vec![Some("at+jwt".to_owned())],
            evidence: Vec::new(),
            required_claims: ["sub", "client_id", "iat", "jti"].map(str::to_owned).to_vec(),
            client_claim: "client_id".to_owned(),
            scope_claims: vec![ScopeClaim { claim: "scope".to_owned(), types: vec![JsonType::String] }],
        }
    }

    /// `typ` of `JWT` or none, and the scope shows what it is.
    pub fn untyped() -> Self {
        Self {
            types: vec![Some("JWT".to_owned()), None],
            evidence: vec![Evidence { claim: "scope".to_owned(), values: None }],
            ..Self::rfc9068()
        }
    }
}

impl Dpop {
    /// ES256 and Ed25519.
    pub fn new() -> Self {
        Self {
            algorithms: ["ES256", "Ed25519", "EdDSA"].map(str::to_owned).to_vec(),
            public_urls: vec![AUDIENCE.to_owned()],
            max_proof_age_seconds: 60,
            max_proof_ahead_seconds: 10,
            nonce_required: false,
        }
    }
}

impl Default for Dpop {
    fn default() -> Self {
        Self::new()
    }
}

impl Introspection {
    /// Opaque tokens alone.
    pub fn new() -> Self {
        Self {
            jwts: Jwts::Verified,
            token_prefix: None,
            audience_required: true,
            token_type_required: false,
            scope_array: false,
            signed_for: None,
        }
    }
}

impl Default for Introspection {
    fn default() -> Self {
        Self::new()
    }
}

impl Scope {
    /// A scope token.
    pub fn token(name: &str) -> Self {
        Self::Token(name.to_owned())
    }

    /// All of these.
    pub fn all(names: &[&str]) -> Self {
        Self::All { all: names.iter().map(|name| Self::token(name)).collect() }
    }

    /// One of these.
    pub fn any(names: &[&str]) -> Self {
        Self::Any { any: names.iter().map(|name| Self::token(name)).collect() }
    }
}
