//! The form in which a client can read a refusal.

use std::any::type_name;

use http::{
    HeaderMap, Method,
    header::{ACCEPT, CONTENT_TYPE},
};
use scopegate_core::{ProtectionSpace, RequestHead};

use super::negotiation::media_type_weight;

/// The content type of a problem document (RFC 9457).
pub(super) const PROBLEM_JSON: &str = "application/problem+json";

/// The form in which the client of a request can read a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResponseForm(Form);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// A trailers-only gRPC response.
    Grpc(GrpcType),
    /// Status, headers and a body.
    Http {
        /// The request is a `HEAD`: of the body, only the headers are sent.
        is_head: bool,
        /// The request accepts a problem document.
        takes_problem: bool,
    },
}

/// The content type of a gRPC response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GrpcType {
    Grpc,
    Web,
    WebText,
}

impl GrpcType {
    const ALL: [Self; 3] = [Self::WebText, Self::Web, Self::Grpc];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Grpc => "application/grpc",
            Self::Web => "application/grpc-web",
            Self::WebText => "application/grpc-web-text",
        }
    }
}

impl ResponseForm {
    /// A gRPC response that ends with its headers.
    pub(crate) const GRPC: Self = Self(Form::Grpc(GrpcType::Grpc));

    /// The form for this request. It is gRPC only where `space` [answers gRPC](ProtectionSpace::answering_grpc): a client
    /// chooses its content type, and must not turn the refusals of a REST route into HTTP 200.
    pub fn of<'r>(request: impl Into<RequestHead<'r>>, space: Option<&ProtectionSpace>) -> Self {
        Self::new(request.into(), || space.is_some_and(ProtectionSpace::answers_grpc))
    }

    /// The form for this request to a service whose response bodies are of type `B`.
    pub(crate) fn for_bodies<B>(request: RequestHead<'_>, space: Option<&ProtectionSpace>) -> Self {
        Self::new(request, || is_of_tonic::<B>() || space.is_some_and(ProtectionSpace::answers_grpc))
    }

    fn new(request: RequestHead<'_>, answers_grpc: impl FnOnce() -> bool) -> Self {
        // Every gRPC call is a POST. Other requests get an HTTP status, which proxies act on.
        let may_be_grpc = *request.method() == Method::POST;
        let content_type = may_be_grpc.then(|| grpc_content_type(request.headers())).flatten();
        Self(match content_type.filter(|_| answers_grpc()) {
            Some(content_type) => Form::Grpc(content_type),
            None => Form::Http {
                is_head: *request.method() == Method::HEAD,
                // PROB-3: a client that accepts no JSON gets no body.
                takes_problem: media_type_weight(request.headers().get_all(ACCEPT), PROBLEM_JSON) > 0.0,
            },
        })
    }

    /// The content type of a gRPC response; `None` where the response is one of HTTP.
    pub(super) fn grpc(self) -> Option<&'static str> {
        match self.0 {
            Form::Grpc(content_type) => Some(content_type.as_str()),
            Form::Http { .. } => None,
        }
    }

    /// Whether the response has a problem document, or the headers of one, where nothing else is its body.
    pub(super) fn takes_problem(self) -> bool {
        matches!(self.0, Form::Http { takes_problem: true, .. })
    }

    /// Whether the response has the headers of a body without the body.
    pub(super) fn is_head(self) -> bool {
        matches!(self.0, Form::Http { is_head: true, .. })
    }
}

/// Whether a response body is tonic's, or wraps it: the service behind the layer then speaks only gRPC.
///
/// Decided by the type's name, since this crate does not depend on tonic. Should the compiler spell it differently one day,
/// refusals get HTTP statuses, which gRPC clients map to the same codes except for 500.
fn is_of_tonic<B>() -> bool {
    type_name::<B>().contains("tonic::body::")
}

/// Which gRPC these headers are of, and so the content type to answer a request with; `None` where they are of no gRPC.
pub(crate) fn grpc_content_type(headers: &HeaderMap) -> Option<GrpcType> {
    let content_type = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    GrpcType::ALL.into_iter().find(|answer| {
        let Some((prefix, rest)) = content_type.split_at_checked(answer.as_str().len()) else { return false };
        let ends = matches!(rest.bytes().next(), None | Some(b'+' | b';' | b' '));
        ends && prefix.eq_ignore_ascii_case(answer.as_str())
    })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::{HeaderName, Request};

    use super::*;

    const PROBLEM: Form = Form::Http { is_head: false, takes_problem: true };
    const BARE: Form = Form::Http { is_head: false, takes_problem: false };

    fn form(method: Method, headers: &[(HeaderName, &str)]) -> Form {
        let mut request = Request::builder().method(method);
        for (name, value) in headers {
            request = request.header(name, *value);
        }
        ResponseForm::of(&request.body(()).unwrap(), Some(&answering_grpc())).0
    }

    fn answering_grpc() -> ProtectionSpace {
        ProtectionSpace::new("r").unwrap().answering_grpc()
    }

    #[test]
    fn the_form_follows_method_accept_and_content_type() {
        assert_eq!(form(Method::GET, &[]), PROBLEM);
        assert_eq!(form(Method::HEAD, &[]), Form::Http { is_head: true, takes_problem: true });
        assert_eq!(form(Method::HEAD, &[(ACCEPT, "text/html")]), Form::Http { is_head: true, takes_problem: false });
        for (accept, expected) in [
            ("application/json", PROBLEM),
            ("application/problem+json", PROBLEM),
            ("Application/*", PROBLEM),
            ("text/html, */*;q=0.1", PROBLEM),
            ("text/html", BARE),
            ("", BARE),
            ("*/*;q=0", BARE),
            ("*/*, application/json;q=0", BARE),
            ("application/json; q=0.0, */*", BARE),
            ("application/*;q=0, application/json", PROBLEM),
            ("application/jsonx", BARE),
        ] {
            assert_eq!(form(Method::GET, &[(ACCEPT, accept)]), expected, "{accept:?}");
        }
        assert_eq!(form(Method::GET, &[(ACCEPT, "text/html"), (ACCEPT, "application/json")]), PROBLEM);
    }

    #[test]
    fn grpc_is_known_by_its_content_type() {
        for (content_type, expected) in [
            ("application/grpc", Form::Grpc(GrpcType::Grpc)),
            ("application/grpc+proto", Form::Grpc(GrpcType::Grpc)),
            ("Application/GRPC; x=y", Form::Grpc(GrpcType::Grpc)),
            ("application/grpc-web+proto", Form::Grpc(GrpcType::Web)),
            ("application/grpc-web-text", Form::Grpc(GrpcType::WebText)),
            ("application/grpcx", PROBLEM),
            ("application/json", PROBLEM),
            ("application/grp", PROBLEM),
        ] {
            assert_eq!(form(Method::POST, &[(CONTENT_TYPE, content_type)]), expected, "{content_type}");
        }
    }

    #[test]
    fn grpc_1_the_form_is_grpcs_where_the_service_answers_grpc() {
        let request = Request::post("/").header(CONTENT_TYPE, "application/grpc").body(()).unwrap();
        let http = ProtectionSpace::new("r").unwrap();
        for space in [None, Some(&http)] {
            assert_eq!(ResponseForm::of(&request, space).0, PROBLEM);
            assert_eq!(ResponseForm::for_bodies::<Bytes>((&request).into(), space).0, PROBLEM);
        }
        let grpc = Form::Grpc(GrpcType::Grpc);
        assert_eq!(ResponseForm::for_bodies::<Bytes>((&request).into(), Some(&answering_grpc())).0, grpc);
    }
}
