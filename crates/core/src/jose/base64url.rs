//! Strict base64url: without padding and with zeros in the unused bits, so that each value has one spelling (RFC 7515 §2, RFC
//! 4648 §3.5).

use std::mem::MaybeUninit;

use base64_simd::{Out, URL_SAFE_NO_PAD as STRICT};

// JOSE-2, JOSE-3: `STRICT` takes no padding, and no bits that are not zero and not used.
pub(super) fn decode(text: &str) -> Option<Vec<u8>> {
    STRICT.decode_to_vec(text).ok()
}

/// A decoding buffer that allocates only for more than `FEW` bytes.
pub(crate) struct Buffer<const FEW: usize> {
    few: [MaybeUninit<u8>; FEW],
    many: Vec<u8>,
}

impl<const FEW: usize> Buffer<FEW> {
    pub(crate) const fn new() -> Self {
        Self { few: [const { MaybeUninit::uninit() }; FEW], many: Vec::new() }
    }

    pub(crate) fn decode(&mut self, text: &str) -> Option<&[u8]> {
        // Three bytes from four characters, without padding: two or three remaining characters are one or two bytes.
        if text.len() * 3 / 4 > FEW {
            self.many = decode(text)?;
            return Some(&self.many);
        }
        STRICT.decode(text.as_bytes(), Out::from_uninit_slice(&mut self.few)).ok().map(|bytes| &*bytes)
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
            assert!(Buffer::<512>::new().decode(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn few_bytes_and_many_are_the_same_bytes() {
        for length in [0, 1, 2, 3, 256, 509, 510, 511, 512, 513, 600] {
            let bytes: Vec<u8> = (0..length).map(|number| u8::try_from(number % 251).unwrap()).collect();
            let text = STRICT.encode_to_string(&bytes);
            let mut buffer = Buffer::<512>::new();
            assert_eq!(buffer.decode(&text).unwrap(), bytes, "{length}");
            assert_eq!(buffer.many.is_empty(), length <= 512, "{length}");
            assert_eq!(decode(&text).unwrap(), bytes, "{length}");
        }
    }

    /// Compares with an independent decoder, which reads one character after the other.
    #[test]
    fn what_is_strict_base64url_is_beyond_dispute() {
        use base64::{
            Engine as _,
            engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
        };
        const PLAIN: GeneralPurpose = GeneralPurpose::new(
            &base64::alphabet::URL_SAFE,
            GeneralPurposeConfig::new()
                .with_decode_allow_trailing_bits(false)
                .with_decode_padding_mode(DecodePaddingMode::RequireNone),
        );

        // Each byte at each place of texts of many lengths, so that it meets every SIMD lane and every remainder.
        for length in [1, 2, 3, 4, 5, 6, 7, 8, 15, 16, 17, 31, 32, 33, 34, 43, 47, 48, 63, 64, 65, 66, 67, 98, 129] {
            for place in 0..length {
                for byte in 0..=0x7f_u8 {
                    let mut text = vec![b'Q'; length];
                    text[place] = byte;
                    let text = std::str::from_utf8(&text).unwrap();
                    assert_eq!(decode(text), PLAIN.decode(text).ok(), "{text:?}");
                }
            }
        }
        for beyond_ascii in ["QQQ\u{e9}", "\u{100}QQ", &format!("{}\u{e9}", "Q".repeat(62))] {
            assert_eq!(decode(beyond_ascii), None, "{beyond_ascii}");
        }
    }
}
