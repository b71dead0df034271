//! The introspection request, byte by byte.

use http::{Method, header::AUTHORIZATION};
use scopegate_axum::introspection::{ClientAuthentication, Introspection};
use scopegate_tests::{INTROSPECTION_URL, Reply};

use super::*;

#[tokio::test]
async fn intro_1_request_is_a_posted_form_without_a_token_in_the_url() {
    let rig = Rig::new().await;
    rig.say("a+b/c=", active());
    assert_eq!(rig.ask("a+b/c=").await.status, 200);
    let seen = rig.last();
    assert_eq!((seen.method.clone(), &*seen.url), (Method::POST, INTROSPECTION_URL));
    assert_eq!(seen.headers["content-type"], "application/x-www-form-urlencoded");
    assert_eq!(seen.headers["accept"], "application/json");
    let body = std::str::from_utf8(&seen.body).expect("text");
    assert!(body.starts_with("token=a%2Bb%2Fc%3D&token_type_hint=access_token"), "{body}");
}

#[tokio::test]
async fn intro_2_the_question_is_authenticated() {
    let client = ClientAuthentication::client_secret_basic("a:b", "p%");
    let rig = Rig::asking(Introspection::at(INTROSPECTION_URL, client)).await;
    rig.ask("token").await;
    let seen = rig.last();
    // base64 of `a%3Ab:p%25`
    assert_eq!(seen.headers[AUTHORIZATION], "Basic YSUzQWI6cCUyNQ==");
    assert!(seen.headers[AUTHORIZATION].is_sensitive());
    assert!(field(&seen, "client_secret").is_none());
}

#[tokio::test]
async fn intro_2_an_endpoint_without_tls_is_refused_at_start() {
    for url in ["http://as.example/introspect", "http://127.0.0.1/introspect", "as.example", "https://a@as.example/"] {
        let issuer = Issuer::introspected(ISSUER, Introspection::at(url, client()));
        let error = resource_server().issuer(issuer).build().await.expect_err(url).to_string();
        assert!(error.contains("introspection endpoint"), "{error}");
    }
}

#[tokio::test]
async fn intro_2_the_endpoint_is_discovered() {
    let rig = Rig::asking(Introspection::discovered(client())).await;
    let document = json!({ "issuer": ISSUER, "introspection_endpoint": INTROSPECTION_URL });
    rig.network.put(scopegate_tests::METADATA_URL, Reply::json(document));
    rig.say("one", active());
    rig.say("two", active());
    assert_eq!(
        (rig.ask("one").await.status, rig.ask("two").await.status),
        (200.try_into().unwrap(), 200.try_into().unwrap())
    );
    assert_eq!(rig.network.count(scopegate_tests::METADATA_URL), 1, "it is kept");
    assert_eq!(rig.asked(), 2);
}

#[tokio::test]
async fn a_discovered_endpoint_outlives_an_outage_of_its_document() {
    let rig = Rig::asking(Introspection::discovered(client())).await;
    assert_eq!(rig.ask("one").await.status, 503, "there is no document yet");
    let document = json!({ "issuer": ISSUER, "introspection_endpoint": INTROSPECTION_URL });
    rig.network.put(scopegate_tests::METADATA_URL, Reply::json(document));
    rig.say("one", active_with(json!({ "exp": NOW + 1_000_000 })));
    rig.clock.advance(std::time::Duration::from_secs(30));
    assert_eq!(rig.ask("one").await.status, 200);
    rig.network.put(scopegate_tests::METADATA_URL, Reply::Fails("down"));
    rig.clock.advance(std::time::Duration::from_secs(90_000));
    assert_eq!(rig.ask("one").await.status, 200);
}

