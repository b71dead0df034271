//! The FAPI 2.0 Security Profile for resource servers.

use std::time::Duration;

use scopegate_core::{
    BuildError, Issuer, Reason, ResourceServerBuilder,
    dpop::Dpop,
    introspection::{ClientAuthentication, Introspection, JwtIntrospection},
    jose::Algorithm,
    mtls::{CertificateBinding, ClientCertificate},
};
use scopegate_testing::{DpopClient, SigningAlgorithm};
use scopegate_tests::{Api, Ask, INTROSPECTION_URL, LoopbackFetch, clock, issuer, mint, resource_server};

const URL: &str = "https://api.example/me";

fn dpop() -> Dpop {
    Dpop::new().public_url("https://api.example")
}

fn short(builder: ResourceServerBuilder) -> ResourceServerBuilder {
    builder.max_token_age(Duration::from_secs(600))
}

fn fapi() -> ResourceServerBuilder {
    short(resource_server()).issuer(issuer()).dpop(dpop()).fapi_2_0()
}

async fn faults(builder: ResourceServerBuilder) -> Vec<String> {
    builder.fetch(LoopbackFetch).build().await.err().iter().flat_map(BuildError::faults).map(str::to_owned).collect()
}

async fn assert_fault(builder: ResourceServerBuilder, fault: &str) {
    let found = faults(builder).await;
    assert!(found.len() == 1 && found[0].contains(fault), "{fault}: {found:?}");
}

fn introspected(jwts: JwtIntrospection) -> Issuer {
    let client = ClientAuthentication::client_secret_basic("api", "secret");
    issuer().introspection(Introspection::at(INTROSPECTION_URL, client).introspect_jwts(jwts))
}

