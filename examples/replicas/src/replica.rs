//! One process of the API. All that it shares with the other one is in Redis.

use std::{env, error::Error};

use axum::routing::get;
use scopegate_axum::{AccessToken, Issuer, ProtectedRouter, ResourceServer, dpop::Dpop, scope};
use scopegate_redis::{BuildError, RedisStore};
use tokio::net::TcpListener;

use crate::child;

/// Where clients reach the API, and so what their proofs are for: the URL of the balancer in front of the replicas, which this
/// example does without.
pub(crate) const PUBLIC_URL: &str = "https://api.example";

/// The store of the service: what its replicas share has the same prefix.
pub(crate) fn store(redis_url: &str) -> Result<RedisStore, BuildError> {
    RedisStore::builder(redis_url).prefix("scopegate-replicas:").build()
}

/// Serves on a free port until the command ends, and says at which.
pub(crate) async fn run(issuer: String) -> Result<(), Box<dyn Error>> {
    let store = store(&env::var("REDIS_URL")?)?;
    let resource_server = ResourceServer::builder()
        // The issuer is on this host, without TLS. The name of the call shows that to reviewers.
        .issuer(Issuer::discovered(issuer).dangerous_allow_http_on_loopback())
        .audience(PUBLIC_URL)
        .dpop(Dpop::new().public_url(PUBLIC_URL).replay_store(store))
        .build()
        .await?;
    let app = ProtectedRouter::new(resource_server).route("/messages", scope("message"), get(messages)).into_router();

    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    println!("http://{}", listener.local_addr()?);
    axum::serve(listener, app).with_graceful_shutdown(child::parent_ended()).await?;
    Ok(())
}

async fn messages(_token: AccessToken) -> &'static str {
    "From one of the replicas.\n"
}
