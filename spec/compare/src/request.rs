//! A request: a good one for a configuration, and then what mutations make of it.

use std::iter::once;

use scopegate_spec::Request;

use crate::{
    dialect::Dialect,
    keys::key,
    mutation::{LineEdit, Mutation, SignatureEdit, TokenEdit},
    text::{Members, array, base64url, object, quoted, set},
    world::{AUDIENCE, CLIENT, ISSUERS, OWN_AUDIENCES, TOKEN_HEADER, Trusted, World},
};

/// The time at which a good token is used, in seconds since 1970.
pub const NOW: i64 = 1_760_000_000;

/// How a token is made, and the requests with it.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Which issuer signs, of those that are trusted.
    pub issuer: usize,
    /// With which of its keys.
    pub key: usize,
    /// With which of the algorithms that fit.
    pub algorithm: usize,
    /// Whether the token names the key.
    pub names_key: bool,
    /// The granted scopes.
    pub scopes: Vec<&'static str>,
    /// What is changed, in this order.
    pub mutations: Vec<Mutation>,
    /// What is changed besides in each other request with the token.
    pub visits: Vec<Visit>,
}

/// What a request with a token has that the first one has not.
#[derive(Clone, Debug)]
pub struct Visit {
    /// Which route it is for.
    pub route: usize,
    /// How many seconds later it comes.
    pub seconds: i64,
    /// What is changed of its field lines and its query, in this order.
    pub lines: Vec<LineEdit>,
}

impl Visit {
    const FIRST: &Self = &Self { route: 0, seconds: 0, lines: Vec::new() };
}

/// A request before it is written.
#[derive(Clone, Debug)]
pub struct Draft {
    /// The JOSE header.
    pub header: Members,
    /// The payload.
    pub claims: Members,
    /// In place of the payload's JSON.
    pub payload: Option<Vec<u8>>,
    /// Which key of the pool signs.
    pub key: usize,
    /// By which algorithm, whatever the header says.
    pub algorithm: &'static str,
    /// What is done to the signature.
    pub signature: Vec<SignatureEdit>,
    /// What is done to the token's text.
    pub token: Vec<TokenEdit>,
    /// Where the token is, and what is around it.
    pub head: Head,
    /// The time of the request.
    pub now: i64,
}

/// The field lines and the target of a request.
#[derive(Clone, Debug)]
pub struct Head {
    /// Where the token is.
    pub place: Place,
    /// The scheme.
    pub scheme: &'static str,
    /// What is between scheme and token.
    pub separator: &'static str,
    /// What follows the token.
    pub suffix: &'static str,
    /// Other field lines; `None` for a line with the token's value.
    pub lines: Vec<(&'static str, Option<&'static str>)>,
    /// The query.
    pub query: Option<&'static str>,
}

/// Where a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs)]
pub enum Place {
    Authorization,
    NamedHeader,
    Nowhere,
}

impl Plan {
    /// The requests, each with its route and its time: the first as it is planned, then the visits. All have the same token.
    pub fn requests(&self, world: &World) -> impl Iterator<Item = (usize, Request, i64)> {
        let draft = self.draft(world);
        let token = draft.token();
        once(Visit::FIRST).chain(&self.visits).map(move |visit| {
            let mut head = draft.head.clone();
            visit.lines.iter().for_each(|edit| edit.apply(&mut head));
            (visit.route, head.request(&token, world), draft.now + visit.seconds)
        })
    }

    fn draft(&self, world: &World) -> Draft {
        let mut draft = self.good(world);
        self.mutations.iter().for_each(|mutation| mutation.apply(&mut draft));
        // The specification's Keycloak has no marks of other kinds but `typ`.
        if world.issuers.iter().any(|issuer| issuer.dialect == Dialect::Keycloak) {
            draft.claims.retain(|(name, value)| !is_mark(name, value));
        }
        // It is open whether a list without a name is an absent one.
        if world.issuers.iter().any(Trusted::waives_audience) {
            draft.claims.retain(|(name, value)| (name.as_str(), value.as_str()) != ("aud", "[]"));
        }
        draft
    }

