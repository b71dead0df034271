//! Used proofs: what each takes, what happens when there is no room, and that a forged one takes none.
//!
//! Every proof is a genuine one in a request to a service, and the window of all of them stands open until the end. A few
//! thousand are sent by default; the numbers that the documentation of `Dpop::replay_memory` gives are those of
//!
//! ```text
//! MEMORY_PROOFS=1000000 cargo test --release -p scopegate-tests --test memory -- dpop --nocapture --test-threads 1
//! ```
//!
//! which sends a million, and a tenth as many forged ones. It takes some minutes.

use std::collections::HashMap;

use http::StatusCode;
use scopegate_axum::{Reason, dpop::Dpop};
use scopegate_testing::{DpopClient, ProofBuilder, TestClock};

use super::*;

const URL: &str = "https://api.example/none";

/// How many proofs are signed before they are sent.
const BATCH: usize = 1000;

/// The number of proofs.
fn proofs() -> usize {
    env::var("MEMORY_PROOFS").map_or(20_000, |number| number.parse().expect("MEMORY_PROOFS is a number"))
}

/// A service, a client, and a token that is bound to it.
struct Rig {
    runtime: Runtime,
    clock: TestClock,
    router: Router,
    client: DpopClient,
    token: String,
    /// The bytes that requests have left behind.
    held: i64,
    /// The most that there were at one time, with those of the request in progress.
    peak: i64,
}

impl Rig {
    fn new(dpop: Dpop) -> Self {
        let (runtime, clock) = (runtime(), clock());
        let keys = SigningKeys::from(SigningKey::generate(SigningAlgorithm::Es256).with_key_id("k"));
        let mint = Mint::new(ISSUER, keys.clone()).with_audience(AUDIENCE).with_clock(clock.clone());
        let client = DpopClient::generate(SigningAlgorithm::EdDsa).with_clock(clock.clone());
        let token = mint.token().claim("exp", NOW + 7200).bound_to(&client).issue();
        let builder = ResourceServer::builder()
            .issuer(Issuer::with_jwks(ISSUER, keys.jwks_json()))
            .audience(AUDIENCE)
            .clock(clock.clone())
            .dpop(dpop.public_url("https://api.example"));
        let router = router(runtime.block_on(builder.build()).expect("good settings"));
        Self { runtime, clock, router, client, token, held: 0, peak: 0 }
    }

    /// Sends a few requests, so that what is cached but for used proofs is not measured: the token, its key, and the text of
    /// refusals.
    fn warm_up(&mut self) {
        let few: Vec<String> = (0..3).map(|_| self.proof().issue()).collect();
        self.send(&few, |_, status, _| assert_eq!(status, 200));
        self.assert_used(&few);
        let late = self.proof().issued_ago(Duration::from_secs(61)).issue();
        self.send(&[late], |_, status, _| assert_eq!(status, 401));
        (self.held, self.peak) = (0, 0);
    }

    /// A good proof.
    fn proof(&self) -> ProofBuilder {
        self.client.proof("GET", URL).for_token(&self.token)
    }

    /// Sends requests with these proofs, and measures what they leave behind.
    fn send(&mut self, proofs: &[String], mut check: impl FnMut(usize, StatusCode, Option<Reason>)) {
        let info = allocation_counter::measure(|| {
            for (number, proof) in proofs.iter().enumerate() {
                let request = Request::get("/none").header("authorization", format!("DPoP {}", self.token));
                let request = request.header("dpop", proof).body(Body::empty()).expect("a request");
                let answer = self.runtime.block_on(self.router.clone().oneshot(request)).expect("infallible");
                check(number, answer.status(), answer.extensions().get().copied());
            }
        });
        self.peak = self.peak.max(self.held + i64::try_from(info.bytes_max).expect("few"));
        self.held += info.bytes_current;
    }

    /// Asserts that each of these proofs is refused as one that was used.
    fn assert_used(&mut self, proofs: &[String]) {
        assert!(!proofs.is_empty());
        self.send(proofs, |number, status, reason| {
            assert_eq!((status.as_u16(), reason), (401, Some(Reason::RepeatedDpopProof)), "{number}");
        });
    }

    /// Asserts that each of these proofs is remembered for as long as it is fresh, and refused after that.
    fn assert_used_to_the_end(&mut self, proofs: &[String]) {
        self.assert_used(proofs);
        self.clock.advance(Duration::from_secs(60));
        self.assert_used(proofs);
        self.clock.advance(Duration::from_secs(1));
        self.send(proofs, |number, status, reason| {
            assert_eq!((status.as_u16(), reason), (401, Some(Reason::InvalidDpopProof)), "{number}");
        });
    }
}

fn bytes(number: usize) -> i64 {
    i64::try_from(number).expect("few")
}

