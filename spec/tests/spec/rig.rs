//! Keys, tokens and requests for the tests, and the resource server they are sent to.

use std::sync::LazyLock;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ed25519_dalek::Signer as _;
use rand::{SeedableRng as _, rngs::StdRng};
use rsa::{
    BigUint, Pkcs1v15Sign, Pss, RsaPrivateKey,
    traits::{PrivateKeyParts as _, PublicKeyParts as _},
};
use scopegate_spec::{
    Answer, Answers, Config, Decision, ErrorCode, Issuer, KeySet, Keys, Request, Scheme, State, decide,
};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256, Sha384, Sha512};

pub(crate) const NOW: i64 = 1_800_000_000;
pub(crate) const ISSUER: &str = "https://as.example";
pub(crate) const AUDIENCE: &str = "https://api.example/r";

pub(crate) struct Pair {
    pub(crate) kid: &'static str,
    pub(crate) alg: &'static str,
    pub(crate) private: Private,
}

pub(crate) enum Private {
    Rsa(Box<RsaPrivateKey>),
    P256(p256::ecdsa::SigningKey),
    P384(p384::ecdsa::SigningKey),
    P521(p521::ecdsa::SigningKey),
    Ed25519(ed25519_dalek::SigningKey),
}

pub(crate) fn b64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn rsa(seed: u64, bits: usize) -> Private {
    Private::Rsa(Box::new(RsaPrivateKey::new(&mut StdRng::seed_from_u64(seed), bits).unwrap()))
}

fn p256(byte: u8) -> Private {
    Private::P256(p256::ecdsa::SigningKey::from_slice(&[byte; 32]).unwrap())
}

pub(crate) static RSA: LazyLock<Pair> = LazyLock::new(|| Pair { kid: "rsa", alg: "RS256", private: rsa(1, 2048) });
pub(crate) static SMALL: LazyLock<Pair> = LazyLock::new(|| Pair { kid: "small", alg: "RS256", private: rsa(2, 1024) });
pub(crate) static EC: LazyLock<Pair> = LazyLock::new(|| Pair { kid: "ec", alg: "ES256", private: p256(7) });
pub(crate) static OTHER: LazyLock<Pair> = LazyLock::new(|| Pair { kid: "ec", alg: "ES256", private: p256(9) });
pub(crate) static CLIENT: LazyLock<Pair> = LazyLock::new(|| Pair { kid: "client", alg: "ES256", private: p256(11) });
pub(crate) static P384: LazyLock<Pair> = LazyLock::new(|| Pair {
    kid: "p384",
    alg: "ES384",
    private: Private::P384(p384::ecdsa::SigningKey::from_slice(&[7; 48]).unwrap()),
});
pub(crate) static P521: LazyLock<Pair> = LazyLock::new(|| {
    let mut scalar = [7; 66];
    scalar[0] = 0;
    let private = Private::P521(p521::ecdsa::SigningKey::from_slice(&scalar).unwrap());
    Pair { kid: "p521", alg: "ES512", private }
});
pub(crate) static ED: LazyLock<Pair> = LazyLock::new(|| Pair {
    kid: "ed",
    alg: "Ed25519",
    private: Private::Ed25519(ed25519_dalek::SigningKey::from_bytes(&[7; 32])),
});

impl Pair {
    /// The public key, with `kid` and `alg`.
    pub(crate) fn jwk(&self) -> Value {
        let mut jwk = self.bare_jwk();
        jwk["kid"] = self.kid.into();
        jwk["alg"] = self.alg.into();
        jwk
    }

    /// The required members alone.
    pub(crate) fn bare_jwk(&self) -> Value {
        let ec = |crv: &str, point: &[u8]| {
            let (x, y) = point[1..].split_at(point.len() / 2);
            json!({ "kty": "EC", "crv": crv, "x": b64(x), "y": b64(y) })
        };
        match &self.private {
            Private::Rsa(key) => {
                json!({ "kty": "RSA", "n": b64(key.n().to_bytes_be()), "e": b64(key.e().to_bytes_be()) })
            }
            Private::P256(key) => ec("P-256", key.verifying_key().to_encoded_point(false).as_bytes()),
            Private::P384(key) => ec("P-384", key.verifying_key().to_encoded_point(false).as_bytes()),
            Private::P521(key) => ec("P-521", p521::ecdsa::VerifyingKey::from(key).to_encoded_point(false).as_bytes()),
            Private::Ed25519(key) => {
                json!({ "kty": "OKP", "crv": "Ed25519", "x": b64(key.verifying_key().as_bytes()) })
            }
        }
    }

