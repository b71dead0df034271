//! Which scheme a token is sent under, and the proof beside it.

use http::StatusCode;
use scopegate_axum::{Authenticate, Reason};
use scopegate_tests::{Api, Ask, resource_server};

use super::*;

#[tokio::test]
async fn d_01_dpop_1_a_token_with_a_proof_passes_however_the_scheme_is_spelled() {
    let rig = Rig::new().await;
    for scheme in ["DPoP ", "dpop ", "DPOP   "] {
        let ask = Ask::get("/me").authorization(format!("{scheme}{}", rig.token)).header("dpop", rig.proof().issue());
        let answer = ask.of(&rig.api.router).await;
        assert_eq!(answer.assert_pass().body, "user-1");
        assert_eq!((answer.header("dpop-nonce"), answer.header("vary")), (None, None));
    }
    assert_eq!(rig.api.calls(), 3);
}

#[tokio::test]
async fn dpop_1_the_headers_of_the_client_pass_as_they_are() {
    let rig = Rig::new().await;
    let headers = rig.client.headers("GET", "https://api.example/me?q=1#f", &rig.token);
    let ask = Ask::get("/me?other=2")
        .authorization(headers["authorization"].as_bytes())
        .header("dpop", headers["dpop"].as_bytes());
    ask.of(&rig.api.router).await.assert_pass();
}

#[tokio::test]
async fn dpop_1_d_15_a_token_without_a_proof_is_refused() {
    let rig = Rig::new().await;
    for _ in 0..2 {
        let answer = Ask::get("/me").dpop_without_proof(&rig.token).of(&rig.api.router).await;
        answer.assert_401_dpop(Reason::MissingDpopProof);
    }
    assert_eq!(rig.api.calls(), 0);
}

#[tokio::test]
async fn d_15_a_proof_without_a_token_is_no_credentials() {
    let rig = Rig::new().await;
    let answer = Ask::get("/me").header("dpop", rig.proof().issue()).of(&rig.api.router).await;
    assert_eq!((answer.status, answer.reason), (StatusCode::UNAUTHORIZED, Some(Reason::MissingCredentials)));
    assert!(answer.challenges().iter().all(|challenge| !challenge.contains("error")), "{answer:?}");
    assert_eq!((answer.challenges().len(), rig.api.calls()), (2, 0));
}

#[tokio::test]
async fn dpop_2_d_13_anything_but_one_proof_is_refused() {
    let rig = Rig::new().await;
    let (one, other) = (rig.proof().issue(), rig.proof().issue());
    for lines in [[&one, &one], [&one, &other]] {
        let ask = Ask::get("/me").dpop(&rig.token, lines[0]).header("dpop", lines[1]);
        ask.of(&rig.api.router).await.assert_401_dpop(Reason::InvalidDpopProof);
    }
    for value in [
        format!("{one}, {other}"),
        format!("{one},{one}"),
        format!("{one} "),
        format!(" {one}"),
        format!("{one}\t"),
        format!("\"{one}\""),
        format!("DPoP {one}"),
        format!("{one}."),
        format!(".{one}"),
        format!("{one}.x"),
        format!("{one}="),
        format!("{one}~"),
        String::new(),
        ".".to_owned(),
        "..".to_owned(),
        "a.b.c".to_owned(),
        "{}".to_owned(),
    ] {
        rig.send(&value).await.assert_401_dpop(Reason::InvalidDpopProof);
    }
    rig.send(b"\xff\xfe.\xff.\xff").await.assert_401_dpop(Reason::InvalidDpopProof);
    assert_eq!(rig.api.calls(), 0);
    rig.send(&one).await.assert_pass();
}

#[tokio::test]
async fn d_13_dpop_3_a_long_proof_is_refused_without_being_read() {
    let rig = Rig::new().await;
    let padded = |length: usize| rig.proof().claim("padding", "x".repeat(length)).issue();
    let fits = padded(5_700);
    assert!((7_900..=8_192).contains(&fits.len()), "{}", fits.len());
    rig.send(&fits).await.assert_pass();
    let long = padded(6_200);
    assert!((8_193..9_000).contains(&long.len()), "{}", long.len());
    rig.send(&long).await.assert_401_dpop(Reason::InvalidDpopProof);
    for length in [64 << 10, 1 << 20] {
        rig.send("a".repeat(length)).await.assert_401_dpop(Reason::InvalidDpopProof);
        rig.send(padded(length)).await.assert_401_dpop(Reason::InvalidDpopProof);
    }
    assert_eq!(rig.api.calls(), 1);
}

#[tokio::test]
async fn d_14_dpop_14_an_unbound_token_does_not_pass_under_dpop() {
    let rig = Rig::new().await;
    let token = rig.mint.token().issue();
    for _ in 0..2 {
        let proof = rig.proof().for_token(&token).issue();
        let answer = Ask::get("/me").dpop(&token, proof).of(&rig.api.router).await;
        answer.assert_401_under("DPoP", Reason::UnboundToken);
        // Remembered or not.
        Ask::get("/me").bearer(&token).of(&rig.api.router).await.assert_pass();
    }
    assert_eq!(rig.api.calls(), 2);
}

