//! A configuration: one of the comparison, and what those do not have.

use std::time::Duration;

use scopegate_core::{
    Issuer, JwtCacheConfig, ResourceServerBuilder,
    dpop::DpopNonces,
    introspection::{ClientAuthentication, JwtIntrospection},
    mtls::CertificateBinding,
    online::{CacheConfig, Limits},
};
use scopegate_spec::{Config, Dpop, Keys, Mode};
use scopegate_spec_compare::{
    clock::Clock,
    dialect::Dialect,
    supply::Supply,
    world::{AUDIENCE, Published, Scopes, Source, Trusted, World},
};

use crate::introspection::Endpoint;

/// The issuer that is asked about its tokens.
pub const ASKED: &str = "https://asked.example";

/// An issuer of which no request has a token.
const UNRELATED: &str = "https://unrelated.example";

/// The place in the pool of the Ed25519 key that signs good tokens.
pub const SIGNER: usize = 2;

/// A resource server with one route.
#[derive(Clone, Debug)]
pub struct Setup {
    /// What the comparison knows as well.
    pub world: World,
    /// DPoP, if it is on.
    pub dpop: Option<Proofs>,
    /// Whether tokens that are bound to a certificate are accepted.
    pub certificates: bool,
    /// Whether tokens that are bound to nothing are refused.
    pub require_binding: bool,
    /// Whether there is a second issuer, [`ASKED`], and how it is asked.
    pub asked: Option<Asked>,
    /// Whether verified tokens are remembered. The specification has no memory of them.
    pub remembers: bool,
    /// Whether the issuers are configured in reverse.
    pub reverse_issuers: bool,
    /// Whether there is one more issuer, [`UNRELATED`], and what its tokens look like.
    pub unrelated: Option<Dialect>,
}

/// The settings of DPoP.
#[derive(Clone, Copy, Debug, Default)]
pub struct Proofs {
    /// Whether a nonce is demanded.
    pub nonces: bool,
    /// Whether a proof may be used again.
    pub accept_repeated: bool,
}

/// How [`ASKED`] is asked.
#[derive(Clone, Copy, Debug, Default)]
pub struct Asked {
    /// About which JWTs.
    pub mode: Mode,
    /// Whether it has keys.
    pub has_keys: bool,
    /// Whether an answer without `aud` passes.
    pub accept_without_audience: bool,
    /// Whether an answer without `token_type` is refused.
    pub require_token_type: bool,
    /// Whether the scope of an answer may be an array.
    pub scope_array: bool,
}

impl Default for Setup {
    /// One issuer of RFC 9068 tokens with one key of Ed25519, whose signatures cost the specification least.
    fn default() -> Self {
        let issuer = Trusted {
            dialect: Dialect::Rfc9068,
            algorithms: 2,
            several_algorithms_per_key: false,
            own_audiences: false,
            authorized_parties: false,
            waive_audience: false,
            grammar: Scopes::Exact,
            asked: None,
            source: Source::Given,
            published: vec![Published { key: SIGNER, kid: Some("k1"), alg: None, edit: None }],
            later: Vec::new(),
        };
        let world = World {
            issuers: vec![issuer],
            demand: None,
            scope_hint: true,
            optional: false,
            leeway: 60,
            max_token_age: None,
            max_token_length: 16 * 1024,
            token_header: false,
            proofs: None,
            certificates: false,
            require_binding: false,
        };
        Self {
            world,
            dpop: None,
            certificates: false,
            require_binding: false,
            asked: None,
            remembers: true,
            reverse_issuers: false,
            unrelated: None,
        }
    }
}

impl Setup {
    /// The issuer of most tokens.
    pub fn issuer(&mut self) -> &mut Trusted {
        &mut self.world.issuers[0]
    }

    /// Whether the builder accepts it: what is required must be possible.
    pub fn is_possible(&self) -> bool {
        !self.require_binding || self.dpop.is_some() || self.certificates
    }