    pub(crate) fn thumbprint(&self) -> String {
        scopegate_spec::keys::read(self.bare_jwk().as_object().unwrap())
            .unwrap_or_else(|rule| panic!("{rule}"))
            .thumbprint
    }

    pub(crate) fn sign(&self, alg: &str, input: &str) -> Vec<u8> {
        match &self.private {
            Private::Rsa(key) => {
                let mut rng = StdRng::seed_from_u64(3);
                let (h256, h384, h512) = (Sha256::digest(input), Sha384::digest(input), Sha512::digest(input));
                match alg {
                    "RS384" => key.sign(Pkcs1v15Sign::new::<Sha384>(), &h384).unwrap(),
                    "RS512" => key.sign(Pkcs1v15Sign::new::<Sha512>(), &h512).unwrap(),
                    "PS256" => key.sign_with_rng(&mut rng, Pss::new::<Sha256>(), &h256).unwrap(),
                    "PS384" => key.sign_with_rng(&mut rng, Pss::new::<Sha384>(), &h384).unwrap(),
                    "PS512" => key.sign_with_rng(&mut rng, Pss::new::<Sha512>(), &h512).unwrap(),
                    _ => key.sign(Pkcs1v15Sign::new::<Sha256>(), &h256).unwrap(),
                }
            }
            Private::P256(key) => {
                let signature: p256::ecdsa::Signature = key.sign(input.as_bytes());
                signature.to_vec()
            }
            Private::P384(key) => {
                let signature: p384::ecdsa::Signature = key.sign(input.as_bytes());
                signature.to_vec()
            }
            Private::P521(key) => {
                let signature: p521::ecdsa::Signature = key.sign(input.as_bytes());
                signature.to_vec()
            }
            Private::Ed25519(key) => key.sign(input.as_bytes()).to_vec(),
        }
    }

    pub(crate) fn private_exponent(&self) -> BigUint {
        match &self.private {
            Private::Rsa(key) => key.d().clone(),
            _ => unreachable!("asked of RSA keys alone"),
        }
    }
}

pub(crate) fn set(keys: &[Value]) -> String {
    json!({ "keys": keys }).to_string()
}

/// A JWS of any header and payload, signed as `alg` would.
pub(crate) fn mint_raw(pair: &Pair, alg: &str, header: impl AsRef<[u8]>, payload: impl AsRef<[u8]>) -> String {
    let input = format!("{}.{}", b64(header), b64(payload));
    let signature = b64(pair.sign(alg, &input));
    format!("{input}.{signature}")
}

pub(crate) fn header(pair: &Pair) -> Value {
    json!({ "typ": "at+jwt", "alg": pair.alg, "kid": pair.kid })
}

pub(crate) fn claims() -> Value {
    json!({
        "iss": ISSUER, "aud": AUDIENCE, "exp": NOW + 300, "iat": NOW, "sub": "alice", "client_id": "web", "jti": "1",
        "scope": "a",
    })
}

/// The members with some set, or taken out by `null`-valued [`DROP`].
pub(crate) fn with(mut object: Value, members: Value) -> Value {
    for (name, value) in members.as_object().unwrap() {
        match value == DROP {
            true => drop(object.as_object_mut().unwrap().remove(name)),
            false => object[name] = value.clone(),
        }
    }
    object
}

pub(crate) const DROP: &str = "\u{1}drop";

/// A token of the EC key with these changes of header and claims.
pub(crate) fn token(header_changes: Value, claims_changes: Value) -> String {
    let header = with(header(&EC), header_changes);
    mint_raw(&EC, "ES256", header.to_string(), with(claims(), claims_changes).to_string())
}

