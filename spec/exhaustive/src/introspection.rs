//! What an introspection endpoint answers.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Request, Response, header::CONTENT_TYPE};
use scopegate_core::{
    BoxFuture,
    fetch::{Fetch, FetchError, FetchLimits},
};
use scopegate_spec::Answer;
use scopegate_spec_compare::text::{Members, object, quoted, set};

/// An answer before it is written.
#[derive(Clone, Debug)]
pub struct Draft {
    /// The members.
    pub members: Members,
    /// Whether it is an outage in place of an answer.
    pub is_outage: bool,
}

impl Default for Draft {
    /// A good one about a token of alice, as her JWTs are.
    fn default() -> Self {
        let mut members = Members::new();
        for (name, value) in [
            ("active", "true".to_owned()),
            ("aud", quoted(scopegate_spec_compare::world::AUDIENCE)),
            ("sub", quoted("alice")),
            ("client_id", quoted("web")),
            ("scope", quoted("message read")),
            ("exp", (scopegate_spec_compare::request::NOW + 200).to_string()),
        ] {
            set(&mut members, name, value);
        }
        Self { members, is_outage: false }
    }
}

impl Draft {
    /// Gives a member this value, as JSON.
    pub fn set(&mut self, name: &str, value: &str) {
        set(&mut self.members, name, value);
    }

    /// Leaves a member out.
    pub fn remove(&mut self, name: &str) {
        self.members.retain(|(known, _)| known != name);
    }

    /// The answer.
    pub fn answer(&self) -> Answer {
        match self.is_outage {
            true => Answer::Outage,
            false => Answer::Json(object(&self.members)),
        }
    }
}

/// The endpoint, which answers as it was last told to.
#[derive(Clone, Debug, Default)]
pub struct Endpoint(Arc<Mutex<Option<String>>>);

impl Endpoint {
    /// The next answers are this one.
    ///
    /// # Panics
    ///
    /// When it is a signed answer: none is asked for.
    pub fn set(&self, answer: &Answer) {
        *self.0.lock().expect("no holder panics") = match answer {
            Answer::Json(text) => Some(text.clone()),
            Answer::Outage => None,
            Answer::Jwt(_) => panic!("a signed answer"),
        };
    }
}

impl Fetch for Endpoint {
    fn fetch(&self, _: Request<Bytes>, _: FetchLimits) -> BoxFuture<'static, Result<Response<Bytes>, FetchError>> {
        let answer = match self.0.lock().expect("no holder panics").clone() {
            Some(text) => {
                let mut response = Response::new(Bytes::from(text));
                response.headers_mut().insert(CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
                Ok(response)
            }
            None => Err(FetchError::failed("there is an outage")),
        };
        Box::pin(async { answer })
    }
}
