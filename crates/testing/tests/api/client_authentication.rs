use std::time::Duration;

use http::request;
use scopegate_testing::{Mint, SigningAlgorithm, SigningKey, SigningKeys, TestClock, TestIssuer, TokenBuilder};
use serde_json::{Value, json};

use crate::http::{ask, basic, known, post};

const NOW: u64 = 1_700_000_000;

async fn status(issuer: &TestIssuer, request: request::Builder, form: &str) -> u16 {
    status_at(issuer, request, form).await.0
}

/// Status and error code. Asserts the rules of every refusal of a client.
async fn status_at(issuer: &TestIssuer, request: request::Builder, form: &str) -> (u16, Value) {
    let answer = ask(issuer, request, form).await;
    assert_eq!(answer.headers.contains_key("www-authenticate"), answer.status == 401);
    (answer.status.as_u16(), answer.json()["error"].take())
}

#[tokio::test]
async fn clients_authenticate_by_secret() {
    let issuer = TestIssuer::builder().client("a:b", "p&q +%").client("robot", "hush").start().await;
    assert_eq!(status(&issuer, basic("/introspect", "a%3Ab", "p%26q+%2B%25"), "token=x").await, 200);
    assert_eq!(status(&issuer, post("/introspect"), "token=x&client_id=robot&client_secret=hush").await, 200);

    for (request, form) in [
        (post("/introspect"), "token=x"),
        (post("/introspect"), "token=x&client_id=robot"),
        (post("/introspect"), "token=x&client_id=robot&client_secret=wrong"),
        (basic("/introspect", "robot", "wrong"), "token=x"),
        (basic("/introspect", "unknown", "hush"), "token=x"),
        (known("/introspect"), "token=x"),
    ] {
        assert_eq!(status_at(&issuer, request, form).await, (401, json!("invalid_client")), "{form}");
    }
    let twice = status_at(&issuer, basic("/introspect", "robot", "hush"), "token=x&client_secret=hush").await;
    assert_eq!(twice, (400, json!("invalid_request")));
}

#[tokio::test]
async fn public_clients_name_themselves() {
    let issuer = TestIssuer::builder().public_client("app").client("robot", "hush").start().await;
    for path in ["/introspect", "/revoke"] {
        assert_eq!(ask(&issuer, post(path), "token=x&client_id=app").await.status, 200, "{path}");
        assert_eq!(ask(&issuer, post(path), "token=x&client_id=robot").await.status, 401, "{path}");
        assert_eq!(ask(&issuer, post(path), "token=x&client_id=app&client_secret=y").await.status, 401, "{path}");
    }
    let form = "grant_type=client_credentials&client_id=app";
    assert_eq!(status_at(&issuer, post("/token"), form).await, (401, json!("invalid_client")));
}

#[tokio::test]
async fn an_active_access_token_opens_introspection() {
    let issuer = TestIssuer::start().await;
    let bearer = |token: &str| post("/introspect").header("authorization", format!("Bearer {token}"));
    for token in [issuer.token().issue(), issuer.opaque_token().issue()] {
        assert_eq!(status(&issuer, bearer(&token), "token=x").await, 200);
        issuer.revoke(&token);
        assert_eq!(status_at(&issuer, bearer(&token), "token=x").await, (401, json!("invalid_token")));
    }
    for token in [
        issuer.token().expired().issue(),
        issuer.token().signed_by_wrong_key().issue(),
        issuer.opaque_token().refresh_token().issue(),
        issuer.token().without_claim("client_id").without_claim("sub").issue(),
        "unknown".to_owned(),
    ] {
        let answer = ask(&issuer, bearer(&token), "token=x").await;
        assert_eq!((answer.status.as_u16(), &answer.json()["error"]), (401, &json!("invalid_token")), "{token}");
        let challenge = format!("Bearer realm=\"{}\", error=\"invalid_token\"", issuer.issuer());
        assert_eq!(answer.headers["www-authenticate"], challenge);
    }
    let token = issuer.token().issue();
    let form = "token=x&client_id=test-client&client_secret=test-secret";
    assert_eq!(status_at(&issuer, bearer(&token), form).await, (400, json!("invalid_request")));
}

fn asserted(assertion: &str) -> String {
    let kind = "urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer";
    format!("token=x&client_assertion_type={kind}&client_assertion={assertion}")
}

struct Asserting {
    clock: TestClock,
    issuer: TestIssuer,
    key: SigningKey,
}

impl Asserting {
    async fn start() -> Self {
        let clock = TestClock::at_unix(NOW);
        let key = SigningKey::generate(SigningAlgorithm::Es256);
        let builder = TestIssuer::builder().client_with_key("keyed", &key).client("robot", "hush");
        Self { issuer: builder.clock(clock.clone()).start().await, clock, key }
    }

    /// An assertion of that client for the issuer, signed with the key.
    fn assertion(&self, client_id: &str) -> TokenBuilder {
        let mint = Mint::new(client_id, SigningKeys::from(self.key.clone())).with_clock(self.clock.clone());
        mint.token().typ("JWT").subject(client_id).audience(self.issuer.issuer()).without_claim("client_id")
    }

