//! Attacks on the scope layer: empty requirements, near misses, and stacked layers.

use axum::{Router, handler::Handler, routing::get};
use scopegate_axum::{Authenticate, Reason, RequireScope, RequireToken, jwt};
use scopegate_tests::{Ask, issuer, mint};
use serde_json::{Value, json};

use crate::scope::{Guarded, server};

#[test]
fn s_01_empty_all_or_any_is_refused() {
    let none: [&str; 0] = [];
    assert!(RequireScope::try_all(none).is_err());
    assert!(RequireScope::try_any(none).is_err());
}

#[tokio::test]
async fn s_01_require_token_accepts_every_valid_token() {
    let route = |optional: bool| async move {
        let authenticate = Authenticate::new(server(issuer()).await);
        let authenticate = if optional { authenticate.optional() } else { authenticate };
        Router::new().route("/r", get((|| async {}).layer(RequireToken::new()))).layer(authenticate)
    };
    for router in [route(false).await, route(true).await] {
        Ask::get("/r").bearer(mint().token().issue()).of(&router).await.assert_pass();
        Ask::get("/r").of(&router).await.assert_401_bare();
        Ask::get("/r").bearer(mint().token().expired().issue()).of(&router).await.assert_401(Reason::Expired);
    }
}

#[tokio::test]
async fn s_02_a_near_miss_is_a_miss_in_either_direction() {
    let scope = "messages:read";
    let near = [
        "messages",
        "messages:",
        "messages:rea",
        "messages:read:all",
        "messages:read.",
        "essages:read",
        "xmessages:read",
        ":read",
        "read",
        "sages:re",
        "Messages:read",
        "messages:Read",
        "MESSAGES:READ",
        "messages:*",
        "*",
        "messages:read,messages:write",
    ];
    let exact = Guarded::by(RequireScope::new(scope)).await;
    for near in near {
        exact.with_scope(near).await.assert_403(scope);
        Guarded::by(RequireScope::new(near)).await.with_scope(scope).await.assert_403(near);
    }
    assert_eq!(exact.calls(), 0);
    exact.with_scope(&near.map(|near| format!("{near} ")).concat()).await.assert_403(scope);
    exact.with_scope(scope).await.assert_pass();
}

#[test]
fn s_03_a_space_inside_one_name_cannot_be_configured() {
    for name in ["a b", " a", "a ", " ", "a\tb", "a\u{a0}b"] {
        assert!(RequireScope::try_new(name).is_err(), "{name:?}");
        assert!(RequireScope::try_all(["c", name]).is_err(), "{name:?}");
        assert!(RequireScope::try_any([name, "c"]).is_err(), "{name:?}");
    }
}

#[tokio::test]
async fn s_04_refusing_layer_names_its_own_scope() {
    let router = Router::new()
        .route("/r", get((|| async {}).layer(RequireScope::new("inner")).layer(RequireScope::new("outer"))))
        .layer(Authenticate::new(server(issuer()).await));
    for (scope, named) in [("", "outer"), ("inner", "outer"), ("outer", "inner")] {
        Ask::get("/r").bearer(mint().token().scope(scope).issue()).of(&router).await.assert_403(named);
    }
    Ask::get("/r").bearer(mint().token().scope("inner outer").issue()).of(&router).await.assert_pass();
}

#[tokio::test]
async fn s_05_an_expired_token_that_also_lacks_scope_is_401() {
    let route = Guarded::by(RequireScope::new("a")).await;
    route.ask(mint().token().expired().scope("b").issue()).await.assert_401(Reason::Expired);
    route.ask(mint().token().expired().issue()).await.assert_401(Reason::Expired);
    assert_eq!(route.calls(), 0);
}

#[tokio::test]
async fn s_06_odd_types_along_a_path_grant_nothing() {
    let profile = jwt::Profile::rfc9068().scope_claim(jwt::ScopeClaim::path(["realm_access", "roles"]));
    let route = Guarded::of(issuer().profile(profile), RequireScope::new("admin")).await;
    let odd = [
        json!(null),
        json!(true),
        json!(1),
        json!(-1.5),
        json!(""),
        json!([]),
        json!({}),
        json!({ "admin": true }),
        json!([["admin"]]),
        json!([{ "admin": "admin" }]),
        json!([null, 1, "admin x", " admin", "Admin"]),
        json!({ "roles": { "roles": "admin" } }),
    ];
    let claims = odd.iter().cloned().chain([json!("admin"), json!(["admin"]), json!([{ "roles": ["admin"] }])]);
    let roles = odd.iter().map(|odd| json!({ "roles": odd }));
    let elsewhere = [json!({ "Roles": ["admin"] }), json!({ "": { "roles": ["admin"] } })];
    for realm_access in claims.chain(roles).chain(elsewhere) {
        let answer = route.ask(mint().token().claim("realm_access", realm_access.clone()).issue()).await;
        assert_eq!(answer.status, 403, "{realm_access}");
    }
    route.ask(mint().token().issue()).await.assert_403("admin");
    assert_eq!(route.calls(), 0);
    for roles in [json!(["user", "admin", 1, "x y"]), Value::from("user admin")] {
        route.ask(mint().token().claim("realm_access", json!({ "roles": roles })).issue()).await.assert_pass();
    }
}
