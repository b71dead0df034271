//! Switches of the embedded issuer, to watch the API during a rotation, a revocation and an outage.
//!
//! A real API has no such routes.

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    extract::State,
    http::{HeaderMap, StatusCode, header::AUTHORIZATION},
    routing::post,
};
use scopegate_axum::{ResourceServer, online::Invalidate};
use scopegate_testing::TestIssuer;

use crate::AUDIENCE;

/// The routes, all of them `POST` and open to everyone who reaches the loopback interface.
pub(crate) fn router(issuer: Arc<TestIssuer>, resource_server: ResourceServer, url: String) -> Router {
    Router::new()
        .route("/issuer/rotate", post(rotate))
        .route("/issuer/outage", post(outage))
        .route("/issuer/recover", post(recover))
        .with_state((Arc::clone(&issuer), url.into()))
        .merge(Router::new().route("/issuer/revoke", post(revoke)).with_state((issuer, resource_server)))
}

type Switches = State<(Arc<TestIssuer>, Arc<str>)>;

async fn rotate(State((issuer, url)): Switches) -> String {
    issuer.rotate_keeping_old().await;
    let token = issuer.token().audience(AUDIENCE).scope("message").expires_in(Duration::from_secs(60 * 60)).issue();
    format!(
        "The issuer has a new key and signs with it; the old one is still published. A token by the new key, for a 200 (within \
         a second of another fetch of keys it is a 401: try again):\n\n\
         curl -i -H 'Authorization: Bearer {token}' '{url}/messages'\n"
    )
}

/// Revokes the token of the request. The issuer reports it as inactive from now on. The API, whose cached answer would last
/// until its TTL, is invalidated at once, as a revocation webhook would do.
async fn revoke(
    State((issuer, resource_server)): State<(Arc<TestIssuer>, ResourceServer)>,
    headers: HeaderMap,
) -> Result<&'static str, (StatusCode, &'static str)> {
    let token = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    let token = token.ok_or((StatusCode::BAD_REQUEST, "Send the token that is to be revoked.\n"))?;
    issuer.revoke(token);
    match resource_server.invalidate(Invalidate::Token(token)).await {
        Ok(_) => Ok("The token is revoked.\n"),
        Err(_) => {
            Err((StatusCode::INTERNAL_SERVER_ERROR, "The token is revoked, and some replicas may not know it yet.\n"))
        }
    }
}

async fn outage(State((issuer, _)): Switches) -> &'static str {
    issuer.outage();
    "The issuer answers 503 to everything.\n"
}

async fn recover(State((issuer, _)): Switches) -> &'static str {
    issuer.recover();
    "The issuer is back.\n"
}
