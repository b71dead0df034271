//! The declaration of a route that is enforced is the one that everything else is read from: its scope is changed in one
//! place here, and the challenge, the metadata document, the OpenAPI document and the expectations of a test follow.

use axum::{Json, Router, routing::get};
use http::StatusCode;
use scopegate_axum::{Authenticate, ProtectedResource, ProtectedRouter, ResourceServer, Routes, public, scope};
use scopegate_testing::{TokenBuilder, assert_protected};
use scopegate_tests::{Ask, clock, issuer, jwt_cache, mint};
use serde_json::{Value, json};
use utoipa::OpenApi;

const RESOURCE: &str = "https://h/orders";

#[derive(OpenApi)]
#[openapi(paths(orders))]
struct Document;

#[utoipa::path(get, path = "/orders", responses((status = 200, description = "The orders.")))]
async fn orders() -> &'static str {
    "ran"
}

/// The API, whose scope is said here alone.
async fn api(name: &'static str) -> (Router, Routes) {
    let server = ResourceServer::builder()
        .clock(clock())
        .jwt_cache(jwt_cache())
        .issuer(issuer())
        .protected_resource(ProtectedResource::new(RESOURCE))
        .build()
        .await
        .expect("good settings");
    let api = ProtectedRouter::new(Authenticate::new(server)).route("/orders", scope(name), get(orders));
    let mut document = Document::openapi();
    api.openapi_security().write_to(&mut document).expect("no contradiction");
    let api = api.route("/openapi.json", public(), get(async || Json(document)));
    let routes = api.routes();
    (api.into_router(), routes)
}

fn token() -> TokenBuilder {
    mint().token().audience(RESOURCE)
}

#[tokio::test]
async fn a_scope_that_is_changed_in_the_router_changes_everywhere() {
    for (name, other) in [("orders:read", "orders"), ("orders", "orders:read")] {
        let (router, routes) = api(name).await;
        let json =
            async |path: &str| serde_json::from_str::<Value>(&Ask::get(path).of(&router).await.body).expect("JSON");

        // The challenge, and what is enforced.
        let bare = Ask::get("/orders").of(&router).await;
        bare.assert_401_bare();
        assert!(bare.challenge().is_some_and(|challenge| challenge.contains(&format!("scope=\"{name}\""))), "{bare:?}");
        Ask::get("/orders").bearer(token().scope(other).issue()).of(&router).await.assert_403(name);
        Ask::get("/orders").bearer(token().scope(name).issue()).of(&router).await.assert_pass();

        // The metadata document.
        let metadata = json("/.well-known/oauth-protected-resource/orders").await;
        assert_eq!(metadata["scopes_supported"], json!([name]));

        // The OpenAPI document.
        let document = json("/openapi.json").await;
        let security = document["paths"]["/orders"]["get"]["security"].as_array().expect("requirements").clone();
        let scopes: Vec<&Value> = security.iter().flat_map(|one| one.as_object().expect("schemes").values()).collect();
        assert!(!scopes.is_empty() && scopes.iter().all(|scopes| **scopes == json!([name])), "{security:?}");

        // The expectations of the test, which the other router does not meet.
        assert_protected(router, &routes, &token).await;
        let (changed, _) = api(other).await;
        let outcome = tokio::spawn(async move { assert_protected(changed, &routes, &token).await }).await;
        let panic = outcome.expect_err("the list is that of the other router").into_panic();
        let message = panic.downcast_ref::<String>().expect("a message");
        assert!(message.contains(&format!("scope=\"{name}\"")) && message.contains("GET /orders"), "{message}");
        assert_eq!(Ask::get("/orders").of(&api(other).await.0).await.status, StatusCode::UNAUTHORIZED);
    }
}
