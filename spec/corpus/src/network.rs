//! The network of a case: key sets and introspection endpoints.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use http::{Request, Response, header::CONTENT_TYPE};
use scopegate_core::{
    BoxFuture,
    fetch::{Fetch, FetchError, FetchLimits},
};
use url::form_urlencoded;

use crate::format::{Answer, Configuration, Keys};

/// What is there to be fetched.
#[derive(Clone, Debug)]
pub struct Network(Arc<Documents>);

#[derive(Debug)]
struct Documents {
    /// By their addresses; `None` for an outage.
    sets: BTreeMap<String, Option<String>>,
    /// By the token.
    answers: BTreeMap<String, Answer>,
}

impl Network {
    /// The key sets of a configuration, and these answers.
    pub fn new(configuration: &Configuration, answers: &[Answer]) -> Self {
        let sets = configuration.issuers.iter().map(|issuer| {
            let set = match &issuer.keys {
                Keys::Jwks(set) => Some(set.to_string()),
                Keys::JwksText(text) => Some(text.clone()),
                Keys::Unavailable | Keys::None => None,
            };
            (Self::jwks_uri(&issuer.identifier), set)
        });
        let answers = answers.iter().map(|answer| (answer.token.clone(), answer.clone()));
        Self(Arc::new(Documents { sets: sets.collect(), answers: answers.collect() }))
    }

    /// Where the set of an issuer is.
    pub fn jwks_uri(issuer: &str) -> String {
        format!("{issuer}/jwks")
    }

    /// Where an issuer is asked.
    pub fn introspection_endpoint(issuer: &str) -> String {
        format!("{issuer}/introspect")
    }

    fn answer(&self, request: &Request<Bytes>) -> Response<Bytes> {
        let token = form_urlencoded::parse(request.body()).find(|(name, _)| name == "token");
        let answer = token.and_then(|(_, token)| self.0.answers.get(token.as_ref()).cloned());
        let (status, content_type, body) = match answer {
            Some(answer) => (answer.status, answer.content_type, answer.body),
            None => (200, "application/json".to_owned(), r#"{"active":false}"#.to_owned()),
        };
        let response = Response::builder().status(status).header(CONTENT_TYPE, content_type);
        response.body(body.into()).expect("a status and a media type")
    }
}

impl Fetch for Network {
    fn fetch(
        &self,
        request: Request<Bytes>,
        _: FetchLimits,
    ) -> BoxFuture<'static, Result<Response<Bytes>, FetchError>> {
        let answer = match self.0.sets.get(&request.uri().to_string()) {
            Some(Some(set)) => Ok(Response::new(Bytes::from(set.clone()))),
            Some(None) => Err(FetchError::failed("there is an outage")),
            None => Ok(self.answer(&request)),
        };
        Box::pin(async { answer })
    }
}
