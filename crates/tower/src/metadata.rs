//! Serves protected resource metadata (RFC 9728), from which a client that knows nothing but a URL finds out where to get a
//! token.
//!
//! [`ServeResourceMetadata`] answers requests for the documents of the protected resources, and gives all others to the service
//! inside of it. It goes outside of `Authenticate`: the documents need no token (RFC 9728 §3.2). A `ProtectedRouter` of
//! `scopegate-axum` serves its documents by itself.
//!
//! | request for a document | answer |
//! |---|---|
//! | `GET` | 200, `application/json`, readable by scripts of every origin, cacheable for five minutes |
//! | `HEAD` | the same without the document |
//! | `OPTIONS` | 204 with what a preflight request asks for |
//! | another method | 405 |

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{
    HeaderValue, Method, Request, Response, StatusCode, Uri,
    header::{
        ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
        ACCESS_CONTROL_MAX_AGE, ALLOW, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE,
    },
};
use http_body::Body;
use pin_project_lite::pin_project;
use scopegate_core::{ResourceMetadata, ResourceServer};
use tower_layer::Layer;
use tower_service::Service;

use crate::{ResponseBody, guard::Decided};

const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, OPTIONS");

/// Layer: serves protected resource metadata. See the [module docs](self).
///
/// ```
/// # fn example(resource_server: scopegate_core::ResourceServer) {
/// use scopegate_tower::{Authenticate, ServeResourceMetadata};
/// use tower::ServiceBuilder;
///
/// ServiceBuilder::new()
///     .layer(ServeResourceMetadata::of(&resource_server))
///     .layer(Authenticate::new(resource_server));
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "a layer does nothing until it is applied"]
pub struct ServeResourceMetadata {
    documents: Arc<[ResourceMetadata]>,
}

impl ServeResourceMetadata {
    /// Serves these documents, and a single one at the root's well-known path, too, where clients look that were given no
    /// other address.
    ///
    /// # Panics
    ///
    /// When two have the same path, as the resources of two hosts may have: what a request says of its host decides nothing
    /// (RFC 9728 §7.3).
    #[track_caller]
    pub fn new(documents: impl IntoIterator<Item = ResourceMetadata>) -> Self {
        let documents: Arc<[ResourceMetadata]> = documents.into_iter().collect();
        for (at, document) in documents.iter().enumerate() {
            let twin = documents[..at].iter().find(|other| other.path_and_query() == document.path_and_query());
            if let Some(twin) = twin {
                panic!(
                    "{} and {} have the same path; serve each host by a service of its own",
                    twin.url(),
                    document.url()
                );
            }
        }
        Self { documents }
    }

    /// Serves the document of the protected resource that this resource server serves. Its scopes are those that
    /// `ProtectedResource::scopes` names: layers do not know what routes require.
    ///
    /// # Panics
    ///
    /// When the resource server has no protected resource.
    #[track_caller]
    pub fn of(resource_server: &ResourceServer) -> Self {
        let metadata = resource_server.resource_metadata(&[]);
        Self::new([metadata.unwrap_or_else(|| {
            panic!(
                "the resource server has no protected resource; name it with `.protected_resource(..)` of its builder"
            )
        })])
    }