#[test]
fn dpop_11_d_17_a_used_proof_takes_less_than_64_bytes_and_is_not_forgotten() {
    let mut rig = Rig::new(Dpop::new());
    rig.warm_up();
    let (number, mut sent, mut sample, mut worst) = (proofs(), 0, Vec::new(), 0.0_f64);
    while sent < number {
        let batch: Vec<String> = (0..BATCH.min(number - sent)).map(|_| rig.proof().issue()).collect();
        rig.send(&batch, |_, status, reason| assert_eq!((status.as_u16(), reason), (200, None)));
        sent += batch.len();
        sample.extend(batch.into_iter().step_by((number / 1000).max(1)));
        // Tables begin with room for more than a few.
        if sent >= 10 * BATCH {
            worst = worst.max(rig.held as f64 / sent as f64);
            assert!(worst < 64.0, "{worst} bytes each, of {sent}");
        }
        assert!(sent > 1_000_000 || rig.peak <= bytes(64 << 20), "{} bytes of {sent}", rig.peak);
    }
    println!(
        "{number} proofs: {} bytes, {:.1} each; {worst:.1} each at most, and {} bytes at the peak; {} sent again",
        rig.held,
        rig.held as f64 / number as f64,
        rig.peak,
        sample.len()
    );
    let held = rig.held;
    rig.assert_used_to_the_end(&sample);
    assert_eq!(rig.held, held, "a refusal takes memory");
}

#[test]
fn dpop_11_d_17_when_the_memory_is_full_new_proofs_are_answered_503_and_none_is_forgotten() {
    let limit = (proofs() * 10).max(64 * 1024);
    let mut rig = Rig::new(Dpop::new().replay_memory(limit));
    rig.warm_up();
    let (mut answers, mut used, mut refused) = (HashMap::new(), Vec::new(), Vec::new());
    for _ in 0..proofs().div_ceil(BATCH) {
        let batch: Vec<String> = (0..BATCH).map(|_| rig.proof().issue()).collect();
        // With its memory, which is not to be measured.
        let mut passed = Vec::with_capacity(BATCH);
        rig.send(&batch, |_, status, reason| passed.push((status.as_u16(), reason)));
        for (proof, answer) in batch.into_iter().zip(passed) {
            *answers.entry(answer).or_insert(0) += 1;
            if answer.0 == 200 { used.push(proof) } else { refused.push(proof) }
        }
        assert!(rig.held <= bytes(limit), "{} bytes of {limit}", rig.held);
    }
    let full = (503, Some(Reason::ReplayCheckUnavailable));
    assert!(answers.keys().all(|answer| [(200, None), full].contains(answer)), "{answers:?}");
    println!("{limit} bytes: {} proofs and {} bytes are held, {} were refused", used.len(), rig.held, refused.len());
    assert!(used.len() * 64 > limit, "{} have filled {limit} bytes", used.len());
    assert!(refused.len() > proofs() / 10, "{answers:?}");
    let sample: Vec<String> = used.into_iter().step_by((proofs() / 2000).max(1)).collect();
    rig.assert_used_to_the_end(&sample);
    // By then their room is free.
    rig.clock.advance(Duration::from_secs(20));
    let more: Vec<String> = (0..BATCH).map(|_| rig.proof().issue()).collect();
    rig.send(&more, |_, status, reason| assert_eq!((status.as_u16(), reason), (200, None)));
}

#[test]
fn dpop_20_forged_proofs_leave_the_memory_empty() {
    let mut rig = Rig::new(Dpop::new());
    let thief = DpopClient::generate(SigningAlgorithm::EdDsa).with_clock(rig.clock.clone());
    let forged = |rig: &Rig, number: usize| {
        let proof = rig.proof().jti(format!("forged-{number}"));
        let forged = match number % 4 {
            0 => proof.tampered(),
            1 => proof.signed_by(thief.key()),
            // A good proof, by a key that the token is not bound to.
            2 => thief.proof("GET", URL).for_token(&rig.token).jti(format!("forged-{number}")),
            _ => proof.url("https://api.example/other"),
        };
        forged.issue()
    };
    let refused = |number: usize, status: StatusCode, reason: Option<Reason>| {
        let expected = if number % 4 == 2 { Reason::BindingMismatch } else { Reason::InvalidDpopProof };
        assert_eq!((status.as_u16(), reason), (401, Some(expected)), "{number}");
    };
    // The token is cached with the first requests.
    let first: Vec<String> = (0..400).map(|number| forged(&rig, number)).collect();
    rig.send(&first, refused);
    rig.held = 0;
    let number = (proofs() / 10).next_multiple_of(BATCH);
    for batch in 0..number / BATCH {
        let batch: Vec<String> = (0..BATCH).map(|place| forged(&rig, batch * BATCH + place)).collect();
        rig.send(&batch, refused);
        assert_eq!(rig.held, 0, "forged proofs are remembered");
    }
    println!("{number} forged proofs: {} bytes", rig.held);
    // The first good proof takes memory, and the identifiers of forged ones are not taken.
    let good: Vec<String> =
        (0..number).step_by(97).map(|seen| rig.proof().jti(format!("forged-{seen}")).issue()).collect();
    rig.send(&good[..1], |_, status, reason| assert_eq!((status.as_u16(), reason), (200, None)));
    assert!(rig.held > 0, "the measurement does not see the store");
    rig.send(&good[1..], |_, status, reason| assert_eq!((status.as_u16(), reason), (200, None)));
}
