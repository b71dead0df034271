//! A request: a good one for a configuration, and then what mutations make of it.

use std::iter::once;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use scopegate_spec::{Request, json};

pub use crate::head::Place;
use crate::{
    binding::{CERTIFICATES, TARGETS, can_be_checked, digest, fails_without_a_proof, is_good_nonce, nonce, thumbprint},
    dialect::Dialect,
    head::Head,
    introspection::{Asked, Reply},
    keys::key,
    mutation::{LineEdit, Mutation, SignatureEdit, TokenEdit},
    proof::Proof,
    reply::{ReplyPlan, Subject},
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
    /// Whether the token is opaque, where its issuer is asked.
    pub opaque: bool,
    /// What an issuer that is asked says at first.
    pub reply: ReplyPlan,
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
    /// What an issuer that is asked says from now on, where no answers are remembered.
    pub reply: Option<ReplyPlan>,
}

impl Visit {
    const FIRST: &Self = &Self { route: 0, seconds: 0, lines: Vec::new(), evidence: None, reply: None };
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
    /// What the issuers that are asked say.
    pub reply: Option<Reply>,
    /// Whether the token is a JWT that is asked about, and has a `cnf` that cannot be checked.
    pub is_refused_unasked: bool,
    /// Whether the token is refused with any proof.
    pub fails_without_a_proof: bool,
}

