//! A net around a whole service: no success leaves it that no `Authenticate` has decided on.
//!
//! [`DenyUnauthenticated`] is for a router that exists already, on which a route that was added after a layer is open without
//! a word. It is the outermost of the layers of this crate:
//!
//! | inside of it | the answer |
//! |---|---|
//! | an `Authenticate` has admitted or refused the request | is left alone |
//! | none has, and the path was named public | is left alone |
//! | none has, and the status is 2xx or 101 | becomes 500, and an error in the log names method and path |
//! | none has, with another status, such as 404, or a gRPC error without a body | is left alone |
//!
//! It looks at the answer, so the handler has run: it finds an open route in a test or at the first request, and is no
//! substitute for the layer that is missing there. Code that replaces the request's extensions on the way hides the
//! authentication from it; what it then refuses is a success that may have been authenticated. CORS layers, which answer
//! preflight requests themselves, go outside. An [`Authenticate`](crate::Authenticate) that is `optional` decides that strangers
//! are admitted: what requires nothing behind it is found with [`require_scopes`](DenyUnauthenticated::require_scopes) alone.
//!
//! ```
//! use scopegate_tower::DenyUnauthenticated;
//!
//! DenyUnauthenticated::new().public("/health").public("/assets/*");
//! ```

use std::{
    collections::HashSet,
    fmt,
    future::Future,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU8, Ordering},
    },
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body::Body;
use pin_project_lite::pin_project;
use scopegate_core::{Error, Reason, observe::log_excerpt};
use tower_layer::Layer;
use tower_service::Service;

use crate::{
    ResponseBody,
    log::path_excerpt,
    refusal::{GRPC_STATUS, Refusal, ResponseForm},
};

/// How many distinct paths are named in the log.
const MAX_LOGGED: usize = 64;

/// Layer: refuses successes that left without having been authenticated. See the [module docs](self).
#[derive(Clone, Debug, Default)]
#[must_use = "a layer does nothing until it is applied"]
pub struct DenyUnauthenticated {
    settings: Arc<Settings>,
    /// Shared by all services of this layer: axum makes one for each request of a handler.
    logged: Arc<Logged>,
}

/// The routes that are in the log already.
type Logged = Mutex<HashSet<(Method, Box<str>)>>;

#[derive(Clone, Debug, Default)]
struct Settings {
    public: Paths,
    /// Paths for which a valid token suffices, where a scope is required for all others.
    without_scope: Option<Paths>,
    only_logs: bool,
}

/// Paths: whole ones, and prefixes.
#[derive(Clone, Debug, Default)]
struct Paths {
    whole: HashSet<Box<str>>,
    prefixes: Vec<Box<str>>,
}

impl Paths {
    fn add(&mut self, path: &str) {
        assert!(path.starts_with('/'), "the path {path:?} has to begin with a slash");
        match path.strip_suffix('*') {
            Some(prefix) => {
                assert!(prefix.ends_with('/'), "the path {path:?} has to end with `/*` to stand for all paths below");
                self.prefixes.push(prefix.into());
            }
            None => drop(self.whole.insert(path.into())),
        }
    }

    fn contain(&self, path: &str) -> bool {
        let is_below = || self.prefixes.iter().any(|prefix| path.starts_with(&**prefix));
        self.whole.contains(path) || is_below() && !has_dot_segments(path)
    }
}

/// Whether the path has dot segments, however they are encoded: what serves it may take them away, and leave the prefix.
fn has_dot_segments(path: &str) -> bool {
    let path = path.to_ascii_lowercase().replace("%2e", ".").replace("%2f", "/").replace("%5c", "\\");
    path.split(['/', '\\']).any(|segment| matches!(segment, "." | ".."))
}

impl DenyUnauthenticated {
    /// Denies every success that no `Authenticate` has decided on.
    pub fn new() -> Self {
        Self::default()
    }

    fn with(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        change(Arc::make_mut(&mut self.settings));
        self
    }

    /// Names a path that anybody may call. `/assets/*` stands for all paths below `/assets/`. The path is compared as the
    /// client writes it: one that is encoded in another way is not public, and neither is one with a dot segment, such as
    /// `/assets/../me`.
    ///
    /// # Panics
    ///
    /// When `path` does not begin with a slash, or has a `*` that is not its last segment.
    pub fn public(self, path: &str) -> Self {
        self.with(|settings| settings.public.add(path))
    }

    /// Denies also what no [`RequireScope`](crate::RequireScope) and no `Scoped` has decided on, so that a route whose scope
    /// was forgotten is found, too. [`without_scope`](Self::without_scope) names the exceptions, such as routes that decide in
    /// their handlers.
    pub fn require_scopes(self) -> Self {
        self.with(|settings| {
            settings.without_scope.get_or_insert_default();
        })
    }

    /// Names a path for which a valid token suffices, and requires scopes for the others, as
    /// [`require_scopes`](Self::require_scopes) does.
    ///
    /// # Panics
    ///
    /// As [`public`](Self::public) does.
    pub fn without_scope(self, path: &str) -> Self {
        self.with(|settings| settings.without_scope.get_or_insert_default().add(path))
    }

    /// Lets through what it would deny, and logs it only: to find out what a service has open before that is denied.
    pub fn dangerous_only_log(self) -> Self {
        self.with(|settings| settings.only_logs = true)
    }
}

