//! Tokens that are bound to a key, and proofs of it.

use scopegate_spec_compare::text::base64url;
use serde_json::{Value, json};

use crate::{
    draft::{Draft, Verdict::*},
    format::{Configuration, Dpop, Introspection, Request, Scope},
    keys::{CLIENT, CLIENT_ED25519, ES384, Key, OTHER_CLIENT, RSA, SMALL_RSA, hmac},
    token::{AUDIENCE, NONE, NOW, URL, bound, claiming, digest, good, octets, parts, proof, proof_by, resigned, with},
};

/// The groups.
pub(super) fn groups() -> Vec<Draft> {
    vec![
        presented(),
        headers(),
        rsa(),
        claims(),
        targets(),
        public_urls(),
        times(),
        replay(),
        bindings(),
        nonces(),
        off(),
        introspected(),
    ]
}

fn with_proof(proof: &str) -> Request {
    Request::dpop(&bound(), proof)
}

fn header(changes: Value) -> Request {
    with_proof(&proof(changes, json!({})))
}

fn claim(changes: Value) -> Request {
    with_proof(&proof(json!({}), changes))
}

fn bound_to(thumbprint: &str) -> String {
    claiming(json!({ "cnf": { "jkt": thumbprint } }))
}

fn good_proof() -> String {
    proof(json!({}), json!({}))
}

fn presented() -> Draft {
    let (token, proof) = (bound(), good_proof());
    let expired = claiming(json!({ "exp": NOW - 60, "cnf": { "jkt": CLIENT.thumbprint() } }));
    let other = proof_by(
        CLIENT_ED25519,
        &claiming(json!({ "cnf": { "jkt": CLIENT_ED25519.thumbprint() } })),
        json!({}),
        json!({}),
    );
    let edwards = claiming(json!({ "cnf": { "jkt": CLIENT_ED25519.thumbprint() } }));
    Draft::new("a token and a proof", Configuration::with_dpop())
        .case("DPOP-1", "a bound token and its proof", Passes, with_proof(&proof))
        .case("DPOP-1", "a bound token and its proof of Ed25519", Passes, Request::dpop(&edwards, &other))
        .case(
            "DPOP-1 BEARER-2",
            "the scheme in small letters",
            Passes,
            Request::under("dpop", &token).field("DPOP", &proof),
        )
        .case("DPOP-1 DPOP-2", "no proof", InvalidProof, Request::under("DPoP", &token))
        .case("DPOP-2", "the proof in two field lines", InvalidProof, with_proof(&proof).field("dpop", &proof))
        .case("DPOP-2", "two proofs in a list", InvalidProof, with_proof(&format!("{proof}, {proof}")))
        .case("DPOP-2", "an empty proof", InvalidProof, with_proof(""))
        .case("DPOP-3", "a proof that is no JWS", InvalidProof, with_proof("a.b.c"))
        .case("DPOP-3 JOSE-3", "a proof with padding", InvalidProof, with_proof(&format!("{proof}==")))
        .case("DPOP-1 CHAL-3", "a proof alone", NoCredentials, Request::get().field("dpop", &proof))
        .case("AT-5†", "an expired token and no good proof", InvalidToken, Request::dpop(&expired, "nonsense"))
        .case("AT-5 BEARER-4†", "a text that is no token, under DPoP", InvalidToken, Request::dpop("abc", &proof))
        .case("DPOP-3†", "a proof of nine thousand octets", InvalidProof, claim(json!({ "pad": "x".repeat(6500) })))
}

