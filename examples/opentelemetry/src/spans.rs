//! The span of a request, with the attributes that the semantic conventions have for HTTP servers.

use axum::{
    extract::{MatchedPath, Request},
    http::Method,
    middleware::Next,
    response::Response,
};
use scopegate_axum::{Authentication, Reason};
use tracing::{Instrument as _, Span, field::Empty, info_span};

/// Runs a request in its span. It belongs outside of `Authenticate`.
pub(crate) async fn in_span(request: Request, next: Next) -> Response {
    let span = span_of(&request);
    let response = next.run(request).instrument(span.clone()).await;
    note_response(&span, &response);
    response
}

fn span_of(request: &Request) -> Span {
    let method = known(request.method());
    let route = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
    info_span!(
        "request",
        otel.name = route.map_or_else(|| method.to_owned(), |route| format!("{method} {route}")),
        otel.kind = "server",
        otel.status_code = Empty,
        http.request.method = method,
        http.route = route,
        // Without the query, in which some clients send tokens.
        url.path = request.uri().path(),
        http.response.status_code = Empty,
        "error.type" = Empty,
        enduser.id = Empty,
    )
}

/// A client may invent a method, of which the conventions have one name.
fn known(method: &Method) -> &'static str {
    match *method {
        Method::DELETE => "DELETE",
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        Method::PATCH => "PATCH",
        Method::POST => "POST",
        Method::PUT => "PUT",
        _ => "_OTHER",
    }
}

fn note_response(span: &Span, response: &Response) {
    let status = response.status();
    span.record("http.response.status_code", status.as_u16());
    // Scopegate puts the reason of each refusal into the extensions of its response. It is one of a fixed list.
    if let Some(reason) = response.extensions().get::<Reason>() {
        span.record("error.type", reason.as_str());
    }
    // A request that the client got wrong is no error of a server's span.
    if status.is_server_error() {
        span.record("otel.status_code", "ERROR");
    }
}

/// Notes the user of a request that was authenticated. It belongs inside of `Authenticate`. A subject can be personal data.
pub(crate) async fn note_user(request: Request) -> Request {
    let token = request.extensions().get::<Authentication>().and_then(Authentication::token);
    if let Some(subject) = token.and_then(|token| token.subject()) {
        Span::current().record("enduser.id", subject);
    }
    request
}
