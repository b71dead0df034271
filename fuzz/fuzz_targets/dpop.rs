//! A request with a stolen token, by an attacker who can write any proof and sign with any key but the one that it is bound to.
//!
//! Input: a proof. Or three lines: how it is signed, its header, and its claims. It is signed by the key that the token is bound
//! to (`owner`), by another one (`thief`), or has the signature that the line is.
//!
//! Invariants:
//!
//! - a proof that the owner did not sign is refused; it has signed the one of the seed `valid`, some for other requests, and
//!   what the line `owner` says;
//! - one that it signed passes only if it says what it must, by an independent reading of it;
//! - a refusal is `InvalidDpopProof` or `InvalidToken`, which have the status 401, and does not repeat the proof.

#![no_main]

mod support;
#[path = "support/uri.rs"]
mod uri;

use std::sync::LazyLock;

use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http::{
    HeaderValue, Request,
    header::{AUTHORIZATION, HeaderName},
};
use libfuzzer_sys::{Corpus, fuzz_target};
use scopegate_core::{ErrorKind, Issuer, ResourceServer, dpop::Dpop};
use scopegate_testing::{DpopClient, Mint, SigningKey};
use serde_json::{Value, json};

use support::{NOW, StoppedClock, at_once};
use uri::normalized;

const ISSUER: &str = "https://idp.example/tenant-a";
const AUDIENCE: &str = "https://api.example";
const TARGET: &str = "https://api.example/messages";

struct Rig {
    server: ResourceServer,
    owner: DpopClient,
    thief: DpopClient,
    token: String,
    token_hash: String,
    /// A proof that the owner has signed for the request.
    valid: String,
}

static RIG: LazyLock<Rig> = LazyLock::new(|| {
    // RFC 8037 appendix A.1: a key whose signatures are the same each time, as the seeds need it.
    let [owner, mint] = ["owner", "issuer"].map(|id| {
        let jwk = json!({
            "kty": "OKP", "crv": "Ed25519", "kid": id,
            "d": "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A",
            "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
        });
        SigningKey::from_jwk(&jwk).unwrap()
    });
    // RFC 7515 appendix A.3.
    let thief = SigningKey::from_jwk(&json!({
        "kty": "EC", "crv": "P-256", "d": "jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI",
        "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
    }));
    let mint = Mint::new(ISSUER, mint.into()).with_clock(StoppedClock);
    let owner = DpopClient::new(owner).with_clock(StoppedClock);
    let token = mint.token().audience(AUDIENCE).claim("jti", "t-1").bound_to(&owner).issue();
    let builder = ResourceServer::builder()
        .issuer(Issuer::with_jwks(ISSUER, mint.jwks_json()))
        .audience(AUDIENCE)
        .clock(StoppedClock)
        .dpop(Dpop::new().public_url(AUDIENCE).dangerous_accept_repeated_proofs());
    Rig {
        server: at_once(builder.build()).unwrap(),
        token_hash: URL_SAFE_NO_PAD.encode(digest(&SHA256, token.as_bytes())),
        valid: owner.proof("GET", TARGET).for_token(&token).jti("p-1").issue(),
        owner,
        thief: DpopClient::new(thief.unwrap()).with_clock(StoppedClock),
        token,
    }
});

fuzz_target!(|input: &[u8]| -> Corpus {
    let input = String::from_utf8_lossy(input);
    let mut lines = input.splitn(3, '\n');
    let (proof, may_pass) = match [(); 3].map(|()| lines.next()) {
        [Some(signer), Some(header), Some(claims)] => {
            let signed_by = |client: &DpopClient| client.proof("", "").raw_header(header).raw_payload(claims).issue();
            match signer {
                "owner" => (signed_by(&RIG.owner), is_for_the_request(header, claims)),
                "thief" => (signed_by(&RIG.thief), Some(false)),
                signature => {
                    let [header, claims] = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part));
                    (format!("{header}.{claims}.{signature}"), None)
                }
            }
        }
        _ => (input.to_string(), None),
    };
    let may_pass = may_pass.unwrap_or(proof == RIG.valid);
    let Ok(value) = HeaderValue::from_str(&proof) else { return Corpus::Reject };
    let request = Request::get("/messages?page=1").header(AUTHORIZATION, format!("DPoP {}", RIG.token));
    let request = request.header(HeaderName::from_static("dpop"), value).body(()).unwrap().into_parts().0;
    match at_once(RIG.server.authenticate(&request)) {
        Ok(_) => assert!(may_pass, "it passed: {proof}\n{input}"),
        Err(error) => {
            assert_ne!(proof, RIG.valid, "{error}");
            assert!(matches!(error.kind(), ErrorKind::InvalidDpopProof | ErrorKind::InvalidToken), "{error}");
            // A shorter text may occur in a message by chance.
            if proof.len() > 64 {
                assert!(!format!("{error} {error:?}").contains(&proof), "the refusal repeats the proof");
            }
        }
    }
    Corpus::Keep
});

/// Whether a proof by the owner is one for the request (RFC 9449 §4.3).
fn is_for_the_request(header: &str, claims: &str) -> Option<bool> {
    let (Ok(header), Ok(claims)) = (serde_json::from_str(header), serde_json::from_str(claims)) else {
        return Some(false);
    };
    let (header, claims): (Value, Value) = (header, claims);
    let text = |value: &Value| value.as_str().map(str::to_owned).unwrap_or_default();
    let type_name = text(&header["typ"]).to_ascii_lowercase();
    let key = &header["jwk"];
    Some(
        type_name.strip_prefix("application/").unwrap_or(&type_name) == "dpop+jwt"
            && ["EdDSA", "Ed25519"].contains(&&*text(&header["alg"]))
            && header.get("crit").is_none()
            && [&key["kty"], &key["crv"], &key["x"]]
                == ["OKP", "Ed25519", "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"]
            && key.get("d").is_none_or(Value::is_null)
            && claims["htm"] == "GET"
            && normalized(&text(&claims["htu"])).is_some_and(|target| target == TARGET)
            && claims["ath"] == *RIG.token_hash
            && !text(&claims["jti"]).is_empty()
            && claims["iat"].as_f64().is_some_and(|time| (-60.0..=10.0).contains(&(time - NOW as f64))),
    )
}
