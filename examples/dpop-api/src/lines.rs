//! The lines to try, with the status and the challenges to expect.

use std::{path::Path, time::Duration};

use scopegate_testing::{DpopClient, TestIssuer};

use crate::AUDIENCE;

/// The algorithms of proofs that the API accepts, as its challenges name them.
const ALGORITHMS: &str = "ES256 ES384 Ed25519 PS256 RS256";

/// Prints the lines.
pub(crate) fn print(issuer: &TestIssuer, client: &DpopClient, url: &str, key: &Path, nonces: bool) {
    let token = issuer.token().audience(AUDIENCE).scope("message").expires_in(Duration::from_secs(60 * 60));
    let (token, bound) = (token.issue(), token.bound_to(client).issue());
    println!("Its issuer is at {}. The tokens below are valid for an hour; restart for new ones.", issuer.issuer());
    println!("A client in JavaScript: node examples/dpop-api/client.mjs '{url}/messages' '{}/token'", issuer.issuer());

    let proof =
        format!("cargo run -q -p dpop-api -- proof GET '{url}/messages' --key '{}' --token '{bound}'", key.display());
    let curl = |headers: &str, path: &str| format!("curl -i {headers} '{url}{path}'");
    let with_proof = |path| curl(&format!("-H 'Authorization: DPoP {bound}' -H \"DPoP: $PROOF\""), path);
    let refused = |path, code, description| {
        let error = Some((code, description));
        vec![challenge("Bearer", None, path), challenge("DPoP", error, path)]
    };

    if nonces {
        print_line(
            "401 use_dpop_nonce: the proof has no nonce, and the response has one",
            &refused("/messages", "use_dpop_nonce", "the DPoP proof needs a nonce of this service"),
            &[format!("PROOF=\"$({proof})\""), with_proof("/messages")],
        );
    }
    let (text, nonce) = match nonces {
        false => ("200: the proof is for this request, by the key that the token is bound to", ""),
        true => ("200: write the nonce of that response in place of NONCE", " --nonce NONCE"),
    };
    print_line(text, &[], &[format!("PROOF=\"$({proof}{nonce})\""), with_proof("/messages")]);
    print_line(
        "401 invalid_dpop_proof: the same once more, as an attacker who captured it would send it",
        &refused("/messages", "invalid_dpop_proof", "the DPoP proof was used before"),
        &[with_proof("/messages")],
    );
    print_line(
        "401 invalid_dpop_proof: the proof is for another path",
        &refused("/me", "invalid_dpop_proof", "the DPoP proof is not valid"),
        &[with_proof("/me")],
    );
    print_line(
        "401 invalid_dpop_proof: there is no proof",
        &refused("/messages", "invalid_dpop_proof", "the request has no DPoP proof"),
        &[curl(&format!("-H 'Authorization: DPoP {bound}'"), "/messages")],
    );
    let error = ("invalid_token", "the token is bound to a key and has to be sent with a DPoP proof");
    print_line(
        "401 invalid_token: a bound token is no bearer token",
        &[challenge("Bearer", Some(error), "/messages"), challenge("DPoP", None, "/messages")],
        &[curl(&format!("-H 'Authorization: Bearer {bound}'"), "/messages")],
    );
    print_line(
        "200: a token that is bound to nothing is a bearer token",
        &[],
        &[curl(&format!("-H 'Authorization: Bearer {token}'"), "/me")],
    );
    println!();
}

/// The challenge of a scheme at this path, with the code and the description of its error.
fn challenge(scheme: &str, error: Option<(&str, &str)>, path: &str) -> String {
    let mut challenge = format!("www-authenticate: {scheme} realm=\"{AUDIENCE}\"");
    if let Some((code, description)) = error {
        challenge += &format!(", error=\"{code}\", error_description=\"{description}\"");
    }
    if path == "/messages" {
        challenge += ", scope=\"message\"";
    }
    if scheme == "DPoP" {
        challenge += &format!(", algs=\"{ALGORITHMS}\"");
    }
    challenge
}

/// Prints what to expect, and the lines that bring it.
fn print_line(expected: &str, headers: &[String], lines: &[String]) {
    println!("\n# {expected}");
    for header in headers {
        println!("#   {header}");
    }
    println!("{}", lines.join("\n"));
}
