//! What an endpoint answers when it cannot do what was asked.

use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde_json::json;

/// A status, and what to do. Never made of text of a request.
#[derive(Debug)]
pub(crate) struct Failure {
    status: StatusCode,
    remedy: &'static str,
}

impl Failure {
    pub(crate) const fn new(status: StatusCode, remedy: &'static str) -> Self {
        Self { status, remedy }
    }

    pub(crate) const fn bad_request(remedy: &'static str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, remedy)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        (self.status, Json(json!({ "error": self.remedy }))).into_response()
    }
}
