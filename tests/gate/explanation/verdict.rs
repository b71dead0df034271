//! The verdict of an explanation is that of the request, whatever the resource server is like.

use http::HeaderName;
use scopegate_axum::{ProtectedResource, ResourceServerBuilder, Tenants, dpop::DpopNonces, mtls::CertificateBinding};

use super::*;

const OTHER: &str = "https://api.example/other";

async fn built(change: impl FnOnce(ResourceServerBuilder) -> ResourceServerBuilder) -> ResourceServer {
    change(resource_server().issuer(issuer())).build().await.expect("good settings")
}

fn dpop() -> Dpop {
    Dpop::new().public_url("https://api.example")
}

/// Resource servers that differ in what they accept, by their names.
async fn servers() -> Vec<(&'static str, ResourceServer)> {
    let [one, other] = [AUDIENCE, OTHER].map(ProtectedResource::new);
    let two = ResourceServer::builder().clock(scopegate_tests::clock()).issuer(issuer());
    let two = two.protected_resource(one).protected_resource(other).build().await.expect("good settings");
    let unreachable =
        resource_server().issuer(Issuer::discovered(ISSUER)).fetch(Network::new(&scopegate_tests::clock()));
    let tenants = Tenants::trusting("tenants", |issuer| issuer == ISSUER);
    let clock = scopegate_tests::clock();
    let tenants = resource_server().tenants(tenants).fetch(Network::new(&clock)).uniform_refusals();
    vec![
        ("plain", built(|builder| builder).await),
        ("uniform", built(|builder| builder.uniform_refusals()).await),
        ("header", built(|builder| builder.token_header(HeaderName::from_static("x-token"))).await),
        ("dpop", built(|builder| builder.dpop(dpop())).await),
        ("dpop alone", built(|builder| builder.dpop(dpop()).require_bound_tokens()).await),
        ("nonces", built(|builder| builder.dpop(dpop().nonces(DpopNonces::from_secret("s".repeat(32))))).await),
        ("certificates", built(|builder| builder.certificate_binding(CertificateBinding::new())).await),
        (
            "certificates alone",
            built(|builder| builder.certificate_binding(CertificateBinding::new()).require_bound_tokens()).await,
        ),
        ("one of two", two.clone()),
        ("other of two", two.for_resource(OTHER)),
        ("keys unavailable", unreachable.build().await.unwrap()),
        ("tenants without keys", tenants.build().await.unwrap()),
    ]
}

/// Requests, each with a proof that nobody has used.
fn requests() -> Vec<(&'static str, Parts)> {
    let client = DpopClient::generate(SigningAlgorithm::Es256);
    let with = |headers: &[(&'static str, String)]| {
        let mut request = Ask::get("/").request().into_parts().0;
        for (name, value) in headers {
            request.headers.append(*name, value.try_into().expect("a header"));
        }
        request
    };
    let bearer = |token: String| with(&[("authorization", format!("Bearer {token}"))]);
    let token = mint().token().issue();
    let bound = mint().token().bound_to(&client).issue();
    let proof = |token: &str| {
        let at = SystemTime::UNIX_EPOCH + Duration::from_secs(NOW);
        client.proof("GET", "https://api.example/").for_token(token).issued_at(at).issue()
    };
    let by_dpop = |token: &str, proof: String| with(&[("authorization", format!("DPoP {token}")), ("dpop", proof)]);
    let certificate = json!({ "x5t#S256": "A".repeat(43) });
    vec![
        ("none", with(&[])),
        ("bearer", bearer(token.clone())),
        ("expired", bearer(mint().token().expired().issue())),
        ("forged", bearer(mint().token().signed_by_wrong_key().issue())),
        ("forged and expired", bearer(mint().token().signed_by_wrong_key().expired().issue())),
        ("unknown issuer", bearer(mint().token().claim("iss", "https://unknown").issue())),
        ("for the other", bearer(mint().token().audience(OTHER).issue())),
        ("for both", bearer(mint().token().claim("aud", json!([AUDIENCE, OTHER])).issue())),
        ("opaque", bearer("opaque".to_owned())),
        ("bound, as bearer", bearer(bound.clone())),
        ("bound to a certificate", bearer(mint().token().claim("cnf", certificate).issue())),
        ("twice", with(&[("authorization", format!("Bearer {token}")), ("authorization", format!("Bearer {token}"))])),
        (
            "both schemes",
            with(&[("authorization", format!("Bearer {token}")), ("authorization", format!("DPoP {token}"))]),
        ),
        ("malformed", with(&[("authorization", "Bearer".to_owned())])),
        ("other scheme", with(&[("authorization", "Basic eDp5".to_owned())])),
        ("header", with(&[("x-token", token.clone())])),
        ("header and bearer", with(&[("x-token", token.clone()), ("authorization", format!("Bearer {token}"))])),
        ("dpop", by_dpop(&bound, proof(&bound))),
        ("dpop without proof", with(&[("authorization", format!("DPoP {bound}"))])),
        (
            "dpop with two proofs",
            with(&[("authorization", format!("DPoP {bound}")), ("dpop", proof(&bound)), ("dpop", proof(&bound))]),
        ),
        ("dpop, unbound", by_dpop(&token, proof(&token))),
        ("dpop, proof for another token", by_dpop(&bound, proof(&token))),
        ("dpop, no proof", by_dpop(&bound, "x".to_owned())),
        ("too long", bearer("x".repeat(20_000))),
    ]
}

#[tokio::test]
async fn it_is_that_of_the_request() {
    let mut seen = std::collections::BTreeSet::new();
    for (name, server) in servers().await {
        for (what, request) in requests() {
            // What is explained first is not remembered, nor is what comes first explained.
            let explained = server.explain(&request).await;
            let outcome = server.authenticate(&request).await;
            let again = assert_explained(&server, &request, &outcome).await;
            assert_eq!(explained.to_string(), again.to_string(), "{name}: {what}");
            seen.insert(explained.verdict().to_string());
        }
    }
    assert!(seen.len() > 15, "{seen:?}");
}
