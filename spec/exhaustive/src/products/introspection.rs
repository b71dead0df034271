//! Tokens about which their issuer is asked, and what it answers.

use scopegate_spec::{Demand, Mode};
use scopegate_spec_compare::{
    mutation::{Form, Mutation},
    request::NOW,
};

use super::{
    axis,
    binding::{BINDING, CERTIFICATE, CONFIRMATION, SCHEME},
};
use crate::{
    facts::{Axis, Facts, Product, Set},
    proof::{CONFIRMATIONS, Draft},
    setup::{Asked, Proofs},
};

pub(super) fn products() -> Vec<Product> {
    vec![
        Product {
            name: "active",
            is_pair: false,
            base: ASKED,
            configuration: vec![MODE, WITHOUT_AUDIENCE, TOKEN_TYPE_REQUIRED, SCOPE_ARRAY, ROUTE],
            request: vec![TOKEN, ACTIVE, SCOPE],
        },
        Product {
            name: "answers",
            is_pair: false,
            base: ASKED,
            configuration: vec![MODE, WITHOUT_AUDIENCE, TOKEN_TYPE_REQUIRED, SCOPE_ARRAY],
            request: vec![FORM, EXPIRY, AUDIENCE, ISSUER, TOKEN_TYPE, SUBJECT, SCOPE_MEMBER, KIND],
        },
        Product {
            name: "bound answers",
            is_pair: false,
            base: |facts| {
                ASKED(facts);
                facts.setup.dpop = Some(Proofs::default());
                facts.setup.certificates = true;
            },
            configuration: vec![MODE, BINDING],
            request: vec![FORM, BOUND, CONFIRMATION, TOKEN_TYPE, SCHEME, SHOWN, CERTIFICATE],
        },
    ]
}

/// The token is of the issuer that is asked.
const ASKED: Set = |facts| {
    facts.setup.asked = Some(Asked { has_keys: true, ..Asked::default() });
    facts.claim("iss", "\"https://asked.example\"");
};

fn asked(facts: &mut Facts) -> &mut Asked {
    facts.setup.asked.get_or_insert_default()
}

const MODE: Axis = axis(
    "asked about",
    &[
        ("opaque tokens", |_| {}),
        ("JWTs too", |facts| *asked(facts) = Asked { mode: Mode::Also, has_keys: true, ..*asked(facts) }),
        ("JWTs in place of a check", |facts| {
            *asked(facts) = Asked { mode: Mode::Instead, has_keys: true, ..*asked(facts) };
        }),
        ("all, without keys", |facts| asked(facts).has_keys = false),
    ],
);

const WITHOUT_AUDIENCE: Axis = axis(
    "answers without aud",
    &[("are refused", |_| {}), ("are accepted", |facts| asked(facts).accept_without_audience = true)],
);

const TOKEN_TYPE_REQUIRED: Axis = axis(
    "answers without token_type",
    &[("are accepted", |_| {}), ("are refused", |facts| asked(facts).require_token_type = true)],
);

const SCOPE_ARRAY: Axis =
    axis("arrays of scopes", &[("are refused", |_| {}), ("are accepted", |facts| asked(facts).scope_array = true)]);

const ROUTE: Axis = axis(
    "scope is",
    &[
        ("of no scope", |_| {}),
        ("of a scope", |facts| {
            facts.setup.world.demand = Some(Demand::Scope("read".to_owned()));
        }),
    ],
);

const TOKEN: Axis = axis(
    "presented",
    &[
        ("a JWT", |_| {}),
        ("opaque", |facts| facts.is_opaque = true),
        ("an expired JWT", |facts| facts.change(Mutation::Time("exp", -1000, Form::Integer))),
        ("a JWT of another key", |facts| facts.change(Mutation::Key(3))),
        ("an ID token", |facts| facts.change(Mutation::Header("typ", "\"dpop+jwt\""))),
        ("a JWT for others", |facts| facts.claim("aud", "\"x\"")),
    ],
);

const FORM: Axis = axis("form", &[("a JWT", |_| {}), ("opaque", |facts| facts.is_opaque = true)]);

