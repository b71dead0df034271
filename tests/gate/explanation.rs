//! Explanations: what is decided about a request and why, made by the code that decides.

use std::time::{Duration, SystemTime};

use http::{HeaderValue, Method, header::AUTHORIZATION, request::Parts};
use scopegate_axum::{
    Access, Authentication, Error, Issuer, Reason, ResourceServer, authenticated,
    dpop::Dpop,
    explanation::{ExplainedCheck, Explanation, Status, Step, Verdict},
    scope,
};
use scopegate_testing::{DpopClient, Mint, SigningAlgorithm, SigningKey, TokenBuilder};
use scopegate_tests::{
    AUDIENCE, Ask, ISSUER, NOW, issuer, mint, resource_server, rig_resource_server, vectors::HostileToken,
};
use serde_json::{Value, json};

use crate::hostile::authorization;

/// Asserts that the explanation of a request is its verdict, with every failed check in the order of the refusal.
pub(crate) async fn assert_explained(
    server: &ResourceServer,
    request: &Parts,
    outcome: &Result<Authentication, Error>,
) -> Explanation {
    let explanation = server.explain(request).await;
    let steps: Vec<_> = explanation.steps().collect();
    let failed = |step: &ExplainedCheck| step.status == Status::Failed;
    let checks: Vec<&ExplainedCheck> =
        steps.iter().flat_map(|step| &step.checks).filter(|check| failed(check)).collect();
    match outcome {
        Ok(authentication) => {
            let expected = if authentication.token().is_some() { Verdict::Accepted } else { Verdict::Anonymous };
            assert_eq!(explanation.verdict(), expected, "{explanation}");
            assert!(checks.is_empty() && steps.iter().all(|step| step.status != Status::Failed), "{explanation}");
        }
        Err(error) => {
            assert_eq!(explanation.verdict(), Verdict::Refused(error.reason()), "{explanation}");
            for failure in error.failed_checks() {
                let is_it = |check: &&&ExplainedCheck| {
                    check.field == failure.field()
                        && check.found == failure.found()
                        && check.expected == failure.expected()
                };
                assert!(checks.iter().any(|check| is_it(&check)), "{failure} is not in\n{explanation}");
            }
            assert!(!checks.is_empty() && steps.iter().any(|step| step.status == Status::Failed), "{explanation}");
            assert!(explanation.remedy().is_some() || !hints(&explanation).is_empty(), "{explanation}");
        }
    }
    explanation
}

fn request(token: &str) -> Parts {
    Ask::get("/").bearer(token).request().into_parts().0
}

async fn explained(server: &ResourceServer, token: TokenBuilder) -> Explanation {
    let request = request(&token.issue());
    let outcome = server.authenticate(&request).await;
    assert_explained(server, &request, &outcome).await
}

async fn server() -> ResourceServer {
    resource_server().issuer(issuer()).build().await.expect("good settings")
}

fn status(explanation: &Explanation, wanted: Step) -> Status {
    explanation.steps().find(|step| step.step == wanted).expect("every step is there").status
}

fn access(route: &str) -> Access {
    match route {
        "/messages" => scope("messages:read").into(),
        "/admin" => (scope("admin") & scope("messages:read")).into(),
        _ => authenticated(),
    }
}

#[tokio::test]
async fn a_hostile_token_is_explained_by_its_refusal() {
    let server = rig_resource_server().await;
    let (mut accepted, mut refused) = (0, 0);
    for token in HostileToken::all() {
        let mut request = request("x");
        let Ok(value) = HeaderValue::from_bytes(&authorization(&token)) else { continue };
        request.headers.insert(AUTHORIZATION, value);
        let outcome = server.authenticate(&request).await;
        let explanation = assert_explained(&server, &request, &outcome).await.for_access(&access(&token.route));
        let decided = match &outcome {
            Ok(authentication) => access(&token.route).check(authentication.token().expect("a token")).err(),
            Err(_) => None,
        };
        let reason = decided.as_ref().or(outcome.as_ref().err()).map(Error::reason);
        assert_eq!(explanation.reason(), reason, "{}\n{explanation}", token.id);
        match explanation.verdict() {
            Verdict::Accepted => accepted += 1,
            _ => refused += 1,
        }
    }
    assert!(accepted >= 20 && refused >= 250, "{accepted} {refused}");
}