pub(crate) fn good() -> String {
    token(json!({}), json!({}))
}

pub(crate) struct Rig {
    pub(crate) config: Config,
    pub(crate) answers: Answers,
    pub(crate) state: State,
    pub(crate) now: i64,
    pub(crate) certificate: Option<Vec<u8>>,
    pub(crate) method: &'static str,
    pub(crate) uri: String,
}

impl Rig {
    /// One issuer with a key of each kind but RSA, which is slow to read; one audience, no demand.
    pub(crate) fn new() -> Self {
        let keys = [&EC, &P384, &P521, &ED].map(|pair| pair.jwk());
        let mut config = Config::new(AUDIENCE);
        config.issuers.push(Issuer::new(ISSUER, &set(&keys)));
        Self {
            config,
            answers: Answers::new(),
            state: State::default(),
            now: NOW,
            certificate: None,
            method: "GET",
            uri: "/r".to_owned(),
        }
    }

    pub(crate) fn issuer(&mut self) -> &mut Issuer {
        &mut self.config.issuers[0]
    }

    /// The same with an RSA key.
    pub(crate) fn with_rsa() -> Self {
        Self::new().keys(&[&EC, &RSA, &P384, &P521, &ED].map(|pair| pair.jwk()))
    }

    pub(crate) fn keys(mut self, keys: &[Value]) -> Self {
        self.issuer().keys = Keys::Set(KeySet::read(&set(keys)));
        self
    }

    pub(crate) fn answer(&mut self, token: &str, answer: Value) {
        self.answers.insert(token.to_owned(), Answer::Json(answer.to_string()));
    }

    pub(crate) fn send(&mut self, headers: &[(&str, &str)]) -> Decision {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec()));
        self.send_lines(headers.collect())
    }

    pub(crate) fn send_lines(&mut self, headers: Vec<(String, Vec<u8>)>) -> Decision {
        let (method, uri) = (self.method.to_owned(), self.uri.clone());
        let request = Request { method, uri, headers, certificate: self.certificate.clone() };
        decide(&self.config, &self.answers, self.now, &request, &mut self.state)
    }

    pub(crate) fn bearer(&mut self, token: &str) -> Decision {
        self.send(&[("authorization", &format!("Bearer {token}"))])
    }
}

#[track_caller]
pub(crate) fn passes(decision: &Decision) {
    assert_eq!((decision.status, decision.rule), (200, ""), "{decision:?}");
    assert!(decision.caller.is_some() && decision.challenges.is_empty(), "{decision:?}");
}

#[track_caller]
pub(crate) fn bad_token(decision: &Decision, rule: &str) {
    refused(decision, 401, rule, Scheme::Bearer, ErrorCode::InvalidToken);
}

#[track_caller]
pub(crate) fn refused(decision: &Decision, status: u16, rule: &str, scheme: Scheme, error: ErrorCode) {
    assert_eq!((decision.status, decision.rule), (status, rule), "{decision:?}");
    assert!(decision.caller.is_none(), "{decision:?}");
    let of = |challenge: &scopegate_spec::Challenge| (challenge.scheme == scheme).then_some(challenge.error);
    assert_eq!(decision.challenges.iter().find_map(of), Some(Some(error)), "{decision:?}");
    let mut others = decision.challenges.iter().filter(|challenge| challenge.scheme != scheme);
    assert!(others.all(|challenge| challenge.error.is_none()), "{decision:?}");
}

#[track_caller]
pub(crate) fn no_credentials(decision: &Decision) {
    assert_eq!(decision.status, 401, "{decision:?}");
    assert!(!decision.challenges.is_empty(), "{decision:?}");
    assert!(decision.challenges.iter().all(|challenge| challenge.error.is_none()), "{decision:?}");
}

#[track_caller]
pub(crate) fn unavailable(decision: &Decision, rule: &str) {
    assert_eq!((decision.status, decision.rule), (503, rule), "{decision:?}");
    assert!(decision.challenges.is_empty() && decision.caller.is_none(), "{decision:?}");
}
