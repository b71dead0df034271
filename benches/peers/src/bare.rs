//! The signature check alone, with a key that was parsed before.

use std::{error::Error, hint::black_box};

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents,
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use scopegate_testing::{SigningAlgorithm, SigningKey};

/// Checks the signature of `token` as often as it is called.
pub(crate) fn signature_check(key: &SigningKey, token: &str) -> Result<impl Fn() + use<>, Box<dyn Error>> {
    let jwk = key.public_jwk();
    let member = |name: &str| URL_SAFE_NO_PAD.decode(jwk[name].as_str().unwrap_or_default());
    let key = match key.algorithm() {
        SigningAlgorithm::Rs256 => RsaPublicKeyComponents { n: member("n")?, e: member("e")? }
            .to_parsed_public_key(&RSA_PKCS1_2048_8192_SHA256)?,
        SigningAlgorithm::Es256 => {
            ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, [vec![4], member("x")?, member("y")?].concat())?
        }
        SigningAlgorithm::EdDsa => ParsedPublicKey::new(&ED25519, member("x")?)?,
        other => return Err(format!("{} is not measured", other.name()).into()),
    };
    let (input, signature) = token.rsplit_once('.').ok_or("a token without a dot")?;
    let (input, signature) = (input.to_owned(), URL_SAFE_NO_PAD.decode(signature)?);
    Ok(move || key.verify_sig(black_box(input.as_bytes()), &signature).expect("a good signature"))
}
