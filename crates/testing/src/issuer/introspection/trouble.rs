use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{
    HeaderValue, Response, StatusCode,
    header::{CONTENT_TYPE, LOCATION, RETRY_AFTER},
};
use http_body_util::Full;
use serde_json::{Map, Value};

use crate::TokenBuilder;

/// A fault of the introspection endpoint. Begun by
/// [`TestIssuer::break_introspection`](crate::TestIssuer::break_introspection).
///
/// [`Claims`](Self::Claims), [`Signed`](Self::Signed) and [`WithoutClaim`](Self::WithoutClaim) change the regular responses to
/// authenticated clients; the others affect every request.
///
/// # Examples
///
/// ```
/// use scopegate_testing::{IntrospectionTrouble, TestIssuer};
/// use serde_json::json;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let issuer = TestIssuer::start().await;
///
/// issuer.break_introspection(IntrospectionTrouble::Status(503, Some(30)));
/// issuer.break_introspection(IntrospectionTrouble::Claims(json!({ "active": "true" })));
/// issuer.break_introspection(IntrospectionTrouble::json("[]"));
/// issuer.break_introspection(IntrospectionTrouble::signed(|answer| answer.audience("another-client")));
/// issuer.recover();
/// # }
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub enum IntrospectionTrouble {
    /// 200 with this body of this media type: HTML, truncated JSON, an array.
    Body {
        /// The value of `Content-Type`.
        content_type: String,
        /// The body.
        body: Vec<u8>,
    },
    /// The regular response with the members of this JSON object, which replace those of the same names: `active` as a string,
    /// a foreign `iss`. In a signed response they are members of `token_introspection`. A `null` is sent as `null`.
    Claims(Value),
    /// The regular response, after this time by the issuer's clock.
    Delay(Duration),
    /// The connection is closed instead of a response.
    HangUp,
    /// No response, and the connection stays open until the client or the issuer closes it.
    Never,
    /// 307 to this URL, which asks the client to send the token and its credentials there.
    Redirect(String),
    /// The regular response, signed after this change: see [`signed`](Self::signed). Unsigned responses do not change.
    Signed(Arc<dyn Fn(TokenBuilder) -> TokenBuilder + Send + Sync>),
    /// This status, with a `Retry-After` of this many seconds or none, and without a body.
    Status(u16, Option<u64>),
    /// The regular response without the member of this name. In a signed response it is removed from `token_introspection`.
    WithoutClaim(String),
}

impl IntrospectionTrouble {
    /// A [`Body`](Self::Body) of type `application/json`, valid JSON or not.
    pub fn json(body: impl Into<Vec<u8>>) -> Self {
        Self::Body { content_type: "application/json".to_owned(), body: body.into() }
    }

    /// Changes the JWT of a signed response before it is signed: its header, its claims and its signature, by a
    /// [`TokenBuilder`]. The claim `token_introspection` describes the token. The JWT has no `exp` unless that is set as a
    /// claim.
    ///
    /// # Examples
    ///
    /// ```
    /// use scopegate_testing::{IntrospectionTrouble, SigningAlgorithm, SigningKey};
    ///
    /// IntrospectionTrouble::signed(|answer| answer.typ("at+jwt"));
    /// IntrospectionTrouble::signed(|answer| answer.without_claim("token_introspection"));
    /// IntrospectionTrouble::signed(|answer| answer.unsigned());
    /// let foreign = SigningKey::generate(SigningAlgorithm::Es256);
    /// IntrospectionTrouble::signed(move |answer| answer.signed_by_key(&foreign));
    /// ```
    pub fn signed(change: impl Fn(TokenBuilder) -> TokenBuilder + Send + Sync + 'static) -> Self {
        Self::Signed(Arc::new(change))
    }

    /// # Panics
    ///
    /// When HTTP cannot express the fault, or when claims are not a JSON object.
    pub(in crate::issuer) fn assert_possible(&self) {
        let is_possible = match self {
            Self::Body { content_type, .. } => HeaderValue::from_str(content_type).is_ok(),
            Self::Claims(claims) => claims.is_object(),
            Self::Redirect(location) => HeaderValue::from_str(location).is_ok(),
            Self::Status(status, _) => (200..=999).contains(status),
            _ => true,
        };
        assert!(
            is_possible,
            "{self:?} cannot be sent: a status has three digits and is final, a header is one line of ASCII, and claims \
             are a JSON object",
        );
    }

    /// The response that replaces the regular one, where it does not depend on the request.
    pub(super) fn response(&self) -> Option<Response<Full<Bytes>>> {
        let mut response = Response::new(Full::default());
        let (name, value) = match self {
            Self::Body { content_type, body } => {
                *response.body_mut() = Full::from(body.clone());
                (CONTENT_TYPE, Some(content_type.clone()))
            }
            Self::Redirect(location) => {
                *response.status_mut() = StatusCode::TEMPORARY_REDIRECT;
                (LOCATION, Some(location.clone()))
            }
            Self::Status(status, retry_after) => {
                *response.status_mut() = StatusCode::from_u16(*status).expect("`assert_possible` has seen it");
                (RETRY_AFTER, retry_after.map(|seconds| seconds.to_string()))
            }
            _ => return None,
        };
        if let Some(value) = value {
            response.headers_mut().insert(name, value.try_into().expect("`assert_possible` has seen it"));
        }
        Some(response)
    }

    /// Changes the response about the token.
    pub(super) fn spoil(&self, answer: &mut Map<String, Value>) {
        match self {
            Self::Claims(Value::Object(claims)) => answer.extend(claims.clone()),
            Self::WithoutClaim(name) => drop(answer.remove(name)),
            _ => {}
        }
    }
}

/// Shows the length of a body.
impl fmt::Debug for IntrospectionTrouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Body { content_type, body } => f
                .debug_struct("Body")
                .field("content_type", content_type)
                .field("body", &format_args!("{} bytes", body.len()))
                .finish(),
            Self::Claims(claims) => f.debug_tuple("Claims").field(claims).finish(),
            Self::Delay(delay) => f.debug_tuple("Delay").field(delay).finish(),
            Self::HangUp => f.write_str("HangUp"),
            Self::Never => f.write_str("Never"),
            Self::Redirect(location) => f.debug_tuple("Redirect").field(location).finish(),
            Self::Signed(_) => f.debug_tuple("Signed").finish_non_exhaustive(),
            Self::Status(status, retry_after) => f.debug_tuple("Status").field(status).field(retry_after).finish(),
            Self::WithoutClaim(name) => f.debug_tuple("WithoutClaim").field(name).finish(),
        }
    }
}
