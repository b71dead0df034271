use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use scopegate_testing::{SigningAlgorithm, SigningKey, SigningKeys, TestClock, TestIssuer};
use serde_json::{Value, json};
use tokio::net::TcpStream;

use crate::{
    http::{get, request, send},
    verify::{is_signed, parts},
};

#[tokio::test]
async fn metadata_names_the_issuer_and_its_endpoints() {
    let issuer = TestIssuer::start().await;
    let url = format!("http://{}", issuer.address());
    assert_eq!(issuer.issuer(), url);
    for path in ["/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"] {
        let answer = get(&issuer, path).await;
        assert_eq!(
            (answer.status.as_u16(), &answer.headers["content-type"]),
            (200, &"application/json".parse().unwrap())
        );
        assert_eq!(
            answer.json(),
            json!({
                "issuer": url,
                "jwks_uri": format!("{url}/jwks.json"),
                "token_endpoint": format!("{url}/token"),
                "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
                "introspection_endpoint": format!("{url}/introspect"),
                "introspection_endpoint_auth_methods_supported":
                    ["client_secret_basic", "client_secret_post", "client_secret_jwt", "private_key_jwt", "Bearer"],
                "introspection_endpoint_auth_signing_alg_values_supported":
                    ["HS256", "ES256", "ES384", "EdDSA", "PS256", "RS256", "Ed25519"],
                "introspection_signing_alg_values_supported": ["ES256", "ES384", "EdDSA"],
                "revocation_endpoint": format!("{url}/revoke"),
                "revocation_endpoint_auth_methods_supported":
                    ["client_secret_basic", "client_secret_post", "client_secret_jwt", "private_key_jwt"],
                "revocation_endpoint_auth_signing_alg_values_supported":
                    ["HS256", "ES256", "ES384", "EdDSA", "PS256", "RS256", "Ed25519"],
                "dpop_signing_alg_values_supported": ["ES256", "ES384", "EdDSA", "PS256", "RS256", "Ed25519"],
                "grant_types_supported": ["client_credentials"],
                "response_types_supported": ["none"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["ES256", "ES384", "EdDSA"],
            }),
        );
    }
}

#[tokio::test]
async fn an_issuer_with_a_path_is_found_at_all_three_places() {
    let issuer = TestIssuer::builder().path("/tenant-a").jwks_path("/.well-known/jwks.json").start().await;
    assert!(issuer.issuer().ends_with("/tenant-a"));
    for path in [
        "/tenant-a/.well-known/openid-configuration",
        "/.well-known/openid-configuration/tenant-a",
        "/.well-known/oauth-authorization-server/tenant-a",
    ] {
        let metadata = get(&issuer, path).await.json();
        assert_eq!(metadata["issuer"], issuer.issuer());
        assert_eq!(metadata["jwks_uri"], issuer.jwks_uri());
        assert_eq!(metadata["token_endpoint"], issuer.token_endpoint());
    }
    assert_eq!(get(&issuer, "/tenant-a/.well-known/jwks.json").await.body, issuer.jwks_json());
    assert_eq!(get(&issuer, "/.well-known/openid-configuration").await.status, 404);
}

#[tokio::test]
async fn metadata_can_be_wrong_on_purpose() {
    let issuer = TestIssuer::builder()
        .metadata_member("issuer", "https://evil.example")
        .without_metadata_member("jwks_uri")
        .start()
        .await;
    let metadata = get(&issuer, "/.well-known/openid-configuration").await.json();
    assert_eq!(metadata["issuer"], "https://evil.example");
    assert_eq!(metadata.get("jwks_uri"), None);
}

#[tokio::test]
async fn published_keys_verify_the_tokens() {
    let issuer = TestIssuer::start().await;
    let answer = get(&issuer, "/jwks.json").await;
    assert_eq!(answer.headers["content-type"], "application/jwk-set+json");
    assert_eq!(answer.body, issuer.jwks_json());
    assert!(is_signed(&issuer.token().issue(), &answer.body));
    assert_eq!(parts(&issuer.token().issue()).claims["iss"], issuer.issuer());
    assert_eq!(parts(&issuer.id_token().issue()).claims["iss"], issuer.issuer());
}

#[tokio::test]
async fn another_path_or_method_is_refused_in_json() {
    let issuer = TestIssuer::start().await;
    let lost = get(&issuer, "/nowhere").await;
    assert_eq!((lost.status.as_u16(), lost.json()), (404, json!({ "error": "not_found" })));

    for (method, path, allow) in [("POST", "/jwks.json", "GET, HEAD"), ("GET", "/token", "POST")] {
        let answer = request(&issuer, method, path).await;
        assert_eq!((answer.status.as_u16(), &answer.headers["allow"]), (405, &allow.parse().unwrap()));
        assert_eq!(answer.json(), json!({ "error": "method_not_allowed" }));
    }
    let head = request(&issuer, "HEAD", "/jwks.json").await;
    assert_eq!((head.status.as_u16(), head.body.as_str()), (200, ""));
}

#[tokio::test]
async fn rotation_takes_the_old_keys_back() {
    let issuer = TestIssuer::start().await;
    let (old_mint, old) = (issuer.mint(), issuer.token().issue());
    issuer.rotate().await;

    let published = get(&issuer, "/jwks.json").await.body;
    assert!(is_signed(&issuer.token().issue(), &published));
    assert!(!is_signed(&old, &published));
    assert!(is_signed(&old_mint.token().issue(), &old_mint.jwks_json()));
    assert_eq!(issuer.mint().keys().algorithms(), old_mint.keys().algorithms());
}

#[tokio::test]
async fn an_overlap_keeps_the_old_keys() {
    let issuer = TestIssuer::start().await;
    let old = issuer.token().issue();
    issuer.rotate_keeping_old().await;

    let new = issuer.token().issue();
    assert_ne!(parts(&old).header["kid"], parts(&new).header["kid"]);
    let published = get(&issuer, "/jwks.json").await.body;
    assert!(is_signed(&old, &published) && is_signed(&new, &published));
}

#[tokio::test]
async fn keys_are_given_and_replaced() {
    let named = |kid: &str| SigningKeys::from(SigningKey::generate(SigningAlgorithm::Es384).with_key_id(kid));
    let issuer = TestIssuer::builder().keys(named("one")).start().await;
    assert_eq!(parts(&issuer.token().issue()).header["kid"], "one");
    issuer.set_keys(named("two"));
    let published = get(&issuer, "/jwks.json").await.json();
    assert_eq!((&published["keys"][0]["kid"], published["keys"].as_array().unwrap().len()), (&json!("two"), 1));
}

#[tokio::test]
async fn rsa_keys_are_there_when_named() {
    let issuer = TestIssuer::builder().algorithms([SigningAlgorithm::Rs256]).start().await;
    let token = issuer.token().issue();
    assert_eq!(parts(&token).header["alg"], "RS256");
    assert!(is_signed(&token, &issuer.jwks_json()));
}

#[tokio::test]
async fn an_outage_lasts_until_recovery() {
    let issuer = TestIssuer::start().await;
    issuer.outage();
    for path in ["/jwks.json", "/.well-known/openid-configuration", "/nowhere"] {
        let answer = get(&issuer, path).await;
        assert_eq!((answer.status.as_u16(), answer.headers.get("retry-after")), (503, None));
    }
    issuer.recover();
    assert_eq!(get(&issuer, "/jwks.json").await.status, 200);
}

#[tokio::test]
async fn hanging_up_gives_no_answer() {
    let issuer = TestIssuer::start().await;
    issuer.hang_up();
    let request = || Request::get("/jwks.json").body(Full::<Bytes>::default()).unwrap();
    send(&issuer, request()).await.unwrap_err();
    assert_eq!(issuer.requests().jwks, 1);
    issuer.recover();
    send(&issuer, request()).await.unwrap();
}

#[tokio::test]
async fn slowness_is_by_the_clock() {
    let clock = TestClock::at_unix(1_700_000_000);
    let issuer = TestIssuer::builder().clock(clock.clone()).start().await;
    issuer.slow(Duration::from_secs(10));

    let mut answer = Box::pin(get(&issuer, "/jwks.json"));
    tokio::select! {
        biased;
        _ = &mut answer => panic!("the answer came before its time"),
        () = until(|| issuer.requests().jwks == 1) => {}
    }
    tokio::select! {
        biased;
        _ = &mut answer => panic!("the answer came before its time"),
        () = async { for _ in 0..1000 { tokio::task::yield_now().await } } => {}
    }
    // The request has been counted, and its delay begins in the same poll.
    clock.advance(Duration::from_secs(10));
    assert_eq!(answer.await.status, 200);
}

/// Lets the other tasks run until the condition holds.
async fn until(condition: impl Fn() -> bool) {
    for _ in 0..100_000 {
        if condition() {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("the condition was not met");
}

#[tokio::test]
async fn requests_are_counted_by_endpoint() {
    let issuer = TestIssuer::start().await;
    get(&issuer, "/.well-known/openid-configuration").await;
    get(&issuer, "/.well-known/oauth-authorization-server").await;
    get(&issuer, "/jwks.json").await;
    get(&issuer, "/nowhere").await;
    issuer.outage();
    get(&issuer, "/jwks.json").await;
    let requests = issuer.requests();
    assert_eq!((requests.discovery, requests.jwks, requests.token), (2, 2, 0));
}

#[tokio::test]
async fn it_listens_on_the_loopback_interface_until_shut_down() {
    let issuer = TestIssuer::start().await;
    let address = issuer.address();
    assert_eq!(address.ip(), std::net::Ipv4Addr::LOCALHOST);
    TcpStream::connect(address).await.unwrap();
    issuer.shutdown().await;
    TcpStream::connect(address).await.unwrap_err();
}

#[tokio::test]
async fn dropping_it_closes_the_port() {
    let issuer = TestIssuer::start().await;
    let address = issuer.address();
    drop(issuer);
    while TcpStream::connect(address).await.is_ok() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn debug_shows_no_client_secret() {
    let builder = TestIssuer::builder().client("robot", "hush");
    assert!(format!("{builder:?}").contains("robot") && !format!("{builder:?}").contains("hush"));
    let issuer = builder.start().await;
    assert!(!format!("{issuer:?}").contains("hush"));
}

#[tokio::test]
async fn metadata_is_an_object_of_every_promised_member() {
    let issuer = TestIssuer::start().await;
    let Value::Object(metadata) = get(&issuer, "/.well-known/oauth-authorization-server").await.json() else {
        panic!("not an object")
    };
    // RFC 8414, section 3.2: members with no elements must be left out.
    assert!(metadata.values().all(|value| value.as_array().is_none_or(|array| !array.is_empty())));
}
