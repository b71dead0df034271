//! The checks of header and claims, behind a valid signature.
//!
//! Input: the first line is a JOSE header, the rest a payload. The target signs them with the Ed25519 key that both issuers
//! publish as `k`.
//!
//! Invariants of every accepted token, by an independent parser:
//!
//! - no object in it has duplicate members;
//! - it is signed with Ed25519, names no other key, and has no `crit`;
//! - `iss` is one of the two issuers, `aud` has this resource server, `exp`, `nbf` and `iat` fit the time, and there is no
//!   `cnf`;
//! - `typ`, and the claims that the issuer's profile requires or forbids, are right;
//! - the verified token has the claims of the payload.
//!
//! Every other token is refused as `InvalidToken`.

#![no_main]

mod support;

use std::{
    collections::HashSet,
    sync::LazyLock,
    time::{Duration, SystemTime},
};

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use libfuzzer_sys::fuzz_target;
use scopegate_core::{Claims, Error, ErrorKind, Issuer, ResourceServer, Scope, VerifiedToken, jwt::Profile};
use serde_json::{Value, json};

use support::{NOW, StoppedClock, at_once, request};

const STRICT: &str = "https://as.example";
const GENAUTH: &str = "https://as.example/genauth";
const AUDIENCE: &str = "https://api.example";
const LEEWAY: u64 = 60;

static KEY: LazyLock<Ed25519KeyPair> = LazyLock::new(|| Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap());

static GATE: LazyLock<ResourceServer> = LazyLock::new(|| {
    let x = URL_SAFE_NO_PAD.encode(KEY.public_key());
    let keys = json!({"keys": [{"kid": "k", "kty": "OKP", "crv": "Ed25519", "x": x}]}).to_string();
    let builder = ResourceServer::builder()
        .issuer(Issuer::with_jwks(STRICT, keys.as_str()))
        .issuer(Issuer::with_jwks(GENAUTH, keys).profile(Profile::genauth()))
        .audience(AUDIENCE)
        .leeway(Duration::from_secs(LEEWAY))
        .clock(StoppedClock);
    at_once(builder.build()).unwrap()
});

fuzz_target!(
    // Without an accepted token, the target would test nothing.
    init: for good in [&include_bytes!("../seeds/claims/strict")[..], include_bytes!("../seeds/claims/genauth")] {
        let (header, payload) = split(good);
        judge(header, payload).expect("a good token");
    },
    |data: &[u8]| {
        let (header, payload) = split(data);
        match judge(header, payload) {
            Ok(token) => check(header, payload, &token),
            Err(error) => assert_eq!(error.kind(), ErrorKind::InvalidToken, "{error}"),
        }
    }
);

fn split(data: &[u8]) -> (&[u8], &[u8]) {
    let end = data.iter().position(|&byte| byte == b'\n').unwrap_or(data.len());
    (&data[..end], data.get(end + 1..).unwrap_or_default())
}

fn judge(header: &[u8], payload: &[u8]) -> Result<VerifiedToken, Error> {
    let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
    let token = format!("{message}.{}", URL_SAFE_NO_PAD.encode(KEY.sign(message.as_bytes())));
    let request = request(token.as_bytes()).unwrap();
    at_once(GATE.authenticate(&request)).map(|authentication| authentication.token().unwrap().clone())
}

fn check(header: &[u8], payload: &[u8], token: &VerifiedToken) {
    assert!(names_are_unique(header) && names_are_unique(payload));

    let header: Value = serde_json::from_slice(header).unwrap();
    assert!(header["alg"] == "EdDSA" || header["alg"] == "Ed25519");
    assert!(header.get("kid").is_none_or(|kid| kid == "k"));
    assert!(header.get("crit").is_none());
    assert!(header.get("b64").is_none_or(|b64| b64 == true));

    let claims: Value = serde_json::from_slice(payload).unwrap();
    assert!(match &claims["aud"] {
        Value::Array(audiences) => audiences.iter().any(|audience| audience == AUDIENCE),
        audience => audience == AUDIENCE,
    });
    let (now, leeway) = (NOW as f64, LEEWAY as f64);
    assert!(claims["exp"].as_f64().unwrap() > now - leeway);
    assert!(claims["iat"].as_f64().unwrap() <= now + leeway);
    assert!(claims.get("nbf").is_none_or(|nbf| nbf.as_f64().unwrap() <= now + leeway));
    assert!(claims.get("cnf").is_none());

    let typ = header["typ"].as_str().unwrap().to_ascii_lowercase();
    let typ = typ.strip_prefix("application/").unwrap_or(&typ);
    if claims["iss"] == STRICT {
        assert_eq!(typ, "at+jwt");
        for name in ["sub", "client_id", "jti"] {
            assert!(!claims[name].as_str().unwrap().is_empty(), "{name}");
        }
    } else {
        assert_eq!(claims["iss"], GENAUTH);
        assert_eq!(typ, "jwt");
        assert!(claims["scope"].is_string());
        for mark in ["nonce", "at_hash", "c_hash", "events", "token_introspection", "status_list"] {
            assert!(claims.get(mark).is_none(), "{mark}");
        }
        assert_ne!(claims["token_use"], "id");
    }

    assert_eq!(token.issuer(), claims["iss"]);
    let named = |name: &str| claims[name].as_str().filter(|text| !text.is_empty());
    assert_eq!((token.subject(), token.token_id()), (named("sub"), named("jti")));
    assert_eq!(*token.scope(), Scope::parse(claims["scope"].as_str().unwrap_or_default()));
    let expires_at = token.expires_at().unwrap().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs_f64();
    assert!((expires_at - claims["exp"].as_f64().unwrap().min(18_446_744_073.709_551)).abs() < 0.001);
    assert_eq!(Value::Object((*token.claims_as::<Claims>().unwrap()).clone().into_map()), claims);
}

/// Whether every name is unique in its object of a well-formed JSON text. A string is a name if a colon follows it.
fn names_are_unique(json: &[u8]) -> bool {
    let mut open = Vec::new();
    let mut at = 0;
    while at < json.len() {
        let from = at;
        at += 1;
        match json[from] {
            b'{' | b'[' => open.push(HashSet::new()),
            b'}' | b']' => drop(open.pop()),
            b'"' => {
                while json[at] != b'"' {
                    at += if json[at] == b'\\' { 2 } else { 1 };
                }
                at += 1;
                if json[at..].trim_ascii_start().starts_with(b":") {
                    let name: String = serde_json::from_slice(&json[from..at]).unwrap();
                    if !open.last_mut().unwrap().insert(name) {
                        return false;
                    }
                }
            }
            _ => {}
        }
    }
    true
}
