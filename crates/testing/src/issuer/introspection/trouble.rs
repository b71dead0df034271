use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{
    HeaderValue, Response, StatusCode,
    header::{CONTENT_TYPE, LOCATION, RETRY_AFTER},
};
use http_body_util::Full;
use serde_json::{Map, Value};

use crate::TokenBuilder;

/// What is wrong with an introspection endpoint. Begun by
/// [`TestIssuer::break_introspection`](crate::TestIssuer::break_introspection).
///
/// Trouble with the answer's content ([`Claims`](Self::Claims), [`Signed`](Self::Signed) and
/// [`WithoutClaim`](Self::WithoutClaim)) comes over honest answers, to clients that have authenticated; all else comes
/// over every request.
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
/// issuer.break_introspection(IntrospectionTrouble::signed(|answer| answer.audience("somebody-else")));
/// issuer.recover();
/// # }
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub enum IntrospectionTrouble {
    /// 200 with this body, of this media type: HTML, JSON that is cut off, an array.
    Body {
        /// What `Content-Type` says.
        content_type: String,
        /// The body.
        body: Vec<u8>,
    },
    /// The members of this JSON object in the honest answer, each in place of the one of that name: `active` as text, a
    /// foreign `iss`. In a signed answer they are members of `token_introspection`. A `null` is sent as `null`.
    Claims(Value),
    /// The honest answer, after this time by the issuer's clock.
    Delay(Duration),
    /// The connection is closed where the answer should be.
    HangUp,
    /// No answer, and the connection stays open until the client or the issuer closes it.
    Never,
    /// 307 to this URL, which asks the client to send token and credentials there.
    Redirect(String),
    /// The honest answer, signed after this change: see [`signed`](Self::signed). Answers that are not signed stay
    /// honest.
    Signed(Arc<dyn Fn(TokenBuilder) -> TokenBuilder + Send + Sync>),
    /// This status, with a `Retry-After` of so many seconds or none, and without a body.
    Status(u16, Option<u64>),
    /// The honest answer without the member of this name. In a signed answer it is left out of `token_introspection`.
    WithoutClaim(String),
}

impl IntrospectionTrouble {
    /// A [`Body`](Self::Body) of `application/json`, JSON or not.
    pub fn json(body: impl Into<Vec<u8>>) -> Self {
        Self::Body { content_type: "application/json".to_owned(), body: body.into() }
    }

    /// Changes the JWT of a signed answer before it is signed: its header, its own claims and its signature are a
    /// [`TokenBuilder`]'s to spoil. What it tells about the token is the claim `token_introspection`. It has no `exp`
    /// unless that is set as a claim.
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
    /// When HTTP has no way to send it, and when claims are no object.
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

    /// The answer that comes in place of an honest one, if it is one that can be given without looking at the request.
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

    /// Changes what is told about the token.
    pub(super) fn spoil(&self, answer: &mut Map<String, Value>) {
        match self {
            Self::Claims(Value::Object(claims)) => answer.extend(claims.clone()),
            Self::WithoutClaim(name) => drop(answer.remove(name)),
            _ => {}
        }
    }
}

/// Shows a body by its length.
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
