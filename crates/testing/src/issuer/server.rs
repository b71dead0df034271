//! The listener and its connections.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
};

use bytes::Bytes;
use http::{
    HeaderValue, Method, Request, Response, StatusCode,
    header::{ALLOW, CONTENT_TYPE},
};
use http_body_util::Full;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    net::TcpListener,
    task::{JoinHandle, JoinSet},
};

use super::{
    condition::Failure,
    form, introspection, metadata,
    recorded::RecordedRequest,
    responses::{error, with_json},
    revocation,
    shared::Shared,
    site::Endpoint,
    token_endpoint,
};

/// A loopback listener.
pub(super) struct Listener {
    listener: TcpListener,
    address: SocketAddr,
}

impl Listener {
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }
}

/// The only place that binds: 127.0.0.1, and a port of the operating system's choice.
pub(super) async fn bind() -> Listener {
    let bound = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
    let bound = bound.and_then(|listener| Ok(Listener { address: listener.local_addr()?, listener }));
    bound.unwrap_or_else(|error| panic!("no port on 127.0.0.1 can be had: {error}"))
}

/// Serves until the task is aborted, which closes its connections.
pub(super) fn spawn(listener: Listener, shared: Arc<Shared>) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut connections = JoinSet::new();
        loop {
            // Accepting fails for lack of file descriptors, or because the peer is gone; both are temporary.
            let Ok((stream, _)) = listener.listener.accept().await else {
                tokio::task::yield_now().await;
                continue;
            };
            while connections.try_join_next().is_some() {}
            let shared = Arc::clone(&shared);
            connections.spawn(async move {
                let service = service_fn(move |request| respond(Arc::clone(&shared), request));
                // A client that breaks the protocol or hangs up must not affect the others.
                let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
            });
        }
    })
}

/// An error makes hyper close the connection.
async fn respond(shared: Arc<Shared>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, io::Error> {
    let endpoint = shared.site.endpoint(request.uri().path());
    let request = form::received(request, endpoint.is_some_and(Endpoint::takes_forms)).await;
    if endpoint == Some(Endpoint::Introspection) {
        *shared.last_introspection() = Some(RecordedRequest::of(&request));
    }
    if let Some(endpoint) = endpoint {
        shared.counters.count(endpoint);
    }

    let condition = shared.condition().clone();
    if !condition.delay.is_zero() {
        let delay = shared.mint().clock().sleep(condition.delay);
        delay.await;
    }
    match condition.failure {
        Some(Failure::HungUp) => return Err(io::ErrorKind::ConnectionAborted.into()),
        Some(Failure::Unavailable) => {
            return Ok(error(StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable"));
        }
        None => {}
    }

    let Some(endpoint) = endpoint else { return Ok(error(StatusCode::NOT_FOUND, "not_found")) };
    let allowed: &[Method] = if endpoint.takes_forms() { &[Method::POST] } else { &[Method::GET, Method::HEAD] };
    if !allowed.contains(request.method()) {
        return Ok(method_not_allowed(endpoint));
    }
    Ok(match endpoint {
        Endpoint::Discovery => with_json(StatusCode::OK, metadata::document(&shared)),
        Endpoint::Introspection => introspection::respond(&shared, &request, condition.introspection.as_ref()).await?,
        Endpoint::Jwks => {
            let mut response = with_json(StatusCode::OK, shared.mint().jwks_json());
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/jwk-set+json"));
            response
        }
        Endpoint::Revocation => revocation::respond(&shared, &request),
        Endpoint::Token => token_endpoint::respond(&shared, &request),
    })
}

fn method_not_allowed(endpoint: Endpoint) -> Response<Full<Bytes>> {
    let mut response = error(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed");
    let allow = if endpoint.takes_forms() { "POST" } else { "GET, HEAD" };
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(allow));
    response
}
