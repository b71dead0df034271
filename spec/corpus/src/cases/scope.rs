//! What a route requires, and what a token grants.

use serde_json::{Value, json};

use crate::{
    draft::{Draft, Verdict::*},
    format::{Configuration, JsonType, Request, Scope, ScopeClaim},
    token::{NONE, NOW, claiming},
};

/// The groups.
pub(super) fn groups() -> Vec<Draft> {
    vec![one(), all(), any(), mixed(), implied(), strings_or_arrays(), arrays()]
}

fn scoped(scope: impl Into<Value>) -> Request {
    let scope: Value = scope.into();
    Request::bearer(&claiming(json!({ "scope": scope })))
}

fn one() -> Draft {
    let mut draft = Draft::new("one scope", Configuration::requiring(Scope::token("read")))
        .case("SCOPE-1", "the scope alone", Passes, scoped("read"))
        .case("SCOPE-1", "the scope among others", Passes, scoped("write read admin"))
        .case("SCOPE-6", "the scope between extra spaces", Passes, scoped("  write   read  "))
        .case("SCOPE-6†", "the scope beside a token with illegal characters", Passes, scoped("\"x\" read w\\y"))
        .case("SCOPE-1", "an empty scope", InsufficientScope, scoped(""))
        .case("SCOPE-1", "no scope", InsufficientScope, scoped(NONE))
        .case("SCOPE-4†", "no credentials on a scoped route", NoCredentials, Request::get())
        .case(
            "SCOPE-4†",
            "an expired token on a scoped route",
            InvalidToken,
            Request::bearer(&claiming(json!({ "exp": NOW - 60 }))),
        )
        .case(
            "SCOPE-4† SCOPE-1",
            "an expired token without the scope",
            InvalidToken,
            Request::bearer(&claiming(json!({ "exp": NOW - 60, "scope": "x" }))),
        )
        .case(
            "AT-6",
            "the name of the scope among roles and groups",
            InsufficientScope,
            Request::bearer(&claiming(json!({ "scope": NONE, "roles": ["read"], "groups": ["read"], "scp": "read" }))),
        );
    for scope in ["Read", "READ", "read:all", "readonly", "rea", "*", "xread", "\"read\"", "read,write", "read+write"] {
        draft = draft.case("SCOPE-3", format!("a scope of {scope:?}"), InsufficientScope, scoped(scope));
    }
    for (name, space) in [("a tab", '\t'), ("a line feed", '\n'), ("a no-break space", '\u{a0}')] {
        let request = scoped(format!("x{space}read"));
        draft = draft.case("SCOPE-3 SCOPE-6", format!("{name} before the scope"), InsufficientScope, request);
    }
    draft
}

fn all() -> Draft {
    Draft::new("two scopes", Configuration::requiring(Scope::all(&["read", "write"])))
        .case("SCOPE-1", "both scopes", Passes, scoped("write read"))
        .case("SCOPE-1", "the first scope alone", InsufficientScope, scoped("read"))
        .case("SCOPE-1", "the second scope alone", InsufficientScope, scoped("write"))
}

fn any() -> Draft {
    Draft::new("one of two scopes", Configuration::requiring(Scope::any(&["read", "write"])))
        .case("SCOPE-2", "the first of two", Passes, scoped("read"))
        .case("SCOPE-2", "the second of two", Passes, scoped("write"))
        .case("SCOPE-2†", "neither of two", InsufficientScope, scoped("x"))
        .comment("the challenge names the first alternative")
}

fn mixed() -> Draft {
    let requirement = Scope::All { all: vec![Scope::token("read"), Scope::any(&["write", "admin"])] };
    Draft::new("a scope and one of two others", Configuration::requiring(requirement))
        .case("SCOPE-1 SCOPE-2", "the scope and the second alternative", Passes, scoped("read admin"))
        .case("SCOPE-1 SCOPE-2†", "the scope alone of a scope and an alternative", InsufficientScope, scoped("read"))
        .case("SCOPE-1 SCOPE-2†", "the alternatives alone", InsufficientScope, scoped("write admin"))
}

fn implied() -> Draft {
    let configuration = Configuration::with(|configuration| {
        configuration.required_scope = Some(Scope::token("read"));
        let implied = [("admin", "write"), ("write", "read")];
        configuration.issuers[0].implied_scopes =
            implied.map(|(broad, narrow)| (broad.to_owned(), vec![narrow.to_owned()])).into();
    });
    Draft::new("scopes that imply others", configuration)
        .case("SCOPE-3 MCP-8", "a scope that implies the required one", Passes, scoped("write"))
        .case("SCOPE-3 MCP-8", "a scope that implies it by another", Passes, scoped("admin"))
        .case("SCOPE-3 MCP-8", "a scope that implies nothing", InsufficientScope, scoped("readonly"))
}

fn claims(claims: &[(&str, &[JsonType])]) -> Configuration {
    Configuration::with(|configuration| {
        configuration.required_scope = Some(Scope::all(&["read", "write"]));
        configuration.issuers[0].token_profile.scope_claims = claims
            .iter()
            .map(|(claim, types)| ScopeClaim { claim: (*claim).to_owned(), types: types.to_vec() })
            .collect();
    })
}

fn strings_or_arrays() -> Draft {
    let either = [JsonType::String, JsonType::Array];
    let of = |changes: Value| Request::bearer(&claiming(changes));
    Draft::new("scp, or else scope, as a string or an array", claims(&[("scp", &either), ("scope", &either)]))
        .case("SCOPE-6", "scp as an array", Passes, of(json!({ "scp": ["read", "write"] })))
        .case("SCOPE-6", "scp as a string", Passes, of(json!({ "scp": "read write" })))
        .case("SCOPE-6", "scope where scp is absent", Passes, scoped("read write"))
        .case("SCOPE-6", "a part in each claim", InsufficientScope, of(json!({ "scp": ["read"], "scope": "write" })))
        .comment("one claim is chosen; the two are never put together")
        .case("SCOPE-6†", "an element with a space", InvalidToken, of(json!({ "scp": ["read write"] })))
        .case("JWT-10", "an element that is a number", InvalidToken, of(json!({ "scp": ["read", "write", 1] })))
        .case("JWT-10", "an array in an array", InvalidToken, of(json!({ "scp": [["read", "write"]] })))
        .case("JWT-10", "an object", InvalidToken, of(json!({ "scp": {} })))
        .case("SCOPE-6†", "an empty element beside the scopes", Passes, of(json!({ "scp": ["read", "", "write"] })))
}

fn arrays() -> Draft {
    let of = |changes: Value| Request::bearer(&claiming(changes));
    Draft::new("scp as an array alone", claims(&[("scp", &[JsonType::Array])]))
        .case("SCOPE-6", "an array in the only claim", Passes, of(json!({ "scp": ["write", "read"] })))
        .case("SCOPE-6 JWT-10", "a string in a claim of arrays", InvalidToken, of(json!({ "scp": "read write" })))
        .case("SCOPE-6", "scope, which is not looked at", InsufficientScope, scoped("read write"))
}
