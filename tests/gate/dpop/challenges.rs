//! Where a refusal says what, and which of several faults it names.

use axum::{Router, routing::post};
use http::{Method, StatusCode};
use scopegate_axum::{Authenticate, ProtectedResource, Reason, dpop::DpopNonces, jose::Algorithm};
use scopegate_core::mtls::{CertificateBinding, ClientCertificate};
use serde_json::{Value, json};

use super::*;

const BEARER: &str = r#"Bearer realm="https://api.example/r""#;
const DPOP: &str = r#"DPoP realm="https://api.example/r", algs="ES256 ES384 Ed25519 PS256 RS256""#;

#[tokio::test]
async fn dpop_19_without_credentials_no_challenge_has_an_error() {
    let rig = Rig::new().await;
    for authorization in [None, Some("Basic dTpw"), Some("DPoPx a"), Some("Negotiate")] {
        let ask = authorization.into_iter().fold(Ask::get("/me"), Ask::authorization);
        let answer = ask.of(&rig.api.router).await;
        assert_eq!((answer.status, answer.challenges()), (StatusCode::UNAUTHORIZED, vec![BEARER, DPOP]));
    }
}

#[tokio::test]
async fn dpop_19_the_error_is_in_the_challenge_of_the_scheme_that_was_used() {
    let rig = Rig::new().await;
    let expired = rig.mint.token().bound_to(&rig.client).expired().issue();
    let proof = rig.proof().for_token(&expired).issue();
    let under_dpop = Ask::get("/me").dpop(&expired, proof).of(&rig.api.router).await;
    assert_eq!(under_dpop.assert_401_under("DPoP", Reason::Expired).challenges()[0], BEARER);
    let under_bearer = Ask::get("/me").bearer(&expired).of(&rig.api.router).await;
    assert_eq!(under_bearer.assert_401_under("Bearer", Reason::Expired).challenges()[1], DPOP);
    for (value, scheme) in [("DPoP", "DPoP"), ("dpop a b", "DPoP"), ("DPoP a,b", "DPoP"), ("Bearer a b", "Bearer")] {
        let answer = Ask::get("/me").authorization(value).of(&rig.api.router).await;
        answer.assert_error_under(scheme, StatusCode::BAD_REQUEST, "invalid_request", Reason::MalformedCredentials);
    }
    let in_query = Ask::get("/me?access_token=x").dpop(&rig.token, rig.proof().issue()).of(&rig.api.router).await;
    in_query.assert_error_under("DPoP", StatusCode::BAD_REQUEST, "invalid_request", Reason::MultipleTransports);
    let twice = Ask::get("/me").dpop_without_proof(&rig.token).dpop(&rig.token, rig.proof().issue());
    let answer = twice.of(&rig.api.router).await;
    answer.assert_error_under("DPoP", StatusCode::BAD_REQUEST, "invalid_request", Reason::DuplicateCredentials);
}

