//! A request: a good one for a configuration, and then what mutations make of it.

use std::iter::once;

use scopegate_spec::Request;

pub use crate::head::Place;
use crate::{
    binding::{CERTIFICATES, TARGETS, digest, fails_without_a_proof, is_good_nonce, nonce, thumbprint},
    dialect::Dialect,
    head::Head,
    keys::key,
    mutation::{LineEdit, Mutation, SignatureEdit, TokenEdit},
    proof::Proof,
    text::{Members, array, base64url, object, quoted, set},
    world::{AUDIENCE, CLIENT, ISSUERS, OWN_AUDIENCES, Trusted, World},
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
    /// The key of the pool to which the token is bound, where DPoP is on.
    pub key_binding: Option<usize>,
    /// Whether it is bound to the first of [`CERTIFICATES`], where that is on.
    pub certificate_binding: bool,
    /// The granted scopes.
    pub scopes: Vec<&'static str>,
    /// What is changed, in this order.
    pub mutations: Vec<Mutation>,
    /// What the first request shows.
    pub evidence: Evidence,
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
    /// What it shows, if that is something else.
    pub evidence: Option<Evidence>,
}

impl Visit {
    const FIRST: &Self = &Self { route: 0, seconds: 0, lines: Vec::new(), evidence: None };
}

/// What a request shows of the keys that its client has.
#[derive(Clone, Debug, Default)]
pub struct Evidence {
    /// A proof, where DPoP is on.
    pub proof: Option<Proof>,
    /// The certificate of its connection, by its place in [`CERTIFICATES`].
    pub certificate: Option<usize>,
}

/// A request as it is sent.
#[derive(Clone, Debug)]
pub struct Sent {
    /// Its place among those with its token.
    pub index: usize,
    /// Which route it is for.
    pub route: usize,
    /// The request.
    pub request: Request,
    /// Its time.
    pub now: i64,
    /// A nonce that is good, if its proof was made with one.
    pub good_nonce: Option<String>,
    /// Whether its proof still has that.
    pub has_good_nonce: bool,
    /// Whether the token is refused with any proof.
    pub fails_without_a_proof: bool,
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

impl Plan {
    /// The requests: the first as it is planned, then the visits. All have the same token.
    pub fn requests(&self, world: &World) -> impl Iterator<Item = Sent> {
        let draft = self.draft(world);
        let token = draft.token();
        let target = world.proofs.map_or("", |proofs| TARGETS[proofs.public_urls]);
        once(Visit::FIRST).chain(&self.visits).enumerate().map(move |(index, visit)| {
            let mut head = draft.head.clone();
            visit.lines.iter().for_each(|edit| edit.apply(&mut head));
            let (mut request, now) = (head.request(&token, world), draft.now + visit.seconds);
            let evidence = visit.evidence.as_ref().unwrap_or(&self.evidence);
            request.certificate = evidence.certificate.map(|certificate| CERTIFICATES[certificate].to_vec());
            let proof = evidence.proof.as_ref().filter(|_| world.proofs.is_some());
            let lines = proof.map(|proof| proof.lines(&token, self.key_binding.unwrap_or_default(), target, now));
            for line in lines.into_iter().flatten() {
                request.headers.push(("dpop".to_owned(), line.into_bytes()));
            }
            let given_at = proof.and_then(|proof| Some(now - proof.nonce_age?));
            let good_nonce = given_at.filter(|given_at| is_good_nonce(*given_at, now)).map(nonce);
            let has_good_nonce = good_nonce.is_some() && proof.is_some_and(Proof::keeps_nonce);
            let cnf = draft.claims.iter().find(|(name, _)| name == "cnf").map(|(_, value)| value.as_str());
            let fails_without_a_proof = fails_without_a_proof(cnf, request.certificate.as_deref());
            Sent { index, route: visit.route, request, now, good_nonce, has_good_nonce, fails_without_a_proof }
        })
    }

    /// The first request and its time.
    pub fn request(&self, world: &World) -> (Request, i64) {
        let draft = self.draft(world);
        (draft.request(world), draft.now)
    }

    /// The first request before it is written, without its evidence.
    pub fn draft(&self, world: &World) -> Draft {
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
        let key_binding = self.key_binding.filter(|_| world.proofs.is_some());
        let jkt = key_binding.map(|key| ("jkt".to_owned(), quoted(thumbprint(key))));
        let is_bound = self.certificate_binding && world.certificates;
        let x5t = is_bound.then(|| ("x5t#S256".to_owned(), quoted(&digest(CERTIFICATES[0]))));
        let confirmation: Members = jkt.into_iter().chain(x5t).collect();
        if !confirmation.is_empty() {
            set(&mut claims, "cnf", object(&confirmation));
        }
        let head = Head {
            method: "GET",
            path: "/messages",
            place: Place::Authorization,
            scheme: if key_binding.is_some() { "DPoP" } else { "Bearer" },
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

    /// The request.
    pub fn request(&self, world: &World) -> Request {
        self.head.request(&self.token(), world)
    }
}

/// Whether a claim marks a token of another kind, other than by `typ`.
fn is_mark(claim: &str, value: &str) -> bool {
    match claim {
        "events" | "token_introspection" | "status_list" | "htm" => true,
        "token_use" => value == "\"id\"",
        _ => false,
    }
}
