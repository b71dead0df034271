//! Issuer, audience, times and the other claims that are checked.

use scopegate_spec_compare::{
    dialect::Dialect,
    mutation::{Form, Mutation},
};

use super::{ORDINARY, axis};
use crate::facts::{Axis, Facts, Product};

pub(super) fn products() -> Vec<Product> {
    vec![
        Product {
            name: "issuer, audience and times",
            is_pair: false,
            base: ORDINARY,
            configuration: vec![PROFILE, AUDIENCES],
            request: vec![ISSUER, AUDIENCE, EXPIRY, NOT_BEFORE, ISSUED],
        },
        Product {
            name: "edges of times",
            is_pair: false,
            base: ORDINARY,
            configuration: vec![LEEWAY, MAX_AGE, REQUIRES_ISSUED],
            request: vec![EXPIRY_EDGES, NOT_BEFORE_EDGES, ISSUED_EDGES, LATER],
        },
        Product {
            name: "required claims",
            is_pair: false,
            base: ORDINARY,
            configuration: vec![PROFILE, PARTIES],
            request: vec![SUBJECT, CLIENT, TOKEN_ID, ISSUED_AT_ALL, CONTEXT, METHODS, AUTHENTICATED, DETAILS],
        },
    ]
}

pub(super) const PROFILE: Axis = axis(
    "profile",
    &[
        ("RFC 9068", |_| {}),
        ("RFC 9068 with waived claims", |facts| facts.setup.issuer().dialect = Dialect::Waived),
        ("scope is evidence", |facts| facts.setup.issuer().dialect = Dialect::ScopeIsEvidence),
        ("claim is evidence", |facts| facts.setup.issuer().dialect = Dialect::ClaimIsEvidence),
        ("nested", |facts| facts.setup.issuer().dialect = Dialect::Nested),
        ("first of two", |facts| facts.setup.issuer().dialect = Dialect::FirstOf),
        ("Keycloak", |facts| facts.setup.issuer().dialect = Dialect::Keycloak),
        ("GenAuth", |facts| facts.setup.issuer().dialect = Dialect::GenAuth),
        ("Auth0", |facts| facts.setup.issuer().dialect = Dialect::Auth0),
    ],
);

const AUDIENCES: Axis = axis(
    "audiences",
    &[
        ("the server's", |_| {}),
        ("the issuer's own", |facts| facts.setup.issuer().own_audiences = true),
        ("waived", |facts| {
            let issuer = facts.setup.issuer();
            (issuer.own_audiences, issuer.authorized_parties, issuer.waive_audience) = (true, true, true);
        }),
    ],
);

const ISSUER: Axis = axis(
    "iss",
    &[
        ("trusted", |_| {}),
        ("with a slash more", |facts| facts.claim("iss", "\"https://a.example/\"")),
        ("unknown", |facts| facts.claim("iss", "\"https://b.example/oidc/\"")),
        ("absent", |facts| facts.change(Mutation::NoClaim("iss"))),
        ("an array", |facts| facts.claim("iss", "[\"https://a.example\"]")),
    ],
);

const AUDIENCE: Axis = axis(
    "aud",
    &[
        ("ours", |_| {}),
        ("the server's", |facts| facts.claim("aud", "\"https://api.example\"")),
        ("ours in a list", |facts| facts.claim("aud", "[\"x\",\"https://api.example\",\"orders\"]")),
        ("another", |facts| facts.claim("aud", "\"https://API.example\"")),
        ("others in a list", |facts| facts.claim("aud", "[\"x\",\"y\"]")),
        ("absent", |facts| facts.change(Mutation::NoClaim("aud"))),
        ("5", |facts| facts.claim("aud", "5")),
        ("ours and 5 in a list", |facts| facts.claim("aud", "[\"https://api.example\",5]")),
    ],
);

fn time(facts: &mut Facts, name: &'static str, offset: i64) {
    facts.change(Mutation::Time(name, offset, Form::Integer));
}

