//! Who a token is from, for and about.

use serde_json::{Value, json};

use crate::{
    draft::{Draft, Verdict::*},
    format::{Configuration, Request, TokenProfile},
    token::{AUDIENCE, ISSUER, NONE, claiming, good, token},
};

/// The groups.
pub(super) fn groups() -> Vec<Draft> {
    vec![
        issuer(),
        audience(),
        own_audiences(),
        waived_audience(),
        required(),
        fewer_required(),
        client(),
        types(),
        details(),
        actor(),
    ]
}

fn bearer(changes: Value) -> Request {
    Request::bearer(&claiming(changes))
}

fn issuer() -> Draft {
    let mut draft = Draft::new("an issuer", Configuration::new()).case(
        "JWT-1",
        "iss as configured",
        Passes,
        bearer(json!({ "iss": ISSUER })),
    );
    for iss in [
        "https://as.example/",
        "https://AS.example",
        "https://as.example:443",
        "http://as.example",
        "https://as.example?",
        "https://as.example ",
        "https://as.example.evil.example",
        "",
        "as.example",
    ] {
        draft = draft.case("JWT-1", format!("iss is {iss:?}"), InvalidToken, bearer(json!({ "iss": iss })));
    }
    for (name, iss) in
        [("absent", json!(NONE)), ("an array", json!([ISSUER])), ("null", json!(null)), ("a number", json!(1))]
    {
        draft = draft.case("JWT-1 AT-3", format!("iss is {name}"), InvalidToken, bearer(json!({ "iss": iss })));
    }
    draft
        .case(
            "JOSE-16",
            "iss that would end a quoted string",
            InvalidToken,
            bearer(json!({ "iss": "x\", error=\"none" })),
        )
        .comment("nothing of the token is in the challenge")
}

fn audience() -> Draft {
    let mut draft = Draft::new("an audience", Configuration::new())
        .case("JWT-2", "aud in an array", Passes, bearer(json!({ "aud": [AUDIENCE] })))
        .case(
            "JWT-2",
            "aud beside another in an array",
            Passes,
            bearer(json!({ "aud": ["https://other.example", AUDIENCE] })),
        );
    for aud in [
        "https://other.example",
        "https://api.example/",
        "https://API.example",
        "https://api.example/messages",
        "*",
        "",
        "https://api.example ",
        "https://other.example https://api.example",
        "api.example",
    ] {
        draft = draft.case("JWT-2 AT-4 RES-1", format!("aud is {aud:?}"), InvalidToken, bearer(json!({ "aud": aud })));
    }
    for (name, aud) in [
        ("absent", json!(NONE)),
        ("null", json!(null)),
        ("a number", json!(1)),
        ("a boolean", json!(true)),
        ("an object", json!({ AUDIENCE: 1 })),
        ("an empty array", json!([])),
        ("an array in an array", json!([[AUDIENCE]])),
        ("an array with a number", json!([AUDIENCE, 1])),
        ("an array with null", json!([null, AUDIENCE])),
        ("an array of others", json!(["https://other.example", "x"])),
    ] {
        draft = draft.case("JWT-2", format!("aud is {name}"), InvalidToken, bearer(json!({ "aud": aud })));
    }
    draft
}

fn own_audiences() -> Draft {
    let configuration = Configuration::with(|configuration| {
        configuration.audiences.push("urn:example:api".to_owned());
        configuration.issuers[0].audiences = Some(vec!["orders".to_owned(), "https://orders.example".to_owned()]);
    });
    Draft::new("an issuer with audiences of its own", configuration)
        .case("AT-4 RES-1", "an audience of the issuer's own", Passes, bearer(json!({ "aud": "orders" })))
        .case(
            "AT-4 RES-1",
            "another audience of the issuer's own",
            Passes,
            bearer(json!({ "aud": ["x", "https://orders.example"] })),
        )
        .case(
            "AT-4 RES-1",
            "an audience of the server where the issuer has its own",
            InvalidToken,
            Request::bearer(&good()),
        )
}

fn waived_audience() -> Draft {
    let configuration = Configuration::of_issuer(|issuer| {
        issuer.audience_required = false;
        issuer.audiences = Some(vec![AUDIENCE.to_owned()]);
        issuer.authorized_parties = Some(vec!["web".to_owned(), "mobile".to_owned()]);
    });
    Draft::new("no audience, and a list of clients in its place", configuration)
        .case("JWT-3", "no aud, from a client on the list", Passes, bearer(json!({ "aud": NONE })))
        .case("JWT-3", "our aud, from a client on the list", Passes, bearer(json!({ "client_id": "mobile" })))
        .case(
            "JWT-3",
            "no aud, from another client",
            InvalidToken,
            bearer(json!({ "aud": NONE, "client_id": "other" })),
        )
        .case("JWT-3", "our aud, from another client", InvalidToken, bearer(json!({ "client_id": "other" })))
        .case(
            "JWT-3 JWT-2",
            "another aud, from a client on the list",
            InvalidToken,
            bearer(json!({ "aud": "https://other.example" })),
        )
        .case("JWT-2", "aud that is a number, from a client on the list", InvalidToken, bearer(json!({ "aud": 1 })))
        .case("JWT-2", "aud that is null, from a client on the list", InvalidToken, bearer(json!({ "aud": null })))
}