    /// The paths of the documents, without queries and each once: for a router to mount [`answer`](Self::answer) at.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        let paths = self.documents.iter().map(|document| path(document.path_and_query()));
        let others = paths.clone();
        let is_first = move |&(at, path): &(usize, &str)| !others.clone().take(at).any(|other| other == path);
        let paths = paths.enumerate().filter(is_first).map(|(_, path)| path);
        paths.chain(self.is_at_root().then_some(ResourceMetadata::WELL_KNOWN_PATH))
    }

    /// Whether the root's well-known path stands for the one document, which has another path.
    fn is_at_root(&self) -> bool {
        matches!(&*self.documents, [sole] if path(sole.path_and_query()) != ResourceMetadata::WELL_KNOWN_PATH)
    }

    fn document(&self, uri: &Uri) -> Option<&ResourceMetadata> {
        let asked_for = uri.path_and_query().map_or("/", |path_and_query| path_and_query.as_str());
        // MCP-1: at its own path, and at the root where it is the only one.
        let is_root = asked_for == ResourceMetadata::WELL_KNOWN_PATH && self.is_at_root();
        self.documents.iter().find(|document| is_root || document.path_and_query() == asked_for)
    }

    /// The answer to a request for one of the documents; `None` for another request. The address is compared octet by octet.
    pub fn answer(&self, method: &Method, uri: &Uri) -> Option<Response<Bytes>> {
        let document = self.document(uri)?.document();
        let mut response = Response::new(Bytes::new());
        let headers = response.headers_mut();
        // PRM-10: scripts of any origin may read it.
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        match *method {
            Method::GET | Method::HEAD => {
                // PRM-2: JSON, by GET.
                headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
                headers.insert(CONTENT_LENGTH, HeaderValue::from(document.len()));
                headers.insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=300"));
                if method == Method::GET {
                    *response.body_mut() = document.clone();
                }
            }
            Method::OPTIONS => {
                headers.insert(ALLOW, METHODS);
                headers.insert(ACCESS_CONTROL_ALLOW_METHODS, METHODS);
                headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static("*"));
                headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("7200"));
                *response.status_mut() = StatusCode::NO_CONTENT;
            }
            _ => {
                headers.insert(ALLOW, METHODS);
                *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
            }
        }
        Some(response)
    }
}

fn path(path_and_query: &str) -> &str {
    path_and_query.split_once('?').map_or(path_and_query, |(path, _)| path)
}

impl<S> Layer<S> for ServeResourceMetadata {
    type Service = WithResourceMetadata<S>;

    fn layer(&self, inner: S) -> Self::Service {
        WithResourceMetadata { inner, metadata: self.clone() }
    }
}

/// The service of [`ServeResourceMetadata`]. See the [module docs](self).
#[derive(Clone, Debug)]
pub struct WithResourceMetadata<S> {
    inner: S,
    metadata: ServeResourceMetadata,
}

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for WithResourceMetadata<S>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>> + Clone,
    ResBody: Body<Data = Bytes>,
{
    type Response = Response<ResponseBody<ResBody>>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        let kind = match self.metadata.answer(request.method(), request.uri()) {
            Some(response) => {
                // PRM-2: before any authentication.
                Decided::note_public(request.extensions());
                // What the inner service reserved by being ready goes with it: the client may leave the connection idle.
                self.inner = self.inner.clone();
                Kind::Metadata { response: Some(response) }
            }
            None => Kind::Inner { future: self.inner.call(request) },
        };
        ResponseFuture { kind }
    }
}

pin_project! {
    /// The response future of [`WithResourceMetadata`].
    #[must_use = "futures do nothing unless polled"]
    pub struct ResponseFuture<F> {
        #[pin]
        kind: Kind<F>,
    }
}

pin_project! {
    #[project = KindProjection]
    enum Kind<F> {
        Inner { #[pin] future: F },
        Metadata { response: Option<Response<Bytes>> },
    }
}

impl<F, B, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
{
    type Output = Result<Response<ResponseBody<B>>, E>;

    /// # Panics
    ///
    /// When polled again after it has completed with a document.
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().kind.project() {
            KindProjection::Inner { future } => {
                Poll::Ready(ready!(future.poll(context)).map(|response| response.map(ResponseBody::inner)))
            }
            KindProjection::Metadata { response } => {
                let response = response.take().expect("polled again after completion");
                Poll::Ready(Ok(response.map(ResponseBody::whole)))
            }
        }
    }
}

impl<F> fmt::Debug for ResponseFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("metadata::ResponseFuture").finish_non_exhaustive()
    }
}
