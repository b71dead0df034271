//! The header, the keys and the signature.

use scopegate_spec_compare::{
    dialect::Dialect,
    mutation::{Mutation, SignatureEdit},
    world::{Published, Source},
};

use super::{ORDINARY, axis};
use crate::{
    facts::{Axis, Facts, Product},
    setup::SIGNER,
};

pub(super) fn products() -> Vec<Product> {
    vec![
        Product {
            name: "keys",
            is_pair: false,
            base: ORDINARY,
            configuration: vec![PROFILE, OFFERED, KEYS],
            request: vec![TYPE, ALGORITHM_NAME, KEY_ID, GENUINE, CRITICAL],
        },
        Product {
            name: "algorithms",
            is_pair: false,
            base: ORDINARY,
            configuration: vec![LISTED, SEVERAL, POOLED],
            request: vec![POOLED_SIGNER, ALGORITHM, KEY_ID, SIGNATURE],
        },
        // Reading an RSA key takes the specification long, so there are few of them.
        Product {
            name: "RSA",
            is_pair: false,
            base: |facts| {
                let issuer = facts.setup.issuer();
                issuer.algorithms = 0;
                issuer.published = [6, SIGNER].map(|key| unnamed(key, None)).to_vec();
            },
            configuration: vec![SEVERAL],
            request: vec![RSA_SIGNER, RSA_ALGORITHM, GENUINE],
        },
    ]
}

fn header(facts: &mut Facts, name: &'static str, value: &'static str) {
    facts.change(Mutation::Header(name, value));
}

const PROFILE: Axis = axis(
    "profile",
    &[
        ("RFC 9068", |_| {}),
        ("JWT or no typ", |facts| facts.setup.issuer().dialect = Dialect::ScopeIsEvidence),
        ("Keycloak", |facts| facts.setup.issuer().dialect = Dialect::Keycloak),
    ],
);

// Both names of Ed25519 or none, as in the comparison.
const LISTED: Axis = axis(
    "algorithms",
    &[
        ("Ed25519, EdDSA", |_| {}),
        ("the default ones", |facts| facts.setup.issuer().algorithms = 0),
        ("ES256", |facts| facts.setup.issuer().algorithms = 1),
        ("ES256, Ed25519, EdDSA", |facts| facts.setup.issuer().algorithms = 3),
    ],
);

const OFFERED: Axis = axis(
    "algorithm list",
    &[("Ed25519, EdDSA", |_| {}), ("ES256, Ed25519, EdDSA", |facts| facts.setup.issuer().algorithms = 3)],
);

const SEVERAL: Axis = axis(
    "algorithms per key",
    &[("one", |_| {}), ("several", |facts| facts.setup.issuer().several_algorithms_per_key = true)],
);

fn publish(facts: &mut Facts, kid: Option<&'static str>, alg: Option<&'static str>) {
    facts.setup.issuer().published = vec![Published { key: SIGNER, kid, alg, edit: None }];
}

/// A key of ES256 beside one that is changed: a set without a key that can be used is none to the gate.
fn edit(facts: &mut Facts, name: &'static str, value: &'static str) {
    let keys = &mut facts.setup.issuer().published;
    keys[0].edit = Some((name, value, false));
    keys.push(Published { key: 0, kid: Some("k2"), alg: None, edit: None });
}

const KEYS: Axis = axis(
    "published",
    &[
        ("k1", |_| {}),
        ("k1 with its alg", |facts| publish(facts, Some("k1"), Some("EdDSA"))),
        ("k1 with another alg", |facts| publish(facts, Some("k1"), Some("ES256"))),
        ("a key without kid", |facts| publish(facts, None, None)),
        ("k1 for encryption", |facts| edit(facts, "use", "\"enc\"")),
        ("k1 with a private member", |facts| edit(facts, "d", "\"AAAA\"")),
        ("k2 beside", |facts| {
            facts.setup.issuer().published.push(Published { key: 3, kid: Some("k2"), alg: None, edit: None });
        }),
        ("another key as k1 too", |facts| {
            facts.setup.issuer().published.insert(0, Published { key: 3, kid: Some("k1"), alg: None, edit: None });
        }),
        ("none, an outage", |facts| facts.setup.issuer().source = Source::Unavailable),
    ],
);

const POOLED: Axis = axis(
    "kinds of keys",
    &[
        ("Ed25519", |_| {}),
        ("P-256, Ed25519, P-384", |facts| {
            facts.setup.issuer().published = [0, SIGNER, 4].map(|key| unnamed(key, None)).to_vec();
        }),
        ("the same with their alg", |facts| {
            facts.setup.issuer().published =
                [(0, "ES256"), (SIGNER, "Ed25519"), (4, "ES384")].map(|(key, alg)| unnamed(key, Some(alg))).to_vec();
        }),
    ],
);

fn unnamed(key: usize, alg: Option<&'static str>) -> Published {
    Published { key, kid: Some("k1"), alg, edit: None }
}

