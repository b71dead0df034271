//! The cost of a request: the whole layer (credentials, verification, scope, extension), beside the signature check alone and
//! beside the same service without the layer, in one run.
//!
//! `cargo bench -p scopegate-tests --bench cost`, or `-- "same token"` to filter by name, `-- memory` for the size of a cached
//! token, `-- threads` for two threads beside one, or `-- router` for `ProtectedRouter` beside the layers on axum's router
//!
//! Each figure is the best of many alternating rounds, so that other load on the machine does not matter; for two threads it
//! is the median. Allocations are counted, not estimated.

#![allow(missing_docs, reason = "a benchmark has no API")]

mod support;

use std::{
    convert::Infallible,
    env,
    hint::black_box,
    sync::Barrier,
    thread,
    time::{Duration, Instant},
};

use axum::{Router, routing::get};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::{
    HeaderValue, Request, Response, StatusCode,
    header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, WWW_AUTHENTICATE},
};
use scopegate_axum::{Authenticate, JwtCacheConfig, ProtectedRouter, Reason, RequireScope, scope};
use scopegate_testing::{Mint, SigningAlgorithm, SigningKey};
use tower::{Layer as _, Service};

use crate::support::{Answers, Body, INNER, ISSUER, call, request, server, signature_check, usual};

const ROUNDS: usize = 40;
/// Calls per round.
const CALLS: usize = 200;

/// The bare service, with one extension for the handler.
fn with_extension(mut request: Request<()>) -> Response<Body> {
    request.extensions_mut().insert([0_usize; 8]);
    black_box(request);
    Response::new(Body::default())
}

/// Builds the refusal of a request without credentials.
fn refusing(request: Request<()>) -> Response<Body> {
    black_box(request);
    let problem = Bytes::from_static(Reason::MissingCredentials.problem().as_bytes());
    let length = problem.len();
    let mut response = Response::new(Body::from(problem));
    *response.status_mut() = StatusCode::UNAUTHORIZED;
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"https://api.example\""));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    response.extensions_mut().insert(Reason::MissingCredentials);
    response
}

/// The best time and the least allocations of one call.
#[derive(Clone, Copy)]
struct Cost {
    time: Duration,
    allocations: u64,
}

impl Cost {
    const NONE: Self = Self { time: Duration::MAX, allocations: u64::MAX };

    fn nanoseconds(self) -> f64 {
        self.time.as_nanos() as f64
    }
}

/// A benchmark: prepares a round, then runs it.
struct Measured<'a> {
    name: &'static str,
    round: Box<dyn FnMut(Metric) -> (Duration, u64) + 'a>,
    best: Cost,
}

/// What a round measures. Counting allocations takes time, so it is one or the other.
#[derive(Clone, Copy)]
enum Metric {
    Allocations,
    Time,
}

/// The time or the allocations of the work; the maximum for what is not measured.
#[expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
fn measured(metric: Metric, work: impl FnOnce()) -> (Duration, u64) {
    match metric {
        Metric::Allocations => (Duration::MAX, allocation_counter::measure(work).count_total),
        Metric::Time => {
            let start = Instant::now();
            work();
            (start.elapsed(), u64::MAX)
        }
    }
}

/// Calls a service with prepared requests.
fn calls<'a, S, B>(name: &'static str, mut service: S, requests: Vec<Request<()>>, status: StatusCode) -> Measured<'a>
where
    S: Service<Request<()>, Response = Response<B>, Error = Infallible> + 'a,
{
    let round = move |metric| {
        let batch: Vec<Request<()>> = requests.iter().cycle().take(CALLS).cloned().collect();
        measured(metric, || {
            for request in batch {
                call(&mut service, request, status);
            }
        })
    };
    Measured { name, round: Box::new(round), best: Cost::NONE }
}

