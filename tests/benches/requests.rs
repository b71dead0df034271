//! Requests of every kind through the whole layer, with Criterion's statistics: did a change make a kind of request cheaper or
//! dearer?
//!
//! ```sh
//! cargo bench -p scopegate-tests --bench requests -- --save-baseline before
//! cargo bench -p scopegate-tests --bench requests -- --baseline before "refused|remembered"
//! ```
//!
//! Allocations are counted for one request of each kind, and printed before its time. To compare kinds with each other, use
//! the benchmarks `cost` and `scale`, whose rounds alternate.

#![allow(missing_docs, reason = "a benchmark has no API")]

mod support;

use std::{convert::Infallible, time::Duration};

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use http::{Request, Response, StatusCode};
use scopegate_axum::{Authenticate, Issuer, JwtCacheConfig, RequireScope, ResourceServer};
use scopegate_testing::{Mint, SigningAlgorithm, SigningKey, TokenBuilder};
use tower::{Layer, Service};

use crate::support::{AUDIENCE, INNER, ISSUER, Inner, call, request, server, signature_check, usual};

type Gate = <Authenticate as Layer<<RequireScope as Layer<Inner>>::Service>>::Service;

/// A service, and the tokens that it gets in turn.
struct Traffic<S> {
    service: S,
    tokens: Vec<Option<String>>,
}

impl<S, B> Traffic<S>
where
    S: Service<Request<()>, Response = Response<B>, Error = Infallible>,
{
    /// Everything is built on demand, so that a filter on the command line saves time.
    fn measure(criterion: &mut Criterion, name: &str, status: StatusCode, make: impl Fn() -> Self) {
        let mut made = None;
        criterion.bench_function(name, |bencher| {
            let Self { service, tokens } = made.get_or_insert_with(|| make().warmed_up(name, status));
            let mut next = tokens.iter().cycle();
            let request = || request(next.next().and_then(Option::as_deref));
            bencher.iter_batched(request, |request| call(service, request, status), BatchSize::SmallInput);
        });
    }

    fn warmed_up(mut self, name: &str, status: StatusCode) -> Self {
        for token in &self.tokens {
            call(&mut self.service, request(token.as_deref()), status);
        }
        let request = request(self.tokens[0].as_deref());
        let counted = allocation_counter::measure(|| call(&mut self.service, request, status));
        println!("{name}: {} allocations of {} bytes", counted.count_total, counted.bytes_total);
        self
    }

    fn one(service: S, token: &TokenBuilder) -> Self {
        Self { service, tokens: vec![Some(token.issue())] }
    }
}

/// One issuer with one key.
struct Setup {
    mint: Mint,
    algorithm: SigningAlgorithm,
}

impl Setup {
    fn new(algorithm: SigningAlgorithm) -> Self {
        Self { mint: Mint::new(ISSUER, SigningKey::generate(algorithm).into()), algorithm }
    }

    fn token(&self) -> TokenBuilder {
        usual(self.mint.token()).algorithm(self.algorithm)
    }

    fn gate(&self, cache: JwtCacheConfig) -> Gate {
        gate(block_on(server(&self.mint, cache)), "message")
    }
}

