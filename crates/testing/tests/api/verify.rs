//! An independent signature check, by AWS-LC and the published key set.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, RSA_PSS_2048_8192_SHA256,
    RsaParameters, RsaPublicKeyComponents, UnparsedPublicKey, VerificationAlgorithm,
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::Value;

pub(crate) struct Parts {
    pub(crate) header: Value,
    pub(crate) claims: Value,
    pub(crate) signature: Vec<u8>,
    pub(crate) input: String,
}

pub(crate) fn parts(token: &str) -> Parts {
    let (input, signature) = token.rsplit_once('.').unwrap();
    let (header, payload) = input.split_once('.').unwrap();
    let json = |segment| serde_json::from_slice(&octets(segment)).unwrap_or(Value::Null);
    Parts { header: json(header), claims: json(payload), signature: octets(signature), input: input.to_owned() }
}

/// Whether the token is signed with the named key of the set, by the algorithm of its header.
pub(crate) fn is_signed(token: &str, jwks: &str) -> bool {
    let parts = parts(token);
    let jwks: Value = serde_json::from_str(jwks).unwrap();
    let keys = jwks["keys"].as_array().unwrap();
    keys.iter().find(|jwk| jwk["kid"] == parts.header["kid"]).is_some_and(|jwk| is_signed_by(token, jwk))
}

/// Whether the token is signed with this key, by the algorithm of its header.
pub(crate) fn is_signed_by(token: &str, jwk: &Value) -> bool {
    let parts = parts(token);
    let member = |name: &str| octets(jwk[name].as_str().unwrap());
    let point = || [vec![4], member("x"), member("y")].concat();
    match parts.header["alg"].as_str().unwrap() {
        "ES256" => raw(&ECDSA_P256_SHA256_FIXED, &point(), &parts),
        "ES384" => raw(&ECDSA_P384_SHA384_FIXED, &point(), &parts),
        "EdDSA" | "Ed25519" => raw(&ED25519, &member("x"), &parts),
        "PS256" => rsa(&RSA_PSS_2048_8192_SHA256, member("n"), member("e"), &parts),
        "RS256" => rsa(&RSA_PKCS1_2048_8192_SHA256, member("n"), member("e"), &parts),
        _ => false,
    }
}

fn raw(algorithm: &'static dyn VerificationAlgorithm, key: &[u8], parts: &Parts) -> bool {
    UnparsedPublicKey::new(algorithm, key).verify(parts.input.as_bytes(), &parts.signature).is_ok()
}

fn rsa(parameters: &'static RsaParameters, n: Vec<u8>, e: Vec<u8>, parts: &Parts) -> bool {
    RsaPublicKeyComponents { n, e }.verify(parameters, parts.input.as_bytes(), &parts.signature).is_ok()
}

fn octets(base64url: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(base64url).unwrap()
}
