use memchr::memchr;

use super::base64url::Buffer;
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
    /// Splits `token` into exactly three parts, none of them empty.
    pub(crate) fn parse(token: &'a str) -> Result<Self, Reason> {
        let (header, rest) = part(token).ok_or(Reason::MalformedToken)?;
        let (payload, signature) = part(rest).ok_or(Reason::MalformedToken)?;
        if let Some((_, rest)) = part(signature) {
            // Five parts are a JWE (RFC 7516 §7.1).
            return Err(match part(rest) {
                Some((_, last)) if part(last).is_none() => Reason::EncryptedToken,
                _ => Reason::MalformedToken,
            });
        }
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

    /// Whether the signature has padding at its end, which a token may have in a header.
    pub(crate) fn is_padded(&self) -> bool {
        self.signature.ends_with('=')
    }

    /// What the signature is over.
    pub(crate) fn signing_input(&self) -> &'a [u8] {
        self.signing_input.as_bytes()
    }
}

/// The text before the first dot, and what follows it.
fn part(text: &str) -> Option<(&str, &str)> {
    let dot = memchr(b'.', text.as_bytes())?;
    Some((&text[..dot], &text[dot + 1..]))
}

#[cfg(test)]
mod tests {
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
}
