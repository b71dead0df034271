//! Algorithms, and which key is used.

use scopegate_spec_compare::text::base64url;
use serde_json::{Value, json};

use crate::{
    draft::{Draft, Verdict::*},
    format::{Configuration, Issuer, Keys, Request},
    keys::{ED25519, ES256, ES384, Key, OTHER, RSA, SHORT, SMALL_RSA, encoded_message, hmac, multiple, set},
    token::{
        NONE, claiming, claims, good, header, header_of, octets, parts, resigned, sign, signed_as, signed_by, token,
        with,
    },
};

/// The groups.
pub(super) fn groups() -> Vec<Draft> {
    let mut groups = vec![algorithms(), rsa_family(), no_own_algorithm(), several(), edwards(), hmacs(), selection()];
    groups.extend(edwards_names());
    groups.extend(skipped());
    groups.extend(without_kid());
    groups.push(two_issuers());
    groups
}

fn algorithms() -> Draft {
    let configuration = Configuration::of_issuer(|issuer| issuer.algorithms = vec!["ES256".to_owned()]);
    Draft::new("a list of algorithms with ES256 alone", configuration)
        .case("ALG-1", "an algorithm on the list", Passes, Request::bearer(&good()))
        .case("ALG-1", "ES384 that is not on the list", InvalidToken, Request::bearer(&signed_by(ES384)))
        .case("ALG-1", "Ed25519 that is not on the list", InvalidToken, Request::bearer(&signed_by(ED25519)))
}

fn rsa_family() -> Draft {
    let names = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"];
    let jwk = |name: &str| with(RSA.jwk(), json!({ "alg": name, "kid": name }));
    let configuration = Configuration::of_issuer(|issuer| {
        issuer.algorithms = names.map(str::to_owned).to_vec();
        issuer.keys = Keys::Jwks(set(names.map(jwk)));
    });
    let mut draft = Draft::new("RSA keys, each with an algorithm of its own", configuration);
    for name in names {
        let header = with(header_of(RSA), json!({ "alg": name, "kid": name }));
        let token = sign(RSA, name, header.to_string(), claims().to_string());
        draft = draft.case("ALG-2 ALG-3", format!("{name} with a key of {name}"), Passes, Request::bearer(&token));
    }
    let header = with(header_of(RSA), json!({ "alg": "PS256", "kid": "RS256" }));
    let token = sign(RSA, "PS256", header.to_string(), claims().to_string());
    draft.case("ALG-3", "PS256 with a key of RS256", InvalidToken, Request::bearer(&token))
}

fn bare(key: Key) -> Value {
    with(key.jwk(), json!({ "alg": NONE }))
}

fn no_own_algorithm() -> Draft {
    Draft::new("keys without alg, each for one algorithm", Configuration::with_keys([RSA, ES256, ES384].map(bare)))
        .case("ALG-9", "the first algorithm of the list that fits the key", Passes, Request::bearer(&signed_by(RSA)))
        .case(
            "ALG-9",
            "another algorithm of the list that fits the key",
            InvalidToken,
            Request::bearer(&signed_as(RSA, "PS256")),
        )
        .case("ALG-3", "ES256 with a key of P-384", InvalidToken, Request::bearer(&signed_as(ES384, "ES256")))
        .case("ALG-3", "ES384 with a key of P-256", InvalidToken, Request::bearer(&signed_as(ES256, "ES384")))
        .case("ALG-3", "RS256 with a key of P-256", InvalidToken, Request::bearer(&signed_as(ES256, "RS256")))
        .case("ALG-3", "ES256 with an RSA key", InvalidToken, Request::bearer(&signed_as(RSA, "ES256")))
}