/// A request before it is written.
#[derive(Clone, Debug)]
pub struct Draft {
    /// In place of a JWT.
    pub opaque: Option<String>,
    /// Whether some issuer is asked about opaque tokens.
    pub may_be_opaque: bool,
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
        let asked = world.issuers[index_of_asked(world, self)].asked;
        let mut reply = &self.reply;
        let target = world.proofs.map_or("", |proofs| TARGETS[proofs.public_urls]);
        once(Visit::FIRST).chain(&self.visits).enumerate().map(move |(index, visit)| {
            let mut head = draft.head.clone();
            visit.lines.iter().for_each(|edit| edit.apply(&mut head));
            let (mut request, now) = (head.request(&token, world), draft.now + visit.seconds);
            let evidence = visit.evidence.as_ref().unwrap_or(&self.evidence);
            request.certificate = evidence.certificate.map(|certificate| CERTIFICATES[certificate].to_vec());
            if let Some(other) = visit.reply.as_ref().filter(|_| asked.is_some_and(|asked| !asked.is_cached())) {
                reply = other;
            }
            let reply = asked.map(|asked| self.reply(asked, reply, world, &draft, &token, now));
            let is_confirmed = reply.as_ref().is_some_and(|reply| reply.written.cnf().is_some());
            let proof = evidence.proof.as_ref().filter(|_| world.proofs.is_some());
            let lines =
                proof.map(|proof| proof.lines(&token, self.key_binding.unwrap_or_default(), is_confirmed, target, now));
            for line in lines.into_iter().flatten() {
                request.headers.push(("dpop".to_owned(), line.into_bytes()));
            }
            let given_at = proof.and_then(|proof| Some(now - proof.nonce_age?));
            let good_nonce = given_at.filter(|given_at| is_good_nonce(*given_at, now)).map(nonce);
            let has_good_nonce = good_nonce.is_some() && proof.is_some_and(Proof::keeps_nonce);
            let of_token = draft.claims.iter().find(|(name, _)| name == "cnf").map(|(_, cnf)| cnf.as_str());
            let of_reply = reply.as_ref().map(|reply| reply.written.cnf());
            let fails =
                |cnf: Option<&str>| cnf.is_none_or(|cnf| fails_without_a_proof(cnf, request.certificate.as_deref()));
            // Two that say different things, or one that fails.
            let differ = of_reply.flatten().is_some_and(|cnf| of_token.is_some_and(|other| other != cnf));
            let fails_without_a_proof =
                differ || of_reply.is_some_and(fails) || draft.opaque.is_none() && fails(of_token);
            let of_jwt = of_token.filter(|_| draft.opaque.is_none() && asked.is_some());
            let is_refused_unasked = of_jwt.is_some_and(|cnf| !can_be_checked(cnf, world));
            let route = visit.route;
            Sent {
                index,
                route,
                request,
                now,
                good_nonce,
                has_good_nonce,
                reply,
                is_refused_unasked,
                fails_without_a_proof,
            }
        })
    }

    fn reply(&self, asked: Asked, plan: &ReplyPlan, world: &World, draft: &Draft, token: &str, now: i64) -> Reply {
        let index = index_of_asked(world, self);
        let issuer = &world.issuers[index];
        let published = &issuer.published[self.key % issuer.published.len()];
        let algorithm = self.algorithm(issuer, published.key, published.alg);
        let subject = Subject {
            issuer: ISSUERS[index],
            audience: quoted(issuer.audiences()[0]),
            client: CLIENT,
            scope: self.scopes.join(" "),
            cnf: self.confirmation(world),
            signer: asked.is_signed().then_some((published.key, algorithm, published.kid)),
        };
        let mut plan = plan.clone();
        if asked.asks_also() && draft.opaque.is_none() {
            plan.edits.retain(|edit| !edit.is_open_about_a_jwt());
        }
        let is_own = draft.payload.is_none() && draft.token.is_empty();
        let token = asked.is_cached().then(|| if is_own { token.to_owned() } else { String::new() });
        Reply { written: plan.written(&subject, now), token }
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
        if world.issuers.iter().any(|issuer| issuer.waives_audience() || issuer.asked.is_some()) {
            draft.claims.retain(|(name, value)| (name.as_str(), value.as_str()) != ("aud", "[]"));
        }
        let index = self.issuer % world.issuers.len();
        draft.may_be_opaque = world.issuers.iter().any(|issuer| issuer.asked.is_some());
        if let Some(asked) = world.issuers[index].asked {
            // Answers are by the token, so each has its own.
            let own = digest(format!("{:?} {:?}", self.reply, draft.claims));
            if self.opaque {
                draft.opaque = Some(format!("{}{own}", asked.prefix(index)));
            } else if asked.asks_instead() {
                // It is open whether more of the times of such a token is looked at than `exp`.
                draft.claims.retain(|(name, _)| name != "iat" && name != "nbf");
                // And whether a `typ` of `at+jwt` that nobody has verified settles the kind.
                draft.claims.retain(|(name, value)| !is_kind(name, value));
            }
            draft.claims.push(("own".to_owned(), quoted(&own)));
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
        if let Some(cnf) = self.confirmation(world) {
            set(&mut claims, "cnf", cnf);
        }
        let head = Head {
            method: "GET",
            path: "/messages",
            place: Place::Authorization,
            scheme: if self.key_binding.is_some() && world.proofs.is_some() { "DPoP" } else { "Bearer" },
            separator: " ",
            suffix: "",
            lines: Vec::new(),
            query: None,
        };
        let (opaque, payload, signature, token) = (None, None, Vec::new(), Vec::new());
        let may_be_opaque = false;
        Draft {
            opaque,
            may_be_opaque,
            header,
            claims,
            payload,
            key: published.key,
            algorithm,
            signature,
            token,
            head,
            now: NOW,
        }
    }

    /// What the token is bound to, as JSON.
    fn confirmation(&self, world: &World) -> Option<String> {
        let key = self.key_binding.filter(|_| world.proofs.is_some());
        let jkt = key.map(|key| ("jkt".to_owned(), quoted(thumbprint(key))));
        let is_bound = self.certificate_binding && world.certificates;
        let x5t = is_bound.then(|| ("x5t#S256".to_owned(), quoted(&digest(CERTIFICATES[0]))));
        let members: Members = jkt.into_iter().chain(x5t).collect();
        (!members.is_empty()).then(|| object(&members))
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
        let mut token = self.opaque.clone().unwrap_or_else(|| self.jwt());
        self.token.iter().for_each(|edit| edit.apply(&mut token));
        // It is open whether a text with dots is opaque where it begins with no header.
        let is_jose = |first: &str| URL_SAFE_NO_PAD.decode(first).is_ok_and(|header| json::object(&header).is_some());
        match token.split_once('.') {
            Some((first, _)) if self.may_be_opaque && !is_jose(first) => token.replace('.', ""),
            _ => token,
        }
    }

    fn jwt(&self) -> String {
        let payload = self.payload.clone().unwrap_or_else(|| object(&self.claims).into_bytes());
        let input = format!("{}.{}", base64url(object(&self.header)), base64url(payload));
        let mut signature = key(self.key).sign(self.algorithm, input.as_bytes());
        self.signature.iter().for_each(|edit| edit.apply(&mut signature));
        format!("{input}.{}", base64url(signature))
    }

    /// The request.
    pub fn request(&self, world: &World) -> Request {
        self.head.request(&self.token(), world)
    }
}

/// Which issuer answers: the one that signs, or else the first that is asked.
fn index_of_asked(world: &World, plan: &Plan) -> usize {
    let own = plan.issuer % world.issuers.len();
    let is_asked = |index: &usize| world.issuers[*index].asked.is_some();
    [own, 0, 1 % world.issuers.len()].into_iter().find(is_asked).unwrap_or(own)
}

/// Whether a claim marks a token of another kind, other than by `typ`.
fn is_mark(claim: &str, value: &str) -> bool {
    matches!(claim, "events" | "token_introspection" | "status_list" | "htm") || is_kind(claim, value) && claim != "typ"
}

/// Whether a claim names another kind of token.
fn is_kind(claim: &str, value: &str) -> bool {
    match claim {
        "token_use" => value == "\"id\"",
        "typ" => ["\"ID\"", "\"Refresh\"", "\"Offline\"", "\"Logout\""].contains(&value),
        _ => false,
    }
}
