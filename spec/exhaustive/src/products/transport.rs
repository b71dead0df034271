//! Where the token is in a request, and what is around it.

use scopegate_spec::Demand;
use scopegate_spec_compare::{
    mutation::{Form, LineEdit, Mutation, TokenEdit},
    request::Place,
    world::TOKEN_HEADER,
};

use super::{ORDINARY, axis};
use crate::{
    facts::{Axis, Facts, Product},
    setup::Proofs,
};

pub(super) fn products() -> Vec<Product> {
    vec![Product {
        name: "transport",
        is_pair: false,
        base: ORDINARY,
        configuration: vec![OPTIONAL, DEMAND, HEADER, LENGTH, OFFERED],
        request: vec![SCHEME, SEPARATOR, TOKEN, LINE, QUERY],
    }]
}

const OPTIONAL: Axis = axis("optional", &[("no", |_| {}), ("yes", |facts| facts.setup.world.optional = true)]);

const DEMAND: Axis = axis(
    "the route demands",
    &[
        ("of no scope", |_| {}),
        ("of a scope", |facts| {
            facts.setup.world.demand = Some(Demand::Scope("message".to_owned()));
        }),
    ],
);

const HEADER: Axis =
    axis("token header", &[("none", |_| {}), ("named", |facts| facts.setup.world.token_header = true)]);

const LENGTH: Axis =
    axis("greatest length", &[("ample", |_| {}), ("100", |facts| facts.setup.world.max_token_length = 100)]);

const OFFERED: Axis = axis("DPoP is", &[("off", |_| {}), ("on", |facts| facts.setup.dpop = Some(Proofs::default()))]);

fn line(facts: &mut Facts, edit: LineEdit) {
    facts.change(Mutation::Line(edit));
}

const SCHEME: Axis = axis(
    "scheme",
    &[
        ("Bearer", |_| {}),
        ("bearer", |facts| line(facts, LineEdit::Scheme("bearer"))),
        ("DPoP", |facts| line(facts, LineEdit::Scheme("DPoP"))),
        ("Basic", |facts| line(facts, LineEdit::Scheme("Basic"))),
        ("Bearerx", |facts| line(facts, LineEdit::Scheme("Bearerx"))),
        ("empty", |facts| line(facts, LineEdit::Scheme(""))),
        ("no line", |facts| line(facts, LineEdit::Place(Place::Nowhere))),
        ("the named header", |facts| line(facts, LineEdit::Place(Place::NamedHeader))),
    ],
);

const SEPARATOR: Axis = axis(
    "separator",
    &[
        ("a space", |_| {}),
        ("two spaces", |facts| line(facts, LineEdit::Separator("  "))),
        ("a tab", |facts| line(facts, LineEdit::Separator("\t"))),
    ],
);

fn whole(facts: &mut Facts, text: &'static str) {
    facts.change(Mutation::Token(TokenEdit::Whole(text)));
}

const TOKEN: Axis = axis(
    "token",
    &[
        ("good", |_| {}),
        ("expired", |facts| facts.change(Mutation::Time("exp", -1000, Form::Integer))),
        ("empty", |facts| whole(facts, "")),
        ("opaque", |facts| whole(facts, "x")),
        ("a JWE", |facts| whole(facts, "eyJhbGciOiJSU0EtT0FFUCIsImVuYyI6IkExMjhHQ00ifQ.a.b.c.d")),
        ("without signature", |facts| facts.change(Mutation::Token(TokenEdit::WithoutPart(2)))),
        ("with a comma", |facts| facts.change(Mutation::Token(TokenEdit::Insert(5, ',')))),
        ("padded", |facts| line(facts, LineEdit::Suffix("="))),
        ("with unused bits", |facts| facts.change(Mutation::Token(TokenEdit::LooseBits(2)))),
        ("with a word behind", |facts| line(facts, LineEdit::Suffix(" x"))),
    ],
);

const LINE: Axis = axis(
    "other line",
    &[
        ("none", |_| {}),
        ("the same", |facts| line(facts, LineEdit::Extra("authorization", None))),
        ("Basic", |facts| line(facts, LineEdit::Extra("authorization", Some("Basic eDp5")))),
        ("an empty one", |facts| line(facts, LineEdit::Extra("authorization", Some("")))),
        ("the named header", |facts| line(facts, LineEdit::Extra(TOKEN_HEADER, None))),
        ("DPoP", |facts| line(facts, LineEdit::Extra("dpop", Some("x")))),
    ],
);

const QUERY: Axis = axis(
    "query",
    &[
        ("none", |_| {}),
        ("access_token=x", |facts| line(facts, LineEdit::Query("access_token=x"))),
        ("access%5Ftoken", |facts| line(facts, LineEdit::Query("a=1&access%5Ftoken="))),
        ("of another name", |facts| line(facts, LineEdit::Query("ACCESS_TOKEN=x"))),
    ],
);