    /// For the specification; `nonce` is the one that is good now.
    pub fn specified(&self, nonce: Option<String>) -> Config {
        let mut config = self.world.specified();
        config.dpop = self.dpop.map(|proofs| Dpop {
            required: false,
            public_urls: vec![AUDIENCE.to_owned()],
            algorithms: ["ES256", "ES384", "Ed25519", "EdDSA", "PS256", "RS256"].map(str::to_owned).to_vec(),
            max_age: 60,
            max_ahead: 10,
            nonces: proofs.nonces.then(|| nonce.into_iter().collect()),
            accept_repeated: proofs.accept_repeated,
        });
        config.certificate_binding = self.certificates;
        config.require_binding = self.require_binding;
        config.issuers.extend(self.asked.map(|asked| {
            let mut issuer = scopegate_spec::Issuer::new(ASKED, &self.world.issuers[0].set());
            if !asked.has_keys {
                issuer.keys = Keys::None;
            }
            issuer.introspection = Some(scopegate_spec::Introspection {
                mode: asked.mode,
                token_prefix: None,
                accept_without_audience: asked.accept_without_audience,
                require_token_type: asked.require_token_type,
                scope_array: asked.scope_array,
                signed: None,
            });
            issuer
        }));
        config
    }

    /// For the gate.
    pub fn implemented(&self, clock: Clock, endpoint: Endpoint) -> ResourceServerBuilder {
        let issuers = 0..self.world.issuers.len();
        // No issuer of the world is asked, and none replaces its keys.
        let unasked = scopegate_spec_compare::introspection::Endpoint::default();
        let supplies: Vec<Supply> = self.world.issuers.iter().map(Supply::new).collect();
        let mut builder = match self.reverse_issuers {
            true => self.world.implemented_in(issuers.rev(), clock, &unasked, &supplies),
            false => self.world.implemented_in(issuers, clock, &unasked, &supplies),
        };
        if !self.remembers {
            builder = builder.jwt_cache(JwtCacheConfig::off());
        }
        if let Some(dialect) = self.unrelated {
            let set = Self::default().world.issuers[0].set();
            builder = builder.issuer(Issuer::with_jwks(UNRELATED, set).profile(dialect.implemented()));
        }
        if let Some(proofs) = self.dpop {
            let mut dpop = scopegate_core::dpop::Dpop::new().public_url(AUDIENCE);
            if proofs.nonces {
                dpop = dpop.nonces(DpopNonces::from_secret([7; 32]));
            }
            if proofs.accept_repeated {
                dpop = dpop.dangerous_accept_repeated_proofs();
            }
            builder = builder.dpop(dpop);
        }
        if self.certificates {
            builder = builder.certificate_binding(CertificateBinding::new());
        }
        if self.require_binding {
            builder = builder.require_bound_tokens();
        }
        match self.asked {
            Some(asked) => builder.issuer(asked.implemented(self.world.issuers[0].set(), endpoint)),
            None => builder,
        }
    }
}

impl Asked {
    fn implemented(self, set: String, endpoint: Endpoint) -> Issuer {
        let client = ClientAuthentication::client_secret_basic("api", "a secret of the API");
        // Each request is to get its own answer, whatever became of the one before: no cache, and no circuit breaker.
        let mut introspection = scopegate_core::introspection::Introspection::at("https://asked.example/ask", client)
            .fetch(endpoint)
            .cache(CacheConfig::off())
            .limits(Limits::default().breaker_threshold(u32::MAX));
        if self.has_keys {
            introspection = introspection.introspect_jwts(match self.mode {
                Mode::OpaqueAlone => JwtIntrospection::WhereRequired,
                Mode::Also => JwtIntrospection::NoOlderThan(Duration::ZERO),
                Mode::Instead => JwtIntrospection::Instead,
            });
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
        match self.has_keys {
            true => Issuer::with_jwks(ASKED, set).introspection(introspection),
            false => Issuer::introspected(ASKED, introspection),
        }
    }
}