#[tokio::test]
async fn settings_of_the_question_are_kept_to() {
    let rig = Rig::asking(introspection().parameter("resource", "a b").without_token_type_hint()).await;
    rig.ask("token").await;
    let seen = rig.last();
    assert_eq!(field(&seen, "resource").as_deref(), Some("a b"));
    assert!(field(&seen, "token_type_hint").is_none());
    for name in ["token", "client_id", "client_secret", "client_assertion", "token_type_hint", ""] {
        let issuer = Issuer::introspected(ISSUER, introspection().parameter(name, "x"));
        let error = resource_server().issuer(issuer).build().await.expect_err(name).to_string();
        assert!(error.contains("sends the form field"), "{error}");
    }
}

#[tokio::test]
async fn i_08_whatever_a_token_has_in_it_arrives_as_one_field() {
    let rig = Rig::new().await;
    let long = "a".repeat(16 * 1024);
    for token in ["x-._~+/", "a+b", "a/b==", &long] {
        rig.say(token, active());
        assert_eq!(rig.ask(token).await.status, 200, "{}", token.len());
        assert_eq!(field(&rig.last(), "token").as_deref(), Some(token));
    }
    let asked = rig.asked();
    // Malformed tokens are refused before they are introspected.
    for token in ["a&active=true", "a%00", "caf\u{e9}", "a b", "a\"b"] {
        let answer = Ask::get("/messages").authorization(format!("Bearer {token}")).of(&rig.api.router).await;
        assert_eq!(answer.status, 400, "{token:?}");
    }
    assert_eq!(rig.ask(&"a".repeat(16 * 1024 + 1)).await.status, 401);
    assert_eq!(rig.asked(), asked);
}

#[tokio::test]
async fn every_fetch_has_user_agent_and_identity_encoding() {
    let version = concat!("scopegate/", env!("CARGO_PKG_VERSION"));
    for (name, expected) in [(None, version), (Some("orders-api/1.2"), "orders-api/1.2")] {
        for signed in [false, true] {
            let introspection = Introspection::discovered(client());
            let introspection = if signed { introspection.signed_responses() } else { introspection };
            let rig = Rig::with(Issuer::discovered(ISSUER).introspection(introspection), |builder| match name {
                Some(name) => builder.user_agent(name.parse().expect("a header")),
                None => builder,
            })
            .await;
            let document = json!({
                "issuer": ISSUER, "jwks_uri": scopegate_tests::JWKS_URL, "introspection_endpoint": INTROSPECTION_URL,
            });
            rig.network.put(scopegate_tests::METADATA_URL, Reply::json(document));
            rig.network.put(scopegate_tests::JWKS_URL, Reply::ok(scopegate_tests::mint().jwks_json()));
            rig.ask("opaque").await;
            rig.ask(&scopegate_tests::mint().token().scope("messages:read").issue()).await.assert_pass();
            let seen = rig.network.seen();
            let urls = [scopegate_tests::METADATA_URL, INTROSPECTION_URL, scopegate_tests::JWKS_URL];
            for url in urls {
                let of_url: Vec<&Seen> = seen.iter().filter(|seen| seen.url == url).collect();
                assert!(!of_url.is_empty(), "{url}");
                for seen in of_url {
                    let sole = |name| {
                        let values: Vec<_> = seen.headers.get_all(name).iter().collect();
                        assert_eq!(values.len(), 1, "{name} to {url}");
                        values[0].to_str().expect("text")
                    };
                    assert_eq!((sole("user-agent"), sole("accept-encoding")), (expected, "identity"), "{url}");
                    let accept = match (url, signed) {
                        (scopegate_tests::JWKS_URL, _) => "application/jwk-set+json, application/json",
                        (INTROSPECTION_URL, true) => "application/token-introspection+jwt",
                        _ => "application/json",
                    };
                    assert_eq!(sole("accept"), accept, "{url}");
                }
            }
        }
    }
    let nameless = resource_server().issuer(scopegate_tests::issuer()).user_agent(http::HeaderValue::from_static(" "));
    let error = nameless.build().await.expect_err("nameless").to_string();
    assert!(error.contains("user_agent: is empty"), "{error}");
}
