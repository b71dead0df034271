//! The tokens and requests, the same for every peer.

use std::time::Duration;

use http::{Request, StatusCode};
use scopegate_testing::{DpopClient, SigningAlgorithm, SigningKey, TestIssuer, TokenBuilder};

use crate::support::{AUDIENCE, request, usual};

pub(crate) const PATH: &str = "/messages";
/// The number of distinct valid tokens.
pub(crate) const DISTINCT: usize = 50_000;

/// What a peer is told about the issuer.
#[derive(Clone)]
pub(crate) struct Upstream {
    pub(crate) issuer: String,
    pub(crate) jwks_uri: String,
    /// The algorithm of its keys, as in a token's `alg`.
    pub(crate) algorithm: String,
}

/// An issuer on loopback with one key.
pub(crate) struct Provider {
    issuer: TestIssuer,
    algorithm: SigningAlgorithm,
    pub(crate) key: SigningKey,
    pub(crate) upstream: Upstream,
    /// The token that is sent repeatedly.
    pub(crate) good: String,
}

/// Requests with the same expected response.
pub(crate) struct Workload {
    pub(crate) name: &'static str,
    pub(crate) requests: Vec<Request<()>>,
    pub(crate) status: StatusCode,
}

impl Workload {
    fn good<'a>(name: &'static str, tokens: impl IntoIterator<Item = &'a String>) -> Self {
        let requests = tokens.into_iter().map(|token| request(Some(token))).collect();
        Self { name, requests, status: StatusCode::OK }
    }

    fn refused(name: &'static str, token: Option<String>) -> Self {
        Self { name, requests: vec![request(token.as_deref())], status: StatusCode::UNAUTHORIZED }
    }
}

impl Provider {
    pub(crate) async fn start(algorithm: SigningAlgorithm) -> Self {
        let key = SigningKey::generate(algorithm);
        let issuer = TestIssuer::builder().keys(key.clone().into()).audience(AUDIENCE).start().await;
        let upstream = Upstream {
            issuer: issuer.issuer().to_owned(),
            jwks_uri: issuer.jwks_uri().to_owned(),
            algorithm: algorithm.name().to_owned(),
        };
        let mut provider = Self { issuer, algorithm, key, upstream, good: String::new() };
        provider.good = provider.token().issue();
        provider
    }

    /// Each has its own `jti`.
    fn token(&self) -> TokenBuilder {
        usual(self.issuer.token().algorithm(self.algorithm)).expires_in(Duration::from_secs(3600))
    }

    /// A valid token that is bound to the key of this client.
    pub(crate) fn bound_to(&self, client: &DpopClient) -> String {
        self.token().bound_to(client).issue()
    }

    /// The distinct tokens, each with its own `jti`.
    pub(crate) fn distinct(&self) -> Vec<String> {
        (0..DISTINCT).map(|_| self.token().issue()).collect()
    }

    /// The same valid token every time.
    pub(crate) fn one_token(&self) -> Workload {
        Workload::good("one token", [&self.good])
    }

    pub(crate) fn in_turn(tokens: &[String]) -> Workload {
        Workload::good("50 000 tokens in turn", tokens)
    }

    /// Requests that every peer refuses.
    pub(crate) fn refusals(&self) -> Vec<Workload> {
        vec![
            Workload::refused("expired", Some(self.token().expired().issue())),
            Workload::refused("no credentials", None),
            Workload::refused("bad signature", Some(self.token().tampered_signature().issue())),
        ]
    }

    /// Requests that a peer with issuer and audience checks refuses. Not measured.
    pub(crate) fn misdirected(&self) -> Vec<Workload> {
        let for_another = self.token().audience("https://another.example").issue();
        let by_another = self.token().claim("iss", "https://another.example").issue();
        vec![
            Workload::refused("wrong audience", Some(for_another)),
            Workload::refused("wrong issuer", Some(by_another)),
        ]
    }
}
