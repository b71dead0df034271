//! Where the token is, and how it is written.

use serde_json::json;

use crate::{
    draft::{Draft, Verdict::*},
    format::{Configuration, Request, Scope},
    token::{NOW, claiming, good},
};

/// The groups.
pub(super) fn groups() -> Vec<Draft> {
    vec![credentials(), optional(), length(), named_field()]
}

fn line(value: impl AsRef<[u8]>) -> Request {
    Request::get().field("authorization", value)
}

fn credentials() -> Draft {
    let good = good();
    let bearer = format!("Bearer {good}");
    let mut draft = Draft::new("a server with bearer tokens", Configuration::new())
        .case("BEARER-1", "a good token", Passes, Request::bearer(&good))
        .case("CHAL-3 CHAL-1", "no credentials", NoCredentials, Request::get())
        .case("BEARER-3", "three spaces after the scheme", Passes, line(format!("Bearer   {good}")))
        .case("BEARER-3†", "an octet that is no ASCII", InvalidRequest, line(b"Bearer a\xff"))
        .case("BEARER-3†", "two tokens in a list", InvalidRequest, line(format!("{bearer}, {bearer}")))
        .case("BEARER-2", "the name of the field in capitals", Passes, Request::get().field("AUTHORIZATION", &bearer));
    for scheme in ["bearer", "BEARER", "bEaReR"] {
        draft = draft.case("BEARER-2", format!("the scheme as {scheme}"), Passes, Request::under(scheme, &good));
    }
    for value in [
        "Bearer",
        "Bearer a b",
        "Bearer a,b",
        "Bearer a=b",
        "Bearer =",
        "Bearer \"a\"",
        "Bearer a;b",
        "Bearer\ta",
        "Bearer=a",
        "Bearer:a",
        "\"Bearer\" a",
        "Bearer a@b",
        "Bearer a\\b",
        "Bearer {}",
    ] {
        draft = draft.case("BEARER-3†", format!("malformed credentials: {value:?}"), InvalidRequest, line(value));
    }
    for token in ["abc", "a==", "a.b", "a.b.c.d", "....", "~", "a+/"] {
        draft = draft.case(
            "BEARER-4†",
            format!("a token68 that is no token: {token}"),
            InvalidToken,
            Request::bearer(token),
        );
    }
    for value in ["Basic dTpw", "Basic", "Digest a=\"b\", c=d", "Bearerx y", "Negotiate a"] {
        draft = draft.case("BEARER-5", format!("another scheme: {value}"), NoCredentials, line(value));
    }
    draft = draft.case("BEARER-5", "DPoP, which is not offered", NoCredentials, Request::under("DPoP", &good));
    for (name, one, other) in [
        ("the same bearer token", bearer.as_str(), bearer.as_str()),
        ("another scheme before a bearer token", "Basic dTpw", &bearer),
        ("another scheme after a bearer token", &bearer, "Basic dTpw"),
        ("twice another scheme", "Basic a", "Basic a"),
    ] {
        let request = line(one).field("Authorization", other);
        draft = draft.case("BEARER-6†", format!("two field lines: {name}"), InvalidRequest, request);
    }
    for (name, query) in [
        ("the same token", format!("access_token={good}")),
        ("no value", "access_token".to_owned()),
        ("an escaped name", "x&access%5Ftoken=x".to_owned()),
    ] {
        let request = Request::bearer(&good).target(format!("/messages?{query}"));
        draft = draft.case("BEARER-7†", format!("header and query: {name}"), InvalidRequest, request);
    }
    let other = Request::bearer(&good).target("/messages?xaccess_token=a&Access_Token=b");
    draft = draft.case("BEARER-7", "header and a parameter of another name", Passes, other);
    let alone = Request::get().target(format!("/messages?access_token={good}"));
    draft = draft.case("BEARER-9", "the query alone", NoCredentials, alone);
    for name in ["cookie", "proxy-authorization", "x-authorization", "x-access-token"] {
        let request = Request::get().field(name, format!("access_token={good}"));
        draft = draft.case("BEARER-14†", format!("a token in {name}"), NoCredentials, request);
        let request = Request::get().field(name, &bearer);
        draft = draft.case("BEARER-14†", format!("bearer credentials in {name}"), NoCredentials, request);
    }
    let preflight = Request::get()
        .method("OPTIONS")
        .field("origin", "https://app.example")
        .field("access-control-request-method", "GET");
    draft
        .case("OPS-4†", "a preflight request", NoCredentials, preflight)
        .case("AT-9", "a token for the second time", Passes, Request::bearer(&good))
        .after([Request::bearer(&good)])
        .comment("`jti` is no check of replay: a bearer token is used many times")
}

fn optional() -> Draft {
    let configuration = Configuration::with(|configuration| configuration.anonymous = true);
    Draft::new("a route that is open to anonymous requests", configuration)
        .case("BEARER-13", "optional: no credentials", Anonymous, Request::get())
        .case("BEARER-13", "optional: another scheme", Anonymous, line("Basic dTpw"))
        .case("BEARER-13", "optional: a good token", Passes, Request::bearer(&good()))
        .case(
            "BEARER-13†",
            "optional: an expired token",
            InvalidToken,
            Request::bearer(&claiming(json!({ "exp": NOW - 60 }))),
        )
        .case("BEARER-13†", "optional: malformed credentials", InvalidRequest, line("Bearer"))
        .case(
            "BEARER-13† BEARER-6",
            "optional: two field lines",
            InvalidRequest,
            line("Basic a").field("authorization", "Basic a"),
        )
}

fn length() -> Draft {
    let good = good();
    let configuration = Configuration::with(|configuration| configuration.max_token_bytes = good.len());
    let longer = claiming(json!({ "sub": "alice2" }));
    Draft::new("a limit of the length that a good token just keeps", configuration)
        .case("BEARER-12†", "a token as long as the limit", Passes, Request::bearer(&good))
        .case("BEARER-12†", "a token that is longer", InvalidToken, Request::bearer(&longer))
        .case("BEARER-12†", "a text that is longer", InvalidToken, Request::bearer(&"a".repeat(good.len() + 1)))
}

fn named_field() -> Draft {
    let good = good();
    let configuration = Configuration::with(|configuration| {
        configuration.token_field = Some("x-assertion".to_owned());
        configuration.required_scope = Some(Scope::token("read"));
    });
    Draft::new("another field whose value is a token", configuration)
        .case("BEARER-14", "a token in the named field", Passes, Request::get().field("X-Assertion", &good))
        .case("BEARER-14", "a token in authorization beside the setting", Passes, Request::bearer(&good))
        .case(
            "BEARER-14 BEARER-4†",
            "the named field with another text",
            InvalidToken,
            Request::get().field("x-assertion", "abc"),
        )
        .case(
            "BEARER-6†",
            "the named field twice",
            InvalidRequest,
            Request::get().field("x-assertion", &good).field("x-assertion", &good),
        )
        .case("BEARER-14 SCOPE-4†", "neither field", NoCredentials, Request::get().field("x-other", &good))
}
