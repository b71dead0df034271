use std::fmt;

use http::{Extensions, HeaderMap, Method, Request, Uri, request::Parts};

/// A request without its body, borrowed: the input of authentication.
///
/// ```
/// use http::Request;
/// use scopegate_core::RequestHead;
///
/// let request = Request::get("https://api.example/messages").body(())?;
/// assert_eq!(RequestHead::from(&request).uri().path(), "/messages");
/// let (parts, _body) = request.into_parts();
/// assert_eq!(RequestHead::from(&parts).uri().path(), "/messages");
/// # Ok::<(), http::Error>(())
/// ```
#[derive(Clone, Copy)]
pub struct RequestHead<'r> {
    method: &'r Method,
    uri: &'r Uri,
    headers: &'r HeaderMap,
    extensions: &'r Extensions,
    /// The target as the client sent it, where a router has taken a prefix off.
    original_uri: &'r Uri,
}

impl<'r> RequestHead<'r> {
    pub(crate) fn new(method: &'r Method, uri: &'r Uri, headers: &'r HeaderMap, extensions: &'r Extensions) -> Self {
        Self { method, uri, headers, extensions, original_uri: uri }
    }

    /// The method.
    pub fn method(self) -> &'r Method {
        self.method
    }

    /// The target.
    pub fn uri(self) -> &'r Uri {
        self.uri
    }

    /// The target as the client sent it: what [`with_original_uri`](Self::with_original_uri) named, or else
    /// [`uri`](Self::uri).
    pub fn original_uri(self) -> &'r Uri {
        self.original_uri
    }

    /// Names the target as the client sent it, where a router has taken a prefix off its path. A proof of possession is for that
    /// one.
    #[must_use]
    pub fn with_original_uri(self, uri: &'r Uri) -> Self {
        Self { original_uri: uri, ..self }
    }

    /// The header fields.
    pub fn headers(self) -> &'r HeaderMap {
        self.headers
    }

    /// The extensions that outer layers have inserted.
    pub fn extensions(self) -> &'r Extensions {
        self.extensions
    }
}

impl<'r> From<&'r Parts> for RequestHead<'r> {
    fn from(parts: &'r Parts) -> Self {
        Self {
            method: &parts.method,
            uri: &parts.uri,
            headers: &parts.headers,
            extensions: &parts.extensions,
            original_uri: &parts.uri,
        }
    }
}

impl<'r, B> From<&'r Request<B>> for RequestHead<'r> {
    fn from(request: &'r Request<B>) -> Self {
        Self {
            method: request.method(),
            uri: request.uri(),
            headers: request.headers(),
            extensions: request.extensions(),
            original_uri: request.uri(),
        }
    }
}

/// Shows the method and the path. Query and header fields may hold secrets.
impl fmt::Debug for RequestHead<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestHead")
            .field("method", self.method)
            .field("path", &self.uri.path())
            .finish_non_exhaustive()
    }
}