#[tokio::test]
async fn an_accepted_token_is_explained_too() {
    let server = server().await;
    let token = mint().token().scope("messages:read").subject("alice");
    let explanation = explained(&server, token).await;
    for step in [Step::Credentials, Step::Verifier, Step::Header, Step::Claims, Step::Signature] {
        assert_eq!(status(&explanation, step), Status::Passed, "{step}\n{explanation}");
    }
    for step in [Step::Answer, Step::Binding, Step::Access] {
        assert_eq!(status(&explanation, step), Status::NotApplicable, "{step}\n{explanation}");
    }
    let shown = explanation.to_string();
    for part in ["accepted\n", "iss: https://as.example", "aud: https://api.example/r", "scope: messages:read", "(in "]
    {
        assert!(shown.contains(part), "{part}\n{shown}");
    }
    let sufficient = explanation.for_access(&scope("messages:read").into());
    assert_eq!((sufficient.verdict(), status(&sufficient, Step::Access)), (Verdict::Accepted, Status::Passed));
}

#[tokio::test]
async fn each_part_of_a_demand_is_explained() {
    let server = server().await;
    let token = || mint().token().scope("messages:read");
    let demand = scope("messages:read") & scope("admin");
    let explanation = explained(&server, token()).await.for_access(&demand.into());
    assert_eq!(explanation.verdict(), Verdict::Refused(Reason::InsufficientScope));
    assert_eq!(explanation.status().map(|status| status.as_u16()), Some(403));
    let step = explanation.steps().find(|step| step.step == Step::Access).unwrap();
    let parts: Vec<_> = step.checks.iter().map(|check| (&*check.expected, check.status)).collect();
    assert_eq!(
        parts,
        [
            ("messages:read", Status::Passed),
            ("admin", Status::NotApplicable),
            ("(messages:read & admin)", Status::Failed),
        ]
    );
    let anonymous = server.explain(&Ask::get("/").request().into_parts().0).await;
    assert_eq!(anonymous.verdict(), Verdict::Anonymous);
    let refused = anonymous.for_access(&authenticated());
    assert_eq!(refused.verdict(), Verdict::Refused(Reason::MissingCredentials));
}

#[tokio::test]
async fn every_failure_is_explained_and_the_signature_is_checked_all_the_same() {
    let server = server().await;
    let bad = || mint().token().expired().audience("https://other.example");
    let good_signature = explained(&server, bad()).await;
    assert_eq!(status(&good_signature, Step::Signature), Status::Passed, "{good_signature}");
    let forged = explained(&server, bad().tampered_signature()).await;
    assert_eq!(status(&forged, Step::Signature), Status::Failed, "{forged}");
    for explanation in [good_signature, forged] {
        let claims = explanation.steps().find(|step| step.step == Step::Claims).unwrap();
        let failed = |field: &str| claims.checks.iter().any(|one| one.field == field && one.status == Status::Failed);
        assert!(failed("exp") && failed("aud") && !failed("iss"), "{explanation}");
    }
}

#[tokio::test]
async fn what_names_a_user_or_a_token_is_shown_on_demand_and_the_token_never() {
    let server = server().await;
    let text = mint()
        .token()
        .subject("alice-the-subject")
        .claim("jti", "the-id-of-the-token")
        .claim("note", "a private note")
        .issue();
    let signature = text.rsplit('.').next().unwrap();
    let secret = ["alice-the-subject", "the-id-of-the-token", "a private note"];
    let explain = async || server.explain(&request(&text)).await;
    let shown = |explanation: &Explanation| [explanation.to_string(), serde_json::to_string(explanation).unwrap()];
    for shown in shown(&explain().await).iter().chain([&format!("{:?}", explain().await.show_claims())]) {
        assert!(secret.iter().all(|secret| !shown.contains(secret)), "{shown}");
    }
    for shown in shown(&explain().await.show_claims()) {
        assert!(secret.iter().all(|secret| shown.contains(secret)), "{shown}");
        assert!(!shown.contains(signature) && !shown.contains(text.split('.').nth(1).unwrap()), "{shown}");
    }
}

#[tokio::test]
async fn an_explanation_is_an_object_for_machines() {
    let server = server().await;
    let explanation = explained(&server, mint().token().expired()).await;
    let object = serde_json::to_value(&explanation).unwrap();
    assert_eq!(
        (&object["verdict"], &object["reason"], &object["status"]),
        (&json!("refused"), &json!("expired"), &json!(401))
    );
    let steps = object["steps"].as_array().unwrap();
    let claims = steps.iter().find(|step| step["step"] == "claims").unwrap();
    assert_eq!(claims["status"], "failed");
    let check = claims["checks"].as_array().unwrap().iter().find(|check| check["field"] == "exp").unwrap();
    assert_eq!((&check["status"], &check["reason"]), (&json!("failed"), &json!("expired")));
    assert!(check["found"].as_str().unwrap().contains(" ago"), "{check}");
    assert_eq!(steps.iter().find(|step| step["step"] == "binding").unwrap()["status"], "not_reached");
    assert_eq!((&object["header"], &object["claims"]), (&Value::Null, &Value::Null));
}

