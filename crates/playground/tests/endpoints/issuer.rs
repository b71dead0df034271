use scopegate_testing::TestIssuer;
use serde_json::{Value, json};

use crate::rig::Rig;

fn key_ids(state: &Value) -> Vec<&str> {
    state["keys"]["published"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_rotation_publishes_new_keys_and_keeps_those_that_signed() {
    let rig = Rig::start().await;
    let before = rig.token(&json!({ "kind": "jwt", "scope": "message" })).await;
    assert_eq!(rig.messages(&before).await.status, 200);
    let (first, second) = (rig.state().await, rig.post("rotate", &json!({})).await.json());
    let third = rig.post("rotate", &json!({})).await.json();
    let (first, second, third) = (key_ids(&first), key_ids(&second), key_ids(&third));
    assert_eq!(second[3..], first);
    assert_eq!((third.len(), &third[3..]), (6, &second[..3]));
}

#[tokio::test]
async fn a_rotation_that_cannot_be_kept_leaves_the_keys_as_they_are() {
    let folder = std::env::temp_dir().join(format!("scopegate-playground-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let rig = Rig::for_jwts_of(TestIssuer::builder().keys_file(folder.join("keys.json")).start().await).await;
    std::fs::remove_dir_all(&folder).unwrap();

    let before = rig.state().await;
    let answer = rig.post("rotate", &json!({})).await;
    assert_eq!(answer.status, 500);
    assert!(answer.json()["error"].as_str().unwrap().contains("make it writable"), "{}", answer.text);
    assert_eq!(key_ids(&rig.state().await), key_ids(&before));
}

#[tokio::test]
async fn a_token_by_a_new_key_is_accepted() {
    let rig = Rig::start().await;
    rig.post("rotate", &json!({})).await;
    let token = rig.token(&json!({ "kind": "jwt", "scope": "message" })).await;
    assert_eq!(token["header"]["kid"], key_ids(&rig.state().await)[0]);
    assert_eq!(rig.messages(&token).await.status, 200);
}

#[tokio::test]
async fn jwts_alone_are_verified_while_the_issuer_is_down() {
    let rig = Rig::start().await;
    for kind in ["jwt", "opaque"] {
        let token = rig.token(&json!({ "kind": kind, "scope": "message" })).await;
        assert_eq!(rig.messages(&token).await.status, 200, "{kind}");
    }

    assert_eq!(rig.post("outage", &json!({})).await.json()["issuer_is_up"], false);
    let during = rig.token(&json!({ "kind": "jwt", "scope": "message" })).await;
    assert_eq!(rig.messages(&during).await.status, 200);
    let opaque = rig.token(&json!({ "kind": "opaque", "scope": "message" })).await;
    assert_eq!(rig.messages(&opaque).await.status, 503);

    assert_eq!(rig.post("recover", &json!({})).await.json()["issuer_is_up"], true);
    let opaque = rig.token(&json!({ "kind": "opaque", "scope": "message" })).await;
    assert_eq!(rig.messages(&opaque).await.status, 200);
}

#[tokio::test]
async fn a_revoked_token_is_refused_at_once() {
    let rig = Rig::start().await;
    for kind in ["opaque", "api_key"] {
        let token = rig.token(&json!({ "kind": kind, "scope": "message" })).await;
        let other = rig.token(&json!({ "kind": kind, "scope": "message" })).await;
        assert_eq!(rig.messages(&token).await.status, 200, "{kind}");
        let revoked = rig.post("revoke", &json!({ "token": token["token"] })).await.json();
        assert!(revoked["revoked"] == true && revoked["note"].is_string(), "{revoked}");
        assert_eq!(rig.messages(&token).await.status, 401, "{kind}");
        assert_eq!(rig.messages(&other).await.status, 200, "{kind}");
    }
}

#[tokio::test]
async fn a_jwt_is_not_revoked_and_why_is_said() {
    let rig = Rig::start().await;
    for kind in ["jwt", "dpop"] {
        let token = rig.token(&json!({ "kind": kind, "scope": "message" })).await;
        let answer = rig.post("revoke", &json!({ "token": token["token"] })).await;
        assert_eq!(answer.status, 409, "{kind}");
        assert!(answer.json()["error"].as_str().unwrap().contains("RequireActive"), "{}", answer.text);
        assert_eq!(rig.messages(&token).await.status, 200, "{kind}");
    }
}
