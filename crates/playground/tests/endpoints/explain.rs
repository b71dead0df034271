use serde_json::{Value, json};

use crate::rig::Rig;

async fn explained(rig: &Rig, path: &str, headers: Value) -> Value {
    rig.post("explain", &json!({ "method": "GET", "path": path, "headers": headers })).await.json()
}

#[tokio::test]
async fn a_request_without_a_token_is_explained_for_its_route() {
    let rig = Rig::start().await;
    let none = json!([]);
    assert_eq!(explained(&rig, "/public", none.clone()).await["verdict"], "anonymous");
    let refused = explained(&rig, "/messages", none.clone()).await;
    assert_eq!(
        (&refused["verdict"], &refused["explanation"]["reason"]),
        (&"refused".into(), &"missing_credentials".into())
    );
    // What no route is for is answered 404 before a token is looked at.
    assert_eq!(explained(&rig, "/nowhere", none).await["verdict"], "anonymous");
}

#[tokio::test]
async fn a_public_route_looks_at_no_token() {
    let rig = Rig::start().await;
    let token = rig.token(&json!({ "kind": "jwt", "fault": "expired" })).await;
    let headers = json!(rig.credentials(&token).await);
    assert_eq!(explained(&rig, "/public", headers.clone()).await["verdict"], "anonymous");
    assert_eq!(explained(&rig, "/me", headers).await["verdict"], "refused");
}

#[tokio::test]
async fn the_explanation_has_the_claims_and_the_tree() {
    let rig = Rig::start().await;
    let token = rig.token(&json!({ "kind": "jwt", "scope": "profile", "claims": { "sub": "alice" } })).await;
    let explained = rig.explained(&token).await;
    assert_eq!(explained["explanation"]["claims"]["sub"], "alice");
    let text = explained["text"].as_str().unwrap();
    assert!(text.starts_with("refused: 403 insufficient_scope") && text.contains("sub: alice"), "{text}");
    assert!(!explained.to_string().contains(token["token"].as_str().unwrap().rsplit('.').next().unwrap()));
}

#[tokio::test]
async fn a_proof_is_not_used_up() {
    let rig = Rig::start().await;
    let token = rig.token(&json!({ "kind": "dpop", "scope": "message" })).await;
    let headers = json!(rig.credentials(&token).await);
    for _ in 0..2 {
        assert_eq!(explained(&rig, "/messages", headers.clone()).await["verdict"], "accepted");
    }
}

#[tokio::test]
async fn what_is_no_request_is_refused_without_a_word_of_it() {
    let rig = Rig::start().await;
    for request in [
        json!({ "method": "marker 5f0e", "path": "/messages" }),
        json!({ "method": "GET", "path": "marker-5f0e" }),
        json!({ "method": "GET", "path": "http://marker-5f0e" }),
        json!({ "method": "GET", "path": "/messages", "headers": [["marker 5f0e", ""]] }),
        json!({ "method": "GET", "path": "/messages", "headers": [["x", "marker-5f0e\n"]] }),
        json!({ "method": "GET", "path": ["marker-5f0e"] }),
    ] {
        let answer = rig.post("explain", &request).await;
        assert_eq!(answer.status, 400, "{request}: {}", answer.text);
        assert!(answer.json()["error"].is_string() && !answer.text.contains("marker"), "{}", answer.text);
    }
}
