//! The tokens, and the requests that carry them: the same ones for everyone.

use std::time::Duration;

use http::{Request, StatusCode};
use scopegate_testing::{SigningAlgorithm, SigningKey, TestIssuer, TokenBuilder};

use crate::support::{AUDIENCE, request, usual};

pub(crate) const PATH: &str = "/messages";
/// How many good tokens come in turn.
pub(crate) const DISTINCT: usize = 50_000;

/// What a crate is told of the issuer.
#[derive(Clone)]
pub(crate) struct Upstream {
    pub(crate) issuer: String,
    pub(crate) jwks_uri: String,
    /// The one algorithm of its keys, by its name in a token's header.
    pub(crate) algorithm: String,
}

/// An issuer on loopback that has one key, which signs everything.
pub(crate) struct Provider {
    issuer: TestIssuer,
    algorithm: SigningAlgorithm,
    pub(crate) key: SigningKey,
    pub(crate) upstream: Upstream,
    /// The token that is sent again and again.
    pub(crate) good: String,
}

/// Requests that all have the same answer.
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
        provider.good = provider.token().sign();
        provider
    }

    /// Its `jti` is drawn anew for each.
    fn token(&self) -> TokenBuilder {
        usual(self.issuer.token().algorithm(self.algorithm)).expires_in(Duration::from_secs(3600))
    }

    /// As many tokens as come in turn, of which each has a `jti` of its own.
    pub(crate) fn distinct(&self) -> Vec<String> {
        (0..DISTINCT).map(|_| self.token().sign()).collect()
    }

    /// The same good token every time.
    pub(crate) fn one_token(&self) -> Workload {
        Workload::good("one token", [&self.good])
    }

    pub(crate) fn in_turn(tokens: &[String]) -> Workload {
        Workload::good("50 000 tokens in turn", tokens)
    }

    /// What everyone refuses.
    pub(crate) fn refusals(&self) -> Vec<Workload> {
        vec![
            Workload::refused("expired", Some(self.token().expired().sign())),
            Workload::refused("no credentials", None),
            Workload::refused("bad signature", Some(self.token().tampered_signature().sign())),
        ]
    }

    /// What is refused, too, by whoever checks issuer and audience. Not measured.
    pub(crate) fn misdirected(&self) -> Vec<Workload> {
        let for_another = self.token().audience("https://another.example").sign();
        let by_another = self.token().claim("iss", "https://another.example").sign();
        vec![
            Workload::refused("wrong audience", Some(for_another)),
            Workload::refused("wrong issuer", Some(by_another)),
        ]
    }
}
