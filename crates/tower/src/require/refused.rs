//! The response to a request that a requirement refuses.

use http::{Extensions, Request, Response, StatusCode};
use scopegate_core::{Authentication, Error, Reason};

use crate::{
    Requirement, ResponseBody,
    log::path_excerpt,
    refusal::{Refusal, ResponseForm},
};

/// The refusal, which names the scope that is `required`. A request that axum has found no route for is answered 404 where no
/// `Authenticate` has seen it: the layer covers the fallback of a router on which `Authenticate` covers the routes alone.
pub(super) fn refused<ReqBody, ResBody>(
    error: &Error,
    request: &Request<ReqBody>,
    required: Option<&Requirement>,
) -> Response<ResponseBody<ResBody>> {
    if error.reason() == Reason::MissingAuthenticateLayer && is_unmatched(request.extensions()) {
        let path = || path_excerpt(request.uri().path());
        if is_nested(request.extensions()) && required.is_some_and(Requirement::is_first_warning) {
            tracing::warn!(
                target: "scopegate",
                path = path(),
                "no `Authenticate` in front of a nested service or fallback; answered 404"
            );
        } else {
            tracing::debug!(target: "scopegate", path = path(), "no route, and no `Authenticate` in front");
        }
        let mut response = Response::new(ResponseBody::default());
        *response.status_mut() = StatusCode::NOT_FOUND;
        return response;
    }
    let authentication = request.extensions().get::<Authentication>();
    let space = authentication.and_then(Authentication::protection_space);
    let form = ResponseForm::for_bodies::<ResBody>(request.into(), space);
    Refusal::new(error)
        .after(authentication)
        .to(request)
        .requiring(required.and_then(Requirement::challenge))
        .respond(form)
}

/// Whether an axum router has found no route for the request.
#[cfg(feature = "axum")]
fn is_unmatched(extensions: &Extensions) -> bool {
    use axum::extract::{MatchedPath, OriginalUri};

    // Every router leaves the one, and only a route the other, but none of the paths below a nested service.
    extensions.get::<OriginalUri>().is_some() && extensions.get::<MatchedPath>().is_none()
}

/// Whether that may be so because the path is one below a nested service, and not only below a nested router.
#[cfg(feature = "axum")]
fn is_nested(extensions: &Extensions) -> bool {
    extensions.get::<axum::extract::NestedPath>().is_some()
}

#[cfg(not(feature = "axum"))]
fn is_unmatched(_: &Extensions) -> bool {
    false
}

#[cfg(not(feature = "axum"))]
fn is_nested(_: &Extensions) -> bool {
    false
}
