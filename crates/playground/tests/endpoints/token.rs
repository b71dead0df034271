use serde_json::{Value, json};

use crate::rig::Rig;

#[tokio::test]
async fn a_good_token_of_each_kind_is_accepted() {
    let rig = Rig::start().await;
    for kind in ["jwt", "opaque", "api_key", "dpop"] {
        let token = rig.token(&json!({ "kind": kind, "scope": "message" })).await;
        assert_eq!(rig.messages(&token).await.status, 200, "{kind}");
        let explained = rig.explained(&token).await;
        assert_eq!(explained["verdict"], "accepted", "{explained}");
        assert_eq!(token["claims"].is_object(), matches!(kind, "jwt" | "dpop"), "{token}");
        assert_eq!(token["jkt"].is_string(), kind == "dpop", "{token}");
        assert!(token["expires_at"].is_u64(), "{token}");
    }
}

#[tokio::test]
async fn each_fault_has_the_answer_that_is_said_of_it_and_is_explained_so() {
    let rig = Rig::start().await;
    let state = rig.state().await;
    let faults = state["faults"].as_array().unwrap();
    assert!(faults.len() >= 12);
    for fault in faults {
        let kinds = fault["kinds"].as_array().unwrap();
        assert!(!kinds.is_empty(), "{fault}");
        for kind in kinds {
            let token = rig.token(&json!({ "kind": kind, "scope": "message", "fault": fault["fault"] })).await;
            let answer = rig.messages(&token).await;
            assert_eq!(answer.status.as_u16(), fault["answer"], "{kind} {fault}: {}", answer.text);
            let explained = rig.explained(&token).await;
            assert_eq!(explained["verdict"], "refused", "{kind} {fault}");
            assert_eq!(explained["explanation"]["status"], fault["answer"], "{kind} {fault}: {}", explained["text"]);
            // Both name the same reason, but that clients are not told which keys are known.
            let reason = match explained["explanation"]["reason"].as_str() {
                Some("unknown_key") => "invalid_signature",
                reason => reason.unwrap(),
            };
            let problem = answer.json()["type"].to_string();
            assert!(problem.ends_with(&format!("#{reason}\"")), "{kind} {fault}: {reason} {problem}");
        }
    }
}

#[tokio::test]
async fn each_fault_is_refused_for_a_reason_of_its_own() {
    let rig = Rig::start().await;
    for (kind, fault, reason) in [
        ("jwt", "expired", "expired"),
        ("jwt", "not_yet_valid", "not_yet_valid"),
        ("jwt", "wrong_audience", "wrong_audience"),
        ("jwt", "without_scope", "insufficient_scope"),
        ("jwt", "truncated", "invalid_signature"),
        ("jwt", "changed_claims", "invalid_signature"),
        ("jwt", "tampered_signature", "invalid_signature"),
        ("jwt", "wrong_key", "invalid_signature"),
        ("jwt", "unknown_key_id", "unknown_key"),
        ("jwt", "unsigned", "malformed_token"),
        ("jwt", "hs256_with_public_key", "algorithm_not_allowed"),
        ("jwt", "id_token", "wrong_token_type"),
        ("jwt", "unknown_issuer", "unknown_issuer"),
        ("jwt", "missing_subject", "missing_claim"),
        ("jwt", "critical_extension", "critical_header"),
        ("jwt", "without_proof", "dpop_required"),
        ("opaque", "expired", "inactive_token"),
        ("opaque", "never_issued", "inactive_token"),
        ("opaque", "revoked", "inactive_token"),
        ("api_key", "expired", "expired"),
        ("api_key", "never_issued", "inactive_token"),
        ("dpop", "proof_by_another_key", "binding_mismatch"),
        ("dpop", "proof_for_another_method", "invalid_dpop_proof"),
        ("dpop", "proof_too_old", "invalid_dpop_proof"),
    ] {
        let token = rig.token(&json!({ "kind": kind, "scope": "message", "fault": fault })).await;
        let explained = rig.explained(&token).await;
        assert_eq!(explained["explanation"]["reason"], reason, "{kind} {fault}: {}", explained["text"]);
    }
}

#[tokio::test]
async fn the_last_fifty_api_keys_are_valid() {
    let rig = Rig::start().await;
    let mut keys = Vec::new();
    for _ in 0..51 {
        keys.push(rig.token(&json!({ "kind": "api_key", "scope": "message" })).await);
    }
    for (key, expected) in [(&keys[0], 401), (&keys[1], 200), (&keys[50], 200)] {
        assert_eq!(rig.messages(key).await.status, expected);
    }
}

#[tokio::test]
async fn claims_are_set_and_left_out_and_the_lifetime_is_kept() {
    let rig = Rig::start().await;
    let claims = json!({ "sub": "alice", "roles": ["admin"], "client_id": null });
    let token = rig.token(&json!({ "kind": "jwt", "claims": claims, "lifetime_seconds": 60 })).await;
    assert_eq!((&token["claims"]["sub"], &token["claims"]["roles"]), (&"alice".into(), &json!(["admin"])));
    assert!(token["claims"].get("client_id").is_none() && token["claims"].get("scope").is_none(), "{token}");
    let lifetime = token["claims"]["exp"].as_u64().unwrap() - token["claims"]["iat"].as_u64().unwrap();
    assert!((59..=60).contains(&lifetime), "{token}");
    assert_eq!((&token["header"]["typ"], &token["expires_at"]), (&"at+jwt".into(), &token["claims"]["exp"]));
}

#[tokio::test]
async fn what_cannot_be_made_is_said_with_the_remedy_and_without_the_request() {
    let rig = Rig::start().await;
    for (wanted, remedy) in [
        (json!({ "kind": "marker-5f0e" }), "kinds and faults of /playground/state"),
        (json!({ "kind": "jwt", "fault": "marker-5f0e" }), "kinds and faults of /playground/state"),
        (json!({ "kind": "jwt", "marker-5f0e": true }), "kinds and faults of /playground/state"),
        (json!({ "kind": "jwt", "fault": "proof_too_old", "scope": "marker-5f0e" }), "cannot have this fault"),
        (json!({ "kind": "jwt", "lifetime_seconds": 0 }), "from 1 to 31536000"),
        (json!({ "kind": "jwt", "lifetime_seconds": 31_536_001 }), "from 1 to 31536000"),
        (json!({ "kind": "api_key", "claims": { "sub": "marker-5f0e" } }), "an API key has no claims"),
        (Value::String("marker-5f0e".repeat(7_000)), "longer than 64 KiB"),
    ] {
        let answer = rig.post("token", &wanted).await;
        assert_eq!(answer.status, 400, "{wanted}");
        assert!(answer.json()["error"].as_str().unwrap().contains(remedy), "{wanted}: {}", answer.text);
        assert!(!answer.text.contains("marker-5f0e"), "{}", answer.text);
    }
}