const EXPIRY: Axis = axis(
    "exp",
    &[
        ("later", |_| {}),
        ("a second within the leeway", |facts| time(facts, "exp", -59)),
        ("at the leeway", |facts| time(facts, "exp", -60)),
        ("absent", |facts| facts.change(Mutation::NoClaim("exp"))),
        ("a string", |facts| facts.change(Mutation::Time("exp", 300, Form::Text))),
        ("null", |facts| facts.claim("exp", "null")),
    ],
);

const NOT_BEFORE: Axis = axis(
    "nbf",
    &[
        ("absent", |_| {}),
        ("at the leeway", |facts| time(facts, "nbf", 60)),
        ("a second beyond the leeway", |facts| time(facts, "nbf", 61)),
        ("a string", |facts| facts.change(Mutation::Time("nbf", 0, Form::Text))),
    ],
);

const ISSUED: Axis = axis(
    "iat",
    &[
        ("before", |_| {}),
        ("at the leeway", |facts| time(facts, "iat", 60)),
        ("a second beyond the leeway", |facts| time(facts, "iat", 61)),
        ("absent", |facts| facts.change(Mutation::NoClaim("iat"))),
        ("null", |facts| facts.claim("iat", "null")),
    ],
);

const LEEWAY: Axis = axis(
    "leeway",
    &[("60", |_| {}), ("0", |facts| facts.setup.world.leeway = 0), ("300", |facts| facts.setup.world.leeway = 300)],
);

const MAX_AGE: Axis = axis(
    "greatest age",
    &[
        ("none", |_| {}),
        ("10", |facts| facts.setup.world.max_token_age = Some(10)),
        ("600", |facts| facts.setup.world.max_token_age = Some(600)),
    ],
);

const REQUIRES_ISSUED: Axis =
    axis("iat is", &[("required", |_| {}), ("waived", |facts| facts.setup.issuer().dialect = Dialect::Waived)]);

/// One second before, at and after the edge of each leeway; and what is no such number.
const EXPIRY_EDGES: Axis = axis(
    "exp, to the second",
    &[
        ("300", |_| {}),
        ("1", |facts| time(facts, "exp", 1)),
        ("0", |facts| time(facts, "exp", 0)),
        ("-1", |facts| time(facts, "exp", -1)),
        ("-59", |facts| time(facts, "exp", -59)),
        ("-60", |facts| time(facts, "exp", -60)),
        ("-61", |facts| time(facts, "exp", -61)),
        ("-299", |facts| time(facts, "exp", -299)),
        ("-300", |facts| time(facts, "exp", -300)),
        ("-301", |facts| time(facts, "exp", -301)),
        ("-60 and a half", |facts| facts.change(Mutation::Time("exp", -60, Form::Half))),
        ("-59 as a power", |facts| facts.change(Mutation::Time("exp", -59, Form::Exponent))),
        ("absent", |facts| facts.change(Mutation::NoClaim("exp"))),
        ("a string", |facts| facts.change(Mutation::Time("exp", 300, Form::Text))),
    ],
);

const NOT_BEFORE_EDGES: Axis = axis(
    "nbf, to the second",
    &[
        ("absent", |_| {}),
        ("0", |facts| time(facts, "nbf", 0)),
        ("1", |facts| time(facts, "nbf", 1)),
        ("59", |facts| time(facts, "nbf", 59)),
        ("60", |facts| time(facts, "nbf", 60)),
        ("61", |facts| time(facts, "nbf", 61)),
        ("300", |facts| time(facts, "nbf", 300)),
        ("301", |facts| time(facts, "nbf", 301)),
        ("60 and a half", |facts| facts.change(Mutation::Time("nbf", 60, Form::Half))),
        ("a string", |facts| facts.change(Mutation::Time("nbf", 0, Form::Text))),
    ],
);

