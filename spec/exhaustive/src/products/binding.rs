//! What a token is bound to, and what the client shows.

use scopegate_spec::Demand;
use scopegate_spec_compare::{
    mutation::{Form, LineEdit, Mutation},
    request::NOW,
};

use super::axis;
use crate::{
    facts::{Axis, Facts, Product},
    proof::{CERTIFICATES, CONFIRMATIONS, Draft},
    setup::Proofs,
};

pub(super) fn products() -> Vec<Product> {
    vec![
        Product {
            name: "binding",
            is_pair: false,
            base: |facts| facts.setup.world.demand = Some(Demand::Scope("message".to_owned())),
            configuration: vec![PROOFS, CERTIFICATE_BINDING, BINDING],
            request: vec![CONFIRMATION, SCHEME, PROOF, NONCE, CERTIFICATE, STATE],
        },
        Product {
            name: "repeated proofs",
            is_pair: false,
            base: |facts| {
                facts.setup.dpop = Some(Proofs::default());
                facts.setup.world.demand = Some(Demand::Scope("message".to_owned()));
                facts.plan.mutations.push(Mutation::Line(LineEdit::Scheme("DPoP")));
                facts.claim("cnf", &CONFIRMATIONS[0]);
                facts.proof = Some(|_| {});
                facts.times = 3;
            },
            configuration: vec![MEMORY, CERTIFICATE_BINDING, BINDING],
            request: vec![CONFIRMATION, PROOF_AGAIN, NONCE, CERTIFICATE, STATE],
        },
    ]
}

const PROOFS: Axis = axis(
    "DPoP",
    &[
        ("off", |_| {}),
        ("on", |facts| facts.setup.dpop = Some(Proofs::default())),
        ("on, with nonces", |facts| facts.setup.dpop = Some(Proofs { nonces: true, accept_repeated: false })),
    ],
);

const MEMORY: Axis = axis(
    "used proofs",
    &[
        ("are remembered", |_| {}),
        ("are remembered, with nonces", |facts| {
            facts.setup.dpop = Some(Proofs { nonces: true, accept_repeated: false });
        }),
        ("are good", |facts| facts.setup.dpop = Some(Proofs { nonces: false, accept_repeated: true })),
    ],
);

const CERTIFICATE_BINDING: Axis =
    axis("certificate binding", &[("off", |_| {}), ("on", |facts| facts.setup.certificates = true)]);

pub(super) const BINDING: Axis =
    axis("unbound tokens", &[("accepted", |_| {}), ("refused", |facts| facts.setup.require_binding = true)]);

pub(super) const CONFIRMATION: Axis = axis(
    "cnf",
    &[
        ("as it was", |_| {}),
        ("absent", |facts| facts.change(Mutation::NoClaim("cnf"))),
        ("the client's key", |facts| facts.claim("cnf", &CONFIRMATIONS[0])),
        ("another key", |facts| facts.claim("cnf", &CONFIRMATIONS[1])),
        ("the client's certificate", |facts| facts.claim("cnf", &CONFIRMATIONS[2])),
        ("both of the client's", |facts| facts.claim("cnf", &CONFIRMATIONS[3])),
        ("unknown", |facts| facts.claim("cnf", "{\"kid\":\"1\"}")),
        ("jkt of 5", |facts| facts.claim("cnf", "{\"jkt\":5}")),
        ("empty", |facts| facts.claim("cnf", "{}")),
        ("null", |facts| facts.claim("cnf", "null")),
    ],
);

pub(super) const SCHEME: Axis = axis(
    "scheme of the client",
    &[("Bearer", |_| {}), ("DPoP", |facts| facts.change(Mutation::Line(LineEdit::Scheme("DPoP"))))],
);

