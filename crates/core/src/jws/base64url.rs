use std::ops::Deref;

use base64::{
    Engine as _,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};

/// base64url without padding, and with the unused bits of the last character zero, so that each value has one spelling
/// (RFC 7515 §2, RFC 4648 §3.5).
const STRICT: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::URL_SAFE,
    GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_allow_trailing_bits(false)
        .with_decode_padding_mode(DecodePaddingMode::RequireNone),
);

pub(super) fn decode(text: &str) -> Option<Vec<u8>> {
    STRICT.decode(text).ok()
}

/// How many bytes are kept without asking for memory: a header, and the signature of an RSA key of 4096 bits.
const SHORT: usize = 512;

/// Decoded bytes, which need no memory of their own where they are few.
#[expect(clippy::large_enum_variant, reason = "memory on the stack is what this is for")]
pub(crate) enum Decoded {
    Few { bytes: [u8; SHORT], length: usize },
    Many(Vec<u8>),
}

pub(super) fn decode_short(text: &str) -> Option<Decoded> {
    if text.len() > SHORT / 3 * 4 {
        return decode(text).map(Decoded::Many);
    }
    let mut bytes = [0; SHORT];
    let length = STRICT.decode_slice(text, &mut bytes).ok()?;
    Some(Decoded::Few { bytes, length })
}

impl Deref for Decoded {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Few { bytes, length } => &bytes[..*length],
            Self::Many(bytes) => bytes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_value_has_one_spelling() {
        assert_eq!(decode("AQAB").unwrap(), [1, 0, 1]);
        assert_eq!(decode("_-8").unwrap(), [0xff, 0xef]);
        assert_eq!(decode("").as_deref(), Some(&[][..]));
        for bad in ["AQAB=", "AQ==", "/+8", "AR", "A", "AQA B", "AQAB\n", "_-9", "AQA\u{e9}"] {
            assert_eq!(decode(bad), None, "{bad}");
            assert!(decode_short(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn few_bytes_and_many_are_the_same_bytes() {
        for length in [0, 1, 2, 3, 256, 509, 510, 511, 512, 513, 600] {
            let bytes: Vec<u8> = (0..length).map(|number| u8::try_from(number % 251).unwrap()).collect();
            let text = STRICT.encode(&bytes);
            assert_eq!(*decode_short(&text).unwrap(), *bytes, "{length}");
            assert_eq!(decode(&text).unwrap(), bytes, "{length}");
        }
    }
}
