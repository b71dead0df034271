//! Explanations: what is decided about a request and why, made by the code that decides.

mod cause;
mod hints;
mod memory;
mod verdict;

use std::time::{Duration, SystemTime};

use http::{HeaderValue, Method, header::AUTHORIZATION, request::Parts};
use scopegate_axum::{
    Access, Authentication, Error, Issuer, Reason, ResourceServer, authenticated,
    dpop::Dpop,
    explanation::{ExplainedCheck, Explanation, Status, Step, Verdict},
    optional, scope,
};
use scopegate_testing::{DpopClient, Mint, SigningAlgorithm, SigningKey, TokenBuilder};
use scopegate_tests::{
    AUDIENCE, Ask, ISSUER, JWKS_URL, NOW, Network, Reply, issuer, mint, resource_server, rig_resource_server,
    vectors::HostileToken,
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
                        && (check.found == failure.found() || check.found == "[redacted]")
                        && check.expected == failure.expected()
                };
                assert!(checks.iter().any(|check| is_it(&check)), "{failure} is not in\n{explanation}");
            }
            assert!(!checks.is_empty() && steps.iter().any(|step| step.status == Status::Failed), "{explanation}");
            assert!(explanation.remedy().is_some_and(|remedy| !remedy.is_empty()), "{explanation}");
        }
    }
    explanation
}

/// Asserts that a terminal shows the text of an explanation as it is, and that no longer part of the token is in it.
fn assert_safe_to_print(explanation: &Explanation, request: &Parts) {
    let (shown, object) = (explanation.to_string(), serde_json::to_string(explanation).unwrap());
    let is_plain = |c: char| matches!(c, '\n' | '\u{a7}') || (' '..='~').contains(&c);
    assert!(shown.chars().all(is_plain) && object.chars().all(is_plain), "{shown:?}\n{object:?}");
    let sent = String::from_utf8_lossy(request.headers[AUTHORIZATION].as_bytes()).into_owned();
    let mut parts = sent.split(['.', ' ']).filter(|part| part.len() > 20);
    assert!(parts.all(|part| !shown.contains(part) && !object.contains(part)), "{sent}\n{shown}");
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
        assert_safe_to_print(&explanation, &request);
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
async fn of_several_demands_the_last_is_explained() {
    let server = server().await;
    let token = explained(&server, mint().token().scope("messages:read")).await;
    let refused = token.for_access(&scope("admin").into());
    assert_eq!(refused.verdict(), Verdict::Refused(Reason::InsufficientScope));
    let accepted = refused.for_access(&scope("messages:read").into());
    assert_eq!((accepted.verdict(), status(&accepted, Step::Access)), (Verdict::Accepted, Status::Passed));
    assert_eq!((accepted.remedy(), accepted.hints().next()), (None, None));

    let anonymous = server.explain(&Ask::get("/").request().into_parts().0).await;
    let refused = anonymous.for_access(&authenticated());
    assert_eq!(refused.verdict(), Verdict::Refused(Reason::MissingCredentials));
    assert_eq!(status(&refused, Step::Access), Status::Failed, "{refused}");
    let let_through = refused.for_access(&optional());
    assert_eq!((let_through.verdict(), let_through.remedy()), (Verdict::Anonymous, None));
    assert!(let_through.steps().all(|step| step.status != Status::Failed), "{let_through}");
}

#[tokio::test]
async fn each_check_is_explained_once_where_keys_have_to_be_fetched_first() {
    let clock = scopegate_tests::clock();
    let keys = SigningKey::generate(SigningAlgorithm::Es256).into();
    let network = Network::with_issuer(&clock, &keys);
    let token = Mint::new(ISSUER, keys).with_audience(AUDIENCE).with_clock(clock.clone()).token();
    let builder = resource_server().clock(clock).fetch(network).issuer(Issuer::discovered(ISSUER));
    let explanation = builder.build().await.unwrap().explain(&request(&token.issue())).await;
    assert_eq!(explanation.verdict(), Verdict::Accepted, "{explanation}");
    let mut seen = std::collections::HashSet::new();
    for step in explanation.steps() {
        assert!(step.checks.iter().all(|check| seen.insert((step.step, check.field))), "{explanation}");
    }
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
