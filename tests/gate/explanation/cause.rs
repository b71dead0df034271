//! The cause is told before what follows from it, and with a remedy that names who acts.

use scopegate_axum::explanation::Party;

use super::*;

/// The text of an explanation on one line, however it is broken.
fn flat(explanation: &Explanation) -> String {
    explanation.to_string().split_ascii_whitespace().collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn what_follows_from_the_kind_of_a_token_is_one_line() {
    let server = server().await;
    let id_token =
        mint().token().typ("JWT").claim("nonce", "n").audience("app").without_claim("jti").without_claim("client_id");
    let explanation = explained(&server, id_token).await;
    let following: Vec<_> = explanation
        .steps()
        .flat_map(|step| step.checks)
        .filter(|check| check.follows_from.is_some())
        .map(|check| (check.field, check.follows_from))
        .collect();
    assert_eq!(following, [("aud", Some("typ")), ("client_id", Some("typ")), ("jti", Some("typ"))]);
    let shown = flat(&explanation);
    assert!(
        shown.contains("Cause: typ expected an access token found an ID token (header: typ = JWT; claims: nonce)"),
        "{shown}"
    );
    assert!(shown.contains("Follows from it: aud, client_id and jti failed as well"), "{shown}");
    assert!(!shown.contains("Also failed"), "{shown}");
    // A failure that has a cause of its own is not folded: an ID token may have expired, too.
    let expired = mint().token().typ("JWT").claim("nonce", "n").expired();
    let shown = flat(&explained(&server, expired).await);
    assert!(shown.contains("Also failed: exp expected later than") && !shown.contains("Follows from it"), "{shown}");
    // Nor is a wrong audience, of a token whose type alone is another.
    let other = mint().token().typ("JWT").audience("https://other.example").without_claim("jti");
    let shown = flat(&explained(&server, other).await);
    assert!(shown.contains("Also failed: aud") && shown.contains("Follows from it: jti failed"), "{shown}");
}

#[tokio::test]
async fn a_remedy_names_who_acts_and_the_values_at_hand() {
    let server = server().await;
    let token = || mint().token();
    for (token, party, text) in [
        (
            token().audience(format!("{AUDIENCE}/")),
            Party::Client,
            "for the audience https://api.example/r, without the slash",
        ),
        (
            token().audience("https://other.example"),
            Party::Client,
            "(or `resource`) https://api.example/r in place of https://other",
        ),
        (token().claim("iss", format!("{ISSUER}/")), Party::Operator, "set the issuer to https://as.example/"),
        (token().claim("iss", "https://x.example"), Party::Client, "from https://as.example, which this API trusts"),
        (token().expired(), Party::Client, "get a new token"),
        (token().claim("iat", NOW + 20_000), Party::Operator, "compare the clocks"),
        (token().claim("nbf", NOW + 120), Party::Client, "on (in 2 min)"),
        (token().hs256_with_public_key(), Party::Issuer, "of a key pair"),
        (token().header("alg", "RS512"), Party::Operator, "add RS512 to the issuer's algorithms"),
        (token().typ("JWT").claim("nonce", "n"), Party::Client, "send the access token in place of the ID token"),
        (token().typ("JWT").claim("typ", "Bearer").claim("azp", "a"), Party::Operator, "set the profile to keycloak"),
        (token().without_claim("jti"), Party::Issuer, "a value in `jti`"),
        (token().header("kid", "another"), Party::Client, "the one that this token names (another)"),
        (token().tampered_signature(), Party::Client, "send it unchanged"),
        (token().claim("cnf", json!({ "jkt": "x" })), Party::Operator, "switch DPoP on"),
        (token().claim("cnf", json!({ "x5t#S256": "x" })), Party::Operator, "accept client certificates"),
    ] {
        let explanation = explained(&server, token).await;
        let remedy = explanation.remedy().expect("a remedy");
        assert!(remedy.contains(text), "{text}: {remedy}");
        assert_eq!(explanation.remedied_by(), Some(party), "{remedy}");
        let shown = flat(&explanation);
        assert_eq!(shown.matches(" Remedy (").count(), 1, "{shown}");
        assert!(
            shown.contains(&format!(
                " Remedy ({party}): {}",
                remedy.split_ascii_whitespace().collect::<Vec<_>>().join(" ")
            )),
            "{shown}"
        );
    }
    let lacking = explained(&server, token().scope("messages:read")).await.for_access(&scope("admin").into());
    assert_eq!(lacking.remedied_by(), Some(Party::Client));
    assert!(lacking.remedy().is_some_and(|remedy| remedy.contains("scope admin; the token has messages:read")));
}

#[tokio::test]
async fn the_headline_names_the_cause_that_was_found() {
    let server = server().await;
    let token = || mint().token();
    for (token, headline) in [
        (token().typ("JWT").claim("nonce", "n"), "this is an ID token"),
        (
            token().typ("JWT").claim("typ", "Bearer").claim("azp", "a"),
            "the configured profile expects access tokens in",
        ),
        (token().header("kid", "another"), "the issuer has no key to check the token's signature with"),
        (token().tampered_signature(), "the token's signature is not valid"),
        (token().hs256_with_public_key(), "the token is signed with a shared secret"),
        (token().header("alg", "none"), "the token is not signed"),
        (token().expired(), "the token has expired"),
    ] {
        let explanation = explained(&server, token).await;
        let found = explanation.headline().expect("a refusal has one").into_owned();
        assert!(found.starts_with(headline), "{headline}: {explanation}");
        assert!(flat(&explanation).starts_with(&format!("{} ({headline}", explanation.verdict())), "{explanation}");
    }
    assert_eq!(explained(&server, token()).await.headline(), None);
}

#[tokio::test]
async fn the_time_and_the_client_are_named_and_a_client_that_nobody_has_verified_is_called_so() {
    let server = server().await;
    let token = || mint().token().client_id("app");
    for (token, told) in [
        (token(), "accepted at 2026-01-01T00:00:00Z; the token names the client app Steps:"),
        (token().expired(), "at 2026-01-01T00:00:00Z; the token names the client app Cause:"),
        (token().claim("iss", "https://x.example"), "the token names the client app (unverified) Cause:"),
        (token().tampered_signature(), "the token names the client app (unverified) Cause:"),
        (token().without_claim("client_id"), "at 2026-01-01T00:00:00Z Cause:"),
    ] {
        let shown = flat(&explained(&server, token).await);
        assert!(shown.contains(told), "{told}: {shown}");
    }
    let object = serde_json::to_value(explained(&server, token()).await).unwrap();
    assert_eq!((&object["at"], &object["client"]), (&json!("2026-01-01T00:00:00Z"), &json!("app")));
}

#[tokio::test]
async fn what_could_not_be_checked_is_not_said_to_have_failed() {
    let server = server().await;
    let token = || mint().token();
    for (token, outcome) in [
        (
            token().header("kid", "another"),
            "signature: could not be checked (whether the token is genuine is not known)",
        ),
        (token().tampered_signature(), "signature: failed"),
        (token().claim("cnf", json!({ "jkt": "x" })), "signature: passed"),
        (token(), "issuer's answer, binding, access: nothing to check"),
    ] {
        let shown = flat(&explained(&server, token).await);
        assert!(shown.contains(outcome), "{outcome}: {shown}");
    }
}

#[tokio::test]
async fn a_name_that_two_steps_share_says_which_check_it_is() {
    let dpop = Dpop::new().public_url("https://api.example");
    let server = resource_server().issuer(issuer()).dpop(dpop).build().await.expect("good settings");
    let bound = mint().token().bound_to(&DpopClient::generate(SigningAlgorithm::Es256)).issue();
    let mut request = request(&bound);
    let shown = flat(&server.explain(&request).await);
    assert!(
        shown.contains("binding: failed (the request has no header DPoP) FAILED scheme: a bearer token"),
        "{shown}"
    );
    assert!(shown.contains("ok Authorization: Bearer"), "{shown}");
    request.headers.insert("dpop", HeaderValue::from_static("x"));
    let shown = flat(&server.explain(&request).await);
    assert!(shown.contains("binding: failed (the request has a header DPoP)"), "{shown}");
    let lacking = explained(&server, mint().token().scope("messages:read")).await.for_access(&scope("admin").into());
    let shown = flat(&lacking);
    assert!(
        shown.contains("ok scope: messages:read")
            && shown.contains("FAILED scope of the route: expected admin, found messages:read"),
        "{shown}"
    );
}

#[tokio::test]
async fn what_another_party_can_do_is_a_line_that_begins_with_its_condition() {
    let explanation = explained(&server().await, mint().token().audience(format!("{AUDIENCE}/"))).await;
    let lines: Vec<&str> = explanation.remedy().expect("a remedy").lines().collect();
    let [client, operator] = lines[..] else { panic!("{lines:?}") };
    assert!(client.starts_with("ask for a token") && !client.contains("operator"), "{client}");
    assert!(operator.starts_with("If the issuer has registered this API as https://api.example/r/, operator: set"));
    let object = serde_json::to_value(&explanation).unwrap();
    assert_eq!(object["remedy"], json!(format!("{client}. {operator}")));
    // A remedy of the docs is broken into lines there.
    let anonymous = server().await.explain(&Ask::get("/").request().into_parts().0).await;
    let refused = anonymous.for_access(&scopegate_axum::authenticated());
    assert_eq!(refused.remedy().expect("a remedy").lines().count(), 1, "{refused}");
}

#[tokio::test]
async fn what_nobody_has_verified_is_called_unverified() {
    let server = server().await;
    let notes = async |token: TokenBuilder| {
        let explanation = explained(&server, token).await;
        [Step::Header, Step::Claims].map(|wanted| explanation.steps().find(|step| step.step == wanted).unwrap().note)
    };
    let token = || mint().token();
    for (token, note) in [
        (token(), ""),
        (token().expired(), ""),
        (token().tampered_signature(), "unverified: the signature is not valid"),
        (token().expired().tampered_signature(), "unverified: the signature is not valid"),
        (token().header("kid", "another"), "unverified: there is no key to check the signature with"),
        (token().signed_by_wrong_key(), "unverified: the signature is not valid"),
        (token().hs256_with_public_key(), "unverified: a signature of this kind is not checked"),
    ] {
        assert_eq!(notes(token).await, [note; 2]);
    }
    let unknown = explained(&server, token().claim("iss", "https://x.example")).await;
    let verifier = unknown.steps().find(|step| step.step == Step::Verifier).unwrap();
    assert_eq!(verifier.note, "unverified: no keys of an issuer that is not configured are used");
    assert!(flat(&unknown).contains("signature: not reached (no keys of an issuer that is not configured are used)"));
}

#[tokio::test]
async fn what_cannot_be_read_is_described() {
    let server = server().await;
    let token = mint().token().issue();
    let parts: Vec<&str> = token.split('.').collect();
    for (text, found) in [
        ("a.b".to_owned(), "2 part(s) between dots, where a JWT has three"),
        (format!("{}.{}.", parts[0], parts[1]), "no signature (alg: ES256)"),
        (format!("{}..{}", parts[0], parts[2]), "no claims"),
        (format!("{}.x.{}", parts[0], parts[2]), "claims that cannot be decoded to a JSON object"),
        (format!("{}.a+b.{}", parts[0], parts[2]), "claims in base64 with + and /, and not in base64url"),
        (format!("{}.a.b.c.d", parts[0]), "a JWE of five parts (alg: ES256)"),
    ] {
        let request = request(&text);
        let outcome = server.authenticate(&request).await;
        let shown = flat(&assert_explained(&server, &request, &outcome).await);
        assert!(shown.contains(found), "{found}: {shown}");
    }
}

#[tokio::test]
async fn the_address_that_could_not_be_reached_is_named() {
    let clock = scopegate_tests::clock();
    let builder =
        resource_server().fetch(Network::new(&clock)).clock(clock).issuer(Issuer::with_jwks_uri(ISSUER, JWKS_URL));
    let explanation = explained(&builder.build().await.expect("good settings"), mint().token()).await;
    assert_eq!(explanation.reason(), Some(Reason::KeysUnavailable));
    let keys = explanation.steps().find(|step| step.step == Step::Signature).unwrap().checks;
    assert!(keys[0].found.contains("https://as.example/jwks: there is no document"), "{}", keys[0].found);
    let has_hint =
        |explanation: &Explanation| explanation.hints().any(|hint| hint.contains("has not fetched the keys"));
    assert!(has_hint(&explanation), "{explanation}");
    assert!(!has_hint(&explained(&server().await, mint().token().tampered_signature()).await));
}

#[tokio::test]
async fn the_text_is_no_wider_than_a_terminal() {
    let server = server().await;
    for token in HostileToken::all().into_iter().filter(|token| token.id.len() % 7 == 0) {
        let mut request = request("x");
        let Ok(value) = HeaderValue::from_bytes(&authorization(&token)) else { continue };
        request.headers.insert(AUTHORIZATION, value);
        let shown = server.explain(&request).await.to_string();
        let is_narrow = |line: &str| line.len() <= 100 || line.split(' ').any(|word| word.len() > 60);
        assert!(shown.lines().all(is_narrow), "{shown}");
    }
}
