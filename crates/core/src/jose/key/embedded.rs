//! A public key that a JWS brings along.

use std::borrow::Cow;

use super::jwk::{Jwk, PRIVATE};
use crate::{
    crypto::{CryptoBackend, VerifyingKey},
    jose::{Algorithm, json::Value, rsa_modulus},
};

/// The longest RSA modulus, in bytes. Strangers send keys, and the cost of a check grows with the square of the length.
const MAX_MODULUS: usize = 512;

/// The public key in a header (`jwk`, RFC 7515 §4.1.3), within the bounds that hold for keys of a set. It proves who signed and
/// nothing else: whether the signer is to be trusted is for the caller to know.
pub(crate) struct EmbeddedKey<'v> {
    jwk: Jwk,
    /// The members that its thumbprint is made of, in order.
    members: Vec<(&'static str, &'v str)>,
}

impl<'v> EmbeddedKey<'v> {
    pub(crate) fn read(element: &'v Value<'v>) -> Result<Self, Cow<'static, str>> {
        let jwk = Jwk::read(0, element)?;
        if jwk.modulus().is_some_and(|modulus| modulus.len() > MAX_MODULUS) {
            return Err("its modulus is longer than 4096 bits, and so the check of a signature".into());
        }
        let Value::Object(all) = element else { return Err("it is not an object".into()) };
        // Where a member is `null`, it is absent from a key of an issuer, and too much of one for a client.
        // DPOP-5: a private member refuses the proof, whatever it holds.
        if all.iter().any(|(name, _)| PRIVATE.contains(&&**name)) {
            return Err("it has a private member".into());
        }
        let find = |wanted: &'static str| {
            all.iter().find_map(|(name, value)| match value {
                Value::String(text) if name == wanted => Some((wanted, &**text)),
                _ => None,
            })
        };
        let members = jwk.public_key.members().iter().filter_map(|name| find(name)).collect();
        Ok(Self { jwk, members })
    }

    /// Whether signatures of this algorithm can be by this key.
    pub(crate) fn fits(&self, algorithm: Algorithm) -> bool {
        self.jwk.algorithm.is_none_or(|own| own == algorithm) && self.jwk.public_key.fits(algorithm)
    }

    /// Whether `signature` is this key's over `message`. It is not, where this is no valid key. To prepare a key for one check
    /// would be the dearer way.
    pub(crate) fn verify(
        &self,
        algorithm: Algorithm,
        backend: CryptoBackend,
        message: &[u8],
        signature: &[u8],
    ) -> bool {
        self.jwk.public_key.verify(algorithm, backend, message, signature)
    }

    /// The key, ready to verify many signatures of an algorithm that fits it. `None` where it is no valid key.
    pub(crate) fn prepare(&self, algorithm: Algorithm, backend: CryptoBackend) -> Option<VerifyingKey> {
        VerifyingKey::new(backend, algorithm, &self.jwk.public_key)
    }

    /// The SHA-256 thumbprint (RFC 7638 §3), of the members as they were written: a key has one canonical form.
    pub(crate) fn thumbprint(&self, backend: CryptoBackend) -> [u8; 32] {
        let mut parts: Vec<&[u8]> = Vec::with_capacity(21);
        for (index, (name, value)) in self.members.iter().enumerate() {
            let before: &[u8] = if index == 0 { b"{\"" } else { b",\"" };
            parts.extend([before, name.as_bytes(), b"\":\"", value.as_bytes(), b"\""]);
        }
        parts.push(b"}");
        backend.sha256(&parts)
    }

    /// Why others than the key's holder may sign with it, so far as that is told quickly. Whether an RSA modulus is a prime is not
    /// examined, which takes a third of a second in the worst case: it is the client's own key, and its own loss.
    pub(crate) fn weakness(&self) -> Option<&'static str> {
        self.jwk.modulus().and_then(rsa_modulus::quickly_found_weakness)
    }
}

#[cfg(test)]
#[cfg(any(feature = "aws-lc-rs", feature = "rust-crypto"))]
mod tests {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

    use super::*;
    use crate::{
        crypto::tests::{BACKENDS, public_jwk},
        jose::json,
    };

