//! A configuration, from one description in the words of the specification and of the gate.

use std::{collections::BTreeMap, time::Duration};

use http::HeaderName;
use scopegate_core::{
    GenAuthScopes, ImpliedScopes, Issuer, JwtCacheConfig, ResourceServer, ResourceServerBuilder, ScopePolicy,
    jose::Algorithm, mtls::CertificateBinding,
};
use scopegate_spec::{Config, Demand, Grammar, KeySet, Keys};

use crate::{
    binding::Proofs,
    clock::Clock,
    dialect::Dialect,
    introspection::{Asked, Endpoint},
    keys::jwk,
    network::Network,
    supply::Supply,
    text::{object, quoted, set},
};

/// The name of the header field that a configuration may name.
pub const TOKEN_HEADER: &str = "x-token";

/// The identifiers of the issuers.
pub const ISSUERS: [&str; 2] = ["https://a.example", "https://b.example/oidc/"];

/// The audience of the server.
pub const AUDIENCE: &str = "https://api.example";

/// The audiences that an issuer may have for itself.
pub const OWN_AUDIENCES: [&str; 2] = ["orders", "https://orders.example"];

/// The client of good tokens, which is one of the authorized parties.
pub const CLIENT: &str = "web";

/// Both names of Ed25519 or none: the requirements say two things about a list with one of them.
pub const ALGORITHMS: [&[&str]; 8] = [
    &scopegate_spec::DEFAULT_ALGORITHMS,
    &["ES256"],
    &["Ed25519", "EdDSA"],
    &["ES256", "Ed25519", "EdDSA"],
    &["ES384", "ES256"],
    &["RS256", "Ed25519", "EdDSA"],
    &["PS256", "RS256", "ES256"],
    &["RS512", "PS384", "ES384"],
];

/// Room for the tokens of a case in both caches of them. More takes longer to make than all requests of a case.
const CACHED_TOKENS: usize = 1024;
const CACHED_BYTES: usize = 8 << 20;

/// A resource server with one route.
#[derive(Clone, Debug)]
pub struct World {
    /// One or two issuers, by their place in [`ISSUERS`].
    pub issuers: Vec<Trusted>,
    /// The scopes that the route demands.
    pub demand: Option<Demand>,
    /// Whether a 401 names them.
    pub scope_hint: bool,
    /// Whether requests without credentials pass.
    pub optional: bool,
    /// In seconds.
    pub leeway: u32,
    /// In seconds.
    pub max_token_age: Option<u32>,
    /// In bytes.
    pub max_token_length: usize,
    /// Whether [`TOKEN_HEADER`] is named.
    pub token_header: bool,
    /// DPoP, if it is on.
    pub proofs: Option<Proofs>,
    /// Whether tokens that are bound to a certificate are accepted.
    pub certificates: bool,
    /// Whether tokens that are bound to nothing are refused. Only with one of the two.
    pub require_binding: bool,
}

/// A route of a server.
#[derive(Clone, Debug)]
pub struct Route {
    /// See [`World::demand`].
    pub demand: Option<Demand>,
    /// See [`World::scope_hint`].
    pub scope_hint: bool,
    /// See [`World::optional`].
    pub optional: bool,
}

/// An issuer.
#[derive(Clone, Debug)]
pub struct Trusted {
    /// What its tokens look like.
    pub dialect: Dialect,
    /// Its place in [`ALGORITHMS`].
    pub algorithms: usize,
    /// Whether a key without `alg` is used with several of them.
    pub several_algorithms_per_key: bool,
    /// Whether it has audiences of its own.
    pub own_audiences: bool,
    /// Whether only [`CLIENT`] and another client are accepted.
    pub authorized_parties: bool,
    /// Whether a token without `aud` passes. Only with authorized parties, and where tokens name their kind.
    pub waive_audience: bool,
    /// What a scope grants.
    pub grammar: Scopes,
    /// How it is asked about tokens, if it is.
    pub asked: Option<Asked>,
    /// How its keys come.
    pub source: Source,
    /// Its keys.
    pub published: Vec<Published>,
    /// The keys that take their place, where the source is [`Source::Supplied`].
    pub later: Vec<Published>,
}

/// A grammar of scopes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs)]
pub enum Scopes {
    Exact,
    Implied,
    GenAuth,
}

/// How the keys of an issuer come to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs)]
pub enum Source {
    Given,
    Fetched,
    Unavailable,
    /// By the application, which replaces them in the course of a case.
    Supplied,
}

/// A key in an issuer's set.
#[derive(Clone, Debug)]
pub struct Published {
    /// Its place in the pool.
    pub key: usize,
    /// `kid`.
    pub kid: Option<&'static str>,
    /// `alg`.
    pub alg: Option<&'static str>,
    /// A member that is set last, as JSON, and whether it stands beside one of that name.
    pub edit: Option<(&'static str, &'static str, bool)>,
}

