use bytes::Bytes;
use http::{Request, header::CONTENT_TYPE};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;

use super::refusal::Refusal;

/// The longest form that is read, in bytes.
const BODY_LIMIT: usize = 64 * 1024;

/// A request, with its body if that is needed and readable.
pub(super) type Received = Request<Option<Bytes>>;

pub(super) async fn received(request: Request<Incoming>, wants_body: bool) -> Received {
    let (parts, body) = request.into_parts();
    if !wants_body {
        return Request::from_parts(parts, None);
    }
    let body = Limited::new(body, BODY_LIMIT).collect().await;
    Request::from_parts(parts, body.ok().map(|body| body.to_bytes()))
}

/// The parameters of a form.
pub(super) struct Form {
    parameters: Vec<(String, String)>,
}

impl Form {
    /// The form in a request's body. A parameter without a value counts as absent ([RFC 6749, section
    /// 3.2](https://www.rfc-editor.org/rfc/rfc6749#section-3.2)).
    pub(super) fn of(request: &Received) -> Result<Self, Refusal> {
        let kind = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim();
        if !kind.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            return Err(Refusal::invalid_request("the body must be application/x-www-form-urlencoded"));
        }
        let body = request.body().as_ref();
        let body = body.ok_or(Refusal::invalid_request("the body could not be read, or is too long"))?;
        let parameters = form_urlencoded::parse(body).into_owned().filter(|(_, value)| !value.is_empty());
        Ok(Self { parameters: parameters.collect() })
    }

    /// The value of a parameter that may occur once.
    pub(super) fn one(&self, name: &str) -> Result<Option<&str>, Refusal> {
        let mut values = self.all(name);
        match (values.next(), values.next()) {
            (value, None) => Ok(value),
            (_, Some(_)) => Err(Refusal::invalid_request("a parameter is there more than once")),
        }
    }

    /// The values of a parameter that may be repeated.
    pub(super) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.parameters.iter().filter(move |(parameter, _)| parameter == name).map(|(_, value)| value.as_str())
    }
}

/// One form-decoded value.
pub(super) fn decoded(value: &str) -> String {
    // The client did not encode a separator in the value.
    let form = format!("={}", value.replace('&', "%26"));
    form_urlencoded::parse(form.as_bytes()).next().map(|(_, value)| value.into_owned()).unwrap_or_default()
}
