//! Whether every route of a service is protected as its list of routes says.

mod paths;
mod tokens;

use std::{fmt, future::poll_fn};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode, header::WWW_AUTHENTICATE};
use http_body_util::Empty;
use scopegate_core::{
    Access, ConfirmationMethod, ExactScopes, Reason, RouteInfo, Routes, Scope, ScopePolicy, ScopeToken,
};
use tower_service::Service;

pub use self::tokens::{DpopTokens, TokenSource};
use self::{
    paths::{Printed, filled},
    tokens::{BEARER, Sender, bearer},
};

/// The methods with which a route that takes every method is called.
const EVERY: [Method; 5] = [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE];

/// The methods that a path should not have unless they are listed. CORS layers answer `OPTIONS` on every path.
const OTHERS: [Method; 7] =
    [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::TRACE];

/// Asserts that every route is protected as `routes` says, and that an axum router has no others.
///
/// Each method of each route is called without a token, with garbage, with an expired token, with one for another audience,
/// with one without the scope, and with a good one, of each scope that suffices. What the handler answers does not matter, only
/// whether it was reached.
///
/// | access | no token | garbage, expired, another audience | no scope | good |
/// |---|---|---|---|---|
/// | public | reached | reached | reached | reached |
/// | optional | reached | 401 `invalid_token` | reached | reached |
/// | authenticated | 401 without an error code | 401 `invalid_token` | reached | reached |
/// | a scope | 401 without an error code | 401 `invalid_token` | 403 `insufficient_scope` with the scope | reached |
///
/// A route that requires a [bound](Access::bound) token is reached with [`DpopTokens`] alone: each token is then bound to a key, and
/// sent with a proof. A bearer token that is good otherwise gets 401 `invalid_token` there.
///
/// `app` is the whole service, such as an axum `Router`; its handlers run. Parameters of a path are filled with `1`. A route
/// for every method is called with `GET`, `POST`, `PUT`, `PATCH` and `DELETE`.
///
/// Where `app` prints its paths, as a `Router` does, what `routes` does not have is a failure, too:
///
/// - a path;
/// - another method of a path but `OPTIONS`, if its answer without a token is none of 401, 403, 404, 405 and 501;
/// - a fallback that answers 2xx without a token: list it as `/*`.
///
/// Not checked: whether a [`TokenPolicy`](scopegate_core::TokenPolicy) is enforced, for which tokens would have to be made
/// that it refuses. A good token that it refuses is no failure. Nor whether a token that is bound to a client certificate is let
/// through, where a route requires one.
///
/// With a `ProtectedRouter` of `scopegate-axum`: `assert_protected(api.into_router(), &routes, &issuer).await`, where `routes`
/// is `api.routes()`.
///
/// # Panics
///
/// When a route is not protected as it says: with every failure, each with its route, its request, and what was expected and
/// found. When there are no routes.
pub async fn assert_protected<S, B>(app: S, routes: &Routes, tokens: &(impl TokenSource + ?Sized))
where
    S: Service<Request<Empty<Bytes>>, Response = Response<B>, Error: fmt::Debug> + Clone + fmt::Debug,
{
    assert!(!routes.is_empty(), "there are no routes to check");
    let printed = Printed::read(&format!("{app:?}"));
    let mut failures = printed.unlisted(routes);
    let mut sender = Sender::of(tokens);
    for route in routes.iter() {
        let methods = route.method().map_or(EVERY.to_vec(), |method| vec![method.clone()]);
        let sufficient = route.access().scope().map(sufficient).unwrap_or_default();
        let cases = Case::ALL.into_iter().chain(sufficient.iter().map(|scope| Case::Good(Some(scope))));
        let cases: Vec<_> = cases.filter(|case| case.is_for(route.access(), &sender)).collect();
        let path = filled(route.path(), routes);
        for method in methods {
            for case in &cases {
                let token = case.token(route.access(), tokens, &sender);
                let expected = case.expected(route.access());
                let headers = |sender: &Sender| case.headers(&method, &path, token.as_deref(), sender);
                let mut response = call(app.clone(), &method, &path, headers(&sender)).await;
                if sender.uses_nonce_of(&response) {
                    response = call(app.clone(), &method, &path, headers(&sender)).await;
                }
                let found = Found::of(response, route, &printed);
                if !found.is(&expected, route.access(), case.scheme(&sender)) {
                    let is_unbound = found.reason == Some(Reason::UnboundToken) && !sender.is_dpop();
                    let hint = if is_unbound { "; bound tokens are sent by `DpopTokens::of(..)`" } else { "" };
                    failures
                        .push(format!("{method} {}, {case}: expected {expected}, found {found}{hint}", route.path()));
                }
            }
        }
    }
    for (method, path) in unlisted_methods(routes).into_iter().filter(|(_, path)| printed.has(path)) {
        let status = call(app.clone(), &method, &filled(path, routes), HeaderMap::new()).await.status();
        if !matches!(status.as_u16(), 401 | 403 | 404 | 405 | 501) {
            failures.push(format!(
                "{method} {path}: the router has this route, and the list of routes has not: {} without a token",
                status.as_u16()
            ));
        }
    }
    if let Some(path) = printed.path_of_nothing(routes) {
        let status = call(app, &Method::GET, path, HeaderMap::new()).await.status();
        if status.is_success() {
            failures.push(format!(
                "GET {path}: no route of the list has this path, and the answer without a token is {}: list the fallback, as `/*`",
                status.as_u16()
            ));
        }
    }
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
}

