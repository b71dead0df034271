//! What an issuer says of a token.

use scopegate_spec_compare::text::base64url;
use serde_json::{Value, json};

use crate::{
    draft::{Draft, Verdict::*},
    format::{Configuration, Introspection, Issuer, Jwts, Keys, Request, Scope},
    keys::{ES256, Key, OTHER, set},
    token::{AUDIENCE, ISSUER, NONE, NOW, claiming, good, sign, token, with},
};

/// The groups.
pub(super) fn groups() -> Vec<Draft> {
    vec![
        answers(),
        requirements_of_answers(),
        arrays(),
        two_issuers(),
        also(),
        instead(),
        signed(),
        bound_answers(),
        scoped(),
        not_asked(),
    ]
}

const OPAQUE: &str = "opaque-token-1";

fn active() -> Value {
    json!({ "active": true, "aud": AUDIENCE, "sub": "alice", "scope": "read", "client_id": "web", "exp": NOW + 300 })
}

fn asking(introspection: Introspection) -> Configuration {
    Configuration::of_issuer(|issuer| issuer.introspection = Some(introspection))
}

fn opaque() -> Request {
    Request::bearer(OPAQUE)
}

fn answers() -> Draft {
    let mut draft = Draft::new("an issuer that is asked about opaque tokens", asking(Introspection::new()))
        .case("INTRO-3", "a token that is active", Passes, opaque())
        .json(OPAQUE, &active())
        .case("INTRO-3", "a token that is not active", InvalidToken, opaque())
        .json(OPAQUE, &json!({ "active": false }))
        .case("INTRO-3", "a token that is not known", InvalidToken, Request::bearer("another-token"))
        .json(OPAQUE, &active())
        .case("INTRO-11", "a JWT of this issuer, which is verified", Passes, Request::bearer(&good()))
        .case(
            "INTRO-11†",
            "a JWT of an unknown issuer, about which nobody is asked",
            InvalidToken,
            Request::bearer(&claiming(json!({ "iss": "https://other.example" }))),
        );
    let expired = claiming(json!({ "exp": NOW - 60 }));
    draft = draft
        .case("INTRO-11†", "an expired JWT that the issuer calls active", InvalidToken, Request::bearer(&expired))
        .json(&expired, &active());
    // What begins with a JOSE header is no opaque token, whatever the issuer would say.
    let header = base64url(r#"{"alg":"dir","enc":"A128GCM"}"#);
    for (id, name, token) in [
        ("INTRO-11† JOSE-12", "an encrypted token", format!("{header}..a.b.c")),
        ("INTRO-11† JWT-11", "an SD-JWT with a key binding", format!("{}~WyJhIl0~{}", good(), good())),
    ] {
        draft = draft
            .case(id, format!("{name} that the issuer calls active"), InvalidToken, Request::bearer(&token))
            .json(&token, &active());
    }
    for (name, value) in [
        ("absent", json!(NONE)),
        ("a string", json!("true")),
        ("a number", json!(1)),
        ("null", json!(null)),
        ("an array", json!([true])),
    ] {
        draft = draft
            .case("INTRO-4†", format!("active is {name}"), Unavailable, opaque())
            .json(OPAQUE, &with(active(), json!({ "active": value })));
    }
    for text in ["<html>", "", "[]", "{\"active\":true", "{\"active\":true,\"active\":false}", "{\"Active\":true}"] {
        draft = draft.case("INTRO-4†", format!("the answer is {text:?}"), Unavailable, opaque()).answer(
            OPAQUE,
            200,
            "application/json",
            text,
        );
    }
    draft =
        draft.case("INTRO-4†", "an answer in HTML", Unavailable, opaque()).answer(OPAQUE, 200, "text/html", active());
    for status in [400, 401, 403, 404] {
        draft = draft.case("INTRO-6†", format!("an answer with status {status}"), Unavailable, opaque()).answer(
            OPAQUE,
            status,
            "application/json",
            active(),
        );
    }
    for status in [429, 500, 502, 503] {
        draft = draft.case("INTRO-7†", format!("an answer with status {status}"), Unavailable, opaque()).answer(
            OPAQUE,
            status,
            "application/json",
            active(),
        );
    }
    for (id, name, changes) in [
        ("INTRO-5† JWT-4", "expired", json!({ "exp": NOW - 60 })),
        ("INTRO-5† JWT-5", "exp is a string", json!({ "exp": "1900000000" })),
        ("INTRO-5† JWT-7", "not valid yet", json!({ "nbf": NOW + 61 })),
        ("INTRO-5†", "of another issuer", json!({ "iss": "https://other.example" })),
        ("INTRO-5† JWT-2", "for another audience", json!({ "aud": "https://other.example" })),
        ("INTRO-5", "without an audience", json!({ "aud": NONE })),
        ("INTRO-5†", "a refresh token", json!({ "token_type": "refresh_token" })),
        ("INTRO-5†", "an ID token", json!({ "token_type": "id_token" })),
        ("INTRO-5† JWT-11", "typ of Refresh", json!({ "typ": "Refresh" })),
        ("INTRO-13 JWT-10", "sub is a number", json!({ "sub": 1 })),
        ("INTRO-13 JWT-10", "scope is an array", json!({ "scope": ["read"] })),
        ("INTRO-12 MTLS-5†", "bound to a key, where DPoP is off", json!({ "token_type": "DPoP" })),
        ("INTRO-12 MTLS-5†", "confirmed by a key, where DPoP is off", json!({ "cnf": { "jkt": "x" } })),
        ("INTRO-12 MTLS-5†", "an empty cnf", json!({ "cnf": {} })),
        ("INTRO-14† MTLS-5", "cnf is null", json!({ "cnf": null })),
        ("INTRO-14†", "aud is null", json!({ "aud": null })),
        ("RAR-1", "authorization_details is an object", json!({ "authorization_details": { "type": "payment" } })),
        ("RAR-1", "authorization_details has an object without type", json!({ "authorization_details": [{}] })),
        ("ACT-2", "act is a string", json!({ "act": "service" })),
        ("ACT-2†", "act has no sub", json!({ "act": {} })),
    ] {
        draft = draft
            .case(id, format!("active, and {name}"), InvalidToken, opaque())
            .json(OPAQUE, &with(active(), changes));
    }
    for (id, name, changes) in [
        ("INTRO-5", "without exp, sub and client_id", json!({ "exp": NONE, "sub": NONE, "client_id": NONE })),
        ("INTRO-5", "of this issuer by name", json!({ "iss": ISSUER })),
        ("INTRO-5", "a bearer token in small letters", json!({ "token_type": "bearer" })),
        ("INTRO-13", "with a user name, which is no subject", json!({ "username": "bob", "sub": NONE })),
        ("RAR-1", "with authorization_details", json!({ "authorization_details": [{ "type": "payment" }] })),
        ("ACT-2", "with an actor", json!({ "act": { "sub": "service" } })),
        ("RAR-1 ACT-2 INTRO-14†", "with both of null", json!({ "authorization_details": null, "act": null })),
        (
            "INTRO-14†",
            "with members that are null",
            json!({ "exp": null, "iss": null, "scope": null, "token_type": null }),
        ),
    ] {
        draft = draft.case(id, format!("active, {name}"), Passes, opaque()).json(OPAQUE, &with(active(), changes));
    }
    draft
}

fn requirements_of_answers() -> Draft {
    let introspection = Introspection { audience_required: false, token_type_required: true, ..Introspection::new() };
    Draft::new("answers that need a token_type, and no aud", asking(introspection))
        .case("INTRO-5", "token_type and no aud", Passes, opaque())
        .json(OPAQUE, &with(active(), json!({ "aud": NONE, "token_type": "Bearer" })))
        .case("INTRO-5", "no token_type where one is needed", InvalidToken, opaque())
        .json(OPAQUE, &active())
        .case("INTRO-5 JWT-2", "another aud where none is needed", InvalidToken, opaque())
        .json(OPAQUE, &with(active(), json!({ "aud": "https://other.example", "token_type": "Bearer" })))
}

fn arrays() -> Draft {
    let introspection = Introspection { scope_array: true, ..Introspection::new() };
    Draft::new("answers whose scope may be an array", asking(introspection))
        .case("INTRO-13", "scope is an array where it may be", Passes, opaque())
        .json(OPAQUE, &with(active(), json!({ "scope": ["read", "write"] })))
        .case("INTRO-13", "scope is a string where it may be an array", Passes, opaque())
        .json(OPAQUE, &active())
}

fn two_issuers() -> Draft {
    let configuration = Configuration::with(|configuration| {
        configuration.issuers[0].introspection = Some(Introspection::new());
        let mut second = Issuer::new("https://second.example", set([OTHER.jwk()]));
        second.introspection = Some(Introspection { token_prefix: Some("sec_".to_owned()), ..Introspection::new() });
        configuration.issuers.push(second);
    });
    Draft::new("two issuers, of which one has tokens with a prefix", configuration)
        .case("INTRO-11", "a token with the prefix", Passes, Request::bearer("sec_1"))
        .json("sec_1", &active())
        .case("INTRO-11", "a token without the prefix", Passes, opaque())
        .json(OPAQUE, &active())
        .case("INTRO-11 KEY-1", "a JWT of the first of two issuers that are asked", Passes, Request::bearer(&good()))
}

fn also() -> Draft {
    let jwt = claiming(json!({ "scope": "read write" }));
    let configuration = Configuration::with(|configuration| {
        configuration.audiences.push("urn:example:api".to_owned());
        let introspection = Introspection { jwts: Jwts::VerifiedAndIntrospected, ..Introspection::new() };
        configuration.issuers[0].introspection = Some(introspection);
    });
    let mut draft = Draft::new("an issuer that is asked about JWTs after they are verified", configuration);
    let ask = || Request::bearer(&jwt);
    // It is open what an answer means that has our audience and further ones, or an earlier `exp`.
    for (name, verdict, answer) in [
        ("active", Passes, with(active(), json!({ "scope": "read write" }))),
        ("active, and nothing else but the audience", Passes, json!({ "active": true, "aud": AUDIENCE })),
        ("active with a narrower scope", Passes, with(active(), json!({ "scope": "read" }))),
        ("active with a wider scope", Passes, with(active(), json!({ "scope": "read write admin" }))),
        ("not active", InvalidToken, json!({ "active": false })),
        ("about another subject", InvalidToken, with(active(), json!({ "sub": "bob" }))),
        ("about another client", InvalidToken, with(active(), json!({ "client_id": "other" }))),
        ("about another audience", InvalidToken, with(active(), json!({ "aud": "https://other.example" }))),
        ("about another of our audiences", InvalidToken, with(active(), json!({ "aud": "urn:example:api" }))),
        ("about another issuer", InvalidToken, with(active(), json!({ "iss": "https://other.example" }))),
    ] {
        let id = if verdict == Passes { "INTRO-15" } else { "INTRO-15†" };
        draft = draft.case(id, format!("a verified JWT that is {name}"), verdict, ask()).json(&jwt, &answer);
    }
    let bad = claiming(json!({ "aud": "https://other.example" }));
    draft
        .case("INTRO-15 JWT-2", "a JWT for another audience that is active", InvalidToken, Request::bearer(&bad))
        .json(&bad, &active())
        .case("INTRO-7†", "a verified JWT and an outage", Unavailable, ask())
        .answer(&jwt, 503, "application/json", "{}")
}

fn instead() -> Draft {
    let configuration = Configuration::of_issuer(|issuer| {
        issuer.keys = Keys::None;
        issuer.introspection = Some(Introspection { jwts: Jwts::Introspected, ..Introspection::new() });
    });
    let mut draft = Draft::new("an issuer that is asked in place of verifying JWTs", configuration);
    for (name, verdict, header, claims) in [
        ("as it should be", Passes, json!({}), json!({})),
        ("of a kid that nobody knows", Passes, json!({ "kid": "unknown" }), json!({})),
        ("without exp and aud", Passes, json!({ "typ": "JWT" }), json!({ "exp": NONE, "aud": NONE })),
        ("expired", InvalidToken, json!({}), json!({ "exp": NOW - 60 })),
        ("for another audience", InvalidToken, json!({}), json!({ "aud": "https://other.example" })),
        ("of another kind by typ", InvalidToken, json!({ "typ": "dpop+jwt" }), json!({})),
        ("of another kind by a mark", InvalidToken, json!({ "typ": "JWT" }), json!({ "nonce": "n" })),
        ("with a cnf that cannot be checked", InvalidToken, json!({}), json!({ "cnf": { "jkt": "x" } })),
        ("of another issuer", InvalidToken, json!({}), json!({ "iss": "https://other.example" })),
    ] {
        let id = if verdict == Passes { "INTRO-15" } else { "INTRO-15†" };
        let jwt = token(header, claims);
        draft = draft.case(id, format!("an active JWT {name}"), verdict, Request::bearer(&jwt)).json(&jwt, &active());
    }
    draft.case("INTRO-15 INTRO-3", "a JWT that is not active", InvalidToken, Request::bearer(&good()))
}

const SIGNED: &str = "application/token-introspection+jwt";

fn signed_answer(key: Key, header: Value, changes: Value) -> String {
    let all = json!({ "iss": ISSUER, "aud": "rs", "iat": NOW, "token_introspection": active() });
    let header = with(json!({ "typ": "token-introspection+jwt", "alg": "ES256", "kid": ES256.kid() }), header);
    sign(key, "ES256", header.to_string(), with(all, changes).to_string())
}

fn signed() -> Draft {
    let introspection = Introspection { signed_for: Some("rs".to_owned()), ..Introspection::new() };
    let mut draft = Draft::new("answers that are signed, for the audience rs", asking(introspection));
    let inactive = json!({ "active": false });
    for (id, name, verdict, key, header, changes) in [
        ("IJWT-1 IJWT-3", "as it should be", Passes, ES256, json!({}), json!({})),
        ("IJWT-3", "of the last minute", Passes, ES256, json!({}), json!({ "iat": NOW - 59 })),
        ("IJWT-3", "for several audiences", Passes, ES256, json!({}), json!({ "aud": ["x", "rs"] })),
        (
            "IJWT-4 INTRO-3",
            "about a token that is not active",
            InvalidToken,
            ES256,
            json!({}),
            json!({ "active": true, "token_introspection": inactive }),
        ),
        ("IJWT-3†", "by another key", Unavailable, OTHER, json!({}), json!({})),
        ("IJWT-3†", "of another type", Unavailable, ES256, json!({ "typ": "JWT" }), json!({})),
        ("IJWT-3† JOSE-7", "under none", Unavailable, ES256, json!({ "alg": "none" }), json!({})),
        (
            "IJWT-3†",
            "for another audience",
            Unavailable,
            ES256,
            json!({}),
            json!({ "aud": AUDIENCE.to_owned() + "/x" }),
        ),
        ("IJWT-3†", "by another issuer", Unavailable, ES256, json!({}), json!({ "iss": "https://other.example" })),
        ("IJWT-3†", "of ten minutes ago", Unavailable, ES256, json!({}), json!({ "iat": NOW - 600 })),
        ("IJWT-3†", "of the future", Unavailable, ES256, json!({}), json!({ "iat": NOW + 600 })),
        ("IJWT-3†", "without iat", Unavailable, ES256, json!({}), json!({ "iat": NONE })),
        (
            "IJWT-4†",
            "with its data at the top level",
            Unavailable,
            ES256,
            json!({}),
            json!({ "active": true, "sub": "alice", "scope": "read", "token_introspection": NONE }),
        ),
    ] {
        draft = draft.case(id, format!("a signed answer {name}"), verdict, opaque()).answer(
            OPAQUE,
            200,
            SIGNED,
            signed_answer(key, header, changes),
        );
    }
    draft
        .case("IJWT-1†", "a signed answer of the media type application/jwt", Unavailable, opaque())
        .answer(OPAQUE, 200, "application/jwt", signed_answer(ES256, json!({}), json!({})))
        .case("IJWT-2†", "a plain answer where a signed one is required", Unavailable, opaque())
        .json(OPAQUE, &active())
}

fn bound_answers() -> Draft {
    let configuration = Configuration::with(|configuration| {
        configuration.certificate_bound_tokens = true;
        configuration.issuers[0].introspection = Some(Introspection::new());
    });
    let der = crate::keys::certificate("client");
    let answer = with(active(), json!({ "cnf": { "x5t#S256": crate::token::digest(&der) } }));
    Draft::new("answers about tokens that are bound to a certificate", configuration)
        .case("INTRO-12 MTLS-1", "the certificate of the answer", Passes, opaque().certificate(&der))
        .json(OPAQUE, &answer)
        .case(
            "INTRO-12 MTLS-1",
            "another certificate than that of the answer",
            InvalidToken,
            opaque().certificate(&crate::keys::certificate("other")),
        )
        .json(OPAQUE, &answer)
        .case("INTRO-12 MTLS-1", "no certificate, and one in the answer", InvalidToken, opaque())
        .json(OPAQUE, &answer)
}

fn scoped() -> Draft {
    let configuration = Configuration::with(|configuration| {
        configuration.required_scope = Some(Scope::token("write"));
        configuration.issuers[0].introspection = Some(Introspection::new());
    });
    Draft::new("an issuer that is asked, and a route that requires a scope", configuration)
        .case("INTRO-13 SCOPE-1", "an answer with the scope", Passes, opaque())
        .json(OPAQUE, &with(active(), json!({ "scope": "read write" })))
        .case("INTRO-13 SCOPE-1", "an answer without the scope", InsufficientScope, opaque())
        .json(OPAQUE, &active())
        .case("INTRO-3 SCOPE-4", "a token that is not active, for a scope", InvalidToken, opaque())
        .json(OPAQUE, &json!({ "active": false }))
}

fn not_asked() -> Draft {
    let answer = signed_answer(ES256, json!({}), json!({ "aud": AUDIENCE, "exp": NOW + 300 }));
    Draft::new("a server that asks nobody", Configuration::new())
        .case("BEARER-4 INTRO-11", "an opaque token where nobody is asked", InvalidToken, opaque())
        .json(OPAQUE, &active())
        .case("IJWT-5 JWT-11", "a signed answer as an access token", InvalidToken, Request::bearer(&answer))
}
