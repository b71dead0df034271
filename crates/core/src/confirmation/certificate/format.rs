//! The forms in which proxies send a certificate.

use base64_simd::STANDARD;
use http::HeaderName;

use crate::crypto::CryptoBackend;

pub(super) const CLIENT_CERT: HeaderName = HeaderName::from_static("client-cert");
pub(super) const X_FORWARDED_CLIENT_CERT: HeaderName = HeaderName::from_static("x-forwarded-client-cert");

/// The longest value that is read. Certificates have one or two kilobytes, and those with post-quantum signatures up to ten.
pub(super) const MAX_LENGTH: usize = 16 * 1024;

/// The form of a header's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// A byte sequence (RFC 9440 §2.1, RFC 9651 §3.3.5) without parameters.
    ByteSequence,
    /// nginx's: PEM, percent-encoded.
    EscapedPem,
    /// Envoy's: elements separated by commas, of pairs separated by semicolons.
    Xfcc,
}

impl Format {
    /// The thumbprint of the certificate that a value holds.
    ///
    /// # Errors
    ///
    /// When it is not exactly one certificate in this form, in words that say what was found.
    pub(super) fn thumbprint(self, value: &[u8], crypto: CryptoBackend) -> Result<[u8; 32], &'static str> {
        if value.len() > MAX_LENGTH {
            return Err("more than 16384 bytes");
        }
        let der = match self {
            Self::ByteSequence => byte_sequence(value)?,
            Self::EscapedPem => escaped_pem(value)?,
            Self::Xfcc => return xfcc_hash(value),
        };
        if !is_sequence(&der) {
            return Err("base64 of something that is not one certificate in DER");
        }
        Ok(crypto.sha256(&[&der]))
    }
}

/// Whether the bytes are one `SEQUENCE` in DER, as a certificate is (RFC 5280 §4.1). What is in it is not looked at.
fn is_sequence(der: &[u8]) -> bool {
    let (length, contents) = match der {
        [0x30, length @ 0..=0x7f, contents @ ..] => (usize::from(*length), contents),
        [0x30, 0x81, length @ 0x80..=0xff, contents @ ..] => (usize::from(*length), contents),
        [0x30, 0x82, high @ 1..=0xff, low, contents @ ..] => (usize::from(*high) << 8 | usize::from(*low), contents),
        // Longer ones do not fit into a value.
        _ => return false,
    };
    contents.len() == length
}

fn byte_sequence(value: &[u8]) -> Result<Vec<u8>, &'static str> {
    // MTLS-3: one byte sequence (RFC 9440 §2.1), and no list.
    let base64 = value
        .trim_ascii()
        .strip_prefix(b":")
        .and_then(|rest| rest.strip_suffix(b":"))
        .ok_or("no byte sequence, which is base64 between two colons")?;
    // Rejects everything outside of the alphabet, and with it a list of byte sequences.
    STANDARD.decode_to_vec(base64).map_err(|_| "a byte sequence that is not base64")
}

fn escaped_pem(value: &[u8]) -> Result<Vec<u8>, &'static str> {
    const BEGIN: &[u8] = b"-----BEGIN CERTIFICATE-----";
    const END: &[u8] = b"-----END CERTIFICATE-----";
    let pem = percent_decoded(value).ok_or("no percent-encoded text")?;
    let base64: Vec<u8> = pem
        .trim_ascii()
        .strip_prefix(BEGIN)
        .and_then(|rest| rest.strip_suffix(END))
        .ok_or("no certificate in PEM, percent-encoded")?
        .iter()
        .copied()
        .filter(|byte| !matches!(byte, b'\r' | b'\n'))
        .collect();
    // A second certificate begins with hyphens, which the alphabet does not have.
    STANDARD.decode_to_vec(base64).map_err(|_| "PEM that is not base64 between its first line and its last")
}

/// Decodes `%XX` (RFC 3986 §2.1). A plus sign is one, since base64 has some.
fn percent_decoded(text: &[u8]) -> Option<Vec<u8>> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, after)) = rest.split_first() {
        let byte = match (byte, after) {
            (b'%', [high, low, after @ ..]) => {
                rest = after;
                hex(*high)? << 4 | hex(*low)?
            }
            (b'%', _) => return None,
            _ => {
                rest = after;
                byte
            }
        };
        decoded.push(byte);
    }
    Some(decoded)
}

fn hex(digit: u8) -> Option<u8> {
    // At most 15.
    char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

/// The value of `Hash` in the only element of `x-forwarded-client-cert`.
///
/// Envoy always writes `Hash`, and writes names from the certificate after it without quotes. A certificate can thus add pairs
/// and elements to its value, but cannot remove the genuine `Hash`: a value with two of them, or two elements, is refused.
fn xfcc_hash(value: &[u8]) -> Result<[u8; 32], &'static str> {
    let mut hash = None;
    let mut rest = value;
    loop {
        let other_than_pairs = "an element with something other than pairs";
        let (name, after) = split_at_byte(rest, b'=').ok_or(other_than_pairs)?;
        // A client's own text, to which a proxy has appended its element, may end before its `=`.
        if name.is_empty() || !name.iter().all(u8::is_ascii_alphanumeric) {
            return Err(other_than_pairs);
        }
        let (value, after) = xfcc_value(after).ok_or("an element with a badly quoted value")?;
        if name.eq_ignore_ascii_case(b"Hash") && hash.replace(value).is_some() {
            return Err("more than one `Hash`");
        }
        match after {
            [] => break,
            [b';', after @ ..] => rest = after,
            _ => return Err("more than one element, so that another proxy or the client wrote one"),
        }
    }
    let hash = hash.ok_or("no `Hash`")?;
    let (digits, []) = hash.as_chunks::<2>() else { return Err("a `Hash` that is not SHA-256 in hexadecimal digits") };
    digits
        .iter()
        .map(|[high, low]| Some(hex(*high)? << 4 | hex(*low)?))
        .collect::<Option<Vec<u8>>>()
        .and_then(|hash| hash.try_into().ok())
        .ok_or("a `Hash` that is not SHA-256 in hexadecimal digits")
}

/// The text before the first `separator`, and the text after it.
fn split_at_byte(text: &[u8], separator: u8) -> Option<(&[u8], &[u8])> {
    let at = text.iter().position(|&byte| byte == separator)?;
    Some((&text[..at], &text[at + 1..]))
}

/// A value, quoted or not, and what follows it: nothing, `;` or `,`. Escapes stay as they are: no value that is read has any.
fn xfcc_value(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let is_end = |byte: &u8| matches!(byte, b';' | b',');
    let Some(quoted) = text.strip_prefix(b"\"") else {
        let (value, after) = text.split_at(text.iter().position(is_end).unwrap_or(text.len()));
        return (!value.contains(&b'"')).then_some((value, after));
    };
    let mut is_escaped = false;
    let end = quoted.iter().position(|&byte| {
        let is_quote = byte == b'"' && !is_escaped;
        is_escaped = byte == b'\\' && !is_escaped;
        is_quote
    })?;
    let after = &quoted[end + 1..];
    after.first().is_none_or(is_end).then_some((&quoted[..end], after))
}
