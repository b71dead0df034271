//! The gate: its real layers around a handler that says who called.

use std::{convert::Infallible, rc::Rc};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, header::WWW_AUTHENTICATE};
use http_body_util::Empty;
use scopegate_core::{Authentication, ResourceServer, mtls::ClientCertificate};
use scopegate_spec::Request;
use scopegate_tower::{Authenticate, RequireScope};
use tokio::task::yield_now;
use tower::{Layer as _, Service, ServiceExt as _, service_fn, util::BoxCloneService};

use crate::{
    challenge,
    clock::Clock,
    introspection::{Endpoint, Reply},
    outcome::{Caller, Outcome},
    request::NOW,
    supply::Supply,
    world::{Route, World, policy},
};

type Incoming = http::Request<Empty<Bytes>>;
type Response = http::Response<Empty<Bytes>>;

/// How often a task of the gate may have to be polled until it has ended: the network answers at once.
const BACKGROUND_STEPS: usize = 8;

/// A route of a server.
pub struct Gate {
    runtime: Rc<tokio::runtime::Runtime>,
    resource_server: ResourceServer,
    service: BoxCloneService<Incoming, http::Response<()>, Infallible>,
    clock: Clock,
    endpoint: Endpoint,
    supplies: Vec<Supply>,
}

impl Gate {
    /// The server of a configuration, or `None` where an issuer's keys are given and none of them can be used.
    ///
    /// # Panics
    ///
    /// When the builder refuses the configuration for another fault: it would not be compared, and nobody would know.
    pub fn build(world: &World) -> Option<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime without drivers");
        let (clock, endpoint) = (Clock::default(), Endpoint::default());
        clock.set(NOW);
        let supplies: Vec<Supply> = world.issuers.iter().map(Supply::new).collect();
        match runtime.block_on(world.implemented(clock.clone(), &endpoint, &supplies).build()) {
            Ok(resource_server) => {
                let service = service(resource_server.clone(), &world.route());
                Some(Self { runtime: Rc::new(runtime), resource_server, service, clock, endpoint, supplies })
            }
            Err(error) => {
                let is_expected = |fault: &str| fault.contains("none of the given keys can be used");
                assert!(error.faults().all(is_expected), "{error}\n{world:#?}");
                None
            }
        }
    }

    /// Another route of the same server.
    pub fn at(&self, route: &Route) -> Self {
        let (runtime, resource_server) = (Rc::clone(&self.runtime), self.resource_server.clone());
        let (clock, endpoint, supplies) = (self.clock.clone(), self.endpoint.clone(), self.supplies.clone());
        let service = service(resource_server.clone(), route);
        Self { runtime, resource_server, service, clock, endpoint, supplies }
    }

    /// Its issuers have other keys from now on.
    pub fn replace_keys(&self, world: &World) {
        self.supplies.iter().zip(&world.issuers).for_each(|(supply, issuer)| supply.replace(issuer));
    }

    /// Its issuers answer this from now on.
    pub fn set_reply(&self, reply: Option<&Reply>) {
        self.endpoint.set(reply.cloned());
    }

    /// What the gate decides about a request at a time.
    pub fn decide(&mut self, request: &Request, now: i64) -> Outcome {
        if self.clock.now() != now {
            // What began in the background ends before the time goes on.
            self.runtime.block_on(async {
                for _ in 0..BACKGROUND_STEPS {
                    yield_now().await;
                }
            });
            self.clock.set(now);
        }
        let Ok(response) = self.runtime.block_on(self.service.call(incoming(request)));
        let challenges = response.headers().get_all(WWW_AUTHENTICATE).iter();
        let mut challenges: Vec<_> = challenges.flat_map(|value| challenge::parse(value.as_bytes())).collect();
        challenges.sort();
        Outcome {
            status: response.status().as_u16(),
            challenges,
            caller: response.extensions().get::<Option<Caller>>().cloned().flatten(),
        }
    }
}

/// The layers of a route.
fn service(
    resource_server: ResourceServer,
    route: &Route,
) -> BoxCloneService<Incoming, http::Response<()>, Infallible> {
    let mut authenticate = Authenticate::new(resource_server);
    if route.optional {
        authenticate = authenticate.optional();
    }
    match route.demand.as_ref().map(policy) {
        Some(policy) => {
            if route.scope_hint {
                authenticate = authenticate.scope_hint(policy.clone());
            }
            let service = (authenticate, RequireScope::new(policy)).layer(service_fn(handler));
            BoxCloneService::new(service.map_response(|response| response.map(drop)))
        }
        None => {
            let service = authenticate.layer(service_fn(handler));
            BoxCloneService::new(service.map_response(|response| response.map(drop)))
        }
    }
}

async fn handler(request: Incoming) -> Result<Response, Infallible> {
    let authentication = request.extensions().get::<Authentication>();
    let caller = authentication.and_then(Authentication::token).map(Caller::from);
    let mut response = Response::default();
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
