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
        }
    }
}
