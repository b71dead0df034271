use memchr::memchr;

use super::base64url::{self, Buffer};
use crate::refusal::Reason;

/// The three parts of a compact JWS, still encoded.
#[derive(Clone, Copy)]
pub(crate) struct Compact<'a> {
    header: &'a str,
    payload: &'a str,
    signature: &'a str,
    signing_input: &'a str,
}

impl<'a> Compact<'a> {
    /// Splits `token` into exactly three parts, none of them empty (RFC 7515 §7.1; JOSE-1).
    pub(crate) fn parse(token: &'a str) -> Result<Self, Reason> {
        let (header, rest) = part(token).ok_or(Reason::MalformedToken)?;
        let (payload, signature) = part(rest).ok_or(Reason::MalformedToken)?;
        if let Some((_, rest)) = part(signature) {
            // Five parts are a JWE (RFC 7516 §7.1). JOSE-12, JOSE-13, JOSE-14: none is decrypted.
            return Err(match part(rest) {
                Some((_, last)) if part(last).is_none() => Reason::EncryptedToken,
                _ => Reason::MalformedToken,
            });
        }
        // JOSE-7: nothing is signed by an empty signature.
        if header.is_empty() || payload.is_empty() || signature.is_empty() {
            return Err(Reason::MalformedToken);
        }
        Ok(Self { header, payload, signature, signing_input: &token[..header.len() + 1 + payload.len()] })
    }

    pub(crate) fn header<'b, const N: usize>(&self, buffer: &'b mut Buffer<N>) -> Result<&'b [u8], Reason> {
        buffer.decode(self.header).ok_or(Reason::MalformedToken)
    }

    pub(crate) fn payload<'b, const N: usize>(&self, buffer: &'b mut Buffer<N>) -> Result<&'b [u8], Reason> {
        buffer.decode(self.payload).ok_or(Reason::MalformedToken)
    }

    pub(crate) fn signature<'b, const N: usize>(&self, buffer: &'b mut Buffer<N>) -> Result<&'b [u8], Reason> {
        buffer.decode(self.signature).ok_or(Reason::MalformedToken)
    }

    /// Whether the signature ends in padding, which credentials may have (RFC 6750 `b64token`) and a JWS may not.
    pub(crate) fn is_padded(&self) -> bool {
        self.signature.ends_with('=')
    }

    /// The header, still encoded.
    pub(crate) fn encoded_header(&self) -> &'a str {
        self.header
    }

    /// The signing input: header and payload, still encoded.
    pub(crate) fn signing_input(&self) -> &'a [u8] {
        self.signing_input.as_bytes()
    }
}

/// The text before the first dot, and the text after it.
fn part(text: &str) -> Option<(&str, &str)> {
    let dot = memchr(b'.', text.as_bytes())?;
    Some((&text[..dot], &text[dot + 1..]))
}

/// A part of a token that is refused, as a JSON object, for the words about it. It may repeat members: decide nothing by it.
pub(crate) fn peek(part: &str) -> Option<serde_json::Map<String, serde_json::Value>> {
    serde_json::from_slice(&base64url::decode(part)?).ok()
}

/// Whether a token looks like a JWT: the text before its first dot decodes to the beginning of a JSON object, a brace and then
/// a quotation mark or the other brace.
///
/// The text is decoded only up to there, and the rest may be malformed: what some reader might take for a JWT must never pass
/// for an opaque token. The characters in which the two alphabets of base64 differ cannot occur in such a beginning.
pub(crate) fn is_jwt_shaped(token: &str) -> bool {
    let Some((header, _)) = token.split_once('.') else { return false };
    let (mut bits, mut held, mut is_open) = (0_u32, 0_u32, false);
    for character in header.bytes() {
        let value = match character {
            b'A'..=b'Z' => character - b'A',
            b'a'..=b'z' => character - b'a' + 26,
            b'0'..=b'9' => character - b'0' + 52,
            _ => return false,
        };
        (bits, held) = (bits << 6 | u32::from(value), held + 6);
        if held >= 8 {
            held -= 8;
            match u8::try_from((bits >> held) & 0xff).unwrap_or_default() {
                b' ' | b'\t' | b'\n' | b'\r' => {}
                b'{' if !is_open => is_open = true,
                byte => return is_open && matches!(byte, b'"' | b'}'),
            }
            bits &= (1 << held) - 1;
        }
    }
    false
}

/// A JWT without its signature, and any other token whole. An ECDSA signature has a second encoding that verifies as well, which
/// the holder of a token can compute; this part is the same for both.
pub(crate) fn signed_part(token: &str) -> &str {
    token.rsplit_once('.').filter(|_| is_jwt_shaped(token)).map_or(token, |(signed, _)| signed)
}

#[cfg(test)]
mod tests {
    use ::base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

    use super::*;

    type Bytes = Buffer<8>;

    fn refusal(token: &str) -> Option<Reason> {
        Compact::parse(token).err()
    }

    #[test]
    fn three_parts_none_of_them_empty() {
        let compact = Compact::parse("AQ.Ag.Aw").ok().unwrap();
        assert_eq!(compact.header(&mut Bytes::new()).unwrap(), [1]);
        assert_eq!(compact.payload(&mut Bytes::new()).unwrap(), [2]);
        assert_eq!(compact.signature(&mut Bytes::new()).unwrap(), [3]);
        assert_eq!(compact.signing_input(), b"AQ.Ag");
        for malformed in
            ["", "a", "a.b", ".b.c", "a..c", "a.b.", "..", "a.b.c.d", "a.b.c.", "a.b.c.d.e.f", &".".repeat(1000)]
        {
            assert_eq!(refusal(malformed), Some(Reason::MalformedToken), "{malformed}");
        }
        assert_eq!(refusal("a.b.c.d.e"), Some(Reason::EncryptedToken));
        assert_eq!(refusal("...."), Some(Reason::EncryptedToken));
    }

    #[test]
    fn each_part_is_strict_base64url() {
        let compact = Compact::parse("AR.A=.A").ok().unwrap();
        assert_eq!(compact.header(&mut Bytes::new()), Err(Reason::MalformedToken));
        assert_eq!(compact.payload(&mut Bytes::new()), Err(Reason::MalformedToken));
        assert_eq!(compact.signature(&mut Bytes::new()), Err(Reason::MalformedToken));
    }

    #[test]
    fn a_jwt_begins_with_the_base64_of_a_json_object() {
        let begins = |text: &str| is_jwt_shaped(&format!("{}.x", URL_SAFE_NO_PAD.encode(text)));
        for header in ["{}", r#"{"alg":"#, "\n { \t}", "  {\r\n \"~~~???", "{\"\u{ff}"] {
            assert!(begins(header), "{header:?}");
        }
        for other in ["", "{", "  ", "[]", "{{}", "}", "\"alg\"", "{a", "{1}", "~{}", "?{}"] {
            assert!(!begins(other), "{other:?}");
        }
        assert!(!is_jwt_shaped(&URL_SAFE_NO_PAD.encode("{}")), "there is no dot");
        assert!(
            is_jwt_shaped("eyI/.x") && is_jwt_shaped("eyI_.x") && !is_jwt_shaped("ey?.x") && !is_jwt_shaped("ey/.x")
        );
    }
}
