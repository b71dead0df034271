//! Access tokens, and other JWTs of the same issuer.

use serde_json::{Value, json};

use crate::{
    draft::{Draft, Verdict::*},
    format::{Configuration, Evidence, Request, TokenProfile},
    token::{NONE, good, token},
};

/// The groups.
pub(super) fn groups() -> Vec<Draft> {
    vec![strict(), untyped(), claim_is_evidence(), presence_is_evidence()]
}

fn of(typ: &str, claims: Value) -> Request {
    Request::bearer(&token(json!({ "typ": typ }), claims))
}

const OTHER_TYPES: [&str; 14] = [
    "dpop+jwt",
    "logout+jwt",
    "secevent+jwt",
    "token-introspection+jwt",
    "statuslist+jwt",
    "oauth-id-jag+jwt",
    "txntoken+jwt",
    "wit+jwt",
    "wpt+jwt",
    "client-authentication+jwt",
    "at+jwtx",
    "at jwt",
    "x/at+jwt",
    "",
];

fn marks() -> [(&'static str, Value); 9] {
    [
        ("at_hash", json!({ "at_hash": "h" })),
        ("c_hash", json!({ "c_hash": "h" })),
        ("nonce", json!({ "nonce": "n" })),
        ("events", json!({ "events": {} })),
        ("htm and htu", json!({ "htm": "GET", "htu": "https://api.example" })),
        ("token_introspection", json!({ "token_introspection": {} })),
        ("status_list", json!({ "status_list": {} })),
        ("token_use of id", json!({ "token_use": "id" })),
        ("typ of Refresh", json!({ "typ": "Refresh" })),
    ]
}

fn strict() -> Draft {
    let mut draft = Draft::new("typ settles what a token is", Configuration::new())
        .case("AT-1", "typ of at+jwt", Passes, Request::bearer(&good()))
        .case("AT-1", "no typ", InvalidToken, of(NONE, json!({})))
        .case("AT-1 JWT-11", "typ of JWT", InvalidToken, of("JWT", json!({})))
        .case("AT-1 JWT-12", "typ of application/jwt", InvalidToken, of("application/jwt", json!({})));
    for typ in ["AT+JWT", "at+JWT", "application/at+jwt", "APPLICATION/AT+JWT"] {
        draft = draft.case("JWT-12", format!("typ of {typ}"), Passes, of(typ, json!({})));
    }
    for typ in OTHER_TYPES {
        draft = draft.case("JWT-11 AT-1", format!("typ of {typ:?}"), InvalidToken, of(typ, json!({})));
    }
    for (name, mark) in marks() {
        draft = draft.case("JWT-11", format!("at+jwt with {name}"), Passes, of("at+jwt", mark));
    }
    draft
}

fn untyped() -> Draft {
    let configuration = Configuration::of_issuer(|issuer| issuer.token_profile = TokenProfile::untyped());
    let mut draft = Draft::new("typ of JWT or none, and the scope shows what it is", configuration)
        .case("AT-2", "JWT with a scope", Passes, of("JWT", json!({})))
        .case("AT-2", "no typ, with a scope", Passes, of(NONE, json!({})))
        .case("AT-2 JWT-12", "application/jwt with a scope", Passes, of("application/jwt", json!({})))
        .case("AT-2†", "JWT without a scope", InvalidToken, of("JWT", json!({ "scope": NONE })))
        .case("AT-2†", "JWT with an empty scope", InvalidToken, of("JWT", json!({ "scope": "" })))
        .case("AT-2†", "no typ and no scope", InvalidToken, of(NONE, json!({ "scope": NONE })))
        .case("AT-2", "at+jwt that the issuer does not issue", InvalidToken, of("at+jwt", json!({})))
        .case("JWT-11", "htm alone", Passes, of("JWT", json!({ "htm": "GET" })))
        .case("JWT-11", "token_use of access", Passes, of("JWT", json!({ "token_use": "access" })))
        .case(
            "AT-7",
            "amr of another type, in a profile that is not RFC 9068",
            Passes,
            of("JWT", json!({ "amr": "pwd" })),
        );
    for typ in OTHER_TYPES {
        draft = draft.case("JWT-11 AT-1", format!("a scope and typ of {typ:?}"), InvalidToken, of(typ, json!({})));
    }
    for (name, mark) in marks() {
        draft = draft.case("JWT-11†", format!("JWT with {name}"), InvalidToken, of("JWT", mark.clone())).case(
            "JWT-11†",
            format!("no typ, with {name}"),
            InvalidToken,
            of(NONE, mark),
        );
    }
    draft
}

fn profile(evidence: Evidence) -> Configuration {
    let types = vec![Some("JWT".to_owned())];
    Configuration::of_issuer(|issuer| {
        issuer.token_profile = TokenProfile { types, evidence: vec![evidence], ..TokenProfile::rfc9068() };
    })
}

fn claim_is_evidence() -> Draft {
    let values = Some(vec!["access".to_owned(), "service".to_owned()]);
    Draft::new("a claim with certain values shows what it is", profile(Evidence { claim: "kind".to_owned(), values }))
        .case("AT-2", "the first value of the evidence", Passes, of("JWT", json!({ "kind": "access" })))
        .case("AT-2", "the second value of the evidence", Passes, of("JWT", json!({ "kind": "service" })))
        .case("AT-2†", "another value of the evidence", InvalidToken, of("JWT", json!({ "kind": "id" })))
        .case("AT-2†", "the evidence in another case", InvalidToken, of("JWT", json!({ "kind": "Access" })))
        .case("AT-2†", "the evidence in an array", InvalidToken, of("JWT", json!({ "kind": ["access"] })))
        .case("AT-2†", "no evidence", InvalidToken, of("JWT", json!({})))
        .case("AT-2", "no typ, which is not accepted", InvalidToken, of(NONE, json!({ "kind": "access" })))
}

fn presence_is_evidence() -> Draft {
    Draft::new("a claim that is there shows what it is", profile(Evidence { claim: "gty".to_owned(), values: None }))
        .case("AT-2", "the claim is there", Passes, of("JWT", json!({ "gty": "client-credentials" })))
        .case("AT-2†", "the claim is an empty string", InvalidToken, of("JWT", json!({ "gty": "" })))
        .case("AT-2†", "the claim is an empty array", InvalidToken, of("JWT", json!({ "gty": [] })))
        .case("AT-2†", "the claim is absent", InvalidToken, of("JWT", json!({})))
}
