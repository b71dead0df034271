//! The two ways to sign, and to check a signature. The provider is named at the call, never taken from the process, so
//! that nothing another crate installs or compiles in can change or break a signature.

use aws_lc_rs::hmac;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, crypto::aws_lc::DEFAULT_PROVIDER};

use crate::SigningAlgorithm;

/// Signs with a key that [`Material`](crate::keys) made, of the kind that `algorithm` needs.
pub(crate) fn sign(algorithm: SigningAlgorithm, key: &EncodingKey, message: &[u8]) -> Vec<u8> {
    (DEFAULT_PROVIDER.signer_factory)(&registered(algorithm), key)
        .expect("the key was written by AWS-LC and fits the algorithm")
        .try_sign(message)
        .expect("AWS-LC signs with a key that it has accepted")
}

/// The HMAC of `HS256`, which the issuer itself never uses: it is for forgeries, and for the assertions of clients. A forger's
/// secret may be empty, which jsonwebtoken would refuse.
pub(crate) fn hs256(secret: &[u8], message: &[u8]) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), message).as_ref().to_vec()
}

/// Whether the signature is that of the message, by this algorithm and the private half of this key.
pub(crate) fn is_signed(algorithm: SigningAlgorithm, key: &DecodingKey, message: &[u8], signature: &[u8]) -> bool {
    let verifier = (DEFAULT_PROVIDER.verifier_factory)(&registered(algorithm), key);
    verifier.is_ok_and(|verifier| verifier.verify(message, &signature.to_vec()).is_ok())
}

/// Whether the signature is the HMAC of `HS256`, as an assertion by a client's secret has it.
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
