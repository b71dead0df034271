use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header::WWW_AUTHENTICATE};
use http_body_util::Full;
use serde_json::json;

use super::{responses::json_response, site::Site};

/// An error of [RFC 6749, section 5.2](https://www.rfc-editor.org/rfc/rfc6749#section-5.2), or `invalid_token` of [RFC 6750,
/// section 3.1](https://www.rfc-editor.org/rfc/rfc6750#section-3.1).
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    error: &'static str,
    description: &'static str,
}

impl Refusal {
    pub(super) const fn invalid_request(description: &'static str) -> Self {
        Self::bad("invalid_request", description)
    }

    pub(super) const fn invalid_client(description: &'static str) -> Self {
        Self { status: StatusCode::UNAUTHORIZED, error: "invalid_client", description }
    }

    pub(super) const fn invalid_token(description: &'static str) -> Self {
        Self { status: StatusCode::UNAUTHORIZED, error: "invalid_token", description }
    }

    pub(super) const fn bad(error: &'static str, description: &'static str) -> Self {
        Self { status: StatusCode::BAD_REQUEST, error, description }
    }

    pub(super) const fn server_error(description: &'static str) -> Self {
        Self { status: StatusCode::INTERNAL_SERVER_ERROR, error: "server_error", description }
    }

    pub(super) fn response(&self, site: &Site) -> Response<Full<Bytes>> {
        let body = json!({ "error": self.error, "error_description": self.description });
        let mut response = json_response(self.status, &body);
        if self.status == StatusCode::UNAUTHORIZED {
            let challenge = match self.error {
                "invalid_token" => format!("Bearer realm=\"{}\", error=\"invalid_token\"", site.issuer),
                _ => format!("Basic realm=\"{}\", charset=\"UTF-8\"", site.issuer),
            };
            let challenge =
                HeaderValue::try_from(challenge).expect("an issuer's path has no character that needs quoting");
            response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
        }
        response
    }
}
