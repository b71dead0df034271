use std::time::Duration;

use http::Request;
use scopegate_testing::{SigningAlgorithm, TestClock, TestIssuer};
use serde_json::json;

use crate::http::{ask, basic, get, introspect, known, post, request};

#[tokio::test]
async fn a_jwt_of_the_issuer_is_active_with_its_claims() {
    for algorithm in [SigningAlgorithm::Es256, SigningAlgorithm::EdDsa, SigningAlgorithm::Rs256] {
        let issuer = TestIssuer::builder().algorithms([algorithm]).start().await;
        let token = issuer.token().scope("message").claim("tenant", "a").issue();
        let told = introspect(&issuer, &token).await;
        assert_eq!((&told["active"], &told["token_type"]), (&json!(true), &json!("Bearer")), "{algorithm}");
        assert_eq!((&told["scope"], &told["tenant"]), (&json!("message"), &json!("a")));
        assert_eq!(told["iss"], issuer.issuer());
    }
}

#[tokio::test]
async fn a_jwt_is_active_until_it_expires() {
    let clock = TestClock::at_unix(1_700_000_000);
    let issuer = TestIssuer::builder().clock(clock.clone()).start().await;
    let token = issuer.token().issue();
    clock.advance(Duration::from_secs(299));
    assert_eq!(introspect(&issuer, &token).await["active"], true);
    clock.advance(Duration::from_secs(1));
    assert_eq!(introspect(&issuer, &token).await, json!({ "active": false }));
}

#[tokio::test]
async fn what_the_current_keys_have_not_signed_is_not_active() {
    let issuer = TestIssuer::start().await;
    let retired = issuer.token().issue();
    assert_eq!(introspect(&issuer, &retired).await["active"], true);
    issuer.rotate().await;
    for token in [
        retired,
        issuer.token().signed_by_wrong_key().issue(),
        issuer.token().tampered_signature().issue(),
        issuer.token().unsigned().issue(),
        issuer.token().hs256_with_public_key().issue(),
        issuer.token().header("alg", "ES384").issue(),
        TestIssuer::start().await.token().issue(),
        "a.b.c".to_owned(),
        "unknown".to_owned(),
    ] {
        assert_eq!(introspect(&issuer, &token).await, json!({ "active": false }), "{token}");
    }
}

#[tokio::test]
async fn a_key_that_stays_in_the_set_still_counts() {
    let issuer = TestIssuer::start().await;
    let old = issuer.token().issue();
    issuer.rotate_keeping_old().await;
    assert_eq!(introspect(&issuer, &old).await["active"], true);
}

#[tokio::test]
async fn requests_need_one_token_in_a_form() {
    let issuer = TestIssuer::start().await;
    for form in ["", "token=", "token=a&token=b", "token=a&token_type_hint=x&token_type_hint=y"] {
        let answer = ask(&issuer, known("/introspect"), form).await;
        assert_eq!((answer.status.as_u16(), &answer.json()["error"]), (400, &json!("invalid_request")), "{form}");
    }
    let json = Request::post("/introspect").header("content-type", "application/json");
    assert_eq!(ask(&issuer, json, "{}").await.status, 400);
    let answer = request(&issuer, "GET", "/introspect?token=a").await;
    assert_eq!((answer.status.as_u16(), &answer.headers["allow"]), (405, &"POST".parse().unwrap()));
}

#[tokio::test]
async fn the_endpoints_are_where_metadata_says() {
    let issuer = TestIssuer::builder().path("/tenant-a/").public_client("app").start().await;
    let metadata = get(&issuer, "/tenant-a/.well-known/openid-configuration").await.json();
    let url = format!("http://{}/tenant-a", issuer.address());
    assert_eq!(issuer.introspection_endpoint(), format!("{url}/introspect"));
    assert_eq!(issuer.revocation_endpoint(), format!("{url}/revoke"));
    assert_eq!(metadata["introspection_endpoint"], issuer.introspection_endpoint());
    assert_eq!(metadata["revocation_endpoint"], issuer.revocation_endpoint());
    for endpoint in ["introspection", "revocation"] {
        let methods = &metadata[format!("{endpoint}_endpoint_auth_methods_supported")];
        assert!(methods.as_array().unwrap().contains(&json!("none")), "{endpoint}");
    }
    assert_eq!(ask(&issuer, post("/tenant-a/introspect"), "client_id=app&token=a").await.status, 200);
}

#[tokio::test]
async fn the_last_request_can_be_looked_at() {
    let issuer = TestIssuer::start().await;
    assert!(issuer.last_introspection().is_none());
    introspect(&issuer, "first").await;
    let request = basic("/introspect?tenant=hush", "robot", "hush").header("accept", "application/json");
    ask(&issuer, request, "token=h%75sh&token_type_hint=access_token").await;

    let recorded = issuer.last_introspection().unwrap();
    assert_eq!((recorded.method().as_str(), recorded.path_and_query()), ("POST", "/introspect?tenant=hush"));
    assert_eq!(recorded.headers()["accept"], "application/json");
    assert_eq!(recorded.headers()["authorization"], "Basic cm9ib3Q6aHVzaA==");
    assert_eq!(recorded.body(), b"token=h%75sh&token_type_hint=access_token");
    let parameters: Vec<_> = recorded.parameters().collect();
    assert_eq!(parameters[0], ("token".to_owned(), "hush".to_owned()));

    let debug = format!("{recorded:?}");
    assert!(debug.contains("/introspect") && debug.contains("authorization"));
    for secret in ["hush", "cm9ib3Q6aHVzaA", "h%75sh"] {
        assert!(!debug.contains(secret), "{debug}");
    }
}

#[tokio::test]
async fn a_request_is_recorded_though_no_answer_comes() {
    let issuer = TestIssuer::start().await;
    issuer.outage();
    assert_eq!(ask(&issuer, known("/introspect"), "token=a").await.status, 503);
    assert_eq!(issuer.last_introspection().unwrap().body(), b"token=a");
    assert_eq!(issuer.requests().introspection, 1);
    issuer.recover();
    assert_eq!(introspect(&issuer, "a").await, json!({ "active": false }));
}
