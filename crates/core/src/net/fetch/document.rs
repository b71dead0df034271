use std::{error::Error as StdError, fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, Uri, header::RETRY_AFTER};

use super::{Fetch, FetchError, FetchLimits, headers};
use crate::clock::{Clock, timeout};

/// Fetches documents. Enforces the limits as well as the client does.
#[derive(Clone)]
pub(crate) struct Documents {
    pub(crate) fetch: Arc<dyn Fetch>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) limits: FetchLimits,
    pub(crate) user_agent: HeaderValue,
}

impl Documents {
    /// The headers of a request for a document of these media types.
    pub(crate) fn headers(&self, media_types: &'static str) -> HeaderMap {
        headers(&self.user_agent, media_types)
    }

    /// The response to a `GET`: a 200 or, for a conditional request, a 304.
    pub(crate) async fn get(&self, url: &Uri, headers: HeaderMap) -> Result<Response<Bytes>, DocumentError> {
        let mut request = Request::new(Bytes::new());
        *request.uri_mut() = url.clone();
        *request.headers_mut() = headers;

        let answer = self.fetch.fetch(request, self.limits.clone());
        let response = timeout(&*self.clock, self.limits.deadline, answer)
            .await
            .unwrap_or_else(|| Err(FetchError::timed_out()))?;
        match response.status() {
            // KEY-13: neither a longer body nor a redirect.
            StatusCode::OK if response.body().len() > self.limits.body => Err(FetchError::body_too_large().into()),
            StatusCode::OK | StatusCode::NOT_MODIFIED => Ok(response),
            StatusCode::NOT_FOUND => Err(DocumentError::NotFound),
            status => Err(DocumentError::Status { status, retry_after: retry_after(response.headers()) }),
        }
    }
}

/// The seconds of a `Retry-After` (RFC 9110 §10.2.3). A date is ignored, since it depends on the clocks of two machines.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let digits = !seconds.is_empty() && seconds.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| Duration::from_secs(seconds.parse().unwrap_or(u64::MAX)))
}

/// Why there is no document.
#[derive(Clone, Debug)]
pub(crate) enum DocumentError {
    Fetch(Arc<FetchError>),
    NotFound,
    Status { status: StatusCode, retry_after: Option<Duration> },
}

impl DocumentError {
    /// The `Retry-After` of the response.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Status { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

impl From<FetchError> for DocumentError {
    fn from(error: FetchError) -> Self {
        Self::Fetch(Arc::new(error))
    }
}

impl fmt::Display for DocumentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fetch(error) if error.is_about_answer() => write!(f, "{error}, which is `max_document`"),
            Self::Fetch(error) => error.fmt(f),
            Self::NotFound => f.write_str("there is no document at the expected address"),
            Self::Status { status, .. } => write!(f, "the answer has the status {status}"),
        }
    }
}

impl StdError for DocumentError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Fetch(error) => error.source(),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn k_13_retry_after_is_read_as_seconds() {
        let read =
            |value: &'static str| retry_after(&HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_static(value))]));
        assert_eq!(read("7"), Some(Duration::from_secs(7)));
        assert_eq!(read(" 120 "), Some(Duration::from_secs(120)));
        assert_eq!(read("99999999999999999999999"), Some(Duration::from_secs(u64::MAX)));
        for other in ["", "-1", "+1", "1.5", "soon", "Wed, 21 Oct 2026 07:28:00 GMT"] {
            assert_eq!(read(other), None, "{other}");
        }
        assert_eq!(retry_after(&HeaderMap::new()), None);
    }
}
