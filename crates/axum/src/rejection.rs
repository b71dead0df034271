use std::fmt;

use axum_core::{
    body::Body,
    response::{IntoResponse, Response},
};
use http::request::Parts;
use scopegate_core::{Authentication, Error, Reason};
use scopegate_tower::refusal::{Refusal, ResponseForm};

/// Why an extractor of this crate gave the handler nothing: a refusal, worded like those of the layers.
pub struct Rejection {
    reason: Reason,
    response: Box<Response>,
}

impl Rejection {
    /// Refuses a request for `error`, naming the scope that the handler needs where it needs one.
    pub(crate) fn new(request: &Parts, error: &Error, required: Option<&str>) -> Self {
        let authentication = request.extensions.get::<Authentication>();
        let refusal = Refusal::new(error).after(authentication).to(request).requiring(required);
        let form = ResponseForm::of(request, authentication.and_then(Authentication::protection_space));
        Self { reason: error.reason(), response: Box::new(refusal.respond::<Body>(form).map(Body::new)) }
    }

    /// The reason.
    pub fn reason(&self) -> Reason {
        self.reason
    }
}

impl IntoResponse for Rejection {
    fn into_response(self) -> Response {
        *self.response
    }
}

impl fmt::Debug for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rejection").field("reason", &self.reason).field("status", &self.response.status()).finish()
    }
}
