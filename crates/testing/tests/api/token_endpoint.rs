use std::{
    collections::HashSet,
    time::{Duration, UNIX_EPOCH},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{Request, request};
use scopegate_testing::{DpopClient, Mint, ProofBuilder, Shape, SigningAlgorithm, SigningKey, TestClock, TestIssuer};
use serde_json::{Value, json};

use crate::{
    http::{self as client, ask},
    verify::{is_signed, parts},
};

fn post() -> request::Builder {
    client::post("/token")
}

fn basic(client_id: &str, secret: &str) -> request::Builder {
    client::basic("/token", client_id, secret)
}

/// Status and error code. Asserts the rules of every error.
async fn refused(issuer: &TestIssuer, request: request::Builder, form: &str) -> (u16, String) {
    let answer = ask(issuer, request, form).await;
    assert_eq!(answer.headers["cache-control"], "no-store");
    assert_eq!(answer.headers.contains_key("www-authenticate"), answer.status == 401);
    (answer.status.as_u16(), answer.json()["error"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn the_default_client_gets_a_token() {
    let issuer = TestIssuer::start().await;
    let request = basic(Mint::CLIENT_ID, TestIssuer::CLIENT_SECRET);
    let answer = ask(&issuer, request, "grant_type=client_credentials&scope=message+profile").await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.headers["cache-control"], "no-store");
    assert_eq!(answer.headers["content-type"], "application/json");

    let mut body = answer.json();
    let token = body["access_token"].take();
    assert_eq!(
        body,
        json!({ "access_token": null, "token_type": "Bearer", "expires_in": 300, "scope": "message profile" }),
    );
    let token = token.as_str().unwrap();
    assert!(is_signed(token, &issuer.jwks_json()));
    let parts = parts(token);
    assert_eq!(parts.header["typ"], "at+jwt");
    assert_eq!(parts.claims["iss"], issuer.issuer());
    assert_eq!(parts.claims["sub"], "test-client");
    assert_eq!(parts.claims["client_id"], "test-client");
    assert_eq!(parts.claims["aud"], Mint::AUDIENCE);
    assert_eq!(parts.claims["scope"], "message profile");
    assert_eq!(issuer.requests().token, 1);
}

#[tokio::test]
async fn a_client_may_authenticate_in_the_body() {
    let issuer = TestIssuer::builder().client("robot", "hush").start().await;
    let answer = ask(&issuer, post(), "grant_type=client_credentials&client_id=robot&client_secret=hush").await;
    let body = answer.json();
    assert_eq!(body.get("scope"), None);
    let claims = parts(body["access_token"].as_str().unwrap()).claims;
    assert_eq!((&claims["sub"], claims.get("scope")), (&json!("robot"), None));

    // The default client is gone.
    let request = basic(Mint::CLIENT_ID, TestIssuer::CLIENT_SECRET);
    assert_eq!(refused(&issuer, request, "grant_type=client_credentials").await, (401, "invalid_client".into()));
}

#[tokio::test]
async fn basic_credentials_are_form_encoded() {
    let issuer = TestIssuer::builder().client("a:b", "p&q +%").start().await;
    let answer = ask(&issuer, basic("a%3Ab", "p%26q+%2B%25"), "grant_type=client_credentials").await;
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn resources_and_audiences_become_the_audience() {
    let issuer = TestIssuer::builder().audience("https://default.example").start().await;
    for (form, aud) in [
        ("", json!("https://default.example")),
        ("&resource=https://a.example", json!("https://a.example")),
        ("&audience=b", json!("b")),
        ("&resource=https://a.example&resource=urn:c&audience=b", json!(["https://a.example", "urn:c", "b"])),
    ] {
        let request = basic(Mint::CLIENT_ID, TestIssuer::CLIENT_SECRET);
        let answer = ask(&issuer, request, &format!("grant_type=client_credentials{form}")).await;
        assert_eq!(parts(answer.json()["access_token"].as_str().unwrap()).claims["aud"], aud);
    }
}

#[tokio::test]
async fn requests_are_refused_by_the_codes_of_rfc_6749() {
    let issuer = TestIssuer::start().await;
    let known = || basic(Mint::CLIENT_ID, TestIssuer::CLIENT_SECRET);
    for (form, code) in [
        ("", "invalid_request"),
        ("grant_type=", "invalid_request"),
        ("grant_type=client_credentials&grant_type=client_credentials", "invalid_request"),
        ("grant_type=client_credentials&scope=a&scope=b", "invalid_request"),
        ("grant_type=client_credentials&client_id=other", "invalid_request"),
        ("grant_type=client_credentials&client_secret=test-secret", "invalid_request"),
        ("grant_type=password", "unsupported_grant_type"),
        ("grant_type=client_credentials&scope=a++b", "invalid_scope"),
        ("grant_type=client_credentials&scope=%22", "invalid_scope"),
        ("grant_type=client_credentials&resource=api", "invalid_target"),
        ("grant_type=client_credentials&resource=https://a.example/%23f", "invalid_target"),
    ] {
        assert_eq!(refused(&issuer, known(), form).await, (400, code.to_owned()), "{form}");
    }
}

#[tokio::test]
async fn clients_are_refused_alike_whatever_is_wrong_with_them() {
    let issuer = TestIssuer::start().await;
    let form = "grant_type=client_credentials";
    for request in [
        post(),
        post().header("authorization", "Bearer x"),
        post().header("authorization", "Basic !"),
        post().header("authorization", format!("Basic {}", STANDARD.encode("no-colon"))),
        basic(Mint::CLIENT_ID, "wrong"),
        basic(Mint::CLIENT_ID, ""),
        basic("unknown", TestIssuer::CLIENT_SECRET),
    ] {
        assert_eq!(refused(&issuer, request, form).await, (401, "invalid_client".into()));
    }
    let twice = basic(Mint::CLIENT_ID, TestIssuer::CLIENT_SECRET).header("authorization", "Basic dGVzdDp0ZXN0");
    assert_eq!(refused(&issuer, twice, form).await, (400, "invalid_request".into()));
}

#[tokio::test]
async fn a_body_that_is_no_form_or_too_long_is_refused() {
    let issuer = TestIssuer::start().await;
    let json = Request::post("/token").header("content-type", "application/json");
    assert_eq!(refused(&issuer, json, "{}").await, (400, "invalid_request".into()));
    let untyped = Request::post("/token");
    assert_eq!(refused(&issuer, untyped, "grant_type=client_credentials").await, (400, "invalid_request".into()));
    let long = format!("grant_type=client_credentials&x={}", "x".repeat(64 * 1024));
    assert_eq!(refused(&issuer, post(), &long).await, (400, "invalid_request".into()));
}

#[tokio::test]
async fn opaque_tokens_are_there_for_the_asking() {
    let issuer = TestIssuer::start().await;
    let known = || basic(Mint::CLIENT_ID, TestIssuer::CLIENT_SECRET);
    let form = "grant_type=client_credentials&scope=message&audience=b&token_format=opaque";
    let mut body = ask(&issuer, known(), form).await.json();
    let token = body["access_token"].take();
    assert_eq!(body, json!({ "access_token": null, "token_type": "Bearer", "expires_in": 300, "scope": "message" }));

    let token = token.as_str().unwrap();
    assert!(token.len() >= 22 && !token.contains('.'));
    let told = client::introspect(&issuer, token).await;
    assert_eq!((&told["active"], &told["sub"]), (&json!(true), &json!("test-client")));
    assert_eq!((&told["aud"], &told["scope"]), (&json!("b"), &json!("message")));

    let form = "grant_type=client_credentials&token_format=";
    let jwt = ask(&issuer, known(), &format!("{form}jwt")).await.json();
    assert_eq!(parts(jwt["access_token"].as_str().unwrap()).header["typ"], "at+jwt");
    assert_eq!(refused(&issuer, known(), &format!("{form}saml")).await, (400, "invalid_request".into()));
}

#[tokio::test]
async fn dpop_13_a_proof_binds_the_token_to_its_key() {
    let issuer = TestIssuer::start().await;
    for algorithm in SigningAlgorithm::all().chain([SigningAlgorithm::Ed25519]) {
        let client = DpopClient::generate(algorithm);
        let extra = client.key().clone().with_key_id("k").public_jwk();
        let proof = client.proof("POST", issuer.token_endpoint()).jwk(extra);
        for (format, typ) in [("jwt", "dpop+jwt"), ("opaque", "DPoP+JWT")] {
            let request = client::known("/token").header("dpop", proof.clone().token_type(typ).issue());
            let form = format!("grant_type=client_credentials&token_format={format}");
            let body = ask(&issuer, request, &form).await.json();
            assert_eq!(body["token_type"], "DPoP", "{body}");
            let response = client::introspect(&issuer, body["access_token"].as_str().unwrap()).await;
            assert_eq!(response["token_type"], "DPoP");
            assert_eq!(response["cnf"], json!({ "jkt": client.thumbprint() }), "{algorithm}");
        }
    }
}

#[tokio::test]
async fn dpop_2_to_10_a_proof_with_a_fault_gets_no_token() {
    let now = 1_700_000_000;
    let clock = TestClock::at_unix(now);
    let issuer = TestIssuer::builder().clock(clock.clone()).start().await;
    let client = DpopClient::generate(SigningAlgorithm::Es256).with_clock(clock);
    let proof = || client.proof("POST", issuer.token_endpoint());
    let form = "grant_type=client_credentials";
    let refusal = (400, "invalid_dpop_proof".to_owned());
    let minutes = |minutes: u64| Duration::from_secs(60 * minutes);

    let other = SigningKey::generate(SigningAlgorithm::Es256);
    let faults: [ProofBuilder; 22] = [
        proof().token_type("JWT"),
        proof().without_token_type(),
        proof().algorithm_name("ES384"),
        proof().algorithm_name("ES512"),
        proof().without_header("alg"),
        proof().without_jwk(),
        proof().jwk("text"),
        proof().jwk(json!({ "kty": "oct", "k": "" })),
        proof().jwk(json!({ "kty": "EC", "crv": "P-521" })),
        proof().with_private_key_in_header(),
        proof().signed_by(&other),
        proof().tampered(),
        proof().unsigned(),
        proof().hs256_with_public_key(),
        proof().raw_payload("[]"),
        proof().method("post"),
        proof().url(issuer.issuer()),
        proof().issued_ago(minutes(5) + Duration::from_secs(1)),
        proof().issued_ahead(minutes(5) + Duration::from_secs(1)),
        proof().claim("iat", "now"),
        proof().jti(""),
        proof().without_claim("jti"),
    ];
    for fault in faults {
        let request = client::known("/token").header("dpop", fault.issue());
        assert_eq!(refused(&issuer, request, form).await, refusal, "{fault:?}");
    }
    for proofs in [vec![proof().issue(); 2], vec![String::new()], vec!["a, b".to_owned()]] {
        let request = proofs.iter().fold(client::known("/token"), |request, proof| request.header("dpop", proof));
        assert_eq!(refused(&issuer, request, form).await, refusal, "{proofs:?}");
    }
    for good in [
        proof().issued_ago(minutes(5)),
        proof().issued_ahead(minutes(5)),
        proof().issued_at(UNIX_EPOCH + Duration::from_secs(now)),
    ] {
        let request = client::known("/token").header("dpop", good.issue());
        assert_eq!(ask(&issuer, request, form).await.status, 200, "{good:?}");
    }
}

#[tokio::test]
async fn a_web_page_of_another_host_gets_no_token() {
    let issuer = TestIssuer::start().await;
    let own = issuer.issuer().to_owned();
    let with = |path: &str, origin: &str| client::known(path).header("origin", origin);
    for origin in ["http://localhost:5173", "http://[::1]:80", &own] {
        assert_eq!(ask(&issuer, with("/token", origin), "grant_type=client_credentials").await.status, 200, "{origin}");
    }
    for origin in
        ["https://evil.example", "http://evil.example:9000", "null", "http://127.0.0.1.evil.example", "", "://"]
    {
        for path in ["/token", "/introspect", "/revoke", "/rotate"] {
            let answer = ask(&issuer, with(path, origin), "grant_type=client_credentials&token=x").await;
            assert_eq!((answer.status.as_u16(), &answer.json()["error"]), (403, &json!("access_denied")), "{origin}");
        }
    }
    let twice = with("/token", &own).header("origin", "https://evil.example");
    assert_eq!(ask(&issuer, twice, "grant_type=client_credentials").await.status, 403);
}

#[tokio::test]
async fn a_token_is_of_the_shape_that_is_asked_for() {
    let issuer = TestIssuer::start().await;
    for shape in Shape::all() {
        let form = format!("grant_type=client_credentials&shape={}&scope=message", shape.name());
        let answer = ask(&issuer, client::known("/token"), &form).await.json();
        let (asked, expected) = (
            parts(answer["access_token"].as_str().unwrap()),
            parts(&issuer.token_shaped(shape).scope("message").issue()),
        );
        assert_eq!(asked.header.get("typ"), expected.header.get("typ"), "{shape:?}");
        assert_eq!(asked.claims.get("sub"), expected.claims.get("sub"), "{shape:?}");
        let names = |claims: &Value| claims.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&asked.claims), names(&expected.claims), "{shape:?}");
    }
    let names: HashSet<_> = Shape::all().map(Shape::name).collect();
    assert_eq!(names.len(), Shape::all().count(), "each has a name of its own");
}

#[tokio::test]
async fn claims_are_set_last_or_removed() {
    let issuer = TestIssuer::builder().clock(TestClock::at_unix(1_700_000_000)).start().await;
    let claims = r#"{"tenant":"acme","sub":"alice","aud":null,"exp":1700000060}"#;
    let form = format!("grant_type=client_credentials&audience=https%3A%2F%2Fapi.example&claims={claims}");
    for form in [form.clone(), form.clone() + "&token_format=opaque"] {
        let answer = ask(&issuer, client::known("/token"), &form).await.json();
        assert_eq!(answer["expires_in"], 60, "follows from the claim");
        let claims = client::introspect(&issuer, answer["access_token"].as_str().unwrap()).await;
        assert_eq!((&claims["tenant"], &claims["sub"]), (&json!("acme"), &json!("alice")));
        assert_eq!((&claims["exp"], claims.get("aud")), (&json!(1_700_000_060), None));
    }

    let never = ask(&issuer, client::known("/token"), "grant_type=client_credentials&claims={\"exp\":null}").await;
    assert_eq!(never.json().get("expires_in"), None);
    let past = ask(&issuer, client::known("/token"), "grant_type=client_credentials&claims={\"exp\":1}").await;
    assert_eq!(past.json()["expires_in"], 0);
}

#[tokio::test]
async fn an_unknown_shape_and_malformed_claims_are_refused() {
    let issuer = TestIssuer::start().await;
    for form in ["shape=okta2", "shape=Okta", "claims=[]", "claims=tenant", "claims={}&claims={}"] {
        let form = format!("grant_type=client_credentials&{form}");
        assert_eq!(refused(&issuer, client::known("/token"), &form).await, (400, "invalid_request".into()), "{form}");
    }
}