fn measure(measured: &mut [Measured<'_>]) {
    for round in 0..=ROUNDS {
        // The last round is in the steady state.
        let metric = if round == ROUNDS { Metric::Allocations } else { Metric::Time };
        for one in &mut *measured {
            let (time, allocations) = (one.round)(metric);
            one.best.time = one.best.time.min(time / CALLS as u32);
            one.best.allocations = one.best.allocations.min(allocations / CALLS as u64);
        }
    }
}

/// The size of a cached token beyond the bytes of its claims.
async fn memory() {
    const TOKENS: usize = 100_000;
    let key = SigningKey::generate(SigningAlgorithm::EdDsa);
    let mint = Mint::new(ISSUER, key.into());
    let tokens = || (0..TOKENS).map(|number| usual(mint.token()).claim("jti", number.to_string()).issue());
    let (mut requests, mut claims) = (Vec::with_capacity(TOKENS), 0);
    for token in tokens() {
        let payload = token.split('.').nth(1).unwrap();
        claims += URL_SAFE_NO_PAD.decode(payload).unwrap().len();
        requests.push(request(Some(&token)).into_parts().0);
    }
    let server = server(&mint, JwtCacheConfig::default().max_entries(2 * TOKENS).max_bytes(TOKENS * 4096)).await;
    let taken = allocation_counter::measure(|| {
        for request in &requests {
            drop(black_box(server.authenticate(request).try_now().unwrap().unwrap()));
        }
    });
    let (taken, claims) = (taken.bytes_current as f64 / TOKENS as f64, claims as f64 / TOKENS as f64);
    println!(
        "\nmemory: {taken:.0} bytes a remembered token, {:.0} beside its claims ({TOKENS} tokens)",
        taken - claims
    );
}

/// The throughput of two threads relative to one, with a cached token and without the layer.
async fn threads() {
    let key = SigningKey::generate(SigningAlgorithm::Rs256);
    let mint = Mint::new(ISSUER, key.into());
    let token = usual(mint.token()).issue();
    let server = server(&mint, JwtCacheConfig::default()).await;
    let gate = Authenticate::new(server).layer(RequireScope::new("message").layer(INNER));
    let (mut without, mut with) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        without.push(throughput(&INNER, 2, &token) / throughput(&INNER, 1, &token));
        with.push(throughput(&gate, 2, &token) / throughput(&gate, 1, &token));
    }
    let (without, with) = (median(without), median(with));
    println!("\ntwo threads: {without:.2} times one without a gate, {with:.2} with it: {:.2}", with / without);
}

/// The time of a cached, routed request by `ProtectedRouter` relative to the same layers on a router of axum.
async fn router() {
    let mint = Mint::new(ISSUER, SigningKey::generate(SigningAlgorithm::Rs256).into());
    let server = server(&mint, JwtCacheConfig::default()).await;
    let handler = || get(async || StatusCode::OK);
    let layers = Router::new()
        .route("/messages", handler().route_layer(RequireScope::new("message")))
        .route_layer(Authenticate::new(server.clone()));
    let protected = ProtectedRouter::new(server).route("/messages", scope("message"), handler()).into_router();
    let token = usual(mint.token()).issue();
    let mut batches = [layers, protected].map(|mut router| {
        let request = request(Some(&token)).map(|()| axum::body::Body::empty());
        let (head, _) = request.into_parts();
        move || {
            let requests = || Request::from_parts(head.clone(), axum::body::Body::empty());
            let batch: Vec<_> = std::iter::repeat_with(requests).take(CALLS).collect();
            let work = || batch.into_iter().for_each(|request| call(&mut router, request, StatusCode::OK));
            measured(Metric::Time, work).0.as_nanos() as f64
        }
    });
    let ratios = (0..50 * ROUNDS)
        .map(|round| {
            // Each goes first in every other round.
            let (first, second) = (round % 2, 1 - round % 2);
            let mut times = [0.0; 2];
            times[first] = batches[first]();
            times[second] = batches[second]();
            times[1] / times[0]
        })
        .collect();
    println!("\nProtectedRouter: {:.3} times the same layers on axum's router", median(ratios));
}

fn median(mut ratios: Vec<f64>) -> f64 {
    ratios.sort_unstable_by(f64::total_cmp);
    ratios[ratios.len() / 2]
}

