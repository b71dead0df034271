use axum::{Router, routing::any};
use scopegate_testing::TestIssuer;

use crate::http::{get, known, request, send};

async fn with_service() -> TestIssuer {
    let issuer = TestIssuer::builder().path("/tenant-a").start().await;
    let echo = any(async |method: axum::http::Method, body: String| format!("{method} {body}"));
    issuer
        .serve_beside(Router::new().route("/", echo.clone()).route("/tenant-a/jwks.json", echo.clone()).fallback(echo));
    issuer
}

#[tokio::test]
async fn a_service_has_the_paths_that_are_not_the_issuers() {
    let issuer = with_service().await;
    for path in ["/", "/jwks.json", "/token", "/tenant-a", "/tenant-a/"] {
        assert_eq!(get(&issuer, path).await.body, "GET ", "{path}");
    }
    let body = http_body_util::Full::from("a body");
    let answer = send(&issuer, known("/").body(body).unwrap()).await.unwrap();
    assert_eq!(answer.body, "POST a body");

    for path in ["/tenant-a/jwks.json", "/tenant-a/.well-known/openid-configuration"] {
        assert!(get(&issuer, path).await.json().is_object(), "{path}");
    }
    // A method that an endpoint does not have is still the endpoint's to refuse.
    assert_eq!(request(&issuer, "POST", "/tenant-a/jwks.json").await.status, 405);
}

#[tokio::test]
async fn faults_of_the_issuer_do_not_affect_the_service() {
    let issuer = with_service().await;
    issuer.outage();
    assert!(!issuer.is_up());
    assert_eq!(get(&issuer, "/").await.status, 200);
    assert_eq!(get(&issuer, "/tenant-a/jwks.json").await.status, 503);
    issuer.hang_up();
    assert!(!issuer.is_up());
    assert_eq!(get(&issuer, "/").await.status, 200);
    issuer.recover();
    assert!(issuer.is_up());
    assert_eq!(get(&issuer, "/tenant-a/jwks.json").await.status, 200);
}

#[tokio::test]
async fn without_a_service_other_paths_are_not_found_and_a_later_one_takes_the_place() {
    let issuer = TestIssuer::start().await;
    assert_eq!(get(&issuer, "/").await.status, 404);
    for text in ["first", "second"] {
        issuer.serve_beside(Router::new().route("/", any(async move || text)));
        assert_eq!(get(&issuer, "/").await.body, text);
    }
}
