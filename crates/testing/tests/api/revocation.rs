use scopegate_testing::TestIssuer;
use serde_json::json;

use crate::http::{Answer, ask, introspect, known, post};

async fn revoke(issuer: &TestIssuer, token: &str) -> Answer {
    ask(issuer, known("/revoke"), &format!("token={token}&token_type_hint=access_token")).await
}

#[tokio::test]
async fn a_revoked_token_is_not_active() {
    let issuer = TestIssuer::start().await;
    for token in [issuer.opaque_token().issue(), issuer.token().issue()] {
        assert_eq!(introspect(&issuer, &token).await["active"], true);
        issuer.revoke(&token);
        assert_eq!(introspect(&issuer, &token).await, json!({ "active": false }));
    }
    assert_eq!(issuer.requests().revocation, 0);
}

#[tokio::test]
async fn the_endpoint_revokes_too() {
    let issuer = TestIssuer::start().await;
    for token in [issuer.opaque_token().issue(), issuer.token().issue(), issuer.opaque_token().refresh_token().issue()]
    {
        let answer = revoke(&issuer, &token).await;
        assert_eq!((answer.status.as_u16(), answer.body.as_str()), (200, ""));
        assert_eq!(answer.headers["cache-control"], "no-store");
        assert_eq!(introspect(&issuer, &token).await, json!({ "active": false }));
    }
    assert_eq!(issuer.requests().revocation, 3);
}

#[tokio::test]
async fn revocation_of_an_unknown_token_succeeds() {
    let issuer = TestIssuer::start().await;
    assert_eq!(revoke(&issuer, "unknown").await.status, 200);
    assert_eq!(revoke(&issuer, "unknown").await.status, 200);
}

#[tokio::test]
async fn a_text_that_is_issued_again_is_active_again() {
    let issuer = TestIssuer::start().await;
    let token = issuer.opaque_token().text("again");
    issuer.revoke(&token.issue());
    assert_eq!(introspect(&issuer, &token.issue()).await["active"], true);
}

#[tokio::test]
async fn strangers_revoke_nothing() {
    let issuer = TestIssuer::start().await;
    let token = issuer.opaque_token().issue();
    let form = format!("token={token}");
    assert_eq!(ask(&issuer, post("/revoke"), &form).await.status, 401);
    // An access token authenticates at the introspection endpoint only.
    let bearer = post("/revoke").header("authorization", format!("Bearer {token}"));
    let answer = ask(&issuer, bearer, &form).await;
    assert_eq!((answer.status.as_u16(), &answer.json()["error"]), (401, &json!("invalid_client")));
    assert_eq!(ask(&issuer, known("/revoke"), "token_type_hint=access_token").await.status, 400);
    assert_eq!(introspect(&issuer, &token).await["active"], true);
}
