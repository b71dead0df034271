//! What an OAuth 2.0 resource server decides about one request, written to be read beside the requirements, whose IDs its comments cite.
//!
//! [`decide`] takes all that a decision depends on and remembers nothing but the proofs that were used. Comments cite the
//! requirement that a rule implements (`// JWT-4`), and so does [`Decision::rule`].

pub mod binding;
pub mod claims;
mod decide;
pub mod http;
pub mod introspection;
pub mod json;
pub mod jws;
pub mod keys;
pub mod scope;

use std::collections::{BTreeMap, BTreeSet};

pub use binding::{Dpop, State};
pub use claims::{ClientClaim, Evidence, Profile, Required, ScopeClaim};
pub use decide::{Refusal, decide};
pub use introspection::{Answer, Introspection, Mode};
pub use keys::KeySet;
pub use scope::{Demand, Grammar};

/// The requirement that a refusal cites: an ID of the list of requirements.
pub type Rule = &'static str;

/// ALG-1: the algorithms of an issuer that has no list of its own.
pub const DEFAULT_ALGORITHMS: [&str; 6] = ["RS256", "PS256", "ES256", "ES384", "Ed25519", "EdDSA"];

/// A resource server and one of its routes.
#[derive(Clone, Debug)]
pub struct Config {
    /// The issuers.
    pub issuers: Vec<Issuer>,
    /// The values of `aud` that name this server, for issuers without a list of their own.
    pub audiences: Vec<String>,
    /// The scopes that the route demands.
    pub demand: Option<Demand>,
    /// Whether a 401 names these scopes (CHAL-9).
    pub scope_hint: bool,
    /// Whether requests without credentials pass (BEARER-13).
    pub optional: bool,
    /// The difference between clocks in seconds (JWT-6).
    pub leeway: i64,
    /// The greatest age of a token in seconds, from `iat` (JWT-8).
    pub max_token_age: Option<i64>,
    /// The greatest length of a token in octets (BEARER-12).
    pub max_token_length: usize,
    /// Whether `?access_token=` is a transport (BEARER-9).
    pub query_transport: bool,
    /// A header field besides `Authorization` whose value is a token (BEARER-14).
    pub token_header: Option<String>,
    /// DPoP, if it is on.
    pub dpop: Option<Dpop>,
    /// Whether tokens that are bound to a certificate are accepted.
    pub certificate_binding: bool,
    /// Whether tokens that are bound to nothing are refused (MTLS-6).
    pub require_binding: bool,
    /// What the route demands of the user's authentication (RFC 9470).
    pub step_up: Option<StepUp>,
}

impl Config {
    /// The defaults: strict in everything, and no issuer.
    pub fn new(audience: &str) -> Self {
        Self {
            issuers: Vec::new(),
            audiences: vec![audience.to_owned()],
            demand: None,
            scope_hint: true,
            optional: false,
            leeway: 60,
            max_token_age: None,
            max_token_length: 16 * 1024,
            query_transport: false,
            token_header: None,
            dpop: None,
            certificate_binding: false,
            require_binding: false,
            step_up: None,
        }
    }
}

/// An issuer that is trusted.
#[derive(Clone, Debug)]
pub struct Issuer {
    /// `iss`, code point by code point.
    pub identifier: String,
    /// Its keys.
    pub keys: Keys,
    /// The algorithms that are run, most preferred first (ALG-1).
    pub algorithms: Vec<String>,
    /// Whether a key without `alg` may be used with several of them (ALG-9).
    pub several_algorithms_per_key: bool,
    /// What its access tokens look like.
    pub profile: Profile,
    /// The values of `aud` that name this server; empty for those of the server.
    pub audiences: Vec<String>,
    /// Whether a token without `aud` passes (JWT-3).
    pub waive_audience: bool,
    /// The clients whose tokens are accepted; `None` for all.
    pub authorized_parties: Option<Vec<String>>,
    /// What a granted scope satisfies (SCOPE-3).
    pub grammar: Grammar,
    /// How it is asked about tokens.
    pub introspection: Option<Introspection>,
}

impl Issuer {
    /// An issuer of RFC 9068 tokens, with the defaults.
    pub fn new(identifier: &str, jwks: &str) -> Self {
        Self {
            identifier: identifier.to_owned(),
            keys: Keys::Set(KeySet::read(jwks)),
            algorithms: DEFAULT_ALGORITHMS.map(str::to_owned).to_vec(),
            several_algorithms_per_key: false,
            profile: Profile::rfc9068(),
            audiences: Vec::new(),
            waive_audience: false,
            authorized_parties: None,
            grammar: Grammar::Exact,
            introspection: None,
        }
    }
}

/// The keys of an issuer at the time of the decision.
#[derive(Clone, Debug)]
pub enum Keys {
    /// A JWK Set.
    Set(KeySet),
    /// No set was ever loaded, or the last one is too old (KEY-11, KEY-12).
    Unavailable,
    /// It has none: it is asked about every token.
    None,
}

/// What a route demands of the user's authentication.
#[derive(Clone, Debug, Default)]
pub struct StepUp {
    /// The acceptable `acr` values, most preferred first; empty for any.
    pub acr_values: Vec<String>,
    /// How long ago the user may have authenticated, in seconds.
    pub max_age: Option<i64>,
}

/// A request, as it came.
#[derive(Clone, Debug)]
pub struct Request {
    /// The method, in its own case.
    pub method: String,
    /// The request target: origin-form or absolute-form.
    pub uri: String,
    /// The header field lines in their order.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The DER of the client certificate of the TLS connection.
    pub certificate: Option<Vec<u8>>,
}

/// The answers that introspection endpoints would give, by the text of the token. A token that is not in it is inactive.
pub type Answers = BTreeMap<String, Answer>;

/// The decision about a request.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// 200 if the handler is called, else 400, 401, 403 or 503.
    pub status: u16,
    /// The requirement that refused; empty for a 200.
    pub rule: Rule,
    /// The challenges, `Bearer` first. A 503 has none.
    pub challenges: Vec<Challenge>,
    /// Who a request with status 200 speaks for; `None` if it is anonymous.
    pub caller: Option<Caller>,
}

/// A challenge of the response (RFC 9110 §11.6.1).
#[derive(Clone, Debug, PartialEq)]
pub struct Challenge {
    /// The scheme.
    pub scheme: Scheme,
    /// `error`.
    pub error: Option<ErrorCode>,
    /// `scope`, if it is not empty.
    pub scope: Vec<String>,
}

/// Who an accepted token speaks for. JWT-9: the subject is meaningful together with the issuer.
#[derive(Clone, Debug, PartialEq)]
pub struct Caller {
    /// The issuer.
    pub issuer: String,
    /// The subject; machine tokens of some issuers have none.
    pub subject: Option<String>,
    /// The granted scope tokens.
    pub scope: BTreeSet<String>,
    /// `exp`; some introspection answers have none.
    pub expiry: Option<f64>,
}

/// An authentication scheme.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs)]
pub enum Scheme {
    Bearer,
    Dpop,
}

/// An error code of a challenge: RFC 6750 §3.1, RFC 9449 §7.1, RFC 9470 §3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs)]
pub enum ErrorCode {
    InvalidRequest,
    InvalidToken,
    InvalidDpopProof,
    UseDpopNonce,
    InsufficientUserAuthentication,
    InsufficientScope,
}
