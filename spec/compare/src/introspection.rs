//! Issuers that are asked about tokens: how, what they answer, and the endpoint at which the gate asks.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header::CONTENT_TYPE};
use scopegate_core::{
    BoxFuture,
    fetch::{Fetch, FetchError, FetchLimits},
    introspection::{self, ClientAuthentication, JwtIntrospection},
    online::{CacheConfig, Limits},
};
use scopegate_spec::{Answer, Answers, Introspection, Mode};

use crate::reply::Written;

/// The name of the server at its issuers.
pub const CLIENT_ID: &str = "api";

/// The prefixes of opaque tokens, by the issuer.
const PREFIXES: [&str; 2] = ["a_at_", "b-at~"];

/// How an issuer is asked.
#[derive(Clone, Copy, Debug)]
pub struct Asked {
    /// Which JWTs it is asked about. Without keys, all of them.
    pub mode: Mode,
    /// Whether it has keys as well.
    pub has_keys: bool,
    /// Whether its opaque tokens have a prefix.
    pub has_prefix: bool,
    /// Whether an answer without `aud` passes.
    pub accept_without_audience: bool,
    /// Whether an answer without `token_type` is refused.
    pub require_token_type: bool,
    /// Whether `scope` may be an array.
    pub scope_array: bool,
    /// Whether answers are signed. Only with keys.
    pub signed: bool,
    /// Whether the gate remembers good answers. Signed ones go out of date before.
    pub cached: bool,
}

impl Asked {
    /// Whether its JWTs are not verified, but asked about.
    pub fn asks_instead(self) -> bool {
        !self.has_keys || self.mode == Mode::Instead
    }

    /// Whether it is asked about the JWTs that are verified.
    pub fn asks_also(self) -> bool {
        self.has_keys && self.mode == Mode::Also
    }

    /// Whether answers are signed.
    pub fn is_signed(self) -> bool {
        self.signed && self.has_keys
    }

    /// Whether the gate remembers answers.
    pub fn is_cached(self) -> bool {
        self.cached && !self.is_signed()
    }

    /// What opaque tokens begin with.
    pub fn prefix(self, issuer: usize) -> &'static str {
        if self.has_prefix { PREFIXES[issuer] } else { "" }
    }

    /// For the specification, where these are the audiences.
    pub fn specified(self, issuer: usize, audiences: &[&str]) -> Introspection {
        Introspection {
            mode: if self.has_keys { self.mode } else { Mode::OpaqueAlone },
            token_prefix: self.has_prefix.then(|| PREFIXES[issuer].to_owned()),
            accept_without_audience: self.accept_without_audience,
            require_token_type: self.require_token_type,
            scope_array: self.scope_array,
            signed: self
                .is_signed()
                .then(|| [CLIENT_ID].iter().chain(audiences).map(|name| (*name).to_owned()).collect()),
        }
    }

    /// For the gate.
    pub fn implemented(self, issuer: usize, endpoint: &Endpoint) -> introspection::Introspection {
        let client = ClientAuthentication::client_secret_basic(CLIENT_ID, "a secret of the API");
        let mut introspection = introspection::Introspection::at("https://ask.example/", client)
            .fetch(endpoint.clone())
            .cache(if self.is_cached() {
                CacheConfig::default().negative_ttl(Duration::ZERO).max_bytes(1 << 20)
            } else {
                CacheConfig::off()
            })
            // Each request gets an answer of its own, whatever became of the ones before.
            .limits(Limits::default().breaker_threshold(u32::MAX));
        if self.has_prefix {
            introspection = introspection.token_prefix(PREFIXES[issuer]);
        }
        if self.has_keys {
            introspection = introspection.introspect_jwts(match self.mode {
                Mode::OpaqueAlone => JwtIntrospection::WhereRequired,
                Mode::Also if self.is_cached() => JwtIntrospection::NoOlderThan(Duration::from_secs(30)),
                Mode::Also => JwtIntrospection::NoOlderThan(Duration::ZERO),
                Mode::Instead => JwtIntrospection::Instead,
            });
        }
        if self.is_signed() {
            introspection = introspection.signed_responses();
        }
        if self.accept_without_audience {
            introspection = introspection.dangerous_accept_responses_without_audience();
        }
        if self.require_token_type {
            introspection = introspection.require_token_type();
        }
        if self.scope_array {
            introspection = introspection.scope_may_be_array();
        }
        introspection
    }
}

/// The endpoint of all issuers, which answers as it was last told to.
#[derive(Clone, Debug, Default)]
pub struct Endpoint(Arc<Mutex<Option<Reply>>>);

/// What is answered about which token.
#[derive(Clone, Debug, Hash)]
pub struct Reply {
    /// The answer.
    pub written: Written,
    /// The token that it is about, and all others are inactive; `None` for every token.
    pub token: Option<String>,
}

impl Reply {
    /// For the specification: the answers about all that may be a token in a request.
    pub fn answers(&self, request: &scopegate_spec::Request) -> Answers {
        let texts = request.headers.iter().filter_map(|(_, value)| std::str::from_utf8(value).ok());
        let tokens = texts.flat_map(|text| text.split(' '));
        tokens
            .filter(|token| self.token.as_ref().is_none_or(|own| own == token))
            .map(|token| (token.to_owned(), self.written.specified()))
            .collect()
    }
}

impl Endpoint {
    /// The next answers are these.
    pub fn set(&self, reply: Option<Reply>) {
        *self.0.lock().expect("no holder panics") = reply;
    }
}

impl Fetch for Endpoint {
    fn fetch(
        &self,
        request: Request<Bytes>,
        _: FetchLimits,
    ) -> BoxFuture<'static, Result<Response<Bytes>, FetchError>> {
        let reply = self.0.lock().expect("no holder panics").clone();
        let token = form_urlencoded::parse(request.body()).find(|(name, _)| name == "token").map(|(_, token)| token);
        let reply = reply.filter(|reply| reply.token.is_none() || reply.token.as_deref() == token.as_deref());
        let answer = match reply.map(|reply| reply.written) {
            None => Ok(response(StatusCode::OK, "application/json", "{\"active\":false}".to_owned())),
            Some(Written::Answer { status, content_type, body, .. }) => Ok(response(status, content_type, body)),
            Some(Written::Nothing) => Err(FetchError::failed("there is an outage")),
        };
        Box::pin(async { answer })
    }
}

fn response(status: StatusCode, content_type: &'static str, body: String) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

impl Written {
    /// What the token is bound to, as JSON.
    pub fn cnf(&self) -> Option<&str> {
        match self {
            Self::Answer { cnf, .. } => cnf.as_deref(),
            Self::Nothing => None,
        }
    }

    fn specified(&self) -> Answer {
        match self {
            Self::Answer { status: StatusCode::OK, content_type, body, .. } => {
                match &*content_type.split(';').next().unwrap_or_default().to_ascii_lowercase() {
                    "application/json" => Answer::Json(body.clone()),
                    "application/token-introspection+jwt" => Answer::Jwt(body.clone()),
                    _ => Answer::Outage,
                }
            }
            _ => Answer::Outage,
        }
    }
}
