use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response};
use scopegate_core::{
    BoxFuture,
    clock::Clock as _,
    fetch::{Fetch, FetchError, FetchLimits},
};
use scopegate_testing::{SigningKeys, TestClock};
use serde_json::json;

use crate::ISSUER;

/// The URL of [`ISSUER`]'s metadata: the OAuth form.
pub const METADATA_URL: &str = "https://as.example/.well-known/oauth-authorization-server";

/// The other URL of [`ISSUER`]'s metadata: the form of OpenID Connect.
pub const OIDC_URL: &str = "https://as.example/.well-known/openid-configuration";

/// The introspection endpoint of [`ISSUER`].
pub const INTROSPECTION_URL: &str = "https://as.example/introspect";

/// The URL of [`ISSUER`]'s JWK Set.
pub const JWKS_URL: &str = "https://as.example/jwks";

/// A network without sockets. A test sets the response of each URL, and every request is recorded. Other URLs respond with
/// 404.
#[derive(Clone, Debug)]
pub struct Network(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    clock: TestClock,
    replies: Mutex<HashMap<String, Reply>>,
    seen: Mutex<Vec<Seen>>,
}

/// A recorded request.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The time.
    pub at: SystemTime,
    /// The URL.
    pub url: String,
    /// The method.
    pub method: Method,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

/// The response of a URL.
#[derive(Clone)]
pub enum Reply {
    /// This reply, after this time on the clock.
    After(Duration, Box<Reply>),
    /// The request fails with this error.
    Fails(&'static str),
    /// This status, with these header fields and this body.
    Is(u16, Vec<(&'static str, String)>, Bytes),
    /// No response, ever.
    Never,
    /// The client panics.
    Panics,
    /// The reply of a function of the request.
    To(Arc<dyn Fn(&Seen) -> Reply + Send + Sync>),
    /// The reply of a function, which may differ each time.
    With(Arc<dyn Fn() -> Reply + Send + Sync>),
}

impl Reply {
    /// A 200 with this body.
    pub fn ok(body: impl Into<Bytes>) -> Self {
        Self::status(200, body)
    }

    /// This status with this body.
    pub fn status(status: u16, body: impl Into<Bytes>) -> Self {
        Self::Is(status, Vec::new(), body.into())
    }

    /// A 200 with this JSON.
    pub fn json(body: impl ToString) -> Self {
        Self::ok(body.to_string()).field("content-type", "application/json")
    }

    /// The same with another header field.
    #[must_use]
    pub fn field(self, name: &'static str, value: impl Into<String>) -> Self {
        match self {
            Self::Is(status, mut fields, body) => {
                fields.push((name, value.into()));
                Self::Is(status, fields, body)
            }
            other => other,
        }
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::After(wait, reply) => f.debug_tuple("After").field(wait).field(reply).finish(),
            Self::Fails(why) => f.debug_tuple("Fails").field(why).finish(),
            Self::Is(status, fields, body) => {
                f.debug_tuple("Is").field(status).field(fields).field(&body.len()).finish()
            }
            Self::Never => f.write_str("Never"),
            Self::Panics => f.write_str("Panics"),
            Self::To(_) => f.write_str("To"),
            Self::With(_) => f.write_str("With"),
        }
    }
}

impl Network {
    /// A network without any server.
    pub fn new(clock: &TestClock) -> Self {
        Self(Arc::new(Shared { clock: clock.clone(), replies: Mutex::default(), seen: Mutex::default() }))
    }

    /// A network with [`ISSUER`], its metadata and these keys.
    pub fn with_issuer(clock: &TestClock, keys: &SigningKeys) -> Self {
        let network = Self::new(clock);
        network.put(METADATA_URL, Reply::ok(json!({ "issuer": ISSUER, "jwks_uri": JWKS_URL }).to_string()));
        network.publish(keys);
        network
    }

    /// Publishes these keys as the JWK Set of [`ISSUER`].
    pub fn publish(&self, keys: &SigningKeys) {
        self.put(JWKS_URL, Reply::ok(keys.jwks_json()));
    }

    /// Sets the response of a URL.
    pub fn put(&self, url: &str, reply: Reply) {
        lock(&self.0.replies).insert(url.to_owned(), reply);
    }

    /// The requests so far.
    pub fn seen(&self) -> Vec<Seen> {
        lock(&self.0.seen).clone()
    }

    /// Forgets the requests so far, for a test that goes on for long.
    pub fn forget_seen(&self) {
        lock(&self.0.seen).clear();
    }

    /// The URLs of the requests so far.
    pub fn urls(&self) -> Vec<String> {
        self.seen().into_iter().map(|seen| seen.url).collect()
    }

    /// The number of requests to this URL.
    pub fn count(&self, url: &str) -> usize {
        lock(&self.0.seen).iter().filter(|seen| seen.url == url).count()
    }

    fn reply(&self, url: &str) -> Reply {
        lock(&self.0.replies).get(url).cloned().unwrap_or_else(|| Reply::status(404, "not found"))
    }
}

impl Fetch for Network {
    fn fetch(
        &self,
        request: Request<Bytes>,
        limits: FetchLimits,
    ) -> BoxFuture<'static, Result<Response<Bytes>, FetchError>> {
        let url = request.uri().to_string();
        let seen = Seen {
            at: self.0.clock.now(),
            url: url.clone(),
            method: request.method().clone(),
            headers: request.headers().clone(),
            body: request.body().clone(),
        };
        lock(&self.0.seen).push(seen.clone());
        let (clock, mut reply) = (self.0.clock.clone(), self.reply(&url));
        Box::pin(async move {
            loop {
                reply = match reply {
                    Reply::After(wait, then) => {
                        clock.sleep(wait).await;
                        *then
                    }
                    Reply::Fails(why) => return Err(FetchError::failed(why)),
                    Reply::Is(_, _, body) if body.len() > limits.body => return Err(FetchError::body_too_large()),
                    Reply::Is(status, fields, body) => {
                        let response =
                            fields.into_iter().fold(Response::builder().status(status), |response, (name, value)| {
                                response.header(name, value)
                            });
                        return response.body(body).map_err(FetchError::failed);
                    }
                    Reply::Never => std::future::pending().await,
                    Reply::Panics => panic!("injected: the client broke"),
                    Reply::To(reply) => reply(&seen),
                    Reply::With(reply) => reply(),
                }
            }
        })
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs the other tasks of this runtime until all of them wait for the clock.
pub async fn settle() {
    for _ in 0..40 {
        tokio::task::yield_now().await;
    }
}
