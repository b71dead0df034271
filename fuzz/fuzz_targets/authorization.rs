//! Extracting the credentials of a request.
//!
//! Input: the first line is the query, each of the others an `Authorization` field line, three at most.
//!
//! Invariants, by an independent parser of RFC 9110 §11.4 and RFC 6750 §2.1:
//!
//! - more than one field line is `DuplicateCredentials`, whatever the lines are;
//! - credentials are found exactly where the one line is `Bearer`, spaces and one `token68`, and the query has no
//!   `access_token`;
//! - another scheme means no credentials, and everything else is malformed.

#![no_main]

use http::{HeaderValue, Request, header::AUTHORIZATION};
use libfuzzer_sys::{Corpus, fuzz_target};
use scopegate_core::{Credentials, ErrorKind, Reason, Scheme};

fuzz_target!(|data: &[u8]| -> Corpus {
    let mut lines = data.split(|&byte| byte == b'\n');
    let query = lines.next().unwrap_or_default();
    let Ok(mut request) = Request::builder().uri([b"/?", query].concat()).body(()) else { return Corpus::Reject };
    for line in lines.take(3) {
        let Ok(value) = HeaderValue::from_bytes(line) else { return Corpus::Reject };
        request.headers_mut().append(AUTHORIZATION, value);
    }
    let request = request.into_parts().0;
    let values: Vec<&[u8]> = request.headers.get_all(AUTHORIZATION).iter().map(HeaderValue::as_bytes).collect();

    let query = request.uri.query().unwrap_or_default();
    let expected = match values[..] {
        [] => Ok(None),
        [value] => match read(value) {
            Ok(Some(_)) if form_urlencoded::parse(query.as_bytes()).any(|(name, _)| name == "access_token") => {
                Err(Reason::MultipleTransports)
            }
            other => other.map(|token| token.map(|_| Scheme::Bearer)),
        },
        _ => Err(Reason::DuplicateCredentials),
    };
    match Credentials::from_request(&request) {
        Ok(found) => assert_eq!(Ok(found.map(|credentials| credentials.scheme())), expected),
        Err(error) => {
            assert_eq!(Err(error.reason()), expected);
            assert_eq!(error.kind(), ErrorKind::InvalidRequest);
        }
    }
    Corpus::Keep
});

/// The token of one field line; `None` where its scheme is another.
fn read(value: &[u8]) -> Result<Option<&[u8]>, Reason> {
    let scheme = value.split(|&byte| byte == b' ').next().unwrap_or_default();
    let spaces = value[scheme.len()..].iter().take_while(|&&byte| byte == b' ').count();
    let token = &value[scheme.len() + spaces..];
    let is_token = |text: &[u8]| {
        let delimiter = |byte: &u8| b"\"(),/:;<=>?@[\\]{}".contains(byte);
        !text.is_empty() && text.iter().all(|byte| byte.is_ascii_graphic() && !delimiter(byte))
    };
    if !is_token(scheme) {
        return Err(Reason::MalformedCredentials);
    }
    if !scheme.eq_ignore_ascii_case(b"bearer") {
        return Ok(None);
    }
    if is_token68(token) { Ok(Some(token)) } else { Err(Reason::MalformedCredentials) }
}

/// RFC 9110 §11.2
fn is_token68(text: &[u8]) -> bool {
    let padding = text.iter().rev().take_while(|&&byte| byte == b'=').count();
    let body = &text[..text.len() - padding];
    let legal =
        |byte: &u8| matches!(byte, b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'+' | b'/');
    !body.is_empty() && body.iter().all(legal)
}