    /// What there is to know about a key in a proof.
    fn with_key<T>(jwk: &str, ask: impl FnOnce(Result<EmbeddedKey<'_>, Cow<'static, str>>) -> T) -> T {
        let members = json::object(jwk.as_bytes(), |_| true).unwrap();
        ask(EmbeddedKey::read(&Value::Object(members)))
    }

    fn thumbprint(jwk: &str) -> String {
        let members = json::object(jwk.as_bytes(), |_| true).unwrap();
        let value = Value::Object(members);
        let key = EmbeddedKey::read(&value).unwrap_or_else(|fault| panic!("{fault}"));
        let mut digests = BACKENDS.iter().map(|backend| URL_SAFE_NO_PAD.encode(key.thumbprint(*backend)));
        let digest = digests.next().unwrap();
        assert!(digests.all(|other| other == digest));
        digest
    }

    #[test]
    fn dpop_13_thumbprints_are_those_of_the_rfcs() {
        // RFC 7638 §3.1.
        let rsa = r#"{"kty":"RSA","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw","e":"AQAB","alg":"RS256","kid":"2011-04-29"}"#;
        assert_eq!(thumbprint(rsa), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
        // RFC 8037 §A.3.
        let ed25519 = r#"{"crv":"Ed25519","kty":"OKP","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
        assert_eq!(thumbprint(ed25519), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
        // RFC 9449 §6.1, whose key is that of §4.1.
        let p256 = r#"{"y":"9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA","kty":"EC","ext":true,"x":"l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs","crv":"P-256"}"#;
        assert_eq!(thumbprint(p256), "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I");
    }

    #[test]
    fn dpop_5_a_modulus_has_4096_bits_at_most() {
        let fault = |bytes: usize| {
            let n = URL_SAFE_NO_PAD.encode(vec![0xff; bytes]);
            with_key(&format!(r#"{{"kty":"RSA","n":"{n}","e":"AQAB"}}"#), |key| key.err())
        };
        assert_eq!((fault(256), fault(512)), (None, None));
        for longer in [513, 1024] {
            assert!(fault(longer).is_some_and(|fault| fault.contains("4096 bits")), "{longer}");
        }
    }

    #[test]
    fn dpop_5_an_algorithm_fits_the_key_and_what_it_says_of_itself() {
        let fits = |mut jwk: serde_json::Value, own: Option<&str>, algorithm| {
            jwk.as_object_mut().unwrap().remove("alg");
            jwk.as_object_mut().unwrap().extend(own.map(|own| ("alg".to_owned(), own.into())));
            with_key(&jwk.to_string(), |key| key.unwrap_or_else(|fault| panic!("{fault}")).fits(algorithm))
        };
        let (rsa, p256) = (public_jwk("a-rsa-noalg"), public_jwk("a-es256"));
        for algorithm in [Algorithm::Rs256, Algorithm::Ps256] {
            assert!(fits(rsa.clone(), None, algorithm) && !fits(p256.clone(), None, algorithm));
            assert_eq!(fits(rsa.clone(), Some("PS256"), algorithm), algorithm == Algorithm::Ps256);
        }
        for own in [None, Some("ES256")] {
            assert!(fits(p256.clone(), own, Algorithm::Es256) && !fits(p256.clone(), own, Algorithm::Es384), "{own:?}");
        }
    }

    #[test]
    fn dpop_5_a_modulus_with_a_small_factor_is_told() {
        let weakness = |n: Vec<u8>| {
            let n = URL_SAFE_NO_PAD.encode(n);
            let jwk = format!(r#"{{"kty":"RSA","n":"{n}","e":"AQAB"}}"#);
            with_key(&jwk, |key| key.unwrap_or_else(|fault| panic!("{fault}")).weakness())
        };
        // 2^2048 - 1, which 3 divides.
        assert!(weakness(vec![0xff; 256]).is_some_and(|weakness| weakness.contains("factor")));
        assert_eq!(
            with_key(&public_jwk("a-rsa-noalg").to_string(), |key| key.ok().map(|key| key.weakness())),
            Some(None)
        );
    }
}