const PROOF: Axis = axis(
    "proof",
    &[
        ("absent", |_| {}),
        ("good", |facts| facts.proof = Some(|_| {})),
        ("twice", |facts| facts.proof = Some(|proof| proof.lines = 2)),
        ("by another key", |facts| facts.proof = Some(Draft::by_other_key)),
        ("signed by another key", |facts| facts.proof = Some(|proof| proof.key = 2)),
        ("another bit in its signature", |facts| {
            facts.proof = Some(|proof| {
                proof.edit = |text| text.replace_range(text.len() - 9..text.len() - 8, "_");
            });
        }),
        ("no signature", |facts| {
            facts.proof = Some(|proof| proof.edit = |text| text.truncate(text.rfind('.').map_or(0, |dot| dot + 1)));
        }),
        ("text", |facts| facts.proof = Some(|proof| proof.edit = |text| "x".clone_into(text))),
        ("typ of JWT", |facts| facts.proof = Some(|proof| proof.header("typ", "\"JWT\""))),
        ("alg of ES256", |facts| facts.proof = Some(|proof| proof.header("alg", "\"ES256\""))),
        ("alg of none", |facts| facts.proof = Some(|proof| proof.header("alg", "\"none\""))),
        ("alg of EdDSA", |facts| facts.proof = Some(|proof| proof.header("alg", "\"EdDSA\""))),
        ("jwk absent", |facts| {
            facts.proof = Some(|proof| proof.header.retain(|(name, _)| name != "jwk"));
        }),
        ("a private jwk", |facts| facts.proof = Some(|proof| proof.key_member("d", "\"AAAA\""))),
        ("crit", |facts| facts.proof = Some(|proof| proof.header("crit", "[\"exp\"]"))),
        ("htm of POST", |facts| facts.proof = Some(|proof| proof.claim("htm", "\"POST\""))),
        ("htm of get", |facts| facts.proof = Some(|proof| proof.claim("htm", "\"get\""))),
        ("another htu", |facts| {
            facts.proof = Some(|proof| proof.claim("htu", "\"https://other.example/messages\""));
        }),
        ("htu in another way", |facts| {
            facts.proof = Some(|proof| proof.claim("htu", "\"HTTPS://api.example:443/a/../%6Dessages?x#y\""));
        }),
        ("ath of another token", |facts| {
            facts.proof = Some(|proof| proof.claim("ath", "\"fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo\""));
        }),
        ("ath absent", |facts| facts.proof = Some(|proof| proof.no_claim("ath"))),
        ("jti absent", |facts| facts.proof = Some(|proof| proof.no_claim("jti"))),
        ("jti of 5", |facts| facts.proof = Some(|proof| proof.claim("jti", "5"))),
        ("iat absent", |facts| facts.proof = Some(|proof| proof.no_claim("iat"))),
        ("60 s old", |facts| facts.proof = Some(|proof| proof.claim("iat", (NOW - 60).to_string()))),
        ("61 s old", |facts| facts.proof = Some(|proof| proof.claim("iat", (NOW - 61).to_string()))),
        ("10 s ahead", |facts| facts.proof = Some(|proof| proof.claim("iat", (NOW + 10).to_string()))),
        ("11 s ahead", |facts| facts.proof = Some(|proof| proof.claim("iat", (NOW + 11).to_string()))),
        // None of a wrong type: it is open whether one that nobody asked for is looked at.
        ("another nonce", |facts| facts.proof = Some(|proof| proof.claim("nonce", "\"x\""))),
    ],
);

const PROOF_AGAIN: Axis = axis(
    "proof",
    &[
        ("good", |_| {}),
        ("by another key", |facts| facts.proof = Some(Draft::by_other_key)),
        ("htm of POST", |facts| facts.proof = Some(|proof| proof.claim("htm", "\"POST\""))),
        ("60 s old", |facts| facts.proof = Some(|proof| proof.claim("iat", (NOW - 60).to_string()))),
        ("absent", |facts| facts.proof = None),
    ],
);

const NONCE: Axis = axis("nonce", &[("good", |_| {}), ("absent", |facts| facts.has_nonce = false)]);

pub(super) const CERTIFICATE: Axis = axis(
    "certificate",
    &[
        ("absent", |_| {}),
        ("the client's", |facts| facts.certificate = Some(CERTIFICATES[0])),
        ("another", |facts| facts.certificate = Some(CERTIFICATES[1])),
    ],
);

fn expired(facts: &mut Facts) {
    facts.change(Mutation::Time("exp", -1000, Form::Integer));
}

const STATE: Axis = axis(
    "token itself",
    &[("good", |_| {}), ("expired", expired), ("without scope", |facts| facts.plan.scopes = vec!["write"])],
);