#[tokio::test]
async fn dpop_7_an_explained_proof_is_not_used_up_nor_is_a_used_one_good_again() {
    let client = DpopClient::generate(SigningAlgorithm::Es256);
    let dpop = Dpop::new().public_url("https://api.example");
    let server = resource_server().issuer(issuer()).dpop(dpop).build().await.unwrap();
    let token = mint().token().bound_to(&client).issue();
    let proof = client
        .proof("GET", "https://api.example/")
        .for_token(&token)
        .issued_at(SystemTime::UNIX_EPOCH + Duration::from_secs(NOW))
        .issue();
    let mut request = Ask::get("/").request().into_parts().0;
    request.headers.insert(AUTHORIZATION, format!("DPoP {token}").try_into().unwrap());
    request.headers.insert("dpop", proof.try_into().unwrap());
    for _ in 0..3 {
        let explanation = server.explain(&request).await;
        assert_eq!(explanation.verdict(), Verdict::Accepted, "{explanation}");
        assert_eq!(status(&explanation, Step::Binding), Status::Passed, "{explanation}");
    }
    assert!(server.authenticate(&request).await.is_ok());
    assert_eq!(server.explain(&request).await.verdict(), Verdict::Accepted, "whether it was used is left open");
    let error = server.authenticate(&request).await.unwrap_err();
    assert_eq!(error.reason(), Reason::RepeatedDpopProof, "explaining has changed nothing");
    request.method = Method::POST;
    let explanation = server.explain(&request).await;
    assert_eq!(explanation.verdict(), Verdict::Refused(Reason::InvalidDpopProof));
    assert_eq!(status(&explanation, Step::Binding), Status::Failed, "{explanation}");
}

#[tokio::test]
async fn a_token_that_is_remembered_is_explained_afresh() {
    let server = server().await;
    let text = mint().token().issue();
    assert!(server.authenticate(&request(&text)).await.is_ok());
    let explanation = server.explain(&request(&text)).await;
    assert_eq!(status(&explanation, Step::Signature), Status::Passed, "{explanation}");
}

/// The hints of a refusal, those of its checks and those of the whole.
fn hints(explanation: &Explanation) -> Vec<String> {
    let of_checks = explanation.steps().flat_map(|step| step.checks).filter_map(|check| check.hint.map(str::to_owned));
    of_checks.chain(explanation.hints().map(str::to_owned)).collect()
}

/// Asserts that `earns` has a hint with this text, and that `not`, which is nearly the same, has none.
async fn assert_hint(server: &ResourceServer, hint: &str, earns: TokenBuilder, not: TokenBuilder) {
    let found = hints(&explained(server, earns).await);
    assert!(found.iter().any(|found| found.contains(hint)), "{hint}: {found:?}");
    let found = hints(&explained(server, not).await);
    assert!(!found.iter().any(|found| found.contains(hint)), "{hint}: {found:?}");
}

