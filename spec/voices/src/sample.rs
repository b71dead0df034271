//! Tokens, what a library has to know to judge them, and what the gate and the specification decided.

use std::collections::HashSet;

use proptest::{
    strategy::{Strategy as _, ValueTree as _},
    test_runner::{Config as RunnerConfig, RngAlgorithm, TestRng, TestRunner},
};
use scopegate_spec::{Answers, ClientClaim, Config, Issuer, Keys, Required, State, decide, http::credentials, jws};
use scopegate_spec_compare::{generate, judge::Gate};
use serde::{Deserialize, Serialize};

use crate::difference::retries;

/// A token and one issuer's configuration.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Sample {
    /// The compact form, as it was in the request.
    pub token: String,
    /// The time of the request, in seconds since 1970.
    pub now: i64,
    /// `iss`.
    pub issuer: String,
    /// The values of `aud` that name the server; `None` where a token without `aud` passes.
    pub audiences: Option<Vec<String>>,
    /// The accepted values of `alg`.
    pub algorithms: Vec<String>,
    /// The accepted media types of `typ`; `None` for a token without one.
    pub types: Vec<Option<String>>,
    /// The difference between clocks, in seconds.
    pub leeway: i64,
    /// The greatest age, in seconds from `iat`.
    pub max_token_age: Option<i64>,
    /// The claims without which no token passes.
    pub required_claims: Vec<String>,
    /// A claim and its accepted values.
    pub client: Option<(String, Vec<String>)>,
    /// The issuer's JWK Set, as it is published.
    pub jwks: String,
    /// What to try where a library refuses: the name of a known difference, and the set without what makes it and those before.
    pub retries: Vec<(String, String)>,
    /// The requirement that refused the token; `None` if the gate accepted it.
    pub refused_by: Option<String>,
}

/// How many tokens there are to be.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    /// Those that the gate accepts.
    pub accepted: usize,
    /// Those that it refuses.
    pub refused: usize,
}

/// Different tokens, from the cases of these seeds.
pub fn samples(seeds: impl IntoIterator<Item = u64>, wanted: Wanted, mut take: impl FnMut(&Sample)) {
    let strategy = generate::case();
    let mut known = HashSet::new();
    let (mut accepted, mut refused) = (0, 0);
    for seed in seeds {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        let random = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
        let mut runner = TestRunner::new_with_rng(RunnerConfig::default(), random);
        let case = strategy.new_tree(&mut runner).expect("no strategy rejects a value").current();
        let Some(mut gate) = Gate::build(&case.world) else { continue };
        let config = case.world.specified();
        for (place, mut plan) in case.plans.into_iter().enumerate() {
            // Most requests of the comparison are refused. With fewer changes more of them pass.
            plan.mutations.truncate(place);
            let (request, now) = plan.request(&case.world);
            let Ok(Some(credentials)) = credentials(&config, &request) else { continue };
            let outcome = gate.decide(&request, now);
            // A token whose scopes are too few is a good token.
            let is_accepted = matches!(outcome.status, 200 | 403);
            let jws = jws::parse(&credentials.token).ok();
            let named = jws.as_ref().and_then(|jws| jws.claims.get("iss")?.as_str());
            let named = config.issuers.iter().find(|issuer| named == Some(issuer.identifier.as_str()));
            let issuer = named.unwrap_or(&config.issuers[plan.issuer % config.issuers.len()]);
            // What an issuer is asked about is no token that a library verifies.
            if issuer.introspection.is_some() || is_accepted && jws.is_none() {
                continue;
            }
            let Keys::Set(jwks) = &issuer.keys else { continue };
            let count = if is_accepted { &mut accepted } else { &mut refused };
            let limit = if is_accepted { wanted.accepted } else { wanted.refused };
            if *count == limit {
                continue;
            }
            let refused_by =
                (!is_accepted).then(|| decide(&config, &Answers::new(), now, &request, &mut State::default()).rule);
            let sample = Sample::new(&config, issuer, jwks.text(), credentials.token, now, refused_by);
            if known.insert(sample.clone()) {
                take(&sample);
                *count += 1;
            }
        }
        if accepted == wanted.accepted && refused == wanted.refused {
            return;
        }
    }
}

impl Sample {
    fn new(config: &Config, issuer: &Issuer, jwks: &str, token: String, now: i64, refused_by: Option<&str>) -> Self {
        let profile = &issuer.profile;
        let audiences = if issuer.audiences.is_empty() { &config.audiences } else { &issuer.audiences };
        // A sole audience may stand in for the claim, and then nothing can be asked of it.
        let client = match &profile.client {
            ClientClaim::Named(name) => Some(name.clone()),
            _ => None,
        };
        let required = profile.required.iter().filter_map(|claim| match claim {
            Required::Subject => Some("sub".to_owned()),
            Required::Client => client.clone(),
            Required::IssuedAt => Some("iat".to_owned()),
            Required::TokenId => Some("jti".to_owned()),
        });
        let retries = if refused_by.is_none() { retries(jwks, &token) } else { Vec::new() };
        Self {
            token,
            now,
            issuer: issuer.identifier.clone(),
            audiences: (!issuer.waive_audience).then(|| audiences.clone()),
            algorithms: issuer.algorithms.clone(),
            types: profile.types.clone(),
            leeway: config.leeway,
            max_token_age: config.max_token_age,
            required_claims: ["iss", "exp"].map(str::to_owned).into_iter().chain(required).collect(),
            client: client.zip(issuer.authorized_parties.clone()),
            jwks: jwks.to_owned(),
            retries,
            refused_by: refused_by.map(str::to_owned),
        }
    }
}
