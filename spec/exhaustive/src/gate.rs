//! The gate: its real layers around a handler that says who called.

use std::convert::Infallible;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, header::WWW_AUTHENTICATE};
use http_body_util::{BodyExt as _, Empty};
use scopegate_core::{Authentication, ResourceServer, mtls::ClientCertificate};
use scopegate_spec::{Answer, Request};
use scopegate_spec_compare::{
    challenge,
    clock::Clock,
    outcome::{Caller, Outcome},
    request::NOW,
    world::policy,
};
use scopegate_tower::{Authenticate, RequireScope};
use tower::{Layer as _, Service, ServiceExt as _, service_fn, util::BoxCloneService};

use crate::{introspection::Endpoint, setup::Setup};

type Incoming = http::Request<Empty<Bytes>>;
type Outgoing = http::Response<Bytes>;

/// A server of its own.
pub struct Gate {
    runtime: tokio::runtime::Runtime,
    server: ResourceServer,
    service: BoxCloneService<Incoming, Outgoing, Infallible>,
    clock: Clock,
    endpoint: Endpoint,
}

impl Gate {
    /// The server of a configuration.
    ///
    /// # Errors
    ///
    /// What the builder says against the configuration.
    pub fn build(setup: &Setup) -> Result<Self, String> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime without drivers");
        let (clock, endpoint) = (Clock::default(), Endpoint::default());
        clock.set(NOW);
        let server = setup.implemented(clock.clone(), endpoint.clone()).build();
        let server = runtime.block_on(server).map_err(|error| error.to_string())?;
        let mut authenticate = Authenticate::new(server.clone());
        if setup.world.optional {
            authenticate = authenticate.optional();
        }
        let service = match setup.world.demand.as_ref().map(policy) {
            Some(policy) => {
                if setup.world.scope_hint {
                    authenticate = authenticate.scope_hint(policy.clone());
                }
                collected((authenticate, RequireScope::new(policy)).layer(service_fn(handler)))
            }
            None => collected(authenticate.layer(service_fn(handler))),
        };
        Ok(Self { runtime, server, service, clock, endpoint })
    }

    /// A nonce that is good now, where nonces are demanded.
    pub fn nonce(&self) -> Option<String> {
        self.server.dpop_nonce().map(|nonce| nonce.to_str().expect("a nonce is ASCII").to_owned())
    }

    /// The issuer that is asked answers this from now on.
    pub fn set_answer(&self, answer: &Answer) {
        self.endpoint.set(answer);
    }

    /// The response to a request at a time.
    pub fn respond(&mut self, request: &Request, now: i64) -> Outgoing {
        self.clock.set(now);
        let Ok(response) = self.runtime.block_on(self.service.call(incoming(request)));
        response
    }

    /// What the gate decides about a request at a time.
    pub fn decide(&mut self, request: &Request, now: i64) -> Outcome {
        outcome(&self.respond(request, now))
    }
}

/// What a response says of the decision.
pub fn outcome(response: &Outgoing) -> Outcome {
    let challenges = response.headers().get_all(WWW_AUTHENTICATE).iter();
    let mut challenges: Vec<_> = challenges.flat_map(|value| challenge::parse(value.as_bytes())).collect();
    challenges.sort();
    Outcome {
        status: response.status().as_u16(),
        challenges,
        caller: response.extensions().get::<Option<Caller>>().cloned().flatten(),
    }
}

/// The same service with bodies that are read to their end.
fn collected<S, B>(service: S) -> BoxCloneService<Incoming, Outgoing, Infallible>
where
    S: Service<Incoming, Response = http::Response<B>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: std::fmt::Debug,
{
    BoxCloneService::new(service.then(|response: Result<http::Response<B>, Infallible>| async {
        let (head, body) = response?.into_parts();
        let body = body.collect().await.expect("a body that is all there").to_bytes();
        Ok(http::Response::from_parts(head, body))
    }))
}

async fn handler(request: Incoming) -> Result<http::Response<Empty<Bytes>>, Infallible> {
    let authentication = request.extensions().get::<Authentication>();
    let caller = authentication.and_then(Authentication::token).map(Caller::from);
    let mut response = http::Response::default();
    response.extensions_mut().insert(caller);
    Ok(response)
}

fn incoming(request: &Request) -> Incoming {
    let mut incoming = http::Request::builder()
        .method(request.method.as_str())
        .uri(&request.uri)
        .body(Empty::new())
        .expect("a method and a target that can be sent");
    for (name, value) in &request.headers {
        let name = HeaderName::from_bytes(name.as_bytes()).expect("a name that can be sent");
        incoming.headers_mut().append(name, HeaderValue::from_bytes(value).expect("a value that can be sent"));
    }
    if let Some(certificate) = &request.certificate {
        incoming.extensions_mut().insert(ClientCertificate::from_der(certificate.clone()));
    }
    incoming
}