#[tokio::test]
async fn a_hint_is_given_to_the_token_that_earns_it_alone() {
    const OTHER: &str = "https://other.example";
    let (key, entra) = (SigningKey::generate(SigningAlgorithm::Es256), "https://login.microsoftonline.com/t/v2.0");
    let other = Mint::new(OTHER, key.clone().into()).with_audience(AUDIENCE).with_clock(scopegate_tests::clock());
    let server = resource_server()
        .issuer(issuer())
        .issuer(Issuer::with_jwks(OTHER, other.jwks_json()))
        .issuer(Issuer::with_jwks(entra, other.jwks_json()))
        .build()
        .await
        .expect("good settings");
    let token = || mint().token();
    let wrong = || token().audience("https://wrong.example");
    for (hint, earns, not) in [
        ("slash at the end alone", token().audience(format!("{AUDIENCE}/")), wrong()),
        ("upper and lower case alone", token().audience(AUDIENCE.to_uppercase().replace("HTTPS", "https")), wrong()),
        (
            "slash at the end alone",
            token().claim("iss", format!("{ISSUER}/")),
            token().claim("iss", "https://x.example"),
        ),
        ("for Microsoft Graph", token().audience("https://graph.microsoft.com"), wrong()),
        ("for Microsoft Graph", wrong().header("nonce", "x"), wrong()),
        (
            "userinfo endpoint",
            token().audience("https://as.example/userinfo"),
            token().audience("https://as.example/info"),
        ),
        (
            "client's own id",
            token().client_id("the-app").audience("the-app"),
            token().client_id("the-app").audience("app"),
        ),
        ("writes no audience", token().without_claim("aud"), wrong()),
        ("tells the client who has signed in", token().typ("JWT").claim("nonce", "n"), token().typ("JWT")),
        ("keycloak", token().typ("JWT").claim("typ", "Bearer"), token().typ("x").claim("typ", "Bearer")),
        (
            "two versions of tokens",
            token().claim("iss", "https://sts.windows.net/t/"),
            token().claim("iss", "https://x/t/"),
        ),
        (
            "is on the same host",
            token().claim("iss", format!("{ISSUER}/realms/a")),
            token().claim("iss", "https://b.example"),
        ),
        ("signed with a secret", token().hs256_with_public_key(), token().header("alg", "None")),
        ("not signed at all", token().header("alg", "None"), token().hs256_with_public_key()),
        ("configured issuer https://other.example", token().signed_by_key(&key), token().signed_by_wrong_key()),
        ("seem to differ, by 300 s", token().claim("iat", NOW + 300), token().claim("iat", NOW + 30_000)),
        ("in milliseconds", token().claim("iat", NOW * 1000), token().claim("iat", NOW + 30_000)),
        ("a refresh token", token().typ("JWT").claim("typ", "Refresh"), token().typ("JWT").claim("typ", "Other")),
        ("tells the client who", token().typ("JWT").claim("at_hash", "x"), token().typ("x")),
    ] {
        assert_hint(&server, hint, earns, not).await;
    }
}

#[tokio::test]
async fn a_scope_in_another_claim_is_pointed_out() {
    let server = server().await;
    let lacking = async |claim: &str, value: Value| {
        let explanation = explained(&server, mint().token().scope("other").claim(claim, value)).await;
        hints(&explanation.for_access(&scope("messages:read").into()))
    };
    for claim in ["scp", "permissions", "roles"] {
        let found = lacking(claim, json!(["messages:read"])).await;
        assert!(
            found.iter().any(|hint| hint.contains(&format!("has messages:read in `{claim}`"))),
            "{claim}: {found:?}"
        );
    }
    assert_eq!(lacking("scp", json!("messages:write")).await, Vec::<String>::new());
    assert_eq!(lacking("other", json!("messages:read")).await, Vec::<String>::new());
}

#[tokio::test]
async fn a_header_without_a_token_has_its_own_hints() {
    let server = server().await;
    let token = mint().token().issue();
    let explain = async |url: &str, authorization: Option<String>| {
        let mut request = Ask::get(url).request().into_parts().0;
        request.headers.extend(authorization.map(|value| (AUTHORIZATION, HeaderValue::try_from(value).unwrap())));
        let outcome = server.authenticate(&request).await;
        hints(&assert_explained(&server, &request, &outcome).await)
    };
    for (authorization, hint) in [
        (token.clone(), "write the scheme before it"),
        ("Bearer ".to_owned(), "no token after the scheme"),
        (format!("Bearer \"{token}\""), "in quotation marks"),
        (format!("Bearer Bearer {token}"), "written twice"),
        (format!("Token {token}"), "under another scheme than Bearer"),
    ] {
        let found = explain("/", Some(authorization)).await;
        assert!(found.len() == 1 && found[0].contains(hint), "{hint}: {found:?}");
        assert!(!found[0].contains(&token), "{found:?}");
    }
    assert!(explain(&format!("/?access_token={token}"), None).await[0].contains("in the query"));
    for authorization in
        [None, Some(format!("Bearer {token}")), Some("Basic eDp5".to_owned()), Some("Bearer a b".to_owned())]
    {
        assert_eq!(explain("/", authorization.clone()).await, Vec::<String>::new(), "{authorization:?}");
    }
}

#[tokio::test]
async fn what_is_no_jwt_has_its_own_hints() {
    let server = server().await;
    let explain = async |token: &str| {
        let request = request(token);
        let outcome = server.authenticate(&request).await;
        hints(&assert_explained(&server, &request, &outcome).await)
    };
    assert!(explain("an-opaque-token").await.iter().any(|hint| hint.contains("Issuer::introspection")));
    assert!(explain("a.b.c.d.e").await.iter().any(|hint| hint.contains("encrypted (JWE)")));
    assert_eq!(explain("a.b").await, Vec::<String>::new());
}
