//! The form of a JWS.

use scopegate_spec_compare::text::base64url;
use serde_json::{Value, json};

use crate::{
    draft::{Draft, Verdict::*},
    format::{Configuration, Request},
    keys::{ED25519, ES256, OTHER, RSA},
    token::{NONE, claiming, claims, good, header, header_of, octets, parts, resigned, sign, signed_by, token, with},
};

/// The groups.
pub(super) fn groups() -> Vec<Draft> {
    vec![form(), json_texts(), header_members(), signatures(), rsa()]
}

fn with_header(changes: Value) -> Request {
    Request::bearer(&token(changes, json!({})))
}

fn form() -> Draft {
    let good = good();
    let (input, signature) = parts(&good);
    let (first, rest) = good.split_once('.').expect("three parts");
    let flattened = json!({ "protected": "a", "payload": "b", "signature": "c" }).to_string();
    let encrypted = base64url(r#"{"alg":"dir","enc":"A128GCM"}"#);
    let last = signature.chars().last().expect("not empty");
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let twin = alphabet.chars().nth(alphabet.find(last).expect("base64url") + 1).expect("two bits are zero");
    Draft::new("compact serialisation", Configuration::new())
        .case("JOSE-1", "a fourth part", InvalidToken, Request::bearer(&format!("{good}.x")))
        .case("JOSE-1", "a fourth part that is empty", InvalidToken, Request::bearer(&format!("{good}.")))
        .case("JOSE-1", "two parts", InvalidToken, Request::bearer(input))
        .case("JOSE-1", "one part", InvalidToken, Request::bearer(first))
        .case("JOSE-1", "an empty part in front", InvalidToken, Request::bearer(&format!(".{good}")))
        .case("JOSE-1", "three empty parts", InvalidToken, Request::bearer(".."))
        .case("JOSE-1 BEARER-3†", "JSON serialisation", InvalidRequest, Request::bearer(&flattened))
        .case("JOSE-2", "padding at the end", InvalidToken, Request::bearer(&format!("{good}==")))
        .case("JOSE-2 BEARER-3†", "padding inside", InvalidRequest, Request::bearer(&format!("{first}=.{rest}")))
        .case("JOSE-2", "a plus sign for the minus sign", InvalidToken, respelled('-', "+"))
        .case("JOSE-2", "a slash for the underscore", InvalidToken, respelled('_', "/"))
        .case("JOSE-2", "a length that no octets have", InvalidToken, Request::bearer(&format!("{good}AAA")))
        .case(
            "JOSE-3†",
            "unused bits that are not zero",
            InvalidToken,
            Request::bearer(&format!("{}{twin}", &good[..good.len() - 1])),
        )
        .case("JOSE-12†", "an encrypted token", InvalidToken, Request::bearer(&format!("{encrypted}..a.b.c")))
        .case("JWT-11", "an SD-JWT", InvalidToken, Request::bearer(&format!("{good}~WyJhIl0~")))
        .case(
            "JWT-11",
            "an SD-JWT with a key binding",
            InvalidToken,
            Request::bearer(&format!("{good}~WyJhIl0~{good}")),
        )
}

/// A good token with characters of the other base64 alphabet in its signature, which a lenient decoder takes.
fn respelled(character: char, other: &str) -> Request {
    let mut tokens = (1..).map(|number| claiming(json!({ "jti": number.to_string() })));
    let token = tokens.find(|token| parts(token).1.contains(character)).expect("one of them has it");
    let (input, signature) = parts(&token);
    Request::bearer(&format!("{input}.{}", signature.replace(character, other)))
}

fn json_texts() -> Draft {
    let (header, claims) = (header().to_string(), claims().to_string());
    let payload = |text: &[u8]| Request::bearer(&sign(ES256, "ES256", &header, text));
    let inside = claims.strip_suffix('}').expect("an object");
    let deep = format!("{{\"x\":{}{}}}", "[".repeat(1000), "]".repeat(1000));
    let mut draft = Draft::new("JSON of the header and the claims", Configuration::new())
        .case(
            "JOSE-4†",
            "claims after a byte order mark",
            InvalidToken,
            payload(format!("\u{feff}{claims}").as_bytes()),
        )
        .case("JOSE-4", "claims that are not UTF-8", InvalidToken, payload(b"{\"iss\":\"\xff\"}"))
        .case(
            "JOSE-4†",
            "claims with an escaped lone surrogate",
            InvalidToken,
            payload(format!("{inside},\"x\":\"\\ud800\"}}").as_bytes()),
        )
        .case(
            "JOSE-4",
            "claims with a control character in a string",
            InvalidToken,
            payload(format!("{inside},\"x\":\"\u{1}\"}}").as_bytes()),
        )
        .case("JOSE-4", "claims with text behind them", InvalidToken, payload(format!("{claims}garbage").as_bytes()))
        .case("JOSE-4", "claims twice", InvalidToken, payload(format!("{claims}{claims}").as_bytes()))
        .case("JOSE-4", "claims with a trailing comma", InvalidToken, payload(format!("{inside},}}").as_bytes()))
        .case(
            "JOSE-4",
            "claims with NaN, in one that nobody reads",
            InvalidToken,
            payload(format!("{inside},\"x\":NaN}}").as_bytes()),
        )
        .case("JOSE-4", "claims with a comment", InvalidToken, payload(format!("{inside}/**/}}").as_bytes()))
        .case(
            "JOSE-4†",
            "claims that are nested very deep",
            InvalidToken,
            payload(format!("{inside},{}", &deep[1..]).as_bytes()),
        )
        .case(
            "JOSE-4",
            "claims that are nested a little",
            Passes,
            payload(format!("{inside},\"x\":[[[[{{\"a\":[]}}]]]]}}").as_bytes()),
        )
        .case("JOSE-4", "claims with white space around them", Passes, payload(format!(" \r\n\t{claims} ").as_bytes()))
        .case(
            "JWT-10",
            "claims that nobody knows",
            Passes,
            payload(format!("{inside},\"x\":null,\"\\u0079\":[1e3,true]}}").as_bytes()),
        );
    for text in ["[]", "\"x\"", "null", "1", "", "{}", "{'a':1}"] {
        let verdict = InvalidToken;
        draft = draft.case("JOSE-4", format!("claims that are {text:?}"), verdict, payload(text.as_bytes()));
    }
    for text in ["[]", "\"x\"", "null", "{", "", "{}"] {
        let request = Request::bearer(&sign(ES256, "ES256", text, &claims));
        draft = draft.case("JOSE-4", format!("a header that is {text:?}"), InvalidToken, request);
    }
    for (name, member) in [
        ("a claim", "\"aud\":\"https://api.example\""),
        ("a claim with an escaped name", "\"\\u0065xp\":1900000000"),
        ("a member of a claim", "\"x\":{\"a\":1,\"a\":1}"),
        ("a member of an element of a claim", "\"x\":[{\"a\":1,\"a\":2}]"),
    ] {
        let twice = payload(format!("{inside},{member}}}").as_bytes());
        draft = draft.case("JOSE-5†", format!("{name} twice"), InvalidToken, twice);
    }
    let twice = header.replacen("\"alg\":", "\"alg\":\"ES256\",\"alg\":", 1);
    let twice = Request::bearer(&sign(ES256, "ES256", twice, &claims));
    draft.case("JOSE-5†", "a member of the header twice", InvalidToken, twice)
}

fn header_members() -> Draft {
    let mut draft = Draft::new("members of the header", Configuration::new());
    for (name, alg) in
        [("absent", json!(NONE)), ("a number", json!(1)), ("null", json!(null)), ("an array", json!(["ES256"]))]
    {
        draft = draft.case("JOSE-6", format!("alg is {name}"), InvalidToken, with_header(json!({ "alg": alg })));
    }
    for alg in ["es256", "ES256 ", " ES256", "ES-256", ""] {
        draft = draft.case("JOSE-6", format!("alg is {alg:?}"), InvalidToken, with_header(json!({ "alg": alg })));
    }
    for alg in ["none", "None", "NONE", "nOnE"] {
        let signed = token(json!({ "alg": alg }), json!({}));
        draft = draft
            .case("JOSE-7", format!("alg is {alg}, with a signature"), InvalidToken, Request::bearer(&signed))
            .case(
                "JOSE-7",
                format!("alg is {alg}, without a signature"),
                InvalidToken,
                Request::bearer(&format!("{}.", parts(&signed).0)),
            );
    }
    for (name, crit) in [
        ("a name that is there and not known", json!(["x"])),
        ("a claim", json!(["exp"])),
        ("a registered name", json!(["alg"])),
        ("b64", json!(["b64"])),
        ("nothing", json!([])),
        ("a name that is not there", json!(["y"])),
        ("a number", json!([1])),
    ] {
        let request = with_header(json!({ "crit": crit, "x": 1, "exp": 1, "b64": true }));
        draft = draft.case("JOSE-8", format!("crit lists {name}"), InvalidToken, request);
    }
    for (name, crit) in [("a string", json!("b64")), ("null", json!(null)), ("an object", json!({}))] {
        let request = with_header(json!({ "crit": crit, "b64": true }));
        draft = draft.case("JOSE-8", format!("crit is {name}"), InvalidToken, request);
    }
    draft = draft
        .case("JOSE-9", "b64 is false", InvalidToken, with_header(json!({ "b64": false })))
        .case(
            "JOSE-9 JOSE-8",
            "b64 is false and critical",
            InvalidToken,
            with_header(json!({ "b64": false, "crit": ["b64"] })),
        )
        .case("JOSE-9", "b64 is true", Passes, with_header(json!({ "b64": true })));
    for (name, member) in [
        ("jwk", json!({ "jwk": OTHER.jwk() })),
        ("jku", json!({ "jku": "https://keys.example/other" })),
        ("x5u", json!({ "x5u": "https://keys.example/other" })),
        ("x5c", json!({ "x5c": ["MII="] })),
    ] {
        let forged = with(header_of(OTHER), with(json!({ "kid": ES256.kid() }), member.clone()));
        let forged = sign(OTHER, "ES256", forged.to_string(), claims().to_string());
        draft = draft.case("JOSE-10", format!("a good token with {name}"), Passes, with_header(member)).case(
            "JOSE-10",
            format!("another key's token with {name}"),
            InvalidToken,
            Request::bearer(&forged),
        );
    }
    for kid in ["../../etc/passwd", "es256\r\nx: y", "ES256", "es256 ", "", "' OR 1=1", "https://keys.example/other"] {
        draft = draft.case("JOSE-11", format!("kid is {kid:?}"), InvalidToken, with_header(json!({ "kid": kid })));
    }
    for (name, value) in
        [("a number", json!(1)), ("null", json!(null)), ("an array", json!([])), ("an object", json!({}))]
    {
        draft = draft
            .case("JOSE-11", format!("kid is {name}"), InvalidToken, with_header(json!({ "kid": value.clone() })))
            .case("AT-1", format!("typ is {name}"), InvalidToken, with_header(json!({ "typ": value })));
    }
    draft.case(
        "JOSE-11 JOSE-6",
        "members of the header that nobody knows",
        Passes,
        with_header(json!({ "x": [1], "cty": 5 })),
    )
}

fn signatures() -> Draft {
    let good = good();
    let other = |token: &str, signature: Vec<u8>| Request::bearer(&resigned(token, signature));
    let octets = signature_of(&good);
    let signature = p256::ecdsa::Signature::from_slice(&octets).expect("a signature");
    let (r, s) = octets.split_at(32);
    let high = p256::ecdsa::Signature::from_scalars(*signature.r(), -*signature.s()).expect("a signature");
    let another = token(json!({}), json!({ "sub": "mallory" }));
    let mut draft = Draft::new("signatures", Configuration::new());
    for (name, wrong) in [
        ("in DER", signature.to_der().as_bytes().to_vec()),
        ("of zeros", vec![0; 64]),
        ("of ones", vec![255; 64]),
        ("with s of zero", [r, &[0; 32]].concat()),
        ("with r of zero", [&[0; 32], s].concat()),
        ("with r and s exchanged", [s, r].concat()),
        ("that is an octet short", octets[..63].to_vec()),
        ("that is an octet long", [&octets[..], &[0]].concat()),
        ("with longer numbers", [&[0], r, &[0], s].concat()),
        ("that is empty", Vec::new()),
    ] {
        let id = if wrong.is_empty() { "JOSE-7" } else { "JOSE-15" };
        draft = draft.case(id, format!("an ECDSA signature {name}"), InvalidToken, other(&good, wrong));
    }
    let edwards = signed_by(ED25519);
    let octets = signature_of(&edwards);
    for (name, wrong) in [
        ("of zeros", vec![0; 64]),
        ("that is an octet short", octets[1..].to_vec()),
        ("that is an octet long", [&octets[..], &[0]].concat()),
        ("with a bit changed", [&[octets[0] ^ 1], &octets[1..]].concat()),
    ] {
        draft = draft.case("JOSE-15", format!("an Ed25519 signature {name}"), InvalidToken, other(&edwards, wrong));
    }
    draft
        .case("JOSE-15", "an ECDSA signature with the other s", Passes, other(&good, high.to_bytes().to_vec()))
        .comment("JWS has no rule of the lower s")
        .case(
            "JOSE-15",
            "the signature of other claims",
            InvalidToken,
            Request::bearer(&format!("{}.{}", parts(&another).0, parts(&good).1)),
        )
        .case("BEARER-2", "a signature with a letter in the other case", InvalidToken, Request::bearer(&flipped(&good)))
}

fn signature_of(token: &str) -> Vec<u8> {
    octets(parts(token).1)
}

fn flipped(token: &str) -> String {
    let (input, signature) = parts(token);
    let place = signature.find(|letter: char| letter.is_ascii_lowercase()).expect("a small letter");
    let mut signature = signature.to_owned();
    signature[place..=place].make_ascii_uppercase();
    format!("{input}.{signature}")
}

fn rsa() -> Draft {
    let token = signed_by(RSA);
    let octets = signature_of(&token);
    let mut draft = Draft::new("RSA signatures", Configuration::with_keys([RSA.jwk()]));
    for (name, wrong) in [
        ("with a zero in front", [&[0], &octets[..]].concat()),
        ("with a zero behind", [&octets[..], &[0]].concat()),
        ("that is an octet short", octets[1..].to_vec()),
        ("of zeros", vec![0; octets.len()]),
        ("of one octet", vec![1]),
    ] {
        let request = Request::bearer(&resigned(&token, wrong));
        draft = draft.case("JOSE-15", format!("an RSA signature {name}"), InvalidToken, request);
    }
    draft.case("ALG-2", "an RSA signature", Passes, Request::bearer(&token))
}