fn gate(server: ResourceServer, scope: impl Into<String>) -> Gate {
    Authenticate::new(server).layer(RequireScope::new(scope.into()).layer(INNER))
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

fn algorithms(criterion: &mut Criterion) {
    for algorithm in [SigningAlgorithm::Rs256, SigningAlgorithm::Es256, SigningAlgorithm::EdDsa] {
        let name = algorithm.name();
        let key = SigningKey::generate(algorithm);
        let mint = Mint::new(ISSUER, key.clone().into());
        let setup = Setup { mint, algorithm };
        let check = signature_check(&key, &setup.token().issue());
        criterion.bench_function(&format!("signature check alone, {name}"), |bencher| bencher.iter(&check));
        Traffic::measure(criterion, &format!("not remembered, {name}"), StatusCode::OK, || {
            Traffic::one(setup.gate(JwtCacheConfig::off()), &setup.token())
        });
    }
}

fn answers(criterion: &mut Criterion) {
    let setup = Setup::new(SigningAlgorithm::Rs256);
    let token = || setup.token();
    let cached = || setup.gate(JwtCacheConfig::default());
    Traffic::measure(criterion, "no gate", StatusCode::OK, || Traffic::one(INNER, &token()));
    Traffic::measure(criterion, "remembered", StatusCode::OK, || Traffic::one(cached(), &token()));
    Traffic::measure(criterion, "forbidden", StatusCode::FORBIDDEN, || {
        Traffic::one(cached(), &token().scope("profile"))
    });
    let refused: [(&str, &dyn Fn() -> Option<String>); 8] = [
        ("no credentials", &|| None),
        ("garbage", &|| Some("garbage".to_owned())),
        ("expired", &|| Some(token().expired().issue())),
        ("wrong audience", &|| Some(token().audience("https://x").issue())),
        ("wrong issuer", &|| Some(token().claim("iss", "https://x").issue())),
        ("wrong algorithm", &|| Some(token().hs256_with_public_key().issue())),
        ("unknown key", &|| Some(token().key_id("x").issue())),
        ("bad signature", &|| Some(token().tampered_signature().issue())),
    ];
    for (name, credentials) in refused {
        Traffic::measure(criterion, &format!("refused, {name}"), StatusCode::UNAUTHORIZED, || Traffic {
            service: cached(),
            tokens: vec![credentials()],
        });
    }
}

fn issuers(criterion: &mut Criterion) {
    for count in [1, 100, 10_000] {
        Traffic::measure(criterion, &format!("remembered, {count} issuers"), StatusCode::OK, || {
            let setup = Setup::new(SigningAlgorithm::EdDsa);
            let builder = (1..count).fold(ResourceServer::builder().audience(AUDIENCE), |builder, number| {
                builder.issuer(Issuer::with_jwks(format!("{ISSUER}/{number}"), setup.mint.jwks_json()))
            });
            let builder = builder.issuer(Issuer::with_jwks(ISSUER, setup.mint.jwks_json()));
            Traffic::one(gate(block_on(builder.build()).unwrap(), "message"), &setup.token())
        });
    }
}

fn keys(criterion: &mut Criterion) {
    for count in [1, 10, 100] {
        Traffic::measure(criterion, &format!("not remembered, EdDSA, {count} keys"), StatusCode::OK, || {
            let keys: Vec<_> = (0..count).map(|_| SigningKey::generate(SigningAlgorithm::EdDsa)).collect();
            let jwks = serde_json::json!({ "keys": keys.iter().map(SigningKey::public_jwk).collect::<Vec<_>>() });
            let mint = Mint::new(ISSUER, keys[count - 1].clone().into());
            let builder = ResourceServer::builder().issuer(Issuer::with_jwks(ISSUER, jwks.to_string()));
            let server = block_on(builder.audience(AUDIENCE).jwt_cache(JwtCacheConfig::off()).build()).unwrap();
            Traffic::one(gate(server, "message"), &usual(mint.token()))
        });
    }
}

fn remembered_tokens(criterion: &mut Criterion) {
    for count in [1000, 10_000, 100_000] {
        Traffic::measure(criterion, &format!("{count} remembered tokens in turn"), StatusCode::OK, || {
            let setup = Setup::new(SigningAlgorithm::EdDsa);
            let cache = JwtCacheConfig::default().max_entries(2 * count).max_bytes(4096 * count);
            let token = || setup.token().expires_in(Duration::from_secs(24 * 60 * 60)).issue();
            Traffic { service: setup.gate(cache.clone()), tokens: (0..count).map(|_| Some(token())).collect() }
        });
    }
}

fn scopes(criterion: &mut Criterion) {
    let setup = Setup::new(SigningAlgorithm::EdDsa);
    for (name, cache) in [("remembered", JwtCacheConfig::default()), ("not remembered, EdDSA", JwtCacheConfig::off())] {
        for count in [1, 10, 100, 500] {
            Traffic::measure(criterion, &format!("{name}, {count} scopes"), StatusCode::OK, || {
                let scope: Vec<_> = (0..count).map(|number| format!("resource{number}:read")).collect();
                let gate = gate(block_on(server(&setup.mint, cache.clone())), scope[count - 1].clone());
                Traffic::one(gate, &setup.token().scope(scope.join(" ")))
            });
        }
    }
}

fn token_size(criterion: &mut Criterion) {
    let setup = Setup::new(SigningAlgorithm::EdDsa);
    for (name, cache) in [("remembered", JwtCacheConfig::default()), ("not remembered, EdDSA", JwtCacheConfig::off())] {
        for bytes in [512, 1024, 2048, 4096, 8192] {
            Traffic::measure(criterion, &format!("{name}, a token of {bytes} bytes"), StatusCode::OK, || {
                let token = |filling: usize| {
                    let token = setup.mint.token().audience(AUDIENCE).scope("message");
                    token.claim("filling", "x".repeat(filling))
                };
                let filling = (bytes - token(0).issue().len()) * 3 / 4;
                Traffic::one(setup.gate(cache.clone()), &token(filling))
            });
        }
    }
}

fn configured() -> Criterion {
    let seconds = Duration::from_secs_f64;
    Criterion::default().warm_up_time(seconds(0.5)).measurement_time(seconds(2.0)).sample_size(50)
}

criterion_group! {
    name = requests;
    config = configured();
    targets = algorithms, answers, issuers, keys, remembered_tokens, scopes, token_size
}
criterion_main!(requests);