#[tokio::test]
async fn dpop_19_both_schemes_at_once_are_an_error_of_both() {
    let rig = Rig::new().await;
    for bearer_first in [true, false] {
        let ask = Ask::get("/me").header("dpop", rig.proof().issue());
        let ask = match bearer_first {
            true => ask.bearer(&rig.token).dpop_without_proof(&rig.token),
            false => ask.dpop_without_proof(&rig.token).bearer(&rig.token),
        };
        let answer = ask.of(&rig.api.router).await;
        assert_eq!((answer.status, answer.reason), (StatusCode::BAD_REQUEST, Some(Reason::DuplicateCredentials)));
        let challenges = answer.challenges();
        assert_eq!(challenges.len(), 2);
        assert!(challenges.iter().all(|challenge| challenge.contains(r#"error="invalid_request""#)), "{challenges:?}");
    }
    assert_eq!(rig.api.calls(), 0);
}

#[tokio::test]
async fn dpop_19_algs_are_those_that_were_set() {
    let rig = Rig::of(dpop().algorithms([Algorithm::Es256, Algorithm::Ps256])).await;
    let answer = rig.send("x").await;
    let challenge = answer.assert_401_dpop(Reason::InvalidDpopProof).challenge_of("DPoP").expect("a challenge");
    assert!(challenge.ends_with(r#", algs="ES256 PS256""#), "{challenge}");
}

#[tokio::test]
async fn dpop_20_the_token_comes_before_the_proof_and_the_proof_before_the_scope() {
    let rig = Rig::new().await;
    let api = &rig.api.router;
    let expired = rig.mint.token().bound_to(&rig.client).expired().issue();
    let forged = rig.mint.token().bound_to(&rig.client).signed_by_wrong_key().issue();
    for (token, reason) in [(&expired, Reason::Expired), (&forged, Reason::InvalidSignature)] {
        Ask::get("/me").dpop(token, "x").of(api).await.assert_401_under("DPoP", reason);
        Ask::get("/me").dpop_without_proof(token).of(api).await.assert_401_under("DPoP", reason);
    }
    for proof in ["x".to_owned(), rig.proof().issue()] {
        Ask::get("/admin").dpop(&rig.token, proof).of(api).await.assert_401_dpop(Reason::InvalidDpopProof);
    }
    let good = rig.proof_for("/admin").issue();
    let answer = Ask::get("/admin").dpop(&rig.token, &good).of(api).await;
    answer.assert_error_under("DPoP", StatusCode::FORBIDDEN, "insufficient_scope", Reason::InsufficientScope);
    let names_scope = |challenge: &&str| challenge.contains(r#"scope="admin messages:read""#);
    assert!(answer.challenges().iter().all(names_scope), "{answer:?}");
    // The proof is used up: whether it was good was decided before.
    Ask::get("/admin").dpop(&rig.token, good).of(api).await.assert_401_dpop(Reason::RepeatedDpopProof);
    assert_eq!(rig.api.calls(), 0);
}

#[tokio::test]
async fn dpop_20_a_nonce_is_asked_for_before_a_signature_is_checked() {
    let rig = Rig::of(dpop().nonces(DpopNonces::of_this_process())).await;
    rig.send(rig.proof().tampered().issue()).await.assert_use_nonce();
    rig.send(rig.proof().method("POST").issue()).await.assert_401_dpop(Reason::InvalidDpopProof);
}

#[tokio::test]
async fn dpop_17_scripts_of_other_origins_may_read_challenge_and_nonce() {
    let rig = Rig::of(dpop().nonces(DpopNonces::of_this_process())).await;
    let layer = Authenticate::new(rig.server.clone());
    for (layer, expected) in [(layer.clone().expose_challenges_to_browsers(), 2), (layer, 0)] {
        let answer = Ask::get("/me").of(&Api::behind_layer(layer).router).await;
        let exposed: Vec<_> = answer.headers.get_all("access-control-expose-headers").iter().collect();
        assert_eq!(exposed, ["WWW-Authenticate", "DPoP-Nonce"][..expected]);
    }
}

#[tokio::test]
async fn dpop_19_grpc_1_a_grpc_client_gets_the_challenges_as_metadata() {
    let rig = Rig::of(dpop().nonces(DpopNonces::of_this_process())).await;
    let router =
        Router::new().route("/me", post(async || "ran")).layer(Authenticate::new(rig.server.clone()).answer_grpc());
    let call = || Ask::with_method(Method::POST, "/me").header("content-type", "application/grpc");
    let proof = || rig.proof().method("POST");
    let answer = call().dpop(&rig.token, proof().issue()).of(&router).await;
    assert_eq!((answer.status, answer.header("grpc-status")), (StatusCode::OK, Some("16")));
    assert!(answer.challenge_of("DPoP").is_some_and(|challenge| challenge.contains("use_dpop_nonce")), "{answer:?}");
    let nonce = answer.header("dpop-nonce").expect("a nonce");
    assert_eq!(call().dpop(&rig.token, proof().nonce(nonce).issue()).of(&router).await.assert_pass().body, "ran");
    let answer = call().bearer(&rig.token).of(&router).await;
    assert_eq!((answer.header("grpc-status"), answer.challenges().len()), (Some("16"), 2));
}

#[tokio::test]
async fn grpc_4_a_proof_is_for_post_and_the_url_of_the_method() {
    let rig = Rig::new().await;
    let layer = Authenticate::new(rig.server.clone()).answer_grpc();
    let router = Router::new().route("/pkg.Svc/Method", post(async || "ran")).layer(layer);
    let call = async |proof: ProofBuilder| {
        let call = Ask::with_method(Method::POST, "/pkg.Svc/Method").header("content-type", "application/grpc");
        call.dpop(&rig.token, proof.issue()).of(&router).await
    };
    let good = || rig.proof_for("/pkg.Svc/Method").method("POST");
    assert_eq!(call(good()).await.assert_pass().body, "ran");
    for other in
        [good().method("GET"), rig.proof_for("/pkg.Svc/Other").method("POST"), rig.proof_for("/").method("POST")]
    {
        let answer = call(other).await;
        assert_eq!((answer.header("grpc-status"), answer.reason), (Some("16"), Some(Reason::InvalidDpopProof)));
    }
}

async fn document(change: impl FnOnce(ResourceServerBuilder) -> ResourceServerBuilder) -> Value {
    let rig =
        Rig::with(|builder| change(builder.protected_resource(ProtectedResource::new("https://api.example/r")))).await;
    let metadata = rig.server.resource_metadata(&[]).expect("there is a protected resource");
    serde_json::from_slice(metadata.document()).expect("JSON")
}

#[tokio::test]
async fn prm_5_dpop_16_mtls_6_the_metadata_says_which_bindings_there_are() {
    let members = [
        "dpop_signing_alg_values_supported",
        "dpop_bound_access_tokens_required",
        "tls_client_certificate_bound_access_tokens",
    ];
    let algorithms = json!(["ES256", "ES384", "Ed25519", "PS256", "RS256"]);
    let of = |document: Value| members.map(|name| document.get(name).cloned().unwrap_or_default());
    let certificates = CertificateBinding::new;
    assert_eq!(of(document(|builder| builder).await), [Value::Null, Value::Null, Value::Null]);
    assert_eq!(of(document(|builder| builder.dpop(dpop())).await), [algorithms.clone(), Value::Null, Value::Null]);
    assert_eq!(
        of(document(|builder| builder.dpop(dpop()).require_bound_tokens()).await),
        [algorithms.clone(), true.into(), Value::Null]
    );
    assert_eq!(
        of(document(|builder| builder.certificate_binding(certificates()).require_bound_tokens()).await),
        [Value::Null, Value::Null, true.into()]
    );
    let both =
        document(|builder| builder.dpop(dpop()).certificate_binding(certificates()).require_bound_tokens()).await;
    let methods = |document: &Value| document["bearer_methods_supported"].clone();
    assert_eq!(methods(&both), json!(["header"]), "a token that is bound to a certificate is a bearer token");
    assert_eq!(of(both), [algorithms, Value::Null, true.into()], "a token may be bound by either");
    assert_eq!(methods(&document(|builder| builder.dpop(dpop())).await), json!(["header"]));
    assert_eq!(methods(&document(|builder| builder.dpop(dpop()).require_bound_tokens()).await), json!([]));
}

#[tokio::test]
async fn mtls_5_mtls_6_a_token_with_two_bindings_needs_both() {
    const CERTIFICATE: &[u8] = b"\x30\x06client";
    let rig = Rig::with(|builder| builder.dpop(dpop()).certificate_binding(CertificateBinding::new())).await;
    let both = rig.mint.token().bound_to(&rig.client).bound_to_certificate(CERTIFICATE).issue();
    let certified = rig.mint.token().bound_to_certificate(CERTIFICATE).issue();
    let proof = |token: &str| rig.proof().for_token(token).issue();
    let with = |ask: Ask, der: &'static [u8]| ask.extension(ClientCertificate::from_der(der));
    let api = &rig.api.router;
    for _ in 0..2 {
        let answer = Ask::get("/me").dpop(&both, proof(&both)).of(api).await;
        answer.assert_401_under("DPoP", Reason::MissingClientCertificate);
        let answer = with(Ask::get("/me").dpop(&both, proof(&both)), b"\x30\x05other").of(api).await;
        answer.assert_401_under("DPoP", Reason::BindingMismatch);
        let answer = with(Ask::get("/me").bearer(&both), CERTIFICATE).of(api).await;
        answer.assert_401_under("Bearer", Reason::DpopRequired);
        let answer = with(Ask::get("/me").dpop_without_proof(&both), CERTIFICATE).of(api).await;
        answer.assert_401_dpop(Reason::MissingDpopProof);
        let foreign = rig.other.proof("GET", "https://api.example/me").for_token(&both).issue();
        let answer = with(Ask::get("/me").dpop(&both, foreign), CERTIFICATE).of(api).await;
        answer.assert_401_under("DPoP", Reason::BindingMismatch);
        with(Ask::get("/me").dpop(&both, proof(&both)), CERTIFICATE).of(api).await.assert_pass();
        // One that is bound to a certificate alone is no token of the scheme DPoP.
        let answer = with(Ask::get("/me").dpop(&certified, proof(&certified)), CERTIFICATE).of(api).await;
        answer.assert_401_under("DPoP", Reason::UnboundToken);
        with(Ask::get("/me").bearer(&certified), CERTIFICATE).of(api).await.assert_pass();
    }
    assert_eq!(rig.api.calls(), 4);
}

/// A proof that is refused because of the certificate can still be used.
#[tokio::test]
async fn dpop_20_mtls_5_the_certificate_is_checked_before_a_proof_is_used_up() {
    const CERTIFICATE: &[u8] = b"\x30\x06client";
    let rig = Rig::with(|builder| builder.dpop(dpop()).certificate_binding(CertificateBinding::new())).await;
    let token = rig.mint.token().bound_to(&rig.client).bound_to_certificate(CERTIFICATE).issue();
    let proof = rig.proof().for_token(&token).issue();
    let ask = || Ask::get("/me").dpop(&token, &proof);
    ask().of(&rig.api.router).await.assert_401_under("DPoP", Reason::MissingClientCertificate);
    ask().extension(ClientCertificate::from_der(CERTIFICATE)).of(&rig.api.router).await.assert_pass();
}