    /// A request that passes, unless the issuer publishes no usable key or the scopes are too few.
    fn good(&self, world: &World) -> Draft {
        let index = self.issuer % world.issuers.len();
        let issuer = &world.issuers[index];
        let published = &issuer.published[self.key % issuer.published.len()];
        let algorithm = self.algorithm(issuer, published.key, published.alg);
        let mut header = vec![("alg".to_owned(), quoted(algorithm))];
        if let Some(typ) = issuer.dialect.typ() {
            set(&mut header, "typ", typ);
        }
        if let Some(kid) = published.kid.filter(|_| self.names_key) {
            set(&mut header, "kid", quoted(kid));
        }
        let ours = if issuer.own_audiences { OWN_AUDIENCES[1] } else { AUDIENCE };
        let mut claims = Members::new();
        for (name, value) in [
            ("iss", quoted(ISSUERS[index])),
            ("sub", quoted("alice")),
            ("aud", if self.scopes.len() == 1 { array(&["https://other.example", ours]) } else { quoted(ours) }),
            ("exp", (NOW + 300).to_string()),
            ("iat", (NOW - 10).to_string()),
            ("jti", quoted("1")),
        ] {
            set(&mut claims, name, value);
        }
        issuer.dialect.write(&mut claims, CLIENT, &self.scopes);
        let head = Head {
            place: Place::Authorization,
            scheme: "Bearer",
            separator: " ",
            suffix: "",
            lines: Vec::new(),
            query: None,
        };
        let (payload, signature, token) = (None, Vec::new(), Vec::new());
        Draft { header, claims, payload, key: published.key, algorithm, signature, token, head, now: NOW }
    }

    fn algorithm(&self, issuer: &Trusted, pooled: usize, alg: Option<&str>) -> &'static str {
        let fitting = key(pooled).algorithms;
        let listed: Vec<&'static str> =
            fitting.iter().copied().filter(|name| issuer.algorithms().contains(name)).collect();
        let own = listed.iter().find(|name| Some(**name) == alg);
        own.copied().or_else(|| listed.get(self.algorithm % listed.len().max(1)).copied()).unwrap_or(fitting[0])
    }
}

impl Draft {
    /// The token's text.
    fn token(&self) -> String {
        let payload = self.payload.clone().unwrap_or_else(|| object(&self.claims).into_bytes());
        let input = format!("{}.{}", base64url(object(&self.header)), base64url(payload));
        let mut signature = key(self.key).sign(self.algorithm, input.as_bytes());
        self.signature.iter().for_each(|edit| edit.apply(&mut signature));
        let mut token = format!("{input}.{}", base64url(signature));
        self.token.iter().for_each(|edit| edit.apply(&mut token));
        token
    }
}

impl Head {
    fn request(&self, token: &str, world: &World) -> Request {
        let is_named = self.place == Place::NamedHeader && world.token_header;
        let with_suffix = format!("{token}{}", self.suffix);
        let credentials = format!("{}{}{with_suffix}", self.scheme, self.separator);
        let mut headers = Vec::new();
        let mut push = |name: &str, value: &str| {
            // An HTTP stack removes white space around a value before anything sees it.
            let value = value.trim_matches([' ', '\t']);
            let value = if name == "authorization" && has_open_scheme(value) { "Basic eDp5" } else { value };
            headers.push((name.to_owned(), value.as_bytes().to_vec()));
        };
        match self.place {
            Place::Authorization => push("authorization", &credentials),
            Place::NamedHeader => push(TOKEN_HEADER, &with_suffix),
            Place::Nowhere => {}
        }
        for (name, value) in &self.lines {
            // It is open what a token in both header fields means.
            let is_both = match *name {
                "authorization" => is_named,
                TOKEN_HEADER => world.token_header && !is_named,
                _ => false,
            };
            if !is_both {
                push(name, value.unwrap_or(if *name == TOKEN_HEADER { &with_suffix } else { &credentials }));
            }
        }
        let uri = self.query.map_or_else(|| "/messages".to_owned(), |query| format!("/messages?{query}"));
        Request { method: "GET".to_owned(), uri, headers, certificate: None }
    }
}

/// Whether a line begins like a scheme that is not offered, but has something else than a space behind it. It is open whether
/// that is a scheme.
fn has_open_scheme(value: &str) -> bool {
    let word = value.split(' ').next().unwrap_or_default();
    let is_token = |character: char| character.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(character);
    let name = &word[..word.find(|character| !is_token(character)).unwrap_or(word.len())];
    name != word && !name.is_empty() && !name.eq_ignore_ascii_case("bearer")
}

/// Whether a claim marks a token of another kind, other than by `typ`.
fn is_mark(claim: &str, value: &str) -> bool {
    match claim {
        "events" | "token_introspection" | "status_list" | "htm" => true,
        "token_use" => value == "\"id\"",
        _ => false,
    }
}