/// The edges of each leeway, and those of each greatest age with each leeway.
const ISSUED_EDGES: Axis = axis(
    "iat, to the second",
    &[
        ("-10", |_| {}),
        ("0", |facts| time(facts, "iat", 0)),
        ("1", |facts| time(facts, "iat", 1)),
        ("60", |facts| time(facts, "iat", 60)),
        ("61", |facts| time(facts, "iat", 61)),
        ("300", |facts| time(facts, "iat", 300)),
        ("301", |facts| time(facts, "iat", 301)),
        ("-9", |facts| time(facts, "iat", -9)),
        ("-11", |facts| time(facts, "iat", -11)),
        ("-69", |facts| time(facts, "iat", -69)),
        ("-70", |facts| time(facts, "iat", -70)),
        ("-71", |facts| time(facts, "iat", -71)),
        ("-309", |facts| time(facts, "iat", -309)),
        ("-310", |facts| time(facts, "iat", -310)),
        ("-599", |facts| time(facts, "iat", -599)),
        ("-600", |facts| time(facts, "iat", -600)),
        ("-659", |facts| time(facts, "iat", -659)),
        ("-660", |facts| time(facts, "iat", -660)),
        ("-899", |facts| time(facts, "iat", -899)),
        ("-900", |facts| time(facts, "iat", -900)),
        ("absent", |facts| facts.change(Mutation::NoClaim("iat"))),
        ("a string", |facts| facts.change(Mutation::Time("iat", 0, Form::Text))),
    ],
);

const LATER: Axis = axis("comes", &[("now", |_| {}), ("a second later", |facts| facts.change(Mutation::Later(1)))]);

const PARTIES: Axis =
    axis("authorized parties", &[("all", |_| {}), ("two", |facts| facts.setup.issuer().authorized_parties = true)]);

// No empty strings: it is open what they mean.
const SUBJECT: Axis = axis(
    "sub",
    &[
        ("a string", |_| {}),
        ("absent", |facts| facts.change(Mutation::NoClaim("sub"))),
        ("5", |facts| facts.claim("sub", "5")),
        ("null", |facts| facts.claim("sub", "null")),
    ],
);

/// The claim that names the client, which is `azp` for some. Of a wrong type it is open what `azp` means elsewhere.
fn client_claim(facts: &mut Facts) -> &'static str {
    match facts.setup.issuer().dialect {
        Dialect::ClaimIsEvidence | Dialect::Keycloak | Dialect::GenAuth | Dialect::Auth0 => "azp",
        _ => "client_id",
    }
}

fn client(facts: &mut Facts, value: &'static str) {
    let name = client_claim(facts);
    facts.claim(name, value);
}

const CLIENT: Axis = axis(
    "client",
    &[
        ("authorized", |_| {}),
        ("another", |facts| client(facts, "\"other\"")),
        ("absent", |facts| {
            let name = client_claim(facts);
            facts.change(Mutation::NoClaim(name));
        }),
        ("5", |facts| client(facts, "5")),
        ("client_id of 5", |facts| facts.claim("client_id", "5")),
    ],
);

const TOKEN_ID: Axis = axis(
    "jti",
    &[
        ("a string", |_| {}),
        ("absent", |facts| facts.change(Mutation::NoClaim("jti"))),
        ("5", |facts| facts.claim("jti", "5")),
    ],
);

const ISSUED_AT_ALL: Axis =
    axis("iat at all", &[("a number", |_| {}), ("absent", |facts| facts.change(Mutation::NoClaim("iat")))]);

const CONTEXT: Axis = axis(
    "acr",
    &[("absent", |_| {}), ("a string", |facts| facts.claim("acr", "\"gold\"")), ("5", |facts| facts.claim("acr", "5"))],
);

const METHODS: Axis = axis(
    "amr",
    &[
        ("absent", |_| {}),
        ("an array", |facts| facts.claim("amr", "[\"pwd\",\"mfa\"]")),
        ("a string", |facts| facts.claim("amr", "\"pwd\"")),
    ],
);

const AUTHENTICATED: Axis = axis(
    "auth_time",
    &[
        ("absent", |_| {}),
        ("a number", |facts| time(facts, "auth_time", -100)),
        ("a string", |facts| facts.change(Mutation::Time("auth_time", -100, Form::Text))),
    ],
);

// The gate does not read these two claims, so bad ones are left out: `DIFFERENCES.md`, RAR-1 and ACT-2.
const DETAILS: Axis = axis(
    "act and authorization_details",
    &[
        ("absent", |_| {}),
        ("one of each", |facts| {
            facts.claim("act", "{\"sub\":\"bob\"}");
            facts.claim("authorization_details", "[{\"type\":\"payment\"}]");
        }),
    ],
);
