//! The introspection endpoint, and how it answers to a token that nobody has issued.

use bytes::Bytes;
use http::{Request, Response, StatusCode, Uri};
use scopegate_core::{
    Reason, ResourceServer, Startup,
    explanation::{Explanation, Status},
};
use serde_json::{Value, json};

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
    examination.report.member("introspection", json!({ "endpoint": shown, "invented_token": null }));
    let has_client = settings.client.is_some();
    let add = |examination: &mut Examination, found: Found, source| {
        examination.report.findings.add(found.level, Some(&shown), found.text, source, found.remedy);
    };
    let is_at_home =
        endpoint.host().zip(examination.host()).is_some_and(|(host, home)| host.eq_ignore_ascii_case(&home));
    if !is_at_home {
        return add(examination, at_another_host(has_client), "RFC 8414 section 2");
    }
    let asking = Settings { client: settings.client.clone().or(Some(Client::Public)), ..settings.clone() };
    let server = match asking.build(Startup::Lazy, &examination.network).await {
        Ok(server) => server,
        Err(faults) => return add(examination, not_asked(has_client, &faults), SOURCE),
    };
    let explanation = explain(&server, INVENTED).await;
    let response = examination.network.last_post(endpoint).and_then(|asked| asked.outcome.ok());
    let (answer, found) = match explanation.reason() {
        Some(Reason::InactiveToken) if has_client => ("inactive", None),
        Some(Reason::InactiveToken) => ("inactive", Some(open_to_all())),
        Some(Reason::IssuerUnavailable) => {
            let (answer, found) = unanswered(has_client, response.as_ref(), &failures(&explanation));
            (answer, Some(found))
        }
        _ => ("active", Some(unsound())),
    };
    examination.report.line(format_args!("its answer about an invented token: {answer}"));
    examination.report.member("introspection", json!({ "endpoint": shown, "invented_token": answer }));
    if answer == "active" {
        (settings.client, settings.is_introspection_unsound) = (None, true);
    }
    if let Some(found) = found {
        add(examination, found, if answer == "active" { "RFC 7662 section 2.2" } else { SOURCE });
    }
}

/// What a step of this examination has found.
struct Found {
    level: Level,
    text: String,
    remedy: &'static str,
}

/// For who has named no client, opaque tokens may not matter.
fn level(has_client: bool) -> Level {
    if has_client { Level::Fault } else { Level::Warning }
}

fn at_another_host(has_client: bool) -> Found {
    Found {
        level: if has_client { Level::Fault } else { Level::Note },
        text: "the introspection endpoint is at another host than the issuer, and was not asked: a service sends its \
               credentials to no other host that a document names"
            .to_owned(),
        remedy: "if opaque tokens are to be accepted and that is the right host, list it in `endpoint_hosts` of \
                 `introspection`, or name the address by `endpoint`",
    }
}

fn not_asked(has_client: bool, faults: &[String]) -> Found {
    Found {
        level: level(has_client),
        text: format!("the endpoint cannot be asked: {}", faults.join("; ")),
        remedy: if has_client { "correct `--client-id` and `--client-secret-file`" } else { "see the text" },
    }
}

fn open_to_all() -> Found {
    Found {
        level: Level::Warning,
        text: "the endpoint answers a client that does not authenticate".to_owned(),
        remedy: "have the issuer demand credentials there: otherwise whoever finds a token learns what it is good for",
    }
}

fn unsound() -> Found {
    Found {
        level: Level::Fault,
        text: "the endpoint says of a token that nobody has issued that it is active".to_owned(),
        remedy: "do not use introspection until the issuer has mended it: whatever is sent would be accepted",
    }
}

/// What keeps the endpoint from an answer about the token, by the status of what it answers instead.
fn unanswered(has_client: bool, response: Option<&Response<Bytes>>, why: &str) -> (&'static str, Found) {
    let Some(response) = response else { return ("unusable", unusable(has_client, why)) };
    let status = response.status();
    match status {
        StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED | StatusCode::GONE => (
            "missing",
            Found {
                level: level(has_client),
                text: format!("nothing is at the address of the endpoint: it answers {status}"),
                remedy: "have the issuer correct `introspection_endpoint` of its document; only opaque tokens need it",
            },
        ),
        StatusCode::TOO_MANY_REQUESTS => (
            "busy",
            Found {
                level: Level::Warning,
                text: format!("the endpoint was asked too often, and answers {status}"),
                remedy: "try again later; if it lasts, have the issuer raise its limit for this service",
            },
        ),
        _ if is_about_the_client(response) && !has_client => (
            "refused",
            Found {
                level: Level::Note,
                text: format!("the endpoint was asked without credentials and answered {status}, as it should"),
                remedy: "to test further, as opaque tokens need it, register this service and name `--client-id` and \
                         `--client-secret-file`",
            },
        ),
        _ if is_about_the_client(response) => {
            let remedy = "correct `--client-id` and `--client-secret-file`";
            ("unusable", Found { remedy, ..unusable(has_client, why) })
        }
        _ => ("unusable", unusable(has_client, why)),
    }
}

fn unusable(has_client: bool, why: &str) -> Found {
    Found {
        level: level(has_client),
        text: format!("the endpoint gives no answer about a token: {why}"),
        remedy: "have the issuer mend its endpoint; only opaque tokens need it",
    }
}

/// Whether credentials are demanded, or are wrong (RFC 6749 section 5.2).
fn is_about_the_client(response: &Response<Bytes>) -> bool {
    match response.status() {
        StatusCode::UNAUTHORIZED => true,
        StatusCode::BAD_REQUEST | StatusCode::FORBIDDEN => serde_json::from_slice::<Value>(response.body())
            .is_ok_and(|body| body["error"].as_str() == Some("invalid_client")),
        _ => false,
    }
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