const POOLED_SIGNER: Axis = axis(
    "signer",
    &[
        ("Ed25519", |_| {}),
        ("another Ed25519", |facts| facts.change(Mutation::Key(3))),
        ("P-256", |facts| facts.change(Mutation::Key(0))),
        ("another P-256", |facts| facts.change(Mutation::Key(1))),
        ("P-384", |facts| facts.change(Mutation::Key(4))),
    ],
);

const RSA_SIGNER: Axis = axis(
    "RSA or not",
    &[
        ("Ed25519", |_| {}),
        ("RSA", |facts| facts.change(Mutation::Key(6))),
        ("another RSA", |facts| facts.change(Mutation::Key(5))),
    ],
);

const RSA_ALGORITHM: Axis = axis(
    "alg of RSA or not",
    &[
        ("Ed25519", |_| {}),
        ("RS256", |facts| facts.change(Mutation::Algorithm("RS256"))),
        ("PS256", |facts| facts.change(Mutation::Algorithm("PS256"))),
        ("RS512", |facts| facts.change(Mutation::Algorithm("RS512"))),
    ],
);

const TYPE: Axis = axis(
    "typ",
    &[
        ("the profile's", |_| {}),
        ("at+jwt", |facts| header(facts, "typ", "\"at+jwt\"")),
        ("Application/AT+JWT", |facts| header(facts, "typ", "\"Application/AT+JWT\"")),
        ("JWT", |facts| header(facts, "typ", "\"JWT\"")),
        ("absent", |facts| facts.change(Mutation::NoHeader("typ"))),
        ("dpop+jwt", |facts| header(facts, "typ", "\"dpop+jwt\"")),
        ("5", |facts| header(facts, "typ", "5")),
    ],
);

const ALGORITHM: Axis = axis(
    "alg",
    &[
        ("Ed25519", |_| {}),
        ("EdDSA", |facts| facts.change(Mutation::Algorithm("EdDSA"))),
        ("ES256", |facts| facts.change(Mutation::Algorithm("ES256"))),
        ("ES384", |facts| facts.change(Mutation::Algorithm("ES384"))),
        ("RS256", |facts| facts.change(Mutation::Algorithm("RS256"))),
        ("PS256", |facts| facts.change(Mutation::Algorithm("PS256"))),
        ("HS256", |facts| facts.change(Mutation::Algorithm("HS256"))),
        ("none", |facts| facts.change(Mutation::Algorithm("none"))),
        ("absent", |facts| facts.change(Mutation::NoHeader("alg"))),
        ("5", |facts| header(facts, "alg", "5")),
    ],
);

const ALGORITHM_NAME: Axis = axis(
    "alg of this key",
    &[
        ("Ed25519", |_| {}),
        ("EdDSA", |facts| facts.change(Mutation::Algorithm("EdDSA"))),
        ("ES256", |facts| facts.change(Mutation::Algorithm("ES256"))),
        ("HS256", |facts| facts.change(Mutation::Algorithm("HS256"))),
        ("none", |facts| facts.change(Mutation::Algorithm("none"))),
        ("absent", |facts| facts.change(Mutation::NoHeader("alg"))),
        ("5", |facts| header(facts, "alg", "5")),
    ],
);

const KEY_ID: Axis = axis(
    "kid",
    &[
        ("the key's", |_| {}),
        ("absent", |facts| facts.plan.names_key = false),
        ("k2", |facts| header(facts, "kid", "\"k2\"")),
        ("unknown", |facts| header(facts, "kid", "\"k9\"")),
        ("5", |facts| header(facts, "kid", "5")),
    ],
);

const SIGNATURE: Axis = axis(
    "signature",
    &[
        ("good", |_| {}),
        ("one bit is another", |facts| facts.change(Mutation::Signature(SignatureEdit::Flip(77)))),
        ("cut off", |facts| facts.change(Mutation::Signature(SignatureEdit::Truncate(63)))),
        ("a byte too long", |facts| facts.change(Mutation::Signature(SignatureEdit::Append(0)))),
        ("empty", |facts| facts.change(Mutation::Signature(SignatureEdit::Truncate(0)))),
        ("zeros", |facts| facts.change(Mutation::Signature(SignatureEdit::Clear))),
    ],
);

const GENUINE: Axis = axis(
    "genuine",
    &[
        ("yes", |_| {}),
        ("one bit is another", |facts| facts.change(Mutation::Signature(SignatureEdit::Flip(77)))),
        ("without signature", |facts| facts.change(Mutation::Signature(SignatureEdit::Truncate(0)))),
        ("by another key", |facts| facts.change(Mutation::Key(3))),
    ],
);

const CRITICAL: Axis = axis(
    "extension",
    &[
        ("none", |_| {}),
        ("crit", |facts| header(facts, "crit", "[\"exp\"]")),
        ("b64 of false", |facts| header(facts, "b64", "false")),
    ],
);
