//! The cost of a request with a token that is bound to a key, beside the check of its proof's signature alone, in one run.
//!
//! `cargo bench -p scopegate-tests --bench dpop`
//!
//! The token is remembered; each request has a proof of its own, and used proofs are remembered. Each figure is the best of many
//! alternating rounds, so that other load on the machine does not matter. Allocations are counted, not estimated.

#![allow(missing_docs, reason = "a benchmark has no API")]

mod support;

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use http::{HeaderValue, Request, StatusCode, header::AUTHORIZATION};
use scopegate_axum::{Authenticate, Issuer, RequireScope, ResourceServer, dpop::Dpop};
use scopegate_testing::{DpopClient, Mint, SigningAlgorithm, SigningKey};
use tower::Layer as _;

use crate::support::{AUDIENCE, INNER, ISSUER, call, public_key, signed, usual};

const ROUNDS: usize = 40;
/// Proofs per round.
const PROOFS: usize = 200;
const URL: &str = "https://api.example/messages";

/// The best time and the least allocations of one call.
#[derive(Clone, Copy)]
struct Cost {
    time: Duration,
    allocations: u64,
}

impl Cost {
    const NONE: Self = Self { time: Duration::MAX, allocations: u64::MAX };

    /// Measures the time of each item's `work`; in the last round, in place of it, the allocations.
    #[expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
    fn measure<T>(&mut self, round: usize, items: Vec<T>, mut work: impl FnMut(T)) {
        if round == ROUNDS {
            let counted = allocation_counter::measure(|| items.into_iter().for_each(&mut work));
            self.allocations = counted.count_total / PROOFS as u64;
            return;
        }
        let start = Instant::now();
        items.into_iter().for_each(&mut work);
        self.time = self.time.min(start.elapsed() / PROOFS as u32);
    }
}

fn request(token: &str, proof: &str) -> Request<()> {
    let request = Request::get(URL).header(AUTHORIZATION, format!("DPoP {token}"));
    request.header("dpop", HeaderValue::try_from(proof).unwrap()).body(()).unwrap()
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    println!("{:34} {:>11} {:>9} {:>9} {:>7}", "", "time", "/ bare", "+ bare", "allocs");
    for algorithm in [SigningAlgorithm::Es256, SigningAlgorithm::EdDsa, SigningAlgorithm::Rs256] {
        let mint = Mint::new(ISSUER, SigningKey::generate(SigningAlgorithm::EdDsa).into());
        let server = ResourceServer::builder()
            .issuer(Issuer::with_jwks(ISSUER, mint.jwks_json()))
            .audience(AUDIENCE)
            .dpop(Dpop::new().public_url(AUDIENCE))
            .build()
            .await
            .unwrap();
        let mut gate = Authenticate::new(server.clone()).layer(RequireScope::new("message").layer(INNER));
        let client = DpopClient::generate(algorithm);
        let token = usual(mint.token()).bound_to(&client).issue();
        let proof = client.proof("GET", URL).for_token(&token);
        let key = public_key(client.key());

        let by_stranger = DpopClient::generate(algorithm).proof("GET", URL).for_token(&token);
        let [mut bare, mut whole, mut forged, mut refused, mut strange] = [Cost::NONE; 5];
        for round in 0..=ROUNDS {
            // Here, since a proof gets old.
            let proofs: Vec<String> = (0..PROOFS).map(|_| proof.issue()).collect();
            let requests = proofs.iter().map(|proof| request(&token, proof)).collect();
            let forgeries = || (0..PROOFS).map(|_| request(&token, &proof.clone().tampered().issue()));
            bare.measure(round, proofs.iter().map(|proof| signed(proof)).collect(), |(input, signature)| {
                key.verify_sig(black_box(input.as_bytes()), &signature).unwrap();
            });
            whole.measure(round, requests, |request| call(&mut gate, request, StatusCode::OK));
            let strangers = (0..PROOFS).map(|_| request(&token, &by_stranger.issue()).into_parts().0).collect();
            strange.measure(round, strangers, |request| {
                black_box(server.authenticate(&request).try_now().unwrap().unwrap_err());
            });
            forged.measure(round, forgeries().map(|request| request.into_parts().0).collect(), |request| {
                black_box(server.authenticate(&request).try_now().unwrap().unwrap_err());
            });
            refused.measure(round, forgeries().collect(), |request| {
                call(&mut gate, request, StatusCode::UNAUTHORIZED);
            });
        }
        println!("{}", algorithm.name());
        for (name, cost) in [
            ("signature check alone", bare),
            ("gate, same token, new proof", whole),
            ("bad signature", forged),
            ("bad signature, with the answer", refused),
            ("by another key", strange),
        ] {
            println!(
                "  {name:32} {:>11.2?} {:>9.3} {:>8.2}u {:>7}",
                cost.time,
                cost.time.as_secs_f64() / bare.time.as_secs_f64(),
                (cost.time.as_secs_f64() - bare.time.as_secs_f64()) * 1e6,
                cost.allocations
            );
        }
    }
}