#[tokio::test]
async fn fapi_1_a_token_in_the_query_is_none() {
    let api = Api::behind(fapi().build().await.expect("good settings"));
    let client = DpopClient::generate(SigningAlgorithm::Es256).with_clock(clock());
    let token = mint().token().algorithm(SigningAlgorithm::Es256).bound_to(&client).issue();
    let answer = Ask::get(format!("/me?access_token={token}")).of(&api.router).await;
    assert_eq!((answer.status.as_u16(), answer.reason), (401, Some(Reason::MissingCredentials)), "{answer:?}");
    assert_eq!(
        (answer.challenge(), api.calls()),
        (Some(r#"DPoP realm="https://api.example/r", algs="ES256 Ed25519 PS256""#), 0)
    );
}

#[tokio::test]
async fn fapi_2_bearer_tokens_are_refused_and_the_preset_needs_a_binding() {
    let api = Api::behind(fapi().build().await.expect("good settings"));
    let bearer = mint().token().algorithm(SigningAlgorithm::Es256).issue();
    let answer = Ask::get("/me").bearer(bearer).of(&api.router).await;
    assert_eq!((answer.status.as_u16(), answer.reason), (401, Some(Reason::UnboundToken)));
    assert_eq!(api.calls(), 0);
    assert_fault(short(resource_server()).issuer(issuer()).fapi_2_0(), "no binding is switched on").await;
    let by_certificate = short(resource_server()).issuer(issuer()).certificate_binding(CertificateBinding::new());
    let api = Api::behind(by_certificate.fapi_2_0().build().await.expect("good settings"));
    let der = [0x30, 0x03, 0x02, 0x01, 0x01];
    let token = mint().token().algorithm(SigningAlgorithm::Es256).bound_to_certificate(&der).issue();
    Ask::get("/me").bearer(&token).of(&api.router).await.assert_401(Reason::MissingClientCertificate);
    let mut request = Ask::get("/me").bearer(&token).request();
    request.extensions_mut().insert(ClientCertificate::from_der(der.to_vec()));
    let response = tower::ServiceExt::oneshot(api.router.clone(), request).await.expect("infallible");
    assert_eq!(response.status(), 200);
}

#[tokio::test]
async fn fapi_3_the_preset_needs_a_way_to_refuse_revoked_tokens() {
    let builder = || resource_server().dpop(dpop()).fapi_2_0();
    let fault = "FAPI 2.0 requires that revoked tokens are refused";
    assert_fault(builder().issuer(issuer()), fault).await;
    assert_fault(builder().issuer(issuer()).max_token_age(Duration::from_secs(901)), fault).await;
    assert_fault(builder().issuer(introspected(JwtIntrospection::WhereRequired)), fault).await;
    let rarely = JwtIntrospection::NoOlderThan(Duration::from_secs(901));
    let found = faults(builder().issuer(introspected(rarely))).await;
    assert!(found.iter().any(|found| found.contains(fault)), "{found:?}");
    for good in [
        builder().issuer(issuer()).max_token_age(Duration::from_secs(900)),
        builder().issuer(introspected(JwtIntrospection::Instead)),
        builder().issuer(introspected(JwtIntrospection::NoOlderThan(Duration::from_secs(10)))),
    ] {
        assert_eq!(faults(good).await, [] as [&str; 0]);
    }
}

#[tokio::test]
async fn fapi_4_algorithms_are_those_of_the_profile() {
    let api = Api::behind(fapi().build().await.expect("good settings"));
    for algorithm in SigningAlgorithm::all() {
        let client = DpopClient::generate(SigningAlgorithm::Es256).with_clock(clock());
        let token = mint().token().algorithm(algorithm).bound_to(&client).issue();
        let mut ask = Ask::get("/me").authorization(format!("DPoP {token}"));
        ask = ask.header("dpop", client.proof("GET", URL).for_token(&token).issue());
        let answer = ask.of(&api.router).await;
        match algorithm {
            SigningAlgorithm::Ps256 | SigningAlgorithm::Es256 | SigningAlgorithm::Ed25519 | SigningAlgorithm::EdDsa => {
                answer.assert_pass()
            }
            _ => answer.assert_401(Reason::AlgorithmNotAllowed),
        };
    }
    for algorithm in [SigningAlgorithm::Rs256, SigningAlgorithm::Es384] {
        let client = DpopClient::generate(algorithm).with_clock(clock());
        let token = mint().token().algorithm(SigningAlgorithm::Es256).bound_to(&client).issue();
        let proof = client.proof("GET", URL).for_token(&token).issue();
        let ask = Ask::get("/me").authorization(format!("DPoP {token}")).header("dpop", proof);
        assert_eq!(ask.of(&api.router).await.reason, Some(Reason::InvalidDpopProof), "{algorithm:?}");
    }
    let fault = "FAPI 2.0 allows PS256, ES256 and Ed25519, and RS256 is on the list";
    let with = |algorithm| issuer().algorithms([Algorithm::Es256, algorithm]);
    assert_fault(short(resource_server()).dpop(dpop()).fapi_2_0().issuer(with(Algorithm::Rs256)), fault).await;
    let proofs = dpop().algorithms([Algorithm::Rs256]);
    assert_fault(short(resource_server()).dpop(proofs).fapi_2_0().issuer(issuer()), fault).await;
}

#[tokio::test]
async fn fapi_5_scope_is_enforced_and_proofs_may_be_ten_seconds_ahead() {
    let api = Api::behind(fapi().build().await.expect("good settings"));
    let client = DpopClient::generate(SigningAlgorithm::Es256).with_clock(clock());
    let token = mint().token().algorithm(SigningAlgorithm::Es256).scope("other").bound_to(&client).issue();
    let with = |url: &str, ahead| {
        let proof = client.proof("GET", url).for_token(&token).issued_ahead(Duration::from_secs(ahead)).issue();
        let path = url.strip_prefix("https://api.example").expect("of this API");
        Ask::get(path).authorization(format!("DPoP {token}")).header("dpop", proof)
    };
    with(URL, 9).of(&api.router).await.assert_pass();
    let refused = with(URL, 61).of(&api.router).await;
    assert_eq!((refused.status.as_u16(), refused.reason), (401, Some(Reason::InvalidDpopProof)), "{refused:?}");
    let refused = with("https://api.example/messages", 0).of(&api.router).await;
    assert_eq!((refused.status.as_u16(), refused.reason), (403, Some(Reason::InsufficientScope)), "{refused:?}");
}
