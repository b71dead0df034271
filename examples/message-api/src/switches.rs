//! Switches of the embedded issuer, to watch the API through a rotation and an outage.
//!
//! An API has no such routes; they are here because the issuer is.

use std::{sync::Arc, time::Duration};

use axum::{Router, extract::State, routing::post};
use scopegate_testing::TestIssuer;

use crate::AUDIENCE;

/// The routes, all of them `POST` and open to whoever can reach the loopback interface.
pub(crate) fn router(issuer: Arc<TestIssuer>, url: String) -> Router {
    Router::new()
        .route("/issuer/rotate", post(rotate))
        .route("/issuer/outage", post(outage))
        .route("/issuer/recover", post(recover))
        .with_state((issuer, url.into()))
}

type Switches = State<(Arc<TestIssuer>, Arc<str>)>;

async fn rotate(State((issuer, url)): Switches) -> String {
    issuer.rotate_keeping_old().await;
    let token = issuer.token().audience(AUDIENCE).scope("message").expires_in(Duration::from_secs(60 * 60)).sign();
    format!(
        "The issuer has a new key and signs with it; the old one is still published. A token by the new key, for a 200 (within \
         a second of another fetch of keys it is a 401: try again):\n\n\
         curl -i -H 'Authorization: Bearer {token}' '{url}/messages'\n"
    )
}

async fn outage(State((issuer, _)): Switches) -> &'static str {
    issuer.outage();
    "The issuer answers 503 to everything.\n"
}

async fn recover(State((issuer, _)): Switches) -> &'static str {
    issuer.recover();
    "The issuer is back.\n"
}
