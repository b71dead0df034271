//! Opaque tokens and introspection.

mod again;
mod agreement;
mod answers;
mod bound;
mod cache;
mod discovery;
mod dispatch;
mod disturbances;
mod explained;
mod health;
mod instead;
#[cfg(feature = "aws-lc-rs")]
mod network;
mod outage;
mod revocation;
mod secrets;
mod signed;
mod stampede;
mod store;
mod streams;
mod wire;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use scopegate_axum::{
    Issuer, ResourceServer, ResourceServerBuilder,
    introspection::{ClientAuthentication, Introspection},
};
use scopegate_testing::TestClock;
use scopegate_tests::{
    AUDIENCE, Answer, Api, Ask, INTROSPECTION_URL, ISSUER, NOW, Network, Reply, Seen, clock, keep_secret,
    resource_server,
};
use serde_json::{Value, json};

const CLIENT: &str = "the-api";
const SECRET: &str = "a secret of the API";

/// An issuer with introspection, and an API that uses it.
struct Rig {
    clock: TestClock,
    network: Network,
    tokens: Arc<Mutex<HashMap<String, Value>>>,
    server: ResourceServer,
    api: Api,
}

fn client() -> ClientAuthentication {
    keep_secret(SECRET.replace(' ', "+"));
    keep_secret(STANDARD.encode(format!("{CLIENT}:{}", SECRET.replace(' ', "+"))));
    ClientAuthentication::client_secret_basic(CLIENT, SECRET)
}

fn introspection() -> Introspection {
    Introspection::at(INTROSPECTION_URL, client())
}

/// A form field that occurs exactly once.
fn field(seen: &Seen, name: &str) -> Option<String> {
    let mut values = form_urlencoded::parse(&seen.body).filter(|(key, _)| key == name).map(|(_, value)| value);
    let value = values.next()?.into_owned();
    assert!(values.next().is_none(), "more than one {name}");
    Some(value)
}

/// The issuer's response about a valid token.
fn active() -> Value {
    json!({
        "active": true, "iss": ISSUER, "sub": "alice", "aud": AUDIENCE, "client_id": "app", "scope": "messages:read",
        "exp": NOW + 3600, "iat": NOW - 60, "token_type": "Bearer",
    })
}

/// The same with some members changed; null removes one.
fn active_with(changes: Value) -> Value {
    let mut answer = active();
    let members = answer.as_object_mut().expect("an object");
    for (name, value) in changes.as_object().expect("an object") {
        match value {
            Value::Null => drop(members.remove(name)),
            value => drop(members.insert(name.clone(), value.clone())),
        }
    }
    answer
}

impl Rig {
    async fn new() -> Self {
        Self::asking(introspection()).await
    }

    async fn asking(introspection: Introspection) -> Self {
        Self::with(Issuer::introspected(ISSUER, introspection), |builder| builder).await
    }

    async fn with(issuer: Issuer, change: impl FnOnce(ResourceServerBuilder) -> ResourceServerBuilder) -> Self {
        let clock = clock();
        let network = Network::new(&clock);
        let tokens: Arc<Mutex<HashMap<String, Value>>> = Arc::default();
        let known = Arc::clone(&tokens);
        let reply = move |seen: &Seen| {
            let token = field(seen, "token").expect("a token");
            let known = known.lock().expect("not poisoned");
            Reply::json(known.get(&token).unwrap_or(&json!({ "active": false })))
        };
        network.put(INTROSPECTION_URL, Reply::To(Arc::new(reply)));
        let builder = resource_server().clock(clock.clone()).fetch(network.clone()).issuer(issuer);
        let server = change(builder).build().await.expect("good settings");
        let api = Api::behind(server.clone());
        Self { clock, network, tokens, server, api }
    }

    /// Sets the issuer's response about a token.
    fn say(&self, token: &str, answer: Value) {
        self.tokens.lock().expect("not poisoned").insert(token.to_owned(), answer);
    }

    async fn ask(&self, token: &str) -> Answer {
        self.ask_at("/messages", token).await
    }

    async fn ask_at(&self, path: &str, token: &str) -> Answer {
        Ask::get(path).bearer(token).of(&self.api.router).await
    }

    /// A request in a task of its own. Returns the status.
    fn spawn(&self, token: &str) -> tokio::task::JoinHandle<u16> {
        let (router, token) = (self.api.router.clone(), token.to_owned());
        tokio::spawn(async move { Ask::get("/me").bearer(token).of(&router).await.status.as_u16() })
    }

    /// How often the endpoint was called.
    fn asked(&self) -> usize {
        self.network.count(INTROSPECTION_URL)
    }

    fn last(&self) -> Seen {
        self.network.seen().pop().expect("a request")
    }
}
