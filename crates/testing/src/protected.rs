//! Whether every route of a service is protected as its list of routes says.

use std::{
    collections::BTreeSet,
    fmt::{self, Write as _},
    future::poll_fn,
};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode, header::WWW_AUTHENTICATE};
use http_body_util::Empty;
use scopegate_core::{Access, Reason, RouteInfo, Routes};
use tower_service::Service;

use crate::{Mint, TestIssuer, TokenBuilder};

/// Makes the tokens of [`assert_protected`]: a [`TestIssuer`], a [`Mint`], or a function, for tokens of another
/// [`Shape`](crate::Shape).
pub trait TokenSource {
    /// Starts a token that the service accepts.
    fn token(&self) -> TokenBuilder;
}

impl TokenSource for TestIssuer {
    fn token(&self) -> TokenBuilder {
        Self::token(self)
    }
}

impl TokenSource for Mint {
    fn token(&self) -> TokenBuilder {
        Self::token(self)
    }
}

impl<F: Fn() -> TokenBuilder> TokenSource for F {
    fn token(&self) -> TokenBuilder {
        self()
    }
}

/// Asserts that every route is protected as `routes` says, and that an axum router has no others.
///
/// Each method of each route is called without a token, with garbage, with an expired token, with one for another audience,
/// with one without the scope, and with a good one. What the handler answers does not matter, only whether it was reached.
///
/// | access | no token | garbage, expired, another audience | no scope | good |
/// |---|---|---|---|---|
/// | public | reached | reached | reached | reached |
/// | optional | reached | 401 `invalid_token` | reached | reached |
/// | authenticated | 401 without an error code | 401 `invalid_token` | reached | reached |
/// | a scope | 401 without an error code | 401 `invalid_token` | 403 `insufficient_scope` with the scope | reached |
///
/// `app` is the whole service, such as an axum `Router`; its handlers run. Parameters of a path are filled with `1`. Where
/// `app` prints its paths, as a `Router` does, a path that `routes` does not have is a failure, too.
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
    let mut failures = unlisted(&format!("{app:?}"), routes);
    for route in routes.iter() {
        let methods = route.method().map_or(vec![Method::GET, Method::POST], |method| vec![method.clone()]);
        for method in methods {
            for case in Case::ALL {
                let (expected, found) = (
                    case.expected(route.access()),
                    Found::of(call(app.clone(), &method, route, case.token(route.access(), tokens)).await, route),
                );
                if !found.is(&expected, route.access()) {
                    failures.push(format!("{method} {}, {case}: expected {expected}, found {found}", route.path()));
                }
            }
        }
    }
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
}

async fn call<S, B>(mut app: S, method: &Method, route: &RouteInfo, token: Option<String>) -> Response<B>
where
    S: Service<Request<Empty<Bytes>>, Response = Response<B>, Error: fmt::Debug>,
{
    let mut request = Request::builder().method(method).uri(filled(route.path()));
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    let request = request.body(Empty::new()).unwrap_or_else(|error| panic!("{} is no path: {error}", route.path()));
    let ready = poll_fn(|context| app.poll_ready(context)).await;
    ready.unwrap_or_else(|error| panic!("the service is not ready: {error:?}"));
    app.call(request).await.unwrap_or_else(|error| panic!("{method} {} failed: {error:?}", route.path()))
}

/// The path with its parameters filled.
fn filled(path: &str) -> String {
    let mut filled = String::new();
    for segment in path.split('/').skip(1) {
        let literal = if segment == "*" { "1" } else { segment };
        filled.push('/');
        match (literal.find('{'), literal.rfind('}')) {
            (Some(begin), Some(end)) if !literal.contains("{{") => {
                let _ = write!(filled, "{}1{}", &literal[..begin], &literal[end + 1..]);
            }
            _ => filled.push_str(&literal.replace("{{", "{").replace("}}", "}")),
        }
    }
    filled
}

/// A request that each route gets.
#[derive(Clone, Copy)]
enum Case {
    NoToken,
    Garbage,
    Expired,
    AnotherAudience,
    NoScope,
    Good,
}

impl Case {
    const ALL: [Self; 6] =
        [Self::NoToken, Self::Garbage, Self::Expired, Self::AnotherAudience, Self::NoScope, Self::Good];

