use scopegate_testing::{SigningAlgorithm, SigningKeys, TestIssuer};
use serde_json::Value;

use crate::http::{ask, introspect, known, post, request};

fn kids(jwks: &Value) -> Vec<String> {
    jwks["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

fn published(issuer: &TestIssuer) -> Vec<String> {
    kids(&serde_json::from_str(&issuer.jwks_json()).unwrap())
}

#[tokio::test]
async fn a_rotation_replaces_the_keys() {
    let issuer = TestIssuer::builder().algorithms([SigningAlgorithm::Es256]).start().await;
    let (before, token) = (published(&issuer), issuer.token().issue());
    let answer = ask(&issuer, known("/rotate"), "").await;
    assert_eq!((answer.status.as_u16(), &answer.headers["cache-control"]), (200, &"no-store".parse().unwrap()));
    assert_eq!(answer.headers["content-type"], "application/jwk-set+json");
    assert_eq!(kids(&answer.json()), published(&issuer));
    assert!(!answer.body.contains("\"d\""), "no private key is sent");
    assert!(published(&issuer).iter().all(|kid| !before.contains(kid)));
    assert_eq!(introspect(&issuer, &token).await["active"], false);
    assert_eq!(issuer.requests().rotation, 1);
}

#[tokio::test]
async fn a_rotation_keeps_the_keys_that_signed_and_no_older_ones() {
    let keys = SigningKeys::generate([SigningAlgorithm::Es256, SigningAlgorithm::EdDsa]);
    let issuer = TestIssuer::builder().keys(keys).start().await;
    let mut sets = vec![published(&issuer)];
    for _ in 0..2 {
        let token = issuer.token().issue();
        assert_eq!(ask(&issuer, known("/rotate"), "keep_old=true").await.status, 200);
        assert_eq!(introspect(&issuer, &token).await["active"], true);
        sets.push(published(&issuer));
    }
    let [first, second, third] = sets.try_into().unwrap();
    assert_eq!((second.len(), &second[2..]), (4, &first[..]));
    assert_eq!((third.len(), &third[2..]), (4, &second[..2]));
}

#[tokio::test]
async fn a_rotation_needs_a_client_and_legal_parameters() {
    let issuer = TestIssuer::start().await;
    let before = published(&issuer);
    assert_eq!(ask(&issuer, post("/rotate"), "").await.status, 401);
    for form in ["keep_old=1", "keep_old=true&keep_old=true"] {
        assert_eq!(ask(&issuer, known("/rotate"), form).await.json()["error"], "invalid_request", "{form}");
    }
    assert_eq!(request(&issuer, "GET", "/rotate").await.status, 405);
    assert_eq!(published(&issuer), before);
}
