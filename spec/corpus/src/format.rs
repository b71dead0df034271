//! The form of the corpus's files. Its `README.md` and `schema.json` describe it for readers of other languages.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A file: cases about one subject.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// Where the schema is.
    #[serde(rename = "$schema")]
    pub schema: String,
    /// The subject.
    pub subject: String,
    /// The cases, by configuration.
    pub groups: Vec<Group>,
}

/// Cases of one configuration. Each is sent to a server of its own.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// What the configuration is about.
    pub name: String,
    /// The resource server.
    pub configuration: Configuration,
    /// The time of every request, in seconds since 1970.
    pub time: i64,
    /// The cases.
    pub cases: Vec<Case>,
}

/// A resource server with one route.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Configuration {
    /// The trusted issuers.
    pub issuers: Vec<Issuer>,
    /// The values of `aud` that name the server.
    pub audiences: Vec<String>,
    /// The difference between clocks.
    pub leeway_seconds: u32,
    /// The greatest age of a token, from `iat`.
    pub max_token_age_seconds: Option<u32>,
    /// The greatest length of a token.
    pub max_token_bytes: usize,
    /// Whether requests without credentials pass.
    pub anonymous: bool,
    /// A header field beside `Authorization` whose value is a token.
    pub token_field: Option<String>,
    /// What the route requires.
    pub required_scope: Option<Scope>,
    /// DPoP, if it is on.
    pub dpop: Option<Dpop>,
    /// Whether tokens that are bound to a certificate are accepted.
    pub certificate_bound_tokens: bool,
    /// Whether tokens that are bound to nothing are refused.
    pub require_bound_tokens: bool,
}

/// What a route requires of the granted scope.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Scope {
    /// A scope token.
    Token(String),
    /// All of these.
    All {
        /// All.
        all: Vec<Scope>,
    },
    /// One of these; the first is named in a challenge.
    Any {
        /// The alternatives.
        any: Vec<Scope>,
    },
}

/// An issuer.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Issuer {
    /// `iss`.
    pub identifier: String,
    /// Its keys.
    pub keys: Keys,
    /// The accepted values of `alg`, most preferred first.
    pub algorithms: Vec<String>,
    /// Whether a key without `alg` is used with the first fitting one of `algorithms` alone.
    pub one_algorithm_per_key: bool,
    /// In place of those of the server.
    pub audiences: Option<Vec<String>>,
    /// Whether a token needs an `aud`.
    pub audience_required: bool,
    /// The clients whose tokens are accepted; all without a list.
    pub authorized_parties: Option<Vec<String>>,
    /// Which scope tokens grant which others.
    pub implied_scopes: BTreeMap<String, Vec<String>>,
    /// What its access tokens look like.
    pub token_profile: TokenProfile,
    /// How it is asked about tokens.
    pub introspection: Option<Introspection>,
}

/// The keys of an issuer.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Keys {
    /// A JWK Set.
    Jwks(Value),
    /// The text of one that a JSON library would not write.
    JwksText(String),
    /// The set cannot be fetched.
    Unavailable,
    /// There is none: the issuer is asked.
    None,
}

/// What access tokens look like.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenProfile {
    /// The accepted media types of `typ`; `null` accepts a token without one.
    pub types: Vec<Option<String>>,
    /// What shows that a token is an access token, beside its type. One is enough.
    pub evidence: Vec<Evidence>,
    /// The claims that are required beside `iss`, `exp` and `aud`.
    pub required_claims: Vec<String>,
    /// The claim that names the client.
    pub client_claim: String,
    /// The claims that may hold the scope. The first that is there counts.
    pub scope_claims: Vec<ScopeClaim>,
}

/// Evidence of an access token.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evidence {
    /// A claim that is there and not empty.
    pub claim: String,
    /// And is one of these.
    pub values: Option<Vec<String>>,
}

/// A claim that holds the scope.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScopeClaim {
    /// The name.
    pub claim: String,
    /// Its accepted JSON types.
    pub types: Vec<JsonType>,
}

/// A JSON type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JsonType {
    /// Scope tokens with spaces between.
    String,
    /// An array of scope tokens.
    Array,
}

/// How an issuer is asked (RFC 7662).
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Introspection {
    /// What happens with JWTs.
    pub jwts: Jwts,
    /// The prefix of its opaque tokens.
    pub token_prefix: Option<String>,
    /// Whether an answer needs an `aud`.
    pub audience_required: bool,
    /// Whether an answer needs a `token_type`.
    pub token_type_required: bool,
    /// Whether `scope` may be an array.
    pub scope_array: bool,
    /// Answers are signed (RFC 9701) and name this audience.
    pub signed_for: Option<String>,
}

/// Which JWTs an issuer is asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Jwts {
    /// None.
    Verified,
    /// All, after they were verified.
    VerifiedAndIntrospected,
    /// All, in place of verifying them.
    Introspected,
}

/// DPoP (RFC 9449).
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dpop {
    /// The accepted values of `alg` in proofs.
    pub algorithms: Vec<String>,
    /// The URLs below which clients call the server.
    pub public_urls: Vec<String>,
    /// How old a proof may be.
    pub max_proof_age_seconds: u32,
    /// How far ahead it may be.
    pub max_proof_ahead_seconds: u32,
    /// Whether a proof has to have a nonce of the server. The server has given none.
    pub nonce_required: bool,
}

/// A request and what is decided about it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// The name, of which the file has no other.
    pub name: String,
    /// The requirements that it shows.
    pub requirements: Vec<String>,
    /// Where these come from.
    pub sources: Vec<String>,
    /// What of the outcome is chosen where the standards leave it open.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub choice: Option<String>,
    /// What else there is to say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// Requests that the same server got before, whatever it decided.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub preceding: Vec<Request>,
    /// The request.
    pub request: Request,
    /// What the introspection endpoint answers. About other tokens it says that they are not active.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub introspection: Vec<Answer>,
    /// The decision.
    pub expected: Expected,
}

/// A request.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// The method.
    pub method: String,
    /// The request target.
    pub target: String,
    /// The field lines, in their order.
    pub fields: Vec<Field>,
    /// The client certificate of the TLS connection: DER in base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<String>,
}

/// A field line. It has one of the values.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Field {
    /// The name.
    pub name: String,
    /// The value, if it is ASCII.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// The octets of the value in base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value_base64: Option<String>,
}

/// An answer of the introspection endpoint.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answer {
    /// The token that is asked about.
    pub token: String,
    /// The status of the response.
    pub status: u16,
    /// Its media type.
    pub content_type: String,
    /// Its content.
    pub body: String,
}

/// A decision.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expected {
    /// 200 if the request reaches the application, else the status of the response.
    pub status: u16,
    /// The challenges in `WWW-Authenticate`, by scheme.
    pub challenges: Vec<Challenge>,
    /// Who an accepted token speaks for; `null` for a refusal and an anonymous request.
    pub token: Option<Token>,
}

/// A challenge.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Challenge {
    /// The scheme.
    pub scheme: String,
    /// `error`.
    pub error: Option<String>,
    /// The scope tokens of `scope`, sorted.
    pub scope: Vec<String>,
}

/// What an accepted token says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Token {
    /// The issuer.
    pub issuer: String,
    /// `sub`.
    pub subject: Option<String>,
    /// The granted scope tokens, sorted.
    pub scope: Vec<String>,
    /// `exp` in milliseconds since 1970.
    pub expires_at_ms: Option<i64>,
}
