use std::fmt;

use axum_core::{
    body::Body,
    response::{IntoResponse, Response},
};
use http::request::Parts;
use scopegate_core::{Authentication, Error, Reason};
use scopegate_tower::refusal::{Refusal, ResponseForm};

/// The refusal of an extractor: the same response, log event and observation that the layers produce.
pub struct Rejection {
    reason: Reason,
    response: Box<Response>,
}

impl Rejection {
    /// Refuses a request for `error`; the challenge names the `required` scope.
    pub(crate) fn new(request: &Parts, error: &Error, required: Option<&str>) -> Self {
        let authentication = request.extensions.get::<Authentication>();
        let refusal = Refusal::new(error).after(authentication).to(request).requiring(required);
        let form = ResponseForm::of(request, authentication.and_then(Authentication::protection_space));
        Self { reason: error.reason(), response: Box::new(refusal.respond::<Body>(form).map(Body::new)) }
    }

    /// Why the request was refused, for the application's log or metrics.
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