fn headers() -> Draft {
    let mut draft = Draft::new("the header of a proof", Configuration::with_dpop());
    for typ in [NONE, "JWT", "at+jwt", "dpop"] {
        let name = if typ == NONE { "absent" } else { typ };
        draft = draft.case("DPOP-3", format!("typ of a proof is {name}"), InvalidProof, header(json!({ "typ": typ })));
    }
    for typ in ["DPoP+JWT", "application/dpop+jwt"] {
        draft = draft.case("DPOP-3 JWT-12", format!("typ of a proof is {typ}"), Passes, header(json!({ "typ": typ })));
    }
    for alg in ["none", "HS256", "es256", "RS256", "ES512"] {
        draft = draft.case("DPOP-4", format!("alg of a proof is {alg}"), InvalidProof, header(json!({ "alg": alg })));
    }
    let of_es384 = bound_to(&ES384.thumbprint());
    let es384 = Request::dpop(&of_es384, &proof_by(ES384, &of_es384, json!({}), json!({})));
    draft = draft.case("DPOP-4", "a good proof of ES384, which is not on the list", InvalidProof, es384);
    draft = draft.case("DPOP-4 DPOP-5", "a good proof by HMAC, with its secret", InvalidProof, by_hmac());
    for (name, jwk) in [
        ("absent", json!(NONE)),
        ("a string", json!("x")),
        ("private", with(CLIENT.public(), json!({ "d": "AQAB" }))),
        ("another key than signs", OTHER_CLIENT.public()),
        ("of another type than signs", CLIENT_ED25519.public()),
        ("no point of the curve", with(CLIENT.public(), json!({ "y": base64url([7; 32]) }))),
        ("symmetric", json!({ "kty": "oct", "k": "c2VjcmV0" })),
    ] {
        draft = draft.case("DPOP-5", format!("jwk is {name}"), InvalidProof, header(json!({ "jwk": jwk })));
    }
    draft
        .case("DPOP-3 JOSE-8", "crit in a proof", InvalidProof, header(json!({ "crit": ["x"], "x": 1 })))
        .case("DPOP-3 JOSE-9", "b64 of false in a proof", InvalidProof, header(json!({ "b64": false })))
        .case(
            "DPOP-5",
            "kid, x5c and jku in a proof",
            Passes,
            header(json!({ "kid": "x", "x5c": ["MII="], "jku": "https://keys.example" })),
        )
}

/// A proof that only the list of algorithms and the type of the key refuse.
fn by_hmac() -> Request {
    let secret = json!({ "kty": "oct", "k": base64url("secret") });
    // The members that RFC 7638 names, in their order.
    let token = bound_to(&digest(json!({ "k": base64url("secret"), "kty": "oct" }).to_string()));
    let unsigned = proof_by(CLIENT, &token, json!({ "alg": "HS256", "jwk": secret }), json!({}));
    let mac = hmac(b"secret", parts(&unsigned).0.as_bytes());
    Request::dpop(&token, &resigned(&unsigned, mac))
}

fn rsa() -> Draft {
    let configuration = Configuration::with(|configuration| {
        configuration.dpop = Some(Dpop { algorithms: vec!["RS256".to_owned()], ..Dpop::new() });
    });
    let by = |key: Key| {
        let token = bound_to(&key.thumbprint());
        Request::dpop(&token, &proof_by(key, &token, json!({}), json!({})))
    };
    Draft::new("proofs of RSA", configuration)
        .case("DPOP-5", "a proof by an RSA key of 2048 bits", Passes, by(RSA))
        .case("DPOP-5 ALG-5", "a proof by an RSA key of 1024 bits", InvalidProof, by(SMALL_RSA))
        .case("DPOP-4", "a proof of ES256 where RS256 alone is accepted", InvalidProof, with_proof(&good_proof()))
}

fn claims() -> Draft {
    let mut draft = Draft::new("the claims of a proof", Configuration::with_dpop());
    for name in ["jti", "htm", "htu", "ath", "iat"] {
        draft = draft.case("DPOP-6", format!("a proof without {name}"), InvalidProof, claim(json!({ name: NONE })));
        for (kind, value) in [("an array", json!([1])), ("null", json!(null)), ("an object", json!({}))] {
            draft = draft.case(
                "DPOP-6",
                format!("{name} of a proof is {kind}"),
                InvalidProof,
                claim(json!({ name: value })),
            );
        }
    }
    for method in ["get", "POST", "HEAD", "GET "] {
        draft = draft.case("DPOP-7", format!("htm is {method:?}"), InvalidProof, claim(json!({ "htm": method })));
    }
    let hex: String = octets(&digest(bound())).iter().map(|octet| format!("{octet:02x}")).collect();
    for (name, ath) in [
        ("of another token", digest("other")),
        ("with padding", format!("{}=", digest(bound()))),
        ("in hexadecimal", hex),
        ("empty", String::new()),
    ] {
        draft = draft.case("DPOP-12", format!("ath is {name}"), InvalidProof, claim(json!({ "ath": ath })));
    }
    draft.case("DPOP-6", "exp and a nonce that nobody demanded", Passes, claim(json!({ "exp": 1, "nonce": "x" }))).case(
        "DPOP-7",
        "htm of a method that the request has",
        Passes,
        claim(json!({ "htm": "DELETE" })).method("DELETE"),
    )
}

