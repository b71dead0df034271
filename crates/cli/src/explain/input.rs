//! What may stand for a request: a token, an `Authorization` header, or a curl line.

use http::{HeaderName, HeaderValue, Method, Request, Uri, header::AUTHORIZATION, request::Parts};

use super::curl;
use crate::Failure;

/// A request with a token.
pub(super) struct Presented {
    pub(super) request: Parts,
}

impl Presented {
    /// Reads what was given. `method` and `url` are those of a token or a header; a curl line has its own.
    pub(super) fn parse(text: &str, method: &str, url: Option<&str>) -> Result<Self, Failure> {
        let text = text.trim();
        if text.is_empty() {
            return Err(Failure::usage("there is no token: write one, or send it to standard input"));
        }
        if text.split_ascii_whitespace().next() == Some("curl") {
            return Self::of_curl(text);
        }
        let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        let is_header =
            |line: &&str| line.split_once(':').is_some_and(|(name, _)| HeaderName::try_from(name.trim()).is_ok());
        let headers = if lines.iter().all(is_header) {
            lines.iter().map(|line| (*line).to_owned()).collect()
        } else if let [line] = *lines {
            vec![authorization(line)?]
        } else {
            return Err(Failure::usage(
                "this is neither one token, nor header lines, nor a curl line: send one of the three",
            ));
        };
        Self::of(method, url.unwrap_or("https://api.example/"), &headers)
    }

    fn of_curl(line: &str) -> Result<Self, Failure> {
        let curl::Line { method, url, headers } = curl::Line::parse(line)?;
        Self::of(&method, url.as_deref().unwrap_or("https://api.example/"), &headers)
    }

    /// No error names what was read, in which there is a token.
    fn of(method: &str, url: &str, headers: &[String]) -> Result<Self, Failure> {
        let method = Method::from_bytes(method.as_bytes())
            .map_err(|_| Failure::usage("the method is none: write GET, POST or another one"))?;
        let url: Uri = url.parse().map_err(|_| {
            Failure::usage("the URL is none: write it as the client calls it, with https:// and the path")
        })?;
        let mut request = Request::new(());
        *request.method_mut() = method;
        *request.uri_mut() = url;
        for header in headers {
            let (name, value) = header.split_once(':').unwrap_or((header, ""));
            let (Ok(name), Ok(value)) = (HeaderName::try_from(name.trim()), HeaderValue::try_from(value.trim())) else {
                return Err(Failure::usage("a header has characters that none may have: copy it as it was sent"));
            };
            request.headers_mut().append(name, value);
        }
        let (request, ()) = request.into_parts();
        Ok(Self { request })
    }

    /// Why a service finds no token in the request. The scheme that was read is named if it is a known one: anything else may be
    /// a token.
    pub(super) fn without_token(&self) -> Failure {
        let Some(value) = self.request.headers.get(AUTHORIZATION) else {
            return Failure::usage(format!("no header has a token: {REMEDY}"));
        };
        let value = String::from_utf8_lossy(value.as_bytes());
        let scheme = value.split(' ').next().unwrap_or_default();
        Failure::usage(match OTHER_SCHEMES.iter().find(|other| other.eq_ignore_ascii_case(scheme)) {
            Some(other) => format!("the scheme of `Authorization` is {other}, which sends no access token: {REMEDY}"),
            None => format!("the value of `Authorization` does not begin with `Bearer` or `DPoP`: {REMEDY}"),
        })
    }
}

const REMEDY: &str = "send it as `Authorization: Bearer <token>`, or as `DPoP <token>` with a proof";

/// Schemes for other credentials than access tokens.
const OTHER_SCHEMES: [&str; 6] = ["Basic", "Digest", "Negotiate", "NTLM", "OAuth", "Token"];

/// The header of a line that is a token, or a scheme and its credentials.
fn authorization(line: &str) -> Result<String, Failure> {
    let schemes = || ["Bearer", "DPoP"].into_iter().chain(OTHER_SCHEMES);
    match line.split_once(' ') {
        Some((scheme, _)) if schemes().any(|known| known.eq_ignore_ascii_case(scheme)) => {
            Ok(format!("authorization: {line}"))
        }
        None if is_token(line) => Ok(format!("authorization: Bearer {line}")),
        _ => Err(Failure::usage(
            "this is no token, which is made of ASCII letters, digits and `-._~+/=` alone (RFC 6750 section 2.1): send one, or \
             the header lines or the curl line of a request",
        )),
    }
}

/// Whether the text is a `b64token`.
fn is_token(text: &str) -> bool {
    let body = text.trim_end_matches('=');
    !body.is_empty() && body.bytes().all(|octet| octet.is_ascii_alphanumeric() || b"-._~+/".contains(&octet))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> (String, String, String) {
        let Presented { request } = Presented::parse(text, "GET", None).unwrap_or_else(|error| panic!("{error:?}"));
        let authorization = request.headers.get(AUTHORIZATION).map_or("", |value| value.to_str().unwrap());
        (request.method.to_string(), request.uri.to_string(), authorization.to_owned())
    }

    #[test]
    fn a_token_a_header_and_a_curl_line_are_the_same_request() {
        let expected = ("GET".to_owned(), "https://api.example/".to_owned(), "Bearer abc".to_owned());
        for text in
            ["abc", " abc\n", "Bearer abc", "Authorization: Bearer abc", "authorization:Bearer abc\naccept: */*"]
        {
            assert_eq!(parsed(text), expected, "{text:?}");
        }
        let curl = "curl -i -X PUT -H 'Accept: */*' \\\n  -H \"Authorization: Bearer abc\" https://a.example/x?y=1";
        assert_eq!(parsed(curl), ("PUT".into(), "https://a.example/x?y=1".into(), "Bearer abc".into()));
        assert_eq!(parsed("curl https://a.example --oauth2-bearer abc -d x").0, "POST");
        assert_eq!(parsed("curl -H'Authorization: DPoP abc' --url http://127.0.0.1:1/").2, "DPoP abc");
    }

    #[test]
    fn a_request_without_a_token_is_told_from_one_with_other_credentials() {
        for (text, part) in [
            ("Basic YWxpY2U6c2VjcmV0", "is Basic"),
            ("authorization: basic YWxpY2U6c2VjcmV0", "is Basic"),
            ("Authorization: YWxpY2U6c2VjcmV0", "does not begin with"),
            ("Authorization: YWxpY2U6c2VjcmV0 x", "does not begin with"),
            ("curl -u alice:YWxpY2U6c2VjcmV0 https://a.example", "no header has a token"),
            ("Accept: */*", "no header has a token"),
        ] {
            let presented = Presented::parse(text, "GET", None).unwrap_or_else(|error| panic!("{error:?}"));
            let failure = format!("{:?}", presented.without_token());
            assert!(failure.contains(part) && failure.contains("`Authorization: Bearer <token>`"), "{failure}");
            assert!(!failure.contains("YWxpY2U6c2VjcmV0"), "{failure}");
        }
    }

    #[test]
    fn an_error_shows_nothing_of_what_was_read() {
        for text in [
            "",
            " \n",
            "a b\nc d",
            "curl 'abcdef",
            "abcdef ghi",
            "abcdef!!",
            "\"abcdef\"",
            "=",
            "curl -H 'a\u{1}b: abcdef' https://a.example/",
        ] {
            let error = format!("{:?}", Presented::parse(text, "GET", None).err().expect(text));
            assert!(!error.contains("abcdef"), "{error}");
        }
    }
}
