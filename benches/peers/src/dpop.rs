//! Tokens that are bound to a key of the client (DPoP). A proof is good for one request, so the requests of a round are made
//! before it; all contenders get the same ones.

use std::{
    collections::HashSet,
    error::Error,
    hint::black_box,
    slice,
    sync::{Arc, Mutex},
};

use http::{Request, StatusCode, header::AUTHORIZATION};
use huskarl_resource_server::core::{
    error::Error as HuskarlError, jwt::JtiUniquenessChecker, platform::MaybeSendBoxFuture,
};
use scopegate_testing::{DpopClient, ProofBuilder, SigningAlgorithm};
use tokio::runtime::Runtime;

use crate::{
    measure::{CALLS, Cost, round},
    peers::{Peer, Tokens},
    requests::{Provider, Workload},
    support::{public_key, signed},
    table::InProcess,
    tell_waits,
};

const URL: &str = "https://api.example/messages";

/// A client with a token that is bound to its key.
struct Client {
    token: String,
    /// For `URL` and the token. Each proof has its own `jti`.
    proof: ProofBuilder,
    key: DpopClient,
}

impl Client {
    fn new(provider: &Provider, algorithm: SigningAlgorithm) -> Self {
        let key = DpopClient::generate(algorithm);
        let token = provider.bound_to(&key);
        Self { proof: key.proof("GET", URL).for_token(&token), token, key }
    }

    fn workload(&self, name: &'static str, status: StatusCode, proofs: &[String]) -> Workload {
        let request = |proof: &String| {
            let request = Request::get(URL).header(AUTHORIZATION, format!("DPoP {}", self.token));
            request.header("DPoP", proof).body(()).expect("its headers are legal")
        };
        Workload { name, status, requests: proofs.iter().map(request).collect() }
    }

    /// What each contender has to accept and to refuse, in this order, before it is measured.
    fn checks(&self) -> Vec<Workload> {
        let good = self.proof.issue();
        let of_another = DpopClient::generate(self.key.key().algorithm()).proof("GET", URL).for_token(&self.token);
        let refused = |name, proof: String| self.workload(name, StatusCode::UNAUTHORIZED, &[proof]);
        vec![
            self.workload("a new proof", StatusCode::OK, slice::from_ref(&good)),
            refused("a used proof", good),
            refused("a proof by another key", of_another.issue()),
            refused("a proof with a bad signature", self.proof.clone().tampered().issue()),
            refused("a wrong htm", self.proof.clone().method("POST").issue()),
            refused("a wrong htu", self.proof.clone().url("https://another.example/messages").issue()),
            refused("a wrong ath", self.proof.clone().for_token("another token").issue()),
        ]
    }
}

/// Measures one token with proofs by this algorithm.
pub(crate) fn in_process(
    runtime: &Runtime,
    rounds: usize,
    provider: &Provider,
    algorithm: SigningAlgorithm,
) -> Result<InProcess, Box<dyn Error>> {
    let client = Client::new(provider, algorithm);
    let mut contenders = Vec::new();
    for peer in Peer::BOUND {
        let mut contender = runtime.block_on(peer.contender(&provider.upstream, Tokens::Bound))?;
        contender.check_in_order(&client.checks())?;
        contenders.push(contender);
    }
    let (key, mut bare, mut workloads) = (public_key(client.key.key()), Cost::NONE, Vec::new());
    for number in 0..=rounds {
        let proofs: Vec<String> = (0..CALLS).map(|_| client.proof.issue()).collect();
        workloads = vec![client.workload("new proofs", StatusCode::OK, &proofs)];
        let proofs: Vec<_> = proofs.iter().map(|proof| signed(proof)).collect();
        let mut proofs = proofs.iter();
        round(number, &mut contenders, &workloads, &mut bare, || {
            let (input, signature) = proofs.next().expect("one for each call");
            key.verify_sig(black_box(input.as_bytes()), signature).expect("a good proof");
        });
    }
    tell_waits(&contenders);
    Ok(InProcess {
        algorithm: algorithm.name().to_owned(),
        token_bytes: client.token.len(),
        workloads,
        contenders,
        bare,
    })
}

/// The `jti` of all proofs that huskarl-resource-server has accepted. Nothing is forgotten: a measurement is short.
#[derive(Debug, Default)]
pub(crate) struct UsedProofs(Mutex<HashSet<String>>);

impl UsedProofs {
    pub(crate) fn shared() -> Arc<dyn JtiUniquenessChecker> {
        Arc::new(Self::default())
    }
}

impl JtiUniquenessChecker for UsedProofs {
    fn check_and_mark_seen(&self, jti: &str) -> MaybeSendBoxFuture<'_, Result<bool, HuskarlError>> {
        let jti = jti.to_owned();
        Box::pin(async move { Ok(!self.0.lock().expect("no holder panics").insert(jti)) })
    }
}