/// What has been decided about a request. A request extension, shared with the guard outside.
#[derive(Clone, Debug, Default)]
pub(crate) struct Decided(Arc<AtomicU8>);

const AUTHENTICATED: u8 = 1;
const SCOPE: u8 = 2;

impl Decided {
    /// Notes that an `Authenticate` decides on this request.
    pub(crate) fn note_authenticated(extensions: &http::Extensions) {
        Self::note(extensions, AUTHENTICATED);
    }

    /// Notes that the scope of this request's token was checked.
    pub(crate) fn note_scope(extensions: &http::Extensions) {
        Self::note(extensions, SCOPE);
    }

    /// Notes that this request is answered by what everybody may read.
    pub(crate) fn note_public(extensions: &http::Extensions) {
        Self::note(extensions, AUTHENTICATED | SCOPE);
    }

    fn note(extensions: &http::Extensions, what: u8) {
        if let Some(decided) = extensions.get::<Self>() {
            decided.0.fetch_or(what, Ordering::Relaxed);
        }
    }
}

impl<S> Layer<S> for DenyUnauthenticated {
    type Service = Guarded<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Guarded { inner, settings: Arc::clone(&self.settings), logged: Arc::clone(&self.logged) }
    }
}

/// The service of [`DenyUnauthenticated`]. See the [module docs](self).
#[derive(Clone, Debug)]
pub struct Guarded<S> {
    inner: S,
    settings: Arc<Settings>,
    logged: Arc<Logged>,
}

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for Guarded<S>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
    ResBody: Body<Data = Bytes>,
{
    type Response = Response<ResponseBody<ResBody>>;
    type Error = S::Error;
    type Future = GuardedFuture<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<ReqBody>) -> Self::Future {
        let path = request.uri().path();
        let watched = (!self.settings.public.contain(path)).then(|| Watched {
            form: ResponseForm::for_bodies::<ResBody>((&request).into(), None),
            required: match &self.settings.without_scope {
                Some(without_scope) if !without_scope.contain(path) => AUTHENTICATED | SCOPE,
                Some(_) | None => AUTHENTICATED,
            },
            method: request.method().clone(),
            path: path.into(),
            // Of a guard further out, so that both learn what is decided inside.
            decided: request.extensions().get::<Decided>().cloned().unwrap_or_default(),
            only_logs: self.settings.only_logs,
            logged: Arc::clone(&self.logged),
        });
        if let Some(watched) = &watched {
            request.extensions_mut().insert(watched.decided.clone());
        }
        GuardedFuture { future: self.inner.call(request), watched }
    }
}

/// What is known of a request whose answer is looked at.
struct Watched {
    form: ResponseForm,
    /// What has to be decided for a success.
    required: u8,
    method: Method,
    path: Box<str>,
    decided: Decided,
    only_logs: bool,
    logged: Arc<Logged>,
}

impl Watched {
    fn complete<B: Body<Data = Bytes>>(self, response: Response<B>) -> Response<ResponseBody<B>> {
        let status = response.status();
        let is_success = status.is_success() || status == StatusCode::SWITCHING_PROTOCOLS;
        let decided = self.decided.0.load(Ordering::Relaxed);
        // A refusal in the form of gRPC is a 200 that `Authenticate` has decided on, before any scope was looked at.
        let is_refusal = response.extensions().get::<Reason>().is_some();
        if !is_success || is_refusal || is_grpc_error(&response) || decided & self.required == self.required {
            return response.map(ResponseBody::inner);
        }
        self.log(decided);
        if self.only_logs {
            return response.map(ResponseBody::inner);
        }
        // A new response: the headers of the old one are as much the handler's as its body.
        Refusal::new(&Error::missing_authenticate_layer()).unlogged().respond(self.form)
    }

    fn log(&self, decided: u8) {
        let missing = if decided & AUTHENTICATED == 0 { "`Authenticate`" } else { "`RequireScope`" };
        let mut logged = self.logged.lock().unwrap_or_else(PoisonError::into_inner);
        if logged.len() < MAX_LOGGED && logged.insert((self.method.clone(), self.path.clone())) {
            tracing::error!(
                target: "scopegate",
                method = log_excerpt(self.method.as_str()),
                path = path_excerpt(&self.path),
                missing,
                denied = !self.only_logs,
                "a route answers without having been protected: put the missing layer in front of it, or name its path in \
                 `DenyUnauthenticated`"
            );
        }
    }
}

/// Whether this is a gRPC error and nothing else, as the answer to an unknown method is. Its status is 200.
fn is_grpc_error<B: Body>(response: &Response<B>) -> bool {
    let status = response.headers().get(GRPC_STATUS);
    status.is_some_and(|status| status != "0") && response.body().is_end_stream()
}

pin_project! {
    /// The response future of [`Guarded`].
    #[must_use = "futures do nothing unless polled"]
    pub struct GuardedFuture<F> {
        #[pin]
        future: F,
        watched: Option<Watched>,
    }
}

impl<F, B, E> Future for GuardedFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: Body<Data = Bytes>,
{
    type Output = Result<Response<ResponseBody<B>>, E>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let response = ready!(this.future.poll(context))?;
        Poll::Ready(Ok(match this.watched.take() {
            Some(watched) => watched.complete(response),
            None => response.map(ResponseBody::inner),
        }))
    }
}

impl<F> fmt::Debug for GuardedFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GuardedFuture").finish_non_exhaustive()
    }
}
