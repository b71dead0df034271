//! The page at the root of `scopegate issuer`, with an API for it to call.

use std::{sync::Arc, time::Duration};

use axum::{Router, routing::get};
use scopegate_axum::{
    AccessToken, BuildError, ProtectedRouter, ResourceServer, Startup,
    api_keys::ApiKeys,
    authenticated,
    dpop::Dpop,
    introspection::{ClientAuthentication, Introspection},
    keys::KeyRefresh,
    online::Limits,
    public, scope,
};
use scopegate_playground::{LogWriter, Playground};
use scopegate_testing::TestIssuer;

/// What API keys begin with.
const KEY_PREFIX: &str = "sk_";

/// The page, and an API that trusts the issuer as a service with these variables does.
pub(super) async fn router(
    issuer: Arc<TestIssuer>,
    audience: &str,
    variables: &[(&'static str, String)],
) -> Result<Router, BuildError> {
    let client = ClientAuthentication::client_secret_basic(TestIssuer::CLIENT_ID, TestIssuer::CLIENT_SECRET);
    // Short pauses and no discovery of the endpoint, so that the page shows soon how an outage ends.
    let limits = Limits::default().breaker_open_for(Duration::from_secs(1), Duration::from_secs(2));
    let trusted = scopegate_axum::Issuer::discovered(issuer.issuer())
        .introspection(Introspection::at(issuer.introspection_endpoint(), client).limits(limits))
        .dangerous_allow_http_on_loopback();
    let keys = ApiKeys::new("https://api.example/keys", KEY_PREFIX);
    let dpop = ["127.0.0.1", "localhost"]
        .into_iter()
        .fold(Dpop::new(), |dpop, host| dpop.public_url(format!("http://{host}:{}", issuer.address().port())));
    let resource_server = ResourceServer::builder()
        .issuer(trusted)
        .audience(audience)
        .verifier(keys.clone())
        .dpop(dpop)
        .key_refresh(KeyRefresh::default().cool_down(Duration::from_secs(1)))
        .startup(Startup::FailFast)
        .build()
        .await?;
    let api = ProtectedRouter::new(resource_server.clone())
        .route("/public", public(), get(async || "Anyone may read this.\n"))
        .route("/me", authenticated(), get(me))
        .route("/messages", scope("message"), get(async || "Your token has the scope `message`.\n"));
    let playground = Playground::new(issuer, resource_server, api).api_keys(keys, KEY_PREFIX);
    Ok(playground.variables(variables.iter().cloned()).into_router())
}

async fn me(token: AccessToken) -> String {
    format!("{}\n", token.subject().unwrap_or("a machine"))
}

/// Has the page show what the API logs of a request. Nothing else is logged.
pub(super) fn begin_log() {
    tracing_subscriber::fmt().with_ansi(false).with_writer(LogWriter::new).init();
}
