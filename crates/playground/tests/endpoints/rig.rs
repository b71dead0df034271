use std::sync::Arc;

use axum::{
    Router,
    body::Body,
    http::{HeaderMap, Request, StatusCode},
    routing::get,
};
use http_body_util::BodyExt as _;
use scopegate_axum::{
    Issuer, ProtectedRouter, ResourceServer, ResourceServerBuilder,
    api_keys::ApiKeys,
    authenticated,
    dpop::Dpop,
    introspection::{ClientAuthentication, Introspection},
    public, scope,
};
use scopegate_playground::Playground;
use scopegate_testing::TestIssuer;
use serde_json::{Value, json};
use tower::ServiceExt as _;

pub(crate) const HOST: &str = "127.0.0.1:3000";
pub(crate) const JSON: (&str, &str) = ("content-type", "application/json");

/// What API keys begin with.
const PREFIX: &str = "sk_";

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {} {}", self.status, self.text))
    }
}

/// A playground in front of an API with a public route, one for every token, and one for a scope.
pub(crate) struct Rig {
    pub(crate) issuer: Arc<TestIssuer>,
    pub(crate) app: Router,
}

impl Rig {
    /// One whose API accepts every kind of token.
    pub(crate) async fn start() -> Self {
        let issuer = Arc::new(TestIssuer::start().await);
        let client = ClientAuthentication::client_secret_basic(TestIssuer::CLIENT_ID, TestIssuer::CLIENT_SECRET);
        let trusted = Issuer::discovered(issuer.issuer()).introspection(Introspection::discovered(client));
        let keys = ApiKeys::new("https://api.example/keys", PREFIX);
        let dpop = Dpop::new().public_url(format!("http://{HOST}"));
        let builder = ResourceServer::builder().verifier(keys.clone()).dpop(dpop);
        Self::of(issuer, trusted, builder, |playground| {
            playground.api_keys(keys, PREFIX).variables([("SCOPEGATE_AUDIENCE", TestIssuer::AUDIENCE)])
        })
        .await
    }

    /// One whose API accepts JWTs alone.
    pub(crate) async fn for_jwts() -> Self {
        Self::for_jwts_of(TestIssuer::start().await).await
    }

    pub(crate) async fn for_jwts_of(issuer: TestIssuer) -> Self {
        let issuer = Arc::new(issuer);
        let trusted = Issuer::discovered(issuer.issuer());
        Self::of(issuer, trusted, ResourceServer::builder(), |playground| playground).await
    }

    async fn of(
        issuer: Arc<TestIssuer>,
        trusted: Issuer,
        builder: ResourceServerBuilder,
        configured: impl FnOnce(Playground) -> Playground,
    ) -> Self {
        let builder = builder.issuer(trusted.dangerous_allow_http_on_loopback()).audience(TestIssuer::AUDIENCE);
        let resource_server = builder.build().await.unwrap();
        let api = ProtectedRouter::new(resource_server.clone())
            .route("/public", public(), get(async || "public"))
            .route("/me", authenticated(), get(async || "me"))
            .route("/messages", scope("message"), get(async || "messages"));
        let app = configured(Playground::new(Arc::clone(&issuer), resource_server, api)).into_router();
        Self { issuer, app }
    }

    /// Sends a request as it is.
    pub(crate) async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let request = Request::builder().method(method).uri(path);
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        let response = self.app.clone().oneshot(request.body(Body::from(body.to_owned())).unwrap()).await.unwrap();
        let (parts, body) = response.into_parts();
        let text = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
        Answer { status: parts.status, headers: parts.headers, text }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[("host", HOST)], "").await
    }

    pub(crate) async fn post(&self, endpoint: &str, body: &Value) -> Answer {
        self.send("POST", &format!("/playground/{endpoint}"), &[("host", HOST), JSON], &body.to_string()).await
    }

    pub(crate) async fn state(&self) -> Value {
        self.get("/playground/state").await.json()
    }

    /// A token, and what is said of it.
    pub(crate) async fn token(&self, wanted: &Value) -> Value {
        let answer = self.post("token", wanted).await;
        assert_eq!(answer.status, StatusCode::OK, "{wanted} {}", answer.text);
        answer.json()
    }

    /// The headers of a request for /messages with such a token, and a fresh proof if it needs one.
    pub(crate) async fn credentials(&self, token: &Value) -> Vec<(String, String)> {
        let text = token["token"].as_str().unwrap();
        let scheme = token["scheme"].as_str().unwrap();
        let mut headers = vec![("authorization".to_owned(), format!("{scheme} {text}"))];
        if scheme == "DPoP" {
            let proof =
                self.post("proof", &json!({ "method": "GET", "path": "/messages", "token": text })).await.json();
            headers.push(("dpop".to_owned(), proof["proof"].as_str().unwrap().to_owned()));
        }
        headers
    }

    /// The answer to a request for /messages with such a token.
    pub(crate) async fn messages(&self, token: &Value) -> Answer {
        let credentials = self.credentials(token).await;
        let mut headers: Vec<(&str, &str)> = vec![("host", HOST)];
        headers.extend(credentials.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        self.send("GET", "/messages", &headers, "").await
    }

    /// The explanation of a request for /messages with such a token.
    pub(crate) async fn explained(&self, token: &Value) -> Value {
        let headers = self.credentials(token).await;
        let request = json!({ "method": "GET", "path": "/messages", "headers": headers });
        self.post("explain", &request).await.json()
    }
}