/// Requests per second by this many threads, each with its own service and requests.
#[expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
fn throughput<S, B>(service: &S, threads: usize, token: &str) -> f64
where
    S: Service<Request<()>, Response = Response<B>, Error = Infallible> + Clone + Send,
{
    const EACH: usize = 50_000;
    let (begin, services) = (&Barrier::new(threads), vec![service.clone(); threads]);
    let slowest = thread::scope(|scope| {
        let running: Vec<_> = services
            .into_iter()
            .map(|mut service| {
                scope.spawn(move || {
                    let request = request(Some(token));
                    begin.wait();
                    let start = Instant::now();
                    for _ in 0..EACH {
                        call(&mut service, request.clone(), StatusCode::OK);
                    }
                    start.elapsed()
                })
            })
            .collect();
        running.into_iter().map(|thread| thread.join().expect("no thread panics")).max().unwrap_or_default()
    });
    (threads * EACH) as f64 / slowest.as_secs_f64()
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    match env::args().nth(1).as_deref() {
        Some("memory") => return memory().await,
        Some("threads") => return threads().await,
        Some("router") => return router().await,
        _ => {}
    }
    println!("{:34} {:>11} {:>9} {:>9} {:>7}", "", "time", "/ bare", "+ bare", "allocs");
    for algorithm in [SigningAlgorithm::Rs256, SigningAlgorithm::Es256, SigningAlgorithm::EdDsa] {
        let key = SigningKey::generate(algorithm);
        let mint = Mint::new(ISSUER, key.clone().into());
        let forgetful = server(&mint, JwtCacheConfig::off()).await;
        let server = server(&mint, JwtCacheConfig::default()).await;
        let gate = || Authenticate::new(server.clone()).layer(RequireScope::new("message").layer(INNER));
        let token = || usual(mint.token()).algorithm(algorithm);
        let good = token().issue();
        let check = signature_check(&key, &good);
        let bare = Measured {
            name: "signature check alone",
            round: Box::new(move |metric| {
                measured(metric, || {
                    for _ in 0..CALLS {
                        check();
                    }
                })
            }),
            best: Cost::NONE,
        };
        let distinct: Vec<_> =
            (0..CALLS).map(|number| request(Some(&token().claim("jti", number.to_string()).issue()))).collect();
        let one = |token: &str| vec![request(Some(token))];
        let mut all = vec![
            bare,
            calls("no gate", INNER, one(&good), StatusCode::OK),
            calls("no gate, one extension", Answers(with_extension), one(&good), StatusCode::OK),
            calls("gate, same token", gate(), one(&good), StatusCode::OK),
            calls("gate, 200 tokens in turn", gate(), distinct, StatusCode::OK),
            calls(
                "gate, nothing remembered",
                Authenticate::new(forgetful).layer(RequireScope::new("message").layer(INNER)),
                one(&good),
                StatusCode::OK,
            ),
            calls("403, same token", gate(), one(&token().scope("profile").issue()), StatusCode::FORBIDDEN),
            calls("the same answer without a gate", Answers(refusing), vec![request(None)], StatusCode::UNAUTHORIZED),
            calls("no credentials", gate(), vec![request(None)], StatusCode::UNAUTHORIZED),
            calls("garbage", gate(), one("garbage"), StatusCode::UNAUTHORIZED),
            calls("expired", gate(), one(&token().expired().issue()), StatusCode::UNAUTHORIZED),
            calls("wrong audience", gate(), one(&token().audience("https://x").issue()), StatusCode::UNAUTHORIZED),
            calls("wrong issuer", gate(), one(&token().claim("iss", "https://x").issue()), StatusCode::UNAUTHORIZED),
            calls("wrong algorithm", gate(), one(&token().hs256_with_public_key().issue()), StatusCode::UNAUTHORIZED),
            calls("unknown key", gate(), one(&token().key_id("x").issue()), StatusCode::UNAUTHORIZED),
            calls("bad signature", gate(), one(&token().tampered_signature().issue()), StatusCode::UNAUTHORIZED),
        ];
        if let Some(wanted) = env::args().nth(1).filter(|argument| !argument.starts_with("--")) {
            all.retain(|one| one.name.contains(&wanted) || one.name == "signature check alone");
        }
        measure(&mut all);
        let bare = all[0].best;
        println!("{} ({} bytes)", algorithm.name(), good.len());
        for one in &all {
            println!(
                "  {:32} {:>11.2?} {:>9.3} {:>8.2}u {:>7}",
                one.name,
                one.best.time,
                one.best.nanoseconds() / bare.nanoseconds(),
                (one.best.nanoseconds() - bare.nanoseconds()) / 1000.0,
                one.best.allocations
            );
        }
    }
    memory().await;
    threads().await;
    router().await;
}
