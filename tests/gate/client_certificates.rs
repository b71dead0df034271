//! Tokens that are bound to a client certificate: RFC 8705 §3, RFC 9440.

use std::net::IpAddr;

use axum::{Extension, Router, routing::get};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::HeaderName;
use scopegate_axum::{AccessToken, Authenticate, ConfirmationMethod, Reason};
use scopegate_core::mtls::{CertificateBinding, ClientCertificate, PeerAddress, TrustedPeers};
use scopegate_testing::{SigningAlgorithm, SigningKey};
use scopegate_tests::{Answer, Api, Ask, issuer, mint, resource_server};

const NGINX: HeaderName = HeaderName::from_static("x-client-cert");
const PROXY: &str = "10.1.2.3";

/// A `SEQUENCE` in DER. What is in a certificate does not matter.
const CLIENT: &[u8] = b"\x30\x06client";
const OTHER: &[u8] = b"\x30\x05other";

fn token() -> String {
    mint().token().scope("messages:read").bound_to_certificate(CLIENT).issue()
}

async fn api(binding: CertificateBinding) -> Router {
    let server = resource_server().issuer(issuer()).certificate_binding(binding).build().await.expect("good settings");
    Api::behind(server).router
}

fn proxies() -> TrustedPeers {
    TrustedPeers::addresses([PROXY])
}

/// The API for the requests of one connection, as an acceptor makes it.
fn with_certificate(api: &Router, der: &'static [u8]) -> Router {
    api.clone().layer(Extension(ClientCertificate::from_der(der)))
}

fn from_peer(api: &Router, address: &str) -> Router {
    let address: IpAddr = address.parse().expect("an address");
    api.clone().layer(Extension(PeerAddress::from(address)))
}

fn byte_sequence(der: &[u8]) -> String {
    format!(":{}:", STANDARD.encode(der))
}

fn escaped_pem(der: &[u8]) -> String {
    format!("-----BEGIN%20CERTIFICATE-----%0A{}%0A-----END%20CERTIFICATE-----%0A", STANDARD.encode(der))
}

async fn messages(api: &Router) -> Answer {
    Ask::get("/messages").bearer(token()).of(api).await
}

#[tokio::test]
async fn mtls_1_the_token_works_with_its_certificate_alone() {
    let api = api(CertificateBinding::new()).await;
    // The second time, the token is known.
    for _ in 0..3 {
        messages(&with_certificate(&api, CLIENT)).await.assert_pass();
        messages(&with_certificate(&api, OTHER)).await.assert_401(Reason::BindingMismatch);
        messages(&api).await.assert_401(Reason::MissingClientCertificate);
    }
    let unbound = mint().token().scope("messages:read").issue();
    for api in [&api, &with_certificate(&api, OTHER)] {
        Ask::get("/messages").bearer(&unbound).of(api).await.assert_pass();
    }
}

#[tokio::test]
async fn mtls_1_the_scope_is_checked_as_ever() {
    let api = with_certificate(&api(CertificateBinding::new()).await, CLIENT);
    let token = mint().token().scope("other").bound_to_certificate(CLIENT).issue();
    Ask::get("/messages").bearer(token).of(&api).await.assert_403("messages:read");
}

#[tokio::test]
async fn mtls_2_d_20_headers_are_ignored_unless_their_sender_is_trusted() {
    let send_all = async |api: &Router| {
        Ask::get("/messages")
            .bearer(token())
            .header("client-cert", byte_sequence(CLIENT))
            .header("x-client-cert", escaped_pem(CLIENT))
            .header("x-ssl-client-cert", escaped_pem(CLIENT))
            .header("x-forwarded-client-cert", format!("Cert=\"{}\"", escaped_pem(CLIENT)))
            .of(api)
            .await
    };
    // Not configured, also where the proxy would be trusted.
    let plain = api(CertificateBinding::new()).await;
    for api in [&plain, &from_peer(&plain, PROXY)] {
        send_all(api).await.assert_401(Reason::MissingClientCertificate);
    }
    for binding in [
        CertificateBinding::new().client_cert_header(proxies()),
        CertificateBinding::new().nginx_header(NGINX, proxies()),
        CertificateBinding::new().envoy_xfcc(proxies()),
    ] {
        let api = api(binding).await;
        for api in [&api, &from_peer(&api, "10.1.2.4"), &from_peer(&api, "::1")] {
            send_all(api).await.assert_401(Reason::MissingClientCertificate);
        }
        let own = with_certificate(&from_peer(&api, "10.1.2.4"), OTHER);
        send_all(&own).await.assert_401(Reason::BindingMismatch);
    }
}