/// The methods of listed paths that are not listed.
fn unlisted_methods(routes: &Routes) -> Vec<(Method, &str)> {
    let mut unlisted: Vec<(Method, &str)> = Vec::new();
    for path in routes.iter().map(RouteInfo::path) {
        let of_path = || routes.iter().filter(|route| route.path() == path);
        // As in axum, `GET` answers `HEAD`.
        let is_listed = |method: &Method| {
            let is_head = |route: &RouteInfo| {
                *method == Method::HEAD && route.method() == Some(&Method::GET) && route.access().admits_anonymous()
            };
            of_path().any(|route| route.method().is_none_or(|listed| listed == method) || is_head(route))
        };
        if !unlisted.iter().any(|(_, known)| *known == path) {
            unlisted.extend(OTHERS.into_iter().filter(|method| !is_listed(method)).map(|method| (method, path)));
        }
    }
    unlisted
}

/// The scopes that suffice besides the one of a challenge: with each scope that the policy mentions, the least that it needs.
fn sufficient(policy: &ScopePolicy) -> Vec<String> {
    let mentioned = policy.scopes();
    let mut sufficient = vec![policy.challenge()];
    for scope in &mentioned {
        let mut least = mentioned.clone();
        for other in mentioned.iter().filter(|other| other != &scope) {
            let without: Vec<_> = least.iter().copied().filter(|kept| kept != other).collect();
            if policy.is_satisfied_by(&Scope::parse(&joined(&without)), &ExactScopes) {
                least = without;
            }
        }
        let least = joined(&least);
        if !sufficient.contains(&least) {
            sufficient.push(least);
        }
    }
    sufficient.split_off(1)
}

fn joined(scopes: &[&ScopeToken]) -> String {
    scopes.iter().map(|scope| scope.as_str()).collect::<Vec<_>>().join(" ")
}

async fn call<S, B>(mut app: S, method: &Method, path: &str, headers: HeaderMap) -> Response<B>
where
    S: Service<Request<Empty<Bytes>>, Response = Response<B>, Error: fmt::Debug>,
{
    let request = Request::builder().method(method).uri(path).body(Empty::new());
    let mut request = request.unwrap_or_else(|error| panic!("{path} is no path: {error}"));
    *request.headers_mut() = headers;
    let ready = poll_fn(|context| app.poll_ready(context)).await;
    ready.unwrap_or_else(|error| panic!("the service is not ready: {error:?}"));
    app.call(request).await.unwrap_or_else(|error| panic!("{method} {path} failed: {error:?}"))
}

/// A request that each route gets.
#[derive(Clone, Copy)]
enum Case<'a> {
    NoToken,
    Garbage,
    Expired,
    AnotherAudience,
    NoScope,
    /// A good bearer token, where a bound one is required.
    Unbound,
    /// With the scope that the challenge names, or another that suffices.
    Good(Option<&'a str>),
}

