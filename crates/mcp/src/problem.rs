//! Responses to requests that are no messages of MCP. They say nothing about the token, so they have no challenge.

use bytes::Bytes;
use http::{
    HeaderValue, Response, StatusCode,
    header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE},
};

use crate::{body::McpResponseBody, message::Malformed};

/// What is wrong with a request, or with the response to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Problem {
    /// The client went away while it sent the body, or broke the protocol.
    Incomplete,
    Malformed(Malformed),
    Method,
    ResumedOutsideOfSession,
    SeveralSessions,
    TooLarge,
    UnknownSession,
    UnreadableResponse,
    UnsupportedType,
}

impl Problem {
    fn status(self) -> StatusCode {
        match self {
            Self::Incomplete | Self::Malformed(_) | Self::SeveralSessions => StatusCode::BAD_REQUEST,
            Self::Method | Self::ResumedOutsideOfSession => StatusCode::METHOD_NOT_ALLOWED,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnknownSession => StatusCode::NOT_FOUND,
            Self::UnreadableResponse => StatusCode::INTERNAL_SERVER_ERROR,
            Self::UnsupportedType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::Incomplete => "the body is incomplete",
            Self::Malformed(malformed) => malformed.title(),
            Self::Method => "the method is not POST, GET or DELETE",
            Self::ResumedOutsideOfSession => "a stream is resumed within a session alone",
            Self::SeveralSessions => "the request has more than one session id",
            Self::TooLarge => "the body is too large",
            Self::UnknownSession => "there is no such session",
            Self::UnreadableResponse => "the response of the MCP server cannot be passed on",
            Self::UnsupportedType => "the body is not application/json in UTF-8 without a content coding",
        }
    }

    /// The response, with a problem document (RFC 9457).
    pub(crate) fn respond<B>(self) -> Response<McpResponseBody<B>> {
        let status = self.status();
        if self != Self::UnreadableResponse {
            tracing::debug!(target: "scopegate", status = status.as_u16(), "{}", self.title());
        }
        let document = format!("{{\"title\":\"{}\",\"status\":{}}}", self.title(), status.as_u16());
        let mut response = Response::new(McpResponseBody::whole(Bytes::from(document)));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        match self {
            Self::Method => drop(headers.insert(ALLOW, HeaderValue::from_static("GET, POST, DELETE"))),
            // Clients know by this status that there is no stream, and go on without one.
            Self::ResumedOutsideOfSession => drop(headers.insert(ALLOW, HeaderValue::from_static("POST, DELETE"))),
            _ => {}
        }
        response
    }
}
