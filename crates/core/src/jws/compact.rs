use super::base64url::{self, Decoded};
use crate::Reason;

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
        let mut parts = token.split('.');
        let (Some(header), Some(payload), Some(signature)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(Reason::MalformedToken);
        };
        match (parts.next(), parts.next(), parts.next()) {
            (None, ..) => {}
            (Some(_), Some(_), None) => return Err(Reason::EncryptedToken),
            _ => return Err(Reason::MalformedToken),
        }
        if header.is_empty() || payload.is_empty() || signature.is_empty() {
            return Err(Reason::MalformedToken);
        }
        Ok(Self { header, payload, signature, signing_input: &token[..header.len() + 1 + payload.len()] })
    }

    pub(crate) fn header(&self) -> Result<Decoded, Reason> {
        base64url::decode_short(self.header).ok_or(Reason::MalformedToken)
    }

    pub(crate) fn payload(&self) -> Result<Vec<u8>, Reason> {
        base64url::decode(self.payload).ok_or(Reason::MalformedToken)
    }

    pub(crate) fn signature(&self) -> Result<Decoded, Reason> {
        base64url::decode_short(self.signature).ok_or(Reason::MalformedToken)
    }

    /// What the signature is over.
    pub(crate) fn signing_input(&self) -> &'a [u8] {
        self.signing_input.as_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(token: &str) -> Option<Reason> {
        Compact::parse(token).err()
    }

    #[test]
    fn three_parts_none_of_them_empty() {
        let compact = Compact::parse("AQ.Ag.Aw").ok().unwrap();
        let parts =
            (compact.header().unwrap().to_vec(), compact.payload().unwrap(), compact.signature().unwrap().to_vec());
        assert_eq!(parts, (vec![1], vec![2], vec![3]));
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
        assert_eq!(compact.header().err(), Some(Reason::MalformedToken));
        assert_eq!(compact.payload(), Err(Reason::MalformedToken));
        assert_eq!(compact.signature().err(), Some(Reason::MalformedToken));
    }
}
