//! The whole verification against an attacker who can write any token and sign none.
//!
//! Input: a bearer token. The keys of the resource server are RFC examples under the key ids of the seeds' tokens, so that no
//! signature is valid.
//!
//! Invariants: the token is refused at once as `InvalidToken` or `InvalidRequest`; neither the error's text nor its `Debug`
//! contains it.

#![no_main]

mod support;

use std::sync::LazyLock;

use libfuzzer_sys::{Corpus, fuzz_target};
use scopegate_core::{ErrorKind, Issuer, ResourceServer};

use support::{StoppedClock, at_once, request};

/// RFC 7515 appendices A.2 and A.3, RFC 8037 appendix A.2.
const KEYS: &str = r#"{"keys": [
    {"kid": "a-es256", "kty": "EC", "crv": "P-256", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
     "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"},
    {"kid": "a-ed25519", "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},
    {"kid": "a-rs256", "kty": "RSA", "e": "AQAB", "n": "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ"}
]}"#;

static GATE: LazyLock<ResourceServer> = LazyLock::new(|| {
    let builder = ResourceServer::builder()
        .issuer(Issuer::with_jwks("https://idp.example/tenant-a", KEYS))
        .audience("https://api.example")
        .clock(StoppedClock);
    at_once(builder.build()).unwrap()
});

fuzz_target!(|token: &[u8]| -> Corpus {
    let Some(request) = request(token) else { return Corpus::Reject };
    let error = at_once(GATE.authenticate(&request)).expect_err("nobody signed it");
    assert!(matches!(error.kind(), ErrorKind::InvalidRequest | ErrorKind::InvalidToken), "{error}");
    // A shorter text may occur in a message by chance.
    if token.len() > 64 && token.iter().filter(|&&byte| byte == b'.').count() == 2 {
        let token = String::from_utf8_lossy(token);
        assert!(!format!("{error} {error:?}").contains(&*token), "the refusal repeats the token");
    }
    Corpus::Keep
});
