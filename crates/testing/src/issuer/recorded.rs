use std::fmt;

use bytes::Bytes;
use http::{HeaderMap, Method};

use super::form::Received;

/// A received request. Taken by [`TestIssuer::last_introspection`](crate::TestIssuer::last_introspection).
///
/// It contains everything that the client sent, including the token and the client's secret. Its `Debug` omits header values,
/// query and body.
#[derive(Clone)]
pub struct RecordedRequest {
    method: Method,
    path_and_query: String,
    headers: HeaderMap,
    body: Bytes,
}

impl RecordedRequest {
    pub(super) fn of(request: &Received) -> Self {
        let path_and_query = request.uri().path_and_query();
        Self {
            method: request.method().clone(),
            path_and_query: path_and_query.map(ToString::to_string).unwrap_or_default(),
            headers: request.headers().clone(),
            body: request.body().clone().unwrap_or_default(),
        }
    }

    /// The method.
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// Path and query, from the request line.
    pub fn path_and_query(&self) -> &str {
        &self.path_and_query
    }

    /// The headers.
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The body. Empty where it could not be read or was too long.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// The parameters of the form in the body, in order, decoded.
    pub fn parameters(&self) -> impl Iterator<Item = (String, String)> {
        form_urlencoded::parse(&self.body).into_owned()
    }
}

impl fmt::Debug for RecordedRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path_and_query.split('?').next().unwrap_or_default();
        f.debug_struct("RecordedRequest")
            .field("method", &self.method)
            .field("path", &path)
            .field("headers", &self.headers.keys().collect::<Vec<_>>())
            .field("body", &format_args!("[redacted]"))
            .finish()
    }
}
