//! `POST /playground/explain`: what is decided about a request, and why.
//!
//! An explanation is for operators and not for clients. Whom the guard lets in is at this machine, and holds the token.

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, header::HOST},
};
use scopegate_axum::explanation::Verdict;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    AppState, Failure,
    body::{Body, Documented},
    route,
};

const NO_REQUEST: Failure = Failure::bad_request(
    "this cannot be sent as a request: check its method, its path, and the names and values of its headers",
);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Explained {
    method: String,
    path: String,
    #[serde(default)]
    headers: Vec<(String, String)>,
}

impl Documented for Explained {
    const REMEDY: &'static str =
        r#"send a request: {"method": "GET", "path": "/messages", "headers": [["authorization", "Bearer ..."]]}"#;
}

impl Explained {
    /// The request as the API gets it.
    fn request(&self, host: Option<&HeaderValue>) -> Result<Request<()>, Failure> {
        let mut request = Request::new(());
        *request.method_mut() = Method::from_bytes(self.method.as_bytes()).map_err(|_| NO_REQUEST)?;
        *request.uri_mut() = Uri::try_from(&self.path).ok().filter(|_| self.path.starts_with('/')).ok_or(NO_REQUEST)?;
        for (name, value) in &self.headers {
            let name = HeaderName::try_from(name).map_err(|_| NO_REQUEST)?;
            let value = HeaderValue::try_from(value).map_err(|_| NO_REQUEST)?;
            request.headers_mut().append(name, value);
        }
        request.headers_mut().extend(host.map(|host| (HOST, host.clone())));
        Ok(request)
    }
}

pub(crate) async fn explain(
    State(shared): AppState,
    headers: HeaderMap,
    Body(explained): Body<Explained>,
) -> Result<Json<Value>, Failure> {
    let mut request = explained.request(headers.get(HOST))?;
    let route = route::find(&shared.routes, request.method(), request.uri().path());
    let access = route.map(|route| route.access().clone());
    if access.as_ref().is_some_and(|access| access.is_public()) {
        // No token is looked at there.
        *request.headers_mut() = HeaderMap::new();
    }
    let (parts, ()) = request.into_parts();
    let mut explanation = shared.resource_server.explain(&parts).await.show_claims();
    if let Some(access) = &access {
        explanation = explanation.for_access(access);
    }
    let verdict = match explanation.verdict() {
        Verdict::Accepted => "accepted",
        Verdict::Anonymous => "anonymous",
        _ => "refused",
    };
    Ok(Json(json!({ "verdict": verdict, "text": explanation.to_string(), "explanation": explanation })))
}