fn targets() -> Draft {
    let mut draft = Draft::new("the URL of a proof", Configuration::with_dpop());
    for (target, htu) in [
        ("/messages?y=1", "https://api.example/messages?x#y"),
        ("/messages", "HTTPS://API.example:443/messages"),
        ("/~messages", "https://api.example/%7Emessages"),
        ("/a%2fb", "https://api.example/a%2Fb"),
        ("/", "https://api.example"),
        ("/?x", "https://api.example?y"),
        ("/a/b", "https://api.example/a/./x/../b"),
    ] {
        let request = claim(json!({ "htu": htu })).target(target);
        draft = draft.case("DPOP-8†", format!("htu {htu} for {target}"), Passes, request);
    }
    for htu in [
        "https://other.example/messages",
        "https://api.example:8443/messages",
        "http://api.example/messages",
        "https://api.example/Messages",
        "https://api.example/messages/",
        "https://api.example//messages",
        "https://user@api.example/messages",
        "/messages",
        "",
        "https://api.example.evil.example/messages",
        "https://api.example/%7",
        "https:///api.example/messages",
        "https://api.example/messages%2F",
        "https://api.example\\messages",
        "https://api.example/mess\tages",
        " https://api.example/messages",
    ] {
        draft = draft.case("DPOP-8", format!("htu {htu:?}"), InvalidProof, claim(json!({ "htu": htu })));
    }
    draft
}

fn public_urls() -> Draft {
    let urls = ["https://one.example/api", "https://two.example"];
    let configuration = Configuration::with(|configuration| {
        configuration.dpop = Some(Dpop { public_urls: urls.map(str::to_owned).to_vec(), ..Dpop::new() });
    });
    let of =
        |htu: &str| claim(json!({ "htu": htu })).field("host", "api.example").field("x-forwarded-host", "api.example");
    Draft::new("a server with two public URLs", configuration)
        .case("DPOP-9", "below the first public URL", Passes, of("https://one.example/api/messages"))
        .case("DPOP-9", "below the second public URL", Passes, of("https://two.example/messages"))
        .case("DPOP-9", "at the first host without its path", InvalidProof, of("https://one.example/messages"))
        .case("DPOP-9†", "at the host that the request names", InvalidProof, of(URL))
}

fn times() -> Draft {
    let mut draft = Draft::new("the time of a proof", Configuration::with_dpop());
    for (name, verdict, iat) in [
        ("60 seconds ago", Passes, json!(NOW - 60)),
        ("61 seconds ago", InvalidProof, json!(NOW - 61)),
        ("in 10 seconds", Passes, json!(NOW + 10)),
        ("in 11 seconds", InvalidProof, json!(NOW + 11)),
        ("half a second ago", Passes, json!(NOW as f64 - 0.5)),
        ("in 1970", InvalidProof, json!(0)),
        ("in a string", InvalidProof, json!(NOW.to_string())),
    ] {
        draft = draft.case("DPOP-10", format!("iat of a proof {name}"), verdict, claim(json!({ "iat": iat })));
    }
    draft
}

fn replay() -> Draft {
    let proof = good_proof();
    let (other_token, other_url) =
        (claiming(json!({ "cnf": { "jkt": OTHER_CLIENT.thumbprint() } })), "https://api.example/other");
    let of_other = Request::dpop(&other_token, &proof_by(OTHER_CLIENT, &other_token, json!({}), json!({})));
    let forged = proof_by(OTHER_CLIENT, &bound(), json!({ "jwk": CLIENT.public() }), json!({}));
    Draft::new("a proof for the second time", Configuration::with_dpop())
        .case("DPOP-11†", "the same proof", InvalidProof, with_proof(&proof))
        .after([with_proof(&proof)])
        .case("DPOP-11†", "another proof with the same jti", InvalidProof, claim(json!({ "iat": NOW + 1 })))
        .after([with_proof(&proof)])
        .case("DPOP-11", "a proof with another jti", Passes, claim(json!({ "jti": "p2" })))
        .after([with_proof(&proof)])
        .case("DPOP-11", "the same jti of another key", Passes, of_other)
        .after([with_proof(&proof)])
        .case("DPOP-11", "the same jti for another URL", Passes, claim(json!({ "htu": other_url })).target("/other"))
        .after([with_proof(&proof)])
        .case("DPOP-20†", "a proof after a forged one with its jti", Passes, with_proof(&proof))
        .after([with_proof(&forged)])
        .comment("what is not good uses up nothing")
        .case("DPOP-20†", "a proof after it came with a token that was refused", Passes, with_proof(&proof))
        .after([Request::dpop("abc", &proof)])
}