    async fn sent(&self, assertion: &TokenBuilder) -> (u16, Value) {
        status_at(&self.issuer, post("/introspect"), &asserted(&assertion.issue())).await
    }
}

#[tokio::test]
async fn clients_authenticate_by_assertions_for_issuer_or_endpoint() {
    let test = Asserting::start().await;
    for assertion in [test.assertion("keyed"), test.assertion("robot").hs256_with_secret("hush")] {
        assert_eq!(test.sent(&assertion).await.0, 200);
        assert_eq!(test.sent(&assertion.clone().audience(test.issuer.introspection_endpoint())).await.0, 200);
        let many = assertion.clone().audiences(["other", test.issuer.issuer()]);
        assert_eq!(test.sent(&many).await.0, 200);

        let form = asserted(&assertion.clone().audience(test.issuer.revocation_endpoint()).issue());
        assert_eq!(ask(&test.issuer, post("/revoke"), &form).await.status, 200);
    }
}

#[tokio::test]
async fn keys_of_every_kind_and_bare_public_jwks_will_do() {
    for algorithm in SigningAlgorithm::all() {
        let key = SigningKey::generate(algorithm);
        let issuer = TestIssuer::builder().client_with_key("keyed", key.public_jwk()).start().await;
        let mint = Mint::new("keyed", SigningKeys::from(key));
        let assertion = mint.token().subject("keyed").audience(issuer.issuer()).issue();
        assert_eq!(status(&issuer, post("/introspect"), &asserted(&assertion)).await, 200, "{algorithm}");
    }
}

#[tokio::test]
async fn assertions_are_refused_alike_whatever_is_wrong_with_them() {
    let test = Asserting::start().await;
    let good = || test.assertion("keyed");
    for assertion in [
        good().claim("iss", "robot"),
        good().without_claim("iss"),
        good().without_claim("sub"),
        good().subject("unknown").claim("iss", "unknown"),
        good().audience("https://other.example"),
        good().audience(test.issuer.revocation_endpoint()),
        good().audiences(Vec::<String>::new()),
        good().without_claim("aud"),
        good().without_claim("exp"),
        good().claim("exp", "tomorrow"),
        good().expires_in(Duration::ZERO),
        good().expired(),
        good().not_yet_valid(),
        good().without_claim("jti"),
        good().unsigned(),
        good().tampered_signature(),
        good().signed_by_wrong_key(),
        good().hs256_with_public_key(),
        good().hs256_with_secret(""),
        test.assertion("robot"),
        test.assertion("robot").hs256_with_secret("wrong"),
        test.assertion("robot").hs256_with_secret("hush").header("alg", "HS512"),
    ] {
        assert_eq!(test.sent(&assertion).await, (401, json!("invalid_client")), "{assertion:?}");
    }
    assert_eq!(test.sent(&good()).await.0, 200);
}

#[tokio::test]
async fn an_assertion_is_used_once() {
    let test = Asserting::start().await;
    let assertion = test.assertion("keyed").claim("jti", "one");
    assert_eq!(test.sent(&assertion).await.0, 200);
    assert_eq!(test.sent(&assertion).await, (401, json!("invalid_client")));
    // The `jti` is the client's own, and a refused assertion does not use it up.
    let other = test.assertion("robot").hs256_with_secret("hush").claim("jti", "one");
    assert_eq!(test.sent(&other.clone().audience("other")).await.0, 401);
    assert_eq!(test.sent(&other).await.0, 200);
}

#[tokio::test]
async fn an_assertion_comes_alone_and_with_its_type() {
    let test = Asserting::start().await;
    let form = || asserted(&test.assertion("keyed").issue());
    let issuer = &test.issuer;
    assert_eq!(status(issuer, post("/introspect"), &format!("{}&client_id=keyed", form())).await, 200);
    assert_eq!(status(issuer, post("/introspect"), &format!("{}&client_id=robot", form())).await, 401);
    assert_eq!(status(issuer, post("/introspect"), &form().replace("jwt-bearer", "saml2-bearer")).await, 401);
    assert_eq!(status(issuer, post("/introspect"), &form().replace("client_assertion_type", "x")).await, 401);
    assert_eq!(status(issuer, post("/introspect"), &asserted("a.b.c")).await, 401);
    assert_eq!(status(issuer, post("/introspect"), &format!("{}&client_secret=hush", form())).await, 400);
    assert_eq!(status(issuer, basic("/introspect", "robot", "hush"), &form()).await, 400);
    let bearer = post("/introspect").header("authorization", format!("Bearer {}", issuer.token().issue()));
    assert_eq!(status(issuer, bearer, &form()).await, 400);
}

#[test]
fn a_client_key_is_a_public_jwk_or_a_panic_at_once() {
    for jwk in [json!("key"), json!({}), json!({ "kty": "oct", "k": "AAAA" }), json!({ "kty": "EC", "crv": "P-256" })] {
        let attempt = std::panic::catch_unwind(|| drop(TestIssuer::builder().client_with_key("keyed", jwk.clone())));
        assert!(attempt.is_err(), "{jwk}");
    }
}
