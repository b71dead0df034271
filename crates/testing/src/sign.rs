//! Signing and checking signatures. Every call names the provider and none is taken from the process, so that no other crate
//! can change or break a signature.

use aws_lc_rs::hmac;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, crypto::aws_lc::DEFAULT_PROVIDER};

use crate::SigningAlgorithm;

/// Signs with a key of [`Material`](crate::keys), of the type that `algorithm` needs.
pub(crate) fn sign(algorithm: SigningAlgorithm, key: &EncodingKey, message: &[u8]) -> Vec<u8> {
    (DEFAULT_PROVIDER.signer_factory)(&registered(algorithm), key)
        .expect("the key is by AWS-LC and fits the algorithm")
        .try_sign(message)
        .expect("AWS-LC signs with a key that it has accepted")
}

/// The HMAC of `HS256`, for forgeries and for the assertions of clients. Not by jsonwebtoken, which refuses the empty secret
/// of a forgery.
pub(crate) fn hs256(secret: &[u8], message: &[u8]) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), message).as_ref().to_vec()
}

/// Whether the signature is that of the message, by this algorithm and the private half of this key.
pub(crate) fn is_signed(algorithm: SigningAlgorithm, key: &DecodingKey, message: &[u8], signature: &[u8]) -> bool {
    let verifier = (DEFAULT_PROVIDER.verifier_factory)(&registered(algorithm), key);
    verifier.is_ok_and(|verifier| verifier.verify(message, &signature.to_vec()).is_ok())
}

/// Whether the signature is the HMAC of `HS256`, as in an assertion by a client's secret.
pub(crate) fn is_hs256(secret: &[u8], message: &[u8], signature: &[u8]) -> bool {
    hmac::verify(&hmac::Key::new(hmac::HMAC_SHA256, secret), message, signature).is_ok()
}

fn registered(algorithm: SigningAlgorithm) -> Algorithm {
    match algorithm {
        SigningAlgorithm::Es256 => Algorithm::ES256,
        SigningAlgorithm::Es384 => Algorithm::ES384,
        SigningAlgorithm::EdDsa | SigningAlgorithm::Ed25519 => Algorithm::EdDSA,
        SigningAlgorithm::Ps256 => Algorithm::PS256,
        SigningAlgorithm::Rs256 => Algorithm::RS256,
    }
}