#[tokio::test]
async fn mtls_2_mtls_4_the_header_of_a_proxy_counts_and_responses_vary_by_it() {
    let xfcc = |der: &[u8]| {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, der);
        let digits: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        format!("By=a;Hash={digits};Subject=\"CN=client\"")
    };
    for (binding, name, good, other) in [
        (
            CertificateBinding::new().client_cert_header(proxies()),
            "client-cert",
            byte_sequence(CLIENT),
            byte_sequence(OTHER),
        ),
        (
            CertificateBinding::new().nginx_header(NGINX, proxies()),
            "x-client-cert",
            escaped_pem(CLIENT),
            escaped_pem(OTHER),
        ),
        (CertificateBinding::new().envoy_xfcc(proxies()), "x-forwarded-client-cert", xfcc(CLIENT), xfcc(OTHER)),
    ] {
        let api = from_peer(&api(binding).await, PROXY);
        let passed = Ask::get("/messages").bearer(token()).header(name, &good).of(&api).await;
        assert_eq!(passed.assert_pass().header("vary"), Some(name));
        let narrow = mint().token().scope("other").bound_to_certificate(CLIENT).issue();
        for refused in [
            Ask::get("/messages").bearer(narrow).header(name, &good).of(&api).await,
            Ask::get("/messages").bearer(token()).header(name, &other).of(&api).await,
            messages(&api).await,
        ] {
            assert!(refused.status.is_client_error(), "{refused:?}");
            assert_eq!(refused.header("cache-control"), Some("no-store"), "{refused:?}");
        }
        // The connection's certificate is the proxy's own.
        messages(&with_certificate(&api, CLIENT)).await.assert_401(Reason::MissingClientCertificate);
    }
}

#[tokio::test]
async fn mtls_3_d_21_a_malformed_header_is_refused_and_not_shown() {
    let api = from_peer(&api(CertificateBinding::new().client_cert_header(proxies())).await, PROXY);
    let good = byte_sequence(CLIENT);
    for value in [
        String::new(),
        "secret-text".into(),
        STANDARD.encode(CLIENT),
        format!("{good}, {good}"),
        format!("{good};a=1"),
        format!("{}:", &good[..good.len() - 3]),
        byte_sequence(b"secret-text"),
        byte_sequence(&[CLIENT, OTHER].concat()),
        escaped_pem(CLIENT),
        format!(":{}:", "A".repeat(1024 * 1024)),
    ] {
        let refused = Ask::get("/messages").bearer(token()).header("client-cert", &value).of(&api).await;
        refused.assert_401(Reason::MissingClientCertificate);
        assert!(!format!("{:?} {}", refused.headers, refused.body).contains("secret-text"));
        // A token that is bound to nothing needs no certificate.
        let unbound = mint().token().scope("messages:read").issue();
        Ask::get("/messages").bearer(unbound).header("client-cert", &value).of(&api).await.assert_pass();
    }
    let twice = Ask::get("/messages").bearer(token()).header("client-cert", &good).header("client-cert", &good);
    twice.of(&api).await.assert_401(Reason::MissingClientCertificate);
}

#[tokio::test]
async fn mtls_5_a_binding_that_cannot_be_checked_refuses() {
    let off = Api::new().await.router;
    messages(&with_certificate(&off, CLIENT)).await.assert_401(Reason::UnverifiableConfirmation);

    let api = with_certificate(&api(CertificateBinding::new()).await, CLIENT);
    let key = SigningKey::generate(SigningAlgorithm::Es256);
    let also_to_key = mint()
        .token()
        .scope("messages:read")
        .claim("cnf", serde_json::json!({ "jwk": key.public_jwk() }))
        .bound_to_certificate(CLIENT);
    Ask::get("/messages").bearer(also_to_key.issue()).of(&api).await.assert_401(Reason::UnverifiableConfirmation);
    for cnf in [
        serde_json::json!({ "x5t#S256": "" }),
        serde_json::json!({ "x5t#S256": 1 }),
        serde_json::json!({ "x5t#S256": ["x"] }),
        serde_json::json!({ "x5t": "x" }),
    ] {
        let token = mint().token().scope("messages:read").claim("cnf", cnf.clone()).issue();
        let refused = Ask::get("/messages").bearer(token).of(&api).await;
        assert_eq!(refused.assert_401_token().reason, Some(Reason::UnverifiableConfirmation), "{cnf}");
    }
}

#[tokio::test]
async fn mtls_6_bearer_tokens_can_be_refused_and_handlers_learn_what_was_proven() {
    let server = resource_server()
        .issuer(issuer())
        .certificate_binding(CertificateBinding::new())
        .require_bound_tokens()
        .build()
        .await
        .expect("good settings");
    let shown = get(|token: AccessToken| async move {
        format!("{:?}", token.binding().methods().collect::<Vec<ConfirmationMethod>>())
    });
    let api = with_certificate(&Router::new().route("/", shown).layer(Authenticate::new(server)), CLIENT);
    let bound = Ask::get("/").bearer(token()).of(&api).await;
    assert_eq!(bound.assert_pass().body, "[ClientCertificate]");
    Ask::get("/").bearer(mint().token().issue()).of(&api).await.assert_401(Reason::UnboundToken);
}
