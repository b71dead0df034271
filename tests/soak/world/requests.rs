//! Requests with these tokens.

use axum::{Router, body::Body};
use http::Request;
use http_body_util::BodyExt as _;
use scopegate_testing::DpopClient;
use tower::ServiceExt as _;

use super::{Open, Response, URL, World};
use crate::tokens::{Flaw, Kind};

impl World {
    /// Sends a request with one of the tokens.
    pub(super) fn send(&mut self) {
        let Some(token) = self.any_token(|_| true).cloned() else { return };
        let needs_scope = self.random.once_in(2);
        let path = if needs_scope { "/read" } else { "/any" };
        let (mut flaw, mut fresh_proof) = (token.flaw, None);
        let request = Request::get(path);
        let request = match token.kind {
            Kind::Bound => {
                if flaw.is_none() && self.random.once_in(4) {
                    flaw = Some(*self.random.choose(&Flaw::OF_PROOFS));
                }
                let (url, place) = (format!("{URL}{path}"), format!("{path} {}", token.text));
                let good = |client: &DpopClient, url: &str| client.proof("GET", url).for_token(&token.text).issue();
                let (scheme, proof) = match flaw {
                    Some(Flaw::AsBearer) => ("Bearer", None),
                    Some(Flaw::WithoutProof) => ("DPoP", None),
                    Some(Flaw::ProofForOtherUrl) => ("DPoP", Some(good(&self.client, "https://api.example/other"))),
                    Some(Flaw::ProofOfOther) => ("DPoP", Some(good(&self.stranger, &url))),
                    Some(Flaw::ProofUsed) => {
                        let mut used = self.used_proofs.iter().rev();
                        let Some((_, proof)) = used.find(|(used_at, _)| *used_at == place) else {
                            return;
                        };
                        ("DPoP", Some(proof.clone()))
                    }
                    _ => ("DPoP", Some(good(&self.client, &url))),
                };
                fresh_proof = proof.clone().filter(|_| flaw.is_none()).map(|proof| (place, proof));
                let request = request.header("authorization", format!("{scheme} {}", token.text));
                match proof {
                    Some(proof) => request.header("dpop", proof),
                    None => request,
                }
            }
            _ => request.header("authorization", format!("Bearer {}", token.text)),
        };
        let request = request.body(Body::empty()).expect("a request");
        let response = tokio::spawn(respond(self.router.clone(), request));
        if self.random.once_in(20) {
            // The client hangs up before its request is looked at, or as soon as something else is waited for.
            self.report.event("a client hangs up");
            let patience = self.random.below(2);
            tokio::spawn(async move {
                for _ in 0..patience {
                    tokio::task::yield_now().await;
                }
                response.abort();
            });
            return;
        }
        let (start, clock_sets) = (self.moment(), self.clock_sets);
        self.open.push(Open { token, flaw, fresh_proof, needs_scope, start, clock_sets, response });
    }
}

async fn respond(router: Router, request: Request<Body>) -> Result<Response, String> {
    let response = router.oneshot(request).await.map_err(|error| error.to_string())?;
    let (parts, body) = response.into_parts();
    let body = body.collect().await.map_err(|error| error.to_string())?.to_bytes();
    Ok(Response {
        status: parts.status.as_u16(),
        challenges: parts
            .headers
            .get_all("www-authenticate")
            .iter()
            .map(|value| value.to_str().unwrap_or_default().to_owned())
            .collect(),
        has_retry_after: parts.headers.contains_key("retry-after"),
        body: String::from_utf8_lossy(&body).into_owned(),
    })
}
