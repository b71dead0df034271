//! What a refusal says.

use serde_json::json;

use crate::{
    draft::{Draft, Verdict::*},
    format::{Configuration, Dpop, Keys, Request, Scope},
    token::{bound, claiming, good, proof},
};

/// The groups.
pub(super) fn groups() -> Vec<Draft> {
    vec![scoped(), two_schemes(), bound_tokens(), outage()]
}

fn scoped() -> Draft {
    let configuration = Configuration::requiring(Scope::all(&["read", "write"]));
    Draft::new("a route that requires two scopes", configuration)
        .case(
            "CHAL-4 BEARER-3†",
            "a request that is malformed",
            InvalidRequest,
            Request::get().field("authorization", "Bearer"),
        )
        .case("CHAL-9† SCOPE-4", "no credentials for a scope", NoCredentials, Request::get())
        .case("CHAL-4 CHAL-9†", "a bad token for a scope", InvalidToken, Request::bearer("abc"))
        .case("CHAL-4 SCOPE-1", "a token without one of the scopes", InsufficientScope, Request::bearer(&good()))
        .comment("the challenge names all that the route requires, and not what is missing")
        .case(
            "SCOPE-1",
            "a token with both scopes",
            Passes,
            Request::bearer(&claiming(json!({ "scope": "write read" }))),
        )
}

fn two_schemes() -> Draft {
    let good = good();
    let both = |one: &str, other: &str| Request::get().field("authorization", one).field("authorization", other);
    Draft::new("a server with bearer tokens and DPoP", Configuration::with_dpop())
        .case("CHAL-8 DPOP-19", "no credentials for two schemes", NoCredentials, Request::get())
        .case("DPOP-19", "a bad bearer token for two schemes", InvalidToken, Request::bearer("abc"))
        .case("DPOP-19 AT-5", "a bad token under DPoP", InvalidToken, Request::under("DPoP", "abc"))
        .case("DPOP-19 BEARER-3†", "malformed credentials under DPoP", InvalidRequest, Request::under("DPoP", "a b"))
        .case("DPOP-19 BEARER-6", "both schemes at once", InvalidRequest, both("Bearer a", "DPoP a"))
        .case("DPOP-16", "an unbound token under Bearer beside DPoP", Passes, Request::bearer(&good))
        .case(
            "DPOP-16†",
            "an unbound token under Bearer with a stray proof",
            Passes,
            Request::bearer(&good).field("dpop", "nonsense"),
        )
}

fn bound_tokens() -> Draft {
    let configuration = Configuration::with(|configuration| {
        configuration.dpop = Some(Dpop::new());
        configuration.require_bound_tokens = true;
    });
    Draft::new("a server that requires DPoP", configuration)
        .case("DPOP-19 CHAL-8", "no credentials where only DPoP succeeds", NoCredentials, Request::get())
        .case("MTLS-6", "an unbound token where bound ones are required", InvalidToken, Request::bearer(&good()))
        .case(
            "DPOP-1",
            "a bound token with its proof where it is required",
            Passes,
            Request::dpop(&bound(), &proof(json!({}), json!({}))),
        )
}

fn outage() -> Draft {
    let configuration = Configuration::of_issuer(|issuer| issuer.keys = Keys::Unavailable);
    Draft::new("an issuer whose keys could never be fetched", configuration)
        .case("CHAL-10† KEY-12", "a good token without keys", Unavailable, Request::bearer(&good()))
        .case("KEY-12† JOSE-2", "a text that is no token without keys", InvalidToken, Request::bearer("a.b.c"))
        .case("KEY-12 CHAL-3", "no credentials without keys", NoCredentials, Request::get())
        .case(
            "KEY-12† JWT-1",
            "a token of an unknown issuer without keys",
            InvalidToken,
            Request::bearer(&claiming(json!({ "iss": "https://other.example" }))),
        )
}
