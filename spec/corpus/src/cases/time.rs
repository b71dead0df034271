//! `exp`, `nbf`, `iat`.

use serde_json::{Value, json};

use crate::{
    draft::{Draft, Verdict::*},
    format::{Configuration, Request},
    keys::ES256,
    token::{NONE, NOW, claiming, claims, header, sign},
};

/// The groups.
pub(super) fn groups() -> Vec<Draft> {
    vec![leeway(), no_leeway(), greatest_age(), numbers()]
}

fn at(claim: &str, value: impl Into<Value>) -> Request {
    let value: Value = value.into();
    Request::bearer(&claiming(json!({ claim: value })))
}

fn leeway() -> Draft {
    Draft::new("a leeway of 60 seconds", Configuration::new())
        .case("JWT-4 JWT-6", "exp 59 seconds ago", Passes, at("exp", NOW - 59))
        .case("JWT-4 JWT-6", "exp 60 seconds ago", InvalidToken, at("exp", NOW - 60))
        .case("JWT-4 JWT-6", "exp 61 seconds ago", InvalidToken, at("exp", NOW - 61))
        .case("JWT-4", "exp of 0", InvalidToken, at("exp", 0))
        .case("JWT-4 AT-3", "no exp", InvalidToken, at("exp", NONE))
        .case("JWT-4", "exp in two hundred years", Passes, at("exp", NOW + 200 * 365 * 86400))
        .case("JWT-7 JWT-6", "nbf in 60 seconds", Passes, at("nbf", NOW + 60))
        .case("JWT-7 JWT-6", "nbf in 61 seconds", InvalidToken, at("nbf", NOW + 61))
        .case("JWT-7", "nbf in the past", Passes, at("nbf", NOW - 600))
        .case("JWT-8 JWT-6", "iat in 60 seconds", Passes, at("iat", NOW + 60))
        .case("JWT-8† JWT-6", "iat in 61 seconds", InvalidToken, at("iat", NOW + 61))
        .case("JWT-8", "iat long ago", Passes, at("iat", 1))
}

fn no_leeway() -> Draft {
    Draft::new("no leeway", Configuration::with(|configuration| configuration.leeway_seconds = 0))
        .case("JWT-4", "exp of this second", InvalidToken, at("exp", NOW))
        .comment("the current time has to be before `exp`")
        .case("JWT-4", "exp of the next second", Passes, at("exp", NOW + 1))
        .case("JWT-4 JWT-5", "exp in half a second", Passes, at("exp", NOW as f64 + 0.5))
        .case("JWT-7", "nbf of this second", Passes, at("nbf", NOW))
        .case("JWT-7", "nbf of the next second", InvalidToken, at("nbf", NOW + 1))
        .case("JWT-7 JWT-5", "nbf in half a second", InvalidToken, at("nbf", NOW as f64 + 0.5))
        .case("JWT-8", "iat of this second", Passes, at("iat", NOW))
        .case("JWT-8†", "iat of the next second", InvalidToken, at("iat", NOW + 1))
}

fn greatest_age() -> Draft {
    let configuration = Configuration::with(|configuration| {
        configuration.max_token_age_seconds = Some(600);
        configuration.issuers[0].token_profile.required_claims.retain(|claim| claim != "iat");
    });
    Draft::new("a greatest age of 600 seconds, and a leeway of 60", configuration)
        .case("JWT-8", "a token of 659 seconds", Passes, at("iat", NOW - 659))
        .case("JWT-8", "a token of 661 seconds", InvalidToken, at("iat", NOW - 661))
        .case("JWT-8", "a token without iat, where iat is not required by itself", InvalidToken, at("iat", NONE))
        .comment("its age is not known")
}

fn numbers() -> Draft {
    let spelled = |text: &str| {
        let claims = claims().to_string().replace(&format!("\"exp\":{}", NOW + 300), &format!("\"exp\":{text}"));
        Request::bearer(&sign(ES256, "ES256", header().to_string(), claims))
    };
    let mut draft = Draft::new("numbers and what is none", Configuration::new());
    for text in ["1800000300.5", "1.8000003e9", "18000003000e-1"] {
        draft = draft.case("JWT-5", format!("exp written as {text}"), Passes, spelled(text));
    }
    for text in ["1e400", "NaN", "Infinity", "0x7fffffff", "01900000000", "+1900000000", "1900000000."] {
        draft = draft.case("JWT-5 JOSE-4", format!("exp written as {text}"), InvalidToken, spelled(text));
    }
    for (name, value) in [
        ("a string", json!("1900000000")),
        ("null", json!(null)),
        ("a boolean", json!(true)),
        ("an array", json!([NOW + 300])),
        ("an object", json!({})),
    ] {
        for claim in ["exp", "nbf", "iat"] {
            draft = draft.case("JWT-5", format!("{claim} is {name}"), InvalidToken, at(claim, value.clone()));
        }
    }
    draft
}