const ACTIVE: Axis = axis(
    "active",
    &[
        ("true", |_| {}),
        ("false", |facts| facts.answer.set("active", "false")),
        ("absent", |facts| facts.answer.remove("active")),
        ("a string", |facts| facts.answer.set("active", "\"true\"")),
        ("null", |facts| facts.answer.set("active", "null")),
        ("twice", |facts| facts.answer.members.push(("active".to_owned(), "false".to_owned()))),
        ("no answer", |facts| facts.answer.is_outage = true),
    ],
);

const SCOPE: Axis = axis(
    "scope of the answer",
    &[
        ("message read", |_| {}),
        ("message", |facts| facts.answer.set("scope", "\"message\"")),
        ("more", |facts| facts.answer.set("scope", "\"message read write\"")),
        ("absent", |facts| facts.answer.remove("scope")),
        ("null", |facts| facts.answer.set("scope", "null")),
        ("empty", |facts| facts.answer.set("scope", "\"\"")),
        ("an array", |facts| facts.answer.set("scope", "[\"message\",\"read\"]")),
        ("an array with a space", |facts| facts.answer.set("scope", "[\"message read\"]")),
        ("5", |facts| facts.answer.set("scope", "5")),
    ],
);

const SCOPE_MEMBER: Axis =
    axis("scope member", &[("a string", |_| {}), ("an array", |facts| facts.answer.set("scope", "[\"message\"]"))]);

fn time(facts: &mut Facts, name: &str, offset: i64) {
    facts.answer.set(name, &(NOW + offset).to_string());
}

const EXPIRY: Axis = axis(
    "exp of the answer",
    &[
        ("later", |_| {}),
        ("within the leeway", |facts| time(facts, "exp", -59)),
        ("at the leeway", |facts| time(facts, "exp", -60)),
        ("absent", |facts| facts.answer.remove("exp")),
        ("later, and not yet valid", |facts| time(facts, "nbf", 61)),
    ],
);

const AUDIENCE: Axis = axis(
    "aud of the answer",
    &[
        ("ours", |_| {}),
        ("ours in a list", |facts| facts.answer.set("aud", "[\"https://api.example\",\"x\"]")),
        ("another", |facts| facts.answer.set("aud", "\"x\"")),
        ("absent", |facts| facts.answer.remove("aud")),
    ],
);

const ISSUER: Axis = axis(
    "iss of the answer",
    &[
        ("absent", |_| {}),
        ("its own", |facts| facts.answer.set("iss", "\"https://asked.example\"")),
        ("another", |facts| facts.answer.set("iss", "\"https://a.example\"")),
    ],
);

const TOKEN_TYPE: Axis = axis(
    "token_type",
    &[
        ("absent", |_| {}),
        ("bearer", |facts| facts.answer.set("token_type", "\"bearer\"")),
        ("DPoP", |facts| facts.answer.set("token_type", "\"DPoP\"")),
        ("another", |facts| facts.answer.set("token_type", "\"N_A\"")),
    ],
);

/// What the answer says that the token is bound to. The JWT may say something else.
const BOUND: Axis = axis(
    "cnf of the answer",
    &[
        ("absent", |_| {}),
        ("the client's key", |facts| facts.answer.set("cnf", &CONFIRMATIONS[0])),
        ("another key", |facts| facts.answer.set("cnf", &CONFIRMATIONS[1])),
        ("the client's certificate", |facts| facts.answer.set("cnf", &CONFIRMATIONS[2])),
        ("unknown", |facts| facts.answer.set("cnf", "{\"kid\":\"1\"}")),
    ],
);

const SHOWN: Axis = axis(
    "shown",
    &[
        ("no proof", |_| {}),
        ("a good proof", |facts| facts.proof = Some(|_| {})),
        ("a proof by another key", |facts| facts.proof = Some(Draft::by_other_key)),
    ],
);

const SUBJECT: Axis = axis(
    "sub of the answer",
    &[
        ("alice", |_| {}),
        ("another", |facts| facts.answer.set("sub", "\"bob\"")),
        ("absent", |facts| facts.answer.remove("sub")),
    ],
);

const KIND: Axis = axis(
    "kind",
    &[
        ("not said", |_| {}),
        ("typ of Refresh", |facts| facts.answer.set("typ", "\"Refresh\"")),
        ("cnf of null", |facts| facts.answer.set("cnf", "null")),
    ],
);
