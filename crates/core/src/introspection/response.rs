//! Reads introspection responses, as far as that does not depend on the token.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header::CONTENT_TYPE};

use crate::{
    jose::json::{self, Value},
    net::fetch::document::retry_after,
    online::{TokenStatus, Unavailable, UnavailableKind},
    redact::excerpt,
    refusal::Reason,
};

/// RFC 7662 §2.2.
pub(super) const JSON: &str = "application/json";

/// RFC 9701 §4.
pub(super) const SIGNED: &str = "application/token-introspection+jwt";

/// The body of a successful response: a 200 of the requested media type.
///
/// RFC 7662 §2.3 (INTRO-6): an endpoint that responds with an error rejects the caller and says nothing about the token. The
/// response's `error` code is quoted in the error. `token` is the introspected token, and is never quoted.
pub(super) fn body(answer: Response<Bytes>, media_type: &str, limit: usize, token: &str) -> Result<Bytes, Unavailable> {
    let status = answer.status();
    if status == StatusCode::OK {
        // INTRO-4, IJWT-1: another media type is no answer.
        return if !is_of(answer.headers(), media_type) {
            Err(Unavailable::new(
                UnavailableKind::Upstream,
                format!("the response is not of the media type {media_type}"),
            ))
        } else if answer.body().len() > limit {
            Err(Unavailable::new(UnavailableKind::Upstream, "the response is longer than `max_response`").about_token())
        } else {
            Ok(answer.into_body())
        };
    }
    let code = error_code(answer.body(), limit);
    let said = match &code {
        Some(code) if is_error_code(code, token) => format!(" and the error {code}"),
        Some(_) => " and an error that is not shown".to_owned(),
        None => String::new(),
    };
    let fault = |fault, text: &str| Unavailable::new(fault, format!("{text} with the status {status}{said}"));
    match (status, code.as_deref()) {
        // First, since some issuers send a rate limit with `access_denied`.
        // INTRO-7: with the `Retry-After` of the issuer.
        (StatusCode::TOO_MANY_REQUESTS, _) => {
            Err(fault(UnavailableKind::Upstream, "the endpoint answers")
                .with_retry_after(retry_after(answer.headers())))
        }
        (_, Some("invalid_client" | "unauthorized_client")) if status.is_client_error() => {
            Err(fault(UnavailableKind::Misconfigured, "the endpoint refuses our own credentials"))
        }
        // This service may lack a permission, the issuer may conceal this one token, or a firewall may block the request.
        (StatusCode::FORBIDDEN, _) | (_, Some("access_denied" | "insufficient_scope")) if status.is_client_error() => {
            Err(fault(UnavailableKind::Misconfigured, "the endpoint refuses our request").about_token())
        }
        (StatusCode::UNAUTHORIZED, _) => {
            Err(fault(UnavailableKind::Misconfigured, "the endpoint refuses our own credentials"))
        }
        // The token may have caused these, so they say nothing about the next one.
        (
            StatusCode::BAD_REQUEST
            | StatusCode::PAYLOAD_TOO_LARGE
            | StatusCode::URI_TOO_LONG
            | StatusCode::UNPROCESSABLE_ENTITY
            | StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            _,
        ) => Err(fault(UnavailableKind::Upstream, "the endpoint refuses to answer about this token").about_token()),
        _ if status.is_redirection() => Err(Unavailable::new(
            UnavailableKind::Misconfigured,
            format!("the endpoint redirects with the status {status}, which is not followed"),
        )),
        _ if status.is_client_error() => Err(fault(UnavailableKind::Misconfigured, "the endpoint answers")),
        _ => Err(fault(UnavailableKind::Upstream, "the endpoint answers")
            .with_retry_after_of_token(retry_after(answer.headers()))),
    }
}

/// The `error` of an error response (RFC 6749 §5.2, RFC 7009 §2.2.1).
fn error_code(body: &Bytes, limit: usize) -> Option<String> {
    let members = json::object(body, |name| name == "error").ok().filter(|_| body.len() <= limit)?;
    members.into_iter().find_map(|(_, value)| match value {
        Value::String(code) => Some(code.into_owned()),
        _ => None,
    })
}

/// Whether this is an error code (RFC 6749 §5.2, or an issuer's own) that shares no part with the token.
fn is_error_code(text: &str, token: &str) -> bool {
    const LONGEST: usize = 64;
    /// The length of a run of characters that counts as a part of the token.
    const PART: usize = 8;
    let is_of_code = |byte: u8| byte.is_ascii_alphanumeric() || b"_.:-".contains(&byte);
    if text.is_empty() || text.len() > LONGEST || !text.bytes().all(is_of_code) || excerpt(text) != text {
        return false;
    }
    let (text, token) = (text.to_ascii_lowercase(), token.to_ascii_lowercase());
    let mut parts = token.as_bytes().windows(token.len().clamp(1, PART));
    !parts.any(|part| text.as_bytes().windows(part.len()).any(|piece| piece == part))
}

