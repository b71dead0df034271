//! The two ways to sign, and to check a signature. The provider is named at the call, never taken from the process, so
//! that nothing another crate installs or compiles in can change or break a signature.

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, crypto::aws_lc::DEFAULT_PROVIDER};

use crate::SigningAlgorithm;

/// Signs with a key that [`Material`](crate::keys) made, of the kind that `algorithm` needs.
pub(crate) fn sign(algorithm: SigningAlgorithm, key: &EncodingKey, message: &[u8]) -> Vec<u8> {
    signature(registered(algorithm), key, message)
}

/// The HMAC of `HS256`, which the issuer itself never uses: it is for forgeries, and for the assertions of clients.
pub(crate) fn hs256(secret: &[u8], message: &[u8]) -> Vec<u8> {
    signature(Algorithm::HS256, &EncodingKey::from_secret(secret), message)
}

/// Whether the signature is that of the message, by this algorithm and the private half of this key.
pub(crate) fn is_signed(algorithm: SigningAlgorithm, key: &DecodingKey, message: &[u8], signature: &[u8]) -> bool {
    is_signature(registered(algorithm), key, message, signature)
}

/// Whether the signature is the HMAC of `HS256`, as an assertion by a client's secret has it.
pub(crate) fn is_hs256(secret: &[u8], message: &[u8], signature: &[u8]) -> bool {
    is_signature(Algorithm::HS256, &DecodingKey::from_secret(secret), message, signature)
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

fn signature(algorithm: Algorithm, key: &EncodingKey, message: &[u8]) -> Vec<u8> {
    (DEFAULT_PROVIDER.signer_factory)(&algorithm, key)
        .expect("the key was written by AWS-LC and fits the algorithm")
        .try_sign(message)
        .expect("AWS-LC signs with a key that it has accepted")
}

fn is_signature(algorithm: Algorithm, key: &DecodingKey, message: &[u8], signature: &[u8]) -> bool {
    let verifier = (DEFAULT_PROVIDER.verifier_factory)(&algorithm, key);
    verifier.is_ok_and(|verifier| verifier.verify(message, &signature.to_vec()).is_ok())
}