/// [`Scopes::Implied`].
const IMPLIED: [(&str, &[&str]); 3] = [("admin", &["write", "message"]), ("write", &["read"]), ("read", &["read"])];

impl World {
    /// For the specification.
    pub fn specified(&self) -> Config {
        let mut config = Config::new(AUDIENCE);
        config.issuers = self.issuers.iter().enumerate().map(|(index, issuer)| issuer.specified(index)).collect();
        config.leeway = self.leeway.into();
        config.max_token_age = self.max_token_age.map(Into::into);
        config.max_token_length = self.max_token_length;
        config.token_header = self.token_header.then(|| TOKEN_HEADER.to_owned());
        config.dpop = self.proofs.map(Proofs::specified);
        config.certificate_binding = self.certificates;
        config.require_binding = self.requires_binding();
        self.route().specify(&mut config);
        config
    }

    /// Its own route.
    pub fn route(&self) -> Route {
        Route { demand: self.demand.clone(), scope_hint: self.scope_hint, optional: self.optional }
    }

    /// The same server with another route in place of its own.
    pub fn at(&self, route: &Route) -> Self {
        let Route { demand, scope_hint, optional } = route.clone();
        Self { demand, scope_hint, optional, ..self.clone() }
    }

    /// Gives the specification the keys that take the place of the first ones.
    pub fn replace_keys(&self, config: &mut Config) {
        for (known, issuer) in config.issuers.iter_mut().zip(&self.issuers) {
            if let (Keys::Set(set), Source::Supplied) = (&mut known.keys, issuer.source) {
                *set = KeySet::read(&issuer.later_set());
            }
        }
    }

    /// The same with keys that are given rather than fetched.
    pub fn with_given_keys(&self) -> Self {
        let mut world = self.clone();
        world.issuers.iter_mut().for_each(|issuer| issuer.source = Source::Given);
        world
    }

    fn requires_binding(&self) -> bool {
        self.require_binding && (self.proofs.is_some() || self.certificates)
    }

    /// For the gate, which asks at this endpoint, and gets the keys of issuers from these.
    pub fn implemented(&self, clock: Clock, endpoint: &Endpoint, supplies: &[Supply]) -> ResourceServerBuilder {
        self.implemented_in(0..self.issuers.len(), clock, endpoint, supplies)
    }

    /// The same with the issuers in this order.
    pub fn implemented_in(
        &self,
        order: impl IntoIterator<Item = usize>,
        clock: Clock,
        endpoint: &Endpoint,
        supplies: &[Supply],
    ) -> ResourceServerBuilder {
        let mut builder = ResourceServer::builder()
            .audience(AUDIENCE)
            .leeway(Duration::from_secs(self.leeway.into()))
            .max_token_length(self.max_token_length)
            .jwt_cache(JwtCacheConfig::default().max_bytes(CACHED_BYTES).max_entries(CACHED_TOKENS))
            .clock(clock)
            .fetch(Network(self.issuers.iter().map(Trusted::document).collect()));
        for index in order {
            builder = builder.issuer(self.issuers[index].implemented(index, endpoint, supplies[index].clone()));
        }
        if let Some(age) = self.max_token_age {
            // At exactly this age a token passes here, and does not there: it is open. No claim here is as fine as this.
            builder = builder.max_token_age(Duration::from_secs(age.into()) - Duration::from_nanos(1));
        }
        if self.token_header {
            builder = builder.token_header(HeaderName::from_static(TOKEN_HEADER));
        }
        if let Some(proofs) = self.proofs {
            builder = builder.dpop(proofs.implemented());
        }
        if self.certificates {
            builder = builder.certificate_binding(CertificateBinding::new());
        }
        if self.requires_binding() {
            builder = builder.require_bound_tokens();
        }
        builder
    }
}

impl Route {
    /// For the specification, which has a server with one route.
    pub fn specify(&self, config: &mut Config) {
        config.demand.clone_from(&self.demand);
        config.scope_hint = self.scope_hint;
        config.optional = self.optional;
    }
}

