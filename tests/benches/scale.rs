//! What must not raise the cost of a request: the number of issuers, of keys per issuer, and of cached tokens.
//!
//! `cargo bench -p scopegate-tests --bench scale`, or `-- keys` to filter by name
//!
//! Each figure is the best of many alternating rounds, so that other load on the machine does not matter. It is the time of
//! `ResourceServer::authenticate` for requests that were built just before. A million tokens take a minute and 2 GB.

#![allow(missing_docs, reason = "a benchmark has no API")]

use std::{
    env,
    hint::black_box,
    time::{Duration, Instant},
};

use http::{HeaderMap, Request, Response, header::AUTHORIZATION, request::Parts};
use scopegate_core::{
    BoxFuture, Issuer, JwtCacheConfig, ResourceServer, ResourceServerBuilder, Tenants,
    fetch::{Fetch, FetchError, FetchLimits},
};
use scopegate_testing::{Mint, SigningAlgorithm, SigningKey, SigningKeys};

const ROUNDS: usize = 60;
const CHECKS: usize = 400;
const ISSUERS: usize = 10_000;
const KEYS: usize = 100;
const FEW_TOKENS: usize = 1000;
const MANY_TOKENS: usize = 1_000_000;

/// Responds for every tenant.
#[derive(Debug)]
struct EveryTenant {
    jwks: String,
}

impl Fetch for EveryTenant {
    fn fetch(
        &self,
        request: Request<bytes::Bytes>,
        _: FetchLimits,
    ) -> BoxFuture<'static, Result<Response<bytes::Bytes>, FetchError>> {
        const WELL_KNOWN: &str = "/.well-known/oauth-authorization-server";
        let url = request.uri().to_string();
        let body = match url.split_once(WELL_KNOWN) {
            Some((origin, path)) => format!(r#"{{"issuer":"{origin}{path}","jwks_uri":"{origin}/keys"}}"#),
            None => self.jwks.clone(),
        };
        let mut response = Response::new(body.into());
        *response.headers_mut() =
            HeaderMap::from_iter([("cache-control".parse().unwrap(), "max-age=86400".parse().unwrap())]);
        Box::pin(async move { Ok(response) })
    }
}

/// A resource server, and the tokens that it gets in turn.
struct Side {
    server: ResourceServer,
    tokens: Vec<String>,
    next: usize,
    best: Duration,
}

impl Side {
    fn new(server: ResourceServer, tokens: Vec<String>) -> Self {
        Self { server, tokens, next: 0, best: Duration::MAX }
    }

    #[expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
    fn round(&mut self) {
        let tokens = self.tokens.iter().cycle().skip(self.next).take(CHECKS);
        let requests: Vec<Parts> = tokens.map(|token| request(token)).collect();
        self.next = (self.next + CHECKS) % self.tokens.len();
        let start = Instant::now();
        for request in &requests {
            let _ = black_box(self.server.authenticate(request).try_now().expect("at once").expect("good"));
        }
        self.best = self.best.min(start.elapsed() / CHECKS as u32);
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let wanted = env::args().nth(1).filter(|argument| !argument.starts_with("--")).unwrap_or_default();
    println!("{:32} {:>12} {:>12} {:>7}", "", "with few", "with many", "ratio");
    if "issuers, a remembered token".contains(&wanted) {
        let keys = SigningKeys::generate([SigningAlgorithm::Es256]);
        compare("issuers, a remembered token", issuers(1, &keys).await, issuers(ISSUERS, &keys).await);
    }
    if "live tenants, a remembered token".contains(&wanted) {
        let keys = SigningKeys::generate([SigningAlgorithm::Es256]);
        compare("live tenants, a remembered token", tenants(1, &keys).await, tenants(ISSUERS, &keys).await);
    }
    if "keys, a new token".contains(&wanted) {
        compare("keys, a new token", keys(1).await, keys(KEYS).await);
    }
    if "remembered tokens".contains(&wanted) {
        compare("remembered tokens", remembered(FEW_TOKENS).await, remembered(MANY_TOKENS).await);
    }
}

fn compare(name: &str, mut few: Side, mut many: Side) {
    for _ in 0..ROUNDS {
        few.round();
        many.round();
    }
    let ratio = many.best.as_secs_f64() / few.best.as_secs_f64();
    println!("{name:32} {:>12.2?} {:>12.2?} {ratio:>7.2}", few.best, many.best);
}

/// A token of one of this many issuers.
async fn issuers(count: usize, keys: &SigningKeys) -> Side {
    let jwks = Mint::new(issuer(0), keys.clone()).jwks_json();
    let builder = (0..count).fold(ResourceServer::builder(), |builder, number| {
        builder.issuer(Issuer::with_jwks(issuer(number), jwks.clone()))
    });
    Side::new(built(builder).await, vec![token_of(0, keys)])
}

/// A token of one of this many tenants, all of which have sent one.
async fn tenants(count: usize, keys: &SigningKeys) -> Side {
    let jwks = Mint::new(issuer(0), keys.clone()).jwks_json();
    let tenants = Tenants::template("https://idp.example/{tenant}", |_| true).max_live(2 * ISSUERS);
    let server = built(ResourceServer::builder().tenants(tenants).fetch(EveryTenant { jwks })).await;
    for number in 0..count {
        server.authenticate(&request(&token_of(number, keys))).await.unwrap();
    }
    Side::new(server, vec![token_of(0, keys)])
}

/// A token that the last of this many keys verifies.
async fn keys(count: usize) -> Side {
    let keys: Vec<SigningKey> = (0..count).map(|_| SigningKey::generate(SigningAlgorithm::EdDsa)).collect();
    let last = keys.last().expect("there is one").clone();
    let jwks = serde_json::json!({ "keys": keys.iter().map(SigningKey::public_jwk).collect::<Vec<_>>() });
    let builder = ResourceServer::builder().issuer(Issuer::with_jwks(issuer(0), jwks.to_string()));
    let server = built(builder.jwt_cache(JwtCacheConfig::off())).await;
    Side::new(server, vec![Mint::new(issuer(0), last.into()).token().issue()])
}

/// This many cached tokens.
async fn remembered(count: usize) -> Side {
    let mint = Mint::new(issuer(0), SigningKey::generate(SigningAlgorithm::EdDsa).into());
    let cache = JwtCacheConfig::default().max_entries(2 * count).max_bytes(count * 4096);
    let builder = ResourceServer::builder().issuer(Issuer::with_jwks(issuer(0), mint.jwks_json()));
    let server = built(builder.jwt_cache(cache)).await;
    let mut sample = Vec::new();
    for number in 0..count {
        let token = mint.token().expires_in(Duration::from_secs(24 * 60 * 60)).issue();
        server.authenticate(&request(&token)).await.unwrap();
        if number % (count / FEW_TOKENS).clamp(1, 5) == 0 {
            sample.push(token);
        }
        if number % 100_000 == 99_999 {
            eprintln!("{} of {count} tokens", number + 1);
        }
    }
    Side::new(server, sample)
}

fn issuer(number: usize) -> String {
    format!("https://idp.example/t{number}")
}

fn token_of(number: usize, keys: &SigningKeys) -> String {
    Mint::new(issuer(number), keys.clone()).token().issue()
}

async fn built(builder: ResourceServerBuilder) -> ResourceServer {
    builder.audience(Mint::AUDIENCE).build().await.unwrap()
}

fn request(token: &str) -> Parts {
    Request::builder().header(AUTHORIZATION, format!("Bearer {token}")).body(()).unwrap().into_parts().0
}
