//! The cost of a request with a token that is bound to a key, beside the check of its proof's signature alone, in one run.
//!
//! `cargo bench -p scopegate-tests --bench dpop`
//!
//! The token is remembered; each request has a proof of its own, and used proofs are remembered. Each figure is the best of many
//! alternating rounds, so that other load on the machine does not matter. Allocations are counted, not estimated.
//!
//! A forged proof is measured beside the check that it causes: that of the same bad signature, or, for a proof by a stranger's key,
//! that of a signature by a key that is not prepared.

#![allow(missing_docs, reason = "a benchmark has no API")]

mod support;

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use http::{HeaderValue, Request, StatusCode, header::AUTHORIZATION, request::Parts};
use scopegate_axum::{Authenticate, Issuer, RequireScope, ResourceServer, dpop::Dpop};
use scopegate_testing::{DpopClient, Mint, ProofBuilder, SigningAlgorithm, SigningKey};
use tower::Layer as _;

use crate::support::{AUDIENCE, INNER, ISSUER, call, public_key, signed, unprepared_key, usual};

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

        let stranger = DpopClient::generate(algorithm);
        let by_stranger = stranger.proof("GET", URL).for_token(&token);
        let strangers_key = unprepared_key(stranger.key());
        let [mut bare, mut bare_bad, mut bare_strange] = [Cost::NONE; 3];
        let [mut whole, mut forged, mut refused, mut strange] = [Cost::NONE; 4];
        for round in 0..=ROUNDS {
            // Here, since a proof gets old.
            let proofs = |proof: &ProofBuilder| (0..PROOFS).map(|_| proof.issue()).collect::<Vec<_>>();
            let (good, bad, strangers) = (proofs(&proof), proofs(&proof.clone().tampered()), proofs(&by_stranger));
            let signed_of = |proofs: &[String]| proofs.iter().map(|proof| signed(proof)).collect::<Vec<_>>();
            let requests = |proofs: &[String]| proofs.iter().map(|proof| request(&token, proof)).collect::<Vec<_>>();
            let heads =
                |proofs: &[String]| requests(proofs).into_iter().map(|request| request.into_parts().0).collect();
            let refuse = |head: Parts| {
                black_box(server.authenticate(&head).try_now().unwrap().unwrap_err());
            };
            bare.measure(round, signed_of(&good), |(input, signature)| {
                key.verify_sig(black_box(input.as_bytes()), &signature).unwrap();
            });
            whole.measure(round, requests(&good), |request| call(&mut gate, request, StatusCode::OK));
            bare_bad.measure(round, signed_of(&bad), |(input, signature)| {
                key.verify_sig(black_box(input.as_bytes()), &signature).unwrap_err();
            });
            forged.measure(round, heads(&bad), refuse);
            refused.measure(round, requests(&bad), |request| call(&mut gate, request, StatusCode::UNAUTHORIZED));
            bare_strange.measure(round, signed_of(&strangers), |(input, signature)| {
                strangers_key(black_box(input.as_bytes()), &signature);
            });
            strange.measure(round, heads(&strangers), refuse);
        }
        println!("{}", algorithm.name());
        for (name, cost, bare) in [
            ("signature check alone", bare, bare),
            ("gate, same token, new proof", whole, bare),
            ("check of a bad signature alone", bare_bad, bare_bad),
            ("bad signature", forged, bare_bad),
            ("bad signature, with the answer", refused, bare_bad),
            ("check by a new key alone", bare_strange, bare_strange),
            ("by another key", strange, bare_strange),
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