#[tokio::test]
async fn c_10_dpop_15_d_14_a_bound_token_does_not_pass_as_a_bearer_token() {
    let rig = Rig::new().await;
    for _ in 0..2 {
        for with_proof in [false, true] {
            let ask = Ask::get("/me").bearer(&rig.token);
            let ask = if with_proof { ask.header("dpop", rig.proof().issue()) } else { ask };
            ask.of(&rig.api.router).await.assert_401_under("Bearer", Reason::DpopRequired);
        }
        // Now it is remembered.
        rig.send(rig.proof().issue()).await.assert_pass();
        rig.send(rig.other.proof("GET", "https://api.example/me").for_token(&rig.token).issue())
            .await
            .assert_401_under("DPoP", Reason::BindingMismatch);
    }
    assert_eq!(rig.api.calls(), 2);
}

#[tokio::test]
async fn dpop_15_mtls_5_a_bound_token_does_not_pass_where_dpop_is_off() {
    let api = Api::new().await;
    let rig = Rig::new().await;
    for with_proof in [false, true] {
        let ask = Ask::get("/me").bearer(&rig.token);
        let ask = if with_proof { ask.header("dpop", rig.proof().issue()) } else { ask };
        ask.of(&api.router).await.assert_401(Reason::UnverifiableConfirmation);
    }
    // The scheme is one of others there.
    Ask::get("/me").dpop(&rig.token, rig.proof().issue()).of(&api.router).await.assert_401_bare();
    assert_eq!(api.calls(), 0);
}

#[tokio::test]
async fn dpop_15_a_bound_token_in_a_named_header_does_not_pass() {
    let name = http::HeaderName::from_static("x-forwarded-access-token");
    let rig = Rig::with(|builder| builder.dpop(dpop()).token_header(name)).await;
    let ask = Ask::get("/me").header("x-forwarded-access-token", &rig.token).header("dpop", rig.proof().issue());
    ask.of(&rig.api.router).await.assert_401_under("Bearer", Reason::DpopRequired);
    // One token in each is two, whatever they are.
    let ask = Ask::get("/me").dpop(&rig.token, rig.proof().issue()).header("x-forwarded-access-token", &rig.token);
    let answer = ask.of(&rig.api.router).await;
    answer.assert_error_under("DPoP", StatusCode::BAD_REQUEST, "invalid_request", Reason::MultipleTransports);
    assert_eq!(rig.api.calls(), 0);
}

#[tokio::test]
async fn dpop_16_a_stray_proof_does_not_make_a_bearer_token_a_bound_one() {
    use axum::{Router, routing::get};
    use scopegate_axum::AccessToken;

    let rig = Rig::new().await;
    let is_bound = async |token: AccessToken| (!token.binding().is_none()).to_string();
    let router = Router::new().route("/me", get(is_bound)).layer(Authenticate::new(rig.server.clone()));
    let token = rig.mint.token().issue();
    let proof = rig.proof().for_token(&token).issue();
    for proof in [proof, "garbage".to_owned()] {
        let answer = Ask::get("/me").bearer(&token).header("dpop", proof).of(&router).await;
        assert_eq!(answer.assert_pass().body, "false");
    }
    let answer = Ask::get("/me").dpop(&rig.token, rig.proof().issue()).of(&router).await;
    assert_eq!(answer.assert_pass().body, "true");
}

#[tokio::test]
async fn dpop_16_mtls_6_where_binding_is_required_no_bearer_token_passes() {
    let rig = Rig::with(|builder| builder.dpop(dpop()).require_bound_tokens()).await;
    let token = rig.mint.token().issue();
    for _ in 0..2 {
        for ask in [
            Ask::get("/me").bearer(&token),
            Ask::get("/me").bearer(&token).header("dpop", rig.proof().for_token(&token).issue()),
        ] {
            let answer = ask.of(&rig.api.router).await;
            answer.assert_401_under("Bearer", Reason::UnboundToken);
            assert_eq!(answer.challenges().len(), 2, "{answer:?}");
        }
        rig.send(rig.proof().issue()).await.assert_pass();
    }
    // Only what works is offered to those who have not tried.
    let bare = Ask::get("/me").of(&rig.api.router).await;
    assert_eq!(bare.challenges(), [r#"DPoP realm="https://api.example/r", algs="ES256 ES384 Ed25519 PS256 RS256""#]);
    assert_eq!(rig.api.calls(), 2);
}

#[tokio::test]
async fn dpop_16_requiring_what_cannot_be_checked_is_a_fault_of_the_configuration() {
    let builder = resource_server().issuer(scopegate_tests::issuer()).require_bound_tokens();
    let error = builder.build().await.expect_err("a fault").to_string();
    assert!(error.contains("require_bound_tokens"), "{error}");
}

#[tokio::test]
async fn dpop_15_dpop_16_where_a_token_is_optional_a_bad_one_is_still_refused() {
    let rig = Rig::new().await;
    let api = Api::behind_layer(Authenticate::new(rig.server.clone()).optional());
    assert_eq!(Ask::get("/me").of(&api.router).await.assert_pass().body, "anonymous");
    let alone = Ask::get("/me").header("dpop", rig.proof().issue()).of(&api.router).await;
    assert_eq!(alone.assert_pass().body, "anonymous");
    Ask::get("/me").bearer(&rig.token).of(&api.router).await.assert_401_under("Bearer", Reason::DpopRequired);
    let answer = Ask::get("/me").dpop_without_proof(&rig.token).of(&api.router).await;
    answer.assert_401_dpop(Reason::MissingDpopProof);
    let proof = rig.proof().issue();
    assert_eq!(Ask::get("/me").dpop(&rig.token, &proof).of(&api.router).await.assert_pass().body, "user-1");
    Ask::get("/me").dpop(&rig.token, &proof).of(&api.router).await.assert_401_dpop(Reason::RepeatedDpopProof);
    assert_eq!(api.calls(), 3);
}
