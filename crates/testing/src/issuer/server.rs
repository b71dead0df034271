//! The listener and its connections.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
};

use bytes::Bytes;
use http::{
    HeaderValue, Method, Request, Response, StatusCode,
    header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, PRAGMA},
};
use http_body_util::Full;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::{
    net::TcpListener,
    task::{JoinHandle, JoinSet},
};

use super::{
    assertion::UsedAssertions,
    clients::Clients,
    condition::{Condition, Counters, Failure},
    form, introspection, metadata,
    recorded::RecordedRequest,
    revocation,
    site::{Endpoint, Site},
    token_endpoint,
    tokens::Tokens,
};
use crate::{Mint, SigningKeys, changes::Changes};

/// The state that the handle and the server's task share.
pub(super) struct Shared {
    pub(super) site: Site,
    pub(super) clients: Clients,
    pub(super) metadata: Changes,
    pub(super) signs_introspection: bool,
    pub(super) tokens: Tokens,
    pub(super) assertions: UsedAssertions,
    pub(super) counters: Counters,
    last_introspection: Mutex<Option<RecordedRequest>>,
    mint: RwLock<Mint>,
    condition: Mutex<Condition>,
}

impl Shared {
    pub(super) fn new(site: Site, mint: Mint, clients: Clients, metadata: Changes, signs_introspection: bool) -> Self {
        Self {
            site,
            clients,
            metadata,
            signs_introspection,
            tokens: Tokens::default(),
            assertions: UsedAssertions::default(),
            counters: Counters::default(),
            last_introspection: Mutex::default(),
            mint: RwLock::new(mint),
            condition: Mutex::new(Condition::default()),
        }
    }

    /// A mint with the current keys.
    pub(super) fn mint(&self) -> Mint {
        self.mint.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set_keys(&self, keys: SigningKeys) {
        let mut mint = self.mint.write().unwrap_or_else(PoisonError::into_inner);
        *mint = mint.clone().with_keys(keys);
    }

    pub(super) fn last_introspection(&self) -> MutexGuard<'_, Option<RecordedRequest>> {
        self.last_introspection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn condition(&self) -> MutexGuard<'_, Condition> {
        self.condition.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

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

fn error(status: StatusCode, code: &'static str) -> Response<Full<Bytes>> {
    with_json(status, json!({ "error": code }).to_string())
}

pub(super) fn json_response(status: StatusCode, body: &Value) -> Response<Full<Bytes>> {
    with_json(status, body.to_string())
}

fn with_json(status: StatusCode, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// Adds the headers of responses that contain or describe tokens.
pub(super) fn never_stored(mut response: Response<Full<Bytes>>) -> Response<Full<Bytes>> {
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response.headers_mut().insert(PRAGMA, HeaderValue::from_static("no-cache"));
    response
}
