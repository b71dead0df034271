//! Tokens that are bound to a client certificate, and confirmations of other kinds.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use crate::{
    draft::{Draft, Verdict::*},
    format::{Configuration, Dpop, Request},
    keys::{CLIENT, certificate},
    token::{claiming, digest, good, proof_by},
};

/// The groups.
pub(super) fn groups() -> Vec<Draft> {
    vec![bound(), required(), off(), both()]
}

fn thumbprint() -> String {
    digest(certificate("client"))
}

fn confirmed(cnf: Value) -> String {
    claiming(json!({ "cnf": cnf }))
}

fn token() -> String {
    confirmed(json!({ "x5t#S256": thumbprint() }))
}

fn with_certificate(token: &str) -> Request {
    Request::bearer(token).certificate(&certificate("client"))
}

fn bound() -> Draft {
    let configuration = Configuration::with(|configuration| configuration.certificate_bound_tokens = true);
    let mut draft = Draft::new("a server that accepts tokens bound to a certificate", configuration)
        .case("MTLS-1", "the certificate of the token", Passes, with_certificate(&token()))
        .case(
            "MTLS-1",
            "another certificate",
            InvalidToken,
            Request::bearer(&token()).certificate(&certificate("other")),
        )
        .case("MTLS-1", "no certificate", InvalidToken, Request::bearer(&token()))
        .case(
            "MTLS-1",
            "a thumbprint with padding",
            InvalidToken,
            with_certificate(&confirmed(json!({ "x5t#S256": format!("{}=", thumbprint()) }))),
        )
        .case("MTLS-6", "an unbound token where bound ones are accepted", Passes, with_certificate(&good()));
    for name in ["client-cert", "x-ssl-client-cert", "x-forwarded-client-cert"] {
        let value = format!(":{}:", STANDARD.encode(certificate("client")));
        let request = Request::bearer(&token()).field(name, value);
        draft = draft.case("MTLS-2", format!("the certificate in the field {name}"), InvalidToken, request);
    }
    for (name, cnf) in [
        ("another member", json!({ "kid": "1" })),
        ("another member beside the thumbprint", json!({ "x5t#S256": thumbprint(), "kid": "1" })),
        ("a key, where DPoP is off", json!({ "x5t#S256": thumbprint(), "jkt": "x" })),
        ("a thumbprint that is a number", json!({ "x5t#S256": 1 })),
        ("nothing", json!({})),
    ] {
        draft = draft.case("MTLS-5†", format!("cnf with {name}"), InvalidToken, with_certificate(&confirmed(cnf)));
    }
    for (name, cnf) in
        [("a string", json!("x")), ("null", json!(null)), ("an array", json!([])), ("a number", json!(1))]
    {
        draft = draft.case("MTLS-5", format!("cnf is {name}"), InvalidToken, with_certificate(&confirmed(cnf)));
    }
    draft
}

fn required() -> Draft {
    let configuration = Configuration::with(|configuration| {
        configuration.certificate_bound_tokens = true;
        configuration.require_bound_tokens = true;
    });
    Draft::new("a server that requires bound tokens", configuration)
        .case("MTLS-6", "a bound token where it is required", Passes, with_certificate(&token()))
        .case(
            "MTLS-6",
            "an unbound token with a certificate where a bound one is required",
            InvalidToken,
            with_certificate(&good()),
        )
}

fn off() -> Draft {
    Draft::new("a server without certificates", Configuration::new()).case(
        "MTLS-5†",
        "a token that is bound to a certificate where none is looked at",
        InvalidToken,
        with_certificate(&token()),
    )
}

fn both() -> Draft {
    let configuration = Configuration::with(|configuration| {
        configuration.certificate_bound_tokens = true;
        configuration.dpop = Some(Dpop::new());
    });
    let token = confirmed(json!({ "x5t#S256": thumbprint(), "jkt": CLIENT.thumbprint() }));
    let request = || Request::dpop(&token, &proof_by(CLIENT, &token, json!({}), json!({})));
    Draft::new("a server with DPoP and certificates", configuration)
        .case("MTLS-5 DPOP-13", "both confirmations hold", Passes, request().certificate(&certificate("client")))
        .case(
            "MTLS-5 MTLS-1",
            "the key alone of two confirmations",
            InvalidToken,
            request().certificate(&certificate("other")),
        )
        .case("MTLS-5 DPOP-15", "the certificate alone of two confirmations", InvalidToken, with_certificate(&token))
}
