//! What trusting many issuers costs a request that one of them sent: the same token, judged beside 1 and beside 10 000
//! issuers, and beside as many live tenants.
//!
//! `cargo bench -p scopegate-tests --bench many_issuers`

#![allow(missing_docs, reason = "a benchmark has no API")]

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use http::{HeaderMap, Request, Response, header::AUTHORIZATION, request::Parts};
use scopegate_core::{
    BoxFuture, Issuer, ResourceServer, ResourceServerBuilder, Tenants,
    fetch::{Fetch, FetchError, FetchLimits},
};
use scopegate_testing::{Mint, SigningAlgorithm, SigningKeys};

const ROUNDS: u32 = 15;
const CHECKS: u32 = 400;
const MANY: usize = 10_000;

/// Answers as every tenant would.
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

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let keys = SigningKeys::generate([SigningAlgorithm::Es256]);
    let issuer = |number: usize| format!("https://idp.example/t{number}");
    let token = |number: usize| Mint::new(issuer(number), keys.clone()).token().sign();
    let jwks = Mint::new(issuer(0), keys.clone()).jwks_json();

    let fixed = |count: usize| {
        (0..count).fold(ResourceServer::builder(), |builder, number| {
            builder.issuer(Issuer::with_jwks(issuer(number), jwks.clone()))
        })
    };
    let tenants = || {
        let tenants = Tenants::template("https://idp.example/{tenant}", |_| true).max_live(2 * MANY);
        ResourceServer::builder().tenants(tenants).fetch(EveryTenant { jwks: jwks.clone() })
    };
    let one = built(fixed(1)).await;
    let many = built(fixed(MANY)).await;
    let one_tenant = built(tenants()).await;
    let many_tenants = built(tenants()).await;
    for number in 0..MANY {
        many_tenants.authenticate(&request(&token(number))).await.unwrap();
    }
    one_tenant.authenticate(&request(&token(0))).await.unwrap();

    let request = request(&token(0));
    let servers = [&one, &many, &one_tenant, &many_tenants];
    // In turn, and the best of each, so that what else the machine does counts for none.
    let mut best = [Duration::MAX; 4];
    for _ in 0..ROUNDS {
        for (best, server) in best.iter_mut().zip(servers) {
            *best = (*best).min(time(|| {
                let _ = black_box(server.authenticate(&request).try_now().expect("at once").expect("good"));
            }));
        }
    }
    println!("{:22} {:>12} {:>12} {:>7}", "", "1", MANY, "ratio");
    for (name, pair) in [("issuers", &best[..2]), ("live tenants", &best[2..])] {
        let ratio = pair[1].as_secs_f64() / pair[0].as_secs_f64();
        println!("{name:22} {:>12.2?} {:>12.2?} {ratio:>7.2}", pair[0], pair[1]);
    }
}

async fn built(builder: ResourceServerBuilder) -> ResourceServer {
    builder.audience(Mint::AUDIENCE).build().await.unwrap()
}

fn request(token: &str) -> Parts {
    Request::builder().header(AUTHORIZATION, format!("Bearer {token}")).body(()).unwrap().into_parts().0
}

#[expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
fn time(check: impl Fn()) -> Duration {
    let start = Instant::now();
    (0..CHECKS).for_each(|_| check());
    start.elapsed() / CHECKS
}