fn several() -> Draft {
    let configuration = Configuration::of_issuer(|issuer| {
        issuer.keys = Keys::Jwks(set([bare(RSA)]));
        issuer.one_algorithm_per_key = false;
    });
    Draft::new("a key without alg, for all algorithms of the list", configuration)
        .case("ALG-9", "RS256 where one key has several algorithms", Passes, Request::bearer(&signed_by(RSA)))
        .case("ALG-9", "PS256 where one key has several algorithms", Passes, Request::bearer(&signed_as(RSA, "PS256")))
        .case("ALG-1", "RS512 that is on no list", InvalidToken, Request::bearer(&signed_as(RSA, "RS512")))
}

fn edwards() -> Draft {
    let curve = json!({ "kty": "OKP", "crv": "Ed448", "x": base64url([7; 57]), "kid": ED25519.kid() });
    Draft::new("a key of Ed448", Configuration::with_keys([curve, ES256.jwk()]))
        .case("ALG-6", "Ed25519 with a key of Ed448", InvalidToken, Request::bearer(&signed_by(ED25519)))
        .case("ALG-6", "EdDSA with a key of Ed448", InvalidToken, Request::bearer(&signed_as(ED25519, "EdDSA")))
}

fn edwards_names() -> Vec<Draft> {
    let names = [("EdDSA", json!("EdDSA")), ("Ed25519", json!("Ed25519")), ("no alg", json!(NONE))];
    names
        .into_iter()
        .map(|(own, alg)| {
            let name = format!("a key of Ed25519 with {own}");
            let draft = Draft::new(&name, Configuration::with_keys([with(ED25519.jwk(), json!({ "alg": alg }))]));
            ["Ed25519", "EdDSA"].into_iter().fold(draft, |draft, alg| {
                let request = Request::bearer(&signed_as(ED25519, alg));
                let id = if own == "no alg" || own == alg { "ALG-6" } else { "ALG-7† ALG-6" };
                draft.case(id, format!("{alg} with {name}"), Passes, request)
            })
        })
        .collect()
}

fn hmacs() -> Draft {
    let secret = json!({ "kty": "oct", "k": base64url("secret"), "kid": "oct", "alg": "HS256" });
    let mac = |kid: &str, secret: &[u8]| {
        let header = with(header(), json!({ "alg": "HS256", "kid": kid }));
        let input = format!("{}.{}", base64url(header.to_string()), base64url(claims().to_string()));
        Request::bearer(&format!("{input}.{}", base64url(hmac(secret, input.as_bytes()))))
    };
    let published = RSA.jwk().to_string();
    Draft::new("a symmetric key in the set", Configuration::with_keys([secret, RSA.jwk()]))
        .case("ALG-4 KEY-9", "HS256 with a symmetric key of the set", InvalidToken, mac("oct", b"secret"))
        .case(
            "ALG-4",
            "HS256 with the text of the RSA key as the secret",
            InvalidToken,
            mac(RSA.kid(), published.as_bytes()),
        )
        .case("ALG-4", "HS256 with an empty secret", InvalidToken, mac(RSA.kid(), b""))
}

fn selection() -> Draft {
    let same = |key: Key| with(key.jwk(), json!({ "kid": "same" }));
    let named = |key: Key| {
        let header = with(header_of(key), json!({ "kid": "same" }));
        Request::bearer(&sign(key, key.algorithm(), header.to_string(), claims().to_string()))
    };
    let configuration = Configuration::with_keys([same(ES384), same(OTHER), same(ES256), same(ED25519)]);
    Draft::new("several keys with one kid", configuration)
        .case("KEY-6", "the first key of its type", Passes, named(ES384))
        .case("KEY-6", "the second key of its type", Passes, named(ES256))
        .case("KEY-6", "a key of another type", Passes, named(ED25519))
        .case(
            "KEY-3",
            "a kid that no key has",
            InvalidToken,
            Request::bearer(&token(json!({ "kid": "gone" }), json!({}))),
        )
}

