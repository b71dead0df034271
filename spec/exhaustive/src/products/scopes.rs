//! Scopes, what a route demands of them, and what shows that a token is an access token.

use scopegate_spec::Demand;
use scopegate_spec_compare::{dialect::Dialect, mutation::Mutation, world::Scopes};

use super::{ORDINARY, axis, claims::PROFILE};
use crate::facts::{Axis, Facts, Product};

pub(super) fn products() -> Vec<Product> {
    vec![
        Product {
            name: "scopes",
            is_pair: false,
            base: ORDINARY,
            configuration: vec![PROFILE, GRAMMAR, DEMAND, HINT],
            request: vec![GRANTED, SCOPE_CLAIM, GENUINE],
        },
        Product {
            name: "evidence",
            is_pair: false,
            base: ORDINARY,
            configuration: vec![PROFILE, ROUTE],
            request: vec![SCOPES, SCOPE_CLAIM, EVIDENCE, PERMISSIONS, MARK, KIND],
        },
    ]
}

const GRAMMAR: Axis = axis(
    "grammar",
    &[
        ("exact", |_| {}),
        ("implied", |facts| facts.setup.issuer().grammar = Scopes::Implied),
        ("GenAuth", |facts| facts.setup.issuer().grammar = Scopes::GenAuth),
    ],
);

fn scope(name: &str) -> Demand {
    Demand::Scope(name.to_owned())
}

pub(super) const DEMAND: Axis = axis(
    "demand",
    &[
        ("none", |_| {}),
        ("one", |facts| facts.setup.world.demand = Some(scope("message"))),
        ("all of two", |facts| {
            facts.setup.world.demand = Some(Demand::All(vec![scope("message"), scope("book:1:read")]));
        }),
        ("any of two", |facts| {
            facts.setup.world.demand = Some(Demand::Any(vec![scope("write"), scope("read")]));
        }),
        ("one and any of two", |facts| {
            let any = Demand::Any(vec![scope("write"), scope("admin")]);
            facts.setup.world.demand = Some(Demand::All(vec![scope("read"), any]));
        }),
    ],
);

const ROUTE: Axis =
    axis("route", &[("of no scope", |_| {}), ("of a scope", |facts| facts.setup.world.demand = Some(scope("read")))]);

/// In optional mode there is a hint, as in the comparison.
pub(super) const HINT: Axis = axis(
    "credentials",
    &[
        ("required, with a hint", |_| {}),
        ("required", |facts| facts.setup.world.scope_hint = false),
        ("optional", |facts| facts.setup.world.optional = true),
    ],
);

const GRANTED: Axis = axis(
    "granted",
    &[
        ("message read", |_| {}),
        ("message", |facts| facts.plan.scopes = vec!["message"]),
        ("write", |facts| facts.plan.scopes = vec!["write"]),
        ("admin book:read", |facts| facts.plan.scopes = vec!["admin", "book:read"]),
        ("message book:1:read", |facts| facts.plan.scopes = vec!["message", "book:1:read"]),
        ("*", |facts| facts.plan.scopes = vec!["*"]),
        ("nothing", |facts| facts.plan.scopes = vec![]),
    ],
);

const SCOPES: Axis = axis(
    "scopes",
    &[
        ("message read", |_| {}),
        ("write", |facts| facts.plan.scopes = vec!["write"]),
        ("nothing", |facts| facts.plan.scopes = vec![]),
    ],
);

/// Gives the claim that has the scopes another value.
fn scopes(facts: &mut Facts, value: &'static str, nested: &'static str) {
    let (name, value) = match facts.setup.issuer().dialect {
        Dialect::Nested => ("realm_access", nested),
        Dialect::ScopeIsEvidence => ("scp", value),
        _ => ("scope", value),
    };
    facts.claim(name, value);
}

/// Where the claim is nested it is open what an array means that has a scope beside an element that can be none.
const SCOPE_CLAIM: Axis = axis(
    "scope claim",
    &[
        ("the profile's", |_| {}),
        ("a string", |facts| scopes(facts, "\"message  read\"", "{\"roles\":\"message  read\"}")),
        ("an array", |facts| scopes(facts, "[\"message\",\"read\"]", "{\"roles\":[\"message\",\"read\"]}")),
        ("an array with a space", |facts| scopes(facts, "[\"message read\"]", "{\"roles\":[\"message\"]}")),
        ("an array with 5", |facts| scopes(facts, "[\"message\",5]", "{\"roles\":[5]}")),
        ("an empty array", |facts| scopes(facts, "[]", "{\"roles\":[]}")),
        ("an empty string", |facts| scopes(facts, "\"\"", "{\"roles\":\"\"}")),
        ("5", |facts| scopes(facts, "5", "5")),
        ("null", |facts| scopes(facts, "null", "{\"roles\":null}")),
        ("absent", |facts| {
            ["scope", "scp", "realm_access"].into_iter().for_each(|name| facts.change(Mutation::NoClaim(name)));
        }),
        ("another claim beside", |facts| {
            let name = if facts.setup.issuer().dialect == Dialect::ScopeIsEvidence { "scope" } else { "scp" };
            facts.claim(name, "[\"write\",\"read\"]");
        }),
    ],
);

/// What is wrong with a scope is told to nobody whose token is not genuine.
const GENUINE: Axis = axis(
    "genuine, and each claim once",
    &[
        ("yes", |_| {}),
        ("no", |facts| facts.change(Mutation::Key(3))),
        ("with two exp", |facts| facts.change(Mutation::ClaimTwice("exp", "9999999999"))),
    ],
);

const EVIDENCE: Axis = axis(
    "evidence",
    &[
        ("the profile's", |_| {}),
        ("absent", |facts| {
            ["kind", "gty", "typ"].into_iter().for_each(|name| facts.change(Mutation::NoClaim(name)));
        }),
        ("of another kind", |facts| {
            facts.claim("kind", "\"id\"");
            facts.claim("typ", "\"ID\"");
            facts.change(Mutation::NoClaim("gty"));
        }),
        ("of a wrong type", |facts| {
            facts.claim("kind", "[\"access\"]");
            facts.claim("typ", "[\"Bearer\"]");
            facts.claim("gty", "[]");
        }),
    ],
);

const PERMISSIONS: Axis = axis(
    "permissions",
    &[
        ("absent", |_| {}),
        ("one", |facts| facts.claim("permissions", "[\"read\"]")),
        ("none", |facts| facts.claim("permissions", "[]")),
    ],
);

// Keycloak has no other marks than `typ` in the specification; the comparison takes them off its requests.
const MARK: Axis = axis(
    "mark",
    &[
        ("none", |_| {}),
        ("nonce", |facts| facts.claim("nonce", "\"n\"")),
        ("events", |facts| facts.claim("events", "{}")),
        ("token_use of id", |facts| facts.claim("token_use", "\"id\"")),
        ("htm and htu", |facts| {
            facts.claim("htm", "\"GET\"");
            facts.claim("htu", "\"https://api.example/\"");
        }),
    ],
);

const KIND: Axis = axis(
    "header's typ",
    &[
        ("the profile's", |_| {}),
        ("at+jwt", |facts| facts.change(Mutation::Header("typ", "\"at+jwt\""))),
        ("absent", |facts| facts.change(Mutation::NoHeader("typ"))),
    ],
);
