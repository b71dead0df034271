use axum::{Router, body::Body};
use http::{Extensions, HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, header::AUTHORIZATION};
use http_body_util::BodyExt as _;
use scopegate_core::Reason;
use tower::ServiceExt as _;

use crate::keep_secret;

/// Builds a request.
#[derive(Debug)]
pub struct Ask {
    method: Method,
    uri: String,
    headers: HeaderMap,
    extensions: Extensions,
    body: Body,
}

impl Ask {
    /// A `GET` of this path.
    pub fn get(uri: impl Into<String>) -> Self {
        Self::with_method(Method::GET, uri)
    }

    /// A request with this method.
    pub fn with_method(method: Method, uri: impl Into<String>) -> Self {
        Self { method, uri: uri.into(), headers: HeaderMap::new(), extensions: Extensions::new(), body: Body::empty() }
    }

    /// Sets `Authorization: Bearer`.
    pub fn bearer(self, token: impl AsRef<str>) -> Self {
        self.authorization(format!("Bearer {}", token.as_ref()))
    }

    /// Sets `Authorization: DPoP` and the proof.
    pub fn dpop(self, token: impl AsRef<str>, proof: impl AsRef<[u8]>) -> Self {
        self.dpop_without_proof(token).header("dpop", proof)
    }

    /// Sets `Authorization: DPoP` alone.
    pub fn dpop_without_proof(self, token: impl AsRef<str>) -> Self {
        self.authorization(format!("DPoP {}", token.as_ref()))
    }

    /// Appends an `Authorization` field line.
    pub fn authorization(self, value: impl AsRef<[u8]>) -> Self {
        self.header("authorization", value)
    }

    /// Appends a field line.
    pub fn header(mut self, name: &'static str, value: impl AsRef<[u8]>) -> Self {
        let value = HeaderValue::from_bytes(value.as_ref()).expect("a header value");
        self.headers.append(HeaderName::from_static(name), value);
        self
    }

    /// Adds an extension, as a layer or an acceptor further out does.
    pub fn extension<T: Clone + Send + Sync + 'static>(mut self, extension: T) -> Self {
        self.extensions.insert(extension);
        self
    }

    /// Sets the body.
    pub fn body(mut self, body: impl Into<Body>) -> Self {
        self.body = body.into();
        self
    }

    /// The request. Its credentials are [kept secret](keep_secret).
    pub fn request(self) -> Request<Body> {
        self.headers.get_all(AUTHORIZATION).iter().chain(self.headers.get_all("dpop")).for_each(keep_secret);
        let mut request = Request::builder().method(self.method).uri(self.uri).body(self.body).expect("a request");
        *request.headers_mut() = self.headers;
        *request.extensions_mut() = self.extensions;
        request
    }

    /// Sends the request to `router`.
    pub async fn of(self, router: &Router) -> Answer {
        let response = router.clone().oneshot(self.request()).await.expect("axum services are infallible");
        let (parts, body) = response.into_parts();
        let body = body.collect().await.expect("a body").to_bytes();
        Answer {
            status: parts.status,
            reason: parts.extensions.get::<Reason>().copied(),
            body: String::from_utf8_lossy(&body).into_owned(),
            headers: parts.headers,
        }
    }
}

/// A response.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body as text.
    pub body: String,
    /// The reason in the response extensions.
    pub reason: Option<Reason>,
}