fn without_kid() -> Vec<Draft> {
    let without = || Request::bearer(&token(json!({ "kid": NONE }), json!({})));
    // The key of the token is the last one.
    let many = |count: u8| Configuration::with_keys((1..count).map(multiple).chain([ES256.jwk()]));
    let nameless = with(ES256.jwk(), json!({ "kid": NONE }));
    vec![
        Draft::new("eight keys", many(8)).case("KEY-6", "no kid and eight keys", Passes, without()),
        Draft::new("fifty keys", many(50))
            .case("KEY-6†", "no kid and fifty keys", InvalidToken, without())
            .comment("a bound of the work for one token; any bound below fifty shows it"),
        Draft::new("a key without a kid", Configuration::with_keys([nameless, ES384.jwk()]))
            .case("KEY-6", "no kid, and a key without one", Passes, without())
            .case("KEY-3", "a kid, and a key without one", InvalidToken, Request::bearer(&good())),
    ]
}

/// The base point of Ed25519 and the number 1: with a public key of the neutral element, a signature of every message.
fn signature_by_neutral_element() -> Vec<u8> {
    [&[0x58][..], &[0x66; 31], &[1], &[0; 31]].concat()
}

/// A token by an RSA key as if its public exponent were 1, and one as if it were 2.
fn by_exponent(exponent: u32) -> String {
    let token = |number: u32| {
        let claims = with(claims(), json!({ "jti": number.to_string() }));
        let unsigned = sign(RSA, "RS256", header_of(RSA).to_string(), claims.to_string());
        let input = parts(&unsigned).0.as_bytes();
        let root = if exponent == 1 { Some(encoded_message(input)) } else { RSA.square_root(input) };
        Some(resigned(&unsigned, root?))
    };
    (1..).find_map(token).expect("a fourth of the messages has a square root")
}