impl Case<'_> {
    const ALL: [Self; 7] = [
        Self::NoToken,
        Self::Garbage,
        Self::Expired,
        Self::AnotherAudience,
        Self::NoScope,
        Self::Unbound,
        Self::Good(None),
    ];

    /// Whether the sender can make this request to a route with this access.
    fn is_for(self, access: &Access, sender: &Sender) -> bool {
        let required = access.required_bindings();
        match self {
            Self::Unbound => sender.is_dpop() && !required.is_empty(),
            Self::NoScope | Self::Good(_) if sender.is_dpop() => {
                required.is_empty() || required.contains(&ConfirmationMethod::Dpop)
            }
            _ => true,
        }
    }

    fn token(self, access: &Access, tokens: &(impl TokenSource + ?Sized), sender: &Sender) -> Option<String> {
        let scope = access.scope().map(|policy| policy.challenge()).unwrap_or_default();
        let of_scope = |scope: &str| tokens.token().scope(scope);
        let bound = match self {
            Self::NoToken => return None,
            Self::Garbage => return Some("e30.e30.e30".to_owned()),
            Self::Unbound => return Some(of_scope(&scope).issue()),
            Self::Expired => of_scope(&scope).expired(),
            Self::AnotherAudience => of_scope(&scope).audience("https://another.example"),
            Self::NoScope => of_scope("a-scope-that-no-route-requires"),
            Self::Good(other) => of_scope(other.unwrap_or(&scope)),
        };
        Some(sender.bind(bound).issue())
    }

    fn headers(self, method: &Method, path: &str, token: Option<&str>, sender: &Sender) -> HeaderMap {
        match (self, token) {
            (_, None) => HeaderMap::new(),
            (Self::Unbound, Some(token)) => bearer(token),
            (_, Some(token)) => sender.headers(method, path, token),
        }
    }

    /// The scheme whose challenge has the error.
    fn scheme(self, sender: &Sender) -> &'static str {
        if matches!(self, Self::Unbound) { BEARER } else { sender.scheme() }
    }

    fn expected(self, access: &Access) -> Expected {
        match self {
            _ if access.is_public() => Expected::Reached,
            Self::NoToken if access.admits_anonymous() => Expected::Reached,
            Self::NoToken => Expected::Challenge,
            Self::Garbage | Self::Expired | Self::AnotherAudience | Self::Unbound => Expected::InvalidToken,
            Self::NoScope => match access.scope() {
                Some(policy) => Expected::InsufficientScope(policy.challenge()),
                None => Expected::Reached,
            },
            Self::Good(_) => Expected::Reached,
        }
    }
}

impl fmt::Display for Case<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Good(Some(scope)) => return write!(f, "with a good token of scope {scope:?}"),
            Self::NoToken => "without a token",
            Self::Garbage => "with garbage for a token",
            Self::Expired => "with an expired token",
            Self::AnotherAudience => "with a token for another audience",
            Self::NoScope => "with a good token without the scope",
            Self::Unbound => "with a good token that is not bound",
            Self::Good(None) => "with a good token",
        })
    }
}

enum Expected {
    Reached,
    Challenge,
    InvalidToken,
    InsufficientScope(String),
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reached => f.write_str("the handler"),
            Self::Challenge => f.write_str("401 with a challenge without an error"),
            Self::InvalidToken => f.write_str("401 with the error `invalid_token`"),
            Self::InsufficientScope(scope) => {
                write!(f, "403 with the error `insufficient_scope` and scope=\"{scope}\"")
            }
        }
    }
}

/// What a request got.
struct Found {
    status: StatusCode,
    challenges: Vec<String>,
    reason: Option<Reason>,
    is_missing: bool,
}

impl Found {
    fn of<B>(response: Response<B>, route: &RouteInfo, printed: &Printed) -> Self {
        let status = response.status();
        // A handler may answer 404 itself, where it does not know what a parameter or a subject names, and a service for every
        // method 405.
        let is_missing = match status {
            StatusCode::METHOD_NOT_ALLOWED => route.method().is_some(),
            StatusCode::NOT_FOUND => !route.path().contains(['{', '*']) && !printed.has(route.path()),
            _ => false,
        };
        Self {
            status,
            challenges: challenges(response.headers()),
            reason: response.extensions().get().copied(),
            is_missing,
        }
    }

    /// Whether it is what was expected, with the error, if any, in the challenge of this scheme.
    fn is(&self, expected: &Expected, access: &Access, scheme: &str) -> bool {
        let own = self.challenges.iter().find(|challenge| challenge.starts_with(&format!("{scheme} ")));
        let has = |text: &str| own.is_some_and(|challenge| challenge.contains(text));
        match expected {
            Expected::Reached => {
                let is_refusal = matches!(self.status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN);
                let is_challenged = !self.challenges.is_empty() && (is_refusal || !access.is_public());
                let by_policy = self.reason == Some(Reason::PolicyNotMet) && access.policies().next().is_some();
                by_policy || self.reason.is_none() && !is_challenged && !self.is_missing
            }
            Expected::Challenge => {
                let has_error = self.challenges.iter().any(|challenge| challenge.contains("error="));
                self.status == StatusCode::UNAUTHORIZED && has("") && !has_error
            }
            Expected::InvalidToken => self.status == StatusCode::UNAUTHORIZED && has("error=\"invalid_token\""),
            Expected::InsufficientScope(scope) => {
                self.status == StatusCode::FORBIDDEN
                    && has("error=\"insufficient_scope\"")
                    && has(&format!("scope=\"{scope}\""))
            }
        }
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.status.as_u16())?;
        match self.challenges.as_slice() {
            [] if self.is_missing => f.write_str(", so that there is no such route")?,
            [] => f.write_str(" without a challenge")?,
            challenges => write!(f, " with {}", challenges.join(" and "))?,
        }
        self.reason.map_or(Ok(()), |reason| write!(f, " ({})", reason.as_str()))
    }
}

fn challenges(headers: &HeaderMap) -> Vec<String> {
    let values = headers.get_all(WWW_AUTHENTICATE).iter();
    values.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()).collect()
}