fn required() -> Draft {
    let mut draft = Draft::new("the required claims of RFC 9068", Configuration::new());
    for name in ["iss", "exp", "aud", "sub", "client_id", "iat", "jti"] {
        draft = draft.case("AT-3", format!("without {name}"), InvalidToken, bearer(json!({ name: NONE })));
    }
    draft
}

fn fewer_required() -> Draft {
    let configuration = Configuration::of_issuer(|issuer| issuer.token_profile.required_claims.clear());
    let mut draft = Draft::new("no required claims but iss, exp and aud", configuration);
    for name in ["sub", "client_id", "iat", "jti"] {
        draft =
            draft.case("AT-3", format!("without {name} that is not required"), Passes, bearer(json!({ name: NONE })));
    }
    for name in ["iss", "exp", "aud"] {
        draft = draft.case(
            "AT-3",
            format!("without {name} that is required always"),
            InvalidToken,
            bearer(json!({ name: NONE })),
        );
    }
    draft
}

fn client() -> Draft {
    let configuration = Configuration::of_issuer(|issuer| {
        issuer.token_profile = TokenProfile {
            client_claim: "azp".to_owned(),
            required_claims: ["sub", "azp", "iat", "jti"].map(str::to_owned).to_vec(),
            ..TokenProfile::untyped()
        };
        issuer.authorized_parties = Some(vec!["web".to_owned()]);
    });
    let of = |changes| Request::bearer(&token(json!({ "typ": "JWT" }), changes));
    Draft::new("the client in azp", configuration)
        .case("AT-3 JWT-3", "azp on the list of clients", Passes, of(json!({ "azp": "web", "client_id": NONE })))
        .case(
            "AT-3 JWT-3",
            "azp that is not on the list",
            InvalidToken,
            of(json!({ "azp": "other", "client_id": "web" })),
        )
        .case("AT-3", "client_id in place of azp", InvalidToken, of(json!({})))
}

fn types() -> Draft {
    let mut draft = Draft::new("types of claims", Configuration::new());
    for (claim, value) in [
        ("sub", json!(5)),
        ("sub", json!(null)),
        ("sub", json!(["alice"])),
        ("jti", json!([])),
        ("jti", json!(1)),
        ("client_id", json!(1)),
        ("client_id", json!(["web"])),
        ("scope", json!(1)),
        ("scope", json!(null)),
        ("scope", json!(["read"])),
    ] {
        draft = draft.case("JWT-10", format!("{claim} is {value}"), InvalidToken, bearer(json!({ claim: value })));
    }
    for (claim, value) in [("amr", json!("pwd")), ("amr", json!([1])), ("acr", json!(1)), ("auth_time", json!("1"))] {
        draft = draft.case("AT-7†", format!("{claim} is {value}"), InvalidToken, bearer(json!({ claim: value })));
    }
    draft
        .case(
            "AT-7",
            "claims about the authentication",
            Passes,
            bearer(json!({ "acr": "gold", "auth_time": 1, "amr": ["pwd", "mfa"] })),
        )
        .case(
            "JWT-10",
            "claims of other kinds",
            Passes,
            bearer(json!({ "foo": { "bar": [1, null] }, "email_verified": "yes" })),
        )
        .case("ACT-3", "may_act", Passes, bearer(json!({ "may_act": { "sub": "bob" } })))
}

fn details() -> Draft {
    let with = |details: Value| bearer(json!({ "authorization_details": details }));
    let mut draft = Draft::new("rich authorization", Configuration::new());
    for (name, details) in [
        ("an object", json!({ "type": "payment" })),
        ("a string", json!("payment")),
        ("an array with a string", json!(["payment"])),
        ("an array in an array", json!([[{ "type": "payment" }]])),
        ("an array with an object without type", json!([{}])),
        ("an array with a type that is a number", json!([{ "type": 5 }])),
        ("an array with a type that is null", json!([{ "type": null }])),
        ("an array whose second object has no type", json!([{ "type": "payment" }, { "actions": ["read"] }])),
    ] {
        draft = draft.case("RAR-1", format!("authorization_details is {name}"), InvalidToken, with(details));
    }
    draft
        .case(
            "RAR-1",
            "authorization_details is an array of objects with a type each",
            Passes,
            with(json!([{ "type": "payment", "actions": ["read"], "x": null }, { "type": "" }])),
        )
        .case("RAR-1", "authorization_details is an empty array", Passes, with(json!([])))
}

fn actor() -> Draft {
    let with = |actor: Value| bearer(json!({ "act": actor }));
    let mut draft = Draft::new("an actor", Configuration::new());
    for (name, actor) in [("a string", json!("service")), ("an array", json!([{ "sub": "service" }]))] {
        draft = draft.case("ACT-2", format!("act is {name}"), InvalidToken, with(actor));
    }
    for (name, actor) in [
        ("an empty object", json!({})),
        ("an object with a client_id and no sub", json!({ "client_id": "service" })),
        ("an object whose sub is a number", json!({ "sub": 5 })),
        ("an object whose sub is null", json!({ "sub": null })),
    ] {
        draft = draft.case("ACT-2†", format!("act is {name}"), InvalidToken, with(actor));
    }
    draft
        .case("ACT-2", "act is an object with a sub", Passes, with(json!({ "sub": "service" })))
        .case(
            "ACT-2",
            "act has an actor of its own",
            Passes,
            with(json!({ "sub": "service", "act": { "sub": "job" } })),
        )
        .case("ACT-2", "act has an exp that is over", Passes, with(json!({ "sub": "service", "exp": 1 })))
        .comment("what does not identify the actor says nothing of the token")
}