fn bindings() -> Draft {
    let other_key = proof_by(OTHER_CLIENT, &bound(), json!({}), json!({}));
    let unbound = good();
    let for_unbound = proof_by(CLIENT, &unbound, json!({}), json!({}));
    let configuration = Configuration::with(|configuration| {
        configuration.dpop = Some(Dpop::new());
        configuration.required_scope = Some(Scope::token("read"));
    });
    let poor = claiming(json!({ "scope": "x", "cnf": { "jkt": CLIENT.thumbprint() } }));
    Draft::new("the key of the proof and that of the token", configuration)
        .case("DPOP-13", "a good proof by another key", InvalidToken, with_proof(&other_key))
        .case(
            "DPOP-14",
            "a good proof and a token that is bound to nothing",
            InvalidToken,
            Request::dpop(&unbound, &for_unbound),
        )
        .case("DPOP-15", "a bound token as a bearer token", InvalidToken, Request::bearer(&bound()))
        .case(
            "DPOP-15",
            "a bound token as a bearer token with its proof",
            InvalidToken,
            Request::bearer(&bound()).field("dpop", good_proof()),
        )
        .case("DPOP-16", "an unbound token as a bearer token", Passes, Request::bearer(&unbound))
        .case(
            "DPOP-1 SCOPE-1",
            "a bound token without the scope",
            InsufficientScope,
            Request::dpop(&poor, &proof_by(CLIENT, &poor, json!({}), json!({}))),
        )
        .case(
            "DPOP-13",
            "cnf with a thumbprint that is no text",
            InvalidToken,
            Request::dpop(&claiming(json!({ "cnf": { "jkt": 1 } })), &good_proof()),
        )
}

fn nonces() -> Draft {
    let configuration = Configuration::with(|configuration| {
        configuration.dpop = Some(Dpop { nonce_required: true, ..Dpop::new() });
    });
    Draft::new("a server that demands nonces", configuration)
        .case("DPOP-17", "no nonce", NonceDemanded, with_proof(&good_proof()))
        .case("DPOP-17", "a nonce that the server has not made", NonceDemanded, claim(json!({ "nonce": "as-nonce" })))
        .case("DPOP-17† DPOP-7", "no nonce, and another method", InvalidProof, claim(json!({ "htm": "POST" })))
}

fn off() -> Draft {
    Draft::new("a server without DPoP", Configuration::new())
        .case("DPOP-15 MTLS-5†", "a bound token where DPoP is off", InvalidToken, Request::bearer(&bound()))
        .case("BEARER-5", "a bound token under DPoP where it is off", NoCredentials, with_proof(&good_proof()))
}

fn introspected() -> Draft {
    let configuration = Configuration::with(|configuration| {
        configuration.dpop = Some(Dpop::new());
        configuration.issuers[0].introspection = Some(Introspection::new());
    });
    let token = "opaque-token-1";
    let answer =
        json!({ "active": true, "aud": AUDIENCE, "token_type": "DPoP", "cnf": { "jkt": CLIENT.thumbprint() } });
    let request = || Request::dpop(token, &proof_by(CLIENT, token, json!({}), json!({})));
    Draft::new("answers about tokens that are bound to a key", configuration)
        .case("INTRO-12", "the key of the answer", Passes, request())
        .json(token, &answer)
        .case("INTRO-12", "a bound opaque token as a bearer token", InvalidToken, Request::bearer(token))
        .json(token, &answer)
        .case("INTRO-12", "token_type of DPoP alone, as a bearer token", InvalidToken, Request::bearer(token))
        .json(token, &with(answer.clone(), json!({ "cnf": NONE })))
        .case("INTRO-12 DPOP-14", "an answer without a key", InvalidToken, request())
        .json(token, &with(answer, json!({ "cnf": NONE })))
}