impl Answer {
    /// The value of a field that has at most one line.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.get_all(name).iter();
        let value = values.next()?.to_str().expect("visible ASCII");
        assert!(values.next().is_none(), "more than one line of {name}");
        Some(value)
    }

    /// The whole challenge.
    pub fn challenge(&self) -> Option<&str> {
        self.header("www-authenticate")
    }

    /// The challenges, each in a field line of its own.
    pub fn challenges(&self) -> Vec<&str> {
        let values = self.headers.get_all("www-authenticate").iter();
        values.map(|value| value.to_str().expect("visible ASCII")).collect()
    }

    /// The challenge of this scheme. There is one at most.
    pub fn challenge_of(&self, scheme: &str) -> Option<&str> {
        let mut challenges =
            self.challenges().into_iter().filter(|challenge| challenge.starts_with(&format!("{scheme} ")));
        let challenge = challenges.next();
        assert_eq!(challenges.next(), None, "more than one challenge of {scheme}");
        challenge
    }

    /// The problem document.
    pub fn problem(&self) -> serde_json::Value {
        assert_eq!(self.header("content-type"), Some("application/problem+json"));
        serde_json::from_str(&self.body).expect("JSON")
    }

    /// Asserts that the request reached the handler.
    #[track_caller]
    pub fn assert_pass(&self) -> &Self {
        assert_eq!((self.status, self.challenge(), self.reason), (StatusCode::OK, None, None), "{self:?}");
        self
    }

    /// Asserts a 401 without an error code.
    #[track_caller]
    pub fn assert_401_bare(&self) -> &Self {
        let challenge = self.challenge().unwrap_or_else(|| panic!("no challenge: {self:?}"));
        assert_eq!(self.status, StatusCode::UNAUTHORIZED, "{self:?}");
        assert!(challenge.starts_with("Bearer realm=\"") && !challenge.contains("error"), "{challenge}");
        assert_eq!(self.reason, Some(Reason::MissingCredentials));
        self
    }

    /// Asserts a 401 with `invalid_token`.
    #[track_caller]
    pub fn assert_401_token(&self) -> &Self {
        self.assert_refusal(StatusCode::UNAUTHORIZED, "invalid_token")
    }

    /// Asserts a 401 with `invalid_token`, for this reason.
    #[track_caller]
    pub fn assert_401(&self, reason: Reason) -> &Self {
        assert_eq!(self.reason, Some(reason), "{self:?}");
        self.assert_401_token()
    }

    /// Asserts a 401 with `invalid_dpop_proof` in the challenge of DPoP and no error in others, for this reason.
    #[track_caller]
    pub fn assert_401_dpop(&self, reason: Reason) -> &Self {
        self.assert_error_under("DPoP", StatusCode::UNAUTHORIZED, "invalid_dpop_proof", reason)
    }

    /// Asserts a 401 with `invalid_token` in the challenge of this scheme and no error in others, for this reason.
    #[track_caller]
    pub fn assert_401_under(&self, scheme: &str, reason: Reason) -> &Self {
        self.assert_error_under(scheme, StatusCode::UNAUTHORIZED, "invalid_token", reason)
    }

    /// Asserts a 401 with `use_dpop_nonce` in the challenge of DPoP and no error in others. Returns the nonce.
    #[track_caller]
    pub fn assert_use_nonce(&self) -> &str {
        self.assert_error_under("DPoP", StatusCode::UNAUTHORIZED, "use_dpop_nonce", Reason::UseDpopNonce);
        self.header("dpop-nonce").unwrap_or_else(|| panic!("no nonce: {self:?}"))
    }

    /// Asserts that the challenge of this scheme has the error `code` and that of no other has any, for this reason, and that a
    /// challenge of DPoP names algorithms.
    #[track_caller]
    pub fn assert_error_under(&self, scheme: &str, status: StatusCode, code: &str, reason: Reason) -> &Self {
        assert_eq!((self.status, self.reason), (status, Some(reason)), "{self:?}");
        assert_eq!(self.header("cache-control"), Some("no-store"), "{self:?}");
        let own = self.challenge_of(scheme).unwrap_or_else(|| panic!("no challenge of {scheme}: {self:?}"));
        assert!(own.contains(&format!("error=\"{code}\"")), "{own}");
        for challenge in self.challenges() {
            assert!(challenge == own || !challenge.contains("error"), "{challenge}");
            assert_eq!(challenge.contains("algs=\""), challenge.starts_with("DPoP "), "{challenge}");
        }
        self
    }

    /// Asserts a 400 with `invalid_request`.
    #[track_caller]
    pub fn assert_400(&self) -> &Self {
        self.assert_refusal(StatusCode::BAD_REQUEST, "invalid_request")
    }

    /// Asserts a 403 with `insufficient_scope` that names `scope`.
    #[track_caller]
    pub fn assert_403(&self, scope: &str) -> &Self {
        self.assert_refusal(StatusCode::FORBIDDEN, "insufficient_scope");
        assert!(
            self.challenge().is_some_and(|challenge| challenge.contains(&format!("scope=\"{scope}\""))),
            "{self:?}"
        );
        self
    }

    /// Asserts a 503 that says nothing about the token.
    #[track_caller]
    pub fn assert_503(&self) -> &Self {
        assert_eq!((self.status, self.challenge()), (StatusCode::SERVICE_UNAVAILABLE, None), "{self:?}");
        assert!(self.header("retry-after").is_some_and(|seconds| seconds.parse::<u64>().is_ok()), "{self:?}");
        self
    }

    /// Asserts the 500 of a misconfigured service.
    #[track_caller]
    pub fn assert_500(&self) -> &Self {
        assert_eq!((self.status, self.challenge()), (StatusCode::INTERNAL_SERVER_ERROR, None), "{self:?}");
        assert_eq!(self.reason, Some(Reason::MissingAuthenticateLayer));
        self
    }

    #[track_caller]
    fn assert_refusal(&self, status: StatusCode, code: &str) -> &Self {
        let challenge = self.challenge().unwrap_or_else(|| panic!("no challenge: {self:?}"));
        assert_eq!(self.status, status, "{self:?}");
        assert!(challenge.contains(&format!("error=\"{code}\"")), "{challenge}");
        self
    }
}
