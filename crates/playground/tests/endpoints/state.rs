use serde_json::{Value, json};

use crate::rig::Rig;

fn each<'v>(value: &'v Value, name: &str) -> Vec<&'v str> {
    value.as_array().unwrap().iter().map(|value| value[name].as_str().unwrap()).collect()
}

#[tokio::test]
async fn the_state_is_what_the_api_accepts_and_the_issuer_publishes() {
    let rig = Rig::start().await;
    let state = rig.state().await;
    assert_eq!(state["issuer"], rig.issuer.issuer());
    assert_eq!((&state["audience"], &state["issuer_is_up"]), (&"https://api.example".into(), &true.into()));
    assert_eq!(each(&state["kinds"], "kind"), ["jwt", "opaque", "api_key", "dpop"]);
    assert_eq!(
        state["routes"],
        json!([
            { "method": "GET", "path": "/public", "access": "public", "scopes": [], "public": true },
            { "method": "GET", "path": "/me", "access": "authenticated", "scopes": [], "public": false },
            { "method": "GET", "path": "/messages", "access": "scope message", "scopes": ["message"], "public": false },
        ])
    );
    assert_eq!(state["scopes"], json!(["message", "profile"]));
    assert_eq!(state["variables"], json!([["SCOPEGATE_AUDIENCE", "https://api.example"]]));
    assert_eq!(state["is_debug_build"], cfg!(debug_assertions));
    let published: Value = serde_json::from_str(&rig.issuer.jwks_json()).unwrap();
    assert_eq!(each(&state["keys"]["published"], "kid"), each(&published["keys"], "kid"));
    let signing: Vec<_> =
        state["keys"]["published"].as_array().unwrap().iter().filter(|key| key["is_signing"] == true).collect();
    assert_eq!((signing.len(), &signing[0]["alg"]), (1, &"ES256".into()));
    assert_eq!(state["keys"]["health"]["issuers"][0]["issuer"], rig.issuer.issuer());
}

#[tokio::test]
async fn kinds_that_the_api_does_not_accept_are_neither_offered_nor_made() {
    let rig = Rig::for_jwts().await;
    assert_eq!(each(&rig.state().await["kinds"], "kind"), ["jwt"]);
    for kind in ["opaque", "api_key", "dpop"] {
        let answer = rig.post("token", &json!({ "kind": kind })).await;
        assert_eq!(answer.status, 400);
        assert!(answer.json()["error"].as_str().unwrap().contains("does not accept this kind"), "{}", answer.text);
    }
}
