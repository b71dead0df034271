//! The listener and its connections.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Method, Request, Response, StatusCode,
    header::{ALLOW, ORIGIN},
    uri::Authority,
};
use http_body_util::{BodyExt as _, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    net::TcpListener,
    task::{JoinHandle, JoinSet},
};

use super::{
    beside::AnyBody,
    condition::Failure,
    form, introspection, metadata,
    recorded::RecordedRequest,
    responses::{error, jwk_set, with_json},
    revocation, rotation,
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

/// The only place that binds: 127.0.0.1, and a port of the operating system's choice where `port` is 0.
pub(super) async fn bind(port: u16) -> io::Result<Listener> {
    let bound = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await;
    let bound = bound.and_then(|listener| Ok(Listener { address: listener.local_addr()?, listener }));
    bound.map_err(|error| io::Error::new(error.kind(), format!("127.0.0.1:{port} cannot be listened on: {error}")))
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
async fn respond(shared: Arc<Shared>, request: Request<Incoming>) -> Result<Response<AnyBody>, io::Error> {
    let endpoint = shared.site.endpoint(request.uri().path());
    match (endpoint, shared.beside()) {
        (None, Some(beside)) => Ok(beside.call(request).await),
        _ => respond_as_issuer(shared, endpoint, request).await.map(boxed),
    }
}

fn boxed(response: Response<Full<Bytes>>) -> Response<AnyBody> {
    response.map(|body| body.map_err(|never| match never {}).boxed_unsync())
}

async fn respond_as_issuer(
    shared: Arc<Shared>,
    endpoint: Option<Endpoint>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, io::Error> {
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
    if endpoint.takes_forms() && is_by_foreign_page(request.headers()) {
        return Ok(error(StatusCode::FORBIDDEN, "access_denied"));
    }
    Ok(match endpoint {
        Endpoint::Discovery => with_json(StatusCode::OK, metadata::document(&shared)),
        Endpoint::Introspection => introspection::respond(&shared, &request, condition.introspection.as_ref()).await?,
        Endpoint::Jwks => jwk_set(shared.mint().jwks_json()),
        Endpoint::Revocation => revocation::respond(&shared, &request),
        Endpoint::Rotation => rotation::respond(&shared, &request).await,
        Endpoint::Token => token_endpoint::respond(&shared, &request),
    })
}

/// Whether a browser sent the request for a page that is not of this machine. Such a page knows the client's public
/// secret, and reaches the port by a form, or by having its own name resolve to 127.0.0.1. A browser puts `Origin` into
/// every such `POST` ([RFC 6454, section 7.3](https://www.rfc-editor.org/rfc/rfc6454#section-7.3)).
fn is_by_foreign_page(headers: &HeaderMap) -> bool {
    let is_local = |origin: &HeaderValue| {
        let authority =
            origin.to_str().ok().and_then(|origin| origin.split_once("://")).map(|(_, authority)| authority);
        let authority = authority.and_then(|authority| authority.parse::<Authority>().ok());
        authority.is_some_and(|authority| ["127.0.0.1", "[::1]", "localhost"].contains(&authority.host()))
    };
    !headers.get_all(ORIGIN).iter().all(is_local)
}

fn method_not_allowed(endpoint: Endpoint) -> Response<Full<Bytes>> {
    let mut response = error(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed");
    let allow = if endpoint.takes_forms() { "POST" } else { "GET, HEAD" };
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(allow));
    response
}
