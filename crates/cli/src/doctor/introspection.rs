//! The introspection endpoint, and how it answers to a token that nobody has issued.

use http::{Request, StatusCode, Uri};
use scopegate_core::{
    Reason, ResourceServer, Startup,
    explanation::{Explanation, Status},
};
use serde_json::json;

use super::{
    Examination,
    configuration::{Client, Settings},
    finding::Level,
    network::without_query,
};

/// It has no dots, so that it is opaque, and says in a log whose it is.
const INVENTED: &str = "scopegate-doctor-invented-this-token";

const SOURCE: &str = "RFC 7662 section 2.1";

/// Asks the endpoint, if the document names one. Of one that calls every token active, nothing stays in the settings.
pub(super) async fn examine(examination: &mut Examination, settings: &mut Settings, endpoint: Option<&Uri>) {
    examination.report.part("Introspection");
    let Some(endpoint) = endpoint else {
        examination.report.line("no valid document names an endpoint, so opaque tokens cannot be verified");
        examination.report.member("introspection", json!(null));
        if settings.client.is_some() {
            let text = "there is a client id, and no introspection endpoint to use it at";
            let remedy = "leave out `--client-id`, or set `endpoint` of `introspection` in the configuration";
            examination.report.findings.add(Level::Fault, None, text, "RFC 8414 section 2", remedy);
        }
        return;
    };
    let shown = without_query(endpoint);
    examination.report.line(&shown);
    let has_client = settings.client.is_some();
    let asking = Settings { client: settings.client.clone().or(Some(Client::Public)), ..settings.clone() };
    let server = match asking.build(Startup::Lazy, &examination.network).await {
        Ok(server) => server,
        Err(faults) => {
            let text = format!("the endpoint cannot be asked: {}", faults.join("; "));
            let remedy = "correct `--client-id` and `--client-secret-file`";
            return examination.report.findings.add(Level::Fault, Some(&shown), text, SOURCE, remedy);
        }
    };
    let explanation = explain(&server, INVENTED).await;
    let status = examination.network.last_post(endpoint).and_then(|asked| asked.outcome.ok()).map(|a| a.status());
    let why = failures(&explanation);
    let (answer, finding) = match explanation.reason() {
        Some(Reason::InactiveToken) if has_client => ("inactive", None),
        Some(Reason::InactiveToken) => (
            "inactive",
            Some((
                Level::Warning,
                "the endpoint answers a client that does not authenticate".to_owned(),
                "have the issuer demand credentials there: otherwise whoever finds a token learns what it is good for",
            )),
        ),
        Some(Reason::IssuerUnavailable) if !has_client && status.is_some_and(|status| status.is_client_error()) => (
            "refused",
            Some((
                Level::Note,
                unauthenticated(status),
                "to test further, as opaque tokens need it, register this service and name `--client-id` and \
                 `--client-secret-file`",
            )),
        ),
        Some(Reason::IssuerUnavailable) => (
            "unusable",
            Some((
                Level::Fault,
                format!("the endpoint gives no answer about a token: {why}"),
                "correct `--client-id` and `--client-secret-file`, or have the issuer mend its endpoint",
            )),
        ),
        _ => (
            "active",
            Some((
                Level::Fault,
                "the endpoint says of a token that nobody has issued that it is active".to_owned(),
                "do not use introspection until the issuer has mended it: whatever is sent would be accepted",
            )),
        ),
    };
    examination.report.line(format_args!("its answer about an invented token: {answer}"));
    examination.report.member("introspection", json!({ "endpoint": shown, "invented_token": answer }));
    if answer == "active" {
        (settings.client, settings.is_introspection_unsound) = (None, true);
    }
    if let Some((level, text, remedy)) = finding {
        let source = if answer == "active" { "RFC 7662 section 2.2" } else { SOURCE };
        examination.report.findings.add(level, Some(&shown), text, source, remedy);
    }
}

/// How the endpoint answered a client that has no credentials.
fn unauthenticated(status: Option<StatusCode>) -> String {
    let is_right = matches!(status, Some(StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN));
    let status = status.map(|status| status.to_string()).unwrap_or_default();
    let judged = if is_right { ", as it should" } else { "" };
    format!("the endpoint was asked without credentials and answered {status}{judged}")
}

/// What is decided about a request with this token, and why.
pub(super) async fn explain(server: &ResourceServer, token: &str) -> Explanation {
    let request = Request::get("/").header("authorization", format!("Bearer {token}")).body(());
    // Where it is no header, it is no token either.
    let request =
        request.unwrap_or_else(|_| Request::get("/").header("authorization", "Bearer").body(()).expect("legal"));
    server.explain(&request.into_parts().0).await
}

/// What was found where a check failed.
pub(super) fn failures(explanation: &Explanation) -> String {
    let checks: Vec<_> = explanation.steps().flat_map(|step| step.checks).collect();
    let failed = checks.iter().filter(|check| check.status == Status::Failed);
    failed.map(|check| check.found.as_str()).collect::<Vec<_>>().join("; ")
}