impl Trusted {
    /// The algorithms.
    pub fn algorithms(&self) -> &'static [&'static str] {
        ALGORITHMS[self.algorithms]
    }

    /// The values of `aud` that name the server.
    pub fn audiences(&self) -> &'static [&'static str] {
        if self.own_audiences { &OWN_AUDIENCES } else { &[AUDIENCE] }
    }

    fn parties(&self) -> Option<Vec<String>> {
        self.authorized_parties.then(|| [CLIENT, "mobile"].map(str::to_owned).to_vec())
    }

    /// Whether a token without `aud` passes.
    pub fn waives_audience(&self) -> bool {
        self.waive_audience && self.authorized_parties && self.own_audiences && self.dialect.names_kind()
    }

    /// The JWK Set.
    pub fn set(&self) -> String {
        set_of(&self.published)
    }

    /// The one that takes its place.
    pub fn later_set(&self) -> String {
        set_of(&self.later)
    }

    /// The algorithms of the gate, for which both names of Ed25519 are one.
    pub fn offered(&self) -> impl Iterator<Item = Algorithm> {
        let algorithms = self.algorithms().iter().filter(|name| **name != "EdDSA");
        algorithms.map(|name| Algorithm::from_name(name).expect("an algorithm that is offered"))
    }

    /// What its endpoint answers.
    fn document(&self) -> Option<String> {
        (self.source == Source::Fetched).then(|| self.set())
    }

    fn specified(&self, index: usize) -> scopegate_spec::Issuer {
        let mut issuer = scopegate_spec::Issuer::new(ISSUERS[index], &self.set());
        if self.source == Source::Unavailable {
            issuer.keys = Keys::Unavailable;
        }
        if self.asked.is_some_and(|asked| !asked.has_keys) {
            issuer.keys = Keys::None;
        }
        issuer.introspection = self.asked.map(|asked| asked.specified(index, self.audiences()));
        issuer.algorithms = self.algorithms().iter().map(|name| (*name).to_owned()).collect();
        issuer.several_algorithms_per_key = self.several_algorithms_per_key;
        issuer.profile = self.dialect.specified();
        if self.own_audiences {
            issuer.audiences = OWN_AUDIENCES.map(str::to_owned).to_vec();
        }
        issuer.waive_audience = self.waives_audience();
        issuer.authorized_parties = self.parties();
        issuer.grammar = match self.grammar {
            Scopes::Exact => Grammar::Exact,
            Scopes::Implied => Grammar::Implied(
                IMPLIED
                    .iter()
                    .map(|(name, all)| ((*name).to_owned(), all.iter().map(|one| (*one).to_owned()).collect()))
                    .collect::<BTreeMap<_, Vec<_>>>(),
            ),
            Scopes::GenAuth => Grammar::GenAuth,
        };
        issuer
    }

    fn implemented(&self, index: usize, endpoint: &Endpoint, supply: Supply) -> Issuer {
        let name = ISSUERS[index];
        let mut issuer = match (self.asked, self.source) {
            (Some(asked), _) if !asked.has_keys => Issuer::introspected(name, asked.implemented(index, endpoint)),
            (_, Source::Given) => Issuer::with_jwks(name, self.set()),
            (_, Source::Supplied) => Issuer::with_key_source(name, supply),
            (_, Source::Fetched | Source::Unavailable) => Issuer::with_jwks_uri(name, Network::url(index)),
        };
        if let Some(asked) = self.asked {
            issuer = issuer.introspection(asked.implemented(index, endpoint));
        }
        issuer = issuer.algorithms(self.offered()).profile(self.dialect.implemented());
        if self.several_algorithms_per_key && self.source != Source::Supplied {
            issuer = issuer.dangerous_allow_several_algorithms_per_key();
        }
        if self.own_audiences {
            issuer = issuer.audiences(OWN_AUDIENCES);
        }
        if self.waives_audience() {
            issuer = issuer.dangerous_waive_audience();
        }
        if let Some(parties) = self.parties() {
            issuer = issuer.authorized_parties(parties);
        }
        match self.grammar {
            Scopes::Exact => issuer,
            Scopes::Implied => issuer.scope_grammar(implied()),
            Scopes::GenAuth => issuer.scope_grammar(GenAuthScopes),
        }
    }
}

fn set_of(keys: &[Published]) -> String {
    let keys: Vec<String> = keys.iter().map(Published::jwk).collect();
    format!("{{\"keys\":[{}]}}", keys.join(","))
}

fn implied() -> ImpliedScopes {
    IMPLIED.into_iter().fold(ImpliedScopes::new(), |scopes, (name, all)| {
        scopes.imply(name, all.iter().copied()).expect("legal scope tokens")
    })
}

impl Published {
    fn jwk(&self) -> String {
        let mut members = jwk(self.key);
        for (name, value) in [("kid", self.kid), ("alg", self.alg)] {
            if let Some(value) = value {
                set(&mut members, name, quoted(value));
            }
        }
        match self.edit {
            Some((name, value, true)) => members.push((name.to_owned(), value.to_owned())),
            Some((name, value, false)) => set(&mut members, name, value),
            None => {}
        }
        object(&members)
    }
}

/// A demand as the gate has it.
pub fn policy(demand: &Demand) -> ScopePolicy {
    match demand {
        Demand::Scope(name) => ScopePolicy::one(name.clone()).expect("a legal scope token"),
        Demand::All(all) => all.iter().map(policy).reduce(|one, other| one & other).expect("not empty"),
        Demand::Any(all) => all.iter().map(policy).reduce(|one, other| one | other).expect("not empty"),
    }
}
