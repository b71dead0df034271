//! The tokens, and the requests that carry them: the same ones for everyone.

use std::time::Duration;

use http::{Request, StatusCode, header::AUTHORIZATION};
use scopegate_testing::{SigningAlgorithm, SigningKey, TestIssuer, TokenBuilder};

pub(crate) const AUDIENCE: &str = "https://api.example";
/// How many good tokens come in turn.
pub(crate) const DISTINCT: usize = 2000;

/// An issuer on loopback, and what is sent.
pub(crate) struct Provider {
    pub(crate) issuer: TestIssuer,
    pub(crate) key: SigningKey,
    /// The token that is sent again and again.
    pub(crate) good: String,
    pub(crate) workloads: Vec<Workload>,
    /// What is refused, too, by whoever checks issuer and audience. Not measured.
    pub(crate) misdirected: Vec<Workload>,
}

/// Requests that all have the same answer.
pub(crate) struct Workload {
    pub(crate) name: &'static str,
    pub(crate) requests: Vec<Request<()>>,
    pub(crate) status: StatusCode,
}

impl Provider {
    pub(crate) async fn start() -> Self {
        let key = SigningKey::generate(SigningAlgorithm::Rs256);
        let issuer = TestIssuer::builder().keys(key.clone().into()).audience(AUDIENCE).start().await;
        let token = || usual(issuer.token()).expires_in(Duration::from_secs(3600));
        let good = token().sign();
        let distinct = (0..DISTINCT).map(|_| request(Some(&token().sign()))).collect();
        let (ok, refused) = (StatusCode::OK, StatusCode::UNAUTHORIZED);
        let workload = |name, requests, status| Workload { name, requests, status };
        let workloads = vec![
            workload("one token", vec![request(Some(&good))], ok),
            workload("2000 tokens in turn", distinct, ok),
            workload("expired", vec![request(Some(&token().expired().sign()))], refused),
            workload("no credentials", vec![request(None)], refused),
            workload("bad signature", vec![request(Some(&token().tampered_signature().sign()))], refused),
        ];
        let for_another = request(Some(&token().audience("https://another.example").sign()));
        let by_another = request(Some(&token().claim("iss", "https://another.example").sign()));
        let misdirected = vec![
            workload("wrong audience", vec![for_another], refused),
            workload("wrong issuer", vec![by_another], refused),
        ];
        Self { issuer, key, good, workloads, misdirected }
    }
}

/// A token as long as those that authorization servers send. Its `jti` is drawn anew for each.
fn usual(token: TokenBuilder) -> TokenBuilder {
    token
        .subject("248289761001")
        .scope("message message:read profile email")
        .claim("auth_time", 1_767_225_600)
        .claim("roles", vec!["reader", "writer", "administrator"])
        .claim("name", "Ada Lovelace")
        .claim("email", "ada@tenant.example")
        .claim("sid", "08a5019c-17e1-4977-8f42-65a12843ea02")
}

fn request(token: Option<&str>) -> Request<()> {
    let request = Request::get("https://api.example/messages");
    match token {
        Some(token) => request.header(AUTHORIZATION, format!("Bearer {token}")).body(()).unwrap(),
        None => request.body(()).unwrap(),
    }
}
