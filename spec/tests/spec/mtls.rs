//! Certificates and other confirmations: MTLS.

use scopegate_spec::{Dpop, ErrorCode, Scheme};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::rig::*;

fn mtls() -> Rig {
    let mut rig = Rig::new();
    rig.config.certificate_binding = true;
    rig.certificate = Some(b"certificate".to_vec());
    rig
}

fn digest() -> String {
    b64(Sha256::digest("certificate"))
}

fn confirmed(confirmation: Value) -> String {
    token(json!({}), json!({ "cnf": confirmation }))
}

#[test]
fn mtls_1_certificate_is_that_of_the_connection() {
    let bound = confirmed(json!({ "x5t#S256": digest() }));
    let mut rig = mtls();
    passes(&rig.bearer(&bound));
    for other in [Some(b"other".to_vec()), None] {
        rig.certificate = other;
        bad_token(&rig.bearer(&bound), "MTLS-1");
    }
    bad_token(&mtls().bearer(&confirmed(json!({ "x5t#S256": format!("{}=", digest()) }))), "MTLS-1");
}

#[test]
fn mtls_2_header_of_a_client_is_ignored() {
    let mut rig = mtls();
    rig.certificate = None;
    let authorization = format!("Bearer {}", confirmed(json!({ "x5t#S256": digest() })));
    for name in ["client-cert", "x-ssl-client-cert", "x-forwarded-client-cert"] {
        bad_token(&rig.send(&[("authorization", &authorization), (name, ":Y2VydGlmaWNhdGU=:")]), "MTLS-1");
    }
}

#[test]
fn mtls_5_what_cannot_be_checked_refuses() {
    for confirmation in [
        json!({ "kid": "1" }),
        json!("x"),
        json!(null),
        json!([]),
        json!({}),
        json!(1),
        json!({ "jkt": 1 }),
        json!({ "jkt": "x" }),
        json!({ "x5t#S256": 1 }),
        json!({ "x5t#S256": digest(), "kid": "1" }),
        json!({ "x5t#S256": digest(), "jkt": "x" }),
    ] {
        bad_token(&mtls().bearer(&confirmed(confirmation)), "MTLS-5");
    }
    let mut rig = mtls();
    rig.config.certificate_binding = false;
    bad_token(&rig.bearer(&confirmed(json!({ "x5t#S256": digest() }))), "MTLS-5");
}

#[test]
fn mtls_5_all_members_have_to_hold() {
    let mut rig = mtls();
    rig.config.dpop = Some(Dpop {
        required: false,
        public_urls: vec!["https://api.example".to_owned()],
        algorithms: vec!["ES256".to_owned()],
        max_age: 60,
        max_ahead: 10,
        nonces: None,
        accept_repeated: false,
    });
    let bound = confirmed(json!({ "x5t#S256": digest(), "jkt": CLIENT.thumbprint() }));
    let header = json!({ "typ": "dpop+jwt", "alg": "ES256", "jwk": CLIENT.bare_jwk() }).to_string();
    let claims = json!({ "jti": "1", "htm": "GET", "htu": AUDIENCE, "iat": NOW, "ath": b64(Sha256::digest(&bound)) });
    let proof = mint_raw(&CLIENT, "ES256", header, claims.to_string());
    let authorization = format!("DPoP {bound}");
    let lines = [("authorization", authorization.as_str()), ("dpop", proof.as_str())];
    rig.certificate = Some(b"other".to_vec());
    refused(&rig.send(&lines), 401, "MTLS-1", Scheme::Dpop, ErrorCode::InvalidToken);
    rig.certificate = Some(b"certificate".to_vec());
    passes(&rig.send(&lines)); // What was refused has not used the proof.
    bad_token(&rig.bearer(&bound), "DPOP-15");
    bad_token(&rig.bearer(&confirmed(json!({ "x5t#S256": digest(), "kid": "1" }))), "MTLS-5");
}

#[test]
fn mtls_6_unbound_tokens_can_be_refused() {
    let mut rig = mtls();
    passes(&rig.bearer(&good()));
    rig.config.require_binding = true;
    bad_token(&rig.bearer(&good()), "MTLS-6");
    passes(&rig.bearer(&confirmed(json!({ "x5t#S256": digest() }))));
}
