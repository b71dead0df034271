//! The two ways to sign. The provider is named at the call, never taken from the process, so that nothing another crate
//! installs or compiles in can change or break a signature.

use jsonwebtoken::{Algorithm, EncodingKey, crypto::aws_lc::DEFAULT_PROVIDER};

use crate::SigningAlgorithm;

/// Signs with a key that [`Material`](crate::keys) made, of the kind that `algorithm` needs.
pub(crate) fn sign(algorithm: SigningAlgorithm, key: &EncodingKey, message: &[u8]) -> Vec<u8> {
    let algorithm = match algorithm {
        SigningAlgorithm::Es256 => Algorithm::ES256,
        SigningAlgorithm::Es384 => Algorithm::ES384,
        SigningAlgorithm::EdDsa | SigningAlgorithm::Ed25519 => Algorithm::EdDSA,
        SigningAlgorithm::Ps256 => Algorithm::PS256,
        SigningAlgorithm::Rs256 => Algorithm::RS256,
    };
    signature(algorithm, key, message)
}

/// The HMAC of `HS256`, which is only ever used to forge.
pub(crate) fn hs256(secret: &[u8], message: &[u8]) -> Vec<u8> {
    signature(Algorithm::HS256, &EncodingKey::from_secret(secret), message)
}

fn signature(algorithm: Algorithm, key: &EncodingKey, message: &[u8]) -> Vec<u8> {
    (DEFAULT_PROVIDER.signer_factory)(&algorithm, key)
        .expect("the key was written by AWS-LC and fits the algorithm")
        .try_sign(message)
        .expect("AWS-LC signs with a key that it has accepted")
}