    fn token(self, access: &Access, tokens: &(impl TokenSource + ?Sized)) -> Option<String> {
        let scope = access.scope().map(|policy| policy.challenge()).unwrap_or_default();
        let good = || tokens.token().scope(&*scope);
        Some(match self {
            Self::NoToken => return None,
            Self::Garbage => "e30.e30.e30".to_owned(),
            Self::Expired => good().expired().issue(),
            Self::AnotherAudience => good().audience("https://another.example").issue(),
            Self::NoScope => tokens.token().scope("a-scope-that-no-route-requires").issue(),
            Self::Good => good().issue(),
        })
    }

    fn expected(self, access: &Access) -> Expected {
        match self {
            _ if access.is_public() => Expected::Reached,
            Self::NoToken if access.admits_anonymous() => Expected::Reached,
            Self::NoToken => Expected::Challenge,
            Self::Garbage | Self::Expired | Self::AnotherAudience => Expected::InvalidToken,
            Self::NoScope => match access.scope() {
                Some(policy) => Expected::InsufficientScope(policy.challenge()),
                None => Expected::Reached,
            },
            Self::Good => Expected::Reached,
        }
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoToken => "without a token",
            Self::Garbage => "with garbage for a token",
            Self::Expired => "with an expired token",
            Self::AnotherAudience => "with a token for another audience",
            Self::NoScope => "with a good token without the scope",
            Self::Good => "with a good token",
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
    challenge: Option<String>,
    reason: Option<Reason>,
    is_missing: bool,
}

impl Found {
    fn of<B>(response: Response<B>, route: &RouteInfo) -> Self {
        let status = response.status();
        // A handler may answer 404 itself, where it does not know what a parameter names.
        let may_be_missing = !route.path().contains(['{', '*']);
        Self {
            status,
            challenge: challenge(response.headers()),
            reason: response.extensions().get().copied(),
            is_missing: status == StatusCode::METHOD_NOT_ALLOWED || may_be_missing && status == StatusCode::NOT_FOUND,
        }
    }

    fn is(&self, expected: &Expected, access: &Access) -> bool {
        let challenge = self.challenge.as_deref().unwrap_or_default();
        let has = |text: &str| challenge.starts_with("Bearer ") && challenge.contains(text);
        match expected {
            Expected::Reached => {
                let is_refused = matches!(self.status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN);
                let is_challenged = self.challenge.is_some() && !access.is_public();
                self.reason.is_none() && !is_refused && !is_challenged && !self.is_missing
            }
            Expected::Challenge => self.status == StatusCode::UNAUTHORIZED && has("") && !challenge.contains("error="),
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
        match &self.challenge {
            Some(challenge) => write!(f, " with {challenge}")?,
            None if self.is_missing => f.write_str(", so that there is no such route")?,
            None => f.write_str(" without a challenge")?,
        }
        self.reason.map_or(Ok(()), |reason| write!(f, " ({})", reason.as_str()))
    }
}

fn challenge(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(WWW_AUTHENTICATE)?;
    Some(String::from_utf8_lossy(value.as_bytes()).into_owned())
}

/// The paths that a printed axum router has and `routes` does not.
fn unlisted(printed: &str, routes: &Routes) -> Vec<String> {
    let listed: BTreeSet<&str> = routes.iter().map(RouteInfo::path).collect();
    let below = |path: &str| routes.iter().any(|route| route.path().strip_suffix("/*") == Some(path));
    // What follows are the paths of fallbacks.
    let printed = printed.split_once("fallback_router").map_or(printed, |(before, _)| before);
    let paths: BTreeSet<&str> = printed
        .split("RouteId(")
        .skip(1)
        .filter_map(|rest| rest.split_once("): \"")?.1.split_once('"'))
        .map(|(path, _)| path)
        // Of these axum makes several for a nested service.
        .filter(|path| !path.contains("__private__axum"))
        .collect();
    paths
        .into_iter()
        .filter(|path| !listed.contains(path) && !below(path.strip_suffix('/').unwrap_or(path)))
        .map(|path| format!("{path}: the router has this path, and the list of routes has not"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_of_a_path_are_filled() {
        for (path, expected) in [
            ("/", "/"),
            ("/a/b", "/a/b"),
            ("/a/{id}", "/a/1"),
            ("/a/{id}.json", "/a/1.json"),
            ("/{a}/b/{*rest}", "/1/b/1"),
            ("/files/*", "/files/1"),
            ("/a/{{b}}", "/a/{b}"),
        ] {
            assert_eq!(filled(path), expected, "{path}");
        }
    }
}