/// Whether the one `Content-Type` is this media type, whatever its parameters.
fn is_of(headers: &HeaderMap, media_type: &str) -> bool {
    let mut values = headers.get_all(CONTENT_TYPE).iter();
    let essence = |value: &HeaderValue| {
        value
            .to_str()
            .ok()
            .is_some_and(|text| text.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(media_type))
    };
    values.next().is_some_and(essence) && values.next().is_none()
}

/// Reads the status of the token (RFC 7662 §2.2) from a JSON object with a boolean `active`.
pub(super) fn token_status(json: &Bytes) -> Result<TokenStatus, Unavailable> {
    let members = json::object(json, |name| name == "active")
        .map_err(|rule| Unavailable::new(UnavailableKind::Upstream, format!("the response {rule}")).about_token())?;
    match members.first() {
        // INTRO-3, INTRO-4: the boolean, and nothing like it.
        Some((_, Value::Bool(true))) => Ok(TokenStatus::Active(json.clone())),
        Some((_, Value::Bool(false))) => Ok(TokenStatus::Rejected(Reason::InactiveToken.into())),
        _ => Err(Unavailable::new(UnavailableKind::Upstream, "the response has no boolean `active`")),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::header::RETRY_AFTER;

    use super::*;

    fn answer(status: u16, media_type: &'static str, text: &'static str) -> Response<Bytes> {
        let response = Response::builder().status(status).header(CONTENT_TYPE, media_type);
        response.body(Bytes::from_static(text.as_bytes())).unwrap()
    }

    fn body(answer: Response<Bytes>, media_type: &str, limit: usize) -> Result<Bytes, Unavailable> {
        super::body(answer, media_type, limit, "token")
    }

    #[test]
    fn intro_3_only_the_boolean_true_is_active() {
        let status = |text: &'static str| token_status(&Bytes::from_static(text.as_bytes()));
        assert!(
            matches!(status(r#"{"active":true,"sub":"a"}"#), Ok(TokenStatus::Active(json)) if json.ends_with(b"}"))
        );
        let inactive = status(r#"{"active":false,"sub":"a"}"#);
        assert!(matches!(inactive, Ok(TokenStatus::Rejected(error)) if error.reason() == Reason::InactiveToken));
    }

    #[test]
    fn intro_4_an_answer_without_a_boolean_active_is_none() {
        for text in [
            r#"{"active":"true"}"#,
            r#"{"active":1}"#,
            r#"{"active":[true]}"#,
            r#"{"active":null}"#,
            r#"{"Active":true}"#,
            r#"{"active":true,"active":false}"#,
            r#"{"active":false,"active":true}"#,
            r#"{"a":{"active":true}}"#,
            r#"[{"active":true}]"#,
            "{}",
            "",
            "true",
            "\u{feff}{\"active\":true}",
            r#"{"active":true"#,
            r#"{"active":true} {"active":true}"#,
        ] {
            assert!(token_status(&Bytes::from_static(text.as_bytes())).is_err(), "{text}");
        }
    }

    #[test]
    fn intro_4_what_keeps_an_answer_from_being_read_is_named() {
        let deep = format!(r#"{{"active":true,"x":{}{}}}"#, "[".repeat(16), "]".repeat(16));
        let wide = format!("{{{}}}", (0..2049).map(|n| format!("\"{n}\":0")).collect::<Vec<_>>().join(","));
        for (text, named) in [
            ("<html>", "is not one JSON object"),
            ("\u{feff}{\"active\":true}", "begins with a byte order mark"),
            (r#"{"active":true,"active":true}"#, "names a member twice"),
            (&deep, "nests arrays and objects more than 16 deep"),
            (&wide, "has more than 2048 members"),
        ] {
            let error = token_status(&Bytes::from(text.to_owned())).unwrap_err().to_string();
            assert!(error.contains(&format!("the response {named}")), "{error}");
        }
    }

    #[test]
    fn intro_4_an_answer_has_the_media_type_that_was_asked_for() {
        for good in [JSON, "application/json; charset=utf-8", "Application/JSON ;x=y"] {
            assert!(body(answer(200, good, "{}"), JSON, 10).is_ok(), "{good}");
        }
        for bad in ["text/plain", "text/html", SIGNED, "application/jwt", "application/jsonp", "", "json"] {
            assert!(body(answer(200, bad, "{}"), JSON, 10).is_err(), "{bad}");
        }
        let none = Response::new(Bytes::from_static(b"{}"));
        assert!(body(none, JSON, 10).is_err());
        let mut two = answer(200, JSON, "{}");
        two.headers_mut().append(CONTENT_TYPE, HeaderValue::from_static(JSON));
        assert!(body(two, JSON, 10).is_err());
        assert!(body(answer(200, JSON, "{ }"), JSON, 2).is_err());
    }

    #[test]
    fn intro_6_a_refusal_is_our_own_fault_and_intro_7_the_rest_is_theirs() {
        let fault = |status| body(answer(status, JSON, "{}"), JSON, 10).unwrap_err();
        for status in [401, 404, 405, 301, 302, 307] {
            let error = fault(status);
            assert!(error.to_string().contains(&status.to_string()), "{error}");
            assert!(format!("{error:?}").contains("Misconfigured"), "{status}");
        }
        assert!(fault(401).to_string().contains("refuses our own credentials"));
        for status in [429, 500, 502, 503, 504, 201, 204, 206] {
            assert!(format!("{:?}", fault(status)).contains("Upstream"), "{status}");
        }
        for status in [400, 403, 413, 422, 431] {
            assert!(format!("{:?}", fault(status)).contains("is_about_token: true"), "{status}");
        }
        for status in [400, 413, 414, 422, 431] {
            let error = fault(status);
            assert!(format!("{error:?}").contains("Upstream") && !error.to_string().contains("credentials"), "{error}");
        }
        for status in [429, 503] {
            let mut response = answer(status, JSON, "{}");
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("7"));
            let error = body(response, JSON, 10).unwrap_err();
            assert!(format!("{error:?}").contains(&format!("{:?}", Some(Duration::from_secs(7)))), "{error:?}");
        }
    }

    #[test]
    fn intro_6_the_error_of_a_refusal_says_whose_fault_it_is() {
        let fault = |status, text| body(answer(status, JSON, text), JSON, 64).unwrap_err();
        for (code, is_about_token, blamed) in [
            ("invalid_client", false, "our own credentials"),
            ("unauthorized_client", false, "our own credentials"),
            ("access_denied", true, "our request"),
            ("insufficient_scope", true, "our request"),
        ] {
            let text: &'static str = format!(r#"{{"error":"{code}"}}"#).leak();
            for status in [400, 401, 403, 422] {
                let error = fault(status, text);
                let debug = format!("{error:?}");
                assert!(debug.contains(&format!("is_about_token: {is_about_token}")), "{status} {code}: {debug}");
                assert!(debug.contains("Misconfigured"), "{status} {code}: {debug}");
                assert!(error.to_string().contains(blamed) && error.to_string().ends_with(code), "{error}");
            }
            // A server that is down, or limits the rate, may send any code.
            for status in [429, 503] {
                let debug = format!("{:?}", fault(status, text));
                assert!(
                    debug.contains("Upstream") && debug.contains("is_about_token: false"),
                    "{status} {code}: {debug}"
                );
            }
        }
        for code in ["unsupported_type", "invalid_request", "server_error", "x"] {
            let text: &'static str = format!(r#"{{"error":"{code}","error_description":"d"}}"#).leak();
            let error = fault(400, text);
            let debug = format!("{error:?}");
            assert!(debug.contains("Upstream") && debug.contains("is_about_token: true"), "{code}: {debug}");
            assert!(error.to_string().ends_with(&format!("400 Bad Request and the error {code}")), "{error}");
        }
        // Text that is not an error code, or is beyond the limit, is not quoted.
        for text in [
            r#"{"error":1}"#,
            "[]",
            "",
            r#"{"error":"a","error":"b"}"#,
            r#"{"error":"invalid_client","pad":"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"}"#,
        ] {
            assert!(fault(400, text).to_string().ends_with("400 Bad Request"), "{text}");
        }
    }

    #[test]
    fn w_02_an_error_is_shown_only_where_it_is_a_code_without_the_token() {
        let opaque = "4Zr8Qm1xTn7Kp3Wd9Lb2Vc6H";
        for code in ["invalid_request", "too-many-requests", "urn:example:E-1.2_x", "a", &"x".repeat(64)] {
            assert!(is_error_code(code, opaque), "{code}");
        }
        for text in [
            "",
            &"x".repeat(65),
            "two words",
            "a\r\nERROR forged",
            "a%2Eb",
            "\u{fc}",
            "eyJhbGciOiJub25lIn0.e30.",
            opaque,
            "unknown:4Zr8Qm1xTn7Kp3Wd9Lb2Vc6H",
            "unknown:1xTn7Kp3",
            &opaque.to_lowercase(),
        ] {
            assert!(!is_error_code(text, opaque), "{text}");
        }
        assert!(!is_error_code("unknown:abc", "abc") && is_error_code("unknown:ab", "abc"));
    }
}