/// Each set has another key that can be used, since it is open what a set without any is.
fn skipped() -> Vec<Draft> {
    let es256 = |members: Value| (with(ES256.jwk(), members), signed_by(ES256));
    let neutral = with(ED25519.jwk(), json!({ "x": base64url([&[1][..], &[0; 31]].concat()) }));
    let longer = [&octets(ED25519.jwk()["x"].as_str().expect("a string"))[..], &[0]].concat();
    let short_y = &octets(SHORT.jwk()["y"].as_str().expect("a string"))[1..];
    let cases = [
        ("KEY-7", "use of enc", es256(json!({ "use": "enc" })), false),
        ("KEY-7", "key_ops without verify", es256(json!({ "key_ops": ["encrypt"] })), false),
        ("KEY-7", "empty key_ops", es256(json!({ "key_ops": [] })), false),
        ("KEY-7", "use of sig and key_ops with verify", es256(json!({ "use": "sig", "key_ops": ["verify"] })), true),
        ("KEY-9†", "a private member", es256(json!({ "d": "AQAB" })), false),
        ("KEY-9†", "a private member and use of null", es256(json!({ "d": null, "use": null })), true),
        ("ALG-8", "a point that is not on the curve", es256(json!({ "y": base64url([7; 32]) })), false),
        ("ALG-8", "a coordinate that begins with a zero octet", (SHORT.jwk(), signed_by(SHORT)), true),
        (
            "ALG-8",
            "a coordinate without its first octet, a zero",
            (with(SHORT.jwk(), json!({ "y": base64url(short_y) })), signed_by(SHORT)),
            false,
        ),
        ("ALG-8", "another curve's name", es256(json!({ "crv": "P-384" })), false),
        (
            "ALG-8†",
            "a point of low order",
            (neutral, resigned(&signed_by(ED25519), signature_by_neutral_element())),
            false,
        ),
        (
            "ALG-8",
            "a public key with a zero octet behind it",
            (with(ED25519.jwk(), json!({ "x": base64url(longer) })), signed_by(ED25519)),
            false,
        ),
        ("KEY-8", "a type of another kind", es256(json!({ "kty": 1 })), false),
        ("KEY-8", "a type that nobody knows", es256(json!({ "kty": "XY" })), false),
        ("KEY-8", "no coordinate", es256(json!({ "y": NONE })), false),
        ("ALG-3", "the alg of another algorithm", es256(json!({ "alg": "ES384" })), false),
        ("ALG-5", "an even exponent", (with(RSA.jwk(), json!({ "e": "Ag" })), by_exponent(2)), false),
        ("ALG-5", "the exponent 1", (with(RSA.jwk(), json!({ "e": "AQ" })), by_exponent(1)), false),
        ("ALG-5", "a modulus of 1024 bits", (SMALL_RSA.jwk(), signed_by(SMALL_RSA)), false),
    ];
    let mut drafts: Vec<Draft> = cases
        .into_iter()
        .map(|(id, name, (key, token), is_good)| {
            let verdict = if is_good { Passes } else { InvalidToken };
            Draft::new(&format!("a key with {name}"), Configuration::with_keys([key, ES384.jwk()]))
                .case(id, format!("a token by a key with {name}"), verdict, Request::bearer(&token))
                .case(
                    "KEY-8",
                    format!("a token by the key beside one with {name}"),
                    Passes,
                    Request::bearer(&signed_by(ES384)),
                )
        })
        .collect();
    let odd = [
        json!({ "kty": "AKP", "kid": ES256.kid(), "alg": "ML-DSA-44", "pub": "x" }),
        json!({ "kty": "RSA", "e": "AQAB" }),
    ];
    let all = odd.into_iter().chain([json!(null), json!("x"), json!({}), ES256.jwk()]);
    let twice = ES384.jwk().to_string().replacen('{', "{\"kty\":\"EC\",", 1);
    let text = format!("{{\"keys\":[{twice},{}]}}", ES256.jwk());
    drafts.push(Draft::new("a set with keys that nobody can use", Configuration::with_keys(all)).case(
        "KEY-8",
        "a token by the last key of a set with odd ones",
        Passes,
        Request::bearer(&good()),
    ));
    drafts.push(
        Draft::new("a key with a member twice", Configuration::of_issuer(|issuer| issuer.keys = Keys::JwksText(text)))
            .case("KEY-8", "a token by a key with a member twice", InvalidToken, Request::bearer(&signed_by(ES384)))
            .case("KEY-8", "a token by the key beside one with a member twice", Passes, Request::bearer(&good())),
    );
    for (name, text) in [("HTML", "<html>"), ("an object without keys", "{}"), ("an array", "[]")] {
        let configuration = Configuration::of_issuer(|issuer| issuer.keys = Keys::JwksText(text.to_owned()));
        let request = Request::bearer(&good());
        drafts.push(Draft::new(&format!("a set that is {name}"), configuration).case(
            "KEY-12†",
            format!("a good token and a set that is {name}"),
            Unavailable,
            request,
        ));
    }
    drafts
}

fn two_issuers() -> Draft {
    let other = "https://other.example";
    let configuration = Configuration::with(|configuration| {
        let key = with(OTHER.jwk(), json!({ "kid": ES256.kid() }));
        configuration.issuers.push(Issuer::new(other, set([key])));
    });
    let by = |key: Key, iss: &str| {
        let claims = with(claims(), json!({ "iss": iss }));
        Request::bearer(&sign(key, "ES256", header().to_string(), claims.to_string()))
    };
    Draft::new("two issuers with keys of one kid", configuration)
        .case("KEY-1", "a token of the first issuer", Passes, Request::bearer(&good()))
        .case("KEY-1", "a token of the second issuer", Passes, by(OTHER, other))
        .case(
            "KEY-1",
            "the second issuer's key and the first issuer's name",
            InvalidToken,
            by(OTHER, crate::token::ISSUER),
        )
        .case("KEY-1", "the first issuer's key and the second issuer's name", InvalidToken, by(ES256, other))
        .case(
            "JWT-1 JOSE-16",
            "a token of a third issuer",
            InvalidToken,
            Request::bearer(&claiming(json!({ "iss": "https://third.example" }))),
        )
}
